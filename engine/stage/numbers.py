"""What a picture comes of, in its place: the latent or the noise as washes of colour, by `look.view`.

Usage: `view = NumbersView(ctx, shaders)`; `picture = view.render(picture, blend.numbers, values, now_s)` between blend
and look. Stage process, GL thread only. While pictures alone are shown it does nothing and holds nothing.

Each keyframe brings its own numbers (dreamer/numbers.py), and between two keyframes they are crossfaded as the
pictures are. How much of each view is shown is counted by the conductor's ticks: `look.view.latent`, `look.view.noise`.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import moderngl
import numpy as np
from numpy.typing import NDArray

from engine.stage.blend import Between, Picture, progress
from engine.stage.gl import Target, make_target
from engine.stage.shaders import Shaders

log = logging.getLogger("pedesis")

Values = Mapping[str, float | int | bool | str]
Field = NDArray[np.float32]  # (C, h, w), 0..1 where a half is zero
LAYERS, DEPTH = 4, 4  # as in numbers.frag, times the components of a texture


@dataclass(frozen=True)
class _Fields:
    noise: Field
    latent: Field


class NumbersView:
    """Draws the numbers over a picture; holds one texture for each, and what a jump left."""

    def __init__(self, ctx: moderngl.Context, shaders: Shaders) -> None:
        self._ctx, self._shaders = ctx, shaders
        self._target: Target | None = None
        self._textures: dict[str, moderngl.Texture] = {}
        self._shown: tuple[int, _Fields] | None = None  # the epoch and the fields of the last frame
        self._left: tuple[float, _Fields] | None = None  # since when a jump has been leading away from what
        self._said = False

    def render(self, picture: Picture, between: Between | None, values: Values, now_s: float) -> Picture:
        """The picture, or as much of its numbers as is to be shown; good until the next call.

        values: `look.view.latent` and `look.view.noise` (0..1) and `blend.time`.
        """
        latent, noise = float(values["look.view.latent"]), float(values["look.view.noise"])
        if latent + noise <= 0.0 or between is None:
            self._shown = self._left = None
            return picture
        fields = self._fields(between, float(values["blend.time"]), now_s)
        if self._target is None or self._target.texture.size != picture.size:
            self._target = make_target(self._ctx, picture.size)
        c, h, w = fields.noise.shape
        shares = max(0.0, 1.0 - latent - noise), latent, noise
        self._shaders.native("numbers.frag").render(
            self._target.framebuffer,
            {**picture.uniforms(), "u_cells": (float(w), float(h)), "u_channels": c, "u_shares": shares},
            {
                **picture.textures(),
                "u_latent": self._upload("latent", fields.latent),
                "u_noise": self._upload("noise", fields.noise),
            },
        )
        return Picture.of(self._target)

    def _fields(self, between: Between, length_s: float, now_s: float) -> _Fields:
        """The numbers of this moment; at a jump they take blend.time to become the new ones."""
        fields = self._crossfaded(between)
        if self._shown is not None and self._shown[0] != between.epoch:
            self._left = now_s, self._shown[1]
        if self._left is not None:
            since_s, old = now_s - self._left[0], self._left[1]
            if since_s >= length_s or old.noise.shape != fields.noise.shape:
                self._left = None
            else:
                u = np.float32(progress(since_s, length_s))
                noise = old.noise + (fields.noise - old.noise) * u
                fields = _Fields(noise, old.latent + (fields.latent - old.latent) * u)
        self._shown = between.epoch, fields
        return fields

    def _crossfaded(self, between: Between) -> _Fields:
        a, b, u = between.a, between.b, between.mix
        noise = _mixed(a.noise, b.noise, u)
        if a.latent is None or b.latent is None:
            if not self._said:
                self._said = True
                log.info("this model does not show its latents; their place is taken by the noise")
            return _Fields(noise, noise)
        latent = _mixed(a.latent, b.latent, u)
        return _Fields(noise, latent if latent.shape == noise.shape else noise)

    def _upload(self, name: str, field: Field) -> moderngl.Texture:
        c, h, w = field.shape
        packed = np.full((LAYERS, h, w, DEPTH), 0.5, np.float16)
        for channel in range(c):
            packed[channel % LAYERS, :, :, channel // LAYERS] = field[channel]
        size = (w, h * LAYERS)
        texture = self._textures.get(name)
        if texture is None or texture.size != size:
            texture = self._textures[name] = self._ctx.texture(size, DEPTH, dtype="f2")
            texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
            texture.repeat_x = texture.repeat_y = False
        texture.write(packed.tobytes())
        return texture


def _mixed(a: NDArray[np.uint8], b: NDArray[np.uint8], u: float) -> Field:
    """The crossfade of two sets of numbers; the second as it is where their shapes differ."""
    there = b.astype(np.float32)
    if u < 1.0 and a.shape == b.shape:
        here = a.astype(np.float32)
        there = here + (there - here) * np.float32(u)
    return (there - np.float32(128.0)) / np.float32(254.0) + np.float32(0.5)
