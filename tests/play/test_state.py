"""What a show remembers: the place of its walk and nothing a hand steered; never in the show's way."""

import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine.control.controls import Controls
from engine.play.conductor import Conductor
from engine.play.shows import load_show
from engine.play.state import Memory
from engine.show.config import Show
from engine.show.paths import configs_dir
from engine.walk.mix import TICK_S
from engine.walk.navigator import Navigator


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def begin(show: Show) -> tuple[Memory, Navigator, Controls]:
    conductor = Conductor(show)
    return Memory(show), conductor.navigator, conductor.controls


def tick(controls: Controls, navigator: Navigator) -> None:
    controls.tick(TICK_S)
    navigator.tick(controls)


def play(show: Show, **moves: object) -> Navigator:
    """An evening: some moves, three seconds of walk, and off."""
    memory, navigator, controls = begin(show)
    for name, value in moves.items():
        controls.set(name.replace("__", "."), value)  # type: ignore[arg-type]
    for _ in range(360):
        tick(controls, navigator)
    memory.keep(navigator)
    memory.close()
    return navigator


def recall(show: Show) -> tuple[bool, Navigator, Controls]:
    memory, navigator, controls = begin(show)
    return memory.recall(navigator, controls), navigator, controls


def test_the_next_morning_the_walk_resumes_and_the_show_is_as_the_artist_left_it() -> None:
    show = load_show("gallery")
    before = play(show, walk__speed=0.001, look__exposure=-4.0, blend__transition="pulp", stage__blackout=True,
                  stage__freeze=True, walk__pause=True)  # fmt: skip
    found, navigator, controls = recall(show)
    assert found and navigator.to_dict() == before.to_dict()
    assert dict(controls) == dict(Controls(show.registry, show.values)), "what visitors steered is gone"


def test_a_seed_steered_by_hand_belongs_to_the_place() -> None:
    show = load_show("gallery")
    before = play(show, walk__seed=99, blend__time=0.1)
    _, navigator, controls = recall(show)
    assert controls.target("walk.seed") == 99 and list(navigator.voices) == [99]
    for _ in range(600):
        tick(controls, navigator)
    assert list(navigator.voices) == [99] and navigator.ticks == before.ticks + 600
    insisted = load_show("gallery", seed=int(show.values["walk.seed"]))
    found, navigator, controls = recall(insisted)
    assert found and controls.target("walk.seed") == show.values["walk.seed"], "the command line goes first"


def test_a_show_in_a_folder_of_any_name_is_remembered(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "mine.toml").write_text((configs_dir() / "gallery.toml").read_text())
    play(load_show(str(folder / "mine.toml")))
    assert recall(load_show(str(folder / "mine.toml")))[0] is True


def test_nothing_remembered_is_nothing_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pedesis"):
        assert recall(load_show("gallery"))[0] is False
    assert not caplog.records


def test_another_seed_begins_its_own_walk() -> None:
    before = play(load_show("gallery"))
    show = load_show("gallery", seed=5)
    found, navigator, controls = recall(show)
    assert not found and navigator.to_dict() == Conductor(show).navigator.to_dict()
    assert controls.target("walk.seed") == 5
    assert recall(load_show("gallery", ["walk.speed=1.5"]))[1].to_dict() == before.to_dict()


def test_a_file_of_an_earlier_version_gives_its_walk() -> None:
    show = load_show("gallery")
    memory, navigator, controls = begin(show)
    for _ in range(240):
        tick(controls, navigator)
    note = {"values": show.values, "navigator": navigator.to_dict(),
            "controls": {"now": {"look.exposure": -4.0}, "target": {"look.exposure": -4.0}, "fired": {}}}  # fmt: skip
    memory.path.parent.mkdir(parents=True)
    memory.path.write_text(json.dumps(note))
    found, again, controls = recall(show)
    assert found and again.to_dict() == navigator.to_dict()
    assert controls.target("look.exposure") == show.values["look.exposure"]


def test_trying_another_seed_does_not_cost_the_walk_of_months() -> None:
    before = play(load_show("gallery"))
    mine = Memory(load_show("gallery")).path
    for seed in range(20, 27):
        play(load_show("gallery", seed=seed))
        assert recall(load_show("gallery"))[1].to_dict() == before.to_dict()
    play(load_show("gallery", seed=27))
    assert not mine.exists() and len(list(mine.parent.iterdir())) == 8


@pytest.mark.parametrize("wrong_clock", [0, 1, 4102444800], ids=["1970", "1970+1s", "2100"])
def test_a_wrong_clock_never_costs_the_walk_just_saved(wrong_clock: int) -> None:
    for seed in range(20, 29):
        before = play(load_show("gallery", seed=seed))
        mine = Memory(load_show("gallery", seed=seed)).path
        assert mine.exists()
        for file in mine.parent.iterdir():
            if file != mine or wrong_clock < 2:  # the others come from the future, or this one from the past
                os.utime(file, (wrong_clock, wrong_clock))
        assert recall(load_show("gallery", seed=seed))[1].to_dict() == before.to_dict()
    kept = {file.name.split("-")[1] for file in mine.parent.iterdir()}
    assert kept == {str(seed) for seed in range(21, 29)}, "the first one saved has gone, whatever the dates"


@pytest.mark.parametrize("damage", ["", "{", "\x00" * 500, '{"navigator": 3}', "folder", "restore"])
def test_a_damaged_file_costs_ten_seconds_and_not_the_walk(damage: str, caplog: pytest.LogCaptureFixture) -> None:
    show = load_show("gallery")
    memory, navigator, controls = begin(show)
    kept = []
    for _ in range(3):
        for _ in range(60):
            tick(controls, navigator)
        memory.keep(navigator)
        memory.close()
        kept.append(navigator.to_dict())
    if damage == "folder":
        memory.path.unlink()
        memory.path.mkdir()
    elif damage == "restore":
        memory.path.write_text('{"count": 9, "navigator": {"seed": "x"}}')
    else:
        memory.path.write_text(damage)
    with caplog.at_level(logging.WARNING, "pedesis"):
        found, again, _ = recall(show)
    assert found and again.to_dict() == kept[-2]
    assert "is damaged" in caplog.text and ".1.bad" in caplog.text
    aside = memory.path.with_name(memory.path.name + ".1.bad")
    assert aside.is_dir() if damage == "folder" else damage in ("restore", aside.read_text())
    memory.keep(again)
    memory.close()
    assert recall(show)[1].to_dict() == kept[-2]


def test_a_file_damaged_while_the_show_runs_does_not_push_out_the_good_one_before_it() -> None:
    show = load_show("gallery")
    memory, navigator, controls = begin(show)
    for _ in range(2):
        tick(controls, navigator)
        memory.keep(navigator)
        memory.close()
    memory.path.write_text("{")
    memory.keep(navigator)
    memory.close()
    memory.path.write_text("{")
    assert recall(show)[0], "the good one is still there"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes in folders")
def test_a_pipe_in_the_place_of_the_file_is_set_aside_and_never_waited_for() -> None:
    memory, navigator, controls = begin(load_show("gallery"))
    memory.path.parent.mkdir(parents=True)
    os.mkfifo(memory.path)
    assert memory.recall(navigator, controls) is False
    memory.keep(navigator)
    memory.close()
    assert memory.path.is_file()


def test_a_state_folder_on_a_mount_that_is_gone_does_not_keep_the_show_from_starting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gone = threading.Event()

    def never(*_: object) -> str:
        gone.wait(20)
        raise OSError("gone")

    memory, navigator, controls = begin(load_show("gallery"))
    monkeypatch.setattr("engine.play.state.DISK_TIMEOUT_S", 0.05)
    monkeypatch.setattr("engine.play.state.read_text_bounded", never)
    with caplog.at_level(logging.WARNING, "pedesis"):
        assert memory.recall(navigator, controls) is False
    assert "no answer" in caplog.text
    gone.set()


@pytest.mark.parametrize("name", ["Ωκεανός", "بحر", "🌊", "a show %d%s", "n" * 250, "Ω" * 120, "-rf", "seed-1"])
def test_shows_of_any_name_are_remembered(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.toml"
    file.write_text((configs_dir() / "gallery.toml").read_text())
    before = play(load_show(file))
    assert recall(load_show(file))[1].to_dict() == before.to_dict()


def test_two_projectors_with_two_seeds_of_one_show_go_on_both() -> None:
    shows = [load_show("gallery", seed=seed) for seed in (1, 2)]
    running = [begin(show) for show in shows]
    for memory, navigator, controls in running:
        memory.recall(navigator, controls)
    for _ in range(5):  # side by side
        for memory, navigator, controls in running:
            for _ in range(60):
                tick(controls, navigator)
            memory.keep(navigator)
    for memory, _, _ in running:
        memory.close()
    for show, (_, navigator, _) in zip(shows, running, strict=True):
        found, again, _ = recall(show)
        assert found and again.to_dict() == navigator.to_dict()


def test_two_shows_may_write_to_one_file_at_once() -> None:
    code = (
        "from engine.play.shows import load_show; from engine.play.conductor import Conductor\n"
        "from engine.play import state\n"
        "show = load_show('gallery'); memory = state.Memory(show); navigator = Conductor(show).navigator\n"
        "for _ in range(150): memory.keep(navigator); memory.close()"
    )
    running = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[1] for process in running] == ["", ""]
    assert recall(load_show("gallery"))[0]
    left = {file.suffix for file in Memory(load_show("gallery")).folder.iterdir()}
    assert left == {".json", ".json~"}, "no draft stays behind"


def test_a_thread_that_cannot_be_started_costs_the_memory_and_not_the_show(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    memory, navigator, _controls = begin(load_show("gallery"))

    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "pedesis"):
        patch.setattr("threading.Thread.start", refuse)
        memory.keep(navigator)
    assert "the walk could not be saved: can't start new thread" in caplog.text
    memory.close()
    assert memory.path.exists()


def test_a_user_without_a_home_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as it is for a uid that no passwd file knows
    with caplog.at_level(logging.WARNING, "pedesis"):
        play(load_show("gallery"))
    assert "set HOME, or XDG_STATE_HOME" in caplog.text


def test_two_shows_of_one_name_do_not_share_a_memory(tmp_path: Path) -> None:
    shipped = load_show("gallery")
    paths = {Memory(shipped).folder}
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        own = tmp_path / folder / "gallery.toml"
        own.write_text(shipped.path.read_text())
        paths.add(Memory(load_show(own)).folder)
    assert len(paths) == 3 and all(path.name.startswith("gallery") for path in paths)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "3", '{"navigator": 1}', '{"controls": [], "navigator": {}}', '{"controls": "x", "navigator": {}}',
     '{"controls": {}, "navigator": {"seed": "x"}}', "[" * 100_000, "\x00\xff"],
)  # fmt: skip
def test_a_broken_memory_starts_afresh_once(content: str, caplog: pytest.LogCaptureFixture) -> None:
    show = load_show("gallery")
    path = Memory(show).path
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="latin-1")
    with caplog.at_level(logging.WARNING, "pedesis"):
        found, navigator, controls = recall(show)
    assert not found and navigator.to_dict() == Conductor(show).navigator.to_dict()
    assert dict(controls) == dict(Controls(show.registry, show.values))
    assert "is damaged" in caplog.text
    play(show)
    assert recall(show)[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [("ticks", float("inf")), ("ticks", -3), ("pull", [float("nan")] * 2), ("voices", [[-5, 1.0]]), ("voices", []),
     ("homes", [[1.0, []]]), ("phase", "far"), ("phase", float("nan"))],
)  # fmt: skip
def test_a_memory_with_one_bad_number_starts_afresh(key: str, value: object) -> None:
    show = load_show("gallery")
    play(show, walk__speed=0.7)
    path = Memory(show).path
    note = json.loads(path.read_text())
    assert key in note["navigator"]
    note["navigator"][key] = value
    path.write_text(json.dumps(note))
    found, navigator, controls = recall(show)
    assert not found and navigator.to_dict() == Conductor(show).navigator.to_dict()
    tick(controls, navigator)
    navigator.waypoint()


def test_a_folder_that_cannot_be_made_costs_the_memory_and_not_the_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    show = load_show("gallery")
    memory, navigator, controls = begin(show)
    with caplog.at_level(logging.WARNING, "pedesis"):
        assert memory.recall(navigator, controls) is False
        for _ in range(3):
            memory.keep(navigator)
            memory.close()
    assert sum("could not be saved" in r.message for r in caplog.records) == 1


def test_a_disk_that_takes_its_time_does_not_hold_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    ready = threading.Event()
    monkeypatch.setattr("engine.show.files.os.fsync", lambda _: ready.wait(10))
    memory, navigator, _controls = begin(load_show("gallery"))
    start = time.monotonic()
    for _ in range(50):
        memory.keep(navigator)
    memory.close(timeout_s=0.2)
    assert time.monotonic() - start < 2.0
    ready.set()
    memory.close()
    assert memory.path.exists()


def test_a_damaged_file_that_cannot_be_set_aside_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    play(load_show("gallery", seed=4))
    Memory(load_show("gallery", seed=4)).path.write_text("{")
    monkeypatch.setattr("engine.play.state.set_aside", lambda file: None)
    memory, navigator, _ = begin(load_show("gallery"))
    with caplog.at_level(logging.WARNING, "pedesis"):
        for _ in range(3):
            memory.keep(navigator)
            memory.close()
    assert sum("is damaged" in record.getMessage() for record in caplog.records) == 1
    assert memory.path.exists()
