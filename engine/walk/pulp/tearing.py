"""A text torn into fragments: sentences and phrases, along the text's own structure.

    for fragment in tear(pieces): ...      # pieces: the text's characters, in pieces of any length

Lines become paragraphs (blank lines, hard wraps, verses), paragraphs sentences, and what is too long is torn at the
clause nearest its middle, again and again. No word of any language is known but the marks of Project Gutenberg; the
same text gives the same fragments however it is cut into pieces. Never more than some thousand characters are held.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

from engine.walk.pulp.layout import Block, blocks
from engine.walk.pulp.script import CLAUSES, CLOSE, ENDS, OPEN, PAIRS, STRONG, columns, is_mark, is_unspaced

VERSION = 1  # another number when the same text is torn otherwise
LONGEST = 90  # columns of a fragment: some twenty words, which most text encoders take whole
SPARED = 1.35  # times that: a sentence so wide that has no stop in it stays whole
SHORTEST = 14  # what is shorter joins its neighbour
LEAST_LETTERS = 0.45  # of a fragment's signs; less is a table, a formula or a rule
OFTEN = 6  # times that a line alone stands there before it is taken for the head of every page
_REMEMBERED = 4096  # such lines
_HEAD = 400  # fragments within which what comes before the book itself may still be left out

_END = re.compile(
    rf"(?:[{re.escape(ENDS)}]+[{re.escape(CLOSE)}]*)(?:(?=\s)|(?<=[。．！？｡।॥။።])|(?<=[。！？][{re.escape(CLOSE)}]))"
)
_CLAUSE = re.compile(rf"[{re.escape(CLAUSES)}…][{re.escape(CLOSE)}]*(?=\s|[^\d\s])|[)）\]］](?=\s)|\s(?=[(（\[–—])|--")
_GUTENBERG = re.compile(r"\*\*\* ?(START|END) OF (?:THE|THIS) PROJECT GUTENBERG", re.IGNORECASE)
_LINK = re.compile(r"!?\[([^\]\n]{0,200})\]\([^)\s]{1,500}\)|(?:https?://|www\.)\S+|<[a-zA-Z/!][^<>\n]{0,300}>")
_LEADERS = re.compile(r"(?:\s*\.){4,}\s*[\divxlc]*\s*$|\s{3,}\d+\s*$", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[#>|]+|[-*+•◦‣▪·–]+(?=\s)|\(?\d{1,3}[.)](?=\s)|\[\d+\])\s*")
_STRESS = re.compile(r"(?<![^\W_])[_*`=]+(?=\S)|(?<=\S)[_*`=]+(?![^\W_])")
_NUMERAL = r"(?:\d+|[ivxlcdm]+|[零一二三四五六七八九十百千〇]+)"
_FOLIO = re.compile(rf"^\W*(?:[^\W\d]+\W+)?{_NUMERAL}\W*$|^第?{_NUMERAL}[章回節节卷部篇頁页]?$", re.IGNORECASE)
_EDGE = " \t-–—*_|~=#,;:،؛、，；："  # what is not kept at either end of a fragment
_OPEN_ONLY = "".join(sorted(set(OPEN) - set(CLOSE))) + _EDGE
_CLOSE_ONLY = "".join(sorted(set(CLOSE) - set(OPEN) - {"’"})) + _EDGE
_CREDITS = re.compile(r"^(?:Produced|E-?text prepared|Transcribed|Updated editions) ", re.IGNORECASE)
_PAIRS = tuple((pair[0], pair[1]) for pair in PAIRS)
_PAIRED = frozenset("".join(PAIRS))
_VIRAMA = 9  # Unicode's combining class
_BREAK_ANYWHERE = re.compile(r"\s+")


def tear(pieces: Iterable[str], longest: int = LONGEST) -> Iterator[str]:
    """The fragments of one text, in reading order. longest: columns; what is wider is torn further."""
    found, first = _torn(pieces, longest), list[str]()
    for fragment in found:  # so much is held back until it is known whether the book has begun
        if fragment is None:
            first.clear()
            break
        first.append(fragment)
        if len(first) >= _HEAD:
            break
    yield from (fragment for fragment in chain(first, found) if fragment is not None)


def _torn(pieces: Iterable[str], longest: int) -> Iterator[str | None]:
    """The fragments; None where the book proper begins."""
    alone: Counter[str] = Counter()
    outside = False  # after the end of a Gutenberg book, where its licence stands
    for block in blocks(pieces):
        marks = [mark[1].upper() for line in block.lines if "***" in line and (mark := _GUTENBERG.search(line))]
        if marks:
            outside = marks[-1] == "END"
            if not outside:
                yield None
        elif not outside and not _CREDITS.match(block.lines[0]):
            yield from _of_block(block, alone, longest)


def _of_block(block: Block, alone: Counter[str], longest: int) -> Iterator[str]:
    if len(block.lines) == 1 and _is_head(block.lines[0], alone):
        return
    pending = ""
    for unit in block.units():
        cleaned = clean(unit)
        if not cleaned or _FOLIO.match(cleaned):
            continue
        for sentence in sentences(cleaned):
            for part in cut(sentence, longest):
                joined = f"{pending}{_gap(pending, part)}{part}" if pending else part
                if columns(joined) < SHORTEST:
                    pending = joined
                elif pending and columns(joined) > longest:
                    yield from (bare for one in (pending, part) if (bare := bared(one)))
                    pending = ""
                else:
                    pending = ""
                    if bare := bared(joined):
                        yield bare
    if pending and (bare := bared(pending)):
        yield bare


def _is_head(line: str, alone: Counter[str]) -> bool:
    """Whether a line that stands alone is the head or foot of every page, or a number."""
    line = clean(line)
    if not line or _FOLIO.match(line):
        return True
    if columns(line) > 80 or line[-1] in ENDS + CLOSE:
        return False
    key = re.sub(r"\d+", "0", line.casefold())
    if key in alone or len(alone) < _REMEMBERED:
        alone[key] += 1
    return alone[key] > OFTEN


def clean(text: str) -> str:
    """Without what a typesetter or a page put there: marks of lists and stress, links, leaders of a contents page."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    text = _LINK.sub(lambda m: m[1] or "", text)
    text = _LEADERS.sub("", _BULLET.sub("", text))
    return " ".join(_STRESS.sub("", text).split())


def bared(text: str) -> str:
    """A fragment as it is kept: without half a pair of quotes; "" where it says nothing."""
    text = text.strip(_EDGE).rstrip(_OPEN_ONLY).lstrip(_CLOSE_ONLY)
    for left, right in _PAIRS if not _PAIRED.isdisjoint(text) else ():
        if left == right:
            if text.count(left) == 1 and (text.startswith(left) or text.endswith(left)):
                text = text.strip(left)
        elif text.count(left) != text.count(right):
            text = text.removeprefix(left) if text.count(left) > text.count(right) else text.removesuffix(right)
            if text.count(left) != text.count(right) and text.endswith(tuple(ENDS)):
                text = re.sub(rf"{re.escape(right)}(?=\W*$)", "", text)
    text = text.strip(_EDGE)
    letters = sum(map(str.isalpha, text))
    marks = 0 if text.isascii() else sum(map(is_mark, text))
    return text if letters >= 2 and letters + marks >= LEAST_LETTERS * len(text) else ""


def _gap(before: str, after: str) -> str:
    return "" if is_unspaced(before[-1]) and is_unspaced(after[0]) else " "


def sentences(text: str) -> Iterator[str]:
    """A paragraph's sentences."""
    begin = 0
    for end in _END.finditer(text):
        if _ends_sentence(text, begin, end):
            yield text[begin : end.end()].strip()
            begin = end.end()
    if rest := text[begin:].strip():
        yield rest


def _ends_sentence(text: str, begin: int, end: re.Match[str]) -> bool:
    """Whether a full stop ends more than an abbreviation."""
    after = text[end.end() : end.end() + 6].lstrip(" " + OPEN)
    if after and after[0].islower():
        return False  # "etc. and so on"; also "Stop!" he cried
    if end[0][0] != "." or end[0].startswith(".."):
        return True
    word = text[max(begin, end.start() - 20) : end.start()].rsplit(" ", 1)[-1].lstrip(OPEN)
    if (len(word) <= 1 and not is_unspaced(word or "a")) or "." in word:
        return not word or not word[-1].isalpha()  # initials: J. R.; e.g.
    if word.isdigit():
        return begin + len(word) < end.start()  # "1. A list begins"
    short = len(word) <= 4 and word[0].isupper()
    if short and (after[:1].isdigit() or not re.search(r"[aeiouyäöüéèáíóúøåæœ]", word.lower())):
        return not word.isascii()  # No. 5, Mr. Shandy
    return True


def cut(sentence: str, longest: int) -> Iterator[str]:
    """A sentence in parts of at most `longest` columns, torn where it parts best."""
    sentence = sentence.strip()
    if columns(sentence) <= longest:
        if sentence:
            yield sentence
        return
    at, gently = _best(sentence)
    if not gently and columns(sentence) <= longest * SPARED and " " in sentence:
        yield sentence
        return
    yield from cut(sentence[:at], longest)
    yield from cut(sentence[at:], longest)


def _best(text: str) -> tuple[int, bool]:
    """Where to tear a text in two: at a strong stop, a comma, a space, or between two signs, the nearer the middle;
    and whether it parts there by itself, as it does at a stop."""
    low, high, middle = len(text) // 6, len(text) - len(text) // 6, len(text) / 2
    places = [(m.end(), m[0]) for m in _CLAUSE.finditer(text, low, high)]
    spaced = any(map(is_unspaced, text[int(middle) - 1 : int(middle) + 2]))
    strong = [at for at, mark in places if mark[0] in STRONG or mark == "--"]
    spaces = [m.end() for m in _BREAK_ANYWHERE.finditer(text, low, high)]
    weak = [at for at, _ in places] + (spaces if spaced else [])
    for found, widest in ((strong, 0.3), (weak, 0.35), (spaces, 0.5)):
        near = [at for at in found if abs(at - middle) <= widest * len(text) and 0 < at < len(text)]
        if near:
            return min(near, key=lambda at: (abs(at - middle), at)), found is not spaces
    at = int(middle)
    while at < len(text) - 1 and (is_mark(text[at]) or unicodedata.combining(text[at - 1]) == _VIRAMA):
        at += 1  # a sign keeps its marks, and a virama the consonant it binds
    return max(1, at), False
