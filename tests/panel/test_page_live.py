"""The panel's page beside a real show: hands in a browser and a controller that speaks OSC move it, and each other."""

import json
from collections.abc import Iterator

import pytest

from tests.panel.conftest import CHROMIUM
from tests.panel.evening import Evening
from tests.panel.rig import hear
from tests.panel.test_page import DESK, expect, fader, grip, playwright

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="there is no /usr/bin/chromium here")


@pytest.fixture(scope="module")
def page(evening: Evening, browser: "playwright.Browser") -> Iterator["playwright.Page"]:
    context = browser.new_context(**DESK)
    page = context.new_page()
    page.goto(evening.url, wait_until="domcontentloaded")
    expect(page.locator("#desk")).to_be_enabled(timeout=15_000)
    yield page
    context.close()


def test_a_fader_moves_the_show_and_osc_says_so(evening: Evening, page: "playwright.Page") -> None:
    x, y, width = grip(page, "walk.dwell")  # at 1, its end
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - width / 2, y, steps=4)
    page.mouse.up()
    evening.until(lambda: abs(float(evening.target("walk.dwell")) - 0.5) < 0.01, "the fader's value")
    evening.send("/walk/dwell")  # without a value: it is asked for
    answers: list[object] = []
    evening.until(lambda: answers.extend(evening.heard("/walk/dwell")) or answers, "the answer over OSC")
    assert answers[0] == pytest.approx(0.5, abs=0.01)


def test_osc_moves_a_fader(evening: Evening, page: "playwright.Page") -> None:
    evening.send("/walk/pedesis", 0.8)
    expect(fader(page, "walk.pedesis")).to_have_attribute("aria-valuetext", "0.80")


def test_a_fader_goes_back_to_where_the_show_has_it(evening: Evening, page: "playwright.Page") -> None:
    own = evening.player.show.values["walk.wander"]
    assert own != evening.player.show.registry["walk.wander"].default
    evening.send("/walk/wander", 1.0)
    expect(fader(page, "walk.wander")).to_have_attribute("aria-valuenow", "1")
    fader(page, "walk.wander").press("Delete")
    evening.until(lambda: evening.target("walk.wander") == own, "the show's own value")


def test_typed_words_change_the_palette(evening: Evening, page: "playwright.Page") -> None:
    dreamer = evening.dreamer
    evening.until(lambda: dreamer.given, "a first dream")
    before = dreamer.given[-1].palette
    words = page.locator("#materials textarea").first
    words.fill("a red barn in the snow")
    words.press("Enter")
    evening.until(lambda: dreamer.given[-1].palette != before, "a dream of the new words")
    wanted = {palette.id: palette for palette in dreamer.palettes}
    assert "a red barn in the snow" in wanted[dreamer.given[-1].palette].prompts


def test_the_picture_on_stage_is_seen(page: "playwright.Page") -> None:
    expect(page.locator("#no-picture")).to_be_hidden(timeout=10_000)
    expect(page.locator("#picture")).to_be_visible()


def test_a_hand_at_one_page_is_seen_at_another_before_the_show_has_said_so(evening: Evening) -> None:
    with evening.page() as one, evening.page() as other:
        hear(one, "hello"), hear(other, "hello")
        told = 0
        for n in range(20):
            one.send(json.dumps({"type": "set", "name": "look.grain", "value": (n + 1) / 100}))
            told += hear(other, "values")["values"] == {"look.grain": (n + 1) / 100}
        assert told == 20, "what was sent is seen, each before the next, and nothing older in between"
        one.send(json.dumps({"type": "set", "name": "look.grain", "value": 7.0}))
        assert "look.grain" in hear(one, "refused")["name"]
    assert evening.target("look.grain") == 0.2
