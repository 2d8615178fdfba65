"""LoRAs on a network: read by the library and peft, their strengths handed in with every picture.

    strengths = add_loras(pipe, "unet", spec.loras)          # once, after the parts are there; None without any
    with strengths.held(strengths.of(waypoint)):              # (n,) float32, on the device
        unet(...)

Dreamer process; torch, diffusers, peft.

peft keeps the strength of a LoRA as a number in each of the network's layers. In its place stands a tensor here, which
is looked up while the layer runs, in the thread that runs it: a recording (cpu/tape.py) sees it as one of its inputs,
and pictures that are dreamt in several threads at once keep their own. So moving a strength costs nothing at all: the
same numbers are multiplied whether it moves or not.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.dreamer.additions import Lora
from engine.dreamer.faults import line, may_pass
from engine.dreamer.models import ModelError
from engine.walk.waypoint import Waypoint

log = logging.getLogger("pedesis")

NAME = "loras"  # of the strengths, among what a network is told


class Strengths:
    """How strong each LoRA is: of a waypoint, and in the picture that a thread is at."""

    def __init__(self, loras: Sequence[Lora]) -> None:
        self.device = torch.device("cpu")
        self._first = tuple(lora.strength for lora in loras)
        self._here = threading.local()

    def of(self, waypoint: Waypoint) -> Tensor:
        """(n,) float32. A waypoint that says nothing of them is dreamt with those that the show begins with."""
        known = len(waypoint.loras) == len(self._first)
        return torch.tensor(waypoint.loras if known else self._first, dtype=torch.float32, device=self.device)

    @property
    def others(self) -> tuple[float, ...]:
        """Different ones than those that the show begins with, to try a recording out."""
        return tuple(strength - 0.5 for strength in self._first)

    @contextmanager
    def held(self, now: Tensor) -> Iterator[None]:
        """What the layers that run in this thread go by meanwhile."""
        before = getattr(self._here, "now", None)
        self._here.now = now
        try:
            yield
        finally:
            self._here.now = before

    def at(self, adapter: str) -> Tensor:
        """The strength of one adapter of peft's, by its name; a number in a tensor."""
        strength: Tensor = self._here.now[_number(adapter)]
        return strength


class _Scaling(dict[str, Any]):
    """In place of a layer's own table, adapter -> factor: the factor at a strength of 1, times the strength."""

    def __init__(self, whole: dict[str, float], strengths: Strengths) -> None:
        super().__init__(whole)
        self._strengths = strengths

    def __getitem__(self, adapter: str) -> Any:
        return self._strengths.at(adapter) * super().__getitem__(adapter)


def _adapter(n: int) -> str:
    return f"lora{n}"  # names of shows could be those of peft's own attributes


def _number(adapter: str) -> int:
    return int(adapter.removeprefix("lora"))


def check_pipeline(kind: Any, loras: Sequence[Lora]) -> None:
    """Raises ModelError where the library reads no LoRAs for pipelines of this class."""
    if loras and not hasattr(kind, "load_lora_weights"):
        raise ModelError(f"the library reads no LoRAs for {kind.__name__}; leave out [[lora]], or name another model")


def add_loras(pipe: Any, network: str, loras: Sequence[Lora]) -> Strengths | None:
    """Reads the LoRAs into the pipeline's network and its text encoders; None where there are none.

    The text encoders have them with the strength that the show begins with. network: "unet", "transformer".
    Raises ModelError.
    """
    if not loras:
        return None
    strengths, names = Strengths(loras), [_adapter(n) for n in range(len(loras))]
    parts = {n: part for n, part in pipe.components.items() if isinstance(part, torch.nn.Module)}
    for name, lora in zip(names, loras, strict=True):
        _read(pipe, name, lora)
        if not any(name in layer.scaling for part in parts.values() for layer in _layers(part)):
            raise ModelError(f"{lora.file}: nothing in this LoRA is for this model")
    for part_name, part in parts.items():
        for layer in _layers(part):
            own = [name for name in names if name in layer.scaling]
            layer.set_adapter(own)
            if part_name == network:
                layer.scaling = _Scaling(layer.scaling, strengths)
            else:
                for name in own:
                    layer.set_scale(name, loras[_number(name)].strength)
        if any(True for _ in _layers(part)):
            part.requires_grad_(False)
    return strengths


def _read(pipe: Any, adapter: str, lora: Lora) -> None:
    file = Path(lora.file)
    options = {"weight_name": file.name, "use_safetensors": True, "local_files_only": True}
    try:
        pipe.load_lora_weights(str(file.parent), adapter_name=adapter, **options)
    except Exception as error:  # whatever the libraries raise over a file that they cannot place
        if isinstance(error, ModelError | MemoryError) or may_pass(error):
            raise
        raise ModelError(f"{lora.file}: this LoRA does not fit this model ({_brief(error)})") from error


def _brief(error: Exception) -> str:
    text = line(error)
    return text if len(text) <= 160 else text[:159] + "…"


def _layers(part: torch.nn.Module) -> Iterator[Any]:
    """The layers of a part that have LoRAs."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return (module for module in part.modules() if isinstance(module, BaseTunerLayer))


def own_parameters(network: Any) -> Iterator[Tensor]:
    """A network's parameters without those of its LoRAs."""
    return (p for name, p in network.named_parameters() if ".lora_" not in name)
