"""What is wrong with what was sent, told so that it is neither missed nor fills the log.

    mistakes = Mistakes()
    mistakes.start_round()                                          # once a frame
    mistakes.add(Mistake("/walk/speed", "a colour", "must be a number, got a colour"), count=3)
    mistakes.last                                                   # (sentence, when), for the overlay

Each kind of mistake at each address is logged once, at once. While it goes on, a line tells how many more
there were: after a minute, then after two, four and so on up to an hour, since a show runs for months.
Everything is bounded: a stranger who makes ever new mistakes gets MAX_LINES lines, and then one a minute.
For the thread that drains OSC; `last` may be read by any.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from engine.show.params import shown

log = logging.getLogger("pedesis.osc")

MAX_LINES = 64  # about new mistakes, in a row
REFILL_S = 60.0  # in which the right to one more line comes back
_MAX_KNOWN = 256
_MAX_NEW = 4  # a frame: a sentence with a guess at what was meant takes a while to write
_REPEAT_S, _LONGEST_S = 60.0, 3600.0
_LONGEST_LINE = 240


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong. Those of the same address and kind are told together."""

    address: str  # "" when there is none
    kind: str
    text: str  # goes on from the address
    hint: Callable[[], str] | None = None  # asked only when it is logged


@dataclass(slots=True)
class _Known:
    more: int  # since the last line about it
    hint: str = ""
    logged: bool = False
    next_s: float = 0.0
    wait_s: float = _REPEAT_S


class Mistakes:
    """See the module's head."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()
        self._lines = float(MAX_LINES)
        self._filled_s = now()
        self._many = False
        self._new = _MAX_NEW
        self._last: tuple[Mistake, _Known, float] | None = None

    @property
    def last(self) -> tuple[str, float] | None:
        """The newest mistake in a sentence, and when it was made."""
        if self._last is None:
            return None
        mistake, known, when_s = self._last
        return _sentence(mistake) + known.hint, when_s

    def start_round(self) -> None:
        """A new frame: a few new mistakes may be told again."""
        self._new = _MAX_NEW

    def add(self, mistake: Mistake, count: int = 1) -> None:
        """`count` messages with this mistake."""
        now_s = self._now()
        key = (mistake.address[:80], mistake.kind)
        known = self._known.get(key)
        if known is None:
            if self._new <= 0:
                return  # the next frame has room again
            self._new -= 1
            known = self._known[key] = _Known(count)
            if len(self._known) > _MAX_KNOWN:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
            known.more += count
        if not known.logged:
            self._tell_new(known, mistake, now_s)
        elif now_s >= known.next_s:
            self._tell_again(known, mistake, now_s)
        self._last = (mistake, known, now_s)

    def _tell_new(self, known: _Known, mistake: Mistake, now_s: float) -> None:
        self._lines = min(self._lines + (now_s - self._filled_s) / REFILL_S, MAX_LINES)
        self._filled_s = now_s
        if self._lines < 1:
            if not self._many:
                log.warning("OSC: many different mistakes; from here on most are only counted")
                self._many = True
            return
        self._lines -= 1
        self._many = self._many and self._lines < MAX_LINES / 2
        known.hint = mistake.hint() if mistake.hint else ""
        known.logged, known.more, known.next_s = True, known.more - 1, now_s + known.wait_s
        log.warning("OSC %s%s", _sentence(mistake), known.hint)

    def _tell_again(self, known: _Known, mistake: Mistake, now_s: float) -> None:
        log.warning("OSC %s%s (%s more like this)", _sentence(mistake), known.hint, f"{known.more:,}")
        known.wait_s = min(2 * known.wait_s, _LONGEST_S)
        known.more, known.next_s = 0, now_s + known.wait_s


def _sentence(mistake: Mistake) -> str:
    address = mistake.address[:80]
    if not address:
        return mistake.text[:_LONGEST_LINE]
    plain = address.isprintable() and " " not in address
    return f"{address if plain else shown(address, 80)} {mistake.text}"[:_LONGEST_LINE]
