"""The phrases the text encoder learns from: WordNet, word lists, compositions, the painter's captions.

    corpus = build_corpus(seed=1)           # needs WordNet (Debian's wordnet-base) on the machine
    corpus.phrases[0], corpus.attributes[0]

Each phrase has a kind, a weight (how often it is drawn) and the attributes of words_lexicon. A fixed share of
glosses, compositions, captions and words is held out for measuring.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scripts.house_model import words_lexicon, words_wordnet
from scripts.house_model.words_lexicon import GROUPS, Lexicon, holds_probe
from scripts.house_model.words_wordnet import WordNet

KINDS = ("word", "gloss", "example", "listed", "composed", "caption")
HELD_OUT = {"word": 0.01, "gloss": 0.02, "example": 0.02, "composed": 0.02, "caption": 0.02}
MOST_WORDS = 20
PLACES = ("in the", "over the", "under a", "inside a", "beside the", "made of", "full of", "seen through",
          "like a", "above the", "dissolving into", "turning into", "behind the", "without a", "and a")
WORLD_WORDS = (
    "clouds", "a sky of clouds", "a bank of cloud", "one small cloud", "towering clouds", "thin high cloud",
    "torn paper", "paper pulp", "a sheet of torn printed paper", "wet paper fibres", "a deckle edge",
    "shredded pages", "paper on a mould", "ink on paper", "a watermark", "shelves of glowing spheres",
    "memory spheres on a shelf", "a glass ball", "glowing orbs on shelves", "a store of memories",
    "a sphere with a scene inside it", "clouds inside a sphere", "spheres seen in the clouds", "paper clouds",
    "a sky torn to pulp", "shelves of paper", "a cloud shaped like a face", "a cloud like a ship",
    "a cloud like an animal", "a house in the clouds", "a car in a memory sphere", "words and paper")


@dataclass(frozen=True)
class Corpus:
    """N phrases; kind (N,) in KINDS, weight (N,), attributes (N, A), held (N,): true where not trained on."""

    phrases: list[str]
    kind: np.ndarray
    weight: np.ndarray
    attributes: np.ndarray
    held: np.ndarray

    def save(self, folder: Path) -> None:
        """Write to `folder`/corpus.json and corpus.npz."""
        folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(folder / "corpus.npz", kind=self.kind, weight=self.weight,
                            attributes=self.attributes, held=self.held)
        (folder / "corpus.json").write_text(json.dumps(self.phrases), encoding="utf-8")

    def relabelled(self, lexicon: Lexicon) -> Corpus:
        """The same phrases with what the lists say of them now."""
        found = np.stack([lexicon.of(t) for t in self.phrases]).astype(np.float16)
        return replace(self, attributes=found)

    @staticmethod
    def load(folder: Path) -> Corpus:
        """Read what save wrote."""
        if not (folder / "corpus.json").is_file():
            raise FileNotFoundError(f"a corpus is required, corpus.json in {folder}; got none: build it")
        z = np.load(folder / "corpus.npz")
        return Corpus(json.loads((folder / "corpus.json").read_text(encoding="utf-8")),
                      z["kind"], z["weight"], z["attributes"], z["held"])


def _short(text: str) -> str:
    return " ".join(text.replace("`", "'").split()[:MOST_WORDS])


def _pick(rng: np.random.Generator, options: list[str] | tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def _from_wordnet(net: WordNet, rng: np.random.Generator, glosses: int) -> list[tuple[str, str, float]]:
    out: list[tuple[str, str, float]] = []
    for lemma in words_wordnet.everyday(net):
        common = 1 + 0.8 * math.log2(1 + net.counts.get(lemma, 0))
        one_word = lemma.isalpha()
        out.append((lemma, "word", common * (1.0 if one_word else 0.3)))
    sets = list(net.synsets.values())
    known = np.array([max(net.counts.get(w.lower(), 0) for w in s.lemmas) for s in sets])
    chance = np.where(known > 0, 3.0, 1.0)
    chosen = rng.choice(len(sets), size=min(glosses, len(sets)), replace=False, p=chance / chance.sum())
    for i in chosen:
        one = sets[int(i)]
        if one.definition:
            text = one.definition if rng.random() < 0.6 else f"{one.lemmas[0]}: {one.definition}"
            out.append((_short(text), "gloss", 0.4))
        out += [(_short(e), "example", 0.4) for e in one.examples[:1] if len(e) > 8]
    return out


def _listed(lexicon: Lexicon) -> list[tuple[str, str, float]]:
    out = [(word, "listed", 8.0) for word in words_lexicon.listed()]
    out += [(name, "listed", 2.0) for name in lexicon.phrases]
    out += [(f"{name} clouds", "listed", 1.0) for name in lexicon.phrases]
    out += [(f"the colour {name}", "listed", 2.0) for name in (*lexicon.phrases, *GROUPS["colour"])]
    out += [(text, "listed", 6.0) for text in WORLD_WORDS]
    return out


def _vocabularies(net: WordNet, lexicon: Lexicon) -> dict[str, list[str]]:
    """Words to compose from, without the probes: common nouns and adjectives, words with attributes."""
    lists: dict[str, list[str]] = {"noun": [], "adj": []}
    for lemma, senses in net.senses.items():
        if net.counts.get(lemma, 0) < 2 or not lemma.isalpha() or len(lemma) < 3 or holds_probe(lemma):
            continue
        part = senses[0].key.rstrip("0123456789")
        if part in lists:
            lists[part].append(lemma)
    listed = words_lexicon.listed()
    for group, names in GROUPS.items():
        lists[group] = [w for w in listed if listed[w] in names]
    lists["hued"] = [w for w, v in lexicon.words.items() if v[:len(GROUPS["colour"])].max() >= 0.6
                     and net.counts.get(w, 0) >= 1 and not holds_probe(w)]
    return lists


def _composed(lists: dict[str, list[str]], rng: np.random.Generator,
              count: int) -> list[tuple[str, str, float]]:
    """Short phrases at random: hues, feelings, hours and weathers with things, and things with things."""
    def p(name: str) -> str:
        return _pick(rng, lists[name])

    forms = (
        lambda: f"{p('adj')} {p('noun')}", lambda: f"a {p('adj')} {p('noun')}",
        lambda: f"{p('noun')} {_pick(rng, PLACES)} {p('noun')}", lambda: f"the {p('noun')} of {p('noun')}",
        lambda: f"{p('colour')} {p('noun')}", lambda: f"{p('hued')} {p('noun')}",
        lambda: f"{p('hued')} clouds",
        lambda: f"{p('noun')} at {p('hour')}", lambda: f"{p('feeling')} {_pick(rng, PLACES)} {p('noun')}",
        lambda: f"{p('weather')} and {p('feeling')}", lambda: f"the colour of {p('feeling')}",
        lambda: f"{p('colour')} and {p('colour')}", lambda: f"{p('world')} {_pick(rng, PLACES)} {p('world')}",
        lambda: f"the {p('adj')} {p('noun')} {_pick(rng, PLACES)} {p('adj')} {p('noun')}",
        lambda: f"a {p('colour')} {p('noun')} in the {p('weather')} at {p('hour')}",
        lambda: f"{p('noun')}, {p('noun')}, {p('feeling')}", lambda: f"a memory of {p('noun')}",
        lambda: f"a cloud shaped like a {p('noun')}", lambda: f"{p('hued')} paper",
        lambda: f"{p('noun')} {p('noun')}",
    )
    return [(forms[int(rng.integers(len(forms)))](), "composed", 0.8) for _ in range(count)]


def _own_captions(lists: dict[str, list[str]], rng: np.random.Generator, count: int) -> list[str]:
    """Captions in the manner of the painter's, for when its grammar is not there."""
    out = []
    for _ in range(count):
        text = _pick(rng, WORLD_WORDS)
        tail = [f"at {_pick(rng, lists['hour'])}", f"in {_pick(rng, lists['colour'])}",
                f"with {_pick(rng, lists['feeling'])}", f"in {_pick(rng, lists['weather'])} weather",
                f"{_pick(rng, lists['colour'])} and {_pick(rng, lists['colour'])}",
                f"the colour of {_pick(rng, lists['feeling'])}"]
        chosen = [tail[int(i)] for i in rng.permutation(len(tail))[:int(rng.integers(1, 4))]]
        out.append(f"{text} {', '.join(chosen)}" if rng.random() < 0.7 else f"{', '.join(chosen)}: {text}")
    return out


def build_corpus(seed: int = 1, size: float = 1.0, captions: list[str] | None = None,
                 net: WordNet | None = None, lexicon: Lexicon | None = None) -> Corpus:
    """Every phrase once; no probe words but in WordNet. `size` scales the random parts (tests: 0.01)."""
    net = net or words_wordnet.read()
    lexicon = lexicon or words_lexicon.build(net)
    rng = np.random.default_rng(seed)
    lists = _vocabularies(net, lexicon)
    rows = _listed(lexicon)
    own = [] if captions is None else [c for c in captions if not holds_probe(c)]
    own += _own_captions(lists, rng, int((30_000 if not own else 8_000) * size))
    rows += [(c, "caption", 1.0) for c in own]
    rows += _composed(lists, rng, int(60_000 * size))
    found = _from_wordnet(net, rng, int(60_000 * size))
    if size < 1:
        found = [found[int(i)] for i in rng.permutation(len(found))[:int(len(found) * size)]]
    rows += found
    unique: dict[str, tuple[str, float]] = {}
    for text, kind, weight in rows:
        unique.setdefault(text.lower(), (kind, weight))
    phrases = list(unique)
    kinds = [unique[t][0] for t in phrases]
    attributes = np.stack([lexicon.of(t) for t in phrases]).astype(np.float16)
    # A held-out word must be one that nobody would call a probe, and no list's: rare WordNet lemmas only.
    # Single words that look or feel like something are what people type and what the picture can show.
    telling = np.array([3.0 if k == "word" and t.isalpha() and a.max() >= 0.4 else 1.0
                        for t, k, a in zip(phrases, kinds, attributes, strict=True)], np.float32)
    held = [rng.random() < HELD_OUT.get(k, 0.0) and not (k == "word" and holds_probe(t))
            for t, k in zip(phrases, kinds, strict=True)]
    return Corpus(phrases, np.array([KINDS.index(k) for k in kinds]),
                  telling * np.array([unique[t][1] for t in phrases], np.float32), attributes, np.array(held))


def captions_and_worlds(count: int, seed: int = 1) -> dict[str, str]:
    """Captions from the painter's own grammar, nothing painted, each with the world that it shows; both sides of a
    hybrid."""
    import random

    from scripts.house_model import captions, painter

    talk, out = random.Random(seed), {}
    for index in range(count):
        planned = painter.plan(seed, index)
        out |= {captions.caption_of(side, talk): side["world"] for side in (planned.a, planned.b)}
    return out


def painters_captions(count: int, seed: int = 1) -> list[str]:
    """The captions of `captions_and_worlds`."""
    return list(captions_and_worlds(count, seed))
