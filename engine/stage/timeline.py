"""Which two keyframes are on stage now, and how far one has become the other.

Usage: `slot = timeline.claim(); …upload…; timeline.add(stamp_s, epoch, slot); mix = timeline.at(now_s)`.
Plain Python, no GL; stage process, the thread that draws.

Live, the played time runs a delay behind the clock, long enough that the next keyframe is nearly always
there before it is needed (a jitter buffer). The delay is measured from arrivals, and the played time
drifts toward it at 0.8 to 1.25 of the clock's pace, so nobody sees it adapt. Near the newest keyframe it
eases to a stop; it never passes it, and never runs backward. In lockstep it is the clock, exactly.
"""

import math
from collections import deque
from dataclasses import dataclass

SLOTS = 16
RATE_LOW, RATE_HIGH = 0.8, 1.25
CATCH_UP_S = 1.5  # an error of this much would double the rate, were it not limited
SMOOTH_S = 0.25  # how fast the rate itself may change
LONGEST_STEP_S = 0.25  # a frame that took longer moves the played time no further than this
WINDOW = 32  # arrivals remembered
OUTAGE_S = 1.5  # a gap is an outage from here on, if it is also
OUTAGE_GAPS = 4.0  # this many usual gaps


@dataclass(frozen=True)
class Mix:
    """Show slot `a` and slot `b`, the latter by `u` in 0..1."""

    a_slot: int
    b_slot: int
    u: float
    epoch: int
    jumped: bool  # true for one frame: the epoch is another than the frame before showed
    played_s: float  # on the timeline's own axis, which leaves outages out
    rate: float  # played seconds per second


@dataclass(frozen=True)
class _Entry:
    stamp_s: float  # as dreamt
    play_s: float  # on the played axis
    epoch: int
    slot: int


class Timeline:
    """Keyframes in the order they were asked for, in a fixed number of slots."""

    def __init__(self, slots: int = SLOTS) -> None:
        if slots < 4:
            raise ValueError(f"a timeline needs at least 4 slots, got {slots}")
        self.slots = slots
        self._entries: list[_Entry] = []
        self._pending: list[tuple[float, int, int]] = []
        self._recent: deque[int] = deque(range(slots), maxlen=slots)  # least recently given first
        self._needed: deque[float] = deque(maxlen=WINDOW)  # delays that would just have been enough
        self._gaps: deque[float] = deque(maxlen=WINDOW)
        self._skipped_s = 0.0
        self._held_s = -math.inf  # up to when the newest keyframe was said to be still true
        self._played_s = 0.0
        self._rate = 0.0
        self._now_s: float | None = None
        self._epoch: int | None = None

    @property
    def delay_s(self) -> float:
        """How far behind the clock the picture means to play."""
        if not self._needed:
            return 0.0
        ordered = sorted(self._needed)
        return ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))] + 1.5 * self._ease_s

    @property
    def interval_s(self) -> float:
        """The usual time between keyframes, 0 while unknown."""
        return sorted(self._gaps)[len(self._gaps) // 2] if self._gaps else 0.0

    @property
    def _ease_s(self) -> float:
        # Slow dreamers are eased over longer; fast ones must not pay for it in delay.
        return min(max(0.3 * self.interval_s, 0.02), 0.4)

    def claim(self) -> int:
        """A slot to write the next keyframe into, never one that is on screen.

        When all are taken, the keyframe least missed among those still to come gives its place.
        """
        used = {entry.slot for entry in self._entries} | {slot for _, _, slot in self._pending}
        for slot in self._recent:
            if slot not in used:
                self._touch(slot)
                return slot
        return self._thin()

    def _thin(self) -> int:
        # Entries 0 and 1 are on screen (at() drops all before); the newest is where we are heading.
        if len(self._entries) > 3:
            spans = [
                (self._entries[i + 1].play_s - self._entries[i - 1].play_s, i)
                for i in range(2, len(self._entries) - 1)
            ]
            slot = self._entries.pop(min(spans)[1]).slot
        else:
            slot = self._pending.pop(0)[2]
        self._touch(slot)
        return slot

    def _touch(self, slot: int) -> None:
        self._recent.remove(slot)
        self._recent.append(slot)

    def add(self, stamp_s: float, epoch: int, slot: int) -> None:
        """A keyframe has arrived; it counts from the next at()."""
        if not 0 <= slot < self.slots:
            raise ValueError(f"slot must be in 0..{self.slots - 1}, got {slot}")
        self._pending.append((stamp_s, epoch, slot))

    def hold(self, stamp_s: float) -> None:
        """The newest keyframe is still true at `stamp_s`, as if it had been dreamt again. The time of such a rest is
        left out of the played axis: a dreamer that rested was not away, and the picture is not late."""
        self._held_s = stamp_s

    def at(self, now_s: float, live: bool = True) -> Mix | None:
        """What to show now; None before the first keyframe."""
        self._admit(now_s, live)
        if not self._entries:
            self._now_s = now_s
            return None
        if live:
            self._advance(now_s)
        else:
            self._seek(now_s)
        self._now_s = now_s
        return self._mix()

    def _admit(self, now_s: float, live: bool) -> None:
        for stamp_s, epoch, slot in self._pending:
            last = self._entries[-1] if self._entries else None
            if last and (epoch < last.epoch or (epoch == last.epoch and stamp_s <= last.stamp_s)):
                continue  # late and overtaken
            if live and last and epoch == last.epoch:
                held_s = min(max(last.stamp_s, self._held_s), stamp_s)
                self._skipped_s += held_s - last.stamp_s
                self._measure(now_s, stamp_s, held_s)
            entry = _Entry(stamp_s, stamp_s - self._skipped_s, epoch, slot)
            if live and (last is None or epoch != last.epoch):
                # A jump is shown at once: the hand that asked for it is waiting.
                self._entries = [entry]
                self._played_s, self._rate = entry.play_s, 0.0
            else:
                self._entries.append(entry)
        self._pending.clear()

    def _measure(self, now_s: float, stamp_s: float, last_s: float) -> None:
        gap = stamp_s - last_s
        usual, known = self.interval_s, len(self._gaps) >= 3
        self._gaps.append(gap)  # an outage too: a dreamer that has become slow for good looks like one at first
        if known and gap > max(OUTAGE_S, OUTAGE_GAPS * usual):
            # The dreamer was away. Playing the hole out in full would leave the picture that much
            # behind the hand for minutes; it is played as one long crossfade instead.
            self._skipped_s += gap - max(2.0 * usual, 1.0)
            return
        self._needed.append(now_s - last_s)

    def _advance(self, now_s: float) -> None:
        step_s = min(max(now_s - self._now_s, 0.0), LONGEST_STEP_S) if self._now_s is not None else 0.0
        if step_s == 0.0:
            return
        behind_s = now_s - self._skipped_s - self.delay_s - self._played_s
        wanted = min(max(1.0 + behind_s / CATCH_UP_S, RATE_LOW), RATE_HIGH)
        rate = self._rate + (wanted - self._rate) * (1.0 - math.exp(-step_s / SMOOTH_S))
        ahead_s = max(self._entries[-1].play_s - self._played_s, 0.0)
        move_s = min(rate * step_s, ahead_s * (1.0 - math.exp(-step_s / self._ease_s)))
        self._played_s += move_s
        self._rate = move_s / step_s
        self._drop_passed()

    def _seek(self, now_s: float) -> None:
        first = self._entries[0]
        self._played_s = max(now_s - self._skipped_s, first.play_s)
        self._rate = 1.0
        self._drop_passed()

    def _drop_passed(self) -> None:
        passed = 0
        while passed + 1 < len(self._entries) and self._entries[passed + 1].play_s <= self._played_s:
            passed += 1
        del self._entries[:passed]

    def _mix(self) -> Mix:
        a = self._entries[0]
        b = self._entries[1] if len(self._entries) > 1 else a
        u = 0.0
        if b is not a and b.epoch == a.epoch:
            u = min(max((self._played_s - a.play_s) / (b.play_s - a.play_s), 0.0), 1.0)
        elif b is not a:
            b = a  # the jump comes at the new epoch's first keyframe; till then the old one stays
        jumped = self._epoch is not None and a.epoch != self._epoch
        self._epoch = a.epoch
        return Mix(a.slot, b.slot, u, a.epoch, jumped, self._played_s, self._rate)
