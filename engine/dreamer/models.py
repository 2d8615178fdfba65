"""Which model dreams: find it, check it, list what is there; the built-in one is "house".

Usage: `place = find("stabilityai/sd-turbo")` -> ModelPlace, or ModelError with one sentence and its cure.
Any process; torch-free; never touches the network (hub.py does). Weights are safetensors or nothing: opening a pickle
runs whatever its maker wrote into it, and so would a model folder that brings code of its own.
"""

import importlib.util
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.dreamer.about import HOUSE, PICKLES, about_bytes, about_file, about_folder, about_nothing, about_part
from engine.dreamer.checkpoint import CheckpointError, Layout, addition, no_vocabulary, read_header, read_layout
from engine.dreamer.families import FAMILIES, config, decoder_fault, is_fast, why_not
from engine.show.errors import CannotStart
from engine.show.files import open_regular, read_text_bounded
from engine.show.paths import house_model_dir

_INDEX = "model_index.json"
LIBRARIES = ("diffusers", "transformers")
# Parts that have no weights; transformers 5 saves what was a PreTrainedTokenizerFast as a TokenizersBackend.
_TOKENIZERS = ("Tokenizer", "TokenizerFast", "TokenizersBackend")
WEIGHTLESS = (*_TOKENIZERS, "Scheduler", "Processor", "FeatureExtractor", "Guidance")
_PARTS = {n for f in FAMILIES.values() for n in (*f.readers, f.network, f.decoder, "scheduler")}
NEVER_LOADED = ("safety_checker", "feature_extractor", "image_encoder")  # never loaded for dreaming
_LONGEST_JSON = 10_000_000
_LONGEST_HEADER = 100_000_000  # bytes; the safetensors library refuses longer ones
# The names that the libraries look for, with a variant before or after the number of one of several files.
_WEIGHTS = re.compile(
    r"(?P<stem>model|diffusion_pytorch_model)(\.(?P<variant>\w+))?(?P<shard>-\d{5}-of-\d{5})?(\.(?P<old>\w+))?\.safetensors"
)
_ANOTHER = "look for a copy of this model with safetensors weights"


class ModelError(CannotStart):
    """A model that cannot be used: one sentence, with the cure."""


@dataclass(frozen=True)
class ModelPlace:
    """A checked model: a folder in diffusers layout, or one file that holds all of it."""

    name: str
    path: Path
    source: str  # "house", "folder", "file" or "cache"
    pipeline: str  # diffusers class, e.g. "StableDiffusionPipeline"
    components: dict[str, tuple[str, str]] = field(default_factory=dict)  # part -> (library, class)
    layout: Layout | None = None  # of a file

    def files(self, part: str) -> list[Path]:
        """The files that hold a part's weights."""
        if self.layout is not None:
            return [self.path] if self.layout.sizes.get(part) else []
        folder = self.path / part
        return [folder / name for name in weights(p.name for p in folder.glob("*"))]

    def part_bytes(self, part: str) -> int:
        """Size of a part's weights."""
        return weight_bytes(self.path / part) if self.layout is None else self.layout.sizes.get(part, 0)

    @property
    def why_not(self) -> str | None:
        """Why it cannot be walked, and what to do about it; None if it can."""
        if self.layout is not None:
            return no_vocabulary(self.layout)
        return why_not(self.pipeline, self.components, self.path)

    @property
    def notes(self) -> list[str]:
        """What to know before it dreams: what was guessed of it, what lies beside it and is not used."""
        if self.layout is not None:
            return [self.layout.note] if self.layout.note else []
        return unused(self.path)


def find(name: str, decoder: str | None = None) -> ModelPlace:
    """The model of that name, which can be walked: "house", a folder, a file, or a repository in the Hugging Face
    cache. Never downloads. Raises ModelError for what cannot be walked, before anything large is read.

    decoder: what takes the place of its own, which may then be missing.
    """
    place = look(name, decoder)
    if fault := place.why_not:
        raise ModelError(f"{name}: {fault}")
    if decoder:
        if not place.layout and "vae" not in place.components:
            raise ModelError(f"{name}: this model has no decoder that another could replace; leave out model.decoder")
        own = place.layout.configs["vae"] if place.layout else config(place.path / "vae")
        if fault := decoder_fault(own, read_json(decoder, find_decoder(decoder) / "config.json")):
            raise ModelError(f"model.decoder cannot be {decoder}: {fault}")
    return place


def look(name: str, decoder: str | None = None) -> ModelPlace:
    """The model of that name, with whole files; whether it can be walked is another question (why_not)."""
    path, source = _place(name)
    if source == "file":
        if (fault := safetensors_fault(path)) is not None:
            raise ModelError(f"{name}: it {fault}; copy or download it again")
        try:
            layout = read_layout(path, _cached_snapshots(), bool(decoder))
        except CheckpointError as error:
            raise ModelError(f"{name}: {error}") from error
        return ModelPlace(name, path, source, layout.pipeline, layout.components, layout)
    pipeline, components = read_index(name, path)
    for part, (_, kind) in components.items():
        if part not in NEVER_LOADED and not kind.endswith(WEIGHTLESS):
            check_part(name, path / part)
    return ModelPlace(name, path, source, pipeline, components)


def find_decoder(name: str) -> Path:
    """The folder of a decoder on its own (an AutoencoderTiny, such as madebyollin/taesd). Never downloads."""
    path, _ = _place(name, "config.json")
    check_part(name, path)
    return path


def check_part(name: str, folder: Path) -> None:
    """Raises ModelError unless the folder holds a network: a readable config.json and whole safetensors.

    Checked before anything starts: otherwise the dreamer would start in vain, again and again, and say it in other
    words each time.
    """
    _check_weights(name, folder)
    if not (folder / "config.json").is_file():
        raise ModelError(f"{name}: {folder.name}/ has weights but no config.json; {_cure(name)}")
    read_json(name, folder / "config.json")


def _check_weights(name: str, folder: Path) -> None:
    names = sorted(p.name for p in folder.glob("*"))
    files = weights(names)
    for file in files:
        if (fault := safetensors_fault(folder / file)) is not None:
            raise ModelError(f"{name}: {folder.name}/{file} {fault}; {_cure(name, broken=True)}")
    if not files:
        raise ModelError(f"{name}: {why_no_weights(folder.name, names, _cure(name))}")


def why_no_weights(part: str, names: Iterable[str], cure: str) -> str:
    """What to say of a part of a model that has no weights that are read. names: of its files."""
    other = next((n for n in names if n.endswith(".safetensors")), None)
    pickle = next((n for n in names if n.endswith(PICKLES)), None)
    if other:
        return f"{part}/ has weights under another name than the libraries look for ({other}); {_ANOTHER}"
    if pickle:
        return f"{part}/ has only pickled weights ({pickle}), which can run code and are never loaded; {_ANOTHER}"
    return f"{part}/ has no weights (*.safetensors); {cure}"


def weights(names: Iterable[str]) -> list[str]:
    """Of the files of one part, those with the weights that are read: each number once, at full precision if it is
    there, else at half. No pickles, no copies for training (non_ema), nothing for other programs."""
    found = [m for n in names if (m := _WEIGHTS.fullmatch(n))]
    for variant, old in ((None, None), ("fp16", None), (None, "fp16")):
        files = [m for m in found if (m["variant"], m["old"]) == (variant, old)]
        whole, shards = ([m for m in files if bool(m["shard"]) == cut] for cut in (False, True))
        # where there are both, transformers reads the whole and diffusers the shards
        first, second = (whole, shards) if files and files[0]["stem"] == "model" else (shards, whole)
        if files:
            return sorted(m.string for m in first or second)
    return []


def safetensors_fault(file: Path) -> str | None:
    """What is wrong with a safetensors file, from its header and length alone; None if nothing is."""
    try:
        length = file.stat().st_size
        with open_regular(file) as stream:
            start = stream.read(8)
            head = int.from_bytes(start, "little")
            if length < 8 or head > min(length - 8, _LONGEST_HEADER):
                what = about_bytes(start + stream.read(24))
                return f"is {what}" if what else f"is cut short, or not a safetensors file ({length} bytes)"
            header = stream.read(head)
    except OSError as error:  # a link in the cache to what is no longer there, among others
        return f"cannot be read ({error.strerror or error})"
    try:
        ends = [entry["data_offsets"][1] for key, entry in json.loads(header).items() if key != "__metadata__"]
        whole = 8 + head + max(ends, default=0)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return "has a header that cannot be read"
    return None if whole == length else f"should have {whole} bytes but has {length}"


def _cure(name: str, broken: bool = False) -> str:
    """How to get a whole copy of a model in which a file is missing or, if `broken`, damaged."""
    if name == HOUSE:
        return "reinstall Pedesis"
    if Path(name).expanduser().is_dir():
        return "copy or download the model again"
    again = f"run `pedesis models fetch {name}`"
    # The hub's cache takes a file that is there for a good one and would not download it again.
    return f"delete {_cache() / ('models--' + name.replace('/', '--'))}, then {again}" if broken else again


def list_models() -> list[ModelPlace]:
    """What can dream without a download: the built-in model and the pipelines in the Hugging Face cache."""
    places = []
    for name in [HOUSE, *_cached_repositories()]:
        try:
            places.append(find(name))
        except ModelError:
            continue
    return places


def inspect(name: str) -> dict[str, Any]:
    """What is known of a model: pipeline, fast path or not, parts with classes and bytes, licence; why it cannot be
    walked, or None; and notes."""
    place = look(name)
    parts = {
        part: {"class": kind, "library": library, "bytes": place.part_bytes(part)}
        for part, (library, kind) in place.components.items()
    }
    return {
        "name": place.name,
        "path": str(place.path),
        "source": place.source,
        "family": place.layout.title if place.layout else None,
        "pipeline": place.pipeline,
        "sampled": _sampling(place),
        "fast_path": is_fast(place.pipeline),
        "components": parts,
        "bytes": sum(p["bytes"] for p in parts.values()),
        "licence": _licence(place.path),
        "why_not": place.why_not,
        "notes": place.notes,
    }


def _sampling(place: ModelPlace) -> str | None:
    """How a checkpoint in one file is sampled, which such a file does not say; a show's model.recipe goes over it."""
    if place.layout is None:
        return None
    said = place.layout.configs["scheduler"]
    kind, spacing = place.components["scheduler"][1], said.get("timestep_spacing", "leading")
    return f"{kind}, {spacing} steps, predicts {said.get('prediction_type', 'epsilon')}"


def unused(folder: Path) -> list[str]:
    """What is said of weights that lie beside a model and are not part of it, such as a LoRA; one sentence a file."""
    said = []
    for file in sorted(folder.glob("*.safetensors")):
        what = addition(read_header(file)) or "a model of its own"
        said.append(f"{file.name} lies beside the model's parts and is not used: it is {what}")
    return said


def _place(name: str, wanted: str = _INDEX) -> tuple[Path, str]:
    if name == HOUSE:
        path = house_model_dir()
        if not (path / wanted).is_file():
            raise ModelError(f"the built-in model is missing from {path}; reinstall Pedesis, or name another model")
        return path, "house"
    try:
        path = Path(name).expanduser()
        if path.is_file():
            if path.suffix.lower() == ".safetensors" and wanted == _INDEX:
                return path, "file"
            raise ModelError(f"{name}: {about_file(path, wanted)}")
        if path.is_dir():
            if not (path / wanted).is_file():
                raise ModelError(f"{name}: {about_folder(path, wanted)}")
            return path, "folder"
    except (OSError, RuntimeError) as error:  # a folder that may not be opened, a name that is too long, no home
        raise ModelError(f"{name}: cannot be opened ({first_line(error)})") from error
    if name.startswith((".", "/", "~")) or name.count("/") != 1 or name.endswith(".safetensors"):
        raise ModelError(f"{name}: {about_nothing(name, path)}")
    return _cached(name, wanted), "cache"


def _cached(repository: str, wanted: str) -> Path:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(repository, wanted)
    except HFValidationError as error:
        said = f"{repository}: there is no such folder, and a Hugging Face repository cannot have this name"
        raise ModelError(said) from error
    if not isinstance(found, str):
        single = try_to_load_from_cache(repository, "config.json") if wanted == _INDEX else None
        if isinstance(single, str) and (part := about_part(Path(single).parent)):
            raise ModelError(f"{repository}: {part}")
        raise ModelError(
            f"{repository}: not on this machine; `pedesis models fetch {repository}` downloads it, "
            f"or use the built-in model ({HOUSE!r})"
        )
    return Path(found).parent


def _cache() -> Path:
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def _cached_snapshots() -> Iterator[Path]:
    """Folders of what is in the cache."""
    return _cache().glob("models--*--*/snapshots/*")


def _cached_repositories() -> list[str]:
    folders = sorted(_cache().glob("models--*--*"))
    return [f.name.removeprefix("models--").replace("--", "/", 1) for f in folders]


def read_index(name: str, path: Path) -> tuple[str, dict[str, tuple[str, str]]]:
    """A model folder's pipeline class, and its parts: name -> (library, class)."""
    index = read_json(name, path / "model_index.json")
    pipeline = index.get("_class_name")
    if isinstance(pipeline, list):
        raise ModelError(f"{name}: its pipeline is code of its own ({pipeline[0]}.py), which Pedesis never runs")
    if not isinstance(pipeline, str) or not pipeline.isidentifier():
        raise ModelError(f"{name}: _class_name in model_index.json must be a pipeline class, got {pipeline!r}")
    components: dict[str, tuple[str, str]] = {}
    for part, entry in index.items():
        if part.startswith("_") or not isinstance(entry, list):
            continue
        if len(entry) != 2 or not all(e is None or isinstance(e, str) for e in entry):
            if part not in _PARTS and not (path / part).is_dir():
                continue  # a setting of the pipeline: Krea 2 has a list of its text encoder's layers
            raise ModelError(f"{name}: {part} in model_index.json must be [library, class], got {entry!r}")
        library, kind = entry
        if library is None or kind is None:
            continue
        if not _is_known(library):
            raise ModelError(f"{name}: its {part} is code of its own ({library}.{kind}), which Pedesis never runs")
        components[part] = (library, kind)
    return pipeline, components


def _is_known(library: str) -> bool:
    """Whether a part comes from diffusers, transformers or one of diffusers' own pipeline packages."""
    if library in LIBRARIES:
        return True
    spec = importlib.util.find_spec("diffusers")  # finds the folder without importing it
    roots = list(spec.submodule_search_locations or []) if spec else []
    return library.isidentifier() and any((Path(root) / "pipelines" / library).is_dir() for root in roots)


def read_json(name: str, file: Path) -> dict[str, Any]:
    """A JSON object from a model folder, or ModelError."""
    try:
        data = json.loads(read_text_bounded(file, _LONGEST_JSON))
    except (OSError, ValueError) as error:
        said = f"{name}: {file.name} cannot be read ({first_line(error)}); {_cure(name, broken=True)}"
        raise ModelError(said) from error
    if not isinstance(data, dict):
        raise ModelError(f"{name}: {file.name} must hold a JSON object, got {type(data).__name__}")
    return data


def weight_bytes(folder: Path) -> int:
    """Size of the weights in a folder that are read."""
    return sum((folder / n).stat().st_size for n in weights(p.name for p in folder.glob("*")))


def _licence(path: Path) -> str | None:
    """From the model card's front matter, or the presence of a licence file."""
    card = path / "README.md"
    if card.is_file():
        for line in card.read_text(encoding="utf-8", errors="replace").splitlines()[:60]:
            if line.startswith(("license:", "licence:")):
                return line.split(":", 1)[1].strip() or None
    files = sorted(f.name for f in path.glob("LICEN[CS]E*"))
    return f"see {files[0]}" if files else None


def first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
