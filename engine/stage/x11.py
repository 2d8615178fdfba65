"""What happens when the X server goes away: left to itself, Xlib ends the process there and then.

Usage: `kept = when_server_goes(glfw, callback)`. Stage process, GL thread only; X11 only.

Somebody logs out, or the server crashes. The show should end as if its window had been closed: walk saved, files
whole. Xlib 1.7 can be told to return from the call it was in (XSetIOErrorExitHandler); its connection is useless from
then on, and every further call fails at once and comes here again. With an older one the process ends as before.
"""

import ctypes
from collections.abc import Callable
from typing import Any

_IO_ERROR = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_IO_ERROR_EXIT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)


def when_server_goes(glfw: Any, callback: Callable[[], None]) -> object:
    """Has the callback called in place of the process's end; keep what is returned as long as the display is open.

    None where it cannot be had.
    """
    try:
        xlib = ctypes.CDLL("libX11.so.6")
        set_exit = xlib.XSetIOErrorExitHandler
        display = ctypes.cast(glfw.get_x11_display(), ctypes.c_void_p)
    except (OSError, AttributeError, ctypes.ArgumentError):
        return None
    if not display:
        return None
    quiet = _IO_ERROR(lambda _display: 0)  # it would write a line to stderr, and end the process
    gone = _IO_ERROR_EXIT(lambda _display, _data: callback())
    xlib.XSetIOErrorHandler.argtypes = [_IO_ERROR]
    set_exit.argtypes = [ctypes.c_void_p, _IO_ERROR_EXIT, ctypes.c_void_p]
    xlib.XSetIOErrorHandler(quiet)
    set_exit(display, gone, None)
    return quiet, gone
