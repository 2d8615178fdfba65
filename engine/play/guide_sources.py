"""Where pictures that steer come from, but for cameras: a still, a folder, a video, a memory of the bank.

    source = open_source(guide.source, bank_path)       # GuideError
    moment = source.moment(wish)                        # which of its pictures belongs to now, counting up
    pixels, at = source.read(moment, wish)              # GuideError
    pixels = source.read_at(at, wish.fit)               # the same one again

Which picture it is is a function of ticks, seed and content. Waits for the disk: a thread of its own, or a film's.
"""

import hashlib
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from engine.play.guide_fit import Fit, GuideError, Picture, fitted, frame_picture, open_picture
from engine.show.files import open_regular
from engine.walk.guide_params import MEMORY
from engine.walk.memory.bank import Bank, BankError
from engine.walk.mix import TICK_HZ

VIDEO_HZ = 12  # pictures a second that are taken from a video: what lies between is blended
BEAT_TICKS = TICK_HZ // VIDEO_HZ
MOST_FILES = 10_000  # of a folder
MOST_BYTES = 1 << 30  # of a picture file
SKIP_S = 2.0  # a video that is further on is sought, and not decoded up to there
PICTURES = frozenset(
    (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif", ".jp2", ".ppm", ".pgm", ".tga", ".mpo")
)
MOVING = frozenset((".gif", ".apng"))  # which may hold one picture or many


@dataclass(frozen=True)
class Wish:
    """What is wanted now. turn: pictures that a folder has shown so far; beat: the show's time in 1 / VIDEO_HZ s;
    shuffle: the seed of a folder's order, None for the order of its names."""

    turn: int
    beat: int
    fit: Fit
    shuffle: int | None = None


class Source(Protocol):
    """See the module's head."""

    ahead: int  # how many of the pictures that come next are worth reading before their time

    def moment(self, wish: Wish) -> int: ...
    def read(self, moment: int, wish: Wish) -> tuple[Picture, str]: ...
    def read_at(self, at: str, fit: Fit) -> Picture: ...
    def has_changed(self) -> bool:
        """Whether what was read before is no longer what is there."""
        ...

    def close(self) -> None: ...


def open_source(source: str, bank: Callable[[], Path], tell: Callable[[str], None] = lambda line: None) -> Source:
    """bank: where the show's memories are. tell: told what is left out. Raises GuideError."""
    if source.startswith(MEMORY):
        return MemoryPicture(int(source.removeprefix(MEMORY)), bank)
    path = Path(source)
    try:
        if path.is_dir():
            return Folder(path, tell)
        if not path.exists():
            raise GuideError(f"there is no {path}")
    except OSError as fault:
        raise GuideError(f"{path} cannot be read: {_reason(fault)}") from None
    suffix = path.suffix.lower()
    if suffix in PICTURES and not (suffix in MOVING and _moves(path)):
        return Still(path)
    return Video(path)


class Still:
    """One picture file; read again when it is saved anew."""

    ahead = 0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark = _mark(path)

    def moment(self, wish: Wish) -> int:
        return 0

    def read(self, moment: int, wish: Wish) -> tuple[Picture, str]:
        return self.read_at("", wish.fit), ""

    def read_at(self, at: str, fit: Fit) -> Picture:
        return _read(self._path, fit)

    def has_changed(self) -> bool:
        before, self._mark = self._mark, _mark(self._path)
        return self._mark != before

    def close(self) -> None:
        pass


class Folder:
    """The pictures of a folder, one after the other, by their names or in an order drawn by a seed, for each round
    another. What cannot be read is left out, and told of once."""

    ahead = 1

    def __init__(self, path: Path, tell: Callable[[str], None] = lambda line: None) -> None:
        self._path, self._tell = path, tell
        self._told: set[str] = set()
        self._names = self._list()

    def moment(self, wish: Wish) -> int:
        return wish.turn

    def read(self, moment: int, wish: Wish) -> tuple[Picture, str]:
        count = len(self._names)
        for n in range(count):
            name = self._name(moment + n, wish.shuffle)
            try:
                return self.read_at(name, wish.fit), name
            except GuideError as fault:
                if name not in self._told:
                    self._told.add(name)
                    self._tell(f"{self._path / name} is left out: {fault}")
        raise GuideError(f"{self._path} has no picture that can be read")

    def read_at(self, at: str, fit: Fit) -> Picture:
        if at not in self._names:
            raise GuideError(f"{self._path} has no {at}")
        return _read(self._path / at, fit)

    def has_changed(self) -> bool:
        """Pictures that came or went count from the next turn on: those that were read stay what they were."""
        before, self._names = self._names, self._list()
        if self._names != before:
            self._told.clear()
        return False

    def close(self) -> None:
        pass

    def _name(self, turn: int, shuffle: int | None) -> str:
        if shuffle is None:
            return self._names[turn % len(self._names)]
        round_, n = divmod(turn, len(self._names))
        return self._order(round_, shuffle)[n]

    def _order(self, round_: int, seed: int) -> list[str]:
        """Of one round; the last of the round before is not at once the first."""
        order, before = _drawn(self._names, seed, round_), _drawn(self._names, seed, round_ - 1)
        if len(order) > 2 and order[0] == before[-1]:
            order[0], order[1] = order[1], order[0]
        return order

    def _list(self) -> list[str]:
        try:
            with os.scandir(self._path) as found:
                names = [e.name for e in found if _is_picture(e.name) and e.is_file()]
        except OSError as fault:
            raise GuideError(f"{self._path} cannot be read: {_reason(fault)}") from None
        if not names:
            raise GuideError(f"{self._path} has no pictures ({', '.join(sorted(PICTURES))})")
        names.sort(key=_as_people_sort)
        if len(names) > MOST_FILES and "" not in self._told:
            self._told.add("")
            self._tell(f"{self._path} has {len(names)} pictures: the first {MOST_FILES} count")
        return names[:MOST_FILES]


class Video:
    """A video, over and over, at its own pace by the show's time. Its pictures are told by their own times, so that
    the frame rate may vary."""

    ahead = VIDEO_HZ // 2

    def __init__(self, path: Path) -> None:
        import av

        self._path, self._av = path, av
        try:
            self._file = av.open(str(path))
            self._stream = self._file.streams.video[0]
        except IndexError:
            raise GuideError(f"{path} has no pictures in it") from None
        except (av.error.FFmpegError, OSError, ValueError) as fault:
            raise GuideError(f"{path} cannot be read as a picture or a video ({_reason(fault)})") from None
        self._stream.thread_type = "AUTO"
        self._aspect = float(self._stream.sample_aspect_ratio or 1) or 1.0
        self._start_s = 0.0
        self._frames: Iterator[tuple[float, Any]] = iter(())
        self._here: tuple[float, Any] | None = None  # time in seconds, and frame
        self._next: tuple[float, Any] | None = None
        self._rewind(0.0)
        if self._next is None:
            raise GuideError(f"{path} has no picture that can be read")
        self._start_s = self._next[0]
        self.count: int = max(1, int((self._end_s() - self._start_s) * VIDEO_HZ))

    def moment(self, wish: Wish) -> int:
        return wish.beat

    def read(self, moment: int, wish: Wish) -> tuple[Picture, str]:
        at = str(moment % self.count)
        return self.read_at(at, wish.fit), at

    def read_at(self, at: str, fit: Fit) -> Picture:
        if not at.isdigit():
            raise GuideError(f"{self._path} has no picture {at}")
        frame = self._frame(self._start_s + int(at) / VIDEO_HZ)
        return fitted(frame_picture(frame, fit, self._aspect), fit)

    def has_changed(self) -> bool:
        return False

    def close(self) -> None:
        self._file.close()

    def _frame(self, time_s: float) -> Any:
        """The frame that is seen at that time of the stream's: the last one that is not later."""
        if self._here is None or time_s < self._here[0] or time_s > self._here[0] + SKIP_S:
            self._rewind(time_s)
        while self._next is not None and (self._here is None or self._next[0] <= time_s):
            self._here, self._next = self._next, next(self._frames, None)
        if self._here is None:
            raise GuideError(f"{self._path} can no longer be read")
        return self._here[1]

    def _rewind(self, time_s: float) -> None:
        """Goes on decoding from the last place before that time where decoding can begin."""
        try:
            self._file.seek(max(0, int(time_s * self._av.time_base)))
        except (self._av.error.FFmpegError, OSError):  # a stream without times: from the beginning
            self._file.close()
            self._file = self._av.open(str(self._path))
            self._stream = self._file.streams.video[0]
            self._stream.thread_type = "AUTO"
        self._here, self._frames = None, self._decoded()
        self._next = next(self._frames, None)

    def _decoded(self) -> Iterator[tuple[float, Any]]:
        """Frames with their times, in order; damaged ones are left out."""
        count, rate = 0, float(self._stream.average_rate or 25)
        packets = self._file.demux(self._stream)
        while True:
            try:
                frames = next(packets).decode()
            except StopIteration:
                return
            except self._av.error.InvalidDataError:
                continue
            except (self._av.error.FFmpegError, OSError):
                return
            for frame in frames:
                yield (count / rate if frame.time is None else float(frame.time)), frame
                count += 1

    def _end_s(self) -> float:
        """When it is over, by the stream's time."""
        stream, file = self._stream, self._file
        if stream.duration and stream.time_base:
            return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
        if file.duration:
            return float((file.start_time or 0) + file.duration) / self._av.time_base
        end_s = max((time_s for time_s, _ in self._decoded()), default=0.0)  # which says nothing: looked through once
        self._rewind(0.0)
        return end_s + 1 / float(stream.average_rate or 25)


class MemoryPicture:
    """A memory of the bank, as it was kept: small."""

    ahead = 0

    def __init__(self, number: int, bank: Callable[[], Path]) -> None:
        self._number, self._bank = number, bank

    def moment(self, wish: Wish) -> int:
        return 0

    def read(self, moment: int, wish: Wish) -> tuple[Picture, str]:
        return self.read_at("", wish.fit), ""

    def read_at(self, at: str, fit: Fit) -> Picture:
        try:
            path = self._bank()
            if not path.is_file():
                raise GuideError("there is no memory bank")
            bank = Bank(path, read_only=True)
            try:
                jpeg = bank.thumbnail(self._number)
            finally:
                bank.close()
        except (BankError, sqlite3.Error, OSError) as fault:
            raise GuideError(f"the memory bank cannot be read: {fault}") from None
        if not jpeg:
            raise GuideError(f"the bank has no memory {self._number}")
        return fitted(open_picture(jpeg), fit)

    def has_changed(self) -> bool:
        return False

    def close(self) -> None:
        pass


def files_of(source: str) -> list[Path]:
    """The files that a source is made of. Waits for the disk."""
    path = Path(source)
    with suppress(OSError):
        if path.is_dir():
            return [path / e.name for e in os.scandir(path) if _is_picture(e.name) and e.is_file()]
        if path.is_file():
            return [path]
    return []


def _read(path: Path, fit: Fit) -> Picture:
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size > MOST_BYTES:
                raise GuideError(f"it is larger than {MOST_BYTES >> 30} GB")
            return fitted(open_picture(file, fit), fit)
    except OSError as fault:
        raise GuideError(f"it cannot be read: {_reason(fault)}") from None


def _mark(path: Path) -> tuple[int, int] | None:
    """By which a file that was saved anew is known."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _moves(path: Path) -> bool:
    """Whether there is more than one picture in it."""
    from PIL import Image

    try:
        with open_regular(path) as file:
            return getattr(Image.open(file), "is_animated", False)
    except Exception:  # whatever it is: a video's reader says what is wrong with it
        return True


def _is_picture(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in PICTURES


def _as_people_sort(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """2.png before 10.png."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part], name


def _drawn(names: list[str], seed: int, round_: int) -> list[str]:
    """An order of its own for each round; a picture that comes or goes leaves that of the others alone."""

    def drawn(name: str) -> bytes:
        return hashlib.sha256(f"{seed} {round_} {name}".encode("utf-8", "surrogateescape")).digest()

    return sorted(names, key=drawn)


def _reason(fault: Exception) -> str:
    return getattr(fault, "strerror", None) or str(fault) or type(fault).__name__
