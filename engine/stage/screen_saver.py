"""Keeps the screen awake while a show is on.

Usage: `log.info("screen saver: %s", hold_screen_saver(glfw))`. Stage process, GL thread only.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from typing import Any

from engine.stage.desktop import is_on


def hold_screen_saver(glfw: Any) -> str:
    """Keep the screen awake as long as this process lives; says what was done.

    Nothing here leaves a setting behind that a crash could not restore: the X server forgets a
    suspension with its client, caffeinate and what GNOME is given to wait for end with the process they watch,
    and on Windows and Wayland GLFW itself asks for it while full-screen.
    """
    if sys.platform == "darwin":
        if shutil.which("caffeinate") is None:
            return "not held off: caffeinate is missing"
        subprocess.Popen(["caffeinate", "-d", "-w", str(os.getpid())])
        return "held off by caffeinate"
    # GNOME blanks by a clock of its own, which the X server's extension does not reach.
    if "GNOME" in os.environ.get("XDG_CURRENT_DESKTOP", "") and shutil.which("gnome-session-inhibit"):
        until = ("tail", f"--pid={os.getpid()}", "-f", os.devnull)
        reason = ("--app-id", "pedesis", "--reason", "a show is on")
        subprocess.Popen(["gnome-session-inhibit", "--inhibit", "idle", *reason, *until], stderr=subprocess.DEVNULL)
        return "held off by gnome-session-inhibit"
    if is_on(glfw, "X11"):
        try:
            saver = ctypes.CDLL("libXss.so.1")
            saver.XScreenSaverSuspend.argtypes = [ctypes.c_void_p, ctypes.c_int]
            shown = ctypes.cast(glfw.get_x11_display(), ctypes.c_void_p)
            if not shown:  # the extension would take it for an address
                return "not held off: GLFW names no X display"
            saver.XScreenSaverSuspend(shown, 1)
        except (OSError, AttributeError, ctypes.ArgumentError):
            return "held off by GLFW while full-screen; for display power saving install libxss1"
        return "held off through the X screen saver extension"
    return "held off by GLFW while full-screen"
