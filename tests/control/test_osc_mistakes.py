"""OSC in, end to end: what is wrong, from typing errors to a fuzzer, is told and counted, and control goes on."""

import logging
import math
import random
from dataclasses import astuple

import pytest

from engine.control.inbox import MAX_MESSAGE_BYTES
from engine.control.mistakes import MAX_LINES
from engine.control.osc import Counts, OscIn
from tests.packets import Sender, bundle, by_hand, message, mutated
from tests.registry import build_registry

REGISTRY = build_registry(["clouds", "pulp", "memory"], ["dissolve", "tear"])


def test_what_is_wrong_is_said_once(osc: OscIn, send: Sender, caplog: pytest.LogCaptureFixture) -> None:
    for n in range(3):
        send("/walk/speed", f"fast{n}")
        send("/walk/loop", 6.0)
        send("/material/x*", 1.0)
        send.raw(b"GET / HTTP/1.1\r\n\r\n")
        osc.drain()
    assert sorted(r.getMessage() for r in caplog.records) == [
        "OSC /material/x* reaches no parameter",
        "OSC /walk/loop can only be set where the show begins: in its file or with --set",
        "OSC /walk/speed must be a number from 0 to 4 phase/s, got 'fast0'",
        "OSC this is a web request (HTTP), not OSC",
    ]
    assert osc.counts == Counts(unknown=6, malformed=6)


def test_a_second_different_mistake_at_an_address_is_said_too(
    osc: OscIn, send: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    send("/walk/speed", "fast")
    osc.drain()
    send.raw(by_hand(b"/walk/speed", b"r", b"\xff\0\0\xff"))
    send("/walk/speed", math.nan)
    send.raw(message("/walk/speed", 1, tags="d")[:-4])
    osc.drain()
    said = "OSC /walk/speed must be a number from 0 to 4 phase/s, got "
    assert [r.getMessage() for r in caplog.records] == [
        said + "'fast'", "OSC /walk/speed is damaged: it is cut short", said + "nan", said + "a colour",
    ]  # fmt: skip


def test_what_goes_on_being_wrong_is_said_again_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    clock = [0.0]
    osc = OscIn("127.0.0.1", 0, REGISTRY, now=lambda: clock[0])
    osc.start()
    send = Sender(osc.port)
    for second in range(100):
        clock[0] = float(second)
        for _ in range(20):
            send("/walk/sped", 0.5)
        osc.drain()
    osc.close()
    line = "OSC /walk/sped is not the address of any parameter. Did you mean /walk/speed?"
    assert [r.getMessage() for r in caplog.records] == [line, line + " (1,219 more like this)"]


@pytest.mark.parametrize("address", ["/walk/sped", "/speed", "/walk.speed", "/WALK/sped/"])
def test_an_unknown_address_is_told_with_the_nearest(
    osc: OscIn, send: Sender, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    send(address, 0.5)
    assert osc.drain() == [] and osc.counts == Counts(unknown=1)
    assert [r.getMessage() for r in caplog.records] == [
        f"OSC {address} is not the address of any parameter. Did you mean /walk/speed?"
    ]


def test_values_that_are_not_used_are_said_once(
    osc: OscIn, send: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    for n in range(3):
        send("/walk/speed", n, 0.5, 0.25)
        assert osc.drain() == [("walk.speed", n)]
    assert [r.getMessage() for r in caplog.records] == ["OSC /walk/speed uses only the first of 3 values"]
    assert osc.counts == Counts(accepted=3)


def test_a_trigger_wants_no_value_but_others_do(
    osc: OscIn, send: Sender, caplog: pytest.LogCaptureFixture
) -> None:
    for tag in (b"", b"N", b"I", b"[]"):
        send.raw(by_hand(b"/walk/home", tag))
        send.raw(by_hand(b"/walk/pause", tag))
    assert osc.drain() == [("walk.home", 1.0)] * 4
    assert [r.getMessage() for r in caplog.records] == ["OSC /walk/pause must be true or false, got no value"]


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"/",
        b"/\0\0\0,f\0\0\0\0\0\0",
        b"walk/spoon\0\0,f\0\0\0\0\0\0",
        b"/walk/speed",
        b"/walk\x1b[31m\0\0\0,f\0\0\0\0\0\0",
        b"\xff" * 100,
        b"#bundle\0",
        b"#bundle\0" + b"\0" * 7,
        b"#bundle\0" + b"\0" * 8 + b"\xff\xff\xff\xfc",  # -4 bytes: python-osc alone never returns
        b"#bundle\0" + b"\0" * 8 + b"\0\0\0\0",
        b"#bundle\0" + b"\0" * 8 + b"\0\0\0\x0d" + b"/walk/home\0\0\0",
        b"#bundle\0" + b"\0" * 8 + b"\x7f\xff\xff\xffx",
        b"#bundle\0" + b"\0" * 8 + b"\0\0",
        b"/walk/speed\0,[[[[[[[\0\0\0\0",
        b"/walk/speed\0,t\0\0" + b"\xff" * 8,
        b"/walk/speed\0,s\0\0\xff\xfe\xfd\0",
        b"/walk/speed\0,b\0\0\xff\xff\xff\xff",
        b"/walk/speed 0.5\n",
        by_hand(b"/walk/speed", b"r", b"\xff\0\0\xff"),
        by_hand(b"/walk/speed", b"m", b"\0\x90\x40\x7f"),
        by_hand(b"/walk/home", b"t", b"\0" * 8),
        b"/walk/nudge\0,f\0\0\x7f\xc0\0\0",
        message("/walk/speed", "x" * MAX_MESSAGE_BYTES),
        message("/walk/home", "x" * MAX_MESSAGE_BYTES),
        b"/" + b"a" * 60_000 + b"\0",
    ],
    ids=range(26),
)
def test_malformed_packets(osc: OscIn, send: Sender, packet: bytes) -> None:
    send.raw(packet)
    assert osc.drain() == []
    assert osc.counts == Counts(malformed=1)
    send("/walk/speed", 1.0)
    assert osc.drain() == [("walk.speed", 1.0)]


def test_a_bundle_nested_too_deep_is_refused(osc: OscIn, send: Sender) -> None:
    packet = message("/walk/speed", 1.0)
    for _ in range(2000):
        packet = bundle(packet)
    send.raw(packet)
    assert osc.drain() == [] and osc.counts == Counts(malformed=1)


def test_ten_thousand_mutated_packets(
    osc: OscIn, send: Sender, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture
) -> None:
    rng = random.Random(1827)
    good = [message(p.address, rng.random()) for p in REGISTRY.values()]
    good += [message(p.address, rng.randrange(9)) for p in REGISTRY.values()]
    good += [message("/blend/transition", "tear"), message("/walk/pause", True), message("/walk/home")]
    good += [message("/walk/speed", 0.5, tags="d"), message("/walk/seed", 2**40, tags="h")]
    good += [message("/material/*", 0.5), message("/look/{grain,drift}", 1), message("/walk/[a-s]*", 0.1)]
    good += [bundle(*good[:3]), bundle(good[4], bundle(good[5], good[-1])), bundle(*good[:20])]
    caplog.set_level(logging.DEBUG, logger="")
    sent = 0
    for n in range(10_000):
        send.raw(mutated(rng, good))
        sent += 1
        if n % 50 == 0:
            for name, value in osc.drain():
                allowed = REGISTRY[name].coerce(value)
                assert allowed == value and type(allowed) is type(value)
    osc.drain()
    counts = osc.counts
    assert sum(astuple(counts)) >= sent * 0.95  # some are bundles of nothing by now
    assert min(counts.accepted, counts.unknown, counts.malformed) > 500
    send("/walk/radius", 0.125)
    assert ("walk.radius", 0.125) in osc.drain()
    assert len(caplog.records) <= MAX_LINES + 1 and {r.name for r in caplog.records} == {"pedesis.osc"}
    assert capfd.readouterr() == ("", "")
