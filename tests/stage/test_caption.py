"""The caption under the picture, drawn for real."""

import itertools
import threading
import time
from typing import Any

import moderngl
import numpy as np
import pytest

from engine.stage import captions as module
from engine.stage.blend import Picture
from engine.stage.captions import COMES_S, EM, Captions, make_plate
from engine.stage.fonts import Fonts
from engine.stage.gl import make_target, read_pixels
from engine.stage.shaders import Shaders
from engine.stage.typeset import NotSet
from engine.walk.caption import Caption

SIZE = (640, 360)
WORDS = "between *a face half seen in clouds* and *torn pages*"
HERE = Caption(WORDS, (0.6, 0.4), 0.0)
HEBREW = "בין *פנים בעננים* לבין *דפים קרועים*"


def drawn(
    ctx: moderngl.Context,
    captions: Captions,
    caption: Caption,
    time_s: float = 60.0,
    grey: float = 0.3,
    size: tuple[int, int] = SIZE,
    fade: float = 1.0,
) -> np.ndarray:
    """(H, W, 3) int: the caption over an even grey."""
    target, source = make_target(ctx, size, "f1"), make_target(ctx, (32, 18))
    target.framebuffer.clear(grey, grey, grey, 1.0)
    source.framebuffer.clear(*[((grey + 0.055) / 1.055) ** 2.4] * 3, 1.0)
    captions.render(target.framebuffer, Picture.of(source), caption, time_s, fade=fade)
    pixels = read_pixels(target.framebuffer).astype(int)
    for made in (target, source):
        made.release()
    return pixels


def bright(pixels: np.ndarray) -> np.ndarray:
    """(H, W) where there is ink."""
    return pixels.min(axis=2) > 200


def light(pixels: np.ndarray) -> np.ndarray:
    """Relative luminance, 0..1 (WCAG 2.1); what is drawn is nearly grey."""
    return ((pixels.mean(axis=-1) / 255 + 0.055) / 1.055) ** 2.4


def under(plate: module.Plate, pixels: np.ndarray) -> np.ndarray:
    """(h, w, 3) the part of a picture that the plate is drawn over; its dark edge may reach out of it."""
    high, wide = plate.pixels.shape[:2]
    margin = round(module.MARGIN * min(pixels.shape[:2]))
    pad = plate.pad_px
    padded = np.pad(pixels, ((0, pad), (pad, 0), (0, 0)), "edge")
    bottom = len(padded) - margin
    return padded[bottom - high : bottom, margin : margin + wide]


@pytest.fixture
def captions(ctx: moderngl.Context, shaders: Shaders) -> Captions:
    return Captions(ctx, shaders, at_once=True)


def test_without_a_caption_nothing_is_made(ctx: moderngl.Context, monkeypatch: pytest.MonkeyPatch) -> None:
    shaders, target, made = Shaders(ctx), make_target(ctx, SIZE, "f1"), list[str]()
    for name in ("texture", "buffer", "framebuffer", "program", "vertex_array"):
        monkeypatch.setattr(moderngl.Context, name, lambda *a, name=name, **k: made.append(name), raising=True)
    captions = Captions(ctx, shaders)
    for caption in (Caption(), Caption("", (), 0.0, WORDS)):
        captions.render(target.framebuffer, Picture.of(target), caption, 60.0)
    assert made == []


@pytest.mark.parametrize("size", [(320, 180), (640, 360), (1280, 720), (360, 640), (3840, 2160), (16, 16)], ids=str)
def test_it_stands_at_the_lower_left_within_a_safe_margin(
    ctx: moderngl.Context, captions: Captions, size: tuple[int, int]
) -> None:
    ink = bright(drawn(ctx, captions, HERE, size=size))
    rows, columns = np.nonzero(ink)
    if min(size) < 100:
        return  # it need only do no harm
    safe = 0.05 * min(size)
    assert safe < columns.min() < 0.12 * size[0] and columns.max() < size[0] - safe
    assert rows.max() < size[1] - safe and rows.min() > 0.55 * size[1]


def test_its_type_is_large_enough_for_five_metres() -> None:
    assert 0.04 <= EM <= 0.05
    for high in (720, 1440):
        plate = make_plate("H", (high * 16 // 9, high))
        rows = np.flatnonzero((plate.pixels[..., 0] > 128).any(axis=1))
        assert np.ptp(rows) > 0.028 * high, "a capital letter, in heights of the screen"


@pytest.mark.parametrize("grey", [1.0, 0.75, 0.5, 0.2, 0.0])
def test_it_has_contrast_on_any_picture(ctx: moderngl.Context, captions: Captions, grey: float) -> None:
    pixels = drawn(ctx, captions, HERE, grey=grey, size=(1280, 720))
    plate = make_plate(WORDS, (1280, 720))
    ink = plate.pixels[..., 0]
    letters, near = ink > 250, np.zeros(ink.shape, bool)
    for down in range(-2, 3):
        for right in range(-2, 3):
            near |= np.roll(letters, (down, right), (0, 1))
    beside = near & (ink == 0)
    part = light(under(plate, pixels))
    assert (part[letters].mean() + 0.05) / (np.percentile(part[beside], 90) + 0.05) >= 4.5


def test_far_from_the_words_the_picture_is_left_alone(ctx: moderngl.Context, captions: Captions) -> None:
    pixels = drawn(ctx, captions, HERE, grey=1.0, size=(1280, 720))
    assert (pixels[:480] == 255).all() and (pixels[:, 800:] == 255).all()
    dark = 255 - pixels.max(axis=2)
    edges = np.abs(np.diff(dark.astype(int), axis=1))[540:, :20]
    assert edges.max() < 12, "no box has an edge"


def test_one_dissolves_into_the_next(ctx: moderngl.Context, captions: Captions) -> None:
    caption = Caption("*torn pages*", (0.9,), 10.0, WORDS, (0.5, 0.5))
    frames = [drawn(ctx, captions, caption, 10.0 + k / 30) for k in range(60)]
    assert np.array_equal(frames[0], drawn(ctx, captions, Caption(WORDS, (0.5, 0.5), 0.0), 9.0))
    assert np.array_equal(frames[-1], drawn(ctx, captions, Caption("*torn pages*", (0.9,), 0.0), 9.0))
    steps = [np.abs(a - b).mean() for a, b in itertools.pairwise(frames)]
    assert max(steps) < 0.25 * np.abs(frames[0] - frames[-1]).mean()
    gone = drawn(ctx, captions, Caption("", (), 10.0, WORDS), 20.0)
    assert len(np.unique(gone)) == 1


def test_a_frame_is_the_same_whatever_came_before_it(ctx: moderngl.Context, shaders: Shaders) -> None:
    caption = Caption("*torn pages*", (0.9,), 10.0, WORDS, (0.5, 0.5))
    through, straight = (Captions(ctx, shaders, at_once=True) for _ in range(2))
    for k in range(8):
        drawn(ctx, through, Caption(f"no. {k}", (), k + 1.0, f"no. {k - 1}"), k + 1.3)
    assert np.array_equal(drawn(ctx, through, caption, 10.7), drawn(ctx, straight, caption, 10.7))


def test_the_line_shows_the_shares(ctx: moderngl.Context, captions: Captions) -> None:
    lit, plate = [], make_plate(WORDS, SIZE)
    for share in (0.0, 0.25, 0.5, 1.0):
        pixels = drawn(ctx, captions, Caption(WORDS, (share, 1.0 - share), 0.0), grey=0.0)
        line = under(plate, pixels)[plate.pixels[..., 2] > 0].max(axis=1)
        lit.append(round(float((line > 220).mean()), 2))
    assert lit == pytest.approx([0.0, 0.25, 0.5, 1.0], abs=0.02)
    none = drawn(ctx, captions, Caption("nothing yet", (), 0.0), grey=0.0)
    assert none[336:].max() < 60, "without shares there is no line"


def test_a_language_that_runs_the_other_way_stands_at_the_right(ctx: moderngl.Context, captions: Captions) -> None:
    try:
        make_plate(HEBREW, SIZE)
    except NotSet as error:
        pytest.skip(error.reason)
    columns = np.nonzero(bright(drawn(ctx, captions, Caption(HEBREW, (0.6, 0.4), 0.0))))[1]
    assert columns.min() > 0.3 * SIZE[0] and columns.max() > 0.9 * SIZE[0]
    zone = captions.zone(Caption(HEBREW, (), 0.0), SIZE, 9.0)
    assert zone is not None and zone.right == SIZE[0]


def test_its_place_is_kept_clear_as_long_as_it_is_there(captions: Captions) -> None:
    assert captions.zone(Caption(), SIZE, 9.0) is None
    coming = [captions.zone(HERE, SIZE, t) for t in (0.0, COMES_S / 2, COMES_S, 50.0)]
    assert coming[0] is None and [zone.strength for zone in coming[1:] if zone] == [0.5, 1.0, 1.0]
    assert captions.zone(Caption("b", (), 5.0, "a"), SIZE, 5.1).strength == 1.0  # type: ignore[union-attr]
    assert captions.zone(Caption("", (), 5.0, "a"), SIZE, 50.0) is None


def test_a_blackout_hides_it(ctx: moderngl.Context, captions: Captions) -> None:
    assert drawn(ctx, captions, HERE, grey=0.0, fade=0.0).max() == 0


def test_what_no_font_has_is_left_out_and_told_once(
    ctx: moderngl.Context, shaders: Shaders, caplog: pytest.LogCaptureFixture
) -> None:
    captions = Captions(ctx, shaders, at_once=True, fonts=Fonts([]))
    for k in range(3):
        assert len(np.unique(drawn(ctx, captions, Caption(f"云中 {k % 2}", (), 0.0)))) == 1
    assert len(caplog.messages) == 1 and "Chinese" in caplog.messages[0]


def test_type_is_never_set_on_the_thread_that_draws(
    ctx: moderngl.Context, shaders: Shaders, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, make = set(), module.make_plate

    def noted(*given: Any) -> module.Plate:
        threads.add(threading.get_ident())
        return make(*given)

    monkeypatch.setattr(module, "make_plate", noted)
    captions, until, k = Captions(ctx, shaders), time.monotonic() + 30, 0
    while not bright(drawn(ctx, captions, HERE, k / 10)).any() and time.monotonic() < until:
        k += 1
        time.sleep(0.01)
    captions.close()
    assert threads and threading.get_ident() not in threads and time.monotonic() < until
