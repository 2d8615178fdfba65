"""Liquidise and pull on the walk's side: nothing at 0, continuous, the same at any frame rate, and resumed."""

import json
import math
from fractions import Fraction
from itertools import pairwise

import pytest

from engine.play.conductor import Conductor, play_through
from engine.play.shows import load_show
from engine.walk.mix import TICK_HZ
from engine.walk.pulp.liquid import mixed, over
from engine.walk.visit import Place
from engine.walk.waypoint import SHEETS, Waypoint, covariance, distance


def conducted(*sets: str) -> Conductor:
    return Conductor(load_show("house", list(sets)), words_at_once=True)


def play(conductor: Conductor, seconds: float) -> list[Waypoint]:
    path = []
    for _ in range(round(seconds * TICK_HZ)):
        conductor.tick()
        path.append(conductor.waypoint())
    return path


def test_at_nothing_there_is_nothing() -> None:
    here = conducted().waypoint()
    assert here.liquid is None and "liquid" not in here.to_dict()


@pytest.mark.parametrize("loop", [0.0, 6.0])
def test_the_sheets_are_of_unit_variance_and_have_nothing_in_common(loop: float) -> None:
    here = play(conducted("pulp.liquidise=0.5", f"walk.loop={loop}"), 0.2)[-1]
    assert here.liquid is not None and len(here.liquid.sheets) == SHEETS
    for n, sheet in enumerate(here.sheets):
        assert math.isclose(covariance(sheet.points, sheet.points, loop), 1.0, rel_tol=1e-9)
        assert sum(w.share for w in sheet.words) == pytest.approx(1.0)
        assert all(covariance(sheet.points, other.points, loop) == 0.0 for other in here.sheets[n + 1 :])
    loudest = {max(range(8), key=lambda n: sheet.words[0].weights[n]) for sheet in here.sheets}
    assert len(loudest) >= 3, "they are of different materials"


def test_it_is_continuous_and_swims_more_restlessly_with_pedesis() -> None:
    conductor = conducted("walk.pedesis=0")
    conductor.set("pulp.liquidise", 1.0)
    path = play(conductor, 8.0)
    assert path[0].liquid is not None and path[-1].liquid is not None and path[-1].liquid.amount > 0.99
    assert max(distance(a, b) for a, b in pairwise(path)) < 0.1
    rough = play(conducted("walk.pedesis=1", "pulp.liquidise=1"), 1.0)

    def swum(path: list[Waypoint]) -> float:
        first, last = path[-2].liquid, path[-1].liquid
        assert first is not None and last is not None
        return 1.0 - covariance(first.points, last.points)

    assert swum(rough) > 3 * swum(path)


def test_a_loop_comes_round_with_its_pulp() -> None:
    conductor = conducted("pulp.liquidise=0.5", "walk.loop=2", "walk.speed=2")
    first, *_, last = play(conductor, 1.0 + 1 / TICK_HZ)
    assert distance(first, last) < 1e-6


@pytest.mark.parametrize("fps", [10, 24])
def test_a_sheet_is_drawn_up_in_the_given_time_at_any_frame_rate(fps: int) -> None:
    conductor = conducted("pulp.liquidise=1", "pulp.pull.time=2")
    conductor.controls.hit("pulp.pull")
    drawn = [w.liquid and w.liquid.drawn for w in play_through(conductor, Fraction(fps), 3 * fps)]
    for n, there in enumerate(drawn):
        if n / fps < 2.0 - 1.5 / TICK_HZ:
            assert there == pytest.approx(n / fps / 2, abs=1.5 / TICK_HZ)
        elif n / fps > 2.0:
            assert there is None, "it is whole"


def test_a_sheet_is_of_one_material_and_is_held_until_it_is_poured() -> None:
    conductor = conducted("pulp.liquidise=0.8", "pulp.pull.time=1")
    conductor.controls.hit("pulp.pull")
    path = play(conductor, 6.0)
    assert path[-1].liquid is None and max(path[-1].weights) > 0.999
    conductor.controls.hit("pulp.pour")
    path += play(conductor, 4.0)
    assert path[-1].liquid is not None and path[-1].liquid.amount == pytest.approx(0.8)
    assert max(distance(a, b) for a, b in pairwise(path)) < 0.1


def test_moving_liquidise_lets_a_sheet_go_and_another_pull_is_of_another_kind() -> None:
    conductor = conducted("pulp.liquidise=0.8", "pulp.pull.time=0.5")
    kinds = []
    for _ in range(4):
        conductor.controls.hit("pulp.pull")
        weights = play(conductor, 3.0)[-1].weights
        kinds.append(weights.index(max(weights)))
    assert all(a != b for a, b in pairwise(kinds)) and conductor.pulp.pulls == 4
    conductor.set("pulp.liquidise", 0.5)
    assert play(conductor, 4.0)[-1].liquid is not None


def test_a_walk_that_goes_on_draws_up_the_same_sheet() -> None:
    conductor, again = conducted("pulp.liquidise=0.7"), conducted("pulp.liquidise=0.7")
    conductor.controls.hit("pulp.pull")
    play(conductor, 2.0)
    again.restore(json.loads(json.dumps(conductor.to_dict())))
    assert play(again, 6.0) == play(conductor, 6.0)
    for damage in ({"kinds": []}, {"drawn": math.nan}, {"now": [0.5, 0.0, 0.1]}):
        with pytest.raises(ValueError, match="pulp"):
            again.pulp.restore(conductor.pulp.to_dict() | damage)


def test_a_torn_place_is_kept_and_read_again() -> None:
    conductor = conducted("pulp.liquidise=0.6")
    here = play(conductor, 1.0)[-1]
    place = Place.of(here)
    read = Place.from_dict(json.loads(json.dumps(place.to_dict())))
    assert read == place and hash(read) == hash(place) and read.waypoint.sheets == here.sheets
    plain = place.to_dict()
    plain["liquid"]["sheets"] *= 2
    with pytest.raises(ValueError, match="1 to 3"):
        Place.from_dict(plain)
    old = {name: value for name, value in place.to_dict().items() if name != "liquid"}
    assert Place.from_dict(old).liquid is None, "what was kept before there was liquid"


def test_on_the_way_to_a_place_the_tearing_is_mixed() -> None:
    here, there = (play(conducted(f"pulp.liquidise={a}", f"walk.seed={s}"), 0.1)[-1] for a, s in ((0.2, 1), (0.8, 2)))
    assert mixed([(None, 0.5), (None, 0.5)], 0.0) is None
    half = mixed([(here.liquid, 0.5), (there.liquid, 0.5)], 0.0)
    assert half is not None and half.amount == pytest.approx(0.5)
    for sheet in half.sheets:
        assert covariance(sheet.points, sheet.points) == pytest.approx(1.0)
        assert sum(w.share for w in sheet.words) == pytest.approx(1.0)
    most = mixed([(None, 0.999), (there.liquid, 0.001)], 0.0)
    assert most is not None and most.amount < 0.001
    assert over(None, here.liquid) is here.liquid and over(there.liquid, None) is there.liquid
    both = over(here.liquid, there.liquid)
    assert both is not None and both.amount == 0.8 and here.liquid is not None and both.sheets == here.liquid.sheets
