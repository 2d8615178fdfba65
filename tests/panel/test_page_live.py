"""The panel's page, its server's process and a show, together: a player stepped by hand, a browser, and OSC.

Only the dreamer is a stand-in, which encodes all words at once and paints one colour.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from engine.control.clock import LockstepClock
from engine.control.message import decode
from engine.control.send import encode
from engine.panel.worker import main
from engine.play import live
from engine.play.live import LiveOptions, Player
from engine.walk.palette import Palette
from tests.panel.test_page import CHROMIUM, DESK, browser, expect, fader, grip, playwright  # noqa: F401
from tests.play.test_player import FPS, FlatDreamer, quiet_show

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="there is no /usr/bin/chromium here")


class Reader(FlatDreamer):
    """Encodes all words at once."""

    palettes: tuple[Palette, ...] = ()

    def set_palettes(self, palettes: object) -> None:
        self.palettes = tuple(palettes)  # type: ignore[arg-type]
        self.status.palettes = frozenset(palette.id for palette in self.palettes)


class Evening:
    """A show with a panel, a browser that looks at it, and a controller that speaks OSC."""

    def __init__(self, player: Player, page: "playwright.Page") -> None:
        self.player, self.page = player, page
        self.controller = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.controller.bind(("127.0.0.1", 0))
        self.controller.setblocking(False)

    def until(self, holds: Callable[[], object], what: str) -> None:
        """Plays on until something holds."""
        for _ in range(1500):
            self.player.step()
            self.player.clock.advance()  # type: ignore[attr-defined]
            if holds():
                return
            self.page.wait_for_timeout(8)
        raise AssertionError(f"it never came: {what}")

    def send(self, address: str, *values: float) -> None:
        packet = encode(address, [("f", value) for value in values])
        assert self.player.osc is not None
        self.controller.sendto(packet, ("127.0.0.1", self.player.osc.port))

    def heard(self, address: str) -> list[object]:
        """What came back for an address; empty where nothing did."""
        try:
            while True:
                name, arguments = decode(self.controller.recv(4096))[:2]
                if name == address and arguments:
                    return list(arguments)
        except BlockingIOError:
            return []


@pytest.fixture
def evening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, browser: "playwright.Browser") -> Iterator[Evening]:  # noqa: F811
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(live, "DreamerProcess", Reader)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    show = quiet_show()
    show = replace(show, osc=replace(show.osc, enabled=True, host="127.0.0.1", port=0),
                   values={**show.values, "panel.port": port})  # fmt: skip
    context = browser.new_context(**DESK)
    page = context.new_page()
    with ExitStack() as stack:
        how = LiveOptions(headless=True, size=(192, 108), out=tmp_path, panel=main)
        player = Player(show, how, LockstepClock(FPS), stack)
        evening = Evening(player, page)
        stack.callback(evening.controller.close)
        stack.callback(context.close)
        evening.until(lambda: player.panel.address, "the panel")
        page.goto(player.panel.address["address"], wait_until="domcontentloaded")  # type: ignore[index]
        evening.until(lambda: page.locator("#desk").is_enabled(), "the show, on the page")
        yield evening


def test_a_fader_moves_the_show_and_osc_says_so(evening: Evening) -> None:
    page, player = evening.page, evening.player
    x, y, width = grip(page, "walk.radius")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - width / 2, y, steps=4)
    page.mouse.up()
    evening.until(lambda: abs(float(player.conductor.controls.target("walk.radius")) - 0.5) < 0.01, "the fader's value")
    evening.send("/walk/radius")  # without a value: it is asked for
    answers: list[object] = []
    evening.until(lambda: answers.extend(evening.heard("/walk/radius")) or answers, "the answer over OSC")
    assert answers[0] == pytest.approx(0.5, abs=0.01)


def test_osc_moves_a_fader(evening: Evening) -> None:
    evening.send("/walk/pedesis", 0.8)
    evening.until(lambda: fader(evening.page, "walk.pedesis").get_attribute("aria-valuetext") == "0.80", "the fader")


def test_a_fader_goes_back_to_where_the_show_has_it(evening: Evening) -> None:
    player, own = evening.player, evening.player.show.values["walk.wander"]
    assert own != player.show.registry["walk.wander"].default
    evening.send("/walk/wander", 1.0)
    evening.until(lambda: fader(evening.page, "walk.wander").get_attribute("aria-valuenow") == "1", "the fader")
    fader(evening.page, "walk.wander").press("Delete")
    evening.until(lambda: player.conductor.controls.target("walk.wander") == own, "the show's own value")


def test_typed_words_change_the_palette(evening: Evening) -> None:
    page, player = evening.page, evening.player
    dreamer = player.dreamer
    assert isinstance(dreamer, Reader)
    evening.until(lambda: dreamer.given, "a first dream")
    before = dreamer.given[-1].palette
    words = page.locator("#materials textarea").first
    words.fill("a red barn in the snow")
    words.press("Enter")
    evening.until(lambda: dreamer.given[-1].palette != before, "a dream of the new words")
    wanted = {palette.id: palette for palette in dreamer.palettes}
    assert "a red barn in the snow" in wanted[dreamer.given[-1].palette].prompts


def test_the_picture_on_stage_is_seen(evening: Evening) -> None:
    evening.until(lambda: evening.page.locator("#no-picture").is_hidden(), "the picture")
    expect(evening.page.locator("#picture")).to_be_visible()
