"""Books as text: which files are meant, what encoding each is in, and their characters a piece at a time.

    books = find_books(Path("library"))              # one file, or a folder's texts in sorted order
    look = examine(books[0]); "".join(read(look))    # raises BookError for what is no text

A book is never whole in memory: it is read twice, once to see what it is, once as text. The command line's process.
"""

import codecs
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from engine.show.errors import CannotStart
from engine.show.files import open_regular

LARGEST = 256_000_000  # bytes of all books together
ENDINGS = (".txt", ".text", ".md", ".markdown", ".rst", ".org", ".adoc", ".tex", ".htm", ".html", ".xhtml", ".srt", "")
_BLOCK = 1 << 20
_SAMPLE = 1 << 17  # bytes that an encoding is guessed from
_ENOUGH_UNREADABLE = 0.5  # of the signs beyond ASCII: with more, UTF-8 is not what the file is in
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, with which it begins
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MAGIC = (
    (b"%PDF", "a PDF; take its text out first, for example with `pdftotext`"),
    (b"PK\x03\x04", "an archive (an EPUB and a Word file are archives too); save it as plain text first"),
    (b"{\\rtf", "an RTF file; save it as plain text first"),
    (b"\xd0\xcf\x11\xe0", "an old Word file; save it as plain text first"),
    (b"\x1f\x8b", "a compressed file; unpack it first"),
    (b"SQLite format 3", "a database"),
)
_CONTROLS = bytes(n for n in range(32) if n not in b"\t\n\x0b\x0c\r\x1a\x1b\x1c\x1d\x1e\x1f\x08")


class BookError(CannotStart):
    """A text that cannot be torn; one sentence with the cure."""


@dataclass(frozen=True)
class Book:
    """A file and how its bytes become characters."""

    path: Path
    name: str  # said to people, kept in the torn text
    size: int  # bytes
    digest: str  # of its bytes
    encoding: str
    beside: str = ""  # encoding of those lines that are not in the first one; "": all are


def find_books(source: Path) -> list[Path]:
    """The file itself, or the texts in a folder and in those below it, sorted by name. Raises BookError, OSError."""
    if not source.exists():
        raise BookError(f"there is no file or folder {source}")
    if not source.is_dir():
        return [source]
    found = []
    for path in sorted(source.rglob("*"), key=lambda p: p.relative_to(source).parts):
        hidden = any(part.startswith(".") for part in path.relative_to(source).parts)
        if not hidden and path.suffix.lower() in ENDINGS and path.is_file():
            found.append(path)
    if not found:
        some = ", ".join(ending for ending in ENDINGS[:4])
        raise BookError(f"the folder {source} has no texts in it (files that end in {some} and the like)")
    return found


def examine(path: Path, name: str = "") -> Book:
    """Reads a book once, to see what it is. Raises BookError, OSError."""
    name = name or path.name
    with open_regular(path) as file:
        head = file.read(_SAMPLE)
        if not head.strip(b"\0 \t\r\n"):
            raise BookError(f"{name} is empty")
        for magic, what in _MAGIC:
            if head.startswith(magic):
                raise BookError(f"{name} is not plain text but {what}")
        file.seek(0)
        seen = _Seen()
        while block := file.read(_BLOCK):
            seen.take(block)
        seen.end()
    marked = next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)
    encoding, beside = (marked, "") if marked else _encoding_of(name, head, seen)
    return Book(path, name, seen.size, seen.hash.hexdigest(), encoding, beside)


class _Seen:
    """What the first reading of a file shows of it."""

    def __init__(self) -> None:
        self.size = self.controls = self.nuls = self.even_nuls = 0
        self.hash = hashlib.sha256()
        self.good = self.bad = 0  # signs that are not plain ASCII, in UTF-8 and not
        self.sample = bytearray()  # lines of those that are not
        self._is_utf8 = True
        self._whole = codecs.getincrementaldecoder("utf-8")()
        self._rest = b""

    def take(self, block: bytes) -> None:
        nuls = block.count(0)
        if nuls:
            self.even_nuls += block[self.size % 2 :: 2].count(0)
        self.nuls += nuls
        self.controls += len(block) - len(block.translate(None, _CONTROLS))
        self.size += len(block)
        self.hash.update(block)
        if self._is_utf8:  # which most books are: then nothing is looked at line by line
            try:
                self._whole.decode(block)
                self._rest = self._whole.getstate()[0]
                return
            except UnicodeDecodeError:
                self._is_utf8 = False
                self.good = (self.size - len(block)) // 4
        self._by_lines(block)

    def _by_lines(self, block: bytes) -> None:
        *lines, self._rest = (self._rest + block).split(b"\n")
        if len(self._rest) > _BLOCK:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._line(line)

    def _line(self, line: bytes) -> None:
        if line.isascii():
            return
        good, bad = _signs(line.decode(errors="replace"))
        self.good, self.bad = self.good + good, self.bad + bad
        if bad > good and len(self.sample) < _SAMPLE:
            self.sample += line[:_SAMPLE] + b"\n"

    def end(self) -> None:
        if self._rest and not self._is_utf8:  # else what is left is a sign that was cut in two
            self._line(self._rest)


def _encoding_of(name: str, head: bytes, seen: _Seen) -> tuple[str, str]:
    """The encoding of a file without a mark, and that of those lines that are not in it."""
    if seen.nuls > 0.2 * seen.size and seen.even_nuls / seen.nuls > 0.9:
        return "utf-16-be", ""
    if seen.nuls > 0.2 * seen.size and seen.even_nuls / seen.nuls < 0.1:
        return "utf-16-le", ""
    if seen.nuls or seen.controls > 0.02 * seen.size:
        raise BookError(f"{name} is not plain text but a binary file")
    if not seen.sample:  # a torn sign here or there is left out
        return "utf-8", ""
    import charset_normalizer

    best = charset_normalizer.from_bytes(bytes(seen.sample)).best()
    if best is None:
        raise BookError(f"{name} is in no encoding that is known; save it as UTF-8 text")
    other = "cp1252" if best.encoding in ("ascii", "utf_8", "latin_1") else best.encoding
    if seen.bad < _ENOUGH_UNREADABLE * (seen.bad + seen.good):
        return "utf-8", other
    return other, ""


def _signs(text: str) -> tuple[int, int]:
    """How many signs of a text are beyond ASCII, and how many bytes could not be read as any."""
    bad = text.count("\ufffd")
    return len(text) - len(text.encode("ascii", "ignore")) - bad, bad


def read(book: Book) -> Iterator[str]:
    """The characters of a book in pieces of up to a megabyte. What cannot be read is left out. Raises OSError."""
    with open_regular(book.path) as file:
        if book.beside:
            yield from _read_by_lines(file, book)
            return
        decoder = codecs.getincrementaldecoder(book.encoding)(errors="replace")
        while block := file.read(_BLOCK):
            yield decoder.decode(block)
        yield decoder.decode(b"", final=True)


def _read_by_lines(file: BinaryIO, book: Book) -> Iterator[str]:
    rest = b""
    while block := file.read(_BLOCK):
        *lines, rest = re.split(rb"(?<=\n)", rest + block)
        if len(rest) > _BLOCK:
            lines, rest = [*lines, rest], b""
        yield "".join(_decoded(line, book) for line in lines)
    yield _decoded(rest, book)


def _decoded(line: bytes, book: Book) -> str:
    text = line.decode(book.encoding, errors="replace")
    good, bad = _signs(text)
    return text if bad <= good else line.decode(book.beside, errors="replace")
