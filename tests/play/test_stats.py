"""What a run tells of itself: true figures, constant memory, a file that is whole or absent."""

import json
import logging
import os
import threading
from collections import deque
from pathlib import Path

import numpy as np
import pytest

from engine.control.osc import Counts
from engine.dreamer.process import DreamerStatus
from engine.play import stats


def status(**over: object) -> DreamerStatus:
    usual = {"keyframes": 3, "restarts": 1, "intervals_s": deque([0.1, 0.2, 0.3]), "first_keyframe_s": 2.5}
    return DreamerStatus(**{**usual, **over})  # type: ignore[arg-type]


def test_histogram_agrees_with_numpy() -> None:
    values = np.random.default_rng(0).gamma(2.0, 0.01, 20_000)
    histogram = stats.Histogram()
    for v in values:
        histogram.add(float(v))
    assert abs(histogram.mean_s - values.mean()) < 1e-9
    assert histogram.longest_s == values.max()
    for q in (0.5, 0.9, 0.99):
        assert abs(histogram.quantile(q) / np.quantile(values, q) - 1) < 0.02


def test_an_empty_run_reports_without_dividing_by_zero() -> None:
    report = stats.report(stats.Meter(), status(keyframes=0, intervals_s=deque(), first_keyframe_s=None), None)
    assert report["stage"]["fps_mean"] == 0.0 and report["dreamer"]["interval_mean_ms"] is None
    json.dumps(report)


def test_the_rate_in_the_help_is_of_now_and_that_in_the_report_of_the_whole_run() -> None:
    meter = stats.Meter()
    for n in range(1000):
        meter.frame(n / 60)
    for n in range(1, 200):
        meter.frame(1000 / 60 + n / 10)
    assert meter.fps == pytest.approx(10.0)
    mean = stats.report(meter, status(), None)["stage"]["fps_mean"]
    assert mean == pytest.approx(1199 / (1000 / 60 + 19.9), rel=0.01)


def test_report_has_every_promised_key() -> None:
    meter = stats.Meter()
    for n in range(100):
        meter.frame(n / 50 if n < 99 else 10.0)
    report = stats.report(meter, status(), Counts(accepted=5, dropped=2))
    assert set(report["stage"]) == {"frames", "fps_mean", "fps_p1", "longest_gap_ms", "first_picture_s"}
    assert set(report["dreamer"]) == {
        "keyframes", "interval_mean_ms", "interval_p99_ms", "first_keyframe_s", "restarts",
    }  # fmt: skip
    assert set(report["osc"]) == {"accepted", "unknown", "malformed", "dropped"}
    assert set(report["memory"]) == {"stage_peak_mb", "dreamer_peak_mb"}
    assert report["stage"]["frames"] == 100
    assert report["stage"]["longest_gap_ms"] == round((10.0 - 98 / 50) * 1e3, 2)
    assert report["dreamer"]["interval_mean_ms"] == 200.0
    assert report["osc"] == {"accepted": 5, "unknown": 0, "malformed": 0, "dropped": 2}
    assert report["memory"]["stage_peak_mb"] > 1


def test_write_replaces_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "stats.json"
    stats.write({"a": 1}, path)
    stats.write({"a": 2}, path)
    assert json.loads(path.read_text()) == {"a": 2}
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on Windows")
def test_a_pipe_is_written_into_and_one_that_nobody_reads_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "stats"
    os.mkfifo(pipe)
    stats.check(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    stats.write({"frames": 1}, pipe)
    reader.join()
    assert json.loads(got[0]) == {"frames": 1} and pipe.is_fifo() and list(tmp_path.iterdir()) == [pipe]
    monkeypatch.setattr("engine.play.stats.ENDING_S", 0.05)
    with pytest.raises(TimeoutError, match="no answer"):
        stats.write({"frames": 2}, pipe)


def test_a_link_stays_a_link_and_a_folder_that_is_made_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    link = tmp_path / "latest.json"
    link.symlink_to(tmp_path / "stast" / "today.json")
    stats.check(link)
    stats.write({"frames": 1}, link)
    assert link.is_symlink() and json.loads(link.read_text()) == {"frames": 1}
    assert caplog.messages == [f"made the folder {tmp_path / 'stast'}"]


def test_a_name_as_long_as_the_file_system_takes_is_a_name(tmp_path: Path) -> None:
    path = tmp_path / ("Ω" * 120 + ".json")
    stats.check(path)
    assert not list(tmp_path.iterdir())
    stats.write({"frames": 1}, path)
    assert list(tmp_path.iterdir()) == [path]
