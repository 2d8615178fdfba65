"""A live show with a score, cues and presets, off screen: steered over a real socket, remembered on a real disk."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.control.clock import LockstepClock
from engine.play import live
from engine.play.help import help_lines
from engine.play.live import LiveOptions, Player
from engine.play.shows import load_show
from engine.stage.gl import read_pixels
from engine.walk.palette import Palette
from tests.packets import Sender
from tests.play.test_player import FPS, FlatDreamer

SHOW = """
title = "Off screen"

[[material]]
name = "clouds"
prompt = "clouds"

[look]
enabled = false

[blend]
time = 0.5

[preset.still]
walk.speed = 0.0
time = 0.5

[[cue]]
name = "Quiet"
preset = "still"

[[cue]]
name = "Dark"
set = { "stage.blackout" = true }
"""
SCORE = """
[[cue]]
at = 1.5
fire = ["walk.jump"]
"""


class Flat(FlatDreamer):
    """Takes words too."""

    def set_palettes(self, palettes: tuple[Palette, ...]) -> None:
        self.status.palettes = frozenset(palette.id for palette in palettes)


@pytest.fixture(autouse=True)
def flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(live, "DreamerProcess", Flat)


@pytest.fixture
def player(tmp_path: Path) -> Iterator[Player]:
    with ExitStack() as stack:
        yield make(tmp_path, stack)


def make(folder: Path, stack: ExitStack) -> Player:
    (folder / "mine.toml").write_text(SHOW)
    (folder / "score.toml").write_text(SCORE)
    show = load_show(folder / "mine.toml", score=folder / "score.toml")
    show = replace(
        show,
        osc=replace(show.osc, port=0),
        model=replace(show.model, width=64, height=64),
        stage=replace(show.stage, fps_headless=10_000),
    )
    return Player(show, LiveOptions(headless=True, size=(96, 54), out=folder), LockstepClock(FPS), stack)


def step(player: Player, seconds: float) -> np.ndarray:
    """Steps so long; the last picture."""
    for _ in range(round(seconds * FPS)):
        player.step()
        player.clock.advance()  # type: ignore[attr-defined]
    return read_pixels(player.stage.framebuffer)[..., :3].mean(axis=(0, 1))


def test_a_score_jumps_on_stage_at_its_time(player: Player) -> None:
    before = step(player, 1.4)
    after = step(player, 2.0)
    assert before[0] > before[2] and after[2] > after[0], "from orange to blue"
    assert player.conductor.waypoint().epoch == 1
    assert any("score 0:03, goes on" in line for line in help_lines(player))


def test_cues_presets_and_panic_by_osc_as_a_pad_sends_them(player: Player) -> None:
    assert player.osc is not None
    sender = Sender(player.osc.port)
    step(player, 0.5)
    sender("/cue/go", 1.0)
    step(player, 1.0)
    assert player.conductor["walk.speed"] == 0.0
    assert any("cue 1 of 2, Quiet; next Dark" in line for line in help_lines(player))
    sender("/cue/goto", 2)
    assert step(player, 2.0).max() == 0
    sender("/walk/speed", 4.0)
    sender("/panic")
    assert step(player, 2.1).max() > 50
    assert player.conductor["walk.speed"] == player.show.values["walk.speed"]
    sender.socket.close()


def written(folder: Path) -> Path:
    """The file of stored presets, once it is there."""
    deadline = time.monotonic() + 20
    while not (found := list(folder.rglob("presets.json"))):
        assert time.monotonic() < deadline, "nothing was written while the show plays"
        time.sleep(0.01)
    return found[0]


def test_what_is_stored_is_there_after_a_crash(player: Player, tmp_path: Path) -> None:
    assert player.osc is not None
    sender = Sender(player.osc.port)
    sender("/walk/speed", 2.0)
    sender("/preset/store", 7)
    step(player, 0.2)
    kept = written(tmp_path / "state")
    assert json.loads(kept.read_text())["7"]["values"]["walk.speed"] == 2.0
    with ExitStack() as stack:
        again = make(tmp_path, stack)
        step(again, 0.1)
        again.conductor.set("preset.recall", "7 0")
        step(again, 0.1)
        assert again.conductor["walk.speed"] == 2.0
    kept.write_text("{ half")
    with ExitStack() as stack:
        assert make(tmp_path, stack).conductor.automation.presets.names == ("still",)
    assert not kept.exists() and list(kept.parent.glob("presets.json.*.bad"))
    sender.socket.close()
