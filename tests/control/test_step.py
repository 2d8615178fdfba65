"""What stands in cues and scores: times as people write them."""

import pytest

from engine.control.step import read_clock


@pytest.mark.parametrize(
    ("text", "seconds"), [("1:30", 90.0), ("2:00:00", 7200.0), ("0:01.5", 1.5), ("90:00", 5400.0), ("1:5", 65.0)]
)
def test_a_time_is_read_as_on_a_clock(text: str, seconds: float) -> None:
    assert read_clock(text) == seconds


@pytest.mark.parametrize("text", ["1:99", "1:60:00", "90", "-1:30", "1:+5", "1::5", ":5", "1:2:3:4", "١:٣٠", "1:nan"])
def test_what_no_clock_shows_is_no_time(text: str) -> None:
    assert read_clock(text) is None
