"""The fragments of a torn text: one SQLite file, written once, and what a show reads from it.

    pulp = Fragments(Path("book.pulp"))     # raises PulpError in one sentence
    pulp.text(17); pulp.kinds[3].name; pulp.in_kinds[:5]
    write(Path("book.pulp"), texts, kind_of, in_kinds, ("rain", "paper"), "house")

Opening reads everything that a show needs into memory and lets go of the file, so that afterwards nothing waits for a
disk: a hundred thousand fragments are about ten megabytes. The vectors stay on the disk (`read_vectors`). Any process;
once it is open, any thread.
"""

import hashlib
import itertools
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.show.errors import CannotStart
from engine.show.files import draft_of, in_time

FORMAT = 1
SUFFIX = ".pulp"
MOST = 1_000_000  # fragments in one file
MOST_KINDS = 1000
ROWS = 1024  # vectors in one row of the file
_MARK = "pulp of Pedesis"
_OPEN_S = 60.0  # a disk that is asleep, and a million fragments
_TABLES = """
CREATE TABLE about (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE sources (number INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE kinds (number INTEGER PRIMARY KEY, name TEXT NOT NULL, count INTEGER NOT NULL);
CREATE TABLE fragments (
    number INTEGER PRIMARY KEY, text TEXT NOT NULL, kind INTEGER NOT NULL, place INTEGER NOT NULL,
    source INTEGER NOT NULL, x REAL NOT NULL, y REAL NOT NULL);
CREATE TABLE vectors (first INTEGER PRIMARY KEY, rows BLOB NOT NULL);
"""


class PulpError(CannotStart):
    """A torn text that cannot be used; one sentence with the cure."""


@dataclass(frozen=True)
class Kind:
    """Fragments that are alike; named by their own most telling words."""

    number: int
    name: str
    count: int


class Fragments:
    """See the module's head.

    path: the file; count: how many fragments; model: what encoded them; digest: a hash of all of it but the path, the
    same for the same texts in the same kinds; kinds: by number; kind_of: (count,) in reading order; in_kinds: (count,)
    numbers of fragments, ordered by kind and within a kind by likeness, the one nearest its centre first; points:
    (count, 2) where each lies in the picture of the kinds, from -1 to 1.
    """

    def __init__(self, path: Path) -> None:
        """Raises PulpError."""
        self.path = path
        try:
            rows = in_time(lambda: _read(path), _OPEN_S)
        except sqlite3.Error as error:
            raise PulpError(f"the torn text {path} {_why(error)}") from error
        except OSError as error:
            raise PulpError(f"the torn text {path} cannot be read: {error.strerror or error}") from error
        except (ValueError, TypeError) as error:  # text where numbers should be, or the other way round
            raise PulpError(f"the torn text {path} is damaged; tear it again") from error
        self.model, self.digest, self.kinds = rows.model, rows.digest, rows.kinds
        self.sources, self.source_of = rows.sources, rows.source_of
        self.kind_of, self.in_kinds, self.points = rows.kind_of, rows.in_kinds, rows.points
        self._blob, self._ends = rows.blob, rows.ends
        self.count = len(self.kind_of)

    def text(self, number: int) -> str:
        """A fragment by its number in reading order, from 0. From memory; IndexError beyond the last."""
        if not 0 <= number < self.count:
            raise IndexError(f"there is no fragment {number} of {self.count}")
        return self._blob[int(self._ends[number]) : int(self._ends[number + 1])].decode()

    def of_kind(self, kind: int) -> NDArray[np.int32]:
        """Numbers of the fragments of one kind, the one nearest its centre first."""
        first = sum(k.count for k in self.kinds[:kind])
        return self.in_kinds[first : first + self.kinds[kind].count]

    def close(self) -> None:
        """Lets go of the texts; the file was let go of as soon as it was read."""
        self._blob, self.count = b"", 0


@dataclass(frozen=True)
class _Rows:
    model: str
    digest: str
    kinds: tuple[Kind, ...]
    sources: tuple[str, ...]
    source_of: NDArray[np.uint16]
    kind_of: NDArray[np.uint16]
    in_kinds: NDArray[np.int32]
    points: NDArray[np.float32]
    blob: bytes
    ends: NDArray[np.int64]  # (count + 1,) where each text begins in the blob, and the last ends


def _read(path: Path) -> _Rows:
    if not path.exists():
        raise PulpError(f"there is no torn text {path}; `pedesis tear BOOK.txt` makes one")
    if not path.is_file():
        raise PulpError(f"{path} is not a torn text; `pedesis tear BOOK.txt` makes one")
    with closing(_opened(path)) as db:
        about = dict(db.execute("SELECT name, value FROM about"))
        kinds = tuple(Kind(*row) for row in db.execute("SELECT number, name, count FROM kinds ORDER BY number"))
        sources = tuple(name for (name,) in db.execute("SELECT name FROM sources ORDER BY number"))
        blob, ends, columns = bytearray(), [0], []
        asked = db.execute("SELECT text, kind, place, source, x, y FROM fragments ORDER BY number")
        while part := asked.fetchmany(4096):
            for text, *_ in part:
                blob += text.encode()
                ends.append(len(blob))
            columns.append(np.array([row[1:] for row in part], np.float64))  # exact for what is counted here
        table = np.concatenate(columns) if columns else np.zeros((0, 5))
    count = len(table)
    kind_of, place = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    counted = np.bincount(kind_of, minlength=len(kinds)).tolist() if count and kind_of.min() >= 0 else []
    whole = (
        count == about.get("count")
        and count > 0
        and counted == [k.count for k in kinds]
        and [k.number for k in kinds] == list(range(len(kinds)))
        and np.array_equal(np.sort(place), np.arange(count))
    )
    in_kinds = np.zeros(count, np.int32)
    if whole:
        in_kinds[place] = np.arange(count, dtype=np.int32)
    rows = _Rows(
        str(about.get("model")),
        str(about.get("digest")),
        kinds,
        sources,
        table[:, 2].astype(np.uint16),
        kind_of.astype(np.uint16),
        in_kinds,
        table[:, 3:].astype(np.float32),
        bytes(blob),
        np.array(ends, np.int64),
    )
    names = [k.name for k in kinds]
    if not whole or digest_of(rows.blob, rows.ends, rows.kind_of, rows.in_kinds, names, rows.model) != rows.digest:
        raise PulpError(f"the torn text {path} is damaged; tear it again")
    return rows


def _opened(path: Path) -> sqlite3.Connection:
    """A connection to what is a whole torn text of this format."""
    # Nobody writes to a torn text that is there, another takes its place: SQLite need not look for other writers.
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
    try:
        db.execute("PRAGMA temp_store = MEMORY")
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        about = dict(db.execute("SELECT name, value FROM about")) if "about" in tables else {}
        if about.get("mark") != _MARK:
            raise PulpError(f"{path} is not a torn text, but another program's file; `pedesis tear BOOK.txt` makes one")
        if about.get("format") != FORMAT:
            raise PulpError(
                f"the torn text {path} was made by another version of Pedesis (format {about.get('format')}, this one "
                f"reads {FORMAT}); tear it again"
            )
    except BaseException:
        db.close()
        raise
    return db


def _why(error: sqlite3.Error) -> str:
    said = str(error)
    if "not a database" in said:
        return "is no torn text, or it is damaged; `pedesis tear BOOK.txt` makes one"
    if isinstance(error, sqlite3.OperationalError) and "no such" not in said and "decode" not in said:
        return f"cannot be read: {said}"
    return f"is damaged ({said}); tear it again"


def about_of(path: Path) -> dict[str, Any]:
    """What a torn text says of itself; nothing where there is none. Raises PulpError for what is none of ours."""
    if not path.exists():
        return {}
    try:
        with closing(_opened(path)) as db:
            return dict(db.execute("SELECT name, value FROM about"))
    except sqlite3.Error as error:
        raise PulpError(f"the file {path} {_why(error)}") from error


def read_vectors(path: Path) -> NDArray[np.float16]:
    """What the text encoder made of each fragment, (count, D), unit length; (count, 0) where none were kept.

    Raises PulpError, sqlite3.Error. From the disk.
    """
    with closing(_opened(path)) as db:
        about = dict(db.execute("SELECT name, value FROM about"))
        parts = [np.frombuffer(rows, np.float16) for (rows,) in db.execute("SELECT rows FROM vectors ORDER BY first")]
    flat = np.concatenate(parts) if parts else np.zeros(0, np.float16)
    return flat.reshape(int(about["count"]), -1)


def digest_of(
    blob: bytes,
    ends: NDArray[np.int64],
    kind_of: NDArray[np.uint16],
    in_kinds: NDArray[np.int32],
    names: Sequence[str],
    model: str,
) -> str:
    """A hash of everything that can steer a show, 32 hexadecimal digits."""
    marks = hashlib.sha256(f"{FORMAT}\n{model}\n{len(names)}\n".encode())
    for name in names:
        marks.update(f"{name}\n".encode())
    for part in (ends.astype("<i8"), kind_of.astype("<u2"), in_kinds.astype("<i4")):
        marks.update(np.ascontiguousarray(part).tobytes())
    marks.update(blob)
    return marks.hexdigest()[:32]


def write(
    path: Path,
    texts: Iterable[str],
    kind_of: NDArray[Any],
    in_kinds: NDArray[Any],
    names: Sequence[str],
    model: str,
    vectors: NDArray[np.float16] | None = None,
    points: NDArray[np.float32] | None = None,
    sources: Sequence[str] = (),
    source_of: NDArray[Any] | None = None,
    about: dict[str, Any] | None = None,
) -> str:
    """Writes a torn text whole or not at all; returns its digest.

    kind_of, in_kinds: as Fragments has them. names: of the kinds. about: more to be said of it in the file.
    Raises OSError, sqlite3.Error (a full disk).
    """
    draft = draft_of(path)
    with suppress(FileNotFoundError):
        draft.unlink()
    try:
        with closing(sqlite3.connect(draft, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode = OFF")  # a draft that is not finished is thrown away
            db.execute("PRAGMA synchronous = OFF")  # and one that is goes to the disk as a whole
            for statement in _TABLES.split(";"):
                db.execute(statement)
            db.execute("BEGIN")
            count = len(kind_of)
            spots = points if points is not None else np.zeros((count, 2), np.float32)
            found = source_of if source_of is not None else np.zeros(count, np.uint16)
            digest = _fill(db, texts, kind_of, in_kinds, spots, found, names, model)
            kept = {"mark": _MARK, "format": FORMAT, "model": model, "count": count, "digest": digest, **(about or {})}
            db.executemany("INSERT INTO about VALUES (?, ?)", sorted(kept.items()))
            db.executemany("INSERT INTO sources VALUES (?, ?)", enumerate(sources))
            if vectors is not None:
                parts = ((at, vectors[at : at + ROWS].tobytes()) for at in range(0, count, ROWS))
                db.executemany("INSERT INTO vectors VALUES (?, ?)", parts)
            db.execute("COMMIT")
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise
    return digest


def _fill(
    db: sqlite3.Connection,
    texts: Iterable[str],
    kind_of: NDArray[Any],
    in_kinds: NDArray[Any],
    points: NDArray[np.float32],
    source_of: NDArray[Any],
    names: Sequence[str],
    model: str,
) -> str:
    """The fragments and their kinds into the tables; returns the digest."""
    count = len(kind_of)
    if not (0 < count <= MOST and 0 < len(names) <= MOST_KINDS):
        raise ValueError(f"a torn text has 1 to {MOST} fragments of 1 to {MOST_KINDS} kinds, got {count}, {len(names)}")
    place = np.empty(count, np.int64)
    place[in_kinds] = np.arange(count)
    counts = np.bincount(kind_of, minlength=len(names)).tolist()
    db.executemany("INSERT INTO kinds VALUES (?, ?, ?)", zip(itertools.count(), names, counts, strict=False))
    blob, ends = bytearray(), [0]

    def rows() -> Iterable[tuple[Any, ...]]:
        told = zip(texts, kind_of.tolist(), place.tolist(), source_of.tolist(), points.tolist(), strict=True)
        for number, (text, kind, where, source, (x, y)) in enumerate(told):
            blob.extend(text.encode())
            ends.append(len(blob))
            yield number, text, kind, where, source, x, y

    db.executemany("INSERT INTO fragments VALUES (?, ?, ?, ?, ?, ?, ?)", rows())
    numbers = np.array(ends, np.int64)
    return digest_of(bytes(blob), numbers, kind_of.astype(np.uint16), in_kinds.astype(np.int32), names, model)
