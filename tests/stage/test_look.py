"""The finishing passes, by formula and by picture statistics."""

import itertools

import moderngl
import numpy as np
import pytest

from engine.stage.blend import GL_SRGB8, Picture
from engine.stage.gl import Target, lay_blue_first, make_target, read_pixels
from engine.stage.look import FADE_S, Look, grain_place, make_grain, seen, view_of
from engine.stage.shaders import Shaders
from tests.stage.values import DEFAULTS

OFF: dict[str, float | bool] = {"look.enabled": False}
BARE: dict[str, float | bool] = {"look.grain": 0.0, "look.vignette": 0.0, "look.drift": 0.0}


def to_linear(srgb: np.ndarray) -> np.ndarray:
    c = srgb / 255.0
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def picture(ctx: moderngl.Context, srgb: np.ndarray) -> Picture:
    """A picture in linear light as Blend gives it, from (H, W, 3) sRGB with the top row first."""
    rgba = np.ones((*srgb.shape[:2], 4), np.float16)
    rgba[..., :3] = to_linear(srgb.astype(float))[::-1]
    texture = ctx.texture((srgb.shape[1], srgb.shape[0]), 4, rgba.tobytes(), dtype="f2")
    texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
    texture.repeat_x = texture.repeat_y = False
    return Picture(texture, texture, 0.0, top_first=False)


def show(
    ctx: moderngl.Context,
    look: Look,
    srgb: np.ndarray,
    size: tuple[int, int],
    values: dict[str, float | bool],
    time_s: float = 0.0,
    target: Target | None = None,
) -> np.ndarray:
    made = target or make_target(ctx, size, "f1")
    look.render(picture(ctx, srgb), made.framebuffer, DEFAULTS | values, time_s)
    return read_pixels(made.framebuffer).astype(float)


def flat(level: int, side: int = 32) -> np.ndarray:
    return np.full((side, side, 3), level, np.uint8)


def blobs(side: int = 64, seed: int = 0) -> np.ndarray:
    """Something smooth, like a dream."""
    y, x = np.mgrid[0:side, 0:side] / side
    rng = np.random.default_rng(seed)
    waves = [np.sin(2 * np.pi * (x * a + y * b) + c) for a, b, c in rng.uniform(-2, 2, (3, 3))]
    return np.round(127 + 100 * np.stack(waves, -1)).astype(np.uint8)


def test_off_is_the_plain_picture(ctx: moderngl.Context, shaders: Shaders) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    look = Look(ctx, shaders)
    assert np.abs(show(ctx, look, pixels, (32, 32), OFF) - pixels).max() <= 1
    large = show(ctx, look, pixels, (96, 96), OFF)
    assert np.abs(large[1::3, 1::3] - pixels).max() <= 1  # a texel's centre is the texel
    expected = (2 * pixels[:, :-1].astype(float) + pixels[:, 1:]) / 3
    assert np.abs(large[1::3, 2:-1:3] - expected).max() <= 2  # and between them it is a straight line


@pytest.mark.parametrize("values", [OFF, {}])
def test_a_window_shows_the_same_whichever_way_round_its_bytes_lie(
    ctx: moderngl.Context, shaders: Shaders, values: dict[str, float | bool]
) -> None:
    size = (640, 360)
    window = make_target(ctx, size, "f1")
    lay_blue_first(ctx, window.texture)
    shown = show(ctx, Look(ctx, shaders), blobs(), size, values, target=window)
    assert np.abs(shown - show(ctx, Look(ctx, shaders), blobs(), size, values)).max() <= 2


def test_all_levels_pass_unchanged_when_nothing_is_asked(ctx: moderngl.Context, shaders: Shaders) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (32, 1, 3))
    look = Look(ctx, shaders)
    for values in (OFF, BARE):
        shown = show(ctx, look, ramp, (256, 32), values)
        assert np.abs(shown - ramp)[:, 1:-1].max() <= 1.5


def test_cover_crops_the_middle(ctx: moderngl.Context, shaders: Shaders) -> None:
    pixels = np.zeros((90, 90, 3), np.uint8)
    pixels[20:70] = 255  # 16:9 of a square shows rows 19.7 to 70.3
    shown = show(ctx, Look(ctx, shaders), pixels, (160, 90), OFF)
    assert shown[2:-2].min() > 250
    shown = show(ctx, Look(ctx, shaders), pixels.transpose(1, 0, 2), (90, 160), OFF)
    assert shown[:, 2:-2].min() > 250


def test_letterbox_shows_all_with_black_bars(ctx: moderngl.Context, shaders: Shaders) -> None:
    look = Look(ctx, shaders, "letterbox")
    grain = {"look.grain": 1.0, "look.drift": 1.0}
    for values in (OFF, grain):
        shown = show(ctx, look, flat(200), (160, 90), values)
        assert shown[:, :35].max() == 0 and shown[:, 125:].max() == 0
        assert shown[:, 36:124].mean() > 150
    with pytest.raises(ValueError, match='"cover" or "letterbox", got \'stretch\''):
        Look(ctx, shaders, "stretch")


def test_exposure_counts_in_stops_of_light(ctx: moderngl.Context, shaders: Shaders) -> None:
    look = Look(ctx, shaders)
    up = show(ctx, look, flat(100), (32, 32), BARE | {"look.exposure": 1.0}).mean()
    down = show(ctx, look, flat(100), (32, 32), BARE | {"look.exposure": -1.0}).mean()
    light = to_linear(np.array([100.0]))[0]
    assert to_linear(np.array([up]))[0] == pytest.approx(2 * light, rel=0.02)
    assert to_linear(np.array([down]))[0] == pytest.approx(light / 2, rel=0.03)


def test_highlights_bend_instead_of_clipping(ctx: moderngl.Context, shaders: Shaders) -> None:
    ramp = np.tile(np.linspace(0, 255, 256).astype(np.uint8)[None, :, None], (16, 1, 3))
    shown = show(ctx, Look(ctx, shaders), ramp, (256, 16), BARE | {"look.exposure": 1.5})[8, :, 0]
    assert np.diff(shown).min() >= -1
    assert shown[255] >= 254
    assert 215 < shown[200] < 252  # a hard clip would be 255 from 158 on
    assert shown[240] - shown[200] > 4


def test_saturation_and_contrast(ctx: moderngl.Context, shaders: Shaders) -> None:
    look = Look(ctx, shaders)
    colour = np.tile(np.array([180, 90, 40], np.uint8), (32, 32, 1))
    grey = show(ctx, look, colour, (32, 32), BARE | {"look.saturation": 0.0})[16, 16]
    assert np.ptp(grey) <= 1
    expected = to_linear(np.array([180.0, 90, 40])) @ [0.2126, 0.7152, 0.0722]
    assert to_linear(grey).mean() == pytest.approx(expected, rel=0.03)
    for level, sign in ((60, -1), (118, 0), (200, 1)):  # sRGB 118 is middle grey
        shown = show(ctx, look, flat(level), (32, 32), BARE | {"look.contrast": 1.5}).mean()
        assert sign * (shown - level) > 4 if sign else abs(shown - level) < 2


def test_upsampling_has_no_grid(ctx: moderngl.Context, shaders: Shaders) -> None:
    pixels = np.random.default_rng(1).integers(60, 196, (24, 24, 3), dtype=np.uint8)
    kinks = {}
    for name, values in (("plain", OFF), ("look", BARE)):
        shown = show(ctx, Look(ctx, shaders), pixels, (24 * 16, 24 * 16), values)[64:-64, 64:-64]
        bend = np.abs(np.diff(shown, 2, axis=1)).mean((0, 2))
        kinks[name] = bend.reshape(-1)[:240].reshape(-1, 16).mean(0)
    # Bilinear bends only at texel centres, a comb; the cubic bends everywhere a little.
    assert kinks["plain"].max() > 2.5 * np.median(kinks["plain"])
    assert kinks["look"].max() < 1.5 * np.median(kinks["look"])


def test_sharpness_sharpens_edges_only(ctx: moderngl.Context, shaders: Shaders) -> None:
    edge = flat(60)
    edge[:, 16:] = 180
    slopes = []
    for sharpness in (0.0, 0.3, 1.0):
        values = BARE | {"look.sharpness": sharpness}
        shown = show(ctx, Look(ctx, shaders), edge, (256, 256), values)
        slopes.append(np.abs(np.diff(shown[128, :, 0])).max())
        assert np.abs(shown[128, :40, 0] - 60).max() <= 1
    assert slopes[0] * 1.1 < slopes[1] and slopes[1] * 1.2 < slopes[2]


def test_breathing_never_shows_an_edge() -> None:
    shapes = [(256, 256), (512, 288), (288, 512)]
    screens = [(1280, 720), (720, 1280), (16, 16), (3840, 2160), (400, 100), (1920, 48), (64, 4096)]
    for own, screen, time_s in itertools.product(shapes, screens, np.linspace(0, 5000, 60)):
        view = view_of(own, screen, 1.0, float(time_s))
        for k in np.linspace(-0.5, 0.5, 9):
            for x, y in ((k, -0.5), (k, 0.5), (-0.5, k), (0.5, k)):
                u, v = view.at(float(x), float(y))
                still_u, still_v = view_of(own, screen, 0.0, 0.0).at(0.5, 0.5)
                assert 1 - still_u - 1e-9 <= u <= still_u + 1e-9
                assert 1 - still_v - 1e-9 <= v <= still_v + 1e-9


@pytest.mark.parametrize("screen", [(1280, 720), (4096, 64), (48, 1920), (10_000, 16)])
def test_breathing_comes_no_nearer_than_a_sixth_on_any_shape_of_screen(screen: tuple[int, int]) -> None:
    still = view_of((448, 256), screen, 0.0, 0.0)
    for time_s in np.linspace(0, 5000, 60):
        across = view_of((448, 256), screen, 1.0, float(time_s)).turn[0]
        assert 5 / 6 * still.turn[0] < across < still.turn[0]


def test_breathing_is_slow_and_never_stops() -> None:
    size = ((256, 256), (1280, 720))
    corner = np.array([view_of(*size, 0.3, k / 60).at(0.5, 0.5) for k in range(60 * 120)]) * 1280
    speed = np.linalg.norm(np.diff(corner, axis=0), axis=1) * 60  # pixels a second
    assert speed.max() < 6.0
    assert speed.reshape(-1)[: 60 * 118].reshape(-1, 120).max(1).min() > 0.02
    still = view_of(*size, 0.0, 77.0)
    assert still.at(0.5, 0.0)[0] == pytest.approx(1.0)


def test_no_seam_anywhere_while_breathing(ctx: moderngl.Context, shaders: Shaders) -> None:
    look = Look(ctx, shaders)
    values = {"look.grain": 0.0, "look.vignette": 0.0, "look.drift": 1.0}
    for time_s in (0.0, 13.0, 170.0):
        shown = show(ctx, look, blobs(), (320, 180), values, time_s)
        for axis in (0, 1):
            step = np.abs(np.diff(shown, axis=axis)).max()
            assert step < 12  # the steepest wave rises by 8 a pixel; a seam or an edge would be 50 and more


def test_grain_moves_keeps_the_mean_and_spares_black(ctx: moderngl.Context, shaders: Shaders) -> None:
    look = Look(ctx, shaders)
    values = BARE | {"look.grain": 1.0}
    spread = {}
    for level in (0, 20, 118, 250):
        a = show(ctx, look, flat(level), (256, 256), values, 1.0)
        b = show(ctx, look, flat(level), (256, 256), values, 1.1)
        spread[level] = a.std()
        assert abs(a.mean() - level) < 2.5
        if level == 118:
            assert abs(np.corrcoef(a[..., 0].ravel(), b[..., 0].ravel())[0, 1]) < 0.1
            assert np.array_equal(a, show(ctx, look, flat(level), (256, 256), values, 1.0))
    assert spread[118] > 2 * spread[20] > 0
    assert spread[118] > 2 * spread[250]
    assert spread[0] < 4
    assert 1.0 < show(ctx, look, flat(118), (256, 256), BARE | {"look.grain": 0.15}).std() < 6.0


def test_grain_lies_where_the_time_says() -> None:
    assert grain_place(1.0) == grain_place(1.0 + 0.5 / 24)
    places = {grain_place(k / 24) for k in range(240)}
    assert len(places) > 230


def test_large_grain_is_the_same_grain_larger(ctx: moderngl.Context) -> None:
    def read(grain_px: int) -> np.ndarray:
        texture = make_grain(ctx, grain_px)
        side = 256 * grain_px
        return np.frombuffer(texture.read(), np.uint8).reshape(side, side, 2).astype(float)

    small, large = read(1), read(4)
    np.testing.assert_allclose(large[::4, ::4, 0], small[..., 0], atol=1)
    between = (small[:, :, 0] + np.roll(small, -1, 1)[:, :, 0]) / 2
    np.testing.assert_allclose(large[::4, 2::4, 0], between, atol=1)  # across the tile's edge too
    assert np.array_equal(large[:256, 256:512, 1], small[..., 1])


def test_dither_breaks_up_the_steps_of_eight_bits(ctx: moderngl.Context, shaders: Shaders) -> None:
    shallow = np.tile(np.linspace(80, 83, 64)[None, :, None], (36, 1, 3))
    look, target = Look(ctx, shaders), make_target(ctx, (1280, 180), "f1")
    frames = [show(ctx, look, shallow, (1280, 180), BARE, k / 24, target) for k in range(12)]
    columns = np.mean(frames, axis=(0, 1))[100:-100, 0]
    straight = np.polyval(np.polyfit(np.arange(columns.size), columns, 1), np.arange(columns.size))
    assert np.abs(columns - straight).max() < 0.3  # a staircase would be off by half a step


def test_vignette_darkens_corners_not_the_middle(ctx: moderngl.Context, shaders: Shaders) -> None:
    shown = show(ctx, Look(ctx, shaders), flat(200), (160, 90), BARE | {"look.vignette": 0.5})
    assert abs(shown[40:50, 70:90].mean() - 200) < 1
    assert 80 < shown[:3, :3].mean() < 160


def test_blackout_fades_to_true_black_and_back(ctx: moderngl.Context, shaders: Shaders) -> None:
    for extra in (OFF, {}):
        look = Look(ctx, shaders)
        on: dict[str, float | bool] = {"stage.blackout": True, **extra}
        off: dict[str, float | bool] = {"stage.blackout": False, **extra}
        means = [show(ctx, look, flat(200), (64, 64), off, 0.0).mean()]
        means += [show(ctx, look, flat(200), (64, 64), on, k / 30).mean() for k in range(1, 31)]
        assert means[0] > 150
        assert np.diff(means).max() < 1 and np.abs(np.diff(means)).max() < 20
        assert show(ctx, look, flat(255), (64, 64), on, 1.0 + FADE_S).max() == 0
        assert show(ctx, look, flat(200), (64, 64), off, 2.0 + 2 * FADE_S).mean() > 150
    assert show(ctx, Look(ctx, shaders), flat(200), (64, 64), {"stage.blackout": True}).max() == 0


@pytest.mark.parametrize("size", [(16, 16), (1, 1), (333, 77), (90, 160), (3840, 2160)])
@pytest.mark.parametrize("fit", ["cover", "letterbox"])
def test_every_size_is_filled(
    ctx: moderngl.Context, shaders: Shaders, size: tuple[int, int], fit: str
) -> None:
    target = make_target(ctx, size, "f1")
    for values in (OFF, {"look.grain": 0.0, "look.vignette": 0.0}):
        Look(ctx, shaders, fit).render(picture(ctx, flat(150, 256)), target.framebuffer, DEFAULTS | values, 3.0)
        pixels = read_pixels(target.framebuffer)
        assert pixels.shape == (size[1], size[0], 3)
        assert abs(float(pixels[size[1] // 2, size[0] // 2, 0]) - 150) <= 1
        if fit == "cover":
            assert np.ptp(pixels) <= 1
        assert target.framebuffer.viewport == (0, 0, *size)
    target.release()


def test_drawn_small_it_does_not_shimmer(ctx: moderngl.Context, shaders: Shaders) -> None:
    checks = np.indices((256, 256)).sum(0) % 2 * 255
    pixels = np.repeat(checks[..., None], 3, axis=2).astype(np.uint8)
    shown = show(ctx, Look(ctx, shaders), pixels, (32, 32), BARE)
    assert np.ptp(shown) < 12  # without mip levels it would beat between black and white


def test_size_of_the_picture_may_change(ctx: moderngl.Context, shaders: Shaders) -> None:
    look = Look(ctx, shaders)
    for side in (32, 64, 16):
        assert abs(show(ctx, look, flat(90, side), (64, 36), BARE)[18, 32, 0] - 90) <= 1


def test_what_is_seen_covers_what_is_shown() -> None:
    assert seen((256, 256), (1280, 720)) == (0, 52, 256, 152)
    assert seen((256, 256), (720, 1280)) == (52, 0, 152, 256)
    assert seen((256, 256), (32, 18)) == (0, 0, 256, 256)


def test_a_crossfade_is_mixed_in_light_and_stands_upright(ctx: moderngl.Context, shaders: Shaders) -> None:
    def keyframe(top: int, bottom: int) -> moderngl.Texture:
        pixels = np.full((32, 32, 3), top, np.uint8)
        pixels[16:] = bottom
        texture = ctx.texture((32, 32), 3, pixels.tobytes(), internal_format=GL_SRGB8)
        texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
        return texture

    crossfade = Picture(keyframe(0, 40), keyframe(255, 40), 0.5, top_first=True)
    target = make_target(ctx, (32, 32), "f1")
    for values in (OFF, BARE):
        Look(ctx, shaders).render(crossfade, target.framebuffer, DEFAULTS | values, 0.0)
        shown = read_pixels(target.framebuffer).astype(float)
        np.testing.assert_allclose(shown[4:12], 188, atol=2)  # a mix of the bytes would be 128
        np.testing.assert_allclose(shown[20:28], 40, atol=2)
