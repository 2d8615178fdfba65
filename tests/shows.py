"""A show on a tiny seeded model, written into a folder: what the end-to-end tests play and film."""

import io
import os
import subprocess
from contextlib import chdir, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from unittest.mock import patch

import psutil

from engine.cli import main
from tests import warm
from tests.tiny_models import save

SHOW = """
title = "Tiny"

[model]
name = "{model}"
steps = 2
width = 64
height = 64

[[material]]
name = "one"
prompt = "a cloud"

[[material]]
name = "two"
prompt = "a torn page"

[walk]
speed = 0.4

[window]
width = 320
height = 180
resume = {resume}

# A child beside the dreamer, which most of these tests count.
[panel]
enabled = false

[film]
width = 160
height = 96
fps = 24
"""


def write_tiny_show(folder: Path, resume: bool = False) -> Path:
    """Writes model and show; returns the show's path."""
    model = folder / "model"
    if not model.exists():
        save("sd", model)
    path = folder / "tiny.toml"
    path.write_text(SHOW.format(model=model, resume=str(resume).lower()))
    return path


def dreamers(parent: psutil.Process) -> list[psutil.Process]:
    """Dreamer processes below `parent`, and warm ones of its; children that end while they are asked are none."""
    found = warm.dreamers_of(parent.pid)
    for child in parent.children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # ZombieProcess is one of these
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


def pedesis(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line in this process, for what soon ends: mistakes, lists. What is logged is pytest's to show."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        patch("sys.argv", ["pedesis", *arguments]),
        patch.dict(os.environ, environment),
        chdir(cwd or Path.cwd()),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())
