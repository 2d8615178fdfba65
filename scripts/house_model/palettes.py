"""The twelve palettes of the painter, usable in every world.

    ramp(torch.tensor([stops("blue"), stops("gold")]), 0.5)   # (2, 3, 1, 1), the middle tone of each

A palette is four sRGB stops: deep, middle, bright, pale. A tone 0..1 runs along them.
"""

from __future__ import annotations

import torch
from torch import Tensor

PALETTES: dict[str, tuple[str, str, str, str]] = {
    "blue": ("0a1640", "2352b4", "6aa4ee", "dcecfc"),
    "gold": ("3c2306", "c08312", "f6c23a", "fef1c0"),
    "rose": ("3d0f24", "c4467a", "f48fb1", "fde2ea"),
    "violet": ("1c0d3e", "6236b4", "a884e8", "ebdffc"),
    "green": ("08240f", "2a7d3c", "7cc46c", "e2f5d0"),
    "red": ("2e0408", "ab1218", "ea4632", "fcc8b0"),
    "grey": ("121417", "575c63", "a2a7ad", "e4e6e8"),
    "white": ("8b929a", "c9ced3", "f0f1f1", "ffffff"),
    "black": ("020203", "0e1015", "2a2d34", "7c8088"),
    "teal": ("02282c", "0b8084", "4fccc0", "d4f7f0"),
    "orange": ("381402", "c9560c", "f99434", "fee0b4"),
    "brown": ("1c0f07", "6a4024", "b08560", "ead8bf"),
}
NAMES = tuple(PALETTES)


def stops(name: str) -> list[list[float]]:
    """The four stops of a palette, sRGB in 0..1."""
    if name not in PALETTES:
        raise ValueError(f"palette must be one of {', '.join(NAMES)}, got {name!r}")
    return [[int(s[i : i + 2], 16) / 255 for i in (0, 2, 4)] for s in PALETTES[name]]


def ramp(palette: Tensor, tone: Tensor | float) -> Tensor:
    """Colour of a tone 0..1, a number or (B, 1, h, w), along palettes (B, 4, 3), or (B, 4, 3, h, w); (B, 3, h, w)."""
    if not isinstance(tone, Tensor):
        tone = palette.new_full((1, 1, 1, 1), tone)
    if palette.dim() == 3:
        palette = palette[..., None, None]
    t, rise, out = tone * 3, palette.diff(dim=1), palette[:, 0]
    for k in range(3):
        out = torch.addcmul(out, rise[:, k], (t - k).clamp(0, 1))
    return out
