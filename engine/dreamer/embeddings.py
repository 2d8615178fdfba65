"""Embeddings (textual inversion): words that a show teaches its model's text encoders.

    words = teach(pipe, spec.embeddings)
    words.told("a pot of <clay>", weights)       # the text that the tokenizer reads, and the weights of its letters

Dreamer process; torch. Each vector of an embedding becomes a token of its own, under a name that nobody writes. A word
is put into those names before a text is cut into pieces or weighed, so that a word of many vectors is one word still.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from engine.dreamer.additions import Embedding
from engine.dreamer.models import ModelError

_READERS = {"text_encoder": "tokenizer", "text_encoder_2": "tokenizer_2"}
_PARTS = {"clip_l": "text_encoder", "text_encoders_0": "text_encoder"}
_PARTS |= {"clip_g": "text_encoder_2", "text_encoders_1": "text_encoder_2"}
_ENDS = 2  # tokens that begin and end every text


@dataclass(frozen=True)
class Words:
    """The words that a model was taught. tokens: word in lower case -> what stands for it in a text."""

    tokens: Mapping[str, str] = field(default_factory=dict)

    def told(self, text: str, weights: Sequence[float]) -> tuple[str, list[float]]:
        """A text with its taught words as tokens, and the weights of its letters."""
        if not self.tokens:
            return text, list(weights)
        longest_first = sorted(map(re.escape, self.tokens), key=len, reverse=True)
        pattern = re.compile(rf"(?<![\w-])({'|'.join(longest_first)})(?![\w-])", re.IGNORECASE)
        out, kept, at = "", list[float](), 0
        for found in pattern.finditer(text):
            tokens = self.tokens[found[0].lower()]
            out += text[at : found.start()] + tokens
            kept += [*weights[at : found.start()], *([weights[found.start()]] * len(tokens))]
            at = found.end()
        return out + text[at:], kept + list(weights[at:])


PLAIN = Words()


def teach(pipe: Any, embeddings: Sequence[Embedding]) -> Words:
    """Adds the vectors of all embeddings to the pipeline's tokenizers and text encoders. Raises ModelError."""
    tokens: dict[str, str] = {}
    readers = {p: t for p, t in _READERS.items() if getattr(pipe, p, None) is not None}
    for n, embedding in enumerate(embeddings):
        vectors = read(embedding.file, list(readers))
        count = len(next(iter(vectors.values())))
        names = [f"<|word{n}.{i}|>" for i in range(count)]
        for part, tokenizer in readers.items():
            _add(getattr(pipe, tokenizer), getattr(pipe, part), names, vectors[part], embedding.file)
        tokens[embedding.word.lower()] = "".join(names)
    return Words(tokens)


def read(file: str, readers: Sequence[str]) -> dict[str, Tensor]:
    """The vectors in a file, (n, D) for each text encoder. Raises ModelError."""
    from safetensors.torch import load_file

    found = {_PARTS.get(name, readers[0]): tensor for name, tensor in load_file(file).items()}
    vectors = {part: tensor.reshape(-1, tensor.shape[-1]) for part, tensor in found.items()}
    if set(vectors) != set(readers) or len({len(v) for v in vectors.values()}) != 1:
        raise ModelError(f"{file}: an embedding needs as many vectors for each of the model's text encoders")
    return vectors


def _add(tokenizer: Any, encoder: Any, names: list[str], vectors: Tensor, file: str) -> None:
    from transformers import AddedToken

    room = tokenizer.model_max_length - _ENDS
    if len(names) > room:
        raise ModelError(f"{file}: this embedding has {len(names)} vectors, and a text has room for {room}")
    # as they stand: not in lower case, as the vocabulary's own words are
    tokenizer.add_tokens([AddedToken(name, normalized=False) for name in names])
    numbers = tokenizer.convert_tokens_to_ids(names)
    table: Tensor = encoder.get_input_embeddings().weight
    if max(numbers) >= len(table):
        encoder.resize_token_embeddings(max(numbers) + 1, mean_resizing=False)
        table = encoder.get_input_embeddings().weight
    with torch.no_grad():
        table[numbers] = vectors.to(table)
    # Old configurations say 2, and the end of a text is then taken to be the highest number in it, as a new word's is.
    for part in (encoder, getattr(encoder, "text_model", None)):
        if part is not None and getattr(part, "eos_token_id", None) == 2:
            part.eos_token_id = tokenizer.eos_token_id
