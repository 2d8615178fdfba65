"""What a run measured of itself: one JSON object at the end of it, and the lines of the help overlay.

Usage: `meter = Meter()`; `meter.frame(now_s)` each frame; `report(meter, dreamer status, osc counts)`.
Stage thread. Memory is constant however long the show runs.
"""

import errno
import json
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from engine.control.osc import Counts
from engine.dreamer.process import DreamerStatus
from engine.show.files import ENDING_S, draft_of, in_time, is_special, make_folder, write_whole

_BINS = np.geomspace(1e-4, 100.0, 1201)  # seconds; 1.2% wide, finer than any figure quoted from it
_MEMORY_EVERY_S = 1.0
RECENT = 120  # frames


class Histogram:
    """Durations in seconds, kept as counts: mean and maximum exact, quantiles within 1.2%."""

    def __init__(self) -> None:
        self._counts = np.zeros(len(_BINS) + 1, dtype=np.int64)
        self.count = 0
        self.total_s = 0.0
        self.longest_s = 0.0

    def add(self, seconds: float) -> None:
        self._counts[int(np.searchsorted(_BINS, seconds))] += 1
        self.count += 1
        self.total_s += seconds
        self.longest_s = max(self.longest_s, seconds)

    def quantile(self, q: float) -> float:
        """The duration that a share q of all does not exceed; 0 when there is none."""
        if not self.count:
            return 0.0
        i = int(np.searchsorted(np.cumsum(self._counts), q * self.count))
        return min(float(_BINS[min(i, len(_BINS) - 1)]), self.longest_s)

    @property
    def mean_s(self) -> float:
        return self.total_s / self.count if self.count else 0.0


class Meter:
    """The stage's own clockwork: frames, gaps between them, memory."""

    def __init__(self) -> None:
        self.gaps = Histogram()
        self._recent_s: deque[float] = deque(maxlen=RECENT)
        self.frames = 0
        self.first_picture_s: float | None = None
        self.peak_mb = 0.0
        self._last: float | None = None
        self._memory_at = -1.0
        self._process = psutil.Process()

    def frame(self, now_s: float) -> None:
        """Counts one shown frame; now_s of any monotonic clock."""
        if self.first_picture_s is None:
            self.first_picture_s = max(0.0, time.time() - self._process.create_time())
        if self._last is not None:
            self.gaps.add(now_s - self._last)
            self._recent_s.append(now_s - self._last)
        self._last = now_s
        self.frames += 1
        if now_s - self._memory_at >= _MEMORY_EVERY_S:
            self._memory_at = now_s
            self.peak_mb = max(self.peak_mb, self._process.memory_info().rss / 2**20)

    @property
    def fps(self) -> float:
        """Of the last RECENT frames: what an eye sees, where the mean of a month tells nothing."""
        spent_s = sum(self._recent_s)
        return len(self._recent_s) / spent_s if spent_s else 0.0


def report(meter: Meter, dreamer: DreamerStatus, osc: Counts | None) -> dict[str, Any]:
    """Everything measured, as the nested object that --stats writes."""
    intervals = np.asarray(dreamer.intervals_s, dtype=np.float64) * 1e3
    p99_gap = meter.gaps.quantile(0.99)
    return {
        "stage": {
            "frames": meter.frames,
            "fps_mean": round(1.0 / meter.gaps.mean_s, 2) if meter.gaps.mean_s else 0.0,
            "fps_p1": round(1.0 / p99_gap, 2) if p99_gap else 0.0,
            "longest_gap_ms": round(meter.gaps.longest_s * 1e3, 2),
            "first_picture_s": _rounded(meter.first_picture_s),
        },
        "dreamer": {
            "keyframes": dreamer.keyframes,
            "interval_mean_ms": round(float(intervals.mean()), 2) if intervals.size else None,
            "interval_p99_ms": round(float(np.percentile(intervals, 99)), 2) if intervals.size else None,
            "first_keyframe_s": _rounded(dreamer.first_keyframe_s),
            "restarts": dreamer.restarts,
        },
        "osc": {k: getattr(osc, k) if osc else 0 for k in ("accepted", "unknown", "malformed", "dropped")},
        "memory": {
            "stage_peak_mb": round(meter.peak_mb, 1),
            "dreamer_peak_mb": round(dreamer.peak_rss_mb, 1),
        },
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def check(path: Path) -> None:
    """Whether `write` could write there now; makes the folder. Raises OSError, also when the disk does not answer."""
    in_time(lambda: _check(path))


def _check(path: Path) -> None:
    if is_special(path):
        return
    path = path.resolve()  # what a link points to: the link stays
    make_folder(path.parent)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    draft = draft_of(path)
    draft.touch()
    draft.unlink()


def write(stats: dict[str, Any], path: Path) -> None:
    """Writes the object whole or not at all; into a pipe as it is. Raises OSError, also when nobody reads the pipe."""
    in_time(lambda: _write(json.dumps(stats, indent=2) + "\n", path), ENDING_S)


def _write(text: str, path: Path) -> None:
    if is_special(path):
        path.write_text(text, encoding="utf-8")
        return
    path = path.resolve()
    make_folder(path.parent)
    write_whole(path, text)
