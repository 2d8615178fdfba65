"""Films steered by pictures: of a folder the same twice, of a take with its camera again, and plain lines about it."""

import logging
import shutil
import signal
import time
import zlib
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.control.take import TakeError
from engine.dreamer.process import DreamerProcess, DreamSpec
from engine.play.conductor import GUIDE, Conductor, play_through
from engine.play.film import FilmJob, run_film
from engine.play.guide_takes import PictureKeeper, TakeGuides, folder_of
from engine.play.guides import FilmGuides, Guides
from engine.play.shows import load_show
from engine.play.takes import TakeRecording, open_take, replay
from engine.record.recorder import Recorder
from engine.show.config import Show
from engine.walk.guide import guide_hash
from engine.walk.palette import Palette
from engine.walk.visit import Place
from engine.walk.waypoint import Waypoint
from tests import fake_worker
from tests.play.test_guide_fit import BLUE, RED
from tests.play.test_guide_sources import paint
from tests.shows import SHOW, write_tiny_show

GUIDES = """
[guide.drawings]
source = "./drawings/"
[guide.camera]
source = "camera:lavfi:testsrc=size=64x64:rate=30"
[guide]
every = 0.6
blend = 0.4
"""
FPS = Fraction(12)


def write_show(folder: Path, model: str = "house") -> Path:
    (folder / "drawings").mkdir(exist_ok=True)
    paint(folder / "drawings" / "a.png", RED)
    paint(folder / "drawings" / "b.png", BLUE)
    path = folder / "guided.toml"
    path.write_text(SHOW.format(model=model, resume="false") + GUIDES)
    return path


@pytest.fixture
def show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Show:
    """On a dreamer that needs no torch, and paints what steers it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("engine.play.film.DreamerProcess", partial(DreamerProcess, worker=fake_worker.steered))
    return load_show(write_show(tmp_path), ["guide.strength=0.6"])


def film(show: Show, out: Path, seconds: float = 2.0, stop_at: int | None = None, **job: Any) -> list[int]:
    """Films; returns the pictures as drawn, as checksums."""
    drawn: list[int] = []
    write = Recorder.write

    def noted(self: Recorder, frame: np.ndarray, time_s: float | None = None) -> bool:
        drawn.append(zlib.crc32(np.ascontiguousarray(frame)))
        return write(self, frame, time_s)

    def progress(done: int, of: int) -> None:
        if done == stop_at:
            signal.raise_signal(signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Recorder, "write", noted)
        if stop_at is None:
            run_film(show, FilmJob(out, seconds, FPS, 64, 64, **job), progress)
        else:
            with pytest.raises(KeyboardInterrupt):
                run_film(show, FilmJob(out, seconds, FPS, 64, 64, **job), progress)
    return drawn


def perform(show: Show, path: Path, seconds: float = 3.0, source: str = "camera") -> dict[int, Waypoint]:
    """A performance with a camera, and its take; the waypoint of every tick."""
    guides = Guides(show)
    conductor = Conductor(show, guides=guides)
    guides.open()
    take = TakeRecording(conductor, show, path, whole=True)
    take.wait()
    been, end_s = {}, time.monotonic() + 20
    conductor.set("guide.source", source)
    while conductor.time_s < seconds or not any(w.guide for w in been.values()):
        assert time.monotonic() < end_s, "no picture came"
        conductor.listen()
        for _ in range(2):
            conductor.tick()
            been[conductor.navigator.ticks] = conductor.waypoint()
        time.sleep(0.004)
    take.close()
    guides.close()
    return been


@pytest.fixture
def performed(show: Show, tmp_path: Path) -> Iterator[dict[int, Waypoint]]:
    yield perform(show, tmp_path / "a.take")


def test_a_film_that_is_steered_by_a_folder_is_the_same_twice_and_when_it_is_resumed(
    show: Show, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.record.encoder.SEGMENT_S", 0.25)
    whole = film(show, tmp_path / "a.mp4")
    assert film(show, tmp_path / "b.mp4") == whole and len(set(whole)) > 12
    film(show, tmp_path / "c.mp4", stop_at=15)
    film(show, tmp_path / "c.mp4")
    assert (tmp_path / "c.mp4").read_bytes() == (tmp_path / "a.mp4").read_bytes()
    other = tmp_path / "drawings" / "c.png"
    film(show, tmp_path / "d.mp4", stop_at=15)
    paint(other, (0, 200, 0))
    assert len(film(show, tmp_path / "d.mp4")) == 24, "of other pictures it is another film, and begins anew"


def test_the_take_of_a_camera_is_the_same_film_again_and_its_waypoints_those_of_the_performance(
    show: Show, performed: dict[int, Waypoint], tmp_path: Path
) -> None:
    opened, take = open_take(tmp_path / "a.take")
    conductor = replay(opened, take)
    again = {conductor.navigator.ticks: conductor.waypoint()}
    while conductor.navigator.ticks < take.ticks:
        conductor.listen()
        conductor.tick()
        again[conductor.navigator.ticks] = conductor.waypoint()
    assert {t: w for t, w in performed.items() if t in again} == {t: w for t, w in again.items() if t in performed}
    hashes = {hash for w in again.values() if w.guide for hash, _ in w.guide.seen}
    kept = {file.stem for file in folder_of(tmp_path / "a.take").iterdir()}
    assert len(hashes) > 3 and hashes <= kept
    guides = TakeGuides(opened, take)
    for hash in hashes:
        pixels = guides.pixels(hash)
        assert pixels is not None and guide_hash(pixels) == hash, "it is what steered to the last bit"
    first = film(opened, tmp_path / "a.mp4", take.seconds, take=take)
    assert film(opened, tmp_path / "b.mp4", take.seconds, take=take) == first and len(set(first)) > 6


def test_a_take_whose_pictures_are_gone_goes_on_without_them_and_says_so_once(
    show: Show, performed: dict[int, Waypoint], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(folder_of(tmp_path / "a.take"))
    opened, take = open_take(tmp_path / "a.take")
    film(opened, tmp_path / "a.mp4", 1.0, take=take)
    (line,) = [r.getMessage() for r in caplog.records if "steered this take" in r.getMessage()]
    assert "are not in" in line and "the walk goes on without them" in line


def test_a_take_that_begins_in_the_middle_keeps_what_steers_already(show: Show, tmp_path: Path) -> None:
    guides = Guides(show)
    guides.open()
    conductor = Conductor(show, guides=guides)
    conductor.set("guide.source", "camera")
    while len(conductor.guided.named) < 2:
        conductor.tick()
        time.sleep(0.004)
    guides.close()  # no other picture comes
    take = TakeRecording(conductor, show, tmp_path / "a.take")
    been = {}
    for _ in range(60):
        conductor.tick()
        been[conductor.navigator.ticks] = conductor.waypoint()
    take.close()
    opened, taken = open_take(tmp_path / "a.take")
    again, found = replay(opened, taken), TakeGuides(opened, taken)
    while again.navigator.ticks < max(been):
        again.listen()
        again.tick()
        assert again.waypoint() == been[again.navigator.ticks]
        assert found.known_only(again.waypoint()) == again.waypoint()


def test_a_folder_is_not_kept_with_a_take_and_steers_it_again(
    show: Show, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    perform(show, tmp_path / "a.take", 2.0, "drawings")
    assert not folder_of(tmp_path / "a.take").exists()
    opened, take = open_take(tmp_path / "a.take")
    guides, conductor = TakeGuides(opened, take), replay(opened, take)
    waypoints = [w for w in play_through(conductor, FPS, 24) if w.guide]
    assert waypoints and all(guides.known_only(w) == w for w in waypoints)
    larger = load_show(opened.path, ["model.width=128", "guide.strength=0.6"])
    pixels = TakeGuides(larger, take).pixels(waypoints[0].guide.seen[0][0])  # type: ignore[union-attr]
    assert pixels is not None and pixels.shape == (64, 128, 3)
    assert not caplog.records
    paint(tmp_path / "drawings" / "a.png", (9, 9, 9))
    guides = TakeGuides(opened, take)
    assert all(guides.known_only(w) == w for w in waypoints)
    assert ["no longer the picture" in r.getMessage() for r in caplog.records] == [True]


def test_a_place_that_is_visited_with_its_guide_is_kept_with_the_take(show: Show, tmp_path: Path) -> None:
    guides = Guides(show)
    guides.open()
    conductor = Conductor(show, guides=guides)
    conductor.set("guide.source", "camera")
    while not (conductor.guided.named and conductor.waypoint().guide):
        conductor.tick()
        time.sleep(0.004)
    here = conductor.waypoint()
    take = TakeRecording(conductor, show, tmp_path / "a.take")
    words = {id: palette for id, palette in conductor.words.palettes_of(here).items() if isinstance(palette, Palette)}
    conductor.visit(Place.of(here), words, stay_s=5.0, leap=True)
    conductor.answer([palette.id for palette in conductor.words.wanted], {})
    for _ in range(30):
        conductor.tick()
    assert conductor.visits.at is not None and conductor.waypoint().guide == here.guide
    take.close()
    guides.close()
    opened, taken = open_take(tmp_path / "a.take")
    found = TakeGuides(opened, taken)
    assert all(found.pixels(hash) is not None for hash, _ in here.guide.seen)  # type: ignore[union-attr]


@pytest.mark.parametrize("value", ['{"picture": "../../etc"}', '"text"', "7", '{"picture": "' + "a" * 24 + '"}'])
def test_what_a_take_says_of_a_picture_is_checked(show: Show, tmp_path: Path, value: str) -> None:
    path = tmp_path / "a.take"
    TakeRecording(Conductor(show), show, path).close()
    path.write_text(path.read_text() + f"60 {GUIDE} {value}\n")
    with pytest.raises(TakeError, match=r"what guide\.see carries is damaged"):
        open_take(path)


def test_a_take_has_no_more_pictures_than_it_may(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keeper = PictureKeeper(lambda: tmp_path / "a.take", most_bytes=1000)
    for n in range(20):
        keeper.keep(f"{n:024x}", np.zeros((8, 8, 3), np.uint8), bytes(300))
    keeper.close(10)
    assert len(list(folder_of(tmp_path / "a.take").iterdir())) == 3
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == [
        "no more of the pictures that steer are kept with the take: they would be more than a take may have; a film of "
        "it goes on without them from here on"
    ]


def test_without_guides_nothing_is_different(tmp_path: Path) -> None:
    show = load_show(write_tiny_show(tmp_path))
    take = TakeRecording(Conductor(show, guides=Guides(show)), show, tmp_path / "a.take")
    take.wait()
    take.close()
    assert "guide.see" not in (tmp_path / "a.take").read_text() and not folder_of(tmp_path / "a.take").exists()
    assert FilmGuides(show).provenance == {}


def test_on_a_real_model_it_is_the_same_twice_and_at_strength_zero_as_without(tmp_path: Path) -> None:
    plain = load_show(write_tiny_show(tmp_path))
    path = write_show(tmp_path, str(tmp_path / "model"))
    steered, still = (load_show(path, [f"guide.strength={strength}"]) for strength in (0.5, 0.0))
    films = [(show, FilmGuides(show)) for show in (steered, steered, still, plain)]
    wanted = [
        (guides, guides.known_only(waypoint))
        for show, guides in films
        for waypoint in play_through(Conductor(show, words_at_once=True, guides=guides), Fraction(4), 6)
    ]
    rest = iter(wanted)

    def supply() -> Waypoint | None:
        guides, waypoint = next(rest, (None, None))
        if guides is not None and waypoint is not None:
            guides.show(waypoint, dreamer)
        return waypoint

    dreamer = DreamerProcess(DreamSpec.from_show(plain, film=True), supply, lossless=True)
    dreamer.start()
    pictures: list[np.ndarray] = []
    try:
        while len(pictures) < len(wanted) and dreamer.status.state != "failed":
            pictures += [keyframe.pixels.copy() for keyframe in dreamer.poll(0.1)]
    finally:
        dreamer.stop()
    first, again, zero, without = np.split(np.stack(pictures), 4)
    assert np.array_equal(first, again) and np.array_equal(zero, without)
    assert np.abs(first[2:].astype(int) - zero[2:]).mean() > 10
