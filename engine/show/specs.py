"""What a show fixes before it begins: model, listening address, window and film.

    ModelSpec(steps=2); {key.name: key for key in spec_keys()}["model.steps"].coerce(2)

Each spec is one table of a show ([window] is StageSpec); config.py fills them in. Plain data, any process.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.show.params import Param

CODECS = ("h264", "h265", "prores", "png")  # those of encoder.py, which is too heavy to import for this


@dataclass(frozen=True)
class Material:
    """Something the walk can draw from. `name` is a slug: its weight is the parameter `material.<name>`."""

    name: str
    prompt: str
    weight: float = 1.0


@dataclass(frozen=True)
class ModelSpec:
    """Which model dreams, and how."""

    name: str = "house"  # the built-in one, a folder, or a Hugging Face repository
    steps: int = 4
    guidance: float = 1.0  # 1 is none
    width: int = 256  # pixels
    height: int = 256
    dtype: str = "auto"
    device: str = "auto"
    decoder: str | None = None  # a tiny decoder to use in place of the model's own
    scheduler: str | None = None  # a diffusers scheduler class
    negative: str = ""


@dataclass(frozen=True)
class OscSpec:
    """Where the show listens for controllers."""

    host: str = "127.0.0.1"
    port: int = 7000
    enabled: bool = True


@dataclass(frozen=True)
class StageSpec:
    """The window ([window] in a show)."""

    width: int = 1280  # pixels
    height: int = 720
    fullscreen: bool = True
    display: int = 0
    fit: str = "cover"
    fps_headless: int = 60
    resume: bool = False


@dataclass(frozen=True)
class FilmSpec:
    """What `pedesis film` makes when it is not told otherwise."""

    width: int = 1280  # pixels
    height: int = 720
    fps: float = 30
    crf: int = 20
    gap: float = 0.15  # correlation lengths between keyframes
    codec: str = "h264"


def spec_keys() -> list[Param]:
    """Everything in a show that is not steered: checked like parameters, fixed once the show has begun."""
    side = "pixels"
    return [
        Param("model.name", "text", "house",
              "The built-in model (house), a folder, or a Hugging Face repository."),
        Param("model.steps", "integer", 4, "Sampling steps a picture; fewer is faster.", 1, 100),
        Param("model.guidance", "number", 1.0,
              "How hard prompts are pressed home; 1 is no guidance, and twice as fast.", 1, 30),
        Param("model.width", "integer", 256, "Width of a dreamt picture, a multiple of 8.", 64, 4096, side),
        Param("model.height", "integer", 256, "Height of a dreamt picture, a multiple of 8.", 64, 4096, side),
        Param("model.dtype", "choice", "auto", "Arithmetic of the model.",
              choices=("auto", "float32", "float16", "bfloat16")),
        Param("model.device", "text", "auto", "Where the model runs."),
        Param("model.decoder", "text", "", "A tiny decoder in place of the model's own."),
        Param("model.scheduler", "text", "", "A diffusers scheduler class in place of the model's own."),
        Param("model.negative", "text", "", "What to keep away from, when there is guidance."),
        Param("osc.host", "text", "127.0.0.1", "Address to listen at; 0.0.0.0 lets the whole network steer."),
        Param("osc.port", "integer", 7000, "UDP port to listen at.", 1, 65535),
        Param("osc.enabled", "switch", True, "Whether to listen at all."),
        Param("window.width", "integer", 1280, "Width of the window.", 16, 16384, side),
        Param("window.height", "integer", 720, "Height of the window.", 16, 16384, side),
        Param("window.fullscreen", "switch", True, "The whole display, or a window."),
        Param("window.display", "integer", 0, "Which display, counted from 0.", 0, 63),
        Param("window.fit", "choice", "cover", "Fill the stage and crop, or show all with bars.",
              choices=("cover", "letterbox")),
        Param("window.fps_headless", "integer", 60, "Frame rate where there is no display.", 1, 240, "fps"),
        Param("window.resume", "switch", False, "Whether to go on where the last run ended."),
        Param("film.width", "integer", 1280, "Width of a film, even.", 16, 16384, side),
        Param("film.height", "integer", 720, "Height of a film, even.", 16, 16384, side),
        Param("film.fps", "number", 30, "Frame rate of a film.", 1, 240, "fps"),
        Param("film.crf", "integer", 20,
              "Quality of a film: lower is better and larger; 0 is the best that ordinary players can show.", 0, 51),
        Param("film.gap", "number", 0.15, "Most change between two dreamt pictures of a film.",
              0.01, 2, "phase"),
        Param("film.codec", "choice", "h264", "How a film is encoded.", choices=CODECS),
    ]  # fmt: skip


# What the kinds cannot say: (holds, in words).
RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    # As spectrum.LOOP_MIN, whose numpy is not imported for this.
    "walk.loop": (lambda v: v == 0 or v >= 1, "0, which is an open walk, or a number from 1 to 10000 phase"),
    "model.name": (lambda v: bool(v.strip()), "a name, a folder or a repository"),
    "model.width": (lambda v: v % 8 == 0, "a multiple of 8 pixels from 64 to 4096"),
    "model.height": (lambda v: v % 8 == 0, "a multiple of 8 pixels from 64 to 4096"),
    "model.device": (
        lambda v: re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,2})?", v) is not None,
        "auto, cpu, mps, cuda or cuda:N",
    ),
    "osc.host": (lambda v: bool(v.strip()), "a host name or address"),
    "film.width": (lambda v: v % 2 == 0, "an even number of pixels"),
    "film.height": (lambda v: v % 2 == 0, "an even number of pixels"),
}
