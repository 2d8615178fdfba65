"""What is checked of [[map]] beyond each one for itself, and the reader of [smoothing].

    check_combine(entries, content, report, line_at); check_circles(entries, registry, report, line_at)

Plain data, any process.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeGuard

from engine.control.map_entry import Entry, MapTable
from engine.show.params import Registry, nearest_word, shown
from engine.show.part import Report

LineAt = Callable[[int, str], int | None]  # the line of a key of the so-manieth [[map]]; of its header for ""
LONGEST_S = 600.0


def place(number: int, key: str, line_at: LineAt, at: str = "") -> str:
    """What a message is about: `[[map]] 2 curve (line 31)`. at: the key whose line it is, where that is another."""
    line = line_at(number, at or key)
    return " ".join([f"[[map]] {number}", *([key] if key else []), *([f"(line {line})"] if line else [])])


def check_combine(entries: list[Entry], content: Sequence[Any], report: Report, line_at: LineAt) -> None:
    """Those that drive one parameter must agree on how; who says nothing follows the others."""
    said: dict[str, Entry] = {}
    for entry in entries:
        if "combine" not in content[entry.number - 1]:
            continue
        first = said.setdefault(entry.to, entry)
        if first.combine != entry.combine:
            must_be = f"{first.combine}, as [[map]] {first.number} has it for the same parameter"
            report(place(entry.number, "combine", line_at), must_be, repr(entry.combine))
    for n, entry in enumerate(entries):
        if entry.to in said and entry.takeover == "jump":
            entries[n] = replace(entry, combine=said[entry.to].combine)


def check_circles(entries: Sequence[Entry], registry: Registry, report: Report, line_at: LineAt) -> None:
    """A parameter's own address may be mapped to another parameter, but not round to itself again."""
    ways: dict[str, dict[str, Entry]] = {}
    own = MapTable(entries)
    for param in registry.values():
        for entry in own.find(param.address) if param.live else ():
            if entry.to != param.name:  # one onto itself takes the place of the plain address
                ways.setdefault(param.name, {})[entry.to] = entry
    told: set[str] = set()
    for start in ways:
        path = _circle(ways, start)
        if path and not told & set(path):
            told |= set(path)
            last = ways[path[-2]][start]
            way = ", ".join(f"{a} moves {b}" for a, b in pairwise(path))
            must_be = "a parameter that does not lead back in a circle"
            report(place(last.number, "to", line_at), must_be, f"{start!r}: {way}")


def _circle(ways: Mapping[str, Mapping[str, Entry]], start: str) -> list[str]:
    """The way from a parameter back to itself; empty when there is none."""
    waiting, seen = [[start]], {start}
    while waiting:
        path = waiting.pop(0)
        for name in ways.get(path[-1], ()):
            if name == start:
                return [*path, name]
            if name not in seen:
                seen.add(name)
                waiting.append([*path, name])
    return []


def read_smoothing(content: object, registry: Registry, report: Report) -> dict[str, float]:
    """[smoothing]: the time constant of parameters, in seconds, by their names."""
    if content is None:
        return {}
    if not isinstance(content, dict):
        report("smoothing", "a table, with [smoothing] on a line of its own", shown(content))
        return {}
    found: dict[str, float] = {}
    for name, value in _flat(content):
        key = f"smoothing.{name}"
        param = registry.get(name)
        if param is None or param.kind != "number" or not param.live:
            numbers = [n for n, p in registry.items() if p.kind == "number" and p.live]
            near = nearest_word(name, numbers) if param is None else None
            report(key, "the name of a number that can be steered, with seconds", shown(name), near)
        elif not is_number(value) or not 0 <= value <= LONGEST_S:
            report(key, f"a number of seconds from 0 to {LONGEST_S:g}", shown(value))
        else:
            found[name] = float(value)
    return found


def _flat(content: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in content.items():
        flat += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return flat


def is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
