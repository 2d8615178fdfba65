"""Which pictures steer, tick by tick: they come and go without a step, and rest where nothing is asked of them."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from engine.walk.guide import MOST_SEEN, RESTS_S, Guided, guide_from, guide_hash, mixed_guides
from engine.walk.mix import TICK_HZ
from engine.walk.waypoint import Guide, Point, Waypoint

A, B, C = ("abc"[n] * 24 for n in range(3))
HERE = Waypoint(0.0, 0, (Point(3, 1.0, 0.1, 1.0),), (1.0,))


class Hand(dict[str, Any]):
    """The values of guide.*"""

    def __init__(self, strength: float = 0.5, **other: float) -> None:
        super().__init__({f"guide.{name}": value for name, value in other.items()})
        self.setdefault("guide.blend", 1.0)
        self.setdefault("guide.every", 2.0)
        self |= {"guide.strength": strength, "guide.outline": 0.0, "guide.likeness": 0.0}


def run(guided: Guided, hand: Hand, seconds: float, *see: str) -> list[Guide | None]:
    """Plays so long; what is named first is seen now. The guide of every tick."""
    found = []
    for n in range(round(seconds * TICK_HZ)):
        guided.read(hand)
        if n < len(see):
            guided.see(see[n])
        guided.tick(hand)
        found.append(guided.apply(HERE).guide)
    return found


def strengths(guides: Sequence[Guide | None], picture: str) -> np.ndarray:
    """How strongly that picture steers at each tick."""
    return np.array([g.strength * dict(g.seen).get(picture, 0.0) if g else 0.0 for g in guides])


def begun(seconds: float = 0.1) -> Guided:
    guided = Guided()
    run(guided, Hand(), seconds)
    return guided


def test_a_hash_is_of_shape_and_content() -> None:
    picture = np.arange(96, dtype=np.uint8).reshape(4, 8, 3)
    assert guide_hash(picture) == guide_hash(picture.copy()) != guide_hash(picture.reshape(8, 4, 3))
    assert guide_hash(picture[:, ::-1]) == guide_hash(np.ascontiguousarray(picture[:, ::-1])) != guide_hash(picture)
    with pytest.raises(ValueError, match="of uint8"):
        guide_hash(picture.astype(float))


def test_pictures_come_give_way_and_go_without_a_step() -> None:
    guided = begun()
    guides = [*run(guided, Hand(), 2.0, A), *run(guided, Hand(), 2.0, B), *run(guided, Hand(), 3.0, "")]
    assert strengths(guides, A)[230] == 0.5 and strengths(guides, B)[470] == 0.5 and guides[-1] is None
    for picture in (A, B):
        assert np.abs(np.diff(strengths(guides, picture), prepend=0.0)).max() < 0.02
    total = strengths(guides, A) + strengths(guides, B)
    assert total[240:480].min() > 0.49, "it is always one of them"


def test_one_that_is_there_at_the_beginning_steers_from_the_first_picture_on() -> None:
    guided = Guided()
    assert run(guided, Hand(), 0.1, A)[0] == Guide(((A, 1.0),), 0.5)
    again = Guided()
    again.restore(Guided().to_dict())
    assert strengths(run(again, Hand(), 0.1, A), A)[0] < 0.02, "what is taken up again does not begin"


def test_a_flood_of_pictures_is_thinned_and_the_last_one_arrives() -> None:
    guided = begun()
    flood = [f"{n:024x}" for n in range(TICK_HZ)]
    guides = run(guided, Hand(), 3.0, *flood)
    assert max(len(g.seen) for g in guides if g) <= 4 and strengths(guides, flood[-1])[-1] > 0.49
    calm = begun()
    for n in range(200):
        calm.read(Hand())
        if calm.has_room:
            calm.see(f"{n:024x}")
        calm.tick(Hand())
        assert len(calm.named) <= 5


def test_at_strength_zero_the_waypoint_is_the_walks_own_and_after_a_while_it_rests() -> None:
    guided = begun()
    run(guided, Hand(), 2.0, A)
    run(guided, Hand(0.0), RESTS_S / 2)
    assert guided.apply(HERE) is HERE and guided.is_awake and guided.named == (A,)
    run(guided, Hand(0.0), RESTS_S)
    assert guided.apply(HERE) is HERE and not guided.is_awake and guided.named == ()
    assert strengths(run(guided, Hand(), 0.1, B), B)[0] < 0.02, "what comes next is eased in anew"


def test_a_folder_turns_by_its_own_clock() -> None:
    guided = Guided()
    run(guided, Hand(0.0, every=0.5), 10.0)
    assert guided.turns == pytest.approx(20.0)
    run(guided, Hand(every=5.0), 10.0)
    assert guided.turns == pytest.approx(22.0)


def test_what_was_saved_goes_on_and_what_is_damaged_is_refused() -> None:
    guided = begun()
    run(guided, Hand(), 0.3, A)
    again = Guided()
    again.restore(json.loads(json.dumps(guided.to_dict())))
    assert run(again, Hand(), 1.0, B) == run(guided, Hand(), 1.0, B)
    whole = guided.to_dict()
    for name, value in [
        ("mix", []),
        ("mix", [["../etc", 1.0]]),
        ("wanted", 7),
        ("turns", -1.0),
        ("weights", [9, 0, 0]),
    ]:
        with pytest.raises((TypeError, ValueError)):
            again.restore({**whole, name: value})


def test_between_places_each_guide_has_its_share() -> None:
    one, two = Guide(((A, 1.0),), 0.8), Guide(((B, 0.5), (C, 0.5)), 0.4, outline=1.0)
    assert mixed_guides([(one, 1.0), (None, 0.0)]) == one
    mixed = mixed_guides([(one, 0.5), (None, 0.25), (two, 0.25)])
    assert mixed is not None and mixed.strength == pytest.approx(0.5) and mixed.outline == pytest.approx(0.25)
    assert sum(share for _, share in mixed.seen) == pytest.approx(1.0)
    assert mixed_guides([(None, 1.0)]) is None
    many = Guide(tuple((f"{n:024x}", 0.05) for n in range(20)), 0.5)
    crowded = mixed_guides([(many, 0.5), (one, 0.5)])
    assert crowded is not None and len(crowded.seen) <= MOST_SEEN


@pytest.mark.parametrize("data", [
    {"seen": [], "strength": 0.5}, {"seen": [["x", 1.0]], "strength": 0.5}, {"seen": [[A, 0.5]], "strength": 0.5},
    {"seen": [[A, 1.0]], "strength": 7, "outline": 0, "likeness": 0}, {"seen": "text", "strength": 0.5},
])  # fmt: skip
def test_a_saved_guide_is_checked(data: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError, KeyError)):
        guide_from(data)
    assert guide_from(None) is None
    whole = Guide(((A, 0.25), (B, 0.75)), 0.5, 1.5, 0.25)
    assert guide_from({"seen": whole.seen, "strength": 0.5, "outline": 1.5, "likeness": 0.25}) == whole
