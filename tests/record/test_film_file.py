"""A film's place on the disk: one film at a time, an older one whole until this one is, nothing left lying about."""

import json
import logging
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import pytest

from engine.record.encoder import check
from engine.record.film_file import FilmFile
from engine.record.names import RecorderError, Series, claim_name, unclaim

fcntl = pytest.importorskip("fcntl", reason="files are not locked on Windows")
ROOT = Path(__file__).resolve().parents[2]


def names(folder: Path) -> set[str]:
    """Of films and drafts, without their notes."""
    return {p.name for p in folder.iterdir() if p.suffix != ".json"}


def draft_of(path: Path, provenance: dict | None = None) -> Path:
    return FilmFile(path, provenance).draft


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
    path = tmp_path / "walk.mp4"
    draft = draft_of(path)
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
    assert pipe.is_fifo() and list(tmp_path.iterdir()) == [pipe]


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    draft_of(tmp_path / "walk.mp4").mkdir()
    with pytest.raises(RecorderError, match=r"cannot record to .*walk\.mp4: Is a directory"):
        FilmFile(tmp_path / "walk.mp4").__enter__()


KILLED = """
import sys
from pathlib import Path
import numpy as np
sys.path[:0] = [{root!r}]
from engine.record.encoder import check
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
    path = tmp_path / "walk.mp4"
    draft = draft_of(path)
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


def test_a_film_is_resumed_where_another_run_left_it_also_while_it_copied(tmp_path: Path) -> None:
    path, made = tmp_path / "w.mp4", {"walk.seed": 7}
    draft = draft_of(path, made)
    old = draft.with_name(f"{draft.stem}-old.mp4")
    with FilmFile(path, made) as file:
        assert file.unfinished() is None
        file.arithmetic = {"device": "cpu"}
        draft.write_bytes(b"300 frames")
        file.save(300)
    for _ in range(2):  # the first run that resumes it is killed while it copies, and so is the second
        with FilmFile(path, made) as file:
            left = file.unfinished()
            assert left is not None and (left.provenance, left.frames) == (made, 300)
            assert left.arithmetic == {"device": "cpu"}
            assert file.resume(300) == old and old.read_bytes() == b"300 frames"
            with pytest.raises(RecorderError, match="another film"):
                FilmFile(path, made).__enter__()
            draft.write_bytes(b"a few of th")
    with FilmFile(path, made) as file:
        file.resume(300)
        draft.write_bytes(b"400 frames")
        file.save(400)
        assert not old.exists()
        assert file.keep(410) == f"{draft} holds what was done, 410 frames; run the same command again to resume"
        file.finish(500)
    assert names(tmp_path) == {"w.mp4"} and path.read_bytes() == b"400 frames"


def test_the_provenance_of_a_whole_film_stays_beside_it_for_people_to_read(tmp_path: Path) -> None:
    about = {"show": "house", "title": "Обычный дом", "command": "pedesis film house --seed 7"}
    with FilmFile(tmp_path / "w.mp4", {"walk.seed": 7, "--size": (160, 96)}, about) as file:
        file.arithmetic = {"device": "cpu", "dtype": "float32"}
        file.start_over()
        file.draft.write_bytes(b"a film")
        file.finish(48)
    assert {p.name for p in tmp_path.iterdir()} == {"w.mp4", "w.mp4.json"}
    text = (tmp_path / "w.mp4.json").read_text(encoding="utf-8")
    told = json.loads(text)
    assert told.pop("date").startswith("20") and "Обычный дом" in text
    assert told == {
        **about,
        "film": "w.mp4",
        "frames": 48,
        "arithmetic": {"device": "cpu", "dtype": "float32"},
        "provenance": {"walk.seed": 7, "--size": [160, 96]},
    }


def test_what_is_no_text_in_the_provenance_does_not_cost_the_note(tmp_path: Path) -> None:
    with FilmFile(tmp_path / "w.mp4", {"model.name": os.fsdecode(b"caf\xe9")}) as file:
        file.draft.write_bytes(b"a film")
        file.save(3)
        assert file.unfinished() is not None


def test_another_film_of_the_name_has_a_draft_of_its_own(tmp_path: Path) -> None:
    path, seven, eight = tmp_path / "w.mp4", {"walk.seed": 7}, {"walk.seed": 8}
    with FilmFile(path, seven, {"command": "pedesis film --seed 7"}) as file:
        file.draft.write_bytes(b"3000 frames")
        file.save(3000)
    with FilmFile(path, eight) as file:
        assert file.unfinished() is None and file.in_the_way() == ""
        (other,) = file.others()
        assert (other.draft, other.frames, other.provenance) == (draft_of(path, seven), 3000, seven)
        assert other.command == "pedesis film --seed 7"
        file.start_over()
        file.draft.write_bytes(b"another film")
        file.finish(10)
    assert path.read_bytes() == b"another film"
    with FilmFile(path, seven) as file:
        left = file.unfinished()
        assert left is not None and left.frames == 3000 and file.draft.read_bytes() == b"3000 frames"
        assert file.others() == []


def test_another_film_of_the_name_is_not_made_at_the_same_time(tmp_path: Path) -> None:
    refused = pytest.raises(RecorderError, match="another film is being written")
    with FilmFile(tmp_path / "w.mp4", {"seed": 7}), refused:
        FilmFile(tmp_path / "w.mp4", {"seed": 8}).__enter__()
    assert not list(tmp_path.iterdir())


def test_what_the_version_before_left_is_mentioned_and_left_alone(tmp_path: Path) -> None:
    for name in ("w.part.mp4", "w.part-old.mp4", "w.mp4.part.json", "w.part-two.mp4"):
        (tmp_path / name).write_bytes(b"{}")
    with FilmFile(tmp_path / "w.mp4") as file:
        assert [(o.draft.name, o.provenance) for o in file.others()] == [("w.part.mp4", None)]
        file.start_over()
        file.draft.write_bytes(b"a film")
        file.finish(1)
    assert names(tmp_path) == {"w.mp4", "w.part.mp4", "w.part-old.mp4", "w.part-two.mp4"}


NOTES = ["", "[]", "{", '{"frames": 3}', '{"frames": "x", "provenance": {}, "arithmetic": null}',
         '{"frames": 3, "provenance": 1, "arithmetic": null}', '{"frames": 3, "provenance": {}, "arithmetic": 5}',
         '{"frames": 1e999, "provenance": {}, "arithmetic": null}',
         '{"frames": 3, "provenance": {"walk.seed": 9}, "arithmetic": null}', "\0"]  # fmt: skip


@pytest.mark.parametrize("note", NOTES)
def test_a_draft_whose_note_is_gone_or_nobodys_is_not_resumed_and_not_written_over_unasked(
    tmp_path: Path, note: str
) -> None:
    draft = draft_of(tmp_path / "w.mp4")
    draft.write_bytes(b"a film")
    draft.with_name(f"{draft.name}.json").write_text(note)
    with FilmFile(tmp_path / "w.mp4") as file:
        assert file.unfinished() is None
        assert "is missing, damaged or another film's" in file.in_the_way()


def test_a_draft_that_has_only_just_begun_is_in_nobodys_way(tmp_path: Path) -> None:
    with FilmFile(tmp_path / "w.mp4") as file:
        file.start_over()
        file.draft.write_bytes(b"a few frames")
    with FilmFile(tmp_path / "w.mp4") as file:
        assert file.unfinished() is None and file.in_the_way() == ""


def draw(folder: Path, *numbers: int) -> None:
    for number in numbers:
        (folder / f"w-{number:02d}.png").write_bytes(b"a picture")


def test_numbered_pictures_of_which_one_is_gone_are_not_resumed(tmp_path: Path) -> None:
    with FilmFile(tmp_path / "w-%02d.png") as file:
        draw(tmp_path, *range(1, 7))
        file.save(5)
        assert file.unfinished() is not None
        (tmp_path / "w-03.png").unlink()
        assert file.unfinished() is None and file.in_the_way() == "", "they are this film's all the same"


def test_numbered_pictures_of_another_film_are_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "w-%02d.png"
    with FilmFile(path, {"seed": 7}) as file:
        assert file.in_the_way() == "", "the empty first picture is our own lock"
        file.start_over()
        draw(tmp_path, 1, 2, 3)
        file.finish(3)
    for made in ({"seed": 8}, None):
        with FilmFile(path, made) as file:
            assert file.in_the_way() == "3 pictures from w-01.png to w-03.png are there already, of another film"
    with FilmFile(path, {"seed": 7}) as file:
        assert file.in_the_way() == ""
    (tmp_path / "w-%02d.png.json").unlink()
    with FilmFile(path, {"seed": 7}) as file:
        assert "3 pictures" in file.in_the_way()


# --- what is no plain file ---------------------------------------------------------------------------------------


def test_a_pipe_where_a_draft_a_note_or_a_picture_should_be_does_not_hold_anything_up(tmp_path: Path) -> None:
    draft = draft_of(tmp_path / "w.mp4")
    os.mkfifo(draft.with_name(f"{draft.name}.json"))
    os.mkfifo(tmp_path / "w.part-abcdef.mp4")
    with FilmFile(tmp_path / "w.mp4") as file:
        assert file.unfinished() is None and [o.provenance for o in file.others()] == [None]
    os.mkfifo(draft)
    with pytest.raises(RecorderError, match=f"{draft} is not a plain file"):
        FilmFile(tmp_path / "w.mp4").__enter__()
    os.mkfifo(tmp_path / "w-03.png")
    refused = pytest.raises(RecorderError, match=r"w-03\.png is not a plain file")
    with FilmFile(tmp_path / "w-%02d.png") as file, refused:
        file.in_the_way()


def test_a_recording_to_a_pipe_is_written_into_it(tmp_path: Path) -> None:
    pipe = tmp_path / "live.mkv"
    os.mkfifo(pipe)
    assert claim_name(pipe) == pipe
    unclaim(pipe)
    assert pipe.is_fifo()


def test_a_disk_that_is_gone_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every system call on it hangs, as on a network disk; the caller's thread must not."""
    back = threading.Event()
    monkeypatch.setattr("engine.record.encoder.make_folder", lambda folder: back.wait())
    monkeypatch.setattr("engine.record.names.make_folder", lambda folder: back.wait())
    monkeypatch.setattr("engine.show.files.threading.Thread.join", lambda thread, timeout_s: None)
    with pytest.raises(RecorderError, match=r"cannot record to .*: no answer from the disk in 15 s"):
        check(tmp_path / "w.mp4", (160, 96))
    with pytest.raises(RecorderError, match=r"cannot record to .*: no answer from the disk in 15 s"):
        claim_name(tmp_path / "w.mp4")
    back.set()


def test_a_folder_that_is_made_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    check(tmp_path / "flims" / "w.mp4", (160, 96))
    claim_name(tmp_path / "livve" / "w.mp4")
    claim_name(tmp_path / "livve" / "w.mp4")
    assert caplog.messages == [f"made the folder {tmp_path / 'flims'}", f"made the folder {tmp_path / 'livve'}"]
