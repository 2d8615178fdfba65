"""The language files: what is said to visitors."""

import logging
import re
from pathlib import Path

import pytest

from engine.show.language import Language
from engine.show.paths import configs_dir


def wrote(folder: Path, text: str | bytes, name: str = "xx") -> list[Path]:
    (folder / "docent").mkdir(exist_ok=True)
    (folder / "docent" / f"{name}.toml").write_bytes(text.encode() if isinstance(text, str) else text)
    return [folder]


def test_english_is_whole_and_fills_in_what_is_told() -> None:
    english = Language.load()
    assert english.name == "en"
    assert english.say("caption.between", a="a cloud", b="a page") == "between *a cloud* and *a page*"
    assert english.keys("weekday") == ["1", "2", "3", "4", "5", "6", "7"]
    assert english.has("caption.one") and not english.has("caption.none_such")
    assert english.say("no.such.key") == "no.such.key"


@pytest.mark.parametrize("file", sorted((configs_dir() / "docent").glob("*.toml")), ids=lambda f: f.stem)
def test_a_language_that_we_bring_needs_no_warning(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert Language.load(file.stem).name == file.stem
    assert caplog.messages == []


def test_what_is_told_is_never_taken_for_a_place_or_for_code() -> None:
    said = Language("xx", {"k": "{a} {b.__class__} {b}"}).say("k", a="{b}", b="z")
    assert said == "{b} {b.__class__} z"


def test_a_missing_sentence_is_said_in_english_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    language = Language.load("xx", wrote(tmp_path, '[caption]\nbetween = "zwischen *{a}* und *{b}*"\n'))
    assert language.say("caption.between", a=1, b=2) == "zwischen *1* und *2*"
    assert language.say("day.today") == "today"
    assert len(caplog.messages) == 1 and "said in English" in caplog.messages[0]


@pytest.mark.parametrize(
    "text",
    ["[caption\n", b"\xff\xfe\x00", b"\x00" * 600_000, "a = " + "[" * 5000],
    ids=["torn", "not UTF-8", "too large", "too deep"],
)
def test_a_damaged_file_is_english(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str | bytes) -> None:
    language = Language.load("xx", wrote(tmp_path, text))
    assert language.name == "en" and language.say("day.today") == "today"
    assert len(caplog.messages) == 1 and "English is spoken" in caplog.messages[0]


@pytest.mark.parametrize("name", ["../en", "zz", "", "en/..", "a" * 99])
def test_a_language_that_is_not_there_is_english(name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert Language.load(name).name == "en"
    assert len(caplog.messages) == 1 and caplog.records[0].levelno == logging.WARNING


def test_a_sentence_with_a_strange_place_or_of_another_kind_is_english(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = '[caption]\none = "{b}"\nbetween = 7\nmany = "{a} allein"\nbetwen = "x"\n'
    language = Language.load("xx", wrote(tmp_path, text))
    assert language.say("caption.one", a="x") == "*x*"
    assert language.say("caption.between", a="x", b="y") == "between *x* and *y*"
    assert language.say("caption.many", a="x") == "x allein", "a place may be left out"
    told = "\n".join(caplog.messages)
    assert re.search(r"caption\.one may have \{a\}, got \{b\}", told)
    assert "caption.between must be text" in told and "Did you mean caption.between?" in told
