"""The other path: any text-to-image pipeline of diffusers, through its own __call__.

Usage: `sampler = PipelineSampler(pipe, conditioning, settings)`; `sampler.picture(waypoint)`.
Dreamer process; torch. Slower than sampler.py, for SD3, Flux, PixArt, Sana and whatever comes next: the
pipeline is given our latents and our mixed embeddings and does the rest its own way.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from engine.dreamer.sampler import Settings
from engine.models import ModelError
from engine.navigator import Waypoint
from engine.walk import Conditioning, Noise

NOISE_SEED = 0  # of the noise that a pipeline may add for itself: still while the walk moves


def encode(pipe: Any, prompts: Sequence[str], negative: str, guided: bool) -> Conditioning:
    """Every prompt through the pipeline's text encoders, once; short sequences are padded to the longest."""
    rows = [_encode_one(pipe, prompt, negative, guided) for prompt in prompts]
    materials = {n: _stack([row[n] for row in rows]) for n in rows[0] if not n.startswith("negative_")}
    fixed = {n: t for n, t in rows[0].items() if n.startswith("negative_")}
    return Conditioning(materials, fixed)


def _stack(tensors: list[Tensor]) -> Tensor:
    longest = max(t.shape[1] for t in tensors)
    if any(t.shape[1] != longest for t in tensors):
        padded = []
        for t in tensors:
            pad = [0] * (2 * (t.dim() - 2)) + [0, longest - t.shape[1]]
            padded.append(torch.nn.functional.pad(t, pad))
        tensors = padded
    return torch.cat(tensors)  # (N, L, D), (N, L) or (N, P)


def _encode_one(pipe: Any, prompt: str, negative: str, guided: bool) -> dict[str, Tensor]:
    wanted = inspect.signature(pipe.encode_prompt).parameters
    known: dict[str, Any] = {
        "prompt": prompt,
        "prompt_2": prompt,
        "prompt_3": prompt,
        "negative_prompt": negative,
        "device": pipe._execution_device,
        "num_images_per_prompt": 1,
        "do_classifier_free_guidance": guided,
        "clean_caption": False,
    }
    missing = [n for n, p in wanted.items() if p.default is p.empty and n not in known and n != "self"]
    if missing:
        raise ModelError(f"{type(pipe).__name__}: its encode_prompt also needs {', '.join(missing)}; not supported")
    if "negative_prompt_2" not in wanted and "negative_prompt" in wanted and not guided:
        known["negative_prompt"] = ""
    with torch.no_grad():
        answer = pipe.encode_prompt(**{n: v for n, v in known.items() if n in wanted})
    answer = answer if isinstance(answer, tuple) else (answer,)
    names = _names(pipe, len(answer))
    return {n: t for n, t in zip(names, answer, strict=False) if n and isinstance(t, Tensor)}


def _names(pipe: Any, count: int) -> tuple[str, ...]:
    """What the parts of encode_prompt's answer are called in __call__; they differ from family to family."""
    takes = set(inspect.signature(type(pipe).__call__).parameters)
    if count == 1:
        return ("prompt_embeds",)
    if count == 2 and "negative_prompt_embeds" in takes and "prompt_embeds_mask" not in takes:
        return ("prompt_embeds", "negative_prompt_embeds")
    if count == 2 and "prompt_embeds_mask" in takes:
        return ("prompt_embeds", "prompt_embeds_mask")
    if count in (2, 3) and "pooled_prompt_embeds" in takes:
        return ("prompt_embeds", "pooled_prompt_embeds", "")  # Flux: the third is positions, made anew
    if count == 4 and "pooled_prompt_embeds" in takes:
        pooled = ("pooled_prompt_embeds", "negative_pooled_prompt_embeds")
        return ("prompt_embeds", "negative_prompt_embeds", *pooled)
    if count == 4 and "prompt_attention_mask" in takes:
        masks = "prompt_attention_mask", "negative_prompt_attention_mask"
        return ("prompt_embeds", masks[0], "negative_prompt_embeds", masks[1])
    raise ModelError(f"{type(pipe).__name__}: its way of encoding prompts ({count} parts) is not known to Pedesis")


class PipelineSampler:
    """Waypoint to picture through a pipeline's own __call__."""

    def __init__(self, pipe: Any, conditioning: Conditioning, settings: Settings) -> None:
        self._pipe, self._conditioning, self._settings = pipe, conditioning, settings
        self._takes = set(inspect.signature(type(pipe).__call__).parameters)
        if "latents" not in self._takes or "prompt_embeds" not in self._takes:
            raise ModelError(f"{type(pipe).__name__} takes no latents and embeddings, so it cannot be walked")
        network = getattr(pipe, "transformer", None) or getattr(pipe, "unet", None)
        if network is None:
            raise ModelError(f"{type(pipe).__name__} has neither a transformer nor a U-Net, so it cannot be walked")
        self._device, self._dtype = pipe._execution_device, next(network.parameters()).dtype
        self.noise = Noise(_latent_shape(pipe, network, settings), self._device)

    @torch.inference_mode()
    def picture(self, waypoint: Waypoint, before_decode: Callable[[], None] | None = None) -> Tensor:
        """The picture of a waypoint, (H, W, 3) uint8. The decoder is inside, so `before_decode` comes first."""
        if before_decode is not None:
            before_decode()
        mixed = self._conditioning.mix(waypoint.weights)
        options: dict[str, Any] = {
            n: t.to(self._device, t.dtype if n.endswith("mask") else self._dtype) for n, t in mixed.items()
        }
        options |= {
            "prompt": None,
            "negative_prompt": None,
            "latents": self._packed(self.noise(waypoint)),
            "width": self._settings.width,
            "height": self._settings.height,
            "num_inference_steps": self._settings.steps,
            "guidance_scale": self._settings.guidance,
            "generator": torch.Generator("cpu").manual_seed(NOISE_SEED),
            "output_type": "pt",
            "use_resolution_binning": False,
            "clean_caption": False,
        }
        images = self._pipe(**{n: v for n, v in options.items() if n in self._takes}).images
        scaled = images[0].permute(1, 2, 0).float().mul(255)  # (H, W, 3)
        return scaled.clamp_(0, 255).round_().to(torch.uint8).contiguous()

    def _packed(self, noise: Tensor) -> Tensor:
        """Latents as the pipeline takes them: Flux and its kin want 2x2 patches in a row."""
        noise = noise.to(self._dtype)
        pack = getattr(self._pipe, "_pack_latents", None)
        if pack is None:
            return noise
        _, channels, h, w = noise.shape
        return pack(noise, 1, channels, h, w)  # (1, h/2 * w/2, C*4)


def _latent_shape(pipe: Any, network: Any, settings: Settings) -> tuple[int, int, int]:
    factor = int(getattr(pipe, "vae_scale_factor", 8))
    packed = hasattr(pipe, "_pack_latents")
    channels = int(network.config.in_channels) // (4 if packed else 1)
    cell = factor * (2 if packed else 1)
    if settings.width % cell or settings.height % cell:
        raise ModelError(
            f"this model needs a width and height that are multiples of {cell}, "
            f"given {settings.width}x{settings.height}"
        )
    return channels, settings.height // factor, settings.width // factor
