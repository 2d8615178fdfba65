"""Help over the picture: keys, rates and parameters as text.

Usage: `overlay = Overlay(ctx, shaders); overlay.visible = True; overlay.set_lines(lines); overlay.render(screen)`.
Stage process, GL thread only. The text is drawn with Pillow when it changes (twice a second is plenty)
and costs one small textured rectangle per frame.
"""

import re
from collections.abc import Sequence
from typing import Any

import moderngl
import numpy as np

from engine.stage.shaders import Shaders

INK = (244, 238, 226)
QUIET = (176, 170, 160)
PAPER = (14, 13, 12, 190)
KEPT_WORDS = 512
SMALLEST_PX, LARGEST_PX = 8, 44


class Overlay:
    """Lines of text in a panel at the upper left."""

    def __init__(self, ctx: moderngl.Context, shaders: Shaders) -> None:
        self._ctx = ctx
        self._shaders = shaders
        self._texture: moderngl.Texture | None = None
        self._pen: Pen | None = None
        self._lines: tuple[str, ...] = ()
        self._drawn_for: tuple[tuple[str, ...], tuple[int, int]] | None = None
        self.visible = False

    def set_lines(self, lines: Sequence[str]) -> None:
        """What to show from now on; the first line is the heading."""
        self._lines = tuple(lines)

    def render(self, framebuffer: moderngl.Framebuffer) -> None:
        """Draw over the framebuffer, if visible."""
        if not self.visible or not self._lines:
            return
        whole = framebuffer.viewport
        size = (whole[2], whole[3])
        if self._drawn_for != (self._lines, size):
            self._draw(size)
            self._drawn_for = (self._lines, size)
        assert self._texture is not None
        width, height = self._texture.size
        margin = max(size[1] // 40, 1)
        framebuffer.viewport = (margin, size[1] - margin - height, width, height)
        self._ctx.enable(moderngl.BLEND)
        self._ctx.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
        try:
            self._shaders.native("overlay.frag").render(framebuffer, textures={"u_text": self._texture})
        finally:
            self._ctx.disable(moderngl.BLEND)
            framebuffer.viewport = whole

    def _draw(self, size: tuple[int, int]) -> None:
        image, self._pen = draw_panel(self._lines, size, self._pen)
        height, width = image.shape[:2]
        if self._texture is None or self._texture.size != (width, height):
            if self._texture is not None:
                self._texture.release()
            self._texture = self._ctx.texture((width, height), 4)
            self._texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
        self._texture.write(image.tobytes())


class Pen:
    """Words as coverage masks, each drawn once: twice a second only a few of a hundred have changed."""

    def __init__(self, font_px: int) -> None:
        # Pillow costs 40 ms to import, which nobody who never presses H should pay at the start.
        from PIL import ImageFont

        self.font_px = font_px
        self._font: Any = ImageFont.load_default(size=font_px)
        self._masks: dict[str, np.ndarray] = {}

    def mask(self, text: str) -> np.ndarray:
        """(h, w) uint8 coverage of one run of text."""
        found = self._masks.get(text)
        if found is None:
            from PIL import Image, ImageDraw

            if len(self._masks) >= KEPT_WORDS:
                self._masks.clear()
            size = (int(self._font.getlength(text)) + 2, int(self.font_px * 1.4))
            image = Image.new("L", size)
            ImageDraw.Draw(image).text((0, 0), text, font=self._font, fill=255)
            found = self._masks[text] = np.asarray(image)
        return found


def draw_panel(
    lines: Sequence[str], size: tuple[int, int], pen: Pen | None = None
) -> tuple[np.ndarray, Pen]:
    """The panel that fits a picture of `size`: (H, W, 4) uint8, alpha premultiplied, top row first.

    Two or more spaces in a row part a line into fields; parameters ("/walk/speed  0.12") share a tab stop.
    The text shrinks until all of it fits, and goes into columns before it gets too small to read.
    Give the returned pen back the next time.
    """
    room = (max(size[0] * 19 // 20, 1), max(size[1] * 19 // 20, 1))
    pen = pen or Pen(LARGEST_PX // 2)
    for _ in range(3):  # text grows almost evenly with its size
        font_px, body = _fitting(lines, room, pen)
        if font_px - 2 <= pen.font_px <= font_px:  # smaller will do: numbers change, and the text must not throb
            break
        pen = Pen(font_px)
    tab, widths, widest = _measured(lines[0], body, pen)
    step, pad = pen.font_px * 1.42, float(pen.font_px)
    width, height = min(int(widest), room[0]), min(int(step * (len(body[0]) + 1.4) + 2 * pad), room[1])
    panel = np.empty((max(height, 1), max(width, 1), 4), dtype=np.uint8)
    panel[:] = [value * PAPER[3] // 255 for value in PAPER[:3]] + [PAPER[3]]
    _line(panel, lines[0], (pad, pad), pen, tab)
    left = pad
    for part, part_width in zip(body, widths, strict=True):
        for row, text in enumerate(part):
            _line(panel, text, (left, pad + step * (row + 1.4)), pen, tab)
        left += part_width + 1.5 * pad
    return panel, pen


def _fitting(lines: Sequence[str], room: tuple[int, int], pen: Pen) -> tuple[int, list[Sequence[str]]]:
    """The largest font in pixels with which the lines fit, and the columns they then stand in."""
    count, (width, height) = max(len(lines) - 1, 1), room
    best: tuple[int, list[Sequence[str]]] = (-1, [])
    for columns in (1, 2, 3):
        rows = -(-count // columns)
        body = [lines[1 + c * rows : 1 + (c + 1) * rows] for c in range(columns)]
        high = int(height / (1.42 * (rows + 1.4) + 2))
        wide = int(pen.font_px * width / _measured(lines[0], body, pen)[2])
        best = max(best, (min(high, wide), body), key=lambda found: found[0])
        if best[0] >= max(height // 45, SMALLEST_PX):  # which can be read
            break
    most = min(LARGEST_PX, max(height // 36, SMALLEST_PX + 3))
    return max(min(best[0], most), SMALLEST_PX), best[1]


def _measured(
    heading: str, body: Sequence[Sequence[str]], pen: Pen
) -> tuple[float, list[float], float]:
    """The tab stop of parameters, the width of each column and that of the panel, in pixels."""
    pad = float(pen.font_px)
    named = [_fields(x)[0] for part in body for x in part if x.startswith("/")]
    tab = max((pen.mask(name).shape[1] for name in named), default=0) + pad
    widths = [max((_width(x, pen, tab) for x in part), default=0.0) for part in body]
    inside = max(sum(widths) + 1.5 * pad * (len(body) - 1), _width(heading, pen, tab))
    return tab, widths, inside + 2 * pad


def _fields(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip()) or [""]


def _runs(line: str, pen: Pen, tab: float) -> list[tuple[float, str, tuple[int, int, int]]]:
    """(left, text, ink) of each piece of a line."""
    fields = _fields(line)
    if line.startswith("/"):
        return [(0.0, fields[0], QUIET), (tab, "  ".join(fields[1:]), INK)]
    left, runs = 0.0, []
    for field in fields:
        runs.append((left, field, INK))
        left += pen.mask(field).shape[1] + 1.2 * pen.font_px
    return runs


def _width(line: str, pen: Pen, tab: float) -> float:
    left, text, _ = _runs(line, pen, tab)[-1]
    return left + pen.mask(text).shape[1]


def _line(panel: np.ndarray, line: str, at: tuple[float, float], pen: Pen, tab: float) -> None:
    for offset, text, ink in _runs(line, pen, tab):
        left, top = int(at[0] + offset), int(at[1])
        mask = pen.mask(text)
        part = panel[top : top + mask.shape[0], left : left + mask.shape[1]]
        cover = mask[: part.shape[0], : part.shape[1], None].astype(np.uint16)
        part[:] = (part * (255 - cover) + np.array([*ink, 255], dtype=np.uint16) * cover) // 255
