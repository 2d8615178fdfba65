"""Films of takes: the performance again, whole or cut, at any size."""

import json
import random
import zlib
from fractions import Fraction
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from engine.control.take import Take
from engine.play.conductor import Conductor
from engine.play.film import FilmJob, run_film
from engine.play.shows import load_show
from engine.play.takes import TakeRecording, open_take
from engine.record.recorder import Recorder
from engine.show.config import Show
from tests.shows import write_tiny_show

pytestmark = pytest.mark.usefixtures("warm_dreamers")

FPS = 12


@pytest.fixture(scope="module")
def performance(tmp_path_factory: pytest.TempPathFactory) -> tuple[Show, Take]:
    """Five seconds with a jump in their middle."""
    folder = tmp_path_factory.mktemp("take")
    show = load_show(write_tiny_show(folder), ["walk.speed=0.3"])
    conductor = Conductor(show)
    take = TakeRecording(conductor, show, folder / "a.take")
    rng = random.Random(3)
    while conductor.navigator.ticks < 600:
        if conductor.navigator.ticks == 301:
            conductor.set("walk.jump", 1.0)
        conductor.set("look.exposure", rng.random())
        for _ in range(25):
            conductor.tick()
    take.close()
    return open_take(folder / "a.take")


def drawn(show: Show, job: FilmJob) -> list[int]:
    """Films, and tells the pictures that were drawn, as checksums."""
    seen: list[int] = []
    write = Recorder.write

    def noted(self: Recorder, frame: np.ndarray, time_s: float | None = None) -> bool:
        seen.append(zlib.crc32(np.ascontiguousarray(frame)))
        return write(self, frame, time_s)

    with patch.object(Recorder, "write", noted):
        run_film(show, job)
    return seen


def test_a_part_of_a_take_is_that_part_of_the_whole_film(performance: tuple[Show, Take], tmp_path: Path) -> None:
    show, take = performance
    whole = drawn(show, FilmJob(tmp_path / "a.mp4", take.seconds, Fraction(FPS), 64, 64, take=take))
    assert len(whole) == 60 and len(set(whole)) > 55
    for skipped in (7, 33):  # before the jump, and in the middle of its transition
        rest = 60 - 24 - skipped
        job = FilmJob(tmp_path / f"{skipped}.mp4", 2.0, Fraction(FPS), 64, 64, None, "", take, skipped, rest)
        assert drawn(show, job) == whole[skipped : skipped + 24]


def test_the_take_is_in_the_films_note(performance: tuple[Show, Take], tmp_path: Path) -> None:
    show, take = performance
    run_film(show, FilmJob(tmp_path / "a.mp4", 0.5, Fraction(FPS), 64, 64, take=take, skipped=12))
    note = json.loads((tmp_path / "a.mp4.json").read_text())["provenance"]
    assert note["the take"] == take.digest and note["--from"] == "frame 12"
