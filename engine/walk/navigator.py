"""Parameters and time in, waypoints out: where the walk is, in plain numbers.

Usage: `nav = Navigator(show seed, materials, loop)`; `nav.tick(controls)` TICK_HZ times a second;
`nav.waypoint(ahead_s)`. Stage process; no torch.

Everything a hand can change moves the waypoint continuously; only `walk.jump` leaps, and
counts up `epoch` so that the stage shows it with a transition instead of a crossfade. A home that was made by
hand stays where it is; until there is one, home goes along with the seed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from engine.show.params import SEED_MAX, shown
from engine.walk.dwell import Going, material_weights
from engine.walk.mix import MAX_MIX, TICK_S, heard, turned
from engine.walk.waypoint import Point, Waypoint, normalise, reduced, scaled

NUDGE_PHASE = 0.8  # how far one full nudge carries the walk, in phase units
NUDGE_S = 0.5  # time constant of that shove
PAUSE_S = 0.35  # time constant of stopping and starting
HOME_STAY_S = 3.0  # how long `walk.home` pulls before it lets go again
HOME_S = 0.8  # time constant of the pull
JUMP_PHASE = 1000.0  # farther than the walk remembers
JUMP_SHARE = (3 - math.sqrt(5)) / 2  # of a loop: the golden section, so that no two jumps meet on the same place
HOME_POINTS = 12  # a home made of more is reduced to as many
MAX_POINTS = MAX_MIX * (HOME_POINTS + 1)  # of a waypoint; homes made of one another share most of theirs
HOME_SEED = 0x40E  # the home of a seed's walk is in the walk of another seed, which is this xor the first
FARTHEST = 1e12  # largest number in a saved walk: beyond it a phase is too coarse to walk on
FASTEST = 1e3  # phase units per second; a nudge on every tick comes to a tenth of it


class Steering(Protocol):
    """What the navigator reads: smoothed values by name, and triggers that are consumed when taken."""

    def __getitem__(self, name: str, /) -> Any: ...
    def take(self, name: str, /) -> float: ...


Home = tuple[Point, ...] | None  # a picture that was made home, or the home that goes with the walk's seed


@dataclass
class Navigator:
    """The walk's whole state: a few numbers."""

    seed: int
    materials: tuple[str, ...]  # parameter names of the weights, e.g. "material.clouds"
    palette: str = ""  # id of the materials' palette
    loop: float = 0.0
    round_length: float = 16.0  # of the tour, phase units
    loras: tuple[str, ...] = ()  # parameter names of their strengths, e.g. "lora.clay"
    ticks: int = 0
    epoch: int = 0
    phase: float = 0.0
    rate: float = 0.0  # phase units per second, as it is now
    running: float = 1.0  # 0 paused .. 1 walking
    shove: float = 0.0  # phase units per second left of a nudge
    home_left_s: float = 0.0
    pull: tuple[float, float] = (0.0, 0.0)  # two one-pole filters in a row: starts and ends without a jerk
    voices: dict[int, float] = field(default_factory=dict)  # share of each seed, the newest last
    homes: dict[Home, float] = field(default_factory=lambda: {None: 1.0})  # share of each, the newest last
    home: Home = None  # the one that is wanted
    _now: dict[str, Any] = field(default_factory=dict)  # the parameter values of the last tick

    def __post_init__(self) -> None:
        if not self.materials:
            raise ValueError("a walk needs at least one material, got none")
        if not self.voices:
            self.voices = {self.seed: 1.0}

    @property
    def time_s(self) -> float:
        return self.ticks * TICK_S

    def tick(self, steer: Steering) -> None:
        """One step of TICK_S seconds."""
        self.read(steer)
        self.voices = turned(self.voices, int(steer["walk.seed"]), float(steer["blend.time"]))
        if steer.take("walk.home_here"):
            self.home = reduced(self._points(self.phase), HOME_POINTS, self.loop)
        self.homes = turned(self.homes, self.home, float(steer["blend.time"]))
        if steer.take("walk.home"):
            self.home_left_s = HOME_STAY_S
        self._pull_home()
        if steer.take("walk.jump"):
            self.phase += self.loop * JUMP_SHARE if self.loop else JUMP_PHASE
            self.leap()
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
            weights=self.weights_at(phase),
            loop=self.loop,
            palette=self.palette,
            focus=self._now["walk.focus"],
            loras=self._now["loras"],
        )

    def weights_at(self, phase: float) -> tuple[float, ...]:
        """The weights of the materials at any phase, as everything is steered now."""
        return material_weights(heard(self.voices), phase, self._now["going"], self._now["bias"], self.loop)

    @property
    def faders(self) -> tuple[float, ...]:
        """Those of the materials, as they are now."""
        return tuple(self._now["bias"])

    def leap(self) -> None:
        """The next waypoint is shown by a transition instead of a crossfade."""
        self.epoch += 1

    def settle(self, points: Sequence[Point]) -> None:
        """Moves the walk to where a place of its own lies, while that place is what is shown: it goes on from there.
        Of another seed's place there is nothing to move to, and it stays where it is."""
        own = [p for p in points if p.seed in self.voices]
        if own:
            self.phase = max(own, key=lambda p: abs(p.gain)).phase

    def to_dict(self) -> dict[str, Any]:
        """All of the state, JSON-able."""
        keep = ("seed", "loop", "ticks", "epoch", "phase", "rate", "running", "shove", "home_left_s")
        return {
            **{k: getattr(self, k) for k in keep},
            "pull": list(self.pull),
            "voices": [[s, v] for s, v in self.voices.items()],
            "homes": [[w, _plain(home)] for home, w in self.homes.items()],
            "home": _plain(self.home),
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        """Takes up the walk where `to_dict` left it.

        Raises KeyError, TypeError or ValueError on damaged or another's data, and is then as it was before.
        """
        first, second = data["pull"]
        seed = _whole(data["seed"], SEED_MAX)
        voices = {_whole(s, SEED_MAX): _number(v, 0.0, 1.0) for s, v in data["voices"]}
        homes = {_home(home): _number(w, 0.0, 1.0) for w, home in data["homes"]}
        if not (1 <= len(voices) <= MAX_MIX and 1 <= len(homes) <= MAX_MIX):
            raise ValueError(f"a walk needs 1 to {MAX_MIX} seeds and homes, got {len(voices)} and {len(homes)}")
        fresh = Navigator(
            seed=seed,
            materials=self.materials,
            palette=self.palette,
            loop=self.loop,
            round_length=self.round_length,
            loras=self.loras,
            ticks=_whole(data["ticks"], int(FARTHEST)),
            epoch=_whole(data["epoch"], int(FARTHEST)),
            phase=_number(data["phase"]),
            rate=_number(data["rate"], -FASTEST, FASTEST),
            running=_number(data["running"], 0.0, 1.0),
            shove=_number(data["shove"], 0.0, FASTEST),
            home_left_s=_number(data["home_left_s"], 0.0, HOME_STAY_S),
            pull=(_number(first, 0.0, 1.0), _number(second, 0.0, 1.0)),
            voices=voices,
            homes=homes,
            home=_home(data["home"]) if "home" in data else next(reversed(homes)),
        )
        if "home" not in data and list(homes) == [_own_home({seed: 1.0})] and list(voices) == [seed]:
            fresh.homes, fresh.home = {None: 1.0}, None  # saved before the home went along with the seed
        fresh._now = {"going": Going(), "walk.radius": 0.3, "walk.pedesis": 0.0, "walk.focus": 1.0}
        fresh._now |= {"bias": (1.0,) * len(self.materials), "loras": ()}
        fresh.waypoint()  # numbers that are good one by one may still not be a walk: shares and gains of nothing
        fresh._now = self._now
        self.__dict__.update(fresh.__dict__)

    def read(self, steer: Steering) -> None:
        """Takes note of the present values, as each tick does: what waypoint() goes by."""
        self._now = {
            "going": Going(
                wander=float(steer["walk.wander"]),
                dwell=float(steer["walk.dwell"]),
                tour=float(steer["walk.tour"]),
                round_length=self.round_length,
            ),
            "walk.radius": float(steer["walk.radius"]),
            "walk.pedesis": float(steer["walk.pedesis"]),
            "walk.focus": float(steer["walk.focus"]),
            "bias": tuple(float(steer[m]) for m in self.materials),
            "loras": tuple(float(steer[name]) for name in self.loras),
        }

    def _pull_home(self) -> None:
        self.home_left_s = max(0.0, self.home_left_s - TICK_S)
        step = 1 - math.exp(-TICK_S / HOME_S)
        first = self.pull[0] + ((self.home_left_s > 0) - self.pull[0]) * step
        self.pull = (first, self.pull[1] + (first - self.pull[1]) * step)

    def _points(self, phase: float) -> tuple[Point, ...]:
        """cos(theta) home + sin(theta) walk, theta = radius pi/2, less while home pulls."""
        theta = self._now["walk.radius"] * (1 - self.pull[1]) * math.pi / 2
        walk = [Point(s, phase, self._now["walk.pedesis"], v) for s, v in heard(self.voices).items()]
        if math.cos(theta) < 1e-9:
            return normalise(walk, self.loop)
        own = normalise(_own_home(heard(self.voices)), self.loop)
        home = [p for h, w in heard(self.homes).items() for p in scaled(own if h is None else h, w)]
        return normalise(
            [
                *scaled(normalise(home, self.loop), math.cos(theta)),
                *scaled(normalise(walk, self.loop), math.sin(theta)),
            ],
            self.loop,
        )


def _own_home(voices: Mapping[int, float]) -> tuple[Point, ...]:
    """The home that was not made by hand: that of each seed, as much as it is heard."""
    return tuple(Point(seed ^ HOME_SEED, 0.0, 0.0, gain) for seed, gain in voices.items())


def _plain(home: Home) -> list[dict[str, Any]] | None:
    return None if home is None else [asdict(p) for p in home]


def _home(data: Any) -> Home:
    """The home `_plain` made plain. Raises KeyError, TypeError or ValueError."""
    if data is None:
        return None
    if not 1 <= len(data) <= HOME_POINTS:
        raise ValueError(f"a home needs 1 to {HOME_POINTS} points, got {len(data)}")
    return tuple(_point(p) for p in data)


def _point(data: Any) -> Point:
    return Point(
        seed=_whole(data["seed"], SEED_MAX),
        phase=_number(data["phase"]),
        pedesis=_number(data["pedesis"], 0.0, 1.0),
        gain=_number(data["gain"]),
    )


def _number(value: Any, low: float = -FARTHEST, high: float = FARTHEST) -> float:
    """A number read from JSON, both ends allowed. Raises TypeError or ValueError (NaN lies nowhere)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"a saved walk needs a number, got {shown(value)}")
    if not low <= value <= high:
        raise ValueError(f"a saved walk needs a number from {low:g} to {high:g}, got {shown(value)}")
    return float(value)


def _whole(value: Any, high: int) -> int:
    """A whole number from 0 to `high`, read from JSON. Raises TypeError or ValueError."""
    if not isinstance(value, int):
        raise TypeError(f"a saved walk needs a whole number, got {shown(value)}")
    _number(value, 0, high)
    return value
