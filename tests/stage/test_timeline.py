"""The jitter buffer, with arrivals made up to be kind and unkind; no GL, no clock."""

import itertools

import numpy as np
import pytest

from engine.stage.timeline import RATE_HIGH, RATE_LOW, Mix, Timeline

FPS = 60.0


def play(
    arrivals: list[tuple[float, float, int]], until_s: float, slots: int = 16
) -> tuple[list[Mix | None], Timeline]:
    """Run frames over (arrival_s, stamp_s, epoch); checks on the way that no shown slot is overwritten."""
    timeline = Timeline(slots)
    waiting = sorted(arrivals)
    frames: list[Mix | None] = []
    holds: dict[int, float] = {}
    for frame in range(int(until_s * FPS)):
        now_s = frame / FPS
        while waiting and waiting[0][0] <= now_s:
            _, stamp_s, epoch = waiting.pop(0)
            slot = timeline.claim()
            last = frames[-1] if frames else None
            assert last is None or slot not in (last.a_slot, last.b_slot)
            holds[slot] = stamp_s
            timeline.add(stamp_s, epoch, slot)
        frames.append(timeline.at(now_s))
    return frames, timeline


def steps(frames: list[Mix | None]) -> np.ndarray:
    """Played seconds per frame second, jumps left out."""
    shown = [frame for frame in frames if frame is not None]
    return np.array(
        [(b.played_s - a.played_s) * FPS for a, b in itertools.pairwise(shown) if not b.jumped]
    )


def regular(interval_s: float, until_s: float, latency_s: float = 0.2) -> list[tuple[float, float, int]]:
    count = int(until_s / interval_s)
    return [(k * interval_s + latency_s, k * interval_s, 0) for k in range(count)]


def jittery(interval_s: float, until_s: float) -> list[tuple[float, float, int]]:
    rng = np.random.default_rng(3)
    stamps = np.cumsum(rng.uniform(0.5, 1.5, int(until_s / interval_s)) * interval_s)
    late = np.maximum.accumulate(stamps + 0.1 + rng.exponential(0.3 * interval_s, len(stamps)))
    return [(float(a), float(s), 0) for a, s in zip(late, stamps, strict=True)]


def outage() -> list[tuple[float, float, int]]:
    return [a for a in regular(0.2, 40.0) if not 12.0 < a[0] < 22.0]


@pytest.mark.parametrize(
    "arrivals",
    [
        regular(0.1, 30),
        regular(0.33, 30),
        regular(3.0, 30, 2.9),
        regular(1 / 300, 10, 0.02),
        jittery(0.2, 30),
        outage(),
    ],
    ids=["10/s", "3/s", "every 3 s", "300/s", "jitter", "outage"],
)
def test_played_time_never_jumps_nor_runs_backward(arrivals: list[tuple[float, float, int]]) -> None:
    frames, _ = play(arrivals, 40.0)
    rate = steps(frames)
    assert rate.min() >= 0.0
    assert rate.max() <= RATE_HIGH + 1e-6
    # No jerk either: speed may fall fast when nothing is left to play, but rises gently.
    assert np.diff(rate).max() < 0.12
    for frame in frames:
        assert frame is None or 0.0 <= frame.u <= 1.0


@pytest.mark.parametrize("interval_s", [1 / 30, 0.1, 0.25, 0.7])
def test_speed_is_constant_when_keyframes_are_regular(interval_s: float) -> None:
    frames, _ = play(regular(interval_s, 63.0), 60.0)
    settled = steps(frames)[int(25 * FPS) :]
    assert settled.max() - settled.min() < 0.05
    assert abs(settled.mean() - 1.0) < 0.01


def test_slow_dreamer_is_still_smooth() -> None:
    frames, _ = play(regular(3.0, 120.0, 2.9), 118.0)
    settled = steps(frames)[int(60 * FPS) :]
    assert settled.min() > 0.9
    assert settled.max() < 1.1


def test_it_never_plays_past_the_newest() -> None:
    arrivals = outage()
    timeline = Timeline()
    waiting = list(arrivals)
    newest_u = 0.0
    for frame in range(int(40 * FPS)):
        now_s = frame / FPS
        while waiting and waiting[0][0] <= now_s:
            _, stamp_s, epoch = waiting.pop(0)
            timeline.add(stamp_s, epoch, timeline.claim())
        mix = timeline.at(now_s)
        if mix:
            assert mix.played_s <= timeline._entries[-1].play_s + 1e-9
            newest_u = max(newest_u, mix.u)
    assert newest_u <= 1.0


def test_picture_eases_to_a_stop_when_the_dreamer_dies() -> None:
    frames, _ = play([a for a in regular(0.2, 12.0) if a[0] < 10.0], 14.0)
    rate = steps(frames)
    stopping = rate[np.argmax(rate < 0.9 * (np.arange(len(rate)) > 9 * FPS)) :][-int(3.5 * FPS) :]
    assert rate[-1] < 0.001  # it has stopped
    assert np.diff(rate)[-int(4 * FPS) :].min() > -0.45  # and not within one frame
    assert stopping.size


def test_after_an_outage_the_hand_is_not_left_ten_seconds_behind() -> None:
    frames, timeline = play(outage(), 40.0)
    last = frames[-1]
    assert last is not None
    # 0.2 s latency + 0.2 s spacing and a margin: what it was before the outage.
    assert 0.3 < (40.0 - timeline._skipped_s) - last.played_s < 0.8
    assert timeline._skipped_s > 8.0
    assert timeline.delay_s < 0.8  # nor has it taught the buffer to be slow


@pytest.mark.parametrize("interval_s", [2.0, 3.0, 5.0])
def test_a_dreamer_that_has_become_slow_for_good_does_not_make_the_picture_stand_still(interval_s: float) -> None:
    slow = [(20.0 + interval_s * k + interval_s, 20.0 + interval_s * k, 0) for k in range(1, int(400 / interval_s))]
    frames, timeline = play([*regular(0.3, 20.0, 0.3), *slow], 400.0)
    assert timeline.interval_s == pytest.approx(interval_s)
    assert steps(frames[int(250 * FPS) :]).min() > 0.2


def test_the_delay_covers_nearly_all_of_what_comes_irregularly() -> None:
    _, timeline = play(jittery(0.3, 60.0), 60.0)
    enough = sorted(timeline._needed)
    assert timeline.delay_s >= enough[int(0.85 * len(enough))] > 1.3 * enough[0]


def test_delay_follows_the_dreamer() -> None:
    _, fast = play(regular(1 / 60, 10.0, 0.03), 10.0)
    _, slow = play(regular(0.5, 30.0, 0.5), 30.0)
    assert fast.delay_s < 0.12
    assert 1.0 <= slow.delay_s < 1.4


def test_hundreds_a_second_fit_in_few_slots_and_keep_the_newest() -> None:
    frames, timeline = play(regular(1 / 400, 6.0, 0.3), 6.0, slots=6)
    assert len(timeline._entries) <= 6
    assert abs(timeline._entries[-1].stamp_s - (6.0 - 0.3)) < 0.05
    assert frames[-1] is not None


def test_a_jump_is_shown_at_once_and_flagged_once() -> None:
    arrivals = regular(0.2, 4.0) + [(4.4 + 0.2 * k, 4.2 + 0.2 * k, 1) for k in range(10)]
    frames, _ = play(arrivals, 6.0)
    flagged = [i for i, frame in enumerate(frames) if frame and frame.jumped]
    assert flagged == [int(np.ceil(4.4 * FPS))]
    assert all(frame.epoch == 1 for frame in frames[flagged[0] :] if frame)
    assert steps(frames).min() >= 0.0


def test_overtaken_keyframes_are_left_out() -> None:
    timeline = Timeline()
    for stamp_s, epoch in [(1.0, 1), (2.0, 1), (1.5, 1), (9.0, 0), (2.0, 1)]:
        timeline.add(stamp_s, epoch, timeline.claim())
    mix = timeline.at(2.0)
    assert mix is not None
    assert mix.epoch == 1
    assert [entry.stamp_s for entry in timeline._entries] == [1.0, 2.0]


def test_long_frames_do_not_make_it_leap() -> None:
    timeline = Timeline()
    for k in range(8):
        timeline.add(k * 0.5, 0, timeline.claim())
        timeline.at(k * 0.5 + 0.2)
    before = timeline.at(4.0)
    after = timeline.at(9.0)
    assert before and after
    assert after.played_s - before.played_s <= 0.25 * RATE_HIGH


@pytest.mark.parametrize("frame_s", [0.05, 0.15, 0.22])
def test_a_stage_that_draws_slowly_stays_with_the_clock(frame_s: float) -> None:
    timeline, stamp_s = Timeline(), 0.0
    for frame in range(int(300 / frame_s)):
        now_s = frame * frame_s
        while stamp_s <= now_s:
            timeline.add(stamp_s, 0, timeline.claim())
            stamp_s += 0.3
        mix = timeline.at(now_s)
    assert mix is not None and now_s - mix.played_s < 1.5


def test_lockstep_is_exact() -> None:
    timeline = Timeline()
    stamps = [0.0, 0.4, 0.9, 1.0, 2.0]
    given = list(stamps)
    slot_of: dict[int, float] = {}
    for frame in range(60):
        now_s = frame / 30
        while given and (not slot_of or max(slot_of.values()) < now_s):
            slot = timeline.claim()
            slot_of[slot] = given.pop(0)
            timeline.add(slot_of[slot], 0, slot)
        mix = timeline.at(now_s, live=False)
        assert mix is not None
        a, b = slot_of[mix.a_slot], slot_of[mix.b_slot]
        assert a + mix.u * (b - a) == pytest.approx(now_s, abs=1e-9)


def test_lockstep_jumps_at_the_new_epochs_first_keyframe() -> None:
    timeline = Timeline()
    for stamp_s, epoch in [(0.0, 0), (1.0, 0), (1.0, 1), (2.0, 1)]:
        timeline.add(stamp_s, epoch, timeline.claim())
    shown = [timeline.at(k / 10, live=False) for k in range(25)]
    assert [m.epoch for m in shown if m] == [0] * 10 + [1] * 15
    assert [k for k, m in enumerate(shown) if m and m.jumped] == [10]
    assert shown[-1] is not None and shown[-1].u <= 1.0  # past the newest it stays with it


def test_nothing_to_show_before_the_first() -> None:
    assert Timeline().at(3.0) is None


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="at least 4 slots, got 2"):
        Timeline(2)
    with pytest.raises(ValueError, match=r"0\.\.15, got 16"):
        Timeline().add(0.0, 0, 16)


def test_rate_limits_are_what_the_docs_say() -> None:
    assert (RATE_LOW, RATE_HIGH) == (0.8, 1.25)


def test_a_rest_of_the_dreamer_is_left_out_and_the_picture_is_not_late_after_it() -> None:
    timeline = Timeline()

    def dream(stamp_s: float) -> None:
        timeline.add(stamp_s, 0, timeline.claim())

    now_s = 0.0
    for n in range(400):
        now_s = n / 60
        if n % 15 == 0:
            dream(now_s)
        timeline.at(now_s)
    before, delay_s = timeline.at(now_s), timeline.delay_s
    for _ in range(3600):
        now_s += 1 / 60
        timeline.hold(now_s)
        timeline.at(now_s)
    for n in range(120):
        now_s += 1 / 60
        if n % 15 == 0:
            dream(now_s)
        mix = timeline.at(now_s)
        assert mix is not None and not mix.jumped
    assert before is not None and mix is not None
    assert mix.played_s - before.played_s == pytest.approx(2.0, abs=0.6), "the minute of rest was not played"
    assert timeline.delay_s == pytest.approx(delay_s, abs=0.05), "nor taken for a slow dreamer"
