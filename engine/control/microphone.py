"""The microphone, or whatever sound comes in, by the driver (sounddevice, PortAudio); found again when it disappears.

    microphone = Microphone("USB*", 0.0, queue, tell)
    wait_s = microphone.look()               # on a thread that may wait; says when it wants to look again
    microphone.close()

Belongs to the senses' process (sense_worker.py). The driver's own thread measures each block and queues what it says.
When no block has come for LOST_S the device counts as gone, silence is fed in its place and the levels come down.
"""

import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.control.heard import HeardQueue
from engine.control.sound import HOP, Analyser

INSTALL = "sound needs a package that is not installed: pip install 'pedesis[sound]'. The show goes on without sound"
LIBRARY = (
    "sound needs the PortAudio library (Debian and Ubuntu: apt-get install libportaudio2). "
    "The show goes on without sound"
)
LOST_S = 1.0
MAX_CHANNELS = 2


def device_names() -> list[str]:
    """Every sound input of this machine. Raises ImportError without the package, OSError without the library."""
    import sounddevice

    return [d["name"] for d in sounddevice.query_devices() if d["max_input_channels"] > 0]


class Microphone:
    """See the module's head."""

    def __init__(
        self,
        pattern: str,
        gain_db: float,
        queue: HeardQueue,
        tell: Callable[[str, str], None],
        look_s: float,
    ) -> None:
        """pattern: the beginning of a device's name, `*` and `?` are wild; "" is the system's own choice."""
        self._pattern, self._gain_db, self._queue, self._tell = pattern, gain_db, queue, tell
        self._look_s = look_s
        self._stream: Any = None
        self._analyser: Analyser | None = None
        self._name = ""
        self._heard_s = 0.0
        self._said = ""

    @property
    def names(self) -> list[str]:
        """The device that is listened to, if any."""
        return [self._name] if self._stream is not None else []

    def look(self) -> float:
        """Opens the device if it is there, and lets go of one that has gone silent. Returns in how many seconds to look
        again. Raises ImportError without the package, OSError without the library."""
        import sounddevice

        if self._stream is not None:
            if self._stream.active and time.perf_counter() - self._heard_s < LOST_S:
                return min(LOST_S / 2, self._look_s)
            self._lose()
        # PortAudio looks for devices only when it starts.
        sounddevice._terminate()
        sounddevice._initialize()
        try:
            self._open(sounddevice)
        except (sounddevice.PortAudioError, ValueError) as error:
            self._say_once("warning", f"sound: the microphone cannot be opened ({error}); trying again")
        return self._look_s

    def close(self) -> None:
        """Lets go of the device."""
        if self._stream is not None:
            self._stream.abort(ignore_errors=True)
            self._stream.close(ignore_errors=True)
            self._stream = None

    def _open(self, sounddevice: Any) -> None:
        devices = [d for d in sounddevice.query_devices() if d["max_input_channels"] > 0]
        if self._pattern:
            pattern = f"{self._pattern.strip().casefold()}*"
            fitting = [d for d in devices if fnmatchcase(d["name"].casefold(), pattern)]
        else:
            default = sounddevice.default.device[0]
            fitting = [d for d in devices if d["index"] == default] or devices
        if not fitting:
            meant = f"no microphone fits {self._pattern!r}" if self._pattern else "no microphone is plugged in"
            others = f" (there: {', '.join(d['name'] for d in devices)})" if devices and self._pattern else ""
            self._say_once("warning", f"{meant}{others}; it is used when it comes")
            return
        device = fitting[0]
        rate_hz = device["default_samplerate"]
        if self._analyser is None or self._analyser.rate_hz != rate_hz:
            self._analyser = Analyser(rate_hz, self._gain_db)
        self._heard_s = time.perf_counter()
        stream = sounddevice.InputStream(
            device=device["index"],
            channels=min(device["max_input_channels"], MAX_CHANNELS),
            samplerate=rate_hz,
            blocksize=HOP,
            latency="low",
            dtype="float32",
            callback=self._hear,
        )
        stream.start()
        self._stream, self._name, self._said = stream, device["name"], ""
        self._tell("info", f"sound: listening to {device['name']}, {rate_hz:g} Hz, {1000 * stream.latency:.0f} ms late")

    def _hear(self, block: NDArray[np.float32], frames: int, when: object, status: object) -> None:
        """Called by the driver with samples (frames, channels)."""
        assert self._analyser is not None
        self._heard_s = time.perf_counter()
        self._queue.put_all(self._analyser.feed(block))

    def _lose(self) -> None:
        self.close()
        self._tell("warning", f"sound: {self._name} is gone; the levels go to 0 until it comes back")
        if self._analyser is not None:
            self._fade(self._analyser)

    def _fade(self, analyser: Analyser) -> None:
        """Silence at the pace of sound, until every level is down; in one second at most."""
        silence = np.zeros(HOP * 4, np.float32)
        end_s = time.perf_counter() + 1.0
        while not analyser.is_still and time.perf_counter() < end_s:
            self._queue.put_all(analyser.feed(silence))
            time.sleep(len(silence) / analyser.rate_hz)
        self._queue.put_all([(f"sound:{name}", (0.0,)) for name in ("level", "low", "mid", "high", "onset")])

    def _say_once(self, level: str, sentence: str) -> None:
        if sentence != self._said:
            self._said = sentence
            self._tell(level, sentence)
