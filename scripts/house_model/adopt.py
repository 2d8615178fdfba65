"""An exported model folder as the beginning of a new training: what is shipped, trained further.

Usage: `adopt.begin(folder, work)` before the first stage; `train_house_model.py --from engine/house_model`.

Optimiser momenta are not in an export and begin at zero. A distilled dreamer is a fair start for the flow it
was distilled from: its directions differ from the flow's only by guidance and by what bends within a window.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from torch import nn

from scripts.house_model.export import blocks, scale_stream
from scripts.house_model.training import save_tensors

FROM = "from.json"  # in the work folder, for the model card: these weights did not begin at random


def begin(folder: Path, work: Path) -> list[str]:
    """Lay `folder`'s networks and words as checkpoints in `work`; what is there already stays.

    Returns the stages that were laid. Raises OSError when `folder` is no exported model.
    """
    from diffusers import AutoencoderKL, UNet2DConditionModel

    parts: dict[str, tuple[type[nn.Module], str]] = {
        "autoencoder": (AutoencoderKL, "vae"),
        "diffusion": (UNet2DConditionModel, "unet"),
    }
    laid = []
    for stage, (kind, part) in parts.items():
        if (work / stage / "state.json").exists():
            continue
        network = kind.from_pretrained(folder / part).float()
        if part == "vae":
            unfit_half(network)
        state = network.state_dict()
        both = {f"{of}.{k}": v.clone() for of in ("ema", "model") for k, v in state.items()}
        save_tensors(work / stage, "ckpt", both)
        note = {"stage": stage, "step": 0, "spent_s": 0.0, "light": True}
        (work / stage / "state.json").write_text(json.dumps(note, indent=1))
        laid.append(stage)
    for part in ("tokenizer", "text_encoder"):
        if not (work / "export" / part).exists():
            shutil.copytree(folder / part, work / "export" / part)
    if laid:
        (work / FROM).write_text(json.dumps({"model": folder.name}))
    return laid


@torch.no_grad()
def unfit_half(vae: nn.Module) -> None:
    """Undoes `export.fit_half`, in place: what writes into the decoder's stream writes about as much as anything else.

    The optimiser's steps are as large for a small weight as for a large one: weights of a hundredth of their due
    size would be lost in a few hundred of them.
    """
    ratios = torch.stack([b.conv1.weight.square().mean() / b.conv2.weight.square().mean() for b in blocks(vae)])
    scale_stream(vae, 2.0 ** max(0, round(float(ratios.median().log2()) / 2)))
