"""--score: what is wrong with one is told before anything starts."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli import app


@pytest.mark.parametrize("command", ["run", "film"])
def test_a_wrong_score_is_told_before_anything_starts(command: str, tmp_path: Path) -> None:
    score = tmp_path / "evening.toml"
    score.write_text('[[cue]]\nat = "soon"\n\n[[cue]]\nat = 1\nfire = ["walk.jmp"]\n')
    done = CliRunner().invoke(app, [command, "house", "--score", str(score)])
    assert done.exit_code == 2
    first, second = done.stderr.splitlines()
    assert first.startswith(f"{score}: [[cue]] 1 at must be a moment such as 12.5")
    assert second.endswith("got 'walk.jmp'. Did you mean walk.jump?")
    gone = CliRunner().invoke(app, [command, "house", "--score", str(tmp_path / "none.toml")])
    assert gone.exit_code == 2 and gone.stderr == f"{tmp_path / 'none.toml'}: file not found\n"
