"""The latest value of every parameter, smoothed on the navigator's ticks.

    controls = Controls(show.registry, show.values)
    controls.set("walk.speed", 0.3)      # where it should go
    controls.tick(1 / 120)               # one step on the way
    controls["walk.speed"], controls.take("walk.nudge")

Belongs to the thread that runs the show's loop (stage process). A mapping from name to present value, so
it can be handed to whatever reads parameters.

How triggers fire. A trigger fires when its strength rises from 0, so a button that sends 1 then 0 fires
once. Many sensors only ever send 1: a press with no release also fires if nothing has come for that
trigger during REPEAT_S. A sensor that streams 1s faster than that is one long press.
"""

import math
from collections import deque
from collections.abc import Iterator, Mapping

from engine.show.params import Param, Registry, Value

REPEAT_S = 0.25  # faster than this nobody taps one pad with one finger on purpose without releasing it
MAX_FIRED = 16  # hits of one trigger waiting to be taken; beyond it the newest are not kept
_ARRIVED = 1e-9  # share of the range (or of an octave) that counts as there


class Controls(Mapping[str, Value]):
    """Present values, targets and waiting triggers of one show."""

    def __init__(self, registry: Registry, values: Mapping[str, Value]) -> None:
        """values: where every parameter starts; one that is missing starts at its default."""
        self._registry = registry
        self._triggers = {n: _Trigger() for n, p in registry.items() if p.kind == "trigger"}
        self._now = {n: values.get(n, p.default) for n, p in registry.items() if p.kind != "trigger"}
        self._target = dict(self._now)
        self._moving: set[str] = set()
        self._time_s = 0.0

    def __getitem__(self, name: str) -> Value:
        """The smoothed value; of a trigger, the strength that `take` would give."""
        if name in self._triggers:
            return self._triggers[name].waiting
        return self._now[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._registry)

    def __len__(self) -> int:
        return len(self._registry)

    def set(self, name: str, value: Value) -> None:
        """Moves a parameter's target. value: already coerced. Numbers travel there; all else arrives."""
        if name in self._triggers:
            self._triggers[name].press(float(value), self._time_s)
            return
        param = self._registry[name]
        self._target[name] = value
        if param.kind == "number" and param.smoothing_s > 0:
            self._moving.add(name)
        else:
            self._now[name] = value

    def tick(self, dt_s: float) -> None:
        """One step toward the targets, by 1 - exp(-dt/smoothing): many small steps equal one large one."""
        self._time_s += dt_s
        arrived = []
        for name in self._moving:
            now, there = _step(self._registry[name], float(self._now[name]), float(self._target[name]), dt_s)
            self._now[name] = now
            if there:
                arrived.append(name)
        self._moving.difference_update(arrived)

    def target(self, name: str) -> Value:
        """Where a parameter is going; of a trigger, the strength it is held at."""
        if name in self._triggers:
            return self._triggers[name].held
        return self._target[name]

    def take(self, name: str) -> float:
        """Strength of the oldest waiting hit of a trigger, which is then gone; 0.0 when there is none."""
        return self._triggers[name].take()


class _Trigger:
    """Strength held now, and the hits nobody has taken yet."""

    def __init__(self) -> None:
        self.held = 0.0
        self.fired: deque[float] = deque()
        self._last_s = -math.inf

    @property
    def waiting(self) -> float:
        return self.fired[0] if self.fired else 0.0

    def press(self, strength: float, time_s: float) -> None:
        rising = self.held <= 0.0 or time_s - self._last_s > REPEAT_S
        if strength > 0.0 and rising and len(self.fired) < MAX_FIRED:
            self.fired.append(strength)
        self.held, self._last_s = strength, time_s

    def take(self) -> float:
        return self.fired.popleft() if self.fired else 0.0


def _step(param: Param, now: float, target: float, dt_s: float) -> tuple[float, bool]:
    """A number one step nearer its target, and whether it is there."""
    share = -math.expm1(-dt_s / param.smoothing_s)
    if param.curve == "log":
        octaves = math.log(target / now)
        there = abs(octaves) < _ARRIVED
        return (target if there else now * math.exp(octaves * share)), there
    span = (param.high - param.low) if param.high is not None and param.low is not None else 1.0
    there = abs(target - now) <= _ARRIVED * span
    return (target if there else now + (target - now) * share), there
