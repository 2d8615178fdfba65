"""Liquidise on the built-in model, held against the eye: how evenly a fader's travel is spread, and what it costs.

Usage: `python -m scripts.house_model.liquid` (about two minutes on two cores). It writes nothing.

What it prints last is the CURVE of engine/dreamer/liquid.py: the shares of the whole change, by Lab distances of the
decoded pictures as in focus.py, between neighbouring twentieths of the fader, mean over four walks of the house show.
"""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np

from engine.dreamer import liquid
from engine.dreamer.load import Dreamer
from engine.dreamer.spec import DreamSpec
from engine.play.conductor import Conductor
from engine.play.shows import load_show
from engine.walk.mix import TICK_HZ
from engine.walk.waypoint import Waypoint
from scripts.house_model.focus import lab

SIZE = ("model.width=320", "model.height=192", "model.dtype=float32")
WALKS = ((1, 5), (2, 20), (3, 42), (4, 75))  # seed, seconds
STEPS = 20
FLOOR = 0.02  # of the travel goes evenly over the tearing, as in engine/dreamer/focus.py


def torn(seed: int, seconds: int) -> Waypoint:
    """A place of the house show, half torn."""
    conductor = Conductor(load_show("house", [*SIZE, "pulp.liquidise=0.5"], seed), words_at_once=True)
    for _ in range(seconds * TICK_HZ):
        conductor.tick()
    return conductor.waypoint()


def main() -> None:
    dreamer = Dreamer(DreamSpec.from_show(load_show("house", SIZE)))
    amounts = np.linspace(0.0, 1.0, STEPS + 1)
    shares = np.zeros(STEPS)
    for here in (torn(*walk) for walk in WALKS):
        assert here.liquid is not None
        seen = [lab(dreamer.dream(replace(here, liquid=replace(here.liquid, amount=float(a))))) for a in amounts]
        steps = np.array([np.linalg.norm(b - a, axis=-1).mean() for a, b in pairwise(seen)])
        shares += steps / steps.sum() / len(WALKS)
    print("shares of the change", " ".join(f"{s:.3f}" for s in shares))
    for name, one in (("whole", replace(here, liquid=None)), ("torn", here)):
        begun = time.perf_counter()
        for _ in range(10):
            dreamer.dream(one)
        print(f"{name}: {(time.perf_counter() - begun) / 10:.3f} s a picture")
    travel = np.concatenate([[0.0], np.cumsum(shares)]) * (1 - FLOOR) + amounts * FLOOR
    now = np.interp(amounts, np.linspace(0.0, 1.0, len(liquid.CURVE)), liquid.CURVE)
    print("curve", " ".join(f"{c:.3f}" for c in np.interp(np.linspace(0.0, 1.0, 11), travel, now)))


if __name__ == "__main__":
    main()
