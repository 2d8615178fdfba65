"""The bank's file: every memory in one SQLite database, safe against kills, full disks and a second show.

    bank = Bank(path)                        # raises BankError; a damaged file is set aside
    number = bank.keep(New(...))
    bank.read(number), bank.summaries(), bank.forget([number])

One thread at a time: the keeper's in a show (keeper.py), the command line's own. WAL mode: another process may read and
write meanwhile. Strength is counted by the hours that shows have run on the bank, not by the clock on the wall, which
jumps: a memory's strength halves with every half-life after it was kept or recalled last.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.show.errors import CannotStart
from engine.show.files import set_aside
from engine.show.params import Value
from engine.walk.memory.look import LOOK
from engine.walk.palette import Palette
from engine.walk.visit import Place

SCHEMA = 1
BUSY_S = 5.0  # how long another process may hold the file
_TABLES = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS prompts (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS memories (
    id INTEGER PRIMARY KEY AUTOINCREMENT, mark TEXT NOT NULL UNIQUE, model TEXT NOT NULL, created REAL NOT NULL,
    place TEXT NOT NULL, palettes TEXT NOT NULL, steered TEXT NOT NULL, look BLOB NOT NULL, thumbnail BLOB NOT NULL,
    kind INTEGER NOT NULL, strength REAL NOT NULL, at_h REAL NOT NULL, recalled REAL,
    by_hand INTEGER NOT NULL, approved INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS said (
    memory INTEGER NOT NULL REFERENCES memories(id) ON DELETE CASCADE, prompt INTEGER NOT NULL, share REAL NOT NULL,
    PRIMARY KEY (memory, prompt)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS said_prompt ON said (prompt);
CREATE INDEX IF NOT EXISTS memories_created ON memories (created);
"""
_DAMAGED = ("not a database", "malformed", "no such column", "no such table", "file is encrypted")


class BankError(CannotStart):
    """A bank that cannot be used; one sentence with the cure."""


@dataclass(frozen=True)
class New:
    """A memory that is to be kept."""

    model: str  # which model dreams this place (see remember.py)
    created: float  # seconds since 1970, for people
    place: Place
    palettes: Mapping[str, Palette]  # the words of every palette that the place names
    look: NDArray[np.float32]  # (LOOK,)
    thumbnail: bytes  # JPEG
    kind: int
    steered: Mapping[str, Value] = field(default_factory=dict)  # parameters that are not at the show's own values
    by_hand: bool = False
    approved: bool = False

    @property
    def mark(self) -> str:
        """The same place of the same model is the same memory, in any bank."""
        text = json.dumps([self.model, self.place.to_dict()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    @property
    def said(self) -> dict[str, float]:
        """How much each prompt is heard in it."""
        shares: dict[str, float] = {}
        for wording in self.place.waypoint.wordings:
            palette = self.palettes.get(wording.palette)
            for text, weight in zip(palette.prompts if palette else (), wording.weights, strict=False):
                shares[text] = shares.get(text, 0.0) + wording.share * weight
        return shares


@dataclass(frozen=True)
class Memory(New):
    """One that is in the bank."""

    number: int = 0
    strength: float = 1.0  # as it is now
    recalled: float | None = None  # when last, seconds since 1970


@dataclass(frozen=True)
class Summary:
    """What is known of all memories at once, one row each, by number."""

    numbers: NDArray[np.int64]
    kinds: NDArray[np.int32]
    strengths: NDArray[np.float32]  # as they are now
    created: NDArray[np.float64]
    approved: NDArray[np.bool_]
    kept: NDArray[np.bool_]  # by hand
    ours: NDArray[np.bool_]  # of this model


class Bank:
    """See the module's head."""

    def __init__(self, path: Path, half_life_h: float = 0.0, read_only: bool = False, damaged: bool = False) -> None:
        """half_life_h: hours of running after which a memory's strength is half; 0: it keeps it. damaged: the file is
        known to be, and is set aside.

        Raises BankError when there is none and none can be made.
        """
        self.path, self.half_life_h = path, half_life_h
        self.set_aside: Path | None = None  # where a damaged file went
        try:
            if damaged:
                self._set_aside()
            try:
                self._db = self._opened(read_only)
            except sqlite3.DatabaseError as error:
                if read_only or not _is_damage(error):
                    raise
                self._set_aside()
                self._db = self._opened(read_only)
        except sqlite3.Error as error:
            raise BankError(f"the memory bank {path} cannot be opened: {error}") from error
        except OSError as error:
            raise BankError(f"the memory bank {path} cannot be made: {error.strerror or error}") from error

    def _set_aside(self) -> None:
        self.set_aside = set_aside(self.path)
        if self.set_aside is None:
            raise BankError(f"the memory bank {self.path} is damaged and cannot be renamed")
        for rest in ("-wal", "-shm"):  # parts of it, which would be taken for parts of the next
            part = self.path.with_name(self.path.name + rest)
            with suppress(OSError):
                part.replace(self.set_aside.with_name(self.set_aside.name + rest))

    def _opened(self, read_only: bool) -> sqlite3.Connection:
        if read_only and not self.path.is_file():
            raise BankError(f"there is no memory bank at {self.path}; a show with [memory] enabled = true keeps one")
        if not read_only:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        uri = f"{self.path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        db = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            if not read_only:
                db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA foreign_keys = ON")
            if not read_only:
                db.executescript(_TABLES)
                db.execute("INSERT OR IGNORE INTO about VALUES ('schema', ?), ('running_h', 0.0)", (SCHEMA,))
            (schema,) = db.execute("SELECT value FROM about WHERE name = 'schema'").fetchone()
            if schema != SCHEMA:
                raise BankError(f"the memory bank {self.path} was made by another version of Pedesis ({schema})")
            db.execute("SELECT id, mark, kind, at_h FROM memories LIMIT 1").fetchall()
        except BaseException:
            db.close()
            raise
        return db

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._db.close()

    @property
    def running_h(self) -> float:
        """Hours that shows have run on it."""
        (hours,) = self._db.execute("SELECT value FROM about WHERE name = 'running_h'").fetchone()
        return float(hours)

    def ran(self, hours: float) -> None:
        """A show has run so much longer."""
        self._db.execute("UPDATE about SET value = value + ? WHERE name = 'running_h'", (hours,))

    def __len__(self) -> int:
        (count,) = self._db.execute("SELECT count(*) FROM memories").fetchone()
        return int(count)

    def keep(self, new: New) -> int | None:
        """Its number; None when the same place is there already. Raises sqlite3.Error, and keeps nothing then."""
        return self.keep_all([new])[0]

    def keep_all(self, memories: Iterable[New]) -> list[int | None]:
        """As keep(), of many in one piece."""
        with self._whole():
            at_h = self.running_h
            return [self._insert(new, at_h) for new in memories]

    def _insert(self, new: New, at_h: float) -> int | None:
        palettes = {id: list(palette.prompts) for id, palette in new.palettes.items()}
        cursor = self._db.execute(
            "INSERT OR IGNORE INTO memories (mark, model, created, place, palettes, steered, look, thumbnail, kind, "
            "strength, at_h, by_hand, approved) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                new.mark,
                new.model,
                new.created,
                json.dumps(new.place.to_dict()),
                json.dumps(palettes, ensure_ascii=False),
                json.dumps(dict(new.steered), ensure_ascii=False),
                new.look.astype(np.float16).tobytes(),
                new.thumbnail,
                new.kind,
                2.0 if new.by_hand else 1.0,
                at_h,
                new.by_hand,
                new.approved,
            ),
        )
        if not cursor.rowcount:
            return None
        number = int(cursor.lastrowid or 0)
        for text, share in new.said.items():
            if share > 0.0:
                self._db.execute("INSERT OR IGNORE INTO prompts (text) VALUES (?)", (text,))
                self._db.execute(
                    "INSERT INTO said SELECT ?, id, ? FROM prompts WHERE text = ?", (number, share, text)
                )  # fmt: skip
        return number

    def read(self, number: int) -> Memory | None:
        """A memory, or None when there is none of that number, or it is damaged."""
        row = self._db.execute(
            "SELECT id, model, created, place, palettes, steered, look, thumbnail, kind, strength, at_h, recalled, "
            "by_hand, approved FROM memories WHERE id = ?",
            (number,),
        ).fetchone()
        if row is None:
            return None
        with suppress(KeyError, TypeError, ValueError):
            return self._memory(row)
        return None

    def _memory(self, row: Sequence[Any]) -> Memory:
        number, model, created, place, palettes, steered, look, thumbnail, kind, strength, at_h, recalled, *flags = row
        words = {id: Palette(id, tuple(prompts)) for id, prompts in json.loads(palettes).items()}
        return Memory(
            number=number,
            model=model,
            created=created,
            place=Place.from_dict(json.loads(place)),
            palettes=words,
            steered=json.loads(steered),
            look=np.frombuffer(look, np.float16).astype(np.float32),
            thumbnail=thumbnail,
            kind=kind,
            strength=float(self._now(np.array([strength]), np.array([at_h]))[0]),
            recalled=recalled,
            by_hand=bool(flags[0]),
            approved=bool(flags[1]),
        )

    def _now(self, strengths: NDArray[Any], at_h: NDArray[Any]) -> NDArray[Any]:
        if self.half_life_h <= 0:
            return strengths
        return strengths * 0.5 ** (np.maximum(self.running_h - at_h, 0.0) / self.half_life_h)

    def summaries(self, model: str = "") -> Summary:
        """All memories, by number. model: which count as ours."""
        rows = self._db.execute(
            "SELECT id, kind, strength, at_h, created, approved, by_hand, model = ? FROM memories ORDER BY id", (model,)
        ).fetchall()
        table = np.array(rows, np.float64).reshape(-1, 8)  # (N, 8)
        return Summary(
            table[:, 0].astype(np.int64),
            table[:, 1].astype(np.int32),
            self._now(table[:, 2], table[:, 3]).astype(np.float32),
            table[:, 4],
            table[:, 5].astype(bool),
            table[:, 6].astype(bool),
            table[:, 7].astype(bool),
        )

    def looks(self) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Numbers (N,) and looks (N, LOOK) of all memories; of another version's a look of zeros."""
        numbers, looks = [], []
        for number, data in self._db.execute("SELECT id, look FROM memories ORDER BY id"):
            numbers.append(number)
            looks.append(data if len(data) == 2 * LOOK else bytes(2 * LOOK))
        joined = np.frombuffer(b"".join(looks), np.float16).reshape(-1, LOOK)
        return np.array(numbers, np.int64), joined

    def thumbnail(self, number: int) -> bytes | None:
        """The JPEG of a memory."""
        row = self._db.execute("SELECT thumbnail FROM memories WHERE id = ?", (number,)).fetchone()
        return row[0] if row else None

    def by_words(self, scores: Mapping[str, float], most: int = 1, model: str | None = None) -> list[int]:
        """Numbers of the memories in which the prompts that score are heard most, the best first.

        scores: prompt -> how well it fits. model: only of this one.
        """
        if not scores:
            return []
        values = ", ".join("(?, ?)" for _ in scores)
        rows = self._db.execute(
            f"WITH fits(text, score) AS (VALUES {values}) "
            "SELECT memory, sum(share * score) AS total FROM fits JOIN prompts USING (text) "
            "JOIN said ON said.prompt = prompts.id JOIN memories ON memories.id = memory "
            "WHERE (? IS NULL OR model = ?) GROUP BY memory ORDER BY total DESC, memory DESC LIMIT ?",
            [v for pair in scores.items() for v in pair] + [model, model, most],
        )
        return [row[0] for row in rows]

    def prompts(self) -> list[str]:
        """All words that were ever said."""
        return [row[0] for row in self._db.execute("SELECT text FROM prompts ORDER BY id LIMIT 4096")]

    def words_of_kinds(self) -> dict[int, dict[str, float]]:
        """How much each prompt is heard in each kind."""
        found: dict[int, dict[str, float]] = {}
        for kind, text, share in self._db.execute(
            "SELECT kind, text, sum(share) FROM said JOIN prompts ON prompts.id = prompt JOIN memories "
            "ON memories.id = memory GROUP BY kind, prompt"
        ):
            found.setdefault(kind, {})[text] = share
        return found

    def recall(self, number: int, now: float) -> None:
        """It was recalled: as strong again as when it was kept, and somewhat stronger the more often."""
        row = self._db.execute("SELECT strength, at_h FROM memories WHERE id = ?", (number,)).fetchone()
        if row is not None:
            here = float(self._now(np.array([row[0]]), np.array([row[1]]))[0])
            self._db.execute(
                "UPDATE memories SET strength = ?, at_h = ?, recalled = ? WHERE id = ?",
                (min(1.0 + here / 2, 4.0), self.running_h, now, number),
            )

    def approve(self, numbers: Sequence[int], approved: bool = True) -> int:
        """How many of them there are."""
        with self._whole():
            marked = [
                self._db.execute("UPDATE memories SET approved = ? WHERE id = ?", (approved, n)).rowcount
                for n in numbers
            ]
        return sum(marked)

    def set_kinds(self, numbers: NDArray[np.int64], kinds: NDArray[np.int32]) -> None:
        """Sorts memories anew."""
        with self._whole():
            self._db.executemany(
                "UPDATE memories SET kind = ? WHERE id = ?", zip(kinds.tolist(), numbers.tolist(), strict=True)
            )

    def forget(self, numbers: Iterable[int]) -> int:
        """How many of them there were."""
        with self._whole():
            gone = [self._db.execute("DELETE FROM memories WHERE id = ?", (n,)).rowcount for n in numbers]
        return sum(gone)

    def weakest(self, most: int, model: str = "") -> list[int]:
        """Numbers of the weakest, but for those kept by hand or approved."""
        summary = self.summaries(model)
        free = np.flatnonzero(~(summary.kept | summary.approved))
        order = free[np.argsort(summary.strengths[free], kind="stable")]
        return [int(n) for n in summary.numbers[order[:most]]]

    def copy_to(self, path: Path) -> None:
        """The whole bank as a file, also while a show writes to it. Raises sqlite3.Error, OSError."""
        with sqlite3.connect(path) as copy:
            self._db.backup(copy)
        copy.close()

    @contextmanager
    def _whole(self) -> Any:
        """All of it or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with suppress(sqlite3.Error):  # on a full disk SQLite may have rolled back already
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return any(word in str(error) for word in _DAMAGED)
