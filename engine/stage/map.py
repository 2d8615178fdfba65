"""The map of what was dreamt, drawn: kinds as regions of light, memories as glass, the path, and the present.

    view = MapView(ctx, shaders)
    view.set(marks); view.set_path(numbers, places)    # whenever there is something new
    target = view.render((1280, 720), now_s)       # linear light; view.names says what is to be written where

Stage process, GL thread only. Nothing is made before the first render. Where memories lie is worked out elsewhere
(walk/memory/chart.py); here nothing jumps: what lies elsewhere than before glides there, and so does the frame.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import moderngl
import numpy as np

from engine.stage.atlas import LINEAR, Atlas
from engine.stage.gl import Target, Uniform, make_target
from engine.stage.map_layout import WASH, Gliding, curved, spaced, washed
from engine.stage.shaders import Shaders

# colour: the mean of its picture, sRGB. A number below zero: a moment of the path that is no memory.
MARK = np.dtype([("id", "i8"), ("kind", "i4"), ("place", "f4", 2), ("strength", "f4"), ("colour", "u1", 3)])
LIGHT, RING, GLASS = 0.0, 1.0, 2.0  # what a mark is, as map.frag has it
FADE_S = 1.2  # in which a memory or its picture appears
FRAME_S = 1.6  # time constant of the frame
CHOSEN_HZ = 2.0  # how often it is chosen who has a picture, while all glide
PRESENT = (1.0, 0.86, 0.62)
TRAIL = (0.62, 0.70, 0.92)
WAITING, UPLOADS, WANTED = 64, 2, 8
ASK_AGAIN_S = 5.0
MARGIN = 0.17  # of the frame around what is in it
SMALLEST = 0.35  # half the height of what is seen: a few that lie close are not blown up
FEW_OF_A_KIND = 2
BREATH_S = 3.2
WIDEST = 1.5  # how much wider than high the map may be drawn
STRAIGHT: dict[str, Uniform] = {"u_turn": (1.0, 0.0, 0.0, 1.0), "u_shift": (0.5, 0.5)}
DOT = 0.0036  # radius of a memory without a picture, in heights
GLASS_FROM = 0.021, 0.056  # radius of one with a picture, in heights: of many and of few


@dataclass(frozen=True)
class Name:
    """A kind's name: the middle of where it is to be written, pixels from the upper left."""

    kind: int
    x: float
    y: float


class MapView:
    """See the module's head."""

    def __init__(self, ctx: moderngl.Context, shaders: Shaders) -> None:
        self._ctx, self._shaders = ctx, shaders
        self._atlas: Atlas | None = None
        self._target: Target | None = None
        self._buffer: moderngl.Buffer | None = None
        self._fed: object = None
        self._marks = np.empty(0, MARK)
        self._given: np.ndarray | None = None
        self._places, self._way = Gliding(), Gliding()  # of the memories, and of the path
        self._came_s = np.empty(0)
        self._pictured_s = np.empty(0)
        self._linear = np.empty((0, 3), np.float32)
        self._wash: moderngl.Texture | None = None
        self._frame: np.ndarray | None = None  # middle x, y, and half of width and height
        self._now_s: float | None = None
        self._waiting: dict[int, np.ndarray] = {}
        self._asked: dict[int, float] = {}
        self._entered: int | None = None
        self._glassy = np.empty(0, int)
        self._glassy_for: tuple[int, tuple[int, int], int, int] | None = None
        self._version = 0
        self._below = 0.0
        self._path: tuple[np.ndarray, np.ndarray] | None = None  # one that was not taken in yet
        self.names: list[Name] = []
        self.wanted: list[int] = []  # ids whose pictures to fetch now

    def set(self, marks: np.ndarray) -> None:
        """What there is now, dtype MARK."""
        if marks.dtype != MARK:
            raise ValueError(f"marks must be {MARK}, got {marks.dtype}")
        self._given = marks

    def set_path(self, numbers: np.ndarray, places: np.ndarray) -> None:
        """Where it came by, the oldest first, the last is the present: ascending (N,) numbers and (N, 2) places."""
        self._path = numbers, places.astype(np.float32)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing on it."""
        there = (self._way.at, self._places.at, () if self._given is None else self._given)
        return self._path is None and not any(len(part) for part in there)

    def enter(self, identity: int | None) -> None:
        """The present picture is that memory's; None: no memory's."""
        self._entered = identity

    def put_thumbnail(self, identity: int, rgb: np.ndarray) -> None:
        """A memory's picture, (h, w, 3) uint8; uploaded in one of the next frames. Of too many the oldest goes."""
        while len(self._waiting) >= WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[identity] = rgb

    def rest(self) -> None:
        """It is not seen any more: the frame will not glide from where it was."""
        self._now_s, self._frame = None, None
        self.names, self.wanted = [], []

    def render(self, size: tuple[int, int], now_s: float, bold: float = 1.0, below: float = 0.0) -> Target:
        """The map, in linear light. size: pixels; bold: how large marks are drawn, more for a small map; below: the
        share of its height that is left free there."""
        self._below = below
        step_s = 0.0 if self._now_s is None else min(max(now_s - self._now_s, 0.0), 0.25)
        self._now_s = now_s
        if self._target is None or self._target.size != size:
            if self._target is not None:
                self._target.release()
            self._target = make_target(self._ctx, size)
        if self._atlas is None:
            self._atlas = Atlas(self._ctx)
        self._atlas.next_frame()
        self._take(now_s)
        self._places.move(now_s)
        self._way.move(now_s)
        self._move_frame(step_s)
        found = self._drawn(size, now_s, bold)
        self._draw_ground(self._target, bold)
        self._draw(self._target, found)
        return self._target

    def _take(self, now_s: float) -> None:
        assert self._atlas is not None
        if self._given is not None:
            self._arrange(self._given[np.argsort(self._given["id"], kind="stable")], now_s)
            self._given = None
        if self._path is not None:
            self._way.go(*self._path, now_s)
            self._path = None
        for identity in list(self._waiting)[:UPLOADS]:
            rgb, index = self._waiting.pop(identity), self._index(identity)
            self._asked.pop(identity, None)
            if index is not None:
                self._linear[index] = self._atlas.put(index, rgb, fine=True)
                self._pictured_s[index] = min(self._pictured_s[index], now_s)

    def _arrange(self, marks: np.ndarray, now_s: float) -> None:
        assert self._atlas is not None
        old = np.searchsorted(self._marks["id"], marks["id"])
        known = np.append(self._marks["id"], np.iinfo(np.int64).max)[old] == marks["id"]
        old = np.where(known, old, -1)
        first = not len(self._marks)
        self._places.go(marks["id"], marks["place"].astype(np.float32), now_s)
        came = now_s - (FADE_S if first else 0.0)
        self._came_s = np.where(known, np.append(self._came_s, 0.0)[old], came)
        self._pictured_s = np.where(known, np.append(self._pictured_s, np.inf)[old], np.inf)
        self._linear = np.where(known[:, None], np.append(self._linear, [[0.0] * 3], 0)[old], LINEAR[marks["colour"]])
        self._linear = self._linear.astype(np.float32)
        self._marks = marks
        self._atlas.renumber(old)
        self._version += 1

    def _index(self, identity: int) -> int | None:
        place = int(np.searchsorted(self._marks["id"], identity))
        return place if place < len(self._marks) and self._marks["id"][place] == identity else None

    def _move_frame(self, step_s: float) -> None:
        all_of = np.concatenate([self._places.at, self._way.at])
        if not len(all_of):
            return
        spare = 1 if len(all_of) < 100 else len(all_of) // 100  # one that lies far off does not make all else small
        low, high = (np.sort(all_of, 0)[k] for k in ((0, -1) if spare == 1 else (spare, -1 - spare)))
        if len(self._way.at):
            low, high = np.minimum(low, self._way.at[-1]), np.maximum(high, self._way.at[-1])
        half = np.maximum((high - low) / 2, SMALLEST)
        goal = np.array([*(low + high) / 2, *half])
        share = 1.0 if self._frame is None else -math.expm1(-step_s / FRAME_S)
        self._frame = goal if self._frame is None else self._frame + (goal - self._frame) * share

    def _pixels(self, places: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """(N, 2) places to pixels from the middle, up is up."""
        assert self._frame is not None
        room = np.array(size) / 2 * (1 - np.array([MARGIN * 9 / 16, MARGIN + self._below]))
        scale = room / self._frame[2:]
        scale = np.minimum(scale, scale[::-1] * np.array([WIDEST, 1.0]))
        up = np.array([0.0, self._below * size[1] / 2])
        return ((places - self._frame[:2]) * scale + up).astype(np.float32)

    def _drawn(self, size: tuple[int, int], now_s: float, bold: float) -> np.ndarray:
        """(n, 16) float32: all marks, the lowest first."""
        self.names = []
        if self._frame is None:
            return np.empty((0, 16), np.float32)
        at = self._pixels(self._places.at, size)
        shown = np.clip((now_s - self._came_s) / FADE_S, 0.0, 1.0).astype(np.float32)
        self._place_names(at, size, bold)
        parts = [self._trail(size, bold)]
        glassy = self._choose(at, size, bold, now_s)
        parts += [self._lights(at, shown, size, bold, glassy), self._spheres(at, shown, size, now_s, bold, glassy)]
        parts.append(self._present(size, now_s, bold))
        return np.concatenate(parts)

    def _place_names(self, at: np.ndarray, size: tuple[int, int], bold: float) -> None:
        """A kind's name stands over the middle of what is of it."""
        kinds, counts = np.unique(self._marks["kind"], return_counts=True)
        for kind in kinds[(kinds >= 0) & (counts >= FEW_OF_A_KIND)].tolist():
            mine = at[self._marks["kind"] == kind]
            middle = np.median(mine, 0)
            near = mine[np.linalg.norm(mine - middle, axis=1) < 0.16 * size[1]]
            top = float(near[:, 1].max()) if len(near) else float(middle[1])
            y = size[1] / 2 - top - self._radius(size, bold) - 0.028 * size[1] * bold
            x = size[0] / 2 + float(middle[0])
            self.names.append(Name(kind, x, y))

    def _draw_ground(self, target: Target, bold: float) -> None:
        """The dark, and the kinds in it."""
        wash = np.zeros((WASH[1], WASH[0], 4), np.float32)
        if self._frame is not None and len(self._places.at):
            cells = (self._pixels(self._places.at, target.size) / np.array(target.size) + 0.5) * np.array(WASH)
            mine = self._marks["kind"] >= 0
            tone = self._linear / np.maximum(self._linear.max(1, keepdims=True), 0.06)
            grey = tone.mean(1, keepdims=True)
            tone = np.clip(grey + 1.7 * (tone - grey), 0.0, 1.2)  # the mean of a picture is greyer than the picture
            light = np.concatenate([tone, np.ones((len(tone), 1))], 1)
            wash = washed(cells[mine], light[mine], 1.9 + 0.8 * (bold - 1))
        if self._wash is None:
            self._wash = self._ctx.texture(WASH, 4, dtype="f2")
            self._wash.filter = (moderngl.LINEAR, moderngl.LINEAR)
            self._wash.repeat_x = self._wash.repeat_y = False
        self._wash.write(wash.astype(np.float16).tobytes())
        uniforms = {**STRAIGHT, "u_ratio": target.size[0] / target.size[1]}
        self._shaders.native("mapground.frag").render(target.framebuffer, uniforms, {"u_wash": self._wash})

    def _trail(self, size: tuple[int, int], bold: float) -> np.ndarray:
        """The path: a line of light that fades toward where it came from."""
        if len(self._way.at) < 2:
            return np.empty((0, 16), np.float32)
        at = curved(self._pixels(self._way.at, size))
        count = len(at)
        age = np.linspace(0.0, 1.0, count, dtype=np.float32) ** 1.6
        rows = np.zeros((2 * (count - 1), 16), np.float32)
        for k, (radius, much) in enumerate(((0.0105, 0.10), (0.0030, 0.75))):  # its glow, and the line itself
            part = rows[k::2]
            part[:, 0:2], part[:, 2:4] = at[:-1], at[1:]
            part[:, 4], part[:, 5] = max(radius * size[1] * bold, 1.2), LIGHT
            part[:, 8:11] = TRAIL
            # Where two pieces meet both shine: half of either at their ends would be a dotted line.
            part[:, 11], part[:, 15] = age[:-1] * much, age[1:] * much
        return rows

    def _choose(self, at: np.ndarray, size: tuple[int, int], bold: float, now_s: float) -> np.ndarray:
        """Indices of those that are drawn with a picture: the strongest, where there is room."""
        assert self._frame is not None
        beat = math.floor(now_s * CHOSEN_HZ) if self._places.is_moving else -1
        key = self._version, size, round(float(np.log(self._frame[2:]).sum()) * 6), beat
        if self._glassy_for != key:
            worth = self._marks["strength"].astype(np.float64)
            if self._glassy_for is not None and self._glassy_for[0] == self._version:
                worth[self._glassy] += 1.0  # who has a picture keeps it, or they would flicker as all glide
            self._glassy_for, self._glassy = key, spaced(at, worth, 2.15 * self._radius(size, bold))
        return self._glassy

    def _radius(self, size: tuple[int, int], bold: float) -> float:
        """Of a memory with a picture, pixels: the larger the fewer there are."""
        many, few = GLASS_FROM
        share = min(math.log2(max(len(self._marks), 8) / 8) / 6, 1.0)
        return size[1] * bold * (few + (many - few) * share)

    def _lights(
        self, at: np.ndarray, shown: np.ndarray, size: tuple[int, int], bold: float, glassy: np.ndarray
    ) -> np.ndarray:
        """Those without a picture: points of light of their own colour."""
        plain = np.ones(len(at), bool)
        plain[glassy] = False
        on = np.flatnonzero(plain)
        rows = np.zeros((len(on), 16), np.float32)
        rows[:, 0:2] = rows[:, 2:4] = at[on]
        rows[:, 4] = np.maximum(size[1] * DOT * bold * (0.8 + 0.6 * self._marks["strength"][on]), 1.3)
        rows[:, 5] = LIGHT
        tone = self._linear[on]
        rows[:, 8:11] = 0.85 * tone / np.maximum(tone.max(1, keepdims=True), 0.12) + 0.08
        faint = min(1.0, (300 / max(len(on), 1)) ** 0.4)
        rows[:, 11] = rows[:, 15] = shown[on] * (0.35 + 0.65 * self._marks["strength"][on]) * faint
        return rows

    def _spheres(
        self, at: np.ndarray, shown: np.ndarray, size: tuple[int, int], now_s: float, bold: float, glassy: np.ndarray
    ) -> np.ndarray:
        assert self._atlas is not None
        large = self._radius(size, bold) > 20
        self._want(glassy, large, now_s)
        rows = np.zeros((len(glassy), 16), np.float32)
        rows[:, 0:2] = rows[:, 2:4] = at[glassy]
        rows[:, 4] = self._radius(size, bold) * (0.82 + 0.18 * self._marks["strength"][glassy])
        rows[:, 5] = GLASS
        rows[:, 6] = 0.45 + 0.55 * self._marks["strength"][glassy]
        rows[:, 8:11] = self._linear[glassy]
        rows[:, 12:16] = self._atlas.rect(glassy, np.full(len(glassy), large))
        came = np.clip((now_s - self._pictured_s[glassy]) / FADE_S, 0.0, 1.0)
        rows[:, 7] = rows[:, 15] * came
        rows[:, 11] = rows[:, 15] = shown[glassy]
        return rows

    def _present(self, size: tuple[int, int], now_s: float, bold: float) -> np.ndarray:
        """A small living point where the picture of this moment lies."""
        if not len(self._way.at):
            return np.empty((0, 16), np.float32)
        at = self._pixels(self._way.at[-1:], size)[0]
        breath = 0.5 + 0.5 * math.sin(2 * math.pi * (now_s % 3600.0) / BREATH_S)
        unit = size[1] * bold
        rows = [
            [*at, *at, unit * (0.045 + 0.012 * breath), LIGHT, 0, 0, *PRESENT, 0.22, 0, 0, 0, 0.22],
            [*at, *at, max(unit * 0.0085, 3.0), LIGHT, 0, 0, *PRESENT, 2.4, 0, 0, 0, 2.4],
        ]
        if self._entered is not None and (index := self._index(self._entered)) is not None:
            place = self._pixels(self._places.at[index : index + 1], size)[0]
            radius = self._radius(size, bold) * 1.15
            rows.append([*place, *place, radius, RING, 0.4 * bold, 0, *PRESENT, 0.9, 0, 0, 0, 0.9])
        return np.array(rows, np.float32)

    def _want(self, glassy: np.ndarray, fine: bool, now_s: float) -> None:
        assert self._atlas is not None
        missing = self._marks["id"][self._atlas.use(glassy, fine)]
        self._asked = {i: s for i, s in self._asked.items() if now_s - ASK_AGAIN_S < s <= now_s}
        room = min(WANTED, WAITING - len(self._asked))
        self.wanted = [i for i in missing.tolist() if i not in self._asked][: max(room, 0)]
        self._asked |= dict.fromkeys(self.wanted, now_s)

    def _draw(self, target: Target, found: np.ndarray) -> None:
        assert self._atlas is not None
        if not len(found):
            return
        shader = self._shaders.native("map.frag")
        if self._buffer is None or self._buffer.size < found.nbytes or self._fed is not shader:
            if self._buffer is None or self._buffer.size < found.nbytes:
                if self._buffer is not None:
                    self._buffer.release()
                self._buffer = self._ctx.buffer(reserve=2 * found.nbytes, dynamic=True)
            shader.feed([(self._buffer, "4f 4f 4f 4f /i", "i_line", "i_shape", "i_colour", "i_tile")])
            self._fed = shader
        self._buffer.orphan()
        self._buffer.write(np.ascontiguousarray(found).tobytes())
        self._ctx.enable(moderngl.BLEND)
        self._ctx.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
        half: Mapping[str, tuple[float, float]] = {"u_half": (target.size[0] / 2, target.size[1] / 2)}
        shader.render(target.framebuffer, half, {"u_atlas": self._atlas.texture}, (4, len(found)))
        self._ctx.disable(moderngl.BLEND)
