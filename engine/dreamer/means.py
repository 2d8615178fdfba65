"""What a show's model is run with on this machine: precision, tiles, graphs, and where its text encoders are.

    means = Means(spec, place, device)
    means.dtype, means.late, means.readers(pipe), means.spread(vae), means.recorder()

Dreamer process; torch. Every choice of the show that memory or the card has a say in is made here, in one place; what
comes of them that shows in a picture's bytes stands in Arithmetic.
"""

import logging
from typing import Any

import torch

from engine.dreamer import encoders, memory, replay, tiles
from engine.dreamer.device import pick_dtype
from engine.dreamer.families import FAMILIES, is_fast
from engine.dreamer.models import ModelPlace
from engine.dreamer.parts import load_part
from engine.dreamer.spec import DreamSpec

log = logging.getLogger("pedesis")


class Means:
    """Of one show on one device."""

    def __init__(self, spec: DreamSpec, place: ModelPlace, device: torch.device) -> None:
        self._spec, self._place, self._device = spec, place, device
        m, fast = spec.model, is_fast(place.pipeline)
        carries = bool(spec.loras or spec.embeddings)  # of the show, in the encoders: read again they would lack them
        can = {
            "graphs": m.graphs or m.compile,
            "half": pick_dtype(m.dtype, device, 0, fast) == torch.float32,
            "tiles": m.decode != "tiles" and tiles.tile_px(spec.width, spec.height) is not None,
            "words": m.encoders != "reread" and not carries and encoders.are_large(place),
        }
        self.saved = memory.savings(spec.economy, can, device)
        if self.saved:
            log.warning("less memory is used than the show asks for: %s", ", ".join(memory.said(self.saved)))
        self.dtype = pick_dtype(m.dtype, device, int("half" in self.saved), fast)
        free = memory.free_bytes(torch.device("cpu"))
        self._rereads = "words" in self.saved or encoders.picks_reread(m.encoders, place, free)
        if self._rereads and carries:
            log.warning("text encoders stay in memory, as they carry LoRAs or embeddings of the show")
            self._rereads = False
        self.compiles = m.compile and "graphs" not in self.saved and m.quantize == "none"  # see compiling.py
        if m.compile and m.quantize != "none":
            log.warning(
                "model.compile is left out, as model.quantize is %s: 8-bit weights are not compiled", m.quantize
            )

    @property
    def late(self) -> tuple[str, ...]:
        """Parts that are read once the words were: the network, where text encoders make room for it."""
        return (FAMILIES[self._place.pipeline].network,) if self._rereads else ()

    def recorder(self) -> replay.Recorder | None:
        """What captures graphs, where the device has them and the show wants them."""
        return replay.recorder_of(self._device) if self._spec.model.graphs and "graphs" not in self.saved else None

    def readers(self, pipe: Any) -> encoders.Readers:
        """The pipeline's text encoders."""
        on_processor = self._device.type == "cuda" and encoders.picks_processor(
            self._place, memory.total_bytes(self._device)
        )
        if on_processor:
            log.warning("%s: this card is too small for its text encoders: words are read on the CPU", self._place.name)

        def read(name: str) -> torch.nn.Module:
            encoder: torch.nn.Module = load_part(self._place, name, self.dtype, lambda _: None)
            return encoder

        return encoders.Readers(pipe, self._device, read if self._rereads else None, on_processor)

    def spread(self, vae: Any) -> str:
        """Has the decoder work in tiles where that is asked for, or where memory is short; returns whole or tiles."""
        w, h = self._spec.width, self._spec.height
        if vae is None or tiles.tile_px(w, h) is None:  # which would be one tile
            return "whole"
        wanted = "tiles" if "tiles" in self.saved else self._spec.decode or self._spec.model.decode
        if wanted == "auto":
            need = tiles.decoder_bytes(vae.config, w, h, self.dtype.itemsize)
            wanted = tiles.pick_decode(wanted, need, memory.free_bytes(self._device), w, h)
        if wanted == "tiles" and not tiles.spread(vae, w, h):
            log.warning("%s: this decoder cannot work in tiles, and decodes pictures whole", self._place.name)
            return "whole"
        return wanted
