"""The show, live: one loop that drains OSC, steps the walk, blends, shows; the dreamer follows at its own pace.

Usage: `run_live(show, LiveOptions(headless=True, duration_s=60))`. The calling thread is the stage's GL
thread and never waits for anything but the display.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import moderngl

from engine.control.clock import Clock, RealClock
from engine.control.feedback import Feedback
from engine.control.mapping import Mapper
from engine.control.osc import OscIn
from engine.dreamer.models import ModelError
from engine.dreamer.process import DreamerProcess, DreamSpec
from engine.play import stats
from engine.play.capture import Capture
from engine.play.change import Change
from engine.play.conductor import Conductor
from engine.play.docent import Docent
from engine.play.help import help_lines
from engine.play.inputs import Inputs
from engine.play.learning import Learning
from engine.play.panel import Panel
from engine.play.panel_link import Worker
from engine.play.performance import Feed, Performance, Prepared
from engine.play.signals import StopRequest
from engine.show.config import Show
from engine.show.files import ENDING_S
from engine.stage.blend import Blend, Picture
from engine.stage.code import CodeView
from engine.stage.docent import Seen
from engine.stage.docent_params import MAPS
from engine.stage.gl import is_software
from engine.stage.lettering import Lettering
from engine.stage.look import Look
from engine.stage.numbers import NumbersView
from engine.stage.overlay import Overlay
from engine.stage.program import Program
from engine.stage.shaders import Shaders
from engine.stage.shelves import Shelves
from engine.stage.warm import COLD_S, Warmer
from engine.stage.window import NoDisplay, Pacer, Stage, open_stage

log = logging.getLogger("pedesis")

# Where the processor draws, the waiting picture takes from the model what that needs to load. At 42 frames a second the
# first dream was there after 7.4 s on two cores, at this after 6.2; the waiting picture is slow enough for it.
WAITING_HZ = 30.0
OVERLAY_HZ = 2.0
MOST_LEAVING = 4  # shows that still show at once; each is drawn, and of more the oldest is gone before it has faded


@dataclass(frozen=True)
class LiveOptions:
    """How to play a show; None leaves it to the show."""

    headless: bool = False
    windowed: bool = False
    display: int | None = None
    size: tuple[int, int] | None = None
    duration_s: float | None = None
    record: Path | None = None
    take: Path | None = None
    out: Path = Path("out")  # folder for stills, and for what is recorded by a message
    panel: Worker | None = None  # what the panel's process runs; None: no panel


class Player:
    """Everything a running show holds, stepped once a frame: window, outputs, and the show that is on stage."""

    def __init__(self, show: Show, options: LiveOptions, clock: Clock, stack: ExitStack) -> None:
        self.options, self.clock, self._stack = options, clock, stack
        self.meter = stats.Meter()
        self._prepared = prepared = Prepared.of(show)
        stack.callback(prepared.inputs.close)
        self.osc = _open_osc(show, prepared.inputs.mapper, stack)
        self.panel = Panel(show, options.panel)  # before there is a window: it is ready when the picture is
        self.panel.start()
        stack.callback(self.panel.close)
        prepared.inputs.open()
        self._let_hear(prepared.conductor, prepared.inputs)
        self.stage: Stage = open_stage(
            show.stage,
            headless=options.headless,
            windowed=options.windowed,
            display=options.display,
            size=options.size,
        )
        if not options.headless:
            log.info("screen saver: %s", self.stage.screen_saver)
        self._crowded = is_software(self.stage.ctx)
        self.shaders = Shaders(self.stage.ctx)
        self.numbers = NumbersView(self.stage.ctx, self.shaders)
        self.shelves = Shelves(self.stage.ctx, self.shaders, show.stage.fit)
        self.look = Look(self.stage.ctx, self.shaders, show.stage.fit)
        self.lettering = Lettering(self.stage.ctx, self.shaders, show.stage.fit)
        stack.callback(self.lettering.close)
        blend = Blend(self.stage.ctx, self.shaders, (show.model.width, show.model.height))
        self.playing = Performance(prepared, blend)
        stack.callback(lambda: self.playing.remember.close(ENDING_S))
        stack.callback(lambda: self.playing.inputs.close())
        stack.callback(lambda: self.playing.guides.close())
        self.dreamer, self.feed = self.dream(self.playing)
        self._ending: list[threading.Thread] = []
        self._change: Change | None = None
        stack.callback(self._wait_for_endings)
        stack.callback(lambda: self.dreamer.stop())
        stack.callback(self.stage.close)  # the window goes first: ending the dreamer can take a second
        stack.callback(self._drop_change, ending=True)
        self.overlay = Overlay(self.stage.ctx, self.shaders)
        self.code = CodeView(self.stage.ctx, self.shaders)
        size = show.program.width or self.stage.size[0], show.program.height or self.stage.size[1]
        self.program = Program(self.stage.ctx, self.shaders, self.look, size, show.stage.fit)
        self.docent = Docent(self.stage.ctx, self.shaders, show)
        stack.callback(self.docent.close)
        self.capture = Capture(options.out, self.stage.ctx, self.program.size)
        self.capture.play(show, self.conductor, lambda: blend.showing)
        stack.callback(self.capture.close)
        if options.record:
            self.capture.record(options.record)
        self.folders = [show.path.parent]  # where the shows are that can be loaded by name
        self._leaving: list[Performance] = []  # that still show, each while the one after it arrives; the newest last
        self._look_ahead_s = 0.0  # of the look's time, which goes on whatever show is on stage
        self.learning: Learning | None = None
        self.panel.begin(self)
        stack.callback(self._learn, on=False)
        self.quit = False
        self._waiting = Pacer(WAITING_HZ) if self._crowded else None
        self._told = ("starting", 0)  # the dreamer's state and losses that were last logged
        self._told_of_first = False
        self._overlay_at = 0.0

    @property
    def show(self) -> Show:
        """The one on stage."""
        return self.playing.show

    @property
    def conductor(self) -> Conductor:
        """Of the show on stage."""
        return self.playing.conductor

    @property
    def blend(self) -> Blend:
        """Of the show on stage."""
        return self.playing.blend

    def recall(self) -> None:
        """Goes on from where the show last ended, if it is one that remembers; a take begins there."""
        if self._prepared.recall():
            self.playing.begin(self.clock.now())
        if self.options.take:
            self.capture.take(self.options.take)

    def _let_hear(self, conductor: Conductor, inputs: Inputs) -> None:
        """OSC first: the mappings hear what comes by it, or by the panel."""
        if self.osc:
            conductor.add(self.osc)
        conductor.add(self.panel)
        conductor.add(inputs)

    def spec_of(self, show: Show) -> DreamSpec:
        """What a dreamer needs to know of a show."""
        return DreamSpec.from_show(show, crowded=self._crowded)

    def dream(self, performance: Performance) -> tuple[DreamerProcess, Feed]:
        """A dreamer for a show, not started yet, and what it is fed by."""
        feed = Feed(performance, lambda: self.look.is_black)
        feed.dreamer = dreamer = DreamerProcess(self.spec_of(performance.show), feed)
        return dreamer, feed

    def load(self, name: str) -> None:
        """Goes on with another show as soon as it is there."""
        self._drop_change()
        self._change = Change(self, name)

    def change_to(self, coming: Performance) -> None:
        """Another show is on stage from now on."""
        self._learn(on=False)
        leaving = self.playing
        coming.begin(self.clock.now())
        coming.now_s = coming.conductor.time_s
        self._look_ahead_s += leaving.now_s - coming.now_s
        if self.osc:
            self.osc.use(coming.show.registry, coming.inputs.mapper)
            if self.osc.feedback:
                self.osc.feedback.use(coming.show.registry)
        self._let_hear(coming.conductor, coming.inputs)
        self.playing = coming
        self._leaving.append(leaving)
        self.panel.begin(self)
        self.capture.play(coming.show, coming.conductor, lambda: coming.blend.showing)
        self.docent.play(coming.show)
        log.info("playing the show %s", coming.show.name)

    def step(self) -> None:
        """One frame: steer, walk, blend, show."""
        for key in self.stage.poll():
            self._key(key)
        self.playing.inputs.hear(bool(self.conductor["tempo.midi"]))
        self.conductor.listen()
        self.playing.walk(self.clock.now())
        self.capture.step()
        self.panel.step(self)
        if self.osc and self.osc.feedback:
            self.osc.feedback.step(self.conductor.controls, self.panel.status, float(self.conductor["osc.status"]))
        self._take_pictures()
        self._tell_of_dreamer()
        now_s = self.playing.now_s + self._look_ahead_s
        framebuffer = self._draw(now_s)
        for output in (*self.capture.outputs, *self.panel.outputs):
            output.push(framebuffer, self.clock.now())  # in real time, also where the walk left some of it out
        self._show_overlay(now_s)
        self.stage.present()
        if self._waiting and not self.dreamer.status.keyframes:
            self._waiting.wait()
        self.shaders.reload(now_s)
        if self.meter.frames == 0:
            self.dreamer.start()  # after the first picture: the import of torch would hold it up
        self.meter.frame(time.perf_counter())
        self.playing.save()

    def _take_pictures(self) -> None:
        """Takes in what was dreamt, of the show on stage or of one that comes."""
        if (name := self.conductor.controls.take_call("show.load")) is not None:
            self.load(name)
        change = self._change
        self.playing.remember.step()
        self.dreamer.set_palettes(self.conductor.words.wanted)
        for keyframe in self.dreamer.poll():
            if change:
                change.before(keyframe)
            if self.playing.take_in(keyframe):
                self.docent.follow(keyframe, self.playing.palettes_of(keyframe.waypoint), self.playing.now_s)
        self.docent.step(self.dreamer, self.playing.remember.shelved, self.conductor.lesson.step)
        self.conductor.answer(self.dreamer.status.palettes, self.dreamer.status.refused)
        if change and not change.is_over:
            change.step()
        if change and change.is_over:
            self._change = None
        self._walk_leaving()

    def end_later(self, work: Callable[[], None]) -> None:
        """Does what may take a second, such as ending a dreamer, in a thread; the show's end waits for it."""
        self._ending = [thread for thread in self._ending if thread.is_alive()]
        self._ending.append(threading.Thread(target=work, name="ending", daemon=True))
        self._ending[-1].start()

    def _drop_change(self, ending: bool = False) -> None:
        if self._change is not None:
            self._change.give_up(ending)
            self._change = None

    def _wait_for_endings(self) -> None:
        for thread in self._ending:
            thread.join(ENDING_S)

    def _walk_leaving(self) -> None:
        """Shows that still show move on; those that nobody follows any more are let go."""
        follower, kept = self.playing, 0
        for leaving in reversed(self._leaving):
            if not follower.blend.is_following or kept == MOST_LEAVING:
                break
            leaving.walk(self.clock.now())
            follower, kept = leaving, kept + 1
        follower.blend.follow_no_more()
        gone = len(self._leaving) - kept
        for leaving in self._leaving[:gone]:
            leaving.blend.release()
        del self._leaving[:gone]

    def _draw(self, now_s: float) -> moderngl.Framebuffer:
        """Draws the program and shows it; returns the framebuffer that holds it."""
        begun = time.perf_counter()
        picture = self.playing.draw()
        self.docent.seen = Seen(picture, self.blend.numbers)
        picture = self.numbers.render(picture, self.blend.numbers, self.conductor, now_s)
        maps = [self.docent.view.map] if self.docent.view.shows_map else []
        self.playing.remember.feed(self.shelves if self.conductor["memory.view"] else None, *maps)
        picture = self.shelves.render(picture, now_s, self.conductor, self.stage.size)
        self.playing.letter(self.lettering)
        framebuffer = self.program.draw(
            picture,
            self.conductor,
            now_s,
            self.stage,
            self.capture.outputs,
            lambda target: self._draw_over(target, picture, now_s),
        )
        took_s = time.perf_counter() - begun
        if self.meter.frames == 0 and self._waiting and took_s > COLD_S:
            warmer = Warmer(self.blend.size)
            self._stack.callback(warmer.stop)
            self.blend.may_warm = lambda: warmer.done
        return framebuffer

    def _draw_over(self, target: moderngl.Framebuffer, picture: Picture, now_s: float) -> None:
        """What lies over the picture, and belongs to the program."""
        self.lettering.render(target, picture, self.conductor, self.playing.now_s, self.look.light)
        if not self.look.is_black:
            self.docent.draw(target, self.conductor, now_s, self.conductor.lesson.step)

    def _tell_of_dreamer(self) -> None:
        """Logs what becomes of the dreamer. Raises ModelError when it never dreamt and never will."""
        status = self.dreamer.status
        if status.first_keyframe_s is not None and not self._told_of_first:
            self._told_of_first = True
            log.info("first picture after %.1f s", status.first_keyframe_s)
        if (status.state, status.losses) == self._told:
            return
        self._told = (status.state, status.losses)
        if status.state == "failed" and not self._told_of_first:
            raise ModelError(status.message)
        if status.state == "dreaming":
            log.info("model ready: %s", status.message)
        else:
            level = {"failed": logging.ERROR, "restarting": logging.WARNING}.get(status.state, logging.INFO)
            log.log(level, "dreamer %s%s", status.state, f": {status.message}" if status.message else "")

    def _key(self, key: str) -> None:
        if key == "l":
            self._learn(on=self.learning is None)
        elif self.learning is not None and self.learning.shown and self.learning.key(key):
            self._overlay_at = 0.0
        elif key == "f":
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
        elif key == "k":
            shown = MAPS.index(str(self.conductor.controls.target("docent.map")))
            self.conductor.set("docent.map", MAPS[(shown + 1) % len(MAPS)])
        elif key in ("right", "left"):
            self.conductor.set("docent.next" if key == "right" else "docent.back", 1.0)
        elif key == "s":
            self.capture.ask_for_still()
        elif key == "c":
            self.conductor.toggle("docent.caption")
        elif key == "h":
            self.conductor.toggle("stage.overlay")
        elif key == "p":
            self._show_code(not self.code.visible)

    def _learn(self, on: bool) -> None:
        """Begins or ends learning; the overlay shows it."""
        if self.learning is not None:
            self.learning.close()
        self.learning = Learning(self.show, self.playing.inputs, Path.cwd()) if on else None
        self._overlay_at = 0.0

    def _show_code(self, on: bool) -> None:
        """Shows where the panel answers, with a code that phones can read."""
        self.code.visible = on
        at = self.panel.address
        if at is None:
            self.code.show((), "no panel")
        elif at["network"]:
            self.code.show(at["code"], str(at["address"]))
        else:
            self.code.show((), f"{at['address']}   this machine only; panel.host = '0.0.0.0' lets phones in")

    def _fullscreen(self, on: bool) -> None:
        try:
            self.stage.set_fullscreen(on)
        except NoDisplay as error:  # a monitor that was there when the show began
            log.warning("%s", error)

    def _show_overlay(self, now_s: float) -> None:
        self.code.render(self.stage.framebuffer)
        learning = self.learning if self.learning is not None and self.learning.shown else None
        visible = bool(self.conductor["stage.overlay"]) or learning is not None
        if visible != self.overlay.visible:
            self.overlay.visible, self._overlay_at = visible, now_s
        if not visible:
            return
        if now_s >= self._overlay_at:
            self._overlay_at = now_s + 1 / OVERLAY_HZ
            self.overlay.set_lines(learning.lines(self.conductor) if learning else help_lines(self))
        self.overlay.render(self.stage.framebuffer)


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
        player.playing.keep()()
        return stats.report(player.meter, player.dreamer.status, player.osc.counts if player.osc else None)


def _open_osc(show: Show, mapper: Mapper, stack: ExitStack) -> OscIn | None:
    if not show.osc.enabled:
        return None
    osc = OscIn(show.osc.host, show.osc.port, show.registry, patient=show.stage.resume, mapper=mapper)
    osc.start()
    stack.callback(osc.close)
    osc.feedback = feedback = Feedback(show.registry, osc.send_to, show.osc.feedback, show.osc.reply, osc.is_own)
    feedback.start()
    stack.callback(feedback.close)
    for address in osc.addresses():
        log.info("steer me: OSC over UDP at %s port %d", address, osc.port)
    return osc
