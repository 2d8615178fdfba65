"""The monitor tells of each address how often, what, in which range, and what it drives."""

import math

from engine.control.monitor import MAX_ROWS, Monitor, number
from engine.show.params import Registry
from tests.packets import bundle, by_hand, message
from tests.registry import build_registry


def row_of(monitor: Monitor, address: str, now_s: float = 10.0):  # type: ignore[no-untyped-def]
    return next(row for row in monitor.rows(now_s) if row.address == address)


def test_a_known_address_shows_rate_range_and_what_the_parameter_becomes(registry: Registry) -> None:
    monitor = Monitor(registry)
    for n in range(100):
        monitor.packet(message("/walk/speed", n / 25), n / 50)
        if n % 5 == 0:
            monitor.rows(n / 50)
    row = row_of(monitor, "/walk/speed", 2.0)
    assert abs(row.rate_hz - 50) < 3 and row.count == 100
    assert row.values == "3.960" and row.seen == "0.000 to 3.960"
    assert row.drives.text == "walk.speed" and row.drives.known
    assert math.isclose(row.share, 0.99, abs_tol=1e-6)
    assert row_of(monitor, "/walk/speed", 9.0).rate_hz == 0


def test_what_drives_nothing_says_why(registry: Registry) -> None:
    monitor = Monitor(registry)
    for packet in (
        message("/wlk/speed", 1),
        message("/sensor/1/distance", 2.5, 0.5),
        message("/walk/speed", "fast"),
        message("/osc/port", 1),
        message("/material/*", 0.5),
        b'{"speed": 1}',
        by_hand(b"/walk/speed", b"f"),
        bundle(message("/walk/wander", 2.0), message("/other", True)),
        bundle(b"\xff\xff\xff"),
        b"",
    ):
        monitor.packet(packet, 1.0)
    monitor.heard("midi:cc/1/74", (101,), 1.0)
    told = {row.address: row.drives for row in monitor.rows(1.0)}
    assert told["/wlk/speed"].text == "nothing. Did you mean /walk/speed?" and not told["/wlk/speed"].known
    assert told["/sensor/1/distance"].text == "nothing"
    assert "walk.speed must be a number from 0 to 4" in told["/walk/speed"].text
    assert "where the show begins" in told["/osc/port"].text
    assert told["/material/*"].text == "material.clouds and 2 more"
    assert "JSON" in told["(JSON)"].text
    assert told["(/walk/speed)"].text == "damaged: it is cut short"
    assert told["/walk/wander"].known and told["/other"].text == "nothing"
    assert "damaged bundle" in told["(bundle)"].text and told["(empty)"].text == "an empty packet"
    assert "no mapping" in told["midi:cc/1/74"].text


def test_mappings_are_named(registry: Registry) -> None:
    monitor = Monitor(registry, lambda address: ["walk.radius"] if address == "midi:cc/1/74" else [])
    monitor.heard("midi:cc/1/74", (101,), 1.0)
    assert row_of(monitor, "midi:cc/1/74").drives.text == "walk.radius"


def test_a_stranger_with_ever_new_addresses_pushes_out_only_the_longest_silent(registry: Registry) -> None:
    monitor = Monitor(registry)
    monitor.heard("/old", (1,), 0.0)
    for n in range(MAX_ROWS):
        monitor.heard(f"/new/{n}", (1,), 1.0)
        monitor.heard("/kept", (n,), 1.0)
    addresses = [row.address for row in monitor.rows(1.0)]
    assert len(addresses) == MAX_ROWS and "/kept" in addresses and "/old" not in addresses
    assert addresses.index("/new/9") < addresses.index("/new/10") < addresses.index("/new/100")
    assert len(monitor.rows(1.0, most=5)) == 5


def test_nonsense_values_are_shown_and_never_raise(registry: Registry) -> None:
    monitor = Monitor(registry)
    for value in (math.nan, math.inf, -math.inf, 10**30, "\n\x1b[2J", None, True, b"x"):
        monitor.heard("/walk/speed", (value, value), 1.0)
        (row,) = monitor.rows(1.0)
        assert row.values.isprintable() and row.drives.text.isprintable()
    assert number(10**30) == "1.000e+30" and number(True) == "true"


def test_an_address_with_control_characters_cannot_write_to_the_terminal(registry: Registry) -> None:
    monitor = Monitor(registry)
    monitor.packet(message("/a\x1b[2J", 1), 1.0)
    monitor.packet(by_hand(b"/b\x1b[2J", b"f"), 1.0)
    assert all(row.address.isprintable() for row in monitor.rows(1.0))


def test_what_a_show_forgives_the_monitor_forgives(registry: Registry) -> None:
    monitor = Monitor(registry)
    monitor.packet(by_hand(b"walk/speed", b"i", b"\0\0\0\1"), 1.0)  # SuperCollider sends what is typed
    monitor.packet(by_hand(b"sensor", b"i", b"\0\0\0\1"), 1.0)
    monitor.packet(message("/Walk//Speed/", 2), 1.0)
    told = {row.address: row.drives for row in monitor.rows(1.0)}
    assert told["walk/speed"].text == "walk.speed" and told["/Walk//Speed/"].value == 2.0
    assert "begins with a slash" in told["(sensor)"].text


def test_mappings_and_what_a_parameter_answers_to_beside_its_address() -> None:
    registry = build_registry(["clouds"], ["dissolve"])
    monitor = Monitor(registry, lambda address: ["look.grain"] if address == "/sensor/1" else ())
    for address, argument in (
        ("/sensor/1", 0.5),
        ("/norm/walk/speed", 0.5),
        ("/toggle/stage/blackout", 1),
        ("/smooth/look/grain", 0.25),
    ):
        monitor.heard(address, [argument], 0.0)
    said = {row.address: (row.drives.text, row.drives.value) for row in monitor.rows(1.0)}
    assert said == {
        "/sensor/1": ("look.grain", None),
        "/norm/walk/speed": ("walk.speed", 1.0),
        "/toggle/stage/blackout": ("flips stage.blackout", None),
        "/smooth/look/grain": ("smoothing.look.grain", 0.25),
    }
