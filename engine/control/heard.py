"""What senses say, MIDI and sound, and the queue between a device's thread and whoever listens.

    queue = HeardQueue(); queue.put("midi:cc/1/74", 101); queue.take()      # [("midi:cc/1/74", (101,))]
    range_of("midi:bend/1"), mistake_in("midi:cc/17/3")

A sense speaks in addresses, as an OSC sender does, so that one table maps them all:

    midi:cc/CHANNEL/NUMBER        0 to 127          midi:pressure/CHANNEL          0 to 127
    midi:cc14/CHANNEL/NUMBER      0 to 16383        midi:pressure/CHANNEL/NOTE     0 to 127
    midi:nrpn/CHANNEL/NUMBER      0 to 16383        midi:program/CHANNEL           0 to 127
    midi:note/CHANNEL/NUMBER      velocity, 0 when released          midi:bend/CHANNEL     -1 to 1
    midi:beat                     1 on every quarter note of the clock, 0 after its first half
    midi:clock                    clock pulses since the start, 24 a quarter note
    midi:start, midi:continue, midi:stop      1 each time
    sound:level, sound:low, sound:mid, sound:high    0 to 1
    sound:onset                   1 when a sound begins, 0 shortly after

Of what moves continuously only the newest value is kept; what happens (notes, onsets, beats) is kept in order. The
queue may be filled by one thread and emptied by another.
"""

import re
import threading
from collections import deque
from collections.abc import Iterable

from engine.show.address import OscPattern, is_pattern

Heard = tuple[str, tuple[float, ...]]  # address, arguments

MAX_EVENTS = 512  # notes and the like between two takes
MAX_VALUES = 4096  # different addresses between two takes
_EVENTS = ("midi:note/", "midi:program/", "midi:beat", "midi:start", "midi:continue", "midi:stop", "sound:onset")
_PLAIN = {
    "midi:clock": None,
    "midi:beat": (0.0, 1.0),
    "midi:start": (0.0, 1.0),
    "midi:continue": (0.0, 1.0),
    "midi:stop": (0.0, 1.0),
    "sound:level": (0.0, 1.0),
    "sound:low": (0.0, 1.0),
    "sound:mid": (0.0, 1.0),
    "sound:high": (0.0, 1.0),
    "sound:onset": (0.0, 1.0),
}
_MIDI = {  # range of the values; highest number after the channel, or None where there is no number
    "cc": (0.0, 127.0, 127),
    "cc14": (0.0, 16383.0, 31),
    "nrpn": (0.0, 16383.0, 16383),
    "note": (0.0, 127.0, 127),
    "bend": (-1.0, 1.0, None),
    "pressure": (0.0, 127.0, 127),
    "program": (0.0, 127.0, None),
}
SENSES = ("midi", "sound")


def is_sensed(address: str) -> bool:
    """Whether an address or pattern is a sense's and not OSC's."""
    return address.startswith(tuple(f"{sense}:" for sense in SENSES))


def range_of(address: str) -> tuple[float, float] | None:
    """The lowest and highest value that comes from there; None for what has no ends or is not known."""
    if address in _PLAIN:
        return _PLAIN[address]
    kind = address.removeprefix("midi:").partition("/")[0]
    return _MIDI[kind][:2] if address.startswith("midi:") and kind in _MIDI else None


def mistake_in(address: str) -> tuple[str, str] | None:
    """What a sense's address must be, and what it is, in words; None when it is a good one. `*` and the like may
    stand for a channel or a number."""
    if address in _PLAIN:
        return None
    if address.startswith("sound:"):
        if is_pattern(address) and any(OscPattern(address).matches(known) for known in _PLAIN):
            return None
        return "one of " + ", ".join(a for a in _PLAIN if a.startswith("sound:")), repr(address)
    kind, *places = address.removeprefix("midi:").split("/")
    if kind not in _MIDI:
        plain = [a.removeprefix("midi:") for a in _PLAIN if a.startswith("midi:")]
        return "midi: and one of " + ", ".join([*_MIDI, *plain]), repr(address)
    highest = _MIDI[kind][2]
    if len(places) != (1 if highest is None else 2) and not (kind == "pressure" and len(places) == 1):
        return f"midi:{kind}/CHANNEL" + ("" if highest is None else "/NUMBER"), repr(address)
    for what, place, low, high in zip(("channel", "number"), places, (1, 0), (16, highest or 0), strict=False):
        if not is_pattern(place) and not (re.fullmatch(r"\d{1,5}", place) and low <= int(place) <= high):
            return f"midi:{kind}/… with a {what} from {low} to {high}", repr(place)
    return None


class HeardQueue:
    """See the module's head. What is full drops its oldest and counts it in `dropped`."""

    def __init__(self) -> None:
        self.dropped = 0
        self.came = threading.Event()  # set while something waits
        self._lock = threading.Lock()
        self._order = 0
        self._newest: dict[str, tuple[int, tuple[float, ...]]] = {}
        self._events: deque[tuple[int, str, tuple[float, ...]]] = deque()

    def put(self, address: str, *arguments: float) -> None:
        """One thing that was heard."""
        self.put_all([(address, arguments)])

    def put_all(self, heard: Iterable[Heard]) -> None:
        """Several, in order and together: no take comes between them."""
        with self._lock:
            for address, arguments in heard:
                self._order += 1
                if address.startswith(_EVENTS):
                    self._events.append((self._order, address, arguments))
                    if len(self._events) > MAX_EVENTS:
                        self._events.popleft()
                        self.dropped += 1
                else:
                    self._newest[address] = (self._order, arguments)
                    if len(self._newest) > MAX_VALUES:
                        del self._newest[next(iter(self._newest))]
                        self.dropped += 1
            if self._order:
                self.came.set()

    def take(self) -> list[Heard]:
        """Everything that waits, oldest first; the queue is empty then. Never waits for more than a `put`."""
        if not self.came.is_set():
            return []
        with self._lock:
            values = [(order, address, arguments) for address, (order, arguments) in self._newest.items()]
            waiting = sorted([*values, *self._events])
            self._newest, self._events = {}, deque()
            self.came.clear()
        return [(address, arguments) for _, address, arguments in waiting]
