"""The world of memory: glowing glass spheres, ordered on shelves, with small scenes inside.

    image = paint_memory(brief, dice, 256, 256)   # (B, 3, h, w) in 0..1

Every pixel knows the cell of the shelf that it lies in and paints that cell's sphere, so any number of
spheres costs the same. `sphere_layers` gives the parts, for hybrids that put another picture inside.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from .brief import Brief
from .noise import Dice, blur, cells, lerp, onto, plane, step, tap
from .palettes import NAMES as PALETTE_NAMES
from .palettes import ramp
from .shapes import NAMES as SHAPE_NAMES
from .shapes import silhouette

FEELINGS = {
    "gold": "joy",
    "blue": "sadness",
    "red": "anger",
    "violet": "fear",
    "teal": "calm",
    "rose": "longing",
    "green": "hope",
    "grey": "emptiness",
    "white": "peace",
    "black": "oblivion",
    "orange": "warmth",
    "brown": "nostalgia",
}
SCENES = ("mist", "hills", "house", "sea", "night", "figure")
ROWS = {"one": 1.15, "few": 2.0, "some": 3.0, "many": 4.2, "countless": 6.0}


@dataclass(frozen=True)
class Spheres:
    """The parts of a store of spheres, each (B, ., h, w)."""

    lx: Tensor  # place inside the pixel's own sphere, -1..1
    ly: Tensor
    mask: Tensor  # inside the glass
    far: Tensor  # distance from the sphere's centre in radii
    radius: Tensor  # of the sphere, in picture heights
    tint: Tensor  # palette stops blended per sphere, as four images (B, 12, h, w)
    kind: Tensor  # the cell's random numbers (B, 6, h, w)
    back: Tensor  # the store behind (B, 3, h, w)


def memory_attributes(rng: random.Random) -> dict:
    """Draw what a picture of memory shows."""
    palette = rng.choice(PALETTE_NAMES)
    accent = rng.choice([p for p in PALETTE_NAMES if p != palette]) if rng.random() < 0.4 else None
    rows = rng.choices(tuple(ROWS), (2, 3, 3, 3, 1.5))[0]
    scene = rng.choice(SCENES)
    shape = rng.choice(SHAPE_NAMES) if scene == "figure" else None
    return {
        "world": "memory",
        "palette": palette,
        "accent": accent,
        "feeling": FEELINGS[palette],
        "accent_feeling": FEELINGS[accent] if accent else None,
        "rows": rows,
        "scene": scene,
        "shape": shape,
        "view": rng.choices(("front", "aisle"), (3, 2))[0],
        "glow": rng.choice(("bright", "soft", "dim")),
    }


def paint_memory(brief: Brief, dice: Dice, h: int, w: int) -> Tensor:
    """Paint the stores of a brief, (B, 3, h, w)."""
    parts = sphere_layers(brief, dice, h, w)
    inner = _scene(brief, dice, parts)
    return finish(brief, parts, inner)


def sphere_layers(brief: Brief, dice: Dice, h: int, w: int, grow: Tensor | float = 1.0) -> Spheres:
    """Lay the spheres out; `grow` scales their radius."""
    x, y = plane(h, w, dice.device)
    fields = dice.fields("store", 1.4, tile=96)
    rows = brief.value("rows", ROWS)
    pitch = 1 / rows
    aisle = brief.weight("view", "aisle") * step(1.1, 2.0, rows)
    side = torch.where(dice.u("side") > 0.5, 1.0, -1.0)
    slope = aisle * side * dice.u("slope", 0.55, 0.8)
    eye = dice.u("eye", 0.35, 0.65)
    z = (1 - slope * x).clamp_min(0.15)
    u, v = x / z, (y - eye) / z
    v = v / pitch + dice.u("v", 0, 1) * step(1.0, 1.6, rows) + eye / pitch * (1 - step(1.0, 1.6, rows))
    i = v.floor()
    stagger = dice.u("stagger") * torch.remainder(i, 2) * 0.5
    u = (
        u / pitch * 0.98
        + dice.u("u", 0, 1) * step(1.0, 1.6, rows)
        + 0.5 * (1 - step(1.0, 1.6, rows))
        + stagger
    )
    j = u.floor()
    kind = cells(dice.table("cells", 6, 23, 29), i, j)
    r_cell = (0.33 + 0.12 * kind[:, :1]) * (1 - 0.3 * slope.abs())
    # centre of the sphere in the plane, then back on the picture, so that it stays round in the aisle
    cu, cv = j + 0.5 + (kind[:, 1:2] - 0.5) * 0.1, i + 0.93 - r_cell
    pu = (cu - (u - x / z / pitch * 0.98)) * pitch / 0.98
    pv = (cv - (v - (y - eye) / z / pitch)) * pitch
    cx = pu / (1 + slope * pu)
    cz = 1 - slope * cx
    cy = eye + pv * cz
    radius = r_cell * pitch * cz * grow
    lx, ly = (x - cx) / radius, (y - cy) / radius
    far = (lx * lx + ly * ly).sqrt()
    there = (kind[:, 2:3] > 0.1 * step(1.1, 1.9, rows)).float()
    mask = step(1 + 0.6 / (radius * h), 1 - 0.9 / (radius * h), far) * there
    second = (kind[:, 3:4] > 0.62).float()
    tint = lerp(brief.palette().reshape(-1, 12, 1, 1), brief.palette("accent").reshape(-1, 12, 1, 1), second)
    back = _store(brief, fields, x, y, v - i, z, h, pitch)
    return Spheres(lx, ly, mask, far, radius, tint, kind, back)


def _store(
    brief: Brief, fields: Tensor, x: Tensor, y: Tensor, within: Tensor, z: Tensor, h: int, pitch: Tensor
) -> Tensor:
    """The dark store: back wall and planks."""
    pal = brief.palette()
    haze = 0.5 + 0.2 * tap(fields[:, :1], x * 0.3, y * 0.3)
    wall = ramp(pal, 0.0) * 0.32 + ramp(pal, 0.22) * 0.22 * haze
    plank = step(0.93, 0.94 + 0.004, within) + step(0.035, 0.03, within) * 1.0
    grain = 0.8 + 0.12 * tap(fields[:, 1:], x * 0.3, y * 4)
    wood = lerp(ramp(pal, 0.18), onto(x.device, [0.3, 0.23, 0.2]).view(1, 3, 1, 1), 0.5) * grain
    lit = step(0.02, 0.93, within) * 0.35 + 0.5
    wall = wall * (1.15 - 0.75 * step(0.45, 0.0, within))
    return lerp(wall, wood * lit, plank.clamp(0, 1))


def tinted(parts: Spheres, tone: Tensor) -> Tensor:
    """Colour of a tone 0..1 in each sphere's own palette, (B, 3, h, w)."""
    return ramp(parts.tint.unflatten(1, (4, 3)), tone)


def _scene(brief: Brief, dice: Dice, parts: Spheres) -> Tensor:
    """What the spheres remember, as tone images in each one's palette."""
    lx, ly, kind = parts.lx, parts.ly, parts.kind
    f = dice.fields("inside", 1.9, tile=128)
    bend = 1 - 0.18 * (1 - parts.far.clamp(0, 1) ** 2)
    sx, sy = lx * bend, ly * bend
    u, v = sx * 0.28 + kind[:, 3:4] * 7, sy * 0.28 + kind[:, 4:5] * 5
    n = tap(f[:, :1], u, v)
    tone = 0.5 + 0.26 * n - 0.16 * sy
    sky = 0.62 + 0.2 * (sy + 0.3) + 0.1 * n.clamp(-1, 1.5)
    rise = tap(f[:, 1:], sx * 0.2 + kind[:, 4:5] * 9, sx * 0 + kind[:, 5:] * 3)
    sun = torch.exp(-((sx - 0.35) ** 2 + (sy + 0.3) ** 2) * 22)
    edge = 2.2 / (parts.radius * lx.shape[-2])

    def land(level: float, amp: float) -> Tensor:
        return step(-edge * 0.5, edge * 0.5, sy - level - amp * rise)

    hills = lerp(lerp(sky + 0.35 * sun, sky * 0 + 0.42, land(0.12, -0.16)), sky * 0 + 0.2, land(0.38, 0.14))
    tone = lerp(tone, hills, brief.weight("scene", "hills", "house"))
    if brief.any("scene", "sea"):
        glitter = (
            step(0.2, 1.5, tap(f[:, :1], sx * 0.3 + kind[:, 4:5], sy * 1.6))
            * step(0.5, 0.0, (sx - 0.2).abs())
            * 0.5
        )
        sea = lerp(sky + 0.45 * sun, 0.28 - 0.1 * sy + glitter, step(-edge, edge, sy - 0.14))
        tone = lerp(tone, sea, brief.weight("scene", "sea"))
    if brief.any("scene", "night"):
        moon = step(0.24 + edge, 0.24 - edge, ((sx - 0.25) ** 2 + (sy + 0.3) ** 2).sqrt())
        dark = 0.16 + 0.12 * (sy + 1) * 0.5 + 0.1 * n
        tone = lerp(
            tone,
            lerp(lerp(dark, sky * 0 + 0.92, moon), sky * 0 + 0.06, land(0.3, 0.12)),
            brief.weight("scene", "night"),
        )
    if brief.any("scene", "house"):
        hx, hy = (sx - 0.1 + 0.4 * (kind[:, 5:] - 0.5)) / 0.42, (sy - 0.22) / 0.42
        d = torch.maximum(hx.abs() - 0.5, (hy - 0.05).abs() - 0.45)
        roof = torch.maximum(hx.abs() * 0.9 - (hy + 1.0), hy + 0.38)
        house = step(edge, -edge, torch.minimum(d, roof))
        window = step(edge, -edge, torch.maximum((hx - 0.18).abs() - 0.13, (hy - 0.02).abs() - 0.14))
        tone = lerp(tone, lerp(sky * 0 + 0.08, sky * 0 + 1.0, window), house * brief.weight("scene", "house"))
    if brief.any("scene", "figure"):
        d = silhouette([a.get("shape") for a in brief.attrs], sx / 0.72, sy / 0.72)
        tone = lerp(tone, lerp(sky, tone * 0 + 0.1, step(edge, -edge, d)), brief.weight("scene", "figure"))
    return tinted(parts, tone)


def finish(brief: Brief, parts: Spheres, inner: Tensor) -> Tensor:
    """Glass over the inner picture, light from the spheres into the store."""
    glow = brief.value("glow", {"bright": 1.15, "soft": 0.85, "dim": 0.55})
    nz = (1 - parts.far.clamp(0, 1) ** 2).sqrt()
    core = torch.exp(-(parts.far**2) * 1.4)
    body = inner * (0.5 + 0.5 * nz) * (0.5 + 0.5 * glow) + tinted(parts, core * 0 + 0.72) * core * 0.22 * glow
    rim = (1 - nz) ** 3
    body = body + tinted(parts, rim * 0 + 0.8) * rim * 0.55 * glow
    spec = torch.exp(-((parts.lx + 0.42) ** 2 + (parts.ly + 0.5) ** 2) * 26) * 0.75
    arc = (
        torch.exp(-(((parts.far - 0.86) * 16) ** 2)) * step(0.1, 0.9, parts.lx * 0.6 + parts.ly * 0.7) * 0.35
    )
    body = body + spec + arc * tinted(parts, arc * 0 + 0.95)
    img = lerp(parts.back, body, parts.mask)
    light = parts.mask * body
    bloom = blur(light, 0.03) * 0.35 + blur(light, 0.09) * 0.5
    img = img + bloom * glow * (1 - 0.75 * parts.mask)
    img = img.clamp_min(0)
    over = (img - 0.72).clamp_min(0)
    return torch.where(img > 0.72, 0.72 + 0.28 * (1 - torch.exp(-over / 0.28)), img)  # a film's shoulder


def paint_inside(brief: Brief, dice: Dice, other: Tensor, p: Tensor) -> Tensor:
    """Another picture enters the store: first into the spheres, one by one, then through the walls.

    p (B, 1, 1, 1): 0 is the pure store, 1 the pure other picture (B, 3, h, w).
    """
    h, w = other.shape[-2:]
    x, y = plane(h, w, other.device)
    parts = sphere_layers(brief, dice, h, w)
    own = step(parts.kind[:, 4:5] * 0.3, parts.kind[:, 4:5] * 0.3 + 0.15, p)
    free = step(0.45, 1.0, p)
    lens = parts.radius * (1 - free) * 1.2
    spread = (1 - free) * (0.5 * parts.kind[:, 3:4] - 0.25)
    ux, uy = x + parts.lx * lens * parts.mask + spread * parts.mask, y + parts.ly * lens * parts.mask
    where = torch.stack([(ux * 2 * h / w)[:, 0], (uy * 2 - 1)[:, 0]], -1)
    view = F.grid_sample(other, where, padding_mode="reflection", align_corners=False)
    glassy = finish(brief, parts, lerp(_scene(brief, dice, parts), view * 1.08, own))
    f = dice.fields("walls", 1.9, tile=128)
    n = 0.5 + 0.5 * torch.erf(tap(f[:, :1], x * 0.5, y * 0.5) / 1.4142)
    wall = step(-0.12, 0.12, (p - 0.4) / 0.6 * 1.3 - 0.15 - n) * (1 - parts.mask)
    inside = parts.mask * step(0.6, 1.0, p)
    return lerp(glassy, lerp(other, view, parts.mask), (wall + inside).clamp(0, 1)).clamp(0, 1)
