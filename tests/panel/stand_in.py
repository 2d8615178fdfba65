"""The panel's real web server with no show behind it: a board that a test writes on, and the orders that come.

    with StandIn() as panel:
        panel.values({"walk.speed": 0.3}); panel.orders; panel.stop(); panel.start()      # at the same port

With `echo` it does what a show would: what is set becomes the value, and every page is told.
"""

import asyncio
import functools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import uvicorn

from engine.panel.board import Board
from engine.panel.connections import connection_classes
from engine.panel.files import read_page
from engine.panel.guard import Guard, own_names
from engine.panel.orders import Outgoing
from engine.panel.server import Panel, build
from engine.panel.worker import bind
from engine.play.panel import HIDDEN
from engine.play.panel_messages import Description, Picture, Refusal, Update
from engine.play.shows import load_show
from engine.show.params import Value

KEYS = ("name", "kind", "low", "high", "choices", "unit", "doc", "lands", "curve", "default")
WELL = {"fps": 60.0, "keyframes": 5.2, "phase": 12.34, "recording": False, "take": False, "uptime_s": 4000.0,
        "visiting": "", "blackout": False, "health": {"ok": True, "why": []}}  # fmt: skip


@functools.cache
def rows(show: str = "stage") -> list[dict[str, Any]]:
    """The parameters of a show, as the stage describes them. Not to be changed."""
    loaded = load_show(show)
    return [
        {
            **{key: row[key] for key in KEYS},
            "default": loaded.values[row["name"]],
            "group": row["name"].partition(".")[0],
        }
        for row in loaded.registry.rows()
        if row["name"] not in HIDDEN
    ]


class StandIn:
    """See the module's head. Its server runs in a thread of its own; orders are lists of client, kind, name, value."""

    def __init__(
        self,
        params: Sequence[Mapping[str, Any]] | None = None,
        lists: Mapping[str, Any] | None = None,
        token: str = "",
        port: int = 0,
        echo: bool = True,
        log: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.params = list(rows() if params is None else params)
        self.token, self.port, self.echo, self.log = token, port, echo, log
        self.orders: list[tuple[Any, ...]] = []
        self.looking: list[bool] = []
        self.board = Board()
        self.lists = {
            "materials": [], "presets": [], "cues": [], "memories": [],
            "learn": {"on": False, "name": "", "lines": []}, **(lists or {}),
        }  # fmt: skip
        self.known: dict[str, Value] = {row["name"]: row["default"] for row in self.params}
        self._server: uvicorn.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread()

    @property
    def address(self) -> str:
        """What a person opens."""
        return f"http://127.0.0.1:{self.port}/" + (f"?token={self.token}" if self.token else "")

    def __enter__(self) -> "StandIn":
        self.start()
        return self

    def __exit__(self, *ended: object) -> None:
        self.stop()

    def start(self) -> None:
        """Serves, at the same port as before."""
        sockets = bind("127.0.0.1", self.port)
        self.port = sockets[0].getsockname()[1]
        self.board = Board()
        started = threading.Event()

        async def serve() -> None:
            outgoing = Outgoing(self._hear)
            panel = Panel(self.board, Guard(self.token, own_names("127.0.0.1")), outgoing, read_page())
            http, websocket = connection_classes()
            config = uvicorn.Config(build(panel), http=http, ws=websocket, lifespan="off", log_config=None,
                                    access_log=False, timeout_graceful_shutdown=1, loop="asyncio")  # fmt: skip
            self._server, self._loop = uvicorn.Server(config), asyncio.get_running_loop()
            self._server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
            outgoing.start()
            self.board.take(self._description())
            self.board.take(Update(status=WELL))
            started.set()
            try:
                await self._server.serve(sockets=sockets)
            finally:
                outgoing.close()

        self._thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        self._thread.start()
        assert started.wait(10)

    def stop(self) -> None:
        """Goes away, as a process that was killed."""
        if self._server is not None:
            self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)

    def begin(self, params: Sequence[Mapping[str, Any]]) -> None:
        """Another show is on stage."""
        self.params = list(params)
        self.known = {row["name"]: row["default"] for row in self.params}
        self.tell(self._description())

    def tell(self, said: Description | Update) -> None:
        """What the stage would send."""
        assert self._loop is not None
        if isinstance(said, Update):
            self.known |= said.values
            self.lists |= said.lists
        self._loop.call_soon_threadsafe(self.board.take, said)

    def values(self, values: Mapping[str, Value]) -> None:
        """Values that moved."""
        self.tell(Update(values))

    def status(self, **changes: Any) -> None:
        """How the show is."""
        self.tell(Update(status={**WELL, **changes}))

    def refuse(self, name: str, why: str) -> None:
        """Something could not be done, for every page there is."""
        clients = [listener.client for listener in list(self.board.listeners)]
        self.tell(Update(refused=tuple(Refusal(client, name, why) for client in clients)))

    def picture(self, rgb: bytes, width: int, height: int) -> None:
        """A picture of the program."""
        self.tell(Update(picture=Picture(width, height, rgb)))

    def wait(self, holds: Callable[[list[tuple[Any, ...]]], bool], timeout_s: float = 10.0) -> list[tuple[Any, ...]]:
        """The orders, without who gave them, once something holds for them."""
        end = time.monotonic() + timeout_s
        while not holds(found := [order[1:] for order in list(self.orders)]):
            assert time.monotonic() < end, f"it never came; what came is {found[-20:]}"
            time.sleep(0.01)
        return found

    def _description(self) -> Description:
        return Description("For hands", "0.0", tuple(self.params), dict(self.known), dict(self.lists), {}, 7000,
                           tuple(self.log))  # fmt: skip

    def _hear(self, said: Mapping[str, Any]) -> None:
        if "looking" in said:
            self.looking.append(said["looking"])
        for order in said.get("orders", ()):
            self.orders.append(tuple(order))
            if self.echo and order[1] == "set":
                self.tell(Update({order[2]: order[3]}))
        self.tell(Update(heard=said.get("number", 0)))
