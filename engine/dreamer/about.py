"""What to say of a name that leads to no model: a pickle, a folder of another kind, an address, a slip of the pen.

Usage: `about_file(path)`, `about_folder(path, "model_index.json")`, `about_nothing(name, path)` -> a clause with the
cure. Any process; torch-free.
"""

import difflib
import re
from pathlib import Path

from engine.dreamer.checkpoint import read_header
from engine.dreamer.families import DECODERS, config

HOUSE = "house"
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
GGUF = "a GGUF file, whose small numbers are made for other programs"
HUB = re.compile(r"https?://(www\.)?(huggingface\.co|hf\.co)/(?P<name>[^/?#]+/[^/?#]+)")


def about_bytes(start: bytes) -> str | None:
    """What a file is that begins so and bears the wrong name; None where that is not to be told."""
    if start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04")):
        return "a pickle under another name, which can run code and is never loaded"
    if start.startswith(b"GGUF"):
        return GGUF
    if start.startswith(b"version https://git-lfs"):
        return "what Git LFS has in the file's place; `git lfs pull` gets the file itself"
    if start.lstrip()[:1] == b"<":
        return "a web page, which came in the file's place"
    return None


def about_file(path: Path, wanted: str = "") -> str:
    """Why a file is no model to dream with, or no decoder (wanted: config.json), and what to do about it."""
    if wanted == "config.json" and path.suffix.lower() == ".safetensors":
        return (
            "a decoder is a folder in diffusers layout, or a repository such as madebyollin/taesd, and this is a file"
        )
    if read_header(path):
        return f"this is a safetensors file under another name; call it {path.stem}.safetensors"
    if path.suffix.lower() == ".gguf":
        return f"this is {GGUF}; look for the same model with safetensors weights"
    if path.suffix.lower() not in PICKLES:
        return "a model is a .safetensors file or a folder in diffusers layout, and this is a file of another kind"
    # weights_only: torch reads numbers and refuses whatever else a pickle would do
    convert = (
        "import torch; from safetensors.torch import save_file; "
        f"d = torch.load({path.name!r}, map_location='cpu', weights_only=True); d = d.get('state_dict', d); "
        f"save_file({{k: v.clone() for k, v in d.items() if hasattr(v, 'shape')}}, {path.stem + '.safetensors'!r})"
    )
    return (
        "this is a pickle, which can run any code when it is opened, so Pedesis never opens one; look for the same "
        f'model with safetensors weights, or convert it once, beside it: python -c "{convert}"'
    )


def about_folder(path: Path, wanted: str) -> str:
    """Why a folder is no model, or no decoder (wanted: config.json)."""
    if wanted == "config.json":
        return "this folder has no config.json, so it is not a decoder such as madebyollin/taesd"
    if said := about_part(path):
        return said
    said = f"this folder has no {wanted}, so it is not a model in diffusers layout"
    if (path.parent / wanted).is_file():
        return f"{said} but a part of one; name the folder above it"
    single = sorted(p for p in path.glob("*") if p.suffix in (".safetensors", ".ckpt"))
    if not single:
        return said
    file = single[0]
    return f"{said}. {'Name' if file.suffix == '.safetensors' else 'In it is'} the file: {file}"


def about_part(folder: Path) -> str | None:
    """What to say of a folder that holds a decoder or a ControlNet by itself; None of any other."""
    kind = config(folder).get("_class_name")
    if (folder.parent / "model_index.json").is_file():
        return None
    if kind in DECODERS:
        return f"this is a decoder alone ({kind}), and no model; a model takes it as model.decoder"
    if kind == "ControlNetModel":
        return "this is a ControlNet alone, and no model; a model takes it as model.control"
    return None


def about_nothing(name: str, path: Path) -> str:
    """What to say of a name that leads nowhere."""
    if address := HUB.match(name):
        return f"give the name of the repository, {address['name']}, not its address"
    if name.endswith(".safetensors"):
        return f"there is no such file ({path.absolute()}); name the file where it is, as in --set model.name=FILE"
    if name.startswith((".", "/", "~")):
        return f"there is no such folder ({path.absolute()})"
    near = f"did you mean {HOUSE!r}?" if difflib.get_close_matches(name, [HOUSE]) else f"the built-in one is {HOUSE!r}"
    return f"no such model; name a folder, or a Hugging Face repository as owner/name; {near}"
