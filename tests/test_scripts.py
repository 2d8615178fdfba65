"""scripts/run and scripts/test set up a checkout: quick the second time, healed after a kill, plain-spoken.

A stand-in for Python (a shell script that notes what it is asked) keeps this fast; that the real
thing installs is seen by whoever runs these tests from a fresh clone.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = (
    "scripts/run",
    "scripts/test",
    "scripts/setup.sh",
    "scripts/constraints.txt",
    ".ci/run",
    "pyproject.toml",
)

pytestmark = pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="needs bash")

# Notes every call in $LOG. As `-m venv` it copies itself; as `-m pip install` it makes the `pedesis` command.
PYTHON = """#!/usr/bin/env bash
printf '%s|%s\\n' "$PWD" "$*" >>"$LOG"
case "$1 $2" in
    "-m venv") mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; printf '#!%s/bin/python\\n' "$3" >"$3/bin/pip" ;;
    "-m pip")
        [ "$3" = install ] || exit 0
        [ -z "${PIP_FAILS:-}" ] || exit 1
        [ -z "${PIP_HANGS:-}" ] || { touch "$PIP_HANGS"; sleep 30; }
        : >"$(dirname "$0")/pedesis" ;;
    "-m ruff") [ -z "${RUFF_FAILS:-}" ] || exit 1 ;;
    "-V "|"--version ") echo "Python 3.11.9" ;;
    "-c import sys; sys.exit(not"*) [ -z "${OLD:-}" ] || exit 1 ;;
    "-c import sys; print("*) echo 3.11 ;;
esac
"""


class Checkout:
    """A copy of the scripts in a folder with a space in its name, and the stand-ins they will find."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a check out"
        self.bin = folder / "bin"
        self.log = folder / "log"
        self.bin.mkdir()
        for name in SCRIPTS:
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, self.root / name)
        self.program("python3", PYTHON)
        self.program("dpkg-query", "#!/bin/sh\necho ii\n")
        self.program("apt-get", '#!/bin/sh\nprintf "apt|%s\\n" "$*" >>"$LOG"\nexit ${APT_STATUS:-0}\n')
        self.program("sudo", "#!/bin/sh\nexit 1\n")

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def environment(self, **extra: str) -> dict[str, str]:
        return {"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.root), "LOG": str(self.log), **extra}

    def call(
        self, script: str, *arguments: str, cwd: Path | None = None, **extra: str
    ) -> tuple["subprocess.CompletedProcess[str]", list[str]]:
        """Run a script; returns what it said and the calls it made (folder|arguments)."""
        self.log.write_text("")
        done = subprocess.run(
            [str(self.root / script), *arguments],
            cwd=cwd or self.root, env=self.environment(**extra), capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        return done, self.log.read_text().splitlines()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def installs(calls: list[str]) -> list[str]:
    return [call for call in calls if "-m pip install" in call]


def test_first_run_installs_pinned_and_passes_the_arguments_on(checkout: Checkout, tmp_path: Path) -> None:
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    done, calls = checkout.call(
        "scripts/run", "house", "--set", "walk.speed=0.3", "my show.toml", cwd=elsewhere
    )
    assert done.returncode == 0, done.stderr
    tools, engine = installs(calls)
    for call in (tools, engine):
        assert f"-c {checkout.root}/scripts/constraints.txt" in call and call.startswith(f"{checkout.root}|")
    assert "hatchling" in tools
    assert engine.endswith("--no-build-isolation -e .")
    # In the caller's folder: the paths among the arguments are theirs.
    assert (
        calls[-1]
        == f"{elsewhere}|{checkout.root}/.venv/bin/pedesis run house --set walk.speed=0.3 my show.toml"
    )
    assert done.stdout == "", "what set-up says goes to stderr; stdout is the program's"


def test_second_run_installs_nothing_and_is_quick(checkout: Checkout) -> None:
    checkout.call("scripts/run")
    started = time.monotonic()
    done, calls = checkout.call("scripts/run", "--help")
    assert time.monotonic() - started < 3.0
    assert not installs(calls) and done.stderr == ""
    assert calls[-1].endswith("bin/pedesis run --help")


@pytest.mark.parametrize("changed", ["pyproject.toml", "scripts/constraints.txt"])
def test_changed_requirements_install_again_into_the_same_venv(checkout: Checkout, changed: str) -> None:
    checkout.call("scripts/run")
    (checkout.root / ".venv" / "kept").write_text("")
    with (checkout.root / changed).open("a") as file:
        file.write("# new\n")
    _, calls = checkout.call("scripts/run")
    assert len(installs(calls)) == 2
    assert (checkout.root / ".venv" / "kept").exists()


def test_tests_need_more_than_running_and_serve_both(checkout: Checkout) -> None:
    checkout.call("scripts/run")
    done, calls = checkout.call("scripts/test", "-k", "some words")
    assert installs(calls)[1].endswith("-e .[test]")
    ran = [call.partition("|")[2] for call in calls if not call.startswith("apt|")]
    assert ran[-3:] == ["-m ruff check .", "-m mypy", "-m pytest -n auto --dist worksteal -k some words"]
    assert done.returncode == 0
    assert not installs(checkout.call("scripts/run")[1])
    assert not installs(checkout.call(".ci/run")[1])


def test_a_quick_test_leaves_out_mypy_and_what_is_slow(checkout: Checkout) -> None:
    _, calls = checkout.call("scripts/test", "--quick", "-x")
    ran = [call.partition("|")[2] for call in calls]
    assert ran[-2:] == ["-m ruff check .", "-m pytest -n auto --dist worksteal -m not slow -x"]


def test_lint_complaints_fail_the_tests_but_do_not_hide_them(checkout: Checkout) -> None:
    done, calls = checkout.call("scripts/test", RUFF_FAILS="1")
    assert done.returncode == 1 and calls[-1].endswith("-m pytest -n auto --dist worksteal")
    assert "ruff has complaints" in done.stderr


def test_install_that_was_killed_starts_afresh(checkout: Checkout, tmp_path: Path) -> None:
    reached = tmp_path / "reached"
    checkout.log.write_text("")
    process = subprocess.Popen(
        [str(checkout.root / "scripts/run")],
        env=checkout.environment(PIP_HANGS=str(reached)),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 20
    while not reached.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, 9)
    process.wait()
    (checkout.root / ".venv" / "half").write_text("")
    done, calls = checkout.call("scripts/run")
    assert "interrupted" in done.stderr and len(installs(calls)) == 2
    assert not (checkout.root / ".venv" / "half").exists()
    assert calls[-1].endswith("bin/pedesis run")


def test_broken_venv_is_made_again(checkout: Checkout) -> None:
    checkout.call("scripts/run")
    (checkout.root / ".venv/bin/python").unlink()
    done, calls = checkout.call("scripts/run")
    assert done.returncode == 0 and any("-m venv" in call for call in calls)
    assert len(installs(calls)) == 2


def test_moved_checkout_makes_its_venv_again(checkout: Checkout, tmp_path: Path) -> None:
    checkout.call("scripts/run")
    checkout.root = checkout.root.rename(tmp_path / "moved")
    _, calls = checkout.call("scripts/run")
    assert any(f"-m venv {tmp_path}/moved/.venv" in call for call in calls)


def test_pip_that_fails_is_said_and_tried_again(checkout: Checkout) -> None:
    done, calls = checkout.call("scripts/run", PIP_FAILS="1")
    assert done.returncode == 1 and "same command again" in done.stderr
    assert not any("bin/pedesis" in call for call in calls)
    done, calls = checkout.call("scripts/run")
    assert done.returncode == 0 and installs(calls)
    assert not any("-m venv" in call for call in calls), "a clean failure of pip leaves the venv whole"


def test_no_fitting_python_names_what_to_type(checkout: Checkout) -> None:
    for name in ("python", "python3.11", "python3.12", "python3.13", "python3.14"):
        checkout.program(name, PYTHON)
    done, _ = checkout.call("scripts/run", OLD="1")
    assert done.returncode == 1
    assert "needs Python 3.11 to 3.14, found Python 3.11.9" in done.stderr  # the stand-in's word for itself
    for manager in ("apt-get install", "dnf install", "pacman -S", "brew install"):
        assert manager in done.stderr


def test_missing_system_packages_are_installed_by_root(checkout: Checkout) -> None:
    checkout.program("dpkg-query", '#!/bin/sh\ncase "$*" in *libegl1) ;; *) echo ii;; esac\n')
    checkout.program("id", "#!/bin/sh\necho 0\n")
    _, calls = checkout.call("scripts/run")
    assert [call for call in calls if call.startswith("apt|")] == [
        "apt|install -y --no-install-recommends libegl1"
    ]


def test_missing_system_packages_without_rights_are_named_and_the_rest_goes_on(checkout: Checkout) -> None:
    checkout.program("dpkg-query", '#!/bin/sh\ncase "$*" in *libegl1|*xvfb) ;; *) echo ii;; esac\n')
    checkout.program("id", "#!/bin/sh\necho 1000\n")
    done, calls = checkout.call("scripts/test")
    assert "sudo apt-get install libegl1 xvfb" in done.stderr
    assert not any(call.startswith("apt|") for call in calls)
    assert calls[-1].endswith("-m pytest -n auto --dist worksteal") and done.returncode == 0


def test_apt_that_fails_refreshes_its_lists_then_says_what_to_type(checkout: Checkout) -> None:
    checkout.program("dpkg-query", '#!/bin/sh\ncase "$*" in *libegl1) ;; *) echo ii;; esac\n')
    checkout.program("id", "#!/bin/sh\necho 0\n")
    done, calls = checkout.call("scripts/run", APT_STATUS="100")
    assert [call for call in calls if call.startswith("apt|")][1] == "apt|update"
    assert "sudo apt-get install libegl1" in done.stderr and done.returncode == 0


def test_no_file_names_a_registry() -> None:
    for name in SCRIPTS:
        text = (ROOT / name).read_text()
        for word in ("index-url", "find-links", "http://", "https://", "uv pip"):
            assert word not in text, f"{name} holds {word}"
    pins = (ROOT / "scripts/constraints.txt").read_text().split()
    assert "torch==2.13.0" in pins and not any(pin.startswith("torchvision") for pin in pins)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_scripts_are_shellcheck_clean() -> None:
    names = [name for name in SCRIPTS if not name.endswith((".txt", ".toml"))]
    done = subprocess.run(["shellcheck", "-x", *names], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
