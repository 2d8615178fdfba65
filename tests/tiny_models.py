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
    AutoencoderKLQwenImage,
    AutoencoderTiny,
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    HunyuanDiT2DModel,
    HunyuanDiTPipeline,
    PixArtAlphaPipeline,
    PixArtTransformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3Config,
    Qwen3Model,
    T5Config,
    T5EncoderModel,
)

# On a busy machine threads that wait for each other spin for whole time slices: minutes instead of seconds.
torch.set_num_threads(1)

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def tokenizer(max_length: int = 24) -> CLIPTokenizer:
    """A letter-by-letter CLIP tokenizer."""
    vocab: dict[str, int] = {}
    for token in [*_LETTERS, *(f"{c}</w>" for c in _LETTERS), "<|startoftext|>", "<|endoftext|>"]:
        vocab[token] = len(vocab)
    return CLIPTokenizer(vocab=vocab, merges=[], model_max_length=max_length)


def letters(max_length: int = 24) -> PreTrainedTokenizerFast:
    """A letter-by-letter tokenizer that pads, as those of T5 and of language models do; it can be chatted with."""
    tokens = ["<pad>", "</s>", "<unk>", *_LETTERS, *_LETTERS.upper(), " ", "<", ">", "|", "_"]
    core = Tokenizer(models.WordLevel({t: i for i, t in enumerate(tokens)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    core.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    made = PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=max_length, **special)
    made.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    return made


def seeded(build: Callable[[], Any], seed: int) -> Any:
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
    return seeded(lambda: kind(config), seed)


def vae(
    widths: tuple[int, ...], latent: int, seed: int, groups: int = 4, shift: float | None = None
) -> AutoencoderKL:
    return seeded(
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
        vae=vae((8, 8, 16, 16), 4, seed + 1),
        text_encoder=_text(32, 24, seed + 2),
        tokenizer=tokenizer(),
        unet=seeded(lambda: UNet2DConditionModel(**(config | unet)), seed),
        scheduler=scheduler
        or DDIMScheduler(clip_sample=False, beta_schedule="scaled_linear", steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sdxl(scheduler: Any = None, seed: int = 0) -> StableDiffusionXLPipeline:
    """A Stable Diffusion XL pipeline: two text encoders, pooled text and size conditioning."""
    time_width, projection = 8, 32
    unet = seeded(
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
        vae=vae((8, 8, 16, 16), 4, seed + 1),
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
    transformer = seeded(
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
        vae=vae((8, 8, 16, 16), 4, seed + 1, shift=0.05),
        text_encoder=_text(32, 24, seed + 2, 32),
        tokenizer=tokenizer(),
        text_encoder_2=_text(32, 24, seed + 3, 32),
        tokenizer_2=tokenizer(),
        text_encoder_3=None,
        tokenizer_3=None,
    )


def t5(seed: int) -> T5EncoderModel:
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 32, "num_heads": 4, "num_layers": 1, "vocab_size": 64}
    return seeded(lambda: T5EncoderModel(T5Config(**sizes)), seed)


def flux(seed: int = 0, distilled: bool = False) -> FluxPipeline:
    """A Flux pipeline: latents in packed patches. distilled: takes guidance as a number, as Flux dev does."""
    transformer = seeded(
        lambda: FluxTransformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=32,
            guidance_embeds=distilled,
            axes_dims_rope=(4, 4, 8),
        ),
        seed,
    )
    return FluxPipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=vae((8, 8, 16, 16), 4, seed + 1, shift=0.05),
        text_encoder=_text(32, 24, seed + 2),
        tokenizer=tokenizer(),
        text_encoder_2=t5(seed + 3),
        tokenizer_2=letters(),
    )


def pixart(seed: int = 0) -> PixArtAlphaPipeline:
    """A PixArt pipeline: T5 alone, with masks."""
    transformer = seeded(
        lambda: PixArtTransformer2DModel(
            num_attention_heads=2,
            attention_head_dim=16,
            num_layers=1,
            cross_attention_dim=32,
            sample_size=8,
            caption_channels=32,
            norm_num_groups=1,
        ),
        seed,
    )
    return PixArtAlphaPipeline(
        transformer=transformer,
        scheduler=DPMSolverMultistepScheduler(),
        vae=vae((8, 8, 16, 16), 4, seed + 1),
        text_encoder=t5(seed + 2),
        tokenizer=letters(),
    )


def hunyuandit(seed: int = 0) -> HunyuanDiTPipeline:
    """A HunyuanDiT pipeline: two text encoders, one a call, with a mask each."""
    bert = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    transformer = seeded(
        lambda: HunyuanDiT2DModel(
            sample_size=8,
            num_layers=2,
            patch_size=2,
            attention_head_dim=16,
            num_attention_heads=2,
            in_channels=4,
            hidden_size=32,
            cross_attention_dim=32,
            cross_attention_dim_t5=32,
            pooled_projection_dim=16,
            activation_fn="gelu-approximate",
            mlp_ratio=2.0,
        ),
        seed,
    )
    return HunyuanDiTPipeline(
        transformer=transformer,
        scheduler=DDPMScheduler(),
        vae=vae((8, 8, 16, 16), 4, seed + 1),
        text_encoder=seeded(lambda: BertModel(BertConfig(vocab_size=64, **bert)), seed + 2),
        tokenizer=letters(77),
        text_encoder_2=t5(seed + 3),
        tokenizer_2=letters(256),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def qwen(seed: int = 0) -> QwenImagePipeline:
    """A Qwen-Image pipeline: texts as long as they are, a mask where they differ, the negative one encoded alone."""
    language = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
    language |= {"num_attention_heads": 2, "num_key_value_heads": 2, "pad_token_id": 0}
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]}
    sight = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 32}
    reader = Qwen2_5_VLConfig(text_config=language | {"rope_parameters": rope}, vision_config=sight)
    transformer = seeded(
        lambda: QwenImageTransformer2DModel(
            in_channels=16,
            out_channels=4,
            num_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=32,
            axes_dims_rope=(8, 4, 4),
        ),
        seed,
    )
    shape = {"base_dim": 8, "z_dim": 4, "dim_mult": [1, 2, 2, 2], "num_res_blocks": 1}
    scale = {"latents_mean": [0.0] * 4, "latents_std": [1.0] * 4}
    return QwenImagePipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=seeded(lambda: AutoencoderKLQwenImage(**shape, **scale), seed + 1),
        text_encoder=seeded(lambda: Qwen2_5_VLForConditionalGeneration(reader), seed + 2),
        tokenizer=letters(1024),
    )


def zimage(seed: int = 0) -> ZImagePipeline:
    """A Z-Image pipeline: embeddings in lists, and a guidance of which 0 is none."""
    reader = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    reader |= {"num_key_value_heads": 2, "head_dim": 8, "vocab_size": 64}
    transformer = seeded(
        lambda: ZImageTransformer2DModel(
            in_channels=4,
            dim=32,
            n_layers=1,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
            cap_feat_dim=32,
            axes_dims=[4, 4, 8],
            axes_lens=[1024, 64, 64],
        ),
        seed,
    )
    return ZImagePipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae((8, 8, 16, 16), 4, seed + 1, shift=0.05),
        text_encoder=seeded(lambda: Qwen3Model(Qwen3Config(**reader)), seed + 2),
        tokenizer=letters(512),
    )


def house(seed: int = 0) -> StableDiffusionPipeline:
    """The built-in model's shape with random weights: 256x256 pictures from 16x16 latents of 16 numbers."""
    unet = seeded(
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
        vae=vae((8, 16, 48, 96, 160), 16, seed + 1, groups=1),
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
    return seeded(
        lambda: AutoencoderTiny(
            encoder_block_out_channels=(8, 8, 8, 8),
            decoder_block_out_channels=(8, 8, 8, 8),
            num_encoder_blocks=(1, 1, 1, 1),
            num_decoder_blocks=(1, 1, 1, 1),
            latent_channels=latent,
        ),
        seed,
    )


BUILDERS: dict[str, Callable[[], Any]] = {
    "sd": sd,
    "sdxl": sdxl,
    "sd3": sd3,
    "house": house,
    "flux": flux,
    "flux-dev": lambda: flux(distilled=True),
    "pixart": pixart,
    "hunyuandit": hunyuandit,
    "qwen": qwen,
    "zimage": zimage,
}


def save(kind: str, folder: Path) -> Path:
    """Build the pipeline of one kind and save it to a folder in diffusers layout; returns the folder."""
    from tests import tiny_families  # which builds on this module

    (BUILDERS | tiny_families.BUILDERS)[kind]().save_pretrained(folder, safe_serialization=True)
    return folder
