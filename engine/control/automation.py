"""What a show does by itself, tick by tick: its tempo, its score, its cues and presets, its LFOs.

    automation = Automation(show.registry, show.things, show.values)
    automation.tick(controls)                # inside Conductor.tick, after the controls' own and before the walk's

One fixed order: the tempo counts; the score and then the cue list say what happens; presets begin their ways; LFOs
swing on top. All of it depends on the parameters and the count of ticks only. The thread that runs the show's loop.
"""

from collections.abc import Mapping
from typing import Any

from engine.control.controls import Controls
from engine.control.cues import CueList
from engine.control.lfo import Lfos
from engine.control.presets import Presets
from engine.control.score import ScorePlayer
from engine.control.tempo import Tempo
from engine.show.params import Registry, Value
from engine.show.part import Things


class Automation:
    """See the module's head."""

    def __init__(self, registry: Registry, things: Things, own: Mapping[str, Value]) -> None:
        """own: the show's own values."""
        self.tempo = Tempo()
        self.presets = Presets(registry, things.get("preset", {}))
        self.cues = CueList(things.get("cue", ()), self.presets, own)
        self.score = ScorePlayer(things.get("score"), self.presets)
        self.lfos = Lfos(things.get("lfo", ()), registry)

    def tick(self, controls: Controls, time_s: float = 0.0) -> None:
        """One tick. time_s: of the show; nothing here needs it, as everything counts its own ticks."""
        self.lfos.watch(controls)
        self.tempo.tick(controls)
        self.score.tick(controls, self.tempo)
        self.cues.tick(controls, self.tempo.beat_s)
        self.presets.tick(controls)
        self.lfos.tick(controls, self.tempo.beats)

    def panic(self) -> None:
        """Stops all that is under way: the score, what would follow, what would still change. Cues begin anew."""
        self.score.stop()
        self.cues.rewind()
        self.presets.cancel()

    def to_dict(self) -> dict[str, Any]:
        """All of the state, JSON-able."""
        return {name: getattr(self, name).to_dict() for name in ("tempo", "presets", "cues", "score", "lfos")}

    def restore(self, data: Mapping[str, Any]) -> None:
        """Takes up where `to_dict` left it. Raises KeyError, TypeError or ValueError on damaged data."""
        for name in ("tempo", "presets", "cues", "score", "lfos"):
            getattr(self, name).restore(data[name])
