"""The live loop stepped by hand on a lockstep clock, its dreamer painting flat colours: keys, steering, faults."""

import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from engine.control.clock import LockstepClock
from engine.dreamer.models import ModelError
from engine.dreamer.process import DreamerStatus, Keyframe
from engine.play import live
from engine.play.help import help_lines
from engine.play.live import LiveOptions, Player
from engine.play.performance import LONGEST_STEP_S
from engine.play.shows import load_show
from engine.record.names import RecorderError
from engine.show.config import Show
from engine.show.specs import ProgramSpec
from engine.stage.gl import make_target, read_pixels
from engine.stage.overlay import draw_panel
from engine.walk.waypoint import Waypoint, distance
from tests.packets import Sender

FPS = 60


class FlatDreamer:
    """Dreams a flat colour for every waypoint asked of it, four a second, until told to stop."""

    def __init__(self, spec: object, supply) -> None:
        self.spec, self.status = spec, DreamerStatus(state="dreaming")
        self.supply, self.polls, self.started, self.dead = supply, 0, False, False
        self.given: list[Waypoint] = []

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        self.started = False

    def set_palettes(self, palettes: object) -> None:
        pass

    def poll(self) -> list[Keyframe]:
        self.polls += 1
        if not self.started or self.dead or self.polls % 15:
            return []
        waypoint: Waypoint | None = self.supply()
        if waypoint is None:
            return []
        self.given.append(waypoint)
        pixels = np.full((64, 64, 3), (200, 120, 40) if waypoint.epoch == 0 else (20, 60, 220), dtype=np.uint8)
        self.status.keyframes += 1
        return [Keyframe(waypoint, pixels, self.status.keyframes, 0.1)]


@pytest.fixture(autouse=True)
def flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(live, "DreamerProcess", FlatDreamer)


@pytest.fixture()
def player(tmp_path: Path) -> Iterator[Player]:
    with ExitStack() as stack:
        yield make(tmp_path, stack)


def make(folder: Path, stack: ExitStack, **options: object) -> Player:
    show = quiet_show()
    how = LiveOptions(headless=True, size=(192, 108), out=folder / "stills", **options)  # type: ignore[arg-type]
    return Player(show, how, LockstepClock(FPS), stack)


def quiet_show() -> Show:
    """The house show with a plain look, no OSC socket and a stage that does not wait for the clock."""
    show = load_show("house", ["look.enabled=false", "blend.time=0.5"])
    return replace(
        show,
        osc=replace(show.osc, enabled=False),
        model=replace(show.model, width=64, height=64),
        stage=replace(show.stage, fps_headless=10_000),
    )


def run(player: Player, seconds: float) -> list[np.ndarray]:
    """Steps so long; the picture after every step."""
    frames = []
    for _ in range(round(seconds * FPS)):
        player.step()
        frames.append(read_pixels(player.stage.framebuffer))
        player.clock.advance()  # type: ignore[attr-defined]
    return frames


def press(player: Player, *keys: str) -> None:
    for key in keys:
        player._key(key)


def test_a_picture_is_there_at_once_and_dissolves_into_the_first_keyframe(player: Player) -> None:
    frames = run(player, 5.0)
    assert frames[0].std() > 1, "the first picture is blank"
    assert np.abs(frames[-1].reshape(-1, 3).mean(0) - (200, 120, 40)).max() < 4
    steps = [np.abs(b.astype(int) - a).mean() for a, b in pairwise(frames)]
    assert max(steps) < 6, "it jumped"


@pytest.mark.parametrize("software", [True, False])
def test_the_dreamer_is_told_whether_the_stage_draws_on_its_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, software: bool
) -> None:
    monkeypatch.setattr(live, "is_software", lambda ctx: software)
    with ExitStack() as stack:
        assert make(tmp_path, stack).dreamer.spec.crowded is software


@pytest.mark.parametrize("software", [True, False])
def test_while_the_model_loads_a_processor_that_draws_does_so_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, software: bool
) -> None:
    waits: list[int] = []

    class Counted:
        def __init__(self, rate_hz: float) -> None:
            assert 24 <= rate_hz <= 40

        def wait(self) -> None:
            waits.append(player.dreamer.status.keyframes)

    monkeypatch.setattr(live, "is_software", lambda ctx: software)
    monkeypatch.setattr(live, "Pacer", Counted)
    with ExitStack() as stack:
        player = make(tmp_path, stack)
        run(player, 1.0)
    assert player.dreamer.status.keyframes >= 2
    assert set(waits) == ({0} if software else set())


def test_space_pauses_and_goes_on(player: Player) -> None:
    run(player, 1.0)
    press(player, "space")
    run(player, 2.5)
    here = player.conductor.waypoint()
    run(player, 1.0)
    assert distance(here, player.conductor.waypoint()) < 1e-3
    press(player, "space")
    run(player, 2.0)
    assert distance(here, player.conductor.waypoint()) > 0.05


@pytest.mark.parametrize("hand", ["walk.pause", "stage.blackout", "stage.freeze"])
def test_the_dreamer_rests_while_nothing_would_change(player: Player, hand: str) -> None:
    run(player, 4.0)
    player.conductor.toggle(hand)
    run(player, 4.0)
    given = len(player.dreamer.given)  # type: ignore[attr-defined]
    before = run(player, 10.0)[-1]
    assert len(player.dreamer.given) == given, "it dreams on, and nobody sees it"  # type: ignore[attr-defined]
    player.conductor.toggle(hand)
    after = run(player, 2.0)
    assert len(player.dreamer.given) > given + 4  # type: ignore[attr-defined]
    steps = [np.abs(b.astype(int) - a).mean() for a, b in pairwise([before, *after])]
    assert max(steps) < 8, "the picture jumped when it went on"


def test_a_rest_does_not_leave_the_picture_behind_the_hand(player: Player) -> None:
    run(player, 10.0)
    usual_s = player.conductor.time_s - player.blend.showing[0].time_s  # type: ignore[index]
    player.conductor.toggle("walk.pause")
    run(player, 60.0)
    player.conductor.toggle("walk.pause")
    run(player, 1.5)
    assert player.conductor.time_s - player.blend.showing[0].time_s < usual_s + 0.3  # type: ignore[index]


def test_a_jump_while_paused_is_dreamt(player: Player) -> None:
    run(player, 3.0)
    player.conductor.toggle("walk.pause")
    run(player, 3.0)
    player.conductor.set("walk.jump", 1.0)
    assert np.abs(run(player, 2.0)[-1].reshape(-1, 3).mean(0) - (20, 60, 220)).max() < 4


def test_r_brings_back_what_was_steered_dark_and_still(player: Player) -> None:
    lit = run(player, 4.0)[-1].mean()
    for name, value in (("stage.blackout", True), ("walk.speed", 0.0)):
        player.conductor.set(name, value)
    assert run(player, 2.0)[-1].max() <= 1
    press(player, "r")
    assert run(player, 3.0)[-1].mean() == pytest.approx(lit, abs=3)
    assert player.conductor["walk.speed"] == player.show.values["walk.speed"]


def test_b_fades_to_black_and_back(player: Player) -> None:
    lit = run(player, 4.0)[-1].mean()
    press(player, "b")
    dark = run(player, 2.0)
    assert dark[-1].max() <= 1
    assert np.abs(np.diff([f.mean() for f in dark])).max() < lit / 4, "blackout is a fade"
    press(player, "b")
    assert run(player, 2.0)[-1].mean() == pytest.approx(lit, abs=3)


def test_a_place_of_the_walk_is_dreamt_once(player: Player) -> None:
    first = player.feed()
    assert first is not None and player.feed() is None
    player.step()
    second = player.feed()
    assert second is None or second.time_s > first.time_s


def test_s_takes_a_still_with_its_waypoint(player: Player, tmp_path: Path) -> None:
    from PIL import Image

    run(player, 4.0)
    press(player, "h", "s")
    shown = run(player, 0.1)
    player.capture.close()
    (still,) = (tmp_path / "stills").glob("*.png")
    pixels = np.asarray(Image.open(still))
    assert pixels.shape == shown[-1].shape
    assert np.abs(pixels.reshape(-1, 3).mean(0) - (200, 120, 40)).max() < 4, "the help overlay is in the still"
    data = json.loads(still.with_suffix(".json").read_text())
    prompts = data["palettes"][data["waypoint"]["palette"]]
    assert prompts == [m.prompt for m in player.show.materials] and len(data["waypoint"]["weights"]) == len(prompts)


def test_half_a_still_is_not_left_behind(
    player: Player, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(self: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("PIL.Image.Image.save", full)
    press(player, "s")
    run(player, 0.1)
    player.capture.close()
    assert "still not written" in caplog.text and list((tmp_path / "stills").iterdir()) == []


def test_h_shows_rates_and_parameters_over_the_picture(player: Player) -> None:
    plain = run(player, 4.0)[-1]
    press(player, "h")
    assert np.abs(run(player, 0.1)[-1].astype(int) - plain).mean() > 2
    lines = help_lines(player)
    assert any("fps" in line for line in lines) and any("/walk/speed" in line for line in lines)
    press(player, "h")
    assert np.abs(run(player, 0.1)[-1].astype(int) - plain).mean() < 2


def test_h_shows_what_is_at_hand_and_what_was_moved(player: Player) -> None:
    assert not any(line.startswith("/say/hold") for line in help_lines(player))
    assert any(line == "/walk/pause  off " for line in help_lines(player))
    player.conductor.set("say.hold", 7.0)
    run(player, 2.0)
    assert any(line.startswith("/say/hold  7.000 s") for line in help_lines(player))
    size = draw_panel(help_lines(player), (1280, 720))[1].font_px
    assert size >= 16, "too small to read"


def test_h_shows_what_arrives_over_osc(tmp_path: Path) -> None:
    with ExitStack() as stack:
        show = quiet_show()
        show = replace(show, osc=replace(show.osc, enabled=True, port=0))
        player = Player(show, LiveOptions(headless=True, size=(192, 108)), LockstepClock(FPS), stack)
        assert help_lines(player)[4] == f"OSC port {player.osc.port}   0 messages/s"
        send = Sender(player.osc.port)
        send("/walk/sped", 0.5)
        send("/walk/speed", 0.5)
        run(player, 0.05)
        last, mistake, more = help_lines(player)[5:8]
        assert last == "last message just now: /walk/speed 0.5"
        assert mistake.startswith("last mistake just now: /walk/sped is not") and more.endswith("/walk/speed?")


def test_escape_ends_a_show_that_is_not_full_screen(player: Player) -> None:
    press(player, "escape")
    assert player.quit


def test_a_jump_is_a_transition_and_not_a_cut(player: Player) -> None:
    run(player, 4.0)
    player.conductor.set("walk.jump", 1.0)
    frames = run(player, 3.0)
    assert np.abs(frames[-1].reshape(-1, 3).mean(0) - (20, 60, 220)).max() < 4
    steps = [np.abs(b.astype(int) - a).mean() for a, b in pairwise(frames)]
    assert max(steps) < 20, "the picture jumped"


def test_the_picture_stays_when_the_dreamer_is_gone(player: Player) -> None:
    before = run(player, 5.0)[-1]
    player.dreamer.dead = True  # type: ignore[attr-defined]
    after = run(player, 5.0)
    assert len(after) == 5 * FPS and np.abs(after[-1].astype(int) - before).max() < 4


def test_what_becomes_of_the_dreamer_is_logged_once(player: Player, caplog: pytest.LogCaptureFixture) -> None:
    run(player, 1.0)
    with caplog.at_level(logging.WARNING, "pedesis"):
        player.dreamer.status.state, player.dreamer.status.message = "restarting", "it ended with code -9"
        run(player, 0.5)
    assert [r.message for r in caplog.records] == ["dreamer restarting: it ended with code -9"]


def test_a_model_that_never_dreams_ends_the_show_with_its_reason(player: Player) -> None:
    player.dreamer.status.state, player.dreamer.status.message = "failed", "tiny: the weights are cut short"
    with pytest.raises(ModelError, match="cut short"):
        run(player, 0.5)


def test_a_suspended_machine_goes_on_from_where_it_was(player: Player) -> None:
    run(player, 2.0)
    here = player.conductor.waypoint()
    player.clock.frame += 3600 * FPS  # type: ignore[attr-defined]
    run(player, 0.1)
    assert distance(here, player.conductor.waypoint()) < 0.25


def test_a_stage_far_too_slow_walks_on_all_the_same(player: Player) -> None:
    run(player, 1.0)
    begun_s = player.conductor.time_s
    for _ in range(8):
        player.clock.frame += FPS // 2  # type: ignore[attr-defined]
        player.step()
    assert player.conductor.time_s - begun_s == pytest.approx(8 * LONGEST_STEP_S, abs=0.1)


def test_a_recording_that_fails_ends_and_the_show_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with ExitStack() as stack, caplog.at_level(logging.ERROR, "pedesis"):
        player = make(tmp_path, stack, record=tmp_path / "a.mp4")
        run(player, 0.5)
        assert player.capture.recording
        player.capture.recording.recorder.error = "the disk is full"
        run(player, 0.5)
        assert player.capture.recording.failed and not player.capture.recording.own_size
    assert sum("the disk is full; the show goes on" in r.message for r in caplog.records) == 1


def test_a_recording_does_not_depend_on_the_windows_size(tmp_path: Path) -> None:
    with ExitStack() as stack:
        player = make(tmp_path, stack, record=tmp_path / "a.mp4")
        run(player, 3.0)
        for size in ((151, 90), (1, 1), (160, 12), (400, 300)):  # dragged, folded away, made a strip, opened again
            target = make_target(player.stage.ctx, size, "f1")
            player.stage.size, player.stage.framebuffer = size, target.framebuffer
            shown = run(player, 0.5)
            assert np.abs(shown[-1].reshape(-1, 3).mean(0) - (200, 120, 40)).max() < 4, f"nothing to be seen at {size}"
    assert [film.name for film in tmp_path.glob("*.mp4")] == ["a.mp4"]
    with av.open(str(tmp_path / "a.mp4")) as opened:
        frames = list(opened.decode(video=0))
    assert {(frame.width, frame.height) for frame in frames} == {(192, 108)}
    assert float(frames[-1].time) == pytest.approx(5.0, abs=0.1)
    last = frames[-1].to_ndarray(format="rgb24").astype(int)
    assert np.abs(last.reshape(-1, 3).mean(0) - (200, 120, 40)).max() < 6


def test_the_program_has_the_size_that_the_show_gives_it(tmp_path: Path) -> None:
    show = replace(quiet_show(), program=ProgramSpec(96, 64))
    how = LiveOptions(headless=True, size=(192, 108), record=tmp_path / "a.mp4")
    with ExitStack() as stack:
        player = Player(show, how, LockstepClock(FPS), stack)
        shown = run(player, 3.0)[-1]
    assert shown.shape == (108, 192, 3) and np.abs(shown.reshape(-1, 3).mean(0) - (200, 120, 40)).max() < 4
    with av.open(str(tmp_path / "a.mp4")) as opened:
        assert (opened.streams.video[0].width, opened.streams.video[0].height) == (96, 64)


def test_a_recording_holds_the_show_to_its_last_frame(tmp_path: Path) -> None:
    with ExitStack() as stack:
        player = make(tmp_path, stack, record=tmp_path / "a.mp4")
        fps = int(player.show.film.fps)
        seconds = 1.0
        for _ in range(round(seconds * FPS)):
            run(player, 1 / FPS)
            assert player.capture.recording and player.capture.recording.recorder.has_room(60.0)
    with av.open(str(tmp_path / "a.mp4")) as opened:
        times = [float(frame.time) for frame in opened.decode(video=0)]  # type: ignore[arg-type]
    assert times == pytest.approx([n / fps for n in range(round(seconds * fps))], abs=1e-4)


def test_a_recording_whose_end_does_not_fit_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with ExitStack() as stack, caplog.at_level(logging.ERROR, "pedesis"):
        player = make(tmp_path, stack, record=tmp_path / "a.mp4")
        run(player, 0.5)
        assert player.capture.recording
        player.capture.recording.recorder._fail(OSError(28, "No space left on device"))
    assert [r.message.count("the disk is full; the show goes on") for r in caplog.records] == [1]


def test_a_recording_is_made_with_the_shows_codec_and_leaves_nothing_where_that_does_not_go(tmp_path: Path) -> None:
    show = quiet_show()
    how = LiveOptions(headless=True, size=(192, 108), record=tmp_path / "a.mov")
    with ExitStack() as stack:
        run(Player(replace(show, film=replace(show.film, codec="prores")), how, LockstepClock(FPS), stack), 0.5)
    with av.open(str(tmp_path / "a.mov")) as opened:
        assert opened.streams.video[0].codec_context.name == "prores"
    (tmp_path / "a.mov").unlink()
    with ExitStack() as stack, pytest.raises(RecorderError, match=r"png recording's name ends in \.png"):
        Player(replace(show, film=replace(show.film, codec="png")), how, LockstepClock(FPS), stack)
    assert not list(tmp_path.glob("a*"))


def test_a_recording_gives_every_picture_the_time_it_was_drawn_at(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ExitStack() as stack, caplog.at_level(logging.WARNING, "pedesis"):
        player = make(tmp_path, stack, record=tmp_path / "a.mp4")
        assert player.capture.recording is not None
        written: list[float] = []
        write = player.capture.recording.recorder.write
        player.capture.recording.recorder.write = lambda frame, time_s: (written.append(time_s), write(frame, time_s))[
            1
        ]
        drawn = [0.0, 0.05, 0.11, 0.15, 0.75, 0.8, 0.85]  # a stall
        for now_s in drawn:
            player.capture.recording.push(player.stage.framebuffer, now_s)
        player.capture.recording.recorder.dropped = 2
        player.capture.recording.close()
    assert written == drawn
    assert "2 of 9 pictures came faster than they could be encoded" in caplog.text


def test_the_arrows_lead_through_the_lesson_and_k_shows_the_map(player: Player) -> None:
    run(player, 4.0)
    press(player, "right")
    for _ in range(60):  # type is set in a thread of its own
        frame = run(player, 0.5)[-1]
        if frame[72:104, :, 2].max() > 120:  # light on a picture that has no blue
            break
    assert player.conductor.lesson.step == "definition" and frame[72:104, :, 2].max() > 120
    press(player, "left")
    run(player, 0.1)
    assert player.conductor.lesson.step == ""
    seen = []
    for _ in range(3):
        press(player, "k")
        run(player, 0.1)
        seen.append(player.conductor["docent.map"])
    assert seen == ["inset", "full", "off"]
