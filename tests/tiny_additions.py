"""LoRAs and embeddings for the tiny pipelines, as the common trainers write them.

Usage: `file = save_lora(pipe, folder / "clay.safetensors", style="kohya")`; `save_embedding(folder / "w.safetensors")`.
Random weights, seeded; large enough to change a tiny picture visibly.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

RANK = 4
PICTURES = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "conv1", "add_k_proj")  # layers of networks
WORDS = ("q_proj", "v_proj", "fc1")  # layers of text encoders
_DOWN_UP = {"kohya": ("lora_down", "lora_up"), "peft": ("lora_A", "lora_B")}


def save_lora(
    pipe: Any, file: Path, style: str = "peft", text: bool = True, seed: int = 1, size: float = 0.3, **more: Tensor
) -> Path:
    """style: "peft", as diffusers saves them, or "kohya". text: with the text encoders' part. more: other tensors."""
    tensors: dict[str, Tensor] = {}
    generator = torch.Generator().manual_seed(seed)
    network = "unet" if hasattr(pipe, "unet") else "transformer"
    for part in (network, "text_encoder", "text_encoder_2"):
        if (part == network or text) and hasattr(pipe, part):
            for name, weight in _layers(getattr(pipe, part), PICTURES if part == network else WORDS):
                prefix = _prefix(pipe, part, style)
                written = f"{prefix}{name}" if style == "peft" else prefix + name.replace(".", "_")
                down, up = _pair(weight, generator, size)
                tensors[f"{written}.{_DOWN_UP[style][0]}.weight"] = down
                tensors[f"{written}.{_DOWN_UP[style][1]}.weight"] = up
                if style == "kohya":
                    tensors[f"{written}.alpha"] = torch.tensor(RANK / 2)
    save_file(tensors | more, str(file))
    return file


def _prefix(pipe: Any, part: str, style: str) -> str:
    if style == "peft":
        return f"{part}."
    if part.startswith("text_encoder"):
        number = "" if not hasattr(pipe, "text_encoder_2") else "2" if part.endswith("2") else "1"
        has = hasattr(getattr(pipe, part), "text_model")  # kohya's trainer knows the older structure alone
        return f"lora_te{number}_" + ("" if has else "text_model_")
    return "lora_unet_"


def _layers(part: Any, endings: tuple[str, ...]) -> list[tuple[str, Tensor]]:
    return [(name, m.weight) for name, m in part.named_modules() if name.endswith(endings) and hasattr(m, "weight")]


def _pair(weight: Tensor, generator: torch.Generator, size: float) -> tuple[Tensor, Tensor]:
    out, into, *kernel = weight.shape
    down = torch.randn(RANK, into, *kernel, generator=generator) * into**-0.5
    up = torch.randn(out, RANK, *([1] * len(kernel)), generator=generator) * size
    return down, up


def save_embedding(file: Path, vectors: int = 1, key: str = "emb_params", width: int = 32, seed: int = 3) -> Path:
    """key: "emb_params", "string_to_param.*", a word as diffusers has it, or "clip" for both encoders of SDXL."""
    generator = torch.Generator().manual_seed(seed)
    keys = ("clip_l", "clip_g") if key == "clip" else (key,)
    made = {k: torch.randn(vectors, width, generator=generator) for k in keys}
    if key.startswith("<") and vectors == 1:
        made = {k: t[0] for k, t in made.items()}  # (D,)
    save_file(made, str(file))
    return file
