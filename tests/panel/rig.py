"""A panel's process as a show starts it, with something simple in place of the stage: it takes what it is told.

    with Rig(port=0) as rig: rig.get("/health"); rig.values["walk.speed"]

Its port is a free one; what came of orders is in `rig.orders` and `rig.packets`.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from engine.control.message import decode
from engine.panel.worker import main
from engine.play.panel import HIDDEN
from engine.play.panel_link import PanelLink
from engine.play.panel_messages import Description, Order, Picture, Refusal, Settings, Update
from engine.show.params import ParamError, Registry
from tests.registry import build_registry

STATUS = {"fps": 60.0, "keyframes": 5.0, "phase": 1.5, "recording": False, "uptime_s": 3.0, "blackout": False,
          "visiting": "", "take": False, "health": {"ok": True, "why": []}, "counts": {"frames": 100}}  # fmt: skip


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def rows(registry: Registry) -> tuple[dict[str, Any], ...]:
    return tuple(
        {**{k: row[k] for k in row if k not in ("range", "smoothing_s", "address")}, "group": row["name"].split(".")[0]}
        for row in registry.rows()
        if row["name"] not in HIDDEN
    )


def describe(registry: Registry, **changes: Any) -> Description:
    values = {n: p.default for n, p in registry.items() if not p.fires and n not in HIDDEN}
    lists = {"materials": [{"name": "clouds", "prompt": "clouds"}], "presets": ["calm"], "memories": [],
             "cues": [{"name": "opening", "number": 1}], "learn": {"on": False, "name": "", "lines": []}}  # fmt: skip
    said = Description("house", "1.0", rows(registry), values, lists, {"/3/xy": "look.exposure"}, 7000)
    return replace(said, **changes)


class Rig:
    """See the module's head."""

    def __init__(self, worker: Callable[..., None] = main, **settings: Any) -> None:
        self.registry = build_registry(["clouds", "pulp"])
        self.port = settings.setdefault("port", free_port())
        self.settings = Settings(**settings)
        self.link = PanelLink(worker, self.settings, nice=0, backoff_s=(0.05,))
        self.show = describe(self.registry)
        self.values = dict(self.show.values)
        self.orders: list[Order] = []
        self.packets: list[tuple[str, list[object]]] = []
        self.painted = 0
        self.status = dict(STATUS)
        self.client = httpx.Client(timeout=30, trust_env=False, verify=False)  # what it trusts takes long to load
        self.silent = False  # a stage that says nothing
        self.describes = True
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Rig":
        self.link.start()
        self._thread.start()
        self.wait(lambda: self.link.ready is not None and not self.link.is_new, 30)
        self.wait(lambda: self.get("/?HOST_INFO").status_code == 200 and self.get("/health").status_code == 200)
        return self

    def __exit__(self, *ended: object) -> None:
        self._ending.set()
        self._thread.join()
        self.link.close()
        self.client.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **how: Any) -> httpx.Response:
        return self.client.get(self.url + path, **how)

    def page(self, **how: Any) -> ClientConnection:
        return connect(f"ws://127.0.0.1:{self.port}/panel", **how)

    def query(self, **how: Any) -> ClientConnection:
        return connect(f"ws://127.0.0.1:{self.port}/", **how)

    def tell(self, said: Description | Update) -> None:
        self.link.send(said)

    def wait(self, what: Callable[[], object], timeout_s: float = 10.0) -> None:
        end = time.monotonic() + timeout_s
        while not what():
            assert time.monotonic() < end, "it never came"
            time.sleep(0.01)

    def _run(self) -> None:
        while not self._ending.wait(0.01):
            self.link.watch()
            if self.link.is_new and self.describes:
                self.link.send(replace(self.show, values=dict(self.values)))
                self.link.send(Update(status=self.status))
            orders, packets = self.link.orders()
            self.orders += orders
            messages = []
            for packet in packets:
                with suppress(ValueError):
                    messages.append(decode(packet))
            self.packets += messages
            changed, refused = {}, []
            for order in orders:
                try:
                    if order.kind == "set":
                        changed[order.name] = self.registry[order.name].coerce(order.value)
                except (ParamError, KeyError) as error:
                    refused.append(Refusal(order.client, order.name, str(error)))
            for address, arguments in messages:
                if (param := self.registry.by_address(address)) and not param.fires:
                    changed[param.name] = param.from_osc(arguments)
            self.values |= changed
            status = None if self.silent else dict(self.status)
            if orders or changed or int(time.monotonic() * 100) % 30 == 0:
                said = Update(values=changed, refused=tuple(refused), status=status, heard=self.link.heard)
                self.link.send(said)
            if self.link.looking:
                self.painted += 1
                self.link.send(Update(picture=Picture(16, 9, bytes([self.painted % 256]) * (16 * 9 * 3))))


def hear(socket: ClientConnection, kind: str, timeout_s: float = 5.0) -> Mapping[str, Any]:
    """The next message of a page's websocket that is of that type."""
    end = time.monotonic() + timeout_s
    while True:
        said = json.loads(socket.recv(timeout=max(end - time.monotonic(), 0.01)))
        if said["type"] == kind:
            return dict(said)
