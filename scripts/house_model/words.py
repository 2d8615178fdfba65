"""The text encoder of the built-in model: a small CLIPTextModel that learns a sentence model's meaning.

    python -m scripts.house_model.words --minutes 18 --work ~/pedesis-train/words --out ~/pedesis-train/export

Makes the corpus, the teacher's embeddings, an own vocabulary, trains, and writes `tokenizer/` and
`text_encoder/` into --out; every step resumes. Needs the training extra (the teacher, WordNet) once.

The denoiser reads last_hidden_state and the engine mixes several of them linearly, so meaning must lie at
stable places: a phrase is always padded to 24 places, every place from its end on carries the whole phrase,
and so does the mean over all places. Both are tied to the teacher through linear heads that are then thrown
away, and, with no head, by making similarities between phrases agree with the target's.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from scripts.house_model import words_corpus, words_teacher
from scripts.house_model.words_corpus import Corpus
from scripts.house_model.words_eval import evaluate
from scripts.house_model.words_start import bag_start

__all__ = ["Size", "Student", "build_corpus", "evaluate", "export", "prepare", "train"]

PLACES = 24
BOS, EOS = "<|startoftext|>", "<|endoftext|>"
ATTRIBUTE_SHARE = 0.6  # length of one full attribute beside the teacher's unit vector
RELATIONAL = 8.0
build_corpus = words_corpus.build_corpus


@dataclass(frozen=True)
class Size:
    """Shape of the student and its schooling; the defaults are 5.4 M parameters, 10.8 MB as float16.

    A big vocabulary and two layers: most words are one token, whose meaning the bag of words fits cheaply; on
    two CPU cores four layers with a vocabulary of 9,216 learnt far less in the same time.
    """

    vocabulary: int = 14_848
    width: int = 256
    layers: int = 2
    heads: int = 4
    batch: int = 256
    rate: float = 8e-4
    seed: int = 1
    bag_steps: int = 3000


class Student(nn.Module):
    """The encoder and its two training-only heads, onto targets of `target` numbers."""

    def __init__(self, size: Size, target: int) -> None:
        super().__init__()
        self.encoder = CLIPTextModel(CLIPTextConfig(
            vocab_size=size.vocabulary, hidden_size=size.width, intermediate_size=4 * size.width,
            num_hidden_layers=size.layers, num_attention_heads=size.heads, max_position_embeddings=PLACES,
            projection_dim=size.width, bos_token_id=0, eos_token_id=1, pad_token_id=1))
        self.of_place = nn.Linear(size.width, target)
        self.of_mean = nn.Linear(size.width, target)


def make_tokenizer(corpus: Corpus, size: Size) -> CLIPTokenizer:
    """A lower-case byte-pair vocabulary of the corpus, drawn by weight, as CLIP's tokenizer reads it."""
    import json

    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    like = CLIPTokenizer().backend_tokenizer
    bare = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token=EOS))
    bare.normalizer, bare.pre_tokenizer = like.normalizer, like.pre_tokenizer
    rng = np.random.default_rng(size.seed)
    share = corpus.weight / corpus.weight.sum()
    drawn = rng.choice(len(corpus.phrases), size=len(corpus.phrases), p=share)
    # Every byte must also be known at the end of a word, else an unseen letter would end the text.
    letters = [chr(c) for c in (*range(33, 256), *range(0x4E00, 0x4E40))]
    trainer = trainers.BpeTrainer(
        vocab_size=size.vocabulary, special_tokens=[BOS, EOS], end_of_word_suffix="</w>", show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    telling = [p for p, a in zip(corpus.phrases, corpus.attributes, strict=True) if p.isalpha() and a.any()]
    bare.train_from_iterator(letters + 20 * telling + [corpus.phrases[int(i)] for i in drawn], trainer)
    model = json.loads(bare.to_str())["model"]
    return CLIPTokenizer(vocab=model["vocab"], merges=[tuple(m) for m in model["merges"]],
                         model_max_length=PLACES, unk_token=EOS, bos_token=BOS, eos_token=EOS, pad_token=EOS)


def tokenise(tokenizer: CLIPTokenizer, phrases: list[str]) -> Tensor:
    """(N, 24) int64 ids, padded and cut as the pipeline does it."""
    return tokenizer(phrases, padding="max_length", truncation=True, max_length=PLACES,
                     return_tensors="pt").input_ids


def targets(embeddings: np.ndarray, attributes: np.ndarray) -> Tensor:
    """(N, 384 + A) float16 unit vectors: the teacher's meaning and what the words look and feel like."""
    both = np.concatenate([embeddings.astype(np.float32), ATTRIBUTE_SHARE * attributes.astype(np.float32)], 1)
    return F.normalize(torch.from_numpy(both), dim=-1).half()


def _token_meaning(tokenizer: CLIPTokenizer, teacher: Path, work: Path, corpus: Corpus,
                   target: Tensor) -> Tensor:
    """(V, T) what each token means by its spelling: the target of that word, or the teacher's embedding."""
    known = dict(zip(corpus.phrases, range(len(corpus.phrases)), strict=True))
    texts = {i: t.removesuffix("</w>") for t, i in tokenizer.get_vocab().items()}
    spelt = [i for i, t in texts.items() if t.isascii() and t.isalpha() and len(t) > 1]
    meaning = torch.zeros(len(texts), target.shape[1])
    vectors = words_teacher.embed([texts[i] for i in spelt], teacher, work / "teacher")
    meaning[spelt, :vectors.shape[1]] = torch.from_numpy(vectors).float()
    for i in spelt:
        if texts[i] in known:
            meaning[i] = target[known[texts[i]]].float()
    return meaning


def prepare(work: Path, size: Size | None = None, device: str = "cpu", captions: list[str] | None = None,
            corpus: Corpus | None = None, embeddings: np.ndarray | None = None) -> None:
    """Make what training needs under `work`, each piece only if it is missing."""
    size = size or Size()
    if not (work / "corpus.json").is_file():
        (corpus or build_corpus(size.seed, captions=captions)).save(work)
    corpus = Corpus.load(work)
    if not (work / "teacher.npy").is_file():
        if embeddings is None:
            teacher = words_teacher.teacher_folder(work.parent / "teacher")
            embeddings = words_teacher.embed(corpus.phrases, teacher, work / "teacher", device)
        np.save(work / "teacher.npy", embeddings)
    if not (work / "tokenizer").is_dir():
        make_tokenizer(corpus, size).save_pretrained(work / "tokenizer")
    if not (work / "tokens.npy").is_file():
        tokenizer = CLIPTokenizer.from_pretrained(work / "tokenizer")
        np.save(work / "tokens.npy", tokenise(tokenizer, corpus.phrases).numpy().astype(np.int16))


def _begin(work: Path, size: Size, corpus: Corpus, ids: Tensor, target: Tensor,
           weight: Tensor) -> tuple[Student, dict[str, Any]]:
    """The student as the last checkpoint left it, or a fresh one that starts as a bag of words."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(size.seed)
        student = Student(size, target.shape[1])
    path = work / "student.pt"
    if path.is_file():
        saved = torch.load(path, weights_only=True, map_location="cpu")
        student.load_state_dict(saved["student"])
        return student, saved
    meaning = None
    try:
        teacher = words_teacher.teacher_folder(work.parent / "teacher")
    except FileNotFoundError:
        print("no teacher at hand: tokens start from noise", flush=True)
    else:
        tokenizer = CLIPTokenizer.from_pretrained(work / "tokenizer")
        meaning = _token_meaning(tokenizer, teacher, work, corpus, target)
    bag_start(student, meaning, ids, target, weight, size.bag_steps, 8 * size.batch, size.seed)
    return student, {"step": 0, "elapsed_s": 0.0}


def _relational(states: Tensor, target: Tensor) -> Tensor:
    """How far the batch's similarities, its mean removed, are from the target's: no head in between."""
    a = F.normalize(states - states.mean(0), dim=-1)
    b = F.normalize(target - target.mean(0), dim=-1)
    off = 1 - torch.eye(len(a), device=a.device)
    return (((a @ a.T - b @ b.T) * off) ** 2).sum() / off.sum()


def whole(states: Tensor) -> Tensor:
    """(B, D) mean over 24 places of (B, L, D); places cut off for speed count as the last one."""
    missing = PLACES - states.shape[1]
    return (states.sum(1) + missing * states[:, -1]) / PLACES


def loss(student: Student, ids: Tensor, target: Tensor,
         generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
    """The loss of a batch: ids (B, L), unit targets (B, T)."""
    with torch.autocast(ids.device.type, torch.bfloat16):
        states = student.encoder(input_ids=ids).last_hidden_state.float()  # (B, L, D)
    rows = torch.arange(len(ids), device=ids.device)
    end = (ids == 1).int().argmax(1)
    some = end + (torch.rand(len(ids), generator=generator).to(ids.device) * (ids.shape[1] - end)).long()
    last, mean = states[:, -1], whole(states)
    places = torch.cat([states[rows, end], states[rows, some], last])  # (3B, D)
    at_place = 1 - F.cosine_similarity(student.of_place(places), target.repeat(3, 1)).mean()
    at_mean = 1 - F.cosine_similarity(student.of_mean(mean), target).mean()
    relation = (_relational(mean, target) + _relational(last, target)) / 2
    total = at_place + at_mean + RELATIONAL * relation
    return total, {"place": at_place.item(), "mean": at_mean.item(), "relation": relation.item()}


def batches(ids: Tensor, weight: Tensor, size: Size, step: int, trim: bool) -> list[Tensor]:
    """Eight batches of row numbers; by length when `trim`, so that they can be cut short: twice as fast."""
    generator = torch.Generator().manual_seed(size.seed * 1_000_003 + step)
    rows = torch.multinomial(weight, 8 * size.batch, replacement=True, generator=generator)
    if trim:
        rows = rows[(ids[rows] == 1).int().argmax(1).argsort()]
    parts = rows.split(size.batch)
    return [parts[int(i)] for i in torch.randperm(8, generator=generator)]


def _save(work: Path, student: Student, optimiser: torch.optim.Optimizer, step: int,
          elapsed_s: float) -> None:
    torch.save({"student": student.state_dict(), "optimiser": optimiser.state_dict(), "step": step,
                "elapsed_s": elapsed_s}, work / "student.part")
    (work / "student.part").replace(work / "student.pt")


def train(work: Path, minutes: float, device: str | torch.device = "cpu", size: Size | None = None,
          most_steps: int | None = None) -> None:
    """Train until `minutes` are spent in all, resuming from `work`; makes what is missing there first."""
    size = size or Size()
    work, kind = Path(work), torch.device(device)
    prepare(work, size, str(device))
    corpus = Corpus.load(work)
    target = targets(np.load(work / "teacher.npy"), corpus.attributes)
    ids = torch.from_numpy(np.load(work / "tokens.npy").astype(np.int64))
    weight = torch.from_numpy(np.where(corpus.held, 0, corpus.weight))
    student, saved = _begin(work, size, corpus, ids, target, weight)
    student.to(kind).train()
    optimiser = torch.optim.AdamW(student.parameters(), lr=size.rate, betas=(0.9, 0.98), weight_decay=0.02)
    if "optimiser" in saved:
        optimiser.load_state_dict(saved["optimiser"])
    step, spent, said = int(saved["step"]), float(saved["elapsed_s"]), 0.0
    began = time.monotonic() - spent
    log = (work / "loss.csv").open("a", encoding="utf-8")
    if step == 0:
        _save(work, student, optimiser, step, spent)
    while spent < 60 * minutes and (most_steps is None or step < most_steps):
        trim = spent < 0.7 * 60 * minutes and step % 3 != 0
        generator = torch.Generator().manual_seed(step)
        for rows in batches(ids, weight, size, step, trim):
            part = spent / (60 * minutes)
            for group in optimiser.param_groups:
                fall = math.cos(math.pi / 2 * min(part, 1.0)) ** 2
                group["lr"] = size.rate * min(1.0, (step + 1) / 60) * (0.01 + 0.99 * fall)
            batch = ids[rows]
            if trim:
                batch = batch[:, :min(PLACES, int((batch == 1).int().argmax(1).max()) + 3)]
            total, parts = loss(student, batch.to(kind), target[rows].to(kind).float(), generator)
            optimiser.zero_grad()
            total.backward()
            nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimiser.step()
            step, spent = step + 1, time.monotonic() - began
        log.write(f"{step},{spent:.1f},{total.item():.4f},{parts['place']:.4f},{parts['mean']:.4f},"
                  f"{parts['relation']:.5f}\n")
        if spent - said > 20:
            said = spent
            log.flush()
            _save(work, student, optimiser, step, spent)
            print(f"words step {step}  loss {total.item():.3f}  " +
                  "  ".join(f"{k} {v:.4f}" for k, v in parts.items()) +
                  f"  {60 * minutes - spent:.0f} s left", flush=True)
    log.close()
    _save(work, student, optimiser, step, spent)


def load(work: Path) -> Student:
    """The student of the last checkpoint in `work`."""
    if not (work / "student.pt").is_file():
        raise FileNotFoundError(f"a trained student is required, student.pt in {work}; got none: train")
    weights = torch.load(work / "student.pt", weights_only=True, map_location="cpu")["student"]
    vocabulary, width = weights["encoder.embeddings.token_embedding.weight"].shape
    layers = 1 + max(int(k.split(".")[3]) for k in weights if k.startswith("encoder.encoder.layers."))
    size = Size(vocabulary=vocabulary, width=width, layers=layers)
    student = Student(size, weights["of_mean.weight"].shape[0])
    student.load_state_dict(weights)
    return student


def export(work: Path, out: Path) -> None:
    """Write `tokenizer/` and `text_encoder/` (float16 safetensors) from the last checkpoint in `work`."""
    work, out = Path(work), Path(out)
    load(work).encoder.half().save_pretrained(out / "text_encoder")
    CLIPTokenizer.from_pretrained(work / "tokenizer").save_pretrained(out / "tokenizer")


def main() -> None:
    """Everything from nothing, or from where it stopped."""
    ask = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    ask.add_argument("--minutes", type=float, default=18.0, help="training time in all, earlier runs too")
    ask.add_argument("--work", type=Path, required=True, help="checkpoints, outside the repository")
    ask.add_argument("--out", type=Path, help="where tokenizer/ and text_encoder/ go")
    ask.add_argument("--device", default="cpu")
    ask.add_argument("--threads", type=int, default=2)
    given = ask.parse_args()
    torch.set_num_threads(given.threads)
    train(given.work, given.minutes, given.device)
    if given.out is not None:
        export(given.work, given.out)
        for name, value in evaluate(given.out, given.work).items():
            print(f"{name}: {value}")


if __name__ == "__main__":
    main()
