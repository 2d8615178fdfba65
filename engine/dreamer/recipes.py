"""How few-step models are sampled as their authors meant them: scheduler, its options, explicit timesteps.

Usage: `plan = plan_of(model_spec)` -> Plan: scheduler class, options and steps. Any process; torch-free.

A show says it with `model.recipe`, a name from the table, or by itself with `model.scheduler` and
`model.scheduler_options`, which go over the recipe: "timestep_spacing=trailing, timesteps=[999, 749], eta=0.3".
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.dreamer.models import ModelError
from engine.show.specs import ModelSpec

_BARE = re.compile(r"=\s*(?!true\b|false\b|inf\b|nan\b)([A-Za-z_][\w.-]*)")  # a word without quotation marks
_OURS = ("timesteps", "sigmas", "eta")  # said at sampling, and not to the scheduler's class


@dataclass(frozen=True)
class Plan:
    """How a model is sampled.

    scheduler: class of diffusers, None for the model's own. options: of that class, over the model's. timesteps,
    sigmas: explicit ones in place of as many as `steps`. eta: how much noise a scheduler adds that asks for it.
    """

    steps: int
    scheduler: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    timesteps: tuple[float, ...] = ()
    sigmas: tuple[float, ...] = ()
    eta: float = 0.0

    @property
    def given(self) -> dict[str, list[float]]:
        """The explicit timesteps or sigmas as set_timesteps takes them; empty if there are none."""
        found = {"timesteps": self.timesteps, "sigmas": self.sigmas}
        return {name: list(numbers) for name, numbers in found.items() if numbers}


@dataclass(frozen=True)
class Recipe:
    """A few-step family. by_steps: what holds for one number of steps alone; only: the numbers it was made for."""

    scheduler: str
    options: Mapping[str, Any] = field(default_factory=dict)
    by_steps: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    only: tuple[int, ...] = ()


_TRAILING = {"timestep_spacing": "trailing"}
RECIPES = {
    "lcm": Recipe("LCMScheduler"),  # LCM-LoRA, on any checkpoint: 2 to 8 steps
    "tcd": Recipe("TCDScheduler", {"eta": 0.3}),
    "turbo": Recipe("EulerAncestralDiscreteScheduler", _TRAILING),  # SD-Turbo, SDXL-Turbo
    "lightning": Recipe("EulerDiscreteScheduler", _TRAILING, {1: {"prediction_type": "sample"}}, (1, 2, 4, 8)),
    "hyper": Recipe("DDIMScheduler", _TRAILING, only=(2, 4, 8, 12)),  # Hyper-SD, a file for each number of steps
    "hyper-unified": Recipe("TCDScheduler", {"eta": 1.0}, {1: {"timesteps": [800]}}),  # the one for 1 to 8
    "dmd2": Recipe("LCMScheduler", {}, {1: {"timesteps": [399]}, 4: {"timesteps": [999, 749, 499, 249]}}, (1, 4)),
    "flash": Recipe("LCMScheduler", _TRAILING),
}


def read_options(text: str) -> dict[str, Any]:
    """Options as a show has them: name=value, separated by commas. Raises ValueError."""
    quoted = _BARE.sub(_quoted, text.strip())
    found: dict[str, Any] = tomllib.loads(f"options = {{{quoted}}}")["options"]
    for name in ("timesteps", "sigmas"):
        numbers = found.get(name, [0])
        if not isinstance(numbers, list) or not numbers or not all(isinstance(n, int | float) for n in numbers):
            raise ValueError(f"{name} must be a list of numbers, got {numbers!r}")
    if not isinstance(found.get("eta", 0.0), int | float):
        raise ValueError(f"eta must be a number, got {found['eta']!r}")
    return found


def _quoted(found: re.Match[str]) -> str:
    """True and False as Python writes them are no words: a scheduler takes any word for true."""
    word = found[1]
    return f"={word.lower()}" if word in ("True", "False") else f'="{word}"'


def is_options(text: str) -> bool:
    """Whether a text can be read as options."""
    try:
        read_options(text)
    except ValueError:  # what TOML refuses is one, too
        return False
    return True


def plan_of(model: ModelSpec) -> Plan:
    """How a show's model is sampled. Raises ModelError where its recipe is made for other numbers of steps."""
    recipe = RECIPES.get(model.recipe)
    said = read_options(model.scheduler_options)
    scheduler = model.scheduler
    if recipe is not None:
        if recipe.only and model.steps not in recipe.only and "timesteps" not in said:
            numbers = ", ".join(map(str, recipe.only[:-1])) + f" or {recipe.only[-1]}"
            said_of = f"model.recipe {model.recipe!r} is made for {numbers} steps"
            raise ModelError(f"{said_of}, got model.steps = {model.steps}")
        said = {**recipe.options, **recipe.by_steps.get(model.steps, {}), **said}
        scheduler = scheduler or recipe.scheduler
    options = {name: value for name, value in said.items() if name not in _OURS}
    numbers_of = {name: tuple(said.get(name, ())) for name in ("timesteps", "sigmas")}
    return Plan(model.steps, scheduler, options, **numbers_of, eta=float(said.get("eta", 0.0)))
