"""The encoded words of several palettes, of which each waypoint names one.

Usage: `palettes = Palettes(palette.id, conditioning)`; `palettes.add(other.id, ...)`; `palettes.mix(waypoint)`.
Dreamer process; torch. Threads may add while others mix.
"""

import logging
import threading
from collections.abc import Sequence

from torch import Tensor

from engine.dreamer.noise import Conditioning
from engine.dreamer.spec import PALETTES
from engine.walk.waypoint import Waypoint, Wording

log = logging.getLogger("pedesis")


class Palettes:
    """Conditioning by palette; the PALETTES used last, and always the first.

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

    def add(self, id: str, conditioning: Conditioning, is_brief: bool = False) -> None:
        """Takes another palette. What is longer than may be is cut, and that is said unless it is a brief one."""
        if self._one_length:
            cut = conditioning.length - self._known[self._first].length
            conditioning = conditioning.fitted(self._known[self._first].length)
            if cut > 0 and not is_brief:
                log.warning("the new words are longer than those the show began with: %d tokens are dropped", cut)
        with self._lock:
            self._known[id] = conditioning
            self._newest = id
            for old in [known for known in self._known if known != self._first][: -PALETTES + 1]:
                del self._known[old]

    def mix(self, waypoint: Waypoint) -> dict[str, Tensor]:
        """Everything that a waypoint says, each by its share: name -> (1, ...) in float32; what is fixed as the first
        that is heard has it. One that is heard alone is as it is, to the last bit."""
        return self.say(waypoint.wordings)

    def say(self, wordings: Sequence[Wording]) -> dict[str, Tensor]:
        """The same of these words; shares sum to 1."""
        heard = [w for w in wordings if w.share > 0.0]
        own, own_weights = self._known_as(heard[0].palette, heard[0].weights)
        if len(heard) == 1:
            return own.mix(own_weights)
        total = {name: heard[0].share * tensor for name, tensor in own.mixed(own_weights).items()}
        for wording in heard[1:]:
            words, weights = self._known_as(wording.palette, wording.weights)
            for name, tensor in words.fitted(own.length).mixed(weights).items():
                total[name] = total[name] + wording.share * tensor
        return total | own.fixed

    def _known_as(self, id: str, weights: Sequence[float]) -> tuple[Conditioning, Sequence[float]]:
        """The words of that name; "" is the first. A palette that is not known is answered with the newest, and
        weights that do not fit with equal parts: a picture rather than an end."""
        with self._lock:
            words = self._known.get(id or self._first) or self._known[self._newest]
            if id in self._known:
                self._known[id] = self._known.pop(id)  # used last, forgotten last
        return words, weights if len(weights) == words.count else [1 / words.count] * words.count
