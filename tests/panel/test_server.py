"""A real panel process and its clients: the page, its websocket, pictures, health, and who is not let in."""

import json
import time

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from engine.play.panel_messages import Update
from tests.panel.rig import STATUS, Rig, hear


def test_a_browser_gets_the_page_and_a_program_the_tree(rig: Rig) -> None:
    page = rig.get("/", headers={"accept": "text/html,*/*"})
    if page.status_code == 200 and page.headers["content-type"].startswith("text/html"):
        assert "script-src 'self'" in page.headers["content-security-policy"]
        etag = {"accept": "text/html", "if-none-match": page.headers["etag"]}
        assert rig.get("/", headers=etag).status_code == 304
        assert page.headers["cache-control"] == "no-cache"
    assert rig.get("/", headers={"accept": "application/json"}).json()["FULL_PATH"] == "/"
    assert rig.get("/?VALUE", headers={"accept": "text/html"}).status_code == 204
    assert rig.get("/?token=unneeded", headers={"accept": "application/json"}).json()["CONTENTS"]


def test_no_path_reaches_a_file(rig: Rig) -> None:
    for path in ("/../files.py", "/%2e%2e/files.py", "/page/index.html", "//etc/passwd", "/etc/passwd",
                 "/files.py", "/%00", "/..%5cfiles.py", "/index.html"):  # fmt: skip
        assert rig.get(path).status_code == 404, path


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_but_get_is_answered(rig: Rig, method: str) -> None:
    assert rig.client.request(method, rig.url + "/walk/speed", content=b"x" * 1000).status_code == 405


def test_a_page_is_told_everything_and_then_what_changes(rig: Rig) -> None:
    with rig.page() as page, rig.page() as other:
        hello = hear(page, "hello")
        speed = next(param for param in hello["params"] if param["name"] == "walk.speed")
        assert {"kind", "low", "high", "unit", "doc", "lands", "curve", "default", "value", "group"} <= speed.keys()
        assert hello["presets"] == ["calm"] and hello["cues"] == [{"name": "opening", "number": 1}]
        assert hello["materials"][0]["name"] == "clouds" and hello["learn"]["on"] is False
        hear(other, "hello")
        page.send(json.dumps({"type": "set", "name": "walk.speed", "value": 1.25}))
        assert hear(other, "values")["values"] == {"walk.speed": 1.25}
        assert hear(page, "values")["values"] == {"walk.speed": 1.25}
        assert hear(page, "status")["status"]["fps"] == 60


def test_what_cannot_be_done_goes_back_to_who_asked_alone(rig: Rig) -> None:
    with rig.page() as page, rig.page() as other:
        hear(page, "hello"), hear(other, "hello")
        page.send(json.dumps({"type": "set", "name": "walk.speed", "value": "fast"}))
        refused = hear(page, "refused")
        assert refused["name"] == "walk.speed" and "from 0 to 4" in refused["why"]
        page.send(json.dumps({"type": "set", "name": "walk.speed", "value": 0.5}))
        assert hear(other, "values")["values"] == {"walk.speed": 0.5}


def test_triggers_calls_learning_and_pings(rig: Rig) -> None:
    with rig.page() as page:
        hear(page, "hello")
        for said in (
            {"type": "fire", "name": "walk.jump"},
            {"type": "call", "name": "say", "text": "a <b>whale</b>"},
            {"type": "learn", "action": "start", "name": "walk.speed"},
            {"type": "ping", "id": 7},
        ):
            page.send(json.dumps(said))
        assert hear(page, "pong")["id"] == 7
        rig.wait(lambda: [o for o in rig.orders if o.kind == "learn"])
        told = [(order.kind, order.name, order.value) for order in rig.orders[-3:]]
        assert told == [("fire", "walk.jump", 1.0), ("call", "say", "a <b>whale</b>"), ("learn", "walk.speed", "start")]


def test_lists_and_log_lines_reach_an_open_page(rig: Rig) -> None:
    with rig.page() as page:
        hear(page, "hello")
        rig.tell(Update(lists={"presets": ["calm", "storm"]}, log=({"time": 1.0, "level": "INFO", "text": "<i>"},)))
        assert hear(page, "lists")["presets"] == ["calm", "storm"]
        rig.tell(Update(log=({"time": 2.0, "level": "INFO", "text": "two"},)))
        texts = [line["text"] for line in hear(page, "log")["lines"]]
        assert "two" in texts or hear(page, "log")["lines"][-1]["text"] == "two"


@pytest.mark.parametrize("message", ["", "{", "[]", "7", '{"type":"shell"}', '{"type":"set","name":7}', "x" * 20000,
                                     '{"type":"set","name":"walk.speed","value":NaN}', b"binary"])  # fmt: skip
def test_a_message_that_is_none_ends_the_socket(rig: Rig, message: str | bytes) -> None:
    with rig.page() as page:
        hear(page, "hello")
        page.send(message)
        with pytest.raises(ConnectionClosed) as ended:
            while True:
                page.recv(timeout=5)
        assert ended.value.rcvd is not None and ended.value.rcvd.code == 1008


def test_a_socket_that_says_too_much_is_closed(rig: Rig) -> None:
    with rig.page() as page:
        hear(page, "hello")
        with pytest.raises(ConnectionClosed) as ended:
            for n in range(4000):
                page.send(json.dumps({"type": "set", "name": "walk.speed", "value": n % 4}))
            while True:
                page.recv(timeout=5)
        assert ended.value.rcvd is not None and ended.value.rcvd.code == 1008


def test_a_picture_is_made_only_while_somebody_looks(rig: Rig) -> None:
    painted = rig.painted
    picture = rig.get("/picture.jpg")
    assert picture.headers["content-type"] == "image/jpeg" and picture.content.startswith(b"\xff\xd8")
    rig.wait(lambda: not rig.link.looking)
    assert rig.painted > painted
    with rig.client.stream("GET", rig.url + "/stream.mjpg") as stream:
        assert stream.headers["content-type"].startswith("multipart/x-mixed-replace")
        data = b""
        for chunk in stream.iter_bytes():
            data += chunk
            assert rig.link.looking
            if data.count(b"\r\n--picture\r\n") >= 3:
                break
    rig.wait(lambda: not rig.link.looking)
    assert data.count(b"\xff\xd8") >= 3 and data.startswith(b"--picture\r\n")


def test_health_says_why(rig: Rig) -> None:
    assert rig.get("/health").json() == {"ok": True, "why": []}
    rig.status = {**STATUS, "health": {"ok": False, "why": ["the dreamer has failed"]}}
    rig.wait(lambda: rig.get("/health").status_code == 503)
    assert rig.get("/health").json()["why"] == ["the dreamer has failed"]
    rig.status = dict(STATUS)
    rig.wait(lambda: rig.get("/health").status_code == 200)


def test_metrics_are_prometheus(rig: Rig) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    answer = rig.get("/metrics")
    found = {s.name: s.value for family in text_string_to_metric_families(answer.text) for s in family.samples}
    assert found["pedesis_fps"] == 60 and found["pedesis_frames_total"] == 100 and found["pedesis_healthy"] == 1


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7001", "127.0.0.1.evil.example", "localhost.evil.example", ""]
)
def test_another_name_is_refused(rig: Rig, host: str) -> None:
    assert rig.get("/walk/speed", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"])
def test_pages_of_other_sites_are_refused(rig: Rig, origin: str) -> None:
    assert rig.get("/walk/speed", headers={"origin": origin}).status_code == 403
    for open_socket in (rig.page, rig.query):
        with pytest.raises(InvalidStatus) as refused:
            open_socket(origin=origin)
        assert refused.value.response.status_code == 403
    with rig.page(origin=f"http://127.0.0.1:{rig.port}") as page:
        hear(page, "hello")
    assert rig.get("/picture.jpg", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_a_token_is_needed_where_the_show_has_one() -> None:
    token = "a-quiet-word"
    with_rig = Rig(token=token)
    with_rig.client.headers["authorization"] = f"Bearer {token}"
    with with_rig as rig:
        del rig.client.headers["authorization"]
        assert rig.get(f"/walk/speed?token={token}").status_code == 200
        assert rig.get(f"/walk/speed?VALUE&token={token}").json()["VALUE"] == [0.12]
        begun = time.monotonic()
        assert rig.get("/health").status_code == 401
        assert rig.get(f"/health?token={token[:-1]}").status_code == 401
        assert time.monotonic() - begun > 1.4, "wrong tokens can be tried quickly"
        with pytest.raises(InvalidStatus) as refused:
            rig.page(open_timeout=20)
        assert refused.value.response.status_code == 401
        from websockets.sync.client import connect

        with connect(f"ws://127.0.0.1:{rig.port}/panel?token={token}") as page:
            hear(page, "hello")
        assert rig.link.ready is not None and str(rig.link.ready["address"]).endswith(f"?token={token}")
