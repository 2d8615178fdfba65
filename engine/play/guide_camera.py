"""A camera that steers, or whatever else PyAV can open as one: in a thread of its own, found again when it is lost.

    camera = Camera("0")                        # opens it, in the thread
    camera.ask(wish); camera.newest(wish)       # each frame of the show: never waits
    camera.trouble                              # why there is nothing to see, or ""
    camera.close()

The thread reads all frames and keeps none: of the newest one a picture is made when it is asked for. Nothing is
written anywhere. Real time: what steers is known to the show by its content and the tick at which it came.
"""

import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from engine.play.guide_fit import Fit, GuideError, Picture, fitted, frame_picture, small_file
from engine.play.guide_reel import Seen
from engine.play.guide_sources import Wish
from engine.walk.guide import guide_hash

AGAIN_S = 2.0  # until a camera that is not there is looked for again
SILENT_S = 3.0  # without a frame for so long, it counts as lost
BLACK, BLACK_S = 16, 2.0  # nearly all of it is darker than this, of 255, for so long: nothing is seen
ANSWER_S = 10.0  # a network camera is given so long to answer
# Smaller is quicker, and more than most models dream in.
_ASKED = {"video_size": "640x480"}
_SYSTEMS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}


class Camera:
    """See the module's head. Its public methods belong to the show's thread."""

    def __init__(self, address: str) -> None:
        """address: a number, FORMAT:DEVICE as PyAV has them, or a URL."""
        self._address = address
        self._wanted: Fit | None = None  # in which a picture is wanted of the next frame
        self._seen: Seen | None = None
        self._lost = ""  # why no frames come, as far as the thread knows
        self._heard_s = time.monotonic()
        self._patience_s = ANSWER_S
        self._black_since_s: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def ask(self, wish: Wish) -> None:
        """Nothing to do: a camera shows what is there now."""

    def newest(self, wish: Wish) -> Seen | None:
        """A picture that nobody had yet, if there is one; and asks for the next."""
        seen, self._seen = self._seen, None
        self._wanted = wish.fit
        return seen if seen is not None and seen.fit == wish.fit else None

    @property
    def trouble(self) -> str:
        """Why there is nothing to see; empty while there is."""
        if self._lost:
            return self._lost
        if time.monotonic() - self._heard_s > self._patience_s:
            return "it sends no pictures"
        since = self._black_since_s
        return "it sees only black" if since is not None and time.monotonic() - since > BLACK_S else ""

    @property
    def is_ending(self) -> bool:
        """Whether it was closed, and its thread is not over yet: the device is slow to let go."""
        return self._stop.is_set() and self._thread.is_alive()

    def close(self) -> None:
        """Lets go of the camera, without waiting for that."""
        self._stop.set()
        self._wanted = self._seen = None

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._watch()
                self._lost = "it is gone"
            except (GuideError, OSError, ValueError) as fault:
                self._lost = str(getattr(fault, "strerror", None) or fault)
            except Exception as fault:  # of a driver; whatever it is, the show goes on
                self._lost = f"{type(fault).__name__}: {fault}"
            self._wanted = self._seen = None
            self._stop.wait(AGAIN_S)

    def _watch(self) -> None:
        """Reads frames until there are no more, or it is to stop."""
        with open_camera(self._address) as container:
            if not container.streams.video:
                raise GuideError("it has no picture")
            stream = container.streams.video[0]
            stream.thread_type = "SLICE"  # frame threads would be as many frames late
            first: tuple[float, float] | None = None  # by its own time, and by ours
            for frame in container.decode(stream):
                if self._stop.is_set():
                    return
                now_s = self._heard_s = time.monotonic()
                self._lost, self._patience_s = "", SILENT_S
                if (fit := self._wanted) is not None:
                    self._wanted = None
                    self._take(frame, fit, float(stream.sample_aspect_ratio or 1) or 1.0)
                if frame.time is not None:  # what is no device comes as quickly as it can be read
                    first = first or (frame.time, now_s)
                    early_s = (frame.time - first[0]) - (now_s - first[1])
                    if early_s > 0.005:
                        self._stop.wait(min(early_s, 0.1))

    def _take(self, frame: Any, fit: Fit, aspect: float) -> None:
        pixels = fitted(frame_picture(frame, fit, aspect), fit)
        if is_black(pixels):
            self._black_since_s = self._black_since_s or time.monotonic()
            return
        self._black_since_s = None
        pixels, file = small_file(pixels)
        self._seen = Seen(guide_hash(pixels), pixels, fit, file=file)


def open_camera(address: str) -> Any:
    """A container of PyAV's. Waits for the device. Raises OSError or ValueError of PyAV's, or GuideError."""
    import av

    kind, _, place = address.partition(":")
    if "://" in address:
        return av.open(address, timeout=(ANSWER_S, ANSWER_S))
    if not place:
        place, kind = _numbered(int(address))
    elif not any(kind in names.split(",") for names in av.formats_available):
        raise GuideError(f"PyAV has no {kind} here")
    for options in (_ASKED, {}):
        try:
            return av.open(place, format=kind, options=options if kind in _SYSTEMS.values() else {}, timeout=ANSWER_S)
        except (OSError, ValueError):
            if not options or kind not in _SYSTEMS.values():
                raise
    raise AssertionError("the last attempt returns or raises")


def _numbered(number: int) -> tuple[str, str]:
    """The device of that number, and its system. Raises GuideError."""
    kind = _SYSTEMS.get(sys.platform)
    if kind == "dshow":
        try:
            from av.device import enumerate_input_devices
        except ImportError:
            raise GuideError("cameras have no numbers here: write camera:dshow:video=NAME") from None
        found = [device for device in enumerate_input_devices("dshow") if "video" in device.media_types]
        if number >= len(found):
            raise _no_such(number)
        return f"video={found[number].name}", kind
    if kind == "avfoundation":
        return f"{number}:none", kind
    if kind is None:
        raise GuideError("cameras have no numbers here: write camera:FORMAT:DEVICE")
    if not Path(f"/dev/video{number}").exists():
        raise _no_such(number)
    return f"/dev/video{number}", kind


def device_names() -> list[str]:
    """Every camera of this machine, by its number and name. Raises ImportError or OSError where nobody can tell."""
    kind = _SYSTEMS.get(sys.platform, "")
    if kind != "v4l2":
        from av.device import enumerate_input_devices

        found = [device for device in enumerate_input_devices(kind) if "video" in device.media_types]
        return [f"{n} {device.description}" for n, device in enumerate(found)]
    cameras = []
    for entry in Path("/sys/class/video4linux").glob("video*"):
        with suppress(OSError):
            if (entry / "index").read_text().strip() == "0":  # the others tell of its pictures, and have none
                cameras.append((int(entry.name.removeprefix("video")), (entry / "name").read_text().strip()))
    return [f"{number} {name}" for number, name in sorted(cameras)]


def _no_such(number: int) -> GuideError:
    try:
        there = ", ".join(device_names()) or "none"
    except (ImportError, OSError, ValueError):
        there = "unknown"
    return GuideError(f"there is no camera {number} (cameras here: {there})")


def is_black(pixels: Picture) -> bool:
    """Whether of 100 pixels 98 are nearly black in each channel: a cap, a switched-off sensor, a dark room."""
    few = pixels[::4, ::4]
    return np.count_nonzero(few.max(2) >= BLACK) < 0.02 * few.shape[0] * few.shape[1]
