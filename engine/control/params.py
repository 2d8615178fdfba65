"""What the control room adds to a show: where it listens, and the way back to the show's own values.

Plain data, any process.
"""

from engine.show.params import Param, Rule
from engine.show.part import Part, Things
from engine.show.specs import OscSpec


def _params(things: Things) -> list[Param]:
    return [
        Param("show.reset", "trigger", 0.0,
              "Brings every value back to where the show file has it, over two seconds; the walk stays where it is."),
        Param("show.load", "call", "",
              "Goes on with another show, by its name, from those that come with Pedesis or lie beside this one; "
              "the picture moves on while it loads."),
        Param("take.start", "trigger", 0.0,
              "Begins a take: a log of all that steers, in the folder for recordings, to be rendered again as a film."),
        Param("take.stop", "trigger", 0.0, "Ends the take."),
        Param("osc.host", "text", OscSpec.host, "Address to listen at; 0.0.0.0 lets the whole network steer.",
              lands="start", rule=Rule(lambda v: bool(v.strip()), "a host name or address")),
        Param("osc.port", "integer", OscSpec.port, "UDP port to listen at.", 1, 65535, lands="start"),
        Param("osc.enabled", "switch", OscSpec.enabled, "Whether to listen at all.", lands="start"),
    ]  # fmt: skip


PART = Part(_params)
