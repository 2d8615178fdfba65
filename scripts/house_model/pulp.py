"""The world of pulp: torn printed paper in layers, sheets sorted into kinds, slurry, mould and deckle.

    image = paint_pulp(brief, dice, 256, 256)   # (B, 3, h, w) in 0..1

A sheet is a turned rectangle whose edge is torn by noise: printed face, a white torn core beyond it, and
a shadow on what lies below.
"""

from __future__ import annotations

import random

import torch
from torch import Tensor

from .brief import Brief
from .noise import Dice, cells, lerp, onto, plane, shift, step, tap
from .palettes import NAMES as PALETTE_NAMES
from .palettes import ramp
from .shapes import NAMES as SHAPE_NAMES
from .shapes import silhouette

MODES = ("torn", "strips", "vat", "mould")
PRINTS = ("newsprint", "letter", "ledger", "music", "blank")
SHEETS = 5


def pulp_attributes(rng: random.Random) -> dict:
    """Draw what a picture of pulp shows."""
    palette = rng.choice(PALETTE_NAMES)
    accent = rng.choice([p for p in PALETTE_NAMES if p != palette]) if rng.random() < 0.45 else None
    mode = rng.choices(MODES, (5, 2, 2, 1.6))[0]
    shape = rng.choice(SHAPE_NAMES) if mode == "mould" and rng.random() < 0.7 else None
    return {
        "world": "pulp",
        "palette": palette,
        "accent": accent,
        "mode": mode,
        "print": rng.choice(PRINTS),
        "wet": rng.choices(("dry", "wet"), (3, 2))[0],
        "ink": rng.choices((None, "blooms"), (3, 1))[0],
        "shape": shape,
    }


def paint_pulp(brief: Brief, dice: Dice, h: int, w: int) -> Tensor:
    """Paint the papers of a brief, (B, 3, h, w)."""
    x, y = plane(h, w, dice.device)
    fields = dice.fields("paper", 1.7)
    edges = dice.fields("edges", 1.75, 1, 60, tile=128)
    pal, acc = brief.palette(), brief.palette("accent")
    vat, mould = brief.weight("mode", "vat"), brief.weight("mode", "mould")
    img = _slurry(brief, dice, fields, x, y, pal, acc)
    if brief.any("mode", "mould"):
        img = lerp(img, _mould(brief, dice, fields, x, y, pal, img), mould)
    for k in range(SHEETS):
        img = _sheet(img, brief, dice, edges, x, y, k, pal, acc, vat, mould)
    if brief.any("ink", "blooms"):
        img = _blooms(img, brief, dice, fields, x, y, acc)
    if brief.any("wet", "wet") or brief.any("mode", "vat"):
        wet = (brief.weight("wet", "wet") * 0.7 + vat * 0.5).clamp(0, 1)
        n = tap(fields[:, 1:], x * 0.5 + 0.2, y * 0.5 + 0.4)
        sheen = step(0.6, 1.7, n + 0.35 * shift(n, 0.02, 0.02)) * wet
        img = img * (1 - 0.1 * wet) + sheen * 0.16
    return img.clamp(0, 1)


def _fibres(fields: Tensor, x: Tensor, y: Tensor, scale: float) -> Tensor:
    """Long soft fibres: the contour lines of two slow noises."""
    n = tap(fields[:, :1], x * scale, y * scale)
    m = tap(fields[:, 1:], x * scale * 1.3 + 0.37, y * scale * 1.3)
    lines = [torch.exp(-(((torch.remainder(f * 1.3, 1.0) - 0.5) / 0.1) ** 2)) for f in (n, m)]
    return (lines[0] + lines[1]) * 0.6


def _slurry(
    brief: Brief, dice: Dice, fields: Tensor, x: Tensor, y: Tensor, pal: Tensor, acc: Tensor
) -> Tensor:
    """The liquid pulp below everything, swirling where it is a vat."""
    swirl = 0.05 + 0.12 * brief.weight("mode", "vat")
    wx, wy = tap(fields[:, :1], x * 0.35, y * 0.35), tap(fields[:, 1:], x * 0.35, y * 0.35)
    xs, ys = x + wx * swirl, y + wy * swirl
    n = tap(fields[:, :1], xs * 0.4 + 0.6, ys * 0.6)
    base = ramp(pal, 0.62 + 0.12 * n)
    base = lerp(base, ramp(acc, 0.66 + 0.1 * wx), step(0.2, 1.1, wy + n * 0.3) * 0.55)
    return base + (_fibres(fields, xs, ys, 0.5) - 0.25) * 0.16


def _mould(
    brief: Brief, dice: Dice, fields: Tensor, x: Tensor, y: Tensor, pal: Tensor, water: Tensor
) -> Tensor:
    """A fresh sheet on the mould: laid lines, wooden frame, a watermark that lets more light through."""
    frame = dice.u("frame", 0.34, 0.4)
    turn = dice.u("mould turn", -0.12, 0.12)
    cx, cy = x * turn.cos() + (y - 0.5) * turn.sin(), (y - 0.5) * turn.cos() - x * turn.sin()
    half_w = frame * dice.u("mould aspect", 0.85, 1.15)
    rough = tap(fields[:, :1], x * 0.8, y * 0.8) * 0.006
    d = torch.maximum(cx.abs() - half_w, cy.abs() - frame)
    laid = (
        torch.sin(cy * 2 * torch.pi * 24) * 0.02
        + torch.exp(-(((torch.remainder(cx, 0.11) - 0.055) / 0.006) ** 2)) * 0.03
    )
    n = tap(fields[:, 1:], x * 0.8, y * 0.8)
    sheet = ramp(pal, 0.8 + laid + 0.03 * n)
    if brief.any("shape", *SHAPE_NAMES):
        mark = silhouette([a.get("shape") for a in brief.attrs], cx / 0.2, cy / 0.2)
        line = torch.exp(-((mark / 0.09) ** 2))
        sheet = lerp(sheet, ramp(pal, 0.97), (line * 0.75 + step(0.05, -0.05, mark) * 0.3).clamp(0, 1))
    wood = lerp(ramp(pal, 0.22), onto(x.device, [0.36, 0.24, 0.15]).view(1, 3, 1, 1), 0.6)
    wood = wood * (0.9 + 0.12 * tap(fields[:, :1], cx * 0.3, cy * 3))
    out = lerp(water * 0.8, wood, step(0.075, 0.07, d))
    out = out * (1 - 0.4 * step(0.12, 0.07, d) * step(0.06, 0.075, d))
    out = lerp(out, out * 0.6, step(0.03, 0.0, d.abs()))
    return lerp(out, sheet, step(0.004, -0.004, d + rough))


def _print(brief: Brief, dice: Dice, k: int, u: Tensor, v: Tensor) -> Tensor:
    """Ink 0..1 of the sheet's printing at u, v on the sheet."""
    ink = torch.zeros_like(u)
    table = dice.table(f"words {k}", 2, 31, 37)
    pitch = dice.u(f"pitch {k}", 0.034, 0.055)
    row = v / pitch
    i, f = row.floor(), row - row.floor()
    bar = step(0.2, 0.34, f) * step(0.8, 0.66, f)
    if brief.any("print", "newsprint"):
        word = u / (pitch * 1.3)
        jj = word + cells(table, i, i * 0)[:, :1] * 3
        t = cells(table, i, jj.floor())
        fj = jj - jj.floor()
        gap = step(0.0, 0.12, fj) * step(1.0, 0.88, fj)
        column = step(0.04, 0.06, torch.remainder(u, 0.36)) * step(0.36, 0.34, torch.remainder(u, 0.36))
        ink = (
            ink
            + brief.weight("print", "newsprint")
            * bar
            * (t[:, :1] > 0.16)
            * lerp(gap, gap * 0 + 1, 0.35)
            * column
        )
    if brief.any("print", "letter"):
        t = cells(table, i, (u * 5.5 + i * 0.37).floor())
        fw = torch.remainder(u * 5.5 + i * 0.37, 1.0)
        turn = u * 2 * torch.pi * (10 + 4 * t[:, :1])
        wave = (torch.sin(turn) + 0.5 * torch.sin(turn * 1.7 + i)) * 0.17
        word = step(0.04, 0.1, fw) * step(0.55 + 0.45 * t[:, 1:], 0.48 + 0.45 * t[:, 1:], fw)
        line = torch.exp(-(((f - 0.5 - wave) / 0.13) ** 2)) * word
        ink = ink + brief.weight("print", "letter") * line
    if brief.any("print", "ledger"):
        lines = torch.exp(-(((f - 0.5) / 0.1) ** 2)) * 0.8
        col = torch.exp(-(((torch.remainder(u, 0.19) - 0.095) / 0.005) ** 2))
        ink = ink + brief.weight("print", "ledger") * torch.maximum(lines * 0.6, col)
    if brief.any("print", "music"):
        stave = torch.remainder(row, 8.0)
        lines = torch.exp(-(((torch.remainder(row, 1.0) - 0.5) / 0.12) ** 2)) * (stave < 5) * 0.55
        t = cells(table, (row / 8).floor(), (u * 14).floor())
        note = torch.exp(
            -(((((u * 14) % 1 - 0.5) / 0.3) ** 2 + ((stave - 0.5 - 4.5 * t[:, :1]) / 0.55) ** 2) ** 2)
        )
        stem = (
            torch.exp(-(((((u * 14) % 1) - 0.68) / 0.07) ** 2))
            * (stave < 0.5 + 4.5 * t[:, :1])
            * (stave > 4.5 * t[:, :1] - 2.6)
        )
        ink = ink + brief.weight("print", "music") * torch.maximum(lines, (note + stem) * (t[:, 1:] > 0.35))
    return ink.clamp(0, 1)


def _sheet(
    img: Tensor,
    brief: Brief,
    dice: Dice,
    edges: Tensor,
    x: Tensor,
    y: Tensor,
    k: int,
    pal: Tensor,
    acc: Tensor,
    vat: Tensor,
    mould: Tensor,
) -> Tensor:
    """Lay the k-th torn sheet on the picture."""
    strips = brief.weight("mode", "strips")
    aspect = x.shape[-1] / x.shape[-2]
    angle = lerp(dice.u(f"angle {k}", -0.9, 0.9), dice.u(f"angle {k}", -0.07, 0.07), strips)
    px = dice.u(f"x {k}", -0.5, 0.5) * aspect * (1 - 0.8 * strips)
    py = lerp(dice.u(f"y {k}", 0.05, 0.95), dice.scalars([(k + 0.7) / SHEETS] * len(dice)), strips)
    scale = 1 - 0.55 * vat
    hw = lerp(dice.u(f"w {k}", 0.2, 0.48), dice.scalars([1.5] * len(dice)), strips) * scale
    hh = lerp(dice.u(f"h {k}", 0.16, 0.42), dice.scalars([0.13] * len(dice)), strips) * scale
    cx, cy = x - px, y - py
    u, v = cx * angle.cos() + cy * angle.sin(), cy * angle.cos() - cx * angle.sin()
    a, b = tap(edges, x * 0.55 + 0.21 * k, y * 0.55 + 0.37 * k).split(1, 1)
    box = torch.maximum(u.abs() - hw, v.abs() - hh)
    torn = box + a * 0.035
    face = torn + (0.016 + b * 0.011).clamp_min(0.003)
    gone = 50 * (mould * (1.0 if k < 4 else 0.0) + mould * (dice.u("scrap") > 0.5))
    torn, face = torn + gone, face + gone
    e = 1.2 / x.shape[-2]
    shadow = step(0.028, -0.012, shift(torn, 0.01, 0.014))
    img = img * (1 - 0.42 * shadow * (1 - 0.5 * vat))
    mine = dice.u(f"kind {k}")
    own, other = (
        ramp(pal, 0.5 + 0.38 * dice.u(f"tone {k}") + 0.025 * a),
        ramp(acc, 0.52 + 0.3 * dice.u(f"tone {k}") + 0.025 * a),
    )
    paper = lerp(own, other, step(0.58, 0.62, mine))
    ink_colour = lerp(ramp(pal, 0.06), ramp(acc, 0.1), 0.5)
    light = paper.mean(1, keepdim=True)
    ink_colour = lerp(ink_colour + 0.35, ink_colour, step(0.12, 0.3, light))
    ink = _print(brief, dice, k, u, v) * (
        0.72 - 0.3 * vat - 0.25 * brief.weight("wet", "wet") * step(-0.5, 1.0, a)
    )
    sheet = lerp(paper, ink_colour, ink)
    core = lerp(paper, torch.ones_like(paper), 0.62) * (0.97 + 0.03 * b)
    sheet = lerp(core, sheet, step(e, -e, face))
    sheet = sheet * (0.96 + 0.05 * step(0.0, -0.25, torn))
    return lerp(img, sheet, step(e, -e, torn) * (1 - 0.25 * vat))


def _blooms(
    img: Tensor, brief: Brief, dice: Dice, fields: Tensor, x: Tensor, y: Tensor, acc: Tensor
) -> Tensor:
    """Ink spreading in wet paper: soft stains with a darker rim."""
    n = tap(fields[:, :1], x * 0.6, y * 0.6)
    ink = ramp(acc, 0.12)
    for k in range(2):
        away = (
            (x - dice.u(f"bloom x {k}", -0.4, 0.4)) ** 2 + (y - dice.u(f"bloom y {k}", 0.1, 0.9)) ** 2
        ).sqrt()
        d = away + n * 0.035 - dice.u(f"bloom r {k}", 0.08, 0.2)
        stain = step(0.02, -0.04, d) * 0.5 + torch.exp(-((d / 0.014) ** 2)) * 0.35
        img = lerp(img, ink, stain * brief.weight("ink", "blooms") * 0.85)
    return img
