"""Finding models: what is found, what is refused and in which words. No network, no torch."""

import json
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import constants

from engine import models
from engine.models import ModelError, find

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
        (folder / part / weights).write_bytes(b"12345678")
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
    assert "safety_checker" not in place.components and models.is_fast(place.pipeline)


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
    assert "vae" in refused(folder) and "found none" in refused(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"_class_name": ["my_pipeline", "MyPipeline"]}, "code of its own"),
        ({"unet": ["my_unet", "MyUNet"]}, "code of its own"),
        ({"unet": ["../evil", "MyUNet"]}, "code of its own"),
        ({"unet": ["os", "system"]}, "code of its own"),
        ({"unet": ["diffusers"]}, "needs [library, class]"),
        ({"_class_name": None}, "needs a pipeline class"),
        ({"_class_name": "os.system"}, "needs a pipeline class"),
    ],
)
def test_code_of_its_own_and_nonsense_are_refused(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    assert said in refused(make(tmp_path / "m", **changes))


def test_a_bad_or_missing_index_is_one_sentence(tmp_path: Path) -> None:
    folder = make(tmp_path / "m")
    (folder / "model_index.json").write_text("{ not json")
    assert "model_index.json cannot be read" in refused(folder)
    (folder / "model_index.json").write_text("[1]")
    assert "needs a JSON object" in refused(folder)
    (folder / "model_index.json").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in refused(folder)
    (folder / "model_index.json").unlink()
    assert "has a model_index.json, this one has none" in refused(folder)


def test_names_that_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert "no such folder" in refused("/no/such/folder")
    assert "no such folder" in refused("a/b/c")
    assert "no such folder" in refused("nonsense")
    assert "pedesis models fetch stabilityai/sd-turbo" in refused("stabilityai/sd-turbo")
    assert "not a Hugging Face repository name" in refused("bad name/with spaces")


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
    assert told["components"]["unet"] == {"class": "UNet2DConditionModel", "library": "diffusers", "bytes": 8}
    assert told["bytes"] == 24


def test_a_decoder_is_a_folder_with_safetensors(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"_class_name": "AutoencoderTiny"}')
    with pytest.raises(ModelError, match="found none"):
        models.find_decoder(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"x")
    assert models.find_decoder(str(tmp_path)) == tmp_path


def fake_hub(monkeypatch: pytest.MonkeyPatch, names: list[str], calls: list[dict[str, object]]) -> None:
    info = SimpleNamespace(card_data={"license": "mit"}, siblings=[SimpleNamespace(rfilename=n) for n in names])
    monkeypatch.setattr(huggingface_hub, "model_info", lambda *a, **k: info)

    def download(repository: str, **options: object) -> str:
        calls.append(options)
        return "/cache/somewhere"

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)


def test_fetch_shows_the_licence_and_takes_safetensors_only(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, object]] = []
    names = ["model_index.json", "unet/a.safetensors", "unet/a.fp16.safetensors", "unet/a.bin", "sd.safetensors"]
    fake_hub(monkeypatch, names, calls)
    told: list[str] = []
    assert models.fetch("owner/m", told.append) == Path("/cache/somewhere")
    assert "licence mit" in told[0]
    assert calls[0]["ignore_patterns"] == ["sd.safetensors", "unet/a.fp16.safetensors"]
    allowed = calls[0]["allow_patterns"]
    assert isinstance(allowed, list) and "*.safetensors" in allowed
    assert not any(p.endswith((".bin", ".py", ".ckpt", "*")) for p in allowed)


def test_fetch_refuses_a_repository_of_pickles_before_downloading(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, object]] = []
    fake_hub(monkeypatch, ["model_index.json", "unet/a.bin"], calls)
    with pytest.raises(ModelError, match="needs safetensors"):
        models.fetch("owner/m", lambda _: None)
    assert calls == []


def test_fetch_without_a_network_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise ConnectionError("no route to host\nand more")

    monkeypatch.setattr(huggingface_hub, "model_info", no_network)
    with pytest.raises(ModelError, match=r"could not be downloaded \(no route to host\); is the network up\?$"):
        models.fetch("owner/m", lambda _: None)
