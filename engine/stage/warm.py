"""Draws with every shader once, in a process of its own, so that the driver has compiled them before the stage asks.

Usage: `warmer = Warmer((448, 256))`; `warmer.done` is true when it has ended; `warmer.stop()`. Stage process, and
the one that it starts.

A software renderer compiles a shader when it first draws with it, which holds up several frames. From then on Mesa
finds it on the disk, whichever process it was: only a first run on a machine, or the first after an update of Mesa or
of a shader, needs this. Where nothing can be kept on disk there is nothing to prepare, and no process.
"""

import subprocess
import sys
from contextlib import suppress

import numpy as np

from engine.stage.shader_cache import can_keep

COLD_S = 0.2  # a first frame that took longer was compiled: 0.4 s where 0.03 s is usual


class Warmer:
    """The process that compiles, until it has ended."""

    def __init__(self, size: tuple[int, int]) -> None:
        """size: of a keyframe, pixels."""
        # -P: the folder that a show is started from may hold anything. The stage itself will tell of errors.
        command, quiet = [sys.executable, "-P", "-m", __name__, *map(str, size)], subprocess.DEVNULL
        self._process: subprocess.Popen[bytes] | None = None
        if not can_keep():  # then what it compiled would be lost with it
            return
        with suppress(OSError):  # no memory or no processes left: then the stage compiles by itself
            self._process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)

    @property
    def done(self) -> bool:
        """Whether there is nothing to wait for, however it ended."""
        return self._process is None or self._process.poll() is not None

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def draw(size: tuple[int, int]) -> None:
    """Draw what a stage draws: each transition and a crossfade, with the look and without, and the shelves."""
    from engine.dreamer.spec import Keyframe
    from engine.stage.blend import Blend, Picture
    from engine.stage.gl import create_context, make_target
    from engine.stage.lettering import Lettering
    from engine.stage.look import Look
    from engine.stage.params import PART
    from engine.stage.shaders import Shaders
    from engine.stage.shelves import SPHERE, Shelves
    from engine.walk.afloat import Afloat
    from engine.walk.caption import Caption
    from engine.walk.waypoint import Waypoint

    values = {param.name: param.default for param in PART.params({})}
    ctx = create_context(headless=True)
    shaders = Shaders(ctx)
    blend, look = Blend(ctx, shaders, size), Look(ctx, shaders)
    target = make_target(ctx, (size[0] * 2, size[1] * 2), "f1")
    blend.warm()
    for time_s in (0.0, 1.0):
        blend.upload(Keyframe(Waypoint(time_s, 0, (), ()), np.zeros((size[1], size[0], 3), np.uint8), 0, 0.0))
    crossfade, held = blend.render(0.5, values, live=False), make_target(ctx, size)
    blend.draw(crossfade, held)
    for picture in (crossfade, Picture.of(held)):
        for enabled in (True, False):
            look.render(picture, target.framebuffer, {**values, "look.enabled": enabled}, 0.5)
    # Last: Mesa compiles some of what is above another way after these.
    shelves = Shelves(ctx, shaders)
    shelves.set(np.zeros(1, SPHERE))
    for view in (0.3, 1.0):
        shelves.render(crossfade, 0.5, {**values, "memory.view": view}, target.size)
    lettering = Lettering(ctx, shaders, at_once=True)
    lettering.set([Afloat(1, "a", 0, 1.0)], 0, Caption("a", (1.0,)))
    lettering.render(target.framebuffer, crossfade, {**values, "pulp.scraps": 1.0, "walk.pedesis": 0.0}, 5.0)
    ctx.finish()


if __name__ == "__main__":
    draw((int(sys.argv[1]), int(sys.argv[2])))
