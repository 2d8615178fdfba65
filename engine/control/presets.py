"""Presets: sets of values that a show moves to, eased; and those that are stored while it plays.

    presets = Presets(registry, things["preset"])
    presets.tick(controls)                   # once a tick: takes preset.store, preset.recall, preset.delete
    presets.run(step, controls)              # what a cue does

A recall moves each kind in a way that suits it. Numbers glide, those with a logarithmic curve by equal ratios;
switches, choices and whole numbers change in the middle. What has a transition of its own changes at the start: texts
and the walk's seed, which blend over blend.time, and the stage's blackout and freeze. So does how a jump is made, or
one that the same cue fires would be made the old way. Everything begins from where it is, also in the middle of another
recall. A hand that moves a parameter on its way takes it.

Belongs to the thread that runs the show's loop. Counted in ticks, so that whoever knows what came from outside, and at
which ticks, knows everything.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.control.controls import Controls
from engine.control.step import LONGEST_S, NAME_MAX, Step, read_name, read_time, read_times, read_values
from engine.show.params import Param, ParamError, Registry, Value, nearest_word, shown
from engine.show.part import Report

log = logging.getLogger("pedesis")

TICK_HZ = 120  # as the conductor's; control comes before walk, which defines it
_CALLS = ("preset.store", "preset.delete", "preset.recall")
MAX_STORED = 200
# A stored preset never holds these: the walk's place is no setting, nor is a stage that somebody darkened or froze.
NEVER_STORED = frozenset({"walk.seed", "stage.blackout", "stage.freeze"})
_AT_START = ("walk.seed", "stage.", "blend.")  # how the names begin of what changes at the start, beside all texts


@dataclass(frozen=True)
class Preset:
    """Values, and how long the way to them takes; None leaves it to preset.time."""

    values: Mapping[str, Value] = field(default_factory=dict)
    time_s: float | None = None
    times: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able form."""
        return {"values": dict(self.values), "time": self.time_s, "times": dict(self.times)}


def read_presets(content: object, registry: Registry, report: Report) -> dict[str, Preset]:
    """[preset.NAME] tables: parameters, and `time` and `times`."""
    found = {}
    for name, table in content.items() if isinstance(content, Mapping) else ():
        key = f"[preset.{name}]"
        if read_name(name, key, report) and isinstance(table, Mapping):
            values = {k: v for k, v in table.items() if k not in ("time", "times")}
            found[name] = Preset(
                read_values(values, key, registry, report),
                read_time(table["time"], f"{key} time", report) if "time" in table else None,
                read_times(table.get("times", {}), f"{key} times", registry, report),
            )
    return found


def as_stored(data: object, registry: Registry) -> dict[str, Preset]:
    """Presets from their plain form; what this show does not have, or does not take, is left out. Never raises."""
    found: dict[str, Preset] = {}
    for name, entry in data.items() if isinstance(data, Mapping) else ():
        values = entry.get("values") if isinstance(entry, Mapping) else None
        if isinstance(name, str) and 0 < len(name) <= NAME_MAX and isinstance(values, Mapping):
            taken = {n: v for n, raw in values.items() if (v := _taken(registry.get(n), raw)) is not None}
            if taken and len(found) < MAX_STORED:
                found[name] = Preset(taken)
    return found


def _taken(param: Param | None, value: object) -> Value | None:
    if param is None or param.fires or not param.live:
        return None
    try:
        return param.coerce(value)
    except ParamError:
        return None


@dataclass(frozen=True)
class _Change:
    """Something that cannot glide, and changes at its tick unless a hand is there first."""

    tick: int
    value: Value
    before: Value  # where the parameter's target was when this was planned


class Presets:
    """See the module's head."""

    def __init__(self, registry: Registry, own: Mapping[str, Preset]) -> None:
        """own: those of the show's file."""
        self._registry = registry
        self._own = dict(own)
        self._stored: dict[str, Preset] = {}
        self._changes: dict[str, _Change] = {}
        self._ticks = 0
        self.version = 0  # counts up when something is stored or deleted

    @property
    def stored(self) -> dict[str, Any]:
        """What was stored while the show played, in plain form."""
        return {name: preset.to_dict() for name, preset in self._stored.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """All there are, those of the show's file first."""
        return tuple(dict.fromkeys([*self._own, *self._stored]))

    def know(self, data: object) -> None:
        """Takes these, in plain form, for all that are stored."""
        self._stored = as_stored(data, self._registry)

    def find(self, name: str) -> Preset | None:
        """By its name, a stored one before one of the show's; else by its number in the list, counted from 1."""
        if preset := self._stored.get(name) or self._own.get(name):
            return preset
        number = int(name) if name.isdecimal() and len(name) < 6 else 0
        return self.find(self.names[number - 1]) if 1 <= number <= len(self.names) else None

    def tick(self, controls: Controls) -> None:
        """One tick: what was called for, and what changes in the middle of a recall."""
        self._ticks += 1
        while called := controls.take_first_call(_CALLS):  # in the order they came: deleted and then stored is stored
            name, text = called[0], " ".join(called[1].split())
            if name == "preset.store":
                self._store(text, controls)
            elif name == "preset.delete":
                self._delete(text)
            else:
                self._recall(text, controls)
        for name in [n for n, change in self._changes.items() if change.tick <= self._ticks]:
            change = self._changes.pop(name)
            if controls.target(name) == change.before:
                controls.set(name, change.value)

    def run(self, step: Step, controls: Controls, beat_s: float, where: str = "") -> None:
        """Everything that a step does, at once. where: how messages name it."""
        preset = Preset()
        if step.preset:
            if (found := self.find(step.preset)) is None:
                log.warning("%sthe preset %s is gone; nothing is recalled", where, shown(step.preset))
            preset = found or preset
        self.move(
            controls,
            {**preset.values, **step.values},
            preset.time_s if step.time_s is None else step.time_s,
            preset.times if step.time_s is None else step.times,
        )
        if step.ramp.values:
            over_s = step.ramp.over * (beat_s if step.ramp.in_beats else 1.0)
            self.move(controls, step.ramp.values, over_s, even=True)
        for name, strength in step.fire:
            controls.hit(name, strength)
        for name, text in step.calls:
            controls.set(name, text)

    def move(
        self,
        controls: Controls,
        values: Mapping[str, Value],
        time_s: float | None = None,
        times: Mapping[str, float] | None = None,
        even: bool = False,
    ) -> None:
        """Begins a way to these values. time_s: None leaves it to preset.time. times: of single parameters."""
        usual_s = float(controls["preset.time"]) if time_s is None else time_s
        for name, value in values.items():
            param = self._registry[name]
            length_s = (times or {}).get(name, usual_s)
            self._changes.pop(name, None)
            if param.kind == "number" and not name.startswith(_AT_START):
                controls.glide(name, value, max(length_s, 1 / TICK_HZ), even)  # no time is a cut, without smoothing
            elif param.kind in ("text", "number") or name.startswith(_AT_START) or length_s <= 0:
                controls.set(name, value)
            elif controls.target(name) != value:
                middle = self._ticks + round(length_s * TICK_HZ / 2)
                self._changes[name] = _Change(middle, value, controls.target(name))

    def cancel(self) -> None:
        """Nothing changes any more on its own; numbers under way are the caller's."""
        self._changes.clear()

    def to_dict(self) -> dict[str, Any]:
        """All of the state, JSON-able."""
        changes = {n: [c.tick, c.value, c.before] for n, c in self._changes.items()}
        return {"stored": self.stored, "changes": changes, "ticks": self._ticks}

    def restore(self, data: Mapping[str, Any]) -> None:
        """Takes up where `to_dict` left it. Raises KeyError, TypeError or ValueError on damaged data."""
        changes = {n: _Change(int(t), v, b) for n, (t, v, b) in data["changes"].items() if n in self._registry}
        self.know(data["stored"])
        self._changes, self._ticks = changes, int(data["ticks"])

    def _store(self, name: str, controls: Controls) -> None:
        if not (0 < len(name) <= NAME_MAX and name.isprintable()):
            log.warning("preset.store needs a name of 1 to %d characters, or a number, got %s", NAME_MAX, shown(name))
            return
        if name not in self._stored and len(self._stored) >= MAX_STORED:
            log.warning("preset.store: %d presets are stored already; delete one first", MAX_STORED)
            return
        live = (p for p in self._registry.values() if p.live and not p.fires and p.name not in NEVER_STORED)
        self._stored[name] = Preset({p.name: controls.chosen(p.name) for p in live})
        self.version += 1
        log.info("stored the preset %s", shown(name))

    def _delete(self, name: str) -> None:
        if self._stored.pop(name, None) is None:
            what = "stands in the show's file" if name in self._own else "is not there"
            log.warning("preset.delete: the preset %s %s", shown(name), what)
            return
        self.version += 1
        log.info("deleted the preset %s", shown(name))

    def _recall(self, text: str, controls: Controls) -> None:
        """NAME or N, and seconds after it if it is to take another time than its own."""
        preset, time_s = self.find(text), None
        if preset is None and " " in text:
            name, _, last = text.rpartition(" ")
            time_s = _seconds(last)
            preset = self.find(name) if time_s is not None else None
        if preset is None:
            near = nearest_word(text, self.names)
            hint = f"Did you mean {near}?" if near else f"There are {listed(self.names)}."
            name, _, last = text.rpartition(" ")
            if self.find(name) is not None:
                hint = f"After the name {name} a time may stand, from 0 to {LONGEST_S:g} s; got {shown(last)}."
            log.warning("preset.recall: there is no preset %s. %s", shown(text), hint)
            return
        own = time_s is None
        self.move(controls, preset.values, preset.time_s if own else time_s, preset.times if own else None)


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds <= LONGEST_S else None


def listed(names: Iterable[str], most: int = 12) -> str:
    """Names in a row, for people."""
    names = list(names)
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return ", ".join([*names[:most], *more]) or "none yet"
