"""Presets, cues, tempo and LFOs, in shows as a person writes them, steered as a hand would."""

import json
import logging
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from engine.control.lfo import drawn
from engine.control.link import LinkClock
from engine.control.presets import TICK_HZ
from engine.control.tempo import MidiClock, tapped_bpm
from engine.play.conductor import Conductor
from engine.play.shows import load_show
from engine.show.config import Show, ShowError
from engine.walk import mix

HEAD = """
[[material]]
name = "clouds"
prompt = "clouds"

[look]
grain = 0.2
contrast = 1.0

[walk]
speed = 1.0
"""
Play = Callable[[str], Conductor]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def show(tmp_path: Path) -> Callable[[str], Show]:
    def loaded(text: str) -> Show:
        path = tmp_path / "mine.toml"
        path.write_text(text + HEAD if text.lstrip().startswith(("score", "title")) else HEAD + text)
        return load_show(path)

    return loaded


@pytest.fixture
def play(show: Callable[[str], Show]) -> Play:
    return lambda text: Conductor(show(text))


def ticks(conductor: Conductor, seconds: float) -> None:
    for _ in range(round(seconds * TICK_HZ)):
        conductor.tick()


def fire(conductor: Conductor, name: str) -> None:
    conductor.set(name, 1.0)
    conductor.set(name, 0.0)
    conductor.tick()


def test_ticks_are_those_of_the_walk() -> None:
    assert TICK_HZ == mix.TICK_HZ


# --- presets ------------------------------------------------------------------------------------------------------


PRESETS = """
[preset.calm]
walk.speed = 0.2
look.contrast = 0.5
stage.blackout = true
walk.pause = true
tempo.bar = 3
blend.time = 1.5
"material.clouds.prompt" = "mist"
blend.transition = "pulp"
time = 2.0
times = { "walk.speed" = 4.0 }

[preset.wild]
walk.speed = 3.0
look = { contrast = 2.0 }
time = 1
"""


def test_a_recall_moves_each_kind_as_suits_it(play: Play) -> None:
    c = play(PRESETS)
    c.set("preset.recall", "calm")
    c.tick()
    assert c["material.clouds.prompt"] == "mist" and c["stage.blackout"] is True, "what has a transition of its own"
    assert c["blend.transition"] == "pulp" and c["blend.time"] == 1.5, "how a jump is made"
    ticks(c, 0.95)
    assert c["walk.pause"] is False and c["tempo.bar"] == 4
    ticks(c, 0.1)
    assert c["walk.pause"] is True and c["tempo.bar"] == 3, "in the middle"
    assert float(c["look.contrast"]) == pytest.approx(math.sqrt(0.5), rel=0.1), "by equal ratios"
    ticks(c, 1.0)
    assert c["look.contrast"] == 0.5 and 0.5 < float(c["walk.speed"]) < 0.7, "one that has a time of its own"
    ticks(c, 2.0)
    assert c["walk.speed"] == 0.2


def test_a_recall_in_the_middle_of_another_begins_where_things_are(play: Play) -> None:
    c, last = play(PRESETS), 1.0
    for n in range(4 * TICK_HZ):
        if n in (0, 60, 100, 160, 200):
            c.set("preset.recall", "wild" if n % 40 else "calm 1.5")
        c.tick()
        assert abs(float(c["walk.speed"]) - last) < 3.0 / TICK_HZ * 2
        last = float(c["walk.speed"])
    assert c["walk.speed"] == 0.2 and c["look.contrast"] == 0.5 and c["walk.pause"] is True


def test_a_hand_takes_what_it_moves_and_nothing_else(play: Play) -> None:
    c = play(PRESETS)
    c.set("preset.recall", "calm")
    ticks(c, 0.5)
    c.set("walk.speed", 2.5)
    c.set("tempo.bar", 7)
    ticks(c, 6.0)
    assert c["walk.speed"] == pytest.approx(2.5, abs=1e-4) and c["tempo.bar"] == 7
    assert c["look.contrast"] == 0.5 and c["walk.pause"] is True


def test_a_time_said_with_the_recall_goes_before_all_others(play: Play) -> None:
    c = play(PRESETS)
    c.set("preset.recall", "calm 0.5")
    ticks(c, 0.52)
    assert c["walk.speed"] == 0.2 and c["look.contrast"] == 0.5


def test_no_time_is_a_cut(play: Play) -> None:
    c = play(PRESETS)
    c.set("preset.recall", "wild 0")
    ticks(c, 2 / TICK_HZ)
    assert c["walk.speed"] == 3.0 and c["look.contrast"] == 2.0


def test_by_number_and_what_is_not_there_is_one_line(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    c = play(PRESETS)
    c.set("preset.recall", "2 0")
    ticks(c, 4.0)
    assert c["walk.speed"] == pytest.approx(3.0, abs=1e-3)
    for text in ("calmm", "9", "", "wild -3", "../../etc"):
        c.set("preset.recall", text)
    c.tick()
    said = [record.message for record in caplog.records]
    assert len(said) == 5 and "no preset 'calmm'. Did you mean calm?" in said[0] and "There are calm, wild." in said[1]


def test_what_is_stored_is_where_the_hand_is_and_not_what_swings_on_top(play: Play) -> None:
    c = play(PRESETS)
    c.set("walk.speed", 2.0)
    c.set("walk.seed", 99)
    c.set("stage.blackout", True)
    c.controls.modulate("look.grain", "somebody", 0.5)
    c.set("preset.store", "verse 2")
    c.tick()
    stored = c.automation.presets.stored["verse 2"]["values"]
    assert stored["walk.speed"] == 2.0 and stored["look.grain"] == 0.2
    assert not {"walk.seed", "stage.blackout", "walk.loop", "walk.jump", "say"} & stored.keys()
    c.set("walk.speed", 0.1)
    ticks(c, 3.0)
    c.set("preset.recall", "verse 2 1")
    ticks(c, 1.1)
    assert c["walk.speed"] == 2.0 and c["walk.seed"] == 99
    c.set("preset.delete", "verse 2")
    c.tick()
    assert not c.automation.presets.stored and c.automation.presets.version == 2


def test_a_preset_stored_in_the_middle_of_a_morph_is_what_is_seen(play: Play) -> None:
    c = play(PRESETS)
    c.set("preset.recall", "wild")
    ticks(c, 0.5)
    seen = c["walk.speed"]
    c.set("preset.store", "7")
    c.tick()
    assert c.automation.presets.stored["7"]["values"]["walk.speed"] == pytest.approx(seen, abs=0.05)


def test_stored_presets_are_bounded_and_damaged_ones_left_out(play: Play) -> None:
    c = play(PRESETS)
    for n in range(300):
        c.set("preset.store", f"p{n}")
        c.tick()
    assert len(c.automation.presets.stored) == 200
    c.automation.presets.know({"a": {"values": {"walk.speed": "fast", "look.grain": 0.3, "no.such": 1}}, "b": 7})
    assert c.automation.presets.stored == {"a": {"values": {"look.grain": 0.3}, "time": None, "times": {}}}


# --- the way back -------------------------------------------------------------------------------------------------


def test_panic_returns_everything_in_two_seconds_and_cues_to_their_beginning(play: Play) -> None:
    c = play(PRESETS + CUES + LFO)
    fire(c, "cue.go")
    c.set("lfo.breath.depth", 0.9)
    c.set("walk.speed", 4.0)
    ticks(c, 0.8)
    fire(c, "show.panic")
    ticks(c, 2.05)
    own = load_show(c_path(c)).values
    assert {n for n, v in own.items() if c.controls.base(n) != v} == set()
    assert c.automation.cues.place == 0
    ticks(c, 20.0)
    assert c.controls.base("walk.speed") == 1.0, "what would have followed does not"


def c_path(conductor: Conductor) -> Path:
    return PATHS[-1]


PATHS: list[Path] = []


@pytest.fixture(autouse=True)
def remember(tmp_path: Path) -> None:
    PATHS.append(tmp_path / "mine.toml")


# --- cues ---------------------------------------------------------------------------------------------------------


CUES = """
[[cue]]
name = "Verse"
preset = "calm"
set = { "look.grain" = 0.9 }
time = 1
follow = 3

[[cue]]
name = "Chorus"
set = { walk = { speed = 3 } }
time = 0.5
fire = ["walk.jump"]

[[cue]]
to = { "look.vignette" = 1.0 }
over = "4 beats"
"""


def test_cues_go_on_by_hand_and_by_themselves(play: Play) -> None:
    c = play(PRESETS + CUES)
    assert c.automation.cues.status == "before the first cue; next Verse"
    fire(c, "cue.go")
    assert c.automation.cues.status == "cue 1 of 3, Verse; next Chorus"
    ticks(c, 1.1)
    assert c["look.grain"] == 0.9 and c["walk.speed"] == 0.2 and c.navigator.epoch == 0
    ticks(c, 1.8)
    assert c.automation.cues.place == 1
    ticks(c, 0.2)
    assert c.automation.cues.place == 2 and c.navigator.epoch == 1
    ticks(c, 10.0)
    assert c["walk.speed"] == 3.0 and c.automation.cues.place == 2
    c.set("tempo.bpm", 60.0)
    fire(c, "cue.go")
    ticks(c, 2.0)
    assert float(c["look.vignette"]) == pytest.approx(0.25 + 0.75 / 2, abs=0.01), "evenly, over four beats of a second"
    ticks(c, 2.0)
    assert c["look.vignette"] == pytest.approx(1.0) and c.automation.cues.status == "cue 3 of 3; the last one"


def test_back_and_out_of_order_is_where_the_list_would_be(play: Play, caplog: pytest.LogCaptureFixture) -> None:
    c = play(PRESETS + CUES)
    for _ in range(3):
        fire(c, "cue.go")
    ticks(c, 3.0)
    fire(c, "cue.back")
    ticks(c, 3.0)
    assert c["look.vignette"] == 0.25 and c["walk.speed"] == 3.0 and c.navigator.epoch == 1, "nothing is fired again"
    fire(c, "cue.back")
    ticks(c, 3.0)
    assert c["walk.speed"] == 0.2 and c["look.grain"] == 0.9
    fire(c, "cue.back")
    ticks(c, 3.0)
    assert c["walk.speed"] == 1.0 and c["look.grain"] == 0.2 and c["stage.blackout"] is False
    c.set("cue.goto", "Chorus")
    ticks(c, 3.0)
    assert c["walk.speed"] == 3.0 and c["look.grain"] == 0.9 and c["look.contrast"] == 0.5 and c.navigator.epoch == 2
    fire(c, "cue.back")
    fire(c, "cue.back")
    fire(c, "cue.back")
    c.set("cue.goto", "Corus")
    c.tick()
    assert [r.message for r in caplog.records] == [
        "cue.back: this is before the first cue", "cue.goto: there is no cue 'Corus'. Did you mean Chorus?"
    ]  # fmt: skip


def test_a_cue_of_a_stored_preset_is_found_and_one_that_is_deleted_is_said(
    play: Play, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ShowError, match=r"\[\[cue\]\] 1 preset must be one that the show has .*, got 'verse'"):
        play(PRESETS + '[[cue]]\npreset = "verse"\n')
    from engine.play.stored import StoredPresets

    c = play(PRESETS)
    kept = StoredPresets(load_show(tmp_path / "mine.toml"))
    c.set("look.grain", 0.7)
    c.set("preset.store", "verse")
    c.tick()
    kept.keep(c.automation.presets)
    kept.close()
    c = play(PRESETS + '[[cue]]\npreset = "verse"\ntime = 0\n[[cue]]\nset = { "look.grain" = 0.1 }\n')
    fire(c, "cue.go")
    ticks(c, 3.0)
    assert c["look.grain"] == pytest.approx(0.7, abs=1e-3)


def test_a_jump_goes_the_way_that_its_own_cue_says(play: Play) -> None:
    c = play('[[cue]]\nset = { blend = { transition = "pulp", time = 3 } }\nfire = ["walk.jump"]\ntime = 9\n')
    fire(c, "cue.go")
    assert c.navigator.epoch == 1 and c["blend.transition"] == "pulp" and c["blend.time"] == 3.0


# --- what is wrong in a file --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[preset.a]\nwalk.sped = 1", "[preset.a] must be made of parameters of this show, got 'walk.sped'. "
                                      "Did you mean walk.speed?"),
        ("[preset.a]\nwalk.speed = 9", "[preset.a] walk.speed must be a number from 0 to 4 phase/s, got 9"),
        ("[preset.a]\nwalk.jump = 1", "[preset.a] must be made of parameters that have a value, got walk.jump, "
                                      "which is a trigger"),
        ("[preset.a]\nosc.port = 1", "[preset.a] must be made of parameters that can be changed while the show runs, "
                                     "got osc.port"),
        ("[preset.a]\nwalk.speed = 1\ntime = -1", "[preset.a] time must be a number from 0 to 3600 s, got -1"),
        ("preset = 3", "preset must be tables such as [preset.calm], got 3"),
        ('[[cue]]\npreset = "calm"', "[[cue]] 1 preset must be one that the show has, and it has none, got 'calm'"),
        ('[[cue]]\nfire = ["walk.speed"]',
         "[[cue]] 1 fire must be made of triggers, got walk.speed, which is a number"),
        ('[[cue]]\nfire = ["cue.go"]',
         "[[cue]] 1 fire must be made of triggers other than the cues' own, got cue.go"),
        ('[[cue]]\nfire = { "walk.nudge" = 2 }', "[[cue]] 1 fire walk.nudge must be a strength from 0 to 1, got 2"),
        ('[[cue]]\ncall = { "say" = 3 }', "[[cue]] 1 call say must be text of at most 1000 characters, got 3"),
        ('[[cue]]\nprest = "a"', "[[cue]] 1 must be made of name, preset, set, time, times, to, over, fire, call, "
                                 "follow, got 'prest'. Did you mean preset?"),
        ('[[cue]]\nto = { "look.grain" = 1 }', "[[cue]] 1 over must be how long the way takes, in seconds or as "
                                               "'8 beats', got nothing"),
        ("[[cue]]\nfollow = true", "[[cue]] 1 follow must be a number from 0 to 3600 s, got true"),
        ('[[lfo]]\nname = "a"\nto = "walk.pause"', "[[lfo]] 1 to must be a number that can be changed while the show "
                                                   "runs, got walk.pause, a switch"),
        ('[[lfo]]\nname = "a"\nto = "walk.sped"', "[[lfo]] 1 to must be a parameter of this show, got 'walk.sped'. "
                                                  "Did you mean walk.speed?"),
        ('[[lfo]]\nname = "a"\nto = "walk.speed"\nrate = 1\nbeats = 4', "[[lfo]] 1 must be given either rate, in Hz, "
                                                                        "or beats, got both"),
        ('[[lfo]]\nname = "a"\nto = "walk.speed"\nshape = "sin"',
         "[[lfo]] 1 shape must be one of sine, triangle, ramp, square, walk, hold, envelope, got 'sin'. "
         "Did you mean sine?"),
        ('[[lfo]]\nname = "a"\nto = "walk.speed"\nrate = 99',
         "lfo.a.rate must be a number from 0.001 to 30 Hz, got 99"),
        ('[[lfo]]\nname = "a"\nto = "walk.speed"\nshape = "envelope"\non = "walk.jmp"',
         "[[lfo]] 1 on must be a trigger, got 'walk.jmp'. Did you mean walk.jump?"),
    ],
)  # fmt: skip
def test_every_mistake_is_told_with_its_place(show: Callable[[str], Show], text: str, said: str) -> None:
    with pytest.raises(ShowError) as caught:
        show(text if not text.startswith("preset =") else f'title = "x"\n{text}\n')
    (line,) = caught.value.problems
    assert line.partition(": ")[2] == said


# --- tempo --------------------------------------------------------------------------------------------------------


def tap(conductor: Conductor, gaps_s: list[float]) -> None:
    fire(conductor, "tempo.tap")
    for gap in gaps_s:
        ticks(conductor, gap - 1 / TICK_HZ)
        fire(conductor, "tempo.tap")


def test_taps_make_the_tempo_and_a_slip_does_not_count(play: Play) -> None:
    c = play("")
    tap(c, [0.5, 0.51, 0.49, 1.02, 0.5, 0.5])
    assert c["tempo.bpm"] == pytest.approx(120, rel=0.01)
    ticks(c, 4.0)
    tap(c, [0.6])
    assert c["tempo.bpm"] == pytest.approx(100, rel=0.01), "two taps after a rest are enough"


def test_tapped_tempo_is_bounded_and_needs_two() -> None:
    assert tapped_bpm([1.0]) is None and tapped_bpm([0.0, 0.16]) == 300 and tapped_bpm([0.0, 60.0]) == 20
    assert tapped_bpm([0.0, 0.4, 2.0]) == pytest.approx(60)


def test_beats_go_on_from_where_they_are_whatever_the_tempo_does(play: Play) -> None:
    c, last = play(""), 0.0
    for n in range(20 * TICK_HZ):
        if n % 97 == 0:
            c.set("tempo.bpm", [60.0, 300.0, 20.0, 137.0][n // 97 % 4])
        if n % 211 == 0:
            c.set("tempo.sync", 1.0)
            c.set("tempo.sync", 0.0)
        c.tick()
        step = c.automation.tempo.beats - last
        assert 0 < step <= 300 / 60 / TICK_HZ * 1.5 + 1e-12
        last = c.automation.tempo.beats


def test_taps_bring_the_beat_to_where_they_are(play: Play) -> None:
    c = play("")
    ticks(c, 0.2)
    tap(c, [0.5] * 7)
    ticks(c, 1.0 - 1 / TICK_HZ)
    assert abs((c.automation.tempo.beats + 0.5) % 1.0 - 0.5) < 0.04


def test_a_midi_clock_tells_tempo_and_beat() -> None:
    clock, said = MidiClock(), []
    clock.start()
    for n in range(24 * 8):
        clock.clock_pulse(10.0 + n * 0.5 / 24 + (0.001 if n % 3 else -0.001))
        said += [(n, *entry) for entry in clock.drain()]
    assert [value for _, name, value in said if name == "tempo.bpm"][-1] == pytest.approx(120, rel=0.01)
    assert sum(name == "tempo.bpm" for _, name, _ in said) < 20, "only what changed"
    assert [n for n, name, value in said if name == "tempo.sync" and value] == [n * 24 for n in range(8)]
    clock.clock_pulse(99.0)
    assert all(name != "tempo.bpm" for name, _ in clock.drain()), "after a rest it is measured anew"


class Session:
    """Of Ableton Link, as far as it is read."""

    def __init__(self) -> None:
        self.tempo, self.beat = 999.0, 7.9


def test_ableton_link_tells_tempo_and_beat() -> None:
    session = Session()
    link = LinkClock(session)
    assert link.drain() == [("tempo.bpm", 300.0)] and link.drain() == []
    session.tempo, session.beat = 128.0, 8.01
    assert link.drain() == [("tempo.bpm", 128.0), ("tempo.sync", 1.0), ("tempo.sync", 0.0)]
    session.beat = 8.9
    assert link.drain() == []


# --- LFOs ---------------------------------------------------------------------------------------------------------


LFO = """
[[lfo]]
name = "breath"
to = "look.grain"
rate = 0.5
depth = 0.1
"""


def swing(conductor: Conductor, name: str, seconds: float) -> list[float]:
    found = []
    for _ in range(round(seconds * TICK_HZ)):
        conductor.tick()
        found.append(float(conductor[name]))
    return found


def test_an_lfo_swings_on_top_and_never_moves_the_fader(play: Play) -> None:
    c = play(LFO)
    seen = swing(c, "look.grain", 2.0)
    assert max(seen) == pytest.approx(0.3, abs=1e-3) and min(seen) == pytest.approx(0.1, abs=1e-3)
    assert sum(seen) / len(seen) == pytest.approx(0.2, abs=1e-3)
    assert c.controls.base("look.grain") == 0.2 == c.controls.target("look.grain")
    c.set("lfo.breath.depth", 0.0)
    swing(c, "look.grain", 10.0)
    assert c["look.grain"] == 0.2


def test_depth_is_a_share_of_the_faders_travel(play: Play) -> None:
    c = play('[[lfo]]\nname = "a"\nto = "look.contrast"\nshape = "square"\nrate = 1\ndepth = 0.5\n')
    assert {round(v, 9) for v in swing(c, "look.contrast", 2.0)} == {2.0, 0.5}, "of a log range from 0.5 to 2"


@pytest.mark.parametrize("shape", ["sine", "triangle", "ramp", "square", "walk", "hold"])
def test_every_shape_uses_its_range_and_is_the_same_again(play: Play, shape: str) -> None:
    text = f'[[lfo]]\nname = "a"\nto = "look.grain"\nshape = "{shape}"\nrate = 2\nseed = 5\ndepth = 0.2\n'
    first = swing(play(text), "look.grain", 20.0)
    assert first == swing(play(text), "look.grain", 20.0)
    assert 0.36 < max(first) <= 0.4 + 1e-9 and 0.0 <= min(first) < 0.04
    if shape in ("walk", "hold"):
        assert first != swing(play(text.replace("seed = 5", "seed = 6")), "look.grain", 20.0)
    if shape in ("sine", "triangle", "walk"):
        assert max(abs(a - b) for a, b in pairwise(first)) < 0.04, "no jump"


def test_random_numbers_of_a_seed_are_even_and_differ() -> None:
    found = [drawn(3, n) for n in range(4000)]
    assert abs(sum(found) / 4000 - 0.5) < 0.02 and len(set(found)) == 4000 and drawn(3, 7) != drawn(4, 7)


def test_an_lfo_in_beats_stays_on_the_beat_and_falls_in_with_it_again(play: Play) -> None:
    c = play('[[lfo]]\nname = "a"\nto = "look.grain"\nshape = "triangle"\nbeats = 4\ndepth = 0.2\n')
    ticks(c, 1.0)
    c.set("tempo.bpm", 90.0)
    c.set("lfo.a.beats", 3.0)
    seen = swing(c, "look.grain", 1.0)
    assert max(abs(a - b) for a, b in pairwise(seen)) < 0.02
    ticks(c, 10.0)
    c.tick()
    phase = c.automation.tempo.beats / 3
    assert float(c["look.grain"]) == pytest.approx(0.2 + 0.2 * (1 - 4 * abs((phase + 0.25) % 1 - 0.5)), abs=1e-3)


def test_an_envelope_rises_at_its_trigger_and_at_another(play: Play) -> None:
    c = play('[[lfo]]\nname = "a"\nto = "look.grain"\nshape = "envelope"\non = "walk.nudge"\nattack = 0.1\n'
             'decay = 1\ndepth = 0.5\n')  # fmt: skip
    assert set(swing(c, "look.grain", 0.5)) == {0.2}
    for name, strength in (("walk.nudge", 1.0), ("lfo.a.hit", 0.5)):
        c.controls.hit(name, strength)
        seen = swing(c, "look.grain", 6.0)
        assert max(seen) == pytest.approx(0.2 + 0.5 * strength, abs=1e-6)
        assert 8 <= seen.index(max(seen)) <= 13 and seen[-1] == 0.2
        assert seen[132] < 0.2 + 0.5 * strength * 0.08, "a twentieth is left after its decay"


def test_a_show_that_is_taken_up_in_the_middle_goes_on_the_same(show: Callable[[str], Show]) -> None:
    text = PRESETS + CUES + LFO + '[[lfo]]\nname = "b"\nto = "look.vignette"\nbeats = 3\nshape = "walk"\n'
    one, other = Conductor(show(text)), Conductor(show(text))
    fire(one, "cue.go")
    tap(one, [0.4, 0.4])
    one.set("preset.store", "x")
    ticks(one, 0.3)
    other.set("tempo.bpm", float(one["tempo.bpm"]))
    state = one.automation.to_dict()
    assert state == json.loads(json.dumps(state))
    other.automation.restore(state)
    assert other.automation.to_dict() == state
    ticks(one, 3.0)
    ticks(other, 3.0)
    assert one.automation.cues.place == other.automation.cues.place == 2
    assert one.automation.tempo.beats == other.automation.tempo.beats and one.automation.presets.names == (
        "calm", "wild", "x"
    )  # fmt: skip


def test_twenty_lfos_are_what_a_person_would_write(
    show: Callable[[str], Show], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    lfos = "".join(
        f'[[lfo]]\nname = "l{n}"\nto = "look.grain"\nrate = {0.1 + n / 10}\ndepth = 0.01\n' for n in range(20)
    )
    c = Conductor(show(lfos))
    ticks(c, 1.0)
    assert c["look.grain"] != 0.2 and not caplog.records
