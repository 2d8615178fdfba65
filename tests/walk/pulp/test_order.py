"""The orders of a torn text: each has every fragment once, from reading to kinds to none."""

import numpy as np
import pytest

from engine.walk.pulp.order import Order
from tests.walk.pulp.texts import Torn


@pytest.mark.parametrize("count", [1, 2, 3, 5, 16, 17, 100])
def test_every_level_has_every_fragment_once_and_knows_its_place(count: int) -> None:
    order = Order(Torn(count, 3).in_kinds)
    for level in range(order.level(0.0), order.level(1.0) + 1):
        found = [order.at(level, n, seed=7) for n in range(count)]
        assert sorted(found) == list(range(count))
        assert [order.place(level, number, seed=7) for number in found] == list(range(count))
        assert order.at(level, count + 2, seed=7) == found[2 % count], "after the last the first comes again"


def test_from_reading_order_to_kinds_to_none() -> None:
    torn = Torn(1000, 8)
    order = Order(torn.in_kinds)

    def found(part: float, seed: int = 7) -> list[int]:
        return [order.at(order.level(part), n, seed) for n in range(1000)]

    def read_on(part: float) -> float:
        """How often the next fragment is the next of the text."""
        return float(np.mean(np.diff(found(part)) == 1))

    def akin(part: float) -> float:
        """How often the next fragment is of the same kind."""
        return float(np.mean(np.diff(torn.kind_of[found(part)].astype(int)) == 0))

    assert found(0.0) == list(range(1000))
    assert found(0.5) == torn.in_kinds.tolist()
    assert 1.0 == read_on(0.0) > read_on(0.3) > read_on(0.4) > read_on(0.5)
    assert akin(0.0) < 0.2 < 0.99 < akin(0.5)
    assert akin(0.5) >= akin(0.75) > akin(0.9) > akin(1.0)
    assert akin(1.0) < 0.25 and read_on(1.0) < 0.05
    assert found(1.0) != found(1.0, seed=8)
    assert found(0.5) == found(0.5, seed=8), "only what is shuffled has a seed"
