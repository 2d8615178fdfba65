// The dark that the shelves stand in: deep, a little lighter where the aisle goes, with a slow mist.
#include "common.glsl"
in vec2 v_place;
in vec2 v_uv;
out vec4 colour;
uniform sampler2D u_field;  // four even cloud fields, seamless
uniform sampler2D u_glow;   // the light around the spheres
uniform vec2 u_far;         // where on screen the aisle goes
uniform vec2 u_sky;         // which way the camera looks: aside and up
uniform float u_ratio;
uniform float u_time;
uniform float u_colour;

void main() {
    vec2 p = v_place * vec2(u_ratio, 1.0);
    vec2 d = p - u_far * vec2(u_ratio, 1.0) * 0.5;
    float open = 1.0 / (1.0 + 10.0 * dot(d * vec2(0.8, 1.0), d));
    vec4 mist = textureLod(u_field, p * 0.30 + u_sky + vec2(0.0031, -0.0012) * u_time, 2.0);
    float veil = mist.r * mist.g;
    vec3 c = vec3(0.0010, 0.0014, 0.0034) + vec3(0.0050, 0.0085, 0.0200) * open * open * open;
    c += mix(vec3(0.003, 0.006, 0.016), vec3(0.022, 0.016, 0.016), open) * veil * open;
    vec3 glow = textureLod(u_glow, v_uv, 0.0).rgb;
    c += glow * (0.07 + 0.20 * mist.b);
    c = mix(vec3(luminance(c)), c, u_colour);
    colour = vec4(c, 1.0);
}
