"""The conductor: one set of controls for sources, walk and film, and the way back to the show's own values."""

from fractions import Fraction

import pytest

from engine.play.conductor import RESET_S, Conductor, play_through
from engine.play.shows import load_show
from engine.show.params import Value
from engine.walk.navigator import TICK_HZ


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
