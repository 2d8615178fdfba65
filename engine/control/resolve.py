"""What an OSC message means: an address and arguments become values for parameters.

    resolver = Resolver(registry)
    resolver.resolve("/walk/speed", [0.5])         # Resolved(steers=[("walk.speed", 0.5)], mistakes=[])
    resolver.find("//Walk/Speed/")                 # "/walk/speed"

Beside its own address a parameter answers at three more, with patterns too: /norm/walk/speed takes 0 to 1 over the
whole range, by the parameter's own curve; /toggle/stage/blackout flips a switch at each press; /smooth/walk/speed takes
the seconds in which a number follows, 0 for a hard cut.

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
SMOOTHING = "smoothing."  # before a parameter's name: its time constant is steered, and not its value
MAX_SMOOTHING_S = 600.0
_MAX_PATTERNS = 256
_SHORT = {"/panic": "/show/panic"}  # what is sent in a hurry
_INNER: dict[str, str] = {"call": "text", "trigger": "fire"}  # of other kinds it is the value

Steer = tuple[str, Value]


@dataclass(frozen=True)
class Resolved:
    """What one message asks for, and what is wrong with it: either may be empty, and neither need be."""

    steers: list[Steer] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    presses: list[tuple[str, float]] = field(
        default_factory=list
    )  # switches to be flipped, and how hard it was pressed


class Resolver:
    """See the module's head."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        live = [p for p in registry.values() if p.live]
        self.kinds: Mapping[str, Kind] = {p.address: p.kind for p in live} | {
            f"/{verb}{p.address}": how[p.kind] for verb, how in _VERBS.items() for p in live if _answers(verb, p)
        }
        self._alike: dict[str, list[str]] = {}  # simplified address: those it may mean
        for address in {p.address for p in registry.values()} | self.kinds.keys():
            self._alike.setdefault(simplified(address), []).append(address)
        for short, address in (_SHORT | inner_addresses({p.address: p.kind for p in registry.values()})).items():
            if address in self.kinds:
                self._alike.setdefault(simplified(short), [address])
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
            param = self._registry.by_address(_plain(found)) if found else None
            return (param,) if param else ()
        if address not in self._patterns:
            if len(self._patterns) >= _MAX_PATTERNS:
                self._patterns.pop(next(iter(self._patterns)))
            # simplified as a whole, the capitals of a class such as [A-C] included: addresses have none
            verb, plain = verb_of(address), _plain(address)
            params = self._registry.match(plain) or self._registry.match(simplified(plain))
            self._patterns[address] = tuple(p for p in params if p.live and (not verb or _answers(verb, p)))
        return self._patterns[address]

    def resolve(self, address: str, arguments: Sequence[object]) -> Resolved:
        """The values a message sets, and what is to be said about it."""
        params = self.reached(address)
        if not params:
            return Resolved([], [self.unknown(address)])
        resolved, refused, verb = Resolved(), None, verb_of(address)
        for param in params:
            try:
                if verb == "toggle":
                    resolved.presses.append((param.name, float(_PRESS.from_osc(arguments))))
                elif verb == "smooth":
                    resolved.steers.append((SMOOTHING + param.name, _SECONDS.from_osc(arguments)))
                else:
                    resolved.steers.append((param.name, (_of_share if verb else Param.from_osc)(param, arguments)))
            except ParamError as error:
                refused = self._refused(address, param, error, arguments)
        if (
            not resolved.steers and not resolved.presses and refused
        ):  # a pattern may well reach some that cannot take the value
            resolved.mistakes.append(refused)
        elif len(arguments) > 1 and any(param.kind != "call" for param in params):  # a call takes all of them
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
        meant = self.find(_plain(address))
        if (verb := verb_of(address)) and meant and (param := self._registry.by_address(meant)):
            return Mistake(address, UNKNOWN, f"{_WHY_NOT[verb]}, and {meant} is {param.noun}; send {meant}")
        if len(words := address.split()) > 1 and self.find(words[0]):
            text = f"has a space in its address; send {words[0]}, and the value as an argument"
            return Mistake(address, UNKNOWN, text)
        return Mistake(address, UNKNOWN, "is not the address of any parameter", lambda: self._hint(address))

    def _hint(self, address: str) -> str:
        verb = verb_of(address)
        near = self._registry.nearest(_plain(address))
        param = self._registry[near] if near else None
        if param is None or not param.live:
            return ""
        return did_you_mean(f"/{verb}{param.address}" if verb and _answers(verb, param) else param.address)

    @staticmethod
    def _refused(address: str, param: Param, error: ParamError, arguments: Sequence[object]) -> Mistake:
        means = "" if not is_pattern(address) else f"reaches {param.address}, which "
        hint = did_you_mean(error.nearest)
        kind = _kind(arguments[0] if arguments else None)
        return Mistake(address, kind, f"{means}must be {error.allowed}, got {error.given}{hint}")


# What a parameter also answers to: by its kind, the kind of what is sent there.
_VERBS: dict[str, dict[Kind, Kind]] = {
    "norm": {"number": "number", "integer": "number", "choice": "number", "switch": "switch", "trigger": "trigger"},
    "toggle": {"switch": "trigger"},
    "smooth": {"number": "number"},
}
_WHY_NOT = {
    "norm": "0 to 1 goes for what has a range",
    "toggle": "only a switch can be flipped",
    "smooth": "only a number is smoothed",
}
_SHARE = Param("norm", "number", 0.0, "A share of a fader's travel.", 0, 1)
_SECONDS = Param("smooth", "number", 0.0, "A time constant.", 0, MAX_SMOOTHING_S, "s")
_PRESS = Param("toggle", "trigger", 0.0, "A press.")


def inner_addresses(kinds: Mapping[str, Kind]) -> dict[str, str]:
    """Second addresses of parameters that hold others, such as /material/clouds/value: what they stand for.

    OSCQuery has values at the leaves of its tree only, and /material/clouds holds /material/clouds/prompt.
    """
    holders = {address.rpartition("/")[0] for address in kinds} & kinds.keys()
    found = {f"{address}/{_INNER.get(kinds[address], 'value')}": address for address in holders}
    return {inner: address for inner, address in found.items() if inner not in kinds}


def verb_of(address: str) -> str:
    """norm, toggle or smooth, where an address or a pattern begins with that; "" of a plain one."""
    first = address.strip().lstrip("/").partition("/")[0].lower()
    return first if first in _VERBS else ""


def _plain(address: str) -> str:
    """An address without the verb in front."""
    return "/" + address.strip().lstrip("/").partition("/")[2] if verb_of(address) else address


def _answers(verb: str, param: Param) -> bool:
    if verb == "norm" and param.kind in ("number", "integer") and not param.is_bounded:
        return False  # the whole of it has no ends that a fader could have
    return param.kind in _VERBS[verb]


def _of_share(param: Param, arguments: Sequence[object]) -> Value:
    """A value by its share of the whole range, 0 to 1. Raises ParamError."""
    if param.kind not in ("number", "integer", "choice"):
        return param.from_osc(arguments)
    share = float(_SHARE.from_osc(arguments))
    if param.kind == "choice":
        return param.choices[min(int(share * len(param.choices)), len(param.choices) - 1)]
    return param.at(share) if param.kind == "number" else round(param.at(share))


def _kind(value: object) -> str:
    """Of a value that was refused, so that only what differs is told again: another text does not, a colour does."""
    if isinstance(value, Opaque):
        return value.what
    return type(value).__name__
