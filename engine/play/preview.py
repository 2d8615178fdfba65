"""The small picture that is seen on the panel: the program, RATE_HZ times a second and only while somebody looks.

    preview = Preview(ctx, shaders)
    preview.is_wanted = True
    preview.push(framebuffer, now_s); picture = preview.take()

An output (stage/program.py), the stage's GL thread. What is read is that of two pictures before, by when nobody has to
wait for it. On a graphics card the picture is made small before it is read; where the processor draws, reading all of
it and leaving out pixels costs a third of that (at 1280x720 2.3 ms instead of 7.9).
"""

from typing import Any

import moderngl
import numpy as np
from numpy.typing import NDArray

from engine.play.panel_messages import Picture
from engine.record.recorder import Readback
from engine.stage.gl import Target, is_software, make_target
from engine.stage.look import view_of
from engine.stage.shaders import Shaders

WIDTH, RATE_HZ = 480, 8.0


class Preview:
    """See the module's head."""

    own_size = False

    def __init__(self, ctx: moderngl.Context, shaders: Shaders, is_slow: bool | None = None) -> None:
        """is_slow: whether the processor draws."""
        self.is_wanted = False
        self._ctx, self._shaders = ctx, shaders
        self._is_slow = is_software(ctx) if is_slow is None else is_slow
        self._next_s = 0.0
        self._size = (0, 0)  # of the program
        self._readback: Readback | None = None
        self._whole: moderngl.Texture | None = None
        self._small: Target | None = None
        self._picture: Picture | None = None

    def push(self, framebuffer: moderngl.Framebuffer, now_s: float) -> None:
        """Takes the program of this frame, if a picture is due."""
        if not self.is_wanted:
            if self._readback is not None:
                self.close()
            return
        if now_s < self._next_s:
            return
        self._next_s = max(self._next_s + 1 / RATE_HZ, now_s + 0.5 / RATE_HZ)
        whole: Any = framebuffer.viewport
        if self._readback is None or self._size != (whole[2], whole[3]):
            self.close()
            self._begin((whole[2], whole[3]))
        assert self._readback is not None
        frame = self._readback.push(framebuffer if self._is_slow else self._shrunk(framebuffer))
        if frame is not None:
            self._picture = _as_picture(frame)

    def take(self) -> Picture | None:
        """The newest picture, once."""
        picture, self._picture = self._picture, None
        return picture

    def close(self) -> None:
        """Gives back what it holds of the graphics card. Safe to call twice."""
        if self._readback is not None:
            self._readback.release()
        if self._small is not None:
            self._small.release()
        if self._whole is not None:
            self._whole.release()
        self._readback = self._small = self._whole = None

    def _begin(self, size: tuple[int, int]) -> None:
        self._size = size
        if self._is_slow:
            self._readback = Readback(self._ctx, size)
            return
        small = min(WIDTH, size[0]), max(1, round(size[1] * min(WIDTH, size[0]) / size[0]))
        self._whole = self._ctx.texture(size, 4)
        self._whole.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        self._small = make_target(self._ctx, small, "f1")
        self._readback = Readback(self._ctx, small)

    def _shrunk(self, framebuffer: moderngl.Framebuffer) -> moderngl.Framebuffer:
        assert self._whole is not None and self._small is not None
        self._ctx.copy_framebuffer(self._whole, framebuffer)
        self._whole.build_mipmaps()
        view = view_of(self._size, self._small.size, drift=0.0, time_s=0.0)
        self._shaders.native("plain.frag").render(
            self._small.framebuffer, {"u_turn": view.turn, "u_shift": view.shift}, {"u_source": self._whole}
        )
        return self._small.framebuffer


def _as_picture(frame: NDArray[np.uint8]) -> Picture:
    """A (H, W, 4) picture of any size as a small one, every so-manieth pixel of it."""
    step = -(-frame.shape[1] // WIDTH)
    rgb = np.ascontiguousarray(frame[step // 2 :: step, step // 2 :: step, :3])  # (h, w, 3)
    return Picture(rgb.shape[1], rgb.shape[0], rgb.tobytes())
