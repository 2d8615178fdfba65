"""The pictures that steer a show: looked for while something is asked of them, and shown to whoever dreams.

    guides = Guides(show); conductor = Conductor(show, guides=guides)
    guides.open()                               # cameras may be opened from now on
    waypoint = guides.known_only(waypoint)      # a place of long ago may name others
    guides.show(waypoint, dreamer)              # before a waypoint that names some is given to be dreamt
    guides.close()

    guides = FilmGuides(show)                   # a film's, which waits for the disk

Guides belongs to the show's thread and never waits: each source is read in a thread of its own. Nothing is opened
while all weights of guides are 0. No picture is written anywhere (a take keeps some, see guide_takes.py).
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from engine.play.guide_fit import Fit, GuideError, Picture
from engine.play.guide_reel import Again, Reel, Seen
from engine.play.guide_sources import BEAT_TICKS, Source, Wish, files_of, open_source
from engine.play.provenance import digest_of
from engine.play.remember import bank_path
from engine.show.config import Show
from engine.walk.guide import NOTHING, Guided, Steering
from engine.walk.guide_params import CAMERA, NO_GUIDE, GuideSource
from engine.walk.waypoint import Guide, Waypoint

log = logging.getLogger("pedesis")

KEPT, KEPT_IN_FILM = 16, 64  # pictures that are at hand
KNOWN = 4096  # of which it is known where they come from
MOST_SAID = 256  # pictures of folders that are told to be left out
NO_PICTURE: dict[str, Any] = {"picture": NOTHING}


class Dreams(Protocol):
    """The part of a dreamer that is shown pictures."""

    def show_guide(self, hash: str, pixels: Picture, /) -> bool: ...
    def knows_guide(self, hash: str, /) -> bool: ...


class Reading(Protocol):
    """What reads a source (guide_reel.py, guide_camera.py)."""

    def ask(self, wish: Wish) -> None: ...
    def newest(self, wish: Wish) -> Seen | None: ...
    def close(self) -> None: ...
    @property
    def trouble(self) -> str:
        """Why there is nothing to see; empty while there is."""
        ...

    @property
    def is_ending(self) -> bool:
        """Whether it was closed, and still holds what it read."""
        ...


class Guides:
    """See the module's head."""

    kept = KEPT

    def __init__(self, show: Show) -> None:
        self._show = show
        self._sources: Mapping[str, GuideSource] = {guide.name: guide for guide in show.things.get("guide", ())}
        self._size = show.model.width, show.model.height
        self._seed = int(show.values["walk.seed"])
        self._reels: dict[str, Reading] = {}  # one that is asked, by its name
        self._closing: dict[str, Reading] = {}  # those that may still hold a device, and are not opened again meanwhile
        self._kept: OrderedDict[str, Seen] = OrderedDict()  # by hash, used last at the end
        self._about: OrderedDict[str, dict[str, Any]] = OrderedDict()  # of each hash, what GUIDE carried
        self._told: dict[str, str] = {}  # the trouble of each source that was told last
        self._said: set[str] = set()
        self._may_open_cameras = self._is_closed = False

    def open(self) -> None:
        """Cameras may be opened: there is something to be seen of the show, and two cannot have the same camera."""
        self._may_open_cameras = True

    def look(self, guided: Guided, steer: Steering, ticks: int) -> dict[str, Any] | None:
        """What is to steer from this tick on, as the event GUIDE carries it; None: whatever it is, it stays."""
        name = str(steer["guide.source"])
        self._close_others(name)
        reel = self._reel(name)
        if reel is None:
            return NO_PICTURE if guided.wanted and name == NO_GUIDE else None
        wish = self._wish(guided, steer, ticks)
        reel.ask(wish)
        if not guided.has_room and not reel.trouble:
            return None
        seen = reel.newest(wish)
        self._tell(name, reel.trouble)
        if reel.trouble:
            return NO_PICTURE if guided.wanted else None
        if seen is None or seen.hash == guided.wanted:
            return None
        return self._take(name, seen)

    def rest(self) -> None:
        """Nothing is asked for: closes what is open."""
        if self._reels:
            self._close_others("")

    def show(self, waypoint: Waypoint, dreamer: Dreams) -> None:
        """Shows a dreamer the pictures that a waypoint names. Those it has first, so that none of them goes."""
        hashes = [hash for hash, _ in waypoint.guide.seen] if waypoint.guide else []
        for hash in sorted(hashes, key=lambda hash: not dreamer.knows_guide(hash)):
            pixels = self.pixels(hash)
            if pixels is not None:
                dreamer.show_guide(hash, pixels)

    def known_only(self, waypoint: Waypoint) -> Waypoint:
        """The waypoint itself, or without the pictures that cannot be had."""
        if waypoint.guide is None:
            return waypoint
        guide = _without(waypoint.guide, lambda hash: self.pixels(hash) is not None)
        return waypoint if guide is waypoint.guide else replace(waypoint, guide=guide)

    def pixels(self, hash: str) -> Picture | None:
        """A picture that steers or did so lately."""
        seen = self._kept.get(hash)
        if seen is None:
            return None
        self._kept.move_to_end(hash)
        return seen.pixels

    def file(self, hash: str) -> bytes | None:
        """The same as a small file, if it came from a camera."""
        seen = self._kept.get(hash)
        return seen.file if seen else None

    def about(self, hash: str) -> dict[str, Any] | None:
        """What GUIDE carried of it: where it comes from."""
        return self._about.get(hash)

    def is_live(self, hash: str) -> bool:
        """Whether it was there only then: a camera's, or of the bank."""
        source = self._source_of(hash)
        return source is not None and source.is_live

    def is_watching(self, waypoint: Waypoint) -> bool:
        """Whether a camera steers that picture."""
        sources = [self._source_of(hash) for hash, _ in waypoint.guide.seen] if waypoint.guide else []
        return any(source is not None and source.source.startswith(CAMERA) for source in sources)

    @property
    def status(self) -> str:
        """What is looked at, and what is wrong with it; empty while nothing is asked for."""
        return "   ".join(f"{name}: {reel.trouble}" if reel.trouble else name for name, reel in self._reels.items())

    def close(self) -> None:
        """Lets go of everything, without waiting. Safe to call twice; nothing is opened any more."""
        self._is_closed = True
        self._close_others("")

    def _source_of(self, hash: str) -> GuideSource | None:
        """Where a picture comes from, as far as it is known."""
        about = self._about.get(hash)
        return self._sources.get(str(about["of"])) if about is not None else None

    def _take(self, name: str, seen: Seen) -> dict[str, Any]:
        fit = seen.fit
        about: dict[str, Any] = {"picture": seen.hash, "of": name, "at": seen.at}
        about |= {"size": [fit.width, fit.height], "fit": fit.how, "mirror": fit.mirror}
        put(self._kept, seen.hash, seen, self.kept)
        put(self._about, seen.hash, about, KNOWN)
        return about

    def _wish(self, guided: Guided, steer: Steering, ticks: int) -> Wish:
        fit = Fit(*self._size, str(steer["guide.fit"]), bool(steer["guide.mirror"]))
        return Wish(int(guided.turns), ticks // BEAT_TICKS, fit, self._seed if steer["guide.shuffle"] else None)

    def _reel(self, name: str) -> Reading | None:
        """What reads that source; None where there is none, or it cannot be opened yet."""
        if name in self._reels:
            return self._reels[name]
        source = None if self._is_closed else self._sources.get(name)
        if source is None or (name in self._closing and self._closing[name].is_ending):
            return None
        self._closing.pop(name, None)
        opened = self._opened(source)
        if opened is not None:
            self._reels[name] = opened
        return opened

    def _opened(self, source: GuideSource) -> Reading | None:
        if not source.source.startswith(CAMERA):
            return Reel(self._opener(source))
        if not self._may_open_cameras:
            return None
        from engine.play.guide_camera import Camera

        return Camera(source.source.removeprefix(CAMERA))

    def _opener(self, source: GuideSource) -> Callable[[], Source]:
        show = self._show

        def tell(line: str) -> None:
            if line not in self._said and len(self._said) < MOST_SAID:
                self._said.add(line)
                log.warning("the guide %s: %s", source.name, line)

        return lambda: open_source(source.source, lambda: bank_path(show), tell)

    def _close_others(self, name: str) -> None:
        for other in [other for other in self._reels if other != name]:
            self._closing[other] = self._reels.pop(other)
            self._closing[other].close()

    def _tell(self, name: str, trouble: str) -> None:
        """One line when there is nothing to see of a source, and one when there is again."""
        if trouble == self._told.get(name, ""):
            return
        self._told[name] = trouble
        what = f"the guide {name} ({self._sources[name].source})"
        if trouble:
            log.warning("%s: %s; the walk goes on without it", what, trouble)
        else:
            log.info("%s is there again", what)


class FilmGuides(Guides):
    """A film's: what it needs it reads at once. What is there only live steers no film but that of a take."""

    kept = KEPT_IN_FILM

    def pixels(self, hash: str) -> Picture | None:
        """Waits for the disk where it is not at hand."""
        found = super().pixels(hash)
        about = self._about.get(hash)
        if found is not None or about is None:
            return found
        reel = self._reel(str(about["of"]))
        if not isinstance(reel, Again):
            return None
        fit = Fit(*self._size, about["fit"], about["mirror"])
        try:
            found = reel.read_at(about["at"], fit)
        except GuideError as fault:
            self._tell(str(about["of"]), str(fault))
            return None
        put(self._kept, hash, Seen(hash, found, fit, about["at"]), self.kept)
        return found

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What the film's bytes depend on. Raises OSError."""
        kept = {name: digest_of(files_of(s.source)) for name, s in self._sources.items() if not s.is_live}
        return {f"the files of the guide {name}": digest for name, digest in kept.items()}

    def _opened(self, source: GuideSource) -> Reading | None:
        if not source.is_live:
            return Again(self._opener(source))
        kind = "a camera" if source.source.startswith(CAMERA) else "a memory"
        self._tell(source.name, f"{kind} steers a film only where a take has kept its pictures (pedesis film --take)")
        return None

    def _close_others(self, name: str) -> None:
        """Nothing: a film may go back to any of them."""

    def close(self) -> None:
        for reel in self._reels.values():
            reel.close()
        self._reels.clear()


def _without(guide: Guide, has: Callable[[str], bool]) -> Guide | None:
    """The guide without the pictures that are not there, as much weaker; None where none is."""
    seen = [(hash, share) for hash, share in guide.seen if has(hash)]
    if len(seen) == len(guide.seen):
        return guide
    there = sum(share for _, share in seen)
    if not there:
        return None
    weights = (weight * there for weight in (guide.strength, guide.outline, guide.likeness))
    return Guide(tuple((hash, share / there) for hash, share in seen), *weights)


def put(into: OrderedDict[str, Any], hash: str, what: Any, most: int) -> None:
    """Keeps it as the newest; the oldest beyond `most` go."""
    into[hash] = what
    into.move_to_end(hash)
    while len(into) > most:
        into.popitem(last=False)
