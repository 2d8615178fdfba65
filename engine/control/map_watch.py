"""Reads the mappings of a show again whenever its file is saved; a broken edit keeps the last good ones.

    watch = MapWatch(show.path, show.registry, mapper.use); watch.start()
    watch.mistake                     # what is wrong with the file as it is now, "" if nothing is
    watch.close()

A thread of its own looks at the file once a second and reads it when it has changed, so no disk is ever waited for by
whoever plays. Only [[map]] is read again; the rest of a show begins with the show.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from engine.control.map_entry import MapTable
from engine.control.map_table import lines_of, read_table
from engine.show.config import ShowError, parse_show
from engine.show.params import Registry, did_you_mean

log = logging.getLogger("pedesis")

LOOK_S = 1.0
SETTLE_S = 0.1  # an editor may write a file in several pieces
_Mark = tuple[int, int, int]  # when a file was changed, its size, and which file it is


class MapWatch:
    """See the module's head."""

    def __init__(self, path: Path, registry: Registry, use: Callable[[MapTable], None], look_s: float = LOOK_S) -> None:
        """use: is given every table that is good, in the watch's own thread."""
        self.mistake = ""
        self._path, self._registry, self._use, self._look_s = path, registry, use, look_s
        self._mark = _mark(path)
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to look; returns at once."""
        self._thread = threading.Thread(target=self._run, name="map-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends it. A disk that does not answer is not waited for."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.wait(self._look_s):
            self.look()

    def look(self) -> None:
        """Looks once, and reads the file if it has changed."""
        mark = _mark(self._path)
        if mark is None or mark == self._mark or mark[1] == 0:
            return  # a file that is gone or empty for a moment is being replaced
        while not self._closing.wait(SETTLE_S):
            mark, before = _mark(self._path), mark
            if mark == before:
                break
        self._mark = mark
        problems: list[str] = []
        table = self._read(problems)
        if problems:
            self.mistake = problems[0]
            for problem in problems:
                log.warning("%s", problem)
            log.warning("the mappings stay as they were before %s was edited", self._path.name)
        elif table is not None:
            self.mistake = ""
            self._use(table)
            count = len(table.entries)
            mappings = f"{count} mapping{'' if count == 1 else 's'}"
            log.info("%s: %s read again; all else counts when the show begins", self._path.name, mappings)

    def _read(self, problems: list[str]) -> MapTable | None:
        try:
            content = parse_show(self._path)
        except ShowError as error:
            problems += error.problems
            return None

        def report(key: str, must_be: str, got: str, nearest: str | None = None) -> None:
            problems.append(f"{self._path}: {key} must be {must_be}, got {got}{did_you_mean(nearest)}")

        return read_table(content.get("map"), self._registry, report, lines_of(self._path))


def _mark(path: Path) -> _Mark | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
