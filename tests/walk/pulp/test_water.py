"""What is in the water: never more than may be, exchanged while nobody sees it, the same for the same ticks."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from engine.walk.mix import TICK_HZ
from engine.walk.pulp.water import LIFT_S, Water
from engine.walk.waypoint import Waypoint
from tests.walk.pulp.texts import Torn

HERE = Waypoint(0.0, 0, (), (1.0,), palette="own")


@dataclass
class Walk:
    """A walk at an even pace, of one seed."""

    rate: float = 0.12
    voices: dict[int, float] = field(default_factory=lambda: {7: 1.0})
    ticks: int = 0

    @property
    def time_s(self) -> float:
        return self.ticks / TICK_HZ


class Bench:
    """A water with a walk and parameters, and a text encoder that is as quick as it is told."""

    def __init__(self, torn: Torn | None, loop: float = 0.0, **values: float) -> None:
        self.water, self.walk = Water(torn, 7, loop, 1.0), Walk()
        self.values: dict[str, Any] = {
            "pulp.share": 1.0, "pulp.order": 0.0, "pulp.most": 16.0, "pulp.as": "{}",
            "walk.wander": 3.5, "walk.dwell": 1.0, "walk.tour": 1.0, "walk.pedesis": 0.15,
        } | {name.replace("__", "."): value for name, value in values.items()}  # fmt: skip
        self.encodes, self.encoded = True, set[str]()

    def go(self, seconds: float, step_s: float = 0.0) -> Iterator[Waypoint]:
        """The waypoints of so many seconds, one every `step_s`."""
        for n in range(round(seconds * TICK_HZ)):
            self.water.tick(self.values, self.walk)
            self.walk.ticks += 1
            if self.encodes:
                self.encoded |= {p.id for p in self.water.palettes}
            self.water.hear(self.encoded.__contains__, 2.0)
            if n % max(1, round(step_s * TICK_HZ)) == 0:
                yield self.water.apply(HERE)

    def after(self, seconds: float) -> Waypoint:
        for _ in self.go(seconds, seconds):
            pass
        return self.water.apply(HERE)

    def read(self, seconds: float) -> list[int]:
        """The fragments that were mostly seen, in their order."""
        seen: list[int] = []
        for _ in self.go(seconds, 0.5):
            loudest = max(self.water.afloat, key=lambda a: a.weight)
            if loudest.weight > 0.5 and (not seen or seen[-1] != loudest.number):
                seen.append(loudest.number)
        return seen


def heard(waypoint: Waypoint) -> dict[str, float]:
    return {w.palette: w.share for w in waypoint.beside}


def test_a_text_is_read_through_a_fragment_at_a_time_each_for_seconds() -> None:
    bench = Bench(Torn(100))
    seen = bench.read(120)
    assert seen == list(range(len(seen)))
    assert 12 <= len(seen) <= 16


@pytest.mark.parametrize("values", [{}, {"walk__tour": 0.0}, {"walk__pedesis": 1.0, "walk__dwell": 0.0},
                                    {"walk__wander": 0.0}, {"pulp__most": 3.0}, {"pulp__order": 1.0}])  # fmt: skip
def test_at_most_so_many_are_in_the_water_and_one_is_exchanged_only_while_it_is_nil(values: dict[str, float]) -> None:
    bench = Bench(Torn(100), **values)
    before: dict[str, float] = {}
    numbers: set[int] = set()
    for n, waypoint in enumerate(bench.go(60, 1 / 30)):
        now = heard(waypoint)
        assert sum(now.values()) == pytest.approx(1.0)
        afloat = {a.number for a in bench.water.afloat}
        assert len(afloat) <= bench.values["pulp.most"]
        assert len(afloat - numbers) <= 1 or n == 0, "one at a time, so one text is encoded at a time"
        if before:
            moved = {id: abs(now.get(id, 0.0) - before.get(id, 0.0)) for id in now | before}
            # By hand it would take a third of a second at the least; a jitter of pedesis is as quick as a film is.
            assert max(moved.values()) < (0.1 if bench.values["walk.pedesis"] < 1 else 0.4)
        before, numbers = now, afloat


def test_pedesis_shakes_the_fragments() -> None:
    def restless(pedesis: float) -> float:
        steps = [heard(w) for w in Bench(Torn(100), walk__pedesis=pedesis).go(40, 0.1)]
        return sum(abs(b.get(id, 0.0) - a.get(id, 0.0)) for a, b in pairwise(steps) for id in a)

    assert restless(1.0) > 1.5 * restless(0.0)


def test_order_goes_on_from_what_is_read_and_comes_back_to_it() -> None:
    torn = Torn(1000, 8)
    bench = Bench(torn)
    bench.after(100)
    last = max(a.number for a in bench.water.afloat)
    bench.values["pulp.order"] = 0.5
    bench.after(150)
    kinds = torn.kind_of[[a.number for a in bench.water.afloat]]
    assert list(kinds).count(torn.kind_of[last]) > 8, "of the kind of what was read last"
    bench.values["pulp.order"] = 0.0
    bench.after(150)
    numbers = [a.number for a in bench.water.afloat]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_shuffle_shows_every_fragment_before_any_comes_again() -> None:
    bench = Bench(Torn(40), pulp__order=1.0)
    bench.walk.rate = 2.0
    came: dict[int, None] = {}
    for _ in bench.go(19.9 - 8):
        came |= dict.fromkeys(a.number for a in bench.water.afloat)
    assert len(came) >= 31
    assert list(came) != sorted(came)


def test_a_fragment_that_is_not_encoded_is_not_heard_and_rises_when_it_is() -> None:
    bench = Bench(Torn(100))
    bench.encodes = False
    assert bench.after(3.0) == HERE, "nothing is encoded: the materials have the picture"
    third = bench.water.palettes[2].id
    bench.encoded.add(third)
    shares = [heard(w).get(third, 0.0) for w in bench.go(3.0, 0.1)]
    assert shares[0] < 0.05 and shares[-1] == 1.0 and max(b - a for a, b in pairwise(shares)) < 0.1
    bench.encodes = True
    assert third not in heard(bench.after(3.0)), "it is the first one's turn"


def test_a_share_of_nothing_costs_nothing_and_keeps_its_place() -> None:
    bench = Bench(Torn(100))
    bench.after(60)
    numbers = [a.number for a in bench.water.afloat]
    bench.values["pulp.share"] = 0.0
    assert bench.after(60) == HERE and not bench.water.palettes and not bench.water.afloat
    bench.values["pulp.share"] = 0.4
    assert sum(heard(bench.after(3.0)).values()) == pytest.approx(0.4)
    now = [a.number for a in bench.water.afloat]
    assert now[: len(numbers)] == numbers and len(now) <= len(numbers) + 1


def test_without_a_text_there_is_nothing() -> None:
    bench = Bench(None)
    assert bench.after(1.0) == HERE and not bench.water.palettes and not bench.water.afloat
    assert not bench.water.draw_up_loudest()


def test_short_texts_come_round_and_round() -> None:
    for count in (1, 2, 5):
        bench = Bench(Torn(count, 1))
        for waypoint in bench.go(60, 1.0):
            assert sum(heard(waypoint).values()) == pytest.approx(1.0)
        assert len(bench.water.afloat) == count


def test_a_loop_closes_in_its_text_too() -> None:
    for order in (0.0, 1.0):
        bench = Bench(Torn(100), loop=4.8, pulp__order=order)  # 40 s at this pace
        first = heard(bench.after(10.0))
        assert heard(bench.after(40.0)) == pytest.approx(first, abs=1e-6)
        assert len({a.number for a in bench.water.afloat}) == 5


def test_a_jump_leads_to_another_fragment_whose_words_are_there() -> None:
    bench = Bench(Torn(100))
    before = heard(bench.after(30.0))
    bench.encodes = False
    bench.water.leap()
    after = heard(bench.after(0.1))
    assert not before.keys() & after.keys() and sum(after.values()) == pytest.approx(1.0)


def test_drawing_up_makes_one_kind_seen_while_the_water_stills_and_lets_it_go_again() -> None:
    torn = Torn(1000, 6)
    bench = Bench(torn)
    bench.after(30.0)
    kind = (int(torn.kind_of[max(bench.water.afloat, key=lambda a: a.weight).number]) + 1) % 6
    bench.water.draw_up(kind)
    before: dict[str, float] = {}
    for waypoint in bench.go(LIFT_S + 4, 1 / 30):
        now = heard(waypoint)
        assert not before or max(abs(now.get(id, 0.0) - before.get(id, 0.0)) for id in now | before) < 0.1
        before = now
    seen = [a for a in bench.water.afloat if a.weight > 0.0]
    assert {a.kind for a in seen} == {kind}
    assert torn.in_kinds[sum(k.count for k in torn.kinds[:kind])] in [a.number for a in seen], "the most central of it"
    still = bench.after(1.0)
    assert heard(bench.after(20.0)) == pytest.approx(heard(still)), "it stays"
    bench.water.draw_up(None)
    seen_later = bench.read(60)
    assert len(seen_later) > 4 and len({int(torn.kind_of[n]) for n in seen_later}) > 1


def test_the_same_ticks_are_the_same_water_also_from_a_saved_state() -> None:
    one, other = Bench(Torn(100), pulp__order=0.8), Bench(Torn(100), pulp__order=0.8)
    one.after(20.0)
    one.water.draw_up(2)
    one.after(2.0)
    saved = json.loads(json.dumps(one.water.to_dict()))
    other.walk.ticks, other.encoded = one.walk.ticks, set(one.encoded)
    other.water.restore(saved)
    other.water.read(other.values, other.walk)
    assert other.water.apply(HERE) == one.water.apply(HERE)
    for bench in (one, other):
        bench.after(3.0)
        bench.water.draw_up(None)
    assert list(one.go(60, 0.5)) == list(other.go(60, 0.5))
    assert one.water.to_dict() == other.water.to_dict()


@pytest.mark.parametrize("damage", [
    {"at": -1.0}, {"at": float("nan")}, {"at": "far"}, {"lift": 2.0}, {"kind": 99}, {"order": [1]},
    {"there": [[0, 10**6, "text", 0.0, 1.0, -1]]}, {"there": 3},
])  # fmt: skip
def test_a_damaged_state_is_refused_and_changes_nothing(damage: dict[str, Any]) -> None:
    bench = Bench(Torn(100))
    bench.after(10.0)
    before = bench.water.to_dict()
    with pytest.raises((KeyError, TypeError, ValueError)):
        bench.water.restore({**before, **damage})
    assert bench.water.to_dict() == before


def test_the_state_of_another_text_is_left_alone() -> None:
    bench, other = Bench(Torn(100)), Bench(Torn(50))
    bench.after(30.0)
    other.water.restore(bench.water.to_dict())
    assert heard(other.after(1.0))
