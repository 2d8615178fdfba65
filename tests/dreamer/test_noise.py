"""The walk on the device: exact marginals, the kernel's covariance, loops that close, weights that mix."""

import math
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats

from engine.dreamer.noise import Conditioning, Noise
from engine.walk.spectrum import K, kernel
from engine.walk.waypoint import Point, Waypoint, normalise

SHAPE = (4, 64, 64)


def at(phase: float, pedesis: float = 0.15, seed: int = 7, loop: float = 0.0) -> Waypoint:
    return Waypoint(0.0, 0, (Point(seed, phase, pedesis, 1.0),), (1.0,), loop)


@pytest.fixture(scope="module")
def noise() -> Noise:
    return Noise(SHAPE)


@pytest.mark.parametrize("pedesis", [0.0, 0.15, 1.0])
@pytest.mark.parametrize("loop", [0.0, 12.0])
def test_marginals_are_standard_normal_at_any_phase(noise: Noise, pedesis: float, loop: float) -> None:
    for phase in (0.0, 0.37, 5.0, 1234.5):
        z = noise(at(phase, pedesis, loop=loop)).numpy().ravel()
        assert abs(z.mean()) < 4 / math.sqrt(z.size)
        assert abs(z.var() - 1) < 4 * math.sqrt(2 / z.size)
        assert abs(stats.skew(z)) < 0.1 and abs(stats.kurtosis(z)) < 0.2
        assert stats.kstest(z, "norm").pvalue > 1e-4


@pytest.mark.parametrize("radius", [0.0, 0.2, 0.5, 0.8, 1.0])
def test_marginals_are_standard_normal_at_any_radius_around_a_home(noise: Noise, radius: float) -> None:
    theta = radius * math.pi / 2
    points = normalise([Point(3, 0.0, 0.0, math.cos(theta)), Point(7, 2.5, 0.15, math.sin(theta))])
    z = noise(Waypoint(0.0, 0, points, (1.0,))).numpy().ravel()
    assert abs(z.var() - 1) < 4 * math.sqrt(2 / z.size)
    assert stats.kstest(z, "norm").pvalue > 1e-4


@pytest.mark.parametrize("pedesis", [0.0, 0.3, 1.0])
def test_covariance_matches_the_kernel(noise: Noise, pedesis: float) -> None:
    home = noise(at(3.0, pedesis)).numpy().ravel()
    for tau in (0.0, 0.1, 0.5, 1.0, 2.0, 4.0):
        there = noise(at(3.0 + tau, pedesis)).numpy().ravel()
        assert np.mean(home * there) == pytest.approx(kernel(tau, pedesis), abs=5 / math.sqrt(home.size))


def test_random_access_equals_walking_there(noise: Noise) -> None:
    for step in range(50):
        walked = noise(at(step * 0.1))
    assert torch.equal(walked, Noise(SHAPE)(at(4.9)))


def test_same_seed_is_the_same_walk_and_another_is_independent() -> None:
    a, b = Noise(SHAPE), Noise(SHAPE)
    assert torch.equal(a.basis(7), b.basis(7))
    correlation = np.corrcoef(a(at(1.0)).numpy().ravel(), a(at(1.0, seed=8)).numpy().ravel())[0, 1]
    assert abs(correlation) < 0.04


def middle(z: torch.Tensor, h: int, w: int) -> torch.Tensor:
    """The middle of a picture of noise, (..., h, w)."""
    top, left = z.shape[-2] // 2 - h // 2, z.shape[-1] // 2 - w // 2
    return z[..., top : top + h, left : left + w]


@pytest.mark.parametrize("size", [(384, 256), (512, 288), (448, 256), (256, 384), (272, 240 + 32), (2048, 1152)])
def test_another_size_or_aspect_is_the_same_plane_seen_wider(size: tuple[int, int]) -> None:
    """At 16 pixels a cell, as the built-in model has them; odd numbers of cells too."""
    square = Noise((16, 16, 16))(at(1.3, seed=42))
    wide = Noise((16, size[1] // 16, size[0] // 16))(at(1.3, seed=42))
    torch.testing.assert_close(middle(wide, 16, 16), square, rtol=0, atol=1e-6)  # sums in another order


def test_the_same_numbers_lie_at_the_same_place_whatever_else_is_drawn() -> None:
    small, large = Noise((4, 9, 8)).basis(5), Noise((7, 32, 33)).basis(5)
    assert torch.equal(middle(large.view(-1, 7, 32, 33)[:, :4], 9, 8), small.view(-1, 4, 9, 8))
    assert small.dtype == torch.float32 and small.shape == (2 * K, 4 * 9 * 8)


def test_places_fields_channels_and_seeds_are_independent() -> None:
    shape = (4, 48, 64)
    bases = [Noise(shape).basis(seed).view(2 * K, *shape).double() for seed in (0, 1, 2**31 - 1)]
    count = bases[0].numel()
    for z in bases:
        assert stats.kstest(z[::9].numpy().ravel(), "norm").pvalue > 1e-4
        for moments, expected in (((z**4).mean(), 3), ((z**6).mean(), 15)):
            assert float(moments) == pytest.approx(expected, rel=0.05)
        for axis in range(4):  # field, channel, row, column
            n = z.shape[axis] - 1
            shared = z.narrow(axis, 0, n) * z.narrow(axis, 1, n)
            assert abs(float(shared.mean())) < 4.5 / math.sqrt(shared.numel())
            shared = (z.narrow(axis, 0, n) ** 2 - 1) * (z.narrow(axis, 1, n) ** 2 - 1)  # nor do their sizes agree
            assert abs(float(shared.mean())) < 4.5 * 2 / math.sqrt(shared.numel())
        assert abs(float((z[:K] * z[K:]).mean())) < 4.5 / math.sqrt(count / 2), "the two of a pair"
        assert abs(float((z * z.flip(2, 3)).mean())) < 4.5 * math.sqrt(2 / count), "the middle is no mirror"
    for a, b in ((0, 1), (1, 2), (0, 2)):
        assert abs(float((bases[a] * bases[b]).mean())) < 4.5 / math.sqrt(count)
    fields = bases[0].flatten(1)
    correlations = (fields @ fields.T / fields.shape[1] - torch.eye(2 * K)).abs()
    assert float(correlations.max()) < 0.06  # 2016 pairs, of a deviation of 0.009 each


def test_noise_is_splitmix64_by_place() -> None:
    """The definition, in whole numbers: another machine or language makes the same."""
    step, rest = 0x9E3779B97F4A7C15, (1 << 64) - 1

    def mixed(z: int) -> int:
        z &= rest
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & rest
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & rest
        return z ^ (z >> 31)

    shape, seed = (3, 4, 5), 7
    basis = Noise(shape).basis(seed).view(2, K, *shape)
    for k, c, y, x in ((0, 0, 0, 0), (31, 2, 3, 4), (5, 1, 2, 2), (6, 0, 0, 4)):
        field = mixed(seed + (k + 1) * step)
        channel = mixed(field + (c + 1) * step)
        z = mixed(channel + ((y - 2) * (1 << 20) + x - 2) * step)
        radius, turn = math.sqrt(-2 * math.log(((z >> 32) + 1) / 2**32)), 2 * math.pi * (z & 0xFFFFFFFF) / 2**32
        a, b = (float(basis[n, k, c, y, x]) for n in (0, 1))
        assert (a, b) == pytest.approx((radius * math.cos(turn), radius * math.sin(turn)), rel=1e-6)


def test_noise_is_the_same_on_any_number_of_threads() -> None:
    before = torch.get_num_threads()
    drawn = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            drawn.append(Noise((4, 96, 96)).basis(7))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(drawn[0], drawn[1]) and torch.equal(drawn[0], drawn[2])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_noise_is_the_same_on_a_gpu() -> None:
    here, there = Noise((4, 96, 96)).basis(7), Noise((4, 96, 96), "cuda").basis(7)
    torch.testing.assert_close(here, there.cpu(), rtol=1e-6, atol=1e-6)


def test_basis_does_not_touch_the_global_generator() -> None:
    before = torch.random.get_rng_state()
    Noise((4, 8, 8))(at(1.0))
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_loop_closes_in_position_and_velocity_without_a_duplicate_frame(noise: Noise) -> None:
    period, frames = 6.0, 48
    z = [noise(at(period * n / frames, loop=period)) for n in range(frames + 2)]
    steps = [float((b - a).square().mean().sqrt()) for a, b in pairwise(z)]
    assert float((z[frames] - z[0]).abs().max()) < 1e-4
    assert float(((z[frames + 1] - z[frames]) - (z[1] - z[0])).abs().max()) < 1e-4
    assert min(steps[:frames]) > 0.3 * max(steps[:frames]), "no frame stands still"
    assert steps[frames - 1] == pytest.approx(steps[0], rel=0.25), "the seam is a step like any other"


def test_pedesis_changes_roughness_and_nothing_else(noise: Noise) -> None:
    def step(pedesis: float) -> float:
        return float((noise(at(2.05, pedesis)) - noise(at(2.0, pedesis))).square().mean().sqrt())

    rough = [step(p) for p in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert all(b > a * 1.05 for a, b in pairwise(rough))
    assert float(noise(at(2.0, 1.0)).var()) == pytest.approx(float(noise(at(2.0, 0.0)).var()), abs=0.05)


def test_seeds_kept_on_the_device_are_bounded() -> None:
    noise = Noise((4, 8, 8), keep=3)
    first = noise(at(1.0, seed=0))
    for seed in range(10):
        noise(at(1.0, seed=seed))
    assert len(noise._bases) == 3
    assert torch.equal(noise(at(1.0, seed=0)), first)


def test_threads_that_take_one_anothers_seeds_away_get_their_own_noise() -> None:
    noise = Noise((1, 2, 2), keep=1)
    places = [at(1.0, seed=seed) for seed in range(4)]
    alone = [noise(place) for place in places]

    def agrees(n: int) -> bool:
        return all(torch.equal(noise(places[n]), alone[n]) for _ in range(300))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(agrees, range(4)))
    finally:
        sys.setswitchinterval(before)


def test_a_waypoint_of_many_seeds_draws_each_of_them_once(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = Noise((4, 8, 8), keep=3)
    many = Waypoint(0.0, 0, normalise([Point(seed, 0.0, 0.1, 1.0) for seed in range(6)]), (1.0,))
    first = noise(many)
    drawn_again = "a seed of this waypoint was drawn again"
    monkeypatch.setattr("engine.dreamer.noise.plane_normals", lambda *_: pytest.fail(drawn_again))
    assert torch.equal(noise(many), first)
    monkeypatch.undo()
    noise(at(1.0, seed=99))
    assert len(noise._bases) == 3


def test_what_a_waypoint_lacks_is_said() -> None:
    with pytest.raises(ValueError, match="at least one point"):
        Noise((4, 8, 8))(Waypoint(0.0, 0, (), (1.0,)))
    with pytest.raises(ValueError, match="positive sizes"):
        Noise((4, 0, 8))


def rows(count: int = 3) -> torch.Tensor:
    return torch.randn((count, 5, 6), generator=torch.Generator().manual_seed(1))


def test_conditioning_mixes_all_materials_at_once() -> None:
    texts, pooled = rows(), rows()[:, 0]
    mixed = Conditioning({"prompt_embeds": texts, "pooled_prompt_embeds": pooled}).mix((0.2, 0.3, 0.5))
    expected = 0.2 * texts[0] + 0.3 * texts[1] + 0.5 * texts[2]
    assert mixed["prompt_embeds"].shape == (1, 5, 6)
    torch.testing.assert_close(mixed["prompt_embeds"][0], expected)
    assert mixed["pooled_prompt_embeds"].shape == (1, 6)


def test_conditioning_of_one_material_is_that_material() -> None:
    torch.testing.assert_close(Conditioning({"prompt_embeds": rows()}).mix((0, 1, 0))["prompt_embeds"][0], rows()[1])


def test_conditioning_hands_on_what_is_fixed() -> None:
    negative = torch.ones(1, 3, 2)
    mixed = Conditioning({"prompt_embeds": torch.ones(2, 3, 2)}, {"negative_prompt_embeds": negative}).mix((0.5, 0.5))
    assert mixed["negative_prompt_embeds"] is negative


def test_conditioning_moves_smoothly_even_in_half_precision() -> None:
    conditioning = Conditioning({"prompt_embeds": rows(2).bfloat16()})
    steps = [conditioning.mix((1 - m, m))["prompt_embeds"] for m in np.linspace(0, 1, 201)]
    sizes = [float((b - a).norm()) for a, b in pairwise(steps)]
    assert max(sizes) < 1.01 * min(sizes)


def test_conditioning_wants_one_weight_a_material() -> None:
    with pytest.raises(ValueError, match="3 weights, one a material, got 2"):
        Conditioning({"prompt_embeds": rows()}).mix((0.5, 0.5))
    with pytest.raises(ValueError, match="one row a material"):
        Conditioning({"prompt_embeds": rows(3), "pooled_prompt_embeds": rows(2)})
