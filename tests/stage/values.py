"""The values that a show starts with, for tests of what reads them.

Usage: `look.render(picture, framebuffer, DEFAULTS | {"look.grain": 0.0}, 0.0)`.
"""

from engine.show.params import Value, build_registry
from engine.stage.transitions import list_transitions

DEFAULTS: dict[str, Value] = {name: param.default for name, param in build_registry([], list_transitions()).items()}
