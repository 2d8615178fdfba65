"""Learning: choose a parameter, move a control, and the control is bound with the range it went through.

    learner = Learner(show.registry, mapper.table)
    mapper.tap = learner.hear                # everything that arrives, mapped or not; None when done
    learner.next(); learner.lines()          # for the overlay or a terminal
    binding = learner.bind()                 # None, and learner.said tells why, when nothing has moved
    mapper.use(learner.table)                # at once; learn_file.py writes it to the show

Which control is meant: the one that moves now and did not before, so that a sensor that always trembles does not win
against a fader. Nothing here makes a picture, so it goes by real time. One thread.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.control.edges import number_of
from engine.control.heard import is_sensed, range_of
from engine.control.map_entry import Entry, MapTable
from engine.control.map_table import read_table
from engine.control.resolve import Resolver
from engine.show.params import Param, Registry

MAX_SEEN = 256  # controls that are told apart
MAX_ARGUMENTS = 8
_FORGET_S = 1.0  # time constant in which a movement counts as present
_EARLY_S = 1.0  # a control that moves right at the start is no trembler yet
_MOVED = 0.15
_CALM = 4.0  # changes of direction a second that a hand makes; what makes more trembles
_STAYS_S = 10.0  # time constant in which it is forgotten how clearly a control was meant
_MOST_VALUES = 16  # that are remembered of one control
_USUAL = ((0, 1), (-1, 1), (0, 127), (0, 100), (0, 255), (0, 360), (-180, 180), (0, 1023), (0, 4095), (0, 16383))
_NEARLY = 0.06  # of the range: as far as a hand stays away from the ends


@dataclass
class Seen:
    """One control: an address, and which of its values."""

    address: str
    place: int  # from 1
    of: int  # how many values its messages have
    value: float
    low: float  # since the parameter was chosen
    high: float
    low_ever: float
    high_ever: float
    last_s: float
    activity: float = 0.5  # how much it has moved lately, in whole travels
    total: float = 0.0  # since it was first seen
    turns: float = 0.0  # changes of direction lately
    rising: bool | None = None
    values: list[float] = field(default_factory=list)  # different ones, in the order in which they came
    held_s: float = math.inf  # the shortest time it stayed away from 0

    @property
    def label(self) -> str:
        return f"{self.address} value {self.place}" if self.of > 1 else self.address

    def take(self, value: float, now_s: float) -> None:
        self.low_ever, self.high_ever = min(self.low_ever, value), max(self.high_ever, value)
        span = self.high_ever - self.low_ever
        # The same value again is a click of an encoder.
        moved = abs(value - self.value) / span if value != self.value else 0.1
        self.turns *= math.exp((self.last_s - now_s) / _FORGET_S)
        if value != self.value:
            self.turns += self.rising is not None and self.rising != (value > self.value)
            self.rising = value > self.value
        self.activity = self.present(now_s) + moved
        self.total += moved
        if self.value > 0 and value <= 0:
            self.held_s = min(self.held_s, now_s - self.last_s)
        self.value, self.last_s = value, now_s
        self.low, self.high = min(self.low, value), max(self.high, value)
        if value not in self.values and len(self.values) < _MOST_VALUES:
            self.values.append(value)

    def present(self, now_s: float) -> float:
        return self.activity * math.exp((self.last_s - now_s) / _FORGET_S)

    def start_over(self) -> None:
        """What follows is for another parameter."""
        self.low = self.high = self.value
        self.values, self.held_s = [self.value], math.inf


class Learner:
    """See the module's head."""

    def __init__(
        self, registry: Registry, table: MapTable | None = None, now: Callable[[], float] = time.perf_counter
    ) -> None:
        self.table = table or MapTable()
        self.said = ""  # what came of the last step, in a sentence
        self._registry, self._now = registry, now
        self._resolver = Resolver(registry)
        self._params = [p for p in registry.values() if p.live and p.kind not in ("text", "call")]
        self._place = 0
        self._seen: OrderedDict[tuple[str, int], Seen] = OrderedDict()
        self._begun_s = now()
        self._moving: Seen | None = None
        self._score = 0.0  # how clearly that one is meant, when it was last weighed
        self._weighed_s = now()

    @property
    def param(self) -> Param:
        """The one that is chosen."""
        return self._params[self._place]

    @property
    def names(self) -> list[str]:
        """The parameters that can be chosen, in order."""
        return [param.name for param in self._params]

    @property
    def moving(self) -> Seen | None:
        """The control that would be bound."""
        return self._moving

    @property
    def bound(self) -> list[Entry]:
        """What moves the chosen parameter already."""
        return [entry for entry in self.table.entries if entry.to == self.param.name]

    def hear(self, address: str, arguments: Sequence[object]) -> None:
        """One message, of whatever kind."""
        if not is_sensed(address) and self._resolver.find(address) is not None:
            return  # it moves a parameter as it is
        now_s = self._now()
        for place, argument in enumerate(arguments[:MAX_ARGUMENTS], 1):
            value = None if isinstance(argument, str) else number_of(argument)
            if value is None:
                continue
            seen = self._seen.get((address, place))
            if seen is None:
                of = len(arguments)
                seen = Seen(address, place, of, value, value, value, value, value, now_s, values=[value])
                self._seen[address, place] = seen
                if len(self._seen) > MAX_SEEN:
                    self._seen.popitem(last=False)
            else:
                seen.take(value, now_s)
            self._weigh(seen, now_s)

    def next(self) -> None:
        """On to the next parameter."""
        self._choose(self._place + 1)

    def previous(self) -> None:
        """Back to the one before."""
        self._choose(self._place - 1)

    def choose(self, name: str) -> None:
        """A parameter by its name. Raises ValueError for one that cannot be learnt."""
        if name not in self.names:
            raise ValueError(f"{name} cannot be moved by a control")
        self._choose(self.names.index(name))

    def other(self) -> None:
        """Another control than the one that seems to be meant: the next of those that have moved."""
        seen = sorted(self._seen.values(), key=lambda each: -each.present(self._now()))
        if seen:
            place = seen.index(self._moving) + 1 if self._moving in seen else 0
            self._moving = seen[place % len(seen)]

    def bind(self) -> list[dict[str, Any]] | None:
        """Binds the control to the parameter, in place of what moved it before; as [[map]] has it. None where nothing
        has moved: `said` tells."""
        seen, param = self._moving, self.param
        if seen is None:
            self.said = "no control has moved yet"
            return None
        content = entry_of(seen, param)
        if content is None:
            self.said = f"move {seen.label} a little further: it has sent nothing but {seen.value:g}"
            return None
        problems: list[str] = []

        def report(key: str, must_be: str, got: str, nearest: str | None = None) -> None:
            problems.append(f"{key.removeprefix('[[map]] 1 ')} must be {must_be}, got {got}")

        new = read_table([content], self._registry, report).entries
        if problems:
            self.said = f"{seen.label} cannot be bound: {problems[0]}"
            return None
        self._replace(new)
        self.said = f"{described(new[0])} moves {param.name} now"
        for each in self._seen.values():
            each.start_over()
        self._moving, self._score = None, 0.0
        return [content]

    def clear(self) -> None:
        """Nothing moves the chosen parameter any longer."""
        had = len(self.bound)
        self._replace(())
        self.said = f"nothing moves {self.param.name} now" if had else f"nothing moved {self.param.name}"

    def lines(self, value: object = None) -> list[str]:
        """What to show: the parameter, the control that moves, what is bound. value: the parameter's present one."""
        param = self.param
        now = f", now {value:.3g}" if isinstance(value, float) else "" if value is None else f", now {value}"
        seen = self._moving
        control = "  move a control"
        if seen:
            control = f"  {seen.label}: {seen.value:.4g}, went from {seen.low:.4g} to {seen.high:.4g}"
        lines = [
            "LEARN   UP DOWN choose   TAB another control   ENTER bind   X clear   L leave",
            f"{param.name}  ({self._place + 1} of {len(self._params)}): {param.allowed}{now}",
            f"  moved by: {'; '.join(map(described, self.bound)) or 'nothing yet'}",
            control,
        ]
        return [*lines, f"  {self.said}"] if self.said else lines

    def _choose(self, place: int) -> None:
        self._place = place % len(self._params)
        self.said, self._moving, self._score = "", None, 0.0
        for seen in self._seen.values():
            seen.start_over()

    def _weigh(self, seen: Seen, now_s: float) -> None:
        """Whether this control is the one that is meant: it moves more than it always does and does not tremble, and as
        clearly as the one before it did."""
        always = seen.total / (now_s - self._begun_s + _EARLY_S) * _FORGET_S
        trembles = 1 + max(seen.turns - _CALM, 0.0)
        score = (seen.present(now_s) - always) / trembles
        before = self._score * math.exp((self._weighed_s - now_s) / _STAYS_S)
        if seen is self._moving:
            score = max(score, before / trembles)
        elif score <= max(_MOVED, before / 2):
            return
        self._moving, self._score, self._weighed_s = seen, score, now_s

    def _replace(self, new: Sequence[Entry]) -> None:
        others = [entry for entry in self.table.entries if entry.to != self.param.name]
        self.table = MapTable([*others, *new])


def entry_of(seen: Seen, param: Param) -> dict[str, Any] | None:
    """The [[map]] that binds a control to a parameter; None while too little of it was seen."""
    entry: dict[str, Any] = {"from": seen.address, "to": param.name}
    if seen.of > 1:
        entry["arg"] = seen.place
    encoder = encoder_of(seen.values)
    if encoder and param.kind != "trigger":
        return entry | {"mode": "relative", "encoder": encoder}
    low, high = usual(seen.low, seen.high)
    if low == high:
        if param.kind != "trigger" and not (param.kind == "switch" and high > 0):
            return None
        low = 0.0  # a pad that has only been pressed
        if high <= 0:
            return None
    if (low, high) != (range_of(seen.address) or (0.0, 1.0)) or param.kind == "choice":
        entry["in"] = [low, high]
    is_button = len(seen.values) <= 2
    if param.kind == "trigger" and not is_button:
        entry["threshold"] = 0.5
    if param.kind == "switch" and is_button and (len(seen.values) < 2 or seen.held_s < 0.6):
        entry["mode"] = "toggle"  # it springs back by itself
    return entry


def encoder_of(values: Sequence[float]) -> str | None:
    """How an encoder without ends counts, if these are the values of one that was turned both ways; see clicks_of."""
    there = set(values)
    if len(there) < 2 or 0 in there or not all(float(v).is_integer() for v in there):
        return None
    low, high = min(there), max(there)
    if low < 0 < high and high <= 3 and low >= -3:
        return "plain"
    if low >= 1 and high <= 127:
        if all(v <= 8 or v >= 120 for v in there) and low <= 8 and high >= 120:
            return "twos"
        if all(v <= 8 or 65 <= v <= 72 for v in there) and low <= 8 and high >= 65:
            return "sign"
        if all(58 <= v <= 70 and v != 64 for v in there) and low < 64 < high:
            return "offset"
    return None


def usual(low: float, high: float) -> tuple[float, float]:
    """The usual range that somebody went through from end to end, or nearly; else just what was seen."""
    for first, last in _USUAL:
        near = (last - first) * _NEARLY
        if first <= low <= first + near and last - near <= high <= last and low < high:
            return float(first), float(last)
    return float(f"{low:.4g}"), float(f"{high:.4g}")


def described(entry: Entry) -> str:
    """A mapping in a few words."""
    which = f" value {entry.arg}" if entry.arg else ""
    if entry.mode == "relative":
        return f"{entry.source}{which}, an encoder ({entry.encoder})"
    return f"{entry.source}{which}, {entry.low:g} to {entry.high:g}" + (", flipping" if entry.mode == "toggle" else "")
