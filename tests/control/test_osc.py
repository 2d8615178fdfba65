"""OSC in, end to end: real packets through real sockets, what they set and what the overlay shows of them."""

import math
import shutil
import subprocess

import pytest
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message_builder import OscMessageBuilder

from engine.control.controls import Controls
from engine.control.inbox import MAX_HITS
from engine.control.mistakes import MAX_LINES
from engine.control.osc import Counts, OscIn, Status
from engine.show.params import Value
from tests.packets import Sender, bundle, by_hand, message
from tests.registry import build_registry

REGISTRY = build_registry(["clouds", "pulp", "memory"], ["dissolve", "tear"])


@pytest.mark.parametrize("name", list(REGISTRY))
def test_every_parameter_is_at_its_address(osc: OscIn, send: Sender, name: str) -> None:
    param = REGISTRY[name]
    given = "a {} whale" if param.kind == "text" else 1
    send(param.address, given)
    if param.live:
        assert osc.drain() == [(name, param.from_osc([given]))]
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
        ("walk/speed", [0.5], "f", 0.5),
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


def test_a_missing_slash_in_a_bundle(osc: OscIn, send: Sender) -> None:
    send.raw(bundle(message("walk/speed", 1.0), message("/look/grain", 0.75)))
    assert osc.drain() == [("walk.speed", 1.0), ("look.grain", 0.75)]


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
    assert "Did you mean /walk/speed?" in osc.status.mistake and osc.status.mistake_age_s == pytest.approx(2)
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
