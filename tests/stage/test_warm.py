"""What the first run on a machine compiles beside the stage: all of it, by nobody else's leave, and out of the way."""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

import pytest

from engine.control.clock import LockstepClock
from engine.play import live
from engine.play.live import LiveOptions, Player
from engine.stage import warm
from engine.stage.gl import create_context, is_software
from tests.play.test_player import FlatDreamer, quiet_show

# A stage's first frame, or with an argument its life from there into its first keyframes and out of the dissolve.
STAGE = """
import sys
import numpy as np
from engine.stage.blend import Blend
from engine.stage.gl import create_context, make_target
from engine.dreamer.spec import Keyframe
from engine.stage.look import Look
from engine.walk.waypoint import Waypoint
from engine.stage.shaders import Shaders
from tests.stage.values import DEFAULTS

ctx = create_context(headless=True)
shaders, target = Shaders(ctx), make_target(ctx, (320, 180), "f1")
blend, look = Blend(ctx, shaders, (112, 64)), Look(ctx, shaders)
for frame in range(200 if sys.argv[1:] else 1):
    now_s = frame * 0.05
    if frame >= 100 and frame % 10 == 0:
        waypoint = Waypoint(now_s, 0 if frame < 180 else 1, (), ())
        blend.upload(Keyframe(waypoint, np.zeros((64, 112, 3), np.uint8), 0, 0.0))
    values = DEFAULTS | {"blend.transition": "pulp", "look.enabled": frame < 195}
    picture = blend.render(now_s, values)
    look.render(picture, target.framebuffer, values, now_s)
ctx.finish()
"""


def remembered(folder: Path) -> int:
    """Bytes that the driver has put by."""
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file() and f.name != "index")  # of fixed size


def test_after_it_the_stage_has_nothing_left_to_compile(tmp_path: Path) -> None:
    ctx = create_context(headless=True)
    software = is_software(ctx)
    ctx.release()
    if not software:
        pytest.skip("the software renderer's way")
    environment = {**os.environ, "MESA_SHADER_CACHE_DIR": str(tmp_path), "MESA_SHADER_CACHE_DISABLE": "false"}

    def run(*command: str) -> int:
        subprocess.run([sys.executable, *command], env=environment, check=True)
        return remembered(tmp_path)

    first = run("-c", STAGE)
    if not first:
        pytest.skip("this driver remembers nothing")
    warmed = run("-P", "-m", "engine.stage.warm", "112", "64")
    assert warmed > first * 1.5
    assert run("-c", STAGE, "all") == warmed


class Slow:
    """In place of a Warmer: ends when told."""

    made: ClassVar[list["Slow"]]

    def __init__(self, size: tuple[int, int]) -> None:
        self.size, self.done, self.stopped = size, False, False
        self.made.append(self)

    def stop(self) -> None:
        self.stopped = True


class Silent(FlatDreamer):
    """Never has a picture."""

    def poll(self) -> list:
        return []


@pytest.mark.parametrize("cold", [True, False])
def test_on_a_cold_machine_the_stage_waits_with_its_own_compiling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cold: bool
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(live, "DreamerProcess", Silent)
    monkeypatch.setattr(live, "is_software", lambda ctx: True)
    monkeypatch.setattr(live, "WAITING_HZ", 10_000.0)
    monkeypatch.setattr(live, "COLD_S", -1.0 if cold else 60.0)
    monkeypatch.setattr(live, "Warmer", Slow)
    monkeypatch.setattr(Slow, "made", [], raising=False)
    show = quiet_show()
    with ExitStack() as stack:
        clock = LockstepClock(60)
        player = Player(show, LiveOptions(headless=True, size=(192, 108)), clock, stack)
        everything = len(player.blend._to_warm)

        def left(after_s: float) -> int:
            for _ in range(round(after_s * 60)):
                player.step()
                clock.advance()
            return len(player.blend._to_warm)

        assert (left(1.0) == everything) is cold
        for warmer in Slow.made:
            assert warmer.size == (64, 64)
            warmer.done = True
        assert left(4.0) == 0
    assert [warmer.stopped for warmer in Slow.made] == [True] * cold


def test_it_is_stopped_in_the_midst_and_a_machine_without_room_for_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    warmer = warm.Warmer((448, 256))
    assert not warmer.done
    warmer.stop()
    assert warmer.done

    def refuse(*args: object, **how: object) -> None:
        raise OSError("Resource temporarily unavailable")

    monkeypatch.setattr(warm.subprocess, "Popen", refuse)
    warmer = warm.Warmer((448, 256))
    assert warmer.done
    warmer.stop()
