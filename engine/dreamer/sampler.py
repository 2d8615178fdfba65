"""The fast path: our own sampling loop for the U-Net families (SD 1.x/2.x, SD-Turbo, LCM, SDXL, SDXL-Turbo).

Usage: `sampler = UNetSampler(parts, conditioning, settings)`; `sampler.picture(waypoint)` -> (H, W, 3) uint8
on the device. Dreamer process; torch.

It makes the pictures that diffusers' StableDiffusionPipeline and StableDiffusionXLPipeline make from the same
latents, steps and scheduler, without what they do anew for every picture: schedule, embeddings, progress bar,
a trip through numpy, Python around every block.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.dreamer.schedule import Program, compile_schedule
from engine.navigator import Waypoint
from engine.walk import Conditioning, Noise


@dataclass(frozen=True)
class Parts:
    """The pieces of a U-Net pipeline that dreaming needs, on their device and in their precision."""

    unet: Any
    vae: Any
    scheduler: Any
    xl: bool  # pooled text and size conditioning, as SDXL has


@dataclass(frozen=True)
class Settings:
    """How to sample."""

    width: int  # pixels
    height: int
    steps: int
    guidance: float
    factor: int  # pixels per latent cell


def to_uint8(picture: Tensor) -> Tensor:
    """(1, 3, H, W) in -1..1 to (H, W, 3) uint8, rounded as diffusers does."""
    scaled = picture[0].permute(1, 2, 0).float().mul(127.5).add_(127.5)  # (H, W, 3)
    return scaled.clamp_(0, 255).round_().to(torch.uint8).contiguous()


class UNetSampler:
    """Waypoint to picture through a U-Net; holds everything that stays the same."""

    def __init__(self, parts: Parts, conditioning: Conditioning, settings: Settings) -> None:
        self._unet, self._vae, self._settings = parts.unet, parts.vae, settings
        self._conditioning = conditioning
        parameter = next(parts.unet.parameters())
        self._device, self._dtype = parameter.device, parameter.dtype
        f = settings.factor
        if settings.width % f or settings.height % f:
            raise ValueError(
                f"this model needs a width and height that are multiples of {f}, "
                f"given {settings.width}x{settings.height}"
            )
        shape = (int(parts.unet.config.in_channels), settings.height // f, settings.width // f)
        self.noise = Noise(shape, self._device)
        self._solver = compile_schedule(parts.scheduler, settings.steps, shape)
        if isinstance(self._solver, Program):
            self._solver.to(self._device)
        self._guided = settings.guidance > 1.0 and parts.unet.config.time_cond_proj_dim is None
        self._xl = parts.xl
        self._time_ids = self._size_conditioning() if parts.xl else None
        self._guidance_embedding = self._embed_guidance()

    @torch.inference_mode()
    def picture(self, waypoint: Waypoint, before_decode: Callable[[], None] | None = None) -> Tensor:
        """The picture of a waypoint, (H, W, 3) uint8 on the device."""
        latent = self.latent(waypoint)
        if before_decode is not None:
            before_decode()
        return to_uint8(self.decode(latent))

    def latent(self, waypoint: Waypoint) -> Tensor:
        """The finished latent of a waypoint, (1, C, h, w) float32, as the pipelines have it before decoding."""
        predict = self._predictor(self._conditioning.mix(waypoint.weights))
        return self._solver.run(self.noise(waypoint), predict)

    def decode(self, latent: Tensor) -> Tensor:
        """(1, C, h, w) to (1, 3, H, W) in about -1..1."""
        config = self._vae.config
        mean, std = getattr(config, "latents_mean", None), getattr(config, "latents_std", None)
        if self._xl and mean is not None and std is not None:
            shape = (1, -1, 1, 1)
            mean_t, std_t = (
                torch.tensor(v, device=latent.device).reshape(shape) for v in (mean, std)
            )  # (1, C, 1, 1)
            latent = latent * std_t / config.scaling_factor + mean_t
        else:
            latent = latent / config.scaling_factor
        parameter = next(self._vae.parameters())
        latent = latent.to(parameter.dtype, memory_format=torch.channels_last)
        return self._vae.decode(latent, return_dict=False)[0]

    def _predictor(self, mixed: dict[str, Tensor]) -> Callable[[Tensor, int], Tensor]:
        """The network at one conditioning, as the solver calls it."""
        text, added = self._text(mixed, "prompt_embeds"), self._added(mixed)
        guidance = self._settings.guidance

        def predict(taken: Tensor, call: int) -> Tensor:
            sample = taken.to(self._dtype, memory_format=torch.channels_last)
            if self._guided:
                sample = torch.cat(
                    [sample, sample]
                )  # (2, C, h, w): against the negative prompt, with the prompt
            answer = self._unet(
                sample,
                self._solver.timesteps[call],
                encoder_hidden_states=text,
                timestep_cond=self._guidance_embedding,
                added_cond_kwargs=added,
                return_dict=False,
            )[0]
            if not self._guided:
                return answer.float()
            without, with_prompt = answer.float().chunk(2)
            return without + guidance * (with_prompt - without)

        return predict

    def _text(self, mixed: dict[str, Tensor], name: str) -> Tensor:
        text = mixed[name]
        if self._guided:
            text = torch.cat([mixed[f"negative_{name}"].float(), text])
        return text.to(self._dtype)

    def _added(self, mixed: dict[str, Tensor]) -> dict[str, Tensor] | None:
        if not self._xl:
            return None
        pooled = self._text(mixed, "pooled_prompt_embeds")
        assert self._time_ids is not None
        return {"text_embeds": pooled, "time_ids": self._time_ids.repeat(pooled.shape[0], 1)}

    def _size_conditioning(self) -> Tensor:
        """SDXL is told the original size, the crop and the target size."""
        h, w = self._settings.height, self._settings.width
        return torch.tensor([[h, w, 0, 0, h, w]], dtype=self._dtype, device=self._device)  # (1, 6)

    def _embed_guidance(self) -> Tensor | None:
        """Models distilled with guidance (LCM) take it as a sinusoidal embedding (Luo et al. 2023, eq. 13 ff.)."""
        width = self._unet.config.time_cond_proj_dim
        if width is None:
            return None
        half = width // 2
        rates = torch.exp(
            torch.arange(half, dtype=torch.float32) * -(torch.log(torch.tensor(10000.0)) / (half - 1))
        )
        angle = (self._settings.guidance - 1.0) * 1000.0 * rates  # (D/2,)
        embedding = torch.cat([angle.sin(), angle.cos()])
        embedding = torch.nn.functional.pad(embedding, (0, width - 2 * half))
        return embedding.reshape(1, width).to(self._device, self._dtype)  # (1, D)
