"""The two kinds of websocket: the page's own (protocol.py), and OSCQuery's.

    await page_socket(board, outgoing, websocket, words)
    await query_socket(board, outgoing, websocket)

Each has two halves that end together: one hears, one tells what is new at most TELL_HZ times a second, and the newest
value of each parameter only. A socket that says too much is closed. The event loop's thread.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from engine.control.message import address_of, decode, split_bundle
from engine.control.send import Argument, encode
from engine.panel.board import Board, Listener
from engine.panel.guard import MESSAGES_BURST, MESSAGES_HZ, Bucket
from engine.panel.orders import Outgoing
from engine.panel.protocol import MAX_MESSAGE_BYTES, Ping, Refused, read
from engine.panel.tree import READ, Node, value_of
from engine.show.params import Value

TELL_S = 0.02  # between two tellings; the stage tells 20 times a second itself
MOST_LISTENERS = 128
BROKE_A_RULE, TRY_LATER = 1008, 1013
OWN_S = 0.3  # in which what somebody sent is not sent back to them
LISTS = ("materials", "presets", "cues", "memories", "learn")


class Words:
    """Messages as text, those that go to everybody written once."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[object, str]] = {}  # by type: what was said last, and its text

    def of(self, said: Mapping[str, Any]) -> str:
        """The text of a message of news()."""
        kind = said["type"]
        content = said.get(kind)  # the very object that others are told
        known = self._last.get(kind)
        if content is not None and known is not None and known[0] is content:
            return known[1]
        if kind == "values":
            said = {"type": kind, "values": {name: plain(value) for name, value in said["values"].items()}}
        text = json.dumps(said, separators=(",", ":"), ensure_ascii=False)
        if content is not None:
            self._last[kind] = content, text
        return text


async def page_socket(board: Board, outgoing: Outgoing, websocket: WebSocket, words: Words) -> None:
    """A page, until it leaves. words: shared by all pages."""
    pongs: asyncio.Queue[int | float] = asyncio.Queue(maxsize=32)

    async def hear(listener: Listener) -> None:
        bucket = Bucket(MESSAGES_HZ, MESSAGES_BURST)
        while True:
            message = await websocket.receive()
            text = message.get("text")
            if message["type"] == "websocket.disconnect":
                return
            if not bucket.take():
                return await websocket.close(BROKE_A_RULE, "too many messages")
            if text is None or len(text) > MAX_MESSAGE_BYTES:
                return await websocket.close(BROKE_A_RULE, "a message must be short, and JSON")
            try:
                said = read(text)
            except Refused as error:
                return await websocket.close(BROKE_A_RULE, str(error)[:100])
            if isinstance(said, Ping):
                with suppress(asyncio.QueueFull):
                    pongs.put_nowait(said.id)
                listener.wake()
            else:
                number = outgoing.order(listener.client, said.kind, said.name, said.value)
                if said.kind == "set":
                    board.foresee(listener.client, said.name, said.value, number)

    async def tell(listener: Listener) -> None:
        while True:
            await listener.wait()
            for said in news(board, listener):
                await websocket.send_text(words.of(said))
            while not pongs.empty():
                await websocket.send_text(json.dumps({"type": "pong", "id": pongs.get_nowait()}))
            await asyncio.sleep(TELL_S)

    await _serve(board, outgoing, websocket, hear, tell)


def news(board: Board, listener: Listener) -> list[dict[str, Any]]:
    """What is new for a page, as messages; nothing of it is new after."""
    if board.show is None:
        return []
    messages: list[dict[str, Any]] = []
    if listener.is_new:
        listener.is_new = False
        listener.values, listener.lists, listener.status = {}, {}, None
        listener.log.clear()
        messages.append(hello(board))
    if listener.values:
        values, listener.values = listener.values, {}
        messages.append({"type": "values", "values": values})
    if listener.lists:
        lists, listener.lists = listener.lists, {}
        messages.append({"type": "lists", **lists})
    if listener.status is not None:
        messages.append({"type": "status", "status": listener.status})
        listener.status = None
    if listener.log:
        messages.append({"type": "log", "lines": list(listener.log)})
        listener.log.clear()
    while listener.refused:
        refusal = listener.refused.popleft()
        messages.append({"type": "refused", "name": refusal.name, "why": refusal.why})
    listener.paths.clear()
    return messages


def hello(board: Board) -> dict[str, Any]:
    """The first message to a page."""
    show = board.show
    assert show is not None
    params = [{**row, "value": plain(board.shown(row["name"], row["default"]))} for row in show.params]
    lists = {name: board.lists.get(name, []) for name in LISTS}
    said = {"type": "hello", "show": show.show, "version": show.version, "params": params, **lists}
    return {**said, "status": board.status, "log": list(board.log)}


def plain(value: Value) -> Value:
    """A value as it is told: a number on its way has more digits than anybody needs."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


async def query_socket(board: Board, outgoing: Outgoing, websocket: WebSocket) -> None:
    """An OSCQuery client, until it leaves."""
    query = _Query(board, outgoing, websocket)
    await _serve(board, outgoing, websocket, query.hear, query.tell)


class _Query:
    """What one OSCQuery client listens to, and what it was told last."""

    def __init__(self, board: Board, outgoing: Outgoing, websocket: WebSocket) -> None:
        self._board, self._outgoing, self._websocket = board, outgoing, websocket
        self._told: dict[str, Value | None] = {}  # addresses it listens to: the value that it knows
        self._own: dict[str, float] = {}  # addresses that it sent to lately: when
        self._listener: Listener | None = None

    async def hear(self, listener: Listener) -> None:
        self._listener = listener
        bucket = Bucket(MESSAGES_HZ, MESSAGES_BURST)
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            if not bucket.take():
                return await self._websocket.close(BROKE_A_RULE, "too many messages")
            if (raw := message.get("bytes")) is not None:
                self._take_osc(raw)
            elif not self._obey(message.get("text") or ""):
                return await self._websocket.close(BROKE_A_RULE, "a message must be JSON with COMMAND and DATA")

    async def tell(self, listener: Listener) -> None:
        while True:
            await listener.wait()
            while listener.paths:
                command, path = listener.paths.popleft()
                await self._websocket.send_text(json.dumps({"COMMAND": command, "DATA": path}))
            listener.values, listener.lists, listener.status, listener.is_new = {}, {}, None, False
            listener.log.clear()
            listener.refused.clear()
            for packet in self._news(asyncio.get_running_loop().time()):
                await self._websocket.send_bytes(packet)
            await asyncio.sleep(TELL_S)

    def _news(self, now: float) -> list[bytes]:
        """Packets for all that it listens to and has changed."""
        board, packets = self._board, []
        for path, told in list(self._told.items()):
            node = board.tree.nodes.get(path)
            if node is None:
                del self._told[path]
                continue
            value = value_of(node, board.values, board.status)
            if value is None or value == told:
                continue
            if now - self._own.get(path, -OWN_S) < OWN_S:
                self._wake_later()
                continue
            self._told[path] = value
            packets.append(encode(path, [argument(node, value)]))
        return packets

    def _wake_later(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().call_later(OWN_S, self._listener.wake)

    def _obey(self, text: str) -> bool:
        """A command; False for what is none. One that is not known is let pass, as others may have it."""
        if len(text) > MAX_MESSAGE_BYTES:
            return False
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            return False
        if not isinstance(said, dict) or not isinstance(said.get("COMMAND"), str):
            return False
        path = said.get("DATA")
        if said["COMMAND"] == "LISTEN" and isinstance(path, str):
            node = self._board.tree.nodes.get(path)
            if node is not None and node.access & READ:
                self._told.setdefault(path, None)
                if self._listener is not None:
                    self._listener.wake()
        elif said["COMMAND"] == "IGNORE" and isinstance(path, str):
            self._told.pop(path, None)
        return True

    def _take_osc(self, raw: bytes) -> None:
        """OSC for the show. What this client sets is not sent back to it, unless it came out otherwise."""
        self._outgoing.packet(raw)
        now = asyncio.get_running_loop().time()
        for message in (split_bundle(raw) if raw.startswith(b"#bundle\0") else [raw]) or ():
            path = address_of(message).decode("utf-8", "replace")
            node = self._board.tree.nodes.get(path)
            if node is None or path not in self._told:
                continue
            with suppress(ValueError):
                arguments = decode(message)[1]
                if arguments and isinstance(arguments[0], bool | int | float | str):
                    self._own[path] = now
                    self._told[path] = arguments[0]


def argument(node: Node, value: Value) -> Argument:
    """A value as an OSC argument of the node's type."""
    if node.type == "T":
        return ("T", True) if value else ("F", False)
    if node.type == "i":
        return "i", int(value)
    return ("f", float(value)) if node.type == "f" else ("s", str(value))


async def _serve(
    board: Board,
    outgoing: Outgoing,
    websocket: WebSocket,
    hear: Callable[[Listener], Coroutine[Any, Any, None]],
    tell: Callable[[Listener], Coroutine[Any, Any, None]],
) -> None:
    """Runs both halves until one ends."""
    if len(board.listeners) >= MOST_LISTENERS:
        await websocket.accept()
        await websocket.close(TRY_LATER, "too many are connected")
        return
    await websocket.accept()
    listener = board.join()
    outgoing.say(clients=len(board.listeners))
    halves = [asyncio.create_task(each(listener)) for each in (hear, tell)]
    try:
        await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
    finally:
        board.leave(listener)
        outgoing.say(clients=len(board.listeners))
        for half in halves:
            half.cancel()
        for ended in await asyncio.gather(*halves, return_exceptions=True):
            if isinstance(ended, Exception) and not isinstance(ended, WebSocketDisconnect | RuntimeError | OSError):
                raise ended
        if websocket.application_state == WebSocketState.CONNECTED:
            with suppress(RuntimeError, WebSocketDisconnect):
                await websocket.close()
