"""Presets that are stored while a show plays, kept on the disk from the moment they are stored.

    stored = StoredPresets(show)
    conductor.steer(PRESETS_KNOWN, stored.load())    # once, before the show begins
    stored.keep(conductor.automation.presets)        # every frame: costs a comparison while nothing changed
    stored.close()

The thread that runs the show's loop; the disk is waited for in a thread of its own. A file is written whole or not at
all. Nothing here raises: what cannot be kept is said once, and the show goes on.
"""

import logging
import threading
from pathlib import Path
from typing import Any

from engine.control.presets import Presets
from engine.control.stored import NAME, read_stored
from engine.show.config import Show
from engine.show.files import readable_json, write_whole
from engine.show.paths import show_state_dir

log = logging.getLogger("pedesis")


class StoredPresets:
    """The file of one show's stored presets."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._version = 0
        self._newest: dict[str, Any] | None = None
        self._lock = threading.Lock()
        self._writer = threading.Thread()
        self._said = ""

    @property
    def path(self) -> Path:
        """Raises OSError."""
        return show_state_dir(self._show.path) / NAME

    def load(self) -> dict[str, Any]:
        """What was stored before, in plain form; what is damaged is set aside."""
        try:
            return read_stored(self.path.parent)
        except OSError as error:
            self._say(error)
            return {}

    def keep(self, presets: Presets) -> None:
        """Begins to write them if anything was stored or deleted; while that goes on, the newest state waits."""
        if presets.version == self._version:
            return
        self._version = presets.version
        with self._lock:
            self._newest = presets.stored
            if self._writer.is_alive():
                return
            self._writer = threading.Thread(target=self._write, name="presets", daemon=True)
        try:
            self._writer.start()
        except RuntimeError as error:
            self._say(error)

    def close(self, timeout_s: float = 1.0) -> None:
        """Waits for what is being written, and no longer than a show that was asked to end may take."""
        writer = self._writer
        if writer.is_alive():
            writer.join(timeout_s)

    def _write(self) -> None:
        while True:
            with self._lock:
                newest, self._newest = self._newest, None
                if newest is None:
                    self._writer = threading.Thread()  # whoever comes now begins another
                    return
            try:
                path = self.path
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, readable_json(newest))
                self._said = ""
            except OSError as error:
                self._say(error)

    def _say(self, error: Exception) -> None:
        words = f"stored presets are not kept: {getattr(error, 'strerror', None) or error}"
        if words != self._said:
            self._said = words
            log.warning("%s", words)
