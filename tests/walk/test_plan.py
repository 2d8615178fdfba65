"""Where a film's keyframes fall: on frames, near enough to one another, at both sides of a jump."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest

from engine.play.conductor import Conductor, play_through
from engine.play.shows import load_show
from engine.show.config import Show
from engine.walk import plan
from engine.walk.waypoint import Waypoint, distance

FPS = Fraction(30)


@pytest.fixture(scope="module")
def show() -> Show:
    return load_show("house")


def frames(show: Show, count: int = 150, **values: float) -> list[Waypoint]:
    over = {k.replace("__", "."): v for k, v in values.items()}
    return list(play_through(Conductor(replace(show, values={**show.values, **over})), FPS, count))


def test_frames_are_at_exact_times_at_any_rate(show: Show) -> None:
    for fps in (Fraction(24), Fraction(30000, 1001), Fraction(60), Fraction(240)):
        path = list(play_through(Conductor(show), fps, 40))
        assert [w.time_s for w in path] == pytest.approx([float(n / fps) for n in range(40)], abs=1e-12)


def test_the_same_moment_is_the_same_place_at_any_rate(show: Show) -> None:
    slow = list(play_through(Conductor(show), Fraction(10), 30))
    fast = list(play_through(Conductor(show), Fraction(60), 180))
    for n in range(30):
        assert distance(slow[n], fast[6 * n]) < 1e-4


def test_keyframes_are_frames_the_first_and_last_among_them(show: Show) -> None:
    path = frames(show)
    picked = list(plan.keyframes(iter(path), 0.15))
    assert picked[0] == path[0] and picked[-1] == path[-1]
    assert set(w.time_s for w in picked) <= set(w.time_s for w in path)
    assert len(picked) < len(path) / 4  # at the house show's pace most frames are crossfaded


def test_neighbours_are_no_farther_apart_than_the_gap(show: Show) -> None:
    path = frames(show, walk__speed=0.5)
    for gap in (0.05, 0.15, 0.4):
        picked = list(plan.keyframes(iter(path), gap))
        for a, b in pairwise(picked):
            assert distance(a, b) <= gap or b.time_s - a.time_s < 1.5 / 30
    assert len(list(plan.keyframes(iter(path), 0.05))) > len(list(plan.keyframes(iter(path), 0.4)))


def test_a_walk_too_fast_for_the_gap_gets_every_frame(show: Show) -> None:
    path = frames(show, 60, walk__speed=4.0, walk__pedesis=1.0)
    assert list(plan.keyframes(iter(path), 0.05)) == path


def test_a_walk_that_stands_still_gets_a_keyframe_now_and_then(show: Show) -> None:
    still = frames(show, 1)[0]
    path = [replace(still, time_s=n / 30) for n in range(300)]
    assert len(list(plan.keyframes(iter(path), 0.1))) == 6


def test_both_sides_of_a_jump_are_keyframes(show: Show) -> None:
    before = frames(show, 30)
    path = [w if n < 17 else replace(w, epoch=1) for n, w in enumerate(before)]
    picked = list(plan.keyframes(iter(path), 10.0))
    assert path[16] in picked and path[17] in picked


def test_planning_is_lazy_and_a_film_of_any_length_starts_at_once(show: Show) -> None:
    assert next(plan.keyframes(play_through(Conductor(show), FPS, 10**9), 0.1)).time_s == 0.0


def test_an_empty_film_has_no_keyframes_and_no_gap_is_refused() -> None:
    assert list(plan.keyframes(iter([]), 0.1)) == []
    with pytest.raises(ValueError, match="above 0"):
        next(plan.keyframes(iter([]), 0.0))
