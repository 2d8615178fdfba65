"""ControlNets: the library's picture at any weight, no byte at none, alone, with a start from the picture, and torn."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image

from engine.dreamer.outline import Residuals, hint_maker
from engine.dreamer.palettes import Palettes
from engine.dreamer.prompts import encode
from engine.dreamer.sampler import Parts, Settings, UNetSampler
from engine.dreamer.schedule import Stepper, pick_scheduler
from engine.walk.waypoint import Guide, Liquid, Point, Sheet, Waypoint, Wording
from tests import tiny_guides, tiny_models

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' advice to themselves

PROMPT = "torn paper"
PLACE = Waypoint(0.0, 0, (Point(3, 1.0, 0.1, 1.0),), (1.0,))
SIZE = 96, 64  # pixels


def painted(seed: int = 0) -> np.ndarray:
    """(64, 96, 3) of soft patches."""
    return np.random.default_rng(seed).integers(0, 256, (8, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)


def steered(*seen: tuple[str, float], **weights: float) -> Waypoint:
    return replace(PLACE, guide=Guide(seen or (("a", 1.0),), **weights))


@pytest.fixture(scope="module", params=["sd", "sdxl"])
def pipe(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = tiny_models.BUILDERS[request.param]()
    made.set_progress_bar_config(disable=True)
    yield made


@pytest.fixture(scope="module")
def sd() -> Iterator[Any]:
    yield tiny_models.sd()


def sampler_of(
    pipe: Any, net: Any, hint: str = "picture", guidance: float = 1.0, taped: bool = True, name: str | None = None
) -> UNetSampler:
    palettes = Palettes("", encode(pipe, [PROMPT], "", guidance > 1))
    control = None if net is None else (net, hint_maker(hint))
    parts = Parts(
        pipe.unet, pipe.vae, pick_scheduler(name, pipe.scheduler), hasattr(pipe, "tokenizer_2"), None, control
    )
    made = UNetSampler(parts, palettes, Settings(*SIZE, 2, guidance, 8), taped)
    for hash, seed in (("a", 0), ("b", 1)):
        made.see(hash, lambda seed=seed: painted(seed))
    return made


def theirs(pipe: Any, net: Any, noise: torch.Tensor, shown: np.ndarray, guidance: float, weight: float) -> np.ndarray:
    parts = {n: p for n, p in pipe.components.items() if n not in ("image_encoder", "feature_extractor")}
    if hasattr(pipe, "tokenizer_2"):
        other: Any = diffusers.StableDiffusionXLControlNetPipeline(**parts, controlnet=net, add_watermarker=False)
    else:
        parts |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        other = diffusers.StableDiffusionControlNetPipeline(**parts, controlnet=net)
    other.set_progress_bar_config(disable=True)
    options = {"num_inference_steps": 2, "guidance_scale": guidance, "output_type": "np", "width": 96, "height": 64}
    with torch.no_grad():
        made = other(PROMPT, image=Image.fromarray(shown), latents=noise.clone(), controlnet_conditioning_scale=weight,
                     **options)  # fmt: skip
    picture: np.ndarray = made.images[0].astype(np.float64) * 255
    return picture


@pytest.mark.parametrize(("guidance", "taped"), [(1.0, True), (3.0, False)])
def test_at_any_weight_it_is_the_librarys_picture(pipe: Any, guidance: float, taped: bool) -> None:
    net = tiny_guides.controlnet(pipe.unet)
    sampler = sampler_of(pipe, net, guidance=guidance, taped=taped)
    plain = sampler.picture(PLACE).numpy().astype(np.float64)
    for weight in (0.4, 1.7):
        ours = sampler.picture(steered(outline=weight)).numpy().astype(np.float64)
        assert np.abs(ours - theirs(pipe, net, sampler.noise(PLACE), painted(), guidance, weight)).max() < 2.0
        assert np.abs(ours - plain).max() > 8


def test_one_that_pools_is_the_librarys_too(sd: Any) -> None:
    net = tiny_guides.controlnet(sd.unet, global_pool_conditions=True)
    sampler = sampler_of(sd, net, guidance=3.0)
    ours = sampler.picture(steered(outline=1.0)).numpy().astype(np.float64)
    assert np.abs(ours - theirs(sd, net, sampler.noise(PLACE), painted(), 3.0, 1.0)).max() < 2.0


def test_the_lines_are_drawn_here(sd: Any) -> None:
    net = tiny_guides.controlnet(sd.unet)
    sampler = sampler_of(sd, net, "canny")
    lines = hint_maker("canny")(torch.from_numpy(painted()).permute(2, 0, 1)[None] / 255)  # (1, 1, H, W)
    assert set(lines.unique().tolist()) == {0.0, 1.0}
    shown = (lines[0, 0].numpy() * 255).astype(np.uint8)[..., None].repeat(3, 2)
    ours = sampler.picture(steered(outline=1.0)).numpy().astype(np.float64)
    assert np.abs(ours - theirs(sd, net, sampler.noise(PLACE), shown, 1.0, 1.0)).max() < 2.0


@pytest.mark.parametrize("small", [True, False])
def test_at_no_weight_no_byte_changes_and_it_is_not_run(sd: Any, small: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not small:
        monkeypatch.setattr("engine.dreamer.sampler.SMALL", 0)
    without, net = sampler_of(sd, None), tiny_guides.controlnet(sd.unet)
    sampler = sampler_of(sd, net)
    calls = []
    net.register_forward_hook(lambda *_: calls.append(1))
    gone, nan = steered(("gone", 1.0), outline=1.0), steered(outline=float("nan"))
    for place in (PLACE, steered(), steered(strength=0.6), nan, gone):
        assert torch.equal(sampler.picture(place), without.picture(place))
    assert not calls
    sampler.picture(steered(outline=0.5))
    assert calls


def test_a_large_network_is_recorded_once_and_tells_the_same(sd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    net, place = tiny_guides.controlnet(sd.unet), steered(strength=0.3, outline=0.8)
    small = sampler_of(sd, net)
    monkeypatch.setattr("engine.dreamer.sampler.SMALL", 0)
    large = sampler_of(sd, net)
    assert large.taped and large.steering is not None and large.steering._network is None
    for there in (PLACE, place, steered(outline=0.8)):
        assert int((large.picture(there).int() - small.picture(there).int()).abs().max()) <= 1


def test_it_joins_a_start_from_the_picture_and_two_pictures_blend(sd: Any) -> None:
    sampler = sampler_of(sd, tiny_guides.controlnet(sd.unet))
    both, alone = sampler.picture(steered(strength=0.5, outline=1.0)), sampler.picture(steered(strength=0.5))
    assert not torch.equal(both, alone)
    near = sampler.latent(steered(strength=1e-4, outline=1.0)) - sampler.latent(steered(outline=1.0))
    assert float(near.abs().mean()) < 0.02
    a, b = (sampler.latent(steered((n, 1.0), outline=1.0)) for n in "ab")
    mostly = sampler.latent(steered(("a", 0.999), ("b", 0.001), outline=1.0))
    assert float((mostly - a).abs().mean()) < 0.05 * float((a - b).abs().mean())


def test_what_is_torn_keeps_its_lines(sd: Any) -> None:
    sampler = sampler_of(sd, tiny_guides.controlnet(sd.unet), guidance=2.0)
    words = (Wording("", (1.0,), 1.0),)
    torn = replace(PLACE, liquid=Liquid(0.6, (Point(9, 0.0, 0.1, 1.0),), (Sheet((Point(5, 0.0, 0.1, 1.0),), words),)))
    barely = replace(torn, guide=Guide((("a", 1.0),), outline=1e-4))
    gap = (sampler.picture(barely).float() - sampler.picture(torn).float()).abs()
    assert float(gap.mean()) < 1.0, "it begins as what it is without"
    drawn = replace(torn, guide=Guide((("a", 1.0),), outline=1.0))
    assert not torch.equal(sampler.picture(drawn), sampler.picture(torn))


def test_it_works_with_schedulers_that_no_picture_can_begin_in(sd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    net = tiny_guides.controlnet(sd.unet)
    compiled = sampler_of(sd, net)
    monkeypatch.setattr("engine.dreamer.sampler.compile_schedule", lambda own, steps, _: Stepper(own, steps))
    stepped = sampler_of(sd, net)
    place = steered(outline=1.0)
    assert int((stepped.picture(place).int() - compiled.picture(place).int()).abs().max()) <= 1


def test_odd_cells_halve_as_the_network_halves_them(sd: Any) -> None:
    net = tiny_guides.controlnet(sd.unet)
    text = torch.zeros(1, 5, 32)
    with torch.no_grad():
        down, mid = net(torch.zeros(1, 4, 9, 7), 1, text, torch.zeros(1, 3, 72, 56), return_dict=False)
        flat = Residuals.flat(down, mid)
        residuals = Residuals(net.config, (9, 7), 1)
        assert residuals.none(torch.float32, torch.device("cpu")).shape == flat.shape
        again, middle = residuals.of(flat)
    assert all(torch.equal(a, b) for a, b in zip([*again, middle], [*down, mid], strict=True))
