// The marks on the map of what was dreamt: the path, memories as lit glass, the present. Linear light, alpha multiplied
// in; light alone has none.
#include "glass.glsl"
in vec2 v_at;
flat in float v_long;
flat in vec4 v_shape;
flat in vec4 v_colour;
flat in vec4 v_tile;
out vec4 colour;
uniform sampler2D u_atlas;

void main() {
    float far = length(vec2(v_at.x - clamp(v_at.x, 0.0, v_long), v_at.y));
    float d = far / v_shape.x;
    float much = mix(v_colour.a, v_tile.w, v_long > 0.0 ? clamp(v_at.x / v_long, 0.0, 1.0) : 0.0);
    if (v_shape.y < 0.5) {  // a light, or a line of light
        float soft = max(1.0 - d * d, 0.0);
        colour = vec4(v_colour.rgb * (much * soft * soft * soft), 0.0);
    } else if (v_shape.y < 1.5) {  // a ring around what is present
        float line = max(1.0 - abs(far - v_shape.x + 2.0 + v_shape.z) / (1.2 + v_shape.z), 0.0);
        colour = vec4(v_colour.rgb, 0.6) * (much * line);
    } else {  // a memory
        vec2 p = v_at / v_shape.x;
        float r2 = dot(p, p);
        float cover = clamp((1.0 - sqrt(r2)) * v_shape.x + 0.5, 0.0, 1.0);
        vec2 q = lens(p, min(r2, 1.0));
        vec3 s = textureLod(u_atlas, v_tile.xy + (q + 0.5) * v_tile.z, 0.0).rgb;
        s *= s * (s * 0.305306011 + 0.682171111) + 0.012522878;  // the sRGB curve as a cubic
        vec3 inner = mix(v_colour.rgb, s, v_shape.w);
        vec3 c = glass(p, min(r2, 1.0), inner, v_colour.rgb, vec3(0.02), v_shape.z);
        colour = vec4(c, 1.0) * (cover * much);
    }
}
