"""ControlNets: a network beside the U-Net that looks at a given picture, and adds what it makes of it to the U-Net's
layers (Zhang et al. 2023).

    outline = Outline(net, said, residuals)
    flat = outline(taken, t, hint, *texts)        # (1 or 2, N): all that is added, in one row
    down, mid = residuals.of(flat * weight)       # as the U-Net takes it

Dreamer process; torch. All that is added lies in one tensor, so that recordings of both networks have it as one input
and one answer. The weight is a factor of it: it moves with every picture, and at 0 nothing is run.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from engine.dreamer.edges import edges

if TYPE_CHECKING:
    from engine.dreamer.network import Said

OUTLINE = "outline"  # of what is added, among what a network is told
Make = Callable[[Tensor], Tensor]


class Residuals:
    """The shapes of what a ControlNet adds, for latents of (h, w) cells."""

    def __init__(self, config: Any, cells: tuple[int, int], batch: int) -> None:
        self._batch, self._shapes = batch, _shapes(config, cells)
        self._sizes = [c * h * w for c, h, w in self._shapes]

    def none(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """What adds nothing, (batch, N)."""
        return torch.zeros((self._batch, sum(self._sizes)), dtype=dtype, device=device)

    @staticmethod
    def flat(down: list[Tensor], mid: Tensor) -> Tensor:
        """(batch, N): channels last, as the networks have them."""
        return torch.cat([one.permute(0, 2, 3, 1).flatten(1) for one in (*down, mid)], 1)

    def of(self, flat: Tensor) -> tuple[list[Tensor], Tensor]:
        """What flat() was made of."""
        parts = flat.split(self._sizes, 1)
        made = [
            part.reshape(flat.shape[0], h, w, c).permute(0, 3, 1, 2)
            for part, (c, h, w) in zip(parts, self._shapes, strict=True)
        ]
        return made[:-1], made[-1]


class Outline:
    """A ControlNet: latent, time, hint and words in, what it adds at a weight of 1 out."""

    def __init__(self, net: Any, said: "Said") -> None:
        self._net, self._said = net, said
        self._only_with = None  # one that pools is run with the prompt alone, as the library does
        if said.guided and net.config.global_pool_conditions:
            self._only_with = torch.tensor([[0.0], [1.0]], dtype=said.dtype, device=next(net.parameters()).device)

    def __call__(self, taken: Tensor, t: Tensor, hint: Tensor, *texts: Tensor) -> Tensor:
        """hint: (1, 1 or 3, H, W) in 0..1. (1 or 2, N) comes back."""
        words, added = self._said.words(dict(zip(self._said.names, texts, strict=True)))
        sample = self._said.sample(taken)
        shown = hint.to(self._said.dtype).expand(sample.shape[0], 3, -1, -1)
        down, mid = self._net(
            sample,
            t,
            encoder_hidden_states=words,
            controlnet_cond=shown.contiguous(memory_format=torch.channels_last),
            added_cond_kwargs=added,
            return_dict=False,
        )
        flat = Residuals.flat(down, mid)
        return flat if self._only_with is None else flat * self._only_with


def hint_maker(kind: str) -> Make:
    """From a picture (1, 3, H, W) in 0..1 to what a ControlNet is shown. kind: canny, its lines, (1, 1, H, W); or
    picture: it is shown as it is, as depth or a pose that was made elsewhere."""

    def lines(picture: Tensor) -> Tensor:
        pixels = (picture[0].permute(1, 2, 0) * 255).round().to("cpu", torch.uint8).numpy()  # (H, W, 3)
        return torch.from_numpy(edges(pixels).astype(np.float32)).to(picture.device)[None, None]

    return lines if kind == "canny" else lambda picture: picture


def _shapes(config: Any, cells: tuple[int, int]) -> list[tuple[int, int, int]]:
    """(C, h, w) of what is added after the first convolution, after every layer and every halving on the way down, and
    in the middle."""
    widths, layers = list(config.block_out_channels), config.layers_per_block
    h, w = cells
    found = [(widths[0], h, w)]
    for n, width in enumerate(widths):
        found += [(width, h, w)] * layers
        if n + 1 < len(widths):
            h, w = -(-h // 2), -(-w // 2)
            found.append((width, h, w))
    found.append((widths[-1], h, w))
    return [(c, 1, 1) for c, _, _ in found] if config.global_pool_conditions else found
