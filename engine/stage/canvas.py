"""Cards, veils and type, laid over the finished program.

    canvas = Canvas(ctx, shaders, scribe, fonts)
    canvas.begin(framebuffer)
    canvas.card(picture, Box(10, 10, 400, 225), alpha)
    canvas.say("Every dot has three", Line(x, y, em_px), alpha)

Stage process, GL thread only. Boxes are in pixels from the upper left. Type is drawn by the scribe and appears when it
is there.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import Any, Literal

import moderngl
import numpy as np
from numpy.typing import NDArray

from engine.stage.blend import GL_SRGB8, Picture
from engine.stage.fonts import Fonts, Style
from engine.stage.gl import Uniform
from engine.stage.scribe import Scribe, Work
from engine.stage.shaders import Shaders
from engine.stage.typeset import Measure, NotSet, typeset

INK = (0.957, 0.933, 0.886)
QUIET = (0.66, 0.65, 0.64)
NIGHT = (0.032, 0.040, 0.066)  # encoded: the dark that the map lies in
KEPT = 120  # textures
Shape = Literal["even", "upward", "frame"]
WHOLE = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels from the upper left."""

    x: float
    y: float
    width: float
    height: float

    def shrunk(self, px: float) -> "Box":
        return Box(self.x + px, self.y + px, self.width - 2 * px, self.height - 2 * px)

    @property
    def middle(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True)
class Line:
    """Where type stands: its middle across, and its top, middle or bottom edge."""

    x: float
    y: float
    em_px: float
    width_px: float = 4000.0
    by: Literal["top", "middle", "bottom"] = "top"
    most_lines: int = 3
    style: Style = "serif"
    tone: tuple[float, float, float] = INK
    shade: bool = False  # a dark echo behind it, where it stands on a picture


class Canvas:
    """See the module's head."""

    def __init__(self, ctx: moderngl.Context, shaders: Shaders, scribe: Scribe) -> None:
        self._ctx, self._shaders, self._scribe = ctx, shaders, scribe
        self._inks: OrderedDict[Hashable, tuple[NDArray[np.uint8], moderngl.Texture]] = OrderedDict()
        self._framebuffer: Any = None
        self._whole: tuple[int, int, int, int] = (0, 0, 1, 1)
        self._blank: moderngl.Texture | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of what is drawn on, pixels."""
        return self._whole[2], self._whole[3]

    def begin(self, framebuffer: moderngl.Framebuffer) -> None:
        """What is drawn on from now on."""
        self._framebuffer, self._whole = framebuffer, framebuffer.viewport

    def card(
        self,
        picture: Picture,
        box: Box,
        alpha: float,
        crop: tuple[float, float, float, float] = WHOLE,
        round_px: float = 3,
    ) -> None:
        """A picture in linear light on a card. crop: left, top, width, height of what is seen, 0 to 1."""
        uniforms: dict[str, Uniform] = {
            "u_mix": picture.mix,
            "u_crop": crop,
            "u_flip": 0.0 if picture.top_first else 1.0,
            "u_shows": 1.0,
        }
        self._draw("card.frag", box, {**uniforms, "u_round": round_px, "u_alpha": alpha}, picture.textures())

    def veil(
        self,
        box: Box,
        alpha: float,
        tone: tuple[float, float, float] = NIGHT,
        shape: Shape = "even",
        round_px: float = 0.0,
    ) -> None:
        """A veil; or one that runs out upward, or the frame alone."""
        if self._blank is None:
            self._blank = self._ctx.texture((1, 1), 4, b"\0\0\0\0")
        run = {"even": 0.0, "upward": 1.0, "frame": 2.0}[shape]
        uniforms: dict[str, Uniform] = {"u_veil": (*tone, run), "u_shows": 0.0, "u_round": round_px, "u_alpha": alpha}
        self._draw("card.frag", box, uniforms, {"u_a": self._blank, "u_b": self._blank})

    def say(self, text: str, line: Line, alpha: float) -> Box | None:
        """Sets type; the box that it stands in, None while it is not there yet. *Asterisks* are italics."""
        px = round(line.em_px, 1)
        measure = Measure(px, round(line.width_px), line.style, line.most_lines, 1.3, True, centred=True, dots=True)

        def work() -> NDArray[np.uint8] | None:
            try:
                return typeset(text, Fonts.of_system(), measure).ink
            except NotSet:
                return None if not text.strip() else _plainly(text, measure)

        ink = self._scribe.get((text, measure), work)
        if ink is None:
            return None
        height, width = ink.shape[:2]
        top = line.y - {"top": 0.0, "middle": height / 2, "bottom": height}[line.by]
        box = Box(round(line.x - width / 2), round(top), width, height)
        if line.shade:
            for dx, dy in ((0.0, 1.0), (1.5, 0.5), (-1.5, 0.5), (0.0, 2.5)):
                step = px / 32
                shifted = replace(box, x=box.x + dx * step, y=box.y + dy * step)
                self._ink((text, measure), ink, shifted, (0.0, 0.0, 0.0), 0.30 * alpha)
        self._ink((text, measure), ink, box, line.tone, alpha)
        return box

    def drawing(self, key: Hashable, work: Work, box: Box, alpha: float) -> bool:
        """A drawing of the scribe's, (h, w, 4) uint8 encoded, alpha multiplied in; whether it is there yet."""
        image = self._scribe.get(key, work)
        if image is not None:
            self._ink(key, image, box, INK, alpha)
        return image is not None

    def picture_of(self, key: Hashable, pixels: NDArray[np.uint8]) -> Picture:
        """(h, w, 3) uint8 sRGB as a picture; uploaded once a key."""
        texture = self._texture(key, pixels, 3)
        return Picture(texture, texture, 0.0, top_first=True)

    def _ink(
        self, key: Hashable, image: NDArray[np.uint8], box: Box, tone: tuple[float, float, float], alpha: float
    ) -> None:
        drawn = image.ndim == 3
        texture = self._texture(key, image, 4 if drawn else 1)
        self._draw("ink.frag", box, {"u_tone": (*tone, alpha), "u_drawn": float(drawn)}, {"u_ink": texture})

    def _texture(self, key: Hashable, image: NDArray[np.uint8], components: int) -> moderngl.Texture:
        found = self._inks.get(key)
        if found is None or found[0] is not image:
            if found is not None:
                found[1].release()
            size, data = (image.shape[1], image.shape[0]), np.ascontiguousarray(image).tobytes()
            if components == 3:
                texture = self._ctx.texture(size, 3, data, alignment=1, internal_format=GL_SRGB8)
            else:
                texture = self._ctx.texture(size, components, data, alignment=1)
            texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
            texture.repeat_x = texture.repeat_y = False
            found = self._inks[key] = image, texture
            while len(self._inks) > KEPT:
                self._inks.popitem(last=False)[1][1].release()
        self._inks.move_to_end(key)
        return found[1]

    def _draw(self, name: str, box: Box, uniforms: dict[str, Uniform], textures: dict[str, moderngl.Texture]) -> None:
        left, bottom, _, height = self._whole
        x, w, h = round(box.x), max(round(box.width), 1), max(round(box.height), 1)
        self._framebuffer.viewport = (left + x, bottom + height - round(box.y) - h, w, h)
        self._ctx.enable(moderngl.BLEND)
        self._ctx.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
        straight: dict[str, Uniform] = {"u_turn": (1.0, 0.0, 0.0, 1.0), "u_shift": (0.5, 0.5)}
        straight["u_size"] = (float(w), float(h))
        try:
            self._shaders.native(name).render(self._framebuffer, {**straight, **uniforms}, textures)
        finally:
            self._ctx.disable(moderngl.BLEND)
            self._framebuffer.viewport = self._whole


def _plainly(text: str, measure: Measure) -> NDArray[np.uint8]:
    """In the font that comes with Pillow, where the machine has none: Latin letters only."""
    from PIL import Image, ImageDraw, ImageFont

    font: Any = ImageFont.load_default(size=measure.em_px)
    lines, words = [""], text.replace("*", "").split()
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > measure.width_px:
            lines.append(word)
        else:
            lines[-1] = longer
    step = measure.em_px * measure.leading
    size = int(max(font.getlength(line) for line in lines)) + 2, int(step * len(lines)) + 2
    image = Image.new("L", size)
    draw = ImageDraw.Draw(image)
    for n, line in enumerate(lines):
        draw.text((0, n * step), line, font=font, fill=255)
    return np.asarray(image)
