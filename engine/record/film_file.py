"""Where a film lies on the disk: its name, its draft beside it, its numbered pictures, and whose it is meanwhile.

Usage:

    with FilmFile(Path("out/walk.mp4")) as file:    # RecorderError when another film is being written there
        ...                                         # write to file.draft
        file.finish(frames)                         # whole: it takes its name

The lock is one of the operating system's, on the film's own draft: it ends with the process, however that ends,
and needs no file of its own. Any one thread.
"""

import errno
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from types import TracebackType
from typing import Any

from engine.show.errors import CannotStart
from engine.show.paths import write_whole

try:
    import fcntl
except ImportError:  # Windows: two films onto one name are not kept apart there
    fcntl = None  # type: ignore[assignment]

_NUMBER = re.compile(r"%0([1-9])d")


class RecorderError(CannotStart):
    """A recording cannot start: one sentence with what was asked, what is possible."""


@dataclass(frozen=True)
class Series:
    """The pictures of a name like `walk-%06d.png`: `head`, a number of at least `digits` digits from 1 on, `tail`."""

    folder: Path
    head: str
    digits: int
    tail: str

    @classmethod
    def of(cls, path: Path) -> "Series":
        """Raises RecorderError unless there is exactly one number in the name; what else it holds is taken as it is."""
        numbers = list(_NUMBER.finditer(path.name))
        if len(numbers) != 1:
            bare = re.sub(r"%\d*[a-z]?", "", path.stem).strip("-_. ") or "picture"
            raise RecorderError(
                f"numbered pictures have one number such as %06d in their name, in a name like {bare}-%06d.png, "
                f"given {path.name!r}"
            )
        number = numbers[0]
        return cls(path.parent, path.name[: number.start()], int(number[1]), path.name[number.end() :])

    @property
    def path(self) -> Path:
        """The name the series is asked for by."""
        return self.folder / f"{self.head}%0{self.digits}d{self.tail}"

    def picture(self, number: int) -> Path:
        return self.folder / f"{self.head}{number:0{self.digits}d}{self.tail}"

    def numbers(self) -> list[int]:
        """Those of the pictures that are on the disk, ascending. Raises OSError."""
        pattern = re.compile(re.escape(self.head) + rf"([0-9]{{{self.digits},}})" + re.escape(self.tail))
        found = (pattern.fullmatch(name) for name in os.listdir(self.folder))
        numbers = [(int(match[1]), match[0]) for match in found if match]
        # More zeros than the name asks for make a file of somebody else's.
        return sorted(n for n, name in numbers if self.picture(n).name == name)

    def next(self, n: int) -> "Series":
        """The n-th series of that name: `walk-2-%06d.png`."""
        apart = self.head[-1] if self.head.endswith(("-", "_", ".", " ")) else "-"
        name = self.head.removesuffix(apart)
        return replace(self, head=f"{name}{apart}{n}{apart}" if name else f"{n}{apart}")


def is_series(path: Path) -> bool:
    """Whether a film of that name is numbered pictures."""
    return path.suffix.lower() == ".png"


def url(path: Path) -> str:
    """How FFmpeg is told that path: without `file:` a colon makes a protocol of what stands before it, and in the
    name of numbered pictures each % but the number's is doubled."""
    if not is_series(path):
        return f"file:{path}"
    series = Series.of(path)
    folder, head, tail = (str(part).replace("%", "%%") for part in (series.folder, series.head, series.tail))
    return f"file:{folder}{os.sep}{head}%0{series.digits}d{tail}"


def claim_name(path: Path) -> Path:
    """The path itself, or the first of path-2, path-3 ... that is not taken: a restart must not cost a recording.

    The file is made, empty, so that a show that begins in the same moment takes the next. Numbered pictures count as
    taken when any one of theirs is there; path-2 of `a-%05d.png` is `a-2-%05d.png`. Raises RecorderError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_series(path):
            first = Series.of(path)
            many = chain([first], map(first.next, count(2)))
            return next(one.path for one in many if not one.numbers() and _made(one.picture(1)))
        names = chain([path], (path.with_name(f"{path.stem}-{n}{path.suffix}") for n in count(2)))
        return next(name for name in names if not name.exists() and _made(name))
    except OSError as fault:
        raise RecorderError(f"cannot record to {path}: {reason(fault)}") from None


def unclaim(path: Path) -> None:
    """Takes back what claim_name made, if nothing was written to it. Never raises."""
    file = Series.of(path).picture(1) if is_series(path) else path
    with suppress(OSError):
        if not file.stat().st_size:
            file.unlink()


def _made(file: Path) -> bool:
    """Makes an empty file; False where there is one. Raises OSError."""
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except FileExistsError:
        return False
    return True


def reason(fault: Exception) -> str:
    """Why a file could not be written, in a person's words."""
    number = getattr(fault, "errno", None)
    if number == errno.ENOSPC:
        return "the disk is full"
    if number == errno.EFBIG:
        return "the file has reached the largest size allowed here (file system or limit)"
    if number == errno.EDQUOT:
        return "the disk quota is used up"
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "not allowed to write there"
    return getattr(fault, "strerror", None) or str(fault)


@dataclass(frozen=True)
class Begun:
    """What an earlier run left of a film: everything it was made of, and how many frames lie on the disk whole."""

    made_of: dict[str, Any]
    frames: int


class FilmFile:
    """The place of one film while it is made, held against other films.

    A film is written to `draft`, `walk.part.mp4` for `walk.mp4`, so that an older film of its name stays whole until
    this one is; a process that is killed leaves both. Numbered pictures, and what is no plain file (a pipe), are
    written where they belong: there `draft` is `path`.

    While it is made, `walk.mp4.part.json` says beside it what the film is made of and how far it is, so that another
    run can go on with it. That run moves the draft to `walk.part-old.mp4`, copies it, and only then lets it go.

    path: the name asked for. Raises RecorderError when it cannot be written or another film is being made there.
    """

    def __init__(self, path: Path) -> None:
        self.path = self.draft = path
        self._series = Series.of(path) if is_series(path) else None
        self._place = Path(os.path.realpath(path)) if path.is_symlink() else path  # the link stays, what it means goes
        self._locked: Path | None = None
        self._note = self._place.with_name(f"{self._place.name}.part.json")
        self._old = self._place.with_name(f"{self._place.stem}.part-old{path.suffix}")
        if self._series is not None:
            self._locked = self._series.picture(1)
        elif self._place.is_file() or not self._place.exists():
            self._locked = self.draft = self._place.with_name(f"{self._place.stem}.part{path.suffix}")
        self._fd: int | None = None
        self._noted = 0

    def __enter__(self) -> "FilmFile":
        if self._locked is not None:
            try:
                self._locked.parent.mkdir(parents=True, exist_ok=True)
                self._fd = _claim(self._locked)
            except OSError as fault:
                raise RecorderError(f"cannot record to {self.path}: {reason(fault)}") from None
            if self._fd is None:
                raise RecorderError(
                    f"another film is being written to {self.path}: wait for it, or give this one another name"
                )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fd is None:
            return
        assert self._locked is not None
        empty = False
        with suppress(OSError):  # on the way out nothing is worth more than what ended the film
            empty = _is_open_at(self._fd, self._locked) and not os.fstat(self._fd).st_size
            if empty and fcntl is not None:  # before another film can have it
                self._locked.unlink()
        os.close(self._fd)
        self._fd = None
        if empty and fcntl is None:  # Windows removes no open file
            with suppress(OSError):
                self._locked.unlink()

    def begun(self) -> Begun | None:
        """What an earlier run left here, if another can go on with it."""
        try:
            note = json.loads(self._note.read_bytes())
            begun = Begun(dict(note["made_of"]), int(note["frames"]))
            if self._series is not None:
                there = set(range(1, begun.frames + 1)) <= set(self._series.numbers())
            else:
                there = self._locked is not None and (os.path.exists(self._old) or self.draft.stat().st_size > 0)
        except (OSError, ValueError, TypeError, KeyError, OverflowError):  # no note, or nobody's
            return None
        return begun if there and begun.frames > 0 else None

    def take_up(self, frames: int) -> Path | None:
        """Goes on with what an earlier run left: where its frames are to be copied from, None for numbered pictures,
        which stay where they are. Raises RecorderError."""
        self._noted = frames
        if self._series is not None:
            return None
        if not os.path.exists(self._old):  # else that run, too, ended while it copied
            try:
                self._set_aside()
            except OSError as fault:
                raise RecorderError(f"cannot go on with {self.draft}: {reason(fault)}") from None
        return self._old

    def _set_aside(self) -> None:
        self._free()
        ours = self._fd
        os.replace(self.draft, self._old)
        self._fd = _claim(self.draft)
        if ours is not None:
            os.close(ours)
        if self._fd is None:
            raise OSError(errno.EBUSY, "another film has just been begun there")

    def begin_anew(self) -> None:
        """Lets go of what an earlier run left, but for the draft, which is written over. Never raises."""
        for left in (self._note, self._old):
            with suppress(OSError):
                left.unlink()

    def note(self, made_of: dict[str, Any], frames: int) -> None:
        """So many frames are in the file: puts them on the disk and says so beside it. Any thread.

        Never raises: what cannot be noted is only drawn again, and a disk that is full will be heard of.
        """
        if self._fd is None:
            return
        with suppress(OSError):
            os.fsync(self._fd)
            if self._series is not None:
                for number in range(self._noted + 1, frames + 1):
                    with self._series.picture(number).open("rb+") as picture:
                        os.fsync(picture.fileno())
            write_whole(self._note, json.dumps({"frames": frames, "made_of": made_of}, indent=2) + "\n")
            self._noted = frames
            self._old.unlink(missing_ok=True)  # all of it has been copied

    def finish(self, frames: int) -> None:
        """The film is whole: it takes its name. Of numbered pictures those beyond `frames`, an older film's, go.

        Call when it is closed. Raises OSError, the film then lies at `draft`.
        """
        if self._series is not None:
            for number in self._series.numbers():
                if number > frames:
                    self._series.picture(number).unlink()
        elif self.draft != self.path:
            assert self._fd is not None
            os.fsync(self._fd)  # or a power cut could leave the name with nothing in it, and the older film gone
            self._free()
            os.replace(self.draft, self._place)
        self.begin_anew()

    def keep(self, frames: int) -> str:
        """The film ended early with so many frames, and is closed: says in a clause where they lie, and whether
        another run can go on with them. Never raises.

        It does not take its name, which only a whole film has.
        """
        self._free()
        lies = self.draft
        if os.path.exists(self._old):  # which was not copied to the end
            frames, lies = self._noted, self._old
            with suppress(OSError):
                os.replace(self._old, self.draft)
                lies = self.draft
        if frames == 0:
            with suppress(OSError):
                if self.draft != self.path:
                    self.draft.unlink()  # a header at most
            return "no frame was recorded"
        said = f"{lies} holds what was done, {frames} frame{'s' if frames > 1 else ''}"
        if self._series is not None:
            with suppress(OSError):
                if self._series.numbers()[-1] > frames:
                    said += ", and after them the pictures of an older film"
        elif os.path.exists(self._place) and lies != self.path:
            said += f"; {self.path} is the older film still"
        if self._noted:
            said += "; the same command goes on with it"
        return said

    def _free(self) -> None:
        """Windows renames and removes no open file."""
        if fcntl is None and self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _claim(path: Path) -> int | None:
    """Opens a file, made if missing and otherwise left as it is, and locks it: its descriptor, or None if another
    film has it. Where files cannot be locked (Windows, some network disks) it is only opened. Raises OSError."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if fcntl is not None:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        except OSError:
            pass
        if _is_open_at(fd, path):
            return fd
        os.close(fd)  # the film that had it has just given it its name, or taken it away


def _is_open_at(fd: int, path: Path) -> bool:
    """Whether that name is still the open file's."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False
