"""8-bit weights: had where they can be, and otherwise one line and the pictures as they are."""

import importlib.util
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from engine.dreamer.load import Dreamer
from engine.dreamer.quantize import is_worth_it, quantize, why_not
from engine.dreamer.spec import DreamSpec
from engine.show.specs import ModelSpec
from engine.walk.palette import Palette
from engine.walk.waypoint import Point, Waypoint
from tests import tiny_models

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' advice to themselves

CPU, CARD = torch.device("cpu"), torch.device("cuda:0")
HERE = importlib.util.find_spec("torchao") is not None


@pytest.fixture
def torchao(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has torchao be installed, or not, as a test says."""
    real = importlib.util.find_spec

    def installed(is_there: bool) -> None:
        said = real("torch") if is_there else None
        monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: said if n == "torchao" else real(n, *a))

    return installed


def test_a_missing_package_is_named_with_the_way_to_get_it(torchao: Any) -> None:
    torchao(False)
    assert why_not("int8", CPU) == "torchao is not installed (pip install 'pedesis[quant]')"


@pytest.mark.parametrize(
    "how, device, capability, said",
    [
        ("int8", CPU, None, None),
        ("int8", CARD, (7, 5), None),
        ("fp8", CARD, (8, 9), None),
        ("fp8", CARD, (10, 0), None),
        ("fp8", CARD, (8, 6), "fp8 needs a card from RTX 40 or H100 on, and this is A Card; take int8"),
        ("fp8", CPU, None, "fp8 needs an NVIDIA card, and this is cpu"),
    ],
)
def test_what_a_device_can(
    how: str, device: torch.device, capability: Any, said: str | None, torchao: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    torchao(True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "A Card")
    assert why_not(how, device) == said


def test_large_linear_layers_are_worth_it_and_those_of_loras_stay() -> None:
    assert is_worth_it(nn.Linear(64, 320), "blocks.0.to_q")
    assert not is_worth_it(nn.Linear(64, 320), "blocks.0.to_q.lora_A.clay")
    assert not is_worth_it(nn.Linear(32, 320), "small") and not is_worth_it(nn.Linear(72, 64), "uneven")
    assert not is_worth_it(nn.Conv2d(64, 64, 1), "conv_in")


def test_what_was_done_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []
    network = nn.Linear(64, 64)
    assert quantize(network, "int8", CPU, lambda net, how, device: done.append(how)) == "int8" == done[0]
    assert quantize(network, "none", CPU, lambda net, how, device: done.append(how)) == ""
    assert len(done) == 1 and not caplog.records


def test_what_fails_is_one_line_and_want_of_memory_is_not_swallowed(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(error: Exception) -> Any:
        def apply(*_: Any) -> None:
            raise error

        return apply

    with caplog.at_level(logging.WARNING, "pedesis"):
        assert quantize(nn.Linear(64, 64), "fp8", CPU, refuse(NotImplementedError("no kernel\nfor this"))) == ""
    assert len(caplog.records) == 1
    said = caplog.records[0].getMessage()
    assert said.startswith("model.quantize is fp8, and the model runs without: ") and "\n" not in said
    with pytest.raises(torch.OutOfMemoryError):
        quantize(nn.Linear(64, 64), "int8", CPU, refuse(torch.OutOfMemoryError("CUDA out of memory")))


def test_a_show_without_the_package_is_dreamt_as_it_is(
    tmp_path: Path, torchao: Any, caplog: pytest.LogCaptureFixture
) -> None:
    torchao(False)
    path = tiny_models.save("sd", tmp_path / "sd")
    plain, asked = (dreamer(path, how) for how in ("none", "int8"))
    place = Waypoint(0.0, 0, (Point(3, 1.0, 0.1, 1.0),), (1.0,))
    assert np.array_equal(plain.dream(place), asked.dream(place)) and plain.arithmetic == asked.arithmetic
    assert [r.getMessage() for r in caplog.records] == [
        "model.quantize is int8, and the model runs without: torchao is not installed (pip install 'pedesis[quant]')"
    ]


def dreamer(path: Path, how: str) -> Dreamer:
    spec = ModelSpec(name=str(path), dtype="float32", steps=2, quantize=how)
    return Dreamer(DreamSpec(spec, Palette.of(["torn paper"]), 64, 64))


@pytest.mark.skipif(not HERE, reason="needs torchao")
def test_8_bits_answer_nearly_the_same() -> None:
    network = tiny_models.seeded(lambda: nn.Sequential(nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 64)), 1)
    given = torch.randn(4, 64, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        before = network(given)
        assert quantize(network, "int8", CPU) == "int8"
        assert 0 < float((network(given) - before).abs().max()) < 0.05 * float(before.std())
