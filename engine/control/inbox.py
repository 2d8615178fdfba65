"""The queue between the OSC socket and the show: bounded, newest wins, hardly anything parsed.

    inbox = Inbox(resolver); inbox.put(packet); batch = inbox.take()
    inbox.map(table)                        # foreign addresses that mappings hear

Filled and emptied under OscIn's lock. A message whose shape alone shows that its value will do (a finite
number for a number) takes the place of an older one for the same address. A trigger or a call keeps its hits in
order. Of an address that a mapping hears the newest of several numbers counts too, or every message where the mapping
needs them all, as of an encoder. Everything else, being rare, is kept whole until `take`, so that a bad message never
pushes a good one out. What is full drops its oldest and counts it.
"""

import re
import struct
from collections import deque
from dataclasses import dataclass, field

from engine.control.feedback import QUESTIONS
from engine.control.map_entry import MapTable
from engine.control.message import BUNDLE, address_of, is_slashless, padded, split_bundle
from engine.control.resolve import Resolver
from engine.show.address import MAX_LENGTH, is_pattern
from engine.show.params import Kind

MAX_MESSAGE_BYTES = 4096  # one argument is all a parameter takes
MAX_HITS = 64  # of one trigger between two drains
MAX_UNUSUAL = 512  # messages of unusual shape between two drains
MAX_TURNS = 1024  # of one address of which every message counts, between two drains
MAX_FOREIGN = 1024  # addresses that fit the patterns of mappings
MAX_OVERHEARD = 2048  # messages between two drains, while somebody learns
_LONGEST_OVERHEARD = 512  # bytes
_MAX_REJECTED = 16  # of different kinds, between two drains
_MAX_LOOSE = 256
_FORMATS = bytes.maketrans(b"h", b"q")  # as struct writes OSC's types
_PRINTABLE = re.compile(rb"[ -~\x80-\xff]{2,}")

# Type tag and its padding, to the length of it and the argument together.
_NUMBERS = {b"f\0\0": 7, b"i\0\0": 7, b"d\0\0": 11, b"h\0\0": 11}
_NUMBERS_AND_BOOLEANS = {**_NUMBERS, b"T\0\0": 3, b"F\0\0": 3}
_SHAPES: dict[Kind, dict[bytes, int]] = {
    "number": _NUMBERS_AND_BOOLEANS,
    "integer": _NUMBERS_AND_BOOLEANS,
    "choice": _NUMBERS,
    "switch": _NUMBERS_AND_BOOLEANS,
    "text": {},
}


@dataclass(slots=True)
class Message:
    """A message as it came, and how many it stands for."""

    order: int
    raw: bytes
    count: int = 1
    sender: tuple[str, int] | None = None  # of the newest


@dataclass
class Batch:
    """What came between two calls of `take`."""

    messages: list[Message] = field(default_factory=list)  # in the order they came
    unknown: int = 0
    malformed: int = 0
    dropped: int = 0
    unknown_addresses: dict[bytes, int] = field(default_factory=dict)  # some of them, and how often
    malformed_packets: dict[bytes, Message] = field(default_factory=dict)  # some of them, by how they begin
    overheard: list[bytes] = field(default_factory=list)  # while somebody learns: every message
    received: int = 0  # since the start
    last: bytes = b""  # the newest packet or message of a bundle, whatever it is


class Inbox:
    """See the module's head."""

    def __init__(self, resolver: Resolver, received: int = 0) -> None:
        """received: how many messages came before."""
        self._resolver = resolver
        self._sender: tuple[str, int] | None = None
        self.overhear = False  # whether every message is kept besides, also unknown ones and those that are superseded
        self._loose: dict[bytes, bytes | None] = {}  # as it was sent: as it is meant
        self.map(MapTable())
        self._order = received
        self._last = b""
        self._newest: dict[bytes, Message] = {}
        self._hits: dict[bytes, deque[Message]] = {}
        self._unusual: dict[bytes, Message] = {}
        self._batch = Batch()

    def map(self, table: MapTable) -> None:
        """From now on these mappings are known, and no others."""
        kinds = self._resolver.kinds
        self._table = table
        self._shapes = {_head(address): _SHAPES[kind] for address, kind in kinds.items() if kind in _SHAPES}
        self._triggers = {_head(address) for address, kind in kinds.items() if kind not in _SHAPES}
        self._known = {address.encode() for address in (*kinds, *QUESTIONS)}
        self._vectors: set[bytes] = set()  # of which the newest counts, however many numbers it has
        self._turns: set[bytes] = set()  # of which every message counts
        self._foreign: dict[bytes, bool] = {}  # addresses looked up in the table: whether it hears them
        for address in [*kinds, *table.addresses]:
            if table and table.find(address):
                self._take_in(address)

    def put(self, packet: bytes, sender: tuple[str, int] | None = None) -> int:
        """One datagram. Returns how much work it was, in messages."""
        self._sender = sender
        if not packet.startswith(BUNDLE):
            self._order += 1
            self._last = packet
            if self.overhear:
                self._overhear(packet)
            self._put_message(packet)
            return 1
        messages = split_bundle(packet)
        if messages is None:
            self._order += 1
            self._last = packet
            self._reject_malformed(packet)
            return 1
        for message in messages:
            self._order += 1
            self._last = message
            if self.overhear:
                self._overhear(message)
            self._put_message(message)
        return 1 + len(messages)

    def take(self) -> Batch:
        """Everything queued, in the order it came; the queue is empty then."""
        batch = self._batch
        messages = [*self._newest.values(), *self._unusual.values()]
        for hits in self._hits.values():
            messages.extend(hits)
        batch.messages = sorted(messages, key=lambda message: message.order)
        batch.received, batch.last = self._order, self._last
        self._newest, self._hits, self._unusual, self._batch = {}, {}, {}, Batch()
        return batch

    def _put_message(self, raw: bytes) -> None:
        head, _, rest = raw.partition(b"\0,")
        shapes = self._shapes.get(head)
        if shapes is not None and shapes.get(rest[:3]) == len(rest) and _is_finite(rest):
            self._put_newest(head, raw)
        elif head in self._triggers:
            self._put_hit(head, raw)
        elif head in self._turns:
            self._put_hit(head, raw, every=True)
        elif head in self._vectors and _are_finite_numbers(rest):
            self._put_newest(head, raw)
        else:
            self._put_unusual(raw)

    def _overhear(self, raw: bytes) -> None:
        if len(self._batch.overheard) < MAX_OVERHEARD and len(raw) <= _LONGEST_OVERHEARD:
            self._batch.overheard.append(raw)

    def _put_newest(self, head: bytes, raw: bytes) -> None:
        message = self._newest.get(head)
        if message is None:
            self._newest[head] = Message(self._order, raw, sender=self._sender)
        else:
            message.order, message.raw, message.sender = self._order, raw, self._sender
            message.count += 1

    def _put_hit(self, head: bytes, raw: bytes, every: bool = False) -> None:
        hits = self._hits.setdefault(head, deque())
        if len(raw) > MAX_MESSAGE_BYTES:
            self._reject_malformed(raw)
        elif every:
            hits.append(Message(self._order, raw, sender=self._sender))
            if len(hits) > MAX_TURNS:
                self._batch.dropped += hits.popleft().count
        elif hits and _press(raw) is not None and _press(hits[-1].raw) == _press(raw):
            hits[-1].count += 1  # a pad under pressure sends many strengths, but one press
        else:
            hits.append(Message(self._order, raw, sender=self._sender))
            if len(hits) > MAX_HITS:
                self._batch.dropped += hits.popleft().count

    def _put_unusual(self, raw: bytes) -> None:
        address = address_of(raw)
        message_like = raw.startswith(b"/") or is_slashless(raw)
        if not message_like or len(raw) > MAX_MESSAGE_BYTES or not _PRINTABLE.fullmatch(address) or address == raw:
            self._reject_malformed(raw)
            return
        if address not in self._known and (len(address) > MAX_LENGTH or not is_pattern(address)):
            if self._is_foreign(address):
                self._put_message(raw)  # it is known from now on
            elif meant := self._meant(address):
                self._put_message(padded(meant) + raw[len(padded(address)) :])
            elif len(raw) % 4 or address[0] != 0x2F:
                self._reject_malformed(raw)
            else:
                self._batch.unknown += 1
                _count(self._batch.unknown_addresses, address)
            return
        same = self._unusual.pop(raw, None)
        self._unusual[raw] = Message(self._order, raw, same.count + 1 if same else 1, self._sender)
        if len(self._unusual) > MAX_UNUSUAL:
            self._batch.dropped += self._unusual.pop(next(iter(self._unusual))).count

    def _is_foreign(self, address: bytes) -> bool:
        """Whether a mapping hears an address that is no parameter's."""
        if not self._table:
            return False
        if address not in self._foreign:
            if len(self._foreign) >= MAX_FOREIGN:
                self._let_go(next(iter(self._foreign)))
            text = address.decode("utf-8", "replace")
            self._foreign[address] = text.encode() == address and bool(self._table.find(text))
            if self._foreign[address]:
                self._take_in(text)
        return self._foreign[address]

    def _take_in(self, address: str) -> None:
        """An address that a mapping hears."""
        head = _head(address)
        self._known.add(address.encode())
        if head in self._triggers:
            return
        if self._table.keeps_all(address):
            self._shapes.pop(head, None)
            self._turns.add(head)
        else:
            self._shapes.setdefault(head, _NUMBERS_AND_BOOLEANS)
            self._vectors.add(head)

    def _let_go(self, address: bytes) -> None:
        """Forgets a foreign address, to make room."""
        if self._foreign.pop(address):
            head = padded(address)[:-1]
            self._known.discard(address)
            self._shapes.pop(head, None)
            self._turns.discard(head)
            self._vectors.discard(head)

    def _meant(self, address: bytes) -> bytes | None:
        """The address that is meant by one that is nearly right (see Resolver.find); None when none is."""
        if address in self._loose:
            return self._loose[address]
        if len(address) > MAX_LENGTH:
            return None
        if len(self._loose) >= _MAX_LOOSE:
            self._loose.pop(next(iter(self._loose)))
        found = self._resolver.find(address.decode("utf-8", "replace"))
        meant = self._loose[address] = found.encode() if found else None
        return meant

    def _reject_malformed(self, raw: bytes) -> None:
        self._batch.malformed += 1
        packets = self._batch.malformed_packets
        known = packets.get(raw[:16])
        if known:
            known.count += 1
        elif len(packets) < _MAX_REJECTED:
            packets[raw[:16]] = Message(self._order, raw[: MAX_MESSAGE_BYTES + 1])


def _count(counts: dict[bytes, int], address: bytes) -> None:
    key = address[:MAX_LENGTH]
    if key in counts:
        counts[key] += 1
    elif len(counts) < _MAX_REJECTED:
        counts[key] = 1


def is_finite_number(raw: bytes) -> bool:
    """Whether a message has exactly one argument, and that a finite number."""
    rest = raw.partition(b"\0,")[2]
    return _NUMBERS.get(rest[:3]) == len(rest) and _is_finite(rest)


def _are_finite_numbers(rest: bytes) -> bool:
    """Of type tags and arguments: several numbers and booleans, none of them infinite or NaN, and nothing else."""
    tags, zero, _ = rest.partition(b"\0")
    if not zero or not tags or tags.strip(b"fidhTF"):
        return False
    at = (len(tags) + 1) // 4 * 4 + 3  # the comma before `rest` counts
    numbers = ">" + tags.translate(_FORMATS, b"TF").decode()
    if at + struct.calcsize(numbers) != len(rest):
        return False
    return all(number - number == 0 for number in struct.unpack_from(numbers, rest, at))


def _press(raw: bytes) -> bool | None:
    """Whether a button is down, by a message with one finite number; None for any other."""
    if not is_finite_number(raw):
        return None
    argument = raw.partition(b"\0,")[2][3:]
    return argument[0] < 0x80 and any(argument)  # neither negative nor zero


def _head(address: str) -> bytes:
    """An address with all of its padding but the last zero: what stands before `\\0,` in a message."""
    return padded(address.encode())[:-1]


def _is_finite(rest: bytes) -> bool:
    """Of a type tag and an argument: neither infinite nor NaN, whose exponents are all ones."""
    tag = rest[0]
    if tag == 0x66:  # f
        return rest[3] & 0x7F != 0x7F or rest[4] & 0x80 != 0x80
    if tag == 0x64:  # d
        return rest[3] & 0x7F != 0x7F or rest[4] & 0xF0 != 0xF0
    return True
