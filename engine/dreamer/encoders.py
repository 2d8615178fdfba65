"""The text encoders of a pipeline: on the device while words are read, and in memory no longer than they must be.

    readers = Readers(pipe, device, read=lambda name: load_part(place, name, ...))     # read=None: they stay in memory
    words = readers.with_them(lambda: encode(pipe, ...))

Dreamer process; torch. Encoders (T5, Gemma, Qwen) are often larger than the network that dreams, and needed for seconds
a day. They leave the device as soon as words are read. Where encoders and network together do not fit in the machine's
memory (picks_reread), they leave memory too: what stays is their shape, without numbers (torch's meta device), which
the pipeline still asks for precision and configuration; for new words they are read from disk again.

On a card that cannot hold them beside the network (picks_processor) words are read on the processor, from the first on:
what a word is must not hang on when it was said.

Never seen on a card: how long words take there, and what a card does whose memory they fill.
"""

import importlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch

from engine.dreamer.models import ModelPlace

T = TypeVar("T")
ROOM = 0.8  # of the machine's free memory, which a whole model may take
CARD_ROOM = 0.9  # of a card's memory
LEAST = 0.15  # of a model, which its encoders must be for it to be worth reading them again


def names_of(pipe: Any) -> list[str]:
    """The pipeline's text encoders."""
    return [n for n, part in pipe.components.items() if n.startswith("text_encoder") and part is not None]


def sizes(place: ModelPlace) -> tuple[int, int]:
    """Bytes on disk of a model's text encoders, and of all its other weights."""
    every = {name: place.part_bytes(name) for name in place.components}
    encoders = sum(size for name, size in every.items() if name.startswith("text_encoder"))
    return encoders, sum(every.values()) - encoders


def are_large(place: ModelPlace) -> bool:
    """Whether the encoders are enough of a model to be worth reading again."""
    encoders, others = sizes(place)
    return encoders > LEAST * (encoders + others)


def picks_reread(wanted: str, place: ModelPlace, free: int) -> bool:
    """Whether encoders are read again for new words: auto, where they and the rest do not both fit in `free` bytes."""
    if wanted != "auto":
        return wanted == "reread"
    return are_large(place) and sum(sizes(place)) > ROOM * free


def picks_processor(place: ModelPlace, total: int) -> bool:
    """Whether words are read on the processor: where a card of so many bytes cannot hold all of the model."""
    return sum(sizes(place)) > CARD_ROOM * total


class Readers:
    """Brings text encoders to where they read, and takes them away again."""

    def __init__(
        self,
        pipe: Any,
        device: torch.device,
        read: Callable[[str], torch.nn.Module] | None = None,
        on_processor: bool = False,
    ) -> None:
        """device: where the network is. read: reads an encoder from disk; None: they stay in memory. on_processor:
        where words are read."""
        self._pipe, self._read = pipe, read
        self._where = torch.device("cpu") if on_processor else device
        self._names = names_of(pipe)
        self._here = threading.local()  # words are read while another thread dreams with the same pipeline
        if read is not None or self._where != device:
            _tell_device(pipe, lambda: getattr(self._here, "device", device))

    @property
    def alive(self) -> int:
        """How many encoders are in memory."""
        return sum(self._is_alive(name) for name in self._names)

    def with_them(self, work: Callable[[], T]) -> T:
        """Does what needs the encoders; one thread at a time."""
        self._here.device = self._where
        try:
            if self._read is not None:
                for name in [name for name in self._names if not self._is_alive(name)]:
                    self._pipe.register_modules(**{name: self._read(name)})
            for name in self._names:
                getattr(self._pipe, name).to(self._where)
            return work()
        finally:  # also where the device had no room for them: what goes on being dreamt needs it
            for name in self._names:
                getattr(self._pipe, name).to("meta" if self._read is not None else "cpu")
            del self._here.device

    def _is_alive(self, name: str) -> bool:
        return next(getattr(self._pipe, name).parameters()).device.type != "meta"


def hollow(folder: Path, library: str, kind: str, dtype: torch.dtype) -> torch.nn.Module:
    """A network's shape without its numbers, for a pipeline that reads words before its network is read."""
    known = getattr(importlib.import_module(library), kind)
    with torch.device("meta"):
        network: torch.nn.Module = known.from_config(known.load_config(folder, local_files_only=True))
    return network.to(dtype)


def _tell_device(pipe: Any, device: Callable[[], torch.device]) -> None:
    """Has a pipeline compute where we say: it takes the first of its parts for where all are."""
    kind = type(pipe)
    where = property(lambda self: device())
    pipe.__class__ = type(kind.__name__, (kind,), {"device": where, "_execution_device": where})
