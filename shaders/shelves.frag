// The spheres of the shelves, all in one call (shelves.vert). Linear light, alpha multiplied in.
#include "glass.glsl"
in vec2 v_p;
flat in vec4 v_tile;
flat in vec4 v_light;
flat in vec4 v_turn;
flat in vec3 v_around;
out vec4 colour;
uniform sampler2D u_atlas;
uniform float u_colour;  // 0 takes all colour out

void main() {
    float r2 = dot(v_p, v_p);
    float cover = clamp((1.0 - sqrt(r2)) * v_turn.w + 0.5, 0.0, 1.0);
    vec2 q = lens(v_p, min(r2, 1.0));
    q = vec2(v_turn.x * q.x - v_turn.y * q.y, v_turn.y * q.x + v_turn.x * q.y);
    vec3 s = textureLod(u_atlas, v_tile.xy + (q + 0.5) * v_tile.z, 0.0).rgb;
    s *= s * (s * 0.305306011 + 0.682171111) + 0.012522878;  // the sRGB curve as a cubic, within half an 8-bit step
    vec3 inner = inside_without(mix(v_light.rgb, s, v_tile.w), v_light.rgb, u_colour);
    vec3 c = glass(v_p, min(r2, 1.0), inner, v_light.rgb, v_around, v_light.w);
    c = without(c, u_colour);
    colour = vec4(c, 1.0) * (cover * v_turn.z);
}
