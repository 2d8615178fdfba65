"""`pedesis osc`: see what arrives, send a message, pretend to be hardware that is not there yet; learn (learn.py).

Usage: `pedesis osc monitor stage`, `pedesis osc send /walk/speed 0.4`, `pedesis osc sim visitor`. A process of its own
beside the show.
"""

import selectors
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Annotated

import typer

from engine.cli.common import fail, open_show, parse_duration
from engine.cli.learn import learn
from engine.cli.osc_table import View
from engine.control.listen import Listener, PortTaken, listen
from engine.control.mapping import Mapper
from engine.control.monitor import Monitor, Seen, written
from engine.control.send import OscOut, argument, described, encode, full_address
from engine.control.sense import SenseProcess, settings_of
from engine.control.sim import SCENES, Scene

osc_app = typer.Typer(help="Watch, send, simulate and learn OSC.", no_args_is_help=True, rich_markup_mode=None)
osc_app.command()(learn)

REFRESH_S = 0.1
MAX_LINES = 200  # a second, of --plain
_AT_ONCE = 4096  # packets between two refreshes

HostOpt = Annotated[str, typer.Option(metavar="HOST", help="Where to send to.")]
PortOpt = Annotated[int, typer.Option(metavar="PORT", min=1, max=65535, help="UDP port to send to.")]


@osc_app.command()
def monitor(
    show: Annotated[str, typer.Argument(metavar="SHOW", help="The show whose addresses are known.")] = "house",
    host: Annotated[
        str | None, typer.Option(metavar="HOST", help="Address to listen at (0.0.0.0: the whole network).")
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="PORT", min=0, max=65535, help="UDP port to listen at (0: any free one).")
    ] = None,
    midi: Annotated[bool, typer.Option("--midi", help="Show what MIDI devices send as well.")] = False,
    sound: Annotated[bool, typer.Option("--sound", help="Show what the microphone hears as well.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="One line a message, for pipes.")] = False,
    duration: Annotated[str | None, typer.Option(metavar="TIME", help="End by itself after 90, 1:30, 2:00:00.")] = None,
) -> None:
    """Watch what arrives: each address, how often, its last value, the range seen, and what it drives.

    It listens in the place of a show; a show that is running has the port to itself. Ctrl-C ends it.
    """
    opened = open_show(show, None, None)
    where = host or opened.osc.host
    watched = Monitor(opened.registry, Mapper(opened.registry, opened.things["map"]).drives)
    kinds = [kind for kind, wanted in (("midi", midi), ("sound", sound)) if wanted]
    with ExitStack() as stack:
        listener = _listen(where, opened.osc.port if port is None else port)
        stack.callback(listener.socket.close)
        senses = [SenseProcess(kind, settings_of(kind, opened.values)) for kind in kinds]
        for sense in senses:
            sense.start()
            stack.callback(sense.close)
        end_s = time.perf_counter() + parse_duration(duration) if duration is not None else None
        rounds = _rounds(listener, watched, senses, end_s)
        with suppress(KeyboardInterrupt, BrokenPipeError):
            if plain or not sys.stdout.isatty():
                _watch_plainly(rounds, watched)
            else:
                port_taken = listener.socket.getsockname()[1]
                _watch_live(rounds, watched, View(where, port_taken, opened.name), senses)


@osc_app.command(context_settings={"ignore_unknown_options": True})
def send(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="/walk/speed, or walk.speed.")],
    values: Annotated[list[str] | None, typer.Argument(metavar="VALUES", help="0.4, 3, or any text.")] = None,
    host: HostOpt = "127.0.0.1",
    port: PortOpt = 7000,
) -> None:
    """Send one message.

    The type of a value is guessed: 3 is a whole number, 0.2 a number, anything else text. To say it exactly:
    i:3 f:3 d:3 h:3 s:3; T and F are true and false, N is nothing.
    """
    try:
        meant, arguments = full_address(address), [argument(word) for word in values or ()]
        packet = encode(meant, arguments)
    except ValueError as error:
        fail(str(error))
    with _sender(host, port) as out:
        _send(out, packet, host, port)
        if out.refused():
            fail(f"sent, but nothing listens at {host} port {port}: is the show running, and at that port?", code=1)
    typer.echo(f"{host}:{port}  {meant} {described(arguments)}".rstrip())


@osc_app.command(epilog="There are " + "; ".join(f"{name}: {scene.title}" for name, scene in SCENES.items()) + ".")
def sim(
    scene: Annotated[str, typer.Argument(metavar="|".join(SCENES), help="What to pretend to be.")],
    host: HostOpt = "127.0.0.1",
    port: PortOpt = 7000,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed is the same performance.")] = 1,
    duration: Annotated[str | None, typer.Option(metavar="TIME", help="End by itself after 90, 1:30, 2:00:00.")] = None,
    rate: Annotated[
        float | None, typer.Option(metavar="HZ", min=0.1, max=1000, help="How often it measures, each second.")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Print every message as it is sent.")] = False,
) -> None:
    """Pretend to be a sensor or a controller, to build a show before the hardware is there."""
    from engine.show.params import did_you_mean, nearest_word

    chosen = SCENES.get(scene)
    if chosen is None:
        near = did_you_mean(nearest_word(scene, list(SCENES)))
        fail(f"the hardware must be one of {', '.join(SCENES)}, got {scene!r}{near}")
    end_s = parse_duration(duration) if duration is not None else None
    typer.echo(_introduction(chosen, host, port, rate))
    with suppress(KeyboardInterrupt, BrokenPipeError), _sender(host, port) as out:
        _play(chosen, out, seed, rate, end_s, f"{host} port {port}", plain)


def _play(
    scene: Scene, out: OscOut, seed: int, rate_hz: float | None, end_s: float | None, where: str, plain: bool
) -> None:
    """Sends in real time, until the end or for ever."""
    begun_s, told_s, sent = time.perf_counter(), 0.0, 0
    refused = False
    for moment in scene.play(seed, rate_hz):
        if end_s is not None and moment.time_s > end_s:
            break
        if (ahead_s := begun_s + moment.time_s - time.perf_counter()) > 0:
            time.sleep(ahead_s)
        with suppress(OSError):  # a network that is away for a moment
            out.send(encode(moment.address, moment.arguments))
        sent += 1
        line = f"{moment.time_s:8.2f} s  {moment.address} {described(moment.arguments)}"
        if plain or not sys.stdout.isatty():
            typer.echo(line)
        elif moment.time_s - told_s > REFRESH_S:
            told_s = moment.time_s
            typer.echo(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}", nl=False)
        if sent % 50 == 2 and out.refused(0.0) != refused:
            refused = not refused
            told = f"nothing listens at {where} yet; still sending" if refused else f"now {where} listens"
            typer.echo(f"\n{told}", err=True)
    if not plain and sys.stdout.isatty():
        typer.echo()
    typer.echo(f"{sent} messages sent to {where}")


def _introduction(scene: Scene, host: str, port: int, rate_hz: float | None) -> str:
    width = max(len(address) for address, _ in scene.sends)
    lines = [f"Pretending: {scene.title}. {rate_hz or scene.rate_hz:g} times a second to {host} port {port}."]
    lines += [f"  {address:{width}}  {means}" for address, means in scene.sends]
    return "\n".join([*lines, "One way to use it, in a show file:", "", "  [[map]]", *_indented(scene.mapping), ""])


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.splitlines()]


@contextmanager
def _sender(host: str, port: int) -> Iterator[OscOut]:
    try:
        out = OscOut(host, port)
    except (OSError, UnicodeError) as error:
        fail(f"cannot send to {host}: {getattr(error, 'strerror', None) or error}")
    with out:
        yield out


def _send(out: OscOut, packet: bytes, host: str, port: int) -> None:
    try:
        out.send(packet)
    except OSError as error:
        fail(f"cannot send to {host} port {port}: {error.strerror or error}", code=1)


def _listen(host: str, port: int) -> Listener:
    """The port, or why it cannot be had and what to do instead."""
    try:
        return listen(host, port)
    except PortTaken as error:
        if not error.holder:
            fail(str(error))
        fail(
            f"OSC port {port} on {host} is taken by {error.holder}. If that is your show: press H on its stage, which "
            "shows what arrives. To watch here, end the show; or let the sender send to another port and watch that: "
            f"pedesis osc monitor --port {port + 1}"
        )


def _rounds(
    listener: Listener, watched: Monitor, senses: list[SenseProcess], end_s: float | None
) -> Iterator[tuple[float, list[Seen]]]:
    """Takes what comes, and lets the caller show it ten times a second, with the time (time.perf_counter)."""
    with selectors.DefaultSelector() as selector:
        selector.register(listener.socket, selectors.EVENT_READ)
        while end_s is None or time.perf_counter() < end_s:
            came: list[Seen] = []
            until_s = time.perf_counter() + REFRESH_S
            while (left_s := until_s - time.perf_counter()) > 0 and len(came) < _AT_ONCE:
                if selector.select(min(left_s, REFRESH_S / 4)):
                    came += _receive(listener, watched)
                for sense in senses:
                    now_s = time.perf_counter()
                    came += [watched.heard(address, said, now_s) for address, said in sense.drain()]
            yield time.perf_counter(), came


def _receive(listener: Listener, watched: Monitor) -> list[Seen]:
    came: list[Seen] = []
    for _ in range(256):
        try:
            packet = listener.socket.recv(65535)
        except (BlockingIOError, ConnectionError):
            break
        came += watched.packet(packet, time.perf_counter())
    return came


def _watch_plainly(rounds: Iterator[tuple[float, list[Seen]]], watched: Monitor) -> None:
    """One line a message; of a flood the first ones of each moment and how many more there were."""
    most = round(MAX_LINES * REFRESH_S)
    begun_s = time.perf_counter()
    for now_s, came in rounds:
        for row, arguments in came[:most]:
            said = "" if row.is_odd else f"  {written(arguments)}" if arguments else ""
            print(f"{now_s - begun_s:9.2f}  {row.address}{said}  -> {watched.drives(row).text}")
        if len(came) > most:
            print(f"{now_s - begun_s:9.2f}  and {len(came) - most:,} more in this tenth of a second")
        sys.stdout.flush()


def _watch_live(
    rounds: Iterator[tuple[float, list[Seen]]], watched: Monitor, view: View, senses: list[SenseProcess]
) -> None:
    """The table, redrawn in place."""
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False, screen=True) as live:
        for now_s, _ in rounds:
            view.senses = [sense.status for sense in senses]
            live.update(view.draw(watched, now_s, console.size), refresh=True)
