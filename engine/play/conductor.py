"""The conductor: sources, controls and the walk in one, stepped in fixed ticks. Live, film and benchmark share it.

    conductor = Conductor(show, [osc])
    conductor.listen(); conductor.tick()
    conductor.waypoint(), conductor["look.grain"]

A mapping from a parameter's name to its present value. Sources hand over values between ticks only, so what they
handed over, with the numbers of the ticks, gives the same waypoints again at any frame rate. The thread that runs
the show's loop; no GL, no torch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from engine.control.automation import Automation
from engine.control.controls import Controls
from engine.control.source import Automaton, Source
from engine.show.config import Show
from engine.show.params import Value
from engine.walk.navigator import TICK_HZ, TICK_S, Navigator
from engine.walk.palette import Palette
from engine.walk.waypoint import Waypoint

RESET_S = 2.0  # how long the way back to the show's own values takes
STAYS = "walk.seed"  # belongs to the walk's place, and that stays


class Conductor(Mapping[str, Value]):
    """What one show is doing: where its parameters are, and where its walk is."""

    def __init__(self, show: Show, sources: Sequence[Source] = (), automata: Sequence[Automaton] = ()) -> None:
        """automata: what moves parameters at every tick, beside the show's own automation and after it."""
        self.controls = Controls(show.registry, show.values)
        self.navigator = Navigator(
            seed=int(show.values["walk.seed"]),
            materials=tuple(f"material.{m.name}" for m in show.materials),
            loop=float(show.values["walk.loop"]),
            palette=Palette.of([m.prompt for m in show.materials]).id,
        )
        self.automation = Automation(show.registry, show.things, show.values)
        self._automata: list[Automaton] = [self.automation, *automata]
        self._sources = list(sources)
        self._own = dict(show.values)
        self.tick()

    def __getitem__(self, name: str) -> Value:
        return self.controls[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.controls)

    def __len__(self) -> int:
        return len(self.controls)

    @property
    def time_s(self) -> float:
        """Time of the last tick, since the walk began."""
        return self.navigator.time_s

    def set(self, name: str, value: Value) -> None:
        """Moves a parameter, as a source would. value: already coerced."""
        self.controls.set(name, value)

    def toggle(self, name: str) -> None:
        """Turns a switch the other way."""
        self.controls.set(name, not self.controls.target(name))

    def listen(self) -> None:
        """Takes what the sources have to say; between two ticks."""
        for source in self._sources:
            for name, value in source.drain():
                self.controls.set(name, value)

    def tick(self) -> None:
        """One step of TICK_S seconds for everything that is steered."""
        self.controls.tick(TICK_S)
        for automaton in self._automata:
            automaton.tick(self.controls, self.time_s)
        if self.controls.take("show.panic"):
            self.automation.panic()
            self._reset()
        if self.controls.take("show.reset"):
            self._reset()
        self.navigator.tick(self.controls)

    def waypoint(self, ahead_s: float = 0.0) -> Waypoint:
        """Where the walk is, or will be `ahead_s` seconds on if nothing is touched."""
        return self.navigator.waypoint(ahead_s)

    def _reset(self) -> None:
        """Every value back to the show's own, eased; the walk's place stays."""
        self.automation.presets.cancel()
        for name, value in self._own.items():
            if name != STAYS and not self.controls.target(name) == self.controls.base(name) == value:
                self.controls.glide(name, value, RESET_S)


def play_through(conductor: Conductor, fps: Fraction, frames: int) -> Iterator[Waypoint]:
    """Steps the conductor from frame to frame of a film: the waypoint of each, at exactly n / fps seconds.

    While the caller holds a frame's waypoint, the conductor's values are those of that frame.
    """
    for n in range(frames):
        at = Fraction(n) / fps
        while Fraction(conductor.navigator.ticks + 1, TICK_HZ) <= at:
            conductor.listen()
            conductor.tick()
        waypoint = conductor.waypoint(float(at - Fraction(conductor.navigator.ticks, TICK_HZ)))
        yield replace(waypoint, time_s=float(at))  # as the film's clock has it, to the last bit
