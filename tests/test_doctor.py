"""The doctor names what is wrong and its cure, and outlives probes that crash, hang or babble."""

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from engine import doctor
from engine.doctor import Check, checks, probe, render
from engine.dreamer import models

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def test_the_whole_list_on_this_machine() -> None:
    found = {check.name: check for check in checks(port=free_port())}
    assert list(found) == [
        name
        for name in ("Python", "torch", "GPU memory", "OpenGL", "shader cache", "displays", "encoders", "OSC port",
                     "panel", "MIDI", "sound", "cameras", "built-in model", "saved walks", "downloads",
                     "temporary files", "shared memory", "disk", "memory")
        if name in found
    ]  # fmt: skip
    assert len(found) >= 9
    assert found["Python"].ok and found["OSC port"].ok
    assert found["torch"].ok is not False and "2.13" in found["torch"].says
    assert found["encoders"].ok and "libx264" in found["encoders"].says
    for check in found.values():
        assert check.says, f"{check.name} says nothing"
        assert check.ok or check.cure, f"{check.name} has no cure"
    json.dumps([asdict(check) for check in found.values()])


def test_the_caller_stays_light() -> None:
    script = (
        "import sys; from engine import doctor\n"
        "doctor._PROBES = {n: 'print(\"{}\")' for n in doctor._PROBES}\n"
        "doctor._torch = lambda a: (doctor.Check('torch', True, 'x'), [])\n"
        "doctor._gl = lambda a: []; doctor._encoders = lambda a: doctor.Check('x', True, 'x')\n"
        "doctor.checks()\n"
        "print(sorted({'torch', 'diffusers', 'transformers', 'glfw', 'av'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_probes_that_crash_hang_babble_or_fail_are_reported() -> None:
    answers = probe(
        {
            "crash": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            "hang": "import time; time.sleep(60)",
            "babble": "print('hello')",
            "silent": "",
            "raise": "raise RuntimeError('no driver')",
            "fine": "print('chatter'); print('{\"a\": 1}')",
        },
        timeout_s=3.0,
    )
    assert "SIGSEGV" in answers["crash"]["error"]
    assert "within 3 s" in answers["hang"]["error"]
    assert "nonsense" in answers["babble"]["error"] and "nonsense" in answers["silent"]["error"]
    assert answers["raise"]["error"] == "RuntimeError: no driver"
    assert answers["fine"] == {"a": 1}


def test_port_that_is_taken_fails_with_a_cure() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = int(holder.getsockname()[1])
        check = doctor._port(port)
    assert check.ok is False and str(port) in check.says and f"--osc-port {port + 1}" in check.cure
    assert doctor._port(port).ok is True


def test_a_panel_that_cannot_be_is_only_a_note() -> None:
    nothing_missing: dict[str, list[str]] = {"missing": [], "less": []}
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        check = doctor._panel(nothing_missing, port)
        assert check.ok is None and str(port) in check.says and "panel.port" in check.cure
    assert doctor._panel(nothing_missing, port).ok is True
    lacking = doctor._panel({"missing": ["uvicorn"], "less": []}, port)
    assert lacking.ok is None and "run without" in lacking.says and lacking.cure == "pip install uvicorn"


def test_each_answer_becomes_the_right_verdict() -> None:
    assert doctor._python((3, 10, 4)).ok is False and doctor._python((3, 12, 0)).ok is True
    fault = {"error": "ImportError: libGL"}
    assert doctor._torch(fault)[0].ok is False
    assert doctor._gl(fault)[0].ok is False and "libegl1" in doctor._gl(fault)[0].cure
    old = {"error": "Pedesis needs OpenGL 3.3, which is not available here (got 2.1)", "cure": "update the driver"}
    assert (doctor._gl(old)[0].says, doctor._gl(old)[0].cure) == (old["error"], old["cure"])
    assert doctor._encoders({"version": "18", "encoders": ["libx265"]}).ok is False
    assert doctor._displays({"displays": []}).ok is None
    crash = doctor._displays({"displays": [], "error": "GLFW crashes", "cure": "connect a keyboard"})
    assert (crash.ok, crash.says, crash.cure) == (None, "GLFW crashes", "connect a keyboard")
    assert "1: Wall 3840x2160 60 Hz" in doctor._displays({"displays": [["A", 1, 2, 3], ["Wall", 3840, 2160, 60]]}).says
    check, memory = doctor._torch(
        {"version": "2.13.0", "device": "cuda", "name": "H200", "free": 2e9, "total": 140e9, "threads": 1}
    )
    assert check.ok is True and "H200" in check.says
    assert memory[0].ok is None and "2.0 GB free of 140.0 GB" in memory[0].says
    gl = {"vendor": "NVIDIA", "renderer": "RTX [4090]", "version": "4.6", "software": False}
    assert [check.ok for check in doctor._gl(gl)] == [True]
    assert [check.ok for check in doctor._gl(gl | {"software": True})] == [None]
    kept_not = doctor._gl(gl | {"software": True, "kept": False})
    assert kept_not[1].ok is None and "XDG_CACHE_HOME" in kept_not[1].cure
    assert doctor._disk(Path("/no/such/folder")).ok is False
    assert doctor._sense("MIDI", {"devices": ["nano", "Launchpad"]}).says == "nano, Launchpad"
    missing = doctor._sense("MIDI", {"error": "not installed", "cure": "pip install 'pedesis[midi]'"})
    assert missing.ok is None and "pip" in missing.cure
    crash = doctor._sense("sound", {"error": "crashed (SIGABRT)"})
    assert crash.ok is None and "crashed" in crash.says and crash.cure


def test_a_built_in_model_with_broken_weights_fails_with_a_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert doctor._house().ok is True
    copy = tmp_path / "house_model"
    shutil.copytree(models.house_model_dir(), copy)
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    monkeypatch.setattr(models, "house_model_dir", lambda: copy)
    check = doctor._house()
    assert check.ok is False and f"unet/{weights.name} should have" in check.says and "fresh clone" in check.cure


def test_render_says_cures_and_sets_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    fine = [Check("Python", True, "3.11", "unsaid"), Check("displays", None, "none", "use --headless")]
    assert render(fine) == 0
    said = capsys.readouterr().out
    assert "use --headless" in said and "unsaid" not in said and "can run here" in said
    assert render([*fine, Check("OpenGL", False, "RTX [4090] broke", "new driver")]) == 1
    said = capsys.readouterr().out
    assert "RTX [4090] broke" in said and "new driver" in said and "cannot run here yet: OpenGL" in said


@pytest.mark.skipif(sys.platform != "linux", reason="hides Mesa through an environment variable of Linux's libglvnd")
def test_no_graphics_driver_is_found_out_for_real() -> None:
    os_environ = {**os.environ, "__EGL_VENDOR_LIBRARY_FILENAMES": "/nonexistent.json"}
    script = "from engine import doctor; print(doctor._gl(doctor.probe({'gl': doctor._GL})['gl'])[0])"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=os_environ, capture_output=True, text=True, check=True
    )
    assert "ok=False" in done.stdout and "NoGraphics" not in done.stdout and "apt-get" in done.stdout, done.stdout


def test_it_judges_what_is_installed_and_not_what_lies_in_the_current_folder(tmp_path: Path) -> None:
    for name in ("random", "av", "torch", "json", "moderngl"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not this one')\n")
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "__init__.py").write_text("raise SystemExit('nor this')\n")
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        answers = probe({name: doctor._PROBES[name] for name in ("encoders", "gl")})
    finally:
        os.chdir(here)
    assert "libx264" in answers["encoders"]["encoders"] and "renderer" in answers["gl"], answers


def test_a_card_that_is_late_is_said_with_the_cure() -> None:
    check, _ = doctor._torch({"version": "2.13.0", "device": "cpu", "threads": 2, "late": True})
    assert check.ok is False and "CUDA does not answer" in check.says and "driver" in check.cure


def test_nowhere_to_write_is_told_and_what_it_costs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    state = doctor._state()
    assert state.ok is None and "cannot be kept" in state.says and "XDG_STATE_HOME" in state.cure

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone" / "away"))
    (tmp_path / "gone").write_text("")
    temp = doctor._temp()
    assert temp.ok is None and "TMPDIR" in temp.cure
    disk = doctor._disk(tmp_path / "file")
    assert disk.ok is False or "cannot be written to" in disk.says
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
    (downloads,) = doctor._downloads()
    assert downloads.ok is None and "HF_HOME" in downloads.cure


def test_looking_whether_a_folder_can_be_made_leaves_none_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "a" / "b"))
    assert doctor._state().ok is True
    assert not list(tmp_path.iterdir())


def test_the_probes_see_the_modules_of_the_one_who_asks_and_in_the_same_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    answer = probe({"path": "import json, sys; print(json.dumps({'path': sys.path}))"})["path"]
    assert answer["path"] == [place for place in sys.path if place]
