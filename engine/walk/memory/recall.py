"""What somebody means who asks for a memory: a number, words, a time, likeness to what is shown, or any.

    asked = understood("yesterday at this hour", now)      # Asked(when=...)
    fitting(prompts, "whales in the sky")                  # {prompt: how well it fits}

Plain functions, any thread. Times are the machine's own, as people mean them.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
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
_SMALL_WORDS = """a an the of in on at and or with without to its it is are as by for from into inside over under
between through half full very still"""
_SMALL = frozenset(_SMALL_WORDS.split())
_PAIR = 0.5  # how much more two words tell than one
_LONGEST = 24  # characters of a name
_LEAST = 3  # letters from which a word's beginning does for the word: whale, whales
_ENDING = 2  # letters


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


def told_time(created: float) -> str:
    """A moment as people write it; clocks have been wrong by thousands of years."""
    try:
        return f"{datetime.fromtimestamp(created):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return "at an unknown time"


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
    return long.startswith(short) and len(long) - len(short) <= _ENDING


def variants(word: str) -> tuple[list[str], str, int]:
    """What to look up so that every word is found that fits this one: these; and those between it and the second, if
    they are no longer than the third."""
    if len(word) < _LEAST:
        return [word], word, 0
    return (
        [word[:n] for n in range(max(_LEAST, len(word) - _ENDING), len(word) + 1)],
        word + "\U0010ffff",
        len(word) + 2,
    )


def named(words: Mapping[int, Mapping[str, float]]) -> dict[int, str]:
    """A name for each kind, from how much each prompt is heard in it: what it says and the others do not.

    Chosen by its part of the Kullback-Leibler divergence of the kind from the whole bank. No name is given twice while
    there is another.
    """
    shares = {kind: _phrases(said) for kind, said in words.items()}
    whole: dict[str, float] = {}
    for said in shares.values():
        for phrase, share in said.items():
            whole[phrase] = whole.get(phrase, 0.0) + share / len(shares)
    names: dict[int, str] = {}
    for kind, said in sorted(shares.items()):
        worth = {
            phrase: (1.0 + _PAIR * (" " in phrase)) * share * math.log(1e-3 + share / whole[phrase])
            for phrase, share in said.items()
        }
        best = sorted(said, key=lambda phrase: (phrase in names.values(), -worth[phrase], phrase))
        names[kind] = best[0] if best else ""
    return names


def _phrases(said: Mapping[str, float]) -> dict[str, float]:
    """How much of what is said has each phrase: the last two words, or the only one, of every run of words that say
    something. In English that is what a thing is called."""
    total = sum(said.values()) or 1.0
    shares: dict[str, float] = {}
    for text, share in said.items():
        runs: list[list[str]] = [[]]
        for word in re.findall(r"\w+|[^\w\s]", text.lower()):
            if word in _SMALL or not word[0].isalnum():
                runs.append([])
            else:
                runs[-1].append(word)
        for phrase in dict.fromkeys(" ".join(run[-2:])[:_LONGEST] for run in runs if run):
            shares[phrase] = shares.get(phrase, 0.0) + share / total
    return shares
