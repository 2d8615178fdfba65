"""Materials: how pure, how often and how smoothly each one comes, in our shows and for any seed."""

from dataclasses import replace

import numpy as np
import pytest

from engine.play.conductor import Conductor
from engine.play.shows import load_show
from engine.show.config import Show
from engine.walk.dwell import Going, material_weights
from engine.walk.mix import TICK_HZ

FREE = Going(wander=3.5)
TOURING = Going(wander=3.5, dwell=1.0, tour=1.0, round_length=16.0)
SHOWS = ("house", "gallery", "stage", "film", "sd-turbo")
EVEN = [1.0] * 6

# Before there were dwell and tour, ten seconds into the walk of a seed.
BEFORE = {
    ("house", 87): (
        0.9918265309689293, 6.290528690324949e-06, 2.25269529581256e-05, 0.0004801741518214274,
        0.0073324540120316365, 0.0002560745604089866, 2.61402441923612e-05, 4.980858096778806e-05,
    ),
    ("film", 1736): (
        0.01573382411341318, 0.9114998601169323, 4.800499303413584e-06, 7.365395191967624e-05,
        0.0007486957202364549, 0.07193916559819508,
    ),
}  # fmt: skip


def going(show: Show) -> Going:
    v = show.values
    return Going(float(v["walk.wander"]), float(v["walk.dwell"]), float(v["walk.tour"]), float(v["walk.round"]))


def faders(show: Show) -> list[float]:
    return [float(show.values[f"material.{m.name}"]) for m in show.materials]


def walk(going: Going, faders: list[float], phases: np.ndarray, seed: int = 7, loop: float = 0.0) -> np.ndarray:
    return np.array([material_weights({seed: 1.0}, float(s), going, faders, loop) for s in phases])  # (T, N)


@pytest.mark.parametrize(("name", "seed"), BEFORE)
def test_without_dwell_and_tour_the_weights_are_what_they_always_were(name: str, seed: int) -> None:
    conductor = Conductor(load_show(name, ["walk.dwell=0", "walk.tour=0"], seed=seed))
    for _ in range(10 * TICK_HZ):
        conductor.tick()
    assert conductor.waypoint().weights == pytest.approx(BEFORE[name, seed], rel=1e-12)


@pytest.mark.parametrize("name", SHOWS)
def test_ten_minutes_of_ten_seeds_of_every_show(name: str) -> None:
    show = load_show(name)
    seconds = np.arange(600)
    for seed in (int(show.values["walk.seed"]), *range(1, 10)):
        weights = walk(going(show), faders(show), seconds * float(show.values["walk.speed"]), seed)
        assert np.mean(weights.max(axis=1) > 0.8) >= 0.8, f"seed {seed} is too often a mixture"
        for material, own in zip(show.materials, (weights > 0.8).T, strict=True):
            away = np.diff(np.concatenate(([-1], np.flatnonzero(own), [600])))
            assert away.max() <= 180, f"seed {seed}: {material.name} stays away for {away.max()} s"
        assert np.abs(np.diff(weights, axis=0)).max() < 0.6, f"seed {seed}: a crossing of less than two seconds"


def test_a_crossing_takes_its_time_even_where_it_is_quickest() -> None:
    show = load_show("house")
    for seed in range(1, 4):
        weights = walk(going(show), faders(show), np.arange(0, 300, 0.1) * float(show.values["walk.speed"]), seed)
        assert 10 * np.abs(np.diff(weights, axis=0)).max() < 0.5  # of a weight a second


def turns(seed: int, count: int, rounds: int, loop: float = 0.0) -> list[int]:
    """Whose turn it is, one entry a turn; rounds of length 1."""
    still = Going(wander=6.0, dwell=1.0, tour=1.0, round_length=1.0)
    phases = np.arange(0, rounds, 1 / (20 * count))
    heard = walk(still, [1.0] * count, phases, seed, loop).argmax(axis=1)
    return heard[np.concatenate(([True], np.diff(heard) != 0))].tolist()


@pytest.mark.parametrize("seed", [0, 3, 87, 2**31 - 1])
def test_the_order_never_repeats_at_once_nor_for_long_and_leaves_nobody_out(seed: int) -> None:
    order = turns(seed, 7, 12)
    for n in range(len(order) - 9):
        assert set(order[n : n + 9]) == set(range(7)), "each comes again within two turns more than there are materials"
    rounds = {tuple(order[n : n + 7]) for n in range(len(order) - 7)}
    assert len(rounds) > 0.8 * (len(order) - 7)


@pytest.mark.parametrize("loop", [1.0, 6.0, 16.0, 40.0, 333.3])
def test_a_loop_closes_and_has_a_tour_where_there_is_time_for_one(loop: float) -> None:
    phases = np.linspace(0, loop, 97)
    first = walk(TOURING, EVEN, phases, loop=loop)
    np.testing.assert_allclose(walk(TOURING, EVEN, phases + loop, loop=loop), first, atol=1e-9)
    np.testing.assert_allclose(walk(TOURING, EVEN, phases + 1000 * loop, loop=loop), first, atol=1e-6)
    if loop >= 16.0:
        assert np.all(walk(TOURING, EVEN, np.linspace(0, loop, 1000), loop=loop).max(axis=0) > 0.8)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 16])
@pytest.mark.parametrize("going", [FREE, TOURING])
def test_weights_sum_to_one_and_move_smoothly(count: int, going: Going) -> None:
    rows = walk(going, [1.0] * count, np.arange(0, 40, 0.02))
    np.testing.assert_allclose(np.sum(rows, axis=1), 1.0, atol=1e-12)
    assert np.abs(np.diff(rows, axis=0)).max() < 0.15  # 16 materials in a round of 16 have little time each
    if count > 1:
        assert np.max(rows) > 0.8 and np.min(rows) < 0.2  # it does roam


@pytest.mark.parametrize("going", [FREE, TOURING])
def test_at_wander_0_the_mixture_is_the_faders_own_and_stands_still(going: Going) -> None:
    still = replace(going, wander=0.0)
    for phase in (0.0, 3.0, 1e6):
        for faders, wanted in (([0.0] * 3, (1 / 3,) * 3), ([1.0, 0.5, 0.5], (0.5, 0.25, 0.25))):
            assert material_weights({7: 1.0}, phase, still, faders, 0.0) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("going", [TOURING, replace(TOURING, wander=2.0), replace(TOURING, wander=6.0)])
def test_a_material_whose_fader_is_down_stays_out_and_the_others_share_the_time(going: Going) -> None:
    weights = walk(going, [1.0, 0.0, 0.8, 0.0, 1.0], np.arange(0, 60, 0.1))
    assert weights[:, [1, 3]].max() < 0.05
    assert weights[:, [0, 2, 4]].max(axis=0).min() > 0.8
    assert np.all(walk(going, [0.0, 1.0, 0.0], np.arange(0, 60, 0.1))[:, 1] > 0.9)


def test_a_fader_at_the_top_wins_over_others_that_are_low() -> None:
    for low, least in ((0.2, 0.99), (0.25, 0.85)):
        weights = walk(TOURING, [low, low, 1.0, low, low, low], np.arange(0, 64, 0.1))
        assert weights[:, 2].min() > least


@pytest.mark.parametrize("name", ["house", "stage"])
def test_a_fader_brings_its_material_forward_within_two_seconds(name: str) -> None:
    conductor = Conductor(load_show(name))
    materials = conductor.navigator.materials
    for n, mine in enumerate(materials):
        for other in materials:
            conductor.set(other, 1.0 if other == mine else 0.2)
        weights = []
        for _ in range(2 * TICK_HZ):
            conductor.tick()
            weights.append(conductor.waypoint().weights)
        assert weights[-1][n] > 0.9
        assert np.abs(np.diff(weights, axis=0)).max() < 0.3, "all faders at once, and still no jump"


@pytest.mark.parametrize("name", ["walk.tour", "walk.dwell", "walk.wander", "walk.seed"])
def test_what_a_hand_changes_in_mid_tour_goes_over_smoothly(name: str) -> None:
    conductor = Conductor(load_show("house", ["walk.speed=0"]))
    conductor.navigator.phase = 1e5  # after months
    weights = [conductor.waypoint().weights]
    for value in [5, 6, 7] if name == "walk.seed" else [0.0, 1.0, 0.3]:
        conductor.set(name, value)
        for _ in range(4 * TICK_HZ):
            conductor.tick()
            weights.append(conductor.waypoint().weights)
    assert np.abs(np.diff(weights, axis=0)).max() < 0.08


def test_dwell_makes_it_pure_and_tour_alone_does_not() -> None:
    phases = np.arange(0, 64, 0.2)
    pure = [np.mean(walk(g, EVEN, phases).max(axis=1) > 0.8)
            for g in (FREE, replace(FREE, dwell=1.0), replace(TOURING, dwell=0.0), TOURING)]  # fmt: skip
    assert pure[0] < 0.7 < pure[1] and pure[2] < 0.6 and pure[3] > 0.8
