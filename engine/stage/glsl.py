"""Reads GLSL from the disk and assembles the text that the compiler gets.

Usage: `source = assemble(root / "screen.frag", root)`; `disk.reading(file).text`. Any thread; touches no OpenGL.

Shaders are edited while a show runs, so whatever may lie in a file's place is met here: a half-written file, a
folder, a pipe, a dead link, a gigabyte, text in another encoding. All of it ends in a ShaderError, and none of it
blocks.
"""

import math
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.show.files import open_regular
from engine.stage.gl import ShaderError, Source, Uniform

MAX_BYTES = 1 << 20  # of one file
MAX_LINES = 10_000  # with everything included
# A file changed less than this ago is read again, as a second edit may bear the same time: FAT counts in 2 s.
SETTLED_NS = 3 * 10**9

_INCLUDE = re.compile(r'^\s*#include\s+"([^"]+)"\s*$')
_VERSION = re.compile(r"^\s*#version\b")
_DEFAULT = re.compile(r"^\s*uniform\s+(\w+)\s+(\w+)\s*(?:;\s*)*/[/*]\s*=\s*([^*;]+)")

Line = tuple[str, Path, int]  # text, file, number


@dataclass(frozen=True)
class Reading:
    """A file's text, or why there is none."""

    text: str | None
    fault: str = ""


class Disk:
    """Shader files as they are now. Each is read again only when it may have changed."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Reading, tuple[int, ...]]] = {}

    def reading(self, file: Path) -> Reading:
        """What the file holds now."""
        now_ns = time.time_ns()
        signature = _signature(file)  # before reading: a change in between is then seen the next time
        known = self._known.get(file)
        if known and known[1] == signature:
            return known[0]
        reading = _read(file)
        if signature and max(signature[:2]) < now_ns - SETTLED_NS:
            self._known[file] = reading, signature
        else:
            self._known.pop(file, None)
        return reading


def _signature(file: Path) -> tuple[int, ...]:
    """Differs when a file was changed, replaced or closed to us, as far as the file system knows; else empty."""
    try:
        found = file.stat()
    except OSError:
        return ()
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev, found.st_mode)


def _read(file: Path) -> Reading:
    try:
        with open_regular(file) as opened:
            return _decoded(opened.read(MAX_BYTES + 1))
    except OSError as error:
        return Reading(None, (error.strerror or str(error)).lower())


def _decoded(data: bytes) -> Reading:
    if len(data) > MAX_BYTES:
        return Reading(None, f"it is larger than {MAX_BYTES >> 20} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return Reading(None, f"line {line} is not UTF-8 text")
    if "\0" in text:
        return Reading(None, "it is not text")
    return Reading(text.replace("\r\n", "\n").replace("\r", "\n"))


def assemble(
    file: Path,
    root: Path,
    transition: bool = False,
    reading: Callable[[Path], Reading] | None = None,
    vertex: bool = False,
) -> Source:
    """One compilable text from a file and what it includes, remembering where each line came from.

    reading: how files are read, `Disk().reading` by default. vertex: with the vertex shader of the same name (.vert)
    that stands beside it. Raises ShaderError.
    """
    read = reading or Disk().reading
    lines: list[Line] = [("#version 330 core", file, 1)]
    if transition:
        lines += _expand(root / "transition.glsl", root, (), read)
    own = _expand(file, root, (), read)
    lines += own
    if transition:
        # An error that the compiler finds in our closing lines is the transition's: it is what they call.
        last = max((number for _, origin, number in own if origin == file), default=1)
        lines += [
            ("in vec2 v_uv;", file, last),
            ("out vec4 pedesis_colour;", file, last),
            ("void main() { pedesis_colour = transition(v_uv); }", file, last),
        ]
    text = "\n".join(line for line, _, _ in lines) + "\n"
    beside = assemble(file.with_suffix(".vert"), root, reading=read) if vertex else None
    return Source(text, tuple((origin, number) for _, origin, number in lines), beside)


def _expand(file: Path, root: Path, above: tuple[Path, ...], read: Callable[[Path], Reading]) -> list[Line]:
    found = read(file)
    if found.text is None:
        raise ShaderError(file, 1, f"cannot be read: {found.fault}")
    lines: list[Line] = []
    for number, line in enumerate(found.text.split("\n"), start=1):
        if include := _INCLUDE.match(line):
            target = _included(include.group(1), root, file, number, read)
            if target in (*above, file):
                raise ShaderError(file, number, f'#include "{include.group(1)}" goes round in a circle')
            lines += _expand(target, root, (*above, file), read)
        elif _VERSION.match(line):
            lines.append(("", file, number))  # ours comes first, and GLSL allows only one
        elif line.lstrip().startswith("#include"):
            raise ShaderError(file, number, f'expected #include "file.glsl", got {line.strip()}')
        else:
            # moderngl would go looking for an #include even in a comment.
            lines.append((line.replace("#include", "include"), file, number))
        if len(lines) > MAX_LINES:
            raise ShaderError(file, number, f"with all that is included there are more than {MAX_LINES} lines")
    return lines


def _included(name: str, root: Path, file: Path, number: int, read: Callable[[Path], Reading]) -> Path:
    # By name alone, without following links: a folder of shaders may well be made of links.
    target = Path(os.path.normpath(root / name))
    if not target.is_relative_to(os.path.normpath(root)):
        raise ShaderError(file, number, f'#include "{name}" is not in {root}')
    found = read(target)
    if found.text is None:
        raise ShaderError(file, number, f'#include "{name}" cannot be read: {found.fault}')
    return target


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
            continue  # a matrix is written in another way, and nothing unsigned is below zero
        whole = kind in ("int", "bool", "uint") or kind.startswith(("ivec", "bvec", "uvec"))
        cast = [int(v) for v in values[:wanted]] if whole else values[:wanted]
        found[name] = cast[0] if wanted == 1 else tuple(cast)
    return found
