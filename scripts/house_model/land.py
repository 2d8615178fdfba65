"""What lies under the clouds and hangs from them: shafts of rain, sea, hills, a plain.

img = rain(img, brief, fields, x, y, horizon, shade, low)   # all (B, C, h, w) or broadcastable
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .brief import Brief
from .noise import Dice, lerp, step, tap
from .palettes import ramp


def rain(
    img: Tensor,
    brief: Brief,
    fields: Tensor,
    x: Tensor,
    y: Tensor,
    horizon: Tensor,
    shade: Tensor,
    low: Tensor,
) -> Tensor:
    """Shafts of rain hanging from the cloud."""
    slant = x + (y - 0.5) * 0.18
    n = tap(fields[:, 1:], slant * 0.35, y * 0.03) + 0.35 * tap(fields[:, :1], slant * 2.2, y * 0.06)
    shaft = step(0.0, 1.4, n) * step(0.3, 0.62, y) * step(horizon + 0.02, horizon - 0.06, y)
    weight = brief.weight("weather", "rain") + 0.35 * brief.weight("weather", "storm")
    return lerp(img, lerp(shade, low, 0.35), shaft * weight * 0.8)


def land(
    img: Tensor,
    brief: Brief,
    dice: Dice,
    fields: Tensor,
    x: Tensor,
    y: Tensor,
    horizon: Tensor,
    ground: Tensor,
    pal: Tensor,
    low: Tensor,
    tone: dict[str, Tensor],
) -> Tensor:
    """Sea that mirrors the sky, hills one behind the other, or a plain."""
    sea, hills = brief.weight("ground", "sea"), brief.weight("ground", "hills")
    depth = 1 / (y - horizon).clamp_min(0.03)
    wave = tap(fields[:, :1], x * depth * 0.05, depth * 0.22)
    wave = wave * step(0.0, 0.05, y - horizon)
    mirror_y = (2 * horizon - y - 0.012 + wave * (y - horizon).clamp_min(0) * 0.25).clamp(0, 1)
    where = torch.stack(
        torch.broadcast_tensors(
            (x * 2 / (x.shape[-1] / x.shape[-2]))[:, 0] + (wave * (y - horizon).clamp_min(0) * 0.3)[:, 0],
            (mirror_y * 2 - 1)[:, 0],
        ),
        -1,
    )
    mirror = F.grid_sample(img, where, padding_mode="border", align_corners=False)
    dark = ramp(pal, tone["shade"] * 0.55)
    water = lerp(mirror, dark, 0.38) + (low * 0.3) * step(0.5, 1.8, wave)
    field = lerp(dark, low, (0.35 - (y - horizon) * 2.2).clamp(0, 0.35))
    field = field * (0.94 + 0.09 * wave.clamp(-1.5, 2))
    earth = lerp(field, water, sea)
    mask = step(horizon - 0.003, horizon + 0.003, y) * ground
    img = lerp(img, earth, mask)
    for k in range(3):
        crest = (
            horizon
            + 0.03 * k
            - 0.05 * hills * (1 - 0.2 * k) * (1 + tap(fields[:, 1:], x * 0.22 + 0.3 * k, x * 0 + 0.17 * k))
        )
        m = step(crest - 0.003, crest + 0.004, y) * hills
        img = lerp(img, lerp(low, dark, 0.35 + 0.3 * k), m)
    return img
