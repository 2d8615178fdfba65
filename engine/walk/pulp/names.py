"""What each kind of fragments is called: the words that are heard in it and not elsewhere.

    names_of(texts, kind_of, 12)       # ("rain, roof", "library, shelves", ...)

By each word's part of the Kullback-Leibler divergence of a kind from the whole text, so that no list of a language's
small words is needed. No name is given twice. Any process.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from numpy.typing import NDArray

from engine.walk.pulp.script import columns, is_unspaced, words

TOLD = 2  # words of a name
LONGEST = 30  # columns
OFTEN = 0.03  # of a kind's fragments: a word in fewer does not name it
_LOOKED_AT = 60  # words of a kind that may name it


def names_of(texts: Iterable[str], kind_of: NDArray, count: int) -> tuple[str, ...]:
    """A name for each kind of 0..count-1."""
    said = [Counter[str]() for _ in range(count)]
    sizes = [0] * count
    shapes: Counter[tuple[str, str]] = Counter()
    for text, kind in zip(texts, kind_of.tolist(), strict=True):
        sizes[kind] += 1
        found = dict.fromkeys(words(text))
        said[kind].update(found.keys())
        for word in text.split()[1:]:  # the first has a capital for another reason
            bare = word.strip(".,;:!?\"'()“”‘’«»„…—-")
            if bare[:1].isupper() and bare.lower() in found:
                shapes[bare.lower(), bare] += 1
            elif bare in found:
                shapes[bare, bare] += 1
    whole: Counter[str] = Counter()
    for each in said:
        whole.update(each)
    spelt: dict[str, str] = {}
    for (word, shape), _ in sorted(shapes.items(), key=lambda item: (item[1], item[0])):
        spelt[word] = shape
    taken: set[str] = set()
    names = [""] * count
    for kind in sorted(range(count), key=lambda k: (-sizes[k], k)):
        chosen = _chosen(_worth(said[kind], sizes[kind], whole, sum(sizes)), said[kind], taken)
        taken |= set(chosen)
        names[kind] = ", ".join(spelt.get(word, word) for word in chosen) or f"kind {kind + 1}"
    return tuple(names)


def _worth(said: Counter[str], size: int, whole: Counter[str], total: int) -> dict[str, float]:
    """How much each word tells of a kind."""
    found: dict[str, float] = {}
    least = min(max(2, OFTEN * size), size)
    for word, count in said.items():
        if count < least:
            continue
        here, everywhere = count / size, whole[word] / total
        rare = -math.log(everywhere) / math.log(total + 1)
        # squared: what is said twice as much here as elsewhere is not yet what a kind is about
        lift = math.log((count + 0.5) / (size + 1) / ((whole[word] + 0.5) / (total + 1)))
        if lift > 0:
            found[word] = here * lift**1.5 * rare * _length(word)
    return found


def _length(word: str) -> float:
    """Words of three letters tell less than longer ones; of pieces of unspaced writing the longer is the word."""
    return len(word) if is_unspaced(word[0]) else min(1.0, (len(word) + 1) / 6)


def _chosen(worth: dict[str, float], said: Counter[str], taken: set[str]) -> list[str]:
    best = sorted(worth, key=lambda word: (-worth[word], word))[:_LOOKED_AT]
    chosen: list[str] = []
    for word in [w for w in best if w not in taken] + [w for w in best if w in taken]:
        whole = _grown(word, best, said)
        alike = any(_akin(whole, other) for other in chosen)
        if not alike and columns(", ".join([*chosen, whole])) <= LONGEST:
            chosen.append(whole)
        if len(chosen) == TOLD:
            break
    return chosen


def _grown(word: str, best: Sequence[str], said: Counter[str]) -> str:
    """Of pieces of unspaced writing the longest that stands there nearly as often."""
    if not is_unspaced(word[0]):
        return word
    longer = [w for w in best if word in w and said[w] >= 0.7 * said[word]]
    return max(longer, key=lambda w: (len(w), said[w], w), default=word)


def _akin(one: str, other: str) -> bool:
    """Whether two words are forms of one: cloud and clouds."""
    if is_unspaced(one[0]):
        return one in other or other in one or one[-2:] == other[:2] or other[-2:] == one[:2]
    short = min(len(one), len(other))
    same = next((n for n in range(short) if one[n] != other[n]), short)
    return same >= max(3, short - 1)
