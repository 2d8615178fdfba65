"""Pictures that land later: in their slots when they were waited for, and nobody's memory is used twice meanwhile."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.dreamer.landing import Landings, copies_of
from tests.card import StandInCopies


def picture(value: int, shape: tuple[int, ...] = (4, 6, 3)) -> torch.Tensor:
    return torch.full(shape, value, dtype=torch.uint8)


def slot(shape: tuple[int, ...] = (4, 6, 3)) -> NDArray[np.uint8]:
    return np.zeros(shape, np.uint8)


@pytest.fixture(params=[True, False], ids=["pinned", "through a buffer"])
def landings(request: Any) -> tuple[Landings, NDArray[np.uint8]]:
    """And the ring's memory, of four slots."""
    made, ring = Landings(StandInCopies(request.param)), np.zeros((4, 4, 6, 3), np.uint8)
    made.pin(ring)
    return made, ring


def test_nothing_lands_before_it_is_waited_for(landings: tuple[Landings, NDArray[np.uint8]]) -> None:
    sends, ring = landings
    landing = sends.send([(picture(7), ring[1])])
    assert not ring.any()
    landing.wait()
    assert (ring[1] == 7).all() and not ring[[0, 2, 3]].any()


def test_several_on_their_way_land_each_in_its_own_slot(landings: tuple[Landings, NDArray[np.uint8]]) -> None:
    sends, ring = landings
    under_way = [sends.send([(picture(n + 1), ring[n])]) for n in range(3)]
    for landing in reversed(under_way):
        landing.wait()
    assert [int(s.max()) for s in ring] == [int(s.min()) for s in ring] == [1, 2, 3, 0]


def test_a_picture_and_what_it_came_of_land_together(landings: tuple[Landings, NDArray[np.uint8]]) -> None:
    sends, ring = landings
    flat = ring[2].reshape(-1)
    sends.send([(picture(5), ring[0]), (picture(9, (30,)), flat[:30])]).wait()
    assert (ring[0] == 5).all() and (flat[:30] == 9).all() and not flat[30:].any()


def test_a_pinned_ring_is_written_to_without_a_buffer() -> None:
    copies, ring = StandInCopies(), slot((2, 4, 6, 3))
    sends = Landings(copies)
    sends.pin(ring)
    sends.send([(picture(1), ring[0])])
    (_, into), *_ = copies.queued
    assert into.data_ptr() == ring.ctypes.data
    elsewhere = slot()
    sends.send([(picture(1), elsewhere)])
    assert copies.queued[-1][1].data_ptr() != elsewhere.ctypes.data, "memory that is not pinned goes through a buffer"


def test_what_cannot_be_pinned_is_said_and_buffers_are_used_again(caplog: pytest.LogCaptureFixture) -> None:
    copies, places = StandInCopies(pins=False), []
    sends = Landings(copies)
    sends.pin(slot())
    assert [r.getMessage() for r in caplog.records] == [
        "the card copies pictures into a buffer first: the ring's memory cannot be pinned"
    ]
    for n in range(5):
        out = slot()
        landing = sends.send([(picture(n), out)])
        places.append(copies.queued[-1][1].data_ptr())
        landing.wait()
        assert (out == n).all()
    assert len(set(places)) == 1
    first, second = (sends.send([(picture(n), slot())]) for n in (1, 2))
    assert len({into.data_ptr() for _, into in copies.queued}) == 2, "not while it is under way"
    second.wait()
    first.wait()


def test_a_larger_picture_gets_a_larger_buffer() -> None:
    sends, small, large = Landings(StandInCopies(pins=False)), slot(), slot((8, 6, 3))
    sends.send([(picture(1), small)]).wait()
    sends.send([(picture(2, (8, 6, 3)), large)]).wait()
    assert (small == 1).all() and (large == 2).all()


def test_on_a_processor_it_is_there_at_once() -> None:
    sends, out = Landings(copies_of(torch.device("cpu"))), slot()
    sends.pin(out)  # which is nothing there
    landing = sends.send([(picture(3), out)])
    assert (out == 3).all()
    landing.wait()
