"""The cue list: steps in order, one after another at a press of a pad.

    cues = CueList(things["cue"], presets, show.values)
    cues.tick(controls, beat_s)              # once a tick: takes cue.go, cue.back, cue.goto; follows by itself

Forward, a cue does what its table says. Back, and to a cue out of order, everything that any cue of the list sets goes
to where it is when the list is played in order up to there, as on a lighting desk that tracks; what a cue fires is not
fired again on the way back. Belongs to the thread that runs the show's loop.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.control.controls import Controls
from engine.control.presets import TICK_HZ, Preset, Presets, listed
from engine.control.step import Step, read_step, read_time
from engine.show.params import Registry, Value, nearest_word, shown
from engine.show.part import Report

log = logging.getLogger("pedesis")

MAX_CUES = 500
_KEYS = ("follow",)


@dataclass(frozen=True)
class Cue:
    """A step with a place in the list. follow_s: when the next one comes by itself; None: it waits for a hand."""

    step: Step
    follow_s: float | None = None


def read_cues(content: object, presets: Mapping[str, Preset], registry: Registry, report: Report) -> tuple[Cue, ...]:
    """[[cue]] tables."""
    cues: list[Cue] = []
    entries = content if isinstance(content, list) else []
    if content is not None and (not isinstance(content, list) or len(entries) > MAX_CUES):
        report("[[cue]]", f"there at most {MAX_CUES} times", str(len(entries)) if entries else shown(content))
    for n, entry in enumerate(entries[:MAX_CUES], 1):
        key = f"[[cue]] {n}"
        if not isinstance(entry, Mapping):
            report(key, "a table with name, preset, set, time, follow, fire or call", shown(entry))
            continue
        step = read_step(entry, key, tuple(presets), registry, report, _KEYS, barred="cue.")
        if step.name and step.name in [cue.step.name for cue in cues]:
            report(f"{key} name", "a name that no other cue has", shown(step.name))
        follow_s = read_time(entry["follow"], f"{key} follow", report) if "follow" in entry else None
        cues.append(Cue(step, follow_s))
    return tuple(cues)


class CueList:
    """See the module's head."""

    def __init__(self, cues: Sequence[Cue], presets: Presets, own: Mapping[str, Value]) -> None:
        """own: the show's own values, which hold before the first cue."""
        self._cues, self._presets, self._own = tuple(cues), presets, own
        self.place = 0  # cues that are behind us: the last of them is the present one
        self._follow_ticks: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Of all cues in order; "" where one has none."""
        return tuple(cue.step.name for cue in self._cues)

    @property
    def status(self) -> str:
        """Where the list is, for people: "cue 2 of 5, Verse; next Chorus". Empty where there is none."""
        if not self._cues:
            return ""
        now = (
            f"cue {self.place} of {len(self._cues)}{self._named(self.place)}" if self.place else "before the first cue"
        )
        if self.place == len(self._cues):
            return f"{now}; the last one"
        return f"{now}; next{self._named(self.place + 1).removeprefix(',') or f' cue {self.place + 1}'}"

    def tick(self, controls: Controls, beat_s: float) -> None:
        """One tick."""
        while (text := controls.take_call("cue.goto")) is not None:
            self._goto(text.strip(), controls, beat_s)
        while controls.take("cue.back"):
            self._back(controls)
        while controls.take("cue.go"):
            self._go(controls, beat_s)
        if self._follow_ticks is not None:
            self._follow_ticks -= 1
            if self._follow_ticks < 0:
                self._go(controls, beat_s)

    def rewind(self) -> None:
        """Back before the first cue; moves nothing."""
        self.place, self._follow_ticks = 0, None

    def to_dict(self) -> dict[str, Any]:
        """All of the state, JSON-able."""
        return {"place": self.place, "follow": self._follow_ticks}

    def restore(self, data: Mapping[str, Any]) -> None:
        """Takes up where `to_dict` left it. Raises KeyError, TypeError or ValueError on damaged data."""
        follow = data["follow"]
        self.place = min(max(int(data["place"]), 0), len(self._cues))
        self._follow_ticks = None if follow is None else int(follow)

    def _go(self, controls: Controls, beat_s: float) -> None:
        self._follow_ticks = None
        if self.place >= len(self._cues):
            log.warning("cue.go: %s", "the last cue has been played" if self._cues else "the show has no cues")
            return
        self._enter(self.place + 1)
        self._presets.run(self._present.step, controls, beat_s, f"cue {self.place}{self._named(self.place)}: ")

    def _back(self, controls: Controls) -> None:
        if not self.place:
            log.warning("cue.back: %s", "this is before the first cue" if self._cues else "the show has no cues")
            return
        left = self._present.step
        self.place, self._follow_ticks = self.place - 1, None
        time_s = left.time_s if left.time_s is not None else self._preset_of(left).time_s
        self._presets.move(controls, self._tracked(), time_s)

    def _goto(self, text: str, controls: Controls, beat_s: float) -> None:
        place = self._find(text)
        if place is None:
            names = [cue.step.name for cue in self._cues if cue.step.name]
            near = nearest_word(text, names)
            have = f"There are {len(self._cues)}" + (f": {listed(names)}." if names else ".")
            hint = f"Did you mean {near}?" if near else have
            log.warning("cue.goto: there is no cue %s. %s", shown(text), hint)
            return
        self._enter(place)
        if not place:
            self._presets.move(controls, self._tracked())
            return
        step = self._present.step
        own = {**self._preset_of(step).values, **step.values, **step.ramp.values}
        time_s = step.time_s if step.time_s is not None else self._preset_of(step).time_s
        self._presets.move(controls, {n: v for n, v in self._tracked().items() if n not in own}, time_s)
        self._presets.run(step, controls, beat_s, f"cue {place}{self._named(place)}: ")

    @property
    def _present(self) -> Cue:
        return self._cues[self.place - 1]

    def _enter(self, place: int) -> None:
        self.place = place
        follow_s = self._cues[place - 1].follow_s if place else None
        self._follow_ticks = None if follow_s is None else round(follow_s * TICK_HZ)

    def _find(self, text: str) -> int | None:
        for n, cue in enumerate(self._cues, 1):
            if cue.step.name == text:
                return n
        number = int(text) if text.isdecimal() and len(text) < 6 else -1
        return number if 0 <= number <= len(self._cues) else None

    def _named(self, place: int) -> str:
        name = self._cues[place - 1].step.name
        return f", {name}" if name else ""

    def _preset_of(self, step: Step) -> Preset:
        return (self._presets.find(step.preset) if step.preset else None) or Preset()

    def _tracked(self) -> dict[str, Value]:
        """Where everything is that any cue sets, when the list is played in order up to the present place."""
        now: dict[str, Value] = {}
        for n, cue in enumerate(self._cues, 1):
            for name, value in (*self._preset_of(cue.step).values.items(), *cue.step.values.items(),
                                *cue.step.ramp.values.items()):  # fmt: skip
                now[name] = value if n <= self.place else now.get(name, self._own[name])
        return now
