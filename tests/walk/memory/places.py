"""Memories for tests: no pictures of a model, but pictures."""

import numpy as np
from numpy.typing import NDArray

from engine.walk.memory.bank import New
from engine.walk.memory.keeper import Offer
from engine.walk.memory.look import look, thumbnail
from engine.walk.palette import Palette
from engine.walk.visit import Place
from engine.walk.waypoint import Point

WORDS = Palette.of(["a whale in the clouds", "torn paper", "glass spheres on a shelf"])
MODEL = "house 123"
COLOURS = ((230, 180, 40), (40, 60, 200), (200, 40, 60), (240, 240, 240))


def place(n: int, material: int = 0) -> Place:
    """The n-th place, far from every other, nearly all of one material."""
    weights = [0.05, 0.05, 0.05]
    weights[material % 3] = 0.9
    return Place((Point(7, 10.0 * n, 0.1, 1.0),), tuple(weights), WORDS.id)


def picture(n: int, kind: int = 0) -> NDArray[np.uint8]:
    """The n-th picture of a kind, (36, 64, 3)."""
    random = np.random.Generator(np.random.PCG64([n, kind]))
    pixels = np.tile(np.array(COLOURS[kind % 4], np.float64), (36, 64, 1))
    for _ in range(6):
        y, x = random.integers(0, 28), random.integers(0, 56)
        pixels[y : y + 12, x : x + 14] *= 0.5 + random.random() / 2
    return pixels.astype(np.uint8)


def new(n: int, kind: int = 0, **other: object) -> New:
    pixels = picture(n, kind)
    about = {"model": MODEL, "created": 1e9 + 60.0 * n, "kind": kind} | other
    return New(
        place=place(n, kind),
        palettes={WORDS.id: WORDS},
        look=look(pixels),
        thumbnail=thumbnail(pixels),
        **about,  # type: ignore[arg-type]
    )


def offer(n: int, kind: int = 0, by_hand: bool = False) -> Offer:
    return Offer(place(n, kind), {WORDS.id: WORDS}, picture(n, kind), {"look.grain": 0.5}, by_hand)
