"""Pictures from outside that steer the walk: what names them, and how one gives way to the next.

    guide_hash(pixels)               # of exactly what steers: after it was brought to the model's size
    guided = Guided()
    guided.read(controls)            # once a tick
    guided.see(hash)                 # a picture has come; "" for none
    guided.tick(controls); guided.apply(waypoint)

Counted in ticks: the same pictures seen at the same ticks steer alike, live and in a film. The pictures themselves are
elsewhere (see play/guides). Any process; no torch.
"""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.show.params import shown
from engine.walk.mix import MAX_MIX, RISEN, TICK_S, heard, turned
from engine.walk.waypoint import Guide, Waypoint

HASH_LENGTH = 24  # hex digits; 96 bits, so that no two pictures of a show share one
MOST_SEEN = 8  # pictures that steer one dream, where the walk is on its way between places that have their own
RESTS_S = 10.0  # with no weight for so long, pictures are no longer asked for, and the next one is eased in anew
WEIGHTS = ("guide.strength", "guide.outline", "guide.likeness")
NOTHING = ""  # in place of a hash
MOST_TURNS = 1e12
_HASH = re.compile(rf"[0-9a-f]{{{HASH_LENGTH}}}")


class Steering(Protocol):
    """What is read: smoothed values by name."""

    def __getitem__(self, name: str, /) -> Any: ...


def guide_hash(pixels: NDArray[np.uint8]) -> str:
    """The name of a picture by its content: HASH_LENGTH hex digits of the SHA-256 of its shape and bytes.

    pixels: (H, W, 3), the picture as it steers, already of the model's size.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"a guide must be (H, W, 3) of uint8, got {pixels.shape} of {pixels.dtype}")
    digest = hashlib.sha256(f"{pixels.shape[0]}x{pixels.shape[1]}x3:".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()[:HASH_LENGTH]


class Guided:
    """Which pictures steer now, and how much each."""

    def __init__(self) -> None:
        self._mix: dict[str, float] = {NOTHING: 1.0}  # share of each picture by its hash, the newest last
        self._wanted = NOTHING
        self._weights = (0.0, 0.0, 0.0)
        self._idle_s = RESTS_S  # for how long no weight was above 0
        self._has_begun = False
        self.turns = 0.0  # how many pictures a folder has shown so far, at guide.every

    def see(self, picture: str) -> None:
        """From now on this picture steers, by its hash; NOTHING: none. One that steers already goes on. At the very
        first tick it is there at once: a film that is steered begins so."""
        self._wanted = picture
        if not self._has_begun:
            self._mix = {picture: 1.0}

    @property
    def wanted(self) -> str:
        """The hash of the picture that steers, or is about to; or NOTHING."""
        return self._wanted

    @property
    def named(self) -> tuple[str, ...]:
        """Hashes of all pictures that have a share, or are about to."""
        return tuple(h for h in dict.fromkeys([*self._mix, self._wanted]) if h)

    @property
    def is_awake(self) -> bool:
        """Whether anything is done with a picture, or was a moment ago."""
        return self._idle_s < RESTS_S

    @property
    def has_room(self) -> bool:
        """Whether another picture could begin to come at once. Until then there is no need to look at one."""
        newest = next(reversed(self._mix))
        return newest == self._wanted and len(self._mix) < MAX_MIX and self._mix[newest] >= RISEN

    def read(self, steer: Steering) -> None:
        """How strongly it steers at this tick, before it is known what does."""
        strength, outline, likeness = (float(steer[name]) for name in WEIGHTS)
        self._weights = strength, outline, likeness
        self._idle_s = 0.0 if any(self._weights) else min(RESTS_S, self._idle_s + TICK_S)
        if not self.is_awake:
            self._mix, self._wanted = {NOTHING: 1.0}, NOTHING

    def tick(self, steer: Steering) -> None:
        """One step of TICK_S seconds, at its end."""
        self.turns += TICK_S / float(steer["guide.every"])
        self._mix = turned(self._mix, self._wanted, float(steer["guide.blend"]))
        self._has_begun = True

    def turn_to(self, turns: object) -> None:
        """A folder goes on from there; from its beginning where that is no number of pictures."""
        is_number = isinstance(turns, int | float) and not isinstance(turns, bool) and 0.0 <= turns <= MOST_TURNS
        self.turns = float(turns) if is_number else 0.0  # type: ignore[arg-type]

    def apply(self, waypoint: Waypoint) -> Waypoint:
        """The waypoint with the pictures that steer it; the waypoint itself where none does."""
        guide = self._guide()
        return waypoint if guide is None else replace(waypoint, guide=guide)

    def to_dict(self) -> dict[str, Any]:
        """All of the state, JSON-able."""
        return {
            "mix": [[picture, share] for picture, share in self._mix.items()],
            "wanted": self._wanted,
            "weights": list(self._weights),
            "idle_s": self._idle_s,
            "turns": self.turns,
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        """Takes up where `to_dict` left it. Raises KeyError, TypeError or ValueError on damaged data."""
        mix = {_seen(picture): _share(share, 1.0) for picture, share in data["mix"]}
        strength, outline, likeness = data["weights"]
        if not 1 <= len(mix) <= MAX_MIX:
            raise ValueError(f"1 to {MAX_MIX} pictures steer at once, got {len(mix)}")
        wanted, idle_s = _seen(data["wanted"]), _share(data["idle_s"], RESTS_S)
        turns = _share(data["turns"], MOST_TURNS)
        weights = _share(strength, 1.0), _share(outline, 2.0), _share(likeness, 1.0)
        self._mix, self._wanted, self._weights, self._idle_s = mix, wanted, weights, idle_s
        self.turns, self._has_begun = turns, True

    def _guide(self) -> Guide | None:
        if not any(self._weights):
            return None
        shares = heard(self._mix)
        total, there = sum(shares.values()), sum(share for picture, share in shares.items() if picture)
        if not there:
            return None
        strength, outline, likeness = (weight * there / total for weight in self._weights)
        seen = tuple((picture, share / there) for picture, share in shares.items() if picture)
        return Guide(seen, strength, outline, likeness)


def mixed_guides(parts: Sequence[tuple[Guide | None, float]]) -> Guide | None:
    """What steers between several places: each with its own guide, or none, and its share; shares sum to 1."""
    strength = sum(g.strength * share for g, share in parts if g)
    outline = sum(g.outline * share for g, share in parts if g)
    likeness = sum(g.likeness * share for g, share in parts if g)
    seen: dict[str, float] = {}
    for guide, share in parts:
        if guide is None:
            continue
        pull = (guide.strength + guide.outline + guide.likeness) * share  # so that one that fades does so in here too
        for picture, part in guide.seen:
            seen[picture] = seen.get(picture, 0.0) + pull * part
    seen = _loudest(seen)
    total = sum(seen.values())
    if total <= 0.0:
        return None
    return Guide(tuple((picture, share / total) for picture, share in seen.items()), strength, outline, likeness)


def guide_from(data: Any) -> Guide | None:
    """The guide of a saved place; None where nothing steered. Raises KeyError, TypeError or ValueError."""
    if data is None:
        return None
    seen = data["seen"]
    if not isinstance(seen, list | tuple) or not 1 <= len(seen) <= MOST_SEEN:
        raise ValueError(f"a guide needs 1 to {MOST_SEEN} pictures, got {shown(seen)}")
    pairs = tuple((_named(picture), _share(share, 1.0)) for picture, share in seen)
    if not math.isclose(sum(share for _, share in pairs), 1.0, abs_tol=1e-6):
        raise ValueError(f"a guide needs shares that sum to 1, got {sum(share for _, share in pairs):g}")
    return Guide(pairs, _share(data["strength"], 1.0), _share(data["outline"], 2.0), _share(data["likeness"], 1.0))


def is_picture(value: object) -> bool:
    """Whether it is a picture's hash."""
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def _loudest(seen: Mapping[str, float]) -> dict[str, float]:
    """The MOST_SEEN largest shares, less the largest that is left out, so that none comes or goes with a step."""
    if len(seen) <= MOST_SEEN:
        return dict(seen)
    floor = sorted(seen.values(), reverse=True)[MOST_SEEN]
    return {picture: share - floor for picture, share in seen.items() if share > floor}


def _seen(value: Any) -> str:
    return NOTHING if value == NOTHING else _named(value)


def _named(value: Any) -> str:
    if not is_picture(value):
        raise TypeError(f"a picture's hash is {HASH_LENGTH} hex digits, got {shown(value)}")
    return str(value)


def _share(value: Any, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= high:
        raise ValueError(f"a guide needs a number from 0 to {high:g}, got {shown(value)}")
    return float(value)
