"""Draws the hall of the shelves: the dark, the boards, the spheres, and the sphere in which the picture plays.

Usage: `hall = Hall(ctx, shaders); target = hall.begin(size); hall.draw_spheres(scene, instances)`.
Stage process, GL thread only. Linear light in 16-bit float. What it shows is decided in shelves.py.
"""

import math
from dataclasses import dataclass
from typing import Any

import moderngl
import numpy as np

from engine.stage.atlas import LIVE, LIVE_AT, Atlas
from engine.stage.blend import Picture
from engine.stage.camera import Pose, at
from engine.stage.gl import Target, Uniform, make_field, make_target
from engine.stage.shaders import Shaders
from engine.stage.shelving import AISLE, BOARD_PITCH, BOARDS, PITCH, RADIUS, height_of, path

INSTANCE = 16  # numbers a sphere: place, tile, light, turn (see shelves.vert)
COLUMNS = 256  # of the boards' light, around the camera
DEEP, WIDE = 0.72, 0.62  # how far a board goes behind and before the spheres' middles
LENS = 2.35  # half the frame's height is seen from so far away, in halves
DEPTH = 78.0  # how far one sees
HALO = 1.7  # radii to which the present one's light is seen around it
HINTED = 8.0  # height up to which an empty board is seen at all
DARK_PX = 4  # pixels of one of the dark, which is soft
GLOW_PX = 8  # pixels of a cell of the light around the spheres
GLOW_LEVELS = 4  # each of cells twice as large
STRAIGHT: dict[str, Uniform] = {"u_turn": (1.0, 0.0, 0.0, 1.0), "u_shift": (0.5, 0.5)}
EDGE, PLANE = 1.0, 2.0  # what a strip of the boards is


@dataclass(frozen=True)
class Scene:
    """What one frame shows."""

    pose: Pose
    size: tuple[int, int]  # of what is drawn into, pixels
    time_s: float
    colour: float  # 0 none
    home: np.ndarray  # where the present picture's sphere is, in the world
    s: float  # how far along the aisle the camera is

    @property
    def lens(self) -> tuple[float, float]:
        """How a length beside, divided by one ahead, becomes one on screen."""
        return lens_of(self.size[0] / self.size[1])

    def radius_px(self, ahead: np.ndarray) -> np.ndarray:
        """Of a sphere that far ahead."""
        return 0.5 * RADIUS * self.lens[1] * self.size[1] / ahead

    def disc(self) -> tuple[float, float, float]:
        """Middle (from that of the frame) and radius of the present picture's sphere, pixels; radius 0 out of sight."""
        right, up, ahead = self.pose.seen(self.home[None].astype(np.float32))[0].astype(float)
        if ahead < 0.02:
            return 0.0, 0.0, 0.0
        (lx, ly), (width, height) = self.lens, self.size
        x, y = right * lx / ahead * width / 2, up * ly / ahead * height / 2
        return float(x), float(y), float(0.5 * RADIUS * ly * height / ahead)

    @property
    def corner_px(self) -> float:
        """From the middle of the frame to its corner."""
        return math.hypot(*self.size) / 2


def lens_of(aspect: float) -> tuple[float, float]:
    """The frame's lens: a narrow one sees higher, so that it still sees something of either wall."""
    up = LENS * min(1.0, max(aspect, 0.3) ** 0.6)
    return up / aspect, up


class Hall:
    """Everything of the shelves that is kept on the card."""

    def __init__(self, ctx: moderngl.Context, shaders: Shaders) -> None:
        self._ctx, self._shaders = ctx, shaders
        self.atlas = Atlas(ctx)
        self._field = make_field(ctx)
        self._target: Target | None = None
        self._glow: moderngl.Texture | None = None
        self._dark: Target | None = None
        self._means = make_target(ctx, (4, 4)), make_target(ctx, (2, 2))
        self._plain: Target | None = None
        self._live: Target | None = None
        self._spheres = ctx.buffer(reserve=4 * INSTANCE * 1024, dynamic=True)
        self._light = ctx.texture((COLUMNS, 2 * BOARDS), 4, dtype="f2")
        self._light.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self._light.repeat_x = self._light.repeat_y = False
        self._along = np.concatenate([[-12.0, -6.0], np.geomspace(1.0, 12.0 + 1.55 * DEPTH, 28) - 4.0])
        self._aisle = ctx.buffer(reserve=len(self._along) * 2 * 5 * 4, dynamic=True)
        self._strips = _strips()
        self._strip_buffer = ctx.buffer(self._strips.tobytes(), dynamic=True)
        self._fed: set[int] = set()

    def begin(self, size: tuple[int, int]) -> Target:
        """What this frame is drawn into."""
        if self._target is None or self._target.size != size:
            for part in (self._target, self._glow, self._dark):
                if part is not None:
                    part.release()
            self._target = make_target(self._ctx, size)
            self._glow = self._ctx.texture(glow_size(size), 4, dtype="f2")
            self._dark = make_target(self._ctx, (max(size[0] // DARK_PX, 2), max(size[1] // DARK_PX, 2)))
            self._glow.filter = (moderngl.LINEAR, moderngl.LINEAR)
            self._glow.repeat_x = self._glow.repeat_y = False
        return self._target

    def hold(self, picture: Picture) -> moderngl.Texture:
        """The picture in a texture that can be drawn at any size: sharpened for a cubic kernel, and smaller ones."""
        if self._live is None or self._plain is None or self._live.size != picture.size:
            for target in (self._plain, self._live):
                if target is not None:
                    target.release()
            self._plain, self._live = make_target(self._ctx, picture.size), make_target(self._ctx, picture.size)
        self._shaders.native("crossfade.frag").render(self._plain.framebuffer, picture.uniforms(), picture.textures())
        self._shaders.native("sharpen.frag").render(
            self._live.framebuffer, {"u_amount": 0.4, "u_step": 0.0}, {"u_source": self._plain.texture}
        )
        source = self._plain.texture
        for mean in self._means:  # sixteen places of it, and their means
            self._shaders.native("plain.frag").render(mean.framebuffer, STRAIGHT, {"u_source": source})
            source = mean.texture
        return self._live.texture

    def draw_dark(self, scene: Scene, glow: np.ndarray) -> None:
        """The hall without anything in it. glow: the light around the spheres, (h, w, 4) float16 of glow_size."""
        assert self._target and self._glow and self._dark
        self._glow.write(glow.tobytes())
        far = scene.pose.seen(at(scene.s + 40.0, 0.0, 0.0)[None].astype(np.float32))[0]
        ahead = max(float(far[2]), 1.0)
        lx, ly = scene.lens
        axes = scene.pose.axes()
        self._shaders.native("hall.frag").render(
            self._dark.framebuffer,
            {
                "u_far": (float(far[0]) * lx / ahead, float(far[1]) * ly / ahead),
                "u_sky": (0.4 * math.atan2(axes[2, 0], axes[2, 2]), 0.4 * float(axes[2, 1])),
                "u_ratio": scene.size[0] / scene.size[1],
                "u_time": scene.time_s % 86400.0,
                "u_colour": scene.colour,
            },
            {"u_field": self._field, "u_glow": self._glow},
        )
        self._shaders.native("plain.frag").render(self._target.framebuffer, STRAIGHT, {"u_source": self._dark.texture})

    def draw_boards(self, scene: Scene, light: np.ndarray, first: int) -> None:
        """The shelves. light: (2 * BOARDS, COLUMNS, 4) float16, from that column on."""
        assert self._target
        along = (scene.s + self._along).astype(np.float32)
        x, tx, tz = path(along)
        self._aisle.write(np.repeat(np.stack([x, along, tx, tz, along], 1), 2, axis=0).astype("f4").tobytes())
        self._light.write(light.tobytes())
        # What lies in the dark is hinted at by its edge alone.
        lit = light[..., :3].max(axis=(1, 2)) > 0.0
        near = (self._strips[:, 6] == EDGE) & (np.abs(self._strips[:, 1]) < HINTED)
        strips = self._strips[near | lit[self._strips[:, 4].astype(int)]]
        self._strip_buffer.write(strips.tobytes())
        shader = self._shaders.native("boards.frag")
        if id(shader) not in self._fed:
            shader.feed(
                [(self._aisle, "4f 1f", "i_aisle", "i_s"), (self._strip_buffer, "4f 3f /i", "i_lines", "i_board")]
            )
            self._fed.add(id(shader))
        self._mixing(moderngl.ONE, moderngl.ONE)
        shader.render(
            self._target.framebuffer,
            {
                "u_eye": tuple(scene.pose.eye.tolist()),
                "u_axes": tuple(scene.pose.axes().ravel().tolist()),
                "u_lens": scene.lens,
                "u_lines": float(scene.size[1]),
                "u_columns": (float(first), float(COLUMNS)),
                "u_pitch": (PITCH, float(2 * BOARDS)),
                "u_depth": DEPTH,
                "u_colour": scene.colour,
            },
            {"u_light": self._light},
            (2 * len(self._along), len(strips)),
        )
        self._ctx.disable(moderngl.BLEND)

    def draw_spheres(self, scene: Scene, instances: np.ndarray) -> None:
        """All of them in one call. instances: (n, INSTANCE) float32, the furthest first."""
        assert self._target and self._glow
        shader = self._shaders.native("shelves.frag")
        if self._spheres.size < instances.nbytes or id(shader) not in self._fed:
            if self._spheres.size < instances.nbytes:
                self._spheres.release()
                self._spheres = self._ctx.buffer(reserve=2 * instances.nbytes, dynamic=True)
            shader.feed([(self._spheres, "4f 4f 4f 4f /i", "i_place", "i_tile", "i_light", "i_turn")])
            self._fed.add(id(shader))
        if not len(instances):
            return
        self._spheres.orphan()
        self._spheres.write(instances.tobytes())
        self._mixing(moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA)
        shader.render(
            self._target.framebuffer,
            {"u_lens": scene.lens, "u_lines": float(scene.size[1]), "u_colour": scene.colour},
            {"u_atlas": self.atlas.texture, "u_glow": self._glow},
            (4, len(instances)),
        )
        self._ctx.disable(moderngl.BLEND)

    def keep_live(self, picture: Picture) -> None:
        """Put the present picture into the atlas, for its sphere among the others."""
        (wide, high), turned = shape_of(picture.size), -1.0 if picture.top_first else 1.0
        self.atlas.framebuffer.viewport = (*LIVE_AT, LIVE, LIVE)
        uniforms = {**picture.uniforms(), "u_turn": (wide, 0.0, 0.0, turned * high), "u_fade": 1.0}
        self._shaders.native("encode.frag").render(self.atlas.framebuffer, uniforms, picture.textures())

    def draw_inside(
        self,
        scene: Scene,
        live: moderngl.Texture,
        disc: tuple[float, float, float],
        cover: float,
        whole: float,
        bare: float,
    ) -> None:
        """The present picture's sphere by itself. cover: how much of it shows; whole: 1 as the picture fills the frame,
        0 as it is seen in a sphere; bare: 1 without any glass."""
        assert self._target
        width, height = scene.size
        own, aspect = live.width / live.height, width / height
        scale = max(1.0, aspect / own)
        x, y, radius = disc
        reach = radius * HALO
        left, right = (min(max(round(width / 2 + x + k * reach), 0), width) for k in (-1, 1))
        low, high = (min(max(round(height / 2 + y + k * reach), 0), height) for k in (-1, 1))
        if left >= right or low >= high:
            return
        level = max(math.log2(max(0.345 * live.height / radius, 1e-3)), 0.0)
        if level > 0.0:
            live.build_mipmaps()
        live.filter = (moderngl.LINEAR_MIPMAP_LINEAR if level > 0.0 else moderngl.LINEAR, moderngl.LINEAR)
        framebuffer: Any = self._target.framebuffer  # the stub knows no None
        framebuffer.scissor = (left, low, right - left, high - low)
        self._mixing(moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA)
        self._shaders.native("inside.frag").render(
            self._target.framebuffer,
            {
                "u_screen": (float(width), float(height)),
                "u_disc": (x, y, radius, cover),
                "u_fill": (1.0 / (own * scale), 1.0 / scale),
                "u_shape": shape_of(live.size),
                "u_all": (whole, bare),
                "u_level": level,
                "u_colour": scene.colour,
            },
            {"u_live": live, "u_mean": self._means[-1].texture},
        )
        self._ctx.disable(moderngl.BLEND)
        framebuffer.scissor = None

    def _mixing(self, source: int, destination: int) -> None:
        self._ctx.enable(moderngl.BLEND)
        self._ctx.blend_func = source, destination


def glow_size(size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) in cells of the light around the spheres, such that each level is half the one before."""
    step = 2 ** (GLOW_LEVELS - 1)
    return tuple(max(-(-side // (GLOW_PX * step)) * step, step) for side in size)  # type: ignore[return-value]


def glow_of(scene: Scene, instances: np.ndarray) -> np.ndarray:
    """(h, w, 4) float16: the light around what is in view, softer around what is larger.

    A few thousand points into a small picture cost next to nothing here; the same by passes that draw everything
    smaller and smaller would cost a software renderer as much as the spheres do.
    """
    width, height = glow_size(scene.size)
    ahead = instances[:, 2]
    lx, ly = scene.lens
    cells = np.array([scene.size[0] / GLOW_PX, scene.size[1] / GLOW_PX], np.float32)
    place = (instances[:, 0:2] * np.array([lx, ly], np.float32) / ahead[:, None] * 0.5 + 0.5) * cells
    radius = scene.radius_px(ahead) / GLOW_PX
    level = np.clip(np.rint(np.log2(np.maximum(radius, 0.1)) + 0.6), 0, GLOW_LEVELS - 1).astype(int)
    light = instances[:, 8:11] * (instances[:, 11] * instances[:, 14])[:, None]
    sums: np.ndarray | None = None
    for k in reversed(range(GLOW_LEVELS)):
        here = np.flatnonzero(level == k)
        w, h = width >> k, height >> k
        # The smallest are many and faint: which cell they are in is near enough.
        grid = _splat(place[here] / 2**k, light[here] * (3.0 * (radius[here] / 2**k) ** 2)[:, None], w, h, k > 0)
        if sums is not None:
            grid += np.repeat(np.repeat(sums, 2, 0), 2, 1)
        sums = _soft(_soft(grid))
    assert sums is not None
    glow = np.zeros((height, width, 4), np.float16)
    glow[..., :3] = sums
    return glow


def _splat(place: np.ndarray, light: np.ndarray, width: int, height: int, smooth: bool) -> np.ndarray:
    """(h, w, 3) the lights at their places. smooth: each shared among the four cells around it."""
    grid = np.zeros((height * width, 3), np.float32)
    corner = np.floor(place - 0.5 if smooth else place).astype(np.int32)
    share = place - 0.5 - corner
    for dx, dy in ((0, 0), (0, 1), (1, 0), (1, 1)) if smooth else ((0, 0),):
        x, y = corner[:, 0] + dx, corner[:, 1] + dy
        on = np.flatnonzero((x >= 0) & (x < width) & (y >= 0) & (y < height))
        cell = y[on] * width + x[on]
        weight = np.abs(1 - dx - share[on, 0]) * np.abs(1 - dy - share[on, 1]) if smooth else 1.0
        for c in range(3):
            grid[:, c] += np.bincount(cell, light[on, c] * weight, len(grid))
    return grid.reshape(height, width, 3)


def _soft(grid: np.ndarray) -> np.ndarray:
    """A little softer along both directions."""
    for axis in (0, 1):
        at = np.moveaxis(grid, axis, 0)
        soft = 2.0 * at
        soft[1:] += at[:-1]
        soft[:-1] += at[1:]
        soft[0] += at[0]
        soft[-1] += at[-1]
        grid = np.moveaxis(soft, 0, axis)
    return grid * np.float32(1.0 / 16.0)


def shape_of(size: tuple[int, int]) -> tuple[float, float]:
    """How a square becomes the middle of a picture of that size."""
    own = size[0] / size[1]
    return min(1.0, 1.0 / own), min(own, 1.0)


def _strips() -> np.ndarray:
    """(n, 7) the strips along the aisle: two lines, the boards they lie at, and what it is."""
    found = []
    for side, base in ((1.0, 0.0), (-1.0, float(BOARDS))):
        back, edge = side * (AISLE + DEEP), side * (AISLE - WIDE)
        for board in range(BOARDS):
            height, at = float(height_of(np.array(board))) - RADIUS - 0.03, base + board + 0.5
            found.append((edge, height, edge, height - 0.07, at, at, EDGE))
            found.append((edge, height, back, height, at, at, PLANE))
    assert BOARD_PITCH > 2 * RADIUS
    return np.array(found, np.float32)
