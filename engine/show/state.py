"""Where a show was when it ended, for when it is switched on again: its walk, and where every parameter stood.

Usage: `memory = Memory(show)`; `memory.recall(navigator, controls)` once; `memory.keep(navigator, controls)` often,
`memory.close()`. Stage thread; the disk is waited for in a thread of its own, since one that is busy can take a
second. Nothing here raises: a full disk, a folder that cannot be made or a damaged file costs what was
remembered, never the show.

What the artist has changed since goes before what is remembered: a parameter that the show file or --set now
starts elsewhere starts there, and another seed is another walk, which does not cost the one before.
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

from engine.config import Show
from engine.controls import Controls
from engine.navigator import Navigator
from engine.paths import configs_dir, state_dir, write_whole

log = logging.getLogger("pedesis")

# Off and on again is the attendant's one cure: it must end a black or a frozen stage.
NOT_RECALLED = frozenset({"stage.blackout", "stage.freeze", "walk.pause"})
WALKS = 8  # of one show, remembered by their seeds


class Memory:
    """The file in which one show is remembered."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._said = ""  # the last trouble that was logged, so that it is not told every ten seconds
        self._writer = threading.Thread()
        self._newest: str | None = None
        self._walks: dict[str, Any] = {}  # of other seeds: trying one must not cost the walk of months

    @property
    def path(self) -> Path:
        """Shows of one name in different folders are different shows. Raises OSError where no folder can be made."""
        place = self._show.path.resolve()
        mark = "" if place.parent == configs_dir().resolve() else hashlib.sha256(str(place).encode()).hexdigest()[:8]
        return state_dir() / f"{self._show.name}{'-' if mark else ''}{mark}.json"

    def keep(self, navigator: Navigator, controls: Controls) -> None:
        """Begins to write it, whole or not at all; where the last is still being written, this one takes its turn."""
        walks = {**self._walks, _walk(self._show.values): navigator.to_dict()}
        self._newest = json.dumps({"values": self._show.values, "walks": walks, "controls": controls.snapshot()})
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
            except OSError as error:
                self._say(f"could not save where the walk is: {error}")

    def recall(self, navigator: Navigator, controls: Controls) -> bool:
        """Goes on from what was kept; False when there is nothing, or nothing that can be used."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return False
        except (OSError, UnicodeDecodeError) as error:
            self._say(f"starting afresh, what was saved cannot be read: {error}")
            return False
        try:
            self._take(json.loads(text), navigator, controls)
        except Exception as error:  # whatever stands in the file: it must not keep the show from starting
            self._say(f"starting afresh: {self.path} does not hold a walk ({type(error).__name__}: {error})")
            with suppress(OSError):
                os.replace(self.path, self.path.with_suffix(".bad"))
            return False
        return True

    def _take(self, note: Mapping[str, Any], navigator: Navigator, controls: Controls) -> None:
        values = self._show.values
        started: Mapping[str, Any] = note.get("values", values)
        same = {name for name in values if name in started and started[name] == values[name]}
        snapshot = {part: dict(note["controls"][part]) for part in ("now", "target")}
        # earlier versions knew one walk, that of the seed which the show then had
        walks = dict(note["walks"] if "walks" in note else {_walk(started): note["navigator"]})
        mine = walks.pop(_walk(values), None)
        if mine is not None:
            navigator.restore(mine)
        self._walks = dict(list(walks.items())[1 - WALKS :])
        wanted = same - NOT_RECALLED
        kept = {part: {n: v for n, v in of.items() if n in wanted} for part, of in snapshot.items()}
        controls.restore({**kept, "fired": note["controls"].get("fired")})

    def _say(self, words: str) -> None:
        if words != self._said:
            self._said = words
            log.warning("%s", words)


def _walk(values: Mapping[str, Any]) -> str:
    """What a walk is known by: where it starts and whether it closes."""
    return f"seed {values['walk.seed']}, loop {values['walk.loop']}"
