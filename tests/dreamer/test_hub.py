"""Downloading models: what comes down, each part's weights once, and what is said when nothing can. No network."""

import errno
import json
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

from engine.dreamer import hub
from engine.dreamer.models import ModelError

CLIP, KL = ("transformers", "CLIPTextModel"), ("diffusers", "AutoencoderKL")
UNET = ("diffusers", "UNet2DConditionModel")
SD = {
    "feature_extractor": ("transformers", "CLIPImageProcessor"),
    "safety_checker": ("stable_diffusion", "StableDiffusionSafetyChecker"),
    "scheduler": ("diffusers", "PNDMScheduler"),
    "text_encoder": CLIP,
    "tokenizer": ("transformers", "CLIPTokenizer"),
    "unet": UNET,
    "vae": KL,
}
XL = {
    "scheduler": ("diffusers", "EulerDiscreteScheduler"),
    "text_encoder": CLIP,
    "text_encoder_2": ("transformers", "CLIPTextModelWithProjection"),
    "tokenizer": ("transformers", "CLIPTokenizer"),
    "tokenizer_2": ("transformers", "CLIPTokenizer"),
    "unet": UNET,
    "vae": KL,
}
_NET, _TEXT = "diffusion_pytorch_model", "model"
_VOCABULARY = ("merges.txt", "special_tokens_map.json", "tokenizer_config.json", "vocab.json")


def files(folder: str, *names: str) -> list[str]:
    return [f"{folder}/{n}" for n in names]


def copies(stem: str, pickle: str, *more: str) -> tuple[str, ...]:
    """Safetensors and pickles in full and half precision, as the older repositories have them."""
    return ("config.json", *(f"{s}{v}" for s in (stem, f"{stem}.fp16") for v in (".safetensors",)), f"{pickle}.bin",
            f"{pickle}.fp16.bin", *more)  # fmt: skip


_OTHERS = ("flax_model.msgpack", "model.onnx", "model.onnx_data", "openvino_model.bin", "openvino_model.xml")
_ROOT = [".gitattributes", "README.md", "model_index.json"]

# The lists of these repositories, as the hub shows them.
SD_1_5 = [
    *_ROOT,
    "v1-5-pruned-emaonly.ckpt", "v1-5-pruned-emaonly.safetensors", "v1-5-pruned.ckpt", "v1-5-pruned.safetensors",
    "v1-inference.yaml",
    "feature_extractor/preprocessor_config.json",
    *files("safety_checker", *copies("model", "pytorch_model")),
    "scheduler/scheduler_config.json",
    *files("text_encoder", *copies("model", "pytorch_model")),
    *files("tokenizer", *_VOCABULARY),
    *files("unet", *copies(_NET, _NET, f"{_NET}.non_ema.bin", f"{_NET}.non_ema.safetensors")),
    *files("vae", *copies(_NET, _NET)),
]  # fmt: skip
SD_2_1 = [
    *_ROOT,
    "v2-1_768-ema-pruned.ckpt", "v2-1_768-ema-pruned.safetensors",
    "v2-1_768-nonema-pruned.ckpt", "v2-1_768-nonema-pruned.safetensors",
    "feature_extractor/preprocessor_config.json",
    "scheduler/scheduler_config.json",
    *files("text_encoder", *copies("model", "pytorch_model")),
    *files("tokenizer", *_VOCABULARY),
    *files("unet", *copies(_NET, _NET)),
    *files("vae", *copies(_NET, _NET)),
]  # fmt: skip
SDXL = [
    *_ROOT,
    "01.png", "LICENSE.md", "comparison.png", "pipeline.png",
    "sd_xl_base_1.0.safetensors", "sd_xl_base_1.0_0.9vae.safetensors", "sd_xl_offset_example-lora_1.0.safetensors",
    "scheduler/scheduler_config.json",
    *files("text_encoder", "config.json", "model.fp16.safetensors", "model.safetensors", *_OTHERS),
    *files("text_encoder_2", "config.json", "model.fp16.safetensors", "model.safetensors", *_OTHERS),
    *files("tokenizer", *_VOCABULARY),
    *files("tokenizer_2", *_VOCABULARY),
    *files("unet", "config.json", f"{_NET}.fp16.safetensors", f"{_NET}.safetensors", *_OTHERS),
    *files("vae", "config.json", f"{_NET}.fp16.safetensors", f"{_NET}.safetensors", "diffusion_flax_model.msgpack"),
    *files("vae_1_0", "config.json", f"{_NET}.fp16.safetensors", f"{_NET}.safetensors"),
    *files("vae_decoder", "config.json", "model.onnx", "openvino_model.bin", "openvino_model.xml"),
    *files("vae_encoder", "config.json", "model.onnx", "openvino_model.bin", "openvino_model.xml"),
]  # fmt: skip
SD_TURBO = [
    *_ROOT,
    "LICENSE.md", "output_tile.jpg", "sd_turbo.safetensors",
    "scheduler/scheduler_config.json",
    *files("text_encoder", "config.json", "model.fp16.safetensors", "model.safetensors"),
    *files("tokenizer", *_VOCABULARY),
    *files("unet", "config.json", f"{_NET}.fp16.safetensors", f"{_NET}.safetensors"),
    *files("vae", "config.json", f"{_NET}.fp16.safetensors", f"{_NET}.safetensors"),
]  # fmt: skip
SDXL_TURBO = [
    *(n for n in SDXL if not n.startswith(("sd_xl", "vae_"))),
    "sd_xl_turbo_1.0.safetensors", "sd_xl_turbo_1.0_fp16.safetensors",
]  # fmt: skip
LCM = [
    *_ROOT,
    "LCM_Dreamshaper_v7_4k.safetensors", "inference.py", "lcm_pipeline.py", "lcm_scheduler.py",
    "feature_extractor/preprocessor_config.json",
    *files("safety_checker", "config.json", "model.safetensors", "pytorch_model.bin"),
    "scheduler/scheduler_config.json",
    *files("text_encoder", "config.json", "model.safetensors", "pytorch_model.bin"),
    *files("tokenizer", *_VOCABULARY),
    *files("unet", "config.json", f"{_NET}.bin", f"{_NET}.safetensors"),
    *files("vae", "config.json", f"{_NET}.bin", f"{_NET}.safetensors"),
]  # fmt: skip
_NO_CHECKER = {n: k for n, k in SD.items() if n != "safety_checker"}


@pytest.mark.parametrize(
    ("names", "parts"),
    [(SD_1_5, SD), (SD_2_1, _NO_CHECKER), (SDXL, XL), (SDXL_TURBO, XL), (SD_TURBO, _NO_CHECKER), (LCM, SD)],
    ids=["sd-1.5", "sd-2.1", "sdxl", "sdxl-turbo", "sd-turbo", "lcm"],
)
def test_the_weights_of_each_part_come_down_once(names: list[str], parts: dict[str, tuple[str, str]]) -> None:
    wanted = hub.wanted("owner/m", names, parts)
    networks = [n for n in parts if n.startswith(("text_encoder", "unet", "vae"))]
    weights = {part: f"{part}/{_TEXT if 'text' in part else _NET}.safetensors" for part in networks}
    assert sorted(n for n in wanted if not n.endswith((".json", ".txt", ".md"))) == sorted(weights.values())
    assert all(f"{part}/config.json" in wanted for part in networks)
    assert "scheduler/scheduler_config.json" in wanted and set(files("tokenizer", *_VOCABULARY)) <= set(wanted)
    assert {"model_index.json", "README.md"} <= set(wanted) and len(wanted) == len(set(wanted))
    assert not any(n.startswith(("safety_checker", "feature_extractor", "vae_")) for n in wanted)


def weights(*names: str, kind: tuple[str, str] = UNET) -> list[str]:
    wanted = hub.wanted("owner/m", files("unet", "config.json", *names), {"unet": kind})
    return [n.removeprefix("unet/") for n in wanted if n.endswith(".safetensors")]


def test_half_precision_shards_and_odd_copies() -> None:
    shards = [f"{_NET}-0000{n}-of-00002.safetensors" for n in (1, 2)]
    halves = [f"{_NET}.fp16-0000{n}-of-00002.safetensors" for n in (1, 2)]
    old = [f"{_NET}-0000{n}-of-00002.fp16.safetensors" for n in (1, 2)]
    assert weights(*shards, *halves, *old) == shards
    assert weights(*halves) == halves and weights(*old) == old
    assert weights(f"{_NET}.fp16.safetensors", *(s.replace("fp16", "bf16") for s in halves)) == [
        f"{_NET}.fp16.safetensors"
    ]
    assert weights(f"{_NET}.safetensors", *shards) == shards
    texts = ["model.safetensors", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    assert weights(*texts, kind=CLIP) == ["model.safetensors"]


def test_a_decoder_comes_down_once() -> None:
    names = ["README.md", "config.json", f"{_NET}.safetensors", "taesd_decoder.safetensors", f"{_NET}.bin", "a/b.json"]
    assert hub.wanted("owner/m", names, None) == ["README.md", "config.json", f"{_NET}.safetensors"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (files("unet", "config.json", f"{_NET}.bin"), "unet/ has only pickled weights .*never loaded"),
        (
            files("unet", "config.json", f"{_NET}.non_ema.safetensors"),
            "unet/ has weights under another name than the libraries",
        ),
        (["unet/config.json"], r"unet/ has no weights \(\*\.safetensors\)"),
    ],
)
def test_a_part_without_weights_is_refused_before_anything_comes_down(names: list[str], said: str) -> None:
    with pytest.raises(ModelError, match=f"^owner/m: {said}.*; nothing was downloaded$"):
        hub.wanted("owner/m", names, {"unet": UNET})


def test_a_repository_of_single_files_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=r"neither a model in diffusers layout .* nor a decoder"):
        hub.wanted("owner/m", ["README.md", "dream.safetensors", "dream.ckpt"], None)


def test_an_ip_adapter_comes_with_its_image_encoder() -> None:
    names = [
        "README.md", *files("models", "ip-adapter_sd15.bin", "ip-adapter_sd15.safetensors"),
        *files("models/image_encoder", "config.json", "model.safetensors", "pytorch_model.bin"),
        *files("sdxl_models", "ip-adapter_sdxl.safetensors", "ip-adapter_sdxl_vit-h.safetensors"),
        *files("sdxl_models/image_encoder", "config.json", "model.safetensors"),
    ]  # fmt: skip
    for folder, file, place in (
        ("models", "ip-adapter_sd15", "models"),
        ("sdxl_models", "ip-adapter_sdxl", "sdxl_models"),
        ("sdxl_models", "ip-adapter_sdxl_vit-h", "models"),
    ):
        name = f"{folder}/{file}.safetensors"
        encoder = files(f"{place}/image_encoder", "config.json", "model.safetensors")
        assert hub.adapter_files("owner/ip", name, names) == ["README.md", name, *encoder]
    with pytest.raises(ModelError, match=r"there is no models/other\.safetensors in it, but models/ip-adapter_sd15"):
        hub.adapter_files("owner/ip", "models/other.safetensors", names)
    with pytest.raises(ModelError, match=r"no image encoder beside ip\.safetensors; nothing was downloaded"):
        hub.adapter_files("owner/ip", "ip.safetensors", ["ip.safetensors"])


def fake_hub(
    monkeypatch: pytest.MonkeyPatch, names: list[str], calls: list[dict[str, object]], tmp_path: Path | None = None
) -> None:
    siblings = [SimpleNamespace(rfilename=n, size=10**9) for n in names]
    info = SimpleNamespace(card_data={"license": "mit"}, siblings=siblings)
    monkeypatch.setattr(huggingface_hub, "model_info", lambda *a, **k: info)

    def download(repository: str, **options: object) -> str:
        calls.append(options)
        return "/cache/somewhere"

    def download_one(repository: str, name: str) -> str:
        assert name == "model_index.json" and tmp_path is not None
        index = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}
        (tmp_path / name).write_text(json.dumps(index))
        return str(tmp_path / name)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download_one)


def test_fetch_shows_licence_and_size_and_takes_what_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[dict[str, object]] = []
    names = ["model_index.json", "sd.safetensors", "unet/[a].json", "unet/config.json", *files("unet", f"{_NET}.bin")]
    fake_hub(monkeypatch, [*names, f"unet/{_NET}.safetensors"], calls, tmp_path)
    told: list[str] = []
    assert hub.fetch("owner/m", told.append) == Path("/cache/somewhere")
    assert "licence mit" in told[0] and told[1] == "owner/m: 4.00 GB in 4 files"
    patterns = ["model_index.json", "unet/[[]a].json", "unet/config.json", f"unet/{_NET}.safetensors"]
    assert calls == [{"allow_patterns": patterns}]


def test_fetch_refuses_code_of_its_own_before_downloading(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[dict[str, object]] = []
    fake_hub(monkeypatch, ["model_index.json", "unet/a.bin"], calls, tmp_path)
    with pytest.raises(ModelError, match="unet/ has only pickled weights"):
        hub.fetch("owner/m", lambda _: None)
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": ["mine", "Mine"]}))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_: str(tmp_path / "model_index.json"))
    with pytest.raises(ModelError, match="code of its own"):
        hub.fetch("owner/m", lambda _: None)
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "WanPipeline"}))
    with pytest.raises(ModelError, match=r"WanPipeline cannot be walked: it makes videos, .*; nothing was downloaded"):
        hub.fetch("owner/m", lambda _: None)
    assert calls == []


def not_fetched(monkeypatch: pytest.MonkeyPatch, fault: Exception, call: str = "model_info") -> str:
    def fails(*_: object, **__: object) -> None:
        raise fault

    fake_hub(monkeypatch, ["config.json", "model.safetensors"], [])
    monkeypatch.setattr(huggingface_hub, call, fails)
    with pytest.raises(ModelError) as caught:
        hub.fetch("owner/m", lambda _: None)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix("owner/m: ")


class StrangeError(Exception):
    """Of a library that the hub's own uses: not an OSError, nor any other kind that we know of."""


@pytest.mark.parametrize("call", ["model_info", "snapshot_download"])
def test_fetch_without_a_network_is_one_sentence(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    for kind in (ConnectionError, StrangeError):
        said = not_fetched(monkeypatch, kind("no route to host\nand more"), call)
        assert said == "could not be downloaded (no route to host); is this machine online?"


def test_fetch_without_a_network_for_real(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the HTTP client of the day raises: its errors are not the hub library's."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setattr(huggingface_hub, "model_info", huggingface_hub.HfApi("http://127.0.0.1:9").model_info)
    with pytest.raises(ModelError, match=r"^nope/nope_zz: could not be downloaded \(.+\); is this machine online\?$"):
        hub.fetch("nope/nope_zz", lambda _: None)


def test_fetch_says_the_cure_for_each_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, cure in (
        (GatedRepoError, "accept terms first"),
        (RepositoryNotFoundError, "no such repository"),
        (HfHubHTTPError, "try again later"),
    ):
        fault = kind.__new__(kind)  # made from an HTTP answer, which is another class in another version
        Exception.__init__(fault, "503")
        assert cure in not_fetched(monkeypatch, fault)
    assert "HF_HUB_OFFLINE" in not_fetched(monkeypatch, OfflineModeIsEnabled("offline"))
    assert "free some space" in not_fetched(monkeypatch, OSError(errno.ENOSPC, "No space left"), "snapshot_download")
    assert "HF_HOME" in not_fetched(monkeypatch, PermissionError(errno.EACCES, "Permission denied"))


def test_fetch_asks_nobody_for_a_name_that_cannot_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "model_info", lambda *_, **__: pytest.fail("the network was asked"))
    with pytest.raises(ModelError, match="house: this model is built in, so there is nothing to fetch"):
        hub.fetch("house")
    for name in ("nonsense", "bad name/with spaces", "a/b/c", "./my-model", "/my/model", "a/b.git", ""):
        with pytest.raises(ModelError, match="name a Hugging Face repository as owner/name") as caught:
            hub.fetch(name)
        assert "network" not in str(caught.value)
    with pytest.raises(ModelError, match="give the name of the repository, a/b, not its address"):
        hub.fetch("https://huggingface.co/a/b")


def test_the_vocabulary_that_checkpoints_in_one_file_need_is_fetched_without_its_network() -> None:
    names = ["config.json", "merges.txt", "model.safetensors", "pytorch_model.bin", "tokenizer.json", "vocab.json"]
    assert hub.wanted("openai/clip-vit-large-patch14", names, None) == ["vocab.json", "merges.txt", "tokenizer.json"]
