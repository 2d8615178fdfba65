// The sphere in which the present picture plays, from all around the eye to one among many. Linear light.
#include "glass.glsl"
in vec2 v_place;
out vec4 colour;
uniform sampler2D u_live;   // the picture of now, with smaller ones of itself if they are needed
uniform sampler2D u_mean;   // its mean colour
uniform vec2 u_screen;      // size of what is drawn into, pixels
uniform vec4 u_disc;        // the sphere's middle and its radius, pixels; how much it covers
uniform vec2 u_fill;        // how the frame's height and width become the picture's when the picture fills it
uniform vec2 u_shape;       // how a square becomes part of the picture
uniform vec2 u_all;         // 1 as it fills the frame, 0 as seen in a sphere; 1 without any glass
uniform float u_level;      // which of the smaller pictures
uniform float u_colour;

// A cubic B-spline by four taps (see screen.frag): the live picture is drawn much larger than it is.
vec3 cubic(vec2 uv) {
    vec2 size = vec2(textureSize(u_live, 0));
    vec2 at = uv * size - 0.5;
    vec2 f = fract(at);
    vec2 f2 = f * f, f3 = f2 * f;
    vec2 w1 = 2.0 / 3.0 - f2 + 0.5 * f3;
    vec2 w3 = f3 / 6.0;
    vec2 g0 = (1.0 - 3.0 * f + 3.0 * f2 - f3) / 6.0 + w1;
    vec2 base = at - f + 0.5;
    vec2 low = (base - 1.0 + w1 / g0) / size;
    vec2 high = (base + 1.0 + w3 / (1.0 - g0)) / size;
    vec3 top = mix(textureLod(u_live, high, 0.0).rgb, textureLod(u_live, vec2(low.x, high.y), 0.0).rgb, g0.x);
    vec3 bottom = mix(textureLod(u_live, vec2(high.x, low.y), 0.0).rgb, textureLod(u_live, low, 0.0).rgb, g0.x);
    return mix(top, bottom, g0.y);
}

void main() {
    vec2 from = v_place * u_screen - u_disc.xy;
    vec2 p = from / max(u_disc.z, 1e-3);
    float r2 = dot(p, p), r = sqrt(r2);
    float cover = clamp((1.0 - r) * u_disc.z + 0.5, 0.0, 1.0);
    vec2 full = from / max(u_screen.y, 1.0) * u_fill;
    vec2 uv = 0.5 + mix(lens(p, min(r2, 1.0)) * u_shape, full, u_all.x);
    vec3 inner = u_level < 0.5 ? cubic(uv) : textureLod(u_live, uv, u_level).rgb;
    vec3 mean = textureLod(u_mean, vec2(0.5), 0.0).rgb;
    inner = inside_without(inner, mean, u_colour);
    vec3 c = mix(glass(p, min(r2, 1.0), inner, mean, mean, 1.0), inner, u_all.y) * cover;
    // The light that it throws around itself.
    float out_of = max(1.7 - r, 0.0) * (1.0 - cover);
    c += mean * out_of * out_of * out_of * 0.28 * (1.0 - u_all.y);
    c = without(c, u_colour);
    colour = vec4(c, cover) * u_disc.w;
}
