"""Focus: from the mean of everything to one picture, evenly, and at 1 to the last bit what it would be without."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline

from engine.dreamer import focus, models, numbers
from engine.dreamer.load import Dreamer
from engine.dreamer.ring import room
from engine.dreamer.schedule import Program, compile_schedule
from engine.dreamer.spec import DreamSpec
from engine.show.specs import ModelSpec
from engine.walk.palette import Palette
from engine.walk.waypoint import Point, Waypoint
from tests import tiny_models

pytestmark = pytest.mark.filterwarnings("ignore")

PROMPTS = ("a cloud", "torn paper")
Folder = Callable[[str], Path]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    root = tmp_path_factory.mktemp("models")
    return lambda kind: root / kind if (root / kind).exists() else tiny_models.save(kind, root / kind)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "pedesis" / "focus"


def dreamer(path: Path, known: str = "", **model: Any) -> Dreamer:
    spec = ModelSpec(name=str(path), **({"dtype": "float32", "steps": 2} | model))
    return Dreamer(DreamSpec(spec, Palette.of(PROMPTS), 64, 64, focus=known))


def at(value: float, seed: int = 3) -> Waypoint:
    return Waypoint(0.0, 0, (Point(seed, 1.0, 0.1, 1.0),), (0.5, 0.5), focus=value)


def library(path: Path, ours: Dreamer, factor: float) -> np.ndarray:
    """What the library's own pipeline makes of the same latents times `factor`."""
    pipe = DiffusionPipeline.from_pretrained(path, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    if ours.spec.model.scheduler:
        pipe.scheduler = getattr(diffusers, ours.spec.model.scheduler).from_config(pipe.scheduler.config)
    with torch.no_grad():
        mixed = ours._palettes.mix(at(1.0))
        latents = ours._sampler.noise(at(1.0)) * factor
        call = dict(num_inference_steps=2, guidance_scale=1.0, output_type="np", width=64, height=64)
        return pipe(latents=latents, prompt_embeds=mixed["prompt_embeds"], **call).images[0] * 255


@pytest.mark.parametrize("scheduler", [None, "EulerDiscreteScheduler", "HeunDiscreteScheduler"])
def test_any_focus_is_the_librarys_picture_of_noise_turned_down(folder: Folder, scheduler: str | None) -> None:
    """Whatever the scheduler makes of the size of the noise: those of Euler and Heun begin 14 times as large."""
    ours = dreamer(folder("sd"), focus.to_text(focus.DEFAULT), scheduler=scheduler)
    for value, factor in ((0.0, 0.0), (0.5, 0.6), (1.0, 1.0)):
        assert np.abs(ours.dream(at(value)) - library(folder("sd"), ours, factor)).max() < 2


def test_at_focus_1_not_a_byte_changes_and_nothing_is_measured(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(focus, "measure", lambda *_: pytest.fail("it was measured"))
    ours = dreamer(folder("sd"))
    sampler = ours._sampler
    with torch.inference_mode():  # as it was done before there was a focus
        plain = sampler._decoded(sampler._latent(sampler.noise(at(1.0)), torch.ones(1), *sampler._text(at(1.0))))
    assert (ours.dream(at(1.0)) == plain.numpy()).all() and ours.arithmetic.focus == ""
    noise, ones = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1)), torch.ones(1)
    for kind in (diffusers.EulerAncestralDiscreteScheduler, diffusers.LCMScheduler, diffusers.DDIMScheduler):
        program = compile_schedule(kind.from_config(tiny_models.sd().scheduler.config), 3, (4, 8, 8))
        assert isinstance(program, Program)
        without, withal = (program.run(noise, lambda taken, _: taken * 0.3, own) for own in (None, ones))
        assert torch.equal(without, withal)


def test_noise_that_a_scheduler_adds_is_turned_down_with_the_rest() -> None:
    config = tiny_models.sd().scheduler.config
    program = compile_schedule(diffusers.EulerAncestralDiscreteScheduler.from_config(config), 3, (4, 8, 8))
    still = program.run(torch.zeros(1, 4, 8, 8), lambda taken, _: taken * 0.0, torch.zeros(1))
    moved = program.run(torch.zeros(1, 4, 8, 8), lambda taken, _: taken * 0.0, torch.ones(1))
    assert still.abs().max() == 0 and moved.abs().max() > 0.1


def test_at_focus_0_every_seed_is_the_same_picture_and_a_half_is_on_the_way(folder: Folder) -> None:
    ours = dreamer(folder("sd"))
    assert (ours.dream(at(0.0, 3)) == ours.dream(at(0.0, 4))).all()
    ways = [np.abs(ours.dream(at(value)).astype(int) - ours.dream(at(1.0))).mean() for value in (0.0, 0.5, 0.9, 1.0)]
    assert ways[0] > ways[1] > ways[2] > ways[3] == 0


def test_the_curve_makes_equal_steps_of_what_is_seen() -> None:
    z = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    curve = focus.measure(lambda factor, trial: z * factor**3 * (trial + 1), 2)
    seen = np.array([focus.strength(n / 10, curve) ** 3 for n in range(11)])
    assert np.abs(np.diff(seen) - 0.1).max() < 0.05, "nothing happens below a third, so it is passed over quickly"
    assert focus.checked(curve) == curve
    flat = focus.measure(lambda factor, trial: z * 0.0, 1)
    assert flat == focus.measure(lambda factor, trial: z / 0.0, 1) == focus.DEFAULT


@pytest.mark.parametrize("kind", ["sd", "sd3", "flux"])
def test_a_model_is_measured_when_a_picture_first_needs_it_and_kept(
    folder: Folder, kind: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, told = dreamer(folder(kind)), []
    ours.on_learnt = told.append
    ours.dream(at(1.0)), ours.dream(at(0.0))
    assert not told and not cache.exists()
    once = ours.dream(at(0.4))
    sampler = ours._sampler
    assert ours.arithmetic.focus == focus.to_text(focus.measure(sampler.trial, sampler.trials))
    assert told == [ours.arithmetic] and len(list(cache.iterdir())) == 1
    monkeypatch.setattr(focus, "measure", lambda *_: pytest.fail("it was measured again"))
    again = dreamer(folder(kind))
    assert again.arithmetic.focus == ours.arithmetic.focus, "it is known from the start"
    assert (again.dream(at(0.4)) == once).all()


def test_a_slow_model_is_not_measured_and_a_damaged_or_closed_cache_does_no_harm(
    folder: Folder, cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(focus, "SLOW_S", -1.0)
    with caplog.at_level(logging.INFO):
        dreamer(folder("sd")).dream(at(0.5))
    assert "too slow to be measured" in caplog.text
    (kept,) = cache.iterdir()
    assert json.loads(kept.read_text())["curve"] == list(focus.DEFAULT)
    for damaged in ("", "[]", '{"curve": [0, 1]}', '{"curve": [0, 0.5, NaN, 1]}', json.dumps({"curve": [1.0] * 11})):
        kept.write_text(damaged)
        assert focus.read_curve(kept) is None
    kept.unlink()
    cache.rmdir()
    cache.write_text("a file where the folder should be")
    with caplog.at_level(logging.INFO):
        dreamer(folder("sd")).dream(at(0.5))
    assert "could not be kept" in caplog.text


def test_what_pictures_were_made_with_before_comes_first_then_what_the_model_brings(
    folder: Folder, tmp_path: Path
) -> None:
    own = tiny_models.save("sd", tmp_path / "own")
    brought = tuple(n / 10 for n in range(11))
    note = {"weights": focus.digest(models.find(str(own))), "curve": brought}
    (own / focus.SHIPPED).write_text(json.dumps(note))
    assert dreamer(own).arithmetic.focus == focus.to_text(brought)
    assert dreamer(own, focus.to_text(focus.DEFAULT)).arithmetic.focus == focus.to_text(focus.DEFAULT)
    (own / focus.SHIPPED).write_text(json.dumps(note | {"weights": "others"}))
    assert dreamer(own).arithmetic.focus == dreamer(own, "no curve").arithmetic.focus == ""


def test_the_built_in_model_brings_its_own_curve() -> None:
    place = models.find("house")
    curve = focus.shipped(place)
    assert curve is not None, "python -m scripts.house_model.focus measures it anew after the weights changed"
    assert 0.15 < curve[1] < 0.35 and 0.5 < curve[5] < 0.75


@pytest.mark.parametrize("kind", ["sd", "sd3", "flux", "qwen"])
def test_noise_and_latent_come_with_the_picture_and_are_of_one_size(folder: Folder, kind: str) -> None:
    ours = dreamer(folder(kind), focus.to_text(focus.DEFAULT))
    picture, came_of = np.empty((64, 64, 3), np.uint8), np.zeros((2, room(64, 64)), np.uint8)
    shapes = ours.dream_into(at(0.5), picture, None, came_of)
    assert shapes[0] is not None and shapes[0] == shapes[1]
    assert (picture == ours.dream(at(0.5))).all(), "looking changes nothing"
    count = int(np.prod(shapes[0]))
    x = ours._sampler.noise(at(0.5)).numpy()[0] * 0.6
    wanted = x / np.sqrt(4 + x * x) * 127 + 128
    assert np.abs(came_of[0, :count].reshape(shapes[0]) - wanted).max() <= 0.51
    assert came_of[1, :count].std() > 1


def test_more_numbers_than_there_is_room_for_are_thinned_out() -> None:
    into = np.zeros(16 * 8 * 8, np.uint8)
    assert numbers.put(torch.zeros(1, 40, 8, 8), into) == (16, 8, 8)
    assert numbers.put(torch.zeros(1, 16, 20, 20), into) == (16, 7, 7)
    assert (into[: 16 * 49] == 128).all() and (into[16 * 64 :] == 0).all()
