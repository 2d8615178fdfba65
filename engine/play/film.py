"""A film: the show in lockstep, frame by frame, headless, encoded while the next keyframe is dreamt.

Usage: `run_film(show, FilmJob(Path("a.mp4"), 30.0, Fraction(30), 1280, 720))`. The calling thread is the GL
thread; the dreamer is a process, the encoder a thread. Memory does not grow with the length.

A picture of a film is a function of its time, of the two keyframes around it, and in a transition or a freeze of what
was on stage when that began. So a film that ended early can be resumed at any frame, after those few that its picture
goes back to have been drawn again (see preroll.py).
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import moderngl
import numpy as np

from engine.control.clock import LockstepClock
from engine.control.take import Take
from engine.dreamer.process import DreamerProcess, DreamSpec, Keyframe
from engine.play import stats
from engine.play.conductor import Conductor, play_through
from engine.play.docent import Docent
from engine.play.guide_takes import TakeGuides
from engine.play.guides import FilmGuides
from engine.play.preroll import Preroll
from engine.play.provenance import MACHINE, changes, provenance_of
from engine.play.signals import StopRequest
from engine.play.takes import replay
from engine.play.torn import torn_text
from engine.record.encoder import check as encoder_check
from engine.record.film_file import FilmFile, Unfinished
from engine.record.names import RecorderError, reason
from engine.record.readback import Readback
from engine.record.recorder import Recorder
from engine.show.config import Show
from engine.show.params import Value
from engine.stage.blend import Blend
from engine.stage.docent import Seen
from engine.stage.gl import create_context, finisher, make_target
from engine.stage.lettering import Lettering
from engine.stage.look import Look
from engine.stage.numbers import NumbersView
from engine.stage.shaders import Shaders
from engine.stage.shelves import Shelves
from engine.walk import plan
from engine.walk.afloat import Afloat
from engine.walk.caption import Caption
from engine.walk.mix import TICK_S
from engine.walk.palette import Palette
from engine.walk.waypoint import Waypoint

log = logging.getLogger("pedesis")

PATIENCE = 5  # losses of the dreamer with no picture between them: then the film is given up
AHEAD = 6  # keyframes dreamt before they are needed: enough to keep the dreamer busy, constant memory
QUIET_S = 2.0  # a longer wait is explained


class FilmError(Exception):
    """A film that cannot be continued; one sentence with the cure, and where what was done lies."""


@dataclass(frozen=True)
class FilmJob:
    """What to render: size in pixels, both even; duration in seconds; frame rate exact."""

    out: Path
    duration_s: float
    fps: Fraction
    width: int
    height: int
    resume: bool | None = None  # what an earlier run left: True insists on it, False starts over
    command: str = ""  # what a person typed, for the note beside the film
    take: Take | None = None  # what steers it
    skipped: int = 0  # frames before the first one that is drawn: they are walked through, and count as time
    rest: int = 0  # frames after the last one that there would be, so that it ends as in the film of all of them

    @property
    def frames(self) -> int:
        return max(1, round(self.duration_s * self.fps))


@dataclass(frozen=True)
class Moment:
    """What one frame is drawn with beside its keyframes. time_s: the conductor's own."""

    values: Mapping[str, Value]
    afloat: tuple[Afloat, ...]
    caption: Caption
    time_s: float
    step: str = ""  # of the docent's lesson

    @staticmethod
    def of(conductor: Conductor, time_s: float) -> "Moment":
        return Moment(dict(conductor), conductor.afloat, conductor.caption, time_s, conductor.lesson.step)


class _Script:
    """The conductor, as far ahead of the film as is dreamt ahead: waypoints to dream, values to draw with."""

    def __init__(self, conductor: Conductor, guides: FilmGuides, job: FilmJob, first: int, stop: StopRequest) -> None:
        """first: the frame that the film is drawn first, where the film begins or resumes."""
        self._conductor, self._job, self._first, self._stop = conductor, job, first, stop
        self._guides = guides
        self._start_s = (conductor.navigator.ticks - 1) * TICK_S  # where the film begins, by the conductor's time
        self.preroll = Preroll(first)
        self._moments: deque[Moment] = deque()  # of the frames that are not drawn yet
        self._words: dict[str, Palette] = {}  # all that were ever said

    def waypoints(self) -> Iterator[Waypoint]:
        """The waypoint of every frame, from the beginning on. Raises KeyboardInterrupt when asked to stop."""
        frames = self._job.skipped + self._job.frames + self._job.rest
        for n, waypoint in enumerate(play_through(self._conductor, self._job.fps, frames)):
            self.preroll.note(n, waypoint, self._conductor)
            if n >= self._first:
                self._moments.append(Moment.of(self._conductor, self._start_s + waypoint.time_s))
            elif self._conductor.lesson.step or self._conductor["docent.map"] != "off":
                raise FilmError("a film with the docent cannot be resumed once the docent spoke; --anew starts over")
            elif self._stop.asked:  # an hour takes a minute to walk through
                raise KeyboardInterrupt
            self._words |= {palette.id: palette for palette in self._conductor.words.wanted}
            yield self._guides.known_only(waypoint)

    def palettes(self, waypoint: Waypoint) -> tuple[Palette, ...]:
        """Those that a waypoint names."""
        return tuple(self._words[id] for id in waypoint.palettes if id)

    def prepare(self, waypoint: Waypoint, dreamer: DreamerProcess) -> None:
        """What a waypoint names goes before it."""
        dreamer.set_palettes(self.palettes(waypoint))
        self._guides.show(waypoint, dreamer)

    def words_of(self, waypoint: Waypoint) -> dict[str, Palette]:
        """The same by their ids."""
        return {palette.id: palette for palette in self.palettes(waypoint)}

    def next_moment(self) -> Moment:
        """What the next frame is drawn with. Its waypoint must have been asked for, or there are none yet."""
        return self._moments.popleft()


class _Supply:
    """The planned waypoints in order, as many ahead of the film as AHEAD allows, and the keyframes made of them."""

    def __init__(self, waypoints: Iterator[Waypoint]) -> None:
        self._waypoints = waypoints
        self._ready: deque[Keyframe] = deque()
        self._under_way = 0
        self._first: Waypoint | None = None
        self.on_next: Callable[[Waypoint], None] = lambda waypoint: None  # before each is handed out

    def prepare(self) -> None:
        """Walks up to where the film begins or resumes."""
        self._first = next(self._waypoints, None)

    def __call__(self) -> Waypoint | None:
        if self._under_way + len(self._ready) >= AHEAD:
            return None
        waypoint, self._first = self._first or next(self._waypoints, None), None
        if waypoint is not None:
            self._under_way += 1
            self.on_next(waypoint)
        return waypoint

    def deliver(self, keyframes: list[Keyframe]) -> None:
        for keyframe in keyframes:
            self._under_way -= 1
            numbers = None if keyframe.numbers is None else keyframe.numbers.copy()
            self._ready.append(replace(keyframe, pixels=keyframe.pixels.copy(), numbers=numbers))

    def next(self) -> Keyframe | None:
        return self._ready.popleft() if self._ready else None


class _Feed:
    """Puts the keyframes on the timeline, as far as the film has come.

    arithmetic: what the film's keyframes are made with, of a resumed film its earlier ones too; a film never mixes two.
    None until the first one is there.
    """

    def __init__(
        self,
        dreamer: DreamerProcess,
        supply: _Supply,
        blend: Blend,
        stop: StopRequest,
        arithmetic: Mapping[str, Any] | None = None,
    ) -> None:
        self._dreamer, self._supply, self._blend, self._stop = dreamer, supply, blend, stop
        self.arithmetic = None if arithmetic is None else dict(arithmetic)
        self._watch = _Watch(dreamer)
        self._newest_s = -1.0
        self.on_keyframe: Callable[[Keyframe], None] = lambda keyframe: None

    def sketch(self, docent: Docent, step: str) -> None:
        """Waits for the pictures of the docent's page that are dreamt beside the film."""
        docent.step(self._dreamer, None, step)
        while docent.is_waiting and not self._stop.asked:
            self._take(0.05)
            docent.step(self._dreamer, None, step)
        if self._stop.asked:
            raise KeyboardInterrupt

    def until(self, at_s: float) -> None:
        """Waits for a keyframe of that time or later. Raises FilmError, and KeyboardInterrupt if asked to stop."""
        self._take(0.0)
        while self._newest_s < at_s - 1e-9 and not self._stop.asked:
            keyframe = self._supply.next()
            if keyframe is None:
                self._take(0.05)
            else:
                self._blend.upload(keyframe)
                self.on_keyframe(keyframe)
                self._newest_s = keyframe.waypoint.time_s
        if self._stop.asked:
            raise KeyboardInterrupt

    def _take(self, timeout_s: float) -> None:
        keyframes = self._dreamer.poll(timeout_s)
        self._watch()
        self._check_arithmetic(bool(keyframes))
        self._supply.deliver(keyframes)

    def _check_arithmetic(self, is_used: bool) -> None:
        """Raises FilmError when it is not what the film was made with so far."""
        known = self._dreamer.status.arithmetic
        if known is None:
            return
        now = asdict(known)
        if self.arithmetic is None:
            self.arithmetic = now if is_used else None
            return
        self.arithmetic["focus"] = self.arithmetic.get("focus") or now["focus"]  # the first that is needed stays
        if changed := changes(self.arithmetic, now | {"focus": now["focus"] or self.arithmetic["focus"]}):
            said = f"the dreamer now computes differently, and one film never mixes two ways: {changed}"
            if self._newest_s < 0:  # nothing of a resumed film is drawn yet, nor touched
                said += "; what is done stays as it is, and --anew starts over"
            raise FilmError(said)


class _Screen:
    """Draws the film's pictures and hands them out. GL thread only."""

    def __init__(self, ctx: moderngl.Context, show: Show, size: tuple[int, int]) -> None:
        shaders = Shaders(ctx, strict=True)  # a film is not made with a stand-in for a shader
        self.blend = Blend(ctx, shaders, (show.model.width, show.model.height))
        self.readback = Readback(ctx, size)
        self._numbers = NumbersView(ctx, shaders)
        self._look = Look(ctx, shaders, show.stage.fit)
        self._shelves = Shelves(ctx, shaders, show.stage.fit)
        self.docent = Docent(ctx, shaders, show, wait=True)
        self._lettering = Lettering(ctx, shaders, show.stage.fit, at_once=True)
        self._seed = int(show.values["walk.seed"])
        self._target = make_target(ctx, size, "f1")
        self._finish = finisher(ctx)

    def go_through(self, preroll: Preroll, until: Callable[[float], None]) -> None:
        """Draws what a resumed film's next picture goes back to. until: waits for the keyframes of a time."""
        for frame in preroll.frames:
            until(frame.time_s)
            self.blend.render(frame.time_s, frame.values, live=False)
            self._finish()
        for frame in preroll.fades:
            self._look.fade(bool(frame.values["stage.blackout"]), frame.time_s)

    def draw(self, at_s: float, moment: Moment) -> np.ndarray | None:
        """Draws the picture at that time; returns the one of two calls ago, or None while there is none."""
        values = moment.values
        picture = self.blend.render(at_s, values, live=False)
        self.docent.seen = Seen(picture, self.blend.numbers)
        picture = self._numbers.render(picture, self.blend.numbers, values, at_s)
        if moment.step:  # a film reads no bank; the docent shows shelves with what the film has dreamt
            self.docent.fill(self._shelves)
            picture = self._shelves.render(picture, at_s, values, self._target.size)
        self._look.render(picture, self._target.framebuffer, values, at_s)
        self._lettering.set(moment.afloat, self._seed, moment.caption)
        self._lettering.render(self._target.framebuffer, picture, values, moment.time_s, self._look.light)
        self.docent.draw(self._target.framebuffer, values, at_s, moment.step)
        self._finish()  # with nothing of one frame under way in the next, the film is the same every time
        return self.readback.push(self._target.framebuffer)


def run_film(
    show: Show,
    job: FilmJob,
    progress: Callable[[int, int], None] = lambda done, of: None,
    measured: Callable[[dict[str, Any]], None] = lambda report: None,
) -> dict[str, Any]:
    """Renders the film and returns its stats.

    progress is called with frames done and frames in all, first when the film starts or resumes; measured with the
    stats, however the film ends.
    Raises FilmError, and what the rooms raise when they cannot start (ModelError, NoGraphics, RecorderError).
    Asked to stop by SIGINT or SIGTERM it raises KeyboardInterrupt, which says where what was done lies; every frame
    drawn is in it. Asked twice it leaves the encoder where it is. An older film of the name is only replaced by a whole
    one (see FilmFile).
    """
    size = (job.width, job.height)
    encoder_check(job.out, size, show.film.codec)
    if show.values["memory.approved"] and not job.take:  # which has what was shown
        raise FilmError("memory.approved must be false in a film, which reads no memory bank")
    meter = stats.Meter()
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest(last_resort=True))
        ctx = create_context(headless=True)
        stack.callback(ctx.release)
        torn = torn_text(show)
        known = provenance_of(show, size, job.fps, job.frames, str(ctx.info["GL_RENDERER"])) | _of_job(job)
        if torn is not None:
            known["the torn text"] = torn.digest
        guides = TakeGuides(show, job.take) if job.take else FilmGuides(show)
        stack.callback(guides.close)
        known |= guides.provenance
        about = {"show": show.name, "title": show.title, "command": job.command}
        file = stack.enter_context(FilmFile(job.out, known, about))  # before the model: refused at once
        unfinished = _unfinished(file, job)
        first = unfinished.frames if unfinished else 0
        clock = LockstepClock(job.fps, job.skipped + first)
        if job.take:
            conductor = replay(show, job.take, torn)
        else:
            conductor = Conductor(show, words_at_once=True, torn=torn, guides=guides)
        script = _Script(conductor, guides, job, clock.frame, stop)
        supply = _Supply(script.preroll.keyframes(plan.keyframes(script.waypoints(), show.film.gap)))
        spec = DreamSpec.from_show(show, film=True)
        if unfinished and unfinished.arithmetic:
            same = unfinished.arithmetic
            spec = replace(spec, focus=same.get("focus", ""), decode=same.get("decode", ""))
        dreamer = DreamerProcess(spec, supply, lossless=True)
        supply.on_next = lambda waypoint: script.prepare(waypoint, dreamer)
        stack.callback(lambda: measured(stats.report(meter, dreamer.status, None)))
        stack.callback(dreamer.stop)
        dreamer.start()
        supply.prepare()
        screen = _Screen(ctx, show, size)
        feed = _Feed(dreamer, supply, screen.blend, stop, unfinished.arithmetic if unfinished else None)
        feed.on_keyframe = lambda k: screen.docent.follow(k, script.words_of(k.waypoint), k.waypoint.time_s)
        screen.go_through(script.preroll, feed.until)
        feed.until(clock.now())
        file.arithmetic = feed.arithmetic
        recorder = _recorder(show, job, file, first)
        with _ended_well(file, recorder, screen.readback, stop):
            opening = f"copying the {first} frames that are done" if first else f"waiting for {job.out} to open"
            _wait(recorder.ready, stop, opening)
            progress(first, job.frames)
            while clock.frame < job.skipped + job.frames:
                at = clock.frame / clock.fps
                feed.until(float(at))
                moment = script.next_moment()
                feed.sketch(screen.docent, moment.step)
                _write(recorder, screen.draw(float(at), moment), stop)
                if recorder.error:
                    raise FilmError(recorder.error)
                meter.frame(time.perf_counter())
                clock.advance()
                progress(clock.frame - job.skipped, job.frames)
        return stats.report(meter, dreamer.status, None)


def _of_job(job: FilmJob) -> dict[str, Any]:
    """What the film's bytes depend on besides the show."""
    known = {"the take": job.take.digest} if job.take else {}
    if job.skipped:
        known["--from"] = f"frame {job.skipped}"
    if job.rest:
        known["--to"] = f"{job.rest} frames before the end"
    return known


def _recorder(show: Show, job: FilmJob, file: FilmFile, first: int) -> Recorder:
    """Raises RecorderError."""
    resume_from = file.resume(first) if first else None
    if not first:
        file.start_over()
    return Recorder(
        job.out,
        (job.width, job.height),
        job.fps,
        crf=show.film.crf,
        codec=show.film.codec,
        draft=file.draft,
        first=first,
        resume_from=resume_from,
        on_saved=file.save,
    )


def _unfinished(file: FilmFile, job: FilmJob) -> Unfinished | None:
    """What an earlier run left of this very film, if it is to be resumed; other films' drafts are mentioned.

    Raises RecorderError when resuming is insisted on and there is nothing, or starting over would cost another film.
    """
    found, others, blocked = file.unfinished(), file.others(), file.in_the_way()
    if found is not None and found.frames >= job.frames:  # numbered pictures, all there: the same bytes again
        found = None
    if job.resume and found is None:
        raise RecorderError(_nothing_to_resume(file, others))
    if blocked and job.resume is not False:
        raise RecorderError(f"{blocked}: give this film another name, or say --anew to write over it")
    for other in others:
        log.info("%s", _left_by(other, file.provenance))
    if job.resume is False or found is None:
        return None
    log.info("resuming %s after the %d frames that are done", file.path, found.frames)
    return found


def _nothing_to_resume(file: FilmFile, others: list[Unfinished]) -> str:
    said = f"cannot resume {file.path}: no earlier run left anything of it"
    for other in others:
        if other.provenance is not None:
            said = (
                f"cannot resume {file.path} with these settings: {other.draft}, of which {other.frames} frames are "
                f"done, was made with others: {changes(other.provenance, file.provenance)}"
            )
    return said


def _left_by(other: Unfinished, known: Mapping[str, Any]) -> str:
    """What another film left, and what to do about it."""
    if other.provenance is None or not other.frames:
        return f"{other.draft} was left by another film and cannot be resumed; delete it when you no longer want it"
    said = f"{other.draft} holds {other.frames} frames of another film ({changes(other.provenance, known)}); "
    if machine := changes(other.provenance, known, MACHINE):
        return f"{said}it cannot be resumed here, for {machine} changed; delete it when you no longer want it"
    return f"{said}resume it with `{other.command}`, or delete it when you no longer want it"


def _wait(done: Callable[[float], bool], stop: StopRequest, what: str, times: int = 1) -> None:
    """Waits until done(timeout_s) says so, and says what for when it takes long.

    Raises KeyboardInterrupt when asked to stop so many times.
    """
    since, said = time.monotonic(), ""
    while not done(0.1):
        if stop.count >= times:
            raise KeyboardInterrupt
        saying = f"{what}; Ctrl-C once more ends at once" if stop.asked else what
        if saying != said and time.monotonic() - since > QUIET_S:
            said = saying
            log.info("%s", saying)


def _write(recorder: Recorder, frame: np.ndarray | None, stop: StopRequest) -> None:
    """Hands over a frame when there is room for it. Raises KeyboardInterrupt when asked to stop twice."""
    if frame is not None:
        _wait(recorder.has_room, stop, "waiting for the encoder or the disk", times=2)
        recorder.write(frame)


@contextmanager
def _ended_well(file: FilmFile, recorder: Recorder, readback: Readback, stop: StopRequest) -> Iterator[None]:
    """Ends the film with every frame drawn in it, also when it is stopped or fails; a whole one takes its name.

    Raises FilmError or KeyboardInterrupt, either with where what was done lies.
    """
    early: FilmError | KeyboardInterrupt | None = None
    try:
        yield
    except FilmError as error:
        early = error
    except KeyboardInterrupt:
        early = KeyboardInterrupt("stopped")
    except BaseException:
        recorder.close(QUIET_S)
        raise
    try:
        for frame in readback.flush():
            _write(recorder, frame, stop)
        _wait(recorder.finish, stop, f"finishing {file.draft}", times=2)
    except KeyboardInterrupt:
        early = KeyboardInterrupt("stopped at once, without the last frames")
    if recorder.error and not isinstance(early, FilmError):  # also while the last frames of a stopped one went in
        early = FilmError(recorder.error)
    if early is not None:
        raise type(early)(f"{early}; {file.keep(recorder.written)}") from None
    try:
        file.finish(recorder.written)
    except OSError as fault:
        raise FilmError(
            f"the film is whole and lies at {file.draft}, but could not take its name: {reason(fault)}"
        ) from None


class _Watch:
    """Says what becomes of the dreamer; FilmError when it has failed for good, or ends again and again."""

    def __init__(self, dreamer: DreamerProcess) -> None:
        self._dreamer = dreamer
        self._keyframes = self._forgiven = self._said = 0

    def __call__(self) -> None:
        status = self._dreamer.status
        if status.keyframes > self._keyframes:
            self._keyframes, self._forgiven = status.keyframes, status.losses
        if status.state == "failed":
            raise FilmError(f"the dreamer has failed: {status.message}")
        if status.refused:
            raise FilmError(f"words of this film cannot be encoded: {next(iter(status.refused.values()))}")
        if status.losses - self._forgiven >= PATIENCE:
            raise FilmError(f"given up after the dreamer ended {PATIENCE} times in a row: {status.message}")
        if status.losses > self._said:
            self._said = status.losses
            log.warning("%s", status.message)
