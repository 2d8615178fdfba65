"""Finding models: what is found, what is refused and in which words. No network, no torch."""

import errno
import json
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

from engine.dreamer import models
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


def test_broken_weights_are_said_before_anything_starts(tmp_path: Path) -> None:
    folder = make(tmp_path / "m")
    (folder / "unet" / "model.safetensors").write_bytes(b"\x7fgarbage" * 99)
    said = refused(folder)
    assert "unet/model.safetensors is cut short or no safetensors file (792 bytes)" in said
    assert said.endswith("copy or fetch the model again")
    (folder / "unet" / "model.safetensors").write_bytes(WHOLE[:-1])
    assert f"should have {len(WHOLE)} bytes and has {len(WHOLE) - 1}" in refused(folder)


def test_a_network_needs_its_config(tmp_path: Path) -> None:
    folder = make(tmp_path / "m")
    (folder / "unet" / "config.json").write_text("{ not json")
    assert "config.json cannot be read" in refused(folder)
    (folder / "unet" / "config.json").unlink()
    assert "unet/ needs a config.json beside its weights, has none; copy or fetch" in refused(folder)


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
        (WHOLE[:-1], "bytes and has"),
        (b"version https://git-lfs.github.com/spec/v1\n", "no safetensors file"),
        (b"", "no safetensors file"),
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
    assert told["components"]["unet"] == {"class": "UNet2DConditionModel", "library": "diffusers", "bytes": len(WHOLE)}
    assert told["bytes"] == 3 * len(WHOLE)
    # A fetch alone would find the file there and leave it.
    (snapshot / "vae" / "model.safetensors").write_bytes(WHOLE[:-1])
    said = refused("owner/a-model")
    assert f"delete {tmp_path / 'models--owner--a-model'} and fetch" in said and "fetch owner/a-model" in said


def test_a_decoder_is_a_folder_with_safetensors(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"_class_name": "AutoencoderTiny"}')
    with pytest.raises(ModelError, match="found none"):
        models.find_decoder(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match="no safetensors file"):
        models.find_decoder(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(WHOLE)
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
    halves = [f"t5/m.fp16-0000{n}-of-00002.safetensors" for n in (1, 2)]
    names = ["model_index.json", "unet/a.safetensors", "unet/a.fp16.safetensors", "unet/a.bin", "sd.safetensors"]
    names += [*halves, *(f"t5/m-0000{n}-of-00004.safetensors" for n in (1, 2, 3, 4)), "vae/only.fp16.safetensors"]
    fake_hub(monkeypatch, names, calls)
    told: list[str] = []
    assert models.fetch("owner/m", told.append) == Path("/cache/somewhere")
    assert "licence mit" in told[0]
    assert calls[0]["ignore_patterns"] == ["sd.safetensors", "unet/a.fp16.safetensors", *halves]
    allowed = calls[0]["allow_patterns"]
    assert isinstance(allowed, list) and "*.safetensors" in allowed
    assert not any(p.endswith((".bin", ".py", ".ckpt", "*")) for p in allowed)


def test_fetch_refuses_a_repository_of_pickles_before_downloading(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, object]] = []
    fake_hub(monkeypatch, ["model_index.json", "unet/a.bin"], calls)
    with pytest.raises(ModelError, match="needs safetensors"):
        models.fetch("owner/m", lambda _: None)
    assert calls == []


def not_fetched(monkeypatch: pytest.MonkeyPatch, fault: Exception, call: str = "model_info") -> str:
    def fails(*_: object, **__: object) -> None:
        raise fault

    fake_hub(monkeypatch, ["model_index.json", "unet/a.safetensors"], [])
    monkeypatch.setattr(huggingface_hub, call, fails)
    with pytest.raises(ModelError) as caught:
        models.fetch("owner/m", lambda _: None)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix("owner/m: ")


class StrangeError(Exception):
    """Of a library that the hub's own uses: not an OSError, nor any other kind that we know of."""


@pytest.mark.parametrize("call", ["model_info", "snapshot_download"])
def test_fetch_without_a_network_is_one_sentence(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    for kind in (ConnectionError, StrangeError):
        said = not_fetched(monkeypatch, kind("no route to host\nand more"), call)
        assert said == "could not be downloaded (no route to host); is the network up?"


def test_fetch_without_a_network_for_real(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the HTTP client of the day raises: its errors are not the hub library's."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setattr(huggingface_hub, "model_info", huggingface_hub.HfApi("http://127.0.0.1:9").model_info)
    with pytest.raises(ModelError, match=r"^nope/nope_zz: could not be downloaded \(.+\); is the network up\?$"):
        models.fetch("nope/nope_zz", lambda _: None)


def test_fetch_says_the_cure_for_each_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, cure in (
        (GatedRepoError, "agree to terms"),
        (RepositoryNotFoundError, "no such repository"),
        (HfHubHTTPError, "try again later"),
    ):
        fault = kind.__new__(kind)  # made from an HTTP answer, which is another class in another version
        Exception.__init__(fault, "503")
        assert cure in not_fetched(monkeypatch, fault)
    assert "HF_HUB_OFFLINE" in not_fetched(monkeypatch, OfflineModeIsEnabled("offline"))
    assert "make room" in not_fetched(monkeypatch, OSError(errno.ENOSPC, "No space left"), "snapshot_download")
    assert "HF_HOME" in not_fetched(monkeypatch, PermissionError(errno.EACCES, "Permission denied"))


def test_fetch_asks_nobody_for_a_name_that_cannot_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "model_info", lambda *_, **__: pytest.fail("the network was asked"))
    with pytest.raises(ModelError, match="house: is built in, there is nothing to fetch"):
        models.fetch("house")
    for name in ("nonsense", "bad name/with spaces", "a/b/c", "./my-model", "/my/model", "a/b.git", ""):
        with pytest.raises(ModelError, match="needs the name of a Hugging Face repository as owner/name") as caught:
            models.fetch(name)
        assert "network" not in str(caught.value)
