"""Which shaders there are, by the names of their files: no GL, nothing is parsed.

Usage: `list_transitions()` -> ["clouds", "dissolve", ...]. Any process.
"""

from pathlib import Path

from engine.show.paths import shaders_dir

FALLBACK_TRANSITION = "dissolve"


def list_transitions(folder: Path | None = None) -> list[str]:
    """Names of the transitions, sorted."""
    return sorted(file.stem for file in ((folder or shaders_dir()) / "transitions").glob("*.glsl"))


def list_natives(folder: Path | None = None) -> list[str]:
    """File names of our own passes, sorted."""
    return sorted(file.name for file in (folder or shaders_dir()).glob("*.frag"))
