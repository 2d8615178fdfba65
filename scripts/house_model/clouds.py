"""The world of clouds: skies at every hour and weather, lit from where the sun is.

    image = paint_clouds(brief, dice, 256, 256)   # (B, 3, h, w) in 0..1

Back to front: sky, stars, moon or sun, a high thin layer in perspective, three banks of heaped cloud,
sometimes a silhouette of cloud, rain, ground, haze.
"""

from __future__ import annotations

import random

import torch
import torch.nn.functional as F
from torch import Tensor

from .brief import Brief
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
_ZENITH = {"dawn": .36, "noon": .42, "golden": .45, "dusk": .2, "night": .06}
_HORIZON = {"dawn": .8, "noon": .8, "golden": .84, "dusk": .62, "night": .26}
_LIT = {"dawn": .93, "noon": 1., "golden": .96, "dusk": .76, "night": .62}
_SHADE = {"dawn": .36, "noon": .52, "golden": .4, "dusk": .2, "night": .14}
_N_HORIZON = {"dawn": (1., .8, .7), "noon": (.85, .93, 1.), "golden": (1., .84, .5), "dusk": (.98, .46, .26),
              "night": (.12, .16, .3)}
_N_LIT = {"dawn": (1., .88, .8), "noon": (1., 1., 1.), "golden": (1., .9, .66), "dusk": (1., .58, .4),
          "night": (.62, .7, .86)}
_SUN = {"dawn": (1., .86, .74), "noon": (1., 1., .96), "golden": (1., .84, .5), "dusk": (1., .5, .24),
        "night": (.7, .8, 1.)}
_SUN_Y = {"dawn": .72, "noon": .1, "golden": .5, "dusk": .8, "night": .25}


def clouds_attributes(rng: random.Random) -> dict:
    """Draw what a picture of clouds shows."""
    weather = rng.choices(WEATHERS, (1.6, 4, 5, 2, 3, 2, 1.5))[0]
    shape = rng.choice(SHAPE_NAMES) if weather in ("clear", "scattered") and rng.random() < (.8 if weather == "clear" else .4) else None
    palette = rng.choice(PALETTE_NAMES)
    accent = rng.choice([p for p in PALETTE_NAMES if p != palette]) if rng.random() < .35 else None
    return {"world": "clouds", "palette": palette, "accent": accent, "hour": rng.choice(HOURS),
            "weather": weather, "form": rng.choices(FORMS, (4, 2, 2, 1))[0], "shape": shape,
            "ground": rng.choices(GROUNDS, (5, 2, 2, 1))[0]}


def paint_clouds(brief: Brief, dice: Dice, h: int, w: int) -> Tensor:
    """Paint the skies of a brief, (B, 3, h, w)."""
    x, y = plane(h, w, dice.device)
    aspect = w / h
    pal, acc = brief.palette(), brief.palette("accent")
    storm, fog = brief.weight("weather", "storm", "rain"), brief.weight("weather", "fog")
    natural = .22
    dark = 1 - .14 * storm
    tone = {k: brief.value("hour", t) * (1 - g * storm) for k, t, g in
            (("zenith", _ZENITH, .5), ("horizon", _HORIZON, .2), ("lit", _LIT, .22), ("shade", _SHADE, .5))}
    top = ramp(pal, tone["zenith"])
    low = lerp(lerp(ramp(pal, tone["horizon"]), ramp(acc, tone["horizon"] * .92), .75), brief.colour("hour", _N_HORIZON) * dark, natural)
    lit = lerp(lerp(ramp(pal, tone["lit"]), ramp(acc, tone["lit"] * .9), .5), brief.colour("hour", _N_LIT) * dark.sqrt(), natural)
    shade = ramp(pal, tone["shade"])
    sun_colour = lerp(brief.colour("hour", _SUN), ramp(acc, .85), .5)
    sun_x = dice.u("sun x", -.42, .42) * aspect
    sun_y = brief.value("hour", _SUN_Y) + dice.u("sun y", -.08, .08)
    ground = 1 - brief.weight("ground", None)
    horizon = lerp(dice.scalars([1.12] * len(dice)), dice.u("horizon", .8, .9), ground)
    img = lerp(top, low, (y / horizon).clamp(0, 1) ** 1.4)
    away = ((x - sun_x) ** 2 + (y - sun_y) ** 2).sqrt()
    night = brief.weight("hour", "night")
    veil = 1 - .97 * storm.maximum(fog)
    img = img + sun_colour * (torch.exp(-away * 5) * .42 + torch.exp(-away * 1.8) * .16) * veil * (1 - .55 * night)
    if brief.any("hour", "night"):
        img = img + _stars(dice, x, y) * night * veil * step(.95, .35, y)
    fields = dice.fields("sky", 1.45)
    img = _disc(img, brief, dice, x, y, sun_x, sun_y, sun_colour, veil, fields)
    img = _high_layer(img, brief, dice, fields, x, y, horizon, (sun_x, sun_y), lit, shade, low)
    img = _heaps(img, brief, dice, fields, x, y, horizon, (sun_x, sun_y), (lit, shade, low, sun_colour))
    if brief.any("weather", "rain", "storm"):
        img = _rain(img, brief, fields, x, y, horizon, shade, low)
    if ground.any():
        img = _ground(img, brief, dice, fields, x, y, horizon, ground, pal, low, tone)
    mist = step(.2, 1., tap(fields[:, 1:], x * .25, y * .5) * .25 + y * .9) * .85
    img = lerp(img, lerp(low, lit, .3), fog * mist)
    return img.clamp(0, 1)


def _stars(dice: Dice, x: Tensor, y: Tensor) -> Tensor:
    n = 18
    table = dice.table("stars", 4, n, n * 2)
    u, v = x * n + n, y * n
    i, j = v.floor(), u.floor()
    t = cells(table, i, j)
    d2 = (u - j - .2 - .6 * t[:, :1]) ** 2 + (v - i - .2 - .6 * t[:, 1:2]) ** 2
    size = .035 + .075 * t[:, 2:3] ** 4
    return torch.exp(-d2 / size ** 2) * (t[:, 3:] > .45) * (.35 + .65 * t[:, 2:3])


def _disc(img: Tensor, brief: Brief, dice: Dice, x: Tensor, y: Tensor, sun_x: Tensor, sun_y: Tensor,
          colour: Tensor, veil: Tensor, fields: Tensor) -> Tensor:
    """The sun low in the sky, or the moon with its seas."""
    night = brief.weight("hour", "night")
    low = brief.weight("hour", "dusk", "dawn", "golden")
    r = dice.u("disc", .045, .085)
    away = ((x - sun_x) ** 2 + (y - sun_y) ** 2).sqrt()
    disc = step(r, r * .9, away)
    seas = 1 - .3 * step(.1, .9, tap(fields[:, :1], x * 2, y * 2))
    face = lerp(lerp(colour, torch.ones_like(colour), .55) * 1.02, (colour * .3 + .68) * seas, night)
    return lerp(img, face, disc * (night + low).clamp(0, 1) * veil)


def _high_layer(img: Tensor, brief: Brief, dice: Dice, fields: Tensor, x: Tensor, y: Tensor, horizon: Tensor,
                sun: tuple[Tensor, Tensor], lit: Tensor, shade: Tensor, low: Tensor) -> Tensor:
    """Cirrus, mackerel or stratus on a plane overhead, in perspective."""
    depth = .34 / (horizon + .1 - y).clamp_min(.06)
    turn = dice.u("turn", -.8, .8)
    u, v = x * depth + turn * depth, depth * 1.6
    smooth = dice.fields("high", 2.1, tile=96)
    wx, wy = tap(smooth[:, :1], u * .3 + .3, v * .3), tap(smooth[:, 1:], u * .3, v * .3 + .6)
    near = step(.0, .5, horizon - y)
    d = torch.zeros_like(u)
    if brief.any("form", "cirrus"):
        n = tap(fields[:, :1], u * .10 + wx * .05 + v * .16, v * .85 - u * .12 + wy * .10)
        d = d + brief.weight("form", "cirrus") * step(-.5, 2.2, n * .75 + wx * .9) * .95
    if brief.any("form", "mackerel"):
        band = dice.fields("mackerel", .0, 8, 13, tile=128)
        n = tap(band[:, :1], u * 1.15 + wx * .05, v * 1.3 + wy * .05)
        patch = step(-.9, 1.0, wx + .5 * wy + .1)
        d = d + brief.weight("form", "mackerel") * step(-.9, 1.6, n + .5) * patch * .95
    if brief.any("form", "stratus"):
        n = tap(smooth[:, :1], u * .25 + wy * .08, v * .6 + wx * .08) + .3 * tap(fields[:, 1:], u * .3, v * .7)
        d = d + brief.weight("form", "stratus") * step(-1.3, 1.4, n) * .9
    d = d * (.3 + .7 * near) + brief.weight("weather", "overcast") * (.45 + .1 * wx)
    d = d * (1 - brief.weight("form", "cumulus") * .5) * (1 - .8 * (1 - brief.weight("shape", None)))
    d = d.clamp(0, 1)
    dx, dy = torch.sign(sun[0]) * .012, .010
    toward = torch.where(dx >= 0, shift(d, -.012, dy), shift(d, .012, dy))
    light = (.80 + 1.1 * blur(d - toward, .006) - .38 * d * d).clamp(0, 1)
    return lerp(img, lerp(lerp(shade, low, .5), lit, light), d * .85)


def _billow(lumps: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Rounded lumps with creases between, about -1..1."""
    wx = tap(lumps[:, 1:], u * .6 + .2, v * .6) * .02
    a = tap(lumps[:, :1], u + wx, v).abs()
    b = tap(lumps[:, 1:], u * 2.1 + .3, v * 2.1 + wx).abs()
    c = tap(lumps[:, :1], u * 4.3 + wx, v * 4.3 + .7).abs()
    e = tap(lumps[:, 1:], u * 8.9, v * 8.9 + .1).abs()
    return (a + b * .5 + c * .28 + e * .15) / 1.1 - 1.2


def _toward(image: Tensor, x: Tensor, y: Tensor, sun: tuple[Tensor, Tensor], far: float) -> Tensor:
    """The image as seen `far` (picture heights) nearer to the sun."""
    h, w = image.shape[-2:]
    if x.shape[-1] != w:
        x, y = plane(h, w, image.device)
    dx, dy = sun[0] - x, sun[1] - y
    n = (dx * dx + dy * dy + .01).sqrt()
    where = torch.stack([((x + dx / n * far) * 2 * h / w)[:, 0], ((y + dy / n * far) * 2 - 1)[:, 0]], -1)
    return F.grid_sample(image, where, padding_mode="border", align_corners=False)


def _heaps(img: Tensor, brief: Brief, dice: Dice, fields: Tensor, x: Tensor, y: Tensor, horizon: Tensor,
           sun: tuple[Tensor, Tensor], colours: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
    """Three banks of heaped cloud, far to near, and the silhouette if there is one."""
    lumps = dice.fields("lumps", .0, 3, 6, tile=128)
    rises = dice.fields("rises", 1.6, 1, 14, tile=64)
    amount = brief.value("weather", {"clear": .12, "scattered": .62, "heaped": 1.15, "overcast": .8, "storm": 1.4,
                                     "rain": 1.1, "fog": .45})
    amount = amount * (.62 + .38 * brief.weight("shape", None))
    billow = _billow(lumps, x * .5 + dice.u("bx"), y * .58)
    facing = (.5 + .62 * (billow - _toward(billow, x, y, sun, .022))).clamp(0, 1)
    if brief.any("weather", "storm", "rain"):
        lit, shade, low, sun_colour = colours
        deck = brief.weight("weather", "storm") + .75 * brief.weight("weather", "rain")
        edge = dice.u("deck", .26, .44) + .09 * tap(rises[:, 1:], x[:, :, :1] * .3 + dice.u("deck x"), dice.u("deck y"))
        s = edge * deck - .25 * (1 - deck.clamp(0, 1)) - y + billow * .09
        under = lerp(lerp(shade * .6, lit, .1), low, .12)
        img = _body(img, s, billow, facing, x, y, sun, (lerp(lit, low, .35), under, low, sun_colour * .5), .05, .13)
    for k, far in enumerate((.85, .45, .1)):
        base = horizon - .02 - .42 * (1 - far) * dice.u(f"base {k}", .0, 1.)
        u = x[:, :, :1] * (.13 + .24 * far) + dice.u(f"shift {k}")  # (B, 1, 1, w): a skyline
        rise = tap(rises[:, :1], u, dice.u(f"row {k}"))
        top = base - amount * (.30 * (1 - .5 * far)) * (rise * .75 + .3).clamp(-.6, 2.2)
        s = torch.minimum(y - top, (base - y) * .7 + .045 * (1 - far)) + billow * .075 * (1 - .55 * far)
        img = _body(img, s, billow, facing, x, y, sun, colours, far, .16 - .08 * far)
    if brief.any("shape", *SHAPE_NAMES):
        img = _figure(img, brief, dice, billow, facing, x, y, sun, colours)
    return img


def _body(img: Tensor, s: Tensor, billow: Tensor, facing: Tensor, x: Tensor, y: Tensor, sun: tuple[Tensor, Tensor],
          colours: tuple[Tensor, Tensor, Tensor, Tensor], far: float, thick: float) -> Tensor:
    """Composite one body of cloud, s its inward distance; it shadows itself along the way to the sun."""
    lit, shade, low, sun_colour = colours
    h, w = img.shape[-2:]
    mask = step(-.012, .03, s + billow * .01)
    mass = (s / thick).clamp(0, 1.3)
    small = F.interpolate(mass, (max(8, h // 4), max(8, w // 4)), mode="area")
    deep = sum(_toward(small, x, y, sun, t) * g for t, g in ((.03, .5), (.08, .45), (.16, .35)))
    through = F.interpolate(torch.exp(-1.25 * deep), (h, w), mode="bilinear", align_corners=False)
    light = through * (.45 + .75 * facing) + .16 * facing + .12 * billow.clamp(-1, 1)
    light = light + .16 * step(.3, .0, mass)
    colour = lerp(shade * .82, lit, step(.04, .96, light))
    near_sun = torch.exp(-((x - sun[0]) ** 2 + (y - sun[1]) ** 2) * 6)
    colour = colour + sun_colour * near_sun * (.10 + .3 * step(.5, .0, mass))
    colour = lerp(colour, low, .08 + far * .5)
    return lerp(img, colour, mask)


def _figure(img: Tensor, brief: Brief, dice: Dice, billow: Tensor, facing: Tensor, x: Tensor, y: Tensor,
            sun: tuple[Tensor, Tensor], colours: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
    """A cloud that is nearly something."""
    size = dice.u("figure size", .26, .36)
    cx, cy = dice.u("figure x", -.16, .16), dice.u("figure y", .34, .52)
    flip = torch.where(dice.u("figure flip") > .5, 1., -1.)
    h, w = x.shape[-2:]
    xs, ys = F.interpolate(x, (h // 2, w // 2), mode="area"), F.interpolate(y, (h // 2, w // 2), mode="area")
    out: Tensor | None = None
    for side, weight in ((brief.attrs, 1.), (brief.other, 0.)):
        if side is brief.other and not any(brief.mix):
            continue
        d = silhouette([a.get("shape") for a in side], (xs - cx) / size * flip, (ys - cy) / size) * size
        d = d.clamp(-1, 1)
        out = d if out is None else lerp(out, d, brief._mix.to(d.device))
        del weight
    assert out is not None
    d = F.interpolate(out, (h, w), mode="bilinear", align_corners=False)
    s = -d + .006 + billow * .022
    soft = blur((s > 0).float(), .02)
    img = lerp(img, lerp(colours[1], colours[0], .6), soft * .25)
    return _body(img, s, billow, facing, x, y, sun, colours, .0, .10)


def _rain(img: Tensor, brief: Brief, fields: Tensor, x: Tensor, y: Tensor, horizon: Tensor, shade: Tensor,
          low: Tensor) -> Tensor:
    """Shafts of rain hanging from the cloud."""
    slant = x + (y - .5) * .18
    n = tap(fields[:, 1:], slant * .35, y * .03) + .35 * tap(fields[:, :1], slant * 2.2, y * .06)
    shaft = step(.0, 1.4, n) * step(.3, .62, y) * step(horizon + .02, horizon - .06, y)
    weight = brief.weight("weather", "rain") + .35 * brief.weight("weather", "storm")
    return lerp(img, lerp(shade, low, .35), shaft * weight * .8)


def _ground(img: Tensor, brief: Brief, dice: Dice, fields: Tensor, x: Tensor, y: Tensor, horizon: Tensor,
            ground: Tensor, pal: Tensor, low: Tensor, tone: dict[str, Tensor]) -> Tensor:
    """Sea that mirrors the sky, hills one behind the other, or a plain."""
    sea, hills = brief.weight("ground", "sea"), brief.weight("ground", "hills")
    depth = 1 / (y - horizon).clamp_min(.03)
    wave = tap(fields[:, :1], x * depth * .05, depth * .22)
    wave = wave * step(.0, .05, y - horizon)
    mirror_y = (2 * horizon - y - .012 + wave * (y - horizon).clamp_min(0) * .25).clamp(0, 1)
    where = torch.stack(torch.broadcast_tensors((x * 2 / (x.shape[-1] / x.shape[-2]))[:, 0] + (wave * (y - horizon).clamp_min(0) * .3)[:, 0],
                                                (mirror_y * 2 - 1)[:, 0]), -1)
    mirror = F.grid_sample(img, where, padding_mode="border", align_corners=False)
    dark = ramp(pal, tone["shade"] * .55)
    water = lerp(mirror, dark, .38) + (low * .3) * step(.5, 1.8, wave)
    field = lerp(dark, low, (.35 - (y - horizon) * 2.2).clamp(0, .35))
    field = field * (.94 + .09 * wave.clamp(-1.5, 2))
    land = lerp(field, water, sea)
    mask = step(horizon - .003, horizon + .003, y) * ground
    img = lerp(img, land, mask)
    for k in range(3):
        crest = horizon + .03 * k - .05 * hills * (1 - .2 * k) * (1 + tap(fields[:, 1:], x * .22 + .3 * k, x * 0 + .17 * k))
        m = step(crest - .003, crest + .004, y) * hills
        img = lerp(img, lerp(low, dark, .35 + .3 * k), m)
    return img
