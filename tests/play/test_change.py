"""Another show by a message, while the picture moves on."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from engine.control.clock import LockstepClock
from engine.dreamer.process import Keyframe
from engine.play import live
from engine.play.live import MOST_LEAVING, LiveOptions, Player
from engine.play.shows import load_show
from tests.packets import Sender
from tests.play.test_player import FPS, FlatDreamer, run

COLOURS = {"one": (200, 120, 40), "two": (20, 60, 220)}
SHOW = """
[model]
width = {width}
height = 64
[[material]]
name = "{word}"
prompt = "{word}"
[look]
enabled = true
grain = 0
drift = 0
vignette = 0
sharpness = 0
exposure = {exposure}
[blend]
time = 1.0
[osc]
port = 7241
[window]
fps_headless = 240
"""


class Painter(FlatDreamer):
    """Dreams the colour of the show whose words it is told, twice as often as FlatDreamer."""

    all: ClassVar[list["Painter"]] = []

    def __init__(self, spec, supply) -> None:
        super().__init__(spec, supply)
        self.palettes = {spec.palette.id: spec.palette}
        self.status.palettes = frozenset(self.palettes)
        self.loses = 0  # how often it is lost before it dreams
        Painter.all.append(self)

    def can_dream(self, spec) -> bool:
        return (spec.width, spec.height, spec.model) == (self.spec.width, self.spec.height, self.spec.model)

    def begin_with(self, palette) -> None:
        self.spec = replace(self.spec, palette=palette)

    def set_palettes(self, palettes) -> None:
        self.palettes |= {palette.id: palette for palette in palettes}

    def set_palette(self, palette) -> None:
        self.palettes[palette.id] = palette

    def poll(self) -> list[Keyframe]:
        self.polls += 1
        if not self.started or self.dead:
            return []
        if self.polls == 60:  # the new words take a while
            self.status.palettes = frozenset(self.palettes)
        if self.polls % 8 or self.polls < 24:
            return []
        self.status.palettes = frozenset(self.palettes)
        waypoint = self.supply()
        if waypoint is None:
            return []
        (word,) = self.palettes[waypoint.palette].prompts
        pixels = np.full((self.spec.height, self.spec.width, 3), COLOURS[word], dtype=np.uint8)
        self.status.keyframes += 1
        return [Keyframe(waypoint, pixels, self.status.keyframes, 0.1)]


@pytest.fixture(autouse=True)
def painted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(live, "DreamerProcess", Painter)
    monkeypatch.setattr(Painter, "all", [])


def write(folder: Path, name: str, word: str, width: int = 64, exposure: float = 0.0, more: str = "") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(SHOW.format(width=width, word=word, exposure=exposure) + more)
    return path


@pytest.fixture()
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def play(folder: Path, stack: ExitStack, **first: float) -> tuple[Player, Sender]:
    show = load_show(write(folder, "first", "one", **first))  # type: ignore[arg-type]
    show = replace(show, osc=replace(show.osc, port=0), stage=replace(show.stage, fps_headless=10_000))
    how = LiveOptions(headless=True, size=(96, 64), out=folder / "kept")
    player = Player(show, how, LockstepClock(FPS), stack)
    assert player.osc
    return player, Sender(player.osc.port)


def run_until_loaded(player: Player, name: str, most_s: float = 20.0) -> list[np.ndarray]:
    """Steps until that show is on stage and nothing of the one before is left."""
    frames: list[np.ndarray] = []
    deadline = time.monotonic() + most_s
    while player.show.name != name or player.blend.is_following:
        frames += run(player, 1 / FPS)
        assert time.monotonic() < deadline, f"{name} does not come"
    return frames + run(player, 0.3)


def mean(frame: np.ndarray) -> np.ndarray:
    return frame.reshape(-1, 3).mean(0)


@pytest.mark.parametrize(("width", "dreamers"), [(64, 1), (96, 2)])
def test_another_show_takes_over_without_a_jump(tmp_path: Path, stack: ExitStack, width: int, dreamers: int) -> None:
    player, send = play(tmp_path, stack, exposure=-1.0)
    write(tmp_path, "second", "two", width, exposure=0.5)
    before = run(player, 4.0)[-1]
    send("/show/load", "second")
    frames = [before, *run_until_loaded(player, "second"), *run(player, 2.0)]
    assert player.show.name == "second" and len(Painter.all) == dreamers
    assert player.conductor["look.exposure"] == 0.5
    assert mean(frames[-1])[2] > mean(frames[-1])[0], "the other show is not to be seen"
    steps = [np.abs(b.astype(int) - a).mean() for a, b in pairwise(frames)]
    assert max(steps) < 12, "it jumped"
    assert [each.started for each in Painter.all] == ([True] if dreamers == 1 else [False, True])


def test_a_third_show_arrives_while_the_second_still_does(tmp_path: Path, stack: ExitStack) -> None:
    player, send = play(tmp_path, stack)
    frames = [run(player, 2.0)[-1]]
    for n in range(MOST_LEAVING + 2):
        write(tmp_path, f"other{n}", ("two", "one")[n % 2], (96, 64)[n % 2])
    blends = []
    for n in range(MOST_LEAVING + 2):
        send("/show/load", f"other{n}")
        deadline = time.monotonic() + 20
        while player.show.name != f"other{n}":
            frames += run(player, 1 / FPS)
            assert time.monotonic() < deadline
        frames += run(player, 4 / FPS)
        assert player.blend.is_following
        blends.append(player.blend)
    steps = [np.abs(b.astype(int) - a).mean() for a, b in pairwise(frames)]
    assert max(steps) < 30, "it jumped"
    run(player, 3.0)
    assert not any(blend.is_following for blend in blends)


def test_the_new_show_is_steered_and_the_old_ones_words_are_unknown(
    tmp_path: Path, stack: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    player, send = play(tmp_path, stack)
    write(tmp_path, "second", "two")
    run(player, 1.0)
    send("/material/one", 0.5)
    run(player, 0.1)
    send("/show/load", "second")
    run_until_loaded(player, "second")
    send("/material/two", 0.25)
    send("/walk/speed", 1.5)
    run(player, 0.1)
    with caplog.at_level(logging.WARNING, "pedesis"):
        send("/material/one", 0.5)
        run(player, 0.1)
    assert player.conductor.controls.target("material.two") == 0.25
    assert player.conductor.controls.target("walk.speed") == 1.5
    assert "/material/one is not" in caplog.text and player.osc and player.osc.counts.accepted == 4
    send("/show/load", "first")
    run_until_loaded(player, "first")
    assert player.conductor["walk.speed"] == player.show.values["walk.speed"]


def test_a_dark_stage_stays_dark(tmp_path: Path, stack: ExitStack) -> None:
    player, send = play(tmp_path, stack)
    write(tmp_path, "second", "two", 96)
    run(player, 1.0)
    send("/stage/blackout", 1)
    run(player, 2.0)
    send("/show/load", "second")
    assert max(frame.max() for frame in run_until_loaded(player, "second")) <= 1
    send("/stage/blackout", 0)
    assert run(player, 2.0)[-1].mean() > 20


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("secnd", "no show is named 'secnd'. Did you mean second?; first goes on"),
        ("../elsewhere", "no show is named '../elsewhere'"),
        ("/etc/passwd", "no show is named '/etc/passwd'"),
        ("", "no show is named ''"),
        ("broken", "broken.toml: walk.speed must be a number from 0 to 4 phase/s, got 'fast'; first goes on"),
        ("lost", "; first goes on"),
    ],
)
def test_a_show_that_cannot_be_loaded_is_one_line_and_the_present_one_goes_on(
    tmp_path: Path, stack: ExitStack, caplog: pytest.LogCaptureFixture, name: str, said: str
) -> None:
    player, send = play(tmp_path, stack)
    write(tmp_path, "second", "two")
    write(tmp_path, "broken", "two", more='[walk]\nspeed = "fast"\n')
    (tmp_path / "lost.toml").write_text('[model]\nname = "./nowhere"\n[[material]]\nname = "a"\nprompt = "b"\n')
    run(player, 4.0)
    send("/show/load", name)
    deadline = time.monotonic() + 10
    with caplog.at_level(logging.WARNING, "pedesis"):
        while not caplog.records and time.monotonic() < deadline:
            run(player, 0.1)
    assert [said in record.message for record in caplog.records] == [True]
    assert player.show.name == "first" and np.abs(mean(run(player, 1.0)[-1]) - COLOURS["one"]).max() < 4


def test_the_last_of_several_loads_wins(tmp_path: Path, stack: ExitStack) -> None:
    player, send = play(tmp_path, stack)
    for name, word, width in (("second", "two", 96), ("third", "two", 64), ("fourth", "two", 128)):
        write(tmp_path, name, word, width)
    run(player, 1.0)
    for name in ("second", "third", "second", "fourth"):
        send("/show/load", name)
        run(player, 0.05)
    run_until_loaded(player, "fourth")
    assert [each.started for each in Painter.all].count(True) == 1 and player.dreamer.spec.width == 128


def test_a_new_dreamer_that_finds_no_room_gets_that_of_the_other(tmp_path: Path, stack: ExitStack, caplog) -> None:
    player, send = play(tmp_path, stack)
    write(tmp_path, "second", "two", 96)
    run(player, 1.0)
    send("/show/load", "second")
    while len(Painter.all) < 2:
        run(player, 0.05)
    Painter.all[1].dead, Painter.all[1].status.losses = True, 1
    Painter.all[1].status.message = "the dreamer stopped: out of memory"
    run_until_loaded(player, "second")
    assert [each.started for each in Painter.all] == [False, False, True]


def test_a_model_that_does_not_load_leaves_the_show_that_plays(tmp_path: Path, stack: ExitStack, caplog) -> None:
    player, send = play(tmp_path, stack)
    write(tmp_path, "second", "two", 96)
    run(player, 1.0)
    send("/show/load", "second")
    while len(Painter.all) < 2:
        run(player, 0.05)
    Painter.all[1].dead, Painter.all[1].status.losses = True, 1
    run(player, 0.1)
    Painter.all[2].dead, Painter.all[2].status.state = True, "failed"
    Painter.all[2].status.message = "the weights are cut short"
    run(player, 3.0)
    assert "second cannot be shown: the weights are cut short; first goes on" in caplog.text
    assert [each.started for each in Painter.all] == [False, False, False, True] and player.show.name == "first"
    assert np.abs(mean(run(player, 1.0)[-1]) - COLOURS["one"]).max() < 4


def test_a_recording_goes_on_and_a_take_begins_again(tmp_path: Path, stack: ExitStack) -> None:
    from engine.play.takes import open_take, replay

    player, send = play(tmp_path, stack, exposure=-1.0)
    write(tmp_path, "second", "two")
    send("/record/start")
    send("/take/start")
    run(player, 1.0)
    while not player.capture.recording:
        run(player, 0.1)
    send("/show/load", "second")
    run_until_loaded(player, "second")
    send("/walk/speed", 2.0)
    run(player, 0.5)
    here = player.conductor.waypoint()
    player.capture.close()
    (film,) = (tmp_path / "kept").glob("*.mp4")
    assert film.stat().st_size > 1000
    first, second = sorted((tmp_path / "kept").glob("*.take"))
    assert open_take(first)[0].name == "first"
    show, take = open_take(second)
    again = replay(show, take)
    while again.navigator.ticks < player.conductor.navigator.ticks:
        again.listen()
        again.tick()
    assert show.name == "second" and again.waypoint() == here
    assert again["look.exposure"] == player.conductor["look.exposure"]


class SeeingPainter(Painter):
    """One that is shown pictures."""

    def __init__(self, spec, supply) -> None:
        super().__init__(spec, supply)
        self.known: set[str] = set()

    def knows_guide(self, hash: str) -> bool:
        return hash in self.known

    def show_guide(self, hash: str, pixels: np.ndarray) -> bool:
        assert pixels.shape == (self.spec.height, self.spec.width, 3)
        self.known.add(hash)
        return True

    def poll(self) -> list[Keyframe]:
        keyframes = super().poll()
        for guide in (keyframe.waypoint.guide for keyframe in keyframes):
            assert guide is None or {hash for hash, _ in guide.seen} <= self.known
        return keyframes


def cameras() -> int:
    return sum(thread.name == "camera" for thread in threading.enumerate())


@pytest.mark.parametrize("width", [64, 96])
def test_the_camera_goes_over_from_one_show_to_the_other(
    tmp_path: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(live, "DreamerProcess", SeeingPainter)
    guide = '[guide]\nstrength = 0.5\nblend = 0.2\n[guide.eye]\nsource = "camera:lavfi:testsrc=size=96x64:rate=30"\n'
    player, send = play(tmp_path, stack, more=guide)
    write(tmp_path, "second", "two", width, more=guide)

    def is_steered() -> None:
        until_s = time.monotonic() + 20
        while player.playing._newest is None or player.playing._newest.guide is None:
            assert time.monotonic() < until_s, "no picture steers"
            run(player, 1 / FPS)
        assert cameras() >= 1

    is_steered()
    first = player.playing.guides
    send("/show/load", "second")
    run_until_loaded(player, "second")
    is_steered()
    until_s = time.monotonic() + 5
    while cameras() > 1 and time.monotonic() < until_s:
        run(player, 1 / FPS)
    assert cameras() == 1 and player.playing.guides is not first and not first.status
