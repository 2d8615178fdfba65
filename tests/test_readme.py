"""The README tells what the code does: its tables are the code's own."""

import re
from pathlib import Path

from engine.cli import markdown_table, parameter_rows
from engine.play.shows import load_show
from engine.show.config import list_shows

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_parameter_table_is_the_registrys() -> None:
    said = re.search(r"<!-- parameters:.*?-->\n(.*?)<!-- end of parameters -->", README, re.DOTALL)
    assert said and said[1].strip() == markdown_table(parameter_rows(load_show("house"))).strip()


def test_every_show_that_is_named_exists() -> None:
    names = set(re.findall(r"configs/([\w-]+)\.toml", README))
    assert names and names <= set(list_shows())


def test_pictures_and_files_that_are_named_exist() -> None:
    root = Path(__file__).parent.parent
    targets = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README)
    assert targets, "a README of pictures shows one"
    for target in targets:
        assert (root / target).is_file(), target


def test_commands_that_are_shown_are_understood() -> None:
    from typer.testing import CliRunner

    from engine.cli import app

    commands = set(re.findall(r"^pedesis (\w+)", README, re.MULTILINE))
    assert {"run", "film"} <= commands
    for command in commands:
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0, command
