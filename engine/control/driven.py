"""A parameter that is driven by controls: smoothed, taken over, combined, left alone when they fall silent.

    driven = Driven(param, own); stream = driven.stream(entry, address)
    driven.heard(stream, stream.shape.share_in(0.7), now_s)
    value = driven.step(now_s, dt_s, target)         # once a frame while is_busy; None: nothing to set

    turned = Turned(entry, param); turned.turn(127, target)       # an encoder without ends

Times are of the show, in seconds, counted in ticks. The thread that runs the show's loop.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, field

from engine.control.map_entry import STEP, Entry
from engine.control.one_euro import OneEuro
from engine.control.shape import Shape
from engine.show.params import Param, Value

NEAR = 0.02  # of the travel: as good as met, for take-over
SETTLED = 1e-4  # of the travel: a filter that is this near has arrived
STICKY = 0.1  # of one step: how far a whole number or a choice must be passed before it changes
MOST_CLICKS = 127


@dataclass(eq=False)
class Stream:
    """One address, as one entry hears it."""

    entry: Entry
    address: str
    shape: Shape
    filter: OneEuro | None
    share: float = 0.0  # of its travel, as last heard
    smooth: float = 0.0  # the same, smoothed
    heard_s: float = -math.inf
    is_new: bool = False
    silent: bool = True  # never heard, or timed out
    before: float | None = None  # smoothed share at the step before, for take-over
    holds: bool = False  # has taken over
    on: bool | None = None  # of a switch


@dataclass
class _Ease:
    """The way from where a parameter was to where it is without those that fell silent."""

    start: float
    begun_s: float
    length_s: float


@dataclass(eq=False)
class Driven:
    """One parameter."""

    param: Param
    own: Value  # where the show says
    streams: list[Stream] = field(default_factory=list)
    latest: Stream | None = None  # the one that was heard last
    is_busy: bool = False
    _sent: Value | None = None
    _ease: _Ease | None = None
    _came_back: bool = False  # whether a silent stream was heard again
    _timed: bool = False  # whether any stream has a time-out

    def stream(self, entry: Entry, address: str) -> Stream:
        """The stream of an address for an entry; the same as before if there is one."""
        for stream in self.streams:
            if stream.address == address and stream.entry == entry:
                return stream
        stream = Stream(entry, address, Shape(entry, self.param), OneEuro(entry.smooth) if entry.smooth else None)
        self.streams.append(stream)
        self._timed = self._timed or entry.timeout_s is not None
        return stream

    def keep(self, entries: Collection[Entry]) -> bool:
        """Lets go of the streams whose entry is not among these; whether any is left."""
        self.streams = [stream for stream in self.streams if stream.entry in entries]
        return bool(self.streams)

    def forget(self, address: str) -> None:
        """Lets go of an address."""
        self.streams = [stream for stream in self.streams if stream.address != address]

    def heard(self, stream: Stream, share: float, now_s: float) -> None:
        """One share of the travel of one stream; of several between two steps the last counts."""
        stream.share, stream.heard_s, stream.is_new = share, now_s, True
        if stream.silent:
            stream.silent, self._came_back = False, True
        self.is_busy = True
        self.latest = stream

    def step(self, now_s: float, dt_s: float, target: Value) -> Value | None:
        """One frame. dt_s: show time since the last. target: where the parameter is going now. What it is to be set to;
        None when nothing has to be."""
        moving = self._smooth(dt_s)
        fresh = False
        for stream in self.streams:
            if stream.is_new:
                fresh, stream.is_new = True, False
        left = self._let_go(now_s)
        if self._came_back or target != self._sent:
            self._ease = None
        if target != self._sent:
            left = None  # it never took over, or a hand has moved the parameter meanwhile: there it stays
        if left is not None and self._numeric:
            self._ease = _Ease(float(target), now_s, left)
        value = self._value(target, fresh, moving or left is not None or self._ease is not None)
        if self._ease is not None and value is not None:
            value = self._eased(value, now_s)
        self._came_back = False
        waiting = self._timed and any(s.entry.timeout_s is not None and not s.silent for s in self.streams)
        self.is_busy = moving or waiting or self._ease is not None
        if value is None or (value == target and value == self._sent):
            return None
        self._sent = value
        return None if value == target else value

    @property
    def _numeric(self) -> bool:
        return self.param.kind in ("number", "integer")

    def _smooth(self, dt_s: float) -> bool:
        """Lets the filters go on; whether any has moved."""
        moving = False
        for stream in self.streams:
            if stream.filter is None:
                stream.smooth = stream.share
            elif stream.is_new or stream.smooth != stream.share:
                stream.smooth = stream.filter.step(stream.share, dt_s)
                if abs(stream.smooth - stream.share) < SETTLED:
                    stream.smooth = stream.filter.value = stream.share
                moving = True
        return moving

    def _let_go(self, now_s: float) -> float | None:
        """Leaves out those that have been silent for too long; how long the ease back takes, if any has gone now."""
        if not self._timed:
            return None
        gone = None
        for stream in self.streams:
            timeout_s = stream.entry.timeout_s
            if timeout_s is not None and not stream.silent and now_s - stream.heard_s > timeout_s:
                stream.silent, stream.before, stream.on = True, None, None
                gone = max(gone or 0.0, stream.entry.ease_s)
        return gone

    def _value(self, target: Value, fresh: bool, moving: bool) -> Value | None:
        if not (fresh or moving):
            return None
        heard = [stream for stream in self.streams if not stream.silent]
        if not heard:
            return self.own
        latest = self.latest
        if latest is None or latest.silent or latest not in heard:
            latest = max(heard, key=lambda stream: stream.heard_s)
        if self.param.kind == "switch":
            was = latest.on
            on = _switched(latest)
            return on if on != was else None  # what a hand did meanwhile stays until the control changes its mind
        if self.param.kind == "choice":
            return self.param.choices[_nearest_place(latest.smooth, self.param.choices, target)]
        combine = latest.entry.combine
        if combine == "latest":
            value = self._latest(latest, target)
            if value is None:
                return None
        else:
            value = combined(combine, [stream.shape.value(stream.smooth) for stream in heard])
        value = self.param.clamped(value)
        return value if self.param.kind == "number" else _whole(value, target)

    def _latest(self, stream: Stream, target: Value) -> float | None:
        """The value of one stream, when it has taken over; on its way to that, what `scale` makes of it."""
        share, before = stream.smooth, stream.before
        stream.before = share
        if stream.entry.takeover == "jump":
            return stream.shape.value(share)
        if self._sent is None or target != self._sent:
            stream.holds = False
        there = stream.shape.share_of(float(target))
        if not stream.holds:
            crossed = before is not None and (before - there) * (share - there) <= 0
            stream.holds = crossed or abs(share - there) <= NEAR
        if stream.holds:
            return stream.shape.value(share)
        if stream.entry.takeover == "pickup" or before is None:
            return None
        # Both reach the end of their travel together, whichever way the control goes.
        left, room = (1 - before, 1 - there) if share > before else (before, there)
        moved = there + (share - before) * (room / left if left > 0 else 0.0)
        value = stream.shape.value(min(max(moved, 0.0), 1.0))
        self._sent = value
        return value

    def _eased(self, value: Value, now_s: float) -> Value:
        """The value itself once the way there is over."""
        ease = self._ease
        assert ease is not None
        part = min((now_s - ease.begun_s) / ease.length_s, 1.0) if ease.length_s > 0 else 1.0
        if part >= 1.0:
            self._ease = None
            return value
        part = part * part * (3 - 2 * part)
        if self.param.curve == "log":
            between = ease.start * (float(value) / ease.start) ** part
        else:
            between = ease.start + (float(value) - ease.start) * part
        return self.param.clamped(between) if self.param.kind == "number" else round(between)


class Turned:
    """An encoder: it has no ends, and says how far it was turned."""

    def __init__(self, entry: Entry, param: Param) -> None:
        self._entry, self._param = entry, param
        self._shape = Shape(entry, param) if param.kind in ("number", "integer") else None
        self._sent: Value | None = None
        self._share = 0.0
        self._part = 0.0  # of a whole step that is still to come

    def turn(self, value: float, target: Value) -> Value | None:
        """What the parameter is to be set to. target: where it is going now."""
        clicks = clicks_of(self._entry.encoder, value)
        if not clicks:
            return None
        kind, step = self._param.kind, self._entry.step
        if kind == "switch":
            return clicks > 0 if step is None or step > 0 else clicks < 0
        if kind == "number":
            assert self._shape is not None
            if target != self._sent:
                self._share = self._shape.share_of(float(target))
            self._share = min(max(self._share + clicks * (STEP if step is None else step), 0.0), 1.0)
            self._sent = self._shape.value(self._share)
            return self._sent
        self._part += clicks * (1.0 if step is None else step)
        whole = math.trunc(self._part)
        self._part -= whole
        if kind == "choice":
            choices = self._param.choices
            place = choices.index(str(target)) + whole if target in choices else 0
            return choices[min(max(place, 0), len(choices) - 1)]
        low, high = sorted(self._entry.out or (-math.inf, math.inf))
        return round(self._param.clamped(min(max(int(target) + whole, low), high)))


def clicks_of(encoder: str, value: float) -> float:
    """How far an encoder was turned, in clicks, by what it sent. One back is 127 in two's complement of seven bits, 63
    in offset binary (64 is none), 65 in sign and magnitude."""
    if encoder == "twos":
        value = value - 128 if value >= 64 else value
    elif encoder == "offset":
        value = value - 64
    elif encoder == "sign":
        value = 64 - value if value >= 64 else value
    return min(max(value, -MOST_CLICKS), MOST_CLICKS)


def combined(how: str, values: list[float]) -> float:
    """Several values made into one."""
    if how == "max":
        return max(values)
    if how == "min":
        return min(values)
    if how == "multiply":
        return math.prod(values)
    return sum(values) / (len(values) if how == "mean" else 1)


def _switched(stream: Stream) -> bool:
    """On at the threshold, off only well below it."""
    threshold = 0.5 if stream.entry.threshold is None else stream.entry.threshold
    if stream.on:
        stream.on = stream.smooth >= threshold - stream.entry.hysteresis and (threshold > 0 or stream.smooth > 0)
    else:
        stream.on = stream.smooth >= threshold and stream.smooth > 0
    return stream.on


def _nearest_place(share: float, choices: tuple[str, ...], target: Value) -> int:
    """Which of the choices: the travel in equal parts, and the present one is kept until it is clearly left."""
    place = share * len(choices)
    if target in choices:
        now = choices.index(str(target))
        if now - STICKY <= place <= now + 1 + STICKY:
            return now
    return min(int(place), len(choices) - 1)


def _whole(value: float, target: Value) -> int:
    """The nearest whole number; the present one is kept until it is clearly left."""
    return int(target) if abs(value - int(target)) <= 0.5 + STICKY else round(value)
