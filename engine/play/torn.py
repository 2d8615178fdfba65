"""The torn text of a show: opened before the show begins, and checked as everything in a show is.

    torn = torn_text(show)      # None where the show names none; PulpError in one sentence

Waits for the disk, and is not called from the thread that draws.
"""

import logging
from pathlib import Path

from engine.dreamer.models import ModelError
from engine.dreamer.reader import find_reader
from engine.show.config import Show
from engine.walk.pulp.fragments import Fragments, PulpError

log = logging.getLogger("pedesis")


def torn_text(show: Show) -> Fragments | None:
    """What `pulp.source` names. Raises PulpError."""
    source = str(show.values["pulp.source"]).strip()
    if not source:
        return None
    try:
        torn = Fragments(Path(source))
    except PulpError as error:
        raise PulpError(f"{show.path}: pulp.source: {error}") from error
    if not torn.count:
        raise PulpError(f"{show.path}: pulp.source: the torn text {source} has no fragments; tear another text")
    log.info("torn text: %s, %d fragments of %d kinds", torn.path.name, torn.count, len(torn.kinds))
    if not _is_read_by(torn.model, show.model.name):
        log.info("%s was sorted into kinds by the model %s; its words are dreamt by %s all the same",
                 torn.path.name, torn.model.rpartition(" ")[0] or torn.model, show.model.name)  # fmt: skip
    return torn


def _is_read_by(mark: str, model: str) -> bool:
    """Whether that mark is of the model's own text encoder; True where nobody knows."""
    try:
        return mark.rpartition(" ")[2] == find_reader(model).mark.rpartition(" ")[2]
    except (ModelError, OSError):  # what is wrong with the model is told by whoever loads it
        return True
