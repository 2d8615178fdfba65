"""The panel's page in a real browser, against the panel's real web server (stand_in.py): what hands and eyes need."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engine.panel.server import as_jpeg
from engine.play.panel import as_address
from engine.play.panel_messages import Picture, Update
from tests.panel.conftest import CHROMIUM
from tests.panel.stand_in import StandIn, rows

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect

PICTURE = as_address(as_jpeg(Picture(2, 2, bytes(12))))
LISTS = {
    "materials": [{"name": name, "prompt": ""} for name in ("clouds", "storm", "pulp", "fire", "memory", "ghosts")],
    "presets": ["calm", "storm"],
    "cues": [{"number": 1, "name": "opening"}, {"number": 2, "name": "a whale"}],
    "memories": [{"id": 12, "name": "a torn letter", "kept": 0, "picture": PICTURE}],
}
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
DESK = {"viewport": {"width": 1280, "height": 900}}

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="there is no /usr/bin/chromium here")


@pytest.fixture
def show() -> Iterator[StandIn]:
    with StandIn(lists=LISTS) as show:
        yield show


@contextmanager
def opened(browser: "playwright.Browser", address: str, **how: object) -> Iterator["playwright.Page"]:
    """A page that has heard the show; whatever goes wrong in it fails the test."""
    context = browser.new_context(**(how or DESK))
    page = context.new_page()
    page.set_default_timeout(10_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address, wait_until="domcontentloaded")
    expect(page.locator("#desk")).to_be_enabled(timeout=10_000)
    page.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")  # keys count now
    yield page
    context.close()
    assert not errors


def fader(page: "playwright.Page", name: str) -> "playwright.Locator":
    return page.locator(f'.fader[data-name="{name}"]')


def row_of(page: "playwright.Page", name: str) -> "playwright.Locator":
    return page.locator(f'.param[data-name="{name}"]')


def grip(page: "playwright.Page", name: str) -> tuple[float, float, float]:
    """Where a fader's slug is, and how far its travel goes: x, y, width in pixels."""
    fader(page, name).scroll_into_view_if_needed()
    slug = fader(page, name).locator(".slug").bounding_box()
    box = fader(page, name).bounding_box()
    assert slug and box
    return slug["x"] + slug["width"] / 2, slug["y"] + slug["height"] / 2, box["width"] - slug["width"]


def test_a_fader_that_is_dragged_sets_its_parameter(browser: "playwright.Browser", show: StandIn) -> None:
    with opened(browser, show.address) as page:
        x, y, width = grip(page, "walk.radius")  # at 1, its end
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x - width / 2, y, steps=5)
        page.mouse.up()
        last = show.wait(lambda orders: bool(orders) and abs(orders[-1][2] - 0.5) < 0.01)[-1]
        assert last[:2] == ("set", "walk.radius")
        expect(fader(page, "walk.radius")).to_have_attribute("aria-valuenow", str(last[2]).removesuffix(".0"))


def test_the_network_moves_faders_words_and_switches(browser: "playwright.Browser", show: StandIn) -> None:
    with opened(browser, show.address) as page:
        before = grip(page, "walk.radius")[0]
        show.values({"walk.radius": 0.25, "walk.pause": True, "material.clouds.prompt": "a red barn in the snow",
                     "blend.transition": "pulp"})  # fmt: skip
        expect(fader(page, "walk.radius")).to_have_attribute("aria-valuetext", "0.25")
        expect(page.get_by_role("switch", name="Pause", exact=True)).to_have_attribute("aria-checked", "true")
        expect(page.get_by_label("the words of clouds", exact=True)).to_have_value("a red barn in the snow")
        expect(page.locator('.choice[data-name="blend.transition"] input[value="pulp"]')).to_be_checked()
        now, _, width = grip(page, "walk.radius")
        assert before - now == pytest.approx(0.75 * width, abs=2)


def test_what_is_under_the_hand_is_not_moved_by_the_network(browser: "playwright.Browser", show: StandIn) -> None:
    with opened(browser, show.address) as page:
        x, y, width = grip(page, "walk.radius")
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x - width / 4, y, steps=3)
        show.wait(lambda orders: bool(orders) and abs(orders[-1][2] - 0.75) < 0.01)
        show.values({"walk.radius": 0.1, "walk.focus": 0.3})
        expect(fader(page, "walk.focus")).to_have_attribute("aria-valuetext", "0.30")  # what came with it has arrived
        assert float(fader(page, "walk.radius").get_attribute("aria-valuenow") or 0) > 0.7
        page.mouse.up()
        expect(fader(page, "walk.radius")).to_have_attribute("aria-valuetext", "0.10")  # the show has the last word


def test_keys_step_finely_and_go_back_to_the_shows_own_value(browser: "playwright.Browser", show: StandIn) -> None:
    with opened(browser, show.address) as page:
        fader(page, "walk.pedesis").focus()
        for key, value in (("ArrowRight", 0.31), ("Shift+ArrowRight", 0.311), ("PageDown", 0.211), ("End", 1),
                           ("Delete", 0.3)):  # fmt: skip
            page.keyboard.press(key)
            expect(fader(page, "walk.pedesis")).to_have_attribute("aria-valuenow", str(value))
        orders = show.wait(lambda orders: bool(orders) and orders[-1] == ("set", "walk.pedesis", 0.3))
        assert {order[1] for order in orders} == {"walk.pedesis"}
        fader(page, "walk.dwell").focus()
        page.keyboard.press("Home")
        show.wait(lambda orders: orders[-1] == ("set", "walk.dwell", 0))
        fader(page, "walk.dwell").dblclick(position={"x": 4, "y": 20})
        show.wait(lambda orders: orders[-1] == ("set", "walk.dwell", 1))


def test_a_typed_number_must_be_one_that_the_show_takes(browser: "playwright.Browser", show: StandIn) -> None:
    with opened(browser, show.address) as page:
        box = page.get_by_label("Speed, exactly")
        box.fill("fast")
        box.press("Enter")
        expect(page.locator("#told")).to_have_text("walk.speed must be a number from 0 to 4 phase/s, got “fast”.")
        assert not show.orders
        box.fill("0,75")
        box.press("Enter")
        assert show.wait(lambda orders: bool(orders)) == [("set", "walk.speed", 0.75)]
        expect(fader(page, "walk.speed")).to_have_attribute("aria-valuenow", "0.75")


def test_words_are_set_by_enter_and_a_draft_is_not_overwritten(browser: "playwright.Browser", show: StandIn) -> None:
    with opened(browser, show.address) as page:
        words = page.get_by_label("the words of fire", exact=True)
        words.fill("a letter that burns")
        show.values({"material.fire.prompt": "somebody else's fire", "walk.radius": 0.5})
        expect(fader(page, "walk.radius")).to_have_attribute("aria-valuetext", "0.50")
        expect(words).to_have_value("a letter that burns")
        expect(page.get_by_text("not sent yet").locator("visible=true")).to_have_count(1)
        words.press("Enter")
        assert show.wait(lambda orders: bool(orders)) == [("set", "material.fire.prompt", "a letter that burns")]
        expect(page.get_by_text("not sent yet").locator("visible=true")).to_have_count(0)
        words.fill("never mind")
        words.press("Escape")
        expect(words).to_have_value("a letter that burns")


def test_a_list_that_changes_leaves_what_somebody_is_writing(browser: "playwright.Browser", show: StandIn) -> None:
    with opened(browser, show.address) as page:
        box = page.get_by_label("A memory to visit")
        box.press_sequentially("an hour")
        show.tell(Update(lists={"memories": [{"id": 13, "name": "", "kept": 9, "picture": ""}, *LISTS["memories"]]}))
        expect(page.get_by_role("button", name="Visit memory 13")).to_contain_text("without words")
        painted = page.get_by_role("button", name="Visit memory 12, a torn letter").locator("img")
        assert painted.evaluate("image => image.complete && image.naturalWidth") == 2
        page.keyboard.type(" ago")
        page.keyboard.press("Enter")
        assert show.wait(lambda orders: bool(orders)) == [("call", "memory.recall", "an hour ago")]


def test_what_is_pressed_and_said_reaches_the_show(browser: "playwright.Browser", show: StandIn) -> None:
    with opened(browser, show.address) as page:
        page.get_by_label("A phrase for the picture").fill("a whale")
        page.get_by_role("button", name="Say", exact=True).click()
        page.get_by_role("button", name="Preset calm").click()
        page.get_by_label("A name to store the present values under").fill("mine")
        page.get_by_role("button", name="Store", exact=True).click()
        page.locator("#next-cue").click()
        page.get_by_role("button", name="Go to cue 2, a whale").click()
        page.get_by_role("button", name="Visit memory 12").click()
        page.get_by_role("button", name="Record", exact=True).click()
        show.status(recording=True)
        page.get_by_role("button", name="End the recording").click()
        page.locator("#blackout").click()
        page.locator("#panic").click()
        expected = [
            ("call", "say", "a whale"), ("call", "preset.recall", "calm"), ("call", "preset.store", "mine"),
            ("fire", "cue.go", 1.0), ("call", "cue.goto", "2"), ("call", "memory.recall", "12"),
            ("fire", "record.start", 1.0), ("fire", "record.stop", 1.0), ("set", "stage.blackout", True),
            ("fire", "show.panic", 1.0),
        ]  # fmt: skip
        found = show.wait(lambda orders: len(orders) >= len(expected))
        assert sorted(map(str, found)) == sorted(map(str, expected))
        expect(page.locator("#blackout")).to_have_attribute("aria-pressed", "true")


def test_the_present_cue_is_marked_and_the_next_one_named(browser: "playwright.Browser", show: StandIn) -> None:
    with opened(browser, show.address) as page:
        expect(page.locator("#next-cue")).to_contain_text("opening")
        show.status(cue_place=1)
        expect(page.locator("#next-cue")).to_contain_text("a whale")
        expect(page.locator('[aria-current="step"]')).to_contain_text("opening")
        show.status(cue_place=2)
        expect(page.locator("#next-cue")).to_contain_text("that was the last")


def test_two_browsers_agree(browser: "playwright.Browser", show: StandIn) -> None:
    with opened(browser, show.address) as one, opened(browser, show.address) as other:
        x, y, width = grip(one, "walk.focus")
        one.mouse.move(x, y)
        one.mouse.down()
        one.mouse.move(x - width * 0.4, y, steps=8)
        one.mouse.up()
        there = fader(one, "walk.focus").get_attribute("aria-valuenow")
        assert there is not None and 0.55 < float(there) < 0.65
        expect(fader(other, "walk.focus")).to_have_attribute("aria-valuenow", there)
        show.tell(Update(lists={"presets": ["calm", "storm", "found later"]}))
        for page in (one, other):
            expect(page.get_by_role("button", name="Preset found later")).to_be_visible()


def test_on_a_phone_a_touch_moves_nothing_and_a_drag_goes_on_from_there(
    browser: "playwright.Browser", show: StandIn
) -> None:
    with opened(browser, show.address, **PHONE) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        for name in ("blackout", "panic", "next-cue"):
            box = page.locator(f"#{name}").bounding_box()
            assert box and box["height"] >= 48 and box["width"] >= 90 and box["y"] + box["height"] <= 740
        small = page.evaluate(
            "[...document.querySelectorAll('button, .fader, summary, .choice label')]"
            ".filter((e) => e.checkVisibility())"
            ".filter((e) => e.getBoundingClientRect().height < 40).map((e) => e.outerHTML.slice(0, 80))"
        )
        assert small == []
        fader(page, "walk.pedesis").scroll_into_view_if_needed()
        box = fader(page, "walk.pedesis").bounding_box()
        assert box
        x, y = box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2
        page.touchscreen.tap(x, y)
        fingers = page.context.new_cdp_session(page)

        def finger(kind: str, x: float = 0.0) -> None:
            points = [] if kind == "touchEnd" else [{"x": x, "y": y}]
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        finger("touchStart", x)
        for step in range(1, 9):
            finger("touchMove", x - step * box["width"] * 0.02)
        finger("touchEnd")
        values = [order[2] for order in show.wait(lambda orders: bool(orders) and orders[-1][2] < 0.16)]
        assert max(values) <= 0.3  # it began where the fader stood, not where the finger was
        finger("touchStart", x)
        show.wait(lambda orders: orders[-1] == ("set", "walk.pedesis", 0.3))  # a long press: the show's own value
        finger("touchEnd")


def test_it_comes_back_by_itself_and_says_so(browser: "playwright.Browser", show: StandIn) -> None:
    with opened(browser, show.address) as page:
        words = page.get_by_label("the words of fire", exact=True)
        words.fill("typed before it went")
        show.stop()
        expect(page.get_by_role("alert")).to_contain_text("The show is away.")
        expect(page.get_by_role("alert")).to_contain_text("What you typed is kept here")
        for control in (page.locator("#panic"), words, page.get_by_role("switch", name="Pause", exact=True)):
            expect(control).to_be_disabled()
        fader(page, "walk.radius").focus()
        page.keyboard.press("Home")
        expect(fader(page, "walk.radius")).to_have_attribute("aria-valuenow", "1")
        show.known["walk.radius"] = 0.4
        show.start()
        expect(page.locator("#desk")).to_be_enabled(timeout=15_000)
        expect(page.get_by_role("alert")).to_have_count(0)
        expect(fader(page, "walk.radius")).to_have_attribute("aria-valuetext", "0.40")
        expect(words).to_have_value("typed before it went")
        assert not show.orders
        words.press("Enter")
        assert show.wait(lambda orders: bool(orders)) == [("set", "material.fire.prompt", "typed before it went")]


def test_whatever_is_shown_is_text(browser: "playwright.Browser") -> None:
    evil = "<img src=x onerror=\"document.title='caught'\"><script>document.title='caught'</script>"
    params = [{**row, "doc": evil, "unit": evil} if row["name"] == "walk.radius" else row for row in rows()]
    lists = {**LISTS, "presets": [evil], "cues": [{"number": 1, "name": evil}],
             "memories": [{"id": 1, "name": evil, "kept": evil, "picture": evil}],
             "learn": {"on": True, "name": evil, "lines": [evil]}}  # fmt: skip
    log = [{"time": 0.0, "level": "WARNING", "text": evil}]
    with StandIn(params, lists, log=log) as show, opened(browser, show.address) as page:
        show.values({"material.clouds.prompt": evil})
        show.status(visiting=evil, health={"ok": False, "why": [evil]})
        show.refuse("walk.radius", evil)
        expect(page.locator("#told")).to_have_text(evil)
        expect(page.get_by_label("the words of clouds", exact=True)).to_have_value(evil)
        expect(page.locator("#log li")).to_contain_text(evil)
        expect(page.locator("#health")).to_have_text(evil)
        assert page.locator("body script, img:not(#picture)").count() == 0
        assert page.title() == "For hands, Pedesis"


def test_a_token_leaves_the_address_bar_and_a_wrong_one_is_said(browser: "playwright.Browser") -> None:
    with StandIn(lists=LISTS, token="correct-horse") as show:
        with opened(browser, show.address) as page:
            assert page.url == f"http://127.0.0.1:{show.port}/"
            page.reload(wait_until="domcontentloaded")
            expect(page.locator("#desk")).to_be_enabled()
        context = browser.new_context(**DESK)
        page = context.new_page()
        page.goto(show.address.replace("correct", "wrong"), wait_until="domcontentloaded")
        expect(page.get_by_role("alert")).to_contain_text("Open the address that the show prints", timeout=15_000)
        context.close()


def test_the_picture_is_made_only_while_somebody_looks(browser: "playwright.Browser", show: StandIn) -> None:
    with opened(browser, show.address, **PHONE) as page:
        for _ in range(100):
            show.picture(bytes([200, 120, 40]) * (64 * 36), 64, 36)
            page.wait_for_timeout(50)
            if page.locator("#no-picture").is_hidden():
                break
        assert show.looking == [True]
        page.locator("#journal").scroll_into_view_if_needed()
        picture = page.locator("#picture")
        expect(picture).to_have_attribute("src", "icon.svg")
        for _ in range(100):  # the server finds out when it sends the next picture
            show.picture(bytes([200, 120, 40]) * (64 * 36), 64, 36)
            page.wait_for_timeout(50)
            if show.looking == [True, False]:
                break
        page.evaluate("scrollTo(0, 0)")
        expect(picture).to_have_attribute("src", re.compile("/stream.mjpg"))
        assert show.looking[:2] == [True, False]


def test_controls_are_found_by_their_words(browser: "playwright.Browser", show: StandIn) -> None:
    with opened(browser, show.address) as page:
        page.keyboard.press("/")
        page.keyboard.type("grain film")
        expect(page.locator("#found")).to_have_text("One control found.")
        expect(row_of(page, "look.grain")).to_be_visible()
        expect(row_of(page, "walk.speed")).to_be_hidden()
        page.keyboard.press("Escape")
        expect(row_of(page, "walk.speed")).to_be_visible()


def test_everything_can_be_named_and_reached_by_keyboard(browser: "playwright.Browser", show: StandIn) -> None:
    with opened(browser, show.address) as page:
        page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        bare = page.evaluate(
            "[...document.querySelectorAll('button, input, textarea, select, [role=slider]')]"
            ".filter((e) => e.checkVisibility())"
            ".filter((e) => !(e.ariaLabel || e.textContent.trim() || e.labels?.length)).map((e) => e.outerHTML)"
        )
        assert bare == []
        page.locator("#blackout").focus()
        page.keyboard.press("Space")
        assert show.wait(lambda orders: bool(orders)) == [("set", "stage.blackout", True)]


def test_another_show_takes_the_place_of_the_first(browser: "playwright.Browser", show: StandIn) -> None:
    with opened(browser, show.address) as page:
        shorter = [row for row in show.params if row["group"] in ("walk", "stage")]
        show.lists |= {"materials": [], "presets": [], "cues": [], "memories": []}
        show.begin(shorter)
        expect(page.locator("#cues")).to_be_hidden()
        expect(page.locator("#materials")).to_be_hidden()
        expect(page.locator("details.group")).to_have_count(3)
        show.values({"walk.radius": 0.5})
        expect(fader(page, "walk.radius")).to_have_attribute("aria-valuetext", "0.50")


def test_a_control_is_learnt(browser: "playwright.Browser", show: StandIn) -> None:
    with opened(browser, show.address) as page:
        page.locator("#learn").click()
        page.get_by_role("button", name="Learn a control for Focus").click()
        assert show.wait(lambda orders: bool(orders)) == [("learn", "walk.focus", "start")]
        show.tell(Update(lists={"learn": {"on": True, "name": "walk.focus", "lines": ["move a control"]}}))
        expect(page.locator("#learning")).to_contain_text("move a control")
        page.get_by_role("button", name="Done").click()
        assert show.wait(lambda orders: len(orders) > 1)[-1] == ("learn", "walk.focus", "stop")
