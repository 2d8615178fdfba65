"""What somebody means who asks for a memory."""

from datetime import datetime

import pytest

from engine.walk.memory.recall import Asked, fitting, named, understood

NOW = datetime(2026, 11, 28, 15, 30).timestamp()


def at(*when: int) -> Asked:
    return Asked(when=datetime(*when).timestamp())  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("12", Asked(number=12)),
        (" #7 ", Asked(number=7)),
        ("", Asked()),
        ("Random", Asked()),
        ("like this", Asked(like=True)),
        ("first", Asked(first=True)),
        ("latest", Asked(latest=True)),
        ("yesterday at this hour", at(2026, 11, 27, 15, 30)),
        ("Yesterday  at 9:05", at(2026, 11, 27, 9, 5)),
        ("14:00", at(2026, 11, 28, 14, 0)),
        ("an hour ago", at(2026, 11, 28, 14, 30)),
        ("3 days ago", at(2026, 11, 25, 15, 30)),
        ("last week", at(2026, 11, 21, 15, 30)),
        ("2026-11-02", at(2026, 11, 2)),
        ("2026-11-02 08:15", at(2026, 11, 2, 8, 15)),
        ("whales ago", Asked(words="whales ago")),
        ("99:99", Asked(words="99:99")),
        ("2026-99-99", Asked(words="2026-99-99")),
        ("9999 years ago", Asked(words="9999 years ago")),
        ("A Whale", Asked(words="A Whale")),
    ],
)
def test_what_is_meant(text: str, meant: Asked) -> None:
    assert understood(text, NOW) == meant


def test_a_prompt_fits_by_the_words_it_has() -> None:
    prompts = ["a whale in the clouds", "clouds at dawn", "torn paper"]
    scores = fitting(prompts, "Whales in the clouds")
    assert set(scores) == {"a whale in the clouds", "clouds at dawn"}
    assert scores["a whale in the clouds"] == pytest.approx(1.0) and scores["clouds at dawn"] < 0.5
    assert fitting(prompts, "the of") == {} and fitting(prompts, "submarine") == {}
    assert fitting(["un café"], "CAFE") == {"un café": pytest.approx(1.0)}
    assert fitting(["雲のような船"], "雲のような船")


def test_a_kind_is_named_by_what_only_it_says() -> None:
    spheres = {"shelves of glass spheres at night": 5.0, "clouds at dawn": 1.0}
    names = named(
        {0: spheres, 3: {"clouds at dawn": 9.0}, 4: {"torn printed paper, wet": 3.0, "clouds at dawn": 2.0}, 7: {}}
    )
    assert names == {0: "glass spheres", 3: "clouds", 4: "printed paper", 7: ""}


def test_no_two_kinds_have_one_name_while_there_is_another() -> None:
    assert sorted(named({0: {"a whale in the sky": 1.0}, 1: {"a whale in the sky": 1.0}}).values()) == ["sky", "whale"]
    assert named({0: {"whale": 1.0}, 1: {"whale": 1.0}}) == {0: "whale", 1: "whale"}
