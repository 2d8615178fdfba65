"""Networks that let pictures steer, ControlNets and IP-Adapters: found, told what they are, and whether they fit.

Usage: `check(place, show.model)`, or ModelError with one sentence; `describe("./canny")` for `inspect`.
Any process; torch-free. Configurations and headers alone are read: what is made for another model is refused before
anything large is read.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.dreamer import models
from engine.dreamer.about import HUB, PICKLES
from engine.dreamer.checkpoint import read_header
from engine.dreamer.families import TITLES, config, is_fast
from engine.dreamer.models import ModelError, ModelPlace
from engine.show.specs import ModelSpec

CONTROLNET = "ControlNetModel"
_FOR = "Stable Diffusion 1, 2 and XL"
# What a ControlNet must share with the U-Net beside it, and what the library takes where neither says.
_SHARED: dict[str, Any] = {
    "cross_attention_dim": 1280,
    "block_out_channels": [320, 640, 1280, 1280],
    "layers_per_block": 2,
    "addition_embed_type": None,
    "in_channels": 4,
}
_KINDS = (
    (r"Union", "one for many kinds of pictures at once (Union)"),
    (r"XS", "a ControlNet-XS"),
    (r"T2IAdapter", "a T2I-Adapter"),
    (r"SparseControl", "one for videos (SparseCtrl)"),
    (r"(Flux|SD3|Qwen|Sana|ZImage|Hunyuan|CogVideo).*Control", "one for another family"),
)


@dataclass(frozen=True)
class AdapterPlace:
    """An IP-Adapter's file, and the folder of what looks at pictures for it."""

    file: Path
    encoder: Path


def check(place: ModelPlace, spec: ModelSpec) -> None:
    """Raises ModelError unless the show's ControlNet and IP-Adapter are whole, and made for this model."""
    if not (spec.control or spec.adapter or spec.adapter_encoder):
        return
    for key, name in (("model.control", spec.control), ("model.adapter", spec.adapter)):
        if name and not is_fast(place.pipeline):
            kind = place.pipeline.removesuffix("Pipeline")
            raise ModelError(f"{key} is for {_FOR}, and this model is another ({kind}); leave it out")
    own = place.layout.configs["unet"] if place.layout else config(place.path / "unet")
    if spec.control:
        folder = find_control(spec.control)
        vae = place.layout.configs["vae"] if place.layout else config(place.path / "vae")
        if fault := _control_fault(config(folder), own, vae):
            raise ModelError(f"{spec.control}: {fault}")
    if spec.adapter:
        found = find_adapter(spec.adapter, spec.adapter_encoder)
        if fault := _adapter_fault(read_header(found.file), config(found.encoder), own):
            raise ModelError(f"{spec.adapter}: {fault}")
    elif spec.adapter_encoder:
        raise ModelError("model.adapter_encoder is for an IP-Adapter; name one in model.adapter, or leave both out")


def find_control(name: str) -> Path:
    """The folder of a ControlNet, whole. Never downloads. Raises ModelError."""
    folder = _folder(name, "a ControlNet")
    kind = config(folder).get("_class_name")
    if kind != CONTROLNET:
        raise ModelError(f"{name}: {_other_kind(kind, folder)}")
    models.check_part(name, folder)
    return folder


def find_adapter(name: str, encoder: str | None) -> AdapterPlace:
    """An IP-Adapter and its image encoder, whole. Never downloads. Raises ModelError."""
    file = _adapter_file(name)
    if fault := models.safetensors_fault(file):
        raise ModelError(f"{name}: it {fault}; copy or download it again")
    if fault := _unread(read_header(file)):
        raise ModelError(f"{name}: {fault}")
    if encoder:
        folder = _folder(encoder, "an image encoder")
    else:
        near = [file.parent, file.parent.parent, file.parent.parent / "models"]  # the last as the authors have them
        there = [f / "image_encoder" for f in near if (f / "image_encoder" / "config.json").is_file()]
        fitting = (f for f in there if _takes(read_header(file), config(f)))
        folder = next(fitting, there[0] if there else near[0] / "image_encoder")
        if not there:
            raise ModelError(
                f"{name}: there is no image encoder beside it ({folder}); copy its image_encoder folder there, or name "
                "one in model.adapter_encoder"
            )
    kind = config(folder).get("model_type")
    if kind != "clip_vision_model":
        said = f"it must be of the kind clip_vision_model, got {kind!r}"
        raise ModelError(f"{encoder or folder}: this is no image encoder of CLIP's: {said}")
    models.check_part(encoder or str(folder), folder)
    return AdapterPlace(file, folder)


def describe(name: str) -> dict[str, Any] | None:
    """What is known of a ControlNet or an IP-Adapter; None if it is neither. Raises ModelError."""
    path = Path(name).expanduser()
    if path.suffix.lower() == ".safetensors" and path.is_file():
        header = read_header(path)
        if models.safetensors_fault(path) is not None or not _is_adapter(header):
            return None
        width, takes, words = _shapes(header)
        found = {"name": name, "kind": "an IP-Adapter", "bytes": path.stat().st_size, "family": _title(width)}
        found |= {"takes": f"{takes} numbers of an image encoder", "words": words or "as it was made"}
        why = _unread(header)
        if why is None:
            try:
                found["encoder"] = str(find_adapter(name, None).encoder)
            except ModelError as error:
                found["encoder"] = str(error).removeprefix(f"{name}: ")
        return found | {"use": f"model.adapter = {name!r}, and guide.likeness", "why_not": why}
    folder = path if path.is_dir() else _cached(name)
    kind = config(folder).get("_class_name") if folder else None
    if folder is None or (folder / "model_index.json").is_file() or not re.search("Control|T2IAdapter", str(kind)):
        return None
    if kind != CONTROLNET:
        return {"name": name, "kind": str(kind), "why_not": _other_kind(kind, folder)}
    own = config(folder)
    models.check_part(name, folder)
    return {
        "name": name,
        "kind": "a ControlNet",
        "bytes": models.weight_bytes(folder),
        "family": _title(own.get("cross_attention_dim")),
        "shown": f"{own.get('conditioning_channels', 3)} channels, {_cell_px(own)} pixels a cell",
        "use": f"model.control = {name!r}, and guide.outline",
        "why_not": None,
    }


def tell(found: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """What describe() found, a line each."""
    for key, value in found.items():
        if key not in ("why_not", "use"):
            say(f"{key:<10} {value}")
    say(f"use        {'no: ' + found['why_not'] if found['why_not'] else found['use']}")


def adapter_layers(names: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names of the keys' and the values' weights of each cross-attention, in order."""
    numbers = sorted(int(m[1]) for n in names if (m := re.fullmatch(r"ip_adapter\.(\d+)\.to_k_ip\.weight", n)))
    return [(f"ip_adapter.{n}.to_k_ip.weight", f"ip_adapter.{n}.to_v_ip.weight") for n in numbers]


def _folder(name: str, what: str) -> Path:
    """A folder or a repository in the cache that has a config.json."""
    path = Path(name).expanduser()
    try:
        is_file, is_dir = path.is_file(), path.is_dir()
    except OSError as error:
        raise ModelError(f"{name}: cannot be opened ({models.first_line(error)})") from error
    if is_file:
        raise ModelError(f"{name}: {what} is a folder in diffusers layout or a repository, and this is a file")
    if is_dir:
        if (path / "config.json").is_file():
            return path
        index = " (it is a whole model)" if (path / "model_index.json").is_file() else ""
        raise ModelError(f"{name}: this folder has no config.json, so it is not {what}{index}")
    if address := HUB.match(name):
        raise ModelError(f"{name}: give the name of the repository, {address['name']}, not its address")
    if name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise ModelError(f"{name}: there is no such folder; name {what}'s folder, or a Hugging Face repository")
    if folder := _cached(name):
        return folder
    raise ModelError(f"{name}: not on this machine; `pedesis models fetch {name}` downloads it")


def _cached(name: str, file: str = "config.json") -> Path | None:
    """The folder of a repository in the cache that has this file; None if there is none."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, file)
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None


def _adapter_file(name: str) -> Path:
    path = Path(name).expanduser()
    if path.suffix.lower() in PICKLES:
        raise ModelError(
            f"{name}: this is a pickle, which can run any code when it is opened, so Pedesis never opens one; look for "
            "the same IP-Adapter as .safetensors"
        )
    if path.is_dir():
        raise ModelError(f"{name}: this is a folder; name the .safetensors file in it")
    if path.is_file():
        return path
    owner, _, rest = name.partition("/")
    repository, _, file = rest.partition("/")
    if file and not name.startswith((".", "/", "~")) and (folder := _cached(f"{owner}/{repository}", file)):
        return folder / Path(file).name
    if file.endswith(".safetensors") and not name.startswith((".", "/", "~")):
        raise ModelError(f"{name}: not on this machine; `pedesis models fetch {name}` downloads it")
    raise ModelError(f"{name}: there is no such file")


def _other_kind(kind: object, folder: Path) -> str:
    for words, said in _KINDS:
        if re.search(words, str(kind)):
            return f"this is {said}, which Pedesis does not read; look for a ControlNet for {_FOR}"
    if (folder / "model_index.json").is_file() or kind is None:
        return "this is no ControlNet: its config.json names no class of the library"
    return f"this is no ControlNet, but of the class {kind}"


def _control_fault(net: Mapping[str, Any], unet: Mapping[str, Any], vae: Mapping[str, Any]) -> str | None:
    widths = [_as_number(c.get("cross_attention_dim", _SHARED["cross_attention_dim"])) for c in (net, unet)]
    if widths[0] != widths[1]:
        return f"this ControlNet is made for {_both(widths[0], widths[1])}"
    for key, default in _SHARED.items():
        ours, theirs = (c.get(key, default) for c in (unet, net))
        if (list(ours) if isinstance(ours, tuple) else ours) != (list(theirs) if isinstance(theirs, tuple) else theirs):
            return f"this ControlNet is made for a model of another shape ({key} {theirs}, this model's {ours})"
    if net.get("conditioning_channels", 3) != 3:
        return f"this ControlNet is shown pictures of {net['conditioning_channels']} channels, and guides have 3"
    cells = [_cell_px(net), 2 ** (len(vae.get("block_out_channels") or [0] * 4) - 1)]
    if cells[0] != cells[1]:
        return f"this ControlNet is made for {cells[0]} pixels a cell, and this model has {cells[1]}"
    return None


def _cell_px(net: Mapping[str, Any]) -> int:
    """Pixels of a hint that become a cell, each way."""
    levels: int = len(net.get("conditioning_embedding_out_channels") or [0] * 4)
    return 1 << (levels - 1)


def _is_adapter(header: Mapping[str, Any]) -> bool:
    return any(n.startswith("image_proj.") for n in header) and any(n.startswith("ip_adapter.") for n in header)


def _unread(header: Mapping[str, dict[str, Any]]) -> str | None:
    if not _is_adapter(header):
        return "this is no IP-Adapter (it has no tensors named image_proj and ip_adapter)"
    if any("lora" in n or "perceiver_resampler" in n for n in header):
        return "this is an IP-Adapter for faces (FaceID), which needs a program that finds them; take one without"
    if not adapter_layers(header) or _shapes(header)[1] is None:
        return "this is an IP-Adapter of a layout that is not known here; look for it as ip-adapter_sd15.safetensors"
    return None


def _shapes(header: Mapping[str, dict[str, Any]]) -> tuple[int | None, int | None, int | None]:
    """How wide an IP-Adapter's words are, how many numbers it takes of an image encoder, and how many words come."""

    def shape(name: str) -> list[int]:
        return list(header.get(f"image_proj.{name}", {}).get("shape", []))

    layers = adapter_layers(header)
    width = header[layers[0][0]]["shape"][-1] if layers else None
    if plain := shape("proj.weight"):
        return width, plain[-1], plain[0] // width if width else None
    if full := shape("proj.0.weight"):
        return width, full[-1], None
    fine = shape("proj_in.weight")
    return width, fine[-1] if fine else None, None


def _adapter_fault(
    header: Mapping[str, dict[str, Any]], encoder: Mapping[str, Any], unet: Mapping[str, Any]
) -> str | None:
    width, takes, _ = _shapes(header)
    own = _as_number(unet.get("cross_attention_dim"))
    if own is not None and width != own:
        return f"this IP-Adapter is made for {_both(width, own)}"
    if not _takes(header, encoder):
        return (
            f"this IP-Adapter takes {takes} numbers of an image encoder, and this one gives {_gives(header, encoder)}; "
            "name its own in model.adapter_encoder"
        )
    return None


def _gives(header: Mapping[str, Any], encoder: Mapping[str, Any]) -> object:
    """How many numbers an IP-Adapter would be given by an image encoder."""
    plain = "image_proj.proj.weight" in header
    return encoder.get("projection_dim", 512) if plain else encoder.get("hidden_size", 768)


def _takes(header: Mapping[str, dict[str, Any]], encoder: Mapping[str, Any]) -> bool:
    return _shapes(header)[1] == _gives(header, encoder)


def _as_number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _title(width: object) -> str:
    if isinstance(width, int) and width in TITLES:
        return TITLES[width]
    return f"a model with words {width if width is not None else _SHARED['cross_attention_dim']} numbers wide"


def _both(other: int | None, own: int | None) -> str:
    """What something was made for, and what the model is."""
    if other in TITLES or own in TITLES:
        return f"{_title(other)}, and this model is {_title(own).replace('a model', 'one')}"
    return f"{_title(other)}, and this model's are {own}"
