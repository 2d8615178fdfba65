"""Shows: one TOML file that says what is dreamt, how it moves and where it is seen.

    show = load_show("gallery", PARTS, sets=["walk.speed=0.3"], seed=11)      # or a path to a file of your own

Every mistake is found before anything starts and all of them are told at once (ShowError.problems), one a line:
file, key, what it must be, what it is, the nearest name. Read once, at the start, by any process.

A file's tables: `title`; the tables of things that rooms read, such as [[material]]; and tables of values, in which
every parameter stands under its name, `speed` of [walk] for walk.speed (see part.py and params.py). What each room
adds is handed in: play/shows.py names them all.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engine.show.errors import CannotStart
from engine.show.files import read_bounded
from engine.show.params import (
    TEXT_MAX,
    Param,
    ParamError,
    Registry,
    Value,
    did_you_mean,
    nearest_word,
    shown,
)
from engine.show.part import Part
from engine.show.paths import configs_dir
from engine.show.specs import FilmSpec, Material, ModelSpec, OscSpec, ProgramSpec, StageSpec

_MAX_FILE_BYTES = 1_000_000
_STEERS = ("model.control", "model.adapter", "model.adapter_encoder")
_FILES = ("model.name", "model.decoder", *_STEERS, "memory.file")  # may name a folder or a file
_BESIDE = ("pulp.source",)  # always names a file
_NONE_IF_EMPTY = ("model.decoder", "model.scheduler", *_STEERS)


@dataclass(frozen=True)
class Show:
    """A show, checked and complete."""

    name: str
    path: Path
    model: ModelSpec
    materials: tuple[Material, ...]
    values: dict[str, Value]  # where every parameter starts
    osc: OscSpec
    stage: StageSpec
    film: FilmSpec
    registry: Registry
    program: ProgramSpec
    things: Mapping[str, Any]  # what the tables of things say, as each room reads them
    title: str = ""
    insisted: frozenset[str] = frozenset()  # what the command line names, whatever is remembered
    text: str = ""  # of the file


class ShowError(CannotStart):
    """A show that cannot be played; `problems` has every reason, one a line."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


def list_shows() -> list[str]:
    """Names of the shows that come with Pedesis."""
    return sorted(p.stem for p in configs_dir().glob("*.toml"))


def load_show(
    source: str | Path,
    parts: Sequence[Part],
    sets: Sequence[str] = (),
    seed: int | None = None,
    text: str | None = None,
    tables: Mapping[str, Any] = MappingProxyType({}),
) -> Show:
    """The show of that name or in that file, with what each room adds. Raises ShowError.

    sets: `name=value` each, over what the file says. seed: over `walk.seed`, and last. text: what counts as the
    file's content, whatever is in it, or whether it is there at all. tables: in place of those of the file.
    """
    path = find_show(source)
    data = _read(path) if text is None else text.encode("utf-8", "surrogatepass")
    reader = _Reader(path, parts)
    reader.read({**_parse(path, data), **tables})
    reader.text = data.decode("utf-8-sig")
    for setting in sets:
        reader.override(setting)
    if seed is not None:
        reader.put("--seed", "walk.seed", seed)
    return reader.show()


def find_show(source: str | Path) -> Path:
    """Where a show is. A bare name is one that comes with Pedesis, else `name.toml` here.

    Raises ShowError.
    """
    text = str(source)
    named = isinstance(source, str) and Path(text).name == text and not text.endswith(".toml")
    if not named:
        return Path(os.path.expanduser(source))  # which leaves ~nobody as it is, where Path raises
    for path in (configs_dir() / f"{text}.toml", Path(f"{text}.toml")):
        if path.is_file():
            return path
    shows = list_shows()
    near = nearest_word(text, shows)
    hint = f"Did you mean {near!r}?" if near else f"There are {', '.join(shows)}, or give a file ending in .toml."
    raise ShowError([f"No show named {shown(text)}. {hint}"])


def _read(path: Path) -> bytes:
    try:
        return read_bounded(path, _MAX_FILE_BYTES)
    except FileNotFoundError:
        near = nearest_word(path.stem, list_shows())
        raise ShowError([f"{path}: file not found{did_you_mean(near and f'the show {near}')}"]) from None
    except OSError as error:
        why = error.strerror or str(error)
        raise ShowError([f"{path}: cannot be read: {why[:1].lower()}{why[1:]}"]) from None


def parse_show(path: Path) -> dict[str, Any]:
    """What a show file says, unchecked. Raises ShowError."""
    return _parse(path, _read(path))


def _parse(path: Path, data: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        why = f"line {line} is not UTF-8 text"
    except tomllib.TOMLDecodeError as error:
        why = f"{str(error)[0].lower()}{str(error)[1:]}"
    except (ValueError, RecursionError) as error:
        why = str(error)
    raise ShowError([f"{path}: not a show in TOML: {why}"])


class _Reader:
    """Gathers values and problems from a file, then from the command line, then makes the show."""

    def __init__(self, path: Path, parts: Sequence[Part]) -> None:
        self.path = path
        self.parts = parts
        self.problems: list[str] = []
        self.title = ""
        self.text = ""
        self.things: dict[str, Any] = {}
        self.registry = Registry([])
        self.values: dict[str, Value] = {}
        self.insisted: set[str] = set()

    def read(self, data: dict[str, Any]) -> None:
        """Takes everything from the file's tables: those of things first, as they make parameters, then values."""
        where = str(self.path)
        values: dict[str, object] = {}
        for name, read in [entry for part in self.parts for entry in part.tables.items()]:
            table = read(data.get(name), lambda *problem: self._problem(where, *problem))
            self.things[name] = table.things
            values |= table.values
        self.registry = Registry([param for part in self.parts for param in part.params(self.things)])
        for part in self.parts:
            if part.finish is not None:
                self.things |= part.finish(
                    self.things, self.registry, self.path.absolute(), lambda *problem: self._problem(where, *problem)
                )
        for name, value in values.items():
            self.put(where, name, value)
        for name, content in data.items():
            if name == "title":
                self._read_title(where, content)
            elif name in self.things:
                continue
            elif name not in self._tables():
                self._unknown(where, name)
            elif not isinstance(content, dict):
                self._problem(where, name, f"a table, with [{name}] on a line of its own", shown(content))
            else:
                for key, value in content.items():
                    self.put(where, f"{name}.{key}", value)

    def put(self, where: str, name: str, value: object) -> None:
        """One value, checked strictly."""
        param = self.registry.get(name)
        if param is None:
            self._unknown(where, name)
        elif param.fires:
            self.problems.append(f"{where}: {name} is {param.noun}: it is sent while the show runs and has no value")
        else:
            try:
                self._keep(where, param, param.coerce(value))
            except ParamError as error:
                self._problem(where, name, error.allowed, error.given, error.nearest)

    def override(self, setting: str) -> None:
        """One `name=value` from the command line."""
        name, equals, text = setting.partition("=")
        name = name.strip()
        param = self.registry.get(name)
        if not equals or not name:
            hint = f", got {shown(setting)}{did_you_mean(self._nearest(name))}" if name else ""
            self.problems.append(f"--set needs NAME=VALUE, e.g. --set walk.speed=0.3{hint}")
        elif param is None or param.fires:
            self.put("--set", name, text)
        else:
            try:
                self._keep("--set", param, param.from_text(text))
            except ParamError as error:
                self._problem("--set", name, error.allowed, error.given, error.nearest)

    def show(self) -> Show:
        """The show, or ShowError with all that is wrong with it."""
        if self.problems:
            raise ShowError(self.problems)
        values = {n: self.values.get(n, p.default) for n, p in self.registry.items()}
        return Show(
            name=self.path.stem,
            path=self.path.absolute(),
            model=ModelSpec(**_table(values, "model")),
            materials=tuple(self._material(m, values) for m in self.things["material"]),
            values=values,
            osc=OscSpec(**_table(values, "osc")),
            stage=StageSpec(**_table(values, "window")),
            film=FilmSpec(**_table(values, "film")),
            registry=self.registry,
            title=self.title,
            insisted=frozenset(self.insisted),
            program=ProgramSpec(**_table(values, "program")),
            things=self.things,
            text=self.text,
        )

    @staticmethod
    def _material(material: Material, values: Mapping[str, Value]) -> Material:
        name = f"material.{material.name}"
        return replace(material, weight=float(values[name]), prompt=str(values[f"{name}.prompt"]))

    def _keep(self, where: str, param: Param, value: Value) -> None:
        plain = param.name in _BESIDE and bool(str(value).strip())
        if plain or (param.name in _FILES and str(value).startswith(("./", "../", "~"))):
            # A folder named in a file lies beside that file; one named on the command line, here.
            base = self.path.parent if where == str(self.path) else Path()
            value = os.path.abspath(base / os.path.expanduser(str(value)))
        self.values[param.name] = value
        if where != str(self.path):
            self.insisted.add(param.name)

    def _read_title(self, where: str, content: object) -> None:
        if isinstance(content, str) and len(content) <= TEXT_MAX:
            self.title = content
        else:
            self._problem(where, "title", f"text of at most {TEXT_MAX} characters", shown(content))

    def _tables(self) -> list[str]:
        """Names of the tables of values; the parameters of things are steered, and set with the thing."""
        return list(dict.fromkeys(n.partition(".")[0] for n, p in self.registry.items() if not p.fires))

    def _unknown(self, where: str, name: str) -> None:
        table = name.partition(".")[0]
        if where.startswith("--"):
            known = "`pedesis params` lists them all"
        elif "." in name:
            keys = [n.partition(".")[2] for n in self.registry if n.startswith(f"{table}.")]
            known = f"[{table}] has {', '.join(keys)}"
        else:
            known = f"a show has title, {', '.join(dict.fromkeys([*self._tables(), *self.things]))}"
        self.problems.append(f"{where}: {name} is not known; {known}{did_you_mean(self._nearest(name))}")

    def _nearest(self, name: str) -> str | None:
        table, _, key = name.partition(".")
        if table == "stage" and f"window.{key}" in self.registry:
            return f"window.{key}"  # the window is the stage's, but [stage] holds what can be steered
        return nearest_word(name, ["title", *self.things, *self._tables(), *self.registry])

    def _problem(self, where: str, key: str, must_be: str, got: str, nearest: str | None = None) -> None:
        self.problems.append(f"{where}: {key} must be {must_be}, got {got}{did_you_mean(nearest)}")


def _table(values: Mapping[str, Value], table: str) -> dict[str, Any]:
    """The values of one table by their keys: {"port": 7000, ...} of "osc"."""
    found = {n: v for n, v in values.items() if n.startswith(f"{table}.")}
    return {n.partition(".")[2]: None if v == "" and n in _NONE_IF_EMPTY else v for n, v in found.items()}
