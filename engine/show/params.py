"""The parameter registry: every number, switch, choice and trigger a show can be steered by.

One table stands behind TOML, OSC, the command line, panels and the documentation, so a name means
the same everywhere: `walk.speed` in a show is `/walk/speed` over OSC and `--set walk.speed=0.3`.

    registry = Registry([Param("walk.speed", "number", 0.12, "How fast.", 0, 4)])
    registry["walk.speed"].coerce(0.3)           # 0.3; raises ParamError when it is not allowed
    registry.by_address("/walk/speed").from_osc([1])

Each room brings the parameters of what it does (see part.py).

Plain data, made once and never changed: any process, any thread.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, TypeGuard

from engine.show.address import OscPattern

Value = float | int | bool | str
# A call is a trigger that carries text, such as /say "a whale": it does something each time it is sent.
Kind = Literal["number", "integer", "switch", "choice", "text", "trigger", "call"]
Curve = Literal["linear", "log", "square"]
# When a change lands: in the next frame; in the next dream; once words are encoded, while the old ones are still
# dreamt; once the dreamer has started again behind the picture; only when the show begins.
Lands = Literal["frame", "keyframe", "palette", "reload", "start"]

SEED_MAX = 2**31 - 1
TEXT_MAX = 1000  # characters
_ON = ("on", "true", "yes", "1")
_OFF = ("off", "false", "no", "0")


class ParamError(ValueError):
    """A value that a parameter does not take. `allowed` and `given` say it in words, `nearest` may help."""

    def __init__(self, name: str, allowed: str, given: str, nearest: str | None = None) -> None:
        self.name, self.allowed, self.given, self.nearest = name, allowed, given, nearest
        super().__init__(f"{name} must be {allowed}, got {given}{did_you_mean(nearest)}")


@dataclass(frozen=True)
class Rule:
    """What a value must be beyond its kind and range; `allowed` says all of it in words."""

    holds: Callable[[Any], bool]
    allowed: str


@dataclass(frozen=True)
class Param:
    """One named thing that steers a show. `low` and `high` are in `unit`; both ends are allowed."""

    name: str
    kind: Kind
    default: Value
    doc: str
    low: float | None = None
    high: float | None = None
    unit: str = ""
    curve: Curve = "linear"  # how a fader's travel is spread over the range; log also smooths in octaves
    smoothing_s: float = 0.0  # time constant
    choices: tuple[str, ...] = ()
    lands: Lands = "frame"
    rule: "Rule | None" = None  # what kind and range cannot say

    def __post_init__(self) -> None:
        if self.curve == "log" and not (self.low is not None and self.low > 0):
            raise ValueError(f"{self.name}: a log curve needs a low end above 0, got {self.low}")
        if self.kind == "choice" and not self.choices:
            raise ValueError(f"{self.name}: a choice needs at least one thing to choose, got none")
        self.coerce(self.default)

    @property
    def address(self) -> str:
        """OSC address: `walk.speed` is `/walk/speed`."""
        return "/" + self.name.replace(".", "/")

    @property
    def noun(self) -> str:
        """Its kind with an article: a number, an integer."""
        return f"{'an' if self.kind == 'integer' else 'a'} {self.kind}"

    @property
    def fires(self) -> bool:
        """Whether it does something each time it is sent, and has no value in between."""
        return self.kind in ("trigger", "call")

    @property
    def live(self) -> bool:
        """Whether it can be changed while the show runs."""
        return self.lands != "start"

    @property
    def allowed(self) -> str:
        """What the parameter takes, in words."""
        if self.rule is not None:
            return self.rule.allowed
        if self.kind == "switch":
            return "true or false"
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        if self.kind in ("text", "call"):
            return f"text of at most {TEXT_MAX} characters"
        if self.kind == "trigger":
            return "a strength from 0 to 1"
        noun = "a whole number" if self.kind == "integer" else "a number"
        unit = f" {self.unit}" if self.unit else ""
        if self.low is not None and self.high is not None:
            return f"{noun} from {_plain(self.low)} to {_plain(self.high)}{unit}"
        if self.low is not None:
            return f"{noun} of at least {_plain(self.low)}{unit}"
        if self.high is not None:
            return f"{noun} of at most {_plain(self.high)}{unit}"
        return noun + unit

    def coerce(self, value: object) -> Value:
        """The value in the parameter's own type, taken strictly: "0.3" is no number, 3.0 no whole number.

        Raises ParamError naming what is allowed and what was given.
        """
        coerced = self._coerce(value)
        if self.rule is not None and not self.rule.holds(coerced):
            raise self._error(shown(value))
        return coerced

    def _coerce(self, value: object) -> Value:
        if self.kind == "switch" and isinstance(value, bool):
            return value
        if self.kind in ("text", "call") and isinstance(value, str) and len(value) <= TEXT_MAX:
            return value
        if self.kind == "choice" and isinstance(value, str):
            if value in self.choices:
                return value
            raise self._error(repr(value), nearest_word(value, self.choices))
        if self.kind == "integer" and isinstance(value, int) and not isinstance(value, bool):
            if self._within(value):
                return value
        elif self.kind in ("number", "trigger") and _is_finite_number(value) and self._within(float(value)):
            return float(value)
        raise self._error(shown(value))

    def from_text(self, text: str) -> Value:
        """A value typed by a person, as in `--set walk.speed=0.3`. Raises ParamError."""
        word = text.strip()
        value: object = word
        if self.kind in ("text", "call"):
            value = text
        elif self.kind == "switch":
            value = True if word.lower() in _ON else False if word.lower() in _OFF else word
        elif self.kind == "integer":
            value = _number(int, word)
        elif self.kind in ("number", "trigger"):
            value = _number(float, word)
        return self.coerce(value)

    def from_osc(self, args: Sequence[object]) -> Value:
        """A value from OSC arguments, taken generously: controllers know little about types.

        The first argument counts. Whole numbers do for others and the other way round, true and false for
        1 and 0, text for the number, switch or choice that it names. Any number of at least a half
        switches on, a number beyond the range is the end of the range, a choice goes by name or by place
        in the list. A trigger without a value (a bang) is full strength. Raises ParamError for what is
        not finite, missing, or has no one plain meaning. A call takes all of them, as text with spaces between.
        """
        if self.kind == "call":
            return self.coerce(" ".join(_said(a) for a in args if a is not None))
        given = args[0] if args else None
        value = given
        if isinstance(value, str) and self.kind != "text":
            value = self._read(value)
        if self.kind == "trigger" and value in (None, "bang"):
            return 1.0
        if isinstance(value, bool) and self.kind in ("number", "integer", "trigger"):
            value = int(value)
        if self.kind == "switch" and isinstance(value, bool):
            return value
        if isinstance(value, str) and self.kind in ("text", "choice"):
            return self.coerce(value)
        if _is_finite_number(value):
            if self.kind == "switch":
                return float(value) >= 0.5
            if self.kind == "choice":
                return self.choices[min(max(round(value), 0), len(self.choices) - 1)]
            if self.kind == "integer":
                return int(self.clamped(round(value)))
            if self.kind in ("number", "trigger"):
                return self.clamped(float(value))
        raise self._error("no value" if given is None else shown(given))

    def _read(self, text: str) -> object:
        """What a text sent in place of a value means; itself when that is not plain."""
        word = text.strip()
        lower = word.lower()
        named = [choice for choice in self.choices if choice.lower() == lower]
        if text in self.choices or len(named) == 1:
            return text if text in self.choices else named[0]
        number = _number(float, word)
        if number is not word:
            return number
        return True if lower in _ON else False if lower in _OFF else lower if lower == "bang" else word

    def _limits(self) -> tuple[float, float]:
        low, high = (0.0, 1.0) if self.kind == "trigger" else (self.low, self.high)
        return -math.inf if low is None else low, math.inf if high is None else high

    def _within(self, value: float) -> bool:
        low, high = self._limits()
        return low <= value <= high

    def clamped(self, value: float) -> float:
        low, high = self._limits()
        return float(min(max(value, low), high))

    @property
    def is_bounded(self) -> bool:
        """Whether it is a number with two ends, so that a fader can have the whole of it."""
        return self.kind == "trigger" or (self.kind in ("number", "integer") and None not in (self.low, self.high))

    def at(self, share: float) -> float:
        """The value at a share of a fader's travel, 0 to 1, by the parameter's own curve. Only if it is bounded."""
        low, high = self._limits()
        share = min(max(share, 0.0), 1.0)
        if self.curve == "log":
            return self.clamped(low * (high / low) ** share)
        return self.clamped(low + (high - low) * (share * share if self.curve == "square" else share))

    def share(self, value: float) -> float:
        """Where on a fader's travel a value stands, 0 to 1: the other way round than at()."""
        low, high = self._limits()
        value = self.clamped(value)
        if high <= low:
            return 0.0
        if self.curve == "log":
            return math.log(value / low) / math.log(high / low)
        part = (value - low) / (high - low)
        return math.sqrt(part) if self.curve == "square" else part

    def _error(self, given: str, nearest: str | None = None) -> ParamError:
        return ParamError(self.name, self.allowed, given, nearest)


class Registry(Mapping[str, Param]):
    """All parameters of one show, by name, in the order they are documented."""

    def __init__(self, params: Sequence[Param]) -> None:
        self._params = {p.name: p for p in params}
        if len(self._params) != len(params):
            raise ValueError("parameter names must differ, got " + ", ".join(p.name for p in params))
        self._addresses = {p.address: p for p in params}

    def __getitem__(self, name: str) -> Param:
        return self._params[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __len__(self) -> int:
        return len(self._params)

    def nearest(self, name: str) -> str | None:
        """The parameter that somebody who wrote `name` (or an address) most likely meant."""
        return nearest_word(name.strip("/").replace("/", "."), list(self._params))

    def by_address(self, address: str) -> Param | None:
        """The parameter at an OSC address, which must be exact."""
        return self._addresses.get(address)

    def match(self, pattern: str) -> list[Param]:
        """Every parameter whose address fits an OSC address pattern such as `/material/*`."""
        parsed = OscPattern(pattern)
        return [p for address, p in self._addresses.items() if parsed.matches(address)]

    def rows(self) -> list[dict[str, Any]]:
        """One plain dictionary a parameter, for tables and JSON."""
        return [
            {
                "name": p.name,
                "kind": p.kind,
                "range": "" if p.kind in ("text", "call") else p.allowed.removeprefix("one of "),
                "low": p.low,
                "high": p.high,
                "choices": list(p.choices),
                "default": p.default,
                "unit": p.unit,
                "curve": p.curve,
                "smoothing_s": p.smoothing_s,
                "lands": p.lands,
                "address": p.address,
                "doc": p.doc,
            }
            for p in self._params.values()
        ]


def slug(text: str) -> str:
    """The nearest thing to `text` that can be part of a parameter's name: a-z, 0-9 and _."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:32].strip("_")


def nearest_word(word: str, words: Sequence[str]) -> str | None:
    """The most likely of `words` for a mistyped one, or None when nothing is near.

    Dotted names are also known by their last part: `speed` finds `walk.speed`. Every name is also known
    in any case: `Walk.Speed` finds it too.
    """
    folded = word.strip().casefold()
    tail = folded.rpartition(".")[2]
    by_fold = {w.casefold(): w for w in words}
    if folded in by_fold:
        return by_fold[folded]
    by_tail: dict[str, str] = {}
    for name in by_fold:
        by_tail.setdefault(name.rpartition(".")[2], by_fold[name])
    if "." not in folded and folded in by_tail:
        return by_tail[folded]
    if close := get_close_matches(folded, list(by_fold), 1, 0.7):
        return by_fold[close[0]]
    if len(tail) > 3 and (close := get_close_matches(tail, list(by_tail), 1, 0.7)):  # short words are all alike
        return by_tail[close[0]]
    return None


def did_you_mean(nearest: str | None) -> str:
    """The end of a sentence about a name that is not known."""
    return f". Did you mean {nearest}?" if nearest else ""


def shown(value: object, width: int = 60) -> str:
    """A value as a message quotes it: short, on one line, no control characters."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        value = value[: width + 1]  # not a megabyte through repr
    text = ascii(value) if isinstance(value, bytes) else repr(value)
    return text if len(text) <= width else text[: width - 1] + "…"


def _is_finite_number(value: object) -> TypeGuard[int | float]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond float
        return False


def _number(read: type[int] | type[float], word: str) -> object:
    try:
        return read(word)
    except ValueError:
        return word


def _said(argument: object) -> str:
    """An OSC argument as a person would write it."""
    if isinstance(argument, bool):
        return str(int(argument))
    return f"{argument:g}" if isinstance(argument, float) else str(argument)


def _plain(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else f"{number:g}"
