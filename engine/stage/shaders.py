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
import re
from dataclasses import dataclass
from pathlib import Path

import moderngl

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


def assemble(file: Path, root: Path, transition: bool = False) -> Source:
    """One compilable text from a file and what it includes, remembering where each line came from."""
    lines: list[tuple[str, Path, int]] = [("#version 330 core", _BUILT_IN, 1)]
    if transition:
        lines += _expand(root / "transition.glsl", root, ())
    lines += _expand(file, root, ())
    if transition:
        lines += [
            ("in vec2 v_uv;", _BUILT_IN, 1),
            ("out vec4 pedesis_colour;", _BUILT_IN, 2),
            ("void main() { pedesis_colour = transition(v_uv); }", _BUILT_IN, 3),
        ]
        # An error that surfaces in our closing lines is the transition's: it is what they call.
        last = len(file.read_text(encoding="utf-8-sig").splitlines())
        lines = [(t, f, n) if f != _BUILT_IN or t.startswith("#") else (t, file, last) for t, f, n in lines]
    text = "\n".join(line for line, _, _ in lines) + "\n"
    return Source(text, tuple((origin, number) for _, origin, number in lines))


def _expand(file: Path, root: Path, above: tuple[Path, ...]) -> list[tuple[str, Path, int]]:
    if file in above:
        raise ShaderError(above[-1], 1, f'#include "{file.name}" goes round in a circle')
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ShaderError(file, 1, f"cannot be read: {error}") from error
    lines: list[tuple[str, Path, int]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        include = _INCLUDE.match(line)
        if include:
            target = (root / include.group(1)).resolve()
            if not target.is_relative_to(root.resolve()) or not target.is_file():
                raise ShaderError(file, number, f'#include "{include.group(1)}": no such file in {root}')
            lines += _expand(target, root, (*above, file))
        elif _VERSION.match(line):
            lines.append(("", file, number))  # ours stands first already, and GLSL allows only one
        elif line.lstrip().startswith("#include"):
            raise ShaderError(file, number, f'expected #include "file.glsl", got {line.strip()}')
        else:
            # moderngl would go looking for an #include even in a comment.
            lines.append((line.replace("#include", "include"), file, number))
    return lines


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

    def __init__(self, ctx: moderngl.Context, root: Path | None = None) -> None:
        self._ctx = ctx
        self.root = root or shaders_dir()
        self._loaded: dict[str, _Loaded] = {}
        self._broken: dict[str, tuple[ShaderError, dict[Path, int]]] = {}
        self._checked_s = float("-inf")

    @property
    def errors(self) -> list[ShaderError]:
        """What is wrong on disk at present; the last good version of each is what plays."""
        return [error for error, _ in self._broken.values()]

    def native(self, name: str) -> Pass:
        """A pass of our own, e.g. "screen.frag"; ShaderError if it never compiled."""
        loaded = self._loaded.get(name)
        return (loaded or self._get(name, self.root / name, transition=False)).program

    def transition(self, name: str) -> tuple[Pass, dict[str, Uniform]]:
        """A transition and the defaults of its parameters; one that is broken plays as a dissolve."""
        known = name in list_transitions(self.root) if _NAME.match(name) else False
        key = f"transitions/{name}.glsl"
        if (known and key not in self._broken) or key in self._loaded:
            try:
                loaded = self._get(key, self.root / key, transition=True)
                return loaded.program, loaded.defaults
            except ShaderError:
                pass  # kept in .errors and logged by _get
        if name == FALLBACK_TRANSITION:
            raise ShaderError(self.root / key, 1, "the dissolve that all else falls back on is missing")
        return self.transition(FALLBACK_TRANSITION)

    def is_loaded(self, name: str) -> bool:
        """Whether a transition is compiled already."""
        return f"transitions/{name}.glsl" in self._loaded

    def _get(self, key: str, file: Path, transition: bool) -> _Loaded:
        loaded = self._loaded.get(key)
        if loaded is None:
            try:
                source = assemble(file, self.root, transition)
                program = Pass(self._ctx, source, defaults(source) if transition else None)
            except ShaderError as error:
                self._broken[key] = (error, {file: _stamp(file), error.file: _stamp(error.file)})
                log.warning("shader error: %s", error)
                raise
            loaded = _Loaded(file, transition, program, defaults(source), _stamps(source))
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
        stamps = {file: _stamp(file) for file in loaded.stamps}
        try:
            source = assemble(loaded.file, self.root, loaded.transition)
            stamps = _stamps(source)
            loaded.program.rebuild(source, defaults(source) if loaded.transition else None)
        except ShaderError as error:
            self._broken[key] = (error, stamps | {error.file: _stamp(error.file)})
            return error
        loaded.defaults, loaded.stamps = defaults(source), stamps
        self._broken.pop(key, None)
        log.info("%s: compiled again", loaded.file.name)
        return None


def _stamps(source: Source) -> dict[Path, int]:
    return {file: _stamp(file) for file in {file for file, _ in source.origin} if file != _BUILT_IN}


def _stamp(file: Path) -> int:
    # Size joins the time: two saves within one tick of a coarse file system still differ by it mostly.
    try:
        status = file.stat()
    except OSError:
        return -1  # an editor that writes a new file and renames it over ours is between the two
    return status.st_mtime_ns * 31 + status.st_size
