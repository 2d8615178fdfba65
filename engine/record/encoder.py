"""Pictures into a film file: the codecs, the container, and a film's segments.

Usage:

    codec = choose_codec(Path("walk.mp4"), "h264", (1280, 720))
    film = FilmWriter(Path("walk.mp4"), (1280, 720), Fraction(30), codec, crf=20, live=False)
    film.encode(pixels, 0); film.finish(); film.close()

One thread, the recorder's. A film is encoded in segments, each by an encoder of its own: so one that is resumed after a
power cut is, byte for byte, one that never stopped.
"""

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from engine.record.names import RecorderError, Series, is_series, reason, url
from engine.show.files import in_time, is_special, make_folder
from engine.show.machine import usable_cpus

Size = tuple[int, int]
GIVEN = "rgba"  # what the stage gives; the fourth number is not looked at
RGB = "rgb24"
SMALLEST = 16  # pixels, a film's short side

# A fragment is closed at every key picture, and a killed recording loses the open one: one second.
_GOP_S = 1.0
# A film's encoder starts afresh this often, so that a film that is resumed later is, byte for byte, one that never
# stopped. Measured at 1280x720 with a segment every two seconds: nothing to be seen of it in H.264 (42.9 dB at the
# first picture of a segment, 42.8 at other key pictures; files within 1%), 44.4 dB where 42.3 are usual in H.265.
SEGMENT_S = 10.0
# Accurate, the same on every processor, and no slower than swscale's quick path. Chroma lies at the left one of the two
# pixels it is for, where players and editors expect it; swscale by itself puts it between them.
_SCALER = "flags=bilinear+accurate_rnd+bitexact+full_chroma_inp:out_color_matrix=bt709:out_range=tv:out_chroma_loc=left"


@dataclass(frozen=True)
class Codec:
    """How one value of `codec` is encoded. `options(crf, live, size)` gives the encoder's own options."""

    encoder: str
    pix_fmt: str
    suffixes: tuple[str, ...]
    options: Callable[[int, bool, Size], dict[str, str]]
    reorder: int = 0  # how many pictures later than it came one may leave a film's encoder
    lengths: bool = False  # files hold its NAL units with lengths before them, encoders write start codes


def _x264(crf: int, live: bool, size: Size) -> dict[str, str]:
    # A live recording on a small machine takes the cheapest preset, because the stage draws on the same cores.
    preset = "ultrafast" if live and usable_cpus() <= 4 else "veryfast"
    # At 0 x264 changes to a lossless profile (High 4:4:4 Predictive) that common players cannot show; 1 is the best
    # that they can, and nothing to be told from it by eye.
    options = {"preset": preset, "crf": str(max(1, crf))}
    if preset != "ultrafast":
        # Without it much of the grain and fine detail goes, comes back with each key picture and fades again: the
        # film pulses once a second. The file is a third larger. The live preset has no such trouble.
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


_CODECS: dict[str, Codec] = {
    "h264": Codec("libx264", "yuv420p", (".mp4", ".mov", ".mkv"), _x264, reorder=2, lengths=True),
    "h265": Codec("libx265", "yuv420p", (".mp4", ".mov", ".mkv"), _x265, reorder=2, lengths=True),
    "prores": Codec("prores_ks", "yuv422p10le", (".mov", ".mkv"), lambda crf, live, size: {"profile": "hq"}),
    "png": Codec("png", RGB, (".png",), lambda crf, live, size: {"compression_level": "3"}),
}
CODECS = tuple(_CODECS)
_FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}


def exact_fps(fps: int | float | str | Fraction) -> Fraction:
    """Frame rate as a fraction. 23.976 and 23.98, 29.97, 47.95 and 59.94 mean 24000/1001, 30000/1001 and so on."""
    try:
        rate = Fraction(fps)
    except (ValueError, OverflowError, ZeroDivisionError):
        raise RecorderError(f"a frame rate is a number or a fraction (24000/1001), got {fps!r}") from None
    if not 1 <= rate <= 1000:
        raise RecorderError(f"a frame rate is 1 to 1000 frames a second, got {fps}")
    if rate.denominator == 1 or rate.denominator == 1001:
        return rate
    ntsc = Fraction(round(rate * Fraction(1001, 1000)) * 1000, 1001)
    return ntsc if abs(rate - ntsc) < Fraction(1, 200) else rate.limit_denominator(1001)


def segment_frames(fps: Fraction) -> int:
    """How many frames of a film are encoded together."""
    return max(1, round(SEGMENT_S * fps))


def check(path: str | Path, size: Size, codec: str = "h264") -> None:
    """Whether a recording could be made there, as far as can be told without touching an older one.

    Makes the folder. Raises RecorderError, also when the disk does not answer.
    """
    path = Path(path)
    choose_codec(path, codec, size)
    try:
        in_time(lambda: _check_place(path))
    except OSError as fault:
        raise RecorderError(f"cannot record to {path}: {reason(fault)}") from None


def _check_place(path: Path) -> None:
    """Raises OSError."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    make_folder(path.parent)
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise PermissionError(errno.EACCES, "not allowed to write there")


def even_size(size: Size) -> Size:
    """The largest size within `size` that yuv420p can hold: both sides even."""
    return size[0] - size[0] % 2, size[1] - size[1] % 2


class _Pipe:
    """What FFmpeg writes to, opened and written by Python: FFmpeg opens and closes files while it holds Python's lock,
    and a pipe that nobody reads, or a disk that is gone, would freeze every thread of the program."""

    def __init__(self, path: Path) -> None:
        self._raw = open(path, "wb", buffering=0)  # noqa: SIM115 - closed by close()

    def write(self, data: bytes) -> int:
        """All of it, which the system may take in pieces. Raises OSError."""
        left = memoryview(data)
        while left:
            left = left[self._raw.write(left) or 0 :]
        return len(data)

    def close(self) -> None:
        """Raises OSError."""
        self._raw.close()


class _File(_Pipe):
    """One that is not only written forwards: an index goes to its beginning at the end."""

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()


class FilmWriter:
    """The open container and encoder. Encoder thread only; opening a pipe waits for somebody to read it.

    muxed: frames given to the container; saved: those of them in fragments that are whole in the file.
    """

    def __init__(
        self,
        path: Path,
        size: Size,
        fps: Fraction,
        codec: Codec,
        crf: int,
        live: bool,
        first: int = 0,
        on_saved: Callable[[int], None] = lambda frames: None,
    ) -> None:
        self.muxed = self.saved = 0
        self._size, self._fps, self._codec, self._options = size, fps, codec, codec.options(crf, live, size)
        self._segment = 0 if live else segment_frames(fps)
        self._first, self._on_saved = first, on_saved
        make_folder(path.parent)
        # Bitexact: no clock, no random ids, so the same frames are the same bytes. Flushed: a fragment is on
        # its way to the disk when it is complete, not when 32 kB have gathered.
        options = {"fflags": "+bitexact", "flush_packets": "1"}
        if path.suffix.lower() in (".mp4", ".mov"):
            # Fragments while recording, so that a killed process leaves a film; one plain index at the end,
            # because editors and older players need that. Delayed, so that the index starts the film at 0.
            options["movflags"] = "+frag_keyframe+delay_moov+default_base_moof+hybrid_fragmented"
        elif path.suffix.lower() == ".mkv":
            # A key picture closes no cluster of less than 4 kB by itself, but in a millisecond any later picture does.
            options["cluster_time_limit"] = "1"
        self._convert = _converter(size, codec.pix_fmt)
        self._file: _Pipe | None = None
        if is_series(path):  # whose pictures that are there already stay where they are
            options["start_number"] = str(first + 1)
            self.muxed = self.saved = first
            self._container = av.open(url(path), "w", format="image2", options=options)
        else:
            self._file = _Pipe(path) if is_special(path) else _File(path)
            self._container = av.open(self._file, "w", format=_FORMATS[path.suffix.lower()], options=options)
        stream = self._container.add_stream(codec.encoder, rate=fps)
        assert isinstance(stream, av.VideoStream)
        self._stream = stream
        context: Any = stream.codec_context
        self._settle(context)
        self._encoder: Any = context
        if self._segment:  # this one is held to the end, and in a film only makes the file's header
            context.thread_count = 1
            self._encoder = None
        self._flags = context.flags  # which say where headers go
        if codec.encoder == "libx265" and path.suffix.lower() in (".mp4", ".mov"):
            context.codec_tag = "hvc1"  # the only tag QuickTime opens
        self._container.start_encoding()  # opens the encoder: a refusal is known now, not at frame 1

    def _settle(self, context: Any) -> None:
        """Tells an encoder everything that makes it the same as the one before."""
        fps = self._fps
        context.width, context.height = self._size
        context.pix_fmt, context.options = self._codec.pix_fmt, self._options
        context.framerate, context.time_base = fps, 1 / fps
        context.gop_size = max(1, round(_GOP_S * fps))
        # By the picture's size and not by the machine's cores: x264's bytes depend on the number of threads.
        context.thread_count = 4 if self._size[1] <= 720 else 8 if self._size[1] <= 1440 else 16
        context.flags |= av.codec.context.Flags.bitexact
        if self._codec.pix_fmt != RGB:
            context.color_range = ColorRange.MPEG
            context.color_primaries = ColorPrimaries.BT709
            context.color_trc = ColorTrc.BT709
            context.colorspace = Colorspace.ITU709

    def copied(self, draft: Path, frames: int) -> Iterator[int]:
        """Copies the first frames of a draft that another run left, as they are; yields how many, one by one.

        Raises ValueError when it holds fewer, or others.
        """
        with av.open(url(draft)) as container:
            for packet in container.demux(video=0):
                if self.muxed == frames or packet.pts is None or packet.time_base is None:
                    break
                pts = round(packet.pts * packet.time_base * self._fps)  # .mkv counts whole milliseconds
                if pts // self._segment != self.muxed // self._segment:
                    break
                data = bytes(packet)
                self._put(_start_codes(data) if self._codec.lengths else data, pts, packet.is_keyframe)
                yield self.muxed
        if self.muxed < frames:
            raise ValueError(f"{draft} should hold {frames} whole frames, holds {self.muxed}")

    def encode(self, pixels: np.ndarray, pts: int) -> None:
        """Encode one picture."""
        self._convert.push(av.VideoFrame.from_numpy_buffer(pixels, GIVEN))
        frame = cast(av.VideoFrame, self._convert.pull())
        if self._codec.pix_fmt != RGB:
            # ProRes tells of a picture what the picture says of itself, and not the encoder.
            frame.color_primaries, frame.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        frame.pts, frame.time_base = pts, 1 / self._fps
        if self._segment and (pts % self._segment == 0 or self._encoder is None):
            self._start_segment()
        self._mux(frame)

    def _start_segment(self) -> None:
        """The next encoder, when the one before has given everything it held."""
        self.finish()
        self._encoder = av.CodecContext.create(self._codec.encoder, "w")
        self._settle(self._encoder)
        self._encoder.flags = self._flags

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if self._encoder is not None:
            self._mux(None)

    def close(self) -> None:
        """Write the index and close the file."""
        try:
            self._container.close()
        finally:
            if self._file is not None:
                self._file.close()

    def _mux(self, frame: av.VideoFrame | None) -> None:
        for packet in self._encoder.encode(frame):
            if self._segment:
                self._put(bytes(packet), packet.pts, packet.is_keyframe)
            else:
                packet.stream = self._stream
                self._append(packet)

    def _put(self, data: bytes, pts: int, is_key: bool) -> None:
        """A film's packet, in the order of coding: with nothing about it that another file would not give back."""
        packet = av.Packet(data)
        packet.stream, packet.time_base = self._stream, 1 / self._fps
        # Not the encoder's own dts: x265 has none worth the name for a segment of one or two pictures.
        packet.pts, packet.dts, packet.duration = pts, self.muxed - self._codec.reorder, 1
        packet.is_keyframe = is_key
        self._append(packet)

    def _append(self, packet: av.Packet) -> None:
        opens = packet.is_keyframe  # and so closes the fragment before it
        self._container.mux(packet)
        if opens:
            self.saved = self.muxed
            if self._segment and self.saved >= max(self._first, 1) and self.saved % self._segment == 0:
                self._on_saved(self.saved)
        self.muxed += 1


def _converter(size: Size, pix_fmt: str) -> av.filter.Graph:
    """Pictures as the stage gives them to those an encoder takes, BT.709 in limited range if it is not RGB that it
    takes; a push and a pull each."""
    graph = av.filter.Graph()
    graph.threads = 1
    chain = [
        graph.add("buffer", f"video_size={size[0]}x{size[1]}:pix_fmt={GIVEN}:time_base=1/1000"),
        graph.add("scale", "" if pix_fmt == RGB else _SCALER),
        graph.add("format", f"pix_fmts={pix_fmt}"),
        graph.add("buffersink"),
    ]
    for one, other in pairwise(chain):
        one.link_to(other)
    graph.configure()
    return graph


def _start_codes(data: bytes) -> bytes:
    """NAL units as files hold them, each after its length in four bytes (ISO/IEC 14496-15), to units after start
    codes, as encoders give them (ITU-T H.264 and H.265, annex B). Raises ValueError when the lengths do not add up."""
    units, at = [], 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        units.append(data[at + 4 : end])
        at = end
    if at != len(data):
        raise ValueError(f"a packet of {len(data)} bytes holds NAL units of {at}")
    return b"".join(b"\0\0\0\1" + unit for unit in units)


def choose_codec(path: Path, codec: str, size: Size) -> Codec:
    """How a film of that name and size is encoded: by its suffix, and `codec`. Raises RecorderError."""
    suffix = path.suffix.lower()
    if is_series(path):
        codec = "png"
        Series.of(path)
    if codec not in _CODECS:
        raise RecorderError(f"codec is one of {', '.join(CODECS)}, got {codec!r}")
    chosen = _CODECS[codec]
    if suffix not in chosen.suffixes:
        allowed = " or ".join(chosen.suffixes)
        raise RecorderError(f"a {codec} recording's name ends in {allowed}, got {path.name!r}")
    if chosen.encoder not in av.codecs_available:
        raise RecorderError(f"this machine has no {chosen.encoder} encoder; see `pedesis doctor`")
    width, height = size
    if min(size) < SMALLEST or (chosen.pix_fmt != RGB and even_size(size) != size):
        near = even_size((max(width, SMALLEST), max(height, SMALLEST)))
        raise RecorderError(
            f"a film's sides are even and at least {SMALLEST} pixels (nearest: {near[0]}x{near[1]}), "
            f"got {width}x{height}"
        )
    return chosen
