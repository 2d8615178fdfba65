"""What the panel's process runs: a web server, a thread that hears the stage, and one that speaks to it.

    process = context.Process(target=worker.main, args=(pipe, settings, nice))

It ends when the stage closes the pipe, however the stage ended. Nothing of the web is imported before `main` runs, so
that naming it costs the stage nothing.
"""

import asyncio
import errno
import logging
import os
import secrets
import signal
import socket
import threading
from contextlib import suppress
from ipaddress import ip_address
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from engine.control.listen import reachable_at
from engine.play.panel_messages import Description, Settings, Update, encode
from engine.show.files import read_text_bounded, write_whole
from engine.show.paths import state_dir

INSTALL = "pip install starlette uvicorn websockets"
ALIVE_S = 1.0  # between two signs of life
BACKLOG = 128
log = logging.getLogger("pedesis")


def main(pipe: Connection, settings: Settings, nice: int) -> None:
    """Serves until the stage has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the stage's to answer
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if nice and hasattr(os, "nice"):
        os.nice(nice)
    elif nice:
        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)
    try:
        sockets = bind(settings.host, settings.port)
    except (OSError, UnicodeError) as error:
        _say(pipe, trouble=why_not(settings, error))
        return
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401
    except ImportError as error:
        _say(pipe, trouble=f"it needs {error.name}: {INSTALL}", again=False)
        return
    try:
        asyncio.run(_Serving(pipe, settings, sockets).run())
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)  # the stage has gone
    except Exception as error:
        _say(pipe, fault=f"{type(error).__name__}: {error}")
        os._exit(1)


class _Serving:
    """The server and the stage, side by side."""

    def __init__(self, pipe: Connection, settings: Settings, sockets: list[socket.socket]) -> None:
        self._pipe, self._settings, self._sockets = pipe, settings, sockets
        self._sending = threading.Lock()

    async def run(self) -> None:
        import uvicorn

        from engine.panel.announce import Announcement
        from engine.panel.board import Board
        from engine.panel.connections import connection_classes
        from engine.panel.files import read_page
        from engine.panel.guard import Guard, own_names
        from engine.panel.orders import Outgoing
        from engine.panel.server import Panel, build

        network = not is_loopback(self._settings.host)
        token = self._settings.token or (kept_token() if network else "")
        port = int(self._sockets[0].getsockname()[1])
        board, outgoing = Board(), Outgoing(self._send)
        panel = Panel(board, Guard(token, own_names(self._settings.host)), outgoing, read_page())
        http, websocket = connection_classes()
        config = uvicorn.Config(
            build(panel), http=http, ws=websocket, ws_max_size=65536, ws_per_message_deflate=False, lifespan="off",
            log_config=None, access_log=False, proxy_headers=False, server_header=False, loop="asyncio",
            h11_max_incomplete_event_size=16384, timeout_keep_alive=5, timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        ended = self._hear(board, server)
        outgoing.start()
        announcement = Announcement(board, port) if network else None
        alive = asyncio.create_task(self._say_that_it_lives(server, ready(self._settings.host, port, token, network)))
        if announcement is not None:
            announcement.begin()
        try:
            await server.serve(sockets=self._sockets)
        finally:
            alive.cancel()
            outgoing.close()
            if announcement is not None:
                await announcement.end()
        if not ended.is_set():
            raise RuntimeError("the server ended by itself")

    def _hear(self, board: Any, server: Any) -> threading.Event:
        """Begins to hear the stage. Messages wait here while the loop is busy, and the stage then sends fewer."""
        loop, ended = asyncio.get_running_loop(), threading.Event()
        taken = threading.Semaphore(8)

        def take(said: Description | Update) -> None:
            taken.release()
            board.take(said)

        def run() -> None:
            while True:
                try:
                    said = self._pipe.recv()
                except (EOFError, OSError):
                    break
                taken.acquire()
                loop.call_soon_threadsafe(take, said)
            ended.set()
            server.should_exit = True
            threading.Timer(3.0, lambda: os._exit(0)).start()  # whatever is still held open

        threading.Thread(target=run, name="from-the-stage", daemon=True).start()
        return ended

    async def _say_that_it_lives(self, server: Any, address: dict[str, Any]) -> None:
        while not server.started:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(self._send, {"ready": address})
        while True:
            await asyncio.sleep(ALIVE_S)
            with suppress(OSError):
                await asyncio.to_thread(self._send, {"alive": True})

    def _send(self, said: Any) -> None:
        with self._sending:
            self._pipe.send_bytes(encode(said))


def bind(host: str, port: int) -> list[socket.socket]:
    """Listening sockets. Raises OSError."""
    entries = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, where = min(entries, key=lambda entry: entry[0] != socket.AF_INET)
    opened = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(where)
        opened.listen(BACKLOG)
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return [opened]


def why_not(settings: Settings, error: OSError | UnicodeError) -> str:
    """One sentence about a port that cannot be had."""
    if getattr(error, "errno", None) == errno.EADDRINUSE:
        return f"port {settings.port} is taken by {_holder(settings.port)}; set another with --set panel.port=NUMBER"
    if getattr(error, "errno", None) == errno.EACCES:
        return f"port {settings.port} is reserved by the system; choose one from 1024 to 65535 for panel.port"
    if isinstance(error, socket.gaierror | UnicodeError) or getattr(error, "errno", None) == errno.EADDRNOTAVAIL:
        return f"panel.host {settings.host!r} is not an address of this machine"
    return f"it cannot listen at {settings.host} port {settings.port}: {getattr(error, 'strerror', None) or error}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return False


def kept_token(folder: Path | None = None) -> str:
    """This machine's token, made the first time; one for this run where it cannot be kept."""
    try:
        file = (folder or state_dir()) / "panel-token"
        with suppress(FileNotFoundError):
            found = read_text_bounded(file, 256).strip()
            if len(found) >= 12 and found.isascii() and found.isprintable():
                return found
        made = secrets.token_urlsafe(12)
        file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            file.unlink()
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
        write_whole(file, made + "\n")
        os.chmod(file, 0o600)
        return made
    except OSError:
        return secrets.token_urlsafe(12)


def ready(host: str, port: int, token: str, network: bool) -> dict[str, Any]:
    """What the stage is told of where the panel answers; with a QR code where a phone could use it."""
    place = reachable_at(host)[0] if network else host
    place = f"[{place}]" if ":" in place else place
    address = f"http://{place}:{port}/" + (f"?token={token}" if token else "")
    code: list[str] = []
    if network:
        with suppress(ImportError):
            import segno

            code = ["".join(map(str, row)) for row in segno.make(address, error="m", micro=False).matrix]
    return {"address": address, "network": network, "code": code}


def _say(pipe: Connection, **said: Any) -> None:
    with suppress(OSError):
        pipe.send_bytes(encode(said))


def _holder(port: int) -> str:
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections(kind="tcp"):
            if connection.laddr and connection.laddr.port == port and connection.pid and not connection.raddr:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return "another program"
