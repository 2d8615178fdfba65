"""A film's place on the disk: one film at a time, an older one whole until this one is, nothing left lying about."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import pytest

from engine.record.film_file import FilmFile
from engine.record.names import RecorderError, Series, claim_name

fcntl = pytest.importorskip("fcntl", reason="files are not locked on Windows")
ROOT = Path(__file__).resolve().parents[2]


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()}


@pytest.mark.parametrize("name", ["walk.mp4", "walk-%04d.png"])
def test_two_films_onto_one_name_are_kept_apart_and_leave_no_lock(tmp_path: Path, name: str) -> None:
    with FilmFile(tmp_path / name):
        with pytest.raises(RecorderError, match=f"another film is being written to .*{name}: "):
            FilmFile(tmp_path / name).__enter__()
        with FilmFile(tmp_path / "other.mp4"), FilmFile(tmp_path / "other-%04d.png"):
            pass
    assert not names(tmp_path)
    with FilmFile(tmp_path / name):
        pass


def test_a_link_and_what_it_means_are_one_film_and_the_link_stays(tmp_path: Path) -> None:
    store, link = tmp_path / "store" / "walk.mp4", tmp_path / "walk.mp4"
    store.parent.mkdir()
    store.write_bytes(b"older")
    link.symlink_to(store)
    with FilmFile(link) as file:
        with pytest.raises(RecorderError, match="another film"):
            FilmFile(store).__enter__()
        file.draft.write_bytes(b"newer")
        file.finish(1)
    assert link.is_symlink() and store.read_bytes() == b"newer" and names(store.parent) == {"walk.mp4"}


def test_who_waited_for_the_lock_of_a_film_that_has_just_ended_does_not_hold_that_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening the draft and locking it, the other film may give it its name."""
    path, draft = tmp_path / "walk.mp4", tmp_path / "walk.part.mp4"
    draft.write_bytes(b"the other film, whole")
    real = fcntl.flock

    def late(fd: int, how: int) -> None:
        if not path.exists():
            os.replace(draft, path)
        real(fd, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with FilmFile(path) as file:
        assert file.draft == draft and draft.read_bytes() == b""
        with pytest.raises(RecorderError, match="another film"):
            FilmFile(path).__enter__()
    assert path.read_bytes() == b"the other film, whole" and names(tmp_path) == {"walk.mp4"}


def test_a_place_without_locks_goes_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(fd: int, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", none)
    with FilmFile(tmp_path / "walk.mp4") as file:
        file.draft.write_bytes(b"a film")
        file.finish(1)
    assert names(tmp_path) == {"walk.mp4"}


def test_a_system_without_locks_goes_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.record.film_file.fcntl", None)
    with FilmFile(tmp_path / "walk.mp4") as file:
        file.draft.write_bytes(b"a film")
        file.finish(1)
    assert names(tmp_path) == {"walk.mp4"}


def test_a_pipe_is_written_to_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "walk.mkv"
    os.mkfifo(pipe)
    with FilmFile(pipe) as file:
        assert file.draft == pipe
        file.finish(3)
    assert pipe.is_fifo() and names(tmp_path) == {"walk.mkv"}


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "walk.part.mp4").mkdir()
    with pytest.raises(RecorderError, match=r"cannot record to .*walk\.mp4: Is a directory"):
        FilmFile(tmp_path / "walk.mp4").__enter__()


KILLED = """
import sys
from pathlib import Path
import numpy as np
sys.path[:0] = [{root!r}]
from engine.record.film_file import FilmFile
from engine.record.recorder import Recorder
with FilmFile(Path({path!r})) as file:
    recorder = Recorder(file.path, (160, 96), 30, draft=file.draft)
    for index in range(100_000):
        recorder.write(np.full((96, 160, 4), index % 256, np.uint8))
        if index % 30 == 0:
            print(recorder.written, flush=True)
"""


def test_a_killed_film_can_be_played_and_holds_nobody_up_and_the_older_one_is_whole(tmp_path: Path) -> None:
    path, draft = tmp_path / "walk.mp4", tmp_path / "walk.part.mp4"
    path.write_bytes(b"an hour of last night")
    script = KILLED.format(root=str(ROOT), path=str(path))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        written = 0
        while written < 90:
            written = int(child.stdout.readline())
        with pytest.raises(RecorderError, match="another film"):
            FilmFile(path).__enter__()
        child.kill()
    assert path.read_bytes() == b"an hour of last night"
    for _ in range(2):  # a next film that draws nothing takes nothing away
        with av.open(str(draft)) as container:
            assert sum(1 for _ in container.decode(video=0)) >= written - 30
        with FilmFile(path) as file:
            assert file.draft == draft


def test_a_recording_takes_the_next_name_that_is_free(tmp_path: Path) -> None:
    path = tmp_path / "live.mp4"
    for name in ("live.mp4", "live-2.mp4", "live-3.mp4"):
        assert claim_name(path).name == name
        assert (tmp_path / name).stat().st_size == 0, "made, so that who begins in the same moment takes the next"


@pytest.mark.parametrize(
    ("name", "nexts"),
    [
        ("live-%05d.png", ["live-2-%05d.png", "live-3-%05d.png"]),
        ("live%04d.png", ["live-2-%04d.png", "live-3-%04d.png"]),
        ("live_%04d_a.PNG", ["live_2_%04d_a.PNG", "live_3_%04d_a.PNG"]),
        ("%06d.png", ["2-%06d.png", "3-%06d.png"]),
    ],
)
def test_numbered_pictures_take_the_next_name_of_which_no_picture_is_there(
    tmp_path: Path, name: str, nexts: list[str]
) -> None:
    path = tmp_path / "g" / name
    for free in (name, *nexts):  # the first one in a folder that is yet to be made
        assert claim_name(path).name == free
        first = Series.of(path.with_name(free)).picture(1)
        assert first.exists()
        first.rename(Series.of(path.with_name(free)).picture(3))  # the first ones may have been moved away


def test_a_name_that_cannot_be_had_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecorderError, match=r"cannot record to .*too long"):
        claim_name(tmp_path / f"{'n' * 260}.mp4")
    (tmp_path / "file").touch()
    with pytest.raises(RecorderError, match="cannot record to"):
        claim_name(tmp_path / "file" / "live.mp4")


def test_recordings_that_begin_together_have_a_file_each(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(claim_name, [tmp_path / "live.mp4"] * 8))
    assert len(set(names)) == 8


def test_the_numbers_of_a_series_are_its_own_and_go_on_beyond_its_digits(tmp_path: Path) -> None:
    series = Series.of(tmp_path / "a.b-%02d.png")
    for name in ("a.b-09.png", "a.b-100.png", "a.b-0100.png", "a.b-7.png", "aXb-11.png", "a.b-1x.png", "za.b-12.png"):
        (tmp_path / name).touch()
    assert series.numbers() == [9, 100]


def test_a_film_is_gone_on_with_where_another_run_left_it_also_while_it_copied(tmp_path: Path) -> None:
    path, draft, old = (tmp_path / name for name in ("w.mp4", "w.part.mp4", "w.part-old.mp4"))
    with FilmFile(path) as file:
        assert file.begun() is None
        draft.write_bytes(b"300 frames")
        file.note({"walk.seed": 7}, 300)
    for _ in range(2):  # the first run that goes on with it is killed while it copies, and so is the second
        with FilmFile(path) as file:
            begun = file.begun()
            assert begun is not None and (begun.made_of, begun.frames) == ({"walk.seed": 7}, 300)
            assert file.take_up(300) == old and old.read_bytes() == b"300 frames"
            with pytest.raises(RecorderError, match="another film"):
                FilmFile(path).__enter__()
            draft.write_bytes(b"a few of th")
    with FilmFile(path) as file:
        file.take_up(300)
        draft.write_bytes(b"400 frames")
        file.note({"walk.seed": 7}, 400)
        assert not old.exists()
        assert file.keep(410) == f"{draft} holds what was done, 410 frames; the same command goes on with it"
        file.finish(500)
    assert names(tmp_path) == {"w.mp4"} and path.read_bytes() == b"400 frames"


NOTES = ["", "[]", "{", '{"frames": 3}', '{"frames": "x", "made_of": {}}', '{"frames": -3, "made_of": {}}',
         '{"frames": 3, "made_of": 1}', '{"frames": 1e999, "made_of": {}}', "\0"]  # fmt: skip


@pytest.mark.parametrize("note", NOTES)
def test_a_note_that_is_nobodys_is_as_none(tmp_path: Path, note: str) -> None:
    (tmp_path / "w.part.mp4").write_bytes(b"a film")
    (tmp_path / "w.mp4.part.json").write_text(note)
    with FilmFile(tmp_path / "w.mp4") as file:
        assert file.begun() is None


def test_numbered_pictures_of_which_one_is_gone_are_not_gone_on_with(tmp_path: Path) -> None:
    with FilmFile(tmp_path / "w-%02d.png") as file:
        for number in range(1, 7):
            (tmp_path / f"w-{number:02d}.png").write_bytes(b"a picture")
        file.note({}, 5)
        assert file.begun() is not None
        (tmp_path / "w-03.png").unlink()
        assert file.begun() is None
