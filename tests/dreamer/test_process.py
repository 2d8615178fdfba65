"""The stage's side of the dreamer: feeding, death, hanging, memory, stopping; and the real child once.

Most children here are warm ones (tests/warm.py). Those that are about being started, killed and stopped are spawned, as
people's are."""

import errno
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from engine.dreamer import worker
from engine.dreamer.faults import is_out_of_memory, led_to_by_memory, to_model_error
from engine.dreamer.messages import Done, Dream, FromChild, Want
from engine.dreamer.models import ModelError
from engine.dreamer.process import NICE, DreamerProcess, DreamSpec, Keyframe, Limits
from engine.dreamer.restart import GIVE_UP, MOST_ECONOMY
from engine.dreamer.ring import Ring, Shapes
from engine.dreamer.spec import PALETTES
from engine.show.specs import ModelSpec
from engine.walk.palette import Palette
from engine.walk.waypoint import Point, Waypoint
from tests import fake_worker

pytestmark = pytest.mark.usefixtures("warm_dreamers")


@pytest.fixture(scope="module")
def tiny_sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests import tiny_models

    return tiny_models.save("sd", tmp_path_factory.mktemp("models") / "sd")


class Supply:
    """Waypoints with phases 0, 1, 2 ..."""

    def __init__(self, limit: int | None = None) -> None:
        self.asked, self.limit = 0, limit

    def __call__(self) -> Waypoint | None:
        if self.limit is not None and self.asked >= self.limit:
            return None
        self.asked += 1
        return Waypoint(0.0, 0, (Point(3, float(self.asked - 1), 0.1, 1.0),), (1.0,))


def spec(name: str = "fake", **changes: Any) -> DreamSpec:
    return DreamSpec(ModelSpec(name=name, **changes), Palette.of(["a cloud"]), 32, 16)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., DreamerProcess]]:
    monkeypatch.setattr("engine.dreamer.restart.BACKOFF_S", (0.05, 0.1, 0.2))
    running: list[DreamerProcess] = []

    def start(worker: Callable[..., None], supply: Any = None, **options: Any) -> DreamerProcess:
        dreamer = DreamerProcess(spec(), supply or Supply(), worker=worker, **options)
        running.append(dreamer)
        dreamer.start()
        return dreamer

    yield start
    for dreamer in running:
        dreamer.stop()


def phases(keyframes: list[Keyframe]) -> list[int]:
    return [round(k.waypoint.points[0].phase) for k in keyframes]


def collect(dreamer: DreamerProcess, count: int, limit_s: float = 30.0) -> list[int]:
    """The phases of the next pictures; their pixels must be theirs."""
    seen: list[int] = []
    end = time.monotonic() + limit_s
    while len(seen) < count and time.monotonic() < end:
        for keyframe in dreamer.poll(0.05):
            phase = round(keyframe.waypoint.points[0].phase)
            assert (keyframe.pixels == phase % 256).all()
            seen.append(phase)
    return seen


def until(dreamer: DreamerProcess, state: str, limit_s: float = 30.0) -> None:
    end = time.monotonic() + limit_s
    while dreamer.status.state != state and time.monotonic() < end:
        dreamer.poll(0.02)
    assert dreamer.status.state == state, dreamer.status


@pytest.mark.usefixtures("spawned_dreamers")
def test_pictures_come_in_order_with_their_waypoints(started: Callable[..., DreamerProcess]) -> None:
    dreamer = started(fake_worker.steady)
    assert dreamer.status.state == "loading"
    assert collect(dreamer, 20)[:20] == list(range(20))
    status = dreamer.status
    assert status.state == "dreaming" and status.restarts == 0 and status.first_keyframe_s is not None
    assert status.keyframes >= 20 and len(status.intervals_s) == status.keyframes - 1
    assert status.peak_rss_mb == 2.0


@pytest.mark.usefixtures("spawned_dreamers")
def test_a_child_that_cannot_be_started_for_now_is_tried_again(
    started: Callable[..., DreamerProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    dreamer = started(fake_worker.steady)
    collect(dreamer, 3)
    assert dreamer.pid is not None
    with monkeypatch.context() as patch:

        def refuse(*_: object) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        patch.setattr("multiprocessing.popen_spawn_posix.Popen._launch", refuse)
        os.kill(dreamer.pid, signal.SIGKILL)
        end = time.monotonic() + 10
        while dreamer.status.losses < 4 and time.monotonic() < end:
            dreamer.poll(0.02)
    assert "cannot be started (OSError: [Errno 24] Too many open files)" in dreamer.status.message
    until(dreamer, "dreaming")
    assert collect(dreamer, 3)


@pytest.mark.usefixtures("spawned_dreamers")
def test_a_working_folder_that_was_deleted_does_not_keep_a_child_from_starting(
    started: Callable[..., DreamerProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert collect(started(fake_worker.steady), 3)


def test_a_stage_that_slept_does_not_take_its_dreamer_for_hung(started: Callable[..., DreamerProcess]) -> None:
    dreamer = started(fake_worker.steady, limits=Limits(picture_s=20.0))
    collect(dreamer, 3)
    pid = dreamer.pid
    dreamer._heard_at -= 100.0  # as a clock that went on while both were stopped would have it
    dreamer._polled_at -= 100.0  # type: ignore[operator]
    collect(dreamer, 3)
    assert dreamer.pid == pid and dreamer.status.losses == 0


def test_poll_never_waits_and_the_child_is_kept_busy(started: Callable[..., DreamerProcess]) -> None:
    dreamer = started(fake_worker.quick)
    collect(dreamer, 10)
    worst, before, begun = 0.0, dreamer.status.keyframes, time.monotonic()
    while time.monotonic() - begun < 1.0:
        at = time.monotonic()
        dreamer.poll()
        worst = max(worst, time.monotonic() - at)
        time.sleep(1 / 60)
    # fed one waypoint a poll it could make 60 a second at most
    assert dreamer.status.keyframes - before > 75
    assert worst < 0.1


def test_nothing_to_dream_is_asked_again(started: Callable[..., DreamerProcess]) -> None:
    supply = Supply(limit=3)
    dreamer = started(fake_worker.steady, supply)
    assert collect(dreamer, 4, limit_s=3.0) == [0, 1, 2]
    supply.limit = 5
    assert collect(dreamer, 2) == [3, 4]


def rest(dreamer: DreamerProcess, seconds: float) -> None:
    """Polls as a stage does whose supply has nothing to dream."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        dreamer.poll()
        time.sleep(1 / 60)


def test_a_dreamer_that_rested_is_not_taken_for_hung(started: Callable[..., DreamerProcess]) -> None:
    supply = Supply(limit=4)
    dreamer = started(fake_worker.steady, supply, limits=Limits(picture_s=0.5))
    collect(dreamer, 4)
    pid = dreamer.pid
    rest(dreamer, 1.0)
    supply.limit = 7
    assert collect(dreamer, 3) == [4, 5, 6]
    assert dreamer.pid == pid and dreamer.status.losses == 0, dreamer.status.message


def test_a_rest_is_no_interval_between_keyframes(started: Callable[..., DreamerProcess]) -> None:
    supply = Supply(limit=4)
    dreamer = started(fake_worker.steady, supply)
    collect(dreamer, 4)
    rest(dreamer, 1.3)
    supply.limit = 7
    collect(dreamer, 3)
    assert len(dreamer.status.intervals_s) == 5, "the one across the rest is left out"


@pytest.mark.usefixtures("spawned_dreamers")
def test_killed_during_a_run_it_goes_on_and_poll_never_stops(started: Callable[..., DreamerProcess]) -> None:
    dreamer = started(fake_worker.steady)
    collect(dreamer, 5)
    assert dreamer.pid is not None
    os.kill(dreamer.pid, signal.SIGKILL)
    polls, worst, begun = 0, 0.0, time.monotonic()
    keyframes = dreamer.status.keyframes
    while dreamer.status.keyframes < keyframes + 5 and time.monotonic() - begun < 30:
        at = time.monotonic()
        dreamer.poll()
        worst = max(worst, time.monotonic() - at)
        polls += 1
        time.sleep(0.005)
    assert dreamer.status.keyframes >= keyframes + 5
    assert dreamer.status.restarts == 1 and polls > 20
    assert worst < 0.25, "spawning the next child is the longest that poll() may take"


def test_a_film_loses_no_waypoint_to_a_death(started: Callable[..., DreamerProcess]) -> None:
    dreamer = started(fake_worker.dying, lossless=True)
    assert collect(dreamer, 8) == list(range(8))
    assert dreamer.status.restarts >= 2


def test_live_goes_on_with_the_next_waypoint_after_a_death(started: Callable[..., DreamerProcess]) -> None:
    dreamer = started(fake_worker.dying)
    seen = collect(dreamer, 5)
    assert seen[:3] == [0, 1, 2] and seen[3] > 3


def test_a_hung_child_is_replaced(started: Callable[..., DreamerProcess]) -> None:
    dreamer = started(fake_worker.hanging, limits=Limits(picture_s=0.4))
    first = dreamer.pid
    assert len(collect(dreamer, 5)) >= 5
    assert dreamer.status.restarts >= 1 and dreamer.pid != first
    assert first is not None
    gone_by = time.monotonic() + 10
    while psutil.pid_exists(first):  # killed, and buried when somebody looks
        multiprocessing.active_children()
        assert time.monotonic() < gone_by
        time.sleep(0.01)


def test_a_slow_child_is_not_taken_for_a_hung_one(started: Callable[..., DreamerProcess]) -> None:
    dreamer = started(fake_worker.slow, limits=Limits(picture_s=0.3))
    assert collect(dreamer, 3) == [0, 1, 2]
    assert dreamer.status.restarts == 0


def test_a_child_that_reads_nothing_blocks_nobody(started: Callable[..., DreamerProcess]) -> None:
    dreamer = started(fake_worker.deaf, limits=Limits(first_s=0.5))
    until(dreamer, "dreaming")
    begun = time.monotonic()
    for _ in range(200):
        dreamer.poll()
    assert time.monotonic() - begun < 1.0
    until(dreamer, "restarting")
    assert "no word" in dreamer.status.message


def test_deaths_while_loading_are_tried_again_with_longer_pauses(started: Callable[..., DreamerProcess]) -> None:
    dreamer = started(fake_worker.stillborn)
    end = time.monotonic() + 30
    while dreamer.status.restarts < 3 and time.monotonic() < end:
        dreamer.poll(0.02)
    assert dreamer.status.restarts >= 3 and dreamer.status.state == "restarting"
    until_message = time.monotonic() + 10
    while "0.2 s" not in dreamer.status.message and time.monotonic() < until_message:
        dreamer.poll(0.02)
    assert "again in 0.2 s" in dreamer.status.message


def test_a_model_that_cannot_be_loaded_is_given_up(started: Callable[..., DreamerProcess]) -> None:
    dreamer = started(fake_worker.refusing)
    until(dreamer, "failed")
    for _ in range(20):
        dreamer.poll(0.01)
    assert dreamer.status.state == "failed" and dreamer.status.restarts == 0
    assert dreamer.status.message == "nothing: no such model; give another"


def test_a_child_that_ends_of_the_same_again_and_again_is_given_up(started: Callable[..., DreamerProcess]) -> None:
    dreamer = started(fake_worker.hopeless)
    until(dreamer, "failed")
    assert dreamer.status.message == f"the dreamer ended {GIVE_UP} times in a row: ValueError: no such shape"
    assert (dreamer.status.losses, dreamer.status.restarts) == (GIVE_UP, GIVE_UP - 1)
    for _ in range(40):
        dreamer.poll(0.01)
    assert dreamer.status.state == "failed" and dreamer.pid is None


def test_memory_that_no_economy_can_save_is_given_up_last(started: Callable[..., DreamerProcess]) -> None:
    dreamer = started(fake_worker.insatiable)
    until(dreamer, "failed")
    assert "out of memory: 1 GB asked" in dreamer.status.message
    assert dreamer.status.losses == MOST_ECONOMY + GIVE_UP  # each of the first was tried again with less


@pytest.mark.parametrize("worker", [fake_worker.fickle, fake_worker.killed_while_loading])
def test_what_may_pass_is_tried_for_ever(
    started: Callable[..., DreamerProcess], worker: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.dreamer.restart.BACKOFF_S", (0.01,))
    dreamer = started(worker)
    end = time.monotonic() + 60
    while dreamer.status.losses < GIVE_UP + 2 and time.monotonic() < end:
        dreamer.poll(0.02)
    assert dreamer.status.losses >= GIVE_UP + 2 and dreamer.status.state == "restarting"
    # who is killed before a picture, as Linux does for want of memory, is tried with less
    assert dreamer._spec.economy == (3 if worker is fake_worker.killed_while_loading else 0)


def test_a_dreamer_that_once_dreamt_is_never_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.dreamer.restart.BACKOFF_S", (0.01,))
    dreamer = DreamerProcess(spec(str(tmp_path / "mark")), Supply(), worker=fake_worker.losing_its_model)
    dreamer.start()
    try:
        assert len(collect(dreamer, 4, 60)) >= 4
        assert dreamer.status.losses == 6 and dreamer.status.state == "dreaming"
    finally:
        dreamer.stop()


def test_each_loss_is_counted_and_told(started: Callable[..., DreamerProcess]) -> None:
    dreamer = started(fake_worker.fickle)
    told: list[str] = []
    end = time.monotonic() + 30
    while len(told) < 3 and time.monotonic() < end:
        dreamer.poll()
        if dreamer.status.losses > len(told):  # as the stage and a film look at it, once a frame
            told.append(dreamer.status.message)
        time.sleep(1 / 60)
    assert len(told) == 3 == len(set(told))
    for message, pause in zip(told, ("0.05", "0.1", "0.2"), strict=True):
        assert message.startswith("the dreamer stopped: it ended")
        assert "RuntimeError: fault" in message and message.endswith(f"again in {pause} s")


def test_out_of_memory_is_answered_with_economy(started: Callable[..., DreamerProcess]) -> None:
    dreamer = started(fake_worker.hungry)
    assert len(collect(dreamer, 3)) >= 3
    assert dreamer.status.restarts == 2


def test_a_film_never_goes_on_with_other_arithmetic(started: Callable[..., DreamerProcess]) -> None:
    dreamer = started(fake_worker.hungry, lossless=True)
    until(dreamer, "failed", 10)
    assert "A film is never continued with less precision" in dreamer.status.message
    assert dreamer.status.keyframes == 0 and "out of memory" in dreamer.status.message


def test_what_the_child_dreams_with_is_told(started: Callable[..., DreamerProcess]) -> None:
    dreamer = started(fake_worker.steady)
    assert dreamer.status.arithmetic is None
    collect(dreamer, 1)
    assert dreamer.status.arithmetic == fake_worker.ARITHMETIC


def test_another_palette_is_taken_while_the_first_is_dreamt(started: Callable[..., DreamerProcess]) -> None:
    dreamer, other = started(fake_worker.steady), Palette.of(["a whale", "rain"])
    collect(dreamer, 2)
    first = spec().palette
    assert dreamer.status.palettes == {first.id}
    dreamer.set_palette(other)
    end = time.monotonic() + 10
    while other.id not in dreamer.status.palettes and time.monotonic() < end:
        collect(dreamer, 1)
    assert dreamer.status.palettes == {first.id, other.id} and dreamer.status.losses == 0


def test_a_new_child_is_given_the_palettes_of_the_one_before(started: Callable[..., DreamerProcess]) -> None:
    dreamer, other = started(fake_worker.steady), Palette.of(["a whale"])
    dreamer.set_palette(other)  # before it is even ready
    collect(dreamer, 2)
    assert dreamer.pid is not None
    os.kill(dreamer.pid, signal.SIGKILL)
    end = time.monotonic() + 10
    while not (dreamer.status.restarts and other.id in dreamer.status.palettes) and time.monotonic() < end:
        dreamer.poll(0.02)
    assert dreamer.status.restarts == 1 and other.id in dreamer.status.palettes


def test_words_that_cannot_be_encoded_are_told_of_and_may_be_asked_for_again(
    started: Callable[..., DreamerProcess],
) -> None:
    dreamer, bad, good = started(fake_worker.steady), Palette.of(["unspeakable"]), Palette.of(["a whale"])
    collect(dreamer, 1)
    wanted = (bad, good)
    end = time.monotonic() + 10
    while not (dreamer.status.refused and good.id in dreamer.status.palettes) and time.monotonic() < end:
        dreamer.set_palettes(wanted)
        dreamer.poll(0.02)
    assert dreamer.status.refused == {bad.id: "no such words"} and good.id in dreamer.status.palettes
    dreamer.set_palettes((good,))
    dreamer.set_palettes((good, bad))
    assert not dreamer.status.refused, "asked again"


def test_only_the_newest_palettes_are_kept(started: Callable[..., DreamerProcess]) -> None:
    dreamer = started(fake_worker.steady)
    collect(dreamer, 1)
    palettes = [Palette.of([f"words {n}"]) for n in range(PALETTES + 8)]
    for palette in palettes:
        dreamer.set_palette(palette)
    end = time.monotonic() + 10
    while palettes[-1].id not in dreamer.status.palettes and time.monotonic() < end:
        dreamer.poll(0.02)
    assert dreamer.status.palettes == {palette.id for palette in palettes[-PALETTES:]}


def test_sketches_come_beside_the_show_one_at_a_time(started: Callable[..., DreamerProcess]) -> None:
    dreamer = started(fake_worker.steady)
    waypoint = Waypoint(0.0, 0, (Point(3, 77.0, 0.1, 1.0),), (1.0,))
    assert not dreamer.sketch(1, waypoint), "nothing is dreamt yet"
    until(dreamer, "dreaming")
    assert dreamer.sketch(5, waypoint, steps=True) and not dreamer.sketch(6, waypoint)
    keyframes, sketched = 0, dreamer.take_sketched()
    for _ in range(400):
        keyframes += len(dreamer.poll(0.05))
        sketched += dreamer.take_sketched()
        if sketched and keyframes > 3:
            break
    assert [(s.number, len(s.pictures), s.calls) for s in sketched] == [(5, 2, 1)] and keyframes > 3
    assert (sketched[0].pictures[0] == 77).all() and dreamer.take_sketched() == []
    assert dreamer.sketch(6, waypoint)


@pytest.mark.usefixtures("spawned_dreamers")
@pytest.mark.parametrize("worker", [fake_worker.steady, fake_worker.deaf, fake_worker.stillborn])
def test_stopping_takes_no_longer_than_it_may_and_leaves_nothing(
    started: Callable[..., DreamerProcess], worker: Callable[..., None]
) -> None:
    dreamer = started(worker)
    end = time.monotonic() + 3
    while dreamer.status.state == "loading" and time.monotonic() < end:
        dreamer.poll(0.02)
    pid, ring = dreamer.pid, dreamer._ring
    assert ring is not None
    begun = time.monotonic()
    dreamer.stop()
    dreamer.stop()
    assert time.monotonic() - begun < 1.7
    assert dreamer.status.state == "stopped" and dreamer.poll() == []
    assert pid is None or not psutil.pid_exists(pid)
    assert not Path("/dev/shm", ring.name).exists()


def test_the_child_leaves_when_its_parent_is_killed(tmp_path: Path) -> None:
    mark, tests = tmp_path / "pid", Path(__file__).parents[1]
    code = (
        f"import sys, time; sys.path.insert(0, {str(tests)!r}); sys.path.insert(0, {str(tests.parent)!r})\n"
        "from tests import fake_worker\n"
        "from tests.dreamer.test_process import DreamerProcess, Supply, spec\n"
        f"d = DreamerProcess(spec({str(mark)!r}), Supply(), worker=fake_worker.leaving_a_mark)\n"
        "d.start()\n"
        "while True: d.poll(0.05)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    end = time.monotonic() + 30
    while not (mark.exists() and mark.read_text()) and time.monotonic() < end:
        time.sleep(0.02)
    child = int(mark.read_text())
    assert psutil.pid_exists(child)
    parent.kill()
    parent.wait()
    end = time.monotonic() + 10
    while psutil.pid_exists(child) and time.monotonic() < end:
        time.sleep(0.02)
    assert not psutil.pid_exists(child)


@pytest.mark.usefixtures("spawned_dreamers")
@pytest.mark.slow
def test_the_real_child_dreams_is_killed_and_dreams_the_same_again(tiny_sd: Path) -> None:
    waypoint = Waypoint(0.0, 0, (Point(3, 1.0, 0.1, 1.0),), (1.0,))
    real = DreamSpec(ModelSpec(name=str(tiny_sd), dtype="float32", steps=2), Palette.of(["a cloud"]), 64, 64)
    dreamer = DreamerProcess(real, lambda: waypoint)
    dreamer.start()
    try:
        pictures: list[np.ndarray] = []
        end = time.monotonic() + 240  # niced: on a busy machine it loads slowly
        killed = False
        while time.monotonic() < end and not (dreamer.status.restarts and len(pictures) >= 3):
            pictures.extend(k.pixels.copy() for k in dreamer.poll(0.05))
            if len(pictures) >= 2 and not killed:
                assert dreamer.pid is not None
                child = psutil.Process(dreamer.pid)
                assert child.nice() >= min(19, psutil.Process().nice() + NICE)
                os.kill(dreamer.pid, signal.SIGINT)
                time.sleep(0.1)
                assert child.is_running(), "Ctrl-C is not for the child"
                os.kill(dreamer.pid, signal.SIGKILL)
                killed = True
            if dreamer.status.state == "restarting":
                pictures = pictures[:1]  # one of the first child's, to compare with those of the second
        assert len(pictures) >= 3 and dreamer.status.restarts == 1
        assert all(np.array_equal(p, pictures[0]) for p in pictures), "the same in two processes"
        assert dreamer.status.rss_mb > 50
    finally:
        begun = time.monotonic()
        dreamer.stop()
        assert time.monotonic() - begun < 1.8


def test_waste_is_looked_for_after_the_first_picture_and_not_while_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    class Noting:
        described, workers, arithmetic = "noting", 1, fake_worker.ARITHMETIC
        lands_later = False

        def prepare_thread(self) -> None: ...

        def __init__(self, *_: Any) -> None:
            seen.append(gc.isenabled())

        def dream_into(self, *_: Any) -> Shapes:
            seen.append(gc.isenabled())
            return None, None

    class Asking:
        """A pipe that asks for two pictures, then is closed."""

        def __init__(self) -> None:
            self.asked = 0

        def recv(self) -> Dream:
            self.asked += 1
            if self.asked > 2:
                raise EOFError
            return Dream(0, Waypoint(0.0, 0, (), (1.0,)))

        def send(self, message: Any) -> None: ...

    monkeypatch.setattr("engine.dreamer.models.find", lambda *_: None)
    monkeypatch.setattr("engine.dreamer.guide_files.check", lambda *_: None)
    monkeypatch.setattr("engine.dreamer.load.Dreamer", Noting)
    ring = Ring.create(1, 16, 16)
    try:
        with pytest.raises(EOFError):
            worker._run(Asking(), spec(), ring)  # type: ignore[arg-type]
        assert seen == [False, False, True] and gc.get_freeze_count() > 0
    finally:
        gc.enable()
        gc.unfreeze()
        ring.close()


@pytest.mark.usefixtures("spawned_dreamers")
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_a_child_never_hears_ctrl_c_not_even_while_it_starts(started: Callable[..., DreamerProcess]) -> None:
    dreamer = started(fake_worker.steady)
    (blocked,) = (
        int(text.split()[1], 16)
        for text in Path(f"/proc/{dreamer.pid}/status").read_text().splitlines()
        if text.startswith("SigBlk")
    )
    assert blocked & (1 << (signal.SIGINT - 1))
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, []), "the stage does hear it"


class Two:
    """A dreamer of two workers, whose first picture is only done when the second is, or never."""

    described, workers, arithmetic = "two", 2, fake_worker.ARITHMETIC
    lands_later = False

    def __init__(self, *_: Any) -> None:
        self.second = threading.Event()

    def prepare_thread(self) -> None: ...

    def dream_into(self, waypoint: Waypoint, out: np.ndarray, before_decode: Callable[[], None], _: Any) -> Shapes:
        before_decode()
        out[:] = phase = round(waypoint.points[0].phase)
        if phase == 0:
            assert self.second.wait(10)
        elif phase == 1:
            self.second.set()
        return None, None


class Faulty(Two):
    """The same, whose second hand fails."""

    def dream_into(self, waypoint: Waypoint, out: np.ndarray, before_decode: Callable[[], None], _: Any) -> Shapes:
        if round(waypoint.points[0].phase) == 1:
            raise ModelError("no second picture")
        self.second.wait(0.2)
        return None, None


class Pipe:
    """Asks for so many pictures, then is closed when all have been answered."""

    def __init__(self, asks: int) -> None:
        self.said: list[FromChild] = []
        self.asks, self.asked, self.answered = asks, Supply(), threading.Semaphore(0)

    def recv(self) -> Dream:
        if self.asked.asked == self.asks:
            for _ in range(self.asks):
                self.answered.acquire()
            self.answered.release(self.asks)  # for the next thread that comes to read
            raise EOFError
        slot = self.asked.asked
        return Dream(slot, self.asked())

    def send(self, message: FromChild) -> None:
        self.said.append(message)
        if isinstance(message, Done):
            self.answered.release()


@pytest.fixture
def ring() -> Iterator[Ring]:
    ring = Ring.create(6, 16, 16)
    yield ring
    gc.enable()
    gc.unfreeze()
    ring.close()


def test_of_several_workers_those_that_are_early_wait_for_their_turn(
    monkeypatch: pytest.MonkeyPatch, ring: Ring
) -> None:
    monkeypatch.setattr("engine.dreamer.models.find", lambda *_: None)
    monkeypatch.setattr("engine.dreamer.guide_files.check", lambda *_: None)
    monkeypatch.setattr("engine.dreamer.load.Dreamer", Two)
    pipe = Pipe(6)
    with pytest.raises(EOFError):
        worker._run(pipe, spec(), ring)  # type: ignore[arg-type]
    done = [message for message in pipe.said if isinstance(message, Done)]
    assert [message.slot for message in done] == list(range(6))
    assert [m.time_s for m in done] == sorted(m.time_s for m in done), "intervals are never negative"
    assert sum(isinstance(message, Want) for message in pipe.said) == 6
    assert [int(ring.picture(slot).max()) for slot in range(6)] == list(range(6))


def test_what_one_of_several_workers_ends_of_ends_them_all(monkeypatch: pytest.MonkeyPatch, ring: Ring) -> None:
    monkeypatch.setattr("engine.dreamer.models.find", lambda *_: None)
    monkeypatch.setattr("engine.dreamer.guide_files.check", lambda *_: None)
    monkeypatch.setattr("engine.dreamer.load.Dreamer", Faulty)
    pipe = Pipe(6)
    with pytest.raises(ModelError, match="no second picture"):
        worker._run(pipe, spec(), ring)  # type: ignore[arg-type]
    assert not any(isinstance(message, Done) for message in pipe.said)


@pytest.mark.slow
def test_a_model_that_is_not_there_fails_with_one_sentence() -> None:
    dreamer = DreamerProcess(spec("/no/such/model"), Supply())
    dreamer.start()
    try:
        until(dreamer, "failed", 60)
        assert "no such folder" in dreamer.status.message and "\n" not in dreamer.status.message
    finally:
        dreamer.stop()


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (MemoryError(), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
            True,
        ),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("shapes do not match"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_recognised(error: Exception, is_memory: bool) -> None:
    assert is_out_of_memory(error) is is_memory


def out_of_loading(error: Exception, cause: Exception | None = None) -> BaseException:
    """What comes out of loading when this is raised in it."""
    with pytest.raises(Exception) as found, to_model_error("m: its unet"):
        raise error from cause
    return found.value


@pytest.mark.parametrize(
    "error",
    [
        OSError("Error no file named model.safetensors found\nand advice"),
        FileNotFoundError(errno.ENOENT, "No such file"),
        ValueError("prediction_type must be epsilon"),
        KeyError("block_out_channels"),
        ImportError("\nT5Tokenizer requires the SentencePiece library"),
        RuntimeError("Error(s) in loading state_dict: size mismatch"),
        ValueError("expected shape (144, 77), but got (144, 256). If you want to instead " + "advise " * 99),
    ],
)
def test_faults_of_a_model_are_one_sentence(error: Exception) -> None:
    said = out_of_loading(error)
    assert isinstance(said, ModelError) and "\n" not in str(said) and len(str(said)) < 350
    assert str(said).startswith(f"m: its unet cannot be loaded ({type(error).__name__}: ")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (MemoryError(), None),
        (RuntimeError("CUDA out of memory"), None),
        (RuntimeError("CUDA error: unspecified launch failure"), None),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"), None),
        (OSError(errno.EMFILE, "Too many open files"), None),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), None),  # the stage has gone, in the middle of loading
        (OSError("Unable to load weights from checkpoint file"), RuntimeError("CUDA error: out of memory")),
    ],
)
def test_faults_that_may_pass_are_left_as_they_are(error: Exception, cause: Exception | None) -> None:
    assert out_of_loading(error, cause) is error
    assert led_to_by_memory(error) == ("memory" in f"{error!r}{cause!r}".lower())


def test_mistakes_of_our_own_keep_their_traceback() -> None:
    for error in (TypeError("argument"), AttributeError("no such"), ModelError("said already")):
        with pytest.raises(type(error)) as found, to_model_error("m"):
            raise error
        assert found.value is error


def test_a_focus_curve_that_one_child_found_is_that_of_the_next_and_numbers_come_with_the_picture(
    started: Callable[..., DreamerProcess],
) -> None:
    dreamer = started(fake_worker.learning)
    seen: list[int] = []
    deadline = time.monotonic() + 20
    while len(seen) < 2 and time.monotonic() < deadline:
        for keyframe in dreamer.poll(0.05):
            assert keyframe.numbers is not None and keyframe.numbers.latent is None
            assert keyframe.numbers.noise.shape == (2, 3, 4) and (keyframe.numbers.noise == 9).all()
            seen.append(int(keyframe.pixels[0, 0, 0]))
    assert dreamer.status.arithmetic is not None and dreamer.status.arithmetic.focus == fake_worker.CURVE
    assert seen == [0, 1], "each child dreams one picture; the second began with the curve"
