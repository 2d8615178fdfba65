"""The painter: pictures of clouds, pulp and memory, and of where they meet, with captions.

    painted = paint(8, 256, seed=1)                                   # images (8, 3, 256, 256) in 0..1, sRGB
    python -m scripts.house_model.painter --sheet sheet.png --n 64    # a contact sheet

A picture is a pure function of (seed, its index, size): all chance is a hashed counter, so neither the number of
pictures nor the device changes it (to rounding). A third of the set are hybrids at a proportion 0..1.

`attributes` of a picture: the keys of side A (world, palette, hour, feeling ...), and "a" and "b", the
attributes of the two sides (the same when pure), "mix", and "hybrid": None or the kind of crossing.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .brief import Brief
from .captions import caption_of, recaption
from .clouds import clouds_attributes, paint_clouds
from .hybrids import cross, kind_for
from .memory import memory_attributes, paint_inside, paint_memory
from .noise import Dice, mix_seed, onto
from .pulp import paint_pulp, pulp_attributes

__all__ = ["WORLDS", "Painted", "caption_of", "paint", "recaption"]

_PAINT: dict[str, Callable[[Brief, Dice, int, int], Tensor]] = {
    "clouds": paint_clouds,
    "pulp": paint_pulp,
    "memory": paint_memory,
}
_ATTRIBUTES = {"clouds": clouds_attributes, "pulp": pulp_attributes, "memory": memory_attributes}
WORLDS = tuple(_PAINT)
# What a painter leaves out where no picture of its batch has it: alike in these, pictures are painted together.
_ALIKE = ("print", "form", "scene", "mode", "weather")
GPU_BATCH = 64  # pictures of 256x256 take up to 36 MB each while they are painted


@dataclass(frozen=True)
class Painted:
    """A batch of painted pictures."""

    images: Tensor  # (B, 3, H, W) float32 in 0..1, sRGB
    captions: list[tuple[str, str]]  # of side A and side B, equal when the picture is pure
    mix: Tensor  # (B,) proportion of side B
    attributes: list[dict]  # see the module's text


@dataclass(frozen=True)
class Plan:
    """What one picture is to show."""

    a: dict
    b: dict
    mix: float
    hybrid: str | None
    seed_a: int
    seed_b: int


def plan(seed: int, index: int, world: str | None = None) -> Plan:
    """Decide picture `index` of a set: its worlds, attributes and proportion."""
    rng = random.Random(mix_seed(seed, index, "plan"))
    first = world or WORLDS[rng.randrange(3)]
    a = _ATTRIBUTES[first](rng)
    if world is not None or rng.random() > 1 / 3:
        return Plan(a, a, 0.0, None, mix_seed(seed, index, "a"), mix_seed(seed, index, "a"))
    second = WORLDS[rng.randrange(3)]
    if second == first and rng.random() < 0.5:
        second = rng.choice([w for w in WORLDS if w != first])
    b = _ATTRIBUTES[second](rng)
    kind = rng.choice(kind_for(first, second))
    return Plan(a, b, rng.random(), kind, mix_seed(seed, index, "a"), mix_seed(seed, index, "b"))


def draw(plans: list[Plan], h: int, w: int, device: torch.device | str = "cpu", batch: int = 4) -> Tensor:
    """Paint plans in batches of one world and kind each, (B, 3, h, w)."""
    out = torch.empty(len(plans), 3, h, w, device=device)
    groups: dict[tuple[str, str, str | None], list[int]] = {}
    for k, one in enumerate(plans):
        groups.setdefault((one.a["world"], one.b["world"], one.hybrid), []).append(k)
    for (wa, wb, kind), members in groups.items():
        members.sort(key=lambda k: [str(plans[k].a.get(name)) for name in _ALIKE])
        for at in range(0, len(members), batch):
            part = members[at : at + batch]
            some = [plans[k] for k in part]
            a, b, m = [p.a for p in some], [p.b for p in some], [p.mix for p in some]
            sa, sb = [p.seed_a for p in some], [p.seed_b for p in some]
            if kind is None:
                img = _PAINT[wa](Brief(a, device=device), Dice(sa, device), h, w)
            elif kind == "form":
                img = _PAINT[wa](Brief(a, b, m, device), Dice(sa, device, sb, m), h, w)
            elif kind == "inside":
                img = _inside(some, h, w, device)
            else:
                first = _PAINT[wa](Brief(a, device=device), Dice(sa, device), h, w)
                second = _PAINT[wb](Brief(b, device=device), Dice(sb, device), h, w)
                lead = first if wa == "clouds" else second if wb == "clouds" else None
                p = onto(device, m).view(-1, 1, 1, 1)
                img = cross(kind, first, second, p, Dice(sa, device), lead).clamp(0, 1)
            out[onto(device, part)] = img.float()
    return out


def _inside(some: list[Plan], h: int, w: int, device: torch.device | str) -> Tensor:
    """A sky or paper entering the spheres of a store, whichever side the store is."""
    turned = some[0].a["world"] != "memory"
    store, other = (
        ([p.b for p in some], [p.a for p in some]) if turned else ([p.a for p in some], [p.b for p in some])
    )
    seeds = [(p.seed_b, p.seed_a) if turned else (p.seed_a, p.seed_b) for p in some]
    p = onto(device, [1 - q.mix if turned else q.mix for q in some]).view(-1, 1, 1, 1)
    view = _PAINT[other[0]["world"]](Brief(other, device=device), Dice([s[1] for s in seeds], device), h, w)
    return paint_inside(Brief(store, device=device), Dice([s[0] for s in seeds], device), view, p)


def paint(
    n: int,
    size: int | tuple[int, int] = 256,
    seed: int | Sequence[int] = 0,
    device: torch.device | str = "cpu",
    world: str | None = None,
) -> Painted:
    """Paint pictures 0..n-1 of the set `seed`, or of each set; size is a side or (height, width); world=None mixes all.

    A GPU is kept busy by a thousand pictures or more at once.
    """
    h, w = (size, size) if isinstance(size, int) else size
    if n < 1 or min(h, w) < 32:
        raise ValueError(f"paint needs n of at least 1 and sides of at least 32, got n={n}, size={h}x{w}")
    if world is not None and world not in WORLDS:
        raise ValueError(f"world must be one of {', '.join(WORLDS)} or None, got {world!r}")
    places = [(one, k) for one in ([seed] if isinstance(seed, int) else seed) for k in range(n)]
    plans = [plan(one, k, world) for one, k in places]
    images = draw(plans, h, w, device, batch=1 if torch.device(device).type == "cpu" else GPU_BATCH)
    attributes = [{**p.a, "a": p.a, "b": p.b, "mix": p.mix, "hybrid": p.hybrid} for p in plans]
    rngs = [random.Random(mix_seed(one, k, "words")) for one, k in places]
    captions = [recaption(t, rng) for t, rng in zip(attributes, rngs, strict=True)]
    return Painted(images, captions, torch.tensor([p.mix for p in plans]), attributes)


def sheet(images: Tensor, columns: int = 8) -> Tensor:
    """Images (B, 3, h, w) side by side, (3, rows*h, columns*w)."""
    b, c, h, w = images.shape
    rows = -(-b // columns)
    full = torch.zeros(rows * columns, c, h, w)
    full[:b] = images.cpu()
    return full.view(rows, columns, c, h, w).permute(2, 0, 3, 1, 4).reshape(c, rows * h, columns * w)


def main() -> None:
    """Write a contact sheet and print its captions."""
    from PIL import Image

    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--sheet", required=True, help="PNG to write")
    ask.add_argument("--n", type=int, default=64)
    ask.add_argument("--size", type=int, default=256)
    ask.add_argument("--columns", type=int, default=8)
    ask.add_argument("--seed", type=int, default=0)
    ask.add_argument("--world", choices=WORLDS)
    got = ask.parse_args()
    painted = paint(got.n, got.size, got.seed, world=got.world)
    pixels = (sheet(painted.images, got.columns).permute(1, 2, 0) * 255).round().byte().numpy()
    Image.fromarray(pixels).save(got.sheet)
    for k, (a, b) in enumerate(painted.captions):
        print(f"{k:3d}  {a}" + (f"   ~{painted.mix[k]:.2f}~   {b}" if a != b else ""))


if __name__ == "__main__":
    main()
