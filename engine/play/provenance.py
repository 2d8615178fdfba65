"""Everything the bytes of a film depend on: a film is only resumed as the same film, and made again from its note.

Usage: `known = provenance_of(show, size, fps, frames, renderer)`; `changes(before, known)`. Plain values; any process,
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
from engine.dreamer import guide_files, models
from engine.show.config import Show
from engine.show.machine import usable_cpus
from engine.show.paths import shaders_dir

LIBRARIES = ("torch", "diffusers", "transformers", "numpy", "moderngl", "av")
_SAMPLE_BYTES = 1 << 16
# Not in the film, or told apart, as what a torn text says is.
_ELSEWHERE = ("osc.", "window.", "program.", "stage.overlay", "film.width", "film.height", "film.fps",
              "pulp.source")  # fmt: skip
_PLAYED = {"preset": "the presets", "cue": "the cues", "lfo": "the LFOs", "score": "the score"}
_TOLD = 3  # changes that are told one by one
MACHINE = (
    "the renderer",
    "the number of CPUs",
    "OMP_NUM_THREADS",
    "the version of Pedesis",
    *(f"the version of {name}" for name in LIBRARIES),
    "the engine's code",
    "the shaders",
)  # what no setting brings back


def provenance_of(show: Show, size: tuple[int, int], fps: Fraction, frames: int, renderer: str) -> dict[str, Any]:
    """Names and plain values, JSON-able. size: of the film in pixels; renderer: as OpenGL names it.

    What the dreamer's arithmetic is, device and precision, is known only once it is ready, and told apart from this.
    Raises ModelError, OSError.
    """
    return {
        "--size": list(size),
        "--fps": str(fps),
        "the number of frames": frames,
        "the materials": [m.name for m in show.materials],
        **{name: value for name, value in show.values.items() if not name.startswith(_ELSEWHERE)},
        **{what: _hash(repr(show.things[name])) for name, what in _PLAYED.items() if show.things.get(name)},
        "window.fit": show.stage.fit,
        "the renderer": renderer,
        "the number of CPUs": usable_cpus(),  # how many threads add a sum up shows in its last bits
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        "the version of Pedesis": __version__,
        **{f"the version of {name}": version(name) for name in LIBRARIES},
        "the engine's code": digest_of(Path(__file__).parent.parent.rglob("*.py")),
        "the shaders": digest_of(f for f in shaders_dir().rglob("*") if f.suffix != ".md"),
        "the model's files": digest_of(_model_files(show)),
        **({"the files added to the model": digest_of(added)} if (added := list(_added_files(show))) else {}),
    }


def changes(before: Mapping[str, Any], now: Mapping[str, Any], among: Iterable[str] | None = None) -> str:
    """What is not as it was, in a clause; empty when everything is. among: the names to look at, or all."""
    now = json.loads(json.dumps(now))
    looked_at = {**before, **now} if among is None else among
    names = [name for name in looked_at if before.get(name) != now.get(name)]
    said = [
        f"{name} ({before.get(name)}, now {now.get(name)})" if _is_short(before.get(name), now.get(name)) else name
        for name in names[:_TOLD]
    ]
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return ", ".join(said) + more


def _is_short(*values: Any) -> bool:
    return all(len(str(value)) <= 24 for value in values)


def model_mark(show: Show) -> str:
    """The model's name and a digest of its files: another model, or another version of one, has another mark.

    Raises OSError.
    """
    try:
        digest = digest_of(_model_files(show))
    except models.ModelError as error:
        raise OSError(str(error)) from error
    decoder, scheduler = show.model.decoder or "", show.model.scheduler or ""
    parts = (show.model.name, digest[:12], decoder, scheduler, _recipe(show), show.model.scheduler_options)
    return " ".join(part for part in parts if part)


def _recipe(show: Show) -> str:
    return "" if show.model.recipe == "none" else show.model.recipe


def _model_files(show: Show) -> Iterable[Path]:
    path = models.find(show.model.name, show.model.decoder).path
    yield from path.rglob("*") if path.is_dir() else [path]
    if show.model.decoder:
        yield from models.find_decoder(show.model.decoder).rglob("*")


def _added_files(show: Show) -> Iterable[Path]:
    """Of LoRAs, embeddings, a ControlNet and an IP-Adapter. Raises ModelError."""
    yield from (Path(one.file) for table in ("lora", "embedding") for one in show.things.get(table, ()))
    if show.model.control:
        yield from guide_files.find_control(show.model.control).rglob("*")
    if show.model.adapter:
        place = guide_files.find_adapter(show.model.adapter, show.model.adapter_encoder)
        yield place.file
        yield from place.encoder.rglob("*")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def digest_of(files: Iterable[Path]) -> str:
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
