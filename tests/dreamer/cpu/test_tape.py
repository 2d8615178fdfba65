"""Recording a function and playing it back: equal results, fewer operations, and no trust without proof."""

import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.dreamer.cpu import tape


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def record(function: object, *shapes: tuple[int, ...], dtype: torch.dtype = torch.float32) -> object:
    one = [draw(*s, seed=1).to(dtype) for s in shapes]
    other = [draw(*s, seed=2).to(dtype) for s in shapes]
    return tape.record(function, one, other, dtype)  # type: ignore[arg-type]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.conv, self.norm, self.out = nn.Conv2d(4, 8, 3, padding=1), nn.GroupNorm(4, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        h = F.silu(self.norm(self.conv(x))) / 1.0
        a, b = h.permute(0, 2, 3, 1).reshape(1, -1, 8).chunk(2, dim=1)  # (1, h*w/2, 8) twice
        q = F.scaled_dot_product_attention(a[:, None], self.out(text)[:, None], self.out(text)[:, None])[:, 0]
        return torch.cat([q, b], dim=1).mean(dim=1, keepdim=True) + q.shape[1] + a[:, ::3].sum()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_recording_gives_what_the_function_gives(dtype: torch.dtype) -> None:
    net = Net().eval().to(dtype).to(memory_format=torch.channels_last)
    played = record(net, (1, 4, 8, 8), (1, 5, 8), dtype=dtype)
    x, text = draw(1, 4, 8, 8, seed=5).to(dtype), draw(1, 5, 8, seed=6).to(dtype)
    with torch.inference_mode():
        tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 2e-2, "atol": 2e-2}
        torch.testing.assert_close(played(x, text), net(x, text), **tolerance)  # type: ignore[operator]


def calls_of(function: object, counted: list[str], *shapes: tuple[int, ...]) -> int:
    """How many times a counting operation runs per play."""
    played = record(function, *shapes)
    assert played is not None
    counted.clear()
    played(*[draw(*s) for s in shapes])  # type: ignore[operator]
    return len(counted)


def test_constants_and_repetitions_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    real = torch.matmul

    def counting(a: Tensor, b: Tensor) -> Tensor:
        if torch.overrides.has_torch_function((a, b)):
            return torch.overrides.handle_torch_function(counting, (a, b), a, b)
        counted.append("matmul")
        return real(a, b)

    weight = draw(4, 4, seed=9)

    def function(x: Tensor) -> Tensor:
        constant = counting(weight, weight)  # depends on no input
        return counting(x, constant) + counting(x, constant) + counting(x, weight)

    assert calls_of(function, counted, (4, 4)) == 2


def test_results_that_lead_nowhere_are_left_out() -> None:
    counted: list[str] = []

    def spy(x: Tensor) -> Tensor:
        if torch.overrides.has_torch_function((x,)):
            return torch.overrides.handle_torch_function(spy, (x,), x)
        counted.append("spy")
        return x * 2

    def function(x: Tensor) -> Tensor:
        spy(x)
        return x + 1

    assert calls_of(function, counted, (3,)) == 0


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.add_(1),
        lambda x: (x * 2).mul_(3),
        lambda x: F.relu(x * 1.5, inplace=True),
        lambda x: x * 2 if x.sum() > 0 else x,
        lambda x: x * x.mean().item(),
        lambda x: torch.zeros(3),
    ],
)
def test_what_cannot_be_repeated_is_not_recorded(function: object) -> None:
    assert record(function, (3,)) is None


def test_a_recording_that_is_wrong_is_noticed() -> None:
    calls = []

    def fickle(x: Tensor) -> Tensor:
        calls.append(1)
        return x * len(calls)  # another function each time

    assert record(fickle, (16,)) is None


def test_an_input_handed_through_is_still_a_function_of_it() -> None:
    played = record(lambda x: x.contiguous().to(torch.float32), (3,))
    x = draw(3, seed=4)
    assert played is not None and torch.equal(played(x), x)  # type: ignore[operator]


def test_values_are_let_go_while_recording() -> None:
    alive: list[int] = []
    living: weakref.WeakSet[Tensor] = weakref.WeakSet()

    def function(x: Tensor) -> Tensor:
        for _ in range(20):
            x = x * 1.5
            living.add(x)
            alive.append(len(living))
        return x

    assert record(function, (64,)) is not None
    assert max(alive) <= 3


def test_what_this_processor_cannot_pack_is_run_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise RuntimeError("bf16 path needs the cpu support avx_ne_convert")

    monkeypatch.setattr(tape.Shortcuts, "of", refuse)
    assert record(Net().eval(), (1, 4, 8, 8), (1, 5, 8)) is None
