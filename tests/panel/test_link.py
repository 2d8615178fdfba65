"""The panel's process from the stage's side: killed, hung, deaf, and where it cannot be."""

import logging
import os
import signal
import socket
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from engine.panel.worker import is_loopback, kept_token, ready, why_not
from engine.play import panel_link
from engine.play.panel_link import PanelLink
from engine.play.panel_messages import Description, Settings, Update, encode
from tests.panel.rig import Rig, describe, free_port
from tests.registry import build_registry


def steady(pipe: Connection, settings: Settings, nice: int) -> None:
    """Says that it is ready, and every message back as orders."""
    pipe.send_bytes(encode({"ready": {"address": "http://here/", "network": False, "code": []}}))
    while True:
        said = pipe.recv()
        if isinstance(said, Description):
            pipe.send_bytes(encode({"orders": [[1, "call", "say", said.show]]}))
        elif isinstance(said, Update):
            for name, value in said.values.items():
                pipe.send_bytes(encode({"orders": [[1, "set", name, value]]}))


def deaf(pipe: Connection, settings: Settings, nice: int) -> None:
    """Ready, and reads nothing ever."""
    pipe.send_bytes(encode({"ready": {"address": "", "network": False, "code": []}}))
    time.sleep(60)


def mute(pipe: Connection, settings: Settings, nice: int) -> None:
    """Never says a word."""
    time.sleep(60)


def babbling(pipe: Connection, settings: Settings, nice: int) -> None:
    """Says what is no message, then what is."""
    for raw in (b"\0\1", b"[]", b'{"orders": 7}', b'{"orders": [[1]]}', b'{"orders": [[1, "shell", "rm", 1]]}'):
        pipe.send_bytes(raw)
    steady(pipe, settings, nice)


def refusing(pipe: Connection, settings: Settings, nice: int) -> None:
    pipe.send_bytes(encode({"trouble": "it needs starlette", "again": False}))


def wait(what: object, timeout_s: float = 15.0) -> None:
    end = time.monotonic() + timeout_s
    while not what():  # type: ignore[operator]
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)


def begin(link: PanelLink) -> None:
    link.start()
    wait(lambda: link.is_new)
    link.send(describe(build_registry(["clouds"])))


def test_what_is_sent_comes_there_in_order_and_newest_wins() -> None:
    link = PanelLink(steady, Settings())
    begin(link)
    for n in range(1000):
        link.send(Update(values={"walk.speed": n, "walk.radius": n}))
    said = []

    def came() -> bool:
        said.extend((order.name, order.value) for order in link.orders()[0])
        return ("walk.radius", 999) in said

    wait(came)
    assert said[0] == ("say", "house"), "the description comes first"
    assert said[-2:] == [("walk.speed", 999), ("walk.radius", 999)]
    assert len(said) < 1500, "what is old was sent all the same"
    link.close()


def test_killed_ten_times_it_comes_back() -> None:
    with Rig() as rig:
        for n in range(10):
            pid = rig.link.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            wait(lambda n=n: rig.link.restarts == n + 1)
            if n < 9:
                wait(lambda pid=pid: rig.link.pid not in (None, pid))
        wait(lambda: rig.link.ready is not None and not rig.link.is_new)
        wait(lambda: rig.get("/health").status_code == 200)
        assert rig.get("/walk/speed?VALUE").json()["VALUE"] == [0.12]


def test_one_that_reads_nothing_is_ended_and_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel_link, "STUCK_S", 0.3)
    link = PanelLink(deaf, Settings(), backoff_s=(30.0,))
    begin(link)
    begun = time.monotonic()
    for n in range(200):
        link.send(Update(log=tuple({"text": f"{n} {line} " * 500} for line in range(20))))
    assert time.monotonic() - begun < 2.0, "the stage waited"

    def is_gone() -> bool:
        link.watch()
        return link.restarts == 1

    wait(is_gone)
    link.close()


def test_one_that_says_nothing_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel_link, "SILENT_S", 0.5)
    link = PanelLink(mute, Settings(), backoff_s=(30.0,))
    link.start()
    wait(lambda: link.restarts == 1)
    link.close()


def test_nonsense_from_the_panel_is_let_pass(caplog: pytest.LogCaptureFixture) -> None:
    link = PanelLink(babbling, Settings())
    begin(link)
    found: list[str] = []
    wait(lambda: found.extend(o.name for o in link.orders()[0]) or found)
    assert found == ["say"] and link.restarts == 0
    link.close()


def test_a_taken_port_is_one_sentence_and_the_show_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    from engine.panel.worker import main

    with socket.socket() as holder, caplog.at_level(logging.WARNING):
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        link = PanelLink(main, Settings(port=port))
        link.start()
        wait(lambda: link.restarts == 1)
        link.close()
    lines = [record.getMessage() for record in caplog.records if "panel" in record.getMessage()]
    assert len(lines) == 1 and f"port {port} is taken by" in lines[0] and "goes on" in lines[0]


def test_what_will_not_pass_is_not_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    link = PanelLink(refusing, Settings(), backoff_s=(0.01,))
    link.start()
    wait(lambda: any("starlette" in record.getMessage() for record in caplog.records))
    time.sleep(0.2)
    assert link.restarts == 0 and link.pid is None
    link.close()


def test_it_ends_with_the_stage() -> None:
    with Rig() as rig:
        pid = rig.link.pid
        begun = time.monotonic()
    assert time.monotonic() - begun < 3.0
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_where_it_answers(tmp_path: Path) -> None:
    assert is_loopback("127.0.0.1") and is_loopback("localhost") and is_loopback("::1")
    assert not is_loopback("0.0.0.0") and not is_loopback("192.168.1.5") and not is_loopback("")
    token = kept_token(tmp_path / "state")
    assert kept_token(tmp_path / "state") == token and len(token) >= 16
    assert (tmp_path / "state" / "panel-token").stat().st_mode & 0o077 == 0
    (tmp_path / "state" / "panel-token").write_text("x")
    assert len(kept_token(tmp_path / "state")) >= 16, "a damaged one is made anew"
    (tmp_path / "file").write_text("")
    assert len(kept_token(tmp_path / "file")) >= 16, "one that cannot be kept holds for this run"
    said = ready("127.0.0.1", 7001, "", network=False)
    assert said == {"address": "http://127.0.0.1:7001/", "network": False, "code": []}
    code = ready("192.168.1.5", 7001, token, network=True)["code"]
    assert len(code) == len(code[0]) >= 21 and set("".join(code)) == {"0", "1"}
    assert "reserved" in why_not(Settings(port=80), PermissionError(13, "Permission denied"))
    assert "not an address" in why_not(Settings(host="nowhere"), socket.gaierror(-2, "unknown"))


def test_on_the_network_it_has_a_token_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    rig = Rig(host="0.0.0.0", port=free_port())
    rig.link.start()
    rig._thread.start()
    wait(lambda: rig.link.ready is not None)
    said = rig.link.ready
    assert said is not None and said["network"] and len(said["code"]) >= 21
    token = str(said["address"]).partition("token=")[2]
    assert token == (tmp_path / "pedesis" / "panel-token").read_text().strip()
    assert rig.get("/health").status_code == 401
    wait(lambda: rig.get(f"/health?token={token}").status_code == 200)
    rig.__exit__()
