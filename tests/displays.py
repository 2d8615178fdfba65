"""Window systems of their own for tests: a virtual X server, a Wayland desktop.

Usage: `with x_server() as (server, display): ...`. Skips the test where the program for it is not installed.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def x_server() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A virtual X server on a number of its own choosing. It does not begin anew when its last client has gone, as it
    would by itself, refusing whoever comes meanwhile."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed (apt-get install xvfb)")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "800x600x24", "-nolisten", "tcp", "-noreset"],
        pass_fds=[write],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()
    try:
        if not number:
            pytest.skip("Xvfb did not start")
        yield server, f":{number}"
    finally:
        server.terminate()
        server.wait(10)


@contextmanager
def weston(folder: Path, *options: str, **env: str) -> Iterator[dict[str, str]]:
    """A Wayland desktop; what a client of it needs in its environment."""
    if shutil.which("weston") is None:
        pytest.skip("weston is not installed (apt-get install weston)")
    folder.chmod(0o700)
    own = {"XDG_RUNTIME_DIR": str(folder), "WAYLAND_DISPLAY": "pedesis-test"}
    socket = folder / own["WAYLAND_DISPLAY"]
    server = subprocess.Popen(
        ["weston", "--no-config", "--use-pixman", "--idle-time=0", f"--socket={socket.name}", *options],
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder), **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 15
        while not socket.exists():
            if server.poll() is not None or time.monotonic() > end:
                pytest.skip("weston did not start")
            time.sleep(0.05)
        yield own
    finally:
        server.terminate()
        server.wait(10)
