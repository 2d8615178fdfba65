"""What the docent adds to a show: the map of what was dreamt, and the lesson, step by step.

Plain data, any process; no GL.
"""

from engine.show.params import Param
from engine.show.part import Part, Things

MAPS = ("off", "inset", "full")
# The steps of the lesson, in order; the language file has a sentence for each, [steps] and [images].
STEPS = (
    "definition",
    "many",
    "few",
    "back",
    "noise",
    "guesses",
    "map",
    "between",
    "clouds",
    "clouds_limp",
    "pulp",
    "pulp_limp",
    "memory",
    "memory_limp",
    "all_three",
    "end",
)


def _params(things: Things) -> list[Param]:
    return [
        Param("docent.map", "choice", "off",
              "The map of what was dreamt, where alike pictures lie close: off, small in a corner, or over all.",
              choices=MAPS),
        Param("docent.step", "integer", 0,
              f"The step of the lesson about latent space that is shown: 0 is none, {len(STEPS)} the last.",
              0, len(STEPS)),
        Param("docent.next", "trigger", 0.0, "Goes on to the next step of the lesson; after the last one it is over."),
        Param("docent.back", "trigger", 0.0, "Goes back to the step before."),
        Param("docent.auto", "switch", False,
              "Goes through the lesson by itself, each step as long as it takes to read."),
    ]  # fmt: skip


PART = Part(_params)
