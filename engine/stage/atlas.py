"""One texture with the pictures of many memories in it, in two sizes, the least recently seen giving way.

Usage: `atlas = Atlas(ctx); atlas.put(index, rgb, fine=True); atlas.use(indices, fine=True); atlas.rect(indices)`.
Stage process, GL thread only.

A texture array would be simpler and cannot do it: 256 layers is all that some cards have. The atlas is 16 MB however
many memories there are: 123 pictures of 128 pixels for what stands near, 2,048 of 32 pixels for what stands further
off. What has neither shows its mean colour.
"""

from dataclasses import dataclass, field

import moderngl
import numpy as np

SIDE = 2048  # pixels
FINE, COARSE, LIVE = 128, 32, 256  # pixels of one picture; LIVE is what is on stage now
NONE = -1
LINEAR = (np.arange(256, dtype=np.float32) / 255.0) ** 2.2


def _grid(side: int, x: range, y: range) -> np.ndarray:
    """(n, 2) lower corners of square tiles, pixels."""
    return np.array([(left, top) for top in range(y.start, y.stop, side) for left in range(x.start, x.stop, side)])


_FINE = np.concatenate([_grid(FINE, range(0, SIDE), range(0, 768)), _grid(FINE, range(LIVE, SIDE), range(768, 1024))])
_COARSE = _grid(COARSE, range(0, SIDE), range(1024, SIDE))
_WHITE = _FINE[-1]  # all of it white: a sphere without a picture shows its own colour
LIVE_AT = (0, 768)


@dataclass
class _Tier:
    """The tiles of one size: whose each is, when it was last seen, and each memory's tile."""

    corners: np.ndarray
    side: int
    owner: np.ndarray = field(init=False)  # (tiles,) index of a memory
    seen: np.ndarray = field(init=False)  # (tiles,) frame
    tile: np.ndarray = field(init=False)  # (memories,)

    def __post_init__(self) -> None:
        self.owner = np.full(len(self.corners), NONE)
        self.seen = np.full(len(self.corners), -1)
        self.tile = np.full(0, NONE)

    def renumber(self, old: np.ndarray) -> None:
        """Memories have new numbers; old: (n,) what each was before, NONE for a new one."""
        tile = np.where(old >= 0, np.append(self.tile, NONE)[old], NONE)
        self.owner[:] = NONE
        held = np.flatnonzero(tile >= 0)
        self.owner[tile[held]] = held
        self.tile = tile

    def claim(self, index: int, frame: int) -> np.ndarray | None:
        """Corner of a tile for that memory; None when all are on screen."""
        place = int(self.tile[index])
        if place == NONE:
            free = np.flatnonzero(self.owner == NONE)
            place = int(free[0]) if free.size else int(self.seen.argmin())
            if not free.size:
                if self.seen[place] >= frame:
                    return None
                self.tile[self.owner[place]] = NONE
        self.owner[place], self.seen[place], self.tile[index] = index, frame, place
        return self.corners[place]


class Atlas:
    """Pictures by the number of their memory."""

    def __init__(self, ctx: moderngl.Context) -> None:
        self.texture = ctx.texture((SIDE, SIDE), 4)
        self.texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self.texture.repeat_x = self.texture.repeat_y = False
        self.framebuffer = ctx.framebuffer([self.texture])
        self.framebuffer.clear()
        self._fine, self._coarse = _Tier(_FINE[:-1], FINE), _Tier(_COARSE, COARSE)
        self._frame = 0
        self._write(_WHITE, np.full((FINE, FINE, 3), 255, np.uint8))

    @property
    def room(self) -> tuple[int, int]:
        """How many fine and how many coarse pictures there can be."""
        return len(self._fine.corners), len(self._coarse.corners)

    def renumber(self, old: np.ndarray) -> None:
        """Memories have new numbers; old: (n,) what each was before, -1 for a new one."""
        self._fine.renumber(old)
        self._coarse.renumber(old)

    def put(self, index: int, rgb: np.ndarray, fine: bool) -> np.ndarray:
        """A memory's picture, (h, w, 3) uint8 of any size, top row first: its middle square is kept, if there is room.

        Returns its mean colour in linear light.
        """
        small = squared(rgb, COARSE)
        for tier, picture in ((self._coarse, small), (self._fine, squared(rgb, FINE) if fine else None)):
            corner = None if picture is None else tier.claim(index, self._frame)
            if picture is not None and corner is not None:
                self._write(corner, picture)
        return np.asarray(LINEAR[small].mean((0, 1)))

    def use(self, indices: np.ndarray, fine: bool) -> np.ndarray:
        """Say that these are on screen now; returns those that have no picture of that size yet."""
        tier = self._fine if fine else self._coarse
        tiles = tier.tile[indices]
        tier.seen[tiles[tiles >= 0]] = self._frame
        return indices[tiles < 0]

    def next_frame(self) -> None:
        """What was on screen before may give way from now on."""
        self._frame += 1

    def rect(self, indices: np.ndarray, fine: np.ndarray) -> np.ndarray:
        """(n, 4) left, bottom, size in the texture and whether there is a picture. fine: (n,) bool, if there is one."""
        small, large = self._coarse.tile[indices], self._fine.tile[indices]
        use_fine = (large >= 0) & (fine | (small < 0))
        use_small = (small >= 0) & ~use_fine
        found = np.empty((len(indices), 4), np.float32)
        found[:] = self.blank()
        for mask, tiles, tier in ((use_small, small, self._coarse), (use_fine, large, self._fine)):
            found[mask, :2] = (tier.corners[tiles[mask]] + 0.5) / SIDE
            found[mask, 2], found[mask, 3] = (tier.side - 1) / SIDE, 1.0
        return found

    def blank(self) -> tuple[float, float, float, float]:
        """A place where there is no picture."""
        left, bottom = (_WHITE + FINE / 2) / SIDE
        return float(left), float(bottom), 0.0, 0.0

    def live_rect(self) -> tuple[float, float, float, float]:
        """Where what is on stage now is kept."""
        return (LIVE_AT[0] + 0.5) / SIDE, (LIVE_AT[1] + 0.5) / SIDE, (LIVE - 1) / SIDE, 1.0

    def _write(self, corner: np.ndarray, rgb: np.ndarray) -> None:
        side = rgb.shape[0]
        rgba = np.full((side, side, 4), 255, np.uint8)
        rgba[..., :3] = rgb[::-1]  # a texture's first row is the lowest
        self.texture.write(rgba, viewport=(int(corner[0]), int(corner[1]), side, side))

    def release(self) -> None:
        """Give the memory back."""
        self.framebuffer.release()
        self.texture.release()


def squared(rgb: np.ndarray, side: int) -> np.ndarray:
    """The middle square of a picture at another size: means of what falls together, or the nearest pixel."""
    height, width = rgb.shape[:2]
    n = min(height, width)
    top, left = (height - n) // 2, (width - n) // 2
    square = rgb[top : top + n, left : left + n]
    if n == side:
        return square
    if n < side:
        near = np.arange(side) * n // side
        return square[near][:, near]
    starts = np.arange(side) * n // side
    counts = np.diff(np.append(starts, n))
    sums = np.add.reduceat(np.add.reduceat(square, starts, 0, dtype=np.uint32), starts, 1)
    area = counts[:, None, None] * counts[None, :, None]
    return (sums / area + 0.5).astype(np.uint8)
