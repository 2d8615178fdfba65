"""IP-Adapters: the library's picture at any weight, no byte at none, with lines and a start from the picture, torn; and
a whole show of both from files."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionControlNetPipeline
from PIL import Image
from torch import Tensor
from transformers import CLIPImageProcessorPil

from engine.dreamer.additions import Lora
from engine.dreamer.likeness import seen_by_clip
from engine.dreamer.load import Dreamer
from engine.dreamer.outline import hint_maker
from engine.dreamer.palettes import Palettes
from engine.dreamer.parts import read_adapter
from engine.dreamer.prompts import encode
from engine.dreamer.sampler import Parts, Settings, UNetSampler
from engine.dreamer.spec import DreamSpec
from engine.show.specs import ModelSpec
from engine.walk.palette import Palette
from engine.walk.waypoint import Guide, Liquid, Point, Sheet, Waypoint, Wording
from tests import tiny_guides, tiny_models
from tests.card import StandInGraphs
from tests.tiny_additions import save_lora

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' advice to themselves

PROMPT = "torn paper"
PLACE = Waypoint(0.0, 0, (Point(3, 1.0, 0.1, 1.0),), (1.0,))
KINDS = [("sd", False), ("sd", True), ("sdxl", False)]  # and whether it is one of the finer ones


def painted(seed: int = 0) -> np.ndarray:
    """(64, 96, 3) of soft patches."""
    return np.random.default_rng(seed).integers(0, 256, (8, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1)


def steered(*seen: tuple[str, float], **weights: float) -> Waypoint:
    return replace(PLACE, guide=Guide(seen or (("a", 1.0),), **weights))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("adapters")
    for kind, plus in KINDS:
        tiny_guides.save_adapter(tiny_models.BUILDERS[kind]().unet, root / f"{kind}{plus}.safetensors", plus)
    yield root


def sampler_of(
    root: Path,
    kind: str = "sd",
    plus: bool | None = False,
    guidance: float = 1.0,
    taped: bool = True,
    control: Any = None,
    recorder: StandInGraphs | None = None,
    steps: int = 3,
) -> UNetSampler:
    """plus: None for no adapter."""
    pipe = tiny_models.BUILDERS[kind]()
    palettes = Palettes("", encode(pipe, [PROMPT], "", guidance > 1))
    adapter = None
    if plus is not None:
        file = str(root / f"{kind}{plus}.safetensors")
        adapter = read_adapter(file, None, pipe.unet, torch.float32, torch.device("cpu"))
    parts = Parts(pipe.unet, pipe.vae, pipe.scheduler, kind == "sdxl", control=control, adapter=adapter)
    made = UNetSampler(parts, palettes, Settings(96, 64, steps, guidance, 8, recorder=recorder), taped)
    for hash, seed in (("a", 0), ("b", 1)):
        made.see(hash, lambda seed=seed: painted(seed))
    return made


def theirs(pipe: Any, noise: torch.Tensor, guidance: float, weight: float, shown: np.ndarray) -> np.ndarray:
    pipe.set_ip_adapter_scale(weight)
    options = {"num_inference_steps": 2, "guidance_scale": guidance, "output_type": "np", "width": 96, "height": 64}
    with torch.no_grad():
        made = pipe(PROMPT, ip_adapter_image=Image.fromarray(shown), latents=noise.clone(), **options)
    picture: np.ndarray = made.images[0].astype(np.float64) * 255
    return picture


def with_adapter(pipe: Any, root: Path, name: str) -> Any:
    pipe.set_progress_bar_config(disable=True)
    options = {"image_encoder_folder": "image_encoder", "low_cpu_mem_usage": False}
    pipe.load_ip_adapter(str(root), subfolder="", weight_name=name, **options)
    return pipe


@pytest.mark.parametrize(("kind", "plus", "guidance"), [("sd", False, 1.0), ("sd", True, 3.0), ("sdxl", False, 3.0)])
def test_at_any_weight_it_is_the_librarys_picture(root: Path, kind: str, plus: bool, guidance: float) -> None:
    pipe = with_adapter(tiny_models.BUILDERS[kind](), root, f"{kind}{plus}.safetensors")
    taped, plain = (sampler_of(root, kind, plus, guidance, taped, steps=2) for taped in (True, False))
    without = taped.picture(PLACE).numpy().astype(np.float64)
    for weight in (0.3, 1.0):
        wanted = theirs(pipe, taped.noise(PLACE), guidance, weight, painted())
        for sampler in (taped, plain):
            ours = sampler.picture(steered(likeness=weight)).numpy().astype(np.float64)
            assert np.abs(ours - wanted).max() < 2.0
        assert np.abs(ours - without).max() > 8


@pytest.mark.parametrize("small", [True, False])
def test_at_no_weight_no_byte_changes(root: Path, small: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not small:
        monkeypatch.setattr("engine.dreamer.sampler.SMALL", 0)
    without, sampler = sampler_of(root, plus=None), sampler_of(root)
    for place in (PLACE, steered(), steered(strength=0.6), steered(("gone", 1.0), likeness=1.0)):
        assert torch.equal(sampler.picture(place), without.picture(place))
    if not small:
        one = sampler_of(root, taped=False)
        gap = sampler.picture(steered(likeness=0.7)).int() - one.picture(steered(likeness=0.7)).int()
        assert int(gap.abs().max()) <= 1


def test_it_joins_the_rest_and_two_pictures_blend(root: Path) -> None:
    sampler = sampler_of(root)
    alone = sampler.picture(steered(strength=0.5))
    assert not torch.equal(sampler.picture(steered(strength=0.5, likeness=1.0)), alone)
    a, b = (sampler.latent(steered((n, 1.0), likeness=1.0)) for n in "ab")
    mostly = sampler.latent(steered(("a", 0.999), ("b", 0.001), likeness=1.0))
    assert float((a - b).abs().mean()) > 0.01
    assert float((mostly - a).abs().mean()) < 0.05 * float((a - b).abs().mean())


def test_what_is_torn_is_alike_too(root: Path) -> None:
    sampler = sampler_of(root, guidance=2.0)
    words = (Wording("", (1.0,), 1.0),)
    torn = replace(PLACE, liquid=Liquid(0.6, (Point(9, 0.0, 0.1, 1.0),), (Sheet((Point(5, 0.0, 0.1, 1.0),), words),)))
    barely = replace(torn, guide=Guide((("a", 1.0),), likeness=1e-4))
    gap = (sampler.picture(barely).float() - sampler.picture(torn).float()).abs()
    assert float(gap.mean()) < 1.0, "it begins as what it is without"
    assert not torch.equal(sampler.picture(replace(torn, guide=steered(likeness=1.0).guide)), sampler.picture(torn))


class Plays(StandInGraphs):
    """Calls the function again into the same memory, which is quicker than to trace whole networks."""

    def record(self, function: Callable[..., Tensor], buffers: Sequence[Tensor]) -> tuple[Tensor, Callable[[], object]]:
        out = function(*buffers).clone()
        self.recorded += 1

        def play() -> None:
            self.played += 1
            out.copy_(function(*buffers))

        return out, play


def test_a_card_plays_captures_of_both_networks(root: Path) -> None:
    """Every weight and every start with the same ones; without them it is as it was."""
    pipe = tiny_models.sd()
    control = tiny_guides.controlnet(pipe.unet), hint_maker("canny")
    recorder = Plays()
    card, plain = (sampler_of(root, control=control, recorder=r, steps=1) for r in (recorder, None))
    assert torch.equal(card.picture(PLACE), plain.picture(PLACE))
    whole = recorder.recorded
    for weights in ({"outline": 1.0}, {"strength": 0.35, "outline": 0.2, "likeness": 1.0}):
        place, played = steered(**weights), recorder.played
        assert int((card.picture(place).int() - plain.picture(place).int()).abs().max()) <= 1
        assert recorder.played > played
    assert recorder.recorded == whole + 2


@pytest.mark.parametrize("size", [(64, 96), (300, 200), (33, 97), (32, 32)])
def test_clip_is_shown_what_the_library_shows_it(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    theirs = CLIPImageProcessorPil(size=32, crop_size=32)(Image.fromarray(pixels), return_tensors="pt").pixel_values
    ours = seen_by_clip(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255, 32)
    assert ours.shape == theirs.shape
    gap = (ours - theirs).abs()  # PIL rounds between the two ways as well
    assert float(gap.mean()) < 0.01 and float(gap.max()) < 0.2


def test_a_show_with_a_lora_lines_and_likeness_is_the_librarys(tmp_path: Path) -> None:
    """All at once, from files, through the dreamer; at 0 to the byte what it is without."""
    pipe = tiny_models.sd()
    pipe.save_pretrained(tmp_path / "sd")
    tiny_guides.controlnet(pipe.unet).save_pretrained(tmp_path / "lines")
    file = tiny_guides.save_adapter(pipe.unet, tmp_path / "ip.safetensors")
    clay = save_lora(pipe, tmp_path / "clay.safetensors", text=False)
    added = {"control": str(tmp_path / "lines"), "control_hint": "picture", "adapter": str(file)}

    def dreamer(**model: Any) -> Dreamer:
        spec = ModelSpec(name=str(tmp_path / "sd"), dtype="float32", steps=1, **model)
        loras = (Lora("clay", str(clay), 0.8),)
        made = Dreamer(DreamSpec(spec, Palette.of([PROMPT]), 96, 64, loras=loras))
        made.see("a", painted)
        return made

    ours = dreamer(**added)
    assert np.array_equal(ours.dream(PLACE), dreamer().dream(PLACE))
    net = tiny_guides.controlnet(pipe.unet)
    other = StableDiffusionControlNetPipeline.from_pretrained(tmp_path / "sd", controlnet=net, local_files_only=True)
    other.load_lora_weights(str(tmp_path), weight_name=clay.name, adapter_name="clay")
    other.set_adapters(["clay"], [0.8])
    with_adapter(other, tmp_path, file.name)
    other.set_ip_adapter_scale(0.6)
    with torch.no_grad():
        made = other(PROMPT, image=Image.fromarray(painted()), ip_adapter_image=Image.fromarray(painted()), width=96,
                     height=64, latents=ours._sampler.noise(PLACE).clone(), num_inference_steps=1, guidance_scale=1.0,
                     controlnet_conditioning_scale=0.9, output_type="np")  # fmt: skip
    gap = ours.dream(steered(outline=0.9, likeness=0.6)).astype(np.float64) - made.images[0] * 255
    assert np.abs(gap).max() < 2.0
