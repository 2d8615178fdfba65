"""Scraps of text adrift over the picture, drawn for real."""

import itertools
import logging
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import moderngl
import numpy as np
import pytest

from engine.show.paths import shaders_dir
from engine.stage import scraps as module
from engine.stage.adrift import Drift, apart
from engine.stage.blend import Picture
from engine.stage.captions import Zone
from engine.stage.fonts import Fonts
from engine.stage.gl import Pass, make_target, read_pixels
from engine.stage.paper import make_scrap
from engine.stage.scraps import MOST, Scraps
from engine.stage.shaders import Shaders
from engine.walk.afloat import Afloat
from tests.stage.values import DEFAULTS

SIZE = (320, 180)
ON = DEFAULTS | {"pulp.scraps": 1.0, "walk.pedesis": 0.15}
WORDS = ["torn", "printed", "paper", "cream", "and ink", "wet on", "the mould", "shelves", "of glowing", "memory"]


def afloat(count: int = 8, weight: float = 1.0, words: list[str] = WORDS) -> tuple[Afloat, ...]:
    return tuple(Afloat(40 + n, words[n % len(words)], n // 3, weight) for n in range(count))


def drawn(
    ctx: moderngl.Context, scraps: Scraps, time_s: float, grey: float = 0.3, size: tuple[int, int] = SIZE, **more: Any
) -> np.ndarray:
    """(H, W, 3) of a frame over an even grey; more: arguments of render, or values with _ for the point."""
    source, target = make_target(ctx, (32, 18)), make_target(ctx, size, "f1")
    source.framebuffer.clear(grey, grey, grey, 1.0)
    target.framebuffer.clear(grey**0.5, grey**0.5, grey**0.5, 1.0)
    values = ON | {name.replace("_", ".", 1): more.pop(name) for name in list(more) if "_" in name}
    scraps.render(target.framebuffer, Picture.of(source), values, time_s, **more)
    pixels = read_pixels(target.framebuffer).astype(int)
    for made in (source, target):
        made.release()
    return pixels


def changed(pixels: np.ndarray, grey: float = 0.3) -> np.ndarray:
    """(H, W) where something was drawn."""
    return np.abs(pixels - round(grey**0.5 * 255)).max(axis=2) > 4


@pytest.fixture
def scraps(ctx: moderngl.Context, shaders: Shaders) -> Scraps:
    found = Scraps(ctx, shaders, at_once=True)
    found.set(afloat(), 7)
    return found


def test_at_nothing_nothing_is_made(ctx: moderngl.Context, monkeypatch: pytest.MonkeyPatch) -> None:
    shaders, target, made = Shaders(ctx), make_target(ctx, SIZE, "f1"), list[str]()
    for name in ("texture", "texture_array", "buffer", "framebuffer", "program", "vertex_array"):
        monkeypatch.setattr(moderngl.Context, name, lambda *a, name=name, **k: made.append(name), raising=True)
    scraps, threads = Scraps(ctx, shaders), threading.active_count()
    scraps.set(afloat(), 7)
    for more in ({"pulp.scraps": 0.0}, {"memory.view": 1.0}, {"look.view.latent": 1.0}):
        scraps.render(target.framebuffer, Picture.of(target), ON | more, 1.0)
    assert made == [] and scraps.drawn == 0 and threading.active_count() == threads


def test_all_are_one_call(ctx: moderngl.Context, scraps: Scraps, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, render = [], Pass.render

    def counted(self: Pass, *given: Any, **named: Any) -> None:
        calls.append(named.get("strip"))
        render(self, *given, **named)

    monkeypatch.setattr(Pass, "render", counted)
    assert changed(drawn(ctx, scraps, 9.0)).mean() > 0.05
    assert calls == [(4, 8)] and scraps.drawn == 8


def test_a_frame_is_the_same_whatever_came_before_it(ctx: moderngl.Context, shaders: Shaders) -> None:
    other = [Afloat(9, "something else", 1, 1.0), *afloat(4)]
    through, straight = (Scraps(ctx, shaders, at_once=True) for _ in range(2))
    for k in range(5):
        through.set(other if k % 2 else afloat(20, 0.7), 7)
        drawn(ctx, through, k / 3)
    for scraps in (through, straight):
        scraps.set(afloat(9, 0.6), 7)
    assert np.array_equal(drawn(ctx, through, 50.0), drawn(ctx, straight, 50.0))
    straight.set(afloat(9, 0.6), 8)
    assert not np.array_equal(drawn(ctx, through, 50.0), drawn(ctx, straight, 50.0)), "another seed drifts elsewhere"


def test_they_come_and_go_with_their_weight_and_nothing_jumps(ctx: moderngl.Context, scraps: Scraps) -> None:
    there = []
    for weight in (0.0, 0.02, 0.1, 0.3, 0.8):
        scraps.set(afloat(3, weight), 7)
        there.append(np.abs(drawn(ctx, scraps, 20.0) - round(0.3**0.5 * 255)).mean())
    assert there[0] == 0.0 and there == sorted(there) and there[-1] > 1.0
    frames = []
    for k in range(40):  # the weight and the character of the motion change on the way
        weights = [min(k / 30, 1.0), max(1.0 - k / 30, 0.0), 0.5]
        scraps.set([Afloat(40 + n, WORDS[n], 0, w) for n, w in enumerate(weights)], 7)
        frames.append(drawn(ctx, scraps, 20.0 + k / 30, walk_pedesis=k / 40))
    steps = [np.abs(a - b).mean() for a, b in itertools.pairwise(frames)]
    assert max(steps) < 1.6


def test_the_amount_makes_them_more_and_plainer(ctx: moderngl.Context, scraps: Scraps) -> None:
    scraps.set([Afloat(n, word, 0, 0.9 / (n + 1) ** 1.6) for n, word in enumerate(WORDS)], 7)
    counts, cover = [], []
    for amount in (0.05, 0.3, 1.0):
        cover.append(np.abs(drawn(ctx, scraps, 5.0, pulp_scraps=amount) - round(0.3**0.5 * 255)).mean())
        counts.append(scraps.drawn)
    assert counts == sorted(counts) and counts[0] >= 1 and counts[2] > counts[0] and cover == sorted(cover)


def test_the_heaviest_are_drawn_where_there_are_too_many(ctx: moderngl.Context, scraps: Scraps) -> None:
    scraps.set([Afloat(n, f"word {n}", n, n / 1000) for n in range(1000)], 7)
    drawn(ctx, scraps, 5.0)
    assert scraps.drawn == MOST
    for k in range(4):  # and texts that come later find room
        scraps.set([Afloat(n, f"later {k} {n}", n, 0.9) for n in range(MOST)], 7)
        drawn(ctx, scraps, 5.0)
        assert scraps.drawn == MOST


@pytest.mark.parametrize("grey", [0.0, 0.05, 0.4, 1.0])
def test_type_can_be_read_on_any_picture(ctx: moderngl.Context, scraps: Scraps, grey: float) -> None:
    scraps.set([Afloat(40, "torn printed paper", 0, 1.0)], 7)
    pixels = drawn(ctx, scraps, 9.0, grey, size=(1280, 720))
    # The middle of the one scrap: 98 of 100 are paper or ink.
    rows, columns = np.nonzero(np.abs(pixels - round(grey**0.5 * 255)).max(axis=2) > 40)
    top, left = int(np.median(rows)), int(np.median(columns))
    part = ((pixels[top - 12 : top + 12, left - 60 : left + 60].mean(axis=2) / 255 + 0.055) / 1.055) ** 2.4
    paper, ink = np.percentile(part, 75), np.percentile(part, 2)
    assert (paper + 0.05) / (ink + 0.05) > 3.5


def test_a_blackout_darkens_them_too(ctx: moderngl.Context, scraps: Scraps) -> None:
    whole, half = drawn(ctx, scraps, 9.0, fade=1.0), drawn(ctx, scraps, 9.0, fade=0.5)
    assert half.max() < 0.8 * whole.max()
    assert not changed(drawn(ctx, scraps, 9.0, fade=0.0)).any()


def test_none_drifts_where_the_caption_is(ctx: moderngl.Context, scraps: Scraps) -> None:
    scraps.set(afloat(10), 7)
    for time_s in (3.0, 33.0, 66.0, 99.0):
        pixels = drawn(ctx, scraps, time_s, clear=Zone(0.0, 160.0, 50.0, 1.0))
        assert changed(pixels)[132:, :140].mean() < 0.05


@pytest.mark.parametrize("size", [(16, 16), (180, 320), (64, 1000)])
def test_any_size_of_picture(ctx: moderngl.Context, scraps: Scraps, size: tuple[int, int]) -> None:
    assert drawn(ctx, scraps, 3.0, size=size).shape == (size[1], size[0], 3)


def test_what_no_font_has_is_left_out_and_told_once(
    ctx: moderngl.Context, shaders: Shaders, caplog: pytest.LogCaptureFixture
) -> None:
    scraps = Scraps(ctx, shaders, at_once=True, fonts=Fonts([]))
    scraps.set([*afloat(2), Afloat(1, "云中", 0, 1.0), Afloat(2, "半隐", 0, 1.0), Afloat(3, "", 0, 1.0)], 7)
    for k in range(4):
        drawn(ctx, scraps, k / 3)
    assert scraps.drawn == 2
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 2 and "Chinese" in told[0]


def test_type_is_never_set_on_the_thread_that_draws(
    ctx: moderngl.Context, shaders: Shaders, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, make = set(), module.make_tile

    def noted(*given: Any) -> np.ndarray:
        threads.add(threading.get_ident())
        return make(*given)

    monkeypatch.setattr(module, "make_tile", noted)
    scraps = Scraps(ctx, shaders)
    scraps.set(afloat(), 7)
    until = time.monotonic() + 30
    k = 0
    while scraps.drawn < 8 and time.monotonic() < until:
        drawn(ctx, scraps, k / 10)
        k += 1
        time.sleep(0.01)
    scraps.close()
    assert scraps.drawn == 8 and threads and threading.get_ident() not in threads


def test_drift_is_slow_or_restless_as_the_walk_is() -> None:
    drift, numbers = Drift(7), list(range(60))

    def path(pedesis: float) -> np.ndarray:
        return np.array([drift.places(numbers, k / 10, pedesis) for k in range(200)])

    for pedesis in (0.0, 1.0):
        assert (path(pedesis)[..., :2] > 0.0).all() and (path(pedesis)[..., :2] < 1.0).all()
        assert np.abs(np.diff(path(pedesis)[..., :2], axis=0)).max() < 0.03, "no leaps"
    rough, smooth = (np.abs(np.diff(path(p)[..., 0], n=2, axis=0)).mean() for p in (1.0, 0.0))
    assert rough > 3 * smooth
    assert np.array_equal(Drift(7).places([5], 12.0, 0.3), drift.places([5], 12.0, 0.3))


def test_they_nudge_one_another_apart() -> None:
    rng = np.random.default_rng(3)
    middles, halves = rng.uniform(0, 1, (16, 2)) * (1280, 720), np.full((16, 2), (110.0, 36.0))

    def overlaps(at: np.ndarray) -> int:
        way = np.abs(at[:, None] - at[None]) / (2 * halves[0])
        return int(((way < 0.8).all(axis=2)).sum() - 16) // 2

    free = apart(middles, halves, np.ones(16), (1280, 720))
    assert overlaps(middles) >= 3 and overlaps(free) == 0
    assert np.array_equal(apart(middles, halves, np.zeros(16), (4000, 4000)), np.clip(middles, 0.86 * halves, None))


def test_a_scrap_is_whole_paper_with_a_torn_edge() -> None:
    ink = np.zeros((20, 120), np.uint8)
    ink[5:15, 10:110:7] = 255
    scrap, again, other = (make_scrap(ink, 18, seed).tile for seed in (5, 5, 6))
    assert np.array_equal(scrap, again) and not np.array_equal(scrap, other)
    words, paper = scrap[..., 0].astype(float), scrap[..., 1]
    assert words[paper < 200].max() < 40, "no word lies beside the paper"
    assert words.sum() > 0.8 * ink.sum(), "and none is torn away"
    assert paper[[0, -1]].max() == paper[:, [0, -1]].max() == 0, "nothing is cut off at the tile's edge"


def test_a_broken_shader_shows_plain_scraps(ctx: moderngl.Context, tmp_path: Path) -> None:
    shutil.copytree(shaders_dir(), tmp_path / "shaders")
    file = tmp_path / "shaders" / "scraps.frag"
    file.write_text(file.read_text().replace("v_paper *", "v_papper *"))
    shaders = Shaders(ctx, tmp_path / "shaders")
    scraps = Scraps(ctx, shaders, at_once=True)
    scraps.set(afloat(), 7)
    assert changed(drawn(ctx, scraps, 9.0)).mean() > 0.04 and len(shaders.errors) == 1
