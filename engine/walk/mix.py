"""Shares of what is wanted and of what it takes the place of: how a seed, home, palette or place gives way to the next.

    mix = {old: 1.0}
    mix = turned(mix, new, time_s=2.0)      # once a tick
    heard(mix)                              # what of it counts

Plain numbers, any process.
"""

import math
from collections.abc import Hashable, Mapping
from typing import TypeVar

TICK_HZ = 120
TICK_S = 1.0 / TICK_HZ
QUICKEST_S = 0.05  # shortest time constant of a blend: a tenth of a second is one picture of a quick dreamer
MAX_MIX = 4  # that may be blending into one another at once
FAINT = 0.01  # a share that is no longer heard, so that one that goes or comes makes no step
RISEN = 0.1  # share the newest has before the next may follow, or in a flood none would ever be heard

Kind = TypeVar("Kind", bound=Hashable)


def turned(mix: Mapping[Kind, float], wanted: Kind, time_s: float) -> dict[Kind, float]:
    """Shares one tick on: what is wanted rises, the others fade, over about `time_s` seconds.

    mix: share of each, the newest last. Nothing goes before it is FAINT, so where too many are fading, or the
    newest has hardly begun, what is wanted waits; it may change meanwhile, and the last one always arrives.
    """
    newest = next(reversed(list(mix)))
    if wanted not in mix and (len(mix) >= MAX_MIX or mix[newest] < RISEN):
        wanted = newest
    if list(mix) == [wanted]:
        return dict(mix)
    step = 1 - math.exp(-TICK_S / max(QUICKEST_S, time_s / 3))
    left = {k: v * (1 - step) for k, v in mix.items() if k != wanted}
    left = {k: v for k, v in left.items() if v > FAINT}
    share = mix.get(wanted, 0.0)
    return left | {wanted: share + (1 - share) * step if left else 1.0}


def heard(mix: Mapping[Kind, float]) -> dict[Kind, float]:
    """How much of each is heard: its share above FAINT, so that it comes and goes without a step."""
    return {k: v - FAINT for k, v in mix.items() if v > FAINT}
