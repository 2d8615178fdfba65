"""The stage's side of the panel's process: starts it, speaks with it, starts it again.

    link = PanelLink(worker, settings); link.start()
    link.send(update)                    # any time; gathered while the panel is slow to read
    link.orders(), link.ready, link.is_new
    link.watch(); link.close()

All waiting is done by a thread of the link's own; what the show's thread calls returns at once. What waits to be sent
is bounded, and newer values stand in for older ones. What comes back is bounded too (see panel_messages.py).
"""

import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from engine.play.panel_messages import MAX_BYTES, Description, Heard, Order, Settings, Update, decode

log = logging.getLogger("pedesis")

NICE = 5  # below the stage, as the dreamer
BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
HEALTHY_S = 60.0  # after living this long, the next end counts as the first again
SILENT_S = 20.0  # without a sign of life it counts as hung
STUCK_S = 10.0  # for which one message may be on its way
TAKEN_S = 30.0  # between two tries while the port is taken
MOST_LOG, MOST_REFUSED, MOST_ORDERS, MOST_PACKETS = 200, 64, 1024, 512
_ENDING_S = 1.5

Worker = Callable[[Connection, Settings, int], None]


class PanelLink:
    """See the module's head. `watch`, `send` and `orders` belong to the show's thread."""

    def __init__(
        self, worker: Worker, settings: Settings, nice: int = NICE, backoff_s: tuple[float, ...] = BACKOFF_S
    ) -> None:
        """worker: what the process runs."""
        self._worker, self._settings, self._nice, self._backoff_s = worker, settings, nice, backoff_s
        self.ready: Mapping[str, Any] | None = None  # address, network, code; None while nobody answers
        self.is_new = False  # whether a process has begun that knows nothing yet
        self.looking = False  # whether somebody looks at the picture
        self.restarts = 0
        self.heard = 0  # number of the last message of which orders() gave all
        self._number = 0
        self._lock = threading.Lock()
        self._description: Description | None = None
        self._update: Update | None = None
        self._orders: deque[Order] = deque(maxlen=MOST_ORDERS)
        self._packets: deque[bytes] = deque(maxlen=MOST_PACKETS)
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._closing = threading.Event()
        self._wake = socket.socketpair()
        for each in self._wake:
            each.setblocking(False)
        self._stuck_since: float | None = None
        self._trouble, self._again, self._said, self._fault = "", True, "", ""
        self._thread = threading.Thread(target=self._run, name="panel", daemon=True)

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        process = self._process
        return process.pid if process is not None else None

    def start(self) -> None:
        """Begins; returns at once."""
        self._thread.start()

    def send(self, said: Description | Update) -> None:
        """Tells the panel, as soon as it reads. A description is all there is to know, and comes before updates."""
        with self._lock:
            if isinstance(said, Description):
                self._description, self._update, self.is_new = said, None, False
            else:
                self._update = said if self._update is None else _joined(self._update, said)
        self._stir()

    def orders(self) -> tuple[list[Order], list[bytes]]:
        """What people want since the last call, and the OSC that came, oldest first."""
        if self.heard == self._number and not self._orders and not self._packets:
            return [], []
        with self._lock:
            found = list(self._orders), list(self._packets)
            self._orders.clear()
            self._packets.clear()
            self.heard = self._number
        return found

    def watch(self) -> None:
        """Ends a process that no longer reads or stops in the middle of a word; now and then."""
        since, process = self._stuck_since, self._process
        if since is not None and process is not None and time.monotonic() - since > STUCK_S:
            with suppress(OSError, ValueError):
                process.kill()

    def close(self, timeout_s: float = _ENDING_S) -> None:
        """Ends the process."""
        self._closing.set()
        self._stir()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        process = self._process
        if process is not None:
            with suppress(OSError, ValueError):
                process.kill()
        if not self._thread.is_alive():
            for each in self._wake:
                each.close()

    def _stir(self) -> None:
        with suppress(OSError):  # full: it is awake already
            self._wake[1].send(b".")

    def _run(self) -> None:
        ends = 0
        while not self._closing.is_set():
            born = time.monotonic()
            self._trouble = self._fault = ""
            try:
                self._spawn()
            except (OSError, RuntimeError) as error:  # no memory or no handles left, for now
                self._trouble = f"it cannot be started ({error})"
            else:
                with suppress(EOFError, OSError):  # it has ended
                    self._serve()
            self._end()
            if self._closing.is_set():
                return
            ends = 0 if time.monotonic() - born > HEALTHY_S else ends
            pause_s = TAKEN_S if self._trouble else self._backoff_s[min(ends, len(self._backoff_s) - 1)]
            self._tell(pause_s)
            if not self._again:
                return
            ends += 1
            self.restarts += 1
            self._closing.wait(pause_s)

    def _tell(self, pause_s: float) -> None:
        """Why there is no panel, once for each reason."""
        if self._trouble:
            words = f"the show goes on without its panel: {self._trouble}"
        else:
            of = f" ({self._fault})" if self._fault else ""
            words = f"the panel has ended{of} and is started again"
        if words != self._said or not self._trouble:
            self._said = words
            log.warning("%s", words)

    def _spawn(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=True)
        process = context.Process(
            target=self._worker, args=(theirs, self._settings, self._nice), daemon=True, name="pedesis-panel"
        )
        try:
            with _deaf_to_ctrl_c():
                process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._process, self._pipe = process, ours

    def _serve(self) -> None:
        """Speaks with the process until it ends, or this is closing."""
        pipe, wake, process = self._pipe, self._wake[0], self._process
        assert pipe is not None and process is not None
        heard_at = time.monotonic()
        while not self._closing.is_set():
            found = wait([pipe, wake], 1.0)
            if wake in found:
                with suppress(OSError):
                    wake.recv(4096)
            self._stuck_since = time.monotonic()
            if pipe in found:
                self._hear(pipe.recv_bytes(MAX_BYTES))
                heard_at = time.monotonic()
            if self.ready is not None:
                self._speak(pipe)
            self._stuck_since = None
            if time.monotonic() - heard_at > SILENT_S and not found:
                process.kill()
                return

    def _hear(self, raw: bytes) -> None:
        try:
            said = decode(raw)
        except (ValueError, TypeError, RecursionError) as error:
            log.warning("the panel said what nobody understands: %s", error)
            return
        self._take(said)

    def _take(self, said: Heard) -> None:
        if said.trouble:
            self._trouble, self._again = said.trouble, said.again
        self._fault = said.fault or self._fault
        if said.ready is not None:
            self.ready, self.is_new, self._said = said.ready, True, ""
        if said.looking is not None:
            self.looking = said.looking
        with self._lock:
            self._orders.extend(said.orders)
            self._packets.extend(said.packets)
            self._number = said.number or self._number

    def _speak(self, pipe: Connection) -> None:
        with self._lock:
            if self.is_new:  # its description is still to come
                return
            description, update = self._description, self._update
            self._description = self._update = None
        for said in (description, update):
            if said is not None:
                pipe.send(said)

    def _end(self) -> None:
        """The process is gone, or has to go."""
        self.ready, self.looking, self.is_new = None, False, False
        self.heard = self._number = 0  # the next one counts anew
        self._stuck_since = None
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.join(0.0 if not self._process.is_alive() else 1.0)
            if self._process.is_alive():
                self._process.kill()
                self._process.join(1.0)
        self._process = self._pipe = None


def _joined(old: Update, new: Update) -> Update:
    """Two updates as one: the newer values count."""
    return replace(
        new,
        values={**old.values, **new.values},
        lists={**old.lists, **new.lists},
        mapped=old.mapped if new.mapped is None else new.mapped,
        status=new.status or old.status,
        log=(*old.log, *new.log)[-MOST_LOG:],
        refused=(*old.refused, *new.refused)[-MOST_REFUSED:],
        picture=new.picture or old.picture,
    )


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """A child that starts meanwhile never hears Ctrl-C. In this thread only: the stage hears it as ever."""
    if not hasattr(signal, "pthread_sigmask") or os.name != "posix":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
