"""Mappings from the socket on: foreign addresses, vectors, encoders and pads, in floods and beside mistakes."""

import math
import random
from collections.abc import Iterator

import pytest

from engine.control.controls import Controls
from engine.control.mapping import Mapper
from engine.control.osc import Counts, OscIn
from engine.show.params import Value
from tests.control.rig import REGISTRY, table_of
from tests.packets import Sender, by_hand, message

TABLE = """
[[map]]
from = "/sensor/*/distance"
to = "look.grain"
combine = "max"
[[map]]
from = "/xy"
to = "look.drift"
[[map]]
from = "/xy"
arg = 2
to = "look.vignette"
[[map]]
from = "/pad"
to = "walk.nudge"
threshold = 0.5
[[map]]
from = "/wheel"
to = "look.exposure"
mode = "relative"
step = 0.0005
[[map]]
from = "/walk/speed"
to = "walk.speed"
in = [0, 127]
[[map]]
from = "/walk/radius"
to = "look.saturation"
"""


class Rig:
    def __init__(self) -> None:
        self.controls = Controls(REGISTRY, {})
        self.mapper = Mapper(REGISTRY, table_of(TABLE))
        self.osc = OscIn("127.0.0.1", 0, REGISTRY, mapper=self.mapper)
        self.osc.start()
        self.send = Sender(self.osc.port)
        self.mapper.tick(self.controls, 0.0)
        self.time_s = 0.0

    def frame(self) -> list[tuple[str, Value]]:
        steers = [*self.osc.drain(), *self.mapper.drain()]
        for name, value in steers:
            self.controls.set(name, value)
        self.time_s += 1 / 60
        self.controls.tick(1 / 60)
        self.mapper.tick(self.controls, self.time_s)
        return steers


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.osc.close()
    rig.send.socket.close()


def test_foreign_addresses_move_parameters_and_are_counted(rig: Rig) -> None:
    rig.send("/sensor/7/distance", 0.5)
    rig.send("/xy", 0.5, 0.375)
    rig.send("/nobody/knows", 1.0)
    assert dict(rig.frame()) == {"look.grain": 0.5, "look.drift": 0.5, "look.vignette": 0.375}
    assert rig.osc.counts == Counts(accepted=2, unknown=1)


def test_an_own_address_may_be_scaled_or_move_more(rig: Rig) -> None:
    rig.send("/walk/speed", 127)
    rig.send("/walk/radius", 0.25)
    assert sorted(rig.frame()) == [("look.saturation", 0.5), ("walk.radius", 0.25), ("walk.speed", 4.0)]
    assert rig.osc.counts == Counts(accepted=2)


def test_a_flood_loses_no_last_value_and_no_click(rig: Rig) -> None:
    rng = random.Random(2)
    clicks = 0
    for burst in range(10):
        for n in range(330):  # 20,000 a second at 60 frames a second
            k = n % 6
            if k < 3:
                rig.send(f"/sensor/{n % 40}/distance", rng.random() * 0.5)
            elif k == 3:
                rig.send("/xy", rng.random(), rng.random())
            elif k == 4:
                rig.send("/wheel", 1)
                clicks += 1
            else:
                rig.send("/walk/speed", rng.randrange(128))
        if burst == 9:
            rig.send("/sensor/3/distance", 0.9)
            rig.send("/xy", 0.125, 0.75)
            rig.send("/walk/speed", 127)
        rig.frame()
    target = rig.controls.target
    assert target("look.grain") == pytest.approx(0.9) and target("walk.speed") == 4.0
    assert (target("look.drift"), target("look.vignette")) == (0.125, 0.75)
    assert target("look.exposure") == pytest.approx(8 * 0.0005 * clicks)
    counts = rig.osc.counts
    assert counts.accepted == 3303 and counts.dropped == counts.unknown == counts.malformed == 0


def test_every_press_between_two_frames_counts(rig: Rig) -> None:
    for value in (0.2, 0.9, 0.2, 0.8, 0.1, 0.3, 0.6):
        rig.send("/pad", value)
    rig.frame()
    hits = [rig.controls.take("walk.nudge") for _ in range(4)]
    assert hits == pytest.approx([0.9, 0.8, 0.6, 0.0])


def test_bad_values_beside_good_ones(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.send("/xy", 0.5, math.nan)
    rig.send.raw(by_hand(b"/sensor/1/distance", b"b", b"\0\0\0\4abcd"))
    rig.send("/sensor/2/distance", "near")
    rig.send("/sensor/3/distance", 0.75)
    rig.send.raw(message("/sensor/4/distance", 0.9)[:-4])
    assert dict(rig.frame()) == {"look.drift": 0.5, "look.grain": 0.75}
    counts = rig.osc.counts
    assert counts.accepted == 1 and counts.malformed + counts.accepted == 5
    assert (
        "/sensor/2/distance must have a finite number as value 1, got 'near'; [[map]] 1 moves look.grain" in caplog.text
    )
    assert "/xy must have a finite number as value 2, got nan; [[map]] 3 moves look.vignette by it" in caplog.text


def test_another_table_is_known_at_the_socket(rig: Rig) -> None:
    rig.send("/new", 1.0)
    rig.frame()
    rig.mapper.use(table_of('[[map]]\nfrom = "/new"\nto = "look.grain"\n'))
    rig.frame()
    rig.frame()  # from now on at the socket too
    rig.send("/new", 1.0)
    rig.send("/xy", 1.0, 1.0)
    rig.send("/walk/speed", 2.0)
    assert sorted(rig.frame()) == [("look.grain", 1.0), ("walk.speed", 2.0)]
    assert rig.osc.counts.unknown == 2


def test_another_show_has_mappings_of_its_own(rig: Rig) -> None:
    rig.send("/walk/speed", 127)
    assert rig.frame() == [("walk.speed", 4.0)]
    rig.mapper = Mapper(REGISTRY, table_of('[[map]]\nfrom = "/walk/speed"\nto = "look.drift"\n'))
    rig.mapper.tick(rig.controls, rig.time_s)
    rig.osc.use(REGISTRY, rig.mapper)
    rig.send("/walk/speed", 0.5)
    assert sorted(rig.frame()) == [("look.drift", 0.5), ("walk.speed", 0.5)]


def test_norm_goes_over_the_whole_range_by_the_parameters_curve(rig: Rig) -> None:
    for address, share, name, value in (
        ("/norm/walk/wander", 0.5, "walk.wander", 3.0),
        ("/norm/walk/speed", 0.5, "walk.speed", 1.0),
        ("/norm/look/contrast", 0.5, "look.contrast", 1.0),
        ("/norm/look/exposure", 0.0, "look.exposure", -4.0),
        ("/norm/walk/seed", 1.0, "walk.seed", 2**31 - 1),
        ("/norm/blend/transition", 0.99, "blend.transition", "pulp"),
        ("/norm/stage/freeze", 1.0, "stage.freeze", True),
        ("/Norm//Look/Grain", 7.0, "look.grain", 1.0),
    ):
        rig.send(address, share)
        assert rig.frame() == [(name, pytest.approx(value) if isinstance(value, float) else value)]
    rig.send("/norm/material/*", 0.25)
    assert {name for name, _ in rig.frame()} == {"material.clouds", "material.pulp", "material.memory"}


def test_toggle_flips_at_each_press(rig: Rig) -> None:
    heard = []
    for value in (1, 0, 1, 0):
        rig.send("/toggle/stage/blackout", value)
        heard += rig.frame()
    assert heard == [("stage.blackout", True), ("stage.blackout", False)]
    for value in (1, 0, 1, 0, 1, 0):  # three taps in one frame
        rig.send("/toggle/stage/freeze", value)
    rig.frame()
    assert rig.controls["stage.freeze"] is True
    rig.send("/toggle/walk/pause")
    rig.frame()
    rig.send("/toggle/{walk,nothing}/pause")
    rig.frame()
    assert rig.osc.counts.malformed == rig.osc.counts.unknown == 0


def test_smooth_makes_a_hard_cut(rig: Rig) -> None:
    rig.send("/smooth/look/grain", 0)
    rig.send("/smooth/material/*", 2.5)
    steers = dict(rig.osc.drain())
    assert steers["smoothing.look.grain"] == 0.0 and steers["smoothing.material.pulp"] == 2.5 and len(steers) == 4
    rig.controls.smooth("look.grain", 0.0)
    rig.controls.set("look.grain", 0.9)
    assert rig.controls["look.grain"] == 0.9
    rig.controls.smooth("look.grain", 0.5)
    rig.controls.set("look.grain", 0.1)
    rig.controls.tick(0.5)
    assert rig.controls["look.grain"] == pytest.approx(0.1 + 0.8 / math.e)
    rig.controls.smooth("look.grain", 0.0)  # on its way: it is there
    assert rig.controls["look.grain"] == 0.1


@pytest.mark.parametrize(
    ("address", "argument", "said"),
    [
        ("/norm/walk/speed", "fast", "must be a number from 0 to 1, got 'fast'"),
        ("/norm/say", 0.5, "0 to 1 goes for what has a range, and /say is a call; send /say"),
        ("/toggle/walk/speed", 1, "only a switch can be flipped, and /walk/speed is a number; send /walk/speed"),
        ("/smooth/walk/pause", 1, "only a number is smoothed, and /walk/pause is a switch; send /walk/pause"),
        ("/smooth/walk/speed", "slow", "must be a number from 0 to 600 s, got 'slow'"),
        ("/norm/walk/sped", 1, "is not the address of any parameter. Did you mean /norm/walk/speed?"),
        ("/toggle/material/*", 1, "reaches no parameter"),
    ],
)
def test_wrong_uses_are_said(
    rig: Rig, caplog: pytest.LogCaptureFixture, address: str, argument: object, said: str
) -> None:
    rig.send(address, argument)
    assert rig.frame() == [] and f"{address} {said}" in caplog.text


def test_while_somebody_learns_everything_is_overheard(rig: Rig) -> None:
    heard: list[tuple[str, list[object]]] = []
    rig.mapper.tap = lambda address, arguments: heard.append((address, list(arguments)))
    rig.frame()  # from now on
    for address, value in (
        ("/nobody/knows", 0.5),
        ("/sensor/1/distance", 0.5),
        ("/walk/radius", 0.5),
        ("/nobody/knows", 1),
    ):
        rig.send(address, value)
        rig.frame()
    assert [address for address, _ in heard] == ["/nobody/knows", "/sensor/1/distance", "/walk/radius", "/nobody/knows"]
    rig.mapper.tap = None
    rig.frame()
    rig.send("/nobody/knows", 0.5)
    rig.frame()
    assert len(heard) == 4 and rig.osc.counts.unknown == 3
