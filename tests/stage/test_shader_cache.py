"""A driver that cannot keep compiled shaders anywhere draws all the same, and quietly."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.stage import shader_cache, warm

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (shader_cache.OFF, "MESA_SHADER_CACHE_DIR", "MESA_GLSL_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_where_it_can_be_kept_nothing_is_changed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "not" / "yet"))
    shader_cache.hush()
    assert shader_cache.can_keep() and shader_cache.OFF not in os.environ


@pytest.mark.parametrize("place", ["/proc", "/proc/nowhere", "/dev/null", "/dev/null/below"])
def test_where_it_cannot_the_driver_does_not_try_and_no_process_warms(
    monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("MESA_SHADER_CACHE_DIR", place)
    assert not shader_cache.can_keep()
    monkeypatch.setenv(shader_cache.OFF, "false")
    monkeypatch.delenv(shader_cache.OFF)
    shader_cache.hush()
    assert os.environ[shader_cache.OFF] == "true"
    monkeypatch.setattr(warm.subprocess, "Popen", lambda *_, **__: pytest.fail("it would be for nothing"))
    assert warm.Warmer((64, 64)).done
    monkeypatch.delenv(shader_cache.OFF)


def test_with_nowhere_to_write_pictures_are_drawn_without_a_word() -> None:
    nowhere = {"HOME": "/proc", "XDG_CACHE_HOME": "/proc", "TMPDIR": "/proc", "PATH": os.environ["PATH"]}
    draws = "from engine.stage.gl import create_context; create_context(True)"
    done = subprocess.run(
        [sys.executable, "-c", draws], cwd=ROOT, env=nowhere, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""
