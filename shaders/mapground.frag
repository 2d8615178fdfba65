// The ground of the map: the dark that the shelves stand in too, and on it the kinds as washes of light, deeper at
// their edges as a wash of watercolour dries. Linear light.
#include "common.glsl"
in vec2 v_place;
in vec2 v_uv;
out vec4 colour;
uniform sampler2D u_wash;  // the light of what lies there, and how much lies there
uniform float u_ratio;

void main() {
    vec4 wash = textureLod(u_wash, v_uv, 0.0);
    float much = wash.a;
    vec3 tone = wash.rgb / max(much, 0.001);
    float body = smoothstep(0.02, 0.55, much);
    float tide = smoothstep(0.05, 0.16, much) * (1.0 - smoothstep(0.16, 0.42, much));
    vec2 p = v_place * vec2(u_ratio, 1.0);
    float open = 1.0 / (1.0 + 2.5 * dot(p, p));
    vec3 c = mix(vec3(0.0008, 0.0011, 0.0026), vec3(0.0030, 0.0042, 0.0088), open);
    c += tone * (0.050 * body + 0.022 * tide);
    colour = vec4(c, 1.0);
}
