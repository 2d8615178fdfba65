"""Tiny checkpoints in one file: the tiny pipelines under the names of their first authors (LDM), with layouts to match.

Usage: `file = save("sdxl", folder)`; `use_layouts(monkeypatch, folder)` has the tiny ones take the place of the real.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from engine.dreamer import checkpoint
from tests import tiny_models

KINDS = {"sd1": tiny_models.sd, "sd2": tiny_models.sd, "sdxl": tiny_models.sdxl}

_RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3"}
_RESNET |= {"time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection"}
_UNET = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}


def save(kind: str, file: Path, without: tuple[str, ...] = ()) -> Path:
    """The tiny pipeline of sd1, sd2 or sdxl in one file. without: prefixes of names that are left out."""
    pipe = KINDS[kind]()
    tensors = {f"model.diffusion_model.{_unet(n, pipe.unet)}": t for n, t in pipe.unet.state_dict().items()}
    tensors |= {f"first_stage_model.{_vae(n, pipe.vae)}": t for n, t in pipe.vae.state_dict().items()}
    first = pipe.text_encoder.state_dict()
    if kind == "sd2":
        tensors |= _open_clip(first, "cond_stage_model.model.")
    else:
        prefix = "cond_stage_model.transformer." if kind == "sd1" else "conditioner.embedders.0.transformer."
        tensors |= {f"{prefix}text_model.{n.removeprefix('text_model.')}": t for n, t in first.items()}
    if kind == "sdxl":
        tensors |= _open_clip(pipe.text_encoder_2.state_dict(), "conditioner.embedders.1.model.")
    kept = {n: t.contiguous().clone() for n, t in tensors.items() if not n.startswith(without or ("-",))}
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(kept, str(file))
    return file


def use_layouts(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Layouts with the tiny models' configurations, in place of the shipped ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, build in KINDS.items():
        pipe = build()
        facts = json.loads((checkpoint.LAYOUTS / f"{kind}.json").read_text())
        facts["components"]["scheduler"] = ["diffusers", type(pipe.scheduler).__name__]
        facts["pads"] = dict.fromkeys(facts["pads"], "<|endoftext|>")  # a vocabulary of letters has no "!"
        parts = [part for part in facts if hasattr(pipe, part) and part != "components"]
        facts |= {part: _config(getattr(pipe, part)) for part in parts}
        (folder / f"{kind}.json").write_text(json.dumps(facts))
    monkeypatch.setattr(checkpoint, "LAYOUTS", folder)


def _config(part: Any) -> dict[str, Any]:
    config = part.config
    read = config.to_dict() if hasattr(config, "to_dict") else dict(config)
    return {n: v for n, v in json.loads(json.dumps(read, default=str)).items() if not n.startswith("_")}


def _unet(name: str, unet: Any) -> str:
    layers = unet.config.layers_per_block
    for ours, theirs in _UNET.items():
        if name.startswith(f"{ours}."):
            return name.replace(ours, theirs, 1)
    if m := re.match(r"mid_block\.(resnets|attentions)\.(\d+)\.(.*)", name):
        at = 2 * int(m[2]) + (m[1] == "attentions")
        return f"middle_block.{at}.{_inner(m[1], m[3])}"
    m = re.match(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.*)", name)
    assert m is not None, name
    way, block, what, at, rest = m[1], int(m[2]), m[3], int(m[4]), m[5]
    if what == "downsamplers":
        return f"input_blocks.{(layers + 1) * (block + 1)}.0.op.{rest.removeprefix('conv.')}"
    if what == "upsamplers":
        place = 2 if "CrossAttn" in unet.config.up_block_types[block] else 1
        return f"output_blocks.{(layers + 1) * block + layers}.{place}.{rest}"
    number = (layers + 1) * block + at + (way == "down")
    return f"{'input' if way == 'down' else 'output'}_blocks.{number}.{int(what == 'attentions')}.{_inner(what, rest)}"


def _inner(what: str, rest: str) -> str:
    if what != "resnets":
        return rest
    head, _, tail = rest.partition(".")
    return f"{_RESNET[head]}.{tail}"


def _vae(name: str, vae: Any) -> str:
    last = len(vae.config.block_out_channels) - 1
    name = name.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
    name = re.sub(r"mid_block\.resnets\.(\d+)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    name = re.sub(r"down_blocks\.(\d+)\.resnets", r"down.\1.block", name)
    name = re.sub(r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample", name)
    name = re.sub(r"up_blocks\.(\d+)\.resnets", lambda m: f"up.{last - int(m[1])}.block", name)
    return re.sub(r"up_blocks\.(\d+)\.upsamplers\.0", lambda m: f"up.{last - int(m[1])}.upsample", name)


def _open_clip(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    state = {n.removeprefix("text_model."): t for n, t in state.items()}
    out: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name == "text_projection.weight":
            out["text_projection"] = tensor.T
        elif name.startswith("embeddings.token"):
            out["token_embedding.weight"] = tensor
        elif name.startswith("embeddings.position_embedding"):
            out["positional_embedding"] = tensor
        elif name.startswith("final_layer_norm"):
            out[name.replace("final_layer_norm", "ln_final")] = tensor
        elif "self_attn.q_proj" in name:
            joined = [state[name.replace("q_proj", p)] for p in ("q_proj", "k_proj", "v_proj")]
            layer, kind = re.sub(r"encoder\.layers\.(\d+)\..*", r"\1", name), name.rpartition(".")[2]
            out[f"transformer.resblocks.{layer}.attn.in_proj_{kind}"] = torch.cat(joined)
        elif name.startswith("encoder.layers.") and "k_proj" not in name and "v_proj" not in name:
            name = name.replace("encoder.layers.", "transformer.resblocks.").replace("self_attn.", "attn.")
            name = name.replace("layer_norm", "ln_").replace("mlp.fc1", "mlp.c_fc").replace("mlp.fc2", "mlp.c_proj")
            out[name] = tensor
    return {f"{prefix}{n}": t for n, t in out.items()}
