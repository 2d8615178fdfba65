"""What a show is steered by, beside OSC: its mappings, the senses that these hear, and the clocks of its tempo.

    inputs = Inputs(show)
    conductor = Conductor(show, [osc, inputs], automata=[inputs.mapper])
    inputs.open()
    inputs.hear(follow_midi=True)       # once a frame, before the conductor listens
    inputs.close()

A source of the conductor's. The show's thread; `open` and `close` may be called in another one, as they wait for
devices.
"""

from engine.control.link import LinkClock
from engine.control.map_watch import MapWatch
from engine.control.mapping import Mapper
from engine.control.sense import SenseProcess, open_senses, pass_on
from engine.control.tempo import MidiClock
from engine.show.config import Show
from engine.show.params import Value


class Inputs:
    """See the module's head."""

    def __init__(self, show: Show) -> None:
        self.mapper = Mapper(show.registry, show.things["map"], show.values)
        self._watch = MapWatch(show.path, show.registry, self.mapper.use)
        self._show = show
        self._senses: list[SenseProcess] = []
        self._midi_clock = MidiClock()
        self._link: LinkClock | None = None
        self._closed = False

    @property
    def mistake(self) -> str:
        """What is wrong with the mappings as they are in the file now."""
        return self._watch.mistake

    def open(self) -> None:
        """Opens the devices that the show listens to, and watches its file."""
        self._watch.start()
        self._senses = open_senses(self._show.values, [entry.source for entry in self.mapper.table.entries])
        self._link = LinkClock.join() if self._show.values["tempo.link"] else None
        if self._closed:
            self.close()

    def hear(self, follow_midi: bool) -> None:
        """Hands on to the mappings what the senses heard, and to the tempo a MIDI clock. Never waits."""
        pass_on(self._senses, self.mapper.hear, self._midi_clock if follow_midi else None)

    def drain(self) -> list[tuple[str, Value]]:
        """What is new since the last call."""
        link = self._link
        return [*self.mapper.drain(), *self._midi_clock.drain(), *(link.drain() if link else [])]

    def close(self) -> None:
        """Lets go of the devices. Safe to call twice."""
        self._closed = True
        self._watch.close()
        for sense in self._senses:
            sense.close()
        if self._link is not None:
            self._link.close()
