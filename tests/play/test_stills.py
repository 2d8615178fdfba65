"""Stills: written beside the show without holding it up, whatever the disk or the encoder does."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.play import stills as room
from engine.play.shows import load_show
from engine.play.stills import Stills
from engine.show.config import Show
from engine.walk.palette import Palette
from engine.walk.waypoint import Waypoint


@pytest.fixture(scope="module")
def show() -> Show:
    return load_show("house")


@pytest.fixture(autouse=True)
def painted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.play.stills.read_pixels", lambda framebuffer: np.zeros((4, 6, 3), np.uint8))


def test_words_in_any_script_can_be_read_beside_a_still(show: Show, tmp_path: Path) -> None:
    stills = Stills(tmp_path / "out")
    palette = Palette.of(["雲のような船"])
    here = Waypoint(0.0, 0, (), (1.0,), palette=palette.id)
    stills.take(None, (here, here, 0.0), show, {palette.id: palette})
    stills.close()
    (path,) = (tmp_path / "out").glob("*.json")
    text = path.read_bytes().decode("utf-8")
    assert "雲のような船" in text and json.loads(text)["show"] == "house"
    assert Image.open(path.with_suffix(".png")).size == (6, 4)


@pytest.mark.parametrize("fault", [ValueError("encoder error -2"), OSError(28, "No space left"), MemoryError()])
def test_a_still_that_fails_does_not_cost_the_next_ones(
    show: Show, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    written = threading.Semaphore(0)

    def fail(image: Image.Image, path: Path) -> None:
        path.write_bytes(b"half")
        written.release()
        raise fault

    stills = Stills(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Image.Image, "save", fail)
        for _ in range(2 * room.MOST_WAITING):
            stills.take(None, None, show)
            assert written.acquire(timeout=10)
            stills_are_idle(stills)
    assert "still not taken" not in caplog.text and "still not written" in caplog.text
    assert not list(tmp_path.iterdir())
    stills.take(None, None, show)
    stills.close()
    assert len(list(tmp_path.glob("*.png"))) == 1


def stills_are_idle(stills: Stills) -> None:
    """Waits until none is waiting, by taking every slot for a moment."""
    for _ in range(room.MOST_WAITING):
        assert stills._slots.acquire(timeout=10), "a slot was lost"
    for _ in range(room.MOST_WAITING):
        stills._slots.release()


def test_a_picture_that_cannot_be_read_gives_its_place_back(
    show: Show, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def lost(framebuffer: object) -> np.ndarray:
        raise RuntimeError("the context is lost")

    stills = Stills(tmp_path)
    monkeypatch.setattr("engine.play.stills.read_pixels", lost)
    for _ in range(2 * room.MOST_WAITING):
        with pytest.raises(RuntimeError, match="context is lost"):
            stills.take(None, None, show)
    assert "still not taken" not in caplog.text


def test_a_disk_that_hangs_takes_eight_and_does_not_hold_up_the_ending(
    show: Show, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    back = threading.Event()
    monkeypatch.setattr("engine.play.stills.make_folder", lambda folder: back.wait())
    monkeypatch.setattr("engine.play.stills.ENDING_S", 0.05)
    stills = Stills(tmp_path)
    for _ in range(room.MOST_WAITING + 1):
        stills.take(None, None, show)
    assert caplog.messages == ["still not taken: 8 are waiting for the disk"]
    stills.close()
    assert "were not written" in caplog.messages[-1]
    back.set()
