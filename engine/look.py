"""The look: the chain of passes between the blended picture and the screen.

Usage: `look = Look(ctx, shaders, fit="cover"); look.render(texture, stage.framebuffer, values, now_s)`.
Stage process, GL thread only.
"""

from collections.abc import Mapping

import moderngl

from engine.gl import Target, make_target
from engine.shaders import Shaders

Values = Mapping[str, float | int | bool | str]


class Look:
    """thin slice"""

    def __init__(self, ctx: moderngl.Context, shaders: Shaders, fit: str = "cover") -> None:
        self._ctx, self._shaders, self.fit = ctx, shaders, fit
        self._coded: Target | None = None

    def render(
        self, texture: moderngl.Texture, framebuffer: moderngl.Framebuffer, values: Values, time_s: float
    ) -> None:
        if self._coded is None or self._coded.size != texture.size:
            self._coded = make_target(self._ctx, texture.size, "f1")
        self._shaders.native("encode.frag").render(
            self._coded.framebuffer, {"u_fade": 1.0}, {"u_source": texture}
        )
        _, _, w, h = framebuffer.viewport
        a = (w / h) / (texture.width / texture.height)
        sx, sy = (1.0, 1.0 / a) if a > 1 else (a, 1.0)
        self._shaders.native("plain.frag").render(
            framebuffer,
            {"u_view": (sx, sy, 0.5 - sx / 2, 0.5 - sy / 2)},
            {"u_source": self._coded.texture},
        )
