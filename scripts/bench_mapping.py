"""What mappings cost: a hundred of them a frame, and a flood through them, on the stage and from the socket.

Usage: by scripts/bench.py, `scripts/bench --only control` and `--only osc`.
"""

import socket
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np
from pythonosc.osc_message_builder import OscMessageBuilder

from engine.control.controls import Controls
from engine.control.mapping import Mapper
from engine.control.osc import OscIn
from engine.play.shows import load_show
from engine.show.config import Show

Row = tuple[str, str, float, str]  # what, against what, figure, target
MAPPINGS = 100
RATE = 20_000  # messages a second
FPS = 60


def mapped(show: Show, folder: Path, barely: bool = False) -> Path:
    """The show with MAPPINGS smoothed mappings, over all of its numbers, from /sensor/0 on.

    barely: each moves its number hardly away from the show's own value, so that frames tell what the mapping costs and
    not what another look does.
    """
    numbers = [(n, p) for n, p in show.registry.items() if p.live and p.kind == "number"]
    maps = []
    for at in range(MAPPINGS):
        name, param = numbers[at % len(numbers)]
        own, step = show.values[name], (param.high - param.low) * 1e-4
        out = f"out = [{own}, {own + step if own + step <= param.high else own - step}]\n" if barely else ""
        maps.append(f'[[map]]\nfrom = "/sensor/{at}"\nto = "{name}"\n{out}smooth = true\n')
    path = folder / "mapped.toml"
    path.write_text("\n".join([show.path.read_text(), *maps]))
    return path


def packets(count: int) -> list[bytes]:
    """Messages for all of these mappings in turn, each with a value of its own."""
    rng, made = np.random.default_rng(0), []
    for n in range(count):
        builder = OscMessageBuilder(f"/sensor/{n % MAPPINGS}")
        builder.add_arg(float(np.float32(rng.random())), "f")
        made.append(builder.build().dgram)
    return made


def bench_mappings(show: Show) -> list[Row]:
    """A frame in which every one of the mappings hears something new and is smoothed; and a flood from a socket."""
    with tempfile.TemporaryDirectory() as folder:
        loaded = load_show(mapped(show, Path(folder)))
    return [_frame_row(loaded), *_flood_rows(loaded)]


def _frame_row(show: Show) -> Row:
    controls, mapper = Controls(show.registry, show.values), Mapper(show.registry, show.things["map"], show.values)
    rng, best, time_s = np.random.default_rng(0), float("inf"), 0.0
    for _ in range(200):
        values = [float(v) for v in rng.random(MAPPINGS)]
        begun = time.process_time()
        for n, value in enumerate(values):
            mapper.hear(f"/sensor/{n}", (value,))
        for name, said in mapper.drain():
            controls.set(name, said)
        for _ in range(2):
            time_s += 1 / 120
            mapper.tick(controls, time_s)
        best = min(best, time.process_time() - begun)  # as others may hold the processor up
    return (f"{MAPPINGS} mappings, all moving, us a frame", "", best * 1e6, "<= 250 us")


def _flood_rows(show: Show) -> list[Row]:
    """A second of RATE messages a second, in the bursts of a frame: each parameter must come to rest where the last
    message for it wants it."""
    controls, mapper = Controls(show.registry, show.values), Mapper(show.registry, show.things["map"], show.values)
    osc = OscIn("127.0.0.1", 0, show.registry, mapper=mapper)
    osc.start()
    waiting, spent, sent, time_s = iter(packets(RATE)), 0.0, 0, 0.0
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            for _ in range(FPS):
                for packet in islice(waiting, RATE // FPS):
                    out.sendto(packet, ("127.0.0.1", osc.port))
                    sent += 1
                begun = time.process_time()
                steers = [*osc.drain(), *mapper.drain()]
                for name, value in steers:
                    controls.set(name, value)
                spent += time.process_time() - begun
                for _ in range(2):
                    time_s += 1 / 120
                    mapper.tick(controls, time_s)
        for _ in range(20 * FPS):  # until the filters rest
            for name, value in [*osc.drain(), *mapper.drain()]:
                controls.set(name, value)
            time_s += 1 / 120
            mapper.tick(controls, time_s)
        lost = sent - osc.counts.accepted
    finally:
        osc.close()
    right = sum(_rests_at_last(show, controls, entry.to) for entry in show.things["map"].entries)
    return [
        (f"{RATE} msg/s through {MAPPINGS} mappings, us a frame", "", spent / FPS * 1e6, ""),
        ("mappings whose last value was lost", f"{lost} of {sent} messages lost", float(MAPPINGS - right), "0"),
    ]


def _rests_at_last(show: Show, controls: Controls, name: str) -> bool:
    """Whether a parameter is where the newest message that moves it wants it."""
    sent = RATE // FPS * FPS
    values = np.random.default_rng(0).random(sent)
    moving = {n for n, entry in enumerate(show.things["map"].entries) if entry.to == name}
    newest = max(k for k in range(sent - MAPPINGS, sent) if k % MAPPINGS in moving)
    wanted = show.registry[name].at(float(np.float32(values[newest])))
    return abs(float(controls.target(name)) - wanted) <= 1e-6 * max(1.0, abs(wanted))
