"""Painted pictures on disk and in memory, and the words that go with them.

Usage: `data.render(work, 2048, size=256, first_seed=0)`, then `data.Pictures(work).batch(indices)`.
Runs in the training process or beside it (`train_house_model.py --stages render`), a block at a time.

A block is 64 pictures of one seed: `NNNNNN.npy` (64, 3, H, W) uint8 and `NNNNNN.json`, in a folder named
after the painter's own source, so that pictures of two versions of the painter are never mixed up.
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

BLOCK = 64
BLOCKS_AT_ONCE = 16  # on a GPU, which many pictures keep busy
NOT_PAINTING = {"__init__", "adopt", "autoencoder", "card", "data", "diffusion", "distill", "evaluate", "export"}
NOT_PAINTING |= {"finish", "latents", "texture", "training", "words"}
UNSEEN_SEED = 900_000  # pictures from here on are for evaluation and are never trained on


def painter_module() -> ModuleType:
    """The project's painter; imported late because it is its own room."""
    from scripts.house_model import painter

    return painter


def version(painter: ModuleType) -> str:
    """Eight letters that change whenever the painter's source, or a module it is made of, does."""
    home = Path(painter.__file__).parent
    source = [f for f in sorted(home.glob("*.py")) if f.stem.split("_")[0] not in NOT_PAINTING]
    return hashlib.sha256(b"".join(f.read_bytes() for f in source)).hexdigest()[:8]


def folder(work: Path, painter: ModuleType) -> Path:
    return work / "pictures" / version(painter)


def render(
    work: Path, count: int, size: int = 256, first_seed: int = 0, device: str = "cpu", minutes: float = 1e9
) -> int:
    """Paint whatever is missing of `count` pictures, for at most `minutes`; returns how many were painted."""
    painter = painter_module()
    out = folder(work, painter)
    out.mkdir(parents=True, exist_ok=True)
    missing = [n for n in range(first_seed, first_seed + -(-count // BLOCK)) if not (out / f"{n:06d}.npy").exists()]
    at_once = 1 if torch.device(device).type == "cpu" else BLOCKS_AT_ONCE
    began, made = time.monotonic(), 0
    for at in range(0, len(missing), at_once):
        if (time.monotonic() - began) / 60 > minutes:
            break
        seeds = missing[at : at + at_once]
        painted = painter.paint(BLOCK, size=size, seed=seeds, device=device)
        notes = [
            {"caption": list(c), "mix": float(m), "attributes": a}
            for c, m, a in zip(painted.captions, painted.mix, painted.attributes, strict=True)
        ]
        pixels = (painted.images.clamp(0, 1) * 255).round().byte().cpu().numpy()
        for k, seed in enumerate(seeds):
            path, block = out / f"{seed:06d}.npy", slice(k * BLOCK, (k + 1) * BLOCK)
            path.with_suffix(".json").write_text(json.dumps(notes[block]))
            part = path.with_suffix(".part")
            with part.open("wb") as f:
                np.save(f, pixels[block])
            part.rename(path)
        made += len(seeds) * BLOCK
        rate = made / (time.monotonic() - began)
        left = (len(missing) * BLOCK - made) / rate
        print(f"render {made}/{len(missing) * BLOCK} · {rate:.0f} a second · {left / 60:.1f} min left", flush=True)
    return made


def group_of(note: dict) -> str:
    """The world of a pure picture, or `hybrid`."""
    return "hybrid" if note["attributes"].get("hybrid") else note["attributes"]["world"]


class Pictures:
    """The painted blocks as one long list; memory-mapped, so thousands cost nothing until they are read."""

    def __init__(self, root: Path, first_seed: int = 0, last_seed: int = UNSEEN_SEED):
        paths = [p for p in sorted(root.glob("*.npy")) if first_seed <= int(p.stem) < last_seed]
        if not paths:
            raise FileNotFoundError(f"{root} holds no painted pictures: run the render stage first")
        self.blocks = [np.load(p, mmap_mode="r") for p in paths]
        self.notes = [note for p in paths for note in json.loads(p.with_suffix(".json").read_text())]

    def __len__(self) -> int:
        return len(self.blocks) * BLOCK

    def crops(self, count: int, size: int, g: torch.Generator, which: list[int] | None = None) -> Tensor:
        """Random square crops, half of them mirrored: (count, 3, size, size) in -1..1; of any pictures, or of those."""
        if which is None:
            which = torch.randint(len(self), (count,), generator=g).tolist()
        high, wide = self.blocks[0].shape[2:]
        out = []
        for i in which:
            y = int(torch.randint(high - size + 1, (), generator=g))
            x = int(torch.randint(wide - size + 1, (), generator=g))
            crop = self.blocks[i // BLOCK][i % BLOCK][:, y : y + size, x : x + size]
            out.append(crop[:, :, ::-1] if torch.rand((), generator=g) < 0.5 else crop)
        return torch.from_numpy(np.stack(out)).float() / 127.5 - 1

    def batch(self, which: list[int]) -> Tensor:
        """Whole pictures (B, 3, H, W) in -1..1."""
        chosen = np.stack([self.blocks[i // BLOCK][i % BLOCK] for i in which])
        return torch.from_numpy(chosen).float() / 127.5 - 1
