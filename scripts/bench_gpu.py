"""What an NVIDIA card gives, each thing against its neighbour in one run: one table, in under eight minutes.

Usage: by scripts/bench.py, `scripts/bench --gpu [--show NAME] [--json FILE]`; with `--stand-in` on the processor, with
a tiny model and stand-ins for what a card does, to see that every row is there. Its figures then mean nothing.

A part that fails is a row that says why, and the rest goes on: the first run on a card is for finding such things.
"""

import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from bench_lora import moving, save_lora

from engine.show.config import Show

Row = tuple[str, str, float | None, str]  # what, against what, figure (None: there is none), target
LIMIT_S = 420.0  # after which no part is begun; none but compiling takes longer than half a minute
NO_CARD = (
    "scripts/bench --gpu needs an NVIDIA card that torch can use, and this machine has none "
    "(--stand-in runs through it on the processor)."
)


@dataclass(frozen=True)
class Bench:
    """What all parts share."""

    show: Show
    places: list[Any]  # waypoints along the walk, more than there are rounds
    rounds: int
    folder: Path  # for files made on the spot
    peak_mb: Callable[[], float]  # the most memory that was in use on the card since it was last asked
    worker: Any = None  # of a DreamerProcess, where it is not the usual one

    def dreamer(self, width: int = 0, height: int = 0, film: bool = False, **model: Any) -> Any:
        """One for the show, with these settings of the model."""
        from engine.dreamer.load import Dreamer

        return Dreamer(self.spec(width, height, film, **model))

    def spec(self, width: int = 0, height: int = 0, film: bool = False, **model: Any) -> Any:
        from engine.dreamer.spec import DreamSpec

        m = replace(self.show.model, **model)
        m = replace(m, width=width or m.width, height=height or m.height)
        return DreamSpec.from_show(replace(self.show, model=m), film=film)

    def in_turn(self, a: Callable[[Any], Any], b: Callable[[Any], Any], *own: list[Any]) -> tuple[float, float]:
        """Median seconds of both over the places, or over lists of their own; the first two rounds warm up."""
        took: tuple[list[float], list[float]] = ([], [])
        lists = own or (self.places, self.places)
        for n in range(self.rounds + 2):
            for work, places, times in zip((a, b), lists, took, strict=True):
                begun = time.perf_counter()
                work(places[n % len(places)])
                if n > 1:
                    times.append(time.perf_counter() - begun)
        return statistics.median(took[0]), statistics.median(took[1])


def per_s(seconds: float) -> str:
    return f"{1 / seconds:.1f}/s"


def far(a: Any, b: Any) -> float:
    """The largest difference of two pictures, of 255."""
    return float(np.abs(a.astype(int) - b.astype(int)).max())


def library(bench: Bench) -> list[Row]:
    """The library's pipeline called once a picture, in the same precision."""
    import torch
    from diffusers import DiffusionPipeline

    from engine.dreamer.models import find

    ours, m = bench.dreamer(), bench.show.model
    path = find(m.name).path
    pipe = DiffusionPipeline.from_pretrained(path, dtype=ours.dtype, local_files_only=True).to(ours.device)
    pipe.set_progress_bar_config(disable=True)
    prompt, options = bench.show.materials[0].prompt, {"num_inference_steps": m.steps, "guidance_scale": m.guidance}
    generator = torch.Generator().manual_seed(1)

    def theirs(_: Any) -> None:
        pipe(prompt, width=m.width, height=m.height, generator=generator, output_type="np", **options)

    ours_s, theirs_s = bench.in_turn(ours.dream, theirs)
    return [(f"keyframes as run: {per_s(ours_s)}", f"the library {per_s(theirs_s)}", theirs_s / ours_s, ">= 1.5 x")]


def graphs(bench: Bench) -> list[Row]:
    """CUDA graphs."""
    bench.peak_mb()
    begun = time.perf_counter()
    without = bench.dreamer(graphs=False)
    without_start_s, without_mb = time.perf_counter() - begun, bench.peak_mb()
    begun = time.perf_counter()
    ours = bench.dreamer()
    start_s, ours_mb = time.perf_counter() - begun, bench.peak_mb()
    if "graphs" not in ours.arithmetic.runs:
        raise RuntimeError("nothing was captured; the line above says why")
    ours_s, without_s = bench.in_turn(ours.dream, without.dream)
    differs = max(far(ours.dream(p), without.dream(p)) for p in bench.places[:6])
    return [
        (f"keyframes, CUDA graphs: {per_s(ours_s)}", f"none {per_s(without_s)}", without_s / ours_s, ">= 1 x"),
        ("pictures, CUDA graphs", "none, largest difference of 255", differs, "<= 4"),
        (f"start, CUDA graphs: {start_s:.1f} s", f"none {without_start_s:.1f} s", start_s / without_start_s, ""),
        (f"card memory, CUDA graphs: {ours_mb:.0f} MB", f"none {without_mb:.0f} MB", ours_mb / without_mb, ""),
    ]


def ahead(bench: Bench) -> list[Row]:
    """The next picture begun while the last is copied."""
    ours = bench.dreamer()
    count = bench.rounds * 2
    slots = np.zeros((3, bench.show.model.height, bench.show.model.width, 3), np.uint8)

    def through(most: int) -> float:
        under_way: list[Any] = []
        begun = time.perf_counter()
        for n in range(count):
            under_way.append(ours.begin(bench.places[n % len(bench.places)], slots[n % 3])[0])
            while len(under_way) > most:
                under_way.pop(0).wait()
        for landing in under_way:
            landing.wait()
        return time.perf_counter() - begun

    times = [(through(2), through(0)) for _ in range(5)]
    ahead_s, waiting_s = (statistics.median(each) / count for each in zip(*times, strict=True))
    return [
        (f"keyframes begun ahead: {per_s(ahead_s)}", f"one by one {per_s(waiting_s)}", waiting_s / ahead_s, ">= 1 x")
    ]


def loras(bench: Bench) -> list[Row]:
    """A LoRA made on the spot, its strength moving."""
    from diffusers import UNet2DConditionModel

    from engine.dreamer.additions import Lora
    from engine.dreamer.load import Dreamer
    from engine.dreamer.models import find

    unet = UNet2DConditionModel.from_pretrained(find(bench.show.model.name).path / "unet", local_files_only=True)
    file = save_lora(unet, bench.folder / "lora.safetensors")
    ours, without = Dreamer(replace(bench.spec(), loras=(Lora("bench", str(file), 0.8),))), bench.dreamer()
    still = [replace(place, loras=(0.8,)) for place in bench.places]
    moved_s, still_s = bench.in_turn(ours.dream, ours.dream, moving(bench.places), still)
    with_s, without_s = bench.in_turn(ours.dream, without.dream, still, bench.places)
    differs = far(ours.dream(replace(still[0], loras=(0.0,))), without.dream(bench.places[0]))
    return [
        (f"keyframes, a LoRA moving: {per_s(moved_s)}", f"still {per_s(still_s)}", still_s / moved_s, ">= 0.9 x"),
        (f"keyframes, one LoRA: {per_s(with_s)}", f"none {per_s(without_s)}", without_s / with_s, ""),
        ("a picture, one LoRA at strength 0", "none, largest difference of 255", differs, "<= 1"),
    ]


def guides(bench: Bench) -> list[Row]:
    """A picture that steers, its strength moving."""
    from engine.walk.waypoint import Guide

    ours, m = bench.dreamer(), bench.show.model
    picture = np.random.default_rng(0).integers(0, 256, (m.height, m.width, 3), np.uint8)
    ours.see("a", lambda: picture)

    def seen(strengths: Callable[[int], float]) -> list[Any]:
        return [replace(p, guide=Guide((("a", 1.0),), strengths(n))) for n, p in enumerate(bench.places)]

    still, changing = seen(lambda n: 0.5), seen(lambda n: 0.4 + 0.2 * (n % 2))
    moved_s, still_s = bench.in_turn(ours.dream, ours.dream, changing, still)
    with_s, without_s = bench.in_turn(ours.dream, ours.dream, still, bench.places)
    differs = far(ours.dream(seen(lambda n: 0.0)[0]), ours.dream(bench.places[0]))
    return [
        (f"keyframes, a guide moving: {per_s(moved_s)}", f"still {per_s(still_s)}", still_s / moved_s, ">= 0.9 x"),
        (f"keyframes, a guide at 0.5: {per_s(with_s)}", f"none {per_s(without_s)}", without_s / with_s, ""),
        ("a picture, a guide at 0", "none, largest difference of 255", differs, "<= 0"),
    ]


def tiles(bench: Bench) -> list[Row]:
    """A large picture decoded in tiles."""
    width, height = bench.show.model.width * 4, bench.show.model.height * 4
    seconds, most = [], []
    for how in ("tiles", "whole"):
        bench.peak_mb()
        ours = bench.dreamer(width, height, decode=how)
        ours.dream(bench.places[0])
        begun = time.perf_counter()
        for place in bench.places[:4]:
            ours.dream(place)
        seconds.append((time.perf_counter() - begun) / 4)
        most.append(bench.peak_mb())
        del ours
        gc.collect()
    size = f"{width}x{height}"
    return [
        (f"card memory, {size}, tiles: {most[0]:.0f} MB", f"whole {most[1]:.0f} MB", most[0] / most[1], "<= 0.8 x"),
        (f"a keyframe, {size}, tiles: {seconds[0]:.2f} s", f"whole {seconds[1]:.2f} s", seconds[0] / seconds[1], ""),
    ]


def words(bench: Bench) -> list[Row]:
    """New words, their encoders kept or read again, and what they take from the picture meanwhile."""
    from concurrent.futures import ThreadPoolExecutor

    from engine.walk.palette import Palette

    took: dict[str, list[float]] = {}
    longest: dict[str, float] = {}
    for how in ("reread", "keep"):
        ours, took[how], longest[how] = bench.dreamer(encoders=how), [], 0.0
        with ThreadPoolExecutor(1) as pool:
            for n in range(3):
                begun = time.perf_counter()
                under_way = pool.submit(ours.take_palette, Palette.of([f"a whale {n}", "torn paper"]))
                while not under_way.done():
                    picture = time.perf_counter()
                    ours.dream(bench.places[n])
                    longest[how] = max(longest[how], time.perf_counter() - picture)
                under_way.result()
                took[how].append(time.perf_counter() - begun)
    again_s, kept_s = (statistics.median(took[how]) for how in ("reread", "keep"))
    gaps = f"longest keyframe {longest['reread']:.2f} s"
    return [
        (f"new words, encoders read again: {again_s:.2f} s", f"kept {kept_s:.2f} s", again_s / kept_s, ""),
        (f"new words, encoders read again: {gaps}", "", longest["reread"], ""),
    ]


def exact(bench: Bench) -> list[Row]:
    """The same places on the processor."""
    import torch

    from engine.dreamer.noise import Noise

    card, processor = bench.dreamer(dtype="float32"), bench.dreamer(dtype="float32", device="cpu")
    as_run, few = bench.dreamer(), bench.places[:4]
    threads = torch.get_num_threads()
    torch.set_num_threads(max(threads, 4))
    here, there, run = ([np.array(d.dream(p)) for p in few] for d in (processor, card, as_run))
    torch.set_num_threads(threads)
    noise = [Noise((16, 64, 64), device)(few[0]).cpu() for device in ("cpu", card.device)]
    return [
        ("pictures on the card, float32", "processor, largest of 255", max(map(far, there, here)), "<= 2"),
        ("pictures on the card, as run", "processor, dB (worst)", min(map(psnr, run, here)), ">= 40 dB"),
        ("noise on the card", "processor, largest difference", float((noise[0] - noise[1]).abs().max()), "<= 0.0001"),
    ]


def psnr(a: Any, b: Any) -> float:
    """Peak signal-to-noise ratio in dB of two 8-bit pictures."""
    error = float(((a.astype(np.float64) - b.astype(np.float64)) ** 2).mean())
    return 99.0 if error == 0 else 10 * float(np.log10(255**2 / error))


def weights(bench: Bench) -> list[Row]:
    """Weights of 8 bits."""
    from engine.dreamer.quantize import why_not

    rows: list[Row] = []
    for how in ("int8", "fp8"):
        bench.peak_mb()
        plain = bench.dreamer()
        plain_mb = bench.peak_mb()
        if why := why_not(how, plain.device):
            rows.append((f"keyframes, {how} weights", f"left out: {why}", None, ""))
            continue
        ours = bench.dreamer(quantize=how)
        ours_mb = bench.peak_mb()
        ours_s, plain_s = bench.in_turn(ours.dream, plain.dream)
        worst = min(psnr(ours.dream(p), plain.dream(p)) for p in bench.places[:4])
        rows += [
            (f"keyframes, {how} weights: {per_s(ours_s)}", f"none {per_s(plain_s)}", plain_s / ours_s, ""),
            (f"card memory, {how} weights beside none: {ours_mb:.0f} MB", f"none {plain_mb:.0f} MB", ours_mb, ""),
            (f"pictures, {how} weights", "none, dB (worst)", worst, ">= 25 dB"),
        ]
    return rows


def delivered(bench: Bench) -> list[Row]:
    """Pictures that a process delivers to the stage, against those that a dreamer alone makes."""
    from engine.dreamer.process import DreamerProcess

    alone, count = bench.dreamer(), bench.rounds * 2
    process = DreamerProcess(bench.spec(), lambda: next(wanted, None), worker=bench.worker)
    wanted = iter(bench.places[:0])
    times: list[tuple[float, float]] = []
    process.start()
    try:
        for _ in range(3):
            begun = time.perf_counter()
            for n in range(count):
                alone.dream(bench.places[n % len(bench.places)])
            alone_s = (time.perf_counter() - begun) / count
            wanted = iter([bench.places[n % len(bench.places)] for n in range(count + 2)])
            arrived: list[float] = []
            while len(arrived) < count + 2:
                arrived += [time.perf_counter()] * len(process.poll(1 / 240))
                if process.status.state == "failed":
                    raise RuntimeError(process.status.message)
            times.append(((arrived[-1] - arrived[1]) / count, alone_s))
    finally:
        process.stop()
    ours_s, alone_s = (statistics.median(each) for each in zip(*times, strict=True))
    return [(f"keyframes delivered: {per_s(ours_s)}", f"made alone {per_s(alone_s)}", alone_s / ours_s, ">= 0.95 x")]


def compiled(bench: Bench) -> list[Row]:
    """torch.compile; last, as it takes minutes."""
    without = bench.dreamer()
    begun = time.perf_counter()
    ours = bench.dreamer(compile=True, film=True)  # a film waits until it is compiled
    start_s = time.perf_counter() - begun
    if "compiled" not in ours.arithmetic.runs:
        raise RuntimeError("nothing was compiled; the line above says why")
    ours_s, without_s = bench.in_turn(ours.dream, without.dream)
    return [
        (f"keyframes, torch.compile: {per_s(ours_s)}", f"none {per_s(without_s)}", without_s / ours_s, ">= 1 x"),
        ("start with torch.compile, s", "", start_s, ""),
    ]


PARTS = (library, graphs, ahead, loras, guides, tiles, words, exact, weights, delivered, compiled)


def rows_of(bench: Bench, limit_s: float = LIMIT_S) -> Iterator[Row]:
    """All rows as they are measured."""
    begun = time.perf_counter()
    for part in PARTS:
        name = (part.__doc__ or "").strip().rstrip(".").splitlines()[0]
        if time.perf_counter() - begun > limit_s:
            yield name, f"left out: {limit_s:.0f} s are over", None, ""
            continue
        try:
            yield from part(bench)
        except Exception as error:  # whatever a card says that nobody here has seen
            yield name, f"failed: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}", None, ""
        gc.collect()


@contextmanager
def on_the_card(show: Show, waypoints: Callable[[Show, int], list[Any]]) -> Iterator[tuple[Bench, dict[str, Any]]]:
    """The bench of a show on this machine's card, and what the card is."""
    import torch

    from engine.dreamer.device import pick_device

    device = pick_device("auto")
    about = torch.cuda.get_device_properties(device)
    said = {
        "card": about.name,
        "memory_mb": about.total_memory // 2**20,
        "capability": f"{about.major}.{about.minor}",
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
    }

    def peak_mb() -> float:
        torch.cuda.synchronize(device)
        most = torch.cuda.max_memory_allocated(device) / 2**20
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return most

    with tempfile.TemporaryDirectory() as folder:
        yield Bench(show, waypoints(show, 41), 40, Path(folder), peak_mb), said


@contextmanager
def on_a_stand_in(show: Show, waypoints: Callable[[Show, int], list[Any]]) -> Iterator[tuple[Bench, dict[str, Any]]]:
    """The same on the processor, with a tiny model and what the tests have in place of a card."""
    root = str(Path(__file__).resolve().parents[1])
    if root not in sys.path:
        sys.path.insert(0, root)
    from tests import card, tiny_models

    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        path = tiny_models.save("sd", folder / "sd")
        held.enter_context(patch.dict("os.environ", OMP_NUM_THREADS="1"))  # two would wait for one another
        held.enter_context(card.stand_in())
        held.enter_context(patch("engine.dreamer.compiling.compiler", lambda: lambda run: run))
        model = replace(show.model, name=str(path), width=64, height=64, steps=2, dtype="float32")
        tiny = replace(show, model=model, materials=show.materials[:2])
        said = {"card": "none: a stand-in on the processor"}
        places = waypoints(tiny, 6)
        yield Bench(tiny, places, 2, folder, lambda: 1.0, card.start_with_a_stand_in), said
