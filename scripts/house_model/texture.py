"""The decoder's last lesson: to lay down texture where a painting has it.

Usage: `texture.train(work, Budget(minutes=40), device)`, after the dreamer is finished; the latents stay as they are.

A decoder that was trained to come near leaves out what the latents do not hold: of the finest detail, half. Here it
learns from a critic of patches (PatchGAN, Isola et al. 2017; hinge loss; for a decoder, after Esser et al. 2021,
"Taming Transformers"), on paintings and on the dreamer's own dreams, and is held to a painting's *amount* of detail,
place by place and octave by octave. Texture that is not the painting's own costs decibels: paper is to have all of it
and skies little.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from scripts.house_model import autoencoder, data
from scripts.house_model.diffusion import Latents, Words, load_vae, sample
from scripts.house_model.distill import STEPS
from scripts.house_model.evaluate import pyramid
from scripts.house_model.finish import load_finished, opinion, told_apart
from scripts.house_model.training import (
    Budget,
    Job,
    fit,
    generator,
    load_average,
    make_optimizer,
    rank_of,
    save_sheet,
)

# Of the lesson, by world. Glass and skies come near enough to their paintings; a dream has none to come near to.
PAINTED = {"pulp": 1.0, "hybrid": 0.7, "memory": 0.0, "clouds": 0.05}
DREAMT = {"pulp": 1.0, "hybrid": 1.0, "memory": 0.3, "clouds": 0.3}
DREAMS = 768
ALONE = 40  # lessons that the critic has first
LEARN = 0.1  # weight of the critic's opinion,
# So much of it makes paper a net of small cells. LEARN 0.15 and AMOUNT 0.03 for 17 minutes more made that fainter and
# gave pulp 0.4 dB; the same dreamer's distance grew from 2.5 to 3.0.
AMOUNT = 0.1  # of a painting's amount of detail,
KEEP = 2.0  # and of a dream's staying what it was, seen at an eighth of its size
RATE, CRITICS_RATE = 1.2e-3, 1e-3
CELL = 16  # px, the side of a place
CROP = 128


class Critic(nn.Module):
    """How much like a painting's each place of a picture looks: (B, 3, h, w) in -1..1 to (B, h/8, w/8)."""

    def __init__(self, width: int = 32):
        super().__init__()
        wide = (6, width, 2 * width, 3 * width)
        self.down = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 4, stride=2, padding=1)) for a, b in itertools.pairwise(wide)
        )
        self.body = spectral_norm(nn.Conv2d(wide[-1], wide[-1], 3, padding=1))
        self.last = spectral_norm(nn.Conv2d(wide[-1], 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        fine = x - F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="bilinear")
        h = torch.cat([x, 8 * fine], 1)
        for conv in self.down:
            h = F.leaky_relu(conv(h), 0.2)
        h = h + 0.7 * F.leaky_relu(self.body(h), 0.2)
        return self.last(h)[:, 0]


class Pair(nn.Module):
    """The autoencoder and its critic, which learn together."""

    def __init__(self, vae: nn.Module, critic: nn.Module):
        super().__init__()
        self.vae, self.critic = vae, critic
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)


def amount(y: Tensor, x: Tensor, levels: int = 3) -> Tensor:
    """How far `y` is from as much detail as `x` has, octave by octave and place by place; per picture, (B,).

    The log-ratio of mean squares in cells of 16 px, a full step of 8 bits being what counts as none.
    """
    none = (2 / 255) ** 2
    off = x.new_zeros(len(x))
    for fine_y, fine_x in zip(pyramid(y, levels + 1)[:-1], pyramid(x, levels + 1)[:-1], strict=True):
        cell = CELL * fine_y.shape[-1] // y.shape[-1]
        has, due = (F.avg_pool2d(f.square().mean(1), cell) + none for f in (fine_y, fine_x))
        off = off + (has.log() - due.log()).abs().flatten(1).mean(1)
    return off


def step_loss(
    pair: Pair, paintings: tuple[Tensor, Tensor], dreams: tuple[Tensor, Tensor, Tensor], g: torch.Generator,
    learns: bool,
) -> dict[str, Tensor]:
    """paintings: pictures (B, 3, h, w) in -1..1, their shares of the lesson (B,); dreams: latents, what they showed
    before at an eighth of the size, shares. learns: whether the decoder has this lesson too, or the critic alone."""
    x, share = paintings
    z_dreamt, small, dreams_share = dreams
    with torch.no_grad(), torch.autocast(x.device.type, torch.bfloat16):
        z = autoencoder.encode(pair.vae, x).float()
    z = z + autoencoder.LATENT_NOISE * torch.randn(z.shape, generator=g).to(z.device)
    with torch.autocast(x.device.type, torch.bfloat16):
        y = pair.vae.decode(torch.cat([z, z_dreamt])).sample.float()
        real, false = pair.critic(x).float(), pair.critic(y.detach()).float()
    critics = told_apart(real, false)
    if not learns:
        return {"loss": critics, "critic": critics.detach()}
    liked = opinion(pair.critic, y)
    again, dream = y.split([len(x), len(z_dreamt)])
    near = autoencoder.nearness(again, x)
    due = amount(again, x)
    keep = (F.avg_pool2d(dream, 8) - small).square().mean()
    learned = LEARN * (torch.cat([share, dreams_share]) * liked).mean()
    loss = critics + near - learned + AMOUNT * (share * due).mean() + KEEP * keep
    parts = {"critic": critics, "liked": liked.mean(), "amount": due.mean(), "keep": keep}
    parts["psnr"] = autoencoder.psnr(again, x)
    return {"loss": loss, **{name: part.detach() for name, part in parts.items()}}


def dreamt(work: Path, latents: Latents, vae: nn.Module, count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Dreams of captions of the set, a quarter of them in two steps: latents (N, 16, 16, 16), what they show now at an
    eighth of its size, shares."""
    unet = load_finished(work, latents.device)
    rows = []
    for n in range(-(-count // 32)):
        g = generator(seed, "texture dreams", n)
        which = torch.randint(len(latents.z), (32,), generator=g).tolist()
        z, cond = latents.batch(32, g, drop=0.0, which=which)
        z = sample(unet, torch.randn(z.shape, generator=g).to(z.device), cond, STEPS if n % 4 else 2)
        with torch.no_grad(), torch.autocast(latents.device, torch.bfloat16):
            small = torch.cat([F.avg_pool2d(vae.decode(part).sample.float(), 8) for part in z.split(8)])
        rows.append((z, small, shares(DREAMT, latents.notes, which).to(z.device)))
    return tuple(torch.cat(column) for column in zip(*rows, strict=True))  # type: ignore[return-value]


def shares(share: dict[str, float], notes: list[dict], which: list[int]) -> Tensor:
    """Of the lesson, of pictures by their numbers: (B,)."""
    return torch.tensor([share[data.group_of(notes[i])] for i in which])


def train(
    work: Path, budget: Budget, device: str = "cpu", seed: int = 0, batch: int = 4, shard_mib: float = 0,
    root: Path | None = None, count: int = DREAMS,
) -> nn.Module:
    """Train the decoder on; latents mean what they did."""
    pictures = data.Pictures(root or data.folder(work, data.painter_module()))
    latents = Latents(work, Words(work / "latents", device, fast=True), device)
    vae = load_vae(work, device).to(memory_format=torch.channels_last)
    dreams = dreamt(work, latents, vae, count, seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pair = Pair(vae, Critic()).to(device)
    world = rank_of()[1]
    among = autoencoder.often(pictures)

    def step(model: nn.Module, n: int) -> dict[str, Tensor]:
        g = generator(seed, "texture", n)
        which, x = autoencoder.draw(pictures, among, n, batch, CROP, g)
        chosen = torch.randint(len(dreams[0]), (len(which),), generator=g)
        z, small, share = (part[chosen] for part in dreams)
        if x.shape[-1] == CROP:
            top, left = (int(torch.randint(9, (), generator=g)) for _ in range(2))
            z = z[:, :, top : top + 8, left : left + 8]
            small = small[:, :, 2 * top : 2 * top + 16, 2 * left : 2 * left + 16]
        paintings = (x.to(device), shares(PAINTED, pictures.notes, which).to(device))
        return step_loss(model, paintings, (z, small, share), g, n // world >= ALONE)

    def sheet(ema: nn.Module, n: int) -> None:
        with torch.no_grad():
            made = torch.cat([ema.vae.decode(part).sample for part in dreams[0][:12].split(4)])
            x = pictures.batch([i * 7 % len(pictures) for i in range(6)]).to(device)
            again = ema.vae.decode(autoencoder.encode(ema.vae, x)).sample
        save_sheet(work / "sheets" / f"texture-{n:06d}.png", torch.cat([x, again, made]).add(1).div(2), columns=6)

    optimizer = make_optimizer(nn.ModuleList([pair.vae.decoder, pair.vae.post_quant_conv]), RATE, RATE)
    optimizer.add_param_group({"params": list(pair.critic.parameters()), "lr": CRITICS_RATE, "muon": False})
    job = Job(
        "texture", work, pair, budget, lr=RATE, seed=seed, ema=0.995, warmup_steps=50, cooldown=0.6,
        shard_mib=shard_mib, on_sheet=sheet, optimizer=optimizer,
    )
    return fit(job, step).vae


def load_textured(work: Path, device: str = "cpu") -> nn.Module:
    """The autoencoder after this stage, or as the dreamer learned on it where this stage was not run."""
    vae = load_vae(work, device)
    if not (work / "texture" / "state.json").exists():
        return vae
    return load_average(work, "texture", Pair(vae, Critic())).to(device).vae
