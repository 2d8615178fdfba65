"""Dreaming: our pictures are the library's pictures, the same every time, in float32 and nearly so in half."""

import hashlib
import inspect
import json
import logging
import shutil
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline

from engine.dreamer import process
from engine.dreamer.device import pick_device, pick_dtype, pick_threads
from engine.dreamer.generic import PipelineSampler
from engine.dreamer.load import Dreamer
from engine.dreamer.models import ModelError, find
from engine.dreamer.sampler import UNetSampler
from engine.dreamer.schedule import Program, Stepper
from engine.dreamer.spec import DreamSpec
from engine.show.specs import ModelSpec
from engine.walk.palette import Palette
from engine.walk.waypoint import Point, Waypoint
from tests import tiny_models

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' advice to themselves

PROMPTS = ("a cloud", "torn paper", "a shelf")
WEIGHTS = (0.2, 0.5, 0.3)
Folder = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    root = tmp_path_factory.mktemp("models")
    return lambda kind: root / kind if (root / kind).exists() else tiny_models.save(kind, root / kind)


def waypoint(phase: float = 1.0, weights: tuple[float, ...] = WEIGHTS) -> Waypoint:
    return Waypoint(0.0, 0, (Point(3, phase, 0.1, 1.0),), weights)


def dreamer(
    path: Path,
    size: int = 64,
    prompts: tuple[str, ...] = PROMPTS,
    economy: int = 0,
    height: int | None = None,
    **model: Any,
) -> Dreamer:
    spec = ModelSpec(name=str(path), **({"dtype": "float32"} | model))
    return Dreamer(DreamSpec(spec, Palette.of(prompts), size, height or size, economy))


def library(path: Path, ours: Dreamer, **options: Any) -> np.ndarray:
    """What the library's own pipeline makes of the same latents, mixed embeddings, steps and scheduler."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        without = ("text_encoder_3", "tokenizer_3", "feature_extractor", "image_encoder") if path.name == "sd3" else ()
        pipe = DiffusionPipeline.from_pretrained(path, local_files_only=True, **dict.fromkeys(without))
    pipe.set_progress_bar_config(disable=True)
    m = ours.spec.model
    if m.scheduler:
        pipe.scheduler = getattr(diffusers, m.scheduler).from_config(pipe.scheduler.config)
    names = ["prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds", "negative_pooled_prompt_embeds"]
    encoded = [_encode(pipe, prompt, m.negative, len(names)) for prompt in PROMPTS]
    given = {}
    for i, name in enumerate(names[: len(encoded[0])]):
        given[name] = sum(w * e[i] for w, e in zip(WEIGHTS, encoded, strict=True))
    generator = torch.Generator().manual_seed(0)
    noise = ours._sampler.noise(waypoint()).clone()
    call = dict(num_inference_steps=m.steps, guidance_scale=m.guidance, generator=generator, output_type="np")
    with torch.no_grad():
        return pipe(latents=noise, width=64, height=64, **given, **call, **options).images[0] * 255


def _encode(pipe: Any, prompt: str, negative: str, count: int) -> tuple[torch.Tensor, ...]:
    options: dict[str, Any] = {"device": "cpu", "num_images_per_prompt": 1, "do_classifier_free_guidance": True}
    if type(pipe).__name__ == "StableDiffusion3Pipeline":
        options |= {"prompt_2": prompt, "prompt_3": prompt}
    with torch.no_grad():
        return tuple(pipe.encode_prompt(prompt=prompt, negative_prompt=negative or None, **options)[:count])


def assert_same(ours: np.ndarray, theirs: np.ndarray) -> None:
    assert np.abs(ours.astype(np.float64) - theirs).max() < 2
    assert theirs.std() > 5, "a flat picture would prove nothing"


@pytest.mark.parametrize("scheduler", [None, "HeunDiscreteScheduler"])
def test_sd_equals_the_librarys_pipeline(folder: Folder, scheduler: str | None) -> None:
    """With every other scheduler: test_schedulers.py."""
    ours = dreamer(folder("sd"), scheduler=scheduler)
    assert_same(ours.dream(waypoint()), library(folder("sd"), ours))
    assert isinstance(ours._sampler, UNetSampler)
    assert ours._sampler.compiled


@pytest.mark.parametrize("scheduler", [None, "DDIMScheduler", "EulerAncestralDiscreteScheduler"])
def test_sdxl_equals_the_librarys_pipeline(folder: Folder, scheduler: str | None) -> None:
    ours = dreamer(folder("sdxl"), scheduler=scheduler)
    assert_same(ours.dream(waypoint()), library(folder("sdxl"), ours))


@pytest.mark.parametrize("negative", ["mud", ""])
@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_guidance_equals_the_librarys(folder: Folder, kind: str, negative: str) -> None:
    ours = dreamer(folder(kind), guidance=4.0, negative=negative)
    guided = ours.dream(waypoint())
    assert_same(guided, library(folder(kind), ours))
    assert np.abs(guided.astype(int) - dreamer(folder(kind)).dream(waypoint())).max() > 3


def test_many_steps_equal_the_librarys_too(folder: Folder) -> None:
    ours = dreamer(folder("sd"), steps=12)
    assert isinstance(ours._sampler, UNetSampler) and ours._sampler.taped
    assert_same(ours.dream(waypoint()), library(folder("sd"), ours))


@pytest.mark.parametrize("kind", ["sd", "sdxl"])
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_large_network_equals_the_librarys_at_any_number_of_steps(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, kind: str, steps: int
) -> None:
    """Every model of the hub is large: its network is recorded by itself, but where one step is all there is."""
    monkeypatch.setattr("engine.dreamer.sampler.SMALL", 0)
    ours = dreamer(folder(kind), steps=steps)
    assert isinstance(ours._sampler, UNetSampler) and ours._sampler.taped
    assert_same(ours.dream(waypoint()), library(folder(kind), ours))


def test_a_flow_model_of_the_built_in_ones_shape_equals_the_librarys(folder: Folder) -> None:
    ours = dreamer(folder("house"))
    assert_same(ours.dream(waypoint()), library(folder("house"), ours))


def test_a_model_distilled_with_guidance_takes_it_as_an_embedding(tmp_path: Path) -> None:
    pipe = tiny_models.sd(diffusers.LCMScheduler(clip_sample=False), time_cond_proj_dim=8)
    pipe.save_pretrained(tmp_path)
    ours = dreamer(tmp_path, guidance=5.0)
    assert_same(ours.dream(waypoint()), library(tmp_path, ours))


def test_a_transformer_through_its_own_call(folder: Folder) -> None:
    for guidance in (1.0, 4.0):
        ours = dreamer(folder("sd3"), guidance=guidance, negative="mud")
        assert_same(ours.dream(waypoint()), library(folder("sd3"), ours))


def own_words(path: Path, ours: Dreamer, text: str, height: int) -> np.ndarray:
    """What the library's own pipeline makes of the same latents and the words themselves, which it encodes."""
    pipe = DiffusionPipeline.from_pretrained(path, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    assert isinstance(ours._sampler, PipelineSampler)
    m = ours.spec.model
    options = {"use_resolution_binning": False, "clean_caption": False, "true_cfg_scale": m.guidance}
    if path.name == "flux-dev":
        options["true_cfg_scale"] = 1.0  # it takes the number itself
    guidance = 0.0 if path.name == "zimage" and m.guidance == 1 else m.guidance  # its formula has none at 0
    known = inspect.signature(type(pipe).__call__).parameters
    made = pipe(
        text,
        negative_prompt=m.negative,
        latents=ours._sampler._packed(ours._sampler.noise(waypoint())),
        width=64,
        height=height,
        num_inference_steps=m.steps,
        guidance_scale=guidance,
        generator=torch.Generator().manual_seed(0),
        output_type="np",
        **{n: v for n, v in options.items() if n in known},
    )
    return made.images[0] * 255


FAMILIES = ["flux", "flux-dev", "pixart", "hunyuandit", "qwen", "zimage"]


@pytest.mark.parametrize("guidance", [1.0, 4.0])
@pytest.mark.parametrize("kind", FAMILIES)
def test_another_family_dreams_what_its_own_pipeline_makes_of_the_words(
    folder: Folder, kind: str, guidance: float
) -> None:
    ours = dreamer(folder(kind), prompts=("torn paper",), height=96, guidance=guidance, negative="mud")
    assert_same(ours.dream(waypoint(weights=(1.0,))), own_words(folder(kind), ours, "torn paper", 96))


@pytest.mark.parametrize("kind", FAMILIES)
def test_another_family_mixes_materials_of_any_length_and_moves_a_little_at_a_time(folder: Folder, kind: str) -> None:
    ours = dreamer(folder(kind), guidance=4.0, negative="mud")
    here = ours.dream(waypoint()).astype(int)

    def away(there: Waypoint) -> float:
        return float(np.abs(ours.dream(there) - here).mean())

    assert away(waypoint()) == 0
    assert 0 < away(waypoint(1.001)) < away(waypoint(9.0)) / 20
    near, far = away(waypoint(weights=(0.21, 0.49, 0.3))), away(waypoint(weights=(1.0, 0.0, 0.0)))
    assert far > 0 and near < far / 5


@pytest.mark.parametrize(
    ("pipeline", "said"),
    [
        ("HiDreamImagePipeline", "cannot be walked: it takes words, and not in the form in which .*; name a"),
        ("StableDiffusionInstructPix2PixPipeline", "cannot be walked: it starts from a given picture; name a model"),
        ("NoSuchPipeline", "Pedesis does not know this kind of model; name a model of another family"),
    ],
)
def test_a_family_that_cannot_be_walked_is_one_sentence(
    folder: Folder, tmp_path: Path, pipeline: str, said: str
) -> None:
    path = damaged(folder, tmp_path / "m", "model_index.json", with_config(_class_name=pipeline))
    with pytest.raises(ModelError, match=said):
        dreamer(path)


def test_settings_that_a_pipeline_refuses_are_one_sentence(folder: Folder) -> None:
    with pytest.raises(ModelError, match="multiples of 16 for this model, got 72x72"):
        dreamer(folder("flux"), 72)
    ours = dreamer(folder("pixart"), scheduler="FlowMatchEulerDiscreteScheduler")
    with pytest.raises(ModelError, match="PixArtAlphaPipeline cannot dream with these settings"):
        ours.dream(waypoint())


def test_a_vocabulary_that_needs_another_package_says_which(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = "tokenizer_2/tokenizer.json"
    path = damaged(folder, tmp_path / "m", part, lambda file: file.rename(file.with_name("a.model")), "flux")
    monkeypatch.setattr("engine.dreamer.families.importlib.util.find_spec", lambda *_: None)
    with pytest.raises(ModelError, match="its tokenizer_2 needs two more packages; `pip install sentencepiece"):
        dreamer(path)


def test_half_precision_weights_alone_are_found(tmp_path: Path) -> None:
    pipe = tiny_models.flux()
    pipe.save_pretrained(tmp_path, variant="fp16")
    assert dreamer(tmp_path).dream(waypoint()).std() > 5


def test_a_tiny_decoder_takes_the_place_of_the_models_own(folder: Folder, tmp_path: Path) -> None:
    tiny_models.tiny_decoder().save_pretrained(tmp_path)
    plain, tiny = dreamer(folder("sd")), dreamer(folder("sd"), decoder=str(tmp_path))
    decoder = diffusers.AutoencoderTiny.from_pretrained(tmp_path)
    assert isinstance(tiny._sampler, UNetSampler)
    with torch.no_grad():
        latent = tiny._sampler.latent(waypoint()).clone()
        theirs = (decoder.decode(latent).sample[0].permute(1, 2, 0) / 2 + 0.5).clamp(0, 1).numpy() * 255
    assert np.abs(tiny.dream(waypoint()) - theirs).max() < 2
    assert not np.array_equal(tiny.dream(waypoint()), plain.dream(waypoint()))


@pytest.mark.parametrize("kind", ["sd", "sdxl", "sd3"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_dreaming_is_a_pure_function(folder: Folder, kind: str, dtype: str) -> None:
    ours = dreamer(folder(kind), dtype=dtype)
    first = ours.dream(waypoint(1.0))
    other = ours.dream(waypoint(2.0, (1.0, 0.0, 0.0)))
    assert not np.array_equal(first, other)
    assert np.array_equal(first, ours.dream(waypoint(1.0)))


def test_noise_of_the_scheduler_stands_still_while_the_walk_moves(folder: Folder) -> None:
    ours = dreamer(folder("sd"), scheduler="EulerAncestralDiscreteScheduler")
    near = np.abs(ours.dream(waypoint(1.0)).astype(int) - ours.dream(waypoint(1.001))).mean()
    far = np.abs(ours.dream(waypoint(1.0)).astype(int) - ours.dream(waypoint(9.0))).mean()
    assert near < far / 20


@pytest.mark.usefixtures("warm_dreamers")
def test_the_same_bytes_in_another_process(folder: Folder) -> None:
    """One that has dreamt nothing yet, nor been used for other tests."""
    ours, theirs = process.CONTEXT.Pipe(duplex=False)
    child = process.CONTEXT.Process(target=_tell_bytes, args=(theirs, folder("sd")))  # type: ignore[attr-defined]
    child.start()
    theirs.close()
    assert ours.poll(120)
    there = ours.recv()
    child.join()
    here = hashlib.sha256(dreamer(folder("sd")).dream(waypoint()).tobytes()).hexdigest()
    assert there == here


def _tell_bytes(pipe: Connection, model: Path) -> None:
    pipe.send(hashlib.sha256(dreamer(model).dream(waypoint()).tobytes()).hexdigest())


def test_half_precision_stays_within_40_db(folder: Folder) -> None:
    for kind in ("sd", "house"):
        full, half = dreamer(folder(kind)), dreamer(folder(kind), dtype="bfloat16")
        assert isinstance(half._sampler, UNetSampler) and half._sampler.taped
        error = np.mean((full.dream(waypoint()).astype(float) - half.dream(waypoint())) ** 2)
        assert 10 * np.log10(255**2 / error) > 40


@pytest.mark.parametrize("show", ["house"])
def test_the_built_in_model_dreams_in_float16_as_on_a_gpu(show: str) -> None:
    from engine.play.shows import load_show

    ours = load_show(show)
    pictures = []
    for dtype in ("float32", "float16"):
        spec = DreamSpec.from_show(replace(ours, model=replace(ours.model, dtype=dtype, device="cpu")))
        model = Dreamer(replace(spec, width=128, height=128))
        assert model.dtype == getattr(torch, dtype)
        count = len(spec.palette.prompts)
        pictures.append(model.dream(waypoint(weights=(1 / count,) * count)).astype(float))
    assert 10 * np.log10(255**2 / np.square(pictures[0] - pictures[1]).mean()) > 40
    assert pictures[1].std() > 5


def swell(path: Path, part: str, weight: str) -> None:
    """Scales a weight to as much as float16 holds: what comes of it does not fit any more."""
    from safetensors.torch import load_file, save_file

    file = path / part / "diffusion_pytorch_model.safetensors"
    state = load_file(file)
    state[weight] *= 60_000 / state[weight].abs().max()
    save_file(state, file, {"format": "pt"})


@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_a_decoder_that_overflows_float16_is_run_in_float32(
    folder: Folder, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(folder(kind), tmp_path / kind)
    config = tmp_path / kind / "vae" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"force_upcast": False}))
    swell(tmp_path / kind, "vae", "decoder.conv_in.weight")
    with caplog.at_level(logging.WARNING, "pedesis"):
        black = dreamer(tmp_path / kind, dtype="float16")
    assert black.dtype == torch.float16 and "decoder's numbers leave float16's range" in caplog.text
    whole = dreamer(tmp_path / kind, dtype="float32").dream(waypoint()).astype(float)
    assert np.abs(black.dream(waypoint()) - whole).max() < 12 and whole.std() > 1


def test_a_network_that_overflows_float16_is_run_in_float32(
    folder: Folder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(folder("sd"), tmp_path / "sd")
    swell(tmp_path / "sd", "unet", "conv_in.weight")
    with caplog.at_level(logging.WARNING, "pedesis"):
        ours = dreamer(tmp_path / "sd", dtype="float16")
    assert ours.dtype == torch.float32 and "it is run in float32" in caplog.text
    assert (ours.dream(waypoint()) == dreamer(tmp_path / "sd").dream(waypoint())).all()


def test_a_pipeline_that_dreams_no_numbers_is_one_sentence(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = dreamer(folder("sd3"))
    assert isinstance(ours._sampler, PipelineSampler)
    decode = ours._sampler._pipe.vae.decode
    monkeypatch.setattr(
        ours._sampler._pipe.vae, "decode", lambda *a, **k: tuple(x * float("nan") for x in decode(*a, **k))
    )
    with pytest.raises(ModelError, match=r"dreams no numbers in float32; set model\.dtype to auto or float32"):
        ours.dream(waypoint())


@pytest.mark.parametrize("kind", ["sd", "sdxl", "sd3"])
def test_text_encoders_leave_before_the_rest_comes(folder: Folder, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    moves: list[tuple[str, str]] = []
    plain = torch.nn.Module.to

    def to(module: torch.nn.Module, *args: Any, **options: Any) -> torch.nn.Module:
        if args and isinstance(args[0], torch.device | str):
            moves.append((type(module).__name__, str(args[0])))
        return plain(module, *args, **options)

    monkeypatch.setattr(torch.nn.Module, "to", to)
    monkeypatch.setattr("engine.dreamer.load.pick_device", lambda _: torch.device("cpu:0"))  # one that has a name
    dreamer(folder(kind))
    encoders = [n for n, (name, where) in enumerate(moves) if "Text" in name or "T5" in name]
    others = [n for n in range(len(moves)) if n not in encoders]
    assert encoders and others and max(encoders) < min(others)
    assert {moves[n][1] for n in encoders} == {"cpu", "cpu:0"} and {moves[n][1] for n in others} == {"cpu:0"}


def test_a_card_too_old_for_this_torch_is_not_chosen(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "Old Card")
    monkeypatch.setattr(torch, "ones", refuse)
    with caplog.at_level(logging.WARNING, "pedesis"):
        assert pick_device("auto").type == ("mps" if torch.backends.mps.is_available() else "cpu")
    assert "no code for Old Card" in caplog.text
    with pytest.raises(ModelError, match="no code for Old Card; install a build of torch for that card"):
        pick_device("cuda")
    with pytest.raises(ModelError, match=r"is .cuda:1., but this machine has only cuda:0"):
        pick_device("cuda:1")


def test_a_recording_dreams_what_the_functions_dream(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = dreamer(folder("sd"))
    monkeypatch.setattr("engine.dreamer.cpu.tape.record", lambda *_: None)
    plain = dreamer(folder("sd"))
    assert isinstance(recorded._sampler, UNetSampler) and isinstance(plain._sampler, UNetSampler)
    assert recorded._sampler.taped and not plain._sampler.taped
    assert np.abs(recorded.dream(waypoint()).astype(int) - plain.dream(waypoint())).max() <= 1


def test_economy_is_half_precision_then_tiles(folder: Folder) -> None:
    one, two = dreamer(folder("sd"), economy=1), dreamer(folder("sd"), economy=2)
    assert one.dtype == two.dtype == torch.bfloat16
    assert two.dream(waypoint()).shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("megabytes", "cores", "beside", "threads"),
    [
        (30, 8, {}, 2),
        (30, 1, {}, 1),
        (30, 2, {"crowded": True}, 1),
        (30, 8, {"crowded": True}, 2),
        (30, 8, {"film": True}, 1),
        (900, 8, {}, 8),
        (900, 8, {"crowded": True}, 8),
        (900, 8, {"film": True}, 8),
    ],
)
def test_threads_are_chosen_by_the_models_size_and_what_is_done_beside_it(
    monkeypatch: pytest.MonkeyPatch, megabytes: int, cores: int, beside: dict[str, bool], threads: int
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("engine.dreamer.models.weight_bytes", lambda folder: megabytes * 10**6)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)), raising=False)
    place = find("house")
    options = {"crowded": False} | beside
    assert pick_threads(place, **options) == threads
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert pick_threads(place, **options) == 3


@pytest.mark.parametrize(
    ("options", "workers"),
    [({"film": True}, 3), ({}, 1), ({"film": True, "economy": 1}, 1)],
    ids=["film", "live", "after out of memory"],
)
def test_a_film_dreams_as_many_pictures_at_once_as_there_are_cores(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], workers: int
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(3)), raising=False)
    model = ModelSpec(name=str(folder("sd")), dtype="float32")
    assert Dreamer(DreamSpec(model, Palette.of(PROMPTS), 64, 64, **options)).workers == workers
    monkeypatch.setattr("engine.dreamer.sampler.compile_schedule", lambda own, steps, _: Stepper(own, steps))
    assert Dreamer(DreamSpec(model, Palette.of(PROMPTS), 64, 64, **options)).workers == 1, "a scheduler has one state"


def test_what_several_threads_dream_at_once_one_dreams_alike(folder: Folder) -> None:
    model = ModelSpec(name=str(folder("sd")), dtype="float32")
    ours = Dreamer(DreamSpec(model, Palette.of(PROMPTS), 64, 64, film=True))
    # more seeds than are kept, so that the threads take one another's away
    places = [Waypoint(0.0, 0, (Point(seed, 1.0, 0.1, 1.0),), WEIGHTS) for seed in range(12)]
    one_by_one = [ours.dream(place) for place in places]

    def dream(place: Waypoint) -> np.ndarray:
        ours.prepare_thread()
        return ours.dream(place)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for alone, together in zip(one_by_one, pool.map(dream, places), strict=True):
                np.testing.assert_array_equal(alone, together)


def test_a_card_is_known_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.cuda.set_device takes no card without one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr("engine.dreamer.device._has_kernels", lambda _: True)
    for wanted, index in (("auto", 0), ("cuda", 0), ("cuda:1", 1)):
        assert torch.cuda._utils._get_device_index(pick_device(wanted)) == index


def test_precision_is_chosen_by_the_kind_of_device() -> None:
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    assert pick_dtype("auto", cuda, 0) == torch.float16
    assert pick_dtype("auto", cpu, 0) in (torch.float32, torch.bfloat16)
    assert pick_dtype("float32", cpu, 0) == torch.float32
    assert pick_dtype("float32", cpu, 1) == torch.bfloat16
    assert pick_dtype("auto", cuda, 0, fast=False) == torch.bfloat16  # T5 and Gemma overflow in float16
    assert pick_device("cpu") == cpu


@pytest.mark.parametrize(
    ("model", "size", "said"),
    [
        ({"scheduler": "NoSuchScheduler"}, 64, "scheduler class of diffusers, got 'NoSuchScheduler'"),
        ({"scheduler": "UNet2DConditionModel"}, 64, "scheduler class of diffusers"),
        ({"decoder": "/no/such/decoder"}, 64, "no such folder"),
        ({"device": "cuda:9"}, 64, "CUDA.*use 'auto' or 'cpu'" if not torch.cuda.is_available() else ""),
        ({}, 60, "multiples of 8 for this model, got 60x60"),
    ],
)
def test_what_cannot_be_dreamt_is_one_sentence(folder: Folder, model: dict[str, Any], size: int, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        dreamer(folder("sd"), size, **model)


def damaged(folder: Folder, to: Path, part: str, change: Callable[[Path], object], kind: str = "sd") -> Path:
    shutil.copytree(folder(kind), to)
    change(to / part)
    return to


def with_config(**changes: Any) -> Callable[[Path], object]:
    return lambda file: file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("unet/config.json", with_config(block_out_channels=[16, 64]), "its unet cannot be loaded"),
        ("vae/config.json", with_config(latent_channels=8), "its vae has 8; they are not of one model"),
        ("scheduler/scheduler_config.json", Path.unlink, "its scheduler cannot be loaded"),
        ("tokenizer/tokenizer.json", lambda f: f.write_text("{"), "its tokenizer cannot be loaded"),
        ("unet/config.json", with_config(cross_attention_dim=48), "cannot be loaded"),
    ],
)
def test_a_model_that_can_never_load_is_one_sentence(
    folder: Folder, tmp_path: Path, part: str, change: Callable[[Path], object], said: str
) -> None:
    path = damaged(folder, tmp_path / "m", part, change)
    with pytest.raises(ModelError, match=said) as caught:
        dreamer(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("kind", ["DDIMScheduler", "EulerAncestralDiscreteScheduler"])
def test_a_scheduler_of_another_family_is_one_sentence(folder: Folder, kind: str) -> None:
    with pytest.raises(ModelError, match=f"^{kind} cannot sample this model in 4 steps .*model.scheduler"):
        dreamer(folder("house"), scheduler=kind)


def test_memory_that_runs_out_while_loading_is_no_fault_of_the_model(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA error: out of memory")

    monkeypatch.setattr(diffusers.UNet2DConditionModel, "from_pretrained", full)
    with pytest.raises(RuntimeError, match="out of memory"):
        dreamer(folder("sd"))


def test_nothing_random_is_drawn_from_the_global_generator(folder: Folder) -> None:
    before = torch.random.get_rng_state()
    dreamer(folder("sd"), scheduler="LCMScheduler").dream(waypoint())
    assert torch.equal(before, torch.random.get_rng_state())


def test_compiled_schedules_are_programs(folder: Folder) -> None:
    from engine.dreamer.schedule import compile_schedule

    shape = (4, 8, 8)
    euler = diffusers.EulerDiscreteScheduler()
    assert isinstance(compile_schedule(euler, 5, shape), Program)
    assert isinstance(compile_schedule(diffusers.DDIMScheduler(clip_sample=True), 5, shape), Stepper)
    assert isinstance(compile_schedule(diffusers.DDIMScheduler(thresholding=True), 5, shape), Stepper)
    with pytest.raises(ValueError, match="at least one step, got 0"):
        compile_schedule(euler, 0, shape)
