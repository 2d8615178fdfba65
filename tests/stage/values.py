"""The values that a show starts with, for tests of what reads them.

Usage: `look.render(picture, framebuffer, DEFAULTS | {"look.grain": 0.0}, 0.0)`.
"""

from engine.show.params import Value
from engine.stage.params import PART

DEFAULTS: dict[str, Value] = {param.name: param.default for param in PART.params({})}
