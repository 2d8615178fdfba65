"""Makes a scrap of paper with type on it: torn at the edges, with fibres, thickness, grain and the shadow it casts.

    scrap = make_scrap(setting.ink, em_px=18, seed=7)
    scrap.tile                                       # (H, W, 4) uint8: ink, paper, shade, shadow

The tile says what is there; what colour it has and how wet it is, the shader says (scraps.frag). A function of its
arguments alone: the same scrap is the same bytes. Takes milliseconds: for a worker's thread, or a film's.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

PAD_X, PAD_Y = 0.85, 0.62  # of paper around the type, ems
EDGE = 0.72  # around the paper, for its fibres and its shadow, ems
TEAR = 0.34  # how far a torn edge strays, ems
RIM = 0.26  # of bare core that a tear leaves, ems
LIFT = 0.16  # how far the paper lies above what it is seen on, ems
CUT = 0.22  # share of edges that are no tear, but the margin of the sheet
FIBRES = 1.7  # for each em of the edge


@dataclass(frozen=True)
class Scrap:
    """tile: ink, cover of paper, shade (128 is plain) and cover of shadow."""

    tile: NDArray[np.uint8]  # (H, W, 4), top row first


def make_scrap(ink: NDArray[np.uint8], em_px: float, seed: int) -> Scrap:
    """A scrap that bears this ink, (h, w) coverage. em_px: of its type."""
    rng = np.random.default_rng(seed)
    high, wide = ink.shape
    pad_x, pad_y = PAD_X * em_px, PAD_Y * em_px
    edge = EDGE * em_px
    size = int(np.ceil(high + 2 * (pad_y + edge))), int(np.ceil(wide + 2 * (pad_x + edge)))
    inside = _distance(size, (edge, edge), em_px, rng)
    rim = RIM * em_px * (0.15 + 1.5 * _noise(size, 0.55 * em_px, rng) ** 2)
    fine = _noise(size, max(0.11 * em_px, 1.0), rng) - 0.5
    cover = np.clip(inside + 0.10 * em_px * fine + 0.5, 0.0, 1.0)
    printed = np.clip((inside - rim + 0.16 * em_px * fine) / max(0.07 * em_px, 1.0) + 0.5, 0.0, 1.0)
    hairs = _fibres(inside, em_px, rng)
    cover = np.maximum(cover, 0.62 * hairs * (inside < 1.0))
    shadow = blurred(cover, 0.20 * em_px, (LIFT * em_px, 0.7 * LIFT * em_px))
    words = np.zeros(size, np.float32)
    top, left = (size[0] - high) // 2, (size[1] - wide) // 2
    words[top : top + high, left : left + wide] = ink / np.float32(255.0)
    shade = _shade(size, em_px, rng, printed, words, inside)
    # Letterpress: a little less ink here and there, and never on the bare core.
    words = words * (0.86 + 0.14 * np.clip(0.5 + 2.4 * fine, 0.0, 1.0)) * printed
    tile = np.stack([words, cover, shade, shadow], axis=-1)
    return Scrap(np.round(np.clip(tile, 0.0, 1.0) * 255.0).astype(np.uint8))


def _distance(size: tuple[int, int], edge: tuple[float, float], em_px: float, rng: np.random.Generator) -> Field:
    """(H, W) how far inside the paper each pixel lies, px; below 0 outside. Each side is torn in its own way."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32) + np.float32(0.5)
    sides = []
    for along, across in ((y, x), (y, size[1] - x), (x, y), (x, size[0] - y)):
        torn = rng.random() > CUT
        lean = (along / along.max() - 0.5) * rng.uniform(-1.0, 1.0) * (0.55 if torn else 0.12) * em_px
        stray = _line(along, (2.6 * em_px, 0.9 * em_px, 0.3 * em_px, 0.1 * em_px), rng) * TEAR * em_px * 2.4
        sides.append(across - edge[0] - lean - (stray if torn else 0.04 * stray))
    # Smooth minimum: corners are torn round (Quilez, "smooth minimum").
    inside: Field = sides[0]
    round_px = np.float32(0.5 * em_px)
    for side in sides[1:]:
        h = np.maximum(round_px - np.abs(inside - side), 0.0) / round_px
        inside = np.minimum(inside, side) - h * h * round_px * np.float32(0.25)
    return inside


def _line(along: Field, steps_px: tuple[float, ...], rng: np.random.Generator) -> Field:
    """A random line's height, -1/2 to 1/2 or so, at each place along it: finer steps stray less."""
    total = np.zeros_like(along)
    reach = float(along.max()) + 1.0
    for n, step in enumerate(steps_px):
        knots = rng.uniform(-0.5, 0.5, int(reach / step) + 4)
        at = along / np.float32(step) + np.float32(rng.random())
        k = np.floor(at).astype(int)
        u = at - k
        u = u * u * (3 - 2 * u)
        total += np.float32(0.56**n) * (knots[k] + (knots[k + 1] - knots[k]) * u).astype(np.float32)
    return total * np.float32(0.55)


def _noise(size: tuple[int, int], cell_px: float, rng: np.random.Generator, stretch: float = 1.0) -> Field:
    """(H, W) smooth noise, 0..1, of cells that are `stretch` times as wide as high."""
    from PIL import Image

    cells = max(2, round(size[0] / cell_px)), max(2, round(size[1] / (cell_px * stretch)))
    coarse = Image.fromarray(rng.random(cells).astype(np.float32))
    return np.clip(np.asarray(coarse.resize((size[1], size[0]), Image.Resampling.BICUBIC)), 0.0, 1.0)


def _fibres(inside: Field, em_px: float, rng: np.random.Generator) -> Field:
    """(H, W) 0..1: hairs that stand out of the torn edge, fine and bent."""
    from PIL import Image, ImageDraw

    scale = 3
    image = Image.new("L", (inside.shape[1] * scale, inside.shape[0] * scale))
    draw = ImageDraw.Draw(image)
    slope: Any = np.gradient(inside)
    ys, xs = np.nonzero(np.abs(inside) < 1.0)
    if len(xs):
        for n in rng.choice(len(xs), int(len(xs) / em_px * FIBRES)):
            y, x = float(ys[n]), float(xs[n])
            angle = np.arctan2(-slope[0][ys[n], xs[n]], -slope[1][ys[n], xs[n]]) + rng.normal(0.0, 0.75)
            length, bend = em_px * rng.uniform(0.08, 0.34), rng.normal(0.0, 0.5)
            way = []
            for part in np.linspace(-0.25, 1.0, 6):
                turn = angle + bend * part
                way.append(((x + length * part * np.cos(turn)) * scale, (y + length * part * np.sin(turn)) * scale))
            draw.line(way, fill=int(rng.uniform(60, 220)), width=max(1, round(0.035 * em_px * scale)))
    small = image.resize((inside.shape[1], inside.shape[0]), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / np.float32(255.0)


def _shade(
    size: tuple[int, int], em_px: float, rng: np.random.Generator, printed: Field, words: Field, inside: Field
) -> Field:
    """(H, W) how light the paper is, 1/2 where it is plain: cloudy, with the marks of the mould, pale where the tear
    has bared its core; and the type of the other side, which shines through."""
    cloudy = _noise(size, 1.3 * em_px, rng) - 0.5
    grain = _noise(size, max(0.06 * em_px, 1.0), rng) - 0.5
    strands = _noise(size, max(0.08 * em_px, 1.0), rng, 7.0) - 0.5
    y, x = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    laid = np.sin(2 * np.pi * y / max(0.16 * em_px, 3.0)) if em_px >= 16 else np.zeros(size, np.float32)
    turn = rng.uniform(0, 2 * np.pi)
    curl = (np.cos(turn) * (x / size[1] - 0.5) + np.sin(turn) * (y / size[0] - 0.5)).astype(np.float32)
    other = np.roll(words[:, ::-1], round(0.4 * em_px), axis=0)
    other = blurred(other, 0.05 * em_px, (0.0, 0.0))
    shade = 0.5 + 0.10 * cloudy + 0.09 * grain + 0.05 * strands + 0.007 * laid + 0.14 * curl - 0.055 * other
    bared = (1.0 - printed) * (0.20 + 0.22 * grain)
    # The light comes from the upper left: what faces it is lighter at the edge, the other side darker.
    down, across = np.gradient(blurred(np.clip(inside, -em_px, 0.35 * em_px), 0.06 * em_px, (0.0, 0.0)))
    lit = (0.8 * down + 0.6 * across) * np.clip(1.0 - inside / (0.35 * em_px), 0.0, 1.0)
    return (shade + bared + 0.10 * lit).astype(np.float32)


def blurred(field: Field, sigma_px: float, shift_px: tuple[float, float]) -> Field:
    """(H, W) blurred and moved down and right, by three boxes, nearly a Gaussian; darkness outside."""
    radius = max(round(sigma_px), 0)
    for axis, shift in ((0, shift_px[0]), (1, shift_px[1])):
        for _ in range(3 if radius else 0):
            padded = np.pad(field, [(radius + 1, radius) if k == axis else (0, 0) for k in (0, 1)])
            sums = np.cumsum(padded, axis=axis, dtype=np.float32)
            n = field.shape[axis]
            high, low = [slice(None)] * 2, [slice(None)] * 2
            high[axis], low[axis] = slice(2 * radius + 1, 2 * radius + 1 + n), slice(0, n)
            field = np.asarray((sums[tuple(high)] - sums[tuple(low)]) / np.float32(2 * radius + 1), np.float32)
        whole = round(shift)
        if whole:
            moved = np.zeros_like(field)
            to, of = [slice(None)] * 2, [slice(None)] * 2
            to[axis], of[axis] = slice(whole, None), slice(None, -whole)
            moved[tuple(to)] = field[tuple(of)]
            field = moved
    return field
