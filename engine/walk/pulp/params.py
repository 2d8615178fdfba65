"""What pulp adds to a show.

Plain data, any process; neither numpy nor torch.
"""

from engine.show.params import TEXT_MAX, Param, Rule
from engine.show.part import Part, Things


def _params(things: Things) -> list[Param]:
    return [*_liquid(), *_water()]


def _liquid() -> list[Param]:
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


def _water() -> list[Param]:
    worded = Rule(lambda v: "{}" in v, f"text of at most {TEXT_MAX} characters with {{}} where the fragment stands")
    return [
        Param("pulp.source", "text", "",
              "A torn text that the walk draws on, beside the show file; `pedesis tear BOOK.txt` makes one.",
              lands="start"),
        Param("pulp.share", "number", 1.0,
              "How much of the picture's words comes from the torn text; the rest comes from the materials.",
              0, 1, smoothing_s=1.0, lands="keyframe"),
        Param("pulp.order", "number", 0.0,
              "In which order its fragments come: 0 as one reads, 0.5 those of one kind together, 1 none at all.",
              0, 1, lands="palette"),
        Param("pulp.most", "number", 16,
              "How many of them are in the water at a time.", 2, 16, smoothing_s=1.0, lands="palette"),
        Param("pulp.turn", "number", 1.0,
              "How far the walk goes while one of them has its turn: at walk.speed 0.12, turn 1 takes 8 s.",
              0.05, 100, "phase", "log", lands="start"),
        Param("pulp.as", "text", "{}",
              "What the model is told of a fragment, which stands where {} is, such as 'torn printed paper, {}'.",
              lands="palette", rule=worded),
    ]  # fmt: skip


PART = Part(_params)
