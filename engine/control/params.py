"""What the control room adds to a show: where it listens, to whom, and the way back to the show's own values.

Plain data, any process.
"""

from engine.control.feedback import holds
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
        Param("osc.reply", "switch", OscSpec.reply,
              "Whether controllers that moved something in the last five minutes are told what else moves.",
              lands="start"),
        Param("osc.feedback", "text", OscSpec.feedback,
              "Controllers that are told from the start, such as 192.168.1.20:9001, commas between several; a port "
              "alone is the one at which everybody who speaks is told.",
              lands="start", rule=Rule(holds, "host:port, or a port alone, with commas between several")),
        Param("osc.status", "number", OscSpec.status,
              "Seconds between two /status messages to controllers; 0 sends none.", 0, 3600, "s"),
        Param("midi.device", "text", "", "MIDI devices to listen to, by the beginning of their names, commas between "
              "several; empty: all of them, once a mapping uses MIDI.", lands="start"),
        Param("midi.enabled", "switch", True, "Whether MIDI may be listened to.", lands="start"),
        Param("sound.device", "text", "", "The microphone or line in to listen to, by the beginning of its name; "
              "empty: the system's own, once a mapping uses sound.", lands="start"),
        Param("sound.enabled", "switch", True, "Whether sound may be listened to.", lands="start"),
        Param("sound.gain", "number", 0.0, "Amplifies a microphone that is far too quiet; levels find their own range.",
              -40, 60, "dB", lands="start"),
    ]  # fmt: skip


PART = Part(_params)
