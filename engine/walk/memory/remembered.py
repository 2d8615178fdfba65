"""What one memory is, before and after it is in the bank.

    new = New(model="house 1f2e", created=time.time(), place=place, palettes=palettes, embedding=..., ...)
    new.mark, new.said

Frozen data, any thread.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.show.params import Value
from engine.walk.palette import Palette
from engine.walk.visit import Place


@dataclass(frozen=True)
class New:
    """A memory that is to be kept."""

    model: str  # which model dreams this place, and which files it is made of
    created: float  # seconds since 1970, for people: what is older is told by the numbers, as clocks jump
    place: Place
    palettes: Mapping[str, Palette]  # the words of every palette that the place names
    embedding: NDArray[np.float32]  # (SIZE,)
    thumbnail: bytes  # JPEG
    kind: int
    steered: Mapping[str, Value] = field(default_factory=dict)  # parameters that are not at the show's own values
    by_hand: bool = False
    approved: bool = False

    @property
    def mark(self) -> str:
        """The same place of the same model is the same memory, in any bank."""
        text = json.dumps([self.model, self.place.to_dict()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    @property
    def said(self) -> dict[str, float]:
        """How much each prompt is heard in it."""
        shares: dict[str, float] = {}
        for wording in self.place.waypoint.wordings:
            palette = self.palettes.get(wording.palette)
            for text, weight in zip(palette.prompts if palette else (), wording.weights, strict=False):
                shares[text] = shares.get(text, 0.0) + wording.share * weight
        return shares


@dataclass(frozen=True)
class Memory(New):
    """One that is in the bank."""

    number: int = 0
    strength: float = 1.0  # as it is now
    recalled: float | None = None  # when last, seconds since 1970
