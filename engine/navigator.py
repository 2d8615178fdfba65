"""Parameters and time in, waypoints out: where the walk is, in plain numbers.

Usage: `nav = Navigator(show seed, materials, loop)`; `nav.tick(controls)` TICK_HZ times a second;
`nav.waypoint(ahead_s)`. Stage process; no torch.

A place in latent space is a sum of points of seeded walks (spectrum.py), scaled to unit variance with the
covariance of those points, so that whatever is mixed (walk and home, an old seed and a new one) is an exact
draw of N(0, I). Everything a hand can change moves the waypoint continuously; only `walk.jump` leaps, and
counts up `epoch` so that the stage shows it with a transition instead of a crossfade.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from engine.spectrum import K, coefficients, kernel

TICK_HZ = 120
TICK_S = 1.0 / TICK_HZ
MATERIAL_PACE = 0.4  # materials drift slower than shapes: a place is stayed in for a few forms of it
NUDGE_PHASE = 0.8  # how far one full nudge carries the walk, in phase units
NUDGE_S = 0.5  # time constant of that shove
PAUSE_S = 0.35  # time constant of stopping and starting
HOME_STAY_S = 3.0  # how long `walk.home` pulls before it lets go again
HOME_S = 0.8  # time constant of the pull
JUMP_PHASE = 1000.0  # farther than the walk remembers
MAX_MIX = 4  # seeds or homes that may be blending into one another at once
MAX_POINTS = 8


class Steering(Protocol):
    """What the navigator reads: smoothed values by name, and triggers that are consumed when taken."""

    def __getitem__(self, name: str, /) -> Any: ...
    def take(self, name: str, /) -> float: ...


@dataclass(frozen=True)
class Point:
    """One place of one seeded walk and its share in a latent."""

    seed: int
    phase: float  # correlation lengths
    pedesis: float  # 0..1
    gain: float


@dataclass(frozen=True)
class Waypoint:
    """Everything needed to dream one picture again."""

    time_s: float
    epoch: int
    points: tuple[Point, ...]  # latent noise = sum of gain * z_seed(phase; pedesis), of unit variance
    weights: tuple[float, ...]  # one a material, summing to 1
    loop: float = 0.0  # period in phase units, 0 for the open walk

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able form."""
        return asdict(self)

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "Waypoint":
        """The waypoint `to_dict` came from. Raises KeyError or TypeError when something is missing."""
        return Waypoint(
            time_s=float(data["time_s"]),
            epoch=int(data["epoch"]),
            points=tuple(Point(**p) for p in data["points"]),
            weights=tuple(float(w) for w in data["weights"]),
            loop=float(data.get("loop", 0.0)),
        )


def covariance(a: Sequence[Point], b: Sequence[Point], loop: float = 0.0) -> float:
    """E[z_a z_b] of two sums of points: walks of different seeds are independent."""
    return sum(
        p.gain * q.gain * kernel(p.phase - q.phase, p.pedesis, q.pedesis, loop)
        for p in a
        for q in b
        if p.seed == q.seed
    )


def normalise(points: Sequence[Point], loop: float = 0.0) -> tuple[Point, ...]:
    """The same sum with unit variance, like points merged and the faintest beyond MAX_POINTS left out."""
    merged: dict[tuple[int, float, float], float] = {}
    for p in points:
        key = (p.seed, p.phase, p.pedesis)
        merged[key] = merged.get(key, 0.0) + p.gain
    kept = sorted(((g, key) for key, g in merged.items() if abs(g) > 1e-6), key=lambda x: -abs(x[0]))[:MAX_POINTS]
    summed = [Point(*key, gain=g) for g, key in kept]
    variance = covariance(summed, summed, loop)
    if variance < 1e-12:
        raise ValueError("a latent needs at least one point with a gain, given none")
    return scaled(summed, 1.0 / math.sqrt(variance))


def scaled(points: Sequence[Point], factor: float) -> tuple[Point, ...]:
    """The points with every gain times factor."""
    return tuple(replace(p, gain=p.gain * factor) for p in points)


def distance(a: Waypoint, b: Waypoint) -> float:
    """How far apart two pictures are likely to look: about one per correlation length or full change of material.

    sqrt(2 (1 - correlation)) of the noises, which is the phase step for a small step of the smooth walk,
    plus the total variation between the material weights.
    """
    correlation = covariance(a.points, b.points, a.loop)
    noise = math.sqrt(max(0.0, 2.0 * (1.0 - correlation)))
    return noise + 0.5 * sum(abs(x - y) for x, y in zip(a.weights, b.weights, strict=True))


@lru_cache(maxsize=256)
def _scalar_basis(seed: int, index: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64([seed, index, 0x9ED5])).standard_normal(2 * K)


def material_weights(
    voices: Mapping[int, float], phase: float, wander: float, bias: Sequence[float], loop: float
) -> tuple[float, ...]:
    """w = softmax(wander * g + log bias), g scalar walks of the same family as the latent one; sums to 1.

    voices: share of each seed. bias: 0..1 a material; with all of them at 0 every one counts the same.
    """
    here = coefficients(Point(0, phase if loop else phase * MATERIAL_PACE, 0.0, 1.0), loop)
    norm = math.sqrt(sum(v * v for v in voices.values()))
    g = [sum(v * float(here @ _scalar_basis(s, i)) for s, v in voices.items()) / norm for i in range(len(bias))]
    top = max(g)
    floor = 1e-6  # keeps the sum off zero when every fader is down, and the change to that continuous
    w = [(max(0.0, b) + floor) * math.exp(wander * (x - top)) for b, x in zip(bias, g, strict=True)]
    total = sum(w)
    return tuple(x / total for x in w)


@dataclass
class Navigator:
    """The walk's whole state: a few numbers."""

    seed: int
    materials: tuple[str, ...]  # parameter names of the weights, e.g. "material.clouds"
    loop: float = 0.0
    ticks: int = 0
    epoch: int = 0
    phase: float = 0.0
    rate: float = 0.0  # phase units per second, as it is now
    running: float = 1.0  # 0 paused .. 1 walking
    shove: float = 0.0  # phase units per second left of a nudge
    home_left_s: float = 0.0
    pull: tuple[float, float] = (0.0, 0.0)  # two one-pole filters in a row: starts and ends without a jerk
    voices: dict[int, float] = field(default_factory=dict)  # share of each seed, the newest last
    homes: list[tuple[float, tuple[Point, ...]]] = field(default_factory=list)
    _now: dict[str, Any] = field(default_factory=dict)  # the parameter values of the last tick

    def __post_init__(self) -> None:
        if not self.materials:
            raise ValueError("a walk needs at least one material, given none")
        if not self.voices:
            self.voices = {self.seed: 1.0}
        if not self.homes:
            self.homes = [(1.0, (Point(self.seed ^ 0x40E, 0.0, 0.0, 1.0),))]

    @property
    def time_s(self) -> float:
        return self.ticks * TICK_S

    def tick(self, steer: Steering) -> None:
        """One step of TICK_S seconds."""
        self._read(steer)
        self._turn_voices(int(steer["walk.seed"]), float(steer["blend.time"]))
        if steer.take("walk.home_here"):
            here = normalise(self._points(self.phase), self.loop)
            self.homes.append((0.0, here))
        self._turn_homes(float(steer["blend.time"]))
        if steer.take("walk.home"):
            self.home_left_s = HOME_STAY_S
        self._pull_home()
        if steer.take("walk.jump"):
            self.phase += JUMP_PHASE
            self.epoch += 1
        self.shove += steer.take("walk.nudge") * NUDGE_PHASE / NUDGE_S
        self.running += (float(not steer["walk.pause"]) - self.running) * (1 - math.exp(-TICK_S / PAUSE_S))
        self.rate = float(steer["walk.speed"]) * self.running + self.shove
        self.shove *= math.exp(-TICK_S / NUDGE_S)
        self.phase += self.rate * TICK_S
        self.ticks += 1

    def waypoint(self, ahead_s: float = 0.0) -> Waypoint:
        """Where the walk is, or will be `ahead_s` seconds on if nothing is touched."""
        phase = self.phase + self.rate * ahead_s
        return Waypoint(
            time_s=self.time_s + ahead_s,
            epoch=self.epoch,
            points=self._points(phase),
            weights=material_weights(self.voices, phase, self._now["walk.wander"], self._now["bias"], self.loop),
            loop=self.loop,
        )

    def to_dict(self) -> dict[str, Any]:
        """All of the state, JSON-able."""
        keep = ("seed", "loop", "ticks", "epoch", "phase", "rate", "running", "shove", "home_left_s")
        return {
            **{k: getattr(self, k) for k in keep},
            "pull": list(self.pull),
            "voices": [[s, v] for s, v in self.voices.items()],
            "homes": [[w, [asdict(p) for p in points]] for w, points in self.homes],
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        """Takes up the walk where `to_dict` left it. Raises KeyError, TypeError or ValueError on another's data."""
        fresh = Navigator(
            seed=int(data["seed"]),
            materials=self.materials,
            loop=self.loop,
            ticks=int(data["ticks"]),
            epoch=int(data["epoch"]),
            phase=float(data["phase"]),
            rate=float(data["rate"]),
            running=float(data["running"]),
            shove=float(data["shove"]),
            home_left_s=float(data["home_left_s"]),
            pull=(float(data["pull"][0]), float(data["pull"][1])),
            voices={int(s): float(v) for s, v in data["voices"]},
            homes=[(float(w), tuple(Point(**p) for p in points)) for w, points in data["homes"]],
        )
        if not all(math.isfinite(x) for x in (fresh.phase, fresh.rate, fresh.running, fresh.shove)):
            raise ValueError("a saved walk needs finite numbers")
        fresh._now = self._now
        self.__dict__.update(fresh.__dict__)

    def _read(self, steer: Steering) -> None:
        self._now = {
            "walk.wander": float(steer["walk.wander"]),
            "walk.radius": float(steer["walk.radius"]),
            "walk.pedesis": float(steer["walk.pedesis"]),
            "bias": tuple(float(steer[m]) for m in self.materials),
        }

    def _turn_voices(self, seed: int, time_s: float) -> None:
        """The seed that is asked for fades in, the others out."""
        if len(self.voices) == 1 and seed in self.voices:
            return
        shares = self.voices | {seed: self.voices.get(seed, 0.0)}
        step = 1 - math.exp(-TICK_S / max(0.05, time_s / 3))
        shares = {s: v + ((s == seed) - v) * step for s, v in shares.items()}
        kept = sorted((s for s in shares if s != seed and shares[s] > 1e-4), key=lambda s: -shares[s])
        self.voices = {s: shares[s] for s in kept[: MAX_MIX - 1]} | {seed: shares[seed] if kept else 1.0}

    def _turn_homes(self, time_s: float) -> None:
        if len(self.homes) == 1:
            return
        step = 1 - math.exp(-TICK_S / max(0.05, time_s / 3))
        last = len(self.homes) - 1
        turned = [(w + ((i == last) - w) * step, p) for i, (w, p) in enumerate(self.homes)]
        old = sorted((h for h in turned[:-1] if h[0] > 1e-4), key=lambda h: h[0])[-(MAX_MIX - 1) :]
        self.homes = [*old, turned[-1] if old else (1.0, turned[-1][1])]

    def _pull_home(self) -> None:
        self.home_left_s = max(0.0, self.home_left_s - TICK_S)
        step = 1 - math.exp(-TICK_S / HOME_S)
        first = self.pull[0] + ((self.home_left_s > 0) - self.pull[0]) * step
        self.pull = (first, self.pull[1] + (first - self.pull[1]) * step)

    def _points(self, phase: float) -> tuple[Point, ...]:
        """cos(theta) home + sin(theta) walk, theta = radius pi/2, less while home pulls."""
        theta = self._now["walk.radius"] * (1 - self.pull[1]) * math.pi / 2
        walk = [Point(s, phase, self._now["walk.pedesis"], v) for s, v in self.voices.items()]
        if math.cos(theta) < 1e-9:
            return normalise(walk, self.loop)
        home = [p for w, points in self.homes for p in scaled(points, w)]
        return normalise(
            [
                *scaled(normalise(home, self.loop), math.cos(theta)),
                *scaled(normalise(walk, self.loop), math.sin(theta)),
            ],
            self.loop,
        )
