"""A show's mappings are read again when it is saved, and a broken edit keeps the last good ones."""

import logging
import os
from pathlib import Path

import pytest

from engine.control.map_entry import MapTable
from engine.control.map_watch import MapWatch
from tests.control.rig import REGISTRY

GOOD = '[[map]]\nfrom = "/a"\nto = "look.grain"\n'


def save(path: Path, text: str) -> None:
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def test_what_is_saved_is_used_and_what_is_broken_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "show.toml"
    save(path, GOOD)
    used: list[MapTable] = []
    watch = MapWatch(path, REGISTRY, used.append)
    watch.look()
    assert used == []
    save(path, GOOD.replace("/a", "/b"))
    watch.look()
    assert [entry.source for entry in used[-1].entries] == ["/b"]
    caplog.set_level(logging.WARNING)
    save(path, GOOD + '\n[[map]]\nfrom = "/c"\nto = "look.gran"\n')
    for _ in range(3):
        watch.look()
    assert len(used) == 1 and [record.getMessage() for record in caplog.records] == [
        f"{path}: [[map]] 2 to (line 7) must be the name of a parameter, got 'look.gran'. Did you mean look.grain?",
        "the mappings stay as they were before show.toml was edited",
    ]
    assert "line 7" in watch.mistake
    save(path, GOOD + "[[map]\n")
    watch.look()
    assert len(used) == 1 and "not a show in TOML" in watch.mistake and "line 4" in watch.mistake
    path.unlink()
    watch.look()
    save(path, GOOD)
    watch.look()
    assert len(used) == 2 and watch.mistake == ""


def test_it_looks_by_itself_and_ends(tmp_path: Path) -> None:
    import threading

    path = tmp_path / "show.toml"
    save(path, GOOD)
    came = threading.Event()
    watch = MapWatch(path, REGISTRY, lambda table: came.set(), look_s=0.01)
    watch.start()
    save(path, GOOD + GOOD)
    assert came.wait(10)
    watch.close()
