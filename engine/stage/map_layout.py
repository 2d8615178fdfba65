"""Where the marks of the map lie, in motion: gliding places, washes of colour, a smooth path, what has room.

    places = Gliding(); places.go(numbers, goal, now_s); places.move(now_s); places.at
    washed(cells, light, sigma); curved(path); spaced(at, strength, apart)

Plain numpy, no GL. The stage's thread, once a frame.
"""

import numpy as np

GLIDE_S = 3.0
WASH = 96, 54  # cells of the regions
CURVE = 4  # pieces of the path between two places


class Gliding:
    """Places by number; what lies elsewhere than before glides there."""

    def __init__(self) -> None:
        self._numbers = np.empty(0, np.int64)
        self._from = self._goal = self.at = np.empty((0, 2), np.float32)
        self._since_s = np.empty(0)
        self.is_moving = False

    def go(self, numbers: np.ndarray, goal: np.ndarray, now_s: float) -> None:
        """Ascending (N,) numbers and (N, 2) where each is to be."""
        old = np.searchsorted(self._numbers, numbers)
        known = np.append(self._numbers, np.iinfo(np.int64).max)[old] == numbers
        old = np.where(known, old, -1)
        nowhere = [[np.inf, np.inf]]
        before = np.append(self._goal, nowhere, 0)[old]
        with np.errstate(invalid="ignore"):
            same = known & (np.abs(before - goal).max(1, initial=0.0) < 1e-6)
        here = np.where(known[:, None], np.append(self.at, nowhere, 0)[old], goal)
        self._from = np.where(same[:, None], np.append(self._from, nowhere, 0)[old], here).astype(np.float32)
        self._since_s = np.where(same, np.append(self._since_s, 0.0)[old], now_s)
        self._numbers, self._goal = numbers.copy(), goal
        self.move(now_s)

    def move(self, now_s: float) -> None:
        self.is_moving = bool(len(self._since_s)) and now_s - float(self._since_s.max()) <= GLIDE_S
        part = np.clip((now_s - self._since_s) / GLIDE_S, 0.0, 1.0)[:, None]
        ease = part * part * part * (part * (6 * part - 15) + 10)
        self.at = (self._from + (self._goal - self._from) * ease).astype(np.float32)


def washed(cells: np.ndarray, light: np.ndarray, sigma: float) -> np.ndarray:
    """(h, w, 4) what lies in each cell of WASH, spread around it; alike however many there are, as a wash is.

    cells: (N, 2) places in cells from the lower left; light: (N, 4).
    """
    width, height = WASH
    grid = np.zeros((height * width, 4), np.float32)
    corner = np.floor(cells - 0.5).astype(int)
    share = cells - 0.5 - corner
    for dx, dy in ((0, 0), (0, 1), (1, 0), (1, 1)):
        x, y = corner[:, 0] + dx, corner[:, 1] + dy
        on = np.flatnonzero((x >= 0) & (x < width) & (y >= 0) & (y < height))
        weight = np.abs(1 - dx - share[on, 0]) * np.abs(1 - dy - share[on, 1])
        for c in range(4):
            grid[:, c] += np.bincount(y[on] * width + x[on], light[on, c] * weight, len(grid))
    spread = grid.reshape(height, width, 4)
    taps = np.exp(-0.5 * (np.arange(-6, 7) / sigma) ** 2)
    for axis, count in ((0, height), (1, width)):
        padded = np.pad(spread, [(6, 6) if k == axis else (0, 0) for k in range(3)])
        spread = sum(tap * np.take(padded, range(n, n + count), axis) for n, tap in enumerate(taps.tolist()))  # type: ignore[assignment]
    much = spread[..., 3:]
    # Hundreds in one place are no deeper a wash than ten; and of many, a few that lie between two kinds join them not.
    deep = 1 - np.exp(-0.55 * much * min(1.0, 60 / max(len(cells), 1)) ** 0.75)
    return np.asarray(spread * deep / np.maximum(much, 1e-6), np.float32)


def curved(at: np.ndarray) -> np.ndarray:
    """A smooth line through these places (Catmull and Rom 1974), CURVE pieces between two."""
    if len(at) < 3:
        return at
    p = np.concatenate([at[:1], at, at[-1:]]).astype(np.float32)
    a, b, c, d = p[:-3, None], p[1:-2, None], p[2:-1, None], p[3:, None]
    t = (np.arange(CURVE, dtype=np.float32) / CURVE)[None, :, None]
    curve = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return np.concatenate([curve.reshape(-1, 2), at[-1:]]).astype(np.float32)


def spaced(at: np.ndarray, strength: np.ndarray, apart: float) -> np.ndarray:
    """Indices of some that lie at least so far apart, the strong ones first."""
    if not len(at):
        return np.empty(0, int)
    cell = np.floor(at / apart).astype(np.int64)
    key = cell[:, 0] * 100_003 + cell[:, 1]
    order = np.lexsort((np.arange(len(at)), -strength, key))
    best = order[np.append(True, key[order][1:] != key[order][:-1])]  # the strongest of each cell
    best = best[np.argsort(-strength[best], kind="stable")]
    kept: list[int] = []
    for index in best.tolist():
        if not kept or np.hypot(*(at[kept] - at[index]).T).min() >= apart:
            kept.append(index)
    return np.array(sorted(kept), int)
