"""OSC in, end to end: more than anybody plays. Memory stays flat, frames are not held up, the last values land."""

import sys
import threading
import tracemalloc

import pytest

from engine.control import listen
from engine.control import osc as osc_room
from engine.control.inbox import Inbox
from engine.control.message import decode
from engine.control.osc import Counts, OscIn
from tests.packets import Sender, message
from tests.registry import build_registry

REGISTRY = build_registry(["clouds", "pulp", "memory"], ["dissolve", "tear"])


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

    def slow(inbox: Inbox, packet: bytes, *more: object) -> int:
        busy.set()
        free.wait(10)
        return put(inbox, packet, *more)

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
