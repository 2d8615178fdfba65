"""Attributes of a batch as tensors: what a world's painter asks about the pictures it paints.

    brief = Brief(attrs, other, mix, "cpu"); night = brief.weight("hour", "night")   # (B, 1, 1, 1)

A brief may hold two attribute sets per picture and a proportion; every answer is then in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

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
        self.proportion = torch.tensor(self.mix).view(-1, 1, 1, 1).to(self.device)  # (B, 1, 1, 1)

    def numbers(self, rows_a: Sequence[float], rows_b: Sequence[float]) -> Tensor:
        a, b = (
            torch.tensor(rows_a, device=self.device).view(-1, 1, 1, 1),
            torch.tensor(rows_b, device=self.device).view(-1, 1, 1, 1),
        )
        return (a + (b - a) * self.proportion).float()

    def weight(self, key: str, *values: str | None) -> Tensor:
        """How much of attribute `key` is one of `values`, 0..1."""
        return self.numbers(
            [float(a.get(key) in values) for a in self.attrs],
            [float(b.get(key) in values) for b in self.other],
        )

    def any(self, key: str, *values: str | None) -> bool:
        """Whether any picture has any of these values (so the rest may be skipped)."""
        return any(a.get(key) in values for a in self.attrs) or any(
            b.get(key) in values for b, m in zip(self.other, self.mix, strict=True) if m
        )

    def value(self, key: str, table: Mapping[Any, float], default: float = 0.0) -> Tensor:
        """The number that `table` gives for the attribute."""
        return self.numbers(
            [table.get(a.get(key), default) for a in self.attrs],
            [table.get(b.get(key), default) for b in self.other],
        )

    def number(self, key: str, default: float = 0.0) -> Tensor:
        """A numeric attribute."""
        return self.numbers(
            [float(a.get(key, default)) for a in self.attrs], [float(b.get(key, default)) for b in self.other]
        )

    def colour(self, key: str, table: Mapping[Any, tuple[float, float, float]]) -> Tensor:
        """The colour that `table` gives, (B, 3, 1, 1)."""
        a = torch.tensor([table[x.get(key)] for x in self.attrs], device=self.device).view(-1, 3, 1, 1)
        b = torch.tensor([table[x.get(key)] for x in self.other], device=self.device).view(-1, 3, 1, 1)
        return a + (b - a) * self.proportion

    def palette(self, key: str = "palette") -> Tensor:
        """Palette stops, (B, 4, 3); a missing accent falls back on the palette."""
        a = stops([x.get(key) or x["palette"] for x in self.attrs]).to(self.device)
        b = stops([x.get(key) or x["palette"] for x in self.other]).to(self.device)
        return a + (b - a) * self.proportion.view(-1, 1, 1)
