"""OSC in: controllers, sensors and phones move parameters over UDP.

    osc = OscIn("127.0.0.1", 7000, registry)
    osc.start()                                # PortTaken: one sentence with the cure
    for name, value in osc.drain():            # once a frame
        controls.set(name, value)
    osc.mapper                                 # what foreign addresses mean; a source too, after this one

A receiver thread of the stage process empties the socket into a queue (inbox.py) where newer messages
stand in for older ones before anything is parsed, so a flood costs next to nothing. `drain`, on the thread
that runs the show, empties the socket too (a receiver that waits for the interpreter's lock must not make
the newest value late), decodes what is left (message.py), asks what it means (resolve.py), and hands out at
most one value a parameter and every hit of a trigger. What is wrong is logged (mistakes.py). No packet,
whatever is in it, raises out of here.

A bundle is taken whole or not at all, and at once: time tags are not waited for.
"""

import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from textwrap import TextWrapper

from engine.control.feedback import QUESTIONS, Feedback, Where
from engine.control.inbox import MAX_FOREIGN, MAX_MESSAGE_BYTES, Batch, Inbox, Message, is_finite_number
from engine.control.listen import Listener, PortTaken, listen, local_addresses, reachable_at
from engine.control.mapping import Mapper
from engine.control.message import address_of, decode, describe
from engine.control.mistakes import Mistake, Mistakes
from engine.control.resolve import UNKNOWN, Resolver, Steer, verb_of
from engine.show.address import is_pattern
from engine.show.params import Param, Registry, shown

__all__ = ["Counts", "OscIn", "PortTaken", "Status"]

_PATTERN_BUDGET_S = 0.004  # one drain may spend on patterns not met before
_BATCH = 2048  # messages read at one go
_NAP_S = 0.005  # far sooner than the smallest usual socket buffer, 200 KiB, fills at 20,000 a second
_REFRESH_S = 10.0  # a network may come, or come back, while the show runs
_LINE_LENGTH = 76  # the overlay's text shrinks until its longest line fits
_SAMPLE_S, _WINDOW_S = 0.25, 1.0  # of the rate


@dataclass(frozen=True)
class Counts:
    """Messages since the start. Every message is counted once, also when a newer one stood in for it."""

    accepted: int = 0
    unknown: int = 0  # no such address, or one that is not open while the show runs
    malformed: int = 0  # not OSC, or no value the parameter could take
    dropped: int = 0  # lost to a full queue, here or in the kernel


@dataclass(frozen=True)
class Status:
    """What is arriving, as the help overlay shows it."""

    rate_hz: float = 0.0  # messages a second, over the last second
    last: str = ""  # the newest message
    last_age_s: float = 0.0
    mistake: str = ""  # the newest one
    mistake_age_s: float = 0.0

    def lines(self) -> list[str]:
        """For a narrow column: how much arrives, what came last, what was wrong."""
        lines = [f"{self.rate_hz:.0f} messages/s"]
        if self.last:
            lines.append(f"last message {_ago(self.last_age_s)}: {self.last}")
        if self.mistake:
            lines.append(f"last mistake {_ago(self.mistake_age_s)}: {self.mistake}")
        # indented, since the overlay takes a line that begins with a slash for a parameter
        shape = TextWrapper(_LINE_LENGTH, subsequent_indent="  ", max_lines=2, placeholder=" …")
        return [part for line in lines for part in shape.wrap(line)]


# What is for the mapper: address, arguments, the number of messages it stands for. Number 0: the press of a button that
# flips the switch `address`.
Heard = tuple[str, list[object], int]


class OscIn:
    """Listens at one UDP port. `start`, `drain` and `close` belong to one thread; `counts` and `status` to any."""

    def __init__(
        self,
        host: str,
        port: int,
        registry: Registry,
        patient: bool = False,
        now: Callable[[], float] = time.perf_counter,
        mapper: Mapper | None = None,
    ) -> None:
        """port: 0 takes any free one; `port` then tells which. patient: the address may come later (see listen).
        mapper: hears what arrives; without one, foreign addresses mean nothing."""
        self.host, self.port = host, port
        self._patient, self._now = patient, now
        self._resolver = Resolver(registry)
        self._triggers = {p.name for p in registry.values() if p.fires}
        self.mapper = mapper or Mapper(registry)
        self.feedback: Feedback | None = None  # is told who sends what, and who asks
        self._out: socket.socket | None = None
        self._inbox = Inbox(self._resolver)
        self._inbox.map(self.mapper.table)
        self._table = self.mapper.table
        self._more: dict[str, bool] = {}  # see _means_more
        self._mistakes = Mistakes(now)
        self._lock = threading.Lock()
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._wake: tuple[socket.socket, socket.socket] | None = None
        self._accepted = self._unknown = self._malformed = self._dropped = self._lost_in_kernel = 0
        self._samples: deque[tuple[float, int]] = deque([(now(), 0)])  # when, and how many had come by then
        self._rate_hz = 0.0
        self._received = 0
        self._last: tuple[bytes, float] | None = None

    def start(self) -> None:
        """Binds and begins to listen. Raises PortTaken."""
        self._listener = listen(self.host, self.port, self._patient)
        self.port = self._listener.socket.getsockname()[1]
        self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._receive, name="osc-in", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops listening. What has not been drained is lost."""
        self._closing.set()
        if self._wake is not None:
            self._wake[1].send(b".")
        if self._thread is not None:
            self._thread.join()
        self._count_kernel_drops()
        for each in (self._listener and self._listener.socket, self._out, *(self._wake or ())):
            if each is not None:
                each.close()
        self._listener = self._thread = self._wake = self._out = None

    def send_to(self, packet: bytes, where: Where) -> None:
        """Sends from the port that is listened at, so that an answer comes from where the question went. Any thread;
        waits for nothing. Raises OSError."""
        listener = self._listener
        if listener is None:
            return
        if listener.group is None:
            listener.socket.sendto(packet, where)
            return
        if self._out is None:
            self._out = socket.socket(listener.socket.family, socket.SOCK_DGRAM)
            self._out.setblocking(False)
        self._out.sendto(packet, where)

    def is_own(self, where: Where) -> bool:
        """Whether a place is the very one that is listened at."""
        return where[1] == self.port and (where[0] == self.host or where[0] in local_addresses())

    def use(self, registry: Registry, mapper: Mapper) -> None:
        """From now on messages are for another show; what has not been drained is lost."""
        with self._lock:
            received = self._inbox.take().received
            self._resolver = Resolver(registry)
            self._triggers = {p.name for p in registry.values() if p.fires}
            overhear, self.mapper = self._inbox.overhear, mapper
            self._inbox = Inbox(self._resolver, received)
            self._inbox.overhear = overhear
            self._inbox.map(mapper.table)
            self._table, self._more = mapper.table, {}

    def put(self, packet: bytes) -> None:
        """Takes a packet that came another way; it counts as the others do, and no socket is needed for it."""
        with self._lock:
            self._inbox.put(packet)

    def addresses(self) -> list[str]:
        """Where controllers find this machine: its addresses on the network when bound wide."""
        return reachable_at(self.host)

    @property
    def counts(self) -> Counts:
        """What has come so far; messages not yet drained are not in it."""
        self._count_kernel_drops()
        return Counts(self._accepted, self._unknown, self._malformed, self._dropped + self._lost_in_kernel)

    @property
    def status(self) -> Status:
        """What is arriving, as of the last drain."""
        now_s = self._now()
        last, mistake = self._last, self._mistakes.last  # once each: the draining thread may replace them
        return Status(
            self._rate_hz,
            _in_short(last[0]) if last else "",
            now_s - last[1] if last else 0.0,
            mistake[0] if mistake else "",
            now_s - mistake[1] if mistake else 0.0,
        )

    def drain(self) -> list[Steer]:
        """What is new since the last call, oldest first: a parameter's last value, a trigger's every hit."""
        with self._lock:
            if self.mapper.table is not self._table:
                self._table = self.mapper.table
                self._inbox.map(self._table)
                self._more = {}
            self._inbox.overhear = self.mapper.tap is not None
            self._pump()
            batch = self._inbox.take()
        now_s = self._now()
        self._measure(batch, now_s)
        self._mistakes.start_round()
        steers: list[Steer] = []
        heard: list[Heard] = []
        settled: set[str] = set()
        deadline_s = now_s + _PATTERN_BUDGET_S
        # Newest first, so that what a newer message has settled need not be looked at again.
        for message in reversed(batch.messages):
            if self._superseded(message.raw, settled):
                self._accepted += message.count
            else:
                self._open(message, steers, heard, settled, deadline_s)
        self._report_rejected(batch)
        for each in reversed(heard):
            self._hand_on(*each)
        self._let_overhear(batch)
        steers.reverse()
        return steers

    def _measure(self, batch: Batch, now_s: float) -> None:
        self._unknown += batch.unknown
        self._malformed += batch.malformed
        self._dropped += batch.dropped
        samples = self._samples
        if batch.received > self._received:
            self._received, self._last = batch.received, (batch.last, now_s)
        if now_s - samples[-1][0] >= _SAMPLE_S:
            samples.append((now_s, batch.received))
            while len(samples) > 2 and now_s - samples[1][0] >= _WINDOW_S:
                samples.popleft()
            then_s, before = samples[0]
            self._rate_hz = (batch.received - before) / (now_s - then_s)

    def _superseded(self, raw: bytes, settled: set[str]) -> bool:
        """Whether a pattern with a plain number reaches only what newer messages have set already."""
        pattern = address_of(raw)
        if not settled or not is_pattern(pattern) or not is_finite_number(raw):
            return False
        address = pattern.decode("utf-8", "replace")
        if verb_of(address) not in ("", "norm"):
            return False
        params = self._resolver.reached(address) if self._resolver.is_quick(address) else ()
        return bool(params) and all(p.name in settled for p in params)

    def _open(
        self, message: Message, steers: list[Steer], heard: list[Heard], settled: set[str], deadline_s: float
    ) -> None:
        """Decodes one message and adds what it sets; those it stands for are counted as it turns out."""
        try:
            address, arguments = decode(message.raw)
        except ValueError as error:
            self._malformed += message.count
            address = address_of(message.raw).decode("utf-8", "replace")
            self._mistakes.add(Mistake(address, "damaged", f"is damaged: {error}"), message.count)
            return
        if not self._resolver.is_quick(address) and self._now() > deadline_s:
            self._dropped += message.count
            return
        if self._is_question(address, arguments, message):
            self._accepted += message.count
            return
        means = self.mapper.knows(address)
        if means:
            heard.append((address, arguments, message.count))
            if not self._means_more(address):
                return
        resolved = self._resolver.resolve(address, arguments)
        heard += [(name, [strength], 0) for name, strength in reversed(resolved.presses)]
        for name, value in resolved.steers:
            if name in self._triggers:
                steers.append((name, value))
            elif name not in settled:
                settled.add(name)
                steers.append((name, value))
        if self.feedback is not None and message.sender is not None and resolved.steers:
            self.feedback.heard(message.sender, resolved.steers, verb_of(address))
        for mistake in resolved.mistakes:
            self._mistakes.add(mistake, message.count)
        if means:
            return  # counted as it is handed on
        if resolved.steers or resolved.presses:
            self._accepted += message.count
        elif resolved.mistakes[0].kind == UNKNOWN:
            self._unknown += message.count
        else:
            self._malformed += message.count

    def _is_question(self, address: str, arguments: list[object], message: Message) -> bool:
        """Whether somebody wants to know a value: an address with no argument, or with "?". A trigger, a call and a
        toggle are pressed by an address alone."""
        feedback, sender, verb = self.feedback, message.sender, verb_of(address)
        if feedback is None or arguments not in ([], ["?"]) or (self.mapper.knows(address) and not arguments):
            return False
        if address in QUESTIONS:
            asked: tuple[Param, ...] = ()
        else:
            asked = tuple(param for param in self._resolver.reached(address) if not param.fires)
            if not asked or (verb == "toggle" and not arguments):
                return False
        if sender is not None:
            feedback.asked(sender, address, "" if verb == "toggle" else verb, asked)
        return True

    def _means_more(self, address: str) -> bool:
        """Whether an address that a mapping hears also moves a parameter as it is."""
        if address not in self._more:
            if len(self._more) >= MAX_FOREIGN:
                self._more.clear()
            own = self._resolver.reached(address)
            self._more[address] = bool(own) and not self.mapper.replaces(address, own[0].name)
        return self._more[address]

    def _hand_on(self, address: str, arguments: list[object], count: int) -> None:
        """To the mapper, in the order in which it came."""
        if not count:
            self.mapper.toggle(address, float(arguments[0]))  # type: ignore[arg-type]
            return
        mistakes = self.mapper.take(address, arguments)
        if not mistakes:
            self._accepted += count
            return
        self._malformed += count
        for mistake in mistakes:
            self._mistakes.add(mistake, count)

    def _let_overhear(self, batch: Batch) -> None:
        """While somebody learns, the tap is told of every message."""
        if self.mapper.tap is None:
            return
        for raw in batch.overheard:
            try:
                self.mapper.tap(*decode(raw))
            except ValueError:
                continue  # counted as what it is already

    def _report_rejected(self, batch: Batch) -> None:
        """What the inbox turned away."""
        for raw, count in batch.unknown_addresses.items():
            self._mistakes.add(self._resolver.unknown(raw.decode("utf-8", "replace")), count)
        for packet in batch.malformed_packets.values():
            if len(packet.raw) > MAX_MESSAGE_BYTES and packet.raw.startswith(b"/"):
                address = address_of(packet.raw[:80]).decode("utf-8", "replace")
                text = f"is too long: a message has at most {MAX_MESSAGE_BYTES} bytes"
                self._mistakes.add(Mistake(address, "long", text), packet.count)
                continue
            kind, sentence = describe(packet.raw)
            self._mistakes.add(Mistake("", kind, sentence), packet.count)

    def _receive(self) -> None:
        """The receiver thread."""
        assert self._listener is not None and self._wake is not None
        pause_s = _REFRESH_S if self._listener.group else None
        refreshed_s = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener.socket, selectors.EVENT_READ)
            selector.register(self._wake[0], selectors.EVENT_READ)
            while not self._closing.is_set():
                selector.select(pause_s)
                if time.monotonic() - refreshed_s >= _REFRESH_S:
                    self._listener.refresh()
                    refreshed_s = time.monotonic()
                with self._lock:
                    more = self._pump()
                if not more:
                    # A flood is cheaper in handfuls: each wake-up costs the show's thread the interpreter.
                    self._closing.wait(_NAP_S)

    def _pump(self) -> bool:
        """Moves packets from the socket to the inbox; True when there may be more. The lock is held."""
        if self._listener is None:
            return False
        receive, put = self._listener.socket.recvfrom, self._inbox.put
        left = _BATCH
        while left > 0:
            try:
                packet, sender = receive(65535)
            except BlockingIOError:
                return False
            except ConnectionError:  # Windows: an earlier answer of ours found nobody
                left -= 1
                continue
            except OSError:
                return False
            left -= put(packet, sender[:2])
        return True

    def _count_kernel_drops(self) -> None:
        if self._listener is not None:
            self._lost_in_kernel = self._listener.lost()


def _ago(age_s: float) -> str:
    if age_s < 1:
        return "just now"
    if age_s < 100:
        return f"{age_s:.0f} s ago"
    return f"{age_s / 60:.0f} min ago" if age_s < 6000 else f"{age_s / 3600:.0f} h ago"


def _in_short(raw: bytes) -> str:
    """A message as one writes it, or what it is if not one."""
    try:
        address, arguments = decode(raw)
    except ValueError:
        return describe(raw[:MAX_MESSAGE_BYTES])[1][:60]
    values = [f"{a:.4g}" if isinstance(a, float) else shown(a, 24) for a in arguments[:4]]
    more = ["…"] if len(arguments) > 4 else []
    return " ".join([address[:60] if address.isprintable() else shown(address), *values, *more])
