"""The keeper: what it keeps and what not, what it finds, and that nothing stops the show."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from engine.walk.memory.bank import Bank
from engine.walk.memory.keeper import ANSWERS, OFFERS, Keeper
from engine.walk.memory.questions import (
    Answer,
    Ask,
    Found,
    Kept,
    NextApproved,
    NotFound,
    Offer,
    Settings,
    Shelved,
    Thumbnail,
    Trouble,
)
from engine.walk.memory.recall import Asked
from engine.walk.visit import Place
from tests.walk.memory.places import MODEL, WORDS, new, offer, picture

T = TypeVar("T", bound=Answer)
Kept_ = Callable[..., "Talk"]


class Talk:
    """A keeper, and all that it has answered."""

    def __init__(self, path: Path, settings: Settings, model: str = MODEL) -> None:
        self.keeper = Keeper(lambda: path, settings, lambda: model)
        self.heard: list[Answer] = []
        self.keeper.start()

    def wait(self, kind: type[T], count: int = 1) -> list[T]:
        """Waits until there are so many answers of a kind since the last call."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            self.heard += self.keeper.answers()
            found = [answer for answer in self.heard if isinstance(answer, kind)]
            if len(found) >= count:
                self.heard = [answer for answer in self.heard if not isinstance(answer, kind)]
                return found
            time.sleep(0.005)
        raise AssertionError(f"{count} {kind.__name__} did not come, but {[type(a).__name__ for a in self.heard]}")

    def kept(self, *offers: Offer) -> list[int]:
        """Offers one after the other, and waits for the last, which must be by hand."""
        for each in offers:
            self.keeper.offer(each)
            while self.keeper._offers:
                time.sleep(0.002)
        numbers = []
        while True:
            answers = self.wait(Kept)
            numbers += [answer.number for answer in answers]
            if answers[-1].by_hand:
                return numbers

    def ask(self, asked: Asked, **other: object) -> Found | NotFound:
        self.keeper.ask(Ask(asked, "asked", **other))  # type: ignore[arg-type]
        end = time.monotonic() + 10
        while time.monotonic() < end:
            for answer in self.keeper.answers():
                if isinstance(answer, Found | NotFound):
                    return answer
                self.heard.append(answer)
            time.sleep(0.005)
        raise AssertionError("no answer")


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Kept_]:
    begun: list[Talk] = []

    def begin(settings: Settings | None = None, **other: str) -> Talk:
        begun.append(Talk(tmp_path / "m.db", settings or Settings(), **other))
        return begun[-1]

    yield begin
    for each in begun:
        each.keeper.close(5.0)


def number_of(answer: Found | NotFound) -> int:
    assert isinstance(answer, Found), answer
    return answer.memory.number


def test_what_is_like_what_is_kept_is_not_kept_again_but_by_hand(talk: Kept_, tmp_path: Path) -> None:
    here = talk()
    mixed = Offer(Place(offer(9).place.points, (0.4, 0.3, 0.3), WORDS.id), {WORDS.id: WORDS}, picture(9, 3))
    same_look = Offer(offer(5, 1).place, {WORDS.id: WORDS}, picture(1, 1))
    same_place = Offer(offer(1, 1).place, {WORDS.id: WORDS}, picture(7, 2))
    numbers = here.kept(offer(1, 1), same_look, mixed, same_place, offer(2, 2), offer(3, 2, by_hand=True))
    assert numbers == [1, 2, 3]
    places = [memory.place for n in numbers if (memory := Bank(tmp_path / "m.db", read_only=True).read(n))]
    assert places == [offer(1, 1).place, offer(2, 2).place, offer(3, 2).place]


def test_everything_that_can_be_asked_for(talk: Kept_, tmp_path: Path) -> None:
    with_times = Bank(tmp_path / "m.db")
    with_times.keep_all(new(n, kind=n % 3) for n in range(9))
    with_times.keep(new(50, model="another"))
    here = talk()
    assert number_of(here.ask(Asked(number=4))) == 4
    assert number_of(here.ask(Asked(first=True))) == 1 and number_of(here.ask(Asked(latest=True))) == 9
    assert number_of(here.ask(Asked(when=1e9 + 60.0 * 5 + 3))) == 6
    assert number_of(here.ask(Asked(words="glass spheres"))) in (3, 6, 9)
    alike = number_of(here.ask(Asked(like=True), pixels=picture(4, 1)))
    assert alike in (2, 8), "the nearest that is not the very same"
    chosen = [number_of(here.ask(Asked(), strength=s / 10, tick=7)) for s in range(1, 11)]
    again = [number_of(here.ask(Asked(), strength=s / 10, tick=7)) for s in range(1, 11)]
    assert chosen == again and len(set(chosen)) > 2 and set(chosen) <= set(range(1, 10))


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (Asked(number=99), "memory 99 is not there any more"),
        (Asked(words="submarine"), "no memory has these words: 'submarine'"),
        (Asked(number=2), "memory 2 is another model's"),
    ],
)
def test_what_cannot_be_found_is_said(talk: Kept_, tmp_path: Path, asked: Asked, why: str) -> None:
    Bank(tmp_path / "m.db").keep_all([new(1), new(2, model="another")])
    answer = talk().ask(asked)
    assert isinstance(answer, NotFound) and why in answer.why


def test_an_empty_bank_says_so(talk: Kept_) -> None:
    answer = talk().ask(Asked())
    assert isinstance(answer, NotFound) and answer.why == "there are no memories yet"


def test_a_full_bank_forgets_the_weakest_and_an_archive_nothing(talk: Kept_, tmp_path: Path) -> None:
    bank = Bank(tmp_path / "m.db")
    bank.keep_all([new(1, by_hand=True), *(new(n) for n in range(2, 10))])
    bank.recall(2, 0.0)
    here = talk(Settings(capacity=9))
    here.kept(offer(20, 2, by_hand=True))
    assert len(bank) == 9 and bank.read(3) is None and bank.read(1) is not None and bank.read(2) is not None
    here.keeper.set(Settings(capacity=9, archive=True))
    time.sleep(0.6)
    here.kept(offer(21, 2, by_hand=True))
    assert len(bank) == 10


def test_a_bank_full_of_what_may_not_be_forgotten_says_so(talk: Kept_, tmp_path: Path) -> None:
    Bank(tmp_path / "m.db").keep_all(new(n, by_hand=True) for n in range(10))
    here = talk(Settings(capacity=10))
    here.keeper.offer(offer(30, 2, by_hand=True))
    (trouble,) = here.wait(Trouble)
    assert "all 10 were kept by hand or approved" in trouble.why


def test_approved_memories_come_round_without_a_repeat(talk: Kept_, tmp_path: Path) -> None:
    bank = Bank(tmp_path / "m.db")
    bank.keep_all(new(n) for n in range(12))
    bank.approve([2, 4, 6, 8, 10])
    here, after, seen = talk(), None, []
    for _ in range(15):
        here.keeper.ask(NextApproved(after, seed=7))
        (found,) = here.wait(Found)
        assert found.memory.number != after
        after = found.memory.number
        seen.append(after)
    assert set(seen) == {2, 4, 6, 8, 10} and all(len(set(seen[i : i + 9])) >= 5 for i in range(6))
    bank.approve(range(13), approved=False)
    here.keeper.ask(NextApproved(after, seed=7))
    assert "no memory is approved" in here.wait(NotFound)[0].why


def test_the_shelves_are_told_of_and_sorted_as_the_bank_grows(talk: Kept_, tmp_path: Path) -> None:
    here = talk()
    for n in range(1, 25):
        here.kept(offer(n, n % 3, by_hand=True))
    end = time.monotonic() + 10
    shelved: Shelved | None = None
    while (shelved is None or len(shelved.numbers) < 24) and time.monotonic() < end:
        shelved = here.wait(Shelved)[-1]
    assert shelved is not None and len(shelved.numbers) == 24
    kinds = {n: set(shelved.kinds[shelved.numbers % 3 == n].tolist()) for n in range(3)}
    assert all(len(kind) == 1 for kind in kinds.values()) and len(set.union(*kinds.values())) == 3
    for kind in set(shelved.kinds.tolist()):
        assert sorted(shelved.places[shelved.kinds == kind].tolist()) == list(range(8))
    names = {word for name in shelved.names.values() for word in name.split()}
    assert names <= {"whale", "clouds", "paper", "torn", "glass", "shelf", "spheres"}
    here.keeper.want(3)
    (thumbnail,) = here.wait(Thumbnail)
    assert thumbnail.number == 3 and thumbnail.pixels.shape == (36, 64, 3)
    assert abs(thumbnail.pixels.astype(int) - picture(3, 0)).mean() < 8


def test_a_damaged_bank_is_set_aside_and_said(talk: Kept_, tmp_path: Path) -> None:
    (tmp_path / "m.db").write_bytes(b"rubbish" * 999)
    here = talk()
    assert here.kept(offer(1, by_hand=True)) == [1]
    assert "set aside as m.db.1.bad" in here.wait(Trouble)[0].why


def test_a_bank_that_breaks_while_it_is_used_is_set_aside_and_another_begun(talk: Kept_, tmp_path: Path) -> None:
    here = talk()
    here.kept(*(offer(n, n % 3, by_hand=n == 30) for n in range(31)))
    path = tmp_path / "m.db"
    Bank(path)._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    for n in range(40, 60):
        here.keeper.offer(offer(n, n % 3, by_hand=True))
        time.sleep(0.02)
        here.heard += here.keeper.answers()
    said = [answer.why for answer in here.heard if isinstance(answer, Trouble)]
    assert any("set aside as m.db.1.bad" in why for why in said) and path.is_file()
    assert len(Bank(path)) > 0


def test_a_bank_that_cannot_be_is_said_once_and_nothing_waits_for_it(talk: Kept_, tmp_path: Path) -> None:
    (tmp_path / "m.db").mkdir()
    here = talk()
    (trouble,) = here.wait(Trouble)
    assert "cannot be opened" in trouble.why
    for n in range(100):
        here.keeper.offer(offer(n))
        here.keeper.ask(Ask(Asked(), "random"))
    here.keeper.close(1.0)
    answers = here.keeper.answers()
    assert {type(answer) for answer in answers} <= {NotFound} and len(answers) <= ANSWERS


def test_a_bank_that_was_busy_is_used_as_soon_as_it_can_be(
    talk: Kept_, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.walk.memory.file.BUSY_S", 0.1)
    monkeypatch.setattr("engine.walk.memory.keeper.RETRY_S", 0.2)
    holder = Bank(tmp_path / "m.db")
    with holder._whole():
        here = talk()
        assert "is busy" in here.wait(Trouble)[0].why
        here.keeper.offer(offer(1, by_hand=True))
        assert "this picture is not kept" in here.wait(Trouble)[0].why
        answer = here.ask(Asked())
        assert isinstance(answer, NotFound) and "cannot be used at present" in answer.why
    time.sleep(1.0)
    assert here.kept(offer(2, by_hand=True)) == [1] and number_of(here.ask(Asked())) == 1


def test_queues_are_bounded_while_the_disk_does_not_answer(tmp_path: Path) -> None:
    keeper = Keeper(lambda: tmp_path / "m.db", Settings(), lambda: MODEL)  # never started
    for n in range(1000):
        keeper.offer(Offer(offer(0).place, {}, np.zeros((1, 1, 3), np.uint8)))
        keeper.ask(Ask(Asked(), str(n)))
        keeper.want(n)
    assert len(keeper._offers) == OFFERS and len(keeper._asks) <= 16 and keeper._answers.maxlen == ANSWERS


def test_what_is_kept_by_hand_just_before_the_end_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        here = Talk(tmp_path / "m.db", Settings())
        here.keeper.offer(offer(1, by_hand=True))
        here.keeper.close(10.0)
    assert len(Bank(tmp_path / "m.db")) == 1 and not caplog.text


def test_a_bank_that_is_deleted_under_it_is_noticed_and_another_begun(
    talk: Callable[..., Talk], tmp_path: Path
) -> None:
    here = talk()
    here.kept(offer(1, by_hand=True))
    for file in tmp_path.glob("m.db*"):
        file.unlink()
    assert "was moved or deleted" in here.wait(Trouble)[0].why
    end = time.monotonic() + 20
    while not (tmp_path / "m.db").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert here.kept(offer(2, 1, by_hand=True)) == [1]
