"""The queue before the show: bounded, whatever comes and however long nobody reads it."""

import random
import tracemalloc

import pytest

from engine.control.inbox import MAX_HITS, MAX_UNUSUAL, Inbox
from engine.control.resolve import Resolver
from tests.packets import bundle, message
from tests.registry import build_registry

RESOLVER = Resolver(build_registry(["clouds", "pulp", "memory"], ["dissolve", "tear"]))

def test_nobody_draining_costs_bounded_memory() -> None:
    """The show hangs for a while; a flood of the worst kind must not fill the machine meanwhile."""
    inbox = Inbox(RESOLVER)
    taps = [message("/walk/nudge", 1.0), message("/walk/nudge", 0.0)]
    tracemalloc.start()
    try:
        for n in range(4000):
            inbox.put(b"/walk/speed\0,s\0\0%0500d\0\0\0\0" % n)
            inbox.put(bytes(bytearray(taps[n % 2])))  # a copy, as the socket makes
            inbox.put(b"/nowhere/%07d\0\0\0\0,\0\0\0" % n)
            inbox.put(b"/walk/%d*\0" % n)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    batch = inbox.take()
    assert held < 1_000_000
    assert len(batch.messages) == MAX_UNUSUAL + MAX_HITS
    assert batch.unknown == 4000 and batch.dropped == 12_000 - MAX_UNUSUAL - MAX_HITS
    assert inbox.take().messages == []


def test_rejected_packets_are_kept_by_kind_so_that_a_flood_hides_none() -> None:
    inbox = Inbox(RESOLVER)
    for n in range(1000):
        inbox.put(b"rubbish that is always the same %d" % n)
        inbox.put(message("/nowhere", n))
    inbox.put(b"{}")
    inbox.put(message("/elsewhere", 1))
    batch = inbox.take()
    assert batch.malformed == 1001 and [m.count for m in batch.malformed_packets.values()] == [1000, 1]
    assert batch.unknown_addresses == {b"/nowhere": 1000, b"/elsewhere": 1}


def test_ever_new_rubbish_is_bounded() -> None:
    inbox, rng = Inbox(RESOLVER), random.Random(3)
    for n in range(1000):
        inbox.put(rng.randbytes(40))
        inbox.put(message(f"/nowhere/{n}", n))
    batch = inbox.take()
    assert len(batch.malformed_packets) <= 16 and len(batch.unknown_addresses) <= 16
    assert batch.malformed == 1000 and batch.unknown == 1000


def test_an_address_that_is_nearly_right_is_queued_as_the_right_one() -> None:
    inbox = Inbox(RESOLVER)
    for n in range(1000):
        inbox.put(message("/Walk/Speed/", n / 1000))
        inbox.put(message("/walk/speed", n / 1000))
        inbox.put(message("/walk/HOME", n % 2))
    messages = inbox.take().messages
    assert messages[-1].count == 1 and len(messages) == 65  # one value; the newest hits
    assert [m.count for m in messages if m.raw.startswith(b"/walk/speed\0")] == [2000]


@pytest.mark.parametrize("seed", range(4))
def test_no_packet_raises_and_each_message_is_counted_once(seed: int) -> None:
    rng, inbox = random.Random(seed), Inbox(RESOLVER)
    starts = [b"", b"/", b"/walk/speed\0,", b"/WALK//speed\0", b"#bundle\0" + b"\0" * 8, bundle(message("/walk/home"))]
    for _ in range(2000):
        inbox.put(rng.choice(starts) + rng.randbytes(rng.randrange(60)))
    batch = inbox.take()
    queued = sum(m.count for m in batch.messages)
    assert batch.received == queued + batch.unknown + batch.malformed + batch.dropped
