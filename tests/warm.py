"""Dreamers that start at once: forked from a process that has read torch, instead of each reading it anew.

Usage: `pytestmark = pytest.mark.usefixtures("warm_dreamers")` in a module that films or plays with real dreamers.
Reading torch, diffusers and transformers takes 9 s of a core, and loading a tiny model half a second. All else is as
it is with spawned children: the worker's main, its pipe and ring, its pictures. What spawning itself does is tested
where this is not used: tests/dreamer/test_process.py, tests/play/test_live.py and tests/cli/test_cli.py.
"""

import multiprocessing
import multiprocessing.forkserver
import os
from multiprocessing.context import BaseContext
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).resolve().parent.parent


def context() -> BaseContext:
    """One whose children are warm. The process they are forked from is started once, and ends with this one."""
    with patch.dict(os.environ, PYTHONPATH=os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])):
        multiprocessing.set_forkserver_preload(["tests.warm_parent"])
        multiprocessing.forkserver.ensure_running()
    return multiprocessing.get_context("forkserver")
