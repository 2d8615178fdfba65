"""Pictures that steer, on their way to the dreamer: what is kept, what goes, and that a new child has them too."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.dreamer.process import DreamerProcess, DreamSpec, Keyframe
from engine.dreamer.shown import KEPT, MOST, Seen, Shown
from engine.show.errors import CannotStart
from engine.show.specs import ModelSpec
from engine.walk.palette import Palette
from engine.walk.waypoint import Guide, Point, Waypoint
from tests import fake_worker


def grey(value: int) -> np.ndarray:
    return np.full((16, 32, 3), value, np.uint8)


@pytest.fixture
def shown() -> Iterator[Shown]:
    made = Shown(32, 16)
    yield made
    made.close()


def test_a_picture_comes_as_it_was_shown_and_the_oldest_goes(shown: Shown) -> None:
    seen = Seen()
    for n in range(KEPT + 1):
        assert shown.show(str(n), grey(n), needed={"0"})
    assert "0" in shown and "1" not in shown, "the oldest goes that no waypoint on its way names"
    places = shown.places(["0", "1", str(KEPT)])
    assert [p.hash for p in places] == ["0", str(KEPT)]
    assert [int(seen.read(p).mean()) for p in places] == [0, KEPT]
    seen.close()


def test_what_is_needed_is_kept_beyond_that_up_to_a_bound(shown: Shown) -> None:
    needed = {str(n) for n in range(MOST)}
    assert all(shown.show(hash, grey(1), needed) for hash in needed)
    assert not shown.show("one more", grey(1), needed)
    film = Shown(32, 16, lossless=True)
    with pytest.raises(CannotStart, match="a picture that steers cannot be kept"):
        for n in range(MOST + 1):
            film.show(str(n), grey(1), needed | {str(n)})
    film.close()


def test_a_picture_of_another_size_is_refused(shown: Shown) -> None:
    with pytest.raises(ValueError, match="a guide must be"):
        shown.show("a", np.zeros((1, 1, 3), np.uint8))


def dreamer_of(tmp_path: Path, waypoints: list[Waypoint], lossless: bool) -> DreamerProcess:
    spec = DreamSpec(ModelSpec(name=str(tmp_path / "died")), Palette.of(["a cloud"]), 32, 16)
    rest = iter(waypoints)
    return DreamerProcess(spec, lambda: next(rest, None), lossless, worker=fake_worker.seeing)


def place(n: int, *hashes: str) -> Waypoint:
    seen = tuple((hash, 1 / len(hashes)) for hash in hashes)
    return Waypoint(0.0, 0, (Point(3, float(n), 0.1, 1.0),), (1.0,), guide=Guide(seen, 0.5) if seen else None)


def greys(dreamer: DreamerProcess, count: int) -> list[int]:
    found: list[Keyframe | int] = []
    until = time.monotonic() + 30
    while len(found) < count and time.monotonic() < until and dreamer.status.state != "failed":
        found += [int(k.pixels.mean()) for k in dreamer.poll(0.05)]
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("lossless", [False, True])
def test_pictures_reach_the_child_and_the_one_after_it(tmp_path: Path, lossless: bool, monkeypatch: Any) -> None:
    monkeypatch.setattr("engine.dreamer.restart.BACKOFF_S", (0.05, 0.1, 0.2))
    waypoints = [place(0), place(1, "dark"), place(2, "bright"), place(3, "dark", "bright"), place(4, "bright")]
    waypoints += [place(5, "bright")] * (0 if lossless else 500)
    dreamer = dreamer_of(tmp_path, waypoints, lossless)
    dreamer.show_guide("dark", grey(100))
    dreamer.show_guide("bright", grey(250))
    dreamer.start()
    try:
        wanted = [0, 100, 250, 175, 250]
        # live, what was under way when a child died is forgotten
        found = greys(dreamer, len(wanted)) if lossless else greys(dreamer, 3)
        assert dreamer.status.losses == 1 and dreamer.knows_guide("dark")
        assert found == wanted if lossless else set(found) <= set(wanted) and found[-1] in (175, 250), found
    finally:
        dreamer.stop()


def test_live_goes_on_without_what_is_not_there_and_a_film_does_not(tmp_path: Path) -> None:
    for lossless in (False, True):
        dreamer = dreamer_of(tmp_path, [place(0, "gone", "dark")], lossless)
        dreamer.show_guide("dark", grey(100))
        dreamer.start()
        try:
            assert greys(dreamer, 1) == ([] if lossless else [100])
            assert not lossless or "the picture gone" in dreamer.status.message
        finally:
            dreamer.stop()
