"""The docent: its pages drawn for real, with the show's own figures, and pictures that are dreamt beside the show."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import moderngl
import numpy as np
import pytest

from engine.dreamer.messages import Sketched
from engine.dreamer.spec import Keyframe, Numbers
from engine.play.docent import BETWEEN, Docent
from engine.play.shows import load_show
from engine.show.config import Show
from engine.stage.blend import Between, Picture
from engine.stage.docent import SHOWN, Seen
from engine.stage.docent_params import STEPS
from engine.stage.gl import make_target, read_pixels
from engine.stage.shaders import Shaders
from engine.walk.palette import Palette
from engine.walk.waypoint import Point, Waypoint
from tests.stage.values import DEFAULTS

SIZE = (480, 270)
OFF = DEFAULTS | {"docent.map": "off"}


@dataclass
class Dreams:
    """A dreamer that answers one question at a time, in grey."""

    asked: list[tuple[int, Waypoint, bool]] = field(default_factory=list)
    calls: int = 4
    _answers: list[Sketched] = field(default_factory=list)

    def sketch(self, number: int, waypoint: Waypoint, steps: bool = False) -> bool:
        self.asked.append((number, waypoint, steps))
        grey = round(255 * waypoint.weights[0])
        small = tuple(
            np.full((36, 64, 3), grey, np.uint8) for _ in range(self.calls + 1 if steps and self.calls else 1)
        )
        self._answers.append(Sketched(number, small, self.calls if steps else 0))
        return True

    def take_sketched(self) -> list[Sketched]:
        taken, self._answers = self._answers, []
        return taken


@pytest.fixture(scope="module")
def show() -> Show:
    return load_show("house")


def keyframe(show: Show, phase: float = 0.0) -> tuple[Keyframe, dict[str, Palette]]:
    palette = Palette.of([material.prompt for material in show.materials])
    weights = tuple(1.0 if n == 1 else 0.0 for n in range(len(show.materials)))
    waypoint = Waypoint(0.0, 0, (Point(7, phase, 0.1, 1.0),), weights, palette=palette.id)
    random = np.random.Generator(np.random.PCG64(round(100 * phase)))
    pixels = random.integers(0, 255, (256, 448, 3), np.uint8)
    numbers = random.integers(0, 255, (2, 4, 32, 56), np.uint8)
    return Keyframe(waypoint, pixels, 0, 0.1, Numbers(numbers[0], numbers[1])), {palette.id: palette}


def docent_of(ctx: moderngl.Context, shaders: Shaders, show: Show) -> Docent:
    docent = Docent(ctx, shaders, show, wait=True)
    frame, palettes = keyframe(show)
    docent.follow(frame, palettes, 0.0)
    texture = ctx.texture((448, 256), 3, frame.pixels.tobytes(), alignment=1)
    assert frame.numbers is not None
    docent.seen = Seen(Picture(texture, texture, 0.0, True), Between(frame.numbers, frame.numbers, 0.0, 0))
    return docent


def watch(
    ctx: moderngl.Context, docent: Docent, dreams: Dreams, step: str, seconds: Sequence[float], values: dict = OFF
) -> np.ndarray:
    """(H, W, 3) of the last of these moments, over a grey program."""
    target = make_target(ctx, SIZE, "f1")
    for now_s in seconds:
        while True:
            docent.step(dreams, None, step)
            if not docent.is_waiting:
                break
        target.framebuffer.clear(0.5, 0.5, 0.5, 1.0)
        docent.draw(target.framebuffer, values, now_s, step)
    return read_pixels(target.framebuffer).astype(int)


MOMENTS = [0.2 * k for k in range(9)]


@pytest.mark.parametrize("step", STEPS)
def test_every_step_has_a_page_that_can_be_read(ctx: moderngl.Context, shaders: Shaders, show: Show, step: str) -> None:
    docent, dreams = docent_of(ctx, shaders, show), Dreams()
    shown = watch(ctx, docent, dreams, step, MOMENTS)
    words = shown[round(0.72 * SIZE[1]) : round(0.96 * SIZE[1])]
    assert (words > 215).all(2).mean() > 0.01 and (words < 90).all(2).mean() > 0.2, "light words on the dark"
    upper = shown[: SIZE[1] // 3]
    assert ((np.abs(upper - 128).max(2) <= 1).mean() > 0.95) == (step in SHOWN), (
        "the show is seen where it is spoken of"
    )


def test_the_page_goes_as_it_came_and_then_costs_nothing(
    ctx: moderngl.Context, shaders: Shaders, show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    docent, dreams = docent_of(ctx, shaders, show), Dreams()
    watch(ctx, docent, dreams, "few", MOMENTS)
    gone = watch(ctx, docent, dreams, "", [2.0 + 0.2 * k for k in range(9)])
    assert np.abs(gone - 128).max() <= 1
    asked = len(dreams.asked)
    with monkeypatch.context() as patch:
        patch.setattr(Shaders, "native", lambda *given: pytest.fail("something was drawn"))
        watch(ctx, docent, dreams, "", [5.0, 5.1])
    assert len(dreams.asked) == asked == 0


def test_the_figures_are_the_shows_own(ctx: moderngl.Context, shaders: Shaders, show: Show) -> None:
    docent = docent_of(ctx, shaders, show)
    many, few = docent.page("many"), docent.page("few")
    assert "344,064" in many.text and many.patch is not None and many.patch.pixels.shape == (5, 8, 3)
    assert "7,168" in few.text and "48 times" in few.text and few.labels == ("344,064 numbers", "7,168 numbers")
    left, top, width, height = many.patch.crop
    frame, _ = keyframe(show)
    x, y = round(left * 448), round(top * 256)
    assert np.array_equal(frame.pixels[y : y + round(height * 256), x : x + round(width * 448)], many.patch.pixels)


@pytest.mark.parametrize(("calls", "said", "pictures"), [(4, "4 times", 5), (1, "only once", 2), (0, "to itself", 1)])
def test_models_of_many_steps_of_one_and_of_none_are_told_of_as_they_are(
    ctx: moderngl.Context, shaders: Shaders, show: Show, calls: int, said: str, pictures: int
) -> None:
    docent, dreams = docent_of(ctx, shaders, show), Dreams(calls=calls)
    docent.step(dreams, None, "guesses")
    docent.step(dreams, None, "guesses")
    page = docent.page("guesses")
    assert said in page.text and len(page.row) == len(page.labels) == pictures
    assert dreams.asked[0][2] and len(dreams.asked) == 1


def test_between_two_places_lie_pictures_on_the_straight_way(
    ctx: moderngl.Context, shaders: Shaders, show: Show
) -> None:
    docent, dreams = docent_of(ctx, shaders, show), Dreams()
    for _ in range(BETWEEN + 1):
        docent.step(dreams, None, "between")
    assert not docent.is_waiting and len(dreams.asked) == BETWEEN
    page = docent.page("between")
    assert all(picture is not None for picture in page.row)
    assert page.labels[0] == show.materials[1].prompt and page.labels[-1] in [m.prompt for m in show.materials]
    ways = [waypoint for _, waypoint, _ in dreams.asked]
    assert ways[0].weights[1] == 1.0 and ways[1].weights[1] == 0.0, "the two ends come first"
    assert len({waypoint.points for waypoint in ways}) == 1
    assert [round(w.weights[1], 2) for w in ways[2:]] == [0.83, 0.67, 0.5, 0.33, 0.17]
    docent.step(dreams, None, "map")
    docent.step(dreams, None, "between")
    assert docent.page("between").row_number != page.row_number, "another time, another row"


def test_a_show_with_one_material_goes_from_one_noise_to_another(
    ctx: moderngl.Context, shaders: Shaders, tmp_path: Path
) -> None:
    (tmp_path / "one.toml").write_text('[[material]]\nname = "sky"\nprompt = "an evening sky"\n')
    show = load_show(tmp_path / "one.toml")
    docent, dreams = docent_of_one(ctx, shaders, show), Dreams()
    for _ in range(BETWEEN + 1):
        docent.step(dreams, None, "between")
    assert len({waypoint.points for _, waypoint, _ in dreams.asked}) == BETWEEN


def docent_of_one(ctx: moderngl.Context, shaders: Shaders, show: Show) -> Docent:
    docent = Docent(ctx, shaders, show, wait=True)
    frame, _ = keyframe(load_show("house"))
    palette = Palette.of([show.materials[0].prompt])
    waypoint = Waypoint(0.0, 0, (Point(7, 0.0, 0.1, 1.0),), (1.0,), palette=palette.id)
    docent.follow(Keyframe(waypoint, frame.pixels, 0, 0.1), {palette.id: palette}, 0.0)
    return docent


def test_the_map_shows_the_path_of_a_show_without_a_bank(ctx: moderngl.Context, shaders: Shaders, show: Show) -> None:
    docent, dreams = docent_of(ctx, shaders, show), Dreams()
    for n in range(40):
        frame, palettes = keyframe(show, n / 10)
        docent.follow(frame, palettes, 0.5 + 0.5 * n)
    full = OFF | {"docent.map": "full"}
    shown = watch(ctx, docent, dreams, "", [0.1 * k for k in range(30)], full)
    assert not docent.view.map.is_empty and shown.max() > 150 and np.median(shown) < 40
    inset = watch(ctx, docent, dreams, "", [3.0 + 0.1 * k for k in range(30)], OFF | {"docent.map": "inset"})
    changed = np.abs(inset - 128).max(2) > 2
    assert 0.05 < changed.mean() < 0.2 and changed[: SIZE[1] // 2, SIZE[0] // 2 :].mean() > 0.25
    off = watch(ctx, docent, dreams, "", [6.0 + 0.1 * k for k in range(30)])
    assert np.abs(off - 128).max() <= 1


def test_a_language_file_with_a_step_missing_says_that_one_in_english(
    ctx: moderngl.Context, shaders: Shaders, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "docent").mkdir()
    (tmp_path / "docent" / "de.toml").write_text('[steps]\nmany = "Dieses Bild besteht aus {pixels} Zahlen."\n')
    (tmp_path / "mine.toml").write_text('[[material]]\nname = "sky"\nprompt = "sky"\n[docent]\nlanguage = "de"\n')
    docent = Docent(ctx, shaders, load_show(tmp_path / "mine.toml"), wait=True)
    assert docent.page("many").text.startswith("Dieses Bild")
    assert docent.page("noise").text.startswith("It begins with noise")
    assert docent.page("noise") and caplog.text.count("de.toml lacks") == 1
