"""ControlNets and IP-Adapters for the tiny pipelines, in memory and as files, as their makers write them.

Usage: `net = controlnet(pipe.unet)`; `file = save_adapter(pipe.unet, folder / "ip.safetensors")`, with an image encoder
beside it. Random weights, seeded; large enough to change a tiny picture visibly.
"""

from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from tests.tiny_models import seeded

ENCODER = {"width": 32, "projection": 16}  # numbers a picture becomes


def controlnet(unet: Any, seed: int = 7, **config: Any) -> ControlNetModel:
    """For pictures of 8 pixels a cell. What starts as nothing in a new one is something here."""

    def build() -> ControlNetModel:
        net = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 8, 8, 16))
        net.register_to_config(**config)
        for name, parameter in net.named_parameters():
            if name.startswith(("controlnet_", "controlnet_cond_embedding.conv_out")):
                torch.nn.init.normal_(parameter, std=0.2)
        return net

    return seeded(build, seed)


def image_encoder(seed: int = 8) -> CLIPVisionModelWithProjection:
    """CLIP's network for pictures, of 32 by 32 pixels."""
    config = CLIPVisionConfig(
        hidden_size=ENCODER["width"],
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=32,
        patch_size=8,
        projection_dim=ENCODER["projection"],
    )
    return seeded(lambda: CLIPVisionModelWithProjection(config), seed)


def save_adapter(unet: Any, file: Path, plus: bool = False, seed: int = 9, words: int = 4, **more: Tensor) -> Path:
    """An IP-Adapter in the layout of its authors. plus: with the resampler of the finer ones."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int, size: float = 1.0) -> Tensor:
        return torch.randn(*shape, generator=generator) * size

    modules, tensors = dict(unet.named_modules()), {}
    crossing = [name for name in unet.attn_processors if ".attn2." in name]
    dim = int(unet.config.cross_attention_dim)
    for n, name in enumerate(crossing):
        width = modules[name.removesuffix(".processor")].inner_dim
        for part in ("to_k_ip", "to_v_ip"):
            tensors[f"ip_adapter.{2 * n + 1}.{part}.weight"] = normal(width, dim, size=dim**-0.5)
    image = _resampler(dim, normal) if plus else {
        "proj.weight": normal(words * dim, ENCODER["projection"]), "proj.bias": normal(words * dim),
        "norm.weight": torch.ones(dim), "norm.bias": torch.zeros(dim),
    }  # fmt: skip
    save_file(tensors | {f"image_proj.{n}": t for n, t in image.items()} | more, str(file))
    if not (file.parent / "image_encoder").exists():
        image_encoder().save_pretrained(file.parent / "image_encoder")
    return file


def _resampler(dim: int, normal: Any) -> dict[str, Tensor]:
    width, inner = 64, 64  # one head of 64 numbers, as the library has it
    made = {
        "latents": normal(1, 16, width),
        "proj_in.weight": normal(width, ENCODER["width"], size=0.2),
        "proj_in.bias": normal(width),
        "proj_out.weight": normal(dim, width, size=0.2),
        "proj_out.bias": normal(dim),
        "norm_out.weight": torch.ones(dim),
        "norm_out.bias": torch.zeros(dim),
    }
    for layer in range(4):
        at = f"layers.{layer}"
        for norm in ("0.norm1", "0.norm2", "1.0"):
            made |= {f"{at}.{norm}.weight": torch.ones(width), f"{at}.{norm}.bias": torch.zeros(width)}
        made |= {f"{at}.0.to_q.weight": normal(inner, width, size=0.1),
                 f"{at}.0.to_kv.weight": normal(2 * inner, width, size=0.1),
                 f"{at}.0.to_out.weight": normal(width, inner, size=0.1),
                 f"{at}.1.1.weight": normal(4 * width, width, size=0.1),
                 f"{at}.1.3.weight": normal(width, 4 * width, size=0.1)}  # fmt: skip
    return made
