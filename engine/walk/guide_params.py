"""What guides add to a show: pictures from outside that steer what is dreamt, by name, and how strongly.

    [guide.drawings]
    source = "./drawings/"          # a folder, a picture, a video, "camera:0" or "memory:12"

    [guide]
    source = "drawings"
    strength = 0.4

What comes from outside chooses among their names, and never names a file. Plain data, any process.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from engine.show.params import TEXT_MAX, Param, Registry, nearest_word, shown, slug
from engine.show.part import Part, Report, Table, Things

MAX_GUIDES = 32
NO_GUIDE = "none"
CAMERA, MEMORY = "camera:", "memory:"
_TAKEN = (NO_GUIDE, "source", "strength", "outline", "likeness", "blend", "every", "fit", "mirror", "shuffle")
_ADDRESS = re.compile(r"\d{1,3}|[a-z0-9_]+://\S+|[a-z0-9_]+:[^/].*|[a-z0-9_]+:/[^/].*")
_SOURCE = 'a picture, a folder or a video (source = "./drawings/"), "camera:0" or "memory:12"'


@dataclass(frozen=True)
class GuideSource:
    """Where pictures come from. source: an absolute path, camera:ADDRESS or memory:NUMBER."""

    name: str
    source: str

    @property
    def is_live(self) -> bool:
        """Whether what it shows is there only now, so that a film can have it from a take alone."""
        return self.source.startswith((CAMERA, MEMORY))


def _params(things: Things) -> list[Param]:
    names = tuple(guide.name for guide in things.get("guide", ()))
    return [
        Param("guide.source", "choice", names[0] if names else NO_GUIDE,
              "Which of the show's guides steers: a picture, a folder, a video, a camera or a memory.",
              choices=(NO_GUIDE, *names), lands="keyframe"),
        Param("guide.strength", "number", 0.0,
              "How much of the guide's picture is in the dream: 0 is the pure walk, 1 the picture itself.",
              0, 1, smoothing_s=0.3, lands="keyframe"),
        Param("guide.outline", "number", 0.0,
              "How closely the dream keeps the guide's lines, with a model that has a ControlNet.",
              0, 2, smoothing_s=0.3, lands="keyframe"),
        Param("guide.likeness", "number", 0.0,
              "How much the guide counts as a prompt of its own, with a model that has an IP-Adapter.",
              0, 1, smoothing_s=0.3, lands="keyframe"),
        Param("guide.blend", "number", 1.0, "How long one picture of a guide takes to give way to the next.",
              0, 60, "s", "square"),
        Param("guide.every", "number", 10.0, "How long each picture of a folder stays.", 0.1, 3600, "s", "log",
              lands="keyframe"),
        Param("guide.fit", "choice", "cover",
              "How a guide's picture fills the dream's: cover crops it, contain shows it whole, its edges drawn out.",
              choices=("cover", "contain"), lands="keyframe"),
        Param("guide.mirror", "switch", False, "Turns the guide's picture left to right, as a mirror does.",
              lands="keyframe"),
        Param("guide.shuffle", "switch", False,
              "Whether a folder's pictures come in an order drawn by the show's seed, and not by name.",
              lands="keyframe"),
    ]  # fmt: skip


def read_guides(content: object, report: Report) -> Table:
    """[guide.NAME]: tables with a source each; all else in [guide] are values of parameters."""
    if content is not None and not isinstance(content, Mapping):
        report("guide", "tables such as [guide.drawings]", "[[guide]]" if isinstance(content, list) else shown(content))
        return Table(())
    found: list[GuideSource] = []
    values: dict[str, object] = {}
    for name, entry in (content or {}).items():
        key = f"[guide.{name}]"
        if not isinstance(entry, Mapping):
            values[f"guide.{name}"] = entry
            continue
        for unknown in sorted(entry.keys() - {"source"}):
            report(key, "made of source", shown(unknown), nearest_word(unknown, ["source"]))
        if slug(name) != name or name in _TAKEN:
            must_be = f"called by a-z, 0-9 and _, at most 32 characters, and not {', '.join(_TAKEN)}"
            report(key, must_be, shown(name), None if slug(name) in _TAKEN else slug(name) or None)
        elif not _is_source(entry.get("source")):
            report(f"{key} source", _SOURCE, shown(entry.get("source")))
        else:
            found.append(GuideSource(name, str(entry["source"]).strip()))
    if len(found) > MAX_GUIDES:
        report("[guide.NAME]", f"there at most {MAX_GUIDES} times", str(len(found)))
    return Table(tuple(found[:MAX_GUIDES]), values)


def _is_source(source: object) -> bool:
    if not isinstance(source, str) or not source.strip() or len(source) > TEXT_MAX or "\0" in source:
        return False
    text = source.strip()
    if text.startswith(CAMERA):
        return _ADDRESS.fullmatch(text.removeprefix(CAMERA)) is not None
    if text.startswith(MEMORY):
        return re.fullmatch(r"[0-9]{1,9}", text.removeprefix(MEMORY)) is not None
    return True


def _finish(things: Things, registry: Registry, path: Path, report: Report) -> Things:
    """Files lie beside the show's own."""
    placed = [
        guide if guide.is_live
        else replace(guide, source=os.path.abspath(path.parent / os.path.expanduser(guide.source)))
        for guide in things.get("guide", ())
    ]  # fmt: skip
    return {"guide": tuple(placed)}


PART = Part(_params, {"guide": read_guides}, _finish)
