"""Low-frequency oscillators: motion of its own for any number of a show, on top of where a hand puts it.

    lfos = Lfos(things["lfo"], registry)
    lfos.watch(controls); lfos.tick(controls, tempo.beats)     # once a tick

Each swings its parameter about the base by `depth`, a share of the fader's whole travel, so that 0.1 looks like as much
on a parameter with a logarithmic curve as on any other. The swing is a function of the phase and the seed: the same
show swings the same way every time. Belongs to the thread that runs the show's loop.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from statistics import NormalDist
from typing import Any

from engine.control.controls import Controls
from engine.control.presets import TICK_HZ
from engine.show.params import Param, Registry, nearest_word, shown, slug
from engine.show.part import Report, Table

SHAPES = ("sine", "triangle", "ramp", "square", "walk", "hold", "envelope")
MAX_LFOS = 64
SEED_MAX = 2**31 - 1
RATE, BEATS, DEPTH, ATTACK, DECAY = 0.1, 4.0, 0.1, 0.05, 1.0  # where the table says nothing
_KEYS = ("name", "to", "shape", "rate", "beats", "depth", "phase", "seed", "on", "attack", "decay")
_WAVES = 6  # cosines that a random walk is made of
_ALIGN_S = 1.0  # time constant in which a swing counted in beats falls in with them again, after its length changed
_DECAYED = 3.0  # time constants in a decay: a twentieth is left at its end
_SILENT = 1e-3  # of an envelope


@dataclass(frozen=True)
class Lfo:
    """What one [[lfo]] table says, but for what can be steered."""

    name: str
    to: str
    shape: str = "sine"
    in_beats: bool = False
    phase: float = 0.0  # cycles
    seed: int = 0
    on: str = ""  # the trigger that starts an envelope; empty: its own, lfo.NAME.hit
    number: int = field(default=0, compare=False)  # of its table in the show, from 1


def read_lfos(content: object, report: Report) -> Table:
    """[[lfo]] tables; what they name is looked at by `check_lfos`."""
    found: dict[str, Lfo] = {}
    values: dict[str, object] = {}
    entries = content if isinstance(content, list) else []
    if content is not None and (not isinstance(content, list) or len(entries) > MAX_LFOS):
        report("[[lfo]]", f"there at most {MAX_LFOS} times", str(len(entries)) if entries else shown(content))
    for n, entry in enumerate(entries[:MAX_LFOS], 1):
        key = f"[[lfo]] {n}"
        if not isinstance(entry, Mapping):
            report(key, "a table with name, to, shape, rate or beats, and depth", shown(entry))
            continue
        lfo = replace(_read_lfo(entry, key, found, report), number=n)
        if lfo.name:
            found[lfo.name] = lfo
            for name in ("rate", "beats", "depth", "attack", "decay"):
                if name in entry and name in _steered(lfo):
                    values[f"lfo.{lfo.name}.{name}"] = entry[name]
    return Table(tuple(found.values()), values)


def _read_lfo(entry: Mapping[str, Any], key: str, taken: Mapping[str, Lfo], report: Report) -> Lfo:
    for unknown in [k for k in entry if k not in _KEYS]:
        report(key, f"made of {', '.join(_KEYS)}", shown(unknown), nearest_word(unknown, _KEYS))
    name, shape, on = entry.get("name"), entry.get("shape", "sine"), entry.get("on", "")
    if not isinstance(name, str) or not name or slug(name) != name:
        must_be = "a name of a-z, 0-9 and _, at most 32 characters (its addresses are /lfo/<name>/…)"
        report(f"{key} name", must_be, shown(name), slug(name) if isinstance(name, str) else None)
        name = ""
    elif name in taken:
        report(f"{key} name", "a name that no other LFO has", shown(name))
    if shape not in SHAPES:
        near = nearest_word(shape, SHAPES) if isinstance(shape, str) else None
        report(f"{key} shape", f"one of {', '.join(SHAPES)}", shown(shape), near)
    if "rate" in entry and "beats" in entry:
        report(key, "given either rate, in Hz, or beats", "both")
    elif shape == "envelope" and ("rate" in entry or "beats" in entry):
        report(key, "given attack and decay where its shape is envelope", "a rate")
    elif shape != "envelope" and (stray := [k for k in ("on", "attack", "decay") if k in entry]):
        report(f"{key} {stray[0]}", "left out where the shape is not envelope", shown(entry[stray[0]]))
    phase, seed = entry.get("phase", 0.0), entry.get("seed", 0)
    if isinstance(phase, bool) or not isinstance(phase, int | float) or not 0 <= phase <= 1:
        report(f"{key} phase", "a number from 0 to 1", shown(phase))
        phase = 0.0
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= SEED_MAX:
        report(f"{key} seed", f"a whole number from 0 to {SEED_MAX}", shown(seed))
        seed = 0
    return Lfo(name, str(entry.get("to", "")), str(shape), "beats" in entry, float(phase), seed, str(on))


def check_lfos(lfos: Sequence[Lfo], registry: Registry, report: Report) -> None:
    """What LFOs say of other parameters, once those are known."""
    for lfo in lfos:
        n, param = lfo.number, registry.get(lfo.to)
        if param is None:
            report(f"[[lfo]] {n} to", "a parameter of this show", shown(lfo.to), registry.nearest(lfo.to))
        elif param.kind != "number" or not param.live or param.low is None or param.high is None:
            report(f"[[lfo]] {n} to", "a number that can be changed while the show runs", f"{lfo.to}, {_what(param)}")
        elif lfo.to == f"lfo.{lfo.name}.depth" or lfo.to == f"lfo.{lfo.name}.rate":
            report(f"[[lfo]] {n} to", "a parameter other than its own", shown(lfo.to))
        on = registry.get(lfo.on) if lfo.on else None
        if lfo.on and (on is None or on.kind != "trigger"):
            report(f"[[lfo]] {n} on", "a trigger", shown(lfo.on), registry.nearest(lfo.on))


def _what(param: Param) -> str:
    return param.noun if param.kind != "number" else "which is set when the show begins"


def _steered(lfo: Lfo) -> tuple[str, ...]:
    return ("depth", "attack", "decay") if lfo.shape == "envelope" else ("depth", "beats" if lfo.in_beats else "rate")


def lfo_params(lfos: Sequence[Lfo]) -> list[Param]:
    """What of each can be steered."""
    params: list[Param] = []
    for lfo in lfos:
        name, said = f"lfo.{lfo.name}", lfo.name.replace("_", " ")
        params.append(
            Param(f"{name}.depth", "number", DEPTH,
                  f"How far {said} moves {lfo.to}, as a share of its whole range; below 0 the other way round.",
                  -1, 1, smoothing_s=0.3)
        )  # fmt: skip
        if lfo.shape == "envelope":
            params += [
                Param(f"{name}.attack", "number", ATTACK, f"How long {said} takes to rise.", 0, 60, "s", "square"),
                Param(f"{name}.decay", "number", DECAY, f"How long {said} takes to fall.", 0, 60, "s", "square"),
                Param(f"{name}.hit", "trigger", 0.0, f"Starts {said}, as high as the hit is hard."),
            ]
        elif lfo.in_beats:
            params.append(
                Param(f"{name}.beats", "number", BEATS, f"Length of one cycle of {said}.",
                      1 / 16, 256, "beats", "log")
            )  # fmt: skip
        else:
            params.append(
                Param(f"{name}.rate", "number", RATE, f"Cycles of {said} a second.", 0.001, 30, "Hz", "log", 0.3)
            )
    return params


class Lfos:
    """See the module's head."""

    def __init__(self, lfos: Sequence[Lfo], registry: Registry) -> None:
        self._players = [_Envelope(lfo, registry) if lfo.shape == "envelope" else _Swing(lfo, registry) for lfo in lfos]

    def watch(self, controls: Controls) -> None:
        """Sees the triggers that envelopes wait for, before anybody takes them."""
        for player in self._players:
            player.watch(controls)

    def tick(self, controls: Controls, beats: float) -> None:
        """One tick. beats: the tempo's count."""
        for player in self._players:
            player.tick(controls, beats)

    def to_dict(self) -> dict[str, Any]:
        """All of the state, JSON-able."""
        return {player.lfo.name: player.state for player in self._players}

    def restore(self, data: Mapping[str, Any]) -> None:
        """Takes up where `to_dict` left it; one that is new begins. Raises TypeError or ValueError on damaged data."""
        for player in self._players:
            if player.lfo.name in data:
                player.state = [float(number) for number in data[player.lfo.name]]


class _Player:
    """Moves one parameter. Subclasses say by how much."""

    state: list[float]

    def __init__(self, lfo: Lfo, registry: Registry) -> None:
        self.lfo = lfo
        self._param = registry[lfo.to]
        self._depth, self._source = f"lfo.{lfo.name}.depth", f"lfo.{lfo.name}"
        self._moved = False
        even = self._param.curve == "linear" and self._param.low is not None and self._param.high is not None
        self._span = self._param.high - self._param.low if even else None  # type: ignore[operator]

    def watch(self, controls: Controls) -> None:
        """Sees a trigger, of what waits for one."""

    def value(self, controls: Controls, beats: float) -> float:
        """Where the swing is, -1 to 1; once a tick."""
        raise NotImplementedError

    def tick(self, controls: Controls, beats: float) -> None:
        share = self.value(controls, beats) * float(controls[self._depth])
        if share == 0.0:
            if self._moved:
                controls.modulate(self.lfo.to, self._source, 0.0)
                self._moved = False
            return
        self._moved = True
        if self._span is not None:
            controls.modulate(self.lfo.to, self._source, share * self._span)
            return
        base = float(controls.base(self.lfo.to))
        controls.modulate(self.lfo.to, self._source, moved(self._param, base, share) - base)


class _Swing(_Player):
    """A periodic or random swing. State: phase in cycles; what it is off the beat by; the length it last had."""

    def __init__(self, lfo: Lfo, registry: Registry) -> None:
        super().__init__(lfo, registry)
        self.state = [0.0, 0.0, 0.0]
        self._speed = f"lfo.{lfo.name}.{'beats' if lfo.in_beats else 'rate'}"
        self._wave = _wave(lfo.shape, lfo.seed)

    def value(self, controls: Controls, beats: float) -> float:
        speed = float(controls[self._speed])
        if self.lfo.in_beats:
            phase = self._on_beat(beats, speed)
        else:
            phase = self.state[0]
            self.state[0] += speed / TICK_HZ
        return self._wave(phase + self.lfo.phase)

    def _on_beat(self, beats: float, length: float) -> float:
        """The phase of a cycle of so many beats. When the length changes it goes on from where it is, and then falls
        in with the beat again."""
        _, off, before = self.state
        if before and before != length:
            off += beats / before - beats / length
            off -= round(off)
        off *= math.exp(-1.0 / (_ALIGN_S * TICK_HZ))
        self.state = [beats / length + off, off, length]
        return self.state[0]


class _Envelope(_Player):
    """Rises at a trigger and falls. State: its level; the height it rises to; whether it rises."""

    def __init__(self, lfo: Lfo, registry: Registry) -> None:
        super().__init__(lfo, registry)
        self.state = [0.0, 0.0, 0.0]
        self._own = f"lfo.{lfo.name}.hit"
        self._hit = 0.0

    def watch(self, controls: Controls) -> None:
        if self.lfo.on:
            self._hit = max(self._hit, float(controls[self.lfo.on]))

    def value(self, controls: Controls, beats: float) -> float:
        self.watch(controls)
        while strength := controls.take(self._own):
            self._hit = max(self._hit, strength)
        level, height, rises = self.state
        if self._hit:
            height, rises = max(self._hit, level), 1.0
            self._hit = 0.0
        if rises:
            level += height / max(float(controls[f"lfo.{self.lfo.name}.attack"]) * TICK_HZ, 1.0)
            level, rises = min(level, height), float(level < height)
        elif level:
            level *= math.exp(-_DECAYED / max(float(controls[f"lfo.{self.lfo.name}.decay"]) * TICK_HZ, 1.0))
            level = level if level > _SILENT else 0.0
        self.state = [level, height, rises]
        return level


def moved(param: Param, value: float, share: float) -> float:
    """The value that lies a share of the fader's whole travel beyond another one, within the range. For parameters
    whose curve is not linear."""
    assert param.low is not None and param.high is not None
    low, high = param.low, param.high
    if param.curve == "log":
        return min(max(value * (high / low) ** share, low), high)
    travel = math.sqrt((value - low) / (high - low)) + share
    return low + (high - low) * min(max(travel, 0.0), 1.0) ** 2


def _wave(shape: str, seed: int) -> Callable[[float], float]:
    """The swing, -1 to 1, as a function of the phase in cycles."""
    if shape == "sine":
        return lambda phase: math.sin(2 * math.pi * phase)
    if shape == "triangle":
        return lambda phase: 1.0 - 4.0 * abs((phase + 0.25) % 1.0 - 0.5)
    if shape == "ramp":
        return lambda phase: 2.0 * (phase % 1.0) - 1.0
    if shape == "square":
        return lambda phase: 1.0 if phase % 1.0 < 0.5 else -1.0
    if shape == "hold":
        return lambda phase: 2.0 * drawn(seed, math.floor(phase)) - 1.0
    waves = _walk_waves(seed)
    return lambda phase: math.tanh(sum([gain * math.sin(turn * phase + at) for gain, turn, at in waves]))


@lru_cache(maxsize=MAX_LFOS)
def _walk_waves(seed: int) -> tuple[tuple[float, float, float], ...]:
    """A smooth random walk, as the walk through latent space is one: sines whose speeds are spread as a normal
    distribution, which is a squared-exponential covariance. (gain, radians a cycle, radians) of each.

    A stationary Gaussian crosses 0 upward sigma / 2 pi times a unit (Rice 1945): with sigma = 2 pi once a cycle.
    """
    gain = 0.7 * math.sqrt(2.0 / _WAVES)
    normal = NormalDist()
    return tuple(
        (gain,
         2 * math.pi * normal.inv_cdf(0.5 + 0.5 * (k + drawn(seed, 2 * k)) / _WAVES),
         2 * math.pi * drawn(seed, 2 * k + 1))
        for k in range(_WAVES)
    )  # fmt: skip


def drawn(seed: int, n: int) -> float:
    """The n-th of the numbers from 0 to 1 that belong to a seed, without those before it: SplitMix64 (Steele, Lea and
    Flood 2014) of both."""
    z = (seed * 0x9E3779B97F4A7C15 + n * 0xD1B54A32D192ED03 + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return ((z ^ (z >> 31)) >> 11) / float(1 << 53)
