"""The lines of a picture: Canny's edges (1986), as OpenCV draws them, since ControlNets were trained with its own.

    lines = edges(pixels)     # (H, W, 3) uint8 -> (H, W) bool

Any process; numpy. The gradient is Sobel's over 3x3 pixels, in the channel where it is steepest; a pixel stays where
it is steeper than both neighbours along the gradient; lines begin above HIGH and go on above LOW.
"""

import numpy as np
from numpy.typing import NDArray

LOW, HIGH = 100, 200  # |dx| + |dy| in steps of 8 bits, as the ControlNets' makers have them
_TAN_22 = 13573  # tan(22.5 degrees) in units of 2^-15


def edges(pixels: NDArray[np.uint8], low: int = LOW, high: int = HIGH) -> NDArray[np.bool_]:
    """Where the lines are, (H, W)."""
    dx, dy = _steepest(pixels)
    size = np.abs(dx) + np.abs(dy)
    ridges = _ridges(dx, dy, size) & (size > low)
    return _reached(ridges & (size > high), ridges)


def _steepest(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Sobel's gradient, (H, W) twice, of the channel where |dx| + |dy| is largest; the border pixels count twice."""
    p = np.pad(pixels.astype(np.int32), ((1, 1), (1, 1), (0, 0)), "edge")
    along_y = p[:-2] + 2 * p[1:-1] + p[2:]  # (H, W + 2, 3)
    along_x = p[:, :-2] + 2 * p[:, 1:-1] + p[:, 2:]  # (H + 2, W, 3)
    dx, dy = along_y[:, 2:] - along_y[:, :-2], along_x[2:] - along_x[:-2]  # (H, W, 3)
    channel = (np.abs(dx) + np.abs(dy)).argmax(2)[..., None]
    return np.take_along_axis(dx, channel, 2)[..., 0], np.take_along_axis(dy, channel, 2)[..., 0]


def _ridges(dx: NDArray[np.int32], dy: NDArray[np.int32], size: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Where the gradient is larger than on both sides of it, (H, W)."""
    m = np.pad(size, 1)

    def at(y: int, x: int) -> NDArray[np.int32]:
        found: NDArray[np.int32] = m[1 + y : m.shape[0] - 1 + y, 1 + x : m.shape[1] - 1 + x]
        return found

    x, y = np.abs(dx).astype(np.int64), np.abs(dy).astype(np.int64) << 15
    flat = y < x * _TAN_22
    steep = ~flat & (y > x * (_TAN_22 + (1 << 16)))  # tan(67.5) = tan(22.5) + 2
    falls = (dx ^ dy) < 0
    across = (size > at(0, -1)) & (size >= at(0, 1))
    down = (size > at(-1, 0)) & (size >= at(1, 0))
    one, other = (size > at(-1, -1)) & (size > at(1, 1)), (size > at(-1, 1)) & (size > at(1, -1))
    return np.where(flat, across, np.where(steep, down, np.where(falls, other, one)))


def _reached(begins: NDArray[np.bool_], ridges: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of the ridges those that hang together with where lines begin, corner to corner too."""
    h, w = ridges.shape
    row = w + 2
    open_ = np.pad(ridges & ~begins, 1).ravel()
    found = np.pad(begins, 1).ravel()
    around = np.array([-row - 1, -row, -row + 1, -1, 1, row - 1, row, row + 1])
    front = np.flatnonzero(found)
    while front.size:
        near = (front[:, None] + around).ravel()
        front = np.unique(near[open_[near]])
        found[front], open_[front] = True, False
    return found.reshape(h + 2, row)[1:-1, 1:-1]
