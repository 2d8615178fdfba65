"""What a card does, whole: `pytest -m gpu` on the first card there is, and the same on a stand-in everywhere.

Tolerances on a card: noise is made of whole numbers and one float32 product, so 1e-4; float32 pictures of card and
processor are within 2 of 255, as cuDNN and TF32 add up in another order; a capture in the same precision is the same
kernels on the same numbers, so at most 1 of 255.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.dreamer.additions import Lora
from engine.dreamer.landing import Landings, copies_of
from engine.dreamer.load import Dreamer
from engine.dreamer.noise import Noise
from engine.dreamer.process import DreamerProcess, DreamSpec
from engine.dreamer.quantize import why_not
from engine.dreamer.replay import capture, recorder_of
from engine.show.specs import ModelSpec
from engine.walk.palette import Palette
from engine.walk.waypoint import Guide, Liquid, Point, Sheet, Waypoint, Wording
from tests import tiny_models
from tests.card import StandInGraphs, on_a_card, stand_in, start_with_a_stand_in
from tests.tiny_additions import save_lora

pytestmark = pytest.mark.filterwarnings("ignore")  # the libraries' advice to themselves

Picture = NDArray[np.uint8]
FIRST, SECOND = Palette.of(["torn paper"]), Palette.of(["a whale"])
PAINTED: Picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)


def waypoint(phase: float = 1.0, strength: float = 0.5, **more: Any) -> Waypoint:
    return Waypoint(0.0, 0, (Point(3, phase, 0.1, 1.0),), (1.0,), loras=(strength,), **more)


def far(a: Picture, b: Picture) -> int:
    return int(np.abs(a.astype(int) - b.astype(int)).max())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    for kind in ("sd", "sdxl", "sd3"):
        tiny_models.save(kind, root / kind)
    save_lora(tiny_models.sd(), root / "clay.safetensors")
    return root


def dreamer(folder: Path, kind: str = "sd", lora: bool = False, **model: Any) -> Dreamer:
    loras = (Lora("clay", str(folder / "clay.safetensors"), 0.5),) if lora else ()
    spec = ModelSpec(name=str(folder / kind), **({"dtype": "float32", "steps": 2} | model))
    made = Dreamer(DreamSpec(spec, FIRST, 64, 64, loras=loras))
    made.see("painted", lambda: PAINTED)
    return made


def assert_same_with_and_without_graphs(with_graphs: Dreamer, without: Dreamer, most: int) -> None:
    """Whatever moves from one picture to the next: place, focus, a LoRA's strength, a guide's, torn sheets."""
    assert with_graphs.arithmetic.runs == "graphs" and without.arithmetic.runs == ""
    torn = Liquid(0.6, (Point(9, 0.0, 0.1, 1.0),), (Sheet((Point(5, 2.0, 0.1, 1.0),), (Wording("", (1.0,), 1.0),)),))
    seen = (("painted", 1.0),)
    different = [
        waypoint(),
        waypoint(2.0),
        waypoint(focus=0.4),
        *(waypoint(strength=s) for s in (0.0, 1.0, -0.7)),
        *(waypoint(guide=Guide(seen, s)) for s in (0.2, 0.8, 1.0)),
        waypoint(liquid=torn),
        waypoint(1.3, 0.2, liquid=torn),
    ]
    ours = [with_graphs.dream(place) for place in different]
    theirs = [without.dream(place) for place in different]
    for n, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert far(a, b) <= most, f"picture {n}"
    assert all(far(a, b) > 8 for n, a in enumerate(theirs) for b in theirs[:n]), "they are different pictures"
    assert [far(with_graphs.dream(place), a) for place, a in zip(different, ours, strict=True)] == [0] * len(ours)


@pytest.fixture(scope="module")
def graphs(folder: Path) -> tuple[StandInGraphs, Dreamer]:
    with stand_in() as made:
        return made, dreamer(folder, lora=True)


@pytest.mark.slow
def test_a_captured_network_follows_everything_that_moves(folder: Path, graphs: tuple[StandInGraphs, Dreamer]) -> None:
    made, ours = graphs
    assert made.recorded == 2, "network and decoder"
    assert_same_with_and_without_graphs(ours, dreamer(folder, lora=True), 1)
    assert made.recorded == 4, "torn and steered pictures have a network each, captured when the first comes"


def test_the_next_picture_is_begun_before_the_last_has_landed(graphs: tuple[StandInGraphs, Dreamer]) -> None:
    _, ours = graphs
    assert ours.lands_later
    expected = [ours.dream(waypoint(phase)) for phase in (1.0, 2.0)]
    slots = np.zeros((2, 64, 64, 3), np.uint8)
    landings = [ours.begin(waypoint(phase), slots[n])[0] for n, phase in enumerate((1.0, 2.0))]
    assert not slots.any()
    for landing in landings:
        landing.wait()
    assert far(slots[0], expected[0]) == far(slots[1], expected[1]) == 0 < far(*expected)


def dreamt_by(worker: Any, spec: DreamSpec, places: list[Waypoint]) -> tuple[list[Picture], list[int], str]:
    """Pictures that a process delivers for these places, in which order they came, and what it says it runs on."""
    wanted = iter(places)
    process = DreamerProcess(spec, lambda: next(wanted, None), worker=worker)
    pictures: list[Picture] = []
    order: list[int] = []
    process.start()
    try:
        until = time.monotonic() + 240
        while len(pictures) < len(places) and time.monotonic() < until:
            for keyframe in process.poll(0.05):
                pictures.append(keyframe.pixels.copy())
                order.append(places.index(keyframe.waypoint))
                assert keyframe.numbers is not None and keyframe.numbers.noise.any()
            assert process.status.state != "failed", process.status.message
        arithmetic = process.status.arithmetic
    finally:
        process.stop()
    return pictures, order, arithmetic.runs if arithmetic else ""


@pytest.mark.slow
def test_a_process_that_dreams_ahead_delivers_every_picture_in_order(
    folder: Path, graphs: tuple[StandInGraphs, Dreamer]
) -> None:
    _, ours = graphs
    places = [waypoint(1.0 + n / 3) for n in range(8)]
    pictures, order, runs = dreamt_by(start_with_a_stand_in, ours.spec, places)
    assert order == list(range(8)) and runs == "graphs"
    assert all(far(picture, ours.dream(place)) == 0 for picture, place in zip(pictures, places, strict=True))


# From here on: never run yet (scripts/README.md, "Never seen on a card").


@on_a_card
@pytest.mark.parametrize("dtype, most", [("float32", 1), ("float16", 4), ("bfloat16", 16)])
def test_cuda_graphs_follow_everything_that_moves(folder: Path, dtype: str, most: int) -> None:
    ours, plain = (dreamer(folder, lora=True, dtype=dtype, graphs=on) for on in (True, False))
    assert "graphs on" in ours.described and "graphs off" in plain.described
    assert_same_with_and_without_graphs(ours, plain, most)


@on_a_card
def test_a_capture_is_what_it_captured_and_shares_no_memory() -> None:
    device = torch.device("cuda:0")
    weight = torch.randn(64, 64, device=device, generator=torch.Generator(device).manual_seed(1))

    def network(x: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x * strength) @ weight

    def given(seed: int) -> list[torch.Tensor]:
        draw = torch.Generator(device).manual_seed(seed)
        return [torch.randn(8, 64, device=device, generator=draw), torch.rand(1, device=device, generator=draw)]

    fast = capture(network, given(1), given(2), recorder_of(device))
    assert fast is not None
    answers = [fast(*given(seed)) for seed in range(3, 9)]
    for seed, answer in zip(range(3, 9), answers, strict=True):
        assert torch.allclose(answer, network(*given(seed)), rtol=0, atol=1e-5)
    assert len({answer.data_ptr() for answer in answers}) == 6


@on_a_card
def test_a_function_that_reads_a_number_is_run_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """And the card is well afterwards."""
    device = torch.device("cuda:0")
    x = torch.ones(4, device=device)

    def branching(x: torch.Tensor) -> torch.Tensor:
        return x * 2 if float(x[0]) > 0 else x

    assert capture(branching, [x], [x + 1], recorder_of(device)) is None
    assert len(caplog.records) == 1 and "without a CUDA graph" in caplog.text
    fast = capture(lambda x: x * 3, [x], [x + 1], recorder_of(device))
    assert fast is not None and fast(x).tolist() == [3.0] * 4


@on_a_card
def test_pictures_land_in_pinned_memory_and_in_memory_that_is_not() -> None:
    device = torch.device("cuda:0")
    pinned, other = np.zeros((4, 256, 256, 3), np.uint8), np.zeros((4, 256, 256, 3), np.uint8)
    landings = Landings(copies_of(device))
    landings.pin(pinned)
    for memory in (pinned, other):
        under_way = []
        for n in range(4):
            picture = torch.full((256, 256, 3), 10 + n, dtype=torch.uint8, device=device)
            under_way.append(landings.send([(picture, memory[n])]))
            del picture  # its memory is not the next one's before it was copied
        for landing in under_way:
            landing.wait()
        assert [set(np.unique(slot)) for slot in memory] == [{10}, {11}, {12}, {13}]


@on_a_card
def test_noise_is_the_same_on_a_card() -> None:
    place = waypoint(2.5)
    here, there = Noise((4, 32, 56))(place), Noise((4, 32, 56), "cuda")(place)
    assert torch.allclose(here, there.cpu(), rtol=0, atol=1e-4)


@on_a_card
@pytest.mark.parametrize("kind", ["sd", "sdxl", "sd3"])
def test_a_picture_is_the_same_on_a_card(folder: Path, kind: str) -> None:
    here, there = (dreamer(folder, kind, device=device) for device in ("cpu", "cuda"))
    assert far(here.dream(waypoint()), there.dream(waypoint())) <= 2


@on_a_card
def test_a_process_on_a_card_delivers_every_picture_in_order(folder: Path) -> None:
    ours = dreamer(folder, device="cuda")
    places = [waypoint(1.0 + n / 3) for n in range(8)]
    pictures, order, runs = dreamt_by(None, ours.spec, places)
    assert order == list(range(8)) and runs == "graphs"
    assert all(far(picture, ours.dream(place)) == 0 for picture, place in zip(pictures, places, strict=True))


@on_a_card
@pytest.mark.parametrize("encoders", ["keep", "reread"])
def test_words_are_read_while_a_card_dreams(folder: Path, encoders: str) -> None:

    ours, place = dreamer(folder, encoders=encoders), waypoint()
    before = ours.dream(place)
    with ThreadPoolExecutor(1) as pool:
        words = pool.submit(ours.take_palette, SECOND)
        while not words.done():
            assert far(ours.dream(place), before) == 0
        words.result()
    assert far(ours.dream(waypoint(palette=SECOND.id)), before) > 8


@on_a_card
@pytest.mark.parametrize("how", ["int8", "fp8"])
def test_8_bit_weights_on_a_card_make_nearly_the_same_picture(how: str) -> None:
    if why := why_not(how, torch.device("cuda:0")):
        pytest.skip(why)
    spec = DreamSpec(ModelSpec(width=256, height=256), Palette.of(["torn paper"]), 256, 256)

    plain, ours = (Dreamer(replace(spec, model=replace(spec.model, quantize=q))) for q in ("none", how))
    place = Waypoint(0.0, 0, (Point(3, 1.0, 0.1, 1.0),), (1.0,))
    a, b = plain.dream(place).astype(float), ours.dream(place).astype(float)
    assert ours.arithmetic.dtype.endswith(f"+{how}") and 0 < np.abs(a - b).mean() < 6


@on_a_card
def test_a_network_compiled_on_a_card_makes_nearly_the_same_picture() -> None:
    spec = ModelSpec(width=256, height=256, compile=True)
    ours = Dreamer(DreamSpec(spec, Palette.of(["torn paper"]), 256, 256, film=True))
    plain = Dreamer(DreamSpec(ModelSpec(width=256, height=256), Palette.of(["torn paper"]), 256, 256, film=True))
    assert ours.arithmetic.runs == "compiled graphs"
    place = Waypoint(0.0, 0, (Point(3, 1.0, 0.1, 1.0),), (1.0,))
    assert np.abs(ours.dream(place).astype(float) - plain.dream(place)).mean() < 2
