"""Single keys in a terminal, without Enter.

    with Keyboard() as keyboard:
        keyboard.pressed(0.05)        # ["up", "enter", "x"]; waits no longer than that

Names as the stage has them (stage/keys.py). The thread that has the terminal.
"""

import os
import select
import sys
import time
from types import TracebackType
from typing import Any

_NAMES = {
    "\x1b[A": "up", "\x1b[B": "down", "\x1b[C": "right", "\x1b[D": "left", "\x1bOA": "up", "\x1bOB": "down",
    "\r": "enter", "\n": "enter", "\t": "tab", " ": "space", "\x1b": "escape", "\x7f": "x", "\x08": "x",
    "\xe0H": "up", "\xe0P": "down",
}  # fmt: skip


def names_of(typed: str) -> list[str]:
    """The keys in what a terminal sent; what has no name here is left out."""
    found = []
    while typed:
        known = next((typed[:n] for n in (3, 2, 1) if typed[:n] in _NAMES), "")
        if known or typed[0].isalnum():
            found.append(_NAMES.get(known) or typed[0].lower())
        typed = typed[len(known) or 1 :]
    return found


class Keyboard:
    """See the module's head. Ctrl-C goes on raising KeyboardInterrupt."""

    def __enter__(self) -> "Keyboard":
        self._before: Any = None
        if os.name != "nt":
            import termios
            import tty

            self._before = termios.tcgetattr(sys.stdin.fileno())
            tty.setcbreak(sys.stdin.fileno())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._before is not None:
            import termios

            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._before)

    def pressed(self, timeout_s: float) -> list[str]:
        """The keys pressed since the last call, after waiting for one at most so long. Raises EOFError when the
        terminal has gone."""
        if os.name == "nt":
            return self._pressed_on_windows(timeout_s)
        if not select.select([sys.stdin], [], [], timeout_s)[0]:
            return []
        typed = os.read(sys.stdin.fileno(), 256)
        if not typed:
            raise EOFError
        return names_of(typed.decode("utf-8", "replace"))

    def _pressed_on_windows(self, timeout_s: float) -> list[str]:
        import msvcrt

        console: Any = msvcrt
        time.sleep(timeout_s)
        typed = ""
        while console.kbhit():
            typed += console.getwch()
        return names_of(typed)
