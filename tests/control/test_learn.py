"""Learning: the control that moves is found among those that tremble, bound with its range, and written to the show."""

import random
import tomllib
from pathlib import Path

import pytest

from engine.control.learn import Learner, encoder_of, usual
from engine.control.learn_file import LearnFile, obey
from engine.control.show_edit import EditError, is_shipped, own_copy, write_maps
from engine.play.shows import load_show
from engine.show.paths import configs_dir
from tests.control.rig import REGISTRY, table_of


class Hand:
    """Controls, a clock, and a sensor that never rests."""

    def __init__(self, text: str = "") -> None:
        self.now_s = 0.0
        self.learner = Learner(REGISTRY, table_of(text), lambda: self.now_s)
        self._rng = random.Random(4)

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds * 50)):
            self.now_s += 0.02
            self.learner.hear("/accelerometer", [self._rng.gauss(0, 0.02), self._rng.gauss(0, 0.02)])

    def move(self, address: str, low: float, high: float, seconds: float = 1.0) -> None:
        steps = round(seconds * 50)
        for n in range(steps + 1):
            self.wait(0.02)
            self.learner.hear(address, [low + (high - low) * n / steps])


def test_the_control_that_moves_is_meant_and_not_the_one_that_trembles() -> None:
    hand = Hand()
    hand.learner.choose("walk.speed")
    hand.wait(4)
    hand.move("/1/fader3", 2, 125)
    assert hand.learner.bind() == [{"from": "/1/fader3", "to": "walk.speed", "in": [0.0, 127.0]}]
    assert [entry.source for entry in hand.learner.bound] == ["/1/fader3"]
    assert "/1/fader3, 0 to 127 moves walk.speed now" in hand.learner.said
    hand.learner.choose("look.grain")
    assert hand.learner.moving is None
    hand.move("/1/fader3", 125, 20)  # the same again, for another parameter
    assert hand.learner.bind() == [{"from": "/1/fader3", "to": "look.grain", "in": [20.0, 125.0]}]
    assert {entry.to for entry in hand.learner.table.entries} == {"walk.speed", "look.grain"}


def test_nothing_moved_and_hardly_moved_are_said() -> None:
    hand = Hand()
    assert hand.learner.bind() is None and hand.learner.said == "no control has moved yet"
    hand.learner.choose("look.grain")
    hand.learner.hear("/fader", [0.5])
    assert hand.learner.bind() is None
    assert hand.learner.said == "move /fader a little further: it has sent nothing but 0.5"


def test_vectors_words_and_own_addresses() -> None:
    hand = Hand()
    hand.learner.choose("look.grain")
    for n in range(20):
        hand.wait(0.02)
        hand.learner.hear("/walk/speed", [n / 10])
        hand.learner.hear("/words", ["0.5"])
        hand.learner.hear("/xy", ["left", 0.5, n / 19])
    assert hand.learner.bind() == [{"from": "/xy", "to": "look.grain", "arg": 3}]


def test_pads_buttons_and_encoders() -> None:
    hand = Hand()
    for name, values, expected in (
        ("walk.nudge", [1, 0], {}),
        ("walk.nudge", [99], {"in": [0.0, 99.0]}),
        ("stage.blackout", [1, 0, 1, 0], {"mode": "toggle"}),
        ("look.grain", [1, 1, 127, 127, 1], {"mode": "relative", "encoder": "twos"}),
        ("look.grain", [65, 63, 62, 66], {"mode": "relative", "encoder": "offset"}),
        ("look.grain", [1, -1, 1], {"mode": "relative", "encoder": "plain"}),
    ):
        address = f"/control/{name}/{values[0]}/{len(values)}"
        hand.learner.choose(name)
        for value in values:
            hand.wait(0.1)
            hand.learner.hear(address, [value])
        assert hand.learner.bind() == [{"from": address, "to": name, **expected}], hand.learner.said


def test_a_continuous_control_fires_a_trigger_from_its_middle_on() -> None:
    hand = Hand()
    hand.learner.choose("walk.nudge")
    hand.move("/pressure", 0, 1)
    assert hand.learner.bind() == [{"from": "/pressure", "to": "walk.nudge", "threshold": 0.5}]


def test_binding_again_takes_the_place_and_clear_takes_away() -> None:
    hand = Hand('[[map]]\nfrom = "/old"\nto = "look.grain"\n[[map]]\nfrom = "/old"\nto = "look.drift"\n')
    hand.learner.choose("look.grain")
    hand.move("midi:cc/1/74", 0, 127)
    assert hand.learner.bind() == [{"from": "midi:cc/1/74", "to": "look.grain"}]
    assert [e.source for e in hand.learner.bound] == ["midi:cc/1/74"]
    hand.learner.clear()
    assert hand.learner.bound == [] and [e.to for e in hand.learner.table.entries] == ["look.drift"]


def test_another_control_can_be_meant_and_all_is_shown() -> None:
    hand = Hand()
    hand.learner.choose("look.grain")
    hand.move("/a", 0, 1)
    hand.move("/b", 0, 0.5)
    assert hand.learner.moving is not None and hand.learner.moving.address == "/b"
    hand.learner.other()
    assert hand.learner.moving.address != "/b"
    lines = hand.learner.lines(0.25)
    assert lines[1] == f"look.grain  ({hand.learner.names.index('look.grain') + 1} of {len(hand.learner.names)}): " \
        "a number from 0 to 1, now 0.25"  # fmt: skip
    place = hand.learner.names.index("look.grain")
    hand.learner.next()
    hand.learner.previous()
    hand.learner.previous()
    assert hand.learner.param.name == hand.learner.names[place - 1]
    with pytest.raises(ValueError, match=r"walk\.sped cannot be moved"):
        hand.learner.choose("walk.sped")


def test_usual_ranges_and_encoders() -> None:
    assert usual(0.01, 0.98) == (0, 1) and usual(-0.97, 1) == (-1, 1) and usual(3, 250) == (0, 255)
    assert usual(0.2, 0.7) == (0.2, 0.7) and usual(31.41592, 80) == (31.42, 80)
    assert encoder_of([1, 65, 2]) == "sign" and encoder_of([0, 1]) is None and encoder_of([1]) is None


SHOW = """\
# mine, and dear to me
[[map]]   # the first
from = "/a"   # by the door
to = "walk.speed"

# about the second
[[map]]
from = "/b"
to = "/look/grain"

[look]
# dull
grain = 0.1 # yes
"""


def test_comments_stay_and_what_is_cleared_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "show.toml"
    path.write_text(SHOW)
    write_maps(path, "look.drift", [{"from": "/c", "to": "look.drift", "in": [0.0, 127.0]}])
    assert [line for line in SHOW.splitlines() if line not in path.read_text().splitlines()] == []
    assert tomllib.loads(path.read_text())["map"][2] == {"from": "/c", "to": "look.drift", "in": [0.0, 127.0]}
    write_maps(path, "look.drift", [])
    assert path.read_text() == SHOW
    write_maps(path, "look.grain", [{"from": "/d", "to": "look.grain"}])
    assert path.read_text() == SHOW.replace('from = "/b"\nto = "/look/grain"', 'from = "/d"\nto = "look.grain"')
    write_maps(path, "walk.speed", [])
    text = path.read_text()
    assert text.startswith("# mine, and dear to me\n\n# about the second\n[[map]]\n") and "/a" not in text


def test_a_file_that_cannot_be_edited_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "show.toml"
    for text in ("[[map]\n", 'map = [{ from = "/a", to = "walk.speed" }]\n', "map = 3\n"):
        path.write_text(text)
        with pytest.raises(EditError, match=r"show\.toml cannot be edited: .*; correct it by hand first"):
            write_maps(path, "walk.speed", [{"from": "/b", "to": "walk.speed"}])
        assert path.read_text() == text
    with pytest.raises(EditError, match="cannot be written"):
        write_maps(tmp_path / "none.toml", "walk.speed", [])


@pytest.mark.parametrize("name", ["stage", "house", "gallery"])
def test_every_shipped_show_can_be_copied_and_learn(tmp_path: Path, name: str) -> None:
    shipped = configs_dir() / f"{name}.toml"
    before = shipped.read_text()
    assert is_shipped(shipped) and not is_shipped(tmp_path / "x.toml")
    file = LearnFile(shipped, tmp_path)
    file.save("walk.speed", [{"from": "/fader", "to": "walk.speed"}])
    file.save("look.grain", [{"from": "/fader/2", "to": "look.grain", "in": [0.0, 127.0]}])
    file.close()
    assert shipped.read_text() == before and file.path == tmp_path / f"{name}.toml"
    learnt = {entry.to: entry.source for entry in load_show(file.path).things["map"].entries}
    assert learnt["walk.speed"] == "/fader" and learnt["look.grain"] == "/fader/2"
    assert set(before.splitlines()) <= set(file.path.read_text().splitlines())
    assert own_copy(shipped, tmp_path).name == f"{name}-2.toml"


def test_keys_do_what_the_screen_says(tmp_path: Path) -> None:
    path = tmp_path / "show.toml"
    path.write_text(SHOW)
    hand, file = Hand(), LearnFile(path, tmp_path)
    hand.learner.choose("look.drift")
    assert obey(hand.learner, file, "down") and obey(hand.learner, file, "up") and not obey(hand.learner, file, "f")
    hand.move("/z", 0, 1)
    obey(hand.learner, file, "enter")
    file.close()
    assert 'from = "/z"\nto = "look.drift"' in path.read_text()
    obey(hand.learner, file, "x")
    file.close()
    assert path.read_text() == SHOW and f"look.drift: cleared in {path}" in file.said
