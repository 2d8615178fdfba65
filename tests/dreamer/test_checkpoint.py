"""Checkpoints in one file dream what the same model in a folder dreams; the header alone says what a file is."""

import json
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants

from engine.dreamer import checkpoint, models
from engine.dreamer.models import ModelError, find
from tests import single_files, tiny_models
from tests.dreamer.test_dreamer import dreamer, waypoint

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' advice to themselves

FIRST = "model.diffusion_model.input_blocks.0.0.weight"


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for tiny checkpoints, with a vocabulary in it."""
    single_files.use_layouts(monkeypatch, tmp_path / "layouts")
    tiny_models.tokenizer().save_pretrained(tmp_path / "tokenizer")
    return tmp_path


def headed(file: Path, shapes: dict[str, list[int]]) -> Path:
    """A safetensors file with these tensors, of zeros."""
    entries, at = {}, 0
    for name, shape in shapes.items():
        size = 2 * int(np.prod(shape))
        entries[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    header = json.dumps(entries).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * at)
    return file


def refused(file: Path) -> str:
    with pytest.raises(ModelError) as caught:
        find(str(file))
    said = str(caught.value)
    assert said.startswith(f"{file}: ") and "\n" not in said
    return said


@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl"])
def test_one_file_dreams_what_the_folder_dreams(tiny: Path, kind: str) -> None:
    file = single_files.save(kind, tiny / f"{kind}-base.safetensors")
    pipe = single_files.KINDS[kind]()
    pipe.save_pretrained(tiny / kind)
    ours = dreamer(file).dream(waypoint())
    assert np.abs(ours.astype(int) - dreamer(tiny / kind).dream(waypoint())).max() == 0
    assert ours.std() > 5


def test_the_header_says_which_family_a_file_is_of(tiny: Path) -> None:
    for kind, title in (("sd1", "Stable Diffusion 1"), ("sd2", "Stable Diffusion 2"), ("sdxl", "Stable Diffusion XL")):
        told = models.inspect(str(single_files.save(kind, tiny / f"{kind}.safetensors")))
        assert (told["family"], told["source"], told["why_not"]) == (title, "file", None)
        assert all(told["components"][part]["bytes"] > 1000 for part in ("unet", "vae", "text_encoder"))


def test_the_shipped_layouts_are_the_families_own() -> None:
    """Of the real ones nothing is loaded here: their configurations must make networks of the published sizes."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    sizes = {"sd1": 859_520_964, "sd2": 865_910_724, "sdxl": 2_567_463_684}
    for kind, size in sizes.items():
        facts = json.loads((checkpoint.LAYOUTS / f"{kind}.json").read_text())
        with torch.device("meta"):
            unet, vae = UNet2DConditionModel.from_config(facts["unet"]), AutoencoderKL.from_config(facts["vae"])
        assert sum(p.numel() for p in unet.parameters()) == size
        assert sum(p.numel() for p in vae.parameters()) == 83_653_863
    with torch.device("meta"):
        text = CLIPTextModelWithProjection(CLIPTextConfig(**facts["text_encoder_2"]))
    assert sum(p.numel() for p in text.parameters()) == 694_659_840


def test_what_a_stable_diffusion_2_predicts_is_told_by_its_name(tiny: Path) -> None:
    for name, said in (("v2-1_768-ema.safetensors", "v_prediction"), ("sd_turbo.safetensors", "epsilon")):
        layout = find(str(single_files.save("sd2", tiny / name))).layout
        assert layout is not None and layout.configs["scheduler"]["prediction_type"] == said


def test_what_a_name_or_a_mark_says_of_the_steps_is_heard_and_a_guess_is_said(tiny: Path) -> None:
    plain = single_files.save("sdxl", tiny / "dream.safetensors")
    told = {"dream": (None, None), "dream_turbo": ("trailing", None), "noob-vpred": (None, "v_prediction")}
    for name, (spacing, predicts) in told.items():
        file = plain.rename(plain.with_stem(name)) if name != "dream" else plain
        layout, plain = find(str(file)).layout, file
        assert layout is not None and layout.note == ""
        said = layout.configs["scheduler"]
        shipped = json.loads((checkpoint.LAYOUTS / "sdxl.json").read_text())["scheduler"]
        assert said.get("timestep_spacing") == (spacing or shipped.get("timestep_spacing"))
        assert said.get("prediction_type") == (predicts or shipped.get("prediction_type"))
    place = find(str(plain.rename(plain.with_stem("dream LCM"))))
    assert place.components["scheduler"] == ("diffusers", "LCMScheduler")
    told_of = models.inspect(str(single_files.save("sd2", tiny / "dream2.safetensors")))
    assert "prediction_type=epsilon" in told_of["notes"][0] and told_of["sampled"].endswith("predicts v_prediction")


def test_tensors_that_a_family_has_no_place_for_are_not_dropped_without_a_word(tiny: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = single_files.save("sd1", tiny / "lcm.safetensors")
    tensors = load_file(file)
    save_file(tensors | {"model.diffusion_model.time_embed.cond_proj.weight": tensors[FIRST].clone()}, str(file))
    with pytest.raises(ModelError, match="the file has tensors that this family has no place for, 1 in all"):
        dreamer(file)


def test_a_file_without_a_decoder_takes_another(tiny: Path) -> None:
    file = single_files.save("sd1", tiny / "bare.safetensors", without=("first_stage_model.",))
    assert "without a decoder (VAE); set model.decoder to one" in refused(file)
    tiny_models.tiny_decoder().save_pretrained(tiny / "taesd")
    assert dreamer(file, decoder=str(tiny / "taesd")).dream(waypoint()).std() > 1


def test_a_file_without_its_text_encoder_is_refused(tiny: Path) -> None:
    file = single_files.save("sdxl", tiny / "bare.safetensors", without=("conditioner.embedders.0.",))
    assert "Stable Diffusion XL without its text_encoder, so it reads no words; get the whole" in refused(file)


def test_a_truncated_file_and_one_that_lacks_a_layer_are_one_sentence(tiny: Path) -> None:
    file = single_files.save("sd1", tiny / "cut.safetensors")
    file.write_bytes(file.read_bytes()[:-1])
    assert "bytes but has" in refused(file) and refused(file).endswith("copy or download it again")
    lacking = single_files.save("sd1", tiny / "hole.safetensors", without=("model.diffusion_model.middle_block.1.",))
    with pytest.raises(ModelError, match=r"its unet cannot be loaded \(ValueError: the file lacks mid_block"):
        dreamer(lacking)


def test_the_vocabulary_is_taken_from_a_model_of_this_machine_or_asked_for(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = single_files.save("sd1", tiny / "alone" / "dream.safetensors")
    said = refused(file)
    assert "`pedesis models fetch openai/clip-vit-large-patch14` gets it" in said
    assert models.inspect(str(file))["why_not"] in said
    snapshot = tiny / "hub" / "models--openai--clip-vit-large-patch14" / "snapshots" / "abc"
    tiny_models.tokenizer().save_pretrained(snapshot)
    layout = find(str(file)).layout
    assert layout is not None and layout.vocabulary == snapshot


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ({"lora_unet_down_blocks_0.alpha": [1]}, "this is a LoRA, an addition to a model"),
        ({"emb_params": [2, 768]}, "this is an embedding, which teaches a model a word"),
        ({"<a-cat>": [768]}, "this is an embedding, which teaches a model a word"),
        ({"lycoris_x.lokr_w1": [2]}, "this is a LoRA"),
        ({FIRST: [320, 4, 3, 3], "edm_mean": [4]}, "this is Playground 2.5"),
        ({"model.diffusion_model.joint_blocks.0.x": [1]}, "this is Stable Diffusion 3; Pedesis reads"),
        ({"double_blocks.0.img_attn.norm.key_norm.scale": [1]}, "this is a Flux model; Pedesis reads"),
        ({FIRST: [320, 9, 3, 3]}, "its U-Net takes 9 channels and not 4: it is made for a picture or a mask"),
        ({FIRST: [320, 4, 3, 3], "conditioner.embedders.0.model.x": [1]}, "this is the refiner"),
        ({"first_stage_model.decoder.conv_in.weight": [1]}, "this is a decoder (VAE) alone"),
        ({f"weight_{n}": [1] for n in range(9)}, "this is no checkpoint that is known here"),
    ],
)
def test_another_file_is_told_apart_by_its_header(tmp_path: Path, shapes: dict[str, list[int]], said: str) -> None:
    assert said in refused(headed(tmp_path / "x.safetensors", shapes))


@pytest.mark.parametrize(
    ("begins", "said"),
    [
        (b"PK\x03\x04" + b"x" * 99, "it is a pickle under another name, which can run code and is never loaded"),
        (b"GGUF\x03\0\0\0" + b"x" * 99, "it is a GGUF file"),
        (b"version https://git-lfs.github.com/spec/v1", "`git lfs pull` gets the file itself"),
        (b"<!DOCTYPE html><html></html>", "it is a web page, which came in the file's place"),
    ],
)
def test_a_file_under_another_name_says_what_it_is(tmp_path: Path, begins: bytes, said: str) -> None:
    (tmp_path / "x.safetensors").write_bytes(begins)
    assert said in refused(tmp_path / "x.safetensors")


def test_a_safetensors_file_under_another_name_and_a_decoder_are_told(tmp_path: Path) -> None:
    headed(tmp_path / "dream.safetensors", {FIRST: [320, 4, 3, 3]})
    with pytest.raises(ModelError, match="a decoder is a folder in diffusers layout, or a repository"):
        models.find_decoder(str(tmp_path / "dream.safetensors"))
    (tmp_path / "dream.safetensors").rename(tmp_path / "dream.ckpt")
    assert "under another name; call it dream.safetensors" in refused(tmp_path / "dream.ckpt")
    tiny_models.tiny_decoder().save_pretrained(tmp_path / "taesd")
    assert "a decoder alone (AutoencoderTiny), and no model" in refused(tmp_path / "taesd")


def test_a_pickle_says_how_it_is_converted_without_running_it(tmp_path: Path) -> None:
    (tmp_path / "dream.ckpt").write_bytes(b"\x80\x02 whatever")
    said = refused(tmp_path / "dream.ckpt")
    assert "never opens one" in said and "weights_only=True" in said
    code = said.partition('python -c "')[2].rpartition('"')[0]
    compile(code, "<said>", "exec")
