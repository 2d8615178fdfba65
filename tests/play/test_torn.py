"""A show whose walk draws on a torn text: found beside it, checked, filmed, resumed and replayed."""

import logging
import signal
from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from engine.dreamer.process import DreamerProcess
from engine.dreamer.reader import find_reader
from engine.play.conductor import Conductor, play_through
from engine.play.film import FilmJob, run_film
from engine.play.loading import Loading
from engine.play.performance import Prepared
from engine.play.shows import load_show
from engine.play.state import Memory
from engine.play.takes import TakeRecording, open_take, replay
from engine.play.torn import torn_text
from engine.record.names import RecorderError
from engine.show.config import Show
from engine.walk.mix import TICK_HZ
from engine.walk.pulp.fragments import PulpError, write
from tests import fake_worker

pytestmark = pytest.mark.usefixtures("warm_dreamers")

SHOW = """
[model]
width = 64
height = 64
[[material]]
name = "cloud"
prompt = "a cloud"
[walk]
speed = 1.2
[window]
resume = true
[pulp]
source = "book.pulp"
[score]
[[score.cue]]
at = 0.6
fire = ["walk.jump"]
[[score.cue]]
at = 1.0
set = { "pulp.order" = 0.6, "pulp.share" = 0.5 }
fire = ["pulp.pull"]
[[score.cue]]
at = 2.0
set = { "pulp.share" = 0.0 }
"""


def tear(path: Path, texts: list[str], model: str = "house") -> None:
    kind_of = np.arange(len(texts)) % 2
    write(path, texts, kind_of, np.argsort(kind_of, kind="stable"), ["rain", "paper"], model)


@pytest.fixture
def show_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    tear(tmp_path / "book.pulp", [f"sentence {n}" for n in range(60)])
    path = tmp_path / "mine.toml"
    path.write_text(SHOW)
    return path


def conductor(show: Show) -> Conductor:
    return Conductor(show, words_at_once=True, torn=torn_text(show))


def said(c: Conductor) -> Mapping[str, float]:
    """How much of the picture is which fragment."""
    return {a.text: a.weight for a in c.water.afloat if a.weight > 0.0}


def test_the_text_lies_beside_the_show_and_its_first_sentence_is_the_first_picture(show_file: Path) -> None:
    c = conductor(load_show(show_file))
    assert said(c)["sentence 0"] > 0.9
    assert c.waypoint().wordings[0].share == pytest.approx(0.0, abs=1e-9)


def test_a_score_goes_from_pulp_to_the_materials_and_what_is_drawn_up_is_of_one_kind(show_file: Path) -> None:
    c = conductor(load_show(show_file))
    for _ in range(9 * TICK_HZ):
        c.tick()
    assert not c.waypoint().beside and not c.water.palettes, "at no share nothing is said, nor encoded"
    c.set("pulp.share", 1.0)
    c.controls.hit("pulp.pull")
    for _ in range(6 * TICK_HZ):
        c.tick()
    c.controls.hit("pulp.pull")
    for _ in range(6 * TICK_HZ):
        c.tick()
    assert len({int(text.split()[1]) % 2 for text in said(c)}) == 1
    c.controls.hit("pulp.pour")
    c.tick()
    assert c.water.kind is None


def test_other_sheets_in_the_water_are_of_other_fragments(show_file: Path) -> None:
    c = conductor(load_show(show_file, ["pulp.liquidise=0.6"]))
    for _ in range(40):
        c.tick()
    sheets = c.waypoint().sheets
    assert len(sheets) > 1
    loudest = [max(sheet.words, key=lambda w: w.share).palette for sheet in sheets]
    assert len(set(loudest[:2])) == 2
    for sheet in sheets:
        assert sum(w.share for w in sheet.words) == pytest.approx(1.0)


@pytest.mark.parametrize(("spoil", "why"), [
    (lambda path: path.unlink(), "there is no torn text"),
    (lambda path: path.write_text("a plain book"), "no torn text, or it is damaged"),
    (lambda path: path.write_bytes(path.read_bytes()[:5000]), "damaged"),
])  # fmt: skip
def test_a_text_that_cannot_be_used_is_told_plainly_and_another_show_goes_on(show_file: Path, spoil, why: str) -> None:
    spoil(show_file.with_name("book.pulp"))
    with pytest.raises(PulpError, match=why) as told:
        Prepared.of(load_show(show_file))
    assert str(show_file) in str(told.value) and "\n" not in str(told.value)
    loading = Loading("mine", [show_file.parent])
    loading._thread.join(20)
    assert loading.prepared is None and why in loading.problems[0]


def test_a_text_that_was_torn_by_another_model_plays_and_that_is_said(
    show_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tear(show_file.with_name("book.pulp"), ["rain", "paper"], find_reader("house").mark)
    with caplog.at_level(logging.INFO, "pedesis"):
        torn_text(load_show(show_file))
    assert "sorted into kinds by" not in caplog.text
    tear(show_file.with_name("book.pulp"), ["rain", "paper"], "another/model 0123456789ab")
    with caplog.at_level(logging.INFO, "pedesis"):
        c = conductor(load_show(show_file))
    assert "sorted into kinds by the model another/model" in caplog.text
    assert said(c)["rain"] > 0.9


def film(show: Show, out: Path, stop_at: int | None = None, resume: bool | None = None) -> None:
    def progress(done: int, of: int) -> None:
        if done == stop_at:
            signal.raise_signal(signal.SIGTERM)

    job = FilmJob(out, 3.0, Fraction(24), 64, 64, resume=resume)
    if stop_at is None:
        run_film(show, job, progress)
        return
    with pytest.raises(KeyboardInterrupt):
        run_film(show, job, progress)


def test_a_film_of_it_that_was_killed_is_the_same_film_and_of_another_text_another(
    show_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.record.encoder.SEGMENT_S", 0.125)
    monkeypatch.setattr("engine.play.film.DreamerProcess", partial(DreamerProcess, worker=fake_worker.painting))
    show = load_show(show_file)
    film(show, tmp_path / "a.mp4")
    film(show, tmp_path / "b.mp4", 20)
    film(show, tmp_path / "b.mp4", 50)
    film(show, tmp_path / "b.mp4", resume=True)
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "a.mp4").read_bytes()
    film(show, tmp_path / "c.mp4", 20)
    tear(show_file.with_name("book.pulp"), [f"sentence {n}." for n in range(60)])
    with pytest.raises(RecorderError, match="the torn text"):
        film(show, tmp_path / "c.mp4", resume=True)


def test_the_same_at_any_frame_rate(show_file: Path) -> None:
    show = load_show(show_file)
    slow = list(play_through(conductor(show), Fraction(10), 40))
    fast = list(play_through(conductor(show), Fraction(60), 240))
    assert slow == fast[::6]


def test_a_take_of_it_is_replayed_to_the_last_bit(show_file: Path, tmp_path: Path) -> None:
    show = load_show(show_file)
    live = Conductor(show, torn=torn_text(show))
    for n in range(200):
        live.tick()
        if n == 100:
            live.answer({p.id for p in live.words.wanted}, {})
    recording = TakeRecording(live, show, tmp_path / "a.take")
    recording.wait()
    waypoints = []
    for n in range(400):
        if n % 50 == 25:
            live.answer({p.id for p in live.words.wanted}, {})
        live.tick()
        waypoints.append(live.waypoint())
    recording.close()
    again, take = open_take(tmp_path / "a.take")
    other = replay(again, take, torn_text(again))
    for waypoint in waypoints:
        other.listen()
        other.tick()
        assert other.waypoint() == waypoint


def test_a_book_is_read_on_where_it_was_left_when_the_show_is_switched_on_again(show_file: Path) -> None:
    show = load_show(show_file)
    evening = conductor(show)
    for _ in range(5 * TICK_HZ):
        evening.tick()
    memory = Memory(show)
    memory.keep(evening.navigator, evening.water)
    memory.close()
    prepared = Prepared.of(show)
    assert prepared.recall()
    morning = prepared.conductor
    assert not morning.waypoint().beside, "no word is encoded yet"
    assert [a.text for a in morning.water.afloat] == [a.text for a in evening.water.afloat]
