"""Where a model runs and in what arithmetic: device, precision, threads. Waits for a graphics card that is late.

Usage: `device = pick_device(spec.model.device)`; `dtype = pick_dtype(...)`. Dreamer process; torch.

After a power cut a show is often on before the card's driver. Such a machine must not dream on its processor all day,
nor give up: while CUDA does not answer beside a card and its driver, `NotYet` is raised, and another start will see.
A new process is what it takes: CUDA that has once failed to start stays so for the life of the process.
"""

import ctypes
import logging
import os
from collections.abc import Callable
from pathlib import Path

import torch

from engine.dreamer.faults import NotYet
from engine.dreamer.models import ModelError, ModelPlace
from engine.show.machine import usable_cpus

log = logging.getLogger("pedesis")

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_SMALL_BYTES = 200e6
_NVIDIA, _DISPLAY = "0x10de", "0x03"  # PCI vendor, and the class that graphics cards are of
_PCI = Path("/sys/bus/pci/devices")


def pick_device(wanted: str, late: Callable[[], bool] | None = None) -> torch.device:
    """auto: CUDA, then Apple's, then the CPU.

    late: whether a card and its driver are there of which CUDA does not know (nvidia_is_late, if None).
    Raises NotYet for a card that is late, ModelError for what no other start would cure.
    """
    late = late or nvidia_is_late
    if wanted == "auto":
        return _any_device(late)
    device = torch.device(wanted)
    if device.type != "cuda":
        return device
    device = torch.device("cuda", device.index or 0)
    if not torch.cuda.is_available():
        if late():
            raise NotYet("an NVIDIA card is there but CUDA does not answer yet; waiting for its driver")
        raise ModelError(f"model.device is {wanted!r}, but {_no_cuda()}; use 'auto' or 'cpu' to go without")
    count = torch.cuda.device_count()
    if device.index >= count:
        there = "only cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        raise ModelError(f"model.device is {wanted!r}, but this machine has {there}")
    if not _has_kernels(device):
        why = f"this torch ({torch.__version__}) has no code for {torch.cuda.get_device_name(device)}"
        raise ModelError(f"model.device is {wanted!r}, but {why}; install a build of torch for that card, or use 'cpu'")
    return device


def _any_device(late: Callable[[], bool]) -> torch.device:
    if torch.cuda.is_available():
        card = torch.device("cuda:0")  # with its number: torch.cuda.set_device takes no other
        if _has_kernels(card):
            return card
        log.warning("this torch has no code for %s: dreaming on the CPU", torch.cuda.get_device_name(card))
    elif late():
        raise NotYet("an NVIDIA card is there but CUDA does not answer yet; waiting for its driver "
                     "(to dream on the CPU: model.device = 'cpu')")
    elif torch.version.cuda is None and _nvidia_cards():
        log.warning("an NVIDIA card is there, but %s: dreaming on the CPU", _no_cuda())
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _no_cuda() -> str:
    if torch.version.cuda is None:
        return "this torch is built without CUDA (the README says how to get the CUDA build)"
    return "there is no NVIDIA card with a driver on this machine"


def nvidia_is_late() -> bool:
    """Whether this torch could use an NVIDIA card, and there are one and its driver's library, but CUDA is silent.

    Where somebody hid the cards (CUDA_VISIBLE_DEVICES) or installed no driver there is nothing to wait for.
    """
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1")
    return torch.version.cuda is not None and not hidden and _nvidia_cards() and _has_driver()


def _nvidia_cards(pci: Path = _PCI) -> bool:
    """Whether the kernel lists a graphics card by NVIDIA; it does before any driver is loaded. Linux only."""
    try:
        for device in pci.iterdir():
            vendor, kind = ((device / name).read_text().strip() for name in ("vendor", "class"))
            if vendor == _NVIDIA and kind.startswith(_DISPLAY):
                return True
    except OSError:
        pass  # no PCI bus, or a sandbox that hides it: then none is known of
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/dxg").exists()  # WSL has no PCI card


def _has_driver() -> bool:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def _has_kernels(device: torch.device) -> bool:
    """Whether CUDA computes at all. is_available() counts cards, those too old for this build of torch as well."""
    try:
        return float((torch.ones(8, device=device) * 2).sum()) == 16.0
    except RuntimeError as error:
        if "no kernel image" in str(error):
            return False
        raise


def device_name(device: torch.device) -> str:
    """With the card's name: two cards may round differently."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def pick_dtype(wanted: str, device: torch.device, economy: int, fast: bool = True) -> torch.dtype:
    """auto: half precision where the device computes in it, by its kind alone so that pictures stay the same.

    fast: the U-Net families. The others have text encoders (T5, Gemma, Qwen) whose numbers float16 cannot hold.
    """
    half = torch.bfloat16 if device.type == "cpu" or not fast else torch.float16
    if wanted == "auto":
        quick = device.type != "cpu" or has_native_bfloat16()
        return half if quick or economy >= 1 else torch.float32
    if wanted not in DTYPES:
        raise ModelError(f"model.dtype must be auto or one of {', '.join(DTYPES)}, got {wanted!r}")
    return half if economy >= 1 and wanted == "float32" else DTYPES[wanted]


def pick_threads(place: ModelPlace, crowded: bool, film: bool = False) -> int:
    """How many threads share one picture: two for a small network, else every core; OMP_NUM_THREADS overrules it.

    Beside a stage that draws on both cores of two (crowded) two threads wait for one another, and one is quicker; four
    cores should hold both, and were not there to measure. In a film every thread has a picture of its own
    (Dreamer.workers) and none waits. By the model's size and the kind of machine and not by trying, because another
    number of threads makes other bytes.
    """
    if os.environ.get("OMP_NUM_THREADS", "").isdigit():
        return max(1, int(os.environ["OMP_NUM_THREADS"]))
    network = "unet" if "unet" in place.components else "transformer"
    if place.part_bytes(network) < _SMALL_BYTES:
        return 1 if film or (crowded and usable_cpus() < 4) else min(2, usable_cpus())
    return usable_cpus()


def has_native_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 itself (AVX512-BF16 or AMX); elsewhere it is emulated, and slow."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
