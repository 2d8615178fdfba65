"""Controls: what a hand does, smoothed exactly, and triggers that fire as often as they were hit."""

import itertools
import math

import pytest

from engine.control.controls import MAX_FIRED, REPEAT_S, Controls
from engine.play.shows import load_show
from engine.show.params import Param, Registry, Value
from tests.registry import build_registry

REGISTRY = Registry(
    [
        *build_registry(["clouds", "pulp"], ["dissolve", "tear"]).values(),
        Param("test.zoom", "number", 1.0, "Log.", 0.25, 4.0, curve="log", smoothing_s=0.5),
        Param("test.raw", "number", 0.0, "Not smoothed.", 0, 1),
    ]
)
TICK_S = 1 / 120


def controls(**values: Value) -> Controls:
    return Controls(REGISTRY, {name.replace("__", "."): value for name, value in values.items()})


def ticks(target: Controls, seconds: float, tick_s: float = TICK_S) -> None:
    for _ in range(round(seconds / tick_s)):
        target.tick(tick_s)


def test_starts_at_the_show_and_else_at_the_default() -> None:
    c = controls(walk__speed=0.4)
    assert c["walk.speed"] == 0.4 and c["walk.radius"] == REGISTRY["walk.radius"].default
    assert set(c) == set(REGISTRY) and len(c) == len(REGISTRY)
    c.tick(TICK_S)
    assert c["walk.speed"] == 0.4


def test_a_number_follows_the_exponential_exactly() -> None:
    c, tau = controls(walk__speed=0.0), REGISTRY["walk.speed"].smoothing_s
    c.set("walk.speed", 2.0)
    assert c["walk.speed"] == 0.0 and c.target("walk.speed") == 2.0
    for n in range(1, 240):
        c.tick(TICK_S)
        assert c["walk.speed"] == pytest.approx(2.0 * (1 - math.exp(-n * TICK_S / tau)), rel=1e-12)


def test_the_way_does_not_depend_on_the_tick() -> None:
    fine, coarse = controls(), controls()
    for c in (fine, coarse):
        c.set("walk.speed", 3.0)
        c.set("test.zoom", 4.0)
    ticks(fine, 1.0, 1 / 1000)
    coarse.tick(1.0)
    assert fine["walk.speed"] == pytest.approx(coarse["walk.speed"], rel=1e-10)
    assert fine["test.zoom"] == pytest.approx(coarse["test.zoom"], rel=1e-10)


def test_a_log_parameter_is_smooth_in_octaves() -> None:
    up, down = controls(test__zoom=1.0), controls(test__zoom=1.0)
    up.set("test.zoom", 4.0)
    down.set("test.zoom", 0.25)
    for _ in range(60):
        up.tick(TICK_S)
        down.tick(TICK_S)
        assert float(up["test.zoom"]) * float(down["test.zoom"]) == pytest.approx(1.0, rel=1e-9)
    assert up["test.zoom"] == pytest.approx(4 ** (1 - math.exp(-60 * TICK_S / 0.5)), rel=1e-9)


def test_a_number_arrives_and_stays() -> None:
    c = controls()
    c.set("walk.speed", 1.7)
    c.set("test.zoom", 0.3)
    ticks(c, 20)
    assert c["walk.speed"] == 1.7 and c["test.zoom"] == 0.3


def test_a_fader_moved_under_way_never_jumps() -> None:
    c, last = controls(walk__speed=0.0), 0.0
    for n in range(400):
        c.set("walk.speed", 4.0 if n % 7 < 3 else 0.0)
        c.tick(TICK_S)
        assert abs(float(c["walk.speed"]) - last) <= 4.0 * -math.expm1(-TICK_S / 0.5) + 1e-12
        last = float(c["walk.speed"])


def test_everything_but_numbers_is_there_at_once() -> None:
    c = controls()
    moves: dict[str, Value] = {"walk.pause": True, "blend.transition": "tear", "walk.seed": 9, "test.raw": 1}
    for name, value in moves.items():
        c.set(name, value)
        assert c[name] == c.target(name) == value


def test_a_button_fires_once() -> None:
    c = controls()
    c.set("walk.nudge", 0.8)
    assert c["walk.nudge"] == c.target("walk.nudge") == 0.8
    c.set("walk.nudge", 0.0)
    assert c.target("walk.nudge") == 0.0
    ticks(c, 1)
    assert c.take("walk.nudge") == 0.8  # kept for whoever is late
    assert c.take("walk.nudge") == 0.0 and c["walk.nudge"] == 0.0


def test_every_tap_counts_even_within_one_tick() -> None:
    c = controls()
    for strength in (0.2, 0.0, 0.5, 0.0, 0.9, 0.0):
        c.set("walk.nudge", strength)
    assert [c.take("walk.nudge") for _ in range(4)] == [0.2, 0.5, 0.9, 0.0]


def test_a_held_pad_is_one_hit() -> None:
    c = controls()
    for n in range(120):
        c.set("walk.nudge", 0.3 + n / 400)
        c.tick(TICK_S)
    assert c.take("walk.nudge") == 0.3 and c.take("walk.nudge") == 0.0


def test_a_sensor_that_only_sends_ones_fires_each_time_it_wakes() -> None:
    c = controls()
    for _ in range(3):
        c.set("walk.home", 1.0)
        ticks(c, REPEAT_S * 2)
    assert [c.take("walk.home") for _ in range(4)] == [1.0, 1.0, 1.0, 0.0]


def test_releases_alone_fire_nothing() -> None:
    c = controls()
    for _ in range(3):
        c.set("walk.home", 0.0)
        ticks(c, 1)
    assert c.take("walk.home") == 0.0


def test_hits_nobody_takes_are_bounded() -> None:
    c = controls()
    for _ in range(10_000):
        c.set("walk.nudge", 1.0)
        c.set("walk.nudge", 0.0)
    taken = 0
    while c.take("walk.nudge"):
        taken += 1
    assert taken == MAX_FIRED


def test_a_glide_takes_its_time_begins_gently_and_arrives_exactly() -> None:
    c, way = controls(walk__speed=3.0, test__zoom=4.0), []
    c.glide("walk.speed", 1.0, 2.0)
    c.glide("test.zoom", 0.25, 2.0)
    for _ in range(240):
        c.tick(TICK_S)
        way.append(float(c["walk.speed"]))
        if len(way) == 120:
            assert c["test.zoom"] == pytest.approx(1.0, rel=0.01), "by equal ratios"
    steps = [a - b for a, b in itertools.pairwise([3.0, *way])]
    assert min(steps) >= 0 and max(steps) < 2.0 / 240 * 1.6 and steps[0] < max(steps) / 10
    assert way[118] > 1.5 and c["walk.speed"] == 1.0 and c["test.zoom"] == 0.25


def test_a_hand_takes_over_from_a_glide_without_a_jump() -> None:
    c = controls(look__grain=0.0)
    c.glide("look.grain", 1.0, 2.0)
    ticks(c, 1.0)
    before = float(c["look.grain"])
    c.set("look.grain", 0.2)
    c.tick(TICK_S)
    assert abs(float(c["look.grain"]) - before) < 0.05
    ticks(c, 5.0)
    assert c["look.grain"] == pytest.approx(0.2, abs=1e-6)


def test_what_cannot_glide_arrives_at_once() -> None:
    c = controls()
    c.glide("walk.pause", True, 2.0)
    c.glide("walk.speed", 2.0, 0.0)
    assert c["walk.pause"] is True and c.target("walk.speed") == 2.0


def test_modulation_goes_on_top_and_leaves_the_base_where_it_is() -> None:
    c = controls(look__grain=0.4)
    c.modulate("look.grain", "lfo.slow", 0.2)
    c.modulate("look.grain", "lfo.quick", -0.1)
    assert c["look.grain"] == pytest.approx(0.5) and c.base("look.grain") == 0.4 and c.target("look.grain") == 0.4
    c.modulate("look.grain", "lfo.slow", 0.5, "multiply")
    c.modulate("look.grain", "sound", 0.9, "max")
    assert c["look.grain"] == 0.9
    c.modulate("look.grain", "sound", 0.0, "max")
    assert c["look.grain"] == pytest.approx(0.4 * 0.5 - 0.1)
    c.modulate("look.grain", "lfo.quick", 9.0)
    assert c["look.grain"] == 1.0, "never beyond the range"
    for source, nothing, how in (("lfo.slow", 1.0, "multiply"), ("lfo.quick", 0.0, "add"), ("sound", 0.0, "add")):
        c.modulate("look.grain", source, nothing, how)
    assert c["look.grain"] == 0.4


def test_only_numbers_are_modulated() -> None:
    with pytest.raises(ValueError, match=r"only numbers can be modulated, walk\.pause is a switch"):
        controls().modulate("walk.pause", "lfo", 1.0)


def test_an_unknown_name_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError):
        controls().set("walk.sped", 1.0)


def test_calls_of_several_names_are_taken_in_the_order_they_came() -> None:
    c = Controls(load_show("house").registry, {})
    for name, text in (("preset.delete", "q"), ("say", "x"), ("preset.store", "q"), ("preset.delete", "r")):
        c.set(name, text)
    names = ("preset.store", "preset.delete")
    taken = [c.take_first_call(names) for _ in range(4)]
    assert taken == [("preset.delete", "q"), ("preset.store", "q"), ("preset.delete", "r"), None]
    assert c.take_call("say") == "x" and c.take_call("say") is None


def test_the_triggers_of_one_frame_are_taken_in_the_order_in_which_they_were_hit() -> None:
    steer = controls()
    for name in ("record.stop", "record.start", "take.start"):
        steer.hit(name)
    asked = ("record.start", "record.stop")
    assert [steer.take_first(asked) for _ in range(3)] == ["record.stop", "record.start", None]
    assert steer.take("take.start") == 1.0
    assert steer.take_first(("take.start",)) is None
