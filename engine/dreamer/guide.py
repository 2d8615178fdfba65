"""The pictures that steer a dream, in the dreamer: kept by the hash of their content, brought to what a network takes.

    pictures = Pictures({"latent": encoder(vae)})
    pictures.see(hash, read); pictures.mixed(guide.seen, "latent")      # (1, C, h, w), or None: none of them is there

Dreamer process; torch. Several threads may dream while one sees. Whatever is made of a picture (a latent, its lines,
its likeness) is made once, when it is first needed.
"""

import copy
import logging
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.walk.waypoint import Guide

KEPT = 32  # pictures
MADE_BYTES = 256 << 20  # of what was made of them; hints of large pictures are the most of it
_FLAT = 1e-3  # a variance that is about none
_MOST = 2.0  # how far a mixture is spread out, at most

log = logging.getLogger("pedesis")
Seen = Sequence[tuple[str, float]]
Make = Callable[[Tensor], Tensor]  # of a picture (1, 3, H, W) in 0..1


class Pictures:
    """The KEPT pictures that were used last, and what was made of each. makers: what can be made of one, by name."""

    def __init__(self, makers: Mapping[str, Make], device: torch.device | str = "cpu") -> None:
        self.makers, self._device = dict(makers), torch.device(device)
        self._pixels: OrderedDict[str, NDArray[np.uint8]] = OrderedDict()
        self._made: OrderedDict[tuple[str, str], Tensor] = OrderedDict()  # used last at the end
        self._lock = threading.RLock()

    def see(self, hash: str, read: Callable[[], NDArray[np.uint8]]) -> None:
        """Takes a picture (H, W, 3), which is only read if it is not there yet."""
        with self._lock:
            if hash not in self._pixels:
                self._pixels[hash] = np.array(read())  # its own
            self._pixels.move_to_end(hash)
            while len(self._pixels) > KEPT:
                old, _ = self._pixels.popitem(last=False)
                for key in [key for key in self._made if key[0] == old]:
                    del self._made[key]

    def mixed(self, seen: Seen, what: str) -> Tensor | None:
        """What is made of these pictures, by their shares, of those that are there; None without any. Latents keep
        their variance."""
        with self._lock:
            there = [(hash, share) for hash, share in seen if hash in self._pixels and share > 0.0]
            total = sum(share for _, share in there)
            if not there or not math.isfinite(total):
                return None
            made = [self._of(hash, what) for hash, _ in there]
        if len(made) == 1:
            return made[0]
        shares = [share / total for _, share in there]
        return spread_out(made, shares) if what == "latent" else weighted(made, shares)

    def _of(self, hash: str, what: str) -> Tensor:
        self._pixels.move_to_end(hash)
        key = hash, what
        if key not in self._made:
            picture = torch.from_numpy(self._pixels[hash]).to(self._device).permute(2, 0, 1)[None].float() / 255
            with torch.inference_mode(False), torch.no_grad():  # a recording may be made with it
                self._made[key] = self.makers[what](picture).float().nan_to_num(0.0, 0.0, 0.0)
        self._made.move_to_end(key)
        made = self._made[key]
        size = sum(one.nbytes for one in self._made.values())
        while size > MADE_BYTES and len(self._made) > 1:
            size -= self._made.popitem(last=False)[1].nbytes
        return made


def weighted(made: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """sum_i w_i z_i"""
    total = shares[0] * made[0]
    for z, share in zip(made[1:], shares[1:], strict=True):
        total = total + share * z
    return total


def spread_out(latents: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    """The same of latents (1, C, h, w), each channel as far spread as in the pictures: a plain mean of two that have
    nothing in common is flat, and a network sees fog in it."""
    total = weighted(latents, shares)
    mean = total.mean((2, 3), keepdim=True)
    wanted = weighted([z.var((2, 3), keepdim=True, unbiased=False) for z in latents], shares)
    have = total.var((2, 3), keepdim=True, unbiased=False)
    return mean + (total - mean) * ((wanted + _FLAT) / (have + _FLAT)).sqrt().clamp(1.0, _MOST)


def encoder(vae: Any, xl: bool = False) -> Make:
    """From a picture (1, 3, H, W) in 0..1 to its latent (1, C, h, w) as the network has it: the mean of what the
    encoder says, and no draw from it. Raises ValueError for a decoder without an encoder."""
    if getattr(vae, "encoder", None) is None:
        raise ValueError(f"{type(vae).__name__} has no encoder")
    light = copy.copy(vae)
    light._modules = {n: m for n, m in vae._modules.items() if n not in ("decoder", "post_quant_conv")}
    scale, shift = float(vae.config.scaling_factor), getattr(vae.config, "shift_factor", None) or 0.0
    mean, std = (getattr(vae.config, f"latents_{n}", None) for n in ("mean", "std"))

    def latent(picture: Tensor) -> Tensor:
        weight = next(light.parameters())
        taken = (picture * 2 - 1).to(weight.device, weight.dtype, memory_format=torch.channels_last)
        said = light.encode(taken)
        z = (said.latents if hasattr(said, "latents") else said.latent_dist.mode()).float()  # (1, C, h, w)
        if not (xl and mean is not None and std is not None):
            return (z - shift) * scale
        m, s = (torch.tensor(v, device=z.device).reshape(1, -1, 1, 1) for v in (mean, std))
        return (z - m) * scale / s

    return latent


@dataclass(frozen=True)
class Asked:
    """How strongly a guide steers in each of the ways, as sound numbers."""

    strength: float
    outline: float
    likeness: float


def asked(guide: Guide | None) -> Asked | None:
    """What a waypoint asks for; None if nothing steers."""
    if guide is None or not guide.seen:
        return None
    found = Asked(_within(guide.strength, 1.0), _within(guide.outline, 2.0), _within(guide.likeness, 1.0))
    return found if found.strength or found.outline or found.likeness else None


def say_once(said: set[str], what: str) -> None:
    """Says it in the log, unless it is in `said` already."""
    if what not in said:
        said.add(what)
        log.warning("%s", what)


def _within(value: float, most: float) -> float:
    return min(max(value, 0.0), most) if math.isfinite(value) else 0.0
