"""The show, live: one loop that drains OSC, steps the walk, blends, shows; the dreamer follows at its own pace.

Usage: `run_live(show, LiveOptions(headless=True, duration_s=60))`. The calling thread is the stage's GL
thread and never waits for anything but the display.
"""

import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import moderngl

from engine.control.clock import Clock, RealClock
from engine.control.link import LinkClock
from engine.control.map_watch import MapWatch
from engine.control.mapping import Mapper
from engine.control.osc import OscIn
from engine.control.sense import open_senses, pass_on
from engine.control.source import Source
from engine.control.tempo import MidiClock
from engine.dreamer.models import ModelError
from engine.dreamer.process import DreamerProcess, DreamSpec
from engine.play import stats
from engine.play.conductor import PRESETS, Conductor
from engine.play.remember import Remember
from engine.play.signals import StopRequest
from engine.play.state import Memory
from engine.play.stills import StillOutput, Stills
from engine.play.stored import StoredPresets
from engine.show.config import Show
from engine.show.files import ENDING_S
from engine.stage.blend import Blend
from engine.stage.gl import is_software
from engine.stage.look import Look
from engine.stage.numbers import NumbersView
from engine.stage.overlay import Overlay
from engine.stage.program import Output, Program
from engine.stage.shaders import Shaders
from engine.stage.shelves import Shelves
from engine.stage.warm import COLD_S, Warmer
from engine.stage.window import NoDisplay, Pacer, Stage, open_stage
from engine.walk.mix import TICK_S
from engine.walk.waypoint import Waypoint, same_place

if TYPE_CHECKING:
    from engine.record.recording import Recording

log = logging.getLogger("pedesis")

LONGEST_STEP_S = 0.25  # a longer frame (a machine suspended, or far too slow) moves the walk no further than this
# Where the processor draws, the waiting picture takes from the model what that needs to load. At 42 frames a second the
# first dream was there after 7.4 s on two cores, at this after 6.2; the waiting picture is slow enough for it.
WAITING_HZ = 30.0
OVERLAY_HZ = 2.0
SAVE_EVERY_S = 10.0


@dataclass(frozen=True)
class LiveOptions:
    """How to play a show; None leaves it to the show."""

    headless: bool = False
    windowed: bool = False
    display: int | None = None
    size: tuple[int, int] | None = None
    duration_s: float | None = None
    record: Path | None = None
    stills: Path = Path("out")


class Player:
    """Everything a running show holds, stepped once a frame."""

    def __init__(self, show: Show, options: LiveOptions, clock: Clock, stack: ExitStack) -> None:
        self.show, self.options, self.clock, self._stack = show, options, clock, stack
        self.meter = stats.Meter()
        self.mapper = Mapper(show.registry, show.things["map"], show.values)
        self.map_watch = MapWatch(show.path, show.registry, self.mapper.use)
        self.map_watch.start()
        stack.callback(self.map_watch.close)
        self.osc = _open_osc(show, self.mapper, stack)
        self.senses = open_senses(show.values, [entry.source for entry in self.mapper.table.entries])
        for sense in self.senses:
            stack.callback(sense.close)
        self.midi_clock = MidiClock()
        sources: list[Source] = [self.osc] if self.osc else []
        sources += [self.mapper, self.midi_clock, *_open_link(show, stack)]
        self.conductor = Conductor(show, sources, automata=[self.mapper])
        self.memory = Memory(show) if show.stage.resume else None
        self.stored = StoredPresets(show)
        stack.callback(self.stored.close)
        self.conductor.steer(PRESETS, self.stored.load())
        self.remember = Remember(show, self.conductor)
        stack.callback(self.remember.close, ENDING_S)
        self.stage: Stage = open_stage(
            show.stage,
            headless=options.headless,
            windowed=options.windowed,
            display=options.display,
            size=options.size,
        )
        if not options.headless:
            log.info("screen saver: %s", self.stage.screen_saver)
        crowded = is_software(self.stage.ctx)
        spec = DreamSpec.from_show(show, crowded=crowded)
        self.dreamer = DreamerProcess(spec, self._waypoint)
        stack.callback(self.dreamer.stop)
        stack.callback(self.stage.close)  # the window goes first: ending the dreamer can take a second
        self.shaders = Shaders(self.stage.ctx)
        self.blend = Blend(self.stage.ctx, self.shaders, (show.model.width, show.model.height))
        self.numbers = NumbersView(self.stage.ctx, self.shaders)
        self.shelves = Shelves(self.stage.ctx, self.shaders, show.stage.fit)
        self.look = Look(self.stage.ctx, self.shaders, show.stage.fit)
        self.overlay = Overlay(self.stage.ctx, self.shaders)
        size = show.program.width or self.stage.size[0], show.program.height or self.stage.size[1]
        self.program = Program(self.stage.ctx, self.shaders, self.look, size, show.stage.fit)
        palettes_of = self.conductor.words.palettes_of
        self.still = StillOutput(Stills(options.stills), lambda: self.blend.showing, show, palettes_of)
        self.outputs: list[Output] = [self.still]
        stack.callback(self.still.close)
        self.recording: Recording | None = None
        if options.record:
            self.recording = _open_recording(self.stage.ctx, self.program.size, options.record, show, stack)
            self.outputs.append(self.recording)
        self.quit = False
        self._waiting = Pacer(WAITING_HZ) if crowded else None
        self._asked_s = -1.0  # time of the waypoint that the dreamer was last given
        self._newest: Waypoint | None = None  # of the newest keyframe
        self._told = ("starting", 0)  # the dreamer's state and losses that were last logged
        self._told_of_first = False
        self._skipped_s = 0.0  # real time the walk did not go through
        self._overlay_at = self._saved_at = 0.0

    def recall(self) -> None:
        """Goes on from where the show last ended, if it is one that remembers."""
        if self.memory and self.memory.recall(self.conductor.navigator, self.conductor.controls):
            self._skipped_s = self.clock.now() - self.conductor.time_s

    def _waypoint(self) -> Waypoint | None:
        """Where the walk is, once a tick; None while the dreamer may rest, as nobody would see anything new."""
        if self.conductor.time_s == self._asked_s:
            return None
        here, newest = self.conductor.waypoint(), self._newest
        if self.conductor.visits.locked and self.conductor.visits.at is None:
            return None
        if newest is not None and same_place(here, newest):
            self.blend.hold(here.time_s)
            return None
        if newest is not None and (self.look.is_black or self.blend.is_frozen):
            return None
        self._asked_s = here.time_s
        return here

    def step(self) -> None:
        """One frame: steer, walk, blend, show."""
        for key in self.stage.poll():
            self._key(key)
        pass_on(self.senses, self.mapper.hear, self.midi_clock if self.conductor["tempo.midi"] else None)
        self.conductor.listen()
        now_s = self._walk()
        self.remember.step()
        self.dreamer.set_palettes(self.conductor.words.wanted)
        for keyframe in self.dreamer.poll():
            self.blend.upload(keyframe)
            self._newest = keyframe.waypoint
            self.remember.take_in(keyframe)
        status = self.dreamer.status
        self.conductor.answer(status.palettes, status.refused)
        self._tell_of_dreamer()
        framebuffer = self._draw(now_s)
        for output in self.outputs:
            output.push(framebuffer, self.clock.now())  # in real time, also where the walk left some of it out
        self._show_overlay(now_s)
        self.stage.present()
        if self._waiting and not self.dreamer.status.keyframes:
            self._waiting.wait()
        self.shaders.reload(now_s)
        if self.meter.frames == 0:
            self.dreamer.start()  # after the first picture: the import of torch would hold it up
        self.meter.frame(time.perf_counter())
        self.stored.keep(self.conductor.automation.presets)
        self._save(now_s)

    def _draw(self, now_s: float) -> moderngl.Framebuffer:
        """Draws the program and shows it; returns the framebuffer that holds it."""
        begun = time.perf_counter()
        picture = self.blend.render(now_s, self.conductor)
        picture = self.numbers.render(picture, self.blend.numbers, self.conductor, now_s)
        if self.conductor["memory.view"]:
            self.remember.feed(self.shelves)
        picture = self.shelves.render(picture, now_s, self.conductor, self.stage.size)
        framebuffer = self.program.draw(picture, self.conductor, now_s, self.stage, self.outputs)
        took_s = time.perf_counter() - begun
        if self.meter.frames == 0 and self._waiting and took_s > COLD_S:
            warmer = Warmer(self.blend.size)
            self._stack.callback(warmer.stop)
            self.blend.may_warm = lambda: warmer.done
        return framebuffer

    def _walk(self) -> float:
        """Steps the walk up to now; returns the show's time in seconds."""
        now_s = self.clock.now() - self._skipped_s
        behind = now_s - self.conductor.time_s
        if behind > LONGEST_STEP_S:
            self._skipped_s += behind - LONGEST_STEP_S
            now_s = self.conductor.time_s + LONGEST_STEP_S
        while self.conductor.time_s <= now_s - TICK_S:
            self.conductor.tick()
        return now_s

    def _tell_of_dreamer(self) -> None:
        """Logs what becomes of the dreamer. Raises ModelError when it never dreamt and never will."""
        status = self.dreamer.status
        if status.first_keyframe_s is not None and not self._told_of_first:
            self._told_of_first = True
            log.info("first picture after %.1f s", status.first_keyframe_s)
        if (status.state, status.losses) == self._told:
            return
        self._told = (status.state, status.losses)
        if status.state == "failed" and not status.keyframes:
            raise ModelError(status.message)
        if status.state == "dreaming":
            log.info("model ready: %s", status.message)
        else:
            level = {"failed": logging.ERROR, "restarting": logging.WARNING}.get(status.state, logging.INFO)
            log.log(level, "dreamer %s%s", status.state, f": {status.message}" if status.message else "")

    def _key(self, key: str) -> None:
        if key == "f":
            self._fullscreen(not self.stage.fullscreen)
        elif key == "escape":
            if self.stage.fullscreen:
                self._fullscreen(False)
            else:
                self.quit = True
        elif key == "space":
            self.conductor.toggle("walk.pause")
        elif key == "b":
            self.conductor.toggle("stage.blackout")
        elif key == "r":
            self.conductor.set("show.reset", 1.0)
        elif key == "m":
            self.conductor.set("memory.keep", 1.0)
        elif key == "v":
            self.conductor.set("memory.view", 0.0 if self.conductor.controls.target("memory.view") else 1.0)
        elif key == "s":
            self.still.ask()
        elif key == "h":
            self.overlay.visible = not self.overlay.visible
            self._overlay_at = 0.0

    def _fullscreen(self, on: bool) -> None:
        try:
            self.stage.set_fullscreen(on)
        except NoDisplay as error:  # a monitor that was there when the show began
            log.warning("%s", error)

    def _show_overlay(self, now_s: float) -> None:
        if not self.overlay.visible:
            return
        if now_s >= self._overlay_at:
            self._overlay_at = now_s + 1 / OVERLAY_HZ
            self.overlay.set_lines(help_lines(self))
        self.overlay.render(self.stage.framebuffer)

    def _save(self, now_s: float) -> None:
        if self.memory and now_s - self._saved_at >= SAVE_EVERY_S:
            self._saved_at = now_s
            self.memory.keep(self.conductor.navigator)


def run_live(show: Show, options: LiveOptions, clock: Clock | None = None) -> dict[str, Any]:
    """Plays the show until the window closes, the duration ends, or SIGTERM or SIGINT; returns its stats.

    Raises what the rooms raise when they cannot start: NoDisplay, PortTaken, ModelError.
    """
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())  # first in, last out: asking twice must not cut the rest short
        player = Player(show, options, clock or RealClock(), stack)
        player.recall()
        start_s = player.clock.now()
        while not (player.quit or player.stage.closing or stop.asked):
            player.step()
            if options.duration_s is not None and player.clock.now() - start_s >= options.duration_s:
                break
        if player.memory:
            player.memory.keep(player.conductor.navigator)
            player.memory.close()
        return stats.report(player.meter, player.dreamer.status, player.osc.counts if player.osc else None)


def _open_osc(show: Show, mapper: Mapper, stack: ExitStack) -> OscIn | None:
    if not show.osc.enabled:
        return None
    osc = OscIn(show.osc.host, show.osc.port, show.registry, patient=show.stage.resume, mapper=mapper)
    osc.start()
    stack.callback(osc.close)
    for address in osc.addresses():
        log.info("steer me: OSC over UDP at %s port %d", address, osc.port)
    return osc


def _open_link(show: Show, stack: ExitStack) -> list[LinkClock]:
    link = LinkClock.join() if show.values["tempo.link"] else None
    if link is None:
        return []
    stack.callback(link.close)
    return [link]


def _open_recording(
    ctx: moderngl.Context, size: tuple[int, int], path: Path, show: Show, stack: ExitStack
) -> "Recording":
    # Not before: the encoders are 70 MB of libraries, for which a show that is not recorded should not wait.
    from engine.record.recording import Recording

    recording = Recording(ctx, size, path, show.film)
    stack.callback(recording.close)
    return recording


def _osc_lines(osc: OscIn | None) -> list[str]:
    """What arrives over OSC: full-screen hides the log."""
    if osc is None:
        return ["OSC off"]
    first, *more = osc.status.lines()
    return [f"OSC port {osc.port}   {first}", *more]


def help_lines(player: Player) -> list[str]:
    """Keys, rates and parameters, for the overlay."""
    status, meter = player.dreamer.status, player.meter
    recent = list(status.intervals_s)[-20:]
    rate = len(recent) / sum(recent) if recent and sum(recent) > 0 else 0.0
    lines = [
        "PEDESIS   F full-screen  SPACE pause  B blackout  R reset  S still  M keep  V shelves  H help  ESC",
        f"stage {meter.fps:5.1f} fps   dreamer {rate:5.2f} pictures/s ({status.state})   restarts {status.restarts}",
        player.remember.line(),
        *_osc_lines(player.osc),
        *(said for said in (player.conductor.automation.cues.status, player.conductor.automation.score.status) if said),
        *([f"mapping: {player.map_watch.mistake}"] if player.map_watch.mistake else []),
        "",
    ]
    for name, param in player.show.registry.items():
        if not param.fires and param.live:
            value = player.conductor[name]
            shown = f"{value:.3f}" if isinstance(value, float) else str(value)
            lines.append(f"{param.address}  {shown} {param.unit}")
    return lines
