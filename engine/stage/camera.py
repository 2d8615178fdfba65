"""The camera of the shelves: drifting along the aisle, and in and out of one sphere.

Usage: `glide = Glide(); glide.step(dt_s, length); pose = blended(out_of(home), glide.pose(), 0.4); pose.seen(points)`.
Numbers only: numpy, no OpenGL.
"""

import math
from dataclasses import dataclass

import numpy as np

from engine.stage.shelving import FRONT, world

SPEED = 1.5  # diameters of a sphere a second, at a glide of 1
BEHIND = 7.0  # how far before the front it turns round
NEAREST = -6.0  # of a bank that holds little: it stays before it
GROW = 0.6  # as the bank grows the way gets longer by so much a second, at most

Vector = np.ndarray  # (3,)


@dataclass(frozen=True)
class Pose:
    """Where the camera stands and what it looks at, in the world's coordinates."""

    eye: Vector
    target: Vector

    def axes(self) -> np.ndarray:
        """(3, 3) rows: right, up, ahead."""
        ahead = self.target - self.eye
        ahead = ahead / max(float(np.linalg.norm(ahead)), 1e-6)
        right = np.cross(np.array([0.0, 1.0, 0.0]), ahead)
        right = right / max(float(np.linalg.norm(right)), 1e-6)
        return np.stack([right, np.cross(ahead, right), ahead])

    def seen(self, points: np.ndarray) -> np.ndarray:
        """(n, 3) world -> (n, 3) right, up and ahead of the camera."""
        return (points - self.eye.astype(np.float32)) @ self.axes().astype(np.float32).T


def at(s: float, aside: float, height: float) -> Vector:
    """One place in the world."""
    return world(np.array([[s, aside, height]], np.float32))[0].astype(float)


class Glide:
    """The drift along the shelves: to the far end and back, never twice at the same height, angle and side."""

    def __init__(self) -> None:
        self._way = 0.0  # part of the round trip, 0 to 1
        self._span = 0.0
        self._time_s = 0.0

    def start(self, s: float, length: float, time_s: float) -> None:
        """Begin beside that place. time_s: what the sway is counted from."""
        self._span = self._goal(length)
        self._way = math.acos(1.0 - 2.0 * min(max((s - 5.0 - self._low) / self._span, 0.0), 0.8)) / (2.0 * math.pi)
        self._time_s = time_s

    def step(self, dt_s: float, length: float, glide: float) -> None:
        """One frame on, for a bank of that length. glide: 1 is its usual speed."""
        self._span += min(max(self._goal(length) - self._span, -GROW * dt_s), GROW * dt_s)
        self._way = (self._way + glide * dt_s * SPEED / (2.0 * self._span)) % 1.0
        self._time_s += dt_s * min(glide, 1.0)

    def pose(self) -> Pose:
        """Where it is now."""
        t = self._time_s
        s = self._low + self._span * (0.5 - 0.5 * math.cos(2.0 * math.pi * self._way))
        aside = 1.5 * _wave(t, 41.0, 0.0)
        height = 2.0 * _wave(t, 67.0, 0.25)
        turn = 0.66 * _wave(t, 34.0, 0.05)  # from one wall to the other
        reach = 8.0
        look_s, look_aside = s + reach * math.cos(turn), aside * 0.6 + reach * math.sin(turn) * 0.75
        return Pose(at(s, aside, height), at(look_s, look_aside, height + 1.1 * _wave(t, 47.0, 0.6)))

    _low = FRONT - BEHIND

    def _goal(self, length: float) -> float:
        return max(0.75 * length - 8.0, NEAREST) - self._low


def out_of(home: Vector, facing: Vector, distance: float) -> Pose:
    """Before one sphere. facing: unit vector from it to the camera."""
    return Pose(home + facing * distance, home)


def blended(near: Pose, far: Pose, part: float) -> Pose:
    """From one to the other, part 0 to 1."""
    return Pose(near.eye + (far.eye - near.eye) * part, near.target + (far.target - near.target) * part)


def _wave(time_s: float, period_s: float, phase: float) -> float:
    # Two periods that share no measure.
    turn = 2.0 * math.pi * (time_s / period_s + phase)
    return 0.72 * math.sin(turn) + 0.28 * math.sin(turn * 0.381966 * 1.7 + 1.3)
