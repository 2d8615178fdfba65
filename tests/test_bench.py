"""The benchmark for cards: it says when there is none, and every row of it is there before the first card is."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' advice to themselves


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`scripts/bench --gpu` with more arguments."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from bench import main

    def run(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["bench", "--gpu", *arguments])
        main()

    return run


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card here")
def test_without_a_card_it_says_so_in_one_sentence(
    bench: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        bench()
    said = capsys.readouterr()
    assert ended.value.code == 2 and not said.out
    assert said.err == (
        "scripts/bench --gpu needs an NVIDIA card that torch can use, and this machine has none "
        "(--stand-in runs through it on the processor).\n"
    )


@pytest.mark.slow
def test_on_a_stand_in_every_row_is_there(
    bench: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bench.json"
    bench("--stand-in", "--json", str(file))
    found = json.loads(file.read_text())
    assert found["card"].startswith("none") and found["seconds"] > 0
    without = [row for row in found["rows"] if row["figure"] is None]
    assert all("torchao is not installed" in row["against"] for row in without), without
    said = " ".join(row["what"] for row in found["rows"])
    for part in ("as run", "CUDA graphs", "ahead", "LoRA", "guide", "tiles", "words", "noise", "int8", "fp8",
                 "delivered", "torch.compile"):  # fmt: skip
        assert part in said
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("gpu ")]
    assert len(table) == len(found["rows"])
