"""Downloads models from the Hugging Face hub: the only place that ever touches the network.

Usage: `folder = fetch("stabilityai/sd-turbo", print)`. The command line's process; torch-free.
"""

import errno
import glob
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TypeVar

from engine.dreamer import about, models
from engine.dreamer.families import FAMILIES, why_not
from engine.dreamer.models import ModelError, first_line

_INDEX = "model_index.json"
_TEXTS = (".json", ".txt", ".model", ".jinja")  # .model: a vocabulary; .jinja: how a language model is addressed
_KEPT = (_INDEX, "README.md", "LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE", "LICENCE.md")  # of the root
_VOCABULARY = ("vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
_FULL = (errno.ENOSPC, errno.EDQUOT)

T = TypeVar("T")


def fetch(repository: str, progress: Callable[[str], None] = print) -> Path:
    """Downloads what is read of a model, safetensors and texts, and returns its folder. An IP-Adapter is named with its
    file, as in h94/IP-Adapter/models/ip-adapter_sd15.safetensors, and comes with its image encoder.

    progress: told the licence first, then how much is downloaded and where to; the hub's own bars show the bytes.
    """
    repository, file = _parted(repository)
    _check_repository(repository)
    from huggingface_hub import hf_hub_download, model_info, snapshot_download

    info = _from_hub(repository, lambda: model_info(repository, files_metadata=True))
    sizes = {s.rfilename: getattr(s, "size", None) or 0 for s in info.siblings or []}
    licence = (info.card_data.get("license") if info.card_data else None) or "not stated"
    progress(f"{repository}: licence {licence}; see https://huggingface.co/{repository}")
    components = None
    if _INDEX in sizes and not file:
        index = Path(_from_hub(repository, lambda: hf_hub_download(repository, _INDEX)))
        pipeline, components = models.read_index(repository, index.parent)
        if pipeline not in FAMILIES:
            fault = why_not(pipeline, components, index.parent)
            raise ModelError(f"{repository}: {fault}; nothing was downloaded")
    files = adapter_files(repository, file, sizes) if file else wanted(repository, sizes, components)
    progress(f"{repository}: {sum(sizes[n] for n in files) / 1e9:.2f} GB in {len(files)} files")
    patterns = [glob.escape(n) for n in files]
    path = Path(_from_hub(repository, lambda: snapshot_download(repository, allow_patterns=patterns)))
    progress(f"{repository}: in {path}")
    return path


def wanted(repository: str, names: Iterable[str], components: Mapping[str, tuple[str, str]] | None) -> list[str]:
    """The files of a repository that dreaming reads, each part's weights once. ModelError where a part has none.

    components: the model's parts, as in its model_index.json; None for a decoder, which is one part alone.
    """
    names = sorted(names)
    kept = [n for n in names if n in _KEPT]
    if components is None:
        return kept + _decoder(repository, [n for n in names if "/" not in n])
    for part, (_, kind) in components.items():
        if part in models.NEVER_LOADED:
            continue
        own = [n.removeprefix(f"{part}/") for n in names if n.startswith(f"{part}/")]
        weights = [] if kind.endswith(models.WEIGHTLESS) else models.weights(own)
        if not weights and not kind.endswith(models.WEIGHTLESS):
            why = models.why_no_weights(part, own, "look for another copy of this model")
            raise ModelError(f"{repository}: {why}; nothing was downloaded")
        kept += [f"{part}/{n}" for n in own if n in weights or n.endswith(_TEXTS)]
    return kept


def adapter_files(repository: str, file: str, names: Iterable[str]) -> list[str]:
    """Of a repository with IP-Adapters, one of them and what looks at pictures for it. Raises ModelError."""
    names = sorted(names)
    if file not in names:
        there = ", ".join(n for n in names if n.endswith(".safetensors") and "/image_encoder/" not in f"/{n}")
        raise ModelError(
            f"{repository}: there is no {file} in it, but {there or 'none at all'}; nothing was downloaded"
        )
    first, *others = PurePosixPath(file).parents
    near = [first, *others[:1]]
    if "vit-h" in file and others:  # the authors keep that encoder beside their other adapters
        near = [others[0] / "models", *near]
    for folder in (str(parent / "image_encoder") for parent in near):
        own = [n.removeprefix(f"{folder}/") for n in names if n.startswith(f"{folder}/")]
        if "config.json" in own and (weights := models.weights(own)):
            kept = [n for n in names if n in _KEPT and n != _INDEX]
            return [*kept, file, *(f"{folder}/{n}" for n in ("config.json", *weights))]
    raise ModelError(f"{repository}: there is no image encoder beside {file}; nothing was downloaded")


def _parted(name: str) -> tuple[str, str]:
    """A repository's name, and a file in it; "" where none is named."""
    owner, _, rest = name.partition("/")
    repository, _, file = rest.partition("/")
    is_one = file.endswith(".safetensors") and not name.startswith((".", "/", "~", "http"))
    return (f"{owner}/{repository}", file) if is_one else (name, "")


def _decoder(repository: str, names: list[str]) -> list[str]:
    if all(n in names for n in _VOCABULARY[:2]):  # CLIP's own repository: checkpoints in one file lack its vocabulary
        return [n for n in _VOCABULARY if n in names]
    weights = models.weights(names)
    if not weights or "config.json" not in names:
        raise ModelError(
            f"{repository}: this is neither a model in diffusers layout (it has no {_INDEX}) nor a decoder or "
            f"ControlNet; look for a copy of it in diffusers layout; nothing was downloaded"
        )
    return ["config.json", *weights]


def _check_repository(name: str) -> None:
    """Raises ModelError unless the name could be a repository's, before the network is asked."""
    if name == about.HOUSE:
        raise ModelError(f"{name}: this model is built in, so there is nothing to fetch; `pedesis run` plays it")
    if address := about.HUB.match(name):
        raise ModelError(f"{name}: give the name of the repository, {address['name']}, not its address")
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
        well_formed = name.count("/") == 1
    except HFValidationError:
        well_formed = False
    if not well_formed:
        raise ModelError(
            f"{name}: name a Hugging Face repository as owner/name, such as stabilityai/sd-turbo; "
            f"a folder on this machine need not be fetched"
        )


def _from_hub(repository: str, ask: Callable[[], T]) -> T:
    """What the hub's library answers, or ModelError for whatever it raises."""
    try:
        return ask()
    except Exception as error:
        # Faults of its HTTP client and of its transfers come through as they are, and both change with its versions.
        raise ModelError(f"{repository}: {_hub_fault(error)}") from error


def _hub_fault(error: Exception) -> str:
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

    if isinstance(error, GatedRepoError):  # a kind of RepositoryNotFoundError
        return "its maker asks you to accept terms first: do so on its page at huggingface.co, then run `hf auth login`"
    if isinstance(error, RepositoryNotFoundError):
        return "there is no such repository on the Hugging Face hub, or it is private"
    if isinstance(error, OfflineModeIsEnabled):
        cure = "the environment variable HF_HUB_OFFLINE forbids it; unset it"
    elif isinstance(error, HfHubHTTPError):  # the hub was reached and answered
        cure = "try again later"
    elif isinstance(error, OSError) and error.errno in _FULL:
        cure = "free some space, or set HF_HOME to a folder on a larger disk"
    elif isinstance(error, PermissionError):
        cure = "set HF_HOME to a folder that you may write to"
    else:
        cure = "is this machine online?"
    return f"could not be downloaded ({first_line(error)}); {cure}"
