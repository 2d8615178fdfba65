"""What a stranger may try: a thousand connections, half a message, reading nothing, whatever hypothesis thinks of."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, WebSocketException

from engine.panel import connections
from engine.panel import worker as panel_worker
from engine.play.panel_messages import Settings as PanelSettings
from engine.play.panel_messages import Update, decode
from tests.panel.evening import Evening
from tests.panel.rig import Rig, hear

quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def impatient(pipe: object, where: PanelSettings, nice: int) -> None:
    """The panel's process, with less patience."""
    connections.FIRST_S = connections.UNREAD_S = 0.5
    connections.HELD_BYTES = 16384
    panel_worker.main(pipe, where, nice)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig(worker=impatient) as rig:
        yield rig


def alive(rig: Rig) -> bool:
    return rig.get("/health").json() == {"ok": True, "why": []} and rig.link.restarts == 0


def raw(rig: Rig) -> socket.socket:
    return socket.create_connection(("127.0.0.1", rig.port), timeout=5)


def is_over(opened: socket.socket, timeout_s: float = 5.0) -> bool:
    """Whether the other side ends it in time."""
    opened.settimeout(timeout_s)
    with suppress(ConnectionError):
        try:
            while opened.recv(65536):
                pass
        except TimeoutError:
            return False
    return True


def test_a_thousand_connections_leave_room_for_one_more(rig: Rig) -> None:
    before = psutil.Process(rig.link.pid).num_fds()
    opened = []
    for _ in range(1000):
        with suppress(OSError):
            opened.append(raw(rig))
    rig.wait(lambda: psutil.Process(rig.link.pid).num_fds() - before <= connections.MOST + 8)
    for each in opened:
        each.close()
    rig.wait(lambda: psutil.Process(rig.link.pid).num_fds() - before <= 8)
    assert alive(rig)


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"])
def test_half_a_request_is_given_up(rig: Rig, said: bytes) -> None:
    with raw(rig) as opened:
        opened.sendall(said)
        assert is_over(opened)
    assert alive(rig)


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\0\x01",
        b"\0" * 100000,
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20000,
        b"GET /" + b"x" * 100000,
        b"GET / HTTP/9.9\r\n\r\n",
    ],
)
def test_what_is_no_request_is_turned_away(rig: Rig, said: bytes) -> None:
    with raw(rig) as opened:
        with suppress(ConnectionError):
            opened.sendall(said)
        assert is_over(opened)
    assert alive(rig)


def test_a_client_that_never_reads_is_dropped(rig: Rig) -> None:
    with raw(rig) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        opened.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        rig.wait(lambda: rig.link.looking)
        for _ in range(400):
            rig.tell(Update(lists={"learn": {"on": False, "name": "", "lines": ["x" * 2000]}}))
            time.sleep(0.005)
            if not rig.link.looking:
                break
    rig.wait(lambda: not rig.link.looking, 15)
    assert alive(rig)


def test_a_page_that_never_reads_is_dropped_and_costs_no_memory(rig: Rig) -> None:
    def listeners() -> float:
        text = rig.get("/metrics").text
        return float(next(line for line in text.splitlines() if line.startswith("pedesis_panel_listeners ")).split()[1])

    before = listeners()
    with raw(rig) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        opened.sendall(
            b"GET /panel HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        rig.wait(lambda: listeners() > before)
        process = psutil.Process(rig.link.pid)
        memory = process.memory_info().rss
        end = time.monotonic() + 20
        while listeners() > before:
            assert time.monotonic() < end, "it is still connected"
            rig.tell(Update(values={"clouds.see": f"{time.monotonic()} " * 60}, log=({"text": "y" * 400},) * 20))
            time.sleep(0.02)
        assert process.memory_info().rss - memory < 30 << 20


def test_half_a_websocket_frame_holds_nothing_up(rig: Rig) -> None:
    with raw(rig) as opened:
        opened.sendall(
            b"GET /panel HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        opened.sendall(b"\x81\xfe\x01")
        assert alive(rig)
        with rig.page() as page:
            hear(page, "hello")
            page.send(json.dumps({"type": "set", "name": "walk.speed", "value": 2}))
            assert hear(page, "values")["values"] == {"walk.speed": 2.0}


def test_a_message_beyond_all_bounds_is_refused(rig: Rig) -> None:
    with rig.page(max_size=None) as page:
        hear(page, "hello")
        with pytest.raises(ConnectionClosed):
            page.send("x" * 300_000)
            while True:
                page.recv(timeout=5)
    assert alive(rig)


paths = st.text(max_size=60) | st.sampled_from(
    ["/walk/speed", "/", "/panel", "/stream.mjpg", "/material/*", "/[a", "/{"]
)
headers = st.dictionaries(
    st.sampled_from(["Host", "Origin", "Accept", "Authorization", "Upgrade", "Connection", "Range", "Content-Length"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40),
    max_size=4,
)


@quick
@given(
    path=paths, query=st.text(max_size=40), said=headers, method=st.sampled_from(["GET", "HEAD", "POST", "\0", "PRI"])
)
def test_no_request_harms_it(rig: Rig, path: str, query: str, said: dict[str, str], method: str) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in {"Host": "127.0.0.1", **said}.items())
    with raw(rig) as opened:
        with suppress(ConnectionError):
            opened.sendall(f"{method} {path}?{query} HTTP/1.1\r\n{head}\r\n".encode("utf-8", "replace"))
        opened.settimeout(0.02)
        with suppress(OSError):
            answer = opened.recv(65536)
            assert not answer or answer.startswith(b"HTTP/1.1 ")
            assert b" 500 " not in answer.split(b"\r\n")[0] and b"Traceback" not in answer
    assert rig.link.restarts == 0


values = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
names = (
    st.sampled_from(["walk.speed", "walk.seed", "say", "walk.jump", "panel.token", "record.start", "../x"]) | st.text()
)
said = st.dictionaries(
    st.sampled_from(["type", "name", "value", "text", "action", "id", "COMMAND", "DATA"]),
    st.sampled_from(["set", "fire", "call", "learn", "ping", "LISTEN", "IGNORE", "start"]) | names | values,
) | st.recursive(values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))


@quick
@given(messages=st.lists(said.map(json.dumps) | st.binary(max_size=200) | st.text(max_size=50), min_size=1, max_size=6),
       page=st.booleans())  # fmt: skip
def test_no_websocket_message_harms_it(rig: Rig, messages: list[str | bytes], page: bool) -> None:
    with suppress(WebSocketException, OSError), rig.page() if page else rig.query() as socket:
        for message in messages:
            socket.send(message)
    assert rig.link.restarts == 0


def test_it_is_well_after_all_that(rig: Rig) -> None:
    assert alive(rig)


def test_a_show_plays_on_whatever_is_said_to_its_panel(tmp_path: Path) -> None:
    with Evening(tmp_path) as evening:
        begun = evening.frames

        @settings(quick, max_examples=30)
        @given(path=paths, messages=st.lists(said.map(json.dumps) | st.binary(max_size=200), max_size=4))
        def talk(path: str, messages: list[str | bytes]) -> None:
            with socket.create_connection(("127.0.0.1", evening.port), timeout=5) as opened:
                opened.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode("utf-8", "replace"))
            for way in (evening.page, evening.query):
                with suppress(WebSocketException, OSError), way() as page:
                    for message in messages:
                        page.send(message)
            evening.goes_on()

        talk()
        assert evening.frames >= begun + 2 * 30
        values = evening.player.conductor.controls
        for name, value in values.items():
            param = evening.player.show.registry[name]
            assert param.coerce(value) == value, name
        assert evening.get("/health").status_code == 200 and evening.player.panel.link.restarts == 0


@quick
@given(
    raw=st.binary(max_size=200)
    | said.map(lambda each: json.dumps(each).encode())
    | st.lists(said, max_size=3).map(lambda each: json.dumps({"orders": each, "packets": each}).encode())
)
def test_the_stage_believes_nothing_that_is_no_message(raw: bytes) -> None:
    with suppress(ValueError, TypeError):
        decode(raw)
