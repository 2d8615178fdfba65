// A picture on a card, or a veil, laid over the finished program. What is read is linear light, what is written is
// encoded; alpha is multiplied in. Drawn into the card's own rectangle.
#include "picture.glsl"
#include "common.glsl"
in vec2 v_place;
out vec4 colour;
uniform vec4 u_crop;    // left, top, width and height of what is seen of the picture, 0..1 from its upper left
uniform vec2 u_size;    // of the card, pixels
uniform float u_round;  // radius of its corners, pixels
uniform float u_alpha;
uniform float u_flip;   // 1 where the first row is the lowest
uniform vec4 u_veil;    // instead of a picture: its colour, encoded, and how it runs out: 0 even, 1 upward, 2 a frame
uniform float u_shows;  // 1 a picture, 0 a veil

void main() {
    vec2 p = abs(v_place) * u_size - 0.5 * u_size + u_round;
    float outside = length(max(p, 0.0)) + min(max(p.x, p.y), 0.0) - u_round;
    float cover = clamp(0.5 - outside, 0.0, 1.0) * u_alpha;
    if (u_shows > 0.5) {
        vec2 at = u_crop.xy + vec2(v_place.x + 0.5, 0.5 - v_place.y) * u_crop.zw;
        at.y = mix(at.y, 1.0 - at.y, u_flip);
        vec3 c = mix(texture(u_a, at).rgb, texture(u_b, at).rgb, u_mix);
        float edge = clamp(1.5 + outside, 0.0, 1.0) * min(u_round, 1.0);  // a hair of light around a card
        colour = vec4(mix(to_srgb(c), vec3(0.85), 0.22 * edge), 1.0) * cover;
        return;
    }
    if (u_veil.a > 1.5) cover *= clamp(outside + 2.5, 0.0, 1.0);
    else if (u_veil.a > 0.5) cover *= 1.0 - smoothstep(-0.16, 0.5, v_place.y);
    colour = vec4(u_veil.rgb, 1.0) * cover;
}
