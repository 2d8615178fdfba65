"""What a picture came of, made small enough to be shown: noise and latent, a byte a number.

Usage: `flat, shape = squeezed(latent, room)`, or `shape = put(latent, ring.numbers(slot)[1])`. Dreamer process; torch.
The stage draws them (stage/numbers.py).

A number x becomes 128 + 127 x / sqrt(4 + x^2): those of noise lie mostly within -3..3, and none is cut off. For the eye
only; nothing is dreamt from them.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.dreamer.ring import CHANNELS, Shape


def squeezed(values: Tensor, room: int) -> tuple[Tensor, Shape]:
    """(1, C, h, w) as at most `room` bytes in a row, on the same device, and the (C, h, w) that lie in them.

    Of more channels than CHANNELS the first are taken, and of more cells than there is room for every second, third ...
    """
    kept = values[0, :CHANNELS]  # (C, h, w)
    every = 1
    while kept[:, ::every, ::every].numel() > room:
        every += 1
    kept = kept[:, ::every, ::every]
    x = kept.float()
    small = x * torch.rsqrt(x * x + 4.0)  # not tanh: MKL gives that to threads, which beside a stage wait for 16 ms
    bytes_ = (small * 127.0 + 128.5).to(torch.uint8)  # rounded
    c, h, w = bytes_.shape
    return bytes_.reshape(-1), (c, h, w)


def put(values: Tensor, into: NDArray[np.uint8]) -> Shape:
    """Writes (1, C, h, w) into a flat piece of bytes; returns the (C, h, w) that lie there."""
    flat, shape = squeezed(values, into.size)
    torch.from_numpy(into[: flat.numel()]).copy_(flat)
    return shape
