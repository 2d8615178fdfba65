// The shelves in the light of what stands on them; there is no other. Added to what is there.
#include "common.glsl"
in vec2 v_light;
in float v_across;
in float v_ahead;
in float v_faint;
flat in float v_kind;  // 1 a board's edge, 2 its upper side
out vec4 colour;
uniform sampler2D u_light;  // how much light stands at each place of each board
uniform float u_colour;
uniform float u_depth;      // how far one sees

void main() {
    vec3 light = textureLod(u_light, v_light, 0.0).rgb;
    float haze = v_ahead / u_depth;
    float fog = max(exp(-haze * haze) - 0.1, 0.0) / 0.9;
    float on = 1.0 - abs(2.0 * v_across - 1.0);
    vec3 c = v_kind < 1.5 ? (light * 0.55 + vec3(0.006, 0.009, 0.016)) * min(2.0 * on, 1.0) * v_faint : light * (0.05 + 0.36 * on * on);
    c = mix(vec3(luminance(c)), c, u_colour);
    colour = vec4(c * fog, 0.0);
}
