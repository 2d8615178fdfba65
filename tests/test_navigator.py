"""The navigator: everything a hand can do moves the walk continuously, and its state is a few numbers."""

import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from engine.navigator import (
    TICK_HZ,
    Navigator,
    Point,
    Waypoint,
    covariance,
    distance,
    material_weights,
    normalise,
)
from engine.spectrum import K, coefficients

MATERIALS = ("material.clouds", "material.pulp", "material.memory")


class Hand(dict):
    """Parameter values that a test sets, and triggers that it pulls."""

    def __init__(self, **over: float) -> None:
        super().__init__(
            {
                "walk.seed": 7,
                "walk.speed": 0.2,
                "walk.radius": 1.0,
                "walk.pedesis": 0.1,
                "walk.wander": 2.0,
                "walk.pause": False,
                "blend.time": 2.0,
                **dict.fromkeys(MATERIALS, 1.0),
            }
        )
        self.update({k.replace("__", "."): v for k, v in over.items()})
        self.pulled: dict[str, float] = {}

    def take(self, name: str) -> float:
        return self.pulled.pop(name, 0.0)


def walked(seconds: float, hand: Hand | None = None, nav: Navigator | None = None) -> tuple[Navigator, list[Waypoint]]:
    nav, hand = nav or Navigator(7, MATERIALS), hand or Hand()
    path = []
    for _ in range(round(seconds * TICK_HZ)):
        nav.tick(hand)
        path.append(nav.waypoint())
    return nav, path


def latents(points: tuple[Point, ...], n: int = 4000, loop: float = 0.0) -> np.ndarray:
    z = np.zeros(n)
    for p in points:
        z += coefficients(p, loop) @ np.random.default_rng(p.seed).standard_normal((2 * K, n))
    return z


@pytest.mark.parametrize("radius", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_every_latent_is_an_exact_draw_at_every_radius(radius: float) -> None:
    hand = Hand(walk__radius=radius)
    nav, _ = walked(3.0, hand)
    hand["walk.seed"] = 99
    hand.pulled["walk.home_here"] = 1.0
    for path in (walked(0.5, hand, nav)[1], walked(1.5, hand, nav)[1]):  # amid a change of seed and of home
        points = path[-1].points
        assert math.isclose(covariance(points, points), 1.0, rel_tol=1e-9)
        assert stats.kstest(latents(points), "norm").pvalue > 1e-3


def test_random_access_equals_walking_there() -> None:
    _, path = walked(10.0)
    assert distance(path[-1], path[-1]) == 0.0
    point = path[-1].points[0]
    again = Waypoint(path[-1].time_s, 0, (Point(7, point.phase, 0.1, 1.0),), path[-1].weights)
    assert distance(path[-1], again) < 1e-6
    assert math.isclose(point.phase, 10.0 * 0.2, rel_tol=0.02)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("walk.speed", 4.0),
        ("walk.pause", True),
        ("walk.seed", 12345),
        ("blend.time", 9.0),
    ],
)
def test_a_sudden_change_moves_the_waypoint_continuously(name: str, value: float) -> None:
    hand = Hand()
    nav, before = walked(1.0, hand)
    usual = max(distance(a, b) for a, b in pairwise(before))
    hand[name] = value
    _, after = walked(4.0, hand, nav)
    steps = [distance(a, b) for a, b in zip([before[-1], *after], after, strict=False)]
    assert max(steps) < max(0.1, 3 * usual)  # a jump would be about 1.4


@pytest.mark.parametrize("name", ["walk.radius", "walk.pedesis", "walk.wander", "material.pulp"])
def test_a_small_change_of_a_smoothed_parameter_is_a_small_change_of_place(name: str) -> None:
    hand = Hand(walk__radius=0.5)
    nav, _ = walked(1.0, hand)
    start = nav.waypoint()
    moved = []
    for delta in (1e-2, 1e-3):
        hand[name] = hand[name] - delta
        nav._read(hand)
        moved.append(distance(start, nav.waypoint()))
        hand[name] = hand[name] + delta
    assert moved[1] < moved[0] / 2 and moved[0] < 0.15


@pytest.mark.parametrize("trigger", ["walk.home", "walk.home_here", "walk.nudge"])
def test_triggers_move_continuously_and_home_really_is_reached(trigger: str) -> None:
    hand = Hand(walk__radius=0.8)
    nav, path = walked(6.0, hand)
    hand.pulled[trigger] = 1.0
    _, after = walked(3.5, hand, nav)
    assert max(distance(a, b) for a, b in zip([path[-1], *after], after, strict=False)) < 0.05
    if trigger == "walk.home":
        home = replace(after[-1], points=(Point(7 ^ 0x40E, 0.0, 0.0, 1.0),))
        assert min(distance(w, replace(home, weights=w.weights)) for w in after) < 0.45
    if trigger == "walk.nudge":
        assert after[-1].points[0].phase - path[-1].points[0].phase > 3.5 * 0.2 + 0.7


def test_home_here_makes_this_the_home() -> None:
    hand = Hand(walk__radius=0.7)
    nav, path = walked(5.0, hand)
    here = path[-1]
    hand.pulled["walk.home_here"] = 1.0
    walked(12.0, hand, nav)
    hand["walk.radius"] = 0.0
    _, home = walked(0.1, hand, nav)
    assert distance(replace(home[-1], weights=here.weights), here) < 1e-3


def test_only_a_jump_counts_an_epoch() -> None:
    hand = Hand()
    nav, _ = walked(1.0, hand)
    hand["walk.seed"] = 3
    _, path = walked(1.0, hand, nav)
    assert path[-1].epoch == 0
    hand.pulled["walk.jump"] = 1.0
    _, after = walked(0.1, hand, nav)
    assert after[-1].epoch == 1 and distance(path[-1], after[-1]) > 1.0


def test_pause_stops_and_starts_without_a_jerk() -> None:
    hand = Hand(walk__pause=True)
    nav, path = walked(5.0, hand)
    assert distance(path[-1], path[-TICK_HZ]) < 1e-4
    rates = []
    hand["walk.pause"] = False
    for _ in range(TICK_HZ):
        nav.tick(hand)
        rates.append(nav.rate)
    assert max(np.diff(rates)) < 0.01 and rates[-1] > 0.18


@pytest.mark.parametrize("count", [1, 2, 5, 16])
def test_material_weights_sum_to_one_and_move_smoothly(count: int) -> None:
    rows = [material_weights({7: 1.0}, s, 3.0, [1.0] * count, 0.0) for s in np.arange(0, 40, 0.02)]
    np.testing.assert_allclose(np.sum(rows, axis=1), 1.0, atol=1e-12)
    assert np.abs(np.diff(rows, axis=0)).max() < 0.1
    if count > 1:
        assert np.max(rows) > 0.8 and np.min(rows) < 0.2  # it does roam


def test_faders_rule_the_materials() -> None:
    assert material_weights({7: 1.0}, 3.0, 2.0, [0.0, 1.0, 0.0], 0.0)[1] > 0.999
    assert material_weights({7: 1.0}, 3.0, 0.0, [0.0, 0.0, 0.0], 0.0) == pytest.approx((1 / 3,) * 3)
    assert material_weights({7: 1.0}, 3.0, 0.0, [1.0, 0.5, 0.5], 0.0) == pytest.approx((0.5, 0.25, 0.25), abs=1e-5)


def test_the_state_is_json_and_the_walk_goes_on_from_it() -> None:
    hand = Hand(walk__radius=0.6)
    nav, _ = walked(2.0, hand)
    hand["walk.seed"] = 21
    walked(0.5, hand, nav)
    saved = json.loads(json.dumps(nav.to_dict()))
    other = Navigator(1, MATERIALS)
    other.restore(saved)
    assert walked(1.0, hand, nav)[1] == walked(1.0, hand, other)[1]


@pytest.mark.parametrize("broken", [{}, {"seed": "x"}, []])
def test_another_files_state_is_refused(broken: object) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Navigator(1, MATERIALS).restore(broken)  # type: ignore[arg-type]


def test_a_flood_of_new_seeds_and_homes_stays_bounded() -> None:
    hand = Hand(walk__radius=0.5, blend__time=20.0)
    nav = Navigator(7, MATERIALS)
    for i in range(2000):
        hand["walk.seed"] = i
        hand.pulled["walk.home_here"] = 1.0
        nav.tick(hand)
    assert len(nav.voices) <= 4 and len(nav.homes) <= 4 and len(nav.waypoint().points) <= 8


def test_waypoints_survive_json() -> None:
    _, path = walked(1.0)
    assert Waypoint.from_dict(json.loads(json.dumps(path[-1].to_dict()))) == path[-1]


def test_nothing_to_normalise_says_so() -> None:
    with pytest.raises(ValueError, match="at least one point"):
        normalise([])
