"""One show being played: where its walk is, and the picture that is made of what is dreamt of it.

    playing = Performance(Prepared.of(show), blend)
    playing.begin(clock_s)
    playing.walk(clock_s); playing.take_in(keyframe); picture = playing.draw()
    feed = Feed(playing, resting)                   # what a dreamer is supplied with

What belongs to the window and the process is the Player's (live.py). The stage's GL thread.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from engine.dreamer.process import SLOTS, Keyframe
from engine.play.conductor import PRESETS, SEEN, Conductor
from engine.play.guides import Dreams, Guides
from engine.play.inputs import Inputs
from engine.play.remember import Remember
from engine.play.state import Memory
from engine.play.stored import StoredPresets
from engine.play.torn import torn_text
from engine.show.config import Show
from engine.show.files import ENDING_S
from engine.stage.blend import Blend, Picture
from engine.stage.lettering import Lettering
from engine.walk.caption import Caption
from engine.walk.mix import TICK_S
from engine.walk.palette import Palette
from engine.walk.waypoint import Waypoint, same_place

LONGEST_STEP_S = 0.25  # a longer frame (a machine suspended, or far too slow) moves the walk no further than this
SAVE_EVERY_S = 10.0


@dataclass(frozen=True)
class Prepared:
    """A show, and all that needs neither GL nor a model to play it."""

    show: Show
    conductor: Conductor  # which hears nobody yet
    inputs: Inputs
    memory: Memory | None  # of the walk's place
    stored: StoredPresets
    guides: Guides

    @staticmethod
    def of(show: Show) -> "Prepared":
        """Waits for the disk. Raises PulpError."""
        torn = torn_text(show)
        inputs, stored, guides = Inputs(show), StoredPresets(show), Guides(show)
        conductor = Conductor(show, automata=[inputs.mapper], torn=torn, unseen=True, guides=guides)
        conductor.steer(PRESETS, stored.load())
        return Prepared(show, conductor, inputs, Memory(show) if show.stage.resume else None, stored, guides)

    def recall(self) -> bool:
        """Resumes the walk where it was left, if the show is one that remembers. Waits for the disk."""
        return self.memory is not None and self.memory.recall(
            self.conductor.navigator, self.conductor.controls, self.conductor.water, self.conductor.guided
        )


class Performance:
    """A show, its conductor, and its pictures."""

    def __init__(self, prepared: Prepared, blend: Blend) -> None:
        self.show, self.conductor, self.blend = prepared.show, prepared.conductor, blend
        self.inputs, self.memory, self.stored = prepared.inputs, prepared.memory, prepared.stored
        self.guides = prepared.guides
        self.remember = Remember(self.show, self.conductor)
        self.first: Waypoint | None = None  # that was given to be dreamt
        self.now_s = self.conductor.time_s  # the show's own time
        self._given: deque[Waypoint] = deque(maxlen=2 * SLOTS)  # the last ones, some of which are under way
        self._asked_s = -1.0  # time of the waypoint that was given last
        self._newest: Waypoint | None = None  # of the newest keyframe
        self._skipped_s = 0.0  # real time the walk did not go through
        self._saved_at = 0.0

    def begin(self, clock_s: float) -> None:
        """The walk goes on from where it is, as of this moment."""
        self._skipped_s = clock_s - self.conductor.time_s

    def walk(self, clock_s: float) -> float:
        """Steps the walk up to now; returns the show's time in seconds."""
        conductor = self.conductor
        now_s = clock_s - self._skipped_s
        behind = now_s - conductor.time_s
        if behind > LONGEST_STEP_S:
            self._skipped_s += behind - LONGEST_STEP_S
            now_s = conductor.time_s + LONGEST_STEP_S
        while conductor.time_s <= now_s - TICK_S:
            conductor.tick()
        self.now_s = now_s
        return now_s

    def waypoint(self, unseen: bool = False) -> Waypoint | None:
        """Where the walk is, once a tick; None while the dreamer may rest, as nobody would see anything new."""
        if self.conductor.time_s == self._asked_s:
            return None
        here, newest, visits = self.guides.known_only(self.conductor.waypoint()), self._newest, self.conductor.visits
        if visits.locked and visits.at is None:
            return None
        if newest is not None and same_place(here, newest):
            self.blend.hold(here.time_s)
            return None
        if newest is not None and (unseen or self.blend.is_frozen):
            return None
        self._asked_s = here.time_s
        self.first = self.first or here
        self._given.append(here)
        return here

    def take_in(self, keyframe: Keyframe) -> bool:
        """Takes a picture, if it was dreamt of this show: one dreamer may go on from one to another."""
        if not any(waypoint is keyframe.waypoint for waypoint in self._given):
            return False
        if self._newest is None:
            self.conductor.steer(SEEN, True)
            self.guides.open()
        self.blend.upload(keyframe)
        self.remember.take_in(keyframe, may_offer=not self.guides.is_watching(keyframe.waypoint))
        self._newest = keyframe.waypoint
        return True

    def palettes_of(self, waypoint: Waypoint) -> dict[str, Palette]:
        """The words that a waypoint of a short while ago names, by their ids."""
        return self.conductor.words.palettes_of(waypoint) | self.conductor.visits.palettes_of(waypoint)

    def draw(self) -> Picture:
        """The picture of this moment."""
        return self.blend.render(self.now_s, self.conductor)

    def letter(self, lettering: Lettering) -> None:
        """Hands on what is written over the picture."""
        conductor, seed = self.conductor, int(self.show.values["walk.seed"])
        if self._newest is None:  # nothing that words could be about
            lettering.set((), seed, Caption())
        else:
            lettering.set(conductor.afloat, seed, conductor.caption)

    def save(self) -> None:
        """Keeps presets that were stored, and once in a while where the walk is, if the show is one that remembers."""
        self.stored.keep(self.conductor.automation.presets)
        if self.memory and self.now_s - self._saved_at >= SAVE_EVERY_S:
            self._saved_at = self.now_s
            self.memory.keep(self.conductor.navigator, self.conductor.water, self.conductor.guided)

    def keep(self) -> Callable[[], None]:
        """Keeps where the walk is for the next time; what is returned waits for the disk."""
        if self.memory:
            self.memory.keep(self.conductor.navigator, self.conductor.water, self.conductor.guided)

        def wait() -> None:
            if self.memory:
                self.memory.close()
            self.stored.close()
            self.remember.close(ENDING_S)

        return wait


class Feed:
    """What a dreamer is supplied with: the waypoints of a performance, which may be exchanged for another."""

    def __init__(self, performance: Performance, unseen: Callable[[], bool]) -> None:
        """unseen: whether nobody would see a picture now."""
        self.performance, self._unseen = performance, unseen
        self.dreamer: Dreams | None = None  # who is shown the pictures that waypoints name

    def __call__(self) -> Waypoint | None:
        waypoint = self.performance.waypoint(self._unseen())
        if waypoint is not None and waypoint.guide is not None and self.dreamer is not None:
            self.performance.guides.show(waypoint, self.dreamer)
        return waypoint
