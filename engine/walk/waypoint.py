"""A place in latent space as plain numbers: the points of seeded walks it is a sum of, and the words that are said.

    here = Waypoint(time_s=0.0, epoch=0, points=normalise(points), weights=(1.0,), palette=palette.id)
    distance(here, there), same_place(here, there)

Frozen, hashable, any process; no torch. A latent is the sum of its points, scaled to unit variance with their
covariance, so that whatever is mixed (walk and home, an old seed and a new one, a memory) is an exact draw of N(0, I).
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.walk.spectrum import K, coefficients

TORN = 2.0  # what a full change of the patches counts in a distance
SHEETS = 3  # that a picture may be torn into beside its own
GUIDED = 1.5  # what a guide that comes with its whole strength counts: much as a change of everything
SAME = 1e-3  # a distance that moves no pixel by a whole step of eight bits


@dataclass(frozen=True)
class Point:
    """One place of one seeded walk and its share in a latent."""

    seed: int
    phase: float  # correlation lengths
    pedesis: float  # 0..1
    gain: float


@dataclass(frozen=True)
class Wording:
    """Words that have a share in a picture beside those of its own palette: a phrase, a memory, older words."""

    palette: str
    weights: tuple[float, ...]  # one a prompt of that palette, summing to 1
    share: float  # 0..1; those of all wordings beside sum to 1 at most


@dataclass(frozen=True)
class Sheet:
    """A picture of its own, which lies in pieces among those of others."""

    points: tuple[Point, ...]  # its noise, of unit variance
    words: tuple[Wording, ...]  # what is said on it; shares sum to 1


@dataclass(frozen=True)
class Liquid:
    """How a picture is torn: the waypoint's own sheet and others, in patches (see dreamer/liquid.py)."""

    amount: float  # 0 the waypoint's own sheet, whole; up to 1, patches as small as cells
    points: tuple[Point, ...]  # where the water has carried the patches: a walk of its own, of unit variance
    sheets: tuple[Sheet, ...]  # the others, 1 to SHEETS
    drawn: float = 0.0  # 0..1, how far the waypoint's own sheet has been lifted out of the water, from the top down

    @property
    def torn(self) -> float:
        """0..1, how much of it is in pieces, and how small."""
        return self.amount * (1.0 - self.drawn)


@dataclass(frozen=True)
class Guide:
    """Pictures from outside that steer a dream, and how strongly in each of the ways there are."""

    seen: tuple[tuple[str, float], ...]  # (hash of a picture's content, share); shares sum to 1
    strength: float = 0.0  # 0..1, from the pure walk to the given picture
    outline: float = 0.0  # 0..2, weight of the ControlNet, which keeps its lines
    likeness: float = 0.0  # 0..1, weight of the IP-Adapter, which takes it as a prompt


@dataclass(frozen=True)
class Waypoint:
    """Everything needed to dream one picture again."""

    time_s: float
    epoch: int
    points: tuple[Point, ...]  # latent noise = sum of gain * z_seed(phase; pedesis), of unit variance
    weights: tuple[float, ...]  # one a material, summing to 1
    loop: float = 0.0  # period in phase units, 0 for the open walk
    palette: str = ""  # id of the palette that the weights belong to; empty: the one a dreamer begins with
    beside: tuple[Wording, ...] = ()  # other words, at the cost of the share of the palette's own
    focus: float = 1.0  # 0..1, how far the noise is turned up: 0 the mean of everything, 1 this one picture
    liquid: Liquid | None = None  # None: one whole sheet
    loras: tuple[float, ...] = ()  # strength of each of the show's LoRAs, in their order
    guide: Guide | None = None  # None: nothing from outside steers

    @property
    def wordings(self) -> tuple[Wording, ...]:
        """Everything that is said, the palette's own words first; shares sum to 1."""
        rest = max(0.0, 1.0 - sum(w.share for w in self.beside))
        return Wording(self.palette, self.weights, rest), *self.beside

    @property
    def sheets(self) -> tuple[Sheet, ...]:
        """All that lie in the water, the waypoint's own first."""
        return Sheet(self.points, self.wordings), *(self.liquid.sheets if self.liquid else ())

    @property
    def palettes(self) -> tuple[str, ...]:
        """Ids of all palettes that it names."""
        others = [w.palette for sheet in self.sheets[1:] for w in sheet.words]
        return tuple(dict.fromkeys([self.palette, *(w.palette for w in self.beside), *others]))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able form. What is not there is left out, so that a memory's mark is as it was before there were
        liquid, LoRAs and guides."""
        plain = asdict(self)
        for name in ("liquid", "loras", "guide"):
            if not getattr(self, name):
                del plain[name]
        return plain


def spread(points: Sequence[Point], loop: float = 0.0) -> dict[int, NDArray[np.float64]]:
    """What a sum of points takes of every seed's fields A_1..A_K, B_1..B_K: seed -> (2K,)."""
    total: dict[int, NDArray[np.float64]] = {}
    for p in points:
        share = coefficients(p, loop)
        total[p.seed] = total[p.seed] + share if p.seed in total else share
    return total


def covariance(a: Sequence[Point], b: Sequence[Point], loop: float = 0.0) -> float:
    """E[z_a z_b] of two sums of points: walks of different seeds are independent."""
    ours, theirs = spread(a, loop), spread(b, loop)
    return sum(float(ours[seed] @ theirs[seed]) for seed in ours if seed in theirs)


def normalise(points: Sequence[Point], loop: float = 0.0) -> tuple[Point, ...]:
    """The same sum with unit variance, like points merged; never one left out, which would be a jump."""
    merged: dict[tuple[int, float, float], float] = {}
    for p in points:
        key = (p.seed, p.phase, p.pedesis)
        merged[key] = merged.get(key, 0.0) + p.gain
    summed = sorted((Point(*key, gain=g) for key, g in merged.items() if abs(g) > 1e-6), key=lambda p: -abs(p.gain))
    variance = sum(float(c @ c) for c in spread(summed, loop).values())
    if variance < 1e-24:  # far less than 1 is no mistake: a place and the opposite one of a short loop all but cancel
        raise ValueError("a latent needs at least one point with a gain, got none")
    return scaled(summed, 1.0 / math.sqrt(variance))


def reduced(points: Sequence[Point], most: int, loop: float = 0.0) -> tuple[Point, ...]:
    """At most `most` of the points, their gains chosen again, for the unit latent nearest to that of all of them.

    Orthogonal matching pursuit (Pati et al. 1993): the point that says most of what is still missing, again and
    again. Those that are left need not be the loudest: two neighbours on one walk say nearly the same.
    """
    if len(points) <= most:
        return normalise(points, loop)
    rows = np.stack([coefficients(replace(p, gain=1.0), loop) for p in points])  # (N, 2K)
    seeds = np.array([p.seed for p in points])
    gram = (rows @ rows.T) * (seeds[:, None] == seeds[None, :])  # (N, N)
    wanted = gram @ np.array([p.gain for p in points])  # (N,)
    kept: list[int] = []
    gains = np.zeros(0)
    for _ in range(most):
        missing = np.abs(wanted - gram[:, kept] @ gains)
        missing[kept] = -1.0
        kept.append(int(missing.argmax()))
        gains = np.linalg.lstsq(gram[np.ix_(kept, kept)], wanted[kept], rcond=None)[0]
    return normalise([replace(points[i], gain=float(g)) for i, g in zip(kept, gains, strict=True)], loop)


def scaled(points: Sequence[Point], factor: float) -> tuple[Point, ...]:
    """The points with every gain times factor."""
    return tuple(replace(p, gain=p.gain * factor) for p in points)


def distance(a: Waypoint, b: Waypoint) -> float:
    """How far apart two pictures are likely to look: about one per correlation length or full change of material.

    The root mean square of the difference of the noises, sqrt(2 (1 - correlation)), which is the phase step for a
    small step of the smooth walk, plus the total variation between the material weights, plus twice the step of focus,
    plus the steps of the LoRAs' strengths, plus what steers from outside, by its weight.
    Where both are torn, the sheets count by how much of the picture they have; and what tears them counts too.
    """
    change = 2.0 * abs(a.focus - b.focus) + _change_of_guide(a.guide, b.guide)
    if a.loras and b.loras:  # one without any is dreamt with the strengths of the moment
        change += sum(abs(x - y) for x, y in zip(a.loras, b.loras, strict=False))
    own = _gap(a.points, b.points, a.loop) + _change_of_words(a.wordings, b.wordings)
    ours, theirs = a.liquid or b.liquid, b.liquid or a.liquid
    if ours is None or theirs is None:
        return own + change
    ours = ours if a.liquid else replace(ours, amount=0.0)  # a whole one is torn by nothing
    theirs = theirs if b.liquid else replace(theirs, amount=0.0)
    return change + _change_of_liquid(ours, theirs, own, a.loop)


def _gap(a: Sequence[Point], b: Sequence[Point], loop: float) -> float:
    """Root mean square of the difference between two noises."""
    ours, theirs = spread(a, loop), spread(b, loop)
    none = np.zeros(2 * K)
    gaps = [ours.get(s, none) - theirs.get(s, none) for s in ours.keys() | theirs.keys()]
    return math.sqrt(sum(sorted(float(g @ g) for g in gaps)))  # sorted: a set has no order, and a sum has one


def _change_of_liquid(a: Liquid, b: Liquid, own: float, loop: float) -> float:
    """How much two torn pictures differ. own: how much their own sheets do."""
    torn = (a.torn + b.torn) / 2
    share = min(1.0, 2.0 * torn) / (1 + max(len(a.sheets), len(b.sheets)))  # of the picture, that each other sheet has
    pairs = zip(a.sheets, b.sheets, strict=False)
    others = sum(_gap(x.points, y.points, loop) + _change_of_words(x.words, y.words) for x, y in pairs)
    others += 2.0 * abs(len(a.sheets) - len(b.sheets))
    moved = math.sqrt(torn) * _gap(a.points, b.points, loop) + abs(a.torn - b.torn)
    return (1 - share * len(a.sheets)) * own + share * others + TORN * moved


def _change_of_guide(a: Guide | None, b: Guide | None) -> float:
    """How much differs of what steers from outside."""
    if a is None or b is None:
        here = a or b
        return 0.0 if here is None else GUIDED * _pull(here)
    ours, theirs = dict(a.seen), dict(b.seen)
    seen = 0.5 * sum(abs(ours.get(k, 0.0) - theirs.get(k, 0.0)) for k in {**ours, **theirs})
    gaps = abs(a.strength - b.strength) + abs(a.outline - b.outline) / 2 + abs(a.likeness - b.likeness)
    return GUIDED * (gaps + seen * min(_pull(a), _pull(b)))


def _pull(guide: Guide) -> float:
    """How strongly it steers, in all ways together."""
    return guide.strength + guide.outline / 2 + guide.likeness


def _change_of_words(a: Sequence[Wording], b: Sequence[Wording]) -> float:
    """Total variation between what is said here and there, 0..1."""
    ours, theirs = _said(a), _said(b)
    gaps = [ours.get(k, 0.0) - theirs.get(k, 0.0) for k in {**ours, **theirs}]
    return 0.5 * sum(abs(gap) for gap in gaps)


def _said(wordings: Sequence[Wording]) -> dict[tuple[str, int], float]:
    """How much each prompt of each palette is heard."""
    said: dict[tuple[str, int], float] = {}
    for wording in wordings:
        for n, weight in enumerate(wording.weights):
            key = wording.palette, n
            said[key] = said.get(key, 0.0) + wording.share * weight
    return said


def same_place(a: Waypoint, b: Waypoint) -> bool:
    """Whether two waypoints, whatever their times, are so near that no eye could tell their pictures apart."""
    if (a.epoch, a.loop) != (b.epoch, b.loop):
        return False
    return replace(a, time_s=b.time_s) == b or distance(a, b) < SAME
