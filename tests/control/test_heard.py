"""What moves is kept newest, what happens is kept in order, and what is full says so."""

from engine.control.heard import MAX_EVENTS, HeardQueue


def test_of_what_moves_the_newest_and_of_what_happens_everything_in_order() -> None:
    queue = HeardQueue()
    queue.put("midi:cc/1/74", 1)
    queue.put("midi:note/1/60", 99)
    queue.put("midi:note/1/60", 0)
    queue.put("midi:cc/1/74", 2)
    queue.put("midi:note/1/60", 88)
    assert queue.take() == [
        ("midi:note/1/60", (99,)),
        ("midi:note/1/60", (0,)),
        ("midi:cc/1/74", (2,)),
        ("midi:note/1/60", (88,)),
    ]
    assert queue.take() == []


def test_a_flood_drops_the_oldest_and_counts_it() -> None:
    queue = HeardQueue()
    for n in range(MAX_EVENTS + 10):
        queue.put("midi:note/1/60", n)
        queue.put("midi:cc/1/74", n)
    taken = queue.take()
    notes = [values[0] for address, values in taken if address == "midi:note/1/60"]
    assert notes == list(range(10, MAX_EVENTS + 10)) and queue.dropped == 10
    assert ("midi:cc/1/74", (MAX_EVENTS + 9,)) in taken
