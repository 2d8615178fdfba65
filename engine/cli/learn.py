"""`pedesis osc learn`: choose a parameter, move a control, press Enter, and the show has a [[map]] for it.

Usage: `pedesis osc learn stage`. In a terminal, in place of the show, which has the port to itself while it runs; on
stage the key L does the same.
"""

import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.common import fail, open_show
from engine.cli.keyboard import Keyboard
from engine.control.learn import Learner
from engine.control.learn_file import LearnFile, obey
from engine.control.listen import PortTaken, reachable_at
from engine.control.mapping import Mapper
from engine.control.osc import OscIn
from engine.control.sense import SenseProcess, pass_on, settings_of
from engine.show.params import did_you_mean, nearest_word

if TYPE_CHECKING:
    from rich.text import Text

REFRESH_S = 0.05
_AROUND = 4  # parameters that are shown before and after the chosen one


def learn(
    show: Annotated[str, typer.Argument(metavar="SHOW", help="The show that is to learn; a TOML file of your own.")],
    to: Annotated[str | None, typer.Option("--to", metavar="NAME", help="The parameter to begin with.")] = None,
    host: Annotated[
        str | None, typer.Option(metavar="HOST", help="Address to listen at (0.0.0.0: the whole network).")
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="PORT", min=0, max=65535, help="UDP port to listen at (0: any free one).")
    ] = None,
    midi: Annotated[bool, typer.Option("--midi", help="Listen to MIDI devices as well.")] = False,
) -> None:
    """Choose a parameter, move a control, press Enter: it is bound with the range it went through.

    The show's file keeps its comments. A show that comes with Pedesis is copied here first, and the copy learns.
    """
    opened = open_show(show, None, None)
    mapper = Mapper(opened.registry, opened.things["map"], opened.values)
    learner = Learner(opened.registry, mapper.table)
    if to is not None:
        try:
            learner.choose(to.strip("/").replace("/", "."))
        except ValueError as error:
            fail(f"--to: {error}{did_you_mean(nearest_word(to, learner.names))}")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        fail("learning takes a terminal, where keys can be pressed; or press L on the show's stage")
    osc = OscIn(host or opened.osc.host, opened.osc.port if port is None else port, opened.registry, mapper=mapper)
    file = LearnFile(opened.path, Path.cwd())
    with ExitStack() as stack:
        try:
            osc.start()
        except PortTaken as error:
            fail(f"{error}. If that is your show: press L on its stage." if error.holder else str(error))
        stack.callback(osc.close)
        senses = [SenseProcess("midi", settings_of("midi", opened.values))] if midi else []
        for sense in senses:
            sense.start()
            stack.callback(sense.close)
        mapper.tap = learner.hear
        with suppress(KeyboardInterrupt, EOFError, BrokenPipeError):
            _flow(learner, mapper, osc, senses, file)
    file.close(10.0)
    for line in [file.said] if file.said else []:
        typer.echo(line)


def _flow(learner: Learner, mapper: Mapper, osc: OscIn, senses: list[SenseProcess], file: LearnFile) -> None:
    """Until it is left: what comes is heard, keys are obeyed, the screen is drawn."""
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    where = f"{', '.join(reachable_at(osc.host))} port {osc.port}"
    with Keyboard() as keyboard, Live(console=console, auto_refresh=False, screen=True) as live:
        while True:
            pass_on(senses, mapper.hear)
            osc.drain()
            mapper.drain()
            live.update(_screen(learner, where, file.said, console.size.height), refresh=True)
            for key in keyboard.pressed(REFRESH_S):
                if key in ("l", "q", "escape"):
                    return
                obey(learner, file, key)
                mapper.use(learner.table)


def _screen(learner: Learner, where: str, written: str, height: int) -> "Text":
    """The parameters around the chosen one, the control that moves, and what came of it."""
    from rich.text import Text

    head, chosen, *rest = learner.lines()
    text = Text(f"{head}\n", style="bold")
    text.append(f"send to {where}\n\n", style="cyan")
    names = learner.names
    place = names.index(learner.param.name)
    around = max(min(_AROUND, (height - 12) // 2), 0)
    first = min(max(place - around, 0), max(len(names) - 2 * around - 1, 0))
    bound = {entry.to for entry in learner.table.entries}
    for name in names[first : first + 2 * around + 1]:
        mark = "●" if name in bound else " "
        if name == learner.param.name:
            text.append(f"▶ {mark} {chosen}\n", style="bold reverse")
        else:
            text.append(f"  {mark} {name}\n", style="none" if name in bound else "dim")
    text.append("\n")
    seen = learner.moving
    for line in rest:
        lively = seen is not None and line.strip().startswith(seen.label)
        text.append(line + "\n", style="bold green" if lively else "none")
        if seen is not None and lively and seen.high > seen.low:
            share = (seen.value - seen.low) / (seen.high - seen.low)
            text.append(f"  {'█' * round(share * 40):─<40}\n", style="green")
    if written:
        text.append(f"\n{written}\n", style="dim")
    return text
