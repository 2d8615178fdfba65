"""What is on stage before the look: waiting picture, moving crossfade, transitions at jumps.

Usage: `blend = Blend(ctx, shaders, (256, 256)); blend.upload(keyframe); picture = blend.render(now_s, values)`.
Stage process, GL thread only. Pictures are in linear light, at the keyframe's size.

A crossfade is handed on as its two textures, and whoever draws from it mixes them (picture.glsl): to draw it
first would cost a pass. Only transitions and held pictures are drawn into textures of their own, in 16-bit
float.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import moderngl
import numpy as np

from engine.stage.gl import Target, Uniform, make_field, make_target
from engine.stage.shaders import Shaders
from engine.stage.spare import NATIVES
from engine.stage.timeline import SLOTS, Mix, Timeline
from engine.stage.transitions import FALLBACK_TRANSITION, list_transitions

GL_SRGB8 = 0x8C41
ARRIVAL_S = 2.5  # from the waiting picture to the first keyframe
THAW_S = 0.8  # from a frozen picture to the moving one
WARM_EVERY_S = 0.15
HEAD_S = 0.6  # how long a transition's beginning takes, however long all of it is
HEAD_SHARE = 0.1  # of its way
START_S = 0.4  # in which the rest of it gets up to speed

Values = Mapping[str, float | int | bool | str]


class When(Protocol):
    """The part of a waypoint that the stage needs."""

    @property
    def time_s(self) -> float: ...
    @property
    def epoch(self) -> int: ...


class Arrival(Protocol):
    """The part of a dreamer's Keyframe that the stage needs."""

    @property
    def waypoint(self) -> When: ...
    @property
    def pixels(self) -> np.ndarray: ...


@dataclass(frozen=True)
class Picture:
    """Texture `a` becoming texture `b`, by `mix` in 0..1; fetched from either comes linear light."""

    a: moderngl.Texture
    b: moderngl.Texture
    mix: float
    top_first: bool  # keyframes lie top row first; what GL drew, bottom row first

    @classmethod
    def of(cls, target: Target) -> "Picture":
        """The picture that a target holds."""
        return cls(target.texture, target.texture, 0.0, top_first=False)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.a.size

    def uniforms(self) -> dict[str, Uniform]:
        """What picture.glsl is told, beside `textures`; v_uv of the pass is taken for it."""
        return {"u_mix": self.mix, "u_turn": (1.0, 0.0, 0.0, -1.0 if self.top_first else 1.0)}

    def textures(self) -> dict[str, moderngl.Texture]:
        """What picture.glsl reads."""
        return {"u_a": self.a, "u_b": self.b}


class Came(Protocol):
    """The part of a keyframe's Numbers that the stage needs: what its picture came of, (C, h, w) each."""

    @property
    def noise(self) -> np.ndarray: ...
    @property
    def latent(self) -> np.ndarray | None: ...


@dataclass(frozen=True)
class Between:
    """The numbers of the keyframes that the moving picture lies between, and how far from the first to the second."""

    a: Came
    b: Came
    mix: float
    epoch: int


@dataclass(frozen=True)
class _Transition:
    name: str
    start_s: float
    length_s: float
    waiting: bool  # from the waiting picture, which goes on moving; else from the held one


@dataclass(frozen=True)
class _Before:
    """The picture that the first keyframe comes out of, and how."""

    draw: Callable[[], Picture]
    transition: str
    time_s: float


class Blend:
    """Holds the keyframe textures and draws the one picture they make at a time."""

    def __init__(
        self,
        ctx: moderngl.Context,
        shaders: Shaders,
        size: tuple[int, int],
        slots: int = SLOTS,
        field: moderngl.Texture | None = None,
    ) -> None:
        """size: of keyframes in pixels. field: another blend's, which takes a while to make."""
        self._ctx = ctx
        self._shaders = shaders
        self.size = size
        self.timeline = Timeline(slots)
        self.field = field or make_field(ctx)
        self._textures: list[moderngl.Texture | None] = [None] * slots
        self._waypoints: list[When | None] = [None] * slots
        self._waiting = make_target(ctx, size)
        self._moving = make_target(ctx, size)
        self._mixed = make_target(ctx, size)
        self._held = make_target(ctx, size)
        self._shown = Picture.of(self._waiting)
        self._transition: _Transition | None = None
        # The waypoints that the moving picture lies between, and how far from the first to the second.
        self.showing: tuple[When, When, float] | None = None
        self._numbers: list[Came | None] = [None] * slots
        self.numbers: Between | None = None  # what those pictures came of, where they brought it
        self._started = False
        self._frozen = False
        self._born_s: float | None = None
        # The dissolve first: the first keyframe comes by it.
        transitions = sorted(list_transitions(shaders.root), key=lambda name: name != FALLBACK_TRANSITION)
        self._to_warm = [*transitions, *NATIVES]
        self._warm_at_s: float | None = None
        self.may_warm: Callable[[], bool] = lambda: True  # asked before each
        self._before: _Before | None = None

    def hold(self, time_s: float) -> None:
        """The newest keyframe still is what would be dreamt at this time, so that none needs to be."""
        self.timeline.hold(time_s)

    def follow(self, draw: Callable[[], Picture], transition: str, time_s: float) -> None:
        """The first keyframe comes not out of the waiting picture but out of another one, which moves on meanwhile.

        draw: asked for that picture at every frame, as long as `is_following`.
        """
        self._before = _Before(draw, transition, time_s)

    def follow_no_more(self) -> None:
        """The picture before is there no more; nothing happens where there is none."""
        self._before = None

    @property
    def is_following(self) -> bool:
        """Whether the picture before still shows."""
        return self._before is not None

    @property
    def is_frozen(self) -> bool:
        """Whether the picture is held, whatever keyframes come."""
        return self._frozen

    def upload(self, keyframe: Arrival) -> None:
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
            texture.filter = (moderngl.NEAREST, moderngl.NEAREST)  # only ever drawn at its own size
            texture.repeat_x = texture.repeat_y = False
            self._textures[slot] = texture
        texture.write(np.ascontiguousarray(pixels), alignment=1)
        self._waypoints[slot] = keyframe.waypoint
        numbers = getattr(keyframe, "numbers", None)
        self._numbers[slot] = None if numbers is None else numbers.copy()
        self.timeline.add(keyframe.waypoint.time_s, keyframe.waypoint.epoch, slot)

    def render(self, now_s: float, values: Values, live: bool = True) -> Picture:
        """The picture of this moment; good until the next upload or render."""
        mix = self.timeline.at(now_s, live)
        if mix is None:
            self._draw_waiting(now_s)
            self._warm(now_s)
            return self._shown
        self._freeze(bool(values["stage.freeze"]), now_s)
        if self._frozen:
            if mix.jumped:
                self._begin(now_s, values)
            return self._shown
        if not self._started:
            self._started = True
            before = self._before
            if before is not None:
                self._transition = _Transition(before.transition, now_s, before.time_s, waiting=True)
            elif live:  # a film begins with its first picture
                self._transition = _Transition("dissolve", now_s, ARRIVAL_S, waiting=True)
        elif mix.jumped:
            self._begin(now_s, values)
        self._shown = self._draw_transition(now_s, self._moving_picture(mix))
        if self._transition is None or not self._transition.waiting:
            self._before = None
        return self._shown

    def draw(self, picture: Picture, into: Target) -> None:
        """Draw a picture as it is into a target of its own size."""
        self._shaders.native("crossfade.frag").render(into.framebuffer, picture.uniforms(), picture.textures())

    def _freeze(self, wanted: bool, now_s: float) -> None:
        arriving = self._transition is not None and self._transition.waiting
        if wanted and not self._frozen and self._started and not arriving:
            self._frozen = True
            self._keep()  # keyframes that come meanwhile may take the places of those shown
        elif self._frozen and not wanted:
            self._frozen = False
            self._hold(now_s, "dissolve", THAW_S)

    def _begin(self, now_s: float, values: Values) -> None:
        self._hold(now_s, str(values["blend.transition"]), float(values["blend.time"]))

    def _hold(self, now_s: float, name: str, length_s: float) -> None:
        if length_s <= 0.0:
            self._transition = None
            return
        self._keep()
        self._transition = _Transition(name, now_s, length_s, waiting=False)

    def _keep(self) -> None:
        """Draw what is shown into a texture that no keyframe overwrites.

        Its keyframes are still there: the timeline lets go of what is on screen no sooner than at(), and
        nothing was uploaded since.
        """
        if self._shown.a is not self._held.texture:
            self.draw(self._shown, self._held)
            self._shown = Picture.of(self._held)

    def _draw_waiting(self, now_s: float) -> None:
        if self._before is not None:
            return self._draw_before(self._before.draw())
        width, height = self.size
        # Counted from the first picture: a gallery's clock resumes where it was months ago, and a shader's float has
        # no fractions of a second left by then.
        self._born_s = now_s if self._born_s is None else self._born_s
        self._shaders.native("waiting.frag").render(
            self._waiting.framebuffer,
            {"u_time": now_s - self._born_s, "u_ratio": width / height},
            {"u_field": self.field},
        )

    def _draw_before(self, picture: Picture) -> None:
        """The picture before into the place of the waiting one; one of another shape is cropped."""
        if picture.size == self.size:
            return self.draw(picture, self._waiting)
        whole = make_target(self._ctx, picture.size)
        whole.texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self.draw(picture, whole)
        scale = max(self.size[0] / picture.size[0], self.size[1] / picture.size[1])
        seen = [side / (scale * own) for side, own in zip(self.size, picture.size, strict=True)]
        self._shaders.native("plain.frag").render(
            self._waiting.framebuffer,
            {"u_turn": (seen[0], 0.0, 0.0, seen[1]), "u_shift": (0.5, 0.5)},
            {"u_source": whole.texture},
        )
        whole.release()

    def release(self) -> None:
        """Gives everything but the field back to the driver; nothing of it may be drawn again."""
        for target in (self._waiting, self._moving, self._mixed, self._held):
            target.release()
        for texture in self._textures:
            if texture is not None:
                texture.release()

    def _moving_picture(self, mix: Mix) -> Picture:
        a, b = self._textures[mix.a_slot], self._textures[mix.b_slot]
        here, there = self._waypoints[mix.a_slot], self._waypoints[mix.b_slot]
        assert a and b and here and there  # the timeline only knows slots that were uploaded
        self.showing = here, there, mix.u
        came, goes = self._numbers[mix.a_slot], self._numbers[mix.b_slot]
        self.numbers = Between(came, goes, mix.u, mix.epoch) if came and goes else None
        return Picture(a, b, mix.u, top_first=True)

    def _draw_transition(self, now_s: float, moving: Picture) -> Picture:
        current = self._transition
        if current is None:
            return moving
        since_s = now_s - current.start_s
        if since_s >= current.length_s:
            self._transition = None
            return moving
        self.draw(moving, self._moving)
        if current.waiting:
            self._draw_waiting(now_s)
        source = self._waiting if current.waiting else self._held
        self._draw_between(current.name, source, progress(since_s, current.length_s), self._mixed)
        return Picture.of(self._mixed)

    def _draw_between(self, name: str, source: Target, part: float, into: Target) -> None:
        shader, defaults = self._shaders.transition(name)
        uniforms = dict(defaults)
        uniforms["progress"] = part
        uniforms["ratio"] = self.size[0] / self.size[1]
        shader.render(
            into.framebuffer,
            uniforms,
            {"u_from": source.texture, "u_to": self._moving.texture, "u_field": self.field},
        )

    def warm(self) -> None:
        """Compile everything that is left to compile, without pauses."""
        while self._to_warm:
            self._warm_next()

    def _warm(self, now_s: float) -> None:
        """While the waiting picture plays, compile the transitions, as a jump must not wait for one, and our own
        passes, so that each has a last good one before its file is edited.

        A compiler is only done when the shader has drawn, and holds up a frame or two the first time on a machine
        (the driver remembers), so: never before the first picture, and with pauses between.
        """
        if self._warm_at_s is None:
            self._warm_at_s = now_s + WARM_EVERY_S
        if not self._to_warm or now_s < self._warm_at_s or not self.may_warm():
            return
        self._warm_at_s = now_s + WARM_EVERY_S
        self._warm_next()

    def _warm_next(self) -> None:
        name = self._to_warm.pop(0)
        if name in NATIVES:
            self._shaders.native(name)
        else:
            self._draw_between(name, self._waiting, 0.5, self._mixed)


def progress(since_s: float, length_s: float) -> float:
    """How far a transition of `length_s` is after `since_s`, 0 to 1.

    It begins and ends without a jerk. The first tenth takes half a second however long the rest is: whoever asked for
    a jump is waiting for an answer. After that it does not stop to gather speed again.
    """
    start_s = min(START_S, length_s)
    since_s = min(max(since_s, 0.0), length_s)
    run_s = since_s - start_s / 2 if since_s > start_s else since_s * since_s / (2 * start_s)
    part = run_s / (length_s - start_s / 2)
    head = min(since_s / min(HEAD_S, length_s), 1.0)
    return HEAD_SHARE * head * head * (3.0 - 2.0 * head) + (1.0 - HEAD_SHARE) * part * (1.0 + part - part * part)
