"""A map of what was dreamt: many numbers a picture brought down to two, so that what is alike lies close.

    chart = fitted(vectors, kinds)          # (N, SIZE) embeddings and (N,) the kind of each, -1 for none
    chart.at(more)                          # (M, 2) places, of what the chart was not made from as well
    turned = aligned(old, new)              # how a new chart is laid over the old one, so that little moves

The two directions in which the pictures differ most (principal components: Pearson 1901), then the kinds moved apart
until they do not lie on one another, each taking along what belongs to it by how near that is (as charts are blended in
locally linear coordination: Roweis, Saul and Hinton 2002). Between two kinds lies what is between them. A chart stays
as it is: what is new is put on it, and nothing moves. The same memories give the same chart. Plain numpy; any thread.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from engine.walk.memory.embedding import SIZE

Places = NDArray[np.float32]  # (N, 2)
FEWEST = 6  # memories that a chart can be made from
SAMPLE = 240  # that it is made from at most: more would not turn it, and take longer
NEAR = 0.145  # in an embedding: how near to a kind's mean that kind alone decides
WITHIN = 0.35  # how much the differences within a kind count beside those between kinds
OPEN = 1.35  # how much wider a kind is drawn than the space between kinds: there are the pictures
ROOM = 1.15  # radii that two kinds lie apart
ROUNDS = 120  # of moving kinds apart
MOST_APART = 0.06  # that a kind moves in one of them
_CHUNK = 1024


@dataclass(frozen=True)
class Chart:
    """How embeddings become places; kinds are drawn to theirs."""

    mean: NDArray[np.float32] = field(repr=False)  # (SIZE,)
    axes: NDArray[np.float32] = field(repr=False)  # (SIZE, 2), with the scale in it
    means: NDArray[np.float32] = field(repr=False)  # (K, SIZE) of the kinds
    shifts: Places = field(repr=False)  # (K, 2)

    def at(self, vectors: NDArray[np.floating]) -> Places:
        """(N, SIZE) to (N, 2); most lie within -1 to 1."""
        found = np.empty((len(vectors), 2), np.float32)
        for begin in range(0, len(vectors), _CHUNK):
            part = vectors[begin : begin + _CHUNK].astype(np.float32)
            # einsum: BLAS would take all processors.
            flat = np.einsum("nd,dk->nk", part - self.mean, self.axes)
            if len(self.means):
                middles = np.einsum("kd,dc->kc", self.means - self.mean, self.axes)  # (K, 2)
                near = _belonging(part, self.means)
                flat = OPEN * flat + np.einsum("nk,kc->nc", near, self.shifts - (OPEN - 1) * middles)
            found[begin : begin + _CHUNK] = flat
        return found


@dataclass(frozen=True)
class Turn:
    """A turn (or a mirror), a scale and a shift: what lays one map over another."""

    matrix: NDArray[np.float64] = field(default_factory=lambda: np.eye(2))
    shift: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))

    def __call__(self, places: Places) -> Places:
        """(N, 2) to (N, 2)."""
        return (places @ self.matrix.astype(np.float32) + self.shift.astype(np.float32)).astype(np.float32)


def fitted(vectors: NDArray[np.floating], kinds: NDArray[np.int32]) -> Chart | None:
    """The chart of these; None while they are too few, or all the same."""
    if len(vectors) < FEWEST:
        return None
    rows = np.linspace(0, len(vectors) - 1, min(len(vectors), SAMPLE)).round().astype(int)
    some, of = vectors[rows].astype(np.float64), kinds[rows]  # (n, SIZE)
    named = [k for k in np.unique(of).tolist() if k >= 0 and np.count_nonzero(of == k) > 1]
    means = np.stack([some[of == k].mean(0) for k in named]) if named else np.empty((0, SIZE))
    own = np.array([named.index(k) if k in named else -1 for k in of.tolist()])
    middle = some.mean(0)
    centre = np.where(own[:, None] >= 0, means[own], some) if named else some
    # Each memory stands for its kind, and a little for itself: else a kind with much in it would turn the map.
    drawn = (centre - middle) + WITHIN * (some - centre) if len(named) > 2 else some - middle
    axes = _two_axes(drawn)
    if axes is None:
        return None
    flat = np.einsum("nd,dk->nk", some - middle, axes)
    scale = 1.0 / max(2.2 * float(np.sqrt(np.mean(flat**2))), 1e-9)
    shifts = _apart(flat * scale, own, len(named))
    return Chart(*(part.astype(np.float32) for part in (middle, axes * scale, means, shifts)))


def aligned(old: Places, new: Places) -> Turn:
    """How the new places of the same things lie best over the old ones (Procrustes: Schönemann 1966, scale as well)."""
    if len(old) < 3:
        return Turn()
    a, b = old.astype(np.float64), new.astype(np.float64)
    middle_a, middle_b = a.mean(0), b.mean(0)
    u, stretch, v = np.linalg.svd((b - middle_b).T @ (a - middle_a))
    size = float(((b - middle_b) ** 2).sum())
    if size < 1e-12 or stretch[0] < 1e-12:
        return Turn()
    scale = min(max(float(stretch.sum()) / size, 0.4), 2.5)  # of a few points that lie in a heap it means nothing
    matrix = scale * u @ v
    return Turn(matrix, middle_a - middle_b @ matrix)


def _two_axes(centred: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """(n, D) to (D, 2): the directions of most variance, the sign of each such that the same pictures give the same."""
    gram = np.einsum("nd,md->nm", centred, centred)
    sizes, ways = np.linalg.eigh(gram)
    if sizes[-1] < 1e-9:
        return None
    axes = np.einsum("nd,nk->dk", centred, ways[:, [-1, -2]])
    lengths = np.linalg.norm(axes, axis=0)
    axes = axes / np.maximum(lengths, 1e-9)
    # Light is up and what is first is right, wherever the sums' last bits would have it.
    signs = np.sign(axes[np.abs(axes).argmax(0), [0, 1]])
    return axes * np.where(signs == 0, 1.0, signs)


def _belonging(vectors: NDArray[np.float32], means: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, K) how much each belongs to each kind, summing to 1."""
    far = np.einsum("kd,kd->k", means, means) - 2 * np.einsum("nd,kd->nk", vectors, means)
    far -= far.min(1, keepdims=True)
    near = np.exp(-far / (2 * NEAR * NEAR))
    return (near / near.sum(1, keepdims=True)).astype(np.float32)


def _apart(places: NDArray[np.float64], own: NDArray[np.intp], count: int) -> NDArray[np.float64]:
    """(count, 2) how far each kind is moved so that they lie side by side, the nearest way."""
    if count < 2:
        return np.zeros((count, 2))
    begin = np.stack([places[own == k].mean(0) for k in range(count)])
    spread = [np.sqrt(((places[own == k] - begin[k]) ** 2).sum(1).mean()) for k in range(count)]
    radii = OPEN * np.array(spread) + 0.06
    here = begin.copy()
    wanted = ROOM * (radii[:, None] + radii[None, :])
    for _ in range(ROUNDS):
        gap = here[:, None] - here[None, :]  # (K, K, 2)
        far = np.linalg.norm(gap, axis=2)
        # Two that lie on one another part by the golden angle, and not by chance.
        angle = 2.39996 * (np.arange(count)[:, None] + np.arange(count)[None, :])
        sign = np.sign(np.arange(count)[:, None] - np.arange(count)[None, :])
        any_way = np.stack([np.cos(angle), np.sin(angle)], 2) * sign[..., None]
        way = np.where(far[..., None] > 1e-6, gap / np.maximum(far, 1e-6)[..., None], any_way)
        push = np.maximum(wanted - far, 0.0)
        np.fill_diagonal(push, 0.0)
        step = (way * push[..., None]).sum(1) * 0.25
        length = np.linalg.norm(step, axis=1, keepdims=True)
        here += step * np.minimum(1.0, MOST_APART / np.maximum(length, 1e-9)) + 0.01 * (begin - here)
    return here - begin
