"""The few-step dreamer's last lesson: to dream as crisply as the painter paints, be it in four steps, two or one.

Usage: `finish.train(work, Budget(minutes=50), device)`, after distillation.

Dreams of few steps are smoother latents than a painting's, and decode softly: a step's direction was learned as the
mean of all that might be there, and in one step that is mist. Here every step that may be the last one goes on
learning, from a critic of latents (after Sauer et al. 2024, "Fast High-Resolution Image Synthesis with Latent
Adversarial Diffusion Distillation"; hinge loss; projection after Miyato and Koyama 2018). What it adds is made of the
noise that is still in the latent by then, and is held to what the dreamer before made of the same noise in four steps,
most where it has taken as many: so the dreamer stays a function of its noise, and no rougher a one.

Tried before, and worse to look at: patches of dreams' Laplacian pyramids brought near to paintings' by sliced optimal
transport. Taught to the decoder it cost paintings a decibel and drew level scratches into skies; taught to the last
of four steps it measured well and covered everything with lines of print.
"""

from __future__ import annotations

import copy
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from scripts.house_model import distill
from scripts.house_model.diffusion import Latents, Words, load, load_vae, sample, sigmas, velocity, walk
from scripts.house_model.training import Budget, Job, fit, generator, load_average, rank_of, save_sheet

DREAMS = 4096
LESSONS = (1, 1, 2, 4)  # in how many steps a lesson dreams, drawn by lot: one step has the longest way to go
ALONE = 40  # lessons that the critic has first
LEARN = 0.1  # weight of the critic's opinion,
KEEP = 1.0  # of a dream's staying what it was in four steps, seen at half its size,
STAY = 0.1  # seen whole, for each step that it has taken,
HOLD = 1.0  # and of the one direction that never is the last to stay what it was
RATE, CRITICS_RATE = 1e-4, 1e-3


class Critic(nn.Module):
    """How much like a painting's each cell of a latent looks under a caption: (B, 16, h, w) to (B, h, w)."""

    def __init__(self, channels: int = 16, width: int = 128, condition: int = 256, depth: int = 3):
        super().__init__()
        self.first = spectral_norm(nn.Conv2d(channels, width, 3, padding=1))
        self.body = nn.ModuleList(spectral_norm(nn.Conv2d(width, width, 3, padding=1)) for _ in range(2 * depth))
        self.words = spectral_norm(nn.Linear(condition, width))
        self.last = spectral_norm(nn.Conv2d(width, 1, 1))

    def forward(self, z: Tensor, cond: Tensor) -> Tensor:
        h = self.first(z)
        for one, two in zip(self.body[::2], self.body[1::2], strict=True):
            h = h + 0.7 * two(F.leaky_relu(one(F.leaky_relu(h, 0.2)), 0.2))
        h = F.leaky_relu(h, 0.2)
        said = self.words(cond.mean(1))[..., None, None]  # (B, width, 1, 1)
        return self.last(h)[:, 0] + (h * said).mean(1)


def told_apart(real: Tensor, false: Tensor) -> Tensor:
    """The critic's own lesson, of what it says of paintings and of dreams (hinge loss)."""
    return F.relu(1 - real).mean() + F.relu(1 + false).mean()


def opinion(critic: nn.Module, x: Tensor, *more: Tensor) -> Tensor:
    """How well a critic likes each of a batch, (B,): a lesson for who made it, and none for the critic."""
    critic.requires_grad_(False)
    with torch.autocast(x.device.type, torch.bfloat16):
        liked = critic(x, *more).float()
    critic.requires_grad_(True)
    return liked.flatten(1).mean(1)


class Pair(nn.Module):
    """The dreamer and its critic, which learn together."""

    def __init__(self, dreamer: nn.Module, critic: nn.Module):
        super().__init__()
        self.dreamer, self.critic = dreamer, critic


def last_step(unet: nn.Module, z: Tensor, cond: Tensor, steps: int) -> Tensor:
    """The last evaluation of so many: latents before it to finished latents."""
    now, then = sigmas(steps)[-2:]
    return z + (then - now) * velocity(unet, z, now, cond)


def almost(unet: nn.Module, noise: Tensor, cond: Tensor, steps: int) -> Tensor:
    """From noise to the latents before the last evaluation."""
    return walk(unet, noise, sigmas(steps)[:-1], cond)


def step_loss(
    pair: Pair, before: nn.Module, dreams: tuple[Tensor, Tensor, Tensor], paintings: tuple[Tensor, Tensor],
    steps: int, learns: bool,
) -> dict[str, Tensor]:
    """dreams: noise, conditioning, finished latents of `before`, the dreamer to keep to; paintings: latents,
    conditioning. steps: in how many the dreamer dreams; only the last one learns. learns: whether it has this lesson
    too, or the critic alone."""
    noise, cond, due = dreams
    made = last_step(pair.dreamer, almost(pair.dreamer, noise, cond, steps), cond, steps)
    with torch.autocast(due.device.type, torch.bfloat16):
        real, false = pair.critic(*paintings).float(), pair.critic(made.detach(), cond).float()
    critics = told_apart(real, false)
    if not learns:
        return {"loss": critics, "critic": critics.detach()}
    liked = opinion(pair.critic, made, cond).mean()
    keep = (F.avg_pool2d(made, 2) - F.avg_pool2d(due, 2)).square().mean()
    moved = (made - due).square().mean()
    second = sigmas(distill.STEPS)[1]
    point = (1 - second) * due + second * noise
    with torch.no_grad():
        was = velocity(before, point, second, cond)
    hold = (velocity(pair.dreamer, point, second, cond) - was).square().mean()
    loss = critics - LEARN * liked + KEEP * keep + STAY * steps * moved + HOLD * hold
    parts = {"critic": critics, "liked": liked, "keep": keep, "moved": moved, "hold": hold}
    return {"loss": loss, **{name: part.detach() for name, part in parts.items()}}


def train(
    work: Path, budget: Budget, device: str = "cpu", seed: int = 0, batch: int = 16, shard_mib: float = 0,
    count: int = DREAMS,
) -> nn.Module:
    """Train the distilled dreamer on; the autoencoder is not touched."""
    latents = Latents(work, Words(work / "latents", device, fast=True), device)
    before = load(work, "distill", device).requires_grad_(False)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pair = Pair(copy.deepcopy(before).requires_grad_(True), Critic()).to(device)
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    for n in range(-(-count // 32)):
        g = generator(seed, "dreams", n)
        z, cond = latents.batch(32, g, drop=0.0)
        noise = torch.randn(z.shape, generator=g).to(device)
        rows.append((noise, cond, sample(before, noise, cond, distill.STEPS)))
    dreams = tuple(torch.cat(column) for column in zip(*rows, strict=True))
    vae = load_vae(work, device)
    world = rank_of()[1]

    def step(model: nn.Module, n: int) -> dict[str, Tensor]:
        g = generator(seed, "finish", n)
        which = torch.randint(len(dreams[0]), (batch,), generator=g)
        noise, cond, due = (part[which] for part in dreams)
        steps = LESSONS[int(torch.randint(len(LESSONS), (), generator=g))]
        paintings = latents.batch(batch, g, drop=0.0)
        return step_loss(model, before, (noise, cond, due), paintings, steps, n // world >= ALONE)

    def sheet(ema: nn.Module, n: int) -> None:
        noise, cond = (part[:8] for part in dreams[:2])
        with torch.no_grad():
            made = torch.cat([vae.decode(sample(ema.dreamer, noise, cond, k)).sample for k in sorted(set(LESSONS))])
        save_sheet(work / "sheets" / f"finish-{n:06d}.png", made.add(1).div(2), columns=8)

    rates = [
        {"params": list(pair.dreamer.parameters()), "lr": RATE},
        {"params": list(pair.critic.parameters()), "lr": CRITICS_RATE},
    ]
    job = Job(
        "finish", work, pair, budget, lr=RATE, seed=seed, ema=0.995, warmup_steps=50, cooldown=0.6,
        shard_mib=shard_mib, on_sheet=sheet, optimizer=torch.optim.AdamW(rates, betas=(0.5, 0.99), weight_decay=0.0),
    )
    return fit(job, step).dreamer


def load_finished(work: Path, device: str = "cpu") -> nn.Module:
    """The dreamer after this stage, or as distillation left it where this stage was not run."""
    unet = load(work, "distill", device)
    if not (work / "finish" / "state.json").exists():
        return unet
    return load_average(work, "finish", Pair(unet, Critic())).to(device).dreamer
