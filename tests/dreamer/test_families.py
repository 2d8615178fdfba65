"""Today's families: our picture is the one that the library's own pipeline makes; what cannot be walked says why."""

import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline

from engine.dreamer.generic import PipelineSampler
from engine.dreamer.load import Dreamer
from tests import tiny_models
from tests.dreamer.test_dreamer import assert_same, dreamer, waypoint

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' advice to themselves

Folder = Callable[[str], Path]
KINDS = ["sd35", "flux2-klein", "flux2-klein-distilled", "sana", "sana-sprint", "krea2", "prx", "kandinsky3"]
HEIGHT = {"kandinsky3": 128}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    root = tmp_path_factory.mktemp("models")
    return lambda kind: root / kind if (root / kind).exists() else tiny_models.save(kind, root / kind)


def theirs(path: Path, ours: Dreamer, text: str) -> np.ndarray:
    """What the library's own pipeline makes of the same noise, and of words that it encodes itself."""
    without = ("text_encoder_3", "tokenizer_3") if path.name == "sd35" else ()
    pipe = DiffusionPipeline.from_pretrained(path, local_files_only=True, **dict.fromkeys(without))
    pipe.set_progress_bar_config(disable=True)
    assert isinstance(ours._sampler, PipelineSampler)
    m = ours.spec.model
    known = inspect.signature(type(pipe).__call__).parameters
    options = {"negative_prompt": m.negative, "use_resolution_binning": False, "clean_caption": False}
    options |= {"intermediate_timesteps": None, "guidance_scale": m.guidance}
    if path.name == "krea2" and m.guidance == 1:
        options["guidance_scale"] = 0.0  # its formula has none at 0
    made = pipe(
        prompt=text,
        latents=ours._sampler._packed(ours._sampler.noise(waypoint())),
        width=ours.spec.width,
        height=ours.spec.height,
        num_inference_steps=m.steps,
        generator=torch.Generator().manual_seed(0),
        output_type="np",
        **{n: v for n, v in options.items() if n in known},
    )
    return made.images[0] * 255


@pytest.mark.parametrize(("kind", "guidance"), [*((kind, 4.0) for kind in KINDS), ("krea2", 1.0), ("sana", 1.0)])
def test_a_family_dreams_what_its_own_pipeline_makes_of_the_words(folder: Folder, kind: str, guidance: float) -> None:
    # FLUX.2 klein takes no negative prompt as words, and ours as numbers
    options = {"height": HEIGHT.get(kind, 96), "guidance": guidance, "negative": "" if "klein" in kind else "mud"}
    ours = dreamer(folder(kind), prompts=("torn paper",), **options)
    assert_same(ours.dream(waypoint(weights=(1.0,))), theirs(folder(kind), ours, "torn paper"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_family_mixes_materials_of_any_length_and_moves_a_little_at_a_time(folder: Folder, kind: str) -> None:
    ours = dreamer(folder(kind), height=64)
    here = ours.dream(waypoint()).astype(int)
    near, far = waypoint(weights=(0.21, 0.49, 0.3)), waypoint(9.0, (1.0, 0.0, 0.0))
    assert np.abs(ours.dream(waypoint()) - here).max() == 0
    assert np.abs(ours.dream(far) - here).mean() > 0
    assert np.abs(ours.dream(near) - here).mean() < np.abs(ours.dream(far) - here).mean() / 5
