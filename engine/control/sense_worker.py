"""The process that holds a sense's device: MIDI or the microphone, so that no driver's crash or wait reaches the stage.

    python -c "from engine.control.sense_worker import main; main()" midi '{"device": "nanoKONTROL*"}'

Started by SenseProcess (sense.py). Writes one JSON object a line to its standard output, as `Report` has it; ends when
its standard input does. What drivers print goes to standard error.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import IO, Protocol

from engine.control.heard import Heard, HeardQueue
from engine.control.microphone import INSTALL as INSTALL_SOUND
from engine.control.microphone import LIBRARY, Microphone
from engine.control.midi import ClockEvent
from engine.control.midi_ports import INSTALL as INSTALL_MIDI
from engine.control.midi_ports import MidiPorts

LOOK_S = 2.0  # between two looks for a device
NAP_S = 0.004  # between two reports
STUCK_S = 30.0  # a driver that has not come back for so long never will
HOPELESS = 3  # exit code: starting again would change nothing
STUCK = 4


@dataclass(frozen=True)
class Report:
    """What a sense's process says at one time; all of it may be empty."""

    heard: Sequence[Heard] = ()
    clock: Sequence[ClockEvent] = ()
    say: tuple[str, str] | None = None  # "info" or "warning", and a sentence
    devices: Sequence[str] | None = None  # those that are listened to, when that has changed

    def line(self) -> str:
        """As one line of JSON, without what is empty."""
        said = {k: v for k, v in asdict(self).items() if v or (k == "devices" and v is not None)}
        return json.dumps(said) + "\n"

    @staticmethod
    def of(line: str) -> "Report":
        """What `line` made. Raises ValueError for anything else."""
        said = json.loads(line)
        return Report(
            [(str(address), tuple(arguments)) for address, arguments in said.get("heard", ())],
            [(kind, float(time_s)) for kind, time_s in said.get("clock", ())],
            (said["say"][0], said["say"][1]) if "say" in said else None,
            said.get("devices"),
        )


class Device(Protocol):
    """What is looked for and listened to."""

    @property
    def names(self) -> list[str]: ...

    def look(self) -> float: ...

    def close(self) -> None: ...


@dataclass
class _Worker:
    """One sense: its device, on a thread that may wait, and the reports."""

    kind: str
    out: IO[str]
    queue: HeardQueue = field(default_factory=HeardQueue)
    lock: threading.Lock = field(default_factory=threading.Lock)
    looked_s: float = field(default_factory=time.monotonic)
    wait_s: float = 0.0
    device: Device | None = None

    def write(self, report: Report) -> None:
        with self.lock:
            self.out.write(report.line())
            self.out.flush()

    def tell(self, level: str, sentence: str) -> None:
        self.write(Report(say=(level, sentence)))

    def look_after(self, device: Device) -> None:
        """The device's thread."""
        names: list[str] = []
        while True:
            try:
                self.wait_s = device.look()
            except ImportError:
                self._give_up(INSTALL_MIDI if self.kind == "midi" else INSTALL_SOUND)
            except OSError:  # of sounddevice, which says so when the library is not there
                self._give_up(LIBRARY)
            if device.names != names:
                names = device.names
                self.write(Report(devices=names))
            self.looked_s = time.monotonic()
            time.sleep(self.wait_s)

    def report(self, device: Device) -> None:
        """The main thread: what comes goes out at once, and then at most every NAP_S."""
        while True:
            self.queue.came.wait(1.0)
            if time.monotonic() - self.looked_s > self.wait_s + STUCK_S:
                os._exit(STUCK)
            heard = self.queue.take()
            clock = device.take_clock() if isinstance(device, MidiPorts) else []
            if heard or clock:
                self.write(Report(heard, clock))
                time.sleep(NAP_S)

    def _give_up(self, sentence: str) -> None:
        self.tell("warning", sentence)
        os._exit(HOPELESS)


def main() -> None:
    """Listens until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the stage's to answer
    kind, settings = sys.argv[1], json.loads(sys.argv[2])
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    threading.Thread(target=_follow_parent, name="parent-watch", daemon=True).start()
    worker = _Worker(kind, out)
    device: Device
    look_s = settings.get("look_s", LOOK_S)
    if kind == "midi":
        device = MidiPorts(settings["device"], worker.queue, worker.tell, look_s)
    else:
        device = Microphone(settings["device"], settings["gain_db"], worker.queue, worker.tell, look_s)
    threading.Thread(target=worker.look_after, args=(device,), name="devices", daemon=True).start()
    try:
        worker.report(device)
    except OSError:  # nobody reads any more
        os._exit(0)


def _follow_parent() -> None:
    os.read(0, 1)
    os._exit(0)  # whatever the driver is at
