"""The command line: what it accepts, what it refuses and how, what it does without a screen."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest
import typer
from typer.testing import CliRunner

from engine import __version__
from engine.cli import app
from engine.cli import run as run_command
from engine.cli.common import parse_duration, parse_fps, parse_size
from engine.cli.film import film_with_progress
from engine.cli.run import with_port
from engine.play.film import FilmError
from engine.play.shows import load_show
from tests import warm
from tests.shows import pedesis, write_tiny_show

ROOT = Path(__file__).parent.parent.parent
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")


def call(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """`pedesis` in a process of its own, from another folder, without a display."""
    env = {k: v for k, v in os.environ.items() if k not in DISPLAYS} | {"PYTHONPATH": str(ROOT), **environment}
    command = [*warm.command(), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, timeout=240)


@pytest.fixture
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in DISPLAYS:
        monkeypatch.delenv(name, raising=False)


def test_every_command_has_help() -> None:
    for command in ([], ["run"], ["film"], ["params"], ["doctor"], ["models"], ["models", "fetch"]):
        result = CliRunner().invoke(app, [*command, "--help"])
        assert result.exit_code == 0 and len(result.output) > 80


@pytest.mark.parametrize("command", [[], ["run"], ["film"], ["params"], ["doctor"], ["models"], ["models", "inspect"]])
def test_short_help_is_help_and_flags_take_no_value(command: list[str]) -> None:
    short, long = (CliRunner().invoke(app, [*command, flag]).output for flag in ("-h", "--help"))
    assert short == long
    for flag in ("--windowed", "--headless", "--json", "--markdown", "--version", "--quiet", "--resume / --anew"):
        if flag in long:
            assert re.search(rf"{flag}(\n|  )", long), f"{flag} seems to take a value"


def test_the_version_is_said() -> None:
    assert CliRunner().invoke(app, ["--version"]).output.strip() == __version__


def test_a_name_in_any_script_can_be_said_on_any_console(tmp_path: Path) -> None:
    result = call("run", "облака☁", PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert result.returncode == 2 and "No show named" in result.stderr and "Traceback" not in result.stderr


def test_a_tilde_that_the_shell_left_is_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    stats: list[Path | None] = []
    monkeypatch.setattr(run_command, "check_stats", stats.append)
    monkeypatch.setattr(run_command, "keep_stats", lambda *_: None)
    records: list[Path] = []
    monkeypatch.setattr("engine.play.live.run_live", lambda show, options: records.append(options.record))
    arguments = ["run", "house", "--headless", "--record=~/a.mp4", "--stats=~/s.json"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert stats == [tmp_path / "s.json"] and records == [tmp_path / "a.mp4"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(("command", "code"), [("params house", 1), ("models list", 1), ("--help", 1), ("run nope", 2)])
def test_an_output_that_cannot_be_written_is_one_sentence_and_no_stack_trace(command: str, code: int) -> None:
    start = [sys.executable, "-P", "-m", "engine.cli", *command.split()]
    # As on a user's machine: what Python holds back must not fail a second time as it ends.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"} | {"PYTHONPATH": str(ROOT)}
    with open("/dev/full", "w") as full:
        done = subprocess.run(start, stdout=full, stderr=subprocess.PIPE, text=True, env=env)
        assert done.returncode == code and len(done.stderr.splitlines()) == 1, done.stderr
        assert subprocess.run(start, stdout=full, stderr=full, env=env).returncode == code


def test_nothing_in_the_current_folder_disturbs_a_show_or_its_dreamer(tmp_path: Path) -> None:
    show = write_tiny_show(tmp_path)
    for name in ("random", "torch", "socket", "tempfile", "multiprocessing", "diffusers"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not this one')\n")
    start = [sys.executable, "-P", "-c", "from engine.cli import main; main()"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*start, "film", str(show), "--duration", "0.2", "--out", "a.mp4"],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0 and "not this one" not in done.stderr, done.stderr


@pytest.mark.parametrize(("text", "wanted"), [("1280x720", (1280, 720)), ("16X16", (16, 16))])
def test_sizes(text: str, wanted: tuple[int, int]) -> None:
    assert parse_size(text) == wanted


@pytest.mark.parametrize("text", ["1280", "1280x", "ax1", "0x720", "-5x5", "1e3x5", "99999x5", ""])
def test_wrong_sizes_quote_what_was_given(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=", got "):
        parse_size(text)


def test_rates_are_exact() -> None:
    assert parse_fps("24000/1001") == Fraction(24000, 1001) == parse_fps("23.976")
    assert parse_fps("29.97") == Fraction(30000, 1001) and parse_fps("12.5") == Fraction(25, 2)
    for wrong in ("0", "abc", "1/0", "1000", "-24", "nan", "inf"):
        with pytest.raises(typer.BadParameter, match=", got "):
            parse_fps(wrong)


def test_durations() -> None:
    assert parse_duration("90") == parse_duration("1:30") == 90
    assert parse_duration("2:00:00.5") == 7200.5
    for wrong in ("0", "-1", "a", "1:b", "nan", "inf", "1:-30", "", "1:"):
        with pytest.raises(typer.BadParameter, match=", got "):
            parse_duration(wrong)


def test_every_mistake_in_a_show_is_told_at_once_and_nothing_starts(tmp_path: Path) -> None:
    show = tmp_path / "bad.toml"
    show.write_text('[walk]\nsped = 1\nradius = 7\n[[material]]\nname="a"\nprompt="x"\n')
    result = pedesis("run", str(show), "--headless", "--set", "look.grane=1")
    assert result.returncode == 2
    lines = [line for line in result.stderr.splitlines() if line]
    assert len(lines) == 3, result.stderr
    assert "walk.speed" in result.stderr and "7" in result.stderr and "look.grain" in result.stderr


def test_a_model_of_pickles_is_one_sentence(tmp_path: Path) -> None:
    show = write_tiny_show(tmp_path)
    unet = tmp_path / "model" / "unet"
    for file in unet.glob("*.safetensors"):
        file.rename(file.with_suffix(".bin"))
    result = pedesis("run", str(show), "--headless", "--duration", "1")
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1 and "safetensors" in result.stderr


def test_params_as_json() -> None:
    rows = json.loads(CliRunner().invoke(app, ["params", "house", "--json"]).output)
    speed = next(r for r in rows if r["name"] == "walk.speed")
    assert speed["address"] == "/walk/speed" and speed["kind"] == "number" and speed["doc"]


def test_without_a_screen_the_first_walk_is_filmed_and_the_way_on_is_told(tmp_path: Path) -> None:
    show = write_tiny_show(tmp_path)
    result = call("run", str(show), "--duration", "1", "--size", "160x96", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    with av.open(str(tmp_path / "out" / "first-walk.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 24
    assert "No display" in result.stdout and "oscsend" in result.stdout and "pedesis film" in result.stdout


@pytest.mark.usefixtures("no_display")
@pytest.mark.parametrize("asked", [("--windowed",), ("--record", "a.mp4"), ("--osc-port", "0")])
def test_without_a_screen_what_was_asked_for_is_not_quietly_something_else(tmp_path: Path, asked: tuple) -> None:
    show = write_tiny_show(tmp_path)
    result = pedesis("run", str(show), "--duration", "1", *asked, cwd=tmp_path)
    assert result.returncode == 2 and "no display" in result.stderr and "--headless" in result.stderr
    assert not (tmp_path / "out").exists() and not (tmp_path / "a.mp4").exists()


@pytest.mark.usefixtures("no_display")
def test_a_gallery_that_comes_up_before_its_screen_fails_so_that_it_is_started_again(tmp_path: Path) -> None:
    result = pedesis("run", str(write_tiny_show(tmp_path, resume=True)), cwd=tmp_path)
    assert result.returncode == 2 and "no display" in result.stderr


@pytest.mark.usefixtures("no_display")
@pytest.mark.parametrize("command", ["run", "film"])
def test_stats_that_cannot_be_written_are_said_before_the_evening_and_not_after(tmp_path: Path, command: str) -> None:
    show = write_tiny_show(tmp_path)
    result = pedesis(command, str(show), "--stats", str(tmp_path), "--duration", "1", cwd=tmp_path)
    assert result.returncode == 2 and len(result.stderr.strip().splitlines()) == 1 and "folder" in result.stderr
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_stats_that_cannot_be_written_do_not_hide_what_became_of_the_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(show: object, job: object, progress: object, measured: Callable[[dict], None]) -> None:
        measured({"stage": {"frames": 9}})
        raise FilmError("the disk is full; a.mp4 holds 9 frames")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.play.film.run_film", ended)
    monkeypatch.setattr("engine.play.stats.write", full)
    out, stats = tmp_path / "a.mp4", tmp_path / "s.json"
    with pytest.raises(typer.Exit):
        film_with_progress(load_show("house"), out, 1.0, Fraction(24), (160, 96), stats)
    said = capsys.readouterr().err
    assert said.index("the disk is full; a.mp4 holds 9 frames") < said.index("s.json could not be written")


@pytest.mark.usefixtures("no_display")
@pytest.mark.parametrize(
    ("more", "said"),
    [(("--out", "a.avi"), "ends in"), (("--size", "161x96"), "even"), (("--out", "dir.mp4"), "folder")],
)
def test_a_film_that_cannot_be_made_is_said_before_anything_is_loaded(tmp_path: Path, more: tuple, said: str) -> None:
    (tmp_path / "dir.mp4").mkdir()
    result = pedesis("film", str(write_tiny_show(tmp_path)), "--duration", "1", *more, cwd=tmp_path)
    assert result.returncode == 2 and said in result.stderr and "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr


def test_an_explicit_port_listens_also_where_the_show_does_not() -> None:
    show = load_show("house", ["osc.enabled=false"])
    assert with_port(show, None).osc.enabled is False
    assert with_port(show, 7001).osc.enabled is True


def test_params_on_a_narrow_terminal_tell_everything() -> None:
    result = CliRunner().invoke(app, ["params", "house"], env={"COLUMNS": "80"})
    text = " ".join(result.output.split())
    assert "walk.speed /walk/speed" in text and "number: a number from 0 to 4 phase/s; starts at 0.12." in text


def test_the_stage_process_never_imports_torch_and_a_show_no_encoders(tmp_path: Path) -> None:
    code = (
        "import sys; import engine.cli, engine.play.live, engine.stage.window;"
        "heavy = ['av'] if 'av' in sys.modules else []  # the encoders, which only a recording needs\n"
        "import engine.play.film\n"
        "print(heavy + [m for m in ('torch', 'diffusers', 'transformers', 'PIL', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
