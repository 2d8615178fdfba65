"""OSCQuery as others speak it: the proposal's own statuses and examples, python-oscquery, and the websocket."""

import json
import socket
import time
from dataclasses import replace
from typing import Any

import pytest
from pythonosc.udp_client import SimpleUDPClient
from pythonoscquery.osc_query_client import OSCQueryClient
from websockets.sync.client import ClientConnection
from zeroconf import ServiceInfo

from engine.control.message import decode
from engine.control.send import encode
from engine.panel.tree import Tree, changes
from engine.play.panel import HIDDEN
from engine.play.panel_messages import Description, Update
from tests.panel.evening import Evening
from tests.panel.rig import Rig


def attribute(rig: Rig, path: str, name: str) -> Any:
    return rig.get(f"{path}?{name}").json()[name]


def test_every_kind_is_described(rig: Rig) -> None:
    assert attribute(rig, "/walk/speed", "TYPE") == "f" and attribute(rig, "/walk/seed", "TYPE") == "i"
    assert attribute(rig, "/walk/speed", "RANGE") == [{"MIN": 0, "MAX": 4}]
    assert attribute(rig, "/walk/speed", "ACCESS") == 3 and attribute(rig, "/walk/jump", "ACCESS") == 2
    assert attribute(rig, "/window/width", "ACCESS") == 1, "it can only be set where the show begins"
    assert attribute(rig, "/walk/pause", "TYPE") == "F" and attribute(rig, "/walk/pause", "VALUE") == [False]
    assert attribute(rig, "/look/view", "RANGE") == [{"VALS": ["picture", "latent", "noise"]}]
    assert attribute(rig, "/preset/recall", "RANGE") == [{"VALS": ["calm"]}]
    assert attribute(rig, "/walk/jump", "TYPE") == "I"
    assert attribute(rig, "/walk/jump", "OVERLOADS")[0]["TYPE"] == "f"
    assert attribute(rig, "/say", "TYPE") == "s" and attribute(rig, "/say/hold", "UNIT") == ["time.second"]
    assert "How fast" in attribute(rig, "/walk/speed", "DESCRIPTION")
    assert attribute(rig, "/status/fps", "VALUE") == [60.0] and attribute(rig, "/status/fps", "ACCESS") == 1
    assert attribute(rig, "/3/xy", "ACCESS") == 2, "a mapped address can be sent to"


def test_an_address_that_is_also_a_container_holds_its_own_value(rig: Rig) -> None:
    node = rig.get("/material/clouds").json()
    assert node["ACCESS"] == 0 and "VALUE" not in node and "TYPE" not in node
    held = node["CONTENTS"]
    assert held["prompt"]["FULL_PATH"] == "/material/clouds/prompt"
    assert held["value"]["TYPE"] == "f" and held["value"]["ACCESS"] == 3 and held["value"]["VALUE"] == [1.0]
    assert rig.get("/say").json()["CONTENTS"]["text"]["ACCESS"] == 2
    assert attribute(rig, "/material/clouds", "VALUE") == [1.0], "what is asked for by name answers as ever"
    with rig.query() as one:
        command(one, "LISTEN", "/material/clouds/value")
        assert packets(one) == [("/material/clouds/value", [1.0])]


def test_a_node_that_can_only_be_sent_to_has_null_in_place_of_a_value(rig: Rig) -> None:
    for path in ("/walk/jump", "/say/text", "/3/xy"):
        assert rig.get(path).json()["VALUE"] == [None] and rig.get(f"{path}?VALUE").status_code == 204


def test_the_proposals_examples() -> None:
    """The tree of its first example, and its parts; what we tell besides is left out."""
    row = {"low": 0.0, "high": 100.0, "choices": (), "unit": "", "default": 0.5, "lands": "start", "kind": "number",
           "name": "foo", "doc": "demonstrates a read-only OSC node- single float value ranged 0-100"}  # fmt: skip
    words = {**row, "name": "baz.qux", "kind": "choice", "choices": ("empty", "half-full", "full"), "lands": "frame",
             "doc": "read/write OSC node- accepts one of several string-type inputs"}  # fmt: skip
    tree = Tree.of(Description("", "", (row, words), {}, {}, {}, None), {}, {})
    values = {"foo": 0.5, "baz.qux": "half-full"}
    foo = {"DESCRIPTION": row["doc"], "FULL_PATH": "/foo", "ACCESS": 1, "TYPE": "f", "VALUE": [0.5],
           "RANGE": [{"MIN": 0.0, "MAX": 100.0}]}  # fmt: skip
    qux = {"DESCRIPTION": words["doc"], "FULL_PATH": "/baz/qux", "ACCESS": 3, "TYPE": "s", "VALUE": ["half-full"],
           "RANGE": [{"VALS": ["empty", "half-full", "full"]}]}  # fmt: skip

    def plain(node: dict[str, Any] | None) -> dict[str, Any]:
        assert node is not None
        kept = {key: value for key, value in node.items() if key not in ("TAGS", "CLIPMODE", "CONTENTS")}
        held = {name: plain(each) for name, each in node.get("CONTENTS", {}).items()}
        return {**kept, "CONTENTS": held} if held else kept

    whole = plain(tree.describe("/", values, {}))
    assert whole["FULL_PATH"] == "/" and whole["ACCESS"] == 0 and whole["CONTENTS"]["foo"] == foo
    assert whole["CONTENTS"]["baz"] == {"FULL_PATH": "/baz", "ACCESS": 0, "CONTENTS": {"qux": qux}}
    assert plain(tree.describe("/baz", values, {})) == whole["CONTENTS"]["baz"]
    assert tree.attribute("/foo", "VALUE", values, {}) == {"VALUE": [0.5]}
    assert tree.attribute("/baz/qux", "RANGE", values, {}) == {"RANGE": qux["RANGE"]}
    assert tree.attribute("/baz", "TYPE", values, {}) == {}
    assert tree.find("/bazzzzz") is None
    gone = Tree.of(Description("", "", (row,), {}, {}, {}, None), {}, {})
    assert ("PATH_REMOVED", "/baz/qux") in changes(tree, gone)


def test_the_proposals_statuses(rig: Rig) -> None:
    assert rig.get("/bazzzzz?TYPE").status_code == 404 and rig.get("/walk/speeed").status_code == 404
    assert rig.get("/walk?TYPE").json() == {}, "a container has no type"
    assert rig.get("/walk?VALUE").status_code == 204, "a container has no value"
    assert rig.get("/walk/jump?VALUE").status_code == 204, "a trigger's value cannot be read"
    assert rig.get("/walk/speed?COLOUR").status_code == 400
    assert rig.get("/walk/speed?EXTENDED_TYPE").status_code == 204 and rig.get("/walk?HTML").status_code == 204
    assert rig.get("/foo?HOST_INFO").json()["EXTENSIONS"]["LISTEN"] is True
    info = rig.get("/?HOST_INFO").json()
    assert info["OSC_PORT"] == 7000 and info["OSC_TRANSPORT"] == "UDP" and info["EXTENSIONS"]["VALUE"] is True
    assert rig.get("/walk/speed").headers["content-type"] == "application/json"


def test_secrets_and_paths_are_not_in_the_tree(rig: Rig) -> None:
    for path in ("/panel/token", "/memory/file", "/model/name"):
        assert rig.get(path).status_code == 404


def test_python_oscquery_reads_the_whole_of_a_show_and_sets_values(evening: Evening) -> None:
    info = ServiceInfo("_oscjson._tcp.local.", "x._oscjson._tcp.local.", port=evening.port,
                       addresses=[socket.inet_aton("127.0.0.1")])  # fmt: skip
    client = OSCQueryClient(info)
    root = client.query_node("/")
    assert root is not None and client.query_node("/nothing") is None
    found = {node.full_path: node for node in root}
    params = [p for name, p in evening.player.show.registry.items() if name not in HIDDEN]
    holders = {p.address for p in params if any(other.address.startswith(f"{p.address}/") for other in params)}
    for param in params:
        inner = {"call": "text", "trigger": "fire"}.get(param.kind, "value")
        node = found[f"{param.address}/{inner}" if param.address in holders else param.address]
        assert node.access == (2 if param.fires else 3 if param.live else 1), param.name
        if not param.fires:
            assert node.validate_values(list(node.value)) and isinstance(node.value[0], str | int | float | bool)
    host = client.get_host_info()
    assert host is not None and host.extensions["LISTEN"]
    hand = SimpleUDPClient(host.osc_ip, host.osc_port)
    for path, name, value in (
        ("/walk/radius", "walk.radius", 0.25),
        ("/material/clouds/value", "material.clouds", 0.5),
    ):
        hand.send_message(path, found[path].validate_values([value]))
        evening.until(lambda name=name, value=value: evening.target(name) == value, name)
        evening.until(lambda path=path, value=value: client.query_node(path).value == [value], path)


def command(socket: ClientConnection, name: str, path: str) -> None:
    socket.send(json.dumps({"COMMAND": name, "DATA": path}))


def packets(socket: ClientConnection, seconds: float = 0.4) -> list[tuple[str, list[object]]]:
    """What comes in so long; texts as ("COMMAND", [DATA])."""
    found: list[tuple[str, list[object]]] = []
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        try:
            raw = socket.recv(timeout=left)
        except TimeoutError:
            break
        found.append(decode(raw) if isinstance(raw, bytes) else tuple(json.loads(raw).values()))  # type: ignore[arg-type]
    return found


def test_who_listens_is_told_and_who_ignores_is_not(rig: Rig) -> None:
    with rig.query() as one, rig.query() as other:
        command(one, "LISTEN", "/walk/radius")
        assert packets(one) == [("/walk/radius", [1.0])], "the present value comes first"
        other.send(encode("/walk/radius", [("f", 0.25)]))
        assert packets(one) == [("/walk/radius", [0.25])]
        assert packets(other, 0.1) == [], "it did not ask"
        command(one, "IGNORE", "/walk/radius")
        other.send(encode("/walk/radius", [("f", 0.5)]))
        assert packets(one) == []


def test_what_a_client_sends_does_not_come_back_unless_it_came_out_otherwise(rig: Rig) -> None:
    with rig.query() as one:
        command(one, "LISTEN", "/walk/radius")
        packets(one)
        one.send(encode("/walk/radius", [("f", 0.75)]))
        rig.wait(lambda: rig.values["walk.radius"] == 0.75)
        assert packets(one, 0.7) == []
        one.send(encode("/walk/radius", [("f", 5.0)]))
        assert packets(one, 1.0) == [("/walk/radius", [1.0])]


def test_all_types_travel(rig: Rig) -> None:
    with rig.query() as one:
        for path in ("/walk/seed", "/walk/pause", "/look/view", "/clouds/see"):
            command(one, "LISTEN", path)
        packets(one)
        rig.tell(Update(values={"walk.seed": 9, "walk.pause": True, "look.view": "noise", "clouds.see": "a whale"}))
        assert dict(packets(one)) == {  # type: ignore[arg-type]
            "/walk/seed": [9], "/walk/pause": [True], "/look/view": ["noise"], "/clouds/see": ["a whale"],
        }  # fmt: skip
    rig.tell(Update(values={"walk.seed": 7, "walk.pause": False, "look.view": "picture", "clouds.see": ""}))


def test_what_comes_and_goes_is_told(rig: Rig) -> None:
    with rig.query() as one:
        packets(one, 0.2)
        rig.tell(Update(lists={"presets": ["calm", "night"]}))
        assert ("PATH_CHANGED", "/preset/recall") in [tuple(m) for m in packets(one)]
        rig.tell(Update(mapped={"/3/xy": "look.exposure", "/1/fader": "walk.speed"}))
        told = [tuple(m) for m in packets(one)]
        assert ("PATH_ADDED", "/1/fader") in told and ("PATH_CHANGED", "/") in told
        assert rig.get("/1/fader?TAGS").json()["TAGS"] == ["mapping"]
        rig.tell(Update(mapped={}))
        assert ("PATH_REMOVED", "/1/fader") in [tuple(m) for m in packets(one)]
        other = replace(rig.show, show="other", params=rig.show.params[:20])
        rig.tell(other)
        assert ("PATH_CHANGED", "/") in [tuple(m) for m in packets(one)]
        assert "other" in rig.get("/?HOST_INFO").json()["NAME"]
        rig.tell(rig.show)


@pytest.mark.parametrize("message", ["", "[]", "{}", '{"COMMAND": 7}', "x" * 20000])
def test_what_is_no_command_ends_the_socket(rig: Rig, message: str) -> None:
    from websockets.exceptions import ConnectionClosed

    with rig.query() as one:
        one.send(message)
        with pytest.raises(ConnectionClosed):
            while True:
                one.recv(timeout=5)


def test_unknown_commands_and_addresses_do_no_harm(rig: Rig) -> None:
    with rig.query() as one:
        for name, path in (("LISTEN", "/nothing"), ("IGNORE", "/nothing"), ("LISTEN", "/walk/jump"), ("DANCE", "/x")):
            command(one, name, path)
        one.send(b"\0\1 not OSC")
        command(one, "LISTEN", "/walk/dwell")
        assert packets(one) == [("/walk/dwell", [1.0])]
