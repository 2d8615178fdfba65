"""What a show remembers: taken up where it was, unless the artist has changed it; never in the show's way."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.control.controls import Controls
from engine.play.shows import load_show
from engine.play.state import Memory
from engine.show.config import Show
from engine.show.paths import configs_dir
from engine.walk import plan
from engine.walk.navigator import Navigator


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def begin(show: Show) -> tuple[Memory, Navigator, Controls]:
    return Memory(show), plan.new_navigator(show), Controls(show.registry, show.values)


def play(show: Show, **moves: object) -> Navigator:
    """An evening: some moves, three seconds of walk, and off."""
    memory, navigator, controls = begin(show)
    for name, value in moves.items():
        controls.set(name.replace("__", "."), value)  # type: ignore[arg-type]
    for _ in range(360):
        plan.tick(controls, navigator)
    memory.keep(navigator, controls)
    memory.close()
    return navigator


def recall(show: Show) -> tuple[bool, Navigator, Controls]:
    memory, navigator, controls = begin(show)
    return memory.recall(navigator, controls), navigator, controls


def test_the_next_morning_it_goes_on() -> None:
    show = load_show("gallery")
    before = play(show, walk__speed=0.7, blend__transition="pulp")
    found, navigator, controls = recall(show)
    assert found and navigator.to_dict() == before.to_dict()
    assert controls.target("walk.speed") == 0.7 and controls["blend.transition"] == "pulp"


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


def test_what_the_artist_has_changed_since_goes_first() -> None:
    before = play(load_show("gallery"), walk__speed=0.7, look__grain=0.9)
    found, navigator, controls = recall(load_show("gallery", ["walk.speed=1.5"]))
    assert found and controls.target("walk.speed") == 1.5 and controls.target("look.grain") == 0.9
    assert navigator.to_dict() == before.to_dict()
    found, navigator, controls = recall(load_show("gallery", seed=5))
    assert navigator.to_dict() == plan.new_navigator(load_show("gallery", seed=5)).to_dict()
    assert controls.target("walk.seed") == 5 and controls.target("look.grain") == 0.9


def test_what_the_command_line_names_goes_before_what_is_remembered() -> None:
    show = load_show("gallery")
    play(show, look__exposure=-3.0, walk__seed=99, walk__speed=0.7)
    assert recall(show)[2].target("walk.seed") == 99
    same = [f"look.exposure={show.values['look.exposure']}"]
    controls = recall(load_show("gallery", same, seed=int(show.values["walk.seed"])))[2]
    assert controls.target("look.exposure") == show.values["look.exposure"]
    assert controls.target("walk.seed") == show.values["walk.seed"]
    assert controls.target("walk.speed") == 0.7


def test_trying_another_seed_does_not_cost_the_walk_of_months() -> None:
    before = play(load_show("gallery"))
    mine = Memory(load_show("gallery")).path
    for seed in range(20, 27):
        play(load_show("gallery", seed=seed))
        assert recall(load_show("gallery"))[1].to_dict() == before.to_dict()
    play(load_show("gallery", seed=27))
    assert not mine.exists() and len(list(mine.parent.iterdir())) == 8


def test_two_projectors_with_two_seeds_of_one_show_go_on_both() -> None:
    shows = [load_show("gallery", seed=seed) for seed in (1, 2)]
    running = [begin(show) for show in shows]
    for (memory, navigator, controls), grain in zip(running, (0.1, 0.9), strict=True):
        memory.recall(navigator, controls)
        controls.set("look.grain", grain)
    for _ in range(5):  # side by side
        for memory, navigator, controls in running:
            for _ in range(60):
                plan.tick(controls, navigator)
            memory.keep(navigator, controls)
    for memory, _, _ in running:
        memory.close()
    for show, (_, navigator, _), grain in zip(shows, running, (0.1, 0.9), strict=True):
        found, again, controls = recall(show)
        assert found and again.to_dict() == navigator.to_dict() and controls.target("look.grain") == grain


def test_two_shows_may_write_to_one_file_at_once() -> None:
    code = (
        "from engine.play.shows import load_show; from engine.control.controls import Controls;"
        "from engine.show import plan, state;"
        "show = load_show('gallery'); memory = state.Memory(show); navigator = plan.new_navigator(show);"
        "controls = Controls(show.registry, show.values)\n"
        "for _ in range(150): memory.keep(navigator, controls); memory.close()"
    )
    running = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[1] for process in running] == ["", ""]
    assert recall(load_show("gallery"))[0]
    assert len(list(Memory(load_show("gallery")).folder.iterdir())) == 1, "no draft stays behind"


def test_a_thread_that_cannot_be_started_costs_the_memory_and_not_the_show(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    memory, navigator, controls = begin(load_show("gallery"))

    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "pedesis"):
        patch.setattr("threading.Thread.start", refuse)
        memory.keep(navigator, controls)
    assert "could not save where the walk is: can't start new thread" in caplog.text
    memory.close()
    assert memory.path.exists()


def test_a_user_without_a_home_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as it is for a uid that no passwd file knows
    with caplog.at_level(logging.WARNING, "pedesis"):
        assert recall(load_show("gallery"))[0] is False
    assert "set HOME, or XDG_STATE_HOME" in caplog.text


def test_off_and_on_ends_a_black_a_frozen_and_a_paused_stage() -> None:
    show = load_show("gallery")
    play(show, stage__blackout=True, stage__freeze=True, walk__pause=True, walk__speed=0.5)
    found, _, controls = recall(show)
    assert found and controls.target("walk.speed") == 0.5
    play(show, walk__speed=0.0)
    assert recall(show)[2].target("walk.speed") == show.values["walk.speed"], "a fader pulled down is a pause"
    assert not any(controls[name] for name in ("stage.blackout", "stage.freeze", "walk.pause"))


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
    path.write_text(content, encoding="latin-1")
    with caplog.at_level(logging.WARNING, "pedesis"):
        found, navigator, controls = recall(show)
    assert not found and navigator.to_dict() == plan.new_navigator(show).to_dict()
    assert controls.snapshot() == Controls(show.registry, show.values).snapshot()
    assert "starting afresh" in caplog.text
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
    assert not found and controls.target("walk.speed") == show.values["walk.speed"]
    plan.tick(controls, navigator)
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
            memory.keep(navigator, controls)
            memory.close()
    assert sum("could not save" in r.message for r in caplog.records) == 1


def test_a_disk_that_takes_its_time_does_not_hold_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading
    import time

    ready = threading.Event()
    monkeypatch.setattr("engine.show.paths.os.fsync", lambda _: ready.wait(10))
    memory, navigator, controls = begin(load_show("gallery"))
    start = time.monotonic()
    for _ in range(50):
        memory.keep(navigator, controls)
    memory.close(timeout_s=0.2)
    assert time.monotonic() - start < 2.0
    ready.set()
    memory.close()
    assert memory.path.exists()
