"""The newest memories in a list: their words, their pictures, told only when they are others."""

from dataclasses import replace
from pathlib import Path

from engine.walk.memory.bank import Bank
from engine.walk.memory.listing import MOST, PICTURE_PX, Listing
from engine.walk.memory.look import opened, thumbnail
from tests.walk.memory.places import MODEL, new, picture


def test_the_newest_come_first_with_the_words_that_are_heard_most(tmp_path: Path) -> None:
    bank, listing = Bank(tmp_path / "m.db", 24.0), Listing()
    assert listing.look(bank, MODEL) is None, "an empty bank has nothing to tell"
    bank.keep_all(replace(new(n), thumbnail=thumbnail(picture(n)), created=float(n)) for n in range(MOST + 3))
    listed = listing.look(bank, MODEL)
    assert listed is not None and [m.number for m in listed.memories] == list(range(MOST + 3, 3, -1))
    first = listed.memories[0]
    assert first.created == MOST + 2
    assert first.words == max(new(MOST + 2).said.items(), key=lambda item: item[1])[0]
    assert opened(first.jpeg).shape[1] <= PICTURE_PX
    assert listing.look(bank, MODEL) is None and Listing().look(bank, "another model") is None
    bank.keep(replace(new(99), thumbnail=b"no picture"))
    again = listing.look(bank, MODEL)
    assert again is not None and again.memories[0].jpeg == b"" and again.memories[1] is first
    bank.close()
