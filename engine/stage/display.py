"""Finds the window system and starts GLFW on it.

Usage: `glfw = start_glfw()`, which the caller terminates; `has_display()`. Stage process, its first thread.
"""

import os
import subprocess
import sys
from functools import cache
from typing import Any

from engine.show.errors import CannotStart


class NoDisplay(CannotStart):
    """No screen to show on; the message is one sentence with the cure."""


def has_display() -> bool:
    """Whether a window could be opened here. Tried for real, as DISPLAY may name a screen long gone."""
    try:
        start_glfw().terminate()
    except NoDisplay:
        return False
    return True


def start_glfw() -> Any:
    """GLFW, ready; the caller terminates it. Raises NoDisplay."""
    where = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    cure = "start Pedesis from a desktop session, or run with --headless."
    if sys.platform.startswith("linux") and not where:
        raise NoDisplay(f"there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set): {cure}")
    os.environ.setdefault("PYGLFW_LIBRARY_VARIANT", _variant())
    if sys.platform.startswith("linux") and _variant() == "wayland" and _kills():
        raise NoDisplay(
            f"GLFW crashes on the Wayland desktop {where}, as it does where no keyboard and no mouse is connected: "
            "connect one, or run Pedesis through XWayland or with --headless."
        )
    try:
        import glfw  # only here: a headless server may lack the libraries it links to
    except (ImportError, OSError) as error:
        raise NoDisplay(
            f"the window library GLFW does not load ({error}): run scripts/run again to install what it needs, "
            "or run with --headless."
        ) from error
    glfw.ERROR_REPORTING = "ignore"
    # Which GLFW is loaded is not certain: a newer one of the system's is preferred, and may know both.
    if sys.platform.startswith("linux") and hasattr(glfw, "PLATFORM"):
        platform = getattr(glfw, f"PLATFORM_{_variant().upper()}")
        if glfw.platform_supported(platform):
            glfw.init_hint(glfw.PLATFORM, platform)
    if not glfw.init():
        raise NoDisplay(f"{where or 'the display'} cannot be opened ({last_error(glfw)}): {cure}")
    return glfw


def _variant() -> str:
    # XWayland where there is a choice: a native Wayland window that is covered or on a screen asleep
    # gets no frame callbacks, and the buffer swap, hence the show, would wait for them for ever.
    return "wayland" if os.environ.get("WAYLAND_DISPLAY") and not os.environ.get("DISPLAY") else "x11"


@cache  # asked by has_display and again by the stage, and it costs a start of Python
def _kills() -> bool:
    """Whether GLFW takes its process down as it starts: it does on Wayland without a seat (glfw/glfw#2517)."""
    trial = "import glfw; glfw.ERROR_REPORTING = 'ignore'; glfw.init()"
    return subprocess.run([sys.executable, "-c", trial], capture_output=True).returncode < 0


def is_on(glfw: Any, platform: str) -> bool:
    """Whether the GLFW that runs shows on this platform: "X11" or "WAYLAND"."""
    if not hasattr(glfw, "get_platform"):  # before 3.4 it knew one each
        return sys.platform.startswith("linux") and _variant() == platform.lower()
    return bool(glfw.get_platform() == getattr(glfw, f"PLATFORM_{platform}"))


def last_error(glfw: Any) -> str:
    """What GLFW says went wrong."""
    _, said = glfw.get_error()
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said or "")
    return text or "no reason given"
