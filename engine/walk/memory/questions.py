"""What a show and the keeper of its bank tell each other: plain frozen data.

    keeper.ask(Ask(understood("whale", now), "whale", tick=7))      # Found or NotFound comes of it

Any thread.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.show.params import Value
from engine.walk.memory.chart import Chart
from engine.walk.memory.params import CAPACITY, EVERY_S, HALF_LIFE_H
from engine.walk.memory.recall import Asked
from engine.walk.memory.remembered import Memory
from engine.walk.palette import Palette
from engine.walk.visit import Place


@dataclass(frozen=True)
class Settings:
    """How a bank is kept. Frozen: what is steered comes anew with set()."""

    capacity: int = CAPACITY
    archive: bool = False  # forgets nothing
    half_life_h: float = HALF_LIFE_H
    every_s: float = EVERY_S  # of the show's time, between two that are kept unasked


@dataclass(frozen=True)
class Offer:
    """A picture that may be worth keeping. pixels: (H, W, 3), the keeper's own copy. time_s: the show's."""

    place: Place
    palettes: Mapping[str, Palette]
    pixels: NDArray[np.uint8]
    steered: Mapping[str, Value] = field(default_factory=dict)
    by_hand: bool = False
    time_s: float = 0.0


@dataclass(frozen=True)
class Ask:
    """A memory is asked for. strength 0..1 and tick choose where any will do; pixels: what is shown now.

    at: number of the memory that is shown now, which is no answer where another will do.
    """

    asked: Asked
    text: str
    strength: float = 1.0
    tick: int = 0
    pixels: NDArray[np.uint8] | None = None
    at: int | None = None


@dataclass(frozen=True)
class NextApproved:
    """The approved memory after this one is asked for, in the order of that seed."""

    after: int | None
    seed: int


@dataclass(frozen=True)
class WantThumbnail:
    number: int


@dataclass(frozen=True)
class Kept:
    number: int
    by_hand: bool


@dataclass(frozen=True)
class Found:
    memory: Memory


@dataclass(frozen=True)
class NotFound:
    why: str


@dataclass(frozen=True)
class Shelved:
    """What is on the shelves: numbers, kinds, places along the shelf, strengths 0..1, each (N,), and the mean colour
    of each picture, (N, 3) uint8 sRGB. Of a bank too large to be seen, the strongest."""

    numbers: NDArray[np.int64]
    kinds: NDArray[np.int32]
    places: NDArray[np.float32]
    strengths: NDArray[np.float32]
    colours: NDArray[np.uint8]
    names: Mapping[int, str]  # of the kinds
    count: int  # memories in the bank
    map: NDArray[np.float32]  # (N, 2) where each lies on the map; nothing (0, 2) while there is none
    chart: Chart | None = None  # which puts there what is not in the bank


@dataclass(frozen=True)
class Thumbnail:
    number: int
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Short:
    """A memory in a list: what is said most in it, when it was kept (Unix time), and a small JPEG, b"" for none."""

    number: int
    words: str
    created: float
    jpeg: bytes


@dataclass(frozen=True)
class Listed:
    """The newest memories, the newest first."""

    memories: tuple[Short, ...]


@dataclass(frozen=True)
class Trouble:
    """What could not be done; the show goes on without."""

    why: str


Question = Offer | Ask | NextApproved | WantThumbnail
Answer = Kept | Found | NotFound | Shelved | Listed | Thumbnail | Trouble
