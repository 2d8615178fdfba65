"""OSC packets taken apart, and what is said about those that are something else."""

import random
import struct

import pytest

from engine.control.message import Opaque, decode, describe, split_bundle
from tests.packets import bundle, by_hand, message, mutated, string


@pytest.mark.parametrize(
    ("tags", "arguments", "expected"),
    [
        (b"", b"", []),
        (b"f", struct.pack(">f", 0.5), [0.5]),
        (b"i", struct.pack(">i", -7), [-7]),
        (b"h", struct.pack(">q", 2**40), [2**40]),
        (b"d", struct.pack(">d", 0.1), [0.1]),
        (b"s", string(b"tear"), ["tear"]),
        (b"S", string(b"tear"), ["tear"]),
        (b"s", string("Gemälde".encode()), ["Gemälde"]),
        (b"s", string("Gemälde".encode("latin-1")), ["Gemälde"]),
        (b"c", b"\0\0\0x", ["x"]),
        (b"TFNI", b"", [True, False, None, None]),
        (b"[f]", struct.pack(">f", 0.5), [0.5]),
        (b"[[i]i]", struct.pack(">ii", 1, 2), [1, 2]),
        (b"ifs", struct.pack(">if", 3, 0.5) + string(b"on"), [3, 0.5, "on"]),
        (b"r", b"\xff\0\0\xff", [Opaque("a colour")]),
        (b"m", b"\0\x90\x40\x7f", [Opaque("a MIDI message")]),
        (b"t", b"\0" * 8, [Opaque("a time tag")]),
        (b"bi", b"\0\0\0\5hello\0\0\0\0\0\0\7", [Opaque("binary data (a blob)"), 7]),
        (b"f", b"\x3f", [0.5]),  # Reaktor leaves off the last zeros
    ],
)
def test_arguments(tags: bytes, arguments: bytes, expected: list[object]) -> None:
    address, found = decode(by_hand(b"/walk/speed", tags, arguments))
    assert address == "/walk/speed" and found == expected
    assert [type(a) for a in found] == [type(a) for a in expected]


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (by_hand(b"/a", b"Q", b"\0" * 4), "it has an argument of unknown type 'Q'"),
        (by_hand(b"/a", b"ff", b"\0" * 4), "it is cut short"),
        (by_hand(b"/a", b"d", b"\0" * 4), "it is cut short"),
        (by_hand(b"/a", b"s", b"on"), "it is cut short"),
        (by_hand(b"/a", b"b", b"\xff\xff\xff\xff"), "it is cut short"),
        (by_hand(b"/a", b"t", b"\0" * 4), "it is cut short"),
        (b"/a\0\0\0\0\0\0\0\0", "it has no type tags to say what its arguments are"),
        (b"/a", "it is cut short"),
    ],
)
def test_damaged_messages(packet: bytes, why: str) -> None:
    with pytest.raises(ValueError) as caught:
        decode(packet)
    assert str(caught.value) == why


@pytest.mark.parametrize(
    ("packet", "said"),
    [
        (b"", "an empty packet"),
        (b"/walk/speed 0.5\n", "this is text, not OSC: '/walk/speed 0.5'"),
        (b"walk speed 0.5;\n", "this is text, not OSC: 'walk speed 0.5;'"),  # Pure Data's [netsend] without -b
        ("größer".encode(), "this is text, not OSC: 'größer'"),
        (b'{"/walk/speed": 1}', "this is JSON, not OSC: '{\"/walk/speed\": 1}'"),
        (b"<?xml version='1.0'?>", "this is XML, not OSC: \"<?xml version='1.0'?>\""),
        (b"POST /walk/speed HTTP/1.1\r\n\r\n", "this is a web request (HTTP), not OSC"),
        (b"Art-Net\0\0\x50\0\x0e" + bytes(20), "this is Art-Net, for lights, not OSC"),
        (b"\0\x10\0\0ASC-E1.17\0\0\0" + bytes(100), "this is sACN, for lights, not OSC"),
        (b"\x90\x40\x7f", "this is MIDI, not OSC"),
        (b"\xf8", "this is MIDI, not OSC"),
        (b"\xf0\x7e\x7f\x06\x01\xf7", "this is MIDI, not OSC"),
        (b"\xff\xffIN" + bytes(12), "this is MIDI over the network (RTP-MIDI), not OSC"),
        (b"\x80\x61" + bytes(12), "this is MIDI over the network (RTP-MIDI), not OSC"),
        (
            struct.pack(">i", 20) + message("/walk/speed", 0.5),
            "this is OSC wrapped for TCP (each message with its length in front); send plain packets over UDP",
        ),
        (
            b"\xc0" + message("/walk/speed", 0.5) + b"\xc0",
            "this is OSC wrapped for a serial line or TCP (SLIP); send plain packets over UDP",
        ),
        (message("walk/speed", 0.5), "an OSC address begins with a slash; did you mean '/walk/speed'?"),
        (bundle(b"rubbish!"), "a damaged bundle, or one nested too deep; none of it was used"),
        (b"\xff\xd8\xff\xe0", "this is not OSC: b'\\xff\\xd8\\xff\\xe0'"),
        (b"/\x01\0\0", "a damaged OSC message: b'/\\x01\\x00\\x00'"),
    ],
)
def test_what_is_not_osc_is_said_in_words(packet: bytes, said: str) -> None:
    assert describe(packet)[1] == said


def test_kinds_differ_so_that_each_is_told() -> None:
    packets = [b"", b"ab", b"{}", b"<a>", b"PUT /", b"Art-Net\0", b"\x90\1\1", b"#bundle", b"\xc0/a\0\0\xc0", b"\xff\0"]
    assert len({describe(packet)[0] for packet in packets}) == len(packets)


def test_bundles_in_bundles_keep_their_order() -> None:
    one, two, three = (message("/walk/seed", n) for n in (1, 2, 3))
    assert split_bundle(bundle(one, bundle(two, bundle()), three)) == [one, two, three]


@pytest.mark.parametrize("seed", range(4))
def test_no_packet_raises_anything_but_what_is_promised(seed: int) -> None:
    rng = random.Random(seed)
    tags = [bytes(rng.choices(b"ifhdsScrmtbTFNI[]", k=4)) for _ in range(40)]
    good = [by_hand(b"/walk/speed", each, rng.randbytes(40)) for each in tags]
    good += [bundle(*good[:3]), bundle(good[4], bundle(good[5])), b'{"a": 1}', b"\x90\x40\x7f", b"GET / HTTP/1.1"]
    for _ in range(1500):
        packet = mutated(rng, good) if rng.random() < 0.7 else rng.choice((b"", b"/", b"/a\0\0,")) + rng.randbytes(30)
        split_bundle(packet)
        kind, sentence = describe(packet)
        assert kind and sentence.isprintable() and len(sentence) < 200
        try:
            _, arguments = decode(packet)
        except ValueError as error:
            assert str(error).isprintable()
        else:
            assert all(a is None or isinstance(a, int | float | str | Opaque) for a in arguments)
