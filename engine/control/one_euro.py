"""The one-euro filter: calm while a hand rests, quick when it moves.

    filtered = OneEuro(Smooth(cutoff_hz=1.0))
    filtered.step(0.31, dt_s=1 / 60)

A low-pass whose cutoff rises with the speed of what it filters: at rest it takes the trembling out of a sensor, in
motion it hardly lags. After Casiez, Roussel and Vogel, "1€ Filter: A Simple Speed-based Low-pass Filter for Noisy
Input in Interactive Systems", CHI 2012 (equations 1 to 5). Values are shares of a control's travel, so one set of
numbers does for every sensor. Plain numbers; the thread that runs the show's loop.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Smooth:
    """How much is smoothed."""

    cutoff_hz: float = 1.0  # at rest; the paper's f_c,min
    # By how much the cutoff rises with speed, Hz for each whole travel a second; the paper's beta. At this a sweep of
    # half a second lags by less than 20 ms.
    beta: float = 5.0
    derivative_hz: float = 1.0  # cutoff of the speed itself; the paper's d_cutoff

    @staticmethod
    def of_seconds(time_s: float) -> "Smooth":
        """With a time constant of so many seconds at rest."""
        return Smooth(cutoff_hz=1 / (2 * math.pi * time_s))


class OneEuro:
    """One value, filtered."""

    def __init__(self, smooth: Smooth) -> None:
        self._smooth = smooth
        self._speed = 0.0  # of the value, a second
        self.value: float | None = None

    def step(self, value: float, dt_s: float) -> float:
        """The filtered value `dt_s` seconds after the last one; the first is taken as it is."""
        if self.value is None or dt_s <= 0:
            if self.value is None:
                self.value = value
            return self.value
        turn = 2 * math.pi * dt_s
        slow = turn * self._smooth.derivative_hz
        self._speed += ((value - self.value) / dt_s - self._speed) * slow / (1 + slow)
        # A first-order low-pass goes 1 / (1 + tau / T) of the way in one step of T, with tau = 1 / (2 pi f).
        quick = turn * (self._smooth.cutoff_hz + self._smooth.beta * abs(self._speed))
        self.value += (value - self.value) * quick / (1 + quick)
        return self.value
