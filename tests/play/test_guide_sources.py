"""Stills, folders, videos and memories as sources: which of their pictures comes when, and what is left out."""

import os
from itertools import pairwise
from pathlib import Path
from shutil import copyfile

import av
import numpy as np
import pytest
from PIL import Image

from engine.play.guide_fit import Fit, GuideError, fitted
from engine.play.guide_sources import MOVING, Folder, Source, Wish, files_of, open_source
from engine.walk.memory.bank import Bank
from engine.walk.memory.embedding import SIZE
from engine.walk.memory.look import thumbnail
from engine.walk.memory.remembered import New
from engine.walk.palette import Palette
from engine.walk.visit import Place
from engine.walk.waypoint import Point
from tests.play.test_guide_fit import BLUE, GREEN, RED, near, video

FIT = Fit(64, 32)
COLOURS = {"red": RED, "green": GREEN, "blue": BLUE}


def paint(path: Path, colour: tuple[int, int, int]) -> Path:
    Image.new("RGB", (40, 30), colour).save(path)
    return path


def folder_of(path: Path, *names: str) -> Path:
    """Pictures whose brightness tells them apart: 10, 20, 30 ..."""
    path.mkdir(exist_ok=True)
    for n, name in enumerate(names, 1):
        paint(path / name, (10 * n,) * 3)
    return path


def opened(path: Path | str, said: list[str] | None = None) -> Source:
    return open_source(str(path), lambda: Path("nowhere"), (said if said is not None else []).append)


def shown(source: Source, turns: range, shuffle: int | None = None) -> list[str]:
    """Which files are seen at those turns."""
    found = []
    for turn in turns:
        wish = Wish(turn, 0, FIT, shuffle)
        found.append(source.read(source.moment(wish), wish)[1])
    return found


def seconds(source: Source, *times_s: float) -> list[tuple[int, ...]]:
    """Colours of a video's left half at those times of a show."""
    found = []
    for time_s in times_s:
        wish = Wish(0, round(time_s * 12), FIT)
        found.append(tuple(int(v) for v in source.read(source.moment(wish), wish)[0][16, 8]))
    return found


def test_a_folder_goes_round_by_the_names_as_people_sort_them(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "a", "10.png", "2.png", "B.png", "a.png")
    (folder / ".hidden.png").write_bytes((folder / "2.png").read_bytes())
    (folder / "notes.txt").write_text("no picture")
    (folder / "sub.png").mkdir()
    assert shown(opened(folder), range(6)) == ["2.png", "10.png", "a.png", "B.png", "2.png", "10.png"]
    assert len(files_of(str(folder))) == 4


def test_a_shuffled_folder_shows_each_once_a_round_never_twice_running_and_the_same_for_a_seed(tmp_path: Path) -> None:
    names = [f"{n}.png" for n in range(7)]
    folder = folder_of(tmp_path / "a", *names)
    order = shown(opened(folder), range(70), shuffle=5)
    rounds = [order[n : n + 7] for n in range(0, 70, 7)]
    assert all(sorted(each) == names for each in rounds) and len({tuple(each) for each in rounds}) > 5
    assert all(a != b for a, b in pairwise(order))
    assert shown(opened(folder), range(70), shuffle=5) == order != shown(opened(folder), range(70), shuffle=6)


def test_what_cannot_be_read_is_left_out_and_told_of_once(tmp_path: Path) -> None:
    folder, said = folder_of(tmp_path / "a", "1.png", "2.png", "3.png"), list[str]()
    whole = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(whole[:50])
    source = opened(folder, said)
    assert shown(source, range(6)) == ["1.png", "3.png", "3.png", "1.png", "3.png", "3.png"]
    assert len(said) == 1 and "2.png is left out: it cannot be read as a picture" in said[0]
    (folder / "2.png").write_bytes(whole)  # it was still being copied
    assert shown(source, range(3)) == ["1.png", "2.png", "3.png"]


def test_a_folder_may_change_while_it_is_read(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "a", "1.png", "2.png", "4.png")
    source = opened(folder)
    assert shown(source, range(3)) == ["1.png", "2.png", "4.png"]
    paint(folder / "3.png", RED)
    (folder / "1.png").unlink()
    assert shown(source, range(2)) == ["2.png", "2.png"], "it goes on with those that are there"
    assert not source.has_changed() and shown(source, range(3)) == ["2.png", "3.png", "4.png"]
    for file in folder.iterdir():
        file.unlink()
    with pytest.raises(GuideError, match="has no picture that can be read"):
        shown(source, range(1))
    with pytest.raises(GuideError, match="has no pictures"):
        source.has_changed()


def test_a_picture_of_a_take_names_no_file_outside_the_folder(tmp_path: Path) -> None:
    paint(tmp_path / "secret.png", RED)
    source = Folder(folder_of(tmp_path / "a", "1.png"))
    assert source.read_at("1.png", FIT)[0, 0, 0] == 10
    with pytest.raises(GuideError, match=r"has no \.\./secret\.png"):
        source.read_at("../secret.png", FIT)


def test_a_still_is_read_again_when_it_is_saved_anew(tmp_path: Path) -> None:
    path = paint(tmp_path / "a.png", RED)
    source = opened(path)
    wish = Wish(7, 99, FIT)
    assert source.moment(wish) == 0 and near(source.read(0, wish)[0][5, 5], RED) and not source.has_changed()
    paint(path, BLUE)
    os.utime(path, ns=(1, 1))
    assert source.has_changed() and near(source.read(0, wish)[0][5, 5], BLUE)


@pytest.mark.parametrize("name", ["none.png", "none.mp4", "none/"])
def test_what_is_not_there_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(GuideError, match=r"there is no .*none"):
        opened(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.mp4", "a.xyz"])
def test_what_is_no_picture_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(GuideError, match="cannot be read as a picture"):
        shown(opened(tmp_path / name), range(1))


def test_a_video_with_a_varying_frame_rate_is_seen_by_its_own_times_over_and_over(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", [(0.0, RED), (0.05, GREEN), (1.0, BLUE), (1.02, RED), (1.9, RED), (1.95, RED)])
    source = opened(path)
    first, *rest = seconds(source, 0.0, 0.25, 0.75, 0.917, 1.0, 1.25, 1.5)
    wanted = [GREEN, GREEN, GREEN, BLUE, RED, RED]
    assert near(first, RED, 12) and all(near(a, b, 12) for a, b in zip(rest, wanted, strict=True)), rest
    length_s = source.count / 12  # type: ignore[attr-defined]
    assert 1.8 < length_s <= 2.0
    again = seconds(source, *(n * length_s + 0.25 for n in (1, 5)))
    assert all(near(colour, GREEN, 12) for colour in again)


def test_a_picture_of_a_video_is_the_same_however_one_comes_there(tmp_path: Path) -> None:
    frames = [(n / 30, (n * 2 % 256, 255 - n * 2, 90)) for n in range(120)]
    path = video(tmp_path / "a.mp4", frames)
    source, other = opened(path), opened(path)
    onward = [source.read(n, Wish(0, n, FIT))[0] for n in range(40)]
    for n in (39, 3, 30, 31, 2, 38, 0):
        assert np.array_equal(other.read(n, Wish(0, n, FIT))[0], onward[n]), n
        assert np.array_equal(other.read_at(str(n), FIT), onward[n])
    source.close()


def test_a_video_cut_off_in_the_middle_and_one_without_a_length(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mkv", [(n / 10, RED if n < 10 else BLUE) for n in range(20)])
    short = copyfile(path, tmp_path / "b.mkv")
    os.truncate(short, path.stat().st_size - 100)
    source = opened(short)
    assert near(seconds(source, 0.5)[0], RED, 12) and near(seconds(source, 1.75)[0], BLUE, 12)
    raw = tmp_path / "c.h264"  # without times
    with av.open(str(path)) as file, av.open(str(raw), "w", format="h264") as out:
        stream = out.add_stream_from_template(file.streams.video[0])
        for packet in file.demux(file.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    source = opened(raw)
    assert near(seconds(source, 0.0)[0], RED, 12) and seconds(source, 0.25) == seconds(source, 0.25)


def test_a_moving_gif_moves_and_a_still_one_does_not(tmp_path: Path) -> None:
    still, moving = tmp_path / "a.gif", tmp_path / "b.gif"
    assert ".gif" in MOVING
    Image.new("RGB", (64, 32), RED).save(still)
    Image.new("RGB", (64, 32), RED).save(
        moving, save_all=True, duration=500, append_images=[Image.new("RGB", (64, 32), BLUE)]
    )
    assert all(near(colour, RED, 8) for colour in seconds(opened(still), 0.0, 0.75))
    red, blue = seconds(opened(moving), 0.0, 0.75)
    assert near(red, RED, 8) and near(blue, BLUE, 8)


def test_a_memory_of_the_bank_and_one_that_is_not_there(tmp_path: Path) -> None:
    pixels = fitted(Image.new("RGB", (448, 256), GREEN), Fit(448, 256))
    path, palette = tmp_path / "memory.db", Palette.of(["a cloud"])
    place = Place((Point(3, 1.0, 0.1, 1.0),), (1.0,), palette.id)
    with pytest.raises(GuideError, match="there is no memory bank"):
        open_source("memory:1", lambda: path).read(0, Wish(0, 0, FIT))
    bank = Bank(path)
    number = bank.keep(
        New("house", 0.0, place, {palette.id: palette}, np.zeros(SIZE, np.float32), thumbnail(pixels), 0)
    )
    bank.close()
    assert near(open_source(f"memory:{number}", lambda: path).read(0, Wish(0, 0, FIT))[0][5, 5], GREEN, 8)
    with pytest.raises(GuideError, match="has no memory 999"):
        open_source("memory:999", lambda: path).read(0, Wish(0, 0, FIT))
