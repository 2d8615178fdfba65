"""OSC in: controllers, sensors and phones move parameters over UDP.

    osc = OscIn("127.0.0.1", 7000, registry)
    osc.start()                                # PortTaken: one sentence with the cure
    for name, value in osc.drain():            # once a frame
        controls.set(name, value)

A receiver thread of the stage process empties the socket into a mailbox (osc_inbox.py) where newer messages
stand in for older ones before anything is parsed, so a flood costs next to nothing. `drain`, on the thread
that runs the show, empties the socket too (a receiver that waits for the interpreter's lock must not make
the newest value late), then parses what is left with python-osc, and hands out at most one value a
parameter and every hit of a trigger. No packet, whatever is in it, raises out of here.

A bundle is taken whole or not at all, and at once: time tags are not waited for.
"""

import contextlib
import errno
import logging
import selectors
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass

import psutil
from pythonosc.osc_message import OscMessage

from engine.control.inbox import MAX_MESSAGE_BYTES, Inbox, Letter, Mail, address_of, is_finite_number
from engine.show.address import is_pattern
from engine.show.errors import CannotStart
from engine.show.params import Param, ParamError, Registry, Value, shown

log = logging.getLogger("pedesis.osc")

MAX_LINES = 64  # lines about bad addresses in one run; beyond it they are only counted
_MAX_PATTERNS = 256
_PATTERN_BUDGET_S = 0.004
_BATCH = 2048  # messages read at one go
_NAP_S = 0.005  # far sooner than the smallest usual socket buffer, 200 KiB, fills at 20,000 a second
_RECEIVE_BYTES = 4 << 20
_IP_FREEBIND = 15  # Linux: bind to an address that is not there yet
_SO_MEMINFO = 55  # Linux: nine counters of a socket, the last being packets dropped
_TAGS = frozenset(b"ifhdsbrmtTFN[]")
_WIDE = ("", "0.0.0.0", "::")

Steer = tuple[str, Value]


class PortTaken(CannotStart):
    """The address cannot be listened at; the message says why and what to do about it."""


@dataclass(frozen=True)
class Counts:
    """Messages since the start. Every message is counted once, also when a newer one stood in for it."""

    accepted: int = 0
    unknown: int = 0  # no such address, or one that is not open while the show runs
    malformed: int = 0  # not OSC, or no value the parameter could take
    dropped: int = 0  # lost to a full queue, here or in the kernel


class OscIn:
    """Listens at one UDP port. `start`, `drain` and `close` belong to one thread; `counts` to any."""

    def __init__(self, host: str, port: int, registry: Registry, patient: bool = False) -> None:
        """port: 0 takes any free one; `port` then tells which. patient: the address may come later (see _bind)."""
        self.host, self.port = host, port
        self._patient = patient
        self._registry = registry
        self._inbox = Inbox(registry)
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._wake: tuple[socket.socket, socket.socket] | None = None
        self._patterns: dict[str, tuple[Param, ...]] = {}
        self._complained: set[str] = set()
        self._accepted = self._unknown = self._malformed = self._dropped = self._lost_in_kernel = 0

    def start(self) -> None:
        """Binds and begins to listen. Raises PortTaken."""
        self._socket = _bind(self.host, self.port, self._patient)
        self.port = self._socket.getsockname()[1]
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
        for each in (self._socket, *(self._wake or ())):
            if each is not None:
                each.close()
        self._socket = self._thread = self._wake = None

    def addresses(self) -> list[str]:
        """Where controllers find this machine: its addresses on the network when bound wide."""
        if self.host not in _WIDE:
            return [self.host]
        up = {name for name, state in psutil.net_if_stats().items() if state.isup}
        lan = [
            address.address
            for name, each in psutil.net_if_addrs().items()
            for address in each
            if name in up and address.family == socket.AF_INET and not address.address.startswith("127.")
        ]
        return lan or ["127.0.0.1"]

    @property
    def counts(self) -> Counts:
        """What has come so far; messages not yet drained are not in it."""
        self._count_kernel_drops()
        return Counts(self._accepted, self._unknown, self._malformed, self._dropped + self._lost_in_kernel)

    def drain(self) -> list[Steer]:
        """What is new since the last call, oldest first: a parameter's last value, a trigger's every hit."""
        with self._lock:
            self._pump()
            mail = self._inbox.take()
        self._unknown += mail.unknown
        self._malformed += mail.malformed
        self._dropped += mail.dropped
        steers: list[Steer] = []
        settled: set[str] = set()
        budget = _Budget(_PATTERN_BUDGET_S)
        # Newest first, so that what a newer message has settled need not be looked at again.
        for letter in reversed(mail.letters):
            if not self._superseded(letter.raw, settled):
                self._open(letter, steers, settled, budget)
            else:
                self._accepted += letter.count
        self._complain(mail)
        steers.reverse()
        return steers

    def _superseded(self, raw: bytes, settled: set[str]) -> bool:
        """Whether a pattern with a plain number reaches only what newer messages have set already."""
        address = address_of(raw)
        params = self._patterns.get(address.decode("ascii", "replace")) if is_pattern(address) else None
        return bool(params) and is_finite_number(raw) and all(p.name in settled for p in params or ())

    def _open(self, letter: Letter, steers: list[Steer], settled: set[str], budget: "_Budget") -> None:
        """Parses one message and adds what it says; those it stands for are counted as it turns out."""
        raw, count = letter.raw, letter.count
        try:
            address, args = parse(raw)
        except ValueError as error:
            self._malformed += count
            self._warn(address_of(raw).decode("ascii", "replace"), str(error))
            return
        params = self._reached(address, budget)
        if params is None:
            self._dropped += count
            return
        problem = None
        heard = False
        for param in params:
            try:
                value = param.from_osc(args)
            except ParamError as error:
                problem = f"allowed is {error.allowed}, given {error.given}"
                continue
            heard = True
            if param.kind == "trigger":
                steers.append((param.name, value))
            elif param.name not in settled:
                settled.add(param.name)
                steers.append((param.name, value))
        if heard:
            self._accepted += count
        elif problem:
            self._malformed += count
            self._warn(address, problem)
        else:
            self._unknown += count
            self._warn(address, "reaches no parameter")

    def _reached(self, address: str, budget: "_Budget") -> tuple[Param, ...] | None:
        """The parameters an address means; None when there is no time left to find out."""
        if not is_pattern(address):
            param = self._registry.by_address(address)
            return (param,) if param is not None and param.live else ()
        if address not in self._patterns:
            if budget.spent():
                return None
            if len(self._patterns) >= _MAX_PATTERNS:
                self._patterns.pop(next(iter(self._patterns)))
            self._patterns[address] = tuple(p for p in self._registry.match(address) if p.live)
        return self._patterns[address]

    def _complain(self, mail: Mail) -> None:
        """A line for addresses the inbox turned away."""
        for raw in mail.strange:
            address = address_of(raw).decode("ascii", "replace")
            if not address.startswith("/"):
                self._warn("", f"not OSC: {shown(raw[:24])}")
                continue
            if len(raw) > MAX_MESSAGE_BYTES:
                self._warn(address, f"a message of at most {MAX_MESSAGE_BYTES} bytes, given {len(raw)}")
                continue
            param = self._registry.by_address(address)
            if param is not None:
                self._warn(address, "can only be set where the show begins: in its file or with --set")
                continue
            near = self._registry.nearest(address) if address not in self._complained else None
            hint = f"; did you mean {self._registry[near].address}?" if near else ""
            self._warn(address, f"no parameter has this address{hint}")

    def _warn(self, address: str, problem: str) -> None:
        """One line an address, and not without end."""
        address = address[:80]
        if address in self._complained or len(self._complained) > MAX_LINES:
            return
        self._complained.add(address)
        if len(self._complained) > MAX_LINES:
            log.warning("OSC: many bad addresses; from here on they are only counted")
        else:
            log.warning("OSC %s: %s", shown(address) if address else "packet", problem)

    def _receive(self) -> None:
        """The receiver thread."""
        assert self._socket is not None and self._wake is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._wake[0], selectors.EVENT_READ)
            while not self._closing.is_set():
                selector.select()
                with self._lock:
                    more = self._pump()
                if not more:
                    # A flood is cheaper in handfuls: each wake-up costs the show's thread the interpreter.
                    self._closing.wait(_NAP_S)

    def _pump(self) -> bool:
        """Moves packets from the socket to the inbox; True when there may be more. The lock is held."""
        if self._socket is None:
            return False
        left = _BATCH
        while left > 0:
            try:
                packet = self._socket.recv(65535)
            except BlockingIOError:
                return False
            except ConnectionError:  # Windows: an earlier answer of ours found nobody
                left -= 1
                continue
            except OSError:
                return False
            left -= self._inbox.put(packet)
        return True

    def _count_kernel_drops(self) -> None:
        if self._socket is not None and sys.platform == "linux":
            with contextlib.suppress(OSError, struct.error):
                counters = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36)
                self._lost_in_kernel = struct.unpack("=9I", counters)[8]


class _Budget:
    """Time for one drain to spend on patterns it has not met before."""

    def __init__(self, seconds: float) -> None:
        self._end_s = time.perf_counter() + seconds

    def spent(self) -> bool:
        return time.perf_counter() > self._end_s


def parse(raw: bytes) -> tuple[str, list[object]]:
    """Address and arguments of one OSC message. Raises ValueError, and nothing else, when it is not one."""
    start = len(address_of(raw)) // 4 * 4 + 4
    tags = address_of(raw[start:])
    if b"I" in tags:  # OSC 1.1's impulse, a bang; python-osc knows only of nil, which is as little
        nils = tags.replace(b"I", b"N")
        raw, tags = raw[:start] + nils + raw[start + len(tags) :], nils
    if tags[:1] not in (b"", b",") or not _TAGS.issuperset(tags[1:]):
        # Asked here because python-osc writes a line to the root logger for each tag it does not know.
        raise ValueError(f"not OSC: type tags {shown(tags)}")
    try:
        message = OscMessage(raw)
    except Exception:  # ParseError, but also UnicodeDecodeError, OverflowError and more
        raise ValueError(f"not OSC: no arguments that fit type tags {shown(tags)}") from None
    return message.address, message.params


def _bind(host: str, port: int, patient: bool) -> socket.socket:
    """patient: where it can be had (Linux), an address that is not this machine's yet will do. A gallery's machine is
    switched on, and the show begins before the network has given it one."""
    found = None
    try:
        known = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_DGRAM)
        # "localhost" is ::1 first on most machines, and controllers send to 127.0.0.1.
        found_at = min(known, key=lambda entry: entry[0] != socket.AF_INET)
        found, where = socket.socket(*found_at[:3]), found_at[4]
        # No SO_REUSEADDR: with it two shows could hold one port and share its messages out at random.
        with contextlib.suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        try:
            found.bind(where)
        except OSError as error:
            if not patient or error.errno != errno.EADDRNOTAVAIL or sys.platform != "linux":
                raise
            found.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
            found.bind(where)
            log.warning("OSC host %s is not an address of this machine yet: listening for when it is", host)
        found.setblocking(False)
        return found
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that no host can have, such as "192.168..1"
        if found is not None:
            found.close()
        raise PortTaken(_why(host, port, error)) from None


def _why(host: str, port: int, error: OSError | UnicodeError) -> str:
    """One sentence with the cure."""
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return (
            f"OSC port {port} on {host} is taken by {_holder(port)}: close it, or choose another port with "
            "--osc-port (or port under [osc] in the show)"
        )
    if number == errno.EACCES:
        return f"OSC port {port} is reserved by the system: choose one from 1024 to 65535 with --osc-port"
    if isinstance(error, socket.gaierror | UnicodeError) or number == errno.EADDRNOTAVAIL:
        return (
            f"OSC host {host!r} is not an address of this machine: put 127.0.0.1, or 0.0.0.0 for the whole "
            "network, under [osc] in the show"
        )
    why = getattr(error, "strerror", None) or error
    return f"OSC cannot listen at {host} port {port} ({why}): choose another with --osc-port"


def _holder(port: int) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections(kind="udp"):
            if connection.laddr and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return "another program"
