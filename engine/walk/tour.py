"""The tour: an order in which every material comes round, as plain numbers at any phase.

Usage: `distances(seed, phase, round_length, loop, count)`, one number a material. Any process; no torch.

A round is `walk.round` phase units long and gives every material one stop. Stops differ in length, and the order
differs from round to round: it turns into another one, drawn from the seed, by neighbours trading places, as in
odd-even transposition sort (Habermann 1972). One pass moves nothing by more than one stop, so with two passes a round a
material comes again after at least count - 2 and at most count + 2 stops: never twice in a row, never missing for
long. Nothing is remembered from stop to stop, so any phase can be had without walking there.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

PASSES = 2  # a round, of the sort that turns one order into the next
UNEVEN = 0.25  # a stop is up to so much shorter or longer than usual: even ones tick like a slide show


def distances(seed: int, phase: float, round_length: float, loop: float, count: int) -> list[float] | None:
    """How far each material's nearest turn is, before or behind, in usual stops; 0 while it lasts.

    round_length: phase units. loop: 0, or the period, which takes a whole number of rounds; None where it is too
    short for one.
    """
    rounds = round(loop / round_length) if loop else 0
    if loop and not rounds:
        return None
    at = (phase / loop % 1.0 * rounds if loop else phase / round_length) + _start(seed)  # in rounds
    n = math.floor(at)
    at -= n
    far = [math.inf] * count
    for material, begins, ends in _stops(seed, n % rounds if rounds else n, rounds, count):
        far[material] = min(far[material], max(begins - at, at - ends, 0.0))
    return [d * count for d in far]


@lru_cache(maxsize=256)
def _stops(seed: int, n: int, rounds: int, count: int) -> tuple[tuple[int, float, float], ...]:
    """(material, from, to) of every stop of round n and of those beside it, in rounds since round n began."""
    stops = []
    for offset in (-1, 0, 1):
        r = n + offset
        order, lengths = _round(seed, count, r % rounds if rounds else r, rounds)
        ends = offset + np.cumsum(lengths) / lengths.sum()
        begins = [float(offset), *ends[:-1].tolist()]
        stops += list(zip(order.tolist(), begins, ends.tolist(), strict=True))
    return tuple(stops)


@lru_cache(maxsize=256)
def _start(seed: int) -> float:
    """Where in a round a walk begins, 0..1."""
    return float(_draws(seed, 0, 2).random())


@lru_cache(maxsize=1024)
def _round(seed: int, count: int, n: int, rounds: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Order of round n, and how long each of its stops is beside the usual. rounds: of the loop, 0 without one."""
    passes = min(PASSES, max(0, count - 2))
    span = math.ceil(count / passes) if passes else 1  # rounds in which any order becomes any other
    if rounds:
        spans = max(1, rounds // span)
        k = n * spans // rounds
        first, following = -(-k * rounds // spans), (k + 1) % spans
    else:
        k = n // span
        first, following = k * span, k + 1
    if not passes:
        k = following = 0
    place = np.argsort(_order(seed, count, following))  # where each is going
    order = _order(seed, count, k).copy()
    for step in range((n - first) * passes):
        for i in range(step % 2, count - 1, 2):
            if place[order[i]] > place[order[i + 1]]:
                order[i], order[i + 1] = order[i + 1], order[i]
    return order, 1.0 + UNEVEN * _draws(seed, n, 1).uniform(-1.0, 1.0, count)


def _order(seed: int, count: int, k: int) -> NDArray[np.intp]:
    return _draws(seed, k, 0).permutation(count)


def _draws(seed: int, n: int, what: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([seed, n % 2**32, what, 0x70A5]))
