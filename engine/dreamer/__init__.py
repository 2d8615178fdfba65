"""The dreamer: the process that turns waypoints into keyframes.

Usage: `dreamer = DreamerProcess(DreamSpec.from_show(show), supply)`; `dreamer.start()`; `dreamer.poll()`.
The names here are torch-free; `engine.dreamer.load.Dreamer` does the work in the child process.
"""

from engine.dreamer.process import DreamerProcess, DreamerStatus
from engine.dreamer.spec import DreamSpec, Keyframe

__all__ = ["DreamSpec", "DreamerProcess", "DreamerStatus", "Keyframe"]
