"""Whether the graphics driver can keep compiled shaders on disk, and quiet when it cannot.

Usage: `hush()` before the first OpenGL context; `can_keep()` afterwards. Any process; changes its environment.

Mesa keeps them under the user's cache folder. Where that cannot be written (a read-only system, a service with no
home) it complains on stderr in each process that draws, and works all the same.
"""

import os
from pathlib import Path
from tempfile import TemporaryFile

OFF = "MESA_SHADER_CACHE_DISABLE"
_NAMED = ("MESA_SHADER_CACHE_DIR", "MESA_GLSL_CACHE_DIR", "XDG_CACHE_HOME")  # the first that is set counts


def can_keep() -> bool:
    """Whether a shader compiled now need not be compiled by the next process, as far as Mesa goes."""
    return os.environ.get(OFF, "false").lower() in ("false", "0", "") and any(map(_writable, _places()))


def hush() -> None:
    """Tell Mesa not to try where it cannot."""
    if not can_keep():
        os.environ.setdefault(OFF, "true")


def _places() -> list[Path]:
    for name in _NAMED:
        if named := os.environ.get(name):
            return [Path(named)]
    homes = [os.environ.get("HOME", "")]
    try:
        import pwd  # not on Windows

        homes.append(pwd.getpwuid(os.getuid()).pw_dir)
    except (ImportError, KeyError):  # a user without an entry, as in many containers
        homes.append(os.path.expanduser("~"))
    return [Path(home) / ".cache" for home in homes if home]


def _writable(place: Path) -> bool:
    """Whether the folder can be written, made if need be. Tried for real, as permissions tell half of it."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=place):
            return True
    except OSError:
        return False
