"""Lives on when the X server goes away.

Usage: `watch = XServerWatch(glfw)`; later `if watch.gone: ...end the show...`. Stage process, the GL thread.

Xlib ends the process when its connection breaks: the show's state is not saved and nothing is closed. From libX11
1.7 on a program may ask it not to. Its calls then do nothing, and the show can end as with a closed window.
"""

import ctypes
from typing import Any

_IoError = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_IoErrorExit = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)


class XServerWatch:
    """Whether the X server that GLFW shows on has gone. Keep it as long as the window."""

    def __init__(self, glfw: Any) -> None:
        self.gone = False
        # Xlib holds only addresses: what they belong to must stay.
        self._on_error = _IoError(self._lost)
        self._on_exit = _IoErrorExit(self._go_on)
        try:
            x11 = ctypes.CDLL("libX11.so.6")
            shown = ctypes.cast(glfw.get_x11_display(), ctypes.c_void_p)
            if shown:
                x11.XSetIOErrorExitHandler.argtypes = [ctypes.c_void_p, _IoErrorExit, ctypes.c_void_p]
                x11.XSetIOErrorExitHandler.restype = None
                x11.XSetIOErrorExitHandler(shown, self._on_exit, None)
                x11.XSetIOErrorHandler.argtypes = [_IoError]
                x11.XSetIOErrorHandler.restype = ctypes.c_void_p
                x11.XSetIOErrorHandler(self._on_error)
        except (OSError, AttributeError, ctypes.ArgumentError):
            return  # an older libX11: it ends the process, and the show comes back where it was saved last

    def _lost(self, _display: int | None) -> int:
        self.gone = True
        return 0

    def _go_on(self, _display: int | None, _data: int | None) -> None:
        """In place of exit(1)."""
