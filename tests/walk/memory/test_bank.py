"""The bank's file: what is kept, what survives, what is set aside."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.walk.memory import file
from engine.walk.memory.bank import Bank, BankError
from engine.walk.memory.questions import Answer, Ask, Found, Settings, Trouble
from engine.walk.memory.recall import Asked
from engine.walk.memory.work import Work
from engine.walk.palette import Palette
from engine.walk.visit import Place
from tests.walk.memory.places import MODEL, WORDS, new, offer, place


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


def test_processes_that_open_a_new_bank_at_once_share_it(tmp_path: Path) -> None:
    code = f"""
        import sys
        from pathlib import Path
        from engine.walk.memory.bank import Bank
        from tests.walk.memory.places import new
        print("ready", flush=True)
        sys.stdin.readline()
        bank = Bank(Path({str(tmp_path / "m.db")!r}))
        for n in range(5):
            bank.keep(new(10 * int(sys.argv[1]) + n))
    """
    pipe = subprocess.PIPE
    children = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), str(n)], stdin=pipe, stdout=pipe, text=True)
        for n in range(3)
    ]
    for child in children:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.close()
    assert [child.wait(30) for child in children] == [0, 0, 0]
    for child in children:
        assert child.stdout is not None
        child.stdout.close()
    bank = Bank(tmp_path / "m.db")
    assert bank.summaries().numbers.tolist() == list(range(1, 16)) and bank.set_aside is None


def test_a_bank_that_another_process_holds_is_called_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "BUSY_S", 0.1)
    holder = Bank(tmp_path / "m.db")
    with holder._whole(), pytest.raises(BankError, match=r"is busy: another program has held it for 0\.1 s"):
        Bank(tmp_path / "m.db")
    assert Bank(tmp_path / "m.db").set_aside is None


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE photos (name TEXT)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(BankError, match="is not a memory bank, but another program's database"):
        Bank(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_damaged_bank_that_another_show_has_replaced_is_not_set_aside_again(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    path.write_bytes(b"rubbish" * 1000)
    damaged = file.identity(path)
    Bank(path).keep(new(1))  # the other show
    here = Bank(path, damaged=damaged)
    assert here.set_aside is None and len(here) == 1 and not (tmp_path / "m.db.2.bad").exists()


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A bank that this user may read, in a folder where nothing may be written."""
    if os.name != "posix":
        pytest.skip("permissions are the file system's own here")
    folder = Path(tempfile.mkdtemp())
    Bank(folder / "m.db").keep_all(new(n, kind=n % 3) for n in range(6))
    folder.joinpath("m.db").chmod(0o444)
    folder.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    yield folder / "m.db"
    if is_root:
        os.seteuid(0)
    folder.chmod(0o755)
    for part in folder.iterdir():
        part.unlink()
    folder.rmdir()


def test_a_bank_that_can_only_be_read_is_recalled_from(read_only: Path) -> None:
    bank = Bank(read_only)
    assert bank.read_only and len(bank) == 6 and bank.read(3) is not None and bank.set_aside is None
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        bank.keep(new(9))
    heard: list[Answer] = []
    work = Work(read_only, MODEL, Settings(), heard.append)
    while not work.is_ready:
        work.rest()
    for n in range(10, 20):
        assert work.take(offer(n, 1)) and work.rest()
    work.take(Ask(Asked(words="torn paper"), "torn paper"))
    assert isinstance(heard[-1], Found) and heard[-1].memory.said["torn paper"] > 0.8
    work.take(offer(30, by_hand=True))
    work.close()
    said = [answer.why for answer in heard if isinstance(answer, Trouble)]
    assert len(said) == 2 and "can only be read: memories are recalled, and none is kept" in said[0]
    assert "a memory could not be kept: the bank" in said[1] and Bank(read_only).summaries().numbers.size == 6


def test_words_that_nobody_says_any_more_are_forgotten_too(tmp_path: Path) -> None:
    bank = Bank(tmp_path / "m.db")
    secret = Palette.of(["my name is Ada"])
    place_of = Place(place(1).points, (1.0,), secret.id)
    number = bank.keep(replace(new(1), place=place_of, palettes={secret.id: secret}))
    bank.keep(new(2))
    assert number is not None and bank.prompts_like("ada") == ["my name is Ada"]
    bank.forget([number])
    assert bank.prompts_like("ada") == [] and bank.prompts_like("whales") == ["a whale in the clouds"]
    bank._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    bank._db.execute("VACUUM")
    bank.close()
    assert b"Ada" not in (tmp_path / "m.db").read_bytes()


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
