"""Words with weights, as other programs have them: `(golden:1.3)`, `(golden)`, `[golden]`.

Usage: `text, weights = read("a (golden:1.3) cloud")` -> "a golden cloud", one weight a letter. Torch-free.

(x:1.3) gives x that weight, (x) a weight of 1.1 and [x] of 1/1.1; they may stand in one another, and multiply. \\( is a
bracket that means nothing. A bracket without its other half is left as it is.
"""

import re
from collections.abc import Sequence

STEP = 1.1  # of one pair of brackets
MOST = 3.0  # from about 2 on, words fall apart
_TOKEN = re.compile(r"\\[\\()\[\]]|[()\[\]]|:\s*(?P<weight>[+-]?(\d+\.?\d*|\.\d+))\s*(?=\))")


def read(text: str) -> tuple[str, list[float]]:
    """The text without its marks, and the weight of each of its letters; all 1 where nothing is marked."""
    out: list[str] = []
    weights: list[float] = []
    opened: list[tuple[str, int]] = []  # the bracket, and where it stands in `out`
    marks: list[tuple[int, int, float]] = []  # from, to, factor, in `out`
    at, given = 0, None
    for found in _TOKEN.finditer(text):
        out += text[at : found.start()]
        at, said = found.end(), found[0]
        if said.startswith("\\"):
            out.append(said[1])
        elif said in "([":
            opened.append((said, len(out)))
            out.append(said)  # taken out again when its other half comes
        elif said.startswith(":"):
            if any(bracket == "(" for bracket, _ in opened):
                given = max(-MOST, min(float(found["weight"]), MOST))
            else:
                out += said
        elif (half := {")": "(", "]": "["}[said]) in (bracket for bracket, _ in opened):
            while (last := opened.pop())[0] != half:
                pass  # one without its other half, which stays a bracket
            begin = last[1]
            del out[begin]
            marks = [(a - (a > begin), b - (b > begin), f) for a, b, f in marks]
            plain = STEP if said == ")" else 1 / STEP
            marks.append((begin, len(out), plain if given is None else given))
            given = None
        else:
            out.append(said)
    out += text[at:]
    weights = [1.0] * len(out)
    for begin, end, factor in marks:
        weights[begin:end] = [w * factor for w in weights[begin:end]]
    return "".join(out), weights


def runs(weights: Sequence[float]) -> list[tuple[int, int, float]]:
    """Stretches of letters with a weight other than 1: from, to, weight."""
    found: list[tuple[int, int, float]] = []
    for at, weight in enumerate(weights):
        if weight == 1.0:
            continue
        if found and found[-1][1] == at and found[-1][2] == weight:
            found[-1] = (found[-1][0], at + 1, weight)
        else:
            found.append((at, at + 1, weight))
    return found
