"""The U-Net with guidance, as dreams ask it: a noisy latent, a time and mixed words in, an answer out.

    network = Network(parts, settings, dtype, device)
    answer = network(taken, t, *texts)            # texts: by network.names

Dreamer process; torch. What pictures add (outline.py, likeness.py) comes after the words, as tensors too, so that a
recording of the network has it as inputs.
"""

import math
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from engine.dreamer import lora
from engine.dreamer.likeness import LIKENESS, LIKING
from engine.dreamer.outline import OUTLINE, Residuals

if TYPE_CHECKING:
    from engine.dreamer.sampler import Parts, Settings


class Said:
    """What networks of one show are told beside the noise: which tensors, and how they take them."""

    def __init__(self, parts: "Parts", settings: "Settings", dtype: torch.dtype, device: torch.device) -> None:
        self._xl, self.dtype = parts.xl, dtype
        self.guided = settings.guidance > 1.0 and parts.unet.config.time_cond_proj_dim is None
        h, w = settings.height, settings.width  # SDXL is told the original size, the crop and the target size
        self._time_ids = torch.tensor([[h, w, 0, 0, h, w]], dtype=dtype, device=device)  # (1, 6)
        names = ["prompt_embeds", *(["pooled_prompt_embeds"] if parts.xl else [])]
        self.names = [*names, *([f"negative_{n}" for n in names] if self.guided else [])]
        if parts.loras is not None:
            self.names.append(lora.NAME)

    def sample(self, taken: Tensor) -> Tensor:
        """The latent as a network takes it: twice, against the negative prompt and with the prompt, if it is guided."""
        sample = taken.to(self.dtype, memory_format=torch.channels_last)
        return torch.cat([sample, sample]) if self.guided else sample  # (1 or 2, C, h, w)

    def words(self, text: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor] | None]:
        """(N or 2N, L, D), and what SDXL hears beside."""
        added = None
        if self._xl:
            pooled = self._both(text, "pooled_prompt_embeds")  # (1 or 2, P)
            added = {"text_embeds": pooled, "time_ids": self._time_ids.repeat(pooled.shape[0], 1)}
        return self._both(text, "prompt_embeds"), added

    def _both(self, text: dict[str, Tensor], name: str) -> Tensor:
        both = torch.cat([text[f"negative_{name}"].float(), text[name]]) if self.guided else text[name]
        return both.to(self.dtype)


class Network:
    """Latent, time and mixed conditioning in, answer in float32 out.

    names: of the tensors that it is told: the words (Said.names), and then what pictures add, where `residuals` and
    `likened` say that they may.
    """

    def __init__(
        self,
        parts: "Parts",
        settings: "Settings",
        said: Said,
        residuals: Residuals | None = None,
        likened: bool = False,
    ) -> None:
        self._unet, self._said, self._residuals, self._loras = parts.unet, said, residuals, parts.loras
        self._guidance = settings.guidance
        embedded = parts.unet.config.time_cond_proj_dim
        self._guidance_embedding = None
        if embedded is not None:
            device = next(parts.unet.parameters()).device
            self._guidance_embedding = guidance_embedding(settings.guidance, embedded).to(device, said.dtype)
        self.names = [*said.names, *([OUTLINE] if residuals else []), *([LIKENESS, LIKING] if likened else [])]

    def __call__(self, taken: Tensor, t: Tensor, *told: Tensor, shares: Tensor | None = None) -> Tensor:
        """shares: (N, h, w) of the N texts, where each patch hears its own."""
        text = dict(zip(self.names, told, strict=True))
        held = nullcontext() if self._loras is None else self._loras.held(text[lora.NAME])
        words, added = self._said.words(text)
        attended = {} if shares is None else {"shares": shares}
        attended |= {name: text[name] for name in (LIKENESS, LIKING) if name in text}
        outline: dict[str, Any] = {}
        if self._residuals is not None:
            down, mid = self._residuals.of(text[OUTLINE])
            outline = {"down_block_additional_residuals": down, "mid_block_additional_residual": mid}
        with held:
            answer = self._unet(
                self._said.sample(taken),
                t,
                encoder_hidden_states=words,
                timestep_cond=self._guidance_embedding,
                added_cond_kwargs=added,
                cross_attention_kwargs=attended or None,
                return_dict=False,
                **outline,
            )[0].float()
        if not self._said.guided:
            return answer
        without, with_prompt = answer.chunk(2)
        return without + self._guidance * (with_prompt - without)


def guidance_embedding(guidance: float, width: int) -> Tensor:
    """Models distilled with guidance take it as a sinusoidal embedding, (1, D) (Luo et al. 2023, LCM)."""
    half = width // 2
    rates = torch.exp(torch.arange(half, dtype=torch.float32) * -(math.log(10000.0) / (half - 1)))
    angle = (guidance - 1.0) * 1000.0 * rates  # (D/2,)
    embedding = torch.cat([angle.sin(), angle.cos()])
    return torch.nn.functional.pad(embedding, (0, width - 2 * half)).reshape(1, width)


def decode(vae: Any, latent: Tensor, xl: bool) -> Tensor:
    """(1, C, h, w) to (1, 3, H, W) in about -1..1."""
    mean, std = getattr(vae.config, "latents_mean", None), getattr(vae.config, "latents_std", None)
    if xl and mean is not None and std is not None:
        mean, std = (torch.tensor(v, device=latent.device).reshape(1, -1, 1, 1) for v in (mean, std))  # (1, C, 1, 1)
        latent = latent * std / vae.config.scaling_factor + mean
    else:
        latent = latent / vae.config.scaling_factor
    latent = latent.to(next(vae.parameters()).dtype, memory_format=torch.channels_last)
    return vae.decode(latent, return_dict=False)[0]
