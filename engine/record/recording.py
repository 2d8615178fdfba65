"""A performance, recorded as it is played: what is on stage into a file, and into a new one for a window's new size.

Usage: `recording = Recording(stage, Path("live.mp4"), show)`; `recording.push(now_s)` each frame; `recording.close()`.
The stage's GL thread; encoding is in the recorder's own.
"""

import logging
from collections import deque
from pathlib import Path

from engine.record.encoder import SMALLEST, even_size, exact_fps
from engine.record.names import RecorderError, claim_name, unclaim
from engine.record.recorder import Readback, Recorder
from engine.show.config import Show
from engine.stage.window import Stage

log = logging.getLogger("pedesis")

SETTLED_S = 1.0  # how long a window must have kept its size to be filmed again


class Recording:
    """What is on stage, encoded in a thread as it happens; ends itself, saying so, when the disk or encoder fails.

    A film has one size. When the window changes its own, the film ends there and the next is begun beside it, as
    soon as the window has kept its size for a moment: a hand that drags at it would leave a hundred films.
    """

    def __init__(self, stage: Stage, path: Path, show: Show) -> None:
        self.stage, self.path, self.film = stage, path, show.film
        self.fps = exact_fps(show.film.fps)
        self.size = even_size(stage.size)
        self.recorder: Recorder | None = None
        self.failed = False
        self._next_s = self._begin_at_s = 0.0
        self._begin()

    def _begin(self) -> None:
        """A new file. Raises RecorderError."""
        path, film = claim_name(self.path), self.film
        try:
            self.recorder = Recorder(path, self.size, self.fps, crf=film.crf, codec=film.codec, on_full="drop")
        except RecorderError:
            unclaim(path)
            raise
        self.readback = Readback(self.stage.ctx, self.size)
        self._times_s: deque[float] = deque()  # of the pictures that the readback holds
        log.info("recording to %s", path)

    def push(self, now_s: float) -> None:
        """Takes what is on stage, if a frame is due; now_s in real seconds."""
        if self.failed or now_s < self._next_s:
            return
        self._next_s = max(self._next_s + float(1 / self.fps), now_s - float(1 / self.fps))
        size = even_size(self.stage.size)
        if size != self.size:
            self.close()
            self.size, self._begin_at_s = size, now_s + SETTLED_S
        if self.recorder is None and (now_s < self._begin_at_s or min(size) < SMALLEST):  # 1x1 when folded
            return
        try:
            if self.recorder is None:
                self._begin()
            self._write(now_s)
        except RecorderError as fault:
            self._fail(str(fault))
            self.close()

    def _write(self, now_s: float) -> None:
        assert self.recorder is not None
        self._times_s.append(now_s)
        frame = self.readback.push(self.stage.framebuffer)
        if frame is not None:
            self.recorder.write(frame, time_s=self._times_s.popleft())
        if self.recorder.error:
            raise RecorderError(self.recorder.error)

    def _fail(self, why: str) -> None:
        self.failed = True
        log.error("recording ended: %s; the show goes on", why)

    def close(self) -> None:
        """Ends the file with every picture taken in it. Safe to call twice."""
        if self.recorder is None:
            return
        for frame, time_s in zip(self.readback.flush(), self._times_s, strict=True):
            self.recorder.write(frame, time_s=time_s)
        self.recorder.close()
        if dropped := self.recorder.dropped:
            of = dropped + self.recorder.written
            log.warning("%s: %d of %d pictures came faster than they could be encoded", self.recorder.path, dropped, of)
        if self.recorder.error and not self.failed:  # a disk that was full for the last of it
            self._fail(self.recorder.error)
        self.recorder = None
        self.readback.release()
