"""Functions captured as CUDA graphs: told to the card once, and from then on started with a single call.

    fast = capture(function, examples, others, recorder)     # None: it cannot be captured, and is run as it is
    fast(*tensors)                                           # what function(*tensors) answers

Dreamer process, in the thread that dreams; torch. A graph reads and writes the same memory every time. So what is given
is copied into buffers of its own first, and what comes is copied out before anybody can see it: two pictures never
share memory. One graph for every set of shapes, up to MOST_SHAPES; what is beyond them, and what cannot be captured, is
run as it is, and that is said in one line. A capture is played against the function on other numbers before it is
trusted.

Pictures that steer have networks captured by themselves, call by call, when the first one comes (steer.py): their times
and weights are inputs.

Never seen on a card: CudaGraphs. All else is tested on the CPU with a recorder that stands in for it (tests/card.py).
"""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from engine.dreamer.cpu.tape import agrees
from engine.dreamer.faults import line

log = logging.getLogger("pedesis")

Run = Callable[..., Tensor]
WARM_UP = 3  # calls before a capture, in which libraries choose their kernels and take their workspaces
MOST_SHAPES = 4  # each holds memory for as long as the dreamer lives


class Recorder(Protocol):
    """What captures: a card, or what stands in for it."""

    def warm_up(self, function: Run, buffers: Sequence[Tensor]) -> None:
        """Calls the function a few times, beside whatever is under way."""

    def record(self, function: Run, buffers: Sequence[Tensor]) -> tuple[Tensor, Callable[[], object]]:
        """Captures one call on these buffers: where its answer will lie, and what computes it there anew."""

    def recover(self) -> None:
        """After a capture that failed. Raises what cannot be recovered from."""


class CudaGraphs:
    """Captures on a side stream of a card. All graphs share one pool of memory, as they are played one by one and what
    they answer is copied out before the next."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    def warm_up(self, function: Run, buffers: Sequence[Tensor]) -> None:
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            for _ in range(WARM_UP):
                function(*buffers)
        torch.cuda.current_stream(self._device).wait_stream(self._stream)

    def record(self, function: Run, buffers: Sequence[Tensor]) -> tuple[Tensor, Callable[[], object]]:
        graph = torch.cuda.CUDAGraph()
        # thread_local: words may be encoded meanwhile, in a thread of their own, which takes memory as it likes
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            out = function(*buffers)
        return out, graph.replay

    def recover(self) -> None:
        torch.cuda.synchronize(self._device)


def recorder_of(device: torch.device) -> Recorder | None:
    """What captures on this device; None where there is nothing of the kind."""
    return CudaGraphs(device) if device.type == "cuda" else None


class Captured:
    """A function and its captures, one for every set of shapes."""

    def __init__(self, function: Run, what: str, recorder: Recorder, precision: torch.dtype) -> None:
        self._function, self._what, self._recorder, self._precision = function, what, recorder, precision
        self._played: dict[object, _Capture | None] = {}  # None: run as it is
        self._lock = threading.Lock()

    @property
    def captures(self) -> int:
        """How many sets of shapes have a capture."""
        return sum(one is not None for one in self._played.values())

    def __call__(self, *given: Tensor) -> Tensor:
        key = _key(given)
        with self._lock:
            if key not in self._played:
                self.add(given)
            played = self._played.get(key)
            if played is not None:
                return played(given)
        return self._function(*given)

    def add(self, examples: Sequence[Tensor], others: Sequence[Tensor] = ()) -> bool:
        """Captures it for the shapes of these; others: of the same shapes, to check it with. False: it is run as it
        is."""
        key = _key(examples)
        if len(self._played) >= MOST_SHAPES:
            if None not in self._played:
                log.warning("the %s has more than %d shapes, and runs without CUDA graphs", self._what, MOST_SHAPES)
                self._played[None] = None
            return False
        try:
            played = _Capture(self._function, examples, self._recorder)
            trusted = self._is_right(played, others or examples)
            why = "what it plays differs from what it captured"
        except Exception as error:  # torch and the card say anything; without a capture pictures come all the same
            trusted, why = False, line(error)
            self._recover()
        self._played[key] = played if trusted else None
        if not trusted:
            log.warning("the %s is run without a CUDA graph, which is slower: %s", self._what, why)
        return trusted

    def _recover(self) -> None:
        try:
            self._recorder.recover()
        except Exception as error:
            said = f"CUDA error while a graph was captured ({line(error)}); set model.graphs to off"
            raise RuntimeError(said) from error

    def _is_right(self, played: "_Capture", others: Sequence[Tensor]) -> bool:
        """Twice, as what keeps a state of its own is right once."""
        theirs = self._function(*others)
        return all(agrees(played(others), theirs, self._precision) for _ in range(2))


class _Capture:
    """One capture, with the buffers that it reads and writes."""

    def __init__(self, function: Run, examples: Sequence[Tensor], recorder: Recorder) -> None:
        with torch.inference_mode(False), torch.no_grad():  # what it makes is then written to in any mode
            self._buffers = [torch.empty_like(t).copy_(t) for t in examples]
            recorder.warm_up(function, self._buffers)
            self._out, self._play = recorder.record(function, self._buffers)

    def __call__(self, given: Sequence[Tensor]) -> Tensor:
        for buffer, tensor in zip(self._buffers, given, strict=True):
            buffer.copy_(tensor)
        self._play()
        return self._out.clone()


def capture(
    function: Run,
    examples: Sequence[Tensor],
    others: Sequence[Tensor],
    recorder: Recorder | None,
    what: str = "network",
    precision: torch.dtype = torch.float32,
) -> Captured | None:
    """`function` as a capture for inputs of these shapes, and of others as they come; None if it cannot be had, which
    is said in one line.

    others: different inputs of the same shapes to check it with. what: what it is called in that line. precision: what
    the function computes in, for how closely the two must agree.
    """
    if recorder is None:
        return None
    captured = Captured(function, what, recorder, precision)
    return captured if captured.add(examples, others) else None


def _key(tensors: Sequence[Tensor]) -> object:
    return tuple((tuple(t.shape), t.dtype) for t in tensors)
