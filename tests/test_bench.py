"""The benchmark for cards: it says when there is none, and every row of it is there before the first card is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "bench.py"), "--gpu", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment, check=False)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card here")
def test_without_a_card_it_says_so_in_one_sentence() -> None:
    done = bench()
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.splitlines()[-1] == (
        "scripts/bench --gpu needs an NVIDIA card that torch can use, and this machine has none "
        "(--stand-in runs through it on the processor)."
    )


@pytest.mark.slow
def test_on_a_stand_in_every_row_is_there(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    done = bench("--stand-in", "--json", str(file))
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(file.read_text())
    assert found["card"].startswith("none") and found["seconds"] > 0
    without = [row for row in found["rows"] if row["figure"] is None]
    assert all("torchao is not installed" in row["against"] for row in without), without
    said = " ".join(row["what"] for row in found["rows"])
    for part in ("as run", "CUDA graphs", "ahead", "LoRA", "guide", "tiles", "words", "noise", "int8", "fp8",
                 "delivered", "torch.compile"):  # fmt: skip
        assert part in said
    assert done.stdout.count("\n") == len(found["rows"]) + 1, "one table"
