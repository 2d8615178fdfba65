"""Dreamers that start at once: forked from a process that has read torch, instead of each reading it anew.

Usage: `pytestmark = pytest.mark.usefixtures("warm_dreamers")` in a module that films or plays with dreamers, or
`command()` in place of `python -m engine.cli` for one in a process of its own. Reading torch, diffusers and
transformers takes 9 s of a core, and loading a tiny model half a second. All else is as it is with spawned children:
the worker's main, its pipe and ring, its pictures, the environment and working folder of who starts it. Spawning itself
is tested in tests/dreamer/test_process.py, tests/play/test_live.py, tests/play/test_film.py and tests/cli/test_cli.py.

One process for each that runs tests. It ends when that one has ended, however it ended, and its dreamers have.
"""

import ctypes
import multiprocessing.forkserver
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil

AT_HAND = sys.platform == "linux"  # elsewhere dreamers are spawned, as ever
ROOT = Path(__file__).resolve().parent.parent
PR_SET_NAME = 15
LAUNCH = "import sys; from tests import warm; warm.launch(sys.argv.pop(1))"


class WarmProcess(ForkServerProcess):
    """A child with the environment of who starts it, and a name that says who that is."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._environment, self._starter = dict(os.environ), os.getpid()

    def run(self) -> None:
        os.environ.clear()
        os.environ.update(self._environment)
        ctypes.CDLL(None).prctl(PR_SET_NAME, name_of(self._starter).encode(), 0, 0, 0)
        super().run()


class WarmContext(ForkServerContext):
    """Makes warm children."""

    Process = WarmProcess


def name_of(starter: int) -> str:
    """What the dreamers that a process has started are called; at most 15 letters."""
    return f"dreams-{starter}"


def dreamers_of(starter: int) -> list[psutil.Process]:
    """The warm dreamers that a process has started."""
    return [p for p in psutil.process_iter(["name"]) if p.info["name"] == name_of(starter)]


@contextmanager
def warm(parent: str = "tests.warm_parent") -> Iterator[None]:
    """Dreamers that are started meanwhile are forked from a process that has read this module."""
    if not AT_HAND:
        yield
        return
    _ensure_parent(parent)
    with patch("engine.dreamer.process.CONTEXT", WarmContext()):
        yield


def command() -> list[str]:
    """What `python -m engine.cli` is, with warm dreamers: forked from the process that ours are forked from."""
    if not AT_HAND:
        return [sys.executable, "-m", "engine.cli"]
    return [sys.executable, "-c", LAUNCH, _ensure_parent()]


def launch(address: str) -> None:
    """The command line, in a process of its own. See command()."""
    from engine.cli import main

    server = multiprocessing.forkserver._forkserver
    server._forkserver_address = address
    # Who asks for a child sends this along with it; it keeps a server of one's own from ending.
    server._forkserver_alive_fd = os.open(os.devnull, os.O_RDONLY)
    with (
        patch.object(server, "ensure_running", resource_tracker.ensure_running),
        patch("engine.dreamer.process.CONTEXT", WarmContext()),
    ):
        main()


def _ensure_parent(module: str = "tests.warm_parent") -> str:
    """Starts what dreamers are forked from, unless it runs; its address."""
    server = multiprocessing.forkserver._forkserver
    # It does not look for modules where we do, only where Python does.
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with patch.dict(os.environ, PYTHONPATH=path):
        multiprocessing.set_forkserver_preload([module])
        server.ensure_running()
    address = server._forkserver_address
    return address if isinstance(address, str) else os.fsdecode(address)
