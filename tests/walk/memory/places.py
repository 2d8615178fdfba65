"""Memories for tests: no pictures of a model, but pictures."""

import numpy as np
from numpy.typing import NDArray

from engine.walk.memory.bank import Bank
from engine.walk.memory.embedding import SIZE, embedding
from engine.walk.memory.look import thumbnail
from engine.walk.memory.questions import Offer
from engine.walk.memory.remembered import New
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
    said = dict(zip(WORDS.prompts, place(n, kind).weights, strict=True))
    return New(
        place=place(n, kind),
        palettes={WORDS.id: WORDS},
        embedding=embedding(pixels, said),
        thumbnail=thumbnail(pixels),
        **about,  # type: ignore[arg-type]
    )


def offer(n: int, kind: int = 0, by_hand: bool = False) -> Offer:
    """At 100 seconds times n of the show."""
    return Offer(place(n, kind), {WORDS.id: WORDS}, picture(n, kind), {"look.grain": 0.5}, by_hand, 100.0 * n)


def fill(bank: Bank, count: int, jpeg_bytes: int = 6000) -> None:
    """Puts so many memories in the bank at once: embeddings at random, and pictures that are none, or no pictures."""
    first = bank.keep(new(0))
    random = np.random.Generator(np.random.PCG64(count))
    template = bank._db.execute("SELECT model, place, steered FROM memories WHERE id = ?", (first,)).fetchone()
    looks = (random.random((count, 12)) @ random.random((12, SIZE)) / 40).astype(np.float16)
    with bank._whole():
        bank._db.executemany(
            "INSERT INTO memories (mark, model, created, kind, strength, at_h, by_hand, approved, embedding, place, "
            "steered) VALUES ('x' || ?2, ?1, ?2, ?3, 1.0, 0.0, 0, 0, ?4, ?5, ?6)",
            ((template[0], 1e9 + n, n % 12, looks[n].tobytes(), template[1], template[2]) for n in range(count)),
        )
        if jpeg_bytes:
            bank._db.execute(
                "INSERT INTO pictures SELECT id, zeroblob(?) FROM memories WHERE id > ?", (jpeg_bytes, first)
            )
            bank._db.execute(
                "INSERT INTO said SELECT m.id, s.prompt, s.share FROM memories m, said s "
                "WHERE s.memory = ? AND m.id > ?",
                (first, first),
            )
            bank._db.execute("INSERT INTO named SELECT id, ? FROM memories WHERE id > ?", (WORDS.id, first))
