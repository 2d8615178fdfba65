"""Values back to controllers: who is told, in which form, when, and never in a loop."""

import socket
import time
from collections.abc import Iterator

import pytest

from engine.control import feedback as module
from engine.control.controls import Controls
from engine.control.feedback import Feedback, holds, named_places
from engine.control.message import decode
from engine.control.osc import OscIn
from tests.packets import message
from tests.registry import build_registry

REGISTRY = build_registry(["clouds", "pulp"], ["dissolve", "luma"])
STATUS = {"fps": 60.0, "keyframes": 4.0, "phase": 1.5, "recording": True, "uptime_s": 9.0}


class Phone:
    """A controller with a socket of its own."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self._to = "127.0.0.1", port

    def __call__(self, address: str, *arguments: object) -> None:
        self.socket.sendto(message(address, *arguments), self._to)

    def hears(self, timeout_s: float = 3.0) -> tuple[str, list[object]]:
        self.socket.settimeout(timeout_s)
        return decode(self.socket.recv(65536))


class Show:
    """OSC, controls and feedback on a clock that is stepped by hand; a real socket."""

    def __init__(self, named: str = "", replies: bool = True, status_s: float = 0.0) -> None:
        self.now, self.status_s = 100.0, status_s
        self.controls = Controls(REGISTRY, {})
        self.osc = OscIn("127.0.0.1", 0, REGISTRY)
        self.osc.start()
        self.feedback = Feedback(REGISTRY, self.osc.send_to, named, replies, self.osc.is_own, now=lambda: self.now)
        self.osc.feedback = self.feedback
        self.feedback.start()

    def close(self) -> None:
        self.feedback.close()
        self.osc.close()

    def frame(self, seconds: float = 1 / 20) -> None:
        self.now += seconds
        for name, value in self.osc.drain():
            self.controls.set(name, value)
        self.feedback.step(self.controls, lambda: STATUS, self.status_s)

    def hear(self, counted: int) -> None:
        """Frames until so many messages have arrived and been answered."""
        end = time.monotonic() + 5
        while self.osc.counts.accepted < counted:
            assert time.monotonic() < end, "it never came"
            self.frame(0.0)
            time.sleep(0.002)
        self.frame()


@pytest.fixture()
def show() -> Iterator[Show]:
    show = Show()
    yield show
    show.close()


def nothing(phone: Phone) -> bool:
    try:
        phone.hears(0.15)
    except TimeoutError:
        return True
    return False


def test_who_spoke_is_told_what_others_move_and_not_what_it_moved_itself(show: Show) -> None:
    one, other = Phone(show.osc.port), Phone(show.osc.port)
    one("/walk/dwell", 1.0)
    other("/walk/dwell", 1.0)
    show.hear(2)
    one("/walk/speed", 0.5)
    other("/walk/radius", 0.25)
    show.hear(4)
    show.frame(1.0)
    assert one.hears() == ("/walk/radius", [0.25]) and other.hears() == ("/walk/speed", [0.5])
    show.controls.set("look.grain", 0.75)
    show.frame()
    assert one.hears() == other.hears() == ("/look/grain", [0.75])
    assert nothing(one) and nothing(other)


def test_a_fader_under_a_hand_is_left_alone_and_follows_after(show: Show) -> None:
    phone = Phone(show.osc.port)
    phone("/walk/radius", 0.5)
    show.hear(1)
    show.frame()
    show.controls.set("walk.radius", 0.125)
    show.frame(0.1)
    assert nothing(phone)
    show.frame(module.HELD_S)
    assert phone.hears() == ("/walk/radius", [0.125])


def test_what_came_out_otherwise_is_told(show: Show) -> None:
    phone = Phone(show.osc.port)
    phone("/walk/radius", 0.5)
    show.hear(1)
    show.controls.set("walk.radius", 0.5)
    show.frame(1.0)
    assert nothing(phone)


def test_each_is_told_in_its_own_form(show: Show) -> None:
    phone = Phone(show.osc.port)
    phone("/norm/walk/speed", 0.5)
    show.hear(1)
    show.frame(1.0)
    show.controls.set("walk.speed", 4.0)
    show.controls.set("stage.freeze", True)
    show.controls.set("blend.transition", "luma")
    show.frame()
    assert sorted([phone.hears(), phone.hears(), phone.hears()]) == [
        ("/blend/transition", ["luma"]), ("/norm/walk/speed", [1.0]), ("/stage/freeze", [1]),
    ]  # fmt: skip


def test_named_controllers_are_told_everything_from_the_start() -> None:
    phone = Phone(1)
    show = Show(named=f"127.0.0.1:{phone.port}")
    told = {}
    end = time.monotonic() + 5
    while "/look/grain" not in told or "/walk/speed" not in told:
        assert time.monotonic() < end
        show.frame()
        try:
            address, arguments = phone.hears(0.05)
            told[address] = arguments
        except TimeoutError:
            continue
    assert told["/walk/seed"] == [7] and "/walk/jump" not in told and "/window/width" not in told
    show.close()


def test_questions_are_answered_and_triggers_are_pressed(show: Show) -> None:
    phone = Phone(show.osc.port)
    for n, (address, arguments, answer) in enumerate(
        [
            ("/walk/speed", [], ("/walk/speed", [pytest.approx(0.12)])),
            ("/walk/radius", ["?"], ("/walk/radius", [1.0])),
            ("/norm/walk/radius", [], ("/norm/walk/radius", [1.0])),
            ("/smooth/walk/radius", [], ("/smooth/walk/radius", [1.0])),
            ("/stage/blackout", [], ("/stage/blackout", [0])),
            ("/look/view", ["?"], ("/look/view", ["picture"])),
            ("/status/fps", [], ("/status/fps", [60.0])),
        ],
        1,
    ):
        phone(address, *arguments)
        show.hear(n)
        assert phone.hears() == answer
    phone("/walk/jump")
    phone("/toggle/stage/blackout")
    show.hear(9)
    assert show.controls["walk.jump"] == 1.0 and nothing(phone)
    assert show.osc.counts.malformed == show.osc.counts.unknown == 0


def test_patterns_and_the_status_can_be_asked(show: Show) -> None:
    phone = Phone(show.osc.port)
    phone("/material/*")
    show.hear(1)
    assert sorted(phone.hears()[0] for _ in range(2)) == ["/material/clouds", "/material/pulp"]
    phone("/status", "?")
    show.hear(2)
    assert [phone.hears() for _ in range(5)][-1] == ("/status/uptime", [9.0])


def test_status_comes_at_the_chosen_rate() -> None:
    show = Show(status_s=2.0)
    phone = Phone(show.osc.port)
    phone("/walk/radius", 1.0)
    show.hear(1)
    assert [phone.hears()[0] for _ in range(5)] == list(module.STATUS)
    for _ in range(10):
        show.frame(0.1)
    assert nothing(phone)
    show.frame(1.0)
    assert phone.hears() == ("/status/fps", [60.0])
    show.close()


def test_it_speaks_at_most_thirty_times_a_second_and_newest_wins(show: Show) -> None:
    phone = Phone(show.osc.port)
    phone("/walk/speed", 0.5)
    show.hear(1)
    show.frame(1.0)
    for n in range(100):
        show.controls.put("look.grain", n / 100)
        show.frame(0.001)
    show.frame()
    said = []
    while not said or said[-1][1] != [pytest.approx(0.99)]:
        said.append(phone.hears())
    assert len(said) <= 6


def test_sensors_of_foreign_addresses_and_strangers_are_left_in_peace(show: Show) -> None:
    sensor = Phone(show.osc.port)
    sensor("/sensor/distance", 1.0)
    sensor("/nothing/at/all", 1.0)
    while show.osc.counts.unknown < 2:
        show.frame(0.0)
    show.controls.set("look.grain", 0.5)
    show.frame(1.0)
    assert nothing(sensor)


def test_who_is_silent_is_forgotten_and_room_is_bounded(show: Show) -> None:
    for n in range(3 * module.MOST):
        show.feedback.heard(("127.0.0.1", 1000 + n), [("walk.speed", 1.0)], "")
        show.now += 0.01
    assert len(show.feedback._controllers) == module.MOST
    show.frame(module.REMEMBERED_S + 1)
    assert not show.feedback._controllers


def test_a_spoofed_flood_of_questions_is_not_passed_on(show: Show) -> None:
    phone = Phone(show.osc.port)
    for n in range(50):
        show.feedback.asked(("127.0.0.1", phone.port), "/walk/speed", "", [REGISTRY["walk.speed"]] * 50)
        show.feedback.heard(("127.0.0.1", 9), [], "")
        show.frame(0.001 if n else 1.0)
    time.sleep(0.3)
    assert show.feedback.sent <= module.ANSWERS_HZ + 100


def test_without_replies_only_questions_are_answered() -> None:
    show = Show(replies=False)
    phone = Phone(show.osc.port)
    phone("/walk/speed", 0.5)
    phone("/walk/radius")
    show.hear(2)
    assert phone.hears() == ("/walk/radius", [1.0])
    show.controls.set("look.grain", 0.5)
    show.frame(1.0)
    assert nothing(phone)
    show.close()


def test_it_never_tells_itself() -> None:
    show = Show()
    own = Feedback(REGISTRY, show.osc.send_to, f"127.0.0.1:{show.osc.port}", own=show.osc.is_own)
    own._find_hosts()
    assert not own._controllers
    show.close()


def test_places_are_named_plainly() -> None:
    assert named_places("10.0.0.2:9000, phone.local:8000") == ([("10.0.0.2", 9000), ("phone.local", 8000)], None)
    assert named_places("9001") == ([], 9001) and named_places("") == ([], None)
    for wrong in ("phone", "10.0.0.2:", ":9000", "a:99999", "a:b", "a:0"):
        assert not holds(wrong)


def test_a_port_alone_is_where_everybody_is_told() -> None:
    ear = Phone(1)
    show = Show(named=str(ear.port))
    voice = Phone(show.osc.port)
    voice("/walk/radius", 0.5)
    show.hear(1)
    show.controls.set("look.grain", 0.25)
    show.frame()
    assert ear.hears() == ("/look/grain", [0.25]) and nothing(voice)
    show.close()
