"""Kinds, found as the bank grows: each is a shelf, and a new memory goes to the one whose pictures it resembles.

    kinds = Kinds(); kinds.add(vector, kinds.nearest(vector))
    shelves = yield from kinds.sorting(vectors) # all of them again, in small bites: (N,) shelves

Leaders first (Hartigan 1975): what is far from every shelf begins one of its own. When the bank has doubled, everything
is sorted anew by k-means from the shelves there are, alike shelves become one, and one that holds too different things
becomes two; so an early mistake does not stay. A shelf keeps its number for as long as it is there. The same memories
in the same order give the same shelves. Plain numpy; the bank's thread.
"""

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from engine.walk.memory.embedding import SIZE

MOST = 12  # shelves
FAR = 0.36  # from every shelf's mean: this begins a new one
SMALL, FEW = 0.03, 2  # of the bank, and memories: a kind with less is none
CLOSE = 0.22  # two shelves with nearer means are one
WIDE = 0.27  # from the mean, root mean square: what holds more different things is two shelves
SWEEPS = 3
SAMPLE = 2048  # memories that a shelf is split by
_CHUNK = 2048

Sweep = tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]


class Kinds:
    """The mean embedding of each kind, and how many there are of it."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.means: list[NDArray[np.float32]] = []  # (SIZE,) each
        self.counts: list[int] = []

    def nearest(self, vector: NDArray[np.float32]) -> int:
        """The kind that one more memory would be of, which may be a new one."""
        if not self.means:
            return 0
        far = np.linalg.norm(np.stack(self.means) - vector, axis=1)
        k = int(far.argmin())
        # The mean of n that scatter by s lies s / sqrt(n) off itself: a shelf of one is known less well than one of
        # many.
        limit = FAR * np.sqrt(1 + 1 / self.counts[k])
        return self.ids[k] if far[k] <= limit or len(self.means) >= MOST else _free(self.ids)

    def add(self, vector: NDArray[np.float32], kind: int) -> None:
        """One more memory of that kind."""
        if kind not in self.ids:
            self.ids.append(kind)
            self.means.append(np.zeros(SIZE, np.float32))
            self.counts.append(0)
        k = self.ids.index(kind)
        self.counts[k] += 1
        self.means[k] = self.means[k] + (vector - self.means[k]) / np.float32(self.counts[k])

    def learn(self, vectors: NDArray[np.float16], kinds: NDArray[np.int32]) -> None:
        """Takes the kinds that memories are said to be of, (N, SIZE) and (N,)."""
        self.ids = np.unique(kinds).tolist()
        sums = np.zeros((len(self.ids), SIZE), np.float32)
        for at in range(0, len(vectors), _CHUNK):
            here = np.searchsorted(self.ids, kinds[at : at + _CHUNK])
            sums += _sums(vectors[at : at + _CHUNK].astype(np.float32), here, len(self.ids))
        self.counts = [int(np.count_nonzero(kinds == id)) for id in self.ids]
        self.means = [total / np.float32(count) for total, count in zip(sums, self.counts, strict=True)]

    def sorting(self, vectors: NDArray[np.float16]) -> Generator[None, None, NDArray[np.int32]]:
        """Sorts all memories anew, (N, SIZE), a bite at a time; returns (N,) kinds."""
        if not len(vectors) or not self.means:
            return np.zeros(len(vectors), np.int32)
        ids, means = list(self.ids), np.stack(self.means)  # (K, SIZE)
        _, means, counts, _ = yield from _sweep(vectors, means)
        ids, means, counts = _tidied(ids, means, counts, max(SMALL * len(vectors), FEW))
        here, means, counts, spread = yield from _sweep(vectors, means)
        for k in np.argsort(-spread, kind="stable"):
            if spread[k] > WIDE and counts[k] >= 2 * SMALL * len(vectors) and len(ids) < MOST:
                halves = _halves(vectors, np.flatnonzero(here == k), means[k])
                means = np.concatenate([means, halves[1:]])
                means[k] = halves[0]
                ids.append(_free(ids))
        for _ in range(SWEEPS):
            here, means, counts, _ = yield from _sweep(vectors, means)
        filled = np.flatnonzero(counts)
        self.ids, self.means = [ids[k] for k in filled], [means[k] for k in filled]
        self.counts = counts[filled].tolist()
        return np.array(ids, np.int32)[here]


def _free(ids: list[int]) -> int:
    return next(n for n in range(len(ids) + 1) if n not in ids)


def _sums(part: NDArray[np.float32], here: NDArray[np.intp], count: int) -> NDArray[np.float32]:
    """(count, SIZE) sums of the rows of each kind."""
    return np.stack([part[here == k].sum(0) for k in range(count)])


def _sweep(vectors: NDArray[np.float16], means: NDArray[np.float32]) -> Generator[None, None, Sweep]:
    """Each to its nearest mean, and each mean to the middle of its own (Lloyd 1982).

    Returns (N,) which, and of each kind its new mean, how many, and how far they are from the old one.
    """
    kinds = np.zeros(len(vectors), np.int32)
    sums, counts = np.zeros_like(means), np.zeros(len(means), np.int64)
    spread = np.zeros(len(means))
    for at in range(0, len(vectors), _CHUNK):
        part = vectors[at : at + _CHUNK].astype(np.float32)
        # |a - m|^2 without the |a|^2 that is the same for every kind. einsum: BLAS would take all processors.
        far = np.einsum("kd,kd->k", means, means) - 2 * np.einsum("nd,kd->nk", part, means)  # (n, K)
        here = far.argmin(1)  # (n,)
        gap = np.take_along_axis(far, here[:, None], 1)[:, 0] + np.einsum("nd,nd->n", part, part)
        sums += _sums(part, here, len(means))
        counts += np.bincount(here, minlength=len(means))
        spread += np.bincount(here, np.maximum(gap, 0.0), len(means))
        kinds[at : at + _CHUNK] = here
        yield
    moved = means.copy()
    filled = counts > 0
    moved[filled] = sums[filled] / counts[filled, None]
    return kinds, moved, counts, np.sqrt(spread / np.maximum(counts, 1)).astype(np.float32)


def _tidied(
    ids: list[int], means: NDArray[np.float32], counts: NDArray[np.int64], least: float
) -> tuple[list[int], NDArray[np.float32], NDArray[np.int64]]:
    """Without those that have stayed small, and with alike ones as one: the larger keeps its number."""
    order = [int(k) for k in np.argsort(-counts, kind="stable")]
    stay: list[int] = []
    for k in order:
        close = [j for j in stay if np.linalg.norm(means[j] - means[k]) < CLOSE]
        if not close and (counts[k] >= least or not stay):
            stay.append(k)
    stay.sort()
    return [ids[k] for k in stay], means[stay], counts[stay]


def _halves(vectors: NDArray[np.float16], mine: NDArray[np.intp], mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """(2, SIZE) from which a kind becomes two: to both sides along the direction in which it is widest."""
    some = vectors[mine[:: max(1, len(mine) // SAMPLE)]].astype(np.float32) - mean
    along = some[np.einsum("nd,nd->n", some, some).argmax()]
    for _ in range(8):  # power iteration (von Mises 1929)
        along = np.einsum("nd,n->d", some, np.einsum("nd,d->n", some, along))
        along = along / max(float(np.linalg.norm(along)), 1e-12)
    step = np.sqrt(np.mean(np.einsum("nd,d->n", some, along) ** 2))
    return np.stack([mean - step * along, mean + step * along]).astype(np.float32)
