"""Going to a place: continuous, of unit variance, and at the place exactly as it was."""

import json
import math
from typing import Any

import pytest

from engine.walk.mix import TICK_HZ
from engine.walk.palette import Palette
from engine.walk.visit import Place, Visits
from engine.walk.waypoint import Point, Waypoint, Wording, covariance, distance

WORDS = Palette.of(["a sphere", "a shelf", "a lamp"])
PHRASE = Palette.of(["a whale"])
PALETTES = {p.id: p for p in (WORDS, PHRASE)}
WALK = Waypoint(0.0, 0, (Point(1, 3.0, 0.1, 1.0),), (0.5, 0.5), palette="own")
THERE = Place((Point(9, 1.5, 0.2, 1.0),), (0.2, 0.3, 0.5), WORDS.id, (Wording(PHRASE.id, (1.0,), 0.3),), focus=0.6)


def play(visits: Visits, seconds: float) -> Waypoint:
    here = visits.apply(WALK)
    for _ in range(round(seconds * TICK_HZ)):
        visits.tick(lambda id: True, 0.5)
        here, before = visits.apply(WALK), here
        assert distance(here, before) < 0.1 and math.isclose(covariance(here.points, here.points), 1.0, rel_tol=1e-9)
        assert sum(w.share for w in here.wordings) == pytest.approx(1.0)
    return here


def test_the_walk_goes_there_stays_and_goes_on() -> None:
    visits = Visits()
    visits.go(THERE, PALETTES, stay_s=3.0)
    assert set(visits.palettes) == set(PALETTES.values())
    between = play(visits, 0.5)
    assert 0.1 < sum(w.share for w in between.wordings if w.palette == WORDS.id) < 0.7
    assert play(visits, 3.0) == THERE.at(WALK) and visits.at == THERE
    assert play(visits, 1.0) == THERE.at(WALK)
    assert play(visits, 6.0) is WALK and visits.palettes == ()


def test_it_waits_for_the_words() -> None:
    visits = Visits()
    visits.go(THERE, PALETTES, stay_s=1.0)
    for _ in range(200):
        visits.tick(lambda id: id != PHRASE.id, 0.5)
    assert visits.apply(WALK) is WALK and visits.going == THERE


def test_a_leap_is_there_at_once_and_a_jump_away_too() -> None:
    visits = Visits()
    visits.go(THERE, PALETTES, stay_s=math.inf, leap=True)
    assert visits.tick(lambda id: True, 0.5) and visits.apply(WALK) == THERE.at(WALK)
    assert not visits.tick(lambda id: True, 0.5)
    visits.leave(leap=True)
    assert visits.apply(WALK) is WALK


def test_a_locked_one_shows_places_only() -> None:
    visits = Visits()
    visits.locked = True
    visits.go(THERE, PALETTES, stay_s=math.inf, leap=True)
    visits.tick(lambda id: True, 0.5)
    visits.leave(leap=True)
    assert play(visits, 2.0) == THERE.at(WALK)


def test_from_place_to_place_without_the_walk_between() -> None:
    visits = Visits()
    other = Place((Point(4, 0.0, 0.0, 1.0),), (1.0,), PHRASE.id)
    visits.go(THERE, PALETTES, stay_s=10.0)
    play(visits, 5.0)
    visits.go(other, PALETTES, stay_s=10.0)
    half = play(visits, 0.5)
    assert all(w.palette != "own" for w in half.wordings)
    assert play(visits, 5.0) == other.at(WALK)


def test_a_place_is_the_same_after_a_file() -> None:
    assert Place.from_dict(json.loads(json.dumps(THERE.to_dict()))) == THERE


def test_a_place_without_its_words_is_refused() -> None:
    with pytest.raises(ValueError, match="words of all its palettes"):
        Visits().go(THERE, {WORDS.id: WORDS}, 1.0)


@pytest.mark.parametrize(
    "broken",
    [
        {"points": []},
        {"points": [{"seed": 1, "phase": math.nan, "pedesis": 0.0, "gain": 1.0}]},
        {"points": [{"seed": 1, "phase": 0.0, "pedesis": 0.0, "gain": 0.0}]},
        {"points": [{"seed": -1, "phase": 0.0, "pedesis": 0.0, "gain": 1.0}]},
        {"points": [{"seed": 1.5, "phase": 0.0, "pedesis": 0.0, "gain": 1.0}]},
        {"points": [{"seed": 1, "phase": "0", "pedesis": 0.0, "gain": 1.0}] * 2},
        {"weights": []},
        {"weights": [0.5, 0.2]},
        {"weights": "ab"},
        {"palette": 7},
        {"focus": 2.0},
        {"focus": True},
        {"beside": [{"palette": "x", "weights": [1.0], "share": 7}]},
        {"beside": 3},
        {"loop": -1.0},
    ],
)  # fmt: skip
def test_a_damaged_place_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Place.from_dict(THERE.to_dict() | broken)
