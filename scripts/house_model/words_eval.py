"""Does the text encoder know what words mean? Held-out words, and similarity beside the teacher's.

    evaluate(Path("export"), work=Path("words"))     # {"words_right_hidden": 0.9, ...}

The hidden figures use the space that the denoiser reads: last_hidden_state laid flat, a common mean removed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPTextModel, CLIPTokenizer

from scripts.house_model.words_corpus import KINDS, Corpus
from scripts.house_model.words_lexicon import GROUPS, PROBES

MANNERS = ("{}", "{} clouds", "a {} memory")


def states(model: CLIPTextModel, tokenizer: CLIPTokenizer, phrases: list[str], batch: int = 256) -> Tensor:
    """(N, 24, D) float32 last_hidden_state, as the pipeline makes it (padded, no mask)."""
    rows = []
    for at in range(0, len(phrases), batch):
        ids = tokenizer(phrases[at:at + batch], padding="max_length", truncation=True,
                        max_length=tokenizer.model_max_length, return_tensors="pt").input_ids
        with torch.inference_mode():
            rows.append(model(input_ids=ids).last_hidden_state.float())
    return torch.cat(rows)


def views(hidden: Tensor) -> dict[str, Tensor]:
    """Three readings of (N, 24, D) as vectors: all places flat, their mean, the last place."""
    return {"flat": hidden.flatten(1), "mean": hidden.mean(1), "last": hidden[:, -1]}


def ranks(a: np.ndarray) -> np.ndarray:
    """Place of each number when sorted."""
    out = np.empty(len(a))
    out[a.argsort()] = np.arange(len(a))
    return out


def _probe(model: CLIPTextModel, tokenizer: CLIPTokenizer) -> dict[str, object]:
    """Share of held-out words nearest to the right name in each view, bare and inside phrases."""
    out: dict[str, object] = {}
    everything = [n for names in GROUPS.values() for n in names]
    for manner in MANNERS:
        named = views(states(model, tokenizer, [manner.format(n) for n in everything]))
        asked = views(states(model, tokenizer, [manner.format(w) for w in PROBES]))
        for view in named:
            centre = named[view].mean(0)
            likeness = F.normalize(asked[view] - centre, dim=-1) @ F.normalize(named[view] - centre, dim=-1).T
            right, wrong = 0, []
            for row, (word, (answer, group)) in enumerate(PROBES.items()):
                rivals = list(GROUPS[group])
                scores = [float(likeness[row, everything.index(n)]) for n in rivals]
                nearest = rivals[int(np.argmax(scores))]
                right += nearest in answer.split("|")
                if nearest not in answer.split("|"):
                    wrong.append(f"{word}->{nearest}")
            key = f"{view} '{manner}'"
            out[f"right {key}"] = round(right / len(PROBES), 3)
            out[f"wrong {key}"] = wrong
    return out


def _agreement(model: CLIPTextModel, tokenizer: CLIPTokenizer, work: Path,
               pairs: int = 20_000) -> dict[str, object]:
    """Spearman and Pearson correlation with the teacher's similarity over pairs of held-out phrases."""
    corpus, teacher = Corpus.load(work), np.load(work / "teacher.npy", mmap_mode="r")
    rng = np.random.default_rng(7)
    out: dict[str, object] = {}
    for number, kind in enumerate(KINDS):
        rows = np.flatnonzero(corpus.held & (corpus.kind == number))[:1500]
        if len(rows) < 20:
            continue
        taught = torch.from_numpy(np.array(teacher[rows], np.float32))
        hidden = views(states(model, tokenizer, [corpus.phrases[i] for i in rows]))
        a, b = rng.integers(len(rows), size=(2, pairs))
        a, b = a[a != b], b[a != b]
        wanted = (F.normalize(taught[a], dim=-1) * F.normalize(taught[b], dim=-1)).sum(1).numpy()
        for view, vectors in hidden.items():
            near = F.normalize(vectors - vectors.mean(0), dim=-1)
            got = (near[a] * near[b]).sum(1).numpy()
            out[f"pearson {kind} {view}"] = round(float(np.corrcoef(got, wanted)[0, 1]), 3)
            out[f"spearman {kind} {view}"] = round(float(np.corrcoef(ranks(got), ranks(wanted))[0, 1]), 3)
    return out


def evaluate(out: Path, work: Path | None = None) -> dict[str, object]:
    """Measure the exported encoder in `out`; with `work` also beside the teacher on held-out phrases."""
    out = Path(out)
    tokenizer = CLIPTokenizer.from_pretrained(out / "tokenizer")
    model = CLIPTextModel.from_pretrained(out / "text_encoder", dtype=torch.float32).eval()
    found = _probe(model, tokenizer)
    if work is not None and (Path(work) / "teacher.npy").is_file():
        found |= _agreement(model, tokenizer, Path(work))
    size = sum(f.stat().st_size for f in (out / "text_encoder").glob("*.safetensors"))
    found["megabytes"] = round(size / 1e6, 2)
    return found
