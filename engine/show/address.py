"""OSC address patterns: `?`, `*`, `[a-z]`, `[!a-z]` and `{this,that}`, each within one part of an address.

    OscPattern("/material/*").matches("/material/clouds")    # True

    simplified("//Walk/Speed/")                            # "/walk/speed"

Anybody on the network may send a pattern, so no pattern may take long to match: it is walked once, with
the set of places in the address that it may have reached so far. No regular expressions, whose time can
grow exponentially with the number of stars. Any thread.
"""

from collections.abc import Sequence

MAX_LENGTH = 160
_SPECIAL = frozenset("?*[]{}")
_SPECIAL_BYTES = frozenset(b"?*[]{}")


def is_pattern(address: str | bytes) -> bool:
    """Whether an address has any pattern character."""
    special = _SPECIAL_BYTES if isinstance(address, bytes) else _SPECIAL
    return not special.isdisjoint(address)


def simplified(address: str) -> str:
    """An address or pattern without what people slip in: capitals, doubled slashes, one at the end, outer spaces."""
    return "/" + "/".join(part for part in address.strip().lower().split("/") if part)


class _Class:
    """`[abc]`, `[a-f]`, `[!abc]`."""

    def __init__(self, body: str) -> None:
        self.negated = body.startswith("!")
        body = body[1:] if self.negated else body
        self.ranges: list[tuple[str, str]] = []
        i = 0
        while i < len(body):
            if i + 2 < len(body) and body[i + 1] == "-":
                self.ranges.append((min(body[i], body[i + 2]), max(body[i], body[i + 2])))
                i += 3
            else:
                self.ranges.append((body[i], body[i]))
                i += 1

    def step(self, text: str, places: set[int]) -> set[int]:
        return {p + 1 for p in places if p < len(text) and text[p] != "/" and self._holds(text[p])}

    def _holds(self, char: str) -> bool:
        return any(low <= char <= high for low, high in self.ranges) != self.negated


class _Choice:
    """`{this,that}`, or a plain run of characters, which is a choice of one."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)

    def step(self, text: str, places: set[int]) -> set[int]:
        return {p + len(w) for p in places for w in self.words if text.startswith(w, p)}


class _Any:
    """`?`."""

    def step(self, text: str, places: set[int]) -> set[int]:
        return {p + 1 for p in places if p < len(text) and text[p] != "/"}


class _Run:
    """`*`."""

    def step(self, text: str, places: set[int]) -> set[int]:
        reached: set[int] = set()
        for place in sorted(places):
            if place in reached:
                continue
            end = text.find("/", place)
            reached.update(range(place, (len(text) if end < 0 else end) + 1))
        return reached


_Token = _Class | _Choice | _Any | _Run


class OscPattern:
    """A parsed pattern. One that cannot be read (an open bracket, too long) matches nothing."""

    def __init__(self, pattern: str) -> None:
        self.tokens = _tokens(pattern) if len(pattern) <= MAX_LENGTH else None

    def matches(self, address: str) -> bool:
        """Whether the whole address fits."""
        if self.tokens is None:
            return False
        places = {0}
        for token in self.tokens:
            places = token.step(address, places)
            if not places:
                return False
        return len(address) in places


def _tokens(pattern: str) -> list[_Token] | None:
    tokens: list[_Token] = []
    i = 0
    while i < len(pattern):
        char = pattern[i]
        if char == "*":
            if not tokens or not isinstance(tokens[-1], _Run):
                tokens.append(_Run())
        elif char == "?":
            tokens.append(_Any())
        elif char in "[{":
            close = pattern.find("]" if char == "[" else "}", i)
            if close < 0:
                return None
            body = pattern[i + 1 : close]
            tokens.append(_Class(body) if char == "[" else _Choice(body.split(",")))
            i = close
        elif char in "]}":
            return None
        else:
            end = i
            while end < len(pattern) and pattern[end] not in _SPECIAL:
                end += 1
            tokens.append(_Choice([pattern[i:end]]))
            i = end - 1
        i += 1
    return tokens
