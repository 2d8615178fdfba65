"""What is written over the picture of a show: from its words to its caption and its scraps."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from engine.control.clock import LockstepClock
from engine.play import live
from engine.play.conductor import Conductor, play_through
from engine.play.live import LiveOptions, Player
from engine.play.shows import load_show
from engine.stage.gl import read_pixels
from engine.walk.mix import TICK_HZ
from engine.walk.palette import Palette
from engine.walk.visit import Place
from tests.play.test_player import FlatDreamer

MEMORY = {"number": 12, "year": 2026, "month": 11, "day": 24, "weekday": 2, "ago_days": 4}


def conducted(*sets: str) -> Conductor:
    return Conductor(load_show("house", ["docent.caption=true", *sets]), words_at_once=True)


def walked(conductor: Conductor, seconds: float) -> str:
    """What the caption says after so long."""
    for _ in range(round(seconds * TICK_HZ)):
        conductor.tick()
    return conductor.caption.text


def test_the_caption_names_what_is_dreamt_and_goes_when_it_is_switched_off() -> None:
    conductor = conducted("material.clouds.caption=evening", "walk.speed=0")
    first = max(conductor.afloat or (), key=lambda one: one.weight, default=None)
    assert first is None, "no scraps unless they are asked for"
    assert walked(conductor, 1.0).startswith("*") and conductor.caption.shares[0] > 0.7
    for m in conductor.navigator.materials:
        conductor.set(m, float(m == "material.clouds"))
    assert walked(conductor, 9.0) == "*evening*"
    conductor.set("say", "a whale, oil on canvas")
    assert walked(conductor, 9.0) == "*a whale*, as somebody said just now"
    conductor.set("walk.focus", 0.0)
    assert walked(conductor, 9.0) == "nothing yet, and nearly everything"
    conductor.set("docent.caption", False)
    assert walked(conductor, 0.1) == ""


def test_a_memory_tells_its_number_and_its_day_also_after_a_resume() -> None:
    conductor = conducted("walk.speed=0", "blend.time=0.2")
    place = Place.of(conductor.waypoint())
    palette = Palette.of([m.prompt for m in load_show("house").materials])
    walked(conductor, 5.0)
    conductor.visit(place, {palette.id: palette}, 60.0, about=MEMORY)
    assert walked(conductor, 9.0).startswith("remembering no. 12, of last Tuesday: *")
    again = conducted("walk.speed=0", "blend.time=0.2")
    again.restore(conductor.to_dict())
    assert walked(again, 9.0) == conductor.caption.text


def test_captions_and_scraps_are_the_same_at_any_frame_rate() -> None:
    slow, fast = (conducted("walk.speed=0.5", "pulp.scraps=1") for _ in range(2))
    at_10 = [(slow.caption, slow.afloat) for _ in play_through(slow, Fraction(10), 120)]
    at_60 = [(fast.caption, fast.afloat) for _ in play_through(fast, Fraction(60), 720)]
    assert at_10 == at_60[::6]
    assert len({caption.text for caption, _ in at_10}) >= 3 and all(scraps for _, scraps in at_10)


@pytest.fixture
def player(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Player]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(live, "DreamerProcess", FlatDreamer)
    with ExitStack() as stack:
        sets = ["osc.enabled=false", "memory.enabled=false", "look.enabled=false", "walk.speed=0"]
        sets += ["model.width=64", "model.height=64"]
        options = LiveOptions(headless=True, size=(320, 180), out=tmp_path)
        yield Player(load_show("house", sets), options, LockstepClock(Fraction(10)), stack)


def seen(player: Player, frames: int = 30) -> np.ndarray:
    """(H, W, 3) int: what is on stage after some frames."""
    for _ in range(frames):
        player.step()
        player.clock.advance()  # type: ignore[attr-defined]
    return read_pixels(player.stage.framebuffer).astype(int)


def in_time(holds: Callable[[], bool]) -> bool:
    """Whether it comes true; type is set by a thread."""
    until = time.monotonic() + 30.0
    while not (found := holds()) and time.monotonic() < until:
        time.sleep(0.01)
    return found


def test_one_key_shows_the_caption_on_stage(player: Player) -> None:
    def ink() -> int:
        return int((seen(player)[120:, :200].min(axis=2) > 200).sum())

    assert seen(player, 90).std(axis=(0, 1)).max() < 3 and ink() == 0
    player._key("c")
    assert in_time(lambda: ink() > 100)
    player._key("c")
    assert ink() == 0
    player.conductor.set("pulp.scraps", 1.0)
    assert in_time(lambda: seen(player).std(axis=(0, 1)).max() > 10), "and scraps are seen when they are asked for"
