"""What the panel costs the stage: twenty browsers and five OSCQuery listeners, while twenty changes a second are made.

Usage: by scripts/bench.py, `scripts/bench --only panel`. The clients run in a process of their own and take their share
of the processors, so they are at a panel of no show for as long, turn by turn while one show plays.
"""

import asyncio
import json
import multiprocessing
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from engine.control.message import decode
from engine.panel.worker import main
from engine.play.panel_link import PanelLink
from engine.play.panel_messages import Description, Settings, Update
from engine.play.shows import load_show
from engine.show.config import Show

Row = tuple[str, str, float, str]  # what, against what, figure, target
BROWSERS, LISTENERS, CHANGES_HZ = 20, 5, 20.0
NAMES = ("preset.time", "say.hold", "memory.stay", "memory.every", "blend.time")  # what no picture shows


async def _browser(port: int, counts: dict[str, int], until: float) -> None:
    from websockets.asyncio.client import connect

    async with connect(f"ws://127.0.0.1:{port}/panel", max_size=None) as page:
        while (left := until - time.monotonic()) > 0:
            try:
                said = json.loads(await asyncio.wait_for(page.recv(), left))
            except TimeoutError:
                return
            counts["values"] += said["type"] == "values"


async def _listener(port: int, counts: dict[str, int], until: float) -> None:
    from websockets.asyncio.client import connect

    async with connect(f"ws://127.0.0.1:{port}/") as query:
        for name in NAMES:
            await query.send(json.dumps({"COMMAND": "LISTEN", "DATA": "/" + name.replace(".", "/")}))
        while (left := until - time.monotonic()) > 0:
            try:
                await asyncio.wait_for(query.recv(), left)
            except TimeoutError:
                return
            counts["packets"] += 1


async def _hand(port: int, until: float) -> None:
    """One who moves things, CHANGES_HZ times a second; what is moved costs the picture nothing."""
    from websockets.asyncio.client import connect

    async with connect(f"ws://127.0.0.1:{port}/panel", max_size=None) as page:
        n = 0
        while time.monotonic() < until:
            value = 1.0 + 0.001 * (n % 1000)
            await page.send(json.dumps({"type": "set", "name": NAMES[n % len(NAMES)], "value": value}))
            n += 1
            await asyncio.sleep(1 / CHANGES_HZ)


async def _crowd(port: int, seconds: float) -> dict[str, int]:
    until, counts = time.monotonic() + seconds, {"values": 0, "packets": 0}
    everybody = [_browser(port, counts, until) for _ in range(BROWSERS)]
    everybody += [_listener(port, counts, until) for _ in range(LISTENERS)]
    await asyncio.gather(*everybody, _hand(port, until), return_exceptions=True)
    return counts


def _clients(orders: Any, told: Any) -> None:
    """All clients, in a process of their own: at (port, seconds), again and again, until there is no port."""
    told.put({})
    while (order := orders.get()) is not None:
        told.put(asyncio.run(_crowd(*order)))


class Crowd:
    """Clients that come when they are called, and not when Python has started."""

    def __enter__(self) -> "Crowd":
        context = multiprocessing.get_context("spawn")
        self._orders, self._told = context.SimpleQueue(), context.SimpleQueue()
        self._process = context.Process(target=_clients, args=(self._orders, self._told), daemon=True)
        self._process.start()
        self._told.get()
        return self

    def __exit__(self, *ended: object) -> None:
        self._orders.put(None)
        self._process.join()

    def at(self, port: int, seconds: float) -> dict[str, int]:
        """What they heard, once they are through."""
        self._orders.put((port, seconds))
        counts: dict[str, int] = self._told.get()
        return counts


class Ear:
    """Hears from a show how many frames a second it draws: its /status/fps."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.settings = (f"osc.feedback=127.0.0.1:{self._socket.getsockname()[1]}", "osc.status=0.25")

    def wait(self) -> None:
        """For a show that dreams."""
        while self._next(60.0)["/status/keyframes"] < 0.5:
            pass

    def forget(self) -> None:
        """What was said until now."""
        self._socket.setblocking(False)
        with suppress(BlockingIOError):
            while self._socket.recv(4096):
                pass

    def fps(self) -> list[float]:
        """All that was said since then; the first second told of the time before."""
        found: list[float] = []
        with suppress(TimeoutError):
            while True:
                found.append(self._next(0.0)["/status/fps"])
        return found[4:]

    def _next(self, timeout_s: float) -> dict[str, float]:
        said: dict[str, float] = {}
        end = time.monotonic() + timeout_s
        while not {"/status/fps", "/status/keyframes"} <= said.keys():
            self._socket.settimeout(max(end - time.monotonic(), 0.001))
            address, arguments = decode(self._socket.recv(4096))[:2]
            if arguments:
                said[address] = float(arguments[0]) if isinstance(arguments[0], int | float) else 0.0
        return said


def bench_panel(live: Callable[..., Any], show: str, quick: bool) -> list[Row]:
    """live: starts a show, by its name, seconds and settings; see bench.Live. Turn by turn in one run."""
    turns, seconds = (2, 5.0) if quick else (4, 10.0)
    port, ear = _free_port(), Ear()
    settings = [word for setting in (f"panel.port={port}", *ear.settings) for word in ("--set", setting)]
    fps: dict[str, list[float]] = {"alone": [], "elsewhere": [], "here": []}
    heard = 0
    with Crowd() as crowd, _echo(load_show(show)) as elsewhere:
        playing = live(show, 3600, *settings)
        try:
            ear.wait()
            for _ in range(turns):
                ear.forget()
                time.sleep(seconds)
                fps["alone"] += ear.fps()
                for where, at in (("elsewhere", elsewhere), ("here", port)):
                    ear.forget()
                    counts = crowd.at(at, seconds)
                    fps[where] += ear.fps()
                    heard += counts["values"] if at == port else 0
            children = psutil.Process(playing.process.pid).children(recursive=True)
            memory = max((_panel_mb(child) for child in children), default=0.0)
        finally:
            playing.process.terminate()
            playing.process.wait()
    alone, apart, under = (statistics.fmean(each) for each in fps.values())
    what = f"stage fps with {BROWSERS} browsers, {LISTENERS} OSCQuery listeners"
    return [
        (what, f"the same clients at a panel of no show ({apart:.1f} fps)", under / apart, ">= 0.95 x"),
        (what, f"nobody there ({alone:.1f} fps)", under / alone, ""),
        ("changes that a browser heard a second", "", heard / BROWSERS / (turns * seconds), ">= 15"),
        ("memory of the panel's process, MB", "", memory, "<= 120"),
    ]


@contextmanager
def _echo(show: Show) -> Iterator[int]:
    """A panel's process that is told what people set there, by a thread that stands in for a stage; its port."""
    port = _free_port()
    link = PanelLink(main, Settings(port=port))
    ending = threading.Event()
    rows = tuple({**row, "group": ""} for row in show.registry.rows())
    about = Description(show.name, "", rows, show.values, {}, {}, None)

    def run() -> None:
        while not ending.wait(1 / CHANGES_HZ):
            if link.is_new:
                link.send(about)
            values = {order.name: order.value for order in link.orders()[0]}
            if values:
                link.send(Update(values))

    link.start()
    thread = threading.Thread(target=run)
    thread.start()
    while link.ready is None or link.is_new:
        time.sleep(0.05)
    try:
        yield port
    finally:
        ending.set()
        thread.join()
        link.close()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _panel_mb(process: psutil.Process) -> float:
    """Of the child that listens at a TCP port; 0 of any other."""
    try:
        is_panel = any(each.status == "LISTEN" for each in process.net_connections("tcp"))
        return float(process.memory_info().rss) / 1e6 if is_panel else 0.0
    except psutil.Error:
        return 0.0
