"""Kinds, and what memories are known by."""

from collections.abc import Generator
from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.walk.memory.embedding import SIZE, embedding, heard
from engine.walk.memory.kinds import MOST, Kinds
from engine.walk.memory.look import LOOK, colours, look
from tests.walk.memory.places import COLOURS, picture

T = TypeVar("T")


def done(task: Generator[None, None, T]) -> T:
    while True:
        try:
            next(task)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def clouds(count: int, middles: list[float], seed: int = 3, wide: float = 0.01) -> NDArray[np.float16]:
    """So many vectors around each of some points that lie on axes of their own."""
    random = np.random.Generator(np.random.PCG64(seed))
    vectors = random.normal(0.0, wide, (count * len(middles), SIZE))
    for n, middle in enumerate(middles):
        vectors[n :: len(middles), n] += middle
    return vectors.astype(np.float16)


def learnt(vectors: NDArray[np.float16]) -> tuple[Kinds, list[int]]:
    kinds, given = Kinds(), []
    for vector in vectors.astype(np.float32):
        given.append(kinds.nearest(vector))
        kinds.add(vector, given[-1])
    return kinds, given


def test_each_kind_gets_a_shelf_and_keeps_its_number() -> None:
    vectors = clouds(20, [1.0, 1.0, 1.0])
    kinds, given = learnt(vectors)
    assert given == [0, 1, 2] * 20
    assert done(kinds.sorting(vectors)).tolist() == given and kinds.ids == [0, 1, 2] and kinds.counts == [20] * 3


def test_the_same_memories_in_the_same_order_give_the_same_shelves() -> None:
    vectors = clouds(60, [0.3, 0.4, 0.5, 0.6], wide=0.03)
    (one, given), (two, again) = learnt(vectors), learnt(vectors)
    assert given == again and (done(one.sorting(vectors)) == done(two.sorting(vectors))).all()


def test_a_shelf_of_two_things_becomes_two_and_alike_shelves_become_one() -> None:
    vectors = clouds(50, [0.7, 0.7])
    kinds = Kinds()
    kinds.learn(vectors, np.zeros(100, np.int32))
    shelves = done(kinds.sorting(vectors))
    assert len(set(shelves[::2].tolist())) == len(set(shelves[1::2].tolist())) == 1 and shelves[0] != shelves[1]
    alike = clouds(100, [0.7])
    kinds.learn(alike, (np.arange(100) % 5 * 2).astype(np.int32))
    assert kinds.ids == [0, 2, 4, 6, 8] and len(set(done(kinds.sorting(alike)).tolist())) == 1


def test_what_stays_small_is_no_kind() -> None:
    vectors = np.concatenate([clouds(100, [1.0]), clouds(1, [0.0, 1.0])[1:]])
    kinds, given = learnt(vectors)
    assert given[-1] == 1
    assert done(kinds.sorting(vectors))[-1] == 0 and kinds.ids == [0] and kinds.counts == [101]
    assert kinds.nearest(clouds(1, [0.0, 0.0, 1.0])[2].astype(np.float32)) == 1, "its number is free again"


def test_there_are_no_more_shelves_than_one_can_see() -> None:
    kinds, given = learnt(clouds(2, [1.0] * 40))
    assert max(given) == MOST - 1 and len(kinds.means) == MOST


def test_nothing_can_be_sorted() -> None:
    assert done(Kinds().sorting(np.empty((0, SIZE), np.float16))).shape == (0,)


def test_pictures_that_look_alike_lie_near_and_the_mean_colour_is_kept() -> None:
    same, other = look(picture(1, 0)), look(picture(1, 1))
    assert np.linalg.norm(look(picture(1, 0)) - same) == 0.0
    assert np.linalg.norm(look(picture(2, 0)) - same) < np.linalg.norm(other - same) / 2
    assert np.linalg.norm(
        look(np.zeros((9, 16, 3), np.uint8)) - look(np.full((40, 70, 3), 255, np.uint8))
    ) == pytest.approx(1)
    flat = np.full((36, 64, 3), COLOURS[0], np.uint8)
    assert abs(colours(look(flat)[None].astype(np.float16))[0].astype(int) - COLOURS[0]).max() <= 2
    with pytest.raises(ValueError, match="must be"):
        look(np.zeros((4, 4), np.uint8))


def test_words_that_are_shared_bring_memories_near() -> None:
    whale, also, paper = heard({"a whale": 1.0}), heard({"the whale in the clouds": 1.0}), heard({"torn paper": 1.0})
    assert np.linalg.norm(whale) == pytest.approx(1) and not heard({"": 1.0}).any()
    assert np.linalg.norm(whale - also) < np.linalg.norm(whale - paper)
    vector = embedding(picture(1), {"a whale": 1.0})
    assert vector.shape == (SIZE,) and (vector[:LOOK] == look(picture(1))).all()
