"""What the tests of several rooms share: one GL context without a display, and the shaders in it."""

from collections.abc import Iterator

import moderngl
import pytest

from engine.stage.gl import create_context
from engine.stage.shaders import Shaders


@pytest.fixture(scope="module")
def ctx() -> Iterator[moderngl.Context]:
    context = create_context(headless=True)
    yield context
    context.release()


@pytest.fixture(scope="module")
def shaders(ctx: moderngl.Context) -> Shaders:
    return Shaders(ctx)
