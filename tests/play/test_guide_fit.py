"""Pictures from outside in the model's size: the right way up, on grey, whatever their size, depth and colours."""

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, ImageCms

from engine.play.guide_fit import Fit, GuideError, fitted, frame_picture, open_picture, small_file

RED, GREEN, BLUE, GREY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)
FIT = Fit(64, 32)


def written(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def halves(left: tuple[int, ...], right: tuple[int, ...], size: tuple[int, int] = (64, 32)) -> Image.Image:
    image = Image.new("RGB" if len(left) == 3 else "RGBA", size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


def near(pixel: Any, colour: tuple[int, ...], within: int = 4) -> bool:
    return bool(np.abs(np.asarray(pixel).astype(int) - colour).max() <= within)


def test_cover_crops_contain_draws_the_edges_out_and_mirror_turns_round() -> None:
    square = halves(RED, BLUE, (64, 64))
    square.paste(GREEN, (0, 0, 64, 8))  # which covering crops off
    covered = fitted(square, FIT)
    assert covered.shape == (32, 64, 3) and covered.dtype == np.uint8
    assert near(covered[2, 2], RED) and near(covered[16, 60], BLUE)
    whole = fitted(square, Fit(64, 32, "contain"))
    assert near(whole[1, 32], GREEN) and near(whole[20, 0], RED) and near(whole[20, 63], BLUE)
    assert near(fitted(square, Fit(64, 32, mirror=True))[16, 2], BLUE)


@pytest.mark.parametrize("how", ["cover", "contain"])
@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (3, 2), (16384, 16)])
def test_every_shape_has_a_fit(size: tuple[int, int], how: str) -> None:
    pixels = fitted(Image.new("RGB", size, RED), Fit(64, 32, how))
    assert pixels.shape == (32, 64, 3) and near(pixels.reshape(-1, 3), RED)


def test_a_photograph_of_16k_is_read_small() -> None:
    image = Image.new("L", (16384, 16384), 255)
    image.paste(60, (0, 0, 8192, 16384))
    found = open_picture(written(image, "JPEG", quality=50), FIT)
    assert max(found.size) <= 4096
    pixels = fitted(found, FIT)
    assert near(pixels[16, 5], (60, 60, 60)) and near(pixels[16, 60], (255, 255, 255))


def test_what_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(GuideError, match="more than 268 million pixels"):
        open_picture(b"P5 40000 40000 255\n")


def test_exif_turns_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    upright = open_picture(written(halves(RED, BLUE), "JPEG", exif=exif, quality=95, subsampling=0))
    assert upright.size == (32, 64)
    assert near(np.asarray(upright)[5, 16], RED, 8) and near(np.asarray(upright)[58, 16], BLUE, 8)


def test_transparency_is_grey_and_its_hidden_colour_does_not_show() -> None:
    image = open_picture(written(halves((*RED, 255), (*GREEN, 0), (640, 320))))
    pixels = fitted(image, FIT).astype(int)
    assert near(pixels[16, 3], RED) and near(pixels[16, 60], GREY)
    assert (pixels[..., 1] <= 130).all(), "green bleeds in"
    palette = open_picture(written(halves((*RED, 255), (0, 0, 0, 0)).convert("P"), "GIF", transparency=0))
    assert fitted(palette, FIT).shape == (32, 64, 3)


def test_other_depths_and_colours() -> None:
    deep = Image.fromarray(np.full((32, 64), 40000, np.uint16))
    assert near(fitted(open_picture(written(deep)), FIT)[5, 5], (156, 156, 156))
    assert near(fitted(open_picture(written(Image.new("1", (64, 32), 1))), FIT)[5, 5], (255, 255, 255))
    ink = open_picture(written(Image.new("CMYK", (64, 32), (0, 255, 255, 0)), "TIFF"))
    assert fitted(ink, FIT)[5, 5, 0] > 200 > 60 > fitted(ink, FIT)[5, 5, 1]
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert near(fitted(open_picture(written(halves(RED, BLUE), icc_profile=profile)), FIT)[5, 5], RED)
    broken = written(halves(RED, BLUE), icc_profile=b"nonsense")
    assert near(fitted(open_picture(broken), FIT)[5, 5], RED)


@pytest.mark.parametrize(
    "data", [b"", b"nothing of the kind", written(halves(RED, BLUE))[:60], b"%!PS-Adobe-3.0 EPSF-3.0\n"]
)
def test_what_is_no_picture_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(GuideError, match="cannot be read as a picture"):
        open_picture(data)


def test_what_is_kept_of_a_camera_is_what_steered_to_the_last_bit() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (32, 64, 3), np.uint8)
    pixels, file = small_file(noise)
    assert len(file) < noise.size and np.abs(pixels.astype(int) - noise).mean() < 60
    assert np.array_equal(fitted(open_picture(file), FIT), pixels)


def test_frames_are_brought_to_size_with_their_alpha_and_the_shape_of_their_pixels() -> None:
    clear = np.zeros((320, 640, 4), np.uint8)
    clear[:, :320] = (*RED, 255)
    pixels = fitted(frame_picture(av.VideoFrame.from_ndarray(clear, "rgba"), FIT), FIT)
    assert near(pixels[16, 5], RED) and near(pixels[16, 60], GREY)
    narrow = av.VideoFrame.from_ndarray(np.asarray(halves(RED, BLUE, (32, 32))), "rgb24")
    assert frame_picture(narrow, FIT, aspect=2.0).size == (64, 32)


def video(path: Path, frames: list[tuple[float, tuple[int, int, int]]], size: tuple[int, int] = (64, 32)) -> Path:
    """A video whose frames come at those seconds, each with its left half of that colour and the right one black."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=30, options={"crf": "4", "bf": "0", "g": "8"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv444p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 600)
        for time_s, colour in frames:
            frame = av.VideoFrame.from_ndarray(np.asarray(halves(colour, (0, 0, 0), size)), "rgb24")
            frame.pts, frame.time_base = round(time_s * 600), Fraction(1, 600)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def turn(path: Path, degrees: int) -> Path:
    """Says in an MP4 that its picture is to be turned clockwise."""
    sine, cosine = {0: (0, 1), 90: (1, 0), 180: (0, -1), 270: (-1, 0)}[degrees]
    matrix = [cosine << 16, sine << 16, 0, -sine << 16, cosine << 16, 0, 0, 0, 1 << 30]
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = b"".join(number.to_bytes(4, "big", signed=True) for number in matrix)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_video_taken_with_the_camera_turned_stands_upright(tmp_path: Path, degrees: int) -> None:
    path = turn(video(tmp_path / "a.mp4", [(0.0, RED), (0.1, RED)]), degrees)
    fit = Fit(32, 64) if degrees != 180 else FIT
    with av.open(str(path)) as file:
        pixels = fitted(frame_picture(next(file.decode(video=0)), fit), fit)
    red = {90: (5, 16), 180: (16, 60), 270: (60, 16)}[degrees]
    dark = {90: (60, 16), 180: (16, 5), 270: (5, 16)}[degrees]
    assert near(pixels[red], RED, 12) and near(pixels[dark], (0, 0, 0), 12)
