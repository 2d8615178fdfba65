"""What a film that is resumed goes through before its first new frame, so that the stage is as if it had never ended.

    preroll = Preroll(first)
    preroll.note(n, waypoint, values)            # of every frame before the first new one
    for waypoint in preroll.keyframes(planned): ...
    preroll.frames, preroll.fades                # once the first of those is there

A picture depends on its time, on the two keyframes around it, and in a transition or a freeze on the picture that was
held when that began; that one again may come of a transition before. A preroll knows those few frames, from the last
time that nothing was held, and leaves out the rest: a transition costs the keyframes around its beginning, and a stage
that was frozen for an hour no more. Plain numbers; any thread.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from engine.show.params import Value
from engine.stage.blend import THAW_S
from engine.stage.look import FADE_S
from engine.walk.waypoint import Waypoint

READ = ("stage.freeze", "blend.transition", "blend.time", "stage.blackout")  # by what keeps anything between frames


@dataclass(frozen=True)
class Frame:
    """A frame that is drawn again, and not written. values: those of READ."""

    time_s: float
    values: Mapping[str, Value]


class Preroll:
    """See the module's head. What is held is told as Blend tells it (see blend.py)."""

    def __init__(self, first: int) -> None:
        """first: the frame that is written first; 0 needs no preroll."""
        self.fades: list[Frame] = []  # all since the stage last stood still between light and black
        self._first = first
        self._needed: dict[int, Frame] = {}
        self._last: Frame | None = None
        self._epoch = 0
        self._frozen = False
        self._start_s, self._length_s = 0.0, 0.0  # of the newest transition
        self._switched_s = -FADE_S  # when the stage was last darkened or lit
        self._is_cleared = False

    @property
    def frames(self) -> list[Frame]:
        """Those to draw, in order."""
        return list(self._needed.values())

    def note(self, n: int, waypoint: Waypoint, values: Mapping[str, Value]) -> None:
        """The next frame, if it comes before the first that is written."""
        if n >= self._first:
            return
        frame = Frame(waypoint.time_s, {name: values[name] for name in READ})
        before, self._last = self._last, frame
        self._note_fade(frame, before)
        if before is None:
            self._epoch = waypoint.epoch
        else:
            self._note_held(n, frame, before, waypoint.epoch)
        if n == self._first - 1:
            self._needed[n] = frame

    def keyframes(self, planned: Iterator[Waypoint]) -> Iterator[Waypoint]:
        """Of a film's keyframes those around the frames needed, and all from the first new frame on."""
        here, kept = next(planned, None), list[Waypoint]()
        if not self._first or here is None:
            if here is not None:
                yield here
            yield from planned
            return
        for after in planned:
            if self._is_cleared:
                self._is_cleared = False
                kept.clear()
            if any(here.time_s <= frame.time_s < after.time_s for frame in self._needed.values()):
                kept += [after] if kept and kept[-1] is here else [here, after]
            if self._first - 1 in self._needed and after.time_s > self._needed[self._first - 1].time_s:
                break  # nothing more is noted from here on
            here = after
        yield from kept
        yield from planned

    def _note_held(self, n: int, frame: Frame, before: Frame, epoch: int) -> None:
        """What is held from the frame before, or no longer."""
        was_frozen, self._frozen = self._frozen, bool(frame.values["stage.freeze"])
        jumped, self._epoch = epoch != self._epoch, epoch
        if was_frozen and not self._frozen:
            self._start_s, self._length_s = frame.time_s, THAW_S
        if jumped and not self._frozen:
            self._start_s, self._length_s = frame.time_s, float(frame.values["blend.time"])
        if not self._frozen and frame.time_s - self._start_s >= self._length_s:
            self._needed.clear()
            self._is_cleared = True
        elif (jumped and not self._frozen) or was_frozen != self._frozen:
            self._needed |= {n - 1: before, n: frame}

    def _note_fade(self, frame: Frame, before: Frame | None) -> None:
        if before is not None and frame.values["stage.blackout"] != before.values["stage.blackout"]:
            self._switched_s = frame.time_s
        if before is not None and before.time_s - self._switched_s > FADE_S:
            self.fades.clear()  # it has arrived where it was going
        self.fades.append(frame)
