"""Decoding in tiles: the picture in pieces that overlap, where the whole would not fit in memory.

    need = decoder_bytes(vae.config, 2048, 1152, itemsize=2)
    if pick_decode("auto", need, free) == "tiles" and tile_px(2048, 1152): spread(vae, 2048, 1152)

Dreamer process; torch. A decoder needs far more memory than the network, and the more the larger the picture; in tiles
as much as one tile does, and some more time. The library's own tiles are as large as the pictures that a decoder was
trained on, which at just that size changes nothing: so their size is set here, by the picture's alone. Neighbouring
tiles are blended over a quarter of their width. Slicing, which the library has too, is for several pictures at once,
and ours come one by one.
"""

import inspect
import math
from typing import Any

LARGE_PX = 512 * 512  # pictures up to this size are decoded whole, whatever is free
LARGEST_TILE, SMALLEST_TILE = 512, 256  # pixels a side
ROOM = 0.8  # of the memory that is free, which a decoder may need
_KEPT = 4  # pictures as wide as the decoder's last level but one that are alive at its widest


def pick_decode(wanted: str, need: int, free: int, width: int, height: int) -> str:
    """whole or tiles. auto: tiles for a large picture whose decoding needs more memory than there is room for."""
    if wanted != "auto":
        return wanted
    return "tiles" if width * height > LARGE_PX and need > ROOM * free else "whole"


def decoder_bytes(config: Any, width: int, height: int, itemsize: int) -> int:
    """What lies in memory, at most, between the layers of a decoder while it makes a picture of that size.

    Its last levels are the largest, at the picture's own size. Tested against what was alive in a decoder of that kind.
    """
    names = ("decoder_block_out_channels", "block_out_channels", "encoder_block_out_channels")
    levels = next((levels for n in names if (levels := getattr(config, n, None))), None) or (128, 256)
    channels = max(levels[:2])  # the last level but one is doubled to the picture's size before it is made narrower
    return _KEPT * channels * width * height * itemsize


def tile_px(width: int, height: int) -> int | None:
    """How large a tile is, a side, for a picture of that size; None for a picture that would be one tile."""
    longer = max(width, height)
    tile = min(LARGEST_TILE, max(SMALLEST_TILE, math.ceil(longer / 2 / 64) * 64))
    return tile if longer > tile else None


def spread(vae: Any, width: int, height: int) -> bool:
    """Has a decoder work in tiles; False, and it is as it was, for one that cannot or a picture that is too small."""
    tile = tile_px(width, height)
    if tile is None or not hasattr(vae, "enable_tiling"):
        return False
    if "tile_sample_min_height" in (takes := inspect.signature(vae.enable_tiling).parameters):
        step = tile * 3 // 4
        given = dict.fromkeys(("tile_sample_min_height", "tile_sample_min_width"), tile)
        given |= dict.fromkeys(("tile_sample_stride_height", "tile_sample_stride_width"), step)
        vae.enable_tiling(**{n: v for n, v in given.items() if n in takes})
        return True
    if not hasattr(vae, "tile_latent_min_size"):
        return False
    vae.enable_tiling()
    vae.tile_sample_min_size, vae.tile_latent_min_size = tile, max(1, tile // _cell_px(vae))
    return True


def _cell_px(vae: Any) -> int:
    """Pixels that a cell becomes, each way."""
    levels = getattr(vae.config, "block_out_channels", None)
    return int(getattr(vae, "spatial_scale_factor", 0)) or (2 ** (len(levels) - 1) if levels else 8)
