"""Pretended hardware sends what the real thing does, the same for the same seed."""

from itertools import islice, takewhile

import pytest

from engine.control.message import decode
from engine.control.send import encode
from engine.control.sim import FAR_M, SCENES, Moment


def first_minute(scene: str, seed: int = 1, rate_hz: float | None = None) -> list[Moment]:
    return list(takewhile(lambda moment: moment.time_s < 60, SCENES[scene].play(seed, rate_hz)))


@pytest.mark.parametrize("name", list(SCENES))
def test_a_seed_is_one_performance_in_the_order_of_time(name: str) -> None:
    moments = first_minute(name)
    assert moments == first_minute(name) != first_minute(name, seed=2)
    times = [moment.time_s for moment in moments]
    assert times == sorted(times) and len(moments) > 100
    for moment in moments:
        address, values = decode(encode(moment.address, moment.arguments))
        assert address == moment.address and len(values) == len(moment.arguments)


def test_visitors_come_near_stay_and_go() -> None:
    distances = [m.arguments[0][1] for m in first_minute("visitor") if m.address == "/sensor/1/distance"]
    assert len(distances) == 1200  # 20 a second
    assert min(distances) < 1.7 and distances.count(FAR_M) > 100
    assert all(0.02 <= distance <= FAR_M for distance in distances)
    presence = [m.arguments[0][1] for m in first_minute("visitor") if m.address == "/sensor/1/presence"]
    assert presence[:3] == [1, 0, 1]


def test_a_hand_and_a_voice_stay_in_their_ranges() -> None:
    for name in ("hand", "microphone"):
        values = [value for moment in first_minute(name) for _, value in moment.arguments]
        assert all(0 <= value <= 1 for value in values)
    levels = [m.arguments[0][1] for m in first_minute("microphone") if m.address == "/mic/level"]
    quiet, loud = (sum(holds(level) for level in levels) for holds in (lambda v: v < 0.1, lambda v: v > 0.4))
    assert quiet > 300 and loud > 300  # of 3000: speech has pauses


def test_touchosc_sends_floats_on_change_pages_without_a_value_and_xy_in_one_message() -> None:
    moments = list(islice(SCENES["touchosc"].play(4), 6000))
    assert all(tag == "f" for moment in moments for tag, _ in moment.arguments)
    assert {len(m.arguments) for m in moments if m.address == "/3/xy"} == {2}
    assert {m.arguments for m in moments if m.address in ("/1", "/2", "/3")} == {()}
    pads: dict[str, list[object]] = {}
    for moment in moments:
        if moment.address.startswith("/2/push"):
            pads.setdefault(moment.address, []).append(moment.arguments[0][1])
    assert pads and all(values[::2] == [1.0] * len(values[::2]) for values in pads.values())


def test_the_rate_can_be_chosen() -> None:
    assert len([m for m in first_minute("visitor", rate_hz=5) if m.address == "/sensor/1/distance"]) == 300
