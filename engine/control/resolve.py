"""What an OSC message means: an address and arguments become values for parameters.

    resolver = Resolver(registry)
    resolver.resolve("/walk/speed", [0.5])         # Resolved(steers=[("walk.speed", 0.5)], mistakes=[])
    resolver.find("//Walk/Speed/")                 # "/walk/speed"

The one place that knows which addresses there are. The queue in front of it (inbox.py) asks `kinds` and
`find` only; whatever gives an address a meaning of its own is added here and in those two. For the thread
that drains OSC, except `kinds` and `find`, which never change and may be asked by any.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.control.message import Opaque
from engine.control.mistakes import Mistake
from engine.show.address import is_pattern, simplified
from engine.show.params import Kind, Param, ParamError, Registry, Value, did_you_mean

UNKNOWN = "unknown"  # kind of mistake: nothing is reached
_MAX_PATTERNS = 256
_SHORT = {"/panic": "/show/panic"}  # what is sent in a hurry

Steer = tuple[str, Value]


@dataclass(frozen=True)
class Resolved:
    """What one message asks for, and what is wrong with it: either may be empty, and neither need be."""

    steers: list[Steer] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)


class Resolver:
    """See the module's head."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        live = [p for p in registry.values() if p.live]
        self.kinds: Mapping[str, Kind] = {p.address: p.kind for p in live}
        self._alike: dict[str, list[str]] = {}  # simplified address: those it may mean
        for param in registry.values():
            self._alike.setdefault(simplified(param.address), []).append(param.address)
        for short, address in _SHORT.items():
            if address in self.kinds:
                self._alike.setdefault(short, [address])
        self._patterns: dict[str, tuple[Param, ...]] = {}

    def find(self, address: str) -> str | None:
        """The address that is meant: itself, or the only one that differs in no more than slashes and capitals."""
        if address in self.kinds:
            return address
        alike = self._alike.get(simplified(address), ())
        return alike[0] if len(alike) == 1 and alike[0] in self.kinds else None

    def is_quick(self, address: str) -> bool:
        """Whether `reached` and `resolve` answer without a search: all but patterns not met before."""
        return address in self._patterns or not is_pattern(address)

    def reached(self, address: str) -> tuple[Param, ...]:
        """The live parameters that an address or a pattern means."""
        if not is_pattern(address):
            found = self.find(address)
            param = self._registry.by_address(found) if found else None
            return (param,) if param else ()
        if address not in self._patterns:
            if len(self._patterns) >= _MAX_PATTERNS:
                self._patterns.pop(next(iter(self._patterns)))
            # simplified as a whole, the capitals of a class such as [A-C] included: addresses have none
            params = self._registry.match(address) or self._registry.match(simplified(address))
            self._patterns[address] = tuple(p for p in params if p.live)
        return self._patterns[address]

    def resolve(self, address: str, arguments: Sequence[object]) -> Resolved:
        """The values a message sets, and what is to be said about it."""
        params = self.reached(address)
        if not params:
            return Resolved([], [self.unknown(address)])
        resolved, refused = Resolved(), None
        for param in params:
            try:
                resolved.steers.append((param.name, param.from_osc(arguments)))
            except ParamError as error:
                refused = self._refused(address, param, error, arguments)
        if not resolved.steers and refused:  # a pattern may well reach some that cannot take the value
            resolved.mistakes.append(refused)
        elif len(arguments) > 1:
            text = f"uses only the first of {len(arguments)} values"
            resolved.mistakes.append(Mistake(address, "extra", text))
        return resolved

    def unknown(self, address: str) -> Mistake:
        """Why nothing is reached by an address."""
        if is_pattern(address):
            return Mistake(address, UNKNOWN, "reaches no parameter")
        alike = self._alike.get(simplified(address), ())
        if len(alike) > 1:
            return Mistake(address, UNKNOWN, "may mean " + " or ".join(sorted(alike)) + "; send one of these exactly")
        if alike:
            text = "can only be set where the show begins: in its file or with --set"
            return Mistake(address, "start", text)
        if len(words := address.split()) > 1 and self.find(words[0]):
            text = f"has a space in its address; send {words[0]}, and the value as an argument"
            return Mistake(address, UNKNOWN, text)
        return Mistake(address, UNKNOWN, "is not the address of any parameter", lambda: self._hint(address))

    def _hint(self, address: str) -> str:
        near = self._registry.nearest(address)
        return did_you_mean(self._registry[near].address) if near and self._registry[near].live else ""

    @staticmethod
    def _refused(address: str, param: Param, error: ParamError, arguments: Sequence[object]) -> Mistake:
        means = "" if address == param.address or not is_pattern(address) else f"reaches {param.address}, which "
        hint = did_you_mean(error.nearest)
        kind = _kind(arguments[0] if arguments else None)
        return Mistake(address, kind, f"{means}must be {error.allowed}, got {error.given}{hint}")


def _kind(value: object) -> str:
    """Of a value that was refused, so that only what differs is told again: another text does not, a colour does."""
    if isinstance(value, Opaque):
        return value.what
    return type(value).__name__
