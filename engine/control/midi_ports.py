"""MIDI devices by the driver (rtmidi2): found by name, found again when they are plugged in again.

    ports = MidiPorts("nanoKONTROL*", queue, tell)
    wait_s = ports.look()                    # on a thread that may wait; says when it wants to look again
    ports.names                              # those that are listened to

Belongs to the senses' process (sense_worker.py): a driver that crashes must not take the stage with it. The driver's
own threads call `_Port.put`, which decodes and queues.
"""

import sys
import time
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from engine.control.heard import HeardQueue
from engine.control.midi import ClockEvent, MidiDecoder

INSTALL = "MIDI needs a package that is not installed: pip install 'pedesis[midi]'. The show goes on without MIDI"
_CURE = "; if it should: sudo modprobe snd-seq" if sys.platform == "linux" else ""
_OURS = "pedesis"
_THROUGH = ("Midi Through", "RtMidi")  # Linux has them always; nothing is plugged in there


def fitting(pattern: str, names: Sequence[str]) -> list[str]:
    """The devices that are meant, by the beginning of their names, in any case; `*` and `?` are wild, several patterns
    stand with commas between. No pattern means every real device."""
    patterns = [p.strip().casefold() for p in pattern.split(",") if p.strip()]
    if not patterns:
        return [name for name in names if not name.startswith((*_THROUGH, _OURS))]
    return [n for n in names if any(fnmatchcase(n.casefold(), f"{p}*") for p in patterns) and not n.startswith(_OURS)]


def device_names() -> list[str]:
    """Every MIDI input of this machine. Raises ImportError without the package, RuntimeError where there is no MIDI."""
    return list(_open_input().ports)


def _open_input() -> Any:
    """An input of the driver, by the system's own MIDI or else by JACK's. Raises what `device_names` does."""
    import rtmidi2

    try:
        return rtmidi2.MidiIn(_OURS)
    except RuntimeError:
        jack = getattr(rtmidi2, "API_UNIX_JACK", None)
        if not sys.platform.startswith("linux") or jack is None:
            raise
        if not (found := rtmidi2.MidiIn(_OURS, api=jack)).ports:  # it does not say so when there is no JACK
            raise
        return found


class _Port:
    """One open device."""

    def __init__(self, name: str, queue: HeardQueue) -> None:
        self.name, self.queue = name, queue
        self.decoder = MidiDecoder()
        self._in = _open_input()
        self._in.ignore_types(True, False, True)  # no system exclusive, but the clock
        self._in.callback = self.put
        self._in.open_port(list(self._in.ports).index(name))

    def put(self, message: Sequence[int], delta_s: float) -> None:
        """Called by the driver, with one whole message."""
        self.queue.put_all(self.decoder.feed(bytes(message), time.perf_counter()))

    def close(self) -> None:
        self._in.callback = None
        self._in.close_port()
        self.queue.put_all(self.decoder.release())


class MidiPorts:
    """See the module's head."""

    def __init__(self, pattern: str, queue: HeardQueue, tell: Callable[[str, str], None], look_s: float) -> None:
        """tell: given "info" or "warning", and a sentence."""
        self._pattern, self._queue, self._tell, self._look_s = pattern, queue, tell, look_s
        self._open: dict[str, _Port] = {}
        self._finder: Any = None
        self._said = ""

    @property
    def names(self) -> list[str]:
        """The devices that are listened to."""
        return list(self._open)

    def look(self) -> float:
        """Opens what has come, closes what has gone. Returns in how many seconds to look again. Raises ImportError when
        the package is missing."""
        try:
            if self._finder is None:
                self._finder = _open_input()
            there = list(self._finder.ports)
        except (RuntimeError, OSError) as error:
            self._say_once("warning", f"this machine has no MIDI that answers ({_first_line(error)}){_CURE}")
            return self._look_s
        wanted = fitting(self._pattern, there)
        for name in [name for name in self._open if name not in wanted]:
            self._open.pop(name).close()
            self._said = f"gone {name}"
            self._tell("warning", f"MIDI: {name} is gone; its knobs hold, and it is used again when it comes back")
        for name in [name for name in wanted if name not in self._open]:
            try:
                self._open[name] = _Port(name, self._queue)
            except (RuntimeError, OSError, ValueError) as error:
                self._say_once("warning", f"MIDI: {name} cannot be opened ({_first_line(error)}); trying again")
                continue
            self._tell("info", f"MIDI: listening to {name}")
        if not self._open and not wanted and not self._said.startswith("gone"):
            meant = f"no MIDI device fits {self._pattern!r}" if self._pattern else "no MIDI device is plugged in"
            others = f" (there: {', '.join(there)})" if there and self._pattern else ""
            self._say_once("warning", f"{meant}{others}; it is used when it comes")
        return self._look_s

    def take_clock(self) -> list[ClockEvent]:
        """Clock pulses and the like since the last call, with their times, of all devices."""
        events = [event for port in list(self._open.values()) for event in port.decoder.take_clock()]
        return sorted(events, key=lambda event: event[1])

    def close(self) -> None:
        """Lets go of every device."""
        for port in self._open.values():
            port.close()
        self._open = {}

    def _say_once(self, level: str, sentence: str) -> None:
        if sentence != self._said:
            self._said = sentence
            self._tell(level, sentence)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
