"""Which key was pressed, by what is printed on it.

Usage: `keys = Keys(glfw); keys.name(key, scancode)`. Stage process, the thread that GLFW runs in.

GLFW numbers keys by where they lie on an American keyboard; "f" should be the key that says F, on any layout.
Names: "a".."z", "0".."9", "escape", "space", "enter", "tab", "left", "right", "up", "down", "f1".."f12".
"""

import unicodedata
from typing import Any

_LETTERS, _DIGITS = "abcdefghijklmnopqrstuvwxyz", "0123456789"
_OTHERS = ("ESCAPE", "SPACE", "ENTER", "TAB", "LEFT", "RIGHT", "UP", "DOWN")


class Keys:
    """Names of keys, as the layout of the moment has them."""

    def __init__(self, glfw: Any) -> None:
        self._glfw = glfw
        self._placed = {getattr(glfw, f"KEY_{c.upper()}"): c for c in _LETTERS + _DIGITS}
        self._fixed = {getattr(glfw, f"KEY_{name}"): name.lower() for name in _OTHERS}
        self._fixed |= {getattr(glfw, f"KEY_F{n}"): f"f{n}" for n in range(1, 13)}

    def name(self, key: int, scancode: int) -> str | None:
        """The key's name; None for one that has none here."""
        if key in self._fixed:
            return self._fixed[key]
        placed = self._placed.get(key, "")
        printed = self._printed(key, scancode)
        if printed in self._placed.values():
            return printed
        # The upper row has digits on it also where they need Shift, as in France.
        if placed and (placed in _DIGITS or _is_foreign(printed)):
            return placed
        return None

    def _printed(self, key: int, scancode: int) -> str:
        said = self._glfw.get_key_name(key, scancode)
        return (said.decode(errors="replace") if isinstance(said, bytes) else said or "").lower()


def _is_foreign(printed: str) -> bool:
    """Whether this is a letter of another script, or nothing: its keyboards bear Latin letters as well, in the
    American places."""
    if not printed:
        return True
    return not printed.isascii() and not unicodedata.name(printed[0], "").startswith("LATIN")
