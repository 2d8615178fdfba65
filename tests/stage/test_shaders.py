"""Every shader that ships, and what the loader does with those that are broken."""

import os
import shutil
from pathlib import Path

import moderngl
import numpy as np
import pytest

from engine.show.paths import shaders_dir
from engine.stage.gl import Pass, ShaderError, make_target, read_pixels
from engine.stage.shaders import Shaders, assemble, defaults, list_natives, list_transitions

NATIVE = list_natives()
SAMPLERS = {"u_a", "u_b", "u_source", "u_grain", "u_field", "u_text"}
FRAGMENT = '#include "part.glsl"\nout vec4 colour;\n\nvoid main() { colour = vec4(level()); }\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "transitions").mkdir()
    for name in ("transition.glsl", "transitions/dissolve.glsl"):
        shutil.copy(shaders_dir() / name, tmp_path / name)
    (tmp_path / "a.frag").write_text(FRAGMENT)
    (tmp_path / "part.glsl").write_text("float level() { return 1.0; }\n")
    return tmp_path


def rewrite(file: Path, text: str) -> None:
    before = file.stat().st_mtime_ns if file.exists() else 0
    file.write_text(text)
    os.utime(file, ns=(before + 10**9, before + 10**9))  # as if a second had gone by


def shown(ctx: moderngl.Context, shader: Pass) -> int:
    target = make_target(ctx, (1, 1), "f1")
    shader.render(target.framebuffer)
    return int(read_pixels(target.framebuffer)[0, 0, 0])


def test_nothing_in_the_folder_goes_untested() -> None:
    files = {f.relative_to(shaders_dir()).as_posix() for f in shaders_dir().rglob("*") if f.is_file()}
    transitions = {f"transitions/{name}.glsl" for name in list_transitions()}
    assert files == set(NATIVE) | transitions | {"common.glsl", "picture.glsl", "transition.glsl"}
    assert {"clouds", "dissolve", "luma", "memory", "pulp"} <= set(list_transitions())


@pytest.mark.parametrize("name", NATIVE)
def test_native_shader_compiles_and_draws(ctx: moderngl.Context, name: str) -> None:
    grey = make_target(ctx, (8, 8))
    grey.framebuffer.clear(0.5, 0.5, 0.5, 0.5)
    target = make_target(ctx, (8, 8))
    target.framebuffer.clear(0.77, 0.77, 0.77, 0.77)
    shader = Shaders(ctx).native(name)
    shader.render(target.framebuffer, {}, {n: grey.texture for n in SAMPLERS & shader.uniforms})
    drawn = np.frombuffer(target.texture.read(), np.float16)
    assert np.isfinite(drawn).all() and not (np.abs(drawn - 0.77) < 1e-3).any()


@pytest.mark.parametrize("name", list_transitions())
def test_transition_keeps_the_convention(ctx: moderngl.Context, name: str) -> None:
    shader, found = Shaders(ctx).transition(name)
    text = (shaders_dir() / f"transitions/{name}.glsl").read_text()
    stated = {line.split()[2].rstrip(";") for line in text.splitlines() if line.startswith("uniform")}
    assert set(found) == stated  # each parameter of its own has a default
    assert stated <= shader.uniforms
    assert "gl_FragCoord" not in text


def test_broken_shader_reverts_and_says_where(ctx: moderngl.Context, folder: Path) -> None:
    shaders = Shaders(ctx, folder)
    shader = shaders.native("a.frag")
    assert shown(ctx, shader) == 255
    rewrite(folder / "part.glsl", "// new\nfloat level() { return 0.5 }\n")
    assert shaders.reload(10.0)[0].file == folder / "part.glsl"
    assert shaders.reload(10.5) == []  # about once a second
    assert shaders.reload(11.5) == []  # and each mistake is told once
    assert shaders.errors[0].line == 2
    assert shown(ctx, shaders.native("a.frag")) == 255
    rewrite(folder / "part.glsl", "float level() { return 0.0; }\n")
    assert shaders.reload(13.0) == []
    assert shaders.errors == []
    assert shown(ctx, shader) == 0  # the pass in hand is the new one


def test_line_after_an_include_is_still_the_artists_own(ctx: moderngl.Context, folder: Path) -> None:
    (folder / "part.glsl").write_text("\n\n\nfloat level() { return 1.0; }\n\n")
    (folder / "a.frag").write_text(FRAGMENT.replace("level()", "levle()"))
    with pytest.raises(ShaderError) as caught:
        Shaders(ctx, folder).native("a.frag")
    assert (caught.value.file, caught.value.line) == (folder / "a.frag", 4)


def test_file_gone_for_a_moment_keeps_the_last_good_one(ctx: moderngl.Context, folder: Path) -> None:
    shaders = Shaders(ctx, folder)
    shader = shaders.native("a.frag")
    text = (folder / "part.glsl").read_text()
    (folder / "part.glsl").unlink()
    assert len(shaders.reload(10.0)) == 1
    assert shown(ctx, shader) == 255
    rewrite(folder / "part.glsl", text.replace("1.0", "0.0"))
    assert shaders.reload(12.0) == []
    assert shown(ctx, shader) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('#include "missing.glsl"', "no such file"),
        ('#include "../outside.glsl"', "no such file"),
        ("#include <part.glsl>", "expected #include"),
        ('#include "a.frag"', "goes round in a circle"),
    ],
)
def test_bad_include(folder: Path, text: str, said: str) -> None:
    (folder.parent / "outside.glsl").write_text("")
    (folder / "a.frag").write_text("\n" + text + "\nvoid main() {}\n")
    with pytest.raises(ShaderError, match=said):
        assemble(folder / "a.frag", folder)


def test_version_and_commented_include_do_no_harm(ctx: moderngl.Context, folder: Path) -> None:
    (folder / "a.frag").write_text('#version 330\n// say #include "x.glsl" to share\n' + FRAGMENT)
    assert shown(ctx, Shaders(ctx, folder).native("a.frag")) == 255


def test_unknown_or_broken_transition_plays_as_a_dissolve(ctx: moderngl.Context, folder: Path) -> None:
    shaders = Shaders(ctx, folder)
    dissolve = shaders.transition("dissolve")[0]
    for name in ("nowhere", "../a", ""):
        assert shaders.transition(name)[0] is dissolve
    bad = folder / "transitions" / "bad.glsl"
    bad.write_text("uniform float x; // = 2\nvec4 transition(vec2 uv) { return x; }\n")
    for _ in range(3):
        assert shaders.transition("bad")[0] is dissolve
    assert [(e.file, e.line) for e in shaders.errors] == [(bad, 2)]
    rewrite(bad, "uniform float x; // = 2\nvec4 transition(vec2 uv) { return vec4(x); }\n")
    shaders.reload(10.0)
    assert shaders.transition("bad")[0] is not dissolve
    assert shaders.transition("bad")[1] == {"x": 2.0}
    assert shaders.errors == []


def test_an_edit_that_no_longer_takes_what_it_is_given_keeps_the_last_good_one(
    ctx: moderngl.Context, folder: Path
) -> None:
    (folder / "a.frag").write_text("out vec4 colour;\nuniform float gain;\nvoid main() { colour = vec4(gain); }\n")
    shaders, target = Shaders(ctx, folder), make_target(ctx, (1, 1), "f1")
    given = {"gain": 1.0, "later": 1.0}
    shaders.native("a.frag").render(target.framebuffer, given)
    for n, change in enumerate(
        (
            "uniform vec2 gain;\nvoid main() { colour = gain.xxxy; }\n",
            "uniform float gain;\nuniform ivec3 later;\nvoid main() { colour = vec4(gain) + vec4(later.x); }\n",
        )
    ):
        rewrite(folder / "a.frag", "out vec4 colour;\n" + change)
        (error,) = shaders.reload(10.0 + 2 * n)
        assert (error.file, error.line) == (folder / "a.frag", 2 + n) and "does not fit" in str(error)
        target.framebuffer.clear()
        shaders.native("a.frag").render(target.framebuffer, given)
        assert read_pixels(target.framebuffer)[0, 0, 0] == 255
    rewrite(folder / "a.frag", "out vec4 colour;\nuniform float gain;\nvoid main() { colour = vec4(gain / 2.0); }\n")
    assert shaders.reload(20.0) == []
    shaders.native("a.frag").render(target.framebuffer, given)
    assert read_pixels(target.framebuffer)[0, 0, 0] == 128, "the new program knows what the old was told"


@pytest.mark.parametrize("line", ["int n; // = 99999999999", "uint n; // = 5000000000", "sampler2D n; // = 1.5"])
def test_a_default_that_its_uniform_cannot_hold_plays_as_a_dissolve(
    ctx: moderngl.Context, folder: Path, line: str
) -> None:
    shaders = Shaders(ctx, folder)
    file = folder / "transitions" / "wide.glsl"
    used = "texture(n, uv)" if "sampler" in line else "vec4(n)"
    file.write_text(f"uniform {line}\nvec4 transition(vec2 uv) {{ return {used}; }}\n")
    assert shaders.transition("wide")[0] is shaders.transition("dissolve")[0]
    assert [(e.file, e.line) for e in shaders.errors] == [(file, 1)]


def test_a_file_saved_with_a_byte_order_mark_is_read(ctx: moderngl.Context, folder: Path) -> None:
    (folder / "a.frag").write_text(FRAGMENT, encoding="utf-8-sig")
    assert shown(ctx, Shaders(ctx, folder).native("a.frag")) == 255


def test_transition_without_its_function_is_the_artists_error(ctx: moderngl.Context, folder: Path) -> None:
    file = folder / "transitions" / "empty.glsl"
    file.write_text("// nothing yet\n\n")
    shaders = Shaders(ctx, folder)
    shaders.transition("empty")
    assert shaders.errors[0].file == file


def test_defaults_as_gl_transitions_write_them(folder: Path) -> None:
    file = folder / "transitions" / "many.glsl"
    file.write_text(
        "uniform float a; // = 0.5\nuniform vec3 b; // = vec3(0.1, .2, -3)\nuniform int c /* = 4 */;\n"
        "uniform bool d;// = true\nuniform ivec2 e; // = ivec2(3, 4)\nuniform vec2 f; // = vec2(7.0)\n"
        "uniform float g; // softness of the edge\nuniform float h; // = 1e-2; small\n"
        "uniform mat2 i; // = mat2(1.0)\nuniform uint j; // = -3\nuniform uvec2 k; // = uvec2(1, 2)\n"
        "vec4 transition(vec2 uv) { return vec4(0); }\n"
    )
    found = defaults(assemble(file, folder, transition=True))
    assert found == {
        "a": 0.5,
        "b": (0.1, 0.2, -3.0),
        "c": 4,
        "d": 1,
        "e": (3, 4),
        "f": (7.0, 7.0),
        "h": 0.01,
        "k": (1, 2),
    }
