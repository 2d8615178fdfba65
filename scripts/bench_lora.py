"""What a LoRA costs: keyframes whose strength moves every time, against those whose strength stands still.

Usage: by scripts/bench.py, `scripts/bench --only lora`.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.show.config import Show

Row = tuple[str, str, float, str]  # what, against what, figure, target
Alternate = Callable[[Callable[[], Any], Callable[[], Any], int], tuple[float, float]]
RANK, SIZE = 16, 0.05
LAYERS = ("to_q", "to_k", "to_v", "to_out.0")  # those that most trainers teach


def save_lora(unet: Any, file: Path) -> Path:
    """A LoRA of random numbers for the attention of a U-Net, as diffusers saves them."""
    import torch
    from safetensors.torch import save_file

    draw, tensors = torch.Generator().manual_seed(0), {}
    for name, layer in unet.named_modules():
        if name.endswith(LAYERS):
            out, into = layer.weight.shape
            tensors[f"unet.{name}.lora_A.weight"] = torch.randn(RANK, into, generator=draw) * into**-0.5
            tensors[f"unet.{name}.lora_B.weight"] = torch.randn(out, RANK, generator=draw) * SIZE
    save_file(tensors, str(file))
    return file


def moving(places: list[Any]) -> list[Any]:
    """The same places with the strength of one LoRA somewhere else at each."""
    return [replace(place, loras=((n * 0.37) % 2.0 - 1.0,)) for n, place in enumerate(places)]


def bench_lora(show: Show, places: list[Any], alternate: Alternate, rounds: int) -> list[Row]:
    """Of the show's own model, one LoRA, as a show runs; in turn, so that drift of the machine meets all alike.

    places: along the walk, one more than there are rounds.
    """
    import torch
    from diffusers import UNet2DConditionModel

    from engine.dreamer.additions import Lora
    from engine.dreamer.load import Dreamer
    from engine.dreamer.models import find
    from engine.dreamer.spec import DreamSpec

    spec = DreamSpec.from_show(show)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        unet = UNet2DConditionModel.from_pretrained(find(show.model.name).path / "unet", local_files_only=True)
        file = save_lora(unet, Path(folder) / "lora.safetensors")
        without, ours = Dreamer(spec), Dreamer(replace(spec, loras=(Lora("bench", str(file), 0.8),)))

    def over(dreamer: Any, them: list[Any]) -> Callable[[], Any]:
        queue = iter(them)
        return lambda: dreamer.dream(next(queue))

    still = [replace(place, loras=(0.8,)) for place in places]
    moved_s, still_s = alternate(over(ours, moving(places)), over(ours, still), rounds)
    with_s, without_s = alternate(over(ours, still), over(without, places), rounds)
    return [
        (
            f"keyframes, a LoRA's strength moving: {1 / moved_s:.2f}/s",
            f"strength still {1 / still_s:.2f}/s",
            still_s / moved_s,
            ">= 0.9 x",
        ),
        (f"keyframes, one LoRA: {1 / with_s:.2f}/s", f"none {1 / without_s:.2f}/s", without_s / with_s, ""),
    ]
