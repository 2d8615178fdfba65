"""The program: the finished picture, at the show's own size, before it goes to any output.

    program = Program(ctx, shaders, look, (1920, 1080), fit="cover")
    framebuffer = program.draw(picture, values, now_s, stage, [recording, stills])
    for output in outputs: output.push(framebuffer, now_s)

A window with nothing beside it is drawn into directly, at its own size: it saves a copy, and every pixel of a large
screen is drawn for itself. As soon as an output needs the show's own size, the look draws into a target of that size
and the window shows a copy. So a recording keeps its size whatever becomes of the window. GL thread only.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import moderngl

from engine.stage.blend import Picture
from engine.stage.gl import Target, make_target
from engine.stage.look import Look, Values, fitted, view_of
from engine.stage.shaders import Shaders

SMALLEST = 16  # pixels; a window that is folded when the show begins measures 1x1


class Output(Protocol):
    """Where the program goes, beside the window: a recorder, a still; later a projector or the network."""

    @property
    def own_size(self) -> bool:
        """Whether it needs the program at the show's own size just now, whatever size the window has."""
        ...

    def push(self, framebuffer: moderngl.Framebuffer, now_s: float) -> None:
        """Takes the program of this frame, if it wants it. now_s in real seconds."""
        ...

    def close(self) -> None:
        """Ends it with everything that was pushed. Safe to call twice."""
        ...


class Shown(Protocol):
    """What the program needs of the stage (see window.py)."""

    framebuffer: moderngl.Framebuffer
    size: tuple[int, int]


class Program:
    """Draws the finished picture, into the window or apart from it."""

    def __init__(
        self, ctx: moderngl.Context, shaders: Shaders, look: Look, size: tuple[int, int], fit: str = "cover"
    ) -> None:
        """size: pixels; fit: how a window of another shape shows it, "cover" or "letterbox"."""
        self.size = max(size[0], SMALLEST), max(size[1], SMALLEST)
        self._ctx, self._shaders, self._look, self._fit = ctx, shaders, look, fit
        self._target: Target | None = None

    def draw(
        self,
        picture: Picture,
        values: Values,
        time_s: float,
        stage: Shown,
        outputs: Sequence[Output] = (),
        over: Callable[[moderngl.Framebuffer], None] = lambda framebuffer: None,
    ) -> moderngl.Framebuffer:
        """Draws the picture with the look and shows it on the stage; returns the framebuffer that holds the program.

        over: draws what lies over the picture, and belongs to the program."""
        apart = any(output.own_size for output in outputs) and stage.size != self.size
        if not apart:
            self._look.render(picture, stage.framebuffer, values, time_s)
            over(stage.framebuffer)
            return stage.framebuffer
        if self._target is None:
            self._target = make_target(self._ctx, self.size, "f1")
            self._target.texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self._look.render(picture, self._target.framebuffer, values, time_s)
        over(self._target.framebuffer)
        self._copy(self._target, stage.framebuffer)
        return self._target.framebuffer

    def _copy(self, target: Target, framebuffer: moderngl.Framebuffer) -> None:
        """Shows the program in a framebuffer of any size, cropped or with bars."""
        whole: Any = framebuffer.viewport
        inner = fitted(self.size, (whole[2], whole[3]), self._fit)
        if inner != (0, 0, whole[2], whole[3]):
            framebuffer.clear()
        still = view_of(self.size, (inner[2], inner[3]), drift=0.0, time_s=0.0)
        framebuffer.viewport = inner
        self._shaders.native("plain.frag").render(
            framebuffer, {"u_turn": still.turn, "u_shift": still.shift}, {"u_source": target.texture}
        )
        framebuffer.viewport = whole
