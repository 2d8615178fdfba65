"""The mailbox between the OSC socket and the show: bounded, newest wins, nothing parsed.

    inbox = Inbox(registry); inbox.put(packet); mail = inbox.take()

Filled and emptied under OscIn's lock. A message whose shape alone shows that its value will do (a finite
number for a number) takes the place of an older one for the same address. A trigger keeps its hits in
order. Everything else, being rare, is kept whole until `take`, so that a bad message never pushes a good
one out. What is full drops its oldest and counts it.
"""

import re
import struct
from collections import deque
from dataclasses import dataclass, field

from engine.show.address import MAX_LENGTH, is_pattern
from engine.show.params import Kind, Registry

MAX_MESSAGE_BYTES = 4096  # one argument is all a parameter takes
MAX_HITS = 64  # of one trigger between two drains
MAX_ODD = 512  # messages of unusual shape between two drains
_MAX_STRANGE = 4
_MAX_DEPTH = 8
_BUNDLE = b"#bundle\0"
_PRINTABLE = re.compile(rb"/[!-~]+")

# Type tag and its padding, to the length of it and the argument together.
_NUMBERS = {b"f\0\0": 7, b"i\0\0": 7, b"d\0\0": 11, b"h\0\0": 11}
_SHAPES: dict[Kind, dict[bytes, int]] = {
    "number": _NUMBERS,
    "integer": _NUMBERS,
    "choice": _NUMBERS,
    "switch": {**_NUMBERS, b"T\0\0": 3, b"F\0\0": 3},
    "text": {},
}


@dataclass(slots=True)
class Letter:
    """A message as it came, and how many it stands for."""

    order: int
    raw: bytes
    count: int = 1


@dataclass
class Mail:
    """What came between two calls of `take`."""

    letters: list[Letter] = field(default_factory=list)  # in the order they came
    unknown: int = 0
    malformed: int = 0
    dropped: int = 0
    strange: list[bytes] = field(default_factory=list)  # a few of the refused, to be told about


class Inbox:
    """See the module's head."""

    def __init__(self, registry: Registry) -> None:
        live = [p for p in registry.values() if p.live]
        self._shapes = {_head(p.address): _SHAPES[p.kind] for p in live if p.kind != "trigger"}
        self._triggers = {_head(p.address) for p in live if p.kind == "trigger"}
        self._known = {p.address.encode() for p in live}
        self._order = 0
        self._newest: dict[bytes, Letter] = {}
        self._hits: dict[bytes, deque[Letter]] = {}
        self._odd: dict[bytes, Letter] = {}
        self._mail = Mail()
        self._told: set[bytes] = set()

    def put(self, packet: bytes) -> int:
        """One datagram. Returns how much work it was, in messages."""
        if not packet.startswith(_BUNDLE):
            self._put_message(packet)
            return 1
        messages = split_bundle(packet)
        if messages is None:
            self._refuse_malformed(packet)
            return 1
        for message in messages:
            self._put_message(message)
        return 1 + len(messages)

    def take(self) -> Mail:
        """All mail, in the order it came, and an empty box."""
        mail = self._mail
        letters = [*self._newest.values(), *self._odd.values()]
        for hits in self._hits.values():
            letters.extend(hits)
        mail.letters = sorted(letters, key=lambda letter: letter.order)
        self._newest, self._hits, self._odd, self._mail = {}, {}, {}, Mail()
        return mail

    def _put_message(self, raw: bytes) -> None:
        self._order += 1
        head, _, rest = raw.partition(b"\0,")
        shapes = self._shapes.get(head)
        if shapes is not None and shapes.get(rest[:3]) == len(rest) and _is_finite(rest):
            letter = self._newest.get(head)
            if letter is None:
                self._newest[head] = Letter(self._order, raw)
            else:
                letter.order, letter.raw = self._order, raw
                letter.count += 1
        elif head in self._triggers:
            self._put_hit(head, raw)
        else:
            self._put_odd(raw)

    def _put_hit(self, head: bytes, raw: bytes) -> None:
        hits = self._hits.setdefault(head, deque())
        if len(raw) > MAX_MESSAGE_BYTES:
            self._refuse_malformed(raw)
        elif hits and _press(raw) is not None and _press(hits[-1].raw) == _press(raw):
            hits[-1].count += 1  # a pad under pressure sends many strengths, but one press
        else:
            hits.append(Letter(self._order, raw))
            if len(hits) > MAX_HITS:
                self._mail.dropped += hits.popleft().count

    def _put_odd(self, raw: bytes) -> None:
        address = address_of(raw)
        if not raw.startswith(b"/") or len(raw) > MAX_MESSAGE_BYTES or not _is_printable(address):
            self._refuse_malformed(raw)
            return
        pattern = len(address) <= MAX_LENGTH and is_pattern(address)
        if not pattern and address not in self._known:
            if len(raw) % 4 or len(address) == len(raw):
                self._refuse_malformed(raw)
            else:
                self._mail.unknown += 1
                self._tell(raw)
            return
        same = self._odd.pop(raw, None)
        self._odd[raw] = Letter(self._order, raw, same.count + 1 if same else 1)
        if len(self._odd) > MAX_ODD:
            self._mail.dropped += self._odd.pop(next(iter(self._odd))).count

    def _refuse_malformed(self, raw: bytes) -> None:
        self._mail.malformed += 1
        self._tell(raw)

    def _tell(self, raw: bytes) -> None:
        """Keeps a few of the refused for the log; each address once while that can be remembered."""
        key = address_of(raw)[:80] if raw.startswith(b"/") else b""
        if key in self._told or len(self._mail.strange) >= _MAX_STRANGE or len(self._told) > 1024:
            return
        self._told.add(key)
        self._mail.strange.append(raw)


def address_of(raw: bytes) -> bytes:
    """What stands before the first zero."""
    return raw.partition(b"\0")[0]


def is_finite_number(raw: bytes) -> bool:
    """Whether a message has exactly one argument, and that a finite number."""
    rest = raw.partition(b"\0,")[2]
    return _NUMBERS.get(rest[:3]) == len(rest) and _is_finite(rest)


def split_bundle(packet: bytes) -> list[bytes] | None:
    """The messages of a bundle and of the bundles in it; None when any part of it is not in order.

    Not left to python-osc, whose loop never ends on an element of negative size.
    """
    messages: list[bytes] = []
    waiting = [(packet, 0)]
    while waiting:
        part, depth = waiting.pop()
        if part.startswith(b"/"):
            messages.append(part)
            continue
        if not part.startswith(_BUNDLE) or len(part) < 16 or depth > _MAX_DEPTH:
            return None
        elements = []
        at = 16
        while at < len(part):
            if at + 4 > len(part):
                return None
            (size,) = struct.unpack_from(">i", part, at)
            at += 4
            if size < 4 or size % 4 or at + size > len(part):
                return None
            elements.append((part[at : at + size], depth + 1))
            at += size
        waiting.extend(reversed(elements))
    return messages


def _press(raw: bytes) -> bool | None:
    """Whether a button is down, by a message with one finite number; None for any other."""
    if not is_finite_number(raw):
        return None
    argument = raw.partition(b"\0,")[2][3:]
    return argument[0] < 0x80 and any(argument)  # neither negative nor zero


def _head(address: str) -> bytes:
    """An address with all of its padding but the last zero: what stands before `\\0,` in a message."""
    raw = address.encode()
    return raw + b"\0" * (3 - len(raw) % 4)


def _is_finite(rest: bytes) -> bool:
    """Of a type tag and an argument: neither infinite nor NaN, whose exponents are all ones."""
    tag = rest[0]
    if tag == 0x66:  # f
        return rest[3] & 0x7F != 0x7F or rest[4] & 0x80 != 0x80
    if tag == 0x64:  # d
        return rest[3] & 0x7F != 0x7F or rest[4] & 0xF0 != 0xF0
    return True


def _is_printable(address: bytes) -> bool:
    return _PRINTABLE.fullmatch(address) is not None
