"""The benchmark: every speed claim of the README as a ratio measured side by side in one run.

Usage: `scripts/bench [--quick] [--only dreamer,stage,osc,control,film,memory,pulp,panel,lora] [--json out/bench.json]`,
or `scripts/bench --gpu` for what an NVIDIA card gives (bench_gpu.py).
Absolute figures belong to the machine and the minute; the ratios are what is claimed. Nothing else should
run on the machine meanwhile.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from bench_gpu import NO_CARD, on_a_stand_in, on_the_card, rows_of
from bench_lora import bench_lora
from bench_mapping import RATE, bench_mappings, mapped, packets
from bench_panel import bench_panel
from bench_pulp import bench_pulp

from engine.play.shows import load_show
from engine.show.config import Show

Row = tuple[str, str, float, str]  # what, against what, figure, target


def alternate(a: Callable[[], None], b: Callable[[], None], rounds: int) -> tuple[float, float]:
    """Median seconds of a and of b, run in turn so that drift of the machine meets both alike."""
    took: tuple[list[float], list[float]] = ([], [])
    for i in range(rounds + 1):
        for work, times in zip((a, b), took, strict=True):
            start = time.perf_counter()
            work()
            if i:  # the first round warms up
                times.append(time.perf_counter() - start)
    return statistics.median(took[0]), statistics.median(took[1])


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two 8-bit pictures."""
    error = float(((a.astype(np.float64) - b.astype(np.float64)) ** 2).mean())
    return 99.0 if error == 0 else 10 * float(np.log10(255**2 / error))


def waypoints(show: Show, count: int) -> list[Any]:
    """Places along the walk, a third of a correlation length apart."""
    from engine.play.conductor import Conductor

    conductor = Conductor(show)
    step_s = 0.33 / max(1e-6, conductor.navigator.rate)
    return [conductor.waypoint(i * step_s) for i in range(count)]


def bench_dreamer(show: Show, quick: bool) -> list[Row]:
    """Our dreamer against the library's pipeline called once a picture, same model, steps, size and dtype."""
    import torch
    from diffusers import DiffusionPipeline

    from engine.dreamer.load import Dreamer
    from engine.dreamer.models import find
    from engine.dreamer.process import DreamSpec

    rounds = 6 if quick else 25
    library_threads = torch.get_num_threads()  # the library its default; ours, what a show takes that a GPU draws
    place = find(show.model.name)
    prompt = show.materials[0].prompt
    rows: list[Row] = []
    places = waypoints(show, rounds + 1)
    pictures: dict[str, list[np.ndarray]] = {}
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16), ("auto", None)):
        spec = DreamSpec.from_show(replace(show, model=replace(show.model, dtype=name)))
        ours = Dreamer(spec)
        ours_threads = torch.get_num_threads()
        pictures[name] = [np.array(ours.dream(w)) for w in places[:6]]
        if dtype is None:
            break
        pipe = DiffusionPipeline.from_pretrained(place.path, dtype=dtype)
        pipe.set_progress_bar_config(disable=True)
        factor = pipe.vae_scale_factor
        shape = (1, pipe.unet.config.in_channels, show.model.height // factor, show.model.width // factor)
        latents = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=dtype)

        def library(pipe: Any = pipe, latents: Any = latents, ours_threads: int = ours_threads) -> None:
            torch.set_num_threads(library_threads)
            pipe(
                prompt,
                latents=latents,
                num_inference_steps=show.model.steps,
                guidance_scale=show.model.guidance,
                width=show.model.width,
                height=show.model.height,
            )
            torch.set_num_threads(ours_threads)

        queue = iter(places * 2)
        ours_s, library_s = alternate(lambda d=ours, q=queue: d.dream(next(q)), library, rounds)
        rows.append(_keyframe_row(name, ours_s, name, library_s))
        if name == "float32":
            library32 = library
    worst = min(psnr(a, b) for a, b in zip(pictures["auto"], pictures["float32"], strict=True))
    rows.append(("picture as run", "its float32 one, dB (worst of 6)", worst, ">= 40 dB"))
    return [*rows, *_as_run(show, library32, rounds)]


def _keyframe_row(ours: str, ours_s: float, library: str, library_s: float) -> Row:
    what = f"keyframe, {ours}: ours {ours_s * 1e3:.0f} ms"
    return (what, f"library {library} {library_s * 1e3:.0f} ms", library_s / ours_s, ">= 1.5 x")


def _as_run(show: Show, library: Callable[[], None], rounds: int) -> list[Row]:
    """Our dreamer in a process of its own, as a show has it, against the library's pipeline and against itself with
    its pictures delivered; the three in turn, a window of pictures each."""
    from engine.dreamer.process import DreamerProcess, DreamSpec

    spec, places = DreamSpec.from_show(show), waypoints(show, 50)
    ours, theirs = multiprocessing.Pipe()
    alone = multiprocessing.get_context("spawn").Process(target=_alone, args=(theirs, spec, places), daemon=True)
    alone.start()
    wanted = iter(places[:0])
    dreamer = DreamerProcess(spec, lambda: next(wanted, None))
    dreamer.start()
    took: dict[str, list[float]] = {"library": [], "alone": [], "delivered": []}
    try:
        for _ in range(max(3, rounds // 2)):
            took["library"].append(statistics.median(_times(library, 3)))
            ours.send(10)
            took["alone"].append(ours.recv() / 10)
            wanted = iter(places[:12])
            arrived: list[float] = []
            while len(arrived) < 12:
                arrived += [time.perf_counter()] * len(dreamer.poll(1 / 60))
                if dreamer.status.state == "failed":
                    raise RuntimeError(dreamer.status.message)
            took["delivered"].append((arrived[-1] - arrived[1]) / 10)
    finally:
        ours.send(0)
        dreamer.stop()
    library_s, alone_s = statistics.median(took["library"]), statistics.median(took["alone"])
    # Window by window: what stood in the way of one stood in the way of its neighbour.
    delivered = statistics.median(a / d for a, d in zip(took["alone"], took["delivered"], strict=True))
    return [
        _keyframe_row("as run", alone_s, "float32", library_s),
        ("keyframes/s delivered", f"model only ({1 / alone_s:.2f}/s)", delivered, ">= 0.95 x"),
    ]


def _alone(pipe: Connection, spec: Any, places: list[Any]) -> None:
    """A dreamer by itself, in a process set up as the one beside a stage is: told a number, it dreams so many
    pictures and answers how long they took."""
    from engine.dreamer import process, worker

    worker.prepare(process.NICE)
    from engine.dreamer.load import Dreamer

    dreamer, place = Dreamer(spec), itertools.cycle(places)
    dreamer.dream(next(place))
    while count := pipe.recv():
        start = time.perf_counter()
        for _ in range(count):
            dreamer.dream(next(place))
        pipe.send(time.perf_counter() - start)


def _times(work: Callable[[], Any], rounds: int) -> list[float]:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times


def bench_stage(show: Show, quick: bool) -> list[Row]:
    """A crossfade, and the default look, against a bare blit of the same size; uncapped, finished each frame."""
    native = replace(show, model=replace(show.model, width=256, height=256))
    return [*_stage(native, quick), *_stage(show, quick), *_shelves(show, quick)]


SPHERES, KINDS = 10_000, 12


def _shelves(show: Show, quick: bool) -> list[Row]:
    """The memory bank seen, with ten thousand spheres on its shelves and the default look, against the plain picture
    with the same look; 1280x720, uncapped, finished each frame. From the front, where most are in sight, and gliding.
    Those that are in sight are drawn: the dark takes the rest."""
    from engine.control.controls import Controls
    from engine.dreamer.process import Keyframe
    from engine.stage.blend import Blend
    from engine.stage.gl import create_context, lay_blue_first, make_target
    from engine.stage.look import Look
    from engine.stage.shaders import Shaders
    from engine.stage.shelves import SPHERE, Shelves

    ctx = create_context(headless=True)
    target = make_target(ctx, (1280, 720), "f1")
    lay_blue_first(ctx, target.texture)
    shaders, picture = Shaders(ctx), (show.model.width, show.model.height)
    blend, look = Blend(ctx, shaders, picture), Look(ctx, shaders)
    rng = np.random.default_rng(0)
    for i, waypoint in enumerate(waypoints(show, 2)):
        pixels = rng.integers(0, 255, (picture[1], picture[0], 3), dtype=np.uint8)
        blend.upload(Keyframe(replace(waypoint, time_s=i * 1e4), pixels, i, 0.1))
    spheres = np.zeros(SPHERES, SPHERE)
    spheres["id"] = spheres["place"] = np.arange(SPHERES)
    spheres["kind"], spheres["strength"] = np.arange(SPHERES) % KINDS, rng.uniform(0.2, 1.0, SPHERES)
    clock = iter(np.arange(1.0, 1e4, 0.05))

    def draw(shelves: Shelves | None, values: Controls) -> None:
        at = float(next(clock))
        shown = blend.render(at, values, live=False)
        if shelves is not None:
            shown = shelves.render(shown, at, values, (1280, 720))
            for memory in shelves.wanted:
                shelves.put_thumbnail(memory, pixels[:128, :128])
        look.render(shown, target.framebuffer, values, at)
        ctx.finish()

    rows: list[Row] = []
    plain = Controls(show.registry, show.values)
    for kind, glide in (
        ("from the front", 0.0),
        ("gliding", 1.0),
    ):
        shelves = Shelves(ctx, shaders)
        shelves.set(spheres)
        values = Controls(show.registry, {**show.values, "memory.view": 1.0, "memory.glide": glide})
        for _ in range(200 if glide else 20):
            draw(shelves, values)
        plain_s, ours_s = alternate(partial(draw, None, plain), partial(draw, shelves, values), 40 if quick else 150)
        what = f"shelves, {SPHERES} spheres, {kind} ({shelves.drawn} in sight): {1 / ours_s:.1f} fps"
        rows.append((what, f"plain picture {1 / plain_s:.1f} fps", plain_s / ours_s, ""))
        rows.append((f"shelves, {kind}, fps at 1280x720", "", 1 / ours_s, ">= 20"))
    ctx.release()
    return rows


def _stage(show: Show, quick: bool) -> list[Row]:
    from engine.control.controls import Controls
    from engine.dreamer.process import Keyframe
    from engine.stage.blend import Blend
    from engine.stage.gl import create_context, lay_blue_first, make_target
    from engine.stage.look import Look
    from engine.stage.shaders import Shaders

    ctx = create_context(headless=True)
    target = make_target(ctx, (1280, 720), "f1")
    lay_blue_first(ctx, target.texture)  # as a window is
    controls = Controls(show.registry, show.values)
    plain = Controls(show.registry, {**show.values, "look.enabled": False})
    shaders = Shaders(ctx)
    picture = (show.model.width, show.model.height)
    blend, look = Blend(ctx, shaders, picture), Look(ctx, shaders)
    rng = np.random.default_rng(0)
    size = (show.model.height, show.model.width, 3)
    for i, waypoint in enumerate(waypoints(show, 4)):
        pixels = rng.integers(0, 255, size, dtype=np.uint8)
        blend.upload(Keyframe(replace(waypoint, time_s=float(i)), pixels, i, 0.1))
    blit = _bare_blit(ctx, target, ctx.texture(picture, 3, rng.bytes(picture[0] * picture[1] * 3), alignment=1))
    laid = make_target(ctx, picture, "f1")
    lay_blue_first(ctx, laid.texture)
    laid.texture.write(rng.bytes(picture[0] * picture[1] * 4))
    laid_blit = _bare_blit(ctx, target, laid.texture)
    clock = iter(np.linspace(0.5, 2.5, 100_000))

    def draw(values: Controls) -> None:
        at = float(next(clock))
        look.render(blend.render(at, values, live=False), target.framebuffer, values, at)
        ctx.finish()

    rounds = 60 if quick else 300
    rows: list[Row] = []
    for what, values, against, bare, aim in (
        ("crossfade alone", plain, "bare blit", blit, ">= 0.9 x"),
        # Ours is drawn from a texture laid out for this renderer, which keyframes are not; so to be fair:
        ("crossfade alone", plain, "bare blit, laid out as the window is", laid_blit, ""),
        ("default look", controls, "bare blit", blit, ""),
    ):
        bare_s, ours_s = alternate(bare, partial(draw, values), rounds)
        ours = f"{what}, {picture[0]}x{picture[1]} to 1280x720: {1 / ours_s:.0f} fps"
        rows.append((ours, f"{against} {1 / bare_s:.0f} fps", bare_s / ours_s, aim))
    ctx.release()
    return rows


def _bare_blit(ctx: Any, target: Any, texture: Any) -> Callable[[], None]:
    program = ctx.program(
        vertex_shader="#version 330\nout vec2 uv; void main() { uv = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0;"
        " gl_Position = vec4(uv * 2.0 - 1.0, 0.0, 1.0); }",
        fragment_shader="#version 330\nin vec2 uv; out vec4 o; uniform sampler2D t;"
        " void main() { o = texture(t, uv); }",
    )
    vertices = ctx.vertex_array(program, [])

    def draw() -> None:
        target.framebuffer.use()
        texture.use(0)
        vertices.render(vertices=3)
        ctx.finish()

    return draw


class Live:
    """`pedesis run --headless` in a process of its own, its stats read when it ends."""

    def __init__(self, show: str, seconds: float, *more: str) -> None:
        self.stats = Path(tempfile.mkdtemp()) / "stats.json"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [
            sys.executable,
            "-m",
            "engine.cli",
            "-q",
            "run",
            show,
            "--headless",
            "--duration",
            str(seconds),
            "--osc-port",
            str(self.port),
            "--stats",
            str(self.stats),
            *more,
        ]
        self.process = subprocess.Popen(command)

    def result(self) -> dict[str, Any]:
        if self.process.wait() != 0:
            raise RuntimeError(f"the live run ended with {self.process.returncode}")
        return json.loads(self.stats.read_text())


def bench_osc(show_name: str, quick: bool) -> list[Row]:
    """The live show under 20,000 messages a second, against itself left alone, and against itself while the same
    sender, which takes its own share of the processors, sends to a port that nobody reads; and latency."""
    seconds = 12 if quick else 20
    flood_s = min(10.0, seconds - 6)
    calm = Live(show_name, seconds).result()
    beside = Live(show_name, seconds)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        time.sleep(4)
        flood(nobody.getsockname()[1], rate=20_000, seconds=flood_s)
    disturbed = beside.result()
    flooded = Live(show_name, seconds)
    time.sleep(4)
    sent = flood(flooded.port, rate=20_000, seconds=flood_s)
    under = flooded.result()
    taken = under["osc"]["accepted"]  # those superseded by a newer one included
    through, elsewhere = _flood_through_mappings(show_name, seconds, flood_s)
    p50, p99 = latency()
    rows: list[Row] = [
        ("first picture, s after launch", "", calm["stage"]["first_picture_s"], "<= 1.5 s"),
        ("first keyframe, s after launch", "", calm["dreamer"]["first_keyframe_s"], "<= 12 s"),
        ("stage fps while dreaming, 1280x720", "", calm["stage"]["fps_mean"], ">= 30"),
        ("longest frame gap, ms", "", calm["stage"]["longest_gap_ms"], "<= 100 ms"),
        ("stage peak memory, MB", "", calm["memory"]["stage_peak_mb"], "<= 300"),
        (
            f"stage fps under {sent / flood_s:.0f} msg/s",
            "left alone",
            under["stage"]["fps_mean"] / calm["stage"]["fps_mean"],
            ">= 0.9 x",
        ),
        (
            f"stage fps under {sent / flood_s:.0f} msg/s",
            "the same sender sending elsewhere",
            under["stage"]["fps_mean"] / disturbed["stage"]["fps_mean"],
            ">= 0.9 x",
        ),
        (f"OSC messages accepted of {sent} sent", f"dropped {under['osc']['dropped']}", taken / sent, ""),
        (
            f"stage fps under {RATE} msg/s through 100 mappings",
            "the same sender sending elsewhere",
            through["stage"]["fps_mean"] / elsewhere["stage"]["fps_mean"],
            ">= 0.9 x",
        ),
        ("packet to parameter at 60 fps, ms p50", "", p50 * 1e3, ""),
        ("packet to parameter at 60 fps, ms p99", "", p99 * 1e3, "<= 50 ms"),
    ]
    return rows


def _flood_through_mappings(show_name: str, seconds: float, flood_s: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """A show with a hundred mappings under a flood for them, and while the same flood goes elsewhere."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
        nobody.bind(("127.0.0.1", 0))
        path = str(mapped(load_show(show_name), Path(folder), barely=True))
        results = []
        for here in (True, False):
            live = Live(path, seconds)
            time.sleep(4)
            flood(live.port if here else nobody.getsockname()[1], RATE, flood_s, packets(64 * 100))
            results.append(live.result())
    return results[0], results[1]


def flood(port: int, rate: float, seconds: float, messages: list[bytes] | None = None) -> int:
    """Sends /walk/speed and its like, or other messages, at a steady rate for so long; returns how many."""
    packets = messages or _usual_messages()
    sent, start = 0, time.perf_counter()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        while (elapsed := time.perf_counter() - start) < seconds:
            for _ in range(int(elapsed * rate) - sent):
                out.sendto(packets[sent % len(packets)], ("127.0.0.1", port))
                sent += 1
            time.sleep(0.001)
    return sent


def _usual_messages() -> list[bytes]:
    from pythonosc.osc_message_builder import OscMessageBuilder

    made = []
    for address in ("/walk/speed", "/walk/radius", "/look/grain", "/walk/wander"):
        for value in np.linspace(0, 1, 16):
            builder = OscMessageBuilder(address)
            builder.add_arg(float(value), "f")
            made.append(builder.build().dgram)
    return made


def latency(count: int = 300) -> tuple[float, float]:
    """Seconds, p50 and p99, from sendto to the parameter's target, drained at 60 frames a second."""
    from pythonosc.udp_client import SimpleUDPClient

    from engine.control.controls import Controls
    from engine.control.osc import OscIn

    show = load_show("house")
    controls = Controls(show.registry, show.values)
    osc = OscIn("127.0.0.1", 0, show.registry)
    osc.start()
    client = SimpleUDPClient("127.0.0.1", osc.port)
    rng = np.random.default_rng(0)
    took = []
    try:
        for i in range(count):
            time.sleep(float(rng.uniform(0, 1 / 60)))
            value = 0.1 + i / count
            sent = time.perf_counter()
            client.send_message("/walk/speed", value)
            deadline = sent + 1.0
            while abs(float(controls.target("walk.speed")) - value) > 1e-4 and time.perf_counter() < deadline:
                time.sleep(1 / 60)
                for name, new in osc.drain():
                    controls.set(name, new)
            took.append(time.perf_counter() - sent)
    finally:
        osc.close()
    return float(np.percentile(took, 50)), float(np.percentile(took, 99))


LFO_TARGETS = ("walk.speed", "walk.radius", "look.exposure", "look.grain", "look.contrast", "blend.time")


def bench_control(show: Show) -> list[Row]:
    """What motion of its own costs a show: processor time of the two ticks of a frame at 60 fps, with and without."""
    from engine.control.lfo import SHAPES

    lfos = []
    for n in range(20):
        shape = SHAPES[n % len(SHAPES)]
        pace = "" if shape == "envelope" else f"rate = {0.1 + n / 10}\n" if n % 2 else "beats = 4\n"
        to = LFO_TARGETS[n % len(LFO_TARGETS)]
        lfos.append(f'[[lfo]]\nname = "l{n}"\nto = "{to}"\nshape = "{shape}"\nseed = {n}\n{pace}')
    with tempfile.TemporaryDirectory() as folder:
        moved = Path(folder) / "moved.toml"
        moved.write_text(show.path.read_text() + "\n" + "\n".join(lfos))
        cost_s = _tick_s(load_show(moved)) - _tick_s(show)
    lfo_row = ("20 LFOs, us a frame at 60 fps", "two ticks without any", 2 * cost_s * 1e6, "<= 250 us")
    return [lfo_row, *bench_mappings(show)]


def _tick_s(show: Show) -> float:
    """Processor time of one tick of the conductor: the least of many runs, as others may hold the processor up."""
    from engine.play.conductor import Conductor

    conductor, best = Conductor(show), float("inf")
    for _ in range(20):
        begun = time.process_time()
        for _ in range(240):
            conductor.tick()
        best = min(best, (time.process_time() - begun) / 240)
    return best


def bench_film(show: Show, quick: bool) -> list[Row]:
    """Films as the show places its keyframes, and with every frame dreamt."""
    dense = replace(show, film=replace(show.film, gap=1e-6))
    return [*_film(show, 6.0 if quick else 20.0, "as shown"), *_film(dense, 6.0, "every frame dreamt")]


def _film(show: Show, duration_s: float, kind: str) -> list[Row]:
    """A film against dreaming its keyframes alone and against encoding its frames alone."""
    from engine.dreamer.process import DreamerProcess, DreamSpec
    from engine.play.conductor import Conductor, play_through
    from engine.play.film import FilmJob, run_film
    from engine.record.recorder import Recorder
    from engine.walk import plan

    folder = Path(tempfile.mkdtemp())
    fps, size = Fraction(30), (1280, 720)
    job = FilmJob(folder / "film.mp4", duration_s, fps, *size)
    psutil.cpu_percent()
    start = time.perf_counter()
    run_film(show, job)
    film_s = time.perf_counter() - start
    busy = psutil.cpu_percent() / 100
    keyframes = list(plan.keyframes(play_through(Conductor(show), fps, job.frames), show.film.gap))
    places = iter(keyframes)
    start = time.perf_counter()
    dreamer = DreamerProcess(DreamSpec.from_show(show, film=True), lambda: next(places, None), lossless=True)
    dreamer.start()
    arrived = 0
    while arrived < len(keyframes):
        arrived += len(dreamer.poll(0.05))
    dreamer.stop()
    dream_s = time.perf_counter() - start
    frames = decoded(job.out, 60)
    recorder = Recorder(folder / "encode.mp4", size, fps, crf=show.film.crf)
    start = time.perf_counter()
    for n in range(job.frames):
        recorder.write(frames[n % len(frames)])
    recorder.close()
    encode_s = time.perf_counter() - start
    return [
        (
            f"film {kind}, {duration_s:.0f} s, {len(keyframes)} keyframes: {film_s:.1f} s",
            f"dreaming {dream_s:.1f} s, encoding {encode_s:.1f} s",
            film_s / max(dream_s, encode_s),
            "<= 1.15 x",
        ),
        (f"film {kind}, real-time factor", f"encoding alone {duration_s / encode_s:.2f}", duration_s / film_s, ""),
        (f"film {kind}, share of all cores in use", "", busy, ""),
    ]


def decoded(path: Path, count: int) -> list[np.ndarray]:
    """The first frames of a video."""
    import av

    with av.open(str(path)) as container:
        return [f.to_ndarray(format="rgba") for f, _ in zip(container.decode(video=0), range(count), strict=False)]


def _bench_lora(show: Show, quick: bool) -> list[Row]:
    rounds = 15 if quick else 60
    return bench_lora(show, waypoints(show, rounds + 1), alternate, rounds)


def bench_memory(show_name: str, quick: bool) -> list[Row]:
    """Resident memory of both processes after 2,000 frames and after 10,000 (quick: 600 and 1,800)."""
    early, late = (600, 1800) if quick else (2000, 10_000)
    live = Live(show_name, late / 60 + 60)
    stage = psutil.Process(live.process.pid)
    time.sleep(early / 60 + 8)
    first = _memory(stage)
    time.sleep((late - early) / 60)
    second = _memory(stage)
    os.kill(live.process.pid, signal.SIGTERM)
    live.result()
    return [
        (
            f"stage memory, MB after {late} frames: {second[0]:.0f}",
            f"after {early}: {first[0]:.0f}",
            second[0] / first[0],
            "<= 1.01 x",
        ),
        (
            f"dreamer memory, MB after {late} frames: {second[1]:.0f}",
            f"after {early}: {first[1]:.0f}",
            second[1] / first[1],
            "<= 1.01 x",
        ),
    ]


def _memory(stage: psutil.Process) -> tuple[float, float]:
    children = stage.children(recursive=True)
    largest = max((c.memory_info().rss for c in children), default=0)
    return stage.memory_info().rss / 2**20, largest / 2**20


def bench_card(show: Show, stand_in: bool) -> dict[str, Any]:
    """What a card gives, printed row by row; the card and the rows. Exits with 2 where there is none."""
    import torch

    if not stand_in and not torch.cuda.is_available():
        print(NO_CARD, file=sys.stderr)
        raise SystemExit(2)
    begun = time.perf_counter()
    with (on_a_stand_in if stand_in else on_the_card)(show, waypoints) as (bench, about):
        print(f"{about['card']}; {show.name}, {bench.show.model.width}x{bench.show.model.height}", flush=True)
        results = []
        for row in rows_of(bench):
            print_row("gpu", *row)
            results.append(dict(zip(("what", "against", "figure", "target"), row, strict=True)))
    return {**about, "seconds": round(time.perf_counter() - begun, 1), "rows": results}


def print_row(name: str, what: str, against: str, figure: float | None, target: str) -> None:
    shown = "none" if figure is None else f"{figure:.2f}"  # no picture came in the time there was
    print(f"{name:8} {what:52} {against:52} {shown:>9}  {target}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter runs, noisier figures")
    parser.add_argument("--only", default="dreamer,stage,osc,control,film,memory,pulp,panel,lora")
    parser.add_argument("--show", default="house")
    parser.add_argument("--json", type=Path, help="out/bench.json, or out/bench-gpu.json, if not given")
    parser.add_argument("--gpu", action="store_true", help="what an NVIDIA card gives, in under eight minutes")
    parser.add_argument("--stand-in", action="store_true", help="with --gpu: every row, on the processor")
    arguments = parser.parse_args()
    show = load_show(arguments.show)
    if arguments.gpu:
        write(arguments.json or Path("out/bench-gpu.json"), bench_card(show, arguments.stand_in))
        return
    benches: dict[str, Callable[[], list[Row]]] = {
        "dreamer": lambda: bench_dreamer(show, arguments.quick),
        "stage": lambda: bench_stage(show, arguments.quick),
        "osc": lambda: bench_osc(arguments.show, arguments.quick),
        "control": lambda: bench_control(show),
        "film": lambda: bench_film(show, arguments.quick),
        "memory": lambda: bench_memory(arguments.show, arguments.quick),
        "panel": lambda: bench_panel(Live, arguments.show, arguments.quick),
        "lora": lambda: _bench_lora(show, arguments.quick),
        "pulp": lambda: bench_pulp(Live, arguments.show, arguments.quick),
    }
    results = []
    for name in arguments.only.split(","):
        for what, against, figure, target in benches[name]():
            print_row(name, what, against, figure, target)
            results.append({"bench": name, "what": what, "against": against, "figure": figure, "target": target})
    write(arguments.json or Path("out/bench.json"), {"cpus": os.cpu_count(), "rows": results})


def write(file: Path, results: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
