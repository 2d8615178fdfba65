"""What is known of scripts: which signs end a sentence or a clause, how wide signs are, and what is a word.

    columns("紙の雲"); words("Wolken aus Papier")

For every script that Unicode has, without a list of any language's words. Any process.
"""

import re
import sys
import unicodedata
from functools import lru_cache

# Unicode's Sentence_Terminal and Terminal_Punctuation (UAX #44), sorted by what they end.
ENDS = ".!?…。．！？｡؟۔।॥።፧፨။។៕༎‽⁇⁈⁉᠃᠉։⸮꘎꘏᙮﹒﹖﹗܀܁܂߹꓿꛳꛷꤯꧈꧉꩝꩞꩟꫰꫱꯫𑁇𑁈"
CLAUSES = ";:—–，、；：,،؛၊၊፣፤፥፦།༏༔·՝﹐﹑﹔﹕‥៖"
STRONG = ";:—–；：؛፤፥༏…"
PAIRS = (
    *("()", "[]", "{}", "«»", "“”", "‘’", "‹›", "「」", "『』"),
    *("（）", "［］", "｛｝", "〈〉", "《》", "【】", "〔〕", '""', "''"),
)
OPEN, CLOSE = "".join(pair[0] for pair in PAIRS) + "„‚", "".join(pair[1] for pair in PAIRS) + "“"  # „so“
_UNSPACED = (  # scripts written without spaces between words
    ("\u0e00", "\u0eff"),  # Thai, Lao
    ("\u0f00", "\u109f"),  # Tibetan, Burmese
    ("\u1780", "\u17ff"),  # Khmer
    ("\u2e80", "\u9fff"),  # Chinese, Japanese; Korean has spaces
    ("\uf900", "\ufaff"),
    ("\U00020000", "\U0003ffff"),
)
_HAN = "\u2e80-\u2fdf\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HIRAGANA, _KATAKANA = "\u3041-\u309f", "\u30a0-\u30ff\u31f0-\u31ff"
_SEA = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_PLAIN = re.compile(r"\w+(?:'\w+)*")
_JOINERS = "\u200c\u200d"


def columns(text: str) -> int:
    """How wide a text is, in columns of a typewriter: two for a Chinese sign, none for a mark on another."""
    if text.isascii():
        return len(text)
    wide = unicodedata.east_asian_width
    return sum(0 if is_mark(c) else 2 if wide(c) in "WF" else 1 for c in text)


def is_mark(char: str) -> bool:
    """Whether a sign stands on, under or around the one before it, and may not be torn off."""
    return char in _JOINERS or unicodedata.category(char).startswith("M")


def is_unspaced(char: str) -> bool:
    """Whether the sign is of a script that is written without spaces between words."""
    return any(low <= char <= high for low, high in _UNSPACED)


@lru_cache(maxsize=1)
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    # Python's \w lacks the vowel signs of India's scripts, which are marks.
    marks = [chr(n) for n in range(0x300, min(0x1F000, sys.maxunicode)) if unicodedata.category(chr(n))[0] == "M"]
    mark = re.escape("".join(marks)) + _JOINERS
    own = f"[{_HAN}]+|[{_KATAKANA}ー]+|[{_SEA}{mark}]+|[{_HIRAGANA}]+"
    run = rf"{own}|(?:(?![{_HAN}{_HIRAGANA}{_KATAKANA}{_SEA}])[\w{mark}])+(?:['’](?![{_HAN}])\w+)*"
    return re.compile(run), re.compile(rf".[{mark}]*", re.DOTALL)


def words(text: str) -> list[str]:
    """The words of a text, in small letters; of a script without spaces, all short pieces that may be words."""
    if text.isascii():  # most of all text, and ten times as quick
        return [word for word in _PLAIN.findall(text.lower()) if len(word) > 1 and not word.isdigit()]
    run, sign = _patterns()
    found: list[str] = []
    for word in run.findall(text.lower()):
        first = word[0]
        if not is_unspaced(first):
            if len(word) > 1 and not word.isdigit():
                found.append(word.replace("’", "'"))
        elif "\u3041" <= first <= "\u309f":
            continue  # hiragana alone is mostly grammar
        elif "\u30a0" <= first <= "\u30ff":
            found.append(word)
        else:
            signs = sign.findall(word)
            least, most = (2, 4) if first >= "\u2e80" else (3, 7)
            if len(signs) == 1 and first >= "\u2e80":
                found.append(word)
            for length in range(least, min(most, len(signs)) + 1):
                found += ["".join(signs[at : at + length]) for at in range(len(signs) - length + 1)]
    return found
