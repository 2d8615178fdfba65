"""The names of films on the disk: plain ones, numbered pictures, and what to call a recording whose name is taken.

Usage: `path = claim_name(Path("live.mp4"))`; `Series.of(Path("walk-%04d.png")).picture(7)`. Any thread.
"""

import errno
import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path

from engine.show.errors import CannotStart
from engine.show.files import in_time, is_special, make_folder

_NUMBER = re.compile(r"%0([1-9])d")


class RecorderError(CannotStart):
    """A recording cannot start: one sentence with what was asked for and what is possible."""


@dataclass(frozen=True)
class Series:
    """The pictures of a name like `walk-%06d.png`: `head`, a number of at least `digits` digits from 1 on, `tail`."""

    folder: Path
    head: str
    digits: int
    tail: str

    @classmethod
    def of(cls, path: Path) -> "Series":
        """Raises RecorderError unless there is exactly one number in the name; the rest of it is taken literally."""
        numbers = list(_NUMBER.finditer(path.name))
        if len(numbers) != 1:
            bare = re.sub(r"%\d*[a-z]?", "", path.stem).strip("-_. ") or "picture"
            raise RecorderError(
                f"numbered pictures have one number such as %06d in their name, in a name like {bare}-%06d.png, "
                f"got {path.name!r}"
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
    """The path as FFmpeg takes it: without `file:` whatever stands before a colon would be a protocol, and in the
    name of numbered pictures every % but the number's is doubled."""
    if not is_series(path):
        return f"file:{path}"
    series = Series.of(path)
    folder, head, tail = (str(part).replace("%", "%%") for part in (series.folder, series.head, series.tail))
    return f"file:{folder}{os.sep}{head}%0{series.digits}d{tail}"


def claim_name(path: Path) -> Path:
    """The path itself, or the first of path-2, path-3 ... that is free: a restart must not cost a recording.

    Creates the file, empty, so that a show that starts at the same moment takes the next name. Numbered pictures count
    as taken when any one of them is there; path-2 of `a-%05d.png` is `a-2-%05d.png`. A pipe is used as it is.
    Raises RecorderError.
    """
    try:
        return in_time(lambda: _claim_name(path))
    except OSError as fault:
        raise RecorderError(f"cannot record to {path}: {reason(fault)}") from None


def _claim_name(path: Path) -> Path:
    make_folder(path.parent)
    if is_series(path):
        first = Series.of(path)
        many = chain([first], map(first.next, count(2)))
        return next(one.path for one in many if not one.numbers() and _create(one.picture(1)))
    if is_special(path):
        return path
    names = chain([path], (path.with_name(f"{path.stem}-{n}{path.suffix}") for n in count(2)))
    return next(name for name in names if not name.exists() and _create(name))


def unclaim(path: Path) -> None:
    """Removes the file that claim_name created, if nothing was written to it. Never raises."""
    file = Series.of(path).picture(1) if is_series(path) else path
    with suppress(OSError):
        if file.is_file() and not file.stat().st_size:
            file.unlink()


def _create(file: Path) -> bool:
    """Creates an empty file; False if the name is taken. Raises OSError."""
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
