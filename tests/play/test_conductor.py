"""The conductor: one set of controls for sources, walk and film, and the way back to the show's own values."""

from dataclasses import replace
from fractions import Fraction

import pytest

from engine.play.conductor import RESET_S, Conductor, play_through
from engine.play.shows import load_show
from engine.show.params import Value
from engine.walk.mix import TICK_HZ
from engine.walk.visit import Place
from engine.walk.waypoint import distance


class Script:
    """A source that plays what it was given: {tick: [(name, value)]}."""

    def __init__(self, moves: dict[int, list[tuple[str, Value]]]) -> None:
        self.moves = moves
        self.conductor: Conductor | None = None

    def drain(self) -> list[tuple[str, Value]]:
        return self.moves.pop(self.conductor.navigator.ticks, []) if self.conductor else []


def conducted(moves: dict[int, list[tuple[str, Value]]], **values: Value) -> Conductor:
    source = Script(dict(moves))
    sets = [f"{name.replace('__', '.')}={value}" for name, value in values.items()]
    source.conductor = Conductor(load_show("house", sets), [source])
    return source.conductor


def ticks(conductor: Conductor, seconds: float) -> None:
    for _ in range(round(seconds * TICK_HZ)):
        conductor.listen()
        conductor.tick()


def test_what_a_source_says_moves_the_walk_and_the_look_alike() -> None:
    conductor = conducted({5: [("look.grain", 0.9), ("walk.jump", 1.0)]})
    ticks(conductor, 3.0)
    assert conductor["look.grain"] == pytest.approx(0.9, abs=1e-3) and conductor.waypoint().epoch == 1


def test_the_same_moves_at_the_same_ticks_are_the_same_walk_at_any_frame_rate() -> None:
    moves = {40: [("walk.speed", 2.0)], 90: [("walk.jump", 1.0)], 121: [("look.exposure", 1.0)]}
    slow, fast = conducted(moves), conducted(moves)
    at_10 = [(w, dict(slow)) for w in play_through(slow, Fraction(10), 30)]
    at_60 = [(w, dict(fast)) for w in play_through(fast, Fraction(60), 180)]
    assert at_10 == at_60[::6]
    assert at_10[-1][1]["look.exposure"] == pytest.approx(1.0, abs=0.01)


def test_reset_eases_every_value_back_and_leaves_the_walk_where_it_is() -> None:
    conductor = conducted({}, walk__speed=0.3)
    for name, value in {
        "look.exposure": -4.0, "walk.speed": 0.0, "stage.blackout": True, "walk.seed": 99, "blend.transition": "pulp",
        "material.clouds": 0.0,
    }.items():  # fmt: skip
        conductor.set(name, value)
    ticks(conductor, 5.0)
    assert conductor["look.exposure"] == pytest.approx(-4.0, abs=1e-3)
    conductor.set("show.reset", 1.0)
    before = conductor.waypoint()
    ticks(conductor, 0.5)
    assert -4.0 < float(conductor["look.exposure"]) < -2.0, "eased, not at once"
    ticks(conductor, RESET_S)
    own = load_show("house").values
    assert conductor["look.exposure"] == own["look.exposure"] and conductor["walk.speed"] == 0.3
    assert conductor["stage.blackout"] is False and conductor["blend.transition"] == own["blend.transition"]
    assert conductor["material.clouds"] == own["material.clouds"]
    assert conductor["walk.seed"] == 99 and {p.seed for p in conductor.waypoint().points} == {
        p.seed for p in before.points
    }, "the place stays"


def test_a_view_dissolves_over_blend_time_at_the_same_ticks_always() -> None:
    conductor = conducted({12: [("look.view", "latent")]}, blend__time=1.0)
    seen = [dict(conductor)["look.view.latent"] for _ in play_through(conductor, Fraction(20), 30)]
    assert seen[0] == 0.0 and seen[-1] == 1.0 and conductor["look.view.noise"] == 0.0
    assert seen == sorted(seen) and 0.4 < seen[12] < 0.6


def test_new_words_wait_for_the_dreamer_and_in_a_film_the_dreamer_waits_for_them() -> None:
    moves: dict[int, list[tuple[str, Value]]] = {3: [("material.clouds.prompt", "a whale"), ("say", "a shark")]}
    conductor = conducted(moves)
    before = conductor.waypoint().palette
    ticks(conductor, 1.0)
    assert conductor.waypoint().palette == before and len(conductor.words.wanted) == 3
    conductor.answer({p.id for p in conductor.words.wanted}, {})
    ticks(conductor, 0.5)
    assert conductor.waypoint().palette != before and conductor.waypoint().beside
    film = Conductor(load_show("house"), words_at_once=True)
    film.steer("say", "a shark")
    ticks(film, 1.0)
    assert film.waypoint().beside


def test_words_that_cannot_be_dreamt_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    conductor = conducted({})
    conductor.steer("material.clouds.prompt", "unspeakable")
    ticks(conductor, 0.1)
    refused = {p.id: "no such words" for p in conductor.words.wanted[1:]}
    for _ in range(3):
        conductor.answer(set(), refused)
        ticks(conductor, 0.1)
    assert caplog.text.count("these words cannot be dreamt (no such words): 'unspeakable'") == 1


def test_a_place_is_gone_to_held_and_gone_on_from() -> None:
    conductor = conducted({})
    conductor._at_once = True
    ticks(conductor, 2.0)
    place, palettes = Place.of(conductor.waypoint()), {p.id: p for p in conductor.words.wanted}
    there = conductor.waypoint()
    ticks(conductor, 30.0)
    assert distance(conductor.waypoint(), there) > 0.5
    conductor.visit(place, palettes, stay_s=5.0)
    ticks(conductor, 12.0)
    assert conductor.visits.at == place and Place.of(conductor.waypoint()) == place
    while conductor.visits.at == place:
        ticks(conductor, 0.1)
    for _ in range(100):
        assert distance(conductor.waypoint(), there) < 1.0, "it goes on from there"
        ticks(conductor, 0.02)
    conductor.visit(place, palettes, stay_s=5.0, leap=True)
    epoch = conductor.waypoint().epoch
    ticks(conductor, 0.1)
    assert conductor.waypoint().epoch == epoch + 1 and Place.of(conductor.waypoint()) == place
    conductor.set("walk.jump", 1.0)
    ticks(conductor, 0.1)
    assert distance(conductor.waypoint(), there) > 0.5, "a jump leaves it"


def test_a_place_of_another_loop_is_refused() -> None:
    conductor = conducted({})
    place = replace(Place.of(conductor.waypoint()), loop=4.0)
    with pytest.raises(ValueError, match=r"walk\.loop 0 as the show has, got 4"):
        conductor.visit(place, {p.id: p for p in conductor.words.wanted}, 1.0)
