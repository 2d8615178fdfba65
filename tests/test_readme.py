"""The README tells what the code does: its tables are the code's own."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from engine.cli import app
from engine.cli.params import markdown_table, parameter_rows
from engine.play.shows import load_show
from engine.show.config import list_shows

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
FOLDERS = ("engine", "shaders", "configs", "tests", "scripts")


def test_the_parameter_table_is_the_registrys() -> None:
    shows = (ROOT / "configs" / "README.md").read_text()
    said = re.search(r"<!-- parameters:.*?-->\n(.*?)<!-- end of parameters -->", shows, re.DOTALL)
    assert said and said[1].strip() == markdown_table(parameter_rows(load_show("house"))).strip()


def test_every_show_that_is_named_exists() -> None:
    names = set(re.findall(r"configs/([\w-]+)\.toml", README))
    assert names and names <= set(list_shows())


def test_pictures_and_files_that_are_named_exist() -> None:
    targets = re.findall(r"\]\(([^)]+)\)", README)
    assert any(target.endswith(".jpg") for target in targets), "a README of pictures shows one"
    for target in targets:
        assert (ROOT / target).is_file(), target


def test_a_readme_is_read_in_three_minutes() -> None:
    assert len(README.split()) < 1300


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_says_what_is_in_it_and_how_to_add_one(folder: str) -> None:
    text = (ROOT / folder / "README.md").read_text()
    assert (text.startswith(f"# {folder}/") and "**To add" in text) or "**To make" in text
    for name in re.findall(r"^\| `([\w./-]+\.(?:py|toml|frag|glsl))`", text, re.MULTILINE):
        assert (ROOT / folder / name).exists(), f"{folder}/README.md names {name}"


def test_the_shows_readme_lists_every_show() -> None:
    assert set(re.findall(r"^\| `([\w-]+)\.toml`", (ROOT / "configs" / "README.md").read_text(), re.MULTILINE)) == set(
        list_shows()
    )


def shown_commands() -> set[str]:
    """Every `pedesis ...` of the READMEs and the shows' comments, without the words that explain it."""
    texts = [README, *(p.read_text() for p in [*ROOT.glob("*/README.md"), *ROOT.glob("configs/*.toml")])]
    found = re.findall(r"`(pedesis [^`\n]+)`|^#? *(pedesis [a-z].*)", "\n".join(texts), re.MULTILINE)
    return {re.split(r" {3,}|  #|\s+#", quoted or line)[0].strip() for quoted, line in found}


@pytest.mark.parametrize("line", sorted(shown_commands()))
def test_commands_that_are_shown_are_understood(line: str) -> None:
    command: Any = typer.main.get_command(app)
    context, (name, *rest) = None, shlex.split(line)
    try:
        while hasattr(command, "resolve_command"):
            context = command.make_context(name, [*rest], context, resilient_parsing=not rest)
            if not rest:
                return
            name, command, rest = command.resolve_command(context, rest)
        command.make_context(name, [*rest], context)
    except Exception as error:
        # `pedesis tear` is what it is called, and not how it is used; typer's click has this class, whoever brings it
        assert type(error).__name__ == "MissingParameter" or rest == ["--help"], error


def test_the_dreamers_readme_names_every_file() -> None:
    folder = ROOT / "engine" / "dreamer"
    named = re.findall(r"`(\w+\.py)`", (folder / "README.md").read_text().partition("\n\nThe same waypoint")[0])
    assert sorted(named) == sorted(p.name for p in folder.glob("*.py") if p.name != "__init__.py")
