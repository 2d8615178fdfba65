"""Books as bytes: encodings are found, what is no text is refused in a sentence."""

from pathlib import Path

import pytest

from engine.walk.pulp.reading import BookError, examine, find_books, read

GERMAN = "Er trägt Papier für später, so schön, und die Wörter fließen über die Bücher.\n"


def text_of(path: Path) -> str:
    return "".join(read(examine(path)))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "utf-8"),
        (GERMAN, "utf-8-sig"),
        (GERMAN, "utf-16"),
        (GERMAN, "utf-16-be"),
        (GERMAN, "utf-32"),
        (GERMAN * 3, "latin-1"),
        ("雲は白い紙のようだった。雨が古い本に降り、文字は溶けていった。\n" * 3, "shift_jis"),
        ("Облака были белые, как бумага. Дождь падал на старую книгу.\n" * 3, "koi8-r"),
    ],
)
def test_encodings_are_found(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(text.encode(encoding))
    assert text_of(path) == text


def test_mixed_encodings_are_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes((GERMAN * 5).encode() + GERMAN.encode("latin-1") * 2)
    assert text_of(path) == GERMAN * 7


def test_a_sign_that_is_cut_in_two_costs_no_more_than_itself(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(("白雲在天上慢慢地走。" * 50).encode()[:-1])
    assert text_of(path).startswith("白雲在天上慢慢地走。" * 49)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (bytes(range(256)) * 9, "a binary file"),
        (b"%PDF-1.7 ...", "a PDF"),
        (b"PK\x03\x04...", "an archive"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes(content)
    with pytest.raises(BookError, match=said):
        examine(path)


def test_a_folder_is_walked_in_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.md", "a/.hidden.txt", "picture.png", "Notes"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("rain")
    assert [p.relative_to(tmp_path).as_posix() for p in find_books(tmp_path)] == ["Notes", "a/z.md", "b.txt"]
    with pytest.raises(BookError, match="no texts"):
        find_books(next(p for p in [tmp_path / "empty"] if not p.mkdir()))
    with pytest.raises(BookError, match="no file or folder"):
        find_books(tmp_path / "gone.txt")
