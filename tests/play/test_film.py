"""Films: exact frames, the same bytes twice, a crash on the way that does not show."""

import json
import logging
import os
import re
import signal
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from unittest.mock import patch

import av
import numpy as np
import psutil
import pytest

from engine.dreamer.process import DreamerProcess, Keyframe
from engine.dreamer.spec import Arithmetic
from engine.play.film import FilmError, FilmJob, _ended_well, run_film
from engine.play.shows import load_show
from engine.play.signals import StopRequest
from engine.record.encoder import FilmWriter
from engine.record.film_file import FilmFile
from engine.record.names import RecorderError
from engine.record.recorder import Recorder
from engine.show.config import Show
from engine.stage.blend import Blend
from tests import fake_worker, warm
from tests.shows import dreamers, pedesis, write_tiny_show

pytestmark = pytest.mark.usefixtures("warm_dreamers")


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Show:
    return load_show(write_tiny_show(tmp_path_factory.mktemp("film")))


def left(out: Path) -> Path:
    """The one draft of that film that lies there; `out` itself where films are written in place."""
    (draft,) = out.parent.glob(f"{out.stem}.part-??????{out.suffix}")
    return draft


def films(folder: Path) -> list[str]:
    """What lies there, without the notes."""
    return sorted(p.name for p in folder.iterdir() if p.suffix != ".json")


def pictures(path: Path) -> np.ndarray:
    """All frames, shape (N, H, W, 3)."""
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


# What went into each film on its way, as checksums: when two differ, it shows which room was first to.
KEYFRAMES: dict[Path, list[int]] = {}
FRAMES: dict[Path, list[int]] = {}
ENCODED: dict[Path, list[int]] = {}


def film(show: Show, out: Path, seconds: float = 2.0, progress: Callable[[int, int], None] | None = None) -> dict:
    job = FilmJob(out, seconds, Fraction(24), 160, 96)
    keyframes, frames, encoded = (noted.setdefault(out, []) for noted in (KEYFRAMES, FRAMES, ENCODED))
    upload, write, mux = Blend.upload, Recorder.write, FilmWriter._mux

    def noted_upload(self: Blend, keyframe: Keyframe) -> None:
        keyframes.append(zlib.crc32(np.ascontiguousarray(keyframe.pixels)))
        upload(self, keyframe)

    def noted_write(self: Recorder, frame: np.ndarray, time_s: float | None = None) -> bool:
        frames.append(zlib.crc32(np.ascontiguousarray(frame)))
        return write(self, frame, time_s)

    def noted_mux(self: FilmWriter, frame: av.VideoFrame | None) -> None:
        if frame is not None:
            encoded.append(zlib.crc32(np.ascontiguousarray(frame.to_ndarray())))
        mux(self, frame)

    with (
        patch.object(Blend, "upload", noted_upload),
        patch.object(Recorder, "write", noted_write),
        patch.object(FilmWriter, "_mux", noted_mux),
    ):
        return run_film(show, job, progress or (lambda done, of: None))


@pytest.fixture(scope="module")
def straight(show: Show, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("out") / "a.mp4"
    return out, film(show, out)


def test_every_frame_is_there_once_at_its_time(straight: tuple[Path, dict]) -> None:
    out, stats = straight
    with av.open(str(out)) as container:
        stream = container.streams.video[0]
        times = sorted(float(p.pts * p.time_base) for p in container.demux(stream) if p.pts is not None)
    assert times == pytest.approx([n / 24 for n in range(48)], abs=1e-6)
    assert stats["stage"]["frames"] == 48 and stats["dreamer"]["keyframes"] >= 2


def test_the_picture_moves_and_never_jumps(straight: tuple[Path, dict]) -> None:
    frames = pictures(straight[0]).astype(np.float32)
    steps = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))
    assert steps.mean() > 0.05, "the film stands still"
    assert steps.max() < 12 * np.median(steps) + 2


def assert_same(one: Path, other: Path) -> None:
    """The same bytes; if not, which pictures differ and where tells whose fault it is."""
    if one.read_bytes() == other.read_bytes():
        return
    said = []
    for what, noted in (("keyframes", KEYFRAMES), ("frames as drawn", FRAMES), ("frames as encoded", ENCODED)):
        pairs = enumerate(zip(noted[one], noted[other], strict=True))
        said.append(f"{what} that differ: {[n for n, (a, b) in pairs if a != b] or 'none'}")
    apart = np.abs(pictures(one).astype(int) - pictures(other).astype(int)).max(axis=3)  # (N, H, W)
    for n, frame in enumerate(apart):
        rows, columns = np.nonzero(frame)
        if rows.size:
            place = f"rows {rows.min()}-{rows.max()}, columns {columns.min()}-{columns.max()}"
            said.append(f"decoded frame {n}: {rows.size} px by up to {frame.max()} in {place}")
    pytest.fail("the films differ; " + "; ".join(said), pytrace=False)


def test_the_same_film_again_is_the_same_bytes(show: Show, straight: tuple[Path, dict], tmp_path: Path) -> None:
    film(show, tmp_path / "b.mp4")
    assert_same(tmp_path / "b.mp4", straight[0])


def test_another_seed_is_another_film(show: Show, straight: tuple[Path, dict], tmp_path: Path) -> None:
    other = replace(show, values={**show.values, "walk.seed": 99})
    film(other, tmp_path / "c.mp4")
    assert np.abs(pictures(tmp_path / "c.mp4").astype(int) - pictures(straight[0]).astype(int)).mean() > 2


def test_a_dreamer_killed_on_the_way_changes_nothing(show: Show, straight: tuple[Path, dict], tmp_path: Path) -> None:
    killed = []

    def kill_once(done: int, of: int) -> None:
        if done == 10 and not killed:
            for child in dreamers(psutil.Process()):
                killed.append(child.pid)
                child.kill()

    stats = film(show, tmp_path / "d.mp4", progress=kill_once)
    assert killed and stats["stage"]["frames"] == 48
    assert_same(tmp_path / "d.mp4", straight[0])


def test_a_dreamer_that_always_dies_ends_the_film_and_says_why(
    show: Show, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("engine.play.film.PATIENCE", 2)
    monkeypatch.setattr("engine.play.film.DreamerProcess", partial(DreamerProcess, worker=fake_worker.stillborn))
    with pytest.raises(FilmError, match=r"2 times in a row: .*it ended"):
        film(show, tmp_path / "g.mp4")
    assert "it ended" in caplog.text


def test_a_disk_that_fills_up_is_said_and_what_was_done_is_kept(show: Show, tmp_path: Path) -> None:
    out = tmp_path / "e.mp4"
    film_it = [*warm.command(), "film", str(show.path), "--out", str(out), "--duration", "60", "--size", "320x192"]
    limited = ["bash", "-c", 'ulimit -f 200; exec "$@"', "-", *film_it]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=200)
    assert done.returncode == 1
    assert "ended after" in done.stderr and "Traceback" not in done.stderr, done.stderr
    draft = left(out)
    said = re.search(re.escape(str(draft)) + r" holds what was done, (\d+) frames", done.stderr)
    assert said and int(said[1]) > 10, done.stderr
    shown = 0
    with av.open(str(draft)) as container:
        for packet in container.demux(video=0):
            with suppress(av.error.InvalidDataError):  # the last may be torn, of what did not fit
                shown += len(packet.decode())
    assert shown >= int(said[1])


def test_the_command_reports_progress_and_keeps_what_was_done_when_interrupted(show: Show, tmp_path: Path) -> None:
    out = tmp_path / "f.mp4"
    command = [*warm.command(), "film", str(show.path), "--out", str(out), "--duration", "600", "--size", "160x96"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "120"})
    said: list[str] = []
    threading.Thread(target=lambda: said.extend(process.stderr), daemon=True).start()  # type: ignore[arg-type]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and sum(p.stat().st_size for p in tmp_path.glob("f.part-*.mp4")) < 20_000:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 130
    draft = left(out)
    assert len(pictures(draft)) > 10
    assert f"stopped; {draft} holds what was done, {len(pictures(draft))} frames" in " ".join("".join(said).split())
    assert not out.exists(), "only a whole film has its name"


def test_wrong_numbers_are_refused_before_anything_starts(show: Show) -> None:
    mistakes = ("--size 161x96", "--duration 0", "--fps 0", "--set walk.sped=1", "--out a-%d.png")
    for wrong in map(str.split, mistakes):
        done = pedesis("film", str(show.path), *wrong)
        assert done.returncode == 2, done.stderr
        assert "walk.speed" in done.stderr or wrong[1] in done.stderr


def test_a_film_that_never_gets_a_picture_leaves_the_older_one_alone(
    show: Show, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "keep.mp4"
    out.write_bytes(b"an hour of last night")
    monkeypatch.setattr("engine.play.film.PATIENCE", 1)
    monkeypatch.setattr("engine.play.film.DreamerProcess", partial(DreamerProcess, worker=fake_worker.stillborn))
    measured: list[dict] = []
    with pytest.raises(FilmError):
        run_film(show, FilmJob(out, 1.0, Fraction(24), 160, 96), measured=measured.append)
    assert out.read_bytes() == b"an hour of last night"
    assert len(measured) == 1 and measured[0]["stage"]["frames"] == 0


# --- where the film lies -------------------------------------------------------------------------------------


def test_a_film_onto_a_name_that_another_is_being_made_for_is_refused_before_anything_starts(
    show: Show, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []
    monkeypatch.setattr("engine.play.film.DreamerProcess", lambda *given, **more: started.append(given))
    out = tmp_path / "one.mp4"
    with FilmFile(out), pytest.raises(RecorderError, match=r"another film is being written to .*one\.mp4"):
        film(show, out)
    assert not started and not list(tmp_path.iterdir())


@pytest.mark.parametrize("older", [b"an hour of last night", None])
def test_a_stopped_film_holds_every_frame_drawn_and_leaves_a_finished_one_alone(
    show: Show, tmp_path: Path, older: bytes | None
) -> None:
    out = tmp_path / "h.mp4"
    if older is not None:
        out.write_bytes(older)
    drawn = []

    def stop_at_three(done: int, of: int) -> None:
        drawn.append(done)
        if done == 3:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt) as stopped:
        film(show, out, progress=stop_at_three)
    draft = left(out)
    assert drawn == [0, 1, 2, 3] and len(pictures(draft)) == 3
    assert f"stopped; {draft} holds what was done, 3 frames" in str(stopped.value)
    assert out.exists() == (older is not None)
    if older is not None:
        assert out.read_bytes() == older and f"{out} is still the older film" in str(stopped.value)


class Underway:
    """A readback with so many pictures still to be flushed."""

    def __init__(self, count: int) -> None:
        self._count = count

    def flush(self) -> list[np.ndarray]:
        return [np.full((96, 160, 4), n, np.uint8) for n in range(self._count)]


def end(out: Path, written: int, underway: int, by: BaseException | None = None) -> None:
    """A film that drew `written + underway` frames and then was whole, or ended by that."""
    with FilmFile(out) as file:
        recorder = Recorder(out, (160, 96), 24, draft=file.draft)
        with _ended_well(file, recorder, Underway(underway), StopRequest()):  # type: ignore[arg-type]
            for n in range(written):
                recorder.write(np.full((96, 160, 4), n, np.uint8))
            if by is not None:
                raise by


def test_a_whole_film_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    out = tmp_path / "a.mp4"
    out.write_bytes(b"an hour of last night")
    end(out, 8, 2)
    assert len(pictures(out)) == 10 and films(tmp_path) == ["a.mp4"]


def test_a_film_stopped_before_a_frame_was_drawn_leaves_everything_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "a.mp4"
    out.write_bytes(b"an hour of last night")
    with pytest.raises(KeyboardInterrupt, match=r"^stopped; no frame was recorded$"):
        end(out, 0, 0, KeyboardInterrupt())
    assert out.read_bytes() == b"an hour of last night" and list(tmp_path.iterdir()) == [out]


def test_a_film_that_cannot_go_on_says_why_and_where_it_lies(tmp_path: Path) -> None:
    out = tmp_path / "a.mkv"
    with pytest.raises(FilmError, match=r"^the dreamer has failed; .*a\.part-\w+\.mkv holds what was done, 5 frames$"):
        end(out, 3, 2, FilmError("the dreamer has failed"))
    assert len(pictures(left(out))) == 5 and films(tmp_path) == [left(out).name]


def test_a_shorter_film_of_numbered_pictures_leaves_none_of_the_longer_one(tmp_path: Path) -> None:
    out = tmp_path / "s-%04d.png"
    names = [f"s-{n:04d}.png" for n in range(1, 16)]
    others = {"s-00007.png", "s-007.png", "s-0007.jpg", "as-0007.png", "s-2-0007.png"}
    end(out, 13, 2)
    for name in others:
        (tmp_path / name).write_bytes(b"somebody's")
    assert set(films(tmp_path)) == {*names, *others}
    with pytest.raises(KeyboardInterrupt, match="4 frames, and after them the pictures of an older film"):
        end(out, 2, 2, KeyboardInterrupt())
    assert set(films(tmp_path)) == {*names, *others}
    end(out, 4, 2)
    assert set(films(tmp_path)) == {*names[:6], *others}


def test_a_terminal_that_goes_in_the_night_does_not_make_a_whole_film_a_failure(show: Show, tmp_path: Path) -> None:
    out = tmp_path / "night.mp4"
    command = [*warm.command(), "film", str(show.path), "--out", str(out), "--duration", "1", "--size", "64x64"]
    ours, theirs = os.pipe()
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs)
    os.close(theirs)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(tmp_path.glob("night.part-*.mp4")):
        time.sleep(0.05)
    os.close(ours)
    assert process.wait(120) == 0
    with av.open(str(out)) as film:
        assert film.streams.video[0].frames == 24


# --- resuming a film that ended early -------------------------------------------------------------------------


RESUMES = "run the same command again to resume"


@pytest.fixture
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of half a second, and a dreamer that needs no torch."""
    monkeypatch.setattr("engine.record.encoder.SEGMENT_S", 0.5)
    monkeypatch.setattr("engine.play.film.DreamerProcess", partial(DreamerProcess, worker=fake_worker.quick))


def interrupted(show: Show, out: Path, at: int) -> str:
    """Films until so many frames are drawn; what is said of it then."""

    def stop(done: int, of: int) -> None:
        if done == at:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt) as stopped:
        film(show, out, progress=stop)
    return str(stopped.value)


@pytest.mark.parametrize("name", ["r.mp4", "r-%03d.png"])
@pytest.mark.usefixtures("short_segments")
def test_a_film_resumed_twice_is_the_film_of_an_unbroken_run(show: Show, tmp_path: Path, name: str) -> None:
    whole, out = tmp_path / "whole" / name, tmp_path / "broken" / name
    drawn: list[int] = []
    film(show, whole)
    assert RESUMES not in interrupted(show, out, 7), "before the first segment is whole"
    assert f"26 frames; {RESUMES}" in interrupted(show, out, 26)
    assert f"45 frames; {RESUMES}" in interrupted(show, out, 45)
    film(show, out, progress=lambda done, of: drawn.append(done))
    assert drawn == list(range(36, 49)), "from the last whole segment on, and nothing before it"
    made = {name: (out.parent / name).read_bytes() for name in films(out.parent)}
    assert made == {name: (whole.parent / name).read_bytes() for name in films(whole.parent)}
    notes = [json.loads(p.with_name(f"{p.name}.json").read_text()) for p in (whole, out)]
    assert notes[0]["provenance"] == notes[1]["provenance"] and {note["frames"] for note in notes} == {48}


@pytest.mark.usefixtures("short_segments")
def test_another_film_of_the_name_costs_the_unfinished_one_nothing(
    show: Show, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "o.mp4"
    with pytest.raises(KeyboardInterrupt):
        run_film(show, FilmJob(out, 2.0, Fraction(24), 160, 96, command="pedesis film mine.toml"), stop_at(30))
    other = replace(show, values={**show.values, "walk.seed": 99})
    draft, bytes_ = left(out), left(out).read_bytes()
    said = rf"cannot resume {out} with these settings: {draft}, of which 24 .*: walk\.seed \(\d+, now 99\)$"
    with pytest.raises(RecorderError, match=said):
        run_film(other, FilmJob(out, 2.0, Fraction(24), 160, 96, resume=True))
    with pytest.raises(RecorderError, match=r"the number of frames \(48, now 72\)$"):
        run_film(show, FilmJob(out, 3.0, Fraction(24), 160, 96, resume=True))
    first = []
    caplog.set_level(logging.INFO)
    film(other, out, progress=lambda done, of: first.append(done))
    assert first[0] == 0 and len(pictures(out)) == 48
    assert f"{draft} holds 24 frames of another film (walk.seed (" in caplog.text
    assert "resume it with `pedesis film mine.toml`, or delete it" in caplog.text
    assert films(tmp_path) == ["o.mp4", draft.name] and draft.read_bytes() == bytes_
    film(show, out, progress=lambda done, of: first.append(done))
    assert first[49:] == list(range(24, 49)) and films(tmp_path) == ["o.mp4"]


def stop_at(frame: int) -> Callable[[int, int], None]:
    return lambda done, of: signal.raise_signal(signal.SIGTERM) if done == frame else None


@pytest.mark.usefixtures("short_segments")
def test_started_over_when_asked_to_and_not_resumed_where_nothing_is_left(show: Show, tmp_path: Path) -> None:
    out = tmp_path / "n.mp4"
    interrupted(show, out, 30)
    drawn: list[int] = []
    job = FilmJob(out, 2.0, Fraction(24), 160, 96, resume=False)
    run_film(show, job, lambda done, of: drawn.append(done))
    assert drawn[0] == 0 and len(pictures(out)) == 48
    with pytest.raises(RecorderError, match=rf"cannot resume {out}: no earlier run left anything of it"):
        run_film(show, replace(job, resume=True))
    assert films(tmp_path) == ["n.mp4"]


@pytest.mark.usefixtures("short_segments")
def test_numbered_pictures_of_another_film_are_not_written_over_unasked(show: Show, tmp_path: Path) -> None:
    out = tmp_path / "s-%03d.png"
    interrupted(show, out, 30)
    before = {name: (tmp_path / name).read_bytes() for name in films(tmp_path)}
    other, job = replace(show, values={**show.values, "walk.seed": 99}), FilmJob(out, 2.0, Fraction(24), 160, 96)
    with pytest.raises(RecorderError, match=r"30 pictures .* are there already, of another film: .* or say --anew"):
        run_film(other, job)
    assert {name: (tmp_path / name).read_bytes() for name in films(tmp_path)} == before
    run_film(other, replace(job, resume=False))
    told = json.loads((tmp_path / "s-%03d.png.json").read_text())
    assert len(films(tmp_path)) == told["frames"] == 48 and told["provenance"]["walk.seed"] == 99
    run_film(other, job)  # the same film again is no other


@pytest.mark.usefixtures("short_segments")
def test_stopped_while_what_was_done_is_copied_it_is_there_still(
    show: Show, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "c.mp4"
    interrupted(show, out, 40)
    draft, before = left(out), left(out).read_bytes()
    copied = FilmWriter.copied

    def slow(self: FilmWriter, source: Path, frames: int) -> Iterator[int]:
        for n in copied(self, source, frames):
            if n == 20:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.5)
            yield n

    with monkeypatch.context() as patched:
        patched.setattr(FilmWriter, "copied", slow)
        with pytest.raises(KeyboardInterrupt, match=rf"{draft} holds what was done, 36 frames; {RESUMES}"):
            film(show, out)
    assert draft.read_bytes() == before
    drawn: list[int] = []
    film(show, out, progress=lambda done, of: drawn.append(done))
    assert drawn[0] == 36 and len(pictures(out)) == 48 and films(tmp_path) == ["c.mp4"]


def test_a_film_killed_in_the_night_is_resumed_in_the_morning(show: Show, tmp_path: Path) -> None:
    """SIGKILL to all of it, as the command line has it, with segments as long as they are."""
    six = ["--duration", "19", "--size", "64x64", "--fps", "6"]
    command = [*warm.command(), "film", str(show.path), *six]
    whole, out = tmp_path / "whole.mp4", tmp_path / "out.mp4"
    subprocess.run([*command, "--out", str(whole)], check=True, capture_output=True, timeout=120)
    process = subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline and process.poll() is None and not saved(tmp_path):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists(), "it was whole before it was killed"
    with left(out).open("ab") as torn:
        torn.write(bytes(5000))  # as a power cut may leave it
    wrong = pedesis("film", str(show.path), *six, "--out", str(out), "--resume", "--seed", "5")
    assert wrong.returncode == 2 and "walk.seed" in wrong.stderr and "60 frames are done" in wrong.stderr
    done = subprocess.run([*command, "--out", str(out), "--resume"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "after the 60 frames that are done" in done.stderr, done.stderr
    assert out.read_bytes() == whole.read_bytes()
    assert films(tmp_path) == ["out.mp4", "whole.mp4"]
    told = json.loads((tmp_path / "out.mp4.json").read_text())
    assert told["command"].startswith("pedesis film ") and told["provenance"]["--size"] == [64, 64]


def saved(folder: Path) -> int:
    """How many frames of the one unfinished film are safely on the disk."""
    return sum(json.loads(note.read_text())["frames"] for note in folder.glob("*.part-??????.mp4.json"))


# --- arithmetic that changes under way ------------------------------------------------------------------------


CARD = Arithmetic("cuda:0 (a card)", "float32", 1)


class TellingDreamer(DreamerProcess):
    """A dreamer that says what it computes with, and changes it when told to."""

    tells: Arithmetic = CARD

    def poll(self, timeout_s: float = 0.0) -> list[Keyframe]:
        keyframes = super().poll(timeout_s)
        self.status.arithmetic = TellingDreamer.tells if self.status.keyframes else None
        return keyframes


@pytest.fixture
def telling(short_segments: None, monkeypatch: pytest.MonkeyPatch) -> type[TellingDreamer]:
    monkeypatch.setattr("engine.play.film.DreamerProcess", partial(TellingDreamer, worker=fake_worker.quick))
    monkeypatch.setattr(TellingDreamer, "tells", CARD)
    return TellingDreamer


def test_a_film_is_not_resumed_with_other_arithmetic(show: Show, tmp_path: Path, telling: type[TellingDreamer]) -> None:
    out = tmp_path / "a.mp4"
    interrupted(show, out, 30)
    before = left(out).read_bytes()
    telling.tells = replace(CARD, device="cpu")
    with pytest.raises(FilmError, match=r"device \(cuda:0 \(a card\), now cpu\).* --anew starts over"):
        film(show, out)
    assert left(out).read_bytes() == before
    telling.tells = CARD
    drawn: list[int] = []
    film(show, out, progress=lambda done, of: drawn.append(done))
    assert drawn[0] == 24
    assert json.loads((tmp_path / "a.mp4.json").read_text())["arithmetic"] == asdict(CARD)


def test_a_film_ends_when_the_arithmetic_changes_under_way_and_what_is_done_can_be_resumed(
    show: Show, tmp_path: Path, telling: type[TellingDreamer]
) -> None:
    out = tmp_path / "a.mp4"

    def change(done: int, of: int) -> None:
        if done == 30:
            telling.tells = replace(CARD, dtype="float16")

    with pytest.raises(FilmError, match=rf"dtype \(float32, now float16\).*holds.*3\d frames; {RESUMES}"):
        film(show, out, progress=change)
    telling.tells = CARD
    film(show, out)
    assert len(pictures(out)) == 48


def test_a_focus_curve_found_under_way_is_the_films_from_then_on(
    show: Show, tmp_path: Path, telling: type[TellingDreamer]
) -> None:
    out, known, curve = tmp_path / "a.mp4", CARD, fake_worker.CURVE

    def find(done: int, of: int) -> None:
        if done == 30:
            telling.tells = replace(known, focus=curve)
        if done == 40:
            telling.tells = replace(known, focus="0 1")

    with pytest.raises(FilmError, match="one film never mixes two ways: focus"):
        film(show, out, progress=find)
    telling.tells = known  # a new dreamer that has not needed one yet
    film(show, out)
    assert json.loads((tmp_path / "a.mp4.json").read_text())["arithmetic"]["focus"] == curve


def test_a_film_shows_the_numbers_its_pictures_come_of(show: Show, tmp_path: Path) -> None:
    values = show.values | {"look.view": "latent", "walk.focus": 0.5, "look.grain": 0.0}
    shown = replace(show, values=values)
    film(shown, tmp_path / "a.mp4", 0.5)
    film(shown, tmp_path / "b.mp4", 0.5)
    film(replace(show, values=values | {"look.view": "picture"}), tmp_path / "c.mp4", 0.5)
    a, b, c = (pictures(tmp_path / f"{name}.mp4").astype(int) for name in "abc")
    assert (a == b).all()
    assert np.abs(a - c).mean() > 5 and a.mean() > 120, "ink on paper"


# --- endings ----------------------------------------------------------------------------------------------------


class Asked(StopRequest):
    """One that has been asked so often."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count


def test_a_film_whose_encoder_hangs_is_left_when_asked_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(FilmWriter, "encode", lambda self, pixels, pts: gate.wait())
    out, stop = tmp_path / "a.mp4", Asked(1)
    monkeypatch.setattr("engine.play.film.QUIET_S", -1.0)
    said: list[str] = []

    def ask_again(text: str, *given: object) -> None:
        said.append(text % given)
        stop.count += 1

    monkeypatch.setattr("engine.play.film.log.info", ask_again)
    with FilmFile(out) as file, pytest.raises(KeyboardInterrupt, match="stopped at once, without the last frames; no"):
        recorder = Recorder(out, (160, 96), 24, draft=file.draft)
        with _ended_well(file, recorder, Underway(1), stop):  # type: ignore[arg-type]
            raise KeyboardInterrupt
    assert said == [f"finishing {file.draft}; Ctrl-C once more ends at once"]
    gate.set()


@pytest.mark.usefixtures("short_segments")
def test_a_film_into_a_pipe_that_nobody_reads_is_stopped_by_one_ctrl_c(
    show: Show, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.record.recorder.OPENING_S", 0.05)
    pipe = tmp_path / "walk.mkv"
    os.mkfifo(pipe)
    opening = Recorder.ready

    def asked(self: Recorder, timeout_s: float) -> bool:
        signal.raise_signal(signal.SIGINT)
        return opening(self, timeout_s)

    monkeypatch.setattr(Recorder, "ready", asked)
    with pytest.raises(KeyboardInterrupt, match=r"^stopped; no frame was recorded$"):
        film(show, pipe)
    assert pipe.is_fifo()
