"""What the stage and the dreamer's child tell each other: one small frozen dataclass a message.

Both processes; torch-free. The stage sends Dream and TakePalette; all else comes from the child.
"""

from dataclasses import dataclass

from engine.dreamer.ring import Shapes
from engine.dreamer.spec import Arithmetic
from engine.walk.palette import Palette
from engine.walk.waypoint import Waypoint


@dataclass(frozen=True)
class Dream:
    """Dream this waypoint into that slot."""

    slot: int
    waypoint: Waypoint


@dataclass(frozen=True)
class TakePalette:
    """Encode these words while you go on dreaming; waypoints that name them may follow once you say PaletteReady."""

    palette: Palette


@dataclass(frozen=True)
class Loading:
    """On the way to being ready: what is being done."""

    what: str


@dataclass(frozen=True)
class Ready:
    """The model is loaded: what dreams, in words, and the arithmetic it does that in."""

    what: str
    arithmetic: Arithmetic


@dataclass(frozen=True)
class Want:
    """A picture is about to be decoded: the next waypoint is wanted. By a clock that all processes share."""

    time_s: float


@dataclass(frozen=True)
class Learnt:
    """From this picture on it dreams with a focus curve that was not known before; all else is as it was."""

    arithmetic: Arithmetic


@dataclass(frozen=True)
class Done:
    """A picture lies in its slot. memory_mb: resident now, and at the highest. numbers: shapes of the noise and the
    latent that lie there too (see ring.py); None for what is not there."""

    slot: int
    time_s: float
    dreamt_s: float
    memory_mb: tuple[float, float]
    numbers: Shapes = (None, None)


@dataclass(frozen=True)
class PaletteReady:
    """The words of this palette are encoded."""

    id: str


@dataclass(frozen=True)
class PaletteRefused:
    """The words of this palette cannot be encoded, and why."""

    id: str
    why: str


@dataclass(frozen=True)
class OutOfMemory:
    """Ending, for want of memory."""

    why: str


@dataclass(frozen=True)
class Fault:
    """Ending of something unforeseen, or of something that `may_pass`: a driver not loaded yet, a disk away."""

    why: str
    may_pass: bool = False


@dataclass(frozen=True)
class Hopeless:
    """Ending of something that no other start would cure: one sentence with the cure."""

    why: str


ToChild = Dream | TakePalette
FromChild = Loading | Ready | Learnt | Want | Done | PaletteReady | PaletteRefused | OutOfMemory | Fault | Hopeless
