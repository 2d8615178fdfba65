"""Words that come while it dreams: another palette makes the pictures of a dreamer that began with it."""

import logging
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.dreamer.load import Dreamer
from engine.dreamer.noise import Conditioning
from engine.dreamer.palettes import Palettes
from engine.dreamer.spec import PALETTES, DreamSpec
from engine.show.specs import ModelSpec
from engine.walk.palette import Palette
from engine.walk.waypoint import Point, Waypoint, Wording
from tests import tiny_models

FIRST, OTHER = Palette.of(["a cloud", "torn paper"]), Palette.of(["a whale", "rain at night", "ink"])


@pytest.fixture(scope="module", params=["sd", "sdxl", "sd3"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    folder: Path = tmp_path_factory.mktemp("palettes") / request.param
    tiny_models.save(request.param, folder)
    return ModelSpec(name=str(folder), dtype="float32", steps=2, width=64, height=64)


def waypoint(palette: Palette, phase: float = 1.0) -> Waypoint:
    weights = tuple(float(n + 1) for n in range(len(palette.prompts)))
    return Waypoint(0.0, 0, (Point(3, phase, 0.1, 1.0),), tuple(w / sum(weights) for w in weights), palette=palette.id)


def test_the_same_words_are_the_same_palette() -> None:
    assert Palette.of(["a", "b"]) == Palette.of(("a", "b")) and Palette.of(["a", "b"]).id != Palette.of(["ab"]).id
    assert Palette.of(["a", "b"]).id != Palette.of(["b", "a"]).id, "the weights stand in that order"


def test_another_palette_makes_the_pictures_of_a_dreamer_that_began_with_it(model: ModelSpec) -> None:
    dreamer = Dreamer(DreamSpec(model, FIRST, 64, 64))
    before = dreamer.dream(waypoint(FIRST))
    dreamer.take_palette(OTHER)
    fresh = Dreamer(DreamSpec(model, OTHER, 64, 64))
    assert np.array_equal(dreamer.dream(waypoint(OTHER)), fresh.dream(waypoint(OTHER)))
    assert np.array_equal(dreamer.dream(waypoint(FIRST)), before), "the old palette stays as it was"
    assert not np.array_equal(dreamer.dream(waypoint(OTHER)), before)


def test_it_dreams_on_while_words_are_encoded(model: ModelSpec) -> None:
    dreamer = Dreamer(DreamSpec(model, FIRST, 64, 64))
    alone = [dreamer.dream(waypoint(FIRST, phase)) for phase in (1.0, 2.0)]
    faults: list[BaseException] = []

    def encode() -> None:
        try:
            for n in range(5):
                dreamer.take_palette(Palette.of([f"words {n}", "and more of them"]))
        except BaseException as fault:
            faults.append(fault)

    encoding = threading.Thread(target=encode)
    encoding.start()
    together = [dreamer.dream(waypoint(FIRST, phase)) for phase in (1.0, 2.0)]
    encoding.join()
    assert not faults
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def says(palette: str, weights: tuple[float, ...], *beside: Wording) -> Waypoint:
    return Waypoint(0.0, 0, (Point(1, 0.0, 0.0, 1.0),), weights, palette=palette, beside=beside)


def rows(value: float, count: int = 2, length: int = 3) -> Conditioning:
    return Conditioning({"prompt_embeds": torch.full((count, length, 4), value)})


def test_a_palette_that_is_not_known_is_answered_with_the_newest() -> None:
    palettes = Palettes("first", rows(1.0))
    palettes.add("second", rows(2.0, count=3))
    assert float(palettes.mix(says("", (0.5, 0.5)))["prompt_embeds"].mean()) == 1.0
    assert float(palettes.mix(says("gone", (0.5, 0.5)))["prompt_embeds"].mean()) == 2.0
    assert float(palettes.mix(says("gone", (1.0, 0.0, 0.0)))["prompt_embeds"].mean()) == 2.0


def test_the_first_and_the_newest_are_kept() -> None:
    palettes = Palettes("first", rows(0.5))
    for n in range(PALETTES + 8):
        palettes.add(str(n), rows(float(n)))
    kept = [
        n for n in range(PALETTES + 8) if float(palettes.mix(says(str(n), (1.0, 0.0)))["prompt_embeds"].mean()) == n
    ]
    assert kept == list(range(9, PALETTES + 8))
    assert float(palettes.mix(says("first", (1.0, 0.0)))["prompt_embeds"].mean()) == 0.5


def test_a_recorded_network_is_given_texts_of_one_length(caplog: pytest.LogCaptureFixture) -> None:
    palettes = Palettes("first", rows(1.0, length=6), one_length=True)
    palettes.add("short", rows(2.0, length=3))
    with caplog.at_level(logging.WARNING, "pedesis"):
        palettes.add("long", rows(3.0, length=9))
    for id, value in (("short", 2.0), ("long", 3.0)):
        texts = palettes.mix(says(id, (0.5, 0.5)))["prompt_embeds"]
        assert texts.shape == (1, 6, 4) and float(texts.min()) == value, "repeated, not filled with nothing"
    assert caplog.text.count("3 tokens are dropped") == 1
    palettes.add("brief", rows(4.0, length=9), is_brief=True)
    assert caplog.text.count("dropped") == 1, "a fragment of a text is cut unsaid"


def test_words_beside_have_their_share() -> None:
    palettes = Palettes("a", rows(1.0))
    palettes.add("b", rows(3.0, count=1))
    said = says("a", (0.5, 0.5), Wording("b", (1.0,), 0.25))
    assert float(palettes.mix(said)["prompt_embeds"].mean()) == 1.5


def test_words_heard_alone_are_the_same_to_the_last_bit() -> None:
    palettes = Palettes("a", Conditioning({"prompt_embeds": torch.randn(2, 3, 4)}))
    other = Conditioning({"prompt_embeds": torch.randn(3, 3, 4)})
    palettes.add("b", other)
    weights = (0.2, 0.3, 0.5)
    mixed = palettes.mix(says("a", (0.4, 0.6), Wording("b", weights, 1.0)))["prompt_embeds"]
    assert torch.equal(mixed, other.mix(weights)["prompt_embeds"])


def test_weights_that_do_not_fit_their_palette_are_a_picture_and_no_end() -> None:
    palettes = Palettes("a", Conditioning({"prompt_embeds": torch.arange(8.0).reshape(2, 2, 2)}))
    mixed = palettes.mix(says("a", (1.0, 0.0, 0.0)))["prompt_embeds"]
    assert torch.equal(mixed, palettes.mix(says("a", (0.5, 0.5)))["prompt_embeds"])


def test_text_encoders_leave_the_device_also_when_words_cannot_be_encoded(
    model: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    dreamer = Dreamer(DreamSpec(model, FIRST, 64, 64))
    moves: list[str] = []
    monkeypatch.setattr(torch.nn.Module, "to", lambda module, where: moves.append(str(where)) or module)
    monkeypatch.setattr(dreamer._readers, "_where", "there")

    def refuse(*_: object) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr("engine.dreamer.load.encode", refuse)
    monkeypatch.setattr(dreamer, "prepare_thread", lambda: None)
    with pytest.raises(RuntimeError, match="out of memory"):
        dreamer.take_palette(OTHER)
    assert moves and moves.count("there") == moves.count("cpu") == len(moves) / 2
