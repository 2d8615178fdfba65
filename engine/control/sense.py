"""Senses other than OSC, MIDI and sound, as the show's loop meets them.

    midi = SenseProcess("midi", {"device": "nanoKONTROL*"}); midi.start()
    pass_on([midi], mapper.hear, clock)      # once a frame: what was heard, and the MIDI clock's pulses

The device is in a process of its own (sense_worker.py); a thread of this one starts it, reads what it says into a
bounded queue (heard.py), and starts it again if it ends. `drain`, `take_clock`, `status` and `close` belong to the
thread that runs the show and never wait, but `close` a moment; what the device was holding is let go when its process
ends. Addresses: see heard.py.
"""

import json
import logging
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from engine.control.heard import SENSES, Heard, HeardQueue
from engine.control.midi import MAX_CLOCK, ClockEvent
from engine.control.sense_worker import HOPELESS, STUCK, Report
from engine.show.params import Value

log = logging.getLogger("pedesis")

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0  # before a process that ended is started again
_MAX_LINE = 1 << 20
_SAFE_PATH = ["-P"]  # nothing that happens to lie in the current folder is imported


class Sense(Protocol):
    """Something that says what it hears, as an OSC sender would, in addresses."""

    def drain(self) -> list[Heard]:
        """Addresses and arguments since the last call, oldest first. Never waits and never raises."""
        ...


class Follower(Protocol):
    """What follows a MIDI clock."""

    def clock_pulse(self, time_s: float) -> None:
        """One of 24 pulses a quarter note, and when it came (time.perf_counter)."""
        ...

    def start(self) -> None:
        """The song begins: the next pulse is a beat."""
        ...


class SenseProcess:
    """See the module's head."""

    def __init__(self, kind: str, settings: Mapping[str, Any], first_wait_s: float = FIRST_WAIT_S) -> None:
        """kind: midi or sound. settings: device, a name or pattern; for sound gain_db as well."""
        self.kind, self._settings = kind, dict(settings)
        self._first_wait_s = first_wait_s
        self._queue = HeardQueue()
        self._clock: deque[ClockEvent] = deque(maxlen=MAX_CLOCK)
        self._held: dict[str, None] = {}  # notes and levels that are not 0
        self._closing = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._devices: list[str] = []
        self._said = ""

    def start(self) -> None:
        """Begins to listen; returns at once."""
        self._thread = threading.Thread(target=self._run, name=f"sense-{self.kind}", daemon=True)
        self._thread.start()

    def drain(self) -> list[Heard]:
        """What is new since the last call, oldest first: of what moves the newest value, of what happens all of it."""
        return self._queue.take()

    def take_clock(self) -> list[ClockEvent]:
        """MIDI clock pulses, starts and stops since the last call, with their times (time.perf_counter)."""
        events = []
        while self._clock:
            events.append(self._clock.popleft())
        return events

    @property
    def dropped(self) -> int:
        """How much was lost because nobody took it in time."""
        return self._queue.dropped

    @property
    def status(self) -> str:
        """One line for the overlay: what is listened to, or why nothing is."""
        devices = self._devices
        return f"{self.kind}: {', '.join(devices)}" if devices else self._said or f"{self.kind}: looking"

    def close(self) -> None:
        """Ends the process, by force after a moment."""
        self._closing.set()
        with self._lock:
            process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
        if self._thread is not None:
            self._thread.join(0.5)
            if self._thread.is_alive() and process is not None:
                process.kill()
                self._thread.join(0.5)
        self._thread = None

    def _run(self) -> None:
        """The thread: keeps one process running."""
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # its children never hear Ctrl-C
        wait_s = self._first_wait_s
        while not self._closing.is_set():
            code = self._listen()
            self._let_go()
            if self._closing.is_set() or code == HOPELESS:
                return
            why = "hung" if code == STUCK else f"crashed (code {code})"
            self._say("warning", f"{self.kind}: the driver {why}; started again in {wait_s:.0f} s")
            self._closing.wait(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _listen(self) -> int:
        """Starts the process and reads what it says until it ends; returns its exit code."""
        with self._lock:
            if self._closing.is_set():
                return 0
            try:
                self._process = self._spawn()
            except OSError as error:
                self._say("warning", f"{self.kind}: its process cannot be started: {error.strerror or error}")
                return 1
        assert self._process.stdout is not None
        while line := self._process.stdout.readline(_MAX_LINE):
            try:
                self._take(Report.of(line))
            except (ValueError, KeyError, TypeError, IndexError):
                log.debug("%s: its process said something unreadable: %.80r", self.kind, line)
        self._process.stdout.close()
        code = self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        return code

    def _spawn(self) -> "subprocess.Popen[str]":
        # It must find the very modules that this process has, also those of a checkout that is not installed.
        script = (
            f"import sys; sys.path[:] = {[place for place in sys.path if place]!r}\n"
            "from engine.control.sense_worker import main; main()"
        )
        return subprocess.Popen(
            [sys.executable, *_SAFE_PATH, "-c", script, self.kind, json.dumps(self._settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # drivers talk a lot; what matters is said in reports
            text=True,
            encoding="utf-8",
            errors="replace",
        )

    def _take(self, report: Report) -> None:
        for address, arguments in report.heard:
            if not address.startswith(("midi:note/", "sound:")):
                continue
            if arguments and arguments[0]:
                self._held[address] = None
            else:
                self._held.pop(address, None)
        self._queue.put_all(report.heard)
        self._clock.extend(report.clock)
        if report.devices is not None:
            self._devices = list(report.devices)
        if report.say:
            self._say(*report.say)

    def _let_go(self) -> None:
        """Notes end and levels go to 0 with the process that told them."""
        self._devices = []
        self._queue.put_all([(address, (0,)) for address in self._held])
        self._held = {}

    def _say(self, level: str, sentence: str) -> None:
        self._said = sentence
        log.log(logging.WARNING if level == "warning" else logging.INFO, "%s", sentence)


def pass_on(
    senses: Sequence[SenseProcess], hear: Callable[[str, Sequence[object]], None], clock: Follower | None = None
) -> None:
    """Hands on what is new: what was heard to the mappings, the clock to the tempo. Never waits."""
    for sense in senses:
        for address, arguments in sense.drain():
            hear(address, arguments)
        if clock is None:
            continue
        for kind, time_s in sense.take_clock():
            if kind == "pulse":
                clock.clock_pulse(time_s)
            elif kind == "start":
                clock.start()


def settings_of(kind: str, values: Mapping[str, Value]) -> dict[str, Any]:
    """What a show's values say about a sense's device."""
    settings: dict[str, Any] = {"device": values[f"{kind}.device"]}
    return settings | {"gain_db": values["sound.gain"]} if kind == "sound" else settings


def open_senses(values: Mapping[str, Value], addresses: list[str]) -> list[SenseProcess]:
    """The senses that a show listens to, started: those that are enabled, and either named by their device or used by
    one of `addresses` (those that its mappings come from). A microphone that nobody asked for stays off."""
    senses = []
    for kind in SENSES:
        used = values[f"{kind}.device"] or any(address.startswith(f"{kind}:") for address in addresses)
        if values[f"{kind}.enabled"] and used:
            sense = SenseProcess(kind, settings_of(kind, values))
            sense.start()
            senses.append(sense)
    return senses
