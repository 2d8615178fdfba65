"""Where the engine's own files lie, in a checkout and in an installed wheel alike; and how small ones are written.

Usage: `shaders_dir() / "screen.frag"`. Any process.
"""

import os
from contextlib import suppress
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
# A wheel carries shaders and configs under engine/_data; a checkout has them beside engine/.
_DATA = _PACKAGE / "_data" if (_PACKAGE / "_data").is_dir() else _PACKAGE.parent


def write_whole(path: Path, text: str) -> None:
    """Writes a file whole or not at all, and on the disk before an older one is let go. Raises OSError."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")  # two shows may write to one name
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
    """Folder for what a show remembers between runs ($XDG_STATE_HOME/pedesis), made if missing. Raises OSError."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    if base.startswith("~"):
        raise OSError("this user has no home: set HOME, or XDG_STATE_HOME")
    folder = Path(base) / "pedesis"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
