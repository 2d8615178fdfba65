"""Finding models: what is found, what is refused and in which words. No network, no torch."""

import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from engine.dreamer import models
from engine.dreamer.families import is_fast
from engine.dreamer.models import ModelError, find, safetensors_fault

_HEADER = json.dumps({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}).encode()
WHOLE = len(_HEADER).to_bytes(8, "little") + _HEADER + b"\0" * 4  # the smallest safetensors file with a number in it
INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.42.1",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "safety_checker": [None, None],
    "requires_safety_checker": False,
}


def make(folder: Path, weights: str = "model.safetensors", **changes: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model_index.json").write_text(json.dumps(INDEX | changes))
    for part in ("unet", "vae", "text_encoder", "tokenizer", "scheduler"):
        (folder / part).mkdir(exist_ok=True)
        (folder / part / "config.json").write_text("{}")
    for part in ("unet", "vae", "text_encoder"):
        (folder / part / weights).write_bytes(WHOLE)
    return folder


def refused(name: str | Path) -> str:
    with pytest.raises(ModelError) as caught:
        find(str(name))
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_a_folder_is_found(tmp_path: Path) -> None:
    place = find(str(make(tmp_path / "m")))
    assert (place.source, place.pipeline) == ("folder", "StableDiffusionPipeline")
    assert place.components["unet"] == ("diffusers", "UNet2DConditionModel")
    assert "safety_checker" not in place.components and is_fast(place.pipeline)


def test_the_built_in_model_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "house_model_dir", lambda: make(tmp_path / "house_model"))
    assert find("house").source == "house"
    monkeypatch.setattr(models, "house_model_dir", lambda: tmp_path / "nothing")
    assert "built-in model is missing" in refused("house")


def test_a_folder_of_pickles_is_refused(tmp_path: Path) -> None:
    said = refused(make(tmp_path / "m", weights="diffusion_pytorch_model.bin"))
    assert "pickled" in said and "never loaded" in said and "safetensors" in said


def test_pickles_beside_safetensors_do_no_harm(tmp_path: Path) -> None:
    folder = make(tmp_path / "m")
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"x")
    assert find(str(folder)).path == folder


def test_pickles_of_a_part_that_is_never_loaded_do_no_harm(tmp_path: Path) -> None:
    folder = make(tmp_path / "m", safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"])
    (folder / "safety_checker").mkdir()
    (folder / "safety_checker" / "pytorch_model.bin").write_bytes(b"x")
    assert find(str(folder)).pipeline == "StableDiffusionPipeline"


def test_missing_weights_are_said(tmp_path: Path) -> None:
    folder = make(tmp_path / "m")
    (folder / "vae" / "model.safetensors").unlink()
    assert refused(folder).endswith("vae/ has no weights (*.safetensors); copy or download the model again")


def test_broken_weights_are_said_before_anything_starts(tmp_path: Path) -> None:
    folder = make(tmp_path / "m")
    (folder / "unet" / "model.safetensors").write_bytes(b"\x7fgarbage" * 99)
    said = refused(folder)
    assert "unet/model.safetensors is cut short, or not a safetensors file (792 bytes)" in said
    assert said.endswith("copy or download the model again")
    (folder / "unet" / "model.safetensors").write_bytes(WHOLE[:-1])
    assert f"should have {len(WHOLE)} bytes but has {len(WHOLE) - 1}" in refused(folder)


def test_a_network_needs_its_config(tmp_path: Path) -> None:
    folder = make(tmp_path / "m")
    (folder / "unet" / "config.json").write_text("{ not json")
    assert "config.json cannot be read" in refused(folder)
    (folder / "unet" / "config.json").unlink()
    assert "unet/ has weights but no config.json; copy or download" in refused(folder)


def test_a_half_precision_twin_that_is_not_read_may_be_broken(tmp_path: Path) -> None:
    folder = make(tmp_path / "m")
    (folder / "unet" / "model.fp16.safetensors").write_bytes(b"cut")
    assert find(str(folder)).path == folder
    (folder / "unet" / "model.safetensors").unlink()
    assert "model.fp16.safetensors is cut short" in refused(folder)


def test_safetensors_are_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    assert "cannot be read (No such file" in str(safetensors_fault(file))
    for content, fault in (
        (WHOLE, None),
        (WHOLE[:-1], "bytes but has"),
        (b"version https://git-lfs.github.com/spec/v1\n", "`git lfs pull`"),
        (b"", "not a safetensors file"),
        ((5).to_bytes(8, "little") + b"hello", "cannot be read"),
        ((25).to_bytes(8, "little") + b'{"a":{"data_offsets":[]}}', "cannot be read"),
    ):
        file.write_bytes(content)
        said = safetensors_fault(file)
        assert (said is None) if fault is None else (said is not None and fault in said), content


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"_class_name": ["my_pipeline", "MyPipeline"]}, "code of its own"),
        ({"unet": ["my_unet", "MyUNet"]}, "code of its own"),
        ({"unet": ["../evil", "MyUNet"]}, "code of its own"),
        ({"unet": ["os", "system"]}, "code of its own"),
        ({"unet": ["diffusers"]}, "unet in model_index.json must be [library, class], got"),
        ({"_class_name": None}, "must be a pipeline class, got"),
        ({"_class_name": "os.system"}, "must be a pipeline class, got"),
    ],
)
def test_code_of_its_own_and_nonsense_are_refused(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    assert said in refused(make(tmp_path / "m", **changes))


def test_a_bad_or_missing_index_is_one_sentence(tmp_path: Path) -> None:
    folder = make(tmp_path / "m")
    (folder / "model_index.json").write_text("{ not json")
    assert "model_index.json cannot be read" in refused(folder)
    (folder / "model_index.json").write_text("[1]")
    assert "must hold a JSON object, got list" in refused(folder)
    (folder / "model_index.json").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in refused(folder)
    (folder / "model_index.json").unlink()
    assert "this folder has no model_index.json, so it is not a model in diffusers layout" in refused(folder)


def test_names_that_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert refused("/no/such/folder") == "/no/such/folder: there is no such folder (/no/such/folder)"
    assert refused("./dream") == f"./dream: there is no such folder ({tmp_path / 'dream'})"
    for name in ("a/b/c", "nonsense", "C:\\models\\dream"):
        assert "no such model; name a folder, or a Hugging Face repository as owner/name" in refused(name)
    assert refused("hosue").endswith("did you mean 'house'?")
    assert "pedesis models fetch stabilityai/sd-turbo" in refused("stabilityai/sd-turbo")
    assert "a Hugging Face repository cannot have this name" in refused("bad name/with spaces")
    address = "https://huggingface.co/stabilityai/sd-turbo/tree/main"
    assert refused(address).endswith("give the name of the repository, stabilityai/sd-turbo, not its address")
    assert "cannot be opened" in refused("x" * 5000)
    monkeypatch.delenv("HOME", raising=False)
    assert "~nobody-of-this-name" in refused("~nobody-of-this-name/model")


def checkpoint(file: Path, *tensors: str) -> Path:
    """A safetensors file with these tensors, of one byte each."""
    entries = {t: {"dtype": "U8", "shape": [1], "data_offsets": [n, n + 1]} for n, t in enumerate(tensors)}
    header = json.dumps(entries).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * len(tensors))
    return file


def test_a_folder_with_one_file_in_it_says_to_name_the_file(tmp_path: Path) -> None:
    file = checkpoint(tmp_path / "dream.safetensors", "model.diffusion_model.input_blocks.0.0.weight")
    assert refused(tmp_path).endswith(f"not a model in diffusers layout. Name the file: {file}")


def test_other_files_are_no_models_either(tmp_path: Path) -> None:
    for name, words in (
        ("dream.ckpt", "this is a pickle, which can run any code when it is opened"),
        ("dream.PT", "look for the same model with safetensors weights"),
        ("dream.gguf", "this is a GGUF file, whose small numbers are made for other programs; look for the same model"),
        ("dream.txt", "a model is a .safetensors file or a folder in diffusers layout, and this is a file of another"),
    ):
        (tmp_path / name).write_bytes(b"\x80\x02 whatever")
        assert words in refused(tmp_path / name)
        with pytest.raises(ModelError, match=words):
            models.find_decoder(str(tmp_path / name))


def test_weights_beside_a_model_are_named(tmp_path: Path) -> None:
    folder = make(tmp_path / "m")
    checkpoint(folder / "style.safetensors", "lora_unet_down_blocks_0.alpha")
    checkpoint(folder / "word.safetensors", "emb_params")
    said = models.inspect(str(folder))["notes"]
    assert said == [
        "style.safetensors lies beside the model's parts and is not used: it is a LoRA",
        "word.safetensors lies beside the model's parts and is not used: it is an embedding",
    ]


def test_an_index_may_carry_settings_beside_the_parts(tmp_path: Path) -> None:
    folder = make(tmp_path / "m", text_encoder_select_layers=[2, 5, 8], is_distilled=True, names=["a", "b", "c"])
    assert "text_encoder_select_layers" not in find(str(folder)).components


def test_a_part_of_a_model_is_told_from_a_model(tmp_path: Path) -> None:
    assert refused(make(tmp_path / "m") / "unet").endswith("but a part of one; name the folder above it")


def test_weights_that_are_not_read_may_be_broken(tmp_path: Path) -> None:
    folder = make(tmp_path / "m", weights="diffusion_pytorch_model.safetensors")
    (folder / "unet" / "diffusion_pytorch_model.non_ema.safetensors").write_bytes(b"cut")
    assert find(str(folder)).path == folder
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    assert "weights under another name than the libraries look for" in refused(folder)


def cached(cache: Path, repository: str) -> Path:
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    return make(folder / "snapshots" / "abc")


def test_the_cache_is_looked_into_without_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(models, "house_model_dir", lambda: tmp_path / "nothing")
    snapshot = cached(tmp_path, "owner/a-model")
    (snapshot / "README.md").write_text("---\nlicense: openrail++\n---\n")
    assert find("owner/a-model").path == snapshot
    assert [p.name for p in models.list_models()] == ["owner/a-model"]
    told = models.inspect("owner/a-model")
    assert told["licence"] == "openrail++" and told["source"] == "cache" and told["fast_path"] is True
    assert told["components"]["unet"] == {"class": "UNet2DConditionModel", "library": "diffusers", "bytes": len(WHOLE)}
    assert told["bytes"] == 3 * len(WHOLE)
    # A fetch alone would find the file there and leave it.
    (snapshot / "vae" / "model.safetensors").write_bytes(WHOLE[:-1])
    said = refused("owner/a-model")
    assert said.endswith(f"delete {tmp_path / 'models--owner--a-model'}, then run `pedesis models fetch owner/a-model`")


def test_a_decoder_is_a_folder_with_safetensors(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"_class_name": "AutoencoderTiny"}')
    with pytest.raises(ModelError, match="has no weights"):
        models.find_decoder(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match="not a safetensors file"):
        models.find_decoder(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(WHOLE)
    assert models.find_decoder(str(tmp_path)) == tmp_path
