"""The `pedesis` command: run, film, params, models, memory, doctor.

Usage: `pedesis run house --windowed`. Exit codes: 0 done, 1 the work failed on the way, 2 nothing was started,
130 a film interrupted by Ctrl-C or SIGTERM (a show is ended that way, and exits with 0).
"""

import io
import json
import logging
import os
import shlex
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from engine import __version__
from engine.cli.docent import docent
from engine.cli.memory import memory_app
from engine.cli.osc import osc_app
from engine.cli.tear import look_into, tear_text
from engine.play.shows import load_show
from engine.show.config import Show, ShowError
from engine.show.errors import CannotStart
from engine.show.paths import ensure_temp_dir

if TYPE_CHECKING:
    from engine.control.take import Take
    from engine.dreamer.models import ModelPlace

app = typer.Typer(
    name="pedesis",
    help="A latent-space engine for art: walks through a diffusion model's latent space, live, steered over OSC.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # its tables show a flag as if it took a value
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(help="The models Pedesis can walk in.", no_args_is_help=True, rich_markup_mode=None)
app.command()(docent)
app.add_typer(models_app, name="models")
app.add_typer(memory_app, name="memory")
app.add_typer(osc_app, name="osc")

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
COLUMNS = ("name", "kind", "range", "default", "lands", "doc")
FIRST_WALK = Path("out/first-walk.mp4")
FIRST_WALK_S = 20.0
FILM_S = 30.0


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


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only warnings and errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    logging.basicConfig(
        level=logging.WARNING if quiet else logging.INFO,
        format="%(asctime)s %(levelname)-7s %(message)s",
        datefmt="%Y-%m-%d %H:%M:%S",  # shows run for months
        stream=sys.stderr,
    )


@app.command()
def run(
    show: ShowArg = "preconscious",
    display: Annotated[int | None, typer.Option(metavar="N", help="Which monitor, counted from 0.")] = None,
    windowed: Annotated[bool, typer.Option("--windowed", help="In a window instead of full-screen.")] = False,
    size: Annotated[
        str | None, typer.Option(metavar="WIDTHxHEIGHT", help="Size of the window or the headless picture, in pixels.")
    ] = None,
    headless: Annotated[bool, typer.Option("--headless", help="No window: dream, steer, record.")] = False,
    seed: SeedOpt = None,
    sets: SetOpt = None,
    score: ScoreOpt = None,
    osc_port: Annotated[
        int | None, typer.Option(metavar="PORT", help="UDP port to listen for OSC at (0: any free one).")
    ] = None,
    duration: Annotated[
        str | None, typer.Option(metavar="TIME", help="End by itself after 90 (seconds), 1:30 or 2:00:00.")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(parser=file_path, metavar="FILE", help="Record what is on stage to this video file."),
    ] = None,
    take: Annotated[
        Path | None,
        typer.Option(
            parser=file_path, metavar="FILE", help="Write what steers the show to this file (see film --take)."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(parser=file_path, metavar="FOLDER", help="Where stills and what OSC starts recording go.")
    ] = Path("out"),
    stats: StatsOpt = None,
) -> None:
    """Play a show live.

    Ctrl-C or closing the window ends it, with exit code 0. On a machine without a display, a plain `pedesis run` films
    the first twenty seconds to out/first-walk.mp4.
    """
    from engine.play.live import LiveOptions, run_live
    from engine.stage.window import has_display

    opened = with_port(open_show(show, sets, seed, score), osc_port)
    guarded(lambda: find_model(opened))
    check_stats(stats)
    # Only who asked for nothing in particular gets a film instead: a gallery that comes up before its screen does,
    # or a recording that was asked for, must fail so that somebody, or systemd, notices.
    plain = not (windowed or record or take or opened.stage.resume) and display is None and osc_port is None
    if not headless and plain and not has_display():
        first_walk(opened, show, duration, size, stats)
        return
    from engine.panel.worker import main as panel

    options = LiveOptions(
        panel=panel,
        headless=headless,
        windowed=windowed,
        display=display,
        size=parse_size(size) if size is not None else None,
        duration_s=parse_duration(duration) if duration is not None else None,
        record=record,
        take=take,
        out=out,
    )
    keep_stats(guarded(lambda: run_live(opened, options)), stats)


def with_port(show: Show, port: int | None) -> Show:
    """The show with its OSC at another port. Raises typer.BadParameter."""
    if port is None:
        return show
    if not 0 <= port <= 65535:
        raise typer.BadParameter(f"a UDP port must be from 0 to 65535, got {port}")
    return replace(show, osc=replace(show.osc, port=port, enabled=True))


def first_walk(show: Show, source: str, duration: str | None, size: str | None, stats: Path | None) -> None:
    """What `run` does on a machine with no screen: films a little, and tells how to go on."""
    show = replace(show, film=replace(show.film, codec="h264"))  # which goes with the name we chose
    typer.echo(f"No display here, so the walk is filmed instead: {FIRST_WALK} ({duration or int(FIRST_WALK_S)} s).")
    film_with_progress(
        show,
        FIRST_WALK,
        parse_duration(duration) if duration is not None else FIRST_WALK_S,
        parse_fps(str(show.film.fps)),
        parse_size(size) if size is not None else (1280, 720),
        stats,
    )
    typer.echo(
        f"\nSteer it live:  pedesis run {source} --headless --record out/live.mp4   then, from anywhere:\n"
        f"                oscsend localhost {show.osc.port} /walk/speed f 0.4\n"
        f"Film more:      pedesis film {source} --out out/walk.mp4 --duration 60 --fps 30 --size 1920x1080\n"
        f"All parameters: pedesis params {source}"
    )


@app.command()
def film(
    show: Annotated[
        str | None,
        typer.Argument(metavar="SHOW", help="As for run.", show_default="film, or the show that the take is of"),
    ] = None,
    out: Annotated[Path, typer.Option(parser=file_path, metavar="FILE", help="The video file to write.")] = Path(
        "out/film.mp4"
    ),
    take: Annotated[
        Path | None,
        typer.Option(parser=file_path, metavar="FILE", help="Render the performance that run --take wrote down."),
    ] = None,
    begin: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Begin there, as if what comes before had been filmed too."),
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="End there.")] = None,
    duration: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="How long: 90 (seconds), 1:30 or 2:00:00.", show_default="30, or as long as the take"
        ),
    ] = None,
    fps: Annotated[str | None, typer.Option(metavar="FPS", help="Frames a second, such as 30 or 24000/1001.")] = None,
    size: Annotated[str | None, typer.Option(metavar="WIDTHxHEIGHT", help="Size of the picture in pixels.")] = None,
    seed: SeedOpt = None,
    sets: SetOpt = None,
    score: ScoreOpt = None,
    stats: StatsOpt = None,
    resume: Annotated[
        bool | None,
        typer.Option(
            "--resume/--anew",
            help="--resume: only continue an unfinished film; --anew: start over.",
            show_default="continue the same film where it stopped",
        ),
    ] = None,
) -> None:
    """Render a show to a video file.

    It is drawn frame by frame and comes out the same every time. With --take it is a live performance, rendered
    again at any size and frame rate.

    An interrupted film resumes when you run the same command again; at most its last ten seconds are drawn again.

    Interrupted by Ctrl-C it exits with 130. Unfinished films are kept until you delete them or say --anew.
    """
    performed = None
    if take is None:
        opened = open_show(show or "film", sets, seed, score)
    elif score is not None:
        raise typer.BadParameter("--score and --take both say what happens when: give one of them")
    else:
        opened, performed = open_performance(take, show, sets, seed)
    guarded(lambda: find_model(opened))
    begin_s, length_s = parse_span(begin, end, duration, performed)
    film_with_progress(
        opened,
        out,
        length_s,
        parse_fps(fps if fps is not None else str(opened.film.fps)),
        parse_size(size) if size is not None else (opened.film.width, opened.film.height),
        stats,
        resume,
        begin_s,
        performed,
    )


def open_performance(path: Path, source: str | None, sets: list[str] | None, seed: int | None) -> tuple[Show, "Take"]:
    """A take and the show it is of, or every mistake in them on stderr, and exit 2."""
    from engine.play.takes import open_take

    try:
        return open_take(path, source, sets or (), seed)
    except ShowError as error:
        fail("\n".join(error.problems))
    except CannotStart as error:
        fail(str(error))


def parse_span(begin: str | None, end: str | None, duration: str | None, take: "Take | None") -> tuple[float, float]:
    """Where a film begins and how long it is, in seconds. Raises typer.BadParameter."""
    if end is not None and duration is not None:
        raise typer.BadParameter("--to and --duration both say where the film ends: give one of them")
    whole_s = take.seconds if take else None
    begin_s = parse_duration(begin) if begin is not None and begin.strip("0:. ") else 0.0
    if whole_s is not None and begin_s >= whole_s:
        raise typer.BadParameter(f"--from must lie within the take, which is {whole_s:.6g} s long, got {begin!r}")
    if duration is not None:
        return begin_s, parse_duration(duration)
    end_s = parse_duration(end) if end is not None else whole_s
    if end_s is None:
        return begin_s, FILM_S
    if end_s <= begin_s:
        raise typer.BadParameter(f"--to must be later than --from, got {end!r}")
    return begin_s, end_s - begin_s


def film_with_progress(
    show: Show,
    out: Path,
    duration_s: float,
    fps: Fraction,
    size: tuple[int, int],
    stats: Path | None,
    resume: bool | None = None,
    begin_s: float = 0.0,
    take: "Take | None" = None,
) -> None:
    """Films with a progress bar that tells speed and time left."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from engine.play.film import FilmError, FilmJob, run_film
    from engine.record.encoder import check

    command = shlex.join(["pedesis", *sys.argv[1:]])
    skipped = round(begin_s * fps)
    whole = round(take.seconds * fps) if take else 0
    rest = max(0, whole - skipped - round(duration_s * fps))
    job = FilmJob(out, duration_s, fps, *size, resume, command, take, skipped, rest)
    try:
        check_stats(stats)
        guarded(lambda: check(out, size, show.film.codec))
    except KeyboardInterrupt:  # while a disk does not answer
        fail("stopped before the first frame", code=130)
    bar = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} frames  {task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    whole = False
    try:
        with bar:
            task = bar.add_task(escape(str(out)), total=job.frames, rate="getting ready")
            started = False

            def progress(done: int, of: int) -> None:
                nonlocal started
                if not started:  # or what an earlier run did would count as done in no time
                    started = True
                    bar.reset(task, completed=done)
                speed = bar.tasks[task].speed
                rate = f"{speed:.1f} fps, {speed / float(fps):.2f}x real time" if speed else ""
                bar.update(task, completed=done, total=of, rate=rate)

            report: dict[str, Any] = {}
            try:
                guarded(lambda: run_film(show, job, progress, report.update))
            except FilmError as error:
                fail(str(error), code=1)
            except KeyboardInterrupt as stopped:
                fail(str(stopped) or "stopped before the first frame", code=130)
            finally:  # what became of the film has been said, also if these cannot be written
                if report:
                    keep_stats(report, stats)
            whole = True
        typer.echo(f"{out}: {job.frames} frames, {size[0]}x{size[1]}, {float(fps):.6g} fps")
    except (OSError, SystemExit):  # which rich makes of a broken pipe
        if not whole:
            raise
        _hush()  # the terminal has gone in the night, and nobody is told


@app.command()
def params(
    show: ShowArg = "house",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a Markdown table.")] = False,
) -> None:
    """The whole parameter table of a show."""
    rows = parameter_rows(open_show(show, None, None))
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    if markdown:
        typer.echo(markdown_table(rows))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.padding import Padding
    from rich.table import Table

    console = Console()
    if console.width < 140:  # a table of seven columns would be nothing but folds
        for row in rows:
            unit = f" {row['unit']}" if row["unit"] and str(row["unit"]) not in str(row["range"]) else ""
            console.print(f"[bold]{row['name']}[/bold]  {row['address']}", highlight=False)
            what = f"{row['kind']}: {row['range']}{unit}; starts at {row['default']}. {row['doc']}"
            console.print(Padding(escape(what), (0, 0, 0, 4)), highlight=False)
        return
    table = Table()
    for column in COLUMNS:
        table.add_column(column, no_wrap=column in ("name", "address"), overflow="fold")
    for row in rows:
        table.add_row(*(str(row[column]) for column in COLUMNS))
    console.print(table)


def parameter_rows(show: Show) -> list[dict[str, Any]]:
    """The registry's rows, with the values this show starts from as defaults."""
    return [{**row, "default": show.values[row["name"]]} for row in show.registry.rows()]


def markdown_table(rows: list[dict[str, Any]]) -> str:
    """The parameter table as the README has it."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    for row in rows:
        cells = [f"`{row[c]}`" if c in ("name", "address") else str(row[c]) for c in COLUMNS]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


@models_app.command("list")
def models_list(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """What can dream here without a download."""
    from engine.dreamer import models

    places = models.list_models()
    if as_json:
        typer.echo(json.dumps([{**vars(p), "path": str(p.path)} for p in places], indent=2))
        return
    for place in places:
        typer.echo(f"{place.name:<40} {place.pipeline:<36} {place.path}")
    typer.echo('Any folder in diffusers layout works too: [model] name = "./my-model" in the show file.')


@models_app.command("inspect")
def models_inspect(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="house, a folder, a file, or a repository that was fetched.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """What a model, a LoRA or an embedding is made of, and whether it can be used: exit 2 if it cannot."""
    from engine.dreamer import addition_files, models

    found = addition_files.describe(Path(name).expanduser()) or guarded(lambda: models.inspect(name))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        raise typer.Exit(2 if found["why_not"] else 0)
    if "kind" in found:
        addition_files.tell(found, typer.echo)
        raise typer.Exit(2 if found["why_not"] else 0)
    for key, value in found.items():
        if key not in ("components", "why_not", "unused") and value is not None:
            typer.echo(f"{key:<10} {value}")
    for part, what in found["components"].items():
        typer.echo(f"  {part:<18} {what['class']:<32} {what['bytes'] / 1e6:8.1f} MB")
    for said in found["unused"]:
        typer.echo(f"note       {said}")
    typer.echo(f"walks      {'no: ' + found['why_not'] if found['why_not'] else 'yes'}")
    raise typer.Exit(2 if found["why_not"] else 0)


@models_app.command("fetch")
def models_fetch(
    repository: Annotated[
        str, typer.Argument(metavar="REPOSITORY", help="On Hugging Face, such as stabilityai/sd-turbo.")
    ],
) -> None:
    """Download a model; the only command that ever does."""
    from engine.dreamer import hub

    guarded(lambda: hub.fetch(repository, typer.echo))


app.command("tear")(tear_text)
app.command("pulp")(look_into)


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """What works on this machine, what does not, and the cure for each."""
    from engine import doctor as room

    checks = room.checks()
    if as_json:
        typer.echo(json.dumps([asdict(c) for c in checks], indent=2))
        raise typer.Exit(room.exit_code(checks))
    raise typer.Exit(room.render(checks))


def main() -> None:
    """Entry point of the `pedesis` command."""
    os.environ.setdefault("PYTHONSAFEPATH", "1")  # what lies in the current folder is not ours, nor our children's
    ensure_temp_dir()
    for stream in (sys.stdout, sys.stderr):  # a console or a pipe may have no letter for what a name holds
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="pedesis")
    except SystemExit:
        try:
            sys.stdout.flush()
        except BrokenPipeError:  # whoever read has left, as `head` does
            _hush(1)
        try:
            sys.stderr.flush()
        except OSError:  # what was said is lost, the exit code must not be
            _hush(2)
        raise
    except OSError as error:  # what nobody expected: mostly that the output has gone to a full disk
        with suppress(OSError):
            print(error.strerror or error, file=sys.stderr)
        _hush()
        raise SystemExit(1) from None


def _hush(*streams: int) -> None:
    """Python must not try again, as it ends, to write what could not be written. streams: 1 and 2, if none is named."""
    for stream in streams or (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
