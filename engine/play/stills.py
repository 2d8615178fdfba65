"""Stills: what is on stage as a PNG, with the waypoints that dream it again beside it.

Usage: `stills.take(framebuffer, blend.showing, show)`. Reads on the GL thread, writes in a thread of its own.
"""

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import moderngl
import numpy as np
from numpy.typing import NDArray

from engine.show.config import Show
from engine.show.files import ENDING_S, make_folder, readable_json
from engine.stage.gl import read_pixels
from engine.walk.palette import Palette

log = logging.getLogger("pedesis")

MOST_WAITING = 8
PalettesOf = Callable[..., Mapping[str, Palette]]


class Stills:
    """Writes stills into a folder, one thread for all of them so that the stage does not wait.

    A daemon thread: Python waits at its end for those of an executor, however long a dead disk holds one up.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._slots = threading.BoundedSemaphore(MOST_WAITING)
        self._waiting: queue.SimpleQueue[tuple[NDArray[np.uint8], dict[str, Any]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def take(
        self,
        framebuffer: Any,
        showing: tuple[Any, Any, float] | None,
        show: Show,
        palettes: Mapping[str, Palette] = MappingProxyType({}),
    ) -> None:
        """Takes what is in the framebuffer; when eight are waiting for the disk, says so and takes none.

        showing: the two waypoints that the picture lies between and how far, as Blend.showing has them.
        palettes: the words that those name, by the palettes' ids.
        """
        if not self._slots.acquire(blocking=False):
            log.warning("still not taken: %d are waiting for the disk", MOST_WAITING)
            return
        try:
            pixels = read_pixels(framebuffer)
            sidecar: dict[str, Any] = {"show": show.name, "model": vars(show.model)}
            if showing is not None:
                start, end, mix = showing
                sidecar |= {"waypoint": start.to_dict(), "next": end.to_dict(), "mix": mix}
                sidecar["palettes"] = {id: list(p.prompts) for id, p in palettes.items()}
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="stills", daemon=True)
                self._thread.start()
        except BaseException:
            self._slots.release()
            raise
        self._waiting.put((pixels, sidecar))

    def _run(self) -> None:
        while (still := self._waiting.get()) is not None:
            try:
                self._write(*still)
            finally:
                self._slots.release()

    def _write(self, pixels: NDArray[np.uint8], sidecar: dict[str, Any]) -> None:
        path = self.folder / f"still-{datetime.now():%Y%m%d-%H%M%S-%f}.png"
        try:
            from PIL import Image  # only here: it costs a tenth of a second of the first picture's budget

            make_folder(self.folder)
            Image.fromarray(pixels).save(path)
            path.with_suffix(".json").write_text(readable_json(sidecar), encoding="utf-8")
            log.info("still: %s", path)
        except Exception as fault:  # an encoder raises what it likes, and the next still may well succeed
            log.warning("still not written: %s", fault)
            for half in (path, path.with_suffix(".json")):  # on a full disk
                with suppress(OSError):
                    half.unlink()

    def close(self) -> None:
        """Waits for the stills still being written, but no longer than a show may take to end."""
        if self._thread is None:
            return
        self._waiting.put(None)
        self._thread.join(ENDING_S)
        if self._thread.is_alive():
            log.warning("the last stills were not written: the disk takes longer than %g s", ENDING_S)
        self._thread = None


class StillOutput:
    """The next frame's program as a still, whenever one is asked for (an output, see stage/program.py)."""

    own_size = False

    def __init__(
        self, stills: Stills, showing: Callable[[], tuple[Any, Any, float] | None], show: Show, palettes_of: PalettesOf
    ) -> None:
        """showing: what the picture lies between, as Blend.showing has it; palettes_of: see Words."""
        self._stills, self._showing, self._show, self._palettes_of = stills, showing, show, palettes_of
        self._asked = False

    def ask(self) -> None:
        """Takes one of the next frame: what was shown is no longer there to read."""
        self._asked = True

    def push(self, framebuffer: moderngl.Framebuffer, now_s: float) -> None:
        """Takes the program, if one was asked for."""
        if self._asked:
            self._asked = False
            showing = self._showing()
            palettes = self._palettes_of(*showing[:2]) if showing else {}
            self._stills.take(framebuffer, showing, self._show, palettes)

    def close(self) -> None:
        """Waits for the stills still being written."""
        self._stills.close()
