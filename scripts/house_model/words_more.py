"""More words, or the lists as they are now, for an encoder that a denoiser was already trained on.

    python -m scripts.house_model.words_more --work ~/pedesis-train/words --minutes 6 --out DIR

The transformer and every token that a caption of the painter uses stay as they are, bit for bit; captions
are cut into the same tokens: no caption's state changes. What is taught: the tokens no caption uses, and new
tokens for words that look or feel like something but fell to pieces in the vocabulary (merges added after all
others).
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import CLIPTokenizer

from scripts.house_model import words, words_corpus, words_lexicon, words_wordnet
from scripts.house_model.words_corpus import KINDS, Corpus
from scripts.house_model.words_lexicon import Lexicon

MOST_PARAMETERS = 5_980_000  # 12 MB of float16 less a little for the header


def caption_tokens(tokenizer: CLIPTokenizer, captions: list[str]) -> tuple[set[int], set[tuple[str, str]]]:
    """Ids that captions use (and the marks), and the neighbours inside their words, which must stay apart."""
    spoken = {w for c in captions for w in c.lower().split()}
    spoken |= {w.strip(",.:;'") for w in spoken}
    used, pairs = {0, 1}, set()
    for word in spoken:
        parts = tokenizer.tokenize(word)
        used |= set(tokenizer.convert_tokens_to_ids(parts))
        pairs |= set(pairwise(parts))
    return used, pairs


def extend(tokenizer: CLIPTokenizer, wanted: list[str], apart: set[tuple[str, str]], room: int,
           out: Path) -> CLIPTokenizer:
    """Add merges after all others that make each wanted word one token, until `room` ids are used."""
    written = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    vocab, merges = dict(written["vocab"]), [tuple(m) for m in written["merges"]]
    limit, merged = len(vocab) + room, set(merges)
    for word in wanted:
        parts = tokenizer.tokenize(word)
        chain = []
        while len(parts) > 1:
            chain.append((parts[-2], parts[-1]))
            parts = [*parts[:-2], parts[-2] + parts[-1]]
        fresh = [a + b for a, b in chain if a + b not in vocab]
        if len(chain) > 3 or any(pair in apart for pair in chain) or len(vocab) + len(fresh) > limit:
            continue
        for pair in chain:
            if pair not in merged:
                merges.append(pair)
                merged.add(pair)
            vocab.setdefault(pair[0] + pair[1], len(vocab))
    made = CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=words.PLACES, unk_token=words.EOS,
                         bos_token=words.BOS, eos_token=words.EOS, pad_token=words.EOS)
    made.save_pretrained(out / "tokenizer")
    return CLIPTokenizer.from_pretrained(out / "tokenizer")


def telling_words(corpus: Corpus, tokenizer: CLIPTokenizer) -> list[str]:
    """Single words with an attribute that are not yet one token, the most used and most telling first."""
    strength = corpus.attributes.astype(np.float32).max(1) * corpus.weight
    rows = [i for i in np.argsort(-strength) if corpus.kind[i] in (0, 3) and corpus.phrases[i].isalpha()
            and strength[i] > 0 and not corpus.held[i]]
    return [p for p in (corpus.phrases[i] for i in rows) if len(tokenizer.tokenize(p)) > 1]


def _grown(student: words.Student, old: CLIPTokenizer, new: CLIPTokenizer,
           meaning: dict[str, Tensor]) -> None:
    """Rows for the new ids: a ridge regression from meaning to the rows of known whole words."""
    table = student.encoder.embeddings.token_embedding.weight.detach()
    known = [(i, t[:-4]) for t, i in old.get_vocab().items() if t.endswith("</w>") and t[:-4] in meaning]
    x = torch.stack([meaning[t] for _, t in known])
    y = table[[i for i, _ in known]]
    middle, centre = x.mean(0), y.mean(0)
    x = x - middle
    fit = torch.linalg.solve(x.T @ x + 5.0 * torch.eye(x.shape[1]), x.T @ (y - centre))
    size = max(len(new), len(table))
    rows = torch.zeros(size, table.shape[1])
    rows[:len(table)] = table
    for text, i in new.get_vocab().items():
        if i >= len(old):
            word = text.removesuffix("</w>")
            rows[i] = centre + (meaning[word] - middle) @ fit if word in meaning else centre
    student.encoder.resize_token_embeddings(size, mean_resizing=False)
    with torch.no_grad():
        student.encoder.embeddings.token_embedding.weight.copy_(rows)
    student.encoder.config.vocab_size = size


def refit(student: words.Student, ids: Tensor, target: Tensor, weight: Tensor, free: Tensor, minutes: float,
          rate: float = 1.2e-2, batch: int = 256, seed: int = 5) -> None:
    """Train the rows `free` (V,) bool of the token table, and nothing else, for `minutes`."""
    student.requires_grad_(False)
    table = student.encoder.embeddings.token_embedding.weight.requires_grad_(True)
    kept = table.detach().clone()
    optimiser = torch.optim.Adam([table], lr=rate, betas=(0.9, 0.98))
    began, step, said = time.monotonic(), 0, -30.0
    size = words.Size(batch=batch, seed=seed)
    waiting: list[Tensor] = []
    while (spent := time.monotonic() - began) < 60 * minutes:
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        optimiser.param_groups[0]["lr"] = rate * (1 - spent / (60 * minutes))
        waiting = waiting or words.batches(ids, weight, size, step, True)
        rows = waiting.pop()
        some = ids[rows]
        some = some[:, :min(words.PLACES, int((some == 1).int().argmax(1).max()) + 3)]
        total, parts = words.loss(student, some, target[rows].float(), generator)
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        with torch.no_grad():
            table.copy_(torch.where(free[:, None], table, kept))
        step += 1
        if spent - said > 20:
            said = spent
            print(f"more words step {step}  loss {total.item():.3f}  " +
                  "  ".join(f"{k} {v:.4f}" for k, v in parts.items()) +
                  f"  {60 * minutes - spent:.0f} s left", flush=True)


def drift(before: Path, after: Path, captions: list[str]) -> dict[str, float]:
    """Largest change of any caption's state, and the share cut into other tokens; both must be 0."""
    from transformers import CLIPTextModel

    pair = [(CLIPTokenizer.from_pretrained(p / "tokenizer"),
             CLIPTextModel.from_pretrained(p / "text_encoder", dtype=torch.float32).eval())
            for p in (before, after)]
    ids = [words.tokenise(tokenizer, captions) for tokenizer, _ in pair]
    with torch.inference_mode():
        states = [model(input_ids=i[:512]).last_hidden_state for (_, model), i in zip(pair, ids, strict=True)]
    return {"largest change": float((states[0] - states[1]).abs().max()),
            "tokens changed": float((ids[0] != ids[1]).any(1).float().mean())}


def teach(work: Path, out: Path, minutes: float, lexicon: Lexicon | None = None,
          captions: list[str] | None = None) -> None:
    """From the student in `work` to `out`/{tokenizer,text_encoder} with more words, and those of `lexicon`."""
    corpus = Corpus.load(work)
    if lexicon is not None:
        corpus = corpus.relabelled(lexicon)
    captions = captions or words_corpus.painters_captions(20_000, seed=11)
    student = words.load(work)
    old = CLIPTokenizer.from_pretrained(work / "tokenizer")
    target = words.targets(np.load(work / "teacher.npy"), corpus.attributes)
    used, apart = caption_tokens(old, captions)
    width = student.encoder.config.hidden_size
    room = (MOST_PARAMETERS - sum(p.numel() for p in student.encoder.parameters())) // width
    new = extend(old, telling_words(corpus, old), apart, room, out)
    rows = np.flatnonzero(np.isin(corpus.kind, [KINDS.index(k) for k in ("word", "listed", "composed")])
                          & ~corpus.held & (np.char.str_len(np.array(corpus.phrases)) < 40))
    rows = rows[[corpus.phrases[i].isalpha() or corpus.kind[i] > 0 for i in rows]]
    meaning = {corpus.phrases[i]: target[i].float() for i in rows if corpus.phrases[i].isalpha()}
    _grown(student, old, new, meaning)
    free = torch.ones(student.encoder.config.vocab_size, dtype=torch.bool)
    free[sorted(used)] = False
    print(f"{len(new) - len(old)} new tokens, {int(free.sum())} to teach, {len(used)} kept", flush=True)
    ids = words.tokenise(new, [corpus.phrases[i] for i in rows])
    chance = torch.from_numpy(corpus.weight[rows].astype(np.float32))
    refit(student, ids, target[torch.from_numpy(rows)], chance, free, minutes)
    student.encoder.half().save_pretrained(out / "text_encoder")


def main() -> None:
    """Teach more words and say what changed."""
    ask = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    ask.add_argument("--work", type=Path, required=True)
    ask.add_argument("--out", type=Path, required=True)
    ask.add_argument("--before", type=Path, help="the export that the denoiser knows, to measure the drift")
    ask.add_argument("--minutes", type=float, default=6.0)
    ask.add_argument("--threads", type=int, default=2)
    given = ask.parse_args()
    torch.set_num_threads(given.threads)
    teach(given.work, given.out, given.minutes, words_lexicon.build(words_wordnet.read()))
    if given.before is not None:
        print(drift(given.before, given.out, words_corpus.painters_captions(1000, seed=12)))
    for name, value in words.evaluate(given.out, given.work).items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
