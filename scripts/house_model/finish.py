"""The decoder's last lesson: to paint the few-step dreamer's own latents as crisply as the painter paints.

Usage: `finish.train(work, Budget(minutes=20), device)`, after distillation.

Dreams of few steps are smoother latents than a painting's, and decode softly. Here the decoder alone goes on
learning, from paintings as before and from dreams: the patches of dreams' Laplacian pyramids are to be
distributed as those of paintings of the same captions, by sliced optimal transport (Heitz et al. 2021, "A
Sliced Wasserstein Loss for Neural Texture Synthesis"; pyramid after Karras et al. 2018), while seen small they
stay what they were. A step is of one world: across worlds a sky would be given what paper has too much of.

The evaluation measures a distance of the same family (other patches, other directions, unseen pictures), so
its figure for dreams says how well this lesson was learned, not that dreams and paintings cannot be told apart.
"""

from __future__ import annotations

import random
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scripts.house_model import autoencoder, data, distill
from scripts.house_model.diffusion import Words, load, load_vae, sample
from scripts.house_model.training import Budget, Job, fit, generator, load_average, save_sheet

DREAMS = 2048
LEVELS = 4
SIDE = 7  # of a patch
TEXTURE = 0.35  # weight of the transport beside the picture loss; at 0.5, skies were seen to be hatched
# How far from the decoder before toward the taught one, in a straight line between their weights: the whole way is
# nearest to paintings by the distance, and draws faint level scratches in empty skies.
SHARE = 0.75
KEEP = 1.0  # weight of a dream's staying what it was, seen at a quarter of its size


def pyramid(x: Tensor, levels: int = LEVELS) -> list[Tensor]:
    """Laplacian levels of (B, 3, h, w), finest first; the last is what is left, small."""
    out = []
    for _ in range(levels - 1):
        low = F.avg_pool2d(x, 2)
        out.append(x - F.interpolate(low, scale_factor=2, mode="bilinear"))
        x = low
    return [*out, x]


def patches(x: Tensor, count: int, g: torch.Generator) -> Tensor:
    """`count` random patches of each picture, (B·count, 3·SIDE²), differentiable."""
    b, c, h, w = x.shape
    ys = torch.randint(h - SIDE + 1, (b, count, 1, 1), generator=g).to(x.device)
    xs = torch.randint(w - SIDE + 1, (b, count, 1, 1), generator=g).to(x.device)
    step = torch.arange(SIDE, device=x.device)
    where = (ys + step[:, None]) * w + xs + step  # (B, count, SIDE, SIDE)
    flat = where.flatten(1)[:, None].expand(-1, c, -1)  # (B, C, count·SIDE²)
    found = x.flatten(2).gather(2, flat).unflatten(2, (count, SIDE * SIDE))  # (B, C, count, SIDE²)
    return found.transpose(1, 2).reshape(b * count, c * SIDE * SIDE)


def transport(
    made: list[Tensor], painted: list[Tensor], sizes: list[float], g: torch.Generator, count: int = 256,
    slices: int = 96,
) -> Tensor:
    """Mean sliced distance between two pyramids' patches, each level in units of its usual size."""
    total = made[0].new_zeros(())
    for a, b, size in zip(made, painted, sizes, strict=True):
        d = F.normalize(torch.randn(3 * SIDE * SIDE, slices, generator=g), dim=0).to(a.device) / size
        pa, pb = patches(a, count, g) @ d, patches(b, count, g) @ d
        total = total + (pa.sort(0).values - pb.sort(0).values).abs().mean()
    return total / len(made)


@torch.no_grad()
def dream_set(unet: nn.Module, words: Words, notes: list[dict], which: list[int], seed: int, device: str) -> Tensor:
    """Latents of the few-step dreamer on the captions of pictures `which`, (len(which), 16, 16, 16)."""
    recaption = data.painter_module().recaption
    rng = random.Random(seed)
    out = []
    for n, part in enumerate(which[i : i + 32] for i in range(0, len(which), 32)):
        sides = [recaption(notes[i]["attributes"], rng) for i in part]
        cond = words.mixed(sides, torch.tensor([notes[i]["mix"] for i in part]))
        noise = torch.randn(len(part), 16, 16, 16, generator=generator(seed, "dreams", n)).to(device)
        out.append(sample(unet, noise, cond, distill.STEPS).half().cpu())
    return torch.cat(out)


def step_loss(
    vae: nn.Module, before: nn.Module, x: Tensor, dreams: Tensor, like: Tensor, sizes: list[float], g: torch.Generator
) -> dict[str, Tensor]:
    """x: paintings in -1..1; dreams: latents; like: paintings of the same captions; before: the decoder to keep to."""
    with torch.autocast(x.device.type, torch.bfloat16):
        with torch.no_grad():
            z = autoencoder.encode(vae, x)
            z = z + autoencoder.LATENT_NOISE * torch.randn(z.shape, generator=g).to(z.device)
            kept = before.decode(dreams).sample.float()
        y = vae.decode(torch.cat([z.float(), dreams])).sample
    y, made = y.float().split([len(x), len(dreams)])
    picture = autoencoder.picture_loss(y, x).mean()
    keep = F.avg_pool2d(made - kept, 4).abs().mean()
    texture = transport(pyramid(made), pyramid(like), sizes, g)
    loss = picture + TEXTURE * texture + KEEP * keep
    return {"loss": loss, "texture": texture.detach(), "keep": keep.detach(), "psnr": autoencoder.psnr(y, x)}


def train(
    work: Path, budget: Budget, device: str = "cpu", seed: int = 0, batch: int = 4, shard_mib: float = 0,
    root: Path | None = None, count: int = DREAMS,
) -> nn.Module:
    """Train the decoder on the latents of the distilled dreamer; encoder and dreamer are not touched."""
    pictures = data.Pictures(root or data.folder(work, data.painter_module()))
    words = Words(work / "latents", device, fast=True)
    which = [i * len(pictures) // count for i in range(min(count, len(pictures)))]
    dreams = dream_set(load(work, "distill", device), words, pictures.notes, which, seed, device)
    vae, before = load_vae(work, device), load_vae(work, device).requires_grad_(False)
    for part in (vae.encoder, vae.quant_conv):
        part.requires_grad_(False)
    kinds: dict[str, list[int]] = {}
    for k, i in enumerate(which):
        note = pictures.notes[i]["attributes"]
        kinds.setdefault("hybrid" if note["hybrid"] else note["world"], []).append(k)
    sizes = {
        kind: [float(level.std()) for level in pyramid(pictures.batch([which[k] for k in own[:64]]))]
        for kind, own in kinds.items()
    }

    def step(model: nn.Module, n: int) -> dict[str, Tensor]:
        g = generator(seed, "finish", n)
        x = pictures.batch(torch.randint(len(pictures), (batch,), generator=g).tolist()).to(device)
        kind = sorted(kinds)[int(torch.randint(len(kinds), (), generator=g))]
        chosen = [kinds[kind][k] for k in torch.randint(len(kinds[kind]), (batch,), generator=g).tolist()]
        like = pictures.batch([which[k] for k in chosen]).to(device)
        return step_loss(model, before, x, dreams[chosen].float().to(device), like, sizes[kind], g)

    def sheet(ema: nn.Module, n: int) -> None:
        shown = dreams[:: max(1, len(dreams) // 24)][:24].float().to(device)
        made = torch.cat([ema.decode(part).sample for part in shown.split(4)])
        save_sheet(work / "sheets" / f"finish-{n:06d}.png", made.add(1).div(2), columns=6)

    job = Job(
        "finish", work, vae, budget, lr=2e-4, matrices_lr=2e-4, seed=seed, ema=0.99, warmup_steps=30,
        shard_mib=shard_mib, on_sheet=sheet, meta={"texture": TEXTURE},
    )
    return fit(job, step)


def load_finished(work: Path, device: str = "cpu") -> nn.Module:
    """The autoencoder SHARE of the way through this stage, or as diffusion left it where this stage was not run."""
    vae = load_vae(work, device)
    if (work / "finish" / "state.json").exists():
        taught = load_average(work, "finish", autoencoder.build()).to(device)
        with torch.no_grad():
            for p, q in zip(vae.parameters(), taught.parameters(), strict=True):
                p.lerp_(q, SHARE)
    return vae
