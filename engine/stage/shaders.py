"""Compiles the GLSL that Pedesis draws with, and compiles it again when it is edited.

Usage: `shaders = Shaders(ctx); shaders.native("screen.frag").render(...)`; `shaders.reload(now_s)` once a frame.
Stage process, GL thread only.

A transition follows the calling convention of gl-transitions: one file that defines
`vec4 transition(vec2 uv)` and may call `getFromColor(uv)`, `getToColor(uv)`, `progress` and `ratio`;
uv (0, 0) is the lower left. Its own parameters are uniforms, with the default in a comment:
`uniform float softness; // = 0.3`.

Whatever happens to a file while a show runs, the last good version plays until it is repaired. A file that has
never compiled is stood in for by something plainer (spare.py).
"""

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import moderngl

from engine.show.paths import shaders_dir
from engine.stage.gl import Pass, ShaderError, Source, Uniform
from engine.stage.glsl import Disk, Reading, assemble, defaults
from engine.stage.spare import NATIVES, OWN_VERTICES, spare
from engine.stage.transitions import FALLBACK_TRANSITION, list_transitions

log = logging.getLogger(__name__)

RELOAD_EVERY_S = 1.0


@dataclass
class _Loaded:
    """A shader in use, and the state of the disk when it was last tried."""

    key: str  # the file, from the shaders folder
    transition: bool
    program: Pass
    source: Source | None  # what plays; None: the stand-in
    defaults: dict[str, Uniform]
    readings: dict[Path, Reading]
    error: ShaderError | None = None  # what is wrong with the file now


class _Reader:
    """Reads files and remembers what was read, also of those that could not be."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.readings: dict[Path, Reading] = {}

    def __call__(self, file: Path) -> Reading:
        # Once for one compilation, or two halves of it could be of different edits.
        if file not in self.readings:
            self.readings[file] = self._disk.reading(file)
        return self.readings[file]


class Shaders:
    """Every compiled shader of one context, compiled again when a file changes."""

    def __init__(self, ctx: moderngl.Context, root: Path | None = None, strict: bool = False) -> None:
        """strict: a shader that does not compile raises ShaderError when it is asked for, as a film wants it; else
        something plainer plays until it is repaired."""
        self._ctx = ctx
        self._strict = strict
        self._disk = Disk()
        self._loaded: dict[str, _Loaded] = {}
        self._checked_s = float("-inf")
        self.root = root or shaders_dir()

    @property
    def errors(self) -> list[ShaderError]:
        """What is wrong in the shaders folder at present."""
        return [loaded.error for loaded in self._loaded.values() if loaded.error]

    def native(self, name: str) -> Pass:
        """A pass of our own, e.g. "screen.frag"; some come with a vertex shader of their own (spare.OWN_VERTICES)."""
        return self._get(name, transition=False).program

    def transition(self, name: str) -> tuple[Pass, dict[str, Uniform]]:
        """A transition and the defaults of its parameters; an unknown one plays as a dissolve."""
        key = f"transitions/{name}.glsl"
        if key not in self._loaded and name not in list_transitions(self.root):
            key = f"transitions/{FALLBACK_TRANSITION}.glsl"
        loaded = self._get(key, transition=True)
        return loaded.program, loaded.defaults

    def _get(self, key: str, transition: bool) -> _Loaded:
        if key not in self._loaded:
            self._loaded[key] = self._load(key, transition)
        return self._loaded[key]

    def _load(self, key: str, transition: bool) -> _Loaded:
        reader = _Reader(self._disk)
        on_misfit = partial(self._unfit, key)
        try:
            source = assemble(self.root / key, self.root, transition, reader, key in OWN_VERTICES)
            stated = defaults(source) if transition else {}
            program = Pass(self._ctx, source, stated, on_misfit)
        except ShaderError as error:
            if self._strict or not (transition or key in NATIVES):
                raise
            log.warning("%s; %s", error, _until_repaired(transition))
            program = Pass(self._ctx, spare(key), None, on_misfit)
            return _Loaded(key, transition, program, None, {}, reader.readings, error)
        return _Loaded(key, transition, program, source, stated, reader.readings)

    def _unfit(self, key: str, error: ShaderError) -> None:
        """A shader that compiled does not take what it is told: the stand-in does."""
        if self._strict:
            raise error
        loaded = self._loaded[key]
        log.warning("%s; %s", error, _until_repaired(loaded.transition))
        loaded.program.rebuild(spare(key))
        loaded.source, loaded.error = None, error

    def reload(self, now_s: float) -> list[ShaderError]:
        """Compile again what has changed on disk, at most once a second; logs and returns what does not compile."""
        if now_s - self._checked_s < RELOAD_EVERY_S:
            return []
        self._checked_s = now_s
        changed = [
            loaded
            for loaded in self._loaded.values()
            if any(self._disk.reading(file) != before for file, before in loaded.readings.items())
        ]
        tried = [self._recompile(loaded) for loaded in changed]
        return [error for error in tried if error]

    def _recompile(self, loaded: _Loaded) -> ShaderError | None:
        reader = _Reader(self._disk)
        loaded.readings = reader.readings
        try:
            source = assemble(self.root / loaded.key, self.root, loaded.transition, reader, loaded.key in OWN_VERTICES)
            stated = defaults(source) if loaded.transition else {}
            if source != loaded.source:
                loaded.program.rebuild(source, stated)
        except ShaderError as error:
            loaded.error = error
            plays = "the last good one stays" if loaded.source else _until_repaired(loaded.transition)
            log.warning("%s; %s", error, plays)
            return error
        log.info("shader %s: %s", loaded.key, "repaired" if loaded.error else "reloaded")
        loaded.source, loaded.defaults, loaded.error = source, stated, None
        return None


def _until_repaired(transition: bool) -> str:
    return "it plays as a dissolve until it is repaired" if transition else "a plain one plays until it is repaired"
