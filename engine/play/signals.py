"""SIGINT, SIGTERM and SIGHUP as a request that a loop answers at its next turn, instead of an exception anywhere.

Usage: `with StopRequest() as stop: while not stop.asked: ...`. Main thread; elsewhere it never asks.
An exception raised wherever the program happens to be can be lost in a callback, or leave a file half closed.
"""

import signal
import threading
from types import FrameType
from typing import Any


class StopRequest:
    """Whether somebody asked this process to end, and how often; the handlers before are put back after.

    last_resort: after the second request the system's own way of ending is put back: a third one ends the process
    where it stands, also inside a call to a disk that is gone.
    """

    def __init__(self, last_resort: bool = False) -> None:
        self.count = 0
        self._last_resort = last_resort
        self._before: dict[int, Any] = {}

    @property
    def asked(self) -> bool:
        return self.count > 0

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            asked = [signal.SIGTERM, signal.SIGINT]
            hangup = getattr(signal, "SIGHUP", None)  # the terminal or the ssh session has gone
            if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:  # nohup means to outlive it
                asked.append(hangup)
            self._before = {s: signal.signal(s, self._ask) for s in asked}
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self._last_resort and self.count >= 2:
            signal.signal(number, signal.SIG_DFL)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
