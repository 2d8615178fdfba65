"""A performance, recorded as it is played: the program into a file, at the show's own size.

    recorder = open_recorder((1280, 720), Path("live.mp4"), show.film)      # may wait for a disk; any thread
    recording = Recording(ctx, recorder)
    recording.push(framebuffer, now_s)                                      # each frame
    recording.end(); recording.close()

The stage's GL thread, but for open_recorder; encoding is in the recorder's own.
"""

import logging
import threading
from collections import deque
from pathlib import Path

import moderngl

from engine.record.encoder import even_size, exact_fps
from engine.record.names import RecorderError, claim_name, unclaim
from engine.record.readback import Readback
from engine.record.recorder import Recorder
from engine.show.files import ENDING_S
from engine.show.specs import FilmSpec

log = logging.getLogger("pedesis")


def open_recorder(size: tuple[int, int], path: Path, film: FilmSpec) -> Recorder:
    """A file to record into, of that name or one beside it. size: of the program in pixels.

    Waits for the disk. Raises RecorderError.
    """
    path = claim_name(path)
    try:
        recorder = Recorder(path, even_size(size), exact_fps(film.fps), film.crf, film.codec, on_full="drop")
    except RecorderError:
        unclaim(path)
        raise
    log.info("recording to %s", path)
    return recorder


class Recording:
    """The program, encoded in a thread as it happens; ends itself, saying so, when the disk or encoder fails."""

    def __init__(self, ctx: moderngl.Context, recorder: Recorder) -> None:
        self.recorder = recorder
        self.failed = False
        self._period_s = float(1 / recorder.fps)
        self._next_s = 0.0
        self._times_s: deque[float] = deque()  # of the pictures that the readback holds
        self._closed = False
        self._finisher: threading.Thread | None = None
        self.readback = Readback(ctx, recorder.size)

    @property
    def own_size(self) -> bool:
        """A file has one size, whatever becomes of the window."""
        return not self._closed

    @property
    def is_finishing(self) -> bool:
        """Whether its file is still being finished."""
        return self._finisher is not None and self._finisher.is_alive()

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
            self.end()

    def end(self) -> None:
        """Ends the file with every picture taken in it, and does not wait for the disk. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        for frame, time_s in zip(self.readback.flush(), self._times_s, strict=True):
            self.recorder.write(frame, time_s=time_s)
        self.readback.release()
        self._finisher = threading.Thread(target=self._finish, name="recording-end", daemon=True)
        self._finisher.start()

    def close(self) -> None:
        """Ends it and waits for the file, but no longer than a show may take to end. Safe to call twice."""
        self.end()
        if self._finisher is not None:
            self._finisher.join(ENDING_S + 0.5)  # which says itself what it could not finish

    def _finish(self) -> None:
        self.recorder.close()
        if dropped := self.recorder.dropped:
            of = dropped + self.recorder.written
            log.warning("%s: %d of %d pictures came faster than they could be encoded", self.recorder.path, dropped, of)
        if self.recorder.error and not self.failed:  # a disk that was full for the last of it
            self._fail(self.recorder.error)
        elif not self.failed:
            log.info("recorded %s: %d pictures", self.recorder.path, self.recorder.written)

    def _fail(self, why: str) -> None:
        self.failed = True
        log.error("recording ended: %s; the show goes on", why)
