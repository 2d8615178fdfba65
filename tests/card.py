"""What stands in for a graphics card where there is none: captures replayed, copies that land late.

    fast = capture(function, examples, others, StandInGraphs())
    landings = Landings(StandInCopies())
    with stand_in(): dreamer = Dreamer(spec)             # as on a card, on the processor
    worker: start_with_a_stand_in                        # of a DreamerProcess

    @on_a_card                                           # a test that waits for the first card

As a CUDA graph does, a capture runs no Python again, reads and writes the same memory every time, and cannot be made of
a function that reads a number out of a tensor. As on a card, a copy is done when it is waited for and not before.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

_READS = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default)
_NO_CARD = "needs an NVIDIA card that torch can use, and this machine has none"


def on_a_card(test: Any) -> Any:
    """Marks a test as one for `pytest -m gpu`, and skips it, with the reason, where there is no card."""
    return pytest.mark.gpu(pytest.mark.skipif(not torch.cuda.is_available(), reason=_NO_CARD)(test))


@contextmanager
def stand_in() -> Iterator["StandInGraphs"]:
    """Dreamers made in here take a processor for a card: networks are captured, pictures land late."""
    graphs = StandInGraphs()
    with (
        patch("engine.dreamer.replay.recorder_of", lambda _: graphs),
        patch("engine.dreamer.load.copies_of", lambda _: StandInCopies()),
    ):
        yield graphs


def start_with_a_stand_in(*given: Any) -> None:
    """What the child of a DreamerProcess runs: as always, with a processor for a card."""
    from engine.dreamer.worker import main

    with stand_in():
        main(*given)


class _Recording(TorchDispatchMode):
    """Operations in their order, with the tensors that they read and wrote: played, they write there again."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[tuple[Any, Any, Any, tuple[Tensor, ...]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _READS:
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")
        if torch.Tag.inplace_view in func.tags:  # another shape for a tensor, and no work
            return func(*args, **(kwargs or {}))
        given = tree_map_only(Tensor, Tensor.detach, (args, kwargs or {}))  # whose shapes stay as they are now
        made = func(*args, **(kwargs or {}))
        self._lines.append((func, *given, tuple(one.detach() for one in _tensors(made))))
        return made

    def play(self) -> None:
        for func, args, kwargs, made in self._lines:
            for old, new in zip(made, _tensors(func(*args, **kwargs)), strict=True):
                if old.data_ptr() != new.data_ptr():  # else a view, or written in place
                    old.copy_(new)


def _tensors(made: Any) -> tuple[Tensor, ...]:
    each = made if isinstance(made, (tuple, list)) else (made,)
    return tuple(one for one in each if isinstance(one, Tensor))


class StandInGraphs:
    """Records a function's operations and replays them into the same memory."""

    def __init__(self, refuse: type[Exception] | None = None) -> None:
        self.refuse = refuse
        self.warmed = self.recorded = self.played = self.recovered = 0
        self.outputs: list[Tensor] = []

    def warm_up(self, function: Callable[..., Tensor], buffers: Sequence[Tensor]) -> None:
        self.warmed += 1
        function(*buffers)

    def record(self, function: Callable[..., Tensor], buffers: Sequence[Tensor]) -> tuple[Tensor, Callable[[], object]]:
        if self.refuse is not None:
            raise self.refuse("CUDA error: operation not permitted when stream is capturing")
        with _Recording() as recording:
            out = function(*buffers)
        self.outputs.append(out)
        self.recorded += 1

        def play() -> None:
            self.played += 1
            recording.play()

        return out, play

    def recover(self) -> None:
        self.recovered += 1


class StandInCopies:
    """Copies that are queued, and done when somebody waits for them."""

    def __init__(self, pins: bool = True) -> None:
        self.pins = pins
        self.pinned: list[np.ndarray[Any, Any]] = []
        self.queued: list[tuple[Tensor, Tensor]] = []

    def pin(self, memory: np.ndarray[Any, Any]) -> bool:
        if self.pins:
            self.pinned.append(memory)
        return self.pins

    def room(self, size: int) -> Tensor:
        return torch.empty(size, dtype=torch.uint8)

    def send(self, pairs: Sequence[tuple[Tensor, Tensor]]) -> Callable[[], None]:
        self.queued += pairs

        def wait() -> None:
            for source, into in pairs:
                into.copy_(source)
            self.queued = [p for p in self.queued if not any(p is q for q in pairs)]

        return wait
