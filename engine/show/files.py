"""Touching files that may not answer: a network disk that is gone, a pipe with nobody at its other end.

Usage: `in_time(lambda: path.read_bytes())`; `make_folder(path.parent)`; `read_plain(note)`. Any process, any thread.
"""

import json
import logging
import os
import stat
from collections.abc import Callable
from concurrent.futures import Future, wait
from errno import EINVAL, ETIMEDOUT
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")
log = logging.getLogger("pedesis")

ANSWER_S = 15.0  # an external disk that is asleep takes ten to spin up


def in_time(work: Callable[[], T], timeout_s: float = ANSWER_S) -> T:
    """What `work` returns, done in a thread that is left behind when it takes too long.

    A system call on a disk that is gone cannot be interrupted, waiting for a thread can: Ctrl-C is heard meanwhile.
    Raises what `work` raises; TimeoutError, which is an OSError, when there is no answer.
    """
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except BaseException as fault:
            answer.set_exception(fault)

    Thread(target=run, name="files", daemon=True).start()
    if wait([answer], timeout_s).not_done:
        raise TimeoutError(ETIMEDOUT, f"no answer from the disk in {timeout_s:g} s")
    return answer.result()


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


def read_plain(path: Path) -> bytes:
    """The bytes of a plain file; never waits for the other end of a pipe. Raises OSError, also for what is no file."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(EINVAL, "not a plain file", str(path))
    with open(descriptor, "rb") as file:
        return file.read()


def readable_json(value: Any) -> str:
    """JSON for people to read, in their own script. A path that is not UTF-8 has no letters, and is escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2) + "\n"
    return text
