"""Pretended hardware, for building a show before the real thing is there.

    for moment in SCENES["visitor"].play(seed=1, rate_hz=20):    # endless
        ...sleep until moment.time_s, then send moment.address with moment.arguments

A visitor before a distance sensor, a tracked hand, a microphone's level, a page of TouchOSC: each sends what such a
device sends, in its own types, with its noise and its gaps. The same seed and rate are the same performance. Pure.
"""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from engine.control.send import Argument

FAR_M = 4.0  # what an ultrasonic sensor says when nothing is there


@dataclass(frozen=True)
class Moment:
    """One message, and when it is sent, in seconds since the start."""

    time_s: float
    address: str
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class Scene:
    """One kind of hardware. `sends` has an address and what it means a line, `mapping` a way to use it in a show."""

    title: str
    rate_hz: float
    sends: tuple[tuple[str, str], ...]
    mapping: str
    make: Callable[[random.Random, float], Iterator[Moment]]

    def play(self, seed: int = 1, rate_hz: float | None = None) -> Iterator[Moment]:
        """What it sends, for ever, in the order of time."""
        return self.make(random.Random(seed), rate_hz or self.rate_hz)


def _f(*values: float) -> tuple[Argument, ...]:
    return tuple(("f", round(value, 4)) for value in values)


class _Wander:
    """A value that drifts around 0 and comes back (Ornstein and Uhlenbeck), with a standard deviation of 1."""

    def __init__(self, rng: random.Random, back_s: float) -> None:
        self._rng, self._back_s, self._value = rng, back_s, rng.gauss(0, 1)

    def step(self, dt_s: float) -> float:
        keep = math.exp(-dt_s / self._back_s)
        self._value = keep * self._value + math.sqrt(1 - keep * keep) * self._rng.gauss(0, 1)
        return self._value


def _visits(rng: random.Random, dt_s: float) -> Iterator[float]:
    """How far the nearest visitor is, in metres, step by step."""
    sway = _Wander(rng, 1.5)
    while True:
        for _ in range(round(rng.uniform(2, 8) / dt_s)):
            yield FAR_M
        stays = rng.random() < 0.7  # the others only walk past
        nearest_m = rng.uniform(0.5, 1.6) if stays else rng.uniform(2.0, 3.2)
        dwell_s = rng.uniform(4, 14) if stays else rng.uniform(0.0, 0.6)
        walk_s = (FAR_M - nearest_m) / rng.uniform(0.7, 1.3)
        for step in range(round(walk_s / dt_s)):
            yield FAR_M + (nearest_m - FAR_M) * _eased(step * dt_s / walk_s)
        for _ in range(round(dwell_s / dt_s)):
            yield nearest_m + 0.05 * sway.step(dt_s)
        for step in range(round(walk_s / dt_s)):
            yield nearest_m + (FAR_M - nearest_m) * _eased(step * dt_s / walk_s)


def _visitor(rng: random.Random, rate_hz: float) -> Iterator[Moment]:
    here = False
    for step, distance_m in enumerate(_visits(rng, 1 / rate_hz)):
        time_s = step / rate_hz
        lost = rng.random() < 0.02  # no echo: the sensor says that nothing is there
        measured_m = FAR_M if lost else min(max(distance_m + rng.gauss(0, 0.012), 0.02), FAR_M)
        yield Moment(time_s, "/sensor/1/distance", _f(round(measured_m, 2)))
        if here != (distance_m < 2.5):
            here = not here
            yield Moment(time_s, "/sensor/1/presence", (("i", int(here)),))


def _hand(rng: random.Random, rate_hz: float) -> Iterator[Moment]:
    dt_s, time_s = 1 / rate_hz, 0.0
    while True:
        wanders = [_Wander(rng, seconds) for seconds in (1.2, 0.9, 2.0)]
        speeds = [rng.uniform(0.15, 0.5) for _ in range(3)]
        starts = [rng.uniform(0, math.tau) for _ in range(3)]
        yield Moment(time_s, "/hand/present", (("i", 1),))
        for _ in range(round(rng.uniform(6, 15) / dt_s)):
            place = [
                0.5 + 0.32 * math.sin(math.tau * speed * time_s + start) + 0.05 * wander.step(dt_s)
                for speed, start, wander in zip(speeds, starts, wanders, strict=True)
            ]
            place = [min(max(p + rng.gauss(0, 0.003), 0.0), 1.0) for p in place]
            yield Moment(time_s, "/hand/position", _f(*place))
            grip = 0.5 + 0.5 * math.tanh(4 * math.sin(math.tau * 0.11 * time_s + starts[0]))
            yield Moment(time_s, "/hand/open", _f(grip))
            time_s += dt_s
        yield Moment(time_s, "/hand/present", (("i", 0),))
        time_s += rng.uniform(1.5, 4)


def _voice(rng: random.Random, dt_s: float) -> Iterator[tuple[float, bool]]:
    """How loud a voice is, 0 to 1, step by step, and whether a syllable begins there."""
    while True:
        for _ in range(rng.randint(4, 16)):  # syllables of a phrase
            length_s, loud = rng.uniform(0.12, 0.32), rng.uniform(0.45, 1.0)
            steps = max(2, round(length_s / dt_s))
            for step in range(steps):
                part = step / steps
                yield loud * min(part / 0.2, 1.0) * (1 - part) ** 0.6, step == 0
        for _ in range(round(rng.uniform(0.3, 1.8) / dt_s)):  # a breath
            yield 0.0, False


def _microphone(rng: random.Random, rate_hz: float) -> Iterator[Moment]:
    level, sounding = 0.0, False
    for step, (loud, begins) in enumerate(_voice(rng, 1 / rate_hz)):
        time_s = step / rate_hz
        level += (loud - level) * (1 - math.exp(-1 / rate_hz / (0.02 if loud > level else 0.12)))
        yield Moment(time_s, "/mic/level", _f(min(max(level + abs(rng.gauss(0.02, 0.006)), 0.0), 1.0)))
        if begins or sounding:
            sounding = begins
            yield Moment(time_s, "/mic/onset", (("i", int(begins)),))


def _touchosc(rng: random.Random, rate_hz: float) -> Iterator[Moment]:
    """The pages of its layout "Simple": it sends only what a finger touches, always floats, and a page's name when one
    turns to it."""
    time_s, page = 0.5, 1
    faders = [0.0] * 5
    toggles: dict[str, bool] = {}
    while True:
        gesture = rng.choice(("fader", "fader", "fader", "push", "toggle", "xy"))
        wanted = {"push": 2, "xy": 3, "toggle": page}.get(gesture, 1)
        if wanted != page:
            page = wanted
            yield Moment(time_s, f"/{page}", ())
            time_s += 0.4
        if gesture == "fader":
            which, goal = rng.randrange(5), round(rng.random(), 2)
            start, length_s = faders[which], rng.uniform(0.3, 2.0)
            for step in range(1, round(length_s * rate_hz) + 1):
                value = start + (goal - start) * _eased(step / (length_s * rate_hz))
                yield Moment(time_s + step / rate_hz, f"/1/fader{which + 1}", _f(value))
            faders[which] = goal
        elif gesture == "push":
            pad, length_s = rng.randint(1, 16), rng.uniform(0.06, 0.25)
            yield Moment(time_s, f"/2/push{pad}", _f(1.0))
            yield Moment(time_s + length_s, f"/2/push{pad}", _f(0.0))
        elif gesture == "toggle":
            length_s, name = 0.1, f"/{page}/toggle{rng.randint(1, 4)}"
            toggles[name] = not toggles.get(name, False)
            yield Moment(time_s, name, _f(float(toggles[name])))
        else:
            length_s, turn, start = rng.uniform(1.5, 4.0), rng.uniform(0.2, 0.6), rng.uniform(0, math.tau)
            for step in range(round(length_s * rate_hz)):
                angle = start + math.tau * turn * step / rate_hz
                x, y = 0.5 + 0.4 * math.cos(angle), 0.5 + 0.4 * math.sin(1.3 * angle)
                yield Moment(time_s + step / rate_hz, "/3/xy", _f(x, y))
        time_s += length_s + rng.uniform(0.2, 1.5)


def _eased(part: float) -> float:
    part = min(max(part, 0.0), 1.0)
    return part * part * (3 - 2 * part)


SCENES: dict[str, Scene] = {
    "visitor": Scene(
        "visitors who walk up to a distance sensor, stay a while and go on",
        20.0,
        (("/sensor/1/distance", "metres; 4 when nobody is there"), ("/sensor/1/presence", "1 or 0, when it changes")),
        'from = "/sensor/1/distance"\nto = "walk.speed"\nin = [3.0, 0.6]\nout = [0.1, 1.0]',
        _visitor,
    ),
    "hand": Scene(
        "a hand before a camera that tracks it",
        30.0,
        (
            ("/hand/position", "x y z, each 0 to 1"),
            ("/hand/open", "0 a fist, 1 an open hand"),
            ("/hand/present", "1 or 0, when it changes"),
        ),
        'from = "/hand/position"\narg = 2\nto = "walk.radius"\nin = [0, 1]\nout = [0.2, 1.0]',
        _hand,
    ),
    "microphone": Scene(
        "somebody who speaks",
        50.0,
        (("/mic/level", "0 to 1"), ("/mic/onset", "1 as a syllable begins, then 0")),
        'from = "/mic/level"\nto = "look.drift"\nin = [0.05, 0.8]\nout = [0.0, 0.5]',
        _microphone,
    ),
    "touchosc": Scene(
        "a phone with TouchOSC's layout Simple",
        60.0,
        (
            ("/1/fader1 to /1/fader5", "0 to 1"),
            ("/2/push1 to /2/push16", "1 pressed, 0 released"),
            ("/1/toggle1 to /3/toggle4", "1 or 0"),
            ("/3/xy", "x y, each 0 to 1"),
            ("/1 /2 /3", "no value: another page is shown"),
        ),
        'from = "/1/fader1"\nto = "walk.speed"\nin = [0, 1]\nout = [0, 4]',
        _touchosc,
    ),
}
