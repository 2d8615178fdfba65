"""The world of clouds: skies at every hour and weather, lit from where the sun is.

    image = paint_clouds(brief, dice, 256, 256)   # (B, 3, h, w) in 0..1

Back to front: sky, stars, moon or sun, a high thin layer in perspective, three banks of heaped cloud,
sometimes a silhouette of cloud, rain, ground, haze.
"""

from __future__ import annotations

import random

import torch
from torch import Tensor
from torch.nn import functional as F

from .brief import Brief
from .land import land, rain
from .noise import Dice, blur, cells, lerp, plane, shift, step, tap
from .palettes import NAMES as PALETTE_NAMES
from .palettes import ramp
from .shapes import NAMES as SHAPE_NAMES
from .shapes import silhouette

HOURS = ("dawn", "noon", "golden", "dusk", "night")
WEATHERS = ("clear", "scattered", "heaped", "overcast", "storm", "rain", "fog")
FORMS = ("cumulus", "cirrus", "mackerel", "stratus")
GROUNDS = (None, "sea", "hills", "plain")
# tones along the palette, then natural colours, for: zenith, horizon, lit cloud, shaded cloud
_ZENITH = {"dawn": 0.36, "noon": 0.42, "golden": 0.45, "dusk": 0.2, "night": 0.06}
_HORIZON = {"dawn": 0.8, "noon": 0.8, "golden": 0.84, "dusk": 0.62, "night": 0.26}
_LIT = {"dawn": 0.93, "noon": 1.0, "golden": 0.96, "dusk": 0.76, "night": 0.62}
_SHADE = {"dawn": 0.36, "noon": 0.52, "golden": 0.4, "dusk": 0.2, "night": 0.14}
_N_HORIZON = {
    "dawn": (1.0, 0.8, 0.7),
    "noon": (0.85, 0.93, 1.0),
    "golden": (1.0, 0.84, 0.5),
    "dusk": (0.98, 0.46, 0.26),
    "night": (0.12, 0.16, 0.3),
}
_N_LIT = {
    "dawn": (1.0, 0.88, 0.8),
    "noon": (1.0, 1.0, 1.0),
    "golden": (1.0, 0.9, 0.66),
    "dusk": (1.0, 0.58, 0.4),
    "night": (0.62, 0.7, 0.86),
}
_SUN = {
    "dawn": (1.0, 0.86, 0.74),
    "noon": (1.0, 1.0, 0.96),
    "golden": (1.0, 0.84, 0.5),
    "dusk": (1.0, 0.5, 0.24),
    "night": (0.7, 0.8, 1.0),
}
_SUN_Y = {"dawn": 0.72, "noon": 0.1, "golden": 0.5, "dusk": 0.8, "night": 0.25}


def clouds_attributes(rng: random.Random) -> dict:
    """Draw what a picture of clouds shows."""
    weather = rng.choices(WEATHERS, (1.6, 4, 5, 2, 3, 2, 1.5))[0]
    shape = (
        rng.choice(SHAPE_NAMES)
        if weather in ("clear", "scattered") and rng.random() < (0.8 if weather == "clear" else 0.4)
        else None
    )
    palette = rng.choice(PALETTE_NAMES)
    accent = rng.choice([p for p in PALETTE_NAMES if p != palette]) if rng.random() < 0.35 else None
    return {
        "world": "clouds",
        "palette": palette,
        "accent": accent,
        "hour": rng.choice(HOURS),
        "weather": weather,
        "form": rng.choices(FORMS, (4, 2, 2, 1))[0],
        "shape": shape,
        "ground": rng.choices(GROUNDS, (5, 2, 2, 1))[0],
    }


def paint_clouds(brief: Brief, dice: Dice, h: int, w: int) -> Tensor:
    """Paint the skies of a brief, (B, 3, h, w)."""
    x, y = plane(h, w, dice.device)
    aspect = w / h
    pal, acc = brief.palette(), brief.palette("accent")
    storm, fog = brief.weight("weather", "storm", "rain"), brief.weight("weather", "fog")
    natural = 0.22
    dark = 1 - 0.14 * storm
    tone = {
        k: brief.value("hour", t) * (1 - g * storm)
        for k, t, g in (
            ("zenith", _ZENITH, 0.5),
            ("horizon", _HORIZON, 0.2),
            ("lit", _LIT, 0.22),
            ("shade", _SHADE, 0.5),
        )
    }
    top = ramp(pal, tone["zenith"])
    low = lerp(
        lerp(ramp(pal, tone["horizon"]), ramp(acc, tone["horizon"] * 0.92), 0.65),
        brief.colour("hour", _N_HORIZON) * dark,
        natural,
    )
    lit = lerp(
        lerp(ramp(pal, tone["lit"]), ramp(acc, tone["lit"] * 0.9), 0.5),
        brief.colour("hour", _N_LIT) * dark.sqrt(),
        natural,
    )
    shade = ramp(pal, tone["shade"])
    sun_colour = lerp(brief.colour("hour", _SUN), ramp(acc, 0.85), 0.5)
    sun_x = dice.u("sun x", -0.42, 0.42) * aspect
    sun_y = brief.value("hour", _SUN_Y) + dice.u("sun y", -0.08, 0.08)
    ground = 1 - brief.weight("ground", None)
    horizon = lerp(dice.scalars([1.12] * len(dice)), dice.u("horizon", 0.8, 0.9), ground)
    img = lerp(top, low, (y / horizon).clamp(0, 1) ** 1.4)
    away = ((x - sun_x) ** 2 + (y - sun_y) ** 2).sqrt()
    night = brief.weight("hour", "night")
    veil = 1 - 0.97 * storm.maximum(fog)
    img = img + sun_colour * (torch.exp(-away * 5) * 0.42 + torch.exp(-away * 1.8) * 0.16) * veil * (
        1 - 0.55 * night
    )
    if brief.any("hour", "night"):
        img = img + _stars(dice, x, y) * night * veil * step(0.95, 0.35, y)
    fields = dice.fields("sky", 1.45)
    img = _disc(img, brief, dice, x, y, sun_x, sun_y, sun_colour, veil, fields)
    img = _high_layer(img, brief, dice, fields, x, y, horizon, (sun_x, sun_y), lit, shade, low)
    img = _heaps(img, brief, dice, fields, x, y, horizon, (sun_x, sun_y), (lit, shade, low, sun_colour))
    if brief.any("weather", "rain", "storm"):
        img = rain(img, brief, fields, x, y, horizon, shade, low)
    if brief.any("ground", *GROUNDS[1:]):
        img = land(img, brief, dice, fields, x, y, horizon, ground, pal, low, tone)
    mist = step(0.2, 1.0, tap(fields[:, 1:], x * 0.25, y * 0.5) * 0.25 + y * 0.9) * 0.85
    img = lerp(img, lerp(low, lit, 0.3), fog * mist)
    return img.clamp(0, 1)


def _stars(dice: Dice, x: Tensor, y: Tensor) -> Tensor:
    n = 18
    table = dice.table("stars", 4, n, n * 2)
    u, v = x * n + n, y * n
    i, j = v.floor(), u.floor()
    t = cells(table, i, j)
    d2 = (u - j - 0.2 - 0.6 * t[:, :1]) ** 2 + (v - i - 0.2 - 0.6 * t[:, 1:2]) ** 2
    size = 0.035 + 0.075 * t[:, 2:3] ** 4
    return torch.exp(-d2 / size**2) * (t[:, 3:] > 0.45) * (0.35 + 0.65 * t[:, 2:3])


def _disc(
    img: Tensor,
    brief: Brief,
    dice: Dice,
    x: Tensor,
    y: Tensor,
    sun_x: Tensor,
    sun_y: Tensor,
    colour: Tensor,
    veil: Tensor,
    fields: Tensor,
) -> Tensor:
    """The sun low in the sky, or the moon with its seas."""
    night = brief.weight("hour", "night")
    low = brief.weight("hour", "dusk", "dawn", "golden")
    r = dice.u("disc", 0.045, 0.085)
    away = ((x - sun_x) ** 2 + (y - sun_y) ** 2).sqrt()
    disc = step(r, r * 0.9, away)
    seas = 1 - 0.3 * step(0.1, 0.9, tap(fields[:, :1], x * 2, y * 2))
    face = lerp(lerp(colour, torch.ones_like(colour), 0.55) * 1.02, (colour * 0.3 + 0.68) * seas, night)
    return lerp(img, face, disc * (night + low).clamp(0, 1) * veil)


def _high_layer(
    img: Tensor,
    brief: Brief,
    dice: Dice,
    fields: Tensor,
    x: Tensor,
    y: Tensor,
    horizon: Tensor,
    sun: tuple[Tensor, Tensor],
    lit: Tensor,
    shade: Tensor,
    low: Tensor,
) -> Tensor:
    """Cirrus, mackerel or stratus on a plane overhead, in perspective."""
    depth = 0.34 / (horizon + 0.1 - y).clamp_min(0.06)
    turn = dice.u("turn", -0.8, 0.8)
    u, v = x * depth + turn * depth, depth * 1.6
    smooth = dice.fields("high", 2.1, tile=96)
    wx, wy = tap(smooth[:, :1], u * 0.3 + 0.3, v * 0.3), tap(smooth[:, 1:], u * 0.3, v * 0.3 + 0.6)
    near = step(0.0, 0.5, horizon - y)
    d = torch.zeros_like(u)
    if brief.any("form", "cirrus"):
        n = tap(fields[:, :1], u * 0.10 + wx * 0.05 + v * 0.16, v * 0.85 - u * 0.12 + wy * 0.10)
        d = d + brief.weight("form", "cirrus") * step(-0.5, 2.2, n * 0.75 + wx * 0.9) * 0.95
    if brief.any("form", "mackerel"):
        band = dice.fields("mackerel", 0.0, 8, 13, tile=128)
        n = tap(band[:, :1], u * 1.15 + wx * 0.05, v * 1.3 + wy * 0.05)
        patch = step(-0.9, 1.0, wx + 0.5 * wy + 0.1)
        d = d + brief.weight("form", "mackerel") * step(-0.9, 1.6, n + 0.5) * patch * 0.95
    if brief.any("form", "stratus"):
        n = tap(smooth[:, :1], u * 0.25 + wy * 0.08, v * 0.6 + wx * 0.08) + 0.3 * tap(
            fields[:, 1:], u * 0.3, v * 0.7
        )
        d = d + brief.weight("form", "stratus") * step(-1.3, 1.4, n) * 0.9
    d = d * (0.3 + 0.7 * near) + brief.weight("weather", "overcast") * (0.45 + 0.1 * wx)
    d = d * (1 - brief.weight("form", "cumulus") * 0.5) * (1 - 0.8 * (1 - brief.weight("shape", None)))
    d = d.clamp(0, 1)
    dx, dy = torch.sign(sun[0]) * 0.012, 0.010
    toward = torch.where(dx >= 0, shift(d, -0.012, dy), shift(d, 0.012, dy))
    light = (0.80 + 1.1 * blur(d - toward, 0.006) - 0.38 * d * d).clamp(0, 1)
    return lerp(img, lerp(lerp(shade, low, 0.5), lit, light), d * 0.85)


def _billow(lumps: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Rounded lumps with creases between, about -1..1."""
    wx = tap(lumps[:, 1:], u * 0.6 + 0.2, v * 0.6) * 0.02
    a = tap(lumps[:, :1], u + wx, v).abs()
    b = tap(lumps[:, 1:], u * 2.1 + 0.3, v * 2.1 + wx).abs()
    c = tap(lumps[:, :1], u * 4.3 + wx, v * 4.3 + 0.7).abs()
    e = tap(lumps[:, 1:], u * 8.9, v * 8.9 + 0.1).abs()
    return (a + b * 0.5 + c * 0.28 + e * 0.15) / 1.1 - 1.2


def _toward(image: Tensor, x: Tensor, y: Tensor, sun: tuple[Tensor, Tensor], far: float) -> Tensor:
    """The image as seen `far` (picture heights) nearer to the sun."""
    h, w = image.shape[-2:]
    if x.shape[-1] != w:
        x, y = plane(h, w, image.device)
    dx, dy = sun[0] - x, sun[1] - y
    n = (dx * dx + dy * dy + 0.01).sqrt()
    where = torch.stack([((x + dx / n * far) * 2 * h / w)[:, 0], ((y + dy / n * far) * 2 - 1)[:, 0]], -1)
    return F.grid_sample(image, where, padding_mode="border", align_corners=False)


def _heaps(
    img: Tensor,
    brief: Brief,
    dice: Dice,
    fields: Tensor,
    x: Tensor,
    y: Tensor,
    horizon: Tensor,
    sun: tuple[Tensor, Tensor],
    colours: tuple[Tensor, Tensor, Tensor, Tensor],
) -> Tensor:
    """Three banks of heaped cloud, far to near, and the silhouette if there is one."""
    lumps = dice.fields("lumps", 0.0, 3, 6, tile=128)
    rises = dice.fields("rises", 1.6, 1, 14, tile=64)
    amount = brief.value(
        "weather",
        {
            "clear": 0.12,
            "scattered": 0.62,
            "heaped": 1.15,
            "overcast": 0.8,
            "storm": 1.4,
            "rain": 1.1,
            "fog": 0.45,
        },
    )
    amount = amount * (0.62 + 0.38 * brief.weight("shape", None))
    billow = _billow(lumps, x * 0.5 + dice.u("bx"), y * 0.58)
    facing = (0.5 + 0.62 * (billow - _toward(billow, x, y, sun, 0.022))).clamp(0, 1)
    if brief.any("weather", "storm", "rain"):
        lit, shade, low, sun_colour = colours
        deck = brief.weight("weather", "storm") + 0.75 * brief.weight("weather", "rain")
        edge = dice.u("deck", 0.26, 0.44) + 0.09 * tap(
            rises[:, 1:], x[:, :, :1] * 0.3 + dice.u("deck x"), dice.u("deck y")
        )
        s = edge * deck - 0.25 * (1 - deck.clamp(0, 1)) - y + billow * 0.09
        under = lerp(lerp(shade * 0.6, lit, 0.1), low, 0.12)
        img = _body(
            img,
            s,
            billow,
            facing,
            x,
            y,
            sun,
            (lerp(lit, low, 0.35), under, low, sun_colour * 0.5),
            0.05,
            0.13,
        )
    for k, far in enumerate((0.85, 0.45, 0.1)):
        base = horizon - 0.02 - 0.42 * (1 - far) * dice.u(f"base {k}", 0.0, 1.0)
        u = x[:, :, :1] * (0.13 + 0.24 * far) + dice.u(f"shift {k}")  # (B, 1, 1, w): a skyline
        rise = tap(rises[:, :1], u, dice.u(f"row {k}"))
        top = base - amount * (0.30 * (1 - 0.5 * far)) * (rise * 0.75 + 0.3).clamp(-0.6, 2.2)
        s = torch.minimum(y - top, (base - y) * 0.7 + 0.045 * (1 - far)) + billow * 0.075 * (1 - 0.55 * far)
        img = _body(img, s, billow, facing, x, y, sun, colours, far, 0.16 - 0.08 * far)
    if brief.any("shape", *SHAPE_NAMES):
        img = _figure(img, brief, dice, billow, facing, x, y, sun, colours)
    return img


def _body(
    img: Tensor,
    s: Tensor,
    billow: Tensor,
    facing: Tensor,
    x: Tensor,
    y: Tensor,
    sun: tuple[Tensor, Tensor],
    colours: tuple[Tensor, Tensor, Tensor, Tensor],
    far: float,
    thick: float,
) -> Tensor:
    """Composite one body of cloud, s its inward distance; it shadows itself along the way to the sun."""
    lit, shade, low, sun_colour = colours
    h, w = img.shape[-2:]
    mask = step(-0.012, 0.03, s + billow * 0.01)
    mass = (s / thick).clamp(0, 1.3)
    small = F.interpolate(mass, (max(8, h // 4), max(8, w // 4)), mode="area")
    deep = torch.zeros_like(small)
    for reach, share in ((0.03, 0.5), (0.08, 0.45), (0.16, 0.35)):
        deep = deep + _toward(small, x, y, sun, reach) * share
    through = F.interpolate(torch.exp(-1.25 * deep), (h, w), mode="bilinear", align_corners=False)
    light = through * (0.45 + 0.75 * facing) + 0.16 * facing + 0.12 * billow.clamp(-1, 1)
    light = light + 0.16 * step(0.3, 0.0, mass)
    colour = lerp(shade * 0.82, lit, step(0.04, 0.96, light))
    near_sun = torch.exp(-((x - sun[0]) ** 2 + (y - sun[1]) ** 2) * 6)
    colour = colour + sun_colour * near_sun * (0.10 + 0.3 * step(0.5, 0.0, mass))
    colour = lerp(colour, low, 0.08 + far * 0.5)
    return lerp(img, colour, mask)


def _figure(
    img: Tensor,
    brief: Brief,
    dice: Dice,
    billow: Tensor,
    facing: Tensor,
    x: Tensor,
    y: Tensor,
    sun: tuple[Tensor, Tensor],
    colours: tuple[Tensor, Tensor, Tensor, Tensor],
) -> Tensor:
    """A cloud that is nearly something."""
    size = dice.u("figure size", 0.26, 0.36)
    cx, cy = dice.u("figure x", -0.16, 0.16), dice.u("figure y", 0.34, 0.52)
    flip = torch.where(dice.u("figure flip") > 0.5, 1.0, -1.0)
    h, w = x.shape[-2:]
    xs, ys = F.interpolate(x, (h // 2, w // 2), mode="area"), F.interpolate(y, (h // 2, w // 2), mode="area")
    px, py = (xs - cx) / size * flip, (ys - cy) / size
    out = (silhouette([a.get("shape") for a in brief.attrs], px, py) * size).clamp(-1, 1)
    if any(brief.mix):
        there = (silhouette([b.get("shape") for b in brief.other], px, py) * size).clamp(-1, 1)
        out = lerp(out, there, brief.proportion)
    d = F.interpolate(out, (h, w), mode="bilinear", align_corners=False)
    s = -d + 0.006 + billow * 0.022
    soft = blur((s > 0).float(), 0.02)
    img = lerp(img, lerp(colours[1], colours[0], 0.6), soft * 0.25)
    return _body(img, s, billow, facing, x, y, sun, colours, 0.0, 0.10)
