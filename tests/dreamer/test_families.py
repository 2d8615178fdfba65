"""Today's families: our picture is the one that the library's own pipeline makes; what cannot be walked says why."""

import ast
import inspect
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from typer.testing import CliRunner

from engine.cli import app
from engine.dreamer import models
from engine.dreamer.families import FAMILIES, decoder_fault, why_not
from engine.dreamer.generic import PipelineSampler
from engine.dreamer.load import Dreamer
from engine.dreamer.models import ModelError
from tests import tiny_models
from tests.dreamer.test_dreamer import assert_same, damaged, dreamer, waypoint, with_config

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


NOT = [
    ("StableDiffusionInpaintPipeline", "it paints into a given picture"),
    ("StableDiffusionImg2ImgPipeline", "it starts from a given picture"),
    ("StableDiffusionUpscalePipeline", "it enlarges or refines a given picture"),
    ("FluxControlNetPipeline", "it is guided by a given picture"),
    ("WanPipeline", "it makes videos, not pictures"),
    ("HunyuanVideoPipeline", "it makes videos, not pictures"),
    ("StableAudioPipeline", "it makes sound, not pictures"),
    ("Flux2ModularPipeline", "it is put together of blocks (a modular pipeline)"),
    ("StableCascadePriorPipeline", "it makes what another model draws from"),
    ("HiDreamImagePipeline", "it takes words, and not in the form in which Pedesis mixes them"),
    ("TomorrowPipeline", "Pedesis does not know this kind of model"),
]


@pytest.mark.parametrize(("pipeline", "why"), NOT)
def test_what_cannot_be_walked_says_why_before_anything_is_read(tmp_path: Path, pipeline: str, why: str) -> None:
    said = why_not(pipeline, {}, tmp_path)
    assert said is not None and said.startswith(f"{pipeline} cannot be walked: {why}") and "\n" not in said
    assert said.endswith("name a model of another family, such as Stable Diffusion, SDXL, SD3 or Flux")


def library_source(pipeline: str) -> ast.ClassDef | None:
    """The class in the installed library, read and not run."""
    import diffusers

    for file in Path(diffusers.__file__).parent.glob("pipelines/*/pipeline_*.py"):
        text = file.read_text(encoding="utf-8")
        if f"class {pipeline}(" in text:
            return next(n for n in ast.parse(text).body if isinstance(n, ast.ClassDef) and n.name == pipeline)
    return None


@pytest.mark.parametrize("pipeline", sorted(FAMILIES))
def test_the_table_names_what_the_librarys_encode_prompt_answers(pipeline: str) -> None:
    found = library_source(pipeline)
    assert found is not None
    methods = {n.name: n for n in found.body if isinstance(n, ast.FunctionDef)}
    given = methods["__call__"].args
    takes = [a.arg for a in (*given.args, *given.kwonlyargs)]
    assert {"latents", "width", "height", "prompt_embeds"} <= set(takes)
    returns = [n for n in ast.walk(methods["encode_prompt"]) if isinstance(n, ast.Return) and n.value is not None]
    value = max(returns, key=lambda n: n.lineno).value
    parts = value.elts if isinstance(value, ast.Tuple) else [value]
    if len(parts) == 1:
        assert FAMILIES[pipeline].answers == ("prompt_embeds",)
        return
    named = [[n.id for n in ast.walk(part) if isinstance(n, ast.Name) and n.id in takes] for part in parts]
    assert tuple(n[0] if n else "" for n in named) == FAMILIES[pipeline].answers


def without_part(part: str) -> Callable[[Path], object]:
    return with_config(**{part: [None, None]})


@pytest.mark.parametrize(
    ("kind", "file", "change", "said"),
    [
        ("prx", "model_index.json", without_part("text_encoder"), "it lacks its text_encoder, without which nothing"),
        ("sd", "model_index.json", without_part("vae"), "it lacks its vae, without which nothing can be dreamt"),
        ("sd", "unet/config.json", with_config(in_channels=9), "unet takes 9 channels and not 4: .* as for inpainting"),
        ("flux", "transformer/config.json", with_config(in_channels=32), "takes 32 channels and not 16: it is made"),
    ],
)
def test_inspecting_and_dreaming_agree_on_what_cannot_be_walked(
    folder: Folder, tmp_path: Path, kind: str, file: str, change: Callable[[Path], object], said: str
) -> None:
    path = damaged(folder, tmp_path / "m", file, change, kind)
    why = models.inspect(str(path))["why_not"]
    assert re.search(said, why)
    with pytest.raises(ModelError, match=re.escape(why)):
        dreamer(path)


def test_a_package_that_a_family_needs_is_named(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    found = "engine.dreamer.families.importlib.util.find_spec"
    monkeypatch.setattr(found, lambda name: None if name == "ftfy" else object())
    assert (
        models.inspect(str(folder("prx")))["why_not"] == "PRXPipeline needs another package; `pip install ftfy` gets it"
    )


def test_a_class_that_the_library_has_a_dummy_for_names_the_package(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import diffusers

    class Dummy:
        _backends: ClassVar[list[str]] = ["torch", "no_such_package"]

    monkeypatch.setattr(diffusers, "AutoencoderKLQwenImage", Dummy)
    with pytest.raises(
        ModelError, match=r"its AutoencoderKLQwenImage needs another package; .*pip install no_such_pack"
    ):
        dreamer(folder("krea2"))
    asked = CliRunner().invoke(app, ["models", "inspect", str(folder("krea2"))])
    assert asked.exit_code == 2 and "its AutoencoderKLQwenImage needs another package" in asked.output


def test_an_option_that_a_family_does_not_take_is_said_before_the_first_picture(folder: Folder) -> None:
    with pytest.raises(
        ModelError, match=r"PRXPipeline takes no sigmas of its own; leave out sigmas in model.scheduler"
    ):
        dreamer(folder("prx"), scheduler_options="sigmas=[1.0, 0.5]", steps=2)


def test_a_decoder_for_a_family_that_has_none_to_replace_is_refused(folder: Folder, tmp_path: Path) -> None:
    tiny_models.tiny_decoder(4).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"no decoder that another could replace; leave out model.decoder"):
        models.find(str(folder("kandinsky3")), str(tmp_path))


def test_a_negative_prompt_that_is_not_heard_is_said(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    for options, said in (
        ({"guidance": 4.0}, "this model hears no negative prompt, so model.negative does nothing"),
        ({"guidance": 1.0}, "model.negative is not heard, as model.guidance is 1"),
    ):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "pedesis"):
            dreamer(folder("sana-sprint"), prompts=("a",), negative="mud", **options)
        assert said in caplog.text


def test_a_size_that_a_family_does_not_take_says_which_it_does(folder: Folder) -> None:
    with pytest.raises(ModelError, match="must be multiples of 32 for this model, got 48x48"):
        dreamer(folder("sana-sprint"), 48)


@pytest.mark.parametrize(
    ("own", "other", "said"),
    [
        ({}, {"_class_name": "VQModel"}, "it must be one of AutoencoderTiny, AutoencoderKL"),
        ({"latent_channels": 16}, {"latent_channels": 4}, "it takes latents of 4 channels, and this model's have 16"),
        (
            {"block_out_channels": [8] * 4},
            {"decoder_block_out_channels": [8] * 5},
            "it makes 16 pixels of a cell, and this model's own 8",
        ),
        (
            {"scaling_factor": 0.13025},
            {"_class_name": "AutoencoderKL", "scaling_factor": 0.18215},
            "it is made for latents of another scale",
        ),
        ({"z_dim": 16}, {}, "only its own decoder takes"),
        ({"latent_channels": 16, "scaling_factor": 0.36}, {"latent_channels": 16, "scaling_factor": 1.0}, None),
    ],
)
def test_a_decoder_that_does_not_fit_is_told_by_its_latents(
    own: dict[str, Any], other: dict[str, Any], said: str | None
) -> None:
    found = decoder_fault(own, {"_class_name": "AutoencoderTiny"} | other)
    assert found is None if said is None else found is not None and said in found


def test_a_tiny_decoder_of_sixteen_channels_serves_the_families_that_have_them(folder: Folder, tmp_path: Path) -> None:
    tiny_models.tiny_decoder(8).save_pretrained(tmp_path / "eight")
    with pytest.raises(
        ModelError, match=r"model\.decoder cannot be .*: it takes latents of 8 channels, and this model"
    ):
        dreamer(folder("sd35"), decoder=str(tmp_path / "eight"))
    tiny_models.tiny_decoder(4).save_pretrained(tmp_path / "four")
    ours = dreamer(folder("sd35"), prompts=("a",), decoder=str(tmp_path / "four"))
    assert ours.dream(waypoint(weights=(1.0,))).std() > 1
