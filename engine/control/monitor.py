"""What arrives, address by address: how often, the last values, the range seen, and what it drives.

    monitor = Monitor(show.registry)
    monitor.packet(received, now_s); monitor.heard("midi:cc/1/74", (101,), now_s)
    for row in monitor.rows(now_s): ...

For `pedesis osc monitor`, which shows it. Bounded: of more than MAX_ROWS addresses the one that has been silent for
longest is forgotten. One thread.
"""

import math
import re
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from engine.control.heard import is_sensed
from engine.control.message import BUNDLE, address_of, decode, describe, is_slashless, split_bundle
from engine.control.resolve import Resolver
from engine.show.params import Registry, Value, did_you_mean, shown

MAX_ROWS = 256
MAX_ARGUMENTS = 4  # of one message, that are shown
RATE_S = 2.0  # the time over which a rate is counted
_LONGEST = 60  # characters of an address


@dataclass(frozen=True)
class Drives:
    """What an address does. `known` is False where nothing is reached."""

    text: str
    known: bool
    value: Value | None = None  # what the parameter becomes
    share: float | None = None  # that value's place in the parameter's range, 0 to 1


@dataclass
class Row:
    """One address."""

    address: str
    count: int = 0
    arguments: tuple[object, ...] = ()
    lows: list[float] = field(default_factory=list)  # of each argument; NaN of what is no number
    highs: list[float] = field(default_factory=list)
    last_s: float = 0.0
    rate_hz: float = 0.0
    drives: Drives = Drives("", False)
    times: deque[tuple[float, int]] = field(default_factory=deque)  # when, and the count by then

    def take(self, arguments: Sequence[object], now_s: float) -> None:
        self.count += 1
        self.arguments, self.last_s = tuple(arguments), now_s
        for n, argument in enumerate(arguments[:MAX_ARGUMENTS]):
            number = argument if isinstance(argument, int | float) else math.nan
            if n >= len(self.lows):
                self.lows.append(number)
                self.highs.append(number)
            elif math.isfinite(number):
                self.lows[n] = number if math.isnan(self.lows[n]) else min(self.lows[n], number)
                self.highs[n] = number if math.isnan(self.highs[n]) else max(self.highs[n], number)

    def measure(self, now_s: float) -> None:
        """Counts the rate up to now."""
        if not self.times or now_s - self.times[-1][0] >= RATE_S / 8:
            self.times.append((now_s, self.count))
        while len(self.times) > 1 and now_s - self.times[0][0] > RATE_S:
            self.times.popleft()
        begun_s, before = self.times[0]
        self.rate_hz = (self.count - before) / max(now_s - begun_s, RATE_S / 2)

    @property
    def is_odd(self) -> bool:
        """Whether this is what came that was no OSC, and why."""
        return self.address.startswith("(")

    @property
    def values(self) -> str:
        """The last arguments, as one writes them; what is no OSC has none."""
        return "" if self.is_odd else written(self.arguments)

    @property
    def seen(self) -> str:
        """The range of each argument that has one."""
        ranges = [
            f"{number(low)} to {number(high)}"
            for low, high in zip(self.lows, self.highs, strict=True)
            if low < high  # which is false of what is no number
        ]
        return ", ".join(ranges)

    @property
    def share(self) -> float | None:
        """Where the last value stands: in the parameter's range if it drives one, else in the range seen, 0 to 1."""
        if self.drives.share is not None:
            return self.drives.share
        first = self.arguments[0] if self.arguments else None
        if not isinstance(first, int | float) or not math.isfinite(first) or not self.lows[0] < self.highs[0]:
            return None
        return min(max((float(first) - self.lows[0]) / (self.highs[0] - self.lows[0]), 0.0), 1.0)


Seen = tuple[Row, tuple[object, ...]]  # an address and what one message said there


class Monitor:
    """See the module's head."""

    def __init__(self, registry: Registry, mapped: Callable[[str], Sequence[str]] = lambda address: ()) -> None:
        """mapped: the parameters that an address drives through the show's mappings."""
        self.received = 0
        self.forgotten = 0
        self._registry, self._mapped = registry, mapped
        self._resolver = Resolver(registry)
        self._nearest: dict[str, str] = {}
        self._rows: OrderedDict[str, Row] = OrderedDict()  # the longest silent first

    def packet(self, raw: bytes, now_s: float) -> list[Seen]:
        """One datagram; returns what each of its messages said, and where that stands."""
        if not raw.startswith(BUNDLE):
            return [self._message(raw, now_s)]
        messages = split_bundle(raw)
        return [self._message(m, now_s) for m in messages] if messages is not None else [self._odd(raw, now_s)]

    def heard(self, address: str, arguments: Sequence[object], now_s: float) -> Seen:
        """One message, or what a sense says."""
        self.received += 1
        address = address[:_LONGEST] if address.isprintable() else shown(address, _LONGEST)
        row = self._rows.get(address)
        if row is None:
            row = self._rows[address] = Row(address)
            row.times.append((now_s, 0))
            if len(self._rows) > MAX_ROWS:
                self._rows.popitem(last=False)
                self.forgotten += 1
        else:
            self._rows.move_to_end(address)
        row.take(arguments, now_s)
        return row, row.arguments

    def rows(self, now_s: float, most: int = MAX_ROWS) -> list[Row]:
        """The addresses in the order of the alphabet; of too many, those that spoke last."""
        chosen = list(self._rows.values())[-most:] if most > 0 else []
        for row in chosen:
            row.measure(now_s)
            row.drives = self.drives(row)
        return sorted(chosen, key=lambda row: _natural(row.address))

    @property
    def known(self) -> int:
        """How many addresses there are."""
        return len(self._rows)

    def drives(self, row: Row) -> Drives:
        """What an address does with its last arguments."""
        if row.is_odd:
            return Drives(str(row.arguments[0]), False)  # the sentence
        mapped = list(self._mapped(row.address))
        if mapped:
            return Drives(", ".join(mapped), True)
        if is_sensed(row.address):
            return Drives("nothing: no mapping uses it", False)
        params = self._resolver.reached(row.address)
        if not params:
            mistake = self._resolver.unknown(row.address)
            return Drives(f"nothing{self._near(row.address)}" if mistake.hint else mistake.text, False)
        resolved = self._resolver.resolve(row.address, row.arguments)
        more = f" and {len(params) - 1} more" if len(params) > 1 else ""
        if resolved.presses:
            return Drives(f"flips {params[0].name}{more}", True)
        if not resolved.steers:
            return Drives(f"{params[0].name} {resolved.mistakes[0].text}", False)
        name, value = resolved.steers[0]
        if name != params[0].name:
            return Drives(f"{name}{more}", True, value)
        share = None
        low, high = params[0].low, params[0].high
        if isinstance(value, float) and low is not None and high is not None and low < high:
            share = (value - low) / (high - low)
        return Drives(params[0].name + more, True, value, share)

    def _near(self, address: str) -> str:
        """The address that was meant, if it is nearly that: most of what comes is simply somebody else's."""
        if address not in self._nearest:
            if len(self._nearest) >= MAX_ROWS:
                self._nearest.clear()
            near = get_close_matches(address, list(self._resolver.kinds), 1, 0.8)
            self._nearest[address] = did_you_mean(near[0]) if near else ""
        return self._nearest[address]

    def _message(self, raw: bytes, now_s: float) -> Seen:
        if not raw.startswith(b"/") and not is_slashless(raw):
            return self._odd(raw, now_s)
        try:
            address, arguments = decode(raw)
        except ValueError as error:
            address = address_of(raw).decode("utf-8", "replace")
            return self.heard(f"({address[:_LONGEST]})", [f"damaged: {error}"], now_s)
        if not address.startswith("/") and not self._resolver.reached(address):  # a show forgives what it knows
            return self.heard(f"({address[:_LONGEST]})", [describe(raw)[1]], now_s)
        return self.heard(address, arguments, now_s)

    def _odd(self, raw: bytes, now_s: float) -> Seen:
        kind, sentence = describe(raw[:4096])
        return self.heard(f"({kind})", [sentence], now_s)


def written(arguments: Sequence[object]) -> str:
    """Arguments as one writes them, the first few."""
    said = [number(a) if isinstance(a, int | float) else shown(a, 24) for a in arguments[:MAX_ARGUMENTS]]
    return " ".join([*said, *(["…"] if len(arguments) > MAX_ARGUMENTS else [])])


def number(value: float) -> str:
    """A number in few characters that do not dance: three decimals below 100."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) or not math.isfinite(value):
        return str(value) if not isinstance(value, int) or abs(value) < 10**9 else f"{value:.3e}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}" if abs(value) < 1e6 else f"{value:.3e}"


def _natural(address: str) -> list[tuple[bool, int, str]]:
    """For sorting, so that fader10 comes after fader9."""
    parts = re.findall(r"\d{1,12}|\D", address)
    return [(not p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in parts]
