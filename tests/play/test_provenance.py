"""What a film's bytes depend on is all told, and what is not as it was is named."""

import os
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from engine.dreamer.additions import Embedding, Lora
from engine.play.provenance import MACHINE, changes, provenance_of
from engine.play.shows import load_show
from engine.show.config import Show
from engine.show.paths import house_model_dir

SIZE, FPS = (160, 96), Fraction(24)


def known(show: Show, size: tuple[int, int], fps: Fraction, frames: int, renderer: str = "llvmpipe") -> dict:
    return provenance_of(show, size, fps, frames, renderer)


@pytest.fixture(scope="module")
def show() -> Show:
    return load_show("film")


def test_the_same_film_is_the_same_and_every_change_is_named(show: Show) -> None:
    before = known(show, SIZE, FPS, 48)
    assert changes(before, known(load_show("film"), SIZE, FPS, 48)) == ""
    assert changes(before, known(show, (160, 98), Fraction(24000, 1001), 48)) == (
        "--size ([160, 96], now [160, 98]), --fps (24, now 24000/1001)"
    )
    for setting in ("walk.speed=0.2", "film.crf=3", "film.gap=0.3", "model.steps=2", "window.fit=letterbox"):
        name = setting.partition("=")[0]
        assert changes(before, known(load_show("film", [setting]), SIZE, FPS, 48)).startswith(f"{name} (")
    prompted = load_show("film", [f"material.{show.materials[0].name}.prompt={'a ' * 40}"])
    assert changes(before, known(prompted, SIZE, FPS, 48)) == f"material.{show.materials[0].name}.prompt"
    turned = replace(show, materials=show.materials[::-1])
    assert changes(before, known(turned, SIZE, FPS, 48)) == "the materials"
    assert changes({}, before).endswith("more")


def test_another_machine_is_another_film(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    before = known(show, SIZE, FPS, 48)
    assert changes(before, known(show, SIZE, FPS, 48, "NVIDIA")) == "the renderer (llvmpipe, now NVIDIA)"
    monkeypatch.setenv("OMP_NUM_THREADS", "77")
    assert "OMP_NUM_THREADS" in changes(before, known(show, SIZE, FPS, 48))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_the_cpus_that_count_are_those_this_process_may_use(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 5, 7})
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert known(show, SIZE, FPS, 48)["the number of CPUs"] == 3


def test_what_the_machine_changed_can_be_told_apart_from_what_was_set(show: Show) -> None:
    before, now = known(show, SIZE, FPS, 48), known(show, SIZE, FPS, 96, "NVIDIA")
    assert changes(before, now, MACHINE) == "the renderer (llvmpipe, now NVIDIA)"
    assert changes(before, known(show, SIZE, FPS, 96), MACHINE) == ""


def test_what_has_nothing_to_do_with_the_picture_may_change(show: Show) -> None:
    other = replace(show, osc=replace(show.osc, port=9), stage=replace(show.stage, fullscreen=False), title="other")
    assert changes(known(show, SIZE, FPS, 48), known(other, SIZE, FPS, 48)) == ""


def test_what_an_editor_or_a_file_manager_leaves_is_no_other_film(show: Show, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    shutil.copytree(house_model_dir(), folder)
    moved = replace(show, model=replace(show.model, name=str(folder)))
    before = known(moved, SIZE, FPS, 48)
    for name in (".DS_Store", ".config.json.swp"):
        (folder / "vae" / name).write_bytes(b"1")
    assert changes(before, known(moved, SIZE, FPS, 48)) == ""
    (folder / "vae" / os.fsdecode(b"caf\xe9.json")).write_bytes(b"1")
    assert changes(before, known(moved, SIZE, FPS, 48)) == "the model's files"


def test_other_weights_in_the_same_folder_are_another_film(show: Show, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(house_model_dir(), folder)
    moved = replace(show, model=replace(show.model, name=str(folder)))
    before = known(moved, SIZE, FPS, 48)
    weights = next((folder / "vae").glob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert changes(before, known(moved, SIZE, FPS, 48)) == "the model's files"


@pytest.mark.parametrize("kind", ["lora", "embedding"])
def test_what_a_model_is_given_is_part_of_the_film(show: Show, tmp_path: Path, kind: str) -> None:
    what = "the files added to the model"
    file = tmp_path / "clay.safetensors"
    file.write_bytes(b"one")
    thing = Lora("clay", str(file), 1.0) if kind == "lora" else Embedding("clay", str(file))
    given = replace(show, things={**show.things, kind: (thing,)})
    before = known(given, SIZE, FPS, 48)
    assert changes(known(show, SIZE, FPS, 48), before) == what
    file.write_bytes(b"two")
    assert changes(before, known(given, SIZE, FPS, 48)) == what


def test_what_lets_pictures_steer_is_part_of_the_film(show: Show, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"_class_name": "ControlNetModel"}')
    weights = tmp_path / "diffusion_pytorch_model.safetensors"
    weights.write_bytes((2).to_bytes(8, "little") + b"{}")
    given = replace(show, model=replace(show.model, control=str(tmp_path)))
    before = known(given, SIZE, FPS, 48)
    assert changes(known(show, SIZE, FPS, 48), before) == "the files added to the model"
    weights.write_bytes((3).to_bytes(8, "little") + b"{ }")
    assert changes(before, known(given, SIZE, FPS, 48)) == "the files added to the model"
