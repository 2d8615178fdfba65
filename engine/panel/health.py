"""Whether the show is well, and its numbers for Prometheus.

    is_well, why = health(board)                 # why: sentences, empty while it is well
    content, media_type = metrics(board, looking=2)

For a watchdog: what counts is that pictures reach the stage and that new ones are dreamt. The event loop's thread.
"""

import time
from collections.abc import Iterator

from engine.panel.board import Board

SILENT_S = 5.0  # the stage tells how it is once a second
_COUNTERS = ("frames", "keyframes", "restarts", "osc_accepted", "osc_unknown", "osc_malformed", "osc_dropped")
_SAYS = {
    "frames": "Frames shown.",
    "keyframes": "Pictures dreamt.",
    "restarts": "Times the dreamer was started again.",
    "osc_accepted": "OSC messages that moved something.",
    "osc_unknown": "OSC messages for no address of the show.",
    "osc_malformed": "OSC messages that were none, or had no value that could be taken.",
    "osc_dropped": "OSC messages lost to a full queue.",
    "fps": "Frames a second on stage.",
    "keyframe_rate": "Pictures dreamt a second.",
    "stage_memory_bytes": "Memory of the stage's process.",
    "dreamer_memory_bytes": "Memory of the dreamer's process.",
    "uptime_seconds": "Since the show began.",
    "recording": "1 while a recording is made.",
    "healthy": "1 while all is well.",
    "panel_listeners": "Panels and OSCQuery clients that are connected.",
    "panel_looking": "Who looks at the live picture.",
}


def health(board: Board) -> tuple[bool, list[str]]:
    """Whether all is well, and why not."""
    if board.heard_at < 0:
        return False, ["the show is not there yet"]
    silent_s = time.monotonic() - board.heard_at
    if silent_s > SILENT_S:
        return False, [f"no word from the stage for {silent_s:.0f} s"]
    said = board.status.get("health", {})
    return bool(said.get("ok")), [str(why) for why in said.get("why", ())]


def metrics(board: Board, looking: int) -> tuple[bytes, str]:
    """The numbers in Prometheus' text format, and its media type."""
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector

    status = board.status
    counts = status.get("counts", {})
    numbers = {
        "fps": status.get("fps", 0.0),
        "keyframe_rate": status.get("keyframes", 0.0),
        "stage_memory_bytes": counts.get("stage_memory_bytes", 0),
        "dreamer_memory_bytes": counts.get("dreamer_memory_bytes", 0),
        "uptime_seconds": status.get("uptime_s", 0.0),
        "recording": status.get("recording", False),
        "healthy": health(board)[0],
        "panel_listeners": len(board.listeners),
        "panel_looking": looking,
    }

    class Numbers(Collector):
        def collect(self) -> Iterator[Metric]:
            for name in _COUNTERS:
                yield CounterMetricFamily(f"pedesis_{name}", _SAYS[name], float(counts.get(name, 0)))
            for name, value in numbers.items():
                yield GaugeMetricFamily(f"pedesis_{name}", _SAYS[name], float(value))

    registry = CollectorRegistry()
    registry.register(Numbers())
    return generate_latest(registry), CONTENT_TYPE_LATEST
