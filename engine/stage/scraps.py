"""Fragments of text adrift over the picture, as small torn scraps of paper with type.

    scraps = Scraps(ctx, shaders)
    scraps.set(afloat, seed)                                      # whenever they change
    scraps.render(framebuffer, picture, values, time_s, fade)     # once a frame, after the look

Stage process, GL thread only; type is set and paper is torn by a worker's thread, in a film at once. At `pulp.scraps` 0
nothing is done, and before the first use nothing is made. A picture is a function of what is adrift, the time and the
values: a film is the same however it is made, and one that is resumed too.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import moderngl
import numpy as np
from numpy.typing import NDArray

from engine.stage.adrift import Drift, Kept, apart
from engine.stage.blend import Picture
from engine.stage.fonts import Fonts
from engine.stage.look import view_of
from engine.stage.paper import make_scrap
from engine.stage.shaders import Shaders
from engine.stage.typeset import Measure, NotSet, typeset
from engine.stage.worker import Worker
from engine.walk.afloat import Afloat

log = logging.getLogger("pedesis")

Values = Mapping[str, float | int | bool | str]

MOST = 24  # scraps at once; of more, those with the greatest weights
EM = 0.030  # size of their type, of the shorter side of the picture
SMALLEST_PX, LARGEST_PX = 9, 64
WIDTH, LINES = 10.5, 3  # of a scrap's type: ems, and lines at most
CELL = 14.6, 8.6  # what a tile may take in the atlas, ems
FINER = 1.5  # how much larger tiles are made where they are small, so that type stays sharp when it is turned
ASKED = 4  # tiles asked for in a frame
PIECE_BYTES = 262_144  # of a tile that are uploaded in a frame
RISE_S = 2.5  # in which one that has just come rises
TOLD = 64  # reasons for which something could not be set that are remembered
STOCKS = (  # colours of paper, by kind: cream, grey, rose, blue, straw, green, white, clay; hardly told apart
    (0.95, 0.92, 0.84), (0.88, 0.88, 0.87), (0.95, 0.88, 0.85), (0.87, 0.90, 0.93),
    (0.95, 0.91, 0.78), (0.88, 0.91, 0.85), (0.96, 0.95, 0.92), (0.91, 0.85, 0.79),
)  # fmt: skip
INSTANCE = 15  # floats


@dataclass
class _Tile:
    """A scrap in the atlas, or on its way there."""

    layer: int
    pixels: NDArray[np.uint8]  # (h, w, 4), bottom row first
    rows: int = 0  # that are uploaded
    ready_s: float | None = None  # since when it can be seen


class Scraps:
    """Draws what is adrift. Holds an atlas of MOST tiles once it has been used."""

    def __init__(
        self, ctx: moderngl.Context, shaders: Shaders, at_once: bool = False, fonts: Fonts | None = None
    ) -> None:
        """at_once: waits for the type, as a film does. fonts: None for those of the system."""
        self._ctx, self._shaders, self._at_once, self._fonts = ctx, shaders, at_once, fonts
        self._worker: Worker[NDArray[np.uint8]] = Worker("scraps", at_once)
        self._afloat: tuple[Afloat, ...] = ()
        self._drift = Drift(0)
        self._em_px = 0
        self._atlas: moderngl.TextureArray | None = None
        self._buffer: moderngl.Buffer | None = None
        self._tiles: dict[str, _Tile] = {}  # by text
        self._unset: set[str] = set()  # texts that cannot be set
        self._told: set[str] = set()
        self.drawn = 0  # in the last frame

    def set(self, afloat: Sequence[Afloat], seed: int) -> None:
        """What is adrift now; of more than MOST the heaviest. seed: of the show, by which they drift."""
        chosen = tuple(afloat)
        if len(chosen) > MOST:
            chosen = tuple(sorted(chosen, key=lambda one: (-one.weight, one.number))[:MOST])
        self._afloat = chosen
        if seed != self._drift.seed:
            self._drift = Drift(seed)

    def render(
        self,
        framebuffer: moderngl.Framebuffer,
        picture: Picture,
        values: Values,
        time_s: float,
        fade: float = 1.0,
        clear: Kept | None = None,
    ) -> None:
        """Draws the scraps over what is in the framebuffer's viewport. picture: what is seen there, for its light;
        fade: of a blackout, 0 is black; clear: where no scrap is to drift."""
        self.drawn = 0
        amount = presence_of(values)
        if amount <= 0.0 or fade <= 0.0 or not self._afloat:
            return
        whole = framebuffer.viewport
        screen = whole[2], whole[3]
        self._prepare(min(max(round(EM * min(screen)), SMALLEST_PX), LARGEST_PX))
        self._take(time_s)
        rows = self._instances(screen, amount, float(values["walk.pedesis"]), time_s, clear)
        if len(rows):
            self._draw(framebuffer, picture, screen, rows, amount, 2.0 ** float(values["look.exposure"]), fade)

    def close(self) -> None:
        """Ends the worker."""
        self._worker.close()

    def _prepare(self, em_px: int) -> None:
        """An atlas for type of this size."""
        if self._atlas is not None and em_px == self._em_px:
            return
        if self._atlas is not None:
            self._atlas.release()
            self._worker.close()
            self._worker = Worker("scraps", self._at_once)
        self._em_px, self._tiles = em_px, {}
        side = self._made_px
        self._atlas = self._ctx.texture_array((round(CELL[0] * side), round(CELL[1] * side), MOST), 4)
        self._atlas.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self._atlas.repeat_x = self._atlas.repeat_y = False
        if self._buffer is None:
            self._buffer = self._ctx.buffer(reserve=MOST * INSTANCE * 4)
            layout = "4f 4f 4f 3f/i", "i_place", "i_turn", "i_tile", "i_stock"
            self._shaders.native("scraps.frag").feed([(self._buffer, *layout)])

    @property
    def _made_px(self) -> int:
        """Size of the type in the tiles."""
        return max(self._em_px, min(round(self._em_px * FINER), 40))

    def _take(self, time_s: float) -> None:
        """Asks for the tiles that are missing, and uploads a piece of what has come."""
        asked = 0
        for one in self._afloat:
            if one.text not in self._tiles and one.text not in self._unset and (asked < ASKED or self._at_once):
                fonts, cell = self._fonts, (self._atlas.width, self._atlas.height) if self._atlas else (0, 0)
                asked += self._worker.ask(one.text, partial(make_tile, one.text, fonts, self._made_px, cell))
        for key, made in self._worker.fetch():
            if isinstance(made, Exception):
                self._leave_out(str(key), made)
            elif (layer := self._free_layer()) is not None:
                self._tiles[str(key)] = _Tile(layer, made)
        for tile in self._tiles.values():
            if tile.ready_s is None:
                self._upload(tile, time_s)
                if not self._at_once:
                    break

    def _upload(self, tile: _Tile, time_s: float) -> None:
        assert self._atlas is not None
        high, wide = tile.pixels.shape[:2]
        rows = high if self._at_once else max(PIECE_BYTES // (4 * wide), 1)
        part = tile.pixels[tile.rows : tile.rows + rows]
        self._atlas.write(part.tobytes(), viewport=(0, tile.rows, tile.layer, wide, len(part), 1))
        tile.rows += len(part)
        if tile.rows >= high:
            tile.ready_s = -1e9 if self._at_once else time_s

    def _free_layer(self) -> int | None:
        """A layer for another tile: a free one, or that of a text that is no longer adrift."""
        free = sorted(set(range(MOST)) - {tile.layer for tile in self._tiles.values()})
        if free:
            return free[0]
        here = {one.text for one in self._afloat}
        gone = next((text for text in self._tiles if text not in here), None)
        return None if gone is None else self._tiles.pop(gone).layer

    def _leave_out(self, text: str, error: Exception) -> None:
        if len(self._unset) > 4096:
            self._unset.clear()
        self._unset.add(text)
        reason = error.reason if isinstance(error, NotSet) else f"{type(error).__name__}: {error}"
        if reason not in self._told and len(self._told) < TOLD:
            self._told.add(reason)
            log.warning("scraps with such text are left out (%.40r): %s", text, reason)

    def _instances(
        self, screen: tuple[int, int], amount: float, pedesis: float, time_s: float, clear: Kept | None
    ) -> NDArray[np.float32]:
        """(n, INSTANCE) of the scraps that are seen."""
        assert self._atlas is not None
        seen = [(one, tile) for one in self._afloat if (tile := self._tiles.get(one.text)) and tile.ready_s is not None]
        near = np.array([_near(one, tile, amount, time_s) for one, tile in seen])
        seen = [pair for pair, there in zip(seen, near, strict=True) if there > 0.0]
        near = near[near > 0.0]
        rows = np.zeros((len(seen), INSTANCE), np.float32)
        if not seen:
            return rows
        places = self._drift.places([one.number for one, _ in seen], time_s, pedesis)
        size = np.array([tile.pixels.shape[1::-1] for _, tile in seen], float)
        halves = 0.5 * size * (self._em_px / self._made_px) * (0.84 + 0.16 * near[:, None])
        middles = apart(places[:, :2] * screen, halves, near, screen, clear)
        middles[:, 1] -= (1.0 - near) * 1.4 * self._em_px  # it sinks as it goes
        cell = np.array([self._atlas.width, self._atlas.height])
        rows[:, 0:2], rows[:, 2:4] = middles, halves
        rows[:, 4], rows[:, 5] = np.cos(places[:, 2]), np.sin(places[:, 2])
        rows[:, 6], rows[:, 7] = near, [tile.layer for _, tile in seen]
        rows[:, 8:10], rows[:, 10:12] = size / cell, 0.5 / cell
        rows[:, 12:15] = [STOCKS[one.kind % len(STOCKS)] for one, _ in seen]
        return rows

    def _draw(
        self,
        framebuffer: moderngl.Framebuffer,
        picture: Picture,
        screen: tuple[int, int],
        rows: NDArray[np.float32],
        amount: float,
        gain: float,
        fade: float,
    ) -> None:
        assert self._buffer is not None and self._atlas is not None
        view = view_of(picture.size, screen, 0.0, 0.0)
        shader = self._shaders.native("scraps.frag")
        self._buffer.orphan()
        self._buffer.write(rows.tobytes())
        self._ctx.enable(moderngl.BLEND)
        self._ctx.blend_func = moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA
        try:
            shader.render(
                framebuffer,
                {
                    "u_mix": picture.mix,
                    "u_upright": -1.0 if picture.top_first else 1.0,
                    "u_turn": view.turn,
                    "u_shift": view.shift,
                    "u_screen": (float(screen[0]), float(screen[1])),
                    "u_gain": gain,
                    "u_opacity": (0.62 + 0.34 * amount) * min(amount / 0.12, 1.0),
                    "u_fade": fade,
                },
                {**picture.textures(), "u_atlas": self._atlas},
                strip=(4, len(rows)),
            )
        finally:
            self._ctx.disable(moderngl.BLEND)
        self.drawn = len(rows)


def presence_of(values: Values) -> float:
    """How much of the scraps is to be seen, 0..1: none where something else than the picture is shown."""
    elsewhere = float(values.get("look.view.latent", 0.0)) + float(values.get("look.view.noise", 0.0))
    elsewhere += float(values["memory.view"]) / 0.3
    return float(values["pulp.scraps"]) * max(0.0, 1.0 - elsewhere)


def _near(one: Afloat, tile: _Tile, amount: float, time_s: float) -> float:
    """How near the surface it is, 0..1: by its weight, and the less is asked for, the more of it is needed."""
    low = 0.05 + 0.45 * (1.0 - amount)
    part = _smooth((max(one.weight, 0.0) ** 0.45 - low) / 0.45)
    since_s = max(one.since_s, tile.ready_s if tile.ready_s is not None else time_s)
    return part * _smooth((time_s - since_s) / RISE_S)


def _smooth(part: float) -> float:
    part = min(max(part, 0.0), 1.0)
    return part * part * (3.0 - 2.0 * part)


def make_tile(text: str, fonts: Fonts | None, em_px: int, cell: tuple[int, int]) -> NDArray[np.uint8]:
    """A text as a tile of the atlas, (h, w, 4), bottom row first, no larger than a cell. Raises NotSet."""
    seed = int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).digest())
    fonts = fonts or Fonts.of_system()
    for lines in (LINES, 1):  # some scripts need more room above and below
        setting = typeset(text, fonts, Measure(em_px, WIDTH * em_px, most_lines=lines, leading=1.22))
        tile = make_scrap(setting.ink, em_px, seed).tile
        if tile.shape[0] <= cell[1]:
            break
    return np.ascontiguousarray(tile[::-1][: cell[1], : cell[0]])
