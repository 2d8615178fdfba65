"""Which part of a model reads texts, found and named without loading it.

    place = find_reader("house")       # raises ModelError
    place.mark                         # "house 9f1c2a3b4d5e": another encoder has another mark

Any process; torch-free.
"""

import hashlib
from dataclasses import dataclass

from engine.dreamer import models
from engine.dreamer.models import ModelError, ModelPlace
from engine.show.files import open_regular

_SAMPLE = 1 << 16  # bytes; the beginning of a safetensors file names and measures all that is in it


@dataclass(frozen=True)
class ReaderPlace:
    """A model's first text encoder with its tokenizer, which in families with several is CLIP's."""

    model: ModelPlace
    encoder: str  # name of the part: text_encoder
    tokenizer: str
    mark: str  # the model's name and a digest of the encoder's weights


def find_reader(name: str) -> ReaderPlace:
    """name: house, a folder or a repository. Raises ModelError; OSError where a file cannot be read."""
    place = models.look(name, decoder="any")  # it reads, and decodes nothing
    for encoder in ("text_encoder", "text_encoder_2", "text_encoder_3"):
        tokenizer = encoder.replace("text_encoder", "tokenizer")
        if encoder in place.components and tokenizer in place.components:
            return ReaderPlace(place, encoder, tokenizer, f"{name} {_digest(place, encoder)}")
    raise ModelError(f"{name}: it has no text encoder with a tokenizer, and cannot read a text")


def _digest(place: ModelPlace, part: str) -> str:
    found = hashlib.sha256()
    for path in place.files(part):
        size = path.stat().st_size
        found.update(f"{path.name} {size}\n".encode())
        with open_regular(path) as stream:
            for at in (0, size // 2, max(0, size - _SAMPLE)):
                stream.seek(at)
                found.update(stream.read(_SAMPLE))
    return found.hexdigest()[:12]
