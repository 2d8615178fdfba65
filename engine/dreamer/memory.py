"""How much memory there is, and what is done to need less of it.

    free_bytes(device), total_bytes(device)
    saved = savings(level, {"words": True, "half": False, "tiles": True}, device)

Dreamer process; torch. After out-of-memory the dreamer is started again with one more level of economy (restart.py).
A level is one measure of those that free memory in this show, in an order by what each costs: none is spent on a
measure that is in force already, as half precision is on a card, or that changes nothing, as tiles of a picture that
is no larger than one tile.

    graphs   no CUDA graphs and no torch.compile: their pools hold a second set of what lies between the layers
    words    text encoders are read again from disk when new words come, and are in memory only then
    half     half precision: half of the weights
    tiles    the decoder works on one tile of the picture after the other

Never seen on a card: what is free there, and how much each measure frees.
"""

from collections.abc import Collection, Mapping

import psutil
import torch

# On a processor all memory is one, and what leaves every byte of a picture as it is comes first. On a card text
# encoders are only while words are read: that they are read again frees the machine's memory, not the card's.
_ORDER = {"cpu": ("words", "half", "tiles"), "cuda": ("graphs", "half", "tiles", "words")}

_SAID = {
    "graphs": "no CUDA graphs and no torch.compile",
    "words": "text encoders read from disk for new words",
    "half": "half precision",
    "tiles": "pictures decoded in tiles",
}


def savings(level: int, can: Mapping[str, bool], device: torch.device) -> frozenset[str]:
    """What is done at a level of economy: the first so many measures of those that free something here."""
    order = _ORDER.get(device.type, _ORDER["cpu"])
    return frozenset([name for name in order if can.get(name)][:level])


def said(saved: Collection[str]) -> list[str]:
    """What measures are called in a line that a person reads, in an order that stays."""
    return [words for name, words in _SAID.items() if name in saved]


def free_bytes(device: torch.device) -> int:
    """What can still be had on a device, with what torch holds there and does not use."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return int(psutil.virtual_memory().available)


def total_bytes(device: torch.device) -> int:
    """All that a device has."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return int(psutil.virtual_memory().total)
