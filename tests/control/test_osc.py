"""OSC in, end to end: real packets through real sockets, from friends, from phones and from a fuzzer."""

import logging
import math
import random
import shutil
import subprocess
import sys
import threading
import tracemalloc
from dataclasses import astuple

import pytest
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

from engine.control import listen
from engine.control import osc as osc_room
from engine.control.controls import Controls
from engine.control.inbox import MAX_HITS, MAX_MESSAGE_BYTES, Inbox
from engine.control.message import decode
from engine.control.mistakes import MAX_LINES
from engine.control.osc import Counts, OscIn, Status
from engine.show.params import Value, build_registry
from tests.packets import Sender, bundle, by_hand, message, mutated

REGISTRY = build_registry(["clouds", "pulp", "memory"], ["dissolve", "tear"])


# What is understood


@pytest.mark.parametrize("name", list(REGISTRY))
def test_every_parameter_is_at_its_address(osc: OscIn, send: Sender, name: str) -> None:
    param = REGISTRY[name]
    send(param.address, 1)
    if param.live:
        assert osc.drain() == [(name, param.from_osc([1]))]
        assert osc.counts == Counts(accepted=1)
    else:
        assert osc.drain() == [] and osc.counts == Counts(unknown=1)


@pytest.mark.parametrize(
    ("address", "args", "tags", "expected"),
    [
        ("/walk/speed", [0.5], "f", 0.5),
        ("/walk/speed", [0.5], "d", 0.5),
        ("/walk/speed", [2], "i", 2.0),
        ("/walk/speed", [2], "h", 2.0),
        ("/walk/speed", [1e9], "f", 4.0),
        ("/walk/speed", [0.5, 0.9], "ff", 0.5),
        ("/walk/pause", [True], "T", True),
        ("/walk/pause", [False], "F", False),
        ("/walk/pause", [1.0], "f", True),
        ("/walk/seed", [11.0], "f", 11),
        ("/blend/transition", ["tear"], "s", "tear"),
        ("/blend/transition", [0], "i", "dissolve"),
        ("/walk/nudge", [0.5], "f", 0.5),
        ("/walk/nudge", [True], "T", 1.0),
        ("/walk/nudge", [None], "N", 1.0),
        ("/walk/nudge", [], "", 1.0),
        ("/walk/speed", ["0.5"], "s", 0.5),
        ("/walk/speed", [True], "T", 1.0),
        ("/walk/pause", ["on"], "s", True),
        ("/walk/speed/", [0.5], "f", 0.5),
        ("//walk//speed", [0.5], "f", 0.5),
        ("/Walk/Speed", [0.5], "f", 0.5),
        ("/Walk/Nudge/", [0.5], "f", 0.5),
    ],
)
def test_types(osc: OscIn, send: Sender, address: str, args: list, tags: str, expected: Value) -> None:
    send(address, *args, tags=tags)
    assert osc.drain() == [(address.lower().strip("/").replace("//", ".").replace("/", "."), expected)]
    assert osc.counts == Counts(accepted=1)


def test_a_bang_without_type_tags(osc: OscIn, send: Sender) -> None:
    send.raw(b"/walk/home\0\0")
    assert osc.drain() == [("walk.home", 1.0)]


def test_bundles_within_bundles(osc: OscIn, send: Sender) -> None:
    inner = bundle(message("/walk/radius", 0.25), message("/walk/nudge", 1.0))
    send.raw(bundle(message("/walk/speed", 1.0), inner, message("/look/grain", 0.75), bundle()))
    assert osc.drain() == [
        ("walk.speed", 1.0), ("walk.radius", 0.25), ("walk.nudge", 1.0), ("look.grain", 0.75),
    ]  # fmt: skip
    assert osc.counts == Counts(accepted=4)


def test_a_bundle_for_later_is_taken_now(osc: OscIn, send: Sender) -> None:
    send.raw(bundle(message("/walk/speed", 1.0), time_tag=b"\xff" * 8))
    assert osc.drain() == [("walk.speed", 1.0)]


def test_bundles_as_python_osc_builds_them(osc: OscIn, send: Sender) -> None:
    builder = OscBundleBuilder(IMMEDIATELY)  # type: ignore[arg-type]
    one = OscMessageBuilder("/walk/radius")
    one.add_arg(0.5)
    builder.add_content(one.build())
    send.raw(builder.build().dgram)
    assert osc.drain() == [("walk.radius", 0.5)]


def test_patterns(osc: OscIn, send: Sender) -> None:
    send("/material/*", 0.25)
    assert osc.drain() == [("material.memory", 0.25), ("material.pulp", 0.25), ("material.clouds", 0.25)]
    send("/look/{grain,drift}", 0.5)
    assert {n for n, _ in osc.drain()} == {"look.grain", "look.drift"}
    send("/walk/home*", 1)
    assert {n for n, _ in osc.drain()} == {"walk.home", "walk.home_here"}
    assert osc.counts == Counts(accepted=3)


def test_a_pattern_leaves_out_what_cannot_take_it(osc: OscIn, send: Sender) -> None:
    send("/blend/*", "tear")  # blend.time is a number
    assert osc.drain() == [("blend.transition", "tear")]
    send("/walk/*", 0.5)  # walk.loop is not live
    assert "walk.loop" not in dict(osc.drain())
    assert osc.counts == Counts(accepted=2)


def test_patterns_and_addresses_keep_their_order(osc: OscIn, send: Sender) -> None:
    send("/material/*", 0.25)
    send("/material/pulp", 1.0)
    assert dict(osc.drain()) == {"material.clouds": 0.25, "material.pulp": 1.0, "material.memory": 0.25}
    send("/material/pulp", 1.0)
    send("/material/*", 0.5)
    assert dict(osc.drain()) == {"material.clouds": 0.5, "material.pulp": 0.5, "material.memory": 0.5}


# Newest wins


def test_the_latest_value_wins_and_comes_once(osc: OscIn, send: Sender) -> None:
    for n in range(1000):
        send("/walk/radius", n / 1000)
        send("/look/grain", 1 - n / 1000)
    steers = osc.drain()
    assert [name for name, _ in steers] == ["walk.radius", "look.grain"]
    assert dict(steers) == pytest.approx({"walk.radius": 0.999, "look.grain": 0.001})
    assert osc.counts == Counts(accepted=2000)
    assert osc.drain() == []


@pytest.mark.parametrize(
    "bad",
    [
        message("/walk/speed", math.nan),
        message("/walk/speed", math.inf, tags="d"),
        message("/walk/speed", "fast"),
        message("/walk/speed"),
        message("/walk/speed", b"\1\2", tags="b"),
        message("/walk/speed", 0.5)[:-2],
        b"/walk/speed\0,\xff\0\0",
        bundle(message("/walk/speed", 4.0), b"rubbish!"),
    ],
)
def test_a_bad_message_never_hides_a_good_one(osc: OscIn, send: Sender, bad: bytes) -> None:
    send("/walk/speed", 0.5)
    for _ in range(3):
        send.raw(bad)
    steers = osc.drain()
    if bad == message("/walk/speed", 0.5)[:-2]:
        # python-osc fills up what some programs leave off the end of a float; the newer one is as good.
        assert [n for n, _ in steers] == ["walk.speed"]
        return
    assert steers == [("walk.speed", 0.5)]
    assert osc.counts == Counts(accepted=1, malformed=3)


def test_choices_by_name_are_newest_wins_too(osc: OscIn, send: Sender) -> None:
    for name in ("tear", "dissolve", "tear", "nonsense"):
        send("/blend/transition", name)
    assert osc.drain() == [("blend.transition", "tear")]
    assert osc.counts == Counts(accepted=3, malformed=1)


def test_every_tap_of_a_pad_arrives(osc: OscIn, send: Sender) -> None:
    for strength in (0.25, 0.0, 0.5, 0.0, 1.0, 0.0):
        send("/walk/nudge", strength)
    assert [v for _, v in osc.drain()] == [0.25, 0.0, 0.5, 0.0, 1.0, 0.0]


def test_from_touchosc_to_a_trigger(osc: OscIn, send: Sender) -> None:
    controls = Controls(REGISTRY, {})
    for _ in range(3):
        send("/walk/home", 1.0)
        send("/walk/home", 0.0)
    for name, value in osc.drain():
        controls.set(name, value)
    assert [controls.take("walk.home") for _ in range(4)] == [1.0, 1.0, 1.0, 0.0]


def test_a_bang_is_a_press(osc: OscIn, send: Sender) -> None:
    for tag in (b"N", b"I"):  # OSC 1.0's nil; OSC 1.1's impulse
        send.raw(b"/walk/home\0\0," + tag + b"\0\0")
    assert osc.drain() == [("walk.home", 1.0)] * 2
    assert osc.counts == Counts(accepted=2)


def test_a_pad_under_pressure_is_one_press(osc: OscIn, send: Sender) -> None:
    for n in range(1, 500):
        send("/walk/nudge", n / 500)
    send("/walk/nudge", 0.0)
    assert osc.drain() == [("walk.nudge", pytest.approx(0.002)), ("walk.nudge", 0.0)]
    assert osc.counts == Counts(accepted=500)


def test_below_zero_is_a_release(osc: OscIn, send: Sender) -> None:
    for strength in (1.0, -1.0, 1.0):
        send("/walk/nudge", strength)
    assert [v for _, v in osc.drain()] == [1.0, 0.0, 1.0]


def test_taps_are_bounded_each_trigger_for_itself(osc: OscIn, send: Sender) -> None:
    send("/walk/home", 1.0)
    for _ in range(500):
        send("/walk/nudge", 1.0)
        send("/walk/nudge", 0.0)
    steers = osc.drain()
    assert len(steers) == MAX_HITS + 1 and steers[0] == ("walk.home", 1.0)
    assert osc.counts == Counts(accepted=MAX_HITS + 1, dropped=1000 - MAX_HITS)


# What is not understood


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
    line = "OSC /walk/sped is not the address of any parameter; did you mean /walk/speed?"
    assert [r.getMessage() for r in caplog.records] == [line, line + " (1,219 more like this)"]


@pytest.mark.parametrize("address", ["/walk/sped", "/speed", "/walk.speed", "/WALK/sped/"])
def test_an_unknown_address_is_told_with_the_nearest(
    osc: OscIn, send: Sender, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    send(address, 0.5)
    assert osc.drain() == [] and osc.counts == Counts(unknown=1)
    assert [r.getMessage() for r in caplog.records] == [
        f"OSC {address} is not the address of any parameter; did you mean /walk/speed?"
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


# What the overlay shows


def test_the_status_tells_what_arrives() -> None:
    clock = [100.0]
    osc = OscIn("127.0.0.1", 0, REGISTRY, now=lambda: clock[0])
    osc.start()
    send = Sender(osc.port)
    assert osc.status == Status()
    for _ in range(60):
        clock[0] += 1 / 20
        for value in (0.25, 0.5):
            send("/walk/speed", value)
        osc.drain()
    assert osc.status.rate_hz == pytest.approx(40, rel=0.05)
    assert (osc.status.last, osc.status.mistake) == ("/walk/speed 0.5", "")
    send("/walk/sped", "fast", 1)
    osc.drain()
    clock[0] += 2
    osc.drain()
    assert osc.status.last == "/walk/sped 'fast' 1" and osc.status.last_age_s == pytest.approx(2)
    assert "did you mean /walk/speed?" in osc.status.mistake and osc.status.mistake_age_s == pytest.approx(2)
    clock[0] += 2
    osc.drain()
    assert osc.status.rate_hz == 0
    send.raw(b"walk speed 1;\n")
    osc.drain()
    assert osc.status.last == "this is text, not OSC: 'walk speed 1;'" and osc.status.mistake == osc.status.last
    osc.close()


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        (Status(), ["0 messages/s"]),
        (Status(123.4, "/a 1", 0.1), ["123 messages/s", "last message just now: /a 1"]),
        (Status(0, "/a 1", 7.2, "/b is wrong", 4000), [
            "0 messages/s", "last message 7 s ago: /a 1", "last mistake 67 min ago: /b is wrong",
        ]),
    ],
)  # fmt: skip
def test_the_status_in_lines(status: Status, lines: list[str]) -> None:
    assert status.lines() == lines


def test_the_lines_of_a_status_are_short() -> None:
    lines = Status(1e6, "/x" * 400, 1e6, "word " * 200, 1e6).lines()
    assert len(lines) == 5 and max(map(len, lines)) <= 76


def test_the_status_shows_any_message_in_short(osc: OscIn, send: Sender) -> None:
    send("/look/grain", *range(400))
    osc.drain()
    assert osc.status.last == "/look/grain 0 1 2 3 …"
    send.raw(bundle(message("/look/grain", 0.1), by_hand(b"/look/drift", b"r", b"abcd")))
    osc.drain()
    assert osc.status.last == "/look/drift a colour"


def test_the_log_is_bounded(osc: OscIn, send: Sender, caplog: pytest.LogCaptureFixture) -> None:
    for n in range(1000):
        send(f"/nothing/{n}", 1.0)
        send.raw(b"/walk/speed\0,%c\0\0" % b"QUVWXYZ"[n % 7])
        osc.drain()
    assert len(caplog.records) == MAX_LINES + 1 and any("only counted" in r.getMessage() for r in caplog.records)
    assert all(r.name == "pedesis.osc" and len(r.getMessage()) < 300 for r in caplog.records)
    assert osc.counts == Counts(unknown=1000, malformed=1000)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"/",
        b"/\0\0\0,f\0\0\0\0\0\0",
        b"walk/speed\0\0,f\0\0\0\0\0\0",
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


# Floods


def test_a_flood_at_full_speed(osc: OscIn, send: Sender) -> None:
    """What is sent faster than anybody plays: memory stays flat and the last values land."""
    addresses = ["/walk/speed", "/walk/radius", "/look/grain", "/walk/nudge", "/foo/bar", "/material/*"]
    packets = [message(a, n / 250) for n in range(250) for a in addresses]
    last = [message("/walk/speed", 0.75), message("/look/grain", 0.25)]
    osc.drain()
    tracemalloc.start()
    try:
        sizes = []
        for _ in range(20):
            for packet in packets:
                send.raw(packet)
            osc.drain()
            sizes.append(tracemalloc.get_traced_memory()[0])
        for packet in last:
            send.raw(packet)
        steers = dict(osc.drain())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert steers["walk.speed"] == 0.75 and steers["look.grain"] == 0.25
    counts = osc.counts
    assert counts.accepted + counts.unknown + counts.dropped == 20 * len(packets) + 2
    assert counts.malformed == 0 and counts.dropped < 0.2 * 20 * len(packets)
    assert max(sizes[5:]) < sizes[4] + 100_000 and peak < 3_000_000


def test_patterns_met_for_the_first_time_cannot_hold_up_a_frame() -> None:
    seconds = iter(range(10_000))
    osc = OscIn("127.0.0.1", 0, REGISTRY, now=lambda: next(seconds) * 0.001)  # each look is 1 ms
    osc.start()
    send = Sender(osc.port)
    for n in range(20):
        send(f"/material/*{{clouds,{n}}}", 0.5)
    osc.drain()
    assert osc.counts.dropped > 10 and 0 < osc.counts.accepted < 10
    osc.close()


def test_a_fader_on_a_pattern_is_parsed_once_a_frame(
    osc: OscIn, send: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[bytes] = []

    def spy(raw: bytes) -> tuple[str, list[object]]:
        parsed.append(raw)
        return decode(raw)

    monkeypatch.setattr(osc_room, "decode", spy)
    for n in range(400):
        send("/material/*", n / 400)
    assert dict(osc.drain())["material.pulp"] == pytest.approx(399 / 400)
    assert parsed == [message("/material/*", 399 / 400)]
    assert osc.counts == Counts(accepted=400)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how many packets a socket lost")
def test_what_the_kernel_drops_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "RECEIVE_BYTES", 4096)
    busy, free, put = threading.Event(), threading.Event(), Inbox.put

    def slow(inbox: Inbox, packet: bytes) -> int:
        busy.set()
        free.wait(10)
        return put(inbox, packet)

    monkeypatch.setattr(Inbox, "put", slow)
    osc = OscIn("127.0.0.1", 0, REGISTRY)
    osc.start()
    send = Sender(osc.port)
    send("/walk/speed", 0.5)
    assert busy.wait(10)  # the receiver has taken it out of the socket by itself; until it is free, nobody reads
    for _ in range(499):
        send("/walk/speed", 0.5)
    free.set()
    assert osc.drain() == [("walk.speed", 0.5)]
    counts = osc.counts
    assert counts.dropped > 300 and counts.accepted + counts.dropped == 500
    osc.close()
    assert osc.counts == counts


OSCSEND = shutil.which("oscsend")


@pytest.mark.skipif(OSCSEND is None, reason="oscsend is not installed (apt install liblo-tools)")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["/walk/speed", "f", "0.5"], ("walk.speed", 0.5)),
        (["/walk/speed", "i", "1"], ("walk.speed", 1.0)),
        (["/walk/speed", "d", "0.25"], ("walk.speed", 0.25)),
        (["/walk/pause", "T"], ("walk.pause", True)),
        (["/walk/home", "N"], ("walk.home", 1.0)),
        (["/walk/home"], ("walk.home", 1.0)),
        (["/blend/transition", "s", "tear"], ("blend.transition", "tear")),
        (["/material/pul*", "f", "0.5"], ("material.pulp", 0.5)),
        (["/walk/speed", "S", "0.5"], ("walk.speed", 0.5)),
        (["/blend/transition", "S", "tear"], ("blend.transition", "tear")),
        (["/walk/home", "I"], ("walk.home", 1.0)),
        (["/walk/seed", "c", "5"], ("walk.seed", 5)),
    ],
)
def test_steered_by_oscsend(osc: OscIn, words: list[str], expected: tuple[str, Value]) -> None:
    assert OSCSEND is not None
    subprocess.run([OSCSEND, "127.0.0.1", str(osc.port), *words], check=True, timeout=20)
    assert osc.drain() == [expected]
