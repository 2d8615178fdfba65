"""Presses: when a control goes from not touched to touched.

    press = Press(); press.hear(0.8, now_s)              # True once, until it is let go
    edge = Edge(entry, param); edge.hear(101, now_s)     # what to set: [0.8], and [0.0] at its end

The thread that runs the show's loop.
"""

import math

from engine.control.controls import REPEAT_S
from engine.control.map_entry import Entry
from engine.control.shape import Shape
from engine.show.params import Param, Value


class Press:
    """A button. One that only ever says that it is pressed is pressed again when it was silent for REPEAT_S."""

    def __init__(self, threshold: float = 0.0, hysteresis: float = 0.0) -> None:
        """threshold: the strength from which on it counts as pressed; 0: any that is more than nothing. hysteresis: by
        how much it must fall below before it counts as let go."""
        self.down = False
        self._on, self._off = threshold, max(threshold - hysteresis, 0.0)
        self._heard_s = -math.inf

    def hear(self, strength: float, now_s: float) -> bool:
        """Whether a press begins with this."""
        silent = now_s - self._heard_s > REPEAT_S
        self._heard_s = now_s
        if self.down and (strength < self._off or strength <= 0.0):
            self.down = False
            return False
        if strength <= 0.0 or strength < self._on or (self.down and not silent):
            return False
        self.down = True
        return True


class Edge:
    """What one entry makes of the presses of one address."""

    def __init__(self, entry: Entry, param: Param) -> None:
        self._press = Press(entry.threshold or 0.0, entry.hysteresis if entry.threshold else 0.0)
        self._shape = Shape(entry, param)
        self._entry = entry

    def hear(self, value: float | None, now_s: float) -> list[Value]:
        """What the parameter is to be set to, in order. value: None for a bang, which is let go at once."""
        was = self._press.down
        share = 1.0 if value is None else self._shape.share_in(value)
        begins = self._press.hear(share, now_s)
        said: list[Value] = []
        if begins:
            said.append(self._said(share))
        if value is None:
            self._press.down = False
        ends = (was or begins) and not self._press.down
        if ends and self._entry.kind == "trigger" and self._entry.send is None:
            said.append(0.0)
        return said

    def _said(self, share: float) -> Value:
        if self._entry.send is not None:
            return self._entry.send
        return self._shape.value(share) if self._entry.kind == "trigger" else True


def number_of(value: object) -> float | None:
    """A finite number that was sent, also as true, false, or text; None for anything else."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an int beyond float
        return None
