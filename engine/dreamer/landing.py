"""How finished pictures come from the device into the slots of the ring, while the next is already being dreamt.

    landings = Landings(copies_of(device))
    landings.pin(memory)                                # once, the ring's
    landing = landings.send([(picture, slot), ...])     # queued on the card; returns at once
    landing.wait()                                      # it lies in the slot; any thread

Dreamer process; torch. A card copies on a stream of its own, into memory that cannot be swapped out: the ring's slots
themselves where the driver takes them, else a buffer from which they are copied once they are there. Elsewhere nothing
is queued: send() copies, and wait() has nothing to wait for.

Never seen on a card: CudaCopies. The rest is tested with copies that land late (tests/card.py).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

log = logging.getLogger("pedesis")

Bytes = NDArray[np.uint8]


class Copies(Protocol):
    """What copies beside what is being computed."""

    def pin(self, memory: Bytes) -> bool:
        """Makes memory fit to be copied to without waiting; False if it cannot be had."""

    def room(self, size: int) -> Tensor:
        """(size,) uint8 that is fit for it."""

    def send(self, pairs: Sequence[tuple[Tensor, Tensor]]) -> Callable[[], None]:
        """Queues copies of what has been computed by then; returns what waits for all of them."""


class CudaCopies:
    """Copies on a stream of their own, after what the current stream has been told."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)

    def pin(self, memory: Bytes) -> bool:
        portable = 1  # cudaHostRegisterPortable: for every context of this process
        try:
            return int(torch.cuda.cudart().cudaHostRegister(memory.ctypes.data, memory.nbytes, portable)) == 0
        except (RuntimeError, TypeError, ValueError) as error:
            log.debug("the ring cannot be pinned: %s", error)
            return False

    def room(self, size: int) -> Tensor:
        return torch.empty(size, dtype=torch.uint8, pin_memory=True)

    def send(self, pairs: Sequence[tuple[Tensor, Tensor]]) -> Callable[[], None]:
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        done = torch.cuda.Event()
        with torch.cuda.stream(self._stream):
            for source, into in pairs:
                into.copy_(source, non_blocking=True)
                source.record_stream(self._stream)  # not given to the next picture before it is copied
            done.record(self._stream)
        return done.synchronize


def copies_of(device: torch.device) -> Copies | None:
    """What copies beside the computing on this device; None where nothing does."""
    return CudaCopies(device) if device.type == "cuda" else None


@dataclass(frozen=True)
class Landing:
    """A picture on its way."""

    _wait: Callable[[], None] = lambda: None
    _last: tuple[tuple[Tensor, Tensor], ...] = ()  # from a buffer into a slot, once it is there
    _give_back: Callable[[], None] = lambda: None

    def wait(self) -> None:
        """Until everything lies where it belongs. Once, in any thread."""
        self._wait()
        for source, into in self._last:
            into.copy_(source)
        self._give_back()


@dataclass
class Landings:
    """Sends pictures; of the buffers, those that have landed are used again."""

    copies: Copies | None
    _pinned: list[tuple[int, int]] = field(default_factory=list)  # address, bytes
    _free: list[Tensor] = field(default_factory=list)  # buffers; append and pop are atomic

    def pin(self, memory: Bytes) -> None:
        """Has these slots written to by the card itself, if they can be."""
        if self.copies is None:
            return
        if self.copies.pin(memory):
            self._pinned.append((memory.ctypes.data, memory.nbytes))
        else:
            log.warning("the card copies pictures into a buffer first: the ring's memory cannot be pinned")

    def send(self, pairs: Sequence[tuple[Tensor, Bytes]]) -> Landing:
        """Sends tensors to flat or shaped places of as many bytes."""
        targets = [(source, torch.from_numpy(into)) for source, into in pairs]
        if self.copies is None:
            for source, into in targets:
                into.copy_(source.reshape(into.shape))
            return Landing()
        targets = [(source.reshape(into.shape), into) for source, into in targets]
        if all(self._is_pinned(into) for _, into in targets):
            return Landing(self.copies.send(targets))
        return self._through_buffer(self.copies, targets)

    def _through_buffer(self, copies: Copies, targets: Sequence[tuple[Tensor, Tensor]]) -> Landing:
        size = sum(into.numel() for _, into in targets)
        buffer = self._free.pop() if self._free else None
        if buffer is None or buffer.numel() < size:
            buffer = copies.room(size)
        first, last, at = [], [], 0
        for source, into in targets:
            piece = buffer[at : at + into.numel()].view(into.shape)
            first.append((source, piece))
            last.append((piece, into))
            at += into.numel()
        return Landing(copies.send(first), tuple(last), lambda: self._free.append(buffer))

    def _is_pinned(self, into: Any) -> bool:
        begin, size = into.data_ptr(), into.numel()
        return any(at <= begin and begin + size <= at + held for at, held in self._pinned)
