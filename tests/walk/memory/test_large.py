"""A bank of forty thousand memories: how much memory it takes, and that nothing of it is done in large pieces."""

import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.walk.memory.bank import PAGE, Bank
from engine.walk.memory.keeper import Keeper
from engine.walk.memory.questions import Answer, Ask, Found, Kept, Settings, Shelved
from engine.walk.memory.recall import Asked
from engine.walk.memory.work import BITE, SHELVED, Work
from tests.walk.memory.places import MODEL, fill, offer

COUNT = 40_000
MOST_MB = 80  # 200 for a hundred thousand


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("large") / "m.db"
    bank = Bank(path)
    fill(bank, COUNT, jpeg_bytes=0)
    bank.set_note("sorted", COUNT)
    bank.close()
    yield path
    path.unlink()


def read_in(path: Path, heard: list[Answer]) -> tuple[Work, int]:
    work, bites = Work(path, MODEL, Settings(capacity=2 * COUNT), heard.append), 0
    while not work.is_ready:
        work.rest()
        bites += 1
    return work, bites


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_it_takes_no_more_than_2_kb_a_memory(large: Path) -> None:
    # Not getrusage(): its highest is also that of the process that this one was forked from.
    code = f"""
        import re
        from pathlib import Path
        from tests.walk.memory import test_large
        def highest_kb() -> int:
            return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
        before = highest_kb()
        work, _ = test_large.read_in(Path({str(large)!r}), [])
        work.rest()  # the shelves
        work.take(test_large.offer(3, 2, by_hand=True))
        print(highest_kb() - before)
    """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert 20 < int(ran.stdout) / 1024 < MOST_MB


def test_it_is_read_sorted_and_shelved_in_bites(large: Path) -> None:
    heard: list[Answer] = []
    work, bites = read_in(large, heard)
    assert bites >= COUNT / PAGE
    for _ in range(200):  # every memory is put on the map first
        work.rest()
        if heard:
            break
    (shelved,) = [answer for answer in heard if isinstance(answer, Shelved)]
    assert len(shelved.numbers) == SHELVED and shelved.count > COUNT
    moved: list[int] = []
    set_kinds = work._bank.set_kinds
    work._bank.set_kinds = lambda numbers, kinds: (moved.append(len(numbers)), set_kinds(numbers, kinds))[1]  # type: ignore[method-assign]
    work._sort_at = 0
    work.rest()
    for _ in range(80):
        assert work.rest() and work.is_busy
    work.take(Ask(Asked(number=COUNT // 2), "between two bites"))
    assert isinstance(heard[-1], Found)
    for _ in range(200):
        work.rest()
    assert max(moved, default=0) <= BITE
    work.close()


def test_the_show_is_handed_answers_and_waits_for_none(large: Path) -> None:
    keeper = Keeper(lambda: large, Settings(capacity=2 * COUNT), lambda: MODEL)
    keeper.start()
    keeper.offer(offer(4, 1, by_hand=True))
    keeper.ask(Ask(Asked(), "random", tick=3))
    assert keeper.answers() == [], "it is being read in, and nobody waits for it"
    heard: list[Answer] = []
    end = time.monotonic() + 60
    while not (any(isinstance(a, Kept) for a in heard) and any(isinstance(a, Found) for a in heard)):
        assert time.monotonic() < end
        heard += keeper.answers()
        time.sleep(0.01)
    keeper.close(5.0)
