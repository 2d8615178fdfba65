"""What is said while the walk goes on: the materials' words, which may be changed; phrases that come and go; a word
that the clouds are read by.

    words = Words(("material.clouds",), Palette.of(["a cloud"]))
    words.tick(controls); words.wanted      # palettes whose words must be encoded: DreamerProcess.set_palettes
    words.make_ready(palette.id)            # they are; only then do they come into the picture
    words.apply(waypoint)

Nothing jumps: new words rise from nothing, and until they are encoded the old ones go on. Counted in ticks. Belongs to
the thread that runs the show's loop; no torch.
"""

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from engine.show.params import shown
from engine.walk.mix import QUICKEST_S, TICK_S, heard, turned
from engine.walk.palette import Palette
from engine.walk.waypoint import Waypoint, Wording

log = logging.getLogger("pedesis")

MAX_PHRASES = 4  # heard at once; when another comes, the oldest goes sooner
MAX_RECENT = 64  # palettes that are remembered for what was dreamt a moment ago
MAX_WAITING = 16  # phrases that wait for room; beyond it the oldest that waits is dropped, and that is said
SEE_SHARE = 0.85  # of the picture that the word for the clouds has at full focus: its clouds stay
SEE_FROM, SEE_TO = 0.1, 0.95  # focus between which it is pulled in


class Steering(Protocol):
    """What is read: smoothed values by name; calls and triggers, which are gone when taken."""

    def __getitem__(self, name: str, /) -> Any: ...
    def take(self, name: str, /) -> float: ...
    def take_call(self, name: str, /) -> str | None: ...


@dataclass
class _Phrase:
    """A phrase on its way up, held, or on its way down."""

    palette: Palette
    risen: float = 0.0  # 0..1, evenly in time
    held_s: float = 0.0
    goes: bool = False

    @property
    def strength(self) -> float:
        return eased(self.risen)


def eased(part: float) -> float:
    """0..1 to 0..1, beginning and ending gently."""
    part = min(max(part, 0.0), 1.0)
    return part * part * (3 - 2 * part)


class Words:
    """See the module's head."""

    def __init__(self, materials: Sequence[str], palette: Palette) -> None:
        """materials: the parameters of the weights; that of their words is called `<name>.prompt`.
        palette: what a dreamer begins with."""
        self._names = [f"{m}.prompt" for m in materials]
        self._known = {palette.id: palette}
        self._ready, self._refused = {palette.id}, set[str]()
        self._mix = {palette.id: 1.0}  # share of each palette of the materials, the newest last
        self._see = {"": 1.0}  # the same of the words for the clouds; "" is none
        self._own, self._seen = palette.id, ""  # the palettes wanted for either
        self._phrases: list[_Phrase] = []
        self._waiting: deque[Palette] = deque()
        self._told_of_flood = False
        self._visited: tuple[Palette, ...] = ()
        self._share = 0.0
        self._needed: tuple[Palette, ...] = (palette,)
        self._recent = {palette.id: palette}  # the newest last

    @property
    def wanted(self) -> tuple[Palette, ...]:
        """The palettes that are heard, or will be once they are encoded; the same object until they change."""
        return self._needed

    @property
    def phrases(self) -> frozenset[str]:
        """The phrases that are heard now."""
        return frozenset(phrase.palette.prompts[0] for phrase in self._phrases)

    def is_ready(self, id: str) -> bool:
        return id in self._ready

    def make_ready(self, id: str) -> None:
        """The words of this palette are encoded."""
        if id in self._known:
            self._ready.add(id)

    def refuse(self, id: str) -> None:
        """The words of this palette cannot be encoded: what was said before goes on."""
        if id in self._known and id not in self._ready:
            self._refused.add(id)
            self._phrases = [p for p in self._phrases if p.palette.id != id]

    def is_answered(self, id: str) -> bool:
        """Whether it is known of this palette if it can be encoded."""
        return id in self._ready or id in self._refused

    def need(self, palettes: Sequence[Palette]) -> None:
        """Palettes of places that the walk goes to, beside what is said here."""
        self._visited = tuple(palettes)

    def palettes_of(self, *waypoints: Waypoint) -> dict[str, Palette]:
        """The palettes that waypoints of a short while ago name, by their ids."""
        names = [name for waypoint in waypoints for name in waypoint.palettes]
        return {name: self._recent[name] for name in names if name in self._recent}

    def tick(self, steer: Steering) -> None:
        """One step of TICK_S seconds."""
        blend_s = float(steer["blend.time"])
        self._own = self._asked(self._own, tuple(str(steer[name]) for name in self._names))
        self._mix = turned(self._mix, self._own if self._own in self._ready else next(reversed(self._mix)), blend_s)
        see = str(steer["clouds.see"]).strip()
        self._seen = self._asked(self._seen, (see,)) if see else ""
        here = self._seen if self._seen in self._ready or not see else next(reversed(self._see))
        self._see = turned(self._see, here, blend_s)
        self._share = float(steer["say.share"])
        while (text := steer.take_call("say")) is not None:
            self._say(text.strip())
        if steer.take("say.clear"):
            self._waiting.clear()
            for phrase in self._phrases:
                phrase.goes = True
        self._move_phrases(blend_s, float(steer["say.hold"]))
        self._forget()

    def apply(self, waypoint: Waypoint) -> Waypoint:
        """The waypoint with everything that is said. Its weights are those of the materials; what stands beside them
        already, which is the water's, stays."""
        shares = heard(self._mix)
        total = sum(shares.values())
        own = next(reversed(shares))
        left = 1 - sum(w.share for w in waypoint.beside)
        said = [Wording(id, waypoint.weights, left * share / total) for id, share in shares.items() if id != own]
        said += waypoint.beside
        if self._phrases:
            said = self._with_phrases(said)
        if see := self._see_share(waypoint.focus):
            said = [replace(w, share=w.share * (1 - sum(see.values()))) for w in said]
            said += [Wording(id, (1.0,), share) for id, share in see.items()]
        if own == waypoint.palette and not said:
            return waypoint
        return replace(waypoint, palette=own, beside=tuple(w for w in said if w.share > 0.0))

    def to_dict(self) -> dict[str, Any]:
        """All of the state, JSON-able."""
        return {
            "known": [list(p.prompts) for p in self._known.values()],
            "ready": sorted(self._ready),
            "refused": sorted(self._refused),
            "mix": [[id, share] for id, share in self._mix.items()],
            "see": [[id, share] for id, share in self._see.items()],
            "own": self._own,
            "seen": self._seen,
            "phrases": [[p.palette.id, p.risen, p.held_s, p.goes] for p in self._phrases],
            "waiting": [p.id for p in self._waiting],
            "visited": [p.id for p in self._visited],
            "share": self._share,
            "needed": [p.id for p in self._needed],
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        """Takes up where `to_dict` left it. Raises KeyError, TypeError or ValueError on damaged data."""
        known = {palette.id: palette for palette in (Palette.of(prompts) for prompts in data["known"])}
        phrases = [_Phrase(known[id], float(up), float(held_s), bool(goes)) for id, up, held_s, goes in data["phrases"]]
        mix, see = ({str(id): float(share) for id, share in data[part]} for part in ("mix", "see"))
        if not mix or not see or not {*mix, data["own"]} <= known.keys():
            raise ValueError("a saved state of words needs the words that it names")
        self._known, self._phrases, self._mix, self._see = known, phrases, mix, see
        self._ready, self._refused = set(map(str, data["ready"])), set(map(str, data["refused"]))
        self._own, self._seen, self._share = str(data["own"]), str(data["seen"]), float(data["share"])
        self._waiting = deque(known[id] for id in data["waiting"])
        self._visited = tuple(known[id] for id in data["visited"])
        self._needed = tuple(known[id] for id in data["needed"])
        self._recent |= {p.id: p for p in self._needed}

    def _with_phrases(self, said: list[Wording]) -> list[Wording]:
        strengths = {p.palette.id: p.strength for p in self._phrases}
        loudest, together = max(strengths.values()), sum(strengths.values())
        if loudest <= 0.0:
            return said
        share = loudest * self._share  # one phrase or several: the materials keep the rest
        said = [replace(w, share=w.share * (1 - share)) for w in said]
        return said + [Wording(id, (1.0,), share * s / together) for id, s in strengths.items()]

    def _see_share(self, focus: float) -> dict[str, float]:
        shares = heard(self._see)
        pulled = SEE_SHARE * eased((focus - SEE_FROM) / (SEE_TO - SEE_FROM))
        total = sum(shares.values())
        return {id: pulled * share / total for id, share in shares.items() if id and pulled > 0.0}

    def _asked(self, before: str, prompts: tuple[str, ...]) -> str:
        """Id of the palette that is wanted now. One at a time: what is being encoded is waited for, however fast
        somebody types."""
        known, is_answered = self._known.get(before), self.is_answered(before)
        if known is not None and (known.prompts == prompts or not is_answered):
            return before
        return self._learn(prompts)

    def _learn(self, prompts: tuple[str, ...]) -> str:
        palette = Palette.of(prompts)
        return self._known.setdefault(palette.id, palette).id

    def _say(self, text: str) -> None:
        if not text:
            return
        palette = self._known[self._learn((text,))]
        for phrase in self._phrases:
            if phrase.palette == palette:  # said again: it comes back, and is held anew
                phrase.goes, phrase.held_s = False, 0.0
                return
        if palette in self._waiting:
            return
        self._waiting.append(palette)
        if len(self._waiting) > MAX_WAITING:
            dropped = self._waiting.popleft()
            if not self._told_of_flood:
                self._told_of_flood = True
                log.warning("too much is being said at once; dropped: %s, and more", shown(dropped.prompts[0]))

    def _move_phrases(self, blend_s: float, hold_s: float) -> None:
        step = TICK_S / max(blend_s, 2 * QUICKEST_S)
        for phrase in self._phrases:
            if phrase.palette.id not in self._ready:
                continue
            if phrase.goes:
                phrase.risen = max(0.0, phrase.risen - step)
            elif phrase.risen < 1.0:
                phrase.risen, phrase.held_s = min(1.0, phrase.risen + step), 0.0
            else:
                phrase.held_s += TICK_S  # counted up, so that say.hold may be changed meanwhile
                phrase.goes = phrase.held_s >= hold_s
        self._phrases = [p for p in self._phrases if not (p.goes and p.risen <= 0.0)]
        if self._waiting and len(self._phrases) >= MAX_PHRASES and not any(p.goes for p in self._phrases):
            self._phrases[0].goes = True
        while self._waiting and len(self._phrases) < MAX_PHRASES:
            palette = self._waiting.popleft()
            if palette.id not in self._refused:
                log.info("said: %s", shown(palette.prompts[0]))  # once it is heard: a flood of phrases has no room
                self._phrases.append(_Phrase(palette))
        if not self._waiting:
            self._told_of_flood = False

    def _forget(self) -> None:
        """Keeps what is heard, wanted or visited, and forgets all else."""
        ids = dict.fromkeys([*self._mix, self._own, *self._see, self._seen, *(p.palette.id for p in self._phrases)])
        needed = tuple(dict.fromkeys([*(self._known[id] for id in ids if id in self._known), *self._visited]))
        if needed == self._needed:
            return
        self._needed = needed
        self._recent |= {p.id: p for p in needed}
        self._recent = dict(list(self._recent.items())[-MAX_RECENT:])
        self._known = {p.id: p for p in needed} | {p.id: p for p in self._waiting}
        self._ready &= self._known.keys()
        self._refused &= self._known.keys()
