"""The look: the chain of passes between the blended picture and the screen.

Usage: `look = Look(ctx, shaders, fit="cover"); look.render(picture, stage.framebuffer, values, now_s)`.
Stage process, GL thread only.

Colour is graded at the picture's own size, where a pixel costs a tenth of what it does on screen; the
one pass at screen size (screen.frag) only upsamples, moves, darkens and grains.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import moderngl
import numpy as np

from engine.stage.blend import Picture
from engine.stage.gl import Target, is_software, lay_blue_first, make_target
from engine.stage.shaders import Shaders

Value = float | int | bool | str
Values = Mapping[str, Value]

MIDDLE_GREY = 0.18  # what contrast turns about, as in grade.frag
FADE_S = 0.8  # stage.blackout
WIDE = 3.0  # from this aspect on drift is held back
GRAIN_HZ = 24.0  # grain belongs to film frames; at the screen's own rate it blurs into grey
GRAIN_SIDE = 256  # grains
GRAIN_LINES = 1080.0  # a grain is one pixel up to here or so, two at 4K
SHARPEN = 2.5  # look.sharpness 0.4 gives back just what the B-spline took


@dataclass(frozen=True)
class View:
    """How screen coordinates (−½..½) become picture coordinates (0..1)."""

    turn: tuple[float, float, float, float]  # columns of a 2×2 matrix
    shift: tuple[float, float]
    bend: tuple[float, float, float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """As screen.frag does it."""
        a, b, c, d = self.turn
        e, f, g, h = self.bend
        both = x + y
        return (
            a * x + c * y + self.shift[0] + (e * y + f * x) * both,
            b * x + d * y + self.shift[1] + (g * x + h * y) * both,
        )


def view_of(picture: tuple[int, int], screen: tuple[int, int], drift: float, time_s: float) -> View:
    """Cover `screen` with `picture`, breathing: a slow zoom, turn, sway and bend that never show an edge.

    drift 0 is still and fills exactly; 1 moves by a few hundredths of the height.
    """
    aspect = screen[0] / screen[1]
    own = picture[0] / picture[1]
    drift *= min(1.0, WIDE / max(aspect, 1 / aspect))  # on a strip of lamps the short side has little room to move in
    scale = max(1.0, aspect / own)  # the picture's height on screen, in screen heights
    angle, sway, bend, zoom = 0.006 * drift, 0.008 * drift, 0.012 * drift, 0.03 * drift
    # The frame is drawn in by the most that turn, sway and bend can add, so no edge ever comes into view.
    slack = sway + bend * max(aspect, 1.0)
    inner_x = (aspect / 2 - slack) / (aspect / 2 + angle / 2)
    inner_y = (0.5 - slack) / (0.5 + angle * aspect / 2)
    size = min(inner_x, inner_y) * (1.0 - zoom * (0.5 + 0.5 * _wave(time_s, 37.0, 0.0)))
    turn = angle * _wave(time_s, 53.0, 0.37)
    cos, sin = size * math.cos(turn), size * math.sin(turn)
    wide, high = own * scale, scale
    return View(
        turn=(cos * aspect / wide, sin * aspect / high, -sin / wide, cos / high),
        shift=(
            0.5 + sway * _wave(time_s, 43.0, 0.11) / wide,
            0.5 + sway * _wave(time_s, 59.0, 0.73) / high,
        ),
        bend=(
            bend * aspect * _wave(time_s, 31.0, 0.2) / wide,
            bend * aspect * _wave(time_s, 47.0, 0.6) / wide,
            bend * _wave(time_s, 41.0, 0.9) / high,
            bend * _wave(time_s, 29.0, 0.45) / high,
        ),
    )


@lru_cache(maxsize=8)
def _still_view(picture: tuple[int, int], screen: tuple[int, int]) -> View:
    return view_of(picture, screen, 0.0, 0.0)


def _wave(time_s: float, period_s: float, phase: float) -> float:
    # Two sines of periods that share no measure: it does not repeat while anyone is looking.
    turn = 2.0 * math.pi * (time_s / period_s + phase)
    return 0.7 * math.sin(turn) + 0.3 * math.sin(turn * 0.381966 + 1.7)


class Look:
    """Grades, upsamples and finishes a picture; holds only what it needs between frames."""

    def __init__(self, ctx: moderngl.Context, shaders: Shaders, fit: str = "cover") -> None:
        if fit not in ("cover", "letterbox"):
            raise ValueError(f'fit must be "cover" or "letterbox", got {fit!r}')
        self.fit = fit
        self._ctx = ctx
        self._shaders = shaders
        self._grain_px = 1
        self._grain = make_grain(ctx)
        self._graded: Target | None = None
        self._ready: Target | None = None
        # 8 bits halve the cost of sampling on a processor; a GPU gives 16 away.
        self._ready_dtype = "f1" if is_software(ctx) else "f2"
        self._fade = -1.0
        self._faded_s = 0.0

    @property
    def light(self) -> float:
        """How much light there was in the last frame, 0 to 1; less than 1 on the way to a blackout or out of it."""
        return self._fade * self._fade * (3.0 - 2.0 * self._fade) if self._fade >= 0.0 else 1.0

    @property
    def is_black(self) -> bool:
        """Whether a blackout has come to its end, so that nothing shows."""
        return self._fade == 0.0

    def render(self, picture: Picture, framebuffer: moderngl.Framebuffer, values: Values, time_s: float) -> None:
        """Draw the finished picture into the framebuffer's viewport. values: every look.* and stage.* parameter."""
        graded, ready = self._targets(picture.size)
        fade = self.fade(bool(values["stage.blackout"]), time_s)
        whole = framebuffer.viewport
        inner = fitted(picture.size, (whole[2], whole[3]), self.fit)
        if inner != (0, 0, whole[2], whole[3]):
            framebuffer.clear()
        if bool(values["look.enabled"]):
            self._prepare(picture, graded, ready, values, (inner[2], inner[3]), time_s)
            framebuffer.viewport = inner
            self._finish(ready, framebuffer, values, time_s, fade)
        else:
            ready.texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
            ready.framebuffer.scissor = seen(picture.size, (inner[2], inner[3]))
            self._shaders.native("encode.frag").render(
                ready.framebuffer, {**picture.uniforms(), "u_fade": fade}, picture.textures()
            )
            framebuffer.viewport = inner
            still = _still_view(picture.size, (inner[2], inner[3]))
            self._shaders.native("plain.frag").render(
                framebuffer, {"u_turn": still.turn, "u_shift": still.shift}, {"u_source": ready.texture}
            )
        framebuffer.viewport = whole

    def _targets(self, size: tuple[int, int]) -> tuple[Target, Target]:
        if self._graded is None or self._ready is None or self._graded.size != size:
            for target in (self._graded, self._ready):
                if target is not None:
                    target.release()
            self._graded = make_target(self._ctx, size, "f2")
            self._ready = make_target(self._ctx, size, self._ready_dtype)
            if self._ready_dtype == "f1":
                lay_blue_first(self._ctx, self._ready.texture)
                self._ready.framebuffer.clear()
        return self._graded, self._ready

    def fade(self, wanted: bool, time_s: float) -> float:
        """How much light there is at that moment, 0 to 1, on the way to a blackout or out of it; once a frame."""
        goal = 0.0 if wanted else 1.0
        if self._fade < 0.0:
            self._fade = goal
        step = max(time_s - self._faded_s, 0.0) / FADE_S
        self._faded_s = time_s
        self._fade += min(max(goal - self._fade, -step), step)
        return self.light

    def _prepare(
        self,
        picture: Picture,
        graded: Target,
        ready: Target,
        values: Values,
        screen: tuple[int, int],
        time_s: float,
    ) -> None:
        """Everything that can be done at the picture's own size."""
        level = _level(picture.size, screen)
        graded.framebuffer.scissor = ready.framebuffer.scissor = seen(picture.size, screen)
        gain, contrast = 2.0 ** float(values["look.exposure"]), float(values["look.contrast"])
        self._shaders.native("grade.frag").render(
            graded.framebuffer,
            {
                **picture.uniforms(),
                "u_gain": gain,
                "u_contrast": contrast,
                "u_white": max(MIDDLE_GREY * (gain / MIDDLE_GREY) ** contrast, 1.0),
                "u_saturation": float(values["look.saturation"]),
            },
            picture.textures(),
        )
        # Drawn smaller than it is, a picture is sharp enough.
        amount = SHARPEN * float(values["look.sharpness"]) if level == 0 else 0.0
        self._shaders.native("sharpen.frag").render(
            ready.framebuffer,
            {
                "u_amount": amount,
                "u_place": grain_place(time_s),
                "u_step": 1.0 / 255.0 if self._ready_dtype == "f1" else 0.0,
            },
            {"u_source": graded.texture, "u_grain": self._grain},
        )
        if level:
            ready.texture.build_mipmaps()
            ready.texture.filter = (moderngl.LINEAR_MIPMAP_NEAREST, moderngl.LINEAR)
        else:
            ready.texture.filter = (moderngl.LINEAR, moderngl.LINEAR)

    def _finish(
        self,
        ready: Target,
        framebuffer: moderngl.Framebuffer,
        values: Values,
        time_s: float,
        fade: float,
    ) -> None:
        """The one pass at screen size."""
        screen = framebuffer.viewport[2:]
        view = view_of(ready.size, (screen[0], screen[1]), float(values["look.drift"]), time_s)
        level = _level(ready.size, (screen[0], screen[1]))
        grain_px = 2 ** max(0, round(math.log2(screen[1] / GRAIN_LINES)))
        if grain_px != self._grain_px:
            self._grain.release()
            self._grain, self._grain_px = make_grain(self._ctx, grain_px), grain_px
        self._shaders.native("screen.frag").render(
            framebuffer,
            {
                "u_size": (max(ready.size[0] >> level, 1), max(ready.size[1] >> level, 1)),
                "u_level": float(level),
                "u_turn": view.turn,
                "u_shift": view.shift,
                "u_bend": view.bend,
                "u_place": tuple(part * grain_px for part in grain_place(time_s)),
                "u_grain_amount": 0.55 * float(values["look.grain"]),
                "u_vignette": float(values["look.vignette"]),
                "u_fade": fade,
            },
            {"u_source": ready.texture, "u_grain": self._grain},
        )


def fitted(picture: tuple[int, int], screen: tuple[int, int], fit: str) -> tuple[int, int, int, int]:
    """(left, bottom, width, height) of the part of a screen that a picture fills: all of it, or between bars."""
    if fit == "cover":
        return (0, 0, *screen)
    scale = min(screen[0] / picture[0], screen[1] / picture[1])
    width, height = max(round(picture[0] * scale), 1), max(round(picture[1] * scale), 1)
    return ((screen[0] - width) // 2, (screen[1] - height) // 2, width, height)


def _level(picture: tuple[int, int], screen: tuple[int, int]) -> int:
    """Mip level to sample: 0 unless the picture covers the screen with texels to spare."""
    spare = min(picture[0] / screen[0], picture[1] / screen[1])
    return max(0, round(math.log2(spare))) if spare > 1.0 else 0


def seen(picture: tuple[int, int], screen: tuple[int, int]) -> tuple[int, int, int, int]:
    """The middle part of a picture that a cover shows, and a little more; the rest need not be drawn.

    Drift only ever looks further in: its bends and turns stay inside what a still view shows.
    """
    if _level(picture, screen):
        return (0, 0, *picture)  # a mip level gathers from everywhere near it
    across, _, _, up = _still_view(picture, screen).turn
    margin = 4  # the reach of sharpening and of the cubic kernel
    width = min(math.ceil(picture[0] * across / 2) * 2 + 2 * margin, picture[0])
    height = min(math.ceil(picture[1] * up / 2) * 2 + 2 * margin, picture[1])
    return ((picture[0] - width) // 2, (picture[1] - height) // 2, width, height)


def grain_place(time_s: float) -> tuple[int, int]:
    """Where the grain tile lies at this moment, in grains; the same moment always gives the same place."""
    frame = math.floor(time_s * GRAIN_HZ + 1e-6)
    # Steps of the plastic number cover the tile evenly, so that no two near frames look alike.
    return (
        math.floor(frame * 0.7548776662 % 1.0 * GRAIN_SIDE),
        math.floor(frame * 0.5698402910 % 1.0 * GRAIN_SIDE),
    )


def make_grain(ctx: moderngl.Context, grain_px: int = 1, seed: int = 11) -> moderngl.Texture:
    """A seamless tile: red is film grain (Gaussian, a little clumped), green even noise for dithering.

    grain_px, a power of two, is the size of a grain in texels; the even noise always has one a texel.
    """
    rng = np.random.default_rng(seed)
    side = GRAIN_SIDE
    white = rng.standard_normal((side, side))
    clumped = white + 0.35 * sum(np.roll(white, 1 if k % 2 else -1, k // 2) for k in range(4))
    clumped *= 0.16 / clumped.std()
    even = (np.argsort(np.argsort(_high_passed(rng, side), axis=None)) % (side * side)) / (side * side - 1)
    noise = np.tile(even.reshape(side, side), (grain_px, grain_px))
    tile = np.stack([_grown(np.clip(0.5 + clumped, 0, 1), grain_px), noise], axis=-1)
    texture = ctx.texture((side * grain_px, side * grain_px), 2, np.round(tile * 255).astype(np.uint8).tobytes())
    texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
    return texture


def _grown(tile: np.ndarray, times: int) -> np.ndarray:
    """A seamless tile at so many times its size, straight lines between its points."""
    for axis in (0, 1):
        next_one = np.roll(tile, -1, axis)
        steps = [tile + (next_one - tile) * (k / times) for k in range(times)]
        tile = np.stack(steps, axis + 1).reshape([n * (times if k == axis else 1) for k, n in enumerate(tile.shape)])
    return tile


def _high_passed(rng: np.random.Generator, side: int) -> np.ndarray:
    # Noise without its low frequencies is the least visible: the eye averages neighbours.
    white = np.fft.rfft2(rng.standard_normal((side, side)))
    fx, fy = np.meshgrid(np.fft.rfftfreq(side), np.fft.fftfreq(side))
    return np.fft.irfft2(white * np.minimum(np.hypot(fx, fy) * 2.5, 1.0) ** 2, s=(side, side))
