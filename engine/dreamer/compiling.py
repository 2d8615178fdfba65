"""torch.compile behind the picture: pictures come as before while it works, and from one picture on by what it made.

    behind = Behind(lambda: sampler.compile(compiler()))     # a thread of its own
    if made := behind.take(): sampler.take_up(made)          # between two pictures, in the thread that dreams

Dreamer process; torch. What is compiled rounds otherwise than what is not. So it is checked against it first, a film
waits for it before its first picture, and Arithmetic says which of the two a picture came of. What fails leaves
everything as it is, with one line.

Never seen on a card: all of it. On a CPU it was seen with gcc, on the built-in model.
"""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

from engine.dreamer.cpu.tape import agrees
from engine.dreamer.faults import line
from engine.show.paths import cache_dir

log = logging.getLogger("pedesis")

Run = Callable[..., Tensor]
Compiler = Callable[[Run], Run]
T = TypeVar("T")


def compiler() -> Compiler:
    """torch's own, for shapes that never change. Works in this process, so that nothing outlives it, and keeps what it
    made for the next start."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_dir() / "compiled"))
    import torch._inductor.config as settings

    settings.compile_threads = 1
    return lambda run: torch.compile(run, dynamic=False)


def alone(run: Run) -> Run:
    """The same in one mode of torch and on tensors of one kind: in another it would be compiled once more, in the
    middle of a show."""

    def called(*given: Tensor) -> Tensor:
        with torch.inference_mode(False), torch.no_grad():
            return run(*(t.clone() for t in given))

    return called


def checked(
    compiled: Run, plain: Run, examples: Sequence[Tensor], others: Sequence[Tensor], precision: torch.dtype
) -> Run | None:
    """What was compiled, once it has been called and agrees with what it was made of; else None, and a line."""
    try:
        compiled(*examples)  # it is compiled at its first call
        right = agrees(compiled(*others), plain(*others), precision)
        why = "what it makes differs too much"
    except Exception as error:  # a missing compiler, a kind of network that it does not know: it has hundreds of faults
        right, why = False, line(error)
    if not right:
        log.warning("torch.compile is left out, and pictures come as without it: %s", why)
    return compiled if right else None


class Behind(Generic[T]):
    """Work in a thread of its own, whose result is fetched when it is there."""

    def __init__(self, work: Callable[[], T | None]) -> None:
        self._made: T | None = None
        self._done = threading.Event()

        def run() -> None:
            try:
                self._made = work()
            except Exception as error:  # pictures go on without it, whatever it was
                log.warning("torch.compile is left out, and pictures come as without it: %s", line(error))
            self._done.set()

        threading.Thread(target=run, name="compiling", daemon=True).start()

    def take(self) -> T | None:
        """The result, once, when it is there; never waits."""
        if not self._done.is_set():
            return None
        made, self._made = self._made, None
        return made
