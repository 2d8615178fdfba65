"""The addresses of a show as OSCQuery has them: a tree of nodes, each described by attributes.

    tree = Tree.of(description, lists, mapped)
    tree.describe("/walk", values, status)       # the JSON of a node and all that it holds; None: no such address
    tree.attribute("/walk/speed", "VALUE", ...)  # {"VALUE": [0.3]}; None where it has none that could be told

After https://github.com/Vidvox/OSCQueryProposal, third revision. Plain data and functions of it; the event loop's
thread.

A number is `f`, a whole number `i`, a switch `T` or `F` as it is now, a choice or a text `s`. A trigger is `I`, a bang,
and takes its strength as an `f` too (OVERLOADS). A call is `s`; triggers and calls can be sent and have no value: null
stands in its place, as the proposal has it, since clients in the wild (python-oscquery) read no node without.

In the proposal a node is a method or a container. What is both in a show, such as /material/clouds, is a container with
its own value inside it, /material/clouds/value; its attributes one by one, and LISTEN, answer at both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from engine.control.resolve import inner_addresses
from engine.play.panel_messages import Description
from engine.show.params import Value

ROOT = "/"
# The attributes of the proposal that are answered, and those that it has besides.
KNOWN = ("ACCESS", "VALUE", "RANGE", "DESCRIPTION", "TAGS", "UNIT", "CLIPMODE", "OVERLOADS", "TYPE", "FULL_PATH",
         "CONTENTS")  # fmt: skip
NOT_OURS = ("EXTENDED_TYPE", "CRITICAL", "HTML")
OPTIONAL = ("ACCESS", "VALUE", "RANGE", "DESCRIPTION", "TAGS", "UNIT", "CLIPMODE", "OVERLOADS")
EXTENSIONS = (*OPTIONAL, "LISTEN", "PATH_CHANGED", "PATH_ADDED", "PATH_REMOVED")
READ, WRITE = 1, 2
_TYPES = {"number": "f", "integer": "i", "choice": "s", "text": "s", "trigger": "I", "call": "s"}
# Numbers of the show that can only be read: their names in the status, their types and what they are.
STATUS = {
    "/status/fps": ("fps", "f", "Frames a second on stage."),
    "/status/keyframes": ("keyframes", "f", "Pictures dreamt a second."),
    "/status/phase": ("phase", "f", "How far along its path the walk is."),
    "/status/recording": ("recording", "T", "Whether it is being recorded."),
    "/status/uptime": ("uptime_s", "f", "Seconds since the show began."),
}
_UNITS = {"s": "time.second", "h": "time.hour", "dB": "gain.db", "bpm": "speed.bpm", "pixels": "distance.pixels"}


@dataclass(frozen=True)
class Node:
    """One address. param: its name among the values; status: its name among the numbers of the show."""

    path: str
    description: str = ""
    type: str = ""
    access: int = 0
    param: str = ""
    status: str = ""
    range: Mapping[str, Any] | None = None
    unit: str = ""
    clips: bool = False
    tags: tuple[str, ...] = ()
    overloads: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Tree:
    """All addresses of a show. children: what a container holds, its last words in order."""

    nodes: Mapping[str, Node] = field(default_factory=dict)
    children: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @staticmethod
    def empty() -> "Tree":
        """Of no show yet."""
        return Tree({ROOT: Node(ROOT, "Pedesis")}, {ROOT: ()})

    @staticmethod
    def of(show: Description, lists: Mapping[str, Any], mapped: Mapping[str, str]) -> "Tree":
        """The tree of a show with its presets and cues, and the foreign addresses that its mappings hear."""
        leaves = [_param_node(row, lists) for row in show.params]
        leaves += [Node(path, says, kind, READ, status=name) for path, (name, kind, says) in STATUS.items()]
        by_path = {leaf.path: leaf for leaf in leaves}
        kinds = {"/" + row["name"].replace(".", "/"): row["kind"] for row in show.params}
        leaves += [replace(by_path[address], path=inner) for inner, address in inner_addresses(kinds).items()]
        own = {node.path for node in leaves}
        leaves += [
            Node(path, f"Moves {to}.", "f", WRITE, tags=("mapping",))
            for path, to in mapped.items()
            if path not in own and _is_plain(path)
        ]
        nodes: dict[str, Node] = {ROOT: Node(ROOT, f"Pedesis: {show.show}")}
        children: dict[str, dict[str, None]] = {ROOT: {}}
        for leaf in leaves:
            above = ROOT
            *folders, last = leaf.path.strip("/").split("/")
            for folder in folders:
                children.setdefault(above, {})[folder] = None
                above = join(above, folder)
                nodes.setdefault(above, Node(above))
            children.setdefault(above, {})[last] = None
            nodes[leaf.path] = leaf
        return Tree(nodes, {path: tuple(names) for path, names in children.items()})

    def find(self, path: str) -> Node | None:
        """The node at an address; one slash too many at its end does no harm."""
        return self.nodes.get(path) or self.nodes.get(path.rstrip("/") or ROOT)

    def describe(self, path: str, values: Mapping[str, Value], status: Mapping[str, Any]) -> dict[str, Any] | None:
        """A node with all that it holds."""
        node = self.find(path)
        return None if node is None else self._described(node, values, status)

    def attribute(
        self, path: str, name: str, values: Mapping[str, Value], status: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """One attribute of a node that is there: empty where it has none; None where it may not be asked for."""
        node = self.find(path)
        assert node is not None
        if name == "VALUE" and not node.access & READ:
            return None
        whole = self._described(node, values, status) if name == "CONTENTS" else _attributes(node, values, status)
        return {name: whole[name]} if name in whole else {}

    def _described(self, node: Node, values: Mapping[str, Value], status: Mapping[str, Any]) -> dict[str, Any]:
        held = self.children.get(node.path)
        if held is None:
            said = _attributes(node, values, status)
            if node.type:
                said.setdefault("VALUE", [None])
            return said
        said = _attributes(Node(node.path, node.description), values, status)
        contents = {name: self._described(self.nodes[join(node.path, name)], values, status) for name in held}
        return {**said, "CONTENTS": contents}


def changes(before: Tree, after: Tree) -> list[tuple[str, str]]:
    """What became of addresses: (PATH_ADDED, PATH_REMOVED or PATH_CHANGED, the address)."""
    told = [("PATH_REMOVED", path) for path in before.nodes if path not in after.nodes]
    told += [("PATH_ADDED", path) for path in after.nodes if path not in before.nodes]
    changed = {above(path) for _, path in told}
    changed |= {path for path, node in after.nodes.items() if before.nodes.get(path, node) != node}
    return told + [("PATH_CHANGED", path) for path in sorted(changed) if path in after.nodes]


def join(folder: str, name: str) -> str:
    """The address of a name in a container."""
    return folder.rstrip("/") + "/" + name


def above(path: str) -> str:
    """The container of an address."""
    return path.rpartition("/")[0] or ROOT


def value_of(node: Node, values: Mapping[str, Value], status: Mapping[str, Any]) -> Value | None:
    """The present value of a node that can be read; None before there is one."""
    return status.get(node.status) if node.status else values.get(node.param)


def _attributes(node: Node, values: Mapping[str, Value], status: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"FULL_PATH": node.path, "ACCESS": node.access}
    if node.description:
        said["DESCRIPTION"] = node.description
    if not node.type:
        return said
    value = value_of(node, values, status) if node.access & READ else None
    said["TYPE"] = ("T" if value else "F") if node.type == "T" else node.type
    if value is not None:
        said["VALUE"] = [bool(value) if node.type == "T" else value]
    if node.range:
        said["RANGE"] = [dict(node.range)]
    if node.unit:
        said["UNIT"] = [_UNITS.get(node.unit, node.unit)]
    if node.clips:
        said["CLIPMODE"] = ["both"]
    if node.tags:
        said["TAGS"] = list(node.tags)
    if node.overloads:
        said["OVERLOADS"] = [dict(each) for each in node.overloads]
    return said


def _param_node(row: Mapping[str, Any], lists: Mapping[str, Any]) -> Node:
    kind, name = row["kind"], row["name"]
    fires = kind in ("trigger", "call")
    access = WRITE if fires else READ if row["lands"] == "start" else READ | WRITE
    span: dict[str, Any] = {}
    if kind in ("number", "integer"):
        span = {key: row[end] for key, end in (("MIN", "low"), ("MAX", "high")) if row[end] is not None}
    elif kind == "choice":
        span = {"VALS": list(row["choices"])}
    elif name in ("preset.recall", "preset.delete"):
        span = {"VALS": list(lists.get("presets", ()))}
    elif name == "cue.goto":
        span = {"VALS": [str(cue["name"] or cue["number"]) for cue in lists.get("cues", ())]}
    strength = {"TYPE": "f", "RANGE": [{"MIN": 0.0, "MAX": 1.0}]}
    return Node(
        path="/" + name.replace(".", "/"),
        description=row["doc"],
        type="T" if kind == "switch" else _TYPES[kind],
        access=access,
        param=name,
        range=span if span and span.get("VALS", True) else None,
        unit=row["unit"],
        clips=kind in ("number", "integer"),
        tags=(f"lands:{row['lands']}",),
        overloads=(strength,) if kind == "trigger" else (),
    )


def _is_plain(path: str) -> bool:
    """Whether it is an address of OSC with no pattern in it, which one can send to."""
    return path.startswith("/") and path.isprintable() and not any(c in " #*,?[]{}" for c in path) and "//" not in path
