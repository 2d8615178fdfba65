"""Chance from counters: a number is a hash of where it stands, so neither order nor device nor size matters.

Usage: `noise = plane_normals(seed, fields, (C, h, w), device)`; `hashed(places)`; `normal_pairs(hashes)`.
Dreamer process, and the painter in scripts/house_model; torch.

int64 stands for unsigned 64 bits: multiplication and addition wrap, and shifts are made logical here.
"""

import math

import torch
from torch import Tensor

# splitmix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"), as signed numbers
STEP, _MIX_1, _MIX_2 = (n - (1 << 64) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_ROW = 1 << 20  # places from one row of the plane to the next: more than any picture is wide
_CACHED = 1 << 16  # numbers drawn in one go: they stay in a processor's cache


def hashed(z: Tensor) -> Tensor:
    """splitmix64's finaliser over int64; writes into `z` and returns it."""
    z ^= _shifted(z, 30)
    z *= _MIX_1
    z ^= _shifted(z, 27)
    z *= _MIX_2
    z ^= _shifted(z, 31)
    return z


def normal_pairs(z: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Two independent standard normal numbers for each hash, by Box and Muller (1958), computed in `dtype`."""
    radius = ((_shifted(z, 32) + 1).to(dtype) * 2**-32).log_().mul_(-2).sqrt_()  # of 2^-32..1: never the log of nothing
    turn = (z & 0xFFFFFFFF).to(dtype) * (2 * math.pi * 2**-32)
    return radius * turn.cos(), radius * turn.sin()


def plane_normals(seed: int, fields: int, shape: tuple[int, int, int], device: torch.device) -> Tensor:
    """Independent standard normal numbers on a plane that goes on for ever, seen through a window around its middle.

    Number (n, c, y, x) depends on seed, field, channel and place alone; row y of h is y - h // 2 from the middle, and
    columns likewise. (2 * fields, C * h * w) float32; fields n and `fields + n` are a pair. Devices agree to float32
    rounding, as all is computed in float64.
    """
    channels, h, w = shape
    on = device if device.type == "cuda" else torch.device("cpu")  # Apple's GPUs have no float64
    rows = torch.arange(-(h // 2), h - h // 2, device=on).mul_(_ROW)  # (h,)
    columns = torch.arange(-(w // 2), w - w // 2, device=on)
    places = (rows[:, None] + columns).mul_(STEP).flatten()  # (h*w,)
    keys = _keys(_keys(torch.tensor([seed], device=on), fields).flatten(), channels)  # (fields, C)
    out = torch.empty((2, fields, channels, h * w), dtype=torch.float32, device=on)
    at_once = max(1, _CACHED // (channels * h * w))
    for first in range(0, fields, at_once):
        some = slice(first, first + at_once)
        out[0, some], out[1, some] = normal_pairs(hashed(keys[some, :, None] + places), torch.float64)
    return out.view(2 * fields, -1).to(device)


def _keys(parents: Tensor, count: int) -> Tensor:
    """(P,) to (P, count): that many children of each parent, which are the same whatever the count."""
    return hashed(parents[:, None] + torch.arange(1, count + 1, device=parents.device) * STEP)


def _shifted(z: Tensor, by: int) -> Tensor:  # int64 has no logical shift
    return (z >> by).bitwise_and_((1 << 64 - by) - 1)
