"""The navigator: everything a hand can do moves the walk continuously, and its state is a few numbers."""

import copy
import json
import math
import random
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import stats

from engine.play.conductor import Conductor
from engine.play.shows import load_show
from engine.show.params import SEED_MAX
from engine.walk.mix import MAX_MIX, TICK_HZ, heard
from engine.walk.navigator import HOME_POINTS, MAX_POINTS, Navigator
from engine.walk.spectrum import K, coefficients
from engine.walk.waypoint import Point, Waypoint, covariance, distance, normalise, reduced

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
                "walk.focus": 1.0,
                "walk.wander": 2.0,
                "walk.dwell": 0.0,
                "walk.tour": 0.0,
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


@pytest.mark.parametrize("name", ["walk.radius", "walk.pedesis", "walk.wander", "walk.focus", "material.pulp"])
def test_a_small_change_of_a_smoothed_parameter_is_a_small_change_of_place(name: str) -> None:
    hand = Hand(walk__radius=0.5)
    nav, _ = walked(1.0, hand)
    start = nav.waypoint()
    moved = []
    for delta in (1e-2, 1e-3):
        hand[name] = hand[name] - delta
        nav.read(hand)
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


def from_home(here: Waypoint, hand: Hand, nav: Navigator) -> float:
    """How far a picture is from what is dreamt at home, whatever the materials."""
    hand["walk.radius"] = 0.0
    _, home = walked(0.1, hand, nav)
    return distance(replace(home[-1], weights=here.weights), here)


def test_home_here_makes_this_the_home() -> None:
    hand = Hand(walk__radius=0.7)
    nav, path = walked(5.0, hand)
    here = path[-1]
    hand.pulled["walk.home_here"] = 1.0
    walked(12.0, hand, nav)
    assert from_home(here, hand, nav) < 1e-3


def test_only_a_jump_counts_an_epoch() -> None:
    hand = Hand()
    nav, _ = walked(1.0, hand)
    hand["walk.seed"] = 3
    _, path = walked(1.0, hand, nav)
    assert path[-1].epoch == 0
    hand.pulled["walk.jump"] = 1.0
    _, after = walked(0.1, hand, nav)
    assert after[-1].epoch == 1 and distance(path[-1], after[-1]) > 1.0


@pytest.mark.parametrize("loop", [0.0, 1.0, 7.3, 8.0, 10.0, 12.5, 20.0, 1000.0, 10000.0])
@pytest.mark.parametrize("pedesis", [0.0, 0.15, 1.0])
def test_a_jump_leaps_and_never_back_to_where_the_one_before_it_began(loop: float, pedesis: float) -> None:
    hand = Hand(walk__pedesis=pedesis, walk__wander=0.0)
    nav, path = walked(0.5, hand, Navigator(7, MATERIALS, loop))
    for _ in range(2):
        hand.pulled["walk.jump"] = 1.0
        path += walked(1 / TICK_HZ, hand, nav)[1]
    first, second, third = path[-3:]
    assert distance(first, second) > 1.0 and distance(second, third) > 1.0 and distance(first, third) > 0.9


def one_tick(hand: Hand, nav: Navigator, ticks: int, touch: Callable[[int], None]) -> float:
    """The farthest that a waypoint came in one tick while a hand did something on every tick."""
    nav.tick(hand)
    worst, last = 0.0, nav.waypoint()
    for n in range(ticks):
        touch(n)
        nav.tick(hand)
        here = nav.waypoint()
        worst, last = max(worst, distance(last, here)), here
    return worst


@pytest.mark.parametrize("every", [1, 12, 30])
@pytest.mark.parametrize(("wander", "bound"), [(0.0, 0.03), (2.0, 0.06)])
def test_new_seeds_from_a_quick_hand_move_the_waypoint_continuously(every: int, wander: float, bound: float) -> None:
    hand, nav = Hand(walk__radius=0.85, walk__wander=wander), Navigator(7, MATERIALS)

    def touch(n: int) -> None:
        hand["walk.seed"] = 1000 + n // every

    assert one_tick(hand, nav, 8 * TICK_HZ, touch) < bound  # a single new seed: 0.015 and 0.049
    walked(9.0, hand, nav)
    assert nav.voices == {hand["walk.seed"]: 1.0}, "the last one always arrives"


@pytest.mark.parametrize(("radius", "every_s"), [(0.2, 4.0), (0.35, 4.0), (0.5, 0.5), (0.2, 0.1)])
def test_homes_made_of_homes_move_the_waypoint_continuously(radius: float, every_s: float) -> None:
    hand, nav = Hand(walk__radius=radius, walk__wander=0.0, walk__speed=0.5), Navigator(7, MATERIALS)

    def touch(n: int) -> None:
        if n % round(every_s * TICK_HZ) == 0:
            hand.pulled["walk.home_here"] = 1.0
        assert n % 10 or len(nav.waypoint().points) <= 24  # the rest of the bound is for what no hand does

    assert one_tick(hand, nav, round(8 * max(1.0, every_s) * TICK_HZ), touch) < 0.01


def test_the_last_home_of_a_quick_hand_arrives() -> None:
    hand = Hand(walk__radius=0.5)
    nav, _ = walked(1.0, hand)
    for _ in range(20):
        hand.pulled["walk.home_here"] = 1.0
        here = nav._points(nav.phase)
        nav.tick(hand)
        assert nav.home is not None and covariance(here, nav.home) > 0.99
        walked(0.1, hand, nav)
    pressed = nav.home
    walked(12.0, hand, nav)
    assert nav.homes == {pressed: 1.0}


def test_a_home_of_many_points_still_looks_like_the_picture_that_was_made_home() -> None:
    hand, nav = Hand(walk__radius=0.2, walk__speed=0.5), Navigator(7, MATERIALS)
    for n in range(18):
        hand.pulled["walk.home_here"] = float(n > 0)
        for _ in range(5 * TICK_HZ):
            nav.tick(hand)
    here = nav.waypoint()
    assert len(here.points) > HOME_POINTS
    hand.pulled["walk.home_here"] = 1.0
    walked(6.0, hand, nav)
    assert nav.home is not None and len(nav.home) == HOME_POINTS and list(nav.homes) == [nav.home]
    hand["walk.radius"] = 0.0
    _, home = walked(0.1, hand, nav)
    assert distance(replace(home[-1], weights=here.weights), here) < 0.25  # 0.97 of it


def test_reducing_keeps_what_neighbours_say_together() -> None:
    cluster = [Point(3, 5.0 + n / 100, 0.1, 0.2) for n in range(20)]
    few = reduced([*cluster, Point(4, 0.0, 0.0, 1.0)], 4)
    wanted = normalise([*cluster, Point(4, 0.0, 0.0, 1.0)])
    assert len(few) <= 4 and covariance(few, wanted) > 0.9999
    assert covariance(few, few) == pytest.approx(1.0)


def test_whatever_the_hands_do_something_is_heard_and_points_are_few() -> None:
    draw = random.Random(5)
    hand, nav = Hand(walk__radius=0.6), Navigator(7, MATERIALS)
    for n in range(3000):
        if draw.random() < (0.02, 0.3, 0.9)[n // 1000]:
            hand["walk.seed"] = draw.choice([1, 2, 3, draw.randrange(SEED_MAX)])
        if draw.random() < (0.9, 0.1, 0.01)[n // 1000]:
            hand.pulled["walk.home_here"] = 1.0
        hand["blend.time"] = draw.choice([0.0, 2.0, 20.0]) if n % 300 == 0 else hand["blend.time"]
        nav.tick(hand)
        assert 1 <= len(nav.voices) <= MAX_MIX and max(heard(nav.voices).values()) > 0.05
        assert 1 <= len(nav.homes) <= MAX_MIX and max(heard(nav.homes).values()) > 0.05
        if n % 10 == 0:
            points = nav.waypoint().points
            assert len(points) <= MAX_POINTS and math.isclose(covariance(points, points), 1.0, rel_tol=1e-9)


def test_another_seed_is_the_walk_that_begins_with_it() -> None:
    hand = Hand(walk__radius=0.85)
    nav, _ = walked(3.0, hand)
    hand["walk.seed"] = 5
    _, path = walked(9.0, hand, nav)
    _, fresh = walked(12.0, hand, Navigator(5, MATERIALS))
    assert path[-1] == fresh[-1]


def test_a_home_made_by_hand_stays_when_the_seed_changes() -> None:
    hand = Hand(walk__radius=0.5)
    nav, path = walked(3.0, hand)
    here = path[-1]
    hand.pulled["walk.home_here"] = 1.0
    walked(12.0, hand, nav)
    hand["walk.seed"] = 5
    walked(12.0, hand, nav)
    assert from_home(here, hand, nav) < 1e-3


def test_opposite_places_of_a_short_loop_do_not_end_the_show() -> None:
    points = normalise([Point(3, 0.0, 0.0, 1.0), Point(3, 0.5, 0.0, 1.0)], 1.0)
    assert covariance(points, points, 1.0) == pytest.approx(1.0)


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


def test_the_state_is_json_and_the_walk_goes_on_from_it() -> None:
    hand = Hand(walk__radius=0.6)
    nav, _ = walked(2.0, hand)
    hand["walk.seed"] = 21
    walked(0.5, hand, nav)
    saved = json.loads(json.dumps(nav.to_dict()))
    other = Navigator(1, MATERIALS)
    other.restore(saved)
    assert walked(1.0, hand, nav)[1] == walked(1.0, hand, other)[1]


def test_a_home_that_waits_is_saved_too() -> None:
    hand = Hand(walk__radius=0.6)
    nav, _ = walked(2.0, hand)
    for _ in range(12):
        hand.pulled["walk.home_here"] = 1.0
        walked(0.1, hand, nav)
    assert nav.home not in nav.homes
    other = Navigator(1, MATERIALS)
    other.restore(json.loads(json.dumps(nav.to_dict())))
    assert walked(9.0, hand, nav)[1] == walked(9.0, hand, other)[1] and other.homes == {other.home: 1.0}


# As it was written before home went along with the seed: settled, and in the middle of a blend.
OLD: dict[str, Any] = {
    "seed": 7, "loop": 0.0, "ticks": 240, "epoch": 0, "phase": 0.4, "rate": 0.2, "running": 1.0, "shove": 0.0,
    "home_left_s": 0.0, "pull": [0.0, 0.0], "voices": [[7, 1.0]],
    "homes": [[1.0, [{"seed": 1033, "phase": 0.0, "pedesis": 0.0, "gain": 1.0}]]],
}  # fmt: skip
OLD_BLENDING = OLD | {
    "phase": 0.9439, "rate": 0.4006, "shove": 0.1973, "voices": [[21, 0.1846], [7, 0.1653], [22, 0.6501]],
    "homes": [
        [0.1653, [{"seed": 1033, "phase": 0.0, "pedesis": 0.0, "gain": 1.0}]],
        [0.8347, [{"seed": 7, "phase": 0.4, "pedesis": 0.1, "gain": 0.809},
                  {"seed": 1033, "phase": 0.0, "pedesis": 0.0, "gain": 0.5878}]],
    ],
}  # fmt: skip


def test_what_an_older_version_saved_is_taken_up_where_it_was() -> None:
    hand = Hand(walk__radius=0.6, walk__seed=22)
    nav = Navigator(1, MATERIALS)
    nav.restore(OLD_BLENDING)
    nav.read(hand)
    walk = [Point(s, nav.phase, 0.1, v) for s, v in OLD_BLENDING["voices"]]
    home = [Point(**p | {"gain": p["gain"] * w}) for w, points in OLD_BLENDING["homes"] for p in points]
    theta = 0.6 * math.pi / 2
    was = [(math.cos(theta), normalise(home)), (math.sin(theta), normalise(walk))]
    points = normalise([replace(p, gain=p.gain * share) for share, mixed in was for p in mixed])
    here = nav.waypoint()
    assert distance(here, replace(here, points=points)) < 0.03
    walked(12.0, hand, nav)
    assert nav.voices == {22: 1.0} and nav.homes == {nav.home: 1.0} and nav.home is not None
    nav.restore(OLD)
    assert nav.home is None and nav.homes == {None: 1.0}, "nobody had made it by hand"


def damage(path: str, value: object) -> dict[str, Any]:
    data = copy.deepcopy(OLD | {"home": OLD["homes"][0][1]})
    *way, last = (int(k) if k.isdigit() else k for k in path.split("."))
    part: Any = data
    for key in way:
        part = part[key]
    part[last] = value
    return data


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    "broken",
    [
        {}, [], None, {"seed": "x"},
        *[{k: v for k, v in OLD.items() if k != key} for key in OLD if key != "loop"],
        *[damage(k, v) for k in ("seed", "ticks", "epoch") for v in (INF, NAN, 1.5, "1", -1, True, None, 10**400)],
        *[damage(k, v) for k in ("phase", "rate", "shove", "running", "home_left_s", "pull.0", "pull.1", "voices.0.1",
                                 "homes.0.0", "homes.0.1.0.phase", "homes.0.1.0.gain", "home.0.pedesis")
          for v in (INF, -INF, NAN, 1e300, 10**400, "0.5", None, [], True)],
        *[damage(k, v) for k in ("running", "pull.0", "voices.0.1", "homes.0.0", "homes.0.1.0.pedesis")
          for v in (-1, 3)],
        *[damage(k, v) for k in ("voices.0.0", "homes.0.1.0.seed") for v in (-1, SEED_MAX + 1, 7.0, "7", None, NAN)],
        *[damage(k, v) for k in ("pull", "voices", "homes", "voices.0", "homes.0")
          for v in ([], [0.5], [0.5] * 3, None, "ab", {}, 3)],
        *[damage(k, v) for k in ("homes.0.1", "home") for v in ([], [3], "ab", {}, 3, [{}], [[]], [None])],
        damage("homes.0.1", OLD["homes"][0][1] * 1000), damage("voices", [[n, 0.2] for n in range(1000)]),
        damage("homes", [[0.1, [OLD["homes"][0][1][0] | {"phase": n}]] for n in range(9)]),
        damage("voices.0.1", 0.0), damage("homes.0.0", 0.0), damage("homes.0.1.0.gain", 0.0),
    ],
)  # fmt: skip
def test_a_damaged_state_is_refused_and_the_walk_goes_on(broken: Any) -> None:
    hand = Hand(walk__radius=0.6)
    nav, _ = walked(0.1, hand)
    twin = copy.deepcopy(nav)
    with pytest.raises((KeyError, TypeError, ValueError)):
        nav.restore(broken)
    assert walked(0.1, hand, nav)[1] == walked(0.1, hand, twin)[1]


def test_a_sound_state_with_a_home_is_taken_up() -> None:
    nav = Navigator(1, MATERIALS)
    nav.restore(damage("phase", 3.5))
    assert nav.phase == 3.5 and nav.home == (Point(1033, 0.0, 0.0, 1.0),)


def test_a_flood_of_new_seeds_and_homes_stays_bounded() -> None:
    hand = Hand(walk__radius=0.5, blend__time=20.0)
    nav = Navigator(7, MATERIALS)
    for i in range(600):
        hand["walk.seed"] = i
        hand.pulled["walk.home_here"] = 1.0
        nav.tick(hand)
    assert len(nav.voices) <= MAX_MIX and len(nav.homes) <= MAX_MIX and len(nav.waypoint().points) <= MAX_POINTS


def test_nothing_to_normalise_says_so() -> None:
    with pytest.raises(ValueError, match="at least one point"):
        normalise([])


def test_a_material_left_alone_has_the_stage_to_itself_in_three_seconds_and_gets_there_smoothly() -> None:
    show = load_show("house")  # its wander favours some materials ten-thousandfold
    conductor = Conductor(show)
    nav = conductor.navigator
    for seconds, alone in ((13, None), (3, "clouds"), (3, "memory"), (3, "print")):
        for name in nav.materials if alone else ():
            conductor.set(name, float(name == f"material.{alone}"))
        weights = []
        for _ in range(seconds * TICK_HZ):
            conductor.tick()
            weights.append(nav.waypoint().weights)
        steps = np.abs(np.diff(np.array(weights), axis=0)).max()
        assert steps < 0.2, f"{alone}: one tick moved a weight by {steps:.3f}"
        if alone:
            assert weights[-1][nav.materials.index(f"material.{alone}")] > 0.9, (alone, weights[-1])


def test_focus_is_in_every_waypoint_also_ahead_and_after_a_restart() -> None:
    nav, _ = walked(0.5, hand := Hand(walk__focus=0.3))
    assert nav.waypoint().focus == nav.waypoint(0.7).focus == 0.3
    again = Navigator(7, MATERIALS)
    again.tick(hand)
    again.restore(nav.to_dict())
    assert again.waypoint() == nav.waypoint()
