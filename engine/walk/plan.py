"""Where a film puts its keyframes: on frames, close enough that the crossfade between them is true.

Usage: `for waypoint in keyframes(waypoints, gap): ...`. Any process; plain numbers.

The design measured a linear crossfade against the true in-between dreams: 47 dB at 0.2 correlation lengths
between keyframes, 37 dB at 0.4. So a film's keyframes are as far apart as `film.gap` allows and no farther,
every frame where the change is fast.
"""

from collections.abc import Iterator

from engine.walk.waypoint import Waypoint, distance

LONGEST_S = 2.0  # even a walk that stands still gets a keyframe this often, so that work goes on evenly


def keyframes(waypoints: Iterator[Waypoint], gap: float) -> Iterator[Waypoint]:
    """Picks from the waypoints of all frames those to dream: the first, the last, and as few as `gap` allows.

    gap: the largest `navigator.distance` between neighbours (neighbouring frames may be farther apart).
    At a jump both sides of it are picked.
    """
    if gap <= 0:
        raise ValueError(f"gap must be above 0, got {gap}")
    placed = last = next(waypoints, None)
    if placed is None or last is None:
        return
    yield placed
    for here in waypoints:
        leap = here.epoch != last.epoch
        far = distance(placed, here) > gap or here.time_s - placed.time_s > LONGEST_S
        if (leap or far) and last is not placed:
            placed = last
            yield placed
        if leap:
            placed = here
            yield placed
        last = here
    if last is not placed:
        yield last
