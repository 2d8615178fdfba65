"""The analyser, on synthesised sound: onsets are found one for one, levels find their own range, silence is 0."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.control.sound import BANDS_HZ, Analyser

RATE = 48000
Samples = NDArray[np.float64]
Told = list[tuple[float, str, float]]  # seconds, address, value


def room(db: float, seconds: float) -> Samples:
    return np.random.default_rng(1).normal(size=int(seconds * RATE)) * 10 ** (db / 20)


def click(n: int) -> Samples:
    return np.random.default_rng(2).normal(size=n) * 0.5 * np.exp(-np.arange(n) / 100)


def note(n: int) -> Samples:
    at = np.arange(n)
    return 0.3 * np.sin(2 * np.pi * 440 * at / RATE) * np.minimum(at / 240, 1) * np.exp(-at / 4000)


def kick(n: int) -> Samples:
    at = np.arange(n)
    return 0.7 * np.sin(2 * np.pi * 50 * at / RATE + 30 * (1 - np.exp(-at / 960))) * np.exp(-at / 3000)


def analyse(samples: Samples, block: int = 512, rate: int = RATE) -> Told:
    analyser, told = Analyser(rate), []
    for at in range(0, len(samples), block):
        for address, values in analyser.feed(samples[at : at + block].astype(np.float32)):
            told.append((at / rate, address, values[0]))
    return told


def levels(told: Told, name: str, begin_s: float, end_s: float) -> list[float]:
    return [value for at, address, value in told if address == f"sound:{name}" and begin_s <= at < end_s]


def onsets(told: Told) -> list[float]:
    return [at for at, address, value in told if address == "sound:onset" and value == 1]


@pytest.mark.parametrize("hit", [click, note, kick])
@pytest.mark.parametrize("db", [-75, -35])
def test_every_hit_is_one_onset_and_comes_at_once(hit: Callable[[int], Samples], db: float) -> None:
    samples, beats = room(db, 6), np.arange(2.0, 5.5, 0.5)
    for beat in beats:
        samples[int(beat * RATE) :][:19200] += hit(19200)  # to where it can no longer be heard
    told = analyse(samples)
    found = onsets(told)
    assert len(found) == len(beats)
    assert np.abs(np.array(found) - beats).max() < 0.025
    assert len([v for _, a, v in told if a == "sound:onset" and v == 0]) == len(beats)  # and each ends


@pytest.mark.parametrize("db", [-75, -55, -15])
def test_a_room_alone_is_0_however_loud_the_microphone_is(db: float) -> None:
    told = analyse(room(db, 5))
    assert onsets(told) == [] and max(levels(told, "level", 1, 5)) < 0.1


def test_a_voice_with_vibrato_is_one_onset() -> None:
    samples = room(-60, 6)
    at = np.arange(3 * RATE) / RATE
    voice = 0.3 * np.sin(2 * np.pi * 300 * at + 3 * np.sin(2 * np.pi * 5 * at)) * np.minimum(at / 0.02, 1)
    samples[2 * RATE : 5 * RATE] += voice * np.minimum((3 - at) / 0.1, 1)
    assert len(onsets(analyse(samples))) == 1


@pytest.mark.parametrize(("hz", "band"), [(80, "low"), (700, "mid"), (6000, "high")])
def test_each_band_hears_its_own(hz: float, band: str) -> None:
    samples = room(-60, 5)
    samples[2 * RATE : 4 * RATE] += 0.1 * np.sin(2 * np.pi * hz * np.arange(2 * RATE) / RATE)
    told = analyse(samples)
    assert np.mean(levels(told, band, 2.5, 3.9)) > 0.9 and np.mean(levels(told, "level", 2.5, 3.9)) > 0.9
    for other in set(BANDS_HZ) - {band, "level"}:
        assert np.mean(levels(told, other, 2.5, 3.9)) < 0.2
    assert max(levels(told, band, 4.9, 5)) < 0.05  # and comes down again


def test_silence_nonsense_and_odd_blocks_do_no_harm() -> None:
    analyser = Analyser(44100)
    bad = np.full((777, 2), np.nan, np.float32)
    told = [*analyser.feed(bad), *analyser.feed(np.full((999, 2), np.inf, np.float32))]
    told += analyser.feed(np.zeros((0, 2), np.float32))
    assert all(0 <= value[0] <= 1 for _, value in told)
    quiet = Analyser(RATE)
    assert {value for _, value in quiet.feed(np.zeros(RATE, np.float32))} == {(0.0,)} and quiet.is_still


def test_the_same_samples_say_the_same_in_blocks_of_any_size() -> None:
    samples = room(-40, 2)
    samples[RATE : RATE + 9600] += note(9600)
    small, large = analyse(samples, 64), analyse(samples, 4096)
    assert small[-1][2] == large[-1][2] and len(onsets(small)) == len(onsets(large)) == 1
