"""The names of the transitions, without OpenGL.

Usage: `list_transitions()`. Any process, any thread.
"""

from pathlib import Path

from engine.show.paths import shaders_dir

FALLBACK_TRANSITION = "dissolve"  # what plays in place of one that is not there or broken


def list_transitions(folder: Path | None = None) -> list[str]:
    """Names of the transitions in a shaders folder (our own by default), sorted. Opens no file."""
    place = (folder or shaders_dir()) / "transitions"
    return sorted(file.stem for file in place.glob("*.glsl"))
