"""How a running show is doing, in numbers: for controllers, the panel, watchdogs and Prometheus.

    watch = StatusWatch(now_s)
    watch.look(player, now_s)            # a dictionary of plain values; once a second is enough

The stage's thread. Nothing here waits, and nothing here moves the show.
"""

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.play.live import Player

LOADING_S = 600.0  # a large model is read from a slow disk for minutes
RESTARTING_S = 60.0
WINDOW_S = 4.0  # over which the rate of pictures is counted
SLOWEST_FPS = 1.0


class StatusWatch:
    """See the module's head. It remembers what a rate needs, and since when the dreamer has been in trouble."""

    def __init__(self, now_s: float) -> None:
        self._begun_s = now_s
        self._counted: deque[tuple[float, int]] = deque()  # when, and how many pictures there were
        self._state = ("", now_s)  # of the dreamer, and since when

    def look(self, player: "Player", now_s: float) -> dict[str, Any]:
        """The numbers as they are now."""
        dreamer, conductor, osc = player.dreamer.status, player.conductor, player.osc
        if dreamer.state != self._state[0]:
            self._state = dreamer.state, now_s
        recording, counts = player.capture.recording, osc.counts if osc else None
        at = player.playing.remember.at
        return {
            "fps": round(player.meter.fps, 1),
            "keyframes": round(self._rate(dreamer.keyframes, now_s), 2),
            "phase": round(conductor.navigator.phase, 3),
            "recording": recording is not None and recording.own_size,
            "take": player.capture.taking is not None and player.capture.taking.is_going,
            "uptime_s": round(now_s - self._begun_s, 1),
            "visiting": "" if at is None else f"memory {at}",
            "blackout": bool(conductor["stage.blackout"]),
            "dreamer": dreamer.state,
            "cue": conductor.automation.cues.status,
            "cue_place": conductor.automation.cues.place,
            "health": self._health(player, now_s),
            "counts": {
                "frames": player.meter.frames,
                "keyframes": dreamer.keyframes,
                "restarts": dreamer.restarts,
                "stage_memory_bytes": int(player.meter.peak_mb * 2**20),
                "dreamer_memory_bytes": int(dreamer.rss_mb * 2**20),
                **{f"osc_{name}": value for name, value in (vars(counts) if counts else {}).items()},
            },
        }

    def _rate(self, keyframes: int, now_s: float) -> float:
        """Pictures dreamt a second, lately."""
        self._counted.append((now_s, keyframes))
        while len(self._counted) > 2 and now_s - self._counted[1][0] >= WINDOW_S:
            self._counted.popleft()
        then_s, before = self._counted[0]
        return max(keyframes - before, 0) / (now_s - then_s) if now_s > then_s else 0.0

    def _health(self, player: "Player", now_s: float) -> dict[str, Any]:
        dreamer, since_s = player.dreamer.status, now_s - self._state[1]
        why = []
        if dreamer.state == "failed":
            why.append(f"the dreamer has failed: {dreamer.message}")
        elif dreamer.state == "restarting" and since_s > RESTARTING_S:
            why.append(f"the dreamer has been gone for {since_s:.0f} s: {dreamer.message}")
        elif dreamer.state in ("starting", "loading") and since_s > LOADING_S:
            why.append(f"the model has been loading for {since_s:.0f} s")
        if player.meter.frames > 60 and player.meter.fps < SLOWEST_FPS:
            why.append(f"the stage shows {player.meter.fps:.2f} frames a second")
        return {"ok": not why, "why": why}
