"""The bank seen: shelves of lit spheres, drawn for real."""

import itertools
import os
import shutil
from pathlib import Path
from typing import Any

import moderngl
import numpy as np
import pytest

from engine.show.paths import shaders_dir
from engine.stage.atlas import Atlas, squared
from engine.stage.blend import Picture
from engine.stage.gl import Pass, make_target, read_pixels
from engine.stage.look import Look
from engine.stage.shaders import Shaders
from engine.stage.shelves import UPLOADS, WAITING, Shelves
from engine.stage.shelving import AISLE, BOARDS, MOST, PITCH, SPHERE, Shelving, boards_of, height_of, slots
from tests.stage.values import DEFAULTS

SCREEN = (160, 90)
ON: dict[str, float | bool] = {"memory.view": 1.0}


def bank(count: int, kinds: int = 4, strength: float = 0.8) -> np.ndarray:
    spheres = np.zeros(count, SPHERE)
    spheres["id"] = np.arange(count) * 3 + 5
    spheres["kind"] = np.arange(count) % kinds
    spheres["place"] = np.arange(count) // kinds
    spheres["strength"] = strength
    return spheres


def thumbnail(colour: tuple[int, int, int] = (220, 120, 30)) -> np.ndarray:
    return np.full((64, 64, 3), colour, np.uint8)


def live(ctx: moderngl.Context, colour: tuple[float, float, float] | None = (0.2, 0.5, 0.3)) -> Picture:
    """What the blend gives; None: something with forms in it."""
    target = make_target(ctx, (128, 72))
    if colour is not None:
        target.framebuffer.clear(*colour, 1.0)
    else:
        y, x = np.mgrid[0:72, 0:128] / 72
        light = 0.4 + 0.3 * np.stack([np.sin(7 * x + 3 * y), np.sin(5 * y - 2 * x), np.cos(6 * x * y)], -1)
        rgba = np.ones((72, 128, 4), np.float16)
        rgba[..., :3] = light
        target.texture.write(rgba.tobytes())
    return Picture.of(target)


def linear(picture: Picture) -> np.ndarray:
    """(H, W, 3) linear light, top row first."""
    data = np.frombuffer(picture.a.read(), np.float16).reshape(picture.size[1], picture.size[0], 4)
    return data[::-1, :, :3].astype(float)


def fill(shelves: Shelves, colour: tuple[int, int, int] = (220, 120, 30)) -> None:
    for memory in shelves.wanted:
        shelves.put_thumbnail(memory, thumbnail(colour))


def watch(
    shelves: Shelves, picture: Picture, start_s: float, frames: int, screen: tuple[int, int] = SCREEN, **more: float
) -> Picture:
    """Some frames, and a bank that gives every thumbnail that is asked for."""
    values = DEFAULTS | ON | {name.replace("_", ".", 1): value for name, value in more.items()}
    shown = picture
    for k in range(frames):
        shown = shelves.render(picture, start_s + k / 10, values, screen)
        fill(shelves)
    return shown


def test_at_rest_the_picture_is_handed_on_and_nothing_is_made(
    ctx: moderngl.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    shaders = Shaders(ctx)
    made: list[str] = []
    for name in ("texture", "buffer", "framebuffer", "program", "vertex_array"):
        monkeypatch.setattr(moderngl.Context, name, lambda *a, name=name, **k: made.append(name), raising=True)
    shelves, picture = Shelves(ctx, shaders), Picture(None, None, 0.0, True)  # type: ignore[arg-type]
    shelves.set(bank(1000))
    for k in range(5):
        assert shelves.render(picture, k / 60, DEFAULTS | {"memory.view": 0.0}, SCREEN) is picture
        shelves.put_thumbnail(5, thumbnail())
        shelves.enter(5)
    assert made == [] and shelves.wanted == []


def test_all_spheres_are_one_call(ctx: moderngl.Context, shaders: Shaders, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Pass, tuple[int, int] | None]] = []
    render = Pass.render

    def counted(self: Pass, *given: Any, **named: Any) -> None:
        calls.append((self, given[3] if len(given) > 3 else named.get("strip")))
        render(self, *given, **named)

    shelves = Shelves(ctx, shaders)
    shelves.set(bank(3000))
    monkeypatch.setattr(Pass, "render", counted)
    watch(shelves, live(ctx), 0.0, 2)
    calls.clear()
    watch(shelves, live(ctx), 1.0, 1)
    spheres = [strip for shader, strip in calls if shader is shaders.native("shelves.frag")]
    assert len(spheres) == 1 and spheres[0] is not None and spheres[0][1] > shelves.drawn > 200


def test_without_colour_everything_is_grey(ctx: moderngl.Context, shaders: Shaders) -> None:
    shelves = Shelves(ctx, shaders)
    shelves.set(bank(200))
    coloured = linear(watch(shelves, live(ctx, (0.6, 0.1, 0.1)), 0.0, 40))
    assert np.ptp(coloured, axis=2).max() > 0.1
    grey = linear(watch(shelves, live(ctx, (0.6, 0.1, 0.1)), 4.0, 2, memory_colour=0.0))
    assert np.ptp(grey, axis=2).max() < 0.004 and grey.max() > 0.1


def test_a_fading_memory_is_dimmer(ctx: moderngl.Context, shaders: Shaders) -> None:
    light = []
    for strength in (0.0, 0.25, 0.5, 1.0):
        shelves = Shelves(ctx, shaders)
        shelves.set(bank(200, strength=strength))
        light.append(linear(watch(shelves, live(ctx, (0.0, 0.0, 0.0)), 0.0, 40)).mean())
    assert light == sorted(light) and light[3] > 3 * light[0]
    assert light[0] > 0.001, "and never quite gone"


@pytest.mark.parametrize("screen", [(320, 180), (180, 320), (200, 200), (400, 100)], ids=str)
@pytest.mark.parametrize("fit", ["cover", "letterbox"])
@pytest.mark.parametrize("entered", [None, 50])
def test_the_picture_fills_the_frame_as_one_goes_in_without_a_step(
    ctx: moderngl.Context, shaders: Shaders, screen: tuple[int, int], fit: str, entered: int | None
) -> None:
    shelves, look, target = Shelves(ctx, shaders, fit), Look(ctx, shaders, fit), make_target(ctx, screen, "f1")
    shelves.set(bank(200))
    shelves.enter(entered)
    picture, frames = live(ctx, None), []
    for view in (0.0, 0.0045, 0.01, 0.02):
        values = DEFAULTS | {"memory.view": view, "look.grain": 0.0}
        look.render(shelves.render(picture, 9.0, values, screen), target.framebuffer, values, 9.0)
        frames.append(read_pixels(target.framebuffer).astype(float))
    assert np.abs(frames[1] - frames[0]).max() < 8 and np.abs(frames[1] - frames[0]).mean() < 1.2
    for a, b in itertools.pairwise(frames[1:]):
        assert np.abs(a - b).mean() < 4.0


def test_the_way_out_and_back_has_no_jump(ctx: moderngl.Context, shaders: Shaders) -> None:
    shelves, picture = Shelves(ctx, shaders), live(ctx, None)
    shelves.set(bank(120))
    watch(shelves, picture, 0.0, 40)
    steps: list[float] = []
    before: np.ndarray | None = None
    for k in range(120):
        view = 0.5 - 0.5 * np.cos(2 * np.pi * (k + 1) / 121)
        shown = linear(shelves.render(picture, 4.0 + k / 30, DEFAULTS | {"memory.view": view}, SCREEN))
        shown = np.minimum(shown, 1.0)
        if before is not None and before.shape == shown.shape:
            steps.append(float(np.abs(shown - before).mean()))
        before = shown
    assert len(steps) > 100 and max(steps) < 0.09


@pytest.mark.parametrize("screen", [(16, 16), (1, 1), (3000, 40), (40, 3000), (7680, 4320), (33, 71)], ids=str)
def test_any_window_is_drawn(ctx: moderngl.Context, shaders: Shaders, screen: tuple[int, int]) -> None:
    shelves = Shelves(ctx, shaders)
    shelves.set(bank(60))
    for view in (0.2, 1.0):
        shown = watch(shelves, live(ctx), 0.0, 2, screen, memory_view=view)
        assert np.isfinite(linear(shown)).all() and min(shown.size) >= 16
        assert shown.size[0] <= 16384 and shown.size[0] * shown.size[1] < 4_000_000
    assert shelves.drawn > 0


@pytest.mark.parametrize("count", [None, 0, 1, 2])  # None: nobody ever told what is in it
def test_an_empty_bank_is_a_dark_hall_with_the_present_in_it(
    ctx: moderngl.Context, shaders: Shaders, count: int | None
) -> None:
    shelves = Shelves(ctx, shaders)
    if count is not None:
        shelves.set(bank(count))
    shown = linear(watch(shelves, live(ctx, (0.9, 0.2, 0.2)), 0.0, 4, memory_view=0.6))
    assert shown[..., 0].max() > 0.3 and np.median(shown) < 0.1


def test_few_thumbnails_are_taken_in_a_frame_and_few_wait(
    ctx: moderngl.Context, shaders: Shaders, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    put = Atlas.put

    def counted(self: Atlas, index: int, rgb: np.ndarray, fine: bool) -> np.ndarray:
        taken.append(index)
        return put(self, index, rgb, fine)

    monkeypatch.setattr(Atlas, "put", counted)
    shelves, picture = Shelves(ctx, shaders), live(ctx)
    spheres = bank(500)
    shelves.set(spheres)
    for memory in spheres["id"].tolist():
        shelves.put_thumbnail(memory, thumbnail())
    for k in range(WAITING):
        before = len(taken)
        shelves.render(picture, k / 60, DEFAULTS | ON, SCREEN)
        assert len(taken) - before <= UPLOADS
    assert len(taken) == WAITING
    shelves.put_thumbnail(10**9, thumbnail())  # forgotten meanwhile
    shelves.render(picture, 9.0, DEFAULTS | ON, SCREEN)


def test_each_picture_is_asked_for_once_and_again_when_it_never_comes(ctx: moderngl.Context, shaders: Shaders) -> None:
    shelves, picture = Shelves(ctx, shaders), live(ctx)
    shelves.set(bank(400))
    asked: list[int] = []
    for k in range(40):
        shelves.render(picture, k / 30, DEFAULTS | ON | {"memory.glide": 0.0}, SCREEN)
        asked += shelves.wanted
    assert len(asked) == len(set(asked)) and 0 < len(asked) <= WAITING
    shelves.render(picture, 10.0, DEFAULTS | ON | {"memory.glide": 0.0}, SCREEN)
    assert set(shelves.wanted) & set(asked)


def test_more_memories_than_places_in_the_atlas_come_and_go(ctx: moderngl.Context) -> None:
    atlas = Atlas(ctx)
    fine, coarse = atlas.room
    atlas.renumber(np.full(coarse + 500, -1))
    everyone = np.arange(coarse + 500)
    for index in everyone.tolist():
        atlas.next_frame()
        atlas.put(index, thumbnail((index % 256, 0, 0)), fine=True)
    for size, most in ((True, fine), (False, coarse)):
        missing = atlas.use(everyone, size)
        assert len(everyone) - len(missing) == most and missing.max() < everyone[-1]  # the oldest went
    rects = atlas.rect(everyone[-fine:], np.ones(fine, bool))
    assert len({tuple(row) for row in rects[:, :2].tolist()}) == fine, "no two share a place"
    atlas.put(0, thumbnail(), fine=True)
    assert len(atlas.use(everyone, True)) == len(everyone) - fine, "what is on screen keeps its place"
    atlas.release()


def test_a_thumbnail_of_any_shape_is_squared() -> None:
    for height, width in ((128, 128), (32, 32), (1, 1), (72, 128), (128, 72), (300, 7), (257, 511)):
        rgb = np.full((height, width, 3), (10, 200, 90), np.uint8)
        for side in (32, 128):
            assert squared(rgb, side).shape == (side, side, 3)
            assert (squared(rgb, side) == (10, 200, 90)).all()
    ramp = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (256, 1, 3))
    np.testing.assert_allclose(squared(ramp, 32)[0, :, 0], np.arange(32) * 8 + 4, atol=1)


@pytest.mark.parametrize(
    "rgb",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8)],
)
def test_what_is_no_thumbnail_is_refused(ctx: moderngl.Context, shaders: Shaders, rgb: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must be"):
        Shelves(ctx, shaders).put_thumbnail(5, rgb)


def test_the_same_times_give_the_same_bytes(ctx: moderngl.Context) -> None:
    def run() -> list[bytes]:
        shelves, picture = Shelves(ctx, Shaders(ctx)), live(ctx, None)
        shelves.set(bank(300))
        frames = [watch(shelves, picture, k / 2, 3).a.read() for k in range(4)]
        shelves.set(bank(340))
        shelves.enter(5)
        return frames + [watch(shelves, picture, 3.0 + k, 2, memory_view=0.5).a.read() for k in range(3)]

    assert run() == run()


def test_new_memories_roll_to_their_places_and_the_others_stay() -> None:
    shelving = Shelving()
    shelving.arrange(bank(80), 0.0)
    stood = dict(zip(shelving.ids.tolist(), shelving.at.copy(), strict=True))
    more = np.append(bank(80), np.array([(9999, 1, 999.0, 1.0, (0, 0, 0))], SPHERE))
    shelving.arrange(more, 10.0)
    new = shelving.index(9999)
    assert new is not None
    ways, turns = [], []
    for k in range(100):
        shelving.move(10.0 + k / 10)
        ways.append(shelving.at[new].copy())
        turns.append(float(shelving.rolled[new]))
    steps = np.linalg.norm(np.diff(ways, axis=0), axis=1)
    assert steps.sum() > 3.0 and steps.max() < 4.0 and steps[-1] == 0.0 and turns[-1] > 1.0
    assert abs(abs(float(shelving.at[new, 1])) - AISLE) < 1e-4
    for memory, place in stood.items():
        assert np.array_equal(shelving.at[shelving.index(memory)], place)


def test_a_forgotten_memory_leaves_no_gap() -> None:
    shelving = Shelving()
    shelving.arrange(bank(40, kinds=1), 0.0)
    shelving.arrange(np.delete(bank(40, kinds=1), 7), 1.0)
    shelving.move(60.0)
    places = {tuple(np.round(place, 3)) for place in shelving.at.tolist()}
    columns = sorted({place[0] for place in places})
    assert len(places) == 39 and np.allclose(np.diff(columns), PITCH, atol=1e-3)


def test_every_kind_has_a_shelf_of_its_own_as_long_as_there_are_boards() -> None:
    for counts in ([1], [900, 3, 40], [800] * 12, [5] * 38, [1, 10_000]):
        boards = boards_of(np.array(counts))
        side, lowest = slots(boards)
        taken = [(s, b) for s, low, n in zip(side, lowest, boards, strict=True) for b in range(low, low + n)]
        assert len(taken) == len(set(taken)) and all(0 <= board < BOARDS for _, board in taken), counts
    assert abs(height_of(slots(boards_of(np.array([1])))[1])[0]) < 1.0, "the first is at eye level"
    many = Shelving()
    many.arrange(bank(300, kinds=100), 0.0)
    assert len(np.unique(np.round(many.at, 3), axis=0)) == 300, "kinds beyond the last shelf share one"


def test_of_very_many_memories_the_strongest_are_on_the_shelves() -> None:
    spheres = bank(MOST + 100)
    spheres["strength"] = np.linspace(0.0, 1.0, len(spheres))
    shelving = Shelving()
    shelving.arrange(spheres, 0.0)
    assert len(shelving.ids) == MOST and shelving.strength.min() >= spheres["strength"][99]


def test_a_memory_entered_while_away_is_travelled_to(ctx: moderngl.Context, shaders: Shaders) -> None:
    shelves, picture = Shelves(ctx, shaders), live(ctx, (0.9, 0.9, 0.2))
    shelves.set(bank(100))
    watch(shelves, picture, 0.0, 60)
    before = linear(watch(shelves, picture, 6.0, 1, memory_view=0.45, memory_glide=0.0))
    shelves.enter(5 + 3 * 60)
    after = linear(watch(shelves, picture, 6.05, 1, memory_view=0.45, memory_glide=0.0))
    assert np.abs(before - after).mean() < 0.02, "it sets out from where it was"
    later = linear(watch(shelves, picture, 6.1, 60, memory_view=0.45, memory_glide=0.0))
    assert np.abs(before - later).mean() > 0.01


def test_a_broken_shader_plays_plainly_and_is_repaired(
    ctx: moderngl.Context, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "shaders"
    shutil.copytree(shaders_dir(), folder)
    good = (folder / "shelves.vert").read_text()
    (folder / "shelves.vert").write_text(good.replace("v_p =", "v_q ="))
    shaders = Shaders(ctx, folder)
    shelves, picture = Shelves(ctx, shaders), live(ctx)
    shelves.set(bank(60))
    plain = linear(watch(shelves, picture, 0.0, 3))
    error = shaders.errors[0]
    assert (
        error.file == folder / "shelves.vert" and "v_q" in good.replace("v_p =", "v_q =").splitlines()[error.line - 1]
    )
    assert plain.max() > 0.02, "spheres all the same"
    (folder / "shelves.vert").write_text(good)
    os.utime(folder / "shelves.vert", ns=(10**18 * 2, 10**18 * 2))
    assert shaders.reload(100.0) == [] and shaders.errors == []
    assert np.abs(linear(watch(shelves, picture, 0.3, 3)) - plain).max() > 0.02
