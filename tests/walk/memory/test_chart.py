"""The map of the bank: alike pictures lie close, kinds lie apart, and what is there hardly moves as more comes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.walk.memory.chart import FEWEST, Turn, aligned, fitted
from engine.walk.memory.embedding import SIZE, embedding
from tests.walk.memory.places import WORDS, picture


def memories(count: int, kinds: int = 4) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """(N, SIZE) embeddings of pictures, one kind after the other, and (N,) kinds."""
    of = np.arange(count, dtype=np.int32) % kinds
    vectors = [embedding(picture(n, k), {WORDS.prompts[k % 3]: 1.0}) for n, k in enumerate(of.tolist())]
    return np.stack(vectors), of


def test_the_same_memories_give_the_same_chart_and_a_copy_the_same_place() -> None:
    vectors, kinds = memories(60)
    one, two = fitted(vectors, kinds), fitted(vectors.copy(), kinds.copy())
    assert one is not None and two is not None
    assert np.array_equal(one.at(vectors), two.at(vectors))
    np.testing.assert_allclose(one.at(vectors[7:8]), one.at(vectors)[7:8], atol=1e-5)


def test_alike_pictures_lie_close_and_kinds_apart() -> None:
    vectors, kinds = memories(80)
    chart = fitted(vectors, kinds)
    assert chart is not None
    places = chart.at(vectors)
    far = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(far, np.inf)
    nearest = kinds[far.argmin(1)]
    assert (nearest == kinds).mean() > 0.95
    middles = np.stack([places[kinds == k].mean(0) for k in range(4)])
    within = max(float(np.linalg.norm(places[kinds == k] - middles[k], axis=1).mean()) for k in range(4))
    gaps = np.linalg.norm(middles[:, None] - middles[None], axis=2)[np.triu_indices(4, 1)]
    assert gaps.min() > 2 * within


def test_what_lies_between_two_kinds_is_drawn_between_them() -> None:
    vectors, kinds = memories(60, 3)
    chart = fitted(vectors, kinds)
    assert chart is not None
    a, b = vectors[kinds == 0].mean(0), vectors[kinds == 1].mean(0)
    way = chart.at(np.stack([a + (b - a) * t for t in np.linspace(0, 1, 9)]))
    whole = np.linalg.norm(way[-1] - way[0])
    along = (way - way[0]) @ (way[-1] - way[0]) / whole**2
    assert (np.diff(along) > -0.02).all(), "and never turns back"


def test_more_memories_move_the_old_ones_little_once_it_is_laid_over() -> None:
    vectors, kinds = memories(200)
    before, after = fitted(vectors[:100], kinds[:100]), fitted(vectors, kinds)
    assert before is not None and after is not None
    old = before.at(vectors[:100])
    new = aligned(old, after.at(vectors[:100]))(after.at(vectors[:100]))
    spread = np.linalg.norm(old - old.mean(0), axis=1).mean()
    assert np.linalg.norm(new - old, axis=1).mean() < 0.25 * spread


def test_a_turned_and_mirrored_map_is_laid_back() -> None:
    random = np.random.Generator(np.random.PCG64(4))
    old = random.standard_normal((40, 2)).astype(np.float32)
    mirrored = (old @ np.array([[0.6, 0.8], [0.8, -0.6]]) * 1.5 + np.array([3.0, -2.0])).astype(np.float32)
    np.testing.assert_allclose(aligned(old, mirrored)(mirrored), old, atol=1e-4)
    few = old[:2]
    np.testing.assert_array_equal(aligned(few, mirrored[:2])(few), Turn()(few))


@pytest.mark.parametrize("count", [0, 1, FEWEST - 1])
def test_few_memories_make_no_map(count: int) -> None:
    assert fitted(np.ones((count, SIZE), np.float32), np.zeros(count, np.int32)) is None


def test_memories_that_are_all_the_same_make_none_and_two_kinds_in_one_place_part() -> None:
    same = np.ones((40, SIZE), np.float32)
    assert fitted(same, np.zeros(40, np.int32)) is None
    vectors, _ = memories(40, 1)
    chart = fitted(vectors, np.arange(40, dtype=np.int32) % 2)
    assert chart is not None and np.isfinite(chart.at(vectors)).all()
