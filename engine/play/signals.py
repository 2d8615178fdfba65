"""SIGINT, SIGTERM and SIGHUP as a request that a loop answers at its next turn, instead of an exception anywhere.

Usage: `with StopRequest() as stop: while not stop.asked: ...`. Main thread; elsewhere it never asks.
An exception raised wherever the program happens to be can be lost in a callback, or leave a file half closed.
"""

import signal
import threading
from types import FrameType
from typing import Any


class StopRequest:
    """Whether somebody asked this process to end; the handlers before are put back after."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            asked = [signal.SIGTERM, signal.SIGINT]
            hangup = getattr(signal, "SIGHUP", None)  # the terminal or the ssh session has gone
            if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:  # nohup means to outlive it
                asked.append(hangup)
            self._before = {s: signal.signal(s, self._ask) for s in asked}
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
