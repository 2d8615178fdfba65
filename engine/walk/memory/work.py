"""What the keeper's thread does with a bank: keeps, finds, sorts, forgets. No thread of its own.

    work = Work(path, "house 1f2e", Settings(), say)    # raises BankError, sqlite3.Error, OSError
    work.take(Ask(...)); work.rest(); work.close()

What takes long with a large bank (reading it in, sorting it anew) is done in bites, one at each rest(), so that it
holds up neither whoever asks nor, by Python's lock, the stage.
"""

import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.show.params import shown
from engine.walk.memory.bank import Bank, BankError
from engine.walk.memory.chart import Chart, fitted
from engine.walk.memory.embedding import SIZE, embedding
from engine.walk.memory.file import identity, is_damage
from engine.walk.memory.index import Index, Summary
from engine.walk.memory.kinds import Kinds
from engine.walk.memory.listing import Listing
from engine.walk.memory.look import LOOK, colours, distances, look, nearest, opened, thumbnail
from engine.walk.memory.questions import (
    Answer,
    Ask,
    Found,
    Kept,
    NextApproved,
    NotFound,
    Offer,
    Question,
    Settings,
    Shelved,
    Thumbnail,
    Trouble,
    WantThumbnail,
)
from engine.walk.memory.recall import named
from engine.walk.memory.remembered import New
from engine.walk.waypoint import distance

ALIKE = 0.2  # a picture nearer than this to one that is kept is the same to the eye
NEAR = 0.5  # a place nearer than this, by waypoint.distance, is the same place
ALMOST = 6  # of those that look most alike, how many places are compared
PURE = 0.6  # the share that the loudest prompt of a place must have: pure materials are more beautiful than mixtures
RELAX = 8.0  # times memory.every without a pure one, after which any mixture will do
AS_GOOD = 0.9  # of the best: what fits words so well may be chosen as well
SHELVED_S = 2.0  # between two lists of the shelves
RAN_S, LONGEST_S = 60.0, 300.0  # between two notes of how long it has run; longer was a machine that slept
OTHERS_S = 10.0  # between two looks at what another process has changed
READ_SHARE = 0.05  # of the time that may be spent on it
SHELVED = 16_384  # spheres in a list, the strongest
GROWN = 1.05  # a bank so much larger may be of other words
FORGOTTEN = 16  # at once, at least: a slip of the hand on memory.capacity must not empty a bank
PLACED = 1024  # memories put on the map in one bite
BITE = 250  # memories put on other shelves in one bite

_Task = Generator[None, None, None]


class Work:
    """See the module's head."""

    def __init__(self, path: Path, model: str, settings: Settings, say: Callable[[Answer], None]) -> None:
        self.settings, self._model, self._say = settings, model, say
        self._bank = Bank(path, settings.half_life_h)
        self.is_ready = False  # whether all of it has been read in
        self._said = ""
        self._index, self._kinds = Index(), Kinds()
        self._gone: list[int] = []  # forgotten while it is read in
        self._round: list[int] = []  # approved ones that are still to come
        self._rounds = 0
        self._sort_at = 0
        self._changed, self._shelved_at = True, -SHELVED_S
        self._names: dict[int, str] = {}
        self._chart: Chart | None = None
        self._listing = Listing()
        self._charted = np.empty(0, np.int64), np.empty((0, 2), np.float32)  # numbers, and where they lie on it
        self._named_count = -1
        self._first_s: float | None = None  # the show's time of the first offer,
        self._kept_s: float | None = None  # of the last that was kept unasked,
        self._pure_s = 0.0  # and of the last that was pure enough
        self._version, self._look_again_at = self._bank.version, 0.0
        self._ran_at = time.monotonic()
        if self._bank.set_aside:
            self._say(Trouble(_begun_anew(self._bank.set_aside)))
        if self._bank.read_only:
            self._say(Trouble(f"the memory bank {path} can only be read: memories are recalled, and none is kept"))
        self._task: _Task | None = self._reading()

    @property
    def is_busy(self) -> bool:
        """Whether there is more to do than to wait."""
        return self._task is not None

    def take(self, question: Question) -> bool:
        """Does what is asked; False when the bank is lost."""
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
            return self._trouble(error, question)
        return True

    def rest(self) -> bool:
        """One bite of what is done now and then; False when the bank is lost."""
        try:
            now = time.monotonic()
            if identity(self._bank.path) != self._bank.identity:
                self._say(Trouble(f"the memory bank {self._bank.path} was moved or deleted; another begins"))
                return False
            if self._task is not None:
                if next(self._task, True) is True:
                    self._task = None
                return True
            if now - self._ran_at >= RAN_S:
                self._note_time(now)
            if now >= self._look_again_at and self._bank.version != self._version:
                self._task = self._reading()
            elif len(self._index) >= self._sort_at:
                self._task = self._sorting()
            if self._changed and now - self._shelved_at >= SHELVED_S:
                self._shelve()
                self._shelved_at = now
        except (sqlite3.Error, OSError, ValueError, MemoryError) as error:
            self._task = None
            self.is_ready = True  # with what could be read
            self._look_again_at = time.monotonic() + RAN_S
            return self._trouble(error)
        return True

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._note_time(time.monotonic())
        self._bank.close()

    def _note_time(self, now: float) -> None:
        ran_s, self._ran_at = min(now - self._ran_at, LONGEST_S), now
        if not self._bank.read_only:
            self._bank.ran(ran_s / 3600)

    def _trouble(self, error: Exception, question: Question | None = None) -> bool:
        if isinstance(question, Offer):
            said = f"a memory could not be kept: {error}"
        elif isinstance(question, Ask | NextApproved):
            said = f"a memory could not be looked up: {error}"
        else:
            said = f"the memory bank {self._bank.path}: {error}"
        if said != self._said:
            self._said = said
            self._say(Trouble(said))
        if isinstance(error, sqlite3.Error) and is_damage(error) and not self._bank.read_only:
            return self._begin_anew()
        return True

    def _begin_anew(self) -> bool:
        """A bank that turns out to be damaged is set aside, and another begun."""
        path, damaged = self._bank.path, self._bank.identity
        self._bank.close()
        try:
            self._bank = Bank(path, self.settings.half_life_h, damaged=damaged)
        except BankError as error:
            self._say(Trouble(f"memories are not kept any more: {error}"))
            return False
        if self._bank.set_aside:
            self._say(Trouble(_begun_anew(self._bank.set_aside)))
        self._index, self._kinds, self._listing, self._changed = Index(), Kinds(), Listing(), True
        self._version, self._task = self._bank.version, self._reading()
        return True

    # Reading in, sorting

    def _reading(self) -> _Task:
        """Takes in all that there is, again where another process has changed it."""
        begun, self._version = time.monotonic(), self._bank.version
        index, before = Index(), self._index
        self._gone = []
        for page in self._bank.pages(self._model):
            numbers = page["number"]
            old = np.searchsorted(before.rows["number"], numbers)
            known = np.append(before.rows["number"], -1)[old] == numbers
            vectors = np.empty((len(page), SIZE), np.float16)
            vectors[known] = before.embeddings[old[known]]
            vectors[~known] = self._bank.embeddings(numbers[~known])
            index.add(page, vectors)
            yield
        index.keep(~np.isin(index.rows["number"], self._gone))
        self._index = index
        self._kinds.learn(index.embeddings, index.rows["kind"])
        sorted_count = int(self._bank.note("sorted"))
        self._sort_at = max(16, 2 * sorted_count)
        self.is_ready, self._changed, self._named_count = True, True, -1
        self._chart = fitted(index.embeddings, index.rows["kind"])
        yield
        yield from self._place_all()
        took_s = time.monotonic() - begun
        self._look_again_at = time.monotonic() + max(OTHERS_S, took_s / READ_SHARE)

    def _sorting(self) -> _Task:
        """Finds the kinds anew."""
        count = len(self._index)
        self._sort_at = 2 * count
        numbers = self._index.rows["number"].copy()
        kinds = yield from self._kinds.sorting(self._index.embeddings)
        rows = self._index.rows
        mine = np.isin(rows["number"], numbers)  # some may have gone meanwhile, and others come
        target = rows["kind"].copy()
        target[mine] = kinds[np.isin(numbers, rows["number"])]
        for row in np.flatnonzero(~mine):
            vector = self._index.embeddings[row].astype(np.float32)
            target[row] = self._kinds.nearest(vector)
            self._kinds.add(vector, int(target[row]))
        moved = np.flatnonzero(target != rows["kind"])
        moving = rows["number"][moved], target[moved]
        rows["kind"] = target
        for at in range(0, 0 if self._bank.read_only else len(moved), BITE):
            self._bank.set_kinds(moving[0][at : at + BITE], moving[1][at : at + BITE])
            yield
        if not self._bank.read_only:
            self._bank.set_note("sorted", count)
        self._chart = fitted(self._index.embeddings, rows["kind"])
        yield
        yield from self._place_all()
        self._changed, self._named_count = True, -1

    def _place_all(self) -> _Task:
        """Puts every memory on a new chart."""
        self._charted = np.empty(0, np.int64), np.empty((0, 2), np.float32)
        if self._chart is None:
            return
        numbers, places = [], []
        for at in range(0, len(self._index), PLACED):
            numbers.append(self._index.rows["number"][at : at + PLACED].copy())
            places.append(self._chart.at(self._index.embeddings[at : at + PLACED]))
            yield
        if numbers:
            self._charted = np.concatenate(numbers), np.concatenate(places)

    def _map(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """(N, 2) where these lie; those that came since it was made are put on it now."""
        if self._chart is None:
            self._chart = fitted(self._index.embeddings, self._index.rows["kind"])
            if self._chart is None:
                return np.empty((0, 2), np.float32)
        known, places = self._charted
        new = ~np.isin(self._index.rows["number"], known)
        if new.any():
            known = np.append(known, self._index.rows["number"][new])
            places = np.concatenate([places, self._chart.at(self._index.embeddings[new])])
            order = np.argsort(known)
            self._charted = known, places = known[order], places[order]
        return places[np.searchsorted(known, numbers)]

    # Keeping

    def _keep(self, offer: Offer) -> None:
        if self._bank.read_only:
            if offer.by_hand:
                raise ValueError(f"the bank {self._bank.path} can only be read")
            return
        if self._first_s is None:
            self._first_s = self._pure_s = offer.time_s
        if not offer.by_hand and self._kept_s is not None and offer.time_s - self._kept_s < self.settings.every_s:
            return
        new = New(
            model=self._model,
            created=time.time(),
            place=offer.place,
            palettes=offer.palettes,
            embedding=np.zeros(SIZE, np.float32),
            thumbnail=b"",
            kind=0,
            steered=offer.steered,
            by_hand=offer.by_hand,
        )
        vector = embedding(offer.pixels, new.said)
        new = replace(new, embedding=vector)
        if not offer.by_hand and not self._is_worth_it(new, offer.time_s):
            return
        self._make_room()
        new = replace(new, thumbnail=thumbnail(offer.pixels), kind=self._kinds.nearest(vector))
        number = self._bank.keep(new)
        if number is None:
            self._keep_again(new)
            return
        self._kinds.add(vector, new.kind)
        self._index.add(self._bank.rows(number - 1, self._model, 1), vector[None].astype(np.float16))
        if not offer.by_hand:
            self._kept_s = offer.time_s
        self._said, self._changed = "", True
        self._say(Kept(number, offer.by_hand))

    def _keep_again(self, new: New) -> None:
        """The same place is there already."""
        if not new.by_hand or (number := self._bank.prize(new.mark)) is None:
            return
        if (row := self._index.row_of(number)) is not None:
            self._index.rows[row] = self._bank.rows(number - 1, self._model, 1)[0]
        self._changed = True
        self._say(Kept(number, by_hand=True))

    def _is_worth_it(self, new: New, time_s: float) -> bool:
        """Far enough from what is kept, by look and by place, and nearly pure, as far as this show ever is."""
        loudest = max(new.said.values(), default=0.0)
        if loudest >= PURE:
            self._pure_s = time_s
        waited = (time_s - self._pure_s) / (RELAX * self.settings.every_s)
        if loudest < PURE * (1 - min(waited, 1.0)):
            return False
        if not len(self._index):
            return True
        rows, far = nearest(self._index.looks, new.embedding[:LOOK], ALMOST)
        if far[0] < ALIKE:
            return False
        for number in self._index.rows["number"][rows]:
            other = self._bank.read(int(number))
            if other is None or other.model != new.model or other.place.loop != new.place.loop:
                continue
            if distance(other.place.waypoint, new.place.waypoint) < NEAR:
                return False
        return True

    def _make_room(self) -> None:
        capacity = self.settings.capacity
        over = len(self._index) + 1 - capacity
        if over <= 0 or self.settings.archive or not self.is_ready:
            return
        # A few more than must go, so that they need not be looked for each time; and never many at once.
        gone = self._summary().weakest(min(over + capacity // 100, FORGOTTEN + capacity // 50)).tolist()
        if not gone:
            raise ValueError(f"the bank is full: all {len(self._index)} were kept by hand or approved; forget some")
        self._bank.forget(gone)
        self._gone += gone
        self._index.keep(~np.isin(self._index.rows["number"], gone))

    # Finding

    def _summary(self) -> Summary:
        self._bank.half_life_h = self.settings.half_life_h
        return self._index.summary(self._bank.running_h, self.settings.half_life_h)

    def _find(self, ask: Ask) -> None:
        number, why = self._number(ask)
        memory = None if number is None else self._bank.read(number)
        if memory is None:
            self._say(NotFound(why or f"memory {number} is not there any more"))
        elif memory.model != self._model:
            self._say(NotFound(f"memory {memory.number} is another model's, and cannot be walked to here"))
        else:
            self._renew(memory.number)
            self._say(Found(memory))

    def _renew(self, number: int) -> None:
        if self._bank.read_only:
            return
        try:
            renewed = self._bank.recall(number, time.time())
        except sqlite3.Error as error:  # a full disk: it is gone to all the same
            self._trouble(error)
            return
        row = self._index.row_of(number)
        if renewed is not None and row is not None:
            self._index.rows["strength"][row], self._index.rows["at_h"][row] = renewed
            self._changed = True

    def _number(self, ask: Ask) -> tuple[int | None, str]:
        """Number of what is asked for, or why there is none."""
        asked, rows = ask.asked, self._index.rows
        if asked.number is not None:
            return asked.number, ""
        if asked.words is not None:
            return self._by_words(ask, asked.words)
        ours = np.flatnonzero(rows["ours"])
        if not len(ours):
            return None, "there are no memories yet"
        if asked.first or asked.latest:
            return int(rows["number"][ours[0] if asked.first else ours[-1]]), ""
        if asked.when is not None:
            return int(rows["number"][ours[np.abs(rows["created"][ours] - asked.when).argmin()]]), ""
        if asked.like:
            if ask.pixels is None:
                return None, "nothing is shown yet that a memory could be like"
            return self._alike(look(ask.pixels), ask.at), ""
        return self._any(rows["number"][ours], ask), ""

    def _by_words(self, ask: Ask, words: str) -> tuple[int | None, str]:
        found = self._bank.by_words(words, 16, self._model)
        if not found:
            return None, f"no memory has these words: {shown(words)}"
        good = [number for number, fit in found if fit >= AS_GOOD * found[0][1]]
        return self._any(np.array(good), ask), ""

    def _alike(self, vector: NDArray[np.float32], at: int | None) -> int:
        """The most alike one that is not the very place where it is."""
        rows = self._index.rows
        far = distances(self._index.looks, vector)
        far[~rows["ours"] | (rows["number"] == at)] += 100.0
        far[far < ALIKE / 2] += 50.0
        return int(rows["number"][far.argmin()])

    def _any(self, numbers: NDArray[np.int64], ask: Ask) -> int:
        """One of them, the strong ones more often: a sensor's strength and the tick choose, and always the same."""
        numbers = numbers[numbers != ask.at] if len(numbers) > 1 else numbers
        summary = self._summary()
        rows = np.searchsorted(summary.numbers, numbers).clip(0, max(len(summary.numbers) - 1, 0))
        weights = np.maximum(summary.strengths[rows].astype(np.float64), 1e-3)
        seed = [ask.tick, round(ask.strength * 1_000_000)]
        draw = np.random.Generator(np.random.PCG64(seed)).random() * weights.sum()
        return int(numbers[min(int(np.searchsorted(np.cumsum(weights), draw)), len(numbers) - 1)])

    def _find_approved(self, question: NextApproved) -> None:
        """Every approved one comes once before any comes again, in another order each round."""
        numbers = self._bank.approved(self._model)
        if not numbers:
            self._say(NotFound("memory.approved is on, and no memory is approved: `pedesis memory approve` does it"))
            return
        there = set(numbers)
        for _ in range(2):
            while self._round:
                number = self._round.pop(0)
                if number in there and (memory := self._bank.read(number)):
                    self._say(Found(memory))
                    return
            order = np.random.Generator(np.random.PCG64([question.seed, self._rounds])).permutation(numbers).tolist()
            if order[0] == question.after:  # it was the last of the round before
                order.append(order.pop(0))
            self._round, self._rounds = order, self._rounds + 1

    # Showing

    def _open(self, want: WantThumbnail) -> None:
        if data := self._bank.thumbnail(want.number):
            with suppress(OSError):  # damaged: its sphere stays dark
                self._say(Thumbnail(want.number, opened(data)))

    def _shelve(self) -> None:
        if not 0 <= self._named_count <= len(self._index) <= max(GROWN * self._named_count, self._named_count + 4):
            self._names, self._named_count = named(self._bank.words_of_kinds()), len(self._index)
        found = shelved(self._summary(), self._index.looks, self._names)
        self._say(replace(found, map=self._map(found.numbers), chart=self._chart))
        if (listed := self._listing.look(self._bank, self._model)) is not None:
            self._say(listed)
        self._changed = False


def shelved(summary: Summary, looks: NDArray[np.float16], names: dict[int, str]) -> Shelved:
    """The shelves: along each, its memories in the order in which they came."""
    count = len(summary.numbers)
    rows = np.arange(count)
    if count > SHELVED:
        rows = np.sort(np.argpartition(-summary.strengths, SHELVED)[:SHELVED])
    kinds = summary.kinds[rows]
    places = np.zeros(len(rows), np.float32)
    for kind in np.unique(kinds):
        mine = np.flatnonzero(kinds == kind)
        places[mine] = np.arange(len(mine))
    strengths = np.minimum(summary.strengths[rows], 1.0).astype(np.float32)
    return Shelved(
        summary.numbers[rows],
        kinds,
        places,
        strengths,
        colours(looks[rows]),
        names,
        count,
        np.empty((0, 2), np.float32),
    )


def _begun_anew(aside: Path) -> str:
    return (
        f"the memory bank was damaged and is set aside as {aside.name}; a new one begins, and "
        f"`pedesis memory import` brings in what can still be read of it"
    )
