"""The built-in model's focus curve: measures it, writes it beside the weights, holds it against the eye.

Usage: `python -m scripts.house_model.focus` (about two minutes on two cores); `--check` writes nothing.

It is the curve of engine/dreamer/focus.py over all materials of the house show, each pure, with two seeds. Held against
it is the curve by Lab distances (CIE 1976) of the decoded pictures, averaged over blocks of 4 by 4 pixels. Run it
again whenever the weights change: a curve made for others is not used.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.dreamer import focus, models
from engine.dreamer.load import Dreamer
from engine.dreamer.sampler import UNetSampler
from engine.dreamer.spec import DreamSpec
from engine.play.shows import load_show
from engine.show.paths import house_model_dir
from engine.walk.waypoint import Point, Waypoint

SEEDS = (1, 2)
BLOCK = 4  # pixels
SIZE = ("model.width=256", "model.height=144")


def trials(count: int) -> list[Waypoint]:
    """Every material pure, with every seed."""
    one = [tuple(float(n == m) for n in range(count)) for m in range(count)]
    return [Waypoint(0.0, 0, (Point(seed, 0.0, 0.1, 1.0),), weights) for weights in one for seed in SEEDS]


def lab(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(H, W, 3) sRGB to (H/BLOCK, W/BLOCK, 3) CIE L*a*b*, averaged in linear light (IEC 61966-2-1, CIE 15)."""
    h, w, _ = picture.shape
    c = picture.reshape(h // BLOCK, BLOCK, w // BLOCK, BLOCK, 3) / 255.0
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4).mean((1, 3))
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ to_xyz.T / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def travel(sampler: UNetSampler, waypoints: list[Waypoint], factors: list[float]) -> NDArray[np.float64]:
    """Shares of the whole change to the eye between factors that follow one another, mean over the waypoints."""
    shares = np.zeros(len(factors) - 1)
    for waypoint in waypoints:
        with torch.inference_mode():
            seen = [lab(sampler._decoded(sampler.latent(waypoint, f)).numpy()) for f in factors]
        steps = np.array([np.linalg.norm(b - a, axis=-1).mean() for a, b in pairwise(seen)])
        shares += steps / steps.sum() / len(waypoints)
    return shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--steps", type=int, default=4)
    args = parser.parse_args()
    show = load_show("house", sets=[*SIZE, f"model.steps={args.steps}", "model.dtype=float32"])
    sampler = Dreamer(DreamSpec.from_show(show))._sampler
    assert isinstance(sampler, UNetSampler)
    waypoints = trials(len(show.materials))
    curve = focus.measure(lambda factor, n: sampler.latent(waypoints[n], factor), len(waypoints))
    print("curve      ", focus.to_text(curve))
    print("by the eye, shares of the change in each tenth of the travel:")
    for name, factors in (("with it   ", list(curve)), ("without it", [n / 10 for n in range(11)])):
        print(name, " ".join(f"{share:.3f}" for share in travel(sampler, waypoints, factors)))
    if not args.check:
        note = {"weights": focus.digest(models.find("house")), "curve": curve}
        file = Path(house_model_dir() / focus.SHIPPED)
        file.write_text(json.dumps(note) + "\n")
        print("written to", file)


if __name__ == "__main__":
    main()
