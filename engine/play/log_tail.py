"""The last lines of the log, for those who cannot see the terminal.

    tail = LogTail(); tail.open()
    tail.take()                          # lines since the last call
    tail.kept; tail.close()

Written to by any thread, read by the show's. Bounded: the oldest lines go.
"""

import logging
from collections import deque
from collections.abc import Mapping
from typing import Any

KEPT = 100
LONGEST = 500  # characters


class LogTail(logging.Handler):
    """See the module's head."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._kept: deque[Mapping[str, Any]] = deque(maxlen=KEPT)
        self._new: deque[Mapping[str, Any]] = deque(maxlen=KEPT)

    @property
    def kept(self) -> tuple[Mapping[str, Any], ...]:
        """The last lines, oldest first."""
        self.acquire()  # which whoever logs holds too
        try:
            return tuple(self._kept)
        finally:
            self.release()

    def open(self) -> None:
        """Begins to listen."""
        logging.getLogger("pedesis").addHandler(self)

    def close(self) -> None:
        """Listens no more."""
        logging.getLogger("pedesis").removeHandler(self)
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """One line of the log."""
        try:
            text = record.getMessage()[:LONGEST]
        except (TypeError, ValueError):
            text = str(record.msg)[:LONGEST]
        line = {"time": round(record.created, 3), "level": record.levelname, "text": text}
        self._kept.append(line)
        self._new.append(line)

    def take(self) -> tuple[Mapping[str, Any], ...]:
        """What is new since the last call."""
        lines = []
        while self._new:
            lines.append(self._new.popleft())
        return tuple(lines)
