"""Context, targets, passes and the reading of compilers' logs, on whatever GL the machine has."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import moderngl
import numpy as np
import pytest

from engine.stage import gl

HERE = Path("shader.frag")


def source(text: str) -> gl.Source:
    full = "#version 330 core\n" + text
    lines = len(full.splitlines())
    return gl.Source(full, tuple((HERE, max(n, 1)) for n in range(lines)))


def test_context_is_core_3_3_or_later(ctx: moderngl.Context) -> None:
    assert ctx.version_code >= 330


def test_while_it_waits_for_what_is_drawn_other_threads_run(ctx: moderngl.Context) -> None:
    slow = """out vec4 c;
        void main() { float x = gl_FragCoord.x; for (int i = 0; i < 300; i++) x = sin(x) + 1.5; c = vec4(x); }"""
    target, finish = gl.make_target(ctx, (512, 512)), gl.finisher(ctx)
    drawn = gl.Pass(ctx, source(slow))

    def others(wait: Callable[[], None]) -> int:
        """How often another thread had its turn in the meantime."""
        turns, over = 0, threading.Event()

        def run() -> None:
            nonlocal turns
            while not over.wait(0.0005):
                turns += 1

        thread = threading.Thread(target=run)
        thread.start()
        drawn.render(target.framebuffer)
        before = turns
        wait()
        during = turns - before
        over.set()
        thread.join()
        return during

    others(ctx.finish)  # compiled now
    assert gl.read_pixels(target.framebuffer).any()
    if not gl.is_software(ctx):
        pytest.skip("a GPU has this done before anybody can look")
    assert others(finish) >= 5
    assert others(ctx.finish) <= 2, "moderngl no longer holds the interpreter: finisher() is not needed any more"
    target.release()


def test_where_the_loader_cannot_be_had_moderngl_waits() -> None:
    class Other:
        mglo = None

        def finish(self) -> None: ...

    other = Other()
    assert gl.finisher(other) == other.finish  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("platform", "headless", "fault", "cure"),
    [
        ("linux", True, "libEGL.so not loaded", "EGL is missing; install it .*libegl1"),
        ("linux", True, "eglCreateContext failed (0x3009)", "update the graphics driver, or install.*libgl1-mesa-dri"),
        ("linux", True, "requested device index 0, but found 0 devices", "no graphics driver.*groups video and render"),
        ("linux", False, "Requested OpenGL version 330, got version 210", "update.*LIBGL_ALWAYS_SOFTWARE=1"),
        ("darwin", True, "no", "update the graphics driver"),
    ],
)
def test_no_graphics_is_one_sentence_with_the_cure(
    monkeypatch: pytest.MonkeyPatch, platform: str, headless: bool, fault: str, cure: str
) -> None:
    def refuse(**_: Any) -> None:
        raise Exception(fault)

    monkeypatch.setattr(moderngl, "create_context", refuse)
    monkeypatch.setattr(gl.sys, "platform", platform)
    with pytest.raises(gl.NoGraphics, match=cure) as caught:
        gl.create_context(headless=headless)
    said = str(caught.value)
    assert "\n" not in said and fault in said and "run with --headless" not in said, "there it is no better"


def test_the_next_device_is_tried_where_the_first_may_not_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = moderngl.create_context, []

    def some(**options: Any) -> moderngl.Context:
        asked.append(options.pop("device_index"))
        if asked[-1] == 0:
            raise Exception("eglInitialize failed (0x3001)")
        return real(**options)

    monkeypatch.setattr(moderngl, "create_context", some)
    gl.create_context(headless=True).release()
    assert asked == [0, 1]


def test_the_first_devices_fault_is_told_where_none_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    said = ["eglInitialize failed (0x3001)", "requested device index 1, but found 1 devices"]

    def none(**options: Any) -> None:
        raise Exception(said[options["device_index"]])

    monkeypatch.setattr(moderngl, "create_context", none)
    with pytest.raises(gl.NoGraphics, match=r"eglInitialize.*groups video and render"):
        gl.create_context(headless=True)


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_elsewhere_than_on_linux_there_is_no_egl(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(gl.sys, "platform", platform)
    monkeypatch.setattr(moderngl, "create_context", asked.update)
    gl.create_context(headless=True)
    assert asked == {"require": 330, "standalone": True}


def test_pass_draws_and_pixels_come_back_top_row_first(ctx: moderngl.Context) -> None:
    target = gl.make_target(ctx, (5, 3), "f1")
    shader = gl.Pass(ctx, source("in vec2 v_uv;\nout vec4 c;\nvoid main() { c = vec4(v_uv, 0.0, 1.0); }"))
    shader.render(target.framebuffer)
    pixels = gl.read_pixels(target.framebuffer)
    assert pixels.shape == (3, 5, 3)
    np.testing.assert_allclose(pixels[:, :, 0] / 255, np.tile((np.arange(5) + 0.5) / 5, (3, 1)), atol=0.003)
    np.testing.assert_allclose(pixels[:, 0, 1] / 255, (np.arange(3)[::-1] + 0.5) / 3, atol=0.003)


def test_uniforms_and_textures_by_name_and_unknown_ones_ignored(ctx: moderngl.Context) -> None:
    target = gl.make_target(ctx, (2, 2), "f1")
    red = ctx.texture((1, 1), 3, bytes([255, 0, 0]))
    blue = ctx.texture((1, 1), 3, bytes([0, 0, 255]))
    shader = gl.Pass(
        ctx,
        source(
            "uniform sampler2D a;\nuniform sampler2D b;\nuniform vec3 gain;\nout vec4 c;\n"
            "void main() { c = vec4((texture(a, vec2(0)) + texture(b, vec2(0))).rgb * gain, 1.0); }"
        ),
    )
    shader.render(target.framebuffer, {"gain": (1.0, 1.0, 0.5), "no_such": 3}, {"b": blue, "a": red})
    assert gl.read_pixels(target.framebuffer)[0, 0].tolist() in ([255, 0, 127], [255, 0, 128])


def test_compile_error_names_file_and_line_and_rebuild_keeps_the_old(ctx: moderngl.Context) -> None:
    target = gl.make_target(ctx, (1, 1), "f1")
    shader = gl.Pass(ctx, source("out vec4 c;\nvoid main() { c = vec4(1.0); }"))
    with pytest.raises(gl.ShaderError) as caught:
        shader.rebuild(source("out vec4 c;\nvoid main() {\n  c = vec4(nothing);\n}"))
    assert (caught.value.file, caught.value.line) == (HERE, 3)
    assert "nothing" in caught.value.message
    assert str(caught.value).startswith("shader.frag:3: ")
    shader.render(target.framebuffer)
    assert gl.read_pixels(target.framebuffer).min() == 255


@pytest.mark.parametrize(
    "log",
    [
        "GLSL Compiler failed\n\nfragment_shader\n===============\n0:4(3): error: oh no",
        "0(4) : error C1008: oh no",
        "ERROR: 0:4: oh no",
        "0:4(3): warning: never mind\n0:4(3): error: oh no\n0:5(1): error: later",
    ],
)
def test_every_drivers_log_is_read(log: str) -> None:
    error = gl.located(source("\n".join("abcdef")), log)
    assert error.line == 3
    assert error.message.endswith("oh no")


def test_a_log_with_no_line_is_told_whole() -> None:
    error = gl.located(source("void f();"), "GLSL Linker failed\n\n=====\nno main")
    assert "no main" in error.message


def test_blue_first_is_the_same_picture(ctx: moderngl.Context) -> None:
    """From red first to red first, and by the software renderer's shorter way, whose rounding is its own."""
    text = "in vec2 v_uv;\nout vec4 c;\nuniform sampler2D s;\nvoid main() { c = texture(s, v_uv); }"
    blow_up = gl.Pass(ctx, source(text))
    pixels = np.random.default_rng(3).integers(0, 256, (40, 64, 4), np.uint8)
    pixels[..., 2] //= 8  # little blue: red and blue exchanged would show
    drawn = []
    for lay in (lambda *_: None, gl.lay_blue_first):
        small, large = gl.make_target(ctx, (64, 40), "f1"), gl.make_target(ctx, (323, 181), "f1")
        for target in (small, large):
            lay(ctx, target.texture)
        small.texture.write(pixels.tobytes())
        assert np.array_equal(gl.read_pixels(small.framebuffer), pixels[::-1, :, :3])
        blow_up.render(large.framebuffer, textures={"s": small.texture})
        drawn.append(gl.read_pixels(large.framebuffer).astype(int))
        large.release()
        small.release()
    apart = np.abs(drawn[0] - drawn[1])
    assert apart.max() <= 4 and apart.mean() < 0.5  # of noise at full contrast


def test_without_moderngls_loader_textures_stay_as_they_are(ctx: moderngl.Context) -> None:
    class Other:
        mglo = None

    target = gl.make_target(ctx, (2, 2), "f1")
    target.texture.write(bytes(range(16)))
    gl.lay_blue_first(Other(), target.texture)  # type: ignore[arg-type]
    assert target.texture.read() == bytes(range(16))


def test_target_refuses_nothing_wide(ctx: moderngl.Context) -> None:
    with pytest.raises(ValueError, match="at least 1×1 pixels, got 0×4"):
        gl.make_target(ctx, (0, 4))


def test_field_is_even_and_seamless(ctx: moderngl.Context) -> None:
    texture = gl.make_field(ctx, 128)
    field = np.frombuffer(texture.read(), np.float16).reshape(128, 128, 4).astype(float)
    for share in (0.1, 0.25, 0.5, 0.9):
        np.testing.assert_allclose((field < share).mean((0, 1)), share, atol=0.002)
    inside = np.abs(np.diff(field, axis=1)).mean()
    assert np.abs(field[:, 0] - field[:, -1]).mean() < 1.5 * inside
    again = gl.make_field(ctx, 128)
    assert again.read() == texture.read()


def test_software_is_recognised(ctx: moderngl.Context) -> None:
    assert gl.is_software(ctx) == ("llvmpipe" in ctx.info["GL_RENDERER"].lower())
