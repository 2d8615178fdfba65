"""A QR code: over the picture, or printed in a terminal. With it a phone finds the show's panel.

    view = CodeView(ctx, shaders); view.show(rows, "http://192.168.1.5:7001/"); view.render(stage.framebuffer)
    printed(rows)                                # text, two rows to a line

rows: "0110…" as strings, 1 dark, without the quiet edge. The stage's GL thread, but for `printed`.
"""

from collections.abc import Sequence

import moderngl
import numpy as np
from numpy.typing import NDArray

from engine.stage.overlay import INK, PAPER, Pen
from engine.stage.shaders import Shaders

EDGE = 4  # modules of quiet around a code, as its standard asks
SHARE = 0.5  # of the stage's shorter side


class CodeView:
    """A code with words below it, in the middle of the stage; or the words alone."""

    def __init__(self, ctx: moderngl.Context, shaders: Shaders) -> None:
        self._ctx, self._shaders = ctx, shaders
        self._rows: tuple[str, ...] = ()
        self._words = ""
        self._texture: moderngl.Texture | None = None
        self._drawn_for: object = None
        self.visible = False

    def show(self, rows: Sequence[str], words: str) -> None:
        """What is shown from now on."""
        self._rows, self._words = tuple(rows), words

    def render(self, framebuffer: moderngl.Framebuffer) -> None:
        """Draws it over the framebuffer, if visible."""
        if not self.visible:
            return
        whole = framebuffer.viewport
        size = whole[2], whole[3]
        if self._drawn_for != (self._rows, self._words, size):
            self._drawn_for = self._rows, self._words, size
            self._upload(draw_code(self._rows, self._words, size))
        assert self._texture is not None
        width, height = self._texture.size
        framebuffer.viewport = ((size[0] - width) // 2, (size[1] - height) // 2, width, height)
        self._ctx.enable(moderngl.BLEND)
        self._ctx.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
        try:
            self._shaders.native("overlay.frag").render(framebuffer, textures={"u_text": self._texture})
        finally:
            self._ctx.disable(moderngl.BLEND)
            framebuffer.viewport = whole

    def _upload(self, image: NDArray[np.uint8]) -> None:
        if self._texture is not None:
            self._texture.release()
        height, width = image.shape[:2]
        self._texture = self._ctx.texture((width, height), 4, image.tobytes())
        self._texture.filter = (moderngl.NEAREST, moderngl.NEAREST)


def draw_code(rows: Sequence[str], words: str, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W, 4) uint8 with alpha premultiplied, top row first: the code, whole modules of pixels, and words below."""
    side = int(min(size) * SHARE)
    code = np.zeros((0, 0), np.uint8)
    if rows:
        modules = np.pad(
            np.array([[255 * (c == "0") for c in row] for row in rows], np.uint8), EDGE, constant_values=255
        )
        scale = max(side // len(modules), 1)
        code = modules.repeat(scale, 0).repeat(scale, 1)  # (n, n)
    font_px = max(size[1] // 36, 10)
    mask = Pen(font_px).mask(words)
    while mask.shape[1] > size[0] - 2 * font_px and font_px > 6:
        font_px = font_px * 4 // 5
        mask = Pen(font_px).mask(words)
    width = min(max(code.shape[1], mask.shape[1]) + 2 * font_px, size[0])
    height = code.shape[0] + (font_px if rows else 0) + mask.shape[0] + 2 * font_px
    image = np.empty((height, width, 4), np.uint8)
    image[:] = [value * PAPER[3] // 255 for value in PAPER[:3]] + [PAPER[3]]
    left, top = (width - code.shape[1]) // 2, font_px
    image[top : top + code.shape[0], left : left + code.shape[1], :3] = code[..., None]
    image[top : top + code.shape[0], left : left + code.shape[1], 3] = 255
    top = height - font_px - mask.shape[0]
    mask = mask[:, : width - 2]
    left = (width - mask.shape[1]) // 2
    ink = mask.astype(np.float32)[..., None] / 255
    under = image[top : top + mask.shape[0], left : left + mask.shape[1]]
    under[:] = under * (1 - ink) + np.array([*INK, 255], np.float32) * ink
    return image


def printed(rows: Sequence[str]) -> str:
    """A code for a terminal, light on dark or dark on light alike: two rows of modules to a line of text."""
    modules = [[0] * (len(row) + 2 * EDGE) for row in rows[:1] for _ in range(EDGE)]
    full = [*modules, *([0] * EDGE + [int(c) for c in row] + [0] * EDGE for row in rows), *modules]
    if len(full) % 2:
        full.append([0] * len(full[0]))
    blocks = {(0, 0): "█", (0, 1): "▀", (1, 0): "▄", (1, 1): " "}
    lines = ["".join(blocks[pair] for pair in zip(*full[n : n + 2], strict=True)) for n in range(0, len(full), 2)]
    return "\n".join(f"\x1b[97;40m{line}\x1b[0m" for line in lines)  # white on black, whatever the terminal's colours
