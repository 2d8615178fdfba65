"""What works on this machine, what does not, and the cure for each: `pedesis doctor`.

Usage: `raise SystemExit(render(checks()))`. Main thread. Everything that can crash or is heavy (a graphics
driver, torch) is tried in a process of its own, all at once: the caller stays light and always gets a list.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.show.files import DISK_TIMEOUT_S, in_time

PROBE_TIMEOUT_S = 90.0  # a first import of torch from a cold, slow disk
_GB = 1e9

# Each prints one JSON object as its last line.
_TORCH = """
import json, torch
from engine.dreamer.device import nvidia_is_late
said = {"version": torch.__version__, "device": "cpu", "threads": torch.get_num_threads()}
if torch.cuda.is_available():
    free, total = torch.cuda.mem_get_info()
    said |= {"device": "cuda", "name": torch.cuda.get_device_name(0), "free": free, "total": total}
    (torch.ones(8, device="cuda") * 2).sum().item()  # a card too old for this torch counts as there, and fails here
elif nvidia_is_late():
    said["late"] = True
elif torch.backends.mps.is_available():
    said |= {"device": "mps", "name": "Apple GPU", "total": torch.mps.recommended_max_memory()}
print(json.dumps(said))
"""
_GL = """
import json
from engine.stage.gl import NoGraphics, create_context, is_software
from engine.stage.shader_cache import can_keep
kept = can_keep()  # before create_context, which tells the driver not to try where it cannot
try:
    ctx = create_context(headless=True)
    info = ctx.info
    said = {"vendor": info["GL_VENDOR"], "renderer": info["GL_RENDERER"], "version": info["GL_VERSION"],
            "texture": info.get("GL_MAX_TEXTURE_SIZE"), "software": is_software(ctx), "kept": kept}
except NoGraphics as error:
    why, _, cure = str(error).partition("): ")
    said = {"error": why + ")", "cure": cure}
print(json.dumps(said))
"""
_DISPLAYS = """
import json
from engine.stage.window import NoDisplay, start_glfw
said = {"displays": []}
try:
    glfw = start_glfw()
    for monitor in glfw.get_monitors():
        mode = glfw.get_video_mode(monitor)
        name = glfw.get_monitor_name(monitor)
        said["displays"].append([name.decode() if isinstance(name, bytes) else name, *mode.size, mode.refresh_rate])
except NoDisplay as error:
    said["error"], _, said["cure"] = str(error).rpartition(": ")
print(json.dumps(said))
"""
_ENCODERS = """
import json, av
names = ["libx264", "libx265", "prores_ks", "h264_nvenc", "h264_videotoolbox"]
print(json.dumps({"version": av.__version__, "encoders": [n for n in names if n in av.codecs_available]}))
"""
_SENSE = """
import json
from engine.control.{module} import INSTALL, device_names
try:
    said = {{"devices": device_names()}}
except ImportError:
    said = {{"error": "not installed", "cure": INSTALL}}
except Exception as error:
    said = {{"error": str(error).strip().splitlines()[0], "cure": ""}}
print(json.dumps(said))
"""
_CAMERAS = """
import json
from engine.play.guide_camera import device_names
try:
    said = {"devices": device_names()}
except Exception as error:
    said = {"error": "it cannot be told which there are", "cure": "try: pedesis run camera"}
print(json.dumps(said))
"""
_PANEL = """
import json
from importlib.util import find_spec
needed, helpful = ["starlette", "uvicorn", "websockets"], ["segno", "zeroconf", "prometheus_client", "PIL"]
missing, less = ([name for name in names if not find_spec(name)] for names in (needed, helpful))
print(json.dumps({"missing": missing, "less": less}))
"""
_PROBES = {
    "panel": _PANEL,
    "torch": _TORCH,
    "gl": _GL,
    "displays": _DISPLAYS,
    "encoders": _ENCODERS,
    "midi": _SENSE.format(module="midi_ports"),
    "sound": _SENSE.format(module="microphone"),
    "cameras": _CAMERAS,
}


@dataclass(frozen=True)
class Check:
    """One line of the list. `ok` is False where Pedesis cannot run without the cure, None where it can."""

    name: str
    ok: bool | None
    says: str
    cure: str = ""


def checks(port: int | None = None, folder: Path | None = None) -> list[Check]:
    """Every check, in the order a person would ask. `folder` is where films would go (default: here).
    Takes as long as importing torch once, some seconds; never raises."""
    answers = probe(_PROBES)
    torch_check, memory_check = _torch(answers["torch"])
    return [
        _python(sys.version_info[:3]),
        torch_check,
        *memory_check,
        *_gl(answers["gl"]),
        _displays(answers["displays"]),
        _encoders(answers["encoders"]),
        _port(port),
        _panel(answers["panel"]),
        _sense("MIDI", answers["midi"]),
        _sense("sound", answers["sound"]),
        _sense("cameras", answers["cameras"]),
        _house(),
        _state(),
        *_downloads(),
        _temp(),
        *_shared(),
        _disk(folder or Path()),
        _ram(),
    ]


def render(found: list[Check]) -> int:
    """Print the list. Returns the exit code: 1 if something essential fails, else 0."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    marks = {True: ("ok", "green"), None: ("note", "yellow"), False: ("FAILS", "bold red")}
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in found:
        mark, style = marks[check.ok]
        # Text and not markup: a renderer's name may hold brackets.
        says = Text(check.says)
        if check.ok is not True and check.cure:
            says.append(f"\n-> {check.cure}", style="cyan")
        table.add_row(Text(mark, style=style), Text(check.name), says)
    console = Console(highlight=False)
    console.print(table)
    failing = _failing(found)
    console.print()
    console.print(Text("Pedesis cannot run here yet: " + ", ".join(failing) if failing else "Pedesis can run here."))
    return exit_code(found)


def exit_code(found: list[Check]) -> int:
    """1 if something essential fails, else 0."""
    return 1 if _failing(found) else 0


def _failing(found: list[Check]) -> list[str]:
    return [check.name for check in found if check.ok is False]


def probe(scripts: Mapping[str, str], timeout_s: float = PROBE_TIMEOUT_S) -> dict[str, dict[str, Any]]:
    """Run the scripts side by side. Name -> what it printed, or {"error": one line}."""
    # The child must find the very modules that the one who asks has, also those of a checkout that is not installed,
    # and with -P none that happen to lie in the current folder.
    same = f"import sys; sys.path[:] = {[place for place in sys.path if place]!r}\n"
    running = {
        name: subprocess.Popen(
            [sys.executable, "-P", "-c", same + script],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        for name, script in scripts.items()
    }
    return {name: _answer(process, timeout_s) for name, process in running.items()}


def _answer(process: "subprocess.Popen[str]", timeout_s: float) -> dict[str, Any]:
    try:
        said, complaint = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return {"error": f"gave no answer within {timeout_s:.0f} s"}
    if process.returncode == 0:
        try:
            answer = json.loads(said.strip().splitlines()[-1])
        except (ValueError, IndexError):
            return {"error": f"answered nonsense: {said[-80:]!r}"}
        return dict(answer)
    if process.returncode < 0:
        return {"error": f"crashed ({_signal_name(-process.returncode)})"}
    lines = [line for line in complaint.strip().splitlines() if line.strip()]
    return {"error": lines[-1] if lines else f"ended with code {process.returncode}"}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _python(version: tuple[int, ...]) -> Check:
    says = ".".join(map(str, version)) + f" on {sys.platform}"
    return Check("Python", version >= (3, 11), says, "install Python 3.11 or newer, delete .venv, run scripts/run")


def _torch(answer: dict[str, Any]) -> tuple[Check, list[Check]]:
    """The dreamer's library and device; the GPU's memory where there is a GPU."""
    if "error" in answer:
        cure = "run scripts/run (in a checkout) or pip install --force-reinstall torch==2.13.0"
        if "no kernel image" in answer["error"]:
            cure = "a card this old needs an older build of torch; without one Pedesis dreams on the CPU"
            return Check("torch", None, answer["error"], cure), []
        return Check("torch", False, answer["error"], cure), []
    device = answer["device"]
    if answer.get("late"):
        says = f"{answer['version']}: an NVIDIA card is there, but CUDA does not answer"
        cure = "wait for its driver or mend it (nvidia-smi shows the card); a show waits, or set model.device = 'cpu'"
        return Check("torch", False, says, cure), []
    if device == "cpu":
        says = f"{answer['version']}, no GPU it can use: dreams on {answer['threads']} CPU threads"
        cure = "for a GPU: install its maker's driver (nvidia-smi shows an NVIDIA card), then torch built for it"
        return Check("torch", None, says, cure), []
    check = Check("torch", True, f"{answer['version']} on {device}: {answer['name']}")
    total = answer.get("total", 0) / _GB
    free = answer.get("free", answer.get("total", 0)) / _GB
    says = f"{free:.1f} GB free of {total:.1f} GB"
    cure = "close other programs on the GPU; the built-in model needs 1 GB, SD-Turbo 4 GB, SDXL-Turbo 9 GB"
    return check, [Check("GPU memory", True if free >= 4 else None, says, cure)]


def _gl(answer: dict[str, Any]) -> list[Check]:
    """What draws; and, where it draws on the processor and compiles slowly, whether it can keep what it compiled."""
    if "error" in answer:
        cure = "Debian and Ubuntu: apt-get install libegl1 libgl1-mesa-dri"
        cure = cure if sys.platform.startswith("linux") else "update the graphics driver"
        return [Check("OpenGL", False, answer["error"], answer.get("cure", cure))]
    says = f"{answer['renderer']} ({answer['vendor']}), OpenGL {answer['version']}"
    if not answer["software"]:
        return [Check("OpenGL", True, says)]
    cure = "install the graphics card's driver for speed"
    found = [Check("OpenGL", None, says + ": a software renderer", cure)]
    if not answer.get("kept", True):
        cure = "set XDG_CACHE_HOME to a folder that can be written to, and the next start is quicker"
        found.append(Check("shader cache", None, "compiled shaders cannot be kept, each start compiles anew", cure))
    return found


def _displays(answer: dict[str, Any]) -> Check:
    found = answer.get("displays", [])
    if not found:
        why = answer.get("error", "none found")
        cure = "--headless works; for a window start from a desktop session, or set DISPLAY or WAYLAND_DISPLAY"
        return Check("displays", None, why, answer.get("cure", cure))
    return Check("displays", True, ", ".join(f"{i}: {n} {w}x{h} {hz} Hz" for i, (n, w, h, hz) in enumerate(found)))


def _encoders(answer: dict[str, Any]) -> Check:
    cure = "pip install --force-reinstall av (its wheels carry their own FFmpeg)"
    if "error" in answer:
        return Check("encoders", False, answer["error"], cure)
    names = answer["encoders"]
    says = f"PyAV {answer['version']}: {', '.join(names) or 'none of those wanted'}"
    return Check("encoders", "libx264" in names, says, cure)


def _port(port: int | None) -> Check:
    if port is None:
        from engine.show.config import OscSpec

        port = OscSpec().port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind(("127.0.0.1", port))
        except OSError as fault:
            cure = f"is Pedesis running already? Close it, or take another: pedesis run --osc-port {port + 1}"
            return Check("OSC port", False, f"UDP {port} cannot be had: {fault.strerror}", cure)
    return Check("OSC port", True, f"UDP {port} is free")


def _panel(answer: dict[str, Any], port: int | None = None) -> Check:
    """The show's web panel; every show runs without."""
    from engine.play.panel_messages import Settings

    port = Settings.port if port is None else port
    if missing := answer.get("missing", [answer["error"]] if "error" in answer else []):
        names = " ".join(answer.get("missing", ["starlette", "uvicorn", "websockets"]))
        return Check("panel", None, f"shows run without one: {', '.join(missing)} is missing", f"pip install {names}")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        if os.name == "posix":
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError as fault:
            cure = f"is Pedesis running already? A show runs without its panel, or take --set panel.port={port + 1}"
            return Check("panel", None, f"TCP {port} cannot be had: {fault.strerror}", cure)
    if less := answer.get("less"):
        names = " ".join(less).replace("prometheus_client", "prometheus-client").replace("PIL", "pillow")
        gone = f"TCP {port} is free; some of it is missing: {', '.join(less)}"
        return Check("panel", None, gone, f"pip install {names}")
    return Check("panel", True, f"TCP {port} is free; a show's panel is at http://127.0.0.1:{port}/")


def _sense(name: str, answer: dict[str, Any]) -> Check:
    """What a mapping can listen to beside OSC, or a guide look at; every show runs without."""
    if "error" in answer:
        load = "load Linux's MIDI with: sudo modprobe snd-seq. " if name == "MIDI" and sys.platform == "linux" else ""
        cure = answer.get("cure") or f"{load}Only shows that map it need it"
        return Check(name, None, answer["error"], cure)
    devices = ", ".join(answer.get("devices", []))
    return Check(name, True if devices else None, devices or "nothing is plugged in", "plug it in; shows run without")


def _house() -> Check:
    """The built-in model: its parts are there and its weights are whole, which is what find() looks for."""
    from engine.dreamer.about import HOUSE
    from engine.dreamer.models import ModelError, find

    cure = "a fresh clone in a checkout; else pip install --force-reinstall pedesis"
    try:
        place = find(HOUSE)
    except ModelError as fault:
        return Check("built-in model", False, str(fault), cure)
    files = sorted(place.path.rglob("*.safetensors"))
    size = sum(file.stat().st_size for file in files)
    return Check("built-in model", True, f"{place.pipeline}, {len(files)} weight files, {size / 1e6:.0f} MB")


def _state() -> Check:
    """Where a show that resumes keeps its walk."""
    from engine.show.paths import state_dir

    cure = "set XDG_STATE_HOME to a folder that can be written to; a show runs without, and starts afresh each time"
    try:
        folder = state_dir()
        _try_to_write(folder)
    except OSError as fault:
        return Check("saved walks", None, f"cannot be kept: {fault.strerror or fault}", cure)
    return Check("saved walks", True, f"kept in {folder}")


def _downloads() -> list[Check]:
    """Where `pedesis models fetch` puts models: told only where it cannot."""
    from huggingface_hub.constants import HF_HUB_CACHE

    try:
        _try_to_write(Path(HF_HUB_CACHE))
    except OSError as fault:
        cure = "set HF_HOME to a folder that can be written to before fetching a model; shows run without"
        return [Check("downloads", None, f"no model can be kept: {fault.strerror or fault}", cure)]
    return []


def _temp() -> Check:
    try:
        folder = Path(tempfile.gettempdir())
        _try_to_write(folder)
    except OSError:
        cure = "make /tmp writable, or set TMPDIR to a folder that is; shows run without"
        return Check("temporary files", None, "no folder for them can be written to", cure)
    return Check("temporary files", True, f"in {folder}")


def _try_to_write(folder: Path) -> None:
    """Tried for real, as permissions tell half of it; leaves nothing behind, folders included. Raises OSError."""

    def trial() -> None:
        missing = [place for place in (folder, *folder.parents) if not place.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"x")
                file.flush()
        finally:
            for place in missing:
                with suppress(OSError):
                    place.rmdir()

    in_time(trial, DISK_TIMEOUT_S)


def _shared() -> list[Check]:
    """Pictures go from the dreamer to the stage through shared memory; Linux has it in a folder that can be small."""
    folder = Path("/dev/shm")
    if not sys.platform.startswith("linux"):
        return []
    cure = "mount -t tmpfs tmpfs /dev/shm; in a container: docker run --shm-size=1g"
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        return [Check("shared memory", False, f"{folder} is not there or cannot be written to", cure)]
    free = shutil.disk_usage(folder).free / 1e6
    return [Check("shared memory", free >= 64, f"{free:.0f} MB free in {folder}", cure)]


def _disk(folder: Path) -> Check:
    try:
        folder = folder.resolve()
        free = shutil.disk_usage(folder).free / _GB
    except OSError as fault:
        return Check("disk", False, f"{folder}: {fault.strerror}", "start Pedesis from a folder that exists")
    says = f"{free:.1f} GB free in {folder}"  # an hour of 1280x720 at crf 18 with grain is about 10 GB
    try:
        _try_to_write(folder)
    except OSError as fault:
        cure = "start Pedesis from another folder, or name one with --out, to film or to take stills; shows run without"
        return Check("disk", None, f"{folder} cannot be written to: {fault.strerror or fault}", cure)
    return Check("disk", True if free >= 5 else None if free >= 0.2 else False, says, "make room before filming")


def _ram() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    free, total = memory.available / _GB, memory.total / _GB
    says = f"{free:.1f} GB free of {total:.1f} GB"
    cure = "close other programs; the built-in model needs about 2 GB"
    return Check("memory", True if free >= 3 else None if free >= 1 else False, says, cure)
