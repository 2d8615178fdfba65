"""How much each material is in the picture: wander, dwell, tour and the faders in one formula.

Usage: `material_weights({seed: 1.0}, phase, Going(wander=3.5, dwell=1.0, tour=1.0), faders, loop)`.
Any process; no torch.

    w_i ~ ( b_i^(1 + t / 2) exp(wander e_i) )^(1 + 3 d),      e_i = (1 - t) g_i + t (LEAD m_i + WHIM tanh g_i)

g_i: scalar walks of the same family as the latent one, which drift on their own. m_i: how near its turn is on the tour,
at most 1 (see tour.py and _turns). b_i: the faders. t, d: `walk.tour` and `walk.dwell`; below wander 1 both fade out
along with it, so that at wander 0 the mixture stands still and is the faders' own. With tour and dwell at 0 it is
softmax(wander g + log b).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from engine.walk import tour
from engine.walk.spectrum import K, coefficients
from engine.walk.waypoint import Point

MATERIAL_PACE = 0.4  # materials drift slower than shapes: a place is stayed in for a few forms of it
FADER_FOOT = 0.25  # below here a material's fader falls away by ratios,
FADER_FLOOR = 1e-6  # to this: the sum stays off zero when every fader is down, and the change to that continuous
SHARPEST = 3.0  # at full dwell the weights are taken to the power of 1 + this, and newly normalised
LEAD = 0.9  # of the material whose turn it is over those that are far off, in units of g
HAND = 0.5  # the faders count by so much more on a full tour, where the lead is larger than chance usually gives
WHIM = 0.05  # of the drift is left on a full tour: stops begin sooner or later, but none is missed
REACH = 1.0  # usual stops: how far from its turn a material is felt
FAR, FARTHEST = 0.1, 5.0  # what each stop beyond counts against it, and how many count
TURN_FROM, TURN_FULL = 0.2, 0.6  # of the loudest fader: where a material begins to have turns, and has whole ones


@dataclass(frozen=True)
class Going:
    """How the walk goes about the materials: the parameters of those names."""

    wander: float = 2.0
    dwell: float = 0.0
    tour: float = 0.0
    round_length: float = 16.0  # phase units


def material_weights(
    voices: Mapping[int, float], phase: float, going: Going, faders: Sequence[float], loop: float
) -> tuple[float, ...]:
    """The weights w of the formula above, summing to 1.

    voices: share of each seed. faders: 0..1 a material; with all of them at 0 every one counts the same.
    """
    here = coefficients(Point(0, phase if loop else phase * MATERIAL_PACE, 0.0, 1.0), loop)
    norm = math.sqrt(sum(v * v for v in voices.values()))
    lean = [sum(v * float(here @ _scalar_basis(s, i)) for s, v in voices.items()) / norm for i in range(len(faders))]
    alive = min(1.0, going.wander)
    power, touring = 1 + SHARPEST * going.dwell * alive, going.tour * alive
    turns = _turns(voices, phase, going.round_length, faders, loop) if touring else None
    if turns is None:
        touring = 0.0
    else:
        lean = [
            (1 - touring) * g + touring * (LEAD * m + WHIM * math.tanh(g)) for g, m in zip(lean, turns, strict=True)
        ]
    top = max(lean)
    if power == 1.0 and not touring:
        w = [_drawn(b) * math.exp(going.wander * (x - top)) for b, x in zip(faders, lean, strict=True)]
    else:
        times = power * (1 + HAND * touring)
        logs = [_log_drawn(b, times) + power * going.wander * (x - top) for b, x in zip(faders, lean, strict=True)]
        most = max(logs)
        w = [math.exp(x - most) for x in logs]
    total = sum(w)
    return tuple(x / total for x in w)


def _turns(
    voices: Mapping[int, float], phase: float, round_length: float, faders: Sequence[float], loop: float
) -> list[float] | None:
    """m of the formula, over all seeds; None where the loop is too short for a tour.

    1 where it is a material's turn, 0 from REACH stops away, along (1 - y)^2: where one turn ends and the next begins,
    the difference of both passes zero at an even pace. A fader that is low beside the loudest takes the turn away; the
    materials whose turns come before and after it then meet half-way, for beyond REACH the nearer one is ahead too.
    """
    loudest = max(FADER_FLOOR, max(faders))
    whole = [_eased((max(b, FADER_FLOOR) / loudest - TURN_FROM) / (TURN_FULL - TURN_FROM)) for b in faders]
    total = sum(voices.values())
    turns = [0.0] * len(faders)
    for seed, share in voices.items():
        away = tour.distances(seed, phase, round_length, loop, len(faders))
        if away is None:
            return None
        near = [c * max(0.0, 1.0 - d / REACH) ** 2 - FAR * min(d, FARTHEST) for c, d in zip(whole, away, strict=True)]
        turns = [m + x * share / total for m, x in zip(turns, near, strict=True)]
    return turns


def _eased(x: float) -> float:
    """0 to 1 as x goes from 0 to 1, without a kink at either end."""
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


@lru_cache(maxsize=256)
def _scalar_basis(seed: int, index: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64([seed, index, 0x9ED5])).standard_normal(2 * K)


def _drawn(fader: float) -> float:
    """How much a fader counts: itself, and below FADER_FOOT by equal ratios down to FADER_FLOOR at 0.

    Where wander favours a material ten-thousandfold, the last hundredths of a straight fader on its way to 0 still
    outweighed all the others: a material that was taken out stayed for eight seconds.
    """
    if fader >= FADER_FOOT:
        return fader
    return FADER_FOOT * (FADER_FLOOR / FADER_FOOT) ** (1 - max(fader, 0.0) / FADER_FOOT)


def _log_drawn(fader: float, times: float) -> float:
    """Log of what a fader that counts `times` times is worth: times log b, and the foot the less, the more often.

    b to a high power falls fast enough by itself; with the foot taken to that power too, a fader moved up brought its
    material in with one jump.
    """
    b = max(fader, FADER_FLOOR)
    return times * math.log(b) + math.log(_drawn(fader) / b) / times
