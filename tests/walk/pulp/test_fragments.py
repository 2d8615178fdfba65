"""The file of a torn text: what is written is read, and what is damaged is refused in a sentence."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from engine.walk.pulp.fragments import Fragments, PulpError, read_vectors, write

TEXTS = [f"fragment {n}, ☁ in water" for n in range(50)]
KINDS = np.arange(50) % 3
ORDER = np.argsort(KINDS, kind="stable")
VECTORS = np.arange(100, dtype=np.float16).reshape(50, 2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "book.pulp"
    write(path, TEXTS, KINDS, ORDER, ("rain", "paper", "雲"), "house 12", VECTORS, sources=("a.txt",))
    return path


def test_what_is_written_is_read(path: Path) -> None:
    pulp = Fragments(path)
    assert pulp.count == 50 and pulp.model == "house 12" and pulp.sources == ("a.txt",)
    assert [pulp.text(n) for n in range(50)] == TEXTS
    assert [(k.number, k.name, k.count) for k in pulp.kinds] == [(0, "rain", 17), (1, "paper", 17), (2, "雲", 16)]
    assert pulp.kind_of.tolist() == KINDS.tolist() and pulp.kind_of.dtype == np.uint16
    assert pulp.in_kinds.tolist() == ORDER.tolist() and pulp.in_kinds.dtype == np.int32
    assert pulp.of_kind(1).tolist() == [n for n in range(50) if n % 3 == 1]
    assert np.array_equal(read_vectors(path), VECTORS)
    with pytest.raises(IndexError):
        pulp.text(50)
    pulp.close()


def test_once_it_is_open_the_file_may_go(path: Path) -> None:
    pulp = Fragments(path)
    path.unlink()
    assert pulp.text(49) == TEXTS[49]


def test_the_digest_is_of_what_is_in_it(path: Path, tmp_path: Path) -> None:
    same, other = tmp_path / "same.pulp", tmp_path / "other.pulp"
    write(same, TEXTS, KINDS, ORDER, ("rain", "paper", "雲"), "house 12", VECTORS, sources=("a.txt",))
    write(other, TEXTS, KINDS, ORDER[::-1], ("rain", "paper", "雲"), "house 12")
    assert same.read_bytes() == path.read_bytes()
    assert Fragments(same).digest == Fragments(path).digest != Fragments(other).digest


def refused(path: Path) -> str:
    with pytest.raises(PulpError) as caught:
        Fragments(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_read_is_refused_in_a_sentence(path: Path, tmp_path: Path) -> None:
    assert "there is no torn text" in refused(tmp_path / "none.pulp")
    assert "is not a torn text" in refused(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(b"Rain fell on the paper. " * 100)
    assert "no torn text, or it is damaged" in refused(path)
    path.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in refused(path)
    at = whole.index(TEXTS[7].encode())
    path.write_bytes(whole[:at] + b"F" + whole[at + 1 :])  # one letter
    assert "damaged" in refused(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DELETE FROM fragments WHERE number = 3", "damaged"),
        ("UPDATE fragments SET kind = 9 WHERE number = 3", "damaged"),
        ("UPDATE fragments SET kind = 'x' WHERE number = 3", "damaged"),
        ("UPDATE fragments SET place = -1 WHERE number = 3", "damaged"),
        ("UPDATE about SET value = 99 WHERE name = 'format'", "another version"),
        ("UPDATE about SET value = 'x' WHERE name = 'mark'", "another program's"),
        ("DROP TABLE kinds", "damaged"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(path: Path, change: str, said: str) -> None:
    db = sqlite3.connect(path)
    db.execute(change)
    db.commit()
    db.close()
    assert said in refused(path)


def test_a_failed_writing_leaves_what_was_there(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ValueError):
        write(path, TEXTS[:20], KINDS, ORDER, ("rain", "paper", "雲"), "house 12")
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
