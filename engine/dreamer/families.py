"""Which kinds of pipelines can be walked, and what is known of each: one table for `inspect` and for dreaming.

Usage: `fault = why_not(place.pipeline, place.components, place.path)` -> a clause, or None: it can be walked.
Any process; torch-free, and reads small JSON files alone.

A walk gives a pipeline its noise and its mixed words. So it must take latents and prompt_embeds, and be known here by
the names under which it takes what its encode_prompt answers: the order differs from family to family, and two of
them can look the same.
"""

import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.show.files import read_text_bounded

INSTEAD = "name a model of another family, such as Stable Diffusion, SDXL, SD3 or Flux"
FAST = ("StableDiffusionPipeline", "StableDiffusionXLPipeline", "LatentConsistencyModelPipeline")
DECODERS = ("AutoencoderTiny", "AutoencoderKL", "AutoencoderDC")
TITLES = {768: "Stable Diffusion 1", 1024: "Stable Diffusion 2", 2048: "Stable Diffusion XL"}  # by words' width
_LONGEST_CONFIG = 1_000_000
_OTHER_DECODER = "tiny ones are madebyollin/taesd (SD), taesdxl (SDXL), taesd3 (SD 3) and taef1 (Flux)"

# What encode_prompt answers, in its order; "" is what __call__ does not take back.
_ONE = ("prompt_embeds",)
_TWO = ("prompt_embeds", "negative_prompt_embeds")
_POOLED = (*_TWO, "pooled_prompt_embeds", "negative_pooled_prompt_embeds")
_MASKED = ("prompt_embeds", "prompt_attention_mask")
_MASKED_BOTH = (*_MASKED, "negative_prompt_embeds", "negative_prompt_attention_mask")
_QWEN = ("prompt_embeds", "prompt_embeds_mask")
_TEXT = ("tokenizer", "text_encoder")
_TEXT_2 = (*_TEXT, "tokenizer_2", "text_encoder_2")


@dataclass(frozen=True)
class Family:
    """What is known of one pipeline class.

    answers: names of what its encode_prompt answers. readers: its parts that read words. network, decoder: the others
    that it cannot do without. packed: of how many latent numbers one of the network's channels is part (2x2 patches:
    4); 0 where that is not to be told from the configuration. packages: what else must be installed.
    cell_px: what width and height must be multiples of, where the parts do not say so.
    """

    answers: tuple[str, ...]
    readers: tuple[str, ...] = _TEXT
    network: str = "transformer"
    decoder: str = "vae"
    packed: int = 1
    packages: tuple[str, ...] = ()
    cell_px: int = 0


FAMILIES: dict[str, Family] = {
    "StableDiffusionPipeline": Family(_TWO, network="unet"),
    "StableDiffusionPAGPipeline": Family(_TWO, network="unet"),
    "StableDiffusionXLPipeline": Family(_POOLED, _TEXT_2, "unet"),
    "StableDiffusionXLPAGPipeline": Family(_POOLED, _TEXT_2, "unet"),
    "LatentConsistencyModelPipeline": Family(("prompt_embeds", ""), network="unet"),
    "StableDiffusion3Pipeline": Family(_POOLED, _TEXT_2),
    "StableDiffusion3PAGPipeline": Family(_POOLED, _TEXT_2),
    "FluxPipeline": Family(("prompt_embeds", "pooled_prompt_embeds", ""), _TEXT_2, packed=4),
    "Flux2Pipeline": Family(("prompt_embeds", ""), packed=4),
    "Flux2KleinPipeline": Family(("prompt_embeds", ""), packed=4),
    "ChromaPipeline": Family(
        ("prompt_embeds", "", "prompt_attention_mask", "negative_prompt_embeds", "", "negative_prompt_attention_mask"),
        packed=4,
    ),
    "Krea2Pipeline": Family(_QWEN, packed=0),
    "QwenImagePipeline": Family(_QWEN, packed=4),
    "ZImagePipeline": Family(_TWO),
    "SanaPipeline": Family(_MASKED_BOTH, cell_px=32),
    "SanaPAGPipeline": Family(_MASKED_BOTH, cell_px=32),
    "SanaSprintPipeline": Family(_MASKED, cell_px=32),
    "PRXPipeline": Family(_MASKED_BOTH, decoder="", packages=("ftfy",)),
    "PRXPixelPipeline": Family(_MASKED_BOTH, decoder="", packages=("ftfy",)),
    "PixArtAlphaPipeline": Family(_MASKED_BOTH),
    "PixArtSigmaPipeline": Family(_MASKED_BOTH),
    "PixArtSigmaPAGPipeline": Family(_MASKED_BOTH),
    "HunyuanDiTPipeline": Family((*_TWO, "prompt_attention_mask", "negative_prompt_attention_mask"), _TEXT_2),
    "HunyuanDiTPAGPipeline": Family((*_TWO, "prompt_attention_mask", "negative_prompt_attention_mask"), _TEXT_2),
    "HunyuanImagePipeline": Family((*_QWEN, "prompt_embeds_2", "prompt_embeds_mask_2"), _TEXT_2),
    "Kandinsky3Pipeline": Family(
        (*_TWO, "attention_mask", "negative_attention_mask"), network="unet", decoder="movq", packed=0, cell_px=64
    ),
    "KolorsPipeline": Family(_POOLED, network="unet", packages=("sentencepiece",)),
    "AuraFlowPipeline": Family(_MASKED_BOTH),
    "LuminaPipeline": Family(_MASKED_BOTH),
    "Lumina2Pipeline": Family(_MASKED_BOTH),
    "CogView3PlusPipeline": Family(_TWO),
    "CogView4Pipeline": Family(_TWO),
    "BriaPipeline": Family((*_TWO, ""), packed=4),
    "LongCatImagePipeline": Family(("prompt_embeds", ""), packed=4),
    "OvisImagePipeline": Family((*_TWO, "", ""), packed=4),
    "NucleusMoEImagePipeline": Family(_QWEN, ("processor", "text_encoder"), packed=4),
    "ErnieImagePipeline": Family(_ONE, packed=4),
}

# Why the others cannot be, by words of their names; the first that fits.
_LACKS = (
    (r"Modular", "it is put together of blocks (a modular pipeline), which take neither our noise nor mixed words"),
    (r"Inpaint|Fill|RePaint", "it paints into a given picture"),
    (r"Upscale|Upsample|SuperRes|SRPipeline|Refiner", "it enlarges or refines a given picture"),
    (r"Audio|Music|AceStep|Dance|Spectrogram", "it makes sound, not pictures"),
    (
        r"Video|AnimateDiff|CogVideo|T2V|I2V|TI2V|Wan|LTX|Mochi|Allegro|Latte|SkyReels|Helios|Motif|EasyAnimate|PIA|"
        r"AnyFlow|I2VGen|Chrono|Lucy|ConsisID|Cosmos2_5|Cosmos3",
        "it makes videos, not pictures",
    ),
    (r"ControlNet|Control|Adapter|GLIGEN", "it is guided by a given picture"),
    (
        r"Img2Img|I2I|Edit|Kontext|Pix2Pix|Depth2Img|Variation|UnCLIP|Redux|PaintByExample|Cycle|VisualCloze|Marigold|"
        r"Blip|Layered|ZImageOmni",
        "it starts from a given picture",
    ),
    (r"Onnx", "it is made for another runtime (ONNX)"),
    (r"Prior", "it makes what another model draws from, and no pictures itself"),
    (r"IFPipeline", "it takes no noise of ours (latents)"),
    (
        r"HiDream|OmniGen|Bria|Kandinsky|Ideogram|DreamLite|LDM|VQDiffusion|Amused|Shap|DiTPipeline|DDPM|DDIM|PNDM|Score|"
        r"Karras|ConsistencyModel|Versatile|Semantic|Wuerstchen|StableCascade|GlmImage",
        "it takes words, and not in the form in which Pedesis mixes them (prompt_embeds with latents)",
    ),
)


def is_fast(pipeline: str) -> bool:
    """Whether a pipeline class is dreamt by our own sampler (else by its own __call__)."""
    return pipeline in FAST


def why_not(pipeline: str, components: Mapping[str, tuple[str, str]], folder: Path) -> str | None:
    """Why a model cannot be walked, and what to do about it, in a clause or two; None if it can.

    folder: where its parts' configurations are; a part without one is not looked into.
    """
    family = FAMILIES.get(pipeline)
    if family is None:
        return f"{pipeline} cannot be walked: {_lack(pipeline)}; {INSTEAD}"
    lacking = [p for p in family.packages if importlib.util.find_spec(p) is None]
    if lacking:
        what = "another package" if len(lacking) == 1 else "other packages"
        return f"{pipeline} needs {what}; `pip install {' '.join(lacking)}` gets {_it(lacking)}"
    if fault := _tokenizer_fault(components, folder):
        return fault
    needed = (*family.readers, family.network, family.decoder, "scheduler")
    missing = [part for part in needed if part and part not in components]
    if missing:
        return f"it lacks its {' and its '.join(missing)}, without which nothing can be dreamt; get a whole copy"
    return _channels_fault(family, folder)


def _lack(pipeline: str) -> str:
    for words, why in _LACKS:
        if re.search(words, pipeline):
            return why
    return "Pedesis does not know this kind of model"


def _it(packages: list[str]) -> str:
    return "it" if len(packages) == 1 else "them"


def _tokenizer_fault(components: Mapping[str, tuple[str, str]], folder: Path) -> str | None:
    """Vocabularies of sentencepiece are read by a package of that name; without it transformers asks for another."""
    for part in components:
        bare = any((folder / part).glob("*.model")) and not (folder / part / "tokenizer.json").is_file()
        if bare and importlib.util.find_spec("sentencepiece") is None:
            return f"its {part} needs two more packages; `pip install sentencepiece protobuf` gets them"
    return None


def _channels_fault(family: Family, folder: Path) -> str | None:
    """A network that takes more than the noise has a picture, a mask or a depth map in its other channels."""
    network = config(folder / family.network)
    taken = network.get("in_channels")
    kept = latent_channels(config(folder / family.decoder)) if family.decoder else None
    if not family.packed or not isinstance(taken, int) or not kept or taken == kept * family.packed:
        return None
    if taken > kept * family.packed:
        return (
            f"its {family.network} takes {taken} channels and not {kept * family.packed}: it is made for a picture or "
            "a mask beside the noise, as for inpainting; name a text-to-image model"
        )
    return (
        f"its {family.network} takes {taken} channels, but its {family.decoder} has {kept}; they are not of one model"
    )


def decoder_fault(own: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """Why a decoder cannot take the place of a model's own, told by their configurations; None if it can.

    Its latents must have as many channels, as many pixels a cell, and the same scale. A tiny one takes them as the
    network leaves them, with no scale of its own.
    """
    kind = other.get("_class_name")
    if kind not in DECODERS:
        return f"it must be one of {', '.join(DECODERS)}, got {kind!r}"
    if "z_dim" in own or "batch_norm_eps" in own:
        return "this model's latents come in a form that only its own decoder takes; leave out model.decoder"
    wanted, taken = latent_channels(own), latent_channels(other)
    if wanted and taken and wanted != taken:
        return f"it takes latents of {taken} channels, and this model's have {wanted}; {_OTHER_DECODER}"
    wanted, taken = _cell_px(own), _cell_px(other)
    if wanted and taken and wanted != taken:
        return f"it makes {taken} pixels of a cell, and this model's own {wanted}; {_OTHER_DECODER}"
    scales = [(c.get("scaling_factor"), c.get("shift_factor") or 0.0) for c in (own, other)]
    if kind != "AutoencoderTiny" and None not in scales[0] + scales[1] and scales[0] != scales[1]:
        both = f"{scales[1][0]:g}, this model's {scales[0][0]:g}"
        return f"it is made for latents of another scale ({both}); {_OTHER_DECODER}"
    return None


def latent_channels(decoder: Mapping[str, Any]) -> int | None:
    """Numbers in one cell of the latents that a decoder takes, from its configuration."""
    found = decoder.get("latent_channels") or decoder.get("z_dim")
    return found if isinstance(found, int) else None


def _cell_px(decoder: Mapping[str, Any]) -> int | None:
    """Pixels that a cell becomes, each way: every level after the first doubles them."""
    names = ("decoder_block_out_channels", "block_out_channels", "encoder_block_out_channels")
    levels = next((decoder[n] for n in names if decoder.get(n)), None)
    return 2 ** (len(levels) - 1) if isinstance(levels, list | tuple) else None


def config(folder: Path) -> dict[str, Any]:
    """A part's configuration; empty where there is none that can be read."""
    try:
        read = json.loads(read_text_bounded(folder / "config.json", _LONGEST_CONFIG))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}
