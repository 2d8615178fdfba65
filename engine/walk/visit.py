"""Going to a place and staying there: a memory, or any waypoint of before, by way of the walk or by a leap.

    visits = Visits()
    visits.go(Place.of(waypoint), stay_s=20.0)
    visits.tick(is_ready, blend_s)        # once a tick; True at the tick at which it leaps
    visits.apply(waypoint)

On the way the noise is a mixture of both places, of unit variance. A place that is reached is dreamt as it was, to the
last bit. Belongs to the thread that runs the show's loop; no torch.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine.walk.guide import guide_from, mixed_guides
from engine.walk.mix import TICK_S, heard, turned
from engine.walk.palette import Palette
from engine.walk.pulp.liquid import mixed, over
from engine.walk.reading import few, id_from, liquid_from, number, points_from, weights_from, wordings_from
from engine.walk.waypoint import Guide, Liquid, Point, Waypoint, Wording, normalise, scaled

TRAVEL = 3.0  # how much longer than blend.time the way to a place takes


@dataclass(frozen=True)
class Place:
    """A waypoint without its time: what the picture there is made of."""

    points: tuple[Point, ...]
    weights: tuple[float, ...]
    palette: str
    beside: tuple[Wording, ...] = ()
    focus: float = 1.0
    loop: float = 0.0
    liquid: Liquid | None = None
    loras: tuple[float, ...] = ()  # none: those of the moment
    guide: Guide | None = None  # by the hashes of pictures, which whoever goes there must have

    @staticmethod
    def of(waypoint: Waypoint) -> "Place":
        w = waypoint
        return Place(w.points, w.weights, w.palette, w.beside, w.focus, w.loop, w.liquid, w.loras, w.guide)

    def at(self, waypoint: Waypoint) -> Waypoint:
        """The waypoint, at this place. What tears the walk tears the place too."""
        return replace(
            waypoint,
            points=self.points,
            weights=self.weights,
            palette=self.palette,
            beside=self.beside,
            focus=self.focus,
            loop=self.loop,
            liquid=over(self.liquid, waypoint.liquid),
            loras=self.loras if len(self.loras) == len(waypoint.loras) else waypoint.loras,
            guide=self.guide,
        )

    @property
    def palettes(self) -> tuple[str, ...]:
        """Ids of all palettes that it names."""
        return self.waypoint.palettes

    @property
    def waypoint(self) -> Waypoint:
        """This place, at no time."""
        w = Waypoint(0.0, 0, self.points, self.weights, self.loop, self.palette, self.beside, self.focus, self.liquid)
        return replace(w, loras=self.loras, guide=self.guide)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able form."""
        return self.waypoint.to_dict()

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> "Place":
        """What to_dict gave, or a waypoint's. Raises KeyError, TypeError or ValueError on damaged data."""
        points = points_from(data["points"], loop := number(data.get("loop", 0.0), 0, 10000))
        beside = wordings_from(data.get("beside", ()), 0)
        focus = number(data.get("focus", 1.0), 0, 1)
        liquid = liquid_from(data.get("liquid"), loop)
        loras = tuple(number(n, -10, 10) for n in few(data.get("loras", ()), 64, 0))
        weights, palette, guide = weights_from(data["weights"]), id_from(data["palette"]), guide_from(data.get("guide"))
        return Place(points, weights, palette, beside, focus, loop, liquid, loras, guide)


@dataclass(frozen=True)
class _Order:
    place: Place
    stay_s: float
    leap: bool


class Visits:
    """Where the walk is, between itself and the places it was sent to."""

    def __init__(self) -> None:
        self._mix: dict[Place | None, float] = {None: 1.0}  # the newest last; None is the walk itself
        self._wanted: Place | None = None
        self._left_s = 0.0
        self._order: _Order | None = None
        self._palettes: dict[str, Palette] = {}
        self.about: Mapping[str, Any] = {}  # what is known of the place that it was last sent to
        self.locked = False  # whether it shows places only, and never what the walk meets on its own

    def go(
        self,
        place: Place,
        palettes: Mapping[str, Palette],
        stay_s: float,
        leap: bool = False,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        """Sets out as soon as the words of the place are encoded. palettes: the words of each that it names.
        stay_s: from the arrival on, inf until it is sent elsewhere. leap: at once, and the stage has a transition.
        about: what is known of the place, for those who tell of it.

        Raises ValueError when words are missing.
        """
        if missing := [id for id in place.palettes if id not in palettes]:
            raise ValueError(f"a place needs the words of all its palettes, got none for {', '.join(missing)}")
        self._order = _Order(place, stay_s, leap)
        self.about = about or {}
        self._palettes |= {id: palettes[id] for id in place.palettes}

    def leave(self, leap: bool = False) -> None:
        """Goes back to the walk; leap: at once. Not while it is locked."""
        if self.locked:
            return
        self._order, self._wanted = None, None
        if leap:
            self._mix = {None: 1.0}

    @property
    def palettes(self) -> tuple[Palette, ...]:
        """Of all places that are on the way, or that it is on the way to."""
        return tuple(self._palettes.values())

    @property
    def at(self) -> Place | None:
        """The place that it is at, neither on the way there nor away from it."""
        newest = next(reversed(self._mix))
        return newest if len(self._mix) == 1 else None

    @property
    def is_idle(self) -> bool:
        """Whether the walk is on its own: neither at a place, nor on its way to or from one."""
        return self._order is None and self._wanted is None and self.at is None and len(self._mix) == 1

    def palettes_of(self, waypoint: Waypoint) -> dict[str, Palette]:
        """The palettes of places that a waypoint names, by their ids."""
        return {id: self._palettes[id] for id in waypoint.palettes if id in self._palettes}

    @property
    def going(self) -> Place | None:
        """The place that it goes to or is at."""
        return self._order.place if self._order else self._wanted

    def tick(self, is_ready: Callable[[str], bool], blend_s: float) -> bool:
        """One step of TICK_S seconds; True where it leaps."""
        leapt = False
        if self._order and all(is_ready(id) for id in self._order.place.palettes):
            leapt = self._order.leap
            self._wanted, self._left_s = self._order.place, self._order.stay_s
            self._mix = {self._wanted: 1.0} if leapt else self._mix
            self._order = None
        self._mix = turned(self._mix, self._wanted, TRAVEL * blend_s)
        if self._wanted is not None and self.at == self._wanted:
            self._left_s -= TICK_S
            if self._left_s < 0.0:
                self._wanted = None
        if self._palettes:
            places = [*self._mix, self._wanted, self._order.place if self._order else None]
            named = {id for place in places if place is not None for id in place.palettes}
            self._palettes = {id: palette for id, palette in self._palettes.items() if id in named}
        return leapt

    def to_dict(self) -> dict[str, Any]:
        """All of the state, JSON-able."""
        return {
            "mix": [[place and place.to_dict(), share] for place, share in self._mix.items()],
            "wanted": self._wanted and self._wanted.to_dict(),
            "left_s": self._left_s,
            "order": self._order and [self._order.place.to_dict(), self._order.stay_s, self._order.leap],
            "words": {id: list(palette.prompts) for id, palette in self._palettes.items()},
            "locked": self.locked,
            "about": dict(self.about),
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        """Takes up where `to_dict` left it. Raises KeyError, TypeError or ValueError on damaged data."""

        def read(place: Any) -> Place | None:
            return None if place is None else Place.from_dict(place)

        mix = {read(place): float(share) for place, share in data["mix"]}
        order = None
        if data["order"] is not None:
            place, stay_s, leap = data["order"]
            order = _Order(Place.from_dict(place), float(stay_s), bool(leap))
        if not mix:
            raise ValueError("a saved state of visits needs a place, got none")
        self._palettes = {str(id): Palette.of(prompts) for id, prompts in data["words"].items()}
        self._mix, self._wanted, self._order = mix, read(data["wanted"]), order
        self._left_s, self.locked = float(data["left_s"]), bool(data["locked"])
        self.about = dict(data.get("about", {}))

    def apply(self, waypoint: Waypoint) -> Waypoint:
        """The walk's waypoint, as far as it is on its way to a place, or from one."""
        if len(self._mix) == 1:
            return waypoint if (place := self.at) is None else place.at(waypoint)
        shares = heard(self._mix)
        total = sum(shares.values())
        parts = [(waypoint if p is None else p.at(waypoint), share / total) for p, share in shares.items()]
        points = normalise([p for part, share in parts for p in scaled(part.points, share)], waypoint.loop)
        return replace(
            waypoint,
            points=points,
            focus=sum(part.focus * share for part, share in parts),
            liquid=mixed([(part.liquid, share) for part, share in parts], waypoint.loop),
            loras=tuple(sum(n * share for n, (_, share) in zip(of, parts, strict=True)) for of in _loras(parts)),
            guide=mixed_guides([(part.guide, share) for part, share in parts]),
            weights=parts[0][0].weights,
            palette=parts[0][0].palette,
            beside=_beside(parts),
        )


def _loras(parts: list[tuple[Waypoint, float]]) -> Iterator[tuple[float, ...]]:
    """The strengths of each LoRA in all of the parts."""
    return zip(*(part.loras for part, _ in parts), strict=True)


def _beside(parts: list[tuple[Waypoint, float]]) -> tuple[Wording, ...]:
    """All that is said in any of the parts, each by its share, but what the first part's own palette says."""
    said: dict[tuple[str, tuple[float, ...]], float] = {}
    for part, share in parts:
        for wording in part.wordings:
            key = wording.palette, wording.weights
            said[key] = said.get(key, 0.0) + wording.share * share
    said.pop((parts[0][0].palette, parts[0][0].weights), None)
    return tuple(Wording(*key, share) for key, share in said.items() if share > 0.0)
