"""Help over the picture."""


import moderngl
import numpy as np
import pytest

from engine.stage.gl import make_target, read_pixels
from engine.stage.overlay import Overlay, draw_panel
from engine.stage.shaders import Shaders

LINES = ["PEDESIS   F full-screen  H help", "stage  60.0 fps", ""] + [
    f"/walk/number{k:<18} 0.{k:03d} s" for k in range(24)
]


@pytest.mark.parametrize("size", [(1280, 720), (640, 360), (720, 1280), (3840, 2160), (16, 16), (1, 1)])
def test_panel_fits_whatever_the_size(size: tuple[int, int]) -> None:
    panel, _ = draw_panel(LINES, size)
    assert panel.shape[1] <= size[0] and panel.shape[0] <= size[1]
    assert panel.dtype == np.uint8
    assert (panel[..., :3] <= panel[..., 3:]).all()  # alpha is multiplied in
    if min(size) >= 360:
        assert panel[..., 0].max() > 200  # there are words
        last = panel[-int(panel.shape[0] * 0.12) :, ..., 0]
        assert last.max() > 150  # down to the last line


@pytest.mark.parametrize("size", [(1080, 1920), (480, 800), (1280, 1280), (720, 1280), (640, 360), (1280, 720)])
@pytest.mark.parametrize("more", [0, 16])
def test_the_text_keeps_to_the_width_and_to_its_size(size: tuple[int, int], more: int) -> None:
    heading = "PEDESIS   F full-screen  SPACE pause  B blackout  S still  H help  ESC leave"
    lines = [heading, "stage  60.0 fps", *LINES[2:]]
    lines += [f"/material/a_rather_long_material_{k}  0.123" for k in range(more)]
    panel, pen = draw_panel(lines, size)
    assert panel.shape[1] <= size[0]
    edge = panel[:, -pen.font_px // 2 :, 0]
    assert edge.max() < 30, "words run off the right edge"
    pens = [pen]
    for n in range(4):  # numbers change, the size does not
        pens.append(draw_panel([*lines[:-1], lines[-1].replace("0.", f"{n}.")], size, pens[-1])[1])
    assert pens[-1] is pens[-2] and abs(pens[-1].font_px - pen.font_px) <= 1


def test_long_lists_go_into_columns_before_they_are_too_small_to_read() -> None:
    many = LINES + [f"/material/m{k}  1.000" for k in range(60)]
    panel, pen = draw_panel(many, (1280, 720))
    assert pen.font_px >= 10
    assert panel.shape[1] > draw_panel(LINES, (1280, 720))[0].shape[1]


def test_nothing_is_drawn_until_it_is_asked_for(ctx: moderngl.Context) -> None:
    target = make_target(ctx, (320, 180), "f1")
    overlay = Overlay(ctx, Shaders(ctx))
    overlay.render(target.framebuffer)
    overlay.set_lines(LINES)
    overlay.render(target.framebuffer)
    assert read_pixels(target.framebuffer).max() == 0
    overlay.visible = True
    overlay.render(target.framebuffer)
    assert read_pixels(target.framebuffer).max() > 150


def test_upper_left_upright_and_the_picture_shines_through(ctx: moderngl.Context) -> None:
    target = make_target(ctx, (1280, 720), "f1")
    target.framebuffer.clear(0.0, 0.0, 1.0, 1.0)
    overlay = Overlay(ctx, Shaders(ctx))
    overlay.visible = True
    overlay.set_lines(["A heading", "/walk/speed  0.12"])
    overlay.render(target.framebuffer)
    shown = read_pixels(target.framebuffer)
    panel, _ = draw_panel(["A heading", "/walk/speed  0.12"], (1280, 720))
    high, wide = panel.shape[:2]
    part = shown[18 : 18 + high, 18 : 18 + wide].astype(int)
    expected = panel[..., :3] + np.array([0, 0, 255]) * (255 - panel[..., 3:].astype(int)) // 255
    assert np.abs(part - expected).max() <= 1
    assert (shown[400:] == [0, 0, 255]).all() and (shown[:, 700:] == [0, 0, 255]).all()
    assert target.framebuffer.viewport == (0, 0, 1280, 720)


def test_it_is_drawn_anew_only_when_it_changes(ctx: moderngl.Context, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(
        "engine.stage.overlay.draw_panel", lambda *a: drawn.append(a[0]) or draw_panel(a[0], a[1], a[2])
    )
    target = make_target(ctx, (320, 180), "f1")
    overlay = Overlay(ctx, Shaders(ctx))
    overlay.visible = True
    for lines in (LINES, LINES, LINES[:-1], LINES[:-1]):
        overlay.set_lines(lines)
        overlay.render(target.framebuffer)
    assert len(drawn) == 2
