"""Writes mappings into a show's file; every other line stays as it is, comments included.

    path = own_copy(show.path)                         # of a show that comes with Pedesis
    write_maps(path, "walk.speed", [{"from": "/fader/1", "to": "walk.speed", "in": [0.0, 127.0]}])

Whoever waits for disks: the command line, or a thread of its own.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomlkit

from engine.show.errors import CannotStart
from engine.show.files import read_text_bounded, write_whole
from engine.show.paths import configs_dir

MAX_BYTES = 1_000_000


class EditError(CannotStart):
    """A show that cannot be written, and why."""


def is_shipped(path: Path) -> bool:
    """Whether a show comes with Pedesis; such a one is never written."""
    return path.resolve().parent == configs_dir().resolve()


def own_copy(path: Path, folder: Path) -> Path:
    """A copy of a show in a folder, under its own name or, where that is taken, the next free one. Raises EditError."""
    for n in range(1, 1000):
        copy = folder / (path.name if n == 1 else f"{path.stem}-{n}{path.suffix}")
        if not copy.exists():
            break
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(copy, read_text_bounded(path, MAX_BYTES))
    except OSError as error:
        raise EditError(f"{copy} cannot be written: {error.strerror or error}") from None
    return copy


def write_maps(path: Path, to: str, entries: Sequence[Mapping[str, Any]], replacing: bool = True) -> None:
    """Puts these mappings of the parameter `to` into the file; if replacing, in place of those that it has.

    Every other line stays as it is. Raises EditError; then the file is as it was.
    """
    try:
        text = read_text_bounded(path, MAX_BYTES)
        before = tomllib.loads(text)
        old = before.get("map", [])
        going = {n for n, entry in enumerate(old) if replacing and _name(entry.get("to")) == to}
        if len(old) != sum(1 for line in text.splitlines() if _MAP.match(line)):
            raise ValueError("its mappings are written in an unusual way")
        after = _edited(text, going, entries)
        place = min(going, default=len(old))
        kept = [entry for n, entry in enumerate(old) if n not in going]
        wanted = {**before, "map": [*kept[:place], *map(dict, entries), *kept[place:]]}
        if {"map": [], **tomllib.loads(after)} != wanted:
            raise ValueError("its mappings cannot be told apart from the rest")
        write_whole(path, after)
    except OSError as error:
        raise EditError(f"{path} cannot be written: {error.strerror or error}") from None
    except (ValueError, TypeError, AttributeError) as error:
        raise EditError(f"{path} cannot be edited: {error}; correct it by hand first") from None


def _name(to: object) -> str:
    return str(to).strip("/").replace("/", ".")


def _edited(text: str, going: set[int], entries: Sequence[Mapping[str, Any]]) -> str:
    """The text without the so-manieth [[map]], from 0, and with others in the place of the first of them; else after
    the last one, or at the end. Comments between them stay."""
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    blocks = [_block(lines, n) for n, line in enumerate(lines) if _MAP.match(line)]
    written = [f"[[map]]\n{tomlkit.dumps(dict(entry))}" for entry in entries]
    for place in sorted(going, reverse=True):
        start, end = blocks[place]
        lines[start:end] = ["\n".join(written)] if written and place == min(going) else []
        if not lines[start : start + 1] or not lines[start].strip():
            while start and not lines[start - 1].strip():  # one empty line between what is left, none at the end
                start -= 1
                del lines[start]
            if not start:
                del lines[:1]
    if written and not going:
        end = blocks[-1][1] if blocks else len(lines)
        lines[end:end] = [f"\n{each}" for each in written]
    return "".join(lines)


def _block(lines: Sequence[str], start: int) -> tuple[int, int]:
    """The lines of the table whose header is there, without the empty ones and comments after it."""
    end = next((n for n in range(start + 1, len(lines)) if _HEADER.match(lines[n])), len(lines))
    while _IDLE.match(lines[end - 1]):
        end -= 1
    return start, end


_MAP = re.compile(r"\s*\[\[\s*map\s*\]\]")
_HEADER = re.compile(r"\s*\[")
_IDLE = re.compile(r"\s*(#.*)?$")
