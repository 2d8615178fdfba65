"""`pedesis memory`: the bank of a show, looked at and put in order from the command line.

    pedesis memory list gallery; pedesis memory export gallery sheet.png; pedesis memory approve gallery 12 15

SHOW is a show that keeps memories, or a bank's file. All of it may be done while the show runs.
"""

import json
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from engine.cli.common import fail
from engine.show.config import ShowError
from engine.show.errors import CannotStart

T = TypeVar("T")

memory_app = typer.Typer(
    help="The memories that a show keeps.", no_args_is_help=True, rich_markup_mode=None
)  # fmt: skip
ShowArg = Annotated[str, typer.Argument(metavar="SHOW", help="A show that keeps memories, or the file of a bank.")]
HIGHEST = 2**63 - 1  # that SQLite counts to
Number = Annotated[int, typer.Argument(metavar="N", min=1, max=HIGHEST, help="Number of a memory.")]
Numbers = Annotated[list[int] | None, typer.Argument(metavar="N", min=1, max=HIGHEST, help="Numbers of memories.")]


def _on_bank(source: str, work: Callable[[Any], T], read_only: bool = False) -> T:
    """What `work(bank)` returns; every trouble in one sentence."""
    from engine.walk.memory.bank import Bank

    try:
        path, half_life_h = _bank_of(source)
        bank = Bank(path, half_life_h, read_only)
    except (ShowError, CannotStart, OSError) as error:
        fail(str(error))
    if bank.set_aside:
        typer.echo(f"the bank was damaged and is set aside as {bank.set_aside}; a new one begins", err=True)
    if bank.read_only and not read_only:
        bank.close()
        fail(f"the memory bank {path} can only be read: nothing in it can be changed", 1)
    try:
        return work(bank)
    except CannotStart as error:
        fail(str(error))
    except sqlite3.Error as error:
        fail(f"the memory bank {bank.path}: {error}", 1)
    except OSError as error:
        fail(f"{error.filename or bank.path}: {error.strerror or error}", 1)
    finally:
        bank.close()


def _missing(count: int) -> str:
    """Said behind what was done, when some numbers are no memories."""
    return f"; {count} {'is' if count == 1 else 'are'} not there" if count > 0 else ""


def _bank_of(source: str) -> tuple[Path, float]:
    """The bank that is meant, and the half-life in hours of what is in it. Raises ShowError, OSError."""
    from engine.walk.memory.params import HALF_LIFE_H

    if source.endswith((".db", ".bad")):
        return Path(os.path.expanduser(source)), HALF_LIFE_H
    from engine.play.remember import bank_path
    from engine.play.shows import load_show

    show = load_show(source)
    return bank_path(show), float(show.values["memory.half_life"])


@memory_app.command("list")
def list_(
    show: ShowArg = "house",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, one memory each.")] = False,
) -> None:
    """What is kept, shelf by shelf."""
    from engine.walk.memory.export import about, memories, names_of_kinds, shelves

    def work(bank: Any) -> None:
        if as_json:
            typer.echo(json.dumps([about(memory) for memory in memories(bank)], indent=2, ensure_ascii=False))
            return
        names, summary = names_of_kinds(bank), bank.summaries()
        approved = int(summary.approved.sum())
        strength = dict(zip(summary.numbers.tolist(), summary.strengths.tolist(), strict=True))
        typer.echo(f"{bank.path}: {len(bank)} memories" + (f", {approved} approved" if approved else ""))
        for kind, numbers in shelves(bank).items():
            some = ", ".join(f"{n} ({strength[n]:.2f})" for n in numbers[:5]) + (", ..." if len(numbers) > 5 else "")
            typer.echo(f"  {names.get(kind) or 'nameless':28} {len(numbers):6}   strongest: {some}")

    _on_bank(show, work, read_only=True)


@memory_app.command("show")
def show_(show: ShowArg, number: Number) -> None:
    """All that is known of one memory, as JSON."""
    from engine.walk.memory.export import about

    def work(bank: Any) -> None:
        memory = bank.read(number)
        if memory is None:
            fail(f"there is no memory {number} in {bank.path}", 1)
        typer.echo(json.dumps(about(memory), indent=2, ensure_ascii=False))

    _on_bank(show, work, read_only=True)


@memory_app.command()
def export(
    show: ShowArg,
    out: Annotated[str, typer.Argument(metavar="OUT", help="sheet.png, a folder, or bank.zip for a backup.")],
) -> None:
    """A contact sheet (.png, .jpg), a folder of small pictures with their places (JSON), or a backup (.zip)."""
    from engine.walk.memory import export as exporting

    target = Path(os.path.expanduser(out))

    def work(bank: Any) -> None:
        if not len(bank):
            fail(f"there are no memories in {bank.path}", 1)
        if target.suffix.lower() in (".png", ".jpg", ".jpeg"):
            exporting.contact_sheet(bank).save(target)
            typer.echo(f"{target}: the shelves of {len(bank)} memories")
        elif target.suffix.lower() == ".zip":
            exporting.back_up(bank, target)
            typer.echo(f"{target}: {len(bank)} memories")
        elif target.suffix and not target.is_dir():
            fail(f"OUT must be a .png or .jpg, a .zip or a folder, got {target.name}")
        else:
            typer.echo(f"{target}: {exporting.export_folder(bank, target)} memories")

    _on_bank(show, work, read_only=True)


@memory_app.command("import")
def import_(
    show: ShowArg,
    backup: Annotated[
        str, typer.Argument(metavar="BANK", help="A backup (.zip), or a bank's file, also a damaged one.")
    ],
) -> None:
    """Brings the memories of a backup in, or of another bank; those that are there already stay as they are."""
    from engine.walk.memory.export import bring_in

    source = Path(os.path.expanduser(backup))
    if not source.exists():  # or an empty bank would be made for nothing
        fail(f"{source}: no such file", 1)

    def work(bank: Any) -> None:
        came = bring_in(bank, source)
        lost = f"{came.lost} could not be read; " if came.lost else ""
        others = ", the others were there" if came.new < came.total else ""
        typer.echo(f"{came.new} of {came.total} memories came in{others}; {lost}{bank.path} holds {len(bank)}")

    _on_bank(show, work)


@memory_app.command()
def forget(
    show: ShowArg,
    numbers: Numbers = None,
    words: Annotated[str, typer.Option(metavar="WORDS", help="Those in which these words are heard.")] = "",
    older: Annotated[float, typer.Option(metavar="DAYS", min=0, help="Those kept more than so many days ago.")] = 0.0,
) -> None:
    """Forgets memories for good."""

    def work(bank: Any) -> None:
        chosen = set(numbers or ())
        if words:
            chosen |= {number for number, fit in bank.by_words(words, 1_000_000) if fit > 0.5}
        if older > 0:
            summary = bank.summaries()
            chosen |= set(summary.numbers[summary.created < time.time() - older * 86400].tolist())
        if not (numbers or words or older > 0):
            fail("forget needs numbers, --words or --older")
        gone = bank.forget(chosen)
        typer.echo(f"{gone} forgotten, {len(bank)} left{_missing(len(chosen) - gone)}")
        if gone < len(chosen):
            raise typer.Exit(1)

    _on_bank(show, work)


@memory_app.command()
def approve(
    show: ShowArg,
    numbers: Numbers = None,
    undo: Annotated[bool, typer.Option("--undo", help="Takes the approval back.")] = False,
) -> None:
    """Approves memories for a curated walk (memory.approved); without numbers, lists those that are."""
    from engine.walk.memory.recall import told_time

    def work(bank: Any) -> None:
        if numbers:
            marked = bank.approve(sorted(set(numbers)), not undo)
            missing = len(set(numbers)) - marked
            typer.echo(f"{marked} {'no longer approved' if undo else 'approved'}{_missing(missing)}")
            if missing:
                raise typer.Exit(1)
            return
        summary = bank.summaries()
        for number, created in zip(summary.numbers[summary.approved], summary.created[summary.approved], strict=True):
            typer.echo(f"{number:6}  kept {told_time(created)}")
        if not summary.approved.any():
            typer.echo("none is approved")

    _on_bank(show, work)
