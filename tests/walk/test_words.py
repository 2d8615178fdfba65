"""What is said while the walk goes on: new words, phrases, the word for the clouds. Nothing jumps."""

import logging
from collections import deque
from typing import Any

import pytest

from engine.walk.mix import TICK_HZ
from engine.walk.palette import Palette
from engine.walk.waypoint import Point, Waypoint, distance
from engine.walk.words import MAX_PHRASES, MAX_WAITING, SEE_SHARE, Words

FIRST = Palette.of(["a cloud", "a page"])
STEP = 0.06  # of the picture in one tick at most, with a blend of one second


class Steer:
    """Controls of a show, as far as words ask for them."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {
            "blend.time": 1.0, "say.share": 0.9, "say.hold": 2.0, "clouds.see": "",
            "material.a.prompt": "a cloud", "material.b.prompt": "a page",
        }  # fmt: skip
        self.said: deque[str] = deque()
        self.cleared = 0.0

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def take(self, name: str) -> float:
        strength, self.cleared = self.cleared, 0.0
        return strength

    def take_call(self, name: str) -> str | None:
        return self.said.popleft() if self.said else None


class Talk:
    """Words that are played, by ticks; every step is looked at."""

    def __init__(self) -> None:
        self.steer, self.words = Steer(), Words(("material.a", "material.b"), FIRST)
        self.focus = 1.0

    def here(self) -> Waypoint:
        point = Point(1, 0.0, 0.0, 1.0)
        return self.words.apply(Waypoint(0.0, 0, (point,), (0.25, 0.75), palette=FIRST.id, focus=self.focus))

    def play(self, seconds: float, ready: bool = True) -> Waypoint:
        for _ in range(round(seconds * TICK_HZ)):
            before = self.here()
            self.words.tick(self.steer)
            assert distance(before, self.here()) < STEP, "nothing jumps"
            if ready:
                for palette in self.words.wanted:
                    self.words.make_ready(palette.id)
        return self.here()


def share(waypoint: Waypoint, *prompts: str) -> float:
    id = Palette.of(prompts).id
    return sum(w.share for w in waypoint.wordings if w.palette == id)


def test_at_rest_a_waypoint_is_left_as_it_is() -> None:
    talk = Talk()
    before = Waypoint(0.0, 0, (), (0.25, 0.75), palette=FIRST.id)
    talk.play(0.1)
    assert talk.words.apply(before) is before and talk.words.wanted == (FIRST,)


def test_new_words_of_a_material_wait_until_they_are_encoded_and_then_take_over() -> None:
    talk = Talk()
    talk.steer.values["material.a.prompt"] = "a whale"
    assert talk.play(1.0, ready=False).wordings == talk.here().wordings[:1] and talk.here().palette == FIRST.id
    new = Palette.of(["a whale", "a page"])
    assert new in talk.words.wanted
    talk.words.make_ready(new.id)
    half = talk.play(0.3)
    assert 0.1 < share(half, *new.prompts) < 0.9 and sum(w.share for w in half.wordings) == pytest.approx(1.0)
    after = talk.play(3.0)
    assert after.palette == new.id and not after.beside and after.weights == (0.25, 0.75)
    assert talk.words.wanted == (new,), "what is no longer heard is forgotten"


def test_words_that_cannot_be_encoded_leave_the_old_ones() -> None:
    talk = Talk()
    talk.steer.values["material.a.prompt"] = "a whale"
    talk.play(0.1, ready=False)
    talk.words.refuse(Palette.of(["a whale", "a page"]).id)
    assert talk.play(2.0, ready=False).palette == FIRST.id
    talk.steer.values["material.a.prompt"] = "a shark"
    talk.play(4.0)
    assert talk.here().palette == Palette.of(["a shark", "a page"]).id, "the next words are another matter"


def test_however_fast_somebody_types_one_palette_is_encoded_at_a_time() -> None:
    talk = Talk()
    for n in range(200):
        talk.steer.values["material.a.prompt"] = f"{n} whales"
        talk.steer.values["clouds.see"] = f"{n} sharks"
        talk.play(1 / TICK_HZ, ready=False)
        assert len(talk.words.wanted) <= 3
    last = talk.play(8.0)
    assert last.palette == Palette.of(["199 whales", "a page"]).id and share(last, "199 sharks") > 0.8


def test_a_phrase_rises_is_held_and_fades() -> None:
    talk = Talk()
    talk.steer.said.append("a whale")
    assert share(talk.play(0.5, ready=False), "a whale") == 0.0
    assert 0.2 < share(talk.play(0.5), "a whale") < 0.7
    assert share(talk.play(1.0), "a whale") == pytest.approx(0.9)
    assert share(talk.play(1.0), "a whale") == pytest.approx(0.9)
    assert talk.play(2.0).beside == () and talk.words.wanted == (FIRST,)


def test_a_phrase_said_again_is_held_anew() -> None:
    talk = Talk()
    talk.steer.said.append("a whale")
    talk.play(2.5)
    talk.steer.said.append("a whale")
    assert share(talk.play(1.5), "a whale") == pytest.approx(0.9)
    assert talk.play(3.0).beside == ()


def test_several_phrases_share_and_more_take_the_place_of_the_oldest() -> None:
    talk = Talk()
    talk.steer.values["say.hold"] = 1000.0
    talk.steer.said.extend(f"whale {n}" for n in range(MAX_PHRASES + 1))
    talk.play(1.2)
    assert share(talk.play(4.0), "whale 0") == 0.0
    shares = [share(talk.here(), f"whale {n}") for n in range(1, MAX_PHRASES + 1)]
    assert shares == pytest.approx([0.9 / MAX_PHRASES] * MAX_PHRASES)
    talk.steer.cleared = 1.0
    assert talk.play(2.0).beside == ()


def test_a_flood_of_phrases_is_bounded_and_the_newest_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    talk = Talk()
    talk.steer.values["say.hold"] = 0.1
    with caplog.at_level(logging.WARNING, "pedesis"):
        for n in range(MAX_WAITING + 30):
            talk.steer.said.append(f"whale {n}")
            talk.play(1 / TICK_HZ)
    assert "dropped: 'whale" in caplog.text and len(talk.words.wanted) <= 1 + MAX_PHRASES
    heard = False
    for _ in range(300):
        heard |= share(talk.play(0.1), f"whale {MAX_WAITING + 29}") > 0.2
    assert heard and talk.here().beside == ()


def test_the_word_for_the_clouds_comes_in_as_focus_rises() -> None:
    talk = Talk()
    talk.steer.values["clouds.see"] = "a whale"
    talk.focus = 0.0
    assert share(talk.play(4.0), "a whale") == 0.0
    shares = []
    for n in range(100):
        talk.focus = n / 99
        shares.append(share(talk.here(), "a whale"))
    assert shares == sorted(shares) and shares[-1] == pytest.approx(SEE_SHARE)
    talk.steer.values["clouds.see"] = " "
    assert talk.play(4.0).beside == ()
