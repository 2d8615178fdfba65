"""Tearing: every cell stays N(0, 1), patches belong to places, and equal steps of the fader are about equal changes."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.dreamer.liquid import Masks, Regional, by_area, carry, native_cells, size_of, woven
from engine.dreamer.noise import Conditioning, Noise
from engine.dreamer.palettes import Palettes
from engine.dreamer.sampler import Parts, Settings, UNetSampler
from engine.walk.waypoint import Liquid, Point, Sheet, Waypoint, Wording
from tests import tiny_models

CELLS = (12, 20)
SAID = [(Wording("", tuple(float(n == m) for n in range(4)), 1.0),) for m in range(4)]
SHEETS = tuple(Sheet((Point(50 + n, 2.0, 0.1, 1.0),), SAID[n]) for n in (1, 2, 3))


def torn(amount: float, phase: float = 1.0, seed: int = 7, drawn: float = 0.0) -> Liquid:
    return Liquid(amount, (Point(seed, phase, 0.1, 1.0),), SHEETS, drawn)


def waypoint(liquid: Liquid | None) -> Waypoint:
    return Waypoint(0.0, 0, (Point(50, 2.0, 0.1, 1.0),), SAID[0][0].weights, liquid=liquid)


@pytest.fixture(scope="module")
def masks() -> Masks:
    return Masks(CELLS, native=16)


@pytest.mark.parametrize("amount", [0.0, 0.1, 0.3, 0.5, 0.8, 1.0])
def test_every_cell_belongs_wholly_to_the_sheets(masks: Masks, amount: float) -> None:
    shares = masks(torn(amount))
    assert shares.shape == (4, *CELLS) and float(shares.min()) >= 0.0
    assert torch.allclose(shares.sum(0), torch.ones(CELLS), atol=1e-5)
    carried = masks.carried(torn(amount))
    assert torch.allclose(carried.sum(1), torch.ones(2, *CELLS), atol=1e-5)


def test_it_begins_with_one_whole_sheet(masks: Masks) -> None:
    for seed in range(20):
        assert float(masks(torn(0.01, seed=seed))[0].min()) > 0.999
        assert float(masks.carried(torn(0.01, seed=seed))[:, 0].min()) > 0.999


def test_patches_get_smaller_and_all_sheets_have_their_part(masks: Masks) -> None:
    def border(amount: float) -> float:
        owner = [masks(torn(amount, seed=seed)).argmax(0) for seed in range(8)]
        return float(np.mean([float((o[:, 1:] != o[:, :-1]).float().mean()) for o in owner]))

    at = [border(a) for a in (0.1, 0.3, 0.5, 0.7, 1.0)]
    assert all(a < b for a, b in pairwise(at)) and at[-1] > 0.4
    areas = torch.stack([masks(torn(0.7, seed=seed)).mean((1, 2)) for seed in range(24)]).mean(0)
    assert float(areas.min()) > 0.18


def test_a_larger_picture_shows_the_same_patches() -> None:
    small, large = Masks((10, 14), native=16), Masks((16, 30), native=16)
    for amount in (0.3, 0.6, 1.0):
        crop = (..., slice(3, 13), slice(8, 22))
        assert torch.allclose(small(torn(amount)), large(torn(amount))[crop], atol=1e-5)
        assert torch.allclose(small.carried(torn(amount)), large.carried(torn(amount))[crop], atol=1e-5)


@pytest.mark.parametrize("amount", [0.25, 0.5, 1.0])
def test_every_cell_of_the_noise_stays_normal(amount: float) -> None:
    noise = Noise((4, *CELLS), native=16)
    one = waypoint(torn(amount))
    draws = []
    for n in range(60):
        sheets = tuple(replace(s, points=(replace(s.points[0], seed=1000 + 10 * n + k),)) for k, s in enumerate(SHEETS))
        here = replace(one, points=(Point(5000 + n, 0.0, 0.1, 1.0),), liquid=replace(one.liquid, sheets=sheets))  # type: ignore[type-var]
        draws.append(noise(here)[0])
    z = torch.stack(draws)  # (60, C, h, w), the patches always the same
    assert abs(float(z.mean())) < 0.02 and abs(float(z.var()) - 1.0) < 0.03
    cell = z.square().mean((0, 1))  # (h, w), of 240 draws: standard deviation 0.09
    assert float(cell.min()) > 0.6 and float(cell.max()) < 1.5
    beside = (z[..., 1:] * z[..., :-1]).mean()
    assert abs(float(beside)) < 0.02, "neighbours have nothing in common"


def test_cells_that_are_carried_about_stay_normal(masks: Masks) -> None:
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(200, *CELLS, generator=generator)
    answer = torch.ones(200, *CELLS)
    carried = masks.carried(torn(1.0))
    z, same = carry([noise.flatten(), answer.flatten()], carried[0], masks.ways)
    cell = z.view(200, *CELLS).square().mean(0)
    assert float(cell.min()) > 0.6 and float(cell.max()) < 1.6 and abs(float(cell.mean()) - 1) < 0.03
    assert torch.allclose(same, torch.ones_like(same), atol=1e-5), "answers are averaged"


def test_patches_drift_and_never_jump(masks: Masks) -> None:
    for amount in (0.3, 0.6, 1.0):
        path = [masks(torn(amount, phase=n * 0.01)) for n in range(40)]
        steps = [float((b - a).abs().mean()) for a, b in pairwise(path)]
        assert 0.0 < max(steps) < 0.03 and float((path[0] - path[-1]).abs().mean()) > 3 * max(steps)


def test_a_sheet_is_drawn_up_from_the_top_down(masks: Masks) -> None:
    own = [masks(torn(1.0, drawn=drawn))[0] for drawn in np.linspace(0.0, 1.0, 11)]
    assert all(float((b - a).min()) > -1e-5 for a, b in pairwise(own)), "what is up stays up"
    half = own[5]
    assert float(half[:3].min()) > 0.99 and float(half[-3:].mean()) < 0.5
    assert float(own[-1].min()) > 0.999


def test_each_place_hears_the_words_of_its_patch() -> None:
    class Attention(nn.Module):
        heads = 1

    def inner(attn: nn.Module, x: Tensor, words: Tensor | None, mask: object, temb: object) -> Tensor:
        return x + (0 if words is None else words.mean(1, keepdim=True))

    regional, places = Regional(inner), torch.zeros(2, 6, 1)
    words = torch.tensor([[0.0], [0.0], [1.0], [5.0]])[:, None]  # (2 * 2, 1, 1): without, and with the prompt
    shares = torch.zeros(2, 4, 6)
    shares[0, :, :2], shares[1, :, 2:] = 1.0, 1.0
    heard = regional(Attention(), places, words, shares=shares)
    assert heard[0].abs().max() == 0 and heard[1, :, 0].tolist() == [1.0, 5.0, 5.0, 1.0, 5.0, 5.0]
    assert torch.equal(regional(Attention(), places, words[:2]), inner(nn.Identity(), places, words[:2], None, None))


def test_sizes_and_areas() -> None:
    assert [size_of(n, (16, 28)) for n in (448, 112, 28)] == [(16, 28), (8, 14), (4, 7)]
    assert size_of(45, (9, 18)) == (5, 9)
    with pytest.raises(ValueError, match="7 places"):
        size_of(7, (16, 28))
    shares = torch.tensor([0.5, 0.3, 0.2, 0.0])[:, None, None].expand(4, 2, 2)
    said = by_area(waypoint(torn(1.0)), shares)
    assert [w.share for w in said] == pytest.approx([0.5, 0.3, 0.2, 0.0])
    assert woven([torch.ones(1, 2, 2)] * 4, shares).mean() > 1.0  # of one sheet with itself; others are independent
    assert [native_cells(type("Config", (), {"sample_size": s})) for s in (16, [64, 96], None)] == [16, 64, 64]


def made(taped: bool) -> UNetSampler:
    pipe = tiny_models.sd()
    generator = torch.Generator().manual_seed(1)
    texts = torch.randn(4, 24, pipe.unet.config.cross_attention_dim, generator=generator)
    palettes = Palettes("", Conditioning({"prompt_embeds": texts}), one_length=True)
    parts = Parts(pipe.unet, pipe.vae, pipe.scheduler, xl=False)
    return UNetSampler(parts, palettes, Settings(96, 64, 3, 1.0, pipe.vae_scale_factor), taped)


def test_a_network_dreams_it_and_nothing_changes_where_it_is_whole() -> None:
    plain, recorded = made(taped=False), made(taped=True)
    whole = plain.latent(waypoint(None))
    assert torch.allclose(plain.latent(waypoint(torn(0.005))), whole, atol=1e-3 * float(whole.std()))
    finely = waypoint(torn(1.0))
    latent = plain.latent(finely)
    assert torch.isfinite(latent).all() and not torch.allclose(latent, whole, atol=0.1)
    assert torch.equal(plain.latent(finely), latent) and torch.equal(plain.latent(waypoint(None)), whole)
    assert torch.allclose(recorded.latent(finely), latent, atol=2e-3 * float(latent.std()))
    fewer = replace(finely.liquid, sheets=SHEETS[:1])  # type: ignore[type-var]
    assert torch.isfinite(recorded.latent(replace(finely, liquid=fewer))).all()
    assert torch.allclose(recorded.latent(waypoint(None)), whole, atol=2e-3 * float(whole.std()))
