"""Scores: what happens when, in seconds and in beats, with loops and holds, as a person writes them."""

import json
from pathlib import Path

import pytest

from engine.control.presets import TICK_HZ
from engine.play.conductor import SEEN, Conductor
from engine.play.shows import load_show
from engine.show.config import Show, ShowError

SHOW = """
[[material]]
name = "clouds"
prompt = "clouds"

[tempo]
bpm = 60

[preset.calm]
walk.speed = 0.2
time = 1
"""


def scored(tmp_path: Path, score: str, show: str = SHOW) -> Show:
    (tmp_path / "mine.toml").write_text(show)
    (tmp_path / "evening.toml").write_text(score)
    return load_show(tmp_path / "mine.toml", score=tmp_path / "evening.toml")


def jumps(conductor: Conductor, seconds: float) -> list[float]:
    """When the walk leaps, in seconds since the score began."""
    found, epoch = [], 0 if conductor.navigator.ticks == 1 else conductor.navigator.epoch
    for _ in range(round(seconds * TICK_HZ)):
        if conductor.navigator.epoch != epoch:
            found.append(round((conductor.navigator.ticks - 1) / TICK_HZ, 3))
            epoch = conductor.navigator.epoch
        conductor.tick()
    return found


def leaps(*at: str) -> str:
    return "".join(f'[[cue]]\nat = {moment}\nfire = ["walk.jump"]\n' for moment in at)


def test_everything_happens_at_its_time(tmp_path: Path) -> None:
    c = Conductor(scored(tmp_path, leaps("0", "1.5", '"0:02"', '"0:00:02.5"', '"3 s"')))
    assert jumps(c, 5.0) == [0.0, 1.5, 2.0, 2.5, 3.0]


def test_what_stands_at_the_beginning_happens_and_the_rest_waits_for_the_first_picture(tmp_path: Path) -> None:
    show = scored(tmp_path, leaps("0", "1.5"))
    c = Conductor(show, unseen=True)
    assert jumps(c, 10.0) == [0.0]
    assert c.automation.score.status == "score 0:00, waits for the first picture"
    other = Conductor(show)
    other.restore(json.loads(json.dumps(c.to_dict())))
    for each in (c, other):
        each.steer(SEEN, True)
        assert jumps(each, 3.0) == [11.5]


def test_beats_and_bars_go_by_the_tempo(tmp_path: Path) -> None:
    c = Conductor(scored(tmp_path, leaps('"1 beat"', '"2b"', '"1 bar"', '"6 beats"')))
    assert jumps(c, 3.0) == [1.0, 2.0]
    c.set("tempo.bpm", 120.0)
    assert jumps(c, 3.0) == [pytest.approx(3.5, abs=0.02), pytest.approx(4.5, abs=0.02)]


def test_presets_values_ramps_and_words(tmp_path: Path) -> None:
    c = Conductor(scored(tmp_path, """
        [[cue]]
        at = 1
        preset = "calm"
        set = { "look.grain" = 0.8 }
        call = { say = "a whale" }

        [[cue]]
        at = "3 beats"
        to = { walk = { speed = 1.2 } }
        over = "4 beats"
        """))  # fmt: skip
    jumps(c, 2.1)
    assert c["walk.speed"] == 0.2 and c["look.grain"] == 0.8
    assert ["a whale"] in [list(p.prompts) for p in c.words.wanted]
    jumps(c, 3.0)
    assert float(c["walk.speed"]) == pytest.approx(0.2 + 1.0 * (5.1 - 3) / 4, abs=0.01), "evenly"
    jumps(c, 2.0)
    assert c["walk.speed"] == pytest.approx(1.2)


def test_a_loop_goes_round_without_losing_a_tick(tmp_path: Path) -> None:
    c = Conductor(scored(tmp_path, "loop = [1, 2.5]\n" + leaps("0.5", "1", "2")))
    assert jumps(c, 6.5) == [0.5, 1.0, 2.0, 2.5, 3.5, 4.0, 5.0, 5.5, 6.5][:8]
    c = Conductor(scored(tmp_path, 'loop = ["1 beat", "2 beats"]\n' + leaps('"1b"', "0.5", "1.5")))
    assert jumps(c, 4.2) == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0], "seconds go back with the beats"
    c = Conductor(scored(tmp_path, "loop = true\n" + leaps("0", "1") + "[[cue]]\nat = 2\n"))
    assert jumps(c, 5.2) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_hold_waits_for_a_hand_or_its_time(tmp_path: Path) -> None:
    c = Conductor(scored(tmp_path, "[[cue]]\nat = 1\nhold = true\n[[cue]]\nat = 2\nhold = 1.5\n" + leaps("1.5", "3")))
    assert jumps(c, 9.5) == [] and "waits for score.go" in c.automation.score.status
    c.set("score.go", 1.0)
    begun = (c.navigator.ticks - 1) / TICK_HZ
    found = [at - begun for at in jumps(c, 5.0)]
    assert found == [pytest.approx(0.5, abs=0.02), pytest.approx(2.0 + 1.5, abs=0.02)]


def test_paused_stopped_played_again_and_panic(tmp_path: Path) -> None:
    c = Conductor(scored(tmp_path, leaps("1", "2")))
    jumps(c, 1.2)
    c.set("score.pause", True)
    assert jumps(c, 3.0) == []
    c.set("score.pause", False)
    assert len(jumps(c, 1.0)) == 1
    c.set("score.play", 1.0)
    c.set("score.play", 0.0)
    assert len(jumps(c, 1.5)) == 1
    c.set("show.panic", 1.0)
    assert jumps(c, 5.0) == [] and "stopped" in c.automation.score.status


def test_a_score_stands_in_the_show_or_beside_it(tmp_path: Path) -> None:
    (tmp_path / "evening.toml").write_text(leaps("1"))
    for text in ('score = "evening.toml"\n' + SHOW, SHOW + leaps("1").replace("[[cue]]", "[[score.cue]]")):
        (tmp_path / "mine.toml").write_text(text)
        assert jumps(Conductor(load_show(tmp_path / "mine.toml")), 2.0) == [1.0]


def test_taken_up_in_the_middle_it_goes_on_the_same(tmp_path: Path) -> None:
    show = scored(
        tmp_path, 'loop = ["1 beat", "3 beats"]\n' + leaps('"1b"', "0.5", "1.5") + "[[cue]]\nat=2.2\nhold=0.4\n"
    )
    one, other = Conductor(show), Conductor(show)
    jumps(one, 3.3)
    state = json.loads(json.dumps(one.automation.to_dict()))
    jumps(other, 0.7)
    other.automation.restore(state)
    first, again = one.navigator.ticks, other.navigator.ticks
    assert [round(at * TICK_HZ) - first for at in jumps(one, 8.0)] == [
        round(at * TICK_HZ) - again for at in jumps(other, 8.0)
    ]


@pytest.mark.parametrize(
    ("score", "said"),
    [
        ("", "[[cue]] must be there 1 to 10000 times, got 0"),
        ("[[cue]]\nat = 'soon'", "[[cue]] 1 at must be a moment such as 12.5 (seconds), \"1:30\", \"16 beats\" or "
                                 "\"4 bars\", got 'soon'"),
        ("[[cue]]\npreset = 'calm'", "[[cue]] 1 at must be a moment such as 12.5 (seconds), \"1:30\", \"16 beats\" or "
                                     "\"4 bars\", got nothing"),
        ("[[cue]]\nat = 1\npreset = 'clam'", "[[cue]] 1 preset must be one that the show has (calm), got 'clam'. "
                                             "Did you mean calm?"),
        ("[[cue]]\nat = 1\nhold = 'long'",
         "[[cue]] 1 hold must be true, which waits for score.go, or how many seconds, got 'long'"),
        ("loop = [2, 1]\n[[cue]]\nat = 1", "loop must be from an earlier moment to a later one, got 2 s and 1 s"),
        ("loop = [1, '8 beats']\n[[cue]]\nat = 1",
         "loop must be from and to both in seconds, or both in beats or bars, got 1 s and 8 beats"),
        ("lop = true\n[[cue]]\nat = 1", "lop must be left out, as a score has title, loop, cue, got 'lop'. "
                                        "Did you mean loop?"),
        ("[[cue]]\nat = 1\nset = { 'walk.sped' = 1 }", "[[cue]] 1 set must be made of parameters of this show, got "
                                                       "'walk.sped'. Did you mean walk.speed?"),
    ],
)  # fmt: skip
def test_every_mistake_is_told_with_the_scores_name(tmp_path: Path, score: str, said: str) -> None:
    with pytest.raises(ShowError) as caught:
        scored(tmp_path, score)
    assert caught.value.problems == [f"{tmp_path / 'evening.toml'}: {said}"]
    if score:
        (tmp_path / "mine.toml").write_text('score = "evening.toml"\n' + SHOW)
        with pytest.raises(ShowError) as caught:
            load_show(tmp_path / "mine.toml")
        assert caught.value.problems == [f"{tmp_path / 'mine.toml'}: evening.toml {said}"]


@pytest.mark.parametrize("content", ["[[cue]\n", b"\xff\xfe", "x" * 10])
def test_what_is_no_score_is_one_sentence(tmp_path: Path, content: str | bytes) -> None:
    (tmp_path / "mine.toml").write_text(SHOW)
    path = tmp_path / "evening.toml"
    for problem in ("file not found", "this is a folder, not a file", "not a score in TOML|not UTF-8"):
        with pytest.raises(ShowError, match=problem) as caught:
            load_show(tmp_path / "mine.toml", score=path)
        assert len(caught.value.problems) == 1 and str(caught.value).startswith(f"{path}: ")
        if problem == "file not found":
            path.mkdir()
        elif path.is_dir():
            path.rmdir()
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
