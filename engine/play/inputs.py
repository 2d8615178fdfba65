"""What a show is steered by, beside OSC: its mappings, and the senses that these hear.

    inputs = Inputs(show)
    conductor = Conductor(show, [osc, inputs.mapper], automata=[inputs.mapper])
    inputs.open()
    inputs.hear()                       # once a frame, before the conductor listens
    inputs.close()

The show's thread; `open` and `close` may be called in another one, as they wait for devices.
"""

from engine.control.map_watch import MapWatch
from engine.control.mapping import Mapper
from engine.control.sense import SenseProcess, open_senses, pass_on
from engine.show.config import Show


class Inputs:
    """See the module's head."""

    def __init__(self, show: Show) -> None:
        self.mapper = Mapper(show.registry, show.things["map"], show.values)
        self._watch = MapWatch(show.path, show.registry, self.mapper.use)
        self._show = show
        self._senses: list[SenseProcess] = []
        self._closed = False

    @property
    def mistake(self) -> str:
        """What is wrong with the mappings as they are in the file now."""
        return self._watch.mistake

    def open(self) -> None:
        """Opens the devices that the show listens to, and watches its file."""
        self._watch.start()
        self._senses = open_senses(self._show.values, [entry.source for entry in self.mapper.table.entries])
        if self._closed:
            self.close()

    def hear(self) -> None:
        """Hands on to the mappings what the senses heard. Never waits."""
        pass_on(self._senses, self.mapper.hear)

    def close(self) -> None:
        """Lets go of the devices. Safe to call twice."""
        self._closed = True
        self._watch.close()
        for sense in self._senses:
            sense.close()
