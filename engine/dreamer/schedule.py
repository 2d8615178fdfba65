"""A diffusers scheduler, worked out beforehand: every step of it as one small matrix row.

Usage: `program = compile_schedule(pick_scheduler(wanted, own), steps, shape)`; `program.run(noise, predict)`.
Dreamer process; torch.

A deterministic scheduler (Euler, DDIM, DPM++, UniPC, Heun ...) is linear in the starting noise and in what the
network has answered so far, with numbers that depend on the schedule alone. They are found by letting the scheduler
itself step over a basis: element 0 of the probe stands for the noise, element j + 1 for the network's j-th answer.
Schedulers that add noise of their own (ancestral, SDE, LCM) are affine: that noise comes from a fixed seed, the same
for every picture, so that nothing in the picture moves unless the walk moves. What is neither (clipping,
thresholding) is noticed by comparing with the scheduler on random numbers, and stepped through the library instead
(`Stepper`).
"""

import copy
import difflib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import torch
from torch import Tensor

from engine.dreamer.models import ModelError, first_line
from engine.dreamer.recipes import Plan

NOISE_SEED = 0  # of the noise that ancestral schedulers add: still while the walk moves
_TOLERANCE = 1e-3  # of a compiled schedule against the scheduler's own steps, relative to the spread

_INSTEAD = "leave out model.scheduler, or name another, such as DPMSolverMultistepScheduler"
_STEP = ("model_output", "timestep", "sample")  # what the pipelines of Stable Diffusion give a scheduler at each step
_NEEDED = ("step", "set_timesteps", "scale_model_input", "init_noise_sigma", "order")  # and what they ask it for

Between = Callable[[int, list[Tensor]], list[Tensor]]  # (number of the next call, noise and answers so far) -> the same
Predict = Callable[[Tensor, int], Tensor]  # (model input (1, C, h, w), number of the call) -> answer, same shape


class Solver(Protocol):
    """Turns starting noise into a latent through a number of calls of the network."""

    timesteps: list[Tensor]

    def run(
        self, noise: Tensor, predict: Predict, own: Tensor | None = None, between: Between | None = None
    ) -> Tensor: ...


def pick_scheduler(wanted: str | None, own: Any, options: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """The model's own scheduler, or another class of diffusers made from its configuration and these options."""
    kind = _scheduler_class(wanted) if wanted else type(own)
    # Left alone, this one seeds its noise from the global generator, and no picture could be dreamt twice.
    unseeded = "noise_sampler_seed" in inspect.signature(kind.__init__).parameters
    seeded = {"noise_sampler_seed": NOISE_SEED} if unseeded and own.config.get("noise_sampler_seed") is None else {}
    if not wanted and not seeded and not options:
        return own
    name = kind.__name__
    _check_options(kind, options)
    missing = [n for n in _required(kind.__init__) if n not in own.config and n not in options]
    if missing:
        raise ModelError(f"{name} needs settings that this model does not have ({', '.join(missing)}); {_INSTEAD}")
    try:
        return kind.from_config(own.config, **seeded, **options)
    except Exception as error:  # whatever a class of the library raises over another's configuration
        raise ModelError(f"{name} cannot be set up for this model ({first_line(error)}); {_INSTEAD}") from error


def _check_options(kind: Any, options: Mapping[str, Any]) -> None:
    """The library drops what a class does not take, and says nothing."""
    takes = [n for n in inspect.signature(kind.__init__).parameters if n != "self"]
    for name in options:
        if name not in takes:
            near = difflib.get_close_matches(name, takes, 1)
            asked = f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(takes)}"
            raise ModelError(f"model.scheduler_options: {kind.__name__} takes no {name}; {asked}")


def _scheduler_class(name: str) -> Any:
    import diffusers

    kind = getattr(diffusers, name, None)
    lacking = [p for p in getattr(kind, "_backends", ()) if importlib.util.find_spec(p) is None]
    if lacking:  # what diffusers has in a class's place
        packages = " ".join(lacking)
        raise ModelError(f"{name} needs another package; `pip install {packages}` installs it. Or {_INSTEAD}")
    if not (inspect.isclass(kind) and issubclass(kind, diffusers.SchedulerMixin)):
        near = difflib.get_close_matches(name, [n for n in dir(diffusers) if n.endswith("Scheduler")], 1)
        asked = f". Did you mean {near[0]!r}?" if near else "; leave it out to use the model's own"
        raise ModelError(f"model.scheduler must be a scheduler class of diffusers, got {name!r}{asked}")
    return kind


def _required(function: Any) -> list[str]:
    """Names of the parameters that have no default."""
    takes = inspect.signature(function).parameters.values()
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in takes if p.default is p.empty and p.kind in plain and p.name != "self"]


def _check_kind(scheduler: Any) -> None:
    """Raises ModelError unless this is a scheduler that the pipelines of Stable Diffusion can use."""
    has_all = all(hasattr(scheduler, n) for n in _NEEDED)
    if not has_all or any(n not in _STEP for n in _required(scheduler.step)):
        raise ModelError(f"{type(scheduler).__name__} is made for other kinds of models than this one; {_INSTEAD}")


def step_options(scheduler: Any, generator: torch.Generator, eta: float) -> dict[str, Any]:
    """What the pipelines give a scheduler that takes it: TCD's own eta, 0.3, is not the one that they use."""
    accepted = inspect.signature(scheduler.step).parameters
    return {n: v for n, v in (("generator", generator), ("eta", eta)) if n in accepted}


def set_timesteps(scheduler: Any, plan: Plan, device: torch.device | str | None = None) -> None:
    """Its timesteps, as many as are wanted or those that are given."""
    if not plan.given:
        return scheduler.set_timesteps(plan.steps, device=device)
    accepted = inspect.signature(scheduler.set_timesteps).parameters
    if lacking := [name for name in plan.given if name not in accepted]:
        raise ValueError(f"it takes no {lacking[0]} of its own")
    scheduler.set_timesteps(**plan.given, device=device)


def _walk(scheduler: Any, plan: Plan, noise: Tensor, predict: Predict) -> tuple[list[Tensor], Tensor]:
    """Steps through the scheduler as the library's pipelines do; returns the timesteps and the last sample."""
    generator = torch.Generator("cpu").manual_seed(NOISE_SEED)
    options = step_options(scheduler, generator, plan.eta)
    set_timesteps(scheduler, plan, noise.device)
    sample = noise * scheduler.init_noise_sigma
    for i, t in enumerate(scheduler.timesteps):
        answer = predict(scheduler.scale_model_input(sample, t), i)
        sample = scheduler.step(answer, t, sample, **options, return_dict=False)[0]
    return list(scheduler.timesteps), sample


class Stepper:
    """A scheduler that is stepped through the library and starts afresh at every picture."""

    def __init__(self, scheduler: Any, steps: int | Plan) -> None:
        self._scheduler, self._plan = copy.deepcopy(scheduler), _as_plan(steps)
        set_timesteps(self._scheduler, self._plan)
        self.timesteps = list(self._scheduler.timesteps)

    def run(self, noise: Tensor, predict: Predict, own: Tensor | None = None, between: Between | None = None) -> Tensor:
        """own, between: are not heard; what the library draws and keeps for itself cannot be changed."""
        return _walk(self._scheduler, self._plan, noise, predict)[1]


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

    def run(self, noise: Tensor, predict: Predict, own: Tensor | None = None, between: Between | None = None) -> Tensor:
        """The finished latent (1, C, h, w) in float32. own: factor of the noise that the scheduler adds, (1,).
        between: may change noise and answers, (C*h*w,) each, before every call."""
        return self.run_with_answers(noise, predict, own, between)[:1]

    def run_with_answers(
        self, noise: Tensor, predict: Predict, own: Tensor | None = None, between: Between | None = None
    ) -> Tensor:
        """The same, and after it what the network answered: (1 + n, C, h, w) in float32."""
        history = [noise.reshape(-1)]
        for i in range(len(self.timesteps)):
            if between is not None:
                history = between(i, history)
            history.append(predict(self._at(i, history, noise.shape, own), i).reshape(-1).float())
        latent = self._at(len(self.timesteps), history, noise.shape, own)
        return torch.cat([latent, *(answer.reshape(noise.shape) for answer in history[1:])])

    def guesses(self, noise: Tensor, answers: Tensor) -> Tensor:
        """What the latent would be if it went straight on after each answer: (n, C, h, w), the last the finished one.

        Of answers (n, C, h, w). Where the network says noise or flow this is the guess at the picture that its answer
        contains; it needs to know nothing of the scheduler but its last row.
        """
        last, flat = self._rows[-1], torch.cat([noise, answers]).flatten(1)  # (n + 1,), (n + 1, C*h*w)
        found = []
        for i in range(len(answers)):
            straight = torch.cat([last[: i + 1], last[i + 1 :].sum().reshape(1)])
            found.append((straight @ flat[: i + 2]).reshape(noise.shape))
        offset = 0.0 if self._offsets is None else self._offsets[-1].reshape(noise.shape)
        return torch.cat(found) + offset

    def _at(self, i: int, history: list[Tensor], shape: torch.Size, own: Tensor | None) -> Tensor:
        point = self._rows[i] @ torch.stack(history)  # (i + 1,) @ (i + 1, C*h*w)
        if self._offsets is not None:
            point = point + (self._offsets[i] if own is None else self._offsets[i] * own)
        return point.reshape(shape)  # (1, C, h, w)


def compile_schedule(scheduler: Any, steps: int | Plan, shape: tuple[int, ...]) -> Program | Stepper:
    """The scheduler for a number of steps, or a plan of them, over latents of (C, h, w): compiled if it can be, else
    stepped.

    ModelError if this model cannot be sampled with it at all.
    """
    plan = _as_plan(steps)
    if plan.steps < 1:
        raise ValueError(f"a schedule needs at least one step, got {plan.steps}")
    _check_kind(scheduler)
    try:
        fresh = copy.deepcopy(scheduler)
        set_timesteps(fresh, plan)
        calls = len(fresh.timesteps)
        zero_rows = _probe(scheduler, plan, torch.zeros(1, 1, 1, calls + 1), basis=False)
        rows = _probe(scheduler, plan, torch.eye(calls + 1)[0].reshape(1, 1, 1, -1), basis=True) - zero_rows
        offsets = _probe(scheduler, plan, torch.zeros(1, *shape), basis=False)
        program = Program(list(fresh.timesteps), rows, offsets if offsets.any() else None)
        return program if _agrees(program, scheduler, plan, shape) else Stepper(scheduler, plan)
    except (RuntimeError, ValueError, TypeError, IndexError):
        return _stepper(scheduler, plan, shape)  # a scheduler that cannot be stepped over a probe


def _as_plan(steps: int | Plan) -> Plan:
    return Plan(steps) if isinstance(steps, int) else steps


def _stepper(scheduler: Any, plan: Plan, shape: tuple[int, ...]) -> Stepper:
    """The scheduler as it is, tried on noise first: else it would fail at every picture, again and again."""
    noise = torch.randn((1, *shape), generator=torch.Generator("cpu").manual_seed(1))
    try:
        _walk(copy.deepcopy(scheduler), plan, noise, lambda taken, _: taken)
    except Exception as error:  # whatever a class of the library raises over a configuration not made for it
        name, count = type(scheduler).__name__, "1 step" if plan.steps == 1 else f"{plan.steps} steps"
        raise ModelError(f"{name} cannot sample this model in {count} ({first_line(error)}); {_INSTEAD}") from error
    return Stepper(scheduler, plan)


def _probe(scheduler: Any, plan: Plan, noise: Tensor, basis: bool) -> Tensor:
    """Inputs of every call and the result, one flat row each: (n + 1, size of the probe)."""
    seen: list[Tensor] = []

    def answer(taken: Tensor, i: int) -> Tensor:
        seen.append(taken.reshape(-1).clone())
        out = torch.zeros_like(noise)
        if basis:
            out.view(-1)[i + 1] = 1.0
        return out

    _, last = _walk(copy.deepcopy(scheduler), plan, noise, answer)
    return torch.stack([*seen, last.reshape(-1)]).float()


def _agrees(program: Program, scheduler: Any, plan: Plan, shape: tuple[int, ...]) -> bool:
    generator = torch.Generator("cpu").manual_seed(1)
    noise, *answers = (torch.randn((1, *shape), generator=generator) for _ in range(len(program.timesteps) + 1))
    ours = program.run(noise, lambda _, i: answers[i])
    _, theirs = _walk(copy.deepcopy(scheduler), plan, noise, lambda _, i: answers[i])
    spread = float(theirs.std())
    return bool(torch.isfinite(ours).all()) and float((ours - theirs).abs().max()) <= _TOLERANCE * max(spread, 1.0)
