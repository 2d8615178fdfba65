"""Stored presets on the disk: whole, the newest last, and never in the show's way."""

import json
import logging
from pathlib import Path

import pytest

from engine.control.stored import MAX_BYTES, read_stored
from engine.play.conductor import Conductor
from engine.play.shows import load_show
from engine.play.stored import StoredPresets


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def store(conductor: Conductor, *names: str) -> None:
    for name in names:
        conductor.set("preset.store", name)
    conductor.tick()


def test_the_newest_state_is_what_is_kept(home: Path) -> None:
    show = load_show("house")
    conductor, stored = Conductor(show), StoredPresets(show)
    for n in range(30):
        store(conductor, f"p{n}")
        stored.keep(conductor.automation.presets)
    stored.close(20)
    assert list(json.loads(stored.path.read_text())) == [f"p{n}" for n in range(30)] == list(stored.load())
    conductor.set("preset.delete", "p7")
    conductor.tick()
    stored.keep(conductor.automation.presets)
    stored.close(20)
    assert "p7" not in stored.load()
    assert [p.name for p in stored.path.parent.iterdir()] == ["presets.json"], "no draft is left"


def test_a_disk_that_cannot_be_written_is_said_once(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    home.write_text("this is no folder")
    show = load_show("house")
    conductor, stored = Conductor(show), StoredPresets(show)
    caplog.set_level(logging.WARNING)
    for n in range(3):
        store(conductor, f"p{n}")
        stored.keep(conductor.automation.presets)
        stored.close(20)
    assert [r.message for r in caplog.records] == ["stored presets are not kept: Not a directory"]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": ', b"\xff", b"x" * (MAX_BYTES + 1), b"[" * 100_000])
def test_a_damaged_file_is_set_aside(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "presets.json").write_bytes(content)
    assert read_stored(tmp_path) == {}
    assert [p.name for p in tmp_path.iterdir()] == ["presets.json.1.bad"]
    (record,) = caplog.records
    assert "set aside as presets.json.1.bad" in record.message
