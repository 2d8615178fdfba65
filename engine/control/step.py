"""One step of a performance: what a cue, or a moment of a score, does. And how it is read from a show.

    step = read_step({"preset": "calm", "fire": ["walk.jump"]}, "[[cue]] 1", names, registry, report)

What stands in a file is checked as all of a show is: every name, every value, every time. Plain data, any process.
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.show.params import Param, ParamError, Registry, Value, nearest_word, shown
from engine.show.part import Report

LONGEST_S = 3600.0  # of a way from one value to another
STEP_KEYS = ("name", "preset", "set", "time", "times", "to", "over", "fire", "call")
_CLOCK = re.compile(r"(?:\d{1,9}:[0-5]?\d|\d{1,9}):[0-5]?\d(?:\.\d*)?", re.ASCII)
NAME_MAX = 64  # characters of the name of a preset or a cue


@dataclass(frozen=True)
class Ramp:
    """An even way to some values. `over` is seconds, or beats where `in_beats`."""

    values: Mapping[str, Value] = field(default_factory=dict)
    over: float = 0.0
    in_beats: bool = False


@dataclass(frozen=True)
class Step:
    """Everything that one cue does, at once."""

    name: str = ""
    preset: str = ""  # empty: none
    values: Mapping[str, Value] = field(default_factory=dict)  # over those of the preset
    time_s: float | None = None  # None: the preset's own, or else preset.time
    times: Mapping[str, float] = field(default_factory=dict)  # seconds, of single parameters
    ramp: Ramp = Ramp()
    fire: tuple[tuple[str, float], ...] = ()  # triggers and their strengths
    calls: tuple[tuple[str, str], ...] = ()  # calls and their texts


def read_step(
    entry: Mapping[str, Any],
    key: str,
    presets: Collection[str],
    registry: Registry,
    report: Report,
    besides: tuple[str, ...] = (),
    barred: str = "",
) -> Step:
    """A step as it stands in a file. key: how messages name it. besides: keys that are read elsewhere. barred: how the
    names of those triggers and calls begin that it may not send, as they would make it follow itself."""
    keys = (*STEP_KEYS, *besides)
    for unknown in [k for k in entry if k not in keys]:
        report(key, f"made of {', '.join(keys)}", shown(unknown), nearest_word(unknown, keys))
    preset = entry.get("preset", "")
    preset = str(preset) if isinstance(preset, int) and not isinstance(preset, bool) else preset
    if "preset" in entry and preset not in presets:
        known = f"one that the show has ({', '.join(presets)})" if presets else "one that the show has, and it has none"
        near = nearest_word(preset, list(presets)) if isinstance(preset, str) else None
        report(f"{key} preset", known, shown(preset), near)
        preset = ""
    if "to" in entry and "over" not in entry:
        report(f"{key} over", "how long the way takes, in seconds or as '8 beats'", shown(None))
    over, in_beats = read_length(entry.get("over", 0.0), f"{key} over", report)
    return Step(
        name=read_name(entry.get("name", ""), f"{key} name", report) if "name" in entry else "",
        preset=preset,
        values=read_values(entry.get("set", {}), f"{key} set", registry, report),
        time_s=read_time(entry["time"], f"{key} time", report) if "time" in entry else None,
        times=read_times(entry.get("times", {}), f"{key} times", registry, report),
        ramp=Ramp(read_values(entry.get("to", {}), f"{key} to", registry, report), over, in_beats),
        fire=_read_fire(entry.get("fire", ()), f"{key} fire", registry, report, barred),
        calls=_read_calls(entry.get("call", {}), f"{key} call", registry, report, barred),
    )


def read_name(name: object, key: str, report: Report) -> str:
    """A name that people give, such as "Verse 2"."""
    if isinstance(name, str) and 0 < len(name.strip()) <= NAME_MAX and name.isprintable():
        return name.strip()
    report(key, f"a name of 1 to {NAME_MAX} characters", shown(name))
    return ""


def read_values(table: object, key: str, registry: Registry, report: Report) -> dict[str, Value]:
    """Parameters and their values: { "walk.speed" = 0.3 } or { walk = { speed = 0.3 } }."""
    values: dict[str, Value] = {}
    for name, value in _named(table, key, report):
        param = _known(name, key, registry, report)
        if param is None:
            continue
        if param.fires:
            report(key, "made of parameters that have a value", f"{name}, which is {param.noun}")
        elif not param.live:
            report(key, "made of parameters that can be changed while the show runs", name)
        else:
            try:
                values[name] = param.coerce(value)
            except ParamError as error:
                report(f"{key} {name}", error.allowed, error.given, error.nearest)
    return values


def read_times(table: object, key: str, registry: Registry, report: Report) -> dict[str, float]:
    """Parameters and how long each takes, in seconds."""
    times = {}
    for name, value in _named(table, key, report):
        if _known(name, key, registry, report) is not None:
            times[name] = read_time(value, f"{key} {name}", report)
    return times


def read_time(value: object, key: str, report: Report, most: float = LONGEST_S) -> float:
    """Seconds, from 0 on; 0 after a mistake."""
    if is_number(value) and 0 <= float(value) <= most:  # type: ignore[arg-type]
        return float(value)  # type: ignore[arg-type]
    report(key, f"a number from 0 to {most:g} s", shown(value))
    return 0.0


def read_length(value: object, key: str, report: Report) -> tuple[float, bool]:
    """A length of time and whether it is in beats: 2.5 is seconds, "8 beats" or "8b" beats."""
    if is_number(value) and 0 <= float(value) <= LONGEST_S:  # type: ignore[arg-type]
        return float(value), False  # type: ignore[arg-type]
    if isinstance(value, str):
        number, unit = split_unit(value)
        if number is not None and 0 <= number <= LONGEST_S and unit in ("s", "", "b", "beat", "beats"):
            return number, unit.startswith("b")
    report(key, f"seconds from 0 to {LONGEST_S:g}, or as '8 beats'", shown(value))
    return 0.0, False


def split_unit(text: str) -> tuple[float | None, str]:
    """ "12.5 beats" to (12.5, "beats"); None where there is no number."""
    digits = text.strip().lower().rstrip("abcdefghijklmnopqrstuvwxyz").strip()
    unit = text.strip().lower()[len(digits) :].strip()
    try:
        number = float(digits)
    except ValueError:
        return None, unit
    return (number if math.isfinite(number) else None), unit


def read_clock(text: str) -> float | None:
    """Seconds of a time as on a clock: 1:30, 2:00:00, 0:01.5. None where it is none, such as 1:99."""
    if not _CLOCK.fullmatch(text.strip()):
        return None
    seconds = 0.0
    for part in text.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


def is_number(value: object) -> bool:
    """Whether it is a finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _named(table: object, key: str, report: Report) -> Iterator[tuple[str, Any]]:
    """Names with dots and what stands under them, of a table whose names may be written either way."""
    if not isinstance(table, Mapping):
        report(key, 'a table such as { "walk.speed" = 0.3 }', shown(table))
        return
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", v) for inner, v in _named(value, key, report))
        else:
            yield name, value


def _known(name: str, key: str, registry: Registry, report: Report) -> Param | None:
    param = registry.get(name)
    if param is None:
        report(key, "made of parameters of this show", shown(name), registry.nearest(name))
    return param


def _read_fire(
    content: object, key: str, registry: Registry, report: Report, barred: str
) -> tuple[tuple[str, float], ...]:
    """["walk.jump"], or { "walk.nudge" = 0.5 } where the strength is not to be 1."""
    if isinstance(content, list | tuple):
        for wrong in [name for name in content if not isinstance(name, str)]:
            report(key, 'a list of triggers such as ["walk.jump"]', shown(wrong))
        wanted: dict[str, Any] = {name: 1.0 for name in content if isinstance(name, str)}
    else:
        wanted = dict(_named(content, key, report))
    return tuple((n, float(v)) for n, v in _sent(wanted, key, "trigger", registry, report, barred))


def _read_calls(
    content: object, key: str, registry: Registry, report: Report, barred: str
) -> tuple[tuple[str, str], ...]:
    """{ say = "a whale" }"""
    wanted = dict(_named(content, key, report))
    return tuple((n, str(v)) for n, v in _sent(wanted, key, "call", registry, report, barred))


def _sent(
    wanted: Mapping[str, Any], key: str, kind: str, registry: Registry, report: Report, barred: str
) -> Iterator[tuple[str, Value]]:
    for name, value in wanted.items():
        param = _known(name, key, registry, report)
        if param is None:
            continue
        if param.kind != kind:
            report(key, f"made of {kind}s", f"{name}, which is {param.noun}")
        elif barred and name.startswith(barred):
            report(key, f"made of {kind}s other than the {barred.rstrip('.')}s' own", name)
        else:
            try:
                yield name, param.coerce(value)
            except ParamError as error:
                report(f"{key} {name}", error.allowed, error.given, error.nearest)
