"""OSC in: real packets through real sockets, from friends, from phones and from a fuzzer.

A UDP packet to this machine is in the receiver's queue when `send` returns, and `drain` empties that queue
itself, so nothing here sleeps or waits.
"""

import logging
import math
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import astuple

import pytest
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

from engine.control import osc as osc_room
from engine.control.controls import Controls
from engine.control.inbox import MAX_HITS, MAX_MESSAGE_BYTES, MAX_ODD, Inbox, split_bundle
from engine.control.osc import MAX_LINES, Counts, OscIn, PortTaken, parse
from engine.show.params import Value
from tests.registry import build_registry

REGISTRY = build_registry(["clouds", "pulp", "memory"], ["dissolve", "tear"])


class Sender:
    """Something on the network that steers."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))

    def raw(self, packet: bytes) -> None:
        self.socket.send(packet)

    def __call__(self, address: str, *args: object, tags: str | None = None) -> None:
        self.raw(message(address, *args, tags=tags))


def message(address: str, *args: object, tags: str | None = None) -> bytes:
    builder = OscMessageBuilder(address)
    for n, arg in enumerate(args):
        builder.add_arg(arg, tags[n] if tags else None)  # type: ignore[arg-type]
    return builder.build().dgram


def bundle(*contents: bytes, time_tag: bytes = b"\0\0\0\0\0\0\0\1") -> bytes:
    return b"#bundle\0" + time_tag + b"".join(struct.pack(">i", len(c)) + c for c in contents)


@pytest.fixture
def osc() -> Iterator[OscIn]:
    listening = OscIn("127.0.0.1", 0, REGISTRY)
    listening.start()
    yield listening
    listening.close()


@pytest.fixture
def send(osc: OscIn) -> Iterator[Sender]:
    sender = Sender(osc.port)
    yield sender
    sender.socket.close()


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
    ],
)
def test_types(osc: OscIn, send: Sender, address: str, args: list, tags: str, expected: Value) -> None:
    send(address, *args, tags=tags)
    assert osc.drain() == [(address[1:].replace("/", "."), expected)]
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


def test_a_bang_is_a_press(osc: OscIn) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for tag in (b"N", b"I"):  # OSC 1.0's nil; OSC 1.1's impulse
            sender.sendto(b"/walk/home\0\0," + tag + b"\0\0", ("127.0.0.1", osc.port))
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


@pytest.mark.parametrize(
    ("address", "near"),
    [
        ("/walk/sped", "/walk/speed"),
        ("/walk/speed/", "/walk/speed"),
        ("/Walk/Speed", "/walk/speed"),
        ("/speed", "/walk/speed"),
        ("/material/cloud", "/material/clouds"),
    ],
)
def test_an_unknown_address_is_told_once_with_the_nearest(
    osc: OscIn, send: Sender, caplog: pytest.LogCaptureFixture, address: str, near: str
) -> None:
    for n in range(50):
        send(address, n / 50)
        assert osc.drain() == []
    assert [r.getMessage() for r in caplog.records] == [
        f"OSC '{address}': no parameter has this address; did you mean {near}?"
    ]
    assert osc.counts == Counts(unknown=50)


def test_what_is_wrong_is_said_once(osc: OscIn, send: Sender, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        send("/walk/speed", "fast")
        send("/walk/loop", 6.0)
        send("/material/x*", 1.0)
        send.raw(b"GET / HTTP/1.1\r\n\r\n")
        osc.drain()
    assert sorted(r.getMessage() for r in caplog.records) == [
        "OSC '/material/x*': reaches no parameter",
        "OSC '/walk/loop': can only be set where the show begins: in its file or with --set",
        "OSC '/walk/speed': allowed is a number from 0 to 4 phase/s, given 'fast'",
        "OSC packet: not OSC: b'GET / HTTP/1.1\\r\\n\\r\\n'",
    ]
    assert osc.counts == Counts(unknown=6, malformed=6)


def test_the_log_is_bounded(osc: OscIn, send: Sender, caplog: pytest.LogCaptureFixture) -> None:
    for n in range(1000):
        send(f"/nothing/{n}", 1.0)
        send.raw(b"/walk/speed\0,Q%c\0" % (65 + n % 26))
        osc.drain()
    assert len(caplog.records) == MAX_LINES + 1 and "only counted" in caplog.records[-1].getMessage()
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
        b"/walk/nudge\0,f\0\0\x7f\xc0\0\0",
        message("/walk/speed", "x" * MAX_MESSAGE_BYTES),
        message("/walk/home", "x" * MAX_MESSAGE_BYTES),
        b"/" + b"a" * 60_000 + b"\0",
    ],
    ids=range(22),
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


def test_random_bytes_never_raise_anything_but_what_is_promised() -> None:
    rng, inbox = random.Random(7), Inbox(REGISTRY)
    starts = [b"", b"/", b"/walk/speed\0,", b"#bundle\0" + b"\0" * 8]
    for _ in range(5000):
        data = rng.choice(starts) + rng.randbytes(rng.randrange(60))
        inbox.put(data)
        split_bundle(data)
        try:
            parse(data)
        except ValueError as error:
            assert "\n" not in str(error)


# Floods


def test_a_flood_at_full_speed(osc: OscIn, send: Sender) -> None:
    """What is sent faster than anybody plays: memory stays flat and the last values land."""
    addresses = ["/walk/speed", "/walk/radius", "/look/grain", "/walk/nudge", "/foo/bar", "/material/*"]
    packets = [message(a, n / 500) for n in range(500) for a in addresses]
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


def test_nobody_draining_costs_bounded_memory() -> None:
    """The show hangs for a while; a flood of the worst kind must not fill the machine meanwhile."""
    inbox = Inbox(REGISTRY)
    taps = [message("/walk/nudge", 1.0), message("/walk/nudge", 0.0)]
    tracemalloc.start()
    try:
        for n in range(10_000):
            inbox.put(b"/walk/speed\0,s\0\0%0500d\0\0\0\0" % n)
            inbox.put(bytes(bytearray(taps[n % 2])))  # a copy, as the socket makes
            inbox.put(b"/nowhere/%07d\0\0\0\0,\0\0\0" % n)
            inbox.put(b"/walk/%d*\0" % n)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    mail = inbox.take()
    assert held < 1_000_000
    assert len(mail.letters) == MAX_ODD + MAX_HITS
    assert mail.unknown == 10_000 and mail.dropped == 30_000 - MAX_ODD - MAX_HITS
    assert inbox.take().letters == []


def test_patterns_met_for_the_first_time_cannot_hold_up_a_frame(
    osc: OscIn, send: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(10_000))
    monkeypatch.setattr(osc_room.time, "perf_counter", lambda: next(seconds) * 0.001)  # each look is 1 ms
    for n in range(20):
        send(f"/material/*{{clouds,{n}}}", 0.5)
    osc.drain()
    assert osc.counts.dropped > 10 and 0 < osc.counts.accepted < 10


def test_a_fader_on_a_pattern_is_parsed_once_a_frame(
    osc: OscIn, send: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[bytes] = []

    def spy(raw: bytes) -> tuple[str, list[object]]:
        parsed.append(raw)
        return parse(raw)

    monkeypatch.setattr(osc_room, "parse", spy)
    for n in range(400):
        send("/material/*", n / 400)
    assert dict(osc.drain())["material.pulp"] == pytest.approx(399 / 400)
    assert parsed == [message("/material/*", 399 / 400)]
    assert osc.counts == Counts(accepted=400)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how many packets a socket lost")
def test_what_the_kernel_drops_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(osc_room, "_RECEIVE_BYTES", 4096)
    osc = OscIn("127.0.0.1", 0, REGISTRY)
    osc.start()
    send = Sender(osc.port)
    with osc._lock:  # nobody reads
        for _ in range(500):
            send("/walk/speed", 0.5)
    assert osc.drain() == [("walk.speed", 0.5)]
    counts = osc.counts
    assert counts.dropped > 300 and counts.accepted + counts.dropped == 500
    osc.close()
    assert osc.counts == counts


# Ports and addresses


def test_a_taken_port_is_one_sentence_with_the_cure(osc: OscIn) -> None:
    with pytest.raises(PortTaken) as caught:
        OscIn("127.0.0.1", osc.port, REGISTRY).start()
    said = str(caught.value)
    assert re.fullmatch(
        rf"OSC port {osc.port} on 127\.0\.0\.1 is taken by .+: close it, or choose another port with "
        r"--osc-port \(or port under \[osc\] in the show\)",
        said,
    )


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host", "192.168..1"])
def test_an_address_of_another_machine(host: str) -> None:
    with pytest.raises(PortTaken, match=r"is not an address of this machine: put 127\.0\.0\.1, or 0"):
        OscIn(host, 7000, REGISTRY).start()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux binds to an address that is not there yet")
def test_a_gallery_does_not_wait_for_its_address(caplog: pytest.LogCaptureFixture) -> None:
    osc = OscIn("192.0.2.1", 0, REGISTRY, patient=True)
    with caplog.at_level("WARNING", "pedesis.osc"):
        osc.start()
    assert "192.0.2.1 is not an address of this machine yet" in caplog.text and osc.port > 0
    osc.close()


def test_localhost_is_where_controllers_send_to(monkeypatch: pytest.MonkeyPatch) -> None:
    four = (socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("127.0.0.1", 0))
    six = (socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("::1", 0, 0, 0))
    monkeypatch.setattr("engine.control.osc.socket.getaddrinfo", lambda *_, **__: [six, four])
    osc = OscIn("localhost", 0, REGISTRY)
    osc.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(message("/walk/seed", 5), ("127.0.0.1", osc.port))
    assert osc.drain() == [("walk.seed", 5)]
    osc.close()


def test_a_port_is_free_again_after_close(osc: OscIn) -> None:
    osc.close()
    again = OscIn("127.0.0.1", osc.port, REGISTRY)
    again.start()
    again.close()
    again.close()
    assert again.drain() == []


def test_addresses() -> None:
    assert OscIn("127.0.0.1", 0, REGISTRY).addresses() == ["127.0.0.1"]
    wide = OscIn("0.0.0.0", 0, REGISTRY).addresses()
    assert wide and all(socket.inet_aton(a) for a in wide)
    assert "127.0.0.1" not in wide or wide == ["127.0.0.1"]


def test_bound_wide_it_hears_every_address() -> None:
    osc = OscIn("0.0.0.0", 0, REGISTRY)
    osc.start()
    try:
        for n, address in enumerate(osc.addresses()):
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sender.sendto(message("/walk/seed", n), (address, osc.port))
            sender.close()
            assert osc.drain() == [("walk.seed", n)]
    finally:
        osc.close()


def test_the_receiver_thread_empties_the_socket_by_itself(osc: OscIn, send: Sender) -> None:
    send("/walk/speed", 0.5)
    for _ in range(10_000):  # yields to the thread; a fast machine needs one round
        with osc._lock:
            if osc._inbox._newest:
                break
        osc._closing.wait(0.001)
    assert osc._inbox._newest


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
    ],
)
def test_steered_by_oscsend(osc: OscIn, words: list[str], expected: tuple[str, Value]) -> None:
    assert OSCSEND is not None
    subprocess.run([OSCSEND, "127.0.0.1", str(osc.port), *words], check=True, timeout=20)
    assert osc.drain() == [expected]
