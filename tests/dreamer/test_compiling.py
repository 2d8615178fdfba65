"""torch.compile behind the picture: taken up between two pictures, checked first, and left out with one line.

A stand-in compiles here: torch's own takes half a minute for the smallest of networks.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.dreamer import compiling
from engine.dreamer.compiling import Behind, alone, checked
from engine.dreamer.load import Dreamer
from engine.dreamer.spec import Arithmetic, DreamSpec
from engine.show.specs import ModelSpec
from engine.walk.palette import Palette
from engine.walk.waypoint import Point, Waypoint
from tests import tiny_models

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' advice to themselves

PLACES = [Waypoint(0.0, 0, (Point(3, phase, 0.1, 1.0),), (1.0,)) for phase in (1.0, 1.5, 2.0)]
LEFT_OUT = "torch.compile is left out, and pictures come as without it"
Run = Callable[..., Tensor]


def plain(x: Tensor) -> Tensor:
    return x * 2 + 1


def given(seed: int) -> list[Tensor]:
    return [torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))]


def taken(behind: Behind[Any]) -> Any:
    """What comes of it, once it is there."""
    until = time.monotonic() + 60
    while (made := behind.take()) is None and time.monotonic() < until:
        time.sleep(0.001)
    return made


def test_what_agrees_is_taken_and_what_differs_or_fails_is_left_out_with_a_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(x: Tensor) -> Tensor:
        raise RuntimeError("no C++ compiler\nwas found")

    def same(x: Tensor) -> Tensor:
        return 1 + x * 2

    assert checked(same, plain, given(1), given(2), torch.float32) is same and not caplog.records
    assert checked(lambda x: x * 2, plain, given(1), given(2), torch.float32) is None
    assert checked(fails, plain, given(1), given(2), torch.float32) is None
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == f"{LEFT_OUT}: what it makes differs too much"
    assert said[1].startswith(f"{LEFT_OUT}: ") and "no C++ compiler" in said[1] and "\n" not in said[1]


def test_it_is_called_in_one_mode_and_on_tensors_of_one_kind() -> None:
    seen: set[tuple[bool, bool, bool]] = set()

    def noting(x: Tensor) -> Tensor:
        seen.add((torch.is_inference_mode_enabled(), torch.is_grad_enabled(), x.is_inference()))
        return plain(x)

    run = alone(noting)
    with torch.inference_mode():
        inside = run(*given(1))
    with torch.no_grad():
        assert torch.equal(run(*given(1)), inside)
    assert torch.equal(run(*given(1)), inside) and seen == {(False, False, False)}


def test_what_is_made_behind_is_fetched_once_and_never_waited_for() -> None:
    go = threading.Event()

    def work() -> str:
        go.wait(60)
        return "made"

    behind = Behind(work)
    assert behind.take() is None
    go.set()
    assert taken(behind) == "made" and behind.take() is None


def test_work_that_fails_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    def work() -> None:
        raise ValueError("it fails")

    behind = Behind(work)
    for thread in threading.enumerate():
        if thread.name == "compiling":
            thread.join(60)
    assert behind.take() is None
    assert [r.getMessage() for r in caplog.records] == [f"{LEFT_OUT}: ValueError: it fails"]


class StandIn:
    """Compiles to the same arithmetic, called in another order; fails on demand."""

    def __init__(self, fails: bool = False) -> None:
        self.fails, self.compiled, self.called = fails, 0, 0

    def __call__(self) -> Callable[[Run], Run]:
        return self._compile

    def _compile(self, run: Run) -> Run:
        self.compiled += 1

        def called(*tensors: Tensor) -> Tensor:
            if self.fails:
                raise RuntimeError("gcc: not found")
            self.called += 1
            return run(*tensors)

        return called


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    made = StandIn()
    monkeypatch.setattr(compiling, "compiler", made)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for kind in ("sd", "sd3"):
        tiny_models.save(kind, root / kind)
    return root


def dreamer(path: Path, film: bool = False, **model: Any) -> Dreamer:
    spec = ModelSpec(name=str(path), **({"dtype": "float32", "steps": 2, "compile": True} | model))
    return Dreamer(DreamSpec(spec, Palette.of(["torn paper"]), 64, 64, film=film))


def until_compiled(ours: Dreamer) -> int:
    """Dreams until what was compiled is taken up; how many pictures that took."""
    until, count = time.monotonic() + 60, 0
    while "compiled" not in ours.arithmetic.runs and time.monotonic() < until:
        ours.dream(PLACES[0])
        count += 1
    return count


def far(a: Any, b: Any) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def test_a_show_begins_without_it_and_takes_it_up_between_two_pictures(folder: Path, stand_in: StandIn) -> None:
    ours, without = dreamer(folder / "sd"), dreamer(folder / "sd", compile=False)
    learnt: list[Arithmetic] = []
    ours.on_learnt = learnt.append
    assert np.array_equal(ours.dream(PLACES[0]), without.dream(PLACES[0])) and not stand_in.compiled
    assert until_compiled(ours) >= 2, "the first picture is there before anything is compiled"
    assert stand_in.compiled == 2 and [a.runs for a in learnt] == ["compiled"] and "compiled" in ours.described
    before = stand_in.called
    for place in PLACES:
        assert far(ours.dream(place), without.dream(place)) <= 1
    assert stand_in.called > before


def test_a_film_is_compiled_before_its_first_picture_and_made_one_way_throughout(
    folder: Path, stand_in: StandIn
) -> None:
    ours = dreamer(folder / "sd", film=True)
    assert ours.arithmetic.runs == "compiled"
    before = stand_in.called
    ours.dream(PLACES[0])
    assert stand_in.called > before


def test_without_a_compiler_pictures_come_as_they_did(
    folder: Path, stand_in: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    stand_in.fails = True
    ours, without = dreamer(folder / "sd", film=True), dreamer(folder / "sd", film=True, compile=False)
    assert ours.arithmetic == without.arithmetic
    assert all(np.array_equal(ours.dream(place), without.dream(place)) for place in PLACES)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1 and said[0].startswith(LEFT_OUT) and "gcc: not found" in said[0]


@pytest.mark.parametrize(
    "kind, model, said",
    [
        ("sd3", {}, "model.compile is for Stable Diffusion and its kin alone, and does nothing here"),
        ("sd", {"scheduler_options": "thresholding=true"}, "which is stepped through the library"),
        ("sd", {"quantize": "int8"}, "model.compile is left out, as model.quantize is int8"),
    ],
    ids=["another family", "a scheduler of the library's", "8-bit weights"],
)
def test_where_it_does_nothing_one_line_says_so(
    folder: Path, kind: str, model: Any, said: str, stand_in: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    ours = dreamer(folder / kind, film=True, **model)
    assert ours.arithmetic.runs == "" and not stand_in.compiled
    assert [said in r.getMessage() for r in caplog.records].count(True) == 1
