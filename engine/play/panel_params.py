"""What the panel adds to a show: whether there is one, and where it answers.

Plain data, any process.
"""

from engine.play.panel_messages import Settings
from engine.show.params import Param, Rule
from engine.show.part import Part, Things

_TOKEN = Rule(
    lambda v: not v or (8 <= len(v) <= 128 and v.isascii() and v.isprintable() and not set(v) & set(" &#+%?=/")),
    "text of 8 to 128 letters and digits, or empty",
)  # fmt: skip


def _params(things: Things) -> list[Param]:
    return [
        Param("panel.enabled", "switch", True,
              "Whether the show can be steered from a browser, and found by OSCQuery.", lands="start"),
        Param("panel.host", "text", Settings.host,
              "Address at which the panel answers; 0.0.0.0 lets the whole network in, which then needs a token.",
              lands="start", rule=Rule(lambda v: bool(v.strip()), "a host name or address")),
        Param("panel.port", "integer", Settings.port, "TCP port at which the panel answers.", 1, 65535, lands="start"),
        Param("panel.token", "text", Settings.token,
              "Word that a browser has to know; empty: none on this machine, and one of its own on the network.",
              lands="start", rule=_TOKEN),
    ]  # fmt: skip


PART = Part(_params)
