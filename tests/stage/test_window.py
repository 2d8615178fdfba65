"""The stage: headless here, and a real window on a virtual X server where there is one.

GLFW reads DISPLAY once and wants a process's first thread, so each window test is a process of its own.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.stage.gl import read_pixels
from engine.stage.window import Box, NoDisplay, Pacer, most_of, open_stage
from tests.displays import weston, x_server

ROOT = Path(__file__).resolve().parents[2]
VARIANT = "PYGLFW_LIBRARY_VARIANT"  # which of GLFW's libraries an earlier test of this process chose


def python(code: str, display: str | None, *args: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", VARIANT)} | more
    if display is not None:
        env["DISPLAY"] = display
    return subprocess.run(
        [sys.executable, "-c", code, *args], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("window", "number"),
    [
        ((60, 60, 640, 480), 0),
        ((1700, 60, 640, 480), 1),  # across the edge, more of it on the second
        ((-500, 60, 640, 480), 0),
        ((100, 5000, 640, 480), 1),  # nowhere: as was said
        ((1920 - 320, 60, 640, 480), 1),  # half and half: as was said
    ],
)
def test_a_window_belongs_to_the_screen_that_most_of_it_lies_on(window: Box, number: int) -> None:
    assert most_of(window, [(0, 0, 1920, 1080), (1920, 0, 1280, 720)], 1) == number


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    with x_server() as (_, number):
        yield number


def test_pacer_keeps_the_rate_without_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def sleep(seconds: float) -> None:
        now[0] += seconds + 0.0007  # a kernel wakes late, always

    monkeypatch.setattr(time, "sleep", sleep)
    pacer = Pacer(50.0)
    for k in range(500):
        now[0] += 0.004 + 0.002 * (k % 3)  # the work
        pacer.wait()
    assert now[0] == pytest.approx(110.0, abs=0.01)
    now[0] += 1.0  # a stall is not made up for in a rush
    times = []
    for _ in range(5):
        pacer.wait()
        times.append(now[0])
    assert np.diff(times)[1:].min() > 0.019
    with pytest.raises(ValueError, match="above 0, got 0"):
        Pacer(0)


def test_headless_runs_at_sixty() -> None:
    with open_stage(headless=True, size=(64, 36)) as stage:
        assert stage.refresh_hz == 60.0
        assert stage.poll() == [] and not stage.fullscreen
        stage.present()
        begin = time.monotonic()
        for _ in range(30):
            stage.framebuffer.clear(1.0, 0.5, 0.0)
            stage.present()
        spent = time.monotonic() - begin
        assert spent > 0.49  # a busy machine may make it longer, nothing may make it shorter
        assert read_pixels(stage.framebuffer)[0, 0].tolist() in ([255, 127, 0], [255, 128, 0])
    assert stage.closing
    stage.close()  # twice does no harm


def test_unpaced_does_not_wait() -> None:
    with open_stage(headless=True, size=(16, 16), paced=False) as stage:
        begin = time.monotonic()
        for _ in range(120):
            stage.present()
        assert time.monotonic() - begin < 1.5


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (3840, 2160), (720, 1280), (333, 77)])
def test_headless_sizes(size: tuple[int, int]) -> None:
    with open_stage(headless=True, size=size, paced=False) as stage:
        assert stage.size == size
        stage.present()
        assert read_pixels(stage.framebuffer).shape == (size[1], size[0], 3)


def test_a_size_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="got 0×10"):
        open_stage(headless=True, size=(0, 10))


NO_DISPLAY = """
from engine.stage.window import NoDisplay, has_display, open_stage
assert not has_display()
try:
    open_stage(windowed=True)
except NoDisplay as error:
    print(error)
"""


@pytest.mark.parametrize(("display_name", "said"), [(None, "there is no display"), (":4711", ":4711")])
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="DISPLAY is an X11 matter")
def test_no_display_is_one_sentence_with_the_cure(display_name: str | None, said: str) -> None:
    done = python(NO_DISPLAY, display_name)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout and "--headless" in done.stdout
    assert done.stdout.strip().count("\n") == 0
    assert issubclass(NoDisplay, Exception)


UNTIL = """
import time

def until(true, limit_s=10):
    end = time.monotonic() + limit_s
    while not true() and time.monotonic() < end:
        stage.poll()
        stage.framebuffer.clear()  # Mesa 22's software renderer dies of a swap without a picture on Wayland
        stage.present()
    return true()

"""

WINDOW = UNTIL + """
import glfw, numpy as np
from engine.stage.gl import read_pixels
from engine.stage.window import has_display, open_stage
assert has_display()
with open_stage(windowed=True, size=(320, 180)) as stage:
    assert stage.size == (320, 180) and not stage.fullscreen and stage.refresh_hz > 0
    assert glfw.get_input_mode(stage._window, glfw.CURSOR) == glfw.CURSOR_NORMAL
    for size in [(500, 120), (64, 300), (16, 16), (640, 480)]:
        glfw.set_window_size(stage._window, *size)
        assert until(lambda: stage.size == size, 5), (stage.size, size)
        stage.framebuffer.use()
        stage.framebuffer.clear(0.2, 0.4, 0.6)
        pixels = read_pixels(stage.framebuffer)
        assert pixels.shape == (size[1], size[0], 3), pixels.shape
        assert np.abs(pixels.astype(int) - [51, 102, 153]).max() <= 1
        stage.present()
    begin = time.monotonic()
    for _ in range(30):
        stage.present()
    assert time.monotonic() - begin > 0.45  # paced though this server has no vsync
    stage.set_fullscreen(True)
    assert until(lambda: stage.size == (800, 600), 5) and stage.fullscreen
    assert glfw.get_input_mode(stage._window, glfw.CURSOR) == glfw.CURSOR_HIDDEN
    stage.set_fullscreen(False)
    assert until(lambda: stage.size == (640, 480), 5) and not stage.fullscreen
    for key, action in [(glfw.KEY_F, glfw.PRESS), (glfw.KEY_F, glfw.REPEAT), (glfw.KEY_F, glfw.RELEASE),
                        (glfw.KEY_ESCAPE, glfw.PRESS), (glfw.KEY_SPACE, glfw.PRESS), (-1, glfw.PRESS)]:
        stage._pressed(key, 0, action)
    assert stage.poll() == ["f", "escape", "space"] and stage.poll() == []
    assert not stage.closing
    glfw.set_window_should_close(stage._window, True)
    stage.poll()
    assert stage.closing
    print(stage.screen_saver)
stage.close()
print("well")
"""

FULL = """
from engine.stage.window import NoDisplay, open_stage
with open_stage() as stage:
    assert stage.size == (800, 600) and stage.fullscreen
    for _ in range(3):
        stage.poll()
        stage.present()
try:
    open_stage(display=3)
except NoDisplay as error:
    print(error)
with open_stage(windowed=True, size=(100, 60)) as stage:
    stage.present()
"""


BACK = UNTIL + """
import glfw
from engine.stage.window import open_stage
with open_stage() as stage:
    stage.poll()
    # What GLFW itself does when the monitor of a full screen is unplugged.
    glfw.set_window_monitor(stage._window, None, 0, 0, 320, 200, glfw.DONT_CARE)
    assert until(lambda: glfw.get_window_monitor(stage._window))
    assert until(lambda: stage.size == (800, 600)) and stage.fullscreen
    assert glfw.get_input_mode(stage._window, glfw.CURSOR) == glfw.CURSOR_HIDDEN
    stage.set_fullscreen(False)
    for _ in range(100):
        stage.poll()
        stage.present()
    assert not glfw.get_window_monitor(stage._window)  # who left it himself is not sent back
    print(stage.screen_saver)
"""


def test_a_screen_that_comes_back_is_filled_again(display: str) -> None:
    done = python(BACK, display)
    assert done.returncode == 0, done.stderr


def test_gnomes_own_blanking_is_held_off(display: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "gnome-session-inhibit"
    fake.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/said\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CURRENT_DESKTOP", "ubuntu:GNOME")
    done = python(BACK, display)
    assert done.returncode == 0, done.stderr
    assert "held off by gnome-session-inhibit" in done.stdout
    assert "--inhibit idle" in (tmp_path / "said").read_text() and "tail --pid=" in (tmp_path / "said").read_text()


def test_a_window_lives(display: str) -> None:
    done = python(WINDOW, display)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("well\n")
    assert "held off" in done.stdout


def test_full_screen_fills_it_and_a_monitor_that_is_not_there_is_named(display: str) -> None:
    done = python(FULL, display)
    assert done.returncode == 0, done.stderr
    assert "there is no display 3, only one monitor: choose --display 0" in done.stdout


FOLLOW = UNTIL + """
import subprocess
from engine.stage.window import open_stage

def xrandr(*words):
    subprocess.run(["xrandr", *words], check=True)

xrandr("--newmode", "small", "25.18", "640", "656", "752", "800", "480", "490", "492", "525")
xrandr("--addmode", "screen", "small")
with open_stage() as stage:
    assert until(lambda: stage.size == (800, 600))
    for mode, size in [("small", (640, 480)), ("800x600", (800, 600))]:
        xrandr("--output", "screen", "--mode", mode)
        assert until(lambda: stage.size == size), (stage.size, size)
        assert stage.fullscreen
"""


@pytest.mark.skipif(shutil.which("xrandr") is None, reason="xrandr is missing (apt-get install x11-xserver-utils)")
def test_full_screen_follows_the_resolution_without_a_window_manager() -> None:
    with x_server() as (_, display):
        done = python(FOLLOW, display)
    assert done.returncode == 0, done.stderr


TYPED = UNTIL + """
import json, subprocess, sys
from engine.stage.window import open_stage
got = {}
with open_stage() as stage:
    until(lambda: False, 0.2)
    for layout, variant, codes in json.loads(sys.argv[1]):
        subprocess.run(["setxkbmap", "-layout", layout, "-variant", variant], check=True)
        until(lambda: False, 0.2)  # the change arrives
        keys = []
        subprocess.run(["xdotool", "key", *codes], check=True)
        until(lambda: (keys.extend(stage.poll()), len(keys) >= len(codes))[1], 1)
        got[layout + variant] = keys
print(json.dumps(got))
"""
# Keycodes by their place: 24 is the American Q, 41 F, 56 B, 39 S, 43 H, 58 M, 47 ;, 44 J, 29 Y, 10 1, 65 space.
KEYCODES = {
    ("fr", ""): {"24": "a", "41": "f", "47": "m", "10": "1", "65": "space"},
    ("de", ""): {"29": "z", "56": "b", "Escape": "escape"},
    ("us", "dvorak"): {"29": "f", "57": "b", "47": "s", "44": "h", "58": "m"},
    ("ru", ""): {"41": "f", "56": "b", "39": "s", "43": "h", "58": "m"},
    ("gr", ""): {"41": "f", "56": "b", "39": "s", "43": "h", "58": "m"},
    ("ara", ""): {"41": "f", "56": "b", "39": "s", "43": "h", "58": "m"},
}


@pytest.mark.skipif(
    not all(map(shutil.which, ("xdotool", "setxkbmap"))), reason="xdotool is not installed (apt-get install xdotool)"
)
def test_keys_typed_on_other_layouts() -> None:
    typed = [[*layout, list(codes)] for layout, codes in KEYCODES.items()]
    with x_server() as (_, display):
        done = python(TYPED, display, json.dumps(typed))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"".join(layout): [*codes.values()] for layout, codes in KEYCODES.items()}


LOST = UNTIL + """
import os, signal, sys
from engine.stage.window import open_stage
with open_stage(windowed=sys.argv[2] == "windowed", size=(320, 180)) as stage:
    assert not until(lambda: stage.closing, 0.2)
    size = stage.size
    stage.poll()
    stage.framebuffer.clear()
    os.kill(int(sys.argv[1]), signal.SIGKILL)
    assert until(lambda: stage.closing)
    assert stage.poll() == [] and stage.size == size  # Xlib would make one up
    stage.present()
    stage.set_fullscreen(not stage.fullscreen)
print("saved")
"""


@pytest.mark.parametrize("shown", ["windowed", "fullscreen"])
def test_the_x_server_going_away_is_like_a_closed_window(shown: str) -> None:
    with x_server() as (server, display):
        done = python(LOST, display, str(server.pid), shown)
    assert (done.returncode, done.stdout) == (0, "saved\n"), done.stderr


WAYLAND = UNTIL + """
import numpy as np
from engine.stage.gl import read_pixels
from engine.stage.window import open_stage
with open_stage() as stage:
    import glfw  # not before: the engine chooses which of GLFW's libraries it is
    assert glfw.get_platform() == glfw.PLATFORM_WAYLAND
    assert until(lambda: stage.size == FULL) and stage.fullscreen, stage.size
    assert glfw.get_input_mode(stage._window, glfw.CURSOR) == glfw.CURSOR_HIDDEN
    stage.framebuffer.use()
    stage.framebuffer.clear(0.2, 0.4, 0.6)
    pixels = read_pixels(stage.framebuffer)
    assert pixels.shape == (FULL[1], FULL[0], 3) and np.abs(pixels.astype(int) - [51, 102, 153]).max() <= 1
    assert not until(lambda: False, 0.5)
    stage.set_fullscreen(False)  # to a window that was to be larger than this screen
    assert not until(lambda: stage.size == FULL, 0.5) and not stage.fullscreen
    assert max(a / b for a, b in zip(stage.size, FULL)) <= 0.9
    stage.set_fullscreen(True)
    assert until(lambda: stage.size == FULL)
    print(stage.screen_saver)
"""


@pytest.mark.parametrize("scale", [1, 2])
def test_full_screen_on_wayland(display: str, tmp_path: Path, scale: int) -> None:
    """A screen of 640×400, also as a dense one of half as many points: every one of its pixels is drawn."""
    size = ("--backend=x11-backend.so", "--width=640", "--height=400")
    if scale == 2:
        size = ("--backend=x11-backend.so", "--width=320", "--height=200", "--scale=2")
    with weston(tmp_path, *size, DISPLAY=display) as desktop:
        done = python(WAYLAND.replace("FULL", "(640, 400)"), None, **desktop)
    assert done.returncode == 0, done.stderr
    assert "held off by GLFW" in done.stdout


def test_a_wayland_desktop_without_keyboard_and_mouse_is_one_sentence(tmp_path: Path) -> None:
    with weston(tmp_path, "--backend=headless-backend.so") as desktop:
        done = python(NO_DISPLAY, None, **desktop)
    assert done.returncode == 0, done.stderr
    assert "no keyboard and no mouse" in done.stdout and "--headless" in done.stdout
    assert done.stdout.strip().count("\n") == 0
