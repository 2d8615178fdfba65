"""How a control's travel becomes a parameter's: in, dead zone, inversion, curve, out.

    shape = Shape(entry, param)
    share = shape.share_in(64)         # of the control's travel, 0 to 1
    shape.value(share)                 # of the parameter
    shape.share_of(0.3)                # and back, for take-over

Plain numbers, any thread.
"""

import math
from collections.abc import Callable

from engine.control.map_entry import EXP, Entry
from engine.show.params import Param


class Shape:
    """See the module's head. For parameters that are numbers, and for the strength of triggers."""

    def __init__(self, entry: Entry, param: Param) -> None:
        self._low, self._span = entry.low, entry.high - entry.low
        self._invert = entry.invert
        self._dead = entry.dead
        self._rest = entry.rest
        low, high = (
            (param.at(0.0), param.at(1.0)) if entry.out is None and param.is_bounded else entry.out or (0.0, 1.0)
        )
        self._out, self._out_span = low, high - low
        self._param, self._own = param, entry.curve is None and param.is_bounded
        self._ends = (param.share(low), param.share(high)) if self._own else (0.0, 1.0)
        self._bend, self._unbend = _curve(entry.curve, low, high)

    def share_in(self, value: float) -> float:
        """Where on the control's travel a value stands, 0 to 1, the dead zone and inversion done."""
        share = (value - self._low) / self._span
        share = 0.0 if share < 0.0 else 1.0 if share > 1.0 else share
        if self._dead:
            share = self._awake(share)
        return 1.0 - share if self._invert else share

    def value(self, share: float) -> float:
        """The parameter's value at a share of the travel; within its range."""
        if self._own:
            first, last = self._ends
            return self._param.at(first + (last - first) * share)
        return self._param.clamped(self._out + self._out_span * self._bend(share))

    def share_of(self, value: float) -> float:
        """The share of the travel at which a value stands; of one beyond the travel the nearer end."""
        if self._own:
            first, last = self._ends
            share = (self._param.share(value) - first) / (last - first) if last != first else 0.0
        else:
            share = (value - self._out) / self._out_span if self._out_span else 0.0
        share = min(max(share, 0.0), 1.0)
        return share if self._own else self._unbend(share)

    def _awake(self, share: float) -> float:
        """What is left of a share outside the dead zone, spread over the whole travel so that nothing jumps."""
        away = share - self._rest
        side = 1.0 - self._rest if away > 0 else self._rest
        if abs(away) <= self._dead:
            return self._rest
        return self._rest + math.copysign((abs(away) - self._dead) / (side - self._dead) * side, away)


def _curve(
    curve: str | float | None, low: float, high: float
) -> tuple[Callable[[float], float], Callable[[float], float]]:
    """How a share is bent before it is spread from low to high, and the other way round."""
    if curve == "square":
        curve = 2.0
    if isinstance(curve, int | float):
        power = float(curve)
        return (lambda share: share**power), (lambda share: share ** (1 / power))
    if curve == "exp" or (curve == "log" and low != high):
        # exp: e^(k x) - 1 over e^k - 1. log, by equal ratios, is the same with k = ln(high / low).
        k = EXP if curve == "exp" else math.log(high / low)
        whole = math.expm1(k)
        return (lambda share: math.expm1(k * share) / whole), (lambda share: math.log1p(share * whole) / k)
    return (lambda share: share), (lambda share: share)
