"""What a show adds to its model: LoRAs, each with a strength that can be moved, and embeddings, which teach it words.

    PART = Part(params, {"lora": read_loras, "embedding": read_embeddings})
    loras = show.things["lora"]                  # (Lora("clay", "/…/clay.safetensors"), ...)

Plain data, any process; no torch. The files themselves are looked at in addition_files.py.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.show.params import Param, Registry, nearest_word, shown, slug
from engine.show.part import Part, Report, Table, Things

MOST_LORAS = 8
MOST_EMBEDDINGS = 64
WEAKEST, STRONGEST = -1.0, 2.0
_WORD = re.compile(r"[^\s()\[\]\\:|]{2,40}")  # brackets and colons are the marks of words with weights


@dataclass(frozen=True)
class Lora:
    """A LoRA of a show: its strength is the parameter `lora.<name>`. strength: the one that it begins with."""

    name: str
    file: str
    strength: float = 1.0

    @property
    def parameter(self) -> str:
        return f"lora.{self.name}"


@dataclass(frozen=True)
class Embedding:
    """A word that the show's model is taught."""

    word: str
    file: str


def loras_of(things: Things, values: Mapping[str, Any]) -> tuple[Lora, ...]:
    """A show's LoRAs, with the strengths that they begin with."""
    return tuple(replace(lora, strength=float(values[lora.parameter])) for lora in things.get("lora", ()))


def _params(things: Things) -> list[Param]:
    return [
        Param(lora.parameter, "number", 1.0,
              f"Strength of the LoRA {Path(lora.file).name}: 0 leaves the model as it is, 1 is as it was made, below 0 "
              "turns it round.",
              WEAKEST, STRONGEST, smoothing_s=0.5, lands="keyframe")
        for lora in things.get("lora", ())
    ]  # fmt: skip


def read_loras(content: object, report: Report) -> Table:
    """[[lora]]: tables with file and, where they are needed, strength and name."""
    found: dict[str, Lora] = {}
    strengths: dict[str, object] = {}
    for key, entry in _entries("lora", content, MOST_LORAS, ("file", "strength", "name"), report):
        file = _file(key, entry, report)
        name = entry.get("name", slug(Path(file).stem) if file else "")
        if not isinstance(name, str) or (not name and "name" in entry) or slug(name) != name:
            must_be = "a name of a-z, 0-9 and _, at most 32 characters (its address is /lora/<name>)"
            report(f"{key} name", must_be, shown(name), slug(name) if isinstance(name, str) else None)
        elif name in found:
            report(f"{key} name", "a name that no other LoRA has", shown(name))
        elif file and not name:
            report(f"{key} name", "given, as there is none to be made of the file's", "nothing")
        elif file:
            found[name] = Lora(name, file)
            if "strength" in entry:
                strengths[f"lora.{name}"] = entry["strength"]
    return Table(tuple(found.values()), strengths)


def read_embeddings(content: object, report: Report) -> Table:
    """[[embedding]]: tables with file and word."""
    found: dict[str, Embedding] = {}
    for key, entry in _entries("embedding", content, MOST_EMBEDDINGS, ("file", "word"), report):
        file = _file(key, entry, report)
        word = entry.get("word", Path(file).stem)
        if not isinstance(word, str) or _WORD.fullmatch(word) is None:
            must_be = "one word of 2 to 40 characters, without spaces, brackets, colons, bars and backslashes"
            report(f"{key} word", must_be, shown(word))
        elif word.lower() in found:
            report(f"{key} word", "a word that no other embedding has", shown(word))
        elif file:
            found[word.lower()] = Embedding(word, file)
    return Table(tuple(found.values()))


def _entries(
    table: str, content: object, most: int, keys: Sequence[str], report: Report
) -> list[tuple[str, dict[str, Any]]]:
    """The tables of that name that are tables, each with what messages call it."""
    if content is None:
        return []
    if not isinstance(content, list):
        report(f"[[{table}]]", f"a table, with [[{table}]] on a line of its own", shown(content))
        return []
    if len(content) > most:
        report(f"[[{table}]]", f"there at most {most} times", str(len(content)))
    good = []
    for n, entry in enumerate(content, 1):
        key = f"[[{table}]] {n}"
        if not isinstance(entry, dict):
            report(key, f"a table with {' and '.join(keys)}", shown(entry))
            continue
        for unknown in entry.keys() - set(keys):
            report(key, f"made of {', '.join(keys)}", shown(unknown), nearest_word(unknown, keys))
        good.append((key, entry))
    return good


def _file(key: str, entry: Mapping[str, Any], report: Report) -> str:
    file = entry.get("file")
    if isinstance(file, str) and file.strip() and "\0" not in file:
        return file.strip()
    report(f"{key} file", "the name of a .safetensors file", shown(file))
    return ""


def _finish(things: Things, registry: Registry, path: Path, report: Report) -> Things:
    """Files lie beside the show's, where they are not named from the root."""

    def beside(file: str) -> str:
        return os.path.abspath(path.parent / os.path.expanduser(file))

    tables = ("lora", "embedding")
    return {name: tuple(replace(one, file=beside(one.file)) for one in things.get(name, ())) for name in tables}


PART = Part(_params, {"lora": read_loras, "embedding": read_embeddings}, _finish)
