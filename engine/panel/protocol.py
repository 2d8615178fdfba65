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
     "presets": [name], "cues": [{"name": .., "number": ..}], "memories": [{"id": .., "name": ..}],
     "learn": {"on": bool, "name": parameter or "", "lines": [what is said of it]},
     "status": {..}, "log": [{"time": seconds since 1970, "level": "INFO", "text": ".."}]}
    {"type": "values", "values": {name: value}}        at most 20 times a second, only what changed
    {"type": "lists", ..}                              those of materials, presets, cues, memories, learn that changed
    {"type": "status", "status": {"fps": .., "keyframes": pictures dreamt a second, "phase": .., "recording": bool,
        "uptime_s": .., "visiting": name or "", "blackout": bool, "take": bool, "health": {"ok": bool, "why": [..]}}}
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
