"""The show played live end to end: a real dreamer process, real OSC, real GL without a display."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import psutil
import pytest
from pythonosc.udp_client import SimpleUDPClient

from engine.play.takes import open_take
from tests import warm
from tests.shows import dreamers, write_tiny_show


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def hear_hangup() -> None:
    """These tests may themselves run under nohup, which a show would inherit and heed."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Live:
    """`pedesis run --headless` of the tiny show, in a process and a home of its own. Its dreamer is a warm one, or
    spawned as people's are."""

    def __init__(
        self, folder: Path, *more: str, show: Path | None = None, duration: float | None = None, spawned: bool = False
    ) -> None:
        self.folder, self.port = folder, free_port()
        self.stats = folder / "stats.json"
        pedesis = [sys.executable, "-m", "engine.cli"] if spawned else warm.command()
        command = [*pedesis, "run", str(show or write_tiny_show(folder)), "--headless",
                   "--osc-port", str(self.port), "--stats", str(self.stats), "--size", "320x180", *more]  # fmt: skip
        if duration is not None:
            command += ["--duration", str(duration)]
        environment = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
        self.process = subprocess.Popen(
            command, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=hear_hangup
        )
        self.log: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()
        self.client = SimpleUDPClient("127.0.0.1", self.port)

    def _read(self) -> None:
        assert self.process.stderr
        self.log.extend(self.process.stderr)

    def dreamer(self, timeout_s: float = 40.0, other_than: int = 0) -> psutil.Process:
        """The dreamer's process, once it is there."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for child in dreamers(psutil.Process(self.process.pid)):
                if child.pid != other_than:
                    return child
            time.sleep(0.1)
        raise AssertionError("no dreamer process appeared:\n" + "".join(self.log))

    def end(self, number: int = signal.SIGTERM) -> tuple[dict, float]:
        """Asks it to end; its stats and how long it took."""
        start = time.monotonic()
        self.process.send_signal(number)
        assert self.process.wait(10) == 0, "".join(self.log)
        return json.loads(self.stats.read_text()), time.monotonic() - start


@pytest.fixture()
def live(tmp_path: Path):
    runs: list[Live] = []

    def start(*more: str, **how: object) -> Live:
        runs.append(Live(tmp_path, *more, **how))  # type: ignore[arg-type]
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()


def wait_for_keyframes(run: Live, seconds: float = 60.0) -> None:
    """Until the dreamer has dreamt, as the log says, and a little longer."""
    run.dreamer()
    deadline = time.monotonic() + seconds
    while not any("first picture" in line for line in run.log) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(1.5)


def test_a_run_dreams_steers_measures_and_leaves_no_process(live) -> None:
    run = live("--set", "window.resume=true", spawned=True)
    wait_for_keyframes(run)
    child = run.dreamer()
    for i in range(200):
        run.client.send_message("/walk/speed", i / 200)
        run.client.send_message("/no/such/thing", 1.0)
        time.sleep(0.002)
    stats, took_s = run.end()
    assert stats["dreamer"]["keyframes"] > 5 and stats["dreamer"]["restarts"] == 0
    assert stats["stage"]["frames"] > 100
    assert stats["stage"]["first_picture_s"] < 10  # the README's bound is measured in scripts/bench
    assert stats["osc"]["accepted"] > 0 and stats["osc"]["unknown"] > 0
    assert took_s < 4
    assert not psutil.pid_exists(child.pid) or psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
    assert sum("/no/such/thing" in line for line in run.log) == 1
    assert the_walk(run.folder)["ticks"] > 100


def remembered(folder: Path) -> Path:
    """The state file of the one show that was played there."""
    (path,) = (folder / "state" / "pedesis").glob("tiny*/seed-*.json")
    return path


def the_walk(folder: Path) -> dict:
    """What its state file says of it."""
    return json.loads(remembered(folder).read_text())["navigator"]


def test_a_killed_dreamer_is_restarted_while_the_frames_go_on(live) -> None:
    run = live()
    wait_for_keyframes(run)
    first = run.dreamer()
    first.send_signal(signal.SIGKILL)
    second = run.dreamer(other_than=first.pid)
    assert second.pid != first.pid
    wait_for_keyframes(run)
    stats, _ = run.end()
    assert stats["dreamer"]["restarts"] >= 1
    assert stats["stage"]["longest_gap_ms"] < 1000  # two cores also run this test; the bench holds it to 100
    assert stats["stage"]["frames"] > 60


def test_a_killed_stage_takes_its_dreamer_with_it(live) -> None:
    run = live(spawned=True)
    child = run.dreamer()
    run.process.kill()
    run.process.wait()
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_recording_plays_at_the_right_speed(live, tmp_path: Path) -> None:
    film = tmp_path / "live.mp4"
    run = live("--record", str(film), duration=6.0)
    assert run.process.wait(60) == 0, "".join(run.log)
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        seconds = float(stream.duration * stream.time_base)
        frames = sum(1 for _ in container.decode(video=0))
    assert 4.5 < seconds < 6.5 and frames > 20


def test_a_restart_does_not_overwrite_the_recording_before(live, tmp_path: Path) -> None:
    (tmp_path / "live.mp4").write_bytes(b"yesterday")
    run = live("--record", str(tmp_path / "live.mp4"), duration=3.0)
    assert run.process.wait(60) == 0, "".join(run.log)
    assert (tmp_path / "live.mp4").read_bytes() == b"yesterday"
    assert (tmp_path / "live-2.mp4").stat().st_size > 1000


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP here")
def test_a_terminal_that_closes_ends_the_show_in_good_order(live) -> None:
    run = live("--set", "window.resume=true")
    run.dreamer()
    run.process.send_signal(signal.SIGHUP)
    assert run.process.wait(20) == 0
    assert remembered(run.folder).exists()


def test_a_taken_port_is_one_sentence_and_exit_2(live) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        run = live("--osc-port", str(taken.getsockname()[1]), duration=5.0)
        assert run.process.wait(60) == 2
    time.sleep(0.2)
    said = [line for line in run.log if line.strip()]
    assert len(said) == 1 and "port" in said[0]


def test_a_show_that_resumes_goes_on_where_it_was(live, tmp_path: Path) -> None:
    show = write_tiny_show(tmp_path, resume=True)
    phases = []
    for _ in range(2):
        run = live(show=show, duration=3.0)
        assert run.process.wait(60) == 0, "".join(run.log)
        phases.append(the_walk(tmp_path)["phase"])
    assert phases[1] > 1.5 * phases[0] > 0
    remembered(tmp_path).write_text('{"navigator": 3}')
    run = live(show=show, duration=2.0)
    assert run.process.wait(60) == 0
    assert any("is damaged" in line for line in run.log)


def test_a_killed_show_leaves_its_take(live, tmp_path: Path) -> None:
    take = tmp_path / "a.take"
    run = live("--take", str(take))
    run.dreamer()
    for n in range(60):
        run.client.send_message("/walk/speed", n / 60)
        time.sleep(0.05)
    time.sleep(1.0)
    run.process.kill()
    run.process.wait()
    show, read = open_take(take)
    speeds = [event.value for event in read.events if event.name == "walk.speed"]
    assert len(speeds) > 10 and speeds == sorted(speeds) and speeds[-1] == pytest.approx(59 / 60)
    assert show.name == "tiny" and read.seconds > 2


def test_another_show_by_a_message_while_real_dreamers_dream(live, tmp_path: Path) -> None:
    first = write_tiny_show(tmp_path)
    for name, width in (("words", 64), ("wide", 128)):
        text = first.read_text().replace("a torn page", f"{name} of glass").replace("width = 64", f"width = {width}")
        (tmp_path / f"{name}.toml").write_text(text)
    run = live("--out", str(tmp_path / "kept"), show=first)
    wait_for_keyframes(run)
    child = run.dreamer()
    for name in ("words", "wide", "tiny"):
        run.client.send_message("/show/load", name)
        deadline = time.monotonic() + 60
        while not any(f"playing the show {name}" in line for line in run.log):
            assert time.monotonic() < deadline and run.process.poll() is None, "".join(run.log)
            time.sleep(0.1)
        if name == "words":
            assert run.dreamer().pid == child.pid, "other words need no other dreamer"
    time.sleep(3.0)
    assert len(dreamers(psutil.Process(run.process.pid))) == 1, "a dreamer of a show before was left"
    stats, _ = run.end()
    assert stats["dreamer"]["restarts"] == 0
