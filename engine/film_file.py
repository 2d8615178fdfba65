"""Where a film lies on the disk: its name, its draft beside it, its numbered pictures, and whose it is meanwhile.

Usage:

    with FilmFile(Path("out/walk.mp4")) as file:    # RecorderError when another film is being written there
        ...                                         # write to file.draft
        file.finish(frames)                         # whole: it takes its name

The lock is one of the operating system's, on the film's own draft: it ends with the process, however that ends,
and needs no file of its own. Any one thread.
"""

import errno
import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from types import TracebackType

try:
    import fcntl
except ImportError:  # Windows: two films onto one name are not kept apart there
    fcntl = None  # type: ignore[assignment]

_NUMBER = re.compile(r"%0([1-9])d")


class RecorderError(Exception):
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


class FilmFile:
    """The place of one film while it is made, held against other films.

    A film is written to `draft`, `walk.part.mp4` for `walk.mp4`, so that an older film of its name stays whole until
    this one is; a process that is killed leaves both. Numbered pictures, and what is no plain file (a pipe), are
    written where they belong: there `draft` is `path`.

    path: the name asked for. Raises RecorderError when it cannot be written or another film is being made there.
    """

    def __init__(self, path: Path) -> None:
        self.path = self.draft = path
        self._series = Series.of(path) if is_series(path) else None
        self._place = Path(os.path.realpath(path)) if path.is_symlink() else path  # the link stays, what it means goes
        self._locked: Path | None = None
        if self._series is not None:
            self._locked = self._series.picture(1)
        elif self._place.is_file() or not self._place.exists():
            self._locked = self.draft = self._place.with_name(f"{self._place.stem}.part{path.suffix}")
        self._fd: int | None = None

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

    def finish(self, frames: int) -> None:
        """The film is whole: it takes its name. Of numbered pictures those beyond `frames`, an older film's, go.

        Call when it is closed. Raises OSError, the film then lies at `draft`.
        """
        if self._series is not None:
            for number in self._series.numbers():
                if number > frames:
                    self._series.picture(number).unlink()
        elif self.draft != self.path:
            self._take_name()

    def keep(self, frames: int) -> str:
        """The film ended early with so many frames, and is closed: says in a clause where they lie.

        It takes its name if no older film has it. Never raises.
        """
        if frames == 0:
            with suppress(OSError):
                if self.draft != self.path:
                    self.draft.unlink()  # a header at most
            return "no frame was recorded"
        done = f"holds what was done, {frames} frame{'s' if frames > 1 else ''}"
        if self._series is not None:
            with suppress(OSError):
                if self._series.numbers()[-1] > frames:
                    return f"{self.path} {done}, and after them the pictures of an older film"
        elif self.draft != self.path:
            if self._place.exists():
                return f"{self.draft} {done}; {self.path} is the older film still"
            try:
                self._take_name()
            except OSError as fault:
                return f"{self.draft} {done} ({self.path}: {reason(fault)})"
        return f"{self.path} {done}"

    def _take_name(self) -> None:
        fd = self._fd
        assert fd is not None
        os.fsync(fd)  # or a power cut could leave the name with nothing in it, and the older film gone
        if fcntl is None:  # Windows renames no open file
            os.close(fd)
            self._fd = None
        os.replace(self.draft, self._place)


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
