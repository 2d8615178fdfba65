"""Frames off the GPU and into a film file.

Usage:

    readback = Readback(ctx, (1280, 720))
    with Recorder("out/walk.mp4", (1280, 720), fps=30) as recorder:
        frame = readback.push(framebuffer)          # the picture of two calls ago, or None
        if frame is not None:
            recorder.write(frame)
    if recorder.error: print(recorder.error)

`Readback` belongs to the GL thread. `Recorder.write` may be called from any one thread (the stage's); all
encoding is done in a thread of the recorder's own, so that a slow disk or encoder never holds the stage.
"""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import av
import moderngl
import numpy as np
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)

from engine.film_file import RecorderError as RecorderError
from engine.film_file import Series, is_series, reason, url

Size = tuple[int, int]
OnFull = Literal["wait", "drop"]
SMALLEST = 16  # pixels, a film's short side

# A fragment is closed at every key picture, and a killed recording loses the open one: one second.
_GOP_S = 1.0
# Accurate and the same on every processor; no slower than swscale's quick path here (1.6 ms at 1280x720).
_SCALER = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
_SCALER |= Interpolation.FULL_CHR_H_INP


@dataclass(frozen=True)
class _Codec:
    """How one value of `codec` is encoded. `options(crf, live, size)` gives the encoder's own options."""

    encoder: str
    pix_fmt: str
    suffixes: tuple[str, ...]
    options: Callable[[int, bool, Size], dict[str, str]]


def _x264(crf: int, live: bool, size: Size) -> dict[str, str]:
    # Measured on grainy 1280x720 (ms of one core a frame, Mbit/s at crf 18): ultrafast 9, 40; superfast 25,
    # 39; veryfast 36, 24; fast 101, 26; medium 117, 26. So veryfast is the one for films; a live recording on
    # a small machine takes the cheapest, because the stage draws on the same cores.
    preset = "ultrafast" if live and (os.cpu_count() or 1) <= 4 else "veryfast"
    options = {"preset": preset, "crf": str(crf)}
    if preset != "ultrafast":
        # Without it much of the grain and fine detail goes, comes back with each key picture and fades again: the
        # film pulses once a second. Spread of a high-pass in a house film, 7.5 as drawn: 5.0 to 7.0 at crf 18; with
        # this at crf 20 7.0 to 7.6, in a file a third larger. The live preset has no such trouble.
        options["tune"] = "grain"
    if -(-size[0] // 16) % 8:
        # In pictures that are not a multiple of eight blocks wide, x264's macroblock tree reads memory that was never
        # written (seen with its assembly, not without): with old motion vectors lying there the same frames were
        # another film almost every time. Without the tree a file is about a third larger and half a dB better.
        options["mbtree"] = "0"
    return options


def _x265(crf: int, live: bool, size: Size) -> dict[str, str]:
    # One frame thread: x265's rate control is not repeatable with several.
    params = "log-level=error" if live else "log-level=error:frame-threads=1"
    options = {"preset": "ultrafast" if live else "fast", "crf": str(crf), "x265-params": params}
    return options if live else {**options, "tune": "grain"}  # as with x264


_CODECS: dict[str, _Codec] = {
    "h264": _Codec("libx264", "yuv420p", (".mp4", ".mov", ".mkv"), _x264),
    "h265": _Codec("libx265", "yuv420p", (".mp4", ".mov", ".mkv"), _x265),
    "prores": _Codec("prores_ks", "yuv422p10le", (".mov", ".mkv"), lambda crf, live, size: {"profile": "hq"}),
    "png": _Codec("png", "rgb24", (".png",), lambda crf, live, size: {"compression_level": "3"}),
}
CODECS = tuple(_CODECS)


def exact_fps(fps: int | float | str | Fraction) -> Fraction:
    """Frame rate as a fraction. 23.976 and 23.98, 29.97, 47.95 and 59.94 mean 24000/1001, 30000/1001 and so on."""
    try:
        rate = Fraction(fps)
    except (ValueError, OverflowError, ZeroDivisionError):
        raise RecorderError(f"a frame rate is a number or a fraction (24000/1001), given {fps!r}") from None
    if not 1 <= rate <= 1000:
        raise RecorderError(f"a frame rate is 1 to 1000 frames a second, given {fps}")
    if rate.denominator == 1 or rate.denominator == 1001:
        return rate
    ntsc = Fraction(round(rate * Fraction(1001, 1000)) * 1000, 1001)
    return ntsc if abs(rate - ntsc) < Fraction(1, 200) else rate.limit_denominator(1001)


def check(path: str | Path, size: Size, codec: str = "h264") -> None:
    """Whether a recording could be made there, as far as can be told without touching an older one.

    Makes the folder. Raises RecorderError.
    """
    path = Path(path)
    _choose_codec(path, codec, size)
    if path.is_dir():
        raise RecorderError(f"cannot record to {path}: it is a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise RecorderError(f"cannot record to {path}: {reason(fault)}") from None
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise RecorderError(f"cannot record to {path}: not allowed to write there")


def even_size(size: Size) -> Size:
    """The largest size within `size` that yuv420p can hold: both sides even."""
    return size[0] - size[0] % 2, size[1] - size[1] % 2


class Readback:
    """Ring of pixel buffers: `push` starts one copy off the GPU and hands out the one started two calls ago,
    by when the driver has finished it and nobody waits. GL thread only."""

    def __init__(self, ctx: moderngl.Context, size: Size, depth: int = 3) -> None:
        width, height = size
        self.size = size
        self._buffers = [ctx.buffer(reserve=width * height * 3, dynamic=True) for _ in range(depth)]
        self._pixels = np.empty((height, width, 3), np.uint8)  # (H, W, 3), bottom row first as GL has it
        self._pushed = 0
        self._taken = 0

    def push(self, framebuffer: moderngl.Framebuffer) -> np.ndarray | None:
        """Start reading `framebuffer`. Returns the (H, W, 3) uint8 picture, top row first, of two calls ago
        (valid until the next call), or None while the ring fills."""
        depth = len(self._buffers)
        framebuffer.read_into(
            self._buffers[self._pushed % depth], viewport=(0, 0, *self.size), components=3, alignment=1
        )
        self._pushed += 1
        return self._take() if self._pushed - self._taken >= depth else None

    def flush(self) -> list[np.ndarray]:
        """The pictures still under way, oldest first. Call once at the end of a film."""
        frames = []
        while self._taken < self._pushed:
            frames.append(self._take().copy())
        return frames

    def release(self) -> None:
        """Give the buffers back to the driver."""
        for buffer in self._buffers:
            buffer.release()
        self._buffers.clear()

    def _take(self) -> np.ndarray:
        self._buffers[self._taken % len(self._buffers)].read_into(self._pixels)
        self._taken += 1
        return self._pixels[::-1]


class Recorder:
    """Film file with an encoder thread of its own.

    `on_full="wait"` (films): `write` waits for the encoder, so every frame is in the file at index / fps.
    `on_full="drop"` (live): `write` never waits; when `depth` frames are waiting the oldest of them goes, and
    the rest keep their own times, so the file plays at the right speed with a held picture in the gap.

    The file by its suffix: .mp4 and .mov (fragmented while recording, an ordinary file after `close`), .mkv,
    or numbered pictures such as `still-%06d.png`. A fault while recording (disk full, encoder) ends the recording
    with what it has: `error` says so in one sentence and nothing is raised.

    path: the name it goes by; draft: where it is written instead, of the same suffix (see FilmFile).
    Raises RecorderError when it cannot start.
    """

    def __init__(
        self,
        path: str | Path,
        size: Size,
        fps: int | float | str | Fraction,
        crf: int = 20,
        codec: str = "h264",
        depth: int = 8,
        on_full: OnFull = "wait",
        draft: Path | None = None,
    ) -> None:
        self.path = Path(path)
        self._draft = draft or self.path
        self.size = size
        self.fps = exact_fps(fps)
        self.error: str | None = None
        self.written = 0  # frames in the file
        self.dropped = 0  # frames that came while the encoder was behind, live only
        self._live = on_full == "drop"
        self._crf = crf
        self._depth = depth
        self._codec = _choose_codec(self.path, codec, size)
        # Every picture buffer there will ever be: those waiting, one being filled, one being encoded.
        self._free = [np.empty((size[1], size[0], 3), np.uint8) for _ in range(depth + 2)]
        self._waiting: deque[tuple[int, np.ndarray]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._first_s: float | None = None
        self._last_pts = -1
        self._opened = threading.Event()
        self._refusal: str | None = None
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()
        self._opened.wait()
        if self._refusal is not None:
            self._thread.join()
            raise RecorderError(self._refusal)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def waiting(self) -> int:
        """Frames waiting for the encoder, 0..depth."""
        return len(self._waiting)

    def write(self, frame: np.ndarray, time_s: float | None = None) -> bool:
        """Hand over a (H, W, 3) uint8 picture, top row first; it is copied, the caller may reuse it.

        With `time_s` (live) the frame stands at that time after the first one, and is left out when its place
        at `fps` is taken already; without it frames follow each other at `fps`. Up to one row and column more
        than `size` are cut off (see `even_size`). False if the frame is not recorded.
        """
        width, height = self.size
        if not (height <= frame.shape[0] <= height + 1 and width <= frame.shape[1] <= width + 1):
            raise ValueError(f"recorder of {width}x{height} was given a frame of shape {frame.shape}")
        pts = self._place(time_s)
        if pts is None:
            return False
        with self._changed:
            while not self._live and len(self._waiting) >= self._depth and not self._over():
                self._changed.wait()
            if self._over():
                return False
            self._last_pts = pts
            if len(self._waiting) >= self._depth:
                self._free.append(self._waiting.popleft()[1])
                self.dropped += 1
            buffer = self._free.pop()
        np.copyto(buffer, frame[:height, :width])
        with self._changed:
            self._waiting.append((pts, buffer))
            self._changed.notify_all()
        return True

    def close(self, timeout_s: float | None = None) -> int:
        """Finish the file. Returns the number of frames in it. Never raises; see `error`."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        if self._thread.is_alive() and self.error is None:
            self.error = f"recording {self.path} was still being finished after {timeout_s:g} s and was left"
        return self.written

    def _over(self) -> bool:
        return self._closing or self.error is not None

    def _place(self, time_s: float | None) -> int | None:
        """Index of the frame slot for a frame at `time_s`, or None if that slot is taken."""
        if time_s is None:
            return self._last_pts + 1
        if self._first_s is None:
            self._first_s = time_s
        slot = (time_s - self._first_s) * float(self.fps)
        # A frame near enough to the next slot takes it: plain rounding would turn a jitter about the boundary
        # between two slots into a run of doubled and missing frames.
        if abs(slot - (self._last_pts + 1)) <= 0.75:
            return self._last_pts + 1
        return round(slot) if round(slot) > self._last_pts else None

    def _run(self) -> None:
        if self._live and sys.platform == "linux":
            # Before the encoder is opened: its threads inherit this, and the stage's thread goes first.
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + 5)
        try:
            output = _Output(self._draft, self.size, self.fps, self._codec, self._crf, self._live)
        except Exception as fault:
            self._refusal = f"cannot record to {self.path}: {reason(fault)}"
            return
        finally:
            self._opened.set()
        faults: list[Exception] = []
        try:
            self._encode_all(output)
        except Exception as fault:  # whatever it is, the stage must hear of it and not wait for us
            faults.append(fault)
        try:
            output.close()
            self.written = output.muxed
        except Exception as fault:
            self.written = output.kept
            faults.append(fault)
        if faults:
            if is_series(self._draft):  # the picture that did not fit is cut short, and would break whatever reads on
                with suppress(OSError):
                    Series.of(self._draft).picture(self.written + 1).unlink()
            self._fail(faults[0])

    def _encode_all(self, output: "_Output") -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closing:
                    self._changed.wait()
                if not self._waiting:
                    break
                pts, buffer = self._waiting.popleft()
                self._changed.notify_all()
            output.encode(buffer, pts)
            self.written = output.muxed
            with self._changed:
                self._free.append(buffer)
        output.finish()

    def _fail(self, fault: Exception) -> None:
        with self._changed:
            if self.error is None:
                self.error = (
                    f"recording {self.path} ended after {self.written} frames "
                    f"({float(self.written / self.fps):.1f} s): {reason(fault)}"
                )
            self._changed.notify_all()


class _Output:
    """The open container and encoder. Encoder thread only.

    muxed: frames given to the container; kept: those of them in fragments that are on the disk whole.
    """

    def __init__(self, path: Path, size: Size, fps: Fraction, codec: _Codec, crf: int, live: bool) -> None:
        self.muxed = self.kept = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        # Bitexact: no clock, no random ids, so the same frames are the same bytes. Flushed: a fragment is on
        # its way to the disk when it is complete, not when 32 kB have gathered.
        options = {"fflags": "+bitexact", "flush_packets": "1"}
        if path.suffix.lower() in (".mp4", ".mov"):
            # Fragments while recording, so that a killed process leaves a film; one plain index at the end,
            # because editors and older players want that. Delayed, so that the index starts the film at 0.
            options["movflags"] = "+frag_keyframe+delay_moov+default_base_moof+hybrid_fragmented"
        elif path.suffix.lower() == ".mkv":
            options["cluster_time_limit"] = str(int(_GOP_S * 1000))
        image = codec.encoder == "png"
        self._container = av.open(url(path), "w", format="image2" if image else None, options=options)
        stream = self._container.add_stream(codec.encoder, rate=fps)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = codec.pix_fmt
        encoder_options: Any = codec.options(crf, live, size)
        stream.options = encoder_options
        context: Any = stream.codec_context
        context.time_base = 1 / fps
        context.gop_size = max(1, round(_GOP_S * fps))
        # By the picture's size and not by the machine's cores: x264's bytes depend on the number of threads.
        context.thread_count = 4 if size[1] <= 720 else 8 if size[1] <= 1440 else 16
        context.flags |= av.codec.context.Flags.bitexact
        self._yuv = not image
        if self._yuv:
            context.color_range = ColorRange.MPEG
            context.color_primaries = ColorPrimaries.BT709
            context.color_trc = ColorTrc.BT709
            context.colorspace = Colorspace.ITU709
        if codec.encoder == "libx265" and path.suffix.lower() in (".mp4", ".mov"):
            context.codec_tag = "hvc1"  # the only tag QuickTime opens
        self._pix_fmt = codec.pix_fmt
        self._time_base = 1 / fps
        self._stream = stream
        self._reformatter = VideoReformatter()
        self._container.start_encoding()  # opens encoder and file: a refusal is known now, not at frame 1

    def encode(self, pixels: np.ndarray, pts: int) -> None:
        """Encode one picture."""
        frame = av.VideoFrame.from_numpy_buffer(pixels, "rgb24")
        if self._yuv:
            frame = self._reformatter.reformat(
                frame,
                format=self._pix_fmt,
                src_colorspace=Colorspace.ITU709,
                dst_colorspace=Colorspace.ITU709,
                src_color_range=ColorRange.JPEG,
                dst_color_range=ColorRange.MPEG,
                dst_color_trc=ColorTrc.BT709,
                dst_color_primaries=ColorPrimaries.BT709,
                interpolation=_SCALER,
                threads=1,
            )
        frame.pts = pts
        frame.time_base = self._time_base
        self._mux(frame)

    def finish(self) -> None:
        """Write what the encoder still holds."""
        self._mux(None)

    def close(self) -> None:
        """Write the index and close the file."""
        self._container.close()

    def _mux(self, frame: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            opens = packet.is_keyframe  # and so closes the fragment before it
            self._container.mux(packet)
            if opens:
                self.kept = self.muxed
            self.muxed += 1


def _choose_codec(path: Path, codec: str, size: Size) -> _Codec:
    suffix = path.suffix.lower()
    if is_series(path):
        codec = "png"
        Series.of(path)
    if codec not in _CODECS:
        raise RecorderError(f"codec is one of {', '.join(CODECS)}, given {codec!r}")
    chosen = _CODECS[codec]
    if suffix not in chosen.suffixes:
        allowed = " or ".join(chosen.suffixes)
        raise RecorderError(f"a {codec} recording's name ends in {allowed}, given {path.name!r}")
    if chosen.encoder not in av.codecs_available:
        raise RecorderError(f"this machine has no {chosen.encoder} encoder; see `pedesis doctor`")
    width, height = size
    if min(size) < SMALLEST or (chosen.pix_fmt != "rgb24" and even_size(size) != size):
        near = even_size((max(width, SMALLEST), max(height, SMALLEST)))
        raise RecorderError(
            f"a film's sides are even and at least {SMALLEST} pixels (nearest: {near[0]}x{near[1]}), "
            f"given {width}x{height}"
        )
    return chosen
