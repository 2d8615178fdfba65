"""The house model's dreamer: a rectified flow on latents, conditioned on mixtures of captions.

Usage: `diffusion.encode_set(work, device)` once, then `diffusion.train(work, Budget(minutes=55), device)`.

Noise z₁ and a picture's latent z₀ are joined by the line z_σ = (1-σ) z₀ + σ z₁ and the network learns its
direction z₁ - z₀ (Liu et al. 2022; logit-normal σ after Esser et al. 2024). It is told σ·1000, as diffusers'
schedulers tell it. A hybrid picture at proportion p is conditioned on (1-p)·e_a + p·e_b, so that weights
between materials mean something at every point and a walk between worlds has no cliff.
"""

from __future__ import annotations

import itertools
import json
import random
import shutil
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from scripts.house_model import autoencoder, data
from scripts.house_model.training import (
    Budget,
    Job,
    fit,
    generator,
    load_average,
    load_tensors,
    rank_of,
    save_sheet,
    save_tensors,
)

WIDTHS = (112, 144, 160)
CONDITION = 256
PLACES = 24
DROP = 0.1  # share of pictures shown with the empty prompt, for guidance
CONDITION_NOISE = 0.08  # of the conditioning's own size: an unseen phrase is near a seen one, never on it
SHOWN = (
    "scattered clouds at dawn", "storm clouds at night", "a cloud shaped like a whale", "blue sky at noon",
    "torn newspaper in blue pulp", "cream handmade paper with a watermark", "red ink on wet paper", "a diary",
    "shelves of golden memory spheres", "one blue sphere, sadness", "green spheres with a forest inside", "joy",
)


def build(widths: tuple[int, ...] = WIDTHS, latent_channels: int = 16, condition: int = CONDITION) -> nn.Module:
    """An untrained network: attention where the latent has shrunk to 8×8, and in the middle."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=16,
        in_channels=latent_channels,
        out_channels=latent_channels,
        block_out_channels=widths,
        layers_per_block=1,
        cross_attention_dim=condition,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        mid_block_type="UNetMidBlock2DCrossAttn",
        attention_head_dim=4,  # diffusers reads this as the number of heads
        norm_num_groups=16,
    )


# --- words -----------------------------------------------------------------------------------------------


class Words:
    """Captions to conditioning, exactly as the pipeline does it; remembers what it has read."""

    def __init__(self, folder: Path, device: str = "cpu", fast: bool = False):
        """`fast` reads in bfloat16: good enough to train on, where the conditioning is noised anyway."""
        from transformers import CLIPTextModel, CLIPTokenizer

        self.tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
        self.encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32).eval().to(device)
        self.device = device
        self.fast = fast
        self.known: dict[str, Tensor] = {}
        self.size = float(self(["clouds", "torn paper", "memory spheres", "a blue evening"]).std())

    @torch.no_grad()
    def __call__(self, captions: list[str]) -> Tensor:
        """(B,) captions to (B, 24, D)."""
        new = [c for c in dict.fromkeys(captions) if c not in self.known]
        if new:
            ids = self.tokenizer(
                new, padding="max_length", max_length=PLACES, truncation=True, return_tensors="pt"
            ).input_ids
            with torch.autocast(self.device, torch.bfloat16, enabled=self.fast):
                states = self.encoder(ids.to(self.device)).last_hidden_state
            if len(self.known) > 20_000:  # 12 KiB each at half precision
                self.known.clear()
                return self(captions)
            self.known |= dict(zip(new, states.half(), strict=True))
        return torch.stack([self.known[c] for c in captions]).float()

    def mixed(self, pairs: list[tuple[str, str]], mix: Tensor) -> Tensor:
        """(1-p)·e_a + p·e_b of pairs of captions at proportions (B,): (B, 24, D)."""
        e = self([c for pair in pairs for c in pair]).unflatten(0, (len(pairs), 2))  # (B, 2, 24, D)
        p = mix.to(self.device).view(-1, 1, 1)
        return (1 - p) * e[:, 0] + p * e[:, 1]


# --- latents ---------------------------------------------------------------------------------------------


@torch.no_grad()
def unit_latents(vae: nn.Module, pictures: data.Pictures, device: str, sample: int = 1024) -> None:
    """Fold each latent channel's mean and size into the 1×1 convolutions around it, in place.

    StableDiffusionPipeline knows one scale and no shift, so unit latents have to be the autoencoder's own.
    """
    sample = min(sample, len(pictures))
    which = [i * len(pictures) // sample for i in range(sample)]
    parts = [pictures.batch(which[i : i + 16]).to(device) for i in range(0, sample, 16)]
    z = torch.cat([autoencoder.encode(vae, part) for part in parts])
    mean, std = z.mean((0, 2, 3)), z.std((0, 2, 3))
    n = len(mean)
    quant, post = vae.quant_conv, vae.post_quant_conv
    quant.bias[:n] = (quant.bias[:n] - mean) / std
    quant.weight[:n] /= std[:, None, None, None]
    post.bias += post.weight[:, :, 0, 0] @ mean
    post.weight *= std[None, :, None, None]


@torch.no_grad()
def encode_set(work: Path, device: str = "cpu", root: Path | None = None, batch: int = 16) -> int:
    """Encode every painted picture once; writes `latents/` and the autoencoder with unit latents.

    Several processes share the pictures out among themselves; the first puts the parts together.
    """
    rank, world = rank_of()
    pictures = data.Pictures(root or data.folder(work, data.painter_module()))
    vae = autoencoder.load(work, device)
    unit_latents(vae, pictures, device)
    out, began = [], time.monotonic()
    starts = list(range(0, len(pictures), batch))[rank::world]
    for n, i in enumerate(starts):
        x = pictures.batch(list(range(i, min(i + batch, len(pictures))))).to(device)
        with torch.autocast(device, torch.bfloat16):
            z = autoencoder.encode(vae, x)
        out.append(z.half().cpu())
        if rank == 0 and n % 40 == 39:
            left = (time.monotonic() - began) / (n + 1) * (len(starts) - n - 1)
            print(f"latents {n + 1}/{len(starts)} batches · {left / 60:.1f} min left", flush=True)
    save_tensors(work / "latents", f"part{rank}", {str(i): z for i, z in zip(starts, out, strict=True)})
    if world > 1:
        dist.barrier()
    if rank == 0:
        parts = {int(k): z for r in range(world) for k, z in load_tensors(work / "latents", f"part{r}").items()}
        save_tensors(work / "latents", "vae", vae.state_dict())
        save_tensors(work / "latents", "set", {"z": torch.cat([parts[i] for i in sorted(parts)])})
        (work / "latents" / "notes.json").write_text(json.dumps(pictures.notes))
    return len(pictures)


def keep_words(words: Path, work: Path) -> None:
    """Copy the text encoder beside the latents: a later one would be another language to this dreamer."""
    for part in ("tokenizer", "text_encoder"):
        shutil.copytree(words / part, work / "latents" / part, dirs_exist_ok=True)


def load_vae(work: Path, device: str = "cpu") -> nn.Module:
    """The autoencoder whose latents are of unit size."""
    vae = autoencoder.build()
    vae.load_state_dict(load_tensors(work / "latents", "vae"))
    return vae.eval().to(device)


class Latents:
    """The encoded set and the words of each picture."""

    def __init__(self, work: Path, words: Words, device: str):
        self.z = load_tensors(work / "latents", "set")["z"].to(device)
        self.notes = json.loads((work / "latents" / "notes.json").read_text())
        self.words = words
        self.device = device
        self.recaption = data.painter_module().recaption

    def batch(
        self, count: int, g: torch.Generator, drop: float = DROP, which: list[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Latents (B, 16, h, w) and conditioning (B, 24, D); of any pictures, or of those."""
        if which is None:
            which = torch.randint(len(self.z), (count,), generator=g).tolist()
        rng = random.Random(int(torch.randint(2**31, (), generator=g)))
        sides = [self.recaption(self.notes[i]["attributes"], rng) for i in which]
        mix = torch.tensor([self.notes[i]["mix"] for i in which])
        # Two wordings of a pure picture are mixed too: every point between them shows the same thing.
        second = [self.recaption(self.notes[i]["attributes"], rng) for i in which]
        sides = [(s[0], t[0]) if m == 0 else s for s, t, m in zip(sides, second, mix.tolist(), strict=True)]
        mix = torch.where(mix == 0, torch.rand(count, generator=g), mix)
        empty = torch.rand(count, generator=g) < drop
        cond = self.words.mixed([("", "") if e else s for s, e in zip(sides, empty.tolist(), strict=True)], mix)
        noise = torch.randn(cond.shape, generator=g).to(self.device)
        return self.z[which].float(), cond + CONDITION_NOISE * self.words.size * noise


# --- flow ------------------------------------------------------------------------------------------------


def velocity(unet: nn.Module, z: Tensor, sigma: Tensor, cond: Tensor) -> Tensor:
    """The network's direction at σ (a scalar or one a picture), in float32."""
    t = (sigma * 1000).expand(len(z)).to(z.device)
    with torch.autocast(z.device.type, torch.bfloat16):
        return unet(z, t, cond).sample.float()


def flow_loss(unet: nn.Module, z: Tensor, cond: Tensor, g: torch.Generator) -> dict[str, Tensor]:
    """Squared error of the direction at logit-normal σ."""
    sigma = torch.randn(len(z), generator=g).sigmoid().to(z.device)
    noise = torch.randn(z.shape, generator=g).to(z.device)
    s = sigma.view(-1, 1, 1, 1)
    v = velocity(unet, (1 - s) * z + s * noise, sigma, cond)
    return {"loss": (v - (noise - z)).square().mean()}


def sigmas(steps: int) -> Tensor:
    """The noise levels of the exported scheduler, ending in 0: (steps + 1,)."""
    return torch.linspace(0.999, 0, steps + 1)


@torch.no_grad()
def sample(
    unet: nn.Module, noise: Tensor, cond: Tensor, steps: int, guidance: float = 1.0, empty: Tensor | None = None
) -> Tensor:
    """From noise to latents in so many evaluations of the network."""
    return walk(unet, noise, sigmas(steps), cond, guidance, empty)


@torch.no_grad()
def walk(
    unet: nn.Module, z: Tensor, levels: Tensor, cond: Tensor, guidance: float = 1.0, empty: Tensor | None = None
) -> Tensor:
    """Euler's method from the first of the noise levels to the last; with guidance, away from the empty prompt."""
    for now, then in itertools.pairwise(levels):
        z = z + (then - now) * guided(unet, z, now, cond, guidance, empty)
    return z


@torch.no_grad()
def guided(
    unet: nn.Module, z: Tensor, sigma: Tensor, cond: Tensor, guidance: float, empty: Tensor | None
) -> Tensor:
    """Classifier-free guidance (Ho & Salimans 2022); 1 is none."""
    if guidance == 1:
        return velocity(unet, z, sigma, cond)
    if empty is None:
        raise ValueError(f"guidance {guidance} needs the empty prompt's conditioning, and none was given")
    v, v_empty = with_and_without(unet, z, sigma, cond, empty)
    return v_empty + guidance * (v - v_empty)


def with_and_without(
    unet: nn.Module, z: Tensor, sigma: Tensor, cond: Tensor, empty: Tensor
) -> tuple[Tensor, Tensor]:
    """The directions under the words and under none, in one evaluation."""
    both = torch.cat([cond, empty.expand_as(cond)])
    level = sigma.repeat(2) if sigma.ndim else sigma
    v, v_empty = velocity(unet, torch.cat([z, z]), level, both).chunk(2)
    return v, v_empty


def train(
    work: Path, budget: Budget, device: str = "cpu", seed: int = 0, batch: int = 32, words: Path | None = None,
    shard_mib: float = 0,
) -> nn.Module:
    """Train the many-step dreamer."""
    reader = Words(words or work / "latents", device, fast=True)
    latents = Latents(work, reader, device)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = build().to(device)
    vae = load_vae(work, device)

    def step(model: nn.Module, n: int) -> dict[str, Tensor]:
        g = generator(seed, "diffusion", n)
        return flow_loss(model, *latents.batch(batch, g), g)

    def sheet(ema: nn.Module, n: int) -> None:
        write_sheet(ema, vae, reader, work / "sheets" / f"diffusion-{n:06d}.png", steps=12, guidance=2.0)

    job = Job(
        "diffusion", work, unet, budget, lr=1e-3, matrices_lr=1.5e-3, seed=seed, ema=0.998,
        shard_mib=shard_mib, on_sheet=sheet, sheet_minutes=8,
    )
    return fit(job, step)


@torch.no_grad()
def write_sheet(
    unet: nn.Module, vae: nn.Module, words: Words, path: Path, steps: int, guidance: float = 1.0, seed: int = 7
) -> None:
    """A dream of each of a dozen prompts."""
    prompts = list(SHOWN)
    noise = torch.randn(len(prompts), 16, 16, 16, generator=generator(seed, "sheet", 0)).to(words.device)
    z = sample(unet, noise, words(prompts), steps, guidance, words([""]))
    save_sheet(path, torch.cat([vae.decode(part).sample for part in z.split(4)]).add(1).div(2), columns=6)


def load(work: Path, stage: str = "diffusion", device: str = "cpu") -> nn.Module:
    """The averaged network of a stage (`diffusion` or `distill`)."""
    return load_average(work, stage, build()).to(device)
