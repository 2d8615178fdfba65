"""Dreams that pictures steer, through a U-Net: begun part of the way down, from the picture under noise (starts.py); by
its lines, with a ControlNet (outline.py); by what it shows, with an IP-Adapter (likeness.py).

    steering = Steering(pictures, network, starts, around, none, outline)
    steering.latent(waypoint, noise, focus)      # (1, C, h, w), or None: nothing steers, and all is as without

Dreamer process; torch. The networks alone are recorded, with their time and all weights as inputs, so that one
recording serves every strength; the schedule around them is a few rows. They are recorded when the first picture
steers, so that whoever uses none pays nothing. A ControlNet is not run while its weight is 0. On a card each network is
captured by itself (replay.py), and what lies between two calls, the schedule and the weights, is queued as it is; what
nothing steers is one capture, as before. Never seen on a card.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.dreamer import replay
from engine.dreamer.cpu import tape
from engine.dreamer.guide import Asked, Pictures, asked, say_once
from engine.dreamer.liquid import carrying
from engine.dreamer.outline import Outline
from engine.dreamer.schedule import Between
from engine.dreamer.starts import Starts
from engine.walk.waypoint import Guide, Waypoint

Run = Callable[..., Tensor]  # (input, time, *told, shares=) -> answer


@dataclass(frozen=True)
class Words:
    """What is said, as the network takes it. shares (N, h, w) and carried (2, M, h, w): of a torn picture."""

    texts: Sequence[Tensor]
    shares: Tensor | None = None
    carried: Tensor | None = None

    @property
    def whole(self) -> list[Tensor]:
        """The same for who hears one text: (1, L, D) each, by how much of the picture it has."""
        if self.shares is None:
            return list(self.texts)
        areas = self.shares.mean((1, 2)).view(-1, 1, 1)  # (N, 1, 1)
        return [(areas * t.float()).sum(0, keepdim=True).to(t.dtype) if t.dim() > 2 else t for t in self.texts]


@dataclass(frozen=True)
class Around:
    """What a dream is made with that is not of the guide: how the words are had, and how a network is recorded."""

    solver: Any
    words: Callable[[Waypoint], Words]
    ways: list[tuple[int, int]]  # in which torn cells are carried
    precision: torch.dtype
    taped: bool
    played: Run | None = None  # the network, recorded already
    recorder: replay.Recorder | None = None  # of a card that captures graphs


@dataclass(frozen=True)
class _Given:
    """What pictures give to one dream; None where they do not steer in this way."""

    latent: Tensor | None
    hint: Tensor | None
    likeness: Tensor | None
    how: Asked

    @property
    def is_any(self) -> bool:
        return self.latent is not None or self.hint is not None or self.likeness is not None


class Steering:
    """Makes the latents of waypoints that a picture steers."""

    def __init__(
        self,
        pictures: Pictures,
        network: Run | None,
        starts: Starts | None,
        around: Around,
        none: Sequence[Tensor] = (),
        outline: Outline | None = None,
    ) -> None:
        """network: None where it is kept no more, and only the recording of it plays. none: what it is told beside the
        words where neither lines nor likeness are asked for: the first is of the lines, if there is a ControlNet."""
        self.pictures, self._network, self._starts, self._around = pictures, network, starts, around
        self._none, self._outline = list(none), outline
        self._outlined: Run | None = None  # the ControlNet, recorded
        self._runs: dict[bool, Run] = {}  # of whole pictures, and of torn ones
        self._said: set[str] = set()
        self._lock = threading.Lock()  # a film dreams in several threads

    def latent(self, waypoint: Waypoint, noise: Tensor, focus: Tensor) -> Tensor | None:
        """The finished latent, (1, C, h, w) float32; None where nothing steers."""
        how = asked(waypoint.guide)
        if how is None or waypoint.guide is None:
            return None
        self._say_unheard(how)
        given = self._given(waypoint.guide, how)
        if not given.is_any:
            return None
        if given.latent is not None and how.strength >= 1.0:
            return given.latent.reshape(noise.shape)
        words = self._around.words(waypoint)
        if given.latent is None or self._starts is None:
            times = [t.float() for t in self._around.solver.timesteps]
            predict = self._predicting(given, words, noise, times)
            return self._around.solver.run(noise, predict, focus, self._carrying(words, False))
        start = self._starts.at(how.strength)
        predict = self._predicting(given, words, noise, start.times)
        return self._starts.run(start, given.latent, noise, predict, focus, self._carrying(words, True))

    def _given(self, guide: Guide, how: Asked) -> _Given:
        def made(weight: float, what: str) -> Tensor | None:
            return self.pictures.mixed(guide.seen, what) if weight and what in self.pictures.makers else None

        latent = made(how.strength, "latent") if self._starts is not None else None
        return _Given(latent, made(how.outline, "outline"), made(how.likeness, "likeness"), how)

    def _predicting(
        self, given: _Given, words: Words, noise: Tensor, times: Sequence[Tensor]
    ) -> Callable[[Tensor, int], Tensor]:
        """What answers the calls of one dream, given their times."""
        places, whole = [] if words.shares is None else [words.shares], words.whole
        outlined = None if given.hint is None else self._outlining(noise, given.hint, whole)
        rest = list(self._none)
        if given.likeness is not None:
            rest[-2:] = [given.likeness, torch.full_like(rest[-1], given.how.likeness)]
        run = self._run([noise, *places, *words.texts], bool(places))

        def predict(taken: Tensor, i: int) -> Tensor:
            told = list(rest)
            if outlined is not None:
                told[0] = outlined(taken, times[i], given.hint, *whole) * given.how.outline
            return run(taken, times[i], *places, *words.texts, *told)

        return predict

    def _carrying(self, words: Words, from_picture: bool) -> Between | None:
        """What carries the cells of a torn picture about; a picture that a dream begins from is torn with the rest."""
        if words.carried is None:
            return None
        moved = carrying(words.carried, self._around.ways, len(self._around.solver.timesteps))

        def between(i: int, history: list[Tensor]) -> list[Tensor]:
            picture, noise, *answers = history
            noise, picture, *answers = moved(i, [noise, picture, *answers])
            return [picture, noise, *answers]

        return between if from_picture else moved

    def _run(self, given: list[Tensor], torn: bool) -> Run:
        """The network for what is given: noise, shares if it is torn, and texts."""
        with self._lock:
            if torn not in self._runs:
                self._runs[torn] = self._made(given, torn)
            return self._runs[torn]

    def _made(self, given: list[Tensor], torn: bool) -> Run:
        network, played = self._network, None if torn else self._around.played

        def run(taken: Tensor, t: Tensor, *rest: Tensor) -> Tensor:
            if played is not None:
                return played(taken, t, *rest)
            assert network is not None
            return network(taken, t, *rest[1:], shares=rest[0]) if torn else network(taken, t, *rest)

        noise, *told = given
        places, texts = (told[:1], told[1:]) if torn else ([], told)
        one = [noise, *places, *texts, *self._none]
        other = [noise.flip(-1), *(p.flip(-1) for p in places), *(t.flip(0) for t in texts), *others(self._none)]
        return self._recorded(run, one, other, "network that pictures steer", played)

    def _outlining(self, noise: Tensor, hint: Tensor, texts: list[Tensor]) -> Run:
        """The ControlNet, for these."""
        with self._lock:
            if self._outlined is None:
                assert self._outline is not None
                one, other = [noise, hint, *texts], [noise.flip(-1), hint.flip(-1), *(t.flip(-1) for t in texts)]
                self._outlined = self._recorded(self._outline, one, other, "ControlNet")
                self._outline = None  # once recorded its weights are not kept twice
            return self._outlined

    def _recorded(self, run: Run, one: list[Tensor], other: list[Tensor], what: str, played: Run | None = None) -> Run:
        """As a recording, if it is none yet, and captured where there is a card, for inputs of these shapes, with the
        time after the first; or as it is."""
        recorder = self._around.recorder
        if not self._around.taped and recorder is None:
            return played or run
        times = self._around.solver.timesteps
        with torch.inference_mode(False), torch.no_grad():  # what is recorded counts how often a tensor was written
            first, last = (
                [tensors[0].clone(), t.clone().float(), *(tensor.clone() for tensor in tensors[1:])]
                for tensors, t in ((one, times[0]), (other, times[-1]))
            )
            if played is None and self._around.taped:
                played = tape.record(run, first, last, self._around.precision)
            run = played or run
            return replay.capture(run, first, last, recorder, what, self._around.precision) or run

    def _say_unheard(self, how: Asked) -> None:
        """Says once what a picture asks for that is not done."""
        made = self.pictures.makers
        if how.outline and "outline" not in made:
            say_once(self._said, "guide.outline does nothing without a ControlNet; name one in model.control")
        if how.likeness and "likeness" not in made:
            say_once(self._said, "guide.likeness does nothing without an IP-Adapter; name one in model.adapter")
        if how.strength and (self._starts is None or "latent" not in made):
            say_once(self._said, "guide.strength is not heard with this scheduler or decoder; name another, or none")


def others(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Numbers in place of those that add nothing, to try a recording out."""
    generator = torch.Generator("cpu").manual_seed(1)
    return [(torch.randn(t.shape, generator=generator) * 0.1).to(t) for t in tensors]
