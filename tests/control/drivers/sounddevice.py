"""A stand-in for the sound driver: one microphone, which hears a sine of 440 Hz while the file FAKE_SOUND is there.

Usage: put its folder first on sys.path. Without the file there is no microphone at all.
"""

import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

RATE = 48000


class PortAudioError(Exception):
    pass


def _there() -> bool:
    return Path(os.environ["FAKE_SOUND"]).exists()


def _initialize() -> None: ...


def _terminate() -> None: ...


def query_devices() -> list[dict[str, object]]:
    found = {"name": "USB microphone", "index": 0, "max_input_channels": 1, "default_samplerate": float(RATE)}
    return [found] if _there() else []


default = SimpleNamespace(device=(0, -1))


class InputStream:
    latency = 0.01

    def __init__(self, *, blocksize, callback, **settings) -> None:  # type: ignore[no-untyped-def]
        self._size, self._callback = blocksize, callback
        self.active = True

    def start(self) -> None:
        threading.Thread(target=self._hear, daemon=True).start()

    def _hear(self) -> None:
        at = 0
        while self.active and _there():
            phase = 2 * np.pi * 440 * np.arange(at, at + self._size) / RATE
            at += self._size
            loud = 0.5 if at > RATE // 2 else 0.001
            self._callback((loud * np.sin(phase)).astype(np.float32)[:, None], self._size, None, None)
            time.sleep(self._size / RATE)
        self.active = False

    def abort(self, ignore_errors: bool) -> None:
        self.active = False

    def close(self, ignore_errors: bool) -> None:
        self.active = False
