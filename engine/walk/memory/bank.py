"""The bank: every memory in one file, safe against kills, full disks and a second show.

    bank = Bank(path)                        # raises BankError; a damaged file is set aside
    number = bank.keep(New(...))
    bank.read(number), bank.summaries(), bank.forget([number])

One thread at a time: the keeper's in a show (keeper.py), the command line's own. Strength is counted by the hours that
shows have run on the bank, not by the clock on the wall, which jumps: a memory's strength halves with every half-life
after it was kept or recalled last.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.walk.memory.embedding import SIZE
from engine.walk.memory.file import BankError, identity, open_file
from engine.walk.memory.index import ROW, Summary, faded, summary_of
from engine.walk.memory.recall import fitting, tokens, variants
from engine.walk.memory.remembered import Memory, New
from engine.walk.palette import Palette
from engine.walk.visit import Place

HAND, ALONE = 2.0, 1.0  # strength of what was kept by hand, and of what was kept unasked
STRONGEST = 4.0
LEAST_SHARE = 0.02  # of a picture: with less, nobody would find a prompt in it
MOST_PROMPTS = 2048  # that are looked for at once
WORDS_OF = 4000  # memories that the words of kinds are counted in
PAGE = 500  # memories that are read or changed at a time
_ROW = "id, kind, strength, at_h, created, approved, by_hand, model = ?"

__all__ = ["Bank", "BankError"]


class Bank:
    """See the module's head."""

    def __init__(
        self,
        path: Path,
        half_life_h: float = 0.0,
        read_only: bool = False,
        damaged: tuple[int, int] | None = None,
    ) -> None:
        """half_life_h: hours of running after which a memory's strength is half; 0: it keeps it. damaged: the identity
        of a file that is known to be, and is set aside.

        Raises BankError when there is none and none can be made.
        """
        opened = open_file(path, read_only, damaged)
        self._db, self.read_only, self.set_aside = opened.db, opened.read_only, opened.set_aside
        self.path, self.half_life_h = path, half_life_h
        self.identity = identity(path)

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._db.close()

    @property
    def version(self) -> int:
        """Another number whenever another process has changed something."""
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        return int(version)

    def note(self, name: str) -> float:
        """A number that was noted by this name; 0 if there is none."""
        row = self._db.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return float(row[0]) if row else 0.0

    def set_note(self, name: str, value: float) -> None:
        """Notes a number by this name."""
        self._db.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (name, value))

    @property
    def running_h(self) -> float:
        """Hours that shows have run on it."""
        return self.note("running_h")

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
        """As keep(), of many in one piece. One of another bank stays as strong as it is."""
        with self._whole():
            at_h = self.running_h
            return [self._insert(new, at_h) for new in memories]

    def prize(self, mark: str) -> int | None:
        """What was kept unasked is kept by hand from now on: its number, None if it is not there."""
        with self._whole():
            self._db.execute(
                "UPDATE memories SET by_hand = 1, strength = max(strength, ?), at_h = ? WHERE mark = ?",
                (HAND, self.running_h, mark),
            )
        row = self._db.execute("SELECT id FROM memories WHERE mark = ?", (mark,)).fetchone()
        return int(row[0]) if row else None

    def _insert(self, new: New, at_h: float) -> int | None:
        strength, recalled = HAND if new.by_hand else ALONE, None
        if isinstance(new, Memory):
            strength, recalled = new.strength, new.recalled
        vector = new.embedding.astype(np.float16).tobytes()
        place, steered = json.dumps(new.place.to_dict()), json.dumps(dict(new.steered), ensure_ascii=False)
        cursor = self._db.execute(
            "INSERT OR IGNORE INTO memories (mark, model, created, kind, strength, at_h, recalled, by_hand, approved, "
            "embedding, place, steered) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (new.mark, new.model, new.created, new.kind, strength, at_h, recalled, new.by_hand, new.approved,
             vector, place, steered),
        )  # fmt: skip
        if not cursor.rowcount:
            return None
        number = int(cursor.lastrowid or 0)
        self._db.execute("INSERT INTO pictures VALUES (?, ?)", (number, new.thumbnail))
        for id, palette in new.palettes.items():
            prompts = json.dumps(list(palette.prompts), ensure_ascii=False)
            self._db.execute("INSERT OR IGNORE INTO palettes VALUES (?, ?)", (id, prompts))
            self._db.execute("INSERT INTO named VALUES (?, ?)", (number, id))
        for text, share in new.said.items():
            if share >= LEAST_SHARE:
                self._db.execute("INSERT INTO said VALUES (?, ?, ?)", (number, self._prompt(text), share))
        return number

    def _prompt(self, text: str) -> int:
        """Number of a prompt, by whose words it is found from now on."""
        row = self._db.execute("SELECT id FROM prompts WHERE text = ?", (text,)).fetchone()
        if row is None:
            row = (self._db.execute("INSERT INTO prompts (text) VALUES (?)", (text,)).lastrowid,)
            self._db.executemany("INSERT INTO words VALUES (?, ?)", [(w, row[0]) for w in set(tokens(text))])
        return int(row[0])

    def read(self, number: int) -> Memory | None:
        """A memory, or None when there is none of that number, or it is damaged."""
        row = self._db.execute(
            "SELECT id, model, created, place, steered, embedding, jpeg, kind, strength, at_h, recalled, by_hand, "
            "approved FROM memories LEFT JOIN pictures ON memory = id WHERE id = ?",
            (number,),
        ).fetchone()
        if row is None:
            return None
        words = self._db.execute(
            "SELECT id, prompts FROM named JOIN palettes ON id = palette WHERE memory = ?", row[:1]
        )
        with suppress(KeyError, TypeError, ValueError):
            palettes = {id: Palette(id, tuple(json.loads(prompts))) for id, prompts in words.fetchall()}
            return self._memory(row, palettes)
        return None

    def _memory(self, row: Sequence[Any], palettes: Mapping[str, Palette]) -> Memory:
        number, model, created, place, steered, vector, jpeg, kind, strength, at_h, recalled, by_hand, approved = row
        return Memory(
            number=number,
            model=model,
            created=created,
            place=Place.from_dict(json.loads(place)),
            palettes=palettes,
            steered=json.loads(steered),
            embedding=np.frombuffer(vector, np.float16).astype(np.float32),
            thumbnail=jpeg or b"",
            kind=kind,
            strength=float(faded(np.array([strength]), np.array([at_h]), self.running_h, self.half_life_h)[0]),
            recalled=recalled,
            by_hand=bool(by_hand),
            approved=bool(approved),
        )

    def rows(self, after: int, model: str, most: int = PAGE) -> NDArray[np.void]:
        """What is known at once of the next memories beyond that number, dtype ROW."""
        found = self._db.execute(
            f"SELECT {_ROW} FROM memories WHERE id > ? ORDER BY id LIMIT ?", (model, after, most)
        ).fetchall()
        return np.array(found, ROW)

    def embeddings(self, numbers: NDArray[np.int64]) -> NDArray[np.float16]:
        """(N, SIZE) of the memories of these numbers, which ascend and are all there; of another version zeros."""
        if not len(numbers):
            return np.empty((0, SIZE), np.float16)
        found = self._db.execute(
            "SELECT id, embedding FROM memories WHERE id BETWEEN ? AND ? ORDER BY id",
            (int(numbers[0]), int(numbers[-1])),
        )
        wanted = set(numbers.tolist())
        data = {number: vector for number, vector in found if number in wanted and len(vector) == 2 * SIZE}
        joined = b"".join(data.get(number, bytes(2 * SIZE)) for number in numbers.tolist())
        return np.frombuffer(joined, np.float16).reshape(-1, SIZE)

    def pages(self, model: str = "") -> Iterator[NDArray[np.void]]:
        """The rows of all memories, a page at a time, by number."""
        page = self.rows(-1, model)
        while len(page):
            yield page
            page = self.rows(int(page["number"][-1]), model)

    def summaries(self, model: str = "") -> Summary:
        """All memories, by number, as strong as they are now. model: which count as ours."""
        rows = np.concatenate([np.empty(0, ROW), *self.pages(model)])
        return summary_of(rows, self.running_h, self.half_life_h)

    @property
    def highest(self) -> int:
        """The highest number that was ever given."""
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'memories'").fetchone()
        return int(row[0]) if row else 0

    def approved(self, model: str) -> list[int]:
        """Numbers of the approved memories of a model."""
        rows = self._db.execute("SELECT id FROM memories WHERE approved AND model = ? ORDER BY id", (model,))
        return [number for (number,) in rows]

    def newest(self, most: int, model: str) -> list[tuple[int, float, str]]:
        """Of a model's newest memories: number, when it was kept, the prompt that is heard most; the newest first."""
        rows = self._db.execute(
            "SELECT id, created, (SELECT text FROM said JOIN prompts ON prompts.id = prompt WHERE memory = memories.id "
            "ORDER BY share DESC, prompt LIMIT 1) FROM memories WHERE model = ? ORDER BY id DESC LIMIT ?",
            (model, most),
        )
        return [(number, created, words or "") for number, created, words in rows]

    def thumbnail(self, number: int) -> bytes | None:
        """The JPEG of a memory."""
        row = self._db.execute("SELECT jpeg FROM pictures WHERE memory = ?", (number,)).fetchone()
        return row[0] if row else None

    def by_words(self, text: str, most: int = 1, model: str | None = None) -> list[tuple[int, float]]:
        """Numbers of the memories in which these words are heard most, the best first, and how well each fits, to 1.

        model: only of this one.
        """
        scores = fitting(self.prompts_like(text), text)
        best = dict(sorted(scores.items(), key=lambda item: -item[1])[:MOST_PROMPTS])
        if not best:
            return []
        values = ", ".join("(?, ?)" for _ in best)
        rows = self._db.execute(
            f"WITH fits(text, score) AS (VALUES {values}) "
            "SELECT memory, sum(share * score) AS total FROM fits JOIN prompts USING (text) "
            "JOIN said ON said.prompt = prompts.id JOIN memories ON memories.id = memory "
            "WHERE (? IS NULL OR model = ?) GROUP BY memory ORDER BY total DESC, memory DESC LIMIT ?",
            [v for pair in best.items() for v in pair] + [model, model, most],
        )
        return rows.fetchall()

    def prompts_like(self, text: str) -> list[str]:
        """All prompts of memories that have one of these words, or one that differs in its ending only."""
        found: dict[str, None] = {}
        for word in tokens(text):
            same, beyond, longest = variants(word)
            places = ", ".join("?" for _ in same)
            rows = self._db.execute(
                "SELECT DISTINCT text FROM words JOIN prompts ON prompts.id = prompt "
                f"WHERE word IN ({places}) OR (word > ? AND word < ? AND length(word) <= ?)",
                [*same, word, beyond, longest],
            )
            found |= dict.fromkeys(row[0] for row in rows)
        return list(found)

    def words_of_kinds(self) -> dict[int, dict[str, float]]:
        """How much each prompt is heard in each kind; of a large bank, in some thousands of its memories."""
        found: dict[int, dict[str, float]] = {}
        for kind, text, share in self._db.execute(
            "SELECT kind, text, sum(share) FROM memories JOIN said ON memory = memories.id "
            "JOIN prompts ON prompts.id = prompt WHERE memories.id * 40503 % 65536 < ? GROUP BY kind, prompt",
            (65536 * WORDS_OF // max(len(self), WORDS_OF),),  # some here, some there, and always the same
        ):
            found.setdefault(kind, {})[text] = share
        return found

    def recall(self, number: int, now: float) -> tuple[float, float] | None:
        """It was recalled: as strong again as when it was kept, and somewhat stronger the more often.

        Returns its strength and the hour that it has it from.
        """
        row = self._db.execute("SELECT strength, at_h FROM memories WHERE id = ?", (number,)).fetchone()
        if row is None:
            return None
        at_h = self.running_h
        here = float(faded(np.array([row[0]]), np.array([row[1]]), at_h, self.half_life_h)[0])
        strength = min(ALONE + here / 2, STRONGEST)
        self._db.execute(
            "UPDATE memories SET strength = ?, at_h = ?, recalled = ? WHERE id = ?", (strength, at_h, now, number)
        )
        return strength, at_h

    def approve(self, numbers: Sequence[int], approved: bool = True) -> int:
        """How many of them there are."""
        with self._whole():
            marked = [
                self._db.execute("UPDATE memories SET approved = ? WHERE id = ?", (approved, n)).rowcount
                for n in numbers
            ]
        return sum(marked)

    def set_kinds(self, numbers: NDArray[np.int64], kinds: NDArray[np.int32]) -> None:
        """Puts memories on other shelves."""
        with self._whole():
            self._db.executemany(
                "UPDATE memories SET kind = ? WHERE id = ?", zip(kinds.tolist(), numbers.tolist(), strict=True)
            )

    def forget(self, numbers: Iterable[int]) -> int:
        """How many of them there were. Words that no other memory says are forgotten with them."""
        gone = [int(n) for n in numbers]
        count = 0
        with self._whole():
            for at in range(0, len(gone), PAGE):
                some = gone[at : at + PAGE]
                places = ", ".join("?" for _ in some)
                prompts = self._db.execute(f"SELECT DISTINCT prompt FROM said WHERE memory IN ({places})", some)
                palettes = self._db.execute(f"SELECT DISTINCT palette FROM named WHERE memory IN ({places})", some)
                said, named = prompts.fetchall(), palettes.fetchall()
                count += self._db.execute(f"DELETE FROM memories WHERE id IN ({places})", some).rowcount
                self._db.executemany(
                    "DELETE FROM prompts WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM said WHERE prompt = ?1)", said
                )
                self._db.executemany(
                    "DELETE FROM palettes WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM named WHERE palette = ?1)", named
                )
        return count

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
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error:  # a full disk: without this the bank would stay locked
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise
