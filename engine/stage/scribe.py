"""Draws type and tables in a thread of its own: a line of type takes milliseconds, which no frame has to spare.

    scribe = Scribe()
    image = scribe.get(("title", 42), lambda: draw())      # None until it is there: ask again in the next frame
    scribe.close()

What was drawn is kept; of more than KEPT the one that was asked for least lately goes. With wait=True it draws at once,
as a film wants it. Any thread may ask, one at a time; the work runs in the scribe's thread.
"""

import logging
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger("pedesis")

KEPT, MOST_WAITING = 160, 32
Image = NDArray[np.uint8]
Work = Callable[[], Image | None]


class Scribe:
    """See the module's head. The thread starts with the first question."""

    def __init__(self, wait: bool = False) -> None:
        self.waits = wait
        self._done: OrderedDict[Hashable, Image | None] = OrderedDict()
        self._under_way: set[Hashable] = set()
        self._asked: queue.Queue[tuple[Hashable, Work] | None] = queue.Queue(MOST_WAITING)
        self._drawn: queue.SimpleQueue[tuple[Hashable, Image | None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def get(self, key: Hashable, work: Work) -> Image | None:
        """What the work gives, or gave; None while it is under way, where there is no room, and where it failed."""
        self._take()
        if key in self._done:
            self._done.move_to_end(key)
            return self._done[key]
        if self.waits:
            self._keep(key, _tried(work))
        elif key not in self._under_way and not self._asked.full():
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="scribe", daemon=True)
                self._thread.start()
            self._under_way.add(key)
            self._asked.put_nowait((key, work))
        return self._done.get(key)

    @property
    def is_busy(self) -> bool:
        """Whether something is still being drawn."""
        self._take()
        return bool(self._under_way)

    def close(self) -> None:
        """Ends the thread after what it is at."""
        if self._thread is not None and self._thread.is_alive():
            while True:
                try:
                    self._asked.put_nowait(None)
                    return
                except queue.Full:
                    self._asked.get_nowait()

    def _take(self) -> None:
        while not self._drawn.empty():
            key, image = self._drawn.get()
            self._under_way.discard(key)
            self._keep(key, image)

    def _keep(self, key: Hashable, image: Image | None) -> None:
        self._done[key] = image
        while len(self._done) > KEPT:
            self._done.popitem(last=False)

    def _run(self) -> None:
        while (asked := self._asked.get()) is not None:
            self._drawn.put((asked[0], _tried(asked[1])))


def _tried(work: Work) -> Image | None:
    try:
        return work()
    except Exception as error:  # a damaged font, a script that no font has: the page goes without
        log.warning("this cannot be written on the stage: %s", error)
        return None
