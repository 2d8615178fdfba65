"""The docent's pages over the program: a sentence to read, and beside it what it speaks of.

    view = DocentView(ctx, shaders)
    view.render(framebuffer, page, values, now_s)        # after the look; nothing is drawn while there is no page

Stage process, GL thread only. Which page there is, its words and its figures are given (play/docent.py); a page that is
new dissolves over the one before. Where a page speaks of the show itself the show stays visible, with words below.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import moderngl
import numpy as np
from numpy.typing import NDArray

from engine.stage.blend import Between, Picture
from engine.stage.canvas import INK, QUIET, Box, Canvas, Line
from engine.stage.gl import Target, is_software
from engine.stage.map import MapView
from engine.stage.numbers import NumbersView
from engine.stage.scribe import Image, Scribe
from engine.stage.shaders import Shaders

DISSOLVE_S = 0.9
STAYS_S, TURNS_S, RESTS_S = 1.0, 1.2, 2.5  # of the large picture of a row: each, to the next, at the end
COMES_S = 0.7  # in which a picture of a row appears
MOST_LINES, SOFTWARE_LINES = 1080, 540  # of the map
SOFTWARE_HZ = 10.0  # how often it is drawn where the processor draws
INSET = 0.30  # height of the map in its corner
# Of the height of what is drawn on.
TEXT, LABEL, COUNT, NAME = 0.058, 0.030, 0.024, 0.030
TEXT_ROOM = 0.28  # for the words below
EDGE = 0.06
EMPTY = (0.09, 0.10, 0.13)
Values = Mapping[str, float | int | bool | str]
SHOWN = ("definition", "clouds", "clouds_limp", "pulp", "pulp_limp", "memory", "memory_limp", "all_three", "end")
WASHES = {
    "latent": {"look.view.latent": 1.0, "look.view.noise": 0.0},
    "noise": {"look.view.latent": 0.0, "look.view.noise": 1.0},
}


@dataclass(frozen=True)
class Patch:
    """Some dots of the picture: their numbers, and where they lie in it (left, top, width, height, 0 to 1)."""

    pixels: NDArray[np.uint8]  # (h, w, 3)
    crop: tuple[float, float, float, float]
    number: int  # of the keyframe that they are of


@dataclass(frozen=True)
class Page:
    """What is shown of a step. labels: what is written under its cards, from the left."""

    step: str
    text: str
    labels: tuple[str, ...] = ()
    count: str = ""
    row: Sequence[NDArray[np.uint8] | None] = ()  # pictures side by side, None for one that is not dreamt yet
    row_number: int = 0  # another one is another row
    patch: Patch | None = None


@dataclass(frozen=True)
class Seen:
    """What is on stage at this moment."""

    picture: Picture
    between: Between | None


@dataclass
class _Shown:
    page: Page
    risen: float = 0.0
    came_s: dict[int, float] = field(default_factory=dict)  # when each picture of the row did


class DocentView:
    """See the module's head. Holds nothing while nothing is shown."""

    def __init__(self, ctx: moderngl.Context, shaders: Shaders, wait: bool = False) -> None:
        """wait: for type and tables, as a film does, and not for the next frames."""
        self.scribe = Scribe(wait)
        self._canvas = Canvas(ctx, shaders, self.scribe)
        self._numbers = NumbersView(ctx, shaders)
        self.map = MapView(ctx, shaders)
        self.names: Mapping[int, str] = {}  # of the map's kinds
        self.note = ""  # what the map says while there is nothing on it
        software = is_software(ctx)
        self._lines = SOFTWARE_LINES if software else MOST_LINES
        self._map_s = 1 / SOFTWARE_HZ if software and not wait else 0.0  # between two drawings of it
        self._map_drawn: tuple[tuple[tuple[int, int], float, float], float, Target] | None = None
        self._pages: list[_Shown] = []  # the newest last
        self._now_s: float | None = None
        self._inset = self._full = 0.0  # how much of the map is there, in its corner and over all

    @property
    def shows_map(self) -> bool:
        """Whether the map is to be seen at all."""
        return self._inset > 0.0 or self._full > 0.0 or any(shown.page.step == "map" for shown in self._pages)

    def close(self) -> None:
        self.scribe.close()

    def render(
        self, framebuffer: moderngl.Framebuffer, page: Page | None, seen: Seen, values: Values, now_s: float
    ) -> None:
        """Draws what there is to be drawn over the framebuffer's viewport. values: docent.map and blend.time."""
        step_s = 0.0 if self._now_s is None else min(max(now_s - self._now_s, 0.0), 0.25)
        self._now_s = now_s
        self._turn_pages(page, step_s)
        wanted = str(values["docent.map"])
        self._inset = _toward(self._inset, wanted == "inset", step_s)
        self._full = _toward(self._full, wanted == "full", step_s)
        if not self._pages and not self._inset and not self._full:
            self.map.rest()
            self._map_drawn = None
            return
        canvas = self._canvas
        canvas.begin(framebuffer)
        if self._full > 0.0:
            self._draw_map(Box(0, 0, *canvas.size), _eased(self._full), now_s, bold=1.0)
        for shown in self._pages:
            self._draw(shown, seen, values, now_s)
        speaks_of_map = any(shown.page.step == "map" for shown in self._pages)
        if self._inset > 0.0 and not speaks_of_map and self._full < 1.0 and not self.map.is_empty:
            width, height = canvas.size
            h = INSET * height
            box = Box(width - h * 16 / 9 - EDGE * height, EDGE * height, h * 16 / 9, h)
            self._draw_map(box, _eased(self._inset) * (1 - _eased(self._full)), now_s, bold=1.5, framed=True)

    def _turn_pages(self, page: Page | None, step_s: float) -> None:
        if page is not None and (not self._pages or self._pages[-1].page.step != page.step):
            self._pages.append(_Shown(page))
        elif page is not None:
            if page.row_number != self._pages[-1].page.row_number:
                self._pages[-1].came_s.clear()
            self._pages[-1].page = page
        if not self._pages:
            return
        newest = self._pages[-1]
        newest.risen = _toward(newest.risen, page is not None, step_s)
        covers = newest.page.step not in SHOWN and page is not None
        for shown in self._pages[:-1]:  # one that will be covered stays till then, or the show would shine through
            shown.risen = _toward(shown.risen, covers, step_s)
        if newest.risen >= 1.0 and covers:
            self._pages = [newest]
        # Whoever leafs fast sees the last ones.
        self._pages = [s for s in self._pages if s.risen > 0.0 or (s is newest and page is not None)][-3:]

    def _draw(self, shown: _Shown, seen: Seen, values: Values, now_s: float) -> None:
        page, alpha = shown.page, _eased(shown.risen)
        newest = self._pages[-1]
        # The words before go before those that come, as nobody can read both.
        spoken = _eased(
            max(2 * newest.risen - 1, 0.0) if shown is newest else max(1 - 2 * newest.risen, 0.0) * shown.risen
        )
        width, height = self._canvas.size
        whole = Box(0, 0, width, height)
        if page.step in SHOWN:
            self._canvas.veil(Box(0, 0.52 * height, width, 0.48 * height), 0.80 * alpha, (0.015, 0.02, 0.035), "upward")
        elif page.step == "map":
            self._draw_map(whole, alpha, now_s, bold=1.0, room=TEXT_ROOM)
        else:
            self._canvas.veil(whole, alpha)
            self._draw_cards(shown, seen, values, alpha, now_s)
        em = TEXT * min(height, width * 9 / 16)
        line = Line(
            width / 2, height * (1 - TEXT_ROOM / 2 - 0.02), em, width * 0.86, "middle", shade=page.step in SHOWN
        )
        self._canvas.say(page.text, line, spoken)
        count = Line(width / 2, height * 0.975, COUNT * height, by="bottom", tone=QUIET, style="sans")
        self._canvas.say(page.count, count, 0.8 * spoken)

    def _draw_cards(self, shown: _Shown, seen: Seen, values: Values, alpha: float, now_s: float) -> None:
        page = shown.page
        if page.step == "many":
            left, right = self._boxes(seen, 2)
            self._canvas.card(seen.picture, left, alpha)
            if page.patch is not None:
                self._draw_patch(page.patch, left, right, alpha)
        elif page.step == "few":
            left, right = self._boxes(seen, 2)
            self._canvas.card(seen.picture, left, alpha)
            self._wash("latent", seen, right, values, alpha, now_s)
        elif page.step == "back":
            left, right = self._boxes(seen, 2)
            self._wash("latent", seen, left, values, alpha, now_s)
            self._canvas.card(seen.picture, right, alpha)
        elif page.step == "noise":
            (left,) = self._boxes(seen, 1)
            self._wash("noise", seen, left, values, alpha, now_s)
        else:
            self._draw_row(shown, seen, alpha, now_s)
            return
        self._label(self._boxes(seen, 1 if page.step == "noise" else 2), page.labels, alpha)
        if page.step in ("few", "back"):
            left, right = self._boxes(seen, 2)
            self._draw_arrow(left, right, alpha)

    def _boxes(self, seen: Seen, count: int) -> list[Box]:
        """Places of so many cards of the picture's shape, side by side above the words."""
        width, height = self._canvas.size
        own = seen.picture.size[0] / seen.picture.size[1]
        gap = width * (0.07 if count == 2 else 0.022)
        top, room = EDGE * height, (1 - TEXT_ROOM - EDGE - 0.075) * height
        wide = min((width * (1 - 2 * 0.055) - gap * (count - 1)) / count, room * own)
        high = wide / own
        left = (width - wide * count - gap * (count - 1)) / 2
        return [Box(left + k * (wide + gap), top + (room - high) / 2, wide, high) for k in range(count)]

    def _label(self, boxes: Sequence[Box], labels: Sequence[str], alpha: float) -> None:
        width, height = self._canvas.size
        small = LABEL * height * (1.0 if len(boxes) < 3 else 0.82)
        ends = len(labels) > 2 and not any(labels[1:-1])  # then each has half of the row
        for n, (box, label) in enumerate(zip(boxes, labels, strict=False)):
            wide = 0.36 * width if ends else box.width * 1.15
            x = box.middle[0] if not ends else box.x + wide / 2 if n == 0 else box.x + box.width - wide / 2
            at = Line(x, box.y + box.height + 0.020 * height, small, wide, tone=QUIET, most_lines=1)
            if label:
                self._canvas.say(label, at, alpha)

    def _draw_arrow(self, left: Box, right: Box, alpha: float) -> None:
        """From the left to the right, as three dots that grow."""
        gap, y = right.x - left.x - left.width, left.middle[1]
        for k in range(3):
            size = gap * (0.05 + 0.022 * k)
            x = left.x + left.width + gap * (0.26 + 0.24 * k)
            self._canvas.veil(Box(x - size, y - size, 2 * size, 2 * size), 0.75 * alpha, INK, round_px=size)

    def _draw_patch(self, patch: Patch, left: Box, right: Box, alpha: float) -> None:
        x, y, w, h = patch.crop
        mark = Box(left.x + x * left.width, left.y + y * left.height, w * left.width, h * left.height)
        for room, tone in ((-6, (0.0, 0.0, 0.0)), (-4, INK)):
            self._canvas.veil(mark.shrunk(room), alpha, tone, "frame", round_px=2)
        size = round(right.width), round(right.height)
        key = "patch", patch.number, size, patch.crop
        self._canvas.drawing(key, lambda: draw_dots(patch.pixels, size), right, alpha)

    def _wash(self, which: str, seen: Seen, box: Box, values: Values, alpha: float, now_s: float) -> None:
        told = {**WASHES[which], "blend.time": values["blend.time"]}
        self._canvas.card(self._numbers.render(seen.picture, seen.between, told, now_s), box, alpha)

    def _draw_row(self, shown: _Shown, seen: Seen, alpha: float, now_s: float) -> None:
        """One picture large, which becomes the next and the next, and all of them small in a row below."""
        page, canvas = shown.page, self._canvas
        large, boxes = self._row_boxes(seen, max(len(page.row), 1))
        canvas.veil(large, 0.5 * alpha, EMPTY, round_px=3)
        for n, (box, pixels) in enumerate(zip(boxes, page.row, strict=False)):
            canvas.veil(box, 0.5 * alpha, EMPTY, round_px=3)
            if pixels is not None:
                came = shown.came_s.setdefault(n, now_s)
                part = 1.0 if self.scribe.waits else _eased(min(max((now_s - came) / COMES_S, 0.0), 1.0))
                canvas.card(canvas.picture_of(("row", page.step, n), pixels), box, alpha * part)
        if page.row and len(shown.came_s) == len(page.row):
            at = _passed(now_s - max(shown.came_s.values()), len(page.row), page.step == "between")
            first, part = min(int(at), len(page.row) - 1), at - int(at)
            here, there = (
                canvas.picture_of(("row", page.step, n), page.row[n])  # type: ignore[arg-type]
                for n in (first, min(first + 1, len(page.row) - 1))
            )
            canvas.card(Picture(here.a, there.a, _eased(part), top_first=True), large, alpha)
            for n, near in ((first, 1 - part), (first + 1, part)):
                if n < len(boxes):
                    canvas.veil(boxes[n].shrunk(-4), alpha * near, INK, "frame", round_px=5)
        self._label(boxes, page.labels, alpha)

    def _row_boxes(self, seen: Seen, count: int) -> tuple[Box, list[Box]]:
        """The large card, and the small ones below it."""
        width, height = self._canvas.size
        own, gap = seen.picture.size[0] / seen.picture.size[1], 0.014 * width
        wide = min((0.86 * width - gap * (count - 1)) / count, 0.115 * height * own)
        high, low = wide / own, (1 - TEXT_ROOM - 0.075) * height
        left = (width - wide * count - gap * (count - 1)) / 2
        room = low - high - 0.035 * height - EDGE * height
        large = min(room * own, 0.86 * width)
        box = Box((width - large) / 2, EDGE * height + (room - large / own) / 2, large, large / own)
        return box, [Box(left + k * (wide + gap), low - high, wide, high) for k in range(count)]

    def _draw_map(
        self, box: Box, alpha: float, now_s: float, bold: float, framed: bool = False, room: float = 0.0
    ) -> None:
        """room: share of the height below that is left to the words."""
        lines = min(round(box.height), self._lines if not framed else 270)
        size = max(round(lines * box.width / box.height), 16), max(lines, 16)
        key = size, bold, room
        drawn = self._map_drawn
        if drawn is None or drawn[0] != key or not drawn[1] <= now_s < drawn[1] + self._map_s:
            self._map_drawn = drawn = key, now_s, self.map.render(size, now_s, bold, room)
        target = drawn[2]
        self._canvas.card(Picture.of(target), box, alpha, round_px=0.014 * self._canvas.size[1] if framed else 0.0)
        scale = box.height / size[1]
        height = self._canvas.size[1]
        for name in self.map.names if not framed else ():
            at = Line(
                box.x + name.x * scale, box.y + name.y * scale, NAME * height, 0.3 * box.width, "middle", 1, shade=True
            )
            self._canvas.say(self.names.get(name.kind, ""), at, 0.92 * alpha)
        if self.map.is_empty and not framed and self.note and not room:
            self._canvas.say(self.note, Line(*box.middle, TEXT * height, by="middle", tone=QUIET), alpha)


def draw_dots(pixels: NDArray[np.uint8], size: tuple[int, int]) -> Image:
    """(H, W, 4) uint8 encoded, alpha 255: dots of a picture as large squares, each with its three numbers on it."""
    from PIL import Image as Pillow
    from PIL import ImageDraw, ImageFont

    rows, columns = pixels.shape[:2]
    width, height = size
    image = Pillow.new("RGBA", size)
    draw = ImageDraw.Draw(image)
    px = max(int(height / rows * 0.225), 6)
    font = ImageFont.load_default(size=px)
    for row in range(rows):
        for column in range(columns):
            x0, x1 = round(column * width / columns), round((column + 1) * width / columns)
            y0, y1 = round(row * height / rows), round((row + 1) * height / rows)
            dot = tuple(int(v) for v in pixels[row, column])
            draw.rectangle((x0, y0, x1 - 2, y1 - 2), fill=(*dot, 255))
            light = 0.299 * dot[0] + 0.587 * dot[1] + 0.114 * dot[2] > 118
            inks = (
                ((120, 0, 0), (0, 78, 0), (0, 0, 130)) if light else ((255, 158, 148), (150, 240, 158), (165, 190, 255))
            )
            for k, (value, ink) in enumerate(zip(dot, inks, strict=True)):
                y = (y0 + y1) / 2 + (k - 1) * px * 1.18
                draw.text(((x0 + x1) / 2, y), str(value), font=font, fill=(*ink, 255), anchor="mm")
    return np.asarray(image).copy()


def _passed(since_s: float, count: int, back: bool) -> float:
    """Which of a row of pictures is large now: from the first to the last and, after a rest, again, or the way back."""
    way = (count - 1) * (STAYS_S + TURNS_S)
    whole = way + RESTS_S
    lap, at = divmod(max(since_s, 0.0), whole)
    n, rest = divmod(min(at, way), STAYS_S + TURNS_S)
    found = min(n + max(rest - STAYS_S, 0.0) / TURNS_S, count - 1.0)
    return count - 1.0 - found if back and lap % 2 else found


def _toward(now: float, wanted: bool, step_s: float) -> float:
    step = step_s / DISSOLVE_S
    return min(now + step, 1.0) if wanted else max(now - step, 0.0)


def _eased(part: float) -> float:
    return part * part * (3.0 - 2.0 * part)
