"""Dreams that pictures steer, through a U-Net: from part of the way on, along lines, by likeness.

    steering = Steering(pictures, network, solver, starts, ...)
    steering.latent(waypoint, noise, focus)      # (1, C, h, w), or None: nothing steers, and all is as without

Dreamer process; torch. The network alone is recorded, with its time, lines and weights as inputs, so that one
recording serves every strength; the schedule around it is a few rows (see starts.py). It is made when the first
picture steers, so that whoever uses none pays nothing.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.dreamer.cpu import tape
from engine.dreamer.guide import Asked, Pictures, asked
from engine.dreamer.liquid import MIDDLE, carry
from engine.dreamer.starts import Starts
from engine.walk.waypoint import Waypoint

log = logging.getLogger("pedesis")

Network = Callable[..., Tensor]  # (input, time, *texts, shares=, control=, likeness=) -> answer


@dataclass(frozen=True)
class Words:
    """What is said, as the network takes it. shares (N, h, w) and carried (2, M, h, w): of a torn picture."""

    texts: Sequence[Tensor]
    shares: Tensor | None = None
    carried: Tensor | None = None


@dataclass(frozen=True)
class Around:
    """What a dream is made with that is not of the guide: how the words are had, and how a network is recorded."""

    solver: Any
    words: Callable[[Waypoint], Words]
    ways: list[tuple[int, int]]  # in which torn cells are carried
    precision: torch.dtype
    taped: bool
    played: Network | None = None  # the plain network, recorded already


class Steering:
    """Makes the latents of waypoints that a picture steers."""

    def __init__(self, pictures: Pictures, network: Network | None, starts: Starts | None, around: Around) -> None:
        """network: None where it is kept no more, and only the recording of it plays."""
        self.pictures, self._network, self._starts, self._around = pictures, network, starts, around
        self._runs: dict[tuple[bool, bool, bool], Network] = {}
        self._lock = threading.Lock()  # a film dreams in several threads

    def latent(self, waypoint: Waypoint, noise: Tensor, focus: Tensor) -> Tensor | None:
        """The finished latent, (1, C, h, w) float32; None where nothing steers."""
        how = asked(waypoint.guide)
        if how is None or waypoint.guide is None:
            return None
        seen, makers = waypoint.guide.seen, self.pictures.makers
        picture = self.pictures.mixed(seen, "latent") if how.strength and self._starts and "latent" in makers else None
        lines = self.pictures.mixed(seen, "lines") if how.outline and "lines" in makers else None
        tokens = self.pictures.mixed(seen, "tokens") if how.likeness and "tokens" in makers else None
        if picture is not None and how.strength >= 1.0:
            return picture.reshape(noise.shape)
        if picture is None and lines is None and tokens is None:
            return None
        words = self._around.words(waypoint)
        more = [
            t for t in (words.shares, *_weighted(lines, how.outline), *_weighted(tokens, how.likeness)) if t is not None
        ]
        kind = words.shares is not None, lines is not None, tokens is not None
        run = self._run(kind, [noise, *more, *words.texts], len(more))
        return self._through(run, how, picture, noise, focus, words, more)

    def _through(
        self, run: Network, how: Asked, picture: Tensor | None, noise: Tensor, focus: Tensor, words: Words,
        more: list[Tensor],
    ) -> Tensor:  # fmt: skip
        solver, carried = self._around.solver, words.carried
        calls = len(solver.timesteps)
        turns = {} if carried is None else {calls - 1: 1, int(calls * MIDDLE): 0}

        def between(i: int, history: list[Tensor]) -> list[Tensor]:
            if i not in turns:
                return history
            assert carried is not None
            if picture is None:
                return carry(history, carried[turns[i]], self._around.ways)
            noise_, picture_, *answers = carry(
                [history[1], history[0], *history[2:]], carried[turns[i]], self._around.ways
            )
            return [picture_, noise_, *answers]

        if picture is None or self._starts is None:
            times = [t.float() for t in solver.timesteps]
            return solver.run(noise, lambda taken, i: run(taken, times[i], *more, *words.texts), focus, between)
        start = self._starts.at(how.strength)
        return self._starts.run(
            start, picture, noise, lambda taken, i: run(taken, start.times[i], *more, *words.texts), focus, between
        )

    def _run(self, kind: tuple[bool, bool, bool], given: list[Tensor], more: int) -> Network:
        """The network for what is given: torn or whole, with lines, with a likeness."""
        if not any(kind) and self._around.played is not None:
            return self._around.played
        with self._lock:
            if kind not in self._runs:
                self._runs[kind] = self._made(kind, given, more)
            return self._runs[kind]

    def _made(self, kind: tuple[bool, bool, bool], given: list[Tensor], more: int) -> Network:
        network = self._network
        assert network is not None
        torn, lined, alike = kind

        def run(taken: Tensor, t: Tensor, *given: Tensor) -> Tensor:
            rest = list(given)
            options: dict[str, Any] = {}
            if torn:
                options["shares"] = rest.pop(0)
            if lined:
                options["control"] = rest.pop(0), rest.pop(0)
            if alike:
                options["likeness"] = rest.pop(0), rest.pop(0)
            return network(taken, t, *rest, **options)

        if not self._around.taped:
            return run
        with torch.inference_mode(False), torch.no_grad():  # what is recorded counts how often a tensor was written
            noise, *others = (t.clone() for t in given)
            times = self._around.solver.timesteps
            one = [noise, times[0].clone().float(), *others]
            turned = [t.flip(-1) if t.dim() > 1 else t * 0.5 for t in others[:more]]
            other = [noise.flip(-1), times[-1].clone().float(), *turned, *(text.flip(0) for text in others[more:])]
            return tape.record(run, one, other, self._around.precision) or run


def _weighted(of: Tensor | None, weight: float) -> tuple[Tensor, ...]:
    """What is given to the network beside it: the thing, and how much it counts."""
    return () if of is None else (of, torch.full((1,), weight, dtype=torch.float32, device=of.device))
