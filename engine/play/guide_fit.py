"""Pictures from outside, brought to the size that a model dreams in: any file or frame, the right way up.

    fit = Fit(448, 256, "cover", mirror=False)
    fitted(open_picture(file), fit)             # (256, 448, 3) uint8
    fitted(frame_picture(frame, fit), fit)      # of a video or a camera

A pure function of the content. Any thread that may take its time; never the stage's.
"""

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image  # elsewhere inside functions: it costs a tenth of a second of the first picture's budget

MOST_PIXELS = 1 << 28  # 16384 x 16384
GREY = (128, 128, 128)  # behind what is transparent: neither light nor dark steers there
ROOM = 2  # how much larger than asked a frame is before the fine filter: no more is seen of it
QUALITY = 90  # of the JPEG that a camera's picture goes through

# Without those that another program is started for, such as PostScript.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "JPEG2000", "PPM", "TGA")

Picture = NDArray[np.uint8]


class GuideError(Exception):
    """A picture, or a source of pictures, that cannot be had: one clause, such as "there is no such file"."""


@dataclass(frozen=True)
class Fit:
    """The size in pixels; whether a picture covers it and is cropped, or is contained whole; turned left to right."""

    width: int
    height: int
    how: str = "cover"
    mirror: bool = False


def open_picture(data: bytes | Any, fit: Fit | None = None) -> "Image.Image":
    """A picture file's content, or an open file, as its maker sees it: turned as EXIF says, in the colours of its
    profile, with its transparency. fit: no more of it is read than that needs. Raises GuideError."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS  # the library's own limit is below what artists scan, and is one for all files
    try:
        Image.init()  # all formats, once
        known = [name for name in FORMATS if name in Image.OPEN]
        image = Image.open(io.BytesIO(data) if isinstance(data, bytes) else data, formats=known)
        if image.width * image.height > MOST_PIXELS:
            raise Image.DecompressionBombError
        if fit is not None:  # a JPEG of 16k is then read at an eighth
            side = ROOM * max(fit.width, fit.height)
            image.draft(None, (side, side))
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return _in_srgb(image)
    except UnidentifiedImageError:
        raise GuideError("it cannot be read as a picture") from None
    except Image.DecompressionBombError:
        raise GuideError(f"it has more than {MOST_PIXELS / 1e6:.0f} million pixels") from None
    except Exception as fault:  # a damaged picture is met with errors of every kind
        raise GuideError(f"it cannot be read as a picture ({_said(fault)})") from None


def frame_picture(frame: Any, fit: Fit, aspect: float = 1.0) -> "Image.Image":
    """A frame of PyAV's as a picture, turned as it says. aspect: how much wider than high a pixel is."""
    from PIL import Image

    width, height = max(1.0, frame.width * aspect), float(frame.height)
    turned = round((getattr(frame, "rotation", 0) or 0) / 90) % 4  # counter-clockwise
    wide, high = (fit.height, fit.width) if turned % 2 else (fit.width, fit.height)
    scale = min(1.0, ROOM * max(wide / width, high / height))
    clear = any(component.is_alpha for component in frame.format.components) or frame.format.name == "pal8"
    kind = "rgba" if clear else "rgb24"
    small = frame.reformat(
        width=max(1, round(width * scale)),
        height=max(1, round(height * scale)),
        format=kind,
        interpolation="AREA" if scale < 1.0 else "BICUBIC",
    )
    return Image.fromarray(np.ascontiguousarray(np.rot90(small.to_ndarray(), turned)), "RGBA" if clear else "RGB")


def fitted(image: "Image.Image", fit: Fit) -> Picture:
    """The picture in that size, (height, width, 3). Transparent places are grey."""
    scale = max(fit.width / image.width, fit.height / image.height)
    if fit.how == "contain":
        scale = min(fit.width / image.width, fit.height / image.height)
    wide, high = min(fit.width / scale, image.width), min(fit.height / scale, image.height)  # of it, what is seen
    left, top = (image.width - wide) / 2, (image.height - high) / 2
    size = max(1, min(fit.width, round(wide * scale))), max(1, min(fit.height, round(high * scale)))
    seen = _opaque(image, size, (left, top, left + wide, top + high))
    pixels = np.array(seen)  # (h, w, 3)
    x, y = fit.width - pixels.shape[1], fit.height - pixels.shape[0]
    if x or y:
        pixels = np.pad(pixels, ((y // 2, y - y // 2), (x // 2, x - x // 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(pixels[:, ::-1] if fit.mirror else pixels)


def small_file(pixels: Picture) -> tuple[Picture, bytes]:
    """A picture as a small file has it, and that file: what is kept of a camera steers again to the last bit."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
    return np.array(Image.open(io.BytesIO(file.getvalue()))), file.getvalue()


def _opaque(image: "Image.Image", size: tuple[int, int], box: tuple[float, float, float, float]) -> "Image.Image":
    """That part of it in that size, RGB, on grey."""
    from PIL import Image

    if not image.has_transparency_data:
        image = image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")
        return image.resize(size, Image.Resampling.LANCZOS, box, reducing_gap=3.0).convert("RGB")
    # With transparency multiplied in, so that the colour of what is not seen does not bleed into what is.
    seen = image.convert("RGBA").convert("RGBa").resize(size, Image.Resampling.LANCZOS, box, reducing_gap=3.0)
    return Image.alpha_composite(Image.new("RGBA", size, (*GREY, 255)), seen.convert("RGBA")).convert("RGB")


def _in_srgb(image: "Image.Image") -> "Image.Image":
    """In the screen's colours and eight bits."""
    from PIL import Image, ImageCms

    if image.mode.startswith(("I;16", "I")):  # sixteen bits of grey
        grey = np.asarray(image).astype(np.int64)
        return Image.fromarray((grey >> 8).clip(0, 255).astype(np.uint8))
    if image.mode == "F":
        return Image.fromarray((np.nan_to_num(np.asarray(image)) * 255).clip(0, 255).astype(np.uint8))
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        kind = "RGBA" if image.mode == "RGBA" else "RGB"
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=kind) or image
    except (ImageCms.PyCMSError, OSError, ValueError):  # a damaged profile: the colours are taken as they stand
        return image


def _said(fault: Exception) -> str:
    first = str(fault).strip().split("\n")[0]
    return first[:120] or type(fault).__name__
