"""Where the worlds meet: pictures that go from A to B at a proportion 0..1, by layout and not by dissolve.

    image = cross("torn", a, b, p, dice)   # a, b (B, 3, h, w), p (B, 1, 1, 1)

Each kind grows regions of B inside A: a field with an even spread of values is cut at p, so B covers p of
the picture; the border has a character (deckle edge and shadow, lit cloud edge, glass) that is only where
a border is, so p = 0 is A and p = 1 is B exactly.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .noise import Dice, blur, lerp, plane, shift, step, tap

KINDS = ("torn", "drift", "spheres", "inside", "form")


def kind_for(world_a: str, world_b: str) -> tuple[str, ...]:
    """The kinds of crossing that suit two worlds."""
    both = {world_a, world_b}
    if len(both) == 1:
        return ("form",)
    if both == {"clouds", "memory"}:
        return ("inside", "inside", "drift", "spheres")
    if both == {"clouds", "pulp"}:
        return ("torn", "drift")
    return ("torn", "inside", "spheres")


def cross(kind: str, a: Tensor, b: Tensor, p: Tensor, dice: Dice, lead: Tensor | None = None) -> Tensor:
    """Compose A and B at proportion p; see the module's text.

    Where `lead` (a side with clouds) is bright the crossing comes first, so that the tear or the parting
    follows the clouds and they turn to paper, or paper to clouds.
    """
    if kind not in ("torn", "drift", "spheres"):
        raise ValueError(f"kind of crossing must be torn, drift or spheres, got {kind!r}")
    x, y = plane(a.shape[-2], a.shape[-1], dice.device)
    if kind == "spheres":
        return _spheres(a, b, p, dice, x, y)
    early: Tensor | float = 0.0
    if lead is not None:
        light = blur(lead.mean(1, keepdim=True), 0.012)
        light = light - light.mean((2, 3), keepdim=True)
        early = light / (light.std((2, 3), keepdim=True) + 0.02) * dice.u("follow", 0.2, 1.6)
    return (_torn if kind == "torn" else _drift)(a, b, p, dice, x, y, early)


def _even(n: Tensor) -> Tensor:
    """Spread a field of unit deviation evenly over 0..1, by its own ranks coarsely."""
    n = (n - n.mean((2, 3), keepdim=True)) / n.std((2, 3), keepdim=True).clamp_min(1e-4)
    return 0.5 * (1 + torch.erf(n / 1.4142))


def _cut(field: Tensor, p: Tensor, soft: float) -> Tensor:
    """Signed distance-like value: positive where B is; the whole range is passed for p in 0..1."""
    return p * (1 + 2 * soft) - soft - field


def _torn(a: Tensor, b: Tensor, p: Tensor, dice: Dice, x: Tensor, y: Tensor, early: Tensor | float) -> Tensor:
    """B is a layer of torn paper pushing over A (or what the tear reveals)."""
    f = dice.fields("tear", 1.9, tile=128)
    n = _even(
        tap(f[:, :1], x * 0.4, y * 0.4)
        + dice.u("tear x", -1.2, 1.2) * x * 2
        + dice.u("tear y", -1.2, 1.2) * (y - 0.5) * 2
        - early
    )
    fine = tap(f[:, 1:], x * 1.6, y * 1.6) * 0.012
    s = _cut(n + fine, p, 0.12)
    live = (p * (1 - p) * 12).clamp(0, 1)
    shadow = step(-0.10, 0.03, shift(s, 0.012, 0.016)) * 0.45 * live
    out = a * (1 - shadow * step(0.03, -0.02, s))
    core = lerp(b, torch.ones_like(b), 0.72 * live)
    edge = 0.05 + 0.03 * tap(f[:, 1:], x * 0.9, y * 0.9)
    out = lerp(out, core, step(-0.006, 0.006, s))
    return lerp(out, b, step(edge * live - 0.012, edge * live + 0.006, s) * step(-0.006, 0.006, s))


def _drift(
    a: Tensor, b: Tensor, p: Tensor, dice: Dice, x: Tensor, y: Tensor, early: Tensor | float
) -> Tensor:
    """B opens in A as cloud parts: lumpy soft regions with a lit edge."""
    f = dice.fields("part", 1.7, tile=128)
    lumps = tap(f[:, 1:], x * 0.9, y * 0.9).abs() * 0.35
    n = _even(tap(f[:, :1], x * 0.35, y * 0.45) - lumps - early)
    s = _cut(n, p, 0.2)
    live = (p * (1 - p) * 12).clamp(0, 1)
    m = step(-0.05, 0.05, s)
    soft = step(-0.2, 0.2, s)
    pull = 0.03 * live * (soft - m)
    where = torch.stack([(x * 2 * x.shape[-2] / x.shape[-1] + pull)[:, 0], (y * 2 - 1 + pull)[:, 0]], -1)
    lit = torch.exp(-((s / 0.06) ** 2)) * 0.16 * live
    out = lerp(F.grid_sample(a, where, padding_mode="border", align_corners=False), b, m)
    glow = lerp(blur(a, 0.05), blur(b, 0.05), 0.5)
    return out + (glow * 0.4 + 0.6 - out) * lit


def _spheres(a: Tensor, b: Tensor, p: Tensor, dice: Dice, x: Tensor, y: Tensor) -> Tensor:
    """B lies inside glass spheres in A; the spheres grow until they are all there is."""
    pitch = dice.u("ball pitch", 0.34, 0.62)
    rowed = torch.remainder((y / pitch + dice.u("ball y")).floor(), 2) * 0.5
    u, v = x / pitch + dice.u("ball x") + rowed, y / pitch + dice.u("ball y")
    lx, ly = u - u.floor() - 0.5, v - v.floor() - 0.5
    r = (lx * lx + ly * ly).sqrt()
    grown = (p.clamp(0, 0.7) / 0.7) ** 0.6 * 0.46 + step(0.62, 1.0, p) * 0.36
    grown = grown * step(0.0, 0.03, p)
    live = step(0.0, 0.08, p) * step(0.84, 0.55, p)
    q = r / grown.clamp_min(1e-3)
    e = 1.3 / (x.shape[-2] * pitch * grown.clamp_min(0.02))
    m = step(1 + e, 1 - e, q) * step(0.0, 0.02, grown)
    bulge = live * 0.5 * q.clamp(0, 1) ** 2 * pitch
    bx, by = x + lx * bulge, y + ly * bulge
    aspect = x.shape[-1] / x.shape[-2]
    where = torch.stack([(bx * 2 / aspect)[:, 0], (by * 2 - 1)[:, 0]], -1)
    inside = F.grid_sample(b, where, padding_mode="reflection", align_corners=False)
    nz = (1 - q.clamp(0, 1) ** 2).sqrt()
    glass = inside * (1 - live * (0.42 - 0.42 * nz)) + live * ((1 - nz) ** 3 * 0.28)
    spec = (
        torch.exp(-((lx / grown.clamp_min(0.05) + 0.42) ** 2 + (ly / grown.clamp_min(0.05) + 0.5) ** 2) * 26)
        * 0.7
        * live
    )
    glow = torch.exp(-((q - 1).clamp_min(0) * 3.0)) * (1 - m) * 0.22 * live * step(0.0, 0.1, grown)
    glow = glow * step(0.5, 0.36, torch.maximum(lx.abs(), ly.abs()))
    return lerp(a * (1 - 0.25 * live * (1 - m)) + blur(b, 0.12) * glow, glass + spec, m)
