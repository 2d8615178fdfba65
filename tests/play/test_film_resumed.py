"""Films with jumps, transitions, freezes and fades: as they are live, and the same bytes however often killed."""

import signal
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from engine.dreamer.process import DreamerProcess, Keyframe
from engine.play.film import FilmJob, run_film
from engine.play.preroll import Preroll
from engine.play.shows import load_show
from engine.record.recorder import Recorder
from engine.show.config import Show
from engine.stage.blend import Blend
from engine.walk.waypoint import Point, Waypoint
from tests import fake_worker
from tests.shows import write_tiny_show

pytestmark = pytest.mark.usefixtures("warm_dreamers")

SECONDS = 3.0
FRAMES = 72
# Frames of 24 a second: jumps at 12 and, in the middle of that transition, at 24; one at once at 60; frozen from 38 to
# 46; dark from 52 to 66.
SCORE = """
[[cue]]
at = 0.5
fire = ["walk.jump"]

[[cue]]
at = 1.0
set = { "blend.transition" = "luma" }
fire = ["walk.jump"]
time = 0

[[cue]]
at = 1.58
set = { "stage.freeze" = true }
time = 0

[[cue]]
at = 1.9
set = { "stage.freeze" = false, "stage.blackout" = true }
time = 0

[[cue]]
at = 2.5
set = { "blend.time" = 0 }
fire = ["walk.jump"]
time = 0

[[cue]]
at = 2.7
set = { "stage.blackout" = false, "blend.time" = 1.0 }
call = { say = "a whale" }
time = 0
"""
SETS = ["blend.time=0.9", "look.grain=0", "look.drift=0"]


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Show:
    folder = tmp_path_factory.mktemp("film")
    (folder / "score.toml").write_text(SCORE)
    return load_show(write_tiny_show(folder), SETS, score=folder / "score.toml")


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of three frames, so that a film may be resumed at any of many."""
    monkeypatch.setattr("engine.record.encoder.SEGMENT_S", 0.125)


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dreamer that needs no torch."""
    monkeypatch.setattr("engine.play.film.DreamerProcess", partial(DreamerProcess, worker=fake_worker.painting))


def film(show: Show, out: Path, stop_at: int | None = None) -> list[np.ndarray]:
    """Films, until so many frames are drawn; returns the pictures as drawn."""
    drawn: list[np.ndarray] = []
    write = Recorder.write

    def noted(self: Recorder, frame: np.ndarray, time_s: float | None = None) -> bool:
        drawn.append(np.array(frame))
        return write(self, frame, time_s)

    def progress(done: int, of: int) -> None:
        if done == stop_at:
            signal.raise_signal(signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Recorder, "write", noted)
        job = FilmJob(out, SECONDS, Fraction(24), 160, 96)
        if stop_at is None:
            run_film(show, job, progress)
        else:
            with pytest.raises(KeyboardInterrupt):
                run_film(show, job, progress)
    return drawn


def test_on_a_real_model_killed_in_a_transition_it_is_the_film_of_an_unbroken_run(show: Show, tmp_path: Path) -> None:
    whole = film(show, tmp_path / "a.mp4")
    frames = np.stack(whole)[..., :3].astype(np.float32)
    assert len(frames) == FRAMES
    steps = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))  # steps[n]: from frame n to n + 1
    assert steps[11] < 8, "a transition begins gently"
    assert np.abs(frames[36] - frames[11]).mean() > 10, "and is somewhere else at its end"
    assert steps[38:44].max() < 1, "frozen: only the dither moves"
    assert frames[66:].mean() > 4 * frames[64].mean(), "black, and light again"
    film(show, tmp_path / "b.mp4", 29)
    assert_same(film(show, tmp_path / "b.mp4"), whole)
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "a.mp4").read_bytes()


@pytest.mark.parametrize("killed", [(13, 14, 20), (24, 27, 31, 35), (40, 41, 47, 50), (55, 61, 66, 71)])
@pytest.mark.usefixtures("painted")
def test_killed_wherever_anything_is_held_it_is_the_film_of_an_unbroken_run(
    show: Show, tmp_path: Path, killed: tuple[int, ...]
) -> None:
    whole = film(show, tmp_path / "a.mp4")
    for at in killed:
        film(show, tmp_path / "b.mp4", at)
    assert_same(film(show, tmp_path / "b.mp4"), whole)
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "a.mp4").read_bytes()


def assert_same(rest: list[np.ndarray], whole: list[np.ndarray]) -> None:
    """The last pictures of a film, as they were drawn."""
    assert len(rest) < len(whole), "it was not resumed"
    for n, picture in enumerate(reversed(rest), 1):
        assert np.array_equal(picture, whole[-n]), f"frame {FRAMES - n} differs"


@pytest.mark.usefixtures("painted")
def test_a_film_frozen_from_the_start_is_resumed_from_its_first_keyframe(
    show: Show, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = replace(show, values={**show.values, "stage.freeze": True}, things={**show.things, "score": None})
    film(frozen, tmp_path / "a.mp4")
    uploads: list[float] = []
    upload = Blend.upload

    def noted(self: Blend, keyframe: Keyframe) -> None:
        uploads.append(keyframe.waypoint.time_s)
        upload(self, keyframe)

    film(frozen, tmp_path / "b.mp4", 60)
    monkeypatch.setattr(Blend, "upload", noted)
    drawn = film(frozen, tmp_path / "b.mp4")
    assert len(drawn) < FRAMES // 2 and uploads[0] == 0.0
    assert not [at for at in uploads if 0.5 < at < 1.8], "nothing of what nobody saw is dreamt again"
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "a.mp4").read_bytes()


def test_another_score_is_another_film_and_is_told_apart(show: Show, tmp_path: Path) -> None:
    from engine.play.provenance import changes, provenance_of

    def known(show: Show) -> dict:
        return provenance_of(show, (160, 96), Fraction(24), FRAMES, "GL")

    assert known(show) == known(show)
    other = tmp_path / "other.toml"
    other.write_text(SCORE.replace("at = 2.5", "at = 2.4"))
    assert changes(known(show), known(load_show(show.path, SETS, score=other))) == "the score"
    other.write_text("# a comment\n" + SCORE)
    assert changes(known(show), known(load_show(show.path, SETS, score=other))) == ""


# --- the preroll ---------------------------------------------------------------------------------------------------


def walked(first: int, **values: dict[int, object]) -> tuple[Preroll, list[float]]:
    """A preroll of 400 frames of 24 a second with a keyframe every 10; jumps at these frames, and values from frames
    on. Returns it with the times of the keyframes it wants, in frames."""
    preroll, now = Preroll(first), {"stage.freeze": False, "blend.transition": "luma", "blend.time": 1.0,
                                    "stage.blackout": False}  # fmt: skip
    names = {"freeze": "stage.freeze", "time": "blend.time", "black": "stage.blackout"}
    jumps = values.pop("jump", {})

    def planned() -> Iterator[Waypoint]:
        epoch = 0
        for n in range(400):
            epoch += n in jumps
            for name, at in values.items():
                now[names[name]] = at.get(n, now[names[name]])  # type: ignore[assignment]
            here = Waypoint(n / 24, epoch, (Point(1, 0.0, 0.0, 1.0),), (1.0,))
            preroll.note(n, here, now)
            if n % 10 == 0 or n in jumps or n + 1 in jumps:
                yield here

    return preroll, [round(w.time_s * 24) for w in preroll.keyframes(planned())]


def drawn(preroll: Preroll) -> list[int]:
    return [round(frame.time_s * 24) for frame in preroll.frames]


def test_where_nothing_is_held_a_film_goes_back_no_further_than_the_keyframe_before() -> None:
    preroll, wanted = walked(205, jump={100: None})
    assert drawn(preroll) == [204] and wanted[:2] == [200, 210]
    preroll, wanted = walked(0)
    assert drawn(preroll) == [] and wanted == list(range(0, 400, 10))


def test_a_transition_costs_what_is_around_its_beginning() -> None:
    preroll, wanted = walked(222, jump={200: None})
    assert drawn(preroll) == [199, 200, 221] and wanted[:6] == [199, 200, 210, 220, 230, 240]
    preroll, wanted = walked(225, jump={200: None})
    assert drawn(preroll) == [224], "over after a second"
    preroll, wanted = walked(215, jump={180: None, 200: None}, time={0: 1.0, 200: 0.0})
    assert drawn(preroll) == [214], "a jump at once ends what was under way"


def test_transitions_that_run_into_one_another_are_all_gone_back_to() -> None:
    preroll, _ = walked(250, jump={n: None for n in (150, 200, 220, 240)})
    assert drawn(preroll) == [199, 200, 219, 220, 239, 240, 249]


def test_a_long_freeze_is_left_out() -> None:
    preroll, wanted = walked(350, freeze={100: True}, jump={200: None})
    assert drawn(preroll) == [99, 100, 349] and wanted[:5] == [90, 100, 110, 340, 350]
    preroll, wanted = walked(350, freeze={100: True, 340: False})
    assert drawn(preroll) == [99, 100, 339, 340, 349]
    preroll, _ = walked(361, freeze={100: True, 340: False})
    assert drawn(preroll) == [360], "thawed"


def test_a_fade_is_gone_through_from_where_it_last_stood_still() -> None:
    preroll, _ = walked(210, black={200: True})
    assert [frame.values["stage.blackout"] for frame in preroll.fades] == [False] * (len(preroll.fades) - 10) + [
        True
    ] * 10
    assert len(preroll.fades) >= 11 and drawn(preroll) == [209]
    preroll, _ = walked(300, black={200: True})
    assert len(preroll.fades) == 1
