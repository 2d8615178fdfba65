"""When the dreamer is started again after its child has ended, with how much economy, and when it is given up.

    policy = RestartPolicy(film=False)
    decision = policy.ended(now_s, End(fault="ValueError: ..."))
    decision.pause_s, decision.economy, decision.give_up

Plain numbers and words: no process and no clock of its own. Stage process.
"""

import re
from dataclasses import dataclass

BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
HEALTHY_S = 60.0  # after dreaming this long, the next end counts as the first again
GIVE_UP = 4  # ends in a row with the same words before a first picture: a fifth start would end so too
MOST_ECONOMY = 4  # as many as there are measures that save memory (memory.py); a show may have fewer
FIRST_LOAD_S = 1800.0  # a large model on a CPU takes minutes to read, to try out and for any picture
SHORTEST_LOAD_S, LOADS = 120.0, 5.0  # once a load or a first picture took t, a later one may take max(120 s, 5 t)
_AMOUNT = re.compile(r"[\d.]+ [KMGT]i?B")  # in the words of a fault may change: CUDA tells how much memory was free


@dataclass(frozen=True)
class End:
    """How a child ended. fault: what it said that it ended of, empty if it could say nothing."""

    fault: str = ""
    out_of_memory: bool = False
    may_pass: bool = False  # as it says itself: a driver, a disk
    killed: bool = False  # by the system, without a word
    young: bool = False  # before its first picture


@dataclass(frozen=True)
class Decision:
    """What to do about it: start again after a pause, with this economy; or give up, and why."""

    pause_s: float
    economy: int
    give_up: str = ""


class RestartPolicy:
    """Remembers how earlier children ended.

    A dreamer that once dreamt is started for ever: a gallery must recover. So is one that ends of what may pass, and
    one that was killed and could say nothing: what kills it may go away.
    """

    def __init__(self, film: bool, economy: int = 0) -> None:
        """film: its arithmetic never changes under way, so memory is not saved by economy."""
        self._film, self._economy = film, economy
        self._ends = 0  # in a row, without a healthy stretch between them
        self._killed_young = 0
        self._last, self._times = "", 0  # the last fault, and how often in a row
        self._dreamt = False
        self._load_s: float | None = None  # the longest seen
        self._first_s: float | None = None  # the longest that a child's first picture took
        self._hung_early = 0  # in a row

    def loaded(self, took_s: float) -> None:
        """A child has loaded its model in so long."""
        self._load_s = max(took_s, self._load_s or 0.0)

    def dreamt_first(self, took_s: float) -> None:
        """A child's first picture has come."""
        self._first_s = max(took_s, self._first_s or 0.0)
        self._hung_early = 0

    def hung_early(self) -> None:
        """A child was silent for too long before its first picture. The next is given twice as long: a disk may have
        become slower since, and no child would ever be given the time it needs."""
        self._hung_early += 1

    def dreamt(self, alive_s: float) -> None:
        """A picture has come, from a child that has lived so long."""
        self._dreamt = True
        if alive_s > HEALTHY_S:
            self._ends = 0

    @property
    def load_patience_s(self) -> float:
        """How long a child may load without a word before it counts as hung."""
        return self._early_patience_s(self._load_s)

    @property
    def first_patience_s(self) -> float:
        """The same for its first picture."""
        return self._early_patience_s(self._first_s)

    def _early_patience_s(self, seen_s: float | None) -> float:
        if seen_s is None:
            return FIRST_LOAD_S
        least_s = max(SHORTEST_LOAD_S, LOADS * seen_s)
        return max(least_s, min(FIRST_LOAD_S, least_s * 2.0 ** min(self._hung_early, 10)))

    def ended(self, end: End) -> Decision:
        """What to do after a child has ended."""
        pause_s = BACKOFF_S[min(self._ends, len(BACKOFF_S) - 1)]
        self._ends += 1
        if self._wants_less(end):
            if self._film:
                why = end.fault or "killed twice before its first picture, as for want of memory"
                return Decision(pause_s, self._economy, f"{why}. A film is never continued with less precision: close "
                                "other programs, or make its pictures smaller (model.width, model.height)")
            if self._economy < MOST_ECONOMY:
                self._economy += 1
                self._last, self._times = "", 0  # after a start with more economy the next end is not the same again
                return Decision(pause_s, self._economy)
        return Decision(pause_s, self._economy, self._hopeless(end))

    def _wants_less(self, end: End) -> bool:
        """Linux kills who takes too much memory, and the child cannot say so: killed twice running before its first
        picture, it counts as out of memory."""
        self._killed_young = self._killed_young + 1 if end.killed and end.young else 0
        if self._killed_young >= 2:
            self._killed_young = 0
            return True
        return end.out_of_memory

    def _hopeless(self, end: End) -> str:
        """Why it is given up, or nothing."""
        fault = _AMOUNT.sub("#", end.fault)
        self._times = self._times + 1 if fault == self._last else 1
        self._last = fault
        if end.fault and self._times >= GIVE_UP and not self._dreamt and not end.may_pass:
            return f"the dreamer ended {GIVE_UP} times in a row: {end.fault}"
        return ""
