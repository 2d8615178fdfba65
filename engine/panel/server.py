"""The panel's web server: the page, pictures, OSCQuery, health, and two kinds of websocket.

    app = build(Panel(board, guard, orders, files))
    uvicorn.Config(app, http=..., ws=...)

What it serves is in memory before the first request comes, and a path in a request is only ever looked up among the
names there are: it reaches no file. It answers GET and HEAD. The event loop's thread of the panel's process.
"""

import asyncio
import functools
import io
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from engine.panel.board import Board
from engine.panel.files import File
from engine.panel.guard import Guard
from engine.panel.health import health, metrics
from engine.panel.orders import Outgoing
from engine.panel.sockets import Words, page_socket, query_socket
from engine.panel.tree import EXTENSIONS, KNOWN, NOT_OURS
from engine.play.panel_messages import Picture

PICTURE_S = 3.0  # in which a picture must come
STREAM_PAUSE_S = 1 / 8.5
MOST_STREAMS = 24
QUALITY = 72  # of JPEG
_NO_CACHE = {"cache-control": "no-cache"}
_HEADERS = [
    (b"content-security-policy",
     b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
     b"font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]  # fmt: skip


@dataclass
class Panel:
    """What the server's parts share."""

    board: Board
    guard: Guard
    outgoing: Outgoing
    files: Mapping[str, File]  # by their paths: "/" and "/panel.js"
    osc_port: int | None = None
    streams: int = 0


def build(panel: Panel) -> ASGIApp:
    """The application."""

    def bound(answer: Callable[[Panel, Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        @functools.wraps(answer)
        async def endpoint(request: Request) -> Response:
            return await answer(panel, request)

        return endpoint

    words = Words()

    async def page(websocket: WebSocket) -> None:
        await page_socket(panel.board, panel.outgoing, websocket, words)

    async def query(websocket: WebSocket) -> None:
        await query_socket(panel.board, panel.outgoing, websocket)

    get = ["GET"]  # and HEAD, which comes with it
    app = Starlette(
        routes=[
            Route("/picture.jpg", bound(_picture), methods=get),
            Route("/stream.mjpg", bound(_stream), methods=get),
            Route("/health", bound(_health), methods=get),
            Route("/metrics", bound(_metrics), methods=get),
            WebSocketRoute("/panel", page),
            WebSocketRoute("/", query),
            Route("/{path:path}", bound(_any), methods=get),
        ]
    )
    return _Door(app, panel)


class _Door:
    """Lets nobody in whom the guard refuses, and puts the same headers on every answer.

    The page's own files need no token: they tell nothing of the show, and a browser fetches them without.
    """

    def __init__(self, app: ASGIApp, panel: Panel) -> None:
        self._app, self._guard, self._panel = app, panel.guard, panel

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return
        client = (scope.get("client") or ("",))[0]
        query = QueryParams(scope["query_string"].decode("latin-1"))
        refusal = self._guard.check(client, Headers(scope=scope), query)
        if refusal is None or (refusal[0] == 401 and self._is_of_the_page(scope)):
            await self._app(scope, receive, _with_headers(send))
            return
        status, why = refusal
        if status == 401 and not await self._guard.wait_after_wrong_token(client):
            status, why = 429, "one wrong token at a time"
        answer = PlainTextResponse(why + "\n", status, _NO_CACHE)
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, _with_headers(send)).send_denial_response(answer)
        else:
            await answer(scope, receive, _with_headers(send))

    def _is_of_the_page(self, scope: Scope) -> bool:
        return scope["type"] == "http" and _page_file(self._panel, Request(scope)) is not None


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
        await send(message)

    return sending


async def _any(panel: Panel, request: Request) -> Response:
    """A file of the page, or an address of the show."""
    file = _page_file(panel, request)
    if file is not None:
        return _file(file, request)
    return _osc_query(panel, request.url.path, _asked(request))


def _asked(request: Request) -> list[str]:
    return [name for name in request.query_params if name != "token"]


def _page_file(panel: Panel, request: Request) -> File | None:
    """The file of the page that is asked for; "/" is the page for a browser, and OSCQuery's root for others."""
    path = request.url.path
    is_page = not _asked(request) and (path != "/" or "text/html" in request.headers.get("accept", ""))
    return panel.files.get(path) if is_page else None


def _file(file: File, request: Request) -> Response:
    headers = {**_NO_CACHE, "etag": file.etag}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)


def _osc_query(panel: Panel, path: str, asked: list[str]) -> Response:
    """OSCQuery over HTTP, with the proposal's statuses: 404 no such address, 400 no such attribute, 204 an attribute
    that is not ours, or one that has nothing to tell here."""
    board = panel.board
    if "HOST_INFO" in asked:
        return JSONResponse(host_info(board), headers=_NO_CACHE)
    if board.show is None:
        return PlainTextResponse("the show is not there yet\n", 503, {"retry-after": "1"})
    if board.tree.find(path) is None:
        return PlainTextResponse("the show has no such address\n", 404, _NO_CACHE)
    if not asked:
        return JSONResponse(board.tree.describe(path, board.values, board.status), headers=_NO_CACHE)
    said: dict[str, Any] = {}
    for name in asked[:16]:
        if name in NOT_OURS:
            return Response(status_code=204)
        if name not in KNOWN:
            return PlainTextResponse(f"OSCQuery has no attribute {name[:40]!r}\n", 400, _NO_CACHE)
        part = board.tree.attribute(path, name, board.values, board.status)
        if part is None:
            return Response(status_code=204)
        said |= part
    return JSONResponse(said, headers=_NO_CACHE)


def host_info(board: Board) -> dict[str, Any]:
    """What OSCQuery's HOST_INFO has to tell."""
    show = board.show
    said: dict[str, Any] = {"NAME": f"Pedesis: {show.show}" if show else "Pedesis"}
    said["EXTENSIONS"] = dict.fromkeys(EXTENSIONS, True)
    if show is not None and show.osc_port is not None:
        said |= {"OSC_PORT": show.osc_port, "OSC_TRANSPORT": "UDP"}
    return said


async def _health(panel: Panel, request: Request) -> Response:
    is_well, why = health(panel.board)
    return JSONResponse({"ok": is_well, "why": why}, 200 if is_well else 503, _NO_CACHE)


async def _metrics(panel: Panel, request: Request) -> Response:
    try:
        content, kind = metrics(panel.board, panel.streams)
    except ImportError:
        return PlainTextResponse("numbers for Prometheus need: pip install prometheus-client\n", 501)
    return Response(content, headers={**_NO_CACHE, "content-type": kind})


async def _picture(panel: Panel, request: Request) -> Response:
    if panel.streams >= MOST_STREAMS:
        return PlainTextResponse("too many look already\n", 503, {"retry-after": "5"})
    with _Looking(panel):
        picture = await panel.board.next_picture(panel.board.pictures, PICTURE_S)
        if picture is None:
            return PlainTextResponse("no picture came in time\n", 503, {"retry-after": "1"})
        jpeg = await asyncio.to_thread(as_jpeg, picture)
    return Response(jpeg, media_type="image/jpeg", headers={"cache-control": "no-store"})


async def _stream(panel: Panel, request: Request) -> Response:
    if panel.streams >= MOST_STREAMS:
        return PlainTextResponse("too many look already\n", 503, {"retry-after": "5"})
    if request.method == "HEAD":
        return Response(media_type="multipart/x-mixed-replace; boundary=picture")

    async def parts() -> Any:
        with _Looking(panel):
            seen, first = panel.board.pictures, True
            while True:
                picture = await panel.board.next_picture(seen, PICTURE_S)
                seen = panel.board.pictures
                if picture is None:
                    continue
                jpeg = await asyncio.to_thread(as_jpeg, picture)
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
                # A browser shows a part once the next boundary is there: it comes with the picture, not with the next.
                yield (b"--picture\r\n" if first else b"") + head + jpeg + b"\r\n--picture\r\n"
                first = False
                await asyncio.sleep(STREAM_PAUSE_S / 2)

    headers = {"cache-control": "no-store"}
    return StreamingResponse(parts(), media_type="multipart/x-mixed-replace; boundary=picture", headers=headers)


class _Looking:
    """While somebody looks, the stage makes pictures."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel

    def __enter__(self) -> None:
        self._panel.streams += 1
        self._panel.outgoing.say(looking=True)

    def __exit__(self, *ended: object) -> None:
        self._panel.streams -= 1
        if not self._panel.streams:
            self._panel.outgoing.say(looking=False)


@functools.lru_cache(maxsize=2)
def as_jpeg(picture: Picture) -> bytes:
    """A picture as a JPEG; the same one is made once for all who look."""
    from PIL import Image

    made = io.BytesIO()
    Image.frombytes("RGB", (picture.width, picture.height), picture.rgb).save(made, "JPEG", quality=QUALITY)
    return made.getvalue()
