"""Stills, recordings and takes that are begun and ended by messages while a show plays."""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from engine.control.clock import LockstepClock
from engine.play import live
from engine.play.help import help_lines
from engine.play.live import LiveOptions, Player
from engine.play.takes import open_take
from engine.show.config import Show
from tests.packets import Sender
from tests.play.test_player import FPS, FlatDreamer, quiet_show, run


@pytest.fixture(autouse=True)
def flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(live, "DreamerProcess", FlatDreamer)


@pytest.fixture()
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def play(folder: Path, stack: ExitStack, show: Show | None = None) -> tuple[Player, Sender]:
    """A player that listens, and something that steers it."""
    show = show or quiet_show()
    show = replace(show, osc=replace(show.osc, enabled=True, port=0))
    how = LiveOptions(headless=True, size=(192, 108), out=folder / "kept")
    player = Player(show, how, LockstepClock(FPS), stack)
    assert player.osc
    return player, Sender(player.osc.port)


def run_until(player: Player, done) -> None:
    deadline = time.monotonic() + 20
    while not done():
        run(player, 1 / FPS)
        assert time.monotonic() < deadline


def test_a_still_by_a_message(tmp_path: Path, stack: ExitStack) -> None:
    player, send = play(tmp_path, stack)
    run(player, 4.0)
    send("/record/still", 1.0)
    send("/record/still", 0.0)
    run(player, 0.1)
    player.capture.close()
    assert len(list((tmp_path / "kept").glob("*.png"))) == len(list((tmp_path / "kept").glob("*.json"))) == 1


def test_a_recording_is_begun_and_ended_by_messages_as_often_as_one_likes(tmp_path: Path, stack: ExitStack) -> None:
    player, send = play(tmp_path, stack)
    run(player, 3.0)
    for _ in range(2):
        send("/record/start")
        run_until(player, lambda: player.capture.recording)
        run(player, 1.0)
        send("/record/stop")
        run_until(player, lambda: not player.capture.recording)
    player.capture.close()
    films = sorted((tmp_path / "kept").glob("house-*.mp4"))
    assert len(films) == 2
    for film in films:
        with av.open(str(film)) as opened:
            frames = list(opened.decode(video=0))
        assert float(frames[-1].time) == pytest.approx(1.0, abs=0.15)
        last = frames[-1].to_ndarray(format="rgb24").reshape(-1, 3).mean(0)
        assert np.abs(last - (200, 120, 40)).max() < 6


def test_a_recording_that_is_ended_before_it_has_begun_leaves_nothing(tmp_path: Path, stack: ExitStack) -> None:
    player, _ = play(tmp_path, stack)
    run(player, 0.1)
    player.conductor.set("record.start", 1.0)
    player.conductor.set("record.stop", 1.0)
    run(player, 0.5)
    deadline = time.monotonic() + 10
    while list((tmp_path / "kept").glob("*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not list((tmp_path / "kept").glob("*")) and player.capture.recording is None


def test_a_folder_that_cannot_be_written_to_is_said_and_the_show_goes_on(
    tmp_path: Path, stack: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "kept").write_text("in the way")
    player, send = play(tmp_path, stack)
    with caplog.at_level(logging.ERROR, "pedesis"):
        send("/record/start")
        send("/take/start")
        run_until(player, lambda: len(caplog.records) >= 2)
    assert "not recorded: cannot record to" in caplog.text and "the take ended: cannot record to" in caplog.text
    assert player.capture.recording is None and len(run(player, 0.5)) == FPS // 2


def test_a_take_is_begun_and_ended_by_messages(tmp_path: Path, stack: ExitStack) -> None:
    player, send = play(tmp_path, stack)
    send("/walk/speed", 1.5)
    run(player, 2.0)
    send("/take/start", 1.0)
    run(player, 1.0)
    send("/look/grain", 0.5)
    player._key("b")
    run(player, 2.0)
    assert any(line.startswith("take house-") for line in help_lines(player))
    send("/take/stop", 1.0)
    run(player, 0.1)
    send("/look/grain", 0.75)
    run(player, 0.1)
    assert not player.capture.status
    player.capture.close()
    (path,) = (tmp_path / "kept").glob("house-*.take")
    _, take = open_take(path)
    assert [(event.name, event.value) for event in take.events] == [("stage.blackout", True), ("look.grain", 0.5)]
    assert take.ticks == pytest.approx(3 * 120, abs=4) and take.events[0].tick == pytest.approx(120, abs=4)
    assert take.head.start and take.head.start["controls"]["base"]["walk.speed"] == pytest.approx(1.5, abs=0.05)


def test_text_from_outside_never_names_a_file(tmp_path: Path, stack: ExitStack) -> None:
    player, send = play(tmp_path, stack, replace(quiet_show(), name="100%-06d"))
    send("/take/start", "/tmp/elsewhere")
    run(player, 0.2)
    send("/record/start", "../elsewhere.mp4")
    run(player, 1.0)
    run_until(player, lambda: player.capture.recording or not player.capture.is_opening)
    run(player, 0.2)
    player.capture.close()
    assert {path.parent for path in tmp_path.rglob("*elsewhere*")} == set()
