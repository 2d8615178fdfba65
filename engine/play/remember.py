"""The memory bank of a running show: what is dreamt is offered to it, and what is recalled the walk is sent to.

    remember = Remember(show, conductor)
    remember.step()                    # once a frame, before the dreamer is asked
    remember.take_in(keyframe)         # each that comes
    remember.feed(shelves, map)        # the views of the bank that are seen
    remember.close(timeout_s)

The show's thread; whatever takes time is done by the keeper's (walk/memory/keeper.py). A recall comes to the walk as
an event with the number of its tick, so a take holds it, and a film of the take needs no bank.
"""

import logging
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engine.play.conductor import Conductor
from engine.play.provenance import model_mark
from engine.play.state import folder_of
from engine.show.config import Show
from engine.show.params import Value
from engine.walk.memory.bank import Memory
from engine.walk.memory.keeper import Keeper
from engine.walk.memory.questions import (
    Answer,
    Ask,
    Found,
    Kept,
    Listed,
    NextApproved,
    NotFound,
    Offer,
    Settings,
    Shelved,
    Short,
    Thumbnail,
    Trouble,
)
from engine.walk.memory.recall import Asked, told_time, understood
from engine.walk.reading import MAX_WORDINGS
from engine.walk.visit import Place
from engine.walk.waypoint import Waypoint

log = logging.getLogger("pedesis")

FOREVER_S = float("inf")
OFFERED_S = 2.5  # between two pictures that are offered, once it is time for another
ASKED_S = 5.0  # after which a thumbnail that has not come is asked for again
TELL_S = 1.0  # between two lines in the log about where it goes
AGAIN_S = 2.0  # between two questions for an approved memory, where there is none


class Dreamt(Protocol):
    """The part of a dreamer's Keyframe that is remembered."""

    @property
    def waypoint(self) -> Waypoint: ...
    @property
    def pixels(self) -> NDArray[np.uint8]: ...


class View(Protocol):
    """A view of the bank on stage: the shelves, the map."""

    wanted: list[int]

    def enter(self, identity: int | None) -> None: ...
    def put_thumbnail(self, identity: int, rgb: NDArray[np.uint8]) -> None: ...


class Spheres(View, Protocol):
    """The part of the stage's shelves that the bank feeds."""

    def set(self, spheres: NDArray[np.void]) -> None: ...


def bank_path(show: Show) -> Path:
    """Where a show keeps its memories. Raises OSError."""
    named = str(show.values["memory.file"])
    return Path(named).expanduser() if named else folder_of(show) / "memory.db"


class Remember:
    """See the module's head. A show without a bank has one too, which says so when a memory is asked for."""

    def __init__(self, show: Show, conductor: Conductor) -> None:
        self._show, self._conductor = show, conductor
        self._keeper: Keeper | None = None
        if show.values["memory.enabled"]:
            self._keeper = Keeper(lambda: bank_path(show), self._settings(), lambda: model_mark(show))
            self._keeper.start()
        self.count = 0  # memories in the bank
        self.at: int | None = None  # number of the one that the walk was sent to
        self._shelved: Shelved | None = None
        self._listed: tuple[Short, ...] = ()
        self._is_new = False  # whether those shelves were not handed on yet
        self._thumbnails: list[Thumbnail] = []
        self._wanted_at: dict[int, float] = {}
        self._newest: tuple[Waypoint, NDArray[np.uint8]] | None = None
        self._next_s = OFFERED_S  # when the next one is offered
        self._approved_until_s = 0.0
        self._jumps = conductor.jumps
        self._told_at = -TELL_S
        self._said: set[str] = set()

    def take_in(self, keyframe: Dreamt, may_offer: bool = True) -> None:
        """Keeps a copy of the newest picture, and offers it to the bank when it is time for another, if it may: what a
        camera sees is kept by hand only."""
        if self._keeper is None:
            return
        here = self._conductor
        if self._newest is None or self._newest[1].shape != keyframe.pixels.shape:
            self._newest = keyframe.waypoint, keyframe.pixels.copy()
        else:
            np.copyto(self._newest[1], keyframe.pixels)
            self._newest = keyframe.waypoint, self._newest[1]
        if may_offer and here.time_s >= self._next_s and here.visits.is_idle:
            self._next_s = here.time_s + OFFERED_S
            self._offer(by_hand=False)

    def step(self) -> None:
        """Hears what is asked of the bank, and what it answers."""
        controls = self._conductor.controls
        if controls.take("memory.keep") and self._is_kept("memory.keep"):
            self._offer(by_hand=True)
        while (text := controls.take_call("memory.recall")) is not None:
            if self._is_kept("memory.recall"):
                self._ask(understood(text, time.time()), text)
        if (strength := controls.take("memory.random")) and self._is_kept("memory.random"):
            self._ask(Asked(), "random", strength)
        if controls.take("memory.leave"):
            self._conductor.leave()
        if self._keeper is None:
            return
        self._keeper.set(self._settings())
        self._curate(self._keeper)
        for answer in self._keeper.answers():
            self._hear(answer)
        if self.at is not None and self._conductor.visits.is_idle:
            self.at = None

    @property
    def shelved(self) -> Shelved | None:
        """What is on the shelves, as it was last told."""
        return self._shelved

    def feed(self, shelves: Spheres | None, *others: View) -> None:
        """Hands on to the views of the bank that are seen what is new, and asks for the pictures that they want."""
        views: list[View] = [*([shelves] if shelves else []), *others]
        if self._keeper is None or not views:
            return
        if shelves and self._shelved is not None and self._is_new:
            shelves.set(_spheres(self._shelved))
            self._is_new = False
        for view in views:
            view.enter(self.at)
        for thumbnail in self._thumbnails:
            self._wanted_at.pop(thumbnail.number, None)
            for view in views:
                view.put_thumbnail(thumbnail.number, thumbnail.pixels)
        self._thumbnails.clear()
        now = time.monotonic()
        for number in {number: None for view in views for number in view.wanted if number >= 0}:
            if now - self._wanted_at.get(number, -ASKED_S) >= ASKED_S:
                self._wanted_at[number] = now
                self._keeper.want(number)
        if len(self._wanted_at) > 1024:  # asked for and flown past
            self._wanted_at.clear()

    @property
    def newest(self) -> tuple[Short, ...]:
        """The newest memories, as far as it is known, the newest first."""
        return self._listed

    def line(self) -> str:
        """How the bank is, for the overlay."""
        if self._keeper is None:
            return "memory off"
        return f"memory {self.count} kept" + ("" if self.at is None else f"   at {self.at}")

    def close(self, timeout_s: float) -> None:
        """Ends the bank's thread, but waits no longer than this."""
        if self._keeper is not None:
            self._keeper.close(timeout_s)

    def _settings(self) -> Settings:
        here = self._conductor
        return Settings(
            int(here["memory.capacity"]),
            bool(here["memory.archive"]),
            float(here["memory.half_life"]),
            float(here["memory.every"]),
        )

    def _is_kept(self, name: str) -> bool:
        if self._keeper is None:
            self._say(f"{name} does nothing: this show keeps no memories ([memory] enabled = true does)")
        return self._keeper is not None

    def _offer(self, by_hand: bool) -> None:
        if self._keeper is None:
            return
        if self._newest is None:
            if by_hand:
                log.info("memory.keep: there is no picture to keep yet")
            return
        waypoint, pixels = self._newest
        palettes = self._conductor.words.palettes_of(waypoint) | self._conductor.visits.palettes_of(waypoint)
        place = Place.of(waypoint)
        if len(place.beside) > MAX_WORDINGS or any(id not in palettes for id in place.palettes):
            if by_hand:
                log.info("memory.keep: not kept; too much is being said at once to be said again")
            return
        time_s = self._conductor.time_s
        self._keeper.offer(Offer(place, palettes, pixels.copy(), self._steered(), by_hand, time_s))

    def _steered(self) -> Mapping[str, Value]:
        own, controls = self._show.values, self._conductor.controls
        live = (n for n, p in self._show.registry.items() if p.live and not p.fires)
        return {name: controls.target(name) for name in live if controls.target(name) != own[name]}

    def _ask(self, asked: Asked, text: str, strength: float = 1.0) -> None:
        pixels = self._newest[1].copy() if asked.like and self._newest else None
        if self._keeper is not None:
            self._keeper.ask(Ask(asked, text, strength, self._conductor.navigator.ticks, pixels, self.at))

    def _curate(self, keeper: Keeper) -> None:
        """Goes from one approved memory to the next, each for memory.stay, while nothing else may be shown."""
        here = self._conductor
        if not here["memory.approved"]:
            if self._approved_until_s and not here.visits.locked:
                self._approved_until_s = 0.0
                here.leave()
        elif here.time_s >= self._approved_until_s or here.jumps != self._jumps:
            self._approved_until_s = here.time_s + AGAIN_S
            keeper.ask(NextApproved(self.at, int(here["walk.seed"])))
        self._jumps = here.jumps

    def _hear(self, answer: Answer) -> None:
        if isinstance(answer, Found):
            self._go(answer)
        elif isinstance(answer, Kept):
            self.count += 1
            if answer.by_hand:
                log.info("kept as memory %d", answer.number)
            else:
                self._next_s = self._conductor.time_s + float(self._conductor["memory.every"])
        elif isinstance(answer, Shelved):
            self._shelved, self._is_new, self.count = answer, True, answer.count
        elif isinstance(answer, Listed):
            self._listed = answer.memories
        elif isinstance(answer, Thumbnail):
            self._thumbnails.append(answer)
        elif isinstance(answer, NotFound):
            self._say(answer.why)
        elif isinstance(answer, Trouble):
            log.warning("%s", answer.why)

    def _go(self, found: Found) -> None:
        here, memory = self._conductor, found.memory
        curated = bool(here["memory.approved"])
        if curated and not memory.approved:
            self._say(f"memory {memory.number} is not approved, and only approved ones are shown")
            return
        leap = curated or here["memory.by"] == "transition"
        stay_s = FOREVER_S if curated else float(here["memory.stay"])
        try:
            here.visit(memory.place, memory.palettes, stay_s, leap, _about(memory))
        except ValueError as error:
            self._say(f"memory {memory.number} cannot be gone to: {error}")
            return
        self.at = memory.number
        if curated:
            self._approved_until_s = here.time_s + max(float(here["memory.stay"]), AGAIN_S)
        if time.monotonic() - self._told_at >= TELL_S:  # a sensor may ask a hundred times a second
            self._told_at = time.monotonic()
            log.info("going to memory %d, kept %s", memory.number, told_time(memory.created))

    def _say(self, words: str) -> None:
        """Once; a sensor may ask a hundred times."""
        if words not in self._said and len(self._said) < 256:
            self._said.add(words)
            log.warning("%s", words)


def _about(memory: Memory) -> dict[str, int] | None:
    """What a caption tells of a memory (walk/caption.py, Remembered); clocks have been wrong by thousands of years."""
    try:
        kept = datetime.fromtimestamp(memory.created).date()
    except (ValueError, OverflowError, OSError):
        return None
    ago = (datetime.now().date() - kept).days
    about = {"number": memory.number, "year": kept.year, "month": kept.month, "day": kept.day}
    return about | {"weekday": kept.isoweekday(), "ago_days": ago}


def _spheres(shelved: Shelved) -> NDArray[np.void]:
    from engine.stage.shelving import SPHERE

    spheres = np.zeros(len(shelved.numbers), SPHERE)
    spheres["id"], spheres["kind"] = shelved.numbers, shelved.kinds
    spheres["place"], spheres["strength"] = shelved.places, shelved.strengths
    spheres["colour"] = shelved.colours
    return spheres
