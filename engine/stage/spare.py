"""Plain stand-ins for our own passes, for when the file in shaders/ has never compiled.

Usage: `Pass(ctx, spare("screen.frag"))`. Stage process, GL thread.

They show the picture without any finish, so that a show can begin, and can be repaired, whatever was done to
shaders/ before.
"""

from pathlib import Path

from engine.stage.gl import Source

_HEAD = "#version 330 core\nin vec2 v_uv;\nin vec2 v_place;\nout vec4 colour;\n"
_PICTURE = """uniform sampler2D u_a;
uniform sampler2D u_b;
uniform float u_mix;
vec4 picture() { return mix(texture(u_a, v_uv), texture(u_b, v_uv), u_mix); }
"""
_SOURCE = "uniform sampler2D u_source;\n"

_PASSES = {
    "crossfade.frag": _PICTURE + "void main() { colour = picture(); }",
    "encode.frag": _PICTURE + "uniform float u_fade;\n"
    "void main() { colour = vec4(pow(max(picture().rgb, 0.0), vec3(1.0 / 2.2)) * u_fade, 1.0); }",
    "grade.frag": _PICTURE + "uniform float u_gain;\n"
    "void main() { colour = vec4(pow(max(picture().rgb * u_gain, 0.0), vec3(1.0 / 2.2)), 1.0); }",
    "sharpen.frag": _SOURCE + "void main() { colour = texelFetch(u_source, ivec2(gl_FragCoord.xy), 0); }",
    "screen.frag": _SOURCE + "uniform float u_fade;\nvoid main() { colour = texture(u_source, v_uv) * u_fade; }",
    "plain.frag": _SOURCE + "void main() { colour = texture(u_source, v_uv); }",
    "numbers.frag": _PICTURE + "void main() { colour = picture(); }",
    "overlay.frag": "uniform sampler2D u_text;\nvoid main() { colour = texture(u_text, vec2(v_uv.x, 1.0 - v_uv.y)); }",
    "caption.frag": "uniform sampler2D u_text;\nuniform float u_alpha;\nuniform float u_fade;\n"
    "void main() { vec4 t = texture(u_text, vec2(v_uv.x, 1.0 - v_uv.y)) * u_alpha;\n"
    "    colour = vec4(vec3(t.r) * u_fade, max(t.r, 0.6 * t.g)); }",
    "hall.frag": "void main() { colour = vec4(0.004, 0.006, 0.012, 1.0); }",
    "card.frag": _PICTURE + "uniform float u_alpha;\nuniform float u_shows;\nuniform vec4 u_veil;\n"
    "void main() { vec3 shown = u_shows > 0.5 ? pow(max(picture().rgb, 0.0), vec3(1.0 / 2.2)) : u_veil.rgb;\n"
    "    colour = vec4(shown, 1.0) * u_alpha; }",
    "ink.frag": "uniform sampler2D u_ink;\nuniform vec4 u_tone;\nuniform float u_drawn;\n"
    "void main() { vec4 ink = texture(u_ink, vec2(v_uv.x, 1.0 - v_uv.y));\n"
    "    colour = (u_drawn > 0.5 ? ink : vec4(u_tone.rgb, 1.0) * ink.r) * u_tone.a; }",
    "mapground.frag": "void main() { colour = vec4(0.002, 0.003, 0.006, 1.0); }",
    "inside.frag": "uniform sampler2D u_live;\nuniform vec2 u_screen;\nuniform vec4 u_disc;\nuniform vec2 u_fill;\n"
    "void main() { vec2 p = v_place * u_screen - u_disc.xy;\n"
    "    if (length(p) > u_disc.z) discard;\n"
    "    colour = vec4(textureLod(u_live, 0.5 + p / u_screen.y * u_fill, 0.0).rgb, 1.0) * u_disc.w; }",
    "waiting.frag": "uniform float u_time;\n"
    "void main() { colour = vec4(vec3(0.20, 0.15, 0.11) * (1.0 + 0.2 * sin(u_time * 0.5))"
    " * (1.0 - length(v_place)), 1.0); }",
}
_DISSOLVE = """uniform sampler2D u_from;
uniform sampler2D u_to;
uniform float progress;
void main() { colour = mix(texture(u_from, v_uv), texture(u_to, v_uv), progress); }"""

# Vertex and fragment shader of those that do not draw over the whole of a target.
_GEOMETRY = {
    "shelves.frag": (
        """in vec4 i_place;
in vec4 i_light;
in vec4 i_turn;
uniform vec2 u_lens;
out vec2 v_p;
flat out vec4 v_light;
void main() {
    v_p = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0 - 1.0;
    v_light = vec4(i_light.rgb * i_light.a, i_turn.z);
    gl_Position = vec4((i_place.xy + v_p * i_place.w) * u_lens, 0.0, i_place.z);
}""",
        """in vec2 v_p;
flat in vec4 v_light;
void main() {
    if (dot(v_p, v_p) > 1.0) discard;
    colour = vec4(v_light.rgb, 1.0) * v_light.a;
}""",
    ),
    "map.frag": (
        """in vec4 i_line;
in vec4 i_shape;
in vec4 i_colour;
uniform vec2 u_half;
out vec2 v_p;
flat out vec4 v_light;
void main() {
    v_p = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0 - 1.0;
    v_light = i_colour * (i_shape.y == 1.0 ? 0.0 : 1.0);
    gl_Position = vec4((i_line.zw + v_p * i_shape.x) / u_half, 0.0, 1.0);
}""",
        """in vec2 v_p;
flat in vec4 v_light;
void main() {
    if (dot(v_p, v_p) > 1.0) discard;
    colour = vec4(v_light.rgb, 1.0) * v_light.a;
}""",
    ),
    "scraps.frag": (
        """in vec4 i_place;
in vec4 i_turn;
in vec4 i_tile;
in vec3 i_stock;
uniform vec2 u_screen;
out vec3 v_uv;
flat out vec4 v_paper;
void main() {
    vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1);
    v_uv = vec3(corner * i_tile.xy, i_turn.w);
    v_paper = vec4(i_stock, i_turn.z);
    gl_Position = vec4((i_place.xy + (corner * 2.0 - 1.0) * i_place.zw) / u_screen * 2.0 - 1.0, 0.0, 1.0);
}""",
        """in vec3 v_uv;
flat in vec4 v_paper;
uniform sampler2DArray u_atlas;
uniform float u_opacity;
uniform float u_fade;
void main() {
    vec4 t = texture(u_atlas, v_uv);
    colour = vec4(v_paper.rgb * (1.0 - t.r) * u_fade, 1.0) * t.g * v_paper.a * u_opacity;
}""",
    ),
    "boards.frag": ("void main() { gl_Position = vec4(0.0); }", "void main() { colour = vec4(0.0); }"),
}

OWN_VERTICES = frozenset(_GEOMETRY)  # these have a .vert of the same name beside them
NATIVES = tuple(sorted({*_PASSES, *_GEOMETRY}))  # file names of our own passes


def spare(key: str) -> Source:
    """The stand-in for a file of shaders/: for one of our own passes, or for any transition a dissolve."""
    if key in _GEOMETRY:
        vertex, fragment = _GEOMETRY[key]
        return _source("#version 330 core\nout vec4 colour;\n" + fragment, _source("#version 330 core\n" + vertex))
    return _source(_HEAD + _PASSES.get(key, _DISSOLVE))


def _source(text: str, vertex: Source | None = None) -> Source:
    lines = text.count("\n") + 1
    return Source(text + "\n", tuple((Path("<pedesis>"), n + 1) for n in range(lines)), vertex)
