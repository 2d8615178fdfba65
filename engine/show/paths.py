"""Where the engine's own files are, in a checkout and in an installed wheel alike, and where temporary ones may go.

Usage: `shaders_dir() / "screen.frag"`. Any process.
"""

import errno
import hashlib
import os
import tempfile
from pathlib import Path

from engine.show.files import fitting

_PACKAGE = Path(__file__).resolve().parent.parent
# A wheel carries shaders and configs under engine/_data; a checkout has them beside engine/.
_DATA = _PACKAGE / "_data" if (_PACKAGE / "_data").is_dir() else _PACKAGE.parent


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


def cache_dir() -> Path:
    """Folder for what can be found out again: $XDG_CACHE_HOME/pedesis. It may not exist yet.

    Raises OSError if the user has no home folder.
    """
    base = os.path.expanduser(os.environ.get("XDG_CACHE_HOME", ""))
    if not os.path.isabs(base):
        base = os.path.expanduser("~/.cache")
    if not os.path.isabs(base):
        raise OSError(errno.ENOENT, "this user has no home folder: set HOME, or XDG_CACHE_HOME")
    return Path(base) / "pedesis"


def show_state_dir(show: Path) -> Path:
    """Folder for what one show remembers; shows of one name in different folders are different shows.

    Raises OSError as state_dir does.
    """
    place = show.resolve()
    mark = "" if place.parent == configs_dir().resolve() else hashlib.sha256(os.fsencode(place)).hexdigest()[:8]
    return state_dir() / f"{fitting(show.stem)}{'-' if mark else ''}{mark}"


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
