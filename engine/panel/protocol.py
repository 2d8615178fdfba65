"""What the panel's server and its page say to each other.

    GET /                the page: index.html, panel.css and panel.js of `engine/panel/page/`, served with an ETag
                         and no-cache. GET /panel.css, GET /panel.js. (GET /docent is kept for later.)
    GET /picture.jpg     one picture of the program now (503 if none came in time)
    GET /stream.mjpg     multipart/x-mixed-replace of JPEG pictures, 480 px wide, at most 8 a second; made only
                         while somebody looks
    GET /health          200 or 503, JSON {"ok": bool, "why": [sentences]}
    GET /metrics         the same and more for Prometheus
    GET /<osc/address>, GET /?HOST_INFO          OSCQuery (oscquery.py). `/` without an Accept for text/html, or with
                         any query attribute but token, is OSCQuery's root; a browser gets the page.
    websocket /          OSCQuery's: LISTEN, IGNORE, PATH_CHANGED, binary OSC
    websocket /panel     the page's: each message is one JSON object with a "type"

Server to page:

    {"type": "hello", "show": name, "version": v,
     "params": [{"name": "walk.speed", "kind": "number|integer|switch|choice|text|trigger|call", "low": number or null,
                 "high": number or null, "choices": [..], "unit": "..", "doc": "..",
                 "lands": "frame|keyframe|palette|reload|start", "curve": "linear|log|square", "default": ..,
                 "value": .., "group": "walk"}],
     "materials": [{"name": "clouds", "prompt": "..."}],        name is the middle of material.<name>.prompt
     "presets": [name], "cues": [{"name": .., "number": ..}],
     "memories": [{"id": .., "name": .., "kept": seconds since 1970, "picture": "data:image/jpeg;.." or ""}],
     "learn": {"on": bool, "name": parameter or "", "lines": [what is said of it]},
     "status": {..}, "log": [{"time": seconds since 1970, "level": "INFO", "text": ".."}]}
    {"type": "values", "values": {name: value}}        at most 20 times a second, only what changed
    {"type": "lists", ..}                              those of materials, presets, cues, memories, learn that changed
    {"type": "status", "status": {"fps": .., "keyframes": pictures dreamt a second, "phase": .., "recording": bool,
        "uptime_s": .., "visiting": name or "", "blackout": bool, "take": bool, "health": {"ok": bool, "why": [..]},
        "cue": where it is in the list, in words, "cue_place": number of the present cue, 0 before the first,
        "dreamer": "starting|loading|dreaming|restarting|failed"}}
                                                       about once a second
    {"type": "log", "lines": [like log above]}
    {"type": "refused", "name": .., "why": ".."}       a set, fire, call or learn that could not be done
    {"type": "pong", "id": n}

A new hello on an open socket takes the place of the first: another show is on stage, or its parameters changed.

Page to server:

    {"type": "set", "name": "walk.speed", "value": 0.4}         strict: a number for a number, true for a switch
    {"type": "fire", "name": "still", "value": 1.0}             a trigger; value may be left out
    {"type": "call", "name": "say", "text": "a whale"}
    {"type": "learn", "action": "start|stop|clear", "name": "walk.speed"}
    {"type": "ping", "id": n}

A token, where the show has one, comes as `?token=` on everything, or as `Authorization: Bearer`. A wrong or missing
one is 401; a websocket is refused before it opens. A websocket that is closed with 1008 broke a rule (too many
messages, not JSON), with 1013 there were too many; the page may try again after a pause.

Usage: `read(text)` gives a checked Order or raises Refused. Plain data; the panel's process, and its tests.
"""

import json
from dataclasses import dataclass
from typing import Any

from engine.play.panel_messages import Kind
from engine.show.params import TEXT_MAX, Value

MAX_MESSAGE_BYTES = 16384  # a prompt has a thousand characters
_LEARN = ("start", "stop", "clear")


class Refused(ValueError):
    """A message that is none of this protocol's; the page would not send it."""


@dataclass(frozen=True)
class Wish:
    """What a page asks of the show."""

    kind: Kind
    name: str
    value: Value


@dataclass(frozen=True)
class Ping:
    """To be answered with the same number."""

    id: int | float


def read(text: str) -> Wish | Ping:
    """One message of a page. Raises Refused, and nothing else, whatever is in it."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused("a message must be JSON") from None
    if not isinstance(said, dict):
        raise Refused("a message must be a JSON object")
    kind = said.get("type")
    if kind == "ping":
        return Ping(_number(said.get("id"), "id"))
    if kind not in ("set", "fire", "call", "learn"):
        raise Refused('a message must have the type "set", "fire", "call", "learn" or "ping"')
    name = said.get("name", "")
    if not isinstance(name, str) or len(name) > TEXT_MAX:
        raise Refused("name must be the name of a parameter")
    if kind == "set":
        return Wish("set", name, _value(said.get("value")))
    if kind == "fire":
        return Wish("fire", name, float(_number(said.get("value", 1.0), "value")))
    if kind == "call":
        return Wish("call", name, _text(said.get("text", ""), "text"))
    action = said.get("action")
    if action not in _LEARN:
        raise Refused('action must be "start", "stop" or "clear"')
    return Wish("learn", name, action)


def _value(value: Any) -> Value:
    if isinstance(value, bool):
        return value
    return _text(value, "value") if isinstance(value, str) else _number(value, "value")


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str) or len(value) > TEXT_MAX:
        raise Refused(f"{key} must be text of at most {TEXT_MAX} characters")
    return value


def _number(value: Any, key: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 2**53:
        raise Refused(f"{key} must be a number")
    return value
