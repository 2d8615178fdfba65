"""What a file says of a place, read strictly: numbers in their ranges, lists no longer than a show makes them.

    points = points_from(data["points"], loop)

All raise KeyError, TypeError or ValueError on damaged data. Any process; no torch.
"""

import math
from typing import Any

from engine.show.params import SEED_MAX, shown
from engine.walk.mix import MAX_MIX
from engine.walk.waypoint import SHEETS, Liquid, Point, Sheet, Wording, normalise

MAX_POINTS = 256
MAX_WORDINGS = 32
FARTHEST = 1e12


def points_from(data: Any, loop: float) -> tuple[Point, ...]:
    """The points of a noise."""
    points = tuple(
        Point(whole(p["seed"]), number(p["phase"]), number(p["pedesis"], 0, 1), number(p["gain"]))
        for p in few(data, MAX_POINTS)
    )
    normalise(points, loop)
    return points


def wordings_from(data: Any, least: int = 1) -> tuple[Wording, ...]:
    """What is said."""
    return tuple(
        Wording(id_from(w["palette"]), weights_from(w["weights"]), number(w["share"], 0, 1))
        for w in few(data, MAX_WORDINGS, least)
    )


def liquid_from(data: Any, loop: float) -> Liquid | None:
    """How a picture is torn; None where it is whole."""
    if data is None:
        return None
    sheets = tuple(
        Sheet(points_from(sheet["points"], loop), wordings_from(sheet["words"]))
        for sheet in few(data["sheets"], SHEETS)
    )
    return Liquid(number(data["amount"], 0, 1), points_from(data["points"], loop), sheets, number(data["drawn"], 0, 1))


def few(items: Any, most: int, least: int = 1) -> Any:
    if not isinstance(items, list | tuple) or not least <= len(items) <= most:
        raise ValueError(f"a place needs a list of {least} to {most}, got {shown(items)}")
    return items


def number(value: Any, low: float = -FARTHEST, high: float = FARTHEST) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"a place needs a number, got {shown(value)}")
    if not low <= value <= high:
        raise ValueError(f"a place needs a number from {low:g} to {high:g}, got {shown(value)}")
    return float(value)


def whole(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError(f"a place needs a whole number, got {shown(value)}")
    number(value, 0, SEED_MAX)
    return value


def id_from(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 64:
        raise TypeError(f"a place needs a palette's id, got {shown(value)}")
    return value


def weights_from(items: Any) -> tuple[float, ...]:
    weights = tuple(number(w, 0, 1) for w in few(items, 4 * MAX_MIX))
    if not math.isclose(sum(weights), 1.0, abs_tol=1e-6):
        raise ValueError(f"a place needs weights that sum to 1, got {sum(weights):g}")
    return weights
