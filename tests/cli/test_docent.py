"""`pedesis docent`: what it says can be read without a window."""

from typer.testing import CliRunner

from engine.cli import app
from engine.stage.docent_params import STEPS


def test_the_lesson_is_printed_with_the_shows_own_figures() -> None:
    said = CliRunner().invoke(app, ["docent", "--text"])
    assert said.exit_code == 0
    lines = said.output.splitlines()
    assert len(lines) == len(STEPS) and not any(sign in said.output for sign in "{}*…")
    assert "344,064" in said.output and "7,168" in said.output and "48 times" in said.output


def test_a_step_that_is_not_there_is_refused() -> None:
    said = CliRunner().invoke(app, ["docent", "--text", "--step", str(len(STEPS) + 1)])
    assert said.exit_code == 2 and f"from 1 to {len(STEPS)}" in said.output
