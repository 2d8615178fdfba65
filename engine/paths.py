"""Where the engine's own files lie, in a checkout and in an installed wheel alike.

Usage: `shaders_dir() / "blend.frag"`. Any process.
"""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
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
    """Folder for what a show remembers between runs ($XDG_STATE_HOME/pedesis), made if missing."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = Path(base) / "pedesis"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
