"""Clocks: real time that never goes back, lockstep time that never drifts."""

from fractions import Fraction

import pytest

from engine.control.clock import Clock, LockstepClock, RealClock


def test_real_clock_counts_from_its_making() -> None:
    readings = iter([100.0, 100.0, 101.5, 103.0])
    clock = RealClock(monotonic=lambda: next(readings))
    assert [clock.now() for _ in range(3)] == [0.0, 1.5, 3.0]


def test_real_clock_moves_by_itself() -> None:
    clock: Clock = RealClock()
    first = clock.now()
    assert 0 <= first <= clock.now() < 60


def test_lockstep_moves_only_when_told() -> None:
    clock: Clock = LockstepClock(30)
    assert clock.now() == clock.now() == 0.0


@pytest.mark.parametrize("fps", [24, 25, 30, 60, Fraction(24000, 1001), 29.97])
def test_lockstep_is_exact_after_ten_hours(fps: float | Fraction) -> None:
    clock = LockstepClock(fps)
    frames = 36_000 * 30
    clock.frame = frames - 1
    clock.advance()
    assert clock.now() == float(Fraction(frames) / Fraction(fps))


def test_lockstep_does_not_accumulate_error() -> None:
    clock = LockstepClock(30)
    for _ in range(30 * 600):
        clock.advance()
    assert clock.now() == 600.0  # adding 1/30 that often ends 2e-11 beside it


def test_lockstep_takes_up_where_a_film_stopped() -> None:
    clock = LockstepClock(25, frame=90_000)
    assert clock.now() == 3600.0


@pytest.mark.parametrize("fps", [0, -30, float("nan")])
def test_lockstep_needs_a_frame_rate(fps: float) -> None:
    with pytest.raises(ValueError, match="above 0, got"):
        LockstepClock(fps)
