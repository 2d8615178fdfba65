"""Files that add something to a model, LoRAs and embeddings: what one is and what it was made for, from its header.

Usage: `place = find_model(show)`, or ModelError with one sentence; `describe(Path("clay.safetensors"))` for `inspect`.
Any process; torch-free. Headers alone are read: a file for another model is refused before anything large is read.

What a LoRA was made for shows in the shapes of its tensors: the keys and values of cross-attention are as wide as the
text encoder's words, 768 for Stable Diffusion 1, 1024 for 2, 2048 for XL. Other families are told by the names of
their layers.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.dreamer import guide_files, models
from engine.dreamer.about import PICKLES
from engine.dreamer.additions import Embedding, Lora, loras_of
from engine.dreamer.checkpoint import addition, read_header
from engine.dreamer.families import TITLES, config
from engine.dreamer.models import ModelError, ModelPlace

if TYPE_CHECKING:
    from engine.show.config import Show

_READERS = ("text_encoder", "text_encoder_2")
_PARTS = {"clip_l": "text_encoder", "clip_g": "text_encoder_2"}  # what an embedding's tensors are for
_PARTS |= {"text_encoders_0": "text_encoder", "text_encoders_1": "text_encoder_2"}
_DOWN = r"(lora_down|lora_A|lora\.down|_lora\.down|lora_linear_layer\.down)(\.\w+)?\.weight$"
_UNET = r"(down_blocks|up_blocks|mid_block|input_blocks|output_blocks|middle_block)[._]"
# Other families: words of their layers' names, what they are called, and the pipelines that such a LoRA may be for.
_OTHERS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (r"(double_blocks|single_blocks|single_transformer_blocks)[._]", "Flux or a model built like it",
     ("Flux", "Chroma", "Bria", "LongCat", "Ovis", "HunyuanImage")),
    (r"joint_blocks[._]|joint_transformer_blocks[._]", "Stable Diffusion 3 or AuraFlow", ("StableDiffusion3", "Aura")),
    (r"transformer_blocks[._]\d+[._](img_mod|txt_mod|img_mlp|txt_mlp)[._]", "Qwen-Image", ("QwenImage", "Nucleus")),
    (r"(noise_refiner|context_refiner)[._]|(^|[._])layers[._]\d+[._](attention|feed_forward)[._]", "Z-Image or Lumina",
     ("ZImage", "Lumina", "Ernie")),
    (r"(^|[._])blocks[._]\d+[._](self_attn|cross_attn)[._]", "Wan or another model that makes videos", ()),
)  # fmt: skip
# What other trainers make under the name of LoRA and the library does not read.
_UNREAD = (
    (r"\bhada_w|\.hada_", "a LoHa"),
    (r"\.lokr_", "a LoKr"),
    (r"\.lora_mid\.", "a LoCon with a tensor in the middle (CP decomposition)"),
    (r"\.oft_|oft_blocks|oft_diag", "an OFT"),
    (r"\.on_input$", "an IA3"),
    (r"\.(a1|b1)\.weight$", "a GLoRA"),
    (r"\.(diff|diff_b|w_norm|b_norm)$", "a LyCORIS with whole differences"),
)
_FEW = 4  # tensors in the file of an embedding, at most
_TAKES_LOKR = ("Flux2", "ZImage")


def find_model(show: "Show") -> ModelPlace:
    """A show's model, which can be walked, and whose its LoRAs, embeddings, ControlNet and IP-Adapter are. Raises
    ModelError."""
    place = models.find(show.model.name, show.model.decoder)
    check(place, loras_of(show.things, show.values), show.things.get("embedding", ()))
    guide_files.check(place, show.model)
    return place


def check(place: ModelPlace, loras: Sequence[Lora], embeddings: Sequence[Embedding]) -> None:
    """Raises ModelError unless the files are whole, and made for this model as far as their headers say."""
    for lora in loras:
        header = _header(lora.file, "LoRA")
        if fault := _lora_fault(header, place):
            raise ModelError(f"{lora.file}: {fault}")
    for embedding in embeddings:
        header = _header(embedding.file, "embedding")
        if fault := _embedding_fault(header, place):
            raise ModelError(f"{embedding.file}: {fault}")


def describe(file: Path) -> dict[str, Any] | None:
    """What is known of a file that adds something to a model; None if it is no such file. Raises ModelError."""
    if file.suffix.lower() != ".safetensors" or not file.is_file() or models.safetensors_fault(file) is not None:
        return None
    header = read_header(file)
    kind = kind_of(header)
    if kind is None:
        return None
    found: dict[str, Any] = {"name": str(file), "kind": kind, "bytes": file.stat().st_size}
    if kind == "an embedding":
        vectors = max((e["shape"][0] for e in header.values() if len(e["shape"]) > 1), default=1)
        return found | {"family": _embedding_family(header), "vectors": vectors, "why_not": None}
    title, width = _made_for(header)
    ranks = sorted({e["shape"][0] for n, e in header.items() if re.search(_DOWN, n)})
    return found | {
        "family": title or (f"words {width} numbers wide" if width else "not told by its names"),
        "rank": " to ".join(map(str, dict.fromkeys((ranks[0], ranks[-1])))) if ranks else "not told",
        "written_as": "kohya's" if any(n.startswith("lora_") for n in header) else "diffusers' or peft's",
        "teaches": "words too" if any(re.match(r"lora_te|text_encoder|te[12]?[._]", n) for n in header) else "pictures",
        "why_not": _unread(header, ""),
    }


def kind_of(header: Mapping[str, dict[str, Any]]) -> str | None:
    """Whether a file is "a LoRA", "an embedding", or neither, which is None."""
    if header and len(header) <= _FEW and all(len(e["shape"]) in (1, 2) for e in header.values()):
        widths = _widths(header)
        if widths and not any(re.search(_DOWN, n) for n in header) and set(widths.values()) <= {768, 1024, 1280}:
            return "an embedding"
    return "a LoRA" if any(re.search(words, n) for n in header for words, _ in _UNREAD[:6]) else addition(header)


def _header(file: str, what: str) -> dict[str, dict[str, Any]]:
    """Of a file that is there, and whole. Raises ModelError."""
    path = Path(file)
    fault = None
    if path.suffix.lower() in PICKLES:
        fault = (
            "this is a pickle, which can run any code when it is opened, so Pedesis never opens one; "
            f"look for the same {what} as .safetensors"
        )
    elif path.is_dir():
        fault = "this is a folder; name the .safetensors file in it"
    elif not path.exists():
        fault = "there is no such file"
    elif fault := models.safetensors_fault(path):
        fault = f"it {fault}; copy or download it again"
    if fault is None:
        header = read_header(path)
        kind = kind_of(header)
        small = kind is None and len(header) <= _FEW  # whatever it is, it is no model
        if kind == ("a LoRA" if what == "LoRA" else "an embedding") or (small and what == "embedding"):
            return header
        if kind is not None:
            fault = f"this is {kind}; name it under [[{'lora' if kind == 'a LoRA' else 'embedding'}]]"
        else:
            fault = f"this is no {what}, but what a model is made of"
    raise ModelError(f"{file}: {fault}")


def _lora_fault(header: Mapping[str, dict[str, Any]], place: ModelPlace) -> str | None:
    if fault := _unread(header, place.pipeline):
        return fault
    title, width = _made_for(header)
    own = _words_width(place)
    has_unet = "unet" in place.components
    if width is not None and own is not None and width != own:
        if width in TITLES and own in TITLES:
            return f"this LoRA is made for {TITLES[width]}, and this model is of {TITLES[own]}"
        if width in TITLES or own in TITLES:
            return f"this LoRA is made for {_title(width)}, and this model is {_title(own, place)}"
        return f"this LoRA is made for words {width} numbers wide, and this model's are {own}"
    if title is None:
        return None
    if (width is not None) != has_unet:
        return f"this LoRA is made for {title}, and this model is {_title(own, place)}"
    others = [pipelines for _, name, pipelines in _OTHERS if name == title]
    known = any(place.pipeline.startswith(p) for _, _, all_of in _OTHERS for p in all_of)
    if others and known and not place.pipeline.startswith(others[0]):
        return f"this LoRA is made for {title}, and this model is {_title(own, place)}"
    return None


def _title(width: int | None, place: ModelPlace | None = None) -> str:
    if width in TITLES:
        return TITLES[width]
    if place is not None and (width is None or "unet" not in place.components):
        return f"another ({place.pipeline.removesuffix('Pipeline')})"
    return f"one with words {width} numbers wide"


def _unread(header: Mapping[str, Any], pipeline: str) -> str | None:
    for words, name in _UNREAD:
        if name == "a LoKr" and pipeline.startswith(_TAKES_LOKR):
            continue
        if any(re.search(words, n) for n in header):
            return f"this is {name}, which the library does not read; look for the same as a LoRA, a LoCon or a DoRA"
    return None


def _made_for(header: Mapping[str, dict[str, Any]]) -> tuple[str | None, int | None]:
    """What a LoRA was made for: the family's title, and for a U-Net how wide its words are."""
    if any(re.search(_UNET, n) for n in header):
        found = [e["shape"][-1] for n, e in header.items() if re.search(r"attn2[._].*to_[kv]", n) and _is_down(n, e)]
        width = found[0] if found else None
        if width is None and any(n.startswith("lora_te2_") for n in header):
            width = 2048
        return TITLES.get(width or 0, "a U-Net"), width
    for words, title, _ in _OTHERS:
        if any(re.search(words, n) for n in header):
            return title, None
    return None, None


def _is_down(name: str, entry: Mapping[str, Any]) -> bool:
    return re.search(_DOWN, name) is not None and len(entry["shape"]) == 2


def _words_width(place: ModelPlace) -> int | None:
    """How wide the words are that a model's U-Net hears."""
    own = place.layout.configs["unet"] if place.layout else config(place.path / "unet")
    width = own.get("cross_attention_dim")
    return width if isinstance(width, int) else None


def _widths(header: Mapping[str, dict[str, Any]]) -> dict[str, int]:
    """Of an embedding's tensors: which text encoder each is for ("" where it does not say), and how wide it is."""
    return {_PARTS.get(n, ""): e["shape"][-1] for n, e in header.items() if e["shape"]}


def _embedding_family(header: Mapping[str, dict[str, Any]]) -> str:
    widths = _widths(header)
    if "text_encoder_2" in widths:
        return TITLES[2048]
    return _title(next(iter(widths.values()), None))


def _embedding_fault(header: Mapping[str, dict[str, Any]], place: ModelPlace) -> str | None:
    readers = [p for p in _READERS if p in place.components]
    if "unet" not in place.components or not all(place.components[r][1].startswith("CLIPText") for r in readers):
        kind = place.pipeline.removesuffix("Pipeline")
        return f"embeddings are for Stable Diffusion 1, 2 and XL, and this model is another ({kind})"
    own, widths = dict(_own_widths(place, readers)), _widths(header)
    if len(readers) == 1 and len(widths) == 1 and "text_encoder_2" not in widths:
        widths = dict.fromkeys(readers, next(iter(widths.values())))
    if widths == own:
        return None

    def told(of: Mapping[str, int]) -> str:
        return " and ".join(str(n) for _, n in sorted(of.items()))

    said = f"this embedding is {told(widths)} numbers wide, and this model's words are {told(own)}"
    return f"{said}; it is made for {_embedding_family(header)}" if set(widths.values()) & {768, 1024, 1280} else said


def _own_widths(place: ModelPlace, readers: Sequence[str]) -> Iterator[tuple[str, int]]:
    for part in readers:
        own = place.layout.configs[part] if place.layout else config(place.path / part)
        yield part, int(own.get("hidden_size", 0))


def tell(found: Mapping[str, Any], say: Callable[[str], None]) -> None:
    """What describe() found, a line each."""
    for key, value in found.items():
        if key != "why_not":
            say(f"{key.replace('_', ' '):<10} {value}")
    table = "lora" if found["kind"] == "a LoRA" else "embedding"
    here = f"[[{table}]] in a show, with file = {Path(found['name']).name!r}"
    say(f"use        {here if found['why_not'] is None else 'no: ' + found['why_not']}")
