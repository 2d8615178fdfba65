"""The encoded words of several palettes, of which each waypoint names one.

Usage: `palettes = Palettes(palette.id, conditioning)`; `palettes.add(other.id, ...)`; `palettes.mix(id, weights)`.
Dreamer process; torch. Threads may add while others mix.
"""

import logging
import threading
from collections.abc import Sequence

from torch import Tensor

from engine.dreamer.noise import Conditioning
from engine.dreamer.spec import PALETTES

log = logging.getLogger("pedesis")


class Palettes:
    """Conditioning by palette; the newest PALETTES, and always the first.

    one_length: recorded networks take texts as long as the first ones only.
    """

    def __init__(self, first: str, conditioning: Conditioning, one_length: bool = False) -> None:
        self._first = self._newest = first
        self._one_length = one_length
        self._known = {first: conditioning}
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """How many materials the first palette has."""
        return self._known[self._first].count

    def add(self, id: str, conditioning: Conditioning) -> None:
        """Takes another palette. What is longer than may be is cut, and that is said."""
        if self._one_length:
            cut = conditioning.length - self._known[self._first].length
            conditioning = conditioning.fitted(self._known[self._first].length)
            if cut > 0:
                log.warning("the new words are longer than those the show began with: %d tokens are dropped", cut)
        with self._lock:
            self._known[id] = conditioning
            self._newest = id
            for old in [known for known in self._known if known != self._first][: -PALETTES + 1]:
                del self._known[old]

    def mix(self, id: str, weights: Sequence[float]) -> dict[str, Tensor]:
        """The weighted mean over a palette's materials; "" is the first. A palette that is not known is answered with
        the newest, and weights that do not fit with equal parts: a picture rather than an end."""
        with self._lock:
            palette = self._known.get(id or self._first) or self._known[self._newest]
        fits = len(weights) == palette.count
        return palette.mix(weights if fits else [1 / palette.count] * palette.count)
