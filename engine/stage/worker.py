"""Work that must not hold up a frame, such as setting type: done in a thread, a piece at a time, and fetched when done.

    worker = Worker("type", at_once=False)
    worker.ask(key, lambda: typeset(...))        # False: too much is waiting, ask again later
    for key, made in worker.fetch(most=1): ...   # what the work returned, or the error it raised
    worker.close()

at_once is for a film, which waits for everything: there is no thread, and the same frames get the same things.
Belongs to the thread that asks.
"""

import logging
import queue
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
log = logging.getLogger("pedesis")

WAITING = 32  # pieces of work; beyond it nothing more is taken


class Worker(Generic[T]):
    """One thread, which begins with the first piece of work."""

    def __init__(self, name: str, at_once: bool = False) -> None:
        self._name, self._at_once = name, at_once
        self._work: queue.SimpleQueue[tuple[Hashable, Callable[[], T]] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Hashable, T | Exception]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._under_way: set[Hashable] = set()

    def ask(self, key: Hashable, work: Callable[[], T]) -> bool:
        """Whether it will be done: not if too much is waiting. What is under way is not asked for twice."""
        if key in self._under_way:
            return True
        if len(self._under_way) >= WAITING:
            return False
        self._under_way.add(key)
        if self._at_once:
            self._done.put((key, _made(work)))
            return True
        self._work.put((key, work))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        return True

    def fetch(self, most: int = WAITING) -> list[tuple[Hashable, T | Exception]]:
        """What is done, in the order in which it was asked for; never waits."""
        found: list[tuple[Hashable, T | Exception]] = []
        while len(found) < most and not self._done.empty():
            found.append(self._done.get_nowait())
            self._under_way.discard(found[-1][0])
        return found

    def close(self) -> None:
        """Nothing more is done; the thread ends by itself after the piece that it is at."""
        if self._thread is not None:
            while not self._work.empty():
                self._work.get()
            self._work.put(None)
            self._thread = None

    def _run(self) -> None:
        while (job := self._work.get()) is not None:
            key, work = job
            self._done.put((key, _made(work)))


def _made(work: Callable[[], T]) -> T | Exception:
    try:
        return work()
    except Exception as error:  # whoever asked decides what that means
        return error
