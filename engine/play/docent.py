"""The docent of a running show: which page is shown, with which words, figures and pictures, and the map.

    docent = Docent(ctx, shaders, show)
    docent.follow(keyframe, palettes, time_s)            # each that comes
    docent.step(dreamer, shelved, lesson.step)           # once a frame
    docent.seen = Seen(picture, blend.numbers)
    docent.draw(framebuffer, values, now_s, lesson.step)  # after the look
    docent.close()

The show's thread. What a step does to the show is the lesson's (lesson.py), which the conductor steps; here is only
what is seen of it. Pictures beside the show (guesses, what lies between) are asked of the dreamer one at a time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import moderngl
import numpy as np
from numpy.typing import NDArray

from engine.dreamer.messages import Sketched
from engine.dreamer.spec import Keyframe
from engine.play.charting import Charting
from engine.show.config import Show
from engine.show.language import Language
from engine.show.params import Value
from engine.stage.docent import DocentView, Page, Patch, Seen
from engine.stage.docent_params import STEPS
from engine.stage.shaders import Shaders
from engine.stage.shelves import Shelves
from engine.walk.memory.questions import Shelved
from engine.walk.palette import Palette
from engine.walk.waypoint import Waypoint, normalise, scaled

Values = Mapping[str, Value]
DOTS = 8, 5  # of the picture whose numbers are shown, across and down
BETWEEN = 7  # pictures of two places and what lies between
AWAY = 30.0  # phases from one place to the other, where there is one material only
IMAGES = ("clouds", "pulp", "memory", "all_three", "end")


class Sketcher(Protocol):
    """The part of the dreamer's process that dreams beside the show."""

    def sketch(self, number: int, waypoint: Waypoint, steps: bool = False) -> bool: ...
    def take_sketched(self) -> list[Sketched]: ...


@dataclass
class _Row:
    """Pictures that were asked for, and those that have come."""

    step: str
    number: int
    asks: list[tuple[Waypoint, bool]]
    ends: tuple[str, str] = ("", "")
    pictures: list[NDArray[np.uint8] | None] = field(default_factory=list)
    asked: int = 0  # how many were asked for
    came: int = 0
    calls: int = 0

    @property
    def is_whole(self) -> bool:
        return self.came >= len(self.asks)


class Docent:
    """See the module's head."""

    def __init__(self, ctx: moderngl.Context, shaders: Shaders, show: Show, wait: bool = False) -> None:
        """wait: nothing appears late, as in a film."""
        self.view = DocentView(ctx, shaders, wait)
        self.seen: Seen | None = None
        self._row: _Row | None = None
        self._rows = 0
        self.play(show)

    def play(self, show: Show) -> None:
        """Another show is on stage from now on."""
        self._show = show
        self._language: Language | None = None
        self._charting = Charting([material.name for material in show.materials])
        self._newest: tuple[Waypoint, Mapping[str, Palette]] | None = None
        self._patch: Patch | None = None
        self._keyframes = 0
        self._cells: int | None = None  # numbers of a latent
        self._row = None
        self._filled = -1  # the newest moment that is on the shelves

    def follow(self, keyframe: Keyframe, palettes: Mapping[str, Palette], time_s: float) -> None:
        """A picture that goes on stage. palettes: those that its waypoint names."""
        waypoint, pixels = keyframe.waypoint, keyframe.pixels
        self._newest = waypoint, palettes
        self._keyframes += 1
        if keyframe.numbers is not None:
            shown = keyframe.numbers.noise if keyframe.numbers.latent is None else keyframe.numbers.latent
            self._cells = int(shown.size)
        self._patch = _patch(pixels, self._keyframes)
        said: dict[str, float] = {}
        for wording in waypoint.wordings:
            palette = palettes.get(wording.palette)
            for prompt, weight in zip(palette.prompts if palette else (), wording.weights, strict=False):
                said[prompt] = said.get(prompt, 0.0) + wording.share * weight
        self._charting.take_in(pixels, said, waypoint.weights, time_s)

    def step(self, dreamer: Sketcher, shelved: Shelved | None, step: str) -> None:
        """Asks for what the page needs, and brings the map up to date. step: that is shown, "" for none."""
        if self._row is not None:
            for sketched in dreamer.take_sketched():
                self._hear(sketched)
        self._ask(dreamer, step)
        if self.view.shows_map:
            self._charting.step(shelved, self.view.map)
            self.view.names = self._charting.names
            self._charting.feed(self.view.map)
            self.view.note = self.language.say("map.begins")

    def fill(self, shelves: Shelves) -> None:
        """Puts what was dreamt of late on the shelves, where there is no bank."""
        spheres, pictures = self._charting.spheres()
        newest = int(spheres["id"][-1]) if len(spheres) else -1
        if newest != self._filled:
            self._filled = newest
            shelves.set(spheres)
        for number in shelves.wanted:
            if number in pictures:
                shelves.put_thumbnail(number, pictures[number])

    @property
    def is_waiting(self) -> bool:
        """Whether a page has pictures that are still to be dreamt."""
        return self._row is not None and not self._row.is_whole

    @property
    def language(self) -> Language:
        """Waits for the disk, the first time that something is said."""
        if self._language is None:
            name = str(self._show.values["docent.language"])
            self._language = Language.load(name, [self._show.path.parent])
        return self._language

    def draw(self, framebuffer: moderngl.Framebuffer, values: Values, now_s: float, step: str) -> None:
        """Draws the page and the map over the program."""
        if self.seen is None:
            return
        page = self.page(step) if step else None
        self.view.render(framebuffer, page, self.seen, values, now_s)

    def close(self) -> None:
        self.view.close()

    # Rows of pictures

    def _ask(self, dreamer: Sketcher, step: str) -> None:
        if step not in ("guesses", "between"):
            self._row = None
            return
        if self._row is None or self._row.step != step:
            if self._newest is None:
                return
            self._rows += 1
            waypoint = self._newest[0]
            if step == "guesses":
                self._row = _Row(step, self._rows, [(waypoint, True)])
                self._row.pictures = [None] * (self._show.model.steps + 1)
            else:
                ways, ends = self._between(*self._newest)
                self._row = _Row(step, self._rows, [(w, False) for w in ways], ends)
                self._row.pictures = [None] * len(ways)
        row = self._row
        if row.asked == row.came and row.asked < len(row.asks):
            # The two ends first, and then what lies between them.
            waypoint, steps = row.asks[_order(len(row.asks))[row.asked]]
            if dreamer.sketch(row.number, waypoint, steps):
                row.asked += 1

    def _hear(self, sketched: Sketched) -> None:
        row = self._row
        if row is None or sketched.number != row.number:
            return
        if row.step == "guesses":
            row.pictures, row.calls = list(sketched.pictures), sketched.calls
        elif sketched.pictures:
            row.pictures[_order(len(row.asks))[row.came]] = sketched.pictures[0]
        row.came += 1

    def _between(self, here: Waypoint, palettes: Mapping[str, Palette]) -> tuple[list[Waypoint], tuple[str, str]]:
        """Two places and those between: from one material to another under the same noise; of a show with one material,
        from one noise to another."""
        plain = replace(here, beside=(), focus=1.0, liquid=None)
        count = len(here.weights)
        parts = [k / (BETWEEN - 1) for k in range(BETWEEN)]
        if count > 1:
            first = max(range(count), key=lambda n: here.weights[n])
            last = (first + max(count // 2, 1)) % count
            names = (
                [self._show.materials[n].prompt for n in (first, last)]
                if count == len(self._show.materials)
                else ["", ""]
            )
            if (own := palettes.get(here.palette)) is not None and len(own.prompts) == count:
                names = [own.prompts[first], own.prompts[last]]
            weights = [tuple((1 - p) * (n == first) + p * (n == last) for n in range(count)) for p in parts]
            return [replace(plain, weights=w) for w in weights], (names[0], names[1])
        away = normalise([replace(point, phase=point.phase + AWAY) for point in here.points], here.loop)
        turned = [np.pi / 2 * p for p in parts]
        points = [
            normalise([*scaled(here.points, float(np.cos(a))), *scaled(away, float(np.sin(a)))], here.loop)
            for a in turned
        ]
        return [replace(plain, points=p) for p in points], ("", "")

    # Words

    def page(self, step: str) -> Page:
        """What is shown of a step now."""
        say = self.language.say
        figures = self._figures()
        count = say("labels.count", number=STEPS.index(step) + 1, all=len(STEPS))
        page = Page(step, say(sentence_of(step), **figures), count=count)
        many, few = (say("labels.numbers", count=figures[name]) for name in ("pixels", "few"))
        if step == "many":
            dots = say("labels.dots", across=DOTS[0], down=DOTS[1])
            return replace(page, patch=self._patch, labels=(many, dots))
        if step == "few":
            if self._many() <= (self._cells or 0):
                page = replace(page, text=say("steps.few_all", **figures))
            return replace(page, labels=(many, few))
        if step == "back":
            return replace(page, labels=(few, many))
        if step == "noise":
            return replace(page, labels=(few,))
        if step in ("guesses", "between"):
            return self._page_of_row(page)
        return page

    def _page_of_row(self, page: Page) -> Page:
        say, row = self.language.say, self._row
        if row is None or row.step != page.step:
            return replace(page, text=say(f"steps.{page.step}", count=_said(self._show.model.steps)))
        page = replace(page, row=tuple(row.pictures), row_number=row.number)
        if page.step == "between":
            return replace(page, labels=(row.ends[0], *[""] * (len(row.pictures) - 2), row.ends[1]))
        calls = row.calls if row.is_whole else self._show.model.steps
        which = "guesses" if calls > 1 else "guesses_one" if calls == 1 else "guesses_none"
        count = len(row.pictures)
        guesses = [say("labels.guess", number=_number(k, count - 1, calls)) for k in range(1, count - 1)]
        labels = (say("labels.noise"), *guesses, say("labels.last")) if count > 1 else (say("labels.last"),)
        return replace(page, text=say(f"steps.{which}", count=_said(calls)), labels=labels)

    def _many(self) -> int:
        return self._show.model.width * self._show.model.height * 3

    def _figures(self) -> dict[str, str]:
        """The show's own sizes, as people write them."""
        many, few = self._many(), self._cells or 0
        times = round(many / few) if few else 0
        return {"pixels": f"{many:,}", "few": f"{few:,}" if few else "…", "times": f"{times:,}" if times else "…"}


def sentence_of(step: str) -> str:
    """The key of the sentence of a step, in a language file."""
    return f"images.{step}" if step.removesuffix("_limp") in IMAGES else f"steps.{step}"


def _order(count: int) -> list[int]:
    """First, last, and then the others from the left."""
    return [0, count - 1, *range(1, count - 1)] if count > 1 else [0]


def _number(shown: int, last: int, calls: int) -> int:
    """Which guess it is that is shown, where not all of them are."""
    return shown if last == calls else 1 + round((shown - 1) * (calls - 1) / max(last - 1, 1))


def _said(count: int) -> str:
    """A small number in words would be another language's: figures read alike in all."""
    return f"{count:,}"


def _patch(pixels: NDArray[np.uint8], number: int) -> Patch:
    """A few dots from the middle of the picture; a copy."""
    height, width = pixels.shape[:2]
    across, down = min(DOTS[0], width), min(DOTS[1], height)
    left, top = (width - across) // 2, (height - down) // 2
    crop = left / width, top / height, across / width, down / height
    return Patch(pixels[top : top + down, left : left + across].copy(), crop, number)
