"""Tells the network that the show is here: `_oscjson._tcp` for OSCQuery, `_osc._udp` for plain OSC (Zeroconf).

    announcement = Announcement(board, port)
    announcement.begin(); ...; await announcement.end()

Only where the show can be reached by the network. A network without multicast is no fault: it is said once, and clients
find the show by its address. The event loop's thread.
"""

import asyncio
import logging
import socket
from contextlib import suppress
from typing import Any

from engine.control.listen import reachable_at
from engine.panel.board import Board

log = logging.getLogger("pedesis")

WAIT_S = 0.1
LONGEST_NAME = 50  # bytes of the 63 that a label may have


class Announcement:
    """See the module's head."""

    def __init__(self, board: Board, port: int) -> None:
        self._board, self._port = board, port
        self._zeroconf: Any = None
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Announces once the show is known."""
        self._task = asyncio.create_task(self._run())

    async def end(self) -> None:
        """Takes it back."""
        if self._task is not None:
            self._task.cancel()
        if self._zeroconf is not None:
            with suppress(Exception):
                await asyncio.wait_for(self._zeroconf.async_close(), 1.0)

    async def _run(self) -> None:
        while self._board.show is None:
            await asyncio.sleep(WAIT_S)
        try:
            from zeroconf.asyncio import AsyncZeroconf

            self._zeroconf = AsyncZeroconf()
            for info in infos(self._board.show.show, self._port, self._board.show.osc_port):
                await self._zeroconf.async_register_service(info, allow_name_change=True)
        except ImportError:
            log.info("to be found on the network the show needs: pip install zeroconf")
        except Exception as error:  # a library of the network's; whatever it is, the panel goes on without
            log.info("the show is not announced on the network: %s", error or type(error).__name__)


def infos(show: str, port: int, osc_port: int | None) -> list[Any]:
    """What is announced."""
    from zeroconf import ServiceInfo

    host = socket.gethostname().partition(".")[0]
    name = f"Pedesis {show} on {host}".encode()[:LONGEST_NAME].decode("utf-8", "ignore").replace(".", " ")
    addresses = [socket.inet_aton(place) for place in reachable_at("0.0.0.0")]
    kinds = [("_oscjson._tcp.local.", port)] + ([("_osc._udp.local.", osc_port)] if osc_port is not None else [])
    return [
        ServiceInfo(kind, f"{name}.{kind}", port=at, addresses=addresses, server=f"{host}.local.") for kind, at in kinds
    ]
