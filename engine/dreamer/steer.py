"""Dreams that pictures steer, through a U-Net: they begin part of the way down, from the picture under noise.

    steering = Steering(pictures, network, solver, starts, ...)
    steering.latent(waypoint, noise, focus)      # (1, C, h, w), or None: nothing steers, and all is as without

Dreamer process; torch. The network alone is recorded, with its time as an input, so that one recording serves every
strength; the schedule around it is a few rows (see starts.py). It is made when the first
picture steers, so that whoever uses none pays nothing.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.dreamer.cpu import tape
from engine.dreamer.guide import Asked, Pictures, asked, say_once
from engine.dreamer.liquid import MIDDLE, carry
from engine.dreamer.schedule import Between
from engine.dreamer.starts import Starts
from engine.walk.waypoint import Waypoint

Network = Callable[..., Tensor]  # (input, time, *texts, shares=) -> answer


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
        self._runs: dict[bool, Network] = {}  # of whole pictures, and of torn ones
        self._said: set[str] = set()
        self._lock = threading.Lock()  # a film dreams in several threads

    def latent(self, waypoint: Waypoint, noise: Tensor, focus: Tensor) -> Tensor | None:
        """The finished latent, (1, C, h, w) float32; None where nothing steers."""
        how = asked(waypoint.guide)
        if how is None or waypoint.guide is None:
            return None
        self._say_unheard(how)
        if not how.strength or self._starts is None or "latent" not in self.pictures.makers:
            return None
        picture = self.pictures.mixed(waypoint.guide.seen, "latent")
        if picture is None:
            return None
        if how.strength >= 1.0:
            return picture.reshape(noise.shape)
        words = self._around.words(waypoint)
        places = [] if words.shares is None else [words.shares]
        run = self._run([noise, *places, *words.texts], bool(places))
        start = self._starts.at(how.strength)

        def predict(taken: Tensor, i: int) -> Tensor:
            return run(taken, start.times[i], *places, *words.texts)

        return self._starts.run(start, picture, noise, predict, focus, self._carrying(words))

    def _carrying(self, words: Words) -> Between | None:
        """What carries the cells of a torn picture about; the given picture is torn with the rest."""
        if words.carried is None:
            return None
        calls, carried = len(self._around.solver.timesteps), words.carried
        turns = {calls - 1: 1, int(calls * MIDDLE): 0}

        def between(i: int, history: list[Tensor]) -> list[Tensor]:
            if i not in turns:
                return history
            picture, noise, *answers = history
            noise, picture, *answers = carry([noise, picture, *answers], carried[turns[i]], self._around.ways)
            return [picture, noise, *answers]

        return between

    def _run(self, given: list[Tensor], torn: bool) -> Network:
        """The network for what is given: noise, shares if it is torn, and texts."""
        if not torn and self._around.played is not None:
            return self._around.played
        with self._lock:
            if torn not in self._runs:
                self._runs[torn] = self._made(given, torn)
            return self._runs[torn]

    def _made(self, given: list[Tensor], torn: bool) -> Network:
        network = self._network
        assert network is not None

        def run(taken: Tensor, t: Tensor, *rest: Tensor) -> Tensor:
            return network(taken, t, *rest[1:], shares=rest[0]) if torn else network(taken, t, *rest)

        if not self._around.taped:
            return run
        with torch.inference_mode(False), torch.no_grad():  # what is recorded counts how often a tensor was written
            noise, *others = (t.clone() for t in given)
            times = self._around.solver.timesteps
            one = [noise, times[0].clone().float(), *others]
            places, texts = ([others[0].flip(-1)], others[1:]) if torn else ([], others)
            other = [noise.flip(-1), times[-1].clone().float(), *places, *(text.flip(0) for text in texts)]
            return tape.record(run, one, other, self._around.precision) or run

    def _say_unheard(self, how: Asked) -> None:
        """Says once what a picture asks for that is not done."""
        if how.outline or how.likeness:
            say_once(self._said, "guide.outline and guide.likeness are not heard yet; guide.strength is")
        if how.strength and (self._starts is None or "latent" not in self.pictures.makers):
            say_once(self._said, "guide.strength is not heard with this scheduler or decoder; name another, or none")
