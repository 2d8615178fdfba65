"""Torn texts made in memory, for tests that need no disk and no text encoder."""

from pathlib import Path

import numpy as np

from engine.walk.pulp.fragments import Kind


class Torn:
    """`count` fragments in `kinds` kinds, drawn from a seed: "fragment 0" and so on."""

    def __init__(self, count: int = 100, kinds: int = 5, seed: int = 1) -> None:
        self.path, self.model, self.count = Path("book.pulp"), "house", count
        self.digest = f"{count} {kinds} {seed}"
        draws = np.random.default_rng(seed)
        self.kind_of = draws.integers(0, kinds, count).astype(np.uint16)
        self.in_kinds = np.lexsort((draws.random(count), self.kind_of)).astype(np.int32)
        self.kinds = tuple(Kind(n, f"kind {n}", int((self.kind_of == n).sum())) for n in range(kinds))

    def text(self, number: int) -> str:
        return f"fragment {number}"
