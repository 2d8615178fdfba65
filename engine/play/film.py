"""A film: the show in lockstep, frame by frame, headless, encoded while the next keyframe is dreamt.

Usage: `run_film(show, FilmJob(Path("a.mp4"), 30.0, Fraction(30), 1280, 720))`. The calling thread is the GL
thread; the dreamer is a process, the encoder a thread. Memory does not grow with the length.

A picture of a film is a function of its time and of the two keyframes about it: a film has no jumps, and the look
keeps no state. So a film that ended early is gone on with at any frame. One that is frozen from the start hangs on
its first keyframe, and is begun anew.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from engine.control.clock import LockstepClock
from engine.control.controls import Controls
from engine.dreamer.process import DreamerProcess, DreamSpec, Keyframe
from engine.play import stats
from engine.play.provenance import changed, origin
from engine.play.signals import StopRequest
from engine.record.encoder import check as encoder_check
from engine.record.film_file import FilmFile, RecorderError, reason
from engine.record.recorder import Readback, Recorder
from engine.show.config import Show
from engine.stage.blend import Blend
from engine.stage.gl import create_context, finisher, make_target
from engine.stage.look import Look
from engine.stage.shaders import Shaders
from engine.walk import plan
from engine.walk.navigator import TICK_HZ, TICK_S, Waypoint

log = logging.getLogger("pedesis")

PATIENCE = 5  # losses of the dreamer with no picture between them: then the film is given up
AHEAD = 6  # keyframes dreamt before they are needed: enough to keep the dreamer busy, constant memory


class FilmError(Exception):
    """A film that cannot go on; one sentence with the cure, and where what was done lies."""


@dataclass(frozen=True)
class FilmJob:
    """What to render: size in pixels, both even; duration in seconds; frame rate exact."""

    out: Path
    duration_s: float
    fps: Fraction
    width: int
    height: int
    resume: bool | None = None  # go on with what an earlier run left: True insists, None if it is the same film

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


class _Feed:
    """Puts the keyframes on the timeline, as far as the film has come."""

    def __init__(self, dreamer: DreamerProcess, supply: _Supply, blend: Blend, stop: StopRequest) -> None:
        self._dreamer, self._supply, self._blend, self._stop = dreamer, supply, blend, stop
        self._watch = _Watch(dreamer)
        self._newest_s = -1.0

    def until(self, at_s: float) -> None:
        """Waits for a keyframe of that time or later. Raises FilmError, and KeyboardInterrupt if asked to stop."""
        self._take(0.0)
        while self._newest_s < at_s - 1e-9 and not self._stop.asked:
            keyframe = self._supply.next()
            if keyframe is None:
                self._take(0.05)
            else:
                self._blend.upload(keyframe)
                self._newest_s = keyframe.waypoint.time_s
        if self._stop.asked:
            raise KeyboardInterrupt

    def _take(self, timeout_s: float) -> None:
        self._supply.deliver(self._dreamer.poll(timeout_s))
        self._watch()


def run_film(
    show: Show,
    job: FilmJob,
    progress: Callable[[int, int], None] = lambda done, of: None,
    measured: Callable[[dict[str, Any]], None] = lambda report: None,
) -> dict[str, Any]:
    """Renders the film and returns its stats.

    progress is called with frames done and frames in all, first when the film begins or goes on; measured with the
    stats, however the film ends.
    Raises FilmError, and what the rooms raise when they cannot start (ModelError, NoGraphics, RecorderError).
    Asked to stop by SIGINT or SIGTERM it raises KeyboardInterrupt, which says where what was done lies; every frame
    drawn is in it. A film that bears the name already is replaced by a whole one only (see FilmFile).
    """
    size = (job.width, job.height)
    encoder_check(job.out, size, show.film.codec)
    controls, ticks = Controls(show.registry, show.values), 0
    meter = stats.Meter()
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        ctx = create_context(headless=True)
        stack.callback(ctx.release)
        made_of = origin(show, size, job.fps, job.frames, str(ctx.info["GL_RENDERER"]))
        file = stack.enter_context(FilmFile(job.out))  # before the model: a name that is taken is known at once
        first = _first_frame(file, made_of, job.resume)
        clock = LockstepClock(job.fps, first)
        waypoints = plan.keyframes(plan.path(show, job.fps, job.frames), show.film.gap)
        supply = _Supply(plan.since(waypoints, clock.now()))
        dreamer = DreamerProcess(DreamSpec.from_show(show, film=True), supply, lossless=True)
        stack.callback(lambda: measured(stats.report(meter, dreamer.status, None)))
        stack.callback(dreamer.stop)
        dreamer.start()
        shaders = Shaders(ctx, strict=True)  # a film is not made with a stand-in for a shader
        blend = Blend(ctx, shaders, (show.model.width, show.model.height))
        look = Look(ctx, shaders, show.stage.fit)
        target = make_target(ctx, size, "f1")
        finish, readback = finisher(ctx), Readback(ctx, size)
        feed = _Feed(dreamer, supply, blend, stop)
        feed.until(clock.now())
        if not first:
            file.begin_anew()
        recorder = Recorder(
            job.out,
            size,
            job.fps,
            crf=show.film.crf,
            codec=show.film.codec,
            draft=file.draft,
            first=first,
            taken_up=file.take_up(first) if first else None,
            on_kept=lambda frames: None if made_of["stage.freeze"] else file.note(made_of, frames),
        )
        stack.callback(recorder.close)
        with _ended_well(file, recorder, readback):
            while not recorder.ready(0.1):
                if stop.asked:
                    raise KeyboardInterrupt
            progress(clock.frame, job.frames)
            while clock.frame < job.frames:
                at = clock.frame / clock.fps
                while ticks < at * TICK_HZ:
                    controls.tick(TICK_S)
                    ticks += 1
                feed.until(float(at))
                picture = blend.render(float(at), controls, live=False)
                look.render(picture, target.framebuffer, controls, float(at))
                finish()  # with nothing of one frame under way in the next, the film is the same every time
                _write(recorder, readback.push(target.framebuffer))
                meter.frame(time.perf_counter())
                clock.advance()
                progress(clock.frame, job.frames)
        return stats.report(meter, dreamer.status, None)


def _first_frame(file: FilmFile, made_of: dict[str, Any], resume: bool | None) -> int:
    """Where to begin: after the frames that an earlier run left of this very film, if there are any.

    Raises RecorderError when it is insisted on and there are none, or they are another film's.
    """
    begun = file.begun() if resume is not False else None
    if begun is None:
        if resume:
            raise RecorderError(f"cannot go on with {file.path}: no earlier run left anything of it")
        return 0
    if other := changed(begun.made_of, made_of):
        if resume:
            raise RecorderError(f"cannot go on with {file.path}, of which {begun.frames} frames are done: {other}")
        log.warning("%d frames of another film to %s are written over: %s", begun.frames, file.path, other)
        return 0
    log.info("going on with %s after the %d frames that are done", file.path, begun.frames)
    return begun.frames


@contextmanager
def _ended_well(file: FilmFile, recorder: Recorder, readback: Readback) -> Iterator[None]:
    """Ends the film with every frame drawn in it, also when it is stopped or cannot go on; a whole one takes its name.

    Raises FilmError or KeyboardInterrupt, either with where what was done lies.
    """
    early: FilmError | KeyboardInterrupt | None = None
    try:
        yield
    except FilmError as error:
        early = error
    except KeyboardInterrupt:
        early = KeyboardInterrupt("stopped")
    for frame in readback.flush():
        recorder.write(frame)
    recorder.close()
    if recorder.error and not isinstance(early, FilmError):  # also while the last frames of a stopped one went in
        early = FilmError(recorder.error)
    if early is not None:
        raise type(early)(f"{early}; {file.keep(recorder.written)}") from None
    try:
        file.finish(recorder.written)
    except OSError as fault:
        raise FilmError(
            f"the film is whole and lies at {file.draft}, but an older one could not make room: {reason(fault)}"
        ) from None


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
