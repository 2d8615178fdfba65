"""`pedesis run`: a show, live; where there is no display, a short film of it.

pedesis run house --windowed --set walk.speed=0.3
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from engine.cli.common import (
    ScoreOpt,
    SeedOpt,
    SetOpt,
    ShowArg,
    StatsOpt,
    check_stats,
    file_path,
    find_model,
    guarded,
    keep_stats,
    open_show,
    parse_duration,
    parse_fps,
    parse_size,
)
from engine.cli.film import film_with_progress
from engine.show.config import Show

FIRST_WALK = Path("out/first-walk.mp4")
FIRST_WALK_S = 20.0


def run_show(
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
