"""Small files, read and written so that no disk can hang or damage a show.

Usage: `read_text_bounded(path, 1_000_000)`; `write_whole(path, text)`; `in_time(lambda: path.stat())`. Any process.

A disk that is gone never answers, and a pipe with nobody at its other end makes whoever opens it wait. A system call
on one cannot be interrupted, not even by Ctrl-C; waiting for the thread that makes it can.
"""

import errno
import hashlib
import json
import logging
import os
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

T = TypeVar("T")
log = logging.getLogger("pedesis")

ANSWER_S = 15.0  # an external disk that is asleep takes ten to spin up
ENDING_S = 2.0  # a live show ends within this, whatever the disk does
DISK_TIMEOUT_S = 5.0  # for small files that a show can do without
LONGEST_NAME = 140  # bytes: eCryptfs takes 143, most other file systems 255
SET_ASIDE = 4  # damaged files of one name that are kept

_KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))


def in_time(work: Callable[[], T], timeout_s: float = ANSWER_S) -> T:
    """What `work()` returns or raises, done in a thread that is left behind when it takes too long.

    Raises TimeoutError, which is an OSError, when there is no answer.
    """
    result: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="disk", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no more threads to be had
        return work()
    thread.join(timeout_s)
    if raised:
        raise raised[0]
    if not result:
        raise TimeoutError(errno.ETIMEDOUT, f"no answer from the disk in {timeout_s:g} s")
    return result[0]


def open_regular(path: Path) -> BinaryIO:
    """Opens a file to read its bytes. Raises OSError for what is not a plain file, instead of waiting for a pipe."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
    descriptor = os.open(path, flags)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            kind = next((name for holds, name in _KINDS if holds(mode)), "a device")
            number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
            raise OSError(number, f"this is {kind}, not a file", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bounded(path: Path, max_bytes: int, timeout_s: float = DISK_TIMEOUT_S) -> bytes:
    """What is in a small file. Raises OSError with a plain reason: it is missing, too large, not a file, or the disk
    does not answer."""

    def read() -> bytes:
        with open_regular(path) as file:
            return file.read(max_bytes + 1)

    data = in_time(read, timeout_s)
    if len(data) > max_bytes:
        raise OSError(errno.EFBIG, f"more than {_size(max_bytes)}", str(path))
    return data


def read_text_bounded(path: Path, max_bytes: int, timeout_s: float = DISK_TIMEOUT_S) -> str:
    """The UTF-8 text in a small file. Raises OSError as read_bounded does, also where it is not UTF-8."""
    data = read_bounded(path, max_bytes, timeout_s)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise OSError(errno.EILSEQ, "this is not UTF-8 text", str(path)) from error


def write_whole(path: Path, text: str) -> None:
    """Writes a file whole or not at all, and onto the disk before an older one is let go. Raises OSError."""
    with suppress(OSError, RuntimeError):  # RuntimeError: links in a circle, before Python 3.13
        path = path.resolve()  # the file that a link points to, or the link itself would be replaced
    draft = draft_of(path)
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())  # or a power cut could leave the new name with nothing in it
        os.replace(draft, path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise


def draft_of(path: Path) -> Path:
    """Where a file is written until it is whole; two processes may write to one name at once."""
    return path.with_name(f"{fitting(path.name, LONGEST_NAME - 16)}.{os.getpid()}.part")


def set_aside(path: Path) -> Path | None:
    """Renames a damaged file to `name.1.bad`, so that nothing is written over it; None if that is not possible.

    SET_ASIDE of them are kept. After that the last one makes room for the next.
    """
    names = [path.with_name(f"{path.name}.{n}.bad") for n in range(1, SET_ASIDE + 1)]
    place = next((name for name in names if not os.path.lexists(name)), names[-1])
    try:
        os.replace(path, place)
    except OSError:
        return None
    return place


def fitting(name: str, most: int = LONGEST_NAME) -> str:
    """The name itself, or where it has more than `most` bytes its beginning and a hash of the whole."""
    if len(os.fsencode(name)) <= most:
        return name
    mark = hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
    while len(os.fsencode(name)) > most - 1 - len(mark):  # by characters: half a letter is no valid name on macOS
        name = name[:-1]
    return f"{name}-{mark}"


def make_folder(folder: Path) -> None:
    """Makes the folder if it is missing, and says so: that is how a typing error in a long path is noticed.

    Raises OSError.
    """
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        log.info("made the folder %s", folder)


def is_special(path: Path) -> bool:
    """Whether a pipe, a device or a socket has that name: something to write into, never to replace. Raises OSError."""
    return path.exists() and not path.is_file() and not path.is_dir()


def readable_json(value: Any) -> str:
    """JSON for people to read, in their own script. A path that is not UTF-8 has no letters, and is escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2) + "\n"
    return text


def _size(size: int) -> str:
    return f"{size / 1e6:g} MB" if size >= 1_000_000 else f"{size / 1e3:g} kB"
