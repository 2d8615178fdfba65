"""`pedesis osc learn` in a real terminal (a pty), with real packets: keys, binding, the file."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.cli.keyboard import names_of
from tests.packets import Sender

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no pty")

SHOW = '# mine\n[[material]]\nname = "clouds"\nprompt = "clouds"\n\n[osc]\nport = {port}\n'


class Terminal:
    """A terminal in which the command runs."""

    def __init__(self, *words: str, cwd: Path) -> None:
        self.ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30", "PYTHONPATH": os.getcwd()}
        command = [sys.executable, "-m", "engine.cli", "-q", "osc", "learn", *words]
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=environment)
        os.close(theirs)
        self.text = ""

    def wait_for(self, words: str) -> None:
        """Reads until these words have been on the screen since the last call."""
        deadline = time.monotonic() + 60
        while words not in self.text:
            assert time.monotonic() < deadline and self.process.poll() is None, self.text[-3000:]
            if select.select([self.ours], [], [], 0.1)[0]:
                self.text += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", os.read(self.ours, 65536).decode("utf-8", "replace"))
        self.text = ""

    def press(self, keys: str) -> None:
        os.write(self.ours, keys.encode())


def test_choose_move_bind_written(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SHOW.format(port=7185))
    terminal = Terminal(str(path), "--to", "walk.radius", cwd=tmp_path)
    try:
        terminal.wait_for("move a control")
        send = Sender(7185)
        terminal.press("\x1b[B")
        terminal.wait_for("▶   walk.pedesis")
        for n in range(60):
            send("/1/fader3", float(n * 127 / 59))
            time.sleep(0.01)
        terminal.wait_for("/1/fader3: 127, went from 0 to 127")
        terminal.press("\r")
        terminal.wait_for("/1/fader3, 0 to 127 moves walk.pedesis now")
        terminal.press("q")
        assert terminal.process.wait(20) == 0
    finally:
        terminal.process.kill()
        os.close(terminal.ours)
    expected = '\n[[map]]\nfrom = "/1/fader3"\nto = "walk.pedesis"\nin = [0.0, 127.0]\n'
    assert path.read_text() == SHOW.format(port=7185) + expected


def test_without_a_terminal_it_says_so(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SHOW.format(port=7186))
    command = [sys.executable, "-m", "engine.cli", "osc", "learn", str(path)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "learning takes a terminal" in done.stderr
    done = subprocess.run([*command, "--to", "walk.sped"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == "--to: walk.sped cannot be moved by a control. Did you mean walk.speed?\n"


def test_keys_have_the_names_of_the_stage() -> None:
    assert names_of("\x1b[A\x1b[B\r\tx\x7fL\x1b") == ["up", "down", "enter", "tab", "x", "x", "l", "escape"]
