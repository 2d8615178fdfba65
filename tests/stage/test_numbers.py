"""The numbers a picture comes of, drawn for real: in register, dissolving, never jumping, and at no cost unseen."""

import itertools
import logging
from dataclasses import dataclass

import moderngl
import numpy as np
import pytest

from engine.stage.blend import Blend, Picture, Values
from engine.stage.gl import make_target
from engine.stage.numbers import NumbersView
from engine.stage.shaders import Shaders
from tests.stage.values import DEFAULTS

SIZE = (64, 48)
CELLS = (6, 8)  # rows, columns


@dataclass(frozen=True)
class Came:
    noise: np.ndarray
    latent: np.ndarray | None

    def copy(self) -> "Came":
        return self


@dataclass(frozen=True)
class When:
    time_s: float
    epoch: int


@dataclass(frozen=True)
class Key:
    waypoint: When
    pixels: np.ndarray
    numbers: Came | None


def key(came: Came | None, time_s: float = 0.0, epoch: int = 0) -> Key:
    return Key(When(time_s, epoch), np.full((SIZE[1], SIZE[0], 3), 40, np.uint8), came)


def numbers(channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (channels, *CELLS), dtype=np.uint8)


def values(latent: float = 0.0, noise: float = 0.0, **more: float) -> Values:
    return DEFAULTS | {"look.view.latent": latent, "look.view.noise": noise, "blend.time": 1.0} | more


@pytest.fixture
def blend(ctx: moderngl.Context, shaders: Shaders) -> Blend:
    return Blend(ctx, shaders, SIZE)


@pytest.fixture
def view(ctx: moderngl.Context, shaders: Shaders) -> NumbersView:
    return NumbersView(ctx, shaders)


def linear(blend: Blend, picture: Picture) -> np.ndarray:
    """(H, W, 3) linear light, top row first."""
    target = make_target(blend._ctx, picture.size)
    blend.draw(picture, target)
    data = np.frombuffer(target.texture.read(), np.float16).reshape(picture.size[1], picture.size[0], 4)
    target.release()
    return data[::-1, :, :3].astype(float)


def draw(blend: Blend, view: NumbersView, now_s: float = 0.0, **shares: float) -> np.ndarray:
    shown = values(**shares)
    return linear(blend, view.render(blend.render(now_s, shown, live=False), blend.numbers, shown, now_s))


def test_a_picture_alone_passes_untouched_and_nothing_is_made(blend: Blend, view: NumbersView) -> None:
    blend.upload(key(Came(numbers(4), numbers(4))))
    picture = blend.render(0.0, values(), live=False)
    assert view.render(picture, blend.numbers, values(), 0.0) is picture
    assert view.render(picture, None, values(latent=1.0), 0.0) is picture, "as before the first keyframe"
    assert not view._textures and view._target is None


@pytest.mark.parametrize("channels", [1, 3, 4, 9, 16])
def test_where_all_numbers_are_zero_the_paper_is_bare_and_every_channel_leaves_a_mark(
    blend: Blend, view: NumbersView, channels: int
) -> None:
    marks = []
    for n in range(channels + 1):
        latent = np.full((channels, *CELLS), 128, np.uint8)
        if n < channels:
            latent[n, 0, 0] = 255  # the upper left
        blend.upload(key(Came(latent, latent), float(n)))
        marks.append(draw(blend, view, float(n), latent=1.0))
    paper = marks.pop()
    assert paper.std((0, 1)).max() < 1e-3 and paper.mean() > 0.8
    for marked in marks:
        gone = np.abs(marked - paper).max(-1)
        assert gone[4, 4] > 0.1, "in register with the picture"
        assert gone[20:, :].max() < 1e-3 and gone[:, 20:].max() < 1e-3
    colours = [tuple(np.round(marked[4, 4], 2)) for marked in marks]
    assert len(set(colours)) == channels, "each has an ink of its own"


def test_halfway_is_half_of_each_and_noise_is_not_latent(blend: Blend, view: NumbersView) -> None:
    same = np.full((4, *CELLS), 200, np.uint8)  # without edges, which soften on the way
    blend.upload(key(Came(255 - same, same)))
    picture, latent, noise = (draw(blend, view, **s) for s in ({}, {"latent": 1.0}, {"noise": 1.0}))
    assert np.abs(latent - noise).mean() > 0.05
    half = draw(blend, view, latent=0.5)
    np.testing.assert_allclose(half, (picture + latent) / 2, atol=2e-3)
    np.testing.assert_allclose(draw(blend, view, latent=0.5, noise=0.5), (noise + latent) / 2, atol=2e-3)


def test_between_two_keyframes_their_numbers_cross_over(blend: Blend, view: NumbersView) -> None:
    for n in range(2):
        blend.upload(key(Came(numbers(4, n), numbers(4, n)), float(n)))
    shown = [draw(blend, view, k / 20, latent=1.0) for k in range(21)]
    steps = [np.abs(b - a).mean() for a, b in itertools.pairwise(shown)]
    assert min(steps) > 0 and max(steps) < 3 * float(np.median(steps))


def test_at_a_jump_they_ease_over_as_long_as_the_picture_does(blend: Blend, view: NumbersView) -> None:
    blend.upload(key(Came(numbers(4), numbers(4))))
    blend.upload(key(Came(numbers(4, 1), numbers(4, 1)), 1.0, 1))
    shown = [draw(blend, view, 0.9 + k / 60, latent=1.0) for k in range(80)]
    steps = [np.abs(b - a).mean() for a, b in itertools.pairwise(shown)]
    assert 0 < max(steps) < 0.1 * np.abs(shown[-1] - shown[0]).mean()
    assert np.array_equal(shown[-1], shown[-3])
    again = draw(blend, view, 9.0, latent=1.0)
    np.testing.assert_allclose(again, shown[-1], atol=1e-3)


def test_a_model_that_hides_its_latent_shows_its_noise_and_that_is_said_once(
    blend: Blend, view: NumbersView, caplog: pytest.LogCaptureFixture
) -> None:
    blend.upload(key(Came(numbers(4), None)))
    with caplog.at_level(logging.INFO):
        latent, noise = draw(blend, view, latent=1.0), draw(blend, view, noise=1.0)
    np.testing.assert_array_equal(latent, noise)
    assert len([r for r in caplog.records if "does not show its latents" in r.message]) == 1


def test_a_keyframe_without_numbers_shows_its_picture(blend: Blend, view: NumbersView) -> None:
    blend.upload(key(None))
    np.testing.assert_array_equal(draw(blend, view, latent=1.0), draw(blend, view))
