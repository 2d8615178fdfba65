"""What one is seeing, in plain words: sentences, and when they change."""

import itertools
from dataclasses import replace

import pytest

from engine.show.language import Language
from engine.walk.afloat import MOST, of_words
from engine.walk.caption import LEAST_S, Captioner, Remembered, Scene, day_of, worded
from engine.walk.palette import Palette
from engine.walk.told import LONGEST, Told, plain, told
from engine.walk.waypoint import Waypoint, Wording

EN = Language.load()
CLOUDS, PAGES, SPHERES = "a face half seen in clouds, oil on canvas", "torn pages", "glass spheres"
TUESDAY = Remembered(12, 2026, 11, 24, 2, 4)


def said(*shares: float) -> tuple[Told, ...]:
    texts = (CLOUDS, PAGES, SPHERES)
    found = [Told(text, share, n) for n, (text, share) in enumerate(zip(texts, shares, strict=False)) if share]
    return tuple(sorted(found, key=lambda part: -part.share))


@pytest.mark.parametrize(
    ("scene", "sentence"),
    [
        (Scene(said(0.9, 0.1)), "*a face half seen in clouds*"),
        (Scene(said(0.4, 0.6)), "between *a face half seen in clouds* and *torn pages*"),
        (Scene(said(0.6, 0.4)), "between *a face half seen in clouds* and *torn pages*"),
        (Scene(said(0.4, 0.3, 0.3)), "between *a face half seen in clouds*, *torn pages* and *glass spheres*"),
        (Scene(said(0.9, 0.1), focus=0.0), "nothing yet, and nearly everything"),
        (Scene(said(0.9, 0.1), focus=0.4), "*a face half seen in clouds*, not yet anything"),
        (Scene(said(0.1, 0.9), see=PAGES), "clouds, read as *torn pages*"),
        (Scene(said(0.1, 0.9), phrases=frozenset({PAGES})), "*torn pages*, as somebody said just now"),
        (Scene(said(0.5, 0.5), torn=0.8), "*a face half seen in clouds* and *torn pages*, torn to pulp"),
        (Scene(said(0.0, 0.9), torn=0.8), "*torn pages*, torn to pulp"),
        (Scene(said(0.5, 0.5), shown="latent"), "the same picture as the numbers it is made from"),
        (Scene(said(0.5, 0.5), shown="shelves"), "what it remembers, on its shelves"),
        (Scene(said(0.0, 0.9), visits=True, remembered=TUESDAY), "remembering no. 12, of last Tuesday: *torn pages*"),
        (Scene(said(0.0, 0.9), visits=True), "remembering *torn pages*"),
        (Scene(said(0.5, 0.5), travels=True, remembered=TUESDAY), "on the way to no. 12, of last Tuesday"),
        (Scene(said(0.9, 0.1), names={CLOUDS: "evening"}), "*evening*"),
        (
            Scene(said(0.9), fragments={CLOUDS: CLOUDS}),
            "“a face half seen in clouds, oil on canvas”, a scrap of a torn text",
        ),
        (Scene(said(0.0, 0.9), pulled=True), "a sheet drawn up out of the pulp: *torn pages*"),
        (Scene(()), ""),
    ],
)
def test_a_scene_is_told_in_a_sentence(scene: Scene, sentence: str) -> None:
    assert worded(scene, EN).text == sentence


@pytest.mark.parametrize(
    ("ago", "day"),
    [(0, "today"), (1, "yesterday"), (2, "the day before yesterday"), (4, "last Tuesday"), (7, "last Tuesday"),
     (8, "24 November"), (200, "24 November"), (400, "24 November 2026"), (-3, "24 November 2026")],
)  # fmt: skip
def test_a_day_is_told_as_one_would_say_it(ago: int, day: str) -> None:
    assert day_of(replace(TUESDAY, ago_days=ago), EN) == day


@pytest.mark.parametrize("about", [{}, None, 7, {"number": "x"}, {"number": 1, "more": 2}, {"number": None}])
def test_an_event_that_tells_nothing_of_a_memory(about: object) -> None:
    assert Remembered.of(about) is None


def test_a_caption_stays_long_enough_to_be_read() -> None:
    captioner, changes = Captioner(EN), []
    for k in range(1200):  # a minute in which the picture wavers between two several times a second
        time_s = k / 20
        scene = Scene(said(0.9, 0.1) if k % 7 < 3 else said(0.5, 0.5))
        captioner.tick(True, time_s, lambda scene=scene: scene)
        if not changes or changes[-1][1] != captioner.caption.text:
            changes.append((time_s, captioner.caption.text))
    assert changes[0][0] == 0.0 and changes[0][1]
    assert len(changes) == 1, "what holds for a moment only is not said"


def test_a_change_is_said_once_it_holds_and_the_shares_go_on() -> None:
    captioner, texts = Captioner(EN), []
    for k in range(400):
        share = min(max((k - 100) / 100, 0.0), 1.0)
        captioner.tick(True, k / 20, lambda share=share: Scene(said(1.0 - share, share)))
        caption = captioner.caption
        assert abs(caption.since_s - k / 20) < 1e-9 or caption.text == texts[-1][1]
        texts.append((k / 20, caption.text))
        if "between" in caption.text:
            assert caption.shares == (1.0 - share, share)
    said_in_turn = list(dict.fromkeys(text for _, text in texts))
    assert [text.count("*") for text in said_in_turn] == [2, 4, 2]
    begins = [next(t for t, text in texts if text == one) for one in said_in_turn]
    assert all(b - a >= LEAST_S for a, b in itertools.pairwise(begins))


def test_switched_off_it_goes_at_once() -> None:
    captioner = Captioner(EN)
    captioner.tick(True, 1.0, lambda: Scene(said(0.9, 0.1)))
    captioner.tick(False, 1.5, lambda: pytest.fail("nobody looks"))
    assert captioner.caption.text == "" and captioner.caption.before and captioner.caption.since_s == 1.5
    captioner.tick(True, 1.6, lambda: Scene(said(0.9, 0.1)))
    assert captioner.caption.text == "*a face half seen in clouds*"


def test_what_is_said_in_a_picture_is_told_by_its_share() -> None:
    own, other = Palette.of([CLOUDS, PAGES]), Palette.of([PAGES])
    here = Waypoint(0.0, 0, (), (0.75, 0.25), palette=own.id, beside=(Wording(other.id, (1.0,), 0.4),))
    found = told(here, {p.id: p for p in (own, other)})
    assert [(part.text, round(part.share, 3)) for part in found] == [(PAGES, 0.55), (CLOUDS, 0.45)]
    assert told(here, {}) == ()


@pytest.mark.parametrize(
    ("prompt", "short"),
    [
        ("a whale, oil on canvas, 8k, highly detailed", "a whale"),
        ("(a whale:1.2) [blurry] <lora:x:0.7>", "a whale blurry"),
        ("8k, a dog", "8k, a dog"),
        ("云中半隐的脸，金色的傍晚", "云中半隐的脸"),
        ("", ""),
        ("*,;", ""),
    ],
)
def test_a_prompt_in_short(prompt: str, short: str) -> None:
    assert plain(prompt) == short


def test_a_long_prompt_is_cut_between_words() -> None:
    short = plain("so many words " * 400)
    assert len(short) <= LONGEST and short.split()[-1] in ("so…", "many…", "words…")
    assert len(plain("云" * 900)) <= LONGEST // 2


def test_words_are_torn_into_pieces_that_keep_their_number() -> None:
    words = (Told(CLOUDS, 0.8, 3), Told(PAGES, 0.2, 4))
    pieces = of_words(words)
    assert next(piece.text for piece in pieces if piece.kind == 3).startswith("a face")
    assert "torn pages" in {piece.text for piece in pieces} and all(len(piece.text) < 30 for piece in pieces)
    assert of_words(words) == pieces and len({piece.number for piece in pieces}) == len(pieces)
    assert {piece.number for piece in of_words(words[::-1])} == {piece.number for piece in pieces}
    assert len(of_words([Told(f"one, two {n}, three", 0.01, n) for n in range(100)])) == MOST
