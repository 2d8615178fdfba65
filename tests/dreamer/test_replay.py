"""Captured functions: what a card plays again and again is what the function answers, and nobody shares its memory."""

import logging
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from engine.dreamer.replay import MOST_SHAPES, Captured, capture, recorder_of
from tests.card import StandInGraphs

WEIGHT = torch.linspace(-1.0, 1.0, 12).reshape(4, 3)


def network(x: Tensor, strength: Tensor) -> Tensor:
    return (x * strength) @ WEIGHT


def given(seed: int, rows: int = 2) -> list[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(rows, 4, generator=draw), torch.rand(1, generator=draw)]


def captured(function: Callable[..., Tensor] = network, recorder: StandInGraphs | None = None) -> Captured | None:
    return capture(function, given(1), given(2), recorder or StandInGraphs())


def test_it_answers_what_the_function_answers_and_runs_no_python_again() -> None:
    calls: list[int] = []

    def counting(x: Tensor, strength: Tensor) -> Tensor:
        calls.append(1)
        return network(x, strength)

    fast = captured(counting)
    assert fast is not None
    before = len(calls)
    for seed in range(3, 6):
        assert torch.equal(fast(*given(seed)), network(*given(seed)))
    assert len(calls) == before


def test_two_pictures_never_share_memory() -> None:
    recorder = StandInGraphs()
    fast = captured(recorder=recorder)
    assert fast is not None
    inputs = given(3)
    first = fast(*inputs)
    kept = first.clone()
    second = fast(*given(4))
    assert torch.equal(first, kept) and not torch.equal(first, second)
    places = {t.data_ptr() for t in (first, second, *recorder.outputs)}
    assert len(places) == 3
    assert torch.equal(inputs[0], given(3)[0]), "what was given is left as it was"


def test_what_is_given_may_be_written_to_at_once() -> None:
    """A ring of noises is used again while the card still works."""
    fast = captured()
    assert fast is not None
    inputs = given(3)
    answer = fast(*inputs)
    inputs[0].zero_()
    assert torch.equal(answer, network(*given(3)))


def test_other_shapes_have_a_capture_of_their_own_up_to_a_number(caplog: pytest.LogCaptureFixture) -> None:
    recorder = StandInGraphs()
    fast = captured(recorder=recorder)
    assert fast is not None
    with caplog.at_level(logging.WARNING, "pedesis"):
        for rows in range(2, 2 + MOST_SHAPES + 3):
            for _ in range(2):
                assert torch.equal(fast(*given(5, rows)), network(*given(5, rows)))
    assert fast.captures == recorder.recorded == MOST_SHAPES
    assert caplog.text.count("more than 4 shapes") == 1


def test_another_precision_is_another_shape() -> None:
    fast = captured(lambda x, s: x * s)
    assert fast is not None
    x, strength = given(3)
    assert fast(x.double(), strength).dtype == torch.float64 and fast.captures == 2


@pytest.mark.parametrize("reads", [True, False], ids=["reads a number", "the card refuses"])
def test_what_cannot_be_captured_is_run_as_it_is_and_said_in_one_line(
    reads: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def branching(x: Tensor, strength: Tensor) -> Tensor:
        return x * 2 if float(strength) > 0.5 else x

    recorder = StandInGraphs(None if reads else RuntimeError)
    with caplog.at_level(logging.WARNING, "pedesis"):
        assert captured(branching if reads else network, recorder) is None
    assert len(caplog.records) == 1 and "without a CUDA graph, which is slower" in caplog.text
    assert "\n" not in caplog.records[0].getMessage() and recorder.recovered == 1


def test_what_keeps_a_state_is_not_trusted(caplog: pytest.LogCaptureFixture) -> None:
    kept = torch.zeros(2, 3)

    def adding(x: Tensor, strength: Tensor) -> Tensor:
        return kept.add_(network(x, strength)).clone()

    assert captured(adding) is None and "differs from what it captured" in caplog.text


def test_a_later_shape_that_fails_leaves_the_others(caplog: pytest.LogCaptureFixture) -> None:
    recorder = StandInGraphs()
    fast = captured(recorder=recorder)
    assert fast is not None
    recorder.refuse = RuntimeError
    for _ in range(3):
        assert torch.equal(fast(*given(5, 7)), network(*given(5, 7)))
    assert caplog.text.count("without a CUDA graph") == 1
    played = recorder.played
    assert torch.equal(fast(*given(6)), network(*given(6))) and recorder.played == played + 1


def test_a_card_that_does_not_recover_says_what_to_switch_off() -> None:
    class Broken(StandInGraphs):
        def recover(self) -> None:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match=r"illegal memory access.*set model\.graphs to off"):
        captured(recorder=Broken(RuntimeError))


def test_it_is_played_in_either_mode_of_torch() -> None:
    fast = captured()
    assert fast is not None
    with torch.inference_mode():
        inside = fast(*given(3))
    with torch.no_grad():
        assert torch.equal(inside, fast(*given(3)))


def test_nothing_is_captured_on_a_processor() -> None:
    assert recorder_of(torch.device("cpu")) is None and capture(network, given(1), given(2), None) is None
