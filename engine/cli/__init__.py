"""The `pedesis` command: run, film, tear, pulp, docent, params, models, memory, osc, doctor; a file each.

Usage: `pedesis run house --windowed`. Exit codes: 0 done, 1 the work failed on the way, 2 nothing was started,
130 a film interrupted by Ctrl-C or SIGTERM (a show is ended that way, and exits with 0).
"""

import io
import json
import logging
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated

import typer

from engine import __version__
from engine.cli.common import hush
from engine.cli.docent import docent
from engine.cli.film import film_show
from engine.cli.memory import memory_app
from engine.cli.models import models_app
from engine.cli.osc import osc_app
from engine.cli.params import list_params
from engine.cli.run import run_show
from engine.cli.tear import look_into, tear_text
from engine.show.paths import ensure_temp_dir

app = typer.Typer(
    name="pedesis",
    help="A latent-space engine for art: walks through a diffusion model's latent space, live, steered over OSC.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # its tables show a flag as if it took a value
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    pretty_exceptions_enable=False,
)
app.command("run")(run_show)
app.command("film")(film_show)
app.command("docent")(docent)
app.command("tear")(tear_text)
app.command("pulp")(look_into)
app.command("params")(list_params)
app.add_typer(models_app, name="models")
app.add_typer(memory_app, name="memory")
app.add_typer(osc_app, name="osc")


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
            hush(1)
        try:
            sys.stderr.flush()
        except OSError:  # what was said is lost, the exit code must not be
            hush(2)
        raise
    except OSError as error:  # what nobody expected: mostly that the output has gone to a full disk
        with suppress(OSError):
            print(error.strerror or error, file=sys.stderr)
        hush()
        raise SystemExit(1) from None
