"""A film: the show in lockstep, frame by frame, headless, encoded while the next keyframe is dreamt.

Usage: `run_film(show, FilmJob(Path("a.mp4"), 30.0, Fraction(30), 1280, 720))`. The calling thread is the GL
thread; the dreamer is a process, the encoder a thread. Memory does not grow with the length.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from engine.blend import Blend
from engine.clock import LockstepClock
from engine.config import Show
from engine.controls import Controls
from engine.dreamer.process import DreamerProcess, DreamSpec, Keyframe
from engine.gl import create_context, make_target
from engine.look import Look
from engine.navigator import TICK_HZ, TICK_S, Waypoint
from engine.recorder import Readback, Recorder
from engine.shaders import Shaders
from engine.show import plan, stats
from engine.show.signals import StopRequest

log = logging.getLogger("pedesis")

PATIENCE = 5  # losses of the dreamer with no picture between them: then the film is given up
AHEAD = 6  # keyframes dreamt before they are needed: enough to keep the dreamer busy, constant memory


class FilmError(Exception):
    """A film that cannot go on; one sentence with the cure."""


@dataclass(frozen=True)
class FilmJob:
    """What to render: size in pixels, both even; duration in seconds; frame rate exact."""

    out: Path
    duration_s: float
    fps: Fraction
    width: int
    height: int

    @property
    def frames(self) -> int:
        return max(1, round(self.duration_s * self.fps))


class _Supply:
    """The planned waypoints in order, as many ahead of the film as AHEAD allows, and the keyframes come of them."""

    def __init__(self, waypoints: Iterator[Waypoint]) -> None:
        self._waypoints = waypoints
        self._ready: deque[Keyframe] = deque()
        self._under_way = 0

    def __call__(self) -> Waypoint | None:
        if self._under_way + len(self._ready) >= AHEAD:
            return None
        waypoint = next(self._waypoints, None)
        self._under_way += waypoint is not None
        return waypoint

    def deliver(self, keyframes: list[Keyframe]) -> None:
        for keyframe in keyframes:
            self._under_way -= 1
            self._ready.append(replace(keyframe, pixels=keyframe.pixels.copy()))

    def next(self) -> Keyframe | None:
        return self._ready.popleft() if self._ready else None


def run_film(show: Show, job: FilmJob, progress: Callable[[int, int], None] = lambda done, of: None) -> dict[str, Any]:
    """Renders the film and returns its stats.

    progress is called with frames done and frames in all. Raises FilmError, and what the rooms raise when
    they cannot start (ModelError, NoGraphics). Asked to stop by SIGINT or SIGTERM it raises KeyboardInterrupt
    and leaves a playable file of what was done.
    """
    supply = _Supply(plan.keyframes(plan.path(show, job.fps, job.frames), show.film.gap))
    controls, ticks = Controls(show.registry, show.values), 0
    meter = stats.Meter()
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        dreamer = DreamerProcess(DreamSpec.from_show(show), supply, lossless=True)
        stack.callback(dreamer.stop)
        dreamer.start()
        ctx = create_context(headless=True)
        stack.callback(ctx.release)
        shaders = Shaders(ctx)
        blend = Blend(ctx, shaders, (show.model.width, show.model.height))
        look = Look(ctx, shaders, show.stage.fit)
        target = make_target(ctx, (job.width, job.height), "f1")
        readback = Readback(ctx, (job.width, job.height))
        recorder = Recorder(job.out, (job.width, job.height), job.fps, crf=show.film.crf, codec=show.film.codec)
        stack.callback(recorder.close)
        newest_s = -1.0
        watch = _Watch(dreamer)
        clock = LockstepClock(job.fps)
        while clock.frame < job.frames:
            at = clock.frame / clock.fps
            while ticks < at * TICK_HZ:
                controls.tick(TICK_S)
                ticks += 1
            while newest_s < float(at) - 1e-9 and not stop.asked:
                newest_s = _next_keyframe(dreamer, supply, blend, newest_s)
                watch()
            if stop.asked:
                raise KeyboardInterrupt
            supply.deliver(dreamer.poll())
            watch()
            picture = blend.render(float(at), controls, live=False)
            look.render(picture, target.framebuffer, controls, float(at))
            ctx.finish()  # with nothing of one frame under way in the next, the film is the same every time
            _write(recorder, readback.push(target.framebuffer))
            meter.frame(time.monotonic())
            clock.advance()
            progress(clock.frame, job.frames)
        for frame in readback.flush():
            _write(recorder, frame)
        recorder.close()
        if recorder.error:
            raise FilmError(recorder.error)
        return stats.report(meter, dreamer.status, None)


def _next_keyframe(dreamer: DreamerProcess, supply: _Supply, blend: Blend, newest_s: float) -> float:
    """Puts the next keyframe on the timeline, waiting a moment for it; returns the newest time there is."""
    keyframe = supply.next()
    if keyframe is None:
        supply.deliver(dreamer.poll(0.05))
        return newest_s
    blend.upload(keyframe)
    return keyframe.waypoint.time_s


class _Watch:
    """Says what becomes of the dreamer; FilmError when it cannot go on, or ends again and again."""

    def __init__(self, dreamer: DreamerProcess) -> None:
        self._dreamer = dreamer
        self._keyframes = self._forgiven = self._said = 0

    def __call__(self) -> None:
        status = self._dreamer.status
        if status.keyframes > self._keyframes:
            self._keyframes, self._forgiven = status.keyframes, status.losses
        if status.state == "failed":
            raise FilmError(f"the dreamer cannot go on: {status.message}")
        if status.losses - self._forgiven >= PATIENCE:
            raise FilmError(f"given up after the dreamer ended {PATIENCE} times in a row: {status.message}")
        if status.losses > self._said:
            self._said = status.losses
            log.warning("%s", status.message)


def _write(recorder: Recorder, frame: Any) -> None:
    if frame is not None:
        recorder.write(frame)
    if recorder.error:
        raise FilmError(recorder.error)
