"""From a waypoint to what a model takes: latent noise and mixed conditioning, on the device.

Usage: `noise = Noise((4, 64, 64), device)`; `z = noise(waypoint)`; `Conditioning(tensors).mix(weights)`.
Dreamer process; torch.

A walk's 2K normal fields belong to places: each number depends on seed, field, channel, row and column alone, counted
from the middle of the picture (counter.py). So another size or aspect shows the same plane, seen wider, on every
device. They are drawn once per seed; after that a place on the walk is one matrix-vector product with
spectrum.coefficients.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.dreamer.counter import plane_normals
from engine.dreamer.liquid import NATIVE, Masks, woven
from engine.walk.spectrum import K
from engine.walk.waypoint import Waypoint, spread

KEEP = 8  # seeds: a walk and its home, those that blend into them, and a few that come back


class Noise:
    """Latent noise at any waypoint; every value is an exact draw of N(0, 1) if the waypoint has unit variance.

    shape: (C, h, w) of one latent. keep: how many seeds stay on the device, more if one waypoint needs more.
    native: cells of the shorter side of the pictures that the model was trained on.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        device: torch.device | str = "cpu",
        keep: int = KEEP,
        native: int = NATIVE,
    ) -> None:
        if any(n < 1 for n in shape):
            raise ValueError(f"a latent shape needs positive sizes, got {shape}")
        self.shape = shape
        self.device = torch.device(device)
        self._keep = self._room = max(1, keep)
        self._bases: OrderedDict[int, Tensor] = OrderedDict()
        self._lock = threading.Lock()  # a film dreams in several threads
        self.masks = Masks(shape[1:], native, self.device)

    def basis(self, seed: int) -> Tensor:
        """The fields A_1..A_K, B_1..B_K of one seed, (2K, C*h*w) in float32 on the device."""
        with self._lock:
            if seed not in self._bases:
                self._bases[seed] = plane_normals(seed, K, self.shape, self.device)
            self._bases.move_to_end(seed)
            basis = self._bases[seed]
            while len(self._bases) > self._room:
                self._bases.popitem(last=False)
            return basis

    def __call__(self, waypoint: Waypoint) -> Tensor:
        """The noise at a waypoint, (1, C, h, w) in float32; of one that is torn, woven of that of its sheets."""
        sheets = [spread(sheet.points, waypoint.loop) for sheet in waypoint.sheets]
        self._room = max(self._keep, sum(map(len, sheets)))  # with fewer they would push one another out
        noises = [self._sum(by_seed) for by_seed in sheets]
        if waypoint.liquid is None:
            return noises[0][None]  # (1, C, h, w)
        return woven(noises, self.masks(waypoint.liquid, waypoint.loop))[None]

    def _sum(self, by_seed: Mapping[int, NDArray[np.float64]]) -> Tensor:
        """(C, h, w)"""
        if not by_seed:
            raise ValueError("a waypoint needs at least one point, got none")
        total: Tensor | None = None
        for seed, share in by_seed.items():
            row = torch.from_numpy(share.astype(np.float32)).to(self.device)  # (2K,)
            z = row @ self.basis(seed)  # (C*h*w,)
            total = z if total is None else total + z
        assert total is not None
        return total.reshape(self.shape)


class Conditioning:
    """What the text encoders made of each material: encoded once, mixed for every waypoint.

    materials: name -> (N, ...) with one row a material, averaged with the weights. fixed: name -> (1, ...), passed
    on as it is (the negative prompt, masks).
    """

    def __init__(self, materials: Mapping[str, Tensor], fixed: Mapping[str, Tensor] | None = None) -> None:
        counts = {name: int(t.shape[0]) for name, t in materials.items()}
        if len(set(counts.values())) != 1:
            raise ValueError(f"conditioning needs one row a material in every tensor, got {counts}")
        self.count = next(iter(counts.values()))
        self._shapes = {n: t.shape[1:] for n, t in materials.items()}
        # float32 whatever the model runs in: a mixture of half-precision rows would move in steps
        self._rows = {n: materials[n].float().reshape(self.count, -1) for n in self._shapes}  # (N, L*D)
        self.fixed = dict(fixed or {})

    @property
    def length(self) -> int:
        """Tokens of the longest text, L of (N, L, D)."""
        return max(shape[0] for shape in self._shapes.values() if len(shape) > 1)

    def fitted(self, length: int) -> "Conditioning":
        """The same with texts of that many tokens (see _fit)."""
        if length == self.length:
            return self
        rows = {n: t.reshape(self.count, *self._shapes[n]) for n, t in self._rows.items()}
        fixed = {n: _fit(t, length) for n, t in self.fixed.items()}
        return Conditioning({n: _fit(t, length) for n, t in rows.items()}, fixed)

    def mix(self, weights: Sequence[float]) -> dict[str, Tensor]:
        """Weighted mean over the materials: name -> (1, ...) in float32, plus what is fixed."""
        return self.mixed(weights) | self.fixed

    def mixed(self, weights: Sequence[float]) -> dict[str, Tensor]:
        """The same without what is fixed."""
        if len(weights) != self.count:
            raise ValueError(f"mixing needs {self.count} weights, one a material, got {len(weights)}")
        mixed: dict[str, Tensor] = {}
        for name, rows in self._rows.items():
            w = torch.tensor(weights, dtype=torch.float32).to(rows.device)
            mixed[name] = (w @ rows).reshape(1, *self._shapes[name])  # (1, L, D) or (1, P)
        return mixed


def _fit(texts: Tensor, length: int) -> Tensor:
    """(N, L, D) to (N, length, D): repeated where that comes out even, which a network reads as if it stood there once;
    else cut at the end or followed by zeros. What has no length, such as (N, P), stays as it is."""
    if texts.dim() < 3 or texts.shape[1] == length:
        return texts
    if texts.shape[1] > length:
        return texts[:, :length]
    if length % texts.shape[1] == 0:
        return texts.repeat(1, length // texts.shape[1], 1)
    return torch.nn.functional.pad(texts, (0, 0, 0, length - texts.shape[1]))
