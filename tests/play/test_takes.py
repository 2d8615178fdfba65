"""A performance and its take: the waypoints of the replay are those of the performance, tick by tick."""

import json
import logging
import random
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from engine.control.osc import OscIn
from engine.control.take import TakeError
from engine.play.conductor import Conductor, play_through
from engine.play.shows import load_show
from engine.play.takes import TakeRecording, open_take, replay
from engine.show.config import Show
from engine.walk.mix import TICK_S
from engine.walk.palette import Palette
from engine.walk.visit import Place
from engine.walk.waypoint import Waypoint
from tests.packets import Sender

FADERS = ("walk.speed", "walk.radius", "walk.pedesis", "walk.wander", "material.clouds", "look.grain")
HITS = ("walk.jump", "walk.nudge", "walk.home", "walk.home_here", "show.reset")


class Watched(Conductor):
    """A conductor that remembers where it was at every tick."""

    def __init__(self, *given: Any, **more: Any) -> None:
        self.been: dict[int, tuple[Waypoint, dict[str, Any]]] = {}
        super().__init__(*given, **more)

    def tick(self) -> None:
        super().tick()
        self.been[self.navigator.ticks] = self.waypoint(), dict(self)


def perform(conductor: Conductor, seconds: float, seed: int, sender: Sender | None = None) -> None:
    """Plays as the live loop does: frames of any length, steered between them, by hand and over the network."""
    rng = random.Random(seed)
    encoded: list[str] = []
    end_s, now_s = conductor.time_s + seconds, conductor.time_s
    while now_s < end_s:
        now_s += rng.choice([0.0, 0.004, 0.0167, 0.0333, 0.11, 0.24])
        for _ in range(rng.choice([0, 0, 1, 2])):
            steer(conductor, rng, sender)
        if sender:
            time.sleep(0.0005)
        conductor.listen()
        while conductor.time_s <= now_s - TICK_S:
            conductor.tick()
        if rng.random() < 0.2:  # words take a while to be encoded
            conductor.answer(encoded, {Palette.of(["rain"]).id: "too wet"})
            encoded = [palette.id for palette in conductor.words.wanted]
        if rng.random() < 0.04:
            here = conductor.waypoint()
            place, palettes = Place.of(here), conductor.words.palettes_of(here)
            conductor.visit(replace(place, focus=0.5), palettes, stay_s=2.0, leap=rng.random() < 0.5)


def steer(conductor: Conductor, rng: random.Random, sender: Sender | None) -> None:
    name, value = rng.choice([
        (rng.choice(FADERS), rng.random()),
        (rng.choice(HITS), rng.random()),
        ("walk.seed", rng.randrange(1000)),
        ("walk.pause", rng.random() < 0.3),
        ("blend.time", rng.random() * 3),
        ("say", rng.choice(["a whale", "rain", "a stair"])),
        ("say.hold", 1.0),
        ("material.clouds.prompt", rng.choice(["a cloud", "a coast", "smoke"])),
        ("clouds.see", rng.choice(["", "a face"])),
    ])  # fmt: skip
    if sender:
        sender("/" + name.replace(".", "/"), value)
    elif name == "walk.pause":
        conductor.toggle(name)
    else:
        conductor.set(name, value)


def replayed(show: Show, path: Path, fps: Fraction) -> tuple[Watched, list[Waypoint]]:
    opened, take = open_take(path)
    assert opened.values == show.values
    made = Watched
    import engine.play.takes as room

    before, room.Conductor = room.Conductor, made  # type: ignore[misc, assignment]
    try:
        conductor = replay(opened, take)
    finally:
        room.Conductor = before  # type: ignore[misc]
    conductor.been.clear()  # type: ignore[attr-defined]
    frames = round(take.ticks * TICK_S * fps)
    return conductor, list(play_through(conductor, fps, frames))  # type: ignore[return-value]


def same_ticks(live: Watched, again: Watched) -> int:
    """How many ticks both went through, which must be the same ones."""
    both = live.been.keys() & again.been.keys()
    for tick in sorted(both):
        assert again.been[tick] == live.been[tick], f"another place at tick {tick}"
    return len(both)


@pytest.mark.parametrize(("fps", "seed"), [(24, 4), (60, 2)])
def test_a_replay_goes_where_the_performance_went_at_every_tick(tmp_path: Path, fps: int, seed: int) -> None:
    show = load_show("house", ["walk.speed=0.4"])
    live = Watched(show)
    take = TakeRecording(live, show, tmp_path / "a.take")
    perform(live, 12.0, seed=seed)
    take.close()
    again, waypoints = replayed(show, tmp_path / "a.take", Fraction(fps))
    assert same_ticks(live, again) > 11 * 120
    assert any(waypoint.beside for waypoint in waypoints), "nothing was said in this performance"
    assert any(waypoint.focus < 1 for waypoint in waypoints), "no place was visited in this performance"
    assert waypoints[-1].epoch > 3, "no jumps in this performance"
    assert waypoints[0].time_s == 0.0 and waypoints[-1].time_s == pytest.approx((len(waypoints) - 1) / fps)


def test_a_replay_of_what_came_over_a_real_socket(tmp_path: Path) -> None:
    show = load_show("house")
    osc = OscIn("127.0.0.1", 0, show.registry)
    osc.start()
    live = Watched(show, [osc])
    take = TakeRecording(live, show, tmp_path / "a.take")
    perform(live, 8.0, seed=5, sender=Sender(osc.port))
    take.close()
    osc.close()
    assert osc.counts.accepted > 30
    again, _ = replayed(show, tmp_path / "a.take", Fraction(30))
    assert same_ticks(live, again) > 7 * 120


def test_words_that_came_too_late_for_the_performance_do_so_in_its_replay(tmp_path: Path) -> None:
    show = load_show("house")
    live = Watched(show)
    take = TakeRecording(live, show, tmp_path / "a.take")
    perform(live, 1.0, seed=3)
    live.set("say", "a whale nobody dreamt")
    for _ in range(30):
        live.tick()  # and nobody has encoded it yet
    take.close()
    again, _ = replayed(show, tmp_path / "a.take", Fraction(30))
    assert same_ticks(live, again) > 120
    text = (tmp_path / "a.take").read_text()
    by_hand = "".join(line for line in text.splitlines(keepends=True) if "words.asked" not in line)
    (tmp_path / "a.take").write_text(by_hand)  # as if somebody had written the words into it, who wants to see them
    with pytest.raises(AssertionError, match="another place"):
        same_ticks(live, replayed(show, tmp_path / "a.take", Fraction(30))[0])


def test_a_take_that_begins_in_the_middle_or_on_a_resumed_walk(tmp_path: Path) -> None:
    show = load_show("house")
    live = Watched(show)
    live.navigator.restore({**live.navigator.to_dict(), "ticks": 10**9, "phase": 1234.5})
    perform(live, 4.0, seed=1)
    live.set("walk.nudge", 0.7)  # a hit that nobody has taken yet
    live.set("look.exposure", 2.0)  # a fader that is on its way
    live.controls.modulate("walk.speed", "lfo", 0.1)
    take = TakeRecording(live, show, tmp_path / "a.take")
    perform(live, 7.0, seed=2)
    take.close()
    again, waypoints = replayed(show, tmp_path / "a.take", Fraction(25))
    assert same_ticks(live, again) > 6 * 120
    assert waypoints[0].time_s == pytest.approx(0.0, abs=1e-6)


AUTOMATED = """
[[material]]
name = "clouds"
prompt = "a cloud"
[[lfo]]
name = "tide"
to = "walk.wander"
shape = "walk"
rate = 0.7
[preset.calm]
"walk.speed" = 0.05
"walk.pause" = true
"look.grain" = 0.9
time = 3
[[cue]]
preset = "calm"
follow = 1
[[cue]]
to = { "walk.radius" = 0.2 }
over = 4
"""
SCORE = """
loop = [1, 6]
[[cue]]
at = 2
to = { "walk.pedesis" = 1.0 }
over = 3
[[cue]]
at = 4
fire = ["walk.jump"]
"""


def test_a_take_in_the_middle_of_all_that_a_show_does_by_itself(tmp_path: Path) -> None:
    (tmp_path / "show.toml").write_text(AUTOMATED)
    (tmp_path / "score.toml").write_text(SCORE)
    show = load_show(tmp_path / "show.toml", score=tmp_path / "score.toml")
    live = Watched(show)
    live.set("score.play", 1.0)
    perform(live, 2.5, seed=1)
    live.set("preset.store", "mine")
    live.set("cue.go", 1.0)
    live.set("tempo.tap", 1.0)
    perform(live, 1.2, seed=2)
    live.set("tempo.tap", 0.0)
    take = TakeRecording(live, show, tmp_path / "a.take")
    live.set("tempo.tap", 1.0)
    perform(live, 5.0, seed=3)
    live.set("preset.recall", "mine")
    perform(live, 8.0, seed=4)
    take.close()
    for name in ("show.toml", "score.toml"):
        (tmp_path / name).unlink()
    again, _ = replayed(show, tmp_path / "a.take", Fraction(30))
    assert same_ticks(live, again) > 12 * 120


def test_a_take_carries_its_show_and_what_the_command_line_set(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('title = "Mine"\n[[material]]\nname = "a"\nprompt = "a | cloud"\n[walk]\nspeed = 0.5\n')
    show = load_show(file, ["walk.pedesis=0.4", "look.enabled=false"], seed=99)
    take = TakeRecording(Conductor(show), show, tmp_path / "a.take")
    take.close()
    file.unlink()
    opened, read = open_take(tmp_path / "a.take")
    assert opened.values == show.values and opened.title == "Mine" and opened.path == show.path
    assert opened.materials == show.materials and opened.text == show.text and read.head.seed == 99
    changed, _ = open_take(tmp_path / "a.take", sets=["walk.speed=0.1"], seed=5)
    assert changed.values["walk.speed"] == 0.1 and changed.values["walk.seed"] == 5
    assert changed.values["walk.pedesis"] == 0.4


def test_what_the_command_line_sets_goes_over_where_a_take_began(tmp_path: Path) -> None:
    show = load_show("house")
    live = Conductor(show)
    live.set("look.grain", 0.9)
    for _ in range(600):
        live.tick()
    TakeRecording(live, show, tmp_path / "a.take").close()
    assert replay(*open_take(tmp_path / "a.take"))["look.grain"] == pytest.approx(0.9)
    assert replay(*open_take(tmp_path / "a.take", sets=["look.grain=0.2"]))["look.grain"] == 0.2


def write(path: Path, *lines: str, show: str = "house") -> Path:
    shown = load_show(show)
    take = TakeRecording(Conductor(shown), shown, path, whole=True)
    take.close()
    text = path.read_text().split("\n")
    path.write_text("\n".join([*text[:-2], *lines, *text[-2:]]))
    return path


def test_a_take_may_be_edited_by_hand(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.take", "0:02 walk.jump 1.0", "# earlier", '12 blend.transition "pulp"', "0:03.5 take.end 0"
    )
    conductor = replay(*open_take(path))
    list(play_through(conductor, Fraction(24), 84))
    assert conductor.waypoint().epoch == 1 and conductor["blend.transition"] == "pulp"
    assert open_take(path)[1].ticks == 420


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("40 walk.speed 9", "walk.speed must be a number from 0 to 4 phase/s, got 9"),
        ("40 walk.sped 1", "walk.sped is not known; .* Did you mean walk.speed?"),
        ("40 window.width 100", "window.width only counts when a show begins"),
        ("40 blend.transition fade", "'fade' is not a value; text stands in quotes"),
        ("4x walk.speed 1", "a line must begin with a tick or a time such as 1:40.5, got '4x'"),
        ("40 walk.speed", "a line must be 'tick name value', got '40 walk.speed'"),
        ("40 walk.speed NaN", "'NaN' is not a value"),
        ("hello", "a line must begin with a tick, .* or set, got 'hello'"),
    ],
)
def test_a_mistake_in_a_take_is_one_sentence_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    path = write(tmp_path / "a.take", line)
    number = path.read_text().split("\n").index(line) + 1
    with pytest.raises(TakeError, match=f"a.take, line {number}: {said}"):
        open_take(path)


def test_words_that_are_written_into_a_take_are_dreamt(tmp_path: Path) -> None:
    path = write(tmp_path / "a.take", '0:01 say "a whale"', '0:05 take.end "0:05"')
    conductor = replay(*open_take(path))
    waypoints = list(play_through(conductor, Fraction(24), 120))
    assert not waypoints[20].beside and waypoints[-1].beside[0].palette == Palette.of(["a whale"]).id


@pytest.mark.parametrize("value", ['"x"', "{}", '{"place": {}, "words": {}}'])
def test_a_damaged_visit_is_one_sentence_with_its_line(tmp_path: Path, value: str) -> None:
    path = write(tmp_path / "a.take", f"40 walk.visit {value}")
    with pytest.raises(TakeError, match=r"a\.take, line \d+: what walk.visit carries is damaged"):
        open_take(path)


def test_another_show_takes_what_it_has(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "a.take", "40 material.nowhere 0.5", "41 material.nowhere 0.6", "50 walk.speed 1.5")
    with caplog.at_level(logging.WARNING, "pedesis"):
        show, take = open_take(path, "film")
    assert show.name == "film" and [event.name for event in take.events] == ["walk.speed"]
    assert [r.message.count("has no material.nowhere") for r in caplog.records] == [1]


def test_where_a_take_began_may_be_damaged(tmp_path: Path) -> None:
    path = write(tmp_path / "a.take")
    path.write_text(path.read_text().replace("\n\n", '\nstart {"controls": {"base": 3}}\n\n'))
    with pytest.raises(TakeError, match="where the take began cannot be read"):
        replay(*open_take(path))


def test_what_is_done_with_a_performance_is_no_part_of_it(tmp_path: Path) -> None:
    show = load_show("house")
    live = Conductor(show)
    take = TakeRecording(live, show, tmp_path / "a.take")
    live.set("look.grain", 0.25)
    live.steer("take.stop", 1.0)
    take.close()
    live.set("look.grain", 0.5)
    assert [(e.name, e.value) for e in open_take(tmp_path / "a.take")[1].events] == [("look.grain", 0.25)]
    assert json.loads(json.dumps(live.to_dict())) == live.to_dict()
