"""What the tests of several rooms share: one GL context without a display, the shaders in it, and what is slow."""

import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import moderngl
import pytest

from engine.stage.gl import create_context
from engine.stage.shaders import Shaders
from tests import warm

# As scripts/test has it, for those who call pytest: threads that wait for one another spin away whole cores. Read by
# torch as it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Left out by `scripts/test --quick`: they start real dreamers, load real models, train, or build packages.
SLOW = (
    "house_model",
    "dreamer/test_dreamer.py",
    "dreamer/test_checkpoint.py",
    "dreamer/test_families.py",
    "dreamer/test_flow.py",
    "dreamer/test_likeness.py",
    "dreamer/test_lora.py",
    "dreamer/test_outline.py",
    "dreamer/test_palettes.py",
    "dreamer/test_recipes.py",
    "dreamer/test_prompts.py",
    "dreamer/test_schedulers.py",
    "dreamer/test_process.py",
    "dreamer/cpu",
    "play/test_film.py",
    "play/test_film_guides.py",
    "play/test_film_resumed.py",
    "play/test_film_take.py",
    "play/test_live.py",
    "play/test_torn.py",
    "record/test_recorder.py",
    "stage/test_warm.py",
    "stage/test_window.py",
    "walk/test_navigator.py",
    "walk/memory/test_large.py",
    "control/test_osc_flood.py",
    "panel/test_page.py",
    "panel/test_page_live.py",
    "test_packaging.py",
    "test_warm.py",
    "test_scripts.py",
    "cli/test_cli.py",
    "test_doctor.py",
)
HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        place = item.path.relative_to(HERE).as_posix()
        if place.startswith(SLOW):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="module")
def ctx() -> Iterator[moderngl.Context]:
    context = create_context(headless=True)
    yield context
    context.release()


@pytest.fixture(scope="module")
def shaders(ctx: moderngl.Context) -> Shaders:
    return Shaders(ctx)


@pytest.fixture(scope="module")
def warm_dreamers() -> Iterator[None]:
    """The module's dreamers need not read torch anew; see tests/warm.py."""
    with warm.warm():
        yield


@pytest.fixture
def spawned_dreamers(monkeypatch: pytest.MonkeyPatch) -> None:
    """One test's dreamers are spawned as people's are, in a module where they otherwise are warm."""
    monkeypatch.setattr("engine.dreamer.process.CONTEXT", multiprocessing.get_context("spawn"))
