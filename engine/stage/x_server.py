"""Lives on when the X server goes away.

Usage: `watch = XServerWatch(glfw)`; later `if watch.gone: ...end the show...`. Stage process, the GL thread.

Xlib ends the process when its connection breaks: the show's state is not saved and nothing is closed. From libX11
1.7 on a program may ask it not to. Xlib's calls then do nothing, and the show can end as with a closed window; but
GLFW takes their answers for granted, so whoever holds the window leaves it alone from then on.
"""

import ctypes
import logging
from typing import Any

from engine.stage.display import is_on

log = logging.getLogger(__name__)

_IoError = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_IoErrorExit = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)


class XServerWatch:
    """Whether the X server that GLFW shows on has gone. Keep it as long as the window, then close it."""

    def __init__(self, glfw: Any) -> None:
        self.gone = False
        # Xlib holds only the addresses of these.
        self._on_error, self._on_exit = _IoError(self._lost), _IoErrorExit(self._stay)
        self._x11: ctypes.CDLL | None = None
        if not is_on(glfw, "X11"):
            return
        try:
            x11 = ctypes.CDLL("libX11.so.6")
            x11.XSetIOErrorHandler.argtypes = [ctypes.c_void_p]
            x11.XSetIOErrorHandler.restype = ctypes.c_void_p
            x11.XSetIOErrorExitHandler.argtypes = [ctypes.c_void_p, _IoErrorExit, ctypes.c_void_p]
            x11.XSetIOErrorExitHandler.restype = None
            if shown := ctypes.cast(glfw.get_x11_display(), ctypes.c_void_p):
                x11.XSetIOErrorExitHandler(shown, self._on_exit, None)
                x11.XSetIOErrorHandler(ctypes.cast(self._on_error, ctypes.c_void_p))
                self._x11 = x11
        except (OSError, AttributeError, ctypes.ArgumentError):
            return  # an older libX11: it ends the process, and the show resumes from where it was saved last

    def close(self) -> None:
        """Leave it to Xlib again; the window is closed."""
        if self._x11:
            self._x11.XSetIOErrorHandler(None)

    def _lost(self, _display: int | None) -> int:
        self.gone = True
        log.warning("the X server has gone; the show ends as if its window had been closed")
        return 0

    def _stay(self, _display: int | None, _data: int | None) -> None:
        """In place of exit(1)."""
