"""Slots of shared memory: handed out, written by another process, gone afterwards."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
from multiprocessing import shared_memory

import numpy as np
import pytest

from engine.dreamer import ring
from engine.dreamer.ring import Ring
from engine.show.errors import CannotStart


def _fill(place: tuple[str, int, int, int], slot: int, value: int, die: bool) -> None:
    ring = Ring.attach(*place)
    ring.picture(slot)[:] = value
    if die:
        os.kill(os.getpid(), signal.SIGKILL)
    ring.close()


def place(ring: Ring) -> tuple[str, int, int, int]:
    return ring.name, ring.slots, ring.width, ring.height


@pytest.mark.parametrize("die", [False, True])
def test_another_process_writes_a_slot_even_if_it_is_killed(die: bool) -> None:
    ring = Ring.create(3, 32, 16)
    name = ring.name
    slot = ring.claim()
    assert slot is not None
    child = multiprocessing.get_context("spawn").Process(target=_fill, args=(place(ring), slot, 77, die))
    child.start()
    child.join(30)
    picture = ring.picture(slot)
    assert picture.shape == (16, 32, 3) and picture.dtype == np.uint8
    assert (picture == 77).all()
    del picture
    ring.close()
    with pytest.raises(FileNotFoundError):
        shared_memory.SharedMemory(name=name)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no posix_fallocate here")
def test_shared_memory_that_is_too_small_is_one_sentence_and_nothing_left(monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(os.listdir("/dev/shm"))

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(CannotStart, match=r"29 MB of shared memory cannot be had .*--shm-size"):
        Ring.create(8, 1024, 1024)
    assert set(os.listdir("/dev/shm")) <= before


def test_no_shared_memory_at_all_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "/psm_1")

    monkeypatch.setattr(ring.shared_memory, "SharedMemory", refuse)
    with pytest.raises(CannotStart, match=r"there is no shared memory .*writable"):
        Ring.create(8, 64, 64)


def test_slots_are_claimed_once_and_given_back() -> None:
    ring = Ring.create(2, 8, 8)
    try:
        assert {ring.claim(), ring.claim()} == {0, 1}
        assert ring.claim() is None and ring.free == 0
        ring.release(1)
        assert ring.claim() == 1
        with pytest.raises(ValueError, match="claimed slot"):
            ring.release(5)
        ring.release(0)
        with pytest.raises(ValueError, match="claimed slot"):
            ring.release(0)
    finally:
        ring.close()


def test_closing_with_a_view_still_held_removes_the_name_and_leaves_the_view() -> None:
    ring = Ring.create(1, 8, 8)
    view, name = ring.picture(0), ring.name
    view[:] = 5
    ring.close()
    ring.close()
    assert (view == 5).all()
    with pytest.raises(FileNotFoundError):
        shared_memory.SharedMemory(name=name)


def test_what_is_asked_of_a_ring_is_checked() -> None:
    with pytest.raises(ValueError, match="positive slots and size"):
        Ring.create(0, 8, 8)
    ring = Ring.create(1, 8, 8)
    with pytest.raises(ValueError, match=r"need \d+ bytes"):
        Ring.attach(ring.name, 1000, 512, 512)
    ring.close()
    with pytest.raises(ValueError, match="closed"):
        ring.picture(0)


def test_importing_the_ring_and_the_dreamer_imports_no_torch() -> None:
    code = (
        "import sys, engine.dreamer.ring, engine.dreamer.models, engine.dreamer.worker, engine.walk.navigator;"
        "print([m for m in ('torch', 'diffusers', 'transformers', 'scipy') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert out.stdout.strip() == "[]"
