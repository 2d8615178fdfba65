"""Sound into addresses: how loud it is, in three bands too, and when a sound begins.

    analyser = Analyser(48000)
    analyser.feed(block)        # float32 samples (n,) or (n, channels), -1 to 1: [("sound:level", (0.4,)), ...]

Levels run from 0, the room as it is when nobody speaks, to 1, its loud moments: each follows its own quietest and
loudest, slowly, so that no microphone needs to be set. Pure, and a function of the samples alone; any one thread.

Latency: a window of WINDOW samples, looked at every HOP: at 48 kHz what sounds now begins to show after 11 ms, onsets
too, and shows fully after 21 ms. To this comes what the sound card keeps back, about two of its blocks.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from engine.control.heard import Heard

WINDOW, HOP = 1024, 512  # samples
BANDS_HZ = {"level": (30.0, 16000.0), "low": (30.0, 200.0), "mid": (200.0, 2000.0), "high": (2000.0, 16000.0)}
ATTACK_S, RELEASE_S = 0.015, 0.2  # how fast a level goes up and comes down: fast enough to see a clap, slow to fall
MARGIN_DB = 4.0  # noise goes up and down by this much
SPAN_DB = 24.0  # the least between quiet and loud, or a whisper in a quiet room would count as a shout
SILENCE_DB = -80.0  # what is below it is a microphone that is off
SETTLE_S = 3.0  # at first the quietest and loudest are found quickly
ONSET_HELD_S = 0.06  # how long an onset is 1
ONSET_APART_S = 0.09  # no two are nearer than this: 11 a second, a fast roll
_FLUX_S = 0.7  # past that an onset is compared with
_FLUX_LEAST = 0.02  # an onset's flux, whatever the past was
_PER_OCTAVE = 6
_SQUEEZE = 1000.0  # log(1 + γ|X|): what is quiet counts too (Müller, Fundamentals of Music Processing, 6.1)


class Analyser:
    """See the module's head."""

    def __init__(self, rate_hz: float, gain_db: float = 0.0) -> None:
        """gain_db: amplifies before anything is measured, for a microphone that is far too quiet."""
        self.rate_hz = rate_hz
        self._hop_s = HOP / rate_hz
        self._gain = 10 ** (gain_db / 20)
        self._window = np.hanning(WINDOW).astype(np.float32)
        # A full sine's power is then a half, as it is without a window (Parseval; both halves of the spectrum).
        self._scale = 2 / (WINDOW * float(np.sum(self._window**2)))
        frequencies = np.fft.rfftfreq(WINDOW, 1 / rate_hz)
        self._bands = {name: _bins(frequencies, low, high) for name, (low, high) in BANDS_HZ.items()}
        self._levels = {name: _Level(self._hop_s) for name in BANDS_HZ}
        edges = np.geomspace(40.0, min(16000.0, rate_hz / 2), _PER_OCTAVE * 9)
        self._edges = np.unique(np.searchsorted(frequencies, edges).clip(1, len(frequencies) - 1))
        self._onsets = _Onsets(self._hop_s)
        self._kept = np.zeros(WINDOW - HOP, np.float32)

    def feed(self, block: NDArray[np.float32]) -> list[Heard]:
        """What is new: the levels as of the end of the block, and onsets that began or ended in it."""
        mono = block.mean(axis=1) if block.ndim == 2 else block  # (n, channels) to (n,)
        mono = np.nan_to_num(np.asarray(mono, np.float32), nan=0.0, posinf=1.0, neginf=-1.0)
        samples = np.concatenate([self._kept, np.clip(mono * self._gain, -1.0, 1.0)])
        heard: list[Heard] = []
        at = 0
        while at + WINDOW <= len(samples):
            heard += self._look(samples[at : at + WINDOW])
            at += HOP
        self._kept = samples[at:]
        if at:
            heard += [(f"sound:{name}", (round(level.value, 4),)) for name, level in self._levels.items()]
        return heard

    @property
    def is_still(self) -> bool:
        """Whether every level has come down to 0."""
        return all(level.value < 1e-3 for level in self._levels.values())

    def _look(self, samples: NDArray[np.float32]) -> list[Heard]:
        power = np.square(np.abs(np.fft.rfft(samples * self._window))) * self._scale
        for name, bins in self._bands.items():
            self._levels[name].step(10 * float(np.log10(power[bins].sum() + 1e-12)))
        # In narrow bands of equal musical width, or a single note would be lost among hundreds of bins.
        narrow = np.sqrt(np.add.reduceat(power, self._edges))
        squeezed = np.log1p(_SQUEEZE * narrow) / np.log(1 + _SQUEEZE)
        return self._onsets.step(squeezed, self._levels["level"].above_noise)


class _Level:
    """One level in a room: decibels between its quietest and loudest of late, as 0 to 1."""

    def __init__(self, hop_s: float) -> None:
        self.value = 0.0
        self._hop_s = hop_s
        self._time_s = 0.0
        self._quiet_db = self._loud_db = SILENCE_DB
        self._mean_db: float | None = None
        self._attack = 1 - np.exp(-hop_s / ATTACK_S)
        self._release = 1 - np.exp(-hop_s / RELEASE_S)

    def step(self, level_db: float) -> None:
        level_db = max(level_db, SILENCE_DB)
        self._time_s += self._hop_s
        self._follow(level_db)
        target = (level_db - self._quiet_db - MARGIN_DB) / (self._loud_db - self._quiet_db - MARGIN_DB)
        target = min(max(target, 0.0), 1.0)
        self.value += (target - self.value) * (self._attack if target > self.value else self._release)

    @property
    def above_noise(self) -> bool:
        """Whether there is more than the room itself."""
        return self._mean_db is not None and self._level_db > self._quiet_db + MARGIN_DB + 2

    def _follow(self, level_db: float) -> None:
        """Quiet goes down at once and up by 0.3 dB a second; loud the other way round, down by 0.5."""
        self._level_db = level_db
        if self._mean_db is None:
            self._mean_db = self._quiet_db = level_db
            self._loud_db = level_db + SPAN_DB
        # Over a third of a second: noise dips for a moment far below what it is.
        self._mean_db += (level_db - self._mean_db) * min(self._hop_s / 0.3, 1.0)
        settling = self._time_s < SETTLE_S
        up_db, down_db = (10.0, 4.0) if settling else (0.3, 0.5)
        below = self._mean_db - self._quiet_db
        self._quiet_db += below * min(self._hop_s / 0.3, 1.0) if below < 0 else min(below, up_db * self._hop_s)
        above = level_db - self._loud_db
        self._loud_db += above * min(self._hop_s / 0.05, 1.0) if above > 0 else max(above, -down_db * self._hop_s)
        self._loud_db = max(self._loud_db, self._quiet_db + SPAN_DB)


class _Onsets:
    """When sounds begin: peaks of the spectral flux above an adaptive threshold.

    Flux against the greatest of three neighbouring bands two hops earlier, so that a voice's vibrato is no onset
    (Böck and Widmer, Maximum filter vibrato suppression for onset detection, DAFx 2013). A peak must stand above the
    median of the last moments by several times their usual deviation from it.
    """

    def __init__(self, hop_s: float) -> None:
        self._hop_s = hop_s
        self._past: deque[NDArray[np.float64]] = deque(maxlen=2)
        self._flux: deque[float] = deque(maxlen=max(8, round(_FLUX_S / hop_s)))
        self._since_s = 1.0  # since the last onset
        self._on = False

    def step(self, spectrum: NDArray[np.float64], audible: bool) -> list[Heard]:
        heard: list[Heard] = []
        flux = 0.0
        if len(self._past) == 2:
            before = np.pad(self._past[0], 1, mode="edge")
            widest = np.maximum(np.maximum(before[:-2], before[1:-1]), before[2:])
            flux = float(np.maximum(spectrum - widest, 0.0).mean())
        self._past.append(spectrum)
        self._since_s += self._hop_s
        if self._on and self._since_s >= ONSET_HELD_S:
            self._on = False
            heard.append(("sound:onset", (0.0,)))
        if audible and self._since_s >= ONSET_APART_S and flux > self._threshold():
            self._on, self._since_s = True, 0.0
            heard.append(("sound:onset", (1.0,)))
        self._flux.append(flux)
        return heard

    def _threshold(self) -> float:
        if len(self._flux) < 8:
            return float("inf")  # what has just begun has no past
        flux = np.array(self._flux)
        middle = float(np.median(flux))
        return middle + max(6 * float(np.median(np.abs(flux - middle))), 0.5 * middle, _FLUX_LEAST)


def _bins(frequencies: NDArray[np.floating], low_hz: float, high_hz: float) -> NDArray[np.intp]:
    """Which bins a band has; at least one."""
    inside = np.flatnonzero((frequencies >= low_hz) & (frequencies < high_hz))
    return inside if len(inside) else np.array([int(np.argmin(np.abs(frequencies - low_hz)))])
