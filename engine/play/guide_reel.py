"""The pictures of one source, read in a thread of its own before they are needed, or in a film as they are.

    reel = Reel("drawings", lambda: open_source(...))
    reel.ask(wish); reel.newest(wish)           # each frame of the show: never waits
    reel.trouble                                # why there is nothing to see, or ""
    reel.close()

    again = Again(lambda: open_source(...)); again.newest(wish)        # a film's, which waits

Of the same content both give the same pictures at the same ticks, as long as the thread keeps up; where it does not,
the last one that it has read stays.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from engine.play.guide_fit import Fit, GuideError, Picture
from engine.play.guide_sources import Source, Wish
from engine.show.files import ANSWER_S
from engine.walk.guide import guide_hash

KEPT = 16  # pictures of one source
AGAIN_S = 2.0  # until a source that cannot be read is tried again; and between two looks at what has changed
LAG = 24  # a picture that should have been seen so many ago is no longer worth seeing


@dataclass(frozen=True)
class Seen:
    """A picture that may steer. at: which of its source's; file: as it may be kept, if it is there only now."""

    hash: str
    pixels: Picture = field(repr=False, compare=False)
    fit: Fit
    at: str = ""
    file: bytes | None = field(default=None, repr=False, compare=False)


def read_one(source: Source, moment: int, wish: Wish) -> Seen:
    """Waits. Raises GuideError."""
    pixels, at = source.read(moment, wish)
    return Seen(guide_hash(pixels), pixels, wish.fit, at)


class Reel:
    """See the module's head. Its public methods belong to the show's thread."""

    def __init__(self, open: Callable[[], Source]) -> None:
        """open: waits, and raises GuideError."""
        self._open = open
        self._wish: Wish | None = None
        self._read: OrderedDict[tuple[int, Fit, int | None], Seen] = OrderedDict()  # by moment and how it is seen
        self._source: Source | None = None
        self._fault = ""
        self._busy_since_s: float | None = None  # since when it waits for the disk
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="guide", daemon=True)
        self._thread.start()

    def ask(self, wish: Wish) -> None:
        """From now on this is wanted."""
        if wish != self._wish:
            self._wish = wish
            self._wake.set()

    def newest(self, wish: Wish) -> Seen | None:
        """The picture of now, or the last before it that is there; None while there is none."""
        source = self._source
        if source is None:
            return None
        now = source.moment(wish)
        with self._lock:
            if (seen := self._read.get((now, wish.fit, wish.shuffle))) is not None:
                return seen
            before = [key for key in self._read if now - LAG < key[0] < now and key[1:] == (wish.fit, wish.shuffle)]
            return self._read[max(before, key=lambda key: key[0])] if before else None

    @property
    def trouble(self) -> str:
        """Why there is nothing to see; empty while there is."""
        since_s = self._busy_since_s
        if since_s is not None and time.monotonic() - since_s > ANSWER_S:
            return "the disk does not answer"
        return self._fault

    @property
    def is_ending(self) -> bool:
        """Whether it was closed, and its thread is not over yet: a disk does not answer."""
        return self._stop.is_set() and self._thread.is_alive()

    def close(self) -> None:
        """Ends it, without waiting for that."""
        self._stop.set()
        self._wake.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._busy_since_s = time.monotonic()
            try:
                self._source = source = self._open()
                try:
                    self._follow(source)
                finally:
                    self._source = None
                    source.close()
            except GuideError as fault:
                self._fault = str(fault)
            except Exception as fault:  # of a library that reads a damaged file: the show goes on without it
                self._fault = f"it cannot be read ({type(fault).__name__}: {fault})"
            self._busy_since_s = None
            self._stop.wait(AGAIN_S)

    def _follow(self, source: Source) -> None:
        """Reads what is wanted, and what will be, until it is to stop. Raises GuideError."""
        looked_s = time.monotonic()
        while not self._stop.is_set():
            self._wake.clear()
            if (wish := self._wish) is not None:
                self._read_ahead(source, wish)
                self._fault = ""
            self._busy_since_s = None
            self._wake.wait(AGAIN_S)
            self._busy_since_s = time.monotonic()
            if time.monotonic() - looked_s >= AGAIN_S:
                looked_s = time.monotonic()
                if source.has_changed():
                    with self._lock:
                        self._read.clear()

    def _read_ahead(self, source: Source, wish: Wish) -> None:
        now = source.moment(wish)
        for moment in range(now, now + source.ahead + 1):
            key = moment, wish.fit, wish.shuffle
            if key in self._read:
                continue
            if self._stop.is_set() or (moment > now and self._wish is not None and source.moment(self._wish) > moment):
                return  # too late for it
            seen = read_one(source, moment, wish)
            with self._lock:
                self._read[key] = seen
                while len(self._read) > KEPT:
                    self._read.popitem(last=False)


class Again:
    """The same for a film: reads a picture when it is asked for it."""

    is_ending = False

    def __init__(self, open: Callable[[], Source]) -> None:
        self._open = open
        self._source: Source | None = None
        self._read: OrderedDict[tuple[int, Fit, int | None], Seen | GuideError] = OrderedDict()
        self._failed: GuideError | None = None
        self.trouble = ""

    def ask(self, wish: Wish) -> None:
        """Nothing to do."""

    def newest(self, wish: Wish) -> Seen | None:
        """The picture of now; None if it cannot be had, and then there is trouble."""
        try:
            source = self._opened()
        except GuideError as fault:
            self.trouble = str(fault)
            return None
        moment = source.moment(wish)
        key = moment, wish.fit, wish.shuffle
        if key not in self._read:
            try:
                self._read[key] = read_one(source, moment, wish)
            except GuideError as fault:  # once is enough: what a film is made of does not come and go
                self._read[key] = fault
            while len(self._read) > KEPT:
                self._read.popitem(last=False)
        found = self._read[key]
        self.trouble = str(found) if isinstance(found, GuideError) else ""
        return None if isinstance(found, GuideError) else found

    def read_at(self, at: str, fit: Fit) -> Picture:
        """That picture. Raises GuideError."""
        return self._opened().read_at(at, fit)

    def close(self) -> None:
        """Closes its files."""
        if self._source is not None:
            self._source.close()
            self._source = None

    def _opened(self) -> Source:
        if self._failed is not None:
            raise self._failed
        if self._source is None:
            try:
                self._source = self._open()
            except GuideError as fault:
                self._failed = fault
                raise
        return self._source
