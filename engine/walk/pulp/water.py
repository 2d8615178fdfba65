"""What is in the water: a few fragments of a torn text at a time, and how much of the picture each of them is.

    water = Water(fragments, seed, loop, turn=1.0)
    water.tick(controls, navigator); water.palettes    # whose words must be encoded
    water.hear(words.is_ready, blend_s)                # which of them are: they rise
    water.apply(waypoint)                              # with the fragments beside the materials
    water.draw_up(kind); water.draw_up(None)           # one kind alone, and all of them again
    water.afloat                                       # for the type that drifts over the picture

Fragments come in the order of `pulp.order`, each for a turn of about `pulp.turn` phase units. Those whose turns are
near lie in the water already, and those whose turns are over still do, `pulp.most` in all. At either end of that
stretch a fragment counts nothing (weighing.py), so none comes or goes while it is seen. A turn is walked by adding up
ticks, not read from the walk's phase: a memory that is visited or a jump does not turn a hundred pages. Belongs to the
thread that runs the show's loop; no torch, no disk.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.walk.afloat import Afloat
from engine.walk.mix import QUICKEST_S, TICK_S, heard
from engine.walk.palette import Palette
from engine.walk.pulp.fragments import Kind
from engine.walk.pulp.order import Order, mixed
from engine.walk.pulp.weighing import MOST, Going, Turn, Way, edge, weigh
from engine.walk.waypoint import Waypoint, Wording
from engine.walk.words import eased

JUMPED = 3  # turns that a jump goes on
DRAWN = 4  # fragments of the kind that is drawn up
AWAY = (0.3, -0.3, 0.55)  # how far off what other sheets in the water are of, of the way to where fragments come in
LIFT_S = 3.0  # how long drawing up takes, and letting go
_NEW = -1.0  # risen: has not been asked yet whether its words are encoded


class Torn(Protocol):
    """What is read of a torn text (see fragments.py)."""

    path: Path
    count: int
    model: str
    digest: str
    kinds: tuple[Kind, ...]
    kind_of: NDArray[np.uint16]
    in_kinds: NDArray[np.int32]

    def text(self, number: int, /) -> str: ...


class Steering(Protocol):
    """What is read: smoothed values by name."""

    def __getitem__(self, name: str, /) -> Any: ...


class Walk(Protocol):
    """What is read of the walk (see navigator.Navigator)."""

    rate: float
    voices: dict[int, float]

    @property
    def time_s(self) -> float: ...


@dataclass
class _Fragment:
    """One that is in the water."""

    number: int
    palette: Palette
    since_s: float
    risen: float = _NEW  # 0..1, evenly in time, once its words are encoded
    rank: int = -1  # among those that are drawn up, the one nearest its kind's centre first


class Water:
    """See the module's head. One without fragments says nothing."""

    def __init__(self, torn: Torn | None, seed: int = 0, loop: float = 0.0, turn: float = 1.0) -> None:
        """seed: of the show. loop: its period in phase units, or 0; it takes a whole number of turns. turn: length of
        one, in phase units."""
        self.torn = torn
        self._order = Order(torn.in_kinds) if torn is not None else None
        turns = max(1, round(loop / turn)) if loop else 0
        self._way = Way(seed, {seed: 1.0}, turns, loop / turns if turns else turn)
        self._at = self._speed = 0.0  # in turns, and turns a second
        self._there: dict[int, _Fragment] = {}  # by the number of the turn, in their order
        self._level, self._shuffle, self._offset = -1, seed, 0  # in that level turn n has the place n + offset
        self._kind: int | None = None  # that is drawn up
        self._wanted: int | None = None  # that is to be, once another is let go
        self._lift = 0.0  # 0..1, how far it is
        self._now, self._wording = Going(), "{}"
        self._seed = seed  # that the walk turns to
        self._palettes: tuple[Palette, ...] = ()
        self._weighed: tuple[float, dict[int, float]] | None = None  # place and weights

    @property
    def palettes(self) -> tuple[Palette, ...]:
        """The words of what is in the water, those that are needed soonest first; the same object until they change."""
        return self._palettes

    @property
    def share(self) -> float:
        """How much of the picture is the water's, 0..1: `pulp.share`, as far as its words are encoded."""
        if not self._palettes or self._now.share <= 0.0:
            return 0.0
        return self._now.share * max(eased(f.risen) for f in self._there.values())

    @property
    def kind(self) -> int | None:
        """The kind that is drawn up, or is to be."""
        return self._wanted

    @property
    def afloat(self) -> tuple[Afloat, ...]:
        """All that is in the water, each with its weight in the picture; none twice."""
        if self.torn is None or not self._palettes:
            return ()
        share, weights = self.share, self._weights(self._at)
        told: dict[int, Afloat] = {}
        for n, f in self._there.items():
            weight = share * weights.get(n, 0.0)
            if (known := told.get(f.number)) is not None:
                told[f.number] = replace(known, weight=known.weight + weight)
            else:
                kind = int(self.torn.kind_of[f.number])
                told[f.number] = Afloat(f.number, self.torn.text(f.number), kind, weight, f.since_s)
        return tuple(told.values())

    @property
    def fragments(self) -> dict[str, str]:
        """The texts of all that is in the water, by what the model is told of each."""
        torn = self.torn
        return {} if torn is None else {f.palette.prompts[0]: torn.text(f.number) for f in self._there.values()}

    def read(self, steer: Steering, walk: Walk) -> None:
        """Takes note of the present values, as each tick does: what apply() goes by."""
        if self.torn is None:
            return
        self._weighed = None
        self._now = Going(
            share=float(steer["pulp.share"]),
            order=float(steer["pulp.order"]),
            most=float(steer["pulp.most"]),
            wander=float(steer["walk.wander"]),
            dwell=float(steer["walk.dwell"]),
            tour=float(steer["walk.tour"]),
            pedesis=float(steer["walk.pedesis"]),
        )
        self._wording = str(steer["pulp.as"])
        if self._way.voices != (voices := heard(walk.voices)):
            self._way = replace(self._way, voices=voices)
        self._seed = self._way.seed if self._way.turns else next(reversed(walk.voices))

    def tick(self, steer: Steering, walk: Walk, is_still: bool = False) -> None:
        """One step of TICK_S seconds. is_still: the walk is elsewhere, and the water waits for it."""
        if self.torn is None:
            return
        self.read(steer, walk)
        self._draw()
        unheard = self._now.share <= 0.0
        if unheard and self._palettes:  # whoever is heard again has to be encoded again
            self._palettes = ()
            for f in self._there.values():
                f.risen = 0.0
        # A text is not read on while nobody hears it; but a loop has to come round.
        is_still = is_still or (unheard and not self._way.turns)
        self._speed = 0.0 if is_still else walk.rate / self._way.length * (1.0 - eased(self._lift))
        self._at += self._speed * TICK_S
        if not unheard:
            self._exchange(walk.time_s)

    def hear(self, is_ready: Callable[[str], bool], blend_s: float) -> None:
        """Once a tick, when it is known which words are encoded: a fragment rises once its own are. Where they are at
        once, as in a film, it is there at once."""
        if not self._palettes:
            return
        step = TICK_S / max(blend_s, 2 * QUICKEST_S)
        for f in self._there.values():
            if f.risen < 1.0:
                if is_ready(f.palette.id):
                    f.risen = 1.0 if f.risen == _NEW else min(1.0, f.risen + step)
                    self._weighed = None
                elif f.risen == _NEW:
                    f.risen = 0.0

    def leap(self) -> None:
        """The walk jumps: to another fragment, of those whose words are encoded."""
        self._at = math.floor(self._at) + max(1, min(JUMPED, int(self._now.half) - 1)) + 0.5
        self._weighed = None

    def draw_up(self, kind: int | None) -> None:
        """Makes one kind of fragments what is seen, over LIFT_S seconds, while the water stills; None lets it go."""
        if self.torn is not None and (kind is None or 0 <= kind < len(self.torn.kinds)):
            self._wanted = kind

    def draw_up_loudest(self) -> bool:
        """Draws up the kind of what is mostly seen; False where that is the materials'."""
        if self.torn is None or self.share < 0.5:
            return False
        weights = self._weights(self._at)
        loudest = max(weights, key=lambda n: weights[n])
        self.draw_up(int(self.torn.kind_of[self._there[loudest].number]))
        return True

    def apply(self, waypoint: Waypoint, ahead_s: float = 0.0) -> Waypoint:
        """The waypoint with the fragments beside its materials. ahead_s: how far it is beyond the last tick."""
        share = self.share
        if share <= 0.0:
            return waypoint
        said: dict[str, float] = {}
        for n, weight in self._weights(self._at + self._speed * ahead_s).items():
            id = self._there[n].palette.id
            said[id] = said.get(id, 0.0) + weight * share
        return replace(waypoint, beside=tuple(Wording(id, (1.0,), part) for id, part in said.items()))

    def scatter(self, waypoint: Waypoint, ahead_s: float = 0.0) -> Waypoint:
        """The waypoint, where it is torn, with other fragments on the other sheets that lie in the water with it."""
        if waypoint.liquid is None or self.share <= 0.0:
            return waypoint
        at = self._at + self._speed * ahead_s
        sheets = tuple(
            replace(sheet, words=self._other_words(sheet.words, at, at + away * self._now.half))
            for sheet, away in zip(waypoint.liquid.sheets, AWAY, strict=False)
        )
        return replace(waypoint, liquid=replace(waypoint.liquid, sheets=sheets))

    def to_dict(self) -> dict[str, Any]:
        """All of the state, JSON-able."""
        there = self._there.items()
        return {
            "digest": self.torn.digest if self.torn is not None else "",
            "at": self._at,
            "speed": self._speed,
            "order": [self._level, self._shuffle, self._offset],
            "kind": self._kind,
            "wanted": self._wanted,
            "lift": self._lift,
            "heard": bool(self._palettes),
            "there": [[n, f.number, f.palette.prompts[0], f.since_s, f.risen, f.rank] for n, f in there],
        }

    def restore(self, data: Mapping[str, Any], is_encoded: bool = True) -> None:
        """Takes up where `to_dict` left it, if that was in the same text. is_encoded: whether what was encoded then
        still is. Raises KeyError, TypeError or ValueError on damaged data, and is then as it was before."""
        if self.torn is None or data["digest"] != self.torn.digest:
            return
        at, speed, lift = float(data["at"]), float(data["speed"]), float(data["lift"])
        level, shuffle, offset = (int(x) for x in data["order"])
        kinds = [None if data[name] is None else int(data[name]) for name in ("kind", "wanted")]
        there = {
            int(n): _Fragment(int(number), Palette.of([str(text)], True), float(since_s), float(risen), int(rank))
            for n, number, text, since_s, risen, rank in data["there"]
        }
        fits = (
            0.0 <= at < 1e12
            and 0.0 <= speed < 1e12
            and 0.0 <= lift <= 1.0
            and len(there) <= MOST
            and all(0 <= f.number < self.torn.count and -1.0 <= f.risen <= 1.0 for f in there.values())
            and all(kind is None or 0 <= kind < len(self.torn.kinds) for kind in kinds)
        )
        if not fits:
            raise ValueError("a saved state of the water needs numbers of its own text")
        self._at, self._speed, self._lift = at, speed, lift
        self._level, self._shuffle, self._offset = level, shuffle, offset
        self._kind, self._wanted = kinds
        self._there, self._palettes, self._weighed = there, (), None
        for f in there.values() if not is_encoded else ():
            f.risen = 0.0
        if data["heard"]:
            self._collect()

    def _exchange(self, time_s: float) -> None:
        """Fragments whose stretch is over go, and others come. Neither counts anything at that moment."""
        half = self._now.half
        first, last = math.floor(self._at - half - 0.5) + 1, math.ceil(self._at + half - 0.5) - 1
        if not self._way.turns:
            first = max(first, 0)  # before the first fragment there is none
        if self._palettes and next(iter(self._there)) == first and next(reversed(self._there)) == last:
            return
        self._there = {n: f for n, f in self._there.items() if first <= n <= last}
        for n in range(first, last + 1):
            if n not in self._there:
                self._there[n] = self._coming(n, time_s)
        self._there = dict(sorted(self._there.items()))
        self._collect()

    def _coming(self, n: int, time_s: float) -> _Fragment:
        """The fragment of turn n; of the kind that is drawn up, as long as there are too few of them."""
        number, ranks = self._next(n), sum(f.rank >= 0 for f in self._there.values())
        if self._kind is not None and ranks < DRAWN and (akin := self._of_kind(self._kind)):
            return _Fragment(akin[0], self._words_of(akin[0]), time_s, rank=ranks)
        return _Fragment(number, self._words_of(number), time_s)

    def _next(self, n: int) -> int:
        """The number of the fragment whose turn is n. Where the order becomes another it goes on from the fragment
        before: a book is torn where it is being read. In a loop everything has its place."""
        order, seed = self._order, self._seed
        assert order is not None
        level = order.level(self._now.order)
        if self._way.turns:
            return order.at(level, n % self._way.turns + self._start(level), seed)
        if (level, seed) != (self._level, self._shuffle):
            before = self._there.get(n - 1)
            here = self._start(level) + n if before is None else order.place(level, before.number, seed) + 1
            self._level, self._shuffle, self._offset = level, seed, here - n
        there = {f.number for f in self._there.values()}
        number = order.at(level, n + self._offset, seed)
        for _ in range(min(2 * MOST, order.count)):
            if number not in there:
                break
            self._offset += 1
            number = order.at(level, n + self._offset, seed)
        return number

    def _start(self, level: int) -> int:
        """Where an order begins: a text at its beginning, all else anywhere."""
        assert self._order is not None
        return 0 if self._order.is_read(level) else mixed(self._seed, 0x57A7) % self._order.count

    def _draw(self) -> None:
        """Draws up the kind that is wanted, or lets go of the one before it."""
        rises = self._kind is not None and self._kind == self._wanted
        step = TICK_S / LIFT_S
        self._lift = min(1.0, self._lift + step) if rises else max(0.0, self._lift - step)
        if rises or self._lift > 0.0 or self._kind == self._wanted:
            return
        self._kind = self._wanted
        for f in self._there.values():
            f.rank = -1
        if self._kind is None or self.torn is None:
            return
        weights = self._weights(self._at)
        loudest = sorted(weights, key=lambda n: -weights[n])
        drawn = [n for n in loudest if int(self.torn.kind_of[self._there[n].number]) == self._kind][:DRAWN]
        unseen = [n for n in self._there if n > self._at and n not in weights]
        for n, number in zip(unseen, self._of_kind(self._kind)[: DRAWN - len(drawn)], strict=False):
            self._there[n] = _Fragment(number, self._words_of(number), self._there[n].since_s)
            drawn.append(n)
        for rank, n in enumerate(drawn):
            self._there[n].rank = rank
        if self._palettes:
            self._collect()

    def _of_kind(self, kind: int) -> list[int]:
        """The fragments of a kind that are nearest its centre, the nearest first, but for those in the water."""
        assert self.torn is not None
        first = sum(k.count for k in self.torn.kinds[:kind])
        there = {f.number for f in self._there.values()}
        own = self.torn.in_kinds[first : first + min(self.torn.kinds[kind].count, 2 * MOST)].tolist()
        return [number for number in own if number not in there]

    def _words_of(self, number: int) -> Palette:
        assert self.torn is not None
        return Palette.of([self._wording.replace("{}", self.torn.text(number))], is_brief=True)

    def _other_words(self, words: tuple[Wording, ...], at: float, place: float) -> tuple[Wording, ...]:
        """The words with the fragments of another place in those of this one's."""
        own = {f.palette.id for f in self._there.values()}
        share = sum(w.share for w in words if w.palette in own)
        turns = [Turn(n, eased(f.risen) * edge(at, n, self._now.half)) for n, f in self._there.items()]
        weights = weigh(place, turns, self._now, self._way)
        if not weights or not share:
            return words
        there = tuple(Wording(self._there[n].palette.id, (1.0,), w * share) for n, w in weights.items())
        return (*(w for w in words if w.palette not in own), *there)

    def _collect(self) -> None:
        near = sorted(self._there.items(), key=lambda entry: abs(entry[0] + 0.5 - self._at))
        self._palettes = tuple(dict.fromkeys(f.palette for _, f in near))
        self._weighed = None

    def _weights(self, at: float) -> dict[int, float]:
        """By turn, summing to 1: those that are heard."""
        if self._weighed is None or self._weighed[0] != at:
            turns = [Turn(n, eased(f.risen), f.rank) for n, f in self._there.items()]
            self._weighed = at, weigh(at, turns, self._now, self._way, eased(self._lift))
        return self._weighed[1]
