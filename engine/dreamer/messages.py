"""What the stage and the dreamer's child tell each other: one small frozen dataclass a message.

Both processes; torch-free. The stage sends Dream, TakePalette and Sketch; all else comes from the child.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.dreamer.ring import Shapes
from engine.dreamer.shown import Place
from engine.dreamer.spec import Arithmetic
from engine.walk.palette import Palette
from engine.walk.waypoint import Waypoint


@dataclass(frozen=True)
class Dream:
    """Dream this waypoint into that slot. pictures: where those lie that it is steered by."""

    slot: int
    waypoint: Waypoint
    pictures: tuple[Place, ...] = ()


@dataclass(frozen=True)
class TakePalette:
    """Encode these words while you go on dreaming; waypoints that name them may follow once you say PaletteReady."""

    palette: Palette


@dataclass(frozen=True)
class Sketch:
    """Dream this waypoint small, beside the show; steps: and all that it went through on the way."""

    number: int
    waypoint: Waypoint
    steps: bool = False
    pictures: tuple[Place, ...] = ()


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
    """From this picture on it dreams with a focus curve that was not known before, or with networks that were compiled
    meanwhile; all else is as it was. what: as in Ready, if that is new."""

    arithmetic: Arithmetic
    what: str = ""


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
class Sketched:
    """What a Sketch asked for, (h, w, 3) each: the picture, or what it began as and every guess up to it.

    calls: how often the network was asked; 0 where a model does not show its steps. why: it cannot be dreamt.
    """

    number: int
    pictures: tuple[NDArray[np.uint8], ...]
    calls: int = 0
    why: str = ""


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


ToChild = Dream | TakePalette | Sketch
FromChild = (
    Loading | Ready | Learnt | Want | Done | PaletteReady | PaletteRefused | Sketched | OutOfMemory | Fault | Hopeless
)
