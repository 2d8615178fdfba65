"""LoRAs: our pictures are the library's, at any strength, recorded or not, one or several, whatever trained them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
from engine.walk.waypoint import Liquid, Point, Sheet, Waypoint, Wording
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


def test_several_at_once_are_the_librarys_and_each_moves_alone(folder: Folder) -> None:
    path = folder("sd")
    one, two = lora_for(path), lora_for(path, "ink", seed=5, text=False)
    ours = dreamer(path, Lora("clay", str(one), 0.5), Lora("ink", str(two), 1.0))
    start = {one: 0.5, two: 1.0}
    for strengths in ((0.5, 1.0), (0.5, 0.0), (1.2, 0.3)):
        theirs = library(path, ours, dict(zip(start, strengths, strict=True)), start)
        assert far(ours.dream(waypoint(*strengths)), theirs) < 2


def test_a_recording_takes_strengths_as_an_input(folder: Folder) -> None:
    """The same pictures with and without the recording, for strengths that it was not made with."""
    path = folder("sd")
    lora = Lora("clay", str(lora_for(path)), 1.0)
    for steps in (2, 9):  # recorded in one piece, and call by call
        ours = dreamer(path, lora, steps=steps)
        assert ours._sampler.taped
        plain = Dreamer.__new__(Dreamer)
        plain.__dict__.update(ours.__dict__)
        for strength in (0.3, 1.7):
            theirs = library(path, ours, {lora_file(ours): strength}, {lora_file(ours): 1.0})
            assert far(ours.dream(waypoint(strength)), theirs) < 2


def lora_file(ours: Dreamer) -> Path:
    return Path(ours.spec.loras[0].file)


@pytest.mark.parametrize("kind", ["sd", "sd3"])
def test_at_strength_0_no_byte_is_changed(folder: Folder, kind: str) -> None:
    path = folder(kind)
    with_it, without = dreamer(path, Lora("clay", str(lora_for(path)), 0.0)), dreamer(path)
    assert np.array_equal(with_it.dream(waypoint(0.0)), without.dream(waypoint()))
    assert far(with_it.dream(waypoint(1.0)), without.dream(waypoint())) > 8


def test_a_torn_picture_has_it_too(folder: Folder) -> None:
    path = folder("sd")
    water = (Point(9, 0.0, 0.1, 1.0),)
    torn = Liquid(0.6, water, (Sheet((Point(5, 2.0, 0.1, 1.0),), (Wording("", (1.0,), 1.0),)),))
    ours, plain = dreamer(path, Lora("clay", str(lora_for(path)), 0.0)), dreamer(path)
    none = ours.dream(waypoint(0.0, liquid=torn))
    assert np.array_equal(none, plain.dream(waypoint(liquid=torn)))
    assert far(ours.dream(waypoint(1.0, liquid=torn)), none) > 8
    assert np.array_equal(ours.dream(waypoint(0.0, liquid=torn)), none)


@pytest.mark.parametrize("kind", ["sd", "sd3"])
def test_threads_keep_their_own_strengths(folder: Folder, kind: str) -> None:
    path = folder(kind)
    ours = dreamer(path, Lora("clay", str(lora_for(path))), film=True, scheduler=None, steps=9)
    strengths = [0.0, 1.0, -0.5, 0.4] * 3
    alone = [ours.dream(waypoint(s)) for s in strengths]
    if kind == "sd":  # the others' schedulers have one state, and they dream one at a time
        with ThreadPoolExecutor(3, initializer=ours.prepare_thread) as pool:
            together = list(pool.map(lambda s: ours.dream(waypoint(s)), strengths))
        assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))
    assert np.array_equal(alone[0], alone[4]) and far(alone[0], alone[1]) > 8


def test_a_few_step_lora_and_its_recipe_work_together(folder: Folder) -> None:
    path = folder("sd")
    file = lora_for(path, "lcm", text=False, size=0.1)
    ours = dreamer(path, Lora("lcm", str(file)), recipe="lcm", steps=4, guidance=1.0)
    pipe = DiffusionPipeline.from_pretrained(path, local_files_only=True)
    from diffusers import LCMScheduler

    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = LCMScheduler.from_config(pipe.scheduler.config)
    pipe.load_lora_weights(str(file.parent), weight_name=file.name)
    noise = ours._sampler.noise(waypoint()).clone()
    theirs = pipe(PROMPT, latents=noise, num_inference_steps=4, guidance_scale=1.0, output_type="np", width=64,
                  height=64, generator=torch.Generator().manual_seed(0)).images[0] * 255  # fmt: skip
    assert far(ours.dream(waypoint(1.0)), theirs) < 2


def test_it_is_as_precise_as_its_model(folder: Folder) -> None:
    path = folder("sd")
    lora = Lora("clay", str(lora_for(path)))
    half = dreamer(path, lora, dtype="bfloat16")
    assert np.abs(half.dream(waypoint(1.0)).astype(float) - dreamer(path, lora).dream(waypoint(1.0))).mean() < 8
