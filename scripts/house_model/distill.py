"""Few steps: a student that does in one evaluation what the guided dreamer does in many.

Usage: `distill.train(work, Budget(minutes=15), device)`, after the diffusion stage.

The path from noise to picture is cut at the noise levels of the exported schedule (4 steps). Within a window
the teacher walks from its upper to its lower end in several guided substeps, starting from a noised painted
latent; the student learns the straight line between the two ends, from any point of it (Yan et al. 2024,
"PeRFlow"). Guidance goes into the student with it, so the engine runs at guidance 1: away from no words, and away
from what the teacher would do if no place in the picture knew of the others (Ahn et al. 2024, "Self-Rectifying
Diffusion Sampling with Perturbed-Attention Guidance"), which makes spheres rounder and sheets whole. The result is as
deterministic and as smooth in the noise as the teacher's own flow, which a walk needs: no adversary, no
re-drawn noise.
"""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor, nn

from scripts.house_model.diffusion import (
    Latents,
    Words,
    load,
    load_vae,
    sigmas,
    velocity,
    with_and_without,
    write_sheet,
)
from scripts.house_model.training import Budget, Job, fit, generator

STEPS = 4
GUIDANCE = 1.8
# How far away from the dreamer whose places know nothing of each other. The teacher's own walk is no rougher for it
# (p95/median 2.2, 1.9 and 2.0 at 0, 0.25 and 0.6, in six Euler steps). The model shipped was distilled without it.
WHOLENESS = 0.6
UPPER_END = 0.6  # share of samples taken at the very level the engine's schedule asks for


class OwnPlace:
    """Self-attention in which each place attends to itself alone; stands in for diffusers' processors."""

    def __call__(self, attn: nn.Module, hidden_states: Tensor, *_: object, **__: object) -> Tensor:
        out = attn.to_v(hidden_states)  # (B, places, D)
        for layer in attn.to_out:
            out = layer(out)
        return out


def apart(teacher: nn.Module) -> nn.Module:
    """The teacher as if no place in the picture knew of the others, but through convolutions."""
    other = copy.deepcopy(teacher)
    other.set_attn_processor(
        {name: OwnPlace() if ".attn1." in name else p for name, p in other.attn_processors.items()}
    )
    return other


@torch.no_grad()
def led(
    teacher: tuple[nn.Module, nn.Module], z: Tensor, sigma: Tensor, cond: Tensor, empty: Tensor, guidance: float
) -> Tensor:
    """The direction of a teacher and the same `apart`, away from no words and from being apart."""
    whole, parts = teacher
    v, v_empty = with_and_without(whole, z, sigma, cond, empty)
    return v_empty + guidance * (v - v_empty) + WHOLENESS * (v - velocity(parts, z, sigma, cond))


@torch.no_grad()
def walk_window(
    teacher: tuple[nn.Module, nn.Module], z: Tensor, upper: Tensor, lower: Tensor, cond: Tensor, empty: Tensor,
    substeps: int, guidance: float,
) -> Tensor:
    """The guided teacher's walk from σ `upper` to σ `lower`, each (B,), by the midpoint rule.

    Two substeps a window end as near the true end as sixteen Euler steps, and as large. From eight Euler steps
    the student learned softness: latents of 0.91 of their due size, and skies without their clouds.
    """
    step = (lower - upper) / substeps
    for k in range(substeps):
        now = upper + step * k
        v = led(teacher, z, now, cond, empty, guidance)
        half = z + (step / 2).view(-1, 1, 1, 1) * v
        z = z + step.view(-1, 1, 1, 1) * led(teacher, half, now + step / 2, cond, empty, guidance)
    return z


def window_loss(
    student: nn.Module, teacher: tuple[nn.Module, nn.Module], z: Tensor, cond: Tensor, empty: Tensor,
    g: torch.Generator, substeps: int = 2, guidance: float = GUIDANCE, steps: int = STEPS,
) -> dict[str, Tensor]:
    """Squared error between the student's direction and the chord of the teacher's walk."""
    levels = sigmas(steps).to(z.device)
    k = torch.randint(steps, (len(z),), generator=g).to(z.device)
    upper, lower = levels[k], levels[k + 1]
    noise = torch.randn(z.shape, generator=g).to(z.device)
    s = upper.view(-1, 1, 1, 1)
    start = (1 - s) * z + s * noise
    end = walk_window(teacher, start, upper, lower, cond, empty, substeps, guidance)
    chord = (end - start) / (lower - upper).view(-1, 1, 1, 1)
    share = torch.rand(len(z), generator=g)
    share = torch.where(torch.rand(len(z), generator=g) < UPPER_END, 0.0, share).to(z.device)
    sigma = upper + share * (lower - upper)
    point = start + (share * (lower - upper)).view(-1, 1, 1, 1) * chord
    v = velocity(student, point, sigma, cond)
    return {"loss": (v - chord).square().mean()}


def train(
    work: Path, budget: Budget, device: str = "cpu", seed: int = 0, batch: int = 20, words: Path | None = None,
    shard_mib: float = 0, guidance: float = GUIDANCE, lr: float = 3e-4,
) -> nn.Module:
    """Train the student from the teacher's weights."""
    reader = Words(words or work / "latents", device, fast=True)
    latents = Latents(work, reader, device)
    whole = load(work, "diffusion", device).requires_grad_(False)
    teacher = (whole, apart(whole))
    student = load(work, "diffusion", device).train()
    vae = load_vae(work, device)
    empty = reader([""])

    def step(model: nn.Module, n: int) -> dict[str, Tensor]:
        g = generator(seed, "distill", n)
        z, cond = latents.batch(batch, g, drop=0.0)
        return window_loss(model, teacher, z, cond, empty, g, guidance=guidance)

    def sheet(ema: nn.Module, n: int) -> None:
        write_sheet(ema, vae, reader, work / "sheets" / f"distill-{n:06d}.png", steps=STEPS)

    job = Job(
        "distill", work, student, budget, lr=lr, matrices_lr=lr, seed=seed, ema=0.99, warmup_steps=30,
        shard_mib=shard_mib, on_sheet=sheet, meta={"guidance": guidance, "steps": STEPS},
    )
    return fit(job, step)
