"""A real show with a real panel, small and without a window, that plays in a thread of its own while a test looks on.

    with Evening(folder) as evening:
        evening.url; evening.target("walk.speed"); evening.send("/walk/speed", 0.5); evening.frames

Only the dreamer is none: it paints flat colours. The player belongs to its thread; what a test reads of it are single
values. What goes wrong in the thread fails the test that is there when it ends.
"""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from engine.control.clock import LockstepClock
from engine.control.message import decode
from engine.control.send import encode
from engine.panel.worker import main
from engine.play import live
from engine.play.live import LiveOptions, Player
from engine.play.panel_link import Worker
from engine.show.params import Value
from engine.walk.palette import Palette
from tests.panel.rig import free_port
from tests.play.test_player import FPS, FlatDreamer, quiet_show


class Reader(FlatDreamer):
    """Encodes all words at once."""

    palettes: tuple[Palette, ...] = ()

    def set_palettes(self, palettes: object) -> None:
        self.palettes = tuple(palettes)  # type: ignore[arg-type]
        self.status.palettes = frozenset(palette.id for palette in self.palettes)


class Evening:
    """See the module's head."""

    def __init__(self, folder: Path, worker: Worker = main, values: dict[str, Value] | None = None) -> None:
        self._folder, self._worker, self.port = folder, worker, free_port()
        self._values = {"panel.port": self.port, "memory.enabled": True, **(values or {})}
        self.frames = 0
        self.client = httpx.Client(timeout=30, trust_env=False, verify=False)
        self.controller = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.controller.bind(("127.0.0.1", 0))
        self.controller.setblocking(False)
        self._error: BaseException | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._play, name="evening", daemon=True)
        self._player: Player | None = None

    def __enter__(self) -> "Evening":
        self._patch = pytest.MonkeyPatch()
        self._patch.setenv("XDG_STATE_HOME", str(self._folder / "state"))
        self._patch.setattr(live, "DreamerProcess", Reader)
        self._thread.start()
        self.until(lambda: self._player is not None and self._player.panel.address, "the panel")
        self.until(lambda: self.get("/health").status_code == 200, "a show that is well")
        return self

    def __exit__(self, *ended: object) -> None:
        self._ending.set()
        self._thread.join(20)
        self._patch.undo()
        self.client.close()
        self.controller.close()
        if self._error is not None:
            raise self._error

    @property
    def player(self) -> Player:
        assert self._player is not None
        return self._player

    @property
    def dreamer(self) -> Reader:
        dreamer = self.player.dreamer
        assert isinstance(dreamer, Reader)
        return dreamer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def get(self, path: str, **how: Any) -> httpx.Response:
        return self.client.get(self.url + path.lstrip("/"), **how)

    def page(self, **how: Any) -> ClientConnection:
        return connect(f"ws://127.0.0.1:{self.port}/panel", **how)

    def query(self, **how: Any) -> ClientConnection:
        return connect(f"ws://127.0.0.1:{self.port}/", **how)

    def target(self, name: str) -> Value:
        """Where a parameter is, or where it is going."""
        return self.player.conductor.controls.chosen(name)

    def until(
        self,
        holds: Callable[[], object],
        what: str,
        rest: Callable[[float], object] = time.sleep,
        seconds: float = 30.0,
    ) -> None:
        """Waits until something holds. rest: takes seconds."""
        end = time.monotonic() + seconds
        while not holds():
            assert self._error is None, self._error
            assert time.monotonic() < end, f"it never came: {what}"
            rest(0.01)

    def goes_on(self) -> None:
        """Waits for a frame that was not begun yet."""
        before = self.frames
        self.until(lambda: self.frames >= before + 2, "another frame")

    def send(self, address: str, *values: float) -> None:
        """By OSC, as a controller would."""
        packet = encode(address, [("f", value) for value in values])
        assert self.player.osc is not None
        self.controller.sendto(packet, ("127.0.0.1", self.player.osc.port))

    def heard(self, address: str) -> Sequence[object]:
        """What came back for an address; empty where nothing did."""
        try:
            while True:
                name, arguments = decode(self.controller.recv(4096))[:2]
                if name == address and arguments:
                    return list(arguments)
        except BlockingIOError:
            return []

    def _play(self) -> None:
        show = quiet_show()
        show = replace(show, osc=replace(show.osc, enabled=True, host="127.0.0.1", port=0),
                       values={**show.values, **self._values})  # fmt: skip
        how = LiveOptions(headless=True, size=(192, 108), out=self._folder, panel=self._worker)
        clock = LockstepClock(FPS)
        try:
            with ExitStack() as stack:
                self._player = player = Player(show, how, clock, stack)
                while not self._ending.wait(2 / FPS):  # half as fast as it thinks, to leave room for browsers
                    player.step()
                    clock.advance()
                    self.frames += 1
        except BaseException as error:
            self._error = error
