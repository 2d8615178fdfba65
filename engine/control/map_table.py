"""Reads the [[map]] and [smoothing] of a show: every mistake with its line, what it must be, and the nearest name.

    PART                                     # among the rooms of play/shows.py
    table = read_table(content, registry, report)

Plain data, any process.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, get_args

from engine.control.heard import is_sensed, mistake_in, range_of
from engine.control.map_checks import LONGEST_S, LineAt, check_circles, check_combine, is_number, place, read_smoothing
from engine.control.map_entry import MAX_MAPS, Combine, Encoder, Entry, MapTable, Mode, TakeOver
from engine.control.one_euro import Smooth
from engine.show.address import MAX_LENGTH, OscPattern, is_pattern
from engine.show.files import read_text_bounded
from engine.show.lines import line_of
from engine.show.params import Param, ParamError, Registry, nearest_word, shown
from engine.show.part import Part, Report, Table, Things

_KEYS = (
    "from", "arg", "to", "in", "out", "curve", "invert", "dead", "smooth", "takeover", "timeout", "ease", "combine",
    "mode", "encoder", "step", "threshold", "hysteresis", "send",
)  # fmt: skip
_CURVES = ("linear", "log", "square", "exp")
_SMOOTH = ("cutoff", "beta", "derivative")
_RELATIVE_ONLY = ("encoder", "step")
_NOT_RELATIVE = ("in", "invert", "dead", "smooth", "takeover", "combine", "timeout", "curve", "threshold", "send")
_SCALES = ("in", "curve", "invert", "dead")
_STREAMS_ONLY = ("smooth", "takeover", "combine", "timeout")


def read_table(content: object, registry: Registry, report: Report, line_at: LineAt = lambda n, key: None) -> MapTable:
    """The table of all [[map]]; what is wrong is reported and left out.

    line_at: the line of a key of the so-manieth [[map]], from 1; of the [[map]] itself for "".
    """
    if content is None:
        return MapTable()
    if not isinstance(content, list) or len(content) > MAX_MAPS:
        got = str(len(content)) if isinstance(content, list) else shown(content)
        report("[[map]]", f"there at most {MAX_MAPS} times, each as a table", got)
        return MapTable()
    entries = []
    for n, each in enumerate(content, 1):
        if not isinstance(each, dict):
            report(f"[[map]] {n}", "a table with from and to", shown(each))
            continue
        entry = _Reader(n, each, registry, report, line_at).entry()
        if entry is not None:
            entries.append(entry)
    check_combine(entries, content, report, line_at)
    check_circles(entries, registry, report, line_at)
    return MapTable(entries)


class _Reader:
    """One [[map]]."""

    def __init__(
        self, number: int, content: Mapping[str, Any], registry: Registry, report: Report, line_at: LineAt
    ) -> None:
        self._n, self._content, self._registry, self._report = number, content, registry, report
        self._line_at = line_at
        self._wrong = False

    def entry(self) -> Entry | None:
        """The entry, or None when anything about it is wrong."""
        for unknown in self._content.keys() - set(_KEYS):
            near = nearest_word(unknown, _KEYS)
            self._problem("", f"made of {', '.join(_KEYS)}", shown(unknown), near, at=unknown)
        source, param = self._source(), self._to()
        if source is None or param is None:
            return None
        mode = self._one_of("mode", get_args(Mode), "absolute")
        values: dict[str, Any] = {
            "source": source,
            "to": param.name,
            "kind": param.kind,
            "number": self._n,
            "mode": mode,
        }
        values |= self._travel(source, param)
        values |= self._manner(param, mode)
        self._check_use(param, mode)
        return None if self._wrong else Entry(**values)

    def _source(self) -> str | None:
        source = self._content.get("from")
        if isinstance(source, str) and is_sensed(source):
            wrong = mistake_in(source)
            if wrong:
                self._problem("from", *wrong)
                return None
            return source
        must_be = "an OSC address such as /sensor/1/distance, or midi:… or sound:…"
        if not isinstance(source, str) or not source.startswith("/") or " " in source or len(source) > MAX_LENGTH:
            near = (
                f"/{source}" if isinstance(source, str) and source and " " not in source and ":" not in source else None
            )
            self._problem("from", must_be, shown(source), near)
            return None
        if is_pattern(source) and OscPattern(source).tokens is None:
            self._problem("from", "a pattern whose brackets are all closed", shown(source))
            return None
        return source

    def _to(self) -> Param | None:
        name = self._content.get("to")
        if isinstance(name, str):
            param = self._registry.get(name.strip("/").replace("/", "."))
            if param is not None and param.live:
                return param
            if param is not None:
                self._problem("to", "a parameter that can be steered while the show runs", shown(name))
                return None
        live = [n for n, p in self._registry.items() if p.live]
        near = nearest_word(name.strip("/").replace("/", "."), live) if isinstance(name, str) else None
        self._problem("to", "the name of a parameter", shown(name), near)
        return None

    def _travel(self, source: str, param: Param) -> dict[str, Any]:
        """What comes in and goes out."""
        given = range_of(source) if is_sensed(source) else None
        low, high = self._pair("in", None) or given or (0.0, 1.0)
        if low == high:
            self._problem("in", "two different numbers, [low, high]", shown(self._content.get("in")))
            low, high = 0.0, 1.0
        out = self._pair("out", param)
        numeric = param.kind in ("number", "integer", "trigger")
        if "out" in self._content and not numeric:
            self._problem("out", f"left out: {param.name} is {param.noun}", shown(self._content["out"]))
        if numeric and out is None and not param.is_bounded:
            self._problem("out", f"there, as [low, high]: {param.name} has no ends of its own", "nothing")
        program = source.startswith("midi:program")
        return {
            "arg": self._integer("arg", 1, 64, None),
            "low": low,
            "high": high,
            "scaled": "in" in self._content or (given is not None and not program),
            "out": out,
            "curve": self._curve(out, param),
            "invert": self._switch("invert"),
            "dead": self._dead(low, high),
        }

    def _curve(self, out: tuple[float, float] | None, param: Param) -> str | float | None:
        curve = self._content.get("curve")
        if curve is None:
            return None
        if is_number(curve) and 0.01 <= curve <= 100:
            return float(curve)
        if curve not in _CURVES:
            near = nearest_word(curve, _CURVES) if isinstance(curve, str) else None
            self._problem("curve", f"one of {', '.join(_CURVES)}, or a power from 0.01 to 100", shown(curve), near)
            return None
        low, high = out or ((param.at(0), param.at(1)) if param.is_bounded else (0.0, 1.0))
        if curve == "log" and not low * high > 0:
            self._problem("curve", "anything but log where out reaches 0", f"out from {low:g} to {high:g}")
            return None
        return str(curve)

    def _dead(self, low: float, high: float) -> float:
        rest = -low / (high - low)
        most = min(rest, 1 - rest) if 0 < rest < 1 else 1.0
        dead = self._number("dead", 0.0, 0.9, 0.0)
        if dead and dead >= most:
            self._problem("dead", f"less than {most:g}, the travel on the shorter side of rest", f"{dead:g}")
            return 0.0
        return dead or 0.0

    def _manner(self, param: Param, mode: str) -> dict[str, Any]:
        """How it is followed."""
        sensed = str(self._content.get("from")).startswith("midi:")
        return {
            "smooth": self._smooth(),
            "takeover": self._one_of("takeover", get_args(TakeOver), "jump"),
            "timeout_s": self._number("timeout", 0.05, 86400.0, None),
            "ease_s": self._number("ease", 0.0, LONGEST_S, 2.0),
            "combine": self._one_of("combine", get_args(Combine), "latest"),
            "encoder": self._one_of("encoder", get_args(Encoder), "twos" if sensed else "plain"),
            "step": self._number("step", -1e9, 1e9, None),
            "threshold": self._number("threshold", 0.0, 1.0, None),
            "hysteresis": self._number("hysteresis", 0.0, 0.5, 0.05),
            "send": self._send(param),
        }

    def _smooth(self) -> Smooth | None:
        smooth = self._content.get("smooth", False)
        if isinstance(smooth, bool):
            return Smooth() if smooth else None
        if is_number(smooth) and 0 <= smooth <= LONGEST_S:
            return Smooth.of_seconds(float(smooth)) if smooth else None
        if isinstance(smooth, dict) and all(is_number(v) and 0 <= v <= 1000 for v in smooth.values()):
            unknown = next((k for k in smooth if k not in _SMOOTH), None)
            if unknown is None:
                default = Smooth()
                return Smooth(
                    max(float(smooth.get("cutoff", default.cutoff_hz)), 0.001),
                    float(smooth.get("beta", default.beta)),
                    max(float(smooth.get("derivative", default.derivative_hz)), 0.001),
                )
            near = nearest_word(unknown, _SMOOTH)
            self._problem("smooth", f"made of {', '.join(_SMOOTH)}, each from 0 to 1000", shown(unknown), near)
            return None
        must_be = f"true, a number of seconds from 0 to {LONGEST_S:g}, or {{ cutoff = Hz, beta = …, derivative = Hz }}"
        self._problem("smooth", must_be, shown(smooth))
        return None

    def _send(self, param: Param) -> Any:
        if "send" not in self._content:
            return None
        try:
            return param.coerce(self._content["send"])
        except ParamError as error:
            self._problem("send", error.allowed, error.given, error.nearest)
            return None

    def _check_use(self, param: Param, mode: str) -> None:
        """What does not go together."""
        sends = "send" in self._content
        if mode == "relative":
            if param.kind not in ("number", "integer", "choice", "switch"):
                self._problem("mode", f"absolute: an encoder cannot turn {param.name}, a {param.kind}", "'relative'")
            self._refuse(_NOT_RELATIVE, "an encoder only says how far it was turned")
            return
        self._refuse(_RELATIVE_ONLY, "it belongs to mode = 'relative'")
        if mode == "toggle" and (param.kind != "switch" or sends):
            self._problem("mode", f"absolute: {param.name} is {param.noun} and cannot be toggled", "'toggle'")
        edge = param.kind == "trigger" or mode == "toggle" or sends
        if edge:
            self._refuse(_STREAMS_ONLY, "each press counts by itself")
        if param.kind in ("text", "call") and not sends:
            if str(self._content.get("from")).startswith(("midi:", "sound:")):
                self._problem("send", f"there, as what {param.name} takes is text and none comes from here", "nothing")
            self._refuse(
                (*_STREAMS_ONLY, "in", "curve", "invert", "dead", "threshold"), "text is passed on as it comes"
            )
        if "threshold" in self._content and not edge and param.kind != "switch":
            self._problem(
                "threshold", f"left out: {param.name} is no trigger and no switch", shown(self._content["threshold"])
            )
        latest = self._content.get("combine", "latest") == "latest"
        if self._content.get("takeover", "jump") != "jump" and (not latest or param.kind not in ("number", "integer")):
            self._problem(
                "takeover", "jump, unless it is a number with combine = 'latest'", shown(self._content["takeover"])
            )
        if not latest and param.kind not in ("number", "integer"):
            self._problem("combine", f"latest: {param.name} is {param.noun}", shown(self._content["combine"]))

    def _refuse(self, keys: Sequence[str], why: str) -> None:
        for key in keys:
            if key in self._content:
                self._problem(key, f"left out: {why}", shown(self._content[key]))

    def _pair(self, key: str, param: Param | None) -> tuple[float, float] | None:
        """Two finite numbers; within the parameter's range if there is one."""
        if key not in self._content:
            return None
        pair = self._content[key]
        if not isinstance(pair, list) or len(pair) != 2 or not all(is_number(v) for v in pair):
            self._problem(key, "two numbers, [low, high]", shown(pair))
            return None
        low, high = float(pair[0]), float(pair[1])
        if param is not None and param.kind in ("number", "integer", "trigger"):
            for value in (low, high):
                if param.clamped(value) != value:
                    self._problem(key, f"within what {param.name} takes, {param.allowed}", shown(pair))
                    return None
        return low, high

    def _number(self, key: str, low: float, high: float, default: float | None) -> float | None:
        value = self._content.get(key)
        if value is None:
            return default
        if is_number(value) and low <= value <= high:
            return float(value)
        self._problem(key, f"a number from {low:g} to {high:g}", shown(value))
        return default

    def _integer(self, key: str, low: int, high: int, default: int | None) -> int | None:
        value = self._content.get(key)
        if value is None:
            return default
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        self._problem(key, f"a whole number from {low} to {high}, counted from {low}", shown(value))
        return default

    def _switch(self, key: str) -> bool:
        value = self._content.get(key, False)
        if isinstance(value, bool):
            return value
        self._problem(key, "true or false", shown(value))
        return False

    def _one_of(self, key: str, words: Sequence[str], default: str) -> str:
        value = self._content.get(key, default)
        if value in words:
            return str(value)
        near = nearest_word(value, words) if isinstance(value, str) else None
        self._problem(key, "one of " + ", ".join(words), shown(value), near)
        return default

    def _problem(self, key: str, must_be: str, got: str, nearest: str | None = None, at: str = "") -> None:
        self._wrong = True
        self._report(place(self._n, key, self._line_at, at), must_be, got, nearest)


def _keep(content: object, report: Report) -> Table:
    """As it stands: what it names is known only once all parameters are."""
    return Table(content)


def lines_of(path: Path) -> LineAt:
    """The lines of a show's file, which is read when the first one is asked for."""

    @cache
    def text() -> str:
        try:
            return read_text_bounded(path, 1_000_000)
        except OSError:
            return ""  # it was there a moment ago; then there are no lines to tell

    return lambda number, key: line_of(text(), "map", number, key)


def _finish(things: Things, registry: Registry, path: Path, report: Report) -> Things:
    return {
        "map": read_table(things.get("map"), registry, report, lines_of(path)),
        "smoothing": read_smoothing(things.get("smoothing"), registry, report),
    }


PART = Part(lambda things: [], {"map": _keep, "smoothing": _keep}, _finish)
