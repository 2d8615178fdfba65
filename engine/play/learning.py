"""Learning on stage: a key begins it, a control is moved, Enter binds it; the help overlay shows the way.

    learning = Learning(show, inputs, folder)
    learning.key("down")                 # True where the key was for it
    learning.lines(conductor)            # in place of the help
    learning.close()

The show's thread. What moves goes on doing what it did meanwhile.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap

from engine.control.learn import Learner
from engine.control.learn_file import LearnFile, obey
from engine.play.inputs import Inputs
from engine.show.config import Show
from engine.show.params import Value

LINE = 76  # characters; the overlay's text shrinks until its longest line fits

STILL_S = 0.8


class Learning:
    """See the module's head. There is one from the key that begins it to the key that ends it."""

    def __init__(self, show: Show, inputs: Inputs, folder: Path, shown: bool = True) -> None:
        """folder: where a show that comes with Pedesis is copied to, before anything is written into it.
        shown: whether the stage shows it; a panel shows it itself."""
        self.shown = shown
        self._inputs = inputs
        self._learner = Learner(show.registry, inputs.mapper.table)
        self._file = LearnFile(show.path, folder)
        inputs.mapper.tap = self._learner.hear

    def key(self, key: str) -> bool:
        """What a key does; False for one that does nothing here."""
        before = self._learner.table
        if not obey(self._learner, self._file, key):
            return False
        if self._learner.table is not before:  # or a file that was saved meanwhile would be undone
            self._inputs.mapper.use(self._learner.table)
        return True

    @property
    def name(self) -> str:
        """The parameter that is chosen."""
        return self._learner.param.name

    def choose(self, name: str) -> None:
        """Chooses a parameter by its name. Raises ValueError for one that cannot be learnt."""
        self._learner.choose(name)

    def clear(self) -> None:
        """Nothing moves the chosen parameter any longer."""
        self.key("x")

    def bind_when_still(self) -> None:
        """Binds the control that was moved, once a hand has let go of it; for who has no Enter key."""
        moving = self._learner.moving
        if moving is not None and time.perf_counter() - moving.last_s > STILL_S:
            self.key("enter")

    def lines(self, values: Mapping[str, Value]) -> list[str]:
        """The parameter that is chosen, the control that moves, what is bound, and the keys."""
        said = wrap(self._file.said, LINE)
        return [*self._learner.lines(values[self._learner.param.name]), *said]

    def close(self) -> None:
        """Hears nothing more, and waits for what is being written."""
        self._inputs.mapper.tap = None
        self._file.close()
