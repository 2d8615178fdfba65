"""What is adrift over the picture: fragments of text, each with its weight in what is dreamt.

    Afloat(number=7, text="a torn page", kind=2, weight=0.4, since_s=12.0)
    of_words(told(waypoint, palettes))              # of a show that has no fragments: the words of its materials

Plain data and pure functions; any thread.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from engine.walk.told import Told, clauses

MOST = 32  # that are adrift at once
PIECE = 18  # characters that are torn off a longer clause, at most
PIECES = 5  # of one prompt


@dataclass(frozen=True)
class Afloat:
    """One fragment adrift."""

    number: int  # its own; where it drifts and how it is torn goes by it
    text: str
    kind: int  # those of one kind are of one paper
    weight: float  # 0..1; one that comes or goes does so at 0
    since_s: float = -1e9  # when it came, by the show's time


def of_words(words: Sequence[Told]) -> tuple[Afloat, ...]:
    """The words of what is dreamt, torn into pieces of a few words; those of one prompt are of one kind."""
    return tuple(
        Afloat(_number(piece, n), piece, part.place, part.share)
        for part in words
        for n, piece in enumerate(_pieces(part.text))
    )[:MOST]


@lru_cache(maxsize=256)
def _pieces(prompt: str) -> tuple[str, ...]:
    """Up to PIECES pieces of a prompt, torn between words and as even as they can be."""
    found: list[str] = []
    for clause in clauses(prompt, longest=400):
        words = clause.split()
        count = max(1, -(-len(clause) // PIECE))
        goal, line = len(clause) / count, ""
        for word in words:
            if line and len(line) + len(word) / 2 > goal:
                found.append(line)
                line = word
            else:
                line = f"{line} {word}".strip()
        found.append(line)
    return tuple(found[:PIECES])


def _number(text: str, n: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{n}\0{text}".encode("utf-8", "surrogatepass"), digest_size=4).digest())
