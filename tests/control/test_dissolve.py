"""A choice that dissolves: shares that sum to 1 and never jump."""

from itertools import pairwise

import pytest

from engine.control.dissolve import Dissolve

DT_S = 1 / 120
NAMES = ("picture", "latent", "noise")


def shares(view: Dissolve) -> tuple[float, ...]:
    return tuple(view[name] for name in NAMES)


def test_it_begins_with_the_first_and_stays() -> None:
    view = Dissolve("noise")
    view.tick("noise", 2.0, DT_S)
    assert shares(view) == (0.0, 0.0, 1.0)


def test_it_takes_as_long_as_it_is_told_and_turns_back_from_where_it_is() -> None:
    view, seen = Dissolve("picture"), []
    for n in range(600):
        view.tick("latent" if n < 120 else "noise" if n < 200 else "picture", 2.0, DT_S)
        seen.append(shares(view))
    assert all(sum(s) == pytest.approx(1.0) and min(s) >= 0 for s in seen)
    assert seen[119][1] == pytest.approx(0.5) and 0.1 < seen[199][2] < 0.9
    assert max(abs(b - a) for x, y in pairwise(seen) for a, b in zip(x, y, strict=True)) < 0.01
    assert seen[-1] == (1.0, 0.0, 0.0)


def test_no_time_is_a_cut() -> None:
    view = Dissolve("picture")
    view.tick("latent", 0.0, DT_S)
    assert shares(view) == (0.0, 1.0, 0.0)
