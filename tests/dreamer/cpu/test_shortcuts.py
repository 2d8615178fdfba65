"""Shorter ways give what the operations themselves give, and are only taken where they do."""

import gc
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.dreamer.cpu import shortcuts, tape

CLOSE = {torch.float32: {"rtol": 1e-5, "atol": 1e-5}, torch.bfloat16: {"rtol": 2e-2, "atol": 3e-2}}

HALF = pytest.param(
    torch.bfloat16,
    marks=pytest.mark.skipif(not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="not on this processor"),
)


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    t = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    return t.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else t


def record(function: Callable[..., Tensor], *shape: int, dtype: torch.dtype = torch.float32) -> Callable[..., Tensor]:
    played = tape.record(function, [draw(*shape, seed=1, dtype=dtype)], [draw(*shape, seed=2, dtype=dtype)], dtype)
    assert played is not None
    return played


def calls(played: Callable[..., Tensor]) -> list[object]:
    """What a recording calls."""
    return [v for k, v in played.__globals__.items() if k.startswith("f")]


@pytest.mark.parametrize("dtype", [torch.float32, HALF])
@pytest.mark.parametrize(
    "shape, out", [((1, 4, 6, 10), 8), ((2, 3, 5, 7), 5), ((1, 8, 2, 2), 2), ((1, 2, 3, 1), 1), ((3, 16, 2, 9), 16)]
)
def test_a_convolution_over_a_doubled_picture_is_made_from_the_small_one(
    shape: tuple[int, int, int, int], out: int, dtype: torch.dtype
) -> None:
    weight, bias = draw(out, shape[1], 3, 3, seed=3, dtype=dtype) / 4, draw(out, seed=4, dtype=dtype)

    def function(x: Tensor) -> Tensor:
        return F.conv2d(F.interpolate(x, scale_factor=2.0, mode="nearest"), weight, bias, 1, 1)  # as nn.Conv2d calls it

    played, x = record(function, *shape, dtype=dtype), draw(*shape, seed=5, dtype=dtype)
    assert shortcuts._conv_of_doubled in calls(played) and F.interpolate not in calls(played)
    exact = F.conv2d(x.double().repeat_interleave(2, 2).repeat_interleave(2, 3), weight.double(), bias.double(), 1, 1)
    got = played(x)
    assert got.shape == exact.shape and got.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(got.double(), exact, **CLOSE[dtype])


def test_the_doubled_picture_is_still_made_for_whoever_else_needs_it() -> None:
    weight = draw(4, 4, 3, 3, seed=3)

    def function(x: Tensor) -> Tensor:
        large = F.interpolate(x, size=(8, 12))
        return F.conv2d(large, weight, None, (1, 1), (1, 1), (1, 1), 1) + large

    played, x = record(function, 1, 4, 4, 6), draw(1, 4, 4, 6, seed=5)
    assert shortcuts._conv_of_doubled in calls(played) and F.interpolate in calls(played)
    torch.testing.assert_close(played(x), function(x), **CLOSE[torch.float32])


@pytest.mark.parametrize(
    "enlarge, convolve",
    [
        ({"scale_factor": 2.0, "mode": "bilinear"}, {"padding": 1}),
        ({"scale_factor": 3.0}, {"padding": 1}),
        ({"scale_factor": (1.0, 2.0)}, {"padding": 1}),
        ({"scale_factor": 2.0}, {"padding": 0}),
        ({"scale_factor": 2.0}, {"padding": "same"}),
        ({"scale_factor": 2.0}, {"padding": 1, "stride": 2}),
        ({"scale_factor": 2.0}, {"padding": 1, "dilation": 2}),
    ],
)
def test_other_pairs_are_left_as_they_are(enlarge: dict[str, object], convolve: dict[str, object]) -> None:
    weight = draw(4, 4, 3, 3, seed=3)
    given = [convolve.get("stride", 1), convolve["padding"], convolve.get("dilation", 1)]

    def function(x: Tensor) -> Tensor:
        return F.conv2d(F.interpolate(x, **enlarge), weight, None, *given)  # type: ignore[arg-type]

    played, x = record(function, 1, 4, 6, 6), draw(1, 4, 6, 6, seed=5)
    assert shortcuts._conv_of_doubled not in calls(played)
    torch.testing.assert_close(played(x), function(x), **CLOSE[torch.float32])


@pytest.mark.parametrize("kernel, groups", [(1, 1), (5, 1), (3, 2)])
def test_other_kernels_are_left_as_they_are(kernel: int, groups: int) -> None:
    weight = draw(4, 4 // groups, kernel, kernel, seed=3)

    def function(x: Tensor) -> Tensor:
        return F.conv2d(F.interpolate(x, scale_factor=2.0), weight, None, 1, 1, 1, groups)

    played, x = record(function, 1, 4, 6, 6), draw(1, 4, 6, 6, seed=5)
    assert shortcuts._conv_of_doubled not in calls(played)
    torch.testing.assert_close(played(x), function(x), **CLOSE[torch.float32])


def test_a_weight_that_depends_on_the_input_is_not_packed() -> None:
    def function(x: Tensor) -> Tensor:
        weight = x[:, :, :3, :3] * 0.1
        return F.conv2d(F.interpolate(x, scale_factor=2.0), weight, None, 1, 1) + F.conv2d(x, weight, None, 1, 1).mean()

    played, x = record(function, 1, 4, 6, 6), draw(1, 4, 6, 6, seed=5)
    assert not {shortcuts._conv_of_doubled, shortcuts._convolution} & set(calls(played))
    torch.testing.assert_close(played(x), function(x), **CLOSE[torch.float32])


@pytest.mark.parametrize("channels, packed", [(16, True), (300, False)])
def test_in_float32_only_small_weights_are_packed(channels: int, packed: bool) -> None:
    weight = draw(channels, channels, 3, 3, seed=3) / channels

    played = record(lambda x: F.conv2d(x, weight, None, 1, 1), 1, channels, 4, 4)
    assert (shortcuts._convolution in calls(played)) == packed
    x = draw(1, channels, 4, 4, seed=5)
    torch.testing.assert_close(played(x), F.conv2d(x, weight, None, 1, 1), **CLOSE[torch.float32])


def test_a_weight_is_packed_once_and_the_unpacked_one_let_go() -> None:
    weights = [draw(8, 8, 3, 3, seed=3)]

    def function(x: Tensor) -> Tensor:
        for _ in range(3):
            x = F.conv2d(x, weights[0], None, 1, 1)
        return x

    played = record(function, 1, 8, 4, 4)
    packed = {id(v) for v in played.__globals__.values() if isinstance(v, Tensor) and v.is_mkldnn}
    assert len(packed) == 1
    weight = weights.pop()
    gc.collect()
    assert not any(holder is played.__globals__ for holder in gc.get_referrers(weight))


def test_where_the_processor_does_not_compute_in_bfloat16_it_is_recorded_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    weight = draw(4, 4, 3, 3, seed=3, dtype=torch.bfloat16)
    played = record(lambda x: F.conv2d(F.interpolate(x, scale_factor=2.0), weight, None, 1, 1), 1, 4, 4, 4,
                    dtype=torch.bfloat16)  # fmt: skip
    assert {F.interpolate, F.conv2d} <= set(calls(played))
