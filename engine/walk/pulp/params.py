"""What pulp adds to a show.

Plain data, any process; neither numpy nor torch.
"""

from engine.show.params import Param
from engine.show.part import Part, Things


def _params(things: Things) -> list[Param]:
    return [
        Param("pulp.liquidise", "number", 0.0,
              "How finely the picture is torn, and other pictures with it: 0 is one whole sheet, 0.5 torn pieces that "
              "swim, 1 a fine pulp.",
              0, 1, smoothing_s=1.0, lands="keyframe"),
        Param("pulp.pull", "trigger", 0.0,
              "Draws up a sheet: the water stills, and one material comes out of it whole. It stays so until pulp.pour "
              "lets it go, or pulp.liquidise is moved.",
              lands="keyframe"),
        Param("pulp.pull.time", "number", 6.0,
              "How long it takes until a sheet is drawn up, and until it is pulp again.", 0.5, 120, "s", "log",
              lands="keyframe"),
        Param("pulp.pour", "trigger", 0.0,
              "Lets the sheet that was drawn up fall to pieces again, as far as pulp.liquidise goes.",
              lands="keyframe"),
    ]  # fmt: skip


PART = Part(_params)
