"""LoRAs: our pictures are the library's, at any strength, recorded or not, one or several, whatever trained them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline

from engine.dreamer.additions import Lora
from engine.dreamer.load import Dreamer
from engine.dreamer.spec import DreamSpec
from engine.show.specs import ModelSpec
from engine.walk.palette import Palette
from engine.walk.waypoint import Point, Waypoint
from tests import tiny_models
from tests.tiny_additions import save_lora

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' advice to themselves

PROMPT = "torn paper"
Folder = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    root = tmp_path_factory.mktemp("models")
    return lambda kind: root / kind if (root / kind).exists() else tiny_models.save(kind, root / kind)


def lora_for(path: Path, name: str = "clay", **options: Any) -> Path:
    file = path.parent / f"{path.name}-{name}.safetensors"
    return file if file.exists() else save_lora(tiny_models.BUILDERS[path.name](), file, **options)


def waypoint(*loras: float, **more: Any) -> Waypoint:
    return Waypoint(0.0, 0, (Point(3, 1.0, 0.1, 1.0),), (1.0,), loras=loras, **more)


def dreamer(path: Path, *loras: Lora, film: bool = False, **model: Any) -> Dreamer:
    spec = ModelSpec(name=str(path), **({"dtype": "float32", "steps": 2} | model))
    return Dreamer(DreamSpec(spec, Palette.of([PROMPT]), 64, 64, loras=loras, film=film))


def library(path: Path, ours: Dreamer, files: dict[Path, float], text: dict[Path, float] | None = None) -> np.ndarray:
    """The library's own picture with these LoRAs at these strengths; text: other strengths for the words."""
    without = ("text_encoder_3", "tokenizer_3", "feature_extractor", "image_encoder") if path.name == "sd3" else ()
    pipe = DiffusionPipeline.from_pretrained(path, local_files_only=True, **dict.fromkeys(without))
    pipe.set_progress_bar_config(disable=True)
    for n, file in enumerate(files):
        pipe.load_lora_weights(str(file.parent), weight_name=file.name, adapter_name=f"a{n}")
    names = [f"a{n}" for n in range(len(files))]

    def set_to(strengths: dict[Path, float]) -> None:
        if names:
            pipe.set_adapters(names, list(strengths.values()))

    m = ours.spec.model
    set_to(text or files)
    encoded = pipe.encode_prompt(**{n: v for n, v in {
        "prompt": PROMPT, "prompt_2": PROMPT, "prompt_3": PROMPT, "device": "cpu", "num_images_per_prompt": 1,
        "do_classifier_free_guidance": m.guidance > 1, "negative_prompt": m.negative,
    }.items() if n in pipe.encode_prompt.__code__.co_varnames})  # fmt: skip
    answers = ["prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds"]
    if path.name.startswith("flux"):
        answers = ["prompt_embeds", "pooled_prompt_embeds"]
    set_to(files)
    noise = ours._sampler.noise(waypoint()).clone()
    if path.name.startswith("flux"):
        noise = pipe._pack_latents(noise, 1, *noise.shape[1:])
    given = {n: e for n, e in zip(answers, encoded, strict=False) if e is not None}
    with torch.no_grad():
        made = pipe(latents=noise, num_inference_steps=m.steps, guidance_scale=m.guidance, width=64, height=64,
                    output_type="np", generator=torch.Generator().manual_seed(0), **given)  # fmt: skip
    return np.asarray(made.images[0]) * 255


def far(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).max())


@pytest.mark.parametrize("kind", ["sd", "sdxl", "sd3", "flux"])
@pytest.mark.parametrize("style", ["peft", "kohya"])
def test_a_lora_at_any_strength_is_the_librarys(folder: Folder, kind: str, style: str) -> None:
    if style == "kohya" and kind in ("sd3", "flux"):
        pytest.skip("other trainers' names for these are the library's to convert, and need real shapes")
    path = folder(kind)
    file = lora_for(path, style, style=style)
    ours = dreamer(path, Lora("clay", str(file), 0.8), guidance=2.0 if kind == "sd" else 1.0)
    plain = library(path, ours, {})
    for strength in (0.8, -0.5):
        theirs = library(path, ours, {file: strength}, {file: 0.8})
        assert far(ours.dream(waypoint(strength)), theirs) < 2
        assert far(theirs, plain) > 8
    assert far(ours.dream(waypoint()), library(path, ours, {file: 0.8})) < 2  # one that says nothing of LoRAs
