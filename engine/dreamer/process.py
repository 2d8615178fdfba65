"""The stage's side of the dreamer: starts it, feeds it waypoints, takes its pictures, starts it again.

Usage: `d = DreamerProcess(spec, supply)`; `d.start()`; each frame `for k in d.poll(): ...`; `d.stop()`.
Stage process, one thread, torch-free; poll() never waits for the child beyond its timeout.

Who owns what: a waypoint travels with the number of a free slot of the ring, and the slot comes back to be
freed at the poll() after the one that returned its keyframe. So at most `slots` small messages are under way
in either direction, no pipe can fill, and nobody blocks on a child that has stopped reading.
"""

import contextlib
import math
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess

import numpy as np
from numpy.typing import NDArray

from engine.dreamer.faults import line
from engine.dreamer.messages import (
    Done,
    Dream,
    Fault,
    FromChild,
    Hopeless,
    Learnt,
    Loading,
    OutOfMemory,
    PaletteReady,
    PaletteRefused,
    Ready,
    Sketch,
    Sketched,
    TakePalette,
    ToChild,
    Want,
)
from engine.dreamer.restart import End, RestartPolicy
from engine.dreamer.ring import Ring, Shapes
from engine.dreamer.shown import Place, Shown
from engine.dreamer.spec import PALETTES, Arithmetic, DreamSpec, Keyframe, Numbers
from engine.walk.palette import Palette
from engine.walk.waypoint import Waypoint

__all__ = ["DreamSpec", "DreamerProcess", "DreamerStatus", "Keyframe", "Supply"]

# Below the stage, but not far. Beside a software renderer that never reaches its 60 frames a second, at 10 and at 5:
# first keyframe after 11.5 and 7.9 s, 38 and 64 pictures in 22 s, 50 and 45 frames a second, gaps alike.
NICE = 5
SLOTS = 8
ASLEEP_S = 1.0  # nobody asking for longer than this: we slept, and that the child said nothing means nothing
HISTORY = 4096  # intervals kept for the statistics
# What makes the children. Tests that start many have them forked from a process that has read torch already.
CONTEXT: BaseContext = multiprocessing.get_context("spawn")

Supply = Callable[[], Waypoint | None]


@dataclass
class DreamerStatus:
    """How the dreamer is doing; updated by poll()."""

    state: str = "starting"  # starting, loading, dreaming, restarting, failed, stopped
    message: str = ""
    keyframes: int = 0
    restarts: int = 0
    losses: int = 0  # times a child ended or was ended; `message` says why until the next has something to say
    intervals_s: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY))  # between keyframes
    first_keyframe_s: float | None = None  # since start()
    arithmetic: Arithmetic | None = None  # what the child that runs now dreams with, once it is ready
    palettes: frozenset[str] = frozenset()  # ids of those whose words that child has encoded
    refused: dict[str, str] = field(default_factory=dict)  # ids of those that cannot be encoded, and why
    rss_mb: float = 0.0
    peak_rss_mb: float = 0.0


@dataclass(frozen=True)
class Limits:
    """When a silent child counts as hung."""

    # A large model on a CPU takes minutes to read, to try out and for any picture; a first one may compile kernels.
    load_s: float | None = None  # without a word while loading; None leaves it to the restart policy
    first_s: float | None = None  # for a child's first picture; the same
    picture_s: float = 30.0  # for any other; or 20 times the usual, whichever is longer


class DreamerProcess:
    """Keeps one child dreaming.

    supply: asked for the next waypoint when the child is about to need one; None means nothing now, ask again.
    lossless: waypoints under way when the child dies are dreamt again, in order (film); else forgotten (live).
    worker: what the child runs; another one in tests.
    """

    def __init__(
        self,
        spec: DreamSpec,
        supply: Supply,
        lossless: bool = False,
        nice: int = NICE,
        limits: Limits | None = None,
        worker: Callable[..., None] | None = None,
    ) -> None:
        self.status = DreamerStatus()
        self._spec, self._supply, self._lossless, self._nice = spec, supply, lossless, nice
        self._limits = limits or Limits()
        self._policy = RestartPolicy(film=lossless, economy=spec.economy)
        self._palettes = {spec.palette.id: spec.palette}  # those to be encoded, the newest last
        self._wanted: tuple[Palette, ...] = ()
        self._pictures = Shown(spec.width, spec.height, lossless)
        self._worker = worker
        self._ring: Ring | None = None
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._under_way: deque[tuple[int, Waypoint]] = deque()  # (slot, waypoint) given and not yet back
        self._again: deque[Waypoint] = deque()  # to be given again after a death, lossless only
        self._shown: list[int] = []  # slots of the keyframes that the last poll() returned
        self._begun = 0  # of those under way, how many the child has all but finished
        self._last_words = ""  # what the child said it was at, or ended of
        self._end: End = End()  # what it said that it ends of, if it lived to say so
        self._restart_at: float | None = None
        self._started_at = self._heard_at = self._born_at = 0.0
        self._last_keyframe_at: float | None = None
        self._last_done_at: float | None = None
        self._asked_at = self._decode_s = 0.0
        self._dreamt_s = 0.0  # how long the last picture took
        self._polled_at: float | None = None
        self._poll_gap_s = 1 / 60
        self._idle_since_s: float | None = None  # since when it has had nothing to dream
        self._sketching: int | None = None  # number of the sketch that is under way, one at a time
        self._sketched_place: Waypoint | None = None  # and what it is of
        self._sketched: list[Sketched] = []

    @property
    def pid(self) -> int | None:
        """Of the child that runs now."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Spawns the child; returns at once, it loads on its own."""
        if self._ring is not None:
            raise RuntimeError("start() needs a dreamer that is not running; this one is")
        self._started_at = time.perf_counter()
        # The ring comes first: it starts the resource tracker that every child then shares.
        self._ring = Ring.create(SLOTS, self._spec.width, self._spec.height)
        self._spawn()

    def set_palettes(self, palettes: tuple[Palette, ...]) -> None:
        """Has all of these encoded that are not yet. For every frame: the same object as before costs nothing."""
        if palettes is self._wanted:
            return
        self._wanted = palettes
        for palette in palettes:
            if palette.id in self._palettes and palette.id not in self.status.refused:
                self._palettes[palette.id] = self._palettes.pop(palette.id)  # wanted last, forgotten last
            else:
                self.set_palette(palette)

    def set_palette(self, palette: Palette) -> None:
        """Has these words encoded while the child dreams on; `status.palettes` has its id once they are, and only then
        may waypoints name it. The oldest beyond PALETTES are forgotten."""
        self._palettes.pop(palette.id, None)
        self._palettes[palette.id] = palette
        for old in list(self._palettes)[:-PALETTES]:
            del self._palettes[old]
        self.status.palettes &= frozenset(self._palettes)
        self.status.refused = {id: why for id, why in self.status.refused.items() if id in self._palettes}
        self.status.refused.pop(palette.id, None)
        if self.status.state == "dreaming":
            self._send(TakePalette(palette))

    def show_guide(self, hash: str, pixels: NDArray[np.uint8]) -> bool:
        """Keeps a picture that waypoints may name from now on, (H, W, 3) uint8 of the model's size, by the hash of its
        content. For every frame: one that is there already costs nothing. The one named or shown longest ago goes, and
        none of a waypoint under way. False where there is no room; in a film that is an error, CannotStart."""
        return self._pictures.show(hash, pixels, self._needed())

    def knows_guide(self, hash: str) -> bool:
        """Whether that picture is still there; else it has to be shown again before a waypoint names it."""
        return hash in self._pictures

    def _needed(self) -> set[str]:
        """Hashes of the pictures that waypoints under way name."""
        waypoints = [*(w for _, w in self._under_way), *self._again]
        if self._sketched_place is not None and self._sketching is not None:
            waypoints.append(self._sketched_place)
        return {hash for w in waypoints if w.guide for hash, _ in w.guide.seen}

    def _places(self, waypoint: Waypoint) -> tuple[Place, ...]:
        """Where the pictures lie that a waypoint names; without those that are not there. In a film all must be."""
        if waypoint.guide is None:
            return ()
        places = self._pictures.places(hash for hash, _ in waypoint.guide.seen)
        if self._lossless and len(places) < len(waypoint.guide.seen):
            lacking = {hash for hash, _ in waypoint.guide.seen} - {p.hash for p in places}
            self._fail(f"the picture {min(lacking)}, which steers the film at {waypoint.time_s:.2f} s, is not there")
        return places

    def sketch(self, number: int, waypoint: Waypoint, steps: bool = False) -> bool:
        """Asks for a small picture beside the show, or all that it goes through; False while there is no room for
        another question: one at a time, so that the show's pictures come between them. See take_sketched()."""
        if self.status.state != "dreaming" or self._sketching is not None:
            return False
        self._sketching, self._sketched_place = number, waypoint
        places = () if waypoint.guide is None else self._pictures.places(hash for hash, _ in waypoint.guide.seen)
        if not self._send(Sketch(number, waypoint, steps, places)):
            self._sketching = None
        return self._sketching is not None

    def take_sketched(self) -> list[Sketched]:
        """What came of sketch() since the last call. Of a child that died nothing comes."""
        taken, self._sketched = self._sketched, []
        return taken

    @property
    def is_sketching(self) -> bool:
        """Whether a sketch is under way."""
        return self._sketching is not None

    def can_dream(self, spec: DreamSpec) -> bool:
        """Whether another show has model and size of the one that is dreamt, so that it only takes other words."""
        own = self._spec
        alike = replace(spec, palette=own.palette, economy=own.economy, focus=own.focus) == own
        return alike and self.status.state not in ("failed", "stopped")

    def begin_with(self, palette: Palette) -> None:
        """What every child begins with from now on, should it have to be started again."""
        self._spec = replace(self._spec, palette=palette)

    def poll(self, timeout_s: float = 0.0) -> list[Keyframe]:
        """The keyframes that have come, oldest first; hands out new waypoints. Waits at most `timeout_s` for one."""
        if self._ring is None:
            return []
        now = time.perf_counter()
        if self._polled_at is not None:  # how often we come by decides how far ahead the child must be fed
            self._poll_gap_s += 0.1 * (min(0.25, now - self._polled_at) - self._poll_gap_s)
            if now - self._polled_at > ASLEEP_S:
                self._heard_at += now - self._polled_at
        self._polled_at = now
        for slot in self._shown:
            self._ring.release(slot)
        self._shown = []
        self._feed()
        keyframes = self._read(0.0)
        self._feed()
        deadline = now + timeout_s
        while not keyframes and (left := deadline - time.perf_counter()) > 0 and self.status.state != "failed":
            self._watch()
            keyframes = self._read(min(left, 0.05))
            self._feed()
        self._watch()
        return keyframes

    def stop(self, timeout_s: float = 1.5) -> None:
        """Ends the child, by force if it takes longer, and removes the shared memory. Safe to call twice."""
        if self._pipe is not None:
            self._pipe.close()  # the child leaves when its end of the pipe has nobody on the other side
        if self._process is not None:
            self._process.join(max(0.0, timeout_s - 0.3))
            self._kill(wait_s=0.3)
        self._process = self._pipe = None
        if self._ring is not None:
            self._ring.close()
            self._ring = None
        self._pictures.close()
        if self.status.state != "failed":
            self.status.state = "stopped"

    def _spawn(self) -> None:
        assert self._ring is not None
        if self._worker is None:
            from engine.dreamer.worker import main  # torch-free to import

            self._worker = main
        _leave_lost_folder()
        ours, theirs = CONTEXT.Pipe(duplex=True)
        ring = (self._ring.name, self._ring.slots, self._ring.width, self._ring.height)
        process = CONTEXT.Process(  # type: ignore[attr-defined]  # every context has one
            target=self._worker,
            args=(theirs, self._spec, ring, self._nice),
            daemon=True,
            name="pedesis-dreamer",
        )
        try:
            with _deaf_to_ctrl_c():
                process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()  # or the child's death would not show as the end of the pipe
        self._process, self._pipe = process, ours
        self._last_words, self._end = "", End()
        self.status.palettes = frozenset()
        self._begun = 0
        self._heard_at = self._born_at = time.perf_counter()
        self.status.state = "loading" if self.status.restarts == 0 else "restarting"

    def _feed(self) -> None:
        """Gives the child waypoints until it has enough to stay busy until the next poll."""
        if self._pipe is None or self.status.state != "dreaming":
            return
        assert self._ring is not None
        while len(self._under_way) - self._begun < self._depth() and self._ring.free:
            waypoint = self._again.popleft() if self._again else self._supply()
            if waypoint is None:
                if not self._under_way and self._idle_since_s is None:
                    self._idle_since_s = time.perf_counter()
                return
            places = self._places(waypoint)
            if self.status.state == "failed":
                return
            self._end_rest()
            slot = self._ring.claim()
            assert slot is not None
            self._under_way.append((slot, waypoint))
            if not self._send(Dream(slot, waypoint, places)):
                return

    def _end_rest(self) -> None:
        """A child that had nothing to dream said nothing either: it is not hung, and its rest was no interval."""
        if self._idle_since_s is None:
            return
        now = time.perf_counter()
        self._heard_at = max(self._heard_at, now)
        if now - self._idle_since_s > ASLEEP_S:
            self._last_done_at = None
        self._idle_since_s = None

    def _send(self, message: ToChild) -> bool:
        """False when the child is dead: _watch() sees to it, and to what is under way."""
        try:
            if self._pipe is not None:
                self._pipe.send(message)
        except OSError:
            return False
        return self._pipe is not None

    def _depth(self) -> int:
        """Waypoints the child should have before it when it asks: as few as keep it busy, or control lags.

        It asks when it begins to decode. One will do if we come by before the decoding is done.
        """
        if self._lossless:  # nothing steers a film, and it may dream several at once
            return SLOTS - 3
        if not self.status.intervals_s:
            return 1
        idle_s = 1.3 * self._poll_gap_s - self._decode_s
        return min(SLOTS - 3, 1 + max(0, math.ceil(idle_s / max(self._usual_s(), 1e-4))))

    def _usual_s(self) -> float:
        """The usual time between keyframes of late; 0 while there are none."""
        recent = sorted(islice(reversed(self.status.intervals_s), 8))
        return recent[len(recent) // 2] if recent else 0.0

    def _read(self, timeout_s: float) -> list[Keyframe]:
        keyframes: list[Keyframe] = []
        if self._pipe is None:
            if timeout_s > 0:
                time.sleep(timeout_s)
            return keyframes
        try:
            if timeout_s > 0:
                wait([self._pipe], timeout_s)
            while self._pipe.poll(0):
                if (keyframe := self._hear(self._pipe.recv())) is not None:
                    keyframes.append(keyframe)
        except (EOFError, OSError):
            self._lost(self._ending())
        return keyframes

    def _ending(self) -> str:
        assert self._process is not None
        self._process.join(0.02)  # its pipe goes a moment before it does; the stage cannot wait for longer
        return "it ended" if self._process.exitcode is None else f"it ended with code {self._process.exitcode}"

    def _hear(self, message: FromChild) -> Keyframe | None:
        self._heard_at = time.perf_counter()
        match message:
            case Done():
                return self._take(message)
            case Want(time_s):
                self._begun += 1
                self._asked_at = time_s
            case Loading(what):
                self.status.message = self._last_words = what
            case Ready(what, arithmetic):
                self._policy.loaded(self._heard_at - self._born_at)
                self.status.state, self.status.message, self._last_words = "dreaming", what, ""
                self._learn(arithmetic)
                self.status.palettes = frozenset({self._spec.palette.id})
                for palette in list(self._palettes.values()):
                    if palette.id not in self.status.palettes:
                        self._send(TakePalette(palette))
            case Learnt(arithmetic, what):
                self._learn(arithmetic)
                self.status.message = what or self.status.message
            case Sketched():
                self._sketching = None
                self._sketched = [*self._sketched[-15:], message]  # whoever does not fetch them loses the oldest
            case PaletteReady(id):
                self.status.palettes |= {id} & self._palettes.keys()
            case PaletteRefused(id, why):
                self.status.refused[id] = why
            case Hopeless(why) if not self.status.keyframes:
                self._fail(why)
            case OutOfMemory(why) | Fault(why) | Hopeless(why):
                # Hopeless after a model that did dream: its disk may be back any moment.
                self.status.message = self._last_words = why
                may_pass = isinstance(message, Fault) and message.may_pass
                self._end = End(why, out_of_memory=isinstance(message, OutOfMemory), may_pass=may_pass)
        return None

    def _learn(self, arithmetic: Arithmetic) -> None:
        """What the child computes with. A focus curve, once there is one, is also that of the children after it; in a
        film also how it decodes, whatever memory is free by then."""
        self.status.arithmetic = arithmetic
        decode = arithmetic.decode if self._lossless else ""
        self._spec = replace(self._spec, focus=arithmetic.focus, decode=decode)

    def _numbers(self, slot: int, shapes: Shapes) -> Numbers | None:
        """Noise and latent in a slot, views."""
        if shapes[0] is None:
            return None
        assert self._ring is not None
        noise, latent = (
            None if shape is None else flat[: math.prod(shape)].reshape(shape)  # (C, h, w)
            for flat, shape in zip(self._ring.numbers(slot), shapes, strict=True)
        )
        assert noise is not None
        return Numbers(noise, latent)

    def _take(self, done: Done) -> Keyframe:
        assert self._ring is not None
        slot, done_at, dreamt_s = done.slot, done.time_s, done.dreamt_s
        given, waypoint = self._under_way.popleft()
        if given != slot:
            raise RuntimeError(f"the dreamer answered for slot {slot}, asked was {given}")
        self._begun = max(0, self._begun - 1)
        now = self._heard_at
        status = self.status
        if self._last_done_at is not None:  # by the child's clock: when we come to hear of it depends on us
            status.intervals_s.append(done_at - self._last_done_at)
        self._last_done_at, self._dreamt_s = done_at, dreamt_s
        self._decode_s += 0.2 * (done_at - self._asked_at - self._decode_s)
        if status.first_keyframe_s is None:
            status.first_keyframe_s = now - self._started_at
        if self._is_young():
            self._policy.dreamt_first(dreamt_s)
        self._policy.dreamt(now - self._born_at)
        self._last_keyframe_at = now
        status.rss_mb, status.peak_rss_mb = done.memory_mb[0], max(status.peak_rss_mb, done.memory_mb[1])
        self._shown.append(slot)
        numbers = self._numbers(slot, done.numbers)
        keyframe = Keyframe(waypoint, self._ring.picture(slot), status.keyframes, dreamt_s, numbers)
        status.keyframes += 1
        return keyframe

    def _watch(self) -> None:
        """Sees a dead or hung child, and starts the next when its time has come."""
        if self.status.state in ("failed", "stopped"):
            return
        now = time.perf_counter()
        if self._restart_at is not None:
            if now >= self._restart_at:
                self._restart_at = None
                self.status.restarts += 1
                try:
                    self._spawn()
                except (OSError, RuntimeError) as error:  # no memory or no handles left, for now
                    self._lost(f"it cannot be started ({line(error)})")
            return
        if self._process is None:
            return
        if not self._process.is_alive() and not self._has_said():
            self._lost(self._ending())
        elif now - self._heard_at > self._patience_s():
            if self._is_young():
                self._policy.hung_early()
            self._lost(f"no word from it for {now - self._heard_at:.0f} s")

    def _has_said(self) -> bool:
        """Whether something is still to be read. On Windows a pipe that is closed cannot even be asked."""
        try:
            return self._pipe is not None and self._pipe.poll(0)
        except OSError:
            return False

    def _patience_s(self) -> float:
        if self.status.state != "dreaming":
            return self._policy.load_patience_s if self._limits.load_s is None else self._limits.load_s
        if not self._under_way:
            return math.inf
        if self._is_young():
            return self._policy.first_patience_s if self._limits.first_s is None else self._limits.first_s
        return max(self._limits.picture_s, 20 * max(self._dreamt_s, self._usual_s()))

    def _is_young(self) -> bool:
        """Whether this child has dreamt nothing yet."""
        return self._last_keyframe_at is None or self._last_keyframe_at < self._born_at

    def _lost(self, why: str) -> None:
        """The child is gone: keep what must be dreamt again, come back after a while."""
        assert self._ring is not None
        if self._restart_at is not None or self.status.state in ("failed", "stopped"):
            return
        # SIGKILL, which Windows has no name for
        killed = self._process is not None and self._process.exitcode == -9
        end = replace(self._end, killed=killed, young=self._is_young())
        self._kill()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None
        if self._lossless:
            self._again.extendleft(waypoint for _, waypoint in reversed(self._under_way))
        for slot, _ in self._under_way:
            self._ring.release(slot)
        self._under_way.clear()
        self._sketching = None
        self.status.losses += 1
        decision = self._policy.ended(end)
        if decision.give_up:
            return self._fail(decision.give_up)
        said = f" ({self._last_words})" if self._last_words else ""
        if decision.economy != self._spec.economy:
            self._spec = replace(self._spec, economy=decision.economy)
            said += ", probably out of memory; retrying with less"
        self._restart_at = time.perf_counter() + decision.pause_s
        self.status.state = "restarting"
        self.status.message = f"the dreamer stopped: {why}{said}; starting it again in {decision.pause_s:g} s"

    def _fail(self, message: str) -> None:
        self.status.state, self.status.message = "failed", message

    def _kill(self, wait_s: float = 0.0) -> None:
        if self._process is None:
            return
        with contextlib.suppress(OSError, ValueError):
            if self._process.is_alive():
                self._process.kill()
            self._process.join(wait_s)


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """A child that starts meanwhile never hears Ctrl-C, which is the stage's to answer: it comes to ignore it itself
    only after half a second of starting Python. The stage hears afterwards what came meanwhile."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_lost_folder() -> None:
    """A child starts in its parent's folder, which may have been deleted meanwhile: none could be started then."""
    try:
        os.getcwd()
    except OSError:
        os.chdir(os.path.abspath(os.sep))
