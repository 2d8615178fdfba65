"""What a show's words are to a model: every prompt through its text encoders, once.

Usage: `conditioning = encode(pipe, prompts, negative, guided)`. Dreamer process; torch.

What a pipeline's encode_prompt takes is read from its signature; what it answers stands in families.py.
"""

import inspect
import logging
import math
import re
import textwrap
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from engine.dreamer import emphasis
from engine.dreamer.embeddings import PLAIN, Words
from engine.dreamer.families import FAMILIES, INSTEAD
from engine.dreamer.models import ModelError
from engine.dreamer.noise import Conditioning

log = logging.getLogger("pedesis")

_MOST_PIECES = 8  # to which texts are repeated, where they do not come out even before; a longer one has its own number
_OPTIONAL = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def encode(
    pipe: Any,
    prompts: Sequence[str],
    negative: str,
    guided: bool,
    is_brief: bool = False,
    words: Words = PLAIN,
) -> Conditioning:
    """Every prompt through the pipeline's text encoders, once.

    A text that is too long is encoded in pieces where the text encoders are CLIP's. Elsewhere its last words are
    dropped, which is said. CLIP's also take weights (emphasis.py), but for a brief text, whose brackets are its own.
    guided: whether the negative prompt is used. is_brief: no text has more than one piece, and nothing is said of what
    is dropped. words: those that the model was taught, beside its own.
    """
    against = negative if guided else ""
    zeros = not against and pipe.config.get("force_zeros_for_empty_prompt", False)  # SDXL: and not the empty text
    one = partial(_encode_one, pipe, guided=guided, zeros=zeros)
    if _takes_pieces(pipe):
        most = 1 if is_brief else None
        plain = [(text, [1.0] * len(text)) if is_brief else emphasis.read(text) for text in prompts]
        taught = [words.told(text, weights) for text, weights in plain]
        said = [_weighed(text, pieces(pipe, text)[:most], weights) for text, weights in taught]
        text, weights = words.told(*emphasis.read(against))
        *texts, away = _alike([*said, _weighed(text, pieces(pipe, text), weights)])
        rows = [_join([_stressed(pipe, one, p, a) for p, a in zip(text, away, strict=True)]) for text in texts]
    else:
        rows = []
        for n, prompt in enumerate(prompts):
            with cuts(pipe) as cut:
                rows.append(one(prompt, against))
            if is_brief:
                continue
            _say_dropped(cut, f"material {n + 1} ({_brief(prompt)})", prompt)
            if n == 0 and against:
                _say_dropped(cut, "model.negative", against)
    materials = {n: _stack([row[n] for row in rows]) for n in rows[0] if not n.startswith("negative_")}
    # a token counts where any material has one; here, as Conditioning would average a "prompt_attention_mask_2"
    joined = {n: materials.pop(n).amax(dim=0, keepdim=True) for n in list(materials) if "mask" in n}
    # some pipelines make the negative prompt as long as the prompt, and need it so
    longest = max(rows, key=lambda row: row["prompt_embeds"].shape[1])
    fixed = {n: t for n, t in longest.items() if n.startswith("negative_")}
    return Conditioning(materials, joined | fixed)


def pieces(pipe: Any, text: str) -> list[str]:
    """A text in as few parts as its tokenizers need to read all of it, split between words where that can be."""
    tokenizers = _tokenizers(pipe)

    def is_too_long(text: str) -> bool:
        return any(len(t(text).input_ids) > t.model_max_length for t in tokenizers)

    parts, rest = [], text
    while is_too_long(rest):
        end = _fitting(rest, is_too_long)
        parts.append(rest[:end])
        rest = rest[end:].lstrip()
    return [*parts, rest]


def _fitting(text: str, is_too_long: Callable[[str], bool]) -> int:
    """How many characters of a text that is too long fit: whole words, or part of one where not even that one does."""
    gaps = [m.start() for m in re.finditer(r"(?<=\S)\s", text)]
    words = bisect_left(gaps, True, key=lambda end: is_too_long(text[:end]))
    if words:
        return gaps[words - 1]
    return max(1, bisect_left(range(1, len(text)), True, key=lambda end: is_too_long(text[:end])))


@dataclass(frozen=True)
class Piece:
    """A part of a text, and its letters that have a weight: from, to, weight."""

    text: str
    runs: tuple[tuple[int, int, float], ...] = ()


def _weighed(text: str, parts: list[str], weights: list[float]) -> list[Piece]:
    """The pieces of a text with the weights of its letters."""
    made, end = [], 0
    for part in parts:
        begin = text.index(part, end)
        end = begin + len(part)
        made.append(Piece(part, tuple(emphasis.runs(weights[begin:end]))))
    return made


def _stressed(pipe: Any, one: Callable[[str, str], dict[str, Tensor]], said: Piece, away: Piece) -> dict[str, Tensor]:
    """A piece as the text encoders have it, each token as far from what the empty text has in its place as its weight
    says: z = z_0 + w (z - z_0), as ComfyUI does it. Without weights, as it is."""
    row = one(said.text, away.text)
    if not (said.runs or away.runs):
        return row
    empty = one("", "")["prompt_embeds"]
    for name, piece in (("prompt_embeds", said), ("negative_prompt_embeds", away)):
        if name in row and piece.runs:
            plain = row[name]  # (1, L, D)
            weights = _token_weights(_tokenizers(pipe)[0], piece, plain.shape[1]).to(plain)[None, :, None]
            row[name] = torch.where(weights == 1.0, plain, empty + weights * (plain - empty))
    return row


def _token_weights(tokenizer: Any, piece: Piece, length: int) -> Tensor:
    """The weight of every token of a piece, (L,). A token before which as many stand as the text before a mark has is
    the first of those that it marks: whole words, as CLIP's tokens never reach over a space."""

    def before(letters: int) -> int:
        return len(tokenizer(piece.text[:letters], add_special_tokens=False).input_ids)

    weights = torch.ones(length)
    for begin, end, weight in piece.runs:
        weights[1 + before(begin) : min(1 + before(end), length - 1)] = weight  # after the token that begins the text
    return weights


def _takes_pieces(pipe: Any) -> bool:
    """Whether every text encoder is CLIP's, and its answer a sequence that the network reads at any length."""
    encoders = [getattr(pipe, n, None) for n in ("text_encoder", "text_encoder_2")]
    has_unet = hasattr(pipe, "unet")  # also where it was given away once recorded
    return has_unet and all(type(e).__name__.startswith("CLIPText") for e in encoders if e is not None)


def _tokenizers(pipe: Any) -> list[Any]:
    parts = (getattr(pipe, n, None) for n in ("tokenizer", "tokenizer_2", "tokenizer_3", "tokenizer_4"))
    return [t for t in parts if t is not None]


def _alike(texts: list[list[Piece]]) -> list[list[Piece]]:
    """The same number of pieces for every text, by repeating them.

    A network reads a text that stands there twice as it reads it once, so a short material looks as it does beside
    other short ones. Filled up with the empty text, as is usual elsewhere, it does not: the built-in model mixes in
    what it sees in no words at all.
    """
    counts = [len(text) for text in texts]
    even = math.lcm(*counts)
    count = even if even <= _MOST_PIECES else max(counts)
    return [[text[n % len(text)] for n in range(count)] for text in texts]


def _join(rows: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Pieces of one text one after the other; of what is said of a text as a whole, the first piece's counts."""
    first, *others = rows
    return {n: t if "pooled" in n else torch.cat([t, *(row[n] for row in others)], 1) for n, t in first.items()}


@contextmanager
def cuts(pipe: Any) -> Iterator[list[tuple[str, str]]]:
    """Notes every text that a tokenizer of the pipeline is given to read, and the part of it that it cuts off.

    Which limit a pipeline sets, and which texts it makes of a prompt, is known in this call alone.
    """
    noted: list[tuple[str, str]] = []
    kinds = {type(t) for t in _tokenizers(pipe)}
    plain = {kind: kind.__call__ for kind in kinds}

    def call(self: Any, text: Any = None, *args: Any, **options: Any) -> Any:
        read = plain[type(self)]
        if options.get("truncation"):
            most = options.get("max_length") or self.model_max_length
            for one in [text] if isinstance(text, str) else text or ():
                long = partial(_is_longer, partial(read, self), most)
                noted.append((one, one[_fitting(one, long) :].strip() if long(one) else ""))
        return read(self, text, *args, **options)

    for kind in kinds:
        kind.__call__ = call
    try:
        yield noted
    finally:
        for kind in kinds:
            kind.__call__ = plain[kind]


def _is_longer(read: Callable[[str], Any], most: int, text: str) -> bool:
    return len(read(text).input_ids) > most


def _say_dropped(noted: list[tuple[str, str]], what: str, text: str) -> None:
    """Says which words of a text no tokenizer read: what one of them cuts off, another may have room for."""
    dropped = [cut for given, cut in noted if text.strip().lower() in given.lower()]
    least = min(dropped, key=len, default="")
    if least:
        count = len(least.split())
        many = "1 word does not fit this model's text encoder and is" if count == 1 else (
            f"{count} words do not fit this model's text encoder and are"
        )  # fmt: skip
        log.warning("%s: %s dropped: %s", what, many, _brief(least, 200))


def _brief(text: str, longest: int = 40) -> str:
    return f'"{textwrap.shorten(text, longest, placeholder=" ...")}"'


def _stack(tensors: list[Tensor]) -> Tensor:
    longest = max(t.shape[1] for t in tensors)
    if any(t.shape[1] != longest for t in tensors):
        padded = []
        for t in tensors:
            pad = [0] * (2 * (t.dim() - 2)) + [0, longest - t.shape[1]]
            padded.append(torch.nn.functional.pad(t, pad))
        tensors = padded
    return torch.cat(tensors)  # (N, L, D), (N, L) or (N, P)


def _encode_one(pipe: Any, prompt: str, negative: str, guided: bool, zeros: bool) -> dict[str, Tensor]:
    wanted = inspect.signature(pipe.encode_prompt).parameters
    takes = inspect.signature(type(pipe).__call__).parameters
    # __call__ encodes with its own defaults: lengths, instructions to a language model
    known = {n: p.default for n, p in takes.items() if p.default is not p.empty}
    known |= _words(prompt) | {
        "negative_prompt": None if zeros else negative,
        "device": pipe._execution_device,
        "num_images_per_prompt": 1,
        "do_classifier_free_guidance": guided,
        "clean_caption": False,
    }
    needed = [n for n, p in wanted.items() if p.default is p.empty and p.kind not in _OPTIONAL]
    missing = [n for n in needed if n not in known]
    if missing:
        raise unsuited(type(pipe), f"its encode_prompt also needs {', '.join(missing)}")
    parts = _parts(pipe, known)
    if guided and "negative_prompt" not in wanted and "negative_prompt_embeds" in takes:  # encoded alone
        parts |= {f"negative_{n}": t for n, t in _parts(pipe, known | _words(negative)).items()}
    if "text_encoder_index" in wanted:  # HunyuanDiT: one encoder a call
        parts |= {f"{n}_2": t for n, t in _parts(pipe, known | {"text_encoder_index": 1}).items()}
    return parts


def _words(text: str) -> dict[str, Any]:
    return dict.fromkeys(("prompt", "prompt_2", "prompt_3"), text)


def _parts(pipe: Any, known: dict[str, Any]) -> dict[str, Tensor]:
    """What encode_prompt answers, by the names that __call__ has for it."""
    wanted = inspect.signature(pipe.encode_prompt).parameters
    with torch.no_grad():
        answer = pipe.encode_prompt(**{n: v for n, v in known.items() if n in wanted})
    answer = answer if isinstance(answer, tuple) else (answer,)
    names = FAMILIES[type(pipe).__name__].answers
    if len(names) != len(answer):
        raise unsuited(type(pipe), f"its encode_prompt answers with {len(answer)} parts, and not with {len(names)}")
    parts: dict[str, Tensor] = {}
    for name, part in zip(names, answer, strict=True):
        if isinstance(part, list) and len(part) == 1:  # Z-Image: a list of pictures, each (L, D)
            part = part[0][None]  # (1, L, D)
        if name and isinstance(part, Tensor):
            parts[name] = part
    return parts


def unsuited(kind: type, why: str) -> ModelError:
    """That pipelines of this class cannot be walked, and why."""
    return ModelError(f"{kind.__name__} cannot be walked: {why}; {INSTEAD}")
