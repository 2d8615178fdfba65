"""What the memory bank adds to a show.

Plain data, any process; neither numpy nor SQLite.
"""

from engine.show.params import Param
from engine.show.part import Part, Things

CAPACITY, HALF_LIFE_H, EVERY_S = 10_000, 200.0, 20.0


def _params(things: Things) -> list[Param]:
    return [
        Param("memory.enabled", "switch", False, "Whether the show keeps a bank of places worth remembering.",
              lands="start"),
        Param("memory.file", "text", "", "Where the bank is kept; empty: in the folder where shows keep their state.",
              lands="start"),
        Param("memory.every", "number", EVERY_S, "Shortest time between two memories that are kept unasked.",
              1, 86400, "s", "log"),
        Param("memory.keep", "trigger", 0.0, "Keeps the present picture, however like another it is."),
        Param("memory.recall", "call", "",
              "Goes to a memory: its number, words, 'like this', 'first', 'latest', 'an hour ago', "
              "'yesterday at this hour', 'random'.", lands="palette"),
        Param("memory.random", "trigger", 0.0, "Goes to any memory, the strong ones more often; its strength chooses.",
              lands="palette"),
        Param("memory.leave", "trigger", 0.0, "Leaves a memory before its time and goes on from there.",
              lands="keyframe"),
        Param("memory.stay", "number", 20.0, "How long the walk stays at a memory.", 0, 3600, "s", "square"),
        Param("memory.by", "choice", "walk", "How it goes to a memory: by the walk, or by blend.transition.",
              choices=("walk", "transition")),
        Param("memory.approved", "switch", False,
              "A curated walk: nothing is shown but memories that a person approved, one after the other.",
              lands="palette"),
        Param("memory.capacity", "integer", CAPACITY, "Memories in a full bank; then the weakest are forgotten.",
              10, 1_000_000),
        Param("memory.half_life", "number", HALF_LIFE_H,
              "Hours of running after which a memory is half as strong, unless it is recalled.",
              0.1, 100_000, "h", "log", lands="start"),
        Param("memory.archive", "switch", False, "Forgets nothing, however full the bank is."),
    ]  # fmt: skip


PART = Part(_params)
