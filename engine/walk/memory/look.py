"""What a picture looks like, as a few numbers: alike pictures lie close. No network, so any model's pictures do.

    vector = look(pixels)                 # (LOOK,) float32
    nearest(looks, vector, 5)             # indices and distances of the five most alike
    thumbnail(pixels)                     # a small JPEG

Colour on a coarse grid and the directions of edges in each quarter, as in the gist of a scene (Oliva and Torralba
2001). Plain numpy; any thread.
"""

import io

import numpy as np
from numpy.typing import NDArray

GRID = 8  # cells a side
BINS = 6  # directions of edges
QUARTERS = 4  # a side
LOOK = GRID * GRID * 3 + QUARTERS * QUARTERS * BINS
EDGES = 2.0  # weight of edges beside colour, so that either tells a face in clouds from clouds
THUMB_PX = 192  # width of a thumbnail
_CHUNK = 8192  # rows compared at a time: the bank's vectors are kept in half precision, and widened here


def look(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W, 3) uint8 to (LOOK,) float32. The distance of two is about 0 (the same) to 1 (black and white)."""
    if pixels.ndim != 3 or pixels.shape[2] != 3 or min(pixels.shape[:2]) < 1:
        raise ValueError(f"a picture must be (H, W, 3), got {pixels.shape}")
    side = GRID * QUARTERS
    small = _means(pixels.astype(np.float32) / np.float32(255), side)  # (32, 32, 3)
    colour = small.reshape(GRID, QUARTERS, GRID, QUARTERS, 3).mean((1, 3))  # (8, 8, 3)
    light = small @ np.array([0.299, 0.587, 0.114], np.float32)  # (32, 32)
    down, right = np.gradient(light)
    strength = np.hypot(down, right)
    direction = np.floor((np.arctan2(down, right) % np.pi) / np.pi * BINS).astype(int) % BINS
    cells = side // QUARTERS
    edges = np.zeros((QUARTERS, QUARTERS, BINS), np.float32)
    for bin in range(BINS):
        of_bin = np.where(direction == bin, strength, 0.0).reshape(QUARTERS, cells, QUARTERS, cells)  # (4, 8, 4, 8)
        edges[:, :, bin] = of_bin.mean((1, 3))
    vector = np.concatenate([colour.ravel() / np.sqrt(colour.size), EDGES * edges.ravel()])
    return vector.astype(np.float32)


def colours(looks: NDArray[np.float16]) -> NDArray[np.uint8]:
    """(N, LOOK) to (N, 3), the mean colour of each picture, sRGB."""
    cells = looks[:, : GRID * GRID * 3].astype(np.float32).reshape(-1, GRID * GRID, 3)  # (N, 64, 3)
    mean = cells.mean(1) * np.float32(np.sqrt(GRID * GRID * 3) * 255)
    return np.clip(np.rint(mean), 0, 255).astype(np.uint8)


def _means(pixels: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """(H, W, 3) to (side, side, 3): the mean of each cell; of a small picture the nearest pixel."""
    height, width = pixels.shape[:2]
    rows, columns = (np.arange(side) * height // side, np.arange(side) * width // side)
    if height < side or width < side:
        return pixels[rows][:, columns]
    tall = np.add.reduceat(pixels, rows, 0) / np.diff(rows, append=height)[:, None, None]  # (side, W, 3)
    wide = np.add.reduceat(tall, columns, 1) / np.diff(columns, append=width)[None, :, None]  # (side, side, 3)
    return wide.astype(np.float32)


def distances(looks: NDArray[np.float16], vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """Euclidean distance of each of (N, LOOK) from (LOOK,), as (N,)."""
    found = np.empty(len(looks), np.float32)
    for at in range(0, len(looks), _CHUNK):
        gap = looks[at : at + _CHUNK].astype(np.float32) - vector
        found[at : at + _CHUNK] = np.sqrt(np.einsum("nd,nd->n", gap, gap))
    return found


def nearest(
    looks: NDArray[np.float16], vector: NDArray[np.float32], most: int
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Indices of the `most` most alike, the nearest first, and their distances."""
    far = distances(looks, vector)
    most = min(most, len(far))
    some = np.argpartition(far, most - 1)[:most] if most < len(far) else np.arange(len(far))
    order = some[np.argsort(far[some], kind="stable")]
    return order, far[order]


def thumbnail(pixels: NDArray[np.uint8], width_px: int = THUMB_PX) -> bytes:
    """A JPEG of at most width_px in width."""
    from PIL import Image  # not before the first memory: it costs a tenth of a second of the first picture's budget

    image = Image.fromarray(np.ascontiguousarray(pixels))
    if image.width > width_px:
        image = image.resize((width_px, max(1, round(image.height * width_px / image.width))), Image.Resampling.BOX)
    data = io.BytesIO()
    image.save(data, "JPEG", quality=82)
    return data.getvalue()


def opened(jpeg: bytes) -> NDArray[np.uint8]:
    """A thumbnail's pixels, (h, w, 3) uint8. Raises OSError for what is none."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))
