"""Takes: everything that steered a performance, in a text file, one line each, so that it can be rendered again.

    writer = TakeWriter(create, head, TICK_HZ)              # its own thread; never holds up who writes
    writer.note(tick, "walk.speed", 0.31); writer.close(tick)
    take = read_take(path, TICK_HZ)                         # TakeError: one sentence with file and line
    source = TakeSource(take.events, lambda: conductor.navigator.ticks - origin)

A take reads, and may be edited, like this; `#` begins a comment, and the order of the lines does not matter:

    pedesis take 1
    show "/home/ann/stage.toml"
    set walk.seed 11
    | title = "Stage"
    12040 walk.speed 0.31
    1:40.5 say "a whale"

The first number is the tick since the take began (TICK_HZ of them a second), or a time. Values are JSON. What stands
behind `|` is the show file as it was, behind `>` that of its score. No torch, no GL.
"""

import errno
import hashlib
import json
import logging
import math
import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from engine.control.step import read_clock
from engine.show.errors import CannotStart
from engine.show.files import ENDING_S, open_regular
from engine.show.params import shown

log = logging.getLogger("pedesis")

FORMAT = 1
MARK, END = "take.mark", "take.end"  # lines of the take's own: a time to read by, and the end of the performance
MOST_WAITING = 1 << 16  # values waiting for the disk: a minute of a thousand a second
MOST_AT_ONCE = 1024  # written in one go, so that what a kill costs stays little
FLUSH_S = 0.5
SYNC_S = 10.0  # what a power cut may cost; a killed process loses FLUSH_S
MARK_S = 10.0
_MOST_BYTES = 2 << 30
_LONGEST_LINE = 1 << 22  # a place of a walk, with its words, takes a few thousand
_LAST_TICK = 1 << 40
_NAME = re.compile(r"[A-Za-z][\w.\-]*")
_HEAD = ("version", "begun", "show", "model", "seed", "ticks", "start")


class TakeError(CannotStart):
    """A take that cannot be read or played: one sentence with file and line."""


@dataclass(frozen=True)
class Event:
    """One thing that steered. tick: since the take began; value: plain data, as JSON has it."""

    tick: int
    name: str
    value: Any
    line: int = field(default=0, compare=False)  # where it stands in the file


@dataclass(frozen=True)
class Head:
    """What a take belongs to. `start` is where everything was when it began; None where a show begins."""

    version: str = ""
    begun: str = ""
    show: str = ""  # path of the show file
    text: str = ""  # what was in it; empty where somebody took it out
    score: str = ""  # what was in the file of its score, if it had one
    model: str = ""
    seed: int = 0
    sets: Mapping[str, Any] = field(default_factory=dict)  # what the command line set over the file
    start: Mapping[str, Any] | None = None

    def lines(self, tick_hz: int) -> str:
        """As it stands in the file."""
        known = {
            "version": self.version,
            "begun": self.begun,
            "show": self.show,
            "model": self.model,
            "seed": self.seed,
            "ticks": tick_hz,
        }
        return "\n".join(
            [
                f"pedesis take {FORMAT}",
                f"# What steered a performance, a line each: tick name value. {tick_hz} ticks are a second.",
                "# Lines may be changed, added and taken out, in any order; a time such as 1:40.5 does for a tick.",
                "# It is rendered again by: pedesis film --take FILE",
                *(f"{key} {_json(value)}" for key, value in known.items()),
                *(f"set {name} {_json(value)}" for name, value in self.sets.items()),
                "# The show file as it was:",
                *(f"| {line}" for line in self.text.removesuffix("\n").split("\n")),
                *(["# The file of its score:"] if self.score else []),
                *(f"> {line}" for line in self.score.removesuffix("\n").split("\n") if self.score),
                *([f"start {_json(self.start)}"] if self.start is not None else []),
                "",
                "",
            ]
        )


@dataclass(frozen=True)
class Take:
    """A take as it was read: its events in the order in which they took effect."""

    path: Path
    head: Head
    events: tuple[Event, ...]
    ticks: int  # how long it is
    seconds: float  # the same

    @property
    def digest(self) -> str:
        """Of all that the waypoints hang on; comments do not count."""
        sum_ = hashlib.sha256(_json(self.head.start).encode())
        for event in self.events:
            sum_.update(f"\n{event.tick} {event.name} {_json(event.value)}".encode("utf-8", "backslashreplace"))
        return sum_.hexdigest()[:32]


class TakeSource:
    """Plays a take: hands over whatever belongs to the present tick (a source, see source.py)."""

    def __init__(self, events: Sequence[Event], ticks: Callable[[], int]) -> None:
        """ticks: how many have passed since the take's beginning."""
        self._events, self._ticks = events, ticks
        self._next = 0

    def drain(self) -> list[tuple[str, Any]]:
        """What took effect at this tick, and at those that nobody asked about."""
        first, now = self._next, self._ticks()
        while self._next < len(self._events) and self._events[self._next].tick <= now:
            self._next += 1
        return [(event.name, event.value) for event in self._events[first : self._next]]


class TakeWriter:
    """Writes a take as it happens. `note` and `close` belong to one thread and never wait for the disk.

    What was noted is in the file half a second later, whatever becomes of the process. Where the disk is full, gone,
    or a minute behind, the take ends with what it has: it says so once, and the show goes on.
    """

    def __init__(self, create: Callable[[], tuple[Path, BinaryIO]], head: str, tick_hz: int) -> None:
        """create: makes the file, in the writer's own thread. head: what it begins with."""
        self.path: Path | None = None  # once there is one
        self.error: str | None = None  # why it ended early
        self._create, self._head, self._tick_hz = create, head, tick_hz
        self._waiting: deque[tuple[int, str, Any]] = deque()  # no queue, which would wake the thread for each
        self._ending = threading.Event()
        self._opened = threading.Event()
        self._closed = False
        self._marked = 0  # tick of the last time mark
        self._thread = threading.Thread(target=self._run, name="take", daemon=True)
        self._thread.start()

    def opened(self, timeout_s: float) -> bool:
        """Whether the file is there, or cannot be made (see `error`); waits for that so long."""
        return self._opened.wait(timeout_s)

    def note(self, tick: int, name: str, value: Any) -> None:
        """Something that steered. value: plain data that nobody changes afterwards."""
        if not self._over():
            self.pass_time(tick)
            self._put((tick, name, value))

    def pass_time(self, tick: int) -> None:
        """Tells it how late it is: what a killed take is long."""
        if tick - self._marked >= MARK_S * self._tick_hz and not self._over():
            self._marked = tick
            self._put((tick, MARK, _clock(tick / self._tick_hz)))

    def close(self, tick: int, timeout_s: float = ENDING_S) -> None:
        """Ends it at that tick. timeout_s: how long to wait for the disk; 0 leaves that to the writer's thread."""
        if not self._closed:
            self._put((tick, END, _clock(tick / self._tick_hz)))
            self._closed = True
            self._ending.set()
        self._thread.join(timeout_s)

    def _over(self) -> bool:
        return self._closed or self.error is not None

    def _put(self, entry: tuple[int, str, Any]) -> None:
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(entry)
        else:
            self._fail("the disk did not keep up")

    def _run(self) -> None:
        file: BinaryIO | None = None
        try:
            self.path, file = self._create()
            with file:
                file.write(self._head.encode("utf-8", "backslashreplace"))
                file.flush()
                self._opened.set()
                log.info("writing the take %s", self.path)
                self._write_all(file)
        except OSError as fault:
            self._fail("the disk is full" if fault.errno == errno.ENOSPC else _lower(fault.strerror or str(fault)))
        except CannotStart as fault:
            self._fail(str(fault))
        finally:  # whatever it was, somebody may be waiting
            self._opened.set()

    def _write_all(self, file: BinaryIO) -> None:
        synced_s = time.monotonic()
        is_last = False
        while not is_last and self.error is None:
            is_last = self._ending.wait(FLUSH_S)  # asked first, so that what came before the end is in the last round
            while self._waiting:
                entries = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_AT_ONCE))]
                lines = [f"{tick} {name} {_json(value)}\n" for tick, name, value in entries]
                file.write("".join(lines).encode("utf-8", "backslashreplace"))
            file.flush()
            if is_last or time.monotonic() - synced_s >= SYNC_S:
                synced_s = time.monotonic()
                os.fsync(file.fileno())

    def _fail(self, why: str) -> None:
        if self.error is None:
            self.error = why
            log.error("the take %sended: %s; the show goes on", f"{self.path} " if self.path else "", why)


def read_take(path: Path, tick_hz: int) -> Take:
    """The take in that file. Raises TakeError for what cannot be read, with the line.

    A last line that was cut off, by a kill or a full disk, is left out, and that is said.
    """
    try:
        with open_regular(path) as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as fault:
        raise TakeError(f"the take {path} cannot be read: {_lower(fault.strerror or str(fault))}") from None
    if len(data) > _MOST_BYTES:
        raise TakeError(f"the take {path} cannot be read: more than {_MOST_BYTES >> 30} GB")
    *lines, rest = data.removeprefix(b"\xef\xbb\xbf").rstrip(b"\0").split(b"\n")
    if not lines or lines[0].split()[:2] != [b"pedesis", b"take"]:
        raise TakeError(f"{path} is not a take: its first line must be 'pedesis take {FORMAT}'")
    if lines[0].split()[2:] != [b"%d" % FORMAT]:
        raise TakeError(f"the take {path} is of a format that this version of Pedesis does not know; a newer one may")
    reader = _Reader(path, tick_hz)
    for number, line in enumerate(lines[1:], 2):
        reader.read(number, line)
    if rest.strip() and reader.ended:  # an editor that ends no last line
        reader.read(len(lines) + 1, rest)
    elif rest.strip():
        log.warning("%s, line %d: cut off in the middle, and left out", path, len(lines) + 1)
    return reader.take()


class _Reader:
    """Gathers a take line by line."""

    def __init__(self, path: Path, tick_hz: int) -> None:
        self.ended = False  # whether the performance was ended, and not killed
        self._path, self._tick_hz = path, tick_hz
        self._head: dict[str, Any] = {}
        self._sets: dict[str, Any] = {}
        self._texts: dict[str, list[str]] = {"|": [], ">": []}  # of the show file, and of its score's
        self._events: list[Event] = []
        self._last = 0

    def read(self, number: int, data: bytes) -> None:
        """One line. Raises TakeError."""
        if len(data) > _LONGEST_LINE:
            raise self._error(number, f"a line has at most {_LONGEST_LINE} bytes, this one has {len(data)}")
        try:
            line = data.decode()
        except UnicodeDecodeError:
            raise self._error(number, "this is not UTF-8 text") from None
        if line[:1] in self._texts:
            self._texts[line[0]].append(line[1:].removeprefix(" ").removesuffix("\r"))
        elif (line := line.strip()) and not line.startswith("#"):
            first, _, rest = line.partition(" ")
            if first[0].isdigit():
                self._read_event(number, first, rest)
            else:
                self._read_head(number, first, rest)

    def take(self) -> Take:
        """What was read. Raises TakeError."""
        head = Head(
            version=str(self._head.get("version", "")),
            begun=str(self._head.get("begun", "")),
            show=str(self._head.get("show", "")),
            text="".join(f"{line}\n" for line in self._texts["|"]),
            score="".join(f"{line}\n" for line in self._texts[">"]),
            model=str(self._head.get("model", "")),
            seed=int(self._head.get("seed", 0)),
            sets=self._sets,
            start=self._head.get("start"),
        )
        return Take(
            self._path,
            head,
            tuple(sorted(self._events, key=lambda event: event.tick)),
            self._last,
            self._last / self._tick_hz,
        )

    def _read_event(self, number: int, first: str, rest: str) -> None:
        name, _, value = rest.strip().partition(" ")
        if not _NAME.fullmatch(name) or not value.strip():
            raise self._error(number, f"a line must be 'tick name value', got {shown(f'{first} {rest}')}")
        event = Event(self._tick(number, first), name, self._value(number, value), number)
        self._last = max(self._last, event.tick)
        self.ended |= name == END
        if name not in (MARK, END):
            self._events.append(event)

    def _read_head(self, number: int, key: str, rest: str) -> None:
        if key == "set":
            name, _, value = rest.strip().partition(" ")
            self._sets[name] = self._value(number, value)
        elif key not in _HEAD:
            raise self._error(number, f"a line must begin with a tick, {', '.join(_HEAD)} or set, got {shown(key)}")
        else:
            self._head[key] = value = self._value(number, rest)
            if key == "ticks" and value != self._tick_hz:
                raise self._error(number, f"this version has {self._tick_hz} ticks a second, the take {shown(value)}")
            if (key == "seed" and not isinstance(value, int)) or (key == "start" and not isinstance(value, dict)):
                raise self._error(number, f"{key} cannot be {shown(value)}")

    def _tick(self, number: int, text: str) -> int:
        if text.isascii() and text.isdigit() and len(text) < 14 and int(text) <= _LAST_TICK:
            return int(text)
        if (seconds := read_clock(text)) is not None:
            return round(seconds * self._tick_hz)
        raise self._error(number, f"a line must begin with a tick or a time such as 1:40.5, got {shown(text)}")

    def _value(self, number: int, text: str) -> Any:
        try:
            value = json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError):
            hint = "; text stands in quotes" if text.strip()[:1].isalpha() else ""
            raise self._error(number, f"{shown(text.strip())} is not a value{hint}") from None
        if isinstance(value, float) and not math.isfinite(value):  # 1e999
            raise self._error(number, f"{shown(text.strip())} is not a finite number")
        return value

    def _error(self, number: int, what: str) -> TakeError:
        return TakeError(f"{self._path}, line {number}: {what}")


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a finite number")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def _clock(seconds: float) -> str:
    """As a person reads a time: 1:40, 2:01:40."""
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
