"""More words, or the lists as they are now, for an encoder that a denoiser was already trained on.

    python -m scripts.house_model.words_more --work ~/pedesis-train/words --minutes 6 --out DIR
    python -m scripts.house_model.words_more --work ~/pedesis-train/words --minutes 4 --out DIR --from MODEL_FOLDER

The transformer and every token that a caption of the painter uses stay as they are, bit for bit; captions
are cut into the same tokens: no caption's state changes. What is taught: the tokens no caption uses, and new
tokens for words that look or feel like something but fell to pieces in the vocabulary (merges added after all
others). From an exported encoder only those are taught of which the lists say something else than they did when the
corpus in --work was made.
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
from torch.nn import functional as F
from transformers import CLIPTokenizer

from scripts.house_model import words, words_corpus, words_lexicon, words_wordnet
from scripts.house_model.words_corpus import KINDS, Corpus
from scripts.house_model.words_lexicon import Lexicon

HEADS_LEARN_FROM = 16_000  # phrases
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


def reopened(folder: Path, tokenizer: CLIPTokenizer, phrases: list[str], target: Tensor) -> words.Student:
    """The encoder of an export, and heads for it, which are not exported: a ridge regression onto the targets (N, T)
    of those phrases."""
    from transformers import CLIPTextModel

    encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32).eval()
    width = encoder.config.hidden_size
    student = words.Student(words.Size(vocabulary=len(tokenizer), width=width), target.shape[1])
    student.encoder = encoder
    with torch.no_grad():
        states = [encoder(input_ids=ids).last_hidden_state for ids in words.tokenise(tokenizer, phrases).split(512)]
        for head, read in ((student.of_place, lambda s: s[:, -1]), (student.of_mean, words.whole)):
            x = torch.cat([read(s) for s in states])
            y, middle = target.float(), x.mean(0)
            centred = x - middle
            fit = torch.linalg.solve(centred.T @ centred + torch.eye(width), centred.T @ (y - y.mean(0)))  # (D, T)
            head.weight.copy_(fit.T)
            head.bias.copy_(y.mean(0) - middle @ fit)
    return student


def shown(target: Tensor, corpus: Corpus) -> Tensor:
    """The targets (N, T), those of single words of weather half way to what captions with that weather mean. By
    the lists alone thunder was clouds in 4 dreams of 12; so, in 8."""
    out, at = target.float(), words_lexicon.places("weather")
    weather = torch.from_numpy(corpus.attributes[:, at].astype(np.float32))
    caption = torch.from_numpy((corpus.kind == KINDS.index("caption")) & ~corpus.held)
    word = torch.tensor([p.isalpha() for p in corpus.phrases]) & ~caption
    word &= torch.from_numpy(corpus.attributes[:, words_lexicon.NAMES.index("cloud")] == 1.0)
    for k in range(weather.shape[1]):
        with_it = caption & (weather[:, k] == 1.0)
        rows = word & (weather[:, k] > 0) & (weather[:, k] == weather.max(1).values)
        if with_it.any():
            out[rows] = F.normalize(out[rows] + F.normalize(out[with_it].mean(0), dim=-1), dim=-1)
    return out.half()


def teach(work: Path, out: Path, minutes: float, lexicon: Lexicon | None = None,
          captions: list[str] | None = None, start: Path | None = None) -> None:
    """From the student in `work`, or the export in `start`, to `out`/{tokenizer,text_encoder} with more words, and
    those of `lexicon`. Raises ValueError when an export has nothing to learn."""
    corpus = Corpus.load(work)
    said = corpus.attributes
    if lexicon is not None:
        corpus = corpus.relabelled(lexicon)
    captions = captions or words_corpus.painters_captions(20_000, seed=11)
    old = CLIPTokenizer.from_pretrained((start or work) / "tokenizer")
    target = shown(words.targets(np.load(work / "teacher.npy"), corpus.attributes), corpus)
    used, apart = caption_tokens(old, captions)
    if start is None:
        student = words.load(work)
    else:
        some = np.flatnonzero(~corpus.held)[:: max(1, len(corpus.phrases) // HEADS_LEARN_FROM)]
        student = reopened(start, old, [corpus.phrases[i] for i in some], target[torch.from_numpy(some)])
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
    ids = words.tokenise(new, [corpus.phrases[i] for i in rows])
    if start is not None:
        news = [corpus.phrases[i] for i in rows
                if corpus.phrases[i].isalpha() and (corpus.attributes[i] != said[i]).any()]
        if not news:
            raise ValueError(f"the lists must say something else of a word than {work}'s corpus, and say nothing new")
        named = {int(i) for i in words.tokenise(new, news).unique()}
        free &= torch.tensor([i in named for i in range(len(free))])
        speaks = free[ids].any(1)
        ids, rows = ids[speaks], rows[speaks.numpy()]
    print(f"{len(new) - len(old)} new tokens, {int(free.sum())} to teach, {len(used)} kept", flush=True)
    chance = torch.from_numpy(corpus.weight[rows].astype(np.float32))
    refit(student, ids, target[torch.from_numpy(rows)], chance, free, minutes)
    student.encoder.half().save_pretrained(out / "text_encoder")


def main() -> None:
    """Teach more words and say what changed."""
    ask = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    ask.add_argument("--work", type=Path, required=True)
    ask.add_argument("--out", type=Path, required=True)
    ask.add_argument("--from", type=Path, dest="start", help="an export to begin with, in place of the work folder's")
    ask.add_argument("--before", type=Path, help="the export that the denoiser knows, to measure the drift")
    ask.add_argument("--minutes", type=float, default=6.0)
    ask.add_argument("--threads", type=int, default=2)
    given = ask.parse_args()
    torch.set_num_threads(given.threads)
    teach(given.work, given.out, given.minutes, words_lexicon.build(words_wordnet.read()), start=given.start)
    if given.before is not None:
        print(drift(given.before, given.out, words_corpus.painters_captions(1000, seed=12)))
    for name, value in words.evaluate(given.out, given.work).items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
