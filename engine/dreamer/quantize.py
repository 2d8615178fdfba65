"""Weights of 8 bits through torchao, for large networks on small cards.

    done = quantize(network, "int8", device)      # "int8", or "" and one line that says why not

Dreamer process; torch, torchao (the extra `quant`). Only the network's linear layers: the embeddings of words are worth
their bits, and convolutions have no 8-bit weights in torchao. What cannot be had is left out with one line, and the
model runs in the precision that it has.

    int8     weights of 8 bits, arithmetic as before: half of half precision's memory, on any device
    fp8      weights and arithmetic in float8: on cards from Ada and Hopper on (compute capability 8.9)

Never seen on a card: both. int8 was seen on a CPU.
"""

import importlib.util
import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from engine.dreamer.faults import is_out_of_memory, line

log = logging.getLogger("pedesis")

FP8_FROM = (8, 9)  # compute capability
_SMALLEST = 64  # features each way of a layer that is worth it
_STEP = 16  # float8's multiplication takes whole pieces of so many

Apply = Callable[[nn.Module, str, torch.device], None]


def quantize(network: nn.Module, how: str, device: torch.device, apply: Apply | None = None) -> str:
    """Puts weights of 8 bits in place of a network's, which may still be elsewhere: they come to the device one by one.

    Returns what was done, "" for nothing. apply: what does it (torchao, if None).
    """
    if how == "none":
        return ""
    why = None if apply else why_not(how, device)
    if why is None:
        try:
            (apply or _with_torchao)(network, how, device)
            return how
        except Exception as error:  # torchao's, of a layer or a card that it does not know
            if is_out_of_memory(error):
                raise
            why = line(error)
    log.warning("model.quantize is %s, and the model runs without: %s", how, why)
    return ""


def why_not(how: str, device: torch.device) -> str | None:
    """Why 8 bits cannot be had on a device; None if they can."""
    if importlib.util.find_spec("torchao") is None:
        return "torchao is not installed (pip install 'pedesis[quant]')"
    if how != "fp8":
        return None
    if device.type != "cuda":
        return f"fp8 needs an NVIDIA card, and this is {device}"
    capability = torch.cuda.get_device_capability(device)
    if capability < FP8_FROM:
        return f"fp8 needs a card from RTX 40 or H100 on, and this is {torch.cuda.get_device_name(device)}; take int8"
    return None


def is_worth_it(module: nn.Module, name: str) -> bool:
    """Whether a layer is a linear one that is large enough. Those of LoRAs stay as they are: they are moved live."""
    if not isinstance(module, nn.Linear) or "lora_" in name:
        return False
    sides = (module.in_features, module.out_features)
    return min(sides) >= _SMALLEST and all(n % _STEP == 0 for n in sides)


def _with_torchao(network: nn.Module, how: str, device: torch.device) -> None:
    from torchao import quantization

    kinds: dict[str, Any] = {
        "int8": quantization.Int8WeightOnlyConfig,
        "fp8": quantization.Float8DynamicActivationFloat8WeightConfig,
    }
    quantization.quantize_(network, kinds[how](), filter_fn=is_worth_it, device=device)
