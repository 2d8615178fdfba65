"""`pedesis film --take`: what it says before it films, and which part it films."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.cli import app
from engine.cli import film as command
from engine.play.conductor import Conductor
from engine.play.shows import load_show
from engine.play.takes import TakeRecording


@pytest.fixture()
def take(tmp_path: Path) -> Path:
    """Ten seconds of the stage show."""
    show = load_show("stage")
    conductor = Conductor(show)
    take = TakeRecording(conductor, show, tmp_path / "a.take")
    while conductor.navigator.ticks < 1200:
        conductor.tick()
    take.close()
    return tmp_path / "a.take"


@pytest.fixture()
def filmed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have been filmed: show, seconds, where it begins and the take."""
    jobs: list[Any] = []
    monkeypatch.setattr(
        command,
        "film_with_progress",
        lambda show, out, length_s, fps, size, stats, resume, begin_s, take: jobs.append(
            (show.name, length_s, begin_s, take)
        ),
    )
    return jobs


def run(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["film", *args])
    return result.exit_code, " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("options", "length_s", "begin_s"),
    [
        ([], 10.0, 0.0),
        (["--from", "2.5"], 7.5, 2.5),
        (["--from", "0:04", "--to", "0:06"], 2.0, 4.0),
        (["--from", "0", "--to", "6"], 6.0, 0.0),
        (["--from", "0:08", "--duration", "30"], 30.0, 8.0),  # the walk goes on when the hand has left
    ],
)
def test_a_take_is_filmed_whole_or_in_part(
    take: Path, filmed: list[Any], options: list[str], length_s: float, begin_s: float
) -> None:
    assert run("--take", str(take), *options) == (0, "")
    ((name, length, begin, performed),) = filmed
    assert (name, length, begin) == ("stage", length_s, begin_s) and performed.seconds == 10.0


def test_without_a_take_nothing_has_changed(filmed: list[Any]) -> None:
    assert run() == (0, "") and run("house", "--from", "10")[0] == 0
    assert filmed == [("film", 30.0, 0.0, None), ("house", 30.0, 10.0, None)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--from", "0:10"], "--from must lie within the take, which is 10 s long, got '0:10'"),
        (["--from", "4", "--to", "3"], "--to must be later than --from, got '3'"),
        (["--to", "3", "--duration", "3"], "--to and --duration both say where the film ends: give one of them"),
        (["--from", "soon"], "a duration must be seconds, or as 1:30 or 2:00:00, got 'soon'"),
    ],
)
def test_a_part_that_there_is_not_is_said(take: Path, filmed: list[Any], options: list[str], said: str) -> None:
    code, output = run("--take", str(take), *options)
    assert code == 2 and said in output and not filmed


def test_a_mistake_in_a_take_is_one_line_and_exit_2(take: Path, filmed: list[Any]) -> None:
    take.write_text(take.read_text() + "40 walk.sped 1\n")
    code, output = run("--take", str(take))
    assert code == 2 and "walk.sped is not known" in output and "Did you mean walk.speed?" in output
    code, output = run("--take", str(take.with_name("none.take")))
    assert code == 2 and "none.take cannot be read: no such file or directory" in output and not filmed
