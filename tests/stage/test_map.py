"""The map, drawn for real."""

import moderngl
import numpy as np
import pytest

from engine.stage.gl import Target
from engine.stage.map import MARK, WANTED, MapView
from engine.stage.shaders import Shaders

SIZE = (320, 180)


def marks(count: int, kinds: int = 4, shift: float = 0.0) -> np.ndarray:
    found = np.zeros(count, MARK)
    n = np.arange(count)
    found["id"], found["kind"] = n * 3 + 5, n % kinds
    angle = 2 * np.pi * (n % kinds) / kinds
    jitter = np.random.Generator(np.random.PCG64(1)).normal(0, 0.08, (count, 2))
    found["place"] = np.stack([np.cos(angle), np.sin(angle)], 1) + jitter + shift
    found["strength"], found["colour"] = 0.7, (200, 120, 40)
    return found


def path(count: int) -> np.ndarray:
    t = np.linspace(0, 5, count)
    return np.stack([np.cos(t), np.sin(1.3 * t)], 1).astype(np.float32)


def linear(target: Target) -> np.ndarray:
    """(H, W, 3) linear light, top row first."""
    data = np.frombuffer(target.texture.read(), np.float16).reshape(target.size[1], target.size[0], 4)
    return data[::-1, :, :3].astype(float)


def watch(view: MapView, start_s: float, frames: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    for k in range(frames):
        target = view.render(size, start_s + k / 10)
        for number in view.wanted:
            view.put_thumbnail(number, np.full((36, 64, 3), (40, 200, 90), np.uint8))
    return linear(target)


@pytest.mark.parametrize("count", [0, 3, 60, 1600])
def test_any_bank_is_drawn_with_its_path_and_the_present(ctx: moderngl.Context, shaders: Shaders, count: int) -> None:
    view = MapView(ctx, shaders)
    view.set(marks(count))
    view.set_path(np.arange(40), path(40))
    shown = watch(view, 0.0, 30)
    assert np.isfinite(shown).all() and shown.max() > 0.5 and np.median(shown) < 0.1
    assert len(view.names) == (4 if count >= 8 else 0)
    for name in view.names:
        assert 0 <= name.x <= SIZE[0] and -20 <= name.y <= SIZE[1]


def test_nothing_at_all_is_a_dark_ground(ctx: moderngl.Context, shaders: Shaders) -> None:
    view = MapView(ctx, shaders)
    shown = watch(view, 0.0, 2)
    assert view.is_empty and 0.0 < shown.max() < 0.02


def test_pictures_come_in_where_there_is_room(ctx: moderngl.Context, shaders: Shaders) -> None:
    view = MapView(ctx, shaders)
    view.set(marks(200))
    first = linear(view.render(SIZE, 0.0))
    assert 0 < len(view.wanted) <= WANTED
    later = watch(view, 0.1, 60)
    assert (later[..., 1] - later[..., 0]).max() > 0.1 > (first[..., 1] - first[..., 0]).max()


def test_what_lies_elsewhere_glides_there_and_nothing_jumps(ctx: moderngl.Context, shaders: Shaders) -> None:
    view = MapView(ctx, shaders)
    view.set(marks(40))
    view.set_path(np.arange(40), path(40))
    before = watch(view, 0.0, 40)
    moved = marks(40)
    moved["place"] = moved["place"][:, ::-1] * np.array([1.0, -1.0])
    view.set(moved)
    view.set_path(np.arange(40), path(40)[:, ::-1].copy())
    steps = []
    for k in range(60):
        shown = linear(view.render(SIZE, 4.0 + k / 10))
        steps.append(float(np.abs(np.minimum(shown, 1.0) - np.minimum(before, 1.0)).mean()))
        before = shown
    assert steps[0] < 0.004, "it sets out from where it was"
    assert max(steps) < 0.03 and sum(steps) > 0.05


def test_the_same_times_give_the_same_bytes(ctx: moderngl.Context, shaders: Shaders) -> None:
    def run() -> bytes:
        view = MapView(ctx, shaders)
        view.set(marks(100))
        view.set_path(np.arange(30), path(30))
        watch(view, 0.0, 10)
        view.set(marks(110))
        return watch(view, 1.0, 5).tobytes()

    assert run() == run()


@pytest.mark.parametrize("size", [(16, 16), (400, 40), (40, 400)], ids=str)
def test_any_size_is_drawn(ctx: moderngl.Context, shaders: Shaders, size: tuple[int, int]) -> None:
    view = MapView(ctx, shaders)
    view.set(marks(60))
    view.enter(5)
    view.set_path(np.arange(9), path(9))
    assert np.isfinite(watch(view, 0.0, 2, size)).all()


def test_marks_of_another_kind_are_refused(ctx: moderngl.Context, shaders: Shaders) -> None:
    with pytest.raises(ValueError, match="must be"):
        MapView(ctx, shaders).set(np.zeros(3))
