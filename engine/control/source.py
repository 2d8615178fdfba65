"""What steers a show: anything that hands over values between two ticks.

    for name, value in source.drain(): controls.set(name, value)

OSC is one; so will be MIDI, sound, a score, a take. The thread that runs the show's loop.
"""

from typing import Protocol

from engine.control.controls import Controls
from engine.show.params import Value


class Source(Protocol):
    """Hands over what is new since the last call."""

    def drain(self) -> list[tuple[str, Value]]:
        """Names of parameters and values they take, oldest first. Never waits and never raises."""
        ...


class Automaton(Protocol):
    """Moves parameters by itself, at every tick. What it does depends on the parameters and the ticks only."""

    def tick(self, controls: Controls, time_s: float) -> None:
        """One tick, after the controls' own and before the walk's. time_s: of the show."""
        ...
