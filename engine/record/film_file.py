"""The place of one film on the disk while it is made: its draft, the note beside it, its lock, its own name at last.

Usage:

    with FilmFile(Path("out/walk.mp4"), provenance) as file:    # RecorderError when a film is being written there
        unfinished = file.unfinished()                          # what an earlier run left of this very film
        ...                                                     # write to file.draft
        file.finish(frames)                                     # whole: it takes its name

The lock is the operating system's, on the film's own draft: it ends with the process, however that ends, and needs no
file of its own. Any one thread; `save` any.
"""

import errno
import hashlib
import json
import logging
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from engine.record.names import RecorderError, Series, is_series, reason
from engine.show.files import make_folder, read_bounded, readable_json, write_whole

try:
    import fcntl
except ImportError:  # Windows: two films with one name are not kept apart there
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger("pedesis")

_LONGEST_DRAFT = ".1234567890.part"  # what write_whole adds to a note's name for a moment

_MOST_BYTES = 10_000_000  # of a note


@dataclass(frozen=True)
class Unfinished:
    """What an earlier run left of a film: where it lies, how many frames are whole, and what its note says."""

    draft: Path
    frames: int = 0
    provenance: Mapping[str, Any] | None = None  # None where no note can be read
    arithmetic: Mapping[str, Any] | None = None
    command: str = ""


class FilmFile:
    """The place of one film while it is made, held against other films.

    A film is written to a draft named after its provenance, `walk.part-3f9a21.mp4` for `walk.mp4`: each film resumes
    its own draft, another film's is left alone, and an older film keeps the name until this one is whole. The note
    beside it, `walk.part-3f9a21.mp4.json`, says what the film is made of and how many frames are safely on the disk.
    When the film is whole the draft becomes `walk.mp4` and the note `walk.mp4.json`. A run that resumes a film renames
    the draft to `walk.part-3f9a21-old.mp4`, copies it, and only then deletes it.

    Numbered pictures are written where they belong, with their note, `walk-%04d.png.json`, beside them from the start.
    What is no plain file (a pipe) is written to as it is, and has no note.

    path: the name asked for. provenance: everything the film's bytes depend on, as far as it is known at the start,
    JSON-able; arithmetic, which is known later, is set before anything is written. about: what else the note tells
    people, first `command`, which made the film.
    Entering raises RecorderError when the place cannot be written or a film is being made there.
    """

    def __init__(
        self, path: Path, provenance: Mapping[str, Any] | None = None, about: Mapping[str, str] | None = None
    ) -> None:
        self.path = self.draft = path
        self.provenance: dict[str, Any] = json.loads(json.dumps(provenance or {}))
        self.arithmetic: dict[str, Any] | None = None
        self._about = dict(about or {})
        self._series = Series.of(path) if is_series(path) else None
        # A link stays, and what it points to is replaced.
        self._place = Path(os.path.realpath(path)) if path.is_symlink() else path
        self._note = self._sidecar = self._place.with_name(f"{self._place.name}.json")
        self._old: Path | None = None
        self._locked: Path | None = None
        if self._series is not None:
            self._locked = self._series.picture(1)
        elif self._place.is_file() or not self._place.exists():
            self._name_draft()
        self._fd: int | None = None
        self._saved = 0

    def _name_draft(self) -> None:
        tag = hashlib.sha256(json.dumps(self.provenance, sort_keys=True).encode()).hexdigest()[:6]
        stem, suffix = self._place.stem, self._place.suffix
        self._locked = self.draft = self._place.with_name(f"{stem}.part-{tag}{suffix}")
        self._note = self._place.with_name(f"{self.draft.name}.json")
        self._old = self._place.with_name(f"{stem}.part-{tag}-old{suffix}")

    def __enter__(self) -> "FilmFile":
        if self._locked is None:
            return self
        try:
            make_folder(self._locked.parent)
            with suppress(FileNotFoundError):  # but not what a name that is too long raises
                os.lstat(self._note.with_name(self._note.name + _LONGEST_DRAFT))
            self._fd = _claim(self._locked)
            if self._fd is not None and any(_is_locked(draft) for draft in self._other_drafts()):
                self._leave()
        except OSError as fault:
            self._leave()
            raise RecorderError(f"cannot record to {self.path}: {reason(fault)}") from None
        if self._fd is None:
            raise RecorderError(
                f"another film is being written to {self.path}: wait for it, or give this one another name"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        """Gives up the lock, and takes the draft away if nothing was written to it."""
        if self._fd is None:
            return
        assert self._locked is not None
        empty = False
        with suppress(OSError):  # on the way out nothing matters more than what ended the film
            empty = _is_open_at(self._fd, self._locked) and not os.fstat(self._fd).st_size
            if empty and fcntl is not None:  # before another film can have it
                self._locked.unlink()
        os.close(self._fd)
        self._fd = None
        if empty and fcntl is None:  # Windows removes no open file
            with suppress(OSError):
                self._locked.unlink()

    def unfinished(self) -> Unfinished | None:
        """What an earlier run left of this very film, if it can be resumed; of numbered pictures also all of them."""
        found = _read_note(self._note, self.draft)
        if found is None or found.provenance != self.provenance or found.frames <= 0:
            return None
        with suppress(OSError):
            if self._series is not None:
                return found if set(range(1, found.frames + 1)) <= set(self._series.numbers()) else None
            if (self._old is not None and self._old.exists()) or self.draft.stat().st_size > 0:
                return found
        return None

    def in_the_way(self) -> str:
        """What starting over would write over and is not known to be this film's, in a clause; or nothing.

        Raises RecorderError where something that is no plain file has the name of a picture."""
        if self._locked is None:
            return ""
        try:
            names = [self._series.picture(n) for n in self._series.numbers()] if self._series else [self.draft]
            there = [name for name in names if name.exists() and not (name.is_file() and not name.stat().st_size)]
        except OSError as fault:
            raise RecorderError(f"cannot record to {self.path}: {reason(fault)}") from None
        for name in there:
            if not name.is_file():
                raise RecorderError(f"cannot record to {self.path}: {name} is not a plain file")
        note = _read_note(self._note, self.draft)
        if not there or (note is not None and note.provenance == self.provenance):
            return ""
        if self._series is None:
            return f"{self.draft} holds frames, but its note {self._note.name} is missing, damaged or another film's"
        if len(there) == 1:
            return f"{there[0]} is there already, and is not known to be this film's"
        return f"{len(there)} pictures from {there[0].name} to {there[-1].name} are there already, of another film"

    def others(self) -> list[Unfinished]:
        """What other films of this name have left unfinished. Raises RecorderError."""
        try:
            return [
                _read_note(draft.with_name(f"{draft.name}.json"), draft) or Unfinished(draft)
                for draft in self._other_drafts()
            ]
        except OSError as fault:
            raise RecorderError(f"cannot record to {self.path}: {reason(fault)}") from None

    def _other_drafts(self) -> list[Path]:
        """Of this name, by this version of Pedesis and by the one before. Raises OSError."""
        if self._series is not None:
            return []
        stem, suffix = re.escape(self._place.stem), re.escape(self._place.suffix)
        pattern = re.compile(rf"{stem}\.part(-[0-9a-f]{{6}})?(-old)?{suffix}")
        names = {name for name in os.listdir(self._place.parent) if pattern.fullmatch(name)}
        ours = {path.name for path in (self.draft, self._old) if path is not None}
        copies = {f"{name.removesuffix(self._place.suffix)}-old{self._place.suffix}" for name in names}
        return [self._place.with_name(name) for name in sorted(names - ours - copies)]

    def resume(self, frames: int) -> Path | None:
        """Resumes what an earlier run left: where its frames are to be copied from, or None for numbered pictures,
        which stay where they are. Raises RecorderError."""
        self._saved = frames
        if self._old is None:
            return None
        if not self._old.exists():  # else that run, too, ended while it copied
            try:
                self._set_aside(self._old)
            except OSError as fault:
                raise RecorderError(f"cannot resume {self.draft}: {reason(fault)}") from None
        return self._old

    def _set_aside(self, old: Path) -> None:
        self._free()
        ours = self._fd
        os.replace(self.draft, old)
        self._fd = _claim(self.draft)
        if ours is not None:
            os.close(ours)
        if self._fd is None:
            raise OSError(errno.EBUSY, "another run has just started to resume it")

    def start_over(self) -> None:
        """Drops what an earlier run left of this film; its draft is written over. Never raises.

        The note is there from now on, so that the draft is known to be this film's.
        """
        self._delete_old()
        if self._fd is not None:
            with suppress(OSError):  # a disk that is full will be heard of
                self._write_note(self._note, 0)

    def save(self, frames: int) -> None:
        """So many frames are in the file: puts them on the disk and says so in the note. Any thread.

        Never raises: frames that could not be saved are only drawn again, and a full disk will be heard of.
        """
        if self._fd is None:
            return
        with suppress(OSError):
            os.fsync(self._fd)
            if self._series is not None:
                for number in range(self._saved + 1, frames + 1):
                    with self._series.picture(number).open("rb+") as picture:
                        os.fsync(picture.fileno())
            self._write_note(self._note, frames)
            self._saved = frames
            self._delete_old()  # all of it has been copied

    def finish(self, frames: int) -> None:
        """The film is whole: it takes its name, and its note stays beside it. Of numbered pictures those beyond
        `frames`, an older film's, go.

        Call when it is closed. Raises OSError, the film then lies at `draft`.
        """
        if self._locked is None:
            return
        if self._series is not None:
            for number in self._series.numbers():
                if number > frames:
                    self._series.picture(number).unlink()
        else:
            assert self._fd is not None
            os.fsync(self._fd)  # or a power cut could leave the name with nothing in it, and the older film gone
            self._free()
            os.replace(self.draft, self._place)
        try:
            self._write_note(self._sidecar, frames)
            if self._note != self._sidecar:
                self._note.unlink(missing_ok=True)
        except OSError as fault:
            log.warning("the film's provenance could not be written to %s: %s", self._sidecar, reason(fault))
        self._delete_old()

    def keep(self, frames: int) -> str:
        """The film ended early with so many frames, and is closed: says in a clause where they lie, and whether
        another run can resume them. Never raises.

        It does not take its name, which only a whole film has.
        """
        self._free()
        lies = self.draft
        if self._old is not None and os.path.exists(self._old):  # which was not copied to the end
            frames, lies = self._saved, self._old
            with suppress(OSError):
                os.replace(self._old, self.draft)
                lies = self.draft
        if frames == 0:
            if self.draft != self.path:  # a header at most
                for left in (self.draft, self._note):
                    with suppress(OSError):
                        left.unlink()
            return "no frame was recorded"
        said = f"{lies} holds what was done, {frames} frame{'s' if frames > 1 else ''}"
        if self._series is not None:
            with suppress(OSError):
                if self._series.numbers()[-1] > frames:
                    said += ", and after them the pictures of an older film"
        elif os.path.exists(self._place) and lies != self.path:
            said += f"; {self.path} is still the older film"
        if self._saved:
            said += "; run the same command again to resume"
        return said

    def _write_note(self, note: Path, frames: int) -> None:
        """Raises OSError."""
        told = {
            "film": self._place.name,
            "frames": frames,
            "date": datetime.now().astimezone().isoformat(timespec="seconds"),
            **self._about,
            "arithmetic": self.arithmetic,
            "provenance": self.provenance,
        }
        write_whole(note, readable_json(told))

    def _delete_old(self) -> None:
        if self._old is not None:
            with suppress(OSError):
                self._old.unlink()

    def _free(self) -> None:
        """Windows renames and removes no open file."""
        if fcntl is None and self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _read_note(note: Path, draft: Path) -> Unfinished | None:
    """What the note says, or None when there is none or it is not one of ours."""
    try:
        told = json.loads(read_bounded(note, _MOST_BYTES))
        arithmetic = None if told["arithmetic"] is None else dict(told["arithmetic"])
        return Unfinished(
            draft, int(told["frames"]), dict(told["provenance"]), arithmetic, str(told.get("command", ""))
        )
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return None


def _claim(path: Path) -> int | None:
    """Opens a file, made if missing and otherwise left as it is, and locks it: its descriptor, or None if another
    film has it. Where files cannot be locked (Windows, some network disks) it is only opened. Raises OSError."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o666)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EINVAL, f"{path} is not a plain file")
        try:
            if fcntl is not None:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        except OSError:
            log.debug("%s cannot be locked", path)
        if _is_open_at(fd, path):
            return fd
        os.close(fd)  # the film that had it has just given it its name, or taken it away


def _is_locked(path: Path) -> bool:
    """Whether a film is being written there now; False where that cannot be told."""
    if fcntl is None:
        return False
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
    return False


def _is_open_at(fd: int, path: Path) -> bool:
    """Whether that name is still the open file's."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False
