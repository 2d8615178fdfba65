"""What is said of a picture, in words: the texts that its waypoint names, and the share of each.

    for part in told(waypoint, palettes): part.text, part.share
    plain("(a whale:1.2), oil on canvas, 8k")       # "a whale"

Pure functions of plain data; any thread.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from engine.walk.palette import Palette
from engine.walk.waypoint import Waypoint

LONGEST = 56  # characters of a text that is told
TORN = 0.15  # from here on all sheets that lie in the water have an equal part in the picture
FAINT = 0.004  # a share of which nothing is told
# What prompts have beside words: files to be loaded, weights, brackets for emphasis.
_TAGS = re.compile(r"<[^>]*>|:\s*-?\d+(?:\.\d+)?(?=\s*[)\]])|[()\[\]{}*_|<>]|[+-]{2,}")
_CLAUSE = re.compile(r"\s*(?:[,;:.!?](?=\s|$)|[、，。；！？،؛؟।]|\s[-–—]\s|[\r\n])\s*")
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")  # scripts that need few letters


@dataclass(frozen=True)
class Told:
    """One text and its share in a picture, 0..1."""

    text: str
    share: float
    place: int  # where it stands among all that is said: one palette's words keep their order


def told(waypoint: Waypoint, palettes: Mapping[str, Palette]) -> tuple[Told, ...]:
    """All that is said in the picture, the same text once, the largest share first. palettes: by their ids; of one
    that is missing nothing is told."""
    found: dict[str, Told] = {}
    sheets, torn = waypoint.sheets, 0.0 if waypoint.liquid is None else waypoint.liquid.torn
    others = min(torn / TORN, 1.0) / len(sheets)  # of each sheet beside the waypoint's own
    parts = [
        (1.0 - others * (len(sheets) - 1) if n == 0 else others, wording)
        for n, sheet in enumerate(sheets)
        for wording in sheet.words
    ]
    place = 0
    for part, wording in parts:
        prompts = palettes[wording.palette].prompts if wording.palette in palettes else ()
        for prompt, weight in zip(prompts, wording.weights, strict=False):
            share, before = part * wording.share * weight, found.get(prompt)
            if before is not None:
                found[prompt] = Told(prompt, before.share + share, before.place)
            elif share > FAINT:
                found[prompt] = Told(prompt, share, place)
            place += 1
    return tuple(sorted(found.values(), key=lambda part: (-part.share, part.place)))


def plain(prompt: str, longest: int = LONGEST) -> str:
    """A prompt as one would say it: its first clause, without weights, brackets and what follows."""
    first = clauses(prompt, longest)
    return first[0] if first else ""


def clauses(prompt: str, longest: int = LONGEST) -> list[str]:
    """A prompt's clauses, each shortened to `longest` characters; a lone "a" or "8k" at the start is no clause."""
    text = " ".join(_TAGS.sub(" ", prompt[:4000]).split())
    parts = [part for part in (clause.strip(" ,;:.-–—\"'“”„«»") for clause in _CLAUSE.split(text)) if part]
    if len(parts) > 1 and len(parts[0]) < 4 and not _WIDE.search(parts[0]):
        parts = [f"{parts[0]}, {parts[1]}", *parts[2:]]
    return [shortened(part, longest) for part in parts]


def shortened(text: str, longest: int = LONGEST) -> str:
    """A text of at most so many characters, or half as many of a script that needs few, cut between words."""
    most = longest // 2 if _WIDE.search(text) else longest
    if len(text) <= most:
        return text
    cut = text[: most - 1]
    whole = cut.rpartition(" ")[0]
    return (whole if len(whole) > most // 2 else cut).rstrip(" ,;:") + "…"
