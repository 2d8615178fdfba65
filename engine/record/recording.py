"""A performance, recorded as it is played: the program into a file, at the show's own size.

Usage: `recording = Recording(ctx, (1280, 720), Path("live.mp4"), show.film)`; `recording.push(framebuffer, now_s)`
each frame; `recording.close()`. The stage's GL thread; encoding is in the recorder's own.
"""

import logging
from collections import deque
from pathlib import Path

import moderngl

from engine.record.encoder import even_size, exact_fps
from engine.record.names import RecorderError, claim_name, unclaim
from engine.record.recorder import Readback, Recorder
from engine.show.specs import FilmSpec

log = logging.getLogger("pedesis")


class Recording:
    """The program, encoded in a thread as it happens; ends itself, saying so, when the disk or encoder fails."""

    def __init__(self, ctx: moderngl.Context, size: tuple[int, int], path: Path, film: FilmSpec) -> None:
        """size: of the program in pixels. Raises RecorderError."""
        self.size = even_size(size)
        self.failed = False
        fps = exact_fps(film.fps)
        self._period_s = float(1 / fps)
        self._next_s = 0.0
        self._times_s: deque[float] = deque()  # of the pictures that the readback holds
        self._closed = False
        path = claim_name(path)
        try:
            self.recorder = Recorder(path, self.size, fps, crf=film.crf, codec=film.codec, on_full="drop")
        except RecorderError:
            unclaim(path)
            raise
        self.readback = Readback(ctx, self.size)
        log.info("recording to %s", path)

    @property
    def own_size(self) -> bool:
        """A file has one size, whatever becomes of the window."""
        return not self._closed

    def push(self, framebuffer: moderngl.Framebuffer, now_s: float) -> None:
        """Takes the program, if a frame is due; now_s in real seconds."""
        if self._closed or now_s < self._next_s:
            return
        self._next_s = max(self._next_s + self._period_s, now_s - self._period_s)
        self._times_s.append(now_s)
        frame = self.readback.push(framebuffer)
        if frame is not None:
            self.recorder.write(frame, time_s=self._times_s.popleft())
        if self.recorder.error:
            self._fail(self.recorder.error)
            self.close()

    def close(self) -> None:
        """Ends the file with every picture taken in it. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        for frame, time_s in zip(self.readback.flush(), self._times_s, strict=True):
            self.recorder.write(frame, time_s=time_s)
        self.recorder.close()
        if dropped := self.recorder.dropped:
            of = dropped + self.recorder.written
            log.warning("%s: %d of %d pictures came faster than they could be encoded", self.recorder.path, dropped, of)
        if self.recorder.error and not self.failed:  # a disk that was full for the last of it
            self._fail(self.recorder.error)
        self.readback.release()

    def _fail(self, why: str) -> None:
        self.failed = True
        log.error("recording ended: %s; the show goes on", why)
