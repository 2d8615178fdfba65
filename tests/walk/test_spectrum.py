"""The walk's spectrum: unit variance, the kernel it promises, loops that close."""

import math

import numpy as np
import pytest
from scipy import stats

from engine.walk import spectrum
from engine.walk.waypoint import Point


def walk(phase: np.ndarray, pedesis: float, loop: float = 0.0, n: int = 4000, seed: int = 0) -> np.ndarray:
    """n independent scalar walks at the given phases, shape (len(phase), n)."""
    basis = np.random.default_rng(seed).standard_normal((2 * spectrum.K, n))
    rows = np.stack([spectrum.coefficients(Point(0, s, pedesis, 1.0), loop) for s in phase])
    return rows @ basis


@pytest.mark.parametrize("pedesis", [0.0, 0.05, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("loop", [0.0, 6.0, 120.0])
def test_amplitudes_have_unit_power(pedesis: float, loop: float) -> None:
    a = spectrum.amplitudes(pedesis, loop)
    assert a.shape == (spectrum.K,)
    assert math.isclose(float((a**2).sum()), 1.0, rel_tol=1e-12)


@pytest.mark.parametrize("pedesis", [-0.1, 1.1, float("nan")])
def test_pedesis_out_of_range_says_so(pedesis: float) -> None:
    with pytest.raises(ValueError, match=r"0\.\.1"):
        spectrum.amplitudes(pedesis)


@pytest.mark.parametrize("loop", [1e-300, 1e-3, 0.1, 0.99, -5.0, float("nan"), float("inf")])
def test_a_loop_that_cannot_be_says_so(loop: float) -> None:
    with pytest.raises(ValueError, match="at least 1 phase units, got"):
        spectrum.amplitudes(0.1, loop)


@pytest.mark.parametrize("pedesis", [0.0, 0.15, 1.0])
def test_the_shortest_loop_there_is_moves_evenly(pedesis: float) -> None:
    z = walk(np.arange(240) / 240 * spectrum.LOOP_MIN, pedesis, spectrum.LOOP_MIN, n=256)
    steps = np.sqrt(np.mean((z - np.roll(z, 1, axis=0)) ** 2, axis=1))
    assert steps.max() < 1.5 * steps.min() and np.isfinite(z).all()


@pytest.mark.parametrize("phase", [0.0, 0.37, 12.5, 4096.0, 3.6e6])
@pytest.mark.parametrize("pedesis", [0.0, 0.4, 1.0])
def test_marginals_are_standard_normal(phase: float, pedesis: float) -> None:
    z = walk(np.array([phase]), pedesis)[0]
    assert stats.kstest(z, "norm").pvalue > 1e-3
    assert abs(z.mean()) < 0.06 and abs(z.std() - 1) < 0.05


def test_the_two_ends_of_the_family_are_the_kernels_they_claim_to_be() -> None:
    tau = np.linspace(0, 4, 41)
    smooth = [spectrum.kernel(t, 0.0) for t in tau]
    rough = [spectrum.kernel(t, 1.0) for t in tau]
    np.testing.assert_allclose(smooth, np.exp(-(tau**2) / 2), atol=0.01)
    np.testing.assert_allclose(rough, np.exp(-tau), atol=0.05)


@pytest.mark.parametrize("pedesis", [0.0, 0.5, 1.0])
def test_sample_covariance_matches_the_kernel(pedesis: float) -> None:
    phases = np.array([5.0, 5.3, 6.0, 7.5])
    z = walk(phases, pedesis, n=40_000)
    sample = z @ z.T / z.shape[1]
    wanted = [[spectrum.kernel(a - b, pedesis) for b in phases] for a in phases]
    np.testing.assert_allclose(sample, wanted, atol=0.025)


def test_pedesis_roughens_the_motion_and_nothing_else() -> None:
    phases = np.arange(0, 2, 0.01)
    step = [np.diff(walk(phases, p, n=500), axis=0).std() for p in (0.0, 0.2, 0.5, 1.0)]
    assert step == sorted(step) and step[-1] > 5 * step[0]
    slow = [np.corrcoef(walk(np.array([3.0]), 0.0)[0], walk(np.array([3.0]), p)[0])[0, 1] for p in (0.1, 1.0)]
    assert slow[0] > 0.98 and slow[1] > 0.75  # still the same walk


@pytest.mark.parametrize("loop", [3.0, 10.0, 64.0])
def test_a_loop_closes_in_position_and_velocity(loop: float) -> None:
    h = 1e-4
    z = walk(np.array([0.0, h, loop, loop + h]), 0.2, loop)
    np.testing.assert_allclose(z[0], z[2], atol=1e-9)
    np.testing.assert_allclose((z[1] - z[0]) / h, (z[3] - z[2]) / h, atol=1e-5)


def test_a_loop_has_no_duplicate_inside_and_the_open_walk_never_closes() -> None:
    frames = np.arange(240) / 240 * 12.0
    z = walk(frames, 0.1, 12.0, n=256)
    gaps = np.linalg.norm(z - np.roll(z, 1, axis=0), axis=1)
    assert gaps.min() > 0.2 * gaps.max()  # the step over the seam is a step like any other, none is zero
    far = [abs(spectrum.kernel(t, 0.0)) for t in np.linspace(30, 3000, 4000)]
    assert max(far) < 0.9
