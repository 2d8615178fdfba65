"""What a show settles before it begins: model, listening address, window, program and film.

    ModelSpec(steps=2)

Each spec is one table of a show ([window] is StageSpec); config.py fills them in from the parameters of that name.
Plain data, any process.
"""

from dataclasses import dataclass

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
    scheduler_options: str = ""  # name=value, separated by commas
    recipe: str = "none"  # a few-step family, as its authors sample it
    negative: str = ""
    control: str | None = None  # a ControlNet
    control_hint: str = "canny"  # what it is shown of a guide: canny, picture
    adapter: str | None = None  # an IP-Adapter
    adapter_encoder: str | None = None  # what looks at pictures for it
    decode: str = "auto"  # whole, tiles
    encoders: str = "auto"  # of text: keep, reread
    quantize: str = "none"  # int8, fp8
    graphs: bool = True  # CUDA's
    compile: bool = False


@dataclass(frozen=True)
class OscSpec:
    """Where the show listens for controllers."""

    host: str = "127.0.0.1"
    port: int = 7000
    enabled: bool = True
    reply: bool = True
    feedback: str = ""  # host:port of controllers, commas between them
    status: float = 1.0  # seconds


@dataclass(frozen=True)
class ProgramSpec:
    """The finished picture as it leaves the show, whatever it is shown on."""

    width: int = 0  # pixels; 0: as large as the window is when the show begins
    height: int = 0


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
