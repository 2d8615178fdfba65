"""The spectrum of the walk: which frequencies it is made of and how much of each, in plain numbers.

Usage: `coefficients(point, loop) @ basis` is the latent noise at that point. Any process; no torch.

The walk is the stationary Gaussian process of the design,

    z(s) = sum_k a_k (A_k cos w_k s + B_k sin w_k s),   sum a_k^2 = 1,   A_k, B_k ~ N(0, 1),

whose covariance is k(tau) = sum_k a_k^2 cos(w_k tau) (Rahimi & Recht 2007, with the frequencies placed by
quadrature instead of drawn). The family runs over the Matérn class: its spectral density with smoothness nu
is a Student-t with 2 nu degrees of freedom (Rasmussen & Williams 2006, eq. 4.15), so `pedesis` = 1 / (2 nu)
goes from 0, the squared exponential exp(-tau^2 / 2), to 1, the exponential exp(-|tau|). One phase unit is
one correlation length.
"""

from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

K = 32
LOOP_MIN = 1.0  # phase units; the pictures of a shorter loop are all alike, or flicker, as no slow motion fits in it
_LOWEST, _HIGHEST = (
    0.06,
    40.0,
)  # rad per phase unit; outside lies 2% of the roughest spectrum, none of the smoothest


class PointLike(Protocol):
    """What `coefficients` needs of a point (see navigator.Point)."""

    @property
    def phase(self) -> float: ...
    @property
    def pedesis(self) -> float: ...
    @property
    def gain(self) -> float: ...


@lru_cache(maxsize=8)
def frequencies(loop: float = 0.0) -> NDArray[np.float64]:
    """Angular frequencies w_k, shape (K,), ascending, in radians per phase unit.

    loop: 0 for the open walk (a geometric grid, whose ratios are irrational, so it never repeats), else the
        period in phase units, at least LOOP_MIN: every w_k is then a whole multiple of 2 pi / loop.
    """
    if loop != 0.0 and not LOOP_MIN <= loop < np.inf:
        raise ValueError(f"loop must be 0 (open) or at least {LOOP_MIN:g} phase units, got {loop}")
    grid = np.geomspace(_LOWEST, _HIGHEST, K)
    if loop == 0.0:
        return grid
    wanted = {max(1, round(w * loop / (2 * np.pi))) for w in grid}
    n = 1
    while len(wanted) < K:  # a short loop has few harmonics below the top: take the next free ones
        wanted.add(n)
        n += 1
    return 2 * np.pi / loop * np.array(sorted(wanted), dtype=np.float64)


@lru_cache(maxsize=1024)
def amplitudes(pedesis: float, loop: float = 0.0) -> NDArray[np.float64]:
    """Amplitudes a_k, shape (K,), with sum a_k^2 = 1.

    pedesis: 0 (smooth drift) to 1 (the jitter of a grain in water).
    """
    if not 0.0 <= pedesis <= 1.0:
        raise ValueError(f"pedesis must lie in 0..1, got {pedesis}")
    w = frequencies(loop)
    edges = np.concatenate(([0.0], (w[1:] + w[:-1]) / 2, [w[-1] + (w[-1] - w[-2]) / 2]))
    nodes, node_weights = np.polynomial.legendre.leggauss(12)
    half = np.diff(edges)[:, None] / 2  # (K, 1)
    x = edges[:-1, None] + half * (nodes + 1)  # (K, 12)
    mass = (half * node_weights * _density(x, pedesis)).sum(axis=1)
    return np.sqrt(mass / mass.sum())


def _density(w: NDArray[np.float64], pedesis: float) -> NDArray[np.float64]:
    """Unnormalised Student-t density with 1 / pedesis degrees of freedom; the normal one at 0."""
    if pedesis < 1e-4:
        return np.exp(-(w**2) / 2)
    return (1 + pedesis * w**2) ** (-(1 / pedesis + 1) / 2)


def coefficients(point: PointLike, loop: float = 0.0) -> NDArray[np.float64]:
    """The 2K numbers that multiply (A_1..A_K, B_1..B_K), shape (2K,)."""
    a = point.gain * amplitudes(point.pedesis, loop)
    angle = frequencies(loop) * point.phase
    return np.concatenate((a * np.cos(angle), a * np.sin(angle)))


def kernel(tau: float, pedesis: float, other: float | None = None, loop: float = 0.0) -> float:
    """Covariance of two places of one walk, tau phase units apart (the second with pedesis `other`)."""
    a = amplitudes(pedesis, loop)
    b = a if other is None else amplitudes(other, loop)
    return float((a * b * np.cos(frequencies(loop) * tau)).sum())
