"""Pictures that steer: no byte changes without; the library's picture where it can say it; no jump between."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_img2img as library

from engine.dreamer.guide import KEPT, Pictures, spread_out
from engine.dreamer.palettes import Palettes
from engine.dreamer.prompts import encode
from engine.dreamer.sampler import Parts, Settings, UNetSampler
from engine.dreamer.schedule import NOISE_SEED, pick_scheduler
from engine.walk.waypoint import Guide, Liquid, Point, Sheet, Waypoint, Wording
from tests import tiny_models

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' advice to themselves

PROMPT = "torn paper"
PLACE = Waypoint(0.0, 0, (Point(3, 1.0, 0.1, 1.0),), (1.0,))


def painted(seed: int = 0) -> np.ndarray:
    """(64, 64, 3) of soft patches."""
    rough = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return rough.repeat(8, 0).repeat(8, 1)


def steered(strength: float, *seen: tuple[str, float], **other: float) -> Waypoint:
    return replace(PLACE, guide=Guide(seen or (("a", 1.0),), strength, **other))


def sampler_of(pipe: Any, name: str | None = None, steps: int = 4, taped: bool = False, **options: Any) -> UNetSampler:
    scheduler = pick_scheduler(name, pipe.scheduler, options)
    palettes = Palettes("", encode(pipe, [PROMPT], "", False))
    made = UNetSampler(Parts(pipe.unet, pipe.vae, scheduler, False), palettes, Settings(64, 64, steps, 1.0, 8), taped)
    for hash, seed in (("a", 0), ("b", 1)):
        made.see(hash, lambda seed=seed: painted(seed))
    made.see("black", lambda: np.zeros((64, 64, 3), np.uint8))
    return made


@pytest.fixture(scope="module")
def pipe() -> Iterator[Any]:
    made = tiny_models.sd()
    made.set_progress_bar_config(disable=True)
    yield made


def theirs(pipe: Any, scheduler: Any, noise: torch.Tensor, picture: np.ndarray, cut: int, steps: int) -> np.ndarray:
    """The library's picture from the same noise, without the first `cut` steps."""
    parts = {n: p for n, p in pipe.components.items() if n not in ("scheduler", "image_encoder")}
    other = diffusers.StableDiffusionImg2ImgPipeline(**parts, scheduler=scheduler, requires_safety_checker=False)
    other.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(NOISE_SEED)
    for _ in range(cut):  # the noise that a step adds is that of the same step in the whole schedule
        torch.randn(noise.shape, generator=generator)
    given = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(library, "randn_tensor", lambda *_, **__: noise)
        patch.setattr(library, "retrieve_latents", lambda said, **_: said.latent_dist.mode())
        options = {"strength": (steps - cut + 1e-6) / steps, "num_inference_steps": steps, "guidance_scale": 1.0}
        made: np.ndarray = other(PROMPT, given, generator=generator, output_type="np", **options).images[0]
    return made.astype(np.float64) * 255


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("DDIMScheduler", {}),
        ("DDIMScheduler", {"prediction_type": "v_prediction"}),
        ("DDIMScheduler", {"prediction_type": "sample"}),
        ("EulerDiscreteScheduler", {"timestep_spacing": "trailing"}),
        ("EulerAncestralDiscreteScheduler", {}),
        ("DPMSolverMultistepScheduler", {}),
        ("DPMSolverMultistepScheduler", {"prediction_type": "flow_prediction", "use_flow_sigmas": True}),
        ("UniPCMultistepScheduler", {}),
        ("HeunDiscreteScheduler", {}),
        ("LCMScheduler", {}),
    ],
)
def test_where_the_library_can_say_it_the_picture_is_its_own(pipe: Any, name: str, options: dict[str, Any]) -> None:
    sampler = sampler_of(pipe, name, **options)
    noise = sampler.noise(PLACE)
    for cut in (1, 3):
        ours = sampler.picture(steered(cut / 4)).numpy().astype(np.float64)
        gap = np.abs(ours - theirs(pipe, pick_scheduler(name, pipe.scheduler, options), noise, painted(), cut, 4))
        assert gap.max() < 2.0, (cut, gap.max())


def test_without_strength_no_byte_changes(pipe: Any) -> None:
    sampler = sampler_of(pipe, taped=True)
    plain = sampler.picture(PLACE)
    for guide in (Guide((("a", 1.0),)), Guide((("a", 1.0),), float("nan")), Guide(()), Guide((("gone", 1.0),), 0.7)):
        assert torch.equal(sampler.picture(replace(PLACE, guide=guide)), plain)


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("DDIMScheduler", 1),
        ("EulerDiscreteScheduler", 1),
        ("LCMScheduler", 1),
        ("DPMSolverMultistepScheduler", 4),
        ("EulerAncestralDiscreteScheduler", 4),
        ("LCMScheduler", 4),
        ("HeunDiscreteScheduler", 3),
        ("PNDMScheduler", 4),
    ],
)
def test_nothing_jumps_on_the_way_from_the_walk_to_the_picture(pipe: Any, name: str, steps: int) -> None:
    """Both sides of every cut are alike, and so are the ends and what is next to them."""
    sampler = sampler_of(pipe, name, steps)

    def at(strength: float) -> torch.Tensor:
        return sampler.latent(steered(strength))

    whole = float((at(1.0) - sampler.latent(PLACE)).abs().mean())
    assert sampler.steering is not None
    starts = sampler.steering._starts
    assert starts is not None
    near = 1e-4
    assert float((at(near) - sampler.latent(PLACE)).abs().mean()) < 0.02 * whole
    assert float((at(1.0) - at(1 - near)).abs().mean()) < 0.02 * whole
    for cut in range(1, starts.steps):
        before, after = at(cut / starts.steps - near), at(cut / starts.steps + near)
        assert float((before - after).abs().mean()) < 0.02 * whole, cut


def test_at_full_strength_it_is_the_given_picture(pipe: Any) -> None:
    sampler = sampler_of(pipe, "EulerDiscreteScheduler", 1)
    pixels = torch.from_numpy(painted()).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        z = pipe.vae.encode(pixels).latent_dist.mode()
        shown = pipe.vae.decode(z).sample[0].permute(1, 2, 0) * 127.5 + 127.5
    ours = sampler.picture(steered(1.0)).float()
    assert float((ours - shown.clamp(0, 255)).abs().max()) < 2.0


def test_the_walk_goes_on_underneath(pipe: Any) -> None:
    sampler = sampler_of(pipe)
    here = steered(0.5)
    there = replace(here, points=(Point(3, 2.0, 0.1, 1.0),))
    assert not torch.equal(sampler.picture(here), sampler.picture(there))


def test_a_recording_is_what_it_recorded_and_every_thread_dreams_the_same(pipe: Any) -> None:
    plain, taped = sampler_of(pipe), sampler_of(pipe, taped=True)
    assert taped.taped
    places = [steered(s, ("a", 0.3), ("b", 0.7)) for s in (0.1, 0.45, 0.8)]
    alone = [taped.picture(p) for p in places]
    for place, picture in zip(places, alone, strict=True):
        assert int((picture.int() - plain.picture(place).int()).abs().max()) <= 1
    found: list[Any] = [None] * 3
    other = sampler_of(pipe, taped=True)

    def dream(n: int) -> None:
        found[n] = other.picture(places[n])

    threads = [threading.Thread(target=dream, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(a, b) for a, b in zip(alone, found, strict=True))


def test_what_is_torn_is_steered_too(pipe: Any) -> None:
    sampler = sampler_of(pipe, taped=True)
    words = (Wording("", (1.0,), 1.0),)
    liquid = Liquid(0.6, (Point(9, 0.0, 0.1, 1.0),), (Sheet((Point(5, 0.0, 0.1, 1.0),), words),))
    torn = replace(PLACE, liquid=liquid)
    barely = replace(torn, guide=Guide((("a", 1.0),), 1e-4))
    gap = (sampler.picture(barely).float() - sampler.picture(torn).float()).abs()
    assert float(gap.mean()) < 1.0, "it begins as what it is without"
    half = replace(torn, guide=Guide((("a", 1.0),), 0.5))
    assert not torch.equal(sampler.picture(half), sampler.picture(steered(0.5)))


def test_mixtures_keep_their_variance_and_leave_out_what_is_not_there(pipe: Any) -> None:
    a, b = (torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(s)) for s in (1, 2))
    mixed = spread_out([a, b], [0.5, 0.5])
    assert 0.9 < float(mixed.var() / a.var()) < 1.1
    assert torch.allclose(spread_out([a, b], [1.0, 0.0]), a, atol=1e-3)
    flat = torch.ones(1, 4, 8, 8)
    assert torch.isfinite(spread_out([flat, flat * 2], [0.5, 0.5])).all()
    sampler = sampler_of(pipe)
    alone = sampler.picture(steered(0.5))
    assert torch.equal(sampler.picture(steered(0.5, ("a", 0.5), ("gone", 0.5))), alone)
    assert torch.isfinite(sampler.latent(steered(0.5, ("black", 1.0)))).all()


def test_only_so_many_pictures_are_kept_and_each_is_looked_at_once() -> None:
    made: list[float] = []

    def make(picture: torch.Tensor) -> torch.Tensor:
        made.append(float(picture.mean()))
        return picture[:, :, ::8, ::8]

    pictures = Pictures({"latent": make})
    pictures.see("a", painted)
    for _ in range(2):
        assert pictures.mixed([("a", 1.0)], "latent") is not None
    assert len(made) == 1
    for n in range(KEPT):
        pictures.see(str(n), painted)
    assert pictures.mixed([("a", 1.0)], "latent") is None and pictures.mixed([("0", 1.0)], "latent") is not None


def test_what_was_made_of_pictures_takes_only_so_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.dreamer.guide.MADE_BYTES", 3 * 64 * 64 * 4 * 2)
    made: list[float] = []

    def make(picture: torch.Tensor) -> torch.Tensor:
        made.append(float(picture.mean()))
        return picture

    pictures = Pictures({"outline": make})
    for n, hash in enumerate("abc"):
        pictures.see(hash, lambda n=n: painted(n))
    for hash in "abcb":
        assert pictures.mixed([(hash, 1.0)], "outline") is not None
    assert len(made) == 3, "the last two are kept"
    again = pictures.mixed([("a", 1.0)], "outline")
    assert again is not None and len(made) == 4
    assert torch.equal(again, torch.from_numpy(painted()).permute(2, 0, 1)[None] / 255)


def test_what_is_not_heard_is_said_once(pipe: Any, caplog: pytest.LogCaptureFixture) -> None:
    sampler = sampler_of(pipe)
    for _ in range(2):
        sampler.picture(steered(0.0, outline=1.0, likeness=1.0))
    assert caplog.text.count("guide.outline does nothing without a ControlNet; name one in model.control") == 1
    assert caplog.text.count("guide.likeness does nothing without an IP-Adapter; name one in model.adapter") == 1
