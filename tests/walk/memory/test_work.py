"""What is done with a bank, step by step: what is worth keeping, what is chosen, clocks that jump, other processes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from engine.walk.memory import work as working
from engine.walk.memory.bank import Bank
from engine.walk.memory.export import bring_in
from engine.walk.memory.questions import Answer, Ask, Found, Kept, NotFound, Offer, Settings, Trouble
from engine.walk.memory.recall import Asked
from engine.walk.memory.work import FORGOTTEN, Work
from engine.walk.visit import Place
from tests.walk.memory.places import MODEL, WORDS, new, offer, picture

Begun = Callable[..., tuple[Work, list[Answer]]]


@pytest.fixture
def begun(tmp_path: Path) -> Begun:
    def begin(settings: Settings | None = None) -> tuple[Work, list[Answer]]:
        heard: list[Answer] = []
        work = Work(tmp_path / "m.db", MODEL, settings or Settings(), heard.append)
        rest(work)
        return work, heard

    return begin


def rest(work: Work) -> None:
    """Until there is nothing more to do."""
    work.rest()
    while work.is_busy:
        assert work.rest()


def kept(heard: list[Answer]) -> list[int]:
    return [answer.number for answer in heard if isinstance(answer, Kept)]


def seen(n: int, time_s: float, weights: tuple[float, ...] = (0.9, 0.05, 0.05)) -> Offer:
    """A picture that is like no other."""
    cells = np.random.Generator(np.random.PCG64(n)).integers(0, 256, (3, 4, 3), np.uint8)
    pixels = np.kron(cells, np.ones((12, 16, 1), np.uint8))
    return Offer(replace(offer(n).place, weights=weights), {WORDS.id: WORDS}, pixels, time_s=time_s)


MIXED = (0.4, 0.3, 0.3)


def test_no_more_are_kept_unasked_than_was_said(begun: Begun) -> None:
    work, heard = begun(Settings(every_s=30.0))
    for n in range(60):
        work.take(seen(n, 2.0 * n))
    assert len(kept(heard)) == 4, "at 0, 30, 60 and 90 seconds"


def test_mixtures_are_kept_only_where_nothing_pure_comes(begun: Begun) -> None:
    work, heard = begun(Settings(every_s=10.0))
    work.take(seen(1, 0.0))
    for n in range(1, 4):
        work.take(seen(10 + n, 10.0 * n, MIXED))
        work.take(seen(20 + n, 10.0 * n + 5.0))
    assert len(kept(heard)) == 4, "the pure ones"
    for n in range(30, 40):
        work.take(seen(n, 10.0 * (n - 26), MIXED))
    assert len(kept(heard)) > 6, "after a while any will do"


def test_what_was_kept_unasked_can_be_kept_by_hand(begun: Begun, tmp_path: Path) -> None:
    work, heard = begun()
    work.take(offer(1, 1))
    work.take(offer(1, 1, by_hand=True))
    work.take(offer(1, 1, by_hand=True))
    assert kept(heard) == [1, 1, 1] and len(Bank(tmp_path / "m.db")) == 1
    summary = Bank(tmp_path / "m.db").summaries()
    assert summary.kept.tolist() == [True] and summary.strengths.tolist() == [2.0]


def test_a_slip_of_the_hand_on_the_capacity_does_not_empty_the_bank(begun: Begun, tmp_path: Path) -> None:
    Bank(tmp_path / "m.db").keep_all(new(n, kind=n % 4) for n in range(60))
    work, _ = begun(Settings(capacity=10))
    work.take(offer(100, 1, by_hand=True))
    assert len(Bank(tmp_path / "m.db")) == 61 - FORGOTTEN


def test_words_choose_among_what_fits_as_well_and_not_the_one_that_is_shown(begun: Begun, tmp_path: Path) -> None:
    Bank(tmp_path / "m.db").keep_all(new(n, kind=n % 3) for n in range(12))
    work, heard = begun()
    for tick in range(30):
        work.take(Ask(Asked(words="papers"), "papers", tick=tick, at=2))
    found = {answer.memory.number for answer in heard if isinstance(answer, Found)}
    assert found == {5, 8, 11}
    heard.clear()
    for _ in range(5):
        work.take(Ask(Asked(words="papers"), "papers", tick=77))
    assert len({answer.memory.number for answer in heard if isinstance(answer, Found)}) == 1


def test_likeness_needs_a_picture(begun: Begun, tmp_path: Path) -> None:
    Bank(tmp_path / "m.db").keep(new(1))
    work, heard = begun()
    work.take(Ask(Asked(like=True), "like this"))
    assert isinstance(heard[-1], NotFound) and "nothing is shown yet" in heard[-1].why


def test_what_was_forgotten_meanwhile_is_said(begun: Begun, tmp_path: Path) -> None:
    other = Bank(tmp_path / "m.db")
    other.keep_all(new(n) for n in range(3))
    work, heard = begun()
    other.forget([2])
    work.take(Ask(Asked(number=2), "2"))
    assert isinstance(heard[-1], NotFound) and heard[-1].why == "memory 2 is not there any more"


def test_what_another_process_changes_is_taken_in(
    begun: Begun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(monotonic=lambda: clock.now, time=lambda: 1e9, now=1000.0)
    monkeypatch.setattr(working, "time", clock)
    work, heard = begun()
    work.take(offer(1, 1, by_hand=True))
    other = Bank(tmp_path / "m.db")
    numbers = other.keep_all(new(n, kind=7) for n in (20, 21))
    work.take(offer(2, 2, by_hand=True))
    other.forget([1])
    clock.now += 60.0
    rest(work)
    assert work._index.rows["number"].tolist() == [2, 3, 4] and numbers == [2, 3]
    assert work._kinds.ids[-1] == 7 and not [a for a in heard if isinstance(a, Trouble)]
    work.take(Ask(Asked(like=True), "like this", pixels=picture(21, 1)))
    assert isinstance(heard[-1], Found)


def test_clocks_that_jump_forget_nothing(begun: Begun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(monotonic=lambda: clock.now, time=lambda: clock.wall, now=1000.0, wall=1e9)
    monkeypatch.setattr(working, "time", clock)
    work, heard = begun(Settings(half_life_h=1.0))
    work.take(offer(1, 1, by_hand=True))
    for wall in (0.0, 4e9, 1e15, -5.0):  # the machine's clock
        clock.wall = wall
        work.take(Ask(Asked(number=1), "1"))
        assert isinstance(heard[-1], Found)
        work.take(offer(int(100 + abs(wall) % 97), 2, by_hand=True))
    clock.now += 90 * 86400.0  # a machine that slept for three months
    rest(work)
    work.close()
    bank = Bank(tmp_path / "m.db", half_life_h=1.0)
    assert len(bank) >= 3 and bank.running_h < 0.1 and bank.summaries().strengths.min() > 0.9


def test_a_full_disk_costs_what_comes_and_not_what_is_there(begun: Begun, tmp_path: Path) -> None:
    Bank(tmp_path / "m.db").keep_all(new(n, kind=n % 3) for n in range(5))
    work, heard = begun()
    (pages,) = work._bank._db.execute("PRAGMA page_count").fetchone()
    work._bank._db.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own way of having no room
    for n in range(10, 30):
        assert work.take(offer(n, n % 4, by_hand=True))
    said = [answer.why for answer in heard if isinstance(answer, Trouble)]
    assert said == ["a memory could not be kept: database or disk is full"]
    work.take(Ask(Asked(number=3), "3"))
    assert isinstance(heard[-1], Found)
    work._bank._db.execute("PRAGMA max_page_count = 100000")
    work.take(offer(50, 1, by_hand=True))
    assert isinstance(heard[-1], Kept) and len(work._index) == len(Bank(tmp_path / "m.db"))


def test_what_can_be_read_of_a_damaged_bank_is_brought_in(tmp_path: Path) -> None:
    broken = tmp_path / "m.db.1.bad"
    Bank(broken).keep_all(new(n, kind=n % 3) for n in range(200))
    Bank(broken)._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with broken.open("r+b") as file:
        file.seek(40 * 4096)
        file.write(b"\xff" * 20 * 4096)
    bank = Bank(tmp_path / "m.db")
    came = bring_in(bank, broken)
    assert 0 < came.new == len(bank) < 200 and came.lost > 0


def test_an_import_keeps_strength_and_approval(tmp_path: Path) -> None:
    one, two = Bank(tmp_path / "one.db"), Bank(tmp_path / "two.db")
    one.keep_all([new(1, by_hand=True), new(2, approved=True), new(3, model="another")])
    one.recall(1, 5.0)
    assert bring_in(two, one.path).new == 3 and bring_in(two, one.path).new == 0
    first, second, third = (two.read(n) for n in (1, 2, 3))
    assert first and second and third
    assert first.strength == 2.0 and first.recalled == 5.0 and second.approved and third.model == "another"
    assert first.place == Place.from_dict(new(1).place.to_dict()) and np.allclose(
        first.embedding, new(1).embedding, 1e-2
    )
