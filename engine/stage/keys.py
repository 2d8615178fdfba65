"""Which key was pressed, by what is printed on it.

Usage: `name = key_name(glfw, key, scancode)` -> "f", "escape", "space", or None. GL thread only.

GLFW numbers keys by their place on an American keyboard. A person presses the one that says F, wherever a French or a
German keyboard has it. Where no Latin letter is printed (Cyrillic, Greek, Arabic), the place decides.
"""

from typing import Any

_NAMED = ("ESCAPE", "SPACE", "ENTER", "TAB", "LEFT", "RIGHT", "UP", "DOWN", *(f"F{n}" for n in range(1, 13)))
_PRINTED = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def key_name(glfw: Any, key: int, scancode: int) -> str | None:
    """Name of a key, as Stage.poll returns it; None for one that has no use here."""
    for name in _NAMED:
        if key == getattr(glfw, f"KEY_{name}"):
            return name.lower()
    printed = (glfw.get_key_name(key, scancode) or "").upper()
    if len(printed) == 1 and printed in _PRINTED:
        return printed.lower()
    if printed.isascii() and printed:
        return None  # punctuation is printed where an American keyboard has a letter
    return next((c.lower() for c in _PRINTED if key == getattr(glfw, f"KEY_{c}")), None)
