"""Sets type: a text of any script as lines of ink, in the fonts of this machine.

    setting = typeset("torn pages", fonts, Measure(em_px=24, width_px=300))
    setting.ink                                       # (H, W) uint8 coverage, top row first, cropped to the ink

Raises NotSet where no font has a script, so that nobody sees boxes. Takes milliseconds, and reads font files: for a
worker's thread (worker.py), or a film's. Pillow's raqm shapes and orders the letters of one font; here a text is broken
into lines and into runs of one font and one direction, which are put in order by the two lowest levels of the Unicode
bidirectional algorithm (UAX #9): a text that runs one way, with words that run the other.
"""

import io
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.stage.fonts import PILLOWS, Face, Fonts, Style

LONGEST = 400  # characters that are looked at
JOINERS = "\u200c\u200d"
_IDEOGRAPHS = re.compile(r"[\u2e80-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_NOT_FIRST = set("、。，．：；？！）」』】〉》〕ーぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ々％…")
_NOT_LAST = set("（「『【〈《〔")
# Scripts whose letters change with their neighbours; Pillow alone would set them wrong.
_SHAPED = re.compile(
    "ARABIC|SYRIAC|MONGOLIAN|NKO|DEVANAGARI|BENGALI|GURMUKHI|GUJARATI|ORIYA|TAMIL|TELUGU|KANNADA|MALAYALAM|SINHALA|"
    "KHMER|MYANMAR|TIBETAN|LAO|THAI|JAVANESE|BALINESE|ADLAM"
)


class NotSet(Exception):
    """A text that cannot be set here; `reason` is the same for all texts that fail alike."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Measure:
    """How type is to be set. em_px: the size of the type; width_px: of a line at most; leading: of lines, in ems."""

    em_px: float
    width_px: float
    style: Style = "serif"
    most_lines: int = 3
    leading: float = 1.3
    emphasis: bool = False  # whether *asterisks* mean italics
    centred: bool = False  # whether lines stand one under the other's middle
    dots: bool = False  # whether a text that does not fit ends in an ellipsis; else it is torn off


@dataclass(frozen=True)
class Setting:
    """Lines of type as ink, cropped."""

    ink: NDArray[np.uint8]  # (H, W) coverage, top row first
    lines: int
    whole: bool  # whether all of the text is there
    rightward: bool  # whether it is read from left to right


@dataclass(frozen=True)
class _Letter:
    text: str
    face: Face
    italic: bool
    rightward: bool


Run = list[_Letter]


def typeset(text: str, fonts: Fonts, measure: Measure) -> Setting:
    """Sets a text. Raises NotSet, also for one with nothing to be seen in it."""
    letters, rightward = _letters(text, fonts, measure)
    if not any(letter.text.strip() for letter in letters):
        raise NotSet("there is nothing to be seen in it")
    lines, whole = _broken(letters, measure)
    if not whole and measure.dots:
        lines[-1] = _dotted(lines[-1], measure)
    return Setting(_drawn(lines, rightward, measure), len(lines), whole, rightward)


def can_shape() -> bool:
    """Whether Pillow has raqm, which most scripts beside Latin, Greek and Chinese need."""
    from PIL import features

    return bool(features.check("raqm"))


def _letters(text: str, fonts: Fonts, measure: Measure) -> tuple[Run, bool]:
    """Every character with its font and direction, and the direction of the whole. Raises NotSet."""
    spans = [(text[:LONGEST], False)]
    if measure.emphasis:
        spans = [(part, n % 2 == 1) for n, part in enumerate(text[:LONGEST].split("*"))]
    marked = [(c, italic) for part, italic in spans for c in _clean(part)]
    scripts = _scripts([c for c, _ in marked])
    _check_shaping(set(scripts))
    chosen: dict[tuple[str, bool], Face] = {}
    for script, italic in {(s, i) for s, (_, i) in zip(scripts, marked, strict=True) if s}:
        own = {c for (c, i), s in zip(marked, scripts, strict=True) if s == script and i == italic and c not in JOINERS}
        face = fonts.face("".join(own) + " ", measure.style, italic) or fonts.face("".join(own), measure.style, italic)
        if face is None:
            raise NotSet(f"no font here has these {script.title()} letters")
        chosen[script, italic] = face
    rightward = _base(marked)
    directions = _directions([c for c, _ in marked], rightward)
    return _with_faces(marked, scripts, chosen, directions, fonts, measure), rightward


def _with_faces(
    marked: Sequence[tuple[str, bool]],
    scripts: Sequence[str],
    chosen: dict[tuple[str, bool], Face],
    directions: Sequence[bool],
    fonts: Fonts,
    measure: Measure,
) -> Run:
    """What belongs to no script, such as a comma, is set in its neighbour's font; what no font has is left out."""
    letters: Run = []
    ahead = [chosen[s, i] for s, (_, i) in zip(scripts, marked, strict=True) if s]
    near = ahead[0] if ahead else None
    for (c, italic), script, rightward in zip(marked, scripts, directions, strict=True):
        if script:
            near = chosen[script, italic]
        face = near if near is not None and (c in JOINERS or near.has(c)) else fonts.face(c, measure.style, italic)
        if face is not None:
            letters.append(_Letter(c, face, italic, rightward))
    return letters


def _clean(text: str) -> str:
    """Without what has no shape; every space is one space."""
    text = unicodedata.normalize("NFC", text)
    kept = (c if c in JOINERS or unicodedata.category(c)[0] not in "CZ" else " " for c in text if not _is_hidden(c))
    return re.sub(r" +", " ", "".join(kept))


def _is_hidden(c: str) -> bool:
    return c not in JOINERS and (unicodedata.category(c) in ("Cf", "Co", "Cn", "Cs") or "\ufe00" <= c <= "\ufe0f")


def _scripts(text: Sequence[str]) -> list[str]:
    """The script of each character by its Unicode name, "" of what belongs to none; marks go with their letter."""
    found: list[str] = []
    for c in text:
        category = unicodedata.category(c)[0]
        if c in JOINERS or category == "M":
            found.append(found[-1] if found else "")
        else:
            found.append(_script(c) if category == "L" else "")
    return found


@lru_cache(maxsize=4096)
def _script(c: str) -> str:
    name = unicodedata.name(c, "UNKNOWN").split()[0]
    return "CHINESE" if name.startswith("CJK") else name


def _check_shaping(scripts: set[str]) -> None:
    if (shaped := sorted(script for script in scripts if _SHAPED.fullmatch(script))) and not can_shape():
        raise NotSet(f"{shaped[0].title()} needs Pillow with raqm, which is missing here")


def _base(marked: Sequence[tuple[str, bool]]) -> bool:
    """Whether a text runs from left to right: the direction of its first letter (UAX #9, P2)."""
    for c, _ in marked:
        kind = unicodedata.bidirectional(c)
        if kind in ("L", "R", "AL"):
            return kind == "L"
    return True


def _directions(text: Sequence[str], base: bool) -> list[bool]:
    """Direction of each character. What has none takes that of both neighbours, or else that of the whole (N1, N2)."""
    strong: list[bool | None] = []
    for c in text:
        kind = unicodedata.bidirectional(c)
        strong.append(kind == "L" if kind in ("L", "R", "AL") else None)
    before, found = base, []
    after = [base] * (len(text) + 1)
    for n in range(len(text) - 1, -1, -1):
        after[n] = after[n + 1] if strong[n] is None else bool(strong[n])
    for n, own in enumerate(strong):
        found.append(own if own is not None else before if before == after[n] else base)
        before = before if own is None else own
    return found


def _broken(letters: Run, measure: Measure) -> tuple[list[Run], bool]:
    """The lines, as even as they can be, and whether all of the text is in them."""
    pieces = [part for word in _words(letters) for part in _fitting(word, measure)]
    widths = [_width(piece, measure.em_px) for piece in pieces]
    gap = _width([_space(pieces[0])], measure.em_px)
    lines = _filled(pieces, widths, gap, measure.width_px)
    if len(lines) > measure.most_lines:
        return lines[: measure.most_lines], False
    low, high = measure.width_px / max(len(lines), 1) / 2, measure.width_px
    for _ in range(7):  # the narrowest width that takes as many lines makes them even
        middle = (low + high) / 2
        tried = _filled(pieces, widths, gap, middle)
        if len(tried) <= len(lines) and max(widths) <= middle:
            high, lines = middle, tried
        else:
            low = middle
    return lines, True


def _filled(pieces: Sequence[Run], widths: Sequence[float], gap: float, width_px: float) -> list[Run]:
    lines: list[Run] = []
    across = 0.0
    for piece, width in zip(pieces, widths, strict=True):
        spaced = piece[0].text == " "
        if lines and across + width + gap * spaced <= width_px:
            lines[-1] = lines[-1] + piece
            across += width
        else:
            lines.append(piece[1:] if spaced else piece)
            across = width - gap * spaced
    return lines


def _words(letters: Run) -> list[Run]:
    """What stays together: words with the space before them, and ideographs one by one."""
    words: list[Run] = []
    for n, letter in enumerate(letters):
        before = letters[n - 1].text if n else " "
        wide = bool(_IDEOGRAPHS.match(letter.text) or _IDEOGRAPHS.match(before))
        apart = wide and letter.text not in _NOT_FIRST and before not in _NOT_LAST
        if unicodedata.category(letter.text)[0] == "M" or letter.text in JOINERS:
            apart = False
        if n == 0 or letter.text == " " or (apart and before != " "):
            words.append([letter])
        else:
            words[-1].append(letter)
    words = [word for word in words if any(letter.text != " " for letter in word)]
    if words and words[0][0].text == " ":
        words[0] = words[0][1:]
    return words


def _fitting(word: Run, measure: Measure) -> list[Run]:
    """A word, parted where it is wider than a line; never between a letter and its marks."""
    if _width(word, measure.em_px) <= measure.width_px:
        return [word]
    parts: list[Run] = [[]]
    for n, letter in enumerate(word):
        bound = unicodedata.category(letter.text)[0] == "M" or letter.text in JOINERS
        joined = n > 0 and (unicodedata.combining(word[n - 1].text) == 9 or word[n - 1].text in JOINERS)
        if parts[-1] and not bound and not joined and _width([*parts[-1], letter], measure.em_px) > measure.width_px:
            parts.append([])
        parts[-1].append(letter)
    return parts


def _dotted(line: Run, measure: Measure) -> Run:
    """A last line with an ellipsis, shortened as far as that needs room."""
    last = line[-1]
    dots = [_Letter("…" if last.face.has("…") else ".", last.face, last.italic, last.rightward)]
    while len(line) > 1 and (_width(line + dots, measure.em_px) > measure.width_px or line[-1].text in " ,;:"):
        line = line[:-1]
    return line + dots


def _space(near: Run) -> _Letter:
    return _Letter(" ", near[0].face, near[0].italic, near[0].rightward)


def _runs(line: Run, rightward: bool) -> list[Run]:
    """Runs of one font and one direction, in the order in which they stand from left to right."""
    stretches: list[list[Run]] = []
    for letter in line:
        if not stretches or stretches[-1][-1][-1].rightward != letter.rightward:
            stretches.append([[letter]])
        elif (last := stretches[-1][-1][-1]).face is not letter.face or last.italic != letter.italic:
            stretches[-1].append([letter])
        else:
            stretches[-1][-1].append(letter)
    ordered = stretches if rightward else stretches[::-1]
    return [run for part in ordered for run in (part if part[0][0].rightward else part[::-1])]


def _width(line: Run, em_px: float) -> float:
    return sum(_length(run, em_px) for run in _runs(line, True))


def _length(run: Run, em_px: float) -> float:
    return float(_font(run[0].face.path, em_px).getlength(_text(run), **_way(run)))


def _text(run: Run) -> str:
    """What Pillow is to draw: without raqm, from left to right as it is seen."""
    text = "".join(letter.text for letter in run)
    return text if run[0].rightward or can_shape() else text[::-1]


def _way(run: Run) -> dict[str, Any]:
    return {"direction": "ltr" if run[0].rightward else "rtl"} if can_shape() else {}


@lru_cache(maxsize=64)
def _font(path: Path, em_px: float) -> Any:
    from PIL import ImageFont

    try:
        if path == PILLOWS:
            own: Any = ImageFont.load_default(16)  # which is never shaped, however large it is asked for
            return ImageFont.truetype(io.BytesIO(own.font_bytes), em_px)
        return ImageFont.truetype(str(path), em_px)
    except OSError as error:
        raise NotSet(f"the font {path.name} cannot be read") from error


@cache
def _room(path: Path, em_px: float) -> tuple[int, int]:
    """Ascent and descent of a font, px."""
    ascent, descent = _font(path, em_px).getmetrics()
    return int(ascent), int(descent)


def _drawn(lines: Sequence[Run], rightward: bool, measure: Measure) -> NDArray[np.uint8]:
    """(H, W) uint8: the ink of all lines, cropped."""
    from PIL import Image, ImageDraw

    em = measure.em_px
    used = {letter.face.path for line in lines for letter in line}
    up = max(_room(path, em)[0] for path in used)
    down = max(_room(path, em)[1] for path in used)
    step = max(measure.leading * em, 0.92 * (up + down))
    edge = int(em)
    widths = [_width(line, em) for line in lines]
    size = int(max(widths)) + 2 * edge, int(step * (len(lines) - 1)) + up + down + 2 * edge
    image = Image.new("L", size)
    draw = ImageDraw.Draw(image)
    for n, (line, width) in enumerate(zip(lines, widths, strict=True)):
        spare = max(widths) - width
        left = edge + (spare / 2 if measure.centred else 0.0 if rightward else spare)
        for run in _runs(line, rightward):
            font = _font(run[0].face.path, em)
            draw.text((left, edge + up + step * n), _text(run), font=font, fill=255, anchor="ls", **_way(run))
            left += _length(run, em)
    box = image.getbbox()
    if box is None:
        raise NotSet("there is nothing to be seen in it")
    return np.asarray(image.crop(box))
