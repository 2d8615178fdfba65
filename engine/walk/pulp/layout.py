"""The lines of a text as blocks: paragraphs, wrapped by hand or not, and verses.

    for block in blocks(pieces):
        for unit in block.units(): ...     # a paragraph in one piece, or a verse line by line

Read as a stream: what is held is one block, and of that no more than MOST_SIGNS. Any process.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from engine.walk.pulp.script import CLOSE, ENDS, columns, is_unspaced

MOST_SIGNS = 16384  # in one line or one block; longer ones are parted where a sentence ends
MOST_LINES = 120
WRAPPED = 0.7  # of a block's lines: so many must have had no room for the next one's first word
NARROWEST, WIDEST = 32, 160  # columns at which somebody wraps lines by hand
_HELD = 600  # lines from which a text's width is known
_NEW_LINE = re.compile(r"\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")
# Controls, marks of writing direction, soft hyphens, byte order marks and what could not be read. Zero-width joiners
# stay: Persian and Hindi are spelt with them.
_UNSEEN = {n: None for n in (*range(0x00, 0x09), *range(0x0E, 0x20), *range(0x7F, 0x85), *range(0x86, 0xA0))}
_UNSEEN |= dict.fromkeys((0xAD, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF, 0xFFFD))
_END = re.compile(rf"[{re.escape(ENDS)}][{re.escape(CLOSE)}]*\s*")


@dataclass(frozen=True)
class Block:
    """Lines between two blank ones. width: columns at which the text's lines are wrapped by hand; 0: they are not."""

    lines: tuple[str, ...]
    width: int

    def units(self) -> Iterator[str]:
        """The paragraph in one piece if its lines are wrapped by hand, else each line."""
        if len(self.lines) > 1 and self._is_wrapped():
            yield _joined(self.lines)
        else:
            yield from self.lines

    def _is_wrapped(self) -> bool:
        """Whether most lines end because the next one's first word had no room left (greedy wrapping)."""
        widths = [columns(line) for line in self.lines]
        limit = max(self.width, *widths[:-1]) if self.width else max(widths)
        if not NARROWEST <= limit <= WIDEST:
            return False
        full = 0
        for line, width in zip(self.lines[1:], widths, strict=False):
            word = line.split(None, 1)[0]
            first = columns(word[:1] if is_unspaced(word[0]) else word)
            full += width + 1 + first > limit - 2  # editors differ by a column or two
        return full >= WRAPPED * (len(widths) - 1)


def blocks(pieces: Iterable[str]) -> Iterator[Block]:
    """A text's blocks, in reading order."""
    lines = _lines(pieces)
    held = list(islice(lines, _HELD))
    width = _width(held)
    block: list[str] = []
    signs = 0
    for line in chain(held, lines):
        if not line.strip():
            if block:
                yield Block(tuple(block), width)
            block, signs = [], 0
            continue
        block.append(line.strip())
        signs += len(line)
        if len(block) >= MOST_LINES or signs >= MOST_SIGNS:
            kept = _last_end(block)
            yield Block(tuple(block[:kept]), width)
            block = block[kept:]
            signs = sum(map(len, block))
    if block:
        yield Block(tuple(block), width)


def _last_end(block: list[str]) -> int:
    """How many lines of a long block come before its last one that ends a sentence."""
    for n in range(len(block) - 1, len(block) // 2, -1):
        if block[n - 1].rstrip(CLOSE).endswith(tuple(ENDS)):
            return n
    return len(block)


def _width(lines: Iterable[str]) -> int:
    """The width that lines are wrapped at, from the first ones of a text; 0 where they are not."""
    widths = sorted(columns(line) for line in lines if line.strip())
    if len(widths) < 6:
        return 0
    wide = widths[int(0.92 * (len(widths) - 1))]
    return wide if NARROWEST <= wide <= WIDEST else 0


def _lines(pieces: Iterable[str]) -> Iterator[str]:
    """The lines of a text; one that is endless in parts, torn where a sentence ends or at a space."""
    rest = ""
    for piece in pieces:
        parts = _NEW_LINE.split(rest + piece)
        rest = parts.pop()
        if piece.endswith("\r"):  # which the next piece may make a Windows line end of
            rest = (parts.pop() if parts else "") + "\r"
        for line in parts:
            *whole, last = _parted(line.translate(_UNSEEN))
            yield from whole
            yield last
        *whole, rest = _parted(rest)
        yield from (part.translate(_UNSEEN) for part in whole)
    if rest:
        yield from _parted(rest.translate(_UNSEEN).strip("\r"))


def _parted(line: str) -> list[str]:
    parts = []
    at = 0
    while len(line) - at > 2 * MOST_SIGNS:
        ends = [m.end() for m in _END.finditer(line, at + MOST_SIGNS // 2, at + MOST_SIGNS)]
        end = ends[-1] if ends else line.rfind(" ", at + MOST_SIGNS // 2, at + MOST_SIGNS) + 1 or at + MOST_SIGNS
        parts.append(line[at:end])
        at = end
    return [*parts, line[at:]]


def _joined(lines: Iterable[str]) -> str:
    """Lines that were wrapped by hand, in one; a word that was parted at the end of a line is whole again."""
    whole = ""
    for line in lines:
        if whole.endswith(("-", "‐")) and whole[-2:-1].isalpha() and line[0].islower():
            whole = whole[:-1] + line
        elif whole and not (is_unspaced(whole[-1]) and is_unspaced(line[0])):
            whole += " " + line
        else:
            whole += line
    return whole
