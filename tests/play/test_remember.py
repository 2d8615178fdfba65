"""The bank of a running show: what is offered, what is recalled, the curated walk."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.play.conductor import Conductor
from engine.play.remember import Remember, bank_path
from engine.play.shows import load_show
from engine.walk.memory.bank import Bank
from engine.walk.mix import TICK_HZ
from engine.walk.visit import Place
from engine.walk.waypoint import Waypoint
from tests.walk.memory.places import picture


@dataclass(frozen=True)
class Dreamt:
    waypoint: Waypoint
    pixels: NDArray[np.uint8]


class Running:
    """A show without a dreamer or a stage."""

    def __init__(self, *sets: str) -> None:
        self.show = load_show("house", ["memory.enabled=true", "memory.every=5", "blend.time=0.1", *sets])
        self.conductor = Conductor(self.show, words_at_once=True)
        self.remember = Remember(self.show, self.conductor)
        self.pictures = 0

    def play(self, seconds: float, may_offer: bool = True) -> None:
        """So much of the show, four pictures a second."""
        for n in range(round(seconds * TICK_HZ)):
            self.conductor.listen()
            self.conductor.tick()
            if n % (TICK_HZ // 4) == 0:
                self.remember.step()
                self.pictures += 1
                seen = Dreamt(self.conductor.waypoint(), picture(self.pictures, self.pictures // 16))
                self.remember.take_in(seen, may_offer)

    def until(self, met: Callable[[], bool]) -> None:
        """Waits for the bank's thread, while the show stands still."""
        end = time.monotonic() + 10
        while not met():
            assert time.monotonic() < end, "it did not come"
            self.remember.step()
            time.sleep(0.01)

    @property
    def bank(self) -> Bank:
        return Bank(bank_path(self.show))


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Running]]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    begun: list[Running] = []

    def begin(*sets: str) -> Running:
        begun.append(Running(*sets))
        return begun[-1]

    yield begin
    for each in begun:
        each.remember.close(5.0)


def test_places_are_kept_as_the_walk_goes_and_recalled_as_they_were(running: Callable[..., Running]) -> None:
    here = running("walk.wander=6", "walk.speed=0.5")
    for _ in range(30):  # the bank's thread may be slower than a show that waits for nothing
        here.play(10.0)
        if len(here.bank) > 2:
            break
        time.sleep(0.05)
    here.conductor.set("memory.keep", 1.0)
    here.remember.step()
    by_hand = here.conductor.waypoint()
    here.until(lambda: any(here.bank.summaries().kept))
    count = len(here.bank)
    assert 2 < count <= 70, "one every five seconds at most"
    number = int(here.bank.summaries().numbers[here.bank.summaries().kept][0])
    memory = here.bank.read(number)
    assert memory is not None and memory.steered == {} and memory.model.startswith("house ")
    here.play(20.0)
    here.conductor.steer("memory.recall", str(number))
    here.until(lambda: here.remember.at == number)
    here.play(3.0)
    assert Place.of(here.conductor.waypoint()) == memory.place
    assert len(here.bank) >= count and abs(by_hand.time_s - here.conductor.time_s) > 20
    here.conductor.set("memory.leave", 1.0)
    here.remember.step()
    here.play(4.0)
    assert here.conductor.visits.is_idle
    here.remember.step()
    assert here.remember.at is None


def test_what_a_camera_steers_is_kept_by_hand_only(running: Callable[..., Running]) -> None:
    here = running("walk.wander=6", "walk.speed=0.5")
    for _ in range(5):
        here.play(10.0, may_offer=False)
        time.sleep(0.02)
    here.conductor.set("memory.keep", 1.0)
    here.remember.step()
    here.until(lambda: len(here.bank) > 0)
    assert list(here.bank.summaries().kept) == [True]


def test_what_somebody_steered_is_kept_with_it(running: Callable[..., Running]) -> None:
    here = running()
    here.conductor.steer("look.grain", 0.9)
    here.conductor.steer("say", "a whale in the sky")
    here.play(3.0)
    here.conductor.set("memory.keep", 1.0)
    here.remember.step()
    here.until(lambda: any(here.bank.summaries().kept))
    memory = here.bank.read(int(here.bank.summaries().numbers[here.bank.summaries().kept][0]))
    assert memory is not None and memory.steered == {"look.grain": 0.9}
    assert memory.said["a whale in the sky"] > 0.5 and len(memory.palettes) == 2


def test_nothing_is_kept_on_a_visit(running: Callable[..., Running]) -> None:
    here = running("memory.stay=3000")
    here.play(1.0)
    here.conductor.set("memory.keep", 1.0)
    here.remember.step()
    here.until(lambda: len(here.bank) == 1)
    here.conductor.steer("memory.recall", "first")
    here.until(lambda: here.remember.at == 1)
    here.play(60.0)
    here.remember.step()
    time.sleep(0.1)
    assert len(here.bank) == 1


def test_a_curated_walk_shows_only_what_was_approved(running: Callable[..., Running]) -> None:
    here = running("memory.stay=4")
    for _ in range(6):
        here.play(7.0)
        here.conductor.set("memory.keep", 1.0)
        here.remember.step()
        here.play(0.1)
    here.until(lambda: len(here.bank) >= 6)
    numbers = here.bank.summaries().numbers.tolist()
    here.bank.approve(numbers[:3])
    approved = {memory.place for n in numbers[:3] if (memory := here.bank.read(n))}
    here.conductor.steer("memory.approved", True)
    here.until(lambda: here.remember.at in numbers[:3])
    seen, leaps = set(), here.conductor.waypoint().epoch
    here.conductor.tick()
    for _ in range(16):
        here.conductor.steer("memory.recall", str(numbers[4]))
        here.play(1.0)
        here.until(lambda: here.conductor.visits.at is not None)
        time.sleep(0.02)
        place = Place.of(here.conductor.waypoint())
        assert place in approved
        seen.add(place)
    assert seen == approved and here.conductor.waypoint().epoch > leaps
    before, epoch = here.remember.at, here.conductor.waypoint().epoch
    here.play(0.5)
    here.conductor.steer("walk.jump", 1.0)
    here.play(0.05)
    here.until(lambda: here.remember.at != before)
    here.play(0.1)
    assert here.conductor.waypoint().epoch == epoch + 1, "a jump is the next of them, and one transition"
    here.conductor.steer("memory.approved", False)
    here.play(5.0)
    assert here.conductor.visits.is_idle


def test_a_show_without_a_bank_says_so_once(running: Callable[..., Running], caplog: pytest.LogCaptureFixture) -> None:
    here = running("memory.enabled=false")
    for _ in range(3):
        here.conductor.steer("memory.recall", "a whale")
        here.conductor.steer("memory.keep", 1.0)
        here.play(1.0)
    assert caplog.text.count("memory.recall does nothing") == 1 and here.remember.line() == "memory off"
    assert not bank_path(here.show).exists()


def test_a_bank_that_cannot_be_made_costs_the_show_nothing(
    running: Callable[..., Running], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "in the way").write_text("")
    here = running(f"memory.file={tmp_path}/in the way/m.db")
    with caplog.at_level(logging.WARNING, "pedesis"):
        here.until(lambda: "memories are not kept" in caplog.text)
    here.play(10.0)
    here.conductor.steer("memory.recall", "a whale")
    here.play(1.0)
    assert caplog.text.count("memories are not kept") == 1
