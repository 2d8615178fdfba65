"""On which line of a TOML text something stands, so that a message can say it.

Usage: `line_of(text, "map", 2, "curve")`. Python's own reader keeps no lines. What is written in a way that nobody
writes by hand (a whole table on one line, a header inside a long text) may not be found: then there is no line to tell.
Any thread.
"""

import re

_HEADER = re.compile(r"\s*\[")


def line_of(text: str, table: str, number: int, key: str = "") -> int | None:
    """The line, from 1, of a key in the so-manieth [[table]], from 1; of its header where the key is not found or "".
    number 0: of [table]."""
    lines = text.splitlines()
    start = _start(lines, table, number)
    if start is None or not key:
        return start
    for n in range(start, len(lines)):
        if _HEADER.match(lines[n]):
            break
        if re.match(rf"""\s*["']?{re.escape(key)}["']?\s*[=.]""", lines[n]):
            return n + 1
    return start


def _start(lines: list[str], table: str, number: int) -> int | None:
    name = re.escape(table)
    header = re.compile(rf"\s*\[\[\s*{name}\s*\]\]" if number else rf"\s*\[\s*{name}\s*\]")
    seen = 0
    for n, line in enumerate(lines, 1):
        if header.match(line):
            seen += 1
            if seen >= number:
                return n
    return None
