"""Every scheduler that the installed diffusers has: our picture is its pipeline's, or one sentence says why not."""

import copy
import importlib.util
from collections.abc import Iterator
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from engine.dreamer.models import ModelError
from engine.dreamer.palettes import Palettes
from engine.dreamer.prompts import encode
from engine.dreamer.sampler import Parts, Settings, UNetSampler
from engine.dreamer.schedule import pick_scheduler
from engine.walk.waypoint import Point, Waypoint
from tests import tiny_models

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' advice to themselves

PROMPT = "torn paper"
WAYPOINT = Waypoint(0.0, 0, (Point(3, 1.0, 0.1, 1.0),), (1.0,))
STEPS = 4
NAMES = sorted(n for n in dir(diffusers) if n.endswith("Scheduler"))

_KIND = "is made for other kinds of models than this one; leave out"
REFUSED = {
    "AmusedScheduler": "needs settings that this model does not have (mask_token_id)",
    "BlockRefinementScheduler": _KIND,
    "CogVideoXDPMScheduler": _KIND,
    "DDPMWuerstchenScheduler": _KIND,
    "DiscreteDDIMScheduler": _KIND,
    "EntropyBoundScheduler": _KIND,
    "FlowMapEulerDiscreteScheduler": _KIND,
    "FlowMatchEulerDiscreteScheduler": _KIND,
    "FlowMatchHeunDiscreteScheduler": _KIND,
    "FlowMatchLCMScheduler": _KIND,
    "HeliosDMDScheduler": _KIND,
    "HeliosScheduler": _KIND,
    "KarrasVeScheduler": _KIND,
    "LTXEulerAncestralRFScheduler": _KIND,
    "MiniMaxH3Scheduler": _KIND,
    "PiflowScheduler": _KIND,
    "RFD4ProteinaScheduler": "needs settings that this model does not have (schedule_mode, noise_mode",
    "RePaintScheduler": _KIND,
    "SCMScheduler": _KIND,
    "ScoreSdeVeScheduler": _KIND,
    "UnCLIPScheduler": "cannot be set up for this model (UnCLIPScheduler only supports",
    "VQDiffusionScheduler": "needs settings that this model does not have (num_vec_classes)",
}
if importlib.util.find_spec("torchsde") is None:
    more = "needs another package; `pip install torchsde` installs it. Or leave out model.scheduler"
    REFUSED |= dict.fromkeys(("CosineDPMSolverMultistepScheduler", "DPMSolverSDEScheduler"), more)


@pytest.fixture(scope="module")
def pipe() -> Iterator[Any]:
    made = tiny_models.sd()
    made.set_progress_bar_config(disable=True)
    with torch.inference_mode():
        yield made


def test_the_guesses_on_the_way_end_in_the_picture_and_begin_as_the_noise(pipe: Any) -> None:
    parts = Parts(pipe.unet, pipe.vae, pick_scheduler("DDIMScheduler", pipe.scheduler), False)
    palettes = Palettes("", encode(pipe, [PROMPT], "", False))
    sampler = UNetSampler(parts, palettes, Settings(64, 64, STEPS, 1.0, 8))
    steps = sampler.steps(WAYPOINT, 6)
    assert len(steps) == STEPS + 1 and torch.equal(steps[-1], sampler.picture(WAYPOINT))
    far = [float((step.float() - steps[-1].float()).abs().mean()) for step in steps]
    assert far[0] == max(far) and far[-2] < far[1]
    assert len(sampler.steps(WAYPOINT, 2)) == 3, "of many, some"


def dreamt(pipe: Any, scheduler: Any) -> tuple[np.ndarray, torch.Tensor]:
    """Our picture (H, W, 3), and the noise it began with."""
    parts = Parts(pipe.unet, pipe.vae, scheduler, False)
    palettes = Palettes("", encode(pipe, [PROMPT], "", False))
    sampler = UNetSampler(parts, palettes, Settings(64, 64, STEPS, 1.0, 8), taped=False)
    return sampler.picture(WAYPOINT).numpy().astype(np.float64), sampler.noise(WAYPOINT)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in REFUSED])
def test_a_scheduler_makes_the_picture_that_its_pipeline_makes(
    pipe: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    scheduler = pick_scheduler(name, pipe.scheduler)
    assert type(scheduler).__name__ == name
    ours, noise = dreamt(pipe, copy.deepcopy(scheduler))
    monkeypatch.setattr(pipe, "scheduler", scheduler)
    options = {"num_inference_steps": STEPS, "guidance_scale": 1.0, "output_type": "np", "width": 64, "height": 64}
    theirs = pipe(PROMPT, latents=noise, generator=torch.Generator().manual_seed(0), **options).images[0] * 255
    assert np.abs(ours - theirs).max() <= 2
    assert theirs.std() > 5, "a flat picture would prove nothing"


@pytest.mark.parametrize("name", [n for n in NAMES if n in REFUSED])
def test_a_scheduler_that_does_not_suit_is_refused_in_one_sentence(pipe: Any, name: str) -> None:
    with pytest.raises(ModelError) as caught:
        dreamt(pipe, pick_scheduler(name, pipe.scheduler))
    said = str(caught.value)
    assert said.startswith(f"{name} {REFUSED[name]}") and "\n" not in said
    assert "leave out model.scheduler, or name another, such as DPMSolverMultistep" in said


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("EulerScheduler", "must be a scheduler class of diffusers, got 'EulerScheduler'. Did you mean '"),
        ("UNet2DConditionModel", "must be a scheduler class of diffusers, got 'UNet2DConditionModel'"),
        ("xyz", "must be a scheduler class of diffusers, got 'xyz'; leave it out to use the model's own"),
    ],
)
def test_what_is_no_scheduler_is_refused_in_one_sentence(pipe: Any, wanted: str, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        pick_scheduler(wanted, pipe.scheduler)
    assert str(caught.value).startswith(f"model.scheduler {said}")


def test_a_scheduler_that_draws_noise_of_its_own_draws_the_same_every_time(pipe: Any) -> None:
    class Unseeded(diffusers.EulerDiscreteScheduler):
        """As DPM++ SDE, which needs a package that may not be here."""

        def __init__(self, noise_sampler_seed: int | None = None) -> None:
            super().__init__()
            self.register_to_config(noise_sampler_seed=noise_sampler_seed)

    assert pick_scheduler(None, Unseeded()).config.noise_sampler_seed == 0
    assert pick_scheduler(None, Unseeded(5)).config.noise_sampler_seed == 5
    assert pick_scheduler(None, pipe.scheduler) is pipe.scheduler
