"""The recorder against real files: what ffprobe reads in them, also after a kill or on a full disk."""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import moderngl
import numpy as np
import pytest
from PIL import Image

from engine.record.encoder import FilmWriter, check, even_size, exact_fps, segment_frames
from engine.record.names import RecorderError
from engine.record.readback import Readback
from engine.record.recorder import OnFull, Recorder

ROOT = Path(__file__).resolve().parents[2]
needs_ffprobe = pytest.mark.skipif(
    shutil.which("ffprobe") is None, reason="ffprobe is not installed (apt: ffmpeg)"
)

SIZE = (160, 96)


def picture(index: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A drifting ramp with a little seeded grain, (H, W, 3) uint8: real work for an encoder."""
    width, height = size
    grain = np.random.default_rng(index).integers(0, 24, (height, width, 3))
    ramp = (np.arange(width)[None, :, None] * 2 + index * 3) % 200
    return (ramp + grain).astype(np.uint8)


def rgbx(pixels: np.ndarray) -> np.ndarray:
    """As the stage gives them, (H, W, 4); nobody looks at the fourth number."""
    return np.dstack([pixels, np.full(pixels.shape[:2], 77, np.uint8)])


def probe(path: Path) -> dict[str, str]:
    """ffprobe's view of the one video stream, frames really decoded and counted."""
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", str(path)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    streams = json.loads(done.stdout)["streams"]
    assert len(streams) == 1
    return streams[0]


def times(path: Path) -> list[Fraction]:
    """Presentation times in the file, ascending."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return sorted(p.pts * stream.time_base for p in container.demux(stream) if p.pts is not None)


def film(path: Path, count: int, fps: object = 30, **options: object) -> Recorder:
    recorder = Recorder(path, SIZE, fps, **options)  # type: ignore[arg-type]
    for index in range(count):
        assert recorder.write(rgbx(picture(index)))
    assert recorder.close() == count
    assert recorder.error is None
    return recorder


def run_python(script: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )


# --- what is in the file ------------------------------------------------------------------------------------


@needs_ffprobe
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("fps", [30, "24000/1001", 60])
def test_film_is_bt709_h264_at_a_constant_rate(tmp_path: Path, suffix: str, fps: object) -> None:
    path = tmp_path / f"film{suffix}"
    rate = exact_fps(fps)  # type: ignore[arg-type]
    film(path, 67, fps)
    seen = probe(path)
    assert (seen["codec_name"], seen["pix_fmt"]) == ("h264", "yuv420p")
    assert (seen["color_range"], seen["color_space"]) == ("tv", "bt709")
    assert (seen["color_primaries"], seen["color_transfer"]) == ("bt709", "bt709")
    assert int(seen["nb_read_frames"]) == 67
    assert Fraction(seen["r_frame_rate"]) == rate
    stamps = times(path)
    if suffix == ".mkv":  # Matroska's clock ticks in whole milliseconds
        assert all(abs(t - i / rate) <= Fraction(1, 1000) for i, t in enumerate(stamps))
    else:
        assert stamps == [i / rate for i in range(67)]
        assert Fraction(seen["avg_frame_rate"]) == rate
        assert float(seen["start_time"]) == 0.0
        assert int(seen["nb_frames"]) == 67, "the index of a finished file lists every frame"


def test_colours_go_through_the_bt709_matrix(tmp_path: Path) -> None:
    """BT.709 limited range: red is Y 63 Cb 102 Cr 240 (BT.601 would give 81, 90, 240)."""
    card = np.zeros((96, 160, 3), np.uint8)
    bars = {0: (255, 0, 0), 32: (0, 255, 0), 64: (0, 0, 255), 96: (255, 255, 255), 128: (0, 0, 0)}
    for left, colour in bars.items():
        card[:, left : left + 32] = colour
    path = tmp_path / "card.mp4"
    with Recorder(path, SIZE, 30, crf=4) as recorder:
        for _ in range(8):
            recorder.write(rgbx(card))
    with av.open(str(path)) as container:
        frame = list(container.decode(video=0))[-1]
    planes = [np.frombuffer(p, np.uint8).reshape(p.height, p.line_size)[:, : p.width] for p in frame.planes]
    kr, kb = 0.2126, 0.0722  # Rec. ITU-R BT.709-6, item 3.2
    for left, (r, g, b) in bars.items():
        r, g, b = r / 255, g / 255, b / 255
        luma = kr * r + (1 - kr - kb) * g + kb * b
        want = (16 + 219 * luma, 128 + 112 * (b - luma) / (1 - kb), 128 + 112 * (r - luma) / (1 - kr))
        got = (planes[0][48, left + 16], planes[1][24, left // 2 + 8], planes[2][24, left // 2 + 8])
        assert np.allclose(got, want, atol=2.0), f"bar at {left}: wanted {want}, decoded {got}"


@pytest.mark.parametrize(("codec", "suffix"), [("h264", "mp4"), ("h265", "mkv"), ("prores", "mov")])
def test_chroma_lies_where_players_take_it_to_be(tmp_path: Path, codec: str, suffix: str) -> None:
    """At the left one of its two pixels: on a ramp of red half a pixel to the right is 0.7 of 255 more."""
    ramp = np.zeros((96, 160, 3), np.uint8)
    ramp[..., 0] = np.minimum(np.arange(160) * 3, 255)[None]
    with Recorder(tmp_path / f"c.{suffix}", SIZE, 30, codec=codec, crf=1) as recorder:
        recorder.write(rgbx(ramp))
    with av.open(str(tmp_path / f"c.{suffix}")) as container:
        frame = next(container.decode(video=0))
        deep = frame.format.name == "yuv422p10le"
        v_plane = np.frombuffer(frame.planes[2], np.uint16 if deep else np.uint8)
        row = v_plane.reshape(frame.planes[2].height, -1)[20, :80] / (4.0 if deep else 1.0)
        assert (frame.color_trc, frame.color_primaries) == (1, 1)
    red = ramp[0, :, 0] / 255
    v_there = 128 + 224 * red * (1 - 0.2126) / 1.5748  # Rec. ITU-R BT.709-6, item 3.3, red alone
    pairs = np.arange(4, 40)
    left = np.abs(row[pairs] - v_there[2 * pairs]).mean()
    between = np.abs(row[pairs] - (v_there[2 * pairs] + v_there[2 * pairs + 1]) / 2).mean()
    assert left < 0.4 < between, f"off by {left:.2f} at the left one, by {between:.2f} between"


@needs_ffprobe
def test_another_player_sees_the_colours_that_went_in(tmp_path: Path) -> None:
    path = tmp_path / "red.mp4"
    red = np.zeros((96, 160, 3), np.uint8) + np.array([200, 40, 30], np.uint8)
    with Recorder(path, SIZE, 30, crf=4) as recorder:
        for _ in range(3):
            recorder.write(rgbx(red))
    raw = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(path), "-vf", "scale=in_color_matrix=auto", "-f", "rawvideo",
         "-pix_fmt", "rgb24", "-"],
        capture_output=True, check=True, timeout=60,
    ).stdout  # fmt: skip
    shown = np.frombuffer(raw, np.uint8).reshape(3, 96, 160, 3)[0]
    assert np.abs(shown.astype(int) - red).max() <= 4


def test_top_row_stays_on_top(tmp_path: Path) -> None:
    frame = np.zeros((96, 160, 3), np.uint8)
    frame[:48] = 255
    path = tmp_path / "half.mp4"
    with Recorder(path, SIZE, 30) as recorder:
        recorder.write(rgbx(frame))
    with av.open(str(path)) as container:
        shown = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert shown[:40].min() > 230 and shown[56:].max() < 25


def test_same_frames_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv"):
        film(tmp_path / name, 50)
    time.sleep(1.1)  # a creation time in whole seconds would differ
    for name in ("b.mp4", "b.mkv"):
        film(tmp_path / name, 50)
        assert (tmp_path / name).read_bytes() == (tmp_path / name.replace("b", "a")).read_bytes()
    film(tmp_path / "c.mp4", 50, crf=24)
    assert (tmp_path / "c.mp4").read_bytes() != (tmp_path / "a.mp4").read_bytes()


@needs_ffprobe
@pytest.mark.parametrize(
    ("codec", "name", "pix_fmt"), [("h265", "f.mp4", "yuv420p"), ("prores", "f.mov", "yuv422p10le")]
)
def test_other_codecs(tmp_path: Path, codec: str, name: str, pix_fmt: str) -> None:
    film(tmp_path / name, 12, codec=codec)
    seen = probe(tmp_path / name)
    assert (seen["pix_fmt"], seen["color_space"], int(seen["nb_read_frames"])) == (pix_fmt, "bt709", 12)
    if codec == "h265":
        assert seen["codec_tag_string"] == "hvc1"


def test_numbered_pictures_are_exact(tmp_path: Path) -> None:
    film(tmp_path / "still-%04d.png", 3)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["still-0001.png", "still-0002.png", "still-0003.png"]
    with av.open(str(tmp_path / "still-0002.png")) as container:
        shown = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert np.array_equal(shown, picture(1))


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("2025-11-24T20:15.mp4", "h264"),
        ("http:walk.mkv", "h264"),
        ("take:2.mov", "prores"),
        ("file:take.mp4", "h265"),
        ("-|?&%%#@.mp4", "h264"),
        ("a:b/pipe:1.mp4", "h264"),
        ("20:15-%04d.png", "png"),
        ("100% art %03d/s-%04d.png", "png"),
        ("50% %s-%04d%.png", "png"),
    ],
)
def test_a_name_is_a_name_whatever_signs_are_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, codec: str
) -> None:
    monkeypatch.chdir(tmp_path)  # as it is typed: a name that begins with what FFmpeg might take for something else
    check(name, SIZE, codec)
    film(Path(name), 3, codec=codec)
    made = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    pictures = [name.replace("-%04d", f"-{n:04d}") for n in (1, 2, 3)]
    assert made == (pictures if codec == "png" else [name])


# --- when things go wrong -----------------------------------------------------------------------------------

KILLED = """
import sys
sys.path[:0] = [{root!r}]
from tests.record.test_recorder import SIZE, picture, rgbx
from engine.record.recorder import Recorder
recorder = Recorder({path!r}, SIZE, 30)
for index in range(100_000):
    recorder.write(rgbx(picture(index)))
    if index % 30 == 0:
        print(recorder.written, flush=True)
"""


@needs_ffprobe
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_killed_recording_keeps_all_but_the_last_second(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"killed{suffix}"
    script = KILLED.format(root=str(ROOT), path=str(path))
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    written = 0
    while written < 150:
        line = child.stdout.readline()
        assert line, "the child ended by itself"
        written = int(line)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    seen = probe(path)
    assert int(seen["nb_read_frames"]) >= written - 30
    assert seen["color_space"] == "bt709"
    assert times(path)[:90] == pytest.approx([i / 30 for i in range(90)], abs=1e-3)


LIMITED = """
import resource, sys
sys.path[:0] = [{root!r}]
from tests.record.test_recorder import SIZE, picture, rgbx
from engine.record.recorder import Recorder
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
recorder = Recorder({path!r}, SIZE, 30)
kept = 0
for index in range(2000):
    if not recorder.write(rgbx(picture(index))):
        break
print(index, recorder.close(), recorder.error, sep="|")
"""


DIRTY = """
import ctypes, hashlib, sys
import numpy as np
sys.path[:0] = [{root!r}]
from tests.record.test_recorder import picture, rgbx
from engine.record.recorder import Recorder
libc = ctypes.CDLL(None)
# no mmap, no trimming, one arena: memory comes back as it was
for name, value in ((-3, 1 << 30), (-1, 1 << 30), (-8, 1)):
    libc.mallopt(name, value)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
rng = np.random.default_rng(0)
for round in range(4):
    held = []
    for size in rng.choice([256, 4096, 20000, 60000, 200000, 600000], 400):
        small = rng.integers(-40, 41, size // 2, dtype=np.int16)  # what a motion vector might be
        held.append(libc.malloc(int(size)))
        ctypes.memmove(held[-1], small.ctypes.data, small.nbytes)
    for place in held:
        libc.free(place)
    with Recorder({path!r}, {size!r}, 30, codec={codec!r}) as recorder:
        for index in range(40):
            recorder.write(rgbx(np.roll(picture(index, {size!r}), index, axis=1)))
    print(hashlib.sha256(open({path!r}, "rb").read()).hexdigest())
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc's allocator"
)
@pytest.mark.parametrize("codec", ["h264", "h265"])
@pytest.mark.parametrize("size", [(160, 96), (128, 96)])
def test_the_same_frames_are_the_same_film_whatever_was_in_memory_before(
    tmp_path: Path, codec: str, size: tuple[int, int]
) -> None:
    path = str(tmp_path / "film.mp4")
    done = run_python(DIRTY.format(root=str(ROOT), path=path, size=size, codec=codec))
    assert len(set(done.stdout.split())) == 1, done.stdout + done.stderr


@needs_ffprobe
@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits on Windows")
def test_file_that_may_not_grow_ends_with_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "limited.mp4"
    script = LIMITED.format(root=str(ROOT), path=str(path))
    done = run_python(script)
    given, written, error = done.stdout.strip().split("|")
    assert int(given) < 1999, "write went on saying yes"
    assert "largest size allowed" in error and str(path) in error
    playable = int(probe(path)["nb_read_frames"])
    assert 30 <= int(written) <= playable <= int(written) + 30, "more, or fewer by a fragment, than it said"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_disk_full_from_the_start_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "full.mp4"
    path.symlink_to("/dev/full")
    with pytest.raises(RecorderError, match="the disk is full"):
        Recorder(path, SIZE, 30)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk that is soon full; skips the test where none may be mounted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a small tmpfs here (needs root)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@needs_ffprobe
def test_disk_that_fills_up_is_said_and_not_raised(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "500k") as disk:
        path = disk / "full.mp4"
        recorder = Recorder(path, SIZE, 30)
        accepted = sum(recorder.write(rgbx(picture(index))) for index in range(500))
        assert accepted < 500, "a full disk was written to"
        assert recorder.close() <= accepted
        assert recorder.error is not None and "the disk is full" in recorder.error
        assert not recorder.write(rgbx(picture(0)))
        recorder.close()  # twice is harmless
        assert int(probe(path)["nb_read_frames"]) >= recorder.written >= 30


def test_of_numbered_pictures_the_one_that_did_not_fit_does_not_stay(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "300k") as disk:
        recorder = Recorder(disk / "p-%03d.png", SIZE, 30)
        noise = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
        while recorder.write(rgbx(noise)):
            pass
        recorder.close()
        assert recorder.error is not None and "the disk is full" in recorder.error
        assert len(list(disk.iterdir())) == recorder.written > 0
        for file in disk.iterdir():
            Image.open(file).load()


def test_grain_does_not_pulse_with_the_key_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    wave = 120 + 60 * np.cos(np.linspace(0, 4 * np.pi, 320, endpoint=False))[None, :, None]
    wave = wave + 20 * np.sin(np.linspace(0, 30 * np.pi, 180))[:, None, None] + np.zeros(3)  # (H, W, 3)
    with Recorder(tmp_path / "g.mp4", (320, 180), 24) as recorder:
        for n in range(60):
            recorder.write(rgbx((np.roll(wave, n, 1) + rng.normal(0, 4, (180, 320, 1))).astype(np.uint8)))
    with av.open(str(tmp_path / "g.mp4")) as opened:
        shown = [f.to_ndarray(format="gray").astype(float) for f in opened.decode(video=0)]
    detail = np.array([np.diff(picture, axis=1).std() for picture in shown])
    assert detail.max() / detail.min() < 1.25, "once a second the grain goes and comes again"


@pytest.mark.parametrize("on_full", ["wait", "drop"])
def test_encoder_fault_ends_the_recording_and_never_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_full: OnFull
) -> None:
    encode = FilmWriter.encode

    def explode(self: FilmWriter, pixels: np.ndarray, pts: int) -> None:
        if pts == 60:
            raise RuntimeError("the encoder fell over")
        encode(self, pixels, pts)

    monkeypatch.setattr(FilmWriter, "encode", explode)
    path = tmp_path / "f.mp4"
    recorder = Recorder(path, SIZE, 30, on_full=on_full, depth=2)
    deadline = time.monotonic() + 20
    while recorder.write(rgbx(picture(0))):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    recorder.close()
    assert recorder.error is not None and "the encoder fell over" in recorder.error
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == recorder.written >= 30
    assert f"after {recorder.written} frames" in recorder.error


@pytest.mark.parametrize(
    ("name", "size", "options", "says"),
    [
        ("f.mp4", (161, 96), {}, "160x96"),
        ("f.mp4", (160, 95), {}, "160x94"),
        ("f.mp4", (8, 8), {}, "16x16"),
        ("f.avi", (160, 96), {}, ".mp4 or .mov or .mkv, got 'f.avi'"),
        ("f.mp4", (160, 96), {"codec": "divx"}, "one of h264, h265, prores, png, got 'divx'"),
        ("f.mp4", (160, 96), {"codec": "prores"}, ".mov or .mkv"),
        ("f.png", (160, 96), {}, "f-%06d.png"),
        ("f-%d.png", (160, 96), {}, "like f-%06d.png, got 'f-%d.png'"),
        ("f-%04d-%04d.png", (160, 96), {}, "like f-%06d.png, got 'f-%04d-%04d.png'"),
        ("f.mp4", (160, 96), {"fps": 0}, "1 to 1000"),
        ("f.mp4", (160, 96), {"fps": "fast"}, "got 'fast'"),
        ("f.mp4", (160, 96), {"fps": float("nan")}, "got nan"),
    ],
)  # fmt: skip
def test_refusals_name_what_is_possible(
    tmp_path: Path, name: str, size: tuple[int, int], options: dict[str, object], says: str
) -> None:
    arguments: dict[str, object] = {"fps": 30, **options}
    with pytest.raises(RecorderError) as caught:
        Recorder(tmp_path / name, size, **arguments)  # type: ignore[arg-type]
    assert says in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_place_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RecorderError, match="cannot record to"):
        Recorder(tmp_path / "file" / "f.mp4", SIZE, 30)
    folder = tmp_path / "f.mp4"
    folder.mkdir()
    with pytest.raises(RecorderError, match="cannot record to"):
        Recorder(folder, SIZE, 30)


def test_wrong_frame_is_a_bug_and_says_both_sizes(tmp_path: Path) -> None:
    with Recorder(tmp_path / "f.mp4", SIZE, 30) as recorder:
        with pytest.raises(ValueError, match=r"160x96 takes .*got \(90, 160, 4\)"):
            recorder.write(np.zeros((90, 160, 4), np.uint8))
        assert recorder.write(np.zeros((97, 161, 4), np.uint8)), "one spare row and column are cut off"


# --- resuming a draft that another run left -----------------------------------------------------------


KINDS = [("h264", "mp4"), ("h264", "mkv"), ("h265", "mov"), ("h265", "mkv"), ("prores", "mov"), ("prores", "mkv")]


@pytest.mark.parametrize(("codec", "suffix"), KINDS)
@pytest.mark.parametrize("fps", ["30", "24000/1001"])
def test_a_copied_beginning_and_the_rest_are_the_bytes_of_an_unbroken_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, suffix: str, fps: str
) -> None:
    monkeypatch.setattr("engine.record.encoder.SEGMENT_S", 0.5)
    segment, count = segment_frames(exact_fps(fps)), 43  # the last segment is shorter
    film(tmp_path / f"whole.{suffix}", count, fps, codec=codec)
    film(tmp_path / f"left.{suffix}", segment * 2 + 5, fps, codec=codec)
    saved: list[int] = []
    rest = Recorder(
        tmp_path / f"rest.{suffix}",
        SIZE,
        fps,
        codec=codec,
        first=segment * 2,
        resume_from=tmp_path / f"left.{suffix}",
        on_saved=saved.append,
    )
    assert rest.ready(20)
    for index in range(segment * 2, count):
        assert rest.write(rgbx(picture(index)))
    assert rest.close() == count and rest.error is None
    assert (tmp_path / f"rest.{suffix}").read_bytes() == (tmp_path / f"whole.{suffix}").read_bytes()
    assert saved[0] == segment * 2 and all(n % segment == 0 for n in saved), "never fewer than were there before"
    assert len(times(tmp_path / f"rest.{suffix}")) == count


@pytest.mark.parametrize(("codec", "suffix"), [*KINDS, ("h264", "mov"), ("h265", "mp4")])
def test_what_is_said_to_be_saved_can_be_read_by_then_however_small_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, suffix: str
) -> None:
    """A night scene: its packets are of a few bytes, which no container is in a hurry to write."""
    monkeypatch.setattr("engine.record.encoder.SEGMENT_S", 0.5)
    path = tmp_path / f"k.{suffix}"
    seen: list[tuple[int, int]] = []
    black = np.zeros((96, 160, 3), np.uint8)
    with Recorder(path, SIZE, 30, codec=codec, on_saved=lambda n: seen.append((n, len(times(path))))) as recorder:
        for _ in range(50):
            recorder.write(rgbx(black))
    assert [n for n, _ in seen] == [15, 30, 45]
    assert all(there >= n for n, there in seen), f"said to be saved, and there: {seen}"


def test_a_draft_that_holds_less_than_it_should_is_said(tmp_path: Path) -> None:
    film(tmp_path / "left.mp4", 20)
    rest = Recorder(tmp_path / "rest.mp4", SIZE, 30, first=300, resume_from=tmp_path / "left.mp4")
    assert rest.ready(20)
    rest.close()
    assert rest.error is not None and "left.mp4 should hold 300 whole frames, holds 20" in rest.error


@pytest.mark.parametrize("codec", ["h264", "h265"])
@pytest.mark.parametrize("count", [1, 2, 3, 16, 17])
def test_a_segment_of_one_picture_is_as_good_as_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str, count: int
) -> None:
    monkeypatch.setattr("engine.record.encoder.SEGMENT_S", 0.5)
    film(tmp_path / "s.mp4", count, codec=codec)
    assert times(tmp_path / "s.mp4") == [Fraction(n, 30) for n in range(count)]
    with av.open(str(tmp_path / "s.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == count


# --- the queue ----------------------------------------------------------------------------------------------


def slow_encoder(monkeypatch: pytest.MonkeyPatch, gate: threading.Semaphore) -> list[int]:
    """Lets one frame through per release of `gate`; returns the list of pts that came through."""
    seen: list[int] = []
    real = FilmWriter.encode

    def encode(self: FilmWriter, pixels: np.ndarray, pts: int) -> int:
        gate.acquire()
        seen.append(pts)
        return real(self, pixels, pts)

    monkeypatch.setattr(FilmWriter, "encode", encode)
    return seen


def wait_until(condition: object, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.002)


def test_film_waits_for_the_encoder_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Semaphore(0)
    seen = slow_encoder(monkeypatch, gate)
    recorder = Recorder(tmp_path / "f.mp4", SIZE, 30, depth=3)
    given: list[int] = []

    def stage() -> None:
        for index in range(20):
            recorder.write(rgbx(picture(index)))
            given.append(index)

    thread = threading.Thread(target=stage)
    thread.start()
    wait_until(lambda: len(given) == 4)  # three waiting and one in the encoder's hands
    time.sleep(0.05)
    assert len(given) == 4 and recorder.waiting == 3
    gate.release(20)
    thread.join()
    assert recorder.close() == 20 and recorder.dropped == 0
    assert seen == list(range(20))


def test_live_drops_the_oldest_waiting_and_keeps_true_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Semaphore(0)
    seen = slow_encoder(monkeypatch, gate)
    path = tmp_path / "f.mp4"
    recorder = Recorder(path, SIZE, 30, depth=3, on_full="drop")
    recorder.write(rgbx(picture(0)), time_s=100.0)
    wait_until(lambda: recorder.waiting == 0)  # frame 0 is in the encoder's hands
    started = time.monotonic()
    for index in range(1, 31):
        assert recorder.write(rgbx(picture(index)), time_s=100.0 + index / 30)
    assert time.monotonic() - started < 0.5, "a live write must not wait"
    assert recorder.dropped == 27
    gate.release(50)
    assert recorder.close() == 4
    assert seen == [0, 28, 29, 30], "the newest frames are the ones kept"
    assert times(path) == [Fraction(i, 30) for i in (0, 28, 29, 30)]


def test_live_recording_at_half_the_stage_rate_takes_every_other_frame(tmp_path: Path) -> None:
    path = tmp_path / "f.mp4"
    jitter = np.random.default_rng(3).uniform(-0.004, 0.004, 121)
    recorder = Recorder(path, SIZE, 30, on_full="drop", depth=200)
    taken = [recorder.write(rgbx(picture(i)), time_s=5.0 + i / 60 + jitter[i]) for i in range(121)]
    recorder.close()
    stamps = times(path)
    assert 59 <= sum(taken) <= 62
    assert np.diff([float(t * 30) for t in stamps]) == pytest.approx(1.0), "no held and no missing frame"


def test_jitter_about_a_slot_boundary_neither_doubles_nor_skips(tmp_path: Path) -> None:
    path = tmp_path / "f.mp4"
    recorder = Recorder(path, SIZE, 30, on_full="drop", depth=200)
    recorder.write(rgbx(picture(0)), time_s=0.0)
    jitter = np.random.default_rng(4).uniform(-0.2, 0.2, 100)
    taken = [recorder.write(rgbx(picture(i)), time_s=(i + 0.5 + jitter[i]) / 30) for i in range(1, 100)]
    recorder.close()
    assert all(taken)
    assert np.diff([float(t * 30) for t in times(path)]) == pytest.approx(1.0)


MEMORY = """
import sys
sys.path[:0] = [{root!r}]
import numpy as np, psutil
from engine.record.recorder import Recorder
frame = np.random.default_rng(0).integers(0, 255, (180, 320, 4), dtype=np.uint8) // 32
me = psutil.Process()
recorder = Recorder({path!r}, (320, 180), 30)
for index in range(1500):
    recorder.write(frame)
    if index in (300, 1499):
        print(me.memory_info().rss / 1e6, flush=True)
recorder.close()
"""


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """1,200 more frames are 276 MB of pixels; the encoder's own pools may still breathe by a few."""
    script = MEMORY.format(root=str(ROOT), path=str(tmp_path / "long.mp4"))
    done = run_python(script)
    early_mb, late_mb = map(float, done.stdout.split())
    assert late_mb - early_mb < 4.0, f"{early_mb:.1f} MB after 300 frames, {late_mb:.1f} MB after 1500"


# --- readback and small helpers -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ctx() -> moderngl.Context:
    try:
        return moderngl.create_context(standalone=True, backend="egl")
    except Exception as fault:
        pytest.skip(f"no headless OpenGL here: {fault}")


def test_readback_gives_every_picture_once_in_order_and_upright(ctx: moderngl.Context) -> None:
    size = (33, 18)  # an odd width: rows must not be padded to four bytes
    framebuffer = ctx.framebuffer([ctx.texture(size, 4)])
    readback = Readback(ctx, size)
    given, got = [], []
    for index in range(7):
        pixels = np.random.default_rng(index).integers(0, 255, (18, 33, 4), dtype=np.uint8)
        given.append(pixels)
        framebuffer.color_attachments[0].write(
            np.ascontiguousarray(pixels[::-1])
        )  # GL's first row is the lowest
        frame = readback.push(framebuffer)
        assert (frame is None) == (index < 2)
        if frame is not None:
            got.append(frame.copy())
    got += readback.flush()
    assert len(got) == 7 and readback.flush() == []
    assert all(np.array_equal(a, b) for a, b in zip(given, got, strict=True))
    readback.release()
    framebuffer.release()


def test_helpers() -> None:
    assert even_size((1281, 721)) == (1280, 720) and even_size((64, 48)) == (64, 48)
    assert exact_fps(23.976) == exact_fps("24000/1001") == Fraction(24000, 1001)
    assert exact_fps(29.97) == Fraction(30000, 1001) and exact_fps(59.94) == Fraction(60000, 1001)
    assert exact_fps(23.98) == Fraction(24000, 1001) and exact_fps(47.95) == Fraction(48000, 1001)  # as editors do
    assert exact_fps(24.0) == 24 and exact_fps(12.5) == Fraction(25, 2) and exact_fps(30) == 30


def test_encoder_thread_yields_to_the_stage(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("threads have priorities of their own on Linux only")
    recorder = Recorder(tmp_path / "f.mp4", SIZE, 30, on_full="drop")
    native = recorder._thread.native_id
    assert native is not None
    assert os.getpriority(os.PRIO_PROCESS, native) >= min(19, os.getpriority(os.PRIO_PROCESS, 0) + 5)
    recorder.close()


# --- opening and ending what does not answer -----------------------------------------------------------------


@needs_ffprobe
@pytest.mark.parametrize(("codec", "profile"), [("h264", "High"), ("h265", "Main")])
def test_the_best_quality_can_be_shown_by_ordinary_players(tmp_path: Path, codec: str, profile: str) -> None:
    film(tmp_path / "best.mp4", 6, codec=codec, crf=0)
    film(tmp_path / "usual.mp4", 6, codec=codec, crf=18)
    seen = probe(tmp_path / "best.mp4")
    assert (seen["profile"], seen["pix_fmt"]) == (profile, "yuv420p")
    assert (tmp_path / "best.mp4").stat().st_size > 1.5 * (tmp_path / "usual.mp4").stat().st_size


def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENING_S", "ENDING_S"):
        monkeypatch.setattr(f"engine.record.recorder.{name}", 0.2)


def test_a_pipe_that_nobody_reads_yet_holds_up_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """FFmpeg opens files while it holds Python's lock: this very test would hang."""
    short_waits(monkeypatch)
    pipe = tmp_path / "live.mkv"
    os.mkfifo(pipe)
    recorder = Recorder(pipe, SIZE, 30, on_full="drop")
    assert "does not open yet" in caplog.text and not recorder.ready(0)
    for index in range(30):
        assert recorder.write(rgbx(picture(index)), time_s=index / 30)
    assert recorder.close() == 0
    assert recorder.error == f"nothing was recorded to {pipe}: it never opened"


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_a_film_into_a_pipe_that_is_read_late_is_all_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    short_waits(monkeypatch)
    pipe = tmp_path / f"walk{suffix}"
    os.mkfifo(pipe)
    recorder = Recorder(pipe, SIZE, 30)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    assert recorder.ready(10)
    noise = np.random.default_rng(0).integers(0, 256, (40, SIZE[1], SIZE[0], 3), np.uint8)  # more than a pipe holds
    for pixels in noise:
        recorder.write(rgbx(pixels))
    assert recorder.close() == 40 and recorder.error is None
    reader.join()
    (tmp_path / f"got{suffix}").write_bytes(got[0])
    with av.open(str(tmp_path / f"got{suffix}")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 40


def test_a_reader_that_goes_away_ends_the_film_with_a_sentence(tmp_path: Path) -> None:
    pipe = tmp_path / "walk.mkv"
    os.mkfifo(pipe)
    enough = threading.Event()

    def read() -> None:
        with pipe.open("rb"):
            enough.wait(20)

    reader = threading.Thread(target=read)
    reader.start()
    recorder = Recorder(pipe, SIZE, 30)
    enough.set()
    reader.join()
    for index in range(100):
        recorder.write(rgbx(picture(index)))
    recorder.close()
    assert recorder.error is not None and "Broken pipe" in recorder.error


@pytest.mark.parametrize("fault", [PermissionError(1, "Operation not permitted"), RuntimeError("a sandbox of its own")])
@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own on Linux only")
def test_a_priority_that_may_not_be_set_does_not_hang_the_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def refused(*given: int) -> None:
        raise fault

    monkeypatch.setattr(os, "setpriority", refused)
    monkeypatch.setattr("engine.record.recorder.OPENING_S", 60.0)
    if isinstance(fault, OSError):
        recorder = Recorder(tmp_path / "f.mp4", SIZE, 30, on_full="drop")
        recorder.write(rgbx(picture(0)), time_s=0.0)
        assert recorder.close() == 1
    else:
        with pytest.raises(RecorderError, match="a sandbox of its own"):
            Recorder(tmp_path / "f.mp4", SIZE, 30, on_full="drop")


def stuck_recording(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Recorder, threading.Semaphore]:
    """A live recording whose encoder has taken one frame and stands before the second; two more are waiting."""
    gate = threading.Semaphore(1)
    seen = slow_encoder(monkeypatch, gate)
    recorder = Recorder(path, SIZE, 30, depth=3, on_full="drop")
    for index in range(4):
        recorder.write(rgbx(picture(index)), time_s=index / 30)
        wait_until(lambda: seen == [0])
    wait_until(lambda: recorder.waiting == 2)
    return recorder, gate


def test_a_live_recording_ends_in_time_whatever_the_encoder_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_waits(monkeypatch)
    recorder, gate = stuck_recording(tmp_path / "f.mp4", monkeypatch)
    recorder.close()
    assert recorder.error is not None and "was left as it is" in recorder.error
    gate.release(10)


def test_a_live_recording_that_is_behind_leaves_frames_and_finishes_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.record.recorder._LAST_FRAMES_S", -1.0)  # the time for them is over
    recorder, gate = stuck_recording(tmp_path / "f.mp4", monkeypatch)
    assert not recorder.finish(0)
    gate.release(10)
    assert recorder.close(20) == 2 and recorder.dropped == 2 and recorder.error is None
    assert len(times(tmp_path / "f.mp4")) == 2


def test_a_film_can_be_waited_for_a_little_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Semaphore(0)
    slow_encoder(monkeypatch, gate)
    recorder = Recorder(tmp_path / "f.mp4", SIZE, 30, depth=2)
    for index in range(3):
        assert recorder.has_room(10)
        recorder.write(rgbx(picture(index)))
    assert not recorder.has_room(0.01) and not recorder.finish(0.01)
    gate.release(10)
    assert recorder.finish(10) and recorder.written == 3 and recorder.has_room(0)
