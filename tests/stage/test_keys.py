"""Keys go by what is printed on them: layouts as GLFW tells of them."""

import pytest

from engine.stage.keys import Keys

AMERICAN = "abcdefghijklmnopqrstuvwxyz0123456789"


class FakeGlfw:
    """Numbers keys by their American places, and knows what another layout prints there."""

    def __init__(self, printed: dict[str, str | bytes | None]) -> None:
        self._printed = printed

    def __getattr__(self, name: str) -> int:
        if not name.startswith("KEY_"):
            raise AttributeError(name)
        key = name.removeprefix("KEY_").lower()
        return ord(key) if len(key) == 1 else 1000 + sum(ord(c) * (i + 1) for i, c in enumerate(key))

    def get_key_name(self, key: int, scancode: int) -> str | bytes | None:
        place = chr(scancode)
        return self._printed.get(place, place)


LAYOUTS: dict[str, tuple[dict[str, str | bytes | None], dict[str, str | None]]] = {
    "American": ({}, {c: c for c in AMERICAN}),
    "as bytes": ({"f": b"f"}, {"f": "f"}),
    "French": (
        {"q": "a", "a": "q", "w": "z", "z": "w", "m": ",", ";": "m", "1": "&", "2": "é", "0": "à"},
        {"q": "a", "a": "q", "m": None, ";": "m", "f": "f", "1": "1", "2": "2", "0": "0"},
    ),
    "German": ({"y": "z", "z": "y", ";": "ö", "-": "ß"}, {"y": "z", "z": "y", ";": None, "h": "h"}),
    "Dvorak": (
        {"f": "u", "y": "f", "b": "x", "n": "b", "s": "o", ";": "s", "h": "d", "j": "h", "q": "'", "w": ","},
        {"f": "u", "y": "f", "n": "b", ";": "s", "j": "h", "m": "m", "q": None, "w": None},
    ),
    "Turkish F": ({"e": "ğ", "d": "e", "i": "ı"}, {"e": None, "d": "e", "i": None}),
    "Russian": ({"f": "а", "b": "и", "s": "ы", "h": "р", "m": "ь", ";": "ж"}, {c: c for c in "fbshm"} | {";": None}),
    "Greek": ({"f": "φ", "b": "β", "s": "σ", "h": "η", "m": "μ"}, {c: c for c in "fbshm"}),
    "Arabic": ({"f": "ب", "b": "لا", "s": "س", "h": "ا", "m": "ة"}, {c: c for c in "fbshm"}),
    "Thai": ({"f": "ด", "b": "ิ", "s": "ห", "h": "้", "m": "ท"}, {c: c for c in "fbshm"}),
    "none known": ({c: None for c in AMERICAN}, {c: c for c in AMERICAN}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_key_is_named_by_what_is_printed_on_it(layout: str) -> None:
    printed, expected = LAYOUTS[layout]
    glfw = FakeGlfw(printed)
    keys = Keys(glfw)
    for place, name in expected.items():
        key = ord(place) if place in AMERICAN else 5
        assert keys.name(key, ord(place)) == name, place


def test_keys_without_a_character_go_by_their_place() -> None:
    glfw = FakeGlfw({})
    keys = Keys(glfw)
    named = {"ESCAPE": "escape", "SPACE": "space", "LEFT": "left", "F11": "f11", "ENTER": "enter"}
    assert {name: keys.name(getattr(glfw, f"KEY_{name}"), 32) for name in named} == named
    assert keys.name(-1, 0x2603) is None
    assert keys.name(-1, ord("b")) == "b", "a key that GLFW does not know, and the layout does"
