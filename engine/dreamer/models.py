"""Which model dreams: find it, check it, list what is there; the built-in one is "house".

Usage: `place = find("stabilityai/sd-turbo")` -> ModelPlace, or ModelError with one sentence and its cure.
Any process; torch-free. Only `fetch` ever touches the network. Weights are safetensors or nothing: a pickle
runs what its maker wrote into it, and so would a model folder that brings code of its own.
"""

import errno
import importlib.util
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from engine.show.errors import CannotStart
from engine.show.paths import house_model_dir

HOUSE = "house"
_LIBRARIES = ("diffusers", "transformers")
_PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
# Parts that have no weights; transformers 5 saves what was a PreTrainedTokenizerFast as a TokenizersBackend.
_TOKENIZERS = ("Tokenizer", "TokenizerFast", "TokenizersBackend")
WEIGHTLESS = (*_TOKENIZERS, "Scheduler", "Processor", "FeatureExtractor", "Guidance")
NEVER_LOADED = ("safety_checker", "feature_extractor", "image_encoder")  # never loaded for dreaming
_FETCHED = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")  # jinja: how a language model is addressed
_LONGEST_HEADER = 100_000_000  # bytes; the safetensors library refuses longer ones
_SHARD = re.compile(r"-\d{5}-of-\d{5}(?=\.)")  # one of several files of one part's weights
_FULL = (errno.ENOSPC, errno.EDQUOT)

T = TypeVar("T")


class ModelError(CannotStart):
    """A model that cannot be used: one sentence, with the cure."""


@dataclass(frozen=True)
class ModelPlace:
    """A checked model folder in diffusers layout."""

    name: str
    path: Path
    source: str  # "house", "folder" or "cache"
    pipeline: str  # diffusers class, e.g. "StableDiffusionPipeline"
    components: dict[str, tuple[str, str]] = field(default_factory=dict)  # part -> (library, class)


def find(name: str) -> ModelPlace:
    """The model of that name: "house", a folder, or a repository in the Hugging Face cache. Never downloads."""
    path, source = _place(name)
    pipeline, components = _read_index(name, path)
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

    Looked at before anything starts: what is broken here would else be found out, in other words and again and
    again, by a dreamer that is started in vain.
    """
    _check_weights(name, folder)
    if not (folder / "config.json").is_file():
        raise ModelError(f"{name}: {folder.name}/ needs a config.json beside its weights, has none; {_cure(name)}")
    read_json(name, folder / "config.json")


def _check_weights(name: str, folder: Path) -> None:
    files = sorted(folder.glob("*.safetensors"))
    names = [f.name for f in files]
    for file in files:
        # A half-precision twin is not read where the full one is, so it may be as broken as it likes.
        if file.name not in _twins(names) and (fault := safetensors_fault(file)) is not None:
            raise ModelError(f"{name}: {folder.name}/{file.name} {fault}; {_cure(name, broken=True)}")
    if files:
        return
    pickles = sorted(p.name for p in folder.glob("*") if p.suffix in _PICKLES)
    if pickles:
        raise ModelError(
            f"{name}: {folder.name}/ holds pickled weights ({pickles[0]}), which can run code and are never loaded; "
            f"convert them to safetensors or take a model that has them"
        )
    raise ModelError(f"{name}: {folder} needs *.safetensors weights, found none; {_cure(name)}")


def safetensors_fault(file: Path) -> str | None:
    """What is wrong with a safetensors file, from its header and length alone; None if nothing is."""
    try:
        length = file.stat().st_size
        with file.open("rb") as stream:
            head = int.from_bytes(stream.read(8), "little")
            if length < 8 or head > min(length - 8, _LONGEST_HEADER):
                return f"is cut short or no safetensors file ({length} bytes)"
            header = stream.read(head)
    except OSError as error:  # a link in the cache to what is no longer there, among others
        return f"cannot be read ({error.strerror})"
    try:
        ends = [entry["data_offsets"][1] for key, entry in json.loads(header).items() if key != "__metadata__"]
        whole = 8 + head + max(ends, default=0)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return "has a header that cannot be read"
    return None if whole == length else f"should have {whole} bytes and has {length}"


def _cure(name: str, broken: bool = False) -> str:
    """How to come by a whole copy of a model of which a file is missing or, if `broken`, not what it should be."""
    if name == HOUSE:
        return "install Pedesis again"
    if Path(name).expanduser().is_dir():
        return "copy or fetch the model again"
    again = f"fetch the model again (pedesis models fetch {name})"
    # The hub's cache takes a file that is there for a good one and would not download it again.
    return f"delete {_cache() / ('models--' + name.replace('/', '--'))} and {again}" if broken else again


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
    """What is known of a model: pipeline, fast path or not, parts with classes and bytes, licence."""
    place = find(name)
    parts = {
        part: {"class": kind, "library": library, "bytes": weight_bytes(place.path / part)}
        for part, (library, kind) in place.components.items()
    }
    return {
        "name": place.name,
        "path": str(place.path),
        "source": place.source,
        "pipeline": place.pipeline,
        "fast_path": is_fast(place.pipeline),
        "components": parts,
        "bytes": sum(p["bytes"] for p in parts.values()),
        "licence": _licence(place.path),
    }


def is_fast(pipeline: str) -> bool:
    """Whether a pipeline class is dreamt by our own sampler (else by its own __call__)."""
    return pipeline in (
        "StableDiffusionPipeline",
        "StableDiffusionXLPipeline",
        "LatentConsistencyModelPipeline",
    )


def fetch(repository: str, progress: Callable[[str], None] = print) -> Path:
    """Downloads a model from the Hugging Face hub (safetensors and texts only); the one place that does.

    progress: told the licence first, then what happens; the hub's own bars show the bytes.
    """
    _check_repository(repository)
    from huggingface_hub import model_info, snapshot_download

    info = _from_hub(repository, lambda: model_info(repository, files_metadata=True))
    licence = (info.card_data.get("license") if info.card_data else None) or "not stated"
    names = [s.rfilename for s in info.siblings or []]
    progress(f"{repository}: licence {licence}; see https://huggingface.co/{repository}")
    if not any(n.endswith(".safetensors") for n in names):
        raise ModelError(f"{repository}: needs safetensors weights, has none; nothing was downloaded")
    wanted: dict[str, Any] = {"allow_patterns": list(_FETCHED), "ignore_patterns": _ignored(names)}
    path = Path(_from_hub(repository, lambda: snapshot_download(repository, **wanted)))
    progress(f"{repository}: in {path}")
    return path


def _check_repository(name: str) -> None:
    """Raises ModelError unless the name could be a repository's: no use asking the network for anything else."""
    if name == HOUSE:
        raise ModelError(f"{HOUSE}: is built in, there is nothing to fetch; `pedesis run` plays it")
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
        well_formed = name.count("/") == 1
    except HFValidationError:
        well_formed = False
    if not well_formed:
        raise ModelError(
            f"{name}: needs the name of a Hugging Face repository as owner/name, such as stabilityai/sd-turbo; "
            f"a folder on this machine needs no fetching"
        )


def _from_hub(repository: str, ask: Callable[[], T]) -> T:
    """What the hub's library answers; ModelError for whatever it raises."""
    try:
        return ask()
    except Exception as error:
        # Its HTTP client's faults and its transfer's come through as they are, and with its versions both changed.
        raise ModelError(f"{repository}: {_hub_fault(error)}") from error


def _hub_fault(error: Exception) -> str:
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

    if isinstance(error, GatedRepoError):  # a kind of RepositoryNotFoundError
        return "its maker asks you to agree to terms; do so on its page at huggingface.co, then `hf auth login`"
    if isinstance(error, RepositoryNotFoundError):
        return "no such repository on the Hugging Face hub, or it is private"
    if isinstance(error, OfflineModeIsEnabled):
        cure = "HF_HUB_OFFLINE forbids it; unset that"
    elif isinstance(error, HfHubHTTPError):  # the hub was reached and answered
        cure = "try again later"
    elif isinstance(error, OSError) and error.errno in _FULL:
        cure = "make room, or set HF_HOME to a folder on a larger disk"
    elif isinstance(error, PermissionError):
        cure = "set HF_HOME to a folder that may be written to"
    else:
        cure = "is the network up?"
    return f"could not be downloaded ({first_line(error)}); {cure}"


def _ignored(names: list[str]) -> list[str]:
    """Single-file checkpoints beside a diffusers layout, and half-precision twins: the same weights again."""
    if "model_index.json" not in names:
        return []
    loose = [n for n in names if "/" not in n and n.endswith(".safetensors")]
    return loose + _twins(names)


def _twins(names: list[str]) -> list[str]:
    """Half-precision weights of which the full ones are there too."""
    whole = {_SHARD.sub("", n) for n in names if ".fp16" not in n}
    return [n for n in names if ".fp16" in n and _SHARD.sub("", n.replace(".fp16", "")) in whole]


def _place(name: str, wanted: str = "model_index.json") -> tuple[Path, str]:
    if name == HOUSE:
        path = house_model_dir()
        if not (path / wanted).is_file():
            raise ModelError(f"the built-in model is missing from {path}; install Pedesis again or name another model")
        return path, "house"
    path = Path(name).expanduser()
    if path.is_dir():
        if not (path / wanted).is_file():
            raise ModelError(f"{name}: a model folder in diffusers layout has a {wanted}, this one has none")
        return path, "folder"
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise ModelError(f"{name}: no such folder; give a folder, a Hugging Face repository (owner/name) or {HOUSE!r}")
    return _cached(name, wanted), "cache"


def _cached(repository: str, wanted: str) -> Path:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(repository, wanted)
    except HFValidationError as error:
        raise ModelError(f"{repository}: not a Hugging Face repository name (owner/name), nor a folder") from error
    if not isinstance(found, str):
        raise ModelError(
            f"{repository}: not on this machine; `pedesis models fetch {repository}` downloads it, "
            f"or use the built-in model ({HOUSE!r})"
        )
    return Path(found).parent


def _cache() -> Path:
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def _cached_repositories() -> list[str]:
    folders = sorted(_cache().glob("models--*--*"))
    return [f.name.removeprefix("models--").replace("--", "/", 1) for f in folders]


def _read_index(name: str, path: Path) -> tuple[str, dict[str, tuple[str, str]]]:
    index = read_json(name, path / "model_index.json")
    pipeline = index.get("_class_name")
    if isinstance(pipeline, list):
        raise ModelError(f"{name}: its pipeline is code of its own ({pipeline[0]}.py), which is never run")
    if not isinstance(pipeline, str) or not pipeline.isidentifier():
        raise ModelError(f"{name}: model_index.json needs a pipeline class under _class_name, has {pipeline!r}")
    components: dict[str, tuple[str, str]] = {}
    for part, entry in index.items():
        if part.startswith("_") or not isinstance(entry, list):
            continue
        if len(entry) != 2 or not all(e is None or isinstance(e, str) for e in entry):
            raise ModelError(f"{name}: model_index.json needs [library, class] for {part}, has {entry!r}")
        library, kind = entry
        if library is None or kind is None:
            continue
        if not _is_known(library):
            raise ModelError(f"{name}: its {part} is code of its own ({library}.{kind}), which is never run")
        components[part] = (library, kind)
    return pipeline, components


def _is_known(library: str) -> bool:
    """Whether a part comes from diffusers, transformers or one of diffusers' own pipeline packages."""
    if library in _LIBRARIES:
        return True
    spec = importlib.util.find_spec("diffusers")  # finds the folder without importing it
    roots = list(spec.submodule_search_locations or []) if spec else []
    return library.isidentifier() and any((Path(root) / "pipelines" / library).is_dir() for root in roots)


def read_json(name: str, file: Path) -> dict[str, Any]:
    """A JSON object from a model folder, or ModelError."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        said = f"{name}: {file.name} cannot be read ({first_line(error)}); {_cure(name, broken=True)}"
        raise ModelError(said) from error
    if not isinstance(data, dict):
        raise ModelError(f"{name}: {file.name} needs a JSON object, holds {type(data).__name__}")
    return data


def weight_bytes(folder: Path) -> int:
    """Size of the safetensors in a folder."""
    return sum(f.stat().st_size for f in folder.glob("*.safetensors"))


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
