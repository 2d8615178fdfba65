"""OSC packets for the tests, built by python-osc or by hand, and a socket that sends them."""

import random
import socket
import struct

from pythonosc.osc_message_builder import OscMessageBuilder


class Sender:
    """Something on the network that steers."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((host, port))

    def raw(self, packet: bytes) -> None:
        self.socket.send(packet)

    def __call__(self, address: str, *args: object, tags: str | None = None) -> None:
        self.raw(message(address, *args, tags=tags))


def message(address: str, *args: object, tags: str | None = None) -> bytes:
    builder = OscMessageBuilder(address)
    for n, arg in enumerate(args):
        builder.add_arg(arg, tags[n] if tags else None)  # type: ignore[arg-type]
    return builder.build().dgram


def by_hand(address: bytes, tags: bytes, arguments: bytes = b"") -> bytes:
    """A message with any type tags at all."""
    return string(address) + string(b"," + tags) + arguments


def string(text: bytes) -> bytes:
    return text + b"\0" * (4 - len(text) % 4)


def bundle(*contents: bytes, time_tag: bytes = b"\0\0\0\0\0\0\0\1") -> bytes:
    return b"#bundle\0" + time_tag + b"".join(struct.pack(">i", len(c)) + c for c in contents)


def mutated(rng: random.Random, packets: list[bytes]) -> bytes:
    """A packet that was a good one until somebody stumbled over the cable."""
    data = bytearray(rng.choice(packets))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data)) if data else 0
        kind = rng.randrange(6)
        if kind == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and data:
            data[at] = rng.choice(b"\0\xff,/#[]{}*?!-\x7f\x80")
        elif kind == 2:
            del data[at : at + rng.randint(1, 9)]
        elif kind == 3:
            data[at:at] = rng.randbytes(rng.randint(1, 9))
        elif kind == 4:
            data[at:at] = rng.choice(packets)[: rng.randint(1, 40)]
        else:
            data = data[:at]
    return bytes(data)
