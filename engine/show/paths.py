"""Where the engine's own files are, in a checkout and in an installed wheel alike, and how small files are read and
written so that no disk can hang or damage a show.

Usage: `shaders_dir() / "screen.frag"`; `read_text_bounded(path, 1_000_000)`; `write_whole(path, text)`. Any process.
"""

import errno
import hashlib
import os
import stat
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

DISK_TIMEOUT_S = 5.0  # a disk that sleeps takes a few seconds to wake; a network mount that is gone never answers
LONGEST_NAME = 140  # bytes: eCryptfs takes 143, most other file systems 255
SET_ASIDE = 4  # damaged files of one name that are kept

_PACKAGE = Path(__file__).resolve().parent.parent
# A wheel carries shaders and configs under engine/_data; a checkout has them beside engine/.
_DATA = _PACKAGE / "_data" if (_PACKAGE / "_data").is_dir() else _PACKAGE.parent
_KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))

T = TypeVar("T")


def shaders_dir() -> Path:
    """Folder of the native GLSL shaders."""
    return _DATA / "shaders"


def configs_dir() -> Path:
    """Folder of the shows that come with Pedesis."""
    return _DATA / "configs"


def house_model_dir() -> Path:
    """Folder of the built-in model, in diffusers layout."""
    return _PACKAGE / "house_model"


def state_dir() -> Path:
    """Folder for what a show remembers between runs: $XDG_STATE_HOME/pedesis. It may not exist yet.

    Raises OSError if the user has no home folder.
    """
    base = os.path.expanduser(os.environ.get("XDG_STATE_HOME", ""))
    if not os.path.isabs(base):  # the XDG specification: a relative path counts as not set
        base = os.path.expanduser("~/.local/state")
    if not os.path.isabs(base):
        raise OSError(errno.ENOENT, "this user has no home folder: set HOME, or XDG_STATE_HOME")
    return Path(base) / "pedesis"


def fitting(name: str, most: int = LONGEST_NAME) -> str:
    """The name itself, or where it has more than `most` bytes its beginning and a hash of the whole."""
    if len(os.fsencode(name)) <= most:
        return name
    mark = hashlib.sha256(os.fsencode(name)).hexdigest()[:8]
    while len(os.fsencode(name)) > most - 1 - len(mark):  # by characters: half a letter is no valid name on macOS
        name = name[:-1]
    return f"{name}-{mark}"


def within(timeout_s: float, work: Callable[[], T], what: str) -> T:
    """What `work()` returns or raises. Raises TimeoutError, an OSError, where it takes longer than `timeout_s`.

    A thread that waits for a network mount that is gone cannot be interrupted, not even by Ctrl-C; so it is another
    thread that waits, and it ends with the process.
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
        raise TimeoutError(errno.ETIMEDOUT, f"the disk gave no answer within {timeout_s:g} s", what)
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

    data = within(timeout_s, read, str(path))
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


def has_temp_dir() -> bool:
    """Whether there is a folder for temporary files."""
    try:
        return bool(tempfile.gettempdir())
    except FileNotFoundError:
        return False


def ensure_temp_dir() -> None:
    """Finds another folder for temporary files where none of the usual ones can be written to (a read-only system,
    a full disk), for this process and those it starts.

    Libraries ask for its name as they are imported, torch's compiler among them, and raise FileNotFoundError when
    there is none, though they never write there.
    """
    if has_temp_dir():
        return
    for folder in (os.environ.get("XDG_RUNTIME_DIR"), "/run/shm", "/dev/shm"):
        if folder and os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK):
            os.environ["TMPDIR"] = tempfile.tempdir = folder
            return
    tempfile.tempdir = os.path.abspath(os.sep)  # a name at least; who writes there hears that it cannot be done


def _size(size: int) -> str:
    return f"{size / 1e6:g} MB" if size >= 1_000_000 else f"{size / 1e3:g} kB"
