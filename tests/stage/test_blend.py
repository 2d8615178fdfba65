"""What is on stage before the look, drawn for real and checked by formula."""

import itertools
from dataclasses import dataclass
from typing import Any

import moderngl
import numpy as np
import pytest

from engine.stage.blend import ARRIVAL_S, Blend, Picture, Values, progress
from engine.stage.gl import Pass, Source, make_target
from engine.stage.shaders import Shaders
from engine.stage.spare import NATIVES
from engine.stage.transitions import list_transitions
from tests.stage.values import DEFAULTS

SIZE = (64, 48)


@dataclass(frozen=True)
class When:
    time_s: float
    epoch: int


@dataclass(frozen=True)
class Key:
    waypoint: When
    pixels: np.ndarray


@pytest.fixture
def blend(ctx: moderngl.Context, shaders: Shaders) -> Blend:
    return Blend(ctx, shaders, SIZE)


def flat(level: int | tuple[int, int, int], time_s: float = 0.0, epoch: int = 0) -> Key:
    pixels = np.empty((SIZE[1], SIZE[0], 3), np.uint8)
    pixels[:] = level
    return Key(When(time_s, epoch), pixels)


def noise(seed: int, time_s: float = 0.0, epoch: int = 0) -> Key:
    rng = np.random.default_rng(seed)
    return Key(When(time_s, epoch), rng.integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8))


def linear(blend: Blend, picture: Picture) -> np.ndarray:
    """(H, W, 3) linear light, top row first."""
    target = make_target(blend._ctx, picture.size)
    blend.draw(picture, target)
    data = np.frombuffer(target.texture.read(), np.float16).reshape(picture.size[1], picture.size[0], 4)
    target.release()
    return data[::-1, :, :3].astype(float)


def srgb(blend: Blend, picture: Picture) -> np.ndarray:
    c = linear(blend, picture)
    return 255 * np.where(c <= 0.0031308, c * 12.92, 1.055 * np.maximum(c, 1e-9) ** (1 / 2.4) - 0.055)


def arrive(blend: Blend, key: Key, values: Values = DEFAULTS) -> None:
    """Take the first keyframe in and let the waiting picture go."""
    blend.upload(key)
    blend.render(0.0, values, live=False)
    blend.render(ARRIVAL_S + 0.1, values, live=False)


def test_a_keyframe_comes_through_unchanged(blend: Blend) -> None:
    key = noise(1)
    arrive(blend, key)
    assert np.abs(srgb(blend, blend.render(5.0, DEFAULTS, live=False)) - key.pixels).max() < 0.75


def test_halfway_is_halfway_in_light_not_in_numbers(blend: Blend) -> None:
    arrive(blend, flat(0))
    blend.upload(flat(255, 10.0))
    middle = srgb(blend, blend.render(5.0, DEFAULTS, live=False))
    np.testing.assert_allclose(middle, 188, atol=2)  # a naive mix of the bytes would be 128


def test_waiting_picture_is_alive_and_neither_black_nor_flat(blend: Blend) -> None:
    pictures = [linear(blend, blend.render(t, DEFAULTS)) for t in (0.0, 0.5, 3.0, 60.0, 3600.0)]
    for picture in pictures:
        assert np.isfinite(picture).all()
        assert 0.02 < picture.mean() < 0.6
        assert picture.std() > 0.01
        assert picture.min() >= 0.0
    assert 0 < np.abs(pictures[1] - pictures[0]).mean() < 0.02  # slow
    assert np.abs(pictures[2] - pictures[0]).mean() > np.abs(pictures[1] - pictures[0]).mean()


def test_waiting_picture_still_moves_where_the_show_has_been_going_for_months(blend: Blend) -> None:
    months_s = 120 * 86400.0
    pictures = [linear(blend, blend.render(months_s + k / 10, DEFAULTS)) for k in range(4)]
    steps = [np.abs(b - a).mean() for a, b in itertools.pairwise(pictures)]
    assert min(steps) > 1e-5 and max(steps) < 0.01


def test_frozen_from_the_start_holds_the_first_picture_and_not_the_waiting_one(blend: Blend) -> None:
    frozen = DEFAULTS | {"stage.freeze": True}
    blend.render(0.0, frozen)
    blend.upload(flat(255))
    for k in range(1, int(ARRIVAL_S * 20) + 4):
        picture = blend.render(k / 20, frozen)
    np.testing.assert_allclose(linear(blend, picture), 1.0, atol=1e-3)
    blend.upload(flat(0, 4.0))
    np.testing.assert_allclose(linear(blend, blend.render(8.0, frozen)), 1.0, atol=1e-3)


def test_first_keyframe_arrives_softly(blend: Blend) -> None:
    before = linear(blend, blend.render(0.0, DEFAULTS))
    blend.upload(flat(255))
    frames = [before] + [linear(blend, blend.render(k / 20, DEFAULTS)) for k in range(1, int(ARRIVAL_S * 20) + 4)]
    change = [np.abs(b - a).max() for a, b in itertools.pairwise(frames)]
    assert max(change) < 0.06  # of all the light there is; a cut would be near 1
    np.testing.assert_allclose(frames[-1], 1.0, atol=1e-3)


@pytest.mark.parametrize("name", list_transitions())
def test_transition_begins_and_ends_exactly(blend: Blend, name: str) -> None:
    old, new = noise(1), noise(2, 10.0, 1)
    values = DEFAULTS | {"blend.time": 2.0, "blend.transition": name}
    arrive(blend, old)
    blend.upload(new)
    np.testing.assert_allclose(srgb(blend, blend.render(9.999, values, live=False)), old.pixels, atol=1)
    np.testing.assert_allclose(srgb(blend, blend.render(10.0, values, live=False)), old.pixels, atol=1)
    middle = srgb(blend, blend.render(11.0, values, live=False))
    assert np.isfinite(middle).all()
    assert np.abs(middle - old.pixels).mean() > 10
    assert np.abs(middle - new.pixels).mean() > 10
    np.testing.assert_allclose(srgb(blend, blend.render(11.99999, values, live=False)), new.pixels, atol=1)
    np.testing.assert_allclose(srgb(blend, blend.render(12.1, values, live=False)), new.pixels, atol=1)


@pytest.mark.parametrize("name", list_transitions())
def test_transition_moves_evenly(blend: Blend, name: str) -> None:
    values = DEFAULTS | {"blend.time": 4.0, "blend.transition": name}
    arrive(blend, flat((20, 20, 60)))
    blend.upload(flat((200, 160, 90), 10.0, 1))
    means = np.array([linear(blend, blend.render(10 + k / 30, values, live=False)).mean() for k in range(122)])
    whole = abs(means[-1] - means[0])
    assert np.abs(np.diff(means)).max() < 0.12 * whole


def test_no_time_is_a_cut(blend: Blend) -> None:
    arrive(blend, flat(0))
    blend.upload(flat(255, 10.0, 1))
    assert srgb(blend, blend.render(9.99, DEFAULTS | {"blend.time": 0.0}, live=False)).max() < 1
    assert srgb(blend, blend.render(10.0, DEFAULTS | {"blend.time": 0.0}, live=False)).min() > 254


def test_a_jump_during_a_jump_starts_from_what_is_shown(blend: Blend) -> None:
    values = DEFAULTS | {"blend.time": 2.0, "blend.transition": "dissolve"}
    arrive(blend, flat(0))
    blend.upload(flat(255, 10.0, 1))
    blend.upload(flat(0, 11.0, 2))
    shown = [linear(blend, blend.render(10 + k / 60, values, live=False)).mean() for k in range(200)]
    assert shown[59] == pytest.approx(progress(59 / 60, 2.0), abs=0.01)
    assert np.abs(np.diff(shown)).max() < 0.02
    assert shown[-1] < 0.001


def test_live_jump_comes_with_the_keyframe(blend: Blend) -> None:
    blend.upload(flat(0))
    for k in range(240):
        blend.render(k / 60, DEFAULTS)
    blend.upload(flat(255, 3.9, 1))
    assert linear(blend, blend.render(4.0, DEFAULTS | {"blend.time": 1.0})).max() < 0.01
    assert 0.1 < linear(blend, blend.render(4.5, DEFAULTS | {"blend.time": 1.0})).mean() < 0.9
    assert linear(blend, blend.render(5.1, DEFAULTS | {"blend.time": 1.0})).min() > 0.99


def test_freeze_holds_and_thaws_softly(blend: Blend) -> None:
    arrive(blend, flat(0))
    blend.upload(flat(255, 10.0))
    frozen = DEFAULTS | {"stage.freeze": True}
    held = linear(blend, blend.render(5.0, frozen, live=False))
    for now_s in (6.0, 9.0):
        assert np.array_equal(linear(blend, blend.render(now_s, frozen, live=False)), held)
    thawing = [linear(blend, blend.render(9.0 + k / 60, DEFAULTS, live=False)).mean() for k in range(60)]
    assert abs(thawing[0] - held.mean()) < 0.01
    assert np.abs(np.diff(thawing)).max() < 0.05
    assert thawing[-1] > 0.9


def test_a_pixel_view_may_change_after_upload(blend: Blend) -> None:
    key = noise(5)
    kept = key.pixels.copy()
    arrive(blend, key)
    key.pixels[:] = 0
    np.testing.assert_allclose(srgb(blend, blend.render(5.0, DEFAULTS, live=False)), kept, atol=1)


def test_unknown_transition_name_still_jumps(blend: Blend) -> None:
    arrive(blend, flat(0))
    blend.upload(flat(255, 10.0, 1))
    blend.render(10.0, DEFAULTS | {"blend.transition": "nowhere", "blend.time": 1.0}, live=False)
    assert linear(blend, blend.render(11.1, DEFAULTS, live=False)).min() > 0.99


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((48, 64), np.uint8),
        np.zeros((48, 64, 4), np.uint8),
        np.zeros((48, 64, 3), np.float32),
        np.zeros((64, 48, 3), np.uint8),
    ],
)
def test_a_keyframe_of_the_wrong_shape_is_refused(blend: Blend, pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="got"):
        blend.upload(Key(When(0.0, 0), pixels))


def test_odd_sizes_upload_straight(ctx: moderngl.Context, shaders: Shaders) -> None:
    blend = Blend(ctx, shaders, (37, 21))  # rows of 111 bytes: not a multiple of 4
    pixels = np.random.default_rng(0).integers(0, 256, (21, 37, 3), dtype=np.uint8)
    arrive(blend, Key(When(0.0, 0), pixels))
    np.testing.assert_allclose(srgb(blend, blend.render(5.0, DEFAULTS, live=False)), pixels, atol=1)


def test_lockstep_frames_repeat_to_the_bit(ctx: moderngl.Context) -> None:
    def run() -> list[bytes]:
        blend = Blend(ctx, Shaders(ctx), SIZE)
        blend.upload(noise(1))
        blend.upload(noise(2, 1.0))
        blend.upload(noise(3, 2.0, 1))
        values = DEFAULTS | {"blend.time": 1.0, "blend.transition": "pulp"}
        frames = [linear(blend, blend.render(k / 8, values, live=False)).tobytes() for k in range(28)]
        return frames

    assert run() == run()


def test_transitions_and_passes_are_compiled_while_waiting(
    ctx: moderngl.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []

    def compile_(ctx: moderngl.Context, source: Source, *more: Any) -> Pass:
        compiled.append(source.origin[-1][0].name)
        return Pass(ctx, source, *more)

    monkeypatch.setattr("engine.stage.shaders.Pass", compile_)
    blend = Blend(ctx, Shaders(ctx), SIZE)
    blend.render(0.0, DEFAULTS)
    assert compiled == ["waiting.frag"], "nothing else before the first picture"
    for k in range(120):
        blend.render(k / 30, DEFAULTS)
    transitions = {f"{name}.glsl" for name in list_transitions()}
    assert set(compiled) == transitions | set(NATIVES), "each has a last good one to fall back on"


@pytest.mark.parametrize("length_s", [0.05, 0.3, 0.8, 2.0, 8.0, 20.0])
def test_a_transition_gets_going_at_once_and_never_jerks(length_s: float) -> None:
    times = np.linspace(0.0, length_s, 8001)
    way = np.array([progress(t, length_s) for t in times])
    speed = np.diff(way) / np.diff(times)
    assert way[0] == 0.0 and way[-1] == pytest.approx(1.0) and speed.min() >= 0.0
    assert progress(0.4, length_s) > 0.08
    ends = progress(1e-3 * length_s**0.5, length_s), 1.0 - progress(length_s * 0.999, length_s)
    assert ends[0] < 1e-3 and ends[1] < 1e-5, "it begins and ends at rest"
    assert np.abs(np.diff(speed)).max() < 0.03 * speed.max(), "and changes its speed smoothly"
    after = speed[times[:-1] > 0.6]
    half = after[: after.size // 2]
    assert half.size == 0 or half.min() > 0.3 * np.median(half), "it does not hesitate after its beginning"


@pytest.mark.parametrize("size", [SIZE, (96, 96), (54, 96), (240, 54)], ids=str)
@pytest.mark.parametrize("length_s", [8.0, 20.0])
@pytest.mark.parametrize("name", list_transitions())
def test_a_visitor_sees_within_half_a_second_that_the_jump_was_taken(
    ctx: moderngl.Context, shaders: Shaders, name: str, length_s: float, size: tuple[int, int]
) -> None:
    blend = Blend(ctx, shaders, size)
    values = DEFAULTS | {"blend.time": length_s, "blend.transition": name}
    # The hardest case: the new picture is a dark one, with few lights.
    y, x = np.mgrid[0 : size[1], 0 : size[0]]
    light = np.stack([120 + 60 * np.sin(x / 9), 110 + 50 * np.sin(y / 7), 90 + 0 * x], -1).astype(np.uint8)
    dark = np.stack([60 + 40 * np.sin(y / 5), 50 + 0 * x, 70 + 30 * np.sin(x / 6)], -1).astype(np.uint8)
    old, new = Key(When(0.0, 0), light), Key(When(10.0, 1), dark)
    arrive(blend, old)
    blend.upload(new)
    shown = [srgb(blend, blend.render(10.0 + k / 20, values, live=False)) for k in range(11)]
    assert np.abs(shown[0] - old.pixels).max() < 1
    assert np.abs(shown[10] - shown[0]).mean() > 2.0
    pops = [np.abs(b - a).mean() for a, b in itertools.pairwise(shown)]
    assert max(pops) < 0.12 * np.abs(light.astype(float) - dark).mean(), "and it begins softly"


def test_what_is_frozen_stays_when_keyframes_take_all_places(blend: Blend) -> None:
    arrive(blend, noise(1))
    blend.upload(noise(2, 10.0))
    held = linear(blend, blend.render(5.0, DEFAULTS | {"stage.freeze": True}, live=False))
    between = blend.showing
    assert between is not None and between[0].time_s == 0.0
    for k in range(40):
        blend.upload(noise(10 + k, 11.0 + k))
        shown = linear(blend, blend.render(5.0 + k, DEFAULTS | {"stage.freeze": True}, live=False))
        assert np.array_equal(shown, held)
        assert blend.showing == between, "a still of it names what it shows"
