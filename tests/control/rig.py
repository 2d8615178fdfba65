"""A mapper with the parameters of a show, its mappings written as a show has them, and the time of a conductor."""

import tomllib

from engine.control.controls import Controls
from engine.control.map_entry import MapTable
from engine.control.map_table import read_table
from engine.control.mapping import Mapper
from engine.show.params import Registry, Value
from tests.registry import build_registry

REGISTRY = build_registry(["clouds", "pulp", "memory"], ["dissolve", "tear", "luma", "pulp"])
TICK_S = 1 / 120


def table_of(text: str, registry: Registry = REGISTRY) -> MapTable:
    """The [[map]] in a TOML text, which must be good."""
    problems: list[str] = []
    table = read_table(tomllib.loads(text).get("map"), registry, lambda *problem: problems.append(str(problem)))
    assert problems == []
    return table


def problems_of(text: str, registry: Registry = REGISTRY) -> list[str]:
    """What is said about the [[map]] in a TOML text."""
    problems: list[str] = []

    def report(key: str, must_be: str, got: str, nearest: str | None = None) -> None:
        problems.append(f"{key} must be {must_be}, got {got}" + (f". Did you mean {nearest}?" if nearest else ""))

    read_table(tomllib.loads(text).get("map"), registry, report)
    return problems


class Rig:
    """One mapping, or several, and what they do to the parameters."""

    def __init__(self, text: str, **values: Value) -> None:
        own = {name.replace("__", "."): value for name, value in values.items()}
        self.controls = Controls(REGISTRY, own)
        self.mapper = Mapper(REGISTRY, table_of(text), own)
        self.time_s = 0.0
        self.mapper.tick(self.controls, 0.0)

    def frame(self, ticks: int = 2) -> list[tuple[str, Value]]:
        """One frame of the conductor's: what the mapper says is set, then time goes on."""
        steers = self.mapper.drain()
        for name, value in steers:
            self.controls.set(name, value)
        for _ in range(ticks):
            self.time_s += TICK_S
            self.controls.tick(TICK_S)
            self.mapper.tick(self.controls, self.time_s)
        return steers

    def hear(self, address: str, *arguments: object) -> list[tuple[str, Value]]:
        """One message, alone in its frame."""
        self.mapper.hear(address, list(arguments))
        return self.frame()

    def wait(self, seconds: float) -> list[tuple[str, Value]]:
        """Frames in which nothing comes."""
        return [steer for _ in range(round(seconds * 60)) for steer in self.frame()]
