"""The built-in model as it is shipped: a plain diffusers folder that dreams, and is small enough."""

import json
from itertools import pairwise

import numpy as np
import torch

from engine.dreamer.load import Dreamer
from engine.dreamer.spec import DreamSpec
from engine.play.shows import load_show
from engine.show.paths import house_model_dir
from engine.walk.waypoint import Point, Waypoint


def test_plain_diffusers_loads_it_and_dreams_in_colour() -> None:
    from diffusers import DiffusionPipeline

    pipe = DiffusionPipeline.from_pretrained(house_model_dir())
    pipe.set_progress_bar_config(disable=True)

    def dream(prompt: str) -> np.ndarray:
        g = torch.Generator().manual_seed(3)
        return pipe(
            prompt, num_inference_steps=4, guidance_scale=1.0, height=256, width=256, generator=g, output_type="np"
        ).images[0]

    red, blue = dream("a sheet of red paper").mean((0, 1)), dream("a sheet of blue paper").mean((0, 1))
    assert red[0] > red[2] + 0.15 and blue[2] > blue[0] + 0.1


def test_it_is_safetensors_of_at_most_40_mb_with_a_card() -> None:
    files = [f for f in house_model_dir().rglob("*") if f.is_file()]
    assert sum(f.stat().st_size for f in files) <= 40e6
    assert not [f for f in files if f.suffix in (".bin", ".pt", ".ckpt", ".py")]
    assert "licence" in (house_model_dir() / "README.md").read_text().lower()
    assert json.loads((house_model_dir() / "model_index.json").read_text())["_class_name"] == "StableDiffusionPipeline"


def test_the_house_show_walks_in_it_without_a_jump() -> None:
    show = load_show("house")
    dreamer = Dreamer(DreamSpec.from_show(show))
    even = (1 / len(show.materials),) * len(show.materials)
    walk = [dreamer.dream(Waypoint(0.0, 0, (Point(7, s, 0.0, 1.0),), even)) for s in np.arange(0, 0.5, 0.05)]
    assert walk[0].shape == (show.model.height, show.model.width, 3)
    steps = [np.abs(b.astype(int) - a).mean() for a, b in pairwise(walk)]
    assert min(steps) > 0.2 and max(steps) < 3 * float(np.median(steps))
