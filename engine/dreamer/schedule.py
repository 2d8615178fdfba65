"""A diffusers scheduler, worked out beforehand: every step of it as one small matrix row.

Usage: `program = compile_schedule(scheduler, steps, shape)`; `program.run(noise, predict)`.
Dreamer process; torch.

A deterministic scheduler (Euler, DDIM, DPM++, UniPC, Heun, flow ...) is linear in the starting noise and in
what the network answered so far, with numbers that depend on the schedule alone. They are found by letting
the scheduler itself step over a basis: element 0 of the probe stands for the noise, element j + 1 for the
network's j-th answer. Schedulers that add noise of their own (ancestral, LCM) are affine: that noise comes
from a fixed generator, the same for every picture, so that it moves nothing while the walk moves. What is
neither (clipping, thresholding) is noticed by comparing with the scheduler on random numbers, and stepped
through the library instead (`Stepper`).
"""

import copy
import inspect
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from engine.dreamer.models import ModelError, first_line

NOISE_SEED = 0  # of the noise that ancestral schedulers add: still while the walk moves
_TOLERANCE = 1e-3  # of a compiled schedule against the scheduler's own steps, relative to the spread

Predict = Callable[[Tensor, int], Tensor]  # (model input (1, C, h, w), number of the call) -> answer, same shape


class Solver(Protocol):
    """Turns starting noise into a latent through a number of calls of the network."""

    timesteps: list[Tensor]

    def run(self, noise: Tensor, predict: Predict) -> Tensor: ...


def _step_options(scheduler: Any, generator: torch.Generator) -> dict[str, Any]:
    accepted = inspect.signature(scheduler.step).parameters
    return {"generator": generator} if "generator" in accepted else {}


def _walk(scheduler: Any, steps: int, noise: Tensor, predict: Predict) -> tuple[list[Tensor], Tensor]:
    """Steps through the scheduler as the library's pipelines do; returns the timesteps and the last sample."""
    generator = torch.Generator("cpu").manual_seed(NOISE_SEED)
    options = _step_options(scheduler, generator)
    scheduler.set_timesteps(steps, device=noise.device)
    sample = noise * getattr(scheduler, "init_noise_sigma", 1.0)
    for i, t in enumerate(scheduler.timesteps):
        taken = scheduler.scale_model_input(sample, t) if hasattr(scheduler, "scale_model_input") else sample
        answer = predict(taken, i)
        sample = scheduler.step(answer, t, sample, **options, return_dict=False)[0]
    return list(scheduler.timesteps), sample


class Stepper:
    """A scheduler stepped through the library, its state set back before every picture."""

    def __init__(self, scheduler: Any, steps: int) -> None:
        self._scheduler, self._steps = copy.deepcopy(scheduler), steps
        self._scheduler.set_timesteps(steps)
        self.timesteps = list(self._scheduler.timesteps)

    def run(self, noise: Tensor, predict: Predict) -> Tensor:
        return _walk(self._scheduler, self._steps, noise, predict)[1]


class Program:
    """A compiled schedule: row i of `rows` makes the input of call i, the last row the finished latent.

    rows: (n + 1, n + 1), over (noise, answer 0 .. answer n-1); offsets: what is added, or None.
    """

    def __init__(self, timesteps: list[Tensor], rows: Tensor, offsets: Tensor | None) -> None:
        self.timesteps = timesteps
        self._rows = [row[: i + 1].clone() for i, row in enumerate(rows)]
        self._offsets = offsets

    def to(self, device: torch.device) -> "Program":
        self._rows = [row.to(device) for row in self._rows]
        self._offsets = None if self._offsets is None else self._offsets.to(device)
        # Apple's GPUs have no float64, in which one of the schedulers counts; networks take float32 anyhow.
        self.timesteps = [(t.float() if t.dtype == torch.float64 else t).to(device) for t in self.timesteps]
        return self

    def run(self, noise: Tensor, predict: Predict) -> Tensor:
        """The finished latent (1, C, h, w) in float32."""
        history = [noise.reshape(-1)]
        for i in range(len(self.timesteps)):
            history.append(predict(self._at(i, history, noise.shape), i).reshape(-1).float())
        return self._at(len(self.timesteps), history, noise.shape)

    def _at(self, i: int, history: list[Tensor], shape: torch.Size) -> Tensor:
        point = self._rows[i] @ torch.stack(history)  # (i + 1,) @ (i + 1, C*h*w)
        if self._offsets is not None:
            point = point + self._offsets[i]
        return point.reshape(shape)  # (1, C, h, w)


def compile_schedule(scheduler: Any, steps: int, shape: tuple[int, ...]) -> Program | Stepper:
    """The scheduler for a number of steps over latents of (C, h, w): compiled if it can be, else stepped.

    ModelError if it cannot be stepped at all, as a scheduler of one family with a model of another.
    """
    if steps < 1:
        raise ValueError(f"a schedule needs at least one step, given {steps}")
    try:
        fresh = copy.deepcopy(scheduler)
        fresh.set_timesteps(steps)
        calls = len(fresh.timesteps)
        zero_rows = _probe(scheduler, steps, torch.zeros(1, 1, 1, calls + 1), basis=False)
        rows = _probe(scheduler, steps, torch.eye(calls + 1)[0].reshape(1, 1, 1, -1), basis=True) - zero_rows
        offsets = _probe(scheduler, steps, torch.zeros(1, *shape), basis=False)
        program = Program(list(fresh.timesteps), rows, offsets if offsets.any() else None)
        return program if _agrees(program, scheduler, steps, shape) else Stepper(scheduler, steps)
    except (RuntimeError, ValueError, TypeError, IndexError):
        return _stepper(scheduler, steps, shape)  # a scheduler that cannot be stepped over a probe


def _stepper(scheduler: Any, steps: int, shape: tuple[int, ...]) -> Stepper:
    """The scheduler as it is, tried out on noise: it would else fail in the first picture, again and again."""
    noise = torch.randn((1, *shape), generator=torch.Generator("cpu").manual_seed(1))
    try:
        _walk(copy.deepcopy(scheduler), steps, noise, lambda taken, _: taken)
    except Exception as error:  # whatever a library's class raises over a configuration that was not made for it
        raise ModelError(
            f"{type(scheduler).__name__} cannot be stepped {steps} times with this model ({first_line(error)}); "
            f"leave model.scheduler to the model, or name another"
        ) from error
    return Stepper(scheduler, steps)


def _probe(scheduler: Any, steps: int, noise: Tensor, basis: bool) -> Tensor:
    """Inputs of every call and the result, one flat row each: (n + 1, size of the probe)."""
    seen: list[Tensor] = []

    def answer(taken: Tensor, i: int) -> Tensor:
        seen.append(taken.reshape(-1).clone())
        out = torch.zeros_like(noise)
        if basis:
            out.view(-1)[i + 1] = 1.0
        return out

    _, last = _walk(copy.deepcopy(scheduler), steps, noise, answer)
    return torch.stack([*seen, last.reshape(-1)]).float()


def _agrees(program: Program, scheduler: Any, steps: int, shape: tuple[int, ...]) -> bool:
    generator = torch.Generator("cpu").manual_seed(1)
    noise, *answers = (torch.randn((1, *shape), generator=generator) for _ in range(len(program.timesteps) + 1))
    ours = program.run(noise, lambda _, i: answers[i])
    _, theirs = _walk(copy.deepcopy(scheduler), steps, noise, lambda _, i: answers[i])
    spread = float(theirs.std())
    return bool(torch.isfinite(ours).all()) and float((ours - theirs).abs().max()) <= _TOLERANCE * max(spread, 1.0)
