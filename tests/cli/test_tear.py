"""`pedesis tear` and `pedesis pulp` from the command line, with an encoder of the test's own."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

from engine.cli import app
from engine.cli import tear as command


class Encoder:
    def encode(self, texts: Sequence[str]) -> NDArray[np.float16]:
        return np.array([[len(text), text.count("a"), 1.0] for text in texts], np.float16)

    def spelt(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.full(len(texts), 0.3, np.float32)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "_encoder", lambda reader: Encoder())
    (tmp_path / "book.txt").write_text("Rain fell on the paper.\nA cloud stood over the hill.\n" * 30)
    return tmp_path


def ran(*args: object, code: int = 0, piped: bytes | None = None) -> Result:
    result = CliRunner().invoke(app, [str(arg) for arg in args], input=piped)
    assert result.exit_code == code, result.output
    return result


def test_a_text_is_torn_listed_and_drawn(here: Path) -> None:
    said = ran("tear", "book.txt").output
    assert "book.pulp: 60 fragments in" in said and "Rain fell on the paper." in said
    assert '[pulp] source = "book.pulp"' in said
    assert Image.open(here / "book.pulp.png").size == (1920, 1200)
    assert "nothing has changed" in ran("tear", "book.txt").output
    assert "60 fragments" in ran("pulp", "book.pulp").output
    rows = json.loads(ran("pulp", "book.pulp", "--json").stdout)
    assert sum(row["count"] for row in rows) == 60 and rows[0]["kind"] == 1 and rows[0]["fragments"]
    whole = ran("pulp", "book.pulp", "--kind", 1).output
    assert len(whole.splitlines()) == rows[0]["count"] + 1
    assert "--kind must be from 1 to" in ran("pulp", "book.pulp", "--kind", 99, code=2).output


def test_it_goes_beside_the_show_it_is_for(here: Path) -> None:
    (here / "mine").mkdir()
    (here / "mine" / "rain.toml").write_text('title = "Rain"\n[[material]]\nname = "rain"\nprompt = "rain"\n')
    ran("tear", "book.txt", "--show", "mine/rain.toml", "--no-plot")
    assert (here / "mine" / "book.pulp").exists() and not (here / "book.pulp").exists()


def test_what_is_piped_in_is_torn(here: Path) -> None:
    ran("tear", "-", "--no-plot", piped="Rain fell. It was night.\nThe paper was wet.".encode("utf-16"))
    assert "Rain fell." in ran("pulp", "stdin.pulp").output


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("gone.txt",), "there is no file or folder gone.txt"),
        (("empty.txt",), "empty.txt is empty"),
        (("binary.txt",), "binary.txt is not plain text but a binary file"),
        (("nothing",), "has no texts in it"),
        (("numbers.txt",), "there is nothing to tear in numbers.txt"),
        (("book.txt", "--out", "no/where.pulp"), "there is no folder no"),
        (("book.txt", "--out", "binary.txt"), "no torn text; it is left alone"),
        (("book.txt", "--model", "./gone"), "there is no such folder"),
        (("-",), "stdin is empty"),
    ],
)
def test_what_cannot_be_torn_is_said_in_a_sentence(here: Path, args: tuple[str, ...], said: str) -> None:
    (here / "empty.txt").write_text("")
    (here / "binary.txt").write_bytes(bytes(range(256)))
    (here / "numbers.txt").write_text("12 34\n56")
    (here / "nothing").mkdir()
    output = ran("tear", *args, code=2).output
    assert said in output and "Traceback" not in output
    assert not list(here.glob("*.pulp"))


def test_a_damaged_file_is_told_and_not_written_over_unasked(here: Path) -> None:
    (here / "book.pulp").write_text("a diary, not a torn text")
    assert "no torn text" in ran("pulp", "book.pulp", code=2).output
    assert "left alone" in ran("tear", "book.txt", code=2).output
    assert (here / "book.pulp").read_text() == "a diary, not a torn text"


def test_ctrl_c_says_that_the_same_command_goes_on(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(reader: object) -> Encoder:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_encoder", stopped)
    assert "the same command goes on" in ran("tear", "book.txt", code=130).output
    assert not (here / "book.pulp").exists()
