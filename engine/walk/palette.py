"""The palette: the materials of the moment, in order, with an id by which a waypoint names them.

    palette = Palette.of(["a cloud", "a torn page"]); palette.id     # the same words are the same palette, anywhere

Plain data, any process; no torch.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Palette:
    """Prompts in the order of a waypoint's weights."""

    id: str
    prompts: tuple[str, ...]
    is_brief: bool = field(default=False, compare=False)  # what of a text does not fit a model is dropped unsaid

    @staticmethod
    def of(prompts: Sequence[str], is_brief: bool = False) -> "Palette":
        """The palette of these prompts; its id is a hash of their text."""
        text = "\0".join(prompts).encode("utf-8", "surrogatepass")
        return Palette(hashlib.sha256(text).hexdigest()[:12], tuple(prompts), is_brief)
