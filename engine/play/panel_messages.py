"""What the stage and the panel's process say to each other.

    pipe.send(Update(values={"walk.speed": 0.3}))          # stage to panel: pickled
    pipe.send_bytes(encode({"alive": True}))               # panel to stage: JSON, checked before it is believed

The panel talks to strangers, so nothing that comes from it is unpickled. Plain data; both processes.
"""

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from engine.show.params import TEXT_MAX, Value

MAX_BYTES = 1 << 20  # of one message to the stage
MAX_ORDERS, MAX_PACKETS = 1024, 512  # in one message; what is beyond is not read
MAX_PACKET_BYTES = 8192
Kind = Literal["set", "fire", "call", "learn"]


@dataclass(frozen=True)
class Settings:
    """Where the panel answers. token: empty for none; one is made where the network can reach it."""

    host: str = "127.0.0.1"
    port: int = 7001
    token: str = ""


@dataclass(frozen=True)
class Description:
    """All there is to know of a show, when it comes on stage and when the panel has started."""

    show: str
    version: str
    params: tuple[Mapping[str, Any], ...]  # as protocol.py describes them, without their values
    values: Mapping[str, Value]
    lists: Mapping[str, Any]
    mapped: Mapping[str, str]  # foreign addresses that mappings hear: what they move
    osc_port: int | None
    log: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Picture:
    """A small picture of the program: (H, W, 3) uint8 as bytes, top row first."""

    width: int
    height: int
    rgb: bytes


@dataclass(frozen=True)
class Refusal:
    """What could not be done. client: who asked for it."""

    client: int
    name: str
    why: str


@dataclass(frozen=True)
class Update:
    """What has changed since the last one."""

    values: Mapping[str, Value] = field(default_factory=dict)
    lists: Mapping[str, Any] = field(default_factory=dict)
    mapped: Mapping[str, str] | None = None
    status: Mapping[str, Any] | None = None
    log: tuple[Mapping[str, Any], ...] = ()
    refused: tuple[Refusal, ...] = ()
    picture: Picture | None = None
    heard: int = 0  # number of the last message with orders that the show had taken when it said this


@dataclass(frozen=True)
class Order:
    """What somebody at a panel wants. value: of a set, the strength of a fire, the text of a call, how to learn."""

    client: int
    kind: Kind
    name: str
    value: Value


@dataclass(frozen=True)
class Heard:
    """One message of the panel's process, checked."""

    orders: tuple[Order, ...] = ()
    packets: tuple[bytes, ...] = ()  # of OSC
    ready: Mapping[str, Any] | None = None  # address, network (whether the network can reach it), code (of the QR code)
    trouble: str = ""
    again: bool = True  # whether it may be otherwise another time
    looking: bool | None = None
    clients: int | None = None
    fault: str = ""  # what it ends of
    number: int = 0  # of a message with orders: it comes back as Update.heard


def encode(said: Mapping[str, Any]) -> bytes:
    """A message to the stage. Orders as lists: client, kind, name, value."""
    if "packets" in said:
        said = {**said, "packets": [base64.b64encode(packet).decode() for packet in said["packets"]]}
    return json.dumps(said).encode()


def decode(raw: bytes) -> Heard:
    """What the panel says. Raises ValueError for what is no such message."""
    said = json.loads(raw)
    if not isinstance(said, dict):
        raise ValueError("a message of the panel must be an object")
    ready = said.get("ready")
    looking, clients, number = said.get("looking"), said.get("clients"), said.get("number")
    return Heard(
        tuple(_order(each) for each in _some(said, "orders", MAX_ORDERS)),
        tuple(_packet(each) for each in _some(said, "packets", MAX_PACKETS)),
        _ready(ready) if isinstance(ready, dict) else None,
        str(said.get("trouble", ""))[:TEXT_MAX],
        bool(said.get("again", True)),
        looking if isinstance(looking, bool) else None,
        clients if isinstance(clients, int) else None,
        str(said.get("fault", ""))[:TEXT_MAX],
        number if isinstance(number, int) else 0,
    )


def _some(said: Mapping[str, Any], name: str, most: int) -> list[Any]:
    found = said.get(name, [])
    if not isinstance(found, list):
        raise ValueError(f"{name} must be a list")
    return found[:most]


def _order(each: Any) -> Order:
    client, kind, name, value = each
    if not (isinstance(client, int) and kind in get_args(Kind) and isinstance(name, str)):
        raise ValueError("an order is a client, a kind, a name and a value")
    if not isinstance(value, bool | int | float | str) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError("an order's value must be a number, a switch or text")
    if isinstance(value, int) and abs(value) > 2**53:
        raise ValueError("a number is too large")
    return Order(client, kind, name[:TEXT_MAX], value)


def _packet(each: Any) -> bytes:
    if not isinstance(each, str) or len(each) > MAX_PACKET_BYTES * 2:
        raise ValueError("a packet must be short")
    return base64.b64decode(each)


def _ready(said: Mapping[str, Any]) -> dict[str, Any]:
    code = said.get("code", [])
    rows = [str(row)[:256] for row in code[:256]] if isinstance(code, list) else []
    return {"address": str(said.get("address", ""))[:TEXT_MAX], "network": bool(said.get("network")), "code": rows}
