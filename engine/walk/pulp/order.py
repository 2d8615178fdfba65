"""In which order the fragments of a torn text come round: as it is read, by kinds, or by none.

    order = Order(fragments.in_kinds)
    order.at(order.level(0.5), place=17, seed=7)       # number of the fragment that is the 18th by kinds
    order.place(level, number=4, seed=7)               # and where in that order a fragment is

Every level is an order of all fragments, in which none comes twice before all have come. From reading to kinds the
text is cut into passages, the shorter the farther, and the passages are sorted by the kind they begin with: 0 is the
whole text, half-way up to kinds are passages of some hundred of a hundred thousand, and at 0.5 each fragment stands
alone among its kind. From there to 1 the sorted fragments are cut in the same way, and the pieces shuffled.

Any place of any level is found without going through those before it. Any process; no torch.
"""

import math

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 4  # of the shuffle
_MASK = 2**64 - 1


class Order:
    """See the module's head. Beside the fragments themselves it takes about sixteen bytes for each."""

    def __init__(self, in_kinds: NDArray[np.int32]) -> None:
        """in_kinds: numbers of the fragments, ordered by kind."""
        self.count = len(in_kinds)
        self._halvings = max(1, math.ceil(math.log2(max(self.count, 2))))
        place = np.empty(self.count, np.int32)
        place[in_kinds] = np.arange(self.count, dtype=np.int32)
        # For passages of 1, 2, 4 ... fragments: which comes when, and when each comes.
        self._passages = [np.argsort(place[:: 1 << h]).astype(np.int32) for h in range(self._halvings + 1)]
        self._when = [np.argsort(passages).astype(np.int32) for passages in self._passages]

    def level(self, order: float) -> int:
        """The level of `pulp.order`, 0..1: 0 is reading order."""
        return round(2 * order * self._halvings)

    def is_read(self, level: int) -> bool:
        """Whether the text is read on for more than one fragment at a time."""
        return level < self._halvings

    def at(self, level: int, place: int, seed: int) -> int:
        """The fragment at a place of a level; after the last comes the first again."""
        place %= self.count
        if level <= self._halvings:
            h = self._halvings - level
            short = int(self._when[h][-1])
            piece, n = self._cut(place, 1 << h, short)
            return (int(self._passages[h][piece]) << h) + n
        h = 2 * self._halvings - level
        pieces = -(-self.count >> h)
        short = shuffled(pieces - 1, pieces, _key(seed, h), back=True)
        piece, n = self._cut(place, 1 << h, short)
        return int(self._passages[0][(shuffled(piece, pieces, _key(seed, h)) << h) + n])

    def place(self, level: int, number: int, seed: int) -> int:
        """The place of a fragment in a level: the other way round."""
        if level <= self._halvings:
            h = self._halvings - level
            when = int(self._when[h][number >> h])
            return self._joined(when, number % (1 << h), 1 << h, int(self._when[h][-1]))
        h = 2 * self._halvings - level
        pieces, sorted_ = -(-self.count >> h), int(self._when[0][number])
        key = _key(seed, h)
        when = shuffled(sorted_ >> h, pieces, key, back=True)
        return self._joined(when, sorted_ % (1 << h), 1 << h, shuffled(pieces - 1, pieces, key, back=True))

    def _cut(self, place: int, length: int, short: int) -> tuple[int, int]:
        """Which piece a place is in, and where in it. short: which one is the last of the text, which may be shorter
        than the others."""
        missing = -self.count % length
        if place >= (short + 1) * length - missing:
            place += missing
        return divmod(place, length)

    def _joined(self, piece: int, n: int, length: int, short: int) -> int:
        return piece * length + n - (-self.count % length if piece > short else 0)


def shuffled(n: int, count: int, key: int, back: bool = False) -> int:
    """Where a shuffle of 0 .. count - 1 puts n; back: what it puts there. Nothing is stored: a Feistel network (Luby &
    Rackoff 1988) over the next power of four, gone through again while it leads outside (Black & Rogaway 2002)."""
    half = max(1, -(-(count - 1).bit_length() // 2))
    mask = (1 << half) - 1
    rounds = range(_ROUNDS)[:: -1 if back else 1]
    while True:
        left, right = n >> half, n & mask
        for r in rounds:
            if back:
                left, right = right ^ (mixed(key, r, left) & mask), left
            else:
                left, right = right, left ^ (mixed(key, r, right) & mask)
        n = left << half | right
        if n < count:
            return n


def mixed(*numbers: int) -> int:
    """64 bits that hang on all of these whole numbers (splitmix64, Steele et al. 2014)."""
    z = 0
    for number in numbers:
        z = (z + number + 0x9E3779B97F4A7C15) & _MASK
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & _MASK
        z ^= z >> 31
    return z


def _key(seed: int, halvings: int) -> int:
    return mixed(seed, halvings, 0x5C4A95)
