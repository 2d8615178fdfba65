"""Type of every script, from the fonts that are there."""

from pathlib import Path

import numpy as np
import pytest

from engine.stage import typeset as module
from engine.stage.fonts import Fonts, read_face
from engine.stage.typeset import Measure, NotSet, Setting, typeset

NONE = Fonts([])  # Pillow's own Latin remains
SCRIPTS = {
    "Latin": "a face half seen in clouds",
    "Greek": "ένα πρόσωπο στα σύννεφα",
    "Arabic": "وجه نصف مرئي في غيوم المساء",
    "Hebrew": "פנים שנראות למחצה בעננים",
    "Chinese": "云中半隐的脸，金色的傍晚",
    "Devanagari": "सुनहरे शाम के बादलों में आधा दिखता चेहरा",
}


@pytest.fixture(scope="module")
def fonts() -> Fonts:
    return Fonts.of_system()


def set_in(fonts: Fonts, text: str, **more: object) -> Setting:
    """As a scrap would be; skips where no font here has the script."""
    try:
        return typeset(text, fonts, Measure(**({"em_px": 24.0, "width_px": 200.0} | more)))  # type: ignore[arg-type]
    except NotSet as error:
        if "no font" in error.reason or "raqm" in error.reason:
            pytest.skip(error.reason)
        raise


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_set_in_even_lines_that_fit(fonts: Fonts, script: str) -> None:
    setting = set_in(fonts, SCRIPTS[script])
    assert setting.ink.dtype == np.uint8 and setting.ink.max() > 200
    assert setting.ink.shape[1] <= 204 and setting.whole and setting.lines == 2
    assert setting.rightward == (script not in ("Arabic", "Hebrew"))
    halves = setting.ink[: len(setting.ink) // 2], setting.ink[len(setting.ink) // 2 :]
    widths = [int(np.ptp(np.flatnonzero(half.max(axis=0)))) for half in halves]
    assert min(widths) > 0.5 * max(widths)


def test_words_that_run_the_other_way_stand_in_their_place(fonts: Fonts) -> None:
    both, latin = set_in(fonts, "שלום ab", width_px=400.0), set_in(fonts, "ab", width_px=400.0)
    wide = latin.ink.shape[1]
    left = both.ink[:, :wide].astype(float).sum(axis=0)
    assert np.abs(left - latin.ink.astype(float).sum(axis=0)).mean() < 40, "in a Hebrew line Latin comes last, leftmost"
    assert not both.rightward


def test_letters_of_arabic_are_joined(fonts: Fonts) -> None:
    joined, apart = set_in(fonts, "سماء"), set_in(fonts, "س م ا ء")
    assert joined.ink.shape[1] < 0.9 * apart.ink.shape[1]


def test_what_no_font_has_is_no_box(fonts: Fonts) -> None:
    with pytest.raises(NotSet, match="no font here has these Arabic letters"):
        typeset("وجه and more", NONE, Measure(20, 200))
    reasons = set()
    for text in ("云中", "半隐的脸"):
        with pytest.raises(NotSet) as refused:
            typeset(text, NONE, Measure(20, 200))
        reasons.add(refused.value.reason)
    assert len(reasons) == 1, "one reason is told once"
    plain, with_sign = typeset("ab", NONE, Measure(20, 200)), typeset("a\U0001f419b", NONE, Measure(20, 200))
    assert np.array_equal(plain.ink, with_sign.ink), "a sign that is no letter is left out"


def test_without_raqm_only_what_needs_it_is_refused(fonts: Fonts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "can_shape", lambda: False)
    with pytest.raises(NotSet, match="Arabic needs Pillow with raqm"):
        typeset("سماء", fonts, Measure(20, 200))
    assert typeset("torn pages", NONE, Measure(20, 200)).whole
    assert not set_in(fonts, "פנים").rightward


def test_too_much_text_is_torn_off_or_ends_in_dots() -> None:
    text = "once upon a time and a very good time it was there was a moocow coming down along the road " * 3
    torn = typeset(text, NONE, Measure(20, 200, most_lines=3))
    dotted = typeset(text, NONE, Measure(20, 200, most_lines=3, dots=True))
    assert torn.lines == dotted.lines == 3 and not torn.whole and not dotted.whole
    assert max(torn.ink.shape[1], dotted.ink.shape[1]) <= 202
    assert not np.array_equal(torn.ink, dotted.ink)
    long = typeset("Donaudampfschifffahrtsgesellschaftskapitaensmuetze", NONE, Measure(20, 200))
    assert long.lines > 1 and long.ink.shape[1] <= 204, "a word wider than a line is parted"


def test_what_stands_between_asterisks_leans(fonts: Fonts) -> None:
    upright = set_in(fonts, "torn pages", emphasis=True, style="sans")
    leaning = set_in(fonts, "*torn pages*", emphasis=True, style="sans")
    if fonts.face("torn", "sans", True) == fonts.face("torn", "sans"):
        pytest.skip("there are no italics here")
    assert not np.array_equal(upright.ink, leaning.ink)
    assert abs(leaning.ink.shape[1] - upright.ink.shape[1]) < 30, "the asterisks themselves are not shown"


ANYTHING = ["", " \n\t", "\0\x1b[31m", "\ud800", "\u202e\u202d", "\u0301" * 50]
ANYTHING += ["a" * 100_000, "a\u0301" * 300, "*" * 50, "\U0001f600"]


@pytest.mark.parametrize("text", ANYTHING, ids=range(len(ANYTHING)))
def test_anything_at_all_is_set_or_refused(fonts: Fonts, text: str) -> None:
    for emphasis in (False, True):
        try:
            setting = typeset(text, fonts, Measure(12, 100, emphasis=emphasis))
        except NotSet as error:
            assert error.reason
        else:
            assert setting.ink.size and setting.ink.shape[1] <= 110


def test_a_damaged_font_is_passed_over(tmp_path: Path, fonts: Fonts) -> None:
    face = fonts.face("abc", "serif")
    assert face is not None
    whole = face.path.read_bytes() if face.path.is_file() else b""
    for n, data in enumerate((b"", b"not a font at all", b"\0\1\0\0" + b"\xff" * 400, whole[:700])):
        (tmp_path / f"{n}.ttf").write_bytes(data)
    files = [*sorted(tmp_path.glob("*.ttf")), tmp_path / "gone.ttf"]
    assert all(read_face(file) is None for file in files)
    assert typeset("torn", Fonts(files), Measure(20, 200)).whole
