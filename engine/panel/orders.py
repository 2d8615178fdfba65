"""What goes to the stage: what people at panels want, gathered for a moment, newest wins.

    outgoing = Outgoing(send)                    # send: takes a mapping, may wait; called in a thread of its own
    outgoing.order(client, "set", "walk.speed", 0.3)
    outgoing.packet(raw)                         # OSC that came by a websocket
    outgoing.say(looking=True)

Bounded: of a parameter the newest value waits, of what fires MOST_FIRED, of packets MOST_PACKETS; beyond that the
oldest goes. Filled by the event loop's thread, emptied by its own.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from engine.play.panel_messages import MAX_PACKET_BYTES, Kind
from engine.show.params import Value

GATHER_S = 0.008  # half a frame: what comes within is one message
MOST_FIRED, MOST_PACKETS = 256, 256


class Outgoing:
    """See the module's head."""

    def __init__(self, send: Callable[[Mapping[str, Any]], None]) -> None:
        """send: raises OSError once the stage has gone."""
        self._send = send
        self._sets: dict[str, tuple[int, str, str, Value]] = {}  # the newest of each parameter, in order
        self._fired: deque[tuple[int, str, str, Value]] = deque(maxlen=MOST_FIRED)
        self._packets: deque[bytes] = deque(maxlen=MOST_PACKETS)
        self._said: dict[str, Any] = {}
        self._number = 0  # of the last message
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="to-the-stage", daemon=True)

    def start(self) -> None:
        """Begins to send."""
        self._thread.start()

    def order(self, client: int, kind: Kind, name: str, value: Value) -> int:
        """What a page wants. Returns the number of the message that it goes with (Update.heard)."""
        with self._changed:
            if kind == "set":
                self._sets.pop(name, None)
                self._sets[name] = client, kind, name, value
                if len(self._sets) > MOST_FIRED:  # only names that are none can be so many
                    del self._sets[next(iter(self._sets))]
            else:
                self._fired.append((client, kind, name, value))
            self._changed.notify()
            return self._number + 1

    def packet(self, raw: bytes) -> None:
        """OSC for the show."""
        if len(raw) <= MAX_PACKET_BYTES:
            with self._changed:
                self._packets.append(raw)
                self._changed.notify()

    def say(self, **said: Any) -> None:
        """Something about the panel itself."""
        with self._changed:
            self._said |= said
            self._changed.notify()

    def close(self) -> None:
        """Sends what waits, and ends."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._has_any())
                if not self._has_any():
                    return
            time.sleep(GATHER_S)
            with self._changed:
                self._number += 1
                message = {**self._said, "number": self._number}
                message["orders"] = [*self._sets.values(), *self._fired]
                message["packets"] = list(self._packets)
                self._said, self._sets = {}, {}
                self._fired.clear()
                self._packets.clear()
            try:
                self._send(message)
            except (OSError, ValueError):  # the stage has gone
                return

    def _has_any(self) -> bool:
        return bool(self._sets or self._fired or self._packets or self._said)
