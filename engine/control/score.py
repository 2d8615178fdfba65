"""Scores: what happens when, in a file of its own or in the show.

    score = read_score(table, presets, registry, report)
    player = ScorePlayer(score, presets)
    player.tick(controls, tempo)             # once a tick

A moment is given in seconds (12.5), as a time ("1:30", "1:02:03.5"), in beats ("12 beats") or in bars ("4 bars"), all
counted from 0 at the score's beginning; beats go by the tempo of the moment. Belongs to the thread that runs the show's
loop; counted in ticks, so a score plays in a film as it does live.
"""

import logging
import tomllib
from bisect import bisect_left
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.control.controls import Controls
from engine.control.presets import TICK_HZ, Presets
from engine.control.step import Step, is_number, read_clock, read_step, split_unit
from engine.control.tempo import Tempo
from engine.show.files import read_text_bounded
from engine.show.params import Registry, nearest_word, shown
from engine.show.part import Report

log = logging.getLogger("pedesis")

MAX_ENTRIES = 10_000
MAX_BYTES = 4_000_000
LATEST = 7 * 86400.0  # seconds, beats or bars
SHORTEST = 0.05  # seconds or beats of a loop
_KEYS = ("title", "loop", "cue")
_ENTRY_KEYS = ("at", "hold")
_AT = 'a moment such as 12.5 (seconds), "1:30", "16 beats" or "4 bars"'
Unit = Literal["s", "beats", "bars"]


class ScoreError(ValueError):
    """A score that cannot be read; one sentence, the file's name not in it."""


@dataclass(frozen=True)
class Moment:
    """When something happens."""

    amount: float
    unit: Unit = "s"

    def __str__(self) -> str:
        return f"{self.amount:g} {self.unit}"


@dataclass(frozen=True)
class Entry:
    """A step and when it is taken. hold_s: how long the score then rests; inf: until somebody lets it go on."""

    at: Moment
    step: Step
    hold_s: float = 0.0


@dataclass(frozen=True)
class Score:
    """Everything that a score says."""

    entries: tuple[Entry, ...] = ()
    loop: tuple[Moment, Moment] | None = None


def score_text(path: Path) -> str:
    """What is in the file. Raises ScoreError."""
    try:
        return read_text_bounded(path, MAX_BYTES)
    except FileNotFoundError:
        raise ScoreError("file not found") from None
    except OSError as error:
        why = error.strerror or str(error)
        raise ScoreError(f"cannot be read: {why[:1].lower()}{why[1:]}") from None


def parse_score(text: str) -> dict[str, Any]:
    """The content of a score's file. Raises ScoreError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScoreError(f"not a score in TOML: {str(error)[0].lower()}{str(error)[1:]}") from None
    except (ValueError, RecursionError) as error:
        raise ScoreError(f"not a score in TOML: {error}") from None


def read_score(table: Mapping[str, Any], presets: Collection[str], registry: Registry, report: Report) -> Score:
    """A score as it stands in a file."""
    for unknown in [k for k in table if k not in _KEYS]:
        report(unknown, f"left out, as a score has {', '.join(_KEYS)}", shown(unknown), nearest_word(unknown, _KEYS))
    entries: list[Entry] = []
    content = table.get("cue", [])
    if not isinstance(content, list) or not 1 <= len(content) <= MAX_ENTRIES:
        got = str(len(content)) if isinstance(content, list) else shown(content)
        report("[[cue]]", f"there 1 to {MAX_ENTRIES} times", got)
    for n, entry in enumerate(content if isinstance(content, list) else (), 1):
        key = f"[[cue]] {n}"
        if not isinstance(entry, Mapping):
            report(key, "a table with at, and preset, set, to, fire, call or hold", shown(entry))
            continue
        at = read_moment(entry.get("at"), f"{key} at", report)
        step = read_step(entry, key, presets, registry, report, _ENTRY_KEYS)
        entries.append(Entry(at, step, _read_hold(entry.get("hold", False), f"{key} hold", report)))
    if not isinstance(title := table.get("title", ""), str):
        report("title", "text", shown(title))
    return Score(tuple(entries), _read_loop(table.get("loop", False), entries, report))


def read_moment(value: object, key: str, report: Report) -> Moment:
    """A moment as a person writes it; the beginning after a mistake."""
    if is_number(value) and 0 <= float(value) <= LATEST:  # type: ignore[arg-type]
        return Moment(float(value))  # type: ignore[arg-type]
    if isinstance(value, str) and (moment := _moment(value)) is not None:
        return moment
    report(key, _AT, shown(value))
    return Moment(0.0)


def _moment(text: str) -> Moment | None:
    """ "1:30", "90 s", "16 beats", "16b", "4 bars"."""
    if ":" in text:
        seconds = read_clock(text)
        return Moment(seconds) if seconds is not None and seconds <= LATEST else None
    number, word = split_unit(text)
    units: dict[str, Unit] = {"": "s", "s": "s", "b": "beats", "beat": "beats", "beats": "beats", "bar": "bars",
                              "bars": "bars"}  # fmt: skip
    if number is None or word not in units or not 0 <= number <= LATEST:
        return None
    return Moment(number, units[word])


def _read_hold(value: object, key: str, report: Report) -> float:
    if value is True:
        return float("inf")
    if value is False:
        return 0.0
    if is_number(value) and 0 <= float(value) <= LATEST:  # type: ignore[arg-type]
        return float(value)  # type: ignore[arg-type]
    report(key, "true, which waits for score.go, or how many seconds", shown(value))
    return 0.0


def _read_loop(value: object, entries: list[Entry], report: Report) -> tuple[Moment, Moment] | None:
    """loop = true: from the beginning to the last cue. loop = [from, to]."""
    if value is False:
        return None
    if value is True:
        if not entries:
            return None
        first, last = Moment(0.0, entries[-1].at.unit), entries[-1].at
    elif isinstance(value, list) and len(value) == 2:
        first, last = read_moment(value[0], "loop", report), read_moment(value[1], "loop", report)
    else:
        report("loop", "true, or two moments, [from, to]", shown(value))
        return None
    if (first.unit == "s") != (last.unit == "s"):
        report("loop", "from and to both in seconds, or both in beats or bars", f"{first} and {last}")
    elif first.unit == last.unit and last.amount - first.amount < SHORTEST:
        report("loop", "from an earlier moment to a later one", f"{first} and {last}")
    return first, last


class ScorePlayer:
    """See the module's head. Takes score.play, score.stop and score.go; obeys score.pause."""

    def __init__(self, score: Score | None, presets: Presets) -> None:
        """score: None is none, and then nothing ever happens."""
        self._score, self._presets = score, presets
        self._entries = tuple(enumerate(score.entries if score else ()))
        self.going = score is not None
        self.waits = False  # with what comes after its beginning, until there is a picture to be seen
        self._bar = 0.0  # beats of the bars that the moments below were counted with
        self._order: dict[bool, list[tuple[float, int]]] = {}  # in beats or not: when, and which
        self._first = True  # what stands at 0 happens before anything moves
        self._ticks, self._from_s = 0, 0.0  # since that many seconds of the score
        self._beats = 0.0  # of the tempo, at the last tick
        self._at = {False: 0.0, True: 0.0}  # seconds, and beats
        self._next = {False: 0, True: 0}  # in the order of either
        self._hold_s = 0.0
        self._mark: float | None = None  # where the other count was when the loop's beginning was passed

    @property
    def has_score(self) -> bool:
        """Whether there is one at all."""
        return self._score is not None

    @property
    def status(self) -> str:
        """Where it is, for people: "score 1:30"; empty where there is none."""
        if self._score is None:
            return ""
        minutes, seconds = divmod(int(self._at[False]), 60)
        return f"score {minutes}:{seconds:02d}, {self._doing}"

    @property
    def _doing(self) -> str:
        if self.waits:
            return "waits for the first picture"
        if self._hold_s == float("inf"):
            return "waits for score.go"
        return "goes on" if self.going else "is stopped"

    def tick(self, controls: Controls, tempo: Tempo) -> None:
        """One tick."""
        if self._score is None:
            return
        beats, self._beats = tempo.beats - self._beats, tempo.beats
        if controls.take("score.stop"):
            self.going = False
        if controls.take("score.play"):
            self._begin()
            self.going, self._beats, beats = True, tempo.beats, 0.0
        if controls.take("score.go"):
            self._hold_s = 0.0
        if not self.going or controls["score.pause"]:
            return
        self._count(float(controls["tempo.bar"]))
        if self._first:
            self._first = False
        elif self.waits:
            return
        elif self._hold_s > 0.0:
            self._hold_s = max(self._hold_s - 1 / TICK_HZ, 0.0)
        else:
            self._ticks += 1
            self._at = {False: self._from_s + self._ticks / TICK_HZ, True: self._at[True] + beats}
        self._play(controls, tempo.beat_s)

    def stop(self) -> None:
        """Nothing more happens until score.play."""
        self.going = False

    def to_dict(self) -> dict[str, Any]:
        """All of the state, JSON-able."""
        return {
            "going": self.going, "waits": self.waits, "first": self._first,
            "ticks": self._ticks, "from_s": self._from_s,
            "beats": self._beats, "at": [self._at[False], self._at[True]],
            "next": [self._next[False], self._next[True]],
            "hold": None if self._hold_s == float("inf") else self._hold_s, "mark": self._mark,
        }  # fmt: skip

    def restore(self, data: Mapping[str, Any]) -> None:
        """Takes up where `to_dict` left it. Raises KeyError, TypeError or ValueError on damaged data."""
        (seconds, beats), (after_s, after_beats) = data["at"], data["next"]
        hold, mark = data["hold"], data["mark"]
        self.going, self._first = bool(data["going"]) and self._score is not None, bool(data["first"])
        self.waits = bool(data.get("waits", False))
        self._ticks, self._from_s, self._beats = int(data["ticks"]), float(data["from_s"]), float(data["beats"])
        self._at = {False: float(seconds), True: float(beats)}
        self._next = {False: int(after_s), True: int(after_beats)}
        self._hold_s = float("inf") if hold is None else float(hold)
        self._mark = None if mark is None else float(mark)

    def _begin(self) -> None:
        self._first, self._ticks, self._from_s = True, 0, 0.0
        self._at, self._next = {False: 0.0, True: 0.0}, {False: 0, True: 0}
        self._hold_s, self._mark = 0.0, None

    def _count(self, bar: float) -> None:
        """Moments as numbers, anew when the length of a bar changes."""
        if bar == self._bar:
            return
        self._bar = bar
        for in_beats in (False, True):
            mine = [(self._number(e.at), n) for n, e in self._entries if (e.at.unit != "s") == in_beats]
            self._order[in_beats] = sorted(mine)

    def _number(self, moment: Moment) -> float:
        return moment.amount * (self._bar if moment.unit == "bars" else 1.0)

    def _play(self, controls: Controls, beat_s: float) -> None:
        """Everything that is due, in the order of the file where several are; then the way back of a loop."""
        assert self._score is not None
        for _ in range(2):
            due = []
            for in_beats, order in self._order.items():
                while self._next[in_beats] < len(order) and order[self._next[in_beats]][0] <= self._at[in_beats] + 1e-9:
                    due.append(order[self._next[in_beats]][1])
                    self._next[in_beats] += 1
            for n in sorted(due):
                entry = self._score.entries[n]
                self._hold_s = max(self._hold_s, entry.hold_s)
                where = f"score, cue {n + 1}{f', {entry.step.name}' if entry.step.name else ''}: "
                self._presets.run(entry.step, controls, beat_s, where)
            if not self._loops(beat_s):
                return

    def _loops(self, beat_s: float) -> bool:
        """Goes back to the loop's beginning if its end has come; whether it did. The loop is counted in seconds or in
        beats; the other count goes back to where it was at that beginning."""
        assert self._score is not None
        if self._score.loop is None:
            return False
        first, last = self._score.loop
        in_beats = last.unit != "s"
        others = beat_s if in_beats else 1.0 / beat_s  # of the other count, in one of the loop's
        start, end, here = self._number(first), self._number(last), self._at[in_beats]
        if self._mark is None and here >= start:
            self._mark = self._at[not in_beats] - (here - start) * others
        if here < end - 1e-9 or end - start < SHORTEST or self._hold_s > 0.0 or self._mark is None:
            return False
        late = max(here - end, 0.0)
        self._at = {in_beats: start + late, not in_beats: self._mark + late * others}
        self._from_s, self._ticks = self._at[False], 0
        self._next = {
            kind: bisect_left(order, (start if kind == in_beats else self._mark - 1e-9, -1))
            for kind, order in self._order.items()
        }
        return True
