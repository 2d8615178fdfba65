"""What is on stage before the look: waiting picture, moving crossfade, transitions at jumps.

Usage: `blend = Blend(ctx, shaders, (256, 256)); blend.upload(keyframe); tex = blend.render(now_s, values)`.
Stage process, GL thread only. Pictures are linear light, 16-bit float, at the keyframe's size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import moderngl
import numpy as np

from engine.gl import Target, copy, make_field, make_target
from engine.shaders import FALLBACK_TRANSITION, Shaders, list_transitions
from engine.timeline import SLOTS, Mix, Timeline

GL_SRGB8 = 0x8C41
ARRIVAL_S = 2.5  # how long the waiting picture takes to become the first keyframe
THAW_S = 0.8  # and a frozen picture to become the moving one again
WARM_EVERY_S = 0.15
DEFAULTS: dict[str, float | int | bool | str] = {
    "blend.time": 2.0,
    "blend.transition": "dissolve",
    "stage.freeze": False,
}

Values = Mapping[str, float | int | bool | str]


class When(Protocol):
    """The part of a waypoint that the stage needs."""

    @property
    def time_s(self) -> float: ...
    @property
    def epoch(self) -> int: ...


class Picture(Protocol):
    """The part of a dreamer's Keyframe that the stage needs."""

    @property
    def waypoint(self) -> When: ...
    @property
    def pixels(self) -> np.ndarray: ...


@dataclass(frozen=True)
class _Transition:
    name: str
    start_s: float
    length_s: float
    waiting: bool  # from the waiting picture, which goes on moving; else from the held one


class Blend:
    """Holds the keyframe textures and draws the one picture they make at a time."""

    def __init__(self, ctx: moderngl.Context, shaders: Shaders, size: tuple[int, int], slots: int = SLOTS) -> None:
        self._ctx = ctx
        self._shaders = shaders
        self.size = size
        self.timeline = Timeline(slots)
        self._field = make_field(ctx)
        self._textures: list[moderngl.Texture | None] = [None] * slots
        self._waypoints: list[When | None] = [None] * slots
        self._waiting = make_target(ctx, size)
        self._moving = make_target(ctx, size)
        self._mixed = make_target(ctx, size)
        self._held = make_target(ctx, size)
        self._shown: Target = self._waiting
        self._transition: _Transition | None = None
        self._last: Mix | None = None
        self._whole = True  # whether the moving picture was last drawn whole
        self._started = False
        # The part (x, y, width, height) that will be seen, from Look.visible; None is all. A square
        # picture on a wide screen loses half of itself: half the work, while nothing needs the rest.
        self.visible: tuple[int, int, int, int] | None = None
        self._frozen = False
        # The dissolve first: the first keyframe comes by it.
        self._to_warm = sorted(list_transitions(shaders.root), key=lambda name: name != FALLBACK_TRANSITION)
        self._warm_at_s: float | None = None

    @property
    def in_transition(self) -> bool:
        """Whether one picture is becoming another."""
        return self._transition is not None

    @property
    def showing(self) -> tuple[When, When, float] | None:
        """The waypoints that the moving picture lies between, and how far from the first to the second."""
        if self._last is None:
            return None
        a, b = self._waypoints[self._last.a_slot], self._waypoints[self._last.b_slot]
        assert a is not None and b is not None  # see _draw_moving
        return a, b, self._last.u

    def upload(self, keyframe: Picture) -> None:
        """Take a keyframe in; its pixels may change as soon as this returns."""
        pixels = keyframe.pixels
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
            raise ValueError(f"a keyframe must be (H, W, 3) uint8, got {pixels.shape} {pixels.dtype}")
        size = (pixels.shape[1], pixels.shape[0])
        if size != self.size:
            raise ValueError(f"keyframes here are {self.size[0]}×{self.size[1]}, got {size[0]}×{size[1]}")
        slot = self.timeline.claim()
        texture = self._textures[slot]
        if texture is None:
            texture = self._ctx.texture(size, 3, internal_format=GL_SRGB8, alignment=1)
            texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
            texture.repeat_x = texture.repeat_y = False
            self._textures[slot] = texture
        texture.write(np.ascontiguousarray(pixels), alignment=1)
        self._waypoints[slot] = keyframe.waypoint
        self.timeline.add(keyframe.waypoint.time_s, keyframe.waypoint.epoch, slot)

    def render(self, now_s: float, values: Values, live: bool = True) -> moderngl.Texture:
        """The picture of this moment."""
        mix = self.timeline.at(now_s, live)
        if mix is None:
            self._draw_waiting(now_s)
            self._shown = self._waiting
            self._warm(now_s)
            return self._shown.texture
        self._freeze(bool(values.get("stage.freeze", False)), now_s)
        if self._frozen:
            if mix.jumped:
                self._begin(now_s, values)
            return self._shown.texture
        if not self._started:
            self._started = True
            if live:  # a film begins with its first picture
                self._transition = _Transition("dissolve", now_s, ARRIVAL_S, waiting=True)
        elif mix.jumped:
            self._begin(now_s, values)
        self._draw_moving(mix, whole=self._transition is not None)
        self._shown = self._draw_transition(now_s) or self._moving
        return self._shown.texture

    def _freeze(self, wanted: bool, now_s: float) -> None:
        if wanted and not self._frozen and self._started:
            self._frozen = True
            self._complete()
        elif self._frozen and not wanted:
            self._frozen = False
            self._hold(now_s, "dissolve", THAW_S)

    def _begin(self, now_s: float, values: Values) -> None:
        length_s = float(values.get("blend.time", DEFAULTS["blend.time"]))
        name = str(values.get("blend.transition", DEFAULTS["blend.transition"]))
        self._hold(now_s, name, length_s)

    def _hold(self, now_s: float, name: str, length_s: float) -> None:
        if length_s <= 0.0:
            self._transition = None
            return
        self._complete()
        if self._shown is not self._held:
            copy(self._ctx, self._shown, self._held)
        self._transition = _Transition(name, now_s, length_s, waiting=False)

    def _draw_waiting(self, now_s: float) -> None:
        width, height = self.size
        self._shaders.native("waiting.frag").render(
            self._waiting.framebuffer,
            {"u_time": now_s, "u_ratio": width / height},
            {"u_field": self._field},
        )

    def _draw_moving(self, mix: Mix, whole: bool) -> None:
        a, b = self._textures[mix.a_slot], self._textures[mix.b_slot]
        assert a is not None and b is not None  # the timeline only knows slots that were uploaded
        target = self._moving.framebuffer
        target.scissor = (0, 0, *self.size) if whole or self.visible is None else self.visible
        uniforms = {"u_mix": mix.u}
        self._shaders.native("crossfade.frag").render(target, uniforms, {"u_a": a, "u_b": b})
        self._last, self._whole = mix, whole or self.visible is None

    def _complete(self) -> None:
        """Draw the unseen part of the moving picture after all: it is about to be held or bent.

        Its keyframes are still there: the timeline lets go of what is on screen no sooner than at(), and
        nothing was uploaded since.
        """
        if self._last is not None and not self._whole:
            self._draw_moving(self._last, whole=True)

    def _draw_transition(self, now_s: float) -> Target | None:
        current = self._transition
        if current is None:
            return None
        part = (now_s - current.start_s) / current.length_s
        if part >= 1.0:
            self._transition = None
            return None
        if current.waiting:
            self._draw_waiting(now_s)
        self._draw_between(current.name, self._waiting if current.waiting else self._held, part, self._mixed)
        return self._mixed

    def _draw_between(self, name: str, source: Target, part: float, into: Target) -> None:
        part = min(max(part, 0.0), 1.0)
        shader, defaults = self._shaders.transition(name)
        uniforms = dict(defaults)
        uniforms["progress"] = part * part * (3.0 - 2.0 * part)  # begins and ends without a jerk
        uniforms["ratio"] = self.size[0] / self.size[1]
        shader.render(
            into.framebuffer,
            uniforms,
            {"u_from": source.texture, "u_to": self._moving.texture, "u_field": self._field},
        )

    def _warm(self, now_s: float) -> None:
        """While the waiting picture plays, compile the transitions: a jump must not wait for one.

        A compiler is only done when the shader has drawn, and takes some 40 to 80 ms the first time on a
        machine (the driver remembers), so: never before the first picture, and with pauses between.
        """
        if self._warm_at_s is None:
            self._warm_at_s = now_s + WARM_EVERY_S
        if not self._to_warm or now_s < self._warm_at_s:
            return
        self._warm_at_s = now_s + WARM_EVERY_S
        self._draw_between(self._to_warm.pop(0), self._waiting, 0.5, self._mixed)

    def release(self) -> None:
        """Give all textures back."""
        for target in (self._waiting, self._moving, self._mixed, self._held):
            target.release()
        for texture in [self._field, *self._textures]:
            if texture is not None:
                texture.release()
