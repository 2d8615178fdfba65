"""Another show, loaded while one plays: by its name, from those that come with Pedesis or lie in the shows' folders.

    loading = Loading("stage", [Path("/home/ann/shows")])
    if loading.is_done: loading.prepared or loading.problems

A thread of its own, for disks sleep. The name never is a path: it is looked up among the shows that there are.
"""

import threading
from collections.abc import Sequence
from pathlib import Path

from engine.dreamer import addition_files
from engine.play.performance import Prepared
from engine.play.shows import load_show
from engine.show.config import ShowError
from engine.show.errors import CannotStart
from engine.show.params import did_you_mean, nearest_word, shown
from engine.show.paths import configs_dir


def shows_in(folders: Sequence[Path]) -> dict[str, Path]:
    """The shows there are, by name; those in a folder before those that come with Pedesis. Raises OSError."""
    found: dict[str, Path] = {}
    for folder in [*folders, configs_dir()]:
        for path in sorted(folder.glob("*.toml")):
            found.setdefault(path.stem, path)
    return found


class Loading:
    """A show on its way: read, checked, its model found, and its walk where it was left."""

    def __init__(self, name: str, folders: Sequence[Path]) -> None:
        self.name = name
        self.prepared: Prepared | None = None
        self.problems: list[str] = []  # why there is no show, a line each
        self._folders = list(folders)
        self._thread = threading.Thread(target=self._run, name="show", daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            show = load_show(self._find())
            addition_files.find_model(show)
            prepared = Prepared.of(show)
            prepared.recall()
            self.prepared = prepared
        except ShowError as error:
            self.problems = error.problems
        except (CannotStart, OSError) as error:
            self.problems = [str(error)]
        except Exception as error:  # whatever it is, it must not cost the show that plays
            self.problems = [f"{shown(self.name)} cannot be loaded: {error!r}"]

    def _find(self) -> Path:
        """Raises ShowError, OSError."""
        name = self.name.strip().removesuffix(".toml")
        shows = shows_in(self._folders)
        if name not in shows:
            near = nearest_word(name, list(shows)) if name else None
            there = "" if near else f"; there are {', '.join(shows)}"
            raise ShowError([f"no show is named {shown(self.name)}{there}{did_you_mean(near)}"])
        return shows[name]
