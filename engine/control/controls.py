"""The latest value of every parameter, smoothed on the navigator's ticks.

    controls = Controls(show.registry, show.values)
    controls.set("walk.speed", 0.3)      # where its base should go
    controls.tick(1 / 120)               # one step on the way
    controls["walk.speed"], controls.take("walk.nudge")

Belongs to the thread that runs the show's loop (stage process). A mapping from name to present value, so
it can be handed to whatever reads parameters.

Base and modulation. The base is what a hand, a preset or the show file set, smoothed; modulations come on top of it
and never move it. What a picture is made with is both together: `controls[name]`; a fader shows `base(name)`.

How triggers fire. A trigger fires when its strength rises from 0, so a button that sends 1 then 0 fires
once. Many sensors only ever send 1: a press with no release also fires if nothing has come for that
trigger during REPEAT_S. A sensor that streams 1s faster than that is one long press.
"""

import math
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from engine.show.params import Param, Registry, Value

REPEAT_S = 0.25  # faster than this nobody taps one pad with one finger on purpose without releasing it
MAX_FIRED = 16  # hits of one trigger waiting to be taken; beyond it the newest are not kept
_ARRIVED = 1e-9  # share of the range (or of an octave) that counts as there
How = Literal["add", "multiply", "max"]


class Controls(Mapping[str, Value]):
    """Present values, targets, modulations and waiting triggers of one show."""

    def __init__(self, registry: Registry, values: Mapping[str, Value]) -> None:
        """values: where every parameter starts; one that is missing starts at its default."""
        self._registry = registry
        self._triggers = {n: _Trigger() for n, p in registry.items() if p.kind == "trigger"}
        self._calls: dict[str, deque[str]] = {n: deque() for n, p in registry.items() if p.kind == "call"}
        self._called: deque[str] = deque()  # names of the calls that wait, in the order they came
        self._hits: deque[str] = deque()  # the same of the triggers
        self._base = {n: values.get(n, p.default) for n, p in registry.items() if not p.fires}
        self._target = dict(self._base)
        self._moving: dict[str, _Glide | None] = {}  # on the way: by the parameter's own smoothing, or by a glide
        self._modulations: dict[str, dict[str, tuple[How, float]]] = {}
        self._smoothing: dict[str, float] = {}  # in place of the parameters' own, seconds
        self._time_s = 0.0

    def __getitem__(self, name: str) -> Value:
        """The base with its modulations; of a trigger, the strength that `take` would give, of a call the text."""
        if name in self._modulations:
            return self._modulated(name)
        if name in self._base:
            return self._base[name]
        if name in self._calls:
            return self._calls[name][0] if self._calls[name] else ""
        return self._triggers[name].waiting

    def __iter__(self) -> Iterator[str]:
        return iter(self._registry)

    def __len__(self) -> int:
        return len(self._registry)

    def fires(self, name: str) -> bool:
        """Whether it is a trigger or a call, which has no value."""
        return self._registry[name].fires

    def base(self, name: str) -> Value:
        """The smoothed value without what modulates it; of a trigger, the strength it is held at; of a call nothing."""
        if name in self._base:
            return self._base[name]
        return "" if name in self._calls else self._triggers[name].held

    def target(self, name: str) -> Value:
        """Where the base is going; of a trigger, the strength it is held at; of a call nothing."""
        if name in self._calls:
            return ""
        return self._triggers[name].held if name in self._triggers else self._target[name]

    def set(self, name: str, value: Value) -> None:
        """Moves a parameter's target. value: already coerced. Numbers travel there; all else arrives."""
        if name in self._triggers:
            if self._triggers[name].press(float(value), self._time_s):
                self._hits.append(name)
            return
        if name in self._calls:
            if len(self._calls[name]) < MAX_FIRED:
                self._calls[name].append(str(value))
                self._called.append(name)
            return
        param = self._registry[name]
        self._target[name] = value
        if param.kind == "number" and self.smoothing_s(name) > 0:
            self._moving[name] = None
        else:
            self._moving.pop(name, None)
            self._base[name] = value

    def smoothing_s(self, name: str) -> float:
        """Time constant by which a number follows what is set; 0: at once."""
        return self._smoothing.get(name, self._registry[name].smoothing_s)

    def smooth(self, name: str, time_s: float) -> None:
        """Gives a number another time constant; 0 makes a hard cut of every change. Others have none."""
        if self._registry[name].kind != "number":
            return
        self._smoothing[name] = time_s
        if time_s <= 0 and self._moving.get(name, self) is None:
            del self._moving[name]
            self._base[name] = self._target[name]

    def chosen(self, name: str) -> Value:
        """What a person who keeps the present state means: where a hand has moved the parameter to, also while it is
        smoothed on its way there; of a glide, where it is now."""
        return self._base[name] if self._moving.get(name) is not None else self.target(name)

    def hit(self, name: str, strength: float = 1.0) -> None:
        """Fires a trigger once, as a pad that is pressed and let go."""
        self.set(name, strength)
        self.set(name, 0.0)

    def glide(self, name: str, value: Value, time_s: float, even: bool = False) -> None:
        """As set(), but a number takes exactly that long, beginning and ending gently. even: at one pace all the way,
        so that one such way can follow another."""
        if self._registry[name].kind != "number" or time_s <= 0:
            self.set(name, value)
            return
        self._target[name] = value
        self._moving[name] = _Glide(float(self._base[name]), self._time_s, time_s, even)

    def put(self, name: str, value: Value) -> None:
        """As set(), but it is there at once. value: already coerced."""
        self.set(name, value)
        self._moving.pop(name, None)
        if name in self._base:
            self._base[name] = value

    def modulate(self, name: str, source: str, amount: float, how: How = "add") -> None:
        """Puts something on top of a number's base until it is put there again; an amount of 0 (1 to multiply by)
        takes it away. source: whose it is. how: max lifts the base to `amount` at least.

        Raises ValueError for what is not a number.
        """
        if self._registry[name].kind != "number":
            raise ValueError(f"only numbers can be modulated, {name} is {self._registry[name].noun}")
        on_top = self._modulations.setdefault(name, {})
        on_top[source] = how, amount
        if (amount == 0.0 and how == "add") or (amount == 1.0 and how == "multiply"):
            del on_top[source]
            if not on_top:
                del self._modulations[name]

    def tick(self, dt_s: float) -> None:
        """One step toward the targets, by 1 - exp(-dt/smoothing): many small steps equal one large one."""
        self._time_s += dt_s
        for name, glide in list(self._moving.items()):
            param, now, target = self._registry[name], float(self._base[name]), float(self._target[name])
            self._base[name], there = (
                _step(param, now, target, dt_s, self.smoothing_s(name))
                if glide is None
                else (glide.at(param, target, self._time_s), glide.is_over(self._time_s))
            )
            if there:
                del self._moving[name]

    def take(self, name: str) -> float:
        """Strength of the oldest waiting hit of a trigger, which is then gone; 0.0 when there is none."""
        strength = self._triggers[name].take()
        if strength:
            self._hits.remove(name)
        return strength

    def take_first(self, names: Collection[str]) -> str | None:
        """Name of the trigger among these whose hit has waited longest; the hit is then gone. None: nothing waits."""
        name = next((name for name in self._hits if name in names), None)
        if name is not None:
            self.take(name)
        return name

    def take_call(self, name: str) -> str | None:
        """Text of the oldest waiting call, which is then gone; None when there is none."""
        if not self._calls[name]:
            return None
        self._called.remove(name)
        return self._calls[name].popleft()

    def take_first_call(self, names: Collection[str]) -> tuple[str, str] | None:
        """Name and text of the oldest waiting call of any of these; None when there is none."""
        name = next((name for name in self._called if name in names), None)
        return None if name is None else (name, self.take_call(name) or "")

    def to_dict(self) -> dict[str, Any]:
        """All of the state, JSON-able."""
        return {
            "time_s": self._time_s,
            "base": dict(self._base),
            "target": {n: v for n, v in self._target.items() if v != self._base[n]},
            "moving": {n: glide and glide.to_list() for n, glide in self._moving.items()},
            "smoothing": dict(self._smoothing),
            "modulations": {n: {s: list(m) for s, m in on_top.items()} for n, on_top in self._modulations.items()},
            "triggers": {n: t.to_list() for n, t in self._triggers.items() if t.was_pressed},
            "calls": {n: list(texts) for n, texts in self._calls.items() if texts},
        }

    def restore(self, data: Mapping[str, Any]) -> None:
        """Takes up where `to_dict` left it; what the show does not have is left out.

        Raises KeyError, TypeError or ValueError on damaged data.
        """
        values, targets = (
            {n: _checked(self._registry[n], v) for n, v in data[part].items() if n in self._base}
            for part in ("base", "target")
        )
        moving = {n: glide and _Glide.of(*glide) for n, glide in data["moving"].items() if n in self._base}
        self._time_s = float(data["time_s"])
        self._base |= values
        self._target = self._base | targets
        self._moving = moving
        self._smoothing = {n: float(s) for n, s in data.get("smoothing", {}).items() if n in self._base}
        self._modulations = {}
        for name, on_top in data["modulations"].items():
            for source, (how, amount) in on_top.items():
                if name in self._registry:
                    self.modulate(name, str(source), float(amount), how)
        for name, state in data["triggers"].items():
            if name in self._triggers:
                self._triggers[name].restore(state)
                self._hits.extend([name] * len(self._triggers[name].fired))
        for name, texts in data["calls"].items():
            if name in self._calls:
                self._calls[name].extend(map(str, texts))
                self._called.extend([name] * len(texts))

    def _modulated(self, name: str) -> float:
        value, lift = float(self._base[name]), -math.inf
        for how, amount in self._modulations[name].values():
            if how == "add":
                value += amount
            elif how == "multiply":
                value *= amount
            else:
                lift = max(lift, amount)
        return self._registry[name].clamped(max(value, lift))


@dataclass(frozen=True)
class _Glide:
    """A way from one value to the target in a fixed time: s-shaped, without a jerk at either end, or even."""

    start: float
    start_s: float
    length_s: float
    even: bool = False

    def to_list(self) -> list[Any]:
        return [self.start, self.start_s, self.length_s, self.even]

    @staticmethod
    def of(start: Any, start_s: Any, length_s: Any, even: Any) -> "_Glide":
        return _Glide(float(start), float(start_s), float(length_s), bool(even))

    def at(self, param: Param, target: float, time_s: float) -> float:
        """Where it is; by equal ratios where the parameter's curve is logarithmic."""
        part = min((time_s - self.start_s) / self.length_s, 1.0)
        part = part if self.even else part * part * (3 - 2 * part)
        if part >= 1.0:
            return target
        if param.curve == "log":
            return self.start * (target / self.start) ** part
        return self.start + (target - self.start) * part

    def is_over(self, time_s: float) -> bool:
        return time_s - self.start_s >= self.length_s


class _Trigger:
    """Strength held now, and the hits nobody has taken yet."""

    def __init__(self) -> None:
        self.held = 0.0
        self.fired: deque[float] = deque()
        self._last_s = -math.inf

    @property
    def was_pressed(self) -> bool:
        return self._last_s > -math.inf

    def to_list(self) -> list[Any]:
        return [self.held, self._last_s, list(self.fired)]

    def restore(self, state: Sequence[Any]) -> None:
        held, last_s, fired = state
        self.held, self._last_s, self.fired = float(held), float(last_s), deque(map(float, fired))

    @property
    def waiting(self) -> float:
        return self.fired[0] if self.fired else 0.0

    def press(self, strength: float, time_s: float) -> bool:
        """Whether it fires."""
        rising = self.held <= 0.0 or time_s - self._last_s > REPEAT_S
        fires = strength > 0.0 and rising and len(self.fired) < MAX_FIRED
        if fires:
            self.fired.append(strength)
        self.held, self._last_s = strength, time_s
        return fires

    def take(self) -> float:
        return self.fired.popleft() if self.fired else 0.0


def _checked(param: Param, value: Any) -> Value:
    """A value of a saved state. A number on its way may lie a rounding error beyond the range."""
    return param.coerce(param.clamped(float(value)) if param.kind == "number" else value)


def _step(param: Param, now: float, target: float, dt_s: float, smoothing_s: float) -> tuple[float, bool]:
    """A number one step nearer its target, and whether it is there."""
    share = -math.expm1(-dt_s / smoothing_s)
    if param.curve == "log":
        octaves = math.log(target / now)
        there = abs(octaves) < _ARRIVED
        return (target if there else now * math.exp(octaves * share)), there
    span = (param.high - param.low) if param.high is not None and param.low is not None else 1.0
    there = abs(target - now) <= _ARRIVED * span
    return (target if there else now + (target - now) * share), there
