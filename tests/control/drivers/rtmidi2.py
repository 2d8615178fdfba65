"""A stand-in for the MIDI driver: its devices are the lines of a file, NAME PORT, and their bytes come over UDP.

Usage: put its folder first on sys.path and the file's name into FAKE_MIDI. The word "abort" in the file kills the
process, as a driver's own fault does.
"""

import os
import socket
import threading
from contextlib import suppress
from pathlib import Path


def _devices() -> dict[str, int]:
    text = Path(os.environ["FAKE_MIDI"]).read_text()
    if "abort" in text:
        os.abort()
    return {name: int(port) for name, port in (line.rsplit(" ", 1) for line in text.splitlines())}


class MidiIn:
    def __init__(self, client: str) -> None:
        self.callback = None

    @property
    def ports(self) -> list[str]:
        return list(_devices())

    def ignore_types(self, sysex: bool, clock: bool, sensing: bool) -> None:
        assert not clock

    def open_port(self, index: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(0.02)
        self._socket.bind(("127.0.0.1", list(_devices().values())[index]))
        self._open = True
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close_port(self) -> None:
        self._open = False
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while self._open:
            with suppress(TimeoutError):
                message = list(self._socket.recv(256))
                if self.callback:
                    self.callback(message, 0.0)
