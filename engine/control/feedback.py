"""Values back to the controllers: faders and phones follow presets, cues and other hands, and questions are answered.

    feedback = Feedback(registry, osc.send_to, named="192.168.1.20:9001")
    osc.feedback = feedback                      # which tells it who sends what, and who asks
    feedback.start()
    feedback.step(controls, status, every_s)     # once a frame: costs nothing while nobody is told anything
    feedback.close()

Who is told: the controllers named in the show, and those that have sent to an address of the show, or asked for one,
within the last five minutes; what changes after they came. A sensor that only sends to addresses of its own is left in
peace. Each is told in the form it uses itself: who sends to /norm/walk/speed hears of it there.

No loops: what a controller has sent is what it knows, and it is told only what differs from that, and nothing about a
fader while a hand is still on it. At most RATE_HZ times a second, and of each parameter the newest value.

`heard`, `asked` and `step` belong to the show's thread and never wait; a thread of its own sends.
"""

import logging
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from engine.control.controls import Controls
from engine.control.send import Argument, encode
from engine.show.params import Param, Registry, Value

log = logging.getLogger("pedesis.osc")

Where = tuple[str, int]
RATE_HZ = 30.0
REMEMBERED_S = 300.0  # after which a controller that says nothing is not told any more
HELD_S = 0.4  # since it last sent, for which a hand is on a control
MOST = 16  # controllers; beyond it the one that has been silent longest goes
MOST_ASKED = 256  # questions between two frames
ANSWERS_HZ = 600.0  # anybody can write any sender on a packet, so nobody is sent more than this
MOST_AT_ONCE = 200  # packets to one controller in one round
AGAIN_S = 30.0  # after which a name is looked up again that could not be found
# What /status tells: the address, its name in the status, its type.
STATUS = {
    "/status/fps": ("fps", "f"),
    "/status/keyframes": ("keyframes", "f"),
    "/status/phase": ("phase", "f"),
    "/status/recording": ("recording", "i"),
    "/status/uptime": ("uptime_s", "f"),
}
QUESTIONS = ("/status", *STATUS)  # addresses that can only be asked


@dataclass(frozen=True)
class Question:
    """Who wants to know what: a parameter, by which verb (see resolve.py), at the address that they used; or status."""

    where: Where
    address: str
    name: str = ""
    verb: str = ""


@dataclass
class _Controller:
    """One that is told."""

    where: Where
    named: bool = False
    heard_s: float = 0.0
    known: dict[str, Value] = field(default_factory=dict)
    own_s: dict[str, float] = field(default_factory=dict)  # when it last sent to each parameter
    share: set[str] = field(default_factory=set)  # parameters that it knows as /norm/…
    untold: dict[str, None] = field(default_factory=dict)  # parameters that may have changed for it, in order


def named_places(text: str) -> tuple[list[tuple[str, int]], int | None]:
    """(host, port) of each controller that the show names; and the port alone at which whoever speaks is told.

    Raises ValueError for what is neither.
    """
    places, port = [], None
    for entry in filter(None, (part.strip() for part in text.split(","))):
        host, colon, number = entry.rpartition(":")
        if not number.isdecimal() or not 1 <= int(number) <= 65535 or (colon and not host.strip("[] ")):
            raise ValueError(entry)
        if colon:
            places.append((host.strip("[]"), int(number)))
        else:
            port = int(number)
    return places, port


def holds(text: Any) -> bool:
    """Whether a text names controllers as named_places() has them."""
    try:
        return len(named_places(str(text))[0]) <= MOST
    except ValueError:
        return False


class Feedback:
    """See the module's head."""

    def __init__(
        self,
        registry: Registry,
        send: Callable[[bytes, Where], None],
        named: str = "",
        replies: bool = True,
        own: Callable[[Where], bool] = lambda where: False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """send: a packet to a place; may raise OSError. named: see named_places. replies: whether those that spoke are
        told what changes; they are answered in any case. own: whether a place is our own ear."""
        self._send, self._replies, self._own, self._now = send, replies, own, now
        self._hosts, self._port = named_places(named)
        self._lock = threading.Lock()
        self._controllers: dict[Where, _Controller] = {}
        self._values: dict[str, Value] = {}
        self._told_at = self._status_at = 0.0
        self._asked: deque[Question] = deque(maxlen=MOST_ASKED)
        self._answers: deque[tuple[bytes, Where]] = deque(maxlen=MOST_ASKED)
        self._left = ANSWERS_HZ
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self.sent = 0
        self.use(registry)

    def use(self, registry: Registry) -> None:
        """From now on it is about another show."""
        with self._lock:
            self._params = {p.name: p for p in registry.values() if p.live and not p.fires}
            self._values = {}
            for controller in self._controllers.values():
                controller.known, controller.own_s, controller.untold = {}, {}, {}

    def start(self) -> None:
        """Begins to send."""
        self._thread = threading.Thread(target=self._run, name="osc-out", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Sends no more."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def heard(self, sender: Where, steers: Iterable[tuple[str, Value]], verb: str) -> None:
        """What a controller has just sent."""
        if not self._replies:
            return
        now = self._now()
        with self._lock:
            controller = self._meet(self._place(sender), now)
            for name, value in steers:
                if name in self._params:
                    controller.known[name] = value
                    controller.own_s[name] = now
                    (controller.share.add if verb == "norm" else controller.share.discard)(name)

    def asked(self, sender: Where, address: str, verb: str, params: Sequence[Param]) -> None:
        """Somebody wants to know the values of these; or the status, if none."""
        where = self._place(sender)
        if self._replies:
            with self._lock:
                self._meet(where, self._now())
        if not params:
            self._asked.append(Question(where, address))
        for param in params:
            at = f"/{verb}{param.address}" if verb else param.address
            self._asked.append(Question(where, at, param.name, verb))

    def step(self, controls: Controls, status: Callable[[], Mapping[str, Any]], every_s: float) -> None:
        """Once a frame: what is asked is answered, and what has changed will be told.

        status: the numbers of the show; every_s: seconds between two tellings of them, 0 for never.
        """
        now = self._now()
        if self._asked:
            self._answer(controls, status)
        if not self._controllers:
            self._values = {}
            return
        if now - self._told_at < 1 / RATE_HZ:
            return
        self._left = min(self._left + (now - self._told_at) * ANSWERS_HZ, ANSWERS_HZ)
        self._told_at = now
        self._notice(controls, now)
        if every_s > 0 and now - self._status_at >= every_s:
            self._status_at = now
            self._tell_status(status())
        self._wake.set()

    def _notice(self, controls: Controls, now: float) -> None:
        """Marks what has changed, for every controller; forgets those that have left."""
        values = {name: controls.chosen(name) for name in self._params}
        with self._lock:
            changed = [name for name, value in values.items() if self._values.get(name) != value]
            is_first = not self._values
            self._values = values
            for where, controller in list(self._controllers.items()):
                if not controller.named and now - controller.heard_s > REMEMBERED_S:
                    del self._controllers[where]
                elif controller.named or not is_first:
                    controller.untold |= dict.fromkeys(changed)

    def _tell_status(self, status: Mapping[str, Any]) -> None:
        packets = [_status_packet(address, status) for address in STATUS]
        with self._lock:
            for where in self._controllers:
                self._answers.extend((packet, where) for packet in packets)

    def _answer(self, controls: Controls, status: Callable[[], Mapping[str, Any]]) -> None:
        while self._asked:
            question = self._asked.popleft()
            if self._left < 1.0:  # anybody may have written this sender on it
                continue
            self._left -= 1.0
            if question.name:
                param = self._params.get(question.name)
                packets = [encode(question.address, [_told(param, question.verb, controls)])] if param else []
            else:
                said = status()
                addresses = STATUS if question.address == "/status" else (question.address,)
                packets = [_status_packet(address, said) for address in addresses]
            self._answers.extend((packet, question.where) for packet in packets)
        if not self._controllers:
            self._left = ANSWERS_HZ
        self._wake.set()

    def _place(self, sender: Where) -> Where:
        return (sender[0], self._port) if self._port is not None else sender

    def _meet(self, where: Where, now: float, named: bool = False) -> _Controller:
        """The controller at a place, new or known. The lock is held."""
        controller = self._controllers.get(where)
        if controller is None:
            controller = self._controllers[where] = _Controller(where, named)
            others = [c for c in self._controllers.values() if not c.named and c is not controller]
            if len(self._controllers) > MOST and others:
                del self._controllers[min(others, key=lambda c: c.heard_s).where]
        controller.heard_s = now
        return controller

    def _run(self) -> None:
        """The sending thread."""
        looked_s = -AGAIN_S
        while not self._closing.is_set():
            self._wake.wait(1.0)
            self._wake.clear()
            if self._hosts and self._now() - looked_s >= AGAIN_S:
                looked_s = self._now()
                self._find_hosts()
            for packet, where in self._due():
                with suppress(OSError):  # nobody there, or the network is full: the next value will do
                    self._send(packet, where)
                    self.sent += 1

    def _find_hosts(self) -> None:
        """Looks up the controllers that the show names; those that are not there yet are looked up again."""
        for host, port in list(self._hosts):
            try:
                where = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)[0][4]
            except OSError:
                continue
            self._hosts.remove((host, port))
            place = str(where[0]), int(where[1])
            if self._own(place):
                log.warning("osc.feedback names %s:%d, where this show itself listens; left out", host, port)
                continue
            with self._lock:
                controller = self._meet(place, self._now(), named=True)
                controller.named = True
                controller.untold = dict.fromkeys(self._params)

    def _due(self) -> list[tuple[bytes, Where]]:
        """What is to be sent now."""
        now, packets = self._now(), []
        while self._answers:
            packets.append(self._answers.popleft())
        with self._lock:
            for controller in self._controllers.values():
                packets += [(packet, controller.where) for packet in self._news(controller, now)]
        return packets

    def _news(self, controller: _Controller, now: float) -> list[bytes]:
        packets: list[bytes] = []
        for name in list(controller.untold):
            if name not in self._values or now - controller.own_s.get(name, -HELD_S) < HELD_S:
                continue
            if len(packets) >= MOST_AT_ONCE:
                break
            del controller.untold[name]
            value = self._values[name]
            if controller.known.get(name) == value:
                continue
            controller.known[name] = value
            param, verb = self._params[name], "norm" if name in controller.share else ""
            address = f"/norm{param.address}" if verb else param.address
            packets.append(encode(address, [_share(param, value) if verb else _argument(param, value)]))
        return packets


def _told(param: Param, verb: str, controls: Controls) -> Argument:
    if verb == "smooth":
        return "f", controls.smoothing_s(param.name)
    value = controls.chosen(param.name)
    return _share(param, value) if verb == "norm" else _argument(param, value)


def _argument(param: Param, value: Value) -> Argument:
    if param.kind in ("integer", "switch"):
        return "i", int(value)
    return ("f", float(value)) if param.kind == "number" else ("s", str(value))


def _share(param: Param, value: Value) -> Argument:
    """A value as its place on a fader's travel, 0 to 1."""
    if param.kind == "choice":
        return "f", (param.choices.index(str(value)) + 0.5) / len(param.choices)
    return "f", float(value) if param.kind == "switch" else param.share(float(value))


def _status_packet(address: str, status: Mapping[str, Any]) -> bytes:
    name, tag = STATUS[address]
    value = status.get(name, 0)
    return encode(address, [(tag, int(value) if tag == "i" else float(value))])
