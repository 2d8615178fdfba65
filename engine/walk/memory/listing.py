"""The newest memories as a person picks one: what is said in each, when it was kept, and a picture of it.

    listing = Listing()
    if (listed := listing.look(bank, model)) is not None: ...      # Listed, when others than last time are the newest

The thread that has the bank.
"""

from contextlib import suppress

from engine.walk.memory.bank import Bank
from engine.walk.memory.look import opened, thumbnail
from engine.walk.memory.questions import Listed, Short

MOST = 24
PICTURE_PX = 96  # width: two of them side by side tell memories apart, and all together stay small


class Listing:
    """See the module's head."""

    def __init__(self) -> None:
        self._known: dict[int, Short] = {}

    def look(self, bank: Bank, model: str) -> Listed | None:
        """The newest memories, the newest first; None while they are those that were told last."""
        rows = bank.newest(MOST, model)
        if [number for number, _, _ in rows] == list(self._known):
            return None
        self._known = {
            number: self._known.get(number) or Short(number, words, created, _small(bank, number))
            for number, created, words in rows
        }
        return Listed(tuple(self._known.values()))


def _small(bank: Bank, number: int) -> bytes:
    """A JPEG; nothing where there is no sound one."""
    with suppress(OSError):
        if jpeg := bank.thumbnail(number):
            return thumbnail(opened(jpeg), PICTURE_PX)
    return b""
