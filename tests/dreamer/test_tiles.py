"""Decoding in tiles: as the whole picture, with no seam that an eye could find, and only where it is worth it."""

import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from engine.dreamer import models
from engine.dreamer.load import Dreamer
from engine.dreamer.spec import DreamSpec
from engine.dreamer.tiles import LARGEST_TILE, SMALLEST_TILE, decoder_bytes, pick_decode, spread, tile_px
from engine.show.specs import ModelSpec
from engine.walk.palette import Palette
from engine.walk.waypoint import Point, Waypoint
from tests import tiny_models

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' advice to themselves

GIB = 1 << 30


def decoded(vae: Any, width: int, height: int, cell_px: int) -> Tensor:
    """(3, H, W) in -1..1"""
    shape = (1, vae.config.latent_channels, height // cell_px, width // cell_px)
    latent = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        picture: Tensor = vae.decode(latent, return_dict=False)[0][0]
    return picture


@pytest.mark.parametrize(
    "wanted, need, size, how",
    [
        ("auto", 7 * GIB, (1024, 1024), "whole"),
        ("auto", 9 * GIB, (1024, 1024), "tiles"),
        ("auto", 9 * GIB, (512, 512), "whole"),  # small ones whatever is free
        ("whole", 99 * GIB, (1024, 1024), "whole"),
        ("tiles", 0, (64, 64), "tiles"),
    ],
)
def test_tiles_are_for_large_pictures_that_would_not_fit_unless_the_show_says(
    wanted: str, need: int, size: tuple[int, int], how: str
) -> None:
    assert pick_decode(wanted, need, 10 * GIB, *size) == how


@pytest.mark.parametrize(
    "size, tile",
    [((256, 256), None), ((320, 64), 256), ((1024, 576), 512), ((832, 448), 448), ((4096, 4096), 512)],
)
def test_a_tile_is_about_half_a_picture_within_bounds(size: tuple[int, int], tile: int | None) -> None:
    assert tile_px(*size) == tile and (tile is None or SMALLEST_TILE <= tile <= LARGEST_TILE)


def test_a_tiled_picture_is_the_whole_one_and_shows_no_seam() -> None:
    vae = AutoencoderKL.from_pretrained(models.find("house").path / "vae").eval()
    whole = decoded(vae, 384, 256, 16)
    assert spread(vae, 384, 256)
    tiled = decoded(vae, 384, 256, 16)
    assert not torch.equal(whole, tiled)
    assert 10 * torch.log10(4.0 / (whole - tiled).square().mean()) > 34  # dB
    steps = [(p[:, :, 1:] - p[:, :, :-1]).abs().mean((0, 1)) for p in (whole, tiled)]  # from each column to the next
    assert float((steps[1] / steps[0]).max()) < 1.15, "a column stands out where two tiles meet"


def test_a_decoder_of_another_kind_is_tiled_by_its_own_settings() -> None:
    vae = tiny_models.qwen().vae
    assert spread(vae, 1024, 576)
    assert (vae.tile_sample_min_height, vae.tile_sample_min_width) == (512, 512)
    assert (vae.tile_sample_stride_height, vae.tile_sample_stride_width) == (384, 384)


def test_tiny_decoders_tile_too() -> None:
    vae = tiny_models.tiny_decoder()
    whole = decoded(vae, 384, 256, 8)
    assert spread(vae, 384, 256) and vae.tile_latent_min_size == 32
    assert decoded(vae, 384, 256, 8).shape == whole.shape


def test_what_cannot_tile_or_is_one_tile_is_left_alone() -> None:
    assert not spread(SimpleNamespace(config=None), 1024, 1024)
    vae = tiny_models.vae((8, 8), 4, 1)
    assert not spread(vae, 256, 256) and not vae.use_tiling


class Alive(TorchDispatchMode):
    """How many bytes of tensors were alive at most."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor) and (place := out.untyped_storage().data_ptr()) not in self._seen:
            size = out.untyped_storage().nbytes()
            self._seen.add(place)
            self.now += size
            self.most = max(self.most, self.now)
            weakref.finalize(out, self._gone, place, size)
        return out

    def _gone(self, place: int, size: int) -> None:
        self._seen.discard(place)
        self.now -= size


def test_what_a_decoder_needs_is_about_what_is_alive_in_one() -> None:
    vae = tiny_models.vae((8, 16, 32, 32), 4, 1)
    with Alive() as alive:
        decoded(vae, 256, 128, 8)
    need = decoder_bytes(vae.config, 256, 128, 4)
    assert 0.5 * alive.most < need < 2.0 * alive.most


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save("sd", tmp_path_factory.mktemp("models") / "sd")


def dreamer(folder: Path, width: int, **model: Any) -> Dreamer:
    spec = ModelSpec(name=str(folder), dtype="float32", steps=1, **model)
    return Dreamer(DreamSpec(spec, Palette.of(["torn paper"]), width, 64))


def test_a_show_says_how_its_pictures_are_decoded(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    place = Waypoint(0.0, 0, (Point(3, 1.0, 0.1, 1.0),), (1.0,))
    whole, tiled = dreamer(folder, 320), dreamer(folder, 320, decode="tiles")
    assert whole.arithmetic.decode == "whole" and tiled.arithmetic.decode == "tiles"
    assert "in tiles" in tiled.described and "in tiles" not in whole.described
    a, b = whole.dream(place), tiled.dream(place)
    assert a.shape == b.shape == (64, 320, 3) and (a != b).any()
    assert dreamer(folder, 64, decode="tiles").arithmetic.decode == "whole" and not caplog.records
