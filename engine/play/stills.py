"""Stills: what is on stage as a PNG, with the waypoints that dream it again beside it.

Usage: `stills.take(framebuffer, blend.showing, show)`. Reads on the GL thread, writes in a thread of its own.
"""

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import moderngl
import numpy as np
from numpy.typing import NDArray

from engine.show.config import Show
from engine.stage.gl import read_pixels

log = logging.getLogger("pedesis")


class Stills:
    """Writes stills into a folder, one thread for all of them so that the stage does not wait."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="stills")
        self._waiting = 0

    def take(self, framebuffer: Any, showing: tuple[Any, Any, float] | None, show: Show) -> None:
        """Takes what is in the framebuffer; when eight are waiting for the disk, says so and takes none.

        showing: the two waypoints that the picture lies between and how far, as Blend.showing has them.
        """
        if self._waiting >= 8:
            log.warning("still not taken: eight are waiting for the disk")
            return
        self._waiting += 1
        pixels = read_pixels(framebuffer)
        sidecar: dict[str, Any] = {"show": show.name, "model": vars(show.model)}
        sidecar["prompts"] = [m.prompt for m in show.materials]
        if showing is not None:
            start, end, mix = showing
            sidecar |= {"waypoint": start.to_dict(), "next": end.to_dict(), "mix": mix}
        self._writer.submit(self._write, pixels, sidecar)

    def _write(self, pixels: NDArray[np.uint8], sidecar: dict[str, Any]) -> None:
        from PIL import Image  # only here: it costs a tenth of a second of the first picture's budget

        path = self.folder / f"still-{datetime.now():%Y%m%d-%H%M%S-%f}.png"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
            path.with_suffix(".json").write_text(json.dumps(sidecar, indent=2) + "\n")
            log.info("still: %s", path)
        except OSError as error:
            log.warning("still not written: %s", error)
            with suppress(OSError):  # half a picture, on a full disk
                path.unlink()
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Waits for the stills still being written."""
        self._writer.shutdown(wait=True)


class StillOutput:
    """The next frame's program as a still, whenever one is asked for (an output, see stage/program.py)."""

    own_size = False

    def __init__(
        self, stills: Stills, showing: Callable[[], tuple[Any, Any, float] | None], show: Show
    ) -> None:
        """showing: what the picture lies between, as Blend.showing has it."""
        self._stills, self._showing, self._show = stills, showing, show
        self._asked = False

    def ask(self) -> None:
        """Takes one of the next frame: what was shown is no longer there to read."""
        self._asked = True

    def push(self, framebuffer: moderngl.Framebuffer, now_s: float) -> None:
        """Takes the program, if one was asked for."""
        if self._asked:
            self._asked = False
            self._stills.take(framebuffer, self._showing(), self._show)

    def close(self) -> None:
        """Waits for the stills still being written."""
        self._stills.close()
