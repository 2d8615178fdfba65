"""Slots of shared memory that carry pictures from the dreamer process to the stage.

Usage: `ring = Ring.create(slots=6, width, height)`; the other process calls `Ring.attach(ring.name, ...)`.
Both processes, one thread each; torch-free. The owner (the stage) hands out slot numbers and takes them
back, so that no slot is ever written while it is being read, and needs no lock for it. When no slot is free
the dreamer simply gets no new waypoint: nothing queues up and nothing is overwritten.

Beside the picture there is room for what it came of: noise and latent, a byte a number, at most CHANNELS of them for
every 8 by 8 pixels. What is larger is thinned out to fit (numbers.py).
"""

import os
from multiprocessing import shared_memory

import numpy as np
from numpy.typing import NDArray

from engine.show.errors import CannotStart

CHANNELS = 16
CELL_PX = 8
Shape = tuple[int, int, int]  # (C, h, w)
Shapes = tuple[Shape | None, Shape | None]  # of the noise and of the latent


def room(width: int, height: int) -> int:
    """How many numbers there is room for, beside a picture of that size, for noise and for latent each."""
    return CHANNELS * -(-width // CELL_PX) * -(-height // CELL_PX)


def reserve(memory: shared_memory.SharedMemory, size: int) -> None:
    """Takes the pages now. In a container whose /dev/shm is small they would be missed later, and writing to one
    that is not there kills without a word."""
    descriptor = getattr(memory, "_fd", -1)
    if hasattr(os, "posix_fallocate") and descriptor >= 0:
        os.posix_fallocate(descriptor, 0, size)


class Ring:
    """A fixed number of (H, W, 3) uint8 pictures, and what they came of, in one block of shared memory."""

    def __init__(self, memory: shared_memory.SharedMemory, slots: int, width: int, height: int, owner: bool) -> None:
        self._memory = memory
        self._owner = owner
        self.slots, self.width, self.height = slots, width, height
        pixels = slots * height * width * 3
        numbers = room(width, height)
        size = pixels + slots * 2 * numbers
        if memory.buf is None or memory.size < size:
            raise ValueError(f"{slots} slots of {width}x{height} need {size} bytes, got {memory.size}")
        flat: NDArray[np.uint8] = np.frombuffer(memory.buf, dtype=np.uint8, count=size)
        self._pictures: NDArray[np.uint8] | None = flat[:pixels].reshape(slots, height, width, 3)  # (S, H, W, 3)
        self._numbers: NDArray[np.uint8] | None = flat[pixels:].reshape(slots, 2, numbers)  # noise, latent
        self._free = list(range(slots)) if owner else []

    @classmethod
    def create(cls, slots: int, width: int, height: int) -> "Ring":
        """New slots, owned by this process, which unlinks them in close(). Raises CannotStart."""
        if slots < 1 or width < 1 or height < 1:
            raise ValueError(f"a ring needs positive slots and size, got {slots} of {width}x{height}")
        size = slots * (height * width * 3 + 2 * room(width, height))
        try:
            memory = shared_memory.SharedMemory(create=True, size=size)
        except OSError as error:  # a /dev/shm that is missing, or read-only as all else
            raise CannotStart(
                f"there is no shared memory ({error.strerror}): /dev/shm must be there and writable "
                "(mount -t tmpfs tmpfs /dev/shm)"
            ) from error
        try:
            reserve(memory, size)
        except OSError as error:
            memory.close()
            memory.unlink()
            raise CannotStart(
                f"{size / 1e6:.0f} MB of shared memory cannot be had ({error.strerror}): make /dev/shm larger "
                "(docker run --shm-size=1g), or dream smaller pictures",
            ) from error
        return cls(memory, slots, width, height, owner=True)

    @classmethod
    def attach(cls, name: str, slots: int, width: int, height: int) -> "Ring":
        """The slots that another process made. A spawned child shares its parent's resource tracker, in whose
        set of names a second registration changes nothing: only the owner's close() removes it."""
        return cls(shared_memory.SharedMemory(name=name), slots, width, height, owner=False)

    @property
    def name(self) -> str:
        return self._memory.name

    def picture(self, slot: int) -> NDArray[np.uint8]:
        """The picture in a slot, (H, W, 3) uint8, a view."""
        if self._pictures is None:
            raise ValueError("the ring is closed")
        return self._pictures[slot]

    def numbers(self, slot: int) -> NDArray[np.uint8]:
        """Room for the noise and the latent of a slot's picture, (2, N) uint8, a view."""
        if self._numbers is None:
            raise ValueError("the ring is closed")
        return self._numbers[slot]

    @property
    def memory(self) -> NDArray[np.uint8]:
        """All of it, flat, a view."""
        if self._memory.buf is None:
            raise ValueError("the ring is closed")
        return np.frombuffer(self._memory.buf, dtype=np.uint8)

    def claim(self) -> int | None:
        """A free slot, or None. Owner only."""
        return self._free.pop(0) if self._free else None

    def release(self, slot: int) -> None:
        """Gives a claimed slot back. Owner only."""
        if not 0 <= slot < self.slots or slot in self._free:
            raise ValueError(f"release needs a claimed slot of 0..{self.slots - 1}, got {slot}")
        self._free.append(slot)

    @property
    def free(self) -> int:
        return len(self._free)

    def close(self) -> None:
        """Lets go of the memory; the owner removes it from the system too. Safe to call twice."""
        self._pictures = self._numbers = None
        try:
            self._memory.close()
        except BufferError:
            # Somebody still holds a view, with which the mapping will go. SharedMemory must forget it, or it
            # tries again in its __del__ and complains on stderr.
            self._memory._mmap = None  # type: ignore[attr-defined]
            self._memory.close()
        if self._owner:
            self._owner = False
            self._memory.unlink()
