"""What is known of all memories at once, kept in memory, so that nothing has to be read to choose among them.

    index = Index(); index.add(bank.rows(0, model), embeddings)
    index.summary(running_h, half_life_h).strengths, index.looks, index.row_of(12)

Numbers only, some 700 bytes a memory. The bank's thread.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.walk.memory.embedding import SIZE
from engine.walk.memory.look import LOOK

ROW = np.dtype(
    [
        ("number", "i8"),
        ("kind", "i4"),
        ("strength", "f4"),  # as it was at hour at_h of the bank
        ("at_h", "f8"),
        ("created", "f8"),
        ("approved", "?"),
        ("kept", "?"),  # by hand
        ("ours", "?"),  # of this model
    ]
)


@dataclass(frozen=True)
class Summary:
    """What is known of all memories at once, one row each, by number."""

    numbers: NDArray[np.int64]
    kinds: NDArray[np.int32]
    strengths: NDArray[np.float32]  # as they are now
    created: NDArray[np.float64]
    approved: NDArray[np.bool_]
    kept: NDArray[np.bool_]  # by hand
    ours: NDArray[np.bool_]  # of this model

    def weakest(self, most: int) -> NDArray[np.int64]:
        """Numbers of the weakest, but for those kept by hand or approved."""
        free = np.flatnonzero(~(self.kept | self.approved))
        order = free[np.argsort(self.strengths[free], kind="stable")]
        return self.numbers[order[:most]]


def summary_of(rows: NDArray[np.void], running_h: float, half_life_h: float) -> Summary:
    """Of rows of dtype ROW."""
    strengths = faded(rows["strength"], rows["at_h"], running_h, half_life_h).astype(np.float32)
    names = ("created", "approved", "kept", "ours")
    return Summary(rows["number"], rows["kind"], strengths, *(rows[name] for name in names))


def faded(strengths: NDArray[Any], at_h: NDArray[Any], running_h: float, half_life_h: float) -> NDArray[Any]:
    """Strengths after the hours of running since at_h; half_life_h 0: nothing fades."""
    if half_life_h <= 0:
        return strengths
    return strengths * 0.5 ** (np.maximum(running_h - at_h, 0.0) / half_life_h)


class Index:
    """The rows and embeddings of all memories, by number."""

    def __init__(self) -> None:
        self._rows, self._vectors = np.empty(0, ROW), np.empty((0, SIZE), np.float16)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def rows(self) -> NDArray[np.void]:
        """(N,) dtype ROW; may be written to."""
        return self._rows[: self._count]

    @property
    def embeddings(self) -> NDArray[np.float16]:
        """(N, SIZE)."""
        return self._vectors[: self._count]

    @property
    def looks(self) -> NDArray[np.float16]:
        """(N, LOOK)."""
        return self._vectors[: self._count, :LOOK]

    def summary(self, running_h: float, half_life_h: float) -> Summary:
        return summary_of(self.rows, running_h, half_life_h)

    def add(self, rows: NDArray[np.void], embeddings: NDArray[np.float16]) -> None:
        """More of them; their numbers ascend, and are higher than all before."""
        count = self._count + len(rows)
        if count > len(self._rows):
            room = max(count, 64, self._count * 5 // 4)
            grown, wider = np.empty(room, ROW), np.empty((room, SIZE), np.float16)  # not touched: it costs nothing yet
            grown[: self._count], wider[: self._count] = self.rows, self.embeddings
            self._rows, self._vectors = grown, wider
        self._rows[self._count : count], self._vectors[self._count : count] = rows, embeddings
        self._count = count

    def keep(self, stay: NDArray[np.bool_]) -> None:
        """Leaves out all others. stay: (N,)."""
        if stay.all():
            return
        first = int(np.argmin(stay))  # what is before it stays where it is
        rest = np.flatnonzero(stay[first:]) + first
        for at in range(0, len(rest), 4096):
            some = rest[at : at + 4096]
            self._rows[first + at : first + at + len(some)] = self._rows[some]
            self._vectors[first + at : first + at + len(some)] = self._vectors[some]
        self._count = first + len(rest)

    def row_of(self, number: int) -> int | None:
        """Where a memory stands."""
        row = int(np.searchsorted(self.rows["number"], number))
        return row if row < self._count and self.rows["number"][row] == number else None
