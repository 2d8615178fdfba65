"""What was learnt goes into the show's file, in a thread of its own, so that nobody who plays waits for a disk.

    file = LearnFile(show.path, Path())
    file.save("walk.speed", binding)          # [] when it was cleared; the newest of each parameter counts
    file.said                                 # what became of it, in a sentence
    file.close()
    obey(learner, file, "enter")              # what the keys do while one learns

A show that comes with Pedesis is never written: the first time it is copied, and the copy has what was learnt.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.control.learn import Learner
from engine.control.show_edit import EditError, is_shipped, own_copy, write_maps
from engine.show.files import ENDING_S

log = logging.getLogger("pedesis")


class LearnFile:
    """See the module's head. `save` and `close` belong to one thread."""

    def __init__(self, path: Path, folder: Path) -> None:
        """folder: where a show that comes with Pedesis is copied to."""
        self.path = path
        self.said = ""
        self._folder = folder
        self._lock = threading.Lock()
        self._waiting: dict[str, Sequence[Mapping[str, Any]]] = {}
        self._thread: threading.Thread | None = None

    def save(self, to: str, binding: Sequence[Mapping[str, Any]]) -> None:
        """Writes the mappings of one parameter, in place of those it has; returns at once."""
        with self._lock:
            self._waiting[to] = binding
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._run, name="learn", daemon=True)
            self._thread.start()

    def close(self, timeout_s: float = ENDING_S) -> None:
        """Waits for what is being written."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                to = next(iter(self._waiting))
                binding = self._waiting.pop(to)
            try:
                self._write(to, binding)
            except EditError as error:
                self._say(str(error), logging.WARNING)

    def _write(self, to: str, binding: Sequence[Mapping[str, Any]]) -> None:
        copied = ""
        if is_shipped(self.path):
            copy = own_copy(self.path, self._folder)
            copied = f" ({self.path.stem} comes with Pedesis and stays as it is; play yours with: pedesis run {copy})"
            self.path = copy
        write_maps(self.path, to, binding)
        self._say(f"{to}: {'written to' if binding else 'cleared in'} {self.path}{copied}", logging.INFO)

    def _say(self, sentence: str, level: int) -> None:
        self.said = sentence
        log.log(level, "%s", sentence)


def obey(learner: Learner, file: LearnFile, key: str) -> bool:
    """What a key does while one learns, in a terminal or on stage; False for a key that does nothing here."""
    if key == "up":
        learner.previous()
    elif key == "down":
        learner.next()
    elif key == "tab":
        learner.other()
    elif key == "enter":
        name = learner.param.name
        if (binding := learner.bind()) is not None:
            file.save(name, binding)
    elif key == "x":
        learner.clear()
        file.save(learner.param.name, [])
    else:
        return False
    return True
