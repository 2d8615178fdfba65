"""Takes of a show: what steered it, written while it plays, and played again as a film.

    recording = TakeRecording(conductor, show, Path("out/evening.take"))    # from this moment on
    show, take = open_take(Path("out/evening.take"))                        # TakeError, ShowError
    conductor = replay(show, take)

The waypoints of a replay are those of the performance, tick by tick (see conductor.py). The thread that runs the
show's loop; the disk is waited for in a thread of the writer's own.
"""

import logging
import re
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from engine import __version__
from engine.control.resolve import SMOOTHING
from engine.control.take import Event, Head, Take, TakeError, TakeSource, TakeWriter, read_take
from engine.play.conductor import (
    EVENTS,
    GUIDE,
    LEAVE,
    PRESETS,
    SEEN,
    VISIT,
    WORDS_ASKED,
    WORDS_READY,
    WORDS_REFUSED,
    Conductor,
)
from engine.play.guide_takes import PictureKeeper, check_guide_event, named_in
from engine.play.guides import NO_PICTURE, Guides
from engine.play.shows import load_show
from engine.record.names import claim_name
from engine.show.config import Show
from engine.show.files import ANSWER_S, ENDING_S
from engine.show.params import ParamError, did_you_mean, shown
from engine.walk.mix import TICK_HZ
from engine.walk.palette import Palette
from engine.walk.pulp.water import Torn
from engine.walk.visit import Place

log = logging.getLogger("pedesis")

SUFFIX = ".take"
_NO_STEERING = re.compile(
    r"(take|record)\.|show\.load$|stage\.overlay$"
)  # what is done with a performance is no part of it


class TakeRecording:
    """Writes down what steers a conductor, from now on."""

    def __init__(self, conductor: Conductor, show: Show, path: Path, whole: bool = False) -> None:
        """path: where; another name beside it where that is taken. whole: the show may only just begin, and then the
        take need not say where it began."""
        self._conductor = conductor
        self._first = conductor.navigator.ticks - 1  # of a show that begins, 0: both begin at their tick 1
        start: dict[str, Any] | None = conductor.to_dict()
        if whole and not self._first and start == Conductor(show, torn=conductor.water.torn).to_dict():
            start = None
        head = Head(
            version=__version__,
            begun=f"{datetime.now():%Y-%m-%d %H:%M:%S}",
            show=str(show.path),
            text=show.text,
            score=show.things["score_text"],
            model=show.model.name,
            seed=int(show.values["walk.seed"]),
            sets={name: show.values[name] for name in sorted(show.insisted)},
            start=start,
        )
        self._writer = writer = TakeWriter(lambda: _create(path), head.lines(TICK_HZ), TICK_HZ)
        self._pictures = PictureKeeper(lambda: writer.path if writer.opened(ANSWER_S) else None)
        self._asked: set[str] = set()  # words that were being encoded
        conductor.on_steer = self._note
        self._note_guides()

    @property
    def path(self) -> Path | None:
        """Where it is written, once that is known."""
        return self._writer.path

    @property
    def is_going(self) -> bool:
        """Whether it is still being written."""
        return self._writer.error is None and self._conductor.on_steer == self._note

    def wait(self) -> None:
        """Waits until the file is there. Raises TakeError when it cannot be made."""
        if not self._writer.opened(ANSWER_S):
            raise TakeError(f"the take cannot be written: no answer from the disk in {ANSWER_S:g} s")
        if self._writer.error is not None and self._writer.path is None:
            raise TakeError(f"the take cannot be written: {self._writer.error}")

    def pass_time(self) -> None:
        """Once a frame: a killed take is known to be as long as it was."""
        self._note_asked()
        self._writer.pass_time(self._tick(self._conductor.navigator.ticks))

    def close(self, timeout_s: float = ENDING_S) -> None:
        """Ends it here. timeout_s: how long the disk is waited for; 0: not at all. Safe to call twice."""
        if self._conductor.on_steer == self._note:
            self._note_asked()
            self._conductor.on_steer = None
        until_s = time.monotonic() + timeout_s
        self._writer.close(self._tick(self._conductor.navigator.ticks), timeout_s)
        self._pictures.close(max(0.0, until_s - time.monotonic()))

    def _note(self, tick: int, name: str, value: Any) -> None:
        if _NO_STEERING.match(name):
            return
        self._writer.note(self._tick(tick), name, value)
        for hash in named_in(name, value):
            self._keep(hash, always=name == VISIT)

    def _note_asked(self) -> None:
        """Notes words that are not encoded yet: should the take end before they are, they are not said in a replay."""
        words = self._conductor.words
        for palette in words.wanted:
            if palette.id not in self._asked and not words.is_answered(palette.id):
                self._asked.add(palette.id)
                self._note(self._conductor.navigator.ticks, WORDS_ASKED, palette.id)

    def _note_guides(self) -> None:
        """Notes where the pictures come from that steer already; the last of them is the one that steers next."""
        conductor, guides = self._conductor, self._conductor.guides
        if not isinstance(guides, Guides):
            return
        wanted = conductor.guided.wanted
        for hash in sorted(conductor.guided.named, key=lambda hash: hash == wanted):
            if (about := guides.about(hash)) is not None:
                self._note(conductor.navigator.ticks, GUIDE, about)
        if conductor.guided.named and not wanted:
            self._note(conductor.navigator.ticks, GUIDE, NO_PICTURE)
        here = conductor.waypoint().guide
        for hash, _ in here.seen if here else ():
            self._keep(hash, always=guides.about(hash) is None)

    def _keep(self, hash: str, always: bool) -> None:
        """Keeps a picture that nobody has later; always: also one that could be found where it comes from."""
        guides = self._conductor.guides
        if isinstance(guides, Guides) and (always or guides.is_live(hash)):
            pixels = guides.pixels(hash)
            if pixels is not None:
                self._pictures.keep(hash, pixels, guides.file(hash))

    def _tick(self, tick: int) -> int:
        return tick - self._first


def _create(path: Path) -> tuple[Path, BinaryIO]:
    """Raises RecorderError, OSError."""
    claimed = claim_name(path)
    return claimed, claimed.open("wb")


def open_take(
    path: Path, source: str | None = None, sets: Sequence[str] = (), seed: int | None = None
) -> tuple[Show, Take]:
    """A take and the show that it is played with: the one it was made of, as that was, or another one.

    Raises TakeError, ShowError.
    """
    take = read_take(path, TICK_HZ)
    if source is not None:
        show = load_show(source, sets, seed)
    else:
        if not take.head.show:
            raise TakeError(f"{path} does not say which show it was made of: name one, pedesis film SHOW --take {path}")
        kept = [f"{name}={value}" for name, value in take.head.sets.items()]
        show = load_show(Path(take.head.show), [*kept, *sets], seed, text=take.head.text or None,
                         score_text=take.head.score)  # fmt: skip
        now = {setting.partition("=")[0].strip() for setting in sets} | ({"walk.seed"} if seed is not None else set())
        show = replace(show, insisted=frozenset(now))
    return show, _checked(take, show, strict=source is None)


def replay(show: Show, take: Take, torn: Torn | None = None) -> Conductor:
    """A conductor that does what was done. What the show insists on goes over what the take began with.
    torn: the show's torn text.

    Raises TakeError.
    """
    # When words that were said then had been encoded is in the take; those that were written into it since are at once.
    known = (WORDS_ASKED, WORDS_READY, WORDS_REFUSED)
    answered = {event.value for event in take.events if event.name in known}
    conductor = Conductor(show, words_at_once=True, but_for=answered, torn=torn)
    if take.head.start is not None:
        try:
            conductor.restore(_without(take.head.start, show.insisted))
        except Exception as fault:  # whatever stands there
            raise TakeError(f"{take.path}: where the take began cannot be read: {fault!r}") from None
    first = conductor.navigator.ticks - 1
    conductor.add(TakeSource(take.events, lambda: conductor.navigator.ticks - first))
    return conductor


def _without(start: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Where a take began, but for some of its values."""
    controls = {
        part: {n: v for n, v in values.items() if n not in names} if isinstance(values, dict) else values
        for part, values in start["controls"].items()
    }
    return {**start, "controls": controls}


def _check_smoothing(where: str, event: Event, show: Show) -> None:
    """Raises TakeError."""
    param = show.registry.get(event.name.removeprefix(SMOOTHING))
    if param is None or param.kind != "number":
        raise TakeError(f"{where}: {event.name} must name a number of the show")
    if isinstance(event.value, bool) or not isinstance(event.value, int | float) or event.value < 0:
        raise TakeError(f"{where}: {event.name} must be a number of seconds, got {shown(event.value)}")


def _checked_event(where: str, event: Event) -> Event:
    """Raises TakeError where what it carries is damaged."""
    try:
        if event.name == VISIT:
            Place.from_dict(event.value["place"])
            for prompts in event.value["words"].values():
                Palette.of(prompts)
        elif event.name == GUIDE:
            check_guide_event(event.value)
        elif event.name == PRESETS:
            if not isinstance(event.value, dict):
                raise TypeError(f"presets are a table, got {shown(event.value)}")
        elif event.name not in (LEAVE, SEEN) and not isinstance(event.value, str):
            raise TypeError(f"a palette's id is text, got {shown(event.value)}")
    except Exception as fault:  # whatever stands there
        raise TakeError(f"{where}: what {event.name} carries is damaged: {fault!r}") from None
    return event


def _checked(take: Take, show: Show, strict: bool) -> Take:
    """The take with its values as the show takes them. Raises TakeError.

    strict: an unknown name is a mistake; else it is another show's, and left out.
    """
    events: list[Event] = []
    unknown: dict[str, int] = {}
    for event in take.events:
        where = f"{take.path}, line {event.line}"
        param = show.registry.get(event.name)
        if event.name in EVENTS:
            events.append(_checked_event(where, event))
        elif event.name.startswith(SMOOTHING):
            _check_smoothing(where, event, show)
            events.append(event)
        elif param is None and strict:
            near = did_you_mean(show.registry.nearest(event.name))
            raise TakeError(f"{where}: {event.name} is not known; `pedesis params {show.path}` lists them all{near}")
        elif param is None:
            unknown.setdefault(event.name, event.line)
        elif not param.live:
            raise TakeError(f"{where}: {event.name} only counts when a show begins: write set {event.name} instead")
        else:
            try:
                events.append(replace(event, value=param.coerce(event.value)))
            except ParamError as error:
                raise TakeError(f"{where}: {error}") from None
    for name, line in unknown.items():
        log.warning("%s, line %d: the show %s has no %s; what the take says of it is left out",
                    take.path, line, show.name, name)  # fmt: skip
    return replace(take, events=tuple(events))
