"""Pixels off the GPU without waiting for it.

    readback = Readback(ctx, (1280, 720))
    picture = readback.push(framebuffer)         # of two calls ago, or None

Stage process, GL thread only. Imports no encoder: the panel's preview needs it in shows that record nothing.
"""

import moderngl
import numpy as np

Size = tuple[int, int]


class Readback:
    """Ring of pixel buffers: `push` starts one copy off the GPU and hands out the one started two calls ago,
    by when the driver has finished it and nobody waits. GL thread only."""

    def __init__(self, ctx: moderngl.Context, size: Size, depth: int = 3) -> None:
        width, height = size
        self.size = size
        self._buffers = [ctx.buffer(reserve=width * height * 4, dynamic=True) for _ in range(depth)]
        self._pixels = np.empty((height, width, 4), np.uint8)  # (H, W, 4), bottom row first as GL has it
        self._pushed = 0
        self._taken = 0

    def push(self, framebuffer: moderngl.Framebuffer) -> np.ndarray | None:
        """Start reading `framebuffer`. Returns the (H, W, 4) uint8 picture, top row first, of two calls ago
        (valid until the next call), or None while the ring fills.

        Four numbers a pixel, as it lies there: the driver would pick three out one by one (at 1280x720 0.9 ms of a
        software renderer's frame; all four 0.1).
        """
        depth = len(self._buffers)
        framebuffer.read_into(self._buffers[self._pushed % depth], viewport=(0, 0, *self.size), components=4)
        self._pushed += 1
        return self._take() if self._pushed - self._taken >= depth else None

    def flush(self) -> list[np.ndarray]:
        """The pictures still under way, oldest first. Call once at the end of a film."""
        frames = []
        while self._taken < self._pushed:
            frames.append(self._take().copy())
        return frames

    def release(self) -> None:
        """Give the buffers back to the driver."""
        for buffer in self._buffers:
            buffer.release()
        self._buffers.clear()

    def _take(self) -> np.ndarray:
        self._buffers[self._taken % len(self._buffers)].read_into(self._pixels)
        self._taken += 1
        return self._pixels[::-1]
