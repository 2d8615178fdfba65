"""The fonts of this machine: which there are, which characters each has, and which suits a text best.

    fonts = Fonts.of_system()              # asks fontconfig, or looks through the usual folders
    face = fonts.face("ابجد", "serif")     # None if no font has all of these characters

Waits for the disk: for a worker's thread, or a film's. What was found is kept. No font comes with Pedesis;
where a machine has none, Latin is set in Pillow's own.
"""

import io
import os
import re
import struct
import subprocess
import sys
import threading
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

Style = Literal["serif", "sans"]

PILLOWS = Path("<Pillow's own>")
ENDINGS = (".ttf", ".otf", ".ttc", ".otc")
MOST_FILES = 20_000
FONTCONFIG_S = 10.0  # its first run on a machine reads every font
LARGEST_CMAP = 4_000_000  # bytes


def _named(families: str) -> tuple[str, ...]:
    return tuple(families.split())


# Families that suit a printed page, and a screen read from afar; the first that has the characters is taken.
_LIKED: dict[Style, tuple[str, ...]] = {
    "serif": _named("""
        ebgaramond garamond librebaskerville baskerville hoeflertext hoefler caslon palatino pala georgia librecaslon
        liberationserif timesnewroman times tinos notoserif notonaskh amiri scheherazade geezapro alnile frankruehl
        davidlibre david sourcehanserif songti stsong simsun nsimsun mingliu hiraginomincho yumincho batang
        nanummyeongjo applemyungjo kohinoor dejavuserif freeserif"""),
    "sans": _named("""
        notosans sourcesans opensans inter roboto segoeui helveticaneue helvetica arial liberationsans notokufi geezapro
        sourcehansans pingfang hiraginosans yugoth msyh microsoftyahei msjh meiryo malgun applesdgothic nirmala mangal
        kohinoor tahoma dejavusans freesans"""),
}
_ITALIC = re.compile(r"italic|oblique|slanted")
_HEAVY = re.compile(r"bold|black|heavy|thin|light|medium|condensed|narrow|extended|ultra|oldstyle|smallcaps")
_NEVER = re.compile(r"emoji|icon|awesome|dingbats|webding|wingding|braille|barcode|lastresort|adobeblank|notdef")
_ODD = re.compile(
    r"mono|typewriter|courier|math|music|symbol|looped|nastaliq|unjoined|rashi|sansserif|display|ui(?:$|-)"
)
# Windows shortens names: timesbd.ttf is Times New Roman Bold.
_WINDOWS = re.compile(
    r"(times|georgia|pala|arial|segoeui|calibri|cambria|constan|tahoma|verdana)(b|bd|bi|z|i|l|sl|li|il)"
)


@dataclass(frozen=True)
class Face:
    """A font file; `starts` and `ends` are the ranges of characters that it has, both ends counted."""

    path: Path
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def has(self, characters: Iterable[str]) -> bool:
        """Whether it has a glyph for each of them."""
        for character in characters:
            place = bisect_right(self.starts, ord(character)) - 1
            if place < 0 or ord(character) > self.ends[place]:
                return False
        return True


class Fonts:
    """A set of font files."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)
        self._order: dict[tuple[Style, bool], tuple[Path, ...]] = {}
        self._faces: dict[Path, Face | None] = {}
        self._found: dict[tuple[frozenset[str], Style, bool], Face | None] = {}
        self._lock = threading.RLock()

    @staticmethod
    def of_system() -> "Fonts":
        """Those that are installed; looked for once in a process."""
        return _system()

    def face(self, characters: str, style: Style, italic: bool = False) -> Face | None:
        """The font that suits best of those that have all of these characters."""
        key = frozenset(characters), style, italic
        with self._lock:
            if key not in self._found:
                if len(self._found) > 4096:
                    self._found.clear()
                self._found[key] = self._look(key[0], style, italic)
            return self._found[key]

    def _look(self, characters: frozenset[str], style: Style, italic: bool) -> Face | None:
        kind = style, italic
        if kind not in self._order:
            ranked = sorted((_rank(file.stem, style, italic), file.stem.lower(), str(file)) for file in self._files)
            self._order[kind] = tuple(Path(name) for rank, _, name in ranked if rank < _OUT)
        for file in self._order[kind]:
            if file not in self._faces:
                self._faces[file] = read_face(file)
            face = self._faces[file]
            if face is not None and face.has(characters):
                return face
        own = _pillows()
        return own if own is not None and own.has(characters) else None


_OUT = 1000


def _rank(stem: str, style: Style, italic: bool) -> int:
    """How badly a font of that file name suits; _OUT: not at all."""
    name = stem.lower().replace(" ", "").replace("_", "-")
    if _NEVER.search(name):
        return _OUT
    family, slanted, heavy = name.replace("-", ""), bool(_ITALIC.search(name)), bool(_HEAVY.search(name))
    if short := _WINDOWS.fullmatch(name):
        family, suffix = short[1], short[2]
        slanted, heavy = suffix in ("i", "z", "bi", "li", "il"), suffix != "i"
    liked = _LIKED[style]
    rank = next((n for n, start in enumerate(liked) if family.startswith(start)), len(liked))
    if rank == len(liked) and ("serif" in name and "sans" not in name) != (style == "serif"):
        rank += 10
    return rank + 200 * heavy + 100 * (slanted != italic and (slanted or not italic)) + 20 * bool(_ODD.search(name))


def read_face(path: Path) -> Face | None:
    """A font file's characters; None for what is none, or is damaged."""
    with suppress(OSError, struct.error, ValueError, IndexError), path.open("rb") as file:
        return _read(path, file)
    return None


@cache
def _pillows() -> Face | None:
    """The Latin font that comes within Pillow: better than nothing on a machine without fonts."""
    from PIL import ImageFont

    with suppress(ImportError, OSError, struct.error, ValueError, IndexError):  # Pillow without FreeType has none
        font = ImageFont.load_default(16)
        if isinstance(font, ImageFont.FreeTypeFont):
            return _read(PILLOWS, io.BytesIO(font.font_bytes))
    return None


def _read(path: Path, file: BinaryIO) -> Face | None:
    with file:
        head = file.read(12)
        start = 0
        if head[:4] == b"ttcf":
            start = struct.unpack(">I", file.read(4))[0]
            file.seek(start)
            head = file.read(12)
        if head[:4] not in (b"\0\1\0\0", b"OTTO", b"true"):
            return None
        for tag, _, offset, length in struct.iter_unpack(">4sIII", file.read(16 * struct.unpack(">H", head[4:6])[0])):
            if tag == b"cmap":
                file.seek(offset)
                ranges = _characters(file.read(min(length, LARGEST_CMAP)))
                return Face(path, tuple(a for a, _ in ranges), tuple(b for _, b in ranges)) if ranges else None
    return None


def _characters(cmap: bytes) -> list[tuple[int, int]]:
    """The ranges of a cmap table (OpenType 1.9, "cmap": formats 4 and 12)."""
    best: tuple[int, int] = (-1, 0)
    for n in range(struct.unpack_from(">H", cmap, 2)[0]):
        platform, encoding, offset = struct.unpack_from(">HHI", cmap, 4 + 8 * n)
        worth = {(3, 10): 4, (0, 4): 3, (0, 6): 3, (3, 1): 2, (0, 3): 1}.get((platform, encoding), -1)
        best = max(best, (worth, offset))
    worth, at = best
    if worth < 0:
        return []
    form = struct.unpack_from(">H", cmap, at)[0]
    found = _format_12(cmap, at) if form == 12 else _format_4(cmap, at) if form == 4 else []
    merged: list[tuple[int, int]] = []
    for a, b in sorted(found):
        if merged and a <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(b, merged[-1][1])
        else:
            merged.append((a, b))
    return merged


def _format_12(cmap: bytes, at: int) -> list[tuple[int, int]]:
    count = min(struct.unpack_from(">I", cmap, at + 12)[0], (len(cmap) - at - 16) // 12)
    groups = np.frombuffer(cmap, ">u4", 3 * count, at + 16).reshape(count, 3).tolist()
    return [(a + (glyph == 0), b) for a, b, glyph in groups if a + (glyph == 0) <= b]


def _format_4(cmap: bytes, at: int) -> list[tuple[int, int]]:
    count = struct.unpack_from(">H", cmap, at + 6)[0] // 2
    ends, starts, deltas, offsets = (
        np.frombuffer(cmap, ">u2", count, at + place).astype(int)
        for place in (14, 16 + 2 * count, 16 + 4 * count, 16 + 6 * count)
    )
    found: list[tuple[int, int]] = []
    for n, (a, b, delta, offset) in enumerate(zip(starts, ends, deltas, offsets, strict=True)):
        if a > b or a == 0xFFFF:
            continue
        if offset == 0:
            missing = [c for c in [-delta & 0xFFFF] if a <= c <= b]  # the one that is glyph 0, which is a box
            found += _without(int(a), int(b), missing)
            continue
        first = at + 16 + 6 * count + 2 * n + int(offset)
        glyphs = np.frombuffer(cmap, ">u2", min(b - a + 1, max((len(cmap) - first) // 2, 0)), first)
        found += [(int(a) + int(k), int(a) + int(k)) for k in np.flatnonzero(glyphs)]
    return found


def _without(a: int, b: int, missing: list[int]) -> list[tuple[int, int]]:
    if not missing:
        return [(a, b)]
    return [(x, y) for x, y in ((a, missing[0] - 1), (missing[0] + 1, b)) if x <= y]


@cache
def _system() -> Fonts:
    return Fonts(_from_fontconfig() or _from_folders(folders()))


def _from_fontconfig() -> list[Path]:
    with suppress(OSError, subprocess.SubprocessError, UnicodeDecodeError):
        done = subprocess.run(
            ["fc-list", "--format", "%{file}\n"], capture_output=True, timeout=FONTCONFIG_S, stdin=subprocess.DEVNULL
        )
        lines = sorted(set(done.stdout.decode().splitlines()))
        return [Path(line) for line in lines[:MOST_FILES] if line.lower().endswith(ENDINGS)]
    return []


def folders() -> list[Path]:
    """Where fonts are usually kept on this system."""
    home = Path(os.path.expanduser("~"))
    if sys.platform == "win32":
        local = Path(os.environ.get("LOCALAPPDATA", home / "AppData/Local"))
        return [Path(os.environ.get("WINDIR", "C:/Windows")) / "Fonts", local / "Microsoft/Windows/Fonts"]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    shared = [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path("/usr/share/X11/fonts/TTF")]
    return [*shared, home / ".local/share/fonts", home / ".fonts"]


def _from_folders(places: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for place in places:
        for folder, inner, names in os.walk(place):
            inner.sort()
            found += [Path(folder, name) for name in sorted(names) if name.lower().endswith(ENDINGS)]
            if len(found) >= MOST_FILES:
                return found[:MOST_FILES]
    return found
