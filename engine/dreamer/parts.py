"""Reads the parts of a model from its folder: networks, tokenizers, scheduler, a decoder in place of its own, and what
lets pictures steer it.

Usage: `check_classes(place)`; `unet = load_part(place, "unet", dtype, progress)`. Dreamer process; torch, diffusers.
"""

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from engine.dreamer import models
from engine.dreamer.families import DECODERS
from engine.dreamer.faults import to_model_error
from engine.dreamer.guide_files import adapter_layers, find_adapter, find_control
from engine.dreamer.likeness import Adapter
from engine.dreamer.models import ModelError, ModelPlace
from engine.dreamer.single_file import load_from_file

Progress = Callable[[str], None]
_PACKAGES = {"opencv": "opencv-python", "PIL": "pillow", "note_seq": "note-seq"}  # by the names that diffusers has


def check_classes(place: ModelPlace) -> None:
    """Raises ModelError unless the installed libraries have every class that the model is made of."""
    if fault := class_fault(place):
        raise ModelError(f"{place.name}: {fault}")


def class_fault(place: ModelPlace) -> str | None:
    """Which class of the model the installed libraries lack, and what to do about it, in a clause; None if none.

    Where a package is missing they have a dummy in a class's place, which raises something else at every use.
    """
    parts = [kind for part, kind in place.components.items() if part not in models.NEVER_LOADED]
    for library, name in [("diffusers", place.pipeline), *parts]:
        if library not in models.LIBRARIES:
            continue
        module = importlib.import_module(library)
        kind = getattr(module, name, None)
        if kind is None:
            return f"this {library} ({module.__version__}) has no {name}; a newer one may"
        backends = getattr(kind, "_backends", None)
        lacking = [p for p in backends if importlib.util.find_spec(p) is None] if isinstance(backends, list) else []
        if lacking:
            packages = " ".join(_PACKAGES.get(p, p) for p in lacking)
            more = "another package" if len(lacking) == 1 else "other packages"
            return f"its {name} needs {more}; install with `pip install {packages}`"
    return None


def load_part(place: ModelPlace, name: str, dtype: torch.dtype, progress: Progress) -> Any:
    """One part of a model: a tokenizer, a network, a scheduler. Raises ModelError."""
    library, class_name = place.components[name]
    progress(f"reading the {name.replace('_', ' ')}")
    folder = place.path / name
    with to_model_error(f"{place.name}: its {name}"):
        if place.layout is not None:
            return load_from_file(place.path, place.layout, name, dtype)
        kind = getattr(importlib.import_module(library), class_name)
        if class_name.endswith(models.WEIGHTLESS):
            return kind.from_pretrained(folder, local_files_only=True)
        options: dict[str, Any] = {"torch_dtype": dtype} if library == "diffusers" else {"dtype": dtype}
        options |= {"use_safetensors": True, "local_files_only": True, "variant": variant(folder)}
        return kind.from_pretrained(folder, **options).eval()


def variant(folder: Path) -> str | None:
    """Some repositories carry half-precision weights only, under another file name."""
    return "fp16" if any(".fp16" in n for n in models.weights(f.name for f in folder.glob("*"))) else None


def read_decoder(name: str, dtype: torch.dtype) -> Any:
    """A decoder in place of the model's own."""
    import diffusers

    folder = models.find_decoder(name)
    class_name = models.read_json(name, folder / "config.json").get("_class_name")
    if class_name not in DECODERS:
        raise ModelError(f"model.decoder must be one of {', '.join(DECODERS)}, got {class_name!r} ({name})")
    options = {
        "torch_dtype": dtype,
        "use_safetensors": True,
        "local_files_only": True,
        "variant": variant(folder),
    }
    with to_model_error(f"{name}: the decoder"):
        return getattr(diffusers, class_name).from_pretrained(folder, **options).eval()


def read_control(name: str, dtype: torch.dtype, device: torch.device) -> Any:
    """A ControlNet, on its device. Raises ModelError."""
    import diffusers

    folder = find_control(name)
    options = {"torch_dtype": dtype, "use_safetensors": True, "local_files_only": True, "variant": variant(folder)}
    with to_model_error(f"{name}: the ControlNet"):
        net = diffusers.ControlNetModel.from_pretrained(folder, **options).eval().requires_grad_(False)
        return net.to(device, memory_format=torch.channels_last)


def read_adapter(name: str, encoder: str | None, unet: Any, dtype: torch.dtype, device: torch.device) -> Adapter:
    """An IP-Adapter for a U-Net, and what looks at pictures for it, on their device. Raises ModelError."""
    from diffusers.models.embeddings import ImageProjection
    from safetensors.torch import load_file
    from transformers import CLIPVisionModelWithProjection

    found = find_adapter(name, encoder)
    options = {"dtype": dtype, "use_safetensors": True, "local_files_only": True, "variant": variant(found.encoder)}
    with to_model_error(f"{name}: the IP-Adapter"):
        tensors = {n: t.to(device, dtype) for n, t in load_file(found.file).items()}
        layers = [(tensors[k], tensors[v]) for k, v in adapter_layers(tensors)]
        image = {n.removeprefix("image_proj."): t for n, t in tensors.items() if n.startswith("image_proj.")}
        projection = unet._convert_ip_adapter_image_proj_to_diffusers(image, low_cpu_mem_usage=False)
        projection = projection.to(device, dtype).eval().requires_grad_(False)
        looks = CLIPVisionModelWithProjection.from_pretrained(found.encoder, **options)
        looks = looks.to(device).eval().requires_grad_(False)
    return Adapter(layers, looks, projection, not isinstance(projection, ImageProjection))
