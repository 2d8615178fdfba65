"""Reading WordNet's own files: what words mean, from a package on the machine and no download.

    net = read()                     # /usr/share/wordnet, or the folder named by WNSEARCHDIR
    net.senses["ruby"]               # its synsets, commonest first

Debian's wordnet-base carries the files. Used only while the text encoder is trained.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PARTS = ("noun", "verb", "adj", "adv")
PLANTS_AND_ANIMALS = (5, 20)
UPWARD = ("@", "@i", "&")  # kind of, instance of, similar to


@dataclass(frozen=True)
class Synset:
    """One meaning: its words as written (spaces, case), what it is a kind of, its definition and examples."""

    key: str
    lexfile: int
    lemmas: tuple[str, ...]
    up: tuple[str, ...]
    definition: str
    examples: tuple[str, ...]


@dataclass(frozen=True)
class WordNet:
    """Every synset by key, every lower-case lemma's synsets by sense order, and tagged counts of use."""

    synsets: dict[str, Synset]
    senses: dict[str, tuple[Synset, ...]]
    counts: dict[str, int]


def folder() -> Path:
    """Where WordNet lies, or an error naming the cure."""
    root = Path(os.environ.get("WNSEARCHDIR", "/usr/share/wordnet"))
    if not (root / "data.noun").is_file():
        raise FileNotFoundError(
            f"WordNet is required (data.noun in {root}); got none: "
            "install Debian's wordnet-base, or set WNSEARCHDIR to its folder")
    return root


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="latin-1").splitlines() if not line.startswith("  ")]


def _spoken(lemma: str) -> str:
    return lemma.split("(")[0].replace("_", " ")


def _synset(part: str, line: str) -> Synset:
    head, _, gloss = line.partition(" | ")
    field = head.split()
    count = int(field[3], 16)
    words = tuple(_spoken(field[4 + 2 * i]) for i in range(count))
    at = 4 + 2 * count
    up = []
    for i in range(int(field[at])):
        symbol, offset, target = field[at + 1 + 4 * i:at + 4 + 4 * i]
        if symbol in UPWARD:
            up.append({"n": "noun", "v": "verb", "r": "adv"}.get(target, "adj") + offset)
    pieces = [piece.strip() for piece in gloss.split(";")]
    plain = [p for p in pieces if p and '"' not in p]
    quoted = gloss.split('"')[1::2]
    return Synset(part + field[0], int(field[1]), words, tuple(up), "; ".join(plain),
                  tuple(q.strip() for q in quoted if q.strip()))


def read(root: Path | None = None) -> WordNet:
    """All of WordNet from its data, index and count files (two seconds)."""
    root = root or folder()
    synsets: dict[str, Synset] = {}
    senses: dict[str, list[Synset]] = {}
    for part in PARTS:
        for line in _lines(root / f"data.{part}"):
            one = _synset(part, line)
            synsets[one.key] = one
        for line in _lines(root / f"index.{part}"):
            field = line.split()
            offsets = field[-int(field[2]):]
            senses.setdefault(_spoken(field[0]), []).extend(synsets[part + o] for o in offsets)
    counts: dict[str, int] = {}
    for line in (root / "cntlist.rev").read_text(encoding="latin-1").splitlines():
        key, _, tagged = line.split()
        lemma = _spoken(key.split("%")[0])
        counts[lemma] = counts.get(lemma, 0) + int(tagged)
    return WordNet(synsets, {w: tuple(s) for w, s in senses.items()}, counts)


def everyday(net: WordNet) -> list[str]:
    """Lemmas a person might type: letters only, at most three words, no Latin names of plants and beasts."""
    keep = []
    for lemma, senses in net.senses.items():
        letters = lemma.replace(" ", "").replace("-", "").replace("'", "")
        if not (letters.isalpha() and letters.isascii() and len(letters) > 1 and lemma.count(" ") < 3):
            continue
        latin = all(s.lexfile in PLANTS_AND_ANIMALS and lemma not in s.lemmas for s in senses)
        if not latin:
            keep.append(lemma)
    return keep
