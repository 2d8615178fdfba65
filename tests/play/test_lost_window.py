"""The show in a window whose screen goes away."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.displays import x_server
from tests.shows import write_tiny_show


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="an X11 matter")
def test_the_x_server_going_away_saves_the_walk_and_ends_well(tmp_path: Path) -> None:
    show = write_tiny_show(tmp_path, resume=True)
    with x_server() as (server, display):
        own = {"DISPLAY": display, "XDG_STATE_HOME": str(tmp_path / "state")}
        env = {k: v for k, v in os.environ.items() if k != "WAYLAND_DISPLAY"} | own
        command = [sys.executable, "-m", "engine.cli", "run", str(show), "--windowed", "--osc-port", "0"]
        run = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
        assert run.stderr
        told = []
        for line in run.stderr:
            told.append(line)
            if "dreamer" in line:  # the first picture has been shown
                break
        server.kill()
        told += run.communicate(timeout=60)[1].splitlines(keepends=True)
    said = "".join(told)
    assert run.returncode == 0, said
    assert "the X server has gone" in said and "Traceback" not in said
    assert list((tmp_path / "state").rglob("seed-*.json")), "the walk was saved"
