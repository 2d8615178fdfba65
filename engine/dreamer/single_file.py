"""Reads the parts of a checkpoint in one file, through the library's own tables of names.

Usage: `unet = load_from_file(path, layout, "unet", dtype)`. Dreamer process; torch, diffusers, transformers.

Only the tensors of one part are read at a time, and none is held twice.
"""

import importlib
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from engine.dreamer.checkpoint import Layout


def load_from_file(file: Path, layout: Layout, part: str, dtype: torch.dtype) -> Any:
    """One part of a checkpoint, ready for use. Raises ValueError where the file lacks some of it."""
    library, name = layout.components[part]
    kind = getattr(importlib.import_module(library), name)
    if part.startswith("tokenizer"):
        return kind.from_pretrained(
            layout.vocabulary, local_files_only=True, pad_token=layout.pads[part], model_max_length=_places(layout)
        )
    config = layout.configs[part]
    if part == "scheduler":
        return kind.from_config(config)
    found = _tensors(file, layout.prefixes[part], dtype)
    if library == "transformers":
        return _text_encoder(kind, config, found, layout.prefixes[part], dtype)
    with torch.device("meta"):  # no time goes into random weights that are thrown away
        network = kind.from_config(config)
    converted = _converted(part, found, dict(network.config))
    _fill(network, converted, assign=True)
    if len(found) > len(converted):  # the library's tables leave out what they do not know, such as LCM's guidance
        more = len(found) - len(converted)
        raise ValueError(f"the file has tensors that this family has no place for, {more} in all")
    return network.eval()


def _places(layout: Layout) -> int:
    return int(layout.configs["text_encoder"]["max_position_embeddings"])


def _tensors(file: Path, prefix: str, dtype: torch.dtype) -> dict[str, Tensor]:
    """The tensors whose names begin so, in the precision that is asked for."""
    with safe_open(str(file), framework="pt") as opened:
        return {n: _cast(opened.get_tensor(n), dtype) for n in opened.keys() if n.startswith(prefix)}  # noqa: SIM118


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _converted(part: str, found: dict[str, Tensor], config: dict[str, Any]) -> dict[str, Tensor]:
    from diffusers.loaders import single_file_utils as names

    convert = names.convert_ldm_unet_checkpoint if part == "unet" else names.convert_ldm_vae_checkpoint
    converted: dict[str, Tensor] = convert(dict(found), config)
    return converted


def _text_encoder(kind: Any, config: dict[str, Any], found: dict[str, Tensor], prefix: str, dtype: torch.dtype) -> Any:
    """CLIP's text encoder: under transformers' own names (SD 1, and XL's first) or under open_clip's."""
    from diffusers.loaders import single_file_utils as names

    network = kind(kind.config_class(**config)).to(dtype)
    if prefix.endswith(".model."):
        # This table drops the 24th layer of SD 2's encoder, which is not used, and splits what open_clip has in one.
        weights = names.convert_open_clip_checkpoint(network, found, prefix=prefix)
    else:
        weights = {n.removeprefix(prefix): t for n, t in found.items()}
        if not any(n.startswith("text_model.") for n in weights):  # as some merges have them
            weights = {f"text_model.{n}": t for n, t in weights.items()}
    if not hasattr(network, "text_model"):
        weights = {n.removeprefix("text_model."): t for n, t in weights.items()}
    _fill(network, weights, assign=False)
    return network.eval()


def _fill(network: Any, weights: dict[str, Tensor], assign: bool) -> None:
    """Puts the weights in; what is too much does no harm (position_ids, a layer that is not used)."""
    missing = network.load_state_dict(weights, strict=False, assign=assign).missing_keys
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ValueError(f"the file lacks {missing[0]}{more}")
