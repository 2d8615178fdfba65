"""Frames off the GPU and into a film file.

Usage:

    readback = Readback(ctx, (1280, 720))        # readback.py
    with Recorder("out/walk.mp4", (1280, 720), fps=30) as recorder:
        frame = readback.push(framebuffer)          # the picture of two calls ago, or None
        if frame is not None:
            recorder.write(frame)
    if recorder.error: print(recorder.error)

`Recorder.write` may be called from any one thread (the stage's). Opening, encoding
and writing happen in a thread of the recorder's own, so that a slow disk or encoder never holds up the stage.
"""

import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np

from engine.record.encoder import FilmWriter, Size, choose_codec, exact_fps
from engine.record.names import RecorderError, Series, is_series, reason
from engine.show.files import ENDING_S

log = logging.getLogger("pedesis")

OnFull = Literal["wait", "drop"]
OPENING_S = 2.0  # a pipe opens when somebody reads it, a disk when it is awake: recording starts then
_LAST_FRAMES_S = 1.0  # of it for the frames that are waiting, the rest for the file's index


class Recorder:
    """Film file with an encoder thread of its own.

    `on_full="wait"` (films): `write` waits for the encoder, so every frame is in the file at index / fps.
    `on_full="drop"` (live): `write` never waits; when `depth` frames are waiting the oldest of them goes, and
    the rest keep their own times, so the file plays at the right speed with a held picture in the gap.

    The file by its suffix: .mp4 and .mov (fragmented while recording, an ordinary file after `close`), .mkv,
    or numbered pictures such as `still-%06d.png`. A fault while recording (disk full, encoder) ends the recording
    with what it has: `error` says so in one sentence and nothing is raised.

    Nothing here waits for a disk without limit. A file that does not open at once (a pipe that nobody reads yet) is
    opened later: a film asks `ready`, a live recording starts when it is open.

    path: the name it goes by; draft: where it is written instead, of the same suffix (see FilmFile).
    first: how many frames there are already, whole segments; they are copied from `resume_from`, a draft of an earlier
    run, and numbered pictures stay where they are. on_saved: told, in the recorder's thread, how many frames are whole
    in the file, segment by segment. Raises RecorderError when it cannot start.
    """

    def __init__(
        self,
        path: str | Path,
        size: Size,
        fps: int | float | str | Fraction,
        crf: int = 20,
        codec: str = "h264",
        depth: int = 8,
        on_full: OnFull = "wait",
        draft: Path | None = None,
        first: int = 0,
        resume_from: Path | None = None,
        on_saved: Callable[[int], None] = lambda frames: None,
    ) -> None:
        self.path = Path(path)
        self._draft = draft or self.path
        self.size = size
        self.fps = exact_fps(fps)
        self.error: str | None = None
        self.written = 0  # frames in the file
        self.dropped = 0  # frames that came while the encoder was behind, live only
        self._live = on_full == "drop"
        self._crf = crf
        self._depth = depth
        self._codec = choose_codec(self.path, codec, size)
        # Every picture buffer there will ever be: those waiting, one being filled, one being encoded.
        self._free = [np.empty((size[1], size[0], 4), np.uint8) for _ in range(depth + 2)]
        self._waiting: deque[tuple[int, np.ndarray]] = deque()
        self._changed = threading.Condition()
        self._closing_at: float | None = None
        self._first_s: float | None = None
        self._last_pts = first - 1
        self._first, self._resume_from, self._on_saved = first, resume_from, on_saved
        self._ready = threading.Event()
        self._opened = threading.Event()
        self._refusal: str | None = None
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()
        if not self._opened.wait(OPENING_S) and self._live:
            log.warning("%s does not open yet; recording starts as soon as it does", self.path)
        if self._refusal is not None:
            raise RecorderError(self._refusal)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def waiting(self) -> int:
        """Frames waiting for the encoder, 0..depth."""
        return len(self._waiting)

    def ready(self, timeout_s: float) -> bool:
        """Whether the file is open and what was there already has been copied, or cannot be; waits for it so long."""
        return self._ready.wait(timeout_s)

    def has_room(self, timeout_s: float) -> bool:
        """Whether `write` would not wait; waits for it so long."""
        with self._changed:
            return self._changed.wait_for(self._has_room, timeout_s)

    def write(self, frame: np.ndarray, time_s: float | None = None) -> bool:
        """Hand over a (H, W, 4) uint8 picture, top row first; it is copied, the caller may reuse it. Its fourth
        number is not looked at.

        With `time_s` (live) the frame stands at that time after the first one, and is left out when its place
        at `fps` is taken already; without it frames follow each other at `fps`. Up to one row and column more
        than `size` are cut off (see `even_size`). False if the frame is not recorded.
        """
        width, height = self.size
        rows, columns, numbers = frame.shape
        if not (height <= rows <= height + 1 and width <= columns <= width + 1 and numbers == 4):
            raise ValueError(f"a recorder of {width}x{height} takes ({height}, {width}, 4), got {frame.shape}")
        pts = self._place(time_s)
        if pts is None:
            return False
        with self._changed:
            self._changed.wait_for(self._has_room)
            if self._over():
                return False
            self._last_pts = pts
            if len(self._waiting) >= self._depth:
                self._free.append(self._waiting.popleft()[1])
                self.dropped += 1
            buffer = self._free.pop()
        np.copyto(buffer, frame[:height, :width])
        with self._changed:
            self._waiting.append((pts, buffer))
            self._changed.notify_all()
        return True

    def finish(self, timeout_s: float) -> bool:
        """Asks for the file to be finished, and waits for that so long. Whether it is; ask again to wait for longer.

        A file that has not even opened has nothing to lose, and is not waited for."""
        with self._changed:
            if self._closing_at is None:
                self._closing_at = time.monotonic()
            self._changed.notify_all()
        self._thread.join(timeout_s)
        return not self._thread.is_alive() or not self._opened.is_set()

    def close(self, timeout_s: float | None = None) -> int:
        """Finish the file. Returns the number of frames in it. Never raises; see `error`.

        timeout_s: how long to wait, left out: ENDING_S for a live recording, for ever for a film.
        """
        limit_s = ENDING_S if timeout_s is None and self._live else timeout_s
        started = time.monotonic()
        while not self.finish(0.1 if limit_s is None else min(0.1, limit_s)):
            if limit_s is not None and time.monotonic() - started >= limit_s:
                break
        if self._thread.is_alive() and self.error is None:
            self.error = (
                f"{self.path} was still being finished after {time.monotonic() - started:.0f} s and was left as it is"
                if self._opened.is_set()
                else f"nothing was recorded to {self.path}: it never opened"
            )
        return self.written

    def _has_room(self) -> bool:
        return self._live or len(self._waiting) < self._depth or self._over()

    def _over(self) -> bool:
        return self._closing_at is not None or self.error is not None

    def _place(self, time_s: float | None) -> int | None:
        """Index of the frame slot for a frame at `time_s`, or None if that slot is taken."""
        if time_s is None:
            return self._last_pts + 1
        if self._first_s is None:
            self._first_s = time_s
        slot = (time_s - self._first_s) * float(self.fps)
        # A frame near enough to the next slot takes it: plain rounding would turn a jitter about the boundary
        # between two slots into a run of doubled and missing frames.
        if abs(slot - (self._last_pts + 1)) <= 0.75:
            return self._last_pts + 1
        return round(slot) if round(slot) > self._last_pts else None

    def _run(self) -> None:
        output: FilmWriter | None = None
        try:
            self._yield_to_the_stage()
            how = (self._codec, self._crf, self._live, self._first, self._on_saved)
            output = FilmWriter(self._draft, self.size, self.fps, *how)
        except Exception as fault:
            self._refusal = f"cannot record to {self.path}: {reason(fault)}"
            with self._changed:
                self.error = self.error or self._refusal  # for who did not wait so long
                self._changed.notify_all()
        finally:  # whatever it was, somebody is waiting
            self._opened.set()
            if output is None:
                self._ready.set()
        if output is not None:
            self._record(output)

    def _yield_to_the_stage(self) -> None:
        if not self._live or sys.platform != "linux":
            return
        # Before the encoder is opened: its threads inherit this, and the stage's thread goes first.
        thread = threading.get_native_id()
        try:
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + 5)
        except OSError as fault:  # a sandbox may forbid it; the recording only takes more from the stage
            log.info("the encoder runs beside the stage as its equal: %s", reason(fault))

    def _record(self, output: FilmWriter) -> None:
        faults: list[Exception] = []
        try:
            self._copy(output)
            self._encode_all(output)
        except Exception as fault:  # whatever it is, the stage must hear of it and not wait for us
            faults.append(fault)
        finally:
            self._ready.set()
        try:
            output.close()
            self.written = output.muxed
        except Exception as fault:
            self.written = output.saved
            faults.append(fault)
        if faults:
            if is_series(self._draft):  # the picture that did not fit is cut short, and would break whatever reads on
                with suppress(OSError):
                    Series.of(self._draft).picture(self.written + 1).unlink()
            self._fail(faults[0])

    def _copy(self, output: FilmWriter) -> None:
        if self._resume_from is not None:
            for copied in output.copied(self._resume_from, self._first):
                self.written = copied
                if self._closing_at is not None:
                    return
        self._ready.set()

    def _encode_all(self, output: FilmWriter) -> None:
        while (taken := self._take()) is not None:
            pts, buffer = taken
            output.encode(buffer, pts)
            self.written = output.muxed
            with self._changed:
                self._free.append(buffer)
        output.finish()

    def _take(self) -> tuple[int, np.ndarray] | None:
        """The next frame to encode, waited for; None when there are no more, or no more time for them."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing_at is not None)
            late = self._closing_at is not None and time.monotonic() - self._closing_at > _LAST_FRAMES_S
            if self._live and late:
                self.dropped += len(self._waiting)
                self._waiting.clear()
            if not self._waiting:
                return None
            taken = self._waiting.popleft()
            self._changed.notify_all()
            return taken

    def _fail(self, fault: Exception) -> None:
        with self._changed:
            if self.error is None:
                self.error = (
                    f"recording {self.path} ended after {self.written} frames "
                    f"({float(self.written / self.fps):.1f} s): {reason(fault)}"
                )
            self._changed.notify_all()
