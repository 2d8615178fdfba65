"""How much each fragment in the water is seen, as plain numbers at any place.

    weigh(at, [Turn(3, 1.0), Turn(4, 1.0)], Going(wander=3.5, dwell=1.0, tour=1.0), way)    # {3: 0.97, 4: 0.03}

    w_i ~ c_i exp(p e_i),    p = wander (1 + 3 d) SOFT,    e_i = (1 - t) g_i + t (LEAD m_i + WHIM tanh g_i)

as of materials (dwell.py): m_i, how near its turn is; g_i, scalar walks of the same family as the noise, here also of
the same `walk.pedesis`; c_i, the room that it has. Pedesis throws all of them about: whose turn it is goes to and fro
like a grain in water, by a walk of that family too, up to about SWAY turns. What is less than FAINT of the whole is
not there at all. Any process; no torch.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.walk.dwell import FAR, FARTHEST, LEAD, MATERIAL_PACE, REACH, SHARPEST, WHIM
from engine.walk.pulp.order import mixed
from engine.walk.spectrum import K, coefficients
from engine.walk.waypoint import Point
from engine.walk.words import eased

MOST = 16  # fragments in the water
SOFT = 0.5  # fragments give way to one another more gently than materials, beside their shorter turns
FAINT = 0.01  # of the whole; below it a fragment is not heard at all
EDGE = 2.0  # turns in which a fragment comes to count, and in which it ceases to
UNEVEN = 0.2  # of a turn: how far the moment at which one ends may be moved
SWAY = 0.6  # turns that `walk.pedesis` at 1 throws the fragments to and fro
GRADE = 0.35  # how far each of those that are drawn up stands behind the one before, in turns
_ALL = -1  # the number of the walk that moves all of them
STEADY = 3.0  # `walk.wander` counts at least so much while a kind is drawn up


@dataclass(frozen=True)
class Going:
    """How the fragments go about: the parameters of those names."""

    share: float = 0.0
    order: float = 0.0
    most: float = MOST
    wander: float = 2.0
    dwell: float = 0.0
    tour: float = 0.0
    pedesis: float = 0.0

    @property
    def half(self) -> float:
        """How far from its turn a fragment is in the water, in turns."""
        return min(max(self.most, 2.0), MOST) / 2


@dataclass(frozen=True)
class Way:
    """What the walk gives: its seeds with their shares, its period in turns or 0, and a turn in phase units."""

    seed: int  # of the show
    voices: Mapping[int, float]
    turns: int = 0
    length: float = 1.0


@dataclass(frozen=True)
class Turn:
    """One fragment: the number of its turn; how far its words are there, 0..1; its rank among those drawn up, or -1."""

    n: int
    there: float
    rank: int = -1


def weigh(at: float, turns: Sequence[Turn], going: Going, way: Way, lift: float = 0.0) -> dict[int, float]:
    """The weights of those that are heard, by turn, summing to 1. at: in turns. lift: 0..1, how far those that have a
    rank are drawn up."""
    room = [turn.there * edge(at, turn.n, going.half) for turn in turns]
    if not any(room):
        return {}
    wander = max(going.wander, STEADY * lift)
    alive = min(1.0, wander)
    touring = max(going.tour, lift) * alive
    power = wander * (1 + SHARPEST * going.dwell * alive) * SOFT
    whim = WHIM * (1 - lift)
    place = at + SWAY * going.pedesis * _drift(at, (_ALL,), going.pedesis, way, 1.0)[0]
    leans = []
    for turn, g in zip(turns, _drift(at, [t.n for t in turns], going.pedesis, way, MATERIAL_PACE), strict=True):
        near = _nearness(place, turn.n, way)
        if lift:
            drawn = 1.0 - GRADE * turn.rank if turn.rank >= 0 else -FAR * FARTHEST
            near += (drawn - near) * lift
        leans.append((1 - touring) * g + touring * (LEAD * near + whim * math.tanh(g)))
    top = max(x for x, c in zip(leans, room, strict=True) if c > 0.0)
    loud = [c * math.exp(power * (x - top)) if c > 0.0 else 0.0 for x, c in zip(leans, room, strict=True)]
    whole = sum(loud)
    kept = [max(0.0, w / whole - FAINT) for w in loud]
    whole = sum(kept)
    return {turn.n: w / whole for turn, w in zip(turns, kept, strict=True) if w > 0.0}


def edge(at: float, n: int, half: float) -> float:
    """0 at either end of the stretch of turns that are in the water, 1 well inside."""
    return eased((half - abs(n + 0.5 - at)) / min(EDGE, half))


def _nearness(at: float, n: int, way: Way) -> float:
    """As dwell.py has it: 1 while it is its turn, and less the farther off it is."""
    away = max(_begins(n, way) - at, at - _begins(n + 1, way), 0.0)
    return max(0.0, 1.0 - away / REACH) ** 2 - FAR * min(away, FARTHEST)


def _begins(n: int, way: Way) -> float:
    """When turn n begins, in turns; the first at 0."""
    k = n % way.turns if way.turns else n
    return n + _late(way.seed, k) if k else float(n)


@lru_cache(maxsize=256)
def _late(seed: int, k: int) -> float:
    return UNEVEN * (mixed(seed, k, 0xB0) / 2**64 - 0.5)


def _drift(at: float, turns: Sequence[int], pedesis: float, way: Way, pace: float) -> list[float]:
    """The scalar walks of these turns. pace: how fast they go beside the latent one, where no loop has to close."""
    loop = way.turns * way.length
    phase = at * way.length * (1.0 if loop else pace)
    here = coefficients(Point(0, phase, pedesis, 1.0), loop)  # (2K,)
    keys = tuple(n % way.turns if way.turns and n != _ALL else n for n in turns)
    total = np.zeros(len(turns))
    for seed, share in way.voices.items():
        total += share * (_bases(seed, keys) @ here)  # (N,)
    norm = math.sqrt(sum(v * v for v in way.voices.values()))
    values: list[float] = (total / norm).tolist()
    return values


@lru_cache(maxsize=16)
def _bases(seed: int, turns: tuple[int, ...]) -> NDArray[np.float64]:
    """The scalar walks of these turns, (N, 2K)."""
    return np.stack([_basis(seed, n) for n in turns])


@lru_cache(maxsize=256)
def _basis(seed: int, turn: int) -> NDArray[np.float64]:
    return np.random.Generator(np.random.PCG64([seed, turn % 2**32, 0x3A7E4])).standard_normal(2 * K)
