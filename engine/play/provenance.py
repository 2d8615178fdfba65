"""Everything the bytes of a film hang on, so that a film that ended early is only gone on with as the same film.

Usage: `made_of = origin(show, size, fps, frames, renderer)`; `changed(before, made_of)`. Plain values; any process,
torch-free.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engine import __version__
from engine.dreamer import models
from engine.show.config import Show
from engine.show.paths import shaders_dir

LIBRARIES = ("torch", "diffusers", "transformers", "numpy", "moderngl", "av")
_SAMPLE_BYTES = 1 << 16
_ELSEWHERE = ("osc.", "window.", "program.", "film.width", "film.height", "film.fps")  # not in the film, or told apart
_TOLD = 3  # changes that are told one by one


def origin(show: Show, size: tuple[int, int], fps: Fraction, frames: int, renderer: str) -> dict[str, Any]:
    """Names and plain values, JSON-able. size: of the film in pixels; renderer: as OpenGL names it. Which device
    "auto" is for the dreamer is not among them: only torch could tell. Raises ModelError, OSError."""
    return {
        "the renderer": renderer,
        "the number of cores": os.cpu_count(),  # how many threads add a sum up is in its last bits
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        "the version of Pedesis": __version__,
        "the engine's code": _digest(Path(__file__).parent.parent.rglob("*.py")),
        "the shaders": _digest(shaders_dir().rglob("*")),
        **{f"the version of {name}": version(name) for name in LIBRARIES},
        "--size": list(size),
        "--fps": str(fps),
        "the number of frames": frames,
        "the model's files": _digest(_model_files(show)),
        "the materials": [m.name for m in show.materials],
        **{f"material.{m.name}.prompt": m.prompt for m in show.materials},
        **{name: value for name, value in show.values.items() if not name.startswith(_ELSEWHERE)},
        "window.fit": show.stage.fit,
    }


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What is not as it was, in a clause; empty when everything is."""
    now = json.loads(json.dumps(now))
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    said = [
        f"{name} ({before.get(name)}, now {now.get(name)})" if _is_short(before.get(name), now.get(name)) else name
        for name in names[:_TOLD]
    ]
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return ", ".join(said) + more


def _is_short(*values: Any) -> bool:
    return all(len(str(value)) <= 24 for value in values)


def _model_files(show: Show) -> Iterable[Path]:
    yield from models.find(show.model.name).path.rglob("*")
    if show.model.decoder:
        yield from models.find_decoder(show.model.decoder).rglob("*")


def _digest(files: Iterable[Path]) -> str:
    """Of the files' names, sizes and three samples of each: gigabytes of weights are not read to the end. Not of
    hidden ones, which an editor or a file manager leaves."""
    sum_ = hashlib.sha256()
    for file in sorted(f for f in files if f.is_file() and not f.name.startswith(".")):
        size = file.stat().st_size
        sum_.update(os.fsencode(file.name) + f"\0{size}\0".encode())
        with file.open("rb") as opened:
            for at in (0, max(0, size - _SAMPLE_BYTES) // 2, max(0, size - _SAMPLE_BYTES)):
                opened.seek(at)
                sum_.update(opened.read(_SAMPLE_BYTES))
    return sum_.hexdigest()[:32]
