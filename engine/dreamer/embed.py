"""What a model's text encoder makes of texts: a vector each, in which what is alike lies close.

    encoder = TextEncoder(find_reader("house"))    # raises ModelError
    vectors = encoder.encode(["rain on paper", ...])

Loads one tokenizer and one text encoder of a model and nothing else of it. The command line's process, or any but the
stage; torch. The same batch on the same machine gives the same bytes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.dreamer.device import pick_device, pick_dtype
from engine.dreamer.families import is_fast
from engine.dreamer.load import quiet
from engine.dreamer.parts import load_part
from engine.dreamer.reader import ReaderPlace
from engine.show.machine import usable_cpus

BATCH = 128  # texts at once
_MOST_TOKENS = 256  # of one text; some tokenizers know no limit
_SMALL_BYTES = 200_000_000  # of an encoder: the CPU is quick enough, and gives the same bytes on more machines


class TextEncoder:
    """See the module's head."""

    def __init__(self, where: ReaderPlace, device: str = "auto") -> None:
        """device: as model.device."""
        place, part = where.model, where.encoder
        small = place.part_bytes(part) < _SMALL_BYTES
        self._device = torch.device("cpu") if small and device == "auto" else pick_device(device)
        if self._device.type == "cpu":
            torch.set_num_threads(usable_cpus())
        dtype = torch.float32 if small else pick_dtype("auto", self._device, 0, is_fast(place.pipeline))
        with quiet():
            self._tokenizer = load_part(place, where.tokenizer, dtype, lambda _: None)
            self._network = load_part(place, part, dtype, lambda _: None).to(self._device)

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> NDArray[np.float16]:
        """(N, D) vectors of unit length. Texts of like length beside each other are quickest; what is longer than the
        encoder takes is cut."""
        vectors = []
        for at in range(0, len(texts), BATCH):
            read = self._tokenizer(
                list(texts[at : at + BATCH]),
                padding=True,
                truncation=True,
                max_length=min(self._tokenizer.model_max_length, _MOST_TOKENS),
                return_tensors="pt",
            )
            ids, mask = read.input_ids.to(self._device), read.attention_mask.to(self._device)
            pooled = _pooled(self._network(input_ids=ids, attention_mask=mask), mask).float()  # (n, D)
            vectors.append((pooled / pooled.norm(dim=1, keepdim=True).clamp_min(1e-9)).cpu().numpy())
        return np.concatenate(vectors).astype(np.float16)

    def spelt(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N,) tokens to a byte of UTF-8: about 0.25 for words that the encoder knows; from 0.6 on it only spells."""
        ids = self._tokenizer(list(texts), add_special_tokens=False).input_ids
        return np.array([len(i) / max(1, len(t.encode())) for i, t in zip(ids, texts, strict=True)], np.float32)


def _pooled(answer: Any, mask: torch.Tensor) -> torch.Tensor:
    """What an encoder says of a text as a whole, (n, D); else the mean of what it says of its tokens."""
    for name in ("text_embeds", "pooler_output"):
        if (whole := getattr(answer, name, None)) is not None:
            return whole
    weights = mask.to(answer.last_hidden_state.dtype)[..., None]  # (n, L, 1)
    return (answer.last_hidden_state * weights).sum(1) / weights.sum(1).clamp_min(1)
