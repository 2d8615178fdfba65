"""A picture of the kinds: every fragment a grain of pulp on dark water, in the colour of its kind, and their names.

    draw(Fragments(path)).save("book.pulp.png")

The plane is that of the two directions in which the kinds differ most. Pillow; the command line's process.
"""

import colorsys
import contextlib
import math
import shutil
import subprocess
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from engine.walk.pulp.fragments import Fragments

SIZE = (1920, 1200)
MARGIN, FOOT = 90, 70  # pixels
WATER, FOAM, QUIET = (13, 17, 22), (232, 228, 218), (126, 132, 138)
GLOW = 26.0  # pixels about a grain that it lights faintly
NAMED_PX, SMALL_PX = 25, 17
_GOLDEN = 0.381966

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def draw(pulp: Fragments, size: tuple[int, int] = SIZE) -> Image.Image:
    """The picture, RGB. size: pixels, both multiples of four."""
    width, height = size
    spot = pulp.points * [(width / 2 - MARGIN), -((height - FOOT) / 2 - MARGIN)]
    spot = (spot + np.array([width / 2, (height - FOOT) / 2])).astype(np.float32)
    colours = np.array([colour_of(k.number, len(pulp.kinds)) for k in pulp.kinds], np.float32)
    image = _grains(spot, colours[pulp.kind_of], size)
    draw = ImageDraw.Draw(image)
    middles = [np.median(spot[pulp.kind_of == kind.number], axis=0) for kind in pulp.kinds]
    boxes: list[tuple[float, float, float, float]] = []
    for kind in sorted(pulp.kinds, key=lambda kind: -kind.count):
        x, y = middles[kind.number]
        name, font = told(kind.name, kind.number), font_for(kind.name, NAMED_PX)
        box = _room(draw.textbbox((x, y), name, font, anchor="mm"), boxes, size)
        boxes.append(box)
        at = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        if math.hypot(at[0] - x, at[1] - y) > 40:
            draw.line([(x, y), at], fill=_dim(colours[kind.number], 0.55), width=1)
        _label(image, at, name, font, _light(colours[kind.number]))
        draw = ImageDraw.Draw(image)
    said = f"{pulp.count:,} fragments of {_sources(pulp)} in {len(pulp.kinds)} kinds"
    draw.text((MARGIN, height - FOOT / 2), said, FOAM, font_for(said, SMALL_PX), anchor="lm")
    draw.text((width - MARGIN, height - FOOT / 2), pulp.model, QUIET, font_for(pulp.model, SMALL_PX), anchor="rm")
    return image


def _sources(pulp: Fragments) -> str:
    if len(pulp.sources) == 1:
        return pulp.sources[0]
    return f"{len(pulp.sources)} texts" if pulp.sources else pulp.path.name


def colour_of(kind: int, count: int) -> tuple[int, int, int]:
    """A colour for each kind, 0..255: neighbours in number, which are alike, in hue too; never loud."""
    hue = (0.04 + 0.92 * kind / max(count, 1)) % 1.0
    level = (kind * _GOLDEN) % 1.0
    red, green, blue = colorsys.hls_to_rgb(hue, 0.56 + 0.14 * level, 0.48 + 0.2 * ((level + 0.5) % 1.0))
    return round(255 * red), round(255 * green), round(255 * blue)


def _grains(spot: NDArray[np.float32], colours: NDArray[np.float32], size: tuple[int, int]) -> Image.Image:
    """Every fragment a soft grain; where many lie they glow, and the densest place is never white."""
    width, height = size
    light = np.zeros((height, width, 3), np.float32)
    x = np.clip(np.round(spot[:, 0]).astype(int), 0, width - 1)
    y = np.clip(np.round(spot[:, 1]).astype(int), 0, height - 1)
    np.add.at(light, (y, x), colours / 255)
    # a few thousand fragments are seen one by one, a hundred thousand as weather
    grain = float(np.clip(3.8 - 0.7 * math.log10(max(len(spot), 1) / 300), 1.0, 3.8))
    seen = np.stack(_planes(light, grain), axis=2) * 2 * math.pi * grain**2 * 0.8
    level = seen.max(axis=2, keepdims=True)
    lit = level[level > 0.05]
    exposed = 1.0 / max(1.0, float(np.quantile(lit, 0.9)) / 1.4) if lit.size else 1.0
    # the brightest channel is toned and the others follow: what is dense keeps its hue
    seen *= (1 - np.exp(-exposed * level)) / np.maximum(level, 1e-6)
    coarse = light.reshape(height // 4, 4, width // 4, 4, 3).sum((1, 3))
    planes = [Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC) for plane in _planes(coarse, GLOW / 4)]
    glow = np.stack([np.asarray(plane) for plane in planes], axis=2) / 16
    glow *= 0.5 / max(float(glow.max()), 1e-9) * min(1.0, len(spot) / 60 + 0.3)
    toned = 1 - (1 - seen) * (1 - np.maximum(glow, 0))
    water = np.array(WATER, np.float32) / 255
    return Image.fromarray(np.round(255 * (water + (1 - water) * toned * 0.92)).clip(0, 255).astype(np.uint8))


def _planes(light: NDArray[np.float32], radius: float) -> list[NDArray[np.float32]]:
    """Red, green and blue, blurred."""
    return [_gauss(np.ascontiguousarray(light[..., c]), radius) for c in range(3)]


def _gauss(plane: NDArray[np.float32], radius: float) -> NDArray[np.float32]:
    """A Gaussian blur along both axes."""
    reach = math.ceil(3 * radius)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / radius) ** 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    for axis in (0, 1):
        length = plane.shape[axis] + 2 * reach
        spectrum = np.fft.rfft(plane, length, axis=axis)
        shape = [1, 1]
        shape[axis] = -1
        spectrum *= np.fft.rfft(kernel, length).reshape(shape)
        plane = np.fft.irfft(spectrum, length, axis=axis).take(range(reach, length - reach), axis).astype(np.float32)
    return np.maximum(plane, 0)


def _room(
    box: tuple[float, float, float, float], taken: list[tuple[float, float, float, float]], size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """The nearest place at which a name stands on no other one and inside the picture."""
    width, height = box[2] - box[0] + 16, box[3] - box[1] + 12
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    best = None
    for ring in range(60):
        for turn in range(max(1, 6 * ring)):
            angle = 2 * math.pi * turn / max(1, 6 * ring)
            at_x = min(max(x + 13 * ring * math.cos(angle), MARGIN / 2 + width / 2), size[0] - MARGIN / 2 - width / 2)
            at_y = min(max(y + 8 * ring * math.sin(angle), 20 + height / 2), size[1] - FOOT - height / 2)
            best = (at_x - width / 2, at_y - height / 2, at_x + width / 2, at_y + height / 2)
            if not any(best[0] < b[2] and b[0] < best[2] and best[1] < b[3] and b[1] < best[3] for b in taken):
                return best
    assert best is not None
    return best


def _label(image: Image.Image, at: tuple[float, float], text: str, font: Font, ink: tuple[int, int, int]) -> None:
    """A name with the water a little darker behind it, so that it is read over any grains."""
    shade = Image.new("L", image.size, 0)
    ImageDraw.Draw(shade).text(at, text, 255, font, anchor="mm", stroke_width=5)
    box = shade.getbbox()
    if box is None:
        return
    wide = (max(0, box[0] - 24), max(0, box[1] - 24), min(image.width, box[2] + 24), min(image.height, box[3] + 24))
    soft = shade.crop(wide).filter(ImageFilter.GaussianBlur(7)).point(lambda level: min(255, level * 2) * 3 // 4)
    image.paste(WATER, wide, soft)
    ImageDraw.Draw(image).text(at, text, ink, font, anchor="mm")


def _dim(colour: NDArray[np.float32], much: float) -> tuple[int, int, int]:
    red, green, blue = (int(much * c + (1 - much) * w) for c, w in zip(colour, WATER, strict=True))
    return red, green, blue


def _light(colour: NDArray[np.float32]) -> tuple[int, int, int]:
    red, green, blue = (int(0.42 * c + 0.58 * f) for c, f in zip(colour, FOAM, strict=True))
    return red, green, blue


def told(name: str, number: int) -> str:
    """A name as it can be drawn here: without a comma, which fonts of one script may lack; where no font has its
    letters, the number that `pedesis pulp` lists it by."""
    if not _odd(name):
        return name
    return name.replace(", ", "  ") if _system_font(_odd(name)) else str(number + 1)


def _odd(text: str) -> str:
    """The letters of a text that Pillow's own font may lack."""
    return "".join(sorted({char for char in text if ord(char) > 0x24F and char.isalpha()}))


def font_for(text: str, px: int) -> Font:
    """A font that has the letters of a text: Pillow's own for Latin, else one of the system's that has them all."""
    found = _system_font(_odd(text)) if _odd(text) else None
    return ImageFont.truetype(found, px) if found else ImageFont.load_default(px)


@lru_cache(maxsize=256)
def _system_font(letters: str) -> str | None:
    """The file of a font that has all these letters; None where fontconfig knows of none, or is not there."""
    if shutil.which("fc-list") is None:
        return None
    asked = ["fc-list", ":charset=" + " ".join(f"{ord(char):x}" for char in letters[:64]), "file"]
    try:
        found = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return None
    files = [line.rstrip(" :") for line in found]
    files.sort(key=lambda file: ("Sans" not in file, "Regular" not in file and "-" in file, "Mono" in file, file))
    for file in files:
        with contextlib.suppress(OSError):  # a bitmap font, or one that is gone
            ImageFont.truetype(file, NAMED_PX)
            return file
    return None
