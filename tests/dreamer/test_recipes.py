"""Few-step families: what a show says of its scheduler is what the library's pipeline does with the same."""

import inspect
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from engine.dreamer.models import ModelError
from engine.dreamer.palettes import Palettes
from engine.dreamer.prompts import encode
from engine.dreamer.recipes import RECIPES, Plan, is_options, plan_of, read_options
from engine.dreamer.sampler import Parts, Settings, UNetSampler
from engine.dreamer.schedule import Program, Stepper, compile_schedule, pick_scheduler
from engine.show.specs import ModelSpec
from engine.walk.waypoint import Point, Waypoint
from tests import tiny_models

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' advice to themselves

WAYPOINT = Waypoint(0.0, 0, (Point(3, 1.0, 0.1, 1.0),), (1.0,))
PROMPT = "torn paper"


@pytest.fixture(scope="module")
def pipe() -> Any:
    made = tiny_models.sd()
    made.set_progress_bar_config(disable=True)
    return made


def assert_the_librarys(pipe: Any, monkeypatch: pytest.MonkeyPatch, plan: Plan, **call: Any) -> None:
    """Our picture with a plan is the pipeline's with the scheduler in its place and `call` in its own call."""
    scheduler = pick_scheduler(plan.scheduler, pipe.scheduler, plan.options)
    palettes = Palettes("", encode(pipe, [PROMPT], "", False))
    settings = Settings(64, 64, plan.steps, 1.0, 8, plan)
    sampler = UNetSampler(Parts(pipe.unet, pipe.vae, scheduler, False), palettes, settings, taped=False)
    ours = sampler.picture(WAYPOINT).numpy().astype(float)
    monkeypatch.setattr(pipe, "scheduler", getattr(diffusers, type(scheduler).__name__).from_config(scheduler.config))
    options = {"guidance_scale": 1.0, "output_type": "np", "width": 64, "height": 64}
    options |= call or {"num_inference_steps": plan.steps}
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        theirs = pipe(PROMPT, latents=sampler.noise(WAYPOINT), generator=generator, **options).images[0] * 255
    assert np.abs(ours - theirs).max() < 2 and theirs.std() > 5


@pytest.mark.parametrize(
    ("recipe", "steps", "call"),
    [
        ("lcm", 4, {}),
        ("tcd", 4, {"num_inference_steps": 4, "eta": 0.3}),
        ("turbo", 1, {}),
        ("lightning", 4, {}),
        ("lightning", 1, {}),
        ("hyper", 2, {}),
        ("hyper-unified", 1, {"timesteps": [800], "eta": 1.0}),
        ("hyper-unified", 3, {"num_inference_steps": 3, "eta": 1.0}),
        ("dmd2", 4, {"timesteps": [999, 749, 499, 249]}),
        ("dmd2", 1, {"timesteps": [399]}),
        ("flash", 4, {}),
    ],
)
def test_a_recipe_is_what_the_librarys_pipeline_does_with_the_same(
    pipe: Any, monkeypatch: pytest.MonkeyPatch, recipe: str, steps: int, call: dict[str, Any]
) -> None:
    assert_the_librarys(pipe, monkeypatch, plan_of(ModelSpec(recipe=recipe, steps=steps)), **call)


def test_explicit_sigmas_are_the_librarys(pipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ModelSpec(scheduler="EulerDiscreteScheduler", scheduler_options="sigmas=[9.0, 2.0, 0.5]", steps=3)
    assert_the_librarys(pipe, monkeypatch, plan_of(spec), sigmas=[9.0, 2.0, 0.5])


def test_every_recipe_names_a_class_and_options_of_the_library() -> None:
    for name, recipe in RECIPES.items():
        takes = inspect.signature(getattr(diffusers, recipe.scheduler).__init__).parameters
        said = {option for options in (recipe.options, *recipe.by_steps.values()) for option in options}
        assert said - {"timesteps", "eta"} <= set(takes), name


def test_what_a_show_says_goes_over_the_recipe() -> None:
    said = "timestep_spacing=linspace, use_karras_sigmas=true"
    plan = plan_of(ModelSpec(recipe="lightning", steps=4, scheduler_options=said))
    assert (plan.scheduler, plan.options["timestep_spacing"]) == ("EulerDiscreteScheduler", "linspace")
    assert plan.options["use_karras_sigmas"] is True
    assert plan_of(ModelSpec(recipe="tcd", scheduler="LCMScheduler")).scheduler == "LCMScheduler"
    assert plan_of(ModelSpec()) == Plan(4)


@pytest.mark.parametrize(("recipe", "numbers"), [("lightning", "1, 2, 4 or 8"), ("dmd2", "1 or 4")])
def test_a_recipe_says_which_steps_it_is_made_for(recipe: str, numbers: str) -> None:
    with pytest.raises(ModelError, match=f"^model.recipe '{recipe}' is made for {numbers} steps, got model.steps = 3$"):
        plan_of(ModelSpec(recipe=recipe, steps=3))


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("", True),
        ("shift=3", True),
        ('a="b", c=[1, 2.5], d=false, e = trailing', True),
        ("timesteps=[999]", True),
        ("timesteps=3", False),
        ("timesteps=[]", False),
        ("eta=high", False),
        ("shift", False),
        ("=3", False),
        ("a=1 b=2", False),
    ],
)
def test_options_are_read_or_refused(text: str, good: bool) -> None:
    assert is_options(text) is good
    if good and "trailing" in text:
        assert read_options(text) == {"a": "b", "c": [1, 2.5], "d": False, "e": "trailing"}


def test_true_and_false_are_understood_as_python_writes_them() -> None:
    """A scheduler would take the word False for true."""
    assert read_options("a=True, b=False, c=Falsehood") == {"a": True, "b": False, "c": "Falsehood"}


def test_an_option_that_a_scheduler_does_not_take_is_named(pipe: Any) -> None:
    with pytest.raises(ModelError, match="takes no timestep_spaceing; did you mean 'timestep_spac"):
        pick_scheduler("EulerDiscreteScheduler", pipe.scheduler, {"timestep_spaceing": "trailing"})
    with pytest.raises(ModelError, match=r"DDIMScheduler cannot sample .*it takes no timesteps of its own"):
        compile_schedule(pipe.scheduler, Plan(4, timesteps=(9, 5)), (4, 8, 8))


def test_a_plan_of_timesteps_compiles(pipe: Any) -> None:
    lcm = pick_scheduler("LCMScheduler", pipe.scheduler)
    program = compile_schedule(lcm, Plan(4, timesteps=(999, 749, 499, 249)), (4, 8, 8))
    assert isinstance(program, Program | Stepper) and [int(t) for t in program.timesteps] == [999, 749, 499, 249]
