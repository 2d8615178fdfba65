"""The house of the design: data flows one way, and a room imports only from the rooms before it."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("show", "control", "walk", "dreamer", "stage", "record", "play", "panel")  # in the order in which data flows


def imports(file: Path) -> set[str]:
    """Modules of the engine that a file imports, also inside functions: `engine.walk.plan`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("engine.")}


def test_a_room_imports_only_from_the_rooms_before_it() -> None:
    wrong = []
    for place, room in enumerate(ROOMS):
        for file in sorted((ROOT / "engine" / room).rglob("*.py")):
            for name in imports(file):
                other = name.split(".")[1]
                if other in ROOMS[place + 1 :] or other in ("cli", "doctor"):
                    wrong.append(f"{file.relative_to(ROOT)} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_every_module_has_a_room() -> None:
    """Beside the rooms stand only the command, its doctor and the built-in model."""
    there = {path.name for path in (ROOT / "engine").iterdir() if not path.name.startswith("__")}
    command = {"cli", "doctor.py"}
    assert there - {"_data"} == {*ROOMS, *command, "house_model", "py.typed", "README.md"}


def test_tests_mirror_the_rooms() -> None:
    for room in ROOMS:
        assert list((ROOT / "tests" / room).glob("test_*.py")), f"tests/{room} is missing"
