"""Warm dreamers: what they are forked from, whose environment is theirs, and that nothing of them is left."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

from engine.dreamer import process
from tests import warm

pytestmark = pytest.mark.skipif(not warm.AT_HAND, reason="dreamers are spawned here")


def tell(pipe: Connection, name: str) -> None:
    """What a child finds about itself."""
    pipe.send((dict(os.environ).get(name), os.getcwd(), "torch" in sys.modules, psutil.Process().ppid()))


@pytest.mark.usefixtures("warm_dreamers")
def test_a_child_has_torch_and_the_environment_and_folder_of_the_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = []
    for value in ("one", "other", None):
        if value is None:
            monkeypatch.delenv("PEDESIS_TOLD")
        else:
            monkeypatch.setenv("PEDESIS_TOLD", value)
        ours, theirs = process.CONTEXT.Pipe()
        child = process.CONTEXT.Process(target=tell, args=(theirs, "PEDESIS_TOLD"))  # type: ignore[attr-defined]
        child.start()
        theirs.close()
        found.append(ours.recv())
        child.join()
    assert [value for value, *_ in found] == ["one", "other", None]
    assert {folder for _, folder, *_ in found} == {str(tmp_path)}
    assert all(has_torch for _, _, has_torch, _ in found) and len({parent for *_, parent in found}) == 1


def wait(pipe: Connection, mark: str) -> None:
    Path(mark).write_text(f"{os.getpid()} {psutil.Process().ppid()}")
    parent = parent_process()
    assert parent is not None
    parent.join()


def test_nothing_is_left_of_tests_that_are_killed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = (
        "import time\n"
        "from tests import warm\n"
        "from tests.test_warm import wait\n"
        "from engine.dreamer import process\n"
        "with warm.warm('tests.fake_worker'):\n"
        "    ours, theirs = process.CONTEXT.Pipe()\n"
        f"    process.CONTEXT.Process(target=wait, args=(theirs, {str(mark)!r}), daemon=True).start()\n"
        "    time.sleep(100)\n"
    )
    tests = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(warm.ROOT)})
    until(lambda: mark.exists() and len(mark.read_text().split()) == 2)
    left = [psutil.Process(int(pid)) for pid in mark.read_text().split()]
    assert all(p.is_running() for p in left)
    tests.send_signal(signal.SIGKILL)
    tests.wait()
    until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in left))


def until(is_so: Callable[[], bool], limit_s: float = 60.0) -> None:
    end = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)
