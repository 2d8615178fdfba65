"""A text torn into its file with an encoder of the test's own: whole, resumed, capped, and sorted into kinds."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.walk.pulp import work
from engine.walk.pulp.fragments import Fragments, PulpError
from engine.walk.pulp.plot import draw
from engine.walk.pulp.reading import BookError
from engine.walk.pulp.work import Job, Torn, tear_book

ABOUT = ("rain", "paper", "glass", "sheep", "bread", "night", "smoke")
COUNT, BITE = 400, 64  # fragments; those embedded between two savings
SIDES = ("over the hill", "under the table", "beside the river", "behind the door", "inside the drawer")


class Encoder:
    """Vectors by the word that a text is about, with a little of their own; `left`: texts before it is stopped."""

    def __init__(self, left: int = 1 << 30) -> None:
        self.left, self.read = left, 0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float16]:
        self.left -= len(texts)
        if self.left < 0:
            raise KeyboardInterrupt
        self.read += len(texts)
        rows = []
        for text in texts:
            draw = np.random.default_rng(sum(map(ord, text)))
            about = next((n for n, word in enumerate(ABOUT) if word in text), 0)
            rows.append(np.eye(24)[about] + 0.1 * draw.normal(size=24))
        return np.array(rows, np.float16)

    def spelt(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.full(len(texts), 0.3, np.float32)


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(work, "BITE", BITE)
    path = tmp_path / "book.txt"
    draw = np.random.default_rng(5)
    lines = [f"The {ABOUT[draw.integers(7)]} was seen {SIDES[draw.integers(5)]} at {n} o'clock." for n in range(COUNT)]
    path.write_text("\n".join(lines))
    return path


def torn(book: Path, encoder: Encoder | None = None, **options: object) -> Torn:
    job = Job(book, book.with_name("book.pulp"), "test 1", **options)  # type: ignore[arg-type]
    return tear_book(job, lambda: encoder or Encoder(), lambda what, done, of: None)


def test_a_text_is_sorted_into_kinds_that_have_its_own_words(book: Path) -> None:
    told = torn(book)
    assert (told.count, told.found, told.before) == (COUNT, COUNT, False)
    pulp = Fragments(told.out)
    assert pulp.text(0).endswith("at 0 o'clock.") and pulp.text(COUNT - 1).endswith(f"at {COUNT - 1} o'clock.")
    assert 6 <= len(pulp.kinds) <= 40
    assert set(ABOUT) <= {word for kind in pulp.kinds for word in kind.name.split(", ")}
    for kind in pulp.kinds:
        about = [next(word for word in ABOUT if word in pulp.text(int(n))) for n in pulp.of_kind(kind.number)[:12]]
        assert len(set(about)) == 1, (kind.name, about)
    assert len({kind.name for kind in pulp.kinds}) == len(pulp.kinds)
    assert sorted(path.name for path in book.parent.iterdir()) == ["book.pulp", "book.txt"]
    picture = draw(pulp, (640, 400))
    assert picture.size == (640, 400) and np.asarray(picture).std() > 4


def test_the_same_text_gives_the_same_file_also_when_stopped(book: Path) -> None:
    whole = torn(book).out.read_bytes()
    torn(book).out.unlink()
    with pytest.raises(KeyboardInterrupt):
        torn(book, Encoder(left=2 * BITE + 10))
    assert not book.with_name("book.pulp").exists()  # nothing that looks whole
    second = Encoder()
    assert torn(book, second).out.read_bytes() == whole
    assert second.read == COUNT - 2 * BITE


def test_what_was_torn_before_is_left_until_it_changes(book: Path) -> None:
    torn(book)
    untouched = Encoder(left=0)
    assert torn(book, untouched).before
    assert not torn(book, anew=True).before
    with book.open("a") as file:
        file.write("\nThe bread is new.")
    assert torn(book).count == COUNT + 1


def test_a_state_of_another_text_or_damaged_begins_anew(book: Path) -> None:
    book.with_name("book.pulp.part").write_bytes(b"no database, but something long enough" * 90)
    assert torn(book).count == COUNT
    with pytest.raises(KeyboardInterrupt):
        torn(book, Encoder(left=0), anew=True)
    book.write_text("The rain is over.")
    assert torn(book).count == 1


def test_a_cap_takes_fragments_evenly(book: Path) -> None:
    told = torn(book, cap=100)
    assert (told.count, told.found) == (100, COUNT)
    pulp = Fragments(told.out)
    assert [pulp.text(n).split()[-2] for n in (0, 1, 99)] == ["0", "4", "396"]


def test_two_at_once_do_not_spoil_each_other(book: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        torn(book, Encoder(left=0))
    held = sqlite3.connect(book.with_name("book.pulp.part"), isolation_level=None)
    held.execute("BEGIN EXCLUSIVE")
    with pytest.raises(PulpError, match="another program"):
        torn(book)
    held.close()


def test_an_unread_script_is_sorted_by_its_words(tmp_path: Path) -> None:
    class Speller(Encoder):
        def spelt(self, texts: Sequence[str]) -> NDArray[np.float32]:
            return np.ones(len(texts), np.float32)

    book = tmp_path / "book.txt"
    things = ("白雲", "紙漿", "玻璃", "河流", "森林", "麵包", "羊群", "黑夜", "煙霧", "書頁", "雨水", "記憶")
    book.write_text("".join(f"{things[n % 12]}在第{n}天{'早上' if n % 2 else '晚上'}出現了。\n" for n in range(600)))
    pulp = Fragments(torn(book, Speller()).out)
    assert sum(any(thing in kind.name for thing in things) for kind in pulp.kinds) >= 8


def test_a_folder_tells_what_it_passed_over(book: Path) -> None:
    folder = book.parent / "library"
    folder.mkdir()
    (folder / "a.txt").write_text("Rain fell on the paper.\n")
    (folder / "b.txt").write_bytes(bytes(range(256)))
    told = tear_book(Job(folder, book.with_name("l.pulp"), "test"), Encoder, lambda what, done, of: None)
    assert told.count == 1 and "b.txt is not plain text" in told.skipped[0]
    assert Fragments(told.out).sources == ("a.txt",)
    (folder / "a.txt").write_text("12 34\n")
    with pytest.raises(BookError, match="nothing to tear"):
        tear_book(Job(folder, book.with_name("n.pulp"), "test"), Encoder, lambda what, done, of: None)
