"""Pictures that steer a dream, in shared memory: the stage puts them there, the dreamer reads them when it needs them.

    shown = Shown(width, height); shown.show(hash, pixels, needed)     # the stage
    shown.places(hashes)                                               # goes with the waypoint that names them
    Seen().read(place)                                                 # the dreamer: (H, W, 3)

Both processes, one thread each; torch-free. A picture has a piece of memory of its own, which is the stage's and is
used again for another one only while no waypoint on its way names it. So nobody waits for anybody, no pixel goes
through a pipe, and a dreamer that is started again finds everything where it was.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from multiprocessing import shared_memory

import numpy as np
from numpy.typing import NDArray

from engine.dreamer.ring import reserve
from engine.show.errors import CannotStart

KEPT = 16  # pictures; more only while waypoints on their way name more
MOST = 64
log = logging.getLogger("pedesis")


@dataclass(frozen=True)
class Place:
    """Where a picture lies."""

    hash: str
    memory: str  # name of the shared memory
    width: int  # pixels
    height: int


class Shown:
    """The pictures that were shown last; the stage's side.

    lossless: what cannot be kept is an error (film), and is else dropped (live).
    """

    def __init__(self, width: int, height: int, lossless: bool = False) -> None:
        self.width, self.height, self._lossless = width, height, lossless
        self._kept: OrderedDict[str, shared_memory.SharedMemory] = OrderedDict()  # hash -> piece, used last at the end
        self._said = False

    def __contains__(self, hash: str) -> bool:
        return hash in self._kept

    def show(self, hash: str, pixels: NDArray[np.uint8], needed: Collection[str] = ()) -> bool:
        """Keeps a picture, (height, width, 3) uint8, under its name; the one used longest ago goes, but none of those
        that are needed. One that is there already costs nothing. False where there is no room for it."""
        if hash in self._kept:
            self._kept.move_to_end(hash)
            return True
        if pixels.shape != (self.height, self.width, 3) or pixels.dtype != np.uint8:
            wanted = f"({self.height}, {self.width}, 3) of uint8"
            raise ValueError(f"a guide must be {wanted}, got {pixels.shape} of {pixels.dtype}")
        piece = self._piece(set(needed))
        if piece is None:
            return False
        np.ndarray(pixels.shape, np.uint8, buffer=piece.buf)[:] = pixels
        self._kept[hash] = piece
        return True

    def places(self, hashes: Iterable[str]) -> tuple[Place, ...]:
        """Where these pictures lie; those that are not there are left out."""
        found = []
        for hash in hashes:
            if hash in self._kept:
                self._kept.move_to_end(hash)
                found.append(Place(hash, self._kept[hash].name, self.width, self.height))
        return tuple(found)

    def close(self) -> None:
        """Gives all memory back. Safe to call twice."""
        while self._kept:
            _, piece = self._kept.popitem()
            piece.close()
            piece.unlink()

    def _piece(self, needed: set[str]) -> shared_memory.SharedMemory | None:
        """Memory for another picture."""
        free = next((hash for hash in self._kept if hash not in needed), None)
        if len(self._kept) >= KEPT and free is not None:
            return self._kept.pop(free)
        if len(self._kept) >= MOST:
            self._without(f"waypoints on their way name {MOST} others")
            return None
        size = self.height * self.width * 3
        try:
            piece = shared_memory.SharedMemory(create=True, size=size)
        except OSError as error:
            self._without(f"there is no shared memory ({error.strerror})")
            return None
        try:
            reserve(piece, size)
        except OSError as error:
            piece.close()
            piece.unlink()
            if free is not None:
                return self._kept.pop(free)
            self._without(f"{size / 1e6:.1f} MB of shared memory cannot be had ({error.strerror})")
            return None
        return piece

    def _without(self, why: str) -> None:
        """There is no room. Raises CannotStart in a film."""
        if self._lossless:
            raise CannotStart(f"a picture that steers cannot be kept: {why}")
        if not self._said:
            self._said = True
            log.warning("a picture that steers is left out: %s", why)


class Seen:
    """The pieces of memory that were read from; the dreamer's side. Several threads may read."""

    def __init__(self) -> None:
        self._pieces: dict[str, shared_memory.SharedMemory] = {}
        self._lock = threading.Lock()

    def read(self, place: Place) -> NDArray[np.uint8]:
        """A copy of the picture that lies there, (H, W, 3). Raises OSError where nothing does."""
        with self._lock:
            if place.memory not in self._pieces:
                self._pieces[place.memory] = shared_memory.SharedMemory(name=place.memory)
            piece = self._pieces[place.memory]
        return np.ndarray((place.height, place.width, 3), np.uint8, buffer=piece.buf).copy()

    def close(self) -> None:
        """Lets go of the memory, which stays the stage's."""
        for piece in self._pieces.values():
            piece.close()
        self._pieces.clear()
