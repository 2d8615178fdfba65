"""What several commands share: options, what people type as sizes, rates and times, and how a mistake is said.

    opened = open_show(show, sets, seed)
    guarded(lambda: run_live(opened, options))

The command's process, before and after the work itself.
"""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from engine.play.shows import load_show
from engine.show.config import Show, ShowError
from engine.show.errors import CannotStart

if TYPE_CHECKING:
    from engine.dreamer.models import ModelPlace

ShowArg = Annotated[
    str, typer.Argument(metavar="SHOW", help="house, gallery, stage, film, sd-turbo, or a TOML file of your own.")
]
SetOpt = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Start a parameter at this value; repeatable."),
]
SeedOpt = Annotated[int | None, typer.Option(metavar="N", help="The walk's seed; the same seed is the same walk.")]


def file_path(text: str | Path) -> Path:
    """A file named on the command line. Most shells leave the tilde in `--out=~/walk.mp4` as it is."""
    return Path(os.path.expanduser(text))


StatsOpt = Annotated[
    Path | None,
    typer.Option("--stats", parser=file_path, metavar="FILE", help="Write measurements to this JSON file at the end."),
]
ScoreOpt = Annotated[
    Path | None,
    typer.Option(parser=file_path, metavar="FILE", help="Play this score: a TOML file that says what happens when."),
]


def fail(message: str, code: int = 2) -> NoReturn:
    """Says it on stderr, if anybody can hear it, and leaves."""
    with suppress(OSError):
        typer.echo(message, err=True)
    raise typer.Exit(code)


def parse_size(text: str) -> tuple[int, int]:
    """'1280x720' to (1280, 720). Raises typer.BadParameter."""
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise typer.BadParameter(f"a size must be WIDTHxHEIGHT in pixels, such as 1280x720, got {text!r}") from None
    if not (16 <= width <= 16384 and 16 <= height <= 16384):
        raise typer.BadParameter(f"each side must be from 16 to 16384 pixels, got {text!r}")
    return width, height


def parse_fps(text: str) -> Fraction:
    """'30', '29.97' or '24000/1001' to a Fraction. Raises typer.BadParameter."""
    from engine.record.encoder import exact_fps
    from engine.record.names import RecorderError

    try:
        fps = exact_fps(text)  # the film's clock and its file must mean the same by 29.97
    except RecorderError:
        raise typer.BadParameter(
            f"a frame rate must be a number from 1 to 240, such as 30 or 24000/1001, got {text!r}"
        ) from None
    if fps > 240:
        raise typer.BadParameter(f"a frame rate must be from 1 to 240 frames a second, got {text!r}")
    return fps


def parse_duration(text: str) -> float:
    """Seconds above 0 and at most a year: '90', or '1:30', or '2:00:00'. Raises typer.BadParameter."""
    from engine.control.step import read_clock

    try:
        seconds = read_clock(text) if ":" in text else float(text)
    except ValueError:
        seconds = None
    if seconds is None:
        raise typer.BadParameter(f"a duration must be seconds, or as 1:30 or 2:00:00, got {text!r}")
    if not 0 < seconds <= 86400 * 366:
        raise typer.BadParameter(f"a duration must be above 0 s and at most a year, got {text!r}")
    return seconds


def open_show(source: str, sets: list[str] | None, seed: int | None, score: Path | None = None) -> Show:
    """The show, or every mistake in it on stderr, a line each, and exit 2."""
    try:
        return load_show(source, sets or (), seed, score)
    except ShowError as error:
        fail("\n".join(error.problems))


def guarded(work: Callable[[], Any]) -> Any:
    """Does the work; what cannot start is one sentence and exit 2."""
    try:
        return work()
    except CannotStart as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error}", code=1)


def find_model(show: Show) -> "ModelPlace":
    """Looks before anything starts that the show's model is here, and what it adds to it. Raises ModelError."""
    from engine.dreamer import addition_files

    return addition_files.find_model(show)


def check_stats(path: Path | None) -> None:
    """Looks before anything starts that stats can be written there, or leaves with exit 2."""
    if path is not None:
        from engine.play.stats import check

        try:
            check(path)
        except OSError as error:
            fail(f"--stats {path} cannot be written: {error.strerror or error}")


def keep_stats(stats: dict[str, Any], path: Path | None) -> None:
    """Writes them; where that is no longer possible they go to stderr, for an evening cannot be measured again."""
    if path is not None:
        from engine.play.stats import write

        try:
            write(stats, path)
        except OSError as error:
            fail(f"--stats {path} could not be written ({error.strerror or error}):\n{json.dumps(stats)}", code=1)


def hush(*streams: int) -> None:
    """Python must not try again, as it ends, to write what could not be written. streams: 1 and 2, if none is named."""
    for stream in streams or (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
