"""The caption under the picture: a sentence or two in plain type, which can be read from five metres.

    captions = Captions(ctx, shaders)
    captions.render(framebuffer, picture, caption, time_s)     # once a frame, over everything but the help

Stage process, GL thread only; the type is set by a worker's thread, in a film at once. Without a caption nothing is
done, and before the first one nothing is made. White type on a soft darkness of its own shape: no box.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import moderngl
import numpy as np
from numpy.typing import NDArray

from engine.stage.blend import Picture
from engine.stage.fonts import Fonts
from engine.stage.look import view_of
from engine.stage.paper import blurred
from engine.stage.shaders import Shaders
from engine.stage.typeset import Measure, NotSet, typeset
from engine.stage.worker import Worker
from engine.walk.caption import Caption

log = logging.getLogger("pedesis")

EM = 0.045  # size of the type, of the picture's height
LETTERS = 18.0  # ems that a narrow picture has across, at least
SMALLEST_PX = 10
WIDTH, NARROW = 0.62, 0.88  # of a line, of a wide picture and of one that is higher than wide
LINES = 4
MARGIN = 0.062  # from the edges, of the shorter side: what a projector or a frame may hide, and as much again
AROUND = 1.7  # of darkness around the type, ems
LINE = 7.5, 0.062  # length and height of the line that shows shares, ems
GOES_S, WAITS_S, COMES_S = 0.8, 0.5, 1.0  # one caption goes; the next waits a little, and comes
KEPT = 3  # captions that are kept
PIECE_BYTES = 262_144  # that are uploaded in a frame


@dataclass(frozen=True)
class Plate:
    """A caption, set. pixels: (h, w, 4) ink, darkness, line, way along the line; top row first."""

    pixels: NDArray[np.uint8]
    rightward: bool
    pad_px: int  # of darkness around the type


@dataclass(frozen=True)
class Zone:
    """A part of the picture at its lower edge, pixels, and how much it is to be kept clear, 0..1."""

    left: float
    right: float
    top: float
    strength: float


@dataclass
class _Shown:
    plate: Plate
    texture: moderngl.Texture
    rows: int = 0  # that are uploaded
    ready_s: float | None = None


Key = tuple[str, tuple[int, int]]  # a sentence, for a picture of that size


class Captions:
    """Draws captions, one going as the next one comes."""

    def __init__(
        self, ctx: moderngl.Context, shaders: Shaders, at_once: bool = False, fonts: Fonts | None = None
    ) -> None:
        """at_once: waits for the type, as a film does. fonts: None for those of the system."""
        self._ctx, self._shaders, self._at_once, self._fonts = ctx, shaders, at_once, fonts
        self._worker: Worker[Plate] = Worker("captions", at_once)
        self._shown: dict[Key, _Shown] = {}
        self._unset: set[Key] = set()
        self._told: set[str] = set()

    def render(
        self,
        framebuffer: moderngl.Framebuffer,
        picture: Picture,
        caption: Caption,
        time_s: float,
        gain: float = 1.0,
        fade: float = 1.0,
    ) -> None:
        """Draws the caption into the framebuffer's viewport. picture: what is seen there, for its brightness; gain: of
        its exposure; fade: of a blackout, 0 is black."""
        goes = 1.0 - _smooth((time_s - caption.since_s) / GOES_S) if caption.before else 0.0
        if not caption.text and goes <= 0.0:
            return
        size = framebuffer.viewport[2], framebuffer.viewport[3]
        old, new = (caption.before, size), (caption.text, size)
        for key, wanted in ((old, goes > 0.0), (new, bool(caption.text))):
            if wanted and key not in self._shown and key not in self._unset:
                self._worker.ask(key, partial(make_plate, *key, self._fonts))
        self._take(time_s, {old, new})
        if goes > 0.0 and (shown := self._ready(old)):
            self._draw(framebuffer, picture, shown, caption.before_shares, goes, gain, fade)
        if caption.text and (shown := self._ready(new)) and shown.ready_s is not None:
            begins_s = max(caption.since_s + (WAITS_S if caption.before else 0.0), shown.ready_s)
            if (comes := _smooth((time_s - begins_s) / COMES_S)) > 0.0:
                self._draw(framebuffer, picture, shown, caption.shares, comes, gain, fade)

    def zone(self, caption: Caption, size: tuple[int, int], time_s: float) -> Zone | None:
        """Where the caption is, with room for a few lines so that it does not change with them; nothing is to drift
        there. None: nowhere."""
        there = _smooth((time_s - caption.since_s) / COMES_S)
        strength = 1.0 if caption.text and caption.before else there if caption.text else 1.0 - there
        if strength <= 0.0 or not (caption.text or caption.before):
            return None
        em, wide = _em(size), (0.5 if size[0] > size[1] else NARROW) * size[0]
        high = MARGIN * min(size) + (3.6 if size[0] > size[1] else 5.0) * em
        shown = self._shown.get((caption.text, size)) or self._shown.get((caption.before, size))
        left = 0.0 if shown is None or shown.plate.rightward else size[0] - wide
        return Zone(left, left + wide, high, strength)

    def close(self) -> None:
        """Ends the worker."""
        self._worker.close()

    def _ready(self, key: Key) -> _Shown | None:
        shown = self._shown.get(key)
        return shown if shown is not None and shown.ready_s is not None else None

    def _take(self, time_s: float, wanted: set[Key]) -> None:
        """Takes in what is set, and uploads a piece of it."""
        for key, made in self._worker.fetch():
            if isinstance(made, Exception):
                self._leave_out(key, made)  # type: ignore[arg-type]
                continue
            for other in [k for k in self._shown if k not in wanted][: max(len(self._shown) - KEPT + 1, 0)]:
                self._shown.pop(other).texture.release()
            texture = self._ctx.texture(made.pixels.shape[1::-1], 4)
            texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
            self._shown[key] = _Shown(made, texture)  # type: ignore[index]
        for shown in self._shown.values():
            if shown.ready_s is None:
                high, wide = shown.plate.pixels.shape[:2]
                rows = high if self._at_once else max(PIECE_BYTES // (4 * wide), 1)
                part = shown.plate.pixels[shown.rows : shown.rows + rows]
                shown.texture.write(part.tobytes(), viewport=(0, shown.rows, wide, len(part)))
                shown.rows += len(part)
                if shown.rows >= high:
                    shown.ready_s = -1e9 if self._at_once else time_s
                if not self._at_once:
                    return

    def _leave_out(self, key: Key, error: Exception) -> None:
        if len(self._unset) > 1024:
            self._unset.clear()
        self._unset.add(key)
        reason = error.reason if isinstance(error, NotSet) else f"{type(error).__name__}: {error}"
        if reason not in self._told and len(self._told) < 64:
            self._told.add(reason)
            log.warning("captions with such text are left out (%.40r): %s", key[0], reason)

    def _draw(
        self,
        framebuffer: moderngl.Framebuffer,
        picture: Picture,
        shown: _Shown,
        shares: Sequence[float],
        alpha: float,
        gain: float,
        fade: float,
    ) -> None:
        whole = framebuffer.viewport
        wide, high = shown.texture.size
        margin = round(MARGIN * min(whole[2], whole[3])) - shown.plate.pad_px
        left = margin if shown.plate.rightward else whole[2] - margin - wide
        framebuffer.viewport = whole[0] + left, whole[1] + margin, wide, high
        view = view_of(picture.size, (whole[2], whole[3]), 0.0, 0.0)
        x, y = view.at((left + wide / 2) / whole[2] - 0.5, (margin + high / 2) / whole[3] - 0.5)
        up = -1.0 if picture.top_first else 1.0
        across, upward = view.turn[0] / whole[2], up * view.turn[3] / whole[3]  # of a pixel, in the picture
        reach = 0.4 * _em((whole[2], whole[3]))
        ends = [min(sum(shares[: n + 1]), 1.0) for n in range(2)] if shares else [0.0, 0.0]
        self._ctx.enable(moderngl.BLEND)
        self._ctx.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
        try:
            self._shaders.native("caption.frag").render(
                framebuffer,
                {
                    "u_shares": (*ends, 1.0 if shares else 0.0),
                    "u_alpha": alpha,
                    "u_fade": fade,
                    "u_middle": (x, 0.5 + (y - 0.5) * up, wide * across, high * upward),
                    "u_reach": (reach * across, reach * upward),
                    "u_gain": gain,
                    "u_mix": picture.mix,
                },
                {"u_text": shown.texture, **picture.textures()},
            )
        finally:
            self._ctx.disable(moderngl.BLEND)
            framebuffer.viewport = whole


def make_plate(text: str, size: tuple[int, int], fonts: Fonts | None = None) -> Plate:
    """Sets a caption for a picture of that size, in pixels. Raises NotSet."""
    wide, high = size
    em = _em(size)
    share = WIDTH if wide > high else NARROW
    measure = Measure(em, share * wide, "sans", LINES, leading=1.28, emphasis=True, dots=True)
    setting = typeset(text, fonts or Fonts.of_system(), measure)
    pad, gap, thick = round(AROUND * em), round(0.52 * em), max(round(LINE[1] * em), 2)
    rows, across = setting.ink.shape
    length = min(round(LINE[0] * em), round(share * wide))
    width = max(across, length)
    pixels = np.zeros((rows + gap + thick + 2 * pad, width + 2 * pad, 4), np.uint8)
    left = pad + (0 if setting.rightward else width - across)
    pixels[pad : pad + rows, left : left + across, 0] = setting.ink
    top, start = pad + rows + gap, pad + (0 if setting.rightward else width - length)
    pixels[top : top + thick, start : start + length, 2] = 255
    along = np.clip((np.arange(pixels.shape[1]) + 0.5 - start) / length, 0.0, 1.0)
    along = along if setting.rightward else np.clip(1.0 - along, 0.0, 1.0)
    pixels[..., 3] = np.round(along * 255.0)
    pixels[..., 1] = np.round(_darkness(np.maximum(pixels[..., 0], pixels[..., 2]), em) * 255.0)
    return Plate(pixels, setting.rightward, pad)


def _em(size: tuple[int, int]) -> int:
    return max(round(min(EM * size[1], size[0] / LETTERS)), SMALLEST_PX)


def _darkness(ink: NDArray[np.uint8], em: int) -> NDArray[np.float32]:
    """(h, w) 0..1: close about the letters, and far and soft about the lines."""
    mask = ink.astype(np.float32) / np.float32(255.0)
    close = np.clip(7.5 * blurred(mask, 0.13 * em, (0.0, 0.0)), 0.0, 1.0)
    far = np.clip(3.6 * blurred(mask, 0.56 * em, (0.0, 0.0)), 0.0, 1.0)
    return np.asarray(1.0 - (1.0 - 0.92 * close) * (1.0 - 0.85 * far * far * (3.0 - 2.0 * far)), np.float32)


def _smooth(part: float) -> float:
    part = min(max(part, 0.0), 1.0)
    return part * part * (3.0 - 2.0 * part)
