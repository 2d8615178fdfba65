"""OSC packets taken apart: a message's address and arguments, a bundle's messages, and what a packet is if not OSC.

    address, arguments = decode(packet)        # ValueError when it is damaged
    messages = split_bundle(packet)            # None when any part of it is damaged
    kind, sentence = describe(packet)          # ("json", "this is JSON, not OSC: '{\\"speed\\": 1}'")

Plain functions, any thread. Nothing raises anything but what is said here, whatever is in the packet.

Not python-osc's parser: that one knows neither symbols, characters nor impulses, makes plain numbers of
colours, MIDI and time tags, and logs to the root logger. Types after https://opensoundcontrol.stanford.edu
(OSC 1.0 with its optional types, OSC 1.1).
"""

import re
import struct
from dataclasses import dataclass

from engine.show.params import shown

BUNDLE = b"#bundle\0"
_SLASHLESS = re.compile(rb"[A-Za-z][!-~]*\0{1,4},")
_MAX_DEPTH = 8
_NUMBERS = {"i": struct.Struct(">i"), "h": struct.Struct(">q"), "f": struct.Struct(">f"), "d": struct.Struct(">d")}
_FLOAT = _NUMBERS["f"]
_CONSTANTS = {"T": True, "F": False, "N": None, "I": None}  # I: OSC 1.1's impulse, a bang


@dataclass(frozen=True)
class Opaque:
    """An argument that is no value for any parameter: a colour is four bytes, but it is not a number."""

    what: str  # in words

    def __repr__(self) -> str:
        return self.what


_OPAQUE = {
    "r": (4, Opaque("a colour")),
    "m": (4, Opaque("a MIDI message")),
    "t": (8, Opaque("a time tag")),
}
_BLOB = Opaque("binary data (a blob)")


def address_of(raw: bytes) -> bytes:
    """What stands before the first zero byte."""
    return raw.partition(b"\0")[0]


def padded(text: bytes) -> bytes:
    """An OSC string: at least one zero byte at its end, and a length that is a multiple of four."""
    return text + b"\0" * (4 - len(text) % 4)


def is_slashless(raw: bytes) -> bool:
    """Whether it would be a message if its address began with a slash; SuperCollider and others send what is typed."""
    return _SLASHLESS.match(raw) is not None


def decode(raw: bytes) -> tuple[str, list[object]]:
    """Address and arguments of one message. Raises ValueError, and nothing else, when it is damaged.

    Arguments are numbers, booleans, text, None (nil and impulse) and Opaque. Arrays are flattened: no
    parameter takes a list, and some programs wrap every value in one.
    """
    if raw[-8:-4] == b",f\0\0":  # what nearly every control sends, read at once
        address = raw[:-8].rstrip(b"\0")
        if len(address) + 4 - len(address) % 4 == len(raw) - 8 and b"\0" not in address:
            return _text(address), [_FLOAT.unpack(raw[-4:])[0]]
    address, at = _string(raw, 0)
    if at >= len(raw):
        return _text(address), []
    tags, at = _string(raw, at)
    if not tags.startswith(b","):
        raise ValueError("it has no type tags to say what its arguments are")
    arguments: list[object] = []
    for tag in _text(tags[1:]):
        if tag in _NUMBERS:
            value, at = _number(raw, tag, at)
            arguments.append(value)
        elif tag in _CONSTANTS:
            arguments.append(_CONSTANTS[tag])
        elif tag not in "[]":
            value, at = _argument(raw, tag, at)
            arguments.append(value)
    return _text(address), arguments


def _number(raw: bytes, tag: str, at: int) -> tuple[object, int]:
    number = _NUMBERS[tag]
    end = at + number.size
    if end <= len(raw):
        return number.unpack_from(raw, at)[0], end
    if tag == "f" and at < len(raw):
        return number.unpack(raw[at:].ljust(4, b"\0"))[0], end  # Reaktor leaves off the last zeros of a message
    raise ValueError("it is cut short")


def _argument(raw: bytes, tag: str, at: int) -> tuple[object, int]:
    """One argument that is not a number, and where the next one begins."""
    if tag in "sS":
        text, at = _string(raw, at)
        return _text(text), at
    value: object
    if tag == "c":
        size, value = 4, _text(raw[at : at + 4].strip(b"\0"))
    elif tag == "b":
        if at + 4 > len(raw):
            raise ValueError("it is cut short")
        size, value = 4 + int.from_bytes(raw[at : at + 4], "big"), _BLOB
    elif tag in _OPAQUE:
        size, value = _OPAQUE[tag]
    else:
        raise ValueError(f"it has an argument of unknown type {shown(tag)}")
    if at + size > len(raw):
        raise ValueError("it is cut short")
    return value, at + size + -size % 4


def _string(raw: bytes, at: int) -> tuple[bytes, int]:
    end = raw.find(b"\0", at)
    if end < 0:
        raise ValueError("it is cut short")
    return raw[at:end], end + 4 - (end - at) % 4


def _text(data: bytes) -> str:
    """Text in UTF-8, as nearly every program sends it, or else in Latin-1."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def split_bundle(packet: bytes) -> list[bytes] | None:
    """The messages of a bundle and of the bundles in it; None when any part of it is damaged.

    Not left to python-osc, whose loop never ends on an element of negative size.
    """
    messages: list[bytes] = []
    waiting = [(packet, 0)]
    while waiting:
        part, depth = waiting.pop()
        if part.startswith(b"/") or is_slashless(part):
            messages.append(part)
            continue
        if not part.startswith(BUNDLE) or len(part) < 16 or depth > _MAX_DEPTH:
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


_STARTS = (  # of what else arrives at an OSC port
    (re.compile(rb"(GET|POST|PUT|HEAD|OPTIONS|DELETE|PATCH|CONNECT) |HTTP/"), "a web request (HTTP)"),
    (re.compile(rb"Art-Net\0"), "Art-Net, for lights"),
    (re.compile(rb"\0\x10\0\0ASC-E1\.17"), "sACN, for lights"),
    (re.compile(rb"\xff\xff(IN|OK|NO|BY|CK)|\x80[\x61\xe1]"), "MIDI over the network (RTP-MIDI)"),
    (re.compile(rb"\xf0[\0-\x7f]*\xf7?\Z|([\x80-\xef][\0-\x7f]{1,2})+\Z|[\xf8-\xff]\Z"), "MIDI"),
)
_MARKUP = re.compile(r"\s*<[?!a-zA-Z]")


def describe(packet: bytes) -> tuple[str, str]:
    """What a packet is that is not OSC: a short name for its kind, and a sentence."""
    if not packet:
        return "empty", "an empty packet"
    if packet.startswith(BUNDLE[:-1]):
        return "bundle", "a damaged bundle, or one nested too deep; none of it was used"
    for start, what in _STARTS:
        if start.match(packet):
            return what, f"this is {what}, not OSC"
    if framing := _framing(packet):
        return framing, f"this is OSC wrapped for {framing}; send plain packets over UDP"
    if is_slashless(packet):
        near = _text(address_of(packet))
        return "slash", f"an OSC address begins with a slash; did you mean {shown('/' + near)}?"
    text = _plain_text(packet)
    if text is None:
        if packet.startswith(b"/"):
            return "damaged", f"a damaged OSC message: {shown(packet[:24])}"
        return "unknown", f"this is not OSC: {shown(packet[:24])}"
    what = "text"
    if text.lstrip().startswith(("{", "[")):
        what = "JSON"
    elif _MARKUP.match(text):
        what = "XML"
    return what, f"this is {what}, not OSC: {shown(text.strip())}"


def _framing(packet: bytes) -> str | None:
    """How OSC is wrapped for a stream of bytes, which a UDP packet is not."""
    slip = packet.startswith((b"\xc0/", b"\xc0#")) or (packet.startswith(b"/") and packet.endswith(b"\xc0"))
    if slip:
        return "a serial line or TCP (SLIP)"
    if packet[4:5] in (b"/", b"#") and int.from_bytes(packet[:4], "big") in range(4, len(packet) + 1):
        return "TCP (each message with its length in front)"
    return None


def _plain_text(packet: bytes) -> str | None:
    body = packet.rstrip(b"\0")
    if not body or b"\0" in body:
        return None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return text if text.strip() and all(c.isprintable() or c in "\r\n\t" for c in text) else None
