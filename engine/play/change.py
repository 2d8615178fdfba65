"""A change of shows while the picture moves on: the other one is loaded and first dreamt behind it.

    change = Change(player, "stage")
    change.step()                       # each frame, until change.is_over

Nothing is taken away before there is something to put in its place: the show that plays is steered, walked and dreamt
on until the first picture of the other one has come, to which it gives place by that show's transition. Where model
and size are equal the same dreamer goes on with other words. Else a second one is started beside it; should it end
before it has dreamt (two large models may not fit on one card), the first one makes room. The window, the OSC port and
the size of the program stay as they are. The stage's GL thread.
"""

import logging
from typing import TYPE_CHECKING

from engine.dreamer.process import DreamerProcess, DreamSpec, Keyframe
from engine.play.loading import Loading
from engine.play.performance import Feed, Performance
from engine.show.files import ENDING_S
from engine.stage.blend import Blend

if TYPE_CHECKING:
    from engine.play.live import Player

log = logging.getLogger("pedesis")

EASED = ("look.", "memory.view")  # their numbers go over to the other show's while the picture does
CARRIED = ("stage.blackout", "stage.overlay")  # a dark stage stays dark


class Change:
    """One other show on its way to the stage."""

    def __init__(self, player: "Player", name: str) -> None:
        self._player = player
        self._loading = Loading(name, player.folders)
        self._spec: DreamSpec | None = None
        self._coming: Performance | None = None
        self._dreamer: DreamerProcess | None = None  # a second one, until the first is gone
        self._feed: Feed | None = None  # its
        self._made_room = False
        self.is_over = False

    def step(self) -> None:
        """Once a frame."""
        if self._coming is None:
            if self._loading.is_done:
                self._prepare()
        elif self._dreamer is not None:
            keyframes = self._dreamer.poll()
            if keyframes:
                self._exchange_dreamers()
                self._hand_over()
                for keyframe in keyframes:
                    self._coming.take_in(keyframe)
            else:
                self._watch(self._dreamer)
        elif self._made_room:
            self._watch(self._player.dreamer)
        else:
            self._wait_for_words()

    def before(self, keyframe: Keyframe) -> None:
        """A picture of the player's dreamer, before it is taken in: with the first of the other show it takes over."""
        if self._coming is not None and not self.is_over and keyframe.waypoint is self._coming.first:
            self._hand_over()

    def give_up(self, ending: bool = False) -> None:
        """The show that plays goes on. ending: it ends as well."""
        self.is_over = True
        player = self._player
        if self._dreamer is not None:
            player.end_later(self._dreamer.stop)
        if self._made_room and not ending:
            player.end_later(player.dreamer.stop)
            player.dreamer, player.feed = player.dream(player.playing)
            player.dreamer.start()
        player.feed.performance = player.playing
        if (coming := self._coming) is not None:
            coming.blend.release()
            coming.guides.close()
            player.end_later(lambda: coming.remember.close(ENDING_S))

    def _prepare(self) -> None:
        """The show is read: has it dreamt."""
        prepared, player = self._loading.prepared, self._player
        if prepared is None:
            for problem in self._loading.problems:
                log.warning("%s; %s goes on", problem, player.show.name)
            return self.give_up()
        show, size = prepared.show, (prepared.show.model.width, prepared.show.model.height)
        blend = Blend(player.stage.ctx, player.shaders, size, field=player.blend.field)
        self._coming = Performance(prepared, blend)
        self._spec = player.spec_of(show)
        log.info("loading the show %s", show.name)
        if player.dreamer.can_dream(self._spec):
            player.dreamer.set_palette(self._spec.palette)
            return
        self._dreamer, self._feed = player.dream(self._coming)
        self._dreamer.start()

    def _watch(self, dreamer: DreamerProcess) -> None:
        """A new dreamer that ended before it dreamt: perhaps there was no room for two, or there is no hope."""
        assert self._coming is not None
        status = dreamer.status
        if status.state == "failed":
            self._say_no(status.message)
        elif status.losses and not self._made_room:
            log.warning("%s; starting it again with the room that the other one took", status.message)
            self._made_room = True
            player = self._player
            player.end_later(dreamer.stop)
            player.end_later(player.dreamer.stop)
            self._dreamer = None
            player.dreamer, player.feed = player.dream(self._coming)
            player.dreamer.start()

    def _wait_for_words(self) -> None:
        """The dreamer goes on with the other show once its words are encoded."""
        assert self._coming is not None and self._spec is not None
        status, palette = self._player.dreamer.status, self._spec.palette.id
        if palette in status.palettes:
            self._player.feed.performance = self._coming
        elif palette in status.refused:
            self._say_no(status.refused[palette])

    def _say_no(self, why: str) -> None:
        assert self._coming is not None
        log.error("%s cannot be shown: %s; %s goes on", self._coming.show.name, why, self._player.show.name)
        self.give_up()

    def _exchange_dreamers(self) -> None:
        assert self._dreamer is not None and self._feed is not None
        self._player.end_later(self._player.dreamer.stop)
        self._player.dreamer, self._player.feed = self._dreamer, self._feed
        self._dreamer = None

    def _hand_over(self) -> None:
        """The other show is on stage from now on; the one before moves on for as long as it is seen."""
        assert self._coming is not None and self._spec is not None
        self._player.dreamer.begin_with(self._spec.palette)
        player, coming, leaving = self._player, self._coming, self._player.playing
        time_s = float(coming.conductor["blend.time"])
        _carry_over(leaving, coming, time_s)
        coming.blend.follow(leaving.draw, str(coming.conductor["blend.transition"]), time_s)
        player.change_to(coming)
        player.end_later(leaving.keep())
        leaving.guides.close()

        def exchange_devices() -> None:
            leaving.inputs.close()  # first: two do not always get the same one
            coming.inputs.open()

        player.end_later(exchange_devices)
        self.is_over = True


def _carry_over(leaving: Performance, coming: Performance, time_s: float) -> None:
    """The look goes over from how it is to how the other show has it, while the one picture becomes the other."""
    controls = coming.conductor.controls
    for name, param in coming.show.registry.items():
        if param.fires or name not in leaving.show.registry:
            continue
        if name.startswith(EASED) and param.kind == "number":
            own = controls.target(name)
            controls.put(name, param.clamped(float(leaving.conductor[name])))
            controls.glide(name, own, time_s)
        elif name in CARRIED:
            controls.put(name, leaving.conductor.controls.target(name))
