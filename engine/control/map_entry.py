"""One [[map]] of a show, checked, and the table of all of them: which address drives what.

    table = MapTable(entries)
    table.find("/sensor/3/distance")       # the entries that hear it
    table.keeps_all("/pad/1")              # whether every message counts, and not only the newest

Plain data that never changes: any process, any thread. Read by map_table.py, obeyed by mapping.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.control.one_euro import Smooth
from engine.show.address import OscPattern, is_pattern, simplified
from engine.show.params import Kind, Value

Mode = Literal["absolute", "relative", "toggle"]
TakeOver = Literal["jump", "pickup", "scale"]
Combine = Literal["latest", "max", "min", "mean", "sum", "multiply"]
Encoder = Literal["plain", "twos", "offset", "sign"]
MAX_MAPS = 512
EXP = 4.0  # how steep the curve "exp" is: e^4, a ratio of about 55 between its two ends
STEP = 0.01  # of the travel, for each click of an encoder


@dataclass(frozen=True)
class Entry:
    """What one [[map]] says. Shares are of the control's travel, 0 to 1."""

    source: str  # address or pattern
    to: str  # name of a parameter
    kind: Kind  # of that parameter
    number: int = field(default=0, compare=False)  # its place in the file, from 1
    arg: int | None = None  # which argument, from 1; None: the first, or all of them for words
    low: float = 0.0
    high: float = 1.0
    scaled: bool = False  # whether the file says what comes in, or the sense does
    out: tuple[float, float] | None = None
    curve: str | float | None = None
    invert: bool = False
    dead: float = 0.0
    smooth: Smooth | None = None
    takeover: TakeOver = "jump"
    timeout_s: float | None = None
    ease_s: float = 2.0
    combine: Combine = "latest"
    mode: Mode = "absolute"
    encoder: Encoder = "plain"
    step: float | None = None
    threshold: float | None = None
    hysteresis: float = 0.05
    send: Value | None = None  # what the parameter is set to at each press

    @property
    def rest(self) -> float:
        """The share at which a control stands when nobody touches it: where it says 0 if that is between its ends, as
        of a stick or a wheel, else its low end."""
        share = -self.low / (self.high - self.low)
        return share if 0.0 < share < 1.0 else 0.0

    @property
    def is_edge(self) -> bool:
        """Whether it waits for presses: a trigger, a switch that is toggled, a value that is sent."""
        return self.send is not None or self.kind == "trigger" or self.mode == "toggle"

    @property
    def is_words(self) -> bool:
        """Whether it passes text on."""
        return self.send is None and self.kind in ("text", "call")

    @property
    def counts_all(self) -> bool:
        """Whether every message counts, and not only the newest."""
        return self.is_edge or self.mode == "relative" or self.kind == "call"


class MapTable:
    """See the module's head."""

    def __init__(self, entries: Sequence[Entry] = ()) -> None:
        self.entries = tuple(entries)
        self.addresses: dict[str, tuple[Entry, ...]] = {}
        self._alike: dict[str, str] = {}
        self._patterns: list[tuple[str, OscPattern, OscPattern, Entry]] = []
        for entry in self.entries:
            if is_pattern(entry.source):
                start = _literal(simplified(entry.source))
                patterns = OscPattern(entry.source), OscPattern(simplified(entry.source))
                self._patterns.append((start, *patterns, entry))
            else:
                self.addresses[entry.source] = (*self.addresses.get(entry.source, ()), entry)
                self._alike.setdefault(simplified(entry.source), entry.source)

    def __bool__(self) -> bool:
        return bool(self.entries)

    def find(self, address: str) -> tuple[Entry, ...]:
        """The entries that hear an address; capitals and doubled slashes do not matter."""
        simple = simplified(address)
        exact = self.addresses.get(address) or self.addresses.get(self._alike.get(simple, ""), ())
        found = [
            entry
            for start, pattern, loose, entry in self._patterns
            if simple.startswith(start) and (pattern.matches(address) or loose.matches(simple))
        ]
        return (*exact, *found) if found else exact

    def keeps_all(self, address: str) -> bool:
        """Whether every message to an address counts, and not only the newest."""
        return any(entry.counts_all for entry in self.find(address))


def _literal(pattern: str) -> str:
    """What every address that fits a pattern begins with: a quick look before the real one."""
    return pattern[: min(pattern.find(c) for c in "?*[{" if c in pattern)]
