"""The house model as a plain diffusers folder: weights at half precision, scheduler, model card.

Usage: `export.write(work, out)`; then `diffusers.DiffusionPipeline.from_pretrained(out)`, no custom code.

The scheduler is DPM-Solver++ of order 1 on flow noise levels, which is exactly Euler's method on the flow
(checked by test against `diffusion.sample`), and one of the classes StableDiffusionPipeline names in its own
signature, so nothing is warned about. Euler's stock class was the other candidate; its flow levels scale the
latents.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from pathlib import Path

import torch
from torch import nn

from scripts.house_model import diffusion, finish, texture

LIMIT_MB = 40.0
# Dreamt latents are a little smaller than painted ones (0.99 of their size, 0.98 from cell to cell), and are decoded so
# much larger: fine detail gains most. Measured at 1, 1.04 and 1.08: sliced Wasserstein 2.65, 2.40 and 2.19.
GAIN = 1.05
STREAM = 1024.0  # how large the decoder's numbers may be on random latents: pictures' are a few times as large


def scheduler(order: int = 1) -> object:
    """Order 1 for the distilled model; 2 samples the undistilled one well in a dozen steps."""
    from diffusers import DPMSolverMultistepScheduler

    return DPMSolverMultistepScheduler(
        num_train_timesteps=1000,
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=1.0,
        solver_order=order,
        algorithm_type="dpmsolver++",
        lower_order_final=True,
        final_sigmas_type="zero",
        steps_offset=1,  # has no effect on flow levels; the pipeline warns about any other value
    )


def pipeline(vae: nn.Module, unet: nn.Module, text_encoder: nn.Module, tokenizer: object, order: int = 1) -> object:
    """The parts as a StableDiffusionPipeline; nothing in it is of the project's own class."""
    from diffusers import StableDiffusionPipeline

    return StableDiffusionPipeline(
        vae=vae, unet=unet, text_encoder=text_encoder, tokenizer=tokenizer, scheduler=scheduler(order),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )


def assemble(vae: nn.Module, unet: nn.Module, words: Path, out: Path, order: int = 1, card: str = "") -> float:
    """Write the folder whole, then swap it in; returns its size in MB (10⁶ bytes)."""
    from transformers import CLIPTextModel, CLIPTokenizer

    # The pipeline divides by scaling_factor and knows no shift: the latents are unit by the autoencoder itself.
    vae.register_to_config(scaling_factor=1 / GAIN, shift_factor=None, force_upcast=False)
    tokenizer = CLIPTokenizer.from_pretrained(words / "tokenizer")
    text = CLIPTextModel.from_pretrained(words / "text_encoder", dtype=torch.float16)
    fit_half(vae)
    pipe = pipeline(vae.half(), unet.half(), text, tokenizer, order)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        part = Path(scratch) / "model"
        pipe.save_pretrained(part, safe_serialization=True)
        if card:
            (part / "README.md").write_text(card)
        _plain(part)
        size = sum(f.stat().st_size for f in part.rglob("*") if f.is_file()) / 1e6
        if size > LIMIT_MB:
            raise ValueError(f"the model may weigh {LIMIT_MB} MB and weighs {size:.1f} MB")
        for item in part.iterdir():  # the tokenizer and text encoder may already lie in `out`
            there = out / item.name
            out.mkdir(exist_ok=True)
            if there.is_dir():
                shutil.rmtree(there)
            shutil.move(item, there)
    return size


@torch.no_grad()
def fit_half(vae: nn.Module) -> None:
    """Makes the numbers inside the decoder small enough for float16, in place; its pictures stay what they are.

    Training keeps the residual stream wherever it likes (84,000 was seen; float16 ends at 65,504, and a GPU showed
    black), for every group norm that reads it takes its size away again. So whatever writes into it may write less:
    the first convolution and the last of each block; of those that carry it on, the biases alone.
    """
    seen: list[float] = []
    hooks = [
        block.register_forward_hook(lambda _m, _i, out: seen.append(float(out.abs().max()))) for block in blocks(vae)
    ]
    vae.decode(torch.randn(4, vae.config.latent_channels, 16, 16, generator=torch.Generator().manual_seed(0)))
    for hook in hooks:
        hook.remove()
    scale_stream(vae, 2.0 ** min(0, -math.ceil(math.log2(max(seen) / STREAM))))


def blocks(vae: nn.Module) -> list[nn.Module]:
    """The decoder's residual blocks, which read one stream and write into it."""
    decoder = vae.decoder
    return [*decoder.mid_block.resnets, *(r for up in decoder.up_blocks for r in up.resnets)]


@torch.no_grad()
def scale_stream(vae: nn.Module, by: float) -> None:
    """Makes the decoder's residual stream `by` times as large, in place; every group norm takes it away again."""
    for conv in (vae.decoder.conv_in, *(block.conv2 for block in blocks(vae))):
        conv.weight *= by
        conv.bias *= by
    carriers = [block.conv_shortcut for block in blocks(vae) if block.conv_shortcut is not None]
    carriers += [sampler.conv for up in vae.decoder.up_blocks for sampler in up.upsamplers or []]
    for conv in carriers:
        conv.bias *= by


def _plain(folder: Path) -> None:
    """Drop the machine's paths from the configs, let all parts load in one precision, let any reader read them."""
    for path in folder.rglob("*.json"):
        note = json.loads(path.read_text())
        if path.name in ("tokenizer.json", "vocab.json"):
            # A line for every token would weigh as much again.
            path.write_text(json.dumps(note, ensure_ascii=False, separators=(",", ":")))
            continue
        note.pop("_name_or_path", None)
        if "dtype" in note:
            # transformers loads in the precision named here, diffusers in float32: unlike, the pipeline would fail.
            note["dtype"] = "float32"
        path.write_text(json.dumps(note, indent=2, sort_keys=True) + "\n")
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def write(work: Path, out: Path, stage: str = "distill", words: Path | None = None, card: str = "") -> float:
    """Export a stage's averaged weights (`distill`, or `diffusion` as a preliminary many-step model)."""
    unet = finish.load_finished(work) if stage == "distill" else diffusion.load(work, stage)
    order = 1 if stage == "distill" else 2
    vae = texture.load_textured(work) if stage == "distill" else diffusion.load_vae(work)
    return assemble(vae, unet, words or work / "latents", out, order, card)
