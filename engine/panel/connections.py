"""The panel's connections, each with an end in sight: how many there may be, and how long one may say or read nothing.

    http, ws = connection_classes()              # for uvicorn.Config(http=..., ws=...)

A thousand connections take no more than MOST of them; one that sends no request is closed, and so is one that reads
nothing of what it is sent. The event loop's thread.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MOST = 256  # connections at a time, of all kinds
MOST_OF_ONE = 64  # of one address: twenty browsers have two each, and a few pictures
FIRST_S = 10.0  # in which a connection must have sent a whole request
UNREAD_S = 10.0  # for which it may read nothing
HELD_BYTES = 256 << 10  # that wait to be read; a hello is 60 kB
MOST_FRAGMENTS = 64  # of one websocket message


class _Unread:
    """Ends a connection whose other side reads nothing for too long."""

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: Any) -> None:
        self._loop, self._transport = loop, transport
        self._timer: asyncio.TimerHandle | None = None

    def paused(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(UNREAD_S, self._transport.abort)

    def resumed(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class BoundedHttp(H11Protocol):
    """A connection that speaks HTTP, until it becomes a websocket."""

    _deadline: asyncio.TimerHandle | None = None
    _upgraded = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._unread = _Unread(self.loop, transport)
        transport.set_write_buffer_limits(high=HELD_BYTES)
        here = self.client[0] if self.client else ""
        ours = [each for each in self.connections if each is not self]
        alike = sum((getattr(each, "client", None) or ("",))[0] == here for each in ours)
        if len(ours) >= MOST or alike >= MOST_OF_ONE:
            transport.abort()
            return
        self._deadline = self.loop.call_later(FIRST_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unread.resumed()
        self._be_patient()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_busy:
            self._be_patient()
        elif self._deadline is None and not self._upgraded:
            self._deadline = self.loop.call_later(FIRST_S, self._give_up)

    def pause_writing(self) -> None:
        self._unread.paused()
        self.flow.pause_writing()

    def resume_writing(self) -> None:
        self._unread.resumed()
        self.flow.resume_writing()

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._unread.resumed()
        self._upgraded = True
        self._be_patient()
        super().handle_websocket_upgrade(event)

    @property
    def _is_busy(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _be_patient(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        """Half a request, or none, for too long."""
        self._deadline = None
        if not self._is_busy and not self.transport.is_closing():
            self.transport.abort()


class BoundedWebsocket(WebSocketsSansIOProtocol):
    """A websocket."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._unread = _Unread(self.loop, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unread.resumed()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        self._unread.paused()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._unread.resumed()
        super().resume_writing()

    def handle_cont(self, event: Any) -> None:
        if len(self.frames) >= MOST_FRAGMENTS:
            self.transport.abort()
            return
        super().handle_cont(event)


def connection_classes() -> tuple[type[asyncio.Protocol], type[asyncio.Protocol]]:
    """What uvicorn makes of a connection: for HTTP, and for websockets."""
    return BoundedHttp, BoundedWebsocket
