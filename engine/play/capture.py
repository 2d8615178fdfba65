"""What is kept of a performance: stills, recordings and takes, begun and ended while it plays.

    capture = Capture(Path("out"), ctx, program_size)
    capture.play(show, conductor, showing)          # which show is on stage now
    capture.record(path); capture.take(path)        # from the command line; or by triggers, which step() looks at
    capture.step(); for output in capture.outputs: output.push(framebuffer, now_s)
    capture.close()

What comes from outside never names a file: names are made here of the show's name and the time. The stage's GL
thread; whatever waits for a disk does so in a thread of its own.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import moderngl

from engine.play.conductor import Conductor
from engine.play.stills import StillOutput, Stills
from engine.play.takes import SUFFIX, TakeRecording
from engine.show.config import Show
from engine.show.errors import CannotStart
from engine.stage.program import Output

if TYPE_CHECKING:
    from engine.record.recorder import Recorder
    from engine.record.recording import Recording

log = logging.getLogger("pedesis")

Showing = Callable[[], tuple[Any, Any, float] | None]
_ENDINGS = {"prores": ".mov", "png": "-%06d.png"}  # of all other codecs .mp4


class Capture:
    """Stills, one recording and one take at a time, of the show that is on stage."""

    def __init__(self, folder: Path, ctx: moderngl.Context, size: tuple[int, int]) -> None:
        """folder: for what is not named. size: of the program in pixels."""
        self.folder, self._ctx, self._size = folder, ctx, size
        self._stills = Stills(folder)
        self.still: StillOutput | None = None
        self.recording: Recording | None = None
        self.taking: TakeRecording | None = None
        self._opening: _Opening | None = None
        self._ended: list[Recording] = []

    @property
    def outputs(self) -> list[Output]:
        """What takes the program now."""
        return [output for output in (self.still, self.recording) if output is not None]

    @property
    def is_opening(self) -> bool:
        """Whether a recording was asked for whose file is not open yet."""
        return self._opening is not None

    @property
    def status(self) -> str:
        """What is being kept, for the overlay; empty when nothing is."""
        kept = []
        if self.recording is not None and self.recording.own_size:
            kept.append(f"recording {self.recording.recorder.path.name}")
        if self.taking is not None and self.taking.is_going and self.taking.path is not None:
            kept.append(f"take {self.taking.path.name}")
        return "   ".join(kept)

    def play(self, show: Show, conductor: Conductor, showing: Showing) -> None:
        """From now on this show is on stage. A recording goes on; a take is of one show, and a new one begins.

        showing: what the picture lies between, as Blend.showing has it.
        """
        self._show, self._conductor = show, conductor
        self.still = StillOutput(self._stills, showing, show, conductor.words.palettes_of)
        if self.taking is not None:
            self.taking.close(timeout_s=0.0)
            self.taking = TakeRecording(conductor, show, self._name(SUFFIX))

    def record(self, path: Path) -> None:
        """Records to that file, or one beside it. Waits for the disk. Raises RecorderError."""
        from engine.record.recording import Recording, open_recorder

        self.recording = Recording(self._ctx, open_recorder(self._size, path, self._show.film))

    def take(self, path: Path) -> None:
        """Writes a take to that file, or one beside it. Waits for the disk. Raises TakeError."""
        self.taking = TakeRecording(self._conductor, self._show, path, whole=True)
        self.taking.wait()

    def step(self) -> None:
        """Once a frame, after the walk: does what was asked for over OSC, in the order in which it came."""
        asked = {
            "record.still": self.ask_for_still,
            "record.start": self._start_recording,
            "record.stop": self._stop_recording,
            "take.start": self._start_take,
            "take.stop": self._stop_take,
        }
        while name := self._conductor.controls.take_first(asked):
            asked[name]()
        if self.taking is not None:
            self.taking.pass_time()
        self._open()

    def ask_for_still(self) -> None:
        """Keeps the next frame's picture."""
        if self.still is not None:
            self.still.ask()

    def close(self) -> None:
        """Ends all of it and waits for the disk, but no longer than a show may take to end."""
        if self.taking is not None:
            self.taking.close()
        if self._opening is not None:
            self._opening.drop()
        for recording in [*self._ended, self.recording]:
            if recording is not None:
                recording.close()
        self._stills.close()

    def _start_recording(self) -> None:
        if self._opening is not None or (self.recording is not None and self.recording.own_size):
            log.info("this is being recorded already")
            return
        path = self._name(_ENDINGS.get(self._show.film.codec, ".mp4"))
        self._opening = _Opening(self._size, path, self._show)

    def _open(self) -> None:
        """Begins the recording that was asked for, once its file is open."""
        if self._opening is None or not self._opening.is_done:
            return
        opening, self._opening = self._opening, None
        if opening.recorder is not None:
            from engine.record.recording import Recording

            self.recording = Recording(self._ctx, opening.recorder)

    def _stop_recording(self) -> None:
        self._open()
        if self._opening is not None:
            self._opening.drop()
            self._opening = None
        elif self.recording is None or not self.recording.own_size:
            log.info("nothing is being recorded")
        if self.recording is not None:
            self.recording.end()
            self._ended = [each for each in self._ended if each.is_finishing] + [self.recording]
            self.recording = None

    def _start_take(self) -> None:
        if self.taking is not None and self.taking.is_going:
            log.info("a take is being written already")
            return
        self.taking = TakeRecording(self._conductor, self._show, self._name(SUFFIX))

    def _stop_take(self) -> None:
        if self.taking is None or not self.taking.is_going:
            log.info("no take is being written")
        if self.taking is not None:
            self.taking.close(timeout_s=0.0)
            self.taking = None

    def _name(self, ending: str) -> Path:
        plain = self._show.name.replace("%", "_")  # which has a meaning in the names of numbered pictures
        return self.folder / f"{plain}-{datetime.now():%Y%m%d-%H%M%S}{ending}"


class _Opening:
    """A file on its way to being open, in a thread: the encoders are 70 MB of libraries, and disks sleep."""

    def __init__(self, size: tuple[int, int], path: Path, show: Show) -> None:
        self.recorder: Recorder | None = None
        self._dropped = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, args=(size, path, show), name="open", daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        return not self._thread.is_alive()

    def drop(self) -> None:
        """It is no longer wanted."""
        with self._lock:
            self._dropped = True
            if self.recorder is not None:
                self.recorder.finish(0.0)

    def _run(self, size: tuple[int, int], path: Path, show: Show) -> None:
        from engine.record.names import is_series, unclaim
        from engine.record.recording import open_recorder

        try:
            recorder = open_recorder(size, path, show.film)
        except (CannotStart, OSError) as fault:
            log.error("not recorded: %s; the show goes on", fault)
            return
        with self._lock:
            self.recorder = recorder
        if self._dropped:
            recorder.close()
            unclaim(recorder.path)
            if not recorder.written and not is_series(recorder.path):  # all there is in it is its beginning
                with suppress(OSError):
                    recorder.path.unlink()
