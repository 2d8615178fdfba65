"""The docent's lesson as it steers the show: what each step does to the show while it is said, and how it is put back.

    lesson = Lesson()
    lesson.tick(controls)                    # inside Conductor.tick, with what else moves parameters
    lesson.step, lesson.since_s              # which step it is, "" for none, and for how long

What a step moves it only borrows: when the step is over each value glides back to where it was, unless somebody moved
it meanwhile, who keeps it. Depends on parameters and the count of ticks only. The thread that runs the show's loop.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.control.controls import Controls
from engine.show.params import Value
from engine.stage.docent_params import STEPS
from engine.walk.mix import TICK_S

BACK_S = 1.5  # in which a borrowed value glides back
FAVOUR_S = 1.0
MATERIAL = "material."


@dataclass(frozen=True)
class Move:
    """A parameter that goes somewhere, so many seconds after the step began. A trigger fires."""

    at_s: float
    name: str
    value: Value
    over_s: float = 0.0


@dataclass(frozen=True)
class Step:
    """What the show does while something is said. favour: materials that alone are heard, if the show has any such;
    keeps: what stays as the step before has put it."""

    lasts_s: float  # when it goes by itself
    moves: tuple[Move, ...] = ()
    favour: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()


STILL = Move(0.0, "walk.pause", True)
CLOUDS, PULP, MEMORY = ("clouds",), ("pulp", "print", "paper"), ("memory", "spheres")

# A show that lacks a parameter does without that move.
LESSON: Mapping[str, Step] = {
    "definition": Step(13.0),
    "many": Step(16.0, (STILL,)),
    "few": Step(15.0, (STILL,)),
    "back": Step(14.0, (STILL,)),
    "noise": Step(12.0, (STILL,)),
    "guesses": Step(17.0, (STILL,)),
    "map": Step(22.0, (Move(0.0, "walk.speed", 0.4, 1.0),)),
    "between": Step(18.0, (STILL,)),
    "clouds": Step(
        20.0,
        (
            Move(0.0, "walk.focus", 0.0, 3.0),
            Move(6.0, "walk.focus", 0.55, 4.0),
            Move(11.5, "walk.focus", 1.0, 4.0),
        ),
        CLOUDS,
    ),
    "clouds_limp": Step(13.0, (Move(0.0, "walk.focus", 1.0, 2.0),), CLOUDS),
    "pulp": Step(22.0, (Move(0.0, "pulp.liquidise", 0.85, 5.0), Move(11.0, "pulp.pull", 1.0)), PULP),
    "pulp_limp": Step(13.0, (), PULP, keeps=("pulp.liquidise",)),  # the sheet that was drawn up stays
    "memory": Step(18.0, (Move(0.0, "memory.view", 1.0),), MEMORY),
    "memory_limp": Step(14.0, (Move(0.0, "memory.view", 1.0),), MEMORY),
    "all_three": Step(13.0, (Move(0.0, "memory.view", 0.0),)),
    "end": Step(14.0, (Move(0.0, "walk.focus", 0.35, 4.0),)),
}


def length_s() -> float:
    """How long the whole lesson takes when it goes by itself."""
    return sum(LESSON[name].lasts_s for name in STEPS)


class Lesson:
    """See the module's head."""

    def __init__(self) -> None:
        self._number = 0
        self._ticks = 0  # since the step began
        self._done = 0  # moves of it that are made
        self._own: dict[str, Value] = {}  # where what is borrowed was
        self._ours: dict[str, Value] = {}  # where it was moved to

    @property
    def step(self) -> str:
        """The step that is shown; "" for none."""
        return STEPS[self._number - 1] if self._number else ""

    @property
    def since_s(self) -> float:
        """How long ago it began."""
        return self._ticks * TICK_S

    def tick(self, controls: Controls, time_s: float = 0.0) -> None:
        """One tick."""
        number = int(controls["docent.step"])
        while controls.take("docent.next"):
            number = number + 1 if number < len(STEPS) else 0
        while controls.take("docent.back"):
            number = max(number - 1, 0)
        stays = not number or number != self._number or not controls["docent.auto"]
        if not stays and self.since_s >= LESSON[self.step].lasts_s:
            number = number + 1 if number < len(STEPS) else 0
        if number != int(controls["docent.step"]):
            controls.set("docent.step", number)
        if number != self._number:
            self._number, self._ticks, self._done = number, 0, 0
            self._give_back(controls)
            self._favour(controls)
        if self._number and "docent.caption" in controls:
            self._borrow(controls, "docent.caption", False, 0.0)  # the words of the lesson stand there
        if self._number:
            moves = LESSON[self.step].moves
            while self._done < len(moves) and moves[self._done].at_s <= self.since_s:
                self._make(controls, moves[self._done])
                self._done += 1
        self._ticks += 1

    def to_dict(self) -> dict[str, Any]:
        """All of the state, JSON-able."""
        names = ("number", "ticks", "done", "own", "ours")
        return {name: getattr(self, f"_{name}") for name in names} | {"own": dict(self._own), "ours": dict(self._ours)}

    def restore(self, data: Mapping[str, Any]) -> None:
        """Takes up where `to_dict` left it. Raises KeyError, TypeError or ValueError on damaged data."""
        number, ticks, done = (int(data[name]) for name in ("number", "ticks", "done"))
        if not 0 <= number <= len(STEPS):
            raise ValueError(f"a saved lesson needs a step from 0 to {len(STEPS)}, got {number}")
        self._number, self._ticks, self._done = number, ticks, done
        self._own, self._ours = dict(data["own"]), dict(data["ours"])

    def _make(self, controls: Controls, move: Move) -> None:
        if move.name not in controls:
            return
        if controls.fires(move.name):
            controls.hit(move.name)
            return
        self._borrow(controls, move.name, move.value, move.over_s)

    def _borrow(self, controls: Controls, name: str, value: Value, over_s: float) -> None:
        if name in self._ours and controls.target(name) != self._ours[name]:
            return  # somebody has it in hand
        if name not in self._own:
            if controls.target(name) == value:
                return
            self._own[name] = controls.target(name)
        self._ours[name] = value
        if over_s > 0:
            controls.glide(name, value, over_s)
        else:
            controls.set(name, value)

    def _favour(self, controls: Controls) -> None:
        wanted = [f"{MATERIAL}{name}" for name in LESSON[self.step].favour] if self._number else []
        if any(name in controls for name in wanted):
            for name in _materials(controls):
                self._borrow(controls, name, float(name in wanted), FAVOUR_S)

    def _give_back(self, controls: Controls) -> None:
        """Everything that the present step does not need."""
        step = LESSON[self.step] if self._number else Step(0.0)
        kept = {move.name for move in step.moves} | set(step.keeps) | ({"docent.caption"} if self._number else set())
        if self._number and any(f"{MATERIAL}{name}" in controls for name in LESSON[self.step].favour):
            kept |= set(_materials(controls))
        for name in [name for name in self._own if name not in kept]:
            own, ours = self._own.pop(name), self._ours.pop(name)
            if name in controls and controls.target(name) == ours:
                controls.glide(name, own, BACK_S)


def _materials(controls: Controls) -> list[str]:
    return [name for name in controls if name.startswith(MATERIAL) and name.count(".") == 1]  # and not their words
