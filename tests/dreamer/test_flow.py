"""Pictures that steer flow-matching models through the library's pipelines: its own image-to-image pictures where it
can say them, no jump between, no byte without, and one clear line where it cannot be done."""

import inspect
from dataclasses import replace
from itertools import pairwise
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from engine.dreamer.generic import PipelineSampler
from engine.dreamer.palettes import Palettes
from engine.dreamer.prompts import encode
from engine.dreamer.sampler import Settings
from engine.walk.waypoint import Guide, Point, Waypoint
from tests import tiny_families, tiny_models

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' advice to themselves

PROMPT = "torn paper"
PLACE = Waypoint(0.0, 0, (Point(3, 1.0, 0.1, 1.0),), (1.0,))
STEPS = 4
BUILDERS = tiny_models.BUILDERS | tiny_families.BUILDERS
THEIRS = {
    "sd3": "StableDiffusion3Img2ImgPipeline",
    "flux": "FluxImg2ImgPipeline",
    "flux-dev": "FluxImg2ImgPipeline",
    "qwen": "QwenImageImg2ImgPipeline",
    "zimage": "ZImageImg2ImgPipeline",
}


def painted(seed: int = 0, patches: int = 8) -> np.ndarray:
    """(64, 64, 3), or larger, of soft patches."""
    return np.random.default_rng(seed).integers(0, 256, (patches, patches, 3), np.uint8).repeat(8, 0).repeat(8, 1)


def steered(strength: float, *seen: tuple[str, float], **other: float) -> Waypoint:
    return replace(PLACE, guide=Guide(seen or (("a", 1.0),), strength, **other))


def sampler_of(pipe: Any, steps: int = STEPS, size: int = 64) -> PipelineSampler:
    pipe.set_progress_bar_config(disable=True)
    palettes = Palettes("", encode(pipe, [PROMPT], "", False), False)
    made = PipelineSampler(pipe, palettes, Settings(size, size, steps, 1.0, 0))
    for hash, seed in (("a", 0), ("b", 1)):
        made.see(hash, lambda seed=seed: painted(seed, size // 8))
    return made


def theirs(sampler: PipelineSampler, kind: str, cut: int, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """The library's picture from the same noise, without the first `cut` steps."""
    own = sampler._pipe
    pipe_class = getattr(diffusers, THEIRS[kind])
    takes = [inspect.signature(getattr(pipe_class, name)).parameters for name in ("__init__", "__call__")]
    pipe = pipe_class(**{n: p for n, p in own.components.items() if n in takes[0]})
    pipe.set_progress_bar_config(disable=True)
    noise = sampler.noise(PLACE)
    options = {n: v for n, v in sampler._options(PLACE, noise).items() if n in takes[1]}
    given = torch.from_numpy(painted()).permute(2, 0, 1)[None].float() / 255
    module = __import__(pipe_class.__module__, fromlist=["randn_tensor"])
    with monkeypatch.context() as patch, torch.no_grad():
        patch.setattr(module, "randn_tensor", lambda shape, **_: noise.reshape(shape))
        patch.setattr(module, "retrieve_latents", lambda said, **_: said.latent_dist.mode())
        made = pipe(**(options | {"image": given, "latents": None, "strength": (STEPS - cut - 1e-6) / STEPS}))
    picture: np.ndarray = np.asarray(made.images[0]).astype(np.float64) * 255
    return picture


@pytest.mark.parametrize("kind", list(THEIRS))
def test_where_the_library_can_say_it_the_picture_is_its_own(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = sampler_of(BUILDERS[kind]())
    plain = sampler.picture(PLACE).numpy().astype(np.float64)
    for cut in (1, 3):
        ours = sampler.picture(steered(cut / STEPS)).numpy().astype(np.float64)
        gap = np.abs(ours - theirs(sampler, kind, cut, monkeypatch))
        assert gap.max() < 2.0, (cut, gap.max())
        assert np.abs(ours - plain).max() > 4


@pytest.mark.parametrize("kind", ["sd3", "flux2-klein", "krea2", "qwen", "zimage"])
def test_from_the_walk_to_the_picture_nothing_jumps(kind: str) -> None:
    """The ends are the walk's own picture, to the byte, and the given one; both sides of every cut are alike."""
    sampler = sampler_of(BUILDERS[kind]())
    plain = sampler.picture(PLACE)
    assert torch.equal(sampler.picture(steered(0.0)), plain)
    assert torch.equal(sampler.picture(steered(0.5, ("gone", 1.0))), plain)

    def at(strength: float) -> torch.Tensor:
        made = sampler.make(steered(strength)).latent
        assert made is not None
        return made

    start, end = sampler.make(PLACE).latent, at(1.0)
    assert start is not None
    whole = float((end - start).abs().mean())
    near = 1e-4
    assert float((at(near) - start).abs().mean()) < 0.02 * whole
    for cut in range(1, STEPS):
        gap = float((at(cut / STEPS - near) - at(cut / STEPS + near)).abs().mean())
        assert gap < 0.02 * whole, cut
    assert float((at(1.0) - at(1 - near)).abs().mean()) < 0.02 * whole
    vae = sampler._pipe.vae
    with torch.no_grad():
        given = (torch.from_numpy(painted()).permute(2, 0, 1)[None].float() / 127.5 - 1).to(vae.dtype)
        given = given[:, :, None] if hasattr(vae.config, "z_dim") else given
        z = vae.encode(given).latent_dist.mode()
    raw = sampler._raw
    assert raw is not None and torch.allclose(raw.flatten(), z.flatten(), atol=1e-2 * float(z.std()))


def test_one_step_is_enough_and_two_pictures_blend() -> None:
    sampler = sampler_of(BUILDERS["flux"](), steps=1)
    pictures = [sampler.picture(steered(s)).float() for s in (0.2, 0.5, 0.8)]
    assert all(float((a - b).abs().max()) > 2 for a, b in pairwise(pictures))
    mixes = [("a", 0.5), ("b", 0.5)], [("a", 1.0)], [("b", 1.0)]
    both, a, b = (sampler.picture(steered(1.0, *seen)).float() for seen in mixes)
    assert float((a - b).abs().mean()) > float((both - a).abs().mean()) > 0


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("pixart", "PixArtAlphaPipeline with DPMSolverMultistepScheduler cannot begin with a picture"),
        ("sana-sprint", "SanaSprintPipeline with SCMScheduler cannot begin with a picture"),
    ],
)
def test_what_cannot_be_steered_says_so_once_and_dreams_on(
    kind: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    sampler = sampler_of(BUILDERS[kind](), 2, size=256 if kind == "sana-sprint" else 64)
    plain = sampler.picture(PLACE)
    for _ in range(2):
        assert torch.equal(sampler.picture(steered(0.5, likeness=0.5)), plain)
    assert caplog.text.count(said) == 1
    assert caplog.text.count("guide.outline and guide.likeness are for Stable Diffusion 1, 2 and XL") == 1


def test_a_latent_that_comes_to_the_decoder_otherwise_is_found_out(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = sampler_of(BUILDERS["sd3"]())
    wrong = torch.ones(1, 4, 8, 8), torch.linspace(-1, 1, 256).reshape(1, 4, 8, 8)
    monkeypatch.setattr("engine.dreamer.generic.encoded", lambda *_: wrong)
    plain = sampler.picture(PLACE)
    assert torch.equal(sampler.picture(steered(0.5)), plain)
    assert "its latents come in another form" in caplog.text
