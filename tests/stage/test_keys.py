"""Keys go by what is printed on them, wherever a layout has them."""

from types import SimpleNamespace

import glfw
import pytest

from engine.stage.keys import key_name


def keyboard(printed: dict[int, str]) -> SimpleNamespace:
    """A GLFW with a layout: what is printed on the key that an American keyboard has there."""
    return SimpleNamespace(**vars(glfw) | {"get_key_name": lambda key, scancode: printed.get(key)})


@pytest.mark.parametrize(
    ("place", "printed", "name"),
    [
        ("F", "f", "f"),
        ("Q", "a", "a"),  # French
        ("Y", "z", "z"),  # German
        ("U", "f", "f"),  # Dvorak has it under the thumb's reach
        ("SEMICOLON", "m", "m"),  # French has M where others have punctuation
        ("M", ",", None),
        ("F", "а", "f"),  # Cyrillic: no Latin letter is printed, so the place decides
        ("F", "φ", "f"),
        ("F", "ب", "f"),
        ("F", None, "f"),  # a system that does not say
        ("SPACE", None, "space"),
        ("ESCAPE", None, "escape"),
        ("F5", None, "f5"),
        ("LEFT_SHIFT", None, None),
        ("KP_5", "5", "5"),
    ],
)
def test_a_key_is_what_is_printed_on_it(place: str, printed: str | None, name: str | None) -> None:
    key = getattr(glfw, f"KEY_{place}")
    assert key_name(keyboard({key: printed} if printed else {}), key, 0) == name
