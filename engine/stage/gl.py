"""GL context, render targets and the full-screen pass every picture goes through.

Usage: `ctx = create_context(headless=True); p = Pass(ctx, source); p.render(target.framebuffer, {"u": 0.5})`.
Stage process, GL thread only (the thread that made the context).
"""

import ctypes
import re
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import moderngl
import numpy as np

from engine.show.errors import CannotStart
from engine.stage import shader_cache

# One triangle that covers the screen, made from the vertex number: no buffers to keep.
VERTEX_SOURCE = """#version 330 core
uniform vec4 u_turn = vec4(1.0, 0.0, 0.0, 1.0);  // columns of a 2x2 matrix: free here, not per pixel
uniform vec2 u_shift = vec2(0.5);
out vec2 v_place;  // where on what is drawn into, -1/2 to 1/2
out vec2 v_uv;     // the same place in the source
void main() {
    vec2 corner = vec2((gl_VertexID << 1) & 2, gl_VertexID & 2);
    v_place = corner - 0.5;
    v_uv = mat2(u_turn.xy, u_turn.zw) * v_place + u_shift;
    gl_Position = vec4(corner * 2.0 - 1.0, 0.0, 1.0);
}
"""

UPDATE = "update the graphics driver"
WINDOW_CURE = UPDATE + (
    ", or set LIBGL_ALWAYS_SOFTWARE=1 to let the processor draw"
    if sys.platform.startswith("linux")
    else " (over Remote Desktop there is often none)"
    if sys.platform == "win32"
    else ""
)
GL_TEXTURE_2D, GL_RGBA, GL_BGRA, GL_UNSIGNED_INT_8_8_8_8_REV = 0x0DE1, 0x1908, 0x80E1, 0x8367
EGL_DEVICES = 8  # tried at most

MISFITS = (TypeError, ValueError, struct.error)  # what moderngl raises for a value that a uniform cannot hold

Uniform = float | int | bool | Sequence[float] | Sequence[int]
Geometry = Sequence[tuple[Any, ...]]  # (buffer, format, names…) each

# Mesa "0:12(5): error: …", NVIDIA "0(12) : error C0000: …", Apple, AMD and Intel "ERROR: 0:12: …".
_LOG_LINE = re.compile(r"^(?:ERROR:\s*)?\d+[:(](\d+)\)?(?:\(\d+\))?\s*:\s*(.*)$", re.IGNORECASE)


class ShaderError(CannotStart):
    """A shader that does not compile: `.file` and `.line` as the artist's editor counts them."""

    def __init__(self, file: Path, line: int, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}")
        self.file = file
        self.line = line
        self.message = message


class NoGraphics(CannotStart):
    """No OpenGL to be had; the message is one sentence with the cure."""


@dataclass(frozen=True)
class Source:
    """Fragment source ready for the compiler, and where each of its lines came from."""

    text: str
    origin: tuple[tuple[Path, int], ...]  # (file, line) of every line of `text`
    vertex: "Source | None" = None  # a vertex shader of its own; None: VERTEX_SOURCE, over the whole of the target


@dataclass(frozen=True)
class Target:
    """A texture that can be drawn into."""

    texture: moderngl.Texture
    framebuffer: moderngl.Framebuffer

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.texture.size

    def release(self) -> None:
        """Give the memory back."""
        self.framebuffer.release()
        self.texture.release()


def create_context(headless: bool) -> moderngl.Context:
    """An OpenGL 3.3 core context: with no display (on Linux through EGL), or the one GLFW made current."""
    shader_cache.hush()
    try:
        # gc_mode stays off: an object of an earlier context that Python collects late would delete whatever bears
        # its number in the context that is current then.
        return _standalone() if headless else moderngl.create_context(require=330)
    except Exception as error:  # moderngl raises bare Exception, ValueError and ImportError alike
        cure = _headless_cure(str(error)) if headless else WINDOW_CURE
        raise NoGraphics(f"Pedesis needs OpenGL 3.3, which is not available here ({error}): {cure}.") from error


def _headless_cure(fault: str) -> str:
    if not sys.platform.startswith("linux"):
        return UPDATE
    if "not loaded" in fault:
        return "EGL is missing; install it (Debian and Ubuntu: apt-get install libegl1 libgl1-mesa-dri)"
    if "CreateContext" in fault or "version" in fault.lower():
        return f"{UPDATE}, or install one that draws with the processor (Debian and Ubuntu: libgl1-mesa-dri)"
    return (
        "no graphics driver can be used; install one (Debian and Ubuntu: apt-get install libgl1-mesa-dri), "
        "or add this user to the groups video and render"
    )


def _standalone() -> moderngl.Context:
    """A context with no window. EGL lists a machine's devices, and the first may be one that this user may not open."""
    if not sys.platform.startswith("linux"):
        return moderngl.create_context(require=330, standalone=True)
    first: Exception | None = None
    for device in range(EGL_DEVICES):
        try:
            # moderngl's stub wants dicts here; its documentation and its code, a name and a number.
            options: dict[str, Any] = {"backend": "egl", "device_index": device}
            return moderngl.create_context(require=330, standalone=True, **options)
        except Exception as error:
            first = first or error
            if "device index" in str(error):  # there are no more
                break
    assert first is not None
    raise first


def finisher(ctx: moderngl.Context) -> Callable[[], None]:
    """A function that waits until everything is drawn, and lets Python's other threads run meanwhile.

    moderngl's own holds the interpreter: with a software renderer for nearly half of a film's time, in which the
    encoder's thread could not hand over the next picture.
    """
    return _function(ctx, "glFinish") or ctx.finish


def _function(ctx: moderngl.Context, name: str, *takes: type) -> Callable[..., None] | None:
    """One of OpenGL's own functions, for what moderngl does not offer; None where its loader is kept elsewhere."""
    try:
        address = ctx.mglo._context.load_opengl_function(name)
    except AttributeError:
        return None
    return ctypes.CFUNCTYPE(None, *takes)(address) if address else None


def is_software(ctx: moderngl.Context) -> bool:
    """Whether pictures are drawn by the processor (Mesa llvmpipe, softpipe, SwiftShader)."""
    renderer = str(ctx.info.get("GL_RENDERER", "")).lower()
    return any(name in renderer for name in ("llvmpipe", "softpipe", "swiftshader", "software"))


def make_target(ctx: moderngl.Context, size: tuple[int, int], dtype: str = "f2", repeat: bool = False) -> Target:
    """A cleared RGBA target; "f2" is 16-bit float for linear light, "f1" 8-bit for what is encoded."""
    if min(size) < 1:
        raise ValueError(f"a target needs at least 1×1 pixels, got {size[0]}×{size[1]}")
    texture = ctx.texture(size, 4, dtype=dtype)
    texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
    texture.repeat_x = texture.repeat_y = repeat
    framebuffer = ctx.framebuffer([texture])
    framebuffer.clear()
    return Target(texture, framebuffer)


def lay_blue_first(ctx: moderngl.Context, texture: moderngl.Texture) -> None:
    """Empty an 8-bit RGBA texture and give it a window's byte order, blue first. Shaders see no difference.

    Between two such textures Mesa's software renderer has a shortcut for a pass that only samples (its "linear"
    rasterizer), which takes half the time. moderngl has no name for it: a texture gets this order when it is made
    with an unsized format for data that comes in it.
    """
    integer = ctypes.c_int
    bind = _function(ctx, "glBindTexture", integer, integer)
    image = _function(ctx, "glTexImage2D", *[integer] * 8, ctypes.c_void_p)
    if bind and image:
        bind(GL_TEXTURE_2D, texture.glo)
        image(GL_TEXTURE_2D, 0, GL_RGBA, *texture.size, 0, GL_BGRA, GL_UNSIGNED_INT_8_8_8_8_REV, None)


class Pass:
    """One fragment shader over the whole of a framebuffer, or over the geometry that it is given."""

    def __init__(
        self,
        ctx: moderngl.Context,
        source: Source,
        defaults: Mapping[str, Uniform] | None = None,
        on_misfit: Callable[[ShaderError], None] | None = None,
    ) -> None:
        """defaults: uniforms it will be told; a ShaderError now if they do not fit, and not when it is drawn.

        on_misfit: called if something else that it is told when drawn does not fit, to rebuild it from a source that
        takes it; without one it is a ShaderError then.
        """
        self._ctx = ctx
        self._on_misfit = on_misfit
        self._geometry: Geometry = ()
        self._told: dict[str, Uniform] = {}  # a program remembers its uniforms: most stay from frame to frame
        self._take(source, defaults or {})

    def rebuild(self, source: Source, defaults: Mapping[str, Uniform] | None = None) -> None:
        """Swap in new source. On ShaderError the old program stays, also when what it was told no longer fits."""
        old = self._program, self._vao
        self._take(source, {**self._told, **(defaults or {})})
        for part in old:
            part.release()

    def _take(self, source: Source, values: Mapping[str, Uniform]) -> None:
        program, vao = _build(self._ctx, source, self._geometry)
        named = ((name, program[name]) for name in program)
        members = {name: m for name, m in named if isinstance(m, moderngl.Uniform)}
        for name, value in values.items():
            try:
                if name in members:
                    members[name].value = value
            except MISFITS as error:
                vao.release()
                program.release()
                raise _misfit(source, name, value) from error
        self._source, self._program, self._vao, self._members = source, program, vao, members
        self._told = dict(values)

    def feed(self, geometry: Geometry) -> None:
        """What its own vertex shader reads from now on: (buffer, format, names) each, as moderngl has them."""
        vao = self._ctx.vertex_array(self._program, list(geometry), skip_errors=True)
        self._vao.release()
        self._geometry, self._vao = geometry, vao

    def render(
        self,
        framebuffer: moderngl.Framebuffer,
        uniforms: Mapping[str, Uniform] | None = None,
        textures: Mapping[str, moderngl.Texture | moderngl.TextureArray] | None = None,
        strip: tuple[int, int] | None = None,
    ) -> None:
        """Draw. Names the program does not use are ignored: an optimiser may drop any uniform.

        strip: (vertices, instances) of a triangle strip instead of the whole target, in one call.
        """
        framebuffer.use()
        values: dict[str, Uniform] = dict(uniforms or {})
        for unit, (name, texture) in enumerate((textures or {}).items()):
            texture.use(unit)
            values[name] = unit
        try:
            self._tell(values)
        except ShaderError as error:
            if self._on_misfit is None:
                raise
            self._on_misfit(error)
            self._tell(values)
        if strip is None:
            self._vao.render(vertices=3)
        else:
            self._vao.render(moderngl.TRIANGLE_STRIP, vertices=strip[0], instances=strip[1])

    def _tell(self, values: Mapping[str, Uniform]) -> None:
        for name, value in values.items():
            if self._told.get(name) == value:
                continue
            self._told[name] = value
            try:
                if (member := self._members.get(name)) is not None:
                    member.value = value
            except MISFITS as error:
                raise _misfit(self._source, name, value) from error


def _build(ctx: moderngl.Context, source: Source, geometry: Geometry) -> tuple[moderngl.Program, moderngl.VertexArray]:
    own = source.vertex
    try:
        program = ctx.program(vertex_shader=own.text if own else VERTEX_SOURCE, fragment_shader=source.text)
    except moderngl.Error as error:
        log = str(error)
        raise located(own if own and "vertex_shader" in log else source, log) from error
    # A name that the optimiser dropped is no error.
    return program, ctx.vertex_array(program, list(geometry), skip_errors=True)


def _misfit(source: Source, name: str, value: Uniform) -> ShaderError:
    declared = re.compile(rf"\s*uniform\b.*\b{re.escape(name)}\b")
    line = next((n for n, text in enumerate(source.text.splitlines()) if declared.match(text)), 0)
    file, number = source.origin[min(line, len(source.origin) - 1)]
    return ShaderError(file, number, f"uniform {name} is given {value!r}, which does not fit its type")


def located(source: Source, log: str) -> ShaderError:
    """The first error of a compiler's log, at the file and line the artist wrote."""
    for raw in log.splitlines():
        match = _LOG_LINE.match(raw.strip())
        if match and "warning" not in raw.lower():
            number = int(match.group(1))
            file, line = source.origin[min(max(number, 1), len(source.origin)) - 1]
            message = re.sub(r"^error\s*:?\s*", "", match.group(2).strip(), flags=re.IGNORECASE)
            return ShaderError(file, line, message)
    # A link error has no line; the whole log is all there is to say.
    file, line = source.origin[-1]
    text = " ".join(part.strip() for part in log.splitlines() if part.strip(" ="))
    return ShaderError(file, line, text or "the shader does not link")


def read_pixels(framebuffer: moderngl.Framebuffer) -> np.ndarray:
    """What the framebuffer shows: (H, W, 3) uint8, top row first."""
    _, _, width, height = framebuffer.viewport
    data = framebuffer.read(viewport=(0, 0, width, height), components=3, alignment=1)
    pixels = np.frombuffer(data, dtype=np.uint8).reshape(height, width, 3)
    return np.ascontiguousarray(pixels[::-1])


def make_field(ctx: moderngl.Context, side: int = 256, seed: int = 20) -> moderngl.Texture:
    """A seamless texture of four independent cloud fields, even in density: each 0..1, mean 1/2.

    Fractal noise drawn in the frequency domain, amplitude falling as 1/f^1.6, so one tap gives every
    octave at once; a sum of octaves per pixel would cost a software renderer far more.
    """
    rng = np.random.default_rng(seed)
    fx, fy = np.meshgrid(np.fft.rfftfreq(side, 1 / side), np.fft.fftfreq(side, 1 / side))
    radius = np.hypot(fx, fy)
    radius[0, 0] = np.inf
    fields = np.empty((side, side, 4), dtype=np.float16)
    for channel in range(4):
        white = np.fft.rfft2(rng.standard_normal((side, side)))
        cloud = np.fft.irfft2(white * radius**-1.6, s=(side, side))
        # Ranks instead of values: every threshold then cuts off exactly its share of the area, which
        # lets a transition run at an even pace.
        ranks = np.empty(side * side)
        ranks[np.argsort(cloud, axis=None)] = np.linspace(0.0, 1.0, side * side)
        fields[..., channel] = ranks.reshape(side, side)
    texture = ctx.texture((side, side), 4, fields.tobytes(), dtype="f2")
    texture.build_mipmaps()  # a shader that wants a soft field reads a level further up
    texture.filter = (moderngl.LINEAR_MIPMAP_NEAREST, moderngl.LINEAR)
    texture.repeat_x = texture.repeat_y = True
    return texture
