"""The painter of the built-in model's pictures: repeatable, in range, captioned, continuous."""

import math
import random
from dataclasses import replace

import pytest
import torch

from scripts.house_model.captions import caption_of, recaption
from scripts.house_model.hybrids import KINDS
from scripts.house_model.noise import Dice, normals
from scripts.house_model.painter import WORLDS, draw, paint, plan
from scripts.house_model.palettes import NAMES as PALETTES


@pytest.fixture(autouse=True)
def one_thread():
    """Small pictures are quicker on one core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_same_arguments_paint_the_same_bytes() -> None:
    assert torch.equal(paint(4, 48, seed=3).images, paint(4, 48, seed=3).images)
    assert not torch.equal(paint(1, 48, seed=3).images, paint(1, 48, seed=4).images)


def test_a_picture_does_not_depend_on_how_many_are_painted() -> None:
    few, many = paint(2, 48, seed=5), paint(7, 48, seed=5)
    assert torch.equal(few.images, many.images[:2])
    assert few.captions == many.captions[:2] and few.attributes == many.attributes[:2]


def test_several_sets_at_once_are_those_sets_one_after_the_other() -> None:
    both, first, second = paint(3, 48, seed=[5, 9]), paint(3, 48, seed=5), paint(3, 48, seed=9)
    assert torch.equal(both.images, torch.cat([first.images, second.images]))
    assert both.captions == first.captions + second.captions
    assert both.attributes == first.attributes + second.attributes


def test_noise_is_splitmix64_by_box_and_muller() -> None:
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]  # of 1234567
    for z, (a, b) in zip(published, normals([1, 1234567], 4)[1].tolist(), strict=True):
        radius = math.sqrt(-2 * math.log(((z >> 32) + 1) / 2**32))
        turn = 2 * math.pi * (z & 0xFFFFFFFF) / 2**32
        assert (a, b) == pytest.approx((radius * math.cos(turn), radius * math.sin(turn)), abs=1e-5)
    many = normals([3, 4], 1 << 16)
    assert many.isfinite().all()
    assert many.mean().abs() < 0.01 and abs(many.std() - 1) < 0.01 and abs(many.pow(4).mean() - 3) < 0.05


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_paints_what_a_cpu_paints() -> None:
    here, there = paint(24, 64, seed=1), paint(24, 64, seed=1, device="cuda")
    assert here.captions == there.captions
    assert (here.images - there.images.cpu()).abs().mean((1, 2, 3)).max() < 2 / 255


@pytest.mark.parametrize("kind", [*WORLDS, *KINDS])
def test_nothing_is_fetched_from_the_device_that_paints(kind: str) -> None:
    """On a device without data, reading a number or mixing in one of the CPU's tensors is an error."""
    plans = [plan(6, k) for k in range(300)]
    alike = [p for p in plans if kind == (p.hybrid or p.a["world"])]
    alike = [p for p in alike if (p.a["world"], p.b["world"]) == (alike[0].a["world"], alike[0].b["world"])]
    painted = draw(alike, 32, 32, device="meta", batch=64)
    assert len(alike) > 1 and painted.is_meta and painted.shape == (len(alike), 3, 32, 32)


def test_batches_paint_what_single_pictures_paint() -> None:
    plans = [plan(2, k) for k in range(12)]
    assert (draw(plans, 48, 48, batch=1) - draw(plans, 48, 48, batch=8)).abs().max() < 1e-3


def test_global_chance_is_neither_used_nor_moved() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    paint(3, 32)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("world", WORLDS)
def test_every_world_is_in_range_and_captioned(world: str) -> None:
    got = paint(6, (40, 72), seed=8, world=world)
    assert got.images.shape == (6, 3, 40, 72) and got.images.dtype == torch.float32
    assert got.images.isfinite().all() and got.images.min() >= 0 and got.images.max() <= 1
    assert all(a["world"] == world and a["hybrid"] is None for a in got.attributes)
    assert all(a["palette"] in PALETTES for a in got.attributes)
    assert all(a == b and 2 <= len(a.split()) <= 24 for a, b in got.captions)


def test_a_third_of_a_set_are_crossings_of_every_kind() -> None:
    plans = [plan(0, k) for k in range(600)]
    crossed = [p for p in plans if p.hybrid]
    assert 150 < len(crossed) < 250
    assert {p.hybrid for p in crossed} == set(KINDS)
    assert all(p.mix == 0 for p in plans if not p.hybrid)


@pytest.mark.parametrize("kind", KINDS)
def test_crossings_begin_at_a_end_at_b_and_go_without_a_jump(kind: str) -> None:
    whole = next(p for p in (plan(1, k) for k in range(400)) if p.hybrid == kind)
    a = draw([replace(whole, b=whole.a, mix=0.0, hybrid=None)], 64, 64)
    b = draw([replace(whole, a=whole.b, seed_a=whole.seed_b, mix=0.0, hybrid=None)], 64, 64)
    path = draw([replace(whole, mix=k / 32) for k in range(33)], 64, 64, batch=33)
    assert (path[0] - a[0]).abs().mean() < 0.01
    assert (path[-1] - b[0]).abs().mean() < 0.01
    steps = (path[1:] - path[:-1]).abs().mean((1, 2, 3))
    assert steps.max() < 0.12


def test_captions_say_the_same_attributes_in_many_ways() -> None:
    rng = random.Random(0)
    for index in range(40):
        p = plan(0, index)
        assert len({caption_of(p.a, rng) for _ in range(20)}) > 5
    side_a, side_b = recaption({"a": plan(0, 0).a, "b": plan(0, 1).a, "hybrid": "torn"}, rng)
    assert side_a != side_b


def test_errors_say_what_was_required() -> None:
    with pytest.raises(ValueError, match="clouds, pulp, memory"):
        paint(1, 64, world="sea")
    with pytest.raises(ValueError, match="at least 32"):
        paint(1, 16)
    with pytest.raises(ValueError, match="world"):
        caption_of({"world": "moon"}, random.Random(0))
    with pytest.raises(ValueError, match="equally long"):
        Dice([1, 2], other=[1])
