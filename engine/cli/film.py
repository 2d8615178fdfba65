"""`pedesis film`: a show or a take, frame by frame into a file, with a bar that tells speed and time left.

pedesis film house --out out/walk.mp4 --duration 60
"""

import shlex
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.common import (
    ScoreOpt,
    SeedOpt,
    SetOpt,
    StatsOpt,
    check_stats,
    fail,
    file_path,
    find_model,
    guarded,
    hush,
    keep_stats,
    open_show,
    parse_duration,
    parse_fps,
    parse_size,
)
from engine.show.config import Show, ShowError
from engine.show.errors import CannotStart

if TYPE_CHECKING:
    from engine.control.take import Take

FILM_S = 30.0


def film_show(
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
        hush()  # the terminal has gone in the night, and nobody is told
