"""Liquidising and drawing up: how finely the walk is torn, and the sheet that comes out of the water whole.

    pulp = Pulp()
    pulp.tick(controls, navigator)                    # once a tick, after the navigator's
    waypoint = pulp.hold(waypoint)                    # before the words, as it says which material is drawn up
    waypoint = pulp.tear(waypoint, navigator, ahead_s)

The waypoint's own sheet lies in the water with SHEETS others. Each of them has a noise of its own seed, so that what is
woven of them keeps unit variance, and stands elsewhere on the tour of the materials, so that they show different ones.
Where the patches lie is a walk of its own too (see dreamer/liquid.py, which makes pictures of all this). Counted in
ticks. Belongs to the thread that runs the show's loop; no torch.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any, Protocol

import numpy as np

from engine.walk.mix import TICK_S, heard, turned
from engine.walk.waypoint import SHEETS, Liquid, Point, Sheet, Waypoint, Wording, normalise, scaled

SWIM = 0.8  # how fast the patches move, beside the pictures on them
STILL_S = 0.5  # time constant of the water's coming to rest, and of its stirring again
KIND, BACK = 0.5, 1.5  # times pulp.pull.time: in which what is drawn up turns into one material, and back
LEAST = 1e-4  # a liquidise at which nothing is torn yet
_WATER, _SHEET = 0x7EA2, 0x5E31  # a seed, xor these, is that of the patches; and xor multiples of this, of the sheets


class Steering(Protocol):
    """What is read: smoothed values by name; triggers, which are gone when taken; where a base is going."""

    def __getitem__(self, name: str, /) -> Any: ...
    def take(self, name: str, /) -> float: ...
    def target(self, name: str, /) -> Any: ...


class Walk(Protocol):
    """What is read of the walk (see navigator.Navigator)."""

    seed: int
    loop: float
    phase: float
    rate: float
    round_length: float
    voices: dict[int, float]

    @property
    def faders(self) -> tuple[float, ...]: ...
    def weights_at(self, phase: float) -> tuple[float, ...]: ...


class Pulp:
    """See the module's head."""

    def __init__(self, draw_up: Callable[[], bool] = lambda: False) -> None:
        """draw_up: called when a sheet is drawn up; True if the words see to what it is of, and no material is chosen
        here."""
        self.draw_up = draw_up
        self.pulled = False  # whether a sheet is being drawn up, or is held
        self.pulls = 0  # how many sheets were
        self._drawn = 0.0  # 0..1, how far it is out of the water; even in time
        self._poured = 1.0  # 0..1, how far what was drawn up has fallen to pieces again
        self._kinds: dict[int | None, float] = {None: 1.0}  # of each material drawn up; None: the walk's own mix
        self._kind: int | None = None
        self._target = 0.0  # of pulp.liquidise, when the sheet was drawn up
        self._still = 0.0  # 0..1, how still the water is
        self._lag = 0.0  # phase units by which still water has kept the patches back
        self._amount, self._time_s, self._pedesis = 0.0, 1.0, 0.0

    @property
    def is_whole(self) -> bool:
        """Whether nothing is torn."""
        return self._amount * self._risen(0.0) <= LEAST or self._drawn >= 1.0

    def tick(self, steer: Steering, walk: Walk) -> None:
        """One step of TICK_S seconds."""
        self._amount, self._pedesis = float(steer["pulp.liquidise"]), float(steer["walk.pedesis"])
        self._time_s = float(steer["pulp.pull.time"])
        target = float(steer.target("pulp.liquidise"))
        poured = bool(steer.take("pulp.pour")) or target != self._target
        if steer.take("pulp.pull"):
            self._begin(walk, target)
        elif self.pulled and poured:
            self._let_go()
        step = TICK_S / self._time_s
        if self.pulled:
            self._drawn = min(1.0, self._drawn + step)
            self._poured = 0.0 if self._drawn >= 1.0 else self._poured
        elif self._drawn > 0.0:
            self._drawn = max(0.0, self._drawn - step)
        else:
            self._poured = min(1.0, self._poured + step)
        self._kinds = turned(
            self._kinds, self._kind if self.pulled else None, (KIND if self.pulled else BACK) * self._time_s
        )
        self._still += (float(self.pulled) - self._still) * (1 - math.exp(-TICK_S / STILL_S))
        self._lag += walk.rate * self._pace(walk.loop) * self._still * TICK_S

    def hold(self, waypoint: Waypoint) -> Waypoint:
        """The waypoint, its material that which is drawn up."""
        if list(self._kinds) == [None]:
            return waypoint
        shares, count = heard(self._kinds), len(waypoint.weights)
        total = sum(shares.values())
        weights = [0.0] * count
        for kind, share in shares.items():
            own = waypoint.weights if kind is None else [float(n == kind % count) for n in range(count)]
            weights = [w + o * share / total for w, o in zip(weights, own, strict=True)]
        return replace(waypoint, weights=tuple(weights))

    def tear(self, waypoint: Waypoint, walk: Walk, ahead_s: float = 0.0) -> Waypoint:
        """The waypoint with the others that lie in the water, and how finely they are torn. walk: whose place it is,
        `ahead_s` seconds on."""
        amount = self._amount * self._risen(ahead_s)
        drawn = self._drawn + (ahead_s / self._time_s if self.pulled else -ahead_s / self._time_s)
        drawn = min(max(drawn, 0.0), 1.0)
        if amount <= LEAST or drawn >= 1.0:
            return waypoint
        phase, pace = walk.phase + walk.rate * ahead_s, self._pace(walk.loop)
        at = phase * pace - self._lag - walk.rate * pace * self._still * ahead_s
        voices = heard(walk.voices)
        patches = normalise([Point(s ^ _WATER, at, self._pedesis, v) for s, v in voices.items()], walk.loop)
        sheets = tuple(self._sheet(n, phase, waypoint, walk) for n in range(1, SHEETS + 1))
        return replace(waypoint, liquid=Liquid(amount, patches, sheets, drawn))

    def to_dict(self) -> dict[str, Any]:
        """All of the state, JSON-able."""
        return {
            "pulled": self.pulled,
            "pulls": self.pulls,
            "drawn": self._drawn,
            "poured": self._poured,
            "kinds": [[kind, share] for kind, share in self._kinds.items()],
            "kind": self._kind,
            "target": self._target,
            "still": self._still,
            "lag": self._lag,
            "now": [self._amount, self._time_s, self._pedesis],
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        """Takes up where `to_dict` left it. Raises KeyError, TypeError or ValueError on damaged data."""
        kinds = {None if kind is None else int(kind): float(share) for kind, share in data["kinds"]}
        numbers = [float(data[name]) for name in ("drawn", "poured", "target", "still", "lag")]
        now = [float(x) for x in data["now"]]
        if not kinds or not all(map(math.isfinite, [*numbers, *now, *kinds.values()])) or now[1] <= 0.0:
            raise ValueError("a saved state of pulp needs kinds and finite numbers")
        self.pulled, self.pulls = bool(data["pulled"]), int(data["pulls"])
        self._kind = None if data["kind"] is None else int(data["kind"])
        self._drawn, self._poured, self._target, self._still, self._lag = numbers
        self._kinds, (self._amount, self._time_s, self._pedesis) = kinds, now

    def _begin(self, walk: Walk, target: float) -> None:
        """Also where one is drawn up already: it turns into another."""
        self.pulled, self._target = True, target
        if not self.draw_up():
            self._kind = self._chosen(walk)
        self.pulls += 1

    def _let_go(self) -> None:
        self.pulled = False
        if self._drawn >= 1.0:  # whole either way, so nothing is seen of the change
            self._drawn = self._poured = 0.0

    def _chosen(self, walk: Walk) -> int:
        """Which material is drawn up: any that the faders leave in, but not the same twice running."""
        faders = walk.faders
        left = [n for n, fader in enumerate(faders) if fader > 0.0 and n != self._kind]
        left = left or [n for n, fader in enumerate(faders) if fader > 0.0] or list(range(len(faders)))
        draw = np.random.Generator(np.random.PCG64([walk.seed, self.pulls, 0xD4A3])).random()
        return left[int(draw * len(left))]

    def _risen(self, ahead_s: float) -> float:
        """How much of pulp.liquidise is heard, 0..1."""
        ahead = 0.0 if self.pulled or self._drawn > 0.0 else ahead_s / self._time_s
        part = min(1.0, self._poured + ahead)
        return part * part * (3 - 2 * part)

    @staticmethod
    def _pace(loop: float) -> float:
        return 1.0 if loop else SWIM  # where the walk closes, the patches must come back with it

    def _sheet(self, n: int, phase: float, waypoint: Waypoint, walk: Walk) -> Sheet:
        voices = heard(walk.voices)
        points = normalise([Point(s ^ (n * _SHEET), phase, self._pedesis, v) for s, v in voices.items()], walk.loop)
        weights = walk.weights_at(phase + (walk.loop or walk.round_length) * n / (SHEETS + 1))
        own = waypoint.weights
        words = [Wording(w.palette, weights if w.weights == own else w.weights, w.share) for w in waypoint.wordings]
        return Sheet(points, tuple(words))


def over(place: Liquid | None, walk: Liquid | None) -> Liquid | None:
    """How a place is torn: as it is itself, or more if the walk is."""
    if place is None or walk is None:
        return place or walk
    return replace(place, amount=max(place.amount, walk.torn))


def mixed(parts: Sequence[tuple[Liquid | None, float]], loop: float) -> Liquid | None:
    """What lies between several, each by its share; what is whole is torn by nothing."""
    torn = [(liquid, share) for liquid, share in parts if liquid is not None and share > 0.0]
    if not torn:
        return None
    amount = sum(liquid.amount * share for liquid, share in torn)
    drawn = sum(liquid.drawn * liquid.amount * share for liquid, share in torn) / amount if amount else 0.0
    if len(torn) == 1:
        return replace(torn[0][0], amount=amount)
    rows = zip_longest(*([(sheet, share) for sheet in liquid.sheets] for liquid, share in torn))
    sheets = tuple(_mixed_sheet([cell for cell in row if cell is not None], loop) for row in rows)
    points = normalise([p for liquid, share in torn for p in scaled(liquid.points, share)], loop)
    return Liquid(amount, points, sheets, drawn)


def _mixed_sheet(parts: Sequence[tuple[Sheet, float]], loop: float) -> Sheet:
    total = sum(share for _, share in parts)
    points = normalise([p for sheet, share in parts for p in scaled(sheet.points, share)], loop)
    said: dict[tuple[str, tuple[float, ...]], float] = {}
    for sheet, share in parts:
        for w in sheet.words:
            key = w.palette, w.weights
            said[key] = said.get(key, 0.0) + w.share * share / total
    return Sheet(points, tuple(Wording(*key, share) for key, share in said.items()))
