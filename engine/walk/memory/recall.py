"""What somebody means who asks for a memory: a number, words, a time, likeness to what is shown, or any.

    asked = understood("yesterday at this hour", now)      # Asked(when=...)
    fitting(prompts, "whales in the sky")                  # {prompt: how well it fits}

Plain functions, any thread. Times are the machine's own, as people mean them.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

_UNITS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "month": timedelta(days=30),
    "year": timedelta(days=365),
}
_COUNTS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "ten": 10, "twelve": 12}
_AGO = re.compile(r"(\d{1,4}|[a-z]+) (second|minute|hour|day|week|month|year)s? ago")
_NAMED = {
    "yesterday": timedelta(days=1),
    "yesterday at this hour": timedelta(days=1),
    "yesterday at this time": timedelta(days=1),
    "the day before yesterday": timedelta(days=2),
    "last week": timedelta(weeks=1),
    "last month": timedelta(days=30),
    "last year": timedelta(days=365),
}
_LIKE = ("like", "like this", "alike", "more like this", "similar")
_ANY = ("", "random", "any", "anything")
_FIRST, _LATEST = ("first", "oldest", "the first"), ("last", "latest", "newest", "the last")
_SMALL = {"a", "an", "the", "of", "in", "on", "at", "and", "with", "to", "its", "is", "by", "for", "from", "into"}
_LEAST = 3  # letters from which a word's beginning does for the word: whale, whales


@dataclass(frozen=True)
class Asked:
    """What is asked for: the first of these that is not None, or any."""

    number: int | None = None
    when: float | None = None  # seconds since 1970: the one nearest to it
    first: bool = False
    latest: bool = False
    like: bool = False  # what is shown now
    words: str | None = None


def understood(text: str, now: float) -> Asked:
    """What is meant. now: seconds since 1970. Whatever is nothing else is words."""
    said = " ".join(text.lower().split())
    if said in _ANY:
        return Asked()
    if re.fullmatch(r"#?\d{1,15}", said):
        return Asked(number=int(said.lstrip("#")))
    if said in _LIKE:
        return Asked(like=True)
    if said in _FIRST or said in _LATEST:
        return Asked(first=said in _FIRST, latest=said in _LATEST)
    when = _time(said, datetime.fromtimestamp(now))
    return Asked(words=text) if when is None else Asked(when=when)


def _time(said: str, now: datetime) -> float | None:
    try:
        if said in _NAMED:
            return (now - _NAMED[said]).timestamp()
        if ago := _AGO.fullmatch(said):
            count = int(ago[1]) if ago[1].isdigit() else _COUNTS.get(ago[1])
            return None if count is None else (now - count * _UNITS[ago[2]]).timestamp()
        if clock := re.fullmatch(r"(yesterday|today)? ?(?:at )?(\d{1,2}):(\d{2})", said):
            day = now - timedelta(days=clock[1] == "yesterday")
            return day.replace(hour=int(clock[2]), minute=int(clock[3]), second=0).timestamp()
        if re.match(r"\d{4}-\d{2}", said):
            return datetime.fromisoformat(said).timestamp()
    except (ValueError, OverflowError, OSError):  # a 25th hour, a year that no clock knows
        pass
    return None


def tokens(text: str) -> list[str]:
    """The words of a text that say something, without case and accents."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return [word for word in re.findall(r"\w+", plain) if word not in _SMALL]


def fitting(prompts: Iterable[str], text: str) -> dict[str, float]:
    """How well each prompt fits what is asked for, 0 (left out) to 1: the share of the words that it has.

    A word that few of the prompts have counts for more: "clouds" tells little where all are of clouds.
    """
    asked = list(dict.fromkeys(tokens(text)))
    had = {prompt: tokens(prompt) for prompt in prompts}
    worth = {word: 1 / (1 + sum(_has(words, word) for words in had.values())) for word in asked}
    total = sum(worth.values())
    scores = {prompt: sum(worth[word] for word in asked if _has(words, word)) for prompt, words in had.items()}
    return {prompt: score / total for prompt, score in scores.items() if score > 0.0}


def _has(words: list[str], word: str) -> bool:
    return any(w == word or (_fit(w, word) if len(word) >= _LEAST and len(w) >= _LEAST else False) for w in words)


def _fit(one: str, other: str) -> bool:
    """Whether they differ in their endings only."""
    short, long = sorted((one, other), key=len)
    return long.startswith(short) and len(long) - len(short) <= 2


def told(words: dict[str, float], others: Iterable[dict[str, float]]) -> str:
    """A name for a kind: the two words that its prompts say and other kinds' do not."""
    ours, all_else = _counted(words), [_counted(other) for other in others]
    best = sorted(ours, key=lambda w: (-ours[w] / (1 + sum(other.get(w, 0.0) for other in all_else)), w))
    return " ".join(best[:2])


def _counted(words: dict[str, float]) -> dict[str, float]:
    total = sum(words.values()) or 1.0
    counts: dict[str, float] = {}
    for text, share in words.items():
        for word in dict.fromkeys(tokens(text)):
            counts[word] = counts.get(word, 0.0) + share / total
    return counts
