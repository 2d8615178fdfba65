"""Tempo: beats that go on, their speed tapped, set, or told by a MIDI clock.

    tempo = Tempo()
    tempo.tick(controls)                     # once a tick: takes tempo.tap and tempo.sync
    tempo.beats, tempo.beat_s                # counted from the show's beginning, never back; seconds

    clock = MidiClock()                      # a source of the conductor's
    clock.clock_pulse(time_s)                # 24 a beat, by whoever hears the device
    clock.drain()

However the tempo changes, the count of beats goes on from where it is; where the beat itself must move, because a tap
or the clock says so, it is caught up with at no more than half the speed on top, and nothing jumps. Tempo belongs to
the thread that runs the show's loop. The pulses of a MIDI clock come with the time of another thread: what they say
reaches the show as values of tempo.bpm and as tempo.sync, like all that comes from outside.
"""

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from engine.control.controls import Controls
from engine.control.presets import TICK_HZ
from engine.show.params import Value

BPM_LOW, BPM_HIGH = 20.0, 300.0
TAPS = 8  # intervals that count
TAP_REST_S = 60 / BPM_LOW  # a longer rest begins anew: the slowest beat there is
TAP_BOUNCE_S = 0.15  # two taps nearer than this are one
APART = 0.2  # share by which an interval may differ from the median; one that differs more was a slip
CATCH_UP_S = 0.25  # time constant in which a beat that is off is caught up with
CATCH_UP_MOST = 0.5  # share of the tempo by which it goes faster or slower meanwhile
PULSES = 24  # of a MIDI clock, a beat
PULSE_REST_S = 0.5  # a clock that was silent for so long starts anew
BPM_STEP = 0.002  # share by which a clock's tempo must differ to be told again


class Tempo:
    """See the module's head."""

    def __init__(self) -> None:
        self.beats = 0.0
        self.beat_s = 0.5
        self._ticks = 0
        self._taps: deque[int] = deque(maxlen=TAPS + 1)  # their ticks
        self._owed = 0.0  # beats that are still to be caught up with; below 0, to be waited for

    def tick(self, controls: Controls) -> None:
        """One tick."""
        self._ticks += 1
        while controls.take("tempo.tap"):
            self._tap(controls)
        if controls.take("tempo.sync"):
            self._owe()
        self.beat_s = 60.0 / float(controls["tempo.bpm"])
        step = 1.0 / (self.beat_s * TICK_HZ)
        most = CATCH_UP_MOST * step
        caught = min(max(self._owed / (CATCH_UP_S * TICK_HZ), -most), most)
        self._owed = self._owed - caught if abs(self._owed) > 1e-6 else 0.0
        self.beats += step + caught

    def to_dict(self) -> dict[str, Any]:
        """All of the state, JSON-able."""
        return {"beats": self.beats, "beat_s": self.beat_s, "ticks": self._ticks, "taps": list(self._taps),
                "owed": self._owed}  # fmt: skip

    def restore(self, data: Mapping[str, Any]) -> None:
        """Takes up where `to_dict` left it. Raises KeyError, TypeError or ValueError on damaged data."""
        taps = [int(t) for t in data["taps"]]
        self.beats, self.beat_s, self._owed = float(data["beats"]), float(data["beat_s"]), float(data["owed"])
        self._ticks, self._taps = int(data["ticks"]), deque(taps, maxlen=TAPS + 1)

    def _tap(self, controls: Controls) -> None:
        since_s = (self._ticks - self._taps[-1]) / TICK_HZ if self._taps else TAP_REST_S
        if self._taps and since_s < TAP_BOUNCE_S:
            return
        if since_s >= TAP_REST_S:
            self._taps.clear()
        self._taps.append(self._ticks)
        bpm = tapped_bpm([tick / TICK_HZ for tick in self._taps])
        if bpm is not None:
            controls.set("tempo.bpm", bpm)
            self._owe()

    def _owe(self) -> None:
        """The beat is here: the nearest whole one is caught up with, or waited for."""
        off = -self.beats % 1.0
        self._owed = off if off < 0.5 else off - 1.0


def tapped_bpm(times_s: Sequence[float]) -> float | None:
    """Beats a minute of taps: the mean of those intervals that are near their median; None for fewer than two taps."""
    gaps = [after - before for before, after in pairwise(times_s)]
    if not gaps:
        return None
    middle = median(gaps)
    near = [gap for gap in gaps if abs(gap - middle) <= APART * middle]
    mean = sum(near) / len(near) if near else middle  # of two that differ widely neither is near
    return min(max(60.0 / mean, BPM_LOW), BPM_HIGH)


class MidiClock:
    """Follows the pulses of a MIDI clock: a source that sets tempo.bpm, and once a beat says where the beat is.

    clock_pulse, start and stop may be called by any thread; drain by the show's.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: deque[float] = deque(maxlen=PULSES + 1)
        self._count = 0  # pulses since the start of the song
        self._told_bpm = 0.0
        self._beat = False  # a beat fell since the last drain

    def clock_pulse(self, time_s: float) -> None:
        """One of PULSES pulses a beat. time_s: when it came, by any steady clock."""
        with self._lock:
            if self._times and not 0.0 < time_s - self._times[-1] < PULSE_REST_S:
                self._times.clear()
            self._times.append(time_s)
            self._beat = self._beat or self._count % PULSES == 0
            self._count += 1

    def start(self) -> None:
        """The song begins: the next pulse is a beat."""
        with self._lock:
            self._count = 0

    def drain(self) -> list[tuple[str, Value]]:
        """What the clock says that is new."""
        with self._lock:
            times, beat = list(self._times), self._beat
            self._beat = False
        said: list[tuple[str, Value]] = []
        if len(times) > PULSES // 2:
            bpm = 60.0 * (len(times) - 1) / (PULSES * (times[-1] - times[0]))
            if BPM_LOW <= bpm <= BPM_HIGH and abs(bpm - self._told_bpm) > BPM_STEP * bpm:
                self._told_bpm = bpm
                said.append(("tempo.bpm", bpm))
        if beat:
            said += [("tempo.sync", 1.0), ("tempo.sync", 0.0)]
        return said
