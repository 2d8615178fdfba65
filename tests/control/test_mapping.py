"""Mappings: foreign controls, sensors and pads become values of parameters, by the show's own time."""

import math
import random
from itertools import pairwise

import pytest

from engine.control.map_entry import MapTable
from engine.control.mapping import MAX_ADDRESSES, Mapper
from tests.control.rig import REGISTRY, Rig, table_of

FADER = '[[map]]\nfrom = "/fader"\nto = "look.grain"\n'


def one(to: str, more: str = "", source: str = "/x") -> str:
    return f'[[map]]\nfrom = "{source}"\nto = "{to}"\n{more}\n'


@pytest.mark.parametrize(
    ("to", "more", "value", "expected"),
    [
        ("look.grain", "", 0.25, 0.25),
        ("look.grain", "in = [0, 127]", 127, 1.0),
        ("look.grain", "in = [10, 20]\nout = [0.2, 0.6]", 15, 0.4),
        ("look.grain", "in = [20, 10]", 20, 0.0),  # a sensor that falls as one comes nearer
        ("look.grain", "invert = true", 0.25, 0.75),
        ("look.grain", "", 7.0, 1.0),  # beyond the travel is its end
        ("look.grain", "", True, 1.0),
        ("look.grain", "", "0.5", 0.5),
        ("walk.speed", "", 0.5, 1.0),  # its own curve is square: 4 * 0.5^2
        ("walk.speed", "curve = 'linear'", 0.5, 2.0),
        ("walk.speed", "out = [0, 1]", 0.5, 0.25),
        ("walk.speed", "curve = 3", 0.5, 0.5),
        ("look.contrast", "", 0.5, 1.0),  # logarithmic from 0.5 to 2
        ("look.saturation", "out = [0.5, 2]\ncurve = 'log'", 0.5, 1.0),
        ("look.grain", "curve = 'exp'", 0.5, math.expm1(2) / math.expm1(4)),
        ("look.grain", "curve = 'square'", 0.5, 0.25),
        ("look.exposure", "in = [-1, 1]\ndead = 0.1", 0.19, 0.0),
        ("look.exposure", "in = [-1, 1]\ndead = 0.1", -1, -4.0),
        ("look.exposure", "in = [-1, 1]\ndead = 0.1", 0.6, 2.0),
        ("look.grain", "dead = 0.2", 0.2, 0.0),
        ("look.grain", "dead = 0.2", 0.6, 0.5),
        ("look.grain", "out = [1, 0]", 0.25, 0.75),
    ],
)
def test_travel(to: str, more: str, value: object, expected: float) -> None:
    rig = Rig(one(to, more), look__grain=0.123, walk__speed=0.123, look__exposure=0.123, look__saturation=0.123,
              look__contrast=0.7)  # fmt: skip
    steers = rig.hear("/x", value)
    assert [name for name, _ in steers] == [to] and steers[0][1] == pytest.approx(expected)


def test_vectors_are_mapped_one_argument_at_a_time() -> None:
    rig = Rig(one("look.grain", "arg = 1", "/xy") + one("look.drift", "arg = 2", "/xy"))
    assert dict(rig.hear("/xy", 0.25, 0.75)) == {"look.grain": 0.25, "look.drift": 0.75}
    said = rig.mapper.take("/xy", [0.5])
    assert [m.text for m in said] == [
        "must have a number as value 2, got only 1 value; [[map]] 2 moves look.drift by it"
    ]
    assert rig.frame() == [("look.grain", 0.5)]


def test_what_is_no_number_is_said_in_words_and_moves_nothing() -> None:
    rig = Rig(FADER)
    for given, said in (([math.nan], "nan"), ([math.inf], "inf"), (["x"], "'x'"), ([10**400], "1000")):
        (mistake,) = rig.mapper.take("/fader", given)
        assert mistake.text.startswith("must have a finite number as value 1, got " + said)
    (mistake,) = rig.mapper.take("/fader", [])
    assert mistake.text.startswith("must have a number as value 1, got no value")
    assert rig.frame() == []


def test_patterns_hear_every_address_that_fits_in_any_case() -> None:
    rig = Rig(one("look.grain", "in = [0, 100]\ncombine = 'max'", "/sensor/*/distance"))
    rig.hear("/sensor/1/distance", 20)
    assert rig.hear("/Sensor/2/Distance", 70) == [("look.grain", 0.7)]
    assert rig.hear("/sensor/1/distance", 50) == []
    assert rig.hear("/sensor/2/distance/raw", 90) == []


@pytest.mark.parametrize(
    ("combine", "expected"),
    [("latest", 0.25), ("max", 0.75), ("min", 0.25), ("mean", 0.5), ("sum", 1.0), ("multiply", 0.1875)],
)
def test_several_drive_one(combine: str, expected: float) -> None:
    rig = Rig(one("look.grain", f"combine = '{combine}'", "/a") + one("look.grain", "", "/b"))
    rig.hear("/a", 0.75)
    rig.hear("/b", 0.25)
    assert rig.controls.target("look.grain") == pytest.approx(expected)


def test_one_euro_is_calm_at_rest_and_quick_in_motion() -> None:
    rng = random.Random(1)
    rig = Rig(one("look.drift", "smooth = true"))
    rig.hear("/x", 0.5)
    rest = []
    for _ in range(240):
        rig.hear("/x", 0.5 + rng.gauss(0, 0.01))
        rest.append(float(rig.controls.target("look.drift")))
    trembling = max(rest[60:]) - min(rest[60:])
    assert trembling < 0.02  # of 0.06 that came in
    for n in range(30):  # half a second from end to end
        rig.hear("/x", n / 29)
    assert rig.controls.target("look.drift") > 0.85
    assert rig.wait(3.0) and rig.controls.target("look.drift") == 1.0
    assert rig.wait(1.0) == []  # settled: nothing more to say


def test_smoothing_goes_by_the_shows_time_and_not_by_calls() -> None:
    a, b = (Rig(one("look.drift", "smooth = 0.5")) for _ in range(2))
    for rig in (a, b):
        rig.hear("/x", 0.0)
        rig.mapper.hear("/x", [1.0])
        for _ in range(5):
            rig.frame(ticks=2)
    a.frame(ticks=0), b.frame(ticks=0)
    before = a.controls.target("look.drift")
    for _ in range(20):
        assert a.frame(ticks=0) == []  # the show stands still
    assert a.controls.target("look.drift") == before == b.controls.target("look.drift")
    assert a.frame() == b.frame()


def test_pick_up_waits_until_the_fader_meets_the_parameter() -> None:
    rig = Rig(FADER + 'takeover = "pickup"\n', look__grain=0.5)
    assert rig.hear("/fader", 0.1) == [] and rig.hear("/fader", 0.4) == []
    assert rig.hear("/fader", 0.6) == [("look.grain", 0.6)]
    assert rig.hear("/fader", 0.3) == [("look.grain", 0.3)]
    rig.controls.set("look.grain", 0.9)  # a preset
    assert rig.hear("/fader", 0.35) == [] and rig.hear("/fader", 0.89) == [("look.grain", 0.89)]


def test_scale_moves_at_once_and_both_reach_the_end_together() -> None:
    rig = Rig(FADER + 'takeover = "scale"\n', look__grain=0.5)
    assert rig.hear("/fader", 0.0) == []
    assert rig.hear("/fader", 0.25) == [("look.grain", 0.625)]
    assert rig.hear("/fader", 1.0) == [("look.grain", 1.0)]
    assert rig.hear("/fader", 0.2) == [("look.grain", 0.2)]


def test_a_silent_sensor_eases_back_to_where_the_show_says() -> None:
    rig = Rig(FADER + "timeout = 1\nease = 2\n", look__grain=0.2)
    rig.hear("/fader", 1.0)
    assert rig.wait(0.9) == []
    way = [float(value) for _, value in rig.wait(2.5)]
    assert all(b < a + 1e-9 for a, b in pairwise(way)) and way[0] > 0.99 and way[-1] == 0.2 and len(way) > 100
    assert max(a - b for a, b in pairwise(way)) < 0.02
    assert rig.hear("/fader", 0.6) == [("look.grain", 0.6)]  # somebody is back


def test_without_a_time_out_the_last_value_holds() -> None:
    rig = Rig(FADER, look__grain=0.2)
    rig.hear("/fader", 1.0)
    assert rig.wait(20) == []


def test_a_hand_that_moves_the_parameter_meanwhile_keeps_it() -> None:
    rig = Rig(FADER + "timeout = 1\n", look__grain=0.2)
    rig.hear("/fader", 1.0)
    rig.controls.set("look.grain", 0.7)
    assert rig.wait(5) == [] and rig.controls.target("look.grain") == 0.7


def test_a_fader_that_never_took_over_has_nothing_to_ease_back() -> None:
    rig = Rig(FADER + 'takeover = "pickup"\ntimeout = 1\n', look__grain=0.2)
    rig.controls.set("look.grain", 0.7)
    assert rig.hear("/fader", 0.1) == []
    assert rig.wait(5) == [] and rig.controls.target("look.grain") == 0.7


def test_one_of_several_that_falls_silent_leaves_the_others() -> None:
    rig = Rig(one("look.grain", "combine = 'max'\ntimeout = 1\nease = 0.5", "/sensor/*"), look__grain=0.0)
    rig.hear("/sensor/1", 1.0)
    for _ in range(240):
        rig.hear("/sensor/2", 0.4)
    assert rig.controls.target("look.grain") == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("encoder", "forth", "back", "none"),
    [("plain", 1, -1, 0), ("plain", 1.0, -1.0, 0.0), ("twos", 1, 127, 0), ("offset", 65, 63, 64), ("sign", 1, 65, 0)],
)
def test_encoders(encoder: str, forth: float, back: float, none: float) -> None:
    rig = Rig(one("look.grain", f"mode = 'relative'\nencoder = '{encoder}'\nstep = 0.1"), look__grain=0.5)
    assert rig.hear("/x", none) == []
    for _ in range(3):
        rig.mapper.hear("/x", [forth])
    rig.frame()
    assert rig.controls.target("look.grain") == pytest.approx(0.8)
    rig.hear("/x", back)
    assert rig.controls.target("look.grain") == pytest.approx(0.7)
    rig.controls.set("look.grain", 0.2)  # a preset: the encoder goes on from there
    rig.hear("/x", forth)
    assert rig.controls.target("look.grain") == pytest.approx(0.3)


def test_an_encoder_turns_whole_numbers_choices_and_switches() -> None:
    relative = "mode = 'relative'"
    rig = Rig(
        one("walk.seed", relative, "/seed")
        + one("blend.transition", relative, "/way")
        + one("walk.pause", relative, "/p"),
        walk__seed=7,
    )
    rig.mapper.hear("/seed", [1])
    assert rig.hear("/seed", 1)[-1] == ("walk.seed", 9)
    assert rig.hear("/way", 1) == [("blend.transition", "tear")]
    assert rig.hear("/way", -3) == [("blend.transition", "dissolve")]
    assert rig.hear("/p", 1) == [("walk.pause", True)] and rig.hear("/p", -1) == [("walk.pause", False)]


def test_presses_fire_triggers_once_with_hysteresis() -> None:
    rig = Rig(one("walk.nudge", "in = [0, 100]\nthreshold = 0.5\nhysteresis = 0.1"))
    fired = []
    for value in (10, 60, 80, 45, 55, 30, 90, 20):
        rig.hear("/x", value)
        fired.append(rig.controls.take("walk.nudge"))
    assert fired == [0, 0.6, 0, 0, 0, 0, 0.9, 0]


def test_several_presses_in_one_frame_all_count() -> None:
    rig = Rig(one("walk.nudge") + one("walk.pause", "mode = 'toggle'", "/flip"))
    for value in (1, 0, 1, 0, 1, 0):
        rig.mapper.hear("/x", [value])
        rig.mapper.hear("/flip", [value])
    rig.frame()
    assert [rig.controls.take("walk.nudge") for _ in range(4)] == [1, 1, 1, 0]
    assert rig.controls["walk.pause"] is True


def test_a_bang_is_a_press_and_so_is_a_pad_that_never_lets_go() -> None:
    rig = Rig(one("walk.nudge"))
    rig.hear("/x")
    rig.hear("/x", None)
    assert [rig.controls.take("walk.nudge") for _ in range(3)] == [1, 1, 0]
    for _ in range(2):
        rig.hear("/x", 1.0)
        rig.wait(0.5)
    assert [rig.controls.take("walk.nudge") for _ in range(3)] == [1, 1, 0]


def test_a_switch_follows_with_hysteresis_and_leaves_a_hand_its_way() -> None:
    rig = Rig(one("stage.blackout", "threshold = 0.6\nhysteresis = 0.2"))
    heard = [rig.hear("/x", v) for v in (0.1, 0.5, 0.7, 0.5, 0.3)]
    assert [value for steers in heard for _, value in steers] == [True, False]
    rig.controls.set("stage.blackout", True)  # a key
    assert rig.hear("/x", 0.2) == [] and rig.controls["stage.blackout"] is True


def test_choices_by_travel_by_name_and_by_place() -> None:
    rig = Rig(one("blend.transition", "in = [0, 1]", "/fader") + one("blend.transition", "", "/name"))
    assert rig.hear("/fader", 1.0) == [("blend.transition", "pulp")]
    assert rig.hear("/fader", 0.74) == []  # not clearly left yet
    assert rig.hear("/fader", 0.6) == [("blend.transition", "luma")]
    assert rig.hear("/name", "Tear") == [("blend.transition", "tear")]
    assert rig.hear("/name", 2) == [("blend.transition", "luma")]
    (mistake,) = rig.mapper.take("/name", ["disolve"])
    assert "must be one of dissolve, tear, luma, pulp, got 'disolve'" in mistake.text


def test_a_pad_sends_what_it_is_told_to() -> None:
    rig = Rig(
        one("say", "send = 'a whale'", "midi:note/1/36")
        + one("look.grain", "send = 0.9", "/pad")
        + one("blend.transition", "send = 'tear'", "/pad")
    )
    rig.hear("midi:note/1/36", 99)
    rig.hear("midi:note/1/36", 0)
    assert rig.controls.take_call("say") == "a whale" and rig.controls.take_call("say") is None
    assert dict(rig.hear("/pad", 1)) == {"look.grain": 0.9, "blend.transition": "tear"}
    assert rig.hear("/pad", 0) == []


def test_words_pass_through() -> None:
    rig = Rig(one("say", "", "/words") + one("material.clouds.prompt", "arg = 2", "/words"))
    rig.hear("/words", "a", "whale")
    assert rig.controls.take_call("say") == "a whale" and rig.controls["material.clouds.prompt"] == "whale"


def test_midi_and_sound_know_their_own_range() -> None:
    rig = Rig(one("look.grain", "", "midi:cc/*/74") + one("look.exposure", "", "midi:bend/1")
              + one("look.drift", "", "sound:level"))  # fmt: skip
    assert rig.hear("midi:cc/3/74", 127) == [("look.grain", 1.0)]
    assert rig.hear("midi:bend/1", -1.0) == [("look.exposure", -4.0)]
    assert rig.hear("sound:level", 0.5) == [("look.drift", 0.5)]


def test_another_table_keeps_what_both_have() -> None:
    rig = Rig(FADER + 'takeover = "pickup"\n', look__grain=0.5)
    rig.hear("/fader", 0.4)
    rig.hear("/fader", 0.6)  # has taken over
    rig.mapper.use(table_of(one("look.drift") + FADER + 'takeover = "pickup"\n'))
    rig.frame()
    assert rig.hear("/fader", 0.9) == [("look.grain", 0.9)] and rig.hear("/x", 0.35) == [("look.drift", 0.35)]
    rig.mapper.use(MapTable())
    rig.frame()
    assert rig.hear("/fader", 0.1) == [] and not rig.mapper.knows("/fader")


def test_addresses_without_end_cost_bounded_memory() -> None:
    rig = Rig(one("look.grain", "combine = 'mean'\nsmooth = true", "/sensor/*"))
    for n in range(4 * MAX_ADDRESSES):
        rig.mapper.hear(f"/sensor/{n}", [0.5])
    rig.frame()
    assert len(rig.mapper._routes) <= MAX_ADDRESSES and len(rig.mapper._driven["look.grain"].streams) <= MAX_ADDRESSES


def test_whatever_comes_nothing_raises_and_every_value_is_allowed() -> None:
    rng = random.Random(5)
    names = [n for n, p in REGISTRY.items() if p.live and p.kind not in ("text", "call")]
    text = ""
    for n, name in enumerate(names):
        kind = REGISTRY[name].kind
        more = ["", "smooth = true", "combine = 'mean'", "takeover = 'scale'", "timeout = 0.1", "invert = true"][n % 6]
        text += one(name, more if kind == "number" else "", f"/in/{n % 7}") + "arg = " + str(1 + n % 3) + "\n"
    rig = Rig(text)
    odd = [math.nan, math.inf, -math.inf, "x", "", None, True, 10**400, -5, 0, 0.5, 1, 127, 1e300, b"\0", [], object()]
    for _ in range(3000):
        rig.mapper.take(f"/in/{rng.randrange(8)}", [rng.choice(odd) for _ in range(rng.randrange(5))])
        if rng.random() < 0.2:
            for name, value in rig.frame(rng.randrange(4)):
                assert REGISTRY[name].coerce(value) == value


def test_the_same_messages_at_the_same_ticks_are_the_same_values() -> None:
    def play() -> list[object]:
        rng, said = random.Random(3), []
        rig = Rig(
            one("look.grain", "smooth = true\ntimeout = 0.2", "/s/*") + one("walk.speed", "takeover = 'scale'", "/f")
        )
        for _ in range(400):
            if rng.random() < 0.3:
                rig.mapper.hear(rng.choice(["/s/1", "/s/2", "/f"]), [rng.random()])
            said.append(rig.frame())
        return said

    assert play() == play()


def test_what_an_address_drives_is_known_to_those_who_show_it() -> None:
    mapper = Mapper(REGISTRY, table_of(one("look.grain", "", "/s/*") + one("walk.speed", "", "/s/1")))
    assert mapper.drives("/s/1") == ["walk.speed", "look.grain"] and mapper.drives("/nothing") == []
