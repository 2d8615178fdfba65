"""The file in which the presets of a show are kept that were stored while it played.

    read_stored(show_state_dir(show.path))       # plain data; {} where there is none

Any process. Writing it is play/stored.py's.
"""

import json
import logging
from pathlib import Path
from typing import Any

from engine.show.files import read_text_bounded, set_aside

log = logging.getLogger("pedesis")

NAME = "presets.json"
MAX_BYTES = 8_000_000


def read_stored(folder: Path) -> dict[str, Any]:
    """What is kept there. A file that is damaged is set aside, and that is said. Never raises."""
    path = folder / NAME
    try:
        data = json.loads(read_text_bounded(path, MAX_BYTES))
        if not isinstance(data, dict):
            raise ValueError("these are no presets")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        damaged = not isinstance(error, TimeoutError)
        kept = set_aside(path) if damaged else None
        where = f"; set aside as {kept.name}" if kept else ""
        log.warning(
            "the stored presets in %s cannot be read (%s)%s", path, getattr(error, "strerror", 0) or error, where
        )
        return {}
    return data
