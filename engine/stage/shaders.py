"""Finds, assembles, compiles and re-reads the GLSL that Pedesis draws with.

Usage: `shaders = Shaders(ctx, shaders_dir()); shaders.native("screen.frag").render(...)`.
Stage process, GL thread only.

A transition follows the calling convention of gl-transitions: one file that defines
`vec4 transition(vec2 uv)` and may call `getFromColor(uv)`, `getToColor(uv)`, `progress` and `ratio`;
uv (0, 0) is the lower left. Its own parameters are uniforms, with the default in a comment:
`uniform float softness; // = 0.3`.
"""

import logging
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

import moderngl

from engine.show.files import read_plain
from engine.show.paths import shaders_dir
from engine.stage.gl import Pass, ShaderError, Source, Uniform
from engine.stage.transitions import FALLBACK_TRANSITION, list_transitions

log = logging.getLogger(__name__)

RELOAD_EVERY_S = 1.0

_INCLUDE = re.compile(r'^\s*#include\s+"([^"]+)"\s*$')
_VERSION = re.compile(r"^\s*#version\b")
_DEFAULT = re.compile(r"^\s*uniform\s+(\w+)\s+(\w+)\s*;?\s*(?:/[/*]|;\s*/[/*])\s*=\s*([^*;]+)")
_NAME = re.compile(r"^[A-Za-z][\w-]*$")
_BUILT_IN = Path("<pedesis>")
MAX_BYTES = 1_000_000  # of a shader: what is larger was put there by mistake

_CLOSING = ("in vec2 v_uv;", "out vec4 pedesis_colour;", "void main() { pedesis_colour = transition(v_uv); }")
_PICTURE = """#version 330 core
in vec2 v_uv; out vec4 colour;
uniform sampler2D u_a; uniform sampler2D u_b; uniform float u_mix;
void main() { colour = mix(texture(u_a, v_uv), texture(u_b, v_uv), u_mix); }
"""
_CURVED = _PICTURE.replace(
    "mix(texture(u_a, v_uv), texture(u_b, v_uv), u_mix)",
    "vec4(pow(max(mix(texture(u_a, v_uv), texture(u_b, v_uv), u_mix).rgb, 0.0), vec3(1.0 / 2.2)), 1.0)",
)
_COPY = """#version 330 core
in vec2 v_uv; out vec4 colour;
uniform sampler2D u_source;
void main() { colour = texture(u_source, v_uv); }
"""


def _faded(text: str) -> str:
    """The same with the uniform that a blackout turns down."""
    return text.replace("void main() { colour = ", "uniform float u_fade;\nvoid main() { colour = u_fade * ")


# What plays in place of a pass that never compiled: the picture, plainly. The help and the waiting picture can wait.
STAND_INS = {
    "crossfade.frag": _PICTURE,
    "grade.frag": _CURVED,
    "encode.frag": _faded(_CURVED),
    "sharpen.frag": _COPY,
    "screen.frag": _faded(_COPY),
    "plain.frag": _COPY,
    "overlay.frag": _COPY.replace("u_source", "u_text"),
    "waiting.frag": "#version 330 core\nout vec4 colour;\nvoid main() { colour = vec4(0.02, 0.02, 0.03, 1.0); }\n",
    f"transitions/{FALLBACK_TRANSITION}.glsl": """#version 330 core
in vec2 v_uv; out vec4 colour;
uniform sampler2D u_from; uniform sampler2D u_to; uniform float progress;
void main() { colour = mix(texture(u_from, v_uv), texture(u_to, v_uv), progress); }
""",
}


def assemble(file: Path, root: Path, transition: bool = False, stamps: dict[Path, int] | None = None) -> Source:
    """One compilable text from a file and what it includes, remembering where each line came from.

    stamps: is given the state of every file that is read, as it was before it was read. Raises ShaderError.
    """
    seen = {} if stamps is None else stamps
    lines: list[tuple[str, Path, int]] = [("#version 330 core", _BUILT_IN, 1)]
    if transition:
        lines += _expand(root / "transition.glsl", root, (), seen)
    own = _expand(file, root, (), seen)
    lines += own
    if transition:
        # An error that surfaces in our closing lines is the transition's: it is what they call.
        last = max((number for _, origin, number in own if origin == file), default=1)
        lines += [(line, file, last) for line in _CLOSING]
    text = "\n".join(line for line, _, _ in lines) + "\n"
    return Source(text, tuple((origin, number) for _, origin, number in lines))


def _expand(file: Path, root: Path, above: tuple[Path, ...], stamps: dict[Path, int]) -> list[tuple[str, Path, int]]:
    if file in above:
        raise ShaderError(above[-1], 1, f'#include "{file.name}" goes round in a circle')
    # Before it is read: what is saved between the two is then found out, and compiled, a second later.
    stamps[file] = _stamp(file)
    lines: list[tuple[str, Path, int]] = []
    for number, line in enumerate(_read(file).splitlines(), start=1):
        include = _INCLUDE.match(line)
        if include:
            # By name and not by where links lead: artists keep their files elsewhere, and link them here.
            target = Path(os.path.normpath(root / include.group(1)))
            stamps[target] = _stamp(target)
            if not target.is_relative_to(os.path.normpath(root)) or not target.is_file():
                raise ShaderError(file, number, f'#include "{include.group(1)}": no such file in {root}')
            lines += _expand(target, root, (*above, file), stamps)
        elif _VERSION.match(line):
            lines.append(("", file, number))  # ours stands first already, and GLSL allows only one
        elif line.lstrip().startswith("#include"):
            raise ShaderError(file, number, f'expected #include "file.glsl", got {line.strip()}')
        else:
            # moderngl would go looking for an #include even in a comment.
            lines.append((line.replace("#include", "include"), file, number))
    return lines


def _read(file: Path) -> str:
    """The text of a shader, whatever has been put in its place. Raises ShaderError."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ShaderError(file, 1, f"is larger than {MAX_BYTES // 1000} kB, which no shader is")
        return read_plain(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ShaderError(file, line, "is not UTF-8 text") from error
    except OSError as error:
        raise ShaderError(file, 1, f"cannot be read: {(error.strerror or str(error)).lower()}") from error


def defaults(source: Source) -> dict[str, Uniform]:
    """Defaults that a transition states in comments: `uniform float softness; // = 0.3`."""
    found: dict[str, Uniform] = {}
    for line in source.text.splitlines():
        match = _DEFAULT.match(line)
        if not match:
            continue
        kind, name, text = match.groups()
        numbers = re.findall(r"-?\d*\.?\d+(?:e-?\d+)?|true|false", re.sub(r"\b[iub]?vec\d", "", text))
        values = [1.0 if n == "true" else 0.0 if n == "false" else float(n) for n in numbers]
        wanted = int(kind[-1]) if kind[-1].isdigit() else 1
        if len(values) == 1 and wanted > 1:
            values = values * wanted  # vec3(0.5) fills all three
        if len(values) < wanted or not all(map(math.isfinite, values)):
            continue
        if kind.startswith("mat") or (kind.startswith("u") and min(values) < 0):
            continue  # a matrix has its numbers elsewhere, and below zero nothing is unsigned
        whole = kind in ("int", "bool", "uint") or kind.startswith(("ivec", "bvec", "uvec"))
        cast = [int(v) for v in values[:wanted]] if whole else values[:wanted]
        found[name] = cast[0] if wanted == 1 else tuple(cast)
    return found


@dataclass
class _Loaded:
    """A compiled file and the state of the disk it was compiled from."""

    file: Path
    transition: bool
    program: Pass
    defaults: dict[str, Uniform]
    stamps: dict[Path, int]


class Shaders:
    """Every compiled shader of one context, re-read when a file changes."""

    def __init__(self, ctx: moderngl.Context, root: Path | None = None, strict: bool = False) -> None:
        """strict: a shader that does not compile ends everything, as a film must not be drawn with another one. Else a
        plain one of our own plays in its place until it is mended."""
        self._ctx = ctx
        self.root = root or shaders_dir()
        self._strict = strict
        self._loaded: dict[str, _Loaded] = {}
        self._broken: dict[str, tuple[ShaderError, dict[Path, int]]] = {}
        self._checked_s = float("-inf")

    @property
    def errors(self) -> list[ShaderError]:
        """What is wrong on disk at present; the last good version of each is what plays."""
        return [error for error, _ in self._broken.values()]

    def native(self, name: str) -> Pass:
        """A pass of our own, e.g. "screen.frag". ShaderError if it never compiled and nothing can stand in for it."""
        loaded = self._loaded.get(name)
        return (loaded or self._get(name, self.root / name, transition=False)).program

    def transition(self, name: str) -> tuple[Pass, dict[str, Uniform]]:
        """A transition and the defaults of its parameters; one that is broken plays as a dissolve."""
        known = name in list_transitions(self.root) if _NAME.match(name) else False
        key = f"transitions/{name}.glsl"
        if (known and key not in self._broken) or key in self._loaded or name == FALLBACK_TRANSITION:
            try:
                loaded = self._get(key, self.root / key, transition=True)
                return loaded.program, loaded.defaults
            except ShaderError:
                if self._strict or name == FALLBACK_TRANSITION:
                    raise
        return self.transition(FALLBACK_TRANSITION)

    def is_loaded(self, name: str) -> bool:
        """Whether a transition is compiled already."""
        return f"transitions/{name}.glsl" in self._loaded

    def _get(self, key: str, file: Path, transition: bool) -> _Loaded:
        loaded = self._loaded.get(key)
        if loaded is not None:
            return loaded
        stamps: dict[Path, int] = {}
        try:
            source = assemble(file, self.root, transition, stamps)
            found = defaults(source) if transition else {}
            loaded = _Loaded(file, transition, Pass(self._ctx, source, found), found, stamps)
        except ShaderError as error:
            self._broken[key] = (error, stamps)
            plain = STAND_INS.get(key)
            if plain is None or self._strict:
                log.warning("shader error: %s", error)
                raise
            log.warning("shader error: %s; a plain one plays until it is mended", error)
            source = Source(plain, tuple((_BUILT_IN, n + 1) for n in range(plain.count("\n") + 1)))
            loaded = _Loaded(file, transition, Pass(self._ctx, source), {}, stamps)
        self._loaded[key] = loaded
        return loaded

    def reload(self, now_s: float) -> list[ShaderError]:
        """Compile again what changed on disk, at most once a second; the new errors, for the caller to tell."""
        if now_s - self._checked_s < RELOAD_EVERY_S:
            return []
        self._checked_s = now_s
        fresh: list[ShaderError] = []
        for key, loaded in self._loaded.items():
            stamps = self._broken[key][1] if key in self._broken else loaded.stamps
            if all(_stamp(file) == stamp for file, stamp in stamps.items()):
                continue
            error = self._recompile(key, loaded)
            if error:
                fresh.append(error)
        for key, (_, stamps) in list(self._broken.items()):
            # Never compiled yet: forget the verdict when the file changes, so that it is tried again.
            if key not in self._loaded and any(_stamp(f) != s for f, s in stamps.items()):
                del self._broken[key]
        return fresh

    def _recompile(self, key: str, loaded: _Loaded) -> ShaderError | None:
        stamps: dict[Path, int] = {}
        try:
            source = assemble(loaded.file, self.root, loaded.transition, stamps)
            found = defaults(source) if loaded.transition else {}
            loaded.program.rebuild(source, found)
        except ShaderError as error:
            self._broken[key] = (error, stamps)
            return error
        loaded.defaults, loaded.stamps = found, stamps
        self._broken.pop(key, None)
        log.info("%s: compiled again", loaded.file.name)
        return None


def _stamp(file: Path) -> int:
    """The state of a file on the disk: changes when it is written, replaced, or taken away."""
    try:
        status = file.stat()
    except OSError:
        return -1  # an editor that writes a new file and renames it over ours is between the two
    # Size and inode join the time: two saves within one tick of a coarse file system still differ by them mostly.
    return hash((status.st_mtime_ns, status.st_size, status.st_ino))
