"""The bank seen: shelves of lit glass spheres, each holding a memory, and the way out of one and back into it.

    shelves = Shelves(ctx, shaders, fit="cover")
    shelves.set(np.array([(7, 0, 0.0, 1.0)], SPHERE))   # when the bank changes
    for memory in shelves.wanted: ask for its picture, and some time later
    shelves.put_thumbnail(7, rgb)
    picture = shelves.render(picture, now_s, values, screen)   # once a frame, after the blend

Stage process, GL thread only. At `memory.view` 0 it hands the picture on as it came: nothing is drawn, and before the
first use nothing is made. Everything seen is a function of the times and values it was given.
"""

import itertools
import math
from collections.abc import Mapping

import moderngl
import numpy as np

from engine.stage.atlas import LINEAR
from engine.stage.blend import Picture
from engine.stage.camera import Glide, Pose, at, blended, out_of
from engine.stage.gl import is_software
from engine.stage.hall import COLUMNS, DEPTH, INSTANCE, Hall, Scene, glow_of, lens_of
from engine.stage.shaders import Shaders
from engine.stage.shelving import AISLE, BOARD_PITCH, BOARDS, FRONT, PITCH, RADIUS, SPHERE, Dust, Shelving, path

Values = Mapping[str, float | int | bool | str]

REST = 0.004  # of memory.view: below it nobody could tell the difference
MOST_LINES, SOFTWARE_LINES = 1440, 304  # of what is drawn into; a processor draws less, and the look makes it larger
DOT_PX = 2.5  # radius up to which its mean colour is all that is seen of a sphere
SMALL_PX = 22.0  # radius from which a sphere shows its large picture
LIVE_PX = 112.0  # radius from which the present one is drawn by itself, larger than the atlas keeps it
UPLOADS = 2  # thumbnails a frame
WAITING = 64  # thumbnails; beyond it the oldest is dropped, and asked for again
WANTED = 12  # pictures asked for in a frame
ASK_AGAIN_S = 5.0  # if a picture has not come by then
FADE_S = 1.2  # in which a picture comes into its sphere
TRAVEL_S = 3.0  # from one memory to another
EMPTY = (0.045, 0.050, 0.062)  # linear; a sphere of which nothing is known yet
LIGHT_HZ = 12.0  # how often the boards' light is worked out
SIGHT = 1.52 * DEPTH  # from here on all is dark
LONGEST_STEP_S = 0.25
CLOSE = 1.36  # radius of the sphere at view 0, in half diagonals of the frame
BEFORE = 3.4  # distance to which the camera draws straight back
RIM_SHARE = 0.45  # radius, in heights of the frame, from which on its picture begins to fill it


class Shelves:
    """The view of the bank. Holds no picture but those in its atlas."""

    def __init__(self, ctx: moderngl.Context, shaders: Shaders, fit: str = "cover") -> None:
        self._ctx, self._shaders, self._fit = ctx, shaders, fit
        self._lines = SOFTWARE_LINES if is_software(ctx) else MOST_LINES
        self._hall: Hall | None = None
        self._shelving, self._dust = Shelving(), Dust()
        self._given: np.ndarray | None = None  # a list that is not arranged yet
        self._waiting: dict[int, np.ndarray] = {}  # thumbnails
        self._colours = np.empty((0, 3), np.float32)  # mean of each picture, linear
        self._came_s = np.empty(0)  # when its picture came
        self._near = np.empty(0, bool)  # near enough for a large picture
        self._glide = Glide()
        self._entered: int | None = None
        self._home = np.array([FRONT, 0.0, 0.0])  # where the present one is: s, aside, height
        self._left: tuple[np.ndarray, float] | None = None  # where it set out from, and when
        self._now_s: float | None = None
        self._away = False
        self._lit: tuple[tuple[int, int], np.ndarray] | None = None  # the boards' light: of when, and what
        self._asked: dict[int, float] = {}  # when a picture was asked for
        self.wanted: list[int] = []  # ids whose pictures to fetch now, the nearest first; each is asked for once
        self.drawn = 0  # spheres in the last frame

    def set(self, spheres: np.ndarray) -> None:
        """What is in the bank now: dtype SPHERE, `place` the order along its kind's shelf, strength 0 to 1.

        It is only kept, and arranged when it is seen.
        """
        if spheres.dtype != SPHERE:
            raise ValueError(f"spheres must be {SPHERE}, got {spheres.dtype}")
        self._given = spheres

    def enter(self, identity: int | None) -> None:
        """The present picture lives in that memory's sphere from now on; None: in a new one at the front."""
        if identity != self._entered:
            self._entered = identity
            if self._away and self._now_s is not None:
                self._left = self._home.copy(), self._now_s

    def put_thumbnail(self, identity: int, rgb: np.ndarray) -> None:
        """A memory's picture, (h, w, 3) uint8, top row first. It is uploaded in one of the next frames."""
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or min(rgb.shape) < 1:
            raise ValueError(f"a thumbnail must be (h, w, 3) uint8, got {rgb.shape} {rgb.dtype}")
        while len(self._waiting) >= WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[identity] = rgb

    def render(self, picture: Picture, now_s: float, values: Values, screen: tuple[int, int]) -> Picture:
        """The picture that goes on to the look: the same while memory.view is 0. screen: pixels it will be seen on."""
        step_s = 0.0 if self._now_s is None else min(max(now_s - self._now_s, 0.0), LONGEST_STEP_S)
        self._now_s = now_s
        view = min((float(values["memory.view"]) - REST) / (1.0 - 2.0 * REST), 1.0)
        if view <= 0.0:
            self._away = False
            self._left = None
            self.wanted = []
            return picture
        if self._hall is None:
            self._hall = Hall(self._ctx, self._shaders)
        hall = self._hall
        self._take(hall, now_s)
        self._travel(now_s)
        if not self._away:
            self._away = True
            self._glide.start(float(self._home[0]), self._shelving.length, now_s)
        self._glide.step(step_s, self._shelving.length, float(values["memory.glide"]))
        scene = self._scene(picture, view, float(values["memory.colour"]), screen, now_s)
        target, disc = hall.begin(scene.size), scene.disc()
        radius, height = disc[2], scene.size[1]
        if radius < scene.corner_px + math.hypot(disc[0], disc[1]):  # else its sphere is all around the eye
            if radius < 2.0 * LIVE_PX:
                hall.keep_live(picture)
            instances = self._instances(hall, scene, now_s)
            hall.draw_dark(scene, glow_of(scene, instances))
            instances = np.append(instances, self._motes(hall, scene), 0)
            first = math.floor(scene.s / PITCH) - 24
            hall.draw_boards(scene, self._light(now_s, first), first)
            hall.draw_spheres(scene, instances)
        cover = _smooth((radius / min(LIVE_PX, 0.36 * height) - 1.0) / 0.5)
        if cover > 0.0:
            whole = math.log(radius / (RIM_SHARE * height)) / math.log(CLOSE * scene.corner_px / (RIM_SHARE * height))
            bare = (radius / scene.corner_px - 0.95) / (CLOSE - 0.95)
            hall.draw_inside(scene, hall.hold(picture), disc, cover, _smooth(whole), _smooth(bare))
        return Picture.of(target)

    def _take(self, hall: Hall, now_s: float) -> None:
        """Take in what was given since the last frame, a few thumbnails at most."""
        if self._given is not None:
            old = self._shelving.arrange(self._given, now_s)
            self._given = None
            given = self._shelving.colour
            told = np.where(given.any(axis=1, keepdims=True), LINEAR[given], np.array(EMPTY))
            self._colours = np.where(old[:, None] >= 0, np.append(self._colours, [EMPTY], 0)[old], told)
            self._colours = self._colours.astype(np.float32)
            self._came_s = np.append(self._came_s, np.inf)[old]
            self._near = np.zeros(len(old), bool)
            hall.atlas.renumber(old)
            self._lit = None
        self._shelving.move(now_s)
        hall.atlas.next_frame()
        places = {identity: self._shelving.index(identity) for identity in self._waiting}
        # Those that stand before the eye first, in the order in which they came.
        order = sorted(places, key=lambda identity: (index := places[identity]) is None or not self._near[index])
        for identity in order[:UPLOADS]:
            rgb, index = self._waiting.pop(identity), places[identity]
            self._asked.pop(identity, None)
            if index is not None:
                self._colours[index] = hall.atlas.put(index, rgb, fine=bool(self._near[index]))
                self._came_s[index] = min(self._came_s[index], now_s)

    def _travel(self, now_s: float) -> None:
        """Bring the present one's sphere to where it belongs now."""
        index = None if self._entered is None else self._shelving.index(self._entered)
        goal = np.array([FRONT, 0.0, 0.0]) if index is None else self._shelving.at[index].astype(float)
        part = 1.0 if self._left is None else _smooth((now_s - self._left[1]) / TRAVEL_S)
        if self._left is None or part >= 1.0:
            self._left, self._home = None, goal
            return
        self._home = self._left[0] + (goal - self._left[0]) * part

    def _scene(self, picture: Picture, view: float, colour: float, screen: tuple[int, int], now_s: float) -> Scene:
        aspect = screen[0] / screen[1] if self._fit == "cover" else picture.size[0] / picture.size[1]
        lines = min(screen[1], self._lines) if aspect >= 1.0 else min(screen[0], self._lines) / aspect
        size = max(round(lines * aspect), 16), max(round(lines), 16)
        s, aside, height = self._home
        home = at(s, aside, height)
        _, tx, tz = (float(v) for v in path(np.array(s)))
        # One that hovers in the aisle is seen down the aisle, one on a shelf from before it.
        across = min(abs(aside) / AISLE, 1.0)
        along = np.array([tx, 0.0, tz])
        inward = np.array([tz, 0.0, -tx]) * -np.sign(aside)
        facing = -along * (1.0 - 0.5 * across) + inward * across
        close = RADIUS * lens_of(aspect)[1] / (CLOSE * math.hypot(1.0, aspect))
        distance = close * (BEFORE / close) ** _smooth(view / 0.62)
        near = out_of(home, facing / np.linalg.norm(facing), distance)
        glide = self._glide.pose()
        pose: Pose = blended(near, glide, _smooth((view - 0.35) / 0.65))
        return Scene(pose, size, now_s, 1.0 - view * (1.0 - colour), home, float(pose.eye[2]))

    def _shine(self, chosen: np.ndarray, now_s: float) -> np.ndarray:
        """How strongly each of them shines, 0 to 1: by its strength, and breathing a little."""
        breath = 1.0 + 0.06 * np.sin(now_s % 3600.0 * 0.7 + self._shelving.ids[chosen] % 628 / 100.0)
        return ((0.07 + 0.93 * self._shelving.strength[chosen] ** 1.3) * breath).astype(np.float32)

    def _light(self, now_s: float, first: int) -> np.ndarray:
        """(2 * BOARDS, COLUMNS, 4) float16: the light that stands on the boards, from a column on.

        A few times a second is often enough.
        """
        key = first, math.floor(now_s * LIGHT_HZ)
        if self._lit is None or self._lit[0] != key:
            self._lit = (key, self._new_light(now_s, first))
        return self._lit[1]

    def _new_light(self, now_s: float, first: int) -> np.ndarray:
        shelving = self._shelving
        column = shelving.at[:, 0] / PITCH - first
        height = shelving.at[:, 2] / BOARD_PITCH + (BOARDS - 1) / 2
        on = np.flatnonzero((np.abs(shelving.at[:, 1]) > AISLE - 0.6) & (column >= 0) & (column < COLUMNS - 1))
        board = np.rint(height[on]).astype(int) + np.where(shelving.at[on, 1] < 0, BOARDS, 0)
        left = np.floor(column[on]).astype(int)
        share = column[on] - left
        cell = np.clip(board, 0, 2 * BOARDS - 1) * COLUMNS + left
        colours = self._colours[on] * self._shine(on, now_s)[:, None]
        light = np.zeros((2 * BOARDS * COLUMNS, 4), np.float32)
        for c in range(3):
            light[:, c] = np.bincount(cell, colours[:, c] * (1.0 - share), len(light))
            light[:, c] += np.bincount(cell + 1, colours[:, c] * share, len(light) + 1)[: len(light)]
        return light.reshape(2 * BOARDS, COLUMNS, 4).astype(np.float16)

    def _instances(self, hall: Hall, scene: Scene, now_s: float) -> np.ndarray:
        """(n, INSTANCE) float32 of what is in view, the furthest first; says what pictures are wanted."""
        shelving = self._shelving
        lx, ly = scene.lens
        way = shelving.at[:, 0]
        near = np.flatnonzero((way > scene.s - SIGHT) & (way < scene.s + SIGHT))
        if self._entered is not None and (own := shelving.index(self._entered)) is not None and self._left is None:
            near = near[near != own]  # the present picture is in it
        seen = scene.pose.seen(shelving.world[near])
        right, up, ahead = seen[:, 0], seen[:, 1], seen[:, 2]
        inside = (ahead > 0.4) & (ahead < SIGHT)
        inside &= (np.abs(right) - RADIUS) * lx < ahead
        inside &= (np.abs(up) - RADIUS) * ly < ahead
        order = np.flatnonzero(inside)
        order = order[np.argsort(-ahead[order])]
        chosen, seen, ahead = near[order], seen[order], ahead[order]
        radius_px = scene.radius_px(ahead)
        fine = radius_px > SMALL_PX
        self._want(hall, chosen, fine, radius_px > DOT_PX, now_s)
        shown = np.clip((now_s - self._came_s[chosen]) / FADE_S, 0.0, 1.0)
        found = np.empty((len(chosen) + 1, INSTANCE), np.float32)
        rows = found[:-1]
        rows[:, 0:3], rows[:, 3] = seen, RADIUS
        rows[:, 4:8] = hall.atlas.rect(chosen, fine)
        rows[:, 7] *= shown
        rows[:, 8:11], rows[:, 11] = self._colours[chosen], self._shine(chosen, now_s)
        turn = shelving.rolled[chosen] * np.sign(shelving.at[chosen, 1])
        rows[:, 12], rows[:, 13] = np.cos(turn), np.sin(turn)
        rows[:, 14] = _fog(np.linalg.norm(rows[:, 0:3], axis=1))
        self.drawn = len(chosen)
        return self._with_present(hall, scene, found)

    def _with_present(self, hall: Hall, scene: Scene, found: np.ndarray) -> np.ndarray:
        """The same with the present picture's sphere at its place, if it is in view."""
        place = scene.pose.seen(scene.home[None].astype(np.float32))[0]
        if place[2] < 0.4:
            return found[:-1]
        after = int(np.searchsorted(-found[:-1, 2], -place[2]))
        found[after + 1 :] = found[after:-1].copy()
        fog = float(_fog(np.array(np.linalg.norm(place))))
        found[after] = (*place, RADIUS, *hall.atlas.live_rect(), 0.3, 0.26, 0.24, 1.0, 1.0, 0.0, fog, 0.0)
        return found

    def _motes(self, hall: Hall, scene: Scene) -> np.ndarray:
        """(n, INSTANCE) float32: dust in the air between the shelves."""
        seen = scene.pose.seen(self._dust.world(scene.s, scene.time_s))
        near = np.flatnonzero((seen[:, 2] > 0.8) & (np.abs(seen[:, 0]) * scene.lens[0] < seen[:, 2]))
        found = np.empty((len(near), INSTANCE), np.float32)
        found[:, 0:3], found[:, 3] = seen[near], self._dust.radius[near]
        found[:, 4:8] = hall.atlas.blank()
        found[:, 8:16] = 0.85, 0.80, 0.72, 0.9, 1.0, 0.0, 0.0, 0.0
        found[:, 14] = 0.34 * _fog(1.6 * seen[near, 2]) * np.clip((seen[near, 2] - 0.8) / 1.5, 0.0, 1.0)
        return found

    def _want(self, hall: Hall, chosen: np.ndarray, fine: np.ndarray, worth: np.ndarray, now_s: float) -> None:
        """Keep the pictures of what is in view, and note which of them are missing. chosen: the furthest first;
        fine, worth: which of them are near enough for a large picture, and for any."""
        most_fine, most = hall.atlas.room
        chosen, fine = chosen[worth], fine[worth]
        near = chosen[fine][-most_fine:][::-1]
        self._near[:] = False
        self._near[near] = True
        ids = self._shelving.ids
        soon = ids[hall.atlas.use(near, True)].tolist()
        later = ids[hall.atlas.use(chosen[-most:][::-1], False)].tolist()
        self._asked = {i: s for i, s in self._asked.items() if now_s - ASK_AGAIN_S < s <= now_s}
        self.wanted = []
        for wanted, share in ((soon, 1.0), (later, 0.5)):  # what is far may not stand in the way of what is near
            room = min(WANTED - len(self.wanted), int(WAITING * share) - len(self._asked))
            new = itertools.islice((i for i in wanted if i not in self._asked), max(room, 0))
            self.wanted += new
            self._asked |= dict.fromkeys(self.wanted, now_s)


def _fog(distance: np.ndarray) -> np.ndarray:
    """What the dark between leaves of a light so far away; nothing from SIGHT on (boards.frag has the same)."""
    return np.maximum(np.exp(-((distance / DEPTH) ** 2)) - 0.1, 0.0) / 0.9


def _smooth(part: float) -> float:
    part = min(max(part, 0.0), 1.0)
    return part * part * (3.0 - 2.0 * part)
