"""Kinds, found as the bank grows: each is a shelf, and a new memory goes to the one whose pictures it resembles.

    kinds = Kinds(); kinds.add(vector)        # index of its shelf
    kinds.sort(looks)                         # all of them again: (N,) shelves

Leaders first (Hartigan 1975): what is far from every shelf begins one of its own. When the bank has doubled, everything
is sorted anew by k-means from the shelves there are, so that an early mistake does not stay. The same memories in the
same order give the same shelves. Plain numpy; the bank's thread.
"""

import numpy as np
from numpy.typing import NDArray

MOST = 12  # shelves
FAR = 0.27  # from every shelf's mean: this begins a new one
SMALL = 0.03  # of the bank: a kind with less is none
SWEEPS = 4
_CHUNK = 8192


class Kinds:
    """The mean look of each kind, and how many there are of it."""

    def __init__(self, means: NDArray[np.float32] | None = None, counts: list[int] | None = None) -> None:
        """means: (K, LOOK) of the kinds there are."""
        self.means: list[NDArray[np.float32]] = [] if means is None else list(means)
        self.counts = list(counts or [])

    def add(self, vector: NDArray[np.float32]) -> int:
        """The kind of one more memory."""
        if self.means:
            far = np.linalg.norm(np.stack(self.means) - vector, axis=1)
            kind = int(far.argmin())
            if far[kind] <= FAR or len(self.means) >= MOST:
                self.counts[kind] += 1
                self.means[kind] += (vector - self.means[kind]) / np.float32(self.counts[kind])
                return kind
        self.means.append(vector.astype(np.float32, copy=True))
        self.counts.append(1)
        return len(self.means) - 1

    def sort(self, looks: NDArray[np.float16]) -> NDArray[np.int32]:
        """Sorts all memories anew, (N, LOOK); returns (N,) kinds. Kinds that have stayed small are given up."""
        if not len(looks) or not self.means:
            return np.zeros(len(looks), np.int32)
        self._sweep(looks)
        large = [k for k, count in enumerate(self.counts) if count >= SMALL * len(looks)]
        large = large or [int(np.argmax(self.counts))]
        self.means = [self.means[k] for k in large]
        for _ in range(SWEEPS - 1):
            kinds = self._sweep(looks)
        return kinds

    def _sweep(self, looks: NDArray[np.float16]) -> NDArray[np.int32]:
        """Each to its nearest mean, and each mean to the middle of its own (Lloyd 1982)."""
        kinds = np.zeros(len(looks), np.int32)
        means = np.stack(self.means)  # (K, LOOK)
        sums, counts = np.zeros_like(means), np.zeros(len(means), int)
        for at in range(0, len(looks), _CHUNK):
            part = looks[at : at + _CHUNK].astype(np.float32)
            # |a - b|^2 without the |a|^2 that is the same for every kind
            here = (np.einsum("kd,kd->k", means, means) - 2 * part @ means.T).argmin(1)  # (n,)
            sums += np.eye(len(means), dtype=np.float32)[here].T @ part  # (K, n) @ (n, LOOK)
            counts += np.bincount(here, minlength=len(means))
            kinds[at : at + _CHUNK] = here
        for k in np.flatnonzero(counts):
            self.means[k] = sums[k] / counts[k]
        self.counts = counts.tolist()
        return kinds
