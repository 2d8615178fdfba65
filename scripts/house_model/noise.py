"""Keyed chance, tileable noise and small drawing helpers for the painter.

    dice = Dice([11, 12], device="cpu"); r = dice.u("radius", 0.1, 0.3); f = dice.fields("haze", 1.6)

Every number is a pure function of (picture seed, key, place): a counter, hashed where the picture is painted, so the
order of the calls, the size of the batch and the device do not matter and a GPU waits for no CPU's chance. A Dice may
hold two seeds per picture and a proportion: its numbers and noise then travel from the first to the second, which is
how two layouts crossfade.
Scalars are (B, 1, 1, 1), images (B, C, h, w), picture coordinates in units of the picture's height.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.dreamer import counter

_M64 = (1 << 64) - 1
# splitmix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators")
_STEP, _MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def mix_seed(*parts: int | str) -> int:
    """One 63-bit seed out of integers and words (splitmix64 over the parts)."""
    z = _STEP
    for part in parts:
        n = zlib.crc32(part.encode()) if isinstance(part, str) else part
        z = (z ^ (n & _M64)) & _M64
        z = (z + _STEP) & _M64
        z = ((z ^ (z >> 30)) * _MIX_1) & _M64
        z = ((z ^ (z >> 27)) * _MIX_2) & _M64
        z ^= z >> 31
    return z >> 1


def onto(device: torch.device | str, numbers: Sequence) -> Tensor:
    """Numbers as a tensor on a device that is not waited for."""
    return torch.tensor(numbers).to(device, non_blocking=True)


def normals(seeds: Sequence[int], count: int, device: torch.device | str = "cpu") -> Tensor:
    """Pairs of standard normal numbers, (B, count, 2): row b is splitmix64's stream from seeds[b], by Box and Muller.

    Equal on every device to rounding; row and place are all that a number depends on.
    """
    at = torch.arange(1, count + 1, device=device) * counter.STEP  # int64 wraps, as splitmix64 asks
    z = onto(device, seeds)[:, None] + at  # (B, count)
    return torch.stack(counter.normal_pairs(counter.hashed(z), torch.float32), -1)


class Dice:
    """Chance for a batch of pictures: named numbers, tables and noise fields."""

    def __init__(
        self,
        seeds: Sequence[int],
        device: torch.device | str = "cpu",
        other: Sequence[int] | None = None,
        mix: Sequence[float] | None = None,
    ) -> None:
        self.seeds, self.device = list(seeds), torch.device(device)
        self.other = list(other) if other is not None else list(seeds)
        self.mix = list(mix) if mix is not None else [0.0] * len(self.seeds)
        if not len(self.seeds) == len(self.other) == len(self.mix):
            raise ValueError(
                f"seeds, other and mix must be equally long, got {len(self.seeds)}, "
                f"{len(self.other)} and {len(self.mix)}"
            )

    def __len__(self) -> int:
        return len(self.seeds)

    def _one(self, seed: int, key: str) -> float:
        return mix_seed(seed, key) / float(1 << 63)

    def u(self, key: str, low: float = 0.0, high: float = 1.0) -> Tensor:
        """A uniform number per picture, (B, 1, 1, 1), in low..high."""
        rows = [
            (1 - m) * self._one(a, key) + m * (self._one(b, key) if m else 0.0)
            for a, b, m in zip(self.seeds, self.other, self.mix, strict=True)
        ]
        return self.scalars([low + (high - low) * r for r in rows])

    def scalars(self, values: Sequence[float]) -> Tensor:
        """One number per picture as (B, 1, 1, 1)."""
        return onto(self.device, values).view(-1, 1, 1, 1)

    def _draw(self, key: str, *shape: int) -> Tensor:
        """Standard normal numbers, (B, *shape); mixed seeds keep the variance."""
        count = math.prod(shape)

        def drawn(seeds: Sequence[int]) -> Tensor:
            flat = normals([mix_seed(s, key) for s in seeds], -(-count // 2), self.device).flatten(1)
            return flat[:, :count].view(-1, *shape)

        z = drawn(self.seeds)
        if not any(self.mix):
            return z
        turns = [m * math.pi / 2 if a != b else 0.0 for a, b, m in zip(self.seeds, self.other, self.mix, strict=True)]
        turn = onto(self.device, turns).view(-1, *[1] * len(shape))
        return turn.cos() * z + turn.sin() * drawn(self.other)

    def table(self, key: str, *shape: int) -> Tensor:
        """Uniform 0..1 numbers, (B, *shape)."""
        return 0.5 * (1 + torch.erf(self._draw(key, *shape) / math.sqrt(2)))

    def fields(
        self, key: str, slope: float = 1.5, low: float = 1.0, high: float = 1e9, tile: int = 256
    ) -> Tensor:
        """Two tileable Gaussian fields for `tap`, (B, 2, tile + 1, tile + 1), mean 0, deviation 1.

        Amplitude falls as k^-slope between `low` and `high` cycles per tile. The last row and column are the first
        ones again, so that what lies between can be read.
        """
        white = torch.view_as_complex(self._draw(key, tile, tile, 2))
        k = torch.fft.fftfreq(tile, 1 / tile, device=self.device)
        r = (k[:, None] ** 2 + k[None] ** 2).sqrt()
        amp = (
            r.clamp_min(1.0) ** -slope
            * torch.sigmoid((r - low + 0.5) * 4)
            * torch.sigmoid((high - r + 0.5) * 2)
        )
        amp = torch.where(r < 0.5, torch.zeros_like(amp), amp)
        z = torch.fft.ifft2(white * (amp * (tile * tile / amp.pow(2).sum().sqrt())))
        return F.pad(torch.stack([z.real, z.imag], 1), (0, 1, 0, 1), mode="circular")


def tap(field: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Read a field of `Dice.fields` at u, v in tiles, each (B, 1, h, w) or broadcastable."""
    u, v = torch.broadcast_tensors((u - u.floor()) * 2 - 1, (v - v.floor()) * 2 - 1)
    where = torch.stack([u[:, 0], v[:, 0]], -1).expand(len(field), -1, -1, -1)  # (B, h, w, 2)
    return F.grid_sample(field, where, mode="bilinear", padding_mode="border", align_corners=True)


def cells(table: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """Numbers of cell (i, j) from a table (B, K, n, m) (wrapping); i, j (B, 1, h, w); gives (B, K, h, w)."""
    b, k, n, m = table.shape
    i, j = torch.broadcast_tensors(i, j)
    i, j = i.expand(b, -1, -1, -1), j.expand(b, -1, -1, -1)
    flat = (i.long() % n) * m + j.long() % m  # (B, 1, h, w)
    h, w = flat.shape[-2:]
    got = torch.gather(table.reshape(b, k, n * m), 2, flat.reshape(b, 1, h * w).expand(b, k, h * w))
    return got.view(b, k, h, w)


def plane(h: int, w: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """x (1, 1, h, w) from -aspect/2 to aspect/2 and y from 0 (top) to 1, at pixel centres."""
    y = (torch.arange(h, device=device) + 0.5) / h
    x = ((torch.arange(w, device=device) + 0.5) / w - 0.5) * (w / h)
    return x.view(1, 1, 1, w).expand(1, 1, h, w), y.view(1, 1, h, 1).expand(1, 1, h, w)


def step(a: Tensor | float, b: Tensor | float, x: Tensor) -> Tensor:
    """Smooth step from 0 at a to 1 at b (a > b falls)."""
    t = ((x - a) / (b - a)).clamp(0, 1)
    return torch.rsub(t, 3, alpha=2).mul_(t).mul_(t)


def lerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """a at t = 0, b at t = 1."""
    return torch.lerp(a, b, t)


def blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of sigma (fraction of the height), done on a small copy; (B, C, h, w)."""
    h, w = x.shape[-2:]
    k = max(1, int(sigma * h / 1.5))
    small = (
        F.interpolate(x, (max(2, math.ceil(h / k)), max(2, math.ceil(w / k))), mode="area") if k > 1 else x
    )
    s = sigma * small.shape[-2]
    r = min(max(1, math.ceil(2.5 * s)), min(small.shape[-2:]) - 1)
    taps = torch.exp(-0.5 * (torch.arange(-r, r + 1, device=x.device) / max(s, 1e-3)) ** 2)
    taps = (taps / taps.sum()).view(1, 1, 1, -1)
    b, c = small.shape[:2]
    flat = small.reshape(b * c, 1, *small.shape[-2:])  # (B*C, 1, h', w')
    flat = F.conv2d(F.pad(flat, (r, r, 0, 0), mode="replicate"), taps)
    flat = F.conv2d(F.pad(flat, (0, 0, r, r), mode="replicate"), taps.transpose(2, 3))
    small = flat.view(b, c, *small.shape[-2:])
    return F.interpolate(small, (h, w), mode="bilinear", align_corners=False) if k > 1 else small


def shift(x: Tensor, dx: float, dy: float) -> Tensor:
    """Move an image by dx, dy (fractions of the height; right and down), edges repeated."""
    h, w = x.shape[-2:]
    px, py = round(dx * h), round(dy * h)
    x = F.pad(x, (max(px, 0), max(-px, 0), max(py, 0), max(-py, 0)), mode="replicate")
    return x[..., max(-py, 0) : max(-py, 0) + h, max(-px, 0) : max(-px, 0) + w]
