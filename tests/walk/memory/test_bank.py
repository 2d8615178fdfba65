"""The bank's file: what is kept, what survives, what is set aside."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from engine.walk.memory.bank import Bank, BankError
from tests.walk.memory.places import MODEL, WORDS, new, place


def test_a_memory_comes_back_as_it_was(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "m.db")
    kept = new(3, kind=1, steered={"walk.speed": 0.3, "stage.freeze": True}, by_hand=True)
    number = bank.keep(kept)
    assert number is not None
    memory = bank.read(number)
    assert memory is not None and memory.place == place(3, 1) and memory.palettes == {WORDS.id: WORDS}
    assert memory.steered == kept.steered and memory.by_hand and not memory.approved and memory.model == MODEL
    assert np.allclose(memory.embedding, kept.embedding, atol=1e-3) and memory.thumbnail == kept.thumbnail
    assert [memory.said[text] for text in WORDS.prompts] == pytest.approx([0.05, 0.9, 0.05])
    bank.close()
    again = Bank(tmp_path / "m.db").read(number)
    assert again is not None and again.mark == memory.mark == kept.mark


def test_the_same_place_is_kept_once(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "m.db")
    assert bank.keep(new(1)) == 1 and bank.keep(new(1)) is None and len(bank) == 1
    assert bank.keep(new(1, model="another")) is not None, "of another model it is another"


def test_numbers_are_never_given_twice(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "m.db")
    first = bank.keep(new(1))
    assert first is not None and bank.forget([first, 99]) == 1
    assert bank.keep(new(2)) == first + 1 and bank.read(first) is None


def test_words_find_the_memory_in_which_they_are_heard_most(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "m.db")
    numbers = bank.keep_all(new(n, kind=n % 3) for n in range(9))
    found = bank.by_words("torn papers", 3, MODEL)
    assert {number for number, _ in found} == {numbers[1], numbers[4], numbers[7]}
    assert all(fit == pytest.approx(0.9) for _, fit in found)
    assert bank.by_words("", 3) == [] and bank.by_words("nothing of it", 3) == []
    assert bank.by_words("torn paper", 3, "another") == []
    bank.forget([n for n in numbers[7:] if n])
    assert numbers[7] not in dict(bank.by_words("torn paper", 9)), "what is forgotten is not found"


def test_strength_fades_with_the_hours_of_running_and_recall_renews_it(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "m.db", half_life_h=10.0)
    bank.keep_all([new(1), new(2)])
    bank.ran(10.0)
    assert bank.summaries().strengths == pytest.approx([0.5, 0.5])
    bank.recall(2, time.time())
    assert bank.summaries().strengths == pytest.approx([0.5, 1.25]) and bank.summaries().weakest(1).tolist() == [1]
    bank.ran(20.0)
    assert bank.summaries().strengths == pytest.approx([0.125, 0.3125])


def test_what_was_kept_by_hand_or_approved_is_not_among_the_weakest(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "m.db")
    bank.keep_all([new(1, by_hand=True), new(2), new(3)])
    assert bank.approve([2, 77]) == 1
    assert bank.summaries().weakest(9).tolist() == [3]
    assert bank.approve([2], approved=False) == 1 and set(bank.summaries().weakest(9).tolist()) == {2, 3}


@pytest.mark.parametrize("content", [b"", b"rubbish" * 1000, b"SQLite format 3\0" + bytes(5000)])
def test_a_damaged_file_is_set_aside_and_a_new_bank_begins(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.db"
    path.write_bytes(content)
    bank = Bank(path)
    assert bank.keep(new(1)) == 1
    aside = tmp_path / "m.db.1.bad"
    assert (aside.read_bytes() == content and bank.set_aside == aside) if content else not aside.exists()


def test_a_bank_of_another_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    Bank(path).close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE about SET value = 99 WHERE name = 'schema'")
    db.close()
    with pytest.raises(BankError, match="another version of Pedesis"):
        Bank(path)
    assert not (tmp_path / "m.db.1.bad").exists()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BankError, match="cannot be made"):
        Bank(tmp_path / "file" / "m.db")
    with pytest.raises(BankError, match="cannot be opened"):
        Bank(tmp_path)
    with pytest.raises(BankError, match="no memory bank"):
        Bank(tmp_path / "none.db", read_only=True)


def test_two_processes_share_a_bank(tmp_path: Path) -> None:
    one, two = Bank(tmp_path / "m.db"), Bank(tmp_path / "m.db")
    numbers = [bank.keep(new(n)) for n, bank in enumerate([one, two, one, two])]
    assert numbers == [1, 2, 3, 4] and len(one) == len(two) == 4
    assert Bank(tmp_path / "m.db", read_only=True).read(3) is not None


def test_a_process_killed_while_it_writes_leaves_a_whole_bank(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    code = f"""
        import itertools
        from pathlib import Path
        from engine.walk.memory.bank import Bank
        from tests.walk.memory.places import new
        bank = Bank(Path({str(path)!r}))
        for n in itertools.count():
            bank.keep(new(n, kind=n % 3))
            print(n, flush=True)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    for _ in range(20):
        last = int(child.stdout.readline())
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    bank = Bank(path)
    assert bank.set_aside is None and len(bank) > last
    assert all(bank.read(n) is not None for n in range(1, len(bank) + 1))


def test_a_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "m.db")
    bank.keep(new(1))
    bank._db.execute("PRAGMA max_page_count = 1")  # SQLite's own way of having no room
    with pytest.raises(sqlite3.Error, match="full"):
        bank.keep_all(new(n) for n in range(2, 40))
    assert len(bank) == 1
    bank._db.execute("PRAGMA max_page_count = 100000")
    assert bank.keep(new(2)) is not None


def test_a_copy_holds_everything(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "m.db")
    bank.keep_all(new(n) for n in range(5))
    bank.copy_to(tmp_path / "copy.db")
    assert len(Bank(tmp_path / "copy.db", read_only=True)) == 5


def test_a_file_that_was_never_a_bank_is_left_alone(tmp_path: Path) -> None:
    letter = tmp_path / "README.md"
    letter.write_text("dear reader " * 100)
    with pytest.raises(BankError, match="is no memory bank and is left alone"):
        Bank(letter)
    assert letter.read_text() == "dear reader " * 100 and not list(tmp_path.glob("*.bad"))
