"""Keeps the screen awake as long as this process lives.

Usage: `said = hold_screen_saver(glfw)`. Stage process, once, after GLFW has opened its window.

Nothing here leaves a setting behind that a crash could not restore: the X server forgets a suspension with its
client, caffeinate and what GNOME is given to wait for end with the process they watch, and on Windows and Wayland
GLFW itself asks for it while full-screen.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from typing import Any

from engine.stage.display import is_on


def hold_screen_saver(glfw: Any) -> str:
    """Keep the screen awake; says what was done."""
    if sys.platform == "darwin":
        if shutil.which("caffeinate") is None:
            return "not held off: caffeinate is missing"
        return _started(["caffeinate", "-d", "-w", str(os.getpid())])
    # GNOME blanks by a clock of its own, which the X server's extension does not reach.
    if "GNOME" in os.environ.get("XDG_CURRENT_DESKTOP", "") and shutil.which("gnome-session-inhibit"):
        until = ("tail", f"--pid={os.getpid()}", "-f", os.devnull)
        reason = ("--app-id", "pedesis", "--reason", "a show is on")
        return _started(["gnome-session-inhibit", "--inhibit", "idle", *reason, *until])
    if is_on(glfw, "X11"):
        return _suspended(glfw)
    return "held off by GLFW while full-screen"


def _started(command: list[str]) -> str:
    try:
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError as error:
        return f"not held off: {command[0]} does not start ({error.strerror or error})"
    return f"held off by {command[0]}"


def _suspended(glfw: Any) -> str:
    try:
        saver = ctypes.CDLL("libXss.so.1")
        saver.XScreenSaverSuspend.argtypes = [ctypes.c_void_p, ctypes.c_int]
        shown = ctypes.cast(glfw.get_x11_display(), ctypes.c_void_p)
        if not shown:  # the extension would take it for an address
            return "not held off: GLFW names no X display"
        saver.XScreenSaverSuspend(shown, 1)
    except (OSError, AttributeError, ctypes.ArgumentError):
        return "held off by GLFW while full-screen; install libxss1 to keep the display from powering down too"
    return "held off through the X screen saver extension"
