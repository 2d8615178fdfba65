"""The child process: waits for waypoints, dreams them into slots of the ring, says when it wants the next.

Usage: spawned by process.DreamerProcess; `main(pipe, spec, ring, nice)`. Dreamer process: one thread that dreams, for
a film several, and one that ends the process with its parent. Importing this module imports no torch; running it does.

The messages are those of messages.py. Want comes just before decoding, so that the next waypoint is there when the
picture is done. The words of a new palette are encoded in a thread of their own, while the old one is dreamt on.
"""

import contextlib
import ctypes
import gc
import logging
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent import futures
from functools import partial
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING

import psutil

from engine.dreamer import addition_files, guide_files, models
from engine.dreamer.faults import NotYet, led_to_by_memory, line, may_pass
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
    Want,
)
from engine.dreamer.models import ModelError
from engine.dreamer.ring import Ring, Shapes
from engine.dreamer.shown import Place, Seen
from engine.dreamer.spec import DreamSpec
from engine.show.paths import ensure_temp_dir
from engine.walk.palette import Palette
from engine.walk.waypoint import Waypoint

if TYPE_CHECKING:
    from engine.dreamer.landing import Landing
    from engine.dreamer.load import Dreamer

# How often a thread of GNU's OpenMP looks for work before it sleeps, which takes longer than many a layer. The
# built-in model on two threads and two cores: 170 ms a picture at 0, 121 at 2,000, 110 at 20,000, 107 at 100,000;
# beside something that takes nine tenths of a core (a recording) 258 at 2,000, 800 at 20,000, 1,250 at 100,000.
SPIN = "2000"
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
AHEAD = 2  # pictures that are copied while the next is begun; beyond them nothing is begun
KEPT_BYTES = 256 << 20  # at the top of the heap; pieces of up to an eighth are taken from it

log = logging.getLogger("pedesis")
RingPlace = tuple[str, int, int, int]  # name, slots, width, height


def main(pipe: Connection, spec: DreamSpec, ring_place: RingPlace, nice: int) -> None:
    """Loads and dreams until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the stage's to answer
    _follow_parent()
    prepare(nice)
    try:
        ring = Ring.attach(*ring_place)
        try:
            _run(pipe, spec, ring)
        finally:
            ring.close()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)  # the stage has gone; taking torch down in good order would take a second
    except Exception as error:
        _tell(pipe, error)
        os._exit(1)  # other threads may be in the middle of a picture


def prepare(nice: int) -> None:
    """How this process runs beside a stage: below it, its threads soon asleep, nothing from the network. Before torch
    is imported, which reads it once."""
    if nice and hasattr(os, "nice"):
        os.nice(nice)  # before torch makes its threads, which inherit it
    elif nice:
        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
    _keep_memory()
    ensure_temp_dir()  # torch asks for its name as it is imported
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Threads that wait must soon sleep: spinning on a core the stage needs made pictures 7 times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")  # what Apple's GPUs cannot do is done beside them


def _keep_memory() -> None:
    """Has glibc keep what one picture needed for the next; elsewhere does nothing. Given back and asked for again,
    its 25 to 60 MB cost up to 14,000 page faults, 10 of 100 ms, in every picture or in none, by how they happen to lie.
    """
    with contextlib.suppress(OSError, AttributeError):
        glibc = ctypes.CDLL("libc.so.6")
        glibc.mallopt(M_MMAP_THRESHOLD, KEPT_BYTES // 8)
        glibc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def _run(pipe: Connection, spec: DreamSpec, ring: Ring) -> None:
    # a wrong name is said at once, not after the seconds that torch takes
    place = models.find(spec.model.name, spec.model.decoder)
    addition_files.check(place, spec.loras, spec.embeddings)
    guide_files.check(place, spec.model)
    pipe.send(Loading("starting torch"))
    # The libraries make 700,000 objects that stay. Without looking through them for waste while they come, the first
    # picture of the built-in model is there after 4.7 s instead of 6.0, on two cores that were busy training.
    gc.disable()
    from engine.dreamer.load import Dreamer

    dreamer = Dreamer(spec, lambda what: pipe.send(Loading(what)))
    pipe.send(Ready(dreamer.described, dreamer.arithmetic))
    seen = Seen()

    def see(places: tuple[Place, ...]) -> None:
        for place in places:
            dreamer.see(place.hash, partial(seen.read, place))

    turns = _Turns(pipe, _Words(dreamer), lambda asked: _sketched(dreamer, asked), see)
    dreamer.on_learnt = lambda arithmetic: turns.say(Learnt(arithmetic, dreamer.described))
    if dreamer.lands_later:
        return _dream_ahead(dreamer, ring, turns)
    if dreamer.workers == 1:
        return _dream(dreamer, ring, turns)
    _together(turns, [lambda: _dream(dreamer, ring, turns)] * dreamer.workers)


def _together(turns: "_Turns", works: list[Callable[[], None]]) -> None:
    """Each in a thread of its own, until the first ends: raises what it ended of."""
    pool = futures.ThreadPoolExecutor(len(works), "dreaming")
    ended, _ = futures.wait([pool.submit(work) for work in works], return_when=futures.FIRST_COMPLETED)
    turns.end()
    ended.pop().result()


class _Turns:
    """One pipe for several threads: who takes a waypoint answers when those taken before have been answered."""

    def __init__(
        self,
        pipe: Connection,
        words: "_Words | None" = None,
        sketch: Callable[[Sketch], Sketched] | None = None,
        see: Callable[[tuple[Place, ...]], None] = lambda _: None,
    ) -> None:
        self._pipe, self._words, self._sketch, self._see = pipe, words, sketch, see
        self._taking, self._saying = threading.Lock(), threading.Condition()
        self._taken = self._answered = 0
        self._over = False

    def take(self) -> tuple[int, int, Waypoint]:
        """(turn, slot, waypoint) of the next picture; waits for it."""
        with self._taking:
            while not isinstance(message := self._pipe.recv(), Dream):
                if isinstance(message, TakePalette) and self._words is not None:
                    self._words.encode(message.palette, self.say)
                elif isinstance(message, Sketch) and self._sketch is not None:
                    if self._words is not None:
                        self._words.wait_for(message.waypoint)
                    self._see(message.pictures)
                    self.say(self._sketch(message))
            self._taken += 1
            turn = self._taken - 1
        if self._words is not None:
            self._words.wait_for(message.waypoint)
        self._see(message.pictures)
        return turn, message.slot, message.waypoint

    def want(self) -> None:
        """Says that a picture is about to be decoded."""
        with self._saying:
            self._say(Want(time.perf_counter()))

    def answer(self, turn: int, slot: int, dreamt_s: float, memory: tuple[float, float], numbers: Shapes) -> None:
        """Says that a picture is in its slot."""
        with self._saying:
            self._saying.wait_for(lambda: self._over or self._answered == turn)
            self._say(Done(slot, time.perf_counter(), dreamt_s, memory, numbers))  # one clock for all processes
            self._answered += 1
            self._saying.notify_all()

    def end(self) -> None:
        """From now on nobody says anything; who has something to say ends as if the pipe were closed."""
        with self._saying:
            self._over = True
            self._saying.notify_all()

    def say(self, message: FromChild) -> None:
        """Says something between the pictures."""
        with self._saying:
            self._say(message)

    def _say(self, message: FromChild) -> None:
        if self._over:
            raise EOFError
        self._pipe.send(message)


class _Words:
    """Encodes palettes in a thread of their own, one after the other, so that no picture waits for them."""

    def __init__(self, dreamer: "Dreamer") -> None:
        self._dreamer = dreamer
        self._pool = futures.ThreadPoolExecutor(1, "words")
        self._under_way: dict[str, futures.Future[None]] = {}

    def encode(self, palette: Palette, say: Callable[[FromChild], None]) -> None:
        """Begins to encode; says PaletteReady when it is done, or PaletteRefused: the old palette is dreamt on."""

        def work() -> None:
            answer: FromChild = PaletteReady(palette.id)
            try:
                self._dreamer.take_palette(palette)
            except Exception as error:
                log.debug("these words cannot be encoded", exc_info=True)
                answer = PaletteRefused(palette.id, line(error))
            with contextlib.suppress(EOFError, OSError):  # the stage has gone, and this process ends with it
                say(answer)

        self._under_way = {id: future for id, future in self._under_way.items() if not future.done()}
        self._under_way[palette.id] = self._pool.submit(work)

    def wait_for(self, waypoint: Waypoint) -> None:
        """Waits for words that a waypoint names while they are being encoded: in a film, or after a restart."""
        for palette in waypoint.palettes:
            if future := self._under_way.get(palette):
                futures.wait([future])


def _sketched(dreamer: "Dreamer", asked: Sketch) -> Sketched:
    """Between two pictures of the show. Words that are known no more cost the sketch, and not the show."""
    try:
        pictures, calls = dreamer.sketch(asked.waypoint, asked.steps)
    except (KeyError, ValueError) as error:
        return Sketched(asked.number, (), why=line(error))
    return Sketched(asked.number, tuple(pictures), calls)


def _dream(dreamer: "Dreamer", ring: Ring, turns: _Turns) -> None:
    """Dreams one waypoint after another until the pipe closes, which raises EOFError."""
    process = psutil.Process()
    dreamer.prepare_thread()
    while True:
        turn, slot, waypoint = turns.take()
        begun = time.perf_counter()
        numbers = dreamer.dream_into(waypoint, ring.picture(slot), turns.want, ring.numbers(slot))
        turns.answer(turn, slot, time.perf_counter() - begun, memory_mb(process), numbers)
        if turn == 0:
            _settle()


def _dream_ahead(dreamer: "Dreamer", ring: Ring, turns: _Turns) -> None:
    """The same on a card: one thread begins pictures, another waits until they have landed in their slots, and says so.
    The card has the next picture to work on while the last is copied."""
    begun: queue.Queue[tuple[int, int, float, Landing, Shapes]] = queue.Queue(AHEAD)

    def begin() -> None:
        dreamer.prepare_thread()
        dreamer.pin(ring)
        while True:
            turn, slot, waypoint = turns.take()
            at = time.perf_counter()
            landing, numbers = dreamer.begin(waypoint, ring.picture(slot), turns.want, ring.numbers(slot))
            begun.put((turn, slot, at, landing, numbers))

    def land() -> None:
        process = psutil.Process()
        dreamer.prepare_thread()
        while True:
            turn, slot, at, landing, numbers = begun.get()
            landing.wait()
            turns.answer(turn, slot, time.perf_counter() - at, memory_mb(process), numbers)
            if turn == 0:
                _settle()

    _together(turns, [begin, land])


def _settle() -> None:
    """After the first picture, which people wait for: looks for waste once, and never again through what was loaded.

    This once takes 0.4 s; a whole look later on, in the midst of dreaming, takes none.
    """
    gc.collect()
    gc.freeze()
    gc.enable()


def _follow_parent() -> None:
    """Leaves at once if the stage dies, even in the middle of loading or of a long picture."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(0)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def memory_mb(process: psutil.Process) -> tuple[float, float]:
    """Resident memory of this process now and at its highest, in MB."""
    now_mb = process.memory_info().rss / 1e6
    if sys.platform == "win32":
        return now_mb, process.memory_info().peak_wset / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return now_mb, max(now_mb, peak / (1e6 if sys.platform == "darwin" else 1e6 / 1024))


def _tell(pipe: Connection, error: Exception) -> None:
    """What it ends of, for the stage; what nobody expected also for the log."""
    if isinstance(error, ModelError):
        _say(pipe, Hopeless(str(error)))
    elif isinstance(error, NotYet):
        _say(pipe, Fault(str(error), may_pass=True))
    elif led_to_by_memory(error):
        _say(pipe, OutOfMemory(f"out of memory: {line(error)}"))
    else:
        traceback.print_exc(file=sys.stderr)
        _say(pipe, Fault(line(error), may_pass(error)))


def _say(pipe: Connection, message: FromChild) -> None:
    try:
        pipe.send(message)
        pipe.close()
    except OSError:
        pass
