"""The one clock of a show, injected wherever time matters: real time on a stage, lockstep in a film.

    clock = LockstepClock(fps=30); clock.now(); clock.advance()

Belongs to the thread that runs the show's loop. Nothing else in the engine asks the machine for the time
when the answer could change a picture.
"""

import time
from collections.abc import Callable
from fractions import Fraction
from typing import Protocol


class Clock(Protocol):
    """Seconds since the show began."""

    def now(self) -> float: ...


class RealClock:
    """Time as it passes. `monotonic` is a parameter only so that tests need not wait."""

    def __init__(self, monotonic: Callable[[], float] = time.perf_counter) -> None:
        self._monotonic = monotonic
        self._start_s = monotonic()

    def now(self) -> float:
        """Seconds since this clock was made; never goes back, whatever happens to the wall clock."""
        return self._monotonic() - self._start_s


class LockstepClock:
    """Time that moves by exactly one frame when it is told to, however long the frame takes to make."""

    def __init__(self, fps: float | Fraction, frame: int = 0) -> None:
        """fps: frames per second, above 0. frame: where to begin, for a film that is resumed."""
        if not fps > 0:
            raise ValueError(f"a clock needs a frame rate above 0, got {fps}")
        self.fps = Fraction(fps)
        self.frame = frame

    def now(self) -> float:
        """Time of the frame, from its number: nothing accumulates, so an hour ends exactly on the hour."""
        return float(self.frame / self.fps)

    def advance(self) -> None:
        """On to the next frame."""
        self.frame += 1
