"""ControlNets and IP-Adapters on disk: what one is, whether it fits, and one sentence where it does not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from engine.dreamer import guide_files, models
from engine.dreamer.models import ModelError
from engine.show.specs import ModelSpec
from tests import tiny_guides, tiny_models

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' advice to themselves


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of each family, with a ControlNet and an IP-Adapter of its own."""
    root = tmp_path_factory.mktemp("models")
    for kind in ("sd", "sdxl"):
        pipe = tiny_models.BUILDERS[kind]()
        pipe.save_pretrained(root / kind)
        tiny_guides.controlnet(pipe.unet).save_pretrained(root / f"{kind}-lines")
        tiny_guides.save_adapter(pipe.unet, root / f"{kind}-ip.safetensors")
    tiny_models.save("sd3", root / "sd3")
    return root


def check(root: Path, model: str, **spec: str) -> None:
    named = {key: str(root / value) if not value.startswith("owner/") else value for key, value in spec.items()}
    guide_files.check(models.find(str(root / model)), ModelSpec(name=str(root / model), **named))


def refused(root: Path, model: str, **spec: str) -> str:
    with pytest.raises(ModelError) as error:
        check(root, model, **spec)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_fits_is_taken(root: Path) -> None:
    for kind in ("sd", "sdxl"):
        check(root, kind, control=f"{kind}-lines", adapter=f"{kind}-ip.safetensors")
        check(root, kind, adapter=f"{kind}-ip.safetensors", adapter_encoder="image_encoder")


def test_what_is_for_another_family_is_refused(root: Path) -> None:
    wide = "made for a model with words 64 numbers wide, and this model's are 32"
    assert f"this ControlNet is {wide}" in refused(root, "sd", control="sdxl-lines")
    assert f"this IP-Adapter is {wide}" in refused(root, "sd", adapter="sdxl-ip.safetensors")
    for key, value in (("control", "sd-lines"), ("adapter", "sd-ip.safetensors")):
        said = refused(root, "sd3", **{key: value})
        assert f"model.{key} is for Stable Diffusion 1, 2 and XL, and this model is another" in said


def edited(root: Path, folder: Path, **config: Any) -> str:
    """The ControlNet in another folder, with other settings."""
    folder.mkdir(parents=True)
    for file in (root / "sd-lines").iterdir():
        (folder / file.name).symlink_to(file)
    own = json.loads((folder / "config.json").read_text())
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps(own | config))
    return str(folder)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"cross_attention_dim": 2048}, "made for Stable Diffusion XL, and this model is one with words 32"),
        ({"addition_embed_type": "text_time"}, "another shape (addition_embed_type text_time, this model's None)"),
        ({"block_out_channels": [16, 64]}, "another shape (block_out_channels [16, 64], this model's [16, 32])"),
        ({"conditioning_embedding_out_channels": [8, 8, 16]}, "4 pixels a cell, and this model has 8"),
        ({"conditioning_channels": 1}, "is shown pictures of 1 channels, and guides have 3"),
        ({"_class_name": "ControlNetUnionModel"}, "one for many kinds of pictures at once (Union)"),
        ({"_class_name": "FluxControlNetModel"}, "one for another family"),
        ({"_class_name": "T2IAdapter"}, "a T2I-Adapter, which Pedesis does not read"),
        ({"_class_name": "AutoencoderTiny"}, "this is no ControlNet, but of the class AutoencoderTiny"),
    ],
)
def test_a_controlnet_of_another_shape_or_kind_is_refused(
    root: Path, tmp_path: Path, config: dict[str, Any], said: str
) -> None:
    assert said in refused(root, "sd", control=edited(root, tmp_path / "other", **config))


def test_files_that_are_missing_or_damaged_are_said_in_a_sentence(root: Path, tmp_path: Path) -> None:
    assert "there is no such folder" in refused(root, "sd", control="nowhere")
    assert "not on this machine; `pedesis models fetch owner/lines`" in refused(root, "sd", control="owner/lines")
    assert "it is a whole model" in refused(root, "sd", control="sdxl")
    assert "is a folder in diffusers layout" in refused(root, "sd", control="sd-ip.safetensors")
    assert "there is no such file" in refused(root, "sd", adapter="nowhere.safetensors")
    assert "name the .safetensors file in it" in refused(root, "sd", adapter="sd-lines")
    (root / "ip.bin").write_bytes(b"\x80\x02")
    assert "never opens one" in refused(root, "sd", adapter="ip.bin")
    for name, key in (("sd-ip.safetensors", "adapter"), ("sd-lines", "control")):
        file = root / name if key == "adapter" else root / name / "diffusion_pytorch_model.safetensors"
        cut = tmp_path / key / name
        (cut if key == "control" else cut.parent).mkdir(parents=True)
        target = cut / file.name if key == "control" else cut
        target.write_bytes(file.read_bytes()[:-100])
        if key == "control":
            (cut / "config.json").write_text((root / name / "config.json").read_text())
        assert "should have" in refused(root, "sd", **{key: str(cut)})
    alone = tmp_path / "alone" / "ip.safetensors"
    alone.parent.mkdir()
    alone.write_bytes((root / "sd-ip.safetensors").read_bytes())
    assert "there is no image encoder beside it" in refused(root, "sd", adapter=str(alone))
    assert "this is no image encoder of CLIP's" in refused(
        root, "sd", adapter=str(alone), adapter_encoder="sd/text_encoder"
    )
    assert "model.adapter_encoder is for an IP-Adapter" in refused(root, "sd", adapter_encoder="image_encoder")


def test_adapters_of_layouts_that_are_not_read_are_told(root: Path, tmp_path: Path) -> None:
    unet = tiny_models.sd().unet

    def saved(name: str, **more: torch.Tensor) -> str:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "image_encoder").symlink_to(root / "image_encoder")
        return str(tiny_guides.save_adapter(unet, folder / "ip.safetensors", **more))

    face = saved("face", **{"ip_adapter.0.to_q_lora.down.weight": torch.zeros(2, 2)})
    assert "for faces (FaceID)" in refused(root, "sd", adapter=face)
    other = saved("other", **{"image_proj.proj.weight": torch.zeros(128, 1280)})
    assert "takes 1280 numbers of an image encoder, and this one gives 16" in refused(root, "sd", adapter=other)
    plain = tmp_path / "plain.safetensors"
    save_file({"weight": torch.zeros(2)}, str(plain))
    assert "this is no IP-Adapter" in refused(root, "sd", adapter=str(plain))


def test_inspect_says_what_they_are(root: Path) -> None:
    described: Callable[[str], Any] = lambda name: guide_files.describe(str(root / name))  # noqa: E731
    lines = described("sd-lines")
    assert (lines["kind"], lines["why_not"]) == ("a ControlNet", None)
    assert "model.control" in lines["use"] and lines["shown"] == "3 channels, 8 pixels a cell"
    adapter = described("sd-ip.safetensors")
    assert (adapter["kind"], adapter["why_not"], adapter["words"]) == ("an IP-Adapter", None, 4)
    assert adapter["encoder"] == str(root / "image_encoder")
    said: list[str] = []
    guide_files.tell(adapter, said.append)
    assert said[-1].startswith("use        model.adapter = ")
    for name in ("sd", "sdxl", "image_encoder", "nowhere"):
        assert described(name) is None


def test_one_that_is_named_as_the_model_is_told_where_it_belongs(root: Path) -> None:
    with pytest.raises(ModelError, match=r"a ControlNet alone, and no model; a model takes it as model\.control"):
        models.find(str(root / "sd-lines"))
