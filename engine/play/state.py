"""Where the walk of a show was when it ended, so that it resumes there when the show is switched on again.

Usage: `memory = Memory(show)`; `memory.recall(navigator, controls)` once; `memory.keep(navigator)` often;
`memory.close()`. Stage thread; the disk is waited for in a thread of its own, since one that is busy can take a
second. Nothing here raises: a full disk, a folder that cannot be made or a damaged file costs what was
remembered, never the show.

Only the place is remembered: how far the walk has come, its home and its seed. What a hand steered is not the
show's own, and after a restart the show's values are back: off and on is the attendant's one cure, and it must end
a stage that is black, dark, frozen or still.

Every seed has a file of its own, so that trying another does not cost the walk of months, and two projectors with
two seeds of one show keep theirs apart. Beside each file lies the one before it (`.json~`), for when it is damaged.
"""

import errno
import json
import logging
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.control.controls import Controls
from engine.show.config import Show
from engine.show.files import DISK_TIMEOUT_S, in_time, read_text_bounded, set_aside, write_whole
from engine.show.paths import show_state_dir
from engine.walk.guide import Guided
from engine.walk.navigator import Navigator
from engine.walk.pulp.water import Water

log = logging.getLogger("pedesis")

WALKS = 8  # of one show that are remembered, the last ones
_MOST_BYTES = 1_000_000  # a walk takes a few thousand
_HIGHEST = 2**53
_DAMAGED = {errno.EINVAL, errno.EISDIR, errno.EFBIG, errno.EILSEQ, errno.EACCES, errno.EPERM, errno.EIO}


def folder_of(show: Show) -> Path:
    """Where what a show remembers lies. Raises OSError."""
    return show_state_dir(show.path)


class Memory:
    """The file in which one walk of one show is remembered."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._said = ""  # the last trouble that was logged, so that it is not told every ten seconds
        self._damaged: set[Path] = set()
        self._writer = threading.Thread()
        self._newest: dict[str, Any] | None = None

    @property
    def folder(self) -> Path:
        """Raises OSError."""
        return folder_of(self._show)

    @property
    def path(self) -> Path:
        """A walk is known by where it starts and whether it closes. Raises OSError."""
        values = self._show.values
        return self.folder / f"seed-{values['walk.seed']}-loop-{values['walk.loop']:g}.json"

    def keep(self, navigator: Navigator, water: Water | None = None, guided: Guided | None = None) -> None:
        """Begins to write it, whole or not at all; while one is still being written, the newest waits its turn.
        water: how far a torn text was read on, if the show has one. guided: how far a folder of guides was shown."""
        self._newest = {"navigator": navigator.to_dict()}
        if guided is not None and guided.turns:
            self._newest["guides"] = guided.turns
        if water is not None and water.torn is not None:
            self._newest["water"] = water.to_dict()
        self._begin()

    def close(self, timeout_s: float = 1.0) -> None:
        """Waits for what is being written, and no longer than a show that was asked to end may take."""
        self._begin()
        if self._writer.is_alive():
            self._writer.join(timeout_s)
        if self._newest is not None and not self._writer.is_alive():  # it came just as the writer was leaving
            self._begin()
            if self._writer.is_alive():
                self._writer.join(timeout_s)

    def recall(
        self, navigator: Navigator, controls: Controls, water: Water | None = None, guided: Guided | None = None
    ) -> bool:
        """Resumes the walk that was kept; False when there is none, or none that can be used."""
        try:
            # Within a time limit: the state folder may lie on a network mount that is gone.
            found = in_time(self._saved, DISK_TIMEOUT_S)
        except OSError as error:
            self._say(f"the walk starts afresh, for what was saved cannot be read: {_reason(error)}")
            return False
        for file, note in found:
            try:
                navigator.restore(note["navigator"])
            except Exception as error:  # whatever stands in the file: it must not keep the show from starting
                self._set_aside(file, error)
                continue
            if water is not None and "water" in note:
                self._restore(water, note["water"], file)
            if guided is not None and "guides" in note:
                guided.turn_to(note["guides"])
            if "walk.seed" not in self._show.insisted:
                # A seed steered by hand belongs to the place: without it the walk would turn back to the show's own.
                controls.set("walk.seed", next(reversed(navigator.voices)))
            return True
        return False

    def _restore(self, water: Water, data: Any, file: Path) -> None:
        try:
            water.restore(data, is_encoded=False)
        except Exception as error:  # whatever stands there: the walk itself is good
            log.warning("the torn text is read from its beginning, for %s is damaged: %r", file, error)

    def _begin(self) -> None:
        if self._newest is None or self._writer.is_alive():
            return
        writer = threading.Thread(target=self._write, name="memory", daemon=True)
        try:
            writer.start()
            self._writer = writer
        except RuntimeError as error:  # no memory for its stack, or no more threads
            self._say(f"the walk could not be saved: {error}")

    def _write(self) -> None:
        while (walk := self._newest) is not None:
            self._newest = None
            try:
                self._write_one(walk)
                self._said = ""
            except OSError as error:
                self._say(f"the walk could not be saved, and starts afresh next time: {_reason(error)}")

    def _write_one(self, walk: dict[str, Any]) -> None:
        path = self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        # Numbered, since the clock of a machine may be wrong, or have been wrong when a file was written.
        counts = {file: self._count(file) for file in self._walks()}
        note = {"count": 1 + max(counts.values(), default=0), **walk}
        with suppress(FileNotFoundError):
            os.replace(path, _before(path))
        write_whole(path, json.dumps(note))
        others = sorted(counts.keys() - {path}, key=lambda file: (counts[file], file.name), reverse=True)
        for oldest in others[WALKS - 1 :]:
            for file in (oldest, _before(oldest)):
                file.unlink(missing_ok=True)

    def _walks(self) -> set[Path]:
        """This show's. Raises OSError."""
        return {file.with_name(file.name.removesuffix("~")) for file in self.folder.glob("seed-*.json*")
                if file.name.endswith((".json", ".json~"))}  # fmt: skip

    def _saved(self) -> list[tuple[Path, dict[str, Any]]]:
        """What was kept of this walk, the newest first. Raises OSError."""
        notes = [(file, note) for file in (self.path, _before(self.path)) if (note := self._read(file)) is not None]
        return sorted(notes, key=lambda entry: -int(entry[1].get("count", 0)))

    def _count(self, file: Path) -> int:
        """The number of a walk: the higher, the later it was written. 0 before there were numbers. Raises OSError."""
        note = self._read(file) or self._read(_before(file)) or {}
        return int(note.get("count", 0))

    def _read(self, file: Path) -> dict[str, Any] | None:
        """What stands in a file; None where it is missing, or damaged, and then set aside. Raises OSError."""
        try:
            note = json.loads(read_text_bounded(file, _MOST_BYTES))
            if not _is_walk(note):
                raise ValueError("this is not a saved walk")
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno not in _DAMAGED:  # too many open files, a disk that does not answer: another time
                raise
            self._set_aside(file, error)
            return None
        except (ValueError, RecursionError) as error:
            self._set_aside(file, error)
            return None
        return note

    def _set_aside(self, file: Path, error: Exception) -> None:
        kept = set_aside(file)
        if kept or file not in self._damaged:  # one that cannot be renamed is met again every ten seconds
            self._damaged.add(file)
            where = f"; set aside as {kept.name}" if kept else ""
            why = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
            log.warning("the saved walk in %s is damaged (%s)%s", file, why, where)

    def _say(self, words: str) -> None:
        if words != self._said:
            self._said = words
            log.warning("%s", words)


def _is_walk(note: object) -> bool:
    """Whether it looks like one; the navigator will tell."""
    if not isinstance(note, dict) or not isinstance(note.get("navigator"), dict):
        return False
    count = note.get("count", 0)
    return isinstance(count, int) and 0 <= count < _HIGHEST


def _before(path: Path) -> Path:
    return path.with_name(path.name + "~")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}"
