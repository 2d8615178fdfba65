"""The show's end of its panel, in a player stepped by hand; the process at the other end says what a test tells it."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.control.send import encode
from engine.play import live
from engine.play import panel as module
from engine.play.live import Player
from engine.play.log_tail import LogTail
from engine.play.panel import HIDDEN
from engine.play.panel_messages import Description, Order, Update
from engine.play.preview import Preview
from engine.stage.code import CodeView, printed
from engine.stage.gl import make_target, read_pixels
from tests.packets import message
from tests.play.test_player import FlatDreamer, make, press, run

READY = {"address": "http://10.0.0.5:7001/?token=abcdefgh", "network": True, "code": ["1" * 21] * 21}


class Wire:
    """In place of the link: what was sent, and what people want."""

    def __init__(self, *arguments: object, **more: object) -> None:
        self.ready: dict[str, Any] | None = READY
        self.is_new, self.looking, self.restarts = True, False, 0
        self.sent: list[Description | Update] = []
        self.wanted: list[Order] = []
        self.packets: list[bytes] = []
        self.began = self.closed = False
        self.heard = 0

    def start(self) -> None:
        self.began = True

    def send(self, said: Description | Update) -> None:
        self.is_new = self.is_new and not isinstance(said, Description)
        self.sent.append(said)

    def orders(self) -> tuple[list[Order], list[bytes]]:
        found = self.wanted, self.packets
        self.wanted, self.packets = [], []
        return found

    def watch(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def updates(self) -> list[Update]:
        return [said for said in self.sent if isinstance(said, Update)]

    def told(self, name: str) -> list[object]:
        return [said.values[name] for said in self.updates() if name in said.values]


@pytest.fixture()
def player(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Player]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(live, "DreamerProcess", FlatDreamer)
    monkeypatch.setattr(module, "PanelLink", Wire)
    monkeypatch.setattr(module, "TELL_HZ", 1e6)
    monkeypatch.chdir(tmp_path)
    with ExitStack() as stack:
        player = make(tmp_path, stack, panel=lambda *a: None)
        yield player
    assert wire(player).closed


def wire(player: Player) -> Wire:
    assert isinstance(player.panel.link, Wire)
    return player.panel.link


def want(player: Player, *orders: tuple[str, str, object], client: int = 3) -> None:
    wire(player).wanted += [Order(client, kind, name, value) for kind, name, value in orders]  # type: ignore[arg-type]
    run(player, 0.05)


def test_it_is_told_everything_once_and_then_what_changes(player: Player) -> None:
    run(player, 0.1)
    said = wire(player).sent[0]
    assert isinstance(said, Description) and said.show == "house" and said.osc_port is None
    assert not HIDDEN & {row["name"] for row in said.params} and not HIDDEN & said.values.keys()
    assert said.lists["materials"][0] == {"name": "clouds", "prompt": player.show.materials[0].prompt}
    assert sum(isinstance(each, Description) for each in wire(player).sent) == 1
    player.conductor.set("walk.speed", 1.5)
    run(player, 0.5)
    assert wire(player).told("walk.speed") == [1.5], "a fader is told where it is going, once"


def test_what_people_want_moves_the_show_and_is_part_of_a_take(player: Player) -> None:
    steered: list[tuple[str, object]] = []
    player.conductor.on_steer = lambda tick, name, value: steered.append((name, value))
    want(player, ("set", "walk.speed", 0.5), ("set", "walk.seed", 9), ("fire", "walk.nudge", 0.5),
         ("call", "say", "a whale"), ("set", "stage.blackout", True))  # fmt: skip
    assert steered == [("walk.speed", 0.5), ("walk.seed", 9), ("walk.nudge", 0.5), ("walk.nudge", 0.0),
                       ("say", "a whale"), ("stage.blackout", True)]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name", "value", "why"),
    [
        ("set", "walk.speed", "fast", "from 0 to 4"),
        ("set", "walk.speed", 99, "from 0 to 4"),
        ("set", "walk.sped", 1.0, "walk.speed"),
        ("set", "window.width", 640, "where the show begins"),
        ("set", "panel.token", "mine", "not the name"),
        ("set", "walk.jump", 1.0, "is a trigger"),
        ("fire", "walk.speed", 1.0, "is a number"),
        ("call", "walk.jump", "x", "is a trigger"),
        ("fire", "walk.jump", 7.0, "strength"),
        ("learn", "say", "start", "cannot be moved"),
        ("learn", "nothing", "start", "cannot be moved"),
    ],
)
def test_what_cannot_be_done_is_said(player: Player, kind: str, name: str, value: object, why: str) -> None:
    want(player, (kind, name, value))
    refused = [each for said in wire(player).updates() for each in said.refused]
    assert len(refused) == 1 and refused[0].client == 3 and why in refused[0].why


def test_osc_by_websocket_is_osc(player: Player) -> None:
    wire(player).packets += [encode("/walk/speed", [("f", 2.0)]), message("/material/*", 0.5), b"nonsense"]
    run(player, 0.05)
    assert player.conductor.controls.target("walk.speed") == 2.0
    assert player.conductor.controls.target("material.pulp") == 0.5


def test_presets_and_the_log_are_told(player: Player, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pedesis")
    run(player, 0.1)
    want(player, ("call", "preset.store", "mine"))
    run(player, 0.1)
    lists = [said.lists for said in wire(player).updates() if said.lists]
    assert lists[-1]["presets"] == ["mine"] and "materials" not in lists[-1]
    lines = [line["text"] for said in wire(player).updates() for line in said.log]
    assert any("stored the preset" in line for line in lines)


def test_learning_from_the_panel_binds_and_is_not_shown(player: Player, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.play.learning.STILL_S", 0.0)
    want(player, ("learn", "look.grain", "start"))
    assert player.learning is not None and not player.overlay.visible
    mapper = player.playing.inputs.mapper
    for value in (0.0, 0.3, 0.7, 1.0):
        assert mapper.tap is not None
        mapper.tap("/1/fader3", [value])
    run(player, 0.1)
    assert [entry.to for entry in mapper.table.entries] == ["look.grain"]
    mapped = [said.mapped for said in wire(player).updates() if said.mapped is not None]
    assert mapped[-1] == {"/1/fader3": "look.grain"}
    want(player, ("learn", "look.grain", "clear"))
    assert not mapper.table.entries and player.learning is None
    learn = [said.lists["learn"] for said in wire(player).updates() if "learn" in said.lists]
    assert learn[0]["on"] and learn[0]["name"] == "look.grain" and not learn[-1]["on"]


def test_keys_of_the_stage_stay_keys_while_the_panel_learns(player: Player) -> None:
    want(player, ("learn", "look.grain", "start"))
    press(player, "b")
    assert player.conductor.controls.target("stage.blackout") is True
    want(player, ("learn", "", "stop"))
    assert player.learning is None


def test_pictures_are_made_only_while_somebody_looks(player: Player) -> None:
    run(player, 1.0)
    assert not [said for said in wire(player).updates() if said.picture]
    wire(player).looking = True
    run(player, 1.0)
    pictures = [said.picture for said in wire(player).updates() if said.picture]
    assert 5 <= len(pictures) <= 9 and (pictures[0].width, pictures[0].height) == (192, 108)
    wire(player).looking = False
    run(player, 0.5)
    count = len([said for said in wire(player).updates() if said.picture])
    run(player, 0.5)
    assert len([said for said in wire(player).updates() if said.picture]) == count


def test_the_status_is_told_once_a_second(player: Player) -> None:
    run(player, 0.2)
    said = [said.status for said in wire(player).updates() if said.status]
    assert len(said) == 1 and said[0]["health"] == {"ok": True, "why": []} and said[0]["blackout"] is False
    player.dreamer.status.state, player.dreamer.status.message = "failed", "no model"
    health = module.StatusWatch(0.0).look(player, 1.0)["health"]
    assert health == {"ok": False, "why": ["the dreamer has failed: no model"]}


def test_a_new_process_is_told_everything_again(player: Player) -> None:
    run(player, 0.1)
    player.conductor.set("walk.speed", 1.5)
    run(player, 0.1)
    wire(player).is_new = True
    run(player, 0.1)
    said = [each for each in wire(player).sent if isinstance(each, Description)]
    assert len(said) == 2 and said[1].values["walk.speed"] == 1.5


def test_p_shows_the_code_in_the_window_only(player: Player) -> None:
    before = run(player, 0.1)[-1].astype(int)
    press(player, "p")
    after = run(player, 0.1)[-1].astype(int)
    middle = (slice(30, 60), slice(80, 110))
    assert np.abs(after[middle] - before[middle]).mean() > 20
    press(player, "p")
    assert np.abs(run(player, 0.1)[-1].astype(int) - before)[middle].mean() < 20


def test_without_a_panel_nothing_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "DreamerProcess", FlatDreamer)
    with ExitStack() as stack:
        player = make(tmp_path, stack)
        run(player, 0.1)
        press(player, "p")
        run(player, 0.1)
        assert player.panel.link is None and player.panel.outputs == [] and player.panel.address is None


@pytest.mark.parametrize("is_slow", [True, False])
def test_a_preview_is_the_program_made_small(ctx: Any, shaders: Any, is_slow: bool) -> None:
    target = make_target(ctx, (1280, 720), "f1")
    half = np.zeros((720, 1280, 4), np.uint8)
    half[:360] = (200, 100, 50, 255)  # the lower half, as GL counts rows from below
    target.texture.write(half.tobytes())
    preview = Preview(ctx, shaders, is_slow=is_slow)
    for n in range(4):
        preview.push(target.framebuffer, n * 1.0)
    assert preview.take() is None
    preview.is_wanted = True
    for n in range(4):
        preview.push(target.framebuffer, 10 + n * 1.0)
    picture = preview.take()
    assert picture is not None and picture.width <= 480
    assert picture.width / picture.height == pytest.approx(16 / 9, 0.02)
    pixels = np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3)
    assert np.abs(pixels[-20].astype(int) - (200, 100, 50)).max() <= 1 and pixels[20].max() <= 1
    preview.is_wanted = False
    preview.push(target.framebuffer, 20.0)
    preview.close()


def test_a_code_can_be_read_in_a_window_and_a_terminal(ctx: Any, shaders: Any) -> None:
    rows = ["10" * 10 + "1", "01" * 10 + "0"] * 10 + ["10" * 10 + "1"]
    view = CodeView(ctx, shaders)
    target = make_target(ctx, (640, 360), "f1")
    target.framebuffer.clear()
    view.show(rows, "http://10.0.0.5:7001/")
    view.render(target.framebuffer)
    assert read_pixels(target.framebuffer).max() == 0, "it is not visible yet"
    view.visible = True
    view.render(target.framebuffer)
    pixels = read_pixels(target.framebuffer)
    bright = (pixels.min(2) > 250).sum()
    assert bright > 29 * 29 * 5 * 5 / 2, "a code of 21 modules and its edge, 6 pixels a module"
    text = printed(rows)
    assert len(text.splitlines()) == 15 and "▀" in text


def test_the_tail_of_the_log_is_bounded() -> None:
    tail = LogTail()
    tail.open()
    for n in range(500):
        logging.getLogger("pedesis").warning("line %d %s", n, "x" * 1000)
    assert len(tail.kept) == len(tail.take()) == 100 and tail.take() == ()
    assert all(len(line["text"]) <= 500 for line in tail.kept)
    tail.close()
