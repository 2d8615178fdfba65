"""OSC out by hand: one message from words typed on a command line.

    packet = message("/walk/speed", ["0.4"])            # ValueError: what a word must be
    with OscOut("127.0.0.1", 7000) as out:              # OSError: the host is not known
        out.send(packet); out.refused()                 # True when nobody listens there

A value's type is guessed: 3 is a whole number, 0.2 a number, anything else text. To say it exactly, begin with the type
and a colon: i:3 f:3 d:3 h:3 s:3; T and F are true and false, N is nothing. Any process, one thread.
"""

import math
import socket
import time
from collections.abc import Sequence

from pythonosc.osc_message_builder import OscMessageBuilder

_INTEGERS = {"i": 32, "h": 64}  # bits
_FLOATS = ("f", "d")
_CONSTANTS: dict[str, object] = {"T": True, "F": False, "N": None}
_FLOAT_MAX = 3.4028235e38
_ANSWER_S = 0.05  # in which a machine says that nobody listens there

Argument = tuple[str, object]  # OSC type tag, value


def argument(word: str) -> Argument:
    """What a typed word is. Raises ValueError."""
    tag, colon, text = word.partition(":")
    if word in _CONSTANTS:
        return word, _CONSTANTS[word]
    if colon and tag == "s":
        return "s", text
    if colon and tag in _INTEGERS:
        return tag, _integer(tag, text, word)
    if colon and tag in _FLOATS:
        return tag, _float(tag, text, word)
    try:
        whole = int(word)
        return ("i" if _fits(whole, 32) else "h"), _integer("h", word, word)
    except ValueError:
        pass
    try:
        number = float(word)
    except ValueError:
        return "s", word
    return ("f", number) if abs(number) <= _FLOAT_MAX else ("s", word)


def message(address: str, words: Sequence[str]) -> bytes:
    """A message's packet. An address may be a parameter's name too: walk.speed is /walk/speed. Raises ValueError."""
    return encode(full_address(address), [argument(word) for word in words])


def encode(address: str, arguments: Sequence[Argument]) -> bytes:
    """A message's packet."""
    builder = OscMessageBuilder(address)
    for tag, value in arguments:
        builder.add_arg(value, tag)  # type: ignore[arg-type]
    return bytes(builder.build().dgram)


def full_address(address: str) -> str:
    """The address that is meant. Raises ValueError for one that cannot be sent."""
    meant = address if address.startswith("/") else "/" + address.replace(".", "/")
    if len(meant) < 2 or not meant.isprintable() or any(c in " #," for c in meant):
        raise ValueError(f"an OSC address must be like /walk/speed, without spaces, got {address!r}")
    return meant


def described(arguments: Sequence[Argument]) -> str:
    """Arguments as one would type them, with their types."""
    return " ".join(tag if tag in _CONSTANTS else f"{tag}:{_short(value)}" for tag, value in arguments)


class OscOut:
    """A socket that sends to one place."""

    def __init__(self, host: str, port: int) -> None:
        """Raises OSError when there is no such host."""
        family, kind, protocol, _, where = min(
            socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM), key=lambda entry: entry[0] != socket.AF_INET
        )
        self._socket = socket.socket(family, kind, protocol)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self._socket.connect(where)
        self._was_refused = False

    def send(self, packet: bytes) -> None:
        """Sends; that nobody listened to the last one is no error."""
        for _ in range(2):  # a refusal of the packet before is told in place of sending this one
            try:
                self._socket.send(packet)
                return
            except ConnectionRefusedError:
                self._was_refused = True

    def refused(self, wait_s: float = _ANSWER_S) -> bool:
        """Whether nobody listens there, as far as this can be known: only a machine that is on can tell."""
        end_s = time.monotonic() + wait_s
        while not self._was_refused and (left_s := end_s - time.monotonic()) > 0:
            self._socket.settimeout(left_s)
            try:
                self._socket.recv(1)
            except ConnectionError:
                self._was_refused = True
            except TimeoutError:
                break
        refused, self._was_refused = self._was_refused, False
        self._socket.settimeout(None)
        return refused

    def __enter__(self) -> "OscOut":
        return self

    def __exit__(self, *ended: object) -> None:
        self._socket.close()


def _integer(tag: str, text: str, word: str) -> int:
    bits = _INTEGERS[tag]
    try:
        whole = int(text)
    except ValueError:
        raise ValueError(f"{tag}: must be followed by a whole number, got {word!r}") from None
    if not _fits(whole, bits):
        raise ValueError(f"a whole number must fit into {bits} bits, got {word!r}")
    return whole


def _float(tag: str, text: str, word: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{tag}: must be followed by a number, got {word!r}") from None
    if tag == "f" and math.isfinite(number) and abs(number) > _FLOAT_MAX:
        raise ValueError(f"f: must be followed by a number below 3.4e38, got {word!r}")
    return number


def _fits(whole: int, bits: int) -> bool:
    return -(2 ** (bits - 1)) <= whole < 2 ** (bits - 1)


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}" if value.is_integer() else f"{value:.4g}"
    return f'"{value}"' if isinstance(value, str) else str(value)
