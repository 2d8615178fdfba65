"""Ableton Link: the tempo and the beat that programs on the same network have agreed on.

    link = LinkClock.join()                  # None, with one line in the log, where that is not possible
    link.drain()                             # a source of the conductor's
    link.close()

It follows and never leads. Needs `aalink`, which the extra `link` brings. A thread of its own keeps the session, and
only waits; what the session says is read by the show's thread, without waiting, and reaches the show as tempo.bpm and
tempo.sync.
"""

import asyncio
import logging
import math
import threading
from collections.abc import Callable
from typing import Protocol

from engine.control.tempo import BPM_HIGH, BPM_LOW, BPM_STEP
from engine.show.params import Value

log = logging.getLogger("pedesis")

JOIN_S = 5.0


class Session(Protocol):
    """What is read of Link; both at any time and without waiting."""

    @property
    def tempo(self) -> float: ...
    @property
    def beat(self) -> float: ...


class LinkClock:
    """Follows a session: tempo.bpm when it changes, tempo.sync at every beat."""

    def __init__(self, session: Session, leave: Callable[[], None] = lambda: None) -> None:
        """leave: what ends the session."""
        self._session, self._leave = session, leave
        self._told_bpm = 0.0
        self._beat = math.floor(session.beat)

    @classmethod
    def join(cls) -> "LinkClock | None":
        """Joins the session of the network, or begins one."""
        try:
            import aalink
        except ImportError:
            log.warning("tempo.link is on, but Ableton Link is not installed: pip install 'pedesis[link]'")
            return None
        joined: list[Session] = []
        is_there, ending = threading.Event(), threading.Event()

        async def take_part() -> None:
            try:
                session = aalink.Link(120.0)
                session.enabled = True
                joined.append(session)
            finally:
                is_there.set()
            while not ending.is_set():
                await asyncio.sleep(0.1)
            session.enabled = False

        thread = threading.Thread(target=lambda: asyncio.run(take_part()), name="link", daemon=True)
        thread.start()
        if not is_there.wait(JOIN_S) or not joined:
            log.warning("Ableton Link does not start; the tempo is the show's own")
            return None

        def leave() -> None:
            ending.set()
            thread.join(1.0)

        return cls(joined[0], leave)

    def drain(self) -> list[tuple[str, Value]]:
        """What the session says that is new."""
        said: list[tuple[str, Value]] = []
        bpm = min(max(self._session.tempo, BPM_LOW), BPM_HIGH)
        if abs(bpm - self._told_bpm) > BPM_STEP * bpm:
            self._told_bpm = bpm
            said.append(("tempo.bpm", bpm))
        beat = math.floor(self._session.beat)
        if beat != self._beat:
            self._beat = beat
            said += [("tempo.sync", 1.0), ("tempo.sync", 0.0)]
        return said

    def close(self) -> None:
        """Leaves the session."""
        self._leave()
