"""The program: drawn into the window directly, or apart from it at the show's own size, and shown all the same."""

from types import SimpleNamespace

import moderngl
import numpy as np
import pytest

from engine.control.controls import Controls
from engine.dreamer.spec import Keyframe
from engine.stage.blend import Blend
from engine.stage.gl import make_target, read_pixels
from engine.stage.look import Look
from engine.stage.program import Program
from engine.stage.shaders import Shaders
from engine.walk.waypoint import Waypoint
from tests.registry import build_registry

COLOUR = (200, 120, 40)
VALUES = Controls(build_registry(["one"]), {"look.enabled": False})
NEEDS_OWN_SIZE = SimpleNamespace(own_size=True)


def drawn(
    ctx: moderngl.Context, shaders: Shaders, window: tuple[int, int], fit: str, *outputs: SimpleNamespace
) -> tuple[np.ndarray, np.ndarray, bool]:
    """What the window shows, what the outputs get, and whether that is the window's own framebuffer."""
    blend, look = Blend(ctx, shaders, (64, 32)), Look(ctx, shaders)
    blend.upload(Keyframe(Waypoint(0.0, 0, (), ()), np.full((32, 64, 3), COLOUR, np.uint8), 0, 0.0))
    target = make_target(ctx, window, "f1")
    stage = SimpleNamespace(framebuffer=target.framebuffer, size=window)
    program = Program(ctx, shaders, look, (128, 64), fit)
    picture = blend.render(1.0, VALUES, live=False)
    framebuffer = program.draw(picture, VALUES, 1.0, stage, outputs)  # type: ignore[arg-type]
    return read_pixels(target.framebuffer), read_pixels(framebuffer), framebuffer is target.framebuffer


def test_a_window_alone_is_drawn_into_directly(ctx: moderngl.Context, shaders: Shaders) -> None:
    shown, given, direct = drawn(ctx, shaders, (200, 50), "cover", SimpleNamespace(own_size=False))
    assert direct and shown.shape == given.shape == (50, 200, 3)


@pytest.mark.parametrize("window", [(200, 50), (50, 200), (1, 1), (640, 360)])
def test_an_output_gets_the_shows_own_size_whatever_the_windows(
    ctx: moderngl.Context, shaders: Shaders, window: tuple[int, int]
) -> None:
    shown, given, direct = drawn(ctx, shaders, window, "cover", NEEDS_OWN_SIZE)
    assert not direct and given.shape == (64, 128, 3)
    for pixels in (shown, given):
        assert np.abs(pixels.reshape(-1, 3).astype(int) - COLOUR).max() <= 3


def test_a_window_of_the_shows_own_size_needs_no_copy(ctx: moderngl.Context, shaders: Shaders) -> None:
    assert drawn(ctx, shaders, (128, 64), "cover", NEEDS_OWN_SIZE)[2]


def test_a_letterbox_shows_all_of_the_program_between_bars(ctx: moderngl.Context, shaders: Shaders) -> None:
    shown, _, _ = drawn(ctx, shaders, (128, 128), "letterbox", NEEDS_OWN_SIZE)
    assert shown[:30].max() == shown[-30:].max() == 0
    assert np.abs(shown[34:94].reshape(-1, 3).astype(int) - COLOUR).max() <= 3
