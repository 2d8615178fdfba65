"""Everything that can keep a show from starting is one kind of error, which the command line catches once."""

import importlib

import pytest

from engine.show.errors import CannotStart

REASONS = (
    "engine.show.config:ShowError",
    "engine.control.osc:PortTaken",
    "engine.dreamer.models:ModelError",
    "engine.stage.gl:NoGraphics",
    "engine.stage.gl:ShaderError",
    "engine.stage.window:NoDisplay",
    "engine.record.film_file:RecorderError",
)


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_not_to_start_is_one_kind_of_error(reason: str) -> None:
    module, name = reason.split(":")
    assert issubclass(getattr(importlib.import_module(module), name), CannotStart)
