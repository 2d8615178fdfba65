"""Where a show was when it ended, for when it is switched on again: its walk, and where every parameter stood.

Usage: `memory = Memory(show)`; `memory.recall(navigator, controls)` once; `memory.keep(navigator, controls)` often,
`memory.close()`. Stage thread; the disk is waited for in a thread of its own, since one that is busy can take a
second. Nothing here raises: a full disk, a folder that cannot be made or a damaged file costs what was
remembered, never the show.

What the artist has changed since goes before what is remembered: a parameter that the show file now starts elsewhere,
or that the command line names, starts there. Every seed has a file of its own, so that trying another does not cost
the walk of months, and two projectors with two seeds of one show do not cost one another theirs.
"""

import hashlib
import json
import logging
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.control.controls import Controls
from engine.show.config import Show
from engine.show.paths import configs_dir, state_dir, write_whole
from engine.walk.navigator import Navigator

log = logging.getLogger("pedesis")

# Off and on again is the attendant's one cure: it must end a black or a frozen stage.
NOT_RECALLED = frozenset({"stage.blackout", "stage.freeze", "walk.pause"})
WALKS = 8  # of one show that are remembered, the last ones


class Memory:
    """The file in which one walk of one show is remembered."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._said = ""  # the last trouble that was logged, so that it is not told every ten seconds
        self._writer = threading.Thread()
        self._newest: str | None = None

    @property
    def folder(self) -> Path:
        """Shows of one name in different folders are different shows. Raises OSError where it cannot be made."""
        place = self._show.path.resolve()
        mark = "" if place.parent == configs_dir().resolve() else hashlib.sha256(os.fsencode(place)).hexdigest()[:8]
        folder = state_dir() / f"{self._show.name}{'-' if mark else ''}{mark}"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def path(self) -> Path:
        """A walk is known by where it starts and whether it closes. Raises OSError."""
        values = self._show.values
        return self.folder / f"seed-{values['walk.seed']}-loop-{values['walk.loop']:g}.json"

    def keep(self, navigator: Navigator, controls: Controls) -> None:
        """Begins to write it, whole or not at all; where the last is still being written, this one takes its turn."""
        note = {"values": self._show.values, "navigator": navigator.to_dict()}
        self._newest = json.dumps(note)
        if not self._writer.is_alive():
            self._writer = threading.Thread(target=self._write, name="memory", daemon=True)
            try:
                self._writer.start()
            except RuntimeError as error:  # no memory for its stack, or no more threads
                self._say(f"could not save where the walk is: {error}")

    def close(self, timeout_s: float = 1.0) -> None:
        """Waits for what is being written, and no longer than a show that was asked to end may take."""
        if self._writer.is_alive():
            self._writer.join(timeout_s)
        if not self._writer.is_alive():
            self._write()

    def _write(self) -> None:
        while (text := self._newest) is not None:
            self._newest = None
            try:
                write_whole(self.path, text)
                self._said = ""
                for older in self._walks()[WALKS:]:
                    older.unlink(missing_ok=True)
            except OSError as error:
                self._say(f"could not save where the walk is: {error}")

    def _walks(self) -> list[Path]:
        """This show's, the last one first. Raises OSError."""
        found: list[tuple[float, Path]] = []
        for file in self.folder.glob("seed-*.json"):
            with suppress(FileNotFoundError):  # another show of this name has just taken it away
                found.append((file.stat().st_mtime, file))
        return [file for _, file in sorted(found, reverse=True)]

    def recall(self, navigator: Navigator, controls: Controls) -> bool:
        """Goes on from what was kept; False when there is nothing, or nothing that can be used.

        A walk that is new takes over where the parameters of the last one stood.
        """
        try:
            own = self.path
            file = own if own.exists() else next(iter(self._walks()), None)
            text = file.read_text(encoding="utf-8") if file else None
        except (OSError, UnicodeDecodeError) as error:
            self._say(f"starting afresh, what was saved cannot be read: {error}")
            return False
        if file is None or text is None:
            return False
        try:
            self._take(json.loads(text), navigator if file == own else None, controls)
        except Exception as error:  # whatever stands in the file: it must not keep the show from starting
            self._say(f"starting afresh: {file} does not hold a walk ({type(error).__name__}: {error})")
            with suppress(OSError):
                os.replace(file, file.with_suffix(".bad"))
            return False
        return True

    def _take(self, note: Mapping[str, Any], navigator: Navigator | None, controls: Controls) -> None:
        if navigator is not None:
            navigator.restore(note["navigator"])

    def _say(self, words: str) -> None:
        if words != self._said:
            self._said = words
            log.warning("%s", words)
