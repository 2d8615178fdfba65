"""The conductor: sources, controls and the walk in one, stepped in fixed ticks. Live, film and benchmark share it.

    conductor = Conductor(show, [osc])
    conductor.listen(); conductor.tick()
    conductor.waypoint(), conductor["look.grain"]

A mapping from a parameter's name to its present value. Sources hand over values between ticks only, so what they
handed over, with the numbers of the ticks, gives the same waypoints again at any frame rate. The thread that runs
the show's loop; no GL, no torch.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from typing import Any, Protocol

from engine.control.automation import Automation
from engine.control.controls import Controls
from engine.control.dissolve import Dissolve
from engine.control.resolve import SMOOTHING
from engine.control.source import Automaton, Source
from engine.play.lesson import Lesson
from engine.show.config import Show
from engine.show.language import Language
from engine.show.params import Value, shown
from engine.walk.afloat import Afloat, of_words
from engine.walk.caption import Caption, Captioner, Remembered, Scene
from engine.walk.guide import Guided, Steering
from engine.walk.mix import TICK_HZ, TICK_S
from engine.walk.navigator import Navigator
from engine.walk.palette import Palette
from engine.walk.pulp.liquid import Pulp
from engine.walk.pulp.water import Torn, Water
from engine.walk.told import Told, told
from engine.walk.visit import Place, Visits
from engine.walk.waypoint import Waypoint
from engine.walk.words import Words

log = logging.getLogger("pedesis")

SPOKEN_AHEAD_S = 1.2  # a caption comes in as long: by then it is to be true
SEEN_TICKS = 6  # between two looks at what the caption tells of: its line moves by them
RESET_S = 2.0  # how long the way back to the show's own values takes
# How much of a view is shown, 0..1, beside the parameters: `look.view` dissolves from one to another over blend.time.
SHOWN = {f"look.view.{choice}": choice for choice in ("latent", "noise")}
FOREVER_S = 1e9
# Events that are no parameters; what they carry is plain data, which a take can hold.
WORDS_READY, WORDS_REFUSED, VISIT, LEAVE = "words.ready", "words.refused", "walk.visit", "walk.leave"
PRESETS = "preset.known"  # those that were stored in earlier shows
SEEN = "show.seen"  # the first picture of it is there
WORDS_ASKED = "words.asked"  # these are being encoded: steers nothing, but tells a replay that they took their time
GUIDE = "guide.see"  # another picture from outside steers, or none
EVENTS = (WORDS_ASKED, WORDS_READY, WORDS_REFUSED, VISIT, LEAVE, PRESETS, SEEN, GUIDE)
STAYS = ("walk.seed", "stage.overlay")  # the one belongs to the walk's place, the other to who is looking


class Looking(Protocol):
    """Who finds the pictures that steer (see guides.py)."""

    def look(self, guided: Guided, steer: Steering, ticks: int) -> dict[str, Any] | None:
        """What GUIDE carries, if something else is to steer from this tick on."""
        ...

    def rest(self) -> None:
        """Nothing is asked for, until the next look."""
        ...


class Conductor(Mapping[str, Value]):
    """What one show is doing: where its parameters are, and where its walk is."""

    def __init__(
        self,
        show: Show,
        sources: Sequence[Source] = (),
        words_at_once: bool = False,
        automata: Sequence[Automaton] = (),
        but_for: Collection[str] = (),
        torn: Torn | None = None,
        unseen: bool = False,
        guides: Looking | None = None,
    ) -> None:
        """words_at_once: new words count as encoded as soon as they are wanted, and whoever dreams waits for them;
        else answer() says when they are. but_for: ids of palettes of which somebody will say so all the same.
        torn: the text that the walk draws fragments from.
        unseen: nothing can be seen of it yet; its score waits until SEEN.
        guides: who finds the pictures that steer; without, they come as events.
        automata: what moves parameters at every tick, beside the show's own automation and after it."""
        self.controls = Controls(show.registry, show.values)
        self.navigator = Navigator(
            seed=int(show.values["walk.seed"]),
            materials=tuple(f"material.{m.name}" for m in show.materials),
            loop=float(show.values["walk.loop"]),
            round_length=float(show.values["walk.round"]),
            loras=tuple(lora.parameter for lora in show.things.get("lora", ())),
            palette=Palette.of([m.prompt for m in show.materials]).id,
        )
        self._view = Dissolve(str(show.values["look.view"]))
        self.words = Words(self.navigator.materials, Palette.of([m.prompt for m in show.materials]))
        self.water = Water(torn, self.navigator.seed, self.navigator.loop, float(show.values["pulp.turn"]))
        self.pulp = Pulp(self.water.draw_up_loudest)
        self.visits = Visits()
        self.guided = Guided()
        self.guides, self._is_guided = guides, bool(show.things.get("guide"))
        self.jumps = 0  # how often walk.jump was fired
        self._captioner = Captioner(Language.load(str(show.values["docent.language"]), [show.path.parent]))
        self._at_once, self._but_for = words_at_once, frozenset(but_for)
        self.automation = Automation(show.registry, show.things, show.values)
        self.automation.score.waits = unseen
        self.lesson = Lesson()
        self._automata: list[Automaton] = [self.automation, self.lesson, *automata]
        for name, time_s in show.things["smoothing"].items():
            self.controls.smooth(name, time_s)
        self._sources = list(sources)
        self.on_steer: Callable[[int, str, Any], None] | None = None  # told the tick, name and value: what a take is
        self._own = dict(show.values)
        self.tick()

    def __getitem__(self, name: str) -> Value:
        return self._view[SHOWN[name]] if name in SHOWN else self.controls[name]

    def __iter__(self) -> Iterator[str]:
        return chain(self.controls, SHOWN)

    def __len__(self) -> int:
        return len(self.controls) + len(SHOWN)

    @property
    def time_s(self) -> float:
        """Time of the last tick, since the walk began."""
        return self.navigator.time_s

    def add(self, source: Source) -> None:
        """One more source; it is heard after the others."""
        self._sources.append(source)

    def set(self, name: str, value: Value) -> None:
        """Moves a parameter, as a source would. value: already coerced."""
        self.steer(name, value)

    def toggle(self, name: str) -> None:
        """Turns a switch the other way."""
        self.steer(name, not self.controls.target(name))

    def listen(self) -> None:
        """Takes what the sources have to say; between two ticks."""
        for source in self._sources:
            for name, value in source.drain():
                self.steer(name, value)

    def steer(self, name: str, value: Any) -> None:
        """The one way in for what comes from outside, at the present tick: a parameter's value, or one of EVENTS."""
        if self.on_steer is not None:
            self.on_steer(self.navigator.ticks, name, value)
        if name == WORDS_READY:
            self.words.make_ready(value)
        elif name == WORDS_REFUSED:
            self.words.refuse(value)
        elif name == VISIT:
            self._go(value)
        elif name == LEAVE:
            self.visits.leave()
        elif name == PRESETS:
            self.automation.presets.know(value)
        elif name == SEEN:
            self.automation.score.waits = False
        elif name == WORDS_ASKED:
            pass
        elif name == GUIDE:
            self.guided.see(str(value["picture"]))
        elif name.startswith(SMOOTHING):
            self.controls.smooth(name.removeprefix(SMOOTHING), float(value))
        else:
            self.controls.set(name, value)

    def to_dict(self) -> dict[str, Any]:
        """Where everything is that is steered, JSON-able: what a take begins with."""
        parts = ["controls", "navigator", "pulp", "water", "words", "visits", "automation", "lesson"]
        parts += ["guided"] if self._is_guided else []
        return {name: getattr(self, name).to_dict() for name in parts} | {"view": self._view.to_dict()}

    def restore(self, data: Mapping[str, Any]) -> None:
        """Takes up where `to_dict` left it. Raises KeyError, TypeError or ValueError on damaged data."""
        self.controls.restore(data["controls"])
        self.navigator.restore(data["navigator"])
        self.navigator.read(self.controls)
        for name in ("pulp", "water", "words", "visits", "automation", "lesson", "guided"):
            if name in data:
                getattr(self, name).restore(data[name])
        self.water.read(self.controls, self.navigator)
        if "view" in data:
            self._view.restore(data["view"])

    def answer(self, ready: Collection[str], refused: Mapping[str, str]) -> None:
        """Takes note of the palettes that are encoded, and of those that cannot be and why; by their ids."""
        for palette in self.words.wanted:
            if self.words.is_answered(palette.id):
                continue
            if palette.id in ready:
                self.steer(WORDS_READY, palette.id)
            elif palette.id in refused:
                self.steer(WORDS_REFUSED, palette.id)
                said = ", ".join(shown(prompt) for prompt in palette.prompts)
                log.warning("these words cannot be dreamt (%s): %s", refused[palette.id], said)

    def visit(
        self,
        place: Place,
        palettes: Mapping[str, Palette],
        stay_s: float,
        leap: bool = False,
        about: Mapping[str, int] | None = None,
    ) -> None:
        """Sends the walk to a place, where it stays and goes on from; leap: by way of a transition; about: the fields
        of Remembered, for the caption.

        Raises ValueError for a place that this show cannot go to.
        """
        if place.loop != self.navigator.loop:
            raise ValueError(f"a place must have walk.loop {self.navigator.loop:g} as the show has, got {place.loop:g}")
        words = {id: list(palettes[id].prompts) for id in place.palettes if id in palettes}
        order = {"place": place.to_dict(), "words": words, "stay_s": min(stay_s, FOREVER_S), "leap": leap}
        self.steer(VISIT, order | ({"about": dict(about)} if about else {}))

    def leave(self) -> None:
        """Leaves a place that the walk was sent to; it goes on from there."""
        self.steer(LEAVE, True)

    def _go(self, order: Mapping[str, Any]) -> None:
        palettes = {id: Palette.of(prompts) for id, prompts in order["words"].items()}
        place, about = Place.from_dict(order["place"]), order.get("about")
        self.visits.go(place, palettes, float(order["stay_s"]), bool(order["leap"]), about)

    def tick(self) -> None:
        """One step of TICK_S seconds for everything that is steered."""
        self.controls.tick(TICK_S)
        self._view.tick(str(self.controls["look.view"]), float(self.controls["blend.time"]), TICK_S)
        for automaton in self._automata:
            automaton.tick(self.controls, self.time_s)
        if self._is_guided:
            self._tick_guided()
        if self.controls.take("show.panic"):
            self.automation.panic()
            self.controls.hit("say.clear")
            self.visits.leave()
            self._reset()
        if self.controls.take("show.reset"):
            self._reset()
        self.visits.locked = bool(self["memory.approved"])
        epoch = self.navigator.epoch
        self.navigator.tick(self.controls)
        if self.navigator.epoch != epoch:
            self.jumps += 1
            self.water.leap()
            self.visits.leave(leap=True)
            if self.visits.locked:  # what it would have leapt to is not shown; whoever curates may answer
                self.navigator.epoch = epoch
        self.pulp.tick(self.controls, self.navigator)
        if not self.pulp.pulled:
            self.water.draw_up(None)
        self.water.tick(self.controls, self.navigator, is_still=self.visits.at is not None)
        self.words.need([*self.visits.palettes, *self.water.palettes])
        self.words.tick(self.controls)
        if self._at_once:
            self.answer({palette.id for palette in self.words.wanted} - self._but_for, {})
        self.water.hear(self.words.is_ready, float(self["blend.time"]))
        if self.visits.tick(self.words.is_ready, float(self["blend.time"])):
            self.navigator.leap()
        if (place := self.visits.at) is not None:
            self.navigator.settle(place.points)
        if self.navigator.ticks % SEEN_TICKS == 0:
            self._captioner.tick(bool(self["docent.caption"]), self.time_s, self._scene)

    def waypoint(self, ahead_s: float = 0.0) -> Waypoint:
        """Where the walk is, or will be `ahead_s` seconds on if nothing is touched."""
        walked = self.water.apply(self.pulp.hold(self.navigator.waypoint(ahead_s)), ahead_s)
        torn = self.pulp.tear(self.words.apply(walked), self.navigator, ahead_s)
        return self.visits.apply(self.guided.apply(self.water.scatter(torn, ahead_s)))

    def _tick_guided(self) -> None:
        self.guided.read(self.controls)
        if self.guides is not None and not self.guided.is_awake:
            self.guides.rest()
        elif self.guides is not None:
            seen = self.guides.look(self.guided, self.controls, self.navigator.ticks)
            if seen is not None:
                self.steer(GUIDE, seen)
        self.guided.tick(self.controls)

    @property
    def caption(self) -> Caption:
        """What is said of the picture, while docent.caption is on."""
        return self._captioner.caption

    @property
    def afloat(self) -> tuple[Afloat, ...]:
        """What is adrift over the picture, while pulp.scraps is above 0: the fragments in the water, and
        the words of what is dreamt beside them."""
        if not self["pulp.scraps"]:
            return ()
        fragments = self.water.fragments
        words = [part for part in self._told(self.waypoint()) if part.text not in fragments]
        return (*self.water.afloat, *of_words(words))

    def _told(self, here: Waypoint) -> tuple[Told, ...]:
        return told(here, self.words.palettes_of(here) | self.visits.palettes_of(here))

    def _scene(self) -> Scene:
        """What the caption tells of."""
        names = {str(self[f"{m}.prompt"]): str(self[f"{m}.caption"]) for m in self.navigator.materials}
        views = {choice: float(self[name]) for name, choice in SHOWN.items()}
        views["shelves"] = float(self["memory.view"])
        most = max(views, key=lambda view: views[view])
        here, there = self.waypoint(), self.visits.at is not None
        return Scene(
            told=self._told(self.waypoint(SPOKEN_AHEAD_S)),
            now=self._told(here),
            names={prompt: name.strip() for prompt, name in names.items() if name.strip()},
            focus=here.focus,
            torn=0.0 if here.liquid is None else here.liquid.torn,
            pulled=self.pulp.pulled,
            shown=most if views[most] > 0.5 else "picture",
            see=str(self["clouds.see"]).strip(),
            phrases=self.words.phrases,
            fragments=self.water.fragments,
            visits=there,
            travels=self.visits.going is not None and not there,
            remembered=Remembered.of(self.visits.about),
        )

    def _reset(self) -> None:
        """Every value back to the show's own, eased; the walk's place stays."""
        self.automation.presets.cancel()
        for name, value in self._own.items():
            if name not in STAYS and not self.controls.target(name) == self.controls.base(name) == value:
                self.controls.glide(name, value, RESET_S)


def play_through(conductor: Conductor, fps: Fraction, frames: int) -> Iterator[Waypoint]:
    """Steps the conductor from frame to frame of a film: the waypoint of each, at exactly n / fps seconds.

    The film's time begins at the conductor's present tick, which of a new one is the first. While the caller holds a
    frame's waypoint, the conductor's values are those of that frame.
    """
    before = conductor.navigator.ticks - 1
    for n in range(frames):
        at = Fraction(n) / fps + Fraction(before, TICK_HZ)
        while Fraction(conductor.navigator.ticks + 1, TICK_HZ) <= at:
            conductor.listen()
            conductor.tick()
        waypoint = conductor.waypoint(float(at - Fraction(conductor.navigator.ticks, TICK_HZ)))
        yield replace(waypoint, time_s=float(Fraction(n) / fps))  # as the film's clock has it, to the last bit
