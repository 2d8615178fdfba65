"""The sentences that Pedesis says to visitors, in their language: one TOML file each, in a folder named `docent`.

    language = Language.load("de", [show.path.parent])     # docent/de.toml beside the show, or the one we bring
    language.say("caption.between", a="a cloud", b="a torn page")
    language.keys("steps")                                 # names of the tables and sentences in [steps], in order

English (`configs/docent/en.toml`) says what sentences there are. What another language lacks is said in English, and
the log says so once. A `{name}` in a sentence stands for what is told; text between *asterisks* is emphasised by
whoever shows it. Loading waits for the disk; the rest is plain data, any thread.
"""

import logging
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.show.files import read_text_bounded
from engine.show.params import did_you_mean, nearest_word, shown
from engine.show.paths import configs_dir

log = logging.getLogger("pedesis")

FOLDER, ENGLISH = "docent", "en"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")  # never a path: the name may have come over the network
LONGEST = 4000  # characters of a sentence
MAX_FILE_BYTES = 500_000
TOLD = 8  # keys that a message names
_PLACE = re.compile(r"\{(\w+)\}")


class Language:
    """Sentences by their keys, such as "caption.between"."""

    def __init__(self, name: str, sentences: Mapping[str, str]) -> None:
        self.name = name
        self._sentences = dict(sentences)

    @staticmethod
    def load(name: str = ENGLISH, beside: Sequence[Path] = ()) -> "Language":
        """The language of that name; English in place of all that is missing or damaged, which is logged.

        beside: folders that may have a folder `docent` of their own, such as that of the show file. Never raises.
        """
        folders = [*(folder / FOLDER for folder in beside), configs_dir() / FOLDER]
        english = _read(configs_dir() / FOLDER / f"{ENGLISH}.toml") or {}
        if not NAME.fullmatch(name):
            log.warning("a language is named like %s, got %s; English is spoken", ENGLISH, shown(name))
            return Language(ENGLISH, english)
        file = next((f for folder in folders if (f := folder / f"{name}.toml").is_file()), None)
        if file is None:
            known = sorted({path.stem for folder in folders for path in folder.glob("*.toml")})
            said = f"{did_you_mean(nearest_word(name, known))} There are {', '.join(known)}." if known else ""
            log.warning("no language named %s%s English is spoken", shown(name), said or ";")
            return Language(ENGLISH, english)
        if file == configs_dir() / FOLDER / f"{ENGLISH}.toml":
            return Language(ENGLISH, english)
        own = _read(file)
        return Language(ENGLISH, english) if own is None else Language(name, _completed(file, own, english))

    def say(self, key: str, /, **told: object) -> str:
        """The sentence with what is told in its places. One that no file has is the key itself, so that it is seen."""
        sentence = self._sentences.get(key, key)
        return _PLACE.sub(lambda place: str(told.get(place[1], place[0])), sentence)

    def has(self, key: str) -> bool:
        """Whether there is such a sentence."""
        return key in self._sentences

    def keys(self, table: str) -> list[str]:
        """What stands in a table, in English's order: the keys of sentences and of tables within it."""
        start = f"{table}."
        return list(dict.fromkeys(k[len(start) :].partition(".")[0] for k in self._sentences if k.startswith(start)))


def _read(file: Path) -> dict[str, str] | None:
    """All sentences of a file by their keys, None if it cannot be read; what is wrong is logged."""
    try:
        data = tomllib.loads(read_text_bounded(file, MAX_FILE_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        why = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        log.warning("%s cannot be read (%s); English is spoken", file, why)
        return None
    sentences: dict[str, str] = {}
    _gather(file, data, "", sentences)
    return sentences


def _gather(file: Path, table: Mapping[str, Any], above: str, into: dict[str, str]) -> None:
    for key, value in table.items():
        name = f"{above}{key}"
        if isinstance(value, dict):
            _gather(file, value, f"{name}.", into)
        elif isinstance(value, str) and value.strip() and len(value) <= LONGEST:
            into[name] = value.strip()
        else:
            log.warning("%s: %s must be text of 1 to %d characters, got %s", file, name, LONGEST, shown(value))


def _completed(file: Path, own: Mapping[str, str], english: Mapping[str, str]) -> dict[str, str]:
    """Every sentence of English, in the file's own words where it has them."""
    missing = [key for key in english if key not in own]
    if missing:
        log.warning("%s lacks %s, said in English: %s", file, _counted(missing), _listed(missing))
    for key in own.keys() - english.keys():
        log.warning(
            "%s: %s is not a sentence that is said%s", file, key, did_you_mean(nearest_word(key, list(english)))
        )
    said = dict(english)
    for key in english.keys() & own.keys():
        known, strange = set(_PLACE.findall(english[key])), set(_PLACE.findall(own[key]))
        if strange <= known:
            said[key] = own[key]
        else:
            places = ", ".join(f"{{{place}}}" for place in sorted(known)) or "no places in braces"
            got = ", ".join(f"{{{place}}}" for place in sorted(strange - known))
            log.warning("%s: %s may have %s, got %s; it is said in English", file, key, places, got)
    return said


def _counted(keys: Sequence[str]) -> str:
    return "a sentence" if len(keys) == 1 else f"{len(keys)} sentences"


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(keys[:TOLD]) + (", and more" if len(keys) > TOLD else "")
