"""The bank's keeper: a thread that keeps what is worth it, sorts it, finds it again, and forgets.

    keeper = Keeper(lambda: path, Settings(), lambda: "house")
    keeper.start()
    keeper.offer(Offer(...))              # never waits; the newest few are looked at
    keeper.ask(Ask(understood("whale", now), strength=0.5, tick=7))
    for said in keeper.answers(): ...     # Kept, Found, NotFound, Shelved, Thumbnail, Trouble
    keeper.close(timeout_s=1.0)

Everything that takes time (pictures, SQLite, the disk) is done in the thread. In both directions there is a queue of
bounded length; what is full loses its oldest, which for pictures on offer costs nothing. A bank that cannot be used is
told of once, and the show goes on without. Nothing here decides by the clock what is dreamt: whatever is found goes
to the walk as an event of its tick.
"""

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.show.params import Value, shown
from engine.walk.memory.bank import Bank, BankError, Memory, New, Summary
from engine.walk.memory.kinds import Kinds
from engine.walk.memory.look import LOOK, look, nearest, opened, thumbnail
from engine.walk.memory.params import CAPACITY, HALF_LIFE_H
from engine.walk.memory.recall import Asked, fitting, told
from engine.walk.palette import Palette
from engine.walk.visit import Place
from engine.walk.waypoint import distance

log = logging.getLogger("pedesis")

OFFERS, ASKS, THUMBNAILS, ANSWERS = 4, 16, 64, 256
ALIKE = 0.12  # a picture nearer than this to one that is kept is the same to the eye
NEAR = 0.35  # a place nearer than this, by navigator.distance, is the same place
ALMOST = 6  # of those that look most alike, how many places are compared
PURE = 0.6  # the share that the loudest prompt of a place has: mixtures are kept only by hand
SHELVED_S = 2.0  # between two lists of the shelves
RAN_S = 60.0  # between two notes of how long it has run
SHELVED = 16_384  # spheres in a list, the strongest


@dataclass(frozen=True)
class Settings:
    """How a bank is kept. Frozen: what is steered comes anew with set()."""

    capacity: int = CAPACITY
    archive: bool = False  # forgets nothing
    half_life_h: float = HALF_LIFE_H


@dataclass(frozen=True)
class Offer:
    """A picture that may be worth keeping. pixels: (H, W, 3), the keeper's own copy."""

    place: Place
    palettes: Mapping[str, Palette]
    pixels: NDArray[np.uint8]
    steered: Mapping[str, Value] = field(default_factory=dict)
    by_hand: bool = False


@dataclass(frozen=True)
class Ask:
    """A memory is asked for. strength 0..1 and tick choose where any will do; pixels: what is shown now."""

    asked: Asked
    text: str
    strength: float = 1.0
    tick: int = 0
    pixels: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class NextApproved:
    """The approved memory after this one is asked for, in the order of that seed."""

    after: int | None
    seed: int


@dataclass(frozen=True)
class WantThumbnail:
    number: int


@dataclass(frozen=True)
class Kept:
    number: int
    by_hand: bool


@dataclass(frozen=True)
class Found:
    memory: Memory


@dataclass(frozen=True)
class NotFound:
    why: str


@dataclass(frozen=True)
class Shelved:
    """All that is on the shelves: numbers, kinds, places along the shelf and strengths 0..1, each (N,)."""

    numbers: NDArray[np.int64]
    kinds: NDArray[np.int32]
    places: NDArray[np.float32]
    strengths: NDArray[np.float32]
    names: Mapping[int, str]  # of the kinds


@dataclass(frozen=True)
class Thumbnail:
    number: int
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Trouble:
    """What could not be done; the show goes on without. over: the bank is not used any more."""

    why: str
    over: bool = False


Question = Offer | Ask | NextApproved | WantThumbnail
Answer = Kept | Found | NotFound | Shelved | Thumbnail | Trouble


class Keeper:
    """See the module's head. Its public methods belong to the show's thread."""

    def __init__(self, path: Callable[[], Path], settings: Settings, identify: Callable[[], str]) -> None:
        """path: where the bank is. identify: which model dreams here; other models' places are kept, and not walked
        to. Both are asked in the thread, since they may look at the disk, and may raise OSError."""
        self._path, self._settings, self._identify = path, settings, identify
        self._offers: deque[Offer] = deque(maxlen=OFFERS)
        self._asks: deque[Ask | NextApproved] = deque(maxlen=ASKS)
        self._wanted: deque[WantThumbnail] = deque(maxlen=THUMBNAILS)
        self._answers: deque[Answer] = deque(maxlen=ANSWERS)
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Opens the bank, in the thread."""
        self._thread = threading.Thread(target=self._run, name="memory bank", daemon=True)
        self._thread.start()

    def set(self, settings: Settings) -> None:
        """Takes other settings from now on."""
        self._settings = settings

    def offer(self, offer: Offer) -> None:
        """Has a picture looked at, and kept if it is worth it or by hand."""
        self._offers.append(offer)
        self._wake.set()

    def ask(self, question: Ask | NextApproved) -> None:
        """Asks for a memory: Found or NotFound comes of it."""
        self._asks.append(question)
        self._wake.set()

    def want(self, number: int) -> None:
        """Asks for a thumbnail: Thumbnail comes of it, if there is one."""
        self._wanted.append(WantThumbnail(number))
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
        try:
            work = _Work(self._path(), self._identify(), self._settings, self._answers.append)
        except (BankError, sqlite3.Error, OSError) as error:
            self._answers.append(Trouble(f"memories are not kept: {error}", over=True))
            return
        try:
            while True:
                closing = self._closing
                work.settings = self._settings
                while question := self._next():
                    if closing and not (isinstance(question, Offer) and question.by_hand):
                        continue
                    if not work.take(question):
                        return
                if closing or not work.rest():
                    return
                self._wake.wait(0.5)
                self._wake.clear()
        finally:
            work.close()

    def _next(self) -> Question | None:
        """What somebody waits for first."""
        for queue in (self._asks, self._offers, self._wanted):
            with suppress(IndexError):
                return queue.popleft()  # type: ignore[attr-defined, no-any-return]
        return None


class _Work:
    """What the thread does. Raises BankError, sqlite3.Error or OSError when the bank cannot be opened."""

    def __init__(self, path: Path, model: str, settings: Settings, say: Callable[[Answer], None]) -> None:
        self.settings, self._model, self._say = settings, model, say
        self._bank = Bank(path, settings.half_life_h)
        if self._bank.set_aside:
            aside = self._bank.set_aside.name
            say(Trouble(f"the memory bank was damaged and is set aside as {aside}; a new one begins"))
        self._said = ""
        self._numbers, self._looks = np.empty(0, np.int64), np.empty((0, LOOK), np.float16)
        self._count = 0
        self._kinds = Kinds()
        self._round: list[int] = []  # approved ones that are still to come
        self._rounds = 0
        self._sort_at = 0
        self._changed, self._shelved_at = True, -SHELVED_S
        self._ran_at = time.monotonic()
        self._read_all()

    def _read_all(self) -> None:
        self._numbers, self._looks = self._bank.looks()
        self._count = len(self._numbers)
        kinds = self._bank.summaries().kinds
        for kind in range(int(kinds.max()) + 1 if len(kinds) else 0):
            mine = self._looks[kinds == kind]
            self._kinds.means.append(mine.astype(np.float32).mean(0) if len(mine) else np.full(LOOK, 9.0, np.float32))
            self._kinds.counts.append(len(mine))
        self._sort_at = max(16, 2 * self._count)

    def take(self, question: Question) -> bool:
        """Does what is asked; False when the bank is lost for good."""
        try:
            if isinstance(question, Offer):
                self._keep(question)
            elif isinstance(question, Ask):
                self._find(question)
            elif isinstance(question, NextApproved):
                self._find_approved(question)
            else:
                self._open(question)
        except (sqlite3.Error, OSError, ValueError, MemoryError) as error:
            return self._trouble(error)
        return True

    def rest(self) -> bool:
        """What is done now and then; False when the bank is lost for good."""
        try:
            now = time.monotonic()
            if now - self._ran_at >= RAN_S:
                self._bank.ran((now - self._ran_at) / 3600)
                self._ran_at = now
            if self._count >= self._sort_at:
                self._sort()
            if self._changed and now - self._shelved_at >= SHELVED_S:
                self._shelve()
                self._shelved_at = now
        except (sqlite3.Error, OSError, ValueError, MemoryError) as error:
            return self._trouble(error)
        return True

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._bank.ran((time.monotonic() - self._ran_at) / 3600)
        self._bank.close()

    def _trouble(self, error: Exception) -> bool:
        said = f"the memory bank {self._bank.path}: {error}"
        if said != self._said:
            self._said = said
            self._say(Trouble(said))
        if isinstance(error, sqlite3.DatabaseError) and "malformed" in str(error):
            return self._begin_anew()
        return True

    def _begin_anew(self) -> bool:
        """A bank that turns out to be damaged is set aside, and another begun."""
        path = self._bank.path
        self._bank.close()
        try:
            self._bank = Bank(path, self.settings.half_life_h, damaged=True)
        except BankError as error:
            self._say(Trouble(f"memories are not kept any more: {error}", over=True))
            return False
        aside = self._bank.set_aside
        self._say(Trouble(f"the memory bank was damaged and is set aside as {aside.name if aside else '?'}"))
        self._kinds, self._changed = Kinds(), True
        self._read_all()
        return True

    def _keep(self, offer: Offer) -> None:
        vector = look(offer.pixels)
        new = New(
            model=self._model,
            created=time.time(),
            place=offer.place,
            palettes=offer.palettes,
            look=vector,
            thumbnail=b"",
            kind=0,
            steered=offer.steered,
            by_hand=offer.by_hand,
        )
        if not offer.by_hand and not self._is_worth_it(new):
            return
        self._make_room()
        number = self._bank.keep(replace(new, thumbnail=thumbnail(offer.pixels), kind=self._kinds.add(vector)))
        if number is None:
            return
        self._append(number, vector)
        self._said, self._changed = "", True
        self._say(Kept(number, offer.by_hand))

    def _is_worth_it(self, new: New) -> bool:
        """Far enough from what is kept, by look and by place, and nearly pure."""
        if max(new.said.values(), default=0.0) < PURE:
            return False
        if not self._count:
            return True
        rows, far = nearest(self._looks[: self._count], new.look, ALMOST)
        if far[0] < ALIKE:
            return False
        for number in self._numbers[rows]:
            other = self._bank.read(int(number))
            if other is None or other.model != new.model or other.place.loop != new.place.loop:
                continue
            if distance(other.place.waypoint, new.place.waypoint) < NEAR:
                return False
        return True

    def _append(self, number: int, vector: NDArray[np.float32]) -> None:
        if self._count == len(self._numbers):
            room = max(64, self._count // 4)
            self._numbers = np.concatenate([self._numbers, np.zeros(room, np.int64)])
            self._looks = np.concatenate([self._looks, np.zeros((room, LOOK), np.float16)])
        self._numbers[self._count], self._looks[self._count] = number, vector
        self._count += 1

    def _make_room(self) -> None:
        over = len(self._bank) + 1 - self.settings.capacity
        if over <= 0 or self.settings.archive:
            return
        # A few more than must go: looking for the weakest means looking at all of them.
        gone = self._bank.weakest(over + self.settings.capacity // 100)
        if not gone:
            raise ValueError(f"it is full: all {self._count} memories were kept by hand or approved; forget some")
        self._bank.forget(gone)
        stay = ~np.isin(self._numbers[: self._count], gone)
        self._numbers, self._looks = self._numbers[: self._count][stay], self._looks[: self._count][stay]
        self._count = len(self._numbers)

    def _sort(self) -> None:
        kinds = self._kinds.sort(self._looks[: self._count])
        self._bank.set_kinds(self._numbers[: self._count], kinds)
        self._sort_at, self._changed = 2 * self._count, True

    def _find(self, ask: Ask) -> None:
        number, why = self._number(ask)
        memory = None if number is None else self._bank.read(number)
        if memory is None:
            self._say(NotFound(why or f"memory {number} is not there any more"))
        elif memory.model != self._model:
            self._say(NotFound(f"memory {memory.number} is another model's, and cannot be walked to here"))
        else:
            self._bank.recall(memory.number, time.time())
            self._changed = True
            self._say(Found(memory))

    def _number(self, ask: Ask) -> tuple[int | None, str]:
        """Number of what is asked for, or why there is none."""
        asked = ask.asked
        if asked.number is not None:
            return asked.number, ""
        if asked.words is not None:
            scores = fitting(self._bank.prompts(), asked.words)
            found = self._bank.by_words(scores, 1, self._model)
            return (found[0], "") if found else (None, f"no memory has these words: {shown(asked.words)}")
        summary = self._bank.summaries(self._model)
        ours = summary.numbers[summary.ours]
        if not len(ours):
            return None, "there are no memories yet"
        if asked.first or asked.latest:
            return int(ours[0] if asked.first else ours[-1]), ""
        if asked.when is not None:
            return int(ours[np.abs(summary.created[summary.ours] - asked.when).argmin()]), ""
        if asked.like and ask.pixels is not None:
            return self._alike(look(ask.pixels), ours), ""
        return _any(ours, summary.strengths[summary.ours], ask), ""

    def _alike(self, vector: NDArray[np.float32], ours: NDArray[np.int64]) -> int:
        mine = np.isin(self._numbers[: self._count], ours)
        rows, far = nearest(self._looks[: self._count][mine], vector, 8)
        other = next((i for i, d in enumerate(far) if d >= ALIKE / 2), 0)  # not the very place where it is
        return int(self._numbers[: self._count][mine][rows[other]])

    def _find_approved(self, question: NextApproved) -> None:
        """Every approved one comes once before any comes again, in another order each round."""
        summary = self._bank.summaries(self._model)
        numbers = summary.numbers[summary.ours & summary.approved]
        if not len(numbers):
            self._say(NotFound("memory.approved is on, and no memory is approved: `pedesis memory approve` does it"))
            return
        for _ in range(2):
            while self._round:
                number = self._round.pop(0)
                is_new = number != question.after or len(numbers) == 1
                if is_new and number in numbers and (memory := self._bank.read(number)):
                    self._say(Found(memory))
                    return
            order = np.random.Generator(np.random.PCG64([question.seed, self._rounds])).permutation(numbers)
            self._round, self._rounds = [int(n) for n in order], self._rounds + 1

    def _open(self, want: WantThumbnail) -> None:
        if data := self._bank.thumbnail(want.number):
            with suppress(OSError):  # damaged: its sphere stays dark
                self._say(Thumbnail(want.number, opened(data)))

    def _shelve(self) -> None:
        summary = self._bank.summaries(self._model)
        self._say(shelved(summary, self._bank.words_of_kinds()))
        self._changed = False


def shelved(summary: Summary, words: Mapping[int, dict[str, float]]) -> Shelved:
    """The shelves: along each, its memories in the order in which they came."""
    strongest = np.argsort(-summary.strengths, kind="stable")[:SHELVED]
    rows = np.sort(strongest)
    kinds = summary.kinds[rows]
    places = np.zeros(len(rows), np.float32)
    for kind in np.unique(kinds):
        mine = np.flatnonzero(kinds == kind)
        places[mine] = np.arange(len(mine))
    names = {kind: told(said, [w for k, w in words.items() if k != kind]) for kind, said in words.items()}
    strengths = np.minimum(summary.strengths[rows], 1.0).astype(np.float32)
    return Shelved(summary.numbers[rows], kinds, places, strengths, names)


def _any(numbers: NDArray[np.int64], strengths: NDArray[np.float32], ask: Ask) -> int:
    """One of them, the strong ones more often: a sensor's strength and the tick choose, and always choose the same."""
    seed = [ask.tick, round(ask.strength * 1_000_000)]
    weights = np.maximum(strengths.astype(np.float64), 1e-3)
    draw = np.random.Generator(np.random.PCG64(seed)).random() * weights.sum()
    return int(numbers[min(int(np.searchsorted(np.cumsum(weights), draw)), len(numbers) - 1)])
