"""Children for the tests of the dreamer's process that need no torch: quick, and each with one fault.

Usage: `DreamerProcess(spec, supply, worker=fake_worker.steady)`. Run in the child process.
"""

import os
import signal
import time
import zlib
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from engine.dreamer.messages import (
    Done,
    Fault,
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
from engine.dreamer.ring import Ring
from engine.dreamer.shown import Seen
from engine.dreamer.spec import Arithmetic, DreamSpec
from engine.walk.waypoint import Waypoint

RingPlace = tuple[str, int, int, int]
ARITHMETIC = Arithmetic("nothing", "uint8", 1)
CURVE = "0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1"


def _flat(waypoint: Waypoint) -> Any:
    """One grey all over."""
    return round(waypoint.points[0].phase) % 256


def _noise(waypoint: Waypoint) -> np.ndarray:
    """(4, 4, 3) patches in (64, 64, 3): other ones for whatever differs in a waypoint but for its time."""
    seed = zlib.crc32(repr(replace(waypoint, time_s=0.0)).encode())
    return np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8).repeat(16, 0).repeat(16, 1)


def _serve(pipe: Connection, place: RingPlace, dream_s: float, fault: Any = None, paint: Any = _flat) -> None:
    ring = Ring.attach(*place)
    pipe.send(Loading("pretending"))
    pipe.send(Ready("a fake", ARITHMETIC))
    count = 0
    try:
        while True:
            while isinstance(message := pipe.recv(), TakePalette | Sketch):
                if isinstance(message, Sketch):
                    small = np.full((9, 16, 3), paint(message.waypoint), np.uint8)
                    pipe.send(Sketched(message.number, (small,) * (1 + message.steps), calls=int(message.steps)))
                elif "unspeakable" in message.palette.prompts:
                    pipe.send(PaletteRefused(message.palette.id, "no such words"))
                else:
                    pipe.send(PaletteReady(message.palette.id))
            slot, waypoint = message.slot, message.waypoint
            if fault is not None:
                fault(count)
            time.sleep(dream_s / 2)
            pipe.send(Want(time.monotonic()))
            time.sleep(dream_s / 2)
            ring.picture(slot)[:] = paint(waypoint)
            pipe.send(Done(slot, time.monotonic(), dream_s, (1.0, 2.0)))
            count += 1
    except (EOFError, OSError):
        pass
    finally:
        ring.close()


def steady(pipe: Connection, spec: DreamSpec, place: RingPlace, nice: int) -> None:
    """A picture every 20 ms."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _serve(pipe, place, 0.02)


def quick(pipe: Connection, spec: DreamSpec, place: RingPlace, nice: int) -> None:
    """A picture every 4 ms: several between two polls of the stage."""
    _serve(pipe, place, 0.004)


def painting(pipe: Connection, spec: DreamSpec, place: RingPlace, nice: int) -> None:
    """A picture every 4 ms, of 64 by 64 pixels, that shows which waypoint it was made of."""
    _serve(pipe, place, 0.004, paint=_noise)


def slow(pipe: Connection, spec: DreamSpec, place: RingPlace, nice: int) -> None:
    """A picture every 1.2 s, as a large model on a CPU."""
    _serve(pipe, place, 1.2)


def deaf(pipe: Connection, spec: DreamSpec, place: RingPlace, nice: int) -> None:
    """Says it is ready and never reads again, nor leaves when asked."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pipe.send(Ready("deaf", ARITHMETIC))
    time.sleep(60)


def hanging(pipe: Connection, spec: DreamSpec, place: RingPlace, nice: int) -> None:
    """Hangs in its fourth picture."""
    _serve(pipe, place, 0.01, lambda n: time.sleep(60) if n == 3 else None)


def dying(pipe: Connection, spec: DreamSpec, place: RingPlace, nice: int) -> None:
    """Dies in its fourth picture, each time."""
    _serve(pipe, place, 0.01, lambda n: os.kill(os.getpid(), signal.SIGKILL) if n == 3 else None)


def stillborn(pipe: Connection, spec: DreamSpec, place: RingPlace, nice: int) -> None:
    """Dies while loading."""
    os._exit(3)


def refusing(pipe: Connection, spec: DreamSpec, place: RingPlace, nice: int) -> None:
    """A model that no second try would load."""
    pipe.send(Hopeless("nothing: no such model; give another"))


def hungry(pipe: Connection, spec: DreamSpec, place: RingPlace, nice: int) -> None:
    """Out of memory until it is told to be economical."""
    if spec.economy < 2:
        pipe.send(OutOfMemory("out of memory: 1 GB asked, 0 free"))
        raise SystemExit(1)
    _serve(pipe, place, 0.01)


def hopeless(pipe: Connection, spec: DreamSpec, place: RingPlace, nice: int) -> None:
    """Ends of the same each time before its first picture."""
    pipe.send(Loading("pretending"))
    pipe.send(Fault("ValueError: no such shape"))
    raise SystemExit(1)


def insatiable(pipe: Connection, spec: DreamSpec, place: RingPlace, nice: int) -> None:
    """Out of memory however economical it is; how much there is changes."""
    pipe.send(OutOfMemory(f"out of memory: 1 GB asked, {os.getpid() / 100} MiB free"))
    raise SystemExit(1)


def fickle(pipe: Connection, spec: DreamSpec, place: RingPlace, nice: int) -> None:
    """Ends of something else each time; what it says holds its pid."""
    pipe.send(Fault(f"RuntimeError: fault {os.getpid()}"))
    raise SystemExit(1)


def killed_while_loading(pipe: Connection, spec: DreamSpec, place: RingPlace, nice: int) -> None:
    """Killed each time before it can say of what it ends."""
    pipe.send(Loading("reading the unet"))
    os.kill(os.getpid(), signal.SIGKILL)


def losing_its_model(pipe: Connection, spec: DreamSpec, place: RingPlace, nice: int) -> None:
    """The first child dreams a picture and dies; the next five find nothing to load; then all is well again.

    Counts its starts in the file named by the model.
    """
    mark = Path(spec.model.name)
    starts = len(mark.read_text()) if mark.exists() else 0
    mark.write_text("x" * (starts + 1))
    if starts == 0:
        _serve(pipe, place, 0.01, lambda n: os.kill(os.getpid(), signal.SIGKILL) if n == 1 else None)
    elif starts <= 5:
        pipe.send(Hopeless("no such folder") if starts % 2 else Fault("no such folder"))
        raise SystemExit(1)
    else:
        _serve(pipe, place, 0.01)


def leaving_a_mark(pipe: Connection, spec: DreamSpec, place: RingPlace, nice: int) -> None:
    """Steady, and writes its pid into the file named by the model."""
    Path(spec.model.name).write_text(str(os.getpid()))
    _serve(pipe, place, 0.02)


def learning(pipe: Connection, spec: DreamSpec, place: RingPlace, nice: int) -> None:
    """One picture, with the numbers it came of and a focus curve, 1 where the curve was known before; then it ends."""
    ring = Ring.attach(*place)
    pipe.send(Ready("a learner", replace(ARITHMETIC, focus=spec.focus)))
    slot = pipe.recv().slot
    pipe.send(Learnt(replace(ARITHMETIC, focus=CURVE)))
    ring.picture(slot)[:] = spec.focus == CURVE
    ring.numbers(slot)[:] = 9
    pipe.send(Done(slot, time.monotonic(), 0.01, (1.0, 2.0), ((2, 3, 4), None)))
    ring.close()


def seeing(pipe: Connection, spec: DreamSpec, place: RingPlace, nice: int) -> None:
    """Paints the mean of the pictures that steer, 0 without any; it dies of the first that is bright."""
    ring, seen = Ring.attach(*place), Seen()
    pipe.send(Ready("a fake", ARITHMETIC))
    died = Path(spec.model.name)
    try:
        while True:
            message = pipe.recv()
            found = [seen.read(where) for where in message.pictures]
            grey = round(float(np.mean(found))) if found else 0
            if grey > 200 and not died.exists():
                died.touch()
                os._exit(1)
            ring.picture(message.slot)[:] = grey
            pipe.send(Want(time.monotonic()))
            pipe.send(Done(message.slot, time.monotonic(), 0.01, (1.0, 2.0)))
    except (EOFError, OSError):
        pass
    finally:
        seen.close()
        ring.close()


def steered(pipe: Connection, spec: DreamSpec, place: RingPlace, nice: int) -> None:
    """Paints what is seen in the waypoint, and over it the pictures that steer, by their shares; dies without one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ring, seen = Ring.attach(*place), Seen()
    pipe.send(Ready("a fake", ARITHMETIC))
    try:
        while True:
            message = pipe.recv()
            if isinstance(message, TakePalette):
                pipe.send(PaletteReady(message.palette.id))
                continue
            picture = _noise(replace(message.waypoint, guide=None)).astype(float)
            found, guide = {where.hash: seen.read(where) for where in message.pictures}, message.waypoint.guide
            for hash, share in guide.seen if guide else ():
                picture += guide.strength * share * (found[hash] - picture)
            ring.picture(message.slot)[:] = picture.astype(np.uint8)
            pipe.send(Want(time.monotonic()))
            pipe.send(Done(message.slot, time.monotonic(), 0.01, (1.0, 2.0)))
    except (EOFError, OSError):
        pass
    finally:
        seen.close()
        ring.close()
