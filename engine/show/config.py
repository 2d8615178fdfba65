"""Shows: one TOML file that says what is dreamt, how it moves and where it is seen.

    show = load_show("gallery", sets=["walk.speed=0.3"], seed=11)      # or a path to a file of your own

Every mistake is found before anything starts and all of them are told at once (ShowError.problems), one a
line: file, key, what is allowed, what was given, the nearest name. Read once, at the start, by any process.

A file's tables: `title`; [model], [osc], [window], [film] as in specs.py; [[material]] with name,
prompt and weight; [walk], [blend], [look] and [stage] hold parameters by their names (see params.py).
"""

import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.show.errors import CannotStart
from engine.show.params import (
    TEXT_MAX,
    Param,
    ParamError,
    Registry,
    Value,
    build_registry,
    nearest_word,
    shown,
    slug,
)
from engine.show.paths import configs_dir, shaders_dir
from engine.show.specs import RULES, FilmSpec, Material, ModelSpec, OscSpec, StageSpec, spec_keys

__all__ = [
    "FilmSpec",
    "Material",
    "ModelSpec",
    "OscSpec",
    "Show",
    "ShowError",
    "StageSpec",
    "find_show",
    "list_shows",
    "list_transitions",
    "load_show",
]

MAX_MATERIALS = 16
_MAX_FILE_BYTES = 1_000_000


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
    title: str = ""
    insisted: frozenset[str] = frozenset()  # what the command line names, whatever is remembered


class ShowError(CannotStart):
    """A show that cannot be played; `problems` has every reason, one a line."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


def list_shows() -> list[str]:
    """Names of the shows that come with Pedesis."""
    return sorted(p.stem for p in configs_dir().glob("*.toml"))


def load_show(source: str | Path, sets: Sequence[str] = (), seed: int | None = None) -> Show:
    """The show of that name or in that file. Raises ShowError.

    sets: `name=value` each, over what the file says; for parameters and the keys of [model], [osc], [window]
    and [film] alike. seed: over `walk.seed`, and last.
    """
    path = find_show(source)
    reader = _Reader(path)
    reader.read(_parse(path))
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
    allowed = f"a file ending in .toml, or one of {', '.join(shows)}"
    raise ShowError([_line("show", shown(text), allowed, "no such show", nearest_word(text, shows))])


def _parse(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes() if path.stat().st_size <= _MAX_FILE_BYTES else None
    except FileNotFoundError:
        near = nearest_word(path.stem, list_shows())
        raise ShowError([_line(str(path), "show", "a TOML file", "no such file", near)]) from None
    except OSError as error:
        why = error.strerror or str(error)
        raise ShowError([_line(str(path), "show", "a TOML file that can be read", why.lower())]) from None
    try:
        if data is None:
            raise ValueError("more than a megabyte")
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        given = f"bytes that are no UTF-8 text at line {line}"
    except tomllib.TOMLDecodeError as error:
        given = f"bad syntax: {str(error)[0].lower()}{str(error)[1:]}"
    except (ValueError, RecursionError) as error:
        given = str(error)
    raise ShowError([_line(str(path), "show", "TOML", given)])


def _line(where: str, key: str, allowed: str, given: str, nearest: str | None = None) -> str:
    """One problem in one line."""
    hint = f"; did you mean {nearest}?" if nearest else ""
    return f"{where}: {key}: allowed is {allowed}; given {given}{hint}"


_TABLES = ("title", "model", "material", "walk", "blend", "look", "stage", "osc", "window", "film")


class _Reader:
    """Gathers values and problems from a file, then from the command line, then makes the show."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        self.title = ""
        self.materials: dict[str, str] = {}  # name: prompt
        self.specs = {p.name: p for p in spec_keys()}
        self.registry = build_registry([], list_transitions())
        self.values: dict[str, Value] = {}
        self.insisted: set[str] = set()

    def read(self, data: dict[str, Any]) -> None:
        """Takes everything from the file's tables."""
        where = str(self.path)
        weights = self._read_materials(where, data.get("material"))
        self.registry = build_registry(list(self.materials), list_transitions())
        for name, weight in weights.items():
            self.put(where, f"material.{name}", weight)
        for table, content in data.items():
            if table == "title":
                self._text(where, "title", content)
                self.title = content if isinstance(content, str) else ""
            elif table not in _TABLES:
                self._unknown(where, table, content)
            elif table != "material" and not isinstance(content, dict):
                self._problem(where, table, f"a table: [{table}] on a line of its own", shown(content))
            elif table != "material":
                for key, value in content.items():
                    self.put(where, f"{table}.{key}", value)

    def put(self, where: str, name: str, value: object) -> None:
        """One value, checked strictly."""
        param = self._param(name)
        if param is None:
            self._unknown(where, name, value)
        elif param.kind == "trigger":
            self._problem(where, name, "nothing here: a trigger is pulled while the show runs", shown(value))
        else:
            try:
                self._keep(where, param, param.coerce(value))
            except ParamError as error:
                self._problem(where, name, error.allowed, error.given, error.nearest)

    def override(self, setting: str) -> None:
        """One `name=value` from the command line."""
        name, equals, text = setting.partition("=")
        name = name.strip()
        param = self._param(name)
        if not equals:
            self._problem("--set", shown(setting), "name=value", "no =", self._nearest(name))
        elif param is None or param.kind == "trigger":
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
            model=ModelSpec(**self._spec("model", optional=("decoder", "scheduler"))),
            materials=tuple(
                Material(name, prompt, float(values[f"material.{name}"]))
                for name, prompt in self.materials.items()
            ),
            values=values,
            osc=OscSpec(**self._spec("osc")),
            stage=StageSpec(**self._spec("window")),
            film=FilmSpec(**self._spec("film")),
            registry=self.registry,
            title=self.title,
            insisted=frozenset(self.insisted),
        )

    def _spec(self, table: str, optional: Sequence[str] = ()) -> dict[str, Any]:
        found = {
            name.partition(".")[2]: self.values.get(name, param.default)
            for name, param in self.specs.items()
            if name.startswith(f"{table}.")
        }
        return {key: value if value != "" or key not in optional else None for key, value in found.items()}

    def _param(self, name: str) -> Param | None:
        return self.registry.get(name) or self.specs.get(name)

    def _keep(self, where: str, param: Param, value: Value) -> None:
        holds, allowed = RULES.get(param.name, (None, ""))
        if holds is not None and not holds(value):
            self._problem(where, param.name, allowed, shown(value))
            return
        if param.name in ("model.name", "model.decoder") and str(value).startswith(("./", "../", "~")):
            # A folder named in a file lies beside that file; one named on the command line, here.
            base = self.path.parent if where == str(self.path) else Path()
            value = os.path.abspath(base / os.path.expanduser(str(value)))
        self.values[param.name] = value
        if where != str(self.path):
            self.insisted.add(param.name)

    def _read_materials(self, where: str, content: object) -> dict[str, object]:
        """Names and prompts; returns the weights that are given."""
        given = content if isinstance(content, list) else []
        if not 1 <= len(given) <= MAX_MATERIALS:
            what = shown(content) if content and not given else str(len(given))
            self._problem(where, "[[material]]", f"1 to {MAX_MATERIALS} of them", what)
        weights: dict[str, object] = {}
        for n, entry in enumerate(given, 1):
            key = f"[[material]] {n}"
            if not isinstance(entry, dict):
                self._problem(where, key, "a table with name, prompt and weight", shown(entry))
                continue
            for unknown in entry.keys() - {"name", "prompt", "weight"}:
                near = nearest_word(unknown, ("name", "prompt", "weight"))
                self._problem(where, f"{key} {unknown}", "name, prompt, weight", shown(entry[unknown]), near)
            name = self._material_name(where, f"{key} name", entry.get("name"))
            prompt = self._text(where, f"{key} prompt", entry.get("prompt"), required=True)
            if name:
                self.materials[name] = prompt
                if "weight" in entry:
                    weights[name] = entry["weight"]
        return weights

    def _material_name(self, where: str, key: str, name: object) -> str:
        if not isinstance(name, str) or not name or slug(name) != name:
            near = slug(name) if isinstance(name, str) else None
            allowed = "a name of a-z, 0-9 and _, at most 32 characters (its address is /material/<name>)"
            self._problem(where, key, allowed, shown(name), near)
        elif name in self.materials:
            self._problem(where, key, "a name no other material has", shown(name))
        else:
            return name
        return ""

    def _text(self, where: str, key: str, value: object, required: bool = False) -> str:
        good = isinstance(value, str) and len(value) <= TEXT_MAX and (bool(value.strip()) or not required)
        if not good:
            self._problem(where, key, f"text of {int(required)} to {TEXT_MAX} characters", shown(value))
        return str(value)

    def _unknown(self, where: str, name: str, value: object) -> None:
        table = name.partition(".")[0]
        keys = [n.partition(".")[2] for n in (*self.registry, *self.specs) if n.startswith(f"{table}.")]
        if where.startswith("--"):
            allowed = "a name that `pedesis params` lists"
        elif "." in name:
            allowed = f"one of {', '.join(keys)}"
        else:
            allowed = f"one of {', '.join(_TABLES)}"
        self._problem(where, name, allowed, shown(value), self._nearest(name))

    def _nearest(self, name: str) -> str | None:
        table, _, key = name.partition(".")
        if table == "stage" and f"window.{key}" in self.specs:
            return f"window.{key}"  # the window is the stage's, but [stage] holds what can be steered
        return nearest_word(name, [*_TABLES, *self.registry, *self.specs])

    def _problem(self, where: str, key: str, allowed: str, given: str, nearest: str | None = None) -> None:
        self.problems.append(_line(where, key, allowed, given, nearest))


def list_transitions() -> list[str]:
    """Names of the transition shaders on this machine."""
    return sorted(p.stem for p in (shaders_dir() / "transitions").glob("*.glsl"))
