"""Where scraps drift: a slow walk of the same kind as the one through latent space, one for each.

    places = Drift(seed).places([7, 12], time_s=80.0, pedesis=0.3)      # (n, 3): across, up, turn
    apart(places_px, half_px, presence, screen)                          # nudged, so that they can be read

Across and up go from 0 to 1; a turn is in radians. Everything is a function of seed, number, time and walk.pedesis, so
a film is the same however it is made. Plain numbers; any thread.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.walk.spectrum import K, amplitudes, frequencies

CORRELATION_S = 16.0  # after which a scrap has forgotten where it was
REACH = 0.17  # of the frame: how far it strays from its own place, one standard deviation
TURN = 0.075  # radians: the same of its turning
KEPT = 256  # walks that are remembered
NUDGES = 8  # rounds of pushing apart
SPACE = 1.22  # room that each keeps, of its own size


class Drift:
    """The walks of a show's scraps."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._walks: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}

    def places(self, numbers: Sequence[int], time_s: float, pedesis: float) -> NDArray[np.float64]:
        """(n, 3): across, up and turn of each."""
        angle = frequencies() * (time_s / CORRELATION_S)
        a = amplitudes(pedesis)
        basis = np.concatenate((a * np.cos(angle), a * np.sin(angle)))  # (2K,)
        found = np.empty((len(numbers), 3))
        for n, number in enumerate(numbers):
            home, walk = self._walk(number)
            found[n] = home + walk @ basis * (REACH, REACH, TURN)
        # Turned back gently at the edges, as by the rim of a vat: a triangle wave with its corners rounded.
        found[:, :2] = 0.5 + np.arcsin(0.97 * np.sin(np.pi * (found[:, :2] - 0.5))) / (2 * np.arcsin(0.97))
        return found

    def _walk(self, number: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Home (3,) and the fields A, B of the walk (3, 2K)."""
        if number not in self._walks:
            if len(self._walks) >= KEPT:
                self._walks.clear()
            rng = np.random.default_rng((self.seed, number & 0xFFFFFFFF))
            home = np.append(rng.uniform(0.0, 1.0, 2), rng.normal(0.0, 0.05))
            self._walks[number] = home, rng.standard_normal((3, 2 * K))
        return self._walks[number]


class Kept(Protocol):
    """A part of the screen at its lower edge that is to be kept clear (captions.Zone)."""

    @property
    def left(self) -> float: ...
    @property
    def right(self) -> float: ...
    @property
    def top(self) -> float: ...
    @property
    def strength(self) -> float: ...


def apart(
    middles: NDArray[np.float64],
    halves: NDArray[np.float64],
    weights: NDArray[np.float64],
    screen: tuple[int, int],
    clear: Kept | None = None,
) -> NDArray[np.float64]:
    """Middles (n, 2) within the screen, moved so that ellipses about those half sizes (n, 2) overlap less: the more,
    the greater both weights (n,), so that one that is hardly there pushes nobody. All in pixels."""
    if clear is not None:
        middles = _lifted(middles, halves, clear)
    low = np.minimum(0.86 * halves, np.array(screen) / 2.0)
    high = np.array(screen) - low
    middles = np.clip(middles, low, high)
    both = SPACE * (halves[:, None] + halves[None])  # (n, n, 2)
    strength = np.sqrt(weights[:, None] * weights[None])
    np.fill_diagonal(strength, 0.0)
    for _ in range(NUDGES):
        way = (middles[:, None] - middles[None]) / both
        distance = np.sqrt((way**2).sum(-1)) + 1e-6
        push = np.maximum(1.0 - distance, 0.0) * strength * 0.3
        moved = middles + (way / distance[..., None] * both * push[..., None]).sum(1)
        middles = np.clip(moved if clear is None else _lifted(moved, halves, clear), low, high)
    return middles


def _lifted(middles: NDArray[np.float64], halves: NDArray[np.float64], clear: Kept) -> NDArray[np.float64]:
    """Those that are over what is to be kept clear, moved up out of it; gently as they come from the side."""
    x, y = middles.T
    inward = np.minimum(x + halves[:, 0] - clear.left, clear.right - x + halves[:, 0]) / (1.4 * halves[:, 0])
    part = np.clip(inward, 0.0, 1.0)
    rise = np.maximum(clear.top + halves[:, 1] - y, 0.0) * part * part * (3.0 - 2.0 * part) * clear.strength
    return np.stack([x, y + rise], axis=1)
