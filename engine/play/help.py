"""What the overlay says when H is pressed: keys, rates, what arrives, and where the parameters are.

    overlay.set_lines(help_lines(player))

Of the parameters those that a hand reaches for, and any other that is not where the show has it: all of them together
would be too small to read. The stage's GL thread, twice a second while it is seen.
"""

from typing import TYPE_CHECKING

from engine.control.osc import OscIn
from engine.play.conductor import Conductor
from engine.show.config import Show
from engine.show.params import Param, Value

if TYPE_CHECKING:
    from engine.play.live import Player

KEYS = (
    "PEDESIS   F full-screen   SPACE pause   B blackout   R reset   S still   M keep in memory   H help   ESC",
    "V shelves   C caption   K map   ARROWS lesson   L learn a control   P panel",
)
AT_HAND = ("walk.", "material.", "pulp.", "blend.", "look.", "lora.", "guide.")
WORDS = 32  # letters of a text that are shown


def help_lines(player: "Player") -> list[str]:
    """Keys, rates and parameters; the first line is the heading."""
    status, meter = player.dreamer.status, player.meter
    recent = list(status.intervals_s)[-20:]
    rate = len(recent) / sum(recent) if recent and sum(recent) > 0 else 0.0
    automation = player.conductor.automation
    return [
        *KEYS,
        f"stage {meter.fps:5.1f} fps   dreamer {rate:5.2f} pictures/s ({status.state})   restarts {status.restarts}",
        player.playing.remember.line(),
        *([f"guide {player.playing.guides.status}"] if player.playing.guides.status else []),
        *([player.capture.status] if player.capture.status else []),
        *_osc_lines(player.osc),
        *([f"panel {player.panel.address['address']}"] if player.panel.address else []),
        *(said for said in (automation.cues.status, automation.score.status) if said),
        *([f"mapping: {player.playing.inputs.mistake}"] if player.playing.inputs.mistake else []),
        "",
        *_parameters(player.show, player.conductor),
    ]


def _parameters(show: Show, conductor: Conductor) -> list[str]:
    live = [param for param in show.registry.values() if param.live and not param.fires]
    named = [p for p in live if _is_at_hand(p) or conductor.controls.target(p.name) != show.values[p.name]]
    lines = [f"{p.address}  {_shown(conductor[p.name])} {p.unit}" for p in named]
    if more := len(live) - len(named):
        lines.append(f"and {more} more, as the show has them: P, or pedesis params")
    return lines


def _is_at_hand(param: Param) -> bool:
    return param.name.startswith(AT_HAND) and param.kind != "text"


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    return text if len(text) <= WORDS else text[: WORDS - 1] + "…"


def _osc_lines(osc: OscIn | None) -> list[str]:
    """What arrives over OSC: full-screen hides the log."""
    if osc is None:
        return ["OSC off"]
    first, *more = osc.status.lines()
    return [f"OSC port {osc.port}   {first}", *more]
