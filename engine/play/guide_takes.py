"""Pictures that steered a performance, kept beside its take where nothing else has them; and found again for a film.

    keeper = PictureKeeper(lambda: take_path)       # evening.take has its pictures in the folder evening.guides
    keeper.keep(hash, pixels, file); keeper.close(timeout_s)

    guides = TakeGuides(show, take)                 # a film's (see guides.py)

A camera's pictures are kept only here, and only while a take is written: small ones, as they steered. The keeper
belongs to the show's thread and never waits: a thread of its own writes.
"""

import io
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.control.take import Take
from engine.play.conductor import GUIDE, VISIT
from engine.play.guide_fit import Fit, GuideError, Picture, fitted, open_picture
from engine.play.guide_reel import Seen
from engine.play.guides import KEPT_IN_FILM, FilmGuides, Reading, put
from engine.play.provenance import digest_of
from engine.show.config import Show
from engine.show.files import draft_of, read_bounded
from engine.walk.guide import NOTHING, guide_hash, is_picture
from engine.walk.guide_params import GuideSource

log = logging.getLogger("pedesis")

SUFFIX = ".guides"
MOST_BYTES = 1 << 30  # of one take: hours of a camera
MOST_WAITING = 64  # pictures waiting for the disk
_MOST_OF_ONE = 64_000_000
_ENDINGS = (".jpg", ".png")


def folder_of(take: Path) -> Path:
    """Where a take's pictures are."""
    return take.with_name(take.name.removesuffix(".take") + SUFFIX)


def named_in(name: str, value: Any) -> Iterator[str]:
    """Hashes of the pictures that an event of a take names."""
    if name == GUIDE and value["picture"] != NOTHING:
        yield value["picture"]
    elif name == VISIT:
        for hash, _ in (value["place"].get("guide") or {}).get("seen", ()):
            yield hash


def check_guide_event(value: Any) -> None:
    """Raises TypeError, KeyError or ValueError for what GUIDE cannot carry."""
    if value["picture"] == NOTHING:
        return
    if not is_picture(value["picture"]) or not isinstance(value["of"], str) or not isinstance(value["at"], str):
        raise ValueError("it names no picture")
    width, height = value["size"]
    if not all(isinstance(side, int) and 0 < side <= 1 << 15 for side in (width, height)):
        raise ValueError(f"no picture has the size {width}x{height}")
    if value["fit"] not in ("cover", "contain") or not isinstance(value["mirror"], bool):
        raise ValueError("fit must be cover or contain, and mirror true or false")


class PictureKeeper:
    """See the module's head."""

    def __init__(self, take: Callable[[], Path | None], most_bytes: int = MOST_BYTES) -> None:
        """take: waits for the take's path, in the thread; None where there is none."""
        self._take, self._room = take, most_bytes
        self._waiting: deque[tuple[str, Picture, bytes | None]] = deque()
        self._kept: set[str] = set()
        self._over = ""  # why no more are kept
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def keep(self, hash: str, pixels: Picture, file: bytes | None) -> None:
        """Has a picture written, once. file: as it is to be written; None: losslessly."""
        if hash in self._kept or self._over or self._closing:
            return
        if len(self._waiting) >= MOST_WAITING:
            return self._end("the disk did not keep up")
        self._kept.add(hash)
        self._waiting.append((hash, pixels, file))
        self._wake.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="take pictures", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as fault:  # no more threads to be had
                self._end(str(fault))

    def close(self, timeout_s: float) -> None:
        """Writes what is waiting, and waits no longer than this for the disk."""
        self._closing = True
        self._wake.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            take = self._take()
            if take is None:  # which was told
                self._over = "there is no take"
                return
            folder = folder_of(take)
            folder.mkdir(exist_ok=True)
            log.info("the pictures that steer are kept with the take, in %s", folder)
            while not self._over:
                self._wake.clear()
                is_last = self._closing
                while self._waiting:
                    self._write(folder, *self._waiting.popleft())
                if is_last:
                    return
                self._wake.wait()
        except (OSError, ValueError) as fault:
            self._end(str(getattr(fault, "strerror", None) or fault))

    def _write(self, folder: Path, hash: str, pixels: Picture, file: bytes | None) -> None:
        """Whole or not at all. Raises OSError."""
        if self._over:
            return
        data = file if file is not None else _png(pixels)
        self._room -= len(data)
        if self._room < 0:
            return self._end("they would be more than a take may have")
        path = folder / (hash + _ENDINGS[file is None])
        draft = draft_of(path)
        try:
            draft.write_bytes(data)
            os.replace(draft, path)
        except OSError:
            with suppress(OSError):
                draft.unlink()
            raise

    def _end(self, why: str) -> None:
        if not self._over:
            self._over = why
            log.warning("no more of the pictures that steer are kept with the take: %s; a film of it goes on without "
                        "them from here on", why)  # fmt: skip


class TakeGuides(FilmGuides):
    """A film of a take is steered by the pictures that steered the performance."""

    def __init__(self, show: Show, take: Take) -> None:
        super().__init__(show)
        self._folder = folder_of(take.path)
        named = {hash: None for event in take.events for hash in named_in(event.name, event.value)}
        self._about.update({e.value["picture"]: e.value for e in take.events if e.name == GUIDE and e.value["picture"]})
        self._files = self._list()
        self._different: set[str] = set()
        lost = [hash for hash in named if hash not in self._files and (self.is_live(hash) or hash not in self._about)]
        if lost:
            log.warning("%d of the %d pictures that steered this take are not in %s; the walk goes on without them",
                        len(lost), len(named), self._folder)  # fmt: skip

    def pixels(self, hash: str) -> Picture | None:
        """As it steered, or in another size where the model's is another. Waits for the disk."""
        if (kept := self._kept.get(hash)) is not None:
            return kept.pixels
        fit = Fit(*self._size)
        if hash in self._files:
            found = self._read(self._files[hash], fit)
            if found is not None:
                put(self._kept, hash, Seen(hash, found, fit), KEPT_IN_FILM)
            return found
        found = super().pixels(hash)
        about = self._about.get(hash, {})
        if found is not None and about.get("size") == list(self._size) and guide_hash(found) != hash:
            self._say_different(f"{about['of']} {about['at']}".strip())
        return found

    def _opened(self, source: GuideSource) -> Reading | None:
        return None if source.is_live else super()._opened(source)  # what is lost of those was said at once

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What the film's bytes depend on, beside the show and the take."""
        kept = {"the take's pictures": digest_of(self._files.values())} if self._files else {}
        return {**super().provenance, **kept}

    def _list(self) -> dict[str, Path]:
        try:
            found = [path for path in self._folder.iterdir() if path.suffix in _ENDINGS and is_picture(path.stem)]
        except OSError:
            return {}
        return {path.stem: path for path in found}

    def _read(self, path: Path, fit: Fit) -> Picture | None:
        try:
            found = fitted(open_picture(read_bounded(path, _MOST_OF_ONE)), fit)
        except (GuideError, OSError) as fault:
            log.warning("%s, which steered this take: %s; the walk goes on without it", path, fault)
            del self._files[path.stem]
            return None
        return found

    def _say_different(self, what: str) -> None:
        if what not in self._different:
            self._different.add(what)
            log.warning("the guide %s is no longer the picture that steered this take; it steers as it is now", what)


def _png(pixels: Picture) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
