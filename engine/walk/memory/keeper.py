"""The bank's keeper: a thread that keeps what is worth it, sorts it, finds it again, and forgets.

    keeper = Keeper(lambda: path, Settings(), lambda: "house")
    keeper.start()
    keeper.offer(Offer(...))              # never waits; the newest few are looked at
    keeper.ask(Ask(understood("whale", now), "whale", strength=0.5, tick=7))
    for said in keeper.answers(): ...     # Kept, Found, NotFound, Shelved, Thumbnail, Trouble
    keeper.close(timeout_s=1.0)

Everything that takes time (pictures, SQLite, the disk) is done in the thread, see work.py. In both directions there is
a queue of bounded length; what is full loses its oldest. A bank that cannot be opened is told of once and tried again
now and then, and the show goes on without. Nothing here decides by the clock what is dreamt: whatever is found goes to
the walk as an event of its tick.
"""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from engine.walk.memory.bank import BankError
from engine.walk.memory.questions import Answer, Ask, NextApproved, NotFound, Offer, Question, Settings, Trouble
from engine.walk.memory.questions import WantThumbnail as Want
from engine.walk.memory.work import Work

OFFERS, ASKS, THUMBNAILS, ANSWERS = 4, 16, 64, 256
RETRY_S = 30.0  # until a bank that could not be opened is tried again
REST_S = 0.5  # between two looks at what is to be done, when nothing is asked
BITE_S = 0.002  # between two bites of longer work, for whoever needs the processor or Python's lock
UNUSABLE = "the memory bank cannot be used at present"


class Keeper:
    """See the module's head. Its public methods belong to the show's thread."""

    def __init__(self, path: Callable[[], Path], settings: Settings, identify: Callable[[], str]) -> None:
        """path: where the bank is. identify: which model dreams here; other models' places are kept, and not walked
        to. Both are asked in the thread, since they may look at the disk, and may raise OSError."""
        self._path, self._settings, self._identify = path, settings, identify
        self._offers: deque[Offer] = deque(maxlen=OFFERS)
        self._asks: deque[Ask | NextApproved | Offer] = deque(maxlen=ASKS)  # what somebody waits for
        self._wanted: deque[Want] = deque(maxlen=THUMBNAILS)
        self._answers: deque[Answer] = deque(maxlen=ANSWERS)
        self._wake = threading.Event()
        self._closing = False
        self._said = ""
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Opens the bank, in the thread."""
        self._thread = threading.Thread(target=self._run, name="memory bank", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # no more threads to be had
            self._thread = None
            self._answers.append(Trouble(f"memories are not kept: {error}"))

    def set(self, settings: Settings) -> None:
        """Takes other settings from now on."""
        self._settings = settings

    def offer(self, offer: Offer) -> None:
        """Has a picture looked at, and kept if it is worth it or by hand."""
        if offer.by_hand:
            self._asks.append(offer)
        else:
            self._offers.append(offer)
        self._wake.set()

    def ask(self, question: Ask | NextApproved) -> None:
        """Asks for a memory: Found or NotFound comes of it."""
        self._asks.append(question)
        self._wake.set()

    def want(self, number: int) -> None:
        """Asks for a thumbnail: Thumbnail comes of it, if there is one."""
        self._wanted.append(Want(number))
        self._wake.set()

    def answers(self) -> list[Answer]:
        """What has come since the last call, oldest first."""
        found = []
        while self._answers:
            found.append(self._answers.popleft())
        return found

    def close(self, timeout_s: float) -> None:
        """Keeps what was given by hand and ends, but waits no longer than this."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        work: Work | None = None
        retry_at = time.monotonic()
        try:
            while True:
                closing = self._closing
                if work is None and time.monotonic() >= retry_at:
                    work, retry_at = self._opened(), time.monotonic() + RETRY_S
                if work is None:
                    self._refuse()
                elif not self._worked(work, closing):
                    work.close()
                    work, retry_at = None, time.monotonic()
                if closing:
                    return
                self._wake.wait(BITE_S if work is not None and work.is_busy else REST_S)
                self._wake.clear()
        finally:
            if work is not None:
                work.close()

    def _opened(self) -> Work | None:
        try:
            work = Work(self._path(), self._identify(), self._settings, self._answers.append)
        except (BankError, sqlite3.Error, OSError) as error:
            if str(error) != self._said:
                self._said = str(error)
                self._answers.append(Trouble(f"memories are not kept: {error}"))
            return None
        self._said = ""
        return work

    def _refuse(self) -> None:
        """Whoever asks a bank that is not there is told so."""
        while question := self._next():
            if isinstance(question, Ask | NextApproved):
                self._answers.append(NotFound(UNUSABLE))
            elif isinstance(question, Offer) and question.by_hand:
                self._answers.append(Trouble(f"this picture is not kept: {UNUSABLE}"))

    def _worked(self, work: Work, closing: bool) -> bool:
        """Everything that was asked, then one bite of what there is to do besides; False when the bank is lost."""
        work.settings = self._settings
        while (work.is_ready or closing) and (question := self._next()):
            if closing and not (isinstance(question, Offer) and question.by_hand):
                continue
            if not work.take(question):
                return False
        return closing or work.rest()

    def _next(self) -> Question | None:
        """What somebody waits for first."""
        for queue in (self._asks, self._offers, self._wanted):
            with suppress(IndexError):
                return queue.popleft()  # type: ignore[attr-defined, no-any-return]
        return None
