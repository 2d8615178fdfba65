"""Keeps the map: where the walk came by, and the bank, on one chart that hardly moves as it grows.

    charting = Charting(names)
    charting.take_in(pixels, said, loudest, time_s)        # every keyframe; one in SAMPLE_S is kept, small
    charting.step(shelved, view)                           # once a frame, while the map is seen

The show's thread. While nobody looks a sample costs a copy of some thousand pixels; what they look like is worked out
when the map is seen, a few each frame. With a bank the chart is the bank's (walk/memory/work.py); without one, or while
it is small, the path makes its own, and again when it is twice as long. A new chart is laid over the old one.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.stage.map import MARK, MapView
from engine.stage.shelving import SPHERE
from engine.walk.memory.chart import FEWEST, Chart, Turn, aligned, fitted
from engine.walk.memory.embedding import embedding
from engine.walk.memory.look import colours
from engine.walk.memory.questions import Shelved

SAMPLE_S = 0.5  # between two moments of the path that are kept
KEPT = 240  # of them: two minutes
LINES = 64  # of a kept picture, about
STILL = 1.5  # levels of 255 between two pictures that are the same place
EMBEDDED = 3  # in one frame
MOMENT = 4  # of the path, every so many are shown as pictures where the bank is small
SMALL_BANK = 24
PURE = 0.6  # share of the loudest material from which a moment is of its kind
OWN_KINDS = 10_000  # from here on kinds are materials, and not the bank's


@dataclass
class _Moment:
    """A picture of the path: small, what was said, and its embedding once somebody looked."""

    number: int
    pixels: NDArray[np.uint8]
    said: Mapping[str, float]
    kind: int  # the material, -1 between two
    vector: NDArray[np.float32] | None = None


class Charting:
    """See the module's head."""

    def __init__(self, materials: Sequence[str]) -> None:
        """materials: their names, in the order of the weights."""
        self._names = {OWN_KINDS + n: name.replace("_", " ") for n, name in enumerate(materials)}
        self._path: deque[_Moment] = deque(maxlen=KEPT)
        self._count = 0
        self._next_s = -1.0
        self._chart: Chart | None = None
        self._own: tuple[Chart | None, int] = None, 0  # the path's own, and of how many moments
        self._turn = Turn()
        self._shelved: Shelved | None = None
        self._told: object = None  # what the view was last told of
        self.names: Mapping[int, str] = dict(self._names)

    def take_in(
        self, pixels: NDArray[np.uint8], said: Mapping[str, float], weights: Sequence[float], time_s: float
    ) -> None:
        """A picture that was dreamt, (H, W, 3). said: the share of each prompt; time_s: of the show."""
        if self._next_s - SAMPLE_S <= time_s < self._next_s:
            return
        self._next_s = time_s + SAMPLE_S
        every = max(1, pixels.shape[0] // LINES)
        small = pixels[::every, ::every]
        if self._path and _is_same(small, self._path[-1].pixels):
            return  # the walk rests
        loudest = max(range(len(weights)), key=lambda n: weights[n])
        kind = OWN_KINDS + loudest if weights[loudest] >= PURE and len(weights) > 1 else -1
        self._path.append(_Moment(self._count, small.copy(), dict(said), kind))
        self._count += 1

    def step(self, shelved: Shelved | None, view: MapView) -> None:
        """Brings the view up to date."""
        todo = [moment for moment in self._path if moment.vector is None]
        for moment in todo[-EMBEDDED:]:
            moment.vector = embedding(moment.pixels, moment.said)
        known = [moment for moment in self._path if moment.vector is not None]
        self._shelved = shelved
        self._choose_chart(known)
        if self._chart is None:
            return
        state = id(self._chart), id(shelved), known[-1].number if known else -1, len(known)  # both are held meanwhile
        if state == self._told:
            return
        self._told = state
        places = self._turn(self._chart.at(_vectors(known))) if known else np.empty((0, 2), np.float32)
        view.set_path(np.array([moment.number for moment in known], np.int64), places)
        self._tell_marks(known, view)

    def _choose_chart(self, known: list[_Moment]) -> None:
        banks = self._shelved.chart if self._shelved is not None and self._shelved.count >= SMALL_BANK else None
        own, size = self._own
        if banks is None and len(known) >= max(FEWEST, 2 * size):
            own = fitted(_vectors(known), np.array([moment.kind for moment in known], np.int32)) or own
            self._own = own, len(known)
        chart = banks or own
        if chart is None or chart is self._chart:
            return
        if self._chart is not None and known:
            vectors = _vectors(known)
            self._turn = aligned(self._turn(self._chart.at(vectors)), chart.at(vectors))
        self._chart = chart

    def _tell_marks(self, known: list[_Moment], view: MapView) -> None:
        """The bank's memories; while there are few of them moments of the path as well, below zero."""
        shelved = self._shelved
        parts = []
        names = dict(self._names)
        if shelved is not None and len(shelved.numbers):
            marks = np.zeros(len(shelved.numbers), MARK)
            marks["id"], marks["kind"], marks["strength"] = shelved.numbers, shelved.kinds, shelved.strengths
            marks["colour"] = shelved.colours
            if shelved.chart is self._chart and len(shelved.map) == len(marks):
                marks["place"] = self._turn(shelved.map)
                parts.append(marks)
                names |= dict(shelved.names)
        if not parts or len(parts[0]) < SMALL_BANK:
            parts.append(self._moments(known))
        self.names = names
        view.set(np.concatenate(parts))

    def _moments(self, known: list[_Moment]) -> NDArray[np.void]:
        some = [moment for moment in known if moment.number % MOMENT == 0]
        marks = np.zeros(len(some), MARK)
        if not some:
            return marks
        assert self._chart is not None
        vectors = _vectors(some)
        marks["id"] = [-1 - moment.number for moment in some]
        marks["kind"] = [moment.kind for moment in some]
        marks["place"] = self._turn(self._chart.at(vectors))
        marks["strength"], marks["colour"] = 0.8, colours(vectors.astype(np.float16))
        return marks

    def spheres(self) -> tuple[NDArray[np.void], dict[int, NDArray[np.uint8]]]:
        """Moments of the path as memories are shelved, and their pictures by number: for shelves without a bank."""
        some = [moment for moment in self._path if moment.number % 2 == 0]
        found = np.zeros(len(some), SPHERE)
        found["id"] = [moment.number for moment in some]
        found["kind"] = [moment.kind for moment in some]
        found["place"], found["strength"] = found["id"], 0.85
        if some:
            found["colour"] = [moment.pixels.reshape(-1, 3).mean(0).astype(np.uint8) for moment in some]
        return found, {moment.number: moment.pixels for moment in some}

    def feed(self, view: MapView) -> None:
        """Hands over pictures of the path that the view wants."""
        for moment in self._path:
            if -1 - moment.number in view.wanted:
                view.put_thumbnail(-1 - moment.number, moment.pixels)


def _is_same(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> bool:
    return a.shape == b.shape and float(np.abs(a.astype(np.int16) - b).mean()) < STILL


def _vectors(moments: Sequence[_Moment]) -> NDArray[np.float32]:
    return np.stack([moment.vector for moment in moments if moment.vector is not None])
