"""Fragments sorted into kinds: what lies close together is one, and as many kinds as the text has.

    found = sort(features(vectors, spelt, texts))      # which kind each is of, and all in order

Two things make fragments alike: what the model's text encoder makes of them, and the words they share, rare ones most.
A small encoder knows little of a book's own world, and none may know its script; words alone know no meaning. Both
count, each by its principal directions; in a short text, in which few words come twice, the encoder more. Where an
encoder can only spell, the words decide.

Spherical k-means (Dhillon and Modha 2001). How many kinds is found by trying numbers about what so many fragments
usually fill: the one whose kinds lie furthest apart (Rousseeuw 1987). The same text gives the same kinds. Plain numpy
on all processors; the command line's process. The bank's kinds (walk/memory/kinds.py) are another thing: they grow one
memory at a time, in bites, beside a show that runs.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.walk.pulp.script import words

FEWEST, MOST = 6, 40
LEAST = 8  # fragments that a kind has on average, or there are fewer kinds
USUAL = 3.0  # the square root of the fragments' number through this is how many kinds they usually fill
LESS, MORE = 0.7, 1.5  # times that many are tried
SAMPLE = 6000  # fragments that the number of kinds is found with
SWEEPS = 24
DIRECTIONS = 48  # of each sort of vectors
SIZE = 256  # of a vector of words
COMMON = 0.03, 50  # of the fragments, and so many more: a word in more than these says nothing of its kind
RARE = 1.5  # power of a word's inverse frequency (Sparck Jones 1972)
SPELT = 0.7  # tokens to a byte, from which an encoder does not read a text but spell it
SMALL = 0.1  # of what a kind has on average: with less it is none
ENOUGH = 8000  # fragments from which words are met often enough to count as much as what the encoder makes of them
_SEED = 1759  # of the first means; the year in which a book first had a marbled page

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Sorted:
    """kind_of: (N,); in_kinds: (N,) numbers ordered by kind and from each one's centre outward; count: of kinds."""

    kind_of: NDArray[np.int64]
    in_kinds: NDArray[np.int64]
    count: int


def features(vectors: NDArray[np.float16], spelt: NDArray[np.float32], texts: Sequence[str]) -> Matrix:
    """What fragments are sorted by, (N, F) of unit length. vectors: (N, D) of the encoder; spelt: (N,) tokens to a
    byte (TextEncoder.spelt)."""
    meant = np.zeros((len(texts), 1), np.float32)
    if (reads := spelt < SPELT).any():
        some = directions(vectors[reads])
        meant = np.zeros((len(texts), some.shape[1]), np.float32)
        meant[reads] = some
    said = directions(by_words(texts))
    share = np.where(reads, min(1.0, math.sqrt(len(texts) / ENOUGH)), 1.0).astype(np.float32)[:, None]
    return unit(np.concatenate([meant, share * said], 1))


def sort(rows: Matrix, most: int = MOST) -> Sorted:
    """Kinds of (N, F) features, numbered so that neighbours are alike."""
    means = _means(rows, most)
    kind_of = _nearest(rows, means)
    order = _tour(means)
    place = np.empty(len(means), np.int64)
    place[order] = np.arange(len(means))
    kind_of, means = place[kind_of], means[order]
    far = 1 - np.einsum("nd,nd->n", rows, means[kind_of])
    return Sorted(kind_of, np.lexsort((np.arange(len(rows)), far, kind_of)), len(means))


def directions(vectors: NDArray[Any], most: int = DIRECTIONS) -> Matrix:
    """(N, D) to (N, at most `most`) of unit length: without what all have in common, by principal directions."""
    some = vectors[_spread(len(vectors), 4 * SAMPLE)].astype(np.float64)
    middle = some.mean(0)
    _, along = np.linalg.eigh((some - middle).T @ (some - middle))  # ascending
    along = along[:, ::-1][:, :most]
    along *= np.where(along[np.abs(along).argmax(0), np.arange(along.shape[1])] < 0, -1, 1)  # eigh leaves it open
    rows = [(vectors[at : at + 8192].astype(np.float64) - middle) @ along for at in range(0, len(vectors), 8192)]
    return unit(np.concatenate(rows).astype(np.float32))


def unit(rows: Matrix) -> Matrix:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """At most so many numbers below `count`, evenly spread."""
    return np.arange(count) if count <= most else np.arange(most) * count // most


def _means(rows: Matrix, most: int) -> Matrix:
    """The centres of as many kinds as the rows have."""
    highest = max(1, min(most, len(rows) // LEAST))
    usual = min(max(math.sqrt(len(rows)) / USUAL, FEWEST), MOST)
    tried = range(max(FEWEST, round(LESS * usual)), min(highest, round(MORE * usual)) + 1)
    some = rows[_spread(len(rows), SAMPLE)]
    numbers = list(tried[:: -(-len(tried) // 8)]) if tried else [min(FEWEST, highest)]
    found = [_lloyd(some, _begin(some, k)) for k in numbers]
    worth = [_apart(some, means) for means in found]
    means = _lloyd(rows, found[int(np.argmax(worth))])
    counts = np.bincount(_nearest(rows, means), minlength=len(means))
    stay = counts >= max(2, SMALL * len(rows) / len(means))
    return _lloyd(rows, means[stay]) if stay.any() and not stay.all() else means


def _begin(rows: Matrix, count: int) -> Matrix:
    """Means to begin with, far from one another (k-means++, Arthur and Vassilvitskii 2007)."""
    draw = np.random.default_rng(_SEED)
    chosen = [int(draw.integers(len(rows)))]
    far = 1 - rows @ rows[chosen[0]]
    for _ in range(count - 1):
        share = np.cumsum(np.maximum(far, 0.0).astype(np.float64) ** 2)
        at = min(int(np.searchsorted(share, draw.random() * share[-1], "right")), len(rows) - 1)
        chosen.append(at)
        far = np.minimum(far, 1 - rows @ rows[at])
    return rows[chosen]


def _lloyd(rows: Matrix, means: Matrix) -> Matrix:
    """Means moved to the middle of their own until none moves."""
    before = None
    for _ in range(SWEEPS):
        kinds = _nearest(rows, means)
        if before is not None and np.array_equal(kinds, before):
            break
        before = kinds
        order = np.argsort(kinds, kind="stable")
        starts = np.searchsorted(kinds[order], np.arange(len(means)))
        counts = np.bincount(kinds, minlength=len(means))
        filled = np.flatnonzero(counts)
        moved = means.copy()
        moved[filled] = np.add.reduceat(rows[order], starts[filled], axis=0)
        means = unit(moved)
    return means


def _nearest(rows: Matrix, means: Matrix) -> NDArray[np.int64]:
    return np.concatenate([(rows[at : at + 8192] @ means.T).argmax(1) for at in range(0, len(rows), 8192)])


def _apart(rows: Matrix, means: Matrix) -> float:
    """How far kinds lie apart, -1..1: the silhouette of their means (Hruschka 2004), each kind counting alike."""
    if len(means) == 1:
        return 0.0
    far = 1 - rows @ means.T  # (n, K)
    two = np.partition(far, 1, axis=1)[:, :2]
    width = (two[:, 1] - two[:, 0]) / np.maximum(two[:, 1], 1e-9)
    kinds = far.argmin(1)
    counts = np.bincount(kinds, minlength=len(means))
    sums = np.bincount(kinds, width, len(means))
    return float(np.mean(sums[counts > 0] / counts[counts > 0]))


def _tour(means: Matrix) -> NDArray[np.int64]:
    """The kinds in an order in which neighbours are alike: the nearest next, then 2-opt (Croes 1958)."""
    count = len(means)
    far = 1 - means.astype(np.float64) @ means.T.astype(np.float64)
    path = [int(far.sum(1).argmax())]
    while len(path) < count:
        rest = [k for k in range(count) if k not in path]
        path.append(min(rest, key=lambda k: (far[path[-1], k], k)))
    for _ in range(count):
        better = False
        for a in range(count - 1):
            for b in range(a + 2, count + 1):
                turned = [*path[:a], *path[a:b][::-1], *path[b:]]
                if _length(far, turned) < _length(far, path) - 1e-9:
                    path, better = turned, True
        if not better:
            break
    return np.array(path, np.int64)


def _length(far: NDArray[np.float64], path: Sequence[int]) -> float:
    return float(sum(far[a, b] for a, b in pairwise(path)))


def points(rows: Matrix, found: Sorted) -> Matrix:
    """(N, 2) places in a plane, -1..1: by the two directions in which the kinds' middles differ most."""
    sums = np.stack([np.bincount(found.kind_of, column, found.count) for column in rows.T], 1)  # (K, F)
    counts = np.bincount(found.kind_of, minlength=found.count)[:, None]
    middles = sums / counts
    apart = (middles - middles.mean(0)) * np.sqrt(np.sqrt(counts))
    _, along = np.linalg.eigh(apart.T @ apart)
    along = along[:, ::-1][:, :2]
    along *= np.where(along[np.abs(along).argmax(0), np.arange(along.shape[1])] < 0, -1, 1)
    flat = (rows - middles.mean(0).astype(np.float32)) @ along.astype(np.float32)
    low, high = flat.min(0), flat.max(0)
    return ((2 * flat - low - high) / np.maximum(high - low, 1e-9)).astype(np.float32)


def by_words(texts: Sequence[str]) -> Matrix:
    """(N, SIZE) vectors of the words in each text, each word in a few directions of its own (random projection,
    Achlioptas 2003), without those that most have and those that one has alone."""
    said = [tuple(dict.fromkeys(words(text))) for text in texts]
    counts = Counter(word for each in said for word in each)
    most = COMMON[0] * len(texts) + COMMON[1]
    known = {word: n for n, word in enumerate(sorted(word for word, count in counts.items() if 1 < count <= most))}
    signs = np.zeros((len(known), 16), np.float32)
    spots = np.zeros((len(known), 16), np.int64)
    for word, n in known.items():
        mark = np.frombuffer(hashlib.blake2b(word.encode(), digest_size=32).digest(), np.uint8).astype(np.int64)
        spots[n] = mark[::2]
        signs[n] = ((mark[1::2] & 2) - 1) * math.log(len(texts) / counts[word]) ** RARE
    rows = np.zeros((len(texts), SIZE), np.float32)
    for row, each in zip(rows, said, strict=True):
        if here := [known[word] for word in each if word in known]:
            np.add.at(row, spots[here].ravel(), signs[here].ravel())
    return unit(rows)
