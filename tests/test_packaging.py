"""The wheel and the sdist: built, installed where there is no checkout, run from another folder."""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import engine

ROOT = Path(__file__).resolve().parent.parent

pytest.importorskip("hatchling", reason="hatchling is not installed (extra: test)")


def run(*command: str | Path, cwd: Path) -> str:
    """Runs a program that must not see this checkout; returns what it printed."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the builder makes it of the checkout; as pip does of a source: test_sdist_builds_the_same_wheel."""
    into = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", into, cwd=ROOT)
    (wheel,) = into.glob("pedesis-*.whl")
    return wheel


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel in it and, so that torch is not installed again, a way to this
    one's packages: a path in a .pth file is searched but its own .pth files, an editable install among them,
    are not obeyed."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    # --python's own folder decides; --no-index: nothing may be fetched.
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        wheel,
        cwd=folder,
    )
    site = Path(
        run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    )
    (site / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def files_under(folder: Path) -> set[str]:
    """The files below a folder that belong in a wheel, by their paths in it."""
    unwanted = {"__pycache__", ".DS_Store"}
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not unwanted & set(path.parts)
    }


def test_wheel_holds_code_shaders_shows_and_model_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(n for n in names if n.endswith("/METADATA"))).decode()
        entry_points = archive.read(next(n for n in names if n.endswith("/entry_points.txt"))).decode()
    assert {
        n.removeprefix("engine/_data/shaders/") for n in names if n.startswith("engine/_data/shaders/")
    } == (files_under(ROOT / "shaders"))
    assert {
        n.removeprefix("engine/_data/configs/") for n in names if n.startswith("engine/_data/configs/")
    } == (files_under(ROOT / "configs"))
    code = {n.removeprefix("engine/") for n in names if n.startswith("engine/") and "/_data/" not in n}
    assert code == files_under(ROOT / "engine"), "code, house_model and py.typed, all of it"
    assert "engine/py.typed" in names
    assert {n.split("/")[0] for n in names} == {"engine", f"pedesis-{engine.__version__}.dist-info"}
    assert any(n.endswith("/licenses/LICENSE") for n in names)
    assert f"Version: {engine.__version__}" in metadata and "Requires-Dist: torch==2.13.0" in metadata
    assert "pedesis = engine.cli:main" in entry_points


def test_installed_wheel_finds_its_own_files(clean: Path, tmp_path: Path) -> None:
    script = (
        "import json, engine\n"
        "from engine.show import paths\n"
        "from engine.play.shows import load_show\n"
        "from engine.stage.transitions import list_transitions\n"
        "show = load_show('house')\n"
        "print(json.dumps({'file': engine.__file__, 'shaders': str(paths.shaders_dir()),\n"
        "    'configs': str(paths.configs_dir()), 'model': str(paths.house_model_dir()), 'show': show.name,\n"
        "    'materials': len(show.materials), 'transitions': list_transitions()}))\n"
    )
    said = json.loads(run(clean, "-c", script, cwd=tmp_path))
    prefix = clean.parent.parent.resolve()
    for key in ("file", "shaders", "configs", "model"):
        assert Path(said[key]).resolve().is_relative_to(prefix), f"{key} is {said[key]}, outside {prefix}"
    assert Path(said["shaders"]).is_dir() and Path(said["configs"]).is_dir()
    if (ROOT / "engine/house_model").is_dir():
        assert files_under(Path(said["model"])) == files_under(ROOT / "engine/house_model")
    assert said["show"] == "house" and said["materials"] > 0 and said["transitions"]


def test_installed_command_runs_from_another_folder(clean: Path, tmp_path: Path) -> None:
    command = clean.parent / ("pedesis.exe" if os.name == "nt" else "pedesis")
    rows = json.loads(run(command, "params", "--json", cwd=tmp_path))
    assert {"walk.speed", "blend.transition", "stage.blackout"} <= {row["name"] for row in rows}
    assert run(command, "--version", cwd=tmp_path).strip() == engine.__version__
    assert not list(tmp_path.iterdir()), "asking leaves nothing behind"


def test_sdist_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=ROOT)
    (sdist,) = tmp_path.glob("pedesis-*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {"/".join(name.split("/")[1:]) for name in archive.getnames()}
        archive.extractall(tmp_path / "unpacked", filter="data")
    assert {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "scripts/run",
        "configs/house.toml",
    } <= names
    assert not any(n.startswith((".ci", ".venv", "out/")) for n in names)
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    pip_wheel = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q"]
    run(*pip_wheel, "-w", tmp_path, unpacked, cwd=tmp_path)
    (again,) = tmp_path.glob("pedesis-*.whl")
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert set(first.namelist()) == set(second.namelist())
