"""Text encoders that come and go: the same words give the same pictures, and memory is free in between."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engine.dreamer import encoders
from engine.dreamer.additions import Lora
from engine.dreamer.encoders import Readers, are_large, hollow, picks_processor, picks_reread
from engine.dreamer.load import Dreamer
from engine.dreamer.prompts import encode
from engine.dreamer.spec import DreamSpec
from engine.show.specs import ModelSpec
from engine.walk.palette import Palette
from engine.walk.waypoint import Point, Waypoint
from tests import tiny_models
from tests.tiny_additions import save_lora

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' advice to themselves

FIRST, SECOND = Palette.of(["torn paper"]), Palette.of(["a whale"])


def waypoint(palette: Palette) -> Waypoint:
    return Waypoint(0.0, 0, (Point(3, 1.0, 0.1, 1.0),), (1.0,), palette=palette.id)


def place(**sizes: int) -> Any:
    """A model whose parts are so large."""
    return SimpleNamespace(components=dict.fromkeys(sizes), part_bytes=lambda name: sizes[name])


LARGE = place(text_encoder=6, text_encoder_2=2, transformer=10, vae=2)
SMALL = place(text_encoder=1, unet=18, vae=1)


@pytest.mark.parametrize(
    "wanted, of, free, rereads",
    [
        ("auto", LARGE, 26, False),
        ("auto", LARGE, 24, True),
        ("auto", SMALL, 2, False),  # it would not help
        ("keep", LARGE, 2, False),
        ("reread", SMALL, 99, True),
    ],
)
def test_encoders_are_read_again_where_all_does_not_fit_unless_the_show_says(
    wanted: str, of: Any, free: int, rereads: bool
) -> None:
    assert picks_reread(wanted, of, free) is rereads


def test_what_is_large_and_what_fits_on_a_card() -> None:
    assert encoders.sizes(LARGE) == (8, 12) and are_large(LARGE) and not are_large(SMALL)
    assert picks_processor(LARGE, 22) and not picks_processor(LARGE, 23)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for kind in ("sd", "flux"):
        tiny_models.save(kind, root / kind)
    return root


def dreamer(path: Path, *loras: Lora, **model: Any) -> Dreamer:
    spec = ModelSpec(name=str(path), dtype="float32", steps=2, **model)
    return Dreamer(DreamSpec(spec, FIRST, 64, 64, loras=loras))


@pytest.mark.parametrize("kind", ["sd", "flux"])
def test_words_read_again_give_the_same_pictures(models: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    kept, again = (dreamer(models / kind, encoders=how) for how in ("keep", "reread"))
    for each in (kept, again):
        each.take_palette(SECOND)
        each.take_palette(FIRST)
    for palette in (FIRST, SECOND):
        assert np.array_equal(kept.dream(waypoint(palette)), again.dream(waypoint(palette)))
    assert (kept.dream(waypoint(FIRST)) != kept.dream(waypoint(SECOND))).any() and not caplog.records


def test_they_are_in_memory_only_while_words_are_read(models: Path) -> None:
    pipe, read = tiny_models.flux(), []

    def fresh(name: str) -> torch.nn.Module:
        read.append(name)
        encoder: torch.nn.Module = getattr(tiny_models.flux(), name)
        return encoder

    readers = Readers(pipe, torch.device("cpu"), fresh)
    first = readers.with_them(lambda: (readers.alive, encode(pipe, ["a whale"], "", False)))
    assert first[0] == 2 and readers.alive == 0 and not read, "what is there is not read"
    second = readers.with_them(lambda: (readers.alive, encode(pipe, ["a whale"], "", False)))
    assert second[0] == 2 and readers.alive == 0 and read == ["text_encoder", "text_encoder_2"]
    one, other = first[1].mix([1.0]), second[1].mix([1.0])
    assert one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def test_encoders_that_stay_are_never_read(models: Path) -> None:
    pipe = tiny_models.sd()
    readers = Readers(pipe, torch.device("cpu"))
    readers.with_them(lambda: None)
    assert readers.alive == 1 and type(pipe) is type(tiny_models.sd())


def test_words_are_read_on_the_processor_while_the_network_is_elsewhere() -> None:
    """The meta device stands in for a card."""
    card, plain = torch.device("meta"), encode(tiny_models.flux(), ["a whale"], "", False).mix([1.0])
    pipe = tiny_models.flux()
    pipe.transformer.to(card)
    pipe.vae.to(card)
    readers = Readers(pipe, card, on_processor=True)
    where, words = readers.with_them(lambda: (pipe._execution_device, encode(pipe, ["a whale"], "", False)))
    assert where.type == "cpu" and pipe._execution_device == pipe.device == card and readers.alive == 2
    assert all(torch.equal(t, plain[n]) for n, t in words.mix([1.0]).items())


def test_a_file_that_is_gone_costs_the_new_words_and_not_the_show(models: Path, tmp_path: Path) -> None:
    path = Path(shutil.copytree(models / "sd", tmp_path / "sd"))
    ours = dreamer(path, encoders="reread")
    before = ours.dream(waypoint(FIRST))
    aside = (path / "text_encoder").rename(path / "aside")
    with pytest.raises(Exception, match="text_encoder"):
        ours.take_palette(SECOND)
    assert np.array_equal(ours.dream(waypoint(FIRST)), before)
    aside.rename(path / "text_encoder")
    ours.take_palette(SECOND)
    assert (ours.dream(waypoint(SECOND)) != before).any()


def test_encoders_with_a_lora_stay_and_that_is_said(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = save_lora(tiny_models.sd(), models / "clay.safetensors")
    lora = Lora("clay", str(file), 1.0)
    ours, kept = (dreamer(models / "sd", lora, encoders=how) for how in ("reread", "keep"))
    assert [r.getMessage() for r in caplog.records] == [
        "text encoders stay in memory, as they carry LoRAs or embeddings of the show"
    ]
    ours.take_palette(SECOND)
    kept.take_palette(SECOND)
    assert np.array_equal(ours.dream(waypoint(SECOND)), kept.dream(waypoint(SECOND)))


def test_a_hollow_network_has_a_shape_and_takes_no_memory(models: Path) -> None:
    network = hollow(models / "flux" / "transformer", "diffusers", "FluxTransformer2DModel", torch.bfloat16)
    tensor = next(network.parameters())
    assert tensor.is_meta and tensor.dtype == torch.bfloat16 and network.config.in_channels == 16  # type: ignore[union-attr]
