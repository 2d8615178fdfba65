"""A picture's lines: OpenCV's own, to the pixel, since ControlNets were trained with those."""

import hashlib

import numpy as np

from engine.dreamer.edges import edges


def test_lines_are_those_that_opencv_draws() -> None:
    """Numbers of cv2.Canny(pixels, 100, 200) of OpenCV 5.0, which need not be installed."""
    random = np.random.default_rng(5)
    patches = random.integers(0, 256, (12, 20, 3), np.uint8).repeat(7, 0).repeat(5, 1)
    patches = (patches * np.linspace(0.2, 1, patches.shape[1])[None, :, None]).astype(np.uint8)
    grain = random.integers(60, 190, (40, 56, 3), np.uint8)
    for pixels, count, digest in ((patches, 2113, "15d0d69776f40a2f"), (grain, 814, "c357a8d27c3f3c40")):
        lines = edges(pixels)
        assert lines.sum() == count
        assert hashlib.sha256(np.packbits(lines).tobytes()).hexdigest()[:16] == digest


def test_a_weak_line_stays_where_it_hangs_on_a_strong_one() -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, 16:] = 45  # a step whose gradient is 180: too weak to begin a line
    assert not edges(pixels).any()
    pixels[:4, 16:] = 120
    assert edges(pixels)[8:, 15:17].any(1).all()


def test_any_size_and_no_lines_at_all() -> None:
    for shape in ((1, 1, 3), (1, 9, 3), (2, 2, 3), (64, 48, 3)):
        for level in (0, 255):
            assert not edges(np.full(shape, level, np.uint8)).any()
