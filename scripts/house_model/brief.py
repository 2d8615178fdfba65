"""Attributes of a batch as tensors: what a world's painter asks about the pictures it paints.

    brief = Brief(attrs, other, mix, "cpu"); night = brief.weight("hour", "night")   # (B, 1, 1, 1)

A brief may hold two attribute sets per picture and a proportion; every answer is then in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from .noise import onto
from .palettes import stops


class Brief:
    """Attribute dictionaries (sides A and B) and the proportion of B, answered as numbers."""

    def __init__(
        self,
        attrs: Sequence[dict],
        other: Sequence[dict] | None = None,
        mix: Sequence[float] | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.attrs, self.other = list(attrs), list(other) if other is not None else list(attrs)
        self.mix = list(mix) if mix is not None else [0.0] * len(self.attrs)
        self.device = torch.device(device)
        self.proportion = onto(self.device, self.mix).view(-1, 1, 1, 1)  # (B, 1, 1, 1)

    def answer(self, of: Callable[[dict], Any]) -> Tensor:
        """What `of` gives for each picture, a number or equally nested lists of numbers: (B, ...)."""
        a = torch.tensor([of(x) for x in self.attrs])
        if any(self.mix):
            mix = torch.tensor(self.mix).view(-1, *[1] * (a.dim() - 1))
            a = torch.lerp(a, torch.tensor([of(x) for x in self.other]), mix)
        return a.to(self.device, non_blocking=True)

    def weight(self, key: str, *values: str | None) -> Tensor:
        """How much of attribute `key` is one of `values`, 0..1."""
        return self.answer(lambda x: float(x.get(key) in values)).view(-1, 1, 1, 1)

    def any(self, key: str, *values: str | None) -> bool:
        """Whether any picture has any of these values (so the rest may be skipped)."""
        return any(a.get(key) in values for a in self.attrs) or any(
            b.get(key) in values for b, m in zip(self.other, self.mix, strict=True) if m
        )

    def value(self, key: str, table: Mapping[Any, float], default: float = 0.0) -> Tensor:
        """The number that `table` gives for the attribute."""
        return self.answer(lambda x: float(table.get(x.get(key), default))).view(-1, 1, 1, 1)

    def colour(self, key: str, table: Mapping[Any, tuple[float, float, float]]) -> Tensor:
        """The colour that `table` gives, (B, 3, 1, 1)."""
        return self.answer(lambda x: table[x.get(key)]).view(-1, 3, 1, 1)

    def palette(self, key: str = "palette") -> Tensor:
        """Palette stops, (B, 4, 3); a missing accent falls back on the palette."""
        return self.answer(lambda x: stops(x.get(key) or x["palette"]))
