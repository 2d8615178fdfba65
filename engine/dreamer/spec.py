"""What the two sides of the dreamer tell each other: plain frozen data.

Usage: `spec = DreamSpec.from_show(show)`. Both processes; torch-free.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.dreamer.additions import Embedding, Lora, loras_of
from engine.walk.palette import Palette
from engine.walk.waypoint import Waypoint

if TYPE_CHECKING:
    from engine.show.config import ModelSpec, Show

PALETTES = 48  # that both sides keep: the present ones, what is in the water, those before, and what is on its way


@dataclass(frozen=True)
class DreamSpec:
    """What to dream with: everything that stays the same from one waypoint to the next."""

    model: "ModelSpec"
    palette: Palette  # the one to begin with
    width: int  # pixels of a keyframe
    height: int
    economy: int = 0  # 0 as the show asks, then one measure more at each level (memory.py); grows after out-of-memory
    crowded: bool = False  # a software renderer draws on the same processor, and goes first
    film: bool = False  # how many pictures there are in the end counts, and not how soon one is there
    focus: str = ""  # the focus curve that pictures so far were made with (see focus.py); empty: none was
    decode: str = ""  # whole or tiles, as pictures so far were decoded; empty: none was
    loras: tuple[Lora, ...] = ()  # with the strengths that the show begins with
    embeddings: tuple[Embedding, ...] = ()

    @staticmethod
    def from_show(show: "Show", crowded: bool = False, film: bool = False) -> "DreamSpec":
        """The dreaming part of a show."""
        palette = Palette.of([material.prompt for material in show.materials])
        return DreamSpec(
            show.model,
            palette,
            show.model.width,
            show.model.height,
            crowded=crowded,
            film=film,
            loras=loras_of(show.things, show.values),
            embeddings=show.things.get("embedding", ()),
        )


@dataclass(frozen=True)
class Arithmetic:
    """What the bytes of a picture hang on besides model and waypoint; plain values."""

    device: str  # with the card's name
    dtype: str
    threads: int  # that share one picture: how a sum is added up is in its last bits
    economy: int = 0
    focus: str = ""  # the focus curve (see focus.py); empty while no picture has needed one
    decode: str = "whole"  # or tiles
    runs: str = ""  # graphs, compiled, or both: other kernels may round otherwise


@dataclass(frozen=True)
class Numbers:
    """What a picture came of: noise and latent, each (C, h, w) uint8 as numbers.py squeezes them."""

    noise: NDArray[np.uint8]
    latent: NDArray[np.uint8] | None  # None where it cannot be had

    def copy(self) -> "Numbers":
        return Numbers(self.noise.copy(), None if self.latent is None else self.latent.copy())


@dataclass(frozen=True)
class Keyframe:
    """One picture decoded from a waypoint."""

    waypoint: Waypoint
    pixels: NDArray[np.uint8]  # (H, W, 3), a view that is valid until the next poll()
    index: int  # counts up from 0 over the whole run, restarts included
    dreamt_s: float  # how long the dreamer worked on it
    numbers: Numbers | None = None  # what it came of, views as `pixels`
