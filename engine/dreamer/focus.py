"""How far the noise is turned up for a focus, so that all of a fader's travel is alive: measured for each model.

Usage: `focus = Focus(known, learn)`; `noise * focus(waypoint.focus)`; `measure(latent, trials)` finds the curve.
Dreamer process; torch.

Noise turned up from 0 to 1 goes from the mean of everything to one particular picture, but not evenly: on the built-in
model next to nothing happens below 0.2. So a focus is not the factor itself; a curve leads from the one to the other,
along which equal steps of focus are about equal changes to the eye.

The eye is stood in for by latents alone, which need no decoder: how far apart two are after averaging over a quarter of
the picture's shorter side, and over all of it, in equal parts. On the built-in model that gives the curve that Lab
distances of its decoded pictures give, to within 0.02 (scripts/house_model/focus.py); cell by cell it is 0.2 off, as
the eye sees a colour sooner than a grain.
"""

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from engine.dreamer.models import ModelPlace
from engine.show.files import read_text_bounded, write_whole
from engine.show.paths import cache_dir

log = logging.getLogger("pedesis")

Curve = tuple[float, ...]  # factors of the noise at a focus of 0, 1/10 .. 1, rising from 0 to 1
POINTS = 11
# Where nothing was measured: about that of the built-in model.
DEFAULT: Curve = (0.0, 0.2, 0.33, 0.43, 0.52, 0.6, 0.68, 0.76, 0.84, 0.92, 1.0)
SLOW_S = 0.8  # a model that takes longer for one latent is not measured: nobody waits for twenty of them
FLOOR = 0.02  # of a fader's travel goes evenly over the noise: where nothing at all changes, it still has to move
SHIPPED = "focus.json"  # in a model's folder
_LONGEST = 10_000  # bytes of a file with a curve
_SAMPLE = 1 << 16  # bytes of a weights file that are looked at, three times


class Focus:
    """Focus to factor of the noise, 0..1 to 0..1. What is not known is learnt when it is first needed.

    Threads may ask at the same time; all get the same answer.
    """

    def __init__(self, known: Curve | None, learn: Callable[[], Curve]) -> None:
        self.curve, self._learn = known, learn
        self._lock = threading.Lock()

    def __call__(self, focus: float) -> float:
        if focus <= 0.0 or focus >= 1.0:  # the ends are the same for all
            return min(max(focus, 0.0), 1.0)
        with self._lock:
            if self.curve is None:
                self.curve = self._learn()
        return strength(focus, self.curve)


def strength(focus: float, curve: Curve) -> float:
    """The factor of the noise for a focus of 0..1, between the points of the curve along straight lines."""
    return float(np.interp(focus, np.linspace(0.0, 1.0, len(curve)), curve))


def measure(latent: Callable[[float, int], Tensor], trials: int) -> Curve:
    """The curve of a model. latent: (factor of the noise, number of the trial) -> finished latent (1, C, h, w)."""
    factors = np.linspace(0.0, 1.0, POINTS)
    shares = np.zeros(POINTS - 1)
    for trial in range(trials):
        steps = np.zeros((2, POINTS - 1))
        last = latent(0.0, trial).float()
        for n, factor in enumerate(factors[1:]):
            here = latent(float(factor), trial).float()
            steps[:, n] = _changes(here - last)
            last = here
        total = steps.sum(1, keepdims=True)  # (2, 1)
        if not (np.isfinite(total).all() and (total > 0).all()):
            return DEFAULT
        shares += (steps / total).mean(0) / trials
    seen = np.concatenate([[0.0], np.cumsum(shares)]) * (1 - FLOOR) + factors * FLOOR  # rises strictly, to 1
    curve = np.interp(factors, seen, factors)  # its inverse
    return tuple(round(float(f), 3) for f in curve)


def _changes(difference: Tensor) -> tuple[float, float]:
    """How much two latents (1, C, h, w) differ to the eye: root mean square of what is left after averaging."""
    side = min(difference.shape[-2:])
    near, far = (F.avg_pool2d(difference, k, ceil_mode=True) for k in (max(1, round(side / 4)), side))
    return float(near.square().mean().sqrt()), float(far.square().mean().sqrt())


def learn(latent: Callable[[float, int], Tensor], trials: int, kept: Path | None) -> Curve:
    """The curve that was kept for this model, or else measured now, unless that would take long; then kept."""
    if kept is not None and (curve := read_curve(kept)) is not None:
        return curve
    try:
        curve = _measured(latent, trials)
    except (NotImplementedError, TypeError, ValueError, AttributeError, IndexError) as error:
        log.info("focus: this model's latents cannot be had (%s); the usual curve is taken", error)
        curve = DEFAULT
    if kept is not None:
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_whole(kept, json.dumps({"curve": curve}) + "\n")
        except OSError as error:
            log.info("focus: the curve could not be kept (%s) and is found again next time", error)
    return curve


def _measured(latent: Callable[[float, int], Tensor], trials: int) -> Curve:
    float(latent(1.0, 0).sum())  # a first one may compile kernels
    begun_s = time.monotonic()
    float(latent(1.0, 0).sum())
    took_s = time.monotonic() - begun_s
    if took_s > SLOW_S:
        log.info("focus: at %.1f s a latent this model is too slow to be measured; the usual curve is taken", took_s)
        return DEFAULT
    curve = measure(latent, trials)
    log.info("focus: this model was measured in %.1f s", time.monotonic() - begun_s)
    return curve


def read_curve(file: Path, weights: str | None = None) -> Curve | None:
    """The curve in a file, None if there is none that is sound. weights: digest of those it must have been made for."""
    try:
        told = json.loads(read_text_bounded(file, _LONGEST))
        if weights is not None and told["weights"] != weights:
            return None
        return checked(told["curve"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def checked(curve: Sequence[Any]) -> Curve:
    """A curve that came from elsewhere. Raises TypeError or ValueError."""
    numbers = tuple(float(f) for f in curve)
    rises = all(a < b for a, b in pairwise(numbers))  # NaN does not
    if len(numbers) != POINTS or (numbers[0], numbers[-1]) != (0.0, 1.0) or not rises:
        raise ValueError(f"a focus curve must be {POINTS} numbers that rise from 0 to 1, got {numbers}")
    return numbers


def shipped(place: ModelPlace) -> Curve | None:
    """The curve that lies in the model's own folder, if it was measured on these very weights."""
    file = place.path / SHIPPED
    return read_curve(file, digest(place)) if file.is_file() else None


def kept_file(place: ModelPlace, how: Sequence[object]) -> Path | None:
    """Where this machine keeps a model's curve. how: what else it hangs on, such as steps and scheduler."""
    mark = hashlib.sha256(f"{digest(place)} {list(how)}".encode()).hexdigest()[:32]
    try:
        return cache_dir() / "focus" / f"{mark}.json"
    except OSError:
        return None


def digest(place: ModelPlace) -> str:
    """Stands for a model's network and scheduler: names, sizes and three samples of each file."""
    sum_ = hashlib.sha256()
    for part in ("unet", "transformer", "scheduler"):
        folder = [place.path] if place.layout and part == "unet" else (place.path / part).glob("*")
        for file in sorted(f for f in folder if f.is_file() and not f.name.startswith(".")):
            size = file.stat().st_size
            sum_.update(f"{part}/{file.name}\0{size}\0".encode())
            with file.open("rb") as opened:
                for at in (0, max(0, size - _SAMPLE) // 2, max(0, size - _SAMPLE)):
                    opened.seek(at)
                    sum_.update(opened.read(_SAMPLE))
    return sum_.hexdigest()[:32]


def to_text(curve: Curve | None) -> str:
    """A curve in one line, for what is compared and kept; empty for none."""
    return "" if curve is None else " ".join(f"{f:g}" for f in curve)


def from_text(text: str) -> Curve | None:
    """The way back; None also for what is no curve."""
    try:
        return checked(text.split()) if text else None
    except ValueError:
        return None
