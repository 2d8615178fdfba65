"""The README tells what the code does: its tables are the code's own."""

import re
from pathlib import Path

import pytest

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


def test_commands_that_are_shown_are_understood() -> None:
    from typer.testing import CliRunner

    from engine.cli import app

    commands = set(re.findall(r"^pedesis (\w+)", README, re.MULTILINE))
    assert {"run", "film"} <= commands
    for command in commands:
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0, command
