"""Pictures that steer a show that plays: found while something is asked of them, and the walk goes on without them."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.control.clock import LockstepClock
from engine.dreamer.process import Keyframe
from engine.dreamer.shown import KEPT
from engine.play import guide_camera, guide_reel, guide_sources
from engine.play import live as play_live
from engine.play.conductor import Conductor, play_through
from engine.play.guides import FilmGuides, Guides
from engine.play.live import LiveOptions, Player
from engine.play.performance import Feed
from engine.play.shows import load_show
from engine.play.state import Memory
from engine.show.config import Show
from engine.walk.mix import TICK_HZ
from engine.walk.waypoint import Guide, Waypoint
from tests.play.test_guide_fit import BLUE, GREEN, RED, video
from tests.play.test_guide_sources import paint
from tests.play.test_player import FlatDreamer

SHOW = """
title = "Guided"
[model]
name = "house"
width = 128
height = 64
[[material]]
name = "one"
prompt = "a cloud"
[guide.drawings]
source = "./drawings/"
[guide.film]
source = "film.mp4"
[guide.nowhere]
source = "./nowhere/"
[guide.camera]
source = "camera:{camera}"
"""
TESTSRC = "lavfi:testsrc=size=64x32:rate=30"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for room in (guide_camera, guide_reel):
        monkeypatch.setattr(room, "AGAIN_S", 0.1)
    monkeypatch.setattr(guide_camera, "SILENT_S", 0.3)
    monkeypatch.setattr(guide_camera, "BLACK_S", 0.2)


@pytest.fixture
def show(tmp_path: Path) -> Callable[..., Show]:
    (tmp_path / "drawings").mkdir()
    for n, colour in enumerate((RED, GREEN, BLUE)):
        paint(tmp_path / "drawings" / f"{n}.png", colour)
    video(tmp_path / "film.mp4", [(n / 10, (n * 12, 90, 0)) for n in range(20)])

    def made(*sets: str, camera: str = TESTSRC) -> Show:
        (tmp_path / "s.toml").write_text(SHOW.format(camera=camera))
        return load_show(tmp_path / "s.toml", ["guide.strength=0.5", *sets])

    return made


class Live:
    """A conductor and its guides, played a little quicker than it would be."""

    def __init__(self, show: Show, open: bool = True) -> None:
        self.guides = Guides(show)
        self.conductor = Conductor(show, guides=self.guides)
        self.seen: dict[int, str] = {}  # what was wanted at each tick
        if open:
            self.guides.open()

    def play(self, seconds: float) -> None:
        for _ in range(round(seconds * 60)):
            self.conductor.tick()
            self.conductor.tick()
            self.seen[self.conductor.navigator.ticks] = self.conductor.guided.wanted
            time.sleep(0.002)

    def until(self, true: Callable[[], Any]) -> None:
        end_s = time.monotonic() + 20
        while not true():
            assert time.monotonic() < end_s, "it never came"
            self.play(1 / 60)

    @property
    def strength(self) -> float:
        guide = self.conductor.waypoint().guide
        return guide.strength if guide else 0.0


@pytest.fixture
def live() -> Iterator[Callable[..., Live]]:
    made: list[Live] = []

    def make(*given: Any, **more: Any) -> Live:
        made.append(Live(*given, **more))
        return made[-1]

    yield make
    for each in made:
        each.guides.close()


def readers() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name in ("guide", "camera")]


def film(show: Show, seconds: float) -> dict[int, str]:
    """What is wanted at each tick of a film."""
    guides = FilmGuides(show)
    conductor = Conductor(show, words_at_once=True, guides=guides)
    wanted = {}
    for _ in range(round(seconds * TICK_HZ)):
        conductor.tick()
        wanted[conductor.navigator.ticks] = conductor.guided.wanted
    guides.close()
    return wanted


@pytest.mark.parametrize("source", ["drawings", "camera", "nowhere"])
def test_at_strength_zero_nothing_is_opened_and_no_waypoint_changes(
    show: Callable[..., Show], live: Callable[..., Live], source: str, caplog: pytest.LogCaptureFixture
) -> None:
    opened = show("guide.strength=0", f"guide.source={source}")
    here, without = live(opened), Conductor(opened)
    for _ in range(300):
        here.play(1 / 60)
        without.tick()
        without.tick()
        assert here.conductor.waypoint() == without.waypoint()
    assert not readers() and not caplog.records and here.conductor.waypoint().guide is None


@pytest.mark.parametrize("sets", [
    ["guide.source=drawings", "guide.every=0.5", "guide.blend=0.3"],
    ["guide.source=drawings", "guide.every=0.5", "guide.blend=0.3", "guide.shuffle=true"],
    ["guide.source=film", "guide.blend=0.2", "guide.mirror=true", "guide.fit=contain"],
])  # fmt: skip
def test_a_show_that_plays_sees_the_same_picture_at_the_same_tick_as_its_film(
    show: Callable[..., Show], live: Callable[..., Live], sets: list[str]
) -> None:
    opened = show(*sets)
    here = live(opened)
    here.play(6.0)
    filmed = film(opened, 6.0)
    assert set(here.seen.values()) - {""} <= set(filmed.values()) and len(set(here.seen.values())) >= 3
    assert filmed == film(opened, 6.0)
    agreed = [here.seen[tick] == filmed[tick] for tick in here.seen if tick > TICK_HZ]
    # a picture or two may come late where the machine is busy
    assert sum(agreed) > (0.95 if "drawings" in sets[0] else 0.3) * len(agreed)


def test_a_camera_is_opened_while_it_steers_and_closed_after(
    show: Callable[..., Show], live: Callable[..., Live]
) -> None:
    here = live(show("guide.source=camera"), open=False)
    here.play(0.5)
    assert not readers() and not here.strength, "another show may have the camera still"
    here.guides.open()
    here.until(lambda: here.strength > 0.3)
    hash, _ = here.conductor.waypoint().guide.seen[-1]  # type: ignore[union-attr]
    assert here.guides.is_live(hash) and here.guides.is_watching(here.conductor.waypoint())
    first = len(set(here.seen.values()))
    here.until(lambda: len(set(here.seen.values())) > first + 3)
    here.conductor.set("guide.strength", 0.0)
    here.until(lambda: not readers())
    assert here.conductor.waypoint().guide is None
    here.conductor.set("guide.strength", 0.5)
    here.until(lambda: here.strength > 0.3)


def test_another_source_blends_in_and_none_eases_out(show: Callable[..., Show], live: Callable[..., Live]) -> None:
    here = live(show("guide.source=drawings", "guide.blend=0.5"))
    here.until(lambda: here.strength > 0.4)
    before = here.conductor.guided.wanted
    here.conductor.set("guide.source", "camera")
    strengths = []
    while here.conductor.guided.wanted == before or here.guides.is_live(before):
        here.play(1 / 60)
        strengths.append(here.strength)
    assert min(strengths) > 0.4, "it never lets go before the next is there"
    here.conductor.set("guide.source", "none")
    strengths = [here.strength]
    while here.strength:
        here.play(1 / 60)
        strengths.append(here.strength)
    steps = -np.diff(strengths)
    assert steps.min() >= 0 and steps.max() < 0.1 and len(steps) > 20
    here.until(lambda: not readers())


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "guide" in r.getMessage()]


def test_a_camera_that_is_pulled_out_is_missed_once_and_taken_in_when_it_is_back(
    show: Callable[..., Show], live: Callable[..., Live], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    camera = tmp_path / "device.mkv"
    here = live(show("guide.source=camera", "guide.blend=0.2", camera=f"matroska:{camera}"))
    here.until(lambda: said(caplog))
    assert "No such file or directory; the walk goes on without it" in said(caplog)[0]
    here.play(1.0)
    assert len(said(caplog)) == 1 and not here.strength
    video(camera, [(n / 30, (n * 8, 200, 0)) for n in range(30)])  # it is there for a second
    here.until(lambda: here.strength > 0.3)
    assert "is there again" in said(caplog)[1]
    camera.unlink()
    here.until(lambda: len(said(caplog)) > 2)
    assert "it is gone; the walk goes on without it" in said(caplog)[2]
    strengths = [here.strength]
    while here.strength:
        here.play(1 / 60)
        strengths.append(here.strength)
    assert np.diff(strengths).min() > -0.2, "eased"


def test_a_camera_that_sees_only_black_and_one_that_is_not_there(
    show: Callable[..., Show], live: Callable[..., Live], caplog: pytest.LogCaptureFixture
) -> None:
    here = live(show("guide.source=camera", camera="lavfi:color=0x050505:size=64x32:rate=30"))
    here.until(lambda: said(caplog))
    assert "it sees only black; the walk goes on without it" in said(caplog)[0] and not here.strength
    caplog.clear()
    none = live(show("guide.source=camera", camera="63"))
    none.until(lambda: said(caplog))
    assert "(camera:63): there is no camera 63 (cameras here: " in said(caplog)[0] and not none.strength
    none.play(1.0)
    assert len(said(caplog)) == 1


def test_a_camera_that_hangs_holds_up_nobody(
    show: Callable[..., Show],
    live: Callable[..., Live],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    going, hung = threading.Event(), threading.Event()
    real = guide_camera.open_camera

    class Hanging:
        """A camera whose driver stops answering in the middle."""

        def __init__(self, address: str) -> None:
            self.container = real(TESTSRC)
            self.streams = self.container.streams

        def __enter__(self) -> "Hanging":
            return self

        def __exit__(self, *args: object) -> None:
            self.container.close()

        def decode(self, stream: Any) -> Iterator[Any]:
            for frame in self.container.decode(stream):
                yield frame
                if hung.is_set():
                    going.wait(20)

    monkeypatch.setattr(guide_camera, "open_camera", Hanging)
    here = live(show("guide.source=camera", "guide.blend=0.2"))
    here.until(lambda: here.strength > 0.3)
    hung.set()
    here.until(lambda: said(caplog))
    assert "it sends no pictures; the walk goes on without it" in said(caplog)[0]
    here.until(lambda: not here.strength)
    hung.clear()
    going.set()
    here.until(lambda: here.strength > 0.3)
    assert "is there again" in said(caplog)[1]
    hung.set()
    going.clear()
    here.conductor.set("guide.source", "none")
    begun_s = time.monotonic()
    here.play(0.2)
    here.conductor.set("guide.source", "camera")
    here.play(0.2)
    assert time.monotonic() - begun_s < 5 and readers() == ["camera"], "it is not opened a second time meanwhile"
    going.set()


def test_a_folder_that_is_missing_is_missed_once_and_found_when_it_comes(
    show: Callable[..., Show], live: Callable[..., Live], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    here = live(show("guide.source=nowhere"))
    here.until(lambda: said(caplog))
    assert "nowhere): there is no" in said(caplog)[0] and "the walk goes on without it" in said(caplog)[0]
    (tmp_path / "nowhere").mkdir()
    paint(tmp_path / "nowhere" / "a.png", RED)
    here.until(lambda: here.strength > 0.3)
    assert "is there again" in said(caplog)[-1]


def test_a_disk_that_does_not_answer_holds_up_nobody(
    show: Callable[..., Show],
    live: Callable[..., Live],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    there = threading.Event()
    monkeypatch.setattr(guide_reel, "ANSWER_S", 0.2)
    real = guide_sources.open_picture
    monkeypatch.setattr(guide_sources, "open_picture", lambda *given: real(*given) if there.wait(20) else None)
    here = live(show("guide.source=drawings"))
    here.until(lambda: said(caplog))
    assert "the disk does not answer; the walk goes on without it" in said(caplog)[0] and not here.strength
    assert here.guides.status == "drawings: the disk does not answer"
    there.set()
    here.until(lambda: here.strength > 0.3)
    assert here.guides.status == "drawings"


def test_a_film_without_a_take_goes_on_without_the_camera_and_says_so(
    show: Callable[..., Show], caplog: pytest.LogCaptureFixture
) -> None:
    assert set(film(show("guide.source=camera"), 2.0).values()) == {""}
    (line,) = said(caplog)
    assert "a camera steers a film only where a take has kept its pictures" in line and not readers()


def test_what_is_saved_goes_on_as_if_it_had_never_stopped(show: Callable[..., Show]) -> None:
    opened = show("guide.every=0.7", "guide.blend=0.9")
    guides = FilmGuides(opened)
    whole = Conductor(opened, words_at_once=True, guides=guides)
    for _ in range(500):
        whole.tick()
    again = Conductor(opened, words_at_once=True, guides=FilmGuides(opened))
    again.restore(whole.to_dict())
    for _ in range(400):
        whole.tick()
        again.tick()
        assert again.waypoint() == whole.waypoint()
    assert len(whole.waypoint().guide.seen) > 1  # type: ignore[union-attr]
    assert "guided" not in Conductor(load_show("house")).to_dict()


def test_a_show_that_is_switched_on_again_goes_on_in_its_folder(show: Callable[..., Show]) -> None:
    opened = show("window.resume=true")
    conductor = Conductor(opened)
    conductor.guided.turns = 7.25
    memory = Memory(opened)
    memory.keep(conductor.navigator, conductor.water, conductor.guided)
    memory.close(5)
    again = Conductor(opened)
    assert Memory(opened).recall(again.navigator, again.controls, again.water, again.guided)
    assert again.guided.turns == 7.25
    again.guided.turn_to("damaged")
    assert again.guided.turns == 0.0


class Dreamer:
    """Keeps what it is shown, as the real one does: the pictures that were shown last."""

    def __init__(self) -> None:
        self.known: dict[str, np.ndarray] = {}

    def knows_guide(self, hash: str) -> bool:
        return hash in self.known

    def show_guide(self, hash: str, pixels: np.ndarray) -> bool:
        self.known[hash] = self.known.pop(hash, pixels)
        while len(self.known) > KEPT:
            del self.known[next(iter(self.known))]
        return True


def test_whoever_dreams_has_each_picture_before_the_waypoint_that_names_it(
    show: Callable[..., Show], live: Callable[..., Live]
) -> None:
    here, dreamer = live(show("guide.source=film", "guide.blend=0")), Dreamer()

    class Playing:
        guides = here.guides

        def waypoint(self, unseen: bool) -> Waypoint:
            return here.conductor.waypoint()

    feed = Feed(Playing(), lambda: False)  # type: ignore[arg-type]
    feed.dreamer = dreamer
    named = set()
    for _ in range(240):
        here.play(1 / 60)
        waypoint = feed()
        assert waypoint is not None
        for hash, _ in waypoint.guide.seen if waypoint.guide else ():
            named.add(hash)
            assert dreamer.known[hash].shape == (64, 128, 3)
    assert len(named) > KEPT / 2


class SeeingDreamer(FlatDreamer, Dreamer):
    """Dreams nothing before it was shown what it is to be steered by."""

    def __init__(self, spec: object, supply: Callable[[], Waypoint | None]) -> None:
        Dreamer.__init__(self)
        FlatDreamer.__init__(self, spec, supply)

    def poll(self) -> list[Keyframe]:
        keyframes = super().poll()
        for keyframe in keyframes:
            guide = keyframe.waypoint.guide
            assert all(hash in self.known for hash, _ in guide.seen) if guide else True
        return keyframes


def test_a_show_on_stage_is_steered_once_there_is_a_picture_and_lets_go_of_the_camera(
    show: Callable[..., Show], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(play_live, "DreamerProcess", SeeingDreamer)
    quiet = ["look.enabled=false", "guide.source=camera", "memory.enabled=true", "panel.enabled=false"]
    opened = show(*quiet)
    stage, osc = replace(opened.stage, fps_headless=10_000), replace(opened.osc, enabled=False)
    opened = replace(opened, stage=stage, osc=osc, model=replace(opened.model, width=64, height=64))
    options = LiveOptions(headless=True, size=(96, 54), out=tmp_path)
    with ExitStack() as stack:
        player = Player(opened, options, LockstepClock(60), stack)
        for _ in range(14):
            player.step()
            player.clock.advance()  # type: ignore[attr-defined]
        assert not readers(), "nothing can be seen yet"
        end_s = time.monotonic() + 30
        while not any(w.guide for w in player.dreamer.given) and time.monotonic() < end_s:  # type: ignore[attr-defined]
            player.step()
            player.clock.advance()  # type: ignore[attr-defined]
            time.sleep(0.002)
        assert player.dreamer.given[-1].guide and readers() == ["camera"]  # type: ignore[attr-defined]
    end_s = time.monotonic() + 5
    while readers() and time.monotonic() < end_s:
        time.sleep(0.01)
    assert not readers()


def test_a_film_is_steered_from_its_first_frame_on(show: Callable[..., Show]) -> None:
    opened = show("guide.source=film")
    conductor = Conductor(opened, words_at_once=True, guides=FilmGuides(opened))
    first = next(play_through(conductor, Fraction(25), 1)).guide
    assert first is not None and first.strength == 0.5 and len(first.seen) == 1


def test_a_films_waypoint_names_no_picture_that_cannot_be_had(show: Callable[..., Show]) -> None:
    opened = show("guide.every=0.5", "guide.blend=0.9")
    guides = FilmGuides(opened)
    conductor = Conductor(opened, words_at_once=True, guides=guides)
    waypoints = [w for w in play_through(conductor, Fraction(10), 20) if w.guide and len(w.guide.seen) > 1]
    assert guides.known_only(waypoints[-1]) == waypoints[-1]
    (first, _), *_ = waypoints[-1].guide.seen  # type: ignore[union-attr]
    other = Waypoint(0.0, 0, waypoints[0].points, (1.0,), guide=Guide((("a" * 24, 0.75), (first, 0.25)), 0.8))
    assert guides.known_only(other).guide == Guide(((first, 1.0),), 0.2)
    assert guides.known_only(Waypoint(0.0, 0, (), (1.0,), guide=Guide((("a" * 24, 1.0),), 0.8))).guide is None
