"""Every shader that ships, and what the loader does with those that are broken."""

import os
import re
import shutil
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import moderngl
import numpy as np
import pytest

from engine.dreamer.spec import Keyframe
from engine.show.paths import shaders_dir
from engine.stage import glsl
from engine.stage.blend import ARRIVAL_S, Blend
from engine.stage.gl import Pass, ShaderError, make_target, read_pixels
from engine.stage.glsl import Disk, assemble, defaults
from engine.stage.look import Look
from engine.stage.shaders import Shaders
from engine.stage.spare import NATIVES, OWN_VERTICES
from engine.stage.transitions import list_transitions
from engine.walk.waypoint import Waypoint
from tests.stage.values import DEFAULTS

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


def answers(ctx: moderngl.Context, shaders: Shaders, now_s: float) -> tuple[int, int]:
    """How many mistakes a reload finds, and what a.frag then draws."""
    return len(shaders.reload(now_s)), shown(ctx, shaders.native("a.frag"))


def test_nothing_in_the_folder_goes_untested() -> None:
    files = {f.relative_to(shaders_dir()).as_posix() for f in shaders_dir().rglob("*") if f.is_file()}
    transitions = {f"transitions/{name}.glsl" for name in list_transitions()}
    vertices = {name.replace(".frag", ".vert") for name in OWN_VERTICES}
    parts = {"common.glsl", "glass.glsl", "picture.glsl", "transition.glsl", "README.md"}
    assert files == set(NATIVES) | vertices | transitions | parts
    assert {"clouds", "dissolve", "luma", "memory", "pulp"} <= set(list_transitions())


@pytest.mark.parametrize("name", sorted(set(NATIVES) - OWN_VERTICES))  # those need geometry (test_shelves.py)
def test_native_shader_compiles_and_draws(ctx: moderngl.Context, name: str) -> None:
    grey = make_target(ctx, (8, 8))
    grey.framebuffer.clear(0.5, 0.5, 0.5, 0.5)
    target = make_target(ctx, (8, 8))
    target.framebuffer.clear(0.77, 0.77, 0.77, 0.77)
    shader = Shaders(ctx).native(name)
    shader.render(target.framebuffer, {}, {n: grey.texture for n in SAMPLERS})
    drawn = np.frombuffer(target.texture.read(), np.float16)
    assert np.isfinite(drawn).all() and not (np.abs(drawn - 0.77) < 1e-3).any()


@pytest.mark.parametrize("name", list_transitions())
def test_transition_keeps_the_convention(ctx: moderngl.Context, name: str) -> None:
    _, found = Shaders(ctx).transition(name)
    text = (shaders_dir() / f"transitions/{name}.glsl").read_text()
    stated = {line.split()[2].rstrip(";") for line in text.splitlines() if line.startswith("uniform")}
    assert set(found) == stated  # each parameter of its own has a default
    assert all(len(re.findall(rf"\b{parameter}\b", text)) > 1 for parameter in stated), "one does nothing"
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
        Shaders(ctx, folder, strict=True).native("a.frag")
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
        ('#include "../outside.glsl"', "is not in"),
        ('#include "/etc/passwd"', "is not in"),
        ('#include "transitions"', "not a file"),
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


def halfway(ctx: moderngl.Context, shader: Pass, **more: float) -> int:
    """What a transition makes of black and white halfway."""
    black, white = ctx.texture((1, 1), 3, bytes(3)), ctx.texture((1, 1), 3, bytes([255] * 3))
    target = make_target(ctx, (1, 1), "f1")
    shader.render(target.framebuffer, {"progress": 0.5, "ratio": 1.0, **more}, {"u_from": black, "u_to": white})
    return int(read_pixels(target.framebuffer)[0, 0, 0])


def test_unknown_or_broken_transition_plays_as_a_dissolve(ctx: moderngl.Context, folder: Path) -> None:
    shaders = Shaders(ctx, folder)
    dissolve = shaders.transition("dissolve")[0]
    for name in ("nowhere", "../a", "/etc/passwd", ""):
        assert shaders.transition(name)[0] is dissolve
    bad = folder / "transitions" / "bad.glsl"
    bad.write_text("uniform float x; // = 2\nvec4 transition(vec2 uv) { return x; }\n")
    drawn = shaders.transition("bad")[0]
    for _ in range(3):
        assert shaders.transition("bad")[0] is drawn and halfway(ctx, drawn) == halfway(ctx, dissolve) == 128
    assert [(e.file, e.line) for e in shaders.errors] == [(bad, 2)]
    rewrite(bad, "uniform float x; // = 2\nvec4 transition(vec2 uv) { return vec4(x); }\n")
    shaders.reload(10.0)
    assert halfway(ctx, shaders.transition("bad")[0], x=2.0) == 255
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
    assert halfway(ctx, shaders.transition("wide")[0]) == 128
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
        + "uniform float l"
        + " " * 200_000
        + "m\n"  # nothing that a pattern should ponder for minutes
        + "vec4 transition(vec2 uv) { return vec4(0); }\n"
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


GOOD = "float level() { return %s; }\n"


def empty(part: Path) -> None:
    part.write_text("")


def half_written(part: Path) -> None:
    part.write_text(GOOD[:14])


def gone(part: Path) -> None:
    part.unlink()


def a_folder(part: Path) -> None:
    part.unlink()
    part.mkdir()


def a_pipe(part: Path) -> None:
    part.unlink()
    os.mkfifo(part)


def a_dead_link(part: Path) -> None:
    part.unlink()
    part.symlink_to("nowhere.glsl")


def a_link_to_itself(part: Path) -> None:
    part.unlink()
    part.symlink_to(part.name)


def a_gigabyte(part: Path) -> None:
    with part.open("r+b") as opened:
        opened.truncate(1 << 30)


def another_encoding(part: Path) -> None:
    part.write_bytes("// Größe\n".encode("latin-1") + (GOOD % "0.5").encode())


def not_text(part: Path) -> None:
    part.write_bytes((GOOD % "0.5").encode() + b"\0\0")


@pytest.mark.parametrize(
    "damage",
    [
        empty, half_written, gone, a_folder, a_pipe, a_dead_link, a_link_to_itself, a_gigabyte, another_encoding,
        not_text,
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["part.glsl", "a.frag"])
def test_whatever_is_done_to_a_file_the_last_good_one_stays_until_it_is_repaired(
    ctx: moderngl.Context, folder: Path, name: str, damage: Callable[[Path], None]
) -> None:
    shaders, part = Shaders(ctx, folder), folder / name
    assert shown(ctx, shaders.native("a.frag")) == 255
    good = part.read_text()
    damage(part)
    assert answers(ctx, shaders, 10.0) == (1, 255)
    assert str(shaders.errors[0]).startswith(str(folder)) and "\n" not in str(shaders.errors[0])
    assert answers(ctx, shaders, 12.0) == (0, 255), "told once"
    if part.is_dir():
        part.rmdir()
    new = folder / "new"  # as many editors save
    new.write_text(good.replace("1.0", "0.0").replace("vec4(level())", "vec4(0.0)"))
    new.replace(part)
    assert answers(ctx, shaders, 14.0) == (0, 0)
    assert shaders.errors == []


def test_a_file_closed_to_us_is_read_again_when_it_is_opened(
    ctx: moderngl.Context, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shaders, part, real = Shaders(ctx, folder), folder / "part.glsl", os.open
    assert shown(ctx, shaders.native("a.frag")) == 255

    def closed(file: Path, *more: int) -> int:
        if file == part:  # root may read anything, so chmod alone would not do here
            raise PermissionError(13, "Permission denied")
        return real(file, *more)

    part.chmod(0)
    monkeypatch.setattr(os, "open", closed)
    assert answers(ctx, shaders, 10.0) == (1, 255)
    assert "permission denied" in str(shaders.errors[0])
    part.chmod(0o644)
    monkeypatch.setattr(os, "open", real)
    assert answers(ctx, shaders, 12.0) == (0, 255)
    assert shaders.errors == []


def test_two_saves_with_the_same_size_and_time_are_two(ctx: moderngl.Context, folder: Path) -> None:
    shaders, part = Shaders(ctx, folder), folder / "part.glsl"
    assert shown(ctx, shaders.native("a.frag")) == 255
    when = part.stat().st_mtime_ns
    part.write_text(GOOD % "0.0")
    os.utime(part, ns=(when, when))
    assert answers(ctx, shaders, 10.0) == (0, 0)


def test_on_a_file_system_that_tells_nothing_apart_a_quick_second_save_is_still_seen(
    ctx: moderngl.Context, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shaders, part = Shaders(ctx, folder), folder / "part.glsl"
    part.write_text(GOOD % "0.0")
    coarse = part.stat()
    monkeypatch.setattr(glsl.Path, "stat", lambda self, **_: coarse)
    assert shown(ctx, shaders.native("a.frag")) == 0
    part.write_text(GOOD % "1.0")
    assert answers(ctx, shaders, 10.0) == (0, 255)


def test_a_file_left_alone_is_not_read_again(
    ctx: moderngl.Context, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in folder.glob("*.*"):
        os.utime(file, (1e9, 1e9))
    monkeypatch.setattr(glsl, "SETTLED_NS", -(10**12))
    shaders = Shaders(ctx, folder)
    shaders.native("a.frag")
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("it was opened"))
    assert shaders.reload(10.0) == []


def test_a_folder_of_links_is_as_good_as_one_of_files(ctx: moderngl.Context, folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "elsewhere"
    kept.mkdir()
    for name in ("a.frag", "part.glsl"):
        shutil.move(folder / name, kept / name)
        (folder / name).symlink_to(kept / name)
    shaders = Shaders(ctx, folder, strict=True)
    assert shown(ctx, shaders.native("a.frag")) == 255
    rewrite(kept / "part.glsl", GOOD % "0.0")
    assert answers(ctx, shaders, 10.0) == (0, 0)


def test_windows_lines_are_counted_as_the_editor_counts_them(ctx: moderngl.Context, folder: Path) -> None:
    (folder / "a.frag").write_bytes(FRAGMENT.replace("\n", "\r\n").encode())
    shaders = Shaders(ctx, folder)
    assert shown(ctx, shaders.native("a.frag")) == 255
    bad = FRAGMENT.replace("\n\n", "\n// a\fb\u2028c\n").replace("level()", "levle()").replace("\n", "\r\n")
    (folder / "a.frag").write_bytes(bad.encode())
    (error,) = shaders.reload(10.0)
    assert (error.file, error.line) == (folder / "a.frag", 4)


def test_files_that_include_each_other_over_and_over_are_refused(folder: Path) -> None:
    for k in range(20):
        (folder / f"n{k}.glsl").write_text(f'#include "n{k + 1}.glsl"\n' * 4)
    (folder / "n20.glsl").write_text("\n")
    with pytest.raises(ShaderError, match="more than"):
        assemble(folder / "n0.glsl", folder, reading=lru_cache(Disk().reading))


def test_an_error_in_the_files_of_a_film_is_an_error(ctx: moderngl.Context, folder: Path) -> None:
    shaders = Shaders(ctx, folder, strict=True)
    for ask in (lambda: shaders.native("screen.frag"), lambda: shaders.transition("bad")):
        (folder / "transitions" / "bad.glsl").write_text("nonsense")
        with pytest.raises(ShaderError):
            ask()


def played(ctx: moderngl.Context, root: Path | None) -> tuple[Shaders, list[np.ndarray]]:
    """A show's first pictures: waiting, arrived, with the look off, and amid a jump."""
    shaders, target = Shaders(ctx, root), make_target(ctx, (96, 54), "f1")
    blend, look = Blend(ctx, shaders, (64, 36)), Look(ctx, shaders)
    pixels = np.zeros((36, 64, 3), np.uint8)
    pixels[:18, :, 0], pixels[18:, :, 1] = 200, 120
    quiet = DEFAULTS | {"look.grain": 0.0, "look.vignette": 0.0, "look.drift": 0.0, "look.sharpness": 0.0}
    pictures = []
    keyframes = {1.0: (0, pixels), 6.0: (1, 255 - pixels)}
    for now_s, off in ((0.0, False), (1.0, False), (1.0 + ARRIVAL_S, False), (4.0, True), (6.0, False)):
        if now_s in keyframes:
            epoch, colours = keyframes[now_s]
            blend.upload(Keyframe(Waypoint(now_s, epoch, (), ()), colours, 0, 0.0))
        values = quiet | {"look.enabled": not off}
        look.render(blend.render(now_s, values), target.framebuffer, values, now_s)
        pictures.append(read_pixels(target.framebuffer).astype(int))
    blend.warm()
    return shaders, pictures


@pytest.mark.parametrize("there", ["nothing", "nonsense"])
def test_a_show_begins_whatever_the_shaders_folder_holds_and_recovers(
    ctx: moderngl.Context, tmp_path: Path, there: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "shaders"
    if there == "nonsense":
        shutil.copytree(shaders_dir(), folder)
        for file in folder.rglob("*.*"):
            file.write_text("void main( {")
    shaders, plain = played(ctx, folder)
    _, finished = played(ctx, None)
    for bare, whole in list(zip(plain, finished, strict=True))[2:]:
        assert np.abs(bare - whole).mean() < 6, "the picture is shown, if without its finish"
    assert plain[0].max() > 10 and {error.file.stem for error in shaders.errors} >= {
        name.removesuffix(".frag") for name in NATIVES
    }
    assert "a plain one plays until it is repaired" in caplog.text
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(shaders_dir(), folder)
    assert shaders.reload(100.0) == [] and shaders.errors == []


def test_every_pass_of_ours_has_a_stand_in() -> None:
    assert set(NATIVES) == {file.name for file in shaders_dir().glob("*.frag")}


def test_a_shader_that_cannot_take_what_it_is_told_is_stood_in_for(
    ctx: moderngl.Context, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(shaders_dir(), tmp_path / "shaders")
    file = tmp_path / "shaders" / "plain.frag"
    good = file.read_text()
    file.write_text(
        good.replace("void main() {", "uniform vec3 u_fade;\nvoid main() {").replace(
            "texture(u_source, v_uv)", "vec4(u_fade, 1.0)"
        )
    )
    shaders, target = Shaders(ctx, tmp_path / "shaders"), make_target(ctx, (1, 1), "f1")
    white = ctx.texture((1, 1), 3, bytes([255] * 3))
    for _ in range(2):
        shaders.native("plain.frag").render(target.framebuffer, {"u_fade": 1.0}, {"u_source": white})
        assert read_pixels(target.framebuffer).min() == 255
    assert [(e.file, e.line) for e in shaders.errors] == [(file, 7)] and caplog.text.count("does not fit") == 1
    rewrite(file, good)
    assert shaders.reload(10.0) == [] and shaders.errors == []
