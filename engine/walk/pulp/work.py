"""Tears a text into its file, a step at a time, so that a run that was stopped goes on where it was.

    torn = tear_book(Job(Path("book.txt"), Path("book.pulp"), "house 9f1c..."), make_encoder, progress)

What is not finished stands in `book.pulp.part`: the fragments, and the vectors so far. `book.pulp` is written at the
end, whole or not at all. The command line's process.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.walk.pulp import kinds, tearing
from engine.walk.pulp.fragments import FORMAT, PulpError, about_of, write
from engine.walk.pulp.names import names_of
from engine.walk.pulp.reading import LARGEST, Book, BookError, examine, find_books, read
from engine.walk.pulp.tearing import tear

CAP = 100_000  # fragments that are kept of longer texts
BITE = 512  # texts that are embedded between two savings
VERSION = 1  # another number when the same fragments come to be sorted or named otherwise
_STATE = """
CREATE TABLE about (name TEXT PRIMARY KEY, value);
CREATE TABLE torn (number INTEGER PRIMARY KEY, text TEXT NOT NULL, source INTEGER NOT NULL);
CREATE TABLE vectors (first INTEGER PRIMARY KEY, rows BLOB NOT NULL, spelt BLOB NOT NULL);
"""


class Encoder(Protocol):
    """What makes vectors of texts (dreamer/embed.py)."""

    def encode(self, texts: Sequence[str], /) -> NDArray[np.float16]: ...
    def spelt(self, texts: Sequence[str], /) -> NDArray[np.float32]: ...


Progress = Callable[[str, int, int], None]  # what is done, how much of it, of how much


@dataclass(frozen=True)
class Job:
    """source: a file or a folder. name: what people call it. model: a mark of what embeds. cap: fragments at most,
    evenly spread over the text. anew: also where the same was torn before."""

    source: Path
    out: Path
    model: str
    name: str = ""
    cap: int = CAP
    longest: int = tearing.LONGEST
    anew: bool = False


@dataclass(frozen=True)
class Torn:
    """out: the file; count: fragments in it; found: in the text, before the cap; skipped: files of a folder that are
    no texts, and why; before: the same was torn before, and nothing was done."""

    out: Path
    count: int
    found: int
    skipped: tuple[str, ...]
    before: bool


def tear_book(job: Job, make_encoder: Callable[[], Encoder], progress: Progress) -> Torn:
    """Raises BookError, PulpError, OSError, sqlite3.Error; a run that ends early goes on the next time."""
    books, skipped = _looked_at(job, progress)
    key = _key(job, books)
    known = about_of(job.out)
    if known.get("key") == key and not job.anew:
        return Torn(job.out, int(known["count"]), int(known["found"]), skipped, True)
    state = job.out.with_name(job.out.name + ".part")
    with closing(_opened(state, key)) as db:
        found = _tear(db, books, job, progress)
        rows = db.execute("SELECT text, source FROM torn ORDER BY number").fetchall()
        texts = [text for text, _ in rows]
        vectors, spelt = _embed(db, texts, make_encoder, progress)
        progress("sorting", 0, 3)
        features = kinds.features(vectors, spelt, texts)
        progress("sorting", 1, 3)
        sorts = kinds.sort(features)
        progress("sorting", 2, 3)
        names = names_of(texts, sorts.kind_of, sorts.count)
        points = kinds.points(features, sorts)
        progress("sorting", 3, 3)
        write(
            job.out,
            texts,
            sorts.kind_of,
            sorts.in_kinds,
            names,
            job.model,
            vectors,
            points,
            [book.name for book in books],
            np.array([source for _, source in rows], np.uint16),
            {"key": key, "found": found},
        )
    for rest in ("", "-journal"):
        with suppress(FileNotFoundError):
            state.with_name(state.name + rest).unlink()
    return Torn(job.out, len(texts), found, skipped, False)


def _looked_at(job: Job, progress: Progress) -> tuple[list[Book], tuple[str, ...]]:
    """The books, and what was passed over. In a folder what is no text is; alone it is an error."""
    paths = find_books(job.source)
    books, skipped = [], []
    for n, path in enumerate(paths):
        progress("reading", n, len(paths))
        name = job.name or path.name
        if job.source.is_dir():
            name = path.relative_to(job.source).as_posix()
        try:
            books.append(examine(path, name.encode("utf-8", "replace").decode()))
        except BookError as error:
            if not job.source.is_dir():
                raise
            skipped.append(str(error))
    if not books:
        raise BookError(f"the folder {job.source} has no texts that can be torn: {skipped[0]}")
    if sum(book.size for book in books) > LARGEST:
        raise BookError(f"{job.source} is larger than {LARGEST // 1_000_000} MB; tear it in parts")
    progress("reading", len(paths), len(paths))
    return books, tuple(skipped)


def _key(job: Job, books: Sequence[Book]) -> str:
    """What a torn text comes of, as one hash."""
    what = [VERSION, tearing.VERSION, FORMAT, job.model, job.cap, job.longest, [(b.name, b.digest) for b in books]]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]


def _opened(state: Path, key: str) -> sqlite3.Connection:
    """What was done so far of the same work, or a beginning."""
    for again in (True, False):
        db = sqlite3.connect(state, isolation_level=None, timeout=1.0)
        try:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("BEGIN IMMEDIATE")
            tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            known = dict(db.execute("SELECT name, value FROM about")) if "about" in tables else {}
            if known.get("key") != key:
                for table in sorted(tables):
                    db.execute(f'DROP TABLE "{table}"')
                for statement in _STATE.split(";"):
                    db.execute(statement)
                db.execute("INSERT INTO about VALUES ('key', ?)", (key,))
            db.execute("COMMIT")
            return db
        except sqlite3.DatabaseError as error:
            db.close()
            if "locked" in str(error):
                raise PulpError(f"{state.stem} is being torn by another program; wait for it to end") from error
            if isinstance(error, sqlite3.OperationalError) or not again:
                raise
            state.unlink()  # damaged: all of it can be made again
    raise AssertionError("two tries end by returning or raising")


def _tear(db: sqlite3.Connection, books: Sequence[Book], job: Job, progress: Progress) -> int:
    """Fragments of all books into the state; returns how many there were before the cap."""
    done = dict(db.execute("SELECT name, value FROM about"))
    if "found" in done:
        return int(done["found"])
    total = sum(book.size for book in books)
    passed = 0

    def fragments() -> Iterator[tuple[str, int]]:
        nonlocal passed
        for number, book in enumerate(books):
            begun = passed

            def counted(book: Book = book) -> Iterator[str]:
                nonlocal passed
                for piece in read(book):
                    yield piece
                    passed += min(len(piece), 1 << 20)
                    progress("tearing", min(passed, total), total)

            for text in tear(counted(), job.longest):
                yield text, number
            passed = begun + book.size

    db.execute("BEGIN IMMEDIATE")
    db.executemany("INSERT INTO torn (text, source) VALUES (?, ?)", fragments())
    (found,) = db.execute("SELECT count(*) FROM torn").fetchone()
    if not found:
        raise BookError(f"there is nothing to tear in {job.name or job.source}: no words were found in it")
    if found > job.cap:  # every so many: those that stay are spread evenly over the text
        keep = ((1 + n * found // job.cap,) for n in range(job.cap))
        db.execute("CREATE TEMP TABLE kept (number INTEGER PRIMARY KEY)")
        db.executemany("INSERT INTO kept VALUES (?)", keep)
        db.execute("DELETE FROM torn WHERE number NOT IN (SELECT number FROM kept)")
    db.execute("INSERT INTO about VALUES ('found', ?)", (found,))
    db.execute("COMMIT")
    progress("tearing", total, total)
    return int(found)


def _embed(
    db: sqlite3.Connection, texts: Sequence[str], make_encoder: Callable[[], Encoder], progress: Progress
) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """A vector for each text, (N, D) and (N,) how much of it is spelt; equal ones are embedded once, like lengths
    beside each other, a bite at a time."""
    single = sorted(set(texts), key=lambda text: (len(text), text))
    done = {first for (first,) in db.execute("SELECT first FROM vectors")}
    encoder: Encoder | None = None
    for at in range(0, len(single), BITE):
        progress("embedding", at, len(single))
        if at in done:
            continue
        encoder = encoder or make_encoder()
        bite = single[at : at + BITE]
        rows, spelt = encoder.encode(bite), encoder.spelt(bite)
        db.execute("INSERT INTO vectors VALUES (?, ?, ?)", (at, rows.tobytes(), spelt.tobytes()))
    progress("embedding", len(single), len(single))
    kept = db.execute("SELECT rows, spelt FROM vectors ORDER BY first").fetchall()
    flat = np.concatenate([np.frombuffer(rows, np.float16) for rows, _ in kept]).reshape(len(single), -1)
    much = np.concatenate([np.frombuffer(spelt, np.float32) for _, spelt in kept])
    where = {text: n for n, text in enumerate(single)}
    order = np.array([where[text] for text in texts])
    return flat[order], much[order]
