"""`pedesis tear` and `pedesis pulp`: a text torn into fragments and sorted into kinds, and a look at what came of it.

    pedesis tear book.txt; pedesis tear library/ --show gallery; cat notes.txt | pedesis tear -
    pedesis pulp book.pulp --kind 3

The command line's process; torch is loaded where something must be embedded.
"""

import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.common import fail, file_path
from engine.show.config import ShowError
from engine.show.errors import CannotStart

if TYPE_CHECKING:
    from engine.walk.pulp.fragments import Fragments
    from engine.walk.pulp.work import Job, Torn

EXAMPLES = 2
STDIN = "-"
_STAGES = {"reading": "reading", "tearing": "tearing", "embedding": "embedding", "sorting": "sorting into kinds"}


def tear_text(
    source: Annotated[
        str, typer.Argument(metavar="TEXT", help="A text file, a folder of them, or - for what is piped in.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            parser=file_path,
            metavar="FILE.pulp",
            help="The file to write.",
            show_default="the text's name, beside the show or here",
        ),
    ] = None,
    show: Annotated[
        str | None, typer.Option(metavar="SHOW", help="The show it is for: its model reads, the file goes beside it.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The model whose text encoder reads.", show_default="the show's, or house"),
    ] = None,
    cap: Annotated[
        int,
        typer.Option(min=1, max=1_000_000, metavar="N", help="Keep at most so many fragments, spread over the text."),
    ] = 100_000,
    longest: Annotated[
        int, typer.Option(min=20, max=1000, metavar="N", help="Tear what is longer than so many letters further.")
    ] = 90,
    plot: Annotated[bool, typer.Option("--plot/--no-plot", help="Draw a picture of the kinds beside the file.")] = True,
    anew: Annotated[bool, typer.Option("--anew", help="Tear it again, also if nothing has changed.")] = False,
) -> None:
    """Tear a text into fragments for a show to draw from.

    Sentences and phrases, in any script, each read by the model's text encoder and sorted into kinds that are named by
    their own words. Interrupted, the same command goes on where it stopped.
    """
    from engine.walk.pulp.work import Job, tear_book

    began = time.monotonic()
    reader, where = _reader(show, model)
    with _source(source) as text:
        name = "stdin" if source == STDIN else text.name
        target = out or where / f"{Path(name).stem if text.is_file() else name}.pulp"
        target = target if target.suffix else target.with_suffix(".pulp")
        job = Job(text, target, reader.mark, name, cap, longest, anew)
        _check(job)
        torn = _with_progress(job, reader, tear_book)
    for skipped in torn.skipped[:5]:
        typer.echo(f"passed over: {skipped}", err=True)
    if len(torn.skipped) > 5:
        typer.echo(f"passed over: {len(torn.skipped) - 5} more", err=True)
    pulp = _opened(torn.out)
    told = f"{torn.out}: {pulp.count:,} fragments in {len(pulp.kinds)} kinds"
    if torn.found > torn.count:
        told += f", evenly picked from {torn.found:,} (--cap {cap})"
    typer.echo(f"{told}; nothing has changed since it was torn" if torn.before else f"{told}, {_told(began)}")
    _list(pulp)
    picture = torn.out.with_name(torn.out.name + ".png")
    if plot and not (torn.before and picture.exists()):
        _draw(pulp, picture)
    typer.echo(f'\nIn a show:  [pulp] source = "{torn.out}"      More of it:  pedesis pulp {torn.out}')


def look_into(
    file: Annotated[Path, typer.Argument(parser=file_path, metavar="FILE.pulp", help="What `pedesis tear` wrote.")],
    kind: Annotated[int | None, typer.Option(min=1, metavar="N", help="All fragments of one kind.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    plot: Annotated[
        Path | None, typer.Option(parser=file_path, metavar="FILE.png", help="Draw a picture of the kinds.")
    ] = None,
) -> None:
    """What is in a torn text: its kinds, or the fragments of one."""
    torn = _opened(file)
    if kind is not None and kind > len(torn.kinds):
        fail(f"--kind must be from 1 to {len(torn.kinds)}, got {kind}")
    if plot is not None:
        _draw(torn, plot)
    chosen = torn.kinds if kind is None else (torn.kinds[kind - 1],)
    if as_json:
        most = EXAMPLES if kind is None else torn.count
        rows = [
            {"kind": k.number + 1, "name": k.name, "count": k.count, "fragments": _first(torn, k.number, most)}
            for k in chosen
        ]
        typer.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if kind is not None:
        typer.echo(f"{chosen[0].name}: {chosen[0].count:,} fragments, the most telling first")
        for text in _first(torn, kind - 1, torn.count):
            typer.echo(f"  {text}")
        return
    typer.echo(f"{file}: {torn.count:,} fragments in {len(torn.kinds)} kinds, read by {torn.model}")
    _list(torn)


def _reader(show: str | None, model: str | None) -> tuple[Any, Path]:
    """What reads, and the folder that the file goes to."""
    from engine.dreamer.reader import find_reader
    from engine.show.paths import configs_dir

    where = Path()
    try:
        if show is not None:
            from engine.play.shows import load_show

            loaded = load_show(show)
            model = model or loaded.model.name
            where = where if loaded.path.parent == configs_dir() else loaded.path.parent
        return find_reader(model or "house"), where
    except ShowError as error:
        fail("\n".join(error.problems))
    except CannotStart as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or model}: {error.strerror or error}")


@contextmanager
def _source(source: str) -> Iterator[Path]:
    """The file or folder that is meant; what is piped in becomes a file for as long as it is needed."""
    if source != STDIN:
        yield file_path(source)
        return
    from engine.walk.pulp.reading import LARGEST

    if sys.stdin.isatty():
        fail("nothing is piped in: use `cat book.txt | pedesis tear -`, or name a file")
    with tempfile.TemporaryDirectory(prefix="pedesis-") as folder:
        copy = Path(folder) / "stdin"
        try:
            with copy.open("wb") as file:
                while block := sys.stdin.buffer.read(1 << 20):
                    if file.write(block) and file.tell() > LARGEST:
                        fail(f"more than {LARGEST // 1_000_000} MB were piped in; tear it in parts")
        except OSError as error:
            fail(f"what is piped in cannot be kept in {folder}: {error.strerror or error}", 1)
        yield copy


def _check(job: "Job") -> None:
    """Looks before the work whether the file can be written, and whether something else has its name."""
    from engine.walk.pulp.fragments import about_of

    folder = job.out.parent
    try:
        if not folder.is_dir():
            fail(f"there is no folder {folder} to write {job.out.name} to")
        if not os.access(folder, os.W_OK):
            fail(f"{job.out} cannot be written: no permission to write to {folder.absolute()}; name another with --out")
        if job.out.is_dir():
            fail(f"{job.out} is a folder; name a file with --out")
        with suppress(OSError):
            if job.source.exists() and job.out.exists() and job.source.samefile(job.out):
                fail(f"{job.out} is the text itself; name another file with --out")
        about_of(job.out)  # raises for what is no torn text
    except CannotStart:
        fail(f"{job.out} is there already and no torn text; it is left alone, name another file with --out")


def _with_progress(job: "Job", reader: Any, work: Any) -> "Torn":
    """The work with a bar; every trouble in one sentence."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("[bold]{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f}%"))
    stage = ""
    try:
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
            task = bar.add_task("reading", total=1)

            def progress(what: str, done: int, of: int) -> None:
                nonlocal stage
                if what != stage:  # each begins anew, or its speed would be the one before's
                    stage = what
                    bar.reset(task, description=_STAGES[what], total=max(of, 1), completed=done)
                bar.update(task, completed=done, total=max(of, 1))

            return work(job, lambda: _encoder(reader), progress)
    except CannotStart as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail(f"stopped while {_STAGES.get(stage, 'reading')}; the same command goes on from there", 130)
    except sqlite3.Error as error:
        full = "full" in str(error) or "disk I/O" in str(error)
        why = "the disk is full; make room, and the same command goes on" if full else str(error)
        fail(f"{job.out} cannot be written: {why}", 1)
    except OSError as error:
        fail(f"{error.filename or job.out}: {error.strerror or error}", 1)


def _encoder(reader: Any) -> Any:
    from engine.dreamer.embed import TextEncoder

    return TextEncoder(reader)


def _opened(file: Path) -> "Fragments":
    from engine.walk.pulp.fragments import Fragments

    try:
        return Fragments(file)
    except CannotStart as error:
        fail(str(error))


def _first(pulp: "Fragments", kind: int, most: int) -> list[str]:
    return [pulp.text(int(number)) for number in pulp.of_kind(kind)[:most]]


def _list(pulp: "Fragments") -> None:
    """The kinds, a line each, with the fragments that lie nearest their middles."""
    from engine.walk.pulp.script import columns

    widest = max(columns(kind.name) for kind in pulp.kinds)
    for kind in pulp.kinds:
        pad = " " * (widest - columns(kind.name))
        said = "  |  ".join(_first(pulp, kind.number, EXAMPLES))
        typer.echo(f"  {kind.number + 1:3}  {kind.name}{pad}  {kind.count:6,}   {said}")


def _draw(pulp: "Fragments", picture: Path) -> None:
    from engine.walk.pulp.plot import draw

    try:
        draw(pulp).save(picture)
    except (OSError, ValueError) as error:  # ValueError: an ending that is no picture's
        fail(f"the picture of the kinds {picture} cannot be written: {getattr(error, 'strerror', None) or error}", 1)
    typer.echo(f"{picture}: a picture of the kinds")


def _told(began: float) -> str:
    seconds = time.monotonic() - began
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
