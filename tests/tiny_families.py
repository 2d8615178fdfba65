"""Tiny pipelines of today's families, built in memory as those of tiny_models.py are.

Usage: `pipe = BUILDERS["krea2"]()`; `save("prx", folder)` of tiny_models.py knows them too.
"""

from collections.abc import Callable
from typing import Any

from diffusers import (
    AutoencoderDC,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    Kandinsky3Pipeline,
    Kandinsky3UNet,
    Krea2Pipeline,
    Krea2Transformer2DModel,
    PRXPipeline,
    PRXTransformer2DModel,
    SanaPipeline,
    SanaSprintPipeline,
    SanaTransformer2DModel,
    SCMScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    VQModel,
)
from transformers import (
    Gemma2Config,
    Gemma2Model,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3VLConfig,
    Qwen3VLModel,
)

from tests.tiny_models import letters, sd3, seeded, t5, vae

_READER = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 4}
_READER |= {"num_key_value_heads": 2, "head_dim": 8}


def _gemma(seed: int) -> Gemma2Model:
    return seeded(lambda: Gemma2Model(Gemma2Config(**_READER, num_hidden_layers=1)), seed)


def sd35(seed: int = 0) -> StableDiffusion3Pipeline:
    """SD 3.5: SD 3 with normalised queries and a second attention in some layers."""
    pipe = sd3(seed)
    config = dict(pipe.transformer.config) | {"num_layers": 2, "dual_attention_layers": (0,), "qk_norm": "rms_norm"}
    pipe.transformer = seeded(lambda: SD3Transformer2DModel.from_config(config), seed)
    return pipe


def flux2_klein(seed: int = 0, distilled: bool = False) -> Flux2KleinPipeline:
    """FLUX.2 klein: 2x2 patches as channels, words as three layers of a language model see them."""
    transformer = seeded(
        lambda: Flux2Transformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=96,
            timestep_guidance_channels=16,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        ),
        seed,
    )
    decoder = seeded(
        lambda: AutoencoderKLFlux2(
            block_out_channels=(8, 8, 16, 16),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=4,
            mid_block_add_attention=False,
        ),
        seed + 1,
    )
    return Flux2KleinPipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=decoder,
        text_encoder=seeded(lambda: Qwen3ForCausalLM(Qwen3Config(**_READER, num_hidden_layers=28)), seed + 2),
        tokenizer=letters(512),
        is_distilled=distilled,
    )


def _sana_parts(seed: int, sprint: bool) -> dict[str, Any]:
    more: dict[str, Any] = {"guidance_embeds": True, "qk_norm": "rms_norm_across_heads"} if sprint else {}
    transformer = seeded(
        lambda: SanaTransformer2DModel(
            in_channels=4,
            out_channels=4,
            num_attention_heads=2,
            attention_head_dim=16,
            num_layers=1,
            num_cross_attention_heads=2,
            cross_attention_head_dim=16,
            cross_attention_dim=32,
            caption_channels=32,
            sample_size=4,
            **more,
        ),
        seed,
    )
    decoder = seeded(
        lambda: AutoencoderDC(
            latent_channels=4,
            attention_head_dim=8,
            encoder_block_out_channels=(8, 8, 8, 8, 16, 16),
            decoder_block_out_channels=(8, 8, 8, 8, 16, 16),
            encoder_layers_per_block=(0, 1, 1, 1, 1, 1),
            decoder_layers_per_block=(1, 1, 1, 1, 1, 1),
            encoder_qkv_multiscales=((),) * 6,
            decoder_qkv_multiscales=((),) * 6,
        ),
        seed + 1,
    )
    return {"transformer": transformer, "vae": decoder, "text_encoder": _gemma(seed + 2), "tokenizer": letters(300)}


def sana(seed: int = 0) -> SanaPipeline:
    """Sana: 32 pixels a cell, Gemma reads the words after instructions."""
    scheduler = DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True)
    return SanaPipeline(scheduler=scheduler, **_sana_parts(seed, False))


def sana_sprint(seed: int = 0) -> SanaSprintPipeline:
    """Sana Sprint: one or two steps with a scheduler of their own; guidance as a number."""
    scheduler = SCMScheduler(prediction_type="trigflow", sigma_data=0.5)
    return SanaSprintPipeline(scheduler=scheduler, **_sana_parts(seed, True))


def krea2(seed: int = 0) -> Krea2Pipeline:
    """Krea 2: its index carries a list of layers beside the parts; words are a stack of those layers."""
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 1, 1]}
    text = _READER | {"num_hidden_layers": 3, "rope_parameters": rope, "pad_token_id": 0}
    sight = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 32}
    sight |= {"deepstack_visual_indexes": [0]}
    transformer = seeded(
        lambda: Krea2Transformer2DModel(
            in_channels=16,
            num_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            num_key_value_heads=2,
            intermediate_size=32,
            timestep_embed_dim=16,
            text_hidden_dim=32,
            num_text_layers=3,
            text_num_attention_heads=2,
            text_num_key_value_heads=2,
            text_intermediate_size=32,
            num_layerwise_text_blocks=1,
            num_refiner_text_blocks=1,
            axes_dims_rope=(4, 6, 6),
        ),
        seed,
    )
    shape = {"base_dim": 8, "z_dim": 4, "dim_mult": [1, 2, 2, 2], "num_res_blocks": 1}
    scale = {"latents_mean": [0.0] * 4, "latents_std": [1.0] * 4}
    reader = Qwen3VLConfig(text_config=text, vision_config=sight)
    return Krea2Pipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=seeded(lambda: AutoencoderKLQwenImage(**shape, **scale), seed + 1),
        text_encoder=seeded(lambda: Qwen3VLModel(reader), seed + 2),
        tokenizer=letters(1024),
        text_encoder_select_layers=(1, 2, 3),
    )


def prx(seed: int = 0) -> PRXPipeline:
    """PRX: a text encoder whose answers go in as they are, with a mask; needs ftfy."""
    transformer = seeded(
        lambda: PRXTransformer2DModel(
            in_channels=4, patch_size=2, context_in_dim=32, hidden_size=32, num_heads=2, depth=1, axes_dim=[8, 8]
        ),
        seed,
    )
    return PRXPipeline(
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(),
        text_encoder=t5(seed + 2),
        tokenizer=letters(64),
        vae=vae((8, 8, 16, 16), 4, seed + 1, shift=0.05),
    )


def kandinsky3(seed: int = 0) -> Kandinsky3Pipeline:
    """Kandinsky 3: its tensors come as -1..1; sizes of its own."""
    unet = seeded(
        lambda: Kandinsky3UNet(
            in_channels=4,
            time_embedding_dim=32,
            groups=2,
            attention_head_dim=4,
            layers_per_block=3,
            block_out_channels=(32, 64),
            cross_attention_dim=4,
            encoder_hid_dim=32,
        ),
        seed,
    )
    movq = seeded(
        lambda: VQModel(
            block_out_channels=(32, 32, 32, 32),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            latent_channels=4,
            norm_type="spatial",
            num_vq_embeddings=12,
            vq_embed_dim=4,
            mid_block_add_attention=False,
        ),
        seed + 1,
    )
    return Kandinsky3Pipeline(
        unet=unet,
        movq=movq,
        scheduler=DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="linear", clip_sample=False),
        text_encoder=t5(seed + 2),
        tokenizer=letters(128),
    )


BUILDERS: dict[str, Callable[[], Any]] = {
    "sd35": sd35,
    "flux2-klein": flux2_klein,
    "flux2-klein-distilled": lambda: flux2_klein(distilled=True),
    "sana": sana,
    "sana-sprint": sana_sprint,
    "krea2": krea2,
    "prx": prx,
    "kandinsky3": kandinsky3,
}
