"""What the panel costs the stage: twenty browsers and five OSCQuery listeners, while twenty changes a second are made.

Usage: by scripts/bench.py, `scripts/bench --only panel`. The clients run in a process of their own and take their share
of the processors, so the same load is measured beside a show that has no panel: it talks to a panel without a show.
"""

import asyncio
import json
import multiprocessing
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from typing import Any

import psutil

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


def crowd(port: int, seconds: float, begin: Event, told: Any) -> None:
    """All clients, in a process of their own."""
    begin.wait(30)
    told.put(asyncio.run(_crowd(port, seconds)))


def run_crowd(port: int, seconds: float) -> dict[str, int]:
    """What they heard, once they are through."""
    context = multiprocessing.get_context("spawn")
    begin, told = context.Event(), context.SimpleQueue()
    process = context.Process(target=crowd, args=(port, seconds, begin, told))
    process.start()
    begin.set()
    counts: dict[str, int] = told.get()
    process.join()
    return counts


def bench_panel(live: Callable[..., Any], show: str, quick: bool) -> list[Row]:
    """live: starts a show, by its name, seconds and settings; see bench.Live."""
    seconds = 20 if quick else 34
    load_s = seconds - 13.0  # a show begins in 6 s, and the clients in 4
    alone = live(show, seconds, "--set", "panel.enabled=false").result()
    beside = live(show, seconds, "--set", "panel.enabled=false")
    time.sleep(6)
    with _echo(load_show(show)) as elsewhere:
        run_crowd(elsewhere, load_s)
    apart = beside.result()
    port = _free_port()
    crowded = live(show, seconds, "--set", f"panel.port={port}")
    time.sleep(6)
    children = psutil.Process(crowded.process.pid).children(recursive=True)
    counts = run_crowd(port, load_s)
    memory = max((_panel_mb(child) for child in children), default=0.0)
    under = crowded.result()
    fps = [float(each["stage"]["fps_mean"]) for each in (alone, apart, under)]
    what = f"stage fps with {BROWSERS} browsers, {LISTENERS} OSCQuery listeners"
    return [
        (what, "the same clients at a panel of no show", fps[2] / fps[1], ">= 0.95 x"),
        (what, "no panel, nobody there", fps[2] / fps[0], ""),
        ("changes that a browser heard a second", "", counts["values"] / BROWSERS / load_s, ">= 15"),
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
