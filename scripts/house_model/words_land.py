"""The text encoder's last lesson: whatever is said lands on something that the painter shows.

    python -m scripts.house_model.words_land --work ~/pedesis-train/words --from MODEL_FOLDER --out DIR --minutes 20

A word that no caption uses lay somewhere between the captions, and was dreamt as what lies between pictures: bits of
everything. Here a phrase learns to carry, from its end on, what the captions nearest to it carry: nearest in the
teacher's meaning and in what the lists say, and all of one world, as the middle of two worlds is neither, unless the
phrase names both. Captions learn to keep their states, so a dreamer that knows them need not learn them again.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import CLIPTextModel, CLIPTokenizer

from scripts.house_model import words, words_eval, words_lexicon, words_teacher
from scripts.house_model.words_corpus import KINDS, Corpus, captions_and_worlds
from scripts.house_model.words_lexicon import NAMES, Lexicon

# What names a world outright; a phrase that names two lands between them, as the painter's crossings do.
NAMED = {"clouds": ("cloud",), "pulp": ("paper",), "memory": ("sphere", "shelf", "memory")}
PLANS = 5000
NEAREST = 8  # captions that a phrase lands between,
WARMTH = 0.03  # the nearest of them counting e times as much as one that is so much farther
LONG = 0.25  # weight of definitions and whole sentences: what is typed into a show is short
KEEP = 4.0  # weight of the captions' keeping their states
RATE = 4e-4


def named(attributes: np.ndarray) -> Tensor:
    """Which worlds phrases name outright, (N, A) to (N, 3) bool."""
    found = [attributes[:, [NAMES.index(n) for n in names]].max(1) > 0.95 for names in NAMED.values()]
    return torch.from_numpy(np.stack(found, 1))


def landing(target: Tensor, names: Tensor, marks: Tensor, worlds: Tensor, states: Tensor) -> Tensor:
    """Where phrases (N, T), which name worlds (N, W), land among captions (C, T) that show one world each, (C, W), and
    have states (C, D): (N, D)."""
    out = []
    for some, both in zip(target.split(4096), names.split(4096), strict=True):
        near = some.float() @ marks.float().T  # (n, C)
        closeness, places = [], []
        for rows in (of.nonzero()[:, 0] for of in worlds.T):
            how, which = near[:, rows].topk(min(NEAREST, len(rows)))  # (n, K)
            closeness.append(how.mean(1))
            places.append(torch.einsum("nk,nkd->nd", torch.softmax(how / WARMTH, 1), states[rows[which]]))
        nearest = F.one_hot(torch.stack(closeness, 1).argmax(1), len(closeness)).bool()  # (n, W)
        share = torch.where(both.sum(1, keepdim=True) > 1, both, nearest).float()
        share = share / share.sum(1, keepdim=True)
        out.append(torch.einsum("nw,nwd->nd", share, torch.stack(places, 1)))
    return torch.cat(out)


def train(
    encoder: CLIPTextModel, ids: Tensor, weight: Tensor, landed: Tensor, kept_ids: Tensor, kept: Tensor, minutes: float,
    most_steps: float = math.inf, batch: int = 256, seed: int = 7,
) -> None:
    """Teach phrases ids (N, 24), drawn by weight (N,), their states landed (N, D), and captions to keep theirs:
    kept_ids (C, 24), kept (C, 24, D). Until `minutes` or `most_steps` are spent."""
    encoder.train()
    optimiser = torch.optim.AdamW(encoder.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.0)
    size = words.Size(batch=batch, seed=seed)
    began, step, said = time.monotonic(), 0, -30.0
    waiting: list[Tensor] = []
    while (spent := time.monotonic() - began) < 60 * minutes and step < most_steps:
        fall = math.cos(math.pi / 2 * max(spent / (60 * minutes), step / max(most_steps, 1))) ** 2
        optimiser.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / 60) * (0.01 + 0.99 * fall)
        trim = step // 8 % 3 != 0
        waiting = waiting or words.batches(ids, weight, size, step, trim)
        rows = waiting.pop()
        some = ids[rows]
        end = (some == 1).int().argmax(1)  # (B,)
        if trim:
            some = some[:, : min(words.PLACES, int(end.max()) + 3)]
        g = torch.Generator().manual_seed(seed * 1_000_003 + step)
        mine = torch.randint(len(kept), (batch // 4,), generator=g)
        with torch.autocast("cpu", torch.bfloat16):
            states = encoder(input_ids=some).last_hidden_state.float()  # (B, L, D)
            again = encoder(input_ids=kept_ids[mine]).last_hidden_state.float()
        from_end = (torch.arange(some.shape[1]) >= end[:, None]).float()  # (B, L)
        off = (states - landed[rows][:, None]).square().mean(2)
        land = ((off * from_end).sum(1) / from_end.sum(1)).mean()
        keep = F.mse_loss(again, kept[mine].float())
        optimiser.zero_grad()
        (land + KEEP * keep).backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimiser.step()
        step += 1
        if spent - said > 20:
            said = spent
            print(f"landing step {step}  land {land.item():.4f}  keep {keep.item():.4f}  "
                  f"{60 * minutes - spent:.0f} s left", flush=True)
    encoder.eval()


def land(work: Path, start: Path, out: Path, minutes: float, lexicon: Lexicon,
         shown: dict[str, str] | None = None, embeddings: np.ndarray | None = None,
         most_steps: float = math.inf) -> dict[str, float]:
    """Teach the encoder of `start` with the corpus in `work`; writes `out`/{tokenizer,text_encoder}.

    `shown` and their `embeddings` by the teacher are the painter's captions unless given. Returns how far other
    captions' states moved (root mean square; states have a deviation of 1) and how far held-out phrases are from their
    places.
    """
    corpus = Corpus.load(work).relabelled(lexicon)
    others = list(shown or captions_and_worlds(400, seed=22))
    shown = shown or captions_and_worlds(PLANS, seed=21)
    marks = list(shown)
    if embeddings is None:
        embeddings = words_teacher.embed(marks, words_teacher.teacher_folder(work.parent / "teacher"), work / "teacher")
    tokenizer = CLIPTokenizer.from_pretrained(start / "tokenizer")
    encoder = CLIPTextModel.from_pretrained(start / "text_encoder", dtype=torch.float32).eval()
    kept = words_eval.states(encoder, tokenizer, marks)  # (C, 24, D)
    landed = landing(
        words.targets(np.load(work / "teacher.npy"), corpus.attributes), named(corpus.attributes),
        words.targets(embeddings, np.stack([lexicon.of(t) for t in marks])),
        torch.tensor([[shown[t] == world for world in NAMED] for t in marks]), kept[:, -1],
    )
    before = words_eval.states(encoder, tokenizer, others)
    ids = words.tokenise(tokenizer, corpus.phrases)
    long = np.isin(corpus.kind, [KINDS.index("gloss"), KINDS.index("example")])
    weight = torch.from_numpy(np.where(corpus.held, 0, corpus.weight * np.where(long, LONG, 1)))
    train(encoder, ids, weight, landed, words.tokenise(tokenizer, marks), kept.half(), minutes, most_steps)
    some = torch.from_numpy(np.flatnonzero(corpus.held)[:4000])
    there = words_eval.states(encoder, tokenizer, [corpus.phrases[int(i)] for i in some])[:, -1]
    moved = words_eval.states(encoder, tokenizer, others) - before
    tokenizer.save_pretrained(out / "tokenizer")
    encoder.half().save_pretrained(out / "text_encoder")
    return {
        "captions moved": float(moved.square().mean().sqrt()),
        "held-out phrases from their places": float((there - landed[some]).square().mean().sqrt()),
    }


def main() -> None:
    """Teach an export and say what became of it."""
    from scripts.house_model import words_wordnet

    ask = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    ask.add_argument("--work", type=Path, required=True, help="the words stage's folder, with corpus and teacher.npy")
    ask.add_argument("--from", type=Path, dest="start", required=True, help="an exported model to begin with")
    ask.add_argument("--out", type=Path, required=True)
    ask.add_argument("--minutes", type=float, default=20.0)
    ask.add_argument("--threads", type=int, default=2)
    given = ask.parse_args()
    torch.set_num_threads(given.threads)
    words.prepare(given.work)
    print(land(given.work, given.start, given.out, given.minutes, words_lexicon.build(words_wordnet.read())))
    for name, value in words.evaluate(given.out, given.work).items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
