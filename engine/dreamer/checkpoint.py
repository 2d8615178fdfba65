"""Checkpoints in one file: which family one is of, told from its header; and where its vocabulary can be found.

Usage: `layout = read_layout(Path("dream.safetensors"))` -> Layout, or CheckpointError with one sentence and its cure.
Any process; torch-free, reads a file's header alone (parts.py reads the rest), and never touches the network.

Such a file holds every network of a model under its first authors' names (LDM), and neither configurations nor
vocabularies. The configurations are in layouts/, facts in small JSON files. The vocabulary is CLIP's and the same for
all of them: it is taken from beside the file, or from any model on this machine that has it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.show.errors import CannotStart
from engine.show.files import open_regular, read_text_bounded

VOCABULARY = "openai/clip-vit-large-patch14"  # a repository that has it, for `pedesis models fetch`
LAYOUTS = Path(__file__).with_name("layouts")
_LONGEST_HEADER = 100_000_000  # bytes; the safetensors library refuses longer ones
_LONGEST_VOCABULARY = 20_000_000
_WORDS = 4  # tensors in the file of an embedding, which teaches a word: one a text encoder
_UNET, _VAE = "model.diffusion_model.", ("first_stage_model.", "vae.")
_SD1, _SD2 = "cond_stage_model.transformer.", "cond_stage_model.model."
_XL_1, _XL_2 = "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."
_FIRST = f"{_UNET}input_blocks.0.0.weight"  # (out, in, 3, 3)
_INSTEAD = "Pedesis reads Stable Diffusion 1, 2 and XL in one file, and other families as folders in diffusers layout"
_WIDTHS = (768, 1024, 1280)  # of CLIP's words
_TINY = {"sdxl": "madebyollin/taesdxl"}  # decoders that fit; for the others madebyollin/taesd
# Distilled for few steps: spaced as the others are, one step would be the one that changes least.
_FEW_STEPS = r"turbo|lightning|hyper|dmd|flash"
_LCM = r"(?<![a-z])lcm(?![a-z])"

# What other families are told by, and what they are called.
_OTHERS = (
    (r"joint_blocks\.", "Stable Diffusion 3"),
    (r"double_blocks\.0\.img_attn|single_transformer_blocks\.", "a Flux model"),
    (r"txtfusion\.", "a Krea 2 model"),
    (r"cap_embedder\.", "a Lumina or Z-Image model"),
    (r"control_model\.|controlnet_cond_embedding", "a ControlNet, an addition to a model"),
    (r"motion_modules\.", "an AnimateDiff module, which makes videos"),
    (r"\.attn2\.to_k_ip\.|ip_adapter", "an IP-Adapter, an addition to a model"),
)


class CheckpointError(CannotStart):
    """A file that cannot be used as a model: one clause, with the cure."""


@dataclass(frozen=True)
class Layout:
    """What a checkpoint's family is made of.

    prefixes: part -> how its tensors' names begin in the file. sizes: part -> its bytes there. configs: part -> its
    configuration. pads: tokenizer -> the token that fills up a text. vocabulary: the folder that has it. note: what
    had to be guessed, and what to do if it is wrong.
    """

    title: str
    pipeline: str
    components: dict[str, tuple[str, str]]
    prefixes: dict[str, str]
    sizes: dict[str, int]
    configs: dict[str, dict[str, Any]]
    pads: dict[str, str]
    vocabulary: Path | None
    note: str = ""


def read_header(file: Path) -> dict[str, dict[str, Any]]:
    """Tensors of a safetensors file: name -> dtype, shape, data_offsets. Empty if it cannot be read."""
    try:
        with open_regular(file) as stream:
            head = int.from_bytes(stream.read(8), "little")
            read = json.loads(stream.read(min(head, _LONGEST_HEADER)))
    except (OSError, ValueError):
        return {}
    return {n: e for n, e in read.items() if isinstance(e, dict) and "shape" in e} if isinstance(read, dict) else {}


def read_layout(file: Path, caches: Iterable[Path] = (), has_decoder: bool = False) -> Layout:
    """The layout of a checkpoint. Raises CheckpointError.

    caches: folders of models that may have the vocabulary. has_decoder: whether another decoder takes the place of
    the file's own, which may then be missing.
    """
    header = read_header(file)
    family = _family(header)
    facts = json.loads((LAYOUTS / f"{family}.json").read_text(encoding="utf-8"))
    prefixes = {"unet": _UNET, "vae": next((p for p in _VAE if any(n.startswith(p) for n in header)), _VAE[0])}
    prefixes |= {"text_encoder": {"sd1": _SD1, "sd2": _SD2}.get(family, _XL_1)}
    if family == "sdxl":
        prefixes["text_encoder_2"] = _XL_2
    sizes = {part: _bytes(header, prefix) for part, prefix in prefixes.items()}
    _check_whole(facts["title"], sizes, has_decoder, _TINY.get(family, "madebyollin/taesd"))
    components = {part: (library, kind) for part, (library, kind) in facts["components"].items()}
    if not sizes["vae"]:
        del components["vae"]
    configs = {part: facts[part] for part in (*prefixes, "scheduler")}
    configs["scheduler"] = configs["scheduler"] | _sampled(file, family, header)
    if re.search(_LCM, file.stem, re.I):
        components["scheduler"] = ("diffusers", "LCMScheduler")
    words = facts["text_encoder"]["vocab_size"]
    vocabulary = next(_vocabularies(file, caches, words), None)
    kind = facts["title"], facts["pipeline"]
    note = _GUESSED if family == "sd2" and not re.search(_SAID, file.stem, re.I) and "v_pred" not in header else ""
    return Layout(*kind, components, prefixes, sizes, configs, facts["pads"], vocabulary, note)


def no_vocabulary(layout: Layout) -> str | None:
    """What to do where the vocabulary was not found; None where it was."""
    if layout.vocabulary is not None:
        return None
    return (
        "its words need CLIP's vocabulary, which such a file never holds and this machine does not have; "
        f"`pedesis models fetch {VOCABULARY}` gets it (a few MB), or copy the tokenizer folder of any Stable Diffusion "
        "model beside the file"
    )


def addition(header: Mapping[str, Any]) -> str | None:
    """What a file adds to a model: "a LoRA", "an embedding"; None if it is a model, or part of one."""
    if any(word in name for name in header for word in ("lora", "lycoris", ".hada_", ".lokr_")):
        return "a LoRA"
    named = any("emb" in n or n in ("clip_l", "clip_g", "*") for n in header)
    widths = {(entry.get("shape") or [0])[-1] for entry in header.values()}  # diffusers names them by the word
    is_words = named or (bool(widths) and widths <= {*_WIDTHS})
    return "an embedding" if len(header) <= _WORDS and _FIRST not in header and is_words else None


def _family(header: Mapping[str, dict[str, Any]]) -> str:
    """sd1, sd2 or sdxl. Raises CheckpointError for everything else, and says what it is."""
    names = " ".join(header)
    if not header:
        raise CheckpointError("its header cannot be read; copy or download the file again")
    if (kind := addition(header)) == "a LoRA":
        raise CheckpointError("this is a LoRA, an addition to a model, and no model; name the model that it is for")
    if kind:
        raise CheckpointError(f"this is {kind}, which teaches a model a word, and no model")
    if _FIRST not in header:
        what = next((said for words, said in _OTHERS if re.search(words, names)), None)
        if what is None and any(n.startswith(("decoder.", *_VAE)) for n in header):
            what = "a decoder (VAE) alone"
        raise CheckpointError(f"this is {what or 'no checkpoint that is known here'}; {_INSTEAD}")
    channels = [*header[_FIRST]["shape"], 0, 0][1]
    if channels != 4:
        raise CheckpointError(
            f"its U-Net takes {channels} channels and not 4: it is made for a picture or a mask beside the noise, "
            "as for inpainting; name a text-to-image model"
        )
    if "edm_mean" in header:
        raise CheckpointError("this is Playground 2.5, whose latents have a scale of their own that only its folder "
                              "tells; get it in diffusers layout")  # fmt: skip
    for family, prefix in (("sdxl", _XL_2), ("sd2", _SD2), ("sd1", _SD1)):
        if prefix in names:
            return family
    if "conditioner.embedders.0.model." in names:
        raise CheckpointError("this is the refiner of Stable Diffusion XL, which needs a given picture; name the base")
    if f"{_UNET}label_emb." in names:
        return "sdxl"
    width = header.get(f"{_UNET}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", {}).get("shape", [0])[-1]
    return "sd2" if width == 1024 else "sd1"


def _check_whole(title: str, sizes: Mapping[str, int], has_decoder: bool, tiny: str) -> None:
    lacking = [part for part, size in sizes.items() if not size and part.startswith("text_encoder")]
    if lacking:
        raise CheckpointError(f"this is {title} without its {' and '.join(lacking)}, so it reads no words; get the "
                              "whole checkpoint, often called full or pruned")  # fmt: skip
    if not sizes["vae"] and not has_decoder:
        raise CheckpointError(f"this is {title} without a decoder (VAE); set model.decoder to one, such as "
                              f"{tiny}, or get the whole checkpoint")  # fmt: skip


def _bytes(header: Mapping[str, dict[str, Any]], prefix: str) -> int:
    spans = [e["data_offsets"] for n, e in header.items() if n.startswith(prefix)]
    return sum(end - begin for begin, end in spans)


_V, _NOISE = r"v[-_ ]?pred|768", r"turbo|base|512"  # in the name of a Stable Diffusion 2: what it predicts
_SAID = f"{_V}|{_NOISE}"
_GUESSED = (
    "it is taken to predict v, as most of Stable Diffusion 2 do, which its file does not say; if its pictures are "
    "nothing but noise, set model.scheduler_options = 'prediction_type=epsilon'"
)


def _sampled(file: Path, family: str, header: Mapping[str, Any]) -> dict[str, Any]:
    """What the scheduler must know of this file, from its marks and its name; for the rest it is as most of the family.

    Stable Diffusion 2 comes in both kinds with the same tensors: those at 768 pixels predict v, those at 512 (base)
    and the turbo predict the noise. The marks v_pred and ztsnr are of trainers (NoobAI and others).
    """
    said: dict[str, Any] = {}
    if re.search(_FEW_STEPS, file.stem, re.I):
        said["timestep_spacing"] = "trailing"
    if "v_pred" in header or re.search(r"v[-_ ]?pred", file.stem, re.I):
        said["prediction_type"] = "v_prediction"
    elif family == "sd2":
        said["prediction_type"] = "epsilon" if re.search(_NOISE, file.stem, re.I) else "v_prediction"
    if "ztsnr" in header:
        said |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    return said


def _vocabularies(file: Path, caches: Iterable[Path], words: int) -> Iterator[Path]:
    """Folders with a vocabulary of so many words: beside the file first."""
    yield from (f for f in (file.parent / "tokenizer", file.parent) if vocabulary_size(f) == words)
    for cache in caches:
        yield from (f for f in (cache / "tokenizer", cache) if vocabulary_size(f) == words)


def vocabulary_size(folder: Path) -> int:
    """Words in the vocabulary of a CLIP tokenizer's folder; 0 where there is none."""
    try:
        if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
            return len(json.loads(read_text_bounded(folder / "vocab.json", _LONGEST_VOCABULARY)))
        if (folder / "tokenizer.json").is_file():
            model = json.loads(read_text_bounded(folder / "tokenizer.json", _LONGEST_VOCABULARY))["model"]
            return len(model["vocab"]) if model["type"] == "BPE" else 0
    except (OSError, ValueError, KeyError, TypeError):
        pass  # a damaged one is as good as none: another is looked for
    return 0
