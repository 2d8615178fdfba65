"""What one is seeing, in plain words: from a waypoint and what is said there to a sentence, and when it changes.

    wording = worded(scene, language)            # pure: the sentence, and the texts that it names
    captioner = Captioner(language)
    captioner.tick(on, time_s, scene)            # once in a while, by the show's time
    captioner.caption                            # what the stage draws

Counted by the show's own time, so a film has the same captions each time. The thread that runs the show's loop.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from engine.show.language import Language
from engine.walk.told import Told, plain, shortened

LEAST_S = 4.0  # that a caption stays, however fast the walk goes
STEADY_S = 0.4  # for which something must hold before it is said
MOSTLY = 0.76  # share from which on one text is all that is named
THIRD = 0.21  # share from which on a third one is named
EMPTY, FORMING = 0.14, 0.55  # focus below which there is nothing yet, or only something that forms
TORN = 0.3  # how finely it must be torn to be called pulp
QUOTED = 76  # characters of a fragment that are quoted
CHIEF = 0.5  # share from which on a phrase or a word for the clouds is what one sees


@dataclass(frozen=True)
class Remembered:
    """The memory that a walk was sent to. The date is that of the day when it was kept; ago_days counts back from the
    day when it was asked for."""

    number: int
    year: int
    month: int
    day: int
    weekday: int  # 1 is Monday
    ago_days: int

    @staticmethod
    def of(about: object) -> "Remembered | None":
        """What an event says of a memory; None if that is not enough to speak of."""
        try:
            return Remembered(**{k: int(v) for k, v in about.items()}) if isinstance(about, Mapping) else None
        except (TypeError, ValueError):
            return None


@dataclass(frozen=True)
class Scene:
    """All that a caption is made of."""

    told: tuple[Told, ...]  # that is worth a sentence: what will be said when it can be read
    now: tuple[Told, ...] | None = None  # whose shares are shown; None: the same
    names: Mapping[str, str] = field(default_factory=dict)  # of prompts, what a show wants them to be called
    focus: float = 1.0
    torn: float = 0.0  # 0..1, how finely it is pulped
    pulled: bool = False  # whether a sheet is drawn up out of the pulp
    shown: str = "picture"  # or latent, noise, shelves
    see: str = ""  # the word that the clouds are read by
    phrases: frozenset[str] = frozenset()  # what somebody has said
    fragments: Mapping[str, str] = field(default_factory=dict)  # of a torn text, by what the model is told of each
    visits: bool = False  # whether it is at a place that it was sent to
    travels: bool = False  # whether it is on the way to one
    remembered: Remembered | None = None  # what place that is


@dataclass(frozen=True)
class Wording:
    """A sentence, and the names in it whose shares are shown, in order."""

    text: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Caption:
    """What the stage draws: a sentence since a moment, and the one that it takes the place of."""

    text: str = ""
    shares: tuple[float, ...] = ()  # of what is named, in order, 0..1 each
    since_s: float = -1e9
    before: str = ""
    before_shares: tuple[float, ...] = ()


def worded(scene: Scene, language: Language) -> Wording:
    """The sentence for a scene."""
    if scene.shown != "picture":
        return Wording(language.say(f"caption.{scene.shown}"))
    if scene.travels and scene.remembered:
        memory = scene.remembered
        return Wording(language.say("caption.on_the_way", number=memory.number, day=day_of(memory, language)))
    if scene.focus < EMPTY:
        return Wording(language.say("caption.nothing"))
    shares = named(scene)
    if not shares:
        return Wording("")
    first, chief = next(iter(shares.items()))
    if scene.visits:
        return Wording(_remembering(first, scene.remembered, language), (first,))
    if scene.focus < FORMING:
        return Wording(language.say("caption.forming", a=first), (first,))
    if scene.see and first == name_of(scene.see, scene) and chief > CHIEF:
        return Wording(language.say("caption.seen", a=first), (first,))
    if chief > CHIEF and first in {name_of(text, scene) for text in scene.phrases}:
        return Wording(language.say("caption.said", a=first), (first,))
    if scene.pulled:
        return Wording(language.say("caption.drawn", a=first), (first,))
    if scene.torn <= TORN and chief > CHIEF and first in {name_of(prompt, scene) for prompt in scene.fragments}:
        return Wording(language.say("caption.fragment", a=first), (first,))
    return _mixture(shares, scene.torn > TORN, language)


def _mixture(shares: "_Shares", torn: bool, language: Language) -> Wording:
    chief = max(shares.values())
    names = list(shares)
    if len(names) == 1 or chief >= MOSTLY:
        return Wording(language.say("caption.pulped_one" if torn else "caption.one", a=names[0]), (names[0],))
    count = 3 if len(names) > 2 and shares[names[2]] >= THIRD and not torn else 2
    # By their place in the palette and not by their shares: two that take turns do not change places.
    order = sorted(names[:count], key=lambda name: shares.places[name])
    key = "caption.pulped" if torn else "caption.many" if count == 3 else "caption.between"
    return Wording(language.say(key, **dict(zip("abc", order, strict=False))), tuple(order))


class _Shares(dict[str, float]):
    """Share of each name, the largest first, and where each stands among what is said."""

    def __init__(self, shares: Mapping[str, float], places: Mapping[str, int]) -> None:
        super().__init__(shares)
        self.places = places


def named(scene: Scene) -> "_Shares":
    """Share of each text by the name that it goes by, the largest first; texts of one name count together."""
    shares: dict[str, float] = {}
    places: dict[str, int] = {}
    for part in scene.told:
        if name := name_of(part.text, scene):
            shares[name] = shares.get(name, 0.0) + part.share
            places.setdefault(name, part.place)
    return _Shares(dict(sorted(shares.items(), key=lambda item: -item[1])), places)


def name_of(text: str, scene: Scene) -> str:
    """What a text is called: as the show wants it, or in short. A fragment keeps its clauses: nobody wrote it as a
    prompt."""
    if (own := scene.fragments.get(text)) is not None:
        return shortened(" ".join(own.replace("*", " ").split()), QUOTED).strip(" .,;:")
    return scene.names.get(text) or plain(text)


def _remembering(name: str, memory: Remembered | None, language: Language) -> str:
    if memory is None:
        return language.say("caption.remembering_plainly", a=name)
    return language.say("caption.remembering", number=memory.number, day=day_of(memory, language), a=name)


def day_of(memory: Remembered, language: Language) -> str:
    """The day when it was kept, as one would say it on the day when it was asked for."""
    near = {0: "today", 1: "yesterday", 2: "before_yesterday"}
    if memory.ago_days in near:
        return language.say(f"day.{near[memory.ago_days]}")
    if 2 < memory.ago_days < 8:
        return language.say("day.last", weekday=language.say(f"weekday.{memory.weekday}"))
    key = "day.date" if 0 <= memory.ago_days < 300 else "day.long_ago"
    return language.say(key, day=memory.day, month=language.say(f"month.{memory.month}"), year=memory.year)


class Captioner:
    """Says what is seen, but not more often than one can read it."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.caption = Caption()
        self._said = Wording("")
        self._next: tuple[Wording, float] | None = None  # what could be said, and since when

    def tick(self, on: bool, time_s: float, scene: Callable[[], Scene]) -> None:
        """Looks at the scene; a few times a second is often enough."""
        if not on:
            self._next = None
            if self.caption.text:
                self._say(Wording(""), (), time_s)
            return
        here = scene()
        wording = worded(here, self.language)
        shares = named(here if here.now is None else replace(here, told=here.now))
        if wording == self._said:
            self._next = None
        elif self._next is None or self._next[0] != wording:
            self._next = wording, time_s
        if self._next is not None and self._is_time(self._next[1], time_s):
            self._next = None
            self._say(wording, _of(shares, wording.names), time_s)
        else:
            self.caption = replace(self.caption, shares=_of(shares, self._said.names))

    def _is_time(self, since_s: float, time_s: float) -> bool:
        if not self.caption.text:  # nothing stands there that somebody is reading
            return True
        return time_s - since_s >= STEADY_S and time_s - self.caption.since_s >= LEAST_S

    def _say(self, wording: Wording, shares: tuple[float, ...], time_s: float) -> None:
        before = self.caption
        self._said = wording
        self.caption = Caption(wording.text, shares, time_s, before.text, before.shares)


def _of(shares: Mapping[str, float], names: tuple[str, ...]) -> tuple[float, ...]:
    return tuple(shares.get(name, 0.0) for name in names)
