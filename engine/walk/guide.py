"""Pictures from outside that steer the walk: what names them, and one giving way to the next.

    guide_hash(pixels)      # of exactly what steers: after it was brought to the model's size

Any process; no torch.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

HASH_LENGTH = 24  # hex digits; 96 bits, so that no two pictures of a show share one


def guide_hash(pixels: NDArray[np.uint8]) -> str:
    """The name of a picture by its content: HASH_LENGTH hex digits of the SHA-256 of its shape and bytes.

    pixels: (H, W, 3), the picture as it steers, already of the model's size.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise ValueError(f"a guide must be (H, W, 3) of uint8, got {pixels.shape} of {pixels.dtype}")
    digest = hashlib.sha256(f"{pixels.shape[0]}x{pixels.shape[1]}x3:".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()[:HASH_LENGTH]
