"""IP-Adapters: a given picture as a prompt of its own, beside the words (Ye et al. 2023).

    adapter = read_adapter(place, unet, dtype, device)      # parts.py
    make_likened(unet, adapter.layers)
    tokens = adapter.tokens(picture)                 # (1 or 2, T, D)

Dreamer process; torch. Every cross-attention attends to the picture's few words too, with keys and values of their own,
and what it takes from them is added times a weight. Words and weight are inputs of a recording; without them a layer
is as it was, to the byte.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

LIKENESS, LIKING = "likeness", "liking"  # of the picture's words and their weight, among what a network is told
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's, of what it was shown


@dataclass(frozen=True)
class Adapter:
    """layers: keys' and values' weights (W, D) of each cross-attention, in the U-Net's order. encoder: CLIP's network
    for pictures; projection: from what it says to words; deep: whether that is its last layer but one."""

    layers: Sequence[tuple[Tensor, Tensor]]
    encoder: Any
    projection: Any
    deep: bool
    guided: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """(1 or 2, T, D) of tokens."""
        config, parameter = self.encoder.config, next(self.encoder.parameters())
        patches = (config.image_size // config.patch_size) ** 2 + 1
        said = (2 if self.guided else 1, *((patches, config.hidden_size) if self.deep else (config.projection_dim,)))
        with torch.no_grad():
            made: Tensor = self.projection(torch.zeros(said, dtype=parameter.dtype, device=parameter.device))
        return made.shape[0], made.shape[1], made.shape[2]

    def tokens(self, picture: Tensor) -> Tensor:
        """The words of a picture (1, 3, H, W) in 0..1, after those of none where there is guidance."""
        parameter = next(self.encoder.parameters())
        shown = seen_by_clip(picture, int(self.encoder.config.image_size)).to(parameter.device, parameter.dtype)
        if self.deep:
            shown = torch.cat([torch.zeros_like(shown), shown]) if self.guided else shown
            said = self.encoder(shown, output_hidden_states=True).hidden_states[-2]
        else:
            said = self.encoder(shown).image_embeds
            said = torch.cat([torch.zeros_like(said), said]) if self.guided else said
        made: Tensor = self.projection(said)
        return made.to(picture.device)


class Likened:
    """In place of a cross-attention's processor: it attends to the words of a picture too."""

    def __init__(self, inner: Any, to_k: Tensor, to_v: Tensor) -> None:
        self._inner, self._to_k, self._to_v = inner, to_k, to_v

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        shares: Tensor | None = None,
        likeness: Tensor | None = None,
        liking: Tensor | None = None,
    ) -> Tensor:
        """likeness: (B, T, D); liking: (1,)."""
        torn = {} if shares is None else {"shares": shares}
        heard: Tensor = self._inner(attn, hidden_states, encoder_hidden_states, attention_mask, temb, **torn)
        if likeness is None or liking is None:
            return heard

        def by_head(values: Tensor) -> Tensor:
            return values.unflatten(-1, (attn.heads, -1)).transpose(1, 2)  # (B, heads, S, W / heads)

        said = likeness.to(hidden_states.dtype)
        q, k, v = attn.to_q(hidden_states), F.linear(said, self._to_k), F.linear(said, self._to_v)
        found = F.scaled_dot_product_attention(by_head(q), by_head(k), by_head(v))
        found = found.transpose(1, 2).flatten(2).to(hidden_states.dtype) * liking.reshape(())  # (B, S, W)
        out = attn.to_out[0]  # which has a bias, and that of the words is there already
        more: Tensor = out(found) - out(torch.zeros_like(found[:1, :1]))
        return heard + more / attn.rescale_output_factor


def make_likened(unet: Any, layers: Sequence[tuple[Tensor, Tensor]]) -> None:
    """Has every cross-attention attend to pictures. Raises ValueError where they are not as many, or as wide."""
    processors = dict(unet.attn_processors)
    crossing = [name for name in processors if ".attn2." in name]
    if len(crossing) != len(layers):
        raise ValueError(f"it has {len(layers)} layers, and this model {len(crossing)}")
    modules = dict(unet.named_modules())
    for name, (to_k, to_v) in zip(crossing, layers, strict=True):
        attn = modules[name.removesuffix(".processor")]
        wide = (attn.inner_dim, attn.cross_attention_dim)
        if tuple(to_k.shape) != wide or tuple(to_v.shape) != wide:
            raise ValueError(f"a layer of it is {tuple(to_k.shape)}, and this model's {wide}")
        processors[name] = Likened(processors[name], to_k, to_v)
    unet.set_attn_processor(processors)


def seen_by_clip(picture: Tensor, size: int) -> Tensor:
    """(1, 3, H, W) in 0..1 as CLIP is shown it, (1, 3, size, size): made smaller by its shorter side, and its middle.
    Bicubic and in eight bits, as the library's image processor has it."""
    h, w = picture.shape[2:]
    short = min(h, w)
    to = [size * h // short, size * w // short]
    small = F.interpolate(picture.float(), to, mode="bicubic", antialias=True, align_corners=False)
    small = (small.clamp(0, 1) * 255).round() / 255
    y, x = (to[0] - size) // 2, (to[1] - size) // 2
    mean, std = (torch.tensor(v, device=picture.device).reshape(1, 3, 1, 1) for v in (_MEAN, _STD))
    return (small[:, :, y : y + size, x : x + size] - mean) / std
