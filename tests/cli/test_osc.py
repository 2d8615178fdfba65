"""`pedesis osc` as it is typed: what is sent arrives at a listener, and what arrives is told."""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli import app
from engine.control.message import decode
from engine.control.osc import OscIn
from engine.play.shows import load_show
from tests.packets import Sender

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE_S = 30.0


@contextmanager
def watching(*options: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A monitor in a process of its own, and its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        trial.bind(("127.0.0.1", 0))
        port = int(trial.getsockname()[1])
    command = [sys.executable, "-m", "engine.cli", "osc", "monitor", "--port", str(port), "--plain", *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for_listener(port, process)
        yield process, port
    finally:
        process.kill()
        process.communicate()


def wait_for_listener(port: int, process: "subprocess.Popen[str]") -> None:
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s and process.poll() is None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                return
        time.sleep(0.05)
    raise AssertionError("the monitor never listened")


def line_with(process: "subprocess.Popen[str]", part: str) -> str:
    """The next line of the monitor's that has it."""
    assert process.stdout is not None
    for line in process.stdout:
        if part in line:
            return line
    raise AssertionError(f"the monitor ended before it told of {part!r}")


def test_send_moves_a_parameter_of_a_listener() -> None:
    listening = OscIn("127.0.0.1", 0, load_show("house").registry)
    listening.start()
    try:
        done = CliRunner().invoke(app, ["osc", "send", "walk.speed", "-0.5", "--port", str(listening.port)])
        assert done.exit_code == 0 and done.output == f"127.0.0.1:{listening.port}  /walk/speed f:-0.5\n"
        assert listening.drain() == [("walk.speed", 0.0)]
        CliRunner().invoke(app, ["osc", "send", "/walk/nudge", "--port", str(listening.port)])
        assert listening.drain() == [("walk.nudge", 1.0)]
    finally:
        listening.close()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["send", "/walk/speed", "i:fast"], 2, "i: must be followed by a whole number, got 'i:fast'"),
        (["send", "/walk speed", "1"], 2, "without spaces, got '/walk speed'"),
        (["send", "/walk/speed", "1", "--port", "9"], 1, "nothing listens at 127.0.0.1 port 9"),
        (["send", "/walk/speed", "1", "--host", "192.168..1"], 2, "cannot send to 192.168..1"),
        (["sim", "visiter"], 2, "one of visitor, hand, microphone, touchosc, got 'visiter'. Did you mean visitor?"),
        (["sim", "hand", "--duration", "-1"], 2, "a duration must be"),
        (["monitor", "no-such-show"], 2, "No show named 'no-such-show'"),
    ],
)
def test_what_cannot_be_done_is_one_line(words: list[str], code: int, said: str) -> None:
    done = CliRunner().invoke(app, ["osc", *words])
    assert done.exit_code == code and said in done.output, done.output


def test_sim_sends_the_same_performance_and_shows_how_to_use_it() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        words = ["osc", "sim", "hand", "--port", str(port), "--duration", "0.05", "--rate", "100", "--seed", "3"]
        told, came = [], []
        for _ in range(2):
            told.append(CliRunner().invoke(app, words).output)
            listener.settimeout(5)
            count = int(told[-1].splitlines()[-1].split()[0])
            came.append([decode(listener.recv(1000)) for _ in range(count)])
    assert told[0] == told[1] and came[0] == came[1]
    assert came[0][0] == ("/hand/present", [1]) and came[0][1][0] == "/hand/position"
    assert "[[map]]" in told[0] and "/hand/position f:" in told[0]


def test_the_monitor_tells_what_arrives_and_what_it_drives() -> None:
    with watching("stage") as (process, port):
        send = Sender(port)
        send("/walk/speed", 0.5)
        assert line_with(process, "/walk/speed").split(None, 1)[1] == "/walk/speed  0.500  -> walk.speed\n"
        send("/sensor/1/distance", 2.5)
        assert line_with(process, "/sensor").endswith("/sensor/1/distance  2.500  -> walk.focus\n")  # by [[map]]
        send("/pedal/1", 2.5)
        assert line_with(process, "/pedal").endswith("/pedal/1  2.500  -> nothing\n")
        send.raw(b"<html>")
        assert "this is XML, not OSC" in line_with(process, "(XML)")
        taken = CliRunner().invoke(app, ["osc", "monitor", "--port", str(port)])
        assert taken.exit_code == 2
        assert f"OSC port {port} on 127.0.0.1 is taken by" in taken.output
        assert f"pedesis osc monitor --port {port + 1}" in taken.output


def test_the_monitor_ends_when_it_is_told_to_and_when_the_pipe_is_closed() -> None:
    with watching("--duration", "0.3") as (process, _):
        assert process.wait(PATIENCE_S) == 0
    with watching() as (process, port):
        assert process.stdout is not None
        process.stdout.close()
        send = Sender(port)
        end_s = time.monotonic() + PATIENCE_S
        while process.poll() is None and time.monotonic() < end_s:
            with suppress(ConnectionRefusedError):  # it has ended
                send("/walk/speed", 0.5)
            time.sleep(0.05)
        assert process.returncode == 0
        process.stdout = None


@pytest.mark.skipif(shutil.which("oscsend") is None, reason="needs liblo's oscsend")
def test_a_foreign_sender_is_told_as_it_sends() -> None:
    with watching() as (process, port):
        subprocess.run(["oscsend", "localhost", str(port), "/foreign", "ifsTFNI", "3", "0.25", "two words"], check=True)
        line = line_with(process, "/foreign")
        assert line.split(None, 1)[1] == "/foreign  3 0.250 'two words' true …  -> nothing\n"
