"""What every training stage of the house model shares: time budget, checkpoints, log, optimiser, sheets.

Usage: `training.fit(Job(...), step)`; runs in the training process only, never in the engine.

Randomness is stateless: step *n* of a stage draws everything from a generator seeded by (seed, stage, n),
so a run that was cut and resumed makes the same draws as one that was not.
"""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


def generator(seed: int, stage: str, step: int, device: str = "cpu") -> torch.Generator:
    """The generator of one step of one stage."""
    return torch.Generator(device).manual_seed(zlib.crc32(f"{seed}/{stage}/{step}".encode()))


def pick_device(name: str) -> str:
    """`auto` is the GPU where there is one, else the CPU."""
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device must be auto, cpu or cuda, not {name!r}")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


def join(rank: int, world: int) -> None:
    """Join the other training processes of this machine, each on one thread.

    Two single-threaded processes beat one of two threads by far when the cores are shared with other work:
    threads wait for each other hundreds of times a step, processes once.
    """
    if world > 1 and not dist.is_initialized():
        dist.init_process_group("gloo", rank=rank, world_size=world)


def rank_of() -> tuple[int, int]:
    """This process's number and how many there are."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def _share_gradients(model: nn.Module, world: int) -> None:
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten() for g in grads])
    dist.all_reduce(flat)
    flat /= world
    for g, part in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
        g.copy_(part.view_as(g))


def _agree(done: float, over: bool) -> tuple[float, bool]:
    """The first process's clock decides for all."""
    note = torch.tensor([done, float(over)], dtype=torch.float64)
    dist.broadcast(note, 0)
    return float(note[0]), bool(note[1])


@dataclass(frozen=True)
class Budget:
    """How long a stage may train: until `minutes` of training or `steps` steps, whichever comes first.

    `slice_minutes` ends this process's share early, with a checkpoint and the schedule untouched, so that a
    long stage can run as a series of short ones.
    """

    minutes: float = math.inf
    steps: float = math.inf
    slice_minutes: float = math.inf
    save_minutes: float = 4.0

    def done(self, step: int, spent_s: float) -> float:
        """Share of the stage behind us, 0..1."""
        return min(1.0, max(step / self.steps, spent_s / 60 / self.minutes))


@dataclass
class Job:
    """One stage in training: what learns, how fast, where it is kept."""

    stage: str
    work: Path
    model: nn.Module
    budget: Budget
    lr: float
    seed: int = 0
    warmup_steps: int = 100
    cooldown: float = 0.35  # last share of the stage in which the rate falls to zero
    ema: float = 0.999  # 0 keeps no average
    matrices_lr: float | None = None  # Muon's rate for the weight matrices; None trains them with AdamW
    optimizer: torch.optim.Optimizer | None = None  # another one altogether, with rates of its own
    shard_mib: float = 0  # >0: light checkpoints (half precision, no momenta) in files of at most this size
    sheet_minutes: float = 5.0
    on_sheet: Callable[[nn.Module, int], None] | None = None
    meta: dict = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.work / self.stage


# --- optimiser -------------------------------------------------------------------------------------------


def orthogonal(m: Tensor, rounds: int = 5) -> Tensor:
    """Nearly the closest orthogonal matrix to `m`, by Newton-Schulz rounds in bfloat16.

    The quintic's coefficients are those of Jordan et al., "Muon" (2024).
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = m.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(rounds):
        s = x @ x.T
        x = a * x + (b * s + c * (s @ s)) @ x
    return (x.T if tall else x).to(m.dtype)


class Muon(torch.optim.Optimizer):
    """Muon for weight matrices (and convolutions read as matrices), AdamW for the rest.

    The orthogonal step is scaled by 0.2·sqrt(max(rows, columns)) so its size is that of an AdamW step and one
    learning rate fits both (Liu et al. 2025, "Muon is Scalable").
    """

    def __init__(self, matrices: list[nn.Parameter], others: list[nn.Parameter], lr: float, matrices_lr: float):
        groups = [
            {"params": matrices, "lr": matrices_lr, "muon": True},
            {"params": others, "lr": lr, "muon": False},
        ]
        super().__init__([g for g in groups if g["params"]], {})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    (self._matrix if group["muon"] else self._plain)(p, group["lr"])

    def _matrix(self, p: Tensor, lr: float) -> None:
        state = self.state[p]
        if "m" not in state:
            state["m"] = torch.zeros_like(p)
        m = state["m"].mul_(0.95).add_(p.grad)
        flat = (p.grad + 0.95 * m).reshape(len(p), -1)  # (out, in·k·k)
        step = orthogonal(flat).reshape(p.shape) * (0.2 * math.sqrt(max(flat.shape)))
        p.mul_(1 - lr * 0.01).add_(step, alpha=-lr)

    def _plain(self, p: Tensor, lr: float) -> None:
        state = self.state[p]
        if "m" not in state:
            state["m"], state["v"] = torch.zeros_like(p), torch.zeros_like(p)
            state["n"] = torch.zeros(())
        state["n"] += 1
        n = float(state["n"])
        m = state["m"].lerp_(p.grad, 0.1)
        v = state["v"].mul_(0.98).addcmul_(p.grad, p.grad, value=0.02)
        p.addcdiv_(m / (1 - 0.9**n), (v / (1 - 0.98**n)).sqrt_().add_(1e-8), value=-lr)


def make_optimizer(model: nn.Module, lr: float, matrices_lr: float | None) -> Muon:
    """Matrices between hidden layers go to Muon; the first and last convolution, gains and biases do not."""
    matrices, others = [], []
    for name, p in model.named_parameters():
        edge = name.startswith(("conv_in", "conv_out")) or ".conv_in." in name or ".conv_out." in name
        (matrices if p.ndim >= 2 and not edge and matrices_lr else others).append(p)
    return Muon(matrices, others, lr, matrices_lr or lr)


# --- checkpoints -----------------------------------------------------------------------------------------


def save_tensors(folder: Path, name: str, tensors: dict[str, Tensor], shard_mib: float = 0) -> None:
    """Write tensors as `name-00.safetensors`, ... in files of at most `shard_mib` (0: one file)."""
    limit = shard_mib * 2**20 if shard_mib else math.inf
    shards: list[dict[str, Tensor]] = [{}]
    size = 0
    for key, value in tensors.items():
        value = value.detach().cpu().contiguous()
        if size and size + value.nbytes > limit:
            shards.append({})
            size = 0
        shards[-1][key] = value
        size += value.nbytes
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{name}-*.safetensors"):
        if int(old.stem.rsplit("-", 1)[1]) >= len(shards):
            old.unlink()
    for i, shard in enumerate(shards):
        part = folder / f"{name}-{i:02d}.part"  # renamed when whole: a kill never leaves half a file
        save_file(shard, part)
        part.rename(part.with_suffix(".safetensors"))


def load_tensors(folder: Path, name: str) -> dict[str, Tensor]:
    """Read what `save_tensors` wrote."""
    files = sorted(folder.glob(f"{name}-*.safetensors"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no {name}-*.safetensors: run the stage that makes it first")
    return {k: v for f in files for k, v in load_file(f).items()}


def load_average(work: Path, stage: str, model: nn.Module) -> nn.Module:
    """Put a stage's averaged weights into `model` and return it in eval mode."""
    saved = load_tensors(work / stage, "ckpt")
    state = {k[4:]: v.float() for k, v in saved.items() if k.startswith("ema.")}
    model.load_state_dict(state)
    return model.eval()


def _save(job: Job, ema: nn.Module, opt: torch.optim.Optimizer, step: int, spent_s: float) -> None:
    light = job.shard_mib > 0
    out = {f"ema.{k}": v for k, v in ema.state_dict().items()}
    out |= {f"model.{k}": v for k, v in job.model.state_dict().items()}
    out = {k: v.half() if light and v.is_floating_point() else v.clone() for k, v in out.items()}
    if not light:
        names = {p: n for n, p in job.model.named_parameters()}
        for p, state in opt.state.items():
            out |= {f"opt.{names[p]}|{k}": v.clone() for k, v in state.items()}
    save_tensors(job.folder, "ckpt", out, job.shard_mib)
    note = {"stage": job.stage, "step": step, "spent_s": round(spent_s, 1), "light": light, **job.meta}
    (job.folder / "state.json").write_text(json.dumps(note, indent=1))


def _resume(job: Job, ema: nn.Module, opt: torch.optim.Optimizer) -> tuple[int, float]:
    if not (job.folder / "state.json").exists():
        return 0, 0.0
    note = json.loads((job.folder / "state.json").read_text())
    saved = load_tensors(job.folder, "ckpt")
    job.model.load_state_dict({k[6:]: v.float() for k, v in saved.items() if k.startswith("model.")})
    ema.load_state_dict({k[4:]: v.float() for k, v in saved.items() if k.startswith("ema.")})
    for name, p in job.model.named_parameters():
        mine = {k.split("|")[1]: v.to(p.device) for k, v in saved.items() if k.startswith(f"opt.{name}|")}
        if mine:
            opt.state[p] = mine
    return int(note["step"]), float(note["spent_s"])


# --- the loop --------------------------------------------------------------------------------------------


def fit(job: Job, step_loss: Callable[[nn.Module, int], dict[str, Tensor]]) -> nn.Module:
    """Train until the budget is spent; returns the averaged model.

    `step_loss(model, step)` gives named losses; the one called "loss" is stepped on, all are logged.
    """
    import copy

    rank, world = rank_of()
    job.folder.mkdir(parents=True, exist_ok=True)
    opt = job.optimizer or make_optimizer(job.model, job.lr, job.matrices_lr)
    base = [g["lr"] for g in opt.param_groups]
    ema = copy.deepcopy(job.model).requires_grad_(False).eval()
    first, spent = _resume(job, ema, opt)
    step, began, warm_from = first, time.monotonic(), first if job.shard_mib else 0
    saved_at = sheet_at = told_at = began
    sums: dict[str, float] = {}
    count = 0
    job.model.train()
    while True:
        now = time.monotonic()
        total = spent + now - began
        done = job.budget.done(step, total)
        over = done >= 1 or (now - began) / 60 >= job.budget.slice_minutes
        if world > 1:
            done, over = _agree(done, over)
        if rank == 0 and count and (over or now - told_at > 15):
            _tell(job, step, total, done, {k: v / count for k, v in sums.items()}, opt.param_groups[0]["lr"])
            sums, count, told_at = {}, 0, now
        if rank == 0 and (over or (now - saved_at) / 60 >= job.budget.save_minutes):
            _save(job, ema, opt, step, total)
            saved_at = now
        if rank == 0 and job.on_sheet and (over or (now - sheet_at) / 60 >= job.sheet_minutes):
            job.on_sheet(ema, step)
            sheet_at = now
        if over:
            return ema
        rate = min(1.0, (step - warm_from + 1) / job.warmup_steps) * min(1.0, (1 - done) / job.cooldown)
        for group, lr in zip(opt.param_groups, base, strict=True):
            group["lr"] = lr * rate
        losses = step_loss(job.model, step * world + rank)
        opt.zero_grad(set_to_none=True)
        losses["loss"].backward()
        if world > 1:
            _share_gradients(job.model, world)
        torch.nn.utils.clip_grad_norm_(job.model.parameters(), 1.0)
        opt.step()
        step += 1
        _average(ema, job.model, min(job.ema, (step + 1) / (step + 10)))
        for k, v in losses.items():
            sums[k] = sums.get(k, 0.0) + float(v.detach())
        count += 1


@torch.no_grad()
def _average(ema: nn.Module, model: nn.Module, decay: float) -> None:
    torch._foreach_lerp_(list(ema.parameters()), [p.detach() for p in model.parameters()], 1 - decay)


def _tell(job: Job, step: int, total_s: float, done: float, means: dict[str, float], lr: float) -> None:
    left = total_s * (1 - done) / max(done, 1e-6)
    note = {"step": step, "spent_s": round(total_s, 1), "lr": round(lr, 7)}
    note |= {k: round(v, 5) for k, v in means.items()}
    with (job.folder / "log.jsonl").open("a") as f:
        f.write(json.dumps(note) + "\n")
    words = " ".join(f"{k} {v:.4f}" for k, v in means.items())
    print(f"{job.stage} {done:4.0%} step {step} {words} · {left / 60:.1f} min left", flush=True)


# --- sheets ----------------------------------------------------------------------------------------------


def save_sheet(path: Path, pictures: Tensor | Iterable[Tensor], columns: int = 8) -> None:
    """Write pictures (B, 3, h, w), 0..1, as one PNG in rows of `columns`."""
    from PIL import Image

    x = torch.stack(list(pictures)).float().clamp(0, 1).cpu()
    b, c, h, w = x.shape
    rows = -(-b // columns)
    x = torch.cat([x, x.new_zeros(rows * columns - b, c, h, w)])
    x = x.view(rows, columns, c, h, w).permute(0, 3, 1, 4, 2).reshape(rows * h, columns * w, c)  # (R·h, C·w, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((x * 255).round().byte().numpy()).save(path)
