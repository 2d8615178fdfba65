"""Tiny seeded diffusers pipelines, built in memory and savable to a folder, for tests and benchmarks.

Usage: `pipe = sd(); pipe.save_pretrained(folder)` or `save("house", folder)`. Random weights give random
pictures, which is all that tests of speed, equality and purity need. No network, no global random state.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

# On a busy machine threads that wait for each other spin for whole time slices: minutes instead of seconds.
torch.set_num_threads(1)

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def tokenizer(max_length: int = 24) -> CLIPTokenizer:
    """A letter-by-letter CLIP tokenizer."""
    vocab: dict[str, int] = {}
    for token in [*_LETTERS, *(f"{c}</w>" for c in _LETTERS), "<|startoftext|>", "<|endoftext|>"]:
        vocab[token] = len(vocab)
    return CLIPTokenizer(vocab=vocab, merges=[], model_max_length=max_length)


def _seeded(build: Callable[[], Any], seed: int) -> Any:
    # Modules initialise from the global generator; fork_rng keeps that from leaking into the tests.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build().eval()


def _text(width: int, length: int, seed: int, projection: int | None = None) -> Any:
    config = CLIPTextConfig(
        vocab_size=54,
        hidden_size=width,
        intermediate_size=width * 2,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=length,
        projection_dim=projection or width,
        bos_token_id=52,
        eos_token_id=53,
        pad_token_id=53,
    )
    kind = CLIPTextModelWithProjection if projection else CLIPTextModel
    return _seeded(lambda: kind(config), seed)


def _vae(
    widths: tuple[int, ...], latent: int, seed: int, groups: int = 4, shift: float | None = None
) -> AutoencoderKL:
    return _seeded(
        lambda: AutoencoderKL(
            block_out_channels=widths,
            down_block_types=("DownEncoderBlock2D",) * len(widths),
            up_block_types=("UpDecoderBlock2D",) * len(widths),
            layers_per_block=1,
            latent_channels=latent,
            norm_num_groups=groups,
            scaling_factor=0.5,
            shift_factor=shift,
            mid_block_add_attention=False,
        ),
        seed,
    )


def sd(scheduler: Any = None, seed: int = 0, **unet: Any) -> StableDiffusionPipeline:
    """A Stable Diffusion pipeline of about 0.3 M parameters; 64x64 pictures from 8x8 latents."""
    config: dict[str, Any] = {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": (16, 32),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": 32,
        "attention_head_dim": 4,
        "norm_num_groups": 8,
    }
    return StableDiffusionPipeline(
        vae=_vae((8, 8, 16, 16), 4, seed + 1),
        text_encoder=_text(32, 24, seed + 2),
        tokenizer=tokenizer(),
        unet=_seeded(lambda: UNet2DConditionModel(**(config | unet)), seed),
        scheduler=scheduler
        or DDIMScheduler(clip_sample=False, beta_schedule="scaled_linear", steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sdxl(scheduler: Any = None, seed: int = 0) -> StableDiffusionXLPipeline:
    """A Stable Diffusion XL pipeline: two text encoders, pooled text and size conditioning."""
    time_width, projection = 8, 32
    unet = _seeded(
        lambda: UNet2DConditionModel(
            sample_size=8,
            in_channels=4,
            out_channels=4,
            block_out_channels=(16, 32),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=64,
            attention_head_dim=(2, 4),
            transformer_layers_per_block=(1, 2),
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=time_width,
            projection_class_embeddings_input_dim=time_width * 6 + projection,
            norm_num_groups=8,
        ),
        seed,
    )
    return StableDiffusionXLPipeline(
        vae=_vae((8, 8, 16, 16), 4, seed + 1),
        text_encoder=_text(32, 24, seed + 2),
        text_encoder_2=_text(32, 24, seed + 3, projection),
        tokenizer=tokenizer(),
        tokenizer_2=tokenizer(),
        unet=unet,
        scheduler=scheduler
        or EulerDiscreteScheduler(timestep_spacing="leading", beta_schedule="scaled_linear"),
        add_watermarker=False,
    )


def sd3(seed: int = 0) -> StableDiffusion3Pipeline:
    """A Stable Diffusion 3 pipeline without its third text encoder: the transformer family of the tests."""
    transformer = _seeded(
        lambda: SD3Transformer2DModel(
            sample_size=8,
            patch_size=1,
            in_channels=4,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=4,
            caption_projection_dim=32,
            joint_attention_dim=64,
            pooled_projection_dim=64,
            out_channels=4,
        ),
        seed,
    )
    return StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=_vae((8, 8, 16, 16), 4, seed + 1, shift=0.05),
        text_encoder=_text(32, 24, seed + 2, 32),
        tokenizer=tokenizer(),
        text_encoder_2=_text(32, 24, seed + 3, 32),
        tokenizer_2=tokenizer(),
        text_encoder_3=None,
        tokenizer_3=None,
    )


def house(seed: int = 0) -> StableDiffusionPipeline:
    """The built-in model's shape with random weights: 256x256 pictures from 16x16 latents of 16 numbers."""
    unet = _seeded(
        lambda: UNet2DConditionModel(
            sample_size=16,
            in_channels=16,
            out_channels=16,
            block_out_channels=(64, 128, 192),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=256,
            attention_head_dim=4,
            norm_num_groups=16,
        ),
        seed,
    )
    scheduler = DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, solver_order=1, steps_offset=1
    )
    return StableDiffusionPipeline(
        vae=_vae((8, 16, 48, 96, 160), 16, seed + 1, groups=1),
        text_encoder=_text(256, 24, seed + 2),
        tokenizer=tokenizer(),
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def tiny_decoder(latent: int = 4, seed: int = 9) -> AutoencoderTiny:
    """An AutoencoderTiny of four stages, as taesd is, eight channels wide."""
    return _seeded(
        lambda: AutoencoderTiny(
            encoder_block_out_channels=(8, 8, 8, 8),
            decoder_block_out_channels=(8, 8, 8, 8),
            num_encoder_blocks=(1, 1, 1, 1),
            num_decoder_blocks=(1, 1, 1, 1),
            latent_channels=latent,
        ),
        seed,
    )


BUILDERS: dict[str, Callable[[], Any]] = {"sd": sd, "sdxl": sdxl, "sd3": sd3, "house": house}


def save(kind: str, folder: Path) -> Path:
    """Build the pipeline of one kind and save it to a folder in diffusers layout; returns the folder."""
    BUILDERS[kind]().save_pretrained(folder, safe_serialization=True)
    return folder
