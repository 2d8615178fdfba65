"""What one room adds to a show: its parameters, and the tables that say what a show is made of.

    PART = Part(params, tables={"material": read_materials})

A show file is read in two passes. The tables of things, such as [[material]], come first, because what they name
becomes a parameter; then come the values. Things that name parameters themselves, such as presets, are looked at
again once all parameters are known. Plain data, any process.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from engine.show.params import Param, Registry

Things = Mapping[str, Any]  # what the tables of things say, by the table's name


class Report(Protocol):
    """How a table's reader tells what is wrong: which key, what it must be, what it is, and the nearest name."""

    def __call__(self, key: str, must_be: str, got: str, nearest: str | None = None) -> None: ...


@dataclass(frozen=True)
class Part:
    """What one room adds. `params` is given what the tables of things say, of every room."""

    params: Callable[[Things], list[Param]]
    tables: Mapping[str, Callable[[object, Report], "Table"]] = field(default_factory=dict)
    # Looks at things again, given all parameters and the show's file; returns those that take the place of others.
    finish: Callable[[Things, Registry, Path, Report], Things] | None = None


@dataclass(frozen=True)
class Table:
    """What one table of things says: the things themselves, and the values they give to parameters."""

    things: Any
    values: Mapping[str, object] = field(default_factory=dict)
