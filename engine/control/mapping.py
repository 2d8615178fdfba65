"""The mapper: what foreign sensors, pads, phones, MIDI and sound say becomes values for parameters.

    mapper = Mapper(show.registry, show.things["map"], show.values)
    Conductor(show, [osc, mapper], automata=[mapper])
    mapper.hear("/sensor/3/distance", [0.7])       # by OSC in, by MIDI, by sound
    mapper.use(table)                              # another table, from any thread

A source of the conductor's, drained once a frame after those that it hears. Filters and time-outs go by the show's own
time, counted in its ticks, so a picture never depends on the wall clock; what is handed over are values of parameters,
and a take holds them like those of any other source. An address that many send at is kept once (MAX_ADDRESSES).
The thread that runs the show's loop, except `use`.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.control.driven import Driven, Turned
from engine.control.edges import Edge, Press, number_of
from engine.control.map_entry import Entry, MapTable
from engine.control.mistakes import Mistake, Mistakes
from engine.show.params import ParamError, Registry, Value, shown

log = logging.getLogger("pedesis")

MAX_ADDRESSES = 1024
MAX_STEERS = 4096  # between two drains; beyond it the newest are not kept
LONGEST_STEP_S = 0.25  # time between two ticks, after which a walk was recalled and not waited for
Steer = tuple[str, Value]
Hearing = Callable[[Sequence[object]], str]  # takes a message's arguments; what is wrong with them, in words
Tap = Callable[[str, Sequence[object]], None]


class Mapper:
    """See the module's head."""

    def __init__(
        self, registry: Registry, table: MapTable | None = None, values: Mapping[str, Value] | None = None
    ) -> None:
        """values: the show's own, where silent sensors leave their parameters."""
        self.table = table or MapTable()
        self.tap: Tap | None = None  # told of everything that arrives, mapped or not, while somebody learns
        self._registry = registry
        self._own: dict[str, Value] = {n: p.default for n, p in registry.items()} | dict(values or {})
        self._controls: Any = None
        self._now_s = self._drained_s = self._time_s = 0.0
        self._next: MapTable | None = None
        self._mistakes = Mistakes()
        self._routes: dict[str, tuple[tuple[Entry, Hearing], ...]] = {}
        self._kept: dict[tuple[Entry, str], Any] = {}  # what an entry remembers of an address
        self._toggles: dict[str, Press] = {}
        self._driven: dict[str, Driven] = {}
        self._steers: list[Steer] = []
        self._pending: dict[str, Value] = {}

    def use(self, table: MapTable) -> None:
        """Goes on with another table; what both have goes on as it is."""
        self._next = table

    def drives(self, address: str) -> list[str]:
        """Names of the parameters that an address moves, for those who show it."""
        return list(dict.fromkeys(entry.to for entry in self.table.find(address)))

    def knows(self, address: str) -> bool:
        """Whether anything hears this address."""
        return bool(self._route(address))

    def replaces(self, address: str, name: str) -> bool:
        """Whether a parameter's own address is mapped onto the parameter itself, in place of what it plainly means."""
        return any(entry.to == name for entry, _ in self._route(address))

    def hear(self, address: str, arguments: Sequence[object]) -> None:
        """One message. What is wrong with it is logged."""
        if self.tap is not None:
            self.tap(address, arguments)
        for mistake in self.take(address, arguments):
            self._mistakes.add(mistake)

    def take(self, address: str, arguments: Sequence[object]) -> list[Mistake]:
        """One message; returns what is wrong with it."""
        mistakes = []
        for entry, hearing in self._routes.get(address) or self._route(address):
            wrong = hearing(arguments)
            if wrong:
                kind = f"[[map]] {entry.number}"
                mistakes.append(Mistake(address, kind, f"{wrong}; {kind} moves {entry.to} by it"))
        return mistakes

    def toggle(self, name: str, strength: float) -> None:
        """A press, or the end of one, of a button that flips a switch."""
        press = self._toggles.setdefault(name, Press())
        if press.hear(strength, self._now_s):
            self._say(name, not self.target(name))

    def target(self, name: str) -> Value:
        """Where a parameter is going, what has been heard since the last drain included."""
        if name in self._pending:
            return self._pending[name]
        return self._controls.target(name) if self._controls is not None else self._own[name]

    def tick(self, controls: Any, time_s: float) -> None:
        """One tick of the show: time goes on. time_s: of the show; a jump, as of a walk that is recalled, counts as no
        time."""
        self._controls = controls
        step_s = time_s - self._time_s
        if 0 < step_s <= LONGEST_STEP_S:
            self._now_s += step_s
        self._time_s = time_s

    def drain(self) -> list[Steer]:
        """What is new since the last call. Never waits and never raises."""
        if self._next is not None:
            self._swap(self._next)
        self._mistakes.start_round()
        dt_s = self._now_s - self._drained_s
        self._drained_s = self._now_s
        for name, driven in self._driven.items():
            if driven.is_busy:
                value = driven.step(self._now_s, dt_s, self.target(name))
                if value is not None:
                    self._say(name, value)
        steers, self._steers, self._pending = self._steers, [], {}
        return steers

    def _say(self, name: str, value: Value) -> None:
        if len(self._steers) < MAX_STEERS:
            self._steers.append((name, value))
            if not self._registry[name].fires:
                self._pending[name] = value

    def _swap(self, table: MapTable) -> None:
        self.table, self._next = table, None
        self._routes = {}
        entries = set(table.entries)
        self._kept = {key: kept for key, kept in self._kept.items() if key[0] in entries}
        for name, driven in list(self._driven.items()):
            if not driven.keep(entries):
                del self._driven[name]

    def _route(self, address: str) -> tuple[tuple[Entry, Hearing], ...]:
        route = self._routes.get(address)
        if route is None:
            if len(self._routes) >= MAX_ADDRESSES:
                self._forget(next(iter(self._routes)))
            route = self._routes[address] = tuple(
                (entry, self._hearing(entry, address)) for entry in self.table.find(address)
            )
        return route

    def _forget(self, address: str) -> None:
        for entry, _ in self._routes.pop(address):
            self._kept.pop((entry, address), None)
            if entry.to in self._driven:
                self._driven[entry.to].forget(address)

    def _hearing(self, entry: Entry, address: str) -> Hearing:
        """What takes the arguments of an address for one entry."""
        param = self._registry[entry.to]
        if entry.is_words:
            return lambda arguments: self._take_words(entry, arguments)
        if entry.is_edge:
            edge = self._keep(entry, address, lambda: Edge(entry, param))
            return lambda arguments: self._take_edge(entry, edge, arguments)
        if entry.mode == "relative":
            turned = self._keep(entry, address, lambda: Turned(entry, param))
            return lambda arguments: self._take_turn(entry, turned, arguments)
        if param.kind == "choice" and not entry.scaled:
            return lambda arguments: self._take_words(entry, arguments[(entry.arg or 1) - 1 :])
        driven = self._driven.get(entry.to)
        if driven is None:
            driven = self._driven[entry.to] = Driven(param, self._own[entry.to])
        stream = driven.stream(entry, address)
        place, heard, share_in = (entry.arg or 1) - 1, driven.heard, stream.shape.share_in

        def take_stream(arguments: Sequence[object]) -> str:
            value = arguments[place] if place < len(arguments) else None
            number = value if type(value) is float and value - value == 0 else number_of(value)
            if number is None:
                return _no_number(entry, arguments)
            heard(stream, share_in(number), self._now_s)
            return ""

        return take_stream

    def _keep(self, entry: Entry, address: str, make: Callable[[], Any]) -> Any:
        key = entry, address
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def _take_words(self, entry: Entry, arguments: Sequence[object]) -> str:
        given = arguments if entry.arg is None or entry.kind == "choice" else arguments[entry.arg - 1 : entry.arg]
        try:
            self._say(entry.to, self._registry[entry.to].from_osc(given))
        except ParamError as error:
            return f"must be {error.allowed}, got {error.given}"
        return ""

    def _take_edge(self, entry: Entry, edge: Edge, arguments: Sequence[object]) -> str:
        place = (entry.arg or 1) - 1
        value = arguments[place] if place < len(arguments) else None
        bang = value is None and (place == 0 or place < len(arguments))
        number = None if bang else number_of(value)
        if number is None and not bang:
            return _no_number(entry, arguments)
        for said in edge.hear(number, self._now_s):
            if entry.mode == "toggle":
                self._say(entry.to, not self.target(entry.to))
            else:
                self._say(entry.to, said)
        return ""

    def _take_turn(self, entry: Entry, turned: Turned, arguments: Sequence[object]) -> str:
        place = (entry.arg or 1) - 1
        number = number_of(arguments[place]) if place < len(arguments) else None
        if number is None:
            return _no_number(entry, arguments)
        value = turned.turn(number, self.target(entry.to))
        if value is not None:
            self._say(entry.to, value)
        return ""


def _no_number(entry: Entry, arguments: Sequence[object]) -> str:
    place = entry.arg or 1
    if place > len(arguments):
        have = f"only {len(arguments)} value{'' if len(arguments) == 1 else 's'}" if arguments else "no value"
        return f"must have a number as value {place}, got {have}"
    return f"must have a finite number as value {place}, got {shown(arguments[place - 1])}"
