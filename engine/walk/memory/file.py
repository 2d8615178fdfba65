"""Opens a bank's file, makes a new one, and sets a damaged one aside.

    opened = open_file(path)           # .db, .read_only, .set_aside; raises BankError

One SQLite database in WAL mode: another process may read and write meanwhile, and a process that is killed leaves it
whole. Any process, one thread at a time.
"""

import os
import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.show.errors import CannotStart
from engine.show.files import set_aside

SCHEMA = 1
BUSY_S = 5.0  # how long another process may hold the file
# What is read of all memories at once stands in rows of its own; the pictures, ten times as much, do not.
_TABLES = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS memories (
    id INTEGER PRIMARY KEY AUTOINCREMENT, mark TEXT NOT NULL UNIQUE, model TEXT NOT NULL, created REAL NOT NULL,
    kind INTEGER NOT NULL, strength REAL NOT NULL, at_h REAL NOT NULL, recalled REAL,
    by_hand INTEGER NOT NULL, approved INTEGER NOT NULL,
    embedding BLOB NOT NULL, place TEXT NOT NULL, steered TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS memories_approved ON memories (id) WHERE approved;
CREATE TABLE IF NOT EXISTS pictures (
    memory INTEGER PRIMARY KEY REFERENCES memories(id) ON DELETE CASCADE, jpeg BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS palettes (id TEXT PRIMARY KEY, prompts TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS named (
    memory INTEGER NOT NULL REFERENCES memories(id) ON DELETE CASCADE, palette TEXT NOT NULL,
    PRIMARY KEY (memory, palette)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS named_palette ON named (palette);
CREATE TABLE IF NOT EXISTS prompts (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS words (
    word TEXT NOT NULL, prompt INTEGER NOT NULL REFERENCES prompts(id) ON DELETE CASCADE,
    PRIMARY KEY (word, prompt)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS words_prompt ON words (prompt);
CREATE TABLE IF NOT EXISTS said (
    memory INTEGER NOT NULL REFERENCES memories(id) ON DELETE CASCADE, prompt INTEGER NOT NULL, share REAL NOT NULL,
    PRIMARY KEY (memory, prompt)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS said_prompt ON said (prompt);
"""
_DAMAGED = ("not a database", "malformed", "no such column", "no such table", "file is encrypted")
_TRY_S = 0.1  # SQLite does not wait by itself where two processes turn a new file to WAL at once


class BankError(CannotStart):
    """A bank that cannot be used; one sentence with the cure."""


@dataclass(frozen=True)
class Opened:
    db: sqlite3.Connection
    read_only: bool
    set_aside: Path | None  # where a damaged file went


def open_file(path: Path, read_only: bool = False, damaged: tuple[int, int] | None = None) -> Opened:
    """The bank in that file, a new one if there is none. damaged: the identity of a file that is known to be.

    A file that may not be written is opened to be read. Raises BankError.
    """
    aside: Path | None = None
    try:
        if damaged is not None:
            aside = _set_aside(path, damaged)
        seen = identity(path)
        try:
            return Opened(*_connected(path, read_only), aside)
        except sqlite3.DatabaseError as error:
            if read_only or not is_damage(error):
                raise
            if not _may_be_bank(path):
                raise BankError(f"{path} is no memory bank and is left alone; name another file") from error
            aside = _set_aside(path, seen)
            return Opened(*_connected(path, read_only), aside)
    except sqlite3.Error as error:
        if is_busy(error):
            raise BankError(f"the memory bank {path} is busy: another program has held it for {BUSY_S:g} s") from error
        why = f"it is damaged ({error})" if is_damage(error) else str(error)
        raise BankError(f"the memory bank {path} cannot be opened: {why}") from error
    except OSError as error:
        raise BankError(f"the memory bank {path} cannot be made: {error.strerror or error}") from error


def identity(path: Path) -> tuple[int, int] | None:
    """Which file has that name; another process may have put another there since. None: there is none."""
    try:
        known = os.stat(path)
    except OSError:
        return None
    return known.st_dev, known.st_ino


def is_damage(error: sqlite3.Error) -> bool:
    return isinstance(error, sqlite3.DatabaseError) and any(word in str(error) for word in _DAMAGED)


def is_busy(error: sqlite3.Error) -> bool:
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF


def _may_be_bank(path: Path) -> bool:
    """Whether a file that cannot be read may be a damaged bank, and not something else that was named by mistake."""
    with path.open("rb") as file:
        return path.suffix == ".db" or file.read(16) == b"SQLite format 3\0"


def _set_aside(path: Path, damaged: tuple[int, int] | None) -> Path | None:
    """Renames a damaged bank. Not where another process has done so, and begun another: then None."""
    if identity(path) != damaged:
        return None
    aside = set_aside(path)
    if aside is None:
        raise BankError(f"the memory bank {path} is damaged and cannot be renamed")
    for rest in ("-wal", "-shm"):  # parts of it, which would be taken for parts of the next
        part = path.with_name(path.name + rest)
        with suppress(OSError):
            part.replace(aside.with_name(aside.name + rest))
    return aside


def _connected(path: Path, read_only: bool) -> tuple[sqlite3.Connection, bool]:
    if read_only and not path.is_file():
        raise BankError(f"there is no memory bank at {path}; a show with [memory] enabled = true keeps one")
    if not read_only:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _tried(path, "mode=rwc"), False
        except sqlite3.OperationalError as error:
            if _code(error) not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN) or not path.is_file():
                raise
    try:
        return _tried(path, "mode=ro"), True
    except sqlite3.OperationalError as error:
        if _code(error) not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            raise
        # WAL needs to write beside the file, if only to read. On a disk that cannot be written nobody else does.
        return _tried(path, "mode=ro&immutable=1"), True


def _tried(path: Path, mode: str) -> sqlite3.Connection:
    end = time.monotonic() + BUSY_S
    while True:
        try:
            return _ready(path, mode)
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() >= end:
                raise
        time.sleep(_TRY_S)


def _ready(path: Path, mode: str) -> sqlite3.Connection:
    """A connection to what is a bank. Writes nothing to one that is there already."""
    uri = f"{path.absolute().as_uri()}?{mode}"
    db = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and "about" not in tables:
            raise BankError(f"{path} is not a memory bank, but another program's database")
        if mode == "mode=rwc":
            db.execute("PRAGMA journal_mode = WAL")
            if not tables:
                _make(db)
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA foreign_keys = ON")
        (schema,) = db.execute("SELECT value FROM about WHERE name = 'schema'").fetchone() or (None,)
        if schema != SCHEMA:
            raise BankError(f"the memory bank {path} was made by another version of Pedesis ({schema})")
        db.execute("SELECT id, mark, kind, at_h, embedding FROM memories LIMIT 1").fetchall()
        db.execute("SELECT jpeg FROM pictures LIMIT 1").fetchall()
        if mode == "mode=rwc":
            db.execute("BEGIN IMMEDIATE")  # says whether it may be written to, and writes nothing
            db.execute("UPDATE about SET value = value WHERE name = 'schema'")
            db.execute("ROLLBACK")
    except BaseException:
        db.close()
        raise
    return db


def _make(db: sqlite3.Connection) -> None:
    """All of it or nothing, since another process may be about to do the same."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for statement in _TABLES.split(";"):
            db.execute(statement)
        db.execute("INSERT OR IGNORE INTO about VALUES ('schema', ?), ('running_h', 0.0)", (SCHEMA,))
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
